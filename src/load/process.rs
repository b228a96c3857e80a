//! A process's processor time and memory, from the kernel (on Linux only).

use std::fs;
use std::net::SocketAddr;

/// What a process has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// Time that its threads ran, nanoseconds.
    pub cpu_nanos: u64,
    /// Time that they waited for a processor, nanoseconds.
    pub waited_nanos: u64,
    /// Resident memory in KiB.
    pub rss_kib: u64,
}

/// Reads what a process has used. `None` if there is no such process, or no `/proc`.
pub(super) fn usage(pid: u32) -> Option<Usage> {
    let (mut cpu_nanos, mut waited_nanos) = (0, 0);
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        // A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        let (ran, waited) = run_and_wait(&text).unwrap_or_default();
        cpu_nanos += ran;
        waited_nanos += waited;
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Usage { cpu_nanos, waited_nanos, rss_kib: rss(&status)? })
}

/// Returns the first numbers of a thread's `schedstat`: nanoseconds on a processor, and waiting for one.
fn run_and_wait(schedstat: &str) -> Option<(u64, u64)> {
    let mut numbers = schedstat.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Returns the process that has the UDP socket of that port, if the server is on this machine and we may see it.
pub(super) fn find_server(server: SocketAddr) -> Option<u32> {
    if !server.ip().is_loopback() {
        return None;
    }
    let tables = ["/proc/net/udp", "/proc/net/udp6"];
    let inodes: Vec<String> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| inodes_of_port(&table, server.port()))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let pids = fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.into_iter().find(|pid| {
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        files
            .flatten()
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|target| inodes.iter().any(|inode| target.to_str() == Some(inode.as_str())))
    })
}

/// Returns the inodes of the unconnected sockets that are bound to a port, from `/proc/net/udp`.
fn inodes_of_port(table: &str, port: u16) -> Vec<u64> {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (_, local_port) = words.get(1)?.rsplit_once(':')?;
        let (_, remote_port) = words.get(2)?.rsplit_once(':')?;
        let ours = u16::from_str_radix(local_port, 16).ok()? == port && remote_port == "0000";
        if ours { words.get(9)?.parse().ok() } else { None }
    };
    table.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        assert_eq!(run_and_wait("123456789 42 7\n"), Some((123_456_789, 42)));
        assert_eq!(rss("Name:\tstrait\nVmRSS:\t   10240 kB\n"), Some(10_240));
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            100: 00000000:1D13 00000000:0000 07 00000000:00000000 00:00000000 00000000  0        0 4242 2 0 0\n\
            101: 0100007F:1D13 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  0        0 4243 2 0 0\n\
            102: 00000000:1D14 00000000:0000 07 00000000:00000000 00:00000000 00000000  0        0 4244 2 0 0\n";
        assert_eq!(inodes_of_port(table, 0x1d13), [4242]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_found_by_its_socket() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = socket.local_addr().expect("an address");
        assert_eq!(find_server(address), Some(std::process::id()));
        assert!(usage(std::process::id()).expect("it runs").rss_kib > 100);
    }
}

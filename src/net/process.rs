//! What the operating system says about this process: memory, processor time and open files (on Linux only), and how
//! many files it may open.

use std::fs;

/// How many ticks of the times in `/proc` make a second. Linux fixes it for user space (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// The figures of the process at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Process {
    /// Resident memory, bytes.
    pub resident_bytes: u64,
    /// Address space, bytes.
    pub virtual_bytes: u64,
    /// Processor time, user and system, seconds.
    pub cpu_seconds: f64,
    /// How many threads it has.
    pub threads: u64,
    /// How many file descriptors are open.
    pub open_files: u64,
}

impl Process {
    /// Reads the figures. Returns `None` where the system does not tell them.
    pub fn read() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        Some(Self {
            resident_bytes: kilobytes(&status, "VmRSS:")? * 1024,
            virtual_bytes: kilobytes(&status, "VmSize:")? * 1024,
            cpu_seconds: cpu_seconds(&stat)?,
            threads: field(&status, "Threads:")?.parse().ok()?,
            open_files: open_files()?,
        })
    }
}

/// Counts the open file descriptors. Linux tells how many there are since version 6.2. Before it they are counted, which
/// takes a microsecond for each: with ten thousand connections all media would wait for them.
fn open_files() -> Option<u64> {
    const DIRECTORY: &str = "/proc/self/fd";
    match fs::metadata(DIRECTORY).ok()?.len() {
        0 => Some(fs::read_dir(DIRECTORY).ok()?.count() as u64),
        count => Some(count),
    }
}

fn kilobytes(status: &str, name: &str) -> Option<u64> {
    field(status, name)?.strip_suffix(" kB")?.trim().parse().ok()
}

fn field<'s>(status: &'s str, name: &str) -> Option<&'s str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Adds fields 14 and 15 of `/proc/self/stat`. The second field may hold spaces, and ends with the last parenthesis.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

/// Raises the limit of open files as far as the operating system lets this process. Returns the limit, or `None` if
/// none is known.
pub fn raise_open_files() -> Option<u64> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
            Ok(()) => maximum,
            // Some systems do not grant the maximum that they name.
            Err(_) => current,
        }
    }
    #[cfg(not(unix))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn open_files_are_those_that_are_open() {
        let many: Vec<_> = (0..100).map(|_| fs::File::open("/dev/null").expect("it can be opened")).collect();
        // Other tests open and close files meanwhile.
        assert!(open_files().expect("Linux tells it") >= many.len() as u64);
    }

    #[test]
    fn what_the_kernel_writes_is_read() {
        let stat = "7 (a) name) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(kilobytes("VmSize:\t 1 kB\nVmRSS:\t  2048 kB\n", "VmRSS:"), Some(2048));
        assert_eq!(kilobytes("", "VmRSS:"), None);
    }
}

//! The floor of this machine: what sealing a packet and handing it to the kernel costs, with nothing else done. Every
//! figure from end to end is to be read as a ratio to it, from the same minutes: the machine's speed changes.
//!
//! `cargo bench --bench floor` prints a table; `-- --json FILE` writes it, `-- --seconds N` gives each row its time.
//! Peers are sockets on loopback that another thread drains, which on a machine of two cores is the other core.
//!
//! | row | |
//! |---|---|
//! | `single` | one `sendmsg` for each packet, as when pictures come packet by packet |
//! | `paced` | the same in bursts of one packet to each peer every 20 ms, asleep in between, as sound comes |
//! | `gso N` | runs of N packets to one peer |

use std::fmt::Write as _;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use strait::core::input::{Path, SrtpProfile, Transport};
use strait::core::media::srtp::{RTP_OVERHEAD_MAX, SrtpSender, contexts};
use strait::core::output::TrafficClass;
use strait::net::udp::{Udp, UdpOptions};

/// As many as the rooms that the figures are compared with have viewers.
const PEERS: usize = 50;
const HEADER: usize = 12;

/// Sockets that another thread reads.
struct Peers {
    paths: Vec<Path>,
    stop: Arc<AtomicBool>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Peers {
    fn open(local: std::net::SocketAddr) -> io::Result<Self> {
        let sockets: Vec<UdpSocket> =
            (0..PEERS).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<io::Result<_>>()?;
        let mut paths = Vec::new();
        for socket in &sockets {
            socket.set_nonblocking(true)?;
            // As load generators do: without it many packets would wait for one reader.
            let _ = socket2::SockRef::from(socket).set_recv_buffer_size(1 << 20);
            let _ = quinn_udp::UdpSocketState::new(socket.into());
            paths.push(Path { transport: Transport::Udp, local, remote: socket.local_addr()? });
        }
        let stop = Arc::new(AtomicBool::new(false));
        let reader = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                pin(1);
                let mut buffer = vec![0; 65_536];
                // It never sleeps: waking it would be charged to the sender.
                while !stop.load(Ordering::Relaxed) {
                    for socket in &sockets {
                        while socket.recv(&mut buffer).is_ok() {}
                    }
                }
            }
        });
        Ok(Self { paths, stop, reader: Some(reader) })
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Keeps this thread on a core, so that neither moves to the other's; where that cannot be, it goes where it likes.
fn pin(core: usize) {
    #[cfg(target_os = "linux")]
    {
        let mut cores = rustix::thread::CpuSet::new();
        cores.set(core);
        let _ = rustix::thread::sched_setaffinity(None, &cores);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = core;
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    // Nanoseconds on a processor come first; see proc(5).
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
    Duration::from_nanos(nanos)
}

/// What a row measures.
#[derive(Debug, Clone, Copy)]
struct Row {
    payload: usize,
    run: usize,
    paced: bool,
}

impl Row {
    fn name(self) -> String {
        match (self.paced, self.run) {
            (true, _) => "paced".to_owned(),
            (false, 1) => "single".to_owned(),
            (false, run) => format!("gso {run}"),
        }
    }
}

/// Microseconds of processor time for each packet.
fn measure(row: Row, time: Duration) -> io::Result<f64> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    socket2::SockRef::from(&socket.as_fd()).set_send_buffer_size(4 << 20)?;
    let local = socket.local_addr()?;
    let mut udp = Udp::new(
        mio::net::UdpSocket::from_std(socket),
        local,
        UdpOptions { dscp: true, ..UdpOptions::default() },
        local.ip(),
    )?;
    let peers = Peers::open(local)?;
    let material: Vec<u8> = (0..88).collect();
    let senders: Vec<SrtpSender> = (0..PEERS)
        .map(|_| contexts(SrtpProfile::AeadAes256Gcm, &material, true).map(|(_, sender)| sender))
        .collect::<Result<_, _>>()
        .map_err(|_| io::Error::other("keying material of the wrong length"))?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(8);
    poll.registry().register(udp.source(), Token(0), Interest::READABLE)?;

    let mut buffer = vec![0; HEADER + row.payload + RTP_OVERHEAD_MAX];
    let mut index = 0u64;
    let (mut packets, began, before) = (0u64, Instant::now(), thread_time());
    while began.elapsed() < time {
        for (path, sender) in peers.paths.iter().zip(&senders) {
            for _ in 0..row.run {
                index += 1;
                buffer[2..4].copy_from_slice(&(index as u16).to_be_bytes());
                let end = HEADER + row.payload;
                let length = sender.seal_rtp(&mut buffer, HEADER, end, index).unwrap_or(end);
                udp.push(*path, TrafficClass::Video, &buffer[..length]);
                packets += 1;
            }
        }
        udp.flush();
        if row.paced {
            poll.poll(&mut events, Some(Duration::from_millis(20)))?;
        }
    }
    let used = thread_time().saturating_sub(before);
    let taken = udp.counters();
    if taken.sent + taken.dropped_full < packets {
        eprintln!("floor: {} of {packets} packets were refused", taken.dropped_refused);
    }
    Ok(used.as_secs_f64() * 1e6 / packets as f64)
}

fn main() -> io::Result<()> {
    let mut seconds = 1.0;
    let mut json = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(seconds),
            "--json" => json = arguments.next(),
            // What cargo adds.
            _ => {}
        }
    }
    let mut rows = Vec::new();
    for payload in [1100, 80] {
        rows.push(Row { payload, run: 1, paced: false });
        rows.extend([2, 4, 10, 32].map(|run| Row { payload, run, paced: false }));
        rows.push(Row { payload, run: 1, paced: true });
    }
    // On a thread of its own, so that its time is told apart from the readers'.
    let (report, reported) = mpsc::channel();
    let worker = thread::spawn(move || -> io::Result<()> {
        pin(0);
        for row in rows {
            let micros = measure(row, Duration::from_secs_f64(seconds))?;
            if report.send((row, micros)).is_err() {
                break;
            }
        }
        Ok(())
    });
    let mut text = String::from("{");
    println!("{:>8}  {:<8} {:>10}", "payload", "row", "µs/packet");
    for (row, micros) in reported {
        println!("{:>8}  {:<8} {micros:>10.2}", row.payload, row.name());
        let comma = if text.len() > 1 { "," } else { "" };
        let _ = write!(text, "{comma}\"{} {}\":{micros:.3}", row.payload, row.name());
    }
    text.push('}');
    worker.join().map_err(|_| io::Error::other("the measurement panicked"))??;
    match json {
        Some(file) => std::fs::write(file, text),
        None => Ok(()),
    }
}

//! The floor of this machine: what sealing a packet and handing it to the kernel costs, with nothing else done. Every
//! figure from end to end is to be read as a ratio to it, from the same minutes: the machine's speed changes.
//!
//! `cargo bench --bench floor` prints a table; `-- --json FILE` writes it, `-- --seconds N` gives each row its time.
//! Peers are sockets on loopback that another thread drains, which on a machine of two cores is the other core.
//!
//! | row | |
//! |---|---|
//! | `single` | one `sendmsg` for each packet, to 50 peers in turn without a pause |
//! | `gso N` | the same with runs of N packets to one peer |
//! | `A of B, N a second` | asleep until a packet comes, N times a second, which leads to one for each of A of B peers |
//! | the same `by ten` | asleep until ten packets come at once, which lead to a run of ten for each of A of B peers |
//!
//! The last two have the shape of what the bars measure: what comes after a sleep is slower than what follows without a
//! pause, and a packet to one of many peers slower than one to a few, in a program that does nothing else too. They also
//! tell how long after the waking packet the others arrived, as a receiver sees it.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use std::{io, thread};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};
use strait::core::input::SrtpProfile;
use strait::core::media::srtp::{SrtpSender, contexts};
use strait::core::output::MediaSink;
use strait::core::path::{Carrier, Path, TrafficClass};
use strait::net::udp::{Udp, UdpOptions};

/// As many as the rooms that the figures are compared with have viewers.
const PEERS: usize = 50;
const HEADER: usize = 12;
/// Where in the header the time stands at which the waking packet was sent.
const TIME: std::ops::Range<usize> = 4..12;

/// What wakes the sender: so many packets at once, so often.
#[derive(Debug, Clone, Copy)]
struct Waking {
    packets: usize,
    bytes: usize,
    every: Duration,
    to: SocketAddr,
}

/// Sockets that another thread reads.
struct Peers {
    paths: Vec<Path>,
    stop: Arc<AtomicBool>,
    reader: Option<thread::JoinHandle<Histogram<u64>>>,
}

impl Peers {
    fn open(local: SocketAddr, count: usize, waking: Option<Waking>) -> io::Result<Self> {
        let sockets: Vec<UdpSocket> =
            (0..count).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<io::Result<_>>()?;
        let mut paths = Vec::new();
        for socket in &sockets {
            socket.set_nonblocking(true)?;
            // As load generators do: without it many packets would wait for one reader.
            let _ = socket2::SockRef::from(socket).set_recv_buffer_size(1 << 20);
            let _ = quinn_udp::UdpSocketState::new(socket.into());
            paths.push(Path { carrier: Carrier::Udp, local, remote: socket.local_addr()? });
        }
        let stop = Arc::new(AtomicBool::new(false));
        let reader = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                pin(1);
                read(&sockets, waking, &stop)
            }
        });
        Ok(Self { paths, stop, reader: Some(reader) })
    }

    /// Ends the reading. How many microseconds packets took, if they were awaited.
    fn finish(&mut self) -> Option<Histogram<u64>> {
        self.stop.store(true, Ordering::Relaxed);
        self.reader.take()?.join().ok()
    }
}

/// Reads them all, and wakes the sender when it is time. It never sleeps: waking it would be charged to the sender.
fn read(sockets: &[UdpSocket], waking: Option<Waking>, stop: &AtomicBool) -> Histogram<u64> {
    let mut latency = Histogram::new(3).expect("three digits are a precision");
    let mut buffer = vec![0; 65_536];
    let began = Instant::now();
    let mut wakes = 0;
    while !stop.load(Ordering::Relaxed) {
        for socket in sockets {
            while let Ok(length) = socket.recv(&mut buffer) {
                if let (Some(_), Some(Ok(sent))) = (waking, buffer[..length].get(TIME).map(TryInto::try_into))
                {
                    let took = began.elapsed().saturating_sub(Duration::from_nanos(u64::from_be_bytes(sent)));
                    latency.saturating_record(took.as_micros() as u64);
                }
            }
            let Some(waking) = waking else { continue };
            let now = began.elapsed();
            if now >= waking.every * wakes {
                wakes += 1;
                buffer[TIME].copy_from_slice(&(now.as_nanos() as u64).to_be_bytes());
                for _ in 0..waking.packets {
                    let _ = sockets[0].send_to(&buffer[..waking.bytes], waking.to);
                }
            }
        }
    }
    latency
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.finish();
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

/// As many sockets as the system lets us have.
fn raise_open_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
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
    /// Packets to one peer that leave as one.
    run: usize,
    peers: usize,
    /// How many of the peers are sent to after how many wake-ups a second; `None`: all without a pause.
    woken: Option<(usize, u32)>,
}

impl Row {
    fn busy(payload: usize, run: usize) -> Self {
        Self { payload, run, peers: PEERS, woken: None }
    }

    fn woken(payload: usize, run: usize, (at_once, peers): (usize, usize), a_second: u32) -> Self {
        Self { payload, run, peers, woken: Some((at_once, a_second)) }
    }

    fn name(self) -> String {
        let by_ten = if self.run > 1 { " by ten" } else { "" };
        match (self.woken, self.run) {
            (Some((at_once, a_second)), _) => {
                format!("{at_once} of {}, {a_second} a second{by_ten}", self.peers)
            }
            (None, 1) => "single".to_owned(),
            (None, run) => format!("gso {run}"),
        }
    }
}

/// What a row measured.
struct Measured {
    /// Microseconds of processor time for each packet.
    cost: f64,
    /// Microseconds that packets took, if they were awaited.
    latency: Option<Histogram<u64>>,
}

fn measure(row: Row, time: Duration) -> io::Result<Measured> {
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
    let waking = row.woken.map(|(_, a_second)| Waking {
        packets: row.run,
        bytes: HEADER + row.payload,
        every: Duration::from_secs(1) / a_second,
        to: local,
    });
    let mut peers = Peers::open(local, row.peers, waking)?;
    let material: Vec<u8> = (0..88).collect();
    let senders: Vec<SrtpSender> = (0..row.peers)
        .map(|_| contexts(SrtpProfile::AeadAes256Gcm, &material, true).map(|(_, sender)| sender))
        .collect::<Result<_, _>>()
        .map_err(|_| io::Error::other("keying material of the wrong length"))?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(8);
    poll.registry().register(udp.source(), Token(0), Interest::READABLE)?;

    let (mut header, end) = ([0x80; HEADER], HEADER + row.payload);
    let mut index = 0u64;
    let (mut packets, began, before) = (0u64, Instant::now(), thread_time());
    let paths = std::mem::take(&mut peers.paths);
    let mut all = paths.iter().zip(&senders).cycle();
    while began.elapsed() < time {
        if row.woken.is_some() {
            poll.poll(&mut events, Some(Duration::from_millis(100)))?;
            let mut note = |came: &[u8]| header[TIME].copy_from_slice(&came[TIME]);
            while udp.receive(|_, _, came| note(came)).more {}
        }
        for (path, sender) in all.by_ref().take(row.woken.map_or(row.peers, |(at_once, _)| at_once)) {
            udp.to(path, TrafficClass::Video);
            for _ in 0..row.run {
                index += 1;
                let buffer = udp.buffer();
                buffer[..HEADER].copy_from_slice(&header);
                buffer[2..4].copy_from_slice(&(index as u16).to_be_bytes());
                let length = sender.seal_rtp(buffer, HEADER, end, index).unwrap_or(end);
                udp.sent(length);
                packets += 1;
            }
        }
        udp.flush();
    }
    let used = thread_time().saturating_sub(before);
    let taken = udp.counters();
    if taken.sent + taken.dropped_full < packets {
        eprintln!("floor: {} of {packets} packets were refused", taken.dropped_refused);
    }
    let latency = peers.finish().filter(|_| row.woken.is_some());
    Ok(Measured { cost: used.as_secs_f64() * 1e6 / packets as f64, latency })
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
    raise_open_files();
    let mut rows = Vec::new();
    for payload in [1100, 80] {
        rows.extend([1, 2, 4, 10, 32].map(|run| Row::busy(payload, run)));
    }
    rows.extend([
        Row::woken(1100, 1, (50, 50), 250),
        Row::woken(1100, 1, (400, 400), 250),
        Row::woken(1100, 10, (50, 50), 25),
        Row::woken(80, 1, (50, 50), 50),
        Row::woken(80, 1, (4, 50), 2500),
        Row::woken(80, 1, (4, 20), 4000),
        Row::woken(80, 1, (4, 2000), 4000),
        Row::woken(80, 1, (19, 120), 6000),
    ]);
    // On a thread of its own, so that its time is told apart from the readers'.
    let (report, reported) = mpsc::channel();
    let worker = thread::spawn(move || -> io::Result<()> {
        pin(0);
        for row in rows {
            let measured = measure(row, Duration::from_secs_f64(seconds))?;
            if report.send((row, measured)).is_err() {
                break;
            }
        }
        Ok(())
    });
    let mut figures = serde_json::Map::new();
    println!(
        "{:>8}  {:<32} {:>10} {:>9} {:>9} {:>9}",
        "payload", "row", "µs/packet", "p50, µs", "p99, µs", "p99.9, µs"
    );
    for (row, Measured { cost, latency }) in reported {
        let name = format!("{} {}", row.payload, row.name());
        let quantiles = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];
        let took = quantiles.map(|(_, quantile)| latency.as_ref().map(|all| all.value_at_quantile(quantile)));
        let told = took.map(|micros| micros.map_or_else(String::new, |micros| micros.to_string()));
        println!(
            "{:>8}  {:<32} {cost:>10.2} {:>9} {:>9} {:>9}",
            row.payload,
            row.name(),
            told[0],
            told[1],
            told[2]
        );
        for ((quantile, _), micros) in quantiles.iter().zip(took) {
            figures.extend(micros.map(|micros| (format!("{name}: {quantile}"), micros.into())));
        }
        figures.insert(name, ((cost * 1000.0).round() / 1000.0).into());
    }
    worker.join().map_err(|_| io::Error::other("the measurement panicked"))??;
    match json {
        Some(file) => std::fs::write(file, serde_json::Value::from(figures).to_string()),
        None => Ok(()),
    }
}

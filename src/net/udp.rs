//! The UDP socket: batches in, batches out.
//!
//! On Linux quinn-udp receives with `recvmmsg` and GRO, and tells at which address a packet arrived, so that replies
//! leave from there; `send.rs` sends. Elsewhere there is a portable path of plain `recv_from` and `send_to`. Nothing
//! here waits: what the kernel does not take goes to a bounded backlog, and what does not fit there is dropped and
//! counted.

pub mod batch;
mod latency;
mod send;

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use serde_json::Value;
use tracing::{debug, info, trace};

use super::address::{canonical, for_socket};
use super::address_filter::AddressFilter;
use super::clock;
use super::relayed_network::RelayedNetwork;
use crate::core::output::MediaSink;
use crate::core::path::TrafficClass;
use crate::core::path::{Carrier, Path};
use crate::wire::classify::{DatagramKind, classify};
use crate::wire::turn_frame::CHANNEL_HEADER_LEN;
use batch::Backlog;
use batch::Run;
use batch::SendBatch;
use latency::Latency;
use send::Sending;

/// Size of the largest datagram, or sequence of datagrams that the kernel joined (GRO).
const RECEIVE_BYTES: usize = 65_535;

/// How much is gathered before it is sent without waiting for the end of the pass, bytes.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How much may wait for the kernel: a tenth of a second at 80 Mbit/s. Anything later would be of no use.
const BACKLOG_BYTES_MAX: usize = 1024 * 1024;

/// Media that has waited in the kernel for longer is dropped: it is too late to be played, and the packets behind it
/// may not be. Other datagrams are handled however old they are, because they keep connections alive.
const STALE: Duration = Duration::from_secs(1);

/// What happened at the socket since the start of the server.
#[derive(Debug, Clone, Copy, Default)]
pub struct UdpCounters {
    /// Datagrams that were received.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// System calls for receiving that brought at least one datagram.
    pub receive_calls: u64,
    /// Datagrams that the kernel took.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Runs of several datagrams that left by one system call (UDP GSO).
    pub runs: u64,
    /// System calls for sending, including those that failed.
    pub send_calls: u64,
    /// Datagrams that were lost because the kernel and the backlog were full.
    pub dropped_full: u64,
    /// Datagrams that the kernel refused: no route, too long, or filtered.
    pub dropped_refused: u64,
    /// Media datagrams that were dropped because they had waited in the kernel for too long.
    pub dropped_stale: u64,
    /// System calls for receiving that failed.
    pub receive_errors: u64,
}

/// How the socket is used.
#[derive(Debug, Clone, Default)]
pub struct UdpOptions {
    /// Whether to use one plain system call for each datagram.
    pub portable: bool,
    /// Whether packets are marked by their class (DSCP).
    pub dscp: bool,
    /// The network of the TURN server's relayed addresses, from which no datagrams can come.
    pub relayed: RelayedNetwork,
    /// From which addresses datagrams are taken.
    pub addresses: AddressFilter,
}

/// What one batch brought.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    /// How many datagrams it held.
    pub datagrams: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of the datagrams were dropped because they were too old.
    pub stale: u64,
    /// Whether there may be more.
    pub more: bool,
}

/// The socket, its buffers and its counters.
pub struct Udp {
    socket: UdpSocket,
    /// `None` on the portable path.
    fast: Option<(UdpSocketState, Sending)>,
    bound: SocketAddr,
    /// The address taken for ours where the system does not tell at which address a packet arrived.
    local_default: IpAddr,
    relayed: RelayedNetwork,
    addresses: AddressFilter,
    receive_arena: Vec<u8>,
    batch: SendBatch,
    backlog: Backlog,
    counters: UdpCounters,
    latency: Latency,
}

impl Udp {
    /// Takes over a bound, non-blocking socket.
    pub fn new(
        socket: UdpSocket,
        bound: SocketAddr,
        options: UdpOptions,
        local_default: IpAddr,
    ) -> io::Result<Self> {
        let fast = if options.portable {
            None
        } else {
            let state = UdpSocketState::new((&socket).into())?;
            let sending = Sending::new(bound, &state, options.dscp);
            Some((state, sending))
        };
        let buffers = if fast.is_some() { BATCH_SIZE } else { 1 };
        match &fast {
            Some((state, _)) => debug!(
                gso = state.max_gso_segments(),
                gro = state.gro_segments(),
                batch = BATCH_SIZE,
                "UDP is batched"
            ),
            None => info!("UDP takes the portable path: one system call per packet"),
        }
        Ok(Self {
            socket,
            fast,
            bound,
            local_default,
            relayed: options.relayed,
            addresses: options.addresses,
            receive_arena: vec![0; RECEIVE_BYTES * buffers],
            batch: SendBatch::default(),
            backlog: Backlog::new(BACKLOG_BYTES_MAX),
            counters: UdpCounters::default(),
            latency: Latency::new(clock::now()),
        })
    }

    /// Returns the socket for registration with mio.
    pub fn source(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    /// Returns what happened so far.
    pub fn counters(&self) -> UdpCounters {
        self.counters
    }

    /// Ends the loop pass that began at `now`: everything caused by media that arrived before `waits_since` (`None`:
    /// all media) has been sent or queued. Returns how long the oldest media packet, sent or still waiting, has been in
    /// this process; `None` if there was none or the kernel does not timestamp packets.
    pub fn end_pass(&mut self, now: Instant, waits_since: Option<Instant>) -> Option<Duration> {
        self.latency.end_pass(now, waits_since)
    }

    /// Shows as JSON how long media stays in this process.
    pub fn latency(&self, now: Instant) -> Value {
        self.latency.json(now)
    }

    /// Reads one batch and hands over each datagram with its kind, so that it is classified only once.
    pub fn receive(&mut self, mut handle: impl FnMut(DatagramKind, Path, &mut [u8])) -> Received {
        let (relayed, addresses) = (self.relayed, &self.addresses);
        let mut handle = |kind: DatagramKind, path: Path, datagram: &mut [u8]| {
            if !datagram.is_empty() && is_sane(path.remote, relayed) && addresses.admits(path.remote.ip()) {
                handle(kind, path, datagram);
            }
        };
        let result = match &self.fast {
            Some((state, _)) => receive_batch(
                state,
                &self.socket,
                &mut self.receive_arena,
                (self.bound.port(), self.local_default),
                &mut self.latency,
                &mut handle,
            ),
            None => receive_one(
                &self.socket,
                &mut self.receive_arena,
                SocketAddr::new(self.local_default, self.bound.port()),
                &mut handle,
            ),
        };
        match result {
            Ok(received) => {
                self.counters.received += received.datagrams;
                self.counters.received_bytes += received.bytes;
                self.counters.receive_calls += 1;
                self.counters.dropped_stale += received.stale;
                received
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Received { datagrams: 0, bytes: 0, stale: 0, more: false }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                Received { datagrams: 0, bytes: 0, stale: 0, more: true }
            }
            Err(error) => {
                // These may be errors of earlier sends (ICMP); the datagrams behind them still come.
                self.counters.receive_errors += 1;
                debug!(%error, "receiving from the UDP socket failed");
                Received { datagrams: 0, bytes: 0, stale: 0, more: false }
            }
        }
    }

    /// Adds a copy of a datagram to the pass's batch.
    pub fn push(&mut self, path: Path, class: TrafficClass, bytes: &[u8]) {
        self.relieve();
        self.batch.push(path, class, bytes);
    }

    /// Sends what has been gathered, if it is too much to wait for the end of the pass.
    fn relieve(&mut self) {
        if self.batch.bytes() > BATCH_BYTES_MAX {
            self.flush();
        }
    }

    /// Sends what waits. Returns whether the kernel's buffer is full. Then call [`writable`](Self::writable) once there
    /// is room.
    pub fn flush(&mut self) -> bool {
        self.writable();
        self.send_batch(|batch, segments_max, send| batch.drain(segments_max, send));
        !self.backlog.is_empty()
    }

    /// Sends what `take` takes from the batch. What the kernel does not take is kept until it takes more.
    fn send_batch(&mut self, take: impl FnOnce(&mut SendBatch, usize, &mut dyn FnMut(Run<'_>))) {
        let Self { socket, fast, bound, batch, backlog, counters, .. } = self;
        let segments_max = fast.as_ref().map_or(1, |(_, sending)| sending.segments_max);
        take(batch, segments_max, &mut |run| {
            // What waits already must not be overtaken.
            let blocked = !backlog.is_empty() || !send(socket, fast, *bound, counters, run);
            if blocked && !backlog.push(run) {
                counters.dropped_full += run.packets();
            }
        });
    }

    /// Sends what the kernel did not take before.
    pub fn writable(&mut self) {
        let Self { socket, fast, bound, backlog, counters, .. } = self;
        backlog.drain(|run| send(socket, fast, *bound, counters, run));
    }
}

/// Media is encrypted in the buffer from which it is sent, so it is not copied on the way to the kernel.
impl MediaSink for Udp {
    fn to(&mut self, path: &Path, class: TrafficClass) {
        if self.batch.is_run_long() {
            self.send_batch(|batch, segments_max, send| batch.end_run(segments_max, send));
        }
        self.relieve();
        self.batch.to(*path, class);
    }

    fn buffer(&mut self) -> &mut [u8] {
        self.batch.buffer()
    }

    fn sent(&mut self, length: usize) {
        self.batch.sent(length);
    }
}

fn receive_batch(
    state: &UdpSocketState,
    socket: &UdpSocket,
    arena: &mut [u8],
    (port, local_default): (u16, IpAddr),
    latency: &mut Latency,
    handle: &mut impl FnMut(DatagramKind, Path, &mut [u8]),
) -> io::Result<Received> {
    let mut metas = [RecvMeta::default(); BATCH_SIZE];
    let mut chunks = arena.chunks_exact_mut(RECEIVE_BYTES);
    let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
        std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
    let count = state.recv(socket.into(), &mut slices, &mut metas)?;
    let (mut datagrams, mut total, mut stale) = (0, 0, 0);
    let wall = clock::unix();
    for (meta, slice) in metas.iter().zip(slices.iter_mut()).take(count) {
        let remote = canonical(meta.addr);
        let local_ip = meta.dst_ip.map_or(local_default, |ip| ip.to_canonical());
        let path = Path { carrier: Carrier::Udp, local: SocketAddr::new(local_ip, port), remote };
        let Some(bytes) = slice.get_mut(..meta.len) else { continue };
        total += bytes.len() as u64;
        let is_stale = is_stale(meta.timestamp, wall);
        let mut media = 0;
        for datagram in bytes.chunks_mut(meta.stride.max(1)) {
            datagrams += 1;
            let kind = classify(datagram);
            if is_stale && is_media(kind, datagram) {
                stale += 1;
                continue;
            }
            media += u32::from(kind == DatagramKind::Rtp);
            handle(kind, path, datagram);
        }
        latency.received(meta.timestamp, media);
    }
    // A batch that is not full ended because the socket was empty, so another system call would find nothing.
    Ok(Received { datagrams, bytes: total, stale, more: count == BATCH_SIZE })
}

fn receive_one(
    socket: &UdpSocket,
    arena: &mut [u8],
    local: SocketAddr,
    handle: &mut impl FnMut(DatagramKind, Path, &mut [u8]),
) -> io::Result<Received> {
    let (len, remote) = socket.recv_from(arena)?;
    let remote = canonical(remote);
    let datagram = &mut arena[..len];
    handle(classify(datagram), Path { carrier: Carrier::Udp, local, remote }, datagram);
    // A plain receive does not tell when the datagram came, so none is known to be too old.
    Ok(Received { datagrams: 1, bytes: len as u64, stale: 0, more: true })
}

/// Returns whether media that the kernel received at that wall time is too old at the time `wall` to be forwarded. It
/// is not if the time is unknown, or if the clock was set back.
fn is_stale(received: Option<Duration>, wall: Duration) -> bool {
    received.is_some_and(|at| wall.saturating_sub(at) > STALE)
}

/// Returns whether a datagram is RTP, by itself or in a TURN channel. In the indications that clients send before they have
/// a channel it is not looked for.
fn is_media(kind: DatagramKind, datagram: &[u8]) -> bool {
    let inside = || classify(datagram.get(CHANNEL_HEADER_LEN..).unwrap_or_default());
    kind == DatagramKind::Rtp || kind == DatagramKind::TurnChannel && inside() == DatagramKind::Rtp
}

/// Returns whether a reply could be sent to an address at all. Port 0 can be forged but not answered, and nobody has
/// the TURN server's relayed addresses.
fn is_sane(remote: SocketAddr, relayed: RelayedNetwork) -> bool {
    let ip = remote.ip();
    remote.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !relayed.contains(ip)
}

/// Sends one run. Returns `false` if the kernel is full. After any other error the run is lost and counted.
fn send(
    socket: &UdpSocket,
    fast: &mut Option<(UdpSocketState, Sending)>,
    bound: SocketAddr,
    counters: &mut UdpCounters,
    run: Run<'_>,
) -> bool {
    counters.send_calls += 1;
    let result = match fast {
        Some((state, sending)) => sending.send(socket, state, run),
        None => {
            let to = for_socket(run.path.remote, bound.is_ipv6());
            run.singles().try_for_each(|single| socket.send_to(single.bytes, to).map(|_| ()))
        }
    };
    match result {
        Ok(()) => {
            counters.sent += run.packets();
            counters.sent_bytes += run.bytes.len() as u64;
            counters.runs += u64::from(run.packets() > 1);
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
        Err(error) => {
            counters.dropped_refused += run.packets();
            trace!(%error, path = ?run.path, bytes = run.bytes.len(), "the kernel refused a datagram");
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::bind::{UdpBuffers, bind};

    fn udp(listen: &str, portable: bool) -> io::Result<Udp> {
        let buffers = UdpBuffers { receive: 1 << 20, send: 1 << 20 };
        let bound = bind(listen.parse().expect("an address"), buffers)?;
        let options = UdpOptions { portable, dscp: true, ..UdpOptions::default() };
        Udp::new(bound.udp, bound.address, options, IpAddr::from([127, 0, 0, 1]))
    }

    /// Returns what arrives, once there are `count` datagrams.
    fn receive(udp: &mut Udp, count: usize) -> Vec<(Path, Vec<u8>)> {
        let (mut seen, started) = (Vec::new(), Instant::now());
        while seen.len() < count {
            udp.receive(|_, path, bytes| seen.push((path, bytes.to_vec())));
            assert!(started.elapsed() < Duration::from_secs(10), "{} of {count} arrived", seen.len());
        }
        seen
    }

    fn client() -> io::Result<(std::net::UdpSocket, SocketAddr)> {
        let client = std::net::UdpSocket::bind("127.0.0.1:0")?;
        client.set_read_timeout(Some(Duration::from_secs(10)))?;
        let address = client.local_addr()?;
        Ok((client, address))
    }

    fn read(client: &std::net::UdpSocket) -> io::Result<(SocketAddr, Vec<u8>)> {
        let mut buffer = [0; 2000];
        let (length, from) = client.recv_from(&mut buffer)?;
        Ok((from, buffer[..length].to_vec()))
    }

    #[test]
    fn media_that_has_waited_in_the_kernel_for_too_long_is_dropped_and_counted() -> io::Result<()> {
        let mut udp = udp("127.0.0.1:0", false)?;
        let (client, _) = client()?;
        let (media, check) = ([0x80; 40], [0u8; 20]);
        let relayed = [&[0x40, 0, 0, 40][..], &media].concat();
        // A kernel that has stamped nothing before begins with it a little later, and stamps what it has then as it is read.
        for _ in 0..10 {
            let before = udp.counters().dropped_stale;
            client.send_to(&media, udp.bound)?;
            client.send_to(&relayed, udp.bound)?;
            client.send_to(&check, udp.bound)?;
            std::thread::sleep(STALE + Duration::from_millis(200));
            client.send_to(&media[..30], udp.bound)?;
            let (mut seen, mut dropped): (Vec<usize>, u64) = (Vec::new(), 0);
            while seen.len() + (dropped as usize) < 4 {
                seen.extend(receive(&mut udp, 1).into_iter().map(|(_, bytes)| bytes.len()));
                dropped = udp.counters().dropped_stale - before;
            }
            if dropped == 2 {
                assert_eq!(seen, [check.len(), 30], "what is no media is handled however late it is");
                return Ok(());
            }
            assert!(seen.contains(&check.len()), "{seen:?}");
        }
        panic!("the kernel stamps nothing");
    }

    #[test]
    fn replies_leave_from_the_address_that_was_written_to() -> io::Result<()> {
        for listen in ["[::]:0", "0.0.0.0:0"] {
            let mut udp = udp(listen, false)?;
            let (client, address) = client()?;
            for local in [[127, 0, 0, 1], [127, 0, 0, 2]] {
                let to = SocketAddr::from((local, udp.bound.port()));
                client.send_to(b"hello", to)?;
                let (path, bytes) = receive(&mut udp, 1).remove(0);
                assert_eq!((path.local, path.remote, bytes.as_slice()), (to, address, &b"hello"[..]));
                udp.push(path, TrafficClass::Control, b"there");
                assert!(!udp.flush());
                assert_eq!(read(&client)?, (to, b"there".to_vec()));
            }
        }
        Ok(())
    }

    #[test]
    fn runs_arrive_packet_by_packet_in_their_order() -> io::Result<()> {
        for portable in [false, true] {
            let (mut sender, mut receiver) = (udp("127.0.0.1:0", portable)?, udp("127.0.0.1:0", portable)?);
            let (other, other_address) = client()?;
            let path = |remote| Path { carrier: Carrier::Udp, local: sender.bound, remote };
            let (to, aside) = (path(receiver.bound), path(other_address));
            let sizes = [1200, 1200, 1200, 300, 80, 1200, 1400, 1400, 1];
            for (index, size) in sizes.into_iter().enumerate() {
                sender.push(to, TrafficClass::Video, &vec![index as u8; size]);
                sender.push(aside, TrafficClass::Video, &[index as u8]);
            }
            assert!(!sender.flush());
            let seen: Vec<_> =
                receive(&mut receiver, sizes.len()).into_iter().map(|(_, bytes)| bytes).collect();
            let sent: Vec<_> =
                sizes.into_iter().enumerate().map(|(index, size)| vec![index as u8; size]).collect();
            assert_eq!(seen, sent);
            for index in 0..sizes.len() {
                assert_eq!(read(&other)?.1, [index as u8]);
            }
            assert_eq!(sender.counters().sent, 2 * sizes.len() as u64);
            assert_eq!(receiver.counters().received, sizes.len() as u64);
        }
        Ok(())
    }

    #[test]
    fn nobody_speaks_from_a_relayed_address() {
        for (text, expected) in
            [("192.0.2.1:5000", false), ("192.0.2.254:9999", false), ("192.0.3.1:5000", true)]
        {
            assert_eq!(is_sane(text.parse().expect("an address"), RelayedNetwork::FIRST), expected, "{text}");
        }
        let mapped = "[::ffff:192.0.2.7]:5000".parse().expect("an address");
        assert!(!is_sane(canonical(mapped), RelayedNetwork::FIRST));
    }

    #[test]
    fn what_the_kernel_refuses_is_counted_and_costs_nobody_the_batching() -> io::Result<()> {
        let mut udp = udp("[::]:0", false)?;
        let segments_max = |udp: &Udp| udp.fast.as_ref().map(|(_, sending)| sending.segments_max);
        let before = segments_max(&udp);
        let (client, remote) = client()?;
        let ours = SocketAddr::from(([127, 0, 0, 1], udp.bound.port()));
        let path = |local, remote| Path { carrier: Carrier::Udp, local, remote };
        let not_ours = SocketAddr::from(([192, 0, 2, 1], udp.bound.port()));
        udp.push(path(not_ours, remote), TrafficClass::Control, b"from nowhere");
        for _ in 0..2 {
            udp.push(path(ours, SocketAddr::from(([127, 0, 0, 1], 0))), TrafficClass::Control, b"to nowhere");
        }
        udp.push(path(ours, remote), TrafficClass::Control, b"here");
        udp.flush();
        assert_eq!(read(&client)?.1, b"here");
        assert_eq!((udp.counters().dropped_refused, udp.counters().sent), (3, 1));
        assert_eq!(segments_max(&udp), before);
        Ok(())
    }
}

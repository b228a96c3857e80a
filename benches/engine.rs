//! What a forwarded packet costs before the kernel sees it: Strait's media half beside the engine's own RTP mode (one
//! `str0m::Rtc` for each viewer, which seals, keeps for repeats, and reports), on the same work in the same minute.
//!
//! `cargo bench --bench engine` prints a table; `-- --json FILE` writes it. One publisher, 1100-byte packets of VP8 in
//! frames of ten, 50 viewers, AES-256-GCM, no loss, no sockets, virtual time.

mod rig;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rig::Crowd;
use str0m::format::PayloadParams;
use str0m::media::{Direction, MediaKind as EngineKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, SeqNo};
use str0m::{Candidate, Input, Output, Rtc};
use strait::core::command::MediaKind;

const VIEWERS: usize = 50;
const PAYLOAD_BYTES: usize = 1100;
const FRAME: usize = 10;
/// From packet to packet: 250 a second.
const STEP: Duration = Duration::from_millis(4);
/// Enough for the engine's caches of sent packets to be full.
const WARM_UP: usize = 1500;
const PACKETS: usize = 2000;

/// One viewer as the engine has them: our end, with a section that sends pictures.
struct Viewer {
    rtc: Rtc,
    mid: Mid,
    pt: Pt,
}

type Failure = Box<dyn std::error::Error>;

/// Takes everything out of an endpoint, and lets `on_datagram` have what it sends. Whether it is connected by now.
fn drain(rtc: &mut Rtc, mut on_datagram: impl FnMut(&[u8])) -> Result<bool, Failure> {
    loop {
        match rtc.poll_output()? {
            Output::Timeout(_) => return Ok(rtc.is_connected()),
            Output::Transmit(transmit) => on_datagram(&transmit.contents),
            Output::Event(_) => {}
        }
    }
}

impl Viewer {
    /// An endpoint that has been connected to a client of its own.
    fn connected(now: &mut Instant, number: u16) -> Result<Self, Failure> {
        let addresses =
            [SocketAddr::from(([10, 0, 0, 1], 7443)), SocketAddr::from(([10, 1, 0, 1], 5000 + number))];
        let mut ends = [true, false]
            .map(|is_server| Rtc::builder().set_rtp_mode(true).set_ice_lite(is_server).build(*now));
        for (end, address) in ends.iter_mut().zip(addresses) {
            end.add_local_candidate(Candidate::host(address, "udp")?);
        }
        let [server, client] = &mut ends;
        let mut changes = client.sdp_api();
        let mid = changes.add_media(EngineKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = changes.apply().ok_or("an offer")?;
        let answer = server.sdp_api().accept_offer(offer)?;
        client.sdp_api().accept_answer(pending, answer)?;
        let mut connected = [false; 2];
        let mut under_way = VecDeque::new();
        for _ in 0..1000 {
            for (from, end) in ends.iter_mut().enumerate() {
                connected[from] = drain(end, |bytes| under_way.push_back((from, bytes.to_vec())))?;
            }
            while let Some((from, bytes)) = under_way.pop_front() {
                let to = 1 - from;
                let receive = Receive::new(Protocol::Udp, addresses[from], addresses[to], &bytes)?;
                ends[to].handle_input(Input::Receive(*now, receive))?;
                connected[to] = drain(&mut ends[to], |bytes| under_way.push_back((to, bytes.to_vec())))?;
            }
            if connected == [true; 2] {
                break;
            }
            *now += Duration::from_millis(10);
            for end in &mut ends {
                end.handle_input(Input::Timeout(*now))?;
            }
        }
        if connected != [true; 2] {
            return Err("the engine's two ends do not connect".into());
        }
        let [rtc, _] = ends;
        let is_vp8 = |params: &&PayloadParams| params.spec().codec == str0m::format::Codec::Vp8;
        let pt = rtc.codec_config().params().iter().find(is_vp8).ok_or("VP8")?.pt();
        Ok(Self { rtc, mid, pt })
    }

    /// Forwards a packet. How many datagrams that made.
    fn forward(&mut self, now: Instant, number: usize, payload: &Arc<[u8]>) -> Result<u64, Failure> {
        let Self { rtc, mid, pt } = self;
        let sequence = SeqNo::from(1000 + number as u64);
        let timestamp = (number / FRAME * 3600) as u32;
        let packet = RtpWrite::new(*pt, sequence, timestamp, now, Arc::clone(payload))
            .marker(number % FRAME == FRAME - 1)
            .nackable(true);
        rtc.direct_api().stream_tx_by_mid(*mid, None).ok_or("a stream")?.write_rtp(packet);
        rtc.handle_input(Input::Timeout(now))?;
        let mut datagrams = 0;
        drain(rtc, |_| datagrams += 1)?;
        Ok(datagrams)
    }
}

/// Resident memory of this process, bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = text.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    pages * 4096
}

/// Nanoseconds for each forwarded packet, and KiB that each viewer's stream came to hold.
fn engine() -> Result<(f64, f64), Failure> {
    let mut now = Instant::now();
    let mut viewers: Vec<Viewer> =
        (0..VIEWERS).map(|number| Viewer::connected(&mut now, number as u16)).collect::<Result<_, _>>()?;
    // The viewers share the payload, as a careful forwarder has it.
    let payload: Arc<[u8]> = vec![0x5a; PAYLOAD_BYTES].into();
    let empty = resident();
    let (mut began, mut datagrams) = (Instant::now(), 0);
    for number in 0..WARM_UP + PACKETS {
        if number == WARM_UP {
            (began, datagrams) = (Instant::now(), 0);
        }
        now += STEP;
        for viewer in &mut viewers {
            datagrams += viewer.forward(now, number, &payload)?;
        }
    }
    let nanos = began.elapsed().as_nanos() as f64 / (PACKETS * VIEWERS) as f64;
    if datagrams < (PACKETS * VIEWERS) as u64 {
        return Err(format!("only {datagrams} datagrams left the engine").into());
    }
    Ok((nanos, resident().saturating_sub(empty) as f64 / 1024.0 / VIEWERS as f64))
}

/// The same of Strait.
fn strait() -> (f64, f64) {
    let mut crowd = Crowd::audience(VIEWERS, MediaKind::Video);
    let empty = resident();
    let (mut began, mut forwarded) = (Instant::now(), 0);
    for number in 0..WARM_UP + PACKETS {
        if number == WARM_UP {
            (began, forwarded) = (Instant::now(), 0);
        }
        crowd.now += STEP;
        crowd.send(0, 0, PAYLOAD_BYTES);
        forwarded += crowd.drain().packets;
    }
    let nanos = began.elapsed().as_nanos() as f64 / forwarded.max(1) as f64;
    (nanos, resident().saturating_sub(empty) as f64 / 1024.0 / VIEWERS as f64)
}

fn main() -> io::Result<()> {
    let mut json = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        // Others are what cargo adds.
        if argument == "--json" {
            json = arguments.next();
        }
    }
    let engine = engine().map_err(|error| io::Error::other(error.to_string()))?;
    let strait = strait();
    println!("{:<20} {:>14} {:>22}", "", "ns per packet", "KiB for each stream");
    let rows = [("Strait", strait), ("the engine", engine)];
    for (name, (nanos, kib)) in rows {
        println!("{name:<20} {nanos:>14.0} {kib:>22.1}");
    }
    let text =
        rows.map(|(name, (nanos, kib))| format!("\"{name}\":{{\"nanos\":{nanos:.1},\"kib\":{kib:.1}}}"));
    json.map_or(Ok(()), |file| std::fs::write(file, format!("{{{}}}", text.join(","))))
}

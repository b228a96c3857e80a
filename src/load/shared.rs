//! What all people of a run share: the clock, the counters, the timers, the handshakes and the plan.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use serde_json::Value;

use super::clock::Clock;
use super::meters::Meters;
use super::options::{LoadOptions, PersonPlan, ServerKind, Track};
use super::schedule;
use crate::core::command::MediaKind;
use crate::core::ids::{BASE32, DtlsSession};
use crate::core::input::SrtpProfile;
use crate::core::negotiation::transport::fingerprint;
use crate::core::output::DtlsRequest;
use crate::net::dtls::{DtlsEvents, Handshakes};

/// The time between reports where there is video, as in browsers.
const VIDEO_REPORT_INTERVAL: u64 = 1_000_000_000;
/// The time between reports where there is only audio, as in browsers.
const AUDIO_REPORT_INTERVAL: u64 = 5_000_000_000;
/// How many people share a loopback address. There are several because a server limits the connections of an address.
const PEOPLE_PER_ADDRESS: usize = 40;
/// A timer: what has to happen at a certain time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A packet of a person's stream is due.
    Send(usize, usize),
    /// A person's turn to join has come.
    Join(usize),
    /// A person's connectivity check is due.
    Check(usize),
    /// A person's report is due.
    Report(usize),
    /// A person repeats a request.
    Again(usize),
}

/// The timers of all people, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(u64, Timer)>>);

impl Timers {
    pub(super) fn push(&mut self, at: u64, timer: Timer) {
        self.0.push(Reverse((at, timer)));
    }

    /// Returns when the next timer is due.
    pub(super) fn next(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes a timer that is due by `now`; `None` if there is none.
    pub(super) fn pop(&mut self, now: u64) -> Option<Timer> {
        if self.next()? > now { None } else { self.0.pop().map(|Reverse((_, timer))| timer) }
    }
}

/// What everybody has to know about a stream that is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamInfo {
    /// From frame to frame, nanoseconds.
    pub interval: u64,
    /// Whether the server chooses who receives it: one of several encodings, or one of many tracks.
    pub chosen: bool,
    /// How many packets were sent that belong to the measurement.
    pub sent: u64,
}

pub(super) struct Shared {
    pub options: LoadOptions,
    /// What each publisher publishes.
    pub tracks: Vec<Track>,
    /// Whether there is any video.
    pub has_video: bool,
    pub clock: Clock,
    pub meters: Meters,
    pub timers: Timers,
    /// All streams that are sent, by number.
    pub streams: Vec<StreamInfo>,
    /// How many streams are being sent in each room.
    pub live: Vec<u32>,
    /// The random numbers of this run, which its seed makes repeatable.
    pub random: fastrand::Rng,
    /// The fingerprint of the certificate that all people use.
    pub fingerprint: String,
    /// The SRTP profile that was negotiated last.
    pub srtp_profile: Option<SrtpProfile>,
    /// Events of handshakes that their people have not been given yet.
    pub dtls_events: DtlsEvents,
    pub handshakes: Handshakes,
    /// A packet under construction; kept here so that sending allocates nothing.
    pub buffer: Vec<u8>,
    /// A report under construction; kept here for the same reason.
    pub reports: Vec<u8>,
    /// Messages just received; kept here so that reading allocates nothing.
    pub messages: Vec<Value>,
    run: String,
}

impl Shared {
    /// Makes the certificate; everything else is empty at first.
    pub(super) fn new(options: LoadOptions) -> io::Result<Self> {
        let handshakes = Handshakes::new()?;
        let fingerprint = fingerprint(handshakes.certificate());
        let tracks = options.tracks();
        let live = vec![0; options.rooms];
        let random = fastrand::Rng::with_seed(options.seed);
        let mut shared = Self {
            has_video: tracks.iter().any(|track| track.kind == MediaKind::Video),
            tracks,
            options,
            clock: Clock::new(),
            meters: Meters::new(),
            timers: Timers::default(),
            streams: Vec::new(),
            live,
            random,
            fingerprint,
            srtp_profile: None,
            dtls_events: DtlsEvents::new(),
            handshakes,
            buffer: Vec::new(),
            reports: Vec::new(),
            messages: Vec::new(),
            run: String::new(),
        };
        shared.run = shared.text(6);
        Ok(shared)
    }

    /// Returns that many random letters and digits.
    pub(super) fn text(&mut self, characters: usize) -> String {
        (0..characters).map(|_| char::from(BASE32[self.random.usize(..BASE32.len())])).collect()
    }

    /// Returns the name of a room, which is the same for every run of one seed.
    pub(super) fn room_name(&self, room: usize) -> String {
        format!("load-{}-{room}", self.run)
    }

    /// Returns the name of a room as a number, for servers whose rooms have numbers.
    pub(super) fn room_number(&self, room: usize) -> u64 {
        let digits = self.run.bytes().fold(0, |number, byte| number * 36 + u64::from(byte % 36));
        1_000_000 + digits % 1_000_000_000 * 1000 + room as u64
    }

    /// Returns whether it is too early for somebody to join, because what they will ask Janus for is not there yet.
    pub(super) fn is_too_early(&self, plan: PersonPlan) -> bool {
        let wanted = self.options.publishers_in_room() * self.tracks.len();
        let live = self.live.get(plan.room).copied().unwrap_or_default() as usize;
        self.options.server_kind == ServerKind::Janus && !plan.publishes && live < wanted
    }

    /// Returns how many slots of a kind somebody who receives needs.
    pub(super) fn wanted_slots(&self, kind: MediaKind) -> usize {
        let shown = self.options.shown.filter(|_| kind == MediaKind::Video).unwrap_or(usize::MAX);
        self.options.tracks_of_others(kind).min(shown)
    }

    /// Returns where in its period a stream begins.
    pub(super) fn phase(&self, stream: u32, period: u64) -> u64 {
        schedule::phase(u64::from(stream), self.options.seed, period)
    }

    /// Returns the time between reports, in nanoseconds.
    pub(super) fn report_interval(&self) -> u64 {
        if self.has_video { VIDEO_REPORT_INTERVAL } else { AUDIO_REPORT_INTERVAL }
    }

    /// Returns the address that somebody comes from; `None` if the system may choose.
    pub(super) fn source_address(&self, person: usize) -> Option<IpAddr> {
        let IpAddr::V4(server) = self.options.address.ip() else { return None };
        if !server.is_loopback() || !cfg!(target_os = "linux") {
            return None;
        }
        // The addresses are 127.1.0.1, 127.1.0.2 and so on, all of which are this machine on Linux.
        let number = (person / PEOPLE_PER_ADDRESS) as u32 + 1;
        Some(Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 0)) + (number & 0xffff)).into())
    }

    /// Asks something of a person's handshake.
    pub(super) fn handshake(&mut self, now: Instant, session: DtlsSession, request: DtlsRequest) {
        let _ = self.handshakes.request(now, session, request, &mut self.dtls_events);
    }
}

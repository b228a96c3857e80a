//! The loop of a run: one thread, one poll. Sockets are read as they become ready, timers run in between, and the run goes
//! through its phases: joining, measuring, draining.

use std::io::{self, IoSliceMut};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use quinn_udp::RecvMeta;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use super::incoming::DatagramTimes;
use super::meters::{Percentiles, Phase, Times};
use super::options::LoadOptions;
use super::person::{Person, Stage};
use super::process::{self, Usage};
use super::sender::{Identity, Sender};
use super::shared::{Shared, StreamInfo, Timer};

const SIGNALS: Token = Token(0);
/// The first token of people. Each has two: signalling and media.
const PEOPLE_FROM: usize = 2;
/// How many ready sockets are taken from the kernel at a time.
const EVENTS: usize = 1024;
/// How many messages are read from one socket at a time.
const BATCH: usize = 4;
/// The size of the largest message, in which the kernel has joined several datagrams.
const MESSAGE_BYTES: usize = 65_535;
/// How many sockets are read before the timers are checked again.
const READS_BETWEEN_TIMERS: usize = 8;
/// How much longer than asked the kernel may sleep. Sleeps are made shorter by this, and the rest of the time is spent
/// polling the clock.
const SLEEP_SLACK_NANOS: u64 = 150_000;
/// How long packets that are under way at the end have to arrive.
const DRAIN_NANOS: u64 = 1_000_000_000;
const SECOND: u64 = 1_000_000_000;
/// How long somebody who came too early waits before they try again.
const LOOK_AGAIN_NANOS: u64 = 10_000_000;

/// A second of the measurement, for the log of latency.
#[derive(Debug)]
pub(super) struct Interval {
    /// When it began, since the beginning of the measurement.
    pub start: Duration,
    /// Latency of packets that were read in it.
    pub latency: Times,
}

/// How many seconds are kept for the report: an hour.
const SECONDS_MAX: usize = 3600;

/// The processor time and memory of both sides, from the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usages {
    /// The server's usage before anybody joined.
    pub server_idle: Option<Usage>,
    /// The server's usage when the measurement began, and when it ended.
    pub server: Option<(Usage, Usage)>,
    /// The usage of this process at the same moments.
    pub own: Option<(Usage, Usage)>,
}

/// How many subscriptions there are, and how many there should be.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Subscriptions {
    /// Those that flowed at the last check.
    pub flowing: usize,
    /// Those that the profile makes necessary.
    pub wanted: usize,
}

/// The state of a run.
pub(super) struct Generator {
    pub people: Vec<Person>,
    pub shared: Shared,
    /// Who receives what, as last counted.
    pub subscriptions: Subscriptions,
    /// The processor time and memory of both sides.
    pub usages: Usages,
    /// The server's process, if it is known.
    pub server_pid: Option<u32>,
    /// The seconds of the measurement, if the log is wanted.
    pub intervals: Vec<Interval>,
    /// The latency of packets that were read in each second, for the report.
    pub seconds: Vec<Percentiles>,
    /// How long this process was idle during the measurement, and how long the measurement was, in nanoseconds.
    pub idle: (u64, u64),
    /// What went wrong, one sentence each.
    pub problems: Vec<String>,
    /// Whether a signal asked for an early end.
    pub interrupted: bool,
    poll: Poll,
    signals: Signals,
    arena: Vec<u8>,
    last_join: u64,
    second_at: u64,
    second_packets: (u64, u64),
}

impl Generator {
    /// Makes all people, and plans when each of them joins.
    pub(super) fn new(options: LoadOptions) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        let server_pid = options.server_pid.or_else(|| process::find_server(options.address));
        let ramp = u64::from(options.ramp.max(1));
        let plans = options.people();
        let mut shared = Shared::new(options)?;
        let mut people = Vec::with_capacity(plans.len());
        let mut last_join = 0;
        for (index, plan) in plans.into_iter().enumerate() {
            let senders = if plan.publishes { senders(&mut shared) } else { Vec::new() };
            people.push(Person::new(index, plan, senders, &mut shared));
            last_join = shared.clock.now() + index as u64 * SECOND / ramp;
            shared.timers.push(last_join, Timer::Join(index));
        }
        Ok(Self {
            people,
            shared,
            subscriptions: Subscriptions::default(),
            usages: Usages { server_idle: server_pid.and_then(process::usage), ..Usages::default() },
            server_pid,
            intervals: Vec::new(),
            seconds: Vec::new(),
            idle: (0, 0),
            problems: Vec::new(),
            interrupted: false,
            poll,
            signals,
            arena: vec![0; MESSAGE_BYTES * BATCH],
            last_join,
            second_at: 0,
            second_packets: (0, 0),
        })
    }

    /// Runs to the end. `progress` gets a line each second.
    pub(super) fn run(&mut self, progress: &mut dyn FnMut(&str)) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        self.second_at = self.shared.clock.now() + SECOND;
        while self.shared.meters.phase != Phase::Over {
            self.pass(&mut events, progress)?;
        }
        for person in &mut self.people {
            person.leave();
        }
        Ok(())
    }

    /// One pass of the loop: sleeps until something is due or ready, and does it.
    fn pass(&mut self, events: &mut Events, progress: &mut dyn FnMut(&str)) -> io::Result<()> {
        let before = self.shared.clock.now();
        let sleep = self.sleep(before);
        match self.poll.poll(events, Some(sleep)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            result => result?,
        }
        let woke = self.shared.clock.now();
        let mut worked = self.run_timers();
        for (count, event) in events.iter().enumerate() {
            worked = true;
            if event.token() == SIGNALS {
                self.on_signal();
            } else if let Some(place) = event.token().0.checked_sub(PEOPLE_FROM) {
                self.on_ready(place);
            }
            if count % READS_BETWEEN_TIMERS == 0 {
                self.run_timers();
            }
        }
        let now = self.shared.clock.now();
        self.run_handshakes(now);
        // This comes before the phase changes, because the last second of the measurement belongs to it.
        if now >= self.second_at {
            self.second_at += SECOND;
            self.on_second(now, progress);
        }
        self.change_phase(now);
        if self.shared.meters.is_measuring() {
            let until = if worked { woke } else { self.shared.clock.now() };
            // A poll that found something at once was work, not waiting.
            self.idle.0 += if worked && sleep.is_zero() { 0 } else { until - before };
            self.idle.1 += self.shared.clock.now() - before;
        }
        Ok(())
    }

    /// Returns how long the loop may sleep. The kernel sleeps in milliseconds and a little longer than asked, so what is
    /// left of the time is spent looking at the clock.
    fn sleep(&self, now: u64) -> Duration {
        if self.shared.options.spin {
            return Duration::ZERO;
        }
        let handshakes = self.shared.handshakes.next_deadline().map(|at| self.shared.clock.at(at));
        let next = [self.shared.timers.next(), handshakes, Some(self.second_at)].into_iter().flatten().min();
        let left = next.unwrap_or(now).saturating_sub(now);
        Duration::from_millis(left.saturating_sub(SLEEP_SLACK_NANOS) / 1_000_000)
    }

    fn on_signal(&mut self) {
        let count = self.signals.pending().count() as u64;
        if count == 0 {
            return;
        }
        let now = self.shared.clock.now();
        let meters = &mut self.shared.meters;
        meters.phase = match meters.phase {
            Phase::Measuring if !self.interrupted => {
                meters.until = now;
                Phase::Measuring
            }
            _ => Phase::Over,
        };
        self.interrupted = true;
    }

    /// Reads a socket that is ready. Places count both sockets of each person.
    fn on_ready(&mut self, place: usize) {
        let (index, is_media) = (place / 2, place % 2 == 1);
        if is_media {
            return self.read_media(index);
        }
        let Self { people, shared, poll, .. } = self;
        let Some(person) = people.get_mut(index) else { return };
        if matches!(person.stage, Stage::Failed(_)) {
            return;
        }
        let media = Token(PEOPLE_FROM + 2 * index + 1);
        if let Err(why) = person.on_signalling(poll.registry(), media, shared) {
            person.stage = Stage::Failed(why);
        }
    }

    fn read_media(&mut self, index: usize) {
        let Self { people, shared, arena, .. } = self;
        let Some(person) = people.get_mut(index) else { return };
        loop {
            let Some(udp) = &person.udp else { return };
            let mut metas = [RecvMeta::default(); BATCH];
            let mut chunks = arena.chunks_exact_mut(MESSAGE_BYTES);
            let mut slices: [IoSliceMut<'_>; BATCH] =
                std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
            // One reading of the clock for a batch: they were all in the socket before it.
            let count = udp.receive(&mut slices, &mut metas);
            let now = shared.clock.now();
            let instant = shared.clock.instant(now);
            for (meta, slice) in metas.iter().zip(slices.iter_mut()).take(count) {
                let in_socket = meta.timestamp.map(|at| shared.clock.of_wall(at).min(now));
                if let (Some(at), true) = (in_socket, shared.meters.is_measuring()) {
                    shared.meters.read_lag.record(now - at);
                }
                let Some(bytes) = slice.get_mut(..meta.len) else { continue };
                for datagram in bytes.chunks_mut(meta.stride.max(1)) {
                    person.on_datagram(DatagramTimes { now, instant, in_socket }, datagram, shared);
                }
            }
            if count < BATCH {
                return;
            }
        }
    }

    /// Runs all timers that are due. Returns whether there was anything to do.
    fn run_timers(&mut self) -> bool {
        let mut worked = false;
        loop {
            let now = self.shared.clock.now();
            let Some(timer) = self.shared.timers.pop(now) else { return worked };
            worked = true;
            let Self { people, shared, poll, .. } = self;
            match timer {
                Timer::Send(person, place) => send(people, shared, person, place, now),
                Timer::Join(index) => {
                    let Some(person) = people.get_mut(index) else { continue };
                    if shared.is_too_early(person.plan) {
                        shared.timers.push(now + LOOK_AGAIN_NANOS, Timer::Join(index));
                        continue;
                    }
                    let token = Token(PEOPLE_FROM + 2 * index);
                    if let Err(why) = person.begin(now, poll.registry(), token, shared) {
                        person.stage = Stage::Failed(why);
                    }
                }
                Timer::Check(index) => {
                    if let Some(person) = people.get_mut(index) {
                        person.check(now, shared);
                    }
                }
                Timer::Again(index) => {
                    if let Some(person) = people.get_mut(index)
                        && let Err(why) = person.ask_again()
                    {
                        person.stage = Stage::Failed(why);
                    }
                }
                Timer::Report(index) => {
                    if let Some(person) = people.get_mut(index) {
                        person.report(now, shared);
                    }
                }
            }
        }
    }

    fn run_handshakes(&mut self, now: u64) {
        let Self { people, shared, .. } = self;
        let instant = shared.clock.instant(now);
        if shared.handshakes.next_deadline().is_some_and(|at| at <= instant) {
            shared.handshakes.run_deadlines(instant, &mut shared.dtls_events);
        }
        while !shared.dtls_events.is_empty() {
            for (session, event) in std::mem::take(&mut shared.dtls_events) {
                let Some(person) = people.get_mut(session.0 as usize) else { continue };
                if let Err(why) = person.on_handshake(shared.clock.now(), event, shared) {
                    person.stage = Stage::Failed(why);
                }
            }
        }
    }

    fn on_second(&mut self, now: u64, progress: &mut dyn FnMut(&str)) {
        self.shared.clock.adjust();
        let line = self.progress_line();
        progress(&line);
        let meters = &mut self.shared.meters;
        self.second_packets = (meters.sent, meters.received);
        if meters.is_measuring() && self.seconds.len() < SECONDS_MAX {
            self.seconds.push(Percentiles::of(&meters.second));
        }
        if self.shared.options.intervals && meters.is_measuring() {
            let start = Duration::from_nanos(now.saturating_sub(SECOND).saturating_sub(meters.from));
            self.intervals.push(Interval { start, latency: meters.second.clone() });
        }
        meters.second.clear();
    }

    fn progress_line(&self) -> String {
        let meters = &self.shared.meters;
        let ready = self.people.iter().filter(|person| person.stage == Stage::Ready).count();
        let failed = self.people.iter().filter(|person| matches!(person.stage, Stage::Failed(_))).count();
        let mut line = match meters.phase {
            Phase::Joining => "joining  ".to_owned(),
            Phase::Measuring => {
                let elapsed = self.shared.clock.now().saturating_sub(meters.from) as f64 / 1e9;
                format!("{elapsed:5.1} s  ")
            }
            Phase::Draining | Phase::Over => "draining ".to_owned(),
        };
        line += &format!("{ready}/{} here", self.people.len());
        if failed > 0 {
            line += &format!(", {failed} failed");
        }
        if meters.phase == Phase::Measuring {
            let (sent, received) = self.second_packets;
            line += &format!(
                "  in {} packets/s  out {} packets/s  p50 {} µs  p99 {} µs",
                meters.received - received,
                meters.sent - sent,
                meters.second.percentile(50.0) / 1000,
                meters.second.percentile(99.0) / 1000,
            );
        }
        line
    }

    fn change_phase(&mut self, now: u64) {
        match self.shared.meters.phase {
            Phase::Joining => {
                if self.everyone_is_settled() {
                    self.begin_measuring(now);
                } else if now > self.last_join + self.shared.options.patience.as_nanos() as u64 {
                    self.give_up_waiting(now);
                }
            }
            Phase::Measuring if now >= self.shared.meters.until => self.end_measuring(now),
            Phase::Draining if now >= self.shared.meters.until + DRAIN_NANOS => {
                self.shared.meters.phase = Phase::Over;
            }
            _ => {}
        }
    }

    /// Returns how many tracks somebody should receive.
    fn wanted_flows(&self, person: &Person) -> usize {
        if person.plan.receives { self.shared.options.received_tracks() } else { 0 }
    }

    fn everyone_is_settled(&self) -> bool {
        // Those who joined last are the most likely not to be ready, so most checks end at once.
        self.people.iter().rev().all(|person| match person.stage {
            // Waiting longer brings no track for which the server allows no slot.
            Stage::Ready => person.flowing() >= self.wanted_flows(person).min(person.slots),
            Stage::Failed(_) => true,
            _ => false,
        })
    }

    fn give_up_waiting(&mut self, now: u64) {
        let late =
            self.people.iter().filter(|person| !matches!(person.stage, Stage::Ready | Stage::Failed(_)));
        let late: Vec<_> = late.map(|person| (person.stage.clone(), person.waiting_for(now))).collect();
        if let Some((stage, waited)) = late.first() {
            let seconds = waited.as_secs();
            self.problems.push(format!(
                "{} of {} had not joined after {seconds} s (the first is {stage:?})",
                late.len(),
                self.people.len()
            ));
        }
        self.begin_measuring(now);
    }

    fn begin_measuring(&mut self, now: u64) {
        let joined = self.people.iter().filter(|person| person.stage == Stage::Ready).count();
        self.note_failures();
        self.note_missing("when the measurement began", None);
        if joined == 0 {
            self.shared.meters.phase = Phase::Over;
            return;
        }
        let meters = &mut self.shared.meters;
        meters.phase = Phase::Measuring;
        meters.from = now;
        meters.until = now + self.shared.options.duration.as_nanos() as u64;
        meters.second.clear();
        self.second_at = now + SECOND;
        for incoming in self.people.iter_mut().flat_map(|person| &mut person.incoming) {
            incoming.begin(now);
        }
        let own = process::usage(std::process::id());
        let server = self.server_pid.and_then(process::usage);
        self.usages.own = own.map(|usage| (usage, usage));
        self.usages.server = server.map(|usage| (usage, usage));
    }

    fn end_measuring(&mut self, now: u64) {
        self.shared.meters.phase = Phase::Draining;
        // A signal may have ended it early.
        self.shared.meters.until = self.shared.meters.until.min(now);
        let own = process::usage(std::process::id());
        let server = self.server_pid.and_then(process::usage);
        self.usages.own = self.usages.own.zip(own).map(|((before, _), after)| (before, after));
        self.usages.server = self.usages.server.zip(server).map(|((before, _), after)| (before, after));
        for incoming in self.people.iter_mut().flat_map(|person| &mut person.incoming) {
            if let Some(frames) = &mut incoming.frames {
                frames.finish(now);
            }
        }
        let before = self.problems.len();
        self.note_failures();
        if self.problems.len() > before {
            self.problems.push("not everyone was there to the end".to_owned());
        }
        self.note_missing("at the end", Some(self.shared.meters.until));
    }

    /// Counts subscriptions, and notes it as a problem if some are missing. One counts if it flows at `at`, or, with
    /// `None`, if it has brought anything.
    fn note_missing(&mut self, when: &str, at: Option<u64>) {
        let wanted: usize = self.people.iter().map(|person| self.wanted_flows(person)).sum();
        let of_person = |person: &Person| {
            let flowing = at.map_or_else(|| person.flowing(), |at| person.flowing_at(at, &self.shared));
            flowing.min(self.wanted_flows(person))
        };
        let flowing: usize = self.people.iter().map(of_person).sum();
        self.subscriptions = Subscriptions { flowing, wanted };
        if flowing == wanted {
            return;
        }
        let missing = wanted - flowing;
        let denied: usize = self.people.iter().map(|person| person.denied_slots).sum();
        let reason = match denied {
            0 => String::new(),
            _ => format!(
                "; for {denied} the server allows no slot, which media.max_audio_slots and media.max_video_slots change"
            ),
        };
        self.problems.push(format!("{missing} of {wanted} subscriptions were missing {when}{reason}"));
    }

    fn note_failures(&mut self) {
        let reasons: Vec<&str> = self
            .people
            .iter()
            .filter_map(|person| match &person.stage {
                Stage::Failed(why) => Some(why.as_str()),
                _ => None,
            })
            .collect();
        if let Some(first) = reasons.first() {
            let problem = format!("{} of {} failed; the first: {first}", reasons.len(), self.people.len());
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
    }
}

/// Sends the packets for one point of a stream's schedule, and sets the timer for the next point.
fn send(people: &mut [Person], shared: &mut Shared, person: usize, place: usize, now: u64) {
    if matches!(shared.meters.phase, Phase::Draining | Phase::Over) {
        return;
    }
    let Some(person_of) = people.get_mut(person) else { return };
    let Person { senders, sealer: Some(sealer), udp: Some(udp), transport_sequence, .. } = person_of else {
        return;
    };
    let Some(sender) = senders.get_mut(place) else { return };
    let Some(schedule) = &mut sender.schedule else { return };
    let due = schedule.take(now);
    let next = schedule.next();
    if let Some(due) = due {
        if shared.meters.is_measuring() {
            shared.meters.tick_lag.record(due.late.max(1));
            shared.meters.skipped += due.skipped;
        }
        let clock = shared.clock.clone();
        let sequence = transport_sequence.as_mut();
        let read = || clock.now();
        let sent = sender.send(read, sequence, sealer, udp, &mut shared.buffer, &mut shared.meters);
        if let Some(stream) = shared.streams.get_mut(sender.stream as usize) {
            stream.sent += sent;
        }
    }
    shared.timers.push(next, Timer::Send(person, place));
}

/// Makes the streams of one publisher, and numbers them.
fn senders(shared: &mut Shared) -> Vec<Sender> {
    let mut senders = Vec::new();
    for track in shared.tracks.clone() {
        let chosen = track.encodings.len() > 1 || shared.options.shown.is_some();
        for encoding in &track.encodings {
            let identity = Identity {
                stream: shared.streams.len() as u32,
                ssrc: shared.random.u32(1..),
                sequence: shared.random.u16(..0x8000),
                timestamp: shared.random.u32(..),
            };
            shared.streams.push(StreamInfo { interval: track.interval, chosen, sent: 0 });
            senders.push(Sender::new(identity, &track, *encoding));
        }
    }
    senders
}

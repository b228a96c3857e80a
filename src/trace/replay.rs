//! Replay: feeds a trace to a fresh room. It has no socket, because packets encrypted with a replay's keys must never
//! be sent: the same nonce could encrypt other bytes.
//!
//! Every output is compared with the recorded one, and with the running digest; the first difference ends the replay.
//! An [`Observer`] can watch the replay.

use std::time::{Duration, Instant};

use super::format::{BlockKind, TIME_MAX};
use super::reader::{BadTrace, Ending, Trace, records};
use super::words;
use crate::core::outbox::{Outbox, RoomOutput};
use crate::core::path::{Path, TrafficClass};
use crate::core::record::{PathIndex, Record, RecordedInput, SentDatagram, sent_hash};
use crate::core::recorder::Recorder;
use crate::core::room::{Room, RoomInput};
use crate::core::timers::Timer;
use crate::wire::classify::classify;

/// One step of a replayed room, after it was done.
#[derive(Debug)]
pub struct Step<'a> {
    /// Its number, from 1.
    pub number: u64,
    /// When it was taken, since the room was made.
    pub at: Duration,
    /// The input that the core was given.
    pub input: &'a RecordedInput<'a>,
    /// The path by which a datagram came; `None` for other inputs.
    pub path: Option<Path>,
    /// The outputs of the step, except datagrams.
    pub outputs: &'a [RoomOutput],
    /// The room after it.
    pub room: &'a Room,
    /// The time after it, for [`Room::snapshot`].
    pub now: Instant,
    /// When the room wants to be called next, since it was made.
    pub deadline: Option<Duration>,
    /// What the deadline is for.
    pub timer: Option<Timer>,
    outbox: &'a Outbox,
}

impl<'a> Step<'a> {
    /// Returns the datagrams that the step sent, in order.
    pub fn transmits(&self) -> impl Iterator<Item = (Path, TrafficClass, &'a [u8])> + use<'a> {
        self.outbox.datagrams.from(0)
    }
}

/// Watches a room being replayed.
pub trait Observer {
    /// Takes a step that was done.
    fn on_step(&mut self, step: &Step<'_>);
}

/// Where a replay did something else than was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parted {
    /// The number of the step, from 1.
    pub step: u64,
    /// When it was taken, since the room was made.
    pub at: Duration,
    /// The input of the step, in words.
    pub input: String,
    /// The first output of the step that differs, from 1.
    pub output: usize,
    /// The recorded output, in words; `None` if there was no other.
    pub recorded: Option<String>,
    /// The replay's output, in words; `None` if there was no other.
    pub replayed: Option<String>,
}

/// The result of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Inputs that the room took.
    pub inputs: u64,
    /// Outputs that were compared.
    pub outputs: u64,
    /// From the room's beginning to the last step.
    pub call_time: Duration,
    /// How the trace ends; `None` if the replay was stopped before.
    pub ending: Option<Ending>,
    /// Where the outputs first differ from the recorded ones; `None` if nowhere.
    pub parted: Option<Parted>,
}

/// Replays a trace up to `until` (since the room was made). `epoch` may be any point of the monotonic clock; nothing
/// depends on it.
///
/// # Errors
/// [`BadTrace`] if the trace is stripped, or contains what no recorder writes.
pub fn replay(
    trace: &mut Trace<'_>,
    epoch: Instant,
    until: Option<Duration>,
    observers: &mut [&mut dyn Observer],
) -> Result<Replayed, BadTrace> {
    let header = trace.header();
    if header.is_stripped() {
        return Err(BadTrace::Stripped);
    }
    let times = [
        header.room.created,
        header.room.epoch_unix,
        header.room.empty_timeout,
        header.room.resume_timeout,
        header.room.media_timeout,
    ];
    // Checked, so that sums of a few times cannot overflow, whatever a forged trace says.
    let made = epoch.checked_add(header.room.created).filter(|_| times.iter().all(|time| *time < TIME_MAX));
    let Some(made) = made else { return Err(BadTrace::NoHeader) };
    let settings = header.room.settings(epoch);
    let room = Room::new(made, header.room.room.clone(), header.room.tag.clone(), settings.into());
    let mut replayer = Replayer {
        room,
        made,
        at: Duration::ZERO,
        outbox: Outbox::default(),
        recorder: Recorder::new(made),
        paths: Vec::new(),
        step: 0,
        compared: 0,
        awaits_digest: false,
        came_by: None,
        scratch: Vec::new(),
        result: Replayed { inputs: 0, outputs: 0, call_time: Duration::ZERO, ending: None, parted: None },
    };
    while let Some((kind, block)) = trace.next_block() {
        if kind != BlockKind::Records {
            continue;
        }
        // The input of the present step, for a message if its outputs differ.
        let mut begun = None;
        for record in records(&block) {
            let step = replayer.step;
            let record = record.ok_or(BadTrace::BadRecord { step })?;
            let goes_on = replayer.take(&record, until, observers).ok_or(BadTrace::BadRecord { step })?;
            if !goes_on {
                return Ok(replayer.parted_at(begun.as_ref()));
            }
            if let Record::Step { input, .. } = record {
                begun = Some(input);
            }
        }
        // A block holds whole steps.
        if !replayer.end_step() {
            return Ok(replayer.parted_at(begun.as_ref()));
        }
    }
    replayer.result.ending = trace.ending().cloned();
    Ok(replayer.result)
}

struct Replayer {
    room: Room,
    made: Instant,
    at: Duration,
    outbox: Outbox,
    /// Records what this room does, for the digest.
    recorder: Recorder,
    paths: Vec<Path>,
    step: u64,
    /// How many outputs of this step were compared.
    compared: usize,
    /// Whether this step has outputs that no digest has confirmed yet.
    awaits_digest: bool,
    /// The path by which this step's datagram came.
    came_by: Option<Path>,
    scratch: Vec<u8>,
    result: Replayed,
}

impl Replayer {
    /// Takes one record. Returns whether to go on; `None` if the record is invalid here.
    fn take(
        &mut self,
        record: &Record<'_>,
        until: Option<Duration>,
        observers: &mut [&mut dyn Observer],
    ) -> Option<bool> {
        match record {
            Record::Path(path) => self.paths.push(*path),
            Record::ForgetPaths => self.paths.clear(),
            Record::Step { after, input } => {
                if !self.end_step() {
                    return Some(false);
                }
                let at = self.at.checked_add(Duration::from_nanos(*after)).filter(|at| *at < TIME_MAX)?;
                if until.is_some_and(|until| at > until) {
                    return Some(false);
                }
                self.at = at;
                self.step(input, observers)?;
            }
            Record::Output(recorded) => {
                let ours = self.outbox.outputs.get(self.compared);
                if ours != Some(&**recorded) {
                    let ours = ours.map(words::output);
                    self.part(Some(words::output(recorded)), ours);
                    return Some(false);
                }
                self.compared += 1;
            }
            Record::Sent(recorded) => {
                let path = self.path(recorded.path)?;
                let ours = self.next_transmit();
                if !ours.is_some_and(|ours| is_same(ours, recorded, path)) {
                    let ours = ours.map(|(path, class, bytes)| words::sent(path, class, bytes, bytes.len()));
                    let length = usize::from(recorded.length);
                    self.part(Some(words::sent(path, recorded.class, recorded.head.0, length)), ours);
                    return Some(false);
                }
                self.compared += 1;
            }
            // The digest covers all outputs since the beginning, so it also checks those that are recorded only in
            // part.
            Record::Digest(digest) => {
                if self.compared < self.outputs_of_step() || *digest != self.recorder.digest() {
                    let ours = self.next_output();
                    self.part(None, ours);
                    return Some(false);
                }
                self.awaits_digest = false;
            }
        }
        Some(true)
    }

    fn step(&mut self, input: &RecordedInput<'_>, observers: &mut [&mut dyn Observer]) -> Option<()> {
        self.step += 1;
        self.compared = 0;
        self.outbox.clear();
        let now = self.made.checked_add(self.at)?;
        let mut path = None;
        let mut scratch = std::mem::take(&mut self.scratch);
        let room_input = match input {
            RecordedInput::Datagram { on, path: index, bytes } => {
                scratch.clear();
                scratch.extend_from_slice(bytes.0);
                let way = self.path(*index)?;
                path = Some(way);
                let kind = classify(&scratch);
                RoomInput::Datagram { on: *on, kind, path: way, bytes: &mut scratch }
            }
            RecordedInput::Join(request, admission, join) => RoomInput::Join(
                request.clone().into_owned(),
                admission.clone().into_owned(),
                join.clone().into_owned(),
            ),
            RecordedInput::Resume(request, resume) => {
                RoomInput::Resume(request.clone().into_owned(), resume.clone().into_owned())
            }
            RecordedInput::Command(from, request, command) => {
                RoomInput::Command(*from, request.clone().into_owned(), command.clone().into_owned())
            }
            RecordedInput::ConnectionLost(from) => RoomInput::ConnectionLost(*from),
            RecordedInput::Dtls(on, event) => RoomInput::Dtls(*on, event.clone().into_owned()),
            RecordedInput::Remove(id) => RoomInput::Remove(*id),
            RecordedInput::Operate(moderation) => RoomInput::Operate(moderation.clone().into_owned()),
            RecordedInput::StopWaiting(id) => RoomInput::StopWaiting(*id),
            RecordedInput::Close(reason) => RoomInput::Close(*reason),
            RecordedInput::MakeWay(key) => RoomInput::MakeWay(*key),
            RecordedInput::KeepOut(bans) => RoomInput::KeepOut(bans.clone().into_owned()),
            RecordedInput::Timeout | RecordedInput::Share => RoomInput::Timeout,
            RecordedInput::Shed(shedding) => RoomInput::Shed(*shedding),
            RecordedInput::StoodStill(time) => RoomInput::StoodStill(*time),
        };
        // These must be the same calls in the same order as in the `Sfu`. Asking for the next deadline is one of them,
        // because it changes the room's timers.
        if matches!(input, RecordedInput::Share) {
            self.recorder.note_share(now);
            let room = &mut self.room;
            self.outbox.with_sink(|outbox, sink| room.forward_share(now, outbox, sink));
        } else {
            self.recorder.note_input(now, &room_input);
            self.room.handle(now, room_input, &mut self.outbox);
            self.result.inputs += 1;
        }
        let deadline = self.room.deadline();
        let timer = deadline.map(|deadline| deadline.timer);
        let deadline = deadline.map(|deadline| deadline.at.saturating_duration_since(self.made));
        self.recorder.note_outputs(&self.outbox, 0);
        self.recorder.take();
        self.scratch = scratch;
        self.result.call_time = self.at;
        self.awaits_digest = self.outputs_of_step() > 0;
        self.came_by = path;
        let (number, at) = (self.step, self.at);
        let Self { room, outbox, .. } = self;
        let outputs = &outbox.outputs;
        let step = Step { number, at, input, path, outputs, room, now, deadline, timer, outbox };
        for observer in observers {
            observer.on_step(&step);
        }
        Some(())
    }

    /// Ends a step, of which the trace has no more outputs. Returns whether the replay has none either.
    fn end_step(&mut self) -> bool {
        if self.awaits_digest {
            let ours = self.next_output();
            self.part(None, ours);
            return false;
        }
        self.result.outputs += self.compared as u64;
        self.compared = 0;
        true
    }

    fn outputs_of_step(&self) -> usize {
        self.outbox.outputs.len() + self.outbox.transmits()
    }

    fn next_transmit(&self) -> Option<(Path, TrafficClass, &[u8])> {
        let index = self.compared.checked_sub(self.outbox.outputs.len())?;
        self.outbox.datagrams.from(index).next()
    }

    /// Returns the next output of the replay that was not compared yet, in words. Datagrams come last.
    fn next_output(&self) -> Option<String> {
        match self.outbox.outputs.get(self.compared) {
            Some(output) => Some(words::output(output)),
            None => {
                self.next_transmit().map(|(path, class, bytes)| words::sent(path, class, bytes, bytes.len()))
            }
        }
    }

    fn path(&self, index: PathIndex) -> Option<Path> {
        self.paths.get(index.0 as usize).copied()
    }

    /// Returns the result, with the input of the step that differs in words.
    fn parted_at(mut self, begun: Option<&RecordedInput<'_>>) -> Replayed {
        if let (Some(parted), Some(input)) = (&mut self.result.parted, begun) {
            parted.input = words::input(input, self.came_by);
        }
        self.result
    }

    fn part(&mut self, recorded: Option<String>, replayed: Option<String>) {
        self.result.outputs += self.compared as u64;
        self.result.parted = Some(Parted {
            step: self.step,
            at: self.at,
            input: String::new(),
            output: self.compared + 1,
            recorded,
            replayed,
        });
    }
}

fn is_same(ours: (Path, TrafficClass, &[u8]), recorded: &SentDatagram<'_>, path: Path) -> bool {
    let (own_path, class, bytes) = ours;
    own_path == path
        && class == recorded.class
        && bytes.len() == usize::from(recorded.length)
        && sent_hash(bytes) as u32 == recorded.hash
}

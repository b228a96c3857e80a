//! Which rooms are being recorded, and whether the thread that writes the traces (`files`) keeps up.
//!
//! When that thread cannot keep up, or a trace is full, the trace ends early and says so. The call goes on undisturbed.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::files::{TraceCaps, TraceFiles, TraceFilesConfig};
use crate::core::Input;
use crate::core::Sfu;
use crate::core::ids::RecordingId;
use crate::core::ids::RoomId;
use crate::core::input::AdminCommand;
use crate::core::recordings::RecordingOutput;
use crate::core::room_pattern::RoomPattern;
use crate::trace::calendar::DateTime;
use crate::trace::{EndOfTrace, Recipient};

/// How often recorders hand out what they have. A crash can lose no more than this.
const HAND_OUT: Duration = Duration::from_secs(1);
/// How long a stopping server waits for the disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is recorded, and where it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordConfig {
    /// The directory in which traces are kept. It is made if it does not exist.
    pub directory: PathBuf,
    /// The rooms that are recorded without a request.
    pub rooms: Vec<RoomPattern>,
    /// The key to which traces are encrypted; `None` leaves them unencrypted.
    pub recipient: Option<Recipient>,
    /// Size of the largest trace, bytes. One piece more may be written.
    pub trace_bytes_max: u64,
    /// Size of all traces in the directory together, bytes.
    pub total_bytes_max: u64,
    /// How much may wait for the disk before traces end early, bytes.
    pub queue_bytes_max: usize,
}

/// One trace that is being written.
#[derive(Debug)]
pub struct ActiveTrace {
    /// The room that is recorded.
    pub room: RoomId,
    /// The file's name, without the directory.
    pub file: String,
    /// When the recording began, since 1970.
    pub started_unix: Duration,
    /// Why it ends early, once it does.
    ending: Option<String>,
}

/// Figures about the traces, for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceFigures {
    /// Rooms that are being recorded.
    pub active: usize,
    /// Traces that ended with their room, since the start.
    pub ended_whole: u64,
    /// Traces that ended before, since the start.
    pub ended_early: u64,
    /// What waits to be written, bytes.
    pub queued_bytes: usize,
    /// What was written since the start, bytes.
    pub written_bytes: usize,
}

/// Everything that has to do with traces.
#[derive(Default)]
pub struct TraceKeeper {
    files: Option<TraceFiles>,
    queue_bytes_max: usize,
    is_encrypted: bool,
    active: BTreeMap<RecordingId, ActiveTrace>,
    /// When recorders next hand out what they have; `None` while nothing is recorded.
    hand_out_at: Option<Instant>,
    ended_whole: u64,
    ended_early: u64,
}

impl TraceKeeper {
    /// Starts the thread, if traces are wanted.
    pub fn new(config: Option<&RecordConfig>) -> io::Result<Self> {
        let Some(config) = config else { return Ok(Self::default()) };
        let files = TraceFiles::start(TraceFilesConfig {
            directory: config.directory.clone(),
            recipient: config.recipient.clone(),
            caps: TraceCaps { one: config.trace_bytes_max, all: config.total_bytes_max },
        })?;
        Ok(Self {
            files: Some(files),
            queue_bytes_max: config.queue_bytes_max,
            is_encrypted: config.recipient.is_some(),
            ..Self::default()
        })
    }

    /// Returns when recorders next hand out what they have.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.hand_out_at
    }

    /// Writes everything that was handed over, because the server stops.
    pub fn finish(&mut self) {
        if let Some(files) = &mut self.files {
            files.finish(PATIENCE);
        }
    }

    /// Carries what was recorded to the thread that keeps it. Called by `EventLoop::pass` at its end.
    pub fn collect(&mut self, now: Instant, sfu: &mut Sfu) {
        if self.hand_out_at.is_some_and(|at| at <= now) {
            sfu.hand_out_records();
            self.hand_out_at = None;
        }
        while let Some(id) = self.given_up() {
            stop(now, sfu, id);
        }
        while let Some(output) = sfu.poll_recording() {
            if let Some(id) = self.keep(output) {
                stop(now, sfu, id);
            }
        }
        if self.hand_out_at.is_none() && !self.active.is_empty() {
            self.hand_out_at = Some(now + HAND_OUT);
        }
    }

    /// Ends the recordings of a room on the operator's request. The trace keeps everything up to here. Returns the
    /// recordings that the core has to stop.
    pub fn end_recordings_of(&mut self, now: Instant, room: &RoomId, sfu: &mut Sfu) -> Vec<RecordingId> {
        sfu.hand_out_records();
        self.collect(now, sfu);
        let mut ids = Vec::new();
        for (id, active) in &mut self.active {
            if active.room == *room && active.ending.is_none() {
                active.ending = Some("the operator stopped the recording".to_owned());
                ids.push(*id);
            }
        }
        ids
    }

    /// Takes one part of a recording from the core. Returns a recording that has to be stopped, if there is one.
    fn keep(&mut self, output: RecordingOutput) -> Option<RecordingId> {
        let files = self.files.as_ref()?;
        match output {
            RecordingOutput::Begin(id, header) => {
                let started_unix = header.epoch_unix + header.created;
                let suffix = if self.is_encrypted { "trace.age" } else { "trace" };
                let file = format!("{}-{}-{}.{suffix}", header.room, utc(started_unix), id.0);
                info!(room = %header.room, file, "recording");
                let active = ActiveTrace { room: header.room.clone(), file, started_unix, ending: None };
                files.begin(id, active.file.clone(), header);
                self.active.insert(id, active);
                None
            }
            RecordingOutput::Records(id, records) => {
                let active = self.active.get_mut(&id)?;
                // The core has been told to stop but may have handed out more before.
                if active.ending.is_some() {
                    return None;
                }
                if files.queued() + records.len() > self.queue_bytes_max {
                    let why = format!(
                        "the disk is slower than the call: {} bytes waited, more than record.max_queue_bytes allows",
                        files.queued()
                    );
                    warn!(file = active.file, why, "a trace ends early; the call goes on");
                    active.ending = Some(why);
                    return Some(id);
                }
                files.records(id, records);
                None
            }
            RecordingOutput::End(id) => {
                let active = self.active.remove(&id)?;
                let end = match active.ending {
                    Some(reason) => {
                        self.ended_early += 1;
                        EndOfTrace { complete: false, reason }
                    }
                    None => {
                        self.ended_whole += 1;
                        EndOfTrace { complete: true, reason: "the room ended".to_owned() }
                    }
                };
                files.end(id, end);
                None
            }
        }
    }

    /// Returns a recording that the thread has given up, so that it is stopped.
    fn given_up(&mut self) -> Option<RecordingId> {
        let given_up = self.files.as_ref()?.given_up()?;
        if let Some(active) = self.active.get_mut(&given_up.id) {
            // The first reason counts, because the trace gives that one.
            active.ending.get_or_insert(given_up.why);
        }
        Some(given_up.id)
    }

    /// Lists the traces that are being written and will go on.
    pub fn active(&self) -> impl Iterator<Item = &ActiveTrace> {
        self.active.values().filter(|active| active.ending.is_none())
    }

    /// Returns whether traces are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// Returns the figures for an operator.
    pub fn figures(&self) -> TraceFigures {
        TraceFigures {
            active: self.active.len(),
            ended_whole: self.ended_whole,
            ended_early: self.ended_early,
            queued_bytes: self.files.as_ref().map_or(0, TraceFiles::queued),
            written_bytes: self.files.as_ref().map_or(0, TraceFiles::written),
        }
    }
}

/// Ends a recording in the core, which answers with the recording's last output, to be polled like every other.
fn stop(now: Instant, sfu: &mut Sfu, id: RecordingId) {
    sfu.handle_input(now, Input::Admin(AdminCommand::StopRecording(id)));
}

/// Shows a time since 1970 as ISO 8601, without the characters that file names do not like: `20260102T030405Z`.
fn utc(since_1970: Duration) -> String {
    let DateTime { year, month, day, hour, minute, second } = DateTime::of(since_1970);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::traces::files::tests::{Disk, PATIENCE, files, header, read};
    use crate::trace::reader::Ending;

    #[test]
    fn a_disk_that_stands_still_costs_the_trace_once_so_much_waits_for_it_and_the_trace_says_so() {
        let disk = Disk::default();
        let mut keeper = TraceKeeper {
            files: Some(files(&disk, u64::MAX)),
            queue_bytes_max: 10_000,
            ..TraceKeeper::default()
        };
        let id = RecordingId(1);
        let held = disk.held.lock().expect("nobody panicked");
        assert_eq!(keeper.keep(RecordingOutput::Begin(id, header())), None);
        for _ in 0..10 {
            assert_eq!(keeper.keep(RecordingOutput::Records(id, vec![7; 1000])), None, "so much may wait");
        }
        assert_eq!(
            keeper.keep(RecordingOutput::Records(id, vec![7; 1000])),
            Some(id),
            "it has to be stopped"
        );
        // Whatever comes until it is stopped is dropped without telling again.
        assert_eq!(keeper.keep(RecordingOutput::Records(id, vec![7; 1000])), None);
        assert_eq!(keeper.keep(RecordingOutput::End(id)), None);
        let files = keeper.files.as_mut().expect("it was started");
        assert_eq!(files.queued(), 10_000, "never more than the bound");
        drop(held);
        files.finish(PATIENCE);
        let (blocks, ending) = read(&disk);
        let Some(Ending::Said(end)) = ending else { panic!("{ending:?}") };
        assert!(!end.complete && end.reason.contains("record.max_queue_bytes"), "{end:?}");
        assert_eq!((blocks, keeper.ended_early, keeper.ended_whole), (10, 1, 0), "all that waited is there");
    }

    #[test]
    fn file_names_carry_a_time_that_people_can_read() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_800_000_000, "20270115T080000Z"),
            (4_107_542_399, "21000228T235959Z"),
        ] {
            assert_eq!(utc(Duration::from_secs(seconds)), text);
        }
    }
}

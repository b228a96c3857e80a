//! Recording rooms: takes from the core what its recorders wrote, and hands it to the thread that keeps it.
//!
//! When that thread cannot keep up, or a trace is full, the trace ends early and says so. The call notices nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tracing::{info, warn};

use super::event_loop::EventLoop;
use super::http::Response;
use super::metrics_page::{Page, Value as Figure};
use super::trace_files::{TraceFiles, TraceFilesConfig};
use crate::core::Input;
use crate::core::ids::{RecordingId, RoomId};
use crate::core::input::AdminCommand;
use crate::core::recordings::RecordingOutput;
use crate::core::room_pattern::RoomPattern;
use crate::trace::{EndOfTrace, Recipient};

/// How often recorders hand out what they have: what a crash can cost at most.
const HAND_OUT: Duration = Duration::from_secs(1);
/// How long the end of the server waits for the disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is recorded, and where it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordConfig {
    /// Where traces are kept; made if it does not exist.
    pub directory: PathBuf,
    /// Which rooms are recorded without asking.
    pub rooms: Vec<RoomPattern>,
    /// To whom traces are encrypted; `None`: they are not.
    pub recipient: Option<Recipient>,
    /// Largest trace, bytes. One piece more may be written.
    pub trace_bytes_max: u64,
    /// What may wait for the disk before traces end early, bytes.
    pub queue_bytes_max: usize,
}

/// One trace that is being written.
#[derive(Debug)]
struct Active {
    room: RoomId,
    file: String,
    started_unix: Duration,
    /// Why it ends early, once it does.
    ending: Option<String>,
}

/// All that has to do with traces.
#[derive(Default)]
pub struct TraceKeeper {
    files: Option<TraceFiles>,
    queue_bytes_max: usize,
    is_encrypted: bool,
    active: BTreeMap<RecordingId, Active>,
    hand_out_at: Option<Instant>,
    ended_whole: u64,
    ended_early: u64,
}

impl TraceKeeper {
    /// Starts the thread if traces are wanted.
    pub fn new(config: Option<&RecordConfig>) -> io::Result<Self> {
        let Some(config) = config else { return Ok(Self::default()) };
        let files = TraceFiles::start(TraceFilesConfig {
            directory: config.directory.clone(),
            recipient: config.recipient.clone(),
            trace_bytes_max: config.trace_bytes_max,
        })?;
        Ok(Self {
            files: Some(files),
            queue_bytes_max: config.queue_bytes_max,
            is_encrypted: config.recipient.is_some(),
            ..Self::default()
        })
    }

    /// When recorders are asked next for what they have.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.hand_out_at
    }

    /// The end of the server: what was handed over is written.
    pub fn finish(&mut self) {
        if let Some(files) = &mut self.files {
            files.finish(PATIENCE);
        }
    }

    /// Takes one thing from the core. A recording that has to be stopped.
    fn keep(&mut self, output: RecordingOutput) -> Option<RecordingId> {
        let files = self.files.as_ref()?;
        match output {
            RecordingOutput::Begin(id, header) => {
                let started_unix = header.epoch_unix + header.created;
                let suffix = if self.is_encrypted { "trace.age" } else { "trace" };
                let file = format!("{}-{}-{}.{suffix}", header.room, utc(started_unix), id.0);
                info!(room = %header.room, file, "recording");
                let active = Active { room: header.room.clone(), file, started_unix, ending: None };
                files.begin(id, active.file.clone(), header);
                self.active.insert(id, active);
                None
            }
            RecordingOutput::Records(id, records) => {
                let active = self.active.get_mut(&id)?;
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

    /// A recording that the thread has given up, and that has to be stopped.
    fn given_up(&mut self) -> Option<RecordingId> {
        let given_up = self.files.as_ref()?.given_up()?;
        if let Some(active) = self.active.get_mut(&given_up.id) {
            active.ending.get_or_insert(given_up.why);
        }
        Some(given_up.id)
    }

    /// Figures for Prometheus.
    pub fn add_metrics(&self, page: &mut Page) {
        let active = Figure::Gauge(self.active.len() as f64);
        page.one("strait_recordings", None, "Rooms that are being recorded", active);
        let ended = [("complete", self.ended_whole), ("early", self.ended_early)];
        page.add("strait_recordings_ended", None, "Traces that ended", super::metrics::counted("how", ended));
        let written = self.files.as_ref().map_or(0, TraceFiles::written) as u64;
        let unit = Some(prometheus_client::registry::Unit::Bytes);
        page.one("strait_recording_written", unit, "Written to traces", Figure::Counter(written));
    }
}

impl EventLoop {
    /// Carries what was recorded to the thread that keeps it.
    pub(super) fn keep_records(&mut self, now: Instant) {
        if self.traces.hand_out_at.is_some_and(|at| at <= now) {
            self.sfu.hand_out_records();
            self.traces.hand_out_at = None;
        }
        while let Some(id) = self.traces.given_up() {
            self.sfu.handle_input(now, Input::Admin(AdminCommand::StopRecording(id)));
        }
        while let Some(output) = self.sfu.poll_recording() {
            if let Some(id) = self.traces.keep(output) {
                self.sfu.handle_input(now, Input::Admin(AdminCommand::StopRecording(id)));
            }
        }
        if self.traces.hand_out_at.is_none() && !self.traces.active.is_empty() {
            self.traces.hand_out_at = Some(now + HAND_OUT);
        }
    }

    /// `GET /admin/v1/recordings`.
    pub(super) fn recordings(&self) -> Response {
        let recordings = self.traces.active.values().filter(|active| active.ending.is_none()).map(|active| {
            json!({
                "room": active.room.as_str(),
                "file": active.file,
                "startedUnix": active.started_unix.as_secs(),
            })
        });
        let config = self.config.record.as_ref();
        let value = json!({
            "directory": config.map(|config| config.directory.display().to_string()),
            "rooms": config.map(|config| config.rooms.iter().map(RoomPattern::as_str).collect::<Vec<_>>()),
            "encrypted": self.traces.is_encrypted,
            "recordings": recordings.collect::<Value>(),
            "next": self.sfu.rooms_to_record().map(RoomId::as_str).collect::<Vec<_>>(),
            "queuedBytes": self.traces.files.as_ref().map_or(0, TraceFiles::queued),
        });
        Response::json(200, &value)
    }

    /// `PUT /admin/v1/recordings/{room}`: the next room of that name is recorded.
    pub(super) fn record_next(&mut self, now: Instant, room: RoomId) -> Response {
        if self.config.record.is_none() {
            return Response::problem(
                409,
                "the server has no place for traces",
                "start it with --record DIR, or set record.dir in the configuration",
            );
        }
        if self.sfu.room_snapshot(now, &room).is_some() {
            return Response::problem(
                409,
                "the room has begun, and a trace is of use only from a room's first moment on",
                "ask before anybody joins, or close the room with DELETE /admin/v1/rooms/{room} first",
            );
        }
        info!(%room, "the operator asks for a recording of the next room of this name");
        self.feed(now, Input::Admin(AdminCommand::RecordNext(room)));
        Response::empty(204)
    }

    /// `DELETE /admin/v1/recordings/{room}`: its recording ends here, or does not begin.
    pub(super) fn stop_recording(&mut self, now: Instant, room: &RoomId) -> Response {
        // What was recorded up to here belongs into the trace.
        self.sfu.hand_out_records();
        self.keep_records(now);
        let mut found = self.sfu.rooms_to_record().any(|other| other == room);
        let mut ids = Vec::new();
        for (id, active) in &mut self.traces.active {
            if active.room == *room && active.ending.is_none() {
                active.ending = Some("the operator stopped the recording".to_owned());
                ids.push(*id);
            }
        }
        found |= !ids.is_empty();
        if !found {
            return Response::problem(
                404,
                "no room of this name is recorded, or waits for it",
                "GET /admin/v1/recordings lists them",
            );
        }
        info!(%room, "the operator stops a recording");
        for id in ids {
            self.feed(now, Input::Admin(AdminCommand::StopRecording(id)));
        }
        self.feed(now, Input::Admin(AdminCommand::RecordNextNot(room.clone())));
        Response::empty(204)
    }
}

/// A time since 1970 as ISO 8601 without what file names do not like: `20260102T030405Z`.
fn utc(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's days-to-civil, for years from 1970 on: years begin in March, eras have 400 of them.
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year_of_era + carry;
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::trace_files::tests::{Disk, PATIENCE, files, header, read};
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
        // What comes until it is: nothing more is kept, and nobody is told again.
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

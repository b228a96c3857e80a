//! What is recorded at present, and whether the thread that writes it keeps up (`files`).
//!
//! When that thread cannot keep up, or a trace is full, the trace ends early and says so. The call notices nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::files::{TraceFiles, TraceFilesConfig};
use crate::core::ids::RecordingId;
use crate::core::ids::RoomId;
use crate::core::recordings::RecordingOutput;
use crate::core::room_pattern::RoomPattern;
use crate::net::operator::metrics_page::{Page, Unit, Value, counted};
use crate::trace::{EndOfTrace, Recipient};

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
pub(super) struct Active {
    pub(super) room: RoomId,
    pub(super) file: String,
    pub(super) started_unix: Duration,
    /// Why it ends early, once it does.
    pub(super) ending: Option<String>,
}

/// All that has to do with traces.
#[derive(Default)]
pub struct TraceKeeper {
    pub(super) files: Option<TraceFiles>,
    queue_bytes_max: usize,
    pub(super) is_encrypted: bool,
    pub(super) active: BTreeMap<RecordingId, Active>,
    pub(super) hand_out_at: Option<Instant>,
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
    pub(super) fn keep(&mut self, output: RecordingOutput) -> Option<RecordingId> {
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
    pub(super) fn given_up(&mut self) -> Option<RecordingId> {
        let given_up = self.files.as_ref()?.given_up()?;
        if let Some(active) = self.active.get_mut(&given_up.id) {
            active.ending.get_or_insert(given_up.why);
        }
        Some(given_up.id)
    }

    /// Figures for Prometheus.
    pub fn add_metrics(&self, page: &mut Page) {
        let active = Value::Gauge(self.active.len() as f64);
        page.one("strait_recordings", None, "Rooms that are being recorded", active);
        let ended = [("complete", self.ended_whole), ("early", self.ended_early)];
        page.add("strait_recordings_ended", None, "Traces that ended", counted("how", ended));
        let written = self.files.as_ref().map_or(0, TraceFiles::written) as u64;
        let unit = Some(Unit::Bytes);
        page.one("strait_recording_written", unit, "Written to traces", Value::Counter(written));
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

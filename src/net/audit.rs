//! Audit log: who did what to the server and to the people on it, one JSON object a line, in a file of its own that only the
//! server's user can read. It holds no secrets: neither tokens nor what was said.
//!
//! A thread writes it, so that a slow disk keeps no call waiting. Its queue is bounded; what does not fit is dropped, counted
//! and told. A file that has grown to its limit makes way: `audit.log` becomes `audit.log.1`, that `audit.log.2`, and so on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tracing::warn;

use super::clock;
use crate::core::ids::RoomId;
use crate::core::notice::{Deed, Notice, Person};
use crate::trace::calendar::DateTime;

/// How many lines may wait for the disk.
const LINES_MAX: usize = 10_000;
/// How long a stopping server waits for the disk.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where the audit log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// The file. Its directory must exist.
    pub file: PathBuf,
    /// The size at which a file makes way for a new one, bytes.
    pub bytes_max: u64,
    /// How many old files are kept.
    pub keep: usize,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Whoever administers the server, from that address.
    Operator(IpAddr),
    /// A back end, by the subject or the key of its token, from that address.
    BackEnd(String, IpAddr),
    /// Somebody in the room.
    Participant(Person),
    /// Somebody who is not known, from that address.
    Unknown(IpAddr),
    /// The server itself, or whoever may send its process signals.
    Server,
}

impl Actor {
    fn json(&self) -> Value {
        match self {
            Self::Operator(address) => json!({"kind": "operator", "address": address.to_string()}),
            Self::BackEnd(id, address) => {
                json!({"kind": "back-end", "id": id, "address": address.to_string()})
            }
            Self::Participant(person) => json!({
                "kind": "participant",
                "participant": person.participant.to_string(),
                "identity": person.identity,
                "name": person.name,
            }),
            Self::Unknown(address) => json!({"kind": "unknown", "address": address.to_string()}),
            Self::Server => json!({"kind": "server"}),
        }
    }
}

/// What is counted of the audit log.
#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
}

/// The handle of the audit log, of which every part that has something to tell has one. Without a file it does nothing.
#[derive(Clone, Default)]
pub struct Audit(Option<Arc<Log>>);

struct Log {
    lines: SyncSender<Job>,
    counts: Arc<Counts>,
}

/// What the thread is asked to do.
enum Job {
    Write(String),
    /// Says so when everything before it is written.
    Finish(SyncSender<()>),
}

impl Audit {
    /// Opens the file and starts the thread, if there is to be one.
    pub fn start(config: Option<&AuditConfig>) -> io::Result<Self> {
        let Some(config) = config.cloned() else { return Ok(Self::default()) };
        let file = open(&config.file).map_err(|error| {
            let text = format!("the audit log cannot be kept in {}: {error}", config.file.display());
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let (lines, jobs) = mpsc::sync_channel(LINES_MAX);
        let counts = Arc::new(Counts::default());
        let writer =
            Writer { config, file: Some(file), bytes, counts: Arc::clone(&counts), is_failing: false };
        thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run(&jobs))?;
        Ok(Self(Some(Arc::new(Log { lines, counts }))))
    }

    /// Writes down that somebody did something. `details` is an object with whatever else belongs to it.
    pub fn note(&self, action: &str, by: &Actor, details: Value) {
        let Some(log) = &self.0 else { return };
        let mut line = json!({"time": time(clock::unix()), "action": action, "by": by.json()});
        if let (Some(line), Value::Object(details)) = (line.as_object_mut(), details) {
            line.extend(details);
        }
        if let Err(TrySendError::Full(_)) = log.lines.try_send(Job::Write(line.to_string())) {
            let before = log.counts.dropped.fetch_add(1, Ordering::Relaxed);
            // One line for a thousand that are lost.
            if before.is_multiple_of(1000) {
                warn!(lost = before + 1, "the disk is too slow for the audit log: lines are lost");
            }
        }
    }

    /// Writes down what somebody in a room has done to others, or reports of them.
    pub fn note_deed(&self, room: &RoomId, notice: &Notice) {
        let person = |Person { participant, identity, name }: &Person| {
            let participant = participant.to_string();
            json!({"participant": participant, "identity": identity, "name": name})
        };
        let mut details = json!({"room": room.as_str(), "about": notice.about.as_ref().map(person)});
        let action = match &notice.deed {
            Deed::Moderation(operation) => operation,
            Deed::Report { reason, text } => {
                details["reason"] = json!(reason);
                details["text"] = json!(text);
                "report"
            }
        };
        self.note(action, &Actor::Participant(notice.by.clone()), details);
    }

    /// Returns how many lines were written and how many were lost, since the start.
    pub fn figures(&self) -> (u64, u64) {
        self.0.as_ref().map_or((0, 0), |log| {
            (log.counts.written.load(Ordering::Relaxed), log.counts.dropped.load(Ordering::Relaxed))
        })
    }

    /// Waits until everything is written, for a few seconds at most.
    pub fn finish(&self) {
        let Some(log) = &self.0 else { return };
        let (done, is_done) = mpsc::sync_channel(1);
        if log.lines.try_send(Job::Finish(done)).is_err() || is_done.recv_timeout(PATIENCE).is_err() {
            warn!("the disk is too slow: the last lines of the audit log are lost");
        }
    }
}

/// Writes a time as RFC 3339 has it, with milliseconds.
fn time(unix: Duration) -> String {
    let DateTime { year, month, day, hour, minute, second } = DateTime::of(unix);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", unix.subsec_millis())
}

/// What the thread runs.
struct Writer {
    config: AuditConfig,
    /// `None` while the file cannot be opened.
    file: Option<File>,
    bytes: u64,
    counts: Arc<Counts>,
    is_failing: bool,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        for job in jobs {
            match job {
                Job::Write(line) => self.write(line),
                Job::Finish(done) => {
                    let _ = done.send(());
                }
            }
        }
    }

    fn write(&mut self, mut line: String) {
        line.push('\n');
        match self.append(line.as_bytes()) {
            Ok(()) => {
                self.is_failing = false;
                self.counts.written.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                self.counts.dropped.fetch_add(1, Ordering::Relaxed);
                self.file = None;
                if !std::mem::replace(&mut self.is_failing, true) {
                    warn!(%error, file = %self.config.file.display(), "the audit log cannot be written: lines are lost");
                }
            }
        }
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.bytes > 0 && self.bytes + line.len() as u64 > self.config.bytes_max {
            self.file = None;
            self.rotate()?;
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = open(&self.config.file)?;
                self.bytes = file.metadata()?.len();
                none.insert(file)
            }
        };
        file.write_all(line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Renames the file and the old ones, and forgets the oldest.
    fn rotate(&mut self) -> io::Result<()> {
        let old = |number: usize| numbered(&self.config.file, number);
        for number in (1..self.config.keep).rev() {
            if old(number).exists() {
                fs::rename(old(number), old(number + 1))?;
            }
        }
        fs::rename(&self.config.file, old(1))?;
        self.bytes = 0;
        Ok(())
    }
}

fn numbered(file: &Path, number: usize) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Opens a file to append to, which nobody else may read.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    // One that was there before may have been readable for others.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    /// A directory that is gone after the test.
    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let name =
                format!("strait-audit-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).expect("a directory");
            Self(path)
        }

        fn audit(&self, bytes_max: u64, keep: usize) -> Audit {
            Audit::start(Some(&AuditConfig { file: self.0.join("audit.log"), bytes_max, keep }))
                .expect("a file")
        }

        fn lines(&self, name: &str) -> Vec<Value> {
            let text = fs::read_to_string(self.0.join(name)).unwrap_or_default();
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn lines_say_when_who_and_what_and_nobody_else_reads_them() {
        let directory = Directory::new();
        fs::write(directory.0.join("audit.log"), "").expect("a file");
        let audit = directory.audit(1 << 20, 3);
        let address = IpAddr::from([192, 0, 2, 1]);
        audit.note("drain", &Actor::Operator(address), json!({"status": 204}));
        audit.finish();
        let lines = directory.lines("audit.log");
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!((&line["action"], &line["status"]), (&json!("drain"), &json!(204)));
        assert_eq!(line["by"], json!({"kind": "operator", "address": "192.0.2.1"}));
        assert!(line["time"].as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z')), "{line}");
        assert_eq!(audit.figures(), (1, 0));
        #[cfg(unix)]
        {
            let metadata = fs::metadata(directory.0.join("audit.log")).expect("it is there");
            assert_eq!(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_that_is_full_makes_way_and_the_oldest_is_forgotten() {
        let directory = Directory::new();
        let audit = directory.audit(200, 2);
        for number in 0..9 {
            audit.note("test", &Actor::Server, json!({"number": number}));
        }
        audit.finish();
        let numbers = |name: &str| -> Vec<u64> {
            directory.lines(name).iter().filter_map(|line| line["number"].as_u64()).collect()
        };
        assert_eq!(numbers("audit.log"), [8]);
        assert_eq!((numbers("audit.log.1"), numbers("audit.log.2")), (vec![6, 7], vec![4, 5]));
        assert!(!directory.0.join("audit.log.3").exists());
    }

    #[test]
    fn times_are_written_for_people_and_machines() {
        assert_eq!(time(Duration::from_millis(1_796_027_098_211)), "2026-11-30T08:24:58.211Z");
    }
}

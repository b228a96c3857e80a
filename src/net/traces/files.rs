//! The thread that writes traces, so that a slow disk costs traces and never the call.
//!
//! The queue to it is bounded in bytes. If it is full, traces end early, and the media goes on: see `keeper`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{info, warn};

use crate::core::ids::RecordingId;
use crate::core::record::RoomHeader;
use crate::trace::recipient::Sink;
use crate::trace::{EndOfTrace, Header, Recipient, TraceWriter};

/// What the thread is asked to do.
enum Job {
    Begin { id: RecordingId, name: String, header: Box<RoomHeader> },
    Records { id: RecordingId, records: Vec<u8> },
    End { id: RecordingId, end: EndOfTrace },
}

/// Where and how traces are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceFilesConfig {
    /// The directory. It is made if it does not exist.
    pub directory: PathBuf,
    /// The key to which traces are encrypted; `None` leaves them unencrypted.
    pub recipient: Option<Recipient>,
    /// How large traces may become.
    pub caps: TraceCaps,
}

/// How large traces may become, bytes. One piece more may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceCaps {
    /// The largest trace.
    pub one: u64,
    /// All traces in the directory together, with those of earlier runs.
    pub all: u64,
}

/// A trace that the thread has given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// The recording of the trace.
    pub id: RecordingId,
    /// Why it was given up, in words.
    pub why: String,
}

/// The handle of the thread.
pub struct TraceFiles {
    jobs: Option<Sender<Job>>,
    given_up: Receiver<GivenUp>,
    queued: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
    over: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl TraceFiles {
    /// Makes the directory and starts the thread.
    pub fn start(config: TraceFilesConfig) -> io::Result<Self> {
        make_directory(&config.directory)?;
        let TraceFilesConfig { directory, recipient, caps } = config;
        let measured = directory.clone();
        let open = move |name: &str| open(&directory, name);
        Self::start_with(open, move || bytes_in(&measured), recipient, caps)
    }

    /// Starts the thread with another way of opening files, and of telling how many bytes there are in the directory.
    fn start_with<W: Write>(
        open: impl Fn(&str) -> io::Result<W> + Send + 'static,
        measure: impl Fn() -> u64 + Send + 'static,
        recipient: Option<Recipient>,
        caps: TraceCaps,
    ) -> io::Result<Self> {
        let (jobs, received) = mpsc::channel();
        let (give_up, given_up) = mpsc::channel();
        let (is_over, over) = mpsc::channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let written = Arc::new(AtomicUsize::new(0));
        let (own_queued, own_written) = (Arc::clone(&queued), Arc::clone(&written));
        let thread = thread::Builder::new().name("traces".to_owned()).spawn(move || {
            let mut writer = Writer {
                open,
                measure: Box::new(measure),
                kept: 0,
                recipient,
                caps,
                traces: BTreeMap::new(),
                give_up,
                queued: own_queued,
                written: own_written,
            };
            for job in received {
                writer.carry_out(job);
            }
            drop(is_over);
        })?;
        Ok(Self { jobs: Some(jobs), given_up, queued, written, over, thread: Some(thread) })
    }

    /// Asks the thread to begin a trace in a file of that name.
    pub fn begin(&self, id: RecordingId, name: String, header: Box<RoomHeader>) {
        self.send(Job::Begin { id, name, header });
    }

    /// Asks the thread to append whole records to a trace.
    pub fn records(&self, id: RecordingId, records: Vec<u8>) {
        self.queued.fetch_add(records.len(), Ordering::Relaxed);
        self.send(Job::Records { id, records });
    }

    /// Asks the thread to end a trace.
    pub fn end(&self, id: RecordingId, end: EndOfTrace) {
        self.send(Job::End { id, end });
    }

    /// Returns how many bytes wait to be written.
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Returns how many bytes were written since the start.
    pub fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }

    /// Takes the next trace that the thread has given up.
    pub fn given_up(&self) -> Option<GivenUp> {
        self.given_up.try_recv().ok()
    }

    /// Waits until everything that was handed over is written, but no longer than `patience`.
    pub fn finish(&mut self, patience: Duration) {
        // The thread ends when nobody can send to it any more.
        self.jobs = None;
        match self.over.recv_timeout(patience) {
            Err(mpsc::RecvTimeoutError::Timeout) => {
                warn!(bytes = self.queued(), "the disk is too slow: the last part of the traces is lost");
            }
            _ => {
                if let Some(thread) = self.thread.take() {
                    let _ = thread.join();
                }
            }
        }
    }

    fn send(&self, job: Job) {
        // It only fails after `finish`, when nobody receives any more.
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }
}

/// What the thread runs.
struct Writer<W: Write, O: Fn(&str) -> io::Result<W>> {
    open: O,
    measure: Box<dyn Fn() -> u64>,
    /// How many bytes there are in the directory: measured whenever a trace begins, because operators remove old ones.
    kept: u64,
    recipient: Option<Recipient>,
    caps: TraceCaps,
    traces: BTreeMap<RecordingId, (String, TraceWriter<Sink<W>>)>,
    give_up: Sender<GivenUp>,
    queued: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
}

impl<W: Write, O: Fn(&str) -> io::Result<W>> Writer<W, O> {
    fn carry_out(&mut self, job: Job) {
        match job {
            Job::Begin { id, name, header } => match self.begin(&name, *header) {
                Ok(writer) => {
                    self.traces.insert(id, (name, writer));
                }
                Err(error) => self.give_up(id, &name, &error.to_string()),
            },
            Job::Records { id, records } => {
                self.append(id, &records);
                self.queued.fetch_sub(records.len(), Ordering::Relaxed);
            }
            Job::End { id, end } => self.end(id, &end),
        }
    }

    fn begin(&mut self, name: &str, header: RoomHeader) -> io::Result<TraceWriter<Sink<W>>> {
        self.kept = (self.measure)();
        if self.kept >= self.caps.all {
            return Err(io::Error::other(self.all_are_too_large()));
        }
        let sink = Sink::new((self.open)(name)?, self.recipient.as_ref())?;
        TraceWriter::new(sink, &Header::new(header))
    }

    fn append(&mut self, id: RecordingId, records: &[u8]) {
        // Jobs of a trace that was given up may still come.
        let Some((name, writer)) = self.traces.get_mut(&id) else { return };
        let before = writer.written();
        let appended = writer.records(records);
        let grown = usize::try_from(writer.written() - before).unwrap_or(usize::MAX);
        self.written.fetch_add(grown, Ordering::Relaxed);
        self.kept += grown as u64;
        let is_full = writer.written() >= self.caps.one;
        let all_full = self.kept >= self.caps.all;
        if let Err(error) = appended {
            let name = name.clone();
            self.traces.remove(&id);
            self.give_up(id, &name, &format!("it cannot be written: {error}"));
        } else if is_full || all_full {
            let name = name.clone();
            let reason = if is_full {
                format!("the trace has reached record.max_bytes, {} bytes", self.caps.one)
            } else {
                self.all_are_too_large()
            };
            self.end(id, &EndOfTrace { complete: false, reason: reason.clone() });
            self.give_up(id, &name, &reason);
        }
    }

    fn end(&mut self, id: RecordingId, end: &EndOfTrace) {
        let Some((name, writer)) = self.traces.remove(&id) else { return };
        let bytes = writer.written();
        match writer.end(end).and_then(Sink::finish).and_then(|mut out| out.flush()) {
            Ok(()) => {
                info!(file = name, bytes, complete = end.complete, reason = end.reason, "trace written");
            }
            Err(error) => warn!(file = name, %error, "the end of a trace cannot be written"),
        }
    }

    fn all_are_too_large(&self) -> String {
        format!("all traces together have reached record.max_total_bytes, {} bytes", self.caps.all)
    }

    fn give_up(&self, id: RecordingId, name: &str, why: &str) {
        warn!(file = name, why, "a trace ends early; the call goes on");
        let _ = self.give_up.send(GivenUp { id, why: why.to_owned() });
    }
}

/// Returns how many bytes the files in a directory have; those that cannot be looked at have none.
fn bytes_in(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .filter(fs::Metadata::is_file)
        .map(|found| found.len())
        .sum()
}

fn make_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(|error| {
        let why = format!(
            "traces cannot be kept in {}: {error}; name a directory that the server may write to with --record",
            directory.display()
        );
        io::Error::new(io::ErrorKind::InvalidData, why)
    })
}

/// A new file that nobody else may read.
fn open(directory: &Path, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(directory.join(name))
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;
    use std::time::Instant;

    use super::*;
    use crate::core::Settings;
    use crate::trace::Trace;
    use crate::trace::reader::Ending;

    /// If the thread takes longer than this, something is wrong.
    pub const PATIENCE: Duration = Duration::from_secs(20);

    /// The header of a room that was just made.
    pub fn header() -> Box<RoomHeader> {
        let now = Instant::now();
        let settings = Settings::for_trying(now);
        Box::new(RoomHeader::new(now, "standup".parse().unwrap(), "aaaa".to_owned(), &settings))
    }

    /// A disk that takes nothing while it is held.
    #[derive(Clone, Default)]
    pub struct Disk {
        pub held: Arc<Mutex<()>>,
        content: Arc<Mutex<Vec<u8>>>,
        /// How much fits; `None`: any amount.
        space: Option<usize>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _free = self.held.lock().unwrap();
            let mut content = self.content.lock().unwrap();
            if self.space.is_some_and(|space| content.len() + bytes.len() > space) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            content.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Starts the thread with that disk.
    pub fn files(disk: &Disk, bytes_max: u64) -> TraceFiles {
        let disk = disk.clone();
        let measured = disk.clone();
        let measure = move || measured.content.lock().unwrap().len() as u64;
        let caps = TraceCaps { one: bytes_max, all: 1 << 20 };
        TraceFiles::start_with(move |_| Ok(disk.clone()), measure, None, caps).unwrap()
    }

    /// Returns how many blocks of its only trace can be read, and how the trace ends.
    pub fn read(disk: &Disk) -> (usize, Option<Ending>) {
        let content = disk.content.lock().unwrap();
        let mut trace = Trace::open(content.as_slice(), None).expect("a trace");
        let blocks = std::iter::from_fn(|| trace.next_block()).count();
        (blocks, trace.ending().cloned())
    }

    fn end() -> EndOfTrace {
        EndOfTrace { complete: true, reason: "the room ended".to_owned() }
    }

    #[test]
    fn a_slow_disk_keeps_nobody_waiting_and_gets_all_in_the_end() {
        let disk = Disk::default();
        let mut files = files(&disk, u64::MAX);
        let held = disk.held.lock().unwrap();
        files.begin(RecordingId(1), "a".to_owned(), header());
        for _ in 0..10 {
            files.records(RecordingId(1), vec![7; 1000]);
        }
        assert_eq!(files.queued(), 10_000, "nothing is written, and nobody has waited");
        drop(held);
        files.end(RecordingId(1), end());
        files.finish(PATIENCE);
        assert_eq!(files.queued(), 0);
        assert_eq!(read(&disk), (10, Some(Ending::Said(end()))));
    }

    #[test]
    fn a_full_disk_ends_a_trace_and_says_so() {
        let disk = Disk { space: Some(1000), ..Disk::default() };
        let mut files = files(&disk, u64::MAX);
        files.begin(RecordingId(1), "a".to_owned(), header());
        files.records(RecordingId(1), vec![7; 1000]);
        files.records(RecordingId(1), (0..2000_u32).map(|n| ((n * n) >> 3) as u8).collect());
        files.records(RecordingId(1), vec![7; 1000]);
        files.end(RecordingId(1), end());
        files.finish(PATIENCE);
        let given_up = files.given_up().expect("it was given up");
        assert_eq!(given_up.id, RecordingId(1));
        assert!(given_up.why.contains("cannot be written"), "{}", given_up.why);
        assert_eq!(files.given_up(), None, "and said so once");
        assert_eq!(read(&disk), (1, Some(Ending::Cut)));
    }

    #[test]
    fn a_trace_that_is_large_enough_ends_with_the_reason() {
        let disk = Disk::default();
        let mut files = files(&disk, 600);
        files.begin(RecordingId(1), "a".to_owned(), header());
        for _ in 0..100 {
            files.records(RecordingId(1), vec![7; 1000]);
        }
        files.finish(PATIENCE);
        assert!(files.given_up().is_some_and(|given_up| given_up.why.contains("record.max_bytes")));
        let (blocks, ending) = read(&disk);
        assert!(blocks < 100);
        let Some(Ending::Said(end)) = ending else { panic!("{ending:?}") };
        assert!(!end.complete && end.reason.contains("record.max_bytes"), "{end:?}");
    }

    #[test]
    fn all_traces_together_are_no_larger_than_the_operator_wants() {
        let disk = Disk::default();
        let mut files = files(&disk, u64::MAX);
        files.begin(RecordingId(1), "a".to_owned(), header());
        // What cannot be compressed.
        let mut seed = 1_u32;
        for _ in 0..3000 {
            let mut byte = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            };
            files.records(RecordingId(1), (0..1000).map(|_| byte()).collect());
        }
        files.begin(RecordingId(2), "b".to_owned(), header());
        files.finish(PATIENCE);
        for id in [1, 2] {
            let given_up = files.given_up().expect("it was given up");
            assert_eq!(given_up.id, RecordingId(id));
            assert!(given_up.why.contains("record.max_total_bytes"), "{}", given_up.why);
        }
    }
}

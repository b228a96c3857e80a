//! Recorder: records what goes into a room and what comes out. A replay runs a second recorder and compares the two
//! recordings.
//!
//! Like the rest of the core it does no IO: it appends to a buffer, which the `Sfu` hands to the shell.

use std::borrow::Cow;
use std::time::Instant;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::fixed_hash::FixedMap;
use super::outbox::{Outbox, RoomOutput};
use super::path::{Path, TrafficClass};
use super::record::{
    Bytes, CONTROL_HEAD_BYTES, MEDIA_HEAD_BYTES, PathIndex, Record, RecordedInput, SentDatagram, sent_hash,
};
use super::room::RoomInput;

/// How many paths are remembered. There must be a limit, because a peer can send checks from any number of addresses.
const PATHS_MAX: usize = 1024;

/// Records what happens to one room.
#[derive(Debug)]
pub struct Recorder {
    buffer: Vec<u8>,
    last: Instant,
    paths: FixedMap<Path, PathIndex>,
    digest: u64,
    /// Whether a record could not be encoded.
    broken: bool,
}

impl Recorder {
    /// Makes the recorder of a room that was made at that time.
    pub fn new(created: Instant) -> Self {
        Self { buffer: Vec::new(), last: created, paths: FixedMap::default(), digest: 0, broken: false }
    }

    /// Records an input. Call it before the room gets the input, because the room decrypts the bytes in place.
    pub fn note_input(&mut self, now: Instant, input: &RoomInput<'_>) {
        let input = match input {
            RoomInput::Datagram { on, path, bytes, .. } => {
                let path = self.path(*path);
                RecordedInput::Datagram { on: *on, path, bytes: Bytes(bytes) }
            }
            RoomInput::Join(request, admission, join) => {
                RecordedInput::Join(Cow::Borrowed(request), Cow::Borrowed(admission), Cow::Borrowed(join))
            }
            RoomInput::Resume(request, resume) => {
                RecordedInput::Resume(Cow::Borrowed(request), Cow::Borrowed(resume))
            }
            RoomInput::Command(from, request, command) => {
                RecordedInput::Command(*from, Cow::Borrowed(request), Cow::Borrowed(command))
            }
            RoomInput::ConnectionLost(from) => RecordedInput::ConnectionLost(*from),
            RoomInput::Dtls(on, event) => RecordedInput::Dtls(*on, Cow::Borrowed(event)),
            RoomInput::Remove(id) => RecordedInput::Remove(*id),
            RoomInput::Operate(moderation) => RecordedInput::Operate(Cow::Borrowed(moderation)),
            RoomInput::StopWaiting(id) => RecordedInput::StopWaiting(*id),
            RoomInput::Close(reason) => RecordedInput::Close(*reason),
            RoomInput::MakeWay(key) => RecordedInput::MakeWay(*key),
            RoomInput::KeepOut(bans) => RecordedInput::KeepOut(Cow::Borrowed(bans)),
            RoomInput::Timeout => RecordedInput::Timeout,
            RoomInput::Shed(shedding) => RecordedInput::Shed(*shedding),
            RoomInput::StoodStill(time) => RecordedInput::StoodStill(*time),
        };
        self.step(now, input);
    }

    /// Records that the room is about to forward a share of what waits.
    pub fn note_share(&mut self, now: Instant) {
        self.step(now, RecordedInput::Share);
    }

    /// Records what a step led to: everything in the outbox, of the datagrams only those from number `first` on.
    pub fn note_outputs(&mut self, outbox: &Outbox, first: usize) {
        if outbox.outputs.is_empty() && outbox.transmits() == first {
            return;
        }
        for output in &outbox.outputs {
            self.output(output);
        }
        for (path, class, bytes) in outbox.datagrams.from(first) {
            self.sent(path, class, bytes);
        }
        self.write(&Record::Digest(self.digest()));
    }

    /// Returns the digest of all outputs so far.
    pub fn digest(&self) -> [u8; 8] {
        self.digest.to_le_bytes()
    }

    /// Returns how many bytes were recorded and not taken yet.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Takes what was recorded, as whole records. Returns `None` once a record could not be encoded.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        (!self.broken).then(|| std::mem::take(&mut self.buffer))
    }

    fn step(&mut self, now: Instant, input: RecordedInput<'_>) {
        debug_assert!(now >= self.last, "a room's time never goes back");
        let after = now.saturating_duration_since(self.last);
        self.last = now.max(self.last);
        // 64 bits of nanoseconds are 584 years.
        let after = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        self.write(&Record::Step { after, input });
    }

    fn output(&mut self, output: &RoomOutput) {
        let start = self.buffer.len();
        self.write(&Record::Output(Cow::Borrowed(output)));
        let hash = xxh3_64(self.buffer.get(start..).unwrap_or_default());
        self.digest = xxh3_64_with_seed(&hash.to_le_bytes(), self.digest);
    }

    fn sent(&mut self, path: Path, class: TrafficClass, bytes: &[u8]) {
        let hash = sent_hash(bytes);
        let head_bytes = if class == TrafficClass::Control { CONTROL_HEAD_BYTES } else { MEDIA_HEAD_BYTES };
        let head = bytes.get(..head_bytes).unwrap_or(bytes);
        let path = self.path(path);
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        let start = self.buffer.len();
        self.write(&Record::Sent(SentDatagram { path, class, length, hash: hash as u32, head: Bytes(head) }));
        // The record contains path, class and length; the whole hash stands for the bytes.
        let line = xxh3_64_with_seed(self.buffer.get(start..).unwrap_or_default(), hash);
        self.digest = xxh3_64_with_seed(&line.to_le_bytes(), self.digest);
    }

    fn path(&mut self, path: Path) -> PathIndex {
        if let Some(index) = self.paths.get(&path) {
            return *index;
        }
        if self.paths.len() >= PATHS_MAX {
            self.paths.clear();
            self.write(&Record::ForgetPaths);
        }
        let index = PathIndex(u32::try_from(self.paths.len()).unwrap_or(u32::MAX));
        self.paths.insert(path, index);
        self.write(&Record::Path(path));
        index
    }

    fn write(&mut self, record: &Record<'_>) {
        match postcard::to_extend(record, std::mem::take(&mut self.buffer)) {
            Ok(buffer) => self.buffer = buffer,
            Err(_) => self.broken = true,
        }
    }
}

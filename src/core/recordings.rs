//! Recordings: which rooms are recorded, and what their recorders have written that the shell has not taken yet.
//!
//! A recording must begin with its room, before the room's first input: one that began later could not be replayed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use super::ids::{RecordingId, RoomId, RoomKey};
use super::outbox::Outbox;
use super::record::RoomHeader;
use super::recorder::Recorder;
use super::room_options::RecordingPolicy;
use super::room_pattern::RoomPattern;
use super::settings::Settings;

/// What a recorder has written is handed out in pieces of this size, plus at most a step.
const PIECE_BYTES: usize = 64 * 1024;

/// A part of a recording for the shell to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordingOutput {
    /// A room that is to be recorded was made.
    Begin(RecordingId, Box<RoomHeader>),
    /// Whole records, which follow those handed out before.
    Records(RecordingId, Vec<u8>),
    /// The recording is over: the room has ended, or the recording was stopped.
    End(RecordingId),
}

/// The recording of one room, while it lasts.
#[derive(Debug)]
pub struct Recording {
    id: RecordingId,
    /// Records what happens to the room.
    pub recorder: Recorder,
}

/// All recordings under way, and which rooms are to be recorded.
#[derive(Debug, Default)]
pub struct Recordings {
    patterns: BTreeSet<RoomPattern>,
    next: BTreeSet<RoomId>,
    made: u64,
    rooms: BTreeMap<RecordingId, RoomKey>,
    outputs: VecDeque<RecordingOutput>,
}

impl Recordings {
    /// Makes all rooms with matching names be recorded that are made from now on.
    pub fn record_rooms(&mut self, pattern: RoomPattern) {
        self.patterns.insert(pattern);
    }

    /// Makes the next room of this name be recorded.
    pub fn record_next(&mut self, room: RoomId) {
        self.next.insert(room);
    }

    /// Takes back [`record_next`](Self::record_next).
    pub fn forget_next(&mut self, room: &RoomId) {
        self.next.remove(room);
    }

    /// Returns the names given to [`record_next`](Self::record_next) whose rooms have not been made yet.
    pub fn next(&self) -> impl Iterator<Item = &RoomId> {
        self.next.iter()
    }

    /// Begins the recording of a room that is being made. Returns `None` if it is not to be recorded.
    pub fn begin(
        &mut self,
        now: Instant,
        key: RoomKey,
        room: &RoomId,
        tag: &str,
        policy: RecordingPolicy,
        settings: &Settings,
    ) -> Option<Box<Recording>> {
        let wanted = match policy {
            RecordingPolicy::Never => false,
            RecordingPolicy::Always => true,
            RecordingPolicy::ByName => {
                self.next.remove(room) || self.patterns.iter().any(|pattern| pattern.matches(room))
            }
        };
        if !wanted {
            return None;
        }
        self.made += 1;
        let id = RecordingId(self.made);
        self.rooms.insert(id, key);
        let header = RoomHeader::new(now, room.clone(), tag.to_owned(), settings);
        self.outputs.push_back(RecordingOutput::Begin(id, Box::new(header)));
        Some(Box::new(Recording { id, recorder: Recorder::new(now) }))
    }

    /// Records what a step led to, and hands out what was written once there is enough of it.
    pub fn note_outputs(&mut self, recording: &mut Recording, outbox: &Outbox, first: usize) {
        recording.recorder.note_outputs(outbox, first);
        if recording.recorder.len() >= PIECE_BYTES {
            self.hand_out(recording);
        }
    }

    /// Hands out what was written since the last time.
    pub fn hand_out(&mut self, recording: &mut Recording) {
        if recording.recorder.is_empty() {
            return;
        }
        match recording.recorder.take() {
            Some(bytes) => self.outputs.push_back(RecordingOutput::Records(recording.id, bytes)),
            None => {
                tracing::error!(recording = recording.id.0, "a record could not be encoded; it is missing");
            }
        }
    }

    /// Ends a recording.
    pub fn end(&mut self, mut recording: Box<Recording>) {
        self.hand_out(&mut recording);
        self.rooms.remove(&recording.id);
        self.outputs.push_back(RecordingOutput::End(recording.id));
    }

    /// Returns the room of a recording; `None` once the recording is over.
    pub fn room(&self, id: RecordingId) -> Option<RoomKey> {
        self.rooms.get(&id).copied()
    }

    /// Returns all rooms that are being recorded.
    pub fn rooms(&self) -> Vec<RoomKey> {
        self.rooms.values().copied().collect()
    }

    /// Returns the next part for the shell to keep.
    pub fn poll(&mut self) -> Option<RecordingOutput> {
        self.outputs.pop_front()
    }
}

//! Outbox: where a room puts what it wants done, until the shell has drained it. Datagrams lie one after the other in
//! one arena that is reused, so that sending allocates nothing.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::event::{Event, Refusal};
use super::ids::RequestId;
use super::input::Path;
use super::output::{DtlsRequest, TrafficClass};
use super::room::ParticipantKey;
use crate::wire::stun;

/// Bytes kept ready behind the last datagram, so that a packet can be written in place.
const ROOM_FOR_ONE: usize = 2048;

/// Something that a room wants of the `Sfu` or, through it, of the shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoomOutput {
    /// Tell a participant something.
    Event(ParticipantKey, Event),
    /// Something for a participant's handshake.
    Dtls(ParticipantKey, DtlsRequest),
    /// Datagrams with this ufrag are the participant's.
    BindUfrag(ParticipantKey, String),
    /// A connectivity check came by this path: datagrams from there are the participant's.
    BindPath(ParticipantKey, Path),
    /// Another address of the participant's is used instead.
    UnbindPath(ParticipantKey, Path),
    /// A ufrag is not used any more.
    UnbindUfrag(String),
    /// Whoever asked to enter or to come back is that participant now.
    Admitted(ParticipantKey),
    /// Whoever asked to enter or to come back may not.
    Refused(Option<RequestId>, Refusal),
    /// The participant is gone.
    Gone(ParticipantKey),
}

/// One datagram in the arena.
#[derive(Debug, Clone)]
struct Entry {
    path: Path,
    class: TrafficClass,
    range: Range<usize>,
}

/// What waits for the shell.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Everything but datagrams, in order.
    pub outputs: Vec<RoomOutput>,
    arena: Vec<u8>,
    used: usize,
    entries: Vec<Entry>,
    next: usize,
}

impl Outbox {
    /// Tells a participant something.
    pub fn event(&mut self, to: ParticipantKey, event: Event) {
        self.outputs.push(RoomOutput::Event(to, event));
    }

    /// Writes one datagram in place: `write` fills the buffer and returns how much of it, or `None` to send nothing.
    pub fn transmit(
        &mut self,
        path: Path,
        class: TrafficClass,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> bool {
        if self.arena.len() < self.used + ROOM_FOR_ONE {
            let grown = (self.arena.len() * 2).max(self.used + 16 * ROOM_FOR_ONE);
            self.arena.resize(grown, 0);
        }
        let Some(length) = write(&mut self.arena[self.used..self.used + ROOM_FOR_ONE]) else { return false };
        let range = self.used..self.used + length.min(ROOM_FOR_ONE);
        self.used = range.end;
        self.entries.push(Entry { path, class, range });
        true
    }

    /// Whether every datagram has been taken.
    pub fn is_drained(&self) -> bool {
        self.next == self.entries.len()
    }

    /// How many datagrams wait.
    pub fn transmits(&self) -> usize {
        self.entries.len()
    }

    /// Whether one of the datagrams from the `first` on answers that connectivity check, by the path that it came by.
    pub fn answers_check(&self, first: usize, path: Path, transaction: [u8; 12]) -> bool {
        self.transmits_from(first).any(|(to, _, bytes)| {
            let answer = stun::peek(bytes).filter(stun::StunPeek::is_binding_success);
            to == path && answer.is_some_and(|answer| answer.transaction == transaction)
        })
    }

    /// The datagrams from the `first` on that were written since the outbox was empty, taken or not.
    pub fn transmits_from(&self, first: usize) -> impl Iterator<Item = (Path, TrafficClass, &[u8])> {
        let entries = self.entries.get(first..).unwrap_or_default().iter();
        entries.map(|entry| (entry.path, entry.class, &self.arena[entry.range.clone()]))
    }

    /// The next datagram.
    pub fn next_transmit(&mut self) -> Option<(Path, TrafficClass, &[u8])> {
        let entry = self.entries.get(self.next)?;
        self.next += 1;
        Some((entry.path, entry.class, &self.arena[entry.range.clone()]))
    }

    /// Forgets everything, keeping the memory.
    pub fn clear(&mut self) {
        self.outputs.clear();
        self.next = self.entries.len();
        self.reset();
    }

    /// Forgets what was drained, keeping the memory.
    pub fn reset(&mut self) {
        if self.next == self.entries.len() {
            self.entries.clear();
            self.next = 0;
            self.used = 0;
        }
    }
}

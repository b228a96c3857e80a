//! Datagrams that wait to be sent. They lie one after the other in an arena that is reused, so sending allocates
//! nothing.

use std::ops::Range;

use super::output::{MediaSink, SINK_BUFFER_BYTES, Transmit};
use super::path::{Path, TrafficClass};

/// One datagram in the arena.
#[derive(Debug, Clone)]
struct Entry {
    path: Path,
    class: TrafficClass,
    range: Range<usize>,
}

/// Datagrams in the order in which they were written.
#[derive(Debug, Default)]
pub struct Datagrams {
    arena: Vec<u8>,
    used: usize,
    entries: Vec<Entry>,
    next: usize,
    to: Option<(Path, TrafficClass)>,
}

impl Datagrams {
    /// Appends a copy of a datagram.
    pub fn push(&mut self, transmit: &Transmit<'_>) {
        self.to(transmit.path, transmit.class);
        let length = transmit.bytes.len().min(SINK_BUFFER_BYTES);
        self.buffer()[..length].copy_from_slice(&transmit.bytes[..length]);
        self.sent(length);
    }

    /// Returns how many datagrams it holds, taken ones included, until all are taken or forgotten.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds no datagram, not even one that was taken.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the datagrams from number `first` on, taken or not.
    pub fn from(&self, first: usize) -> impl Iterator<Item = (Path, TrafficClass, &[u8])> {
        let entries = self.entries.get(first..).unwrap_or_default().iter();
        entries.map(|entry| (entry.path, entry.class, &self.arena[entry.range.clone()]))
    }

    /// Takes the next datagram. Returns `None` after the last one, and forgets them all.
    pub fn take_next(&mut self) -> Option<Transmit<'_>> {
        let Some(entry) = self.entries.get(self.next) else {
            self.clear();
            return None;
        };
        self.next += 1;
        Some(Transmit { path: entry.path, class: entry.class, bytes: &self.arena[entry.range.clone()] })
    }

    /// Copies the datagrams from number `first` on to a sink, and forgets these.
    pub fn hand_over(&mut self, first: usize, sink: &mut dyn MediaSink) {
        debug_assert!(
            self.next <= first && first <= self.entries.len(),
            "what was taken cannot be handed over"
        );
        for (path, class, bytes) in self.from(first) {
            sink.to(path, class);
            if let Some(buffer) = sink.buffer().get_mut(..bytes.len()) {
                buffer.copy_from_slice(bytes);
                sink.sent(bytes.len());
            }
        }
        self.used = self.entries.get(first).map_or(self.used, |entry| entry.range.start);
        self.entries.truncate(first);
    }

    /// Forgets all datagrams but keeps the memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.next = 0;
        self.used = 0;
    }
}

impl MediaSink for Datagrams {
    fn to(&mut self, path: Path, class: TrafficClass) {
        self.to = Some((path, class));
    }

    fn buffer(&mut self) -> &mut [u8] {
        if self.arena.len() < self.used + SINK_BUFFER_BYTES {
            let grown = (self.arena.len() * 2).max(self.used + 16 * SINK_BUFFER_BYTES);
            self.arena.resize(grown, 0);
        }
        &mut self.arena[self.used..self.used + SINK_BUFFER_BYTES]
    }

    fn sent(&mut self, length: usize) {
        debug_assert!(length <= SINK_BUFFER_BYTES, "a packet lies within the buffer that was given for it");
        debug_assert!(self.to.is_some(), "`to` is called before the first packet");
        let Some((path, class)) = self.to else { return };
        let range = self.used..self.used + length.min(SINK_BUFFER_BYTES);
        self.used = range.end;
        self.entries.push(Entry { path, class, range });
    }
}

//! The packets of one incoming stream: which were lost on the way to the server, and which of these came again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::model::Hop;
use super::time::Time;
use crate::trace::facts::PacketFacts;
use crate::trace::original::{first_index, index_of};

/// After how long a missing packet is lost for good.
const PATIENCE: Duration = Duration::from_secs(3);
/// A larger jump of sequence numbers means that the stream began anew.
const JUMP_MAX: u64 = 3000;

/// A packet that later ones have overtaken, and that may still come.
#[derive(Debug, Clone, Copy)]
struct Missing {
    /// When the gap showed, because a later packet came.
    noted: Time,
    /// Roughly when it should have come.
    due: Time,
}

/// One stream from a publisher to the server.
#[derive(Debug, Default)]
pub struct Incoming {
    highest: Option<u64>,
    /// When the newest packet came.
    newest: Time,
    /// Packets that later ones have overtaken, by extended sequence number.
    missing: BTreeMap<u64, Missing>,
    /// Counts of the way from the publisher to the server.
    pub hop: Hop,
}

/// The kind of packet that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// A packet that had not come before and is no retransmission.
    New,
    /// A retransmission of a packet that should have come at this time.
    Restored(Time),
    /// A packet that had come before, or one from before the stream began, which counts as never sent.
    Again,
}

impl Incoming {
    /// Takes a packet that came, and returns what it was.
    pub fn came(&mut self, at: Time, packet: &PacketFacts) -> Arrival {
        let Some(highest) = self.highest else {
            self.highest = Some(first_index(packet.sequence));
            self.newest = at;
            self.hop.packets += 1;
            return Arrival::New;
        };
        let index = index_of(highest, packet.sequence);
        if index > highest {
            if index - highest <= JUMP_MAX {
                let (gap, steps) = (at.since(self.newest).0, (index - highest) as u32);
                // It is not known when they were sent. Spread evenly over the gap, they fall into the right seconds.
                for missing in highest + 1..index {
                    let due = Time(self.newest.0 + gap / steps * (missing - highest) as u32);
                    self.missing.insert(missing, Missing { noted: at, due });
                }
                self.hop.packets += index - highest;
            } else {
                self.hop.packets += 1;
            }
            self.highest = Some(index);
            self.newest = at;
            // A packet that first comes as a retransmission was lost, too, although no later packet has shown it.
            if packet.is_retransmission {
                self.hop.lost += 1;
                self.hop.restored += 1;
                return Arrival::Restored(at);
            }
            return Arrival::New;
        }
        match self.missing.remove(&index) {
            Some(missing) if packet.is_retransmission => {
                self.hop.lost += 1;
                self.hop.restored += 1;
                Arrival::Restored(missing.due)
            }
            // The original came after all: others had only overtaken it.
            Some(_) => Arrival::New,
            None => Arrival::Again,
        }
    }

    /// Counts what has been missing for too long as lost, and returns when each of these packets should have come.
    pub fn give_up(&mut self, now: Time) -> Vec<Time> {
        let old = |missing: &Missing| now.since(missing.noted).0 > PATIENCE;
        let lost: Vec<Time> =
            self.missing.values().filter(|missing| old(missing)).map(|missing| missing.due).collect();
        if !lost.is_empty() {
            self.missing.retain(|_, missing| !old(missing));
            self.hop.lost += lost.len() as u64;
        }
        lost
    }

    /// Returns how many packets are missing now.
    pub fn missing(&self) -> u64 {
        self.missing.len() as u64
    }

    /// Counts all missing packets as lost, because nothing more comes, and returns when each should have come.
    pub fn end(&mut self) -> Vec<Time> {
        self.hop.lost += self.missing.len() as u64;
        std::mem::take(&mut self.missing).into_values().map(|missing| missing.due).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16, is_retransmission: bool) -> PacketFacts {
        PacketFacts {
            stream: 0,
            sequence,
            timestamp: 0,
            length: 100,
            marker: true,
            starts_keyframe: false,
            is_retransmission,
        }
    }

    fn at(millis: u64) -> Time {
        Time(Duration::from_millis(millis))
    }

    #[test]
    fn what_is_overtaken_is_not_lost_what_comes_again_was_and_the_rest_is_lost_for_good() {
        let mut incoming = Incoming::default();
        for (sequence, again) in [(65_534, false), (1, false), (65_535, false), (0, true), (4, false)] {
            incoming.came(at(10), &packet(sequence, again));
        }
        assert_eq!((incoming.hop.packets, incoming.hop.lost, incoming.hop.restored), (7, 1, 1));
        assert_eq!(incoming.missing(), 2);
        assert_eq!(incoming.give_up(at(3000)), []);
        assert_eq!(incoming.give_up(at(3011)), [at(10), at(10)]);
        assert_eq!((incoming.hop.lost, incoming.hop.restored), (3, 1));
        assert_eq!(incoming.came(at(3020), &packet(3, true)), Arrival::Again, "too late to matter");
    }
}

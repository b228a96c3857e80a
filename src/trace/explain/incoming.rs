//! What came in on one stream: which packets were lost on the way to the server, and which of these came again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::model::{Hop, Time};
use crate::trace::facts::PacketFacts;

/// After so long a missing packet is lost for good.
const PATIENCE: Duration = Duration::from_secs(3);
/// A larger jump of sequence numbers is a new beginning.
const JUMP_MAX: u64 = 3000;

/// One incoming stream.
#[derive(Debug, Default)]
pub struct Incoming {
    highest: Option<u64>,
    /// What is missing, since when.
    missing: BTreeMap<u64, Time>,
    /// What went over the hop.
    pub hop: Hop,
}

/// What a packet turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// New.
    New,
    /// One that was missing since then, retransmitted.
    Restored(Time),
    /// One that had come, or counts as never sent.
    Again,
}

/// The index nearest to the highest so far (RFC 3550, appendix A.1).
pub fn index_of(highest: u64, sequence: u16) -> u64 {
    let ahead = sequence.wrapping_sub(highest as u16);
    if ahead < 0x8000 {
        highest + u64::from(ahead)
    } else {
        highest.saturating_sub(u64::from(ahead.wrapping_neg()))
    }
}

impl Incoming {
    /// A packet came.
    pub fn came(&mut self, at: Time, packet: &PacketFacts) -> Arrival {
        let Some(highest) = self.highest else {
            self.highest = Some(u64::from(packet.sequence) + (1 << 16));
            self.hop.packets += 1;
            return Arrival::New;
        };
        let index = index_of(highest, packet.sequence);
        if index > highest {
            if index - highest <= JUMP_MAX {
                self.missing.extend((highest + 1..index).map(|missing| (missing, at)));
                self.hop.packets += index - highest;
            } else {
                self.hop.packets += 1;
            }
            self.highest = Some(index);
            // One whose retransmission comes first of all was lost too.
            if packet.is_retransmission {
                self.hop.lost += 1;
                self.hop.restored += 1;
                return Arrival::Restored(at);
            }
            return Arrival::New;
        }
        match self.missing.remove(&index) {
            Some(since) if packet.is_retransmission => {
                self.hop.lost += 1;
                self.hop.restored += 1;
                Arrival::Restored(since)
            }
            // Merely overtaken by others.
            Some(_) => Arrival::New,
            None => Arrival::Again,
        }
    }

    /// Counts what has been missing for long. Since when each was.
    pub fn give_up(&mut self, now: Time) -> Vec<Time> {
        let old = |since: &Time| now.since(*since).0 > PATIENCE;
        let lost: Vec<Time> = self.missing.values().filter(|since| old(since)).copied().collect();
        if !lost.is_empty() {
            self.missing.retain(|_, since| !old(since));
            self.hop.lost += lost.len() as u64;
        }
        lost
    }

    /// How many are missing now.
    pub fn missing(&self) -> u64 {
        self.missing.len() as u64
    }

    /// Counts all that is missing: nothing more comes.
    pub fn end(&mut self) -> Vec<Time> {
        self.hop.lost += self.missing.len() as u64;
        std::mem::take(&mut self.missing).into_values().collect()
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

//! Munger: one continuous stream out of sources that come and go. Sequence numbers without a gap of our making,
//! timestamps that go on with the clock, picture ids, TL0PICIDX and frame numbers that count on.
//!
//! Between two synchronisations all of these are a constant offset, so a packet that was lost, late or reordered before
//! it came here is so after it, too, and a sequence number of ours leads back to the packet it stands for.

use std::time::{Duration, Instant};

use super::descriptor::FrameCounters;
use crate::core::ids::{PublicationKey, TrackId};
use crate::core::mutation::mutated;

/// How many past synchronisations can still be asked about (NACK).
const EPOCHS: usize = 4;
/// A jump of more packets is a new start, not loss: no receiver waits for so many, and a jump of 2^15 would lose its
/// roll-over counter.
const JUMP: u64 = 8192;
/// The same where a new start costs nothing. Jumps add up while a receiver cannot be reached.
const JUMP_WITHOUT_KEYFRAME: u64 = 1024;

/// Which stretch of which track a packet belongs to. A new stretch begins whenever what came before cannot be
/// continued: another layer, a mute, a new SSRC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The track.
    pub track: TrackId,
    /// Where it is kept.
    pub publication: PublicationKey,
    /// Counts the track's stretches.
    pub generation: u64,
}

/// What of a cached packet the munger looks at.
#[derive(Debug, Clone, Copy)]
pub struct Incoming {
    /// Extended sequence number within the publication.
    pub index: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Whether a decoder can begin here.
    pub starts_keyframe: bool,
    /// The payload's counters.
    pub counters: FrameCounters,
}

/// How a packet looks on the way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewrite {
    /// SRTP index: roll-over counter and sequence number.
    pub index: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// The payload's counters.
    pub counters: FrameCounters,
    /// Whether this is the first packet after a synchronisation.
    pub first: bool,
}

/// One synchronisation: constant offsets from a stretch to the slot.
#[derive(Debug, Clone, Copy)]
struct Epoch {
    stretch: Stretch,
    first_in: u64,
    first_out: u64,
    timestamp_offset: u32,
    picture_id_offset: u16,
    tl0_offset: u8,
    frame_number_offset: u16,
}

impl Epoch {
    fn rewrite(&self, incoming: &Incoming) -> Option<Rewrite> {
        let since = incoming.index.checked_sub(self.first_in)?;
        let counters = incoming.counters;
        Some(Rewrite {
            index: self.first_out + since,
            timestamp: incoming.timestamp.wrapping_add(self.timestamp_offset),
            counters: FrameCounters {
                picture_id: counters.picture_id.map(|id| id.wrapping_add(self.picture_id_offset)),
                tl0_picture_index: counters.tl0_picture_index.map(|id| id.wrapping_add(self.tl0_offset)),
                frame_number: counters.frame_number.map(|id| id.wrapping_add(self.frame_number_offset)),
            },
            first: false,
        })
    }
}

/// What the slot has sent last, across all sources.
#[derive(Debug, Clone, Copy)]
struct Latest {
    /// The next SRTP index, greater than all that were used.
    next_index: u64,
    timestamp: u32,
    at: Instant,
    picture_id: u16,
    tl0_picture_index: u8,
    frame_number: u16,
}

/// Keeps one slot's stream continuous.
#[derive(Debug)]
pub struct Munger {
    clock_rate: u32,
    needs_keyframe: bool,
    latest: Latest,
    /// The promise of a slot map: the next source begins at this timestamp, which stood for that moment.
    promised: Option<(u32, Instant)>,
    synced: bool,
    highest_in: u64,
    epochs: [Option<Epoch>; EPOCHS],
}

fn ticks(clock_rate: u32, elapsed: Duration) -> u32 {
    let ticks = elapsed.as_micros() * u128::from(clock_rate) / 1_000_000;
    // Wraps as timestamps do.
    ticks as u32
}

impl Munger {
    /// A stream that begins at that sequence number and timestamp.
    pub fn new(now: Instant, clock_rate: u32, needs_keyframe: bool, sequence: u16, timestamp: u32) -> Self {
        Self {
            clock_rate,
            needs_keyframe,
            latest: Latest {
                next_index: u64::from(sequence),
                timestamp,
                at: now,
                // So that the first picture has id 1: any start is right.
                picture_id: 0,
                tl0_picture_index: 0,
                frame_number: 0,
            },
            promised: None,
            synced: false,
            highest_in: 0,
            epochs: [None; EPOCHS],
        }
    }

    /// The next source's packets will have this timestamp or a later one, and all before it an earlier one.
    pub fn promise(&mut self, now: Instant) -> u32 {
        let from =
            self.latest.timestamp.wrapping_add(ticks(self.clock_rate, now - self.latest.at)).wrapping_add(1);
        self.promised = Some((from, now));
        self.synced = false;
        from
    }

    /// What was being forwarded ends; the next packet that can be decoded begins anew.
    pub fn desynchronise(&mut self) {
        self.synced = false;
    }

    /// Whether packets of that stretch flow.
    pub fn is_synchronised(&self, stretch: Stretch) -> bool {
        self.synced && self.epochs[0].is_some_and(|epoch| epoch.stretch == stretch)
    }

    /// What is added to the source's timestamps just now.
    pub fn timestamp_offset(&self) -> Option<u32> {
        if self.synced { self.epochs[0].map(|epoch| epoch.timestamp_offset) } else { None }
    }

    /// Where a packet goes in the slot's stream; `None`: it cannot be shown.
    pub fn forward(&mut self, now: Instant, stretch: Stretch, incoming: &Incoming) -> Option<Rewrite> {
        let jump = if self.needs_keyframe { JUMP } else { JUMP_WITHOUT_KEYFRAME };
        let jumped = incoming.index.abs_diff(self.highest_in) > jump;
        let first = !self.is_synchronised(stretch) || jumped;
        if first {
            if self.needs_keyframe && !incoming.starts_keyframe && !mutated!(KeyframeNotAwaited) {
                self.synced = false;
                return None;
            }
            self.synchronise(now, stretch, incoming);
        }
        let mut rewrite = self.epochs[0]?.rewrite(incoming)?;
        rewrite.first = first;
        self.highest_in = self.highest_in.max(incoming.index);
        self.remember(now, &rewrite);
        Some(rewrite)
    }

    /// Which packet one of our sequence numbers stands for, and how it looked.
    pub fn origin(&self, sequence: u16) -> Option<(Stretch, u64)> {
        let last = self.latest.next_index.checked_sub(1)?;
        // The newest index with these 16 bits that is not newer than what was sent.
        let back = (last as u16).wrapping_sub(sequence);
        let index = last.checked_sub(u64::from(back))?;
        let index = if mutated!(RepeatOfWrongPacket) { index.checked_sub(1)? } else { index };
        let epoch = self.epochs.iter().flatten().find(|epoch| epoch.first_out <= index)?;
        Some((epoch.stretch, epoch.first_in + (index - epoch.first_out)))
    }

    /// How a packet that was sent before looked then.
    pub fn again(&self, stretch: Stretch, incoming: &Incoming) -> Option<Rewrite> {
        self.epochs.iter().flatten().filter(|epoch| epoch.stretch == stretch).find_map(|epoch| {
            let rewrite = epoch.rewrite(incoming)?;
            (rewrite.index < self.latest.next_index).then_some(rewrite)
        })
    }

    fn synchronise(&mut self, now: Instant, stretch: Stretch, incoming: &Incoming) {
        let latest = &self.latest;
        let timestamp = match self.promised.take() {
            Some((from, at)) => from.wrapping_add(ticks(self.clock_rate, now - at)),
            None => latest.timestamp.wrapping_add(ticks(self.clock_rate, now - latest.at).max(1)),
        };
        let timestamp = if mutated!(TimestampNotMoved) { incoming.timestamp } else { timestamp };
        let counters = incoming.counters;
        let mut epoch = Epoch {
            stretch,
            first_in: incoming.index,
            first_out: latest.next_index,
            timestamp_offset: timestamp.wrapping_sub(incoming.timestamp),
            picture_id_offset: (latest.picture_id.wrapping_add(1))
                .wrapping_sub(counters.picture_id.unwrap_or(0)),
            tl0_offset: (latest.tl0_picture_index.wrapping_add(1))
                .wrapping_sub(counters.tl0_picture_index.unwrap_or(0)),
            frame_number_offset: (latest.frame_number.wrapping_add(1))
                .wrapping_sub(counters.frame_number.unwrap_or(0)),
        };
        if mutated!(SequenceOffByOne) {
            epoch.first_out += 1;
        }
        if mutated!(PictureIdNotContinued) {
            epoch.picture_id_offset = 0;
        }
        if mutated!(FrameNumberNotContinued) {
            epoch.frame_number_offset = 0;
        }
        self.epochs.rotate_right(1);
        self.epochs[0] = Some(epoch);
        self.highest_in = incoming.index;
        self.synced = true;
    }

    fn remember(&mut self, now: Instant, rewrite: &Rewrite) {
        let latest = &mut self.latest;
        if rewrite.index < latest.next_index {
            return;
        }
        latest.next_index = rewrite.index + 1;
        latest.at = now;
        if rewrite.timestamp.wrapping_sub(latest.timestamp) < 0x8000_0000 {
            latest.timestamp = rewrite.timestamp;
        }
        // The newest packet has the newest counters, also behind a gap of half their range.
        if let Some(id) = rewrite.counters.picture_id {
            latest.picture_id = id & 0x7fff;
        }
        if let Some(id) = rewrite.counters.tl0_picture_index {
            latest.tl0_picture_index = id;
        }
        if let Some(id) = rewrite.counters.frame_number {
            latest.frame_number = id;
        }
    }
}

//! Munger: makes one continuous stream out of sources that come and go. We add no gap to the sequence numbers,
//! timestamps follow the clock, and picture ids, TL0PICIDX and frame numbers go on counting.
//!
//! A packet gets its numbers when it is selected for the slot. Between two synchronisations all numbers are moved by a
//! constant offset. So a packet that was lost, late or out of order on its way here is so for the receiver, too, and
//! each sequence number that we sent leads back to the packet that it stands for.
//!
//! **Packets of layers that are left out** get no number, and those behind close up: there the offset changes, and a new
//! *segment* of the stream begins. What was lost before is still missing, because nobody knows whether it was to be left
//! out. If it comes late and is, its number has been given already, and goes out with padding alone. VP8's picture ids
//! close up, too, because receivers wait for every one of them. VP9's do not, because pictures refer to each other by
//! their distance, and for the same reason the frame numbers of the dependency descriptor never do.
//!
//! **A switch to another encoding** of the same track is a synchronisation at a key frame. The encodings of a simulcast
//! count time from random values, so the caller says how far apart their clocks are, if it knows; then the timestamps
//! go on as if there were one clock. Otherwise, and for another track, the timestamps advance by the time that has
//! passed here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::descriptor::FrameCounters;
use crate::core::ids::{EncodingIndex, PublicationKey, TrackId};
use crate::core::media::layers::Selection;
use crate::core::mutation::mutated;

/// How many synchronisations are remembered, so that a NACK about packets from before the last one can be answered.
const EPOCHS: usize = 4;
/// How many segments are remembered for the same purpose, once packets are left out. Layers alternate with the pictures,
/// so that this is about two seconds of 120 pictures each.
const SEGMENTS: usize = 256;
/// A jump of more packets is treated as a new start, not as loss: no receiver waits for that many packets, and with a
/// jump of 2^15 it would get the roll-over counter wrong.
const JUMP: u64 = 8192;
/// The same for streams that need no key frame to start anew. It is smaller because jumps add up while a receiver
/// cannot be reached.
const JUMP_WITHOUT_KEYFRAME: u64 = 1024;

/// Which stretch of which encoding a packet belongs to. A new stretch begins whenever what came before cannot be
/// continued: after a mute, with a new SSRC or another codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The track that the packet belongs to.
    pub track: TrackId,
    /// The publication that keeps the packet.
    pub publication: PublicationKey,
    /// The encoding of the track.
    pub encoding: EncodingIndex,
    /// Counts the encoding's stretches.
    pub generation: u32,
}

/// What the munger looks at in a packet of the source.
#[derive(Debug, Clone, Copy)]
pub struct SourcePacket {
    /// The packet's number in its encoding's receive index space.
    pub index: u64,
    /// The publisher's RTP timestamp.
    pub timestamp: u32,
    /// Whether a decoder can begin here.
    pub starts_keyframe: bool,
    /// The counters in the payload.
    pub counters: FrameCounters,
}

/// How a packet looks on the way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewrite {
    /// SRTP index: roll-over counter and sequence number.
    pub index: u64,
    /// The slot's RTP timestamp.
    pub timestamp: u32,
    /// The counters to write into the payload.
    pub counters: FrameCounters,
    /// Whether this is the first packet after a synchronisation.
    pub first: bool,
    /// What was forwarded of the stream when the packet was.
    pub selection: Selection,
}

/// A part of an epoch in which nothing was left out.
#[derive(Debug, Clone, Copy)]
struct Segment {
    /// The epoch's number.
    epoch: u32,
    first_in: u64,
    first_out: u64,
    picture_id_offset: u16,
    selection: Selection,
}

impl Segment {
    /// The number of a packet of this segment.
    fn number(&self, index: u64) -> Option<u64> {
        Some(self.first_out + index.checked_sub(self.first_in)?)
    }
}

/// One synchronisation: constant offsets from a stretch to the slot.
#[derive(Debug, Clone, Copy)]
struct Epoch {
    stretch: Stretch,
    /// The highest index of the stretch that was forwarded or left out.
    highest_in: u64,
    /// The index of its first packet.
    began_in: u64,
    /// The first number of the epoch.
    began_out: u64,
    timestamp_offset: u32,
    tl0_offset: u8,
    frame_number_offset: u16,
    /// The newest segment.
    segment: Segment,
    /// The picture that was left out last.
    left_out: Option<u16>,
}

impl Epoch {
    fn rewrite(&self, segment: &Segment, packet: &SourcePacket) -> Option<Rewrite> {
        let counters = packet.counters;
        let frame_number_offset = if mutated!(DdRenumbered) {
            self.frame_number_offset.wrapping_add(segment.picture_id_offset)
        } else {
            self.frame_number_offset
        };
        Some(Rewrite {
            index: segment.number(packet.index)?,
            timestamp: packet.timestamp.wrapping_add(self.timestamp_offset),
            counters: FrameCounters {
                picture_id: counters.picture_id.map(|id| id.wrapping_add(segment.picture_id_offset)),
                tl0_picture_index: counters.tl0_picture_index.map(|id| id.wrapping_add(self.tl0_offset)),
                frame_number: counters.frame_number.map(|id| id.wrapping_add(frame_number_offset)),
            },
            first: false,
            selection: segment.selection,
        })
    }
}

/// What the slot sent last, whatever the source was.
#[derive(Debug, Clone, Copy)]
struct Latest {
    /// The next SRTP index, greater than all used before.
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
    /// What a slot map has promised: the next source begins at this timestamp or later. The moment is that of the
    /// promise.
    promised: Option<(u32, Instant)>,
    synced: bool,
    epochs: [Option<Epoch>; EPOCHS],
    /// How many synchronisations there were.
    epochs_begun: u32,
    /// The segments before the newest ones of the epochs, oldest first. Empty until something is left out.
    segments: VecDeque<Segment>,
    /// What is forwarded of the stream from now on.
    selection: Selection,
}

fn ticks(clock_rate: u32, elapsed: Duration) -> u32 {
    let ticks = elapsed.as_micros() * u128::from(clock_rate) / 1_000_000;
    // Wraps as timestamps do.
    ticks as u32
}

impl Munger {
    /// Makes a stream that begins at that sequence number and timestamp.
    pub fn new(now: Instant, clock_rate: u32, needs_keyframe: bool, sequence: u16, timestamp: u32) -> Self {
        Self {
            clock_rate,
            needs_keyframe,
            latest: Latest {
                next_index: u64::from(sequence),
                timestamp,
                at: now,
                // The first picture gets id 1; any start would do.
                picture_id: 0,
                tl0_picture_index: 0,
                frame_number: 0,
            },
            promised: None,
            synced: false,
            epochs: [None; EPOCHS],
            epochs_begun: 0,
            segments: VecDeque::new(),
            selection: Selection::ALL,
        }
    }

    /// Promises a timestamp for a slot map: packets of the next source will have this timestamp or a later one, and all
    /// packets before have an earlier one. Returns it.
    pub fn promise(&mut self, now: Instant) -> u32 {
        let from =
            self.latest.timestamp.wrapping_add(ticks(self.clock_rate, now - self.latest.at)).wrapping_add(1);
        self.promised = Some((from, now));
        self.synced = false;
        from
    }

    /// Ends what was being forwarded. The next packet at which a decoder can begin starts a new synchronisation.
    pub fn desynchronise(&mut self) {
        self.synced = false;
    }

    /// Whether packets of that stretch are being forwarded.
    pub fn is_synchronised(&self, stretch: Stretch) -> bool {
        self.synced && self.epochs[0].as_ref().is_some_and(|epoch| epoch.stretch == stretch)
    }

    /// Returns the stretch that is being forwarded, and what is added to its timestamps.
    pub fn flowing(&self) -> Option<(Stretch, u32)> {
        let epoch = self.epochs[0].as_ref().filter(|_| self.synced)?;
        Some((epoch.stretch, epoch.timestamp_offset))
    }

    /// Returns with which packet of its stretch that which is being forwarded began.
    pub fn began_with(&self) -> Option<u64> {
        self.epochs[0].as_ref().filter(|_| self.synced).map(|epoch| epoch.began_in)
    }

    /// Finds a packet's place in the slot's stream; `None` if it cannot be shown. If the packet is of another encoding
    /// than the one being forwarded, `clock_offset` converts its timestamp to that encoding's clock, by addition;
    /// `None` if the offset is not known.
    #[inline]
    pub fn rewrite(
        &mut self,
        now: Instant,
        stretch: Stretch,
        clock_offset: Option<u32>,
        packet: &SourcePacket,
    ) -> Option<Rewrite> {
        let first = !self.continues(stretch, packet.index);
        if first && !self.begin_with(now, stretch, clock_offset, packet) {
            return None;
        }
        let epoch = self.epochs[0].as_mut()?;
        // Nearly every packet is of the newest segment.
        let mut rewrite = if packet.index >= epoch.segment.first_in {
            epoch.rewrite(&epoch.segment, packet)?
        } else {
            let epoch = *epoch;
            epoch.rewrite(&self.segment_of(&epoch, packet.index)?, packet)?
        };
        rewrite.first = first;
        if let Some(epoch) = &mut self.epochs[0] {
            epoch.highest_in = epoch.highest_in.max(packet.index);
        }
        self.remember(now, &rewrite);
        Some(rewrite)
    }

    /// Returns the sequence number of the newest packet; `None` if nothing was sent yet.
    pub fn newest(&self) -> Option<u16> {
        self.epochs[0]?;
        Some(self.latest.next_index.checked_sub(1)? as u16)
    }

    /// Returns the timestamp of the newest packet.
    pub fn timestamp(&self) -> u32 {
        self.latest.timestamp
    }

    /// Returns whether a packet is newer than all of its stretch before it, as far as that flows.
    pub fn is_newest(&self, stretch: Stretch, index: u64) -> bool {
        !self.continues(stretch, index)
            || self.epochs[0].as_ref().is_none_or(|epoch| index > epoch.highest_in)
    }

    /// Notes what is forwarded from a packet on, if it is the newest of its stretch.
    #[inline]
    pub fn select(&mut self, stretch: Stretch, index: u64, selection: Selection) {
        if self.selection == selection || !self.is_newest(stretch, index) {
            return;
        }
        self.selection = selection;
        if self.continues(stretch, index) {
            self.begin_segment(index, 0);
        }
    }

    /// Returns what was forwarded of a stretch where an earlier packet belongs; `None` if it has no place in what flows.
    pub fn selection_at(&self, stretch: Stretch, index: u64) -> Option<Selection> {
        if !self.continues(stretch, index) {
            return None;
        }
        let epoch = self.epochs[0].as_ref()?;
        self.segment_of(epoch, index).map(|segment| segment.selection)
    }

    /// Leaves out a packet of a layer that is not forwarded. What follows closes up, and its picture ids do if
    /// `closes_pictures`. If something behind the packet has been sent, its number has been given to it: returns where it
    /// belongs, so that padding goes there.
    pub fn leave_out(
        &mut self,
        stretch: Stretch,
        packet: &SourcePacket,
        closes_pictures: bool,
    ) -> Option<Rewrite> {
        if !self.continues(stretch, packet.index) {
            return None;
        }
        let epoch = self.epochs[0].as_mut()?;
        if packet.index <= epoch.highest_in {
            let epoch = *epoch;
            let rewrite = epoch.rewrite(&self.segment_of(&epoch, packet.index)?, packet)?;
            self.latest.next_index = self.latest.next_index.max(rewrite.index + 1);
            return Some(rewrite);
        }
        epoch.highest_in = packet.index;
        let picture = if mutated!(DdRenumbered) { packet.counters.frame_number } else { None };
        let picture = picture.or(packet.counters.picture_id.filter(|_| closes_pictures));
        let is_other = picture.is_some() && epoch.left_out != picture && !mutated!(PictureIdNotCompacted);
        epoch.left_out = picture;
        self.begin_segment(packet.index + 1, 1);
        if let Some(epoch) = self.epochs[0].as_mut().filter(|_| is_other) {
            epoch.segment.picture_id_offset = epoch.segment.picture_id_offset.wrapping_sub(1);
        }
        None
    }

    /// Begins a segment of the newest epoch with a packet, `left_out` of those before having no number.
    fn begin_segment(&mut self, index: u64, left_out: u64) {
        let selection = self.selection;
        let Some(Epoch { segment, .. }) = &mut self.epochs[0] else { return };
        let Some(first_out) = segment.number(index).and_then(|number| number.checked_sub(left_out)) else {
            return;
        };
        let before = *segment;
        *segment = Segment { first_in: index, first_out, selection, ..before };
        // Nothing belongs to a segment that ends where it began.
        if first_out > before.first_out {
            if self.segments.capacity() == 0 {
                self.segments.reserve_exact(SEGMENTS);
            }
            if self.segments.len() == SEGMENTS {
                self.segments.pop_front();
            }
            self.segments.push_back(before);
        }
    }

    /// Returns the segment of an epoch that a packet belongs to; `None` if the packet was left out, or is from before what is
    /// remembered.
    fn segment_of(&self, epoch: &Epoch, index: u64) -> Option<Segment> {
        if index >= epoch.segment.first_in {
            return Some(epoch.segment);
        }
        let key = (epoch.segment.epoch, index);
        let behind = self.segments.partition_point(|one| (one.epoch, one.first_in) <= key);
        let segment = self.segments.get(behind.checked_sub(1)?).filter(|one| one.epoch == key.0)?;
        let next = self.segments.get(behind).filter(|one| one.epoch == key.0).unwrap_or(&epoch.segment);
        segment.number(index).filter(|number| *number < next.first_out)?;
        Some(*segment)
    }

    /// Returns whether a packet goes on with the stretch that flows, as nearly every packet does.
    pub fn continues(&self, stretch: Stretch, index: u64) -> bool {
        let goes_on = |epoch: &Epoch| epoch.stretch == stretch && !self.is_jump(epoch.highest_in, index);
        self.synced && self.epochs[0].as_ref().is_some_and(goes_on)
    }

    /// Makes the slot's stream go on with a packet that does not continue what flows. Returns `false` if it cannot be shown.
    fn begin_with(
        &mut self,
        now: Instant,
        stretch: Stretch,
        clock_offset: Option<u32>,
        packet: &SourcePacket,
    ) -> bool {
        // A key frame may have been lost or overtaken on its way here, and come behind frames that were shown before
        // the interruption. Beginning with it would take the decoder back in time.
        if let Some(highest) = self.highest_of(stretch)
            && packet.index <= highest
            && !self.is_jump(highest, packet.index)
        {
            return false;
        }
        if self.needs_keyframe && !packet.starts_keyframe && !mutated!(KeyframeNotAwaited) {
            self.synced = false;
            return false;
        }
        self.synchronise(now, stretch, clock_offset, packet);
        true
    }

    /// Whether so much lies between two packets of a stretch that the later one is a new start, and not one behind a loss.
    fn is_jump(&self, from: u64, to: u64) -> bool {
        let most = if self.needs_keyframe { JUMP } else { JUMP_WITHOUT_KEYFRAME };
        from.abs_diff(to) > most
    }

    /// Returns the highest index of a stretch that was forwarded; `None` if nothing of it was, as far as is remembered.
    fn highest_of(&self, stretch: Stretch) -> Option<u64> {
        self.epochs.iter().flatten().find(|epoch| epoch.stretch == stretch).map(|epoch| epoch.highest_in)
    }

    /// Returns the packet that we sent with a sequence number: its stretch, and its index there. `None` if that is too
    /// long ago.
    pub fn origin(&self, sequence: u16) -> Option<(Stretch, u64)> {
        let last = self.latest.next_index.checked_sub(1)?;
        // The newest index with these low 16 bits that has been sent.
        let back = (last as u16).wrapping_sub(sequence);
        let index = last.checked_sub(u64::from(back))?;
        let index = if mutated!(RepeatOfWrongPacket) { index.checked_sub(1)? } else { index };
        let epoch = self.epochs.iter().flatten().find(|epoch| epoch.began_out <= index)?;
        let segment = if epoch.segment.first_out <= index {
            epoch.segment
        } else {
            let behind = self.segments.partition_point(|one| one.first_out <= index);
            *self.segments.get(behind.checked_sub(1)?).filter(|one| one.epoch == epoch.segment.epoch)?
        };
        Some((epoch.stretch, segment.first_in + (index - segment.first_out)))
    }

    /// Returns how a packet looked when it was sent before, for a retransmission; `None` if it was not sent or is not
    /// remembered.
    pub fn again(&self, stretch: Stretch, packet: &SourcePacket) -> Option<Rewrite> {
        self.epochs.iter().flatten().filter(|epoch| epoch.stretch == stretch).find_map(|epoch| {
            let rewrite = epoch.rewrite(&self.segment_of(epoch, packet.index)?, packet)?;
            (rewrite.index < self.latest.next_index).then_some(rewrite)
        })
    }

    fn synchronise(
        &mut self,
        now: Instant,
        stretch: Stretch,
        clock_offset: Option<u32>,
        packet: &SourcePacket,
    ) {
        let latest = &self.latest;
        let timestamp = match self.promised.take() {
            Some((from, at)) => from.wrapping_add(ticks(self.clock_rate, now - at)),
            None => self
                .timestamp_by_source(now, stretch, clock_offset, packet)
                .unwrap_or_else(|| latest.timestamp.wrapping_add(self.ticks_since_latest(now))),
        };
        let timestamp = if mutated!(TimestampNotMoved) { packet.timestamp } else { timestamp };
        let counters = packet.counters;
        self.epochs_begun = self.epochs_begun.wrapping_add(1);
        let mut epoch = Epoch {
            stretch,
            highest_in: packet.index,
            began_in: packet.index,
            began_out: latest.next_index,
            timestamp_offset: timestamp.wrapping_sub(packet.timestamp),
            segment: Segment {
                epoch: self.epochs_begun,
                first_in: packet.index,
                first_out: latest.next_index,
                picture_id_offset: (latest.picture_id.wrapping_add(1))
                    .wrapping_sub(counters.picture_id.unwrap_or(0)),
                selection: self.selection,
            },
            left_out: None,
            tl0_offset: (latest.tl0_picture_index.wrapping_add(1))
                .wrapping_sub(counters.tl0_picture_index.unwrap_or(0)),
            frame_number_offset: (latest.frame_number.wrapping_add(1))
                .wrapping_sub(counters.frame_number.unwrap_or(0)),
        };
        if mutated!(SequenceOffByOne) {
            (epoch.began_out, epoch.segment.first_out) = (epoch.began_out + 1, epoch.segment.first_out + 1);
        }
        if mutated!(PictureIdNotContinued) {
            epoch.segment.picture_id_offset = 0;
        }
        if mutated!(FrameNumberNotContinued) {
            epoch.frame_number_offset = 0;
        }
        self.epochs.rotate_right(1);
        self.epochs[0] = Some(epoch);
        self.synced = true;
    }

    /// Returns the timestamp that continues the slot's stream after a switch between two encodings of one track whose
    /// clocks differ by `clock_offset`.
    fn timestamp_by_source(
        &self,
        now: Instant,
        stretch: Stretch,
        clock_offset: Option<u32>,
        packet: &SourcePacket,
    ) -> Option<u32> {
        let (flowing, timestamp_offset) = self.flowing()?;
        let same_track = (flowing.track, flowing.publication) == (stretch.track, stretch.publication);
        if !same_track || flowing.encoding == stretch.encoding {
            return None;
        }
        let timestamp = packet.timestamp.wrapping_add(clock_offset?).wrapping_add(timestamp_offset);
        // The key frame may show the same moment as the last picture of the old encoding, or an earlier one. It still
        // needs a timestamp of its own; one tick later is enough, and nobody sees the difference.
        let ahead = i64::from(timestamp.wrapping_sub(self.latest.timestamp) as i32).max(1);
        // Nonsense in sender reports must not throw the slot's clock off.
        let off = ahead.abs_diff(i64::from(self.ticks_since_latest(now)));
        (off <= u64::from(self.clock_rate)).then(|| self.latest.timestamp.wrapping_add(ahead as u32))
    }

    /// Returns how far the slot's clock has advanced since the last packet, by one tick at least.
    fn ticks_since_latest(&self, now: Instant) -> u32 {
        ticks(self.clock_rate, now - self.latest.at).max(1)
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
        // The counters are taken from the newest packet without comparing them: after a long gap they may have wrapped.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_that_comes_late_does_not_take_a_viewer_back() {
        let now = Instant::now();
        let stretch = Stretch {
            track: TrackId(1),
            publication: PublicationKey(0),
            generation: 0,
            encoding: EncodingIndex(0),
        };
        let packet = |index: u64, starts_keyframe| SourcePacket {
            index,
            timestamp: index as u32 * 3000,
            starts_keyframe,
            counters: FrameCounters::default(),
        };
        let mut munger = Munger::new(now, 90_000, true, 100, 0);
        let index_of = |rewrite: Option<Rewrite>| rewrite.map(|rewrite| rewrite.index);
        assert_eq!(index_of(munger.rewrite(now, stretch, None, &packet(10, true))), Some(100));
        // The key frame at 11 is lost on its way here. What follows it is forwarded, and then the viewer pauses.
        assert_eq!(index_of(munger.rewrite(now, stretch, None, &packet(12, false))), Some(102));
        munger.desynchronise();
        // They resume, and the publisher sends the lost key frame again.
        assert_eq!(index_of(munger.rewrite(now, stretch, None, &packet(11, true))), None);
        // The next key frame is newer than all that was shown.
        assert_eq!(index_of(munger.rewrite(now, stretch, None, &packet(13, false))), None);
        assert_eq!(index_of(munger.rewrite(now, stretch, None, &packet(14, true))), Some(103));
    }
}

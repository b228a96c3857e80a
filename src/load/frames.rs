//! Computes what a viewer of one video stream would see: which frames can be decoded, and when the picture stands
//! still.
//!
//! A frame can be decoded when all its packets are there and the frame before it was decoded, or when it is a key
//! frame. The picture is frozen when no frame could be decoded for longer than three frame intervals, and longer than
//! one interval and 150 ms: libwebrtc's rule (`freezeCount` of webrtc-stats), with the interval that was sent.

use std::collections::VecDeque;

/// How many frames can be incomplete at a time. Beyond that the oldest is given up.
const FRAMES_UNDER_WAY: usize = 8;
/// The time that is added to one frame interval.
const FREEZE_EXTRA_NANOS: u64 = 150_000_000;
/// The most packets of a frame.
pub(super) const PACKETS_PER_FRAME_MAX: u8 = 64;

/// A packet's place in its stream, by frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FramePart {
    /// The number of the frame, as the sender counts.
    pub frame: u32,
    /// The number of the packet in its frame.
    pub index: u8,
    /// How many packets the frame has.
    pub count: u8,
    /// Whether it needs no other frame.
    pub key: bool,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    part: FramePart,
    present: u64,
}

impl Frame {
    fn is_complete(&self) -> bool {
        self.present.count_ones() == u32::from(self.part.count)
    }
}

/// Follows one video stream.
#[derive(Debug)]
pub(super) struct FrameTracker {
    interval: u64,
    /// The incomplete frames, in the order of their numbers.
    under_way: VecDeque<Frame>,
    decoded_last: Option<u32>,
    /// When the last frame was shown, or when counting began.
    shown_at: Option<u64>,
    /// Frames decoded since counting began.
    pub decoded: u64,
    /// Times that the picture stood still since then.
    pub freezes: u64,
    /// For how long in all, nanoseconds.
    pub frozen: u64,
    /// The longest time without a new frame since then, nanoseconds.
    pub longest: u64,
}

impl FrameTracker {
    /// Returns a tracker for a stream that sends a frame every `interval` nanoseconds.
    pub(super) fn new(interval: u64) -> Self {
        Self {
            interval,
            under_way: VecDeque::with_capacity(FRAMES_UNDER_WAY + 1),
            decoded_last: None,
            shown_at: None,
            decoded: 0,
            freezes: 0,
            frozen: 0,
            longest: 0,
        }
    }

    /// Begins to count at `now`.
    pub(super) fn begin(&mut self, now: u64) {
        (self.decoded, self.freezes, self.frozen, self.longest) = (0, 0, 0, 0);
        self.shown_at = Some(now);
    }

    /// Ends counting at `now`. A picture that stands still at that moment counts too.
    pub(super) fn finish(&mut self, now: u64) {
        self.gap(now);
    }

    /// Takes a packet, and returns whether at least one frame could be decoded with it.
    pub(super) fn on_packet(&mut self, now: u64, part: FramePart) -> bool {
        if part.index >= PACKETS_PER_FRAME_MAX || self.is_behind(part.frame) {
            return false;
        }
        let place = self.under_way.partition_point(|other| is_before(other.part.frame, part.frame));
        match self.under_way.get_mut(place) {
            Some(frame) if frame.part.frame == part.frame => frame.present |= 1 << part.index,
            _ => self.under_way.insert(place, Frame { part, present: 1 << part.index }),
        }
        // The oldest frame is given up, because a decoder does not wait for ever either.
        if self.under_way.len() > FRAMES_UNDER_WAY {
            self.under_way.pop_front();
        }
        let before = self.decoded_last;
        self.decode(now);
        self.decoded_last != before
    }

    /// Returns whether only a key frame helps: two newer frames are complete, so what is missing before them is lost.
    pub(super) fn needs_keyframe(&self) -> bool {
        self.under_way.iter().filter(|frame| frame.is_complete()).count() >= 2
    }

    fn is_behind(&self, frame: u32) -> bool {
        self.decoded_last.is_some_and(|last| !is_before(last, frame))
    }

    fn decode(&mut self, now: u64) {
        while let Some(place) = self.next_decodable() {
            // Frames in front of a key frame are skipped, as a decoder skips them.
            self.decoded_last = self.under_way.get(place).map(|frame| frame.part.frame);
            self.under_way.drain(..=place);
            self.decoded += 1;
            self.gap(now);
        }
    }

    fn next_decodable(&self) -> Option<usize> {
        self.under_way.iter().position(|frame| {
            let follows = self.decoded_last.is_some_and(|last| last.wrapping_add(1) == frame.part.frame);
            frame.is_complete() && (frame.part.key || follows)
        })
    }

    /// Ends the time since the last frame was shown, and counts it as a freeze if it was too long.
    fn gap(&mut self, now: u64) {
        if let Some(shown_at) = self.shown_at.replace(now) {
            let gap = now.saturating_sub(shown_at);
            self.longest = self.longest.max(gap);
            if gap > (3 * self.interval).max(self.interval + FREEZE_EXTRA_NANOS) {
                self.freezes += 1;
                self.frozen += gap;
            }
        }
    }
}

/// Returns whether frame `a` comes before frame `b`, also where numbers wrap around.
fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn part(frame: u32, index: u8, key: bool) -> FramePart {
        FramePart { frame, index, count: 3, key }
    }

    /// All packets of a frame at once.
    fn whole(tracker: &mut FrameTracker, now: u64, frame: u32, key: bool) -> bool {
        (0..3).filter(|index| tracker.on_packet(now, part(frame, *index, key))).count() > 0
    }

    #[test]
    fn a_steady_stream_never_freezes() {
        let mut tracker = FrameTracker::new(40 * MS);
        tracker.begin(0);
        for frame in 0..100 {
            assert!(whole(&mut tracker, u64::from(frame) * 40 * MS, frame, frame == 0));
        }
        tracker.finish(100 * 40 * MS);
        assert_eq!((tracker.decoded, tracker.freezes, tracker.frozen), (100, 0, 0));
        assert_eq!(tracker.longest, 40 * MS);
    }

    #[test]
    fn a_pause_is_a_freeze_only_beyond_150_ms_over_the_interval() {
        let mut tracker = FrameTracker::new(40 * MS);
        whole(&mut tracker, 0, 0, true);
        whole(&mut tracker, 190 * MS, 1, false);
        assert_eq!(tracker.freezes, 0);
        whole(&mut tracker, 381 * MS, 2, false);
        assert_eq!((tracker.freezes, tracker.frozen), (1, 191 * MS));
        let mut slow = FrameTracker::new(200 * MS);
        whole(&mut slow, 0, 0, true);
        whole(&mut slow, 600 * MS, 1, false);
        assert_eq!(slow.freezes, 0, "three intervals are more");
    }

    #[test]
    fn after_a_lost_packet_only_a_key_frame_helps() {
        let mut tracker = FrameTracker::new(40 * MS);
        assert!(whole(&mut tracker, 0, 0, true));
        assert!(!tracker.on_packet(40 * MS, part(1, 0, false)), "the rest is lost");
        assert!(!whole(&mut tracker, 80 * MS, 2, false));
        assert!(!tracker.needs_keyframe(), "it could still be late");
        assert!(!whole(&mut tracker, 120 * MS, 3, false));
        assert!(tracker.needs_keyframe());
        assert!(whole(&mut tracker, 400 * MS, 4, true));
        assert_eq!((tracker.decoded, tracker.freezes, tracker.frozen), (2, 1, 400 * MS));
        assert!(!tracker.needs_keyframe());
        assert!(!tracker.on_packet(401 * MS, part(1, 1, false)), "too late");
    }

    #[test]
    fn reordering_within_and_between_frames_loses_nothing() {
        let mut tracker = FrameTracker::new(40 * MS);
        whole(&mut tracker, 0, u32::MAX, true);
        for (frame, index) in [(1, 0), (0, 2), (1, 2), (0, 0), (1, 1), (0, 1)] {
            tracker.on_packet(40 * MS, part(frame, index, false));
        }
        assert_eq!((tracker.decoded, tracker.freezes), (3, 0));
    }

    #[test]
    fn a_stream_that_stops_is_frozen_at_the_end() {
        let mut tracker = FrameTracker::new(40 * MS);
        whole(&mut tracker, 0, 0, true);
        tracker.begin(1000 * MS);
        tracker.finish(3000 * MS);
        assert_eq!((tracker.freezes, tracker.frozen, tracker.longest), (1, 2000 * MS, 2000 * MS));
    }
}

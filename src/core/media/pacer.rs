//! Pacer: spreads video over time where the network to a client is known to be narrow. A key frame is many times as large
//! as the frames around it. Sent at once it fills the queue of the narrowest link, where it delays audio or is lost.
//!
//! What is sent may be a little more than the network is estimated to carry, so that a queue here empties; and a burst that
//! comes in `BURST` leaves at once, so that nothing waits where the network has room. What is beyond that waits here, as a
//! list of what is to be forwarded: the bytes stay in the cache of the encoding, and a packet gets its numbers when it
//! leaves, so that one that is dropped leaves no hole.
//!
//! Audio, reports and what was asked for again never wait. They use up the budget all the same.

use std::collections::VecDeque;

use super::bucket::{Bucket, bits_in};
use crate::core::bandwidth::{BitRate, MILLISECOND, Micros};
use crate::core::ids::{EncodingIndex, PublicationKey, TrackId};
use crate::core::media::layers::Choice;

/// What leaves at once: what comes at the rate in this time.
const BURST: Micros = 40 * MILLISECOND;
/// What never waits holds back the rest for this long at most.
const DEBT: Micros = 100 * MILLISECOND;
/// What would wait for longer than this is dropped, up to the next key frame.
const DELAY_MAX: Micros = 250 * MILLISECOND;
/// A key frame may take longer, or a large one would never get through: nearly as long as it stays in the cache.
const KEYFRAME_DELAY_MAX: Micros = 800 * MILLISECOND;
/// No more packets wait. It is more than a cache holds of one encoding.
const PACKETS_MAX: usize = 1_024;

/// A packet that waits to be forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacedPacket {
    /// The index of the participant's slot that it goes out by.
    pub slot: usize,
    /// The track that the slot showed when it came.
    pub track: TrackId,
    /// The publication that keeps it.
    pub publication: PublicationKey,
    /// The encoding of the track.
    pub encoding: EncodingIndex,
    /// Its number in the encoding's receive index space.
    pub index: u64,
    /// Whether it goes out, and what is forwarded of its stream from it on. One that does not go out keeps its place in the
    /// queue, because those behind it close up only when it is its turn; it takes nothing of the network.
    pub choice: Choice,
    /// How much of the network it takes, bytes; 0 if it does not go out.
    pub bytes: usize,
    /// Whether a key frame begins with it.
    pub starts_keyframe: bool,
    /// Whether packets before it were dropped, so that it does not continue what was sent.
    pub begins_anew: bool,
    /// Since when it has waited.
    pub since: Micros,
}

/// The queue of one transport, and how fast it empties.
#[derive(Debug, Default)]
pub struct Pacer {
    /// Bits per second; `None` while nothing is known of the network, and everything leaves at once.
    rate: Option<BitRate>,
    bucket: Bucket,
    queue: VecDeque<PacedPacket>,
    queued_bytes: u64,
}

impl Pacer {
    /// Sends at that rate from now on, bits per second; `None` stands for no limit.
    pub fn set_rate(&mut self, rate: Option<BitRate>) {
        self.rate = rate;
    }

    /// Adds to the budget what time has brought.
    #[inline]
    pub fn fill(&mut self, now: Micros) {
        if let Some(rate) = self.rate {
            self.bucket.fill(now, rate, BURST);
        }
    }

    /// Takes what is sent out of the budget.
    #[inline]
    pub fn on_sent(&mut self, bytes: usize) {
        if let Some(rate) = self.rate {
            self.bucket.take(bytes, rate, DEBT);
        }
    }

    /// Whether video that comes now has to wait.
    #[inline]
    pub fn holds(&self) -> bool {
        self.rate.is_some() && !(self.bucket.is_open() && self.queue.is_empty())
    }

    /// Whether something waits.
    #[inline]
    pub fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Returns how long a packet that is put in now would wait, by the rate; zero while nothing waits.
    pub fn delay(&self) -> Micros {
        let Some(rate) = self.rate.filter(|rate| *rate > 0) else { return 0 };
        i64::try_from(self.queued_bytes * 8 * 1_000_000 / rate).unwrap_or(Micros::MAX)
    }

    /// Whether a packet fits in. Of a key frame more does than of other frames.
    pub fn has_room(&self, is_keyframe: bool) -> bool {
        let most = if is_keyframe { KEYFRAME_DELAY_MAX } else { DELAY_MAX };
        let bits = i64::try_from(self.queued_bytes * 8).unwrap_or(i64::MAX);
        let fits = self.rate.is_none_or(|rate| bits < bits_in(rate, most));
        fits && !self.is_full()
    }

    /// Whether no packet fits in, even if it takes nothing of the network.
    pub fn is_full(&self) -> bool {
        self.queue.len() >= PACKETS_MAX
    }

    /// Puts a packet behind all that wait.
    pub fn push(&mut self, packet: PacedPacket) {
        self.queued_bytes += packet.bytes as u64;
        self.queue.push_back(packet);
    }

    /// Takes the next packet, if `may_leave` or the budget allows it.
    pub fn pop(&mut self, may_leave: bool) -> Option<PacedPacket> {
        if !may_leave && self.rate.is_some() && !self.bucket.is_open() {
            return None;
        }
        let packet = self.queue.pop_front()?;
        self.queued_bytes -= packet.bytes as u64;
        Some(packet)
    }

    /// Drops all that waits for a slot. Returns how many packets that were that would have gone out.
    pub fn forget(&mut self, slot: usize) -> usize {
        let dropped = self.queue.iter().filter(|packet| packet.slot == slot && packet.bytes > 0).count();
        self.queue.retain(|packet| packet.slot != slot);
        self.queued_bytes = self.queue.iter().map(|packet| packet.bytes as u64).sum();
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::media::layers::Selection;

    fn packet(slot: usize, index: u64, since: Micros) -> PacedPacket {
        PacedPacket {
            slot,
            track: TrackId(1),
            publication: PublicationKey(0),
            encoding: EncodingIndex(0),
            index,
            choice: Choice { selection: Selection::ALL, takes: true },
            bytes: 1_000,
            starts_keyframe: false,
            begins_anew: false,
            since,
        }
    }

    /// A pacer at 1 Mbit/s, at the moment 0.
    fn pacer() -> Pacer {
        let mut pacer = Pacer::default();
        pacer.set_rate(Some(1_000_000));
        pacer.fill(0);
        pacer
    }

    #[test]
    fn without_an_estimate_nothing_waits() {
        let mut pacer = Pacer::default();
        for now in 0..1_000 {
            pacer.fill(now);
            pacer.on_sent(1_000);
            assert!(!pacer.holds());
        }
    }

    #[test]
    fn a_burst_leaves_at_once_and_the_rest_at_the_rate() {
        let mut pacer = pacer();
        let mut left = 0;
        for index in 0..30 {
            if pacer.holds() {
                pacer.push(packet(0, index, 0));
            } else {
                pacer.on_sent(1_000);
                left += 1;
            }
        }
        assert_eq!(left, 5, "what comes in 40 ms");
        assert_eq!(pacer.delay(), 200_000, "25 packets of 8 ms");
        let mut order = Vec::new();
        for tick in 1..=50 {
            pacer.fill(tick * 5 * MILLISECOND);
            while let Some(packet) = pacer.pop(false) {
                pacer.on_sent(packet.bytes);
                order.push((tick * 5, packet.index));
            }
        }
        assert_eq!(order.len(), 25);
        assert!(order.windows(2).all(|pair| pair[0].1 + 1 == pair[1].1), "in their order: {order:?}");
        assert!(order.iter().all(|(at, index)| (at - (*index as i64 - 4) * 8).abs() <= 10), "{order:?}");
        assert!(!pacer.has_queue() && pacer.delay() == 0);
    }

    #[test]
    fn what_never_waits_holds_back_what_does() {
        let mut pacer = pacer();
        assert!(!pacer.holds());
        pacer.on_sent(6_000);
        assert!(pacer.holds());
        pacer.fill(20 * MILLISECOND);
        assert!(!pacer.holds(), "and not for longer than it takes");
    }

    #[test]
    fn what_comes_behind_waits_behind() {
        let mut pacer = pacer();
        pacer.push(packet(0, 0, 0));
        assert!(pacer.holds(), "although the budget would allow it");
    }

    #[test]
    fn the_queue_is_bounded_and_more_is_kept_of_a_key_frame() {
        let mut pacer = pacer();
        let fill = |pacer: &mut Pacer, is_keyframe| {
            let mut count = 0;
            while pacer.has_room(is_keyframe) {
                pacer.push(packet(0, count, 0));
                count += 1;
            }
            count
        };
        assert_eq!(fill(&mut pacer, false), 32, "250 ms");
        assert_eq!(fill(&mut pacer, true), 100 - 32, "800 ms");
        assert_eq!(pacer.forget(1), 0);
        assert_eq!(pacer.forget(0), 100);
        assert_eq!(pacer.delay(), 0);
        pacer.set_rate(None);
        assert_eq!(fill(&mut pacer, false), PACKETS_MAX as u64);
    }

    #[test]
    fn a_probe_may_take_what_waits() {
        let mut pacer = pacer();
        pacer.on_sent(10_000);
        pacer.push(packet(0, 7, 0));
        assert_eq!(pacer.pop(false), None);
        assert_eq!(pacer.pop(true).map(|packet| packet.index), Some(7));
    }
}

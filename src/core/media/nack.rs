//! NACK: which lost packets to ask for, and when (RFC 4585 §6.2.1, which leaves the timing to the receiver).
//!
//! The rules of others, and their known weaknesses:
//! - **str0m** asks at once for any gap, so every reordering costs a needless request and retransmission; it looks back
//!   100 packets and asks five times, 5 ms more than an RTT apart: on a short path the tries are over within 100 ms, so
//!   a Wi-Fi outage of 200 ms is never repaired (its issues #744, #754, #755).
//! - **libwebrtc** looks every 20 ms, which adds up to 20 ms to each request; repeats after exactly one RTT, so with
//!   any jitter the repetition crosses the retransmission; and its ten tries, too, last 200 ms on a short path.
//!
//! Here every hole has its own times:
//! - the **first request** waits as long as reordering has been seen to take on this stream, 10 ms at least and
//!   half an RTT (at most 40 ms) at most: a needless request costs a packet, a late one up to that much delay;
//! - a **repetition** waits 5/4 of the RTT, so that the answer had its chance, 20 ms at least, and 20 ms more
//!   each time: ten requests span 0.9 s on the shortest path;
//! - a hole is **given up** after ten requests or one second, when players have moved on. Then video needs a key
//!   frame, which the caller asks for. A key frame that arrives makes all earlier holes uninteresting.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::core::mutation::mutated;

/// The most holes that are waited for. More at a time are an outage, which a key frame repairs sooner.
pub const HOLES_MAX: usize = 1000;
/// The most requests for one packet.
pub const TRIES_MAX: u32 = 10;
/// How long a missing packet is asked for.
pub const AGE_MAX: Duration = Duration::from_secs(1);
/// The assumed RTT while it is unknown (libwebrtc's value).
pub const ROUND_TRIP_UNKNOWN: Duration = Duration::from_millis(100);

/// Bounds of the wait before the first request.
const FIRST_WAIT_MIN: Duration = Duration::from_millis(10);
const FIRST_WAIT_MAX: Duration = Duration::from_millis(40);
/// The shortest wait before a repetition. Each later wait is longer by at least the same.
const RETRY_STEP: Duration = Duration::from_millis(20);
/// The shortest time between two lists of requests, so that holes of one burst go into one packet.
const GATHER: Duration = Duration::from_millis(5);

/// A packet that has not come.
#[derive(Debug, Clone, Copy)]
struct Hole {
    noticed: Instant,
    /// When to ask (again), or to give up.
    due: Instant,
    tries: u32,
}

/// Watches one incoming stream for holes. It allocates only while there are some.
#[derive(Debug, Clone, Default)]
pub struct NackGenerator {
    /// The newest index received.
    highest: Option<u64>,
    /// The holes by index, because requests go out in order.
    holes: BTreeMap<u64, Hole>,
    /// No hole is due before this. It may be too early after a hole was filled.
    next_due: Option<Instant>,
    last_request: Option<Instant>,
    /// How long after a gap is noticed reordered packets come, in microseconds. It rises at once and falls slowly.
    reordering_micros: u32,
    given_up: bool,
}

impl NackGenerator {
    /// Makes a generator that has seen no packet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a packet of the stream itself (not a retransmission). `round_trip` is the newest RTT to the sender,
    /// or [`ROUND_TRIP_UNKNOWN`].
    pub fn on_packet(&mut self, now: Instant, index: u64, round_trip: Duration) {
        let Some(highest) = self.highest else {
            self.highest = Some(index);
            return;
        };
        if index <= highest {
            self.on_late(now, index, round_trip);
            return;
        }
        self.highest = Some(index);
        // It halves every 700 packets.
        self.reordering_micros -= self.reordering_micros >> 10;
        let missing = index - highest - 1;
        if missing == 0 || mutated!(LossNotNoticed) {
            return;
        }
        if missing > HOLES_MAX as u64 {
            self.forget_all();
            self.given_up = true;
            return;
        }
        let due = now + self.first_wait(round_trip);
        let hole = Hole { noticed: now, due, tries: 0 };
        self.holes.extend((highest + 1..index).map(|missed| (missed, hole)));
        self.next_due = Some(self.next_due.map_or(due, |next| next.min(due)));
        while self.holes.len() > HOLES_MAX {
            self.holes.pop_first();
            self.given_up = true;
        }
    }

    /// Notes that a packet came by retransmission.
    pub fn on_retransmission(&mut self, index: u64) {
        self.fill(index);
    }

    /// Notes that a key frame begins at `index`, so packets lost before it are no longer needed.
    pub fn on_keyframe(&mut self, index: u64) {
        while self.holes.first_key_value().is_some_and(|(&hole, _)| hole < index) {
            self.holes.pop_first();
        }
        self.tidy();
    }

    /// Appends the sequence numbers to ask for now to `out`, in ascending order, and gives up holes that are too old.
    /// Call it when [`deadline`](Self::deadline) has come; earlier is harmless.
    pub fn due(&mut self, now: Instant, round_trip: Duration, out: &mut Vec<u16>) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        let (mut next_due, mut gave_up, asked_before) = (None::<Instant>, false, out.len());
        self.holes.retain(|&index, hole| {
            if hole.due <= now {
                if hole.tries >= TRIES_MAX || now >= hole.noticed + AGE_MAX {
                    gave_up = true;
                    return false;
                }
                out.push(index as u16);
                hole.tries += 1;
                let wait = (round_trip + round_trip / 4).max(RETRY_STEP * hole.tries);
                hole.due = (now + wait).min(hole.noticed + AGE_MAX);
            }
            next_due = Some(next_due.map_or(hole.due, |next| next.min(hole.due)));
            true
        });
        self.next_due = next_due;
        self.given_up |= gave_up;
        if out.len() > asked_before {
            self.last_request = Some(now);
        }
    }

    /// Returns when to call [`due`](Self::due) next; `None` while nothing is missing.
    pub fn deadline(&self) -> Option<Instant> {
        let next = self.next_due?;
        Some(self.last_request.map_or(next, |last| next.max(last + GATHER)))
    }

    /// Returns whether a hole was given up since the last call. Video needs a key frame then.
    pub fn take_given_up(&mut self) -> bool {
        std::mem::take(&mut self.given_up)
    }

    /// Returns how many packets are waited for.
    pub fn holes(&self) -> usize {
        self.holes.len()
    }

    /// Notes a packet that came behind newer ones. If it was not asked for, or too recently, it was reordered.
    /// Otherwise it may be a retransmission on the stream itself (from a sender without RTX), which says nothing about
    /// reordering.
    fn on_late(&mut self, now: Instant, index: u64, round_trip: Duration) {
        let Some(hole) = self.fill(index) else { return };
        let delay = now.saturating_duration_since(hole.noticed);
        if hole.tries == 0 || delay < round_trip {
            let micros = u32::try_from(delay.as_micros()).unwrap_or(u32::MAX);
            self.reordering_micros = self.reordering_micros.max(micros);
        }
    }

    fn fill(&mut self, index: u64) -> Option<Hole> {
        if self.holes.is_empty() {
            return None;
        }
        let hole = self.holes.remove(&index);
        self.tidy();
        hole
    }

    fn tidy(&mut self) {
        if self.holes.is_empty() {
            self.next_due = None;
        }
    }

    fn forget_all(&mut self) {
        self.holes.clear();
        self.next_due = None;
    }

    fn first_wait(&self, round_trip: Duration) -> Duration {
        let longest = (round_trip / 2).clamp(FIRST_WAIT_MIN, FIRST_WAIT_MAX);
        let reordering = Duration::from_micros(u64::from(self.reordering_micros));
        (reordering + reordering / 4).clamp(FIRST_WAIT_MIN, longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(60);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// Returns a generator that has seen packets 0 to 9 at `start`.
    fn running(start: Instant) -> NackGenerator {
        let mut nack = NackGenerator::new();
        (0..10).for_each(|index| nack.on_packet(start, index, RTT));
        assert_eq!(nack.deadline(), None);
        nack
    }

    /// Follows the deadlines to the end. Returns what was asked for when, in milliseconds since `start`.
    fn requests(nack: &mut NackGenerator, start: Instant, round_trip: Duration) -> Vec<(u128, Vec<u16>)> {
        let mut all = Vec::new();
        while let Some(at) = nack.deadline() {
            let mut out = Vec::new();
            nack.due(at, round_trip, &mut out);
            if !out.is_empty() {
                all.push(((at - start).as_millis(), out));
            }
        }
        all
    }

    #[test]
    fn reordering_is_not_asked_for() {
        let start = Instant::now();
        let mut nack = running(start);
        nack.on_packet(start, 12, RTT);
        let mut out = Vec::new();
        nack.due(start + ms(9), RTT, &mut out);
        nack.on_packet(start + ms(9), 11, RTT);
        nack.on_packet(start + ms(9), 10, RTT);
        assert_eq!((nack.deadline(), nack.holes()), (None, 0));
        nack.due(start + ms(500), RTT, &mut out);
        assert!(out.is_empty());
        assert!(!nack.take_given_up());
    }

    #[test]
    fn a_hole_is_asked_for_after_ten_milliseconds_then_every_round_trip() {
        let start = Instant::now();
        let mut nack = running(start);
        nack.on_packet(start, 12, RTT);
        let times: Vec<u128> = requests(&mut nack, start, RTT)
            .into_iter()
            .map(|(at, which)| {
                assert_eq!(which, [10, 11]);
                at
            })
            .collect();
        assert_eq!(times, [10, 85, 160, 235, 315, 415, 535, 675, 835]);
        assert!(nack.take_given_up());
        assert!(!nack.take_given_up(), "said once");
    }

    #[test]
    fn ten_requests_span_most_of_a_second_on_the_shortest_path() {
        let start = Instant::now();
        let mut nack = running(start);
        nack.on_packet(start, 11, ms(1));
        let all = requests(&mut nack, start, ms(1));
        assert_eq!(all.len(), TRIES_MAX as usize);
        assert_eq!(all.last().unwrap().0, 910);
        assert!(nack.take_given_up());
    }

    #[test]
    fn a_retransmission_ends_the_asking() {
        let start = Instant::now();
        let mut nack = running(start);
        nack.on_packet(start, 13, RTT);
        let mut out = Vec::new();
        nack.due(start + ms(10), RTT, &mut out);
        assert_eq!(out, [10, 11, 12]);
        nack.on_retransmission(11);
        out.clear();
        nack.due(start + ms(100), RTT, &mut out);
        assert_eq!(out, [10, 12]);
        nack.on_retransmission(10);
        nack.on_retransmission(12);
        assert_eq!(nack.deadline(), None);
        assert!(!nack.take_given_up());
    }

    #[test]
    fn a_stream_that_reorders_is_given_more_time() {
        let start = Instant::now();
        let mut nack = running(start);
        nack.on_packet(start, 11, RTT);
        nack.on_packet(start + ms(18), 10, RTT);
        nack.on_packet(start + ms(20), 13, RTT);
        let deadline = nack.deadline().unwrap() - start;
        assert!(deadline > ms(40) && deadline <= ms(43), "{deadline:?}");
        nack.on_packet(start + ms(400), 12, RTT);
        nack.on_packet(start + ms(400), 15, RTT);
        assert_eq!(nack.deadline().unwrap() - start, ms(430), "half a round trip at most");
    }

    #[test]
    fn a_retransmission_on_the_stream_itself_is_no_reordering() {
        let start = Instant::now();
        let mut nack = running(start);
        nack.on_packet(start, 11, RTT);
        nack.due(start + ms(10), RTT, &mut Vec::new());
        nack.on_packet(start + ms(71), 10, RTT);
        nack.on_packet(start + ms(80), 13, RTT);
        assert_eq!(nack.deadline().unwrap() - start, ms(90));
    }

    #[test]
    fn holes_of_one_burst_share_a_request() {
        let start = Instant::now();
        let mut nack = running(start);
        for n in 0..5 {
            nack.on_packet(start + ms(n), 11 + 2 * n, RTT);
        }
        let all = requests(&mut nack, start, RTT);
        assert_eq!(all[0], (10, vec![10]));
        assert_eq!(all[1], (15, vec![12, 14, 16, 18]));
    }

    #[test]
    fn a_key_frame_ends_the_interest_in_what_was_before() {
        let start = Instant::now();
        let mut nack = running(start);
        nack.on_packet(start, 12, RTT);
        nack.on_packet(start, 15, RTT);
        nack.on_keyframe(14);
        assert_eq!(requests(&mut nack, start, RTT)[0].1, [14]);
        nack.on_packet(start, 17, RTT);
        nack.on_keyframe(17);
        assert_eq!(nack.deadline(), None);
    }

    #[test]
    fn an_outage_resets_and_holes_are_bounded() {
        let start = Instant::now();
        let mut nack = running(start);
        nack.on_packet(start, 5000, RTT);
        assert_eq!(nack.holes(), 0);
        assert!(nack.take_given_up());
        for n in 0..3 {
            nack.on_packet(start, 5500 + n * 500, RTT);
        }
        assert_eq!(nack.holes(), HOLES_MAX);
        assert!(nack.take_given_up());
    }

    #[test]
    fn sequence_numbers_wrap() {
        let start = Instant::now();
        let mut nack = NackGenerator::new();
        nack.on_packet(start, 65_534, RTT);
        nack.on_packet(start, 65_538, RTT);
        assert_eq!(requests(&mut nack, start, RTT)[0].1, [65_535, 0, 1]);
    }
}

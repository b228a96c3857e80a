//! KeyframeRequests: what viewers ask of one encoding's publisher, put together and throttled. However many ask, at most
//! one request leaves in a [`window`]. One that comes inside it is kept and sent at its end. What was sent is repeated
//! until a key frame starts, because encoders ignore requests shortly after a key frame.

use std::time::{Duration, Instant};

use crate::core::mutation::mutated;

/// Shortest and longest time between two requests. The shortest is how long a viewer who comes late may wait in vain:
/// browsers ignore requests within 300 ms of their last key frame, so a longer one would cost such a viewer up to twice
/// that, and a shorter one would have other encoders make key frames of most pictures.
const WINDOW_MIN: Duration = Duration::from_millis(200);
const WINDOW_MAX: Duration = Duration::from_millis(500);

/// The time in which at most one request leaves: as long as a publisher at that round trip takes to answer one.
pub fn window(round_trip: Duration) -> Duration {
    (round_trip + round_trip / 4).clamp(WINDOW_MIN, WINDOW_MAX)
}

/// A publisher that has not sent for this long is not asked: it is muted, or gone. It is asked when it sends again.
const SILENCE: Duration = Duration::from_secs(2);

/// Requests for key frames of one encoding.
#[derive(Debug, Default)]
pub struct KeyframeRequests {
    wanted: bool,
    last_sent: Option<Instant>,
    last_packet: Option<Instant>,
    sent: u64,
}

impl KeyframeRequests {
    /// Notes that somebody needs a key frame.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// Returns whether somebody waits for a key frame.
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Notes that a packet has come.
    pub fn on_packet(&mut self, now: Instant, starts_keyframe: bool) {
        self.last_packet = Some(now);
        if starts_keyframe {
            self.wanted = false;
        }
    }

    /// When [`due`](Self::due) will be true; `None` if no request is to leave.
    pub fn deadline(&self, now: Instant, round_trip: Duration) -> Option<Instant> {
        let asked_for_good = mutated!(KeyframeThrottleNeverEnds) && self.last_sent.is_some();
        if !self.wanted || self.is_silent(now) || asked_for_good {
            return None;
        }
        Some(self.last_sent.map_or(now, |sent| sent + window(round_trip)))
    }

    /// Returns whether to send a request now, to a publisher at that round trip, and notes that it is sent.
    pub fn due(&mut self, now: Instant, round_trip: Duration) -> bool {
        let due = self.deadline(now, round_trip).is_some_and(|at| at <= now);
        if due {
            self.last_sent = Some(now);
            self.sent += 1;
        }
        due
    }

    /// Returns how many requests were sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    fn is_silent(&self, now: Instant) -> bool {
        self.last_packet.is_none_or(|at| now.saturating_duration_since(at) > SILENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_ask_one_request_leaves_and_repeats_until_a_key_frame() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let near = Duration::from_millis(20);
        let mut requests = KeyframeRequests::default();
        requests.on_packet(at(0), false);
        requests.want();
        requests.want();
        assert!(requests.due(at(0), near), "the first one at once");
        requests.want();
        assert!(!requests.due(at(199), near), "inside the window it is kept");
        assert_eq!(requests.deadline(at(199), near), Some(at(200)));
        assert!(requests.due(at(200), near), "and sent at its end");
        let far = Duration::from_millis(300);
        assert!(!requests.due(at(574), far), "from far away the answer takes longer");
        assert!(requests.due(at(575), far), "and repeated");
        requests.on_packet(at(600), true);
        assert_eq!(requests.deadline(at(1200), near), None, "until a key frame starts");
    }

    #[test]
    fn a_silent_publisher_is_not_asked_until_it_sends_again() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        requests.want();
        let round_trip = Duration::from_millis(50);
        assert_eq!(requests.deadline(start, round_trip), None);
        requests.on_packet(start, false);
        assert!(requests.due(start, round_trip));
    }
}

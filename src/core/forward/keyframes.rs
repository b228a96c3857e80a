//! KeyframeRequests: what viewers ask of one encoding's publisher, put together and throttled. However many ask, at most
//! one request leaves in a [`window`]. One that comes inside it is kept and sent at its end. What was sent is repeated
//! until a key frame starts, because encoders ignore requests shortly after a key frame.
//!
//! A publisher that sends nothing is asked, too: a shared screen that does not change has a picture all the same, and its
//! encoder answers with it. It is asked ever more seldom, because its camera may be off.

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

/// A publisher that has not sent for this long after a request is asked again only after twice as long as before.
const SILENCE: Duration = Duration::from_secs(2);
/// But no more seldom than this.
const SILENT_WINDOW_MAX: Duration = Duration::from_secs(5);

/// Requests for key frames of one encoding.
#[derive(Debug, Default)]
pub struct KeyframeRequests {
    wanted: bool,
    last_sent: Option<Instant>,
    last_packet: Option<Instant>,
    /// When a request was first sent since the last packet.
    asked_in_vain: Option<Instant>,
    sent: u64,
}

impl KeyframeRequests {
    /// Notes that somebody needs a key frame. They have not asked in vain yet, whoever else has.
    pub fn want(&mut self) {
        self.wanted = true;
        self.asked_in_vain = None;
    }

    /// Notes that nobody needs one any more.
    pub fn forget(&mut self) {
        self.wanted = false;
    }

    /// Returns whether somebody waits for a key frame.
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Notes that a packet has come.
    pub fn on_packet(&mut self, now: Instant, starts_keyframe: bool) {
        self.last_packet = Some(now);
        self.asked_in_vain = None;
        if starts_keyframe {
            self.wanted = false;
        }
    }

    /// When [`due`](Self::due) will be true; `None` if no request is to leave.
    pub fn deadline(&self, now: Instant, round_trip: Duration) -> Option<Instant> {
        let asked_for_good = mutated!(KeyframeThrottleNeverEnds) && self.last_sent.is_some();
        // Before its first packet nobody knows what to ask for.
        if !self.wanted || self.last_packet.is_none() || asked_for_good {
            return None;
        }
        Some(self.last_sent.map_or(now, |sent| sent + self.spacing(sent, round_trip)))
    }

    /// How long after the request that was sent then the next one is.
    fn spacing(&self, sent: Instant, round_trip: Duration) -> Duration {
        let in_vain =
            self.asked_in_vain.map_or(Duration::ZERO, |first| sent.saturating_duration_since(first));
        let least = window(round_trip);
        if in_vain < SILENCE { least } else { in_vain.min(SILENT_WINDOW_MAX).max(least) }
    }

    /// Returns whether to send a request now, to a publisher at that round trip, and notes that it is sent.
    pub fn due(&mut self, now: Instant, round_trip: Duration) -> bool {
        let due = self.deadline(now, round_trip).is_some_and(|at| at <= now);
        if due {
            self.last_sent = Some(now);
            self.asked_in_vain.get_or_insert(now);
            self.sent += 1;
        }
        due
    }

    /// Returns how many requests were sent.
    pub fn sent(&self) -> u64 {
        self.sent
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
    fn a_publisher_that_shows_what_never_changes_is_asked_at_once_and_ever_more_seldom() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let near = Duration::from_millis(50);
        let mut requests = KeyframeRequests::default();
        requests.want();
        assert_eq!(requests.deadline(start, near), None, "nothing is known of it yet");
        requests.on_packet(start, true);
        requests.want();
        let asked: Vec<u64> = (60_000..120_000).filter(|ms| requests.due(at(*ms), near)).collect();
        assert_eq!(asked[0], 60_000, "however long it was silent");
        let gaps: Vec<u64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!((gaps[0], gaps.last()), (200, Some(&5000)));
        assert!(asked.len() < 25, "{} requests in a minute", asked.len());
        requests.on_packet(at(120_000), false);
        assert!(requests.due(at(120_000), near), "it sends again, and its next picture may be a key frame");
    }
}

//! KeyframeRequests: the requests of all viewers to one encoding's publisher, merged and throttled. At most one request
//! leaves in a [`window`], however many viewers ask; a request inside it waits for its end. Requests are repeated until
//! a key frame starts, because encoders ignore them shortly after a key frame.
//!
//! A publisher that sends nothing is asked, too: the encoder of a shared screen that does not change answers with the
//! picture. It is asked less and less often, because its camera may be off.

use std::time::{Duration, Instant};

use crate::core::mutation::mutated;

/// The shortest and the longest window. Browsers ignore requests within 300 ms of their last key frame, so with a
/// longer minimum a viewer who comes late could wait for up to twice that. With a shorter one, other encoders would
/// make key frames of most pictures.
const WINDOW_MIN: Duration = Duration::from_millis(200);
const WINDOW_MAX: Duration = Duration::from_millis(500);

/// Returns the time in which at most one request leaves: as long as a publisher at that round trip takes to answer.
pub fn window(round_trip: Duration) -> Duration {
    (round_trip + round_trip / 4).clamp(WINDOW_MIN, WINDOW_MAX)
}

/// If a publisher has not sent for this long after a request, the time until the next one doubles.
const SILENCE: Duration = Duration::from_secs(2);
/// The longest time between requests to a silent publisher.
const SILENT_WINDOW_MAX: Duration = Duration::from_secs(5);

/// Requests for key frames of one encoding.
#[derive(Debug, Default)]
pub struct KeyframeRequests {
    wanted: bool,
    last_sent: Option<Instant>,
    last_packet: Option<Instant>,
    /// When the first request was sent after the last packet came and after a viewer last asked.
    asked_in_vain: Option<Instant>,
    sent: u64,
}

impl KeyframeRequests {
    /// Notes that a viewer needs a key frame. The spacing for silent publishers begins anew, because this viewer has
    /// not waited yet.
    pub fn want(&mut self) {
        self.wanted = true;
        self.asked_in_vain = None;
    }

    /// Notes that nobody needs a key frame any more.
    pub fn forget(&mut self) {
        self.wanted = false;
    }

    /// Whether somebody waits for a key frame.
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

    /// Returns when [`due`](Self::due) will be true; `None` if no request is to leave.
    pub fn deadline(&self, now: Instant, round_trip: Duration) -> Option<Instant> {
        let asked_for_good = mutated!(KeyframeThrottleNeverEnds) && self.last_sent.is_some();
        // Before the first packet the SSRC is not known.
        if !self.wanted || self.last_packet.is_none() || asked_for_good {
            return None;
        }
        Some(self.last_sent.map_or(now, |sent| sent + self.spacing(sent, round_trip)))
    }

    /// Returns how long after a request, sent at `sent`, the next one may be sent.
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

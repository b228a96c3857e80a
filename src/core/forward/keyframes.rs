//! KeyframeRequests: what subscribers ask of one publisher, put together and throttled. However many ask, at
//! most one request leaves in [`WINDOW`]; one that comes inside it is kept and sent at its end; and what was sent is
//! repeated until a key frame starts, because encoders ignore requests shortly after a key frame.

use std::time::{Duration, Instant};

/// At most one request in this time.
pub const WINDOW: Duration = Duration::from_millis(500);
/// A publisher that has not sent for this long is not asked: it is muted, or gone. It is asked when it sends again.
const SILENCE: Duration = Duration::from_secs(2);

/// Requests towards one publisher.
#[derive(Debug, Default)]
pub struct KeyframeRequests {
    wanted: bool,
    last_sent: Option<Instant>,
    last_packet: Option<Instant>,
    sent: u64,
}

impl KeyframeRequests {
    /// Somebody needs a key frame.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// The publisher sent something.
    pub fn on_packet(&mut self, now: Instant, starts_keyframe: bool) {
        self.last_packet = Some(now);
        if starts_keyframe {
            self.wanted = false;
        }
    }

    /// When [`KeyframeRequests::due`] may say yes.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if !self.wanted || self.is_silent(now) {
            return None;
        }
        Some(self.last_sent.map_or(now, |sent| sent + WINDOW))
    }

    /// Whether to send a request now.
    pub fn due(&mut self, now: Instant) -> bool {
        let due = self.deadline(now).is_some_and(|at| at <= now);
        if due {
            self.last_sent = Some(now);
            self.sent += 1;
        }
        due
    }

    /// How many requests were sent.
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
        let mut requests = KeyframeRequests::default();
        requests.on_packet(at(0), false);
        requests.want();
        requests.want();
        assert!(requests.due(at(0)));
        requests.want();
        assert!(!requests.due(at(499)), "inside the window it is kept");
        assert_eq!(requests.deadline(at(499)), Some(at(500)));
        assert!(requests.due(at(500)), "and sent at its end");
        assert!(requests.due(at(1000)), "and repeated");
        requests.on_packet(at(1100), true);
        assert_eq!(requests.deadline(at(1200)), None, "until a key frame starts");
    }

    #[test]
    fn a_silent_publisher_is_not_asked_until_it_sends_again() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        requests.want();
        assert_eq!(requests.deadline(start), None);
        requests.on_packet(start, false);
        assert!(requests.due(start));
    }
}

//! Patience: when somebody may be sent more again. Less is sent at once; more only when it has been quiet for a while, and
//! ever later if it fails again and again, because each attempt costs key frames and may cost a stutter.

use std::time::{Duration, Instant};

/// After a change everything stays as it is for this long, unless less is needed.
const CHANGES_APART: Duration = Duration::from_secs(3);
/// A step up that has to be taken back within this time has failed.
const FAILS_WITHIN: Duration = Duration::from_secs(10);
/// How long the next step waits after one that failed: doubled after each further one, up to the second.
const WAIT_FIRST: Duration = Duration::from_secs(5);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// A step that takes less than half of what the network seems to carry waits no longer than this, however often others failed:
/// if that was wrong then, it may have been others who filled the line.
const WAIT_IF_MODEST: Duration = Duration::from_secs(10);
/// Failures are forgiven when the estimate exceeds the rate that failed by this part of it.
const FORGIVEN_BEYOND: u64 = 4;

/// When one viewer may be sent more again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience {
    changed: Option<Instant>,
    raised: Option<Instant>,
    /// How many steps up in a row have failed.
    failures: u32,
    /// The most of what trials turned out not to show, bits per second, since they were forgiven.
    failed: u64,
}

impl Patience {
    /// Whether a step up may be taken now.
    pub fn allows_more(&self, now: Instant) -> bool {
        self.next().is_none_or(|at| now >= at)
    }

    /// Returns when a step up may be taken; `None`: at once.
    pub fn next(&self) -> Option<Instant> {
        let changed = self.changed?;
        // A step that has held for so long was none that failed, and nor will the next one be for what was before it.
        let proven = self.raised.map(|raised| (raised + FAILS_WITHIN).max(changed + CHANGES_APART));
        let patient = changed + self.wait();
        Some(proven.map_or(patient, |proven| proven.min(patient)))
    }

    /// The same for a modest step, which takes less than half of what the network seems to carry.
    pub fn next_if_modest(&self) -> Option<Instant> {
        let modest = self.changed? + WAIT_IF_MODEST;
        self.next().map(|next| next.min(modest))
    }

    /// Returns how long the next step has to wait after the last change.
    pub fn wait(&self) -> Duration {
        match self.failures {
            0 => CHANGES_APART,
            failures => (WAIT_FIRST * (1 << (failures - 1).min(4))).min(WAIT_MAX),
        }
    }

    /// Notes a step up.
    pub fn on_more(&mut self, now: Instant) {
        if self.raised.is_some_and(|raised| now.saturating_duration_since(raised) >= FAILS_WITHIN) {
            self.failures = 0;
        }
        self.raised = Some(now);
        self.changed = Some(now);
    }

    /// Notes a step down.
    pub fn on_less(&mut self, now: Instant) {
        match self.raised.take() {
            Some(raised) if now.saturating_duration_since(raised) < FAILS_WITHIN => self.failures += 1,
            Some(_) => self.failures = 0,
            None => {}
        }
        self.changed = Some(now);
    }

    /// Takes what the network carries by the estimate, bits per second. If that is well beyond what a trial failed to show,
    /// the network is another one than it was then.
    pub fn on_room(&mut self, estimate: u64) {
        if self.failed > 0 && estimate > self.failed + self.failed / FORGIVEN_BEYOND {
            (self.failures, self.failed) = (0, 0);
        }
    }

    /// Notes that a trial has shown that there is no more, before anything was changed: the network does not carry `rate`, bits
    /// per second.
    pub fn on_failed_trial(&mut self, now: Instant, rate: u64) {
        self.failed = self.failed.max(rate);
        if self.raised.take().is_some_and(|raised| now.saturating_duration_since(raised) >= FAILS_WITHIN) {
            self.failures = 0;
        }
        self.failures += 1;
        self.changed = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_failed_waits_longer_each_time() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut patience = Patience::default();
        assert!(patience.allows_more(start), "the first step is free");
        let mut now = 0;
        for wait in [5, 10, 20, 40, 60, 60] {
            patience.on_more(at(now));
            patience.on_less(at(now + 4));
            assert!(
                !patience.allows_more(at(now + 3 + wait)) && patience.allows_more(at(now + 4 + wait)),
                "{wait}"
            );
            now += 4 + wait;
        }
        patience.on_more(at(now));
        assert!(!patience.allows_more(at(now + 2)));
        patience.on_less(at(now + 11));
        assert!(patience.allows_more(at(now + 14)), "a step that held for ten seconds was none that failed");
    }

    #[test]
    fn trials_that_fail_count_like_steps_that_fail() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut patience = Patience::default();
        let mut now = 0;
        for wait in [5, 10, 20, 40, 60, 60] {
            patience.on_failed_trial(at(now), 500_000);
            assert_eq!(patience.next(), Some(at(now + wait)));
            now += wait;
        }
        patience.on_more(at(now));
        assert_eq!(patience.next(), Some(at(now + 10)), "a step that holds makes up for what was before");
        patience.on_failed_trial(at(now + 12), 500_000);
        assert_eq!(patience.next(), Some(at(now + 17)), "the first failure after that");
    }

    #[test]
    fn trials_that_failed_are_forgiven_when_there_is_much_more() {
        let start = Instant::now();
        let mut patience = Patience::default();
        for _ in 0..4 {
            patience.on_failed_trial(start, 600_000);
        }
        patience.on_room(700_000);
        assert_eq!(patience.wait(), Duration::from_secs(40), "that may be the same network");
        patience.on_room(760_000);
        assert_eq!(patience.wait(), CHANGES_APART);
    }
}

//! Pace: how often something may happen, in the long run and at once, without a float and in one moment of memory.
//!
//! It counts as if what has happened were spread out evenly: until when that would take says how far ahead of its pace it
//! is. (The generic cell rate algorithm, as ITU-T I.371 has it.)

use std::time::{Duration, Instant};

/// How often something may happen, and how often it has happened lately.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    interval: Duration,
    /// How far ahead of its pace it may be: all that may happen at once, but one.
    slack: Duration,
    /// Until when what has happened would take at one in each interval.
    until: Instant,
}

impl Pace {
    /// Lets something happen once in each `interval` in the long run, and `at_once` times after it has not for long.
    pub fn new(now: Instant, interval: Duration, at_once: u32) -> Self {
        Self { interval, slack: interval * at_once.saturating_sub(1), until: now }
    }

    /// Returns how long to wait until it may happen once more; nothing if it may now.
    pub fn wait(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now).saturating_sub(self.slack)
    }

    /// Notes that it happens that many times at once.
    pub fn note_many(&mut self, now: Instant, times: u32) {
        self.until = self.until.max(now) + self.interval * times;
    }

    /// Notes that it happens.
    pub fn note(&mut self, now: Instant) {
        self.until = self.until.max(now) + self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_happen_at_once_and_then_one_in_each_interval() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::new(start, Duration::from_millis(100), 4);
        let mut happens = |ms| {
            let wait = pace.wait(at(ms));
            if wait.is_zero() {
                pace.note(at(ms));
            }
            wait.as_millis()
        };
        assert_eq!([0; 6].map(&mut happens), [0, 0, 0, 0, 100, 100]);
        assert_eq!([40, 100, 100, 199, 200].map(&mut happens), [60, 0, 100, 1, 0]);
        assert_eq!(
            [5000; 5].map(&mut happens),
            [0, 0, 0, 0, 100],
            "quiet is made up for, but not more than once"
        );
    }
}

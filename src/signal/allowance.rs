//! An allowance: a token bucket that allows a number of things per second in the long run, and a burst at once.

use std::time::Instant;

/// A bucket that refills with time, up to its burst. Begins full.
#[derive(Debug)]
pub struct Allowance {
    left: f64,
    burst: f64,
    per_second: f64,
    at: Instant,
}

impl Allowance {
    /// Begins with all of the burst, which is at least one.
    pub fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let burst = f64::from(burst.max(1));
        Self { left: burst, burst, per_second: f64::from(per_second), at: now }
    }

    /// Takes what something costs. Returns `false`, and takes nothing, if there is not enough left. If it costs more
    /// than the burst, a full bucket is enough.
    pub fn take(&mut self, now: Instant, cost: f64) -> bool {
        self.refill(now);
        let cost = cost.min(self.burst);
        let is_granted = self.left >= cost;
        if is_granted {
            self.left -= cost;
        }
        is_granted
    }

    /// Returns whether nothing was taken lately, so that a new one would be the same.
    pub fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.left >= self.burst
    }

    fn refill(&mut self, now: Instant) {
        // Refilled only when it is used, so that an idle bucket costs nothing.
        let elapsed = now.saturating_duration_since(self.at);
        self.at = now;
        self.left = (self.left + elapsed.as_secs_f64() * self.per_second).min(self.burst);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_allowance_is_used_up_and_refills() {
        let now = Instant::now();
        let mut allowance = Allowance::new(10, 3, now);
        assert_eq!((0..5).filter(|_| allowance.take(now, 1.0)).count(), 3);
        assert!(allowance.take(now + Duration::from_millis(101), 1.0));
        assert!(!allowance.take(now + Duration::from_millis(102), 1.0));
        let later = now + Duration::from_secs(60);
        assert_eq!((0..5).filter(|_| allowance.take(later, 1.0)).count(), 3, "never more than the burst");
    }

    #[test]
    fn what_costs_more_takes_more_and_what_costs_all_is_possible() {
        let now = Instant::now();
        let mut allowance = Allowance::new(1, 10, now);
        assert!(allowance.take(now, 6.0) && !allowance.take(now, 6.0) && allowance.take(now, 4.0));
        let later = now + Duration::from_secs(10);
        assert!(allowance.is_full(later));
        assert!(allowance.take(later, 1000.0) && !allowance.take(later, 1.0));
    }
}

//! How much of something a client may send: a bucket that refills with time.

use std::time::{Duration, Instant};

/// A bucket that refills with time.
#[derive(Debug)]
pub struct Allowance {
    left: f64,
    burst: f64,
    per_second: f64,
    at: Instant,
}

impl Allowance {
    /// Begins with a full bucket of `burst`, 1 at least, that gains `per_second`.
    pub fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let burst = f64::from(burst.max(1));
        Self { left: burst, burst, per_second: f64::from(per_second), at: now }
    }

    /// Takes one out of the bucket. Returns `false` if there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let elapsed: Duration = now.saturating_duration_since(self.at);
        self.at = now;
        self.left = (self.left + elapsed.as_secs_f64() * self.per_second).min(self.burst);
        let is_granted = self.left >= 1.0;
        if is_granted {
            self.left -= 1.0;
        }
        is_granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_and_refills() {
        let now = Instant::now();
        let mut allowance = Allowance::new(10, 3, now);
        assert_eq!((0..5).filter(|_| allowance.take(now)).count(), 3);
        assert!(allowance.take(now + Duration::from_millis(101)));
        assert!(!allowance.take(now + Duration::from_millis(102)));
        let later = now + Duration::from_secs(60);
        assert_eq!((0..5).filter(|_| allowance.take(later)).count(), 3, "never more than the burst");
    }
}

//! LinkCapacity: what got through when the network was last used to the full, and by how much that varies. Near it the
//! estimate is raised carefully, far from it boldly.

use super::BitRate;

/// How much a new sample counts, in 1/100.
const OVERUSE_WEIGHT: u64 = 5;
/// Within what the deviation stays, bits per second.
const DEVIATION_MIN: u64 = 400;
const DEVIATION_MAX: u64 = 2_500;

/// The capacity as it was seen at overuse.
#[derive(Debug, Clone, Copy)]
pub struct LinkCapacity {
    estimate: Option<BitRate>,
    /// The variance of the samples divided by the estimate, bits per second.
    deviation: u64,
}

impl Default for LinkCapacity {
    fn default() -> Self {
        Self { estimate: None, deviation: DEVIATION_MIN }
    }
}

impl LinkCapacity {
    /// The capacity; `None` if it was not seen, or has changed since.
    pub fn estimate(&self) -> Option<BitRate> {
        self.estimate
    }

    /// Forgets it: the network is not what it was.
    pub fn forget(&mut self) {
        self.estimate = None;
    }

    /// Whether that rate is more than three deviations above the estimate.
    pub fn is_below(&self, rate: BitRate) -> bool {
        self.estimate.is_some_and(|estimate| rate > estimate + 3 * self.spread(estimate))
    }

    /// Whether that rate is more than three deviations below the estimate.
    pub fn is_above(&self, rate: BitRate) -> bool {
        self.estimate.is_some_and(|estimate| rate < estimate.saturating_sub(3 * self.spread(estimate)))
    }

    fn spread(&self, estimate: BitRate) -> BitRate {
        (self.deviation * estimate).isqrt()
    }

    /// Takes what got through when the network was overused.
    pub fn on_overuse(&mut self, rate: BitRate) {
        let estimate = self
            .estimate
            .map_or(rate, |before| (before * (100 - OVERUSE_WEIGHT) + rate * OVERUSE_WEIGHT) / 100);
        self.estimate = Some(estimate);
        let error = u128::from(estimate.abs_diff(rate));
        let sample = (error * error / u128::from(estimate.max(1_000))).min(1 << 32) as u64;
        let deviation = (self.deviation * (100 - OVERUSE_WEIGHT) + sample * OVERUSE_WEIGHT) / 100;
        self.deviation = deviation.clamp(DEVIATION_MIN, DEVIATION_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_the_capacity_is_within_three_deviations() {
        let mut capacity = LinkCapacity::default();
        assert!(!capacity.is_below(u64::MAX) && !capacity.is_above(0), "nothing is known");
        capacity.on_overuse(1_000_000);
        // 3·√(0.4 kbit/s · 1000 kbit/s) = 60 kbit/s.
        for (rate, below, above) in [
            (1_059_000, false, false),
            (1_061_000, true, false),
            (941_000, false, false),
            (939_000, false, true),
        ] {
            assert_eq!((capacity.is_below(rate), capacity.is_above(rate)), (below, above), "{rate}");
        }
        capacity.forget();
        assert_eq!(capacity.estimate(), None);
    }

    #[test]
    fn the_estimate_follows_slowly() {
        let mut capacity = LinkCapacity::default();
        capacity.on_overuse(1_000_000);
        capacity.on_overuse(500_000);
        assert_eq!(capacity.estimate(), Some(975_000));
        assert!(capacity.deviation > DEVIATION_MIN, "and it is less sure of itself");
    }
}

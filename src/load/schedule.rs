//! The schedule of a stream's packets: a fixed grid that never drifts, whatever happens between its points.

/// The grid of one stream, in nanoseconds of the generator's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schedule {
    start: u64,
    period: u64,
    next: u64,
}

/// What is due at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// How late the first of it is.
    pub late: u64,
    /// Points of the grid that are given up because the generator was too far behind.
    pub skipped: u64,
}

/// If a stream is further behind than this, points are given up instead of caught up with in a flood.
const BEHIND_MAX_NANOS: u64 = 500_000_000;

impl Schedule {
    /// Makes a grid with a point every `period`, the first at `start`. A period of zero counts as one.
    pub(super) fn new(start: u64, period: u64) -> Self {
        Self { start, period: period.max(1), next: 0 }
    }

    /// Returns the time of the next point.
    pub(super) fn next(&self) -> u64 {
        self.start.saturating_add(self.next.saturating_mul(self.period))
    }

    /// Takes the next point if its time has come.
    pub(super) fn take(&mut self, now: u64) -> Option<Due> {
        let at = self.next();
        let late = now.checked_sub(at)?;
        // The grid stays where it is, whatever is given up.
        let skipped = if late > BEHIND_MAX_NANOS { late / self.period } else { 0 };
        self.next += 1 + skipped;
        Some(Due { late, skipped })
    }
}

/// Returns where in its period a stream begins, so that streams with the same period do not all send at once: the
/// fractions of multiples of the golden ratio are spread evenly, however many there are. `seed` rotates the whole
/// pattern.
pub(super) fn phase(index: u64, seed: u64, period: u64) -> u64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    // The fraction of a product with the golden ratio, in 64 bits, times the period.
    let turn = index.wrapping_add(1).wrapping_add(seed).wrapping_mul(GOLDEN);
    ((u128::from(turn) * u128::from(period)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_does_not_drift_when_its_points_are_taken_late() {
        let mut schedule = Schedule::new(1000, 100);
        assert_eq!(schedule.take(999), None);
        let mut late = 0;
        for point in 0..50 {
            let at = 1000 + point * 100;
            assert_eq!(schedule.next(), at);
            assert_eq!(schedule.take(at + late), Some(Due { late, skipped: 0 }));
            late = (late + 7) % 30;
        }
    }

    #[test]
    fn what_was_missed_by_a_little_is_caught_up_with() {
        let mut schedule = Schedule::new(0, 100);
        let taken = std::iter::from_fn(|| schedule.take(1000)).count();
        assert_eq!(taken, 11);
    }

    #[test]
    fn what_was_missed_by_far_is_given_up() {
        let mut schedule = Schedule::new(0, 20_000_000);
        let due = schedule.take(1_000_000_000).expect("long due");
        assert_eq!(due.skipped, 50);
        assert!(schedule.next() > 1_000_000_000);
    }

    #[test]
    fn phases_are_spread_over_the_period() {
        for count in [2u64, 10, 57, 1000] {
            let mut phases: Vec<u64> = (0..count).map(|index| phase(index, 9, 1_000_000)).collect();
            phases.sort_unstable();
            let widest = phases.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
            assert!(phases.iter().all(|phase| *phase < 1_000_000));
            assert!(widest < 4_000_000 / count, "{count} streams: a gap of {widest}");
        }
    }
}

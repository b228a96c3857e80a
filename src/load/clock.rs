//! The generator's clock: monotonic nanoseconds since it began, and the conversion of the kernel's receive times to it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often both clocks are read against each other; the closest pair counts.
const TRIES: usize = 5;

/// The clock of a run: monotonic, in nanoseconds since the run began.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    base: Instant,
    /// The wall clock's time at the base, in nanoseconds.
    wall_at_base: u64,
}

impl Clock {
    /// Makes a clock that begins now.
    pub(super) fn new() -> Self {
        let mut clock = Self { base: Instant::now(), wall_at_base: 0 };
        clock.adjust();
        clock
    }

    /// Returns the time since the beginning.
    pub(super) fn now(&self) -> u64 {
        nanos(self.base.elapsed())
    }

    /// Returns a time of this clock as an `Instant`.
    pub(super) fn instant(&self, at: u64) -> Instant {
        self.base + Duration::from_nanos(at)
    }

    /// Returns this clock's time at an instant.
    pub(super) fn at(&self, instant: Instant) -> u64 {
        nanos(instant.saturating_duration_since(self.base))
    }

    /// Returns a receive time of the kernel, which is wall time, on this clock.
    pub(super) fn of_wall(&self, wall: Duration) -> u64 {
        nanos(wall).saturating_sub(self.wall_at_base)
    }

    /// Returns wall time in NTP format: seconds since 1900 in the upper 32 bits, fractions in the lower.
    pub(super) fn ntp(&self, at: u64) -> u64 {
        const SECONDS_1900_TO_1970: u64 = 2_208_988_800;
        let wall = self.wall_at_base.saturating_add(at);
        let (seconds, rest) = (wall / 1_000_000_000, wall % 1_000_000_000);
        ((seconds + SECONDS_1900_TO_1970) << 32) | ((rest << 32) / 1_000_000_000)
    }

    /// Reads wall time anew, because it may be stepped or slewed.
    pub(super) fn adjust(&mut self) {
        let mut closest = u64::MAX;
        for _ in 0..TRIES {
            let before = self.now();
            let wall = nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
            let after = self.now();
            if after - before < closest {
                closest = after - before;
                self.wall_at_base = wall.saturating_sub(before + (after - before) / 2);
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_and_our_own_agree() {
        let clock = Clock::new();
        let before = clock.now();
        let wall = clock.of_wall(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970"));
        let after = clock.now();
        let slack = 50_000_000;
        assert!(wall + slack >= before && wall <= after + slack, "{before} {wall} {after}");
        assert_eq!(clock.at(clock.instant(12_345)), 12_345);
    }
}

//! Bitrate: how much comes of an encoding, measured over the last whole second.

use std::time::{Duration, Instant};

/// The time over which it is measured.
const WINDOW: Duration = Duration::from_secs(1);

/// A rate that is measured in windows of a second.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bitrate {
    began: Option<Instant>,
    bytes: u64,
    /// Bits per second in the last window that is complete.
    measured: u64,
}

impl Bitrate {
    /// Notes that this much has come.
    pub fn note(&mut self, now: Instant, bytes: usize) {
        let began = *self.began.get_or_insert(now);
        let elapsed = now.saturating_duration_since(began);
        if elapsed >= WINDOW {
            self.measured = per_second(self.bytes, elapsed);
            (self.began, self.bytes) = (Some(now), 0);
        }
        self.bytes += bytes as u64;
    }

    /// Returns how many bits per second come. After a second without packets it falls towards 0.
    pub fn bps(&self, now: Instant) -> u64 {
        let Some(began) = self.began else { return 0 };
        let elapsed = now.saturating_duration_since(began);
        if elapsed < 2 * WINDOW { self.measured } else { per_second(self.bytes, elapsed) }
    }
}

fn per_second(bytes: u64, elapsed: Duration) -> u64 {
    let micros = elapsed.as_micros().max(1) as u64;
    bytes.saturating_mul(8_000_000) / micros
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_second_and_falls_when_nothing_comes() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut rate = Bitrate::default();
        assert_eq!(rate.bps(start), 0);
        for packet in 0..200 {
            rate.note(at(10 * packet), 1250);
        }
        assert_eq!(rate.bps(at(2000)), 1_000_000);
        assert!(rate.bps(at(20_000)) < 60_000, "{}", rate.bps(at(20_000)));
    }
}

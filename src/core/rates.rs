//! Rates: how much goes over a stream in a second, from the differences of its counters between two looks.

use std::time::{Duration, Instant};

use super::stats::{Rates, StreamCounters};

/// Looks that follow each other sooner tell too little.
const INTERVAL_MIN: Duration = Duration::from_millis(500);

/// Measures one stream each time that somebody looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Meter {
    before: Option<(Instant, StreamCounters)>,
    rates: Rates,
}

impl Meter {
    /// Measures what was counted since the last look.
    pub fn look(&mut self, now: Instant, counters: StreamCounters) {
        let Some((at, before)) = self.before else {
            self.before = Some((now, counters));
            return;
        };
        let elapsed = now.saturating_duration_since(at);
        if elapsed < INTERVAL_MIN {
            return;
        }
        let since = counters.since(&before);
        let micros = elapsed.as_micros() as u64;
        let per_second = |count: u64, unit: u64| count.saturating_mul(unit * 1_000_000) / micros;
        self.rates = Rates {
            bitrate: per_second(since.bytes, 8),
            frames_per_1000_seconds: per_second(since.frames, 1000),
        };
        self.before = Some((now, counters));
    }

    /// Forgets what was, because the stream carries something else from now on.
    pub fn restart(&mut self, now: Instant, counters: StreamCounters) {
        *self = Self { before: Some((now, counters)), rates: Rates::default() };
    }

    /// Returns what was measured last.
    pub fn rates(&self) -> Rates {
        self.rates
    }
}

/// A share that clients report again and again, smoothed: each report moves it by a quarter of the difference.
#[derive(Debug, Clone, Copy, Default)]
pub struct SmoothedLoss {
    /// In 1/65536; `None` before the first report.
    smoothed: Option<u32>,
}

impl SmoothedLoss {
    /// Takes a report of what part was lost, in 256ths.
    pub fn note(&mut self, fraction: u8) {
        let sample = u32::from(fraction) << 8;
        let before = self.smoothed.unwrap_or(sample);
        self.smoothed = Some((3 * before + sample) / 4);
    }

    /// Returns how much is lost, in 1/1000.
    pub fn permille(&self) -> u16 {
        ((self.smoothed.unwrap_or(0) * 1000) >> 16) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_since_the_last_look() {
        let start = Instant::now();
        let mut meter = Meter::default();
        let counted = |bytes, frames| StreamCounters { bytes, frames, ..StreamCounters::default() };
        meter.look(start, counted(0, 0));
        meter.look(start + Duration::from_secs(1), counted(125_000, 30));
        assert_eq!(meter.rates(), Rates { bitrate: 1_000_000, frames_per_1000_seconds: 30_000 });
        meter.look(start + Duration::from_millis(1100), counted(500_000, 60));
        assert_eq!(meter.rates().bitrate, 1_000_000, "too soon to tell");
        meter.look(start + Duration::from_secs(3), counted(125_000, 30));
        assert_eq!(meter.rates(), Rates::default(), "counts that fall are no rate");
    }

    #[test]
    fn loss_moves_slowly() {
        let mut loss = SmoothedLoss::default();
        assert_eq!(loss.permille(), 0);
        loss.note(51);
        assert_eq!(loss.permille(), 199);
        loss.note(0);
        assert_eq!(loss.permille(), 149);
        (0..30).for_each(|_| loss.note(0));
        assert_eq!(loss.permille(), 0);
        (0..30).for_each(|_| loss.note(255));
        assert!(loss.permille() > 990);
    }
}

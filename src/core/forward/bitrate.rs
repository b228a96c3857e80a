//! Bitrate: how much comes of an encoding, measured over whole seconds, and what it is expected to cost whoever is shown it.

use std::time::{Duration, Instant};

/// The time over which it is measured.
const WINDOW: Duration = Duration::from_secs(1);
/// Before the first second is over, what came in this time says something already.
const FIRST_LOOK: Duration = Duration::from_millis(200);
/// An encoder that has begun this short a time ago may not have reached its rate.
const YOUNG: Duration = Duration::from_secs(4);
/// The peak falls by this part of itself each second: what comes in bursts is expected to come again for some ten seconds.
const PEAK_FALLS_BY: u64 = 10;
/// After as many seconds nothing is left of a peak.
const PEAK_SECONDS_MAX: u64 = 200;

/// A rate that is measured in windows of a second.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bitrate {
    began: Option<Instant>,
    bytes: u64,
    /// Bits per second in the last window that is complete.
    measured: u64,
    /// The mean of the last few windows, in which one key frame does not show.
    mean: Option<u64>,
    /// The most of the last seconds, falling.
    peak: u64,
    /// Since when it has come without a pause.
    since: Option<Instant>,
}

impl Bitrate {
    /// Notes that this much has come.
    pub fn note(&mut self, now: Instant, bytes: usize) {
        let began = *self.began.get_or_insert(now);
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(began);
        if elapsed >= WINDOW {
            self.measured = per_second(self.bytes, elapsed);
            // A window that ended late was a pause, which says nothing of what comes now.
            let has_paused = elapsed >= 2 * WINDOW;
            self.since = Some(if has_paused { now } else { since });
            let mean = self.mean.map_or(self.measured, |mean| (3 * mean + self.measured) / 4);
            self.mean = (!has_paused).then_some(mean);
            self.peak = self.measured.max(fallen(self.peak, elapsed));
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

    /// Returns how many bits per second it is expected to take of a viewer's network: about what came lately; `None` if
    /// nothing is known. What comes in bursts is expected at its peak. While it is young, or off, it may have to reach what
    /// was `declared`.
    pub fn cost(&self, now: Instant, is_bursty: bool, declared: Option<u64>) -> Option<u64> {
        let Some(began) = self.began else { return declared };
        let elapsed = now.saturating_duration_since(began);
        let is_young = self.since.is_none_or(|since| now.saturating_duration_since(since) < YOUNG);
        let first = (elapsed >= FIRST_LOOK).then(|| per_second(self.bytes, elapsed));
        let peak = Some(fallen(self.peak, elapsed)).filter(|peak| is_bursty && *peak > 0);
        let measured = self.mean.or(first).max(peak);
        if is_young { measured.max(declared) } else { measured }
    }
}

/// Returns what is left of a peak after some time.
fn fallen(peak: u64, elapsed: Duration) -> u64 {
    (0..elapsed.as_secs().min(PEAK_SECONDS_MAX)).fold(peak, |peak, _| peak - peak / PEAK_FALLS_BY)
}

fn per_second(bytes: u64, elapsed: Duration) -> u64 {
    let micros = elapsed.as_micros().max(1) as u64;
    bytes.saturating_mul(8_000_000) / micros
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant) -> impl Fn(u64) -> Instant {
        move |ms| start + Duration::from_millis(ms)
    }

    #[test]
    fn a_rate_is_that_of_the_last_second_and_falls_when_nothing_comes() {
        let start = Instant::now();
        let at = at(start);
        let mut rate = Bitrate::default();
        assert_eq!(rate.bps(start), 0);
        for packet in 0..200 {
            rate.note(at(10 * packet), 1250);
        }
        assert_eq!(rate.bps(at(2000)), 1_000_000);
        assert!(rate.bps(at(20_000)) < 60_000, "{}", rate.bps(at(20_000)));
    }

    #[test]
    fn what_is_young_costs_what_was_declared_and_later_what_comes() {
        let start = Instant::now();
        let at = at(start);
        let mut rate = Bitrate::default();
        assert_eq!((rate.cost(start, false, None), rate.cost(start, false, Some(7))), (None, Some(7)));
        for packet in 0..800 {
            rate.note(at(10 * packet), 1250);
            if packet == 50 {
                assert_eq!(rate.cost(at(510), false, Some(2_000_000)), Some(2_000_000));
                let early = rate.cost(at(510), false, None).expect("half a second tells something");
                assert!((900_000..1_100_000).contains(&early), "{early}");
            }
        }
        assert_eq!(rate.cost(at(8_000), false, Some(2_000_000)), Some(1_000_000));
        rate.note(at(60_000), 1250);
        assert_eq!(rate.cost(at(60_001), false, Some(2_000_000)), Some(2_000_000), "it begins anew");
        for packet in 1..30 {
            rate.note(at(60_000 + 10 * packet), 1250);
        }
        let after = rate.cost(at(60_300), false, None).expect("it comes");
        assert!(
            (900_000..1_100_000).contains(&after),
            "what came before the pause is no part of it: {after}"
        );
    }

    #[test]
    fn one_key_frame_does_not_show_and_a_burst_is_remembered_where_bursts_are_usual() {
        let start = Instant::now();
        let at = at(start);
        let mut rate = Bitrate::default();
        for packet in 0..1_000 {
            let burst = if packet == 650 { 125_000 } else { 0 };
            rate.note(at(10 * packet), 1250 + burst);
        }
        let (steady, bursty) = (rate.cost(at(9_995), false, None), rate.cost(at(9_995), true, None));
        let (steady, bursty) = (steady.expect("it was measured"), bursty.expect("it was measured"));
        assert!((1_000_000..1_200_000).contains(&steady), "{steady}");
        assert!((1_400_000..1_700_000).contains(&bursty), "{bursty}");
    }
}

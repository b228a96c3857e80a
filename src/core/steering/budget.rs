//! Budget: what a viewer's network leaves for video.

use std::time::Duration;

use crate::core::bandwidth::estimator::Reason;
use crate::core::mutation::mutated;

/// No more than this part of what is left for video is kept for repeats, in 1/1,000,000, whatever is lost: where a queue is
/// full, the estimate is lower already because of that.
const REPEATS_MAX_MILLIONTHS: u64 = 100_000;
const MILLION: u64 = 1_000_000;

/// What is known of a viewer's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// What it carries, bits per second.
    pub estimate: u64,
    /// What gets through, bits per second; `None` while too little was reported.
    pub acknowledged: Option<u64>,
    /// How many reports have come of what was sent.
    pub reports: u64,
    /// What holds the estimate where it is; `None` if it is only a belief, because nothing was heard yet.
    pub limited_by: Option<Reason>,
    /// The usual loss, in 1/1,000,000.
    pub loss_millionths: u32,
    /// The round trip, or a guess at it.
    pub round_trip: Duration,
    /// Whether probes tell when it carries more.
    pub is_probed: bool,
}

/// How an estimate is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// What audio takes, bits per second. It is taken first, so that audio never pays for video.
    pub audio: u64,
    /// What is left for video, bits per second, without what its repeats take.
    pub video: u64,
    repeats_millionths: u64,
}

impl Budget {
    /// Divides what a network carries.
    pub fn new(link: &Link, audio: u64) -> Self {
        let repeats_millionths = u64::from(link.loss_millionths).min(REPEATS_MAX_MILLIONTHS);
        let estimate = if mutated!(EstimateIgnored) { u64::from(u32::MAX) } else { link.estimate };
        let left = estimate.saturating_sub(audio);
        Self { audio, video: scaled(left, MILLION - repeats_millionths), repeats_millionths }
    }

    /// Returns what a network must carry for video of that cost, bits per second.
    pub fn total(&self, cost: u64) -> u64 {
        let with_repeats =
            u128::from(cost) * u128::from(MILLION) / u128::from(MILLION - self.repeats_millionths);
        self.audio.saturating_add(u64::try_from(with_repeats).unwrap_or(u64::MAX))
    }
}

fn scaled(rate: u64, millionths: u64) -> u64 {
    (u128::from(rate) * u128::from(millionths) / u128::from(MILLION)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(estimate: u64, loss_millionths: u32, audio: u64) -> Budget {
        let round_trip = Duration::from_millis(50);
        let link = Link {
            estimate,
            acknowledged: None,
            reports: 0,
            limited_by: None,
            loss_millionths,
            round_trip,
            is_probed: false,
        };
        Budget::new(&link, audio)
    }

    #[test]
    fn audio_and_repeats_come_first() {
        for (estimate, loss, audio, video) in [
            (1_000_000, 0, 40_000, 960_000),
            (1_000_000, 100_000, 0, 900_000),
            (1_000_000, 100_000, 40_000, 864_000),
            (1_000_000, 50_000, 0, 950_000),
            (1_000_000, 900_000, 0, 900_000),
            (30_000, 0, 40_000, 0),
            (0, 0, 0, 0),
        ] {
            assert_eq!(budget(estimate, loss, audio).video, video, "{estimate} {loss} {audio}");
        }
    }

    #[test]
    fn what_fits_the_budget_fits_the_network() {
        for loss in [0, 50_000, 200_000, 1_000_000] {
            let budget = budget(2_000_000, loss, 64_000);
            let total = budget.total(budget.video);
            assert!((1_999_000..=2_000_000).contains(&total), "{total} at {loss}");
        }
    }
}

//! Voice: estimates how people would rate the sound of a call, by the E-model (ITU-T G.107) as far as a network matters.
//!
//! The model adds up what impairs a call on a scale from 0 to 100, the rating R, and translates that to the mean opinion
//! score (MOS), from 1 to 5. Two impairments depend on the network: delay, and lost packets. How much loss a codec bears is
//! a constant of the codec. There is no agreed value for Opus; the one here is that of codecs that conceal about as well.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A mean opinion score, in hundredths: 100 is bad, 450 the best that the model knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mos(pub u16);

/// R of a call that nothing impairs but what any digital call has (G.107, table 3), in 1/1000.
const R_MAX: i64 = 93_200;
/// How much R loses if everything is lost (95 in G.107, equation 7-29), in 1/1000.
const LOSS_IMPAIRMENT_MAX: i64 = 95_000;
/// The packet-loss robustness factor (Bpl), in 1/1000 lost: with so much loss half of the impairment is there.
const ROBUSTNESS: i64 = 100;
/// Delay that any call has besides the network's, in milliseconds: a frame, the encoder's look-ahead, and playing.
const DELAY_OF_ENDS: i64 = 60;
/// Players wait for so many times the jitter before they play.
const JITTERS: i64 = 2;
/// In what the curve of annex B is computed: a hundredth of its score.
const UNIT: i64 = 10_000_000_000_000;
/// With more delay than this, in milliseconds, people begin to talk at once.
const DELAY_NOTICED: i64 = 177;

impl Mos {
    /// Estimates the score of audio of which so much is missing when it is played, in 1/1000, and which takes so long.
    pub fn estimate(missing_permille: u16, round_trip: Duration, jitter: Duration) -> Self {
        let millis = |time: Duration| i64::from(u16::try_from(time.as_millis()).unwrap_or(u16::MAX));
        let delay = DELAY_OF_ENDS + millis(round_trip) / 2 + JITTERS * millis(jitter);
        let by_delay = 24 * delay + 110 * (delay - DELAY_NOTICED).max(0);
        let missing = i64::from(missing_permille);
        let by_loss = LOSS_IMPAIRMENT_MAX * missing / (missing + ROBUSTNESS);
        let rating = (R_MAX - by_delay - by_loss).clamp(0, 100_000);
        // 1 + 0.035 R + R (R - 60) (100 - R) 7e-6 (G.107, annex B), in hundredths, with R in 1/1000.
        let line = 35 * rating * (UNIT / 10_000);
        let curve = 7 * rating * (rating - 60_000) * (100_000 - rating);
        Self((100 + (line + curve + UNIT / 2).div_euclid(UNIT)).clamp(100, 450) as u16)
    }

    /// Returns the score as people write it.
    pub fn value(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// Returns how much is missing when it is played of what loses so much on the way, both in 1/1000, if each packet goes out
/// in that many more packets.
pub fn effective_loss(loss_permille: u16, copies: u8) -> u16 {
    let loss = u32::from(loss_permille.min(1000));
    (0..copies).fold(loss, |missing, _| missing * loss / 1000) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mos(missing: u16, round_trip: u64, jitter: u64) -> u16 {
        Mos::estimate(missing, Duration::from_millis(round_trip), Duration::from_millis(jitter)).0
    }

    #[test]
    fn a_call_that_nothing_impairs_is_rated_as_the_model_says() {
        // R = 93.2 - 0.024 * 60 = 91.76 gives 4.38 by the formula.
        assert_eq!(mos(0, 0, 0), 438);
    }

    #[test]
    fn loss_delay_and_jitter_lower_the_score() {
        let scores = [mos(0, 50, 5), mos(10, 50, 5), mos(50, 50, 5), mos(100, 50, 5), mos(200, 50, 5)];
        assert!(scores.is_sorted_by(|a, b| a > b), "{scores:?}");
        assert!(scores[1] > 400 && scores[4] < 200, "{scores:?}");
        assert!(mos(0, 50, 5) > mos(0, 400, 5) && mos(0, 400, 5) > mos(0, 800, 5));
        assert!(mos(0, 50, 5) > mos(0, 50, 100));
        assert_eq!(mos(1000, 60_000, 60_000), 100, "nothing is worse than 1");
    }

    #[test]
    fn every_score_is_within_the_scale_and_more_loss_is_never_better() {
        for round_trip in (0..2000).step_by(50) {
            let scores: Vec<u16> = (0..=1000).map(|missing| mos(missing, round_trip, 10)).collect();
            assert!(scores.iter().all(|score| (100..=450).contains(score)));
            // Near its lower end the formula itself rises a little before it falls to 1.
            assert!(scores.windows(2).all(|pair| pair[1] <= pair[0].max(110)), "{round_trip}");
        }
    }

    #[test]
    fn copies_make_up_for_loss() {
        assert_eq!(effective_loss(200, 0), 200);
        assert_eq!(effective_loss(200, 1), 40);
        assert_eq!(effective_loss(200, 2), 8);
        assert_eq!(effective_loss(1000, 2), 1000);
    }
}

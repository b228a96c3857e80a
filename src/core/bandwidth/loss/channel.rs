//! Channel: a guess at why packets are lost. A channel loses a part of all packets, whatever is sent (the *inherent loss*),
//! and all that exceeds its capacity. How well it explains what was observed is its likelihood.

use super::observations::Observations;
use crate::core::bandwidth::logarithm::ln;
use crate::core::bandwidth::{BitRate, scaled};

/// No channel is without loss.
const INHERENT_MIN: f64 = 0.001;
/// A channel's inherent loss is this at most, and more at low rates: by as much as this rate is of its capacity. With 0.05
/// in place of 0.3 a network that loses a fifth of everything, which audio with redundancy and video with repeats can live
/// with, would count as full, and video would be switched off.
const INHERENT_MAX: f64 = 0.3;
const INHERENT_BALANCE: f64 = 100_000.0;
/// Of channels that explain equally well the one of higher capacity is preferred: by its rate in kilobits per second, and
/// by the logarithm of that. While more than [`PREFER_HIGHER_BELOW`] is lost, the one of lower capacity.
const PREFERENCE: f64 = 0.000_02;
const PREFERENCE_LOGARITHM: f64 = 0.002;
const PREFER_HIGHER_BELOW: f64 = 0.3;
const PREFERENCE_SMOOTHING: f64 = 0.002;
/// How far a step of Newton's method goes.
const NEWTON_STEP: f64 = 0.75;
/// Nothing is certain.
const PROBABILITY_MIN: f64 = 1e-6;

/// What a network may be like.
#[derive(Debug, Clone, Copy)]
pub struct Channel {
    /// Which part is lost of whatever is sent, 0 to 1.
    pub inherent_loss: f64,
    /// What it carries, bits per second.
    pub capacity: BitRate,
}

impl Channel {
    /// The same channel with another capacity, and with an inherent loss that is possible at it.
    pub fn with_capacity(self, capacity: BitRate) -> Self {
        Self { capacity, ..self }.feasible()
    }

    fn feasible(self) -> Self {
        let most = (INHERENT_MAX + INHERENT_BALANCE / self.capacity.max(1) as f64).min(1.0);
        Self { inherent_loss: self.inherent_loss.max(INHERENT_MIN).min(most), ..self }
    }

    /// How probable it is that a packet is lost of what is sent at that rate.
    fn loss_at(&self, rate: BitRate) -> f64 {
        let mut loss = self.inherent_loss;
        if rate > self.capacity {
            loss += (1.0 - loss) * (rate - self.capacity) as f64 / rate as f64;
        }
        loss.clamp(PROBABILITY_MIN, 1.0 - PROBABILITY_MIN)
    }

    /// Takes one step towards the inherent loss that explains best what was observed.
    pub fn fitted(self, observations: &Observations) -> Self {
        let (mut first, mut second) = (0.0, 0.0);
        for (weight, portion) in observations.weighted() {
            let loss = self.loss_at(portion.rate);
            let lost = kilobytes(portion.lost_bytes);
            let came = kilobytes(portion.bytes - portion.lost_bytes);
            first += weight * (lost / loss - came / (1.0 - loss));
            second -= weight * (lost / (loss * loss) + came / ((1.0 - loss) * (1.0 - loss)));
        }
        if second >= 0.0 {
            return self;
        }
        Self { inherent_loss: self.inherent_loss - NEWTON_STEP * first / second, ..self }.feasible()
    }

    /// How well the channel explains what was observed, with the preference for capacity. `loss` is the usual loss.
    pub fn objective(&self, observations: &Observations, loss: f64) -> f64 {
        let distance = PREFER_HIGHER_BELOW - loss;
        let preference = distance / (PREFERENCE_SMOOTHING + distance.abs());
        let kilobits = self.capacity as f64 / 1_000.0;
        let bias = preference * (PREFERENCE * kilobits + PREFERENCE_LOGARITHM * ln(1.0 + kilobits));
        let explained = observations.weighted().map(|(weight, portion)| {
            let loss = self.loss_at(portion.rate);
            let lost = kilobytes(portion.lost_bytes);
            let came = kilobytes(portion.bytes - portion.lost_bytes);
            weight * (lost * ln(loss) + came * ln(1.0 - loss) + bias * kilobytes(portion.bytes))
        });
        explained.sum()
    }

    /// The channel of a hundredth more or less, and so on.
    pub fn scaled(self, percent: u64) -> Self {
        self.with_capacity(scaled(self.capacity, percent, 100))
    }
}

fn kilobytes(bytes: u64) -> f64 {
    bytes as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exceeds_the_capacity_is_lost() {
        let channel = Channel { inherent_loss: 0.1, capacity: 1_000_000 };
        for (rate, loss) in [(500_000, 0.1), (1_000_000, 0.1), (2_000_000, 0.55), (0, 0.1)] {
            assert!((channel.loss_at(rate) - loss).abs() < 1e-9, "{rate}: {}", channel.loss_at(rate));
        }
    }

    #[test]
    fn a_small_channel_may_lose_more() {
        let lossy = Channel { inherent_loss: 0.9, capacity: 1_000_000 };
        assert!((lossy.with_capacity(1_000_000).inherent_loss - 0.4).abs() < 1e-9);
        assert!((lossy.with_capacity(200_000).inherent_loss - 0.8).abs() < 1e-9);
        assert!((lossy.with_capacity(50_000).inherent_loss - 0.9).abs() < 1e-9);
    }
}

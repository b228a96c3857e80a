//! What was sent and lost, in portions of a quarter of a second.

use crate::core::bandwidth::{BitRate, MILLISECOND, Micros, PacketResult, rate_of};

/// A portion spans at least this.
const SPAN_MIN: Micros = 250 * MILLISECOND;
/// How many portions are remembered.
const PORTIONS: usize = 15;
/// Lost packets of one portion that may still turn out to have been late, at most; more are lost for good.
const LATE_MAX: usize = 1_024;
/// With fewer portions than this the best and the worst of them count.
const OUTLIERS_FROM: u64 = 3;
/// Loss of a portion that was sent at more than this many times the usual rate was its own doing, and counts.
const USUAL_RATE_FACTOR: u64 = 2;

/// How much a portion counts by its age: 0.9 to the power of it.
const WEIGHTS: [f64; PORTIONS] = [
    1.0,
    0.9,
    0.81,
    0.729,
    0.6561,
    0.590_49,
    0.531_441,
    0.478_296_9,
    0.430_467_21,
    0.387_420_489,
    0.348_678_440_1,
    0.313_810_596_09,
    0.282_429_536_481,
    0.254_186_582_832_9,
    0.228_767_924_549_61,
];

/// A portion.
#[derive(Debug, Clone, Copy, Default)]
pub struct Observation {
    /// The rate at which it was sent, bits per second.
    pub rate: BitRate,
    /// What was sent, bytes,
    pub bytes: u64,
    /// and what of it did not come.
    pub lost_bytes: u64,
}

impl Observation {
    fn loss(&self) -> f64 {
        if self.bytes == 0 { 0.0 } else { self.lost_bytes as f64 / self.bytes as f64 }
    }
}

/// The last portions, and the one under way.
#[derive(Debug, Default)]
pub struct Observations {
    ring: [Observation; PORTIONS],
    count: u64,
    /// Up to when the last portion was sent.
    until: Option<Micros>,
    bytes: u64,
    lost_bytes: u64,
    /// Lost packets of the portion under way, by number, with their sizes.
    lost: Vec<(u64, u32)>,
}

impl Observations {
    /// How many portions there have been.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Up to when what is observed was sent; `None` before the first packet.
    pub fn until(&self) -> Option<Micros> {
        self.until
    }

    /// Takes the packets of a report. Returns whether they complete a portion.
    pub fn take(&mut self, results: &[PacketResult]) -> bool {
        let (mut first, mut last) = (Micros::MAX, Micros::MIN);
        for result in results {
            self.bytes += u64::from(result.bytes);
            self.note(result);
            first = first.min(result.sent);
            last = last.max(result.sent);
        }
        let Some(until) = self.until else {
            // What comes first is measured from its own first packet.
            self.until = (first <= last).then_some(first);
            return self.until.is_some_and(|until| self.complete(last - until, last));
        };
        self.complete(last.saturating_sub(until), last)
    }

    fn note(&mut self, result: &PacketResult) {
        let place = self.lost.binary_search_by_key(&result.sequence, |(sequence, _)| *sequence);
        match (place, result.received) {
            (Ok(place), Some(_)) => {
                let (_, bytes) = self.lost.remove(place);
                self.lost_bytes -= u64::from(bytes);
            }
            (Err(place), None) => {
                self.lost_bytes += u64::from(result.bytes);
                if self.lost.len() < LATE_MAX {
                    self.lost.insert(place, (result.sequence, result.bytes));
                }
            }
            _ => {}
        }
    }

    fn complete(&mut self, span: Micros, last: Micros) -> bool {
        if span < SPAN_MIN {
            return false;
        }
        let rate = rate_of(self.bytes, span);
        self.ring[self.count as usize % PORTIONS] =
            Observation { rate, bytes: self.bytes, lost_bytes: self.lost_bytes };
        self.count += 1;
        self.until = Some(last);
        self.bytes = 0;
        self.lost_bytes = 0;
        self.lost.clear();
        true
    }

    /// Returns the portions, each with its weight, the newest first.
    pub fn weighted(&self) -> impl Iterator<Item = (f64, &Observation)> {
        let known = self.count.min(PORTIONS as u64);
        (0..known).map(|age| {
            let place = (self.count - 1 - age) as usize % PORTIONS;
            (WEIGHTS[age as usize], &self.ring[place])
        })
    }

    /// Which part of all bytes was lost, 0 to 1. The best and the worst portion are left out, unless the worst was sent
    /// much faster than usual.
    pub fn loss(&self) -> f64 {
        let (mut bytes, mut lost) = (0.0, 0.0);
        let mut best: Option<(f64, f64, f64)> = None;
        let mut worst: Option<(f64, f64, f64, BitRate)> = None;
        for (weight, portion) in self.weighted() {
            let (weighted, weighted_lost) =
                (weight * portion.bytes as f64, weight * portion.lost_bytes as f64);
            bytes += weighted;
            lost += weighted_lost;
            let loss = portion.loss();
            if self.count > OUTLIERS_FROM {
                if loss < best.map_or(1.0, |(least, ..)| least) {
                    best = Some((loss, weighted, weighted_lost));
                }
                if loss > worst.map_or(0.0, |(most, ..)| most) {
                    worst = Some((loss, weighted, weighted_lost, portion.rate));
                }
            }
        }
        let worst_rate = worst.map_or(0, |(.., rate)| rate);
        if self.usual_rate() * USUAL_RATE_FACTOR > worst_rate {
            let (_, best_bytes, best_lost) = best.unwrap_or_default();
            let (_, worst_bytes, worst_lost, _) = worst.unwrap_or_default();
            bytes -= best_bytes + worst_bytes;
            lost -= best_lost + worst_lost;
        }
        if bytes > 0.0 { (lost / bytes).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The median of the rates at which the portions were sent.
    fn usual_rate(&self) -> BitRate {
        let mut rates = [0; PORTIONS];
        let mut known = 0;
        for (_, portion) in self.weighted().filter(|(_, portion)| portion.rate > 0) {
            rates[known] = portion.rate;
            known += 1;
        }
        let rates = &mut rates[..known];
        rates.sort_unstable();
        match known {
            0 => 0,
            _ if known.is_multiple_of(2) => (rates[known / 2 - 1] + rates[known / 2]) / 2,
            _ => rates[known / 2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of 1,000 bytes every 10 ms.
    fn packet(sequence: u64, received: bool) -> PacketResult {
        let sent = sequence.cast_signed() * 10 * MILLISECOND;
        PacketResult {
            sequence,
            sent,
            received: received.then_some(sent),
            bytes: 1_000,
            unreported: 0,
            probe: None,
        }
    }

    /// Reports of five packets each, of which those are lost that `lost` names.
    fn observe(packets: u64, lost: impl Fn(u64) -> bool) -> Observations {
        let mut observations = Observations::default();
        for report in 0..packets / 5 {
            let results: Vec<_> = (0..5).map(|n| report * 5 + n).map(|n| packet(n, !lost(n))).collect();
            observations.take(&results);
        }
        observations
    }

    #[test]
    fn a_quarter_of_a_second_is_a_portion() {
        let observations = observe(500, |_| false);
        assert!((16..=20).contains(&observations.count()), "{}", observations.count());
        let rates: Vec<_> = observations.weighted().map(|(_, portion)| portion.rate).collect();
        assert_eq!(rates.len(), PORTIONS);
        assert!(rates.iter().all(|rate| (790_000..=810_000).contains(rate)), "{rates:?}");
    }

    #[test]
    fn loss_is_what_is_usual() {
        assert!(observe(1_000, |_| false).loss() < 1e-9);
        let tenth = observe(1_000, |packet| packet % 10 == 3).loss();
        assert!((0.08..0.12).contains(&tenth), "{tenth}");
        let accident = observe(1_000, |packet| (900..925).contains(&packet)).loss();
        assert!(accident < 0.04, "one bad portion is left out: {accident}");
    }

    #[test]
    fn who_was_late_is_not_lost() {
        let mut observations = Observations::default();
        let lost: Vec<_> = (0..10).map(|n| packet(n, n != 4)).collect();
        observations.take(&lost);
        assert_eq!(observations.lost_bytes, 1_000);
        observations.take(&[packet(4, true)]);
        assert_eq!(observations.lost_bytes, 0);
    }

    #[test]
    fn what_is_remembered_of_the_lost_is_bounded() {
        let mut observations = Observations::default();
        let lost: Vec<_> =
            (0..5_000).map(|sequence| PacketResult { sent: 0, ..packet(sequence, false) }).collect();
        observations.take(&lost);
        assert_eq!((observations.lost.len(), observations.lost_bytes), (LATE_MAX, 5_000_000));
    }
}

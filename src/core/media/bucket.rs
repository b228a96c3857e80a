//! Bucket: a budget of bits that fills at a rate and is emptied by what is sent (a token bucket). What may be sent at once
//! is bounded by how full it may become, and how long sending must pause by how far it may be overdrawn.

use crate::core::bandwidth::{BitRate, Micros, SECOND};

/// No network is faster, bits per second: with it no product of a rate and a time overflows.
const RATE_MAX: BitRate = 1_000_000_000_000;

/// A budget of bits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    bits: i64,
    /// When it was last filled; `None` before the first time.
    filled: Option<Micros>,
}

impl Bucket {
    /// Adds what has come at `rate` since the last call. It never holds more than comes in `most`; the first call fills it.
    #[inline]
    pub fn fill(&mut self, now: Micros, rate: BitRate, most: Micros) {
        if self.filled == Some(now) {
            return;
        }
        let since = self.filled.replace(now).map_or(most, |filled| now - filled);
        let limit = bits_in(rate, most);
        self.bits = self.bits.saturating_add(bits_in(rate, since)).min(limit);
    }

    /// Takes out a packet. Whatever it is overdrawn by keeps back what comes later, but by no more than what comes in `debt`
    /// at `rate`.
    #[inline]
    pub fn take(&mut self, bytes: usize, rate: BitRate, debt: Micros) {
        let bits = i64::try_from(bytes * 8).unwrap_or(i64::MAX);
        self.bits = self.bits.saturating_sub(bits).max(-bits_in(rate, debt));
    }

    /// Whether something may be sent. The packet that empties it may be larger than what was left.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.bits > 0
    }

    /// Empties it, and forgets when it was filled, so that the next call of [`fill`](Self::fill) counts from there.
    pub fn drain(&mut self, now: Micros) {
        *self = Self { bits: 0, filled: Some(now) };
    }
}

/// Returns how many bits come at a rate in a time of a second at most.
#[inline]
pub(super) fn bits_in(rate: BitRate, time: Micros) -> i64 {
    let time = time.clamp(0, SECOND).unsigned_abs();
    (rate.min(RATE_MAX) * time / SECOND.unsigned_abs()).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::bandwidth::MILLISECOND;

    /// Sends packets of 1,000 bytes as often as the bucket is open, and says how many there were in each millisecond.
    fn sent(rate: BitRate, most: Micros, millis: i64) -> Vec<usize> {
        let mut bucket = Bucket::default();
        let mut sent = Vec::new();
        for millisecond in 0..millis {
            bucket.fill(millisecond * MILLISECOND, rate, most);
            let mut count = 0;
            while bucket.is_open() {
                bucket.take(1_000, rate, SECOND);
                count += 1;
            }
            sent.push(count);
        }
        sent
    }

    #[test]
    fn what_is_saved_up_leaves_at_once_and_the_rest_at_the_rate() {
        let sent = sent(1_000_000, 40 * MILLISECOND, 1_000);
        assert_eq!(sent[0], 5, "40 ms at 1 Mbit/s are 5,000 bytes");
        assert_eq!(sent[1..].iter().max(), Some(&1));
        assert!(
            (129..=130).contains(&sent.iter().sum::<usize>()),
            "125,000 bytes a second, and the first 5,000"
        );
    }

    #[test]
    fn a_debt_is_bounded() {
        let mut bucket = Bucket::default();
        bucket.fill(0, 1_000_000, 40 * MILLISECOND);
        bucket.take(1_000_000, 1_000_000, 40 * MILLISECOND);
        bucket.fill(40 * MILLISECOND, 1_000_000, 40 * MILLISECOND);
        assert!(!bucket.is_open());
        bucket.fill(41 * MILLISECOND, 1_000_000, 40 * MILLISECOND);
        assert!(bucket.is_open());
    }

    #[test]
    fn time_that_stands_still_or_goes_back_fills_nothing() {
        let mut bucket = Bucket::default();
        bucket.fill(1_000, 1_000_000, 40 * MILLISECOND);
        bucket.take(5_000, 1_000_000, 40 * MILLISECOND);
        for now in [1_000, 500, 0] {
            bucket.fill(now, 1_000_000, 40 * MILLISECOND);
            assert!(!bucket.is_open(), "{now}");
        }
    }
}

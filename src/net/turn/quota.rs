//! How much of the TURN server one participant may use: how many allocations, and over all of them how many bytes a
//! second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use slab::Slab;

/// For how long an unused rate adds up, because a key frame is a burst.
const BURST: Duration = Duration::from_millis(500);

/// Size of the least burst, bytes: some full packets at any rate.
const BURST_BYTES_MIN: u64 = 64 * 1024;

/// How much may be sent in one direction. It refills with time.
#[derive(Debug)]
struct Bucket {
    /// In bytes times the nanoseconds of a second, so that rounding loses nothing.
    level: u128,
    filled: Instant,
}

const SECOND: u128 = 1_000_000_000;

impl Bucket {
    fn full(now: Instant, bytes_per_second: u64) -> Self {
        Self { level: Self::capacity(bytes_per_second), filled: now }
    }

    fn capacity(bytes_per_second: u64) -> u128 {
        let burst = u128::from(bytes_per_second) * BURST.as_nanos();
        burst.max(u128::from(BURST_BYTES_MIN) * SECOND)
    }

    fn take(&mut self, now: Instant, bytes: usize, bytes_per_second: u64) -> bool {
        let more = now.saturating_duration_since(self.filled).as_nanos() * u128::from(bytes_per_second);
        // The bucket is refilled only when somebody takes from it: nothing has to be done while nobody does.
        self.level = (self.level + more).min(Self::capacity(bytes_per_second));
        self.filled = now;
        let needed = bytes as u128 * SECOND;
        let enough = self.level >= needed;
        if enough {
            self.level -= needed;
        }
        enough
    }
}

/// The direction in which data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to Strait.
    In,
    /// From Strait to the client.
    Out,
}

/// A participant's place in [`Quotas`] while they have an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaKey(usize);

#[derive(Debug)]
struct Quota {
    participant: Box<str>,
    allocations: usize,
    inward: Bucket,
    outward: Bucket,
}

/// The quotas of everyone who has an allocation.
#[derive(Debug, Default)]
pub struct Quotas {
    slab: Slab<Quota>,
    by_participant: HashMap<Box<str>, usize>,
    /// How many bytes a second one participant may send, and may be sent.
    bytes_per_second: u64,
}

impl Quotas {
    /// Begins with nobody, and with the rate of each.
    pub fn new(bits_per_second: usize) -> Self {
        Self { bytes_per_second: bits_per_second as u64 / 8, ..Self::default() }
    }

    /// Returns how many allocations a participant has.
    pub fn allocations(&self, participant: &str) -> usize {
        let found = self.by_participant.get(participant).and_then(|key| self.slab.get(*key));
        found.map_or(0, |quota| quota.allocations)
    }

    /// Counts one more allocation of a participant.
    pub fn add(&mut self, now: Instant, participant: &str) -> QuotaKey {
        if let Some(&key) = self.by_participant.get(participant) {
            if let Some(quota) = self.slab.get_mut(key) {
                quota.allocations += 1;
            }
            return QuotaKey(key);
        }
        let full = || Bucket::full(now, self.bytes_per_second);
        let quota =
            Quota { participant: participant.into(), allocations: 1, inward: full(), outward: full() };
        let key = self.slab.insert(quota);
        self.by_participant.insert(participant.into(), key);
        QuotaKey(key)
    }

    /// Counts one allocation fewer, and forgets a participant who has none.
    pub fn remove(&mut self, key: QuotaKey) {
        let Some(quota) = self.slab.get_mut(key.0) else { return };
        quota.allocations = quota.allocations.saturating_sub(1);
        if quota.allocations == 0 {
            let quota = self.slab.remove(key.0);
            self.by_participant.remove(&quota.participant);
        }
    }

    /// Takes bytes from a participant's rate. Returns `false`, and takes none, if there are not enough.
    pub fn take(&mut self, now: Instant, key: QuotaKey, way: Way, bytes: usize) -> bool {
        let rate = self.bytes_per_second;
        let Some(quota) = self.slab.get_mut(key.0) else { return false };
        let bucket = if way == Way::In { &mut quota.inward } else { &mut quota.outward };
        bucket.take(now, bytes, rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_participants_allocations_share_one_rate_each_way() {
        let now = crate::net::clock::now();
        let mut quotas = Quotas::new(8_000_000);
        let (first, second) = (quotas.add(now, "anna"), quotas.add(now, "anna"));
        let other = quotas.add(now, "ben");
        assert_eq!((first, quotas.allocations("anna")), (second, 2));
        assert!(quotas.take(now, first, Way::In, 400_000), "half a second at once");
        assert!(!quotas.take(now, second, Way::In, 100_001));
        assert!(quotas.take(now, second, Way::Out, 500_000) && quotas.take(now, other, Way::In, 500_000));
        let later = now + Duration::from_millis(100);
        assert!(quotas.take(later, second, Way::In, 200_000));
        assert!(!quotas.take(later, second, Way::In, 1));
    }

    #[test]
    fn who_has_no_allocation_any_more_is_forgotten() {
        let now = crate::net::clock::now();
        let mut quotas = Quotas::new(1);
        let key = quotas.add(now, "anna");
        quotas.add(now, "anna");
        quotas.remove(key);
        assert_eq!(quotas.allocations("anna"), 1);
        quotas.remove(key);
        assert_eq!((quotas.allocations("anna"), quotas.slab.len(), quotas.by_participant.len()), (0, 0, 0));
        assert!(!quotas.take(now, key, Way::In, 1));
    }
}

//! A hash map whose hasher has no seed, for look-ups on the packet path.
//!
//! The standard map's SipHash costs as much as writing an RTP header, and its seed makes the order of iteration
//! differ between two runs. Here the same keys give the same table everywhere. **Never iterate such a map where
//! the order could reach an output**, and cap the number of keys that a stranger can choose: without a seed,
//! somebody may craft keys that collide.

use std::hash::{BuildHasher, Hasher};

/// A hash map for look-ups, the same in every run.
#[allow(clippy::disallowed_types)] // The one place where the type is named: with a hasher that has no seed.
pub type FixedMap<K, V> = std::collections::HashMap<K, V, FixedState>;

/// Makes [`FixedHasher`]s, which all begin in the same state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FixedState;

impl BuildHasher for FixedState {
    type Hasher = FixedHasher;

    fn build_hasher(&self) -> FixedHasher {
        FixedHasher { state: SEED }
    }
}

/// Hashes word by word: it multiplies to 128 bits and folds the halves together.
#[derive(Debug, Clone, Copy)]
pub struct FixedHasher {
    state: u64,
}

/// An odd constant with an even mix of bits (the fraction of the golden ratio).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
/// Not zero, so that leading zeros of a key change the hash (the fraction of π).
const SEED: u64 = 0x243f_6a88_85a3_08d3;

impl FixedHasher {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(MULTIPLIER);
        self.state = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for FixedHasher {
    fn finish(&self) -> u64 {
        // Mixed once more, because the table takes its tag from the top bits and its bucket from the bottom ones.
        let mut last = *self;
        last.mix(MULTIPLIER.rotate_left(32));
        last.state
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
        self.mix(bytes.len() as u64);
    }

    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }

    fn write_u16(&mut self, value: u16) {
        self.mix(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn close_keys_spread_over_buckets_and_tags() {
        for shift in [0, 8, 16, 24, 32, 48] {
            let mut buckets: BTreeMap<u64, u32> = BTreeMap::new();
            let mut tags: BTreeMap<u64, u32> = BTreeMap::new();
            for key in 0..4096u64 {
                let hash = FixedState.hash_one(key << shift);
                *buckets.entry(hash & 1023).or_default() += 1;
                *tags.entry(hash >> 57).or_default() += 1;
            }
            assert!(buckets.values().all(|&n| n < 20), "four a bucket on average, shift {shift}");
            assert_eq!(tags.len(), 128, "shift {shift}");
        }
    }

    #[test]
    fn the_hash_of_a_key_never_changes() {
        assert_eq!(FixedState.hash_one(1u32), FixedState.hash_one(1u32));
        assert_ne!(FixedState.hash_one("a"), FixedState.hash_one("b"));
        assert_ne!(FixedState.hash_one([0u8; 7].as_slice()), FixedState.hash_one([0u8; 8].as_slice()));
    }
}

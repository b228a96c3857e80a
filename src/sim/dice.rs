//! Dice: the randomness of a world, drawn from its seed. Everybody and everything has its own dice, so that leaving
//! somebody out of a world does not change what happens to the others.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A source of chance with a name.
#[derive(Debug, Clone)]
pub struct Dice(fastrand::Rng);

impl Dice {
    /// Returns the dice of that name in the world of that seed.
    pub fn of(seed: u64, name: &str, number: u64) -> Self {
        let mut bytes = name.as_bytes().to_vec();
        bytes.extend(number.to_be_bytes());
        Self(fastrand::Rng::with_seed(xxh3_64_with_seed(&bytes, seed)))
    }

    /// Returns whether something happens that has this probability in percent.
    pub fn percent(&mut self, percent: u32) -> bool {
        self.0.u32(..100) < percent
    }

    /// Returns whether something happens that has this probability in millionths.
    pub fn ppm(&mut self, ppm: u32) -> bool {
        self.0.u32(..1_000_000) < ppm
    }

    /// Draws a number from a range, or returns the start of an empty one.
    pub fn among(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() { range.start } else { self.0.u64(range) }
    }

    /// Draws an element of a list that is not empty.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.0.usize(..list.len())]
    }

    /// Draws any 64 bits.
    pub fn u64(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// Draws any 32 bits.
    pub fn u32(&mut self) -> u32 {
        self.0.u32(..)
    }

    /// Draws a number of that many bits, which is mostly just below its wrap-around.
    pub fn near_wrap(&mut self, bits: u32) -> u32 {
        let end = 1_u64 << bits;
        let value = if self.percent(60) { end - 1 - self.among(0..40) } else { self.among(0..end) };
        value as u32
    }

    /// Draws `length` random bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.0.u8(..)).collect()
    }

    /// Draws text that is allowed in ICE credentials.
    pub fn text(&mut self, length: usize) -> String {
        (0..length).map(|_| self.0.alphanumeric()).collect()
    }
}

//! Wire formats: reads and writes the bytes of standard protocols in place.
//!
//! Everything here is a function of a byte slice that accepts any input. A parser either understands its input or
//! returns [`Malformed`] (or `None`). It never panics and never trusts a length before comparing it with what is there,
//! and it allocates nothing, but for the structure of a dependency descriptor, which comes with key frames alone. Nothing
//! here has state or knows about rooms and tracks, so every format can be tested from its RFC alone.

use std::fmt;

mod bits;
mod cursor;

pub mod av1;
pub mod classify;
pub mod dcep;
pub mod dependency_descriptor;
pub mod h264;
pub mod opus;
pub mod picture_id;
pub mod red;
pub mod rtp;
pub mod rtp_extensions;
pub mod sctp;
pub mod sniff;
pub mod stun;
pub mod stun_check;
pub mod stun_refusal;
pub mod tcp_frame;
pub mod transport_feedback;
pub mod turn_frame;
pub mod vp8;
pub mod vp9;

/// The bytes do not follow the format. There are no details, because the sender is not told and the datagram is
/// dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed bytes")
    }
}

impl std::error::Error for Malformed {}

/// Pseudo-random input for the tests that only ask "does it survive?".
#[cfg(test)]
mod noise {
    /// Marsaglia's xorshift64: the same bytes in every run.
    pub struct Noise(u64);

    impl Noise {
        pub fn new(seed: u64) -> Self {
            Self(seed | 1)
        }

        pub fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }
    }

    /// Calls `check` with many datagrams of 0–79 random bytes that begin with a part of `prefix`.
    pub fn with_random_bytes(prefix: &[u8], mut check: impl FnMut(&mut [u8])) {
        let mut noise = Noise::new(0x5eed);
        for _ in 0..20_000 {
            let length = (noise.next() % 80) as usize;
            let mut bytes: Vec<u8> = (0..length).map(|_| (noise.next() >> 32) as u8).collect();
            let kept = (noise.next() as usize % (prefix.len() + 1)).min(length);
            bytes[..kept].copy_from_slice(&prefix[..kept]);
            check(&mut bytes);
        }
    }
}

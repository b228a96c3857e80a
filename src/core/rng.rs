//! A participant's randomness, all of which is expanded from the 32 bytes in their
//! [`Admission`](super::input::Admission).
//!
//! [`Rng`] is a ChaCha20 stream for ids, SSRCs and credentials. [`EngineRng`] is for the engine, whose own generator is
//! thread-local: the participant's state is swapped in before every call into their engine and out after it, so that
//! what one participant draws never depends on others.

use std::fmt;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// Characters for ICE credentials that every parser accepts.
const ICE_CHARS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// One participant's source of randomness.
pub struct Rng(ChaCha20Rng);

impl Rng {
    /// Makes a generator that expands the shell's entropy.
    pub fn new(entropy: [u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(entropy))
    }

    /// Draws 64 random bits.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Draws 32 random bits.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Draws 16 random bits.
    pub fn u16(&mut self) -> u16 {
        (self.0.next_u32() >> 16) as u16
    }

    /// Draws `length` characters that are allowed in ICE credentials, 5 bits each.
    pub fn ice_text(&mut self, length: usize) -> String {
        (0..length).map(|_| ICE_CHARS[(self.u32() >> 27) as usize] as char).collect()
    }

    /// Draws 130 bits as text.
    pub fn secret(&mut self) -> String {
        self.ice_text(26)
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng")
    }
}

/// The state of the engine's thread-local generator between two calls into one participant's engine.
#[derive(Debug)]
pub struct EngineRng(u64);

impl EngineRng {
    /// Makes the generator of one engine.
    pub fn new(rng: &mut Rng) -> Self {
        Self(rng.u64())
    }

    /// Runs `call` with this state in place. The thread's own state is put back even if `call` panics.
    pub fn within<R>(&mut self, call: impl FnOnce() -> R) -> R {
        struct Restore<'a> {
            outer: u64,
            inner: &'a mut u64,
        }
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                *self.inner = fastrand::get_seed();
                fastrand::seed(self.outer);
            }
        }
        let restore = Restore { outer: fastrand::get_seed(), inner: &mut self.0 };
        fastrand::seed(*restore.inner);
        call()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_draws_depends_on_nobody_else() {
        let draw = |disturbed: bool| {
            let mut engine = EngineRng::new(&mut Rng::new([7; 32]));
            let first = engine.within(|| fastrand::u64(..));
            if disturbed {
                fastrand::u64(..);
            }
            (first, engine.within(|| fastrand::u64(..)))
        };
        assert_eq!(draw(false), draw(true));
    }

    #[test]
    fn the_threads_own_generator_is_put_back_after_a_panic() {
        fastrand::seed(5);
        let mut engine = EngineRng::new(&mut Rng::new([7; 32]));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            engine.within(|| panic!("in the engine"));
        }));
        assert!(panicked.is_err());
        assert_eq!(fastrand::get_seed(), 5);
    }
}

//! Replay window: which packet indices have been seen, by RFC 3711 §3.3.1 (guessing the index) and §3.3.2 (the replay
//! list).

use super::error::OpenError;
use crate::core::mutation::mutated;

/// How far behind the newest a packet may come and still be accepted, packets. RFC 3711 asks for 64 at least;
/// libwebrtc uses 1024, because a burst of retransmissions or a switch of path can reorder hundreds.
pub(super) const WINDOW: u64 = 1024;
const WORDS: usize = (WINDOW / 64) as usize;

/// The newest index of a stream, and a bit for each of the last [`WINDOW`] indices.
#[derive(Debug, Clone)]
pub(super) struct ReplayWindow {
    highest: u64,
    /// A ring: the bit of an index is at `index % WINDOW`.
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// Makes a window that has seen one packet.
    pub(super) fn starting_at(index: u64) -> Self {
        let mut window = Self { highest: index, seen: [0; WORDS] };
        window.set(index);
        window
    }

    /// Returns the index nearest to the newest that ends in `sequence`; `None` if it would be negative.
    pub(super) fn guess(&self, sequence: u16) -> Option<u64> {
        if mutated!(RollOverNotGuessed) {
            return Some(u64::from(sequence));
        }
        let ahead = sequence.wrapping_sub(self.highest as u16).cast_signed();
        self.highest.checked_add_signed(i64::from(ahead))
    }

    /// Checks whether a packet may be opened, without changing anything.
    pub(super) fn check(&self, index: u64) -> Result<(), OpenError> {
        if index > self.highest {
            Ok(())
        } else if self.highest - index >= WINDOW {
            Err(OpenError::TooOld)
        } else if self.seen[word(index)] & bit(index) != 0 {
            Err(OpenError::Replayed)
        } else {
            Ok(())
        }
    }

    /// Notes an authenticated packet that passed [`check`](Self::check).
    pub(super) fn accept(&mut self, index: u64) {
        if index > self.highest {
            if index - self.highest >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                for skipped in self.highest + 1..index {
                    self.seen[word(skipped)] &= !bit(skipped);
                }
            }
            self.highest = index;
        }
        self.set(index);
    }

    fn set(&mut self, index: u64) {
        self.seen[word(index)] |= bit(index);
    }
}

fn word(index: u64) -> usize {
    (index % WINDOW / 64) as usize
}

fn bit(index: u64) -> u64 {
    1 << (index % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_passes_once() {
        let mut window = ReplayWindow::starting_at(5000);
        for index in [5001, 5003, 5002, 4999, 6000, 5900, 5999, 4977, 9000, 8500] {
            assert_eq!(window.check(index), Ok(()), "{index}");
            window.accept(index);
            assert_eq!(window.check(index), Err(OpenError::Replayed), "{index}");
        }
        assert_eq!(window.check(9000 - WINDOW), Err(OpenError::TooOld));
        assert_eq!(window.check(9000 - WINDOW + 1), Ok(()));
    }

    #[test]
    fn agrees_with_a_plain_set_on_a_random_walk() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut window = ReplayWindow::starting_at(2000);
        let mut seen = std::collections::BTreeSet::from([2000]);
        let mut highest = 2000u64;
        for _ in 0..20_000 {
            let index = (highest + random.u64(..40)).saturating_sub(random.u64(..1300));
            let expected = if index + WINDOW <= highest {
                Err(OpenError::TooOld)
            } else if seen.contains(&index) {
                Err(OpenError::Replayed)
            } else {
                Ok(())
            };
            assert_eq!(window.check(index), expected);
            if expected.is_ok() {
                window.accept(index);
                seen.insert(index);
                highest = highest.max(index);
            }
        }
    }

    #[test]
    fn the_guess_follows_the_stream_round_the_wrap() {
        let mut window = ReplayWindow::starting_at(65_530);
        assert_eq!(window.guess(3), Some(65_539));
        window.accept(65_539);
        assert_eq!(window.guess(65_535), Some(65_535));
        assert_eq!(window.guess(4), Some(65_540));
        assert_eq!(ReplayWindow::starting_at(2).guess(65_535), None);
    }
}

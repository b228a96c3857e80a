//! DeadlineHeap: who wants to be woken when. Every key has at most one deadline.
//!
//! Moving a deadline later costs nothing: the old, earlier one stays, its owner is woken early, finds nothing due and
//! names the later time. That keeps a deadline that moves with every packet out of the heap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use super::fixed_hash::FixedMap;
use super::mutation::mutated;

/// What is in no hurry happens at multiples of this, so that many wake-ups become one.
const GRID: Duration = Duration::from_millis(100);

/// A moment for what is in no hurry: the first of a grid, the same for everyone, that is not before `at`. What is due
/// within one step of the grid is due when it says.
///
/// A wake-up costs as much as sending a few packets, and a room of fifty has fifty reports to send each second.
pub fn unhurried(epoch: Instant, now: Instant, at: Instant) -> Instant {
    if at <= now + GRID {
        return at;
    }
    let beyond = at.saturating_duration_since(epoch).as_nanos() % GRID.as_nanos();
    if beyond == 0 { at } else { at + (GRID - Duration::from_nanos(beyond as u64)) }
}

/// The earlier of two deadlines.
pub fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Deadlines by key.
#[derive(Debug)]
pub struct DeadlineHeap<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
    /// The one entry of the heap that counts for a key; others of that key are leftovers.
    armed: FixedMap<K, Instant>,
}

impl<K: Copy + Ord + Hash> DeadlineHeap<K> {
    /// No deadlines.
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new(), armed: FixedMap::default() }
    }

    /// Wakes `key` no later than `at`. `None`: takes its deadline away.
    pub fn set(&mut self, key: K, at: Option<Instant>) {
        match (at, self.armed.get(&key)) {
            (None, _) => {
                self.armed.remove(&key);
                if self.armed.is_empty() {
                    self.heap.clear();
                }
            }
            (Some(at), Some(&armed)) if armed <= at => {}
            (Some(at), _) => {
                self.armed.insert(key, at);
                self.heap.push(Reverse((at, key)));
            }
        }
    }

    /// The earliest deadline.
    pub fn earliest(&mut self) -> Option<Instant> {
        while let Some(&Reverse((at, key))) = self.heap.peek() {
            if self.armed.get(&key) == Some(&at) {
                return Some(at);
            }
            self.heap.pop();
        }
        None
    }

    /// A key whose deadline is due. It has none from then on.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.earliest()? > now {
            return None;
        }
        let Reverse((_, key)) = self.heap.pop()?;
        self.armed.remove(&key);
        if mutated!(TimerDropped)
            && let Some(Reverse((at, beside))) = self.heap.peek()
            && *at <= now
        {
            self.armed.remove(beside);
        }
        Some(key)
    }

    /// Moves all keys whose deadline is due to `due`, in the order of the keys. They have none from then on.
    ///
    /// Not in the order of their times: what a key is woken for may have been due for long or be a false alarm, and
    /// in which order things happen must not depend on that.
    pub fn take_due(&mut self, now: Instant, due: &mut Vec<K>) {
        while let Some(key) = self.pop_due(now) {
            due.push(key);
        }
        due.sort_unstable();
    }

    /// How many keys have a deadline.
    pub fn len(&self) -> usize {
        self.armed.len()
    }

    /// Whether nobody has a deadline.
    pub fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }
}

impl<K: Copy + Ord + Hash> Default for DeadlineHeap<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_later_deadline_wakes_early_and_an_earlier_one_replaces() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut heap = DeadlineHeap::new();
        heap.set(1, Some(at(20)));
        heap.set(1, Some(at(30)));
        assert_eq!(heap.earliest(), Some(at(20)));
        heap.set(1, Some(at(10)));
        heap.set(2, Some(at(15)));
        assert_eq!(heap.pop_due(at(9)), None);
        assert_eq!(heap.pop_due(at(40)), Some(1));
        assert_eq!(heap.pop_due(at(40)), Some(2));
        assert_eq!(heap.pop_due(at(40)), None, "what the earlier one replaced is gone");
        assert!(heap.is_empty());
    }

    #[test]
    fn what_is_in_no_hurry_waits_for_others() {
        let epoch = Instant::now();
        let at = |ms| epoch + Duration::from_millis(ms);
        for wanted in [701, 750, 800] {
            assert_eq!(unhurried(epoch, at(0), at(wanted)), at(800));
        }
        assert_eq!(unhurried(epoch, at(720), at(750)), at(750), "soon is soon");
    }

    #[test]
    fn a_deadline_that_is_taken_away_does_not_come() {
        let start = Instant::now();
        let mut heap = DeadlineHeap::new();
        heap.set('a', Some(start));
        heap.set('a', None);
        assert_eq!(heap.earliest(), None);
        assert_eq!(heap.len(), 0);
    }
}

//! Deadlines of many things in one heap, so that a pass never scans all of them.
//!
//! A thing's deadline moves all the time (with every byte that arrives, for example), but its place in the heap does
//! not: an [`Alarm`] has at most two entries. The alarm is checked when the earlier entry comes, and is queued again if
//! it was put off since.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Up to how many stale entries dropping them is not worth it.
const SLACK: usize = 64;

/// The deadlines of all things of one kind, each named by a key.
#[derive(Debug)]
pub struct Deadlines<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
}

/// The deadline of one thing, kept beside the thing.
#[derive(Debug, Default)]
pub struct Alarm {
    due: Option<Instant>,
    /// The earliest entry in the heap that stands for this alarm.
    queued: Option<Instant>,
}

impl Alarm {
    /// Returns when the heap will return this alarm, for [`Deadlines::compact`].
    pub fn queued(&self) -> Option<Instant> {
        self.queued
    }
}

impl<K: Ord + Copy> Deadlines<K> {
    /// Makes a heap without any deadline.
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new() }
    }

    /// Moves an alarm. `None` disarms it.
    pub fn set(&mut self, alarm: &mut Alarm, key: K, due: Option<Instant>) {
        alarm.due = due;
        // A later deadline needs no entry of its own: the existing one comes earlier, and `rang` queues it again.
        if let Some(at) = due
            && alarm.queued.is_none_or(|queued| at < queued)
        {
            alarm.queued = Some(at);
            self.heap.push(Reverse((at, key)));
        }
    }

    /// Takes the next entry whose time has come. [`rang`](Self::rang) says whether its alarm is really due.
    pub fn pop(&mut self, now: Instant) -> Option<(Instant, K)> {
        let &Reverse((at, _)) = self.heap.peek()?;
        if at > now { None } else { self.heap.pop().map(|Reverse(entry)| entry) }
    }

    /// Returns whether an alarm whose entry came from `pop` is really due. If it was put off, it is queued again.
    pub fn rang(&mut self, alarm: &mut Alarm, key: K, at: Instant, now: Instant) -> bool {
        if alarm.queued == Some(at) {
            alarm.queued = None;
        }
        match alarm.due {
            Some(due) if due <= now => {
                alarm.due = None;
                true
            }
            due => {
                self.set(alarm, key, due);
                false
            }
        }
    }

    /// Drops entries of things that are gone, once there are many more entries than the `live` things need. Without
    /// this, a heap would grow with the number of things that come and go before their deadlines.
    pub fn compact(&mut self, live: usize, mut alarm_of: impl FnMut(K) -> Option<Instant>) {
        if self.heap.len() > SLACK + 4 * live {
            self.heap.retain(|&Reverse((at, key))| alarm_of(key) == Some(at));
        }
    }

    /// Returns when to look again. This may be earlier than needed, but never later.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|&Reverse((at, _))| at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_alarm_that_is_put_off_forever_keeps_one_entry_and_rings_once() {
        let start = crate::net::clock::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::new();
        let mut alarm = Alarm::default();
        for second in 10..1000 {
            deadlines.set(&mut alarm, 7, Some(at(second)));
        }
        assert_eq!(deadlines.heap.len(), 1);

        let Some((queued, 7)) = deadlines.pop(at(10)) else { panic!("the entry was due") };
        assert!(!deadlines.rang(&mut alarm, 7, queued, at(10)), "it was put off");
        assert_eq!(deadlines.next(), Some(at(999)));

        deadlines.set(&mut alarm, 7, Some(at(20)));
        let Some((queued, 7)) = deadlines.pop(at(20)) else { panic!("brought forward") };
        assert!(deadlines.rang(&mut alarm, 7, queued, at(20)));

        let Some((queued, 7)) = deadlines.pop(at(2000)) else { panic!("the old entry is still there") };
        assert!(!deadlines.rang(&mut alarm, 7, queued, at(2000)), "it rang already");
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn things_that_come_and_go_leave_no_entries() {
        let start = crate::net::clock::now();
        let mut deadlines = Deadlines::new();
        let mut stays = Alarm::default();
        deadlines.set(&mut stays, 0, Some(start + Duration::from_secs(50)));
        for key in 1..10_000 {
            let mut gone = Alarm::default();
            deadlines.set(&mut gone, key, Some(start + Duration::from_secs(100)));
            deadlines.compact(1, |key| if key == 0 { stays.queued() } else { None });
        }
        assert!(deadlines.heap.len() <= SLACK + 4, "{}", deadlines.heap.len());
        assert_eq!(deadlines.next(), Some(start + Duration::from_secs(50)));
    }
}

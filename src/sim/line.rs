//! Line: a bottleneck that one or several people are behind: packets of all of them queue for a capacity that changes by a
//! schedule.

use super::dice::Dice;
use super::network::{Micros, SECOND};

/// What a datagram takes of a line beside its bytes: the headers of IP and UDP.
pub const HEADERS: u64 = 28;

/// A bottleneck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinePlan {
    /// From when on which capacity, µs and bits per second, in order of time. Before the first there is no limit.
    pub capacity: Vec<(Micros, u64)>,
    /// A packet that would wait longer than this is dropped, µs.
    pub queue: Micros,
}

impl LinePlan {
    /// Returns a line of steady capacity, bits per second, with a queue of 300 ms (RFC 8867 §4.1).
    pub fn steady(capacity: u64) -> Self {
        Self::with_schedule(&[(0, capacity)])
    }

    /// Returns a line whose capacity changes at these seconds, with a queue of 300 ms.
    pub fn with_schedule(schedule: &[(u64, u64)]) -> Self {
        let capacity = schedule.iter().map(|(second, rate)| (second * SECOND, *rate)).collect();
        Self { capacity, queue: 300_000 }
    }

    /// Draws a line whose capacity changes now and then before `until`.
    pub fn draw(dice: &mut Dice, until: Micros) -> Self {
        let mut at: Vec<Micros> = (0..dice.among(1..5)).map(|_| dice.among(0..until)).collect();
        at.sort_unstable();
        let capacity = at.into_iter().map(|at| (at, dice.among(80_000..2_500_000))).collect();
        Self { capacity, queue: dice.among(20_000..500_000) }
    }

    /// Returns the capacity at a moment, bits per second; `None` if there is no limit.
    pub fn capacity_at(&self, at: Micros) -> Option<u64> {
        self.capacity.iter().take_while(|(from, _)| *from <= at).last().map(|(_, rate)| *rate)
    }

    /// Returns the line in words.
    pub fn describe(&self) -> String {
        let phases: Vec<String> = self
            .capacity
            .iter()
            .map(|(from, rate)| format!("{} kbit/s from {} s", rate / 1000, from / SECOND))
            .collect();
        format!("{}, {} ms of queue", phases.join(", "), self.queue / 1000)
    }
}

/// A bottleneck at work.
#[derive(Debug)]
pub struct Line {
    plan: LinePlan,
    /// When it has no limit any more.
    heals_at: Micros,
    free_at: Micros,
    /// Packets that the queue had no room for.
    pub dropped: u64,
    /// Bytes that went through, headers included.
    pub carried: u64,
}

impl Line {
    /// Returns a line with an empty queue.
    pub fn new(plan: LinePlan, heals_at: Micros) -> Self {
        Self { plan, heals_at, free_at: 0, dropped: 0, carried: 0 }
    }

    /// Returns how long a packet that comes now waits until the ones before it are through, µs.
    pub fn wait(&self, now: Micros) -> Micros {
        self.free_at.saturating_sub(now)
    }

    /// Sends a packet. Returns when it is through; `None` if the queue is full.
    pub fn send(&mut self, now: Micros, bytes: usize) -> Option<Micros> {
        let bytes = bytes as u64 + HEADERS;
        let capacity = self.plan.capacity_at(now).filter(|_| now < self.heals_at);
        let Some(capacity) = capacity else {
            // What waits when the limit ends keeps its place.
            self.carried += bytes;
            return Some(now.max(self.free_at));
        };
        if self.wait(now) > self.plan.queue {
            self.dropped += 1;
            return None;
        }
        self.free_at = now.max(self.free_at) + bytes * 8 * SECOND / capacity.max(1);
        self.carried += bytes;
        Some(self.free_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_queue_until_there_is_no_room() {
        let mut line = Line::new(LinePlan::with_schedule(&[(1, 1_000_000)]), 10 * SECOND);
        assert_eq!(line.send(0, 1000), Some(0), "before it begins there is no limit");
        let takes = (1000 + HEADERS) * 8;
        let sent = std::iter::from_fn(|| line.send(SECOND, 1000)).collect::<Vec<_>>();
        assert_eq!(sent[..2], [SECOND + takes, SECOND + 2 * takes]);
        assert_eq!((sent.len() as u64, line.dropped), (300_000 / takes + 1, 1));
        let waits = line.wait(SECOND);
        assert_eq!(line.wait(SECOND + 100_000), waits - 100_000, "it drains");
        assert_eq!(line.send(10 * SECOND, 1000), Some(10 * SECOND), "and ends");
    }
}

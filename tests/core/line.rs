//! A line to a client that is narrower than what is sent to it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long datagrams wait for a narrow line before they are dropped.
const LINE_QUEUE: Duration = Duration::from_millis(300);

/// A way to a client that carries only so much.
pub struct Line {
    /// Bits per second.
    pub rate: u64,
    /// How many datagrams found no room in its queue.
    pub dropped: usize,
    /// How long they take on it.
    delay: Duration,
    /// When all that it was given has left.
    free_at: Instant,
    /// What is under way, with the time of its arrival.
    under_way: VecDeque<(Instant, Vec<u8>)>,
}

impl Line {
    /// Makes one on which nothing is under way.
    pub fn new(now: Instant, rate: u64, delay: Duration) -> Self {
        Self { rate, dropped: 0, delay, free_at: now, under_way: VecDeque::new() }
    }

    /// Gives it a datagram, which it drops if too many wait.
    pub fn send(&mut self, now: Instant, bytes: &[u8]) {
        let begins = self.free_at.max(now);
        if begins > now + LINE_QUEUE {
            self.dropped += 1;
            return;
        }
        self.free_at = begins + Duration::from_micros(bytes.len() as u64 * 8_000_000 / self.rate);
        self.under_way.push_back((self.free_at + self.delay, bytes.to_vec()));
    }

    /// Returns when the next datagram arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.front().map(|(at, _)| *at)
    }

    /// Takes a datagram that has arrived by now.
    pub fn take_arrived(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.next_arrival().filter(|at| *at <= now)?;
        self.under_way.pop_front().map(|(_, bytes)| bytes)
    }
}

//! Checks transport-wide numbers: each is given to one packet, and none is left out.

use std::collections::BTreeSet;

/// Packets of one turn may leave in another order than they were numbered in, but not by more than this.
const AHEAD_MAX: usize = 400;

/// The numbers that a client was sent.
#[derive(Debug, Default)]
pub struct Numbers {
    /// All before this one have left.
    next: u16,
    /// Of those behind it, these have left.
    ahead: BTreeSet<u16>,
}

impl Numbers {
    /// Takes the number of a packet that leaves. Returns what is wrong with it.
    pub fn leaves(&mut self, number: u16) -> Option<String> {
        let ahead = number.wrapping_sub(self.next);
        if ahead >= 0x8000 || !self.ahead.insert(number) {
            return Some(format!("the transport-wide number {number} was given to two packets"));
        }
        while self.ahead.remove(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        if self.ahead.len() > AHEAD_MAX {
            self.ahead.clear();
            let missing = std::mem::replace(&mut self.next, number.wrapping_add(1));
            return Some(format!("the transport-wide number {missing} was given to no packet"));
        }
        None
    }
}

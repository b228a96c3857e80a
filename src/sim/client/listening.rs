//! Listening: what of audio is heard. Frames that are lost can come as copies in later packets (RFC 2198); what does not come
//! at all has to be concealed, and the longer that takes, the more it is heard.

use std::collections::BTreeSet;

use crate::sim::codec::Stamp;

/// A frame that has not come when the one this many after it has is missing: no receiver waits for longer.
const WAITS: u32 = 10;
/// A jump of more frames is no loss: nothing was sent.
const JUMP: u32 = 100;

/// The state of one audio slot.
#[derive(Debug, Default)]
pub struct Listening {
    stream: Option<u32>,
    /// All frames before this one have been heard or given up.
    next: u32,
    /// Frames from there on that have come.
    came: BTreeSet<u32>,
    /// How many frames in a row are missing.
    missing: u32,
    /// Frames that were due.
    pub frames: u64,
    /// Those of them that never came, or not in time.
    pub lost: u64,
    /// How many of them were missing in a row at most.
    pub longest: u32,
}

impl Listening {
    /// Takes a frame, however it came.
    pub fn on_frame(&mut self, stamp: &Stamp) {
        let jumps = stamp.index > self.next + JUMP;
        if self.stream != Some(stamp.stream) || (jumps && self.came.is_empty()) {
            (self.stream, self.next, self.missing) = (Some(stamp.stream), stamp.index, 0);
            self.came.clear();
        }
        if stamp.index < self.next {
            return;
        }
        self.came.insert(stamp.index);
        while self.came.last().is_some_and(|last| *last >= self.next + WAITS) {
            let has_come = self.came.remove(&self.next);
            self.next += 1;
            self.frames += 1;
            self.lost += u64::from(!has_come);
            self.missing = if has_come { 0 } else { self.missing + 1 };
            self.longest = self.longest.max(self.missing);
        }
    }
}

//! Slot counts: how many slots of each kind somebody has, wants, or may have.

use serde::{Deserialize, Serialize};

/// A number of slots for each kind of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotCounts {
    /// How many are for audio.
    pub audio: usize,
    /// How many are for video.
    pub video: usize,
}

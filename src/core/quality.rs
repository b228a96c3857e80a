//! Quality: how good somebody's call is, in numbers that people and dashboards can read: an estimate of how their audio
//! sounds (MOS), a score from 0 to 100, and three steps.
//!
//! Everything is computed from what clients report and what the server counts, once with each report, in whole numbers.
//! `docs/audio.md` and `docs/protocol.md` say what the numbers mean.

mod judge;
mod score;
mod voice;

use serde::{Deserialize, Serialize};

pub use judge::{Judge, News};
pub use score::{Measures, Score};
pub use voice::{Mos, effective_loss};

/// How good somebody's call is, in three steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// People notice nothing.
    Good,
    /// People notice that something is not as it should be.
    Medium,
    /// It is hard to have a conversation.
    Poor,
}

impl Level {
    /// All of them, the best first.
    pub const ALL: [Self; 3] = [Self::Good, Self::Medium, Self::Poor];

    /// Returns its name in messages, statistics and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Medium => "medium",
            Self::Poor => "poor",
        }
    }
}

/// How good somebody's call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// In three steps, which do not change with every number.
    pub level: Level,
    /// From 0 to 100.
    pub score: u8,
    /// How the worst of the audio that they send or receive sounds; `None` if there is none.
    pub mos: Option<Mos>,
}

//! What came of a world of moves.

use crate::sim::network::Micros;

/// What came of a world.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moved {
    /// What was wrong; empty if all is well.
    pub complaints: Vec<String>,
    /// All that people were told of where their call goes, one line each.
    pub log: String,
    /// Inputs of the core.
    pub inputs: u64,
    /// Moves that began.
    pub moves: u32,
    /// Those of them that succeeded.
    pub succeeded: u32,
    /// Pairs of people of whom one heard the other in the end.
    pub heard: u32,
    /// How long the world lasted, µs of virtual time.
    pub lasted: Micros,
}

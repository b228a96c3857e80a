//! The simulator: worlds of simulated people around the real core, under virtual time, and what must hold in them.
//!
//! A seed names a whole world ([`Plan`]); [`run`] plays it; the [`oracle`] watches. Two runs of one seed have the same
//! digest on any machine. Nothing in here reads a clock, a socket or the system's randomness, except the handshakes and
//! endpoints of worlds with whole endpoints ([`Plan::with_engines`]), which are not exact.

pub mod client;
pub mod codec;
pub mod cut;
pub mod deed;
pub mod dice;
pub mod layering;
pub mod line;
pub mod mark;
pub mod moves;
pub mod network;
pub mod oracle;
pub mod plan;
pub mod scenarios;
pub mod sdp;
pub mod shrink;
mod world;

pub use cut::Cut;
pub use plan::Plan;
pub use world::{Got, Outcome, Recorded, Sample, Watched, run, run_recorded, run_twice, run_watched};

//! The whole program over real sockets: WebSockets and UDP on 127.0.0.1, with whole str0m endpoints as clients.
//!
//! Every test runs the real binary with settings of its own. Nothing sleeps to synchronise: tests wait for what they
//! expect, and fail if it does not come within [`PATIENCE`].

mod call;
mod cli;
mod client;
mod ending;
mod hostile;
mod junk;
mod layers;
mod limits;
mod program;
mod recording;
mod resuming;
mod server;
mod soak;

use std::time::Duration;

/// Longer than anything that a test waits for, on a busy machine too; a hang fails instead of lasting.
const PATIENCE: Duration = Duration::from_secs(60);

//! The whole program over real sockets: WebSockets and UDP on 127.0.0.1, with whole str0m endpoints as clients.
//!
//! Most tests run the real binary with settings of their own; one runs the same server on a thread of this process,
//! to count its bytes. Nothing sleeps to synchronise: tests wait for what they expect, and fail if it does not come
//! within [`PATIENCE`].

mod call;
mod client;
mod counting;
mod ending;
mod junk;
mod limits;
mod resuming;
mod server;
mod soak;

use std::time::Duration;

/// Longer than anything that a test waits for, on a busy machine too; a hang fails instead of lasting.
const PATIENCE: Duration = Duration::from_secs(60);

//! The only reading of the machine's clocks. Everything else is handed `now`.
//!
//! Called once per turn by the event loop, and once at start-up for the pair of epochs that the core stamps
//! sender reports with.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock.
pub fn now() -> Instant {
    Instant::now()
}

/// What the wall clock shows, since 1970. A clock set before 1970 reads as 1970.
pub fn unix() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

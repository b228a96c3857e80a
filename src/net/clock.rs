//! The only reading of the machine's clocks; everything else is handed `now`. The event loop reads once for each pass,
//! and once more where it has to know how long handling has taken.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads the monotonic clock.
pub fn now() -> Instant {
    Instant::now()
}

/// Returns what the wall clock shows, since 1970. A clock that is set before 1970 reads as 1970.
pub fn unix() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

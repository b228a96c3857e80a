//! The only place where the machine's clocks are read; everything else is handed `now`. The event loop reads the time
//! once for each pass, and again where it has to know how long something took.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads the monotonic clock.
pub fn now() -> Instant {
    Instant::now()
}

/// Returns the processor time that the calling thread has used, without the time in which it waited for a processor.
pub fn thread() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    // The kernel gives neither a negative time nor more nanoseconds than a second has.
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Returns the wall clock's time, counted from 1970. A clock that is set before 1970 reads as 1970.
pub fn unix() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

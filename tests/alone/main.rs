//! Tests of the shell that need a process for themselves: they count its memory and descriptors, or send it a signal. They
//! stand apart from `tests/shell`, whose tests run side by side, and take turns here.

mod allocator;
mod channels;
mod churn;
mod openings;
mod signals;
#[path = "../shell/support/mod.rs"]
#[allow(dead_code, reason = "tests/shell uses the rest")]
mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits until no other test runs; held until the test ends.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed leaves the process as good as it was.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

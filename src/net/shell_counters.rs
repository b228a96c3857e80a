//! What the shell counts for monitoring, besides what its parts count for themselves.

use std::collections::BTreeMap;
use std::time::Duration;

/// Counters since start-up.
#[derive(Debug)]
pub struct ShellCounters {
    /// What the wall clock showed at start-up, since 1970.
    pub started_unix: Duration,
    /// Answered requests by route and status.
    pub requests: BTreeMap<(&'static str, u16), u64>,
    /// Text messages of clients.
    pub websocket_messages_in: u64,
    /// Messages to clients.
    pub websocket_messages_out: u64,
}

impl ShellCounters {
    /// Nothing counted.
    pub fn new(started_unix: Duration) -> Self {
        Self { started_unix, requests: BTreeMap::new(), websocket_messages_in: 0, websocket_messages_out: 0 }
    }

    /// A request was answered.
    pub fn note_request(&mut self, route: &'static str, status: u16) {
        *self.requests.entry((route, status)).or_insert(0) += 1;
    }
}

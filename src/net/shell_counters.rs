//! What the shell counts for monitoring, besides what its parts count themselves.

use std::collections::BTreeMap;
use std::time::Duration;

/// What was counted since the start of the server.
#[derive(Debug)]
pub struct ShellCounters {
    /// The wall clock's time at the start, counted from 1970.
    pub started_unix: Duration,
    /// Answered HTTP requests by route and status.
    pub requests: BTreeMap<(&'static str, u16), u64>,
    /// Text messages that clients sent on WebSockets.
    pub websocket_messages_in: u64,
    /// Messages that were sent to clients on WebSockets.
    pub websocket_messages_out: u64,
    /// Messages of people to others that were dropped because the other did not read fast enough.
    pub data_dropped: u64,
}

impl ShellCounters {
    /// Begins with nothing counted.
    pub fn new(started_unix: Duration) -> Self {
        Self {
            started_unix,
            requests: BTreeMap::new(),
            websocket_messages_in: 0,
            websocket_messages_out: 0,
            data_dropped: 0,
        }
    }

    /// Counts a request that was answered.
    pub fn note_request(&mut self, route: &'static str, status: u16) {
        *self.requests.entry((route, status)).or_insert(0) += 1;
    }
}

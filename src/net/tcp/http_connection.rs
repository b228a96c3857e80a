//! HTTP on a connection: requests off its input, one after the other, and how long each may take.

use std::time::Instant;

use super::pipe::Pipe;
use crate::net::http::message as http;
use crate::net::http::message::{Parsed, Request};
use crate::net::shell_config::ShellConfig;

/// Unwritten answers over which no further pipelined request is looked at.
const PIPELINED_OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// A connection that speaks HTTP.
pub struct Http {
    pub(super) pipe: Pipe,
    /// Since when a request is under way; `None` between requests.
    head_since: Option<Instant>,
    /// Whether input waits until answers are written.
    held: bool,
    /// Whether the client was told to send the body of the request that is under way.
    continued: bool,
    /// Close once everything is written.
    pub(super) last: bool,
}

impl Http {
    /// The first request is under way from the start, at `since`: a silent connection is not worth waiting for.
    pub fn new(pipe: Pipe, since: Instant) -> Self {
        Self { pipe, head_since: Some(since), held: false, continued: false, last: false }
    }

    /// Notes that bytes came.
    pub fn heard(&mut self, now: Instant) {
        self.head_since = self.head_since.or(Some(now));
    }

    /// Whether a request had to wait for answers that have been written by now.
    pub fn has_waiting_request(&self) -> bool {
        !self.last && self.held && self.pipe.output_bytes() <= PIPELINED_OUTPUT_BYTES_MAX
    }

    /// The next request, if there is one.
    pub fn next(&mut self) -> Option<Box<Request>> {
        if self.last {
            let unread = self.pipe.input().len();
            self.pipe.consume(unread);
            return None;
        }
        if self.pipe.input().is_empty() {
            return None;
        }
        self.held = self.pipe.output_bytes() > PIPELINED_OUTPUT_BYTES_MAX;
        if self.held {
            return None;
        }
        match http::parse(self.pipe.input()) {
            parsed @ (Parsed::Incomplete | Parsed::Expecting) => {
                if parsed == Parsed::Expecting && !std::mem::replace(&mut self.continued, true) {
                    self.pipe.send(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                self.last |= self.pipe.end_of_input();
                None
            }
            Parsed::Request(request, bytes) => {
                self.continued = false;
                self.pipe.consume(bytes);
                if self.pipe.input().is_empty() {
                    self.head_since = None;
                }
                Some(request)
            }
            Parsed::Refused(response) => {
                self.pipe.send(&response.encode(false, true));
                self.last = true;
                None
            }
        }
    }

    /// Until when the peer has time.
    pub fn deadline(&self, progress: Instant, config: &ShellConfig) -> Instant {
        let idle = progress + config.idle_timeout;
        match self.head_since {
            // While an answer is being read, the next request has time.
            Some(since) if self.pipe.output_bytes() == 0 => (since + config.handshake_timeout).min(idle),
            _ => idle,
        }
    }
}

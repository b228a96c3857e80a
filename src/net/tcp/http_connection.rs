//! HTTP on a connection: requests off its input, one after the other, and how long each may take.
//!
//! A request whose answer depends on the core is parked here until the core's events have brought it. Nothing behind it
//! is read meanwhile: HTTP/1.1 answers in the order of the requests (RFC 9112 §9.3.2).

use std::time::{Duration, Instant};

use super::pipe::Pipe;
use crate::core::ids::ConnectionId;
use crate::net::http::message::{Parsed, Request, parse};
use crate::net::shell_config::ShellConfig;

/// How many bytes of answers may be unwritten when another pipelined request is read.
const PIPELINED_OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// How long a parked request waits for its answer. The core answers within the pass of the loop, so only a fault takes
/// longer. Clients' own time-outs are rarely shorter.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A request that waits for the core.
#[derive(Debug)]
pub struct Parked {
    /// The request, whose body has been used already.
    pub request: Box<Request>,
    /// The session that will answer it, by the id under which the core knows it.
    pub session: ConnectionId,
    /// Since when it has waited.
    pub since: Instant,
}

/// A connection that speaks HTTP.
pub struct Http {
    pub(super) pipe: Pipe,
    /// Since when a request is under way. `None` between requests.
    head_since: Option<Instant>,
    /// Whether the input waits until answers are written.
    held: bool,
    /// Whether the client was told to send the body of the request that is under way.
    continued: bool,
    parked: Option<Parked>,
    /// Whether to close once everything is written.
    pub(super) last: bool,
}

impl Http {
    /// Begins on a connection that was accepted at `since`. The time of the first request runs from then on, because a
    /// silent connection is not worth waiting for.
    pub fn new(pipe: Pipe, since: Instant) -> Self {
        Self { pipe, head_since: Some(since), held: false, continued: false, parked: None, last: false }
    }

    /// Notes that bytes have come.
    pub fn heard(&mut self, now: Instant) {
        self.head_since = self.head_since.or(Some(now));
    }

    /// Returns whether a request had to wait for answers that have been written by now.
    pub fn has_waiting_request(&self) -> bool {
        !self.last && self.held && !self.is_parked() && self.pipe.output_bytes() <= PIPELINED_OUTPUT_BYTES_MAX
    }

    /// Returns the next request, if there is a whole one and nothing before it keeps it waiting.
    pub fn next(&mut self) -> Option<Box<Request>> {
        if self.last {
            let unread = self.pipe.input().len();
            self.pipe.consume(unread);
            return None;
        }
        if self.pipe.input().is_empty() {
            return None;
        }
        self.held = self.is_parked() || self.pipe.output_bytes() > PIPELINED_OUTPUT_BYTES_MAX;
        if self.held {
            return None;
        }
        match parse(self.pipe.input()) {
            parsed @ (Parsed::Incomplete | Parsed::Expecting) => {
                if parsed == Parsed::Expecting && !std::mem::replace(&mut self.continued, true) {
                    self.pipe.send(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                // The rest of the request will never come.
                self.last |= self.pipe.end_of_input();
                None
            }
            Parsed::Request(request, bytes) => {
                self.continued = false;
                self.pipe.consume(bytes);
                // The next request has not begun, so its time does not run yet.
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

    /// Puts a request aside until its answer comes.
    pub fn park(&mut self, parked: Parked) {
        self.parked = Some(parked);
    }

    /// Takes the parked request.
    pub fn unpark(&mut self) -> Option<Parked> {
        self.parked.take()
    }

    /// Returns the session that a parked request waits for.
    pub fn waits_for(&self) -> Option<ConnectionId> {
        self.parked.as_ref().map(|parked| parked.session)
    }

    /// Returns whether a request waits for its answer.
    pub fn is_parked(&self) -> bool {
        self.parked.is_some()
    }

    /// Returns until when the peer has time to say something, or the core to answer a parked request.
    pub fn deadline(&self, progress: Instant, config: &ShellConfig) -> Instant {
        if let Some(parked) = &self.parked {
            return parked.since + ANSWER_TIMEOUT;
        }
        let idle = progress + config.idle_timeout;
        match self.head_since {
            // While an answer is being read, the next request has time.
            Some(since) if self.pipe.output_bytes() == 0 => (since + config.handshake_timeout).min(idle),
            _ => idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::net::clock;

    /// A connection on which two requests have come.
    fn two_requests(now: Instant) -> io::Result<Http> {
        let mut pipe = Pipe::default();
        let bytes = b"POST /whip/a HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
        pipe.fill(&mut &bytes[..], &mut [0; 256], usize::MAX)?;
        Ok(Http::new(pipe, now))
    }

    #[test]
    fn a_parked_request_holds_those_behind_it_and_has_its_own_time() -> io::Result<()> {
        let now = clock::now();
        let mut http = two_requests(now)?;
        let request = http.next().expect("the first request");
        http.park(Parked { request, session: ConnectionId(1), since: now });
        assert!(http.next().is_none() && !http.has_waiting_request(), "the second one waits");
        let config = ShellConfig { idle_timeout: Duration::from_millis(1), ..ShellConfig::default() };
        assert_eq!(http.deadline(now, &config), now + ANSWER_TIMEOUT, "the client is not at fault");
        let parked = http.unpark().expect("it was parked");
        assert_eq!((parked.request.path.as_str(), parked.session), ("/whip/a", ConnectionId(1)));
        assert!(http.has_waiting_request(), "now it is the second one's turn");
        assert_eq!(http.next().expect("the second request").path, "/");
        Ok(())
    }
}

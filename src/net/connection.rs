//! One TCP connection: its bytes, the protocol on them, and what becomes of it.
//!
//! What a request or a message means is decided elsewhere (`requests`, `signalling`). Everything is HTTP as yet;
//! TLS, ICE-TCP and TURN will be told apart by the first bytes, where [`Connection::next`] finds the first request.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Instant;

use mio::net::TcpStream;

use super::ShellConfig;
use super::http::{self, Parsed, Request, Response};
use super::pipe::{INPUT_BYTES_MAX, Pipe};
use super::ws::{self, Close, LINGER, Lapse};
use crate::core::ids::ConnectionId;

/// What one connection may read in a turn, so that none starves the others.
const READ_BUDGET_BYTES: usize = 64 * 1024;

/// Unwritten answers over which no further pipelined request is looked at.
const PIPELINED_OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// What the peer wants of somebody else.
#[derive(Debug)]
pub enum Next {
    /// Nothing until more bytes come or go.
    Nothing,
    /// An answer: [`Connection::respond`] or [`Connection::upgrade`].
    Request(Box<Request>),
    /// Something said by a WebSocket.
    Socket(ws::Incoming),
}

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It goes on.
    Open,
    /// It is over, for this reason.
    Over(&'static str),
}

enum Protocol {
    Http(Http),
    WebSocket(Box<ws::Socket>),
    /// All is said: the rest is written, and what still comes is thrown away.
    Closing(Closing),
}

struct Http {
    pipe: Pipe,
    /// Since when a request is under way; `None` between requests.
    head_since: Option<Instant>,
    /// Whether input waits until answers are written.
    held: bool,
    /// Close once everything is written.
    last: bool,
}

struct Closing {
    pipe: Pipe,
    until: Instant,
    half_closed: bool,
}

/// One TCP connection.
pub struct Connection {
    /// Its name; never used twice.
    pub id: ConnectionId,
    /// The other end, canonical.
    pub peer: SocketAddr,
    /// Our end, canonical.
    pub local: SocketAddr,
    stream: TcpStream,
    protocol: Protocol,
    /// Whether the stream may have bytes for us.
    readable: bool,
    /// When a byte last moved, either way.
    progress: Instant,
}

impl Connection {
    /// A connection that was just accepted.
    pub fn new(
        id: ConnectionId,
        stream: TcpStream,
        peer: SocketAddr,
        local: SocketAddr,
        now: Instant,
    ) -> Self {
        // The first request is under way from the start: a silent connection is not worth waiting for.
        let http = Http { pipe: Pipe::default(), head_since: Some(now), held: false, last: false };
        Self { id, peer, local, stream, protocol: Protocol::Http(http), readable: true, progress: now }
    }

    /// For registration with mio.
    pub fn source(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// The WebSocket, if it is one.
    pub fn web_socket(&mut self) -> Option<&mut ws::Socket> {
        match &mut self.protocol {
            Protocol::WebSocket(socket) => Some(socket),
            _ => None,
        }
    }

    /// What it is, as the metrics name it.
    pub fn kind(&self) -> &'static str {
        match &self.protocol {
            Protocol::Http(_) => "http",
            Protocol::WebSocket(_) => "websocket",
            Protocol::Closing(_) => "closing",
        }
    }

    /// The stream has something for us.
    pub fn set_readable(&mut self) {
        self.readable = true;
    }

    /// Whether reading again would find more, and there is room for it.
    pub fn wants_reading(&mut self) -> bool {
        self.readable && pipe(&mut self.protocol).input().len() < INPUT_BYTES_MAX
    }

    /// Reads what there is, within the budget.
    pub fn fill(&mut self, now: Instant, scratch: &mut [u8]) -> io::Result<()> {
        if !self.readable {
            return Ok(());
        }
        let pipe = pipe(&mut self.protocol);
        let filled = pipe.fill(&mut self.stream, scratch, READ_BUDGET_BYTES)?;
        self.readable = filled.more;
        if filled.bytes > 0 {
            self.progress = now;
            match &mut self.protocol {
                Protocol::Http(http) => http.head_since = http.head_since.or(Some(now)),
                Protocol::WebSocket(socket) => socket.heard(now),
                Protocol::Closing(_) => {}
            }
        }
        Ok(())
    }

    /// The next thing that the peer wants.
    pub fn next(&mut self, now: Instant) -> Next {
        match &mut self.protocol {
            Protocol::Http(http) => http.next(),
            Protocol::WebSocket(socket) => socket.next(now).map_or(Next::Nothing, Next::Socket),
            Protocol::Closing(closing) => {
                let unread = closing.pipe.input().len();
                closing.pipe.consume(unread);
                Next::Nothing
            }
        }
    }

    /// Answers the request that [`next`](Self::next) gave.
    pub fn respond(&mut self, request: &Request, response: &Response) {
        if let Protocol::Http(http) = &mut self.protocol {
            http.last |= !request.keep_alive;
            http.pipe.send(&response.encode(!http.last, request.method != "HEAD"));
        }
    }

    /// Ends HTTP after what is queued.
    pub fn finish_http(&mut self) {
        if let Protocol::Http(http) = &mut self.protocol {
            http.last = true;
        }
    }

    /// Answers an upgrade request; a WebSocket from now on.
    pub fn upgrade(&mut self, request: &Request, response: &Response, config: &ShellConfig, now: Instant) {
        if let Protocol::Http(http) = &mut self.protocol {
            let mut pipe = std::mem::take(&mut http.pipe);
            pipe.send(&response.encode(true, true));
            let socket = ws::Socket::new(pipe, config, now, request.is_proxied());
            self.protocol = Protocol::WebSocket(Box::new(socket));
        }
    }

    /// Ends a WebSocket that needs no more reading: writes the rest, then closes the stream.
    pub fn finish_web_socket(&mut self, now: Instant) {
        if let Protocol::WebSocket(_) = self.protocol {
            self.close_after_writing(now);
        }
    }

    fn close_after_writing(&mut self, now: Instant) {
        let empty = Closing { pipe: Pipe::default(), until: now + LINGER, half_closed: false };
        let pipe = match std::mem::replace(&mut self.protocol, Protocol::Closing(empty)) {
            Protocol::Http(http) => http.pipe,
            Protocol::WebSocket(socket) => socket.into_pipe(),
            Protocol::Closing(closing) => {
                self.protocol = Protocol::Closing(closing);
                return;
            }
        };
        if let Protocol::Closing(closing) = &mut self.protocol {
            closing.pipe = pipe;
        }
    }

    /// Whether a request can be read from what has come already.
    pub fn has_waiting_request(&self) -> bool {
        match &self.protocol {
            Protocol::Http(http) => {
                !http.last && http.held && http.pipe.output_bytes() <= PIPELINED_OUTPUT_BYTES_MAX
            }
            _ => false,
        }
    }

    /// Writes what the stream takes, and moves on to what follows from that.
    pub fn settle(&mut self, now: Instant, config: &ShellConfig) -> Standing {
        let pipe = pipe(&mut self.protocol);
        match pipe.drain(&mut self.stream) {
            Ok(0) => {}
            Ok(_) => self.progress = now,
            Err(_) => return Standing::Over("the stream broke while writing"),
        }
        let waiting = pipe.output_bytes();
        match &mut self.protocol {
            Protocol::Http(http) => {
                if http.pipe.end_of_input() && http.pipe.input().is_empty() {
                    http.last = true;
                }
                if http.last && waiting == 0 {
                    self.close_after_writing(now);
                    return self.settle(now, config);
                }
            }
            Protocol::WebSocket(socket) => {
                if waiting > config.send_queue_bytes_max && !socket.is_closing() {
                    // The code is best effort: it goes to the end of a queue that nobody reads.
                    socket.close(now, Close::TooSlow);
                    self.close_after_writing(now);
                    return Standing::Open;
                }
            }
            Protocol::Closing(closing) => {
                if waiting == 0 && !closing.half_closed {
                    closing.half_closed = true;
                    // Closing at once while bytes of the peer's are unread would reset the stream, and take our last
                    // words with it.
                    let _ = self.stream.shutdown(Shutdown::Write);
                }
                if closing.half_closed && closing.pipe.end_of_input() {
                    return Standing::Over("closed");
                }
            }
        }
        Standing::Open
    }

    /// Lets time pass.
    pub fn run_deadline(&mut self, now: Instant, config: &ShellConfig) -> Standing {
        match &mut self.protocol {
            Protocol::Http(http) => {
                if now < http.deadline(self.progress, config) {
                    return Standing::Open;
                }
                let silent = http.pipe.input().is_empty() || http.last;
                if silent || http.pipe.output_bytes() > 0 {
                    return Standing::Over("idle");
                }
                let response = Response::text(408, "the request took too long to arrive");
                http.pipe.send(&response.encode(false, true));
                self.close_after_writing(now);
                Standing::Open
            }
            Protocol::WebSocket(socket) => match socket.run_deadline(now, config) {
                Lapse::None => Standing::Open,
                Lapse::Silent => Standing::Over("nothing was heard for too long"),
                Lapse::NeverJoined => {
                    socket.close(now, Close::Normal);
                    Standing::Open
                }
            },
            Protocol::Closing(closing) if now >= closing.until => Standing::Over("the goodbye took too long"),
            Protocol::Closing(_) => Standing::Open,
        }
    }

    /// When [`run_deadline`](Self::run_deadline) has something to do.
    pub fn deadline(&self, config: &ShellConfig) -> Instant {
        match &self.protocol {
            Protocol::Http(http) => http.deadline(self.progress, config),
            Protocol::WebSocket(socket) => socket.deadline(config),
            Protocol::Closing(closing) => closing.until,
        }
    }
}

fn pipe(protocol: &mut Protocol) -> &mut Pipe {
    match protocol {
        Protocol::Http(http) => &mut http.pipe,
        Protocol::WebSocket(socket) => socket.pipe(),
        Protocol::Closing(closing) => &mut closing.pipe,
    }
}

impl Http {
    fn next(&mut self) -> Next {
        if self.last {
            let unread = self.pipe.input().len();
            self.pipe.consume(unread);
            return Next::Nothing;
        }
        if self.pipe.input().is_empty() {
            return Next::Nothing;
        }
        self.held = self.pipe.output_bytes() > PIPELINED_OUTPUT_BYTES_MAX;
        if self.held {
            return Next::Nothing;
        }
        match http::parse(self.pipe.input()) {
            Parsed::Incomplete => {
                self.last |= self.pipe.end_of_input();
                Next::Nothing
            }
            Parsed::Request(request, bytes) => {
                self.pipe.consume(bytes);
                if self.pipe.input().is_empty() {
                    self.head_since = None;
                }
                Next::Request(request)
            }
            Parsed::Refused(response) => {
                self.pipe.send(&response.encode(false, true));
                self.last = true;
                Next::Nothing
            }
        }
    }

    fn deadline(&self, progress: Instant, config: &ShellConfig) -> Instant {
        let idle = progress + config.idle_timeout;
        match self.head_since {
            // While an answer is being read, the next request has time.
            Some(since) if self.pipe.output_bytes() == 0 => (since + config.handshake_timeout).min(idle),
            _ => idle,
        }
    }
}

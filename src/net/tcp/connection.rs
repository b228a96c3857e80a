//! One TCP connection: its bytes, its protocol, and its end.
//!
//! The first bytes show which protocol a connection carries; if it is TLS, the first decrypted bytes do. What a request
//! or a message means is decided elsewhere.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use mio::net::TcpStream;
use rustls::ServerConfig;
use socket2::SockRef;
use tracing::{debug, trace};

use super::frame_queue::{KERNEL_SEND_BYTES, Sent, Waiting};
use super::http_connection::{Http, Parked};
use super::ice_tcp::IceTcp;
use super::pipe::{INPUT_BYTES_MAX, Pipe};
use super::stream::Stream;
use super::turn_tcp::TurnTcp;
use super::web_socket::{self, LINGER, Lapse};
use crate::core::ids::ConnectionId;
use crate::core::path::TrafficClass;
use crate::core::path::{Carrier, Path};
use crate::net::client_origin::ClientOrigin;
use crate::net::http::message::{Request, Response};
use crate::net::shell_config::ShellConfig;
use crate::signal::native;
use crate::wire::sniff::{Opening, sniff};

/// How much one connection may read in a pass, so that none starves the others, bytes.
const READ_BUDGET_BYTES: usize = 64 * 1024;

/// What the peer wants that this file cannot do.
#[derive(Debug)]
pub enum Next {
    /// Nothing, until more bytes come or go.
    Nothing,
    /// An answer, by [`Connection::respond`] or [`Connection::upgrade`], or a place to wait, by [`Connection::park`].
    Request(Box<Request>),
    /// A reaction to something that came on a WebSocket.
    Socket(web_socket::Incoming),
    /// To have datagrams taken by [`Connection::receive`].
    Datagrams,
    /// To have messages to the TURN server taken by [`Connection::receive`].
    Turn,
    /// The peer wants something that is not served: end the connection, for this reason.
    Refused(&'static str),
}

/// How a connection stands after it was written to, or after time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The connection goes on.
    Open,
    /// The client of a WebSocket does not read.
    TooSlow,
    /// A parked request has waited for its answer for too long.
    Unanswered,
    /// The connection is over, for this reason.
    Over(&'static str),
}

enum Protocol {
    /// Too few bytes have come to tell what it is.
    Opening(Undecided),
    Http(Http),
    WebSocket(Box<web_socket::Socket>),
    IceTcp(Box<IceTcp>),
    Turn(Box<TurnTcp>),
    /// The connection is closing: the rest of the output is written, and input is thrown away.
    Closing(Closing),
}

struct Undecided {
    pipe: Pipe,
    /// When the connection was accepted.
    since: Instant,
}

struct Closing {
    pipe: Pipe,
    until: Instant,
    half_closed: bool,
}

/// One TCP connection, from when it is accepted until its end.
pub struct Connection {
    /// The name of the connection, which is never used twice.
    pub id: ConnectionId,
    /// The address of the other end, canonical.
    pub peer: SocketAddr,
    /// The address of our end, canonical.
    pub local: SocketAddr,
    /// The address of the client: that of the other end or, if a trusted proxy is there, the one that it names.
    pub client: IpAddr,
    /// Whether it came to the port for management.
    pub is_management: bool,
    stream: Stream,
    protocol: Protocol,
    /// Whether the stream may have bytes to read.
    readable: bool,
    /// When a byte last moved, in either direction.
    progress: Instant,
}

impl Connection {
    /// Begins with a stream that was just accepted.
    pub fn new(
        id: ConnectionId,
        stream: TcpStream,
        peer: SocketAddr,
        local: SocketAddr,
        now: Instant,
    ) -> Self {
        let protocol = Protocol::Opening(Undecided { pipe: Pipe::default(), since: now });
        let stream = Stream::new(stream);
        Self {
            id,
            peer,
            local,
            client: peer.ip(),
            is_management: false,
            stream,
            protocol,
            readable: true,
            progress: now,
        }
    }

    /// Returns the stream for registration with mio.
    pub fn source(&mut self) -> &mut TcpStream {
        self.stream.tcp()
    }

    /// Returns whether the connection is TLS.
    pub fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }

    /// Returns whether the connection carries media.
    pub fn is_media(&self) -> bool {
        matches!(self.protocol, Protocol::IceTcp(_) | Protocol::Turn(_))
    }

    /// Returns whether a client of the TURN server is at the other end.
    pub fn is_turn(&self) -> bool {
        matches!(self.protocol, Protocol::Turn(_))
    }

    /// Notes whether the TURN client at the other end has an allocation.
    pub fn set_turn_allocated(&mut self, now: Instant, allocated: bool) {
        if let Protocol::Turn(turn) = &mut self.protocol {
            turn.set_allocated(now, allocated);
        }
    }

    /// Returns the path of the datagrams that the connection carries.
    pub fn path(&self) -> Path {
        let carrier = if self.is_tls() { Carrier::Tls } else { Carrier::Tcp };
        Path { carrier, local: self.local, remote: self.peer }
    }

    /// Returns the WebSocket, if the connection is one.
    pub fn web_socket(&mut self) -> Option<&mut web_socket::Socket> {
        match &mut self.protocol {
            Protocol::WebSocket(socket) => Some(socket),
            _ => None,
        }
    }

    /// Returns what the connection is, as the metrics name it.
    pub fn kind(&self) -> &'static str {
        match &self.protocol {
            Protocol::Opening(_) => "opening",
            Protocol::IceTcp(_) => "ice_tcp",
            Protocol::Turn(_) => "turn",
            Protocol::Http(_) => "http",
            Protocol::WebSocket(_) => "websocket",
            Protocol::Closing(_) => "closing",
        }
    }

    /// Notes that the stream has something to read.
    pub fn set_readable(&mut self) {
        self.readable = true;
    }

    /// Returns whether reading again would find more, and whether there is room for it.
    pub fn wants_reading(&mut self) -> bool {
        self.readable && pipe(&mut self.protocol).input().len() < INPUT_BYTES_MAX
    }

    /// Reads what there is, within the pass's budget.
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
                Protocol::Http(http) => http.heard(now),
                Protocol::WebSocket(socket) => socket.heard(now),
                Protocol::Opening(_) | Protocol::IceTcp(_) | Protocol::Turn(_) | Protocol::Closing(_) => {}
            }
        }
        Ok(())
    }

    /// Returns the next thing that the peer wants. `tls` is for a connection that turns out to be TLS; `turn` says
    /// whether there is a TURN server.
    pub fn next(&mut self, now: Instant, tls: &Arc<ServerConfig>, turn: bool) -> Next {
        if let Protocol::Opening(undecided) = &mut self.protocol {
            let opening = sniff(undecided.pipe.input());
            if opening == Opening::Undecided {
                return Next::Nothing;
            }
            let pipe = std::mem::take(&mut undecided.pipe);
            let since = undecided.since;
            if let Err(why) = self.open(opening, pipe, since, tls, turn) {
                debug!(connection = self.id.0, peer = %self.peer, ?opening, tls = self.is_tls(), why, "refused");
                return Next::Refused(why);
            }
        }
        match &mut self.protocol {
            // TLS has just begun; reading will show what is in it.
            Protocol::Opening(_) => Next::Nothing,
            Protocol::Http(http) => http.next().map_or(Next::Nothing, Next::Request),
            Protocol::WebSocket(socket) => socket.next(now).map_or(Next::Nothing, Next::Socket),
            Protocol::IceTcp(ice) => match ice.waiting() {
                Waiting::Nothing => Next::Nothing,
                Waiting::Frames => Next::Datagrams,
                Waiting::Refused(why) => Next::Refused(why),
            },
            Protocol::Turn(turn) => match turn.waiting() {
                Waiting::Nothing => Next::Nothing,
                Waiting::Frames => Next::Turn,
                Waiting::Refused(why) => Next::Refused(why),
            },
            // Input is not needed any more, but unread bytes would make the kernel reset the stream.
            Protocol::Closing(closing) => {
                let unread = closing.pipe.input().len();
                closing.pipe.consume(unread);
                Next::Nothing
            }
        }
    }

    /// Takes the protocol that the first bytes show. `since` is when the connection was accepted.
    fn open(
        &mut self,
        opening: Opening,
        mut pipe: Pipe,
        since: Instant,
        tls: &Arc<ServerConfig>,
        turn: bool,
    ) -> Result<(), &'static str> {
        let inside_tls = self.is_tls();
        self.protocol = match opening {
            Opening::Tls if inside_tls => return Err("TLS within TLS"),
            Opening::Tls => {
                let begun = self.stream.start_tls(tls, pipe.take_input());
                begun.map_err(|_| "TLS cannot begin")?;
                // The TLS session already has the handshake's first bytes, so no readiness will announce them.
                self.readable = true;
                Protocol::Opening(Undecided { pipe, since })
            }
            Opening::Http => Protocol::Http(Http::new(pipe, since)),
            Opening::IceTcp if inside_tls => return Err("ICE-TCP within TLS"),
            Opening::IceTcp => {
                self.shorten_kernel_queue();
                Protocol::IceTcp(Box::new(IceTcp::new(pipe, since)))
            }
            Opening::Turn if turn => {
                self.shorten_kernel_queue();
                Protocol::Turn(Box::new(TurnTcp::new(pipe, since)))
            }
            Opening::Turn => return Err("TURN is not served: turn.enabled is false"),
            Opening::Unknown | Opening::Undecided => return Err("no protocol that is served"),
        };
        Ok(())
    }

    /// Makes the kernel's send buffer small, because late media is of no use.
    fn shorten_kernel_queue(&mut self) {
        if let Err(error) = SockRef::from(&*self.stream.tcp()).set_send_buffer_size(KERNEL_SEND_BYTES) {
            trace!(connection = self.id.0, %error, "the send buffer stays as it is");
        }
    }

    /// Hands over up to `frames_max` datagrams of an ICE-TCP connection, or messages of a TURN client. Returns how many
    /// frames there were.
    pub fn receive(&mut self, frames_max: usize, handle: impl FnMut(&mut [u8])) -> usize {
        match &mut self.protocol {
            Protocol::IceTcp(ice) => ice.receive(frames_max, handle),
            Protocol::Turn(turn) => turn.receive(frames_max, handle),
            _ => 0,
        }
    }

    /// Queues a message to a TURN client. Returns `None` if there is none at the other end.
    pub fn send_turn(&mut self, class: TrafficClass, message: &[u8]) -> Option<Sent> {
        match &mut self.protocol {
            Protocol::Turn(turn) => Some(turn.send(class, message, &mut self.stream)),
            _ => None,
        }
    }

    /// Queues a datagram. Returns `None` if the connection does not carry datagrams.
    pub fn send(&mut self, now: Instant, class: TrafficClass, datagram: &[u8]) -> Option<Sent> {
        match &mut self.protocol {
            Protocol::IceTcp(ice) => Some(ice.send(now, class, datagram, &mut self.stream)),
            _ => None,
        }
    }

    /// Parks a request from [`next`](Self::next) until the session of that id has its answer. Later requests on the
    /// connection wait, too, because HTTP/1.1 answers in order.
    pub fn park(&mut self, now: Instant, request: Box<Request>, session: ConnectionId) {
        if let Protocol::Http(http) = &mut self.protocol {
            http.park(Parked { request, session, since: now });
        }
    }

    /// Takes the parked request, if there is one, to be answered or given up.
    pub fn unpark(&mut self) -> Option<Parked> {
        match &mut self.protocol {
            Protocol::Http(http) => http.unpark(),
            _ => None,
        }
    }

    /// Takes the parked request, if it waits for the session of that id.
    pub fn unpark_for(&mut self, session: ConnectionId) -> Option<Parked> {
        match &mut self.protocol {
            Protocol::Http(http) if http.waits_for() == Some(session) => http.unpark(),
            _ => None,
        }
    }

    /// Describes where a request comes from.
    pub fn origin(&self, request: &Request) -> ClientOrigin {
        ClientOrigin {
            client: self.client,
            local: self.local.ip(),
            host: request.field("host").map(str::to_owned),
            is_tls: self.is_tls(),
            is_proxied: request.is_proxied(),
        }
    }

    /// Answers the last request from [`next`](Self::next), or the one that was parked.
    pub fn respond(&mut self, request: &Request, response: &Response) {
        if let Protocol::Http(http) = &mut self.protocol {
            http.last |= !request.keep_alive;
            http.pipe.send(&response.encode(!http.last, request.method != "HEAD"));
        }
    }

    /// Ends HTTP after the answers that are queued or parked, and ends a connection of which nothing is known yet.
    pub fn finish_http(&mut self, now: Instant) {
        match &mut self.protocol {
            Protocol::Http(http) => http.last = true,
            Protocol::Opening(_) => self.close_after_writing(now),
            _ => {}
        }
    }

    /// Ends a TURN client's connection after what is queued. Returns whether it was one.
    pub fn finish_turn(&mut self, now: Instant) -> bool {
        let is_turn = self.is_turn();
        if is_turn {
            self.close_after_writing(now);
        }
        is_turn
    }

    /// Answers an upgrade request. The connection is a WebSocket from now on.
    pub fn upgrade(&mut self, request: &Request, response: &Response, config: &ShellConfig, now: Instant) {
        let origin = self.origin(request);
        if let Protocol::Http(http) = &mut self.protocol {
            let mut pipe = std::mem::take(&mut http.pipe);
            pipe.send(&response.encode(true, true));
            let socket = web_socket::Socket::new(pipe, config, now, origin);
            self.protocol = Protocol::WebSocket(Box::new(socket));
        }
    }

    /// Ends a WebSocket from which nothing more is read: writes the rest, then closes the stream.
    pub fn finish_web_socket(&mut self, now: Instant) {
        if let Protocol::WebSocket(_) = self.protocol {
            self.close_after_writing(now);
        }
    }

    fn close_after_writing(&mut self, now: Instant) {
        let empty = Closing { pipe: Pipe::default(), until: now + LINGER, half_closed: false };
        let pipe = match std::mem::replace(&mut self.protocol, Protocol::Closing(empty)) {
            Protocol::Opening(undecided) => undecided.pipe,
            Protocol::Http(http) => http.pipe,
            Protocol::WebSocket(socket) => socket.into_pipe(),
            Protocol::IceTcp(ice) => ice.queue.pipe,
            Protocol::Turn(turn) => turn.queue.pipe,
            Protocol::Closing(closing) => {
                // A close that is under way keeps its deadline.
                self.protocol = Protocol::Closing(closing);
                return;
            }
        };
        if let Protocol::Closing(closing) = &mut self.protocol {
            closing.pipe = pipe;
        }
    }

    /// Returns whether a request can be read from what has come already.
    pub fn has_waiting_request(&self) -> bool {
        matches!(&self.protocol, Protocol::Http(http) if http.has_waiting_request())
    }

    /// Writes what the stream takes, and moves on to what follows from that, such as closing after the last answer.
    pub fn write(&mut self, now: Instant, config: &ShellConfig) -> Standing {
        let pipe = pipe(&mut self.protocol);
        match pipe.drain(&mut self.stream) {
            Ok(0) => {}
            Ok(_) => self.progress = now,
            Err(_) => return Standing::Over("the stream broke while writing"),
        }
        let waiting = pipe.output_bytes();
        if self.stream.flush().is_err() {
            return Standing::Over("the stream broke while writing");
        }
        let all_written = waiting == 0 && !self.stream.has_pending();
        match &mut self.protocol {
            Protocol::Opening(undecided) => {
                if undecided.pipe.end_of_input() {
                    return Standing::Over("it ended before it said anything");
                }
            }
            Protocol::IceTcp(ice) => {
                // A frame may have come just before the end.
                ice.queue.blocked = waiting > 0;
                if ice.queue.pipe.end_of_input() && ice.waiting() != Waiting::Frames {
                    return Standing::Over("closed by the peer");
                }
            }
            Protocol::Turn(turn) => {
                turn.queue.blocked = waiting > 0;
                if turn.queue.pipe.end_of_input() && turn.waiting() != Waiting::Frames {
                    return Standing::Over("closed by the client");
                }
            }
            Protocol::Http(http) => {
                if http.pipe.end_of_input() && http.pipe.input().is_empty() {
                    http.last = true;
                }
                // A client that shuts down its half after the request still waits for the answer.
                if http.last && all_written && !http.is_parked() {
                    self.close_after_writing(now);
                    return self.write(now, config);
                }
            }
            Protocol::WebSocket(socket) => {
                if waiting > config.send_queue_bytes_max && !socket.is_closing() {
                    return Standing::TooSlow;
                }
            }
            Protocol::Closing(closing) => {
                if all_written && !closing.half_closed {
                    closing.half_closed = true;
                    // Closing at once while input is unread would reset the stream, and our last bytes would be lost.
                    self.stream.finish();
                }
                if closing.half_closed && closing.pipe.end_of_input() {
                    return Standing::Over("closed");
                }
            }
        }
        Standing::Open
    }

    /// Lets time pass: ends what has taken too long.
    pub fn run_deadline(&mut self, now: Instant, config: &ShellConfig) -> Standing {
        match &mut self.protocol {
            Protocol::Opening(undecided) => {
                if now < undecided.deadline(self.progress, config) {
                    return Standing::Open;
                }
                Standing::Over("it did not say in time what it is")
            }
            Protocol::IceTcp(ice) => {
                if now < ice.deadline(config) {
                    return Standing::Open;
                }
                Standing::Over("no participant is there")
            }
            Protocol::Turn(turn) => {
                if turn.is_overdue(now, config) {
                    return Standing::Over("no allocation");
                }
                turn.set_allocated(now, turn.is_allocated());
                Standing::Open
            }
            Protocol::Http(http) => {
                if now < http.deadline(self.progress, config) {
                    return Standing::Open;
                }
                if http.is_parked() {
                    return Standing::Unanswered;
                }
                // A client that has begun a request and reads gets an answer; the others are just closed.
                let silent = http.pipe.input().is_empty() || http.last;
                if silent || http.pipe.output_bytes() > 0 {
                    return Standing::Over("idle");
                }
                let response = Response::problem(
                    408,
                    "the request took too long to arrive",
                    "send it again, in one piece",
                );
                http.pipe.send(&response.encode(false, true));
                self.close_after_writing(now);
                Standing::Open
            }
            Protocol::WebSocket(socket) => match socket.run_deadline(now, config) {
                Lapse::None => Standing::Open,
                Lapse::Silent => Standing::Over("nothing was heard for too long"),
                Lapse::NeverJoined => {
                    socket.close(now, native::Close::Normal);
                    Standing::Open
                }
            },
            Protocol::Closing(closing) if now >= closing.until => Standing::Over("the goodbye took too long"),
            Protocol::Closing(_) => Standing::Open,
        }
    }

    /// Returns when [`run_deadline`](Self::run_deadline) has something to do.
    pub fn deadline(&self, config: &ShellConfig) -> Instant {
        match &self.protocol {
            Protocol::Opening(undecided) => undecided.deadline(self.progress, config),
            Protocol::IceTcp(ice) => ice.deadline(config),
            Protocol::Turn(turn) => turn.deadline(config),
            Protocol::Http(http) => http.deadline(self.progress, config),
            Protocol::WebSocket(socket) => socket.deadline(config),
            Protocol::Closing(closing) => closing.until,
        }
    }
}

impl Undecided {
    fn deadline(&self, progress: Instant, config: &ShellConfig) -> Instant {
        (self.since + config.handshake_timeout).min(progress + config.idle_timeout)
    }
}

fn pipe(protocol: &mut Protocol) -> &mut Pipe {
    match protocol {
        Protocol::Opening(undecided) => &mut undecided.pipe,
        Protocol::Http(http) => &mut http.pipe,
        Protocol::WebSocket(socket) => socket.pipe(),
        Protocol::IceTcp(ice) => &mut ice.queue.pipe,
        Protocol::Turn(turn) => &mut turn.queue.pipe,
        Protocol::Closing(closing) => &mut closing.pipe,
    }
}

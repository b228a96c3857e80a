//! A signalling WebSocket: the upgrade of an HTTP connection, and the message pump over tungstenite.
//!
//! Reads and writes a [`Pipe`], never a socket. What messages mean is the business of the front end that a [`Socket`] holds.

use std::time::{Duration, Instant};

use tungstenite::error::{CapacityError, Error};
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Bytes, Message, Utf8Bytes, WebSocket};

use super::pipe::Pipe;
use crate::access::Pass;
use crate::core::event::Event;
use crate::core::grants::Grants;
use crate::core::ids::RoomId;
use crate::net::client_origin::ClientOrigin;
use crate::net::clock;
use crate::net::http::message::{Request, Response};
use crate::net::shell_config::ShellConfig;
use crate::signal::Demand;
use crate::signal::livekit::LiveKitFrontEnd;
use crate::signal::mediasoup::SocketFrontEnd;
use crate::signal::native::{self, Close, FrontEnd, Limits};
use crate::signal::voice::VoiceFrontEnd;

/// How much tungstenite reads at a time, and holds while idle, bytes.
const READ_BUFFER_BYTES: usize = 1024;

/// How long a goodbye may take before the connection is ended without it.
pub const LINGER: Duration = Duration::from_secs(2);

/// What came from the client.
#[derive(Debug)]
pub enum Incoming {
    /// A whole text message.
    Text(Utf8Bytes),
    /// A whole binary message.
    Binary(Bytes),
    /// A ping or a pong, which is answered already.
    Control,
    /// The client says goodbye, with this close code if it gave one.
    Closing(Option<u16>),
    /// A message over the limit. Nothing more can be read after it.
    TooLarge,
    /// Something that is not the protocol. Nothing more can be read after it.
    Violation(Close),
    /// Both sides have closed: only the output is left to be written.
    Done,
}

/// The front end of a client, by the protocol that it speaks.
pub enum Client {
    /// Ours.
    Native(Box<FrontEnd>),
    /// That of LiveKit.
    LiveKit(Box<LiveKitFrontEnd>),
    /// That of apps on mediasoup, whose sessions are not the connection's.
    Mediasoup(Box<SocketFrontEnd>),
    /// That of members of voice channels, who are no participants of a room.
    Voice(Box<VoiceFrontEnd>),
}

impl Client {
    /// Returns whether somebody has joined by this connection.
    pub fn has_joined(&self) -> bool {
        match self {
            Self::Native(front_end) => front_end.has_joined(),
            Self::LiveKit(front_end) => front_end.has_joined(),
            Self::Mediasoup(front_end) => front_end.has_joined(),
            Self::Voice(front_end) => front_end.has_joined,
        }
    }

    /// Notes that the connection has ended. Returns what the core must hear, if it knows the connection.
    pub fn lost(&mut self) -> Option<Demand> {
        match self {
            Self::Native(front_end) => front_end.lost(),
            Self::LiveKit(front_end) => front_end.lost(),
            // The core knows its session by another id.
            Self::Mediasoup(_) => None,
            Self::Voice(_) => None,
        }
    }
}

/// One WebSocket, and the front end of the client behind it.
pub struct Socket {
    socket: WebSocket<Pipe>,
    /// Since when a close of either side is under way.
    closing: Option<Instant>,
    next_ping: Instant,
    /// When the last byte came.
    heard: Instant,
    /// When the last message came.
    last_message: Instant,
    /// The front end, which reads the client's messages and turns the core's events into messages.
    pub client: Client,
    /// Where the client's messages come from.
    pub origin: ClientOrigin,
    /// What lets the client in, if they have shown a token.
    pub pass: Option<Pass>,
    /// The room that they are in.
    pub room: Option<RoomId>,
}

/// Returns the answer that opens a WebSocket, or the refusal.
pub fn upgrade(request: &Request) -> Result<Response, Response> {
    let upgrade = request.field_has("upgrade", "websocket") && request.field_has("connection", "upgrade");
    let key = request.field("sec-websocket-key").filter(|key| key.len() == 24 && key.ends_with("=="));
    match (upgrade, request.field("sec-websocket-version"), key) {
        (true, Some("13"), Some(key)) => {
            let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
            Ok(Response::empty(101)
                .with("Upgrade", "websocket")
                .with("Connection", "Upgrade")
                .with("Sec-WebSocket-Accept", accept))
        }
        (true, Some("13"), None) => Err(Response::problem(
            400,
            "the WebSocket key is none",
            "send Sec-WebSocket-Key: 16 random bytes in base 64",
        )),
        (true, ..) => Err(Response::problem(
            426,
            "only WebSocket version 13 is spoken here",
            "send Sec-WebSocket-Version: 13",
        )
        .with("Sec-WebSocket-Version", "13")),
        _ => Err(Response::problem(
            426,
            "this address speaks WebSocket only",
            "open it as a WebSocket: docs/protocol.md",
        )
        .with("Upgrade", "websocket")),
    }
}

/// Returns what one client may send.
pub fn limits_of(config: &ShellConfig) -> Limits {
    Limits {
        message_bytes_max: config.message_bytes_max,
        messages_per_second: config.messages_per_second,
        messages_burst: config.messages_burst,
        offers_per_second: config.offers_per_second,
        offers_burst: config.offers_burst,
    }
}

impl Socket {
    /// Takes over the pipe of an HTTP connection on which the upgrade was just answered. The client speaks the native protocol
    /// unless another front end is put in.
    pub fn new(pipe: Pipe, config: &ShellConfig, now: Instant, origin: ClientOrigin) -> Self {
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(config.message_bytes_max))
            .max_frame_size(Some(config.message_bytes_max));
        Self {
            socket: WebSocket::from_raw_socket(pipe, Role::Server, Some(limits)),
            closing: None,
            next_ping: now + config.websocket_ping_interval,
            heard: now,
            last_message: now,
            client: Client::Native(Box::new(FrontEnd::new(limits_of(config), now))),
            origin,
            pass: None,
            room: None,
        }
    }

    /// Takes from what the client is told where they are, and what lets them in from now on.
    pub fn follow(&mut self, event: &Event) {
        match event {
            Event::Joined(_, joined) => self.room = Some(joined.room.clone()),
            Event::Resumed(_, resumed) => {
                self.room = Some(resumed.joined.room.clone());
                self.pass = self.pass.take().or_else(|| Pass::of_resumed(&resumed.joined));
            }
            // Their next token allows what they may do now, no more, and nowhere else: a moderator of one room has no say in
            // another.
            Event::PermissionsChanged { grants, .. } => {
                if let Some(pass) = &mut self.pass {
                    pass.room.clone_from(&self.room);
                    pass.grants = Grants { create: pass.grants.create, ..*grants };
                    pass.expires = 0;
                }
            }
            _ => {}
        }
    }

    /// Returns the bytes below the WebSocket.
    pub fn pipe(&mut self) -> &mut Pipe {
        self.socket.get_mut()
    }

    /// Returns the pipe, so that the rest of the output can be written.
    pub fn into_pipe(self) -> Pipe {
        self.socket.into_inner()
    }

    /// Returns whether a goodbye is under way.
    pub fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Notes that bytes have come.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Returns the next thing that came. `None` until more bytes come.
    pub fn next(&mut self, now: Instant) -> Option<Incoming> {
        loop {
            return match self.socket.read() {
                Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_))
                    if self.closing.is_some() =>
                {
                    continue;
                }
                Ok(Message::Text(text)) => {
                    self.last_message = now;
                    Some(Incoming::Text(text))
                }
                Ok(Message::Binary(bytes)) => {
                    // Only where it can be a message does it count as one.
                    if matches!(self.client, Client::LiveKit(_)) {
                        self.last_message = now;
                    }
                    Some(Incoming::Binary(bytes))
                }
                Ok(Message::Close(_)) if self.closing.is_some() => continue,
                Ok(Message::Close(frame)) => {
                    self.closing = Some(now);
                    Some(Incoming::Closing(frame.map(|frame| frame.code.into())))
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => Some(Incoming::Control),
                Ok(Message::Frame(_)) => continue,
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => None,
                Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => Some(Incoming::TooLarge),
                Err(Error::Utf8(_)) => Some(Incoming::Violation(Close::NotText)),
                Err(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
                    Some(Incoming::Done)
                }
                Err(Error::Protocol(_)) => Some(Incoming::Violation(Close::Protocol)),
                Err(_) => Some(Incoming::Done),
            };
        }
    }

    /// Queues a text message. Does nothing after a close.
    pub fn send(&mut self, text: String) {
        if self.closing.is_none() {
            // The pipe takes everything, so an error can only mean that the socket is closed, which reading finds.
            let _ = self.socket.write(Message::text(text));
        }
    }

    /// The same for a binary message.
    pub fn send_binary(&mut self, bytes: Vec<u8>) {
        if self.closing.is_none() {
            let _ = self.socket.write(Message::binary(bytes));
        }
    }

    /// Queues the goodbye, once.
    pub fn close(&mut self, now: Instant, close: Close) {
        if self.closing.is_none() {
            self.closing = Some(now);
            let reason = Utf8Bytes::from_static(close.reason());
            let _ = self.socket.close(Some(CloseFrame { code: close.code().into(), reason }));
        }
    }

    /// Lets time pass. Queues a ping if one is due, and returns what has lapsed.
    pub fn run_deadline(&mut self, now: Instant, config: &ShellConfig) -> Lapse {
        if self.closing.is_some_and(|since| now >= since + LINGER) {
            return Lapse::Silent;
        }
        if now >= self.heard + config.websocket_timeout {
            return Lapse::Silent;
        }
        if !self.client.has_joined() && now >= self.last_message + config.idle_timeout {
            return Lapse::NeverJoined;
        }
        // Moved even during a close, or the deadline would stay in the past.
        if now >= self.next_ping {
            self.next_ping = now + config.websocket_ping_interval;
            if self.closing.is_none() {
                let _ = self.socket.write(Message::Ping(Vec::new().into()));
                self.renew_pass(config);
            }
        }
        Lapse::None
    }

    /// Sends whoever has joined a new token in time, so that one of a few minutes is enough for a call of a day: if their
    /// connection breaks, or the server is started again, they come back by it.
    fn renew_pass(&mut self, config: &ShellConfig) {
        let now = clock::unix().as_secs();
        let renewed = self.pass.as_ref().and_then(|pass| pass.renewed(now));
        if let Some(renewed) = renewed.filter(|_| self.client.has_joined())
            && let Some(token) = config.gate.sign(&renewed)
        {
            let expires = renewed.expires;
            self.pass = Some(renewed);
            match self.client {
                Client::Native(_) | Client::Mediasoup(_) => {
                    self.send(native::encode_token(&token, expires));
                }
                Client::LiveKit(_) => self.send_binary(LiveKitFrontEnd::token(&token)),
                // They are given a token whenever they need one.
                Client::Voice(_) => {}
            }
        }
    }

    /// Returns when [`run_deadline`](Self::run_deadline) has something to do.
    pub fn deadline(&self, config: &ShellConfig) -> Instant {
        let silent = self.heard + config.websocket_timeout;
        let joining = self.last_message + config.idle_timeout;
        let lapse = if self.client.has_joined() { silent } else { silent.min(joining) };
        let goodbye = self.closing.map_or(lapse, |since| since + LINGER);
        lapse.min(goodbye).min(self.next_ping)
    }
}

/// What has not happened in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lapse {
    /// Nothing has lapsed.
    None,
    /// Nothing was heard: the client or the network is gone.
    Silent,
    /// The client has been connected for long, and nobody has joined.
    NeverJoined,
}

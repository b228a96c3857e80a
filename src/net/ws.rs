//! A signalling WebSocket: the upgrade of an HTTP connection, and the message pump over tungstenite.
//!
//! Reads and writes a [`Pipe`], never a socket; what messages mean is the signalling adapter's business.

use std::time::{Duration, Instant};

use tungstenite::error::{CapacityError, Error};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Message, Utf8Bytes, WebSocket};

use super::ShellConfig;
use super::http::{Request, Response};
use super::pipe::Pipe;
use crate::limits::{OFFERS_BURST, OFFERS_PER_SECOND};

/// What tungstenite reads at a time, and holds while idle.
const READ_BUFFER_BYTES: usize = 1024;

/// How long a goodbye may take.
pub const LINGER: Duration = Duration::from_secs(2);

/// Why we close, with the code that goes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// 1000: the participant has left, or nobody ever joined.
    Normal,
    /// 1001: the server stops.
    GoingAway,
    /// 1002: this is not the WebSocket protocol.
    Protocol,
    /// 1007: text that is not UTF-8.
    NotText,
    /// 1008: a fatal error was sent.
    Refused,
    /// 1009: a message over the limit.
    TooLarge,
    /// 1013: the client does not read fast enough.
    TooSlow,
}

impl Close {
    fn frame(self) -> CloseFrame {
        let (code, reason) = match self {
            Close::Normal => (CloseCode::Normal, ""),
            Close::GoingAway => (CloseCode::Away, "the server stops"),
            Close::Protocol => (CloseCode::Protocol, "not the WebSocket protocol"),
            Close::NotText => (CloseCode::Invalid, "not UTF-8"),
            Close::Refused => (CloseCode::Policy, "see the error before this"),
            Close::TooLarge => (CloseCode::Size, "message too large"),
            Close::TooSlow => (CloseCode::Again, "not reading fast enough"),
        };
        CloseFrame { code, reason: Utf8Bytes::from_static(reason) }
    }
}

/// What came from the client.
#[derive(Debug)]
pub enum Incoming {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message, which the protocol does not have.
    Binary,
    /// The client closes, with this code if it gave one.
    Closing(Option<u16>),
    /// A message over the limit. Nothing more can be read.
    TooLarge,
    /// Not the protocol. Nothing more can be read.
    Violation(Close),
    /// All is said: only the output is left to be written.
    Done,
}

/// One WebSocket.
pub struct Socket {
    socket: WebSocket<Pipe>,
    /// Since when a goodbye is under way, from either side.
    closing: Option<Instant>,
    next_ping: Instant,
    /// When the last byte came.
    heard: Instant,
    /// When the last message came.
    last_message: Instant,
    allowance: Allowance,
    /// Of offers alone, which cost more than other messages.
    offers: Allowance,
    /// Whether the core has heard of this connection, and must hear of its end.
    pub known_to_core: bool,
    /// Whether somebody has joined by it.
    pub joined: bool,
    /// Whether a reverse proxy is at the other end.
    pub proxied: bool,
    /// What the client called us.
    pub host: Option<String>,
}

/// The answer to an upgrade request, or why not.
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
        (true, Some("13"), None) => Err(Response::text(400, "Sec-WebSocket-Key must be 16 bytes in base 64")),
        (true, ..) => Err(Response::text(426, "only WebSocket version 13 is spoken here")
            .with("Sec-WebSocket-Version", "13")),
        _ => Err(Response::text(426, "this address speaks WebSocket only").with("Upgrade", "websocket")),
    }
}

impl Socket {
    /// Takes over the pipe of an HTTP connection on which the upgrade was just answered.
    pub fn new(pipe: Pipe, config: &ShellConfig, now: Instant, upgrade: &Request) -> Self {
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
            allowance: Allowance::new(config.messages_per_second, config.messages_burst, now),
            offers: Allowance::new(OFFERS_PER_SECOND, OFFERS_BURST, now),
            known_to_core: false,
            joined: false,
            proxied: upgrade.is_proxied(),
            host: upgrade.field("host").map(str::to_owned),
        }
    }

    /// The bytes below.
    pub fn pipe(&mut self) -> &mut Pipe {
        self.socket.get_mut()
    }

    /// Gives the bytes back, for what is left to be written.
    pub fn into_pipe(self) -> Pipe {
        self.socket.into_inner()
    }

    /// Whether a goodbye is under way.
    pub fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Notes that bytes came.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The next thing that the client said; `None` until more bytes come.
    pub fn next(&mut self, now: Instant) -> Option<Incoming> {
        loop {
            return match self.socket.read() {
                Ok(Message::Text(_) | Message::Binary(_)) if self.closing.is_some() => continue,
                Ok(Message::Text(text)) => {
                    self.last_message = now;
                    Some(Incoming::Text(text))
                }
                Ok(Message::Binary(_)) => Some(Incoming::Binary),
                Ok(Message::Close(_)) if self.closing.is_some() => continue,
                Ok(Message::Close(frame)) => {
                    self.closing = Some(now);
                    Some(Incoming::Closing(frame.map(|frame| frame.code.into())))
                }
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
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

    /// Takes one message's worth from the client's allowance; `false` if there is none left.
    pub fn take_allowance(&mut self, now: Instant) -> bool {
        self.allowance.take(now)
    }

    /// The same for one offer.
    pub fn take_offer_allowance(&mut self, now: Instant) -> bool {
        self.offers.take(now)
    }

    /// Queues a text message. After a goodbye there is nothing to say.
    pub fn send(&mut self, text: String) {
        if self.closing.is_none() {
            // The pipe takes everything; an error can only mean that the socket is past use, which reading finds.
            let _ = self.socket.write(Message::text(text));
        }
    }

    /// Says goodbye.
    pub fn close(&mut self, now: Instant, close: Close) {
        if self.closing.is_none() {
            self.closing = Some(now);
            let _ = self.socket.close(Some(close.frame()));
        }
    }

    /// What time asks for: a ping is sent by itself; the rest is returned.
    pub fn run_deadline(&mut self, now: Instant, config: &ShellConfig) -> Lapse {
        if self.closing.is_some_and(|since| now >= since + LINGER) {
            return Lapse::Silent;
        }
        if now >= self.heard + config.websocket_timeout {
            return Lapse::Silent;
        }
        if !self.joined && now >= self.last_message + config.idle_timeout {
            return Lapse::NeverJoined;
        }
        if now >= self.next_ping {
            self.next_ping = now + config.websocket_ping_interval;
            if self.closing.is_none() {
                let _ = self.socket.write(Message::Ping(Vec::new().into()));
            }
        }
        Lapse::None
    }

    /// When [`run_deadline`](Self::run_deadline) has something to do.
    pub fn deadline(&self, config: &ShellConfig) -> Instant {
        let silent = self.heard + config.websocket_timeout;
        let lapse = if self.joined { silent } else { silent.min(self.last_message + config.idle_timeout) };
        let goodbye = self.closing.map_or(lapse, |since| since + LINGER);
        lapse.min(goodbye).min(self.next_ping)
    }
}

/// What has not happened in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lapse {
    /// All is well.
    None,
    /// Nothing was heard: the client or the network is gone.
    Silent,
    /// Connected for long, and nobody joined.
    NeverJoined,
}

/// A bucket of messages that refills with time.
#[derive(Debug)]
pub struct Allowance {
    messages: f64,
    burst: f64,
    per_second: f64,
    at: Instant,
}

impl Allowance {
    /// A full bucket of `burst` that gains `per_second`.
    pub fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let burst = f64::from(burst.max(1));
        Self { messages: burst, burst, per_second: f64::from(per_second), at: now }
    }

    /// Takes one from it; `false` if it is empty.
    pub fn take(&mut self, now: Instant) -> bool {
        let elapsed: Duration = now.saturating_duration_since(self.at);
        self.at = now;
        self.messages = (self.messages + elapsed.as_secs_f64() * self.per_second).min(self.burst);
        let granted = self.messages >= 1.0;
        if granted {
            self.messages -= 1.0;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_and_refills() {
        let now = super::super::clock::now();
        let mut allowance = Allowance::new(10, 3, now);
        assert_eq!((0..5).filter(|_| allowance.take(now)).count(), 3);
        assert!(allowance.take(now + Duration::from_millis(101)));
        assert!(!allowance.take(now + Duration::from_millis(102)));
        let later = now + Duration::from_secs(60);
        assert_eq!((0..5).filter(|_| allowance.take(later)).count(), 3, "never more than the burst");
    }
}

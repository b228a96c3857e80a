//! Between WebSockets and the core: text in becomes inputs, events out become text. What messages mean is the
//! adapter's business (`signal::native`); what the shell adds is entropy, candidates, the rate limit and the close
//! codes.

use std::time::Instant;

use tracing::{debug, warn};

use super::entropy;
use super::event_loop::EventLoop;
use super::relaying::Came;
use super::ws::{Close, Incoming};
use crate::core::Input;
use crate::core::command::{Command, Join, Lifeline};
use crate::core::event::{ClosingReason, Event, Refusal, RefusalCode};
use crate::core::ids::{ConnectionId, RequestId, RoomId};
use crate::core::input::Admission;
use crate::signal::native::{self, ClientMessage, ServerFacts, refusals};

impl EventLoop {
    /// Something of a WebSocket.
    pub(super) fn on_socket(&mut self, now: Instant, place: usize, incoming: Incoming) {
        match incoming {
            Incoming::Text(text) => self.on_text(now, place, text.as_str()),
            Incoming::Binary => self.refuse(now, place, None, &refusals::binary_message()),
            Incoming::TooLarge => {
                let refusal = refusals::message_too_large(self.config.message_bytes_max);
                self.refuse(now, place, None, &refusal);
                self.finish(now, place);
            }
            Incoming::Violation(close) => {
                if let Some(socket) =
                    self.connections.at(place).and_then(|connection| connection.web_socket())
                {
                    socket.close(now, close);
                }
                self.finish(now, place);
            }
            Incoming::Closing(code) => self.on_closing(now, place, code),
            Incoming::Done => self.finish(now, place),
        }
    }

    /// A goodbye from the client: 1000 and 1001 mean that the person left.
    fn on_closing(&mut self, now: Instant, place: usize, code: Option<u16>) {
        let Some(connection) = self.connections.at(place) else { return };
        let id = connection.id;
        debug!(connection = id.0, peer = %connection.peer, ?code, "the client closes its WebSocket");
        let Some(socket) = connection.web_socket() else { return };
        let known = std::mem::take(&mut socket.known_to_core);
        if !known {
            return;
        }
        if matches!(code, Some(1000 | 1001)) {
            self.feed(now, Input::Command { connection: id, request: None, command: Command::Leave });
        } else {
            self.feed(now, Input::ConnectionLost(id));
        }
    }

    /// Nothing more is read from a WebSocket; what is queued is still written.
    fn finish(&mut self, now: Instant, place: usize) {
        let Some(connection) = self.connections.at(place) else { return };
        let id = connection.id;
        let known = connection.web_socket().is_some_and(|socket| std::mem::take(&mut socket.known_to_core));
        connection.finish_web_socket(now);
        if known {
            debug!(connection = id.0, "signalling connection lost");
            self.feed(now, Input::ConnectionLost(id));
        }
    }

    fn on_text(&mut self, now: Instant, place: usize, text: &str) {
        let Some(connection) = self.connections.at(place) else { return };
        let id = connection.id;
        let Some(socket) = connection.web_socket() else { return };
        self.counters.websocket_messages_in += 1;
        let allowed = socket.take_allowance(now);
        let message = match native::parse(text) {
            Ok(message) => message,
            Err((request, refusal)) => return self.refuse(now, place, request.as_ref(), &refusal),
        };
        if !allowed {
            let refusal = refusals::rate_limited(self.config.messages_per_second as usize);
            return self.refuse(now, place, request_of(&message), &refusal);
        }
        match message {
            ClientMessage::Ping { request } => {
                self.counters.websocket_messages_out += 1;
                socket.send(native::encode_pong(request.as_ref()));
            }
            ClientMessage::Join { request, room, name, auto_subscribe } => {
                socket.known_to_core = true;
                self.join(now, place, request, room, name, auto_subscribe);
            }
            ClientMessage::Resume { request, resume } => {
                socket.known_to_core = true;
                self.feed(now, Input::Resume { connection: id, request, resume });
            }
            ClientMessage::Command { request, command: Command::Offer { .. } }
                if !socket.take_offer_allowance(now) =>
            {
                self.refuse(now, place, request.as_ref(), &refusals::offers_limited());
            }
            ClientMessage::Command { request, command } => {
                socket.known_to_core = true;
                self.feed(now, Input::Command { connection: id, request, command });
            }
        }
    }

    fn join(
        &mut self,
        now: Instant,
        place: usize,
        request: Option<RequestId>,
        room: Option<RoomId>,
        name: String,
        auto_subscribe: bool,
    ) {
        let drawn =
            room.map_or_else(entropy::room_id, Ok).and_then(|room| Ok((room, entropy::participant()?)));
        let (room, entropy) = match drawn {
            Ok(drawn) => drawn,
            Err(error) => {
                warn!(%error, "the operating system gives no randomness: nobody can join");
                let refusal =
                    Refusal::new(RefusalCode::Internal, "the server has no randomness", "try again later");
                return self.refuse(now, place, request.as_ref(), &refusal);
            }
        };
        let Some(connection) = self.connections.at(place) else { return };
        let (id, client, local) = (connection.id, connection.client, connection.local);
        let proxied = connection.web_socket().is_some_and(|socket| socket.proxied);
        let candidates = self.candidates.for_client(now, client, local.ip(), proxied);
        debug!(connection = id.0, %client, %room, "join");
        let admission = Admission { entropy, candidates };
        let join = Join { room, name, auto_subscribe, lifeline: Lifeline::Signalling };
        self.feed(now, Input::Join { connection: id, request, admission, join });
    }

    /// Sends a refusal; a fatal one ends the connection.
    fn refuse(&mut self, now: Instant, place: usize, request: Option<&RequestId>, refusal: &Refusal) {
        let Some(connection) = self.connections.at(place) else { return };
        debug!(connection = connection.id.0, code = ?refusal.code, message = refusal.message, "refused");
        let Some(socket) = connection.web_socket() else { return };
        let fatal = native::is_fatal(refusal.code);
        self.counters.websocket_messages_out += 1;
        socket.send(native::encode_refusal(request, refusal, fatal));
        if fatal {
            socket.close(now, close_of(refusal.code));
        }
    }

    /// An event of the core's, to its connection. Connections that are gone are no error: the core hears of it.
    pub(super) fn deliver(&mut self, now: Instant, id: ConnectionId, event: &Event) {
        if self.whip.owns(id) {
            self.whip.on_event(id, event);
            return;
        }
        let Some(place) = self.connections.place_of(id) else { return };
        let Some(connection) = self.connections.at(place) else { return };
        let Some(socket) = connection.web_socket() else { return };
        let participant = match event {
            Event::Joined(_, joined) => Some(joined.participant),
            Event::Resumed(_, resumed) => Some(resumed.joined.participant),
            _ => None,
        };
        let ice_servers = match participant {
            Some(participant) => {
                let (host, proxied) = (socket.host.clone(), socket.proxied);
                let came = Came::by(connection, host.as_deref(), proxied);
                self.ice_servers(now, participant, &came)
            }
            None => Vec::new(),
        };
        let Some(socket) = self.connections.at(place).and_then(|connection| connection.web_socket()) else {
            return;
        };
        self.counters.websocket_messages_out += 1;
        let server =
            ServerFacts { ice_servers: &ice_servers, is_self_signed: self.certificates.is_self_signed() };
        socket.send(native::encode_event(event, server));
        let close = match event {
            Event::Joined(..) | Event::Resumed(..) => {
                socket.joined = true;
                None
            }
            Event::Refused(_, refusal) => native::is_fatal(refusal.code).then(|| close_of(refusal.code)),
            Event::Closing(ClosingReason::Shutdown) => Some(Close::GoingAway),
            Event::Closing(ClosingReason::Error) => Some(Close::Refused),
            Event::Closing(_) | Event::Left(_) => Some(Close::Normal),
            _ => None,
        };
        if let Some(close) = close {
            // The core has let go of the connection by itself.
            socket.known_to_core &= matches!(event, Event::Refused(..));
            socket.close(now, close);
        }
        self.connections.touch(place);
    }
}

fn request_of(message: &ClientMessage) -> Option<&RequestId> {
    match message {
        ClientMessage::Join { request, .. }
        | ClientMessage::Resume { request, .. }
        | ClientMessage::Command { request, .. }
        | ClientMessage::Ping { request } => request.as_ref(),
    }
}

fn close_of(code: RefusalCode) -> Close {
    match code {
        RefusalCode::MessageTooLarge => Close::TooLarge,
        RefusalCode::ShuttingDown => Close::GoingAway,
        _ => Close::Refused,
    }
}

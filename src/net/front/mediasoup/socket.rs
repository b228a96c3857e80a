//! The WebSockets of mediasoup's clients: those that bring news of a channel, and those by which rooms are joined and calls are
//! made.

use std::time::Instant;

use serde_json::{Value, json};
use tracing::debug;

use super::{Caller, Visitor, capabilities_json, client_of, cookie, problem};
use crate::access::Pass;
use crate::core::Sfu;
use crate::core::codec_set::CodecSet;
use crate::core::command::Lifeline;
use crate::core::event::{ClosingReason, Event, LeaveReason, Refusal, RefusalCode};
use crate::core::grants::Grants;
use crate::core::ids::ConnectionId;
use crate::net::address_rates::host_of;
use crate::net::front::{Front, bearer, may_be_read, router, unauthorized};
use crate::net::http::message::{Request, Response};
use crate::net::mediasoup_sessions::Key;
use crate::net::tcp::web_socket::{self, Client, Incoming, limits_of};
use crate::signal::mediasoup::{
    Asked, Dialect, Entering, Fields, MessageRef, News, ReplyTo, SocketFrontEnd, SocketReaction, Told,
    not_there, reply_text,
};
use crate::signal::native::Close;

impl Front {
    /// Turns a connection into the WebSocket of a client of mediasoup's.
    pub(super) fn open_mediasoup(
        &mut self,
        now: Instant,
        place: usize,
        request: &Request,
        dialect: Dialect,
    ) -> Result<(), Response> {
        let token = bearer(request);
        let caller = self.caller(place, request).map_err(|refusal| problem(&refusal))?;
        // Whoever listens to a channel says at once who they are; whoever joins a room says it by a message.
        let (listening, pass) = match dialect {
            Dialect::Channels => {
                let entering = entering_of(request).map_err(|refusal| problem(&refusal))?;
                let visitor = self.visitor(token.as_deref(), &entering.room, Some(&entering.user));
                let visitor = visitor.map_err(|refusal| problem(&refusal))?;
                let owner = visitor.owner(&caller.client);
                let found = self.find_owned(now, &entering, &owner).map_err(|refusal| problem(&refusal))?;
                (Some((entering, owner, found)), visitor.pass)
            }
            Dialect::Rooms => {
                let pass = self.read_pass(token.as_deref());
                (None, pass.map_err(|denied| unauthorized(&denied, "docs/mediasoup.md"))?)
            }
        };
        let response = web_socket::upgrade(request)?;
        let Some(connection) = self.connections.at(place) else { return Ok(()) };
        let id = connection.id;
        let response = if client_of(request).is_some() {
            response
        } else {
            response.with("Set-Cookie", cookie(&caller.client, connection.is_tls()))
        };
        debug!(connection = id.0, peer = %connection.peer, client = %connection.client, "mediasoup's WebSocket opened");
        connection.upgrade(request, &response, &self.config, now);
        if let Some(socket) = connection.web_socket() {
            let front_end = SocketFrontEnd::new(dialect, caller.client, limits_of(&self.config), now);
            socket.client = Client::Mediasoup(Box::new(front_end));
            socket.pass = pass;
        }
        self.counters.note_request(router::label(&request.path), 101);
        self.connections.touch(place);
        if let Some((entering, owner, found)) = listening {
            let key: Key = (entering.room, entering.user);
            if !self.mediasoup.listen(&key, id, owner) {
                self.close_mediasoup(now, id, Close::Refused);
            } else if let Some(session) = found {
                self.attach(now, session, (id, dialect));
            }
        }
        Ok(())
    }

    /// Gives a session a WebSocket, and tells this who and what is there.
    fn attach(&mut self, now: Instant, session: ConnectionId, socket: (ConnectionId, Dialect)) {
        let held = self.mediasoup.get(session);
        // If it has to be taken up again, that tells it.
        let is_told_later = held.is_some_and(|held| held.session.lost_for().is_some());
        if let Some(older) = self.mediasoup.attach(session, socket.0, socket.1) {
            self.close_mediasoup(now, older, Close::Normal);
        }
        if let Some(held) = self.mediasoup.get(session).filter(|_| !is_told_later) {
            let news = held.session.everything();
            self.tell_mediasoup(socket, &news);
        }
    }

    /// Takes something that came on the WebSocket of a client of mediasoup's.
    pub(in crate::net::front) fn receive_of_mediasoup(
        &mut self,
        now: Instant,
        place: usize,
        incoming: Incoming,
        sfu: &Sfu,
    ) {
        let Some(connection) = self.connections.at(place) else { return };
        let id = connection.id;
        let Some(socket) = connection.web_socket() else { return };
        let Client::Mediasoup(front_end) = &mut socket.client else { return };
        let reaction = match incoming {
            Incoming::Text(text) => {
                self.counters.websocket_messages_in += 1;
                if !may_be_read(&mut self.offered_bytes, now, socket.origin.client, text.as_str().len()) {
                    front_end.refuse_long(now)
                } else {
                    let session = self.mediasoup.find_by_socket(id);
                    let held = session.and_then(|session| self.mediasoup.get(session));
                    front_end.receive(now, text.as_str(), held.map_or(0, |held| held.session.others()))
                }
            }
            Incoming::Binary(_) => front_end.refuse_binary(now),
            Incoming::Control => front_end.receive_control(now),
            Incoming::TooLarge => front_end.refuse_too_large(),
            Incoming::Violation(close) => {
                socket.close(now, close);
                self.finish_web_socket(now, place);
                return;
            }
            Incoming::Closing(code) => {
                debug!(connection = id.0, ?code, "the client closes its WebSocket");
                // Pages that close it without a code mean it as well.
                let has_left = matches!(code, None | Some(1000 | 1001));
                self.end_mediasoup(now, id, has_left);
                return;
            }
            Incoming::Done => {
                self.finish_web_socket(now, place);
                return;
            }
        };
        self.react_to_mediasoup(now, place, reaction, sfu);
    }

    /// Notes that a WebSocket has ended, if it is one of mediasoup's clients.
    pub(in crate::net::front) fn end_mediasoup(
        &mut self,
        now: Instant,
        socket: ConnectionId,
        has_left: bool,
    ) {
        if let Some((session, demand)) = self.mediasoup.socket_ended(now, socket, has_left) {
            self.mediasoup.ask(session, [demand]);
        }
    }

    fn react_to_mediasoup(&mut self, now: Instant, place: usize, reaction: SocketReaction, sfu: &Sfu) {
        let SocketReaction { told, say, close, refused, is_fault } = reaction;
        let Some(connection) = self.connections.at(place) else { return };
        let (id, host) = (connection.id, host_of(connection.client));
        if let Some(refusal) = refused {
            debug!(connection = id.0, code = ?refusal.code, message = refusal.message, "refused");
        }
        if let Some(text) = say {
            self.say(id, text);
        }
        match told {
            Some(Told::Enter(entering, message)) => self.enter(now, place, entering, &message, sfu),
            Some(Told::Call(call, message)) => {
                let session = self.mediasoup.find_by_socket(id);
                let held = session.and_then(|session| self.mediasoup.get(session));
                let asked = held.map_or_else(
                    || Asked::Refused(not_there()),
                    |held| held.session.call(call, Dialect::Rooms, ReplyTo::Message(message.clone())),
                );
                match (asked, session) {
                    (Asked::Core(demands), Some(session)) => self.mediasoup.ask(session, demands),
                    (Asked::Done(reply), _) => self.answer_message(id, &message, Ok(&reply)),
                    (Asked::Refused(refusal), _) => self.answer_message(id, &message, Err(&refusal)),
                    _ => {}
                }
            }
            Some(Told::Capabilities(message)) => {
                let session =
                    self.mediasoup.find_by_socket(id).and_then(|session| self.mediasoup.get(session));
                let room = session.and_then(|held| sfu.room_snapshot(now, held.session.key().0));
                let codecs = room.map_or(CodecSet::ALL, |room| room.options.codecs);
                let reply = json!({"rtpCapabilities": capabilities_json(codecs)});
                self.answer_message(id, &message, Ok(&reply));
            }
            None => {}
        }
        if let Some(close) = close {
            self.close_mediasoup(now, id, close);
            if is_fault {
                self.connections.pauses.note_cut(now, host);
            }
            // Nothing that it has sent after this is read.
            self.finish_web_socket(now, place);
        }
    }

    /// Lets somebody into a room by their WebSocket: into the session that they have there, or a new one.
    fn enter(&mut self, now: Instant, place: usize, entering: Entering, message: &MessageRef, sfu: &Sfu) {
        let Some(connection) = self.connections.at(place) else { return };
        let id = connection.id;
        if let Err(refusal) = self.try_to_enter(now, place, entering, message.clone(), sfu) {
            if refusal.code == RefusalCode::Unauthorized {
                let client = self.connections.at(place).map(|connection| connection.client);
                client.into_iter().for_each(|client| self.log_wrong_token(now, client, "/mediasoup"));
            }
            self.answer_message(id, message, Err(&refusal));
        }
    }

    fn try_to_enter(
        &mut self,
        now: Instant,
        place: usize,
        entering: Entering,
        message: MessageRef,
        sfu: &Sfu,
    ) -> Result<(), Refusal> {
        let Some(connection) = self.connections.at(place) else { return Ok(()) };
        let id = connection.id;
        let Some(socket) = connection.web_socket() else { return Ok(()) };
        let Client::Mediasoup(front_end) = &mut socket.client else { return Ok(()) };
        let (client, dialect) = (front_end.client().to_owned(), front_end.dialect());
        let (origin, shown) = (socket.origin.clone(), socket.pass.clone());
        let visitor = match &entering.token {
            Some(token) => self.visitor(Some(token), &entering.room, Some(&entering.user))?,
            None => self.visitor_with(shown, &entering.room, Some(&entering.user))?,
        };
        let owner = visitor.owner(&client);
        let found = self.find_owned(now, &entering, &owner)?;
        // By one WebSocket somebody is in one room.
        if let Some(former) = self.mediasoup.find_by_socket(id).filter(|former| Some(*former) != found) {
            self.mediasoup.displace(former);
        }
        self.note_entered(place, &visitor);
        let Some(session) = found else {
            return self.open_by_socket(
                now,
                (id, dialect),
                origin,
                (entering, visitor),
                (client, message),
                sfu,
            );
        };
        let Some(held) = self.mediasoup.get(session) else { return Ok(()) };
        // Whoever does not say that they go on begins anew: a page that was loaded again knows nothing of its transports. One
        // that has begun by REST only gets its WebSocket.
        let goes_on =
            entering.session.is_some() || !held.had_socket || held.socket.is_some_and(|(own, _)| own == id);
        if goes_on {
            let welcome = held.session.welcome();
            self.answer_message(id, &message, Ok(&welcome));
            self.attach(now, session, (id, dialect));
            return Ok(());
        }
        if let Some(older) = self.mediasoup.displace(session) {
            self.close_mediasoup(now, older, Close::Normal);
        }
        self.open_by_socket(now, (id, dialect), origin, (entering, visitor), (client, message), sfu)
    }

    /// Notes that somebody comes in by a WebSocket, and by what.
    fn note_entered(&mut self, place: usize, visitor: &Visitor) {
        let socket = self.connections.at(place).and_then(|connection| connection.web_socket());
        let Some(socket) = socket else { return };
        if visitor.pass.is_some() {
            socket.pass.clone_from(&visitor.pass);
        }
        if let Client::Mediasoup(front_end) = &mut socket.client {
            front_end.enter();
        }
    }

    fn open_by_socket(
        &mut self,
        now: Instant,
        socket: (ConnectionId, Dialect),
        origin: crate::net::client_origin::ClientOrigin,
        (entering, visitor): (Entering, Visitor),
        (client, message): (String, MessageRef),
        sfu: &Sfu,
    ) -> Result<(), Refusal> {
        let host = host_of(origin.client);
        let key: Key = (entering.room, entering.user);
        let caller = Caller { client, origin, host };
        let reply_to = ReplyTo::Message(message);
        let (session, demand) =
            self.open_session(now, caller, (key, visitor), Lifeline::Signalling, reply_to, sfu)?;
        self.mediasoup.attach(session, socket.0, socket.1);
        self.mediasoup.ask(session, [demand]);
        Ok(())
    }

    /// Answers a message of a WebSocket.
    pub(super) fn answer_message(
        &mut self,
        socket: ConnectionId,
        message: &MessageRef,
        result: Result<&Value, &Refusal>,
    ) {
        self.say(socket, reply_text(message, result));
    }

    /// Tells a WebSocket what is new.
    pub(super) fn tell_mediasoup(&mut self, (socket, dialect): (ConnectionId, Dialect), news: &[News]) {
        for one in news {
            self.say(socket, one.encode(dialect));
        }
    }

    /// Does to a session's WebSocket what follows from an event of the core's.
    pub(super) fn follow_mediasoup(
        &mut self,
        now: Instant,
        (socket, dialect): (ConnectionId, Dialect),
        event: &Event,
        ended_by: Option<ClosingReason>,
    ) {
        match (ended_by, dialect) {
            (Some(ClosingReason::Gone(LeaveReason::Shutdown)), _) => {
                self.close_mediasoup(now, socket, Close::GoingAway);
            }
            // Who listens to a channel may come back into it.
            (Some(_), Dialect::Rooms) => self.close_mediasoup(now, socket, Close::Normal),
            _ => {}
        }
        let place = self.connections.place_of(socket);
        let socket = place.and_then(|place| self.connections.at(place)).and_then(|own| own.web_socket());
        // Their next token allows no more than they may do now.
        if let (Event::PermissionsChanged { grants, .. }, Some(Pass { grants: own, expires, .. })) =
            (event, socket.and_then(|socket| socket.pass.as_mut()))
        {
            *own = Grants { create: own.create, ..*grants };
            *expires = 0;
        }
    }

    fn close_mediasoup(&mut self, now: Instant, socket: ConnectionId, close: Close) {
        let Some(place) = self.connections.place_of(socket) else { return };
        if let Some(socket) = self.connections.at(place).and_then(|connection| connection.web_socket()) {
            socket.close(now, close);
        }
        self.connections.touch(place);
    }
}

/// Reads from an address who listens to which channel.
fn entering_of(request: &Request) -> Result<Entering, Refusal> {
    let mut fields = Fields::default();
    for name in ["channelId", "userId", "sessionId"] {
        if let Some(value) = request.parameters(name).next() {
            fields.put(name, value);
        }
    }
    Entering::read(&mut fields, Dialect::Channels)
}

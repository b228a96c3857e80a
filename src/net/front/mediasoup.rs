//! mediasoup's clients over HTTP: what their apps ask by REST, in both dialects. This file handles methods, media types, tokens,
//! cookies and origins, and finds the session that a call is for; the front end (`signal::mediasoup`) does the rest.
//!
//! **Who calls for whom.** Apps name people by ids that others know. A call is taken for a session if it names one of its
//! transports, whose ids nobody can guess and only the session's client is told, or if it comes from the session's owner: by a
//! token that names the user, by the cookie that the client was given with its first answer, or with the session's own id,
//! which is in that answer as well. Where tokens are needed, each call needs one.
//!
//! A call that the core has to answer is parked on its connection.

mod socket;

use std::net::IpAddr;
use std::time::Instant;

use serde_json::{Value, json};
use tracing::{debug, info, warn};

use super::router::MediasoupTarget;
use super::{Front, Reach, bearer, ice_servers};
use crate::access::{AuthMode, Denied, Pass};
use crate::core::Sfu;
use crate::core::codec_set::CodecSet;
use crate::core::command::{Join, Lifeline};
use crate::core::event::{Event, Refusal, RefusalCode};
use crate::core::grants::Grants;
use crate::core::ids::{BASE32, ConnectionId, RoomId};
use crate::core::ortc::router::capabilities;
use crate::core::profile::Profile;
use crate::core::stats::ParticipantSnapshot;
use crate::limits::NAME_CHARS_MAX;
use crate::net::address_rates::host_of;
use crate::net::client_origin::ClientOrigin;
use crate::net::http::body::must_be_json;
use crate::net::http::message::{Request, Response};
use crate::net::http::origin;
use crate::net::mediasoup_sessions::{Key, Owner, same};
use crate::net::tcp::web_socket::limits_of;
use crate::net::{clock, entropy};
use crate::signal::mediasoup::{
    Asked, CALL_COST, Call, CallName, CallRates, Dialect, Entering, Fields, ReplyTo, Session, no_receiver,
    no_transport, not_there, producer_json, status,
};
use crate::signal::native::refusals;
use crate::signal::{Demand, Ticket};

/// The cookie by which a browser is known again.
const COOKIE: &str = "strait-client";
/// How many letters its value has, as [`entropy::name`] makes it.
const COOKIE_CHARS: usize = 22;
/// After how many seconds to try again.
const RETRY_AFTER: &str = "5";

/// What becomes of a request.
pub enum MediasoupOutcome {
    /// This answer, at once.
    Answer(Response),
    /// This answer, and the room is to be made if it is not there.
    MakeRoom(RoomId, Response),
    /// The answer comes from this session, once the core has handled these.
    Wait(ConnectionId, Vec<Demand>),
    /// The connection is a WebSocket now.
    Upgraded,
}

/// By what somebody comes, once that is checked.
pub(super) struct Visitor {
    grants: Grants,
    pass: Option<Pass>,
}

impl Visitor {
    /// Returns whose their sessions are.
    pub(super) fn owner(&self, client: &str) -> Owner {
        Owner { client: client.to_owned(), by_token: self.pass.is_some() }
    }
}

/// Where a client's request comes from, and by which name its browser is known.
pub(super) struct Caller {
    pub(super) client: String,
    pub(super) origin: ClientOrigin,
    pub(super) host: IpAddr,
}

impl Front {
    /// Answers a request of a client of mediasoup's, or opens its WebSocket. The core is only read.
    pub fn answer_mediasoup(
        &mut self,
        now: Instant,
        place: usize,
        request: &Request,
        target: MediasoupTarget,
        sfu: &Sfu,
    ) -> MediasoupOutcome {
        if target == MediasoupTarget::Health {
            return MediasoupOutcome::Answer(health(sfu));
        }
        if !self.page_may_call(request) {
            let origin = request.field("origin").unwrap_or_default();
            info!(origin, "a page of a foreign origin was refused; http.cors_origins can let it in");
            return MediasoupOutcome::Answer(Response::problem(
                403,
                "pages of this origin may not call",
                "let the operator add the origin to http.cors_origins",
            ));
        }
        if request.method == "OPTIONS" {
            return MediasoupOutcome::Answer(Response::empty(204).with("Allow", "GET, POST, OPTIONS"));
        }
        let answered = match target {
            MediasoupTarget::Health => Ok(MediasoupOutcome::Answer(health(sfu))),
            MediasoupTarget::Capabilities(room, dialect) => {
                self.answer_capabilities(now, place, request, (&room, dialect), sfu)
            }
            MediasoupTarget::Producers(room, user) => {
                self.answer_producers(now, place, request, (&room, user.as_deref()), sfu)
            }
            MediasoupTarget::Call(dialect, name) => self.call(now, place, request, (dialect, name), sfu),
            MediasoupTarget::Socket(dialect) => {
                return match self.open_mediasoup(now, place, request, dialect) {
                    Ok(()) => MediasoupOutcome::Upgraded,
                    Err(response) => MediasoupOutcome::Answer(response),
                };
            }
        };
        answered.unwrap_or_else(|refusal| MediasoupOutcome::Answer(problem(&refusal)))
    }

    /// Returns whether the page that asks may: any may where a token is needed, because none has one that nobody gave it.
    fn page_may_call(&self, request: &Request) -> bool {
        let Some(page) = request.field("origin") else { return true };
        let is_listed =
            self.config.cors_origins.iter().any(|listed| listed == "*" || listed.eq_ignore_ascii_case(page));
        let needs_token = self.config.gate.mode == AuthMode::Token;
        needs_token || is_listed || origin::allowed(request, &self.config.allowed_origins)
    }

    /// Reads by what somebody comes into a room, as that user if they say who they are.
    pub(super) fn visitor(
        &self,
        token: Option<&str>,
        room: &RoomId,
        user: Option<&str>,
    ) -> Result<Visitor, Refusal> {
        let pass = self.read_pass(token).map_err(|denied| refusals::unauthorized(&denied.0))?;
        self.visitor_with(pass, room, user)
    }

    /// Reads a token, if one is shown. Whoever has no keys takes what comes, as an open door does: apps may have tokens of their
    /// own.
    pub(super) fn read_pass(&self, token: Option<&str>) -> Result<Option<Pass>, Denied> {
        let gate = &self.config.gate;
        let is_open = gate.mode == AuthMode::Open && gate.keys.is_empty();
        let token = token.filter(|_| !is_open);
        token.map(|token| gate.read(token, clock::unix().as_secs())).transpose()
    }

    /// The same for a token that has been read.
    pub(super) fn visitor_with(
        &self,
        pass: Option<Pass>,
        room: &RoomId,
        user: Option<&str>,
    ) -> Result<Visitor, Refusal> {
        let entered = self.config.gate.enter(pass.as_ref(), Some(room.clone()));
        let (_, grants) = entered.map_err(|denied| refusals::unauthorized(&denied.0))?;
        if let (Some(pass), Some(user)) = (&pass, user)
            && pass.identity != user
        {
            return Err(Refusal::new(
                RefusalCode::NotPermitted,
                "the token is for somebody else",
                "Use the identity of the token as the user's id.",
            ));
        }
        Ok(Visitor { grants, pass })
    }

    /// Returns where a request comes from. A client that has no name is given one.
    pub(super) fn caller(&mut self, place: usize, request: &Request) -> Result<Caller, Refusal> {
        let Some(connection) = self.connections.at(place) else { return Err(not_there()) };
        let origin = connection.origin(request);
        let client = match client_of(request) {
            Some(client) => client.to_owned(),
            None => secret()?,
        };
        let host = host_of(origin.client);
        Ok(Caller { client, origin, host })
    }

    fn answer_capabilities(
        &mut self,
        now: Instant,
        place: usize,
        request: &Request,
        (room, dialect): (&str, Dialect),
        sfu: &Sfu,
    ) -> Result<MediasoupOutcome, Refusal> {
        let room = room_of(room)?;
        let host = self.connections.at(place).map(|connection| host_of(connection.client));
        host.map_or(Ok(()), |host| self.take_part_of_offer(now, host, CALL_COST))?;
        let grants = self.visitor(bearer(request).as_deref(), &room, None)?.grants;
        let snapshot = sfu.room_snapshot(now, &room);
        let codecs = snapshot.as_ref().map_or(CodecSet::ALL, |room| room.options.codecs);
        let response = json_response(&capabilities_json(codecs));
        // One dialect has a room from here on. Making one is as much as joining.
        let is_to_be_made = dialect == Dialect::Rooms && snapshot.is_none() && grants.create;
        if is_to_be_made && host.is_some_and(|host| self.joins.take(now, host, 1.0)) {
            return Ok(MediasoupOutcome::MakeRoom(room, response));
        }
        Ok(MediasoupOutcome::Answer(response))
    }

    fn answer_producers(
        &mut self,
        now: Instant,
        place: usize,
        request: &Request,
        (room, user): (&str, Option<&str>),
        sfu: &Sfu,
    ) -> Result<MediasoupOutcome, Refusal> {
        let room = room_of(room)?;
        let host = self.connections.at(place).map(|connection| host_of(connection.client));
        host.map_or(Ok(()), |host| self.take_part_of_offer(now, host, CALL_COST))?;
        self.visitor(bearer(request).as_deref(), &room, None)?;
        let snapshot = sfu.room_snapshot(now, &room);
        let people = snapshot.iter().flat_map(|room| &room.participants);
        let mut producers = Vec::new();
        for person in people.filter(|person| !person.grants.hidden) {
            let id = person.profile.known_as(person.participant);
            if user.is_some_and(|user| user != id) {
                continue;
            }
            for publication in &person.publications {
                let mut producer = producer_json(&publication.info);
                producer["userId"] = json!(id);
                producers.push(producer);
            }
        }
        Ok(MediasoupOutcome::Answer(json_response(&json!({"producers": producers}))))
    }

    /// Takes a part of an offer from an address's allowance, for what goes through a whole room.
    fn take_part_of_offer(&mut self, now: Instant, host: IpAddr, cost: f64) -> Result<(), Refusal> {
        let is_granted = self.offers.take(now, host, cost);
        is_granted.then_some(()).ok_or_else(|| refusals::offers_too_fast(self.config.offers_per_second))
    }

    /// Takes a call.
    fn call(
        &mut self,
        now: Instant,
        place: usize,
        request: &Request,
        (dialect, name): (Dialect, CallName),
        sfu: &Sfu,
    ) -> Result<MediasoupOutcome, Refusal> {
        if let Err(response) = must_be_json(request, "send it with Content-Type: application/json") {
            return Ok(MediasoupOutcome::Answer(response));
        }
        let mut fields = Fields::read(&request.body)?;
        let (room, user) = dialect.names();
        let entering = fields.has(room) || fields.has(user);
        let entering = entering.then(|| Entering::read(&mut fields, dialect)).transpose()?;
        let call = Call::read(name, &mut fields)?;
        let caller = self.caller(place, request)?;
        let Some(connection) = self.connections.at(place) else { return Err(not_there()) };
        let reply_to = ReplyTo::Request(connection.id);
        let token = bearer(request);
        let id = match (call.transport(), entering) {
            (Some(transport), entering) => {
                let unknown = || if name == CallName::Consume { no_receiver() } else { no_transport() };
                let id = self.mediasoup.find_by_transport(transport).ok_or_else(unknown)?;
                self.check_names(id, token.as_deref(), entering)?;
                id
            }
            (None, Some(entering)) => {
                let token = token.or_else(|| entering.token.clone());
                let visitor = self.visitor(token.as_deref(), &entering.room, Some(&entering.user))?;
                match self.find_owned(now, &entering, &visitor.owner(&caller.client))? {
                    Some(id) => id,
                    None if name == CallName::CreateTransport => {
                        let call = (call, dialect, reply_to);
                        return self.open_by_request(now, caller, (entering, visitor), call, sfu);
                    }
                    None => return Err(not_there()),
                }
            }
            (None, None) => {
                Entering::read(&mut fields, dialect)?;
                return Err(not_there());
            }
        };
        let Some(held) = self.mediasoup.get(id) else { return Err(not_there()) };
        held.rates.message(now)?;
        held.rates.call(now, name, held.session.others())?;
        let asked = held.session.call(call, dialect, reply_to);
        held.note_call(now);
        match asked {
            Asked::Core(demands) => Ok(MediasoupOutcome::Wait(id, demands)),
            Asked::Later => Ok(MediasoupOutcome::Wait(id, Vec::new())),
            Asked::Done(reply) => Ok(MediasoupOutcome::Answer(json_response(&reply))),
            Asked::Refused(refusal) => Err(refusal),
        }
    }

    /// Checks that a call that names a transport does not name another room or user than its session's, and that its token, if
    /// one is needed or shown, is theirs.
    fn check_names(
        &mut self,
        id: ConnectionId,
        token: Option<&str>,
        entering: Option<Entering>,
    ) -> Result<(), Refusal> {
        let Some(held) = self.mediasoup.get(id) else { return Err(no_transport()) };
        let (room, user) = held.session.key();
        let (room, user) = (room.clone(), user.to_owned());
        let token = token.map(str::to_owned).or_else(|| entering.as_ref()?.token.clone());
        if entering.is_some_and(|entering| entering.room != room || entering.user != user) {
            return Err(no_transport());
        }
        self.visitor(token.as_deref(), &room, Some(&user)).map(|_| ())
    }

    /// Finds the session of somebody, who must be its owner. One that is about to end makes way.
    pub(super) fn find_owned(
        &mut self,
        now: Instant,
        entering: &Entering,
        owner: &Owner,
    ) -> Result<Option<ConnectionId>, Refusal> {
        let key: Key = (entering.room.clone(), entering.user.clone());
        let Some(id) = self.mediasoup.find(now, &key) else { return Ok(None) };
        let Some(held) = self.mediasoup.get(id) else { return Ok(None) };
        let knows_secret = entering.session.as_ref().is_some_and(|given| same(given, held.session.secret()));
        if !knows_secret && !owner.is(&held.owner) {
            return Err(taken());
        }
        if held.session.is_leaving() {
            self.mediasoup.displace(id);
            return Ok(None);
        }
        Ok(Some(id))
    }

    /// Opens a session for the first call of somebody.
    fn open_by_request(
        &mut self,
        now: Instant,
        caller: Caller,
        (entering, visitor): (Entering, Visitor),
        (call, dialect, reply_to): (Call, Dialect, ReplyTo),
        sfu: &Sfu,
    ) -> Result<MediasoupOutcome, Refusal> {
        // It is looked up who is in the room.
        self.take_part_of_offer(now, caller.host, 1.0)?;
        if self.mediasoup.of_host(caller.host) >= self.config.connections_per_address_max {
            return Err(Refusal::new(
                RefusalCode::RateLimited,
                "too many sessions from this address",
                "End some, or ask the operator to raise signalling.max_connections_per_address.",
            ));
        }
        let key: Key = (entering.room, entering.user);
        let owner = visitor.owner(&caller.client);
        // With a WebSocket it is known when somebody goes; without one, only by their media.
        let lifeline =
            if self.mediasoup.has_listener(&key, &owner) { Lifeline::Signalling } else { Lifeline::Media };
        let (id, demand) = self.open_session(now, caller, (key, visitor), lifeline, ReplyTo::Nobody, sfu)?;
        if let Some(held) = self.mediasoup.get(id) {
            held.session.call(call, dialect, reply_to);
        }
        Ok(MediasoupOutcome::Wait(id, vec![demand]))
    }

    /// Opens a session, which asks to come in. Returns its id, and what the core has to hear.
    pub(super) fn open_session(
        &mut self,
        now: Instant,
        caller: Caller,
        ((room, user), visitor): (Key, Visitor),
        lifeline: Lifeline,
        reply_to: ReplyTo,
        sfu: &Sfu,
    ) -> Result<(ConnectionId, Demand), Refusal> {
        let owner = visitor.owner(&caller.client);
        let Visitor { grants, pass } = visitor;
        // Whoever nobody vouches for takes nobody's place but their own.
        let room_now = if pass.is_none() { sfu.room_snapshot(now, &room) } else { None };
        let mut namesakes = room_now.iter().flat_map(|room| &room.participants);
        let is_another = |person: &ParticipantSnapshot| {
            person.profile.identity.as_ref() == Some(&user)
                && !self.mediasoup.has_participant(person.participant, &owner)
        };
        if namesakes.any(is_another) {
            return Err(taken());
        }
        let name = name_of(&user);
        let is_invited = pass.as_ref().is_some_and(|pass| pass.room.is_some());
        let is_vouched_for = pass.is_some();
        let profile = match pass {
            Some(pass) => pass.profile(&name),
            None => Profile { identity: Some(user.clone()), ..Profile::named(name.clone()) },
        };
        let profile = Some(Box::new(profile));
        let ticket = Ticket::Granted { grants, profile, is_invited, is_vouched_for };
        let id = self.mediasoup.next_id();
        debug!(connection = id.0, client = %caller.origin.client, %room, "a session of mediasoup's asked for");
        let (session, demand) = Session::open((room, user, name), secret()?, lifeline, ticket, reply_to);
        let rates = CallRates::new(limits_of(&self.config), now);
        self.mediasoup.add(now, id, (session, rates), owner, (caller.origin, caller.host));
        Ok((id, demand))
    }

    /// Brings one of the core's events to a session, and carries out what comes of it.
    pub(super) fn deliver_to_mediasoup(
        &mut self,
        now: Instant,
        id: ConnectionId,
        event: &Event,
        reach: &mut Reach<'_>,
    ) {
        let Some(held) = self.mediasoup.get(id) else { return };
        let client = held.owner.client.clone();
        let servers = match (event, held.session.participant()) {
            (Event::TransportOpened(..), Some(participant)) => {
                ice_servers(now, participant, &held.origin, reach, &self.config)
            }
            _ => Vec::new(),
        };
        let Some((reaction, socket)) = self.mediasoup.event(id, event) else { return };
        for (reply_to, mut result) in reaction.replies {
            if let (Ok(Value::Object(reply)), false) = (&mut result, servers.is_empty()) {
                reply.insert("iceServers".to_owned(), json!(servers));
            }
            match reply_to {
                ReplyTo::Request(waiting) => self.answer_parked_call(waiting, id, &client, result),
                ReplyTo::Message(message) => {
                    if let Some((socket, _)) = socket {
                        self.answer_message(socket, &message, result.as_ref());
                    }
                }
                ReplyTo::Nobody => {}
            }
        }
        if let Some(socket) = socket {
            self.tell_mediasoup(socket, &reaction.news);
            self.follow_mediasoup(now, socket, event, reaction.ended_by);
        }
    }

    /// Answers the request that is parked for a session on a connection. The wait may have been given up meanwhile.
    fn answer_parked_call(
        &mut self,
        waiting: ConnectionId,
        session: ConnectionId,
        client: &str,
        result: Result<Value, Refusal>,
    ) {
        let Some(place) = self.connections.place_of(waiting) else { return };
        let Some(connection) = self.connections.at(place) else { return };
        let is_tls = connection.is_tls();
        let Some(parked) = connection.unpark_for(session) else { return };
        let response = match result {
            Ok(reply) => {
                let response = json_response(&reply);
                let is_known = client_of(&parked.request) == Some(client);
                if is_known { response } else { response.with("Set-Cookie", cookie(client, is_tls)) }
            }
            Err(refusal) => problem(&refusal),
        };
        self.respond(place, &parked.request, &response);
    }

    /// Gives up a call that the core has not answered in time. Returns the response.
    pub(super) fn give_up_call(&mut self, session: ConnectionId, waiting: ConnectionId) -> Response {
        self.abandon_call(session, waiting);
        Response::problem(
            503,
            "the server has not answered in time; its log may say why",
            "send the request again in a few seconds",
        )
        .with("Retry-After", RETRY_AFTER)
    }

    /// Notes that nobody waits on a connection any more.
    pub(super) fn abandon_call(&mut self, session: ConnectionId, waiting: ConnectionId) {
        if let Some(held) = self.mediasoup.get(session) {
            held.session.abandon(&ReplyTo::Request(waiting));
        }
    }
}

/// Returns the refusal of somebody who acts for a user who is there by another client.
pub(super) fn taken() -> Refusal {
    Refusal::new(
        RefusalCode::NotPermitted,
        "somebody of that id is there already, by another client",
        "Use another id. If it is you: send the cookie, or the sessionId of the first answer, or a token that names you.",
    )
}

/// Draws a name that nobody can guess.
fn secret() -> Result<String, Refusal> {
    entropy::name().map_err(|error| {
        warn!(%error, "the operating system gives no randomness: nobody can join");
        Refusal::new(RefusalCode::Internal, "the server has no randomness", "try again later")
    })
}

/// Returns the name by which a browser is known again; `None` if it has none of ours.
pub(super) fn client_of(request: &Request) -> Option<&str> {
    let cookies = request.fields().filter(|(name, _)| *name == "cookie");
    let mut pairs = cookies.flat_map(|(_, value)| value.split(';')).filter_map(|pair| pair.split_once('='));
    let (_, client) = pairs.find(|(name, _)| name.trim() == COOKIE)?;
    let is_ours = client.len() == COOKIE_CHARS && client.bytes().all(|byte| BASE32.contains(&byte));
    is_ours.then_some(client)
}

/// Returns the cookie that gives a browser its name. Scripts cannot read it, and other sites' pages do not send it.
pub(super) fn cookie(client: &str, is_tls: bool) -> String {
    let secure = if is_tls { "; Secure" } else { "" };
    format!("{COOKIE}={client}; Path=/; HttpOnly; SameSite=Strict{secure}")
}

/// Returns the name of a user who has no other.
fn name_of(user: &str) -> String {
    let short: String = user.chars().take(NAME_CHARS_MAX).collect();
    Join::display_name(&short).unwrap_or("mediasoup").to_owned()
}

fn room_of(text: &str) -> Result<RoomId, Refusal> {
    text.parse().map_err(|_| {
        Refusal::new(
            RefusalCode::BadRoom,
            "there can be no such room",
            "Name it by 1–64 characters of A–Z a–z 0–9 _ - .",
        )
    })
}

/// Returns what the server says of itself, in a room with these codecs.
pub(super) fn capabilities_json(codecs: CodecSet) -> Value {
    crate::signal::mediasoup::plain(&capabilities(codecs))
}

fn json_response(value: &Value) -> Response {
    Response::json(200, value)
}

/// Answers with a refusal.
pub(super) fn problem(refusal: &Refusal) -> Response {
    let status = status(refusal);
    let response = Response::problem(status, &refusal.message, &refusal.action);
    match status {
        401 => response.with("WWW-Authenticate", "Bearer"),
        429 | 503 => response.with("Retry-After", RETRY_AFTER),
        _ => response,
    }
}

/// Answers how the server is, in the words of apps that choose among several. It has one thread for all rooms.
fn health(sfu: &Sfu) -> Response {
    let (rooms, participants) = sfu.counts();
    let is_ready = !sfu.is_draining();
    let health = json!({
        "nodeId": "sfu-1",
        "region": "local",
        "workers": 1,
        "rooms": rooms,
        "totalParticipants": participants,
        "status": if is_ready { "healthy" } else { "draining" },
    });
    Response::json(if is_ready { 200 } else { 503 }, &health)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::message::{Parsed, parse};

    fn request(fields: &str) -> Request {
        let text = format!("POST /api/voice/leave HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let Parsed::Request(request, _) = parse(text.as_bytes()) else { panic!("{text}") };
        *request
    }

    #[test]
    fn a_browser_is_known_by_the_cookie_that_it_was_given_and_by_no_other() {
        let name = entropy::name().expect("there is randomness");
        let given = cookie(&name, true);
        assert!(given.contains("HttpOnly") && given.contains("SameSite=Strict") && given.ends_with("Secure"));
        let pair = given.split(';').next().expect("a pair");
        assert_eq!(client_of(&request(&format!("Cookie: a=b; {pair}\r\n"))), Some(name.as_str()));
        for other in
            ["", "Cookie: strait-client=\r\n", "Cookie: strait-client=short\r\n", "Cookie: strait-client\r\n"]
        {
            assert_eq!(client_of(&request(other)), None, "{other}");
        }
        let odd = format!("Cookie: strait-client={}\r\n", "A".repeat(COOKIE_CHARS));
        assert_eq!(client_of(&request(&odd)), None, "no name of ours has such letters");
    }
}

//! The front: everything between clients' connections and the core: TCP and TLS, HTTP, WebSockets, and the front ends
//! to which clients talk.
//!
//! A front end turns its client's messages into [`Demand`]s, and the core's events into messages to the client. The
//! front holds the front ends and moves their bytes. It never calls the core: demands go to the event loop, which feeds
//! them to the core, and events come from there.

mod livekit;
mod mediasoup;
pub mod router;
mod voice;
mod whip;

use std::net::IpAddr;
use std::time::Instant;

use serde_json::{Value, json};
use tracing::{debug, info};

pub use self::livekit::LiveKitOutcome;
pub use self::mediasoup::MediasoupOutcome;
use self::router::Route;
pub use self::whip::{WhipOutcome, WhipRequests};
use super::address::Candidates;
use super::address_rates::{AddressRates, host_of};
use super::api::{self, ApiCall};
use super::audit::{Actor, Audit};
use super::client_origin::ClientOrigin;
use super::clock;
use super::http::assets::Assets;
use super::http::client::Client as HttpClient;
use super::http::message::{Request, Response};
use super::http::{cors, origin, plain_http};
use super::identity_rates::IdentityRates;
use super::ledger::Ledger;
use super::mediasoup_sessions::MediasoupSessions;
use super::operator::admin;
use super::shell_config::ShellConfig;
use super::shell_counters::ShellCounters;
use super::tcp::connection::Connection;
use super::tcp::connections::Connections;
use super::tcp::web_socket::{self, Client, Incoming};
use super::tls::certificates::Certificates;
use super::turn::TurnServer;
use super::twirp;
use super::whip_sessions::{Answered, WhipSessions};
use crate::access::{AuthMode, Denied, SIGNATURE_FIELD, Signatures, Signed};
use crate::core::Sfu;
use crate::core::event::{Event, Refusal};
use crate::core::grants::Grants;
use crate::core::ids::{ConnectionId, ParticipantId, RequestId, RoomId};
use crate::core::profile::Profile;
use crate::core::topology::MeshPolicy;
use crate::signal::allowance::Allowance;
use crate::signal::livekit::{LiveKitFacts, Parted, Trials};
use crate::signal::native::{self, Close, IceServer, Reaction, ServerFacts, refusals};
use crate::signal::voice::Channels;
use crate::signal::{Demand, Ticket};

/// Bytes of a message that count for nothing. Hardly anything but offers is longer, and those of browsers with a few slots
/// have about ten thousand.
const OFFERED_BYTES_FREE: usize = 16 << 10;
/// Bytes beyond these that one address may have read in a second, in the long run: about a tenth of what a core reads.
const OFFERED_BYTES_PER_SECOND: u32 = 1 << 20;
/// And at once: what all people of a large office say when a server is back, whose browsers list many codecs.
const OFFERED_BYTES_AT_ONCE: u32 = 8 << 20;

/// Lines about wrong tokens that the log gets in the long run.
const WRONG_TOKENS_PER_SECOND: u32 = 1;
/// And at once.
const WRONG_TOKENS_AT_ONCE: u32 = 10;
/// Wrong tokens that one address may show at once: those of an office whose tokens have run out while the server was away.
/// Each one beyond counts like a client that was cut.
const WRONG_TOKENS_OF_ADDRESS_AT_ONCE: u32 = 120;

/// What people in a room send each other is dropped once this part of a client's queue is full. The rest is for what its
/// call needs.
const DATA_QUEUE_SHARE: usize = 4;

/// Refusals that the audit log gets in the long run, each second.
const REFUSALS_NOTED_PER_SECOND: u32 = 10;
/// And at once.
const REFUSALS_NOTED_AT_ONCE: u32 = 100;

/// What goes into the addresses that a client is given.
pub struct Reach<'a> {
    /// The candidates that clients are given.
    pub candidates: &'a mut Candidates,
    /// The embedded TURN server, which makes the credentials for itself.
    pub turn_server: &'a TurnServer,
    /// What is known of rooms.
    pub ledger: &'a Ledger,
}

/// Clients' connections, and the front ends that serve them.
pub struct Front {
    /// The operator's choices about clients.
    pub config: ShellConfig,
    /// All TCP connections, and the listener.
    pub connections: Connections,
    /// The TLS certificate in use.
    pub certificates: Certificates,
    /// The sessions of WHIP and WHEP.
    pub whip: WhipSessions,
    /// The sessions of mediasoup's clients.
    pub mediasoup: MediasoupSessions,
    /// Counts of requests and messages.
    pub counters: ShellCounters,
    assets: Assets,
    /// How often each identity may join, and what it may send.
    identities: IdentityRates,
    /// How often each address may join.
    joins: AddressRates,
    /// How often each address may resume, which is news for a whole room as well. Apart from joins, so that a network whose
    /// people all come back at once can be joined from.
    resumes: AddressRates,
    /// How many requests each address may make.
    requests: AddressRates,
    /// How many requests beyond that are only refused.
    refused_requests: AddressRates,
    /// How many wrong tokens each address may show before its clients count as cut.
    wrong_tokens_of_address: AddressRates,
    /// How many bytes of session descriptions each address may have read: what an offer costs goes by its length.
    offered_bytes: AddressRates,
    /// The last event that was put into words of those that everybody in a room is told, and the words.
    said_last: Option<(Event, String)>,
    /// How often wrong tokens are worth a line in the log.
    wrong_tokens: Allowance,
    /// How often each address may have an offer by WHIP or WHEP read.
    pub offers: AddressRates,
    /// The audit log.
    pub audit: Audit,
    /// How often refusals are worth a line in the audit log.
    refusals_noted: Allowance,
    /// The signatures of requests that were verified lately.
    signatures: Signatures,
    /// Voice channels that are a mesh while they are small.
    pub voice: Channels,
    /// What front ends have asked of the core beside the first thing, by connection.
    demands: Vec<(ConnectionId, Demand)>,
    /// What LiveKit clients want to have happen when they come back.
    trials: Trials,
    /// What is kept of LiveKit clients until they come back.
    parted: Parted,
}

impl Front {
    /// Puts the parts together. Nobody is connected yet.
    pub fn new(
        config: ShellConfig,
        connections: Connections,
        certificates: Certificates,
        audit: Audit,
    ) -> Self {
        let joins = AddressRates::new(config.joins_per_second, config.joins_burst);
        let resumes = AddressRates::new(config.joins_per_second, config.joins_burst);
        let requests = AddressRates::new(config.requests_per_second, config.requests_burst);
        let refused_requests = AddressRates::new(config.requests_per_second, config.requests_burst);
        let offers = AddressRates::new(config.offers_per_second, config.offers_burst);
        Self {
            identities: IdentityRates::new(&config),
            voice: Channels::new(config.voice.clone()),
            config,
            connections,
            certificates,
            whip: WhipSessions::default(),
            mediasoup: MediasoupSessions::default(),
            counters: ShellCounters::new(clock::unix()),
            assets: Assets::new(),
            joins,
            resumes,
            requests,
            refused_requests,
            wrong_tokens_of_address: AddressRates::new(
                WRONG_TOKENS_PER_SECOND,
                WRONG_TOKENS_OF_ADDRESS_AT_ONCE,
            ),
            said_last: None,
            offered_bytes: AddressRates::new(OFFERED_BYTES_PER_SECOND, OFFERED_BYTES_AT_ONCE),
            wrong_tokens: Allowance::new(WRONG_TOKENS_PER_SECOND, WRONG_TOKENS_AT_ONCE, clock::now()),
            offers,
            audit,
            refusals_noted: Allowance::new(REFUSALS_NOTED_PER_SECOND, REFUSALS_NOTED_AT_ONCE, clock::now()),
            signatures: Signatures::default(),
            demands: Vec::new(),
            trials: Trials::default(),
            parted: Parted::default(),
        }
    }

    /// Finds the route of a request, or the refusal if its client may not make it in this way.
    pub fn route(&mut self, place: usize, request: &Request) -> Route {
        let Some(connection) = self.connections.at(place) else {
            return Route::Answer(router::not_found(&request.path));
        };
        let is_management = connection.is_management;
        let peer = connection.peer.ip();
        let client = HttpClient::of(request, peer, connection.is_tls(), &self.config.trusted_proxies);
        // The client of a trusted proxy is known only now.
        if client.is_forwarded && !self.connections.count_for(place, client.ip, &self.config) {
            return Route::Answer(Response::too_many_connections());
        }
        if client.is_forwarded && !self.config.addresses.admits(client.ip) {
            return Route::Answer(not_admitted());
        }
        let (now, host) = (clock::now(), host_of(client.ip));
        if client.is_forwarded && self.connections.pauses.is_paused(now, host) {
            return Route::Answer(Response::paused());
        }
        if !self.requests.take(now, host, 1.0) {
            return self.refuse_one_more(now, place, host);
        }
        let is_local = peer.to_canonical().is_loopback() && !request.is_proxied();
        if !origin::host_is_ours(request, &self.config.hosts, is_local) {
            return Route::Answer(not_our_name());
        }
        if let Some(response) = plain_http::answer(request, &client, self.config.allow_plain_http) {
            return Route::Answer(response);
        }
        let (is_apart, has_api) = (self.config.admin_listen.is_some(), self.config.admin_listen_api);
        if is_apart && !router::is_served_at(&request.path, is_management, has_api) {
            return Route::Answer(router::not_found(&request.path));
        }
        let mut route = router::route(request);
        if let Route::Api(ApiCall { asked, authority }) = &mut route {
            match api::authorize(request, &self.config.gate, asked) {
                Ok(found) => *authority = Some(found),
                Err(refused) => return Route::Answer(refused),
            }
        }
        if let Route::RoomService(call) = &mut route
            && let Err(refused) = call.authorize(request, &self.config.gate)
        {
            return Route::Answer(refused);
        }
        let is_restricted = match route {
            Route::Metrics => !self.config.metrics_public,
            Route::Admin(_) => true,
            _ => false,
        };
        if is_restricted
            && let Err(refused) = admin::authorize(request, peer, self.config.admin_token.as_deref())
        {
            return Route::Answer(refused);
        }
        if matches!(route, Route::Admin(_) | Route::Api(_) | Route::RoomService(_))
            && let Err(refused) = self.check_signature(request)
        {
            return Route::Answer(refused);
        }
        route
    }

    /// Refuses a request of an address that has made too many, and closes the connection: thousands of refusals a second
    /// are no less work than pages. Whoever goes on at twice the rate that is allowed counts as cut.
    fn refuse_one_more(&mut self, now: Instant, place: usize, host: IpAddr) -> Route {
        if let Some(connection) = self.connections.at(place) {
            connection.finish_http(now);
        }
        if !self.refused_requests.take(now, host, 1.0) {
            self.connections.pauses.note_cut(now, host);
        }
        Route::Answer(Response::too_many_requests())
    }

    /// Checks the signature of a request that changes something, if it needs one.
    fn check_signature(&mut self, request: &Request) -> Result<(), Response> {
        if !self.config.require_signature || is_reading(request) {
            return Ok(());
        }
        let refuse = |error: &str| {
            let action = "sign the request with a key of auth.keys: `strait sign` makes the header field Strait-Signature";
            Response::problem(401, error, action).with("WWW-Authenticate", "Strait-Signature")
        };
        let field = request.field(SIGNATURE_FIELD).ok_or_else(|| refuse("this request must be signed"))?;
        let target = request.target();
        let signed = Signed { method: &request.method, target: &target, body: &request.body };
        let now = clock::unix().as_secs();
        let verified = self.signatures.verify(&self.config.gate.keys, now, field, signed);
        verified.map(|_| ()).map_err(|denied| refuse(&denied.0))
    }

    /// Writes into the audit log what an operator or a back end has asked for, if it changes something or was refused.
    pub fn audit_request(
        &mut self,
        now: Instant,
        place: usize,
        (request, response): (&Request, &Response),
        by: Option<Asking>,
        details: Value,
    ) {
        let is_ours = matches!(router::label(&request.path), "/admin" | "/api" | "/twirp");
        // Whoever shows a wrong token is written down by `log_wrong_token`.
        let is_wrong_token = response.status == 401 && request.field("authorization").is_some();
        let is_refused = matches!(response.status, 401 | 403);
        if !is_ours || is_wrong_token || (is_reading(request) && !is_refused) {
            return;
        }
        let Some(address) = self.connections.at(place).map(|connection| connection.client) else { return };
        let actor = match by {
            Some(Asking::Operator) => Actor::Operator(address),
            Some(Asking::BackEnd(id)) => Actor::BackEnd(id, address),
            None => Actor::Unknown(address),
        };
        let mut line = json!({"method": request.method, "path": request.path, "status": response.status});
        if let (Some(line), Value::Object(details)) = (line.as_object_mut(), details) {
            line.extend(details);
        }
        // Anybody can be refused thousands of times, and must not fill the log until what matters is gone.
        let is_anybodys = is_refused || (matches!(actor, Actor::Unknown(_)) && response.status >= 400);
        if !is_anybodys || self.refusals_noted.take(now, 1.0) {
            self.audit.note("request", &actor, line);
        }
    }

    /// Answers a request for a file of the browser client. The page learns by header fields whether anybody may join, and whether
    /// people see each other's addresses in calls that go straight, which it says before somebody joins.
    pub fn file(&self, request: &Request) -> Response {
        let Some(mut response) = self.assets.response(request) else {
            return router::not_found(&request.path);
        };
        if request.path != "/" {
            return response;
        }
        if self.config.gate.mode == AuthMode::Open {
            response = response.with("Strait-Auth", "open");
        }
        if self.config.mesh != MeshPolicy::Off {
            response = response.with("Strait-Mesh", self.config.mesh.as_str());
        }
        response
    }

    /// Turns the connection of a request into a WebSocket. Returns the refusal if that cannot be.
    pub fn open_web_socket(&mut self, now: Instant, place: usize, request: &Request) -> Result<(), Response> {
        if !origin::allowed(request, &self.config.allowed_origins) {
            let origin = request.field("origin").unwrap_or_default();
            info!(origin, "a page of a foreign origin was refused; signalling.allowed_origins can let it in");
            return Err(Response::problem(
                403,
                "pages of this origin may not connect",
                "open the server's own page, or let the operator add the origin to signalling.allowed_origins",
            ));
        }
        // A token that is shown now is read now; who shows none can still join with one.
        let pass = bearer(request).map(|token| self.config.gate.read(&token, clock::unix().as_secs()));
        let pass = pass.transpose().map_err(|denied| unauthorized(&denied, "docs/access.md"))?;
        let response = web_socket::upgrade(request)?;
        if let Some(connection) = self.connections.at(place) {
            debug!(connection = connection.id.0, peer = %connection.peer, client = %connection.client, "WebSocket opened");
            connection.upgrade(request, &response, &self.config, now);
            if let Some(socket) = connection.web_socket() {
                socket.pass = pass;
            }
        }
        self.counters.note_request(router::label(&request.path), 101);
        Ok(())
    }

    /// Queues the answer to a request.
    pub fn respond(&mut self, place: usize, request: &Request, response: &Response) {
        self.counters.note_request(router::label(&request.path), response.status);
        let Some(connection) = self.connections.at(place) else { return };
        debug!(
            connection = connection.id.0,
            peer = %connection.peer,
            client = %connection.client,
            method = request.method,
            path = router::loggable(&request.path),
            status = response.status,
            "request"
        );
        let client = connection.client;
        connection.respond(request, &cors::limited(response, request, &self.config.cors_origins));
        self.connections.touch(place);
        let shows_token = request.bearer().is_some() || request.parameters("access_token").next().is_some();
        if response.status == 401 && (shows_token || request.field("authorization").is_some()) {
            self.log_wrong_token(clock::now(), client, router::loggable(&request.path));
        }
    }

    /// Answers a parked request with 503, because the core has not answered it in time. Returns the session for which
    /// it waited, and what that session asks of the core now.
    pub fn give_up_parked(&mut self, place: usize) -> Option<(ConnectionId, Demand)> {
        let connection = self.connections.at(place)?;
        let id = connection.id;
        let parked = connection.unpark()?;
        if self.mediasoup.owns(parked.session) {
            let response = self.give_up_call(parked.session, id);
            self.respond(place, &parked.request, &response);
            return None;
        }
        self.respond(place, &parked.request, &whip::unanswered(&parked.request));
        Some((parked.session, self.whip.abandon(parked.session, id)?))
    }

    /// Sends a text on a connection's WebSocket, if it is still there.
    fn say(&mut self, connection: ConnectionId, text: String) {
        let Some(place) = self.connections.place_of(connection) else { return };
        if let Some(socket) = self.connections.at(place).and_then(Connection::web_socket) {
            self.counters.websocket_messages_out += 1;
            socket.send(text);
            self.connections.touch(place);
        }
    }

    /// Notes for what is not the connection's own that its WebSocket has ended: a session of mediasoup's, a voice channel.
    fn leave_sessions(&mut self, now: Instant, socket: ConnectionId) {
        self.end_mediasoup(now, socket, false);
        self.voice.lost(now, socket);
    }

    /// Ends the part of a connection that the core may know of: its WebSocket's front end, or the wait of its parked
    /// request. Returns what the core has to hear, and under which id.
    pub fn end(&mut self, now: Instant, place: usize) -> Option<(ConnectionId, Demand)> {
        let connection = self.connections.at(place)?;
        let id = connection.id;
        // An HTTP connection has no WebSocket.
        if let Some(parked) = connection.unpark() {
            if self.mediasoup.owns(parked.session) {
                self.abandon_call(parked.session, id);
                return None;
            }
            return Some((parked.session, self.whip.abandon(parked.session, id)?));
        }
        let demand = self.lose_client(now, place);
        self.leave_sessions(now, id);
        Some((id, demand?))
    }

    /// Takes something that came on a WebSocket. The core is only read.
    pub fn receive(&mut self, now: Instant, place: usize, incoming: Incoming, sfu: &Sfu) -> Option<Demand> {
        if let Incoming::Text(text) = &incoming {
            self.begin_voice(now, place, text.as_str());
        }
        let socket = self.connections.at(place)?.web_socket()?;
        let front_end = match &mut socket.client {
            Client::Native(front_end) => front_end,
            Client::Voice(_) => {
                self.receive_of_voice(now, place, &incoming);
                return None;
            }
            Client::LiveKit(_) => return self.receive_of_livekit(now, place, incoming),
            Client::Mediasoup(_) => {
                self.receive_of_mediasoup(now, place, incoming, sfu);
                return None;
            }
        };
        let reaction = match incoming {
            Incoming::Text(text) => {
                self.counters.websocket_messages_in += 1;
                if !may_be_read(&mut self.offered_bytes, now, socket.origin.client, text.as_str().len()) {
                    front_end.refuse_long(now, text.as_str())
                } else {
                    let identity = front_end.identity();
                    let all = identity.map(|identity| self.identities.sent_by(now, identity));
                    front_end.receive_of(now, text.as_str(), all)
                }
            }
            Incoming::Binary(_) => front_end.refuse_binary(now),
            Incoming::Control => front_end.receive_control(now),
            Incoming::TooLarge => {
                let reaction = front_end.refuse_too_large();
                self.react(now, place, reaction);
                return self.finish_web_socket(now, place);
            }
            Incoming::Violation(close) => {
                socket.close(now, close);
                return self.finish_web_socket(now, place);
            }
            Incoming::Closing(code) => return self.goodbye(now, place, code),
            Incoming::Done => return self.finish_web_socket(now, place),
        };
        self.conclude(now, place, reaction)
    }

    /// Reads by what somebody asks to be let in. Returns the room that they come into, what they may do there and who they are:
    /// they are called `name` unless their token says another.
    ///
    /// # Errors
    /// Nothing lets them in, or whoever has their identity has joined too often.
    pub fn admit(
        &mut self,
        now: Instant,
        id: ConnectionId,
        room: Option<RoomId>,
        name: String,
        ticket: Ticket,
    ) -> Result<Entry, Refusal> {
        let entry = self.read_ticket(now, id, room, name, ticket)?;
        match &entry.profile.identity {
            Some(identity) if !self.identities.may_join(now, identity) => {
                Err(refusals::identity_joins_too_fast())
            }
            _ => Ok(entry),
        }
    }

    fn read_ticket(
        &mut self,
        now: Instant,
        id: ConnectionId,
        room: Option<RoomId>,
        name: String,
        ticket: Ticket,
    ) -> Result<Entry, Refusal> {
        let token = match ticket {
            Ticket::Granted { grants, profile, is_invited, is_vouched_for } => {
                let profile = profile.map_or_else(|| Profile::named(name), |known| *known);
                return Ok(Entry { room, grants, profile, is_invited, is_vouched_for });
            }
            Ticket::Token(token) => token,
        };
        let gate = &self.config.gate;
        let place = self.connections.place_of(id);
        let socket = place.and_then(|place| self.connections.at(place)).and_then(Connection::web_socket);
        let client = socket.as_ref().map(|socket| socket.origin.client);
        let shown = token.map(|token| gate.read(&token, clock::unix().as_secs())).transpose();
        let entered = shown.and_then(|shown| {
            let pass = shown.or_else(|| socket.as_ref()?.pass.clone());
            let (room, grants) = gate.enter(pass.as_ref(), room)?;
            Ok((room, grants, pass))
        });
        match entered {
            Ok((room, grants, pass)) => {
                let is_invited = pass.as_ref().is_some_and(|pass| pass.room.is_some());
                let is_vouched_for = pass.is_some();
                let profile = match &pass {
                    Some(pass) => pass.profile(&name),
                    None => Profile::named(name),
                };
                if let Some(socket) = socket {
                    socket.pass = pass;
                }
                Ok(Entry { room, grants, profile, is_invited, is_vouched_for })
            }
            Err(denied) => {
                if let Some(client) = client {
                    self.log_wrong_token(now, client, "/ws");
                }
                Err(refusals::unauthorized(&denied.0))
            }
        }
    }

    /// Refuses a join or a resume, because there were too many of its address, or because nothing lets its sender in.
    /// Returns what the core has to hear if the client is cut for it.
    pub fn refuse_join(
        &mut self,
        now: Instant,
        id: ConnectionId,
        (request, refusal): (Option<RequestId>, Refusal),
        reach: &mut Reach<'_>,
    ) -> Option<Demand> {
        if self.whip.owns(id) || self.mediasoup.owns(id) {
            self.deliver(now, id, &Event::Refused(request, refusal), reach);
            return None;
        }
        let place = self.connections.place_of(id)?;
        self.connections.touch(place);
        let socket = self.connections.at(place)?.web_socket()?;
        match &mut socket.client {
            Client::Native(front_end) => {
                let reaction = front_end.refuse_join(now, request.as_ref(), refusal);
                self.conclude(now, place, reaction)
            }
            // They ask nothing of the core.
            Client::Voice(_) => None,
            Client::LiveKit(front_end) => {
                let reaction = front_end.refuse_join(refusal);
                self.react_to_livekit(now, place, reaction)
            }
            // Its sessions join, and not the connection.
            Client::Mediasoup(_) => None,
        }
    }

    /// Carries out what a front end wants after a message. Returns what it wants from the core.
    fn conclude(&mut self, now: Instant, place: usize, reaction: Reaction) -> Option<Demand> {
        let is_cut = reaction.close.is_some();
        if reaction.is_fault
            && is_cut
            && let Some(connection) = self.connections.at(place)
        {
            let host = host_of(connection.client);
            self.connections.pauses.note_cut(now, host);
        }
        let demand = self.react(now, place, reaction);
        // Nothing that it has sent after this is read.
        if is_cut { self.finish_web_socket(now, place) } else { demand }
    }

    /// Ends a WebSocket whose client does not read. The close code is best effort: it goes to the end of a queue that
    /// nobody reads.
    pub fn drop_slow(&mut self, now: Instant, place: usize) -> Option<(ConnectionId, Demand)> {
        let connection = self.connections.at(place)?;
        debug!(connection = connection.id.0, peer = %connection.peer, "the client does not read: dropped");
        let id = connection.id;
        connection.web_socket()?.close(now, Close::TooSlow);
        let demand = self.lose_client(now, place);
        self.connections.at(place)?.finish_web_socket(now);
        self.leave_sessions(now, id);
        Some((id, demand?))
    }

    /// Returns where the client of a connection, or of a session without one, comes from.
    pub fn origin_of(&mut self, id: ConnectionId) -> Option<ClientOrigin> {
        if self.whip.owns(id) {
            return self.whip.get(id).map(|held| held.origin.clone());
        }
        if self.mediasoup.owns(id) {
            return self.mediasoup.get(id).map(|held| held.origin.clone());
        }
        let place = self.connections.place_of(id)?;
        Some(self.connections.at(place)?.web_socket()?.origin.clone())
    }

    /// Returns whether a client's address may join once more now, and counts the join. Returns `false` for a client who
    /// is gone already.
    pub fn may_join(&mut self, now: Instant, id: ConnectionId) -> bool {
        let Some(origin) = self.origin_of(id) else { return false };
        self.joins.take(now, host_of(origin.client), 1.0)
    }

    /// The same for resuming.
    pub fn may_resume(&mut self, now: Instant, id: ConnectionId) -> bool {
        let Some(origin) = self.origin_of(id) else { return false };
        self.resumes.take(now, host_of(origin.client), 1.0)
    }

    /// Writes down that somebody came with a wrong token, which an operator wants to see; not each of them, because anybody
    /// can send thousands.
    fn log_wrong_token(&mut self, now: Instant, client: IpAddr, path: &str) {
        if self.refusals_noted.take(now, 1.0) {
            self.audit.note("token-refused", &Actor::Unknown(client), json!({"path": path}));
        }
        let host = host_of(client);
        if !self.wrong_tokens_of_address.take(now, host, 1.0) {
            self.connections.pauses.note_cut(now, host);
        }
        if self.wrong_tokens.take(now, 1.0) {
            info!(%client, path, "a wrong token was given; not every one is logged");
        }
    }

    /// Brings an event of the core's to its connection. Connections that are gone are no error: the core hears of it.
    pub fn deliver(&mut self, now: Instant, id: ConnectionId, event: &Event, reach: &mut Reach<'_>) {
        if self.whip.owns(id) {
            if let Some(answered) = self.whip.event(id, event) {
                self.answer_parked(now, &answered, reach);
            }
            return;
        }
        if self.mediasoup.owns(id) {
            return self.deliver_to_mediasoup(now, id, event, reach);
        }
        let Some(place) = self.connections.place_of(id) else { return };
        let Some(socket) = self.connections.at(place).and_then(|connection| connection.web_socket()) else {
            return;
        };
        // Whoever reads slowly goes without what others say to them, rather than without the call.
        let waiting = socket.pipe().output_bytes();
        let most = self.config.send_queue_bytes_max;
        // As text it may be twice as long.
        if let Event::Data { payload, .. } = event
            && (waiting > most / DATA_QUEUE_SHARE || waiting + 2 * payload.bytes() > most)
        {
            self.counters.data_dropped += 1;
            return;
        }
        let ice_servers = native::entered(event)
            .map(|participant| ice_servers(now, participant, &socket.origin, reach, &self.config))
            .unwrap_or_default();
        let is_self_signed = self.certificates.is_self_signed();
        let is_open = self.config.gate.mode == AuthMode::Open;
        socket.follow(event);
        if let Client::LiveKit(front_end) = &mut socket.client {
            let room = entered_room(event).and_then(|room| reach.ledger.room(room));
            let room_sid = room.map(|room| room.sid.as_str()).unwrap_or_default();
            front_end.change_hands(now, event, &mut self.parted);
            let reaction = front_end.event(event, LiveKitFacts { ice_servers: &ice_servers, room_sid });
            return self.deliver_to_livekit(now, (id, place), reaction);
        }
        let server = ServerFacts { ice_servers: &ice_servers, is_self_signed, is_open };
        let text = match &self.said_last {
            // What everybody in a room is told comes here for one after the other.
            Some((said, text)) if said == event => text.clone(),
            _ => {
                let text = native::encode_event(event, server);
                if is_for_many(event) {
                    self.said_last = Some((event.clone(), text.clone()));
                }
                text
            }
        };
        let Client::Native(front_end) = &mut socket.client else { return };
        let reaction = front_end.told(event, text);
        self.react(now, place, reaction);
        self.connections.touch(place);
    }

    /// Answers the requests that wait for a session.
    fn answer_parked(&mut self, now: Instant, answered: &Answered, reach: &mut Reach<'_>) {
        let ice_servers = answered
            .participant()
            .map(|participant| ice_servers(now, participant, &answered.origin, reach, &self.config))
            .unwrap_or_default();
        for waiting in &answered.waiting {
            let Some(place) = self.connections.place_of(*waiting) else { continue };
            // The wait may have been given up meanwhile.
            let Some(parked) = self.connections.at(place).and_then(Connection::unpark) else {
                continue;
            };
            let response = whip::response(&parked.request, answered, &ice_servers);
            self.respond(place, &parked.request, &response);
        }
    }

    /// Takes what front ends have asked of the core since the last call, beside what was returned.
    pub fn take_demands(&mut self) -> Vec<(ConnectionId, Demand)> {
        let mut demands = std::mem::take(&mut self.demands);
        demands.extend(self.whip.take_demands());
        demands.extend(self.mediasoup.take_demands());
        demands
    }

    /// Carries out what a front end wants for its connection. Returns what it wants from the core.
    fn react(&mut self, now: Instant, place: usize, reaction: Reaction) -> Option<Demand> {
        let Reaction { demand, say, close, refused, .. } = reaction;
        let connection = self.connections.at(place)?;
        if let Some(refusal) = refused {
            debug!(connection = connection.id.0, code = ?refusal.code, message = refusal.message, "refused");
        }
        let socket = connection.web_socket()?;
        if let Some(text) = say {
            self.counters.websocket_messages_out += 1;
            socket.send(text);
        }
        if let Some(close) = close {
            socket.close(now, close);
        }
        demand
    }

    fn goodbye(&mut self, now: Instant, place: usize, code: Option<u16>) -> Option<Demand> {
        let connection = self.connections.at(place)?;
        debug!(connection = connection.id.0, peer = %connection.peer, ?code, "the client closes its WebSocket");
        match &mut connection.web_socket()?.client {
            Client::Native(front_end) => front_end.goodbye(code),
            // Its clients say so in a message if they leave.
            Client::LiveKit(_) => self.lose_client(now, place),
            // Its session is somewhere else.
            Client::Mediasoup(_) => None,
            Client::Voice(_) => None,
        }
    }

    /// Reads nothing more from a WebSocket; what is queued is still written.
    fn finish_web_socket(&mut self, now: Instant, place: usize) -> Option<Demand> {
        let connection = self.connections.at(place)?;
        let id = connection.id;
        let demand = self.lose_client(now, place);
        self.connections.at(place)?.finish_web_socket(now);
        self.leave_sessions(now, id);
        if demand.is_some() {
            debug!(connection = id.0, "signalling connection lost");
        }
        demand
    }
}

/// Returns the room that somebody comes into by an event, also if they come back.
fn entered_room(event: &Event) -> Option<&RoomId> {
    match event {
        Event::Joined(_, joined) => Some(&joined.room),
        Event::Resumed(_, resumed) => Some(&resumed.joined.room),
        _ => None,
    }
}

/// Who asks for something by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asking {
    /// Whoever administers the server.
    Operator,
    /// A back end, by the subject or the key of its token.
    BackEnd(String),
}

/// Returns whether a request changes nothing, whatever it asks for (RFC 9110 §9.2.1).
fn is_reading(request: &Request) -> bool {
    matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS") || twirp::is_reading(&request.path)
}

/// What somebody gets who is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The room; `None` for a new one.
    pub room: Option<RoomId>,
    /// What they may do there.
    pub grants: Grants,
    /// Who they are, as others see them.
    pub profile: Profile,
    /// Whether their token is for that very room, and not for all.
    pub is_invited: bool,
    /// Whether a key of ours vouches for who they say they are.
    pub is_vouched_for: bool,
}

/// Returns the token of a request that opens a WebSocket. Programs put it into a field (RFC 6750 §2.1); browsers cannot do
/// that, and put it into the address.
fn bearer(request: &Request) -> Option<String> {
    request.bearer().map(str::to_owned).or_else(|| request.parameters("access_token").next())
}

/// Charges an address for a long message before it is read, because reading is what costs. Returns `false` if there is not
/// enough left.
fn may_be_read(offered: &mut AddressRates, now: Instant, client: IpAddr, bytes: usize) -> bool {
    let large = bytes.saturating_sub(OFFERED_BYTES_FREE);
    large == 0 || offered.take(now, host_of(client), large as f64)
}

/// Answers a request whose token opens nothing. `document` tells what would.
fn unauthorized(denied: &Denied, document: &str) -> Response {
    let action = format!("connect with a token that your back end has made: {document} says how");
    Response::problem(401, &denied.0, &action).with("WWW-Authenticate", "Bearer error=\"invalid_token\"")
}

/// Answers a request from an address that the operator does not want.
fn not_admitted() -> Response {
    Response::problem(
        403,
        "this address is not let in",
        "ask the operator: server.allow and server.deny decide",
    )
}

/// Answers a request by a name that is not ours.
fn not_our_name() -> Response {
    Response::problem(
        421,
        "the server is not known by this name",
        "use one of the names in server.hosts, or let the operator add this one there",
    )
}

/// Returns whether an event is one of those that everybody in a room is told.
fn is_for_many(event: &Event) -> bool {
    matches!(
        event,
        Event::ParticipantJoined(_)
            | Event::ParticipantReconnecting(_)
            | Event::ParticipantResumed(_)
            | Event::ParticipantLeft(..)
            | Event::ParticipantUpdated(..)
            | Event::RoomUpdated(_)
            | Event::TrackAdded(_)
            | Event::TrackRemoved(..)
            | Event::TrackMuted { .. }
            | Event::Topology(_)
            | Event::MeshTracks(..)
            | Event::Data { .. }
    )
}

/// Lists the STUN and TURN servers for a participant whose signalling comes from there: our own, then those that the
/// operator has configured.
fn ice_servers(
    now: Instant,
    participant: ParticipantId,
    origin: &ClientOrigin,
    reach: &mut Reach<'_>,
    config: &ShellConfig,
) -> Vec<IceServer> {
    let own = reach.turn_server.ice_servers_for(
        now,
        clock::unix(),
        &participant.to_string(),
        origin,
        reach.candidates,
    );
    own.into_iter().chain(config.ice_servers.iter().cloned()).collect()
}

//! WHIP and WHEP over HTTP: `/whip/{room}`, `/whep/{room}` and the sessions below them. This file handles methods,
//! media types, tokens, preconditions and CORS; the front end (`signal::whip`) handles session descriptions and decides
//! what a session asks of the core.
//!
//! A request that the core has to answer is parked on its connection, and [`response`] later makes its answer from the
//! front end's reply.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use tracing::{debug, info, warn};

use super::router::WhipTarget;
use crate::access::{AuthMode, Gate, Pass};
use crate::core::Sfu;
use crate::core::command::Join;
use crate::core::event::{ClosingReason, LeaveReason, Refusal};
use crate::core::grants::Grants;
use crate::core::ids::{ConnectionId, RoomId};
use crate::net::address_rates::{AddressRates, host_of};
use crate::net::client_origin::ClientOrigin;
use crate::net::http::message::{Request, Response};
use crate::net::http::origin;
use crate::net::shell_config::ShellConfig;
use crate::net::whip_sessions::{Answered, WhipSessions};
use crate::net::{clock, entropy};
use crate::signal::native::IceServer;
use crate::signal::whip::{self, Choice, Problem, Side, WhipOffer, WhipReply, WhipSession};
use crate::signal::{Demand, Ticket};

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// After how many seconds to try a full or stopping server again.
const RETRY_AFTER: &str = "5";
/// How many offers a PATCH without an ICE restart counts as. It only brings candidates, and several come with each
/// offer.
const PATCH_COST: f64 = 0.2;
/// How long a browser may remember a preflight, in seconds.
const PREFLIGHT_MAX_AGE: &str = "7200";

fn problem(status: u16, error: &str, action: &str) -> Response {
    Response::problem(status, error, action)
}

fn problem_of(wrong: &Problem) -> Response {
    problem(wrong.status, &wrong.message, wrong.action)
}

fn refused(refusal: &Refusal) -> Response {
    let status = whip::status(refusal);
    let response = problem(status, &refusal.message, &refusal.action);
    if status == 503 { response.with("Retry-After", RETRY_AFTER) } else { response }
}

fn no_such_session() -> Response {
    problem(404, "there is no such session, or not any longer", "POST a new offer")
}

/// Returns the tokens of a room: its own, or those of all rooms that have none. `None` if the room is open.
fn tokens_of<'a>(tokens: &'a BTreeMap<String, Vec<String>>, room: &RoomId) -> Option<&'a [String]> {
    tokens.get(room.as_str()).or_else(|| tokens.get("*")).map(Vec::as_slice)
}

/// Checks that a request carries one of the tokens (RFC 6750 §2.1), or one that a back end has signed. Returns what its
/// bearer may do and, if a back end says it, who they are.
fn authorize(
    request: &Request,
    target: &WhipTarget,
    tokens: Option<&[String]>,
    gate: &Gate,
    unix: u64,
) -> Result<(Grants, Option<Pass>), Response> {
    let unauthorized = |error: &str, challenge: &'static str| {
        let action = "send Authorization: Bearer and a token that whip.tokens lists for this room, or one that your back end has \
             signed";
        problem(401, error, action).with("WWW-Authenticate", challenge)
    };
    if request.field("authorization").is_none() {
        return match gate.enter(None, None) {
            Ok((_, grants)) if tokens.is_none() => Ok((grants, None)),
            _ => Err(unauthorized("this room needs a token", "Bearer")),
        };
    }
    // Whoever lists no tokens and has no keys takes what comes, as an open door does.
    let Some(tokens) = tokens.or((!gate.keys.is_empty()).then_some(&[])) else {
        return Ok((gate.open(), None));
    };
    let wrong = |error: &str| unauthorized(error, "Bearer error=\"invalid_token\"");
    let given = request.bearer().ok_or_else(|| wrong("the token is wrong"))?;
    let equal = |token: &String| {
        aws_lc_rs::constant_time::verify_slices_are_equal(given.as_bytes(), token.as_bytes()).is_ok()
    };
    // Every token is compared, so that the time does not tell which one was nearly right.
    if tokens.iter().filter(|token| equal(token)).count() > 0 {
        return Ok((gate.open(), None));
    }
    let entered = gate.read(given, unix).and_then(|pass| {
        let (_, grants) = gate.enter(Some(&pass), Some(target.room.clone()))?;
        Ok((grants, pass))
    });
    let (grants, pass) = entered.map_err(|denied| {
        // A token without a dot is none of a back end's, and its sender meant another kind.
        if given.contains('.') { wrong(&denied.0) } else { wrong("the token is wrong") }
    })?;
    let may = match target.side {
        Side::Publish => !grants.publish.is_empty(),
        Side::View => grants.subscribe,
    };
    if may {
        Ok((grants, Some(pass)))
    } else {
        Err(problem(403, "the token does not allow this", "ask for one that does"))
    }
}

/// Returns whether the client accepts the media type of the answer.
fn accepts(request: &Request, media_type: &str) -> bool {
    let Some(accept) = request.field("accept") else { return true };
    let mut ranges = accept.split(',').map(|range| range.split(';').next().unwrap_or_default().trim());
    ranges.any(|range| range == "*/*" || range == "application/*" || range.eq_ignore_ascii_case(media_type))
}

/// Returns the display name that a request asks for, or the protocol's name.
fn name_of(side: Side, request: &Request) -> Result<String, Response> {
    let Some(given) = request.parameters("name").next() else { return Ok(side.name().to_owned()) };
    let bad = || problem(400, "the name must have 1–64 characters", "shorten ?name=, or leave it out");
    Join::display_name(&given).map(str::to_owned).ok_or_else(bad)
}

fn choice_of(request: &Request) -> Result<Choice, Response> {
    let nobody = || problem(404, "there is no such participant in this room", "leave ?participant= out");
    let nothing = || problem(404, "there is no such track in this room", "leave ?track= out");
    let participant = request.parameters("participant").next();
    let participant = participant.map(|text| text.parse().map_err(|_| nobody())).transpose()?;
    let tracks = request.parameters("track").map(|text| text.parse().map_err(|_| nothing()));
    Ok(Choice { participant, tracks: tracks.collect::<Result<_, _>>()? })
}

/// What a request leads to.
#[derive(Debug)]
pub enum WhipOutcome {
    /// This answer, at once.
    Answer(Response),
    /// The answer comes from this session, once the core has handled the demand.
    Wait(ConnectionId, Demand),
}

/// What WHIP and WHEP requests need from the server.
pub struct WhipRequests<'a> {
    /// The time of this pass of the loop.
    pub now: Instant,
    /// The operator's choices: tokens, origins and caps.
    pub config: &'a ShellConfig,
    /// All sessions of WHIP and WHEP.
    pub sessions: &'a mut WhipSessions,
    /// How often each address may have an offer read.
    pub offers: &'a mut AddressRates,
    /// The core, to read from.
    pub sfu: &'a Sfu,
}

impl WhipRequests<'_> {
    /// Answers a request to an endpoint or a session, which came on this HTTP connection.
    pub fn answer(
        &mut self,
        target: &WhipTarget,
        request: &Request,
        connection: ConnectionId,
        came_from: &ClientOrigin,
    ) -> WhipOutcome {
        let tokens = tokens_of(&self.config.whip_tokens, &target.room);
        // Pages of other origins may use rooms with a token. Without one they are restricted as for joining.
        let needs_token = tokens.is_some() || self.config.gate.mode == AuthMode::Token;
        let is_allowed = needs_token || origin::allowed(request, &self.config.allowed_origins);
        if !is_allowed {
            let origin = request.field("origin").unwrap_or_default();
            info!(origin, room = %target.room, "WHIP or WHEP of a foreign origin's page was refused");
            return WhipOutcome::Answer(problem(
                403,
                "pages of this origin may not connect",
                "give the room a token in whip.tokens, or add the origin to signalling.allowed_origins",
            ));
        }
        let is_preflight = request.method == "OPTIONS";
        let authorized = if is_preflight {
            Ok((Grants::OPEN, None))
        } else {
            authorize(request, target, tokens, &self.config.gate, clock::unix().as_secs())
        };
        let outcome = authorized.and_then(|bearer| match &target.session {
            None => self.answer_endpoint((target, bearer), request, connection, came_from),
            Some(session) => self.answer_session(target, session, request, (connection, came_from)),
        });
        match outcome {
            Ok(WhipOutcome::Answer(response)) | Err(response) => {
                WhipOutcome::Answer(with_cors(response, request, target.session.is_some(), is_preflight))
            }
            Ok(wait) => wait,
        }
    }

    fn answer_endpoint(
        &mut self,
        (target, (grants, pass)): (&WhipTarget, (Grants, Option<Pass>)),
        request: &Request,
        connection: ConnectionId,
        came_from: &ClientOrigin,
    ) -> Result<WhipOutcome, Response> {
        match request.method.as_str() {
            "OPTIONS" => {
                let response = Response::empty(200).with("Accept-Post", SDP).with("Allow", "POST, OPTIONS");
                Ok(WhipOutcome::Answer(response))
            }
            "POST" => self.open_session((target, (grants, pass)), request, connection, came_from),
            _ => Err(Response::method_not_allowed("POST, OPTIONS").with("Accept-Post", SDP)),
        }
    }

    fn answer_session(
        &mut self,
        target: &WhipTarget,
        session: &str,
        request: &Request,
        (connection, came_from): (ConnectionId, &ClientOrigin),
    ) -> Result<WhipOutcome, Response> {
        let id = self.sessions.find(target.side, &target.room, session);
        match request.method.as_str() {
            "OPTIONS" => Ok(WhipOutcome::Answer(
                Response::empty(200).with("Accept-Patch", FRAGMENT).with("Allow", "PATCH, DELETE, OPTIONS"),
            )),
            "PATCH" => {
                let id = id.ok_or_else(no_such_session)?;
                let held = self.sessions.get(id).ok_or_else(no_such_session)?;
                let cost = if held.session.restarts_ice(&request.body) { 1.0 } else { PATCH_COST };
                self.take_offer(host_of(came_from.client), cost)?;
                self.patch_session(id, request, connection)
            }
            "DELETE" => {
                let id = id.ok_or_else(no_such_session)?;
                let demand = self.sessions.leave(id).ok_or_else(no_such_session)?;
                self.sessions.wait(id, connection);
                Ok(WhipOutcome::Wait(id, demand))
            }
            _ => Err(Response::method_not_allowed("PATCH, DELETE, OPTIONS").with("Accept-Patch", FRAGMENT)),
        }
    }

    /// Takes an offer, or the given part of one, from an address's allowance.
    fn take_offer(&mut self, host: IpAddr, cost: f64) -> Result<(), Response> {
        if self.offers.take(self.now, host, cost) {
            return Ok(());
        }
        let what = "too many offers from this address within a short time";
        let action =
            "send it again after a few seconds, or ask the operator to raise signalling.offers_per_second";
        Err(problem(429, what, action).with("Retry-After", RETRY_AFTER))
    }

    /// Takes the POST of an offer, which begins to join. [`response`] does the rest, up to 201 with the session's URL.
    fn open_session(
        &mut self,
        (target, (grants, pass)): (&WhipTarget, (Grants, Option<Pass>)),
        request: &Request,
        connection: ConnectionId,
        came_from: &ClientOrigin,
    ) -> Result<WhipOutcome, Response> {
        let WhipTarget { side, room, .. } = target;
        if request.content_type() != SDP {
            return Err(problem(415, "the body must be an SDP offer", "send it as application/sdp")
                .with("Accept-Post", SDP));
        }
        if !accepts(request, SDP) {
            return Err(problem(406, "the answer is application/sdp, which Accept excludes", "accept it"));
        }
        // Checked before the offer is read, because reading is what costs.
        let host = host_of(came_from.client);
        if self.sessions.of_host(host) >= self.config.connections_per_address_max {
            let what = "too many sessions from this address";
            let action = "end some, or ask the operator to raise signalling.max_connections_per_address";
            return Err(problem(429, what, action).with("Retry-After", RETRY_AFTER));
        }
        self.take_offer(host, 1.0)?;
        let offer = WhipOffer::read(*side, &request.body).map_err(|wrong| problem_of(&wrong))?;
        let name = name_of(*side, request)?;
        let choice = match side {
            Side::Publish => Choice::default(),
            Side::View => choice_of(request)?,
        };
        self.check_choice(room, &choice)?;
        let resource = entropy::name().map_err(|error| {
            warn!(%error, "the operating system gives no randomness: nobody can join");
            problem(500, "the server has no randomness", "try again later")
        })?;
        let is_invited = pass.as_ref().is_some_and(|pass| pass.room.is_some());
        let is_vouched_for = pass.is_some();
        let profile = pass.map(|pass| Box::new(pass.profile(&name)));
        let ticket = Ticket::Granted { grants, profile, is_invited, is_vouched_for };
        let (session, demand) = WhipSession::open(*side, room.clone(), (name, ticket), offer, choice);
        let address = (resource, room.clone());
        let id = self.sessions.add(session, address, (came_from.clone(), host), connection);
        debug!(connection = id.0, client = %came_from.client, %room, protocol = side.name(), "session asked for");
        Ok(WhipOutcome::Wait(id, demand))
    }

    /// Refuses to let a viewer in who asks for somebody or something that is not there.
    fn check_choice(&self, room: &RoomId, choice: &Choice) -> Result<(), Response> {
        if *choice == Choice::default() {
            return Ok(());
        }
        let snapshot = self.sfu.room_snapshot(self.now, room);
        let members: Vec<_> = snapshot
            .iter()
            .flat_map(|room| &room.participants)
            .map(|member| {
                let tracks = member.publications.iter().map(|publication| publication.info.clone());
                (member.participant, tracks.collect::<Vec<_>>())
            })
            .collect();
        if choice.exists(members.iter().map(|(participant, tracks)| (*participant, tracks.as_slice()))) {
            return Ok(());
        }
        Err(problem(
            404,
            "the room has no such participant or track",
            "leave ?participant= and ?track= out to view whoever publishes",
        ))
    }

    /// PATCH: candidates, which need nothing, or an ICE restart.
    fn patch_session(
        &mut self,
        id: ConnectionId,
        request: &Request,
        connection: ConnectionId,
    ) -> Result<WhipOutcome, Response> {
        if request.content_type() != FRAGMENT {
            return Err(problem(
                415,
                "the body must be an SDP fragment",
                "send it as application/trickle-ice-sdpfrag",
            )
            .with("Accept-Patch", FRAGMENT));
        }
        let held = self.sessions.get(id).ok_or_else(no_such_session)?;
        let received = held.session.receive_fragment(request.field("if-match"), &request.body);
        match received.map_err(|wrong| problem_of(&wrong))? {
            None => Ok(WhipOutcome::Answer(Response::empty(204))),
            Some(demand) => {
                self.sessions.wait(id, connection);
                Ok(WhipOutcome::Wait(id, demand))
            }
        }
    }
}

/// Makes the response to a parked request of what its session says. `ice_servers` go into the answer to a POST.
pub fn response(request: &Request, answered: &Answered, ice_servers: &[IceServer]) -> Response {
    let Answered { id, side, room, name, etag, origin, reply, .. } = answered;
    let response = match reply {
        WhipReply::Opened { participant, answer } => {
            let (client, protocol) = (origin.client, side.name());
            info!(connection = id.0, %client, %room, %participant, protocol, "session opened");
            let response = Response::new(201, SDP, answer.clone().into_bytes())
                .with("Location", format!("/{}/{room}/{name}", side.path()))
                .with("ETag", etag.clone());
            let links = whip::links(ice_servers).into_iter();
            let response = links.fold(response, |response, link| response.with("Link", link));
            response.with("Accept-Patch", FRAGMENT).with("Cache-Control", "no-store")
        }
        WhipReply::Restarted(fragment) => {
            debug!(connection = id.0, %room, etag, "ICE restarted");
            Response::new(200, FRAGMENT, fragment.clone().into_bytes()).with("ETag", etag.clone())
        }
        WhipReply::Ended if request.method == "DELETE" => Response::empty(200),
        WhipReply::Refused(refusal) => refused(refusal),
        WhipReply::Interrupted(reason) if request.method == "POST" => {
            let error = match reason {
                Some(ClosingReason::Gone(LeaveReason::Shutdown)) => "the server stops",
                _ => "the session was ended before it was answered",
            };
            problem(503, error, "POST the offer again in a few seconds").with("Retry-After", RETRY_AFTER)
        }
        // A PATCH whose session was ended meanwhile.
        WhipReply::Ended | WhipReply::Interrupted(_) => no_such_session(),
    };
    with_cors(response, request, request.method != "POST", false)
}

/// Makes the response to a parked request that the core has not answered in time.
pub fn unanswered(request: &Request) -> Response {
    let error = "the server has not answered in time; its log may say why";
    let response = problem(503, error, "send the request again in a few seconds");
    with_cors(response.with("Retry-After", RETRY_AFTER), request, request.method != "POST", false)
}

/// Adds what a browser must see to let a page of another origin have the answer.
fn with_cors(response: Response, request: &Request, is_session: bool, preflight: bool) -> Response {
    let response = response.with("Vary", "Origin");
    let Some(origin) = request.field("origin") else { return response };
    let response = response.with("Access-Control-Allow-Origin", origin.to_owned()).with(
        "Access-Control-Expose-Headers",
        "Location, ETag, Link, Accept-Patch, Accept-Post, Retry-After, WWW-Authenticate",
    );
    if !preflight {
        return response;
    }
    let methods = if is_session { "PATCH, DELETE, OPTIONS" } else { "POST, OPTIONS" };
    response
        .with("Access-Control-Allow-Methods", methods)
        .with("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match")
        .with("Access-Control-Max-Age", PREFLIGHT_MAX_AGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::message::{Parsed, parse};

    fn request(fields: &str) -> Request {
        let text = format!("POST /whip/a HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let Parsed::Request(request, _) = parse(text.as_bytes()) else { panic!("{text}") };
        *request
    }

    #[test]
    fn a_room_with_tokens_takes_those_alone() {
        let tokens = BTreeMap::from([
            ("studio".to_owned(), vec!["first-token-of-two".to_owned(), "second-token-of-two".to_owned()]),
            ("*".to_owned(), vec!["for-all-the-others".to_owned()]),
        ]);
        let asked = |room: &str, fields: &str| {
            let room: RoomId = room.parse().expect("a room");
            let target = WhipTarget { side: Side::Publish, room, session: None };
            let gate = Gate { auto_create: true, ..Gate::default() };
            authorize(&request(fields), &target, tokens_of(&tokens, &target.room), &gate, 0)
                .map_or_else(|response| response.status, |_| 200)
        };
        assert_eq!(asked("studio", ""), 401);
        assert_eq!(asked("studio", "Authorization: Bearer second-token-of-two\r\n"), 200);
        assert_eq!(asked("studio", "Authorization: bearer first-token-of-two\r\n"), 200);
        assert_eq!(asked("studio", "Authorization: Basic first-token-of-two\r\n"), 401);
        assert_eq!(asked("studio", "Authorization: Bearer for-all-the-others\r\n"), 401);
        assert_eq!(asked("other", "Authorization: Bearer for-all-the-others\r\n"), 200);
        let target = WhipTarget { side: Side::View, room: "a".parse().expect("a room"), session: None };
        let gate = Gate { auto_create: true, ..Gate::default() };
        assert_eq!(
            authorize(&request(""), &target, None, &gate, 0),
            Ok((Grants::OPEN, None)),
            "a room without tokens is open"
        );
    }

    #[test]
    fn an_accept_field_may_exclude_the_answer() {
        assert!(accepts(&request(""), SDP));
        for field in ["*/*", "text/html, application/*;q=0.1", "Application/SDP"] {
            assert!(accepts(&request(&format!("Accept: {field}\r\n")), SDP), "{field}");
        }
        assert!(!accepts(&request("Accept: application/json\r\n"), SDP));
    }
}

//! WHIP and WHEP over HTTP: `/whip/{room}`, `/whep/{room}` and the sessions below them. Methods, types, tokens,
//! preconditions and CORS are decided here; what descriptions mean is the adapter's business (`signal::whip`).
//!
//! A request is answered within its turn: the core is fed and drained until it has replied.

use std::collections::BTreeMap;
use std::time::Instant;

use tracing::{debug, info, warn};

use super::event_loop::EventLoop;
use super::http::{Request, Response};
use super::relaying::Came;
use super::router::method_not_allowed;
use super::tcp::host_of;
use super::whip_sessions::Session;
pub use super::whip_sessions::WhipSessions;
use super::{entropy, origin};
use crate::core::Input;
use crate::core::command::{Command, Join, Kind, Lifeline};
use crate::core::event::{Refusal, SlotCounts};
use crate::core::ids::{ConnectionId, RoomId};
use crate::core::input::Admission;
use crate::core::negotiation::offer::Offer as Description;
use crate::limits::NAME_CHARS_MAX;
use crate::signal::whip::{self, Choice, Fragment, Offer, Side, Viewer};

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// For how long to leave a full or stopping server alone, in seconds.
const RETRY_AFTER: &str = "5";
/// How long a browser may remember a preflight, in seconds.
const PREFLIGHT_MAX_AGE: &str = "7200";

/// What an address names.
#[derive(Debug, PartialEq, Eq)]
pub struct WhipTarget {
    side: Side,
    room: RoomId,
    /// The session, if the address is that of one.
    session: Option<String>,
}

/// Whether an address is one of WHIP or WHEP.
pub fn is_ours(path: &str) -> bool {
    ["/whip/", "/whep/"].iter().any(|prefix| path.starts_with(prefix))
}

/// What such an address names.
pub fn target(path: &str) -> Result<WhipTarget, Response> {
    let nowhere = || {
        Response::problem(
            404,
            "there is no such endpoint",
            "POST an offer to /whip/{room} to publish, to /whep/{room} to view; \
             a room is 1–64 characters of A–Z a–z 0–9 _ - .",
        )
    };
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (protocol, room, session) = match segments.as_slice() {
        [protocol, room] => (*protocol, *room, None),
        [protocol, room, session] if !session.is_empty() => (*protocol, *room, Some((*session).to_owned())),
        _ => return Err(nowhere()),
    };
    let side = if protocol == Side::Publish.path() { Side::Publish } else { Side::View };
    let room = room.parse().map_err(|_| nowhere())?;
    Ok(WhipTarget { side, room, session })
}

fn problem(status: u16, error: &str, action: &str) -> Response {
    Response::problem(status, error, action)
}

fn refused(refusal: &Refusal) -> Response {
    let status = whip::status(refusal);
    let response = problem(status, &refusal.message, &refusal.action);
    if status == 503 { response.with("Retry-After", RETRY_AFTER) } else { response }
}

fn no_such_session() -> Response {
    problem(404, "there is no such session, or not any longer", "POST a new offer")
}

/// The tokens of a room: its own, or those of all rooms that have none. `None`: it is open.
fn tokens_of<'a>(tokens: &'a BTreeMap<String, Vec<String>>, room: &RoomId) -> Option<&'a [String]> {
    tokens.get(room.as_str()).or_else(|| tokens.get("*")).map(Vec::as_slice)
}

/// Whether a request carries one of the tokens (RFC 6750 §2.1).
fn authorize(request: &Request, tokens: Option<&[String]>) -> Result<(), Response> {
    let Some(tokens) = tokens else { return Ok(()) };
    let unauthorized = |error: &str, challenge: &'static str| {
        problem(401, error, "send Authorization: Bearer and a token that whip.tokens lists for this room")
            .with("WWW-Authenticate", challenge)
    };
    let Some(given) = request.field("authorization") else {
        return Err(unauthorized("this room needs a token", "Bearer"));
    };
    let (scheme, given) = given.split_once(' ').unwrap_or((given, ""));
    let equal = |token: &String| {
        aws_lc_rs::constant_time::verify_slices_are_equal(given.trim().as_bytes(), token.as_bytes()).is_ok()
    };
    // Every token is compared, so that the time does not tell which one was nearly right.
    let known = tokens.iter().filter(|token| equal(token)).count() > 0;
    if scheme.eq_ignore_ascii_case("bearer") && known {
        Ok(())
    } else {
        Err(unauthorized("the token is wrong", "Bearer error=\"invalid_token\""))
    }
}

/// Whether the client takes what it will be sent.
fn accepts(request: &Request, media_type: &str) -> bool {
    let Some(accept) = request.field("accept") else { return true };
    let mut ranges = accept.split(',').map(|range| range.split(';').next().unwrap_or_default().trim());
    ranges.any(|range| range == "*/*" || range == "application/*" || range.eq_ignore_ascii_case(media_type))
}

fn name_of(side: Side, request: &Request) -> Result<String, Response> {
    let Some(given) = request.parameters("name").next() else { return Ok(side.name().to_owned()) };
    let name = given.trim();
    if (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    Err(problem(400, "the name must have 1–64 characters", "shorten ?name=, or leave it out"))
}

fn choice_of(request: &Request) -> Result<Choice, Response> {
    let nobody = || problem(404, "there is no such participant in this room", "leave ?participant= out");
    let nothing = || problem(404, "there is no such track in this room", "leave ?track= out");
    let participant = request.parameters("participant").next();
    let participant = participant.map(|text| text.parse().map_err(|_| nobody())).transpose()?;
    let tracks = request.parameters("track").map(|text| text.parse().map_err(|_| nothing()));
    Ok(Choice { participant, tracks: tracks.collect::<Result<_, _>>()? })
}

/// How many sections receive.
fn receiving(sdp: &str) -> SlotCounts {
    let Ok(offer) = Description::read(sdp) else { return SlotCounts { audio: 0, video: 0 } };
    let of_kind = |kind: Kind| {
        offer.served().filter(|section| section.kind == Some(kind) && section.receives()).count()
    };
    SlotCounts { audio: of_kind(Kind::Audio), video: of_kind(Kind::Video) }
}

impl EventLoop {
    /// Answers a request to an endpoint or a session.
    pub(super) fn answer_whip(
        &mut self,
        now: Instant,
        place: usize,
        target: &WhipTarget,
        request: &Request,
    ) -> Response {
        let tokens = tokens_of(&self.config.whip_tokens, &target.room);
        // A page of a foreign origin may come where a token decides; where none does, as little as it may join.
        let allowed = tokens.is_some() || origin::allowed(request, &self.config.allowed_origins);
        if !allowed {
            let origin = request.field("origin").unwrap_or_default();
            info!(origin, room = %target.room, "WHIP or WHEP of a foreign origin's page was refused");
            return problem(
                403,
                "pages of this origin may not connect",
                "give the room a token in whip.tokens, or add the origin to signalling.allowed_origins",
            );
        }
        let preflight = request.method == "OPTIONS";
        let authorized = if preflight { Ok(()) } else { authorize(request, tokens) };
        let response = authorized.and_then(|()| match &target.session {
            None => self.answer_endpoint(now, place, target, request),
            Some(session) => self.answer_session(now, target, session, request),
        });
        let response = response.unwrap_or_else(|response| response);
        with_cors(response, request, target.session.is_some(), preflight)
    }

    fn answer_endpoint(
        &mut self,
        now: Instant,
        place: usize,
        target: &WhipTarget,
        request: &Request,
    ) -> Result<Response, Response> {
        match request.method.as_str() {
            "OPTIONS" => Ok(Response::empty(200).with("Accept-Post", SDP).with("Allow", "POST, OPTIONS")),
            "POST" => self.open_session(now, place, target, request),
            _ => Err(method_not_allowed("POST, OPTIONS").with("Accept-Post", SDP)),
        }
    }

    fn answer_session(
        &mut self,
        now: Instant,
        target: &WhipTarget,
        session: &str,
        request: &Request,
    ) -> Result<Response, Response> {
        let id = self.whip.find(target.side, &target.room, session);
        match request.method.as_str() {
            "OPTIONS" => Ok(Response::empty(200)
                .with("Accept-Patch", FRAGMENT)
                .with("Allow", "PATCH, DELETE, OPTIONS")),
            "PATCH" => self.patch_session(now, id.ok_or_else(no_such_session)?, request),
            "DELETE" => {
                let id = id.ok_or_else(no_such_session)?;
                self.leave(now, id);
                Ok(Response::empty(200))
            }
            _ => Err(method_not_allowed("PATCH, DELETE, OPTIONS").with("Accept-Patch", FRAGMENT)),
        }
    }

    /// POST of an offer: joins, negotiates, and answers 201 with the session's address.
    fn open_session(
        &mut self,
        now: Instant,
        place: usize,
        target: &WhipTarget,
        request: &Request,
    ) -> Result<Response, Response> {
        let WhipTarget { side, room, .. } = target;
        if request.content_type() != SDP {
            return Err(problem(415, "the body must be an SDP offer", "send it as application/sdp")
                .with("Accept-Post", SDP));
        }
        if !accepts(request, SDP) {
            return Err(problem(406, "the answer is application/sdp, which Accept excludes", "accept it"));
        }
        // Before the offer is read, which costs more than everything else here.
        let host = self.connections.at(place).map(|connection| host_of(connection.client));
        let host = host.ok_or_else(no_such_session)?;
        if self.whip.of_host(host) >= self.config.connections_per_address_max {
            let what = "too many sessions from this address";
            let action = "end some, or ask the operator to raise signalling.max_connections_per_address";
            return Err(problem(429, what, action).with("Retry-After", RETRY_AFTER));
        }
        let offer = Offer::read(*side, &request.body)
            .map_err(|wrong| problem(wrong.status, &wrong.message, "correct the offer and send it again"))?;
        let name = name_of(*side, request)?;
        let choice = match side {
            Side::Publish => Choice::default(),
            Side::View => choice_of(request)?,
        };
        self.check_choice(now, room, &choice)?;
        let (entropy, resource) =
            entropy::participant().and_then(|entropy| Ok((entropy, entropy::name()?))).map_err(|error| {
                warn!(%error, "the operating system gives no randomness: nobody can join");
                problem(500, "the server has no randomness", "try again later")
            })?;
        let Some(connection) = self.connections.at(place) else { return Err(no_such_session()) };
        let (peer, client, local) = (connection.peer, connection.client, connection.local);
        let candidates = self.candidates.for_client(now, client, local.ip(), request.is_proxied());
        let id = self.whip.add(Session::new(now, resource.clone(), *side, room.clone(), host, offer.clone()));
        debug!(connection = id.0, %peer, %room, protocol = side.name(), "session asked for");
        let join = Join { room: room.clone(), name, auto_subscribe: false, lifeline: Lifeline::Media };
        let admission = Admission { entropy, candidates };
        self.feed(now, Input::Join { connection: id, request: None, admission, join });
        self.drain(now);
        let replies = self.whip.take_replies(id);
        let Some(joined) = replies.joined else {
            self.whip.remove(id);
            return Err(replies.refused.map_or_else(no_reply, |refusal| refused(&refusal)));
        };
        let participant = joined.participant;
        let came = self.connections.at(place);
        let came = came.map(|connection| Came::by(connection, request.field("host"), request.is_proxied()));
        let ice_servers = came.map(|came| self.ice_servers(now, participant, &came)).unwrap_or_default();
        let answer = self.negotiate(now, id, &offer).inspect_err(|_| self.leave(now, id))?;
        if *side == Side::View {
            let viewer = Viewer::new(choice, receiving(&offer.sdp), joined.participants);
            self.whip.start_viewing(id, viewer);
            self.drain(now);
        }
        info!(connection = id.0, %peer, %room, %participant, protocol = side.name(), "session opened");
        let etag = self.whip.get(id).map(|session| session.etag()).unwrap_or_default();
        let location = format!("/{}/{room}/{resource}", side.path());
        let mut response =
            Response::new(201, SDP, answer.into_bytes()).with("Location", location).with("ETag", etag);
        for link in whip::links(&ice_servers) {
            response = response.with("Link", link);
        }
        Ok(response.with("Accept-Patch", FRAGMENT).with("Cache-Control", "no-store"))
    }

    /// Nobody is let in to be shown what is not there.
    fn check_choice(&self, now: Instant, room: &RoomId, choice: &Choice) -> Result<(), Response> {
        if *choice == Choice::default() {
            return Ok(());
        }
        let snapshot = self.sfu.room_snapshot(now, room);
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

    /// Hands an offer to the core and gives its answer.
    fn negotiate(&mut self, now: Instant, id: ConnectionId, offer: &Offer) -> Result<String, Response> {
        // What came to a viewer in between is no reply to this.
        self.whip.take_replies(id);
        let command = Command::Offer { sdp: offer.sdp.clone(), publications: offer.publications.clone() };
        self.feed(now, Input::Command { connection: id, request: None, command });
        self.drain(now);
        let replies = self.whip.take_replies(id);
        replies.answer.ok_or_else(|| replies.refused.map_or_else(no_reply, |refusal| refused(&refusal)))
    }

    fn leave(&mut self, now: Instant, id: ConnectionId) {
        self.feed(now, Input::Command { connection: id, request: None, command: Command::Leave });
        self.drain(now);
        self.whip.remove(id);
    }

    /// PATCH: candidates, which need nothing, or an ICE restart.
    fn patch_session(
        &mut self,
        now: Instant,
        id: ConnectionId,
        request: &Request,
    ) -> Result<Response, Response> {
        if request.content_type() != FRAGMENT {
            return Err(problem(
                415,
                "the body must be an SDP fragment",
                "send it as application/trickle-ice-sdpfrag",
            )
            .with("Accept-Patch", FRAGMENT));
        }
        let session = self.whip.get(id).ok_or_else(no_such_session)?;
        whip::precondition(request.field("if-match"), &session.etag()).map_err(|status| {
            let error = match status {
                428 => "If-Match is missing",
                _ => "the ICE session is another one by now",
            };
            problem(status, error, "send If-Match with the newest ETag, or * to restart ICE")
        })?;
        let fragment = Fragment::read(&request.body)
            .map_err(|error| problem(400, &error, "correct the fragment and send it again"))?;
        let Some((ufrag, password)) = session.offer.new_credentials(&fragment) else {
            // The server learns addresses from checks: candidates are good for nothing else.
            return Ok(Response::empty(204));
        };
        let restarted = session.offer.restarted(ufrag, password);
        if !session.take_offer_allowance(now) {
            let action = "wait a second, and restart ICE when the network has changed";
            return Err(problem(429, "ICE was restarted too often", action).with("Retry-After", RETRY_AFTER));
        }
        let answer = self.negotiate(now, id, &restarted)?;
        let session = self.whip.get(id).ok_or_else(no_such_session)?;
        session.offer = restarted;
        session.restarts += 1;
        debug!(connection = id.0, room = %session.room, restarts = session.restarts, "ICE restarted");
        let etag = session.etag();
        Ok(Response::new(200, FRAGMENT, whip::answer_fragment(&answer).into_bytes()).with("ETag", etag))
    }
}

fn no_reply() -> Response {
    problem(500, "the server did not answer itself; its log says why", "try again")
}

/// What a browser must see to let a page of another origin have the answer.
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
    use crate::net::http::{Parsed, parse};

    fn request(fields: &str) -> Request {
        let text = format!("POST /whip/a HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let Parsed::Request(request, _) = parse(text.as_bytes()) else { panic!("{text}") };
        *request
    }

    #[test]
    fn an_address_names_a_room_or_a_session_in_it() {
        let room: RoomId = "standup".parse().expect("a room");
        let of = |path: &str| target(path).map(|target| (target.side, target.room, target.session));
        assert_eq!(of("/whip/standup"), Ok((Side::Publish, room.clone(), None)));
        assert_eq!(of("/whep/standup/abc"), Ok((Side::View, room, Some("abc".into()))));
        for path in ["/whip/", "/whip/with%20space", "/whip/a/b/c", "/whep/a/"] {
            assert_eq!(of(path).expect_err(path).status, 404);
        }
        assert!(!is_ours("/whip") && !is_ours("/sdk/whip/"));
    }

    #[test]
    fn a_room_with_tokens_takes_those_alone() {
        let tokens = BTreeMap::from([
            ("studio".to_owned(), vec!["first-token-of-two".to_owned(), "second-token-of-two".to_owned()]),
            ("*".to_owned(), vec!["for-all-the-others".to_owned()]),
        ]);
        let asked = |room: &str, fields: &str| {
            let room = room.parse().expect("a room");
            authorize(&request(fields), tokens_of(&tokens, &room))
                .map_or_else(|response| response.status, |()| 200)
        };
        assert_eq!(asked("studio", ""), 401);
        assert_eq!(asked("studio", "Authorization: Bearer second-token-of-two\r\n"), 200);
        assert_eq!(asked("studio", "Authorization: bearer first-token-of-two\r\n"), 200);
        assert_eq!(asked("studio", "Authorization: Basic first-token-of-two\r\n"), 401);
        assert_eq!(asked("studio", "Authorization: Bearer for-all-the-others\r\n"), 401);
        assert_eq!(asked("other", "Authorization: Bearer for-all-the-others\r\n"), 200);
        assert!(authorize(&request(""), None).is_ok(), "a room without tokens is open");
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

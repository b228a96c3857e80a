//! The router: finds what a request's path and method lead to, without doing it. The event loop does it.

use super::voice::{self, VoiceRequest};
use crate::core::ids::RoomId;
use crate::net::api::{self, ApiCall};
use crate::net::http::message::{Request, Response, segment};
use crate::net::operator::admin::{self, AdminRequest};
use crate::net::twirp;
use crate::signal::mediasoup::{CallName, Dialect};
use crate::signal::whip::Side;

/// What a request leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// To the signalling WebSocket.
    WebSocket,
    /// To the signalling of LiveKit's clients.
    LiveKit(LiveKitTarget),
    /// To what apps on mediasoup ask.
    Mediasoup(MediasoupTarget),
    /// To the server's health.
    Health,
    /// To whether the server is alive.
    Live,
    /// To whether people may join.
    Ready,
    /// To the figures for Prometheus, for those who may see them.
    Metrics,
    /// To administration, for those who may administer.
    Admin(AdminRequest),
    /// To the API for back ends, for those whose token allows what they ask.
    Api(ApiCall),
    /// To LiveKit's room service, for those whose token allows what they ask.
    RoomService(Box<twirp::Call>),
    /// To a voice channel, for those who may use it.
    Voice(VoiceRequest),
    /// To WHIP or WHEP, for those who may use the room.
    Whip(WhipTarget),
    /// To a file of the browser client, if there is one of that name.
    File,
    /// To an answer that needs nothing else.
    Answer(Response),
}

/// What an address of LiveKit's clients is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveKitTarget {
    /// `/rtc/v1`: the WebSocket.
    Socket,
    /// `/rtc`: the WebSocket of version 0, with two peer connections.
    SplitSocket,
    /// `/rtc/v1/validate` and `/rtc/validate`: why the WebSocket was refused, which a page cannot see.
    Validate,
}

/// What an address of apps on mediasoup is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediasoupTarget {
    /// How the server is.
    Health,
    /// What the server can do, in the room of that name.
    Capabilities(String, Dialect),
    /// Who publishes what in a room: everybody, or somebody.
    Producers(String, Option<String>),
    /// A call.
    Call(Dialect, CallName),
    /// A WebSocket.
    Socket(Dialect),
}

/// What a WHIP or WHEP URL names.
#[derive(Debug, PartialEq, Eq)]
pub struct WhipTarget {
    /// Whether the URL is for publishing or for viewing.
    pub side: Side,
    /// The room that it is in.
    pub room: RoomId,
    /// The session's name, if the address is that of a session.
    pub session: Option<String>,
}

/// Returns the name of a path's route in the metrics, which has only a few.
pub fn label(path: &str) -> &'static str {
    match path {
        "/ws" => "/ws",
        "/rtc/v1" | "/rtc/v1/validate" | "/rtc" | "/rtc/validate" => "/rtc",
        "/health" => "/health",
        "/livez" => "/livez",
        "/readyz" => "/readyz",
        "/metrics" => "/metrics",
        "*" => "*",
        _ if is_mediasoup(path) => "/mediasoup",
        _ if path.starts_with("/admin/") => "/admin",
        _ if path.starts_with("/api/voice/") => "/api/voice",
        _ if path.starts_with("/api/") => "/api",
        _ if path.starts_with("/twirp/") => "/twirp",
        _ if path.starts_with("/whip/") => "/whip",
        _ if path.starts_with("/whep/") => "/whep",
        _ => "file",
    }
}

/// Returns whether a path is served at a port, if the port for management is another than the public one. `is_management`
/// says which port it is, and `has_api` whether the API is served at the one for management.
pub fn is_served_at(path: &str, is_management: bool, has_api: bool) -> bool {
    match label(path) {
        "/health" | "/livez" | "/readyz" => true,
        "/admin" | "/metrics" => is_management,
        "/api" | "/twirp" => is_management == has_api,
        "file" if path == "/dashboard" => is_management,
        // The dashboard looks like the page, and is made of the same files.
        "file" if path.starts_with("/app/") || path.starts_with("/sdk/") => true,
        _ => !is_management,
    }
}

/// Returns a path as the log may show it: without the name of a WHIP or WHEP session, because anybody who knows that
/// can end the session.
pub fn loggable(path: &str) -> &str {
    let is_session = path.starts_with("/whip/") || path.starts_with("/whep/");
    match path.rmatch_indices('/').next() {
        Some((last, _)) if is_session && path.matches('/').count() > 2 => &path[..=last],
        _ => path,
    }
}

/// Finds where a request goes.
pub fn route(request: &Request) -> Route {
    let read_only = matches!(request.method.as_str(), "GET" | "HEAD");
    match request.path.as_str() {
        "/ws" if request.method == "GET" => Route::WebSocket,
        "/ws" => Route::Answer(Response::method_not_allowed("GET")),
        "/rtc/v1" if request.method == "GET" => Route::LiveKit(LiveKitTarget::Socket),
        "/rtc" if request.method == "GET" => Route::LiveKit(LiveKitTarget::SplitSocket),
        "/rtc/v1/validate" | "/rtc/validate" if matches!(request.method.as_str(), "GET" | "OPTIONS") => {
            Route::LiveKit(LiveKitTarget::Validate)
        }
        "/rtc/v1" | "/rtc/v1/validate" | "/rtc" | "/rtc/validate" => {
            Route::Answer(Response::method_not_allowed("GET"))
        }
        "/health" if read_only => Route::Health,
        "/livez" if read_only => Route::Live,
        "/readyz" if read_only => Route::Ready,
        "/metrics" if read_only => Route::Metrics,
        // `OPTIONS *` asks what any address here may answer.
        "*" => {
            Route::Answer(Response::empty(200).with("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"))
        }
        path if is_mediasoup(path) => match mediasoup_target(request) {
            Ok(target) => Route::Mediasoup(target),
            Err(response) => Route::Answer(response),
        },
        path if path.starts_with("/admin/") => match admin::parse(request) {
            Ok(admin) => Route::Admin(admin),
            Err(response) => Route::Answer(response),
        },
        path if voice::is_voice(path) => match voice::parse(request) {
            Ok(asked) => Route::Voice(asked),
            Err(response) => Route::Answer(response),
        },
        path if path.starts_with("/api/") => match api::parse(request) {
            Ok(asked) => Route::Api(ApiCall { asked, authority: None }),
            Err(response) => Route::Answer(response),
        },
        path if path.starts_with("/twirp/") => match twirp::parse(request) {
            Ok(call) => Route::RoomService(Box::new(call)),
            Err(response) => Route::Answer(response),
        },
        path if is_whip(path) => match whip_target(path) {
            Ok(target) => Route::Whip(target),
            Err(response) => Route::Answer(response),
        },
        _ if read_only => Route::File,
        _ => Route::Answer(Response::method_not_allowed("GET, HEAD")),
    }
}

/// Makes the 404 answer for a path.
pub fn not_found(path: &str) -> Response {
    let shown: String = path.chars().take(200).collect();
    Response::problem(404, &format!("there is nothing at {shown}"), "the page is at /, its socket at /ws")
}

/// Returns whether a path belongs to what apps on mediasoup ask. What else begins like that belongs to others.
fn is_mediasoup(path: &str) -> bool {
    match path {
        "/mediasoup" | "/api/create-transport" | "/api/voice/health" | "/api/voice/events" => true,
        _ => {
            let folders =
                ["/api/router-capabilities/", "/api/voice/rtp-capabilities/", "/api/voice/producers/"];
            let call = path.strip_prefix("/api/voice/").and_then(CallName::of);
            call.is_some() || folders.iter().any(|folder| path.starts_with(folder))
        }
    }
}

/// Returns what a request of an app on mediasoup is for, or the refusal of one that is for nothing.
fn mediasoup_target(request: &Request) -> Result<MediasoupTarget, Response> {
    let parts: Vec<&str> = request.path.split('/').skip(1).collect();
    let named = |part: &str| segment(part).ok_or_else(|| not_found(&request.path));
    let (target, method) = match parts.as_slice() {
        ["mediasoup"] => (MediasoupTarget::Socket(Dialect::Rooms), "GET"),
        ["api", "voice", "events"] => (MediasoupTarget::Socket(Dialect::Channels), "GET"),
        ["api", "voice", "health"] => (MediasoupTarget::Health, "GET"),
        ["api", "voice", "rtp-capabilities", room] => {
            (MediasoupTarget::Capabilities(named(room)?, Dialect::Channels), "GET")
        }
        ["api", "router-capabilities", room] => {
            (MediasoupTarget::Capabilities(named(room)?, Dialect::Rooms), "GET")
        }
        ["api", "voice", "producers", room] => (MediasoupTarget::Producers(named(room)?, None), "GET"),
        ["api", "voice", "producers", room, user] => {
            (MediasoupTarget::Producers(named(room)?, Some(named(user)?)), "GET")
        }
        ["api", "create-transport"] => {
            (MediasoupTarget::Call(Dialect::Rooms, CallName::CreateTransport), "POST")
        }
        ["api", "voice", name] => match CallName::of(name) {
            Some(call) => (MediasoupTarget::Call(Dialect::Channels, call), "POST"),
            None => return Err(not_found(&request.path)),
        },
        _ => return Err(not_found(&request.path)),
    };
    let is_read =
        method == "GET" && request.method == "HEAD" && !matches!(target, MediasoupTarget::Socket(_));
    if is_read || request.method == method || request.method == "OPTIONS" {
        Ok(target)
    } else {
        Err(Response::method_not_allowed(method))
    }
}

/// Returns whether a path belongs to WHIP or WHEP.
fn is_whip(path: &str) -> bool {
    ["/whip/", "/whep/"].iter().any(|prefix| path.starts_with(prefix))
}

/// Returns what a WHIP or WHEP path names, or the refusal of an invalid one.
fn whip_target(path: &str) -> Result<WhipTarget, Response> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::message::{Parsed, parse};

    #[test]
    fn an_address_names_a_room_or_a_session_in_it() {
        let room: RoomId = "standup".parse().expect("a room");
        let of = |path: &str| whip_target(path).map(|target| (target.side, target.room, target.session));
        assert_eq!(of("/whip/standup"), Ok((Side::Publish, room.clone(), None)));
        assert_eq!(of("/whep/standup/abc"), Ok((Side::View, room, Some("abc".into()))));
        for path in ["/whip/", "/whip/with%20space", "/whip/a/b/c", "/whep/a/"] {
            assert_eq!(of(path).expect_err(path).status, 404);
        }
        assert!(!is_whip("/whip") && !is_whip("/sdk/whip/"));
    }

    #[test]
    fn a_port_for_management_serves_management_alone() {
        let at = |path: &str| {
            [(true, false), (false, false), (true, true), (false, true)]
                .map(|(is_management, has_api)| is_served_at(path, is_management, has_api))
        };
        assert_eq!(at("/livez"), [true; 4]);
        assert_eq!(
            (at("/admin/v1/rooms"), at("/metrics")),
            ([true, false, true, false], [true, false, true, false])
        );
        assert_eq!(at("/api/v1/rooms"), [false, true, true, false]);
        assert_eq!((at("/dashboard"), at("/app/base.css")), ([true, false, true, false], [true; 4]));
        for path in ["/", "/ws", "/whip/a", "/metrics/"] {
            assert_eq!(at(path), [false, true, false, true], "{path}");
        }
    }

    #[test]
    fn whoever_asks_about_the_whole_server_is_told_all_methods() {
        let text = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
        let Parsed::Request(request, _) = parse(text.as_bytes()) else { panic!("a whole request") };
        let Route::Answer(response) = route(&request) else { panic!("an answer") };
        assert_eq!(response.status, 200);
        assert_eq!(response.field("Allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
}

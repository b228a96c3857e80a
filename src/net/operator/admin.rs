//! `/admin/v1/…`: an operator's requests, who may make them, and the answers.
//!
//! It is open to this machine and to anybody who has the configured token, but never to another site's web page in a
//! browser on this machine: see [`authorize`].

use std::net::IpAddr;

use serde_json::{Value, json};
use tracing::info;

use crate::core::ids::{ParticipantId, RoomId};
use crate::core::input::AdminCommand;
use crate::net::api::{self, ApiRequest, changes};
use crate::net::http::message::{Request, Response};
use crate::net::http::origin;
use crate::net::http::routes::{self, Routed};
use crate::net::snapshot_json;
use crate::net::startup::SetLogLevel;
use crate::net::view::ServerView;

/// A request of an operator.
#[derive(Debug, PartialEq, Eq)]
pub enum AdminRequest {
    /// Something that back ends may ask of a room as well.
    Api(ApiRequest),
    /// To list all rooms in short.
    Rooms,
    /// To see one room in full.
    Room(RoomId),
    /// To end a room for everyone in it.
    CloseRoom(RoomId),
    /// To remove one participant from a room.
    Remove(RoomId, ParticipantId),
    /// To begin or end draining.
    Drain(bool),
    /// To see how calls go and went.
    Calls,
    /// To see all statistics.
    Stats,
    /// To see all statistics but those of the rooms.
    Summary,
    /// To list what is being recorded.
    Recordings,
    /// To have the next room of that name recorded.
    RecordNext(RoomId),
    /// To have a room's recording stopped.
    StopRecording(RoomId),
    /// To change what is logged.
    LogLevel(String),
}

/// All routes. A test compares them with `docs/admin-v1.openapi.json`.
pub const ROUTES: [Routed<AdminRequest>; 26] = [
    ("/admin/v1/rooms", "GET", |_, _| Ok(AdminRequest::Rooms)),
    ("/admin/v1/rooms/{room}", "GET", |names, _| Ok(AdminRequest::Room(room_named(names)?))),
    ("/admin/v1/rooms/{room}", "DELETE", |names, _| Ok(AdminRequest::CloseRoom(room_named(names)?))),
    ("/admin/v1/rooms/{room}/participants/{participant}", "DELETE", |names, _| {
        let participant = names.get(1).and_then(|name| name.parse().ok()).ok_or_else(no_such_participant)?;
        Ok(AdminRequest::Remove(room_named(names)?, participant))
    }),
    ("/admin/v1/rooms", "POST", |names, request| changes::make_room(names, request).map(AdminRequest::Api)),
    ("/admin/v1/rooms/{room}", "PATCH", |names, request| {
        changes::configure(names, request).map(AdminRequest::Api)
    }),
    ("/admin/v1/rooms/{room}/participants/{participant}", "PATCH", |names, request| {
        changes::update(names, request).map(AdminRequest::Api)
    }),
    ("/admin/v1/rooms/{room}/tracks/{track}", "PATCH", |names, request| {
        changes::mute(names, request).map(AdminRequest::Api)
    }),
    ("/admin/v1/rooms/{room}/tracks/{track}", "DELETE", |names, request| {
        changes::stop(names, request).map(AdminRequest::Api)
    }),
    ("/admin/v1/rooms/{room}/bans", "GET", |names, request| api::bans(names, request).map(AdminRequest::Api)),
    ("/admin/v1/rooms/{room}/bans", "POST", |names, request| {
        changes::ban(names, request).map(AdminRequest::Api)
    }),
    ("/admin/v1/rooms/{room}/bans", "DELETE", |names, request| {
        changes::lift_bans(names, request).map(AdminRequest::Api)
    }),
    ("/admin/v1/rooms/{room}/bans/{identity}", "DELETE", |names, request| {
        changes::lift_ban(names, request).map(AdminRequest::Api)
    }),
    ("/admin/v1/rooms/{room}/waiting", "GET", |names, request| {
        api::waiting(names, request).map(AdminRequest::Api)
    }),
    ("/admin/v1/rooms/{room}/waiting/{participant}", "POST", |names, request| {
        changes::admit(names, request).map(AdminRequest::Api)
    }),
    ("/admin/v1/rooms/{room}/waiting/{participant}", "DELETE", |names, request| {
        changes::turn_away(names, request).map(AdminRequest::Api)
    }),
    ("/admin/v1/rooms/{room}/topology", "PUT", |names, request| {
        changes::reset_topology(names, request).map(AdminRequest::Api)
    }),
    ("/admin/v1/drain", "PUT", |_, _| Ok(AdminRequest::Drain(true))),
    ("/admin/v1/drain", "DELETE", |_, _| Ok(AdminRequest::Drain(false))),
    ("/admin/v1/calls", "GET", |_, _| Ok(AdminRequest::Calls)),
    ("/admin/v1/stats", "GET", |_, _| Ok(AdminRequest::Stats)),
    ("/admin/v1/stats/summary", "GET", |_, _| Ok(AdminRequest::Summary)),
    ("/admin/v1/recordings", "GET", |_, _| Ok(AdminRequest::Recordings)),
    ("/admin/v1/recordings/{room}", "PUT", |names, _| Ok(AdminRequest::RecordNext(room_named(names)?))),
    ("/admin/v1/recordings/{room}", "DELETE", |names, _| Ok(AdminRequest::StopRecording(room_named(names)?))),
    ("/admin/v1/log-level", "PUT", |_, request| {
        let text = String::from_utf8_lossy(&request.body).trim().trim_matches('"').to_string();
        Ok(AdminRequest::LogLevel(text))
    }),
];

/// Reads what is asked from path, method and body.
pub fn parse(request: &Request) -> Result<AdminRequest, Response> {
    routes::find(&ROUTES, request, || {
        Response::problem(
            404,
            "no such administration endpoint",
            "try /admin/v1/rooms, /admin/v1/rooms/{room}, /admin/v1/stats, /admin/v1/recordings, \
             PUT /admin/v1/drain or PUT /admin/v1/log-level",
        )
    })
}

fn room_named(names: &[&str]) -> Result<RoomId, Response> {
    names.first().and_then(|name| name.parse().ok()).ok_or_else(no_such_room)
}

/// Checks who asks. With the token anybody may, from anywhere; without it only this machine. A browser on this machine
/// also runs other sites' pages, so a request without the token must not have a foreign `Origin`, and must address us
/// by IP address or as localhost: any other name could have been pointed here by an attacker.
pub fn authorize(request: &Request, peer: IpAddr, token: Option<&str>) -> Result<(), Response> {
    if let Some(given) = request.field("authorization") {
        let given = given.strip_prefix("Bearer ").unwrap_or_default().trim();
        return match token {
            Some(token) if equal(given.as_bytes(), token.as_bytes()) => Ok(()),
            Some(_) => Err(unauthorized("the token is wrong")),
            None => Err(Response::problem(
                403,
                "no admin token is configured, so none is accepted",
                "set admin.token in the configuration, or ask from this machine without an Authorization header",
            )),
        };
    }
    if !peer.is_loopback() || request.is_proxied() {
        return match token {
            Some(_) => Err(unauthorized("administration from elsewhere needs the token")),
            None => Err(Response::problem(
                403,
                "administration is open to this machine only",
                "ask from the server's own machine, or set admin.token in the configuration",
            )),
        };
    }
    let foreign_site =
        matches!(request.field("sec-fetch-site"), Some(site) if site != "same-origin" && site != "none");
    let foreign_origin = request.field("origin").is_some_and(|origin| !origin::same_host(request, origin));
    if foreign_site || foreign_origin || !origin::host_is_literal(request) {
        return Err(Response::problem(
            403,
            "this request comes from a web page of another site, or by a name that is not this machine's own",
            "use http://localhost or an IP address, or send the token as Authorization: Bearer",
        ));
    }
    Ok(())
}

fn equal(a: &[u8], b: &[u8]) -> bool {
    // In constant time, so that nobody can guess the token piece by piece. An empty one would let everybody in.
    !b.is_empty() && aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

fn unauthorized(error: &str) -> Response {
    Response::problem(401, error, "send Authorization: Bearer and the configured admin.token")
        .with("WWW-Authenticate", "Bearer")
}

fn no_such_room() -> Response {
    Response::problem(404, "no such room", "GET /admin/v1/rooms lists them")
}

fn no_such_participant() -> Response {
    Response::problem(404, "no such participant in this room", "GET /admin/v1/rooms/{room} lists them")
}

/// The answer to an operator, and the commands for the core.
#[derive(Debug)]
pub struct AdminAnswer {
    /// The response to the request.
    pub response: Response,
    /// What the core has to carry out, in this order.
    pub commands: Vec<AdminCommand>,
}

impl AdminAnswer {
    /// Makes an answer that changes nothing.
    pub fn of(response: Response) -> Self {
        Self { response, commands: Vec::new() }
    }
}

/// Answers `GET /admin/v1/rooms`, with all rooms in short.
pub fn list_rooms(view: ServerView<'_>) -> Response {
    Response::json(200, &snapshot_json::rooms(&view.sfu.snapshot(view.now)))
}

/// Answers `GET /admin/v1/rooms/{room}`, with one room in full.
pub fn show_room(view: ServerView<'_>, room: &RoomId) -> Response {
    match view.sfu.room_snapshot(view.now, room) {
        Some(room) => Response::json(200, &snapshot_json::room(&room)),
        None => no_such_room(),
    }
}

/// Answers `DELETE /admin/v1/rooms/{room}`, which ends a room.
pub fn close_room(view: ServerView<'_>, room: RoomId) -> AdminAnswer {
    // The core would ignore a room that it does not have, but a person who mistyped its name has to hear of it.
    if view.sfu.room_snapshot(view.now, &room).is_none() {
        return AdminAnswer::of(no_such_room());
    }
    info!(%room, "the operator closes a room");
    AdminAnswer { response: Response::empty(204), commands: vec![AdminCommand::CloseRoom(room)] }
}

/// Answers `DELETE /admin/v1/rooms/{room}/participants/{participant}`, which removes one participant.
pub fn remove(view: ServerView<'_>, room: RoomId, participant: ParticipantId) -> AdminAnswer {
    let Some(found) = view.sfu.room_snapshot(view.now, &room) else {
        return AdminAnswer::of(no_such_room());
    };
    if !found.participants.iter().any(|member| member.participant == participant) {
        return AdminAnswer::of(no_such_participant());
    }
    info!(%room, %participant, "the operator removes a participant");
    AdminAnswer { response: Response::empty(204), commands: vec![AdminCommand::Remove(room, participant)] }
}

/// Answers `PUT` and `DELETE` of `/admin/v1/drain`, which begin and end draining. Refuses both once the server was told
/// to stop.
pub fn drain(view: ServerView<'_>, draining: bool) -> AdminAnswer {
    // A signal cannot be taken back by a request: whoever runs the service has decided, and waits for the end.
    if view.is_stopping {
        let error = "the server was told to end, and lets nobody in";
        return AdminAnswer::of(Response::problem(409, error, "start it again to let people in"));
    }
    let (rooms, participants) = view.sfu.counts();
    info!(draining, rooms, participants, "the operator orders whether people are let in");
    AdminAnswer { response: Response::empty(204), commands: vec![AdminCommand::Drain(draining)] }
}

/// Answers `GET /admin/v1/stats`, with everything.
pub fn stats(view: ServerView<'_>) -> Response {
    let snapshot = view.sfu.snapshot(view.now);
    let mut stats = summary_json(view);
    stats["rooms"] = snapshot.rooms.iter().map(snapshot_json::room).collect();
    Response::json(200, &stats)
}

/// Answers `GET /admin/v1/stats/summary`, with everything but the rooms.
pub fn summary(view: ServerView<'_>) -> Response {
    Response::json(200, &summary_json(view))
}

/// Answers `PUT /admin/v1/log-level`, which changes what is logged.
pub fn set_log_level(level: &str, set: &SetLogLevel) -> Response {
    match set(level) {
        Ok(()) => {
            info!(level, "the operator changed the log level");
            Response::empty(204)
        }
        Err(error) => Response::problem(
            400,
            &error,
            "send a level (error, warn, info, debug, trace) or a filter like strait=debug,str0m=info",
        ),
    }
}

/// Returns all statistics but those of the rooms, whose cost grows with the number of participants.
fn summary_json(view: ServerView<'_>) -> Value {
    let (rooms, participants) = view.sfu.counts();
    let core = view.sfu.summary();
    let udp = view.udp.counters();
    let frames = view.connections.frames;
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptimeSeconds": view.now.saturating_duration_since(view.started).as_secs(),
        "participants": participants,
        "roomCount": rooms,
        "core": {
            "datagramsUnknown": core.datagrams_unknown,
            "demuxEntries": core.demux_entries,
            "deadlines": core.deadlines,
        },
        "shell": {
            "turns": view.passes,
            "picturesWithheld": view.shed_ratio,
            "picturesLowered": view.lowered_ratio,
            "connections": view.connections.len(),
            "connectionsRefused": view.connections.refused(),
            "dtlsSessions": view.handshakes.len(),
            "iceTcp": {
                "received": frames.received,
                "sent": frames.sent,
                "droppedFull": frames.dropped_full,
                "undeliverable": frames.undeliverable,
            },
            "turn": {
                "clients": view.turn_server.clients(),
                "allocations": view.turn_server.allocations().map(|(_, count)| count).iter().sum::<usize>(),
            },
            "udp": {
                "received": udp.received,
                "receivedBytes": udp.received_bytes,
                "receiveCalls": udp.receive_calls,
                "sent": udp.sent,
                "sentBytes": udp.sent_bytes,
                "runs": udp.runs,
                "sendCalls": udp.send_calls,
                "droppedFull": udp.dropped_full,
                "droppedRefused": udp.dropped_refused,
                "droppedStale": udp.dropped_stale,
                "receiveErrors": udp.receive_errors,
            },
            "latency": view.udp.latency(view.now),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::message::{Parsed, parse as parse_http};

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn asked(fields: &str, peer: IpAddr, token: Option<&str>) -> u16 {
        let text = format!("GET /admin/v1/rooms HTTP/1.1\r\n{fields}\r\n");
        let Parsed::Request(request, _) = parse_http(text.as_bytes()) else { panic!("{text}") };
        authorize(&request, peer, token).map_or_else(|response| response.status, |()| 200)
    }

    #[test]
    fn this_machine_needs_no_token_and_others_do() {
        assert_eq!(asked("Host: localhost\r\n", HERE, None), 200);
        assert_eq!(asked("Host: [::1]:7443\r\n", HERE, Some("secret")), 200);
        assert_eq!(asked("Host: a\r\n", AWAY, None), 403);
        assert_eq!(asked("Host: a\r\n", AWAY, Some("secret")), 401);
        assert_eq!(asked("Host: a\r\nAuthorization: Bearer secret\r\n", AWAY, Some("secret")), 200);
        assert_eq!(asked("Host: a\r\nAuthorization: Bearer secreT\r\n", AWAY, Some("secret")), 401);
        assert_eq!(asked("Host: a\r\nAuthorization: Bearer \r\n", AWAY, Some("")), 401);
        assert_eq!(asked("Host: a\r\nAuthorization: Bearer x\r\n", HERE, None), 403);
    }

    #[test]
    fn a_proxy_on_this_machine_is_not_this_machine() {
        assert_eq!(asked("Host: localhost\r\nX-Forwarded-For: 192.0.2.9\r\n", HERE, None), 403);
        assert_eq!(asked("Host: localhost\r\nForwarded: for=192.0.2.9\r\n", HERE, Some("secret")), 401);
    }

    #[test]
    fn other_sites_pages_in_a_local_browser_are_kept_out() {
        assert_eq!(asked("Host: localhost\r\nOrigin: http://localhost\r\n", HERE, None), 200);
        assert_eq!(asked("Host: localhost\r\nOrigin: http://evil.example\r\n", HERE, None), 403);
        assert_eq!(asked("Host: localhost\r\nOrigin: null\r\n", HERE, None), 403);
        assert_eq!(asked("Host: rebound.example\r\nOrigin: http://rebound.example\r\n", HERE, None), 403);
        assert_eq!(asked("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", HERE, None), 403);
        assert_eq!(asked("Host: localhost\r\nSec-Fetch-Site: none\r\n", HERE, None), 200);
    }
}

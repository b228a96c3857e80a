//! `/admin/v1/…`: what an operator asks, who may ask it, and the core's snapshot as JSON.
//!
//! Open to this machine itself, or with the configured token. Never to a web page of someone else's that runs in a
//! browser on this machine: see [`authorize`].

use std::net::IpAddr;

use serde_json::{Value, json};

use super::http::{Request, Response};
use super::origin;
use super::router::method_not_allowed;
use crate::core::command::{Kind, Source};
use crate::core::ids::{ParticipantId, RoomId};
use crate::core::path::Path;
use crate::core::stats::{ParticipantSnapshot, RoomSnapshot, Snapshot, StreamCounters};

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub enum AdminRequest {
    /// All rooms in short.
    Rooms,
    /// One room in full.
    Room(RoomId),
    /// End a room.
    CloseRoom(RoomId),
    /// Remove one participant.
    Remove(RoomId, ParticipantId),
    /// Everything.
    Stats,
    /// Everything but the rooms.
    Summary,
    /// What is being recorded.
    Recordings,
    /// Record the next room of that name.
    RecordNext(RoomId),
    /// Stop recording it.
    StopRecording(RoomId),
    /// Change what is logged.
    LogLevel(String),
}

/// Reads path, method and body.
pub fn parse(request: &Request) -> Result<AdminRequest, Response> {
    let segments: Vec<&str> = request.path.split('/').skip(1).collect();
    let read_only = matches!(request.method.as_str(), "GET" | "HEAD");
    let method = request.method.as_str();
    match segments.as_slice() {
        ["admin", "v1", "rooms"] if read_only => Ok(AdminRequest::Rooms),
        ["admin", "v1", "rooms"] => Err(method_not_allowed("GET, HEAD")),
        ["admin", "v1", "rooms", room] => {
            let room = room.parse().map_err(|_| no_such_room())?;
            match method {
                "GET" | "HEAD" => Ok(AdminRequest::Room(room)),
                "DELETE" => Ok(AdminRequest::CloseRoom(room)),
                _ => Err(method_not_allowed("GET, HEAD, DELETE")),
            }
        }
        ["admin", "v1", "rooms", room, "participants", participant] => {
            if method != "DELETE" {
                return Err(method_not_allowed("DELETE"));
            }
            let room = room.parse().map_err(|_| no_such_room())?;
            let participant = participant.parse().map_err(|_| no_such_participant())?;
            Ok(AdminRequest::Remove(room, participant))
        }
        ["admin", "v1", "stats"] if read_only => Ok(AdminRequest::Stats),
        ["admin", "v1", "stats", "summary"] if read_only => Ok(AdminRequest::Summary),
        ["admin", "v1", "stats"] | ["admin", "v1", "stats", "summary"] => {
            Err(method_not_allowed("GET, HEAD"))
        }
        ["admin", "v1", "recordings"] if read_only => Ok(AdminRequest::Recordings),
        ["admin", "v1", "recordings"] => Err(method_not_allowed("GET, HEAD")),
        ["admin", "v1", "recordings", room] => {
            let room = room.parse().map_err(|_| no_such_room())?;
            match method {
                "PUT" => Ok(AdminRequest::RecordNext(room)),
                "DELETE" => Ok(AdminRequest::StopRecording(room)),
                _ => Err(method_not_allowed("PUT, DELETE")),
            }
        }
        ["admin", "v1", "log-level"] if method == "PUT" => {
            let text = String::from_utf8_lossy(&request.body).trim().trim_matches('"').to_string();
            Ok(AdminRequest::LogLevel(text))
        }
        ["admin", "v1", "log-level"] => Err(method_not_allowed("PUT")),
        _ => Err(Response::problem(
            404,
            "no such administration endpoint",
            "try /admin/v1/rooms, /admin/v1/rooms/{room}, /admin/v1/stats, /admin/v1/recordings or \
             PUT /admin/v1/log-level",
        )),
    }
}

/// Who may: the holder of the token, from anywhere; and without it, this machine alone. A browser on this machine
/// also runs other people's pages, so that a request without the token must not carry a foreign Origin, and must
/// address us by number or as localhost (a name could have been pointed here).
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
    !b.is_empty() && aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

fn unauthorized(error: &str) -> Response {
    Response::problem(401, error, "send Authorization: Bearer and the configured admin.token")
        .with("WWW-Authenticate", "Bearer")
}

/// 404 for a room.
pub fn no_such_room() -> Response {
    Response::problem(404, "no such room", "GET /admin/v1/rooms lists them")
}

/// 404 for a participant.
pub fn no_such_participant() -> Response {
    Response::problem(404, "no such participant in this room", "GET /admin/v1/rooms/{room} lists them")
}

/// All rooms in short.
pub fn rooms(snapshot: &Snapshot) -> Value {
    let rooms = snapshot.rooms.iter().map(|room| {
        json!({
            "room": room.room.as_str(),
            "ageSeconds": room.age.as_secs(),
            "participants": room.participants.len(),
            "tracks": room.participants.iter().map(|participant| participant.publications.len()).sum::<usize>(),
        })
    });
    json!({"rooms": rooms.collect::<Vec<_>>()})
}

/// One room in full. `path_name` gives a way of media its name.
pub fn room(room: &RoomSnapshot, path_name: impl Fn(&Path) -> &'static str) -> Value {
    let participants = room.participants.iter().map(|member| participant(member, &path_name));
    json!({
        "room": room.room.as_str(),
        "ageSeconds": room.age.as_secs(),
        "participants": participants.collect::<Vec<_>>(),
    })
}

fn participant(participant: &ParticipantSnapshot, path_name: impl Fn(&Path) -> &'static str) -> Value {
    let publications = participant.publications.iter().map(|publication| {
        json!({
            "trackId": publication.info.track.to_string(),
            "kind": kind(publication.info.kind()),
            "source": source(publication.info.source),
            "muted": publication.info.muted,
            "codec": publication.codec,
            "subscribers": publication.subscribers,
            "jitterMs": publication.jitter.as_secs_f64() * 1000.0,
            "counters": counters(&publication.counters),
        })
    });
    let slots = participant.slots.iter().map(|slot| {
        json!({
            "mid": slot.mid.to_string(),
            "trackId": slot.track.map(|track| track.to_string()),
            "counters": counters(&slot.counters),
        })
    });
    json!({
        "participantId": participant.participant.to_string(),
        "name": participant.name,
        "state": if participant.reconnecting { "reconnecting" } else { "connected" },
        "mediaConnected": participant.connected,
        "path": participant.path.map(|path| json!({
            "name": path_name(&path),
            "transport": format!("{:?}", path.transport).to_lowercase(),
            "local": path.local.to_string(),
            "remote": path.remote.to_string(),
        })),
        "roundTripMs": participant.round_trip.map(|time| time.as_secs_f64() * 1000.0),
        "ageSeconds": participant.age.as_secs(),
        "publications": publications.collect::<Vec<_>>(),
        "slots": slots.collect::<Vec<_>>(),
    })
}

fn counters(counters: &StreamCounters) -> Value {
    json!({
        "packets": counters.packets,
        "bytes": counters.bytes,
        "lost": counters.lost,
        "retransmitted": counters.retransmitted,
        "nacked": counters.nacked,
        "keyframeRequests": counters.keyframe_requests,
        "dropped": counters.dropped,
    })
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Audio => "audio",
        Kind::Video => "video",
    }
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Microphone => "microphone",
        Source::Camera => "camera",
        Source::Screen => "screen",
        Source::ScreenAudio => "screen-audio",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::{Parsed, parse as parse_http};

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

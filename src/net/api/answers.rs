//! The answers to a back end, made from a read-only view of the server; what is to be changed is returned as commands for
//! the core.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::asked::{Issue, no_such_participant, no_such_room};
use crate::access::{Authority, Gate};
use crate::core::command::Source;
use crate::core::event::{Refusal, RefusalCode};
use crate::core::happening::Traffic;
use crate::core::ids::RoomId;
use crate::core::moderation::Target;
use crate::core::quality::Mos;
use crate::core::stats::{ParticipantSnapshot, RoomSnapshot};
use crate::core::topology::MeshPolicy;
use crate::net::clock;
use crate::net::http::message::Response;
use crate::net::ledger::Usage;
use crate::net::snapshot_json;
use crate::net::view::ServerView;

/// Answers `GET /api/v1/rooms`.
pub fn rooms(view: ServerView<'_>) -> Response {
    let snapshot = view.sfu.snapshot(view.now);
    let rooms: Vec<Value> = snapshot.rooms.iter().map(|room| room_json(view, room)).collect();
    Response::json(200, &json!({"rooms": rooms}))
}

/// Answers `GET /api/v1/rooms/{room}`.
pub fn room(view: ServerView<'_>, room: &RoomId) -> Response {
    in_room(view, room, |found| Ok(room_json(view, found)))
}

/// Answers `GET /api/v1/rooms/{room}/stats`.
pub fn room_stats(view: ServerView<'_>, room: &RoomId) -> Response {
    in_room(view, room, |found| Ok(snapshot_json::room(found)))
}

/// Answers `GET /api/v1/rooms/{room}/participants`.
pub fn participants(view: ServerView<'_>, room: &RoomId) -> Response {
    in_room(view, room, |found| {
        let participants: Vec<Value> = found.participants.iter().map(participant_json).collect();
        Ok(json!({"participants": participants}))
    })
}

/// Answers `GET /api/v1/rooms/{room}/participants/{participant}`.
pub fn participant(view: ServerView<'_>, room: &RoomId, who: &Target) -> Response {
    in_room(view, room, |found| member(found, who).map(participant_json))
}

/// Answers `GET /api/v1/rooms/{room}/participants/{participant}/stats`.
pub fn participant_stats(view: ServerView<'_>, room: &RoomId, who: &Target) -> Response {
    in_room(view, room, |found| member(found, who).map(snapshot_json::participant))
}

/// Answers `GET /api/v1/rooms/{room}/waiting`.
pub fn waiting(view: ServerView<'_>, room: &RoomId) -> Response {
    in_room(view, room, |found| {
        let waiting = found.waiting.iter().map(|one| {
            json!({
                "participantId": one.participant.to_string(),
                "identity": one.profile.identity,
                "name": one.profile.name,
                "waitedSeconds": one.waited.as_secs(),
            })
        });
        Ok(json!({"waiting": waiting.collect::<Vec<_>>()}))
    })
}

/// Answers `GET /api/v1/rooms/{room}/bans`.
pub fn bans(view: ServerView<'_>, room: &RoomId) -> Response {
    let Some(bans) = view.sfu.bans(view.now, room) else { return no_such_room() };
    let bans = bans.iter().map(|ban| {
        json!({
            "identity": ban.identity,
            "address": ban.address.map(|address| address.to_string()),
            "secondsLeft": ban.left.map(|left| left.as_secs()),
        })
    });
    Response::json(200, &json!({"bans": bans.collect::<Vec<_>>()}))
}

/// Answers a request that was carried out, or that the core has refused.
pub fn done(outcome: Result<(), Refusal>) -> Response {
    outcome.map_or_else(|refusal| refused(&refusal), |()| Response::empty(204))
}

/// Answers `POST /api/v1/rooms`.
pub fn made(room: &RoomId, outcome: Result<(), Refusal>) -> Response {
    let made = || Response::json(201, &json!({"room": room.as_str()}));
    outcome.map_or_else(|refusal| refused(&refusal), |()| made())
}

/// Returns the answer to what the core has refused.
fn refused(refusal: &Refusal) -> Response {
    let status = match refusal.code {
        RefusalCode::NoSuchRoom => return no_such_room(),
        RefusalCode::UnknownParticipant | RefusalCode::UnknownTrack => 404,
        RefusalCode::PayloadTooLarge => 400,
        RefusalCode::TooManyRooms | RefusalCode::ShuttingDown => 503,
        _ => 409,
    };
    Response::problem(status, &refusal.message, &refusal.action)
}

/// Answers `POST /api/v1/tokens`. Whoever may only do as they like in one room cannot make others their equals: a
/// moderator's token could otherwise be renewed for ever.
pub fn issue(gate: &Gate, authority: Option<&Authority>, issue: Issue) -> Response {
    let Issue { mut pass, seconds } = issue;
    if (pass.grants.moderate || pass.grants.create) && !authority.is_some_and(Authority::may_create) {
        return Response::problem(
            403,
            "only a token with roomCreate can issue one that moderates or makes rooms",
            "leave `moderate` and `createRoom` out, or ask with your back end's own token",
        );
    }
    let now = clock::unix().as_secs();
    (pass.not_before, pass.expires) = (now, now + seconds);
    let Some(token) = gate.sign(&pass) else {
        return Response::problem(
            409,
            "the server has no key to sign with",
            "set auth.keys in the configuration",
        );
    };
    let room = pass.room.as_ref().map(RoomId::as_str);
    let answer =
        json!({"token": token, "room": room, "identity": pass.identity, "expiresUnix": pass.expires});
    Response::json(201, &answer)
}

/// Answers `GET /api/v1/usage`. `traffic` is what has gone through the rooms that there are.
pub fn usage(view: ServerView<'_>, traffic: &BTreeMap<RoomId, Traffic>) -> Response {
    let mut present: BTreeMap<&RoomId, Usage> = BTreeMap::new();
    let snapshot = view.sfu.snapshot(view.now);
    for room in &snapshot.rooms {
        let Traffic { bytes_in, bytes_out } = traffic.get(&room.room).copied().unwrap_or_default();
        let participant_time = room.participants.iter().map(|one| one.age).sum();
        present.insert(&room.room, Usage { participant_time, bytes_in, bytes_out, ..Usage::default() });
    }
    let mut total = view.ledger.forgotten();
    let mut rooms = Vec::new();
    for (name, past) in view.ledger.usage() {
        let mut usage = *past;
        let now = present.get(name);
        usage.add(&now.copied().unwrap_or_default());
        total.add(&usage);
        let mut entry = usage_json(&usage);
        entry["room"] = json!(name.as_str());
        entry["isActive"] = json!(now.is_some());
        rooms.push(entry);
    }
    let since = view.counters.started_unix.as_secs();
    Response::json(200, &json!({"sinceUnix": since, "rooms": rooms, "total": usage_json(&total)}))
}

fn usage_json(usage: &Usage) -> Value {
    json!({
        "sessions": usage.rooms,
        "joins": usage.joins,
        "participantsMax": usage.participants_max,
        "participantMinutes": usage.participant_time.as_secs_f64() / 60.0,
        "bytesIn": usage.bytes_in,
        "bytesOut": usage.bytes_out,
    })
}

/// Answers about a room, if there is one of that name.
fn in_room(
    view: ServerView<'_>,
    room: &RoomId,
    tell: impl FnOnce(&RoomSnapshot) -> Result<Value, Response>,
) -> Response {
    let told = view.sfu.room_snapshot(view.now, room).ok_or_else(no_such_room).and_then(|found| tell(&found));
    told.map_or_else(|refused| refused, |value| Response::json(200, &value))
}

fn member<'r>(room: &'r RoomSnapshot, who: &Target) -> Result<&'r ParticipantSnapshot, Response> {
    room.member(who).ok_or_else(no_such_participant)
}

fn room_json(view: ServerView<'_>, room: &RoomSnapshot) -> Value {
    let facts = view.ledger.room(&room.room);
    let options = &room.options;
    json!({
        "room": room.room.as_str(),
        "sid": facts.map(|facts| facts.sid.as_str()),
        "createdUnix": facts.map(|facts| facts.created.as_secs()),
        "ageSeconds": room.age.as_secs(),
        "participants": room.participants.len(),
        "tracks": room.participants.iter().map(|participant| participant.publications.len()).sum::<usize>(),
        "mode": room.topology.mode.as_str(),
        "waiting": room.waiting.len(),
        "bans": room.bans.len(),
        "options": {
            "maxParticipants": options.participants_max,
            "emptyTimeoutSeconds": options.empty_timeout.map(|time| time.as_secs_f64()),
            "metadata": options.metadata,
            "locked": options.locked,
            "waitingRoom": options.waiting_room,
            "private": options.private,
            "record": options.recording.as_str(),
            "codecs": options.codecs.names().collect::<Vec<_>>(),
            "mesh": options.mesh.map(MeshPolicy::as_str),
        },
    })
}

fn participant_json(participant: &ParticipantSnapshot) -> Value {
    let more = json!({
        "permissions": {
            "publish": participant.grants.publish.iter().map(Source::as_str).collect::<Vec<_>>(),
            "subscribe": participant.grants.subscribe,
            "sendData": participant.grants.send_data,
            "moderate": participant.grants.moderate,
            "updateProfile": participant.grants.update_own_profile,
            "hidden": participant.grants.hidden,
        },
        "quality": participant.quality.map(|(quality, _)| json!({
            "level": quality.level.as_str(),
            "score": quality.score,
            "mos": quality.mos.map(Mos::value),
        })),
        "tracks": participant.publications.iter().map(snapshot_json::track).collect::<Vec<_>>(),
    });
    snapshot_json::with(snapshot_json::person(participant), more)
}

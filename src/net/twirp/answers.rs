//! The answers of the room service, made from a read-only view of the server.

use serde_json::{Value, json};

use super::{Code, Refused};
use crate::core::command::MediaKind;
use crate::core::event::{Refusal, RefusalCode};
use crate::core::ids::{RoomId, TrackId};
use crate::core::moderation::Target;
use crate::core::stats::{ParticipantSnapshot, PublicationSnapshot, RoomSnapshot};
use crate::net::clock;
use crate::net::view::ServerView;
use crate::net::webhooks::event;

/// Refuses what is asked about a room that there is not.
pub fn no_such_room() -> Refused {
    Refused::because(Code::NotFound, "requested room does not exist")
}

/// Returns the answer to what the core has refused.
pub fn refused(refusal: &Refusal) -> Refused {
    let code = match refusal.code {
        RefusalCode::NoSuchRoom => return no_such_room(),
        RefusalCode::UnknownParticipant | RefusalCode::UnknownTrack => Code::NotFound,
        RefusalCode::PayloadTooLarge => Code::InvalidArgument,
        RefusalCode::TooManyRooms => Code::ResourceExhausted,
        RefusalCode::ShuttingDown => Code::Unavailable,
        _ => Code::FailedPrecondition,
    };
    Refused::because(code, &format!("{}: {}", refusal.message, refusal.action))
}

/// Lists rooms: all, or those of these names.
pub fn rooms(view: ServerView<'_>, names: &[String]) -> Value {
    let snapshot = view.sfu.snapshot(view.now);
    let is_asked =
        |room: &&RoomSnapshot| names.is_empty() || names.iter().any(|name| name == room.room.as_str());
    let rooms: Vec<Value> =
        snapshot.rooms.iter().filter(is_asked).map(|room| room_json(view, room)).collect();
    json!({"rooms": rooms})
}

/// Tells of a room.
///
/// # Errors
/// There is none of that name.
pub fn room(view: ServerView<'_>, room: &RoomId) -> Result<Value, Refused> {
    Ok(room_json(view, &snapshot(view, room)?))
}

/// Lists those who are in a room.
///
/// # Errors
/// There is no such room.
pub fn participants(view: ServerView<'_>, room: &RoomId) -> Result<Value, Refused> {
    let participants: Vec<Value> = snapshot(view, room)?.participants.iter().map(participant_json).collect();
    Ok(json!({"participants": participants}))
}

/// Tells of somebody.
///
/// # Errors
/// There is no such room, or nobody like that in it.
pub fn participant(view: ServerView<'_>, room: &RoomId, who: &Target) -> Result<Value, Refused> {
    member(&snapshot(view, room)?, who).map(participant_json)
}

/// Tells of a track of somebody.
///
/// # Errors
/// There is no such room, nobody like that in it, or the track is not theirs.
pub fn track(view: ServerView<'_>, room: &RoomId, who: &Target, track: TrackId) -> Result<Value, Refused> {
    let snapshot = snapshot(view, room)?;
    let found = member(&snapshot, who)?.publications.iter().find(|one| one.info.track == track);
    let found =
        found.ok_or_else(|| Refused::because(Code::NotFound, "this participant has no such track"))?;
    Ok(json!({"track": publication_json(found)}))
}

fn snapshot(view: ServerView<'_>, room: &RoomId) -> Result<RoomSnapshot, Refused> {
    view.sfu.room_snapshot(view.now, room).ok_or_else(no_such_room)
}

fn member<'r>(room: &'r RoomSnapshot, who: &Target) -> Result<&'r ParticipantSnapshot, Refused> {
    room.member(who).ok_or_else(|| Refused::because(Code::NotFound, "participant does not exist"))
}

fn room_json(view: ServerView<'_>, room: &RoomSnapshot) -> Value {
    let facts = view.ledger.room(&room.room);
    let created = facts.map(|facts| facts.created).unwrap_or_default();
    let options = &room.options;
    let publishers = room.participants.iter().filter(|one| !one.publications.is_empty()).count();
    json!({
        "sid": facts.map(|facts| facts.sid.as_str()),
        "name": room.room.as_str(),
        "emptyTimeout": options.empty_timeout.map(|time| time.as_secs()),
        "departureTimeout": options.empty_timeout.map(|time| time.as_secs()),
        "maxParticipants": options.participants_max,
        "creationTime": created.as_secs().to_string(),
        "creationTimeMs": created.as_millis().to_string(),
        "metadata": options.metadata,
        "numParticipants": room.participants.len(),
        "numPublishers": publishers,
    })
}

fn participant_json(participant: &ParticipantSnapshot) -> Value {
    let joined = clock::unix().saturating_sub(participant.age);
    let mut told = event::person(participant.participant, &participant.profile, participant.grants, joined);
    told["state"] = json!(if participant.connected { "ACTIVE" } else { "JOINED" });
    told["tracks"] = participant.publications.iter().map(publication_json).collect();
    told["isPublisher"] = json!(!participant.publications.is_empty());
    told
}

fn publication_json(publication: &PublicationSnapshot) -> Value {
    let mut track = event::track(&publication.info);
    let kind = match publication.info.kind() {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
    };
    let largest =
        publication.encodings.iter().filter_map(|encoding| Some((encoding.width?, encoding.height?))).max();
    track["mimeType"] = json!(publication.codec.map(|codec| format!("{kind}/{codec}")));
    track["simulcast"] = json!(publication.encodings.len() > 1);
    track["width"] = json!(largest.map(|(width, _)| width));
    track["height"] = json!(largest.map(|(_, height)| height));
    track
}

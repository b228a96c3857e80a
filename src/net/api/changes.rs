//! What a back end or an operator can change in a room, read from path and body. Moderators do the same by the same
//! operations of the core.

use std::time::Duration;

use super::asked::{ApiRequest, no_such_participant, no_such_room};
use crate::core::codec_set::CodecSet;
use crate::core::command::{Join, Source};
use crate::core::grants::Sources;
use crate::core::ids::{ParticipantId, RoomId, TrackId};
use crate::core::moderation::{Ban, Moderation, PermissionsChange, Target};
use crate::core::msid::{participant_of_sid, track_of_sid};
use crate::core::profile::{Profile, ProfileChange};
use crate::core::room_options::{RecordingPolicy, RoomChange};
use crate::core::topology::{MeshPolicy, Mode};
use crate::net::http::body::Body;
use crate::net::http::message::{Request, Response, segment};

/// The most participants that can be asked for a room.
const PARTICIPANTS_MAX: u64 = 10_000;
/// The longest time that can be asked for an empty room, in seconds.
const EMPTY_SECONDS_MAX: u64 = 7 * 24 * 3600;
/// The longest time that somebody can be banned for, in seconds. Beyond that it is for as long as the room is there.
const BAN_SECONDS_MAX: u64 = 365 * 24 * 3600;

/// Reads the room that a path names first.
pub fn room(names: &[&str]) -> Result<RoomId, Response> {
    names.first().and_then(|name| name.parse().ok()).ok_or_else(no_such_room)
}

/// Reads whom a path names behind the room, by id or by identity. The id may have LiveKit's prefix.
pub fn target(names: &[&str]) -> Result<Target, Response> {
    let text = names.get(1).and_then(|part| segment(part)).ok_or_else(no_such_participant)?;
    target_of(text).ok_or_else(no_such_participant)
}

/// Reads whom a text names, by id or by identity. The id may have LiveKit's prefix.
pub fn target_of(text: String) -> Option<Target> {
    let id = participant_of(&text).map(Target::Id);
    id.or_else(|| Profile::is_identity(&text).then_some(Target::Identity(text)))
}

/// Reads a participant's id, which may have LiveKit's prefix.
fn participant_of(text: &str) -> Option<ParticipantId> {
    participant_of_sid(text).or_else(|| text.parse().ok())
}

/// Reads a track's id, which may have LiveKit's prefix.
pub fn track_of(text: &str) -> Option<TrackId> {
    track_of_sid(text).or_else(|| text.parse().ok())
}

fn track(names: &[&str]) -> Result<TrackId, Response> {
    let track = names.get(1).and_then(|part| track_of(part));
    track.ok_or_else(|| {
        Response::problem(404, "no such track in this room", "list the participants: they have the tracks")
    })
}

fn waiting(names: &[&str]) -> Result<ParticipantId, Response> {
    names.get(1).and_then(|part| participant_of(part)).ok_or_else(no_such_participant)
}

fn one(names: &[&str], moderation: Moderation) -> Result<ApiRequest, Response> {
    Ok(ApiRequest::Operate(room(names)?, vec![moderation]))
}

/// Reads that a room is to be made.
pub fn make_room(_: &[&str], request: &Request) -> Result<ApiRequest, Response> {
    let mut body = Body::of(request)?;
    let name = body.text("room")?.map(|name| {
        let bad = "`room` must be a room id: 1–64 characters of A–Z a–z 0–9 _ - .";
        name.parse().map_err(|_| Response::problem(400, bad, "choose another name, or leave it out"))
    });
    let name = name.transpose()?;
    let mut change = room_change(&mut body)?;
    let policy = body.text("record")?.map(|name| {
        let bad = "`record` must be default, never or always";
        RecordingPolicy::named(&name)
            .ok_or_else(|| Response::problem(400, bad, "choose one of them, or leave it out"))
    });
    change.recording = policy.transpose()?;
    change.codecs = body.texts("codecs")?.map(|listed| codecs(&listed)).transpose()?;
    body.end()?;
    Ok(ApiRequest::MakeRoom(name, Box::new(change)))
}

/// Reads what is to be set for a room.
pub fn configure(names: &[&str], request: &Request) -> Result<ApiRequest, Response> {
    let mut body = Body::of(request)?;
    let change = room_change(&mut body)?;
    body.end()?;
    one(names, Moderation::Configure(change))
}

fn room_change(body: &mut Body) -> Result<RoomChange, Response> {
    let participants_max = body.count("maxParticipants", 1, PARTICIPANTS_MAX)?;
    Ok(RoomChange {
        participants_max: participants_max.and_then(|count| usize::try_from(count).ok()),
        empty_timeout: body.count("emptyTimeoutSeconds", 0, EMPTY_SECONDS_MAX)?.map(Duration::from_secs),
        metadata: body.text("metadata")?,
        locked: body.flag("locked")?,
        waiting_room: body.flag("waitingRoom")?,
        private: body.flag("private")?,
        recording: None,
        codecs: None,
        mesh: body.text("mesh")?.map(|name| mesh(&name)).transpose()?,
    })
}

fn mesh(name: &str) -> Result<MeshPolicy, Response> {
    MeshPolicy::named(name).ok_or_else(|| {
        let action = "choose one of them, or leave it out for what the server has for all rooms";
        Response::problem(400, "`mesh` must be off, auto or always", action)
    })
}

/// Reads that a room's media is to be decided on anew, and which way it is to go, if that is said.
pub fn reset_topology(names: &[&str], request: &Request) -> Result<ApiRequest, Response> {
    let mut body = Body::of(request)?;
    let mode = body.text("mode")?.filter(|name| name != "auto");
    let mode = mode.map(|name| {
        Mode::named(&name).ok_or_else(|| {
            let action = "choose one of them, or leave it out to let the size of the call decide";
            Response::problem(400, "`mode` must be p2p, sfu or auto", action)
        })
    });
    let mode = mode.transpose()?;
    body.end()?;
    one(names, Moderation::ResetTopology(mode))
}

fn codecs(listed: &[String]) -> Result<CodecSet, Response> {
    CodecSet::named(listed.iter().map(String::as_str)).ok_or_else(|| {
        let action = "name some of opus, vp8, vp9, h264, av1, or leave it out for all";
        Response::problem(400, "`codecs` must be a list of codecs that the server serves", action)
    })
}

/// Reads that a room is to be ended for everybody.
pub fn end(names: &[&str], _: &Request) -> Result<ApiRequest, Response> {
    Ok(ApiRequest::EndRoom(room(names)?))
}

/// Reads that somebody is to be removed.
pub fn remove(names: &[&str], _: &Request) -> Result<ApiRequest, Response> {
    one(names, Moderation::Remove(target(names)?))
}

/// Reads what is to be changed of somebody's profile and permissions.
pub fn update(names: &[&str], request: &Request) -> Result<ApiRequest, Response> {
    let (room, target) = (room(names)?, target(names)?);
    let mut body = Body::of(request)?;
    let name = body.text("name")?.map(|name| {
        let fits = Join::display_name(&name).map(str::to_owned);
        fits.ok_or_else(|| {
            Response::problem(400, "`name` must have 1–64 characters", "shorten it, or leave it out")
        })
    });
    let profile = ProfileChange {
        name: name.transpose()?,
        metadata: body.text("metadata")?,
        attributes: body.pairs("attributes")?.unwrap_or_default(),
    };
    let permissions = PermissionsChange {
        publish: body.texts("publish")?.map(|listed| sources(&listed)).transpose()?,
        subscribe: body.flag("subscribe")?,
        send_data: body.flag("sendData")?,
        update_own_profile: body.flag("updateProfile")?,
        moderate: body.flag("moderate")?,
    };
    body.end()?;
    let mut moderations = Vec::new();
    // The one that can be refused comes first, so that nothing is done by halves.
    if profile != ProfileChange::default() {
        moderations.push(Moderation::UpdateProfile(target.clone(), profile));
    }
    if permissions != PermissionsChange::default() {
        moderations.push(Moderation::SetPermissions(target, permissions));
    }
    if moderations.is_empty() {
        return Err(Response::problem(
            400,
            "nothing is to be changed",
            "name what is to change, such as `name`",
        ));
    }
    Ok(ApiRequest::Operate(room, moderations))
}

/// Reads sources by their names.
pub fn sources(listed: &[String]) -> Result<Sources, Response> {
    let named = |name: &String| Source::ALL.into_iter().find(|source| source.as_str() == name);
    listed.iter().map(named).collect::<Option<Sources>>().ok_or_else(|| {
        Response::problem(
            400,
            "`publish` must be a list of sources",
            "name microphone, camera, screen, screen-audio",
        )
    })
}

/// Reads that a track is to be muted.
pub fn mute(names: &[&str], request: &Request) -> Result<ApiRequest, Response> {
    let track = track(names)?;
    let mut body = Body::of(request)?;
    let is_muted = body.flag("muted")?;
    body.end()?;
    if is_muted != Some(true) {
        return Err(Response::problem(
            400,
            "`muted` must be true: nobody's microphone or camera is switched on from elsewhere",
            "send {\"muted\": true}, or ask the track's owner to unmute it",
        ));
    }
    one(names, Moderation::Mute(track))
}

/// Reads that a track is to be ended.
pub fn stop(names: &[&str], _: &Request) -> Result<ApiRequest, Response> {
    one(names, Moderation::Stop(track(names)?))
}

/// Reads who is to stay out of a room.
pub fn ban(names: &[&str], request: &Request) -> Result<ApiRequest, Response> {
    let mut body = Body::of(request)?;
    let expected = "an identity, or the id of somebody in the room";
    let target = body.must("participant", expected, |text| target_of(text.to_owned()))?;
    let with_address = body.flag("withAddress")?.unwrap_or(false);
    let lasts = body.count("seconds", 1, BAN_SECONDS_MAX)?.map(Duration::from_secs);
    body.end()?;
    one(names, Moderation::Ban(Ban { target, with_address, lasts }))
}

/// Reads that everybody is to be let in again.
pub fn lift_bans(names: &[&str], _: &Request) -> Result<ApiRequest, Response> {
    one(names, Moderation::LiftBans(None))
}

/// Reads who is to be let in again, or which address.
pub fn lift_ban(names: &[&str], _: &Request) -> Result<ApiRequest, Response> {
    let identity = names.get(1).and_then(|part| segment(part)).filter(|text| Profile::is_identity(text));
    one(names, Moderation::LiftBans(Some(identity.ok_or_else(no_such_participant)?)))
}

/// Reads who is to be let in who waits.
pub fn admit(names: &[&str], _: &Request) -> Result<ApiRequest, Response> {
    one(names, Moderation::Admit(waiting(names)?))
}

/// Reads who is to be turned away who waits.
pub fn turn_away(names: &[&str], _: &Request) -> Result<ApiRequest, Response> {
    one(names, Moderation::TurnAway(waiting(names)?))
}

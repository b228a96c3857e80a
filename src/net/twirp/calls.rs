//! What a back end may ask of the room service, read from a message, and what its token has to grant for that.

use std::time::Duration;

use base64ct::{Base64, Encoding};
use serde_json::Value;

use super::schema::{self, Field};
use super::{Code, Refused};
use crate::access::Need;
use crate::core::command::{Join, Source};
use crate::core::data::DataPayload;
use crate::core::grants::Sources;
use crate::core::ids::{RoomId, TrackId};
use crate::core::moderation::{Moderation, PermissionsChange, Target};
use crate::core::profile::ProfileChange;
use crate::core::room_options::RoomChange;
use crate::limits::TOPIC_CHARS_MAX;
use crate::net::api::changes::{target_of, track_of};

/// The topic of what is said without one, for people whose messages all have one.
const NO_TOPIC: &str = "data";

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// To make a room, or to change it if it is there.
    MakeRoom(RoomId, Box<RoomChange>),
    /// To list rooms, all or those of these names.
    Rooms(Vec<String>),
    /// To end a room for everybody in it.
    EndRoom(RoomId),
    /// To list those who are in a room.
    Participants(RoomId),
    /// To see somebody.
    Participant(RoomId, Target),
    /// To remove somebody.
    Remove(RoomId, Target),
    /// To mute a track of somebody.
    Mute(RoomId, Target, TrackId),
    /// To change somebody's profile and permissions, in this order.
    Update(RoomId, Target, Vec<Moderation>),
    /// To change a room's metadata.
    UpdateRoom(RoomId, Moderation),
    /// To do something in a room of which nothing is told then.
    Do(RoomId, Box<Moderation>),
}

impl Asked {
    /// Returns what its sender's token has to grant.
    pub fn need(&self) -> Need {
        match self {
            Self::MakeRoom(room, _) => Need::Create(Some(room.clone())),
            Self::Rooms(_) => Need::List,
            Self::EndRoom(room) => Need::End(room.clone()),
            Self::Participants(room)
            | Self::Participant(room, _)
            | Self::Remove(room, _)
            | Self::Mute(room, ..)
            | Self::Update(room, ..)
            | Self::UpdateRoom(room, _)
            | Self::Do(room, _) => Need::Admin(room.clone()),
        }
    }
}

type Reads = fn(&Value) -> Result<Asked, Refused>;

/// A method of the service: its name, the fields of its request and of its answer, and what reads the request.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    pub name: &'static str,
    pub request: &'static [Field],
    pub answer: &'static [Field],
    pub reads: Reads,
}

const fn method(
    name: &'static str,
    request: &'static [Field],
    answer: &'static [Field],
    reads: Reads,
) -> Method {
    Method { name, request, answer, reads }
}

/// The methods that are served.
pub const METHODS: [Method; 11] = [
    method("CreateRoom", schema::CREATE_ROOM, schema::ROOM, make_room),
    method("ListRooms", schema::LIST_ROOMS, schema::ROOMS, |asked| Ok(Asked::Rooms(texts(asked, "names")))),
    method("DeleteRoom", schema::OF_ROOM, schema::EMPTY, |asked| Ok(Asked::EndRoom(room(asked, "room")?))),
    method("ListParticipants", schema::OF_ROOM, schema::PARTICIPANTS, |asked| {
        Ok(Asked::Participants(room(asked, "room")?))
    }),
    method("GetParticipant", schema::OF_PARTICIPANT, schema::PARTICIPANT, |asked| {
        Ok(Asked::Participant(room(asked, "room")?, target(asked)?))
    }),
    method("RemoveParticipant", schema::OF_PARTICIPANT, schema::EMPTY, |asked| {
        Ok(Asked::Remove(room(asked, "room")?, target(asked)?))
    }),
    method("MutePublishedTrack", schema::MUTE_TRACK, schema::MUTED, mute),
    method("UpdateParticipant", schema::UPDATE_PARTICIPANT, schema::PARTICIPANT, update),
    method("UpdateSubscriptions", schema::UPDATE_SUBSCRIPTIONS, schema::EMPTY, subscribe),
    method("SendData", schema::SEND_DATA, schema::EMPTY, say),
    method("UpdateRoomMetadata", schema::UPDATE_METADATA, schema::ROOM, |asked| {
        let change =
            RoomChange { metadata: Some(text(asked, "metadata").to_owned()), ..RoomChange::default() };
        Ok(Asked::UpdateRoom(room(asked, "room")?, Moderation::Configure(change)))
    }),
];

/// Methods that LiveKit has and this server has not.
pub const NOT_SERVED: [&str; 3] = ["ForwardParticipant", "MoveParticipant", "PerformRpc"];

fn text<'v>(asked: &'v Value, name: &str) -> &'v str {
    asked.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn texts(asked: &Value, name: &str) -> Vec<String> {
    let list = asked.get(name).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Returns a number that counts something; `None` if there is none, or 0, which is the same in protocol buffers.
fn count(asked: &Value, name: &str) -> Option<u64> {
    asked.get(name).and_then(Value::as_u64).filter(|count| *count != 0)
}

fn room(asked: &Value, name: &str) -> Result<RoomId, Refused> {
    text(asked, name).parse().map_err(|_| {
        Refused::because(
            Code::InvalidArgument,
            &format!("`{name}` must be a room of 1–64 characters of A–Z a–z 0–9 _ - ."),
        )
    })
}

fn target(asked: &Value) -> Result<Target, Refused> {
    target_of(text(asked, "identity").to_owned()).ok_or_else(|| {
        Refused::because(Code::InvalidArgument, "`identity` must be an identity of 1–256 characters")
    })
}

fn make_room(asked: &Value) -> Result<Asked, Refused> {
    for name in ["egress", "agents"] {
        if asked.get(name).is_some() {
            let message = format!(
                "`{name}` is not served here: leave it out, and record with record.* of the configuration"
            );
            return Err(Refused::because(Code::Unimplemented, &message));
        }
    }
    let empty = count(asked, "empty_timeout").max(count(asked, "departure_timeout"));
    let change = RoomChange {
        participants_max: count(asked, "max_participants").and_then(|count| usize::try_from(count).ok()),
        empty_timeout: empty.map(Duration::from_secs),
        metadata: Some(text(asked, "metadata").to_owned()).filter(|metadata| !metadata.is_empty()),
        ..RoomChange::default()
    };
    Ok(Asked::MakeRoom(room(asked, "name")?, Box::new(change)))
}

fn mute(asked: &Value) -> Result<Asked, Refused> {
    let track = track_of(text(asked, "track_sid"))
        .ok_or_else(|| Refused::because(Code::NotFound, "no such track in this room"))?;
    if asked.get("muted").and_then(Value::as_bool) != Some(true) {
        let message =
            "nobody's microphone or camera is switched on from elsewhere: ask its owner to unmute it";
        return Err(Refused::because(Code::FailedPrecondition, message));
    }
    Ok(Asked::Mute(room(asked, "room")?, target(asked)?, track))
}

fn subscribe(asked: &Value) -> Result<Asked, Refused> {
    let of_people = asked.get("participant_tracks").and_then(Value::as_array).into_iter().flatten();
    let mut sids = texts(asked, "track_sids");
    sids.extend(of_people.flat_map(|tracks| texts(tracks, "track_sids")));
    let tracks: Option<Vec<TrackId>> = sids.iter().map(|sid| track_of(sid)).collect();
    let tracks = tracks.ok_or_else(|| Refused::because(Code::NotFound, "no such track in this room"))?;
    let is_wanted = asked.get("subscribe").and_then(Value::as_bool).unwrap_or(false);
    let change = Moderation::Subscribe { target: target(asked)?, tracks, is_wanted };
    Ok(Asked::Do(room(asked, "room")?, Box::new(change)))
}

fn say(asked: &Value) -> Result<Asked, Refused> {
    let mut named = texts(asked, "destination_identities");
    named.extend(texts(asked, "destination_sids"));
    let to: Option<Vec<Target>> = named.into_iter().map(target_of).collect();
    let to =
        to.ok_or_else(|| Refused::because(Code::InvalidArgument, "a recipient has no possible identity"))?;
    let data = Base64::decode_vec(text(asked, "data")).unwrap_or_default();
    let topic = Some(text(asked, "topic")).filter(|topic| !topic.is_empty()).unwrap_or(NO_TOPIC);
    if topic.chars().count() > TOPIC_CHARS_MAX {
        let message = format!("`topic` must have at most {TOPIC_CHARS_MAX} characters");
        return Err(Refused::because(Code::InvalidArgument, &message));
    }
    let message = Moderation::Say {
        to,
        topic: topic.to_owned(),
        payload: DataPayload::Bytes(data.into()),
        is_lossy: text(asked, "kind") == "LOSSY",
    };
    Ok(Asked::Do(room(asked, "room")?, Box::new(message)))
}

fn update(asked: &Value) -> Result<Asked, Refused> {
    let (room, target) = (room(asked, "room")?, target(asked)?);
    let name = Some(text(asked, "name")).filter(|name| !name.is_empty()).map(|name| {
        let fits = Join::display_name(name).map(str::to_owned);
        fits.ok_or_else(|| Refused::because(Code::InvalidArgument, "`name` must have 1–64 characters"))
    });
    let attributes = asked.get("attributes").and_then(Value::as_object).into_iter().flatten();
    let profile = ProfileChange {
        name: name.transpose()?,
        metadata: Some(text(asked, "metadata").to_owned()).filter(|metadata| !metadata.is_empty()),
        attributes: attributes
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
    };
    let mut moderations = Vec::new();
    // The one that can be refused comes first, so that nothing is done by halves.
    if profile != ProfileChange::default() {
        moderations.push(Moderation::UpdateProfile(target.clone(), profile));
    }
    if let Some(permission) = asked.get("permission") {
        moderations.push(Moderation::SetPermissions(target.clone(), permissions(permission)));
    }
    Ok(Asked::Update(room, target, moderations))
}

/// Returns the permissions that LiveKit's `ParticipantPermission` gives: all of them, as what is not named is not granted.
fn permissions(given: &Value) -> PermissionsChange {
    let flag = |name: &str| given.get(name).and_then(Value::as_bool).unwrap_or(false);
    let listed = texts(given, "can_publish_sources");
    let publish = match (flag("can_publish"), listed.is_empty()) {
        (false, _) => Sources::NONE,
        (true, true) => Sources::ALL,
        (true, false) => listed.iter().filter_map(|name| source_of(name)).collect(),
    };
    PermissionsChange {
        publish: Some(publish),
        subscribe: Some(flag("can_subscribe")),
        send_data: Some(flag("can_publish_data")),
        update_own_profile: Some(flag("can_update_metadata")),
        moderate: None,
    }
}

fn source_of(name: &str) -> Option<Source> {
    Source::ALL.into_iter().find(|source| crate::net::webhooks::event::source(*source) == name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(name: &str, request: &Value) -> Result<Asked, Refused> {
        let method = METHODS.iter().find(|method| method.name == name).expect("a method");
        (method.reads)(&schema::read_json(method.request, request).expect("a message"))
    }

    fn standup() -> RoomId {
        "standup".parse().expect("a room")
    }

    #[test]
    fn a_room_is_made_with_what_is_said_of_it_and_the_rest_is_the_servers() {
        let Ok(Asked::MakeRoom(room, change)) =
            read("CreateRoom", &json!({"name": "standup", "emptyTimeout": 60}))
        else {
            panic!("a room")
        };
        let expected = RoomChange { empty_timeout: Some(Duration::from_secs(60)), ..RoomChange::default() };
        assert_eq!((room, *change), (standup(), expected));
        let recorded = read("CreateRoom", &json!({"name": "standup", "egress": {"room": {}}}));
        assert_eq!(recorded.expect_err("egress").code, Code::Unimplemented);
        assert_eq!(
            read("CreateRoom", &json!({"name": "two words"})).expect_err("a bad name").code,
            Code::InvalidArgument
        );
    }

    #[test]
    fn permissions_are_given_whole() {
        let of = |permission: Value| {
            permissions(&schema::read_json(schema::PERMISSION, &permission).expect("permissions"))
        };
        let listener = of(json!({"canSubscribe": true}));
        assert_eq!(
            (listener.publish, listener.subscribe, listener.send_data),
            (Some(Sources::NONE), Some(true), Some(false))
        );
        let all = of(json!({"canPublish": true}));
        assert_eq!(all.publish, Some(Sources::ALL));
        let speaker = of(json!({"canPublish": true, "canPublishSources": ["MICROPHONE"]}));
        assert_eq!(speaker.publish, Some(Sources::of(&[Source::Microphone])));
    }

    #[test]
    fn nobody_is_unmuted_from_elsewhere() {
        let ask = |muted| json!({"room": "standup", "identity": "anna", "trackSid": "TR_0000000000009", "muted": muted});
        let who = Target::Identity("anna".into());
        assert_eq!(read("MutePublishedTrack", &ask(true)), Ok(Asked::Mute(standup(), who, TrackId(9))));
        assert_eq!(
            read("MutePublishedTrack", &ask(false)).expect_err("unmuting").code,
            Code::FailedPrecondition
        );
    }
}

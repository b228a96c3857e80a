//! Events as LiveKit's `WebhookEvent` in the JSON form of protocol buffers: names in camel case, numbers of 64 bits as text.

use std::time::Duration;

use serde_json::{Value, json};

use crate::core::command::{MediaKind, Source};
use crate::core::event::{LeaveReason, TrackInfo};
use crate::core::grants::Grants;
use crate::core::happening::{Happening, Member};
use crate::core::ids::ParticipantId;
use crate::core::msid::{participant_sid, track_sid};
use crate::core::profile::Profile;

/// A room as events tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomFacts {
    /// The id of this room, which no later room of the same name has.
    pub sid: String,
    /// The name by which people join it.
    pub name: String,
    /// When it was made, since 1970.
    pub created: Duration,
    /// How many participants are in it.
    pub participants: usize,
}

/// What an event says beside what has happened.
#[derive(Debug, Clone, Copy)]
pub struct EventFacts<'a> {
    /// The event's own id, by which a receiver knows one that comes twice.
    pub id: &'a str,
    /// When it happened, since 1970.
    pub at: Duration,
    /// Where it happened.
    pub room: &'a RoomFacts,
}

/// Returns the body that tells of something that has happened.
pub fn body(facts: EventFacts<'_>, what: &Happening) -> Vec<u8> {
    let name = name(what);
    let mut event = json!({
        "event": name,
        "id": facts.id,
        "createdAt": facts.at.as_secs().to_string(),
        "room": room(facts.room),
    });
    match what {
        Happening::Joined(member) => event["participant"] = participant(member, facts.at, None),
        Happening::Left(member, reason) => {
            event["participant"] = participant(member, facts.at, Some(*reason));
        }
        Happening::Published(member, info) | Happening::Unpublished(member, info) => {
            event["participant"] = participant(member, facts.at, None);
            event["track"] = track(info);
        }
        Happening::RoomStarted | Happening::RoomFinished(_) => {}
    }
    event.to_string().into_bytes()
}

/// Returns the name of the event.
fn name(what: &Happening) -> &'static str {
    match what {
        Happening::RoomStarted => "room_started",
        Happening::RoomFinished(_) => "room_finished",
        Happening::Joined(_) => "participant_joined",
        Happening::Left(member, reason) if was_aborted(member, *reason) => "participant_connection_aborted",
        Happening::Left(..) => "participant_left",
        Happening::Published(..) => "track_published",
        Happening::Unpublished(..) => "track_unpublished",
    }
}

/// Whether somebody has never been in the call because their connection did not come about.
fn was_aborted(member: &Member, reason: LeaveReason) -> bool {
    let by_itself = matches!(
        reason,
        LeaveReason::TransportClosed
            | LeaveReason::FingerprintMismatch
            | LeaveReason::HandshakeFailed
            | LeaveReason::MediaTimeout
            | LeaveReason::ResumeTimeout
            | LeaveReason::MadeWay
            | LeaveReason::Error
    );
    by_itself && !member.has_had_media
}

fn room(room: &RoomFacts) -> Value {
    json!({
        "sid": room.sid,
        "name": room.name,
        "creationTime": room.created.as_secs().to_string(),
        "creationTimeMs": room.created.as_millis().to_string(),
        "numParticipants": room.participants,
    })
}

fn participant(member: &Member, at: Duration, left: Option<LeaveReason>) -> Value {
    let joined = at.saturating_sub(member.age);
    let mut told = person(member.participant, &member.profile, member.grants, joined);
    told["state"] = json!(if left.is_some() { "DISCONNECTED" } else { "ACTIVE" });
    if let Some(reason) = left {
        told["disconnectReason"] = json!(disconnect_reason(reason));
    }
    told
}

/// Returns what LiveKit's `ParticipantInfo` says of who somebody is and what they may do. `joined` is when they came, since
/// 1970.
pub fn person(id: ParticipantId, profile: &Profile, grants: Grants, joined: Duration) -> Value {
    let sources: Vec<&str> = grants.publish.iter().map(source).collect();
    json!({
        "sid": participant_sid(id),
        // Whoever came in without a token is nobody that a back end knows.
        "identity": profile.known_as(id),
        "name": profile.name,
        "metadata": profile.metadata,
        "attributes": profile.attributes,
        "joinedAt": joined.as_secs().to_string(),
        "joinedAtMs": joined.as_millis().to_string(),
        "permission": {
            "canSubscribe": grants.subscribe,
            "canPublish": !grants.publish.is_empty(),
            "canPublishData": grants.send_data,
            "canPublishSources": sources,
            "canUpdateMetadata": grants.update_own_profile,
            "hidden": grants.hidden,
        },
    })
}

/// Returns LiveKit's `TrackInfo` as far as it is known without what is sent.
pub fn track(info: &TrackInfo) -> Value {
    json!({
        "sid": track_sid(info.track),
        "type": match info.kind() {
            MediaKind::Audio => "AUDIO",
            MediaKind::Video => "VIDEO",
        },
        "source": source(info.source),
        "muted": info.muted,
    })
}

/// Returns LiveKit's name of a source.
pub fn source(source: Source) -> &'static str {
    match source {
        Source::Microphone => "MICROPHONE",
        Source::Camera => "CAMERA",
        Source::Screen => "SCREEN_SHARE",
        Source::ScreenAudio => "SCREEN_SHARE_AUDIO",
    }
}

/// Returns LiveKit's word for why somebody is gone.
fn disconnect_reason(reason: LeaveReason) -> &'static str {
    match reason {
        LeaveReason::Left | LeaveReason::TransportClosed => "CLIENT_INITIATED",
        LeaveReason::FingerprintMismatch | LeaveReason::HandshakeFailed => "JOIN_FAILURE",
        LeaveReason::MediaTimeout | LeaveReason::ResumeTimeout => "CONNECTION_TIMEOUT",
        LeaveReason::Removed | LeaveReason::Banned => "PARTICIPANT_REMOVED",
        LeaveReason::RoomClosed => "ROOM_DELETED",
        LeaveReason::Shutdown => "SERVER_SHUTDOWN",
        LeaveReason::Error => "MEDIA_FAILURE",
        LeaveReason::MadeWay => "UNKNOWN_REASON",
        LeaveReason::DuplicateIdentity => "DUPLICATE_IDENTITY",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::happening::Traffic;
    use crate::core::ids::TrackId;

    fn told(what: &Happening) -> Value {
        let room = RoomFacts {
            sid: "RM_abc".into(),
            name: "standup".into(),
            created: Duration::from_secs(1_000),
            participants: 2,
        };
        let facts = EventFacts { id: "EV_1", at: Duration::from_secs(1_060), room: &room };
        serde_json::from_slice(&body(facts, what)).expect("JSON")
    }

    fn anna(has_had_media: bool) -> Member {
        Member {
            participant: ParticipantId(7),
            profile: Profile { identity: Some("anna@example.org".into()), ..Profile::named("Anna") },
            grants: Grants::OPEN,
            age: Duration::from_secs(30),
            has_had_media,
        }
    }

    #[test]
    fn events_say_where_who_and_what() {
        let info = TrackInfo {
            track: TrackId(9),
            participant: ParticipantId(7),
            source: Source::ScreenAudio,
            muted: false,
            label: None,
        };
        let event = told(&Happening::Published(anna(true), info));
        assert_eq!((&event["event"], &event["createdAt"]), (&json!("track_published"), &json!("1060")));
        assert_eq!(
            (&event["room"]["sid"], &event["room"]["creationTime"]),
            (&json!("RM_abc"), &json!("1000"))
        );
        assert_eq!(event["participant"]["sid"], "PA_0000000000007");
        assert_eq!(event["participant"]["identity"], "anna@example.org");
        assert_eq!(
            (&event["participant"]["joinedAt"], &event["participant"]["name"]),
            (&json!("1030"), &json!("Anna"))
        );
        assert_eq!(
            event["track"],
            json!({"sid": "TR_0000000000009", "type": "AUDIO", "source": "SCREEN_SHARE_AUDIO", "muted": false})
        );
        assert_eq!(told(&Happening::RoomFinished(Traffic::default()))["event"], "room_finished");
    }

    #[test]
    fn whoever_never_got_into_the_call_was_aborted() {
        let of = |had_media, reason| {
            let event = told(&Happening::Left(anna(had_media), reason));
            (event["event"].as_str().map(str::to_owned), event["participant"]["disconnectReason"].clone())
        };
        let aborted = Some("participant_connection_aborted".to_owned());
        let left = Some("participant_left".to_owned());
        assert_eq!(of(false, LeaveReason::HandshakeFailed), (aborted, json!("JOIN_FAILURE")));
        assert_eq!(of(true, LeaveReason::MediaTimeout), (left.clone(), json!("CONNECTION_TIMEOUT")));
        assert_eq!(of(false, LeaveReason::Left), (left, json!("CLIENT_INITIATED")));
    }
}

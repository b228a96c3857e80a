//! Turns the core's events into messages as text.

use serde::Serialize;

use super::code::{code_text, is_fatal};
use super::messages::{
    AnswerData, BitrateData, CannotPublishData, CannotReceiveData, ClosingData, CountsData, DrainingData,
    EncodingsData, Envelope, ErrorData, JoinedData, Json, KnockingData, LayersData, LeftData, MeshSignalData,
    MeshTracksData, MutedData, Nothing, ParticipantData, ParticipantIdData, PermissionData,
    PermissionsChangedData, QualityData, RelayedData, RemovedData, ResumedData, RoomStateData, ServerFacts,
    SlotMapData, SpeakersData, Text, TokenData, TrackData, UpdatedData, WaitingRoomData, own_publications,
};
use super::topology::TopologyData;
use crate::core::event::{ClosingReason, Event, LeaveReason, Refusal, RefusalCode};
use crate::core::ids::RequestId;

/// What somebody is told who has come to the door of a room that lets people wait.
const WAITING: &str = "You wait until somebody who runs the call lets you in.";

/// Returns the message for an event. `server` goes into `joined` and `resumed` and is ignored otherwise.
pub fn encode_event(event: &Event, server: ServerFacts<'_>) -> String {
    match event {
        Event::Joined(request, joined) => reply("joined", request, JoinedData::new(joined, server)),
        Event::Resumed(request, resumed) => reply("resumed", request, ResumedData::new(resumed, server)),
        Event::Answer { request, sdp, publications, .. } => {
            reply("answer", request, AnswerData { sdp, publications: own_publications(publications) })
        }
        Event::Done(to)
        | Event::Left(to)
        | Event::TrackReserved(to, _)
        | Event::DataTrackPublished(to, _) => reply("ok", to, Nothing {}),
        Event::Refused(request, refusal) => encode_refusal(request.as_ref(), refusal, is_fatal(refusal.code)),
        Event::ParticipantJoined(info) => news("participant-joined", ParticipantData::new(info)),
        Event::ParticipantReconnecting(id) => news("participant-reconnecting", ParticipantIdData::new(id)),
        Event::ParticipantResumed(id) => news("participant-resumed", ParticipantIdData::new(id)),
        Event::ParticipantMediaLost(id) => news("participant-media-lost", ParticipantIdData::new(id)),
        Event::ParticipantMediaBack(id) => news("participant-media-back", ParticipantIdData::new(id)),
        Event::ParticipantLeft(id, reason) => {
            news("participant-left", LeftData { participant_id: Text(id), reason: reason.as_str() })
        }
        Event::TrackAdded(info) => news("track-added", TrackData::new(info)),
        Event::TrackRemoved(track, participant) => {
            news("track-removed", RemovedData { track_id: Text(track), participant_id: Text(participant) })
        }
        Event::TrackMuted { track, participant, muted } => news(
            "track-muted",
            MutedData { track_id: Text(track), participant_id: Text(participant), muted: *muted },
        ),
        Event::SlotMap(map) => news("slot-map", SlotMapData::new(map)),
        Event::MoreSlots(counts) => news("more-slots", CountsData::new(*counts)),
        Event::CannotReceive { track, reason } => {
            news("cannot-receive", CannotReceiveData { track_id: Text(track), reason })
        }
        Event::SubscriptionPermission { track, owner, allowed } => {
            news("subscription-permission", PermissionData::new(track, owner, *allowed))
        }
        Event::CannotPublish { mid, reason } => news("cannot-publish", CannotPublishData { mid, reason }),
        Event::Data { from, topic, payload, .. } => news("data", RelayedData::new(*from, topic, payload)),
        // These are for front ends that read channels themselves, and this one does not ask for them.
        Event::FromChannel { .. } | Event::DataTracks(..) | Event::DataTrackHandle(..) => news("data", ()),
        // And so are these, for front ends of clients without session descriptions.
        Event::TransportOpened(to, _) | Event::Produced(to, _) | Event::Consumed(to, _) => {
            reply("ok", to, Nothing {})
        }
        Event::TransportEnded(_) | Event::ConsumerEnded(_) | Event::ConsumerWanted(..) => news("ok", ()),
        Event::Draining(draining) => news("draining", DrainingData { draining: *draining }),
        Event::Closing(reason) => encode_closing(*reason),
        Event::Layers { .. } => news("layers", LayersData::of(event)),
        Event::Encodings { mid, track, active } => {
            news("encodings", EncodingsData { mid, track_id: Text(track), active })
        }
        Event::Bitrate { mid, track, max_bitrate } => {
            news("bitrate", BitrateData { mid, track_id: Text(track), max_bitrate: *max_bitrate })
        }
        Event::Quality(participant, quality) => news("quality", QualityData::new(participant, quality)),
        Event::ParticipantUpdated(id, profile, role) => {
            news("participant-updated", UpdatedData::new(id, profile, *role))
        }
        Event::PermissionsChanged { grants, ended } => {
            news("permissions-changed", PermissionsChangedData::new(*grants, ended))
        }
        Event::RoomUpdated(state) => news("room-updated", RoomStateData::new(state)),
        Event::Waiting(id) => news("waiting", WaitingRoomData { participant_id: Text(id), message: WAITING }),
        Event::Knocking(id, profile) => news("knocking", KnockingData::new(id, profile)),
        Event::KnockingOver(id) => news("knocking-over", ParticipantIdData::new(id)),
        Event::Topology(_) | Event::MeshTracks(..) | Event::MeshSignal(..) => encode_of_mesh(event),
        Event::Speakers(speakers) => news("speakers", SpeakersData::new(speakers)),
    }
}

/// Returns the message for an event about media that goes straight; for any other one, an empty message.
fn encode_of_mesh(event: &Event) -> String {
    match event {
        Event::Topology(view) => news("topology", TopologyData::new(view)),
        Event::MeshTracks(id, tracks) => news("mesh-tracks", MeshTracksData::new(*id, tracks)),
        Event::MeshSignal(from, signal) => news("mesh-signal", MeshSignalData::new(*from, signal)),
        _ => String::new(),
    }
}

/// Returns the `error` message for a refusal. `fatal` says that the connection is closed after it.
pub fn encode_refusal(request: Option<&RequestId>, refusal: &Refusal, fatal: bool) -> String {
    let Refusal { code, message, action } = refusal;
    envelope("error", request, ErrorData { code: code_text(*code), message, action, fatal })
}

/// Returns the message that hands on a new token. `expires_at` is in seconds since 1970.
pub fn encode_token(token: &str, expires_at: u64) -> String {
    news("token", TokenData { token, expires_at })
}

/// Returns the reply to `ping`.
pub fn encode_pong(request: Option<&RequestId>) -> String {
    envelope("pong", request, Nothing {})
}

fn encode_closing(reason: ClosingReason) -> String {
    let gone = match reason {
        ClosingReason::Gone(gone) => gone,
        ClosingReason::Replaced => {
            let message = "You came back through another connection.";
            return news("closing", ClosingData { reason: "replaced", message, rejoin: false });
        }
    };
    let (message, rejoin) = match gone {
        LeaveReason::Left => ("You have left the room.", false),
        LeaveReason::TransportClosed => ("Your media connection was closed.", true),
        // The client should not try again by itself: it would fail again, and a person should know.
        LeaveReason::FingerprintMismatch => {
            ("Your media connection was refused: its certificate is not the one that was announced.", false)
        }
        LeaveReason::HandshakeFailed => ("Your media connection could not be secured.", true),
        LeaveReason::MediaTimeout => ("No media connection for too long.", true),
        LeaveReason::ResumeTimeout => ("You were away for too long.", true),
        LeaveReason::Removed => ("You were removed from the room.", false),
        LeaveReason::RoomClosed => ("The call was ended for everybody.", false),
        LeaveReason::Shutdown => ("The server is stopping.", true),
        // Coming back by itself, each of two windows would push the other out for ever.
        LeaveReason::Banned => ("You were removed from the room, and may not come back.", false),
        LeaveReason::DuplicateIdentity => ("You have joined this room from another window or device.", false),
        LeaveReason::MadeWay => ("You were away, and somebody else needed the place.", true),
        // The protocol has `closing` for decisions and time-outs; something that broke is an error.
        LeaveReason::Error => {
            let refusal = Refusal::new(
                RefusalCode::Internal,
                "something broke in the server and ended this participant; its log says what",
                "Join again.",
            );
            return encode_refusal(None, &refusal, true);
        }
    };
    let reason = gone.as_str();
    news("closing", ClosingData { reason, message, rejoin })
}

fn reply(kind: &'static str, request: &Option<RequestId>, data: impl Serialize) -> String {
    envelope(kind, request.as_ref(), data)
}

fn news(kind: &'static str, data: impl Serialize) -> String {
    envelope(kind, None, data)
}

fn envelope(kind: &'static str, request: Option<&RequestId>, data: impl Serialize) -> String {
    let id = request.map(|request| Json(&request.0));
    let message = Envelope { kind, id, data };
    // Structs with string keys, and writing to memory: neither of serde_json's failures can occur.
    serde_json::to_string(&message).expect("a message of plain structs serialises")
}

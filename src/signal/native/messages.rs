//! The messages to clients, as structs, field by field in the order of `docs/protocol.md`.

use std::collections::BTreeMap;
use std::fmt::Display;

use base64ct::{Base64, Encoding};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::SERVED_VERSIONS;
use super::topology::{MeshTrackData, TopologyData, mesh_tracks};
use crate::core::command::Source;
use crate::core::data::DataPayload;
use crate::core::event::{
    Joined, ParticipantInfo, PublicationInfo, Resumed, SlotCounts, SlotMap, Speaker, Speakers, TrackInfo,
    WaitingReason,
};
use crate::core::grants::{Grants, Role};
use crate::core::ids::{ParticipantId, TrackId};
use crate::core::mesh::{MeshSignal, MeshTrack};
use crate::core::profile::Profile;
use crate::core::quality::{Mos, Quality};
use crate::core::room_options::RoomState;

/// What a client that joins is told about the server.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServerFacts<'a> {
    /// STUN and TURN servers, for clients that find no direct path.
    pub ice_servers: &'a [IceServer],
    /// Whether the server's certificate is self-signed.
    pub is_self_signed: bool,
    /// Whether anybody may come in without a token.
    pub is_open: bool,
}

/// An entry of `joined.iceServers`, as `RTCPeerConnection` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IceServer {
    /// `turn:` or `stun:` addresses.
    pub urls: Vec<String>,
    /// The user name, which only TURN needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password, which only TURN needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

pub(super) fn waiting_text(reason: WaitingReason) -> &'static str {
    match reason {
        WaitingReason::NoSlotYet => "no-slot-yet",
        WaitingReason::SlotLimit => "slot-limit",
        WaitingReason::NotSpeaking => "not-speaking",
    }
}

/// Serialised as its `Display` text.
#[derive(Debug)]
pub(super) struct Text<T>(pub(super) T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// JSON text, serialised as it is. It is an id or a payload that `parse` has checked; text that is not JSON turns into
/// `null`.
#[derive(Debug)]
pub(super) struct Json<'a>(pub(super) &'a str);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(self.0).ok().serialize(serializer)
    }
}

#[derive(Serialize)]
pub(super) struct Envelope<'a, T> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Json<'a>>,
    pub(super) data: T,
}

#[derive(Serialize)]
pub(super) struct Nothing {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JoinedData<'a> {
    pub(super) version: i64,
    pub(super) participant_id: Text<ParticipantId>,
    pub(super) secret: &'a str,
    pub(super) room: &'a str,
    #[serde(flatten)]
    pub(super) profile: ProfileData<'a>,
    pub(super) role: &'static str,
    pub(super) ice_servers: &'a [IceServer],
    pub(super) self_signed: bool,
    pub(super) open: bool,
    pub(super) slots: CountsData,
    pub(super) max_slots: CountsData,
    pub(super) resume_seconds: u64,
    pub(super) permissions: PermissionsData,
    pub(super) room_state: RoomStateData<'a>,
    pub(super) participants: Vec<ParticipantData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) topology: Option<TopologyData>,
    pub(super) server: &'static str,
}

impl<'a> JoinedData<'a> {
    pub(super) fn new(joined: &'a Joined, server: ServerFacts<'a>) -> Self {
        Self {
            version: SERVED_VERSIONS[SERVED_VERSIONS.len() - 1],
            participant_id: Text(joined.participant),
            secret: &joined.secret,
            room: joined.room.as_str(),
            profile: ProfileData::new(&joined.profile),
            role: joined.grants.role().as_str(),
            ice_servers: server.ice_servers,
            self_signed: server.is_self_signed,
            open: server.is_open,
            slots: CountsData::new(joined.slots),
            max_slots: CountsData::new(joined.slots_max),
            resume_seconds: joined.resume_seconds,
            permissions: PermissionsData::new(joined.grants),
            room_state: RoomStateData::new(&joined.room_state),
            participants: joined.participants.iter().map(ParticipantData::new).collect(),
            topology: joined.topology.as_ref().map(TopologyData::new),
            server: concat!("strait ", env!("CARGO_PKG_VERSION")),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PermissionsData {
    publish: Vec<&'static str>,
    subscribe: bool,
    send_data: bool,
    update_own_profile: bool,
    moderate: bool,
    hidden: bool,
}

impl PermissionsData {
    fn new(grants: Grants) -> Self {
        let Grants {
            publish,
            subscribe,
            send_data,
            moderate,
            create: _,
            list: _,
            update_own_profile,
            hidden,
        } = grants;
        let publish = publish.iter().map(Source::as_str).collect();
        Self { publish, subscribe, send_data, update_own_profile, moderate, hidden }
    }
}

/// Who somebody is. An application that has nothing to say about people is told nothing.
#[derive(Serialize)]
pub(super) struct ProfileData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'a str>,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    metadata: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: &'a BTreeMap<String, String>,
}

impl<'a> ProfileData<'a> {
    fn new(profile: &'a Profile) -> Self {
        let Profile { identity, name, metadata, attributes } = profile;
        Self { identity: identity.as_deref(), name, metadata, attributes }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdatedData<'a> {
    participant_id: Text<&'a ParticipantId>,
    #[serde(flatten)]
    profile: ProfileData<'a>,
    role: &'static str,
}

impl<'a> UpdatedData<'a> {
    pub(super) fn new(participant: &'a ParticipantId, profile: &'a Profile, role: Role) -> Self {
        Self { participant_id: Text(participant), profile: ProfileData::new(profile), role: role.as_str() }
    }
}

/// What is set for a room.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoomStateData<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    metadata: &'a str,
    locked: bool,
    waiting_room: bool,
}

impl<'a> RoomStateData<'a> {
    pub(super) fn new(state: &'a RoomState) -> Self {
        let RoomState { metadata, locked, waiting_room } = state;
        Self { metadata, locked: *locked, waiting_room: *waiting_room }
    }
}

#[derive(Serialize)]
pub(super) struct PermissionsChangedData {
    permissions: PermissionsData,
    role: &'static str,
    ended: Vec<EndedData>,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EndedData {
    track_id: Text<TrackId>,
    source: &'static str,
}

impl PermissionsChangedData {
    pub(super) fn new(grants: Grants, ended: &[(TrackId, Source)]) -> Self {
        let sources: Vec<&str> = ended.iter().map(|(_, source)| source.as_str()).collect();
        let message = if sources.is_empty() {
            "What you may do in this room has changed.".to_owned()
        } else {
            format!("You may not publish this any more, and it has ended: {}.", sources.join(", "))
        };
        let ended = ended
            .iter()
            .map(|(track, source)| EndedData { track_id: Text(*track), source: source.as_str() })
            .collect();
        Self { permissions: PermissionsData::new(grants), role: grants.role().as_str(), ended, message }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WaitingRoomData<'a> {
    pub(super) participant_id: Text<&'a ParticipantId>,
    pub(super) message: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KnockingData<'a> {
    participant_id: Text<&'a ParticipantId>,
    #[serde(flatten)]
    profile: ProfileData<'a>,
}

impl<'a> KnockingData<'a> {
    pub(super) fn new(id: &'a ParticipantId, profile: &'a Profile) -> Self {
        Self { participant_id: Text(id), profile: ProfileData::new(profile) }
    }
}

/// A new token for whoever came in by one that expires.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenData<'a> {
    pub(super) token: &'a str,
    pub(super) expires_at: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResumedData<'a> {
    #[serde(flatten)]
    pub(super) joined: JoinedData<'a>,
    pub(super) publications: Vec<PublicationData<'a>>,
    pub(super) slot_map: SlotMapData<'a>,
    pub(super) subscriptions: Vec<SubscriptionData>,
    pub(super) unsubscribed: Vec<Text<TrackId>>,
}

impl<'a> ResumedData<'a> {
    pub(super) fn new(resumed: &'a Resumed, server: ServerFacts<'a>) -> Self {
        let subscription =
            |&(track, paused): &(TrackId, bool)| SubscriptionData { track_id: Text(track), paused };
        Self {
            joined: JoinedData::new(&resumed.joined, server),
            publications: own_publications(&resumed.publications),
            slot_map: SlotMapData::new(&resumed.slot_map),
            subscriptions: resumed.subscriptions.iter().map(subscription).collect(),
            unsubscribed: resumed.unsubscribed.iter().map(|&track| Text(track)).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SubscriptionData {
    pub(super) track_id: Text<TrackId>,
    pub(super) paused: bool,
}

#[derive(Serialize)]
pub(super) struct AnswerData<'a> {
    pub(super) sdp: &'a str,
    pub(super) publications: Vec<PublicationData<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PublicationData<'a> {
    pub(super) mid: &'a str,
    pub(super) track_id: Text<TrackId>,
    pub(super) source: &'static str,
    pub(super) kind: &'static str,
    pub(super) muted: bool,
}

pub(super) fn own_publications<'a>(publications: &'a [PublicationInfo]) -> Vec<PublicationData<'a>> {
    let data = |PublicationInfo { mid, info }: &'a PublicationInfo| PublicationData {
        mid,
        track_id: Text(info.track),
        source: info.source.as_str(),
        kind: info.kind().as_str(),
        muted: info.muted,
    };
    publications.iter().map(data).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ParticipantData<'a> {
    pub(super) participant_id: Text<ParticipantId>,
    #[serde(flatten)]
    pub(super) profile: ProfileData<'a>,
    pub(super) role: &'static str,
    pub(super) state: &'static str,
    pub(super) media_lost: bool,
    pub(super) tracks: Vec<TrackData>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) mesh_tracks: Vec<MeshTrackData<'a>>,
}

impl<'a> ParticipantData<'a> {
    pub(super) fn new(info: &'a ParticipantInfo) -> Self {
        Self {
            participant_id: Text(info.participant),
            profile: ProfileData::new(&info.profile),
            role: info.role.as_str(),
            state: if info.reconnecting { "reconnecting" } else { "connected" },
            media_lost: info.media_lost,
            tracks: info.tracks.iter().map(TrackData::new).collect(),
            mesh_tracks: mesh_tracks(&info.mesh_tracks),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TrackData {
    pub(super) track_id: Text<TrackId>,
    pub(super) participant_id: Text<ParticipantId>,
    pub(super) kind: &'static str,
    pub(super) source: &'static str,
    pub(super) muted: bool,
}

impl TrackData {
    pub(super) fn new(info: &TrackInfo) -> Self {
        Self {
            track_id: Text(info.track),
            participant_id: Text(info.participant),
            kind: info.kind().as_str(),
            source: info.source.as_str(),
            muted: info.muted,
        }
    }
}

#[derive(Serialize)]
pub(super) struct CountsData {
    pub(super) audio: usize,
    pub(super) video: usize,
}

impl CountsData {
    pub(super) fn new(counts: SlotCounts) -> Self {
        Self { audio: counts.audio, video: counts.video }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SlotMapData<'a> {
    pub(super) revision: u64,
    pub(super) slots: Vec<SlotData<'a>>,
    pub(super) waiting: Vec<WaitingData>,
    pub(super) waiting_count: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SlotData<'a> {
    pub(super) mid: &'a str,
    pub(super) track_id: Option<Text<TrackId>>,
    pub(super) from_rtp_timestamp: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WaitingData {
    pub(super) track_id: Text<TrackId>,
    pub(super) reason: &'static str,
}

impl<'a> SlotMapData<'a> {
    pub(super) fn new(map: &'a SlotMap) -> Self {
        let waiting = |&(track, reason): &(TrackId, WaitingReason)| WaitingData {
            track_id: Text(track),
            reason: waiting_text(reason),
        };
        let slots = map.slots.iter().map(|slot| SlotData {
            mid: &slot.mid,
            track_id: slot.track.map(|(track, _)| Text(track)),
            from_rtp_timestamp: slot.track.map(|(_, timestamp)| timestamp),
        });
        Self {
            revision: map.revision,
            slots: slots.collect(),
            waiting: map.waiting.iter().map(waiting).collect(),
            waiting_count: map.waiting_count,
        }
    }
}

#[derive(Serialize)]
pub(super) struct ErrorData<'a> {
    pub(super) code: &'static str,
    pub(super) message: &'a str,
    pub(super) action: &'a str,
    pub(super) fatal: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ParticipantIdData {
    pub(super) participant_id: Text<ParticipantId>,
}

impl ParticipantIdData {
    pub(super) fn new(id: &ParticipantId) -> Self {
        Self { participant_id: Text(*id) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LeftData<'a> {
    pub(super) participant_id: Text<&'a ParticipantId>,
    pub(super) reason: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RemovedData<'a> {
    pub(super) track_id: Text<&'a TrackId>,
    pub(super) participant_id: Text<&'a ParticipantId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MutedData<'a> {
    pub(super) track_id: Text<&'a TrackId>,
    pub(super) participant_id: Text<&'a ParticipantId>,
    pub(super) muted: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CannotPublishData<'a> {
    pub(super) mid: &'a str,
    pub(super) reason: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CannotReceiveData<'a> {
    pub(super) track_id: Text<&'a TrackId>,
    pub(super) reason: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LayersData<'a> {
    pub(super) track_id: Text<&'a TrackId>,
    pub(super) layer: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spatial_layer: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temporal_layer: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) width: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) height: Option<u16>,
    pub(super) reason: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EncodingsData<'a> {
    pub(super) mid: &'a str,
    pub(super) track_id: Text<&'a TrackId>,
    pub(super) active: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BitrateData<'a> {
    pub(super) mid: &'a str,
    pub(super) track_id: Text<&'a TrackId>,
    pub(super) max_bitrate: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QualityData<'a> {
    participant_id: Text<&'a ParticipantId>,
    quality: &'static str,
    score: u8,
    mos: Option<f64>,
}

impl<'a> QualityData<'a> {
    pub(super) fn new(participant: &'a ParticipantId, quality: &Quality) -> Self {
        let Quality { level, score, mos } = *quality;
        Self { participant_id: Text(participant), quality: level.as_str(), score, mos: mos.map(Mos::value) }
    }
}

#[derive(Serialize)]
pub(super) struct RelayedData<'a> {
    pub(super) from: Option<Text<ParticipantId>>,
    pub(super) topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payload: Option<Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<String>,
}

impl<'a> RelayedData<'a> {
    pub(super) fn new(from: Option<ParticipantId>, topic: &'a str, payload: &'a DataPayload) -> Self {
        let (payload, bytes) = match payload {
            DataPayload::Json(json) => (Some(Json(json)), None),
            DataPayload::Bytes(bytes) | DataPayload::Packet(bytes) => {
                (None, Some(Base64::encode_string(bytes)))
            }
        };
        Self { from: from.map(Text), topic, payload, bytes }
    }
}

#[derive(Serialize)]
pub(super) struct SpeakersData {
    pub(super) dominant: Option<Text<ParticipantId>>,
    pub(super) speakers: Vec<SpeakerData>,
}

impl SpeakersData {
    pub(super) fn new(speakers: &Speakers) -> Self {
        let speaker = |speaker: &Speaker| SpeakerData {
            participant_id: Text(speaker.participant),
            track_id: Text(speaker.track),
            level: -i32::from(speaker.level),
        };
        Self {
            dominant: speakers.dominant.map(Text),
            speakers: speakers.speakers.iter().map(speaker).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SpeakerData {
    pub(super) participant_id: Text<ParticipantId>,
    pub(super) track_id: Text<TrackId>,
    pub(super) level: i32,
}

#[derive(Serialize)]
pub(super) struct DrainingData {
    pub(super) draining: bool,
}

#[derive(Serialize)]
pub(super) struct ClosingData {
    pub(super) reason: &'static str,
    pub(super) message: &'static str,
    pub(super) rejoin: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MeshTracksData<'a> {
    participant_id: Text<ParticipantId>,
    tracks: Vec<MeshTrackData<'a>>,
}

impl<'a> MeshTracksData<'a> {
    pub(super) fn new(participant: ParticipantId, tracks: &'a [MeshTrack]) -> Self {
        Self { participant_id: Text(participant), tracks: mesh_tracks(tracks) }
    }
}

#[derive(Serialize)]
pub(super) struct MeshSignalData<'a> {
    from: Text<ParticipantId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate: Option<Json<'a>>,
}

impl<'a> MeshSignalData<'a> {
    pub(super) fn new(from: ParticipantId, signal: &'a MeshSignal) -> Self {
        let (description, candidate) = match signal {
            MeshSignal::Description(text) => (Some(Json(text)), None),
            MeshSignal::Candidate(text) => (None, Some(Json(text))),
        };
        Self { from: Text(from), description, candidate }
    }
}

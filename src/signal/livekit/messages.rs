//! The messages of LiveKit's signalling protocol, with the fields that are used here. Names and tags are those of
//! `livekit_rtc.proto` and `livekit_models.proto`; a test holds them against messages that LiveKit's own library has written.

use std::collections::BTreeMap;

use super::protobuf::{Field, Part, messages};

/// The numbers of LiveKit's enumerations.
pub mod numbers {
    /// `WrappedJoinRequest.Compression`: not compressed.
    pub const PLAIN: i32 = 0;
    /// `WrappedJoinRequest.Compression`: gzip (RFC 1952).
    pub const GZIP: i32 = 1;

    /// `TrackType`: audio.
    pub const AUDIO: i32 = 0;
    /// `TrackType`: video.
    pub const VIDEO: i32 = 1;

    /// `TrackSource`: nothing is said of it.
    pub const UNKNOWN: i32 = 0;
    /// `TrackSource`: a camera.
    pub const CAMERA: i32 = 1;
    /// `TrackSource`: a microphone.
    pub const MICROPHONE: i32 = 2;
    /// `TrackSource`: a screen.
    pub const SCREEN: i32 = 3;
    /// `TrackSource`: the audio of a screen.
    pub const SCREEN_AUDIO: i32 = 4;

    /// `ParticipantInfo.State`: in the room, and media can flow.
    pub const ACTIVE: i32 = 2;
    /// `ParticipantInfo.State`: gone.
    pub const DISCONNECTED: i32 = 3;

    /// `LeaveRequest.Action`: stay away.
    pub const DISCONNECT: i32 = 0;
    /// `LeaveRequest.Action`: take the call up again.
    pub const RESUME: i32 = 1;
    /// `LeaveRequest.Action`: join anew.
    pub const RECONNECT: i32 = 2;

    /// `StreamState`: media flows.
    pub const STREAM_ACTIVE: i32 = 0;
    /// `StreamState`: nothing is sent for now.
    pub const STREAM_PAUSED: i32 = 1;

    /// `SubscriptionError`: the subscriber cannot decode the track.
    pub const CODEC_UNSUPPORTED: i32 = 1;
    /// `SubscriptionError`: there is no such track.
    pub const TRACK_NOT_FOUND: i32 = 2;

    /// `ClientConfigSetting`: yes.
    pub const ENABLED: i32 = 2;
    /// `CandidateProtocol`: TCP.
    pub const BY_TCP: i32 = 1;
    /// `CandidateProtocol`: TLS.
    pub const BY_TLS: i32 = 2;

    /// `RequestResponse.Reason`: done.
    pub const OK: i32 = 0;
    /// `RequestResponse.Reason`: not permitted.
    pub const NOT_ALLOWED: i32 = 2;
    /// `RequestResponse.Reason`: too much.
    pub const LIMIT_EXCEEDED: i32 = 3;
    /// `RequestResponse.Reason`: something else.
    pub const UNCLASSIFIED: i32 = 6;
    /// `RequestResponse.Reason`: no number that names a data track.
    pub const INVALID_HANDLE: i32 = 7;
    /// `RequestResponse.Reason`: no name of a data track.
    pub const INVALID_NAME: i32 = 8;
    /// `RequestResponse.Reason`: a number that names another data track.
    pub const DUPLICATE_HANDLE: i32 = 9;
    /// `RequestResponse.Reason`: the name of another data track.
    pub const DUPLICATE_NAME: i32 = 10;
}

messages! {
    /// What a client puts into the address by which it joins.
    WrappedJoinRequest {
        1 compression: i32,
        2 join_request: Vec<u8>,
    }
    /// A request to join a room, or to take up a participant again.
    JoinRequest {
        1 client_info: Option<ClientInfo>,
        2 connection_settings: Option<ConnectionSettings>,
        6 publisher_offer: Option<SessionDescription>,
        7 reconnect: bool,
        9 participant_sid: String,
    }
    /// Which library the client is.
    ClientInfo {
        1 sdk: i32,
        2 version: String,
        3 protocol: i32,
    }
    /// How the client wants to be served.
    ConnectionSettings {
        1 auto_subscribe: bool,
        2 adaptive_stream: bool,
    }
    /// An offer or an answer.
    SessionDescription {
        1 kind: String,
        2 sdp: String,
        3 id: u32,
        4 mid_to_track_id: BTreeMap<String, String>,
    }
    /// One message of a client. Exactly one of the fields is there.
    SignalRequest {
        1 offer: Option<SessionDescription>,
        2 answer: Option<SessionDescription>,
        4 add_track: Option<AddTrackRequest>,
        5 mute: Option<MuteTrackRequest>,
        6 subscription: Option<UpdateSubscription>,
        7 track_setting: Option<UpdateTrackSettings>,
        8 leave: Option<LeaveRequest>,
        11 subscription_permission: Option<SubscriptionPermission>,
        13 simulate: Option<SimulateScenario>,
        14 ping: Option<i64>,
        15 update_metadata: Option<UpdateParticipantMetadata>,
        16 ping_req: Option<Ping>,
        19 publish_data_track_request: Option<PublishDataTrackRequest>,
        20 unpublish_data_track_request: Option<UnpublishDataTrackRequest>,
        21 update_data_subscription: Option<UpdateDataSubscription>,
    }
    /// One message of the server. Exactly one of the fields is there.
    SignalResponse {
        1 join: Option<JoinResponse>,
        2 answer: Option<SessionDescription>,
        3 offer: Option<SessionDescription>,
        4 trickle: Option<TrickleRequest>,
        5 update: Option<ParticipantUpdate>,
        6 track_published: Option<TrackPublishedResponse>,
        8 leave: Option<LeaveRequest>,
        9 mute: Option<MuteTrackRequest>,
        10 speakers_changed: Option<SpeakersChanged>,
        11 room_update: Option<RoomUpdate>,
        12 connection_quality: Option<ConnectionQualityUpdate>,
        13 stream_state_update: Option<StreamStateUpdate>,
        14 subscribed_quality_update: Option<SubscribedQualityUpdate>,
        15 subscription_permission_update: Option<SubscriptionPermissionUpdate>,
        16 refresh_token: Option<String>,
        17 track_unpublished: Option<TrackUnpublishedResponse>,
        18 pong: Option<i64>,
        19 reconnect: Option<ReconnectResponse>,
        20 pong_resp: Option<Pong>,
        21 subscription_response: Option<SubscriptionResponse>,
        22 request_response: Option<RequestResponse>,
        25 media_sections_requirement: Option<MediaSectionsRequirement>,
        27 publish_data_track_response: Option<PublishDataTrackResponse>,
        28 unpublish_data_track_response: Option<UnpublishDataTrackResponse>,
        29 data_track_subscriber_handles: Option<DataTrackSubscriberHandles>,
    }
    /// A data track that the client wants to publish. The last two fields are messages, which are passed on as they are.
    PublishDataTrackRequest {
        1 pub_handle: u32,
        2 name: String,
        3 encryption: i32,
        4 frame_encoding: Vec<u8>,
        5 schema: Vec<u8>,
    }
    /// The answer, with what others are told of it.
    PublishDataTrackResponse {
        1 info: Option<DataTrackInfo>,
    }
    /// A data track that the client publishes no longer.
    UnpublishDataTrackRequest {
        1 pub_handle: u32,
    }
    /// The answer.
    UnpublishDataTrackResponse {
        1 info: Option<DataTrackInfo>,
    }
    /// Data tracks that the client subscribes to, or no longer.
    UpdateDataSubscription {
        1 updates: Vec<DataSubscription>,
    }
    /// The same for one of them (`UpdateDataSubscription.Update`).
    DataSubscription {
        1 track_sid: String,
        2 subscribe: bool,
    }
    /// By what packets on the data channel name the tracks that the client receives.
    DataTrackSubscriberHandles {
        1 sub_handles: Vec<SubscriberHandle>,
    }
    /// One of these: an entry of a map is a message of its key and its value.
    SubscriberHandle {
        1 key: u32,
        2 value: Option<PublishedDataTrack>,
    }
    /// A data track that the client receives (`DataTrackSubscriberHandles.PublishedDataTrack`).
    PublishedDataTrack {
        1 publisher_identity: String,
        2 publisher_sid: String,
        3 track_sid: String,
    }
    /// A published data track.
    DataTrackInfo {
        1 pub_handle: u32,
        2 sid: String,
        3 name: String,
        4 encryption: i32,
        5 frame_encoding: Vec<u8>,
        6 schema: Vec<u8>,
    }
    /// An address at which a peer connection can be reached.
    TrickleRequest {
        1 candidate_init: String,
        2 target: i32,
        3 is_final: bool,
    }
    /// A track that the client is about to publish.
    AddTrackRequest {
        1 cid: String,
        2 name: String,
        3 kind: i32,
        4 width: u32,
        5 height: u32,
        6 muted: bool,
        7 disable_dtx: bool,
        8 source: i32,
        9 layers: Vec<VideoLayer>,
        10 simulcast_codecs: Vec<SimulcastCodec>,
        12 stereo: bool,
        13 disable_red: bool,
        14 encryption: i32,
        15 stream: String,
        17 audio_features: Vec<i32>,
        18 packet_trailer_features: Vec<i32>,
    }
    /// A codec in which a track is sent.
    SimulcastCodec {
        1 codec: String,
        2 cid: String,
        4 layers: Vec<VideoLayer>,
    }
    /// One encoding of a simulcast.
    VideoLayer {
        1 quality: i32,
        2 width: u32,
        3 height: u32,
        4 bitrate: u32,
        7 rid: String,
    }
    /// The muting of a track.
    MuteTrackRequest {
        1 sid: String,
        2 muted: bool,
    }
    /// Tracks that the client subscribes to, or no longer.
    UpdateSubscription {
        1 track_sids: Vec<String>,
        2 subscribe: bool,
        3 participant_tracks: Vec<ParticipantTracks>,
    }
    /// The same by participant.
    ParticipantTracks {
        2 track_sids: Vec<String>,
    }
    /// How the client shows tracks.
    UpdateTrackSettings {
        1 track_sids: Vec<String>,
        3 disabled: bool,
        4 quality: i32,
        5 width: u32,
        6 height: u32,
        7 fps: u32,
        8 priority: u32,
    }
    /// The end of a call.
    LeaveRequest {
        1 can_reconnect: bool,
        2 reason: i32,
        3 action: i32,
    }
    /// Who may receive the client's tracks.
    SubscriptionPermission {
        1 all_participants: bool,
        2 track_permissions: Vec<TrackPermission>,
    }
    /// Which of the client's tracks somebody may receive, who is named in one way or the other.
    TrackPermission {
        1 participant_sid: String,
        2 all_tracks: bool,
        3 track_sids: Vec<String>,
        4 participant_identity: String,
    }
    /// Whether the client may receive a track.
    SubscriptionPermissionUpdate {
        1 participant_sid: String,
        2 track_sid: String,
        3 allowed: bool,
    }
    /// What a client wants to have happen to it, for trying. Exactly one of the fields is there.
    SimulateScenario {
        1 speaker_update: Option<i32>,
        2 node_failure: bool,
        3 migration: bool,
        4 server_leave: bool,
        5 switch_candidate_protocol: Option<i32>,
        6 subscriber_bandwidth: Option<i64>,
        7 disconnect_signal_on_resume: bool,
        8 disconnect_signal_on_resume_no_messages: bool,
        9 leave_request_full_reconnect: bool,
    }
    /// What is to be changed of the client's own participant.
    UpdateParticipantMetadata {
        1 metadata: String,
        2 name: String,
        3 attributes: BTreeMap<String, String>,
        4 request_id: u32,
    }
    /// Asks for a sign of life.
    Ping {
        1 timestamp: i64,
        2 rtt: i64,
    }
    /// The sign of life.
    Pong {
        1 last_ping_timestamp: i64,
        2 timestamp: i64,
    }
    /// The first message to whoever has joined.
    JoinResponse {
        1 room: Option<Room>,
        2 participant: Option<ParticipantInfo>,
        3 other_participants: Vec<ParticipantInfo>,
        4 server_version: String,
        5 ice_servers: Vec<IceServer>,
        6 subscriber_primary: bool,
        8 client_configuration: Option<ClientConfiguration>,
        10 ping_timeout: i32,
        11 ping_interval: i32,
        12 server_info: Option<ServerInfo>,
        14 enabled_publish_codecs: Vec<Codec>,
        15 fast_publish: bool,
    }
    /// What a client is to do that it would not do by itself.
    ClientConfiguration {
        5 force_relay: i32,
    }
    /// The first message to whoever has come back.
    ReconnectResponse {
        1 ice_servers: Vec<IceServer>,
        3 server_info: Option<ServerInfo>,
    }
    /// A room.
    Room {
        1 sid: String,
        2 name: String,
        8 metadata: String,
        9 num_participants: u32,
        10 active_recording: bool,
    }
    /// A member of a room.
    ParticipantInfo {
        1 sid: String,
        2 identity: String,
        3 state: i32,
        4 tracks: Vec<TrackInfo>,
        5 metadata: String,
        9 name: String,
        10 version: u32,
        11 permission: Option<ParticipantPermission>,
        13 is_publisher: bool,
        14 kind: i32,
        15 attributes: BTreeMap<String, String>,
        16 disconnect_reason: i32,
        19 data_tracks: Vec<DataTrackInfo>,
    }
    /// What a member may do.
    ParticipantPermission {
        1 can_subscribe: bool,
        2 can_publish: bool,
        3 can_publish_data: bool,
        7 hidden: bool,
        9 can_publish_sources: Vec<i32>,
        10 can_update_metadata: bool,
    }
    /// A published track.
    TrackInfo {
        1 sid: String,
        2 kind: i32,
        3 name: String,
        4 muted: bool,
        5 width: u32,
        6 height: u32,
        7 simulcast: bool,
        8 disable_dtx: bool,
        9 source: i32,
        10 layers: Vec<VideoLayer>,
        11 mime_type: String,
        12 mid: String,
        13 codecs: Vec<SimulcastCodecInfo>,
        14 stereo: bool,
        15 disable_red: bool,
        16 encryption: i32,
        17 stream: String,
        19 audio_features: Vec<i32>,
        21 packet_trailer_features: Vec<i32>,
    }
    /// A codec in which a track is published.
    SimulcastCodecInfo {
        1 mime_type: String,
        2 mid: String,
        3 cid: String,
        4 layers: Vec<VideoLayer>,
    }
    /// A server that helps with connections.
    IceServer {
        1 urls: Vec<String>,
        2 username: String,
        3 credential: String,
    }
    /// What the server is.
    ServerInfo {
        2 version: String,
        3 protocol: i32,
    }
    /// A codec that may be published.
    Codec {
        1 mime: String,
    }
    /// Members who have changed.
    ParticipantUpdate {
        1 participants: Vec<ParticipantInfo>,
    }
    /// The answer to [`AddTrackRequest`].
    TrackPublishedResponse {
        1 cid: String,
        2 track: Option<TrackInfo>,
    }
    /// A track of the client's that has ended.
    TrackUnpublishedResponse {
        1 track_sid: String,
    }
    /// How many more sections the client is to offer for receiving.
    MediaSectionsRequirement {
        1 num_audios: u32,
        2 num_videos: u32,
    }
    /// What has changed of who speaks.
    SpeakersChanged {
        1 speakers: Vec<SpeakerInfo>,
    }
    /// How loud somebody speaks.
    SpeakerInfo {
        1 sid: String,
        2 level: f32,
        3 active: bool,
    }
    /// A room that has changed.
    RoomUpdate {
        1 room: Option<Room>,
    }
    /// How good calls are.
    ConnectionQualityUpdate {
        1 updates: Vec<ConnectionQualityInfo>,
    }
    /// How good somebody's call is.
    ConnectionQualityInfo {
        1 participant_sid: String,
        2 quality: i32,
        3 score: f32,
    }
    /// Whether tracks are sent at the moment.
    StreamStateUpdate {
        1 stream_states: Vec<StreamStateInfo>,
    }
    /// Whether a track is sent at the moment.
    StreamStateInfo {
        1 participant_sid: String,
        2 track_sid: String,
        3 state: i32,
    }
    /// Which encodings of a track anybody needs.
    SubscribedQualityUpdate {
        1 track_sid: String,
        2 subscribed_qualities: Vec<SubscribedQuality>,
        3 subscribed_codecs: Vec<SubscribedCodec>,
    }
    /// The same for one codec.
    SubscribedCodec {
        1 codec: String,
        2 qualities: Vec<SubscribedQuality>,
    }
    /// Whether anybody needs an encoding.
    SubscribedQuality {
        1 quality: i32,
        2 enabled: bool,
    }
    /// Why a subscription leads to nothing.
    SubscriptionResponse {
        1 track_sid: String,
        2 err: i32,
    }
    /// What has become of a request.
    RequestResponse {
        1 request_id: u32,
        2 reason: i32,
        3 message: String,
        5 add_track: Option<AddTrackRequest>,
        6 mute: Option<MuteTrackRequest>,
        7 update_metadata: Option<UpdateParticipantMetadata>,
        10 publish_data_track: Option<PublishDataTrackRequest>,
        11 unpublish_data_track: Option<UnpublishDataTrackRequest>,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    /// Messages with all fields that are used here, as LiveKit's own library for Python (`livekit-protocol` 1.1.29) writes
    /// them: a name and the bytes in hexadecimal on each line.
    const WRITTEN: &str = include_str!("written_by_livekit.txt");

    fn again<M: Message + Default>(bytes: &[u8]) -> Vec<u8> {
        M::decode(bytes).expect("a message").encode_to_vec()
    }

    /// Reads a message of that name and writes it again.
    fn read_and_written(name: &str, bytes: &[u8]) -> Vec<u8> {
        macro_rules! by_name {
            ($($message:ident)*) => {
                match name {
                    $(stringify!($message) => again::<$message>(bytes),)*
                    _ => panic!("{name} is not in the list"),
                }
            };
        }
        by_name! {
            WrappedJoinRequest JoinRequest ClientInfo ConnectionSettings SessionDescription SignalRequest SignalResponse
            TrickleRequest
            AddTrackRequest SimulcastCodec VideoLayer MuteTrackRequest UpdateSubscription ParticipantTracks
            UpdateTrackSettings LeaveRequest SimulateScenario UpdateParticipantMetadata Ping Pong JoinResponse
            ReconnectResponse Room ParticipantInfo ParticipantPermission TrackInfo SimulcastCodecInfo IceServer ServerInfo
            Codec ParticipantUpdate TrackPublishedResponse TrackUnpublishedResponse MediaSectionsRequirement
            SubscriptionPermission TrackPermission SubscriptionPermissionUpdate ClientConfiguration
            SpeakersChanged SpeakerInfo RoomUpdate ConnectionQualityUpdate ConnectionQualityInfo StreamStateUpdate
            StreamStateInfo SubscribedQualityUpdate SubscribedCodec SubscribedQuality SubscriptionResponse RequestResponse
            PublishDataTrackRequest PublishDataTrackResponse UnpublishDataTrackRequest UnpublishDataTrackResponse
            UpdateDataSubscription DataTrackSubscriberHandles DataTrackInfo
        }
    }

    #[test]
    fn what_livekit_has_written_is_read_whole() {
        let mut count = 0;
        for line in WRITTEN.lines() {
            let (name, hex) = line.split_once(' ').expect("a name and bytes");
            let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("a byte");
            let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
            // A field with another tag or type than here would be missing from what is written again.
            assert_eq!(read_and_written(name, &bytes), bytes, "{name}");
            count += 1;
        }
        assert!(count > 70);
    }

    #[test]
    fn a_long_list_is_cut_and_nesting_has_a_limit() {
        let many = SpeakersChanged { speakers: vec![SpeakerInfo::default(); 10_000] }.encode_to_vec();
        assert!(SpeakersChanged::decode(many.as_slice()).expect("a message").speakers.len() < 1000);
        for bytes in [&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0x0b], &[0x0a, 5, 1], &[0xff; 20]] {
            assert!(SignalRequest::decode(bytes).is_err(), "{bytes:x?}");
        }
    }
}

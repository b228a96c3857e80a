//! What clients are told. Adapters turn these into their protocol's messages.

use serde::{Deserialize, Serialize};

use super::command::{MediaKind, Source, TrackLabel};
use super::data::DataPayload;
use super::data_tracks::DataTrack;
use super::grants::{Grants, Role};
use super::ids::{Mid, ParticipantId, RequestId, RoomId, TrackId, TransportId};
use super::mesh::{MeshSignal, MeshTrack};
use super::ortc::{DtlsParameters, IceCandidate, IceParameters, RtpParameters};
use super::profile::Profile;
use super::quality::Quality;
use super::room_options::RoomState;
pub use super::slot_counts::SlotCounts;
use super::topology::View;

/// A track as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackInfo {
    /// The track's id, the same for everybody.
    pub track: TrackId,
    /// The participant who publishes it.
    pub participant: ParticipantId,
    /// What it shows.
    pub source: Source,
    /// Whether its owner has muted it.
    pub muted: bool,
    /// What its owner's front end says of it to others of its kind, if it says something.
    pub label: Option<Box<TrackLabel>>,
}

impl TrackInfo {
    /// Returns whether it is audio or video.
    pub fn kind(&self) -> MediaKind {
        self.source.kind()
    }
}

/// A participant as others see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParticipantInfo {
    /// The participant's id, the same for everybody.
    pub participant: ParticipantId,
    /// Who they are, by name and otherwise.
    pub profile: Profile,
    /// What they are in the room, by what they may do.
    pub role: Role,
    /// Whether their signalling connection is lost just now.
    pub reconnecting: bool,
    /// Whether nothing arrives on their media path just now, although media has been negotiated.
    pub media_lost: bool,
    /// The tracks that they publish, in the order of publishing.
    pub tracks: Vec<TrackInfo>,
    /// The tracks that they send straight to the others.
    pub mesh_tracks: Vec<MeshTrack>,
}

/// One of the client's own publications, as an answer lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationInfo {
    /// The media section in which it is sent.
    #[serde(with = "super::ids::mid_text")]
    pub mid: Mid,
    /// The track as others see it.
    pub info: TrackInfo,
}

/// One line of a slot map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotInfo {
    /// The media section that is the slot.
    #[serde(with = "super::ids::mid_text")]
    pub mid: Mid,
    /// The track in it, and the RTP timestamp from which on its packets are that track's.
    pub track: Option<(TrackId, u32)>,
}

/// Why a subscribed track has no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitingReason {
    /// More slots were asked for and have not been offered yet.
    NoSlotYet,
    /// The client has as many slots as it may have.
    SlotLimit,
    /// There are more of its kind than slots, and those who speak, or spoke last, share them.
    NotSpeaking,
}

/// Which track is in which slot. Always the whole map, never a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotMap {
    /// Counts up with every map. A client ignores a map that is older than the one it has.
    pub revision: u64,
    /// All slots, in the order of their sections.
    pub slots: Vec<SlotInfo>,
    /// Subscribed tracks without a slot, oldest subscription first: no more than
    /// [`WAITING_TOLD_MAX`](crate::limits::WAITING_TOLD_MAX).
    pub waiting: Vec<(TrackId, WaitingReason)>,
    /// How many subscribed tracks have no slot, listed or not.
    pub waiting_count: usize,
}

/// Somebody who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaker {
    /// The microphone that they speak into.
    pub track: TrackId,
    /// Who publishes it.
    pub participant: ParticipantId,
    /// How loud they speak, in -dBov: 0 is loudest, 127 is silence (RFC 6464 §3).
    pub level: u8,
}

/// Who speaks in the room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speakers {
    /// Whoever speaks most, or spoke last: the one to look at. `None` before anybody has said something.
    pub dominant: Option<ParticipantId>,
    /// Those who speak now, the dominant speaker first, the others in the order in which they began.
    pub speakers: Vec<Speaker>,
}

impl Speakers {
    /// Returns whether it tells somebody more who knows that: who speaks. That they speak a little louder is no news.
    pub fn is_news_to(&self, known: &Self) -> bool {
        let tracks = |of: &Self| of.speakers.iter().map(|speaker| speaker.track).collect::<Vec<_>>();
        self.dominant != known.dominant || tracks(self) != tracks(known)
    }
}

/// What a participant is told on joining.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The id by which the others know them from now on.
    pub participant: ParticipantId,
    /// Proves that a client may resume this participant. Only that client is told.
    pub secret: String,
    /// The room that they are in now.
    pub room: RoomId,
    /// Who they are, as others see them.
    pub profile: Profile,
    /// How many slots the first offer should hold.
    pub slots: SlotCounts,
    /// The most slots of each kind that a client can have.
    pub slots_max: SlotCounts,
    /// For how many seconds after their signalling broke they can be resumed.
    pub resume_seconds: u64,
    /// What they may do.
    pub grants: Grants,
    /// What is set for the room.
    pub room_state: RoomState,
    /// Everyone who was there before.
    pub participants: Vec<ParticipantInfo>,
    /// Where the call's media goes; `None` where it may not go straight, or the client cannot have it so.
    pub topology: Option<View>,
}

/// The whole state of a participant, for a client that resumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// What they were told on joining, as it is now.
    pub joined: Joined,
    /// What they publish, with the sections of their last offer.
    pub publications: Vec<PublicationInfo>,
    /// Which track each of their slots shows.
    pub slot_map: SlotMap,
    /// What they are subscribed to, and whether it is paused.
    pub subscriptions: Vec<(TrackId, bool)>,
    /// Tracks of the room that they are not subscribed to.
    pub unsubscribed: Vec<TrackId>,
    /// Their transports, if they open these themselves.
    pub transports: Vec<TransportId>,
}

/// A transport for a client without session descriptions, and how to connect to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedTransport {
    /// Its name, for its owner alone.
    pub transport: TransportId,
    /// Our ICE credentials.
    pub ice: IceParameters,
    /// Our addresses, best first.
    pub candidates: Vec<IceCandidate>,
    /// Our end of the handshake.
    pub dtls: DtlsParameters,
}

/// A track that somebody has asked to receive, and how it is sent to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumed {
    /// The track.
    pub track: TrackId,
    /// Audio or video.
    pub kind: MediaKind,
    /// How it is sent.
    pub parameters: RtpParameters,
    /// Whether nothing of it is sent until it is resumed.
    pub paused: bool,
    /// Whether its publisher has muted it.
    pub muted: bool,
}

/// Why somebody is no longer in a room. Each ending has its own: clients, logs, metrics and `strait explain` all tell it
/// by the same word, [`LeaveReason::as_str`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LeaveReason {
    /// They said so, or closed the page.
    Left,
    /// Their client closed its peer connection (close_notify, RFC 8446 §6.1), but did not say that they leave.
    TransportClosed,
    /// The certificate in the handshake has another fingerprint than the offer says (RFC 8122 §5): the client is
    /// faulty, or somebody is in the middle.
    FingerprintMismatch,
    /// The DTLS handshake failed, or was not completed in time after the first answer.
    HandshakeFailed,
    /// Neither a connectivity check nor authentic media came from them for too long.
    MediaTimeout,
    /// Their signalling connection broke, and they were not back in time.
    ResumeTimeout,
    /// The operator or a moderator removed them.
    Removed,
    /// The operator or a moderator ended the call.
    RoomClosed,
    /// The server stopped.
    Shutdown,
    /// Something broke in the server; its log has it.
    Error,
    /// Their signalling connection broke before they were ever in the call, and somebody else needed the place: the room,
    /// their address or the server had no other.
    MadeWay,
    /// Somebody with their identity has joined the room: they themselves, from another window or device.
    DuplicateIdentity,
    /// A moderator or the operator removed them, and they may not come back.
    Banned,
}

impl LeaveReason {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Self; 13] = [
        Self::Left,
        Self::TransportClosed,
        Self::FingerprintMismatch,
        Self::HandshakeFailed,
        Self::MediaTimeout,
        Self::ResumeTimeout,
        Self::Removed,
        Self::RoomClosed,
        Self::Shutdown,
        Self::Error,
        Self::MadeWay,
        Self::DuplicateIdentity,
        Self::Banned,
    ];

    /// Returns its name in messages, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::TransportClosed => "transport-closed",
            Self::FingerprintMismatch => "fingerprint-mismatch",
            Self::HandshakeFailed => "handshake-failed",
            Self::MediaTimeout => "media-timeout",
            Self::ResumeTimeout => "resume-timeout",
            Self::Removed => "removed",
            Self::RoomClosed => "room-closed",
            Self::Shutdown => "shutdown",
            Self::Error => "error",
            Self::MadeWay => "made-way",
            Self::DuplicateIdentity => "duplicate-identity",
            Self::Banned => "banned",
        }
    }
}

/// Why somebody is shown another encoding of a simulcast than before, or more or fewer layers of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LayerReason {
    /// It is the first one, or fits what they want now.
    Wanted,
    /// The one before has stopped.
    Stopped,
    /// It has begun, and fits better.
    Available,
    /// Their network carries no more, or more than before.
    Bandwidth,
    /// The server has no time for more, or has time again.
    Load,
}

impl LayerReason {
    /// Returns its name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Stopped => "stopped",
            Self::Available => "available",
            Self::Bandwidth => "bandwidth",
            Self::Load => "load",
        }
    }
}

/// Why the server ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClosingReason {
    /// The participant is no longer in the room.
    Gone(LeaveReason),
    /// Another connection has resumed this participant.
    Replaced,
}

/// Why a request was refused. The protocol's error codes, see `docs/protocol.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalCode {
    /// Not JSON, or a field is missing or wrong.
    BadMessage,
    /// No such message type.
    UnknownType,
    /// A message is larger than the limit.
    MessageTooLarge,
    /// The protocol version is not served.
    UnsupportedVersion,
    /// A request before `join`.
    NotJoined,
    /// A `join` or `resume` on a connection that has joined.
    AlreadyJoined,
    /// A name is empty or too long.
    BadName,
    /// A room id breaks the rules for room ids.
    BadRoom,
    /// The room has as many participants as it may.
    RoomFull,
    /// The server has as many rooms as it may.
    TooManyRooms,
    /// Nobody with that id can be resumed in that room.
    UnknownParticipant,
    /// The secret is not that of the participant who is to be resumed.
    BadSecret,
    /// SDP that cannot be answered.
    BadOffer,
    /// The offer publishes more tracks than a participant may.
    TooManyTracks,
    /// No such track, or not one's own.
    UnknownTrack,
    /// `data` names a recipient who is not in the room.
    UnknownRecipient,
    /// The payload of `data` is larger than 16 KiB.
    PayloadTooLarge,
    /// Too many messages came within a short time.
    RateLimited,
    /// The server is stopping, and lets nobody in any more.
    ShuttingDown,
    /// Something broke in the server; its log has it.
    Internal,
    /// The address has as many participants as it may.
    TooManyParticipants,
    /// A token is needed, or the one that was given is not valid.
    Unauthorized,
    /// The token does not allow it.
    NotPermitted,
    /// There is no such room, and it is not made by joining.
    NoSuchRoom,
    /// Nobody may come in but moderators.
    RoomLocked,
    /// The participant was banned from the room.
    Banned,
    /// A moderator has not let them in who waited.
    TurnedAway,
    /// Nobody has let them in who waited.
    NobodyAnswered,
    /// There is no such transport, or it is somebody else's.
    UnknownTransport,
    /// The client cannot receive the track.
    CannotConsume,
    /// The transport that a track is to be sent on is not there, or is not for receiving.
    NoReceiveTransport,
    /// ORTC parameters that cannot be served.
    BadParameters,
    /// The participant has as many transports as they may.
    TooManyTransports,
}

/// Why a request was not carried out. A refused request has changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which rule the request breaks, for programs.
    pub code: RefusalCode,
    /// What is wrong, for a developer to read.
    pub message: String,
    /// What to do about it.
    pub action: String,
}

impl Refusal {
    /// Makes a refusal: which rule is broken, how, and what to do about it.
    pub fn new(code: RefusalCode, message: impl Into<String>, action: impl Into<String>) -> Self {
        Self { code, message: message.into(), action: action.into() }
    }
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The reply to a join: the sender is a participant now.
    Joined(Option<RequestId>, Box<Joined>),
    /// The reply to a resume: the sender is the participant again.
    Resumed(Option<RequestId>, Box<Resumed>),
    /// The reply to an offer.
    Answer {
        /// The correlation value of the offer.
        request: Option<RequestId>,
        /// The answer, a session description.
        sdp: String,
        /// What is published now.
        publications: Vec<PublicationInfo>,
        /// What the sections show that the answer names, in the layout `Tracks`; empty in the other.
        shown: Vec<SlotInfo>,
    },
    /// The reply to a request for a track's id.
    TrackReserved(Option<RequestId>, TrackId),
    /// A request was carried out.
    Done(Option<RequestId>),
    /// A request was refused; nothing changed.
    Refused(Option<RequestId>, Refusal),
    /// Somebody has joined the room.
    ParticipantJoined(ParticipantInfo),
    /// Somebody's signalling broke; they may come back.
    ParticipantReconnecting(ParticipantId),
    /// Somebody whose signalling broke is back.
    ParticipantResumed(ParticipantId),
    /// Nothing has arrived on somebody's media path for too long, or they have not connected. They are told, too.
    ParticipantMediaLost(ParticipantId),
    /// Something arrives from them, for the first time or again, on that path or on another one.
    ParticipantMediaBack(ParticipantId),
    /// Somebody has left the room, for this reason.
    ParticipantLeft(ParticipantId, LeaveReason),
    /// Somebody publishes a track from now on.
    TrackAdded(TrackInfo),
    /// A track is no longer published; the participant is its former publisher.
    TrackRemoved(TrackId, ParticipantId),
    /// A track was muted or unmuted by its owner, or muted by a moderator, who tells its owner, too.
    TrackMuted {
        /// The track whose state changed.
        track: TrackId,
        /// The participant who publishes it.
        participant: ParticipantId,
        /// Whether it is muted now.
        muted: bool,
    },
    /// Some slots show something else now. This is the whole map.
    SlotMap(SlotMap),
    /// The server wants this many slots in all.
    MoreSlots(SlotCounts),
    /// A track cannot be received by this client.
    CannotReceive {
        /// The track that cannot be shown.
        track: TrackId,
        /// Why it cannot be shown, in words.
        reason: String,
    },
    /// A section of the offer cannot be published; the rest of the offer was accepted.
    CannotPublish {
        /// The section that cannot be published.
        #[serde(with = "super::ids::mid_text")]
        mid: Mid,
        /// Why not, in words.
        reason: String,
    },
    /// A message from somebody in the room, or from a back end.
    Data {
        /// The participant who sent it; `None` if it was a back end.
        from: Option<ParticipantId>,
        /// The topic, as the sender named it.
        topic: String,
        /// What was sent.
        payload: DataPayload,
        /// Whether it may rather be lost than come late.
        is_lossy: bool,
    },
    /// A message on one of the member's own data channels, for a front end that reads these itself
    /// ([`Command::ReadChannels`](super::command::Command::ReadChannels)).
    FromChannel {
        /// The label that the member gave the channel.
        label: String,
        /// Whether it is text, which is UTF-8, or bytes.
        is_text: bool,
        /// What was sent.
        bytes: Vec<u8>,
    },
    /// The server lets nobody in from now on, or lets people in again. Calls go on.
    Draining(bool),
    /// The last event of a connection; the shell closes it after delivery.
    Closing(ClosingReason),
    /// The participant has left as asked; the shell closes the connection after delivery.
    Left(Option<RequestId>),
    /// Others speak than until now, or somebody else speaks most.
    Speakers(Speakers),
    /// The receiver is shown another encoding of a track from now on, or other layers of it, or nothing, or something again.
    Layers {
        /// The track, which is in one of their slots.
        track: TrackId,
        /// The encoding's name: its rid or, if it has none, its place from 1. `None` while nothing of the track is sent, and
        /// if the track is not a simulcast.
        layer: Option<String>,
        /// Whether nothing of the track is sent for now, because the receiver's network carries no more, or the server has
        /// no time.
        is_paused: bool,
        /// The highest spatial layer inside the encoding that is sent; `None` if all are.
        spatial: Option<u8>,
        /// The highest temporal layer inside the encoding that is sent; `None` if all are.
        temporal: Option<u8>,
        /// The width of its pictures in pixels, if the publisher has said it.
        width: Option<u16>,
        /// The height of its pictures in pixels, if the publisher has said it.
        height: Option<u16>,
        /// Why it is this one.
        reason: LayerReason,
    },
    /// The receiver is to send these encodings of a simulcast, and no others: nobody watches those.
    Encodings {
        /// The section in which the track is sent.
        #[serde(with = "super::ids::mid_text")]
        mid: Mid,
        /// Their own track.
        track: TrackId,
        /// The rids of the encodings to send, in the order of the offer.
        active: Vec<String>,
    },
    /// The receiver is to send a track of audio at that rate at most.
    Bitrate {
        /// The section in which the track is sent.
        #[serde(with = "super::ids::mid_text")]
        mid: Mid,
        /// Their own track.
        track: TrackId,
        /// Bits per second.
        max_bitrate: u32,
    },
    /// How good somebody's call is now.
    Quality(ParticipantId, Quality),
    /// Somebody has another name, other metadata or attributes than before, or may do something else. If they did not do it
    /// themselves, they are told, too.
    ParticipantUpdated(ParticipantId, Box<Profile>, Role),
    /// The receiver may do something else than before.
    PermissionsChanged {
        /// What they may do now.
        grants: Grants,
        /// Their own tracks that have ended, because they may not publish them any more.
        ended: Vec<(TrackId, Source)>,
    },
    /// Something else is set for the room than before.
    RoomUpdated(RoomState),
    /// The receiver has come to the door, and waits until somebody lets them in. They will have this id.
    Waiting(ParticipantId),
    /// Somebody waits at the door, for moderators to let them in.
    Knocking(ParticipantId, Box<Profile>),
    /// Somebody waits no longer: they were let in or turned away, or have gone.
    KnockingOver(ParticipantId),
    /// The reply to a request for a transport, or for new ICE credentials of one.
    TransportOpened(Option<RequestId>, Box<OpenedTransport>),
    /// The reply to a request to publish a track: its id.
    Produced(Option<RequestId>, TrackId),
    /// The reply to a request to receive a track.
    Consumed(Option<RequestId>, Box<Consumed>),
    /// A transport of the receiver's has ended, and not because they have asked for it: the client closed it, or its handshake
    /// failed. What was produced and consumed on it has ended, too.
    TransportEnded(TransportId),
    /// A track that the receiver consumed is not sent to them any more, although it is still published.
    ConsumerEnded(TrackId),
    /// The call's media goes another way, or is about to.
    Topology(View),
    /// Somebody sends these tracks straight to the others from now on, and no others. If a moderator has done it, they are told,
    /// too.
    MeshTracks(ParticipantId, Vec<MeshTrack>),
    /// Another member says this to the receiver alone, so that the two find a direct path.
    MeshSignal(ParticipantId, MeshSignal),
    /// A track's owner lets the receiver receive it, or does not. A subscription to it stays, and shows nothing meanwhile.
    SubscriptionPermission {
        /// The track.
        track: TrackId,
        /// Its owner.
        owner: ParticipantId,
        /// Whether it may be received from now on.
        allowed: bool,
    },
    /// The reply to a request to publish a data track: its id.
    DataTrackPublished(Option<RequestId>, TrackId),
    /// Somebody publishes these data tracks from now on, and no others. Only front ends that read data channels themselves are
    /// told.
    DataTracks(ParticipantId, Vec<DataTrack>),
    /// The receiver receives that data track from now on, whose packets name it by that handle.
    DataTrackHandle(TrackId, u16),
    /// A back end wants the receiver, who consumes tracks, to receive that one, or no longer. What they consumed of it has ended
    /// then; only they themselves can begin to consume it.
    ConsumerWanted(TrackId, bool),
}

//! What clients are told. Adapters turn these into their protocol's messages.

use serde::{Deserialize, Serialize};

use super::command::{Kind, Source};
use super::ids::{Mid, ParticipantId, RequestId, RoomId, TrackId};

/// A track as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackInfo {
    /// Its id.
    pub track: TrackId,
    /// Whose it is.
    pub participant: ParticipantId,
    /// What it shows.
    pub source: Source,
    /// Whether its owner has muted it.
    pub muted: bool,
}

impl TrackInfo {
    /// Audio or video.
    pub fn kind(&self) -> Kind {
        self.source.kind()
    }
}

/// A participant as others see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParticipantInfo {
    /// Their id.
    pub participant: ParticipantId,
    /// Their name.
    pub name: String,
    /// Whether their signalling connection is lost just now.
    pub reconnecting: bool,
    /// What they publish, in the order of publishing.
    pub tracks: Vec<TrackInfo>,
}

/// An own publication, as an answer lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationInfo {
    /// The section.
    #[serde(with = "super::ids::mid_text")]
    pub mid: Mid,
    /// The track.
    pub info: TrackInfo,
}

/// How many slots of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotCounts {
    /// Audio slots.
    pub audio: usize,
    /// Video slots.
    pub video: usize,
}

/// One line of a slot map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotInfo {
    /// The slot.
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
}

/// Which track is in which slot; always whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotMap {
    /// Higher is newer.
    pub revision: u64,
    /// All slots, in the order of their sections.
    pub slots: Vec<SlotInfo>,
    /// Subscribed tracks without a slot.
    pub waiting: Vec<(TrackId, WaitingReason)>,
}

/// What somebody who enters is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Their own id.
    pub participant: ParticipantId,
    /// What resumes them.
    pub secret: String,
    /// The room.
    pub room: RoomId,
    /// Their name, trimmed.
    pub name: String,
    /// How many slots the first offer should hold.
    pub slots: SlotCounts,
    /// How many it can ever have.
    pub slots_max: SlotCounts,
    /// For how long they can be resumed.
    pub resume_seconds: u64,
    /// Everyone else.
    pub participants: Vec<ParticipantInfo>,
}

/// The whole state of somebody who is back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// As on joining.
    pub joined: Joined,
    /// What they publish.
    pub publications: Vec<PublicationInfo>,
    /// Their slots.
    pub slot_map: SlotMap,
    /// What they are subscribed to, and whether it is paused.
    pub subscriptions: Vec<(TrackId, bool)>,
    /// Tracks of the room that they are not subscribed to.
    pub unsubscribed: Vec<TrackId>,
}

/// Why somebody is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaveReason {
    /// They said so, or closed the page.
    Left,
    /// They were not heard of for too long.
    Timeout,
    /// The operator removed them.
    Removed,
    /// Something broke; the log has it.
    Error,
}

/// Why the server ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClosingReason {
    /// The server stops.
    Shutdown,
    /// The operator closed the room.
    RoomClosed,
    /// The operator removed this participant.
    Removed,
    /// Another connection resumed this participant.
    Replaced,
    /// The media path was dead for too long.
    Expired,
    /// An internal error ended this participant.
    Error,
}

/// Why a request was refused. The protocol's error codes, see `docs/protocol.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalCode {
    /// Not JSON, or a field is missing or wrong.
    BadMessage,
    /// No such message type.
    UnknownType,
    /// Over the limit.
    MessageTooLarge,
    /// The protocol version is not served.
    UnsupportedVersion,
    /// A request before `join`.
    NotJoined,
    /// A second `join`.
    AlreadyJoined,
    /// Empty or too long.
    BadName,
    /// Malformed.
    BadRoom,
    /// As many participants as allowed.
    RoomFull,
    /// As many rooms as allowed.
    TooManyRooms,
    /// Nobody to resume.
    UnknownParticipant,
    /// Wrong secret.
    BadSecret,
    /// SDP that cannot be answered.
    BadOffer,
    /// More publications than allowed.
    TooManyTracks,
    /// No such track, or not one's own.
    UnknownTrack,
    /// `data` to nobody.
    UnknownRecipient,
    /// `data` over 16 KiB.
    PayloadTooLarge,
    /// Too many messages.
    RateLimited,
    /// No joins any more.
    ShuttingDown,
    /// Our fault.
    Internal,
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which rule.
    pub code: RefusalCode,
    /// What is wrong, for a developer to read.
    pub message: String,
    /// What to do about it.
    pub action: String,
}

impl Refusal {
    /// A refusal from its parts.
    pub fn new(code: RefusalCode, message: impl Into<String>, action: impl Into<String>) -> Self {
        Self { code, message: message.into(), action: action.into() }
    }
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Reply to a join.
    Joined(Option<RequestId>, Box<Joined>),
    /// Reply to a resume.
    Resumed(Option<RequestId>, Box<Resumed>),
    /// Reply to an offer.
    Answer {
        /// Of the offer.
        request: Option<RequestId>,
        /// The session description.
        sdp: String,
        /// What is published now.
        publications: Vec<PublicationInfo>,
    },
    /// A request was carried out.
    Done(Option<RequestId>),
    /// A request was refused; nothing changed.
    Refused(Option<RequestId>, Refusal),
    /// Somebody came.
    ParticipantJoined(ParticipantInfo),
    /// Somebody's signalling broke.
    ParticipantReconnecting(ParticipantId),
    /// They are back.
    ParticipantResumed(ParticipantId),
    /// They are gone.
    ParticipantLeft(ParticipantId, LeaveReason),
    /// A track came.
    TrackAdded(TrackInfo),
    /// A track is gone.
    TrackRemoved(TrackId, ParticipantId),
    /// A track was muted or unmuted by its owner.
    TrackMuted {
        /// Which.
        track: TrackId,
        /// Whose.
        participant: ParticipantId,
        /// How.
        muted: bool,
    },
    /// Slots changed.
    SlotMap(SlotMap),
    /// The server wants this many slots in all.
    MoreSlots(SlotCounts),
    /// A track cannot be received by this client.
    CannotReceive {
        /// Which.
        track: TrackId,
        /// Why, in words.
        reason: String,
    },
    /// A section of the offer was to publish, and cannot be served; the rest of the offer was taken.
    CannotPublish {
        /// Which.
        #[serde(with = "super::ids::mid_text")]
        mid: Mid,
        /// Why, in words.
        reason: String,
    },
    /// A message from somebody in the room.
    Data {
        /// From whom.
        from: ParticipantId,
        /// About what.
        topic: String,
        /// JSON text.
        payload: Box<str>,
    },
    /// The last event of a connection; the shell closes it after delivery.
    Closing(ClosingReason),
    /// The participant has left as asked; the shell closes the connection after delivery.
    Left(Option<RequestId>),
}

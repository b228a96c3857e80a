//! What clients ask for. Every front end (native JSON, WHIP/WHEP, later others) is an adapter onto these.

use serde::{Deserialize, Serialize};

use super::ids::{Mid, ParticipantId, RoomId, TrackId};

/// Enter a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Which room; made if it does not exist.
    pub room: RoomId,
    /// What others see: 1–64 characters, trimmed.
    pub name: String,
    /// Whether every track of the room is subscribed to without asking.
    pub auto_subscribe: bool,
    /// What keeps them in the room.
    pub lifeline: Lifeline,
}

/// What keeps a participant in their room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifeline {
    /// Their signalling connection: they stay while it lives, and for a while after it broke.
    Signalling,
    /// Their media path: there is no signalling connection that could break (WHIP, WHEP), and they are gone when no
    /// connectivity check has come for `media_timeout`.
    Media,
}

/// Take up a participant again after the signalling connection broke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The room they were in.
    pub room: RoomId,
    /// Who they were.
    pub participant: ParticipantId,
    /// What `Joined` gave them.
    pub secret: String,
}

/// What a track shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Source {
    /// A voice.
    Microphone,
    /// A face.
    Camera,
    /// A shared screen or window.
    Screen,
    /// The sound of a shared screen.
    ScreenAudio,
}

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

impl Source {
    /// All sources.
    pub const ALL: [Self; 4] = [Self::Microphone, Self::Camera, Self::Screen, Self::ScreenAudio];

    /// Returns the kind of media that this source always is.
    pub fn kind(self) -> Kind {
        match self {
            Self::Microphone | Self::ScreenAudio => Kind::Audio,
            Self::Camera | Self::Screen => Kind::Video,
        }
    }

    /// Returns the source's name in every protocol, file name and document, such as `screen-audio`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Microphone => "microphone",
            Self::Camera => "camera",
            Self::Screen => "screen",
            Self::ScreenAudio => "screen-audio",
        }
    }
}

impl Kind {
    /// Returns the kind's name in every protocol and document: `audio` or `video`, as in SDP's `m=` lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

/// One section of an offer that the client sends media on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationRequest {
    /// The section.
    #[serde(with = "super::ids::mid_text")]
    pub mid: Mid,
    /// What it shows.
    pub source: Source,
    /// Whether it starts muted.
    pub muted: bool,
}

/// A request from somebody who has joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Negotiate. `publications` is the whole list of what is published.
    Offer {
        /// The session description.
        sdp: String,
        /// The sections that publish.
        publications: Vec<PublicationRequest>,
    },
    /// Mute or unmute an own track.
    Mute {
        /// Whose state changes.
        track: TrackId,
        /// To what.
        muted: bool,
    },
    /// Receive a track.
    Subscribe(TrackId),
    /// Receive a track no longer; its slot is free for another.
    Unsubscribe(TrackId),
    /// Stop or resume a subscription; it keeps its slot.
    Pause {
        /// Which track.
        track: TrackId,
        /// Stop, or resume.
        paused: bool,
    },
    /// Pass a small message on.
    Data {
        /// To whom; `None`: to everyone else.
        to: Option<Vec<ParticipantId>>,
        /// What it is about.
        topic: String,
        /// JSON text.
        payload: Box<str>,
    },
    /// Go.
    Leave,
}

//! What clients ask for. Every front end (native JSON, WHIP/WHEP, later others) is an adapter onto these.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::audience::Audience;
use super::data::DataPayload;
use super::data_tracks::DataTrackCommand;
use super::grants::Grants;
use super::ids::{Mid, ParticipantId, RoomId, TrackId, TransportId};
pub use super::mesh::MeshCommand;
pub use super::moderation::Moderation;
use super::ortc::{DtlsParameters, RtpCapabilities, RtpParameters, TransportDirection};
use super::profile::{Profile, ProfileChange};
pub use super::source::{MediaKind, Source};
pub use super::track_label::TrackLabel;
use crate::limits::NAME_CHARS_MAX;

/// A request to join a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The room, which is made if it does not exist.
    pub room: RoomId,
    /// Who they are, as others see them.
    pub profile: Profile,
    /// Whether every track of the room is subscribed to without asking.
    pub auto_subscribe: bool,
    /// What keeps the participant in the room after that.
    pub lifeline: Lifeline,
    /// How answers to them are laid out.
    pub layout: Layout,
    /// What the participant may do there.
    pub grants: Grants,
    /// Whether their token is for this very room, and not for all.
    pub is_invited: bool,
    /// Whether somebody vouches for their identity: a token that one of our keys has signed. What anybody could have written
    /// takes nobody's place and opens no door.
    pub is_vouched_for: bool,
    /// The address that a ban could keep out: the client's IPv4 address, or the /64 network of its IPv6 address.
    pub host: Option<IpAddr>,
    /// Whether their client can send straight to the others.
    pub can_mesh: bool,
}

impl Join {
    /// Returns a display name without spaces at either end; `None` if it has not 1 to 64 characters, or one that controls
    /// something.
    pub fn display_name(text: &str) -> Option<&str> {
        let name = text.trim();
        let fits =
            (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        fits.then_some(name)
    }
}

/// What keeps a participant in their room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifeline {
    /// Their signalling connection: they stay while it lives, and for a while after it broke.
    Signalling,
    /// Their media path: they have no signalling connection that could break (WHIP, WHEP), so they are removed when
    /// neither a connectivity check nor authentic media has come for `media_timeout`.
    Media,
}

/// What the sections of answers say in which a participant receives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// Each section is a slot with a name of its own, whatever it shows. Slot maps tell what that is.
    #[default]
    Slots,
    /// Each section names the track that it shows and whose it is ([`msid_of_track`](super::msid::msid_of_track)), and is
    /// inactive if it shows none. So a track is announced by the next answer, and media waits for that; slot maps tell that
    /// there is something to offer again for.
    Tracks,
    /// There are no offers and no answers: the participant opens transports, produces and consumes by ORTC parameters
    /// ([`ortc`](super::ortc)). Each section in which they receive is for one track alone, which they have asked for; they are
    /// told no slot maps.
    Parameters,
    /// They offer what they publish, and receive on a transport of parameters, as in [`Parameters`](Self::Parameters). Sections
    /// of their offers in which they would receive are inactive.
    Split,
}

/// A request to resume a participant whose signalling connection broke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The room they were in.
    pub room: RoomId,
    /// The id by which the others still know them.
    pub participant: ParticipantId,
    /// What shows that it is their client.
    pub proof: Proof,
}

/// What shows that a client is that of a participant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    /// The secret that `Joined` gave them.
    Secret(String),
    /// Their identity, by a token that whoever hands this in has verified: for a protocol that has no secrets, whose
    /// participants have the layout `Tracks`.
    Identity(String),
}

/// One section of an offer in which the client sends media.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationRequest {
    /// The media section in which it is sent.
    #[serde(with = "super::ids::mid_text")]
    pub mid: Mid,
    /// What it shows.
    pub source: Source,
    /// Whether it is muted from the beginning.
    pub muted: bool,
    /// What is known of the encodings of a simulcast; those of which nothing is said may be left out.
    pub encodings: Vec<EncodingRequest>,
    /// Which track it is, if that was reserved before ([`Command::ReserveTrack`]); `None` for a new one.
    pub track: Option<TrackId>,
}

/// One encoding of a simulcast, as its publisher describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodingRequest {
    /// Its rid, as the offer has it (RFC 8851).
    pub rid: String,
    /// The width of its pictures, in pixels.
    pub width: Option<u16>,
    /// The height of its pictures, in pixels.
    pub height: Option<u16>,
    /// The most that it takes, in bits per second.
    pub max_bitrate: Option<u32>,
}

/// How somebody wants to see a track.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// The width at which it is shown, in pixels of the screen.
    pub width: Option<u16>,
    /// The height at which it is shown, in pixels of the screen.
    pub height: Option<u16>,
    /// How many pictures a second are enough.
    pub frame_rate: Option<u16>,
    /// How much it matters beside the other tracks, where not everything can be sent.
    pub priority: Priority,
    /// Whether nothing of it is needed for now, because it cannot be seen.
    pub paused: bool,
}

/// How much a track matters to its viewer, in the words of WebRTC (W3C, `RTCPriorityType`): each step counts twice as much
/// as the one before (RFC 8835 §4.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Priority {
    /// Half as much as [`Low`](Self::Low).
    VeryLow,
    /// Half as much as what nothing is said of.
    Low,
    /// What a track has of which nothing is said.
    #[default]
    Medium,
    /// Twice as much as what nothing is said of.
    High,
}

impl Priority {
    /// All of them, the one that matters least first.
    pub const ALL: [Self; 4] = [Self::VeryLow, Self::Low, Self::Medium, Self::High];

    /// Returns its name in messages, such as `very-low`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VeryLow => "very-low",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// Returns the priority of that name; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.as_str() == name)
    }
}

/// A track, and all that somebody wants of it: what they wanted before does not count any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    /// The track, which is subscribed to.
    pub track: TrackId,
    /// How it is to be shown.
    pub wish: Wish,
}

/// A request from somebody who has joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Negotiate the first transport. `publications` is the whole list of what is published on it.
    Offer {
        /// The offer, a session description.
        sdp: String,
        /// The media sections that publish, and what each of them shows.
        publications: Vec<PublicationRequest>,
    },
    /// Reserve the id of a track that is about to be published, for a protocol in which clients know it before they offer.
    ReserveTrack(Box<TrackLabel>),
    /// Mute or unmute an own track.
    Mute {
        /// The track whose state changes.
        track: TrackId,
        /// Whether it is muted from now on.
        muted: bool,
    },
    /// Receive a track from now on.
    Subscribe(TrackId),
    /// Receive a track no longer; its slot is free for another.
    Unsubscribe(TrackId),
    /// Stop or resume a subscription; it keeps its slot.
    Pause {
        /// The track, which is subscribed to.
        track: TrackId,
        /// Whether nothing of it is sent from now on.
        paused: bool,
    },
    /// Pass a small message on.
    Data {
        /// The recipients; `None` for everyone else in the room.
        to: Option<Vec<ParticipantId>>,
        /// A word by which the recipients know what it is about.
        topic: String,
        /// What is said.
        payload: DataPayload,
        /// Whether it is of no use if it comes late, so that it may rather be lost.
        is_lossy: bool,
    },
    /// From now on, tell the member's front end what comes on their data channels, because it has a format of its own. The
    /// room reads nothing of it, and sends nothing there that is not asked for.
    ReadChannels,
    /// Send this on the member's own data channel of that label, for a front end that has a format of its own. If there is
    /// none yet, some of it waits for one on which nothing is lost.
    ToChannel {
        /// The label that the member gave the channel.
        label: String,
        /// Whether it is text, which is UTF-8, or bytes.
        is_text: bool,
        /// What is sent.
        bytes: Vec<u8>,
    },
    /// Leave the room, and end everything that is published.
    Leave,
    /// Let a subscribed track keep its slot, whoever else speaks, or no longer.
    Pin {
        /// The track, which is subscribed to.
        track: TrackId,
        /// Whether it keeps its slot from now on. If it has none, it takes that of one who is not pinned.
        pinned: bool,
    },
    /// Say how tracks are to be shown. Tracks that are not named stay as they are.
    Prefer(Vec<Preference>),
    /// Do something to others. Only moderators may.
    Moderate(Moderation),
    /// Change one's own name, metadata or attributes.
    UpdateProfile(ProfileChange),
    /// Report somebody to whoever runs the server.
    Report {
        /// The participant that it is about, who is somebody else.
        about: ParticipantId,
        /// Why, in a word of the application's: 1–64 characters.
        reason: String,
        /// More about it, in their own words: at most 2,000 characters.
        text: String,
    },
    /// Open a transport, which is told by [`Event::TransportOpened`](super::event::Event::TransportOpened). This and what
    /// follows are for participants of the layout [`Parameters`](Layout::Parameters) alone.
    OpenTransport {
        /// Which way media is to flow on it.
        direction: TransportDirection,
    },
    /// Say which certificate the client has, so that the handshake of a transport can begin. It may be said again.
    ConnectTransport {
        /// The transport, which is their own.
        transport: TransportId,
        /// The client's end of the handshake.
        dtls: DtlsParameters,
    },
    /// Restart ICE on a transport. The new credentials are told as when it was opened.
    RestartTransport {
        /// The transport, which is their own.
        transport: TransportId,
    },
    /// Close a transport, with all that is produced or consumed on it.
    CloseTransport {
        /// The transport, which is their own.
        transport: TransportId,
    },
    /// Publish a track, which is told by [`Event::Produced`](super::event::Event::Produced).
    Produce {
        /// The transport that it comes on, which is their own and on which they send.
        transport: TransportId,
        /// Whether it is audio or video.
        kind: MediaKind,
        /// How it is sent.
        parameters: Box<RtpParameters>,
        /// What it shows, which is of that kind.
        source: Source,
        /// Whether it is muted from the beginning.
        muted: bool,
    },
    /// Publish an own track no longer.
    CloseProducer {
        /// The track.
        track: TrackId,
    },
    /// Receive a track from now on, which is told by [`Event::Consumed`](super::event::Event::Consumed).
    Consume {
        /// The transport that it is to be sent on, which is their own and on which they receive.
        transport: TransportId,
        /// The track, which is somebody else's.
        track: TrackId,
        /// What the client can receive.
        capabilities: Box<RtpCapabilities>,
        /// Whether nothing of it is sent until it is resumed.
        paused: bool,
    },
    /// Something about media that goes straight to the others, or a move to or from that.
    Mesh(MeshCommand),
    /// Say who may receive one's own tracks, from now on and until something else is said; with `None`, everybody.
    SetAudience(Option<Box<Audience>>),
    /// Be shown no more than fits into that many bits per second, however much the network carries; with `None`, as much as it
    /// carries.
    LimitBandwidth(Option<u64>),
    /// Something about data tracks, which only front ends know that read data channels themselves
    /// ([`Command::ReadChannels`]).
    DataTracks(DataTrackCommand),
}

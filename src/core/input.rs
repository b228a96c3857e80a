//! Everything that can happen to the core, as one enum. Nothing else can change what the core does.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::channels::ChannelEvent;
use super::command::{Command, Join, Moderation, Resume};
use super::ids::{ConnectionId, DtlsSession, ParticipantId, RecordingId, RequestId, RoomId};
use super::path::{LocalCandidate, Path};
use super::room_options::RoomChange;
use super::room_pattern::RoomPattern;

/// What the shell adds to each request to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// 32 bytes from the operating system. Everything random about this participant is expanded from them.
    pub entropy: [u8; 32],
    /// The addresses at which this client can reach us, best first; not empty.
    pub candidates: Vec<LocalCandidate>,
}

/// Everything that can happen to the core.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram arrived. The core may decrypt its bytes in place.
    Datagram {
        /// The path by which it came.
        path: Path,
        /// The bytes of the datagram.
        bytes: &'a mut [u8],
    },
    /// Somebody asks to join a room.
    Join {
        /// The signalling connection, to which events for the participant will go.
        connection: ConnectionId,
        /// Repeated in the reply.
        request: Option<RequestId>,
        /// The address under which the participant is counted: the client's IPv4 address, or the /64 network of its
        /// IPv6 address. With `None` they are not counted.
        host: Option<IpAddr>,
        /// What the shell adds to the request.
        admission: Admission,
        /// The room to join, and how.
        join: Join,
    },
    /// Somebody whose signalling broke asks to resume.
    Resume {
        /// The new signalling connection.
        connection: ConnectionId,
        /// Repeated in the reply.
        request: Option<RequestId>,
        /// Who they were, and the secret that proves it.
        resume: Resume,
    },
    /// A request on a connection.
    Command {
        /// The signalling connection that it came on.
        connection: ConnectionId,
        /// Repeated in the reply.
        request: Option<RequestId>,
        /// What the participant asks for.
        command: Command,
    },
    /// A signalling connection has broken without a goodbye.
    ConnectionLost(ConnectionId),
    /// Something happened in a DTLS handshake.
    Dtls {
        /// The handshake, as [`Output::Dtls`](super::Output::Dtls) named it.
        session: DtlsSession,
        /// What happened.
        event: DtlsEvent,
    },
    /// The operator, or a back end, does something to a room or to those in it. What became of it is known after it:
    /// [`Sfu::operate`](super::Sfu::operate) feeds this, and returns that.
    Operate(RoomId, Moderation),
    /// A room is made ahead of time, without anybody in it, or the options of one that is there are changed.
    /// [`Sfu::make_room`](super::Sfu::make_room) feeds this.
    MakeRoom(RoomId, RoomChange),
    /// A command from the operator, through `/admin/v1` or a signal.
    Admin(AdminCommand),
    /// Load shedding: from now on do this much less of the work of video in every room.
    Shed(Shedding),
    /// Until now the server could hear nobody, though it wanted to, for this long: its machine was suspended, or had no
    /// time for it. What was sent meanwhile comes after this.
    StoodStill(Duration),
    /// The time that [`Output::Timeout`](super::Output::Timeout) named has come. It does no harm to send it at another
    /// time.
    Timeout,
}

/// How much of the work of video is shed because the processor is too busy, in three stages of sixteen parts each: viewers are
/// sent the smallest pictures of a track, then the fewest, then none. Audio is never shed. Each track is lowered or paused for
/// some of its viewers first, so that no viewer loses all tracks while another has all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shedding(u8);

impl Shedding {
    /// How many parts each stage has.
    pub const PARTS: u8 = 16;
    /// Nothing is shed: everything is forwarded.
    pub const NONE: Self = Self(0);
    /// All video is lowered as far as can be, and none is paused.
    pub const LOWERED: Self = Self(2 * Self::PARTS);
    /// All video is paused, and audio alone is forwarded.
    pub const ALL: Self = Self(3 * Self::PARTS);

    /// Sheds that many parts, of which more than there are count as all.
    pub fn parts(count: u8) -> Self {
        Self(count.min(Self::ALL.0))
    }

    /// Returns how many parts are shed, 0–48.
    pub fn get(self) -> u8 {
        self.0
    }

    /// Returns for how many sixteenths of the viewers of each track it is sent in its smallest size alone.
    pub fn smaller(self) -> u8 {
        self.0.min(Self::PARTS)
    }

    /// Returns for how many sixteenths of the viewers of each track as few pictures as can be are sent.
    pub fn fewer(self) -> u8 {
        self.0.saturating_sub(Self::PARTS).min(Self::PARTS)
    }

    /// Returns for how many sixteenths of the viewers of each track nothing is sent.
    pub fn paused(self) -> u8 {
        self.0.saturating_sub(Self::LOWERED.0)
    }

    /// Returns the stage that it has come to: 0 if nothing is shed, up to 3 if some video is paused.
    pub fn stage(self) -> u8 {
        self.0.div_ceil(Self::PARTS)
    }

    /// Returns the share of the video that is paused, from 0 to 1.
    pub fn paused_share(self) -> f64 {
        f64::from(self.paused()) / f64::from(Self::PARTS)
    }

    /// Returns the share of the video that is sent smaller than it is wanted, or not at all, from 0 to 1.
    pub fn lowered_share(self) -> f64 {
        f64::from(self.smaller()) / f64::from(Self::PARTS)
    }
}

/// What an operator can do to running rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminCommand {
    /// Tell everyone in the room, and end it.
    CloseRoom(RoomId),
    /// Tell one participant, and remove them.
    Remove(RoomId, ParticipantId),
    /// Begin or end draining: joins are refused, or let in again. Calls go on, and everybody in one is told.
    Drain(bool),
    /// Tell everyone that the server stops, and end all rooms. Joins are refused from now on.
    Shutdown,
    /// Record every room with a matching name that is made from now on.
    RecordRooms(RoomPattern),
    /// Record the next room of this name that is made.
    RecordNext(RoomId),
    /// Do not record the next room of this name after all.
    RecordNextNot(RoomId),
    /// End this recording. The room goes on.
    StopRecording(RecordingId),
}

/// SRTP protection profiles (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SrtpProfile {
    /// SRTP_AES128_CM_HMAC_SHA1_80 (RFC 5764 §4.1.2).
    Aes128CmSha1_80,
    /// SRTP_AEAD_AES_128_GCM (RFC 7714 §14.2).
    AeadAes128Gcm,
    /// SRTP_AEAD_AES_256_GCM (RFC 7714 §14.2).
    AeadAes256Gcm,
}

/// What a DTLS handshake, which runs in the shell, reports to the core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DtlsEvent {
    /// A datagram to send to the peer.
    Packet(Vec<u8>),
    /// The peer's certificate, DER.
    PeerCertificate(Vec<u8>),
    /// Exported keying material (RFC 5764 §4.2): client key, server key, client salt, server salt, in this order.
    KeyingMaterial {
        /// The protection profile that was negotiated.
        profile: SrtpProfile,
        /// The bytes, as many as the profile needs.
        material: Vec<u8>,
    },
    /// The handshake is complete, and the peer has proved that it has the certificate's key.
    Connected,
    /// It is over, and nothing more comes.
    Closed(DtlsEnd),
    /// Something happened on the data channels that it carries.
    Channel(ChannelEvent),
}

/// How a DTLS handshake, or the association that came of it, ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DtlsEnd {
    /// One end said goodbye (`close_notify`, RFC 5246 §7.2.1).
    Goodbye,
    /// The peer gave up, with the number of this fatal alert (RFC 5246 §7.2.2).
    Alert(u8),
    /// It could not go on at our end: why, in words for a developer.
    Failed(String),
}

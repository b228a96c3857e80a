//! Everything that can happen to the core, as one enum. What is not in here cannot change what the core does.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::command::{Command, Join, Resume};
use super::ids::{ConnectionId, DtlsSession, ParticipantId, RecordingId, RequestId, RoomId};
use super::path::{LocalCandidate, Path};
use super::room_pattern::RoomPattern;

/// What the shell hands in with everyone who joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// 32 bytes from the operating system. All that is random about this participant is expanded from them.
    pub entropy: [u8; 32],
    /// Where this client can reach us, best first; not empty.
    pub candidates: Vec<LocalCandidate>,
}

/// Everything that can happen to the core.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram arrived. The bytes may be decrypted in place; they are the core's until the call returns.
    Datagram {
        /// The path by which it came.
        path: Path,
        /// The bytes of the datagram.
        bytes: &'a mut [u8],
    },
    /// Someone asks to enter a room.
    Join {
        /// The signalling connection; events for the participant go there.
        connection: ConnectionId,
        /// Repeated in the reply.
        request: Option<RequestId>,
        /// Whose participants it counts among: the client's IPv4 address, or the /64 network of its IPv6 address. `None`
        /// counts among nobody's.
        host: Option<IpAddr>,
        /// What the shell hands in with everyone who joins.
        admission: Admission,
        /// Which room is to be entered, and how.
        join: Join,
    },
    /// Someone whose signalling broke is back.
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
    /// A signalling connection is gone without a goodbye.
    ConnectionLost(ConnectionId),
    /// A DTLS handshake did something.
    Dtls {
        /// The handshake, as [`Output::Dtls`](super::Output::Dtls) named it.
        session: DtlsSession,
        /// What it has come to.
        event: DtlsEvent,
    },
    /// The operator, through `/admin/v1` or a signal.
    Admin(AdminCommand),
    /// Load shedding: from now on drop this share of the video in every room.
    Shed(Shedding),
    /// The time that [`Output::Timeout`](super::Output::Timeout) named has come. Any other time does no harm.
    Timeout,
}

/// Which share of the video is dropped because the machine has no time for it, in sixteenths: audio comes first. Each
/// track is dropped for some of its viewers, so that nobody loses everything while somebody has all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shedding(u8);

impl Shedding {
    /// Nothing is dropped: everything is forwarded.
    pub const NONE: Self = Self(0);
    /// All video is dropped, and audio alone is forwarded.
    pub const ALL: Self = Self(16);

    /// This many sixteenths are dropped. More than sixteen are taken for all.
    pub fn sixteenths(count: u8) -> Self {
        Self(count.min(Self::ALL.0))
    }

    /// Returns how many sixteenths are dropped, 0–16.
    pub fn get(self) -> u8 {
        self.0
    }

    /// Returns the share that is dropped, from 0 to 1.
    pub fn share(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ALL.0)
    }
}

/// What an operator can do to running rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminCommand {
    /// Tell everyone in the room, and end it.
    CloseRoom(RoomId),
    /// Tell one participant, and remove them.
    Remove(RoomId, ParticipantId),
    /// Joins are refused from now on, or let in again. Calls go on, and everybody in one is told.
    Drain(bool),
    /// Tell everyone that the server stops, and end all rooms. Joins are refused from now on.
    Shutdown,
    /// Record every room of a matching name that is made from now on.
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

/// What comes back from a DTLS handshake that runs in the shell.
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
        /// The bytes, as long as the profile asks for.
        material: Vec<u8>,
    },
    /// The handshake is complete, and the peer has proved that it has the certificate's key.
    Connected,
    /// It is over, and nothing more comes.
    Closed(DtlsEnd),
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

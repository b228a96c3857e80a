//! Everything that can happen to the core, as one enum. What is not in here cannot change what the core does.

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

/// Everything that can happen.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram arrived. The bytes may be decrypted in place; they are the core's until the call returns.
    Datagram {
        /// The way it came.
        path: Path,
        /// What it holds.
        bytes: &'a mut [u8],
    },
    /// Someone asks to enter a room.
    Join {
        /// The signalling connection; events for the participant go there.
        connection: ConnectionId,
        /// Repeated in the reply.
        request: Option<RequestId>,
        /// Entropy and candidates.
        admission: Admission,
        /// What was asked for.
        join: Join,
    },
    /// Someone whose signalling broke is back.
    Resume {
        /// The new signalling connection.
        connection: ConnectionId,
        /// Repeated in the reply.
        request: Option<RequestId>,
        /// Who it is.
        resume: Resume,
    },
    /// A request on a connection.
    Command {
        /// From whom.
        connection: ConnectionId,
        /// Repeated in the reply.
        request: Option<RequestId>,
        /// What was asked for.
        command: Command,
    },
    /// A signalling connection is gone without a goodbye.
    ConnectionLost(ConnectionId),
    /// A DTLS handshake did something.
    Dtls {
        /// Which handshake.
        session: DtlsSession,
        /// What it did.
        event: DtlsEvent,
    },
    /// The operator, through `/admin/v1` or a signal.
    Admin(AdminCommand),
    /// The machine cannot carry everything (or can again): so much of the pictures is not forwarded, in all rooms.
    Withhold(Withheld),
    /// The time that [`Output::Timeout`](super::Output::Timeout) named has come (or any other: early is harmless).
    Timeout,
}

/// How many sixteenths of all pictures are not forwarded, because there is no time for them: sound comes first. At most
/// 16. Each track is left out for some of its viewers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Withheld(u8);

impl Withheld {
    /// Everything is forwarded.
    pub const NOTHING: Self = Self(0);
    /// Sound alone is forwarded.
    pub const ALL: Self = Self(16);

    /// So many sixteenths, or all.
    pub fn sixteenths(count: u8) -> Self {
        Self(count.min(Self::ALL.0))
    }

    /// How many sixteenths.
    pub fn get(self) -> u8 {
        self.0
    }

    /// The same, from 0 to 1.
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
    /// Joins are refused from now on; calls go on.
    Drain,
    /// Tell everyone that the server stops, and end all rooms. Joins are refused from now on.
    Shutdown,
    /// Record rooms of these names that are made from now on.
    RecordRooms(RoomPattern),
    /// Record the next room of this name that is made.
    RecordNext(RoomId),
    /// Do not record it after all.
    RecordNextNot(RoomId),
    /// Record on no longer.
    StopRecording(RecordingId),
}

/// SRTP protection profiles (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SrtpProfile {
    /// AES_CM_128_HMAC_SHA1_80
    Aes128CmSha1_80,
    /// AEAD_AES_128_GCM
    AeadAes128Gcm,
    /// AEAD_AES_256_GCM
    AeadAes256Gcm,
}

/// What comes back from a DTLS handshake that runs in the shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DtlsEvent {
    /// A datagram to send to the peer.
    Packet(Vec<u8>),
    /// The peer's certificate, DER.
    PeerCertificate(Vec<u8>),
    /// Exported keying material (RFC 5764 §4.2): client key, server key, client salt, server salt.
    KeyingMaterial {
        /// The negotiated profile.
        profile: SrtpProfile,
        /// The bytes, as long as the profile asks for.
        material: Vec<u8>,
    },
    /// The handshake is complete.
    Connected,
    /// The peer said goodbye, or the handshake failed; nothing more comes.
    Closed,
}

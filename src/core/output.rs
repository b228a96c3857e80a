//! Everything that the core can ask of the shell, as one enum.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::ids::{ConnectionId, DtlsSession};
use super::input::Path;

/// What a datagram is for; the shell marks packets by it (DSCP) and may order by it within a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TrafficClass {
    /// STUN, DTLS and RTCP.
    Control,
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// One datagram to send. The bytes stay valid until the next call into the core.
#[derive(Debug)]
pub struct Transmit<'a> {
    /// From where to where.
    pub path: Path,
    /// What it is for.
    pub class: TrafficClass,
    /// What to send.
    pub bytes: &'a [u8],
}

/// What the core wants done.
#[derive(Debug)]
pub enum Output<'a> {
    /// Tell a client something. Hand it to its connection before sending any [`Transmit`] that comes later:
    /// media of a slot's new source follows the slot map that announces it.
    Event {
        /// To whom.
        connection: ConnectionId,
        /// What.
        event: Event,
    },
    /// Something for a DTLS handshake, which runs in the shell.
    Dtls {
        /// Which handshake.
        session: DtlsSession,
        /// What to do.
        request: DtlsRequest,
    },
    /// Send a datagram.
    Transmit(Transmit<'a>),
    /// Nothing more to do until then (`None`: until the next input).
    Timeout(Option<Instant>),
}

/// What the core asks of a DTLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DtlsRequest {
    /// Begin, as DTLS client (`active`) or server.
    Start {
        /// Whether we send the first flight.
        active: bool,
    },
    /// A datagram from the peer.
    Packet(Vec<u8>),
    /// Say goodbye to the peer.
    Close,
    /// The participant is gone: forget the handshake. Nothing is sent to the peer any more.
    Forget,
}

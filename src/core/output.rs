//! Everything that the core can ask of the shell, as one enum.

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::ids::{ConnectionId, DtlsSession};
use super::path::{Path, TrafficClass};
use super::timers::Deadline;

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

/// Bytes that a sink has ready for the next packet: more than the longest takes.
pub const SINK_BUFFER_BYTES: usize = 2048;

/// Where forwarded media goes: each packet is written and sealed where it is sent from, and not copied again.
pub trait MediaSink {
    /// The packets that follow go there, until the next call.
    fn to(&mut self, path: Path, class: TrafficClass);
    /// At least [`SINK_BUFFER_BYTES`] bytes to write the next packet into.
    fn buffer(&mut self) -> &mut [u8];
    /// So many bytes at the beginning of the buffer are a packet.
    fn sent(&mut self, length: usize);
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
    /// Media is ready. Call [`Sfu::forward_share`](super::Sfu::forward_share) once, then keep polling; read the sockets
    /// before calling it again, so that one room's video never delays another's audio. Carries the next deadline, like
    /// [`Timeout`](Self::Timeout).
    Media(Option<Deadline>),
    /// Nothing more to do before that deadline; `None`: before the next input. The deadline says what the wake-up is for.
    Timeout(Option<Deadline>),
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

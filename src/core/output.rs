//! Everything that the core can ask of the shell, as one enum.

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::ids::{ConnectionId, DtlsSession};
use super::path::{Path, TrafficClass};
use super::timers::Deadline;

/// One datagram to send. The bytes stay valid until the next call into the core.
#[derive(Debug)]
pub struct Transmit<'a> {
    /// From which of our addresses, to which of the peer's.
    pub path: Path,
    /// What it is for, by which packets are marked and ordered.
    pub class: TrafficClass,
    /// The bytes to send.
    pub bytes: &'a [u8],
}

/// Bytes that a sink has ready for the next packet: more than the longest takes.
pub const SINK_BUFFER_BYTES: usize = 2048;

/// Where forwarded media goes: each packet is written and sealed where it is sent from, and not copied again.
pub trait MediaSink {
    /// Says where the packets that follow go, until the next call.
    fn to(&mut self, path: Path, class: TrafficClass);
    /// Returns a buffer of at least [`SINK_BUFFER_BYTES`] bytes, to write the next packet into.
    fn buffer(&mut self) -> &mut [u8];
    /// Sends the first `length` bytes of the buffer as one packet.
    fn sent(&mut self, length: usize);
}

/// What the core wants done.
#[derive(Debug)]
pub enum Output<'a> {
    /// Tell a client something. Hand it to its connection before sending any [`Transmit`] that comes later:
    /// media of a slot's new source follows the slot map that announces it.
    Event {
        /// The signalling connection of the client.
        connection: ConnectionId,
        /// What it is told.
        event: Event,
    },
    /// Something for a DTLS handshake, which runs in the shell.
    Dtls {
        /// The handshake. A new value means a new one.
        session: DtlsSession,
        /// What the handshake is to do.
        request: DtlsRequest,
    },
    /// Send this datagram, as soon as the socket takes it.
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
    /// Say goodbye to the peer: the connection is over.
    Close,
    /// The participant is gone: forget the handshake.
    Forget {
        /// The way by which the peer hears of it, if it was connected. What is sent goes there without coming back to
        /// the core, where nobody is left whose datagram it could be.
        goodbye: Option<Path>,
    },
}

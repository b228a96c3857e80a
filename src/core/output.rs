//! Everything that the core can ask of the shell, as one enum.

use serde::{Deserialize, Serialize};

use super::channels::ChannelRequest;
use super::event::Event;
use super::ids::{ConnectionId, DtlsSession};
use super::path::{Path, TrafficClass};
use super::timers::Deadline;

/// One datagram to send. The bytes stay valid until the next call into the core.
#[derive(Debug)]
pub struct Transmit<'a> {
    /// The addresses, ours and the peer's, and what carries the datagram.
    pub path: Path,
    /// What it is for. Packets are marked and ordered by it.
    pub class: TrafficClass,
    /// The bytes to send.
    pub bytes: &'a [u8],
}

/// The size of the buffer that a sink lends for a packet, in bytes: more than the longest packet needs.
pub const SINK_BUFFER_BYTES: usize = 2048;

/// Where forwarded media goes. Each packet is written and encrypted in the buffer from which it is sent, so it is not
/// copied again.
pub trait MediaSink {
    /// Says where the packets that follow go, until the next call.
    fn to(&mut self, path: &Path, class: TrafficClass);
    /// Returns a buffer of at least [`SINK_BUFFER_BYTES`] bytes, to write the next packet into.
    fn buffer(&mut self) -> &mut [u8];
    /// Sends the first `length` bytes of the buffer as one packet.
    fn sent(&mut self, length: usize);
}

/// What the core wants done.
#[derive(Debug)]
pub enum Output<'a> {
    /// Tell a client something. Hand it to the connection before sending any later [`Transmit`], so that the slot map
    /// that announces a slot's new source comes before its media.
    Event {
        /// The signalling connection of the client.
        connection: ConnectionId,
        /// What it is told.
        event: Event,
    },
    /// Ask something of a DTLS handshake, which runs in the shell.
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
    /// Do something with the data channels that it carries.
    Channel(ChannelRequest),
    /// Say goodbye to the peer: the connection is over.
    Close,
    /// The participant is gone: forget the handshake.
    Forget {
        /// The path for a closing alert, if the peer was connected. The shell sends the alert there itself, because
        /// nobody is left in the core to send it.
        goodbye: Option<Path>,
    },
}

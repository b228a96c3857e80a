//! Outbox: where a room puts what it wants done, until the shell has drained it.

use serde::{Deserialize, Serialize};

use super::datagrams::Datagrams;
use super::event::{Event, Refusal};
use super::ids::{ParticipantKey, RequestId, TransportKey};
use super::output::{DtlsRequest, MediaSink};
use super::path::{Path, TrafficClass};
use crate::wire::stun;

/// Something that a room wants of the `Sfu` or, through it, of the shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoomOutput {
    /// Tell a participant something.
    Event(ParticipantKey, Event),
    /// Something for the handshake of a transport.
    Dtls(TransportKey, DtlsRequest),
    /// Connectivity checks with this ufrag are for that transport.
    BindUfrag(TransportKey, String),
    /// A connectivity check came by this path: datagrams from there are for that transport.
    BindPath(TransportKey, Path),
    /// The transport uses other addresses instead: datagrams from there are no longer for it.
    UnbindPath(TransportKey, Path),
    /// A ufrag is not used any more.
    UnbindUfrag(String),
    /// Whoever asked to enter or to come back is that participant now.
    Admitted(ParticipantKey),
    /// Whoever asked to enter or to come back may not.
    Refused(Option<RequestId>, Refusal),
    /// The participant is gone.
    Gone(ParticipantKey),
}

/// What waits for the shell.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Everything but datagrams, in order.
    pub outputs: Vec<RoomOutput>,
    /// Datagrams, in order.
    pub datagrams: Datagrams,
}

impl Outbox {
    /// Tells a participant something.
    pub fn event(&mut self, to: ParticipantKey, event: Event) {
        self.outputs.push(RoomOutput::Event(to, event));
    }

    /// Writes one datagram in place: `write` fills the buffer and returns how much of it, or `None` to send nothing.
    pub fn transmit(
        &mut self,
        path: Path,
        class: TrafficClass,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> bool {
        self.datagrams.to(path, class);
        let Some(length) = write(self.datagrams.buffer()) else { return false };
        self.datagrams.sent(length);
        true
    }

    /// Does something that puts out media, with the datagrams of this outbox for the sink.
    pub fn with_sink<R>(&mut self, act: impl FnOnce(&mut Self, &mut dyn MediaSink) -> R) -> R {
        let mut datagrams = std::mem::take(&mut self.datagrams);
        let result = act(self, &mut datagrams);
        debug_assert!(self.datagrams.is_empty(), "while media goes to the sink, nothing else is sent");
        self.datagrams = datagrams;
        result
    }

    /// How many datagrams wait.
    pub fn transmits(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether one of the datagrams from the `first` on answers that connectivity check, by the path that it came by.
    pub fn answers_check(&self, first: usize, path: Path, transaction: [u8; 12]) -> bool {
        self.datagrams.from(first).any(|(to, _, bytes)| {
            let answer = stun::peek(bytes).filter(stun::StunPeek::is_binding_success);
            to == path && answer.is_some_and(|answer| answer.transaction == transaction)
        })
    }

    /// Forgets everything, keeping the memory.
    pub fn clear(&mut self) {
        self.outputs.clear();
        self.datagrams.clear();
    }
}

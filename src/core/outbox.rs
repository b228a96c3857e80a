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
    /// Tell a member something.
    Event(ParticipantKey, Event),
    /// Something for the handshake of a transport.
    Dtls(TransportKey, DtlsRequest),
    /// Connectivity checks with this ufrag are for that transport.
    BindUfrag(TransportKey, String),
    /// A connectivity check came by this path: datagrams from there are for that transport.
    BindPath(TransportKey, Path),
    /// The transport uses other addresses instead: datagrams from there are no longer for it.
    UnbindPath(TransportKey, Path),
    /// No connectivity check with this ufrag is expected any more.
    UnbindUfrag(String),
    /// Whoever asked to enter or to come back is that member from now on.
    Admitted(ParticipantKey),
    /// Whoever asked to enter or to come back may not, and why.
    Refused(Option<RequestId>, Refusal),
    /// The member is gone, after their transports.
    Gone(ParticipantKey),
}

/// What a room has put out and nobody has taken yet.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Everything except datagrams, in the order in which it was said.
    pub outputs: Vec<RoomOutput>,
    /// Datagrams, in the order in which they are to be sent.
    pub datagrams: Datagrams,
}

impl Outbox {
    /// Tells a member something.
    pub fn event(&mut self, to: ParticipantKey, event: Event) {
        self.outputs.push(RoomOutput::Event(to, event));
    }

    /// Writes one datagram in place: `write` fills the buffer and returns how many bytes of it are to be sent, or `None` to
    /// send nothing. Returns whether anything is sent.
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

    /// Returns how many datagrams wait.
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

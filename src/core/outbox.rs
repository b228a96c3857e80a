//! Outbox: what a room wants done, until the `Sfu` and the shell have taken it.

use serde::{Deserialize, Serialize};

use super::datagrams::Datagrams;
use super::event::{Event, LeaveReason, Refusal};
use super::happening::Happening;
use super::ids::{ParticipantId, ParticipantKey, RequestId, TransportKey};
use super::notice::Notice;
use super::output::{DtlsRequest, MediaSink};
use super::path::{Path, TrafficClass};
use crate::wire::stun;

/// Something that a room wants the `Sfu` to do or, through it, the shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoomOutput {
    /// Tell a member something.
    Event(ParticipantKey, Event),
    /// Ask something of a transport's DTLS handshake.
    Dtls(TransportKey, DtlsRequest),
    /// From now on, connectivity checks with this ufrag are for that transport.
    BindUfrag(TransportKey, String),
    /// A connectivity check came by this path: from now on, datagrams from there are for that transport, unless they are
    /// for one that is alive and has proved that it receives there.
    BindPath(TransportKey, Path),
    /// The transport no longer uses this path: datagrams from there are not for it any more.
    UnbindPath(TransportKey, Path),
    /// No connectivity check with this ufrag is expected any more.
    UnbindUfrag(String),
    /// The one who asked to join or resume is that member from now on.
    Admitted(ParticipantKey),
    /// The one who asked to join or resume is refused.
    Refused(Option<RequestId>, Refusal),
    /// The one who asked to join waits under this id until somebody lets them in.
    Knocked(ParticipantId),
    /// Tell somebody something who waits.
    ToWaiting(ParticipantId, Event),
    /// Somebody does not wait any more: if they are admitted or refused next, it is they who asked.
    WaitsNoLonger(ParticipantId),
    /// The operation of the operator's was carried out, or refused.
    Operated(Result<(), Refusal>),
    /// Something that whoever runs the server wants to know.
    Noted(Box<Notice>),
    /// The member is gone. Their transports have gone before.
    Gone(ParticipantKey, LeaveReason),
    /// The peer has proved to receive by this path: from now on, datagrams from there are for that transport, whosever they
    /// were before.
    ClaimPath(TransportKey, Path),
}

/// What a room wants done and nobody has taken yet.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Everything except datagrams, in the order in which it is to be done.
    pub outputs: Vec<RoomOutput>,
    /// Datagrams, in the order in which they are to be sent.
    pub datagrams: Datagrams,
    /// What has happened, for people beside the members. Nothing depends on it.
    pub happenings: Vec<Happening>,
}

impl Outbox {
    /// Tells a member something.
    pub fn event(&mut self, to: ParticipantKey, event: Event) {
        self.outputs.push(RoomOutput::Event(to, event));
    }

    /// Refuses whoever asks to come in, or to come back.
    pub fn refuse(&mut self, request: Option<RequestId>, refusal: Refusal) {
        self.outputs.push(RoomOutput::Refused(request, refusal));
    }

    /// Writes one datagram in place: `write` fills the buffer and returns how many bytes of it are to be sent, or `None` to
    /// send nothing. Returns whether anything is sent.
    pub fn transmit(
        &mut self,
        path: Path,
        class: TrafficClass,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> bool {
        self.datagrams.to(&path, class);
        let Some(length) = write(self.datagrams.buffer()) else { return false };
        self.datagrams.sent(length);
        true
    }

    /// Runs `act`, which forwards media, with this outbox's datagrams as the sink.
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

    /// Whether one of the datagrams from number `first` on answers that connectivity check, by the path by which it
    /// came.
    pub fn answers_check(&self, first: usize, path: Path, transaction: [u8; 12]) -> bool {
        self.datagrams.from(first).any(|(to, _, bytes)| {
            let answer = stun::peek(bytes).filter(stun::StunPeek::is_binding_success);
            to == path && answer.is_some_and(|answer| answer.transaction == transaction)
        })
    }

    /// Returns how many bytes the datagrams from number `first` on have that go by that path.
    pub fn bytes_by(&self, first: usize, path: Path) -> usize {
        self.datagrams.from(first).filter(|(to, ..)| *to == path).map(|(_, _, bytes)| bytes.len()).sum()
    }

    /// Forgets everything but keeps the memory.
    pub fn clear(&mut self) {
        self.outputs.clear();
        self.happenings.clear();
        self.datagrams.clear();
    }
}

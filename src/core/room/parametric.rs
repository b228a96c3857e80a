//! Members without session descriptions, who open transports, produce and consume by ORTC parameters
//! ([`Layout::Parameters`](crate::core::command::Layout::Parameters)).

use std::time::Instant;

use super::Room;
use crate::core::command::Command;
use crate::core::event::{Event, Refusal, RefusalCode};
use crate::core::ids::{ParticipantKey, RequestId};
use crate::core::outbox::Outbox;

impl Room {
    /// Carries out what a member asks for by ORTC parameters.
    pub(super) fn parametric(
        &mut self,
        _now: Instant,
        from: ParticipantKey,
        request: Option<RequestId>,
        _command: Command,
        outbox: &mut Outbox,
    ) {
        let refusal = Refusal::new(
            RefusalCode::BadParameters,
            "transports cannot be opened by parameters yet",
            "make an offer instead",
        );
        outbox.event(from, Event::Refused(request, refusal));
    }
}

//! Members without session descriptions, who open transports, produce and consume by ORTC parameters
//! ([`Layout::Parameters`](crate::core::command::Layout::Parameters)). Here are their transports; what goes in and out on these
//! is in [`producing`](super::producing) and [`consuming`](super::consuming).

use std::time::Instant;

use super::Room;
use crate::core::command::{Command, Lifeline};
use crate::core::event::{Event, OpenedTransport, Refusal, RefusalCode};
use crate::core::ids::{Mid, ParticipantKey, RequestId, TrackId, TransportId, TransportKey};
use crate::core::input::Admission;
use crate::core::negotiated::{Negotiated, NegotiatedSection};
use crate::core::negotiation::transport::{Fingerprint, fingerprint};
use crate::core::ortc::{
    DtlsFingerprint, DtlsParameters, DtlsRole, IceCandidate, IceParameters, TransportDirection, check,
};
use crate::core::outbox::Outbox;
use crate::core::transport::Parametric;

/// Most transports that somebody may have open: one to send and one to receive, and as many while they replace these.
const TRANSPORTS_MAX: usize = 4;

/// Returns the refusal of parameters that cannot be served, for this reason.
pub(super) fn bad_parameters(why: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::BadParameters, why, "correct the parameters; nothing has changed")
}

/// Returns the refusal of a transport that is not there, or somebody else's.
pub(super) fn unknown_transport() -> Refusal {
    Refusal::new(
        RefusalCode::UnknownTransport,
        "Transport not found",
        "use the id of a transport that you have opened and not closed",
    )
}

impl Room {
    /// Carries out what a member asks for by ORTC parameters, and tells them.
    pub(super) fn parametric(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        request: Option<RequestId>,
        command: Command,
        outbox: &mut Outbox,
    ) {
        if let Err(refusal) = self.carry_out_parametric(now, from, &request, command, outbox) {
            outbox.event(from, Event::Refused(request, refusal));
        }
    }

    fn carry_out_parametric(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        request: &Option<RequestId>,
        command: Command,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        if !self.participants[from.0].is_parametric() {
            return Err(bad_parameters(
                "you have joined to make offers, not to open transports by parameters",
            ));
        }
        let reply = match command {
            Command::OpenTransport { direction } => {
                let opened = self.open_transport(now, from, direction, outbox)?;
                Event::TransportOpened(request.clone(), Box::new(opened))
            }
            Command::RestartTransport { transport } => {
                let opened = self.restart_transport(now, from, transport, outbox)?;
                Event::TransportOpened(request.clone(), Box::new(opened))
            }
            Command::ConnectTransport { transport, dtls } => {
                let on = self.own_transport(from, transport).ok_or_else(unknown_transport)?;
                self.connect_transport(now, on, &dtls)?;
                // Told before what the handshake leads to.
                outbox.event(from, Event::Done(request.clone()));
                self.carry_out_effects(now, on, None, outbox);
                return Ok(());
            }
            Command::CloseTransport { transport } => {
                let on = self.own_transport(from, transport).ok_or_else(unknown_transport)?;
                self.close_transport(now, from, on, outbox);
                Event::Done(request.clone())
            }
            Command::Produce { transport, kind, parameters, source, muted } => {
                let asked = (kind, source, muted);
                let publication = self.produce(now, from, transport, &parameters, asked)?;
                let track = self.publications[publication.0].track;
                outbox.event(from, Event::Produced(request.clone(), track));
                // The owner knows the track first.
                self.tell_of_added(now, from, vec![publication], outbox);
                return Ok(());
            }
            Command::CloseProducer { track } => {
                self.close_producer(now, from, track, outbox)?;
                Event::Done(request.clone())
            }
            Command::Consume { transport, track, capabilities, paused } => {
                let consumed = self.consume(now, from, transport, track, (&capabilities, paused), outbox)?;
                Event::Consumed(request.clone(), Box::new(consumed))
            }
            _ => return Ok(()),
        };
        outbox.event(from, reply);
        Ok(())
    }

    /// Notes that a member has asked for something, which keeps those in the room who have nothing else to show for it.
    pub(super) fn note_asked(&mut self, now: Instant, from: ParticipantKey) {
        let participant = &mut self.participants[from.0];
        participant.asked_at = now;
        if participant.lifeline == Lifeline::Media && participant.is_parametric() {
            self.set_expiry(from);
        }
    }

    /// Returns the transport of a member that has that name; `None` if it is nobody's, or somebody else's.
    pub(super) fn own_transport(&self, from: ParticipantKey, id: TransportId) -> Option<TransportKey> {
        let mut own = self.transports_of(from).iter().copied();
        own.find(|key| self.transports[key.0].parametric.is_some_and(|own| own.id == id))
    }

    fn open_transport(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        direction: TransportDirection,
        outbox: &mut Outbox,
    ) -> Result<OpenedTransport, Refusal> {
        if self.transports_of(from).len() >= TRANSPORTS_MAX {
            return Err(Refusal::new(
                RefusalCode::TooManyTransports,
                format!("you have {TRANSPORTS_MAX} transports open already"),
                "close one that you do not use",
            ));
        }
        let participant = &mut self.participants[from.0];
        let id = TransportId(participant.rng.u64());
        let mut entropy = [0; 32];
        for part in entropy.chunks_exact_mut(8) {
            part.copy_from_slice(&participant.rng.u64().to_be_bytes());
        }
        let admission = Admission { entropy, candidates: participant.candidates.clone() };
        let on = self.add_transport(now, Some(from), admission, outbox).ok_or_else(unknown_transport)?;
        self.transports[on.0].parametric = Some(Parametric { id, direction });
        Ok(self.opened(on, id))
    }

    fn restart_transport(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        id: TransportId,
        outbox: &mut Outbox,
    ) -> Result<OpenedTransport, Refusal> {
        let on = self.own_transport(from, id).ok_or_else(unknown_transport)?;
        let transport = &mut self.transports[on.0];
        let mut own_rng = transport.rng.take();
        let rng = own_rng.as_mut().unwrap_or(&mut self.participants[from.0].rng);
        transport.with_session(|session| session.restart(now, rng));
        transport.rng = own_rng;
        self.ice_restarted(on, outbox);
        Ok(self.opened(on, id))
    }

    /// Returns what the owner of a transport is told of it, to connect to it.
    fn opened(&self, on: TransportKey, id: TransportId) -> OpenedTransport {
        let transport = &self.transports[on.0];
        let session = transport.session();
        let algorithm = "sha-256".to_owned();
        let fingerprints =
            vec![DtlsFingerprint { algorithm, value: fingerprint(&self.settings.certificate) }];
        OpenedTransport {
            transport: id,
            ice: IceParameters {
                username_fragment: session.ufrag().to_owned(),
                password: session.password().to_owned(),
                ice_lite: true,
            },
            candidates: IceCandidate::all(&transport.candidates),
            dtls: DtlsParameters { role: DtlsRole::Auto, fingerprints },
        }
    }

    fn connect_transport(
        &mut self,
        now: Instant,
        on: TransportKey,
        dtls: &DtlsParameters,
    ) -> Result<(), Refusal> {
        check::dtls(dtls).map_err(bad_parameters)?;
        let mut fingerprints = Vec::new();
        for DtlsFingerprint { algorithm, value } in &dtls.fingerprints {
            let read = Fingerprint::read(&format!("{algorithm} {value}"));
            fingerprints.extend(read.map_err(bad_parameters)?);
        }
        if fingerprints.is_empty() {
            let why = "dtlsParameters.fingerprints has none by sha-256, sha-384 or sha-512";
            return Err(bad_parameters(why));
        }
        let is_active = dtls.role == DtlsRole::Server;
        let transport = &mut self.transports[on.0];
        transport
            .with_session(|session| session.connect(now, fingerprints, is_active))
            .map_err(bad_parameters)?;
        transport.expect_peer(now);
        Ok(())
    }

    /// Ends a transport of a member that has closed it, with all that was produced and consumed on it.
    fn close_transport(&mut self, now: Instant, of: ParticipantKey, on: TransportKey, outbox: &mut Outbox) {
        for track in self.consumed_on(of, on) {
            self.end_subscription(now, of, track, outbox);
        }
        self.remove_transport(now, on, outbox);
    }

    /// Ends a transport of a member, who has not asked for that, and tells them.
    pub(super) fn end_parametric(
        &mut self,
        now: Instant,
        of: ParticipantKey,
        on: TransportKey,
        outbox: &mut Outbox,
    ) {
        let id = self.transports[on.0].parametric.map(|own| own.id);
        let ended = self.consumed_on(of, on);
        self.close_transport(now, of, on, outbox);
        for event in ended.into_iter().map(Event::ConsumerEnded).chain(id.map(Event::TransportEnded)) {
            outbox.event(of, event);
        }
    }

    /// Returns the transports that a member has opened.
    pub(super) fn opened_by(&self, member: ParticipantKey) -> Vec<TransportId> {
        let own = self.transports_of(member).iter();
        own.filter_map(|on| Some(self.transports.get(on.0)?.parametric?.id)).collect()
    }

    /// Returns the tracks that are sent on a transport.
    fn consumed_on(&self, of: ParticipantKey, on: TransportKey) -> Vec<TrackId> {
        let here = self.participants[of.0].slots.iter().filter(|slot| slot.transport == on);
        here.filter_map(|slot| slot.shown).map(|shown| shown.track).collect()
    }

    /// Returns a mid that no section on a transport of a member has.
    pub(super) fn next_mid(&mut self, of: ParticipantKey, on: TransportKey) -> Mid {
        loop {
            let mid = self.participants[of.0].next_mid();
            // Some of those that the client publishes in were named by itself.
            if self.transports[on.0].negotiated.section(mid).is_none() {
                return mid;
            }
        }
    }

    /// Takes over the sections of a transport whose client makes no offers.
    pub(super) fn take_sections(&mut self, on: TransportKey, sections: Vec<NegotiatedSection>) {
        self.transports[on.0].take_negotiated(Negotiated::of_sections(sections));
    }
}

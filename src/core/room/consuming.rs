//! Consuming: members without session descriptions receive tracks that they ask for one by one. Each has a section, and a slot,
//! of its own, which are there for as long as it is consumed: nothing else is ever shown in it.

use std::time::Instant;

use super::Room;
use super::parametric::bad_parameters;
use crate::core::command::MediaKind;
use crate::core::event::{Consumed, Refusal, RefusalCode};
use crate::core::forward::publication::Publication;
use crate::core::ids::{Mid, ParticipantKey, PublicationKey, Ssrc, TrackId, TransportId, TransportKey};
use crate::core::msid::stream_of;
use crate::core::negotiated::Codec;
use crate::core::ortc::consumed::{self, Sent};
use crate::core::ortc::{RtpCapabilities, TransportDirection, check};
use crate::core::outbox::Outbox;
use crate::core::transport::Transport;

fn no_receive_transport() -> Refusal {
    Refusal::new(
        RefusalCode::NoReceiveTransport,
        "Consumer transport not found",
        "open a transport for receiving, and name its id",
    )
}

fn cannot_consume() -> Refusal {
    Refusal::new(
        RefusalCode::CannotConsume,
        "Cannot consume",
        "this client cannot receive what the track is sent as; leave it out",
    )
}

impl Room {
    /// Sends a track to a member, on that transport of theirs. `asked` says what their client can receive, and whether nothing
    /// is sent until it is resumed.
    pub(super) fn consume(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        transport: TransportId,
        track: TrackId,
        asked: (&RtpCapabilities, bool),
        outbox: &mut Outbox,
    ) -> Result<Consumed, Refusal> {
        let (capabilities, paused) = asked;
        let on = self.own_transport(from, transport).ok_or_else(no_receive_transport)?;
        let receives =
            |own: &Transport| own.parametric.is_some_and(|own| own.direction == TransportDirection::Receive);
        if !receives(&self.transports[on.0]) {
            return Err(no_receive_transport());
        }
        let key = self.others_track(from, track)?;
        self.check_let(from, key)?;
        check::capabilities(capabilities).map_err(bad_parameters)?;
        let (kind, muted) = (self.publications[key.0].kind(), self.publications[key.0].muted);
        self.check_room_for(from, track, kind)?;
        let mid = self.next_mid(from, on);
        let Sent { section, parameters } =
            self.sent(from, on, key, mid, capabilities).ok_or_else(cannot_consume)?;
        // Whoever asks again for what they have does not know what they have: it begins anew.
        self.end_subscription(now, from, track, outbox);
        // Slots may be replaced below, so what they have sent is counted first.
        self.collect_counters(from);
        let mut sections = self.transports[on.0].negotiated.sections.clone();
        sections.push(section);
        self.take_sections(on, sections);
        self.take_slots(now, from, on);
        let participant = &mut self.participants[from.0];
        participant.subscribe(track, kind, muted);
        participant.subscriptions.set_paused(track, paused);
        let index = participant.slots.iter().position(|slot| slot.transport == on && slot.mid == mid);
        if let Some(index) = index {
            self.put_into_slot(now, from, key, index);
        }
        Ok(Consumed { track, kind, parameters, paused, muted })
    }

    /// Checks that a member may consume one more track of a kind, beside that one.
    fn check_room_for(&self, from: ParticipantKey, track: TrackId, kind: MediaKind) -> Result<(), Refusal> {
        let most = match kind {
            MediaKind::Audio => self.settings.slots_max.audio,
            MediaKind::Video => self.settings.slots_max.video,
        };
        let subscriptions = self.participants[from.0].subscriptions.iter();
        let others = subscriptions.filter(|(other, one)| *other != track && one.kind == kind).count();
        if others < most {
            return Ok(());
        }
        Err(Refusal::new(
            RefusalCode::TooManyTracks,
            format!("you receive {others} tracks of {} already, and no more are allowed", kind.as_str()),
            "close a consumer that you do not need",
        ))
    }

    /// Returns how a track is sent to a member in a new section; `None` if they cannot receive it.
    fn sent(
        &mut self,
        to: ParticipantKey,
        on: TransportKey,
        key: PublicationKey,
        mid: Mid,
        capabilities: &RtpCapabilities,
    ) -> Option<Sent> {
        let ssrcs = self.draw_ssrcs(to, on);
        let publication = &self.publications[key.0];
        let codecs = self.codecs_of(publication);
        let cname = cname(publication);
        let (kind, cname) = (publication.kind(), cname.as_str());
        consumed::consume(consumed::Track { mid, kind, codecs: &codecs, ssrcs, cname }, capabilities)
    }

    /// Returns the codecs in which a track may come, the one in which it does first.
    fn codecs_of(&self, publication: &Publication) -> Vec<Codec> {
        let section = self.transports[publication.transport.0].negotiated.section(publication.mid);
        let agreed = section.into_iter().flat_map(|section| &section.codecs).map(|params| params.codec);
        let mut codecs: Vec<Codec> = Vec::new();
        for codec in publication.codec().into_iter().chain(agreed) {
            if !codecs.contains(&codec) {
                codecs.push(codec);
            }
        }
        codecs
    }

    /// Draws SSRCs for media and retransmissions that nothing on the transport has.
    fn draw_ssrcs(&mut self, to: ParticipantKey, on: TransportKey) -> (Ssrc, Ssrc) {
        let Transport { rng, negotiated, .. } = &mut self.transports[on.0];
        let rng = rng.as_mut().unwrap_or(&mut self.participants[to.0].rng);
        let egress = negotiated.sections.iter().filter_map(|section| section.egress);
        let mut taken: Vec<Ssrc> = egress.flat_map(|(main, rtx)| std::iter::once(main).chain(rtx)).collect();
        // Clients of mediasoup receive something of their own with this one.
        taken.extend([Ssrc(0), CLIENTS_OWN_SSRC]);
        let mut draw = || loop {
            let ssrc = Ssrc(rng.u32());
            if !taken.contains(&ssrc) {
                taken.push(ssrc);
                return ssrc;
            }
        };
        (draw(), draw())
    }

    /// Ends the sections of a member in which nothing is shown: their tracks have ended, or are wanted no more. Does nothing
    /// where members make offers.
    pub(super) fn end_idle_consumers(&mut self, now: Instant, of: ParticipantKey) {
        let participant = &self.participants[of.0];
        if !participant.is_parametric() {
            return;
        }
        let idle = participant.slots.iter().filter(|slot| slot.open && slot.shown.is_none());
        let by_parameters =
            |on: TransportKey| self.transports.get(on.0).is_some_and(|on| on.parametric.is_some());
        let idle = idle.map(|slot| (slot.transport, slot.mid)).filter(|(on, _)| by_parameters(*on));
        let mut idle: Vec<(TransportKey, Mid)> = idle.collect();
        self.collect_counters(of);
        while let Some((on, mid)) = idle.pop() {
            let Some(transport) = self.transports.get(on.0) else { continue };
            let sections = transport.negotiated.sections.iter();
            let left: Vec<_> = sections.filter(|section| section.mid != mid).cloned().collect();
            self.take_sections(on, left);
            self.take_slots(now, of, on);
        }
    }
}

/// The SSRC of a section that clients of mediasoup add for themselves (`probator`).
const CLIENTS_OWN_SSRC: Ssrc = Ssrc(1234);

/// Returns the canonical name of what is sent of a track: the same for all tracks of its owner that play in sync.
fn cname(publication: &Publication) -> String {
    format!("{}-{}", publication.owner_id, stream_of(publication.source, publication.label.as_deref()))
}

//! The transports of a room: adding and removing them, datagrams in, handshakes, and the start and the end of media.

use std::time::{Duration, Instant};

use tracing::{debug, info, trace, warn};

use super::{Owner, Room};
use crate::core::event::{Event, LeaveReason};
use crate::core::ids::{ParticipantKey, PublicationKey, Ssrc, TransportKey};
use crate::core::input::Shedding;
use crate::core::input::{Admission, SrtpProfile};
use crate::core::media::egress::EgressHalf;
use crate::core::media::halves::MediaHalves;
use crate::core::media::ingress::IngressHalf;
use crate::core::media::redundancy::Redundancy;
use crate::core::media::srtp;
use crate::core::mutation::mutated;
use crate::core::outbox::{Outbox, RoomOutput};
use crate::core::output::DtlsRequest;
use crate::core::participant::Participant;
use crate::core::path::{Path, TrafficClass};
use crate::core::rng::Rng;
use crate::core::session::{Effect, Session, SessionEnd};
use crate::core::timers::Timer;
use crate::core::transport::Transport;
use crate::wire::classify::DatagramKind;

/// The content type of DTLS records that carry data (RFC 6347 §4.1).
const DTLS_APPLICATION_DATA: u8 = 23;
/// How soon after the handshake the first reports go out.
const FIRST_REPORT: Duration = Duration::from_millis(200);

impl Room {
    /// Returns the member to whom a transport belongs; `None` if there is no such transport or it belongs to nobody.
    pub fn owner_of(&self, key: TransportKey) -> Option<ParticipantKey> {
        self.transports.get(key.0)?.owner
    }

    /// Whether a transport has keys, so that media can flow on it.
    pub fn has_media(&self, key: TransportKey) -> bool {
        self.transports.get(key.0).is_some_and(|transport| transport.media.is_some())
    }

    /// Whether the peer of a transport is there, and has proved to receive by that path.
    pub fn holds_path(&self, now: Instant, key: TransportKey, path: &Path) -> bool {
        self.transports.get(key.0).is_some_and(|transport| transport.holds(now, path))
    }

    /// Returns the transports of a member, in the order in which they were made.
    pub fn transports_of(&self, of: ParticipantKey) -> &[TransportKey] {
        self.participants.get(of.0).map_or(&[], |participant| &participant.transports)
    }

    /// Adds a transport, which belongs to a member or is a link that belongs to nobody. Its randomness comes from the
    /// admission's entropy. Returns `None` if there is no such member.
    ///
    /// It is for front ends whose clients have several peer connections. Traces do not hold it yet, so do not use it in
    /// a room that is recorded.
    pub fn add_transport(
        &mut self,
        now: Instant,
        owner: Option<ParticipantKey>,
        admission: Admission,
        outbox: &mut Outbox,
    ) -> Option<TransportKey> {
        if owner.is_some_and(|owner| !self.participants.contains(owner.0)) {
            return None;
        }
        // It has its own randomness, so that a member's does not depend on when they add and remove transports.
        let mut rng = Rng::new(admission.entropy);
        let session = Session::new(now, &self.tag, &self.settings.certificate, &mut rng);
        let transport =
            Transport::new(now, self.settings.epoch, owner, Some(rng), admission.candidates, session);
        let key = self.insert_transport(transport, outbox);
        self.step_on(now, key, outbox, |room, outbox| room.carry_out_effects(now, key, None, outbox));
        Some(key)
    }

    /// Adds a transport to the room, and makes its ufrag lead to it.
    pub(super) fn insert_transport(&mut self, transport: Transport, outbox: &mut Outbox) -> TransportKey {
        // Grows by a quarter: a transport is large, and vectors would double.
        let places = self.transports.capacity();
        if self.transports.len() == places {
            self.transports.reserve_exact((places / 4).max(2));
        }
        debug_assert!(transport.owner.is_none_or(|owner| self.participants.contains(owner.0)));
        let (owner, ufrag) = (transport.owner, transport.session().ufrag().to_owned());
        let key = TransportKey(self.transports.insert(transport));
        if let Some(participant) = owner.and_then(|owner| self.participants.get_mut(owner.0)) {
            participant.transports.push(key);
        }
        outbox.outputs.push(RoomOutput::BindUfrag(key, ufrag));
        key
    }

    /// Ends one transport, with the tracks published on it and the slots on it. A member whose last transport ends this
    /// way stays in the room.
    pub fn remove_transport(&mut self, now: Instant, key: TransportKey, outbox: &mut Outbox) {
        let Some(transport) = self.transports.get(key.0) else { return };
        let owner = transport.owner;
        if let Some(owner) = owner {
            self.collect_counters(owner);
            let published = self.participants[owner.0].publications.iter().copied();
            let here: Vec<PublicationKey> =
                published.filter(|publication| self.publications[publication.0].transport == key).collect();
            for publication in here {
                self.unpublish(now, publication, outbox);
            }
            self.remove_slots(owner, key);
            self.participants[owner.0].transports.retain(|other| *other != key);
            if let Some(channels) = &mut self.participants[owner.0].channels {
                channels.drop_transport(key);
            }
        }
        // Last, so that nothing names a transport that is gone.
        self.drop_transport(key, outbox);
        match owner {
            Some(owner) => {
                self.review_media_of(owner, outbox);
                self.slot_maps.push(owner);
                self.check_codecs(owner, outbox);
                self.assign_slots(now, owner, outbox);
                self.set_expiry(owner);
                self.arm(now, Owner::Member(owner));
            }
            None => self.timers.set(Owner::Transport(key), None),
        }
        self.send_slot_maps(now, outbox);
    }

    /// Removes the slots of a transport that ends. The slots behind them move up, and everything that names one by its
    /// index is updated.
    fn remove_slots(&mut self, owner: ParticipantKey, transport: TransportKey) {
        // From the end, so that removing one does not move those still to come.
        for index in (0..self.participants[owner.0].slots.len()).rev() {
            if self.participants[owner.0].slots[index].transport != transport {
                continue;
            }
            self.release_slot(owner, index);
            let Participant { slots, subscriptions, transports, .. } = &mut self.participants[owner.0];
            slots.remove(index);
            subscriptions.on_slot_removed(index);
            for other in transports.iter() {
                for slot in self.transports[other.0].slot_by_ssrc.values_mut() {
                    *slot -= usize::from(*slot > index);
                }
            }
            for shown in slots.iter().filter_map(|slot| slot.shown) {
                let Some(publication) = self.publications.get_mut(shown.publication.0) else { continue };
                publication.on_slot_removed(owner, index);
            }
        }
    }

    /// Forgets a transport and everything that leads to it.
    pub(super) fn drop_transport(&mut self, key: TransportKey, outbox: &mut Outbox) {
        let transport = self.transports.remove(key.0);
        debug_assert!(
            self.publications.iter().all(|(_, publication)| publication.transport != key),
            "what came in on a transport is unpublished before it ends"
        );
        // A client without signalling only hears by a closing alert that it was removed. It is sent even if consent has
        // expired, by the last path by which the client has received something.
        let goodbye = transport.path_of_goodbye();
        outbox.outputs.push(RoomOutput::Dtls(key, DtlsRequest::Forget { goodbye }));
        for ufrag in transport.ufrags.into_iter().filter(|_| !mutated!(UfragLeaked)) {
            outbox.outputs.push(RoomOutput::UnbindUfrag(ufrag));
        }
        for known in transport.paths {
            outbox.outputs.push(RoomOutput::UnbindPath(key, known.path));
        }
    }

    /// Takes a datagram that came on a transport; walk: called by `Room::handle`.
    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        on: TransportKey,
        kind: DatagramKind,
        path: Path,
        bytes: &mut [u8],
        outbox: &mut Outbox,
    ) {
        let (length, is_stun) = (bytes.len(), kind == DatagramKind::Stun);
        let transport = &mut self.transports[on.0];
        // By the path by which media is sent nothing has to be proved, but that the peer still receives by it.
        let in_use = transport.path == Some(path);
        if !in_use && let Some(known) = transport.known(&path) {
            known.on_received(now, length);
        }
        match kind {
            DatagramKind::Rtp => self.handle_rtp(now, on, path, bytes, outbox),
            DatagramKind::Rtcp => self.handle_rtcp(now, on, path, bytes, outbox),
            DatagramKind::Stun => self.handle_stun(now, on, path, bytes, outbox),
            DatagramKind::Dtls => {
                self.transports[on.0].with_session(|session| session.handle_dtls(now, path.remote, bytes));
                self.carry_out_effects(now, on, Some(path), outbox);
            }
            DatagramKind::TurnChannel | DatagramKind::Unknown => trace!(?path, "datagram of no known kind"),
        }
        if !in_use || is_stun {
            self.ask_whether_received(now, on, path, outbox);
        }
    }

    /// Tells everybody if the state of a transport means that its owner's media is lost or back. Media is lost while
    /// all transports on which it is expected are silent: those with an answered offer.
    pub(super) fn review_media(&mut self, now: Instant, on: TransportKey, outbox: &mut Outbox) {
        let transport = &mut self.transports[on.0];
        if !transport.is_silent {
            transport.look_for_silence(now);
        }
        if let Some(owner) = transport.owner {
            self.review_media_of(owner, outbox);
        }
    }

    fn review_media_of(&mut self, owner: ParticipantKey, outbox: &mut Outbox) {
        // Of those whose media goes straight nothing is expected.
        let is_expected = !self.stays_without_transport(owner);
        let participant = &mut self.participants[owner.0];
        let transports = participant.transports.iter().map(|key| &self.transports[key.0]);
        let mut expected = transports.filter(|transport| transport.answered_at.is_some()).peekable();
        let is_lost =
            is_expected && expected.peek().is_some() && expected.all(|transport| transport.is_silent);
        if std::mem::replace(&mut participant.media_lost, is_lost) == is_lost {
            return;
        }
        let id = participant.id;
        let event = if is_lost { Event::ParticipantMediaLost(id) } else { Event::ParticipantMediaBack(id) };
        debug!(room = %self.id, participant = %id, is_lost, "whether media comes has changed");
        outbox.event(owner, event.clone());
        self.tell_others_of(owner, &event, outbox);
    }

    /// Does what a transport's engine has asked for. `came_by` is the path of the datagram that made it ask.
    pub(super) fn carry_out_effects(
        &mut self,
        now: Instant,
        key: TransportKey,
        came_by: Option<Path>,
        outbox: &mut Outbox,
    ) {
        for effect in self.transports[key.0].with_session(Session::take_effects) {
            let transport = &mut self.transports[key.0];
            match effect {
                Effect::Stun { to, bytes } => {
                    let known =
                        || transport.paths.iter().map(|known| known.path).find(|path| path.remote == to);
                    let path = came_by.filter(|path| path.remote == to).or_else(known);
                    send(outbox, path, &bytes);
                }
                Effect::Dtls { to, bytes } => {
                    let path = transport.path_of_flight(to);
                    let path = path.filter(|path| transport.may_send_flight(now, *path, &bytes));
                    let is_data = bytes.first() == Some(&DTLS_APPLICATION_DATA);
                    let class = if is_data { TrafficClass::Data } else { TrafficClass::Control };
                    send_as(outbox, path, class, &bytes);
                }
                Effect::Handshake(request) => outbox.outputs.push(RoomOutput::Dtls(key, request)),
                Effect::Connected { profile, material } => {
                    self.start_media(now, key, profile, &material, outbox);
                }
                Effect::Closed(end) => {
                    self.transport_closed(now, key, &end, outbox);
                    return;
                }
            }
        }
    }

    /// Starts media, because the handshake is done.
    fn start_media(
        &mut self,
        now: Instant,
        key: TransportKey,
        profile: SrtpProfile,
        material: &[u8],
        outbox: &mut Outbox,
    ) {
        let transport = &mut self.transports[key.0];
        // Which half of the keying material is ours depends on who began the handshake (RFC 5764 §4.2).
        let active = transport.session().is_dtls_client();
        let Ok((receiver, sender)) = srtp::contexts(profile, material, active) else {
            warn!(room = %self.id, transport = key.0, ?profile, "keying material of the wrong length");
            let end = SessionEnd::HandshakeFailed("bad keying material".to_owned());
            self.transport_closed(now, key, &end, outbox);
            return;
        };
        let owner = transport.owner.and_then(|owner| self.participants.get_mut(owner.0));
        let own = transport.rng.as_mut();
        let Some(rng) = own.or_else(|| owner.map(|participant| &mut participant.rng)) else { return };
        let rtcp_ssrc = Ssrc(rng.u32());
        let mut egress = EgressHalf::new(now, sender);
        egress.hold_probes(self.shedding != Shedding::NONE);
        let mut media = MediaHalves {
            ingress: IngressHalf::new(receiver, rtcp_ssrc, self.settings.epoch),
            egress,
            redundancy: Redundancy::default(),
        };
        media.egress.start_from(self.settings.bandwidth.initial);
        transport.start_media(now, media, self.settings.media_timeout);
        transport.deadlines.set(Timer::Reports, Some(now + FIRST_REPORT));
        self.totals.handshakes_done += 1;
        self.totals.setup_times.note(now.saturating_duration_since(transport.made_at));
        debug!(room = %self.id, transport = key.0, ?profile, "media can flow");
        if let Some(owner) = self.owner_of(key) {
            self.participants[owner.0].has_had_media = true;
            self.set_expiry(owner);
        }
        self.hear_again(now, key, outbox);
        self.want_keyframes_on(now, key);
    }

    /// Ends a transport whose handshake was not completed in time.
    pub(super) fn give_up_handshake(&mut self, now: Instant, key: TransportKey, outbox: &mut Outbox) {
        let detail = if self.transports[key.0].paths.is_empty() {
            "no connectivity check has come"
        } else {
            "the client checks paths, and its handshake was not complete in time"
        };
        self.transport_closed(now, key, &SessionEnd::HandshakeFailed(detail.to_owned()), outbox);
    }

    /// Ends a transport that the client closed, or whose handshake failed. A session has no second handshake, so a
    /// member whose only transport this was is removed, and has to join again.
    fn transport_closed(&mut self, now: Instant, key: TransportKey, end: &SessionEnd, outbox: &mut Outbox) {
        let owner = self.transports[key.0].owner;
        let participant = owner.map(|owner| self.participants[owner.0].id.to_string()).unwrap_or_default();
        let (room, transport) = (&self.id, key.0);
        let reason = match end {
            SessionEnd::ClosedByPeer(alert) => {
                debug!(%room, %participant, transport, ?alert, "the client closed its transport");
                LeaveReason::TransportClosed
            }
            SessionEnd::FingerprintMismatch(detail) => {
                self.totals.fingerprints_refused += 1;
                warn!(
                    %room, %participant, transport, detail,
                    "the certificate is not the one that the offer names; the transport is refused"
                );
                LeaveReason::FingerprintMismatch
            }
            SessionEnd::HandshakeFailed(detail) => {
                self.totals.handshakes_failed += 1;
                info!(%room, %participant, transport, detail, "the DTLS handshake failed");
                LeaveReason::HandshakeFailed
            }
            SessionEnd::Broken(detail) => {
                warn!(%room, %participant, transport, detail, "the transport's engine gave up");
                LeaveReason::Error
            }
        };
        match owner {
            Some(owner) if self.participants[owner.0].transports.len() > 1 => {
                self.remove_transport(now, key, outbox);
            }
            // Whoever may be somebody in the middle does not stay.
            Some(owner)
                if reason != LeaveReason::FingerprintMismatch && self.stays_without_transport(owner) =>
            {
                self.renew_transport(now, owner, key, outbox);
            }
            Some(owner) => {
                self.expel(now, owner, reason, outbox);
            }
            None => self.remove_transport(now, key, outbox),
        }
    }
}

pub(super) fn send(outbox: &mut Outbox, path: Option<Path>, bytes: &[u8]) {
    send_as(outbox, path, TrafficClass::Control, bytes);
}

fn send_as(outbox: &mut Outbox, path: Option<Path>, class: TrafficClass, bytes: &[u8]) {
    let Some(path) = path else { return };
    outbox.transmit(path, class, |buffer| {
        buffer.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(bytes.len())
    });
}

//! The transports of a room: which of them there are, datagrams in, handshakes, and the start and the end of media.

use std::time::{Duration, Instant};

use tracing::{debug, info, trace, warn};

use super::{Owner, Room};
use crate::core::event::{Event, LeaveReason};
use crate::core::ids::{ParticipantKey, PublicationKey, Ssrc, TransportKey};
use crate::core::input::{Admission, SrtpProfile};
use crate::core::media::egress::EgressHalf;
use crate::core::media::halves::MediaHalves;
use crate::core::media::ingress::IngressHalf;
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

/// After the keys are there, the first reports go out this soon.
const FIRST_REPORT: Duration = Duration::from_millis(200);

impl Room {
    /// The member that a transport belongs to; `None` if there is no such transport, or if it belongs to nobody.
    pub fn owner_of(&self, key: TransportKey) -> Option<ParticipantKey> {
        self.transports.get(key.0)?.owner
    }

    /// Whether a transport has keys, so that media can flow on it.
    pub fn has_media(&self, key: TransportKey) -> bool {
        self.transports.get(key.0).is_some_and(|transport| transport.media.is_some())
    }

    /// The transports of a member, in the order in which they were made.
    pub fn transports_of(&self, of: ParticipantKey) -> &[TransportKey] {
        self.participants.get(of.0).map_or(&[], |participant| &participant.transports)
    }

    /// Adds a transport, to a member or as a link that belongs to nobody. It draws on the admission's entropy. Returns
    /// `None` if there is no such member.
    ///
    /// Front ends whose clients have several peer connections call this. A recorder does not write it down yet, so it is
    /// not for rooms that are recorded.
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
        // Its own, because a member may add and remove transports at any time, and what is drawn must not depend on that.
        let mut rng = Rng::new(admission.entropy);
        let session = Session::new(now, &self.tag, &self.settings.certificate, &mut rng);
        let transport =
            Transport::new(now, self.settings.epoch, owner, Some(rng), admission.candidates, session);
        let key = self.insert_transport(transport, outbox);
        self.step_on(now, key, outbox, |room, outbox| room.carry_out_effects(now, key, None, outbox));
        Some(key)
    }

    /// Gives a transport its place, and makes its ufrag lead to it.
    pub(super) fn insert_transport(&mut self, transport: Transport, outbox: &mut Outbox) -> TransportKey {
        // By a quarter, not by half as vectors do: a transport is large.
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

    /// Ends one transport of several, with what was published on it and the slots that it filled. A member whose last
    /// transport ends stays in the room.
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
        }
        // After everything that stood on it, so that nothing names a transport that is gone.
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

    /// Takes away the slots of a transport that ends. Those behind them move up, and everything that names a slot by its
    /// number is told the new one.
    fn remove_slots(&mut self, owner: ParticipantKey, transport: TransportKey) {
        // From the end, so that the numbers of those still to come stay what they are.
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
        // A client that is nothing but a media path hears by it alone that the operator has ended it.
        // So does one whose consent has run out, by the way that it last had.
        let goodbye = transport.path.or_else(|| transport.paths.last().copied());
        outbox.outputs.push(RoomOutput::Dtls(key, DtlsRequest::Forget { goodbye }));
        for ufrag in transport.ufrags.into_iter().filter(|_| !mutated!(UfragLeaked)) {
            outbox.outputs.push(RoomOutput::UnbindUfrag(ufrag));
        }
        for path in transport.paths {
            outbox.outputs.push(RoomOutput::UnbindPath(key, path));
        }
    }

    /// A datagram came on a transport; walk: called by `Room::handle`.
    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        on: TransportKey,
        kind: DatagramKind,
        path: Path,
        bytes: &mut [u8],
        outbox: &mut Outbox,
    ) {
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
    }

    /// Tells everybody, if somebody's media is lost or back by what has become of one of their transports: it is lost when
    /// all that have keys are silent.
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
        let participant = &mut self.participants[owner.0];
        let transports = participant.transports.iter().map(|key| &self.transports[key.0]);
        let mut with_keys = transports.filter(|transport| transport.media.is_some()).peekable();
        let is_lost = with_keys.peek().is_some() && with_keys.all(|transport| transport.is_silent);
        if std::mem::replace(&mut participant.media_lost, is_lost) == is_lost {
            return;
        }
        let id = participant.id;
        let event = if is_lost { Event::ParticipantMediaLost(id) } else { Event::ParticipantMediaBack(id) };
        debug!(room = %self.id, participant = %id, is_lost, "whether media comes has changed");
        for key in &self.order {
            outbox.event(*key, event.clone());
        }
    }

    /// Does what a transport's engine has asked for. `came_by` is the way of the datagram that made it ask.
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
                    let known = transport.paths.iter().copied().find(|path| path.remote == to);
                    let path = came_by.filter(|path| path.remote == to).or(known);
                    send(outbox, path, &bytes);
                }
                Effect::Dtls { to, bytes } => {
                    let known = transport.paths.iter().copied().find(|path| path.remote == to);
                    send(outbox, transport.path.or(known), &bytes);
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

    /// The handshake is done: media can flow.
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
        transport.media = Some(MediaHalves {
            ingress: IngressHalf::new(receiver, rtcp_ssrc, self.settings.epoch),
            egress: EgressHalf::new(now, sender),
        });
        transport.hear(now);
        transport.look_for_silence(now);
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

    /// A transport was closed by the client, or by a failed handshake. There is no second handshake on the same session:
    /// a member ends with their last transport, and whoever wants to go on joins again.
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
            Some(owner) if self.participants[owner.0].transports.len() == 1 => {
                self.expel(now, owner, reason, outbox);
            }
            _ => self.remove_transport(now, key, outbox),
        }
    }
}

pub(super) fn send(outbox: &mut Outbox, path: Option<Path>, bytes: &[u8]) {
    let Some(path) = path else { return };
    outbox.transmit(path, TrafficClass::Control, |buffer| {
        buffer.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(bytes.len())
    });
}

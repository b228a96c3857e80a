//! A room's media path, the way in: a datagram is told apart, a media packet is opened, placed and kept. What is pending
//! leaves by `fanout.rs` when the batch ends; what clients say of the media they get is heard in `feedback.rs`.

use std::time::Instant;

use tracing::{debug, trace, warn};

use super::Room;
use crate::core::forward::publication::{Arrived, Publication};
use crate::core::ids::{ParticipantKey, Ssrc};
use crate::core::input::SrtpProfile;
use crate::core::media::egress::EgressHalf;
use crate::core::media::halves::MediaHalves;
use crate::core::media::ingress::{IngressHalf, Received};
use crate::core::media::srtp;
use crate::core::outbox::{Outbox, RoomOutput};
use crate::core::participant::Participant;
use crate::core::path::Path;
use crate::wire::classify::{self, classify};
use crate::wire::stun;

/// After the keys are there, the first reports go out this soon.
const FIRST_REPORT: std::time::Duration = std::time::Duration::from_millis(200);

impl Room {
    /// A datagram from a participant; walk: called by `Room::handle`.
    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        path: Path,
        bytes: &mut [u8],
        outbox: &mut Outbox,
    ) {
        match classify(bytes) {
            classify::Kind::Rtp => self.handle_rtp(now, from, path, bytes, outbox),
            classify::Kind::Rtcp => self.handle_rtcp(now, from, path, bytes, outbox),
            classify::Kind::Stun => self.handle_stun(now, from, path, bytes, outbox),
            classify::Kind::Dtls => {
                self.participants[from.0].session.handle_dtls(now, path.remote, bytes);
                self.carry_out_effects(now, from, Some(path), outbox);
            }
            classify::Kind::TurnChannel | classify::Kind::Unknown => {
                trace!(?path, "datagram of no known kind");
            }
        }
    }

    fn handle_stun(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        path: Path,
        bytes: &[u8],
        outbox: &mut Outbox,
    ) {
        let Some(message) = stun::peek(bytes) else { return };
        let transaction = message.transaction;
        if !self.participants[from.0].may_check(path, transaction) {
            return;
        }
        let (is_check, nominated) = (message.is_binding_request(), message.use_candidate);
        // One that comes again may have been replayed by somebody who forges addresses: it is answered, and changes
        // nothing.
        let is_repeated = self.participants[from.0].has_checked(transaction);
        let before = outbox.transmits();
        self.participants[from.0].session.handle_stun(now, path.transport, path.remote, bytes);
        self.carry_out_effects(now, from, Some(path), outbox);
        // The engine answers a check only if its credentials are right. Flights of the handshake may follow the answer, if
        // they have waited for a way.
        let answered = outbox.answers_check(before, path, transaction);
        if is_check && answered && !is_repeated {
            outbox.outputs.push(RoomOutput::BindPath(from, path));
            let Some(participant) = self.participants.get_mut(from.0) else { return };
            let is_back = participant.path.is_none() && participant.media.is_some();
            if let Some(forgotten) = participant.on_check(now, path, nominated, transaction) {
                outbox.outputs.push(RoomOutput::UnbindPath(from, forgotten));
            }
            if is_back {
                self.want_keyframes_for(now, from);
            }
        }
    }

    /// A media packet: opened, placed, kept; walk: called by `Room::handle_datagram`.
    fn handle_rtp(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        path: Path,
        bytes: &mut [u8],
        outbox: &mut Outbox,
    ) {
        let Participant { media, negotiated, published, path: own_path, .. } = &mut self.participants[from.0];
        let Some(media) = media else { return };
        let received = media.ingress.receive(now, media.egress.round_trip(), bytes, negotiated, published);
        if !matches!(received, Received::Dropped) {
            follow(own_path, path);
        }
        let Received::Media(arrival) = received else { return };
        let key = arrival.publication;
        let Some(publication) = self.publications.get_mut(key.0) else { return };
        let publication_kind = publication.kind();
        let Arrived::Pending { first, codec_changed } = publication.arrive(now, &arrival) else { return };
        if first {
            self.pending_of(publication_kind).push_back(key);
        }
        if codec_changed {
            self.codec_changed(now, key, outbox);
        }
        // More than the cache holds can come at once, when what was lost in an outage is repaired.
        if self.publications.get(key.0).is_some_and(Publication::is_brimful) {
            let mut all = usize::MAX;
            self.forward(now, key, &mut all, outbox, &mut None);
        }
    }

    /// The handshake is done: media can flow.
    pub(super) fn start_media(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        profile: SrtpProfile,
        material: &[u8],
        outbox: &mut Outbox,
    ) {
        let participant = &mut self.participants[key.0];
        let active = participant.session.is_dtls_client();
        match srtp::contexts(profile, material, active) {
            Ok((receiver, sender)) => {
                let rtcp_ssrc = Ssrc(participant.rng.u32());
                participant.media = Some(MediaHalves {
                    ingress: IngressHalf::new(receiver, rtcp_ssrc, self.settings.epoch),
                    egress: EgressHalf::new(sender),
                });
                participant.report_at = Some(now + FIRST_REPORT);
                self.totals.handshakes_done += 1;
                self.totals.setup_times.note(now.saturating_duration_since(participant.joined_at));
                debug!(room = %self.id, participant = %participant.id, ?profile, "media can flow");
                self.want_keyframes_for(now, key);
            }
            Err(_) => {
                warn!(room = %self.id, participant = %participant.id, ?profile, "keying material of the wrong length");
                self.transport_closed(now, key, "bad keying material", outbox);
            }
        }
    }
}

/// Where the newest authentic packet came from is where ours go. Once consent has lapsed, only a check brings it back.
pub(super) fn follow(own: &mut Option<Path>, path: Path) {
    if let Some(own) = own {
        *own = path;
    }
}

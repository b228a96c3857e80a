//! A room's media path: what comes in is opened, placed and kept; what is pending goes out when the batch ends.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use tracing::{debug, trace, warn};

use super::Room;
use crate::core::command::Kind;
use crate::core::forward::publication::{Arrived, Publication, Viewer};
use crate::core::ids::{ParticipantKey, PublicationKey, Ssrc};
use crate::core::input::SrtpProfile;
use crate::core::media::half::{MediaHalf, Received};
use crate::core::media::rtcp::{self, LostSequences, ReportBlock, RtcpItem};
use crate::core::media::srtp;
use crate::core::mutation::mutated;
use crate::core::outbox::{Outbox, RoomOutput};
use crate::core::output::MediaSink;
use crate::core::participant::Participant;
use crate::core::path::{Path, TrafficClass};
use crate::wire::classify::{self, classify};
use crate::wire::stun;

/// How many packets follow from one report of lost ones: what a receiver can miss in a second at 8 Mbit/s. Who could not
/// be reached for longer asks for more, the oldest first, which are not sent any more.
const RETRANSMISSIONS_MAX: usize = 256;
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
        let received = media.receive(now, bytes, negotiated, published);
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

    fn pending_of(&mut self, kind: Kind) -> &mut VecDeque<PublicationKey> {
        match kind {
            Kind::Audio => &mut self.pending_sound,
            Kind::Video => &mut self.pending_pictures,
        }
    }

    fn handle_rtcp(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        path: Path,
        bytes: &mut [u8],
        outbox: &mut Outbox,
    ) {
        let participant = &mut self.participants[from.0];
        let Some(length) = participant.media.as_mut().and_then(|media| media.open_rtcp(bytes)) else {
            return;
        };
        follow(&mut participant.path, path);
        let Some(compound) = bytes.get(..length) else { return };
        rtcp::parse(compound, &mut |item| self.take_feedback(now, from, item, outbox));
    }

    fn take_feedback(&mut self, now: Instant, from: ParticipantKey, item: RtcpItem<'_>, outbox: &mut Outbox) {
        match item {
            RtcpItem::SenderReport { ssrc, ntp, rtp_timestamp, .. } => {
                self.take_sender_report(now, from, ssrc, ntp, rtp_timestamp);
            }
            RtcpItem::ReportBlock { block, .. } => self.take_report_block(now, from, &block),
            RtcpItem::Nack { media, lost } => self.retransmit(now, from, media, lost, outbox),
            RtcpItem::Pli { media } | RtcpItem::Fir { media, .. } => {
                let participant = &mut self.participants[from.0];
                let Some(&index) = participant.slot_by_ssrc.get(&media) else { return };
                let slot = &mut participant.slots[index];
                slot.counters.keyframe_requests += 1;
                if let Some(shown) = slot.shown.filter(|_| !slot.withheld) {
                    self.want_keyframe(now, shown.publication);
                }
            }
            RtcpItem::TransportFeedback { .. }
            | RtcpItem::Remb { .. }
            | RtcpItem::Bye { .. }
            | RtcpItem::Other => {}
        }
    }

    fn take_sender_report(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        ssrc: Ssrc,
        ntp: u64,
        timestamp: u32,
    ) {
        let our_ntp = self.ntp(now);
        let participant = &mut self.participants[from.0];
        let Some(stream) = participant.media.as_mut().and_then(|media| media.stream_mut(ssrc)) else {
            return;
        };
        stream.statistics.on_sender_report(now, ntp);
        participant.clock_offset.get_or_insert(our_ntp.wrapping_sub(ntp));
        if let Some(publication) = self.publications.get_mut(stream.publication.0) {
            publication.on_sender_report(now, ssrc, ntp, timestamp);
        }
    }

    fn take_report_block(&mut self, now: Instant, from: ParticipantKey, block: &ReportBlock) {
        let participant = &mut self.participants[from.0];
        let Some(&index) = participant.slot_by_ssrc.get(&block.ssrc) else { return };
        participant.slots[index].counters.lost = u64::try_from(block.cumulative_lost).unwrap_or(0);
        let round_trip = participant.round_trip_of(now, block.last_sr, block.delay_since_last_sr);
        if let (Some(media), Some(round_trip)) = (&mut participant.media, round_trip) {
            media.round_trip = Some(round_trip);
        }
    }

    /// Answers a NACK from the track's cache (RFC 4588).
    fn retransmit(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        ssrc: Ssrc,
        lost: LostSequences<'_>,
        outbox: &mut Outbox,
    ) {
        let Participant { slots, slot_by_ssrc, media, path, .. } = &mut self.participants[key.0];
        let (Some(&index), Some(media), Some(path)) = (slot_by_ssrc.get(&ssrc), media, *path) else { return };
        let slot = &mut slots[index];
        let mut repeated = 0;
        for sequence in lost {
            if repeated == RETRANSMISSIONS_MAX {
                break;
            }
            slot.counters.nacked += 1;
            let Some((stretch, index)) = slot.origin(sequence) else { continue };
            let Some(publication) = self.publications.get(stretch.publication.0) else { continue };
            if publication.track != stretch.track || publication.muted {
                continue;
            }
            let Some(codec) = publication.codec else { continue };
            let Some(packet) = publication.fresh_packet(now, index) else { continue };
            if !slot.may_repeat(now, sequence) {
                continue;
            }
            repeated += 1;
            outbox.transmit(path, class_of(slot.kind), |buffer| {
                slot.write_retransmission(stretch, packet, codec, &mut media.sender, buffer)
            });
        }
    }

    /// Forwards one share of what came: of sound, or if none waits, of pictures. Media goes to `sink`, or with none into
    /// the outbox. How many packets it was, about. Walk: called by `Sfu::forward`, until nothing is pending.
    pub fn flush(
        &mut self,
        now: Instant,
        outbox: &mut Outbox,
        mut sink: Option<&mut dyn MediaSink>,
    ) -> usize {
        let kind = if self.has_sound_pending() { Kind::Audio } else { Kind::Video };
        let share = self.settings.packets_at_once;
        let mut left = share;
        while left > 0
            && let Some(&key) = self.pending_of(kind).front()
        {
            if self.publications.contains(key.0) {
                self.forward(now, key, &mut left, outbox, &mut sink);
            }
            if self.publications.get(key.0).is_none_or(|publication| !publication.has_pending()) {
                self.pending_of(kind).retain(|other| *other != key);
            }
        }
        share - left
    }

    /// Forwards one track's pending packets to all who show it, or to as many as there are packets `left` for: all packets
    /// to one viewer, then all to the next, so that runs to one peer leave together. Forwarding moves no deadline of a
    /// viewer's, so none is armed anew; a panic ends the viewer at whom it happened, as in `Room::step`.
    fn forward(
        &mut self,
        now: Instant,
        key: PublicationKey,
        left: &mut usize,
        outbox: &mut Outbox,
        sink: &mut Option<&mut dyn MediaSink>,
    ) {
        let mut wanted = false;
        while let Err(_panic) = catch_unwind(AssertUnwindSafe(|| {
            let sink = match sink {
                Some(sink) => &mut **sink,
                None => &mut outbox.datagrams as &mut dyn MediaSink,
            };
            while *left > 0
                && let Some(viewer) = self.publications[key.0].next_viewer()
            {
                wanted |= self.forward_to(now, key, viewer, sink);
                let publication = &mut self.publications[key.0];
                *left = left.saturating_sub(publication.leaving().len());
                publication.viewer_served();
            }
        })) {
            let Some(Viewer { participant, .. }) = self.publications[key.0].next_viewer() else { break };
            self.end_after_panic(now, participant, outbox);
            // Whoever was removed is no longer in the list, and may have been the publisher of the track.
            if !self.publications.contains(key.0) {
                return;
            }
        }
        if wanted {
            self.want_keyframe(now, key);
        }
    }

    /// Forwards to one viewer. Whether they wait for a key frame.
    fn forward_to(
        &mut self,
        now: Instant,
        key: PublicationKey,
        viewer: Viewer,
        sink: &mut dyn MediaSink,
    ) -> bool {
        let publication = &self.publications[key.0];
        let Some(participant) = self.participants.get_mut(viewer.participant.0) else { return false };
        let Participant { slots, media, path, .. } = participant;
        let (Some(slot), Some(media), Some(path), Some(codec)) =
            (slots.get_mut(viewer.slot), media, *path, publication.codec)
        else {
            return false;
        };
        let stretch = publication.stretch();
        assert!(!mutated!(Panics) || publication.leaving().len() < 4, "a bug put in on purpose");
        sink.to(path, class_of(slot.kind));
        for index in publication.leaving() {
            let Some(packet) = publication.packet(*index) else { continue };
            let Some(outgoing) = slot.forward(now, stretch, packet, codec) else { continue };
            if let Some(length) = slot.write(&outgoing, &mut media.sender, sink.buffer()) {
                sink.sent(length);
            }
        }
        slot.announced && slot.wants_keyframe(stretch)
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
                participant.media = Some(MediaHalf::new(receiver, sender, rtcp_ssrc, self.settings.epoch));
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
fn follow(own: &mut Option<Path>, path: Path) {
    if let Some(own) = own {
        *own = path;
    }
}

fn class_of(kind: Kind) -> TrafficClass {
    match kind {
        Kind::Audio => TrafficClass::Audio,
        Kind::Video => TrafficClass::Video,
    }
}

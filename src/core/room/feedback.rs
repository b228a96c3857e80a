//! RTCP in: clients report on the media that they receive (lost packets, key frames they need, arrivals) and on the
//! clocks of the media that they send.

use std::time::Instant;

use super::Room;
use super::fanout::class_of;
use crate::core::command::MediaKind;
use crate::core::forward::publication::Publication;
use crate::core::ids::{ParticipantKey, Ssrc, TransportKey};
use crate::core::media::redundancy::LossSource;
use crate::core::media::rtcp::{self, LostSequences, ReportBlock, RtcpItem};
use crate::core::outbox::Outbox;
use crate::core::path::Path;
use crate::core::transport::Transport;

/// How many packets are retransmitted for one NACK at most: as many as a receiver can miss in a second at 8 Mbit/s. A
/// receiver that could not be reached for longer asks for more, beginning with old ones that are no longer sent.
const RETRANSMISSIONS_MAX: usize = 256;

impl Room {
    /// Takes an RTCP packet that came on a transport; walk: called by `Room::handle_datagram`.
    pub(super) fn handle_rtcp(
        &mut self,
        now: Instant,
        on: TransportKey,
        path: Path,
        bytes: &mut [u8],
        outbox: &mut Outbox,
    ) {
        let transport = &mut self.transports[on.0];
        let Some(length) = transport.media.as_mut().and_then(|media| media.ingress.open_rtcp(bytes)) else {
            return;
        };
        // Only now, because anybody could have sent a packet that is not authentic.
        if transport.on_authentic(now, path, self.settings.media_timeout) {
            self.hear_again(now, on, outbox);
        }
        let Some(compound) = bytes.get(..length) else { return };
        rtcp::parse(compound, &mut |item| self.take_feedback(now, on, item, outbox));
    }

    fn take_feedback(&mut self, now: Instant, on: TransportKey, item: RtcpItem<'_>, outbox: &mut Outbox) {
        match item {
            RtcpItem::SenderReport { ssrc, ntp, rtp_timestamp, .. } => {
                self.take_sender_report(now, on, ssrc, ntp, rtp_timestamp);
            }
            RtcpItem::ReportBlock { block, .. } => self.take_report_block(now, on, &block),
            RtcpItem::Nack { media, lost } => self.retransmit(now, on, media, lost, outbox),
            RtcpItem::Pli { media } | RtcpItem::Fir { media, .. } => {
                let Some(viewer) = self.viewer_of_stream(on, media) else { return };
                let slot = &mut self.participants[viewer.0.0].slots[viewer.1];
                slot.counters.keyframe_requests += 1;
                let Some(shown) = slot.shown.filter(|_| !slot.holds.is_any()) else { return };
                // Whoever asks again while one is on its way asks for nothing more.
                let publication = self.publications.get(shown.publication.0);
                if publication.is_some_and(Publication::wants_keyframes) || slot.may_ask_keyframe(now) {
                    self.want_keyframe_for(now, shown.publication, viewer);
                }
            }
            RtcpItem::TransportFeedback { bytes } => {
                if let Some(media) = &mut self.transports[on.0].media {
                    media.egress.on_transport_feedback(now, bytes);
                }
                self.transports[on.0].set_bandwidth();
                self.take_audio_feedback(now, on);
                self.review_estimate(on);
            }
            RtcpItem::Remb { bitrate_bps } => {
                if let Some(media) = &mut self.transports[on.0].media {
                    media.egress.on_remb(bitrate_bps);
                }
                self.review_estimate(on);
            }
            RtcpItem::Bye { .. } | RtcpItem::Other => {}
        }
    }

    fn take_sender_report(&mut self, now: Instant, on: TransportKey, ssrc: Ssrc, ntp: u64, timestamp: u32) {
        // The first report decides for good: if the offset moved later, one person's audio and video would get out of
        // sync.
        let our_ntp = self.ntp(now);
        let transport = &mut self.transports[on.0];
        let Some(stream) = transport.media.as_mut().and_then(|media| media.ingress.stream_mut(ssrc)) else {
            return;
        };
        stream.statistics.on_sender_report(now, ntp);
        if let Some(owner) = transport.owner.and_then(|owner| self.participants.get_mut(owner.0)) {
            owner.clock_offset.get_or_insert(our_ntp.wrapping_sub(ntp));
        }
        if let Some(publication) = self.publications.get_mut(stream.publication.0) {
            publication.on_sender_report(now, ssrc, ntp, timestamp);
        }
    }

    fn take_report_block(&mut self, now: Instant, on: TransportKey, block: &ReportBlock) {
        let Some((participant, slot)) = self.viewer_of_stream(on, block.ssrc) else { return };
        let (index, slot) = (slot, &mut self.participants[participant.0].slots[slot]);
        let lost = slot.take_report(now, block);
        if slot.kind == MediaKind::Audio {
            self.note_dropout(on, participant, index, block.fraction_lost);
            self.review_redundancy(now, on, participant, LossSource::ReceiverReports, lost);
        }
        let Some(media) = &mut self.transports[on.0].media else { return };
        if let Some(round_trip) = media.egress.round_trip_of(now, block.last_sr, block.delay_since_last_sr) {
            media.egress.round_trip = Some(round_trip);
            self.set_keyframe_timer(now, on);
        }
    }

    /// Returns the member who gets one of our streams on a transport, and the index of its slot.
    fn viewer_of_stream(&self, on: TransportKey, ssrc: Ssrc) -> Option<(ParticipantKey, usize)> {
        let transport = &self.transports[on.0];
        let (owner, index) = (transport.owner?, *transport.slot_by_ssrc.get(&ssrc)?);
        let has_slot = index < self.participants.get(owner.0)?.slots.len();
        has_slot.then_some((owner, index))
    }

    /// Answers a NACK with retransmissions (RFC 4588), from the caches of the encodings that the lost packets belong
    /// to.
    fn retransmit(
        &mut self,
        now: Instant,
        on: TransportKey,
        ssrc: Ssrc,
        lost: LostSequences<'_>,
        outbox: &mut Outbox,
    ) {
        let Transport { owner, slot_by_ssrc, media, path, .. } = &mut self.transports[on.0];
        let (Some(&index), Some(media), Some(path)) = (slot_by_ssrc.get(&ssrc), media, *path) else { return };
        let Some(owner) = owner.and_then(|owner| self.participants.get_mut(owner.0)) else { return };
        let slot = &mut owner.slots[index];
        media.egress.send_at(now);
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
            let Some(encoding) = publication.encoding(stretch.encoding) else { continue };
            let Some(packet) = encoding.fresh_packet(now, index) else { continue };
            if !media.egress.may_repeat() || !slot.may_repeat(now, sequence) {
                continue;
            }
            // Only packets that are sent count: requests for others cost little.
            repeated += 1;
            outbox.transmit(path, class_of(slot.kind), |buffer| {
                slot.write_retransmission(stretch, packet, codec, &mut media.egress, buffer)
            });
        }
    }
}

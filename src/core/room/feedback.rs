//! What clients say of the media they get, as RTCP: what was lost, which key frames they need, what arrived, and by which
//! clock a source counts.

use std::time::Instant;

use super::Room;
use super::fanout::class_of;
use super::media::follow;
use crate::core::ids::{ParticipantKey, Ssrc};
use crate::core::media::rtcp::{self, LostSequences, ReportBlock, RtcpItem};
use crate::core::outbox::Outbox;
use crate::core::participant::Participant;
use crate::core::path::Path;

/// How many packets follow from one report of lost ones: what a receiver can miss in a second at 8 Mbit/s. Who could not
/// be reached for longer asks for more, the oldest first, which are not sent any more.
const RETRANSMISSIONS_MAX: usize = 256;

impl Room {
    /// An RTCP packet from a participant; walk: called by `Room::handle_datagram`.
    pub(super) fn handle_rtcp(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        path: Path,
        bytes: &mut [u8],
        outbox: &mut Outbox,
    ) {
        let participant = &mut self.participants[from.0];
        let Some(length) = participant.media.as_mut().and_then(|media| media.ingress.open_rtcp(bytes)) else {
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
        let Some(stream) = participant.media.as_mut().and_then(|media| media.ingress.stream_mut(ssrc)) else {
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
        let Some(media) = &mut participant.media else { return };
        if let Some(round_trip) = media.egress.round_trip_of(now, block.last_sr, block.delay_since_last_sr) {
            media.egress.round_trip = Some(round_trip);
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
                slot.write_retransmission(stretch, packet, codec, &mut media.egress.sender, buffer)
            });
        }
    }
}

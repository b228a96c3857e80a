//! RTCP out: NACKs, transport-wide feedback, key frame requests, receiver reports, and sender reports. Sender reports
//! translate the clock of a source to the slot that shows it, so that one person's audio and video play in sync.
//!
//! Publishers of audio are told the loss of the viewer who loses most, if that is more than is lost on the way here: Opus
//! encoders add in-band FEC by the loss that they are told (RFC 7587 §3.3), and packets are lost on the way down, too. This
//! does not change their bit rate, which follows transport-wide feedback.

use std::time::{Duration, Instant};

use slab::Slab;

use super::Room;
use crate::core::command::MediaKind;
use crate::core::forward::backlog::Viewer;
use crate::core::forward::publication::Publication;
use crate::core::forward::slot::Slot;
use crate::core::ids::TransportKey;
use crate::core::media::rtcp::RtcpWriter;
use crate::core::mutation::mutated;
use crate::core::negotiation::answer::CNAME;
use crate::core::outbox::Outbox;
use crate::core::participant::Participant;
use crate::core::timers::{Timer, coalesce};

/// How often reports go to peers that send or receive video; browsers do the same. A little less is used before
/// aligning to the grid, so that a peer that is served a moment late does not skip a step of it.
pub(super) const VIDEO_INTERVAL: Duration = Duration::from_secs(1);
/// The same for peers with audio only: the minimum of RFC 3550 §6.2, which browsers use, too. Each report wakes the
/// server, and a hundred quiet people need no more.
const AUDIO_INTERVAL: Duration = Duration::from_secs(5);
/// A compound is sent when it is larger than this, so that it fits any path.
const COMPOUND_BYTES: usize = 1000;

/// A viewer's report counts for this long: they come each five seconds where there is audio alone.
const LOSS_COUNTS: Duration = Duration::from_secs(12);
/// More loss than this is not passed on, in 256ths: in-band FEC helps no further, and takes of the sound of those who lose
/// nothing.
const LOSS_PASSED_ON_MAX: u8 = 51;

/// How much of an audio track is lost on the way to whoever loses most of it, in 256ths.
fn worst_loss(now: Instant, publication: &Publication, participants: &Slab<Participant>) -> u8 {
    let slot = |viewer: &Viewer| participants.get(viewer.participant.0)?.slots.get(viewer.slot);
    let losses = publication.viewers().filter_map(slot).map(|slot| slot.loss(now, LOSS_COUNTS));
    losses.max().unwrap_or(0).min(LOSS_PASSED_ON_MAX)
}

impl Room {
    /// Sends what is due on a transport: NACKs, key frame requests and transport-wide feedback.
    pub(super) fn send_feedback(&mut self, now: Instant, on: TransportKey, outbox: &mut Outbox) {
        let mut compound = std::mem::take(&mut self.rtcp);
        compound.clear();
        let transport = &mut self.transports[on.0];
        let owner = transport.owner.and_then(|owner| self.participants.get(owner.0));
        if let Some(media) = &mut transport.media {
            let round_trip = media.egress.round_trip();
            for (publication, ssrc) in media.ingress.write_nacks(now, round_trip, &mut compound) {
                if let Some(publication) = self.publications.get_mut(publication.0) {
                    publication.on_loss(ssrc);
                }
            }
            for key in owner.into_iter().flat_map(|owner| &owner.publications) {
                let publication = &mut self.publications[key.0];
                if publication.transport == on {
                    publication.due_keyframes(now, round_trip, |ssrc| {
                        RtcpWriter::new(&mut compound).pli(media.ingress.rtcp_ssrc, ssrc);
                    });
                }
            }
        }
        transport.send_rtcp(outbox, &compound);
        compound.clear();
        while transport.media.as_mut().is_some_and(|media| media.ingress.write_feedback(now, &mut compound)) {
            transport.send_rtcp(outbox, &compound);
            compound.clear();
        }
        self.rtcp = compound;
        transport.set_feedback();
        self.set_keyframe_timer(now, on);
    }

    /// Sends sender and receiver reports on a transport, if they are due.
    pub(super) fn send_reports(&mut self, now: Instant, on: TransportKey, outbox: &mut Outbox) {
        if !self.transports[on.0].deadlines.is_due(Timer::Reports, now) {
            return;
        }
        let interval = if self.has_video(on) { VIDEO_INTERVAL } else { AUDIO_INTERVAL };
        let next = coalesce(self.settings.epoch, now, now + interval - VIDEO_INTERVAL / 20);
        self.transports[on.0].deadlines.set(Timer::Reports, Some(next));
        // If media flows again after a pause, reports of it may be missing from the first one on.
        self.transports[on.0].set_bandwidth();
        let mut compound = std::mem::take(&mut self.rtcp);
        compound.clear();
        self.write_receiver_report(now, on, &mut compound);
        for index in 0..self.slots_of_owner(on).len() {
            self.write_sender_report(now, on, index, &mut compound);
            if compound.len() > COMPOUND_BYTES {
                self.transports[on.0].send_rtcp(outbox, &compound);
                compound.clear();
            }
        }
        self.transports[on.0].send_rtcp(outbox, &compound);
        self.rtcp = compound;
        self.review_audio_rates(now, on, outbox);
        self.review_quality(now, on, outbox);
    }

    /// Returns all slots of the member to whom a transport belongs, on all of their transports.
    pub(super) fn slots_of_owner(&self, on: TransportKey) -> &[Slot] {
        let owner = self.owner_of(on).and_then(|owner| self.participants.get(owner.0));
        owner.map_or(&[], |owner| &owner.slots)
    }

    /// Whether video comes in on a transport, or goes out on it.
    fn has_video(&self, on: TransportKey) -> bool {
        let shows =
            |slot: &Slot| slot.transport == on && slot.kind == MediaKind::Video && slot.shown.is_some();
        self.slots_of_owner(on).iter().any(shows)
            || self.published_on(on).any(|key| self.publications[key.0].kind() == MediaKind::Video)
    }

    fn write_receiver_report(&mut self, now: Instant, on: TransportKey, compound: &mut Vec<u8>) {
        let Some(media) = &mut self.transports[on.0].media else { return };
        let blocks = &mut self.report_blocks;
        blocks.clear();
        media.ingress.report_blocks(now, blocks);
        for block in blocks.iter_mut() {
            let stream = media.ingress.stream(block.ssrc);
            let publication = stream.and_then(|stream| self.publications.get_mut(stream.publication.0));
            let Some(publication) = publication else { continue };
            if publication.ssrc() == Some(block.ssrc) {
                publication.loss.note(block.fraction_lost);
            }
            if publication.kind() == MediaKind::Audio {
                let lost = worst_loss(now, publication, &self.participants);
                block.fraction_lost = block.fraction_lost.max(lost);
            }
        }
        if !blocks.is_empty() && !mutated!(ReceiverReportForgotten) {
            let mut writer = RtcpWriter::new(compound);
            writer.receiver_report(media.ingress.rtcp_ssrc, blocks);
            writer.sdes_cname(media.ingress.rtcp_ssrc, CNAME);
        }
    }

    fn write_sender_report(&mut self, now: Instant, on: TransportKey, index: usize, compound: &mut Vec<u8>) {
        let slots = self.slots_of_owner(on);
        let Some(slot) = slots.get(index).filter(|slot| slot.transport == on) else { return };
        let Some(shown) = slot.shown else { return };
        let Some(publication) = self.publications.get(shown.publication.0) else { return };
        let owner = &self.participants[publication.owner.0];
        let Some((ntp, timestamp)) = self.translated_clock(now, publication, owner, slot) else { return };
        let beside = slots.iter().find(|other| other.kind == slot.kind && other.mid != slot.mid);
        let named = if mutated!(ReportOfWrongSlot) { beside.unwrap_or(slot) } else { slot };
        let (ssrc, counters) = (named.ssrc, slot.counters);
        let mut writer = RtcpWriter::new(compound);
        // The counts wrap, as RFC 3550 §6.4.1 says.
        writer.sender_report(ssrc, ntp, timestamp, counters.packets as u32, counters.bytes as u32, &[]);
        writer.sdes_cname(ssrc, CNAME);
        if let Some(media) = &mut self.transports[on.0].media {
            media.egress.remember_report(now, ntp);
        }
    }

    /// Returns what the source's two clocks show now: its wall clock, moved to ours by the same offset for all its
    /// tracks, and its RTP clock, moved to the slot's.
    fn translated_clock(
        &self,
        now: Instant,
        publication: &Publication,
        owner: &Participant,
        slot: &Slot,
    ) -> Option<(u64, u32)> {
        let (stretch, timestamp_offset) = slot.flowing()?;
        let report = publication.report(stretch)?;
        let clock_rate = publication.codec()?.clock_rate();
        let since = now.saturating_duration_since(report.at);
        let moved = if mutated!(ReportNotMoved) { Duration::ZERO } else { since };
        let ticks = (moved.as_micros() * u128::from(clock_rate) / 1_000_000) as u32;
        let timestamp = report.timestamp.wrapping_add(ticks).wrapping_add(timestamp_offset);
        let ntp = report.ntp.wrapping_add(ntp_of(since)).wrapping_add(owner.clock_offset?);
        Some((ntp, timestamp))
    }
}

/// Returns a duration in NTP's units of 2^-32 seconds.
fn ntp_of(duration: Duration) -> u64 {
    (duration.as_secs() << 32) | ((u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000)
}

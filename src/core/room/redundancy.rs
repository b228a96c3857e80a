//! Redundancy: what clients report of their audio decides how many copies of it they are sent.
//!
//! Transport-wide feedback tells of each packet within a quarter of a second, and receiver reports of every packet, but each
//! five seconds where there is audio alone. Both count.

use std::time::Instant;

use tracing::debug;

use super::Room;
use crate::core::bandwidth::LossReport;
use crate::core::command::MediaKind;
use crate::core::forward::slot::Slot;
use crate::core::ids::{ParticipantKey, TransportKey};
use crate::core::media::redundancy::LossSource;
use crate::core::quality::effective_loss;

/// If more audio is missing than this, in 1/1000, people hear it.
const HEARD_PERMILLE: u16 = 50;

impl Room {
    /// Takes what transport-wide feedback has told lately of the audio that a member is sent on a transport.
    pub(super) fn take_audio_feedback(&mut self, now: Instant, on: TransportKey) {
        let (Some(member), Some(media)) = (self.owner_of(on), &mut self.transports[on.0].media) else {
            return;
        };
        if !media.redundancy.wants_feedback(now) {
            return;
        }
        if let Some(report) = media.egress.take_audio_told() {
            self.review_redundancy(now, on, member, LossSource::Feedback, report);
        }
    }

    /// Takes what is reported of audio that a member is sent on a transport.
    pub(super) fn review_redundancy(
        &mut self,
        now: Instant,
        on: TransportKey,
        member: ParticipantKey,
        source: LossSource,
        report: LossReport,
    ) {
        let Self { participants, publications, transports, .. } = self;
        let Some(listener) = participants.get(member.0) else { return };
        let audio = listener.slots.iter();
        let audio = audio.filter(|slot| slot.transport == on && slot.kind == MediaKind::Audio);
        if !self.settings.redundancy || !audio.clone().any(Slot::takes_copies) {
            return;
        }
        let Some(media) = &mut transports[on.0].media else { return };
        let rate = |slot: &Slot| {
            let (stretch, _) = slot.flowing()?;
            Some(publications.get(stretch.publication.0)?.encoding(stretch.encoding)?.bitrate.bps(now))
        };
        let rate = audio.filter_map(rate).sum();
        let carried = media.egress.bandwidth().map(|bandwidth| bandwidth.estimate);
        if let Some(decision) = media.redundancy.on_report(now, source, report, carried, rate) {
            self.totals.redundancy_changes += 1;
            let participant = listener.id;
            debug!(room = %self.id, %participant, ?decision, "another redundancy of audio");
        }
    }

    /// Notes an incident if so much audio was missing since the client's last report that people hear it.
    pub(super) fn note_dropout(
        &mut self,
        on: TransportKey,
        member: ParticipantKey,
        slot: usize,
        fraction: u8,
    ) {
        let slot = &mut self.participants[member.0].slots[slot];
        let media = self.transports[on.0].media.as_ref().filter(|_| slot.takes_copies());
        let copies = media.map_or(0, |media| media.redundancy.copies());
        let lost = (u32::from(fraction) * 1000 / 256) as u16;
        slot.dropouts += u64::from(effective_loss(lost, copies as u8) > HEARD_PERMILLE);
    }
}

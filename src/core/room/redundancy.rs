//! Redundancy: what clients report of their audio decides how many copies of it they are sent.

use std::time::Instant;

use tracing::debug;

use super::Room;
use crate::core::command::MediaKind;
use crate::core::forward::slot::Slot;
use crate::core::ids::{ParticipantKey, TransportKey};
use crate::core::media::redundancy::LossReport;

impl Room {
    /// Takes a member's report of audio that they are sent on a transport.
    pub(super) fn review_redundancy(
        &mut self,
        now: Instant,
        on: TransportKey,
        member: ParticipantKey,
        report: LossReport,
    ) {
        let Self { participants, publications, transports, .. } = self;
        let audio = participants[member.0].slots.iter();
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
        if let Some(decision) = media.redundancy.on_report(now, report, carried, rate) {
            self.totals.redundancy_changes += 1;
            let participant = participants[member.0].id;
            debug!(room = %self.id, %participant, ?decision, "another redundancy of audio");
        }
    }
}

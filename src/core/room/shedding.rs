//! Load shedding: while the processor is too busy, video is dropped for some of each track's viewers.

use std::time::Instant;

use super::Room;
use crate::core::command::Source;
use crate::core::forward::hold::Hold;
use crate::core::forward::publication::Publication;
use crate::core::ids::ParticipantId;
use crate::core::input::Shedding;
use crate::core::participant::Participant;

impl Room {
    /// Drops this share of the video from now on. A viewer who gets a track again waits for a key frame, as after a
    /// pause.
    pub(super) fn shed(&mut self, now: Instant, shedding: Shedding) {
        self.shedding = shedding;
        for (_, transport) in &mut self.transports {
            if let Some(media) = &mut transport.media {
                media.egress.hold_probes(shedding != Shedding::NONE);
            }
        }
        let mut wanted = Vec::new();
        for key in &self.order {
            let Participant { id, slots, .. } = &mut self.participants[key.0];
            for slot in slots {
                let Some(shown) = slot.shown else { continue };
                let Some(publication) = self.publications.get(shown.publication.0) else { continue };
                let is_shed = is_shed(shedding, publication, *id);
                if slot.set_held(Hold::Load, is_shed) && !is_shed {
                    wanted.push(shown.publication);
                }
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        for publication in wanted {
            self.want_keyframe(now, publication);
        }
    }
}

/// Returns whether a track is dropped for a viewer at that share. Cameras are dropped first, shared screens last. The
/// ids of track and viewer decide, so it is the same viewers for as long as it lasts, but others for each track.
pub(super) fn is_shed(shedding: Shedding, publication: &Publication, viewer: ParticipantId) -> bool {
    let place = (publication.track.0 ^ viewer.0) % u64::from(Shedding::ALL.get());
    match publication.source {
        Source::Camera => place < u64::from(shedding.get()),
        Source::Screen => shedding == Shedding::ALL,
        Source::Microphone | Source::ScreenAudio => false,
    }
}

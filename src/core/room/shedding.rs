//! Load shedding: while the processor is too busy, viewers are sent smaller video, then fewer pictures of it, and only if that
//! is not enough, some of them no video.

use std::time::Instant;

use super::Room;
use crate::core::command::{MediaKind, Source};
use crate::core::forward::hold::Hold;
use crate::core::forward::publication::Publication;
use crate::core::forward::steps::Load;
use crate::core::ids::{ParticipantId, ParticipantKey};
use crate::core::input::Shedding;
use crate::core::mutation::mutated;

impl Room {
    /// Sheds that much of the work of video from now on. A viewer who gets a track again waits for a key frame, as after a
    /// pause.
    pub(super) fn shed(&mut self, now: Instant, shedding: Shedding) {
        // The shell repeats it, because rooms that are made in the meantime do not know.
        if std::mem::replace(&mut self.shedding, shedding) == shedding {
            return;
        }
        for (_, transport) in &mut self.transports {
            if let Some(media) = &mut transport.media {
                media.egress.hold_probes(shedding != Shedding::NONE);
            }
        }
        for place in 0..self.order.len() {
            let key = self.order[place];
            for index in 0..self.participants[key.0].slots.len() {
                self.shed_slot(now, key, index);
            }
        }
    }

    /// Lets what the machine has no time for take effect in a slot.
    pub(super) fn shed_slot(&mut self, now: Instant, key: ParticipantKey, index: usize) {
        let participant = &mut self.participants[key.0];
        let slot = &mut participant.slots[index];
        let Some(shown) = slot.shown.filter(|_| slot.kind == MediaKind::Video) else { return };
        let Some(publication) = self.publications.get_mut(shown.publication.0) else { return };
        let load = load_of(self.shedding, publication, participant.id);
        let has_changed = slot.set_held(Hold::Load, load.is_nothing);
        if publication.set_load(key, index, load) {
            publication.review(now);
            self.layer_reviews.push(shown.publication);
            self.steered.later(key);
        }
        if has_changed && !load.is_nothing {
            publication.bring_over(key, index);
            self.want_keyframe_for(now, shown.publication, (key, index));
        }
    }
}

/// Returns what there is no time for of a track, as far as one viewer goes. Cameras are lowered first and paused first: shared
/// screens become smaller only when everything else is lowered as far as can be, and are paused last. The ids of track and
/// viewer decide, so it is the same viewers for as long as it lasts, but others for each track.
pub(super) fn load_of(shedding: Shedding, publication: &Publication, viewer: ParticipantId) -> Load {
    let place = ((publication.track.0 ^ viewer.0) % u64::from(Shedding::PARTS)) as u8;
    if mutated!(LoadNotLowered) && shedding <= Shedding::LOWERED {
        return Load::default();
    }
    match publication.source {
        Source::Camera => Load {
            is_smallest: place < shedding.smaller(),
            is_fewest: place < shedding.fewer(),
            is_nothing: place < shedding.paused(),
        },
        Source::Screen => Load {
            is_smallest: shedding >= Shedding::LOWERED,
            is_fewest: place < shedding.fewer(),
            is_nothing: shedding == Shedding::ALL,
        },
        Source::Microphone | Source::ScreenAudio => Load::default(),
    }
}

//! What is left out while the machine cannot carry everything: video, and that for some of each track's viewers.

use std::time::Instant;

use super::Room;
use crate::core::command::Source;
use crate::core::forward::publication::Publication;
use crate::core::ids::ParticipantId;
use crate::core::input::Withheld;
use crate::core::participant::Participant;

impl Room {
    /// So much of the pictures is not forwarded from now on. Who gets one again waits for a key frame, as after a pause.
    pub(super) fn withhold(&mut self, now: Instant, withheld: Withheld) {
        self.withheld = withheld;
        let mut wanted = Vec::new();
        for key in &self.order {
            let Participant { id, slots, .. } = &mut self.participants[key.0];
            for slot in slots {
                let Some(shown) = slot.shown else { continue };
                let Some(publication) = self.publications.get(shown.publication.0) else { continue };
                let was_withheld = slot.withheld;
                slot.set_withheld(is_left_out(withheld, publication, *id));
                if was_withheld && !slot.withheld {
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

/// Whether somebody does not get a track when so much is left out: cameras, and what a screen shows last of all. Which
/// ones, the ids decide: the same for as long as it lasts, and some of each track's viewers.
pub(super) fn is_left_out(withheld: Withheld, publication: &Publication, viewer: ParticipantId) -> bool {
    let place = (publication.track.0 ^ viewer.0) % u64::from(Withheld::ALL.get());
    match publication.source {
        Source::Camera => place < u64::from(withheld.get()),
        Source::Screen => withheld == Withheld::ALL,
        Source::Microphone | Source::ScreenAudio => false,
    }
}

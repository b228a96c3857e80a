//! Who needs a key frame: requests of viewers, handed to the publications that they watch.

use std::time::Instant;

use super::Room;
use crate::core::command::Kind;
use crate::core::ids::{ParticipantKey, PublicationKey};
use crate::core::mutation::mutated;

impl Room {
    /// Somebody needs a key frame of that track.
    pub(super) fn want_keyframe(&mut self, now: Instant, key: PublicationKey) {
        let publication = &mut self.publications[key.0];
        if publication.kind() == Kind::Video && !mutated!(KeyframeRequestForgotten) {
            publication.keyframes.want();
            let owner = publication.owner;
            self.arm(now, owner);
        }
    }

    /// Everything that a participant sees needs a key frame.
    pub(super) fn want_keyframes_for(&mut self, now: Instant, key: ParticipantKey) {
        let shown: Vec<PublicationKey> = self.participants[key.0]
            .slots
            .iter()
            .filter_map(|slot| slot.shown)
            .map(|s| s.publication)
            .collect();
        for publication in shown {
            self.want_keyframe(now, publication);
        }
    }
}

//! Who needs a key frame: what viewers ask for is handed to the publications that they watch.

use std::time::Instant;

use super::{Owner, Room};
use crate::core::command::MediaKind;
use crate::core::ids::{ParticipantKey, PublicationKey, TransportKey};

impl Room {
    /// Asks for a key frame of everything that is shown of a track.
    pub(super) fn want_keyframe(&mut self, now: Instant, key: PublicationKey) {
        let publication = &mut self.publications[key.0];
        if publication.kind() == MediaKind::Video {
            publication.want_keyframes();
            self.keyframe_wanted(now, key);
        }
    }

    /// One viewer of a track, in one of their slots, needs a key frame of what they are shown.
    pub(super) fn want_keyframe_for(
        &mut self,
        now: Instant,
        key: PublicationKey,
        viewer: (ParticipantKey, usize),
    ) {
        let publication = &mut self.publications[key.0];
        publication.want_keyframe_for(viewer.0, viewer.1);
        self.keyframe_wanted(now, key);
    }

    /// Makes sure that the owner of a track is woken to be asked for the key frames that are wanted of it.
    pub(super) fn keyframe_wanted(&mut self, now: Instant, key: PublicationKey) {
        let (owner, on) = (self.publications[key.0].owner, self.publications[key.0].transport);
        self.set_keyframe_timer(now, on);
        self.arm(now, Owner::Member(owner));
    }

    /// Asks for a key frame of everything that is shown on a transport.
    pub(super) fn want_keyframes_on(&mut self, now: Instant, on: TransportKey) {
        let shown: Vec<PublicationKey> = self
            .slots_of_owner(on)
            .iter()
            .filter(|slot| slot.transport == on)
            .filter_map(|slot| slot.shown)
            .map(|shown| shown.publication)
            .collect();
        for publication in shown {
            self.want_keyframe(now, publication);
        }
    }

    /// Asks for a key frame of everything that a member is shown.
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

//! Key frames: viewers' needs for them are handed to the publications that they watch.

use std::time::Instant;

use super::{Owner, Room};
use crate::core::command::MediaKind;
use crate::core::ids::{ParticipantKey, PublicationKey, TransportKey};

impl Room {
    /// Asks for key frames of all encodings of a track that somebody is shown.
    pub(super) fn want_keyframe(&mut self, now: Instant, key: PublicationKey) {
        let publication = &mut self.publications[key.0];
        if publication.kind() == MediaKind::Video {
            publication.want_keyframes();
            self.keyframe_wanted(now, key);
        }
    }

    /// Asks for a key frame for one viewer of a track, of the encoding that they are shown.
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

    /// Sets and arms the deadline at which the owner of a track is asked for the key frames that are wanted.
    pub(super) fn keyframe_wanted(&mut self, now: Instant, key: PublicationKey) {
        let (owner, on) = (self.publications[key.0].owner, self.publications[key.0].transport);
        self.set_keyframe_timer(now, on);
        self.arm(now, Owner::Member(owner));
    }

    /// Asks for key frames of all tracks that are shown on a transport.
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

    /// Asks for key frames of all tracks that a member is shown.
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

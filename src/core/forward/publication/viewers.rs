//! Who watches a track, and which of its encodings each of them is shown.

use super::{Publication, at};
use crate::core::forward::backlog::Viewer;
use crate::core::ids::{EncodingIndex, ParticipantKey};
use crate::limits::ENCODINGS_MAX;

impl Publication {
    /// Everybody who watches the track.
    pub fn viewers(&self) -> impl Iterator<Item = &Viewer> {
        self.encodings.iter().flat_map(|encoding| encoding.backlog.viewers())
    }

    /// Shows the track in a slot from now on.
    pub fn add_viewer(&mut self, participant: ParticipantKey, slot: usize) {
        self.encodings[at(self.chosen)].backlog.add(participant, slot);
        self.needs_review = true;
    }

    /// Returns the encoding that a viewer is to be shown.
    pub fn selected(&self, viewer: &Viewer) -> EncodingIndex {
        select_encoding(viewer, self.chosen)
    }

    /// Forgets the viewers of whom `is_gone` says so.
    pub fn remove_viewers(&mut self, is_gone: impl Fn(&Viewer) -> bool) {
        for encoding in &mut self.encodings {
            encoding.backlog.remove_viewers(&is_gone);
            if !encoding.is_followed() {
                encoding.keyframes.forget();
            }
        }
        self.needs_review = true;
    }

    /// One of a participant's slots is gone, which did not show this track. Those behind it have moved up.
    pub fn on_slot_removed(&mut self, participant: ParticipantKey, slot: usize) {
        let viewers = self.encodings.iter_mut().flat_map(|encoding| encoding.backlog.viewers_mut());
        for viewer in viewers.filter(|viewer| viewer.participant == participant) {
            debug_assert_ne!(viewer.slot, slot, "whoever showed it there was removed first");
            viewer.slot -= usize::from(viewer.slot > slot);
        }
    }

    /// Asks for a key frame of every encoding that somebody is to be shown and is not yet.
    pub(super) fn await_keyframes(&mut self) {
        let mut awaited = [false; ENCODINGS_MAX];
        for (shown, encoding) in self.encodings.iter().enumerate() {
            for viewer in encoding.backlog.viewers() {
                let selected = at(select_encoding(viewer, self.chosen));
                awaited[selected] |= selected != shown;
            }
        }
        for (encoding, awaited) in self.encodings.iter_mut().zip(awaited) {
            let is_new = awaited && !(encoding.awaited && encoding.keyframes.is_wanted());
            encoding.awaited = awaited;
            if is_new {
                encoding.keyframes.want();
            } else if !encoding.is_followed() {
                // Whoever waited for it wants another one now: its publisher must not be asked for ever.
                encoding.keyframes.forget();
            }
        }
    }

    /// A key frame of an encoding begins at `position` of its backlog. Whoever waits for it is shown it from there on. What
    /// they have not got of their old encoding is left out: the new picture replaces it.
    pub(super) fn switch_viewers(&mut self, to: usize, position: u64) {
        let chosen = self.chosen;
        for from in (0..self.encodings.len()).filter(|from| *from != to) {
            let waits = |viewer: &Viewer| at(select_encoding(viewer, chosen)) == to;
            for viewer in self.encodings[from].backlog.take_viewers(waits) {
                self.encodings[to].join(viewer, position);
            }
        }
        self.encodings[to].awaited = false;
        self.needs_review = true;
    }
}

/// The encoding that a viewer is to be shown: their own choice, or the one for everybody.
pub(super) fn select_encoding(viewer: &Viewer, chosen: EncodingIndex) -> EncodingIndex {
    viewer.choice.unwrap_or(chosen)
}

//! Crowding: whether somebody can have fewer audio slots than there are microphones to be heard. Then their microphones share
//! a few slots ([`sharing`](super::sharing)).

use std::cmp::Reverse;
use std::time::Instant;

use super::Room;
use crate::core::command::Source;
use crate::core::ids::ParticipantKey;

impl Room {
    /// Looks whether there are more unmuted microphones than somebody can have slots. It takes a quarter fewer until they are
    /// not crowded any more, so that nobody's mute button moves everybody's slots to and fro.
    pub(super) fn review_crowding(&mut self, now: Instant, key: ParticipantKey) {
        let participant = &self.participants[key.0];
        let most = self.settings.slots_max.audio;
        let wanted = participant.subscriptions.heard_count();
        if !participant.is_connected() || participant.is_parametric() {
            return;
        }
        let is_crowded = wanted > if participant.is_crowded { most - most / 4 } else { most };
        if is_crowded == participant.is_crowded {
            return;
        }
        self.participants[key.0].is_crowded = is_crowded;
        if is_crowded {
            self.make_way(key);
        } else {
            self.hand_on_muted(now, key);
        }
    }

    /// Somebody is crowded no longer: microphones that are muted give their slots to those that wait.
    fn hand_on_muted(&mut self, now: Instant, key: ParticipantKey) {
        let sharing = self.sharing(&self.participants[key.0], Source::Microphone);
        let muted = sharing.filter(|(_, publication)| publication.muted);
        for publication in muted.map(|(_, publication)| publication.key).collect::<Vec<_>>() {
            self.hand_on(now, key, publication);
        }
        self.slots_freed.push(key);
    }

    /// Somebody is crowded from now on: of the microphones that they hear only those who spoke last keep their slots.
    fn make_way(&mut self, key: ParticipantKey) {
        let participant = &self.participants[key.0];
        let microphones = self.sharing(participant, Source::Microphone);
        let levelled = microphones.filter(|(_, publication)| publication.tells_speech());
        let mut slots: Vec<_> = levelled
            .map(|(index, publication)| {
                let spoke = self.participants[publication.owner.0].heard_at;
                ((Reverse(spoke), publication.muted, index), index)
            })
            .collect();
        slots.sort_unstable();
        let extra = slots.split_off(slots.len().min(self.settings.sharing.speaker_slots));
        for (_, index) in extra {
            self.take_slot_back(key, index);
        }
    }
}

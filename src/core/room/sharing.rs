//! Sharing: in a room with more microphones or cameras than a client has slots, those who speak get them.
//!
//! Whoever has slots for everybody keeps everybody: nothing here applies to them. Otherwise a slot goes from one to another
//! only when it is needed:
//!
//! - A muted track holds its slot as long as no other track wants it.
//! - Where there are more unmuted microphones than audio slots a client may have, it is **crowded**: its microphones share a
//!   few slots (`speaker_slots`). Of those who speak the room chooses a few (`speakers`), the same for all, and whoever of
//!   them has no slot takes that of whoever has been silent longest. Those who spoke last keep theirs until others speak.
//! - Of cameras, that of the dominant speaker takes the slot of whoever led longest ago.
//!
//! What was pinned, or subscribed to by name, keeps its slot, and so do shared screens and their audio. A microphone that
//! tells no levels gives way last. What is in a slot is forwarded, and each change is told in a slot map to those alone
//! whose slot it is. A track that can be heard or seen loses its slot only in the moment in which its viewer is told: its
//! media would end without a reason otherwise, and that of the next one may not begin yet. So somebody whose signalling is
//! broken keeps what they have, and catches up when they are back.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use super::Room;
use crate::core::command::{MediaKind, Source};
use crate::core::event::Refusal;
use crate::core::forward::publication::Publication;
use crate::core::forward::slot::Slot;
use crate::core::ids::{ParticipantKey, PublicationKey, TrackId};
use crate::core::mutation::mutated;
use crate::core::participant::Participant;
use crate::core::speech::Speech;
use crate::core::subscriptions::SubscriptionState;

/// How long whoever was chosen stays chosen at least, however many others speak.
const CHOSEN_STAYS: Duration = Duration::from_secs(2);
/// Somebody who waits while others speak gains a decibel in this time, so that everybody has a turn.
const DECIBEL_OF_PATIENCE: Duration = Duration::from_millis(100);
/// How much louder somebody must be than whoever's place they take, in dB.
const LOUDER: i64 = 6;

/// Somebody who speaks while there may be too many of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Talker {
    /// Their microphone.
    pub(super) key: PublicationKey,
    /// Since when they have been chosen to be heard, or wait to be.
    since: Instant,
    is_chosen: bool,
}

impl Talker {
    /// Somebody who begins to speak.
    pub(super) fn new(now: Instant, key: PublicationKey) -> Self {
        Self { key, since: now, is_chosen: false }
    }
}

impl Room {
    /// Somebody has begun to speak, or has ended: chooses who is heard where not all can be.
    pub(super) fn choose_talkers(&mut self, now: Instant) {
        let mut talkers = std::mem::take(&mut self.floor.talkers);
        let speech = |key: PublicationKey| self.publications.get(key.0)?.speech.as_ref();
        talkers.retain(|talker| speech(talker.key).is_some_and(Speech::is_speaking));
        let strength = |talker: &Talker| {
            let level = speech(talker.key).map_or(0, |speech| 127 - i64::from(speech.level()));
            let waited =
                now.saturating_duration_since(talker.since).as_millis() / DECIBEL_OF_PATIENCE.as_millis();
            level + if talker.is_chosen { 0 } else { waited as i64 }
        };
        let mut begun = Vec::new();
        loop {
            // Whoever sends several microphones has one place for them all.
            let owner = |index: usize| self.publications.get(talkers[index].key.0).map(|own| own.owner);
            let has_place = |index: &usize| {
                (0..talkers.len()).any(|other| talkers[other].is_chosen && owner(other) == owner(*index))
            };
            let waiting = (0..talkers.len()).filter(|index| !has_place(index));
            let Some(best) = waiting.max_by_key(|index| (strength(&talkers[*index]), Reverse(*index))) else {
                break;
            };
            let chosen = || (0..talkers.len()).filter(|index| talkers[*index].is_chosen);
            if chosen().count() >= self.settings.sharing.speakers {
                let may_go = |index: &usize| {
                    let talker = &talkers[*index];
                    Some(talker.key) != self.floor.dominant && now >= talker.since + CHOSEN_STAYS
                };
                let weakest = chosen().filter(may_go).min_by_key(|index| strength(&talkers[*index]));
                let Some(weakest) = weakest else { break };
                if strength(&talkers[best]) < strength(&talkers[weakest]) + LOUDER {
                    break;
                }
                (talkers[weakest].is_chosen, talkers[weakest].since) = (false, now);
            }
            (talkers[best].is_chosen, talkers[best].since) = (true, now);
            begun.push(talkers[best].key);
        }
        for talker in talkers.iter().filter(|talker| talker.is_chosen) {
            let owner = self.publications[talker.key.0].owner;
            self.participants[owner.0].heard_at = Some(now);
        }
        self.floor.talkers = talkers;
        for key in begun {
            self.show_to_all(now, key);
        }
    }

    /// Somebody else speaks most: their camera is shown to all who have a slot for it, or can have one.
    pub(super) fn show_dominant(&mut self, now: Instant, key: PublicationKey) {
        if let Some(camera) = self.camera_beside(key) {
            self.show_to_all(now, camera);
        }
        // They may be one of those whom a client with very few slots does not hear.
        self.show_to_all(now, key);
    }

    /// Returns the camera of whoever has that microphone, if they show themselves.
    fn camera_beside(&self, microphone: PublicationKey) -> Option<PublicationKey> {
        let owner = &self.participants[self.publications[microphone.0].owner.0];
        let is_camera = |key: &PublicationKey| {
            let publication = &self.publications[key.0];
            publication.source == Source::Camera && !publication.muted
        };
        owner.publications.iter().copied().find(is_camera)
    }

    /// Puts those who speak now into slots of somebody who has just come (back), or whose slots have changed.
    pub(super) fn show_speakers(&mut self, now: Instant, viewer: ParticipantKey) {
        let dominant = self.floor.dominant;
        let camera = dominant.and_then(|microphone| self.camera_beside(microphone));
        for key in self.chosen_talkers().into_iter().chain(dominant).chain(camera) {
            self.show_if_waiting(now, viewer, key);
        }
    }

    /// Shows those who speak to whoever still waits for them. When they began, nobody may have given way who does by now,
    /// such as whoever spoke most and has been muted.
    pub(super) fn show_chosen(&mut self, now: Instant) {
        for key in self.chosen_talkers() {
            self.show_to_all(now, key);
        }
    }

    /// Returns the microphones of those who are chosen to be heard.
    fn chosen_talkers(&self) -> Vec<PublicationKey> {
        self.floor.talkers.iter().filter(|talker| talker.is_chosen).map(|talker| talker.key).collect()
    }

    /// Puts a track into a slot of everybody who waits for it, where another one gives way.
    fn show_to_all(&mut self, now: Instant, key: PublicationKey) {
        for place in 0..self.order.len() {
            let viewer = self.order[place];
            // They speak already, so their media waits for the slot map.
            if self.show_if_waiting(now, viewer, key) {
                self.participants[viewer.0].slot_map_is_urgent = true;
            }
        }
    }

    /// Puts a track into a slot of somebody's, if they wait for it. Returns whether it has got one.
    fn show_if_waiting(&mut self, now: Instant, viewer: ParticipantKey, key: PublicationKey) -> bool {
        let subscription = self.participants[viewer.0].subscriptions.get(self.publications[key.0].track);
        let waits = subscription.is_some_and(|own| own.state == SubscriptionState::Waiting);
        waits && !mutated!(SpeakerNotShown) && self.show_to(now, viewer, key)
    }

    /// Puts a track that somebody waits for into one of their slots, where another one gives way. Returns whether it has
    /// one.
    fn show_to(&mut self, now: Instant, viewer: ParticipantKey, key: PublicationKey) -> bool {
        if !self.has_negotiated(viewer) {
            return false;
        }
        let has_room = self.has_room(viewer, key)
            || self.who_gives_way(viewer, key).is_some_and(|slot| self.take_slot_back(viewer, slot));
        if has_room {
            self.slot_maps.push(viewer);
        }
        has_room && self.assign_slot(now, viewer, key)
    }

    /// Empties a slot for another track. Its viewer is told before the input ends; only the end of a muted track can wait
    /// until several changes are told together, because no media ends with it. Returns `false` if the viewer cannot be
    /// told. Then the slot keeps its track: the next one could not be announced, and so would not be seen either.
    pub(super) fn take_slot_back(&mut self, viewer: ParticipantKey, slot: usize) -> bool {
        let participant = &self.participants[viewer.0];
        if !participant.is_connected() {
            return false;
        }
        let shown = participant.slots[slot].shown;
        let muted = shown
            .and_then(|shown| self.publications.get(shown.publication.0))
            .is_none_or(|publication| publication.muted);
        self.collect_counters(viewer);
        self.empty_slot(viewer, slot);
        self.participants[viewer.0].slot_map_is_urgent |= !muted;
        self.slot_maps.push(viewer);
        true
    }

    /// Returns whether a track would get a slot of somebody's without taking it from another.
    pub(super) fn has_room(&self, viewer: ParticipantKey, key: PublicationKey) -> bool {
        let (participant, publication) = (&self.participants[viewer.0], &self.publications[key.0]);
        let shared = match publication.source {
            Source::Microphone if self.shares_slots(participant, publication) => {
                Some(self.settings.sharing.speaker_slots)
            }
            Source::Camera => self.settings.sharing.last_n,
            Source::Microphone | Source::Screen | Source::ScreenAudio => None,
        };
        let is_open =
            |kind: MediaKind| participant.slots.iter().any(|slot| slot.kind == kind && slot.is_free());
        // Without any slot of the kind it is for `assign_slot` to say so.
        if !is_open(publication.kind()) {
            return participant.open_slots(publication.kind()) == 0;
        }
        let in_use = || {
            let sharing = self.sharing(participant, publication.source);
            sharing.filter(|(_, other)| self.shares_slots(participant, other)).count()
        };
        shared.is_none_or(|most| in_use() < most)
    }

    /// The slots of somebody whose tracks are of that source and can be made to give way, each with its publication.
    pub(super) fn sharing<'a>(
        &'a self,
        participant: &'a Participant,
        source: Source,
    ) -> impl Iterator<Item = (usize, &'a Publication)> {
        let shown = move |(index, slot): (usize, &'a Slot)| {
            let publication = self.publications.get(slot.shown?.publication.0)?;
            let subscription = participant.subscriptions.get(publication.track)?;
            let is_pinned = subscription.pinned && !mutated!(PinIgnored);
            (publication.source == source && !is_pinned).then_some((index, publication))
        };
        participant.slots.iter().enumerate().filter_map(shown)
    }

    /// Returns in which slot of somebody's a track gives way to another of the same source; `None` if none does.
    fn who_gives_way(&self, viewer: ParticipantKey, key: PublicationKey) -> Option<usize> {
        let (participant, newcomer) = (&self.participants[viewer.0], &self.publications[key.0]);
        let source = newcomer.source;
        if !matches!(source, Source::Microphone | Source::Camera) {
            return None;
        }
        let is_dominant = |owner: ParticipantKey| {
            let dominant = self.floor.dominant.and_then(|key| self.publications.get(key.0));
            dominant.is_some_and(|publication| publication.owner == owner)
        };
        let is_pinned = participant.subscriptions.get(newcomer.track).is_some_and(|own| own.pinned);
        let is_preferred = is_pinned || is_dominant(newcomer.owner);
        let is_chosen = |key: PublicationKey| {
            self.floor.talkers.iter().any(|talker| talker.key == key && talker.is_chosen)
        };
        let may_speak = is_preferred || is_chosen(newcomer.key);
        let gives_way = |publication: &Publication| {
            let (key, owner) = (publication.key, publication.owner);
            if publication.muted {
                return !newcomer.muted;
            }
            match source {
                Source::Microphone => may_speak && (is_preferred || !is_chosen(key)) && !is_dominant(owner),
                _ => is_preferred && !is_dominant(owner),
            }
        };
        let rank = |publication: &Publication| {
            let owner = &self.participants[publication.owner.0];
            let spoke =
                if source == Source::Camera { owner.led_at.max(owner.heard_at) } else { owner.heard_at };
            // One that tells no levels may speak: it gives way before those who are known to, and after all others.
            let speaks = match source {
                Source::Microphone if is_chosen(publication.key) => 2,
                Source::Microphone => i32::from(!publication.tells_speech()),
                _ => 0,
            };
            (!publication.muted, speaks, spoke)
        };
        let takes = newcomer.codec();
        let candidates = self.sharing(participant, source).filter(|(index, publication)| {
            let slot = &participant.slots[*index];
            let section = self.transports[slot.transport.0].negotiated.section(slot.mid);
            let fits =
                takes.is_none_or(|codec| section.is_some_and(|section| section.codec_for(codec).is_some()));
            fits && gives_way(publication)
        });
        candidates.min_by_key(|(_, publication)| rank(publication)).map(|(index, _)| index)
    }

    /// Returns whether a track that somebody waits for would share slots with others, so that it gets one when it speaks.
    pub(super) fn shares_slots(&self, participant: &Participant, publication: &Publication) -> bool {
        match publication.source {
            Source::Microphone => participant.is_crowded && publication.tells_speech(),
            Source::Camera => self.settings.sharing.last_n.is_some(),
            Source::Screen | Source::ScreenAudio => false,
        }
    }

    /// A track was muted or unmuted: who waits may get its slot, or it may get one of those that are muted.
    pub(super) fn share_after_mute(&mut self, now: Instant, key: PublicationKey) {
        let (track, muted, kind) = {
            let publication = &self.publications[key.0];
            (publication.track, publication.muted, publication.kind())
        };
        for place in 0..self.order.len() {
            let viewer = self.order[place];
            let participant = &mut self.participants[viewer.0];
            participant.subscriptions.set_muted(track, muted);
            self.review_crowding(now, viewer);
            let participant = &self.participants[viewer.0];
            let Some(subscription) = participant.subscriptions.get(track) else { continue };
            match subscription.state {
                SubscriptionState::Waiting if !muted => {
                    self.show_to(now, viewer, key);
                }
                SubscriptionState::Slot(_)
                    if muted && !(participant.is_crowded && kind == MediaKind::Audio) =>
                {
                    self.hand_on(now, viewer, key);
                }
                _ => {}
            }
        }
    }

    /// The slot of a track that was muted goes to whoever waits longest for one like it.
    pub(super) fn hand_on(&mut self, now: Instant, viewer: ParticipantKey, key: PublicationKey) {
        let source = self.publications[key.0].source;
        let waits = |track: &TrackId| {
            let publication = &self.publications[self.by_track.get(track)?.0];
            (publication.source == source && !publication.muted).then_some(publication.key)
        };
        let waiting = self.participants[viewer.0].subscriptions.waiting_of(self.publications[key.0].kind());
        let next = waiting.into_iter().find_map(|track| waits(&track));
        if let Some(next) = next {
            self.show_to(now, viewer, next);
        }
    }

    pub(super) fn set_pinned(&mut self, key: ParticipantKey, track: TrackId, pinned: bool) {
        self.participants[key.0].subscriptions.set_pinned(track, pinned);
    }

    /// Lets a track keep its slot whoever speaks, or no longer. One that has none takes that of one that is not pinned.
    pub(super) fn pin(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        track: TrackId,
        pinned: bool,
    ) -> Result<(), Refusal> {
        let key = self.subscribed_track(from, track)?;
        self.set_pinned(from, track, pinned);
        let state = self.participants[from.0].subscriptions.get(track).map(|own| own.state);
        if pinned && state == Some(SubscriptionState::Waiting) {
            self.show_to(now, from, key);
        }
        Ok(())
    }
}

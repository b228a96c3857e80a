//! Who wants which track, and what they are told of it: members subscribe and pause, and learn from slot maps what is
//! shown where.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Room;
use crate::core::command::MediaKind;
use crate::core::event::{Event, Refusal, RefusalCode, SlotCounts, SlotMap, WaitingReason};
use crate::core::forward::publication::Publication;
use crate::core::ids::{ParticipantKey, PublicationKey, TrackId};
use crate::core::mutation::mutated;
use crate::core::outbox::Outbox;
use crate::core::participant::{Participant, Subscription, SubscriptionState};

fn unknown_track() -> Refusal {
    Refusal::new(
        RefusalCode::UnknownTrack,
        "there is no such track in this room, or it is your own",
        "use a track id that `joined` or `track-added` told of",
    )
}

impl Room {
    fn others_track(&self, from: ParticipantKey, track: TrackId) -> Result<PublicationKey, Refusal> {
        let key = *self.by_track.get(&track).ok_or_else(unknown_track)?;
        if self.publications[key.0].owner == from { Err(unknown_track()) } else { Ok(key) }
    }

    /// Finds somebody else's track that a member is subscribed to.
    pub(super) fn subscribed_track(
        &self,
        from: ParticipantKey,
        track: TrackId,
    ) -> Result<PublicationKey, Refusal> {
        let key = self.others_track(from, track)?;
        if self.participants[from.0].subscriptions.contains_key(&track) {
            return Ok(key);
        }
        Err(Refusal::new(
            RefusalCode::UnknownTrack,
            "you are not subscribed to this track",
            "subscribe to it first",
        ))
    }

    pub(super) fn subscribe(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        track: TrackId,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        self.others_track(from, track)?;
        // Asking twice is no mistake: clients repeat what they do not know the fate of.
        self.participants[from.0].subscribe(track);
        self.set_pinned(from, track, true);
        self.assign_slots(now, from, outbox);
        self.slot_maps.push(from);
        Ok(())
    }

    pub(super) fn unsubscribe(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        track: TrackId,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        self.others_track(from, track)?;
        let participant = &mut self.participants[from.0];
        // Kept even without a subscription: whoever receives all is not offered it again.
        participant.unsubscribed.insert(track);
        if let Some(subscription) = participant.subscriptions.remove(&track) {
            if let SubscriptionState::Slot(slot) = subscription.state
                && !mutated!(SlotLeaked)
            {
                self.release_slot(from, slot);
                self.assign_slots(now, from, outbox);
            }
            self.slot_maps.push(from);
        }
        Ok(())
    }

    pub(super) fn pause(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        track: TrackId,
        paused: bool,
    ) -> Result<(), Refusal> {
        let key = self.subscribed_track(from, track)?;
        let participant = &mut self.participants[from.0];
        let Some(subscription) = participant.subscriptions.get_mut(&track) else { return Ok(()) };
        if subscription.paused == paused {
            return Ok(());
        }
        // Kept with the subscription: a track that waits for a slot will come up paused.
        subscription.paused = paused;
        if let SubscriptionState::Slot(slot) = subscription.state {
            participant.slots[slot].set_paused(paused);
            if !paused {
                self.want_keyframe(now, key);
            }
        }
        Ok(())
    }

    /// Subscribes everybody to a new track who receives all tracks without asking.
    pub(super) fn offer_to_subscribers(&mut self, now: Instant, key: PublicationKey, outbox: &mut Outbox) {
        let (track, owner) = (self.publications[key.0].track, self.publications[key.0].owner);
        for other in self.order.clone() {
            let participant = &mut self.participants[other.0];
            // Also to somebody whose signalling is broken: the track is there when they are back.
            if other != owner && participant.auto_subscribe && !mutated!(LateTrackNotOffered) {
                participant.subscribe(track);
                self.assign_slots(now, other, outbox);
                self.slot_maps.push(other);
            }
        }
    }

    /// Gives tracks another chance that a member could not decode: more codecs may have been offered.
    pub(super) fn reconsider(&mut self, key: ParticipantKey) {
        let Participant { subscriptions, transports, .. } = &mut self.participants[key.0];
        for (track, subscription) in subscriptions {
            let publication = self.by_track.get(track).map(|key| &self.publications[key.0]);
            let hopeless = subscription.state == SubscriptionState::CannotReceive;
            let Some(codec) = publication.and_then(Publication::codec).filter(|_| hopeless) else { continue };
            if transports.iter().any(|key| self.transports[key.0].negotiated.can_receive(codec)) {
                subscription.state = SubscriptionState::Waiting;
            }
        }
    }

    /// Tells a member again what the reply to a resume does not hold, and what they may never have heard: how many slots are
    /// wanted, and what cannot be received.
    pub(super) fn remind(&mut self, key: ParticipantKey, outbox: &mut Outbox) {
        if !self.has_negotiated(key) {
            return;
        }
        let participant = &mut self.participants[key.0];
        // As if they had never been asked, so that they are asked again.
        participant.asked = SlotCounts { audio: 0, video: 0 };
        let hopeless = |(track, subscription): (&TrackId, &Subscription)| {
            let hopeless = subscription.state == SubscriptionState::CannotReceive;
            if hopeless { self.by_track.get(track).copied() } else { None }
        };
        let hopeless: Vec<PublicationKey> = participant.subscriptions.iter().filter_map(hopeless).collect();
        for publication in hopeless {
            self.cannot_receive(key, publication, outbox);
        }
        self.ask_for_slots(key, outbox);
    }

    fn waiting_reason(&self, participant: &Participant, track: TrackId) -> WaitingReason {
        let publication = self.by_track.get(&track).map(|key| &self.publications[key.0]);
        if publication.is_some_and(|publication| self.shares_slots(participant, publication)) {
            return WaitingReason::NotSpeaking;
        }
        let kind = publication.map(Publication::kind);
        let full = match kind {
            Some(MediaKind::Audio) => {
                participant.open_slots(MediaKind::Audio) >= self.settings.slots_max.audio
            }
            Some(MediaKind::Video) => {
                participant.open_slots(MediaKind::Video) >= self.settings.slots_max.video
            }
            None => false,
        };
        if full { WaitingReason::SlotLimit } else { WaitingReason::NoSlotYet }
    }

    /// Returns the next slot map of a member. From now on they count as knowing it.
    pub(super) fn next_slot_map(&mut self, key: ParticipantKey) -> SlotMap {
        let participant = &self.participants[key.0];
        let waiting = participant.waiting();
        let reasons: BTreeMap<TrackId, WaitingReason> =
            waiting.into_iter().map(|track| (track, self.waiting_reason(participant, track))).collect();
        let reason = |track: TrackId| reasons.get(&track).copied().unwrap_or(WaitingReason::NoSlotYet);
        self.participants[key.0].next_slot_map(reason)
    }

    /// Tells new slot maps to those whose slots have changed. Somebody who cannot be told now gets theirs when they are
    /// back, and no media of a new source before that.
    pub(super) fn send_slot_maps(&mut self, outbox: &mut Outbox) {
        let mut keys = std::mem::take(&mut self.slot_maps);
        // In the order of the members, and once each: many things of one input can change the same slots.
        keys.sort_unstable();
        keys.dedup();
        for key in keys.drain(..) {
            let connected = self.participants.get(key.0).is_some_and(Participant::is_connected);
            let negotiated = connected && !self.participants[key.0].slots.is_empty();
            if negotiated {
                let map = self.next_slot_map(key);
                outbox.event(key, Event::SlotMap(map));
            }
        }
        self.slot_maps = keys;
    }
}

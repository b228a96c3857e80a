//! Subscriptions: members subscribe to tracks and pause them, and learn from slot maps what is shown where.

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

    pub(super) fn subscribe(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        track: TrackId,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        self.others_track(from, track)?;
        // Asking twice is no mistake: clients repeat requests whose replies they have lost.
        self.participants[from.0].subscribe(track);
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
        // Kept even without a subscription, so that a member who receives all tracks does not get it after all.
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
        let key = self.others_track(from, track)?;
        let participant = &mut self.participants[from.0];
        let subscription = participant.subscriptions.get_mut(&track).ok_or_else(|| {
            Refusal::new(
                RefusalCode::UnknownTrack,
                "you are not subscribed to this track",
                "subscribe to it first",
            )
        })?;
        if subscription.paused == paused {
            return Ok(());
        }
        // Kept with the subscription, so that a track that still waits for a slot will be paused in it.
        subscription.paused = paused;
        if let SubscriptionState::Slot(slot) = subscription.state {
            participant.slots[slot].set_paused(paused);
            if !paused {
                self.want_keyframe(now, key);
            }
        }
        Ok(())
    }

    /// Subscribes all members who receive every track without asking to a new one.
    pub(super) fn offer_to_subscribers(&mut self, now: Instant, key: PublicationKey, outbox: &mut Outbox) {
        let (track, owner) = (self.publications[key.0].track, self.publications[key.0].owner);
        for other in self.order.clone() {
            let participant = &mut self.participants[other.0];
            // Members whose signalling is broken are subscribed, too: they have the track when they are back.
            if other != owner && participant.auto_subscribe && !mutated!(LateTrackNotOffered) {
                participant.subscribe(track);
                self.assign_slots(now, other, outbox);
                self.slot_maps.push(other);
            }
        }
    }

    /// Lets tracks that a member could not decode wait for slots again, because more codecs may have been offered.
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

    /// Repeats what a member may have missed and the reply to a resume does not say: how many slots are wanted, and
    /// which tracks cannot be received.
    pub(super) fn remind(&mut self, key: ParticipantKey, outbox: &mut Outbox) {
        if !self.has_negotiated(key) {
            return;
        }
        let participant = &mut self.participants[key.0];
        // Forgets what they were asked for, so that they are asked again.
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
        let kind = self.by_track.get(&track).map(|key| self.publications[key.0].kind());
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

    /// Returns the next slot map of a member, who counts as knowing it from now on.
    pub(super) fn next_slot_map(&mut self, key: ParticipantKey) -> SlotMap {
        let participant = &self.participants[key.0];
        let waiting = participant.waiting();
        let reasons: Vec<(TrackId, WaitingReason)> =
            waiting.into_iter().map(|track| (track, self.waiting_reason(participant, track))).collect();
        let reason = |track: TrackId| {
            reasons
                .iter()
                .find(|(of, _)| *of == track)
                .map_or(WaitingReason::NoSlotYet, |(_, reason)| *reason)
        };
        self.participants[key.0].next_slot_map(reason)
    }

    /// Sends new slot maps to the members whose slots have changed. A member who cannot be told now gets theirs when
    /// they are back, and no media of a new source before that.
    pub(super) fn send_slot_maps(&mut self, outbox: &mut Outbox) {
        let mut keys = std::mem::take(&mut self.slot_maps);
        // Once each, because one input can change the same slots many times.
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

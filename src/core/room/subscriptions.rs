//! Subscriptions: members subscribe to tracks and pause them, and learn from slot maps what is shown where.

use std::time::Instant;

use super::parametric::bad_parameters;
use super::{Owner, Room};
use crate::core::command::MediaKind;
use crate::core::event::{Event, Refusal, RefusalCode, SlotCounts, SlotMap, WaitingReason};
use crate::core::ids::{ParticipantKey, PublicationKey, TrackId};
use crate::core::mutation::mutated;
use crate::core::outbox::Outbox;
use crate::core::participant::Participant;
use crate::core::subscriptions::SubscriptionState;
use crate::limits::WAITING_TOLD_MAX;

pub(super) fn unknown_track() -> Refusal {
    Refusal::new(
        RefusalCode::UnknownTrack,
        "there is no such track in this room, or it is your own",
        "use a track id that `joined` or `track-added` told of",
    )
}

impl Room {
    pub(super) fn others_track(
        &self,
        from: ParticipantKey,
        track: TrackId,
    ) -> Result<PublicationKey, Refusal> {
        let key = *self.by_track.get(&track).ok_or_else(unknown_track)?;
        if self.publications[key.0].owner == from { Err(unknown_track()) } else { Ok(key) }
    }

    /// Finds a track that a member publishes themselves.
    pub(super) fn own_track(&self, from: ParticipantKey, track: TrackId) -> Result<PublicationKey, Refusal> {
        let key = *self.by_track.get(&track).ok_or_else(unknown_track)?;
        if self.publications[key.0].owner == from { Ok(key) } else { Err(unknown_track()) }
    }

    /// Finds a track that a moderator does something to, or the operator with `None`: any but the moderator's own.
    pub(super) fn moderated_track(
        &self,
        by: Option<ParticipantKey>,
        track: TrackId,
    ) -> Result<PublicationKey, Refusal> {
        match by {
            Some(by) => self.others_track(by, track),
            None => self.by_track.get(&track).copied().ok_or_else(unknown_track),
        }
    }

    /// Finds somebody else's track that a member is subscribed to.
    pub(super) fn subscribed_track(
        &self,
        from: ParticipantKey,
        track: TrackId,
    ) -> Result<PublicationKey, Refusal> {
        let key = self.others_track(from, track)?;
        if self.participants[from.0].subscriptions.get(track).is_some() {
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
        let publication = self.others_track(from, track)?;
        if self.participants[from.0].is_parametric() {
            return Err(bad_parameters(
                "tracks are received by consuming them, with what the client can receive",
            ));
        }
        // Asking twice is no mistake: clients repeat what they do not know the fate of.
        self.add_subscription(from, publication);
        self.set_pinned(from, track, true);
        self.subscribe_to(now, from, publication, outbox);
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
        // Kept even without a subscription, so that a member who receives all tracks does not get it after all.
        self.participants[from.0].unsubscribed.insert(track);
        self.end_subscription(now, from, track, outbox);
        Ok(())
    }

    /// Tells somebody who consumes tracks that a back end wants them to receive one, or no longer, which is done at once: only
    /// their client knows how it could receive it.
    pub(super) fn want_consumer(
        &mut self,
        now: Instant,
        of: ParticipantKey,
        (track, is_wanted): (TrackId, bool),
        outbox: &mut Outbox,
    ) {
        if is_wanted {
            self.participants[of.0].unsubscribed.remove(&track);
        } else {
            self.participants[of.0].unsubscribed.insert(track);
            self.end_subscription(now, of, track, outbox);
        }
        outbox.event(of, Event::ConsumerWanted(track, is_wanted));
    }

    pub(super) fn end_subscription(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        track: TrackId,
        outbox: &mut Outbox,
    ) {
        if let Some(subscription) = self.participants[from.0].subscriptions.remove(track) {
            if let SubscriptionState::Slot(slot) = subscription.state
                && !mutated!(SlotLeaked)
            {
                self.release_slot(from, slot);
                self.assign_slots(now, from, outbox);
            }
            self.slot_maps.push(from);
            self.end_idle_consumers(now, from);
        }
    }

    /// Ends all subscriptions of a member, who may not receive anything any more.
    pub(super) fn unsubscribe_from_all(&mut self, now: Instant, from: ParticipantKey, outbox: &mut Outbox) {
        let subscriptions = self.participants[from.0].subscriptions.iter();
        for track in subscriptions.map(|(track, _)| track).collect::<Vec<_>>() {
            self.end_subscription(now, from, track, outbox);
            if self.participants[from.0].is_parametric() {
                outbox.event(from, Event::ConsumerEnded(track));
            }
        }
    }

    /// Subscribes a member who may receive tracks now to all that they would have been subscribed to.
    pub(super) fn subscribe_to_all(&mut self, now: Instant, from: ParticipantKey, outbox: &mut Outbox) {
        let participant = &self.participants[from.0];
        if !participant.auto_subscribe {
            return;
        }
        let wanted = |key: &PublicationKey| {
            let publication = &self.publications[key.0];
            publication.owner != from && !participant.unsubscribed.contains(&publication.track)
        };
        let others = self.order.iter().flat_map(|key| &self.participants[key.0].publications);
        for publication in others.copied().filter(wanted).collect::<Vec<_>>() {
            self.subscribe_to(now, from, publication, outbox);
        }
    }

    pub(super) fn pause(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        track: TrackId,
        paused: bool,
    ) -> Result<(), Refusal> {
        self.subscribed_track(from, track)?;
        let participant = &mut self.participants[from.0];
        let Some(subscription) = participant.subscriptions.get(track) else { return Ok(()) };
        if subscription.paused == paused {
            return Ok(());
        }
        // Kept with the subscription: a track that waits for a slot will come up paused.
        participant.subscriptions.set_paused(track, paused);
        self.apply_wish(now, from, track);
        Ok(())
    }

    /// Subscribes all members who receive every track without asking to a new one.
    pub(super) fn offer_to_subscribers(&mut self, now: Instant, key: PublicationKey, outbox: &mut Outbox) {
        let owner = self.publications[key.0].owner;
        for other in self.order.clone() {
            // Also to somebody whose signalling is broken: the track is there when they are back.
            let Participant { auto_subscribe, grants, .. } = &self.participants[other.0];
            let is_subscribed = *auto_subscribe && grants.subscribe;
            if other != owner && is_subscribed && !mutated!(LateTrackNotOffered) {
                self.subscribe_to(now, other, key, outbox);
            }
        }
    }

    /// Subscribes a member to a track, which gets a slot if one is free.
    fn subscribe_to(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        publication: PublicationKey,
        outbox: &mut Outbox,
    ) {
        self.add_subscription(from, publication);
        if self.review_audience(from, publication, outbox) {
            return;
        }
        self.check_codec(from, publication, outbox);
        let was_crowded = self.participants[from.0].is_crowded;
        self.review_crowding(now, from);
        if self.participants[from.0].is_crowded == was_crowded {
            // Those who waited before wait for something else than this: hundreds may, so that they are not looked through.
            self.assign_newcomer(now, from, publication, outbox);
        } else {
            self.assign_slots(now, from, outbox);
        }
        self.slot_maps.push(from);
    }

    /// Notes that a member wants a track, which waits for a slot.
    fn add_subscription(&mut self, key: ParticipantKey, publication: PublicationKey) {
        let publication = &self.publications[publication.0];
        self.participants[key.0].subscribe(publication.track, publication.kind(), publication.muted);
    }

    /// Gives tracks another chance that a member could not decode: more codecs may have been offered.
    pub(super) fn reconsider(&mut self, key: ParticipantKey) {
        for (track, publication) in self.hopeless(key) {
            let codec = self.publications[publication.0].codec();
            if codec.is_some_and(|codec| self.can_receive(key, codec)) {
                self.participants[key.0].subscriptions.set_state(track, SubscriptionState::Waiting);
            }
        }
    }

    /// Returns the tracks that a member wants and cannot decode.
    fn hopeless(&self, key: ParticipantKey) -> Vec<(TrackId, PublicationKey)> {
        let subscriptions = self.participants[key.0].subscriptions.iter();
        let hopeless = subscriptions.filter(|(_, one)| one.state == SubscriptionState::CannotReceive);
        hopeless.filter_map(|(track, _)| Some((track, *self.by_track.get(&track)?))).collect()
    }

    /// Tells a member again what the reply to a resume does not hold, and what they may never have heard: how many slots are
    /// wanted, and what cannot be received.
    pub(super) fn remind(&mut self, key: ParticipantKey, outbox: &mut Outbox) {
        self.review_audiences(key, outbox);
        if self.participants[key.0].is_parametric() {
            self.remind_of_layers(key, outbox);
            self.remind_of_audio_rates(key, outbox);
        }
        if !self.has_negotiated(key) {
            return;
        }
        // As if they had never been asked, so that they are asked again.
        self.participants[key.0].asked = SlotCounts { audio: 0, video: 0 };
        for (_, publication) in self.hopeless(key) {
            self.cannot_receive(key, publication, outbox);
        }
        self.ask_for_slots(key, outbox);
        self.remind_of_layers(key, outbox);
        self.remind_of_audio_rates(key, outbox);
    }

    fn waiting_reason(&self, participant: &Participant, track: TrackId) -> WaitingReason {
        let Some(key) = self.by_track.get(&track) else { return WaitingReason::NoSlotYet };
        let publication = &self.publications[key.0];
        if self.shares_slots(participant, publication) {
            return WaitingReason::NotSpeaking;
        }
        let kind = publication.kind();
        let slots_max = match kind {
            MediaKind::Audio => self.settings.slots_max.audio,
            MediaKind::Video => self.settings.slots_max.video,
        };
        let is_full = participant.open_slots(kind) >= slots_max;
        if is_full { WaitingReason::SlotLimit } else { WaitingReason::NoSlotYet }
    }

    /// Returns the next slot map of a member, who counts as knowing it from now on.
    pub(super) fn next_slot_map(&mut self, key: ParticipantKey) -> SlotMap {
        let participant = &self.participants[key.0];
        let waiting = participant.subscriptions.waiting().take(WAITING_TOLD_MAX);
        let waiting = waiting.map(|track| (track, self.waiting_reason(participant, track))).collect();
        self.participants[key.0].next_slot_map(waiting)
    }

    /// Tells new slot maps to those whose slots have changed. Somebody who cannot be told now gets theirs when they are
    /// back, and no media of a new source before that. Somebody who was told of many changes lately is told of this one
    /// together with those that follow within a tenth of a second.
    pub(super) fn send_slot_maps(&mut self, now: Instant, outbox: &mut Outbox) {
        self.fill_freed_slots(now, outbox);
        let mut keys = std::mem::take(&mut self.slot_maps);
        // Once each, because one input can change the same slots many times.
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let connected = self.participants.get(key.0).is_some_and(Participant::is_connected);
            let has_slots = |member: &Participant| !member.slots.is_empty() && !member.is_parametric();
            let negotiated = connected && has_slots(&self.participants[key.0]);
            if negotiated && !self.participants[key.0].may_tell_slot_map(now) {
                self.arm(now, Owner::Member(key));
            } else if negotiated {
                let map = self.next_slot_map(key);
                outbox.event(key, Event::SlotMap(map));
            }
        }
    }
}

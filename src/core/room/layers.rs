//! Layers: members say in which size they want to see tracks, are told which encoding of a simulcast they are shown, and
//! publishers are told which encodings to send.

use std::time::Instant;

use super::{Owner, Room};
use crate::core::command::{MediaKind, Preference};
use crate::core::event::{Event, Refusal};
use crate::core::forward::hold::Hold;
use crate::core::forward::publication::Publication;
use crate::core::ids::{ParticipantKey, PublicationKey, TrackId};
use crate::core::mutation::mutated;
use crate::core::outbox::Outbox;
use crate::core::subscriptions::SubscriptionState;
use crate::core::timers::{Timer, earliest};

impl Room {
    /// Takes how a member wants to see some tracks. Those that they are not subscribed to are left out: the tracks may have
    /// ended while the request was on its way.
    pub(super) fn prefer(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        preferences: &[Preference],
    ) -> Result<(), Refusal> {
        for preference in preferences {
            let subscriptions = &mut self.participants[from.0].subscriptions;
            let has_changed = subscriptions.set_wish(preference.track, preference.wish);
            if has_changed && !mutated!(PreferIgnored) {
                self.apply_wish(now, from, preference.track);
            }
        }
        Ok(())
    }

    /// Lets what a member wants of a track take effect in the slot that shows it, if one does.
    pub(super) fn apply_wish(&mut self, now: Instant, from: ParticipantKey, track: TrackId) {
        let participant = &mut self.participants[from.0];
        let Some(subscription) = participant.subscriptions.get(track) else { return };
        let SubscriptionState::Slot(index) = subscription.state else { return };
        let slot = &mut participant.slots[index];
        let Some(shown) = slot.shown else { return };
        let is_idle = subscription.is_idle();
        let resumes = slot.set_held(Hold::Wish, is_idle) && !is_idle;
        if let Some(publication) = self.publications.get_mut(shown.publication.0) {
            if subscription.has_wish {
                publication.set_undecided(from, index, None);
            }
            publication.set_wish(from, index, subscription.wish, is_idle);
            self.layer_reviews.push(shown.publication);
            self.steer_later(from);
        }
        if resumes {
            self.want_keyframe_for(now, shown.publication, (from, index));
        }
    }

    /// Looks again, for tracks of which something has changed, what viewers are shown and what publishers are to send, and
    /// tells them.
    pub(super) fn review_layers(&mut self, now: Instant, outbox: &mut Outbox) {
        let mut keys = std::mem::take(&mut self.layer_reviews);
        // Once each, because one input can change a track many times.
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            if let Some(publication) = self.publications.get(key.0) {
                let owner = Owner::Member(publication.owner);
                self.step(now, owner, outbox, |room, outbox| room.review_publication(now, key, outbox));
            }
        }
    }

    fn review_publication(&mut self, now: Instant, key: PublicationKey, outbox: &mut Outbox) {
        assert!(!mutated!(PanicsInReview) || self.order.len() < 3, "a bug put in on purpose");
        let publication = &mut self.publications[key.0];
        publication.review(now);
        // The review itself has seen what it found.
        publication.needs_review = false;
        let has_changed = std::mem::take(&mut publication.is_to_steer);
        let (track, owner, transport) = (publication.track, publication.owner, publication.transport);
        let order = publication.order_encodings(now).then(|| ordered(publication));
        let wants_keyframes = publication.wants_keyframes();
        let (participants, mut later) = (&mut self.participants, Vec::new());
        let may_tell = |key: ParticipantKey| {
            let may = participants
                .get_mut(key.0)
                .is_some_and(|participant| participant.may_tell_layers(now, track));
            later.extend((!may).then_some(key));
            may
        };
        let changes = publication.take_layer_changes(may_tell);
        for key in later {
            self.arm(now, Owner::Member(key));
        }
        for change in changes {
            self.totals.layer_changes += 1;
            let event = Event::Layers {
                track,
                layer: change.layer,
                is_paused: change.is_paused,
                spatial: change.spatial,
                temporal: change.temporal,
                width: change.width,
                height: change.height,
                reason: change.reason,
            };
            outbox.event(change.participant, event);
        }
        if let Some(order) = order {
            self.totals.encoding_orders += 1;
            outbox.event(owner, order);
        }
        if wants_keyframes {
            self.set_keyframe_timer(now, transport);
        }
        self.set_encodings_timer(now, owner);
        if has_changed {
            self.steer_viewers(key);
        }
    }

    /// Sets when it is looked whether encodings of a member are to be switched off.
    fn set_encodings_timer(&mut self, now: Instant, owner: ParticipantKey) {
        let publications = &self.participants[owner.0].publications;
        let deadlines = publications.iter().map(|key| self.publications[key.0].encodings_deadline(now));
        let at = deadlines.fold(None, earliest);
        self.participants[owner.0].deadlines.set(Timer::Encodings, at);
    }

    /// Looks again which encodings of a member's tracks are needed, because that may have changed with time alone.
    pub(super) fn review_encodings_of(&mut self, key: ParticipantKey) {
        let Self { participants, publications, layer_reviews, .. } = self;
        let own = participants[key.0].publications.iter();
        layer_reviews.extend(own.filter(|key| !publications[key.0].ladder.rungs().is_empty()));
        participants[key.0].deadlines.set(Timer::Encodings, None);
    }

    /// Looks again what a member is to be told of what they are shown: some of it came too soon after what they were told.
    pub(super) fn review_layers_of(&mut self, key: ParticipantKey) {
        let Self { participants, layer_reviews, .. } = self;
        let participant = &mut participants[key.0];
        participant.deadlines.set(Timer::LayerNews, None);
        let shown = participant.slots.iter().filter(|slot| slot.kind == MediaKind::Video);
        layer_reviews.extend(shown.filter_map(|slot| Some(slot.shown?.publication)));
    }

    /// Tells a member again, after their signalling was away, which encodings they are to send and which they are shown:
    /// they may have missed it.
    pub(super) fn remind_of_layers(&mut self, key: ParticipantKey, outbox: &mut Outbox) {
        for publication in &self.participants[key.0].publications {
            let publication = &self.publications[publication.0];
            if publication.ladder.can_order() {
                outbox.event(key, ordered(publication));
            }
        }
        let slots = self.participants[key.0].slots.iter().enumerate();
        let shown: Vec<_> =
            slots.filter_map(|(index, slot)| Some((index, slot.shown?.publication))).collect();
        for (index, publication) in shown {
            if let Some(publication) = self.publications.get_mut(publication.0) {
                publication.repeat_layer(key, index);
            }
            self.layer_reviews.push(publication);
        }
    }
}

/// Returns what a publisher is told of the encodings of a track that they are to send.
fn ordered(publication: &Publication) -> Event {
    let Publication { mid, track, ladder, .. } = publication;
    Event::Encodings { mid: *mid, track: *track, active: ladder.active() }
}

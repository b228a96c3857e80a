//! Audiences: members say who may receive their tracks. Whoever may not keeps the subscription, without a slot, and is shown the
//! track as soon as they may; both are told them.

use std::time::Instant;

use super::Room;
use super::commands::not_permitted;
use crate::core::audience::Audience;
use crate::core::event::{Event, Refusal};
use crate::core::ids::{ParticipantKey, PublicationKey, TrackId};
use crate::core::outbox::Outbox;
use crate::core::subscriptions::SubscriptionState;

impl Room {
    /// Whether its owner lets a member receive a track.
    fn is_let(&self, member: ParticipantKey, publication: PublicationKey) -> bool {
        let publication = &self.publications[publication.0];
        let audience = self.participants.get(publication.owner.0).and_then(|owner| owner.audience.as_deref());
        let member = &self.participants[member.0];
        audience.is_none_or(|audience| {
            audience.has(member.id, member.profile.identity.as_deref(), publication.track)
        })
    }

    /// Refuses a track that its owner does not let a member receive, for members who have a section for each track that they
    /// have asked for.
    pub(super) fn check_let(
        &self,
        member: ParticipantKey,
        publication: PublicationKey,
    ) -> Result<(), Refusal> {
        if self.is_let(member, publication) {
            return Ok(());
        }
        Err(not_permitted("receive this track: its owner does not let you. You are told when they do,"))
    }

    /// Sets who may receive a member's tracks; with `None`, everybody.
    pub(super) fn set_audience(
        &mut self,
        now: Instant,
        of: ParticipantKey,
        audience: Option<Box<Audience>>,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        if self.participants[of.0].audience == audience {
            return Ok(());
        }
        let tracks = self.participants[of.0].publications.clone();
        let others = self.order.iter().copied().filter(|other| *other != of);
        let pairs = others.flat_map(|other| tracks.iter().map(move |track| (other, *track)));
        let before: Vec<_> = pairs.map(|(other, track)| (other, track, self.is_let(other, track))).collect();
        self.participants[of.0].audience = audience;
        for (other, track, was_let) in before {
            match (was_let, self.is_let(other, track)) {
                (true, false) => self.shut_out(now, other, track, outbox),
                (false, true) => self.let_in(now, other, track, outbox),
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes a track from a member that they may not receive any more.
    fn shut_out(
        &mut self,
        now: Instant,
        member: ParticipantKey,
        publication: PublicationKey,
        outbox: &mut Outbox,
    ) {
        self.tell_of_audience(member, publication, outbox);
        let track = self.publications[publication.0].track;
        let participant = &mut self.participants[member.0];
        let state = participant.subscriptions.get(track).map(|own| own.state);
        if participant.is_parametric() {
            self.end_subscription(now, member, track, outbox);
            if state.is_some() {
                outbox.event(member, Event::ConsumerEnded(track));
            }
        } else if let Some(state) = state {
            participant.subscriptions.set_state(track, SubscriptionState::ShutOut);
            if let SubscriptionState::Slot(slot) = state {
                self.collect_counters(member);
                self.release_slot(member, slot);
                self.assign_slots(now, member, outbox);
            }
            self.slot_maps.push(member);
        }
    }

    /// Shows a track to a member who may receive it again, if they want it.
    fn let_in(
        &mut self,
        now: Instant,
        member: ParticipantKey,
        publication: PublicationKey,
        outbox: &mut Outbox,
    ) {
        let track = self.publications[publication.0].track;
        self.tell_of_audience(member, publication, outbox);
        let subscriptions = &mut self.participants[member.0].subscriptions;
        if subscriptions.get(track).is_some_and(|own| own.state == SubscriptionState::ShutOut) {
            subscriptions.set_state(track, SubscriptionState::Waiting);
            self.check_codec(member, publication, outbox);
            self.assign_slots(now, member, outbox);
            self.slot_maps.push(member);
        }
    }

    /// Shuts a member out of a track that they have just subscribed to, if they may not receive it. Returns whether that is so.
    pub(super) fn review_audience(
        &mut self,
        member: ParticipantKey,
        publication: PublicationKey,
        outbox: &mut Outbox,
    ) -> bool {
        if self.is_let(member, publication) {
            return false;
        }
        let track = self.publications[publication.0].track;
        self.participants[member.0].subscriptions.set_state(track, SubscriptionState::ShutOut);
        self.tell_of_audience(member, publication, outbox);
        true
    }

    /// The same for all tracks that somebody is subscribed to who has just joined, or who may have missed that they were told.
    pub(super) fn review_audiences(&mut self, member: ParticipantKey, outbox: &mut Outbox) {
        if self.participants.iter().all(|(_, owner)| owner.audience.is_none()) {
            return;
        }
        let subscriptions = self.participants[member.0].subscriptions.iter();
        for track in subscriptions.map(|(track, _)| track).collect::<Vec<TrackId>>() {
            if let Some(&publication) = self.by_track.get(&track) {
                self.review_audience(member, publication, outbox);
            }
        }
    }

    fn tell_of_audience(&self, member: ParticipantKey, publication: PublicationKey, outbox: &mut Outbox) {
        let allowed = self.is_let(member, publication);
        let publication = &self.publications[publication.0];
        let (track, owner) = (publication.track, publication.owner_id);
        outbox.event(member, Event::SubscriptionPermission { track, owner, allowed });
    }
}

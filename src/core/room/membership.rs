//! Who is in the room: members enter, come back after their signalling broke, and leave.

use std::time::Instant;

use tracing::{debug, info};

use super::commands::unknown_participant;
use super::{Owner, Room};
use crate::core::command::{Join, MediaKind, Resume};
use crate::core::event::{
    ClosingReason, Event, Joined, LeaveReason, PublicationInfo, Refusal, RefusalCode, Resumed,
};
use crate::core::happening::{Happening, Member};
use crate::core::ids::{ParticipantKey, PublicationKey, RequestId, TrackId};
use crate::core::input::Admission;
use crate::core::mutation::mutated;
use crate::core::outbox::{Outbox, RoomOutput};
use crate::core::participant::{Participant, Signalling};
use crate::core::rng::Rng;
use crate::core::session::Session;
use crate::core::transport::Transport;

/// Whether somebody joins with a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    /// They get a transport, which waits for their offer.
    Transport,
    /// They have none: the others hear of them, and transports can be added later.
    None,
}

impl Room {
    /// Lets in a member without a transport: a recorder, or a member whose transports are added one by one by
    /// [`add_transport`](Self::add_transport). Their answer and the news for the others are in the outbox, as after
    /// [`RoomInput::Join`](super::RoomInput::Join).
    ///
    /// Traces do not hold such joins, so do not use it in a room that is recorded.
    pub fn join_without_transport(
        &mut self,
        now: Instant,
        request: Option<RequestId>,
        admission: Admission,
        join: Join,
        outbox: &mut Outbox,
    ) {
        self.join(now, request, admission, join, Connection::None, outbox);
        self.send_slot_maps(now, outbox);
    }

    /// Makes sure that there is a place for one more. If the room is full, a lost member who was never in the call
    /// makes way.
    ///
    /// # Errors
    /// Everybody in the room is in the call, and it has as many participants as it may.
    fn find_place(&mut self, now: Instant, is_hidden: bool, outbox: &mut Outbox) -> Result<(), Refusal> {
        let allowed = self.settings.participants_per_room_max;
        let most =
            self.options.participants_max.map_or(allowed, |most| most.min(allowed)).min(self.mesh_max());
        // Whoever is hidden takes no place from people, but there are no more of the hidden than there may be of the others.
        if self.count(is_hidden) >= most {
            self.remove_idlest(now, outbox);
        }
        let there = self.count(is_hidden);
        if there < most {
            return Ok(());
        }
        Err(Refusal::new(
            RefusalCode::RoomFull,
            format!("the room is full: it has its {there} participants"),
            "wait until somebody leaves, or use another room",
        ))
    }

    pub(super) fn join(
        &mut self,
        now: Instant,
        request: Option<RequestId>,
        admission: Admission,
        join: Join,
        connection: Connection,
        outbox: &mut Outbox,
    ) {
        let grants = join.grants.consistent();
        let replaced = self.replace_older(now, &join, outbox);
        if let Err(refusal) = replaced.and_then(|()| self.find_place(now, grants.hidden, outbox)) {
            return outbox.refuse(request, refusal);
        }
        let rng = Rng::new(admission.entropy);
        let mut participant =
            Participant::new(now, self.settings.epoch, rng, join.profile, join.auto_subscribe, join.lifeline);
        participant.host = join.host;
        participant.is_vouched_for = join.is_vouched_for;
        participant.layout = join.layout;
        if participant.is_parametric() {
            // They open transports themselves, and ask for each track.
            participant.candidates.clone_from(&admission.candidates);
            participant.auto_subscribe = false;
        }
        let connection = if participant.makes_offers() { connection } else { Connection::None };
        participant.grants = grants;
        participant.can_mesh = join.can_mesh;
        let id = participant.id;
        if self.by_id.contains_key(&id) {
            return outbox.refuse(request, drawn_twice());
        }
        // Made before anything is changed: if making it panics, nobody has joined.
        let session = match connection {
            Connection::Transport => {
                Some(Session::new(now, &self.tag, &self.settings.certificate, &mut participant.rng))
            }
            Connection::None => None,
        };
        self.subscribe_newcomer(&mut participant);
        self.totals.joins += 1;
        self.make_place();
        let key = ParticipantKey(self.participants.insert(participant));
        self.by_id.insert(id, key);
        outbox.outputs.push(RoomOutput::Admitted(key));
        if let Some(session) = session {
            let transport =
                Transport::new(now, self.settings.epoch, Some(key), None, admission.candidates, session);
            self.insert_transport(transport, outbox);
        }
        // Before they are told where media goes: that they have come may change it.
        self.count_in(now, key, outbox);
        let joined = self.joined(now, key);
        outbox.event(key, Event::Joined(request, Box::new(joined)));
        self.tell_speakers(key, outbox);
        self.tell_qualities(key, outbox);
        self.tell_of_waiting(key, outbox);
        self.order.push(key);
        self.announce(now, key, outbox);
        // A room in which all are hidden is as empty as before.
        self.empty_since = if self.count(false) > 0 { None } else { self.empty_since.or(Some(now)) };
        self.set_expiry(key);
        self.arm(now, Owner::Room);
        debug!(room = %self.id, participant = %id, participants = self.order.len(), "let in");
        self.step(now, Owner::Member(key), outbox, |room, outbox| room.begin(now, key, outbox));
    }

    /// Subscribes somebody who is about to join to all tracks, if they receive them without asking.
    fn subscribe_newcomer(&self, participant: &mut Participant) {
        if participant.auto_subscribe && participant.grants.subscribe {
            for (track, kind, muted) in self.tracks_in_order() {
                participant.subscribe(track, kind, muted);
            }
        }
    }

    /// Does what the transport of a newcomer has asked for when it was made, if they have one.
    fn begin(&mut self, now: Instant, key: ParticipantKey, outbox: &mut Outbox) {
        if let Some(&transport) = self.transports_of(key).first() {
            self.carry_out_effects(now, transport, None, outbox);
        }
    }

    /// Grows by a quarter, if there is no place for one more: a participant is large, and vectors would double.
    fn make_place(&mut self) {
        let places = self.participants.capacity();
        if self.participants.len() == places {
            self.participants.reserve_exact((places / 4).max(2));
        }
    }

    /// Removes the member who has been idle for longest, if there is one: their signalling is lost and they were never
    /// in a call, so they make way for somebody who is there now.
    fn remove_idlest(&mut self, now: Instant, outbox: &mut Outbox) {
        let idle = self.order.iter().filter_map(|key| Some((self.participants[key.0].idle_since()?, *key)));
        if let Some((_, key)) = idle.min() {
            self.remove(now, key, LeaveReason::MadeWay, outbox);
            // The room goes on even if it is empty for a moment: the newcomer is about to enter.
            self.ended = false;
        }
    }

    /// Removes whoever is in the room with the identity of somebody who joins: it is they themselves, from another window or
    /// device, or their older connection after a break that nobody noticed.
    fn replace_older(&mut self, now: Instant, join: &Join, outbox: &mut Outbox) -> Result<(), Refusal> {
        let older = self.older(join);
        // Also for those who have waited at the door: somebody may have come meanwhile.
        self.check_identity(join, older)?;
        if let Some(older) = older {
            self.expel(now, older, LeaveReason::DuplicateIdentity, outbox);
            // The room goes on even if it is empty for a moment: the newcomer is about to enter.
            self.ended = false;
        }
        Ok(())
    }

    /// Returns all tracks, in the order of joining and publishing.
    fn tracks_in_order(&self) -> Vec<(TrackId, MediaKind, bool)> {
        let publications = self.order.iter().flat_map(|key| &self.participants[key.0].publications);
        let publications = publications.map(|key| &self.publications[key.0]);
        publications.map(|publication| (publication.track, publication.kind(), publication.muted)).collect()
    }

    pub(super) fn joined(&self, now: Instant, key: ParticipantKey) -> Joined {
        let participant = &self.participants[key.0];
        let is_told = |other: &&ParticipantKey| **other != key && !self.participants[other.0].grants.hidden;
        let others = self.order.iter().filter(is_told);
        Joined {
            participant: participant.id,
            secret: participant.secret.clone(),
            room: self.id.clone(),
            profile: participant.profile.clone(),
            slots: self.settings.slots,
            slots_max: self.settings.slots_max,
            resume_seconds: self.settings.resume_timeout.as_secs(),
            grants: participant.grants,
            room_state: self.options.state(),
            participants: others.map(|other| self.info(&self.participants[other.0])).collect(),
            topology: self.topology_for(now, key),
        }
    }

    pub(super) fn resume(
        &mut self,
        now: Instant,
        request: Option<RequestId>,
        resume: &Resume,
        outbox: &mut Outbox,
    ) {
        let Some(&key) = self.by_id.get(&resume.participant) else {
            outbox.refuse(request, unknown_participant());
            return;
        };
        let participant = &mut self.participants[key.0];
        if !participant.is_proven_by(&resume.proof) {
            let refusal = Refusal::new(
                RefusalCode::BadSecret,
                "the secret is not this participant's",
                "use the secret of the last `joined` or `resumed`, or join again",
            );
            outbox.refuse(request, refusal);
            return;
        }
        if !participant.resumes.wait(now).is_zero() {
            let refusal = Refusal::new(
                RefusalCode::RateLimited,
                "this participant has come back too often; this time nothing was done",
                "wait a few seconds, then resume",
            );
            outbox.refuse(request, refusal);
            return;
        }
        participant.resumes.note(now);
        // This is allowed while they seem to be connected: a client may notice the break before the server does.
        participant.signalling = Signalling::Connected;
        self.set_expiry(key);
        let participant = &mut self.participants[key.0];
        self.totals.resumes += 1;
        let id = participant.id;
        self.set_topology_connected(now, key, true, outbox);
        outbox.outputs.push(RoomOutput::Admitted(key));
        self.review_crowding(now, key);
        self.show_speakers(now, key);
        let slot_map = self.next_slot_map(key);
        let participant = &self.participants[key.0];
        let subscriptions = participant.subscriptions.iter();
        let resumed = Resumed {
            joined: self.joined_again(now, key),
            publications: self.publications_of(key),
            slot_map,
            subscriptions: subscriptions.map(|(track, subscription)| (track, subscription.paused)).collect(),
            unsubscribed: participant.unsubscribed.iter().copied().collect(),
            transports: self.opened_by(key),
        };
        // The reply holds the newest map already.
        self.slot_maps.retain(|other| *other != key);
        outbox.event(key, Event::Resumed(request, Box::new(resumed)));
        self.remind(key, outbox);
        self.tell_speakers(key, outbox);
        self.tell_qualities(key, outbox);
        self.tell_of_waiting(key, outbox);
        if self.participants[key.0].media_lost {
            outbox.event(key, Event::ParticipantMediaLost(id));
        }
        self.tell_others_of(key, &Event::ParticipantResumed(id), outbox);
        debug!(room = %self.id, participant = %id, "taken up again");
        self.arm(now, Owner::Member(key));
        // Slots may have changed while nobody could be told. What they hold now is shown from a key frame on.
        self.want_keyframes_for(now, key);
    }

    /// Tells the others, and people beside the members, of somebody who has just joined.
    fn announce(&mut self, now: Instant, key: ParticipantKey, outbox: &mut Outbox) {
        let newcomer = self.info(&self.participants[key.0]);
        self.tell_others_of(key, &Event::ParticipantJoined(newcomer), outbox);
        outbox.happenings.push(Happening::Joined(self.member(now, key)));
        self.review_audiences(key, outbox);
    }

    /// Returns who a member is, for people beside the members.
    pub(super) fn member(&self, now: Instant, key: ParticipantKey) -> Member {
        let participant = &self.participants[key.0];
        Member {
            participant: participant.id,
            profile: participant.profile.clone(),
            grants: participant.grants,
            age: now.saturating_duration_since(participant.joined_at),
            has_had_media: participant.has_had_media,
        }
    }

    pub(super) fn publications_of(&self, key: ParticipantKey) -> Vec<PublicationInfo> {
        let publications = self.participants[key.0].publications.iter().map(|key| &self.publications[key.0]);
        publications
            .map(|publication| PublicationInfo { mid: publication.mid, info: publication.info() })
            .collect()
    }

    pub(super) fn lose_connection(&mut self, now: Instant, key: ParticipantKey, outbox: &mut Outbox) {
        let participant = &mut self.participants[key.0];
        if !participant.is_connected() {
            return;
        }
        participant.signalling = Signalling::Lost { since: now };
        let id = participant.id;
        self.set_expiry(key);
        self.set_topology_connected(now, key, false, outbox);
        debug!(room = %self.id, participant = %id, "signalling lost");
        self.tell_others_of(key, &Event::ParticipantReconnecting(id), outbox);
    }

    /// Removes a member and everything that belongs to them.
    pub(super) fn remove(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        reason: LeaveReason,
        outbox: &mut Outbox,
    ) {
        self.collect_counters(key);
        self.totals.note_leaving(reason);
        // Before the member is removed: the news that their tracks end names them as the publisher.
        let publications: Vec<PublicationKey> = self.participants[key.0].publications.clone();
        for publication in publications {
            self.unpublish(now, publication, outbox);
        }
        self.end_data_tracks(key);
        outbox.happenings.push(Happening::Left(self.member(now, key), reason));
        let participant = self.participants.remove(key.0);
        for subscription in participant.slots.iter().filter_map(|slot| slot.shown) {
            if let Some(publication) = self.publications.get_mut(subscription.publication.0)
                && !mutated!(ViewerNotRemoved)
            {
                publication.remove_viewers(|viewer| viewer.participant == key);
                self.layer_reviews.push(subscription.publication);
            }
        }
        debug_assert!(participant.publications.is_empty(), "whoever leaves has unpublished everything");
        self.by_id.remove(&participant.id);
        self.order.retain(|other| *other != key);
        self.slot_maps.retain(|other| *other != key);
        self.slots_freed.retain(|other| *other != key);
        if !mutated!(TimerOfTheGoneKept) {
            self.timers.set(Owner::Member(key), None);
        }
        for transport in participant.transports {
            self.drop_transport(transport, outbox);
        }
        // After all other outputs for this key: the shell forgets the key here.
        outbox.outputs.push(RoomOutput::Gone(key, reason));
        if !participant.grants.hidden {
            self.tell_others(key, &Event::ParticipantLeft(participant.id, reason), outbox);
        }
        info!(room = %self.id, participant = %participant.id, reason = reason.as_str(), participants = self.order.len(), "left");
        self.count_out(now, key, outbox);
        if self.count(false) == 0 && !mutated!(EmptyRoomKept) {
            self.empty_since = self.empty_since.or(Some(now));
            self.arm(now, Owner::Room);
            // With a time-out of zero the room ends at once rather than in the next pass.
            self.ended = self.empty_timeout().is_zero();
        }
    }

    /// Removes a member who has not asked to leave, and tells them why.
    pub(super) fn expel(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        reason: LeaveReason,
        outbox: &mut Outbox,
    ) {
        outbox.event(key, Event::Closing(ClosingReason::Gone(reason)));
        self.remove(now, key, reason, outbox);
    }

    pub(super) fn close(&mut self, now: Instant, reason: LeaveReason, outbox: &mut Outbox) {
        // The order is emptied first: everyone leaves, so nobody needs to hear that others do.
        for key in std::mem::take(&mut self.order) {
            self.expel(now, key, reason, outbox);
        }
        self.ended = true;
    }
}

fn drawn_twice() -> Refusal {
    Refusal::new(RefusalCode::Internal, "two participants drew one id", "join again")
}

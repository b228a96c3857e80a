//! Deadlines: what is done when they are due, and when the room wants to be woken for the next one.
//!
//! Each deadline has a [`Timer`] and is set where it changes: by the transport, if it depends on the transport's engine
//! or media; by the functions below, if it depends on more than that. [`Room::arm`] then tells the room's heap the
//! earliest deadline of an owner.

use std::time::{Duration, Instant};

use tracing::debug;

use super::{Owner, Room};
use crate::core::command::Lifeline;
use crate::core::event::{Event, LeaveReason};
use crate::core::ids::{ParticipantKey, PublicationKey, TransportKey};
use crate::core::mutation::mutated;
use crate::core::outbox::Outbox;
use crate::core::participant::Signalling;
use crate::core::timers::{Deadline, Timer, earliest};

/// Somebody whose signalling broke has at least this long to come back.
const GRACE: Duration = Duration::from_secs(5);
/// An encoder from which nothing is heard for this long has probably crashed: reports come each second from one that
/// sends video, and checks come every few seconds from one that sends nothing.
const UNHEARD: Duration = Duration::from_secs(3);

/// Somebody whose signalling broke before media could flow has at most this long to come back: there is no call to
/// continue, so joining again costs them nothing, and a join alone must not hold a place for long.
const GRACE_WITHOUT_MEDIA: Duration = Duration::from_secs(5);

/// Somebody without signalling who opens transports when they need them has as long as this to open one, and to ask for
/// something else as long as none is connected.
const WITHOUT_TRANSPORT: Duration = Duration::from_secs(120);

/// A timer whose moment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fired {
    /// What it was set for.
    pub timer: Timer,
    /// The member to whom it belongs; `None` for timers of the room itself and of transports that belong to nobody.
    pub member: Option<ParticipantKey>,
}

impl Room {
    /// Returns the timers that the last [`RoomInput::Timeout`](super::RoomInput::Timeout) found due, in the order in
    /// which they were served. Returns none after any other input, and if the room was woken for a deadline that had
    /// moved.
    pub fn fired(&self) -> &[Fired] {
        &self.fired
    }

    pub(super) fn handle_timers(&mut self, now: Instant, outbox: &mut Outbox) {
        // Not in the order of time: the engine's deadlines depend on how long the process has run, and replays must
        // not.
        let mut due = std::mem::take(&mut self.due);
        loop {
            self.timers.take_due(now, &mut due);
            if due.is_empty() {
                break;
            }
            for owner in due.drain(..) {
                match owner {
                    Owner::Member(key) => {
                        self.step(now, owner, outbox, |room, outbox| room.serve_member(now, key, outbox));
                    }
                    Owner::Transport(key) => {
                        self.step(now, owner, outbox, |room, outbox| room.serve_transport(now, key, outbox));
                    }
                    Owner::Room => self.serve_room(now, outbox),
                }
            }
        }
        self.due = due;
    }

    /// Does what is due for the room itself.
    fn serve_room(&mut self, now: Instant, outbox: &mut Outbox) {
        let due = self.room_deadline().filter(|deadline| deadline.at <= now);
        if let Some(Deadline { timer, .. }) = due {
            self.fired.push(Fired { timer, member: None });
            match timer {
                Timer::RoomEmpty => self.ended = true,
                Timer::Waiting => self.give_up_waiting(now, false, outbox),
                Timer::Topology => self.look_at_topology(now, outbox),
                _ => self.step(now, Owner::Room, outbox, |room, outbox| room.look_who_speaks(now, outbox)),
            }
        }
        if !self.ended {
            self.arm(now, Owner::Room);
        }
    }

    /// Returns how long the room stays when nobody is in it.
    pub(super) fn empty_timeout(&self) -> Duration {
        self.options.empty_timeout.unwrap_or(self.settings.empty_timeout)
    }

    /// What the room itself waits for: its end, while nobody is in it; otherwise who speaks; and that somebody lets in those who
    /// wait.
    fn room_deadline(&self) -> Option<Deadline> {
        let own = match self.empty_since {
            None => self.floor.deadline(),
            // A time that is further off than the clock goes never comes.
            Some(since) => {
                let at = since.checked_add(self.empty_timeout());
                at.map(|at| Deadline { at, timer: Timer::RoomEmpty })
            }
        };
        let given_up = self.waiting.iter().map(|waiting| waiting.until).min();
        let own = sooner(own, given_up.map(|at| Deadline { at, timer: Timer::Waiting }));
        let move_at = self.topology.as_ref().and_then(|topology| topology.deadline());
        sooner(own, move_at.map(|at| Deadline { at, timer: Timer::Topology }))
    }

    /// Does what is due for one member and on each of their transports.
    fn serve_member(&mut self, now: Instant, key: ParticipantKey, outbox: &mut Outbox) {
        let deadlines = &self.participants[key.0].deadlines;
        if deadlines.is_due(Timer::MediaTimeout, now) || deadlines.is_due(Timer::Unheard, now) {
            // Packets do not set these deadlines, to save time: they are computed again here from when the last one
            // came.
            self.set_expiry(key);
        }
        let deadlines = &self.participants[key.0].deadlines;
        self.fired.extend(deadlines.due(now).map(|timer| Fired { timer, member: Some(key) }));
        let given_up =
            [(Timer::Resume, LeaveReason::ResumeTimeout), (Timer::MediaTimeout, LeaveReason::MediaTimeout)];
        if let Some((_, reason)) = given_up.into_iter().find(|(timer, _)| deadlines.is_due(*timer, now)) {
            self.expel(now, key, reason, outbox);
            return;
        }
        let deadlines = &mut self.participants[key.0].deadlines;
        if deadlines.is_due(Timer::SlotMap, now) {
            deadlines.set(Timer::SlotMap, None);
            self.slot_maps.push(key);
        }
        if self.participants[key.0].deadlines.is_due(Timer::Steering, now) {
            self.participants[key.0].deadlines.set(Timer::Steering, None);
            self.steer_later(key);
        }
        if self.participants[key.0].deadlines.is_due(Timer::LayerNews, now) {
            self.review_layers_of(key);
        }
        if self.participants[key.0].deadlines.is_due(Timer::Encodings, now) {
            self.review_encodings_of(key);
        }
        if self.participants[key.0].deadlines.is_due(Timer::Unheard, now) {
            self.lose_from_hearing(key, outbox);
        }
        for place in 0.. {
            // Serving one transport can end it, and the member with it, so each is looked up anew.
            let Some(&transport) = self.transports_of(key).get(place) else { break };
            self.serve_transport(now, transport, outbox);
        }
    }

    /// The last `time` counts against nobody, because the server could hear nobody in it: else a suspended machine would
    /// throw out everybody the moment it wakes up, before it has read what they have sent.
    pub(super) fn forgive_standstill(&mut self, now: Instant, time: Duration) {
        debug!(room = %self.id, ?time, "the server stood still: everybody has more time to be heard");
        for (_, transport) in &mut self.transports {
            transport.forgive(now, time, self.settings.media_timeout);
        }
        for waiting in &mut self.waiting {
            waiting.until += time;
        }
        for key in self.participants.iter().map(|(key, _)| ParticipantKey(key)).collect::<Vec<_>>() {
            let participant = &mut self.participants[key.0];
            if let Signalling::Lost { since } = &mut participant.signalling {
                *since = now.min(*since + time);
            }
            participant.asked_at = now.min(participant.asked_at + time);
            self.set_expiry(key);
            self.arm(now, Owner::Member(key));
        }
        let unowned = self.transports.iter().filter(|(_, transport)| transport.owner.is_none());
        for key in unowned.map(|(key, _)| TransportKey(key)).collect::<Vec<_>>() {
            self.arm(now, Owner::Transport(key));
        }
        if let Some(topology) = &mut self.topology {
            topology.forgive(now, time);
        }
        self.arm(now, Owner::Room);
    }

    /// Does what is due on one transport.
    fn serve_transport(&mut self, now: Instant, key: TransportKey, outbox: &mut Outbox) {
        let transport = &self.transports[key.0];
        let member = transport.owner;
        self.fired.extend(transport.deadlines.due(now).map(|timer| Fired { timer, member }));
        if transport.deadlines.is_due(Timer::Handshake, now) {
            self.give_up_handshake(now, key, outbox);
            return;
        }
        if transport.deadlines.is_due(Timer::Consent, now) {
            // Packets to a peer that is not there would be wasted, and after 2^15 of them the receiver would have lost
            // the roll-over counter and could decrypt none any more.
            self.lose_path(key);
        }
        if self.transports[key.0].deadlines.is_due(Timer::MediaSilence, now) {
            self.transports[key.0].look_for_silence(now);
            self.review_media(now, key, outbox);
        }
        if self.transports[key.0].deadlines.is_due(Timer::Engine, now) {
            self.transports[key.0].with_session(|session| session.handle_timeout(now));
            self.carry_out_effects(now, key, None, outbox);
        }
        if let Some(transport) = self.transports.get_mut(key.0)
            && transport.deadlines.is_due(Timer::Bandwidth, now)
        {
            if let Some(media) = &mut transport.media {
                media.egress.look_at_bandwidth(now);
            }
            transport.set_bandwidth();
            self.review_estimate(key);
        }
        if let Some(transport) = self.transports.get_mut(key.0)
            && transport.deadlines.is_due(Timer::Pacing, now)
        {
            transport.deadlines.set(Timer::Pacing, None);
            self.pace(key);
        }
        if self.transports.contains(key.0) {
            self.send_feedback(now, key, outbox);
            self.send_reports(now, key, outbox);
        }
    }

    /// Makes sure that an owner is woken for the earliest of their timers.
    pub(super) fn arm(&mut self, now: Instant, owner: Owner) {
        let next = match owner {
            Owner::Member(key) => {
                let Some(participant) = self.participants.get(key.0) else { return };
                let mut next = participant.deadlines.next(now);
                for transport in &participant.transports {
                    next = sooner(next, self.transports[transport.0].deadlines.next(now));
                }
                next
            }
            Owner::Transport(key) => self.transports.get(key.0).and_then(|own| own.deadlines.next(now)),
            Owner::Room => self.room_deadline(),
        };
        self.timers.set(owner, next);
    }

    /// Sets when the publisher on a transport is asked for a key frame. Call it when one is wanted or has come, and
    /// when the round trip changes, because repeated requests are spaced by it.
    pub(super) fn set_keyframe_timer(&mut self, now: Instant, on: TransportKey) {
        let Some(media) = self.transports.get(on.0).and_then(|transport| transport.media.as_ref()) else {
            return;
        };
        let round_trip = media.egress.round_trip();
        let deadline = |key: PublicationKey| self.publications[key.0].keyframe_deadline(now, round_trip);
        let at = self.published_on(on).map(deadline).fold(None, earliest);
        if !mutated!(FeedbackTimerDropped) {
            self.transports[on.0].deadlines.set(Timer::Keyframe, at);
        }
    }

    /// Sets when a member is given up. Call it when their signalling breaks or comes back, when media can flow, with
    /// each connectivity check, and before they are given up.
    ///
    /// A member whose signalling broke is given up after `resume_timeout`, or as soon as their media path is dead as
    /// well. A member without signalling is given up when the media path is dead or never came to life. A path is alive
    /// as long as checks or authentic media come by it; checks alone would not do, because some encoders check once and
    /// never again. In a call that goes straight no path leads here, so that only signalling tells.
    pub(super) fn set_expiry(&mut self, key: ParticipantKey) {
        // Of those whose media goes straight nothing comes here, whether they are there or not.
        let is_straight = self.stays_without_transport(key);
        let Some(participant) = self.participants.get_mut(key.0) else { return };
        let media_timeout = self.settings.media_timeout;
        let transports = participant.transports.iter();
        let last_heard = transports.filter_map(|key| self.transports[key.0].last_heard).max();
        let (resume, media) = match (participant.lifeline, participant.signalling) {
            // Whoever opens transports when they need them may have none for a while.
            (Lifeline::Media, _) if participant.is_parametric() => {
                let without = participant.asked_at + WITHOUT_TRANSPORT;
                let heard =
                    last_heard.map(|at| (at + media_timeout).max(participant.asked_at + media_timeout));
                (None, Some(heard.unwrap_or(without)))
            }
            (Lifeline::Media, _) => (None, Some(last_heard.unwrap_or(participant.asked_at) + media_timeout)),
            (Lifeline::Signalling, Signalling::Connected) => (None, None),
            (Lifeline::Signalling, Signalling::Lost { since }) => {
                // They always get some time, even if the path has been dead for longer: a change of networks breaks
                // both at once.
                let dead = last_heard.map(|at| (at + media_timeout).max(since + GRACE));
                let dead = dead.filter(|_| !is_straight);
                let resume_timeout = self.settings.resume_timeout;
                let within = if participant.has_had_media || participant.has_meshed {
                    resume_timeout
                } else {
                    resume_timeout.min(GRACE_WITHOUT_MEDIA)
                };
                (Some(since + within), dead)
            }
        };
        let is_encoder = participant.lifeline == Lifeline::Media && !participant.publications.is_empty();
        let unheard = last_heard.filter(|_| is_encoder && !participant.is_unheard).map(|at| at + UNHEARD);
        participant.deadlines.set(Timer::Unheard, unheard);
        participant.deadlines.set(Timer::Resume, resume);
        participant.deadlines.set(Timer::MediaTimeout, media);
    }

    /// Tells the others that nothing is heard from somebody who publishes without signalling. They see them like
    /// somebody whose signalling broke, and WHEP viewers can be shown somebody else.
    fn lose_from_hearing(&mut self, key: ParticipantKey, outbox: &mut Outbox) {
        let participant = &mut self.participants[key.0];
        participant.is_unheard = true;
        for transport in &participant.transports {
            self.transports[transport.0].is_unheard = true;
        }
        let silent = Event::ParticipantReconnecting(participant.id);
        self.set_expiry(key);
        self.tell_others_of(key, &silent, outbox);
    }

    /// Tells the others that something has come again by a transport that they were told was silent.
    pub(super) fn hear_again(&mut self, now: Instant, on: TransportKey, outbox: &mut Outbox) {
        self.review_media(now, on, outbox);
        let Some(key) = self.owner_of(on) else { return };
        let participant = &mut self.participants[key.0];
        if std::mem::take(&mut participant.is_unheard) {
            let back = Event::ParticipantResumed(participant.id);
            self.set_expiry(key);
            self.tell_others_of(key, &back, outbox);
        }
    }
}

/// Returns the earlier of two deadlines; `first` if both are at the same time.
fn sooner(first: Option<Deadline>, second: Option<Deadline>) -> Option<Deadline> {
    match (first, second) {
        (Some(first), Some(second)) => Some(if second.at < first.at { second } else { first }),
        (first, second) => first.or(second),
    }
}

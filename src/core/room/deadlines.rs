//! What is done because its time has come.

use std::time::{Duration, Instant};

use super::{Owner, Room};
use crate::core::command::Lifeline;
use crate::core::event::{ClosingReason, Event, LeaveReason};
use crate::core::ids::{ParticipantKey, TransportKey};
use crate::core::mutation::mutated;
use crate::core::outbox::Outbox;
use crate::core::participant::{Participant, Signalling};
use crate::core::timers::{earliest, unhurried};

/// Somebody whose signalling broke has at least this long to come back.
const GRACE: Duration = Duration::from_secs(5);

impl Room {
    pub(super) fn handle_timers(&mut self, now: Instant, outbox: &mut Outbox) {
        // The engine's own deadlines depend on how long the process has run: an order by time would, too.
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
                    Owner::Room => self.ended = self.participants.is_empty(),
                }
            }
        }
        self.due = due;
    }

    /// Does what is due for one member, on each of their transports.
    fn serve_member(&mut self, now: Instant, key: ParticipantKey, outbox: &mut Outbox) {
        if self.has_expired(now, key) {
            outbox.event(key, Event::Closing(ClosingReason::Expired));
            self.remove(now, key, LeaveReason::Timeout, outbox);
            return;
        }
        for place in 0.. {
            // What is due on one transport can end it, and the member with it.
            let Some(&transport) = self.transports_of(key).get(place) else { break };
            self.serve_transport(now, transport, outbox);
        }
    }

    /// Does what is due on one transport.
    fn serve_transport(&mut self, now: Instant, key: TransportKey, outbox: &mut Outbox) {
        if self.transports[key.0].consent_ends(self.settings.media_timeout).is_some_and(|at| at <= now) {
            // Packets to who is not there would be sent for nothing, and would let the receiver lose the roll-over
            // counter: after 2^15 of them it could open none any more.
            self.lose_path(key);
        }
        if self.transports[key.0].session.deadline().is_some_and(|at| at <= now) {
            self.transports[key.0].session.handle_timeout(now);
            self.carry_out_effects(now, key, None, outbox);
        }
        if self.transports.contains(key.0) {
            self.send_feedback(now, key, outbox);
            self.send_reports(now, key, outbox);
        }
    }

    /// Sets the next deadline of a member or a transport from all that they wait for.
    pub(super) fn arm(&mut self, now: Instant, owner: Owner) {
        let at = match owner {
            Owner::Member(key) => {
                let Some(participant) = self.participants.get(key.0) else { return };
                let transports = participant.transports.iter();
                let expiry = self.expiry(participant).map(|at| unhurried(self.settings.epoch, now, at));
                transports.fold(expiry, |at, transport| earliest(at, self.deadline_of(now, *transport)))
            }
            Owner::Transport(key) => self.deadline_of(now, key),
            Owner::Room => return,
        };
        self.timers.set(owner, at);
    }

    fn deadline_of(&self, now: Instant, key: TransportKey) -> Option<Instant> {
        let transport = self.transports.get(key.0)?;
        let mut at =
            earliest(transport.session.deadline(), transport.consent_ends(self.settings.media_timeout));
        at = earliest(at, transport.report_at).map(|at| unhurried(self.settings.epoch, now, at));
        if let Some(media) = &transport.media
            && !mutated!(FeedbackTimerDropped)
        {
            at = earliest(at, media.ingress.deadline());
            let round_trip = media.egress.round_trip();
            for publication in self.published_on(key) {
                at = earliest(at, self.publications[publication.0].keyframe_deadline(now, round_trip));
            }
        }
        at
    }

    /// When somebody whose signalling broke is given up: after the time to come back, or as soon as the media path is
    /// dead as well. Somebody without signalling: when the media path is dead, or has never come to life.
    fn expiry(&self, participant: &Participant) -> Option<Instant> {
        let last_check =
            participant.transports.iter().filter_map(|key| self.transports[key.0].last_check).max();
        if participant.lifeline == Lifeline::Media {
            return Some(last_check.unwrap_or(participant.joined_at) + self.settings.media_timeout);
        }
        let Signalling::Lost { since } = participant.signalling else { return None };
        let back_by = since + self.settings.resume_timeout;
        // Not at once, if the path had been dead for longer: a change of networks breaks both at a time.
        let dead = last_check.map(|at| (at + self.settings.media_timeout).max(since + GRACE));
        earliest(Some(back_by), dead)
    }

    fn has_expired(&self, now: Instant, key: ParticipantKey) -> bool {
        self.expiry(&self.participants[key.0]).is_some_and(|at| at <= now)
    }
}

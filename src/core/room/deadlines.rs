//! What is done because its time has come.

use std::time::{Duration, Instant};

use super::{Room, Timer};
use crate::core::command::Lifeline;
use crate::core::event::{ClosingReason, Event, LeaveReason};
use crate::core::ids::ParticipantKey;
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
            for timer in due.drain(..) {
                match timer {
                    Timer::Participant(key) => {
                        self.step(now, key, outbox, |room, outbox| room.serve(now, key, outbox));
                    }
                    Timer::Empty => self.ended = self.participants.is_empty(),
                }
            }
        }
        self.due = due;
    }

    /// Does what is due for one participant.
    fn serve(&mut self, now: Instant, key: ParticipantKey, outbox: &mut Outbox) {
        if self.has_expired(now, key) {
            outbox.event(key, Event::Closing(ClosingReason::Expired));
            self.remove(now, key, LeaveReason::Timeout, outbox);
            return;
        }
        if self.participants[key.0].consent_ends(self.settings.media_timeout).is_some_and(|at| at <= now) {
            // Packets to who is not there would be sent for nothing, and would let the receiver lose the roll-over
            // counter: after 2^15 of them it could open none any more.
            self.participants[key.0].lose_path();
        }
        if self.participants[key.0].session.deadline().is_some_and(|at| at <= now) {
            self.participants[key.0].session.handle_timeout(now);
            self.carry_out_effects(now, key, None, outbox);
        }
        if self.participants.contains(key.0) {
            self.send_feedback(now, key, outbox);
            self.send_reports(now, key, outbox);
        }
    }

    /// Sets a participant's next deadline from all that they wait for.
    pub(super) fn arm(&mut self, now: Instant, key: ParticipantKey) {
        let Some(participant) = self.participants.get(key.0) else { return };
        let mut at = earliest(participant.session.deadline(), self.expiry(participant));
        at = earliest(at, participant.consent_ends(self.settings.media_timeout));
        at = earliest(at, participant.report_at).map(|at| unhurried(self.settings.epoch, now, at));
        if let Some(media) = &participant.media
            && !mutated!(FeedbackTimerDropped)
        {
            at = earliest(at, media.ingress.deadline());
            for publication in &participant.publications {
                at = earliest(
                    at,
                    self.publications[publication.0].keyframes.deadline(now, media.egress.round_trip()),
                );
            }
        }
        self.timers.set(Timer::Participant(key), at);
    }

    /// When somebody whose signalling broke is given up: after the time to come back, or as soon as the media path is
    /// dead as well. Somebody without signalling: when the media path is dead, or has never come to life.
    fn expiry(&self, participant: &Participant) -> Option<Instant> {
        if participant.lifeline == Lifeline::Media {
            return Some(
                participant.last_check.unwrap_or(participant.joined_at) + self.settings.media_timeout,
            );
        }
        let Signalling::Lost { since } = participant.signalling else { return None };
        let back_by = since + self.settings.resume_timeout;
        // Not at once, if the path had been dead for longer: a change of networks breaks both at a time.
        let dead = participant.last_check.map(|at| (at + self.settings.media_timeout).max(since + GRACE));
        earliest(Some(back_by), dead)
    }

    fn has_expired(&self, now: Instant, key: ParticipantKey) -> bool {
        self.expiry(&self.participants[key.0]).is_some_and(|at| at <= now)
    }
}

//! The waiting room: people who knock wait until a moderator lets them in or turns them away, or nobody has answered for long.

use std::time::{Duration, Instant};

use super::membership::Connection;
use super::{Owner, Room};
use crate::core::command::Join;
use crate::core::event::{Event, Refusal, RefusalCode};
use crate::core::ids::{ParticipantId, ParticipantKey, RequestId};
use crate::core::input::Admission;
use crate::core::mutation::mutated;
use crate::core::notice::Person;
use crate::core::outbox::{Outbox, RoomOutput};
use crate::core::rng::Rng;
use crate::core::stats::WaitingSnapshot;

/// How long somebody waits at most.
const WAITING_TIME: Duration = Duration::from_secs(600);
/// Most people who wait at a time: each is a line on a moderator's screen.
const WAITING_MAX: usize = 50;

/// Somebody who waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    id: ParticipantId,
    /// When they are told that nobody has answered.
    pub until: Instant,
    request: Option<RequestId>,
    admission: Admission,
    join: Join,
}

impl Waiting {
    /// Returns what is told of it.
    pub fn snapshot(&self, now: Instant) -> WaitingSnapshot {
        let left = self.until.saturating_duration_since(now);
        let (participant, profile) = (self.id, self.join.profile.clone());
        WaitingSnapshot { participant, profile, waited: WAITING_TIME.saturating_sub(left) }
    }
}

impl Room {
    /// Lets somebody wait who has come to the door, and tells those who may let them in.
    pub(super) fn knock(
        &mut self,
        now: Instant,
        request: Option<RequestId>,
        admission: Admission,
        join: Join,
        outbox: &mut Outbox,
    ) {
        // The id that they will have in the room: it is the first value that is drawn of their entropy.
        let id = ParticipantId(Rng::new(admission.entropy).u64());
        if self.waiting.len() >= WAITING_MAX || self.waiting.iter().any(|other| other.id == id) {
            let refusal = Refusal::new(
                RefusalCode::RoomFull,
                format!("{WAITING_MAX} people wait already to be let in"),
                "try again in a few minutes",
            );
            outbox.refuse(request, refusal);
            return;
        }
        outbox.outputs.push(RoomOutput::Knocked(id));
        outbox.outputs.push(RoomOutput::ToWaiting(id, Event::Waiting(id)));
        let knocking = Event::Knocking(id, Box::new(join.profile.clone()));
        self.waiting.push(Waiting { id, until: now + WAITING_TIME, request, admission, join });
        self.tell_moderators(&knocking, outbox);
        self.arm(now, Owner::Room);
        if mutated!(DoorLeftOpen) {
            let _ = self.admit_waiting(now, id, outbox);
        }
    }

    /// Lets in somebody who waits.
    pub(super) fn admit_waiting(
        &mut self,
        now: Instant,
        id: ParticipantId,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let Waiting { request, admission, join, .. } = self.stop_waiting(now, id, outbox)?;
        self.join(now, request, admission, join, Connection::Transport, outbox);
        Ok(())
    }

    /// Lets in everybody who waits.
    pub(super) fn admit_all(&mut self, now: Instant, outbox: &mut Outbox) {
        while let Some(id) = self.waiting.first().map(|waiting| waiting.id) {
            let _ = self.admit_waiting(now, id, outbox);
        }
    }

    /// Turns away those who wait and are banned by now.
    pub(super) fn turn_away_banned(&mut self, now: Instant, outbox: &mut Outbox) {
        let banned = |room: &Self| {
            let mut waiting = room.waiting.iter();
            waiting.find_map(|waiting| Some((waiting.id, room.check_bans(now, &waiting.join).err()?)))
        };
        while let Some((id, refusal)) = banned(self) {
            let Ok(Waiting { request, .. }) = self.stop_waiting(now, id, outbox) else { break };
            outbox.refuse(request, refusal);
        }
    }

    /// Turns away somebody who waits, and tells them so.
    pub(super) fn turn_away(
        &mut self,
        now: Instant,
        id: ParticipantId,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let Waiting { request, .. } = self.stop_waiting(now, id, outbox)?;
        let refusal = Refusal::new(
            RefusalCode::TurnedAway,
            "a moderator has not let you in",
            "ask whoever runs the call",
        );
        outbox.refuse(request, refusal);
        Ok(())
    }

    /// Tells those who have waited for too long that nobody has answered; with `all`, everybody who waits, because the room
    /// ends.
    pub(super) fn give_up_waiting(&mut self, now: Instant, all: bool, outbox: &mut Outbox) {
        let is_over = |waiting: &&Waiting| all || waiting.until <= now;
        while let Some(id) = self.waiting.iter().find(is_over).map(|waiting| waiting.id) {
            let Ok(Waiting { request, .. }) = self.stop_waiting(now, id, outbox) else { break };
            let (message, action) = if all {
                ("the call has ended", "join again later")
            } else {
                ("nobody has let you in", "join again to knock once more")
            };
            let refusal = Refusal::new(RefusalCode::NobodyAnswered, message, action);
            outbox.refuse(request, refusal);
        }
    }

    /// Takes somebody out of those who wait, and tells the moderators. What is told next of admission is about them.
    pub(super) fn stop_waiting(
        &mut self,
        now: Instant,
        id: ParticipantId,
        outbox: &mut Outbox,
    ) -> Result<Waiting, Refusal> {
        let place = self.waiting.iter().position(|waiting| waiting.id == id).ok_or_else(|| {
            Refusal::new(
                RefusalCode::UnknownParticipant,
                "nobody of that id waits, or not any longer",
                "name somebody of whom `knocking` told",
            )
        })?;
        let waiting = self.waiting.remove(place);
        outbox.outputs.push(RoomOutput::WaitsNoLonger(id));
        self.tell_moderators(&Event::KnockingOver(id), outbox);
        self.arm(now, Owner::Room);
        Ok(waiting)
    }

    /// Tells a moderator who has just come of all who wait.
    pub(super) fn tell_of_waiting(&self, key: ParticipantKey, outbox: &mut Outbox) {
        if self.participants[key.0].grants.moderate {
            for Waiting { id, join, .. } in &self.waiting {
                outbox.event(key, Event::Knocking(*id, Box::new(join.profile.clone())));
            }
        }
    }

    /// Returns somebody who waits, as they are remembered.
    pub(super) fn waiting_person(&self, id: ParticipantId) -> Option<Person> {
        let Waiting { join, .. } = self.waiting.iter().find(|waiting| waiting.id == id)?;
        Some(Person::of(id, &join.profile))
    }

    fn tell_moderators(&self, event: &Event, outbox: &mut Outbox) {
        for key in self.order.iter().filter(|key| self.participants[key.0].grants.moderate) {
            outbox.event(*key, event.clone());
        }
    }
}

//! The door: who may come in now, who is to wait, and who stays out, beside what their tokens say.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use tracing::error;

use super::Room;
use super::membership::Connection;
use crate::core::bans::{Bans, LastingBan, Mark};
use crate::core::command::{Join, Lifeline};
use crate::core::event::{Event, Refusal, RefusalCode};
use crate::core::ids::{ParticipantKey, RequestId};
use crate::core::input::Admission;
use crate::core::moderation::{Ban, Target};
use crate::core::mutation::mutated;
use crate::core::outbox::Outbox;
use crate::core::participant::Participant;

/// What somebody finds who comes to the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// They may come in.
    Open,
    /// They wait until a moderator lets them in.
    Wait,
}

impl Room {
    /// Takes somebody who asks to join. There is no member yet who could be removed, so a panic leads to a refusal.
    pub(super) fn come(
        &mut self,
        now: Instant,
        request: Option<RequestId>,
        admission: Admission,
        join: Join,
        outbox: &mut Outbox,
    ) {
        let entered = catch_unwind(AssertUnwindSafe(|| {
            self.enter(now, request.clone(), admission, join, outbox);
        }));
        if entered.is_err() {
            error!(room = %self.id, "a join panicked; it is refused");
            let refusal = Refusal::new(RefusalCode::Internal, "joining failed", "try again");
            outbox.refuse(request, refusal);
        }
    }

    /// Lets somebody in who asks to join, or has them wait, or keeps them out.
    fn enter(
        &mut self,
        now: Instant,
        request: Option<RequestId>,
        admission: Admission,
        join: Join,
        outbox: &mut Outbox,
    ) {
        match self.door(now, &join) {
            Ok(Door::Open) => self.join(now, request, admission, join, Connection::Transport, outbox),
            Ok(Door::Wait) => self.knock(now, request, admission, join, outbox),
            Err(refusal) => outbox.refuse(request, refusal),
        }
    }

    /// Returns how many of its members are hidden, or are not.
    pub(super) fn count(&self, is_hidden: bool) -> usize {
        self.participants.iter().filter(|(_, member)| member.grants.hidden == is_hidden).count()
    }

    /// Tells everyone something.
    pub(super) fn tell_all(&self, event: &Event, outbox: &mut Outbox) {
        for key in &self.order {
            outbox.event(*key, event.clone());
        }
    }

    /// Tells everyone except one member.
    pub(super) fn tell_others(&self, except: ParticipantKey, event: &Event, outbox: &mut Outbox) {
        for key in self.order.iter().filter(|key| **key != except) {
            outbox.event(*key, event.clone());
        }
    }

    /// Tells everyone except one member something about that member; nobody, if they are hidden.
    pub(super) fn tell_others_of(&self, member: ParticipantKey, event: &Event, outbox: &mut Outbox) {
        if !self.participants[member.0].grants.hidden {
            self.tell_others(member, event, outbox);
        }
    }

    /// Returns whether somebody may come in.
    ///
    /// # Errors
    /// They stay out.
    fn door(&self, now: Instant, join: &Join) -> Result<Door, Refusal> {
        self.check_bans(now, join)?;
        let grants = join.grants.consistent();
        if self.options.private && !join.is_invited {
            return Err(Refusal::new(
                RefusalCode::NotPermitted,
                "the room is private",
                "ask for a token that is for this very room",
            ));
        }
        let older = self.older(join);
        self.check_identity(join, older)?;
        // Whoever is in the room already only changes windows, if it is really they; whoever is hidden is sent by a back end.
        if grants.moderate || grants.hidden || (older.is_some() && join.is_vouched_for) {
            return Ok(Door::Open);
        }
        if self.options.locked && !mutated!(LockIgnored) {
            return Err(Refusal::new(
                RefusalCode::RoomLocked,
                "the room is locked",
                "wait until a moderator unlocks it",
            ));
        }
        match (self.options.waiting_room, join.lifeline) {
            (false, _) => Ok(Door::Open),
            (true, Lifeline::Signalling) => Ok(Door::Wait),
            (true, Lifeline::Media) => Err(Refusal::new(
                RefusalCode::NotPermitted,
                "people wait here until a moderator lets them in, and encoders and players cannot",
                "use a token that may moderate",
            )),
        }
    }

    /// Refuses an identity that nobody vouches for, if it is that of a member for whom somebody does: it could be anybody who
    /// takes their place.
    pub(super) fn check_identity(&self, join: &Join, older: Option<ParticipantKey>) -> Result<(), Refusal> {
        let is_theirs =
            join.is_vouched_for || !older.is_some_and(|key| self.participants[key.0].is_vouched_for);
        if is_theirs {
            return Ok(());
        }
        Err(Refusal::new(
            RefusalCode::NotPermitted,
            "somebody is in the room with this identity and a signed token, and yours is not signed",
            "use a token that a key of the server has signed, or another identity",
        ))
    }

    /// Returns who is in the room with the identity and by the same kind of connection as somebody who joins. Encoders and
    /// viewers without signalling may stand beside their owner, and beside each other.
    pub(super) fn older(&self, join: &Join) -> Option<ParticipantKey> {
        let identity = join.profile.identity.as_ref()?;
        if join.lifeline != Lifeline::Signalling {
            return None;
        }
        let is_older = |key: &&ParticipantKey| {
            let other = &self.participants[key.0];
            other.lifeline == Lifeline::Signalling && other.profile.identity.as_ref() == Some(identity)
        };
        self.order.iter().find(is_older).copied()
    }

    /// Returns whether somebody is in it whose identity is none of those that `is_known` knows.
    pub fn has_strangers(&self, is_known: &dyn Fn(&str) -> bool) -> bool {
        let identity = |member: &Participant| member.profile.identity.clone();
        self.participants
            .iter()
            .any(|(_, member)| !identity(member).is_some_and(|identity| is_known(&identity)))
    }

    /// Returns those who stay out of it.
    pub fn bans(&self) -> &Bans {
        &self.bans
    }

    /// Takes over the bans of the room of this name before.
    pub(super) fn keep_out(&mut self, now: Instant, bans: Vec<LastingBan>) {
        self.bans.take_over(now, bans);
        self.wait_for_people(now);
    }

    /// Refuses whoever is banned.
    pub(super) fn check_bans(&self, now: Instant, join: &Join) -> Result<(), Refusal> {
        let identity = join.profile.identity.as_deref();
        let Some(until) = self.bans.find(now, identity, join.host) else { return Ok(()) };
        if mutated!(BanIgnored) {
            return Ok(());
        }
        let action = match until {
            Some(until) => {
                let left = until.saturating_duration_since(now).as_secs().div_ceil(60);
                format!("come back in {left} min, or ask whoever runs the call")
            }
            None => "ask whoever runs the call".to_owned(),
        };
        Err(Refusal::new(RefusalCode::Banned, "you are banned from this room", action))
    }

    /// Notes that these members, and whoever else is named, stay out from now on.
    pub(super) fn ban(&mut self, now: Instant, ban: &Ban, members: &[ParticipantKey]) -> Result<(), Refusal> {
        let mut marks = Vec::new();
        if let Target::Identity(identity) = &ban.target {
            marks.push(Mark::Identity(identity.clone()));
        }
        for key in members {
            let member = &self.participants[key.0];
            marks.extend(member.profile.identity.clone().map(Mark::Identity));
            if ban.with_address || member.profile.identity.is_none() {
                marks.extend(member.host.map(Mark::Host));
            }
        }
        if marks.is_empty() {
            return Err(Refusal::new(
                RefusalCode::UnknownParticipant,
                "nothing is known by which they could be told from others: neither an identity nor an address",
                "remove them, or lock the room",
            ));
        }
        // A time that is further off than the clock goes is as good as none.
        let until = ban.lasts.and_then(|lasts| now.checked_add(lasts));
        for mark in marks {
            self.bans.add(mark, until);
        }
        Ok(())
    }
}

//! The door: who may come in now, who is to wait, and who stays out, beside what their tokens say.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::Room;
use crate::core::command::{Join, Lifeline};
use crate::core::event::{Event, Refusal, RefusalCode};
use crate::core::ids::ParticipantKey;
use crate::core::moderation::{Ban, Target};
use crate::core::outbox::Outbox;
use crate::core::stats::BanSnapshot;

/// Most bans of a room. When there are more, the oldest is lifted.
const BANS_MAX: usize = 1000;

/// What somebody who is banned is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mark {
    Identity(String),
    Host(IpAddr),
}

/// Somebody who stays out.
#[derive(Debug, Clone)]
pub(super) struct Banned {
    mark: Mark,
    /// Until when; `None` for as long as the room is there.
    until: Option<Instant>,
}

impl Banned {
    /// Returns what is told of it; `None` if it is over.
    pub fn snapshot(&self, now: Instant) -> Option<BanSnapshot> {
        if self.until.is_some_and(|until| until <= now) {
            return None;
        }
        let (identity, address) = match &self.mark {
            Mark::Identity(identity) => (Some(identity.clone()), None),
            Mark::Host(host) => (None, Some(*host)),
        };
        let left = self.until.map(|until| until.saturating_duration_since(now));
        Some(BanSnapshot { identity, address, left })
    }
}

/// What somebody finds who comes to the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// They may come in.
    Open,
    /// They wait until a moderator lets them in.
    Wait,
}

impl Room {
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
    pub(super) fn door(&mut self, now: Instant, join: &Join) -> Result<Door, Refusal> {
        self.check_bans(now, join)?;
        let grants = join.grants.consistent();
        if self.options.private && !join.is_invited {
            return Err(Refusal::new(
                RefusalCode::NotPermitted,
                "the room is private",
                "ask for a token that is for this very room",
            ));
        }
        // Whoever is in the room already only changes windows; whoever is hidden is sent by a back end.
        if grants.moderate || grants.hidden || self.older(join).is_some() {
            return Ok(Door::Open);
        }
        if self.options.locked {
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

    /// Refuses whoever is banned.
    pub(super) fn check_bans(&mut self, now: Instant, join: &Join) -> Result<(), Refusal> {
        self.bans.retain(|ban| ban.until.is_none_or(|until| until > now));
        let is_meant = |ban: &&Banned| match &ban.mark {
            Mark::Identity(identity) => join.profile.identity.as_ref() == Some(identity),
            Mark::Host(host) => join.host == Some(*host),
        };
        let Some(ban) = self.bans.iter().find(is_meant) else { return Ok(()) };
        let action = match ban.until {
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
        let until = ban.lasts.and_then(|lasts: Duration| now.checked_add(lasts));
        for mark in marks {
            self.bans.retain(|other| other.mark != mark);
            self.bans.push_back(Banned { mark, until });
        }
        while self.bans.len() > BANS_MAX {
            self.bans.pop_front();
        }
        Ok(())
    }

    /// Lets an identity in again that was banned; with `None`, everybody.
    pub(super) fn lift_bans(&mut self, identity: Option<&str>) {
        let stays = |ban: &Banned| match (&ban.mark, identity) {
            (Mark::Identity(banned), Some(identity)) => banned != identity,
            (Mark::Host(_), Some(_)) => true,
            (_, None) => false,
        };
        self.bans.retain(stays);
    }
}

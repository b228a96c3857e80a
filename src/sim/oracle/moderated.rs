//! Checks what becomes of what moderators do: whoever is banned is gone and stays out, what may not be published, or was
//! stopped, is sent to nobody, nobody comes to a locked room, and whoever knocks hears nothing of the room before they are
//! let in.

use std::collections::{BTreeMap, BTreeSet};

use super::{Oracle, Track};
use crate::core::command::Source;
use crate::core::event::Event;
use crate::core::ids::TrackId;
use crate::sim::client::StreamInfo;
use crate::sim::network::{Micros, name};

/// Who has sent what, in which of their lives.
type Sending = (usize, u32, Source);

/// What was done to people.
#[derive(Debug, Default)]
pub(super) struct Moderated {
    /// Until when people stay out.
    bans: BTreeMap<usize, Micros>,
    /// Sessions that were ended by a ban in this pass.
    expelled: BTreeSet<u64>,
    /// What may not be sent, and since when.
    forbidden: BTreeMap<Sending, Micros>,
    /// The connections of those who knock or have knocked, and whether they were let in.
    knocking: BTreeMap<u64, bool>,
    /// Since when the room is locked.
    locked_since: Option<Micros>,
}

impl Oracle {
    /// Notes that somebody was banned while they were in the room.
    pub fn banned(&mut self, session: u64, until: Micros) {
        let Some(member) = self.members.get_mut(&session) else { return };
        member.touched = true;
        self.moderated.bans.insert(member.person, until);
        self.moderated.expelled.insert(session);
    }

    /// Notes that somebody may, or may not, publish a source from now on.
    pub fn permitted(&mut self, now: Micros, session: u64, source: Source, may: bool) {
        let Some(member) = self.members.get_mut(&session) else { return };
        member.touched = true;
        let sending = (member.person, member.life, source);
        if may {
            self.moderated.forbidden.remove(&sending);
        } else {
            self.moderated.forbidden.entry(sending).or_insert(now);
        }
        // Whatever came in this pass may have come before or after that.
        for track in self.tracks.values_mut().filter(|track| track.owner == session && track.source == source)
        {
            track.touched = true;
            track.alive &= may;
        }
    }

    /// Returns whether somebody may publish a source.
    pub fn may_publish(&self, (person, life): (usize, u32), source: Source) -> bool {
        !self.moderated.forbidden.contains_key(&(person, life, source))
    }

    /// Returns whether a packet is of what may not be published, and was not before this pass either.
    pub(super) fn is_forbidden(&self, now: Micros, info: &StreamInfo) -> bool {
        let sending = (info.person, info.life, info.source);
        self.moderated.forbidden.get(&sending).is_some_and(|since| *since < now)
    }

    /// Notes that the room was locked, or unlocked.
    pub fn locked(&mut self, now: Micros, locked: bool) {
        self.moderated.locked_since = locked.then(|| self.moderated.locked_since.unwrap_or(now));
    }

    /// Returns somebody's track of a source, if they publish one.
    pub fn track_of(&self, session: u64, source: Source) -> Option<TrackId> {
        let is_meant =
            |(_, track): &(&TrackId, &Track)| track.owner == session && track.source == source && track.alive;
        self.tracks.iter().find(is_meant).map(|(id, _)| *id)
    }

    /// Notes that those were let in who knock on these connections; with `None`, all.
    pub fn let_in(&mut self, connection: Option<u64>) {
        for (knocking, is_let_in) in &mut self.moderated.knocking {
            *is_let_in |= connection.is_none_or(|connection| connection == *knocking);
        }
    }

    /// Checks what is told on a connection of somebody's. `is_locked`: the room is still the one that was locked.
    pub fn told_on(
        &mut self,
        now: Micros,
        (connection, person): (u64, usize),
        event: &Event,
        is_locked: bool,
    ) {
        let is_let_in = self.moderated.knocking.get(&connection).copied();
        match event {
            Event::Waiting(_) => {
                self.moderated.knocking.insert(connection, false);
            }
            // They may have stopped knocking themselves.
            Event::Refused(..) | Event::Left(_) => {}
            _ if is_let_in == Some(false) => {
                self.complain(now, format!("{} knocks, and is told of the room: {event:?}", name(person)));
            }
            Event::Joined(..) if self.moderated.bans.get(&person).is_some_and(|until| now < *until) => {
                self.complain(now, format!("{} is let in, and is banned", name(person)));
            }
            // Whoever has knocked is let in by somebody who may.
            Event::Joined(..)
                if is_locked
                    && is_let_in.is_none()
                    && self.moderated.locked_since.is_some_and(|since| since < now) =>
            {
                self.complain(now, format!("{} comes to a locked room", name(person)));
            }
            _ => {}
        }
    }

    /// Checks at the end of a pass that whoever was banned is gone.
    pub(super) fn check_banned(&mut self, now: Micros) {
        for session in std::mem::take(&mut self.moderated.expelled) {
            if !self.is_gone(session) {
                let who = self.who(session);
                self.complain(now, format!("{who} is banned, and still there"));
            }
        }
    }
}

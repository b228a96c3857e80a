//! What the back end of a world does to the people in its room: nobody in a world moderates by themselves.

use std::time::Duration;

use super::World;
use super::happening::Happening;
use crate::core::command::{Moderation, Source};
use crate::core::ids::ParticipantId;
use crate::core::moderation::{Ban, PermissionsChange, Target};
use crate::core::room_options::RoomChange;
use crate::sim::network::{Micros, SECOND};

impl World<'_> {
    /// Does something to the room. Returns whether that was possible.
    fn operate(&mut self, moderation: Moderation) -> bool {
        self.inputs += 1;
        self.fed += 1;
        let now = self.moment().instant;
        self.sfu.operate(now, &self.room, moderation).is_ok()
    }

    /// Returns somebody's session and id, if they are in the room and know it.
    fn present(&self, index: usize) -> Option<(u64, ParticipantId)> {
        let endpoint = self.people.get(index)?.as_ref()?.endpoint.as_ref()?;
        let session = self.session_of(index, endpoint.life)?;
        Some((session, endpoint.joined.as_ref()?.participant)).filter(|_| !self.oracle.is_gone(session))
    }

    /// Bans somebody for that long.
    pub(super) fn ban(&mut self, index: usize, long: Micros) {
        let Some((session, id)) = self.present(index) else { return };
        let lasts = Some(Duration::from_micros(long));
        let ban = Ban { target: Target::Id(id), with_address: true, lasts };
        if self.operate(Moderation::Ban(ban)) {
            self.oracle.banned(session, self.now + long);
        }
    }

    /// Lets somebody publish a source, or no longer.
    pub(super) fn permit(&mut self, index: usize, source: Source, may: bool) {
        let Some((session, id)) = self.present(index) else { return };
        let Some(&life) = self.sessions.get((session - 1) as usize) else { return };
        let may_still = |one: &Source| if *one == source { may } else { self.oracle.may_publish(life, *one) };
        let publish = Source::ALL.into_iter().filter(may_still).collect();
        let change = PermissionsChange { publish: Some(publish), ..PermissionsChange::default() };
        if self.operate(Moderation::SetPermissions(Target::Id(id), change)) {
            self.oracle.permitted(self.now, session, source, may);
        }
    }

    /// Has people wait at the door, or lets them in without asking.
    pub(super) fn guard_door(&mut self, waits: bool) {
        let change = RoomChange { waiting_room: Some(waits), ..RoomChange::default() };
        if self.operate(Moderation::Configure(change)) && !waits {
            self.oracle.let_in(None);
        }
    }

    /// Lets somebody in some time after they knocked.
    pub(super) fn hears_knocking(&mut self, connection: u64, id: ParticipantId) {
        let at = (self.now + self.dice.among(100_000..SECOND)).min(self.plan.heals_at.max(self.now));
        self.queue.push(at, Happening::LetsIn(connection, id));
    }

    pub(super) fn lets_in(&mut self, connection: u64, id: ParticipantId) {
        if self.operate(Moderation::Admit(id)) {
            self.oracle.let_in(Some(connection));
        }
    }
}

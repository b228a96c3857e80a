//! Who hears whom in a world of moves: while it is played, and when all has been calm for long.

use std::collections::BTreeSet;

use super::World;
use crate::core::ids::ParticipantId;
use crate::core::stats::RoomSnapshot;
use crate::core::topology::{ClientMode, MeshSettings, Mode, Sizing, Strategy, View};
use crate::sim::moves::client::{Client, Server};
use crate::sim::moves::oracle::{SLACK, is_small};
use crate::sim::network::{Micros, SECOND, name};

/// Nothing moves any more so long before the end, µs.
const AT_REST: Micros = 20 * SECOND;
/// Whoever has been there for so long is heard, and has to be heard from then on, µs.
const SETTLED: Micros = 8 * SECOND;

impl World<'_> {
    /// Looks at what is decided just now.
    pub(super) fn watch_moves(&mut self) {
        let topology = self.sfu.topology(&Self::room());
        let Some(topology) = topology.filter(|topology| topology.keys().next().is_some()) else {
            // A call that nobody is in any more is forgotten.
            (self.oracle.last, self.oracle.forced) = (None, None);
            return;
        };
        let view = topology.view(self.instant());
        self.oracle.watch(self.plan, self.now, topology, view);
        if self.is_calm && self.now + AT_REST > self.plan.ends_at && view.moving_to.is_some() {
            self.oracle.give_up(self.now, "the call still moves, though all has been calm for long");
        }
    }

    /// Whether somebody hears somebody else, by the way by which they listen.
    fn is_heard(&self, who: usize, of: ParticipantId) -> bool {
        self.people[who].client.as_ref().is_some_and(|client| self.comes(who, of, client.on))
    }

    /// Looks at what somebody knows and hears just now: nobody is left in a move, and where nothing goes wrong, nobody stops
    /// hearing those whom they have heard.
    pub(super) fn watch_client(&mut self, who: usize) {
        let Some(client) = &self.people[who].client else { return };
        let is_connected = self.people[who].connection.is_some();
        let reset = self.plan.mesh.reset.as_micros() as Micros;
        let most = reset + 2 * self.people[who].plan.signalling + SLACK;
        if let Some((number, since)) = client.moving_since
            && is_connected
            && self.now > since + most
        {
            return self.oracle.give_up(self.now, &format!("{} is left in move {number}", name(who)));
        }
        if self.plan.is_kind && self.now >= self.oracle.goes_back_until {
            self.watch_hearing(who);
        }
    }

    fn watch_hearing(&mut self, who: usize) {
        let Some(client) = self.settled(who) else { return };
        let before = self.oracle.hearing.get(&who);
        let is_settled =
            |id: &ParticipantId| self.who_is(*id).is_some_and(|other| self.settled(other).is_some());
        let heard = |id: &&ParticipantId| is_settled(id) && self.is_heard(who, **id);
        let now_heard: BTreeSet<ParticipantId> = client.others.keys().filter(heard).copied().collect();
        let lost = before.into_iter().flatten().find(|id| is_settled(id) && !now_heard.contains(*id));
        let lost = lost.and_then(|id| self.who_is(*id));
        let complaint =
            lost.map(|lost| format!("{} hears {} no more, by {:?}", name(who), name(lost), client.on));
        self.oracle.hearing.insert(who, now_heard);
        if let Some(complaint) = complaint {
            self.oracle.complain(self.now, complaint);
        }
    }

    /// Returns somebody's client, if they have been there for long and do not leave.
    fn settled(&self, who: usize) -> Option<&Client> {
        let client = self.people[who].client.as_ref()?;
        (!client.leaves && client.own.is_some() && self.now >= client.since + SETTLED).then_some(client)
    }

    /// Looks, when all has been calm for long, that everybody is where they should be, and hears everybody.
    pub(super) fn judge(&mut self) {
        if self.oracle.is_hopeless() {
            return;
        }
        let Some(room) = self.sfu.room_snapshot(self.instant(), &Self::room()) else { return };
        let Some(view) = room.topology.view else {
            return self.oracle.complain(self.now, "nothing is decided in a room that may go straight");
        };
        let mut wrong = Vec::new();
        for member in &room.participants {
            if member.mode != ClientMode::from(view.mode) || member.reconnecting {
                wrong.push(format!(
                    "{} is taken for {:?} in a call by {:?}",
                    member.profile.name, member.mode, view.mode
                ));
            }
        }
        wrong.extend(self.wrong_way(&room, view.mode));
        let mut heard = 0;
        for who in 0..self.people.len() {
            if let Some(client) = self.people[who].client.as_ref() {
                self.judge_client(who, client, view, &room, &mut wrong);
                heard += self.judge_hearing(who, client, &room, &mut wrong);
            }
        }
        self.oracle.heard = heard;
        for complaint in wrong {
            self.oracle.complain(self.now, complaint);
        }
    }

    fn judge_client(
        &self,
        who: usize,
        client: &Client,
        view: View,
        room: &RoomSnapshot,
        wrong: &mut Vec<String>,
    ) {
        let told = client.view.map(|view| (view.mode, view.moving_to, view.migration, view.warm));
        let expected = (view.mode, None, view.migration, view.warm);
        if self.people[who].plan.can_mesh && told != Some(expected) {
            wrong.push(format!("{} was told {told:?}, and the call is at {expected:?}", name(who)));
        }
        let MeshSettings { warm, strategy, .. } = self.plan.mesh;
        let is_warm = view.mode == Mode::P2p
            && (room.participants.len() >= warm || strategy == Strategy::Opportunistic);
        if view.warm != is_warm {
            wrong.push(format!("{} people, warm {}", room.participants.len(), view.warm));
        }
        if client.on != view.mode && self.people[who].plan.can_mesh {
            wrong.push(format!("{} is on {:?} in a call by {:?}", name(who), client.on, view.mode));
        }
        let is_warm = client.server == Server::Up;
        if view.mode == Mode::P2p && !view.warm && is_warm {
            wrong.push(format!("{} keeps a way to the server that is not needed", name(who)));
        }
        if view.mode == Mode::Sfu && client.is_straight {
            wrong.push(format!("{} keeps straight paths that are not needed", name(who)));
        }
    }

    /// Checks that somebody hears all others. Returns how many they hear.
    fn judge_hearing(
        &self,
        who: usize,
        client: &Client,
        room: &RoomSnapshot,
        wrong: &mut Vec<String>,
    ) -> u32 {
        let own = client.own.as_ref().map(|(id, _)| *id);
        let Some(member) = room.participants.iter().find(|member| Some(member.participant) == own) else {
            wrong.push(format!("{} is not in the room", name(who)));
            return 0;
        };
        let mut heard = 0;
        for other in room.participants.iter().filter(|other| other.participant != member.participant) {
            if self.is_heard(who, other.participant) {
                heard += 1;
            } else if member.grants.subscribe {
                wrong.push(format!("{} does not hear {} by {:?}", name(who), other.profile.name, client.on));
            }
        }
        heard
    }

    /// Says if the call does not go the way that its size, and those in it, ask for.
    fn wrong_way(&self, room: &RoomSnapshot, mode: Mode) -> Option<String> {
        let count = room.participants.len();
        let who = |id: ParticipantId| self.who_is(id);
        let needs_server = room.participants.iter().any(|member| {
            let can_mesh = who(member.participant).is_some_and(|who| self.people[who].plan.can_mesh);
            !can_mesh || !member.grants.subscribe
        });
        let ids: Vec<usize> = room.participants.iter().filter_map(|member| who(member.participant)).collect();
        let is_cut = ids.iter().any(|one| ids.iter().any(|other| !self.plan.has_path(*one, *other)));
        // Without a reset, what somebody has claimed or forced holds on.
        let is_claimed = room.topology.unreachable > 0;
        if self.plan.is_kind && is_claimed {
            return Some("two are taken not to reach each other who do".to_owned());
        }
        let wanted = match () {
            () if needs_server => Mode::Sfu,
            () if is_claimed => Mode::Sfu,
            () if self.oracle.forced == Some(Mode::Sfu) => Mode::Sfu,
            // Whether there is a path is only tried by those who go straight.
            () if is_cut && mode == Mode::P2p => Mode::Sfu,
            () if self.oracle.forced.is_some() => Mode::P2p,
            () if count >= self.plan.mesh.up.max(self.up_by_load()) => Mode::Sfu,
            () if is_small(&self.plan.mesh, count) => Mode::P2p,
            () => return None,
        };
        let why = format!("others {needs_server}, cut {is_cut}, claimed {is_claimed}");
        (wanted != mode).then(|| format!("{count} people by {mode:?}: {why}"))
    }

    fn up_by_load(&self) -> usize {
        if self.plan.mesh.sizing == Sizing::Load { self.plan.mesh.load_max + 1 } else { 0 }
    }
}

//! What must hold in every world of moves at every moment: how moves begin, how long they last, and how they end.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::MovesPlan;
use crate::core::ids::{ParticipantId, ParticipantKey};
use crate::core::topology::{MeshSettings, Mode, Reason, Strategy, Topology, View};
use crate::sim::network::{Micros, SECOND, seconds};

/// How much later than it should something may happen, µs: deadlines can wait for others.
pub(super) const SLACK: Micros = SECOND;
/// After a move that was given up, so long passes until all are back, µs.
const GOES_BACK: Micros = 3 * SECOND;

/// What is known of the last move, to judge the next one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    view: View,
    since: Micros,
    /// When the last move ended.
    ended_at: Option<Micros>,
}

/// What is looked at, and what was wrong.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    pub(super) complaints: Vec<String>,
    /// Moves that began, and those that succeeded.
    pub(super) moves: u32,
    pub(super) succeeded: u32,
    /// Pairs of whom one heard the other in the end.
    pub(super) heard: u32,
    pub(super) last: Option<Last>,
    pub(super) forced: Option<Mode>,
    /// Whom people have heard, where nothing goes wrong.
    pub(super) hearing: BTreeMap<usize, BTreeSet<ParticipantId>>,
    /// Until when some go back from a move that was given up.
    pub(super) goes_back_until: Micros,
    /// An operator has just decided, so that nobody waits for a cooldown.
    is_decided: bool,
}

impl Oracle {
    pub(super) fn complain(&mut self, now: Micros, what: impl AsRef<str>) {
        self.complaints.push(format!("{}: {}", seconds(now), what.as_ref()));
    }

    /// Notes that there is no use in going on.
    pub(super) fn give_up(&mut self, now: Micros, what: &str) {
        self.complain(now, what);
        self.complaints.resize(self.complaints.len().max(8), "given up".to_owned());
    }

    /// Returns whether there is no use in going on: one fault leads to many.
    pub(super) fn is_hopeless(&self) -> bool {
        self.complaints.len() >= 8
    }

    pub(super) fn note_reset(&mut self, forced: Option<Mode>) {
        (self.forced, self.is_decided) = (forced, true);
    }

    pub(super) fn note_policy(&mut self) {
        self.is_decided = true;
    }

    pub(super) fn watch(
        &mut self,
        plan: &MovesPlan,
        now: Micros,
        topology: &Topology<ParticipantKey>,
        view: View,
    ) {
        let before = self.last.replace(Last { view, since: now, ended_at: None });
        let is_decided = std::mem::take(&mut self.is_decided);
        let Some(before) = before else { return };
        let ended = before
            .view
            .moving_to
            .filter(|_| view.migration != before.view.migration || view.moving_to.is_none());
        let ended_at = if ended.is_some() { Some(now) } else { before.ended_at };
        let is_same = view.migration == before.view.migration && view.moving_to == before.view.moving_to;
        self.last = Some(Last { view, since: if is_same { before.since } else { now }, ended_at });
        if let Some(to) = ended {
            if view.mode == to {
                self.succeeded += 1;
            } else {
                self.hearing.clear();
                self.goes_back_until = now + GOES_BACK;
            }
        }
        let MeshSettings { reset, cooldown, .. } = plan.mesh;
        let Some(to) = view.moving_to else { return };
        if is_same {
            let lasts = now - before.since;
            if lasts > reset.as_micros() as Micros + SLACK {
                let number = view.migration;
                self.give_up(now, &format!("move {number} has run for {}", seconds(lasts)));
            }
            return;
        }
        self.moves += 1;
        if matches!(view.reason, Reason::Size | Reason::Load) {
            let rested = before.ended_at.filter(|_| ended.is_none()).map(|at| now - at);
            if !is_decided && rested.is_some_and(|rested| rested < cooldown.as_micros() as Micros) {
                self.complain(now, format!("a move begins {rested:?} µs after the last one"));
            }
            self.check_threshold(plan, now, topology.count(), to);
        }
    }

    /// Checks that a move for the size of the call begins where it should.
    fn check_threshold(&mut self, plan: &MovesPlan, now: Micros, count: usize, to: Mode) {
        let is_right = match to {
            Mode::Sfu => count >= plan.mesh.up,
            Mode::P2p => is_small(&plan.mesh, count),
        };
        if !is_right {
            let MeshSettings { up, down, .. } = plan.mesh;
            self.complain(now, format!("{count} people move by {to:?}, where {up} and {down} are set"));
        }
    }
}

pub(super) fn is_small(mesh: &MeshSettings, count: usize) -> bool {
    if mesh.strategy == Strategy::Opportunistic { count < mesh.down } else { count <= mesh.down }
}

//! A client in a world of moves: which ways it has open, by which one it hears, and what it says, as the SDK's
//! `mode-controller.js` does it. It knows of the others only what it was told; whether something comes by a way, the world
//! tells it.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::Manner;
use crate::core::event::{Event, Joined, ParticipantInfo};
use crate::core::ids::ParticipantId;
use crate::core::mesh::{MeshCommand, MeshSignal, MeshTrack};
use crate::core::source::Source;
use crate::core::topology::{Mode, Strategy, View};
use crate::sim::network::{Micros, SECOND};

/// For how long everybody must have come by the new way before it is gone over to, µs.
const GOOD_FOR: Micros = 400_000;
/// How long an old way stays after a move to the server, and to the mesh, µs.
const CLOSES_AFTER: (Micros, Micros) = (5 * SECOND, 3 * SECOND);
/// How often it is tried again to reach somebody, µs.
const OFFERS_EVERY: Micros = SECOND;
/// Whoever came later waits for so long for the other's offer, and then makes one, µs.
const OFFERS_AFTER: Micros = 2 * SECOND;
/// How often it is said that somebody cannot be reached, µs.
const SAYS_AGAIN: Micros = 12 * SECOND;
/// How soon a client knows that it cannot move, µs.
const UNABLE_AFTER: Micros = 300_000;

/// The way to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Closed,
    /// It is there at that time.
    Opening(Micros),
    Up,
}

/// Somebody else, as they are known.
#[derive(Debug)]
pub(super) struct Other {
    is_away: bool,
    /// What they send straight, as they have listed it.
    pub(super) tracks: Vec<MeshTrack>,
    /// Whether they were there before.
    is_older: bool,
    /// Since when a path to them is looked for, when they were last offered one, and when it is said that there is none.
    seeks: Option<(Micros, Micros, Micros)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Building,
    Moved,
    Failed,
}

/// A move that it was asked to make.
#[derive(Debug, Clone, Copy)]
struct Move {
    to: Mode,
    number: u32,
    since: Micros,
    /// When it gives up; `None` after a hard cut, which cannot be undone.
    deadline: Option<Micros>,
    good_since: Option<Micros>,
    phase: Phase,
    /// Whether it has said that it has moved, or has been lost saying so.
    is_told: bool,
}

/// Whoever asks may be told by the world.
#[derive(Debug, Clone, Copy)]
pub(super) struct Senses<'a> {
    pub(super) now: Micros,
    /// Whether everybody who is there comes by the way that leads to the move's end.
    pub(super) is_good: bool,
    /// To whom there is a straight path that works.
    pub(super) linked: &'a BTreeSet<ParticipantId>,
    /// Whether people have stopped doing things.
    pub(super) is_calm: bool,
}

/// One life of somebody's client.
#[derive(Debug)]
pub(super) struct Client {
    manner: Manner,
    opens: Micros,
    /// When they came, as they know it.
    pub(super) since: Micros,
    /// Their id and secret, once they are in.
    pub(super) own: Option<(ParticipantId, String)>,
    /// What they were told last of where the call goes.
    pub(super) view: Option<View>,
    pub(super) others: BTreeMap<ParticipantId, Other>,
    /// The way by which they hear.
    pub(super) on: Mode,
    pub(super) server: Server,
    /// Until when there is no way to the server.
    pub(super) blocked_until: Micros,
    /// Whether they seek paths to the others, and keep them.
    pub(super) is_straight: bool,
    /// A way that is not needed any more, and when it ends.
    closing: Option<(Mode, Micros)>,
    moving: Option<Move>,
    /// How often they were asked for the move of that number.
    asked: (u32, u32),
    /// Whether they have said that they leave.
    pub(super) leaves: bool,
    /// When they were told first of a move that still runs.
    pub(super) moving_since: Option<(u32, Micros)>,
    pub(super) says: Vec<MeshCommand>,
}

impl Client {
    pub(super) fn new(now: Micros, manner: Manner, opens: Micros) -> Self {
        Self {
            manner,
            opens,
            since: now,
            own: None,
            view: None,
            others: BTreeMap::new(),
            on: Mode::Sfu,
            server: Server::Closed,
            blocked_until: 0,
            is_straight: false,
            closing: None,
            moving: None,
            asked: (0, 0),
            leaves: false,
            moving_since: None,
            says: Vec::new(),
        }
    }

    /// Whether what they send goes to the server.
    pub(super) fn sends_to_server(&self) -> bool {
        let closes = self.closing.is_some_and(|(mode, _)| mode == Mode::Sfu);
        // Until all have moved, both ways are used.
        let moves = self.moving.is_some_and(|moving| moving.phase != Phase::Failed);
        self.server == Server::Up && (self.on == Mode::Sfu || moves || closes)
    }

    /// Where a move leads that they make; `None` if they make none.
    pub(super) fn builds(&self) -> Option<Mode> {
        self.moving.filter(|moving| moving.phase == Phase::Building).map(|moving| moving.to)
    }

    /// Those who are there and can be told things, as they know it.
    pub(super) fn present(&self) -> impl Iterator<Item = ParticipantId> + '_ {
        self.others.iter().filter(|(_, other)| !other.is_away).map(|(id, _)| *id)
    }

    /// Takes the answer to their join.
    pub(super) fn joined(&mut self, now: Micros, joined: &Joined) {
        self.own = Some((joined.participant, joined.secret.clone()));
        self.others = joined.participants.iter().map(|info| Other::of(info, true)).collect();
        self.view = joined.topology;
        self.since = now;
        let Some(view) = joined.topology else {
            self.on = Mode::Sfu;
            return self.open(now, Mode::Sfu);
        };
        self.on = view.mode;
        self.open(now, view.mode);
        match view.moving_to {
            Some(to) => self.asked(now, view, to, true),
            None => self.keep_warm(now),
        }
    }

    /// Takes the answer to their coming back: what they have missed.
    pub(super) fn resumed(&mut self, now: Micros, joined: &Joined, is_calm: bool) {
        let known = std::mem::take(&mut self.others);
        self.others = joined.participants.iter().map(|info| Other::of(info, true)).collect();
        for (id, other) in &mut self.others {
            if let Some(before) = known.get(id) {
                (other.is_older, other.seeks) = (before.is_older, before.seeks);
            }
        }
        if self.is_straight {
            self.list_tracks();
        }
        if let Some(view) = joined.topology {
            self.news(now, view, is_calm);
        }
    }

    /// Takes what they are told of the others.
    pub(super) fn on_others(&mut self, event: &Event) {
        match event {
            Event::ParticipantJoined(info) => {
                let (id, other) = Other::of(info, false);
                self.others.insert(id, other);
            }
            Event::ParticipantLeft(id, _) => {
                self.others.remove(id);
            }
            Event::ParticipantReconnecting(id) | Event::ParticipantResumed(id) => {
                if let Some(other) = self.others.get_mut(id) {
                    other.is_away = matches!(event, Event::ParticipantReconnecting(_));
                }
            }
            Event::MeshTracks(id, tracks) => {
                if let Some(other) = self.others.get_mut(id) {
                    other.tracks.clone_from(tracks);
                }
            }
            _ => {}
        }
    }

    /// Takes what they are told of where the call goes.
    pub(super) fn news(&mut self, now: Micros, view: View, is_calm: bool) {
        self.view = Some(view);
        let Some(to) = view.moving_to else {
            self.moving_since = None;
            return self.finish(now, view);
        };
        if self.moving_since.is_none_or(|(number, _)| number != view.migration) {
            self.moving_since = Some((view.migration, now));
        }
        self.asked(now, view, to, is_calm);
    }

    fn asked(&mut self, now: Micros, view: View, to: Mode, is_calm: bool) {
        let before = if self.asked.0 == view.migration { self.asked.1 } else { 0 };
        self.asked = (view.migration, before + 1);
        let ignores = match self.manner {
            Manner::Silent => !is_calm,
            Manner::Deaf => !is_calm && before == 0,
            Manner::Prompt | Manner::Forgetful | Manner::Unable => false,
        };
        match self.moving {
            _ if ignores => {}
            Some(moving) if moving.number == view.migration && moving.to == to => self.repeat(),
            _ => self.start(now, view, to),
        }
    }

    fn start(&mut self, now: Micros, view: View, to: Mode) {
        let is_hard = view.strategy == Strategy::Hard;
        let left = view.left.map_or(0, |left| left.as_micros() as Micros);
        let moving = Move {
            to,
            number: view.migration,
            since: now,
            deadline: (!is_hard).then_some(now + left),
            good_since: None,
            phase: Phase::Building,
            is_told: false,
        };
        self.moving = Some(moving);
        // What is left of the last move has nothing to do with this one.
        if self.closing.is_some_and(|(mode, _)| mode == to) {
            self.close(to);
        }
        if is_hard {
            self.close(other_than(to));
            self.on = to;
        }
        self.open(now, to);
    }

    /// The move is over, or none was wanted after all.
    fn finish(&mut self, now: Micros, view: View) {
        let mode = view.mode;
        let was = self.moving.take();
        let is_open = |own: &Self, mode| match mode {
            Mode::P2p => own.is_straight,
            Mode::Sfu => own.server != Server::Closed,
        };
        if was.is_some_and(|was| was.to != mode) && is_open(self, mode) {
            self.stay(mode);
            return self.keep_warm(now);
        }
        if self.closing.is_some_and(|(closing, _)| closing == mode) {
            self.close(mode);
        }
        self.open(now, mode);
        self.on = mode;
        let other = other_than(mode);
        let stays = other == Mode::Sfu && self.wants_warm();
        if is_open(self, other) && !stays && self.closing.is_none() {
            let (after_sfu, after_p2p) = CLOSES_AFTER;
            self.closing = Some((other, now + if mode == Mode::Sfu { after_sfu } else { after_p2p }));
        }
        self.keep_warm(now);
    }

    /// Stays with the old way, or goes back to it.
    fn stay(&mut self, mode: Mode) {
        self.on = mode;
        let other = other_than(mode);
        if other == Mode::P2p || !self.wants_warm() {
            self.close(other);
        }
    }

    fn wants_warm(&self) -> bool {
        self.view.is_some_and(|view| {
            view.mode == Mode::P2p && (view.warm || view.strategy == Strategy::Opportunistic)
        })
    }

    fn keep_warm(&mut self, now: Micros) {
        if self.wants_warm() && self.server == Server::Closed {
            self.open(now, Mode::Sfu);
        }
    }

    fn open(&mut self, now: Micros, mode: Mode) {
        if self.closing.is_some_and(|(closing, _)| closing == mode) {
            self.closing = None;
        }
        match mode {
            Mode::Sfu if self.server == Server::Closed => {
                self.server = Server::Opening(now.max(self.blocked_until) + self.opens);
            }
            Mode::P2p if !self.is_straight => {
                self.is_straight = true;
                self.list_tracks();
            }
            _ => {}
        }
    }

    fn close(&mut self, mode: Mode) {
        if self.closing.is_some_and(|(closing, _)| closing == mode) {
            self.closing = None;
        }
        match mode {
            Mode::Sfu => self.server = Server::Closed,
            Mode::P2p => {
                self.is_straight = false;
                self.others.values_mut().for_each(|other| other.seeks = None);
            }
        }
    }

    /// The way to the server is lost, and comes again by itself.
    pub(super) fn lose_server(&mut self, now: Micros, long: Micros) {
        self.blocked_until = now + long;
        if self.server != Server::Closed {
            self.server = Server::Opening(self.blocked_until + self.opens);
        }
    }

    /// Everything works from now on.
    pub(super) fn heals(&mut self, now: Micros) {
        self.blocked_until = 0;
        if let Server::Opening(at) = &mut self.server {
            *at = (*at).min(now + self.opens);
        }
    }

    fn list_tracks(&mut self) {
        let id = "microphone".into();
        let track = MeshTrack { id, source: Source::Microphone, muted: false };
        self.says.push(MeshCommand::Tracks(vec![track]));
    }

    /// Tells the server that it has moved, also when it is asked again.
    fn repeat(&mut self) {
        let Some(moving) = self.moving.as_mut().filter(|moving| moving.phase == Phase::Moved) else { return };
        let is_lost = self.manner == Manner::Forgetful && !moving.is_told;
        moving.is_told = true;
        if !is_lost {
            self.says.push(MeshCommand::Migrated(moving.number));
        }
    }

    fn fail(&mut self) {
        let Some(moving) = self.moving.as_mut().filter(|moving| moving.phase != Phase::Failed) else {
            return;
        };
        moving.phase = Phase::Failed;
        let (to, migration) = (moving.to, moving.number);
        self.says.push(MeshCommand::MigrationFailed { migration, reason: String::new() });
        let old_is_open = match to {
            Mode::P2p => self.server != Server::Closed,
            Mode::Sfu => self.is_straight,
        };
        if old_is_open {
            self.stay(other_than(to));
        }
    }

    /// Looks what is due. It is called every few hundred milliseconds.
    pub(super) fn look(&mut self, senses: Senses<'_>) {
        let now = senses.now;
        if let Server::Opening(at) = self.server
            && at <= now
        {
            self.server = Server::Up;
        }
        if let Some((mode, at)) = self.closing
            && at <= now
        {
            self.close(mode);
        }
        self.look_at_move(senses);
        if self.is_straight {
            self.seek_paths(senses);
        }
    }

    fn look_at_move(&mut self, Senses { now, is_good, is_calm, .. }: Senses<'_>) {
        let is_unable = self.manner == Manner::Unable && !is_calm;
        let Some(moving) = self.moving.as_mut().filter(|moving| moving.phase == Phase::Building) else {
            return;
        };
        if moving.deadline.is_some_and(|at| at <= now) || (is_unable && now >= moving.since + UNABLE_AFTER) {
            return self.fail();
        }
        if !is_good {
            moving.good_since = None;
            return;
        }
        let since = *moving.good_since.get_or_insert(now);
        if now >= since + GOOD_FOR {
            moving.phase = Phase::Moved;
            self.on = moving.to;
            self.repeat();
        }
    }

    fn seek_paths(&mut self, Senses { now, linked, .. }: Senses<'_>) {
        let connect = self.view.map_or(5 * SECOND, |view| view.connect.as_micros() as Micros);
        for (id, other) in &mut self.others {
            if other.is_away || linked.contains(id) {
                other.seeks = None;
                continue;
            }
            let first = now.saturating_sub(OFFERS_EVERY);
            let (since, offered, told_at) = other.seeks.get_or_insert((now, first, now + connect));
            // Whoever was there before makes the first offer.
            let may = !other.is_older || now >= *since + OFFERS_AFTER;
            if may && now >= *offered + OFFERS_EVERY {
                *offered = now;
                let signal = MeshSignal::Description("offer".into());
                self.says.push(MeshCommand::Signal { to: *id, signal });
            }
            // ICE tries again and again, and so is said again and again that it was in vain.
            if now >= *told_at {
                *told_at = now + SAYS_AGAIN;
                self.says.push(MeshCommand::Failed { with: *id, reason: String::new() });
            }
        }
    }
}

impl Other {
    fn of(info: &ParticipantInfo, is_older: bool) -> (ParticipantId, Self) {
        let (is_away, tracks) = (info.reconnecting, info.mesh_tracks.clone());
        (info.participant, Self { is_away, tracks, is_older, seeks: None })
    }
}

pub(super) fn other_than(mode: Mode) -> Mode {
    match mode {
        Mode::P2p => Mode::Sfu,
        Mode::Sfu => Mode::P2p,
    }
}

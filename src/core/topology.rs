//! Topology: whether the media of a call goes straight from one member to the other (a mesh, which costs the server nothing)
//! or through the server (SFU), and the moves between the two.
//!
//! This is the decision alone: a function of who is there, of what they can and of what they report. It has no sockets and no
//! events; whoever owns it tells it what has happened, carries out its [`News`], and calls it again at its
//! [`deadline`](Topology::deadline). Members are known by any key `K`, because a room counts its participants and a front end
//! that has channels of its own counts the users of these.
//!
//! A move is numbered. Everybody who was on the old path is asked to move, and asked again until they say that they have; the
//! move is over when all have said so. With the strategies that make the new path before they break the old one, a move that
//! somebody cannot follow in time is undone for all, because nobody has lost anything by it. A hard move goes on without them.

mod rules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

pub use rules::{ClientMode, MeshPolicy, MeshSettings, Mode, Outcome, Reason, Sizing, Strategy, View};

use super::mutation::mutated;
use super::timers::earliest;

/// How often the time until another try doubles when a move fails again and again.
const DOUBLINGS_MAX: u32 = 6;
/// What that time is at least before it doubles: where no rest is set after a move, one that fails is not tried without a rest.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// What two need beside the time in which they look for a path to each other: to hear that they are to, and to say that there
/// is none.
const WORDS_TAKE: Duration = Duration::from_secs(2);

/// What somebody is who comes into a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Whether their client can send straight to the others, and move.
    pub can_mesh: bool,
    /// Whether they need the server all the same: what they may receive is checked there, or nobody may connect to them.
    pub needs_server: bool,
    /// Whether they count as somebody who is there.
    pub counts: bool,
}

/// Somebody in the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Member {
    arrival: Arrival,
    /// Whether they can be told anything just now.
    is_connected: bool,
    /// Whether they are coming in at this very moment, so that there is no old path that they would have to leave.
    is_new: bool,
    /// When to ask them again to move; `None` if they have, or need not.
    ask_again: Option<Instant>,
    /// Whether their processor or uplink has more to do than it should.
    is_loaded: bool,
}

/// A move that has begun and is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Migration {
    to: Mode,
    reason: Reason,
    since: Instant,
    /// When all should have moved.
    until: Instant,
}

/// What whoever owns a topology has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News<K> {
    /// Tell this to everybody who can mesh; with a key, to that member alone.
    Tell(Option<K>, View),
    /// A move has begun: count it.
    Started(Mode, Reason),
    /// A move is over after that time: count it, and write it down.
    Ended(Mode, Outcome, Reason, Duration),
    /// A move to there was over, and did not last: count it as one that has failed, and write it down.
    SentBack(Mode, Reason),
}

/// Where the media of one call goes.
#[derive(Debug)]
pub struct Topology<K> {
    settings: MeshSettings,
    policy: MeshPolicy,
    mode: Mode,
    /// The number of the last move.
    number: u32,
    running: Option<Migration>,
    /// Why the mode is what it is.
    reason: Reason,
    /// Whether those who are there were told last to get the server ready.
    told_warm: bool,
    /// No move for the size of the call, or its load, begins before that.
    not_before: Option<Instant>,
    /// No move at all begins before that, because the last one has failed.
    retry_at: Option<Instant>,
    /// How many moves have failed one after the other.
    failures: u32,
    /// Until when those who were sent back at once, without a move, are asked again.
    asks_until: Option<Instant>,
    /// What an operator has set.
    forced: Option<Mode>,
    /// Pairs of members who cannot reach each other.
    unreachable: BTreeSet<(K, K)>,
    members: BTreeMap<K, Member>,
    news: Vec<News<K>>,
}

impl<K: Copy + Ord> Topology<K> {
    /// Makes that of a call in which nobody is yet.
    pub fn new(settings: MeshSettings, policy: MeshPolicy) -> Self {
        Self {
            settings,
            policy,
            mode: Mode::of_fresh(policy),
            number: 0,
            running: None,
            reason: Reason::Size,
            told_warm: false,
            not_before: None,
            retry_at: None,
            failures: 0,
            asks_until: None,
            forced: None,
            unreachable: BTreeSet::new(),
            members: BTreeMap::new(),
            news: Vec::new(),
        }
    }

    /// Returns where media goes. While a move runs it is the old path, on which everybody still is.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns where a running move leads; `None` if none runs.
    pub fn moving_to(&self) -> Option<Mode> {
        self.running.map(|running| running.to)
    }

    /// Returns why media goes where it goes, or moves.
    pub fn reason(&self) -> Reason {
        self.running.map_or(self.reason, |running| running.reason)
    }

    /// Returns how many people are there.
    pub fn count(&self) -> usize {
        self.members.values().filter(|member| member.arrival.counts).count()
    }

    /// Returns whether media goes straight now, or is about to.
    pub fn is_straight(&self) -> bool {
        self.mode == Mode::P2p || self.moving_to() == Some(Mode::P2p)
    }

    /// Returns whether somebody's client can send straight to the others; `false` for strangers.
    pub fn can_mesh(&self, key: K) -> bool {
        self.members.get(&key).is_some_and(|member| member.arrival.can_mesh)
    }

    /// Returns whether somebody may send straight to the others, and the others to them: what whoever needs the server may
    /// receive is checked there alone.
    pub fn may_mesh(&self, key: K) -> bool {
        self.members.get(&key).is_some_and(|member| member.arrival.can_mesh && !member.arrival.needs_server)
    }

    /// Returns the keys of all members.
    pub fn keys(&self) -> impl Iterator<Item = K> + '_ {
        self.members.keys().copied()
    }

    /// Returns how many pairs of members find no direct path to each other.
    pub fn unreachable(&self) -> usize {
        self.unreachable.len()
    }

    /// Returns where one client is; `None` for strangers.
    pub fn client_mode(&self, key: K) -> Option<ClientMode> {
        let member = self.members.get(&key)?;
        Some(match self.running {
            Some(_) if member.ask_again.is_some() => ClientMode::Migrating,
            Some(running) => running.to.into(),
            None if member.ask_again.is_some() => ClientMode::Migrating,
            None => self.mode.into(),
        })
    }

    /// Returns what a client is told of it.
    pub fn view(&self, now: Instant) -> View {
        View {
            mode: self.mode,
            migration: self.number,
            moving_to: self.moving_to(),
            strategy: self.settings.strategy,
            left: self.running.map(|running| running.until.saturating_duration_since(now)),
            warm: self.is_warm(),
            reason: self.reason(),
            connect: self.settings.connect,
        }
    }

    /// Takes what is to be done and has not been done yet.
    pub fn take_news(&mut self) -> Vec<News<K>> {
        std::mem::take(&mut self.news)
    }

    /// Somebody comes in. They learn of it by [`view`](Self::view) rather than by news. Coming in twice changes nothing.
    pub fn join(&mut self, now: Instant, key: K, arrival: Arrival) {
        if self.members.contains_key(&key) {
            return;
        }
        let mut member =
            Member { arrival, is_connected: true, is_new: true, ask_again: None, is_loaded: false };
        // Whoever comes while all move to the server is let in there at once. On the way back they take part, because
        // the old path is theirs, too, and they get time for it.
        if let Some(running) = &mut self.running
            && running.to == Mode::P2p
            && arrival.can_mesh
        {
            member.ask_again = Some(now + self.settings.resend);
            let reset = running.since + self.settings.reset;
            running.until = running.until.max((now + self.settings.time_for(Mode::P2p)).min(reset));
        }
        self.members.insert(key, member);
        if !arrival.can_mesh || arrival.needs_server {
            self.retry_at = None;
        }
        self.review(now);
        if let Some(member) = self.members.get_mut(&key) {
            member.is_new = false;
        }
    }

    /// Somebody is no longer there. If they were not there, nothing changes.
    pub fn leave(&mut self, now: Instant, key: K) {
        if self.members.remove(&key).is_none() {
            return;
        }
        self.unreachable.retain(|(one, other)| *one != key && *other != key);
        if self.members.is_empty() {
            self.begin_afresh(now);
        }
        self.review(now);
    }

    /// Somebody can be told nothing for now, or can be told something again. While they cannot, nobody waits for them
    /// beyond a move's deadline.
    pub fn set_connected(&mut self, now: Instant, key: K, is_connected: bool) {
        let Some(member) = self.members.get_mut(&key) else { return };
        member.is_connected = is_connected;
        if let Some(at) = &mut member.ask_again {
            *at = now + self.settings.resend;
        }
        self.review(now);
    }

    /// Somebody needs the server from now on, or no longer.
    pub fn set_needs_server(&mut self, now: Instant, key: K, needs_server: bool) {
        let Some(member) = self.members.get_mut(&key) else { return };
        if std::mem::replace(&mut member.arrival.needs_server, needs_server) != needs_server {
            if needs_server {
                self.retry_at = None;
            }
            self.review(now);
        }
    }

    /// Something else is set for the call.
    pub fn set_policy(&mut self, now: Instant, policy: MeshPolicy) {
        if std::mem::replace(&mut self.policy, policy) != policy {
            self.retry_at = None;
            self.review(now);
        }
    }

    /// Somebody has moved, as the migration of that number asked them to. Saying so again does no harm. Returns `false` for
    /// a number that no migration has had.
    pub fn migrated(&mut self, now: Instant, key: K, number: u32) -> bool {
        if number == self.number
            && let Some(member) = self.members.get_mut(&key)
            && !mutated!(MoveNotAcknowledged)
        {
            member.ask_again = None;
            self.review(now);
        }
        number <= self.number
    }

    /// Somebody cannot move. If that migration still runs, it is undone for all; but whoever needs the server has no say in
    /// whether the others go there. Returns `false` for a number that no migration has had.
    pub fn migration_failed(&mut self, now: Instant, key: K, number: u32) -> bool {
        if number == self.number
            && let Some(running) = self.running
            && let Some(member) = self.members.get_mut(&key)
        {
            if running.to == Mode::Sfu && member.arrival.needs_server {
                member.ask_again = None;
            } else {
                self.fail(now, Reason::ClientFailed);
            }
            self.review(now);
        }
        number <= self.number
    }

    /// Two members find no direct path to each other. While both are there, media goes through the server.
    pub fn mesh_failed(&mut self, now: Instant, one: K, other: K) {
        let both = one != other && self.can_mesh(one) && self.can_mesh(other);
        // Of a move to the mesh that has just failed it may be the reason, and it need not be tried again.
        let is_news = self.is_straight() || self.failures > 0;
        if both && is_news && self.unreachable.insert((one.min(other), one.max(other))) {
            self.retry_at = None;
            self.review(now);
        }
    }

    /// Somebody's processor or uplink has so much to do, in percent.
    pub fn note_load(&mut self, now: Instant, key: K, percent: u8) {
        let most = self.settings.load_percent;
        if let Some(member) = self.members.get_mut(&key) {
            member.is_loaded = percent > most;
            self.review(now);
        }
    }

    /// The server does not work for somebody: all go straight at once, and are asked again until they say that they do. A
    /// move to the server is tried again later. It is for front ends whose clients have no other way to tell. Where calls may
    /// not go straight, or not all of these could, nothing changes.
    pub fn server_failed(&mut self, now: Instant) {
        let is_on_server = self.mode == Mode::Sfu || self.moving_to() == Some(Mode::Sfu);
        let is_forced = self.policy == MeshPolicy::Off || self.forced == Some(Mode::Sfu);
        let can_all =
            !self.is_server_needed() && self.unreachable.is_empty() && self.count() <= self.settings.max;
        if !is_on_server || is_forced || !can_all {
            return;
        }
        if self.running.is_none() {
            self.news.push(News::SentBack(Mode::Sfu, Reason::ServerFailed));
        }
        self.mode = Mode::P2p;
        // Of a number of their own, so that it is no answer that somebody has moved to the server.
        self.number = self.number.saturating_add(1);
        self.fail(now, Reason::ServerFailed);
        for member in self.members.values_mut() {
            member.ask_again = member.arrival.can_mesh.then(|| now + self.settings.resend);
        }
        self.asks_until = Some(now + self.settings.reset);
        self.review(now);
    }

    /// Forgets a running move, failures and who could not reach whom, and begins to decide anew. With a mode, media goes that
    /// way from now on whatever the size of the call; `None` leaves it to the size again.
    pub fn reset(&mut self, now: Instant, forced: Option<Mode>) {
        if self.running.is_some() {
            self.end(now, Outcome::Cancelled, Reason::Reset);
        }
        self.stop_asking();
        (self.not_before, self.retry_at, self.failures, self.forced) = (None, None, 0, forced);
        self.unreachable.clear();
        self.reason = Reason::Reset;
        self.tell_all(now);
        self.review(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.review(now);
        let due = |member: &Member| member.is_connected && member.ask_again.is_some_and(|at| at <= now);
        let keys: Vec<K> =
            self.members.iter().filter(|(_, member)| due(member)).map(|(key, _)| *key).collect();
        let view = self.view(now);
        for key in keys {
            if let Some(member) = self.members.get_mut(&key) {
                member.ask_again = Some(now + self.settings.resend);
            }
            if !mutated!(MoveNotAskedAgain) {
                self.news.push(News::Tell(Some(key), view));
            }
        }
    }

    /// The last `time` does not count against a move that runs: the server could hear nobody in it.
    pub fn forgive(&mut self, now: Instant, time: Duration) {
        if let Some(running) = &mut self.running {
            running.since = now.min(running.since + time);
            running.until += time;
        }
    }

    /// Returns when it wants to be called again; `None` if it waits for nothing.
    pub fn deadline(&self) -> Option<Instant> {
        let connected = self.members.values().filter(|member| member.is_connected);
        let ask_again = connected.filter_map(|member| member.ask_again).min();
        let Some(running) = self.running else {
            let (wanted, reason) = self.wanted();
            let moves = (wanted != self.mode).then(|| self.may_move_at(reason)).flatten();
            return earliest(moves, earliest(ask_again, self.asks_until));
        };
        earliest(Some(self.ends(running)), ask_again)
    }

    /// Returns when a running move is over, whoever has not moved.
    fn ends(&self, running: Migration) -> Instant {
        let reset = running.since + self.settings.reset;
        if mutated!(MoveNeverEnds) {
            return reset + Duration::from_secs(3600);
        }
        // Of a hard move there is no old path left to go back to, so that it gets all the time that there is.
        if self.settings.strategy == Strategy::Hard && self.is_awaited() {
            reset
        } else {
            running.until.min(reset)
        }
    }

    /// Returns whether somebody has not moved who could. Whoever needs the server cannot keep the others from it.
    fn is_awaited(&self) -> bool {
        let to_server = self.moving_to() == Some(Mode::Sfu);
        let counts = |member: &Member| !(to_server && member.arrival.needs_server);
        self.members
            .values()
            .any(|member| member.is_connected && member.ask_again.is_some() && counts(member))
    }

    /// Returns whether somebody is there who can be reached through the server alone.
    fn is_server_needed(&self) -> bool {
        self.members.values().any(|member| !member.arrival.can_mesh || member.arrival.needs_server)
    }

    /// Returns when a move for that reason may begin; `None` for at once.
    fn may_move_at(&self, reason: Reason) -> Option<Instant> {
        let not_before = self.not_before.filter(|_| !reason.is_urgent() && !mutated!(CooldownIgnored));
        match (not_before, self.retry_at) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        }
    }

    /// Returns where media should go, and why.
    fn wanted(&self) -> (Mode, Reason) {
        // While a move runs, the size must have changed as much as for the way back, or the call would go to and fro.
        let base = self.moving_to().unwrap_or(self.mode);
        if self.policy == MeshPolicy::Off {
            return (Mode::Sfu, Reason::Forced);
        }
        if self.is_server_needed() && !mutated!(CapabilityIgnored) {
            return (Mode::Sfu, Reason::Capability);
        }
        // Nobody can be forced to hear by a path that is not there.
        if !self.unreachable.is_empty() {
            return (Mode::Sfu, Reason::MeshFailed);
        }
        // What sets more people on straight paths than these carry does not count until some have left.
        let fits = self.count() <= self.settings.max;
        if let Some(forced) = self.forced.filter(|forced| *forced == Mode::Sfu || fits) {
            return (forced, Reason::Forced);
        }
        if self.policy == MeshPolicy::Always && fits {
            return (Mode::P2p, Reason::Forced);
        }
        let is_loaded = self.members.values().any(|member| member.is_loaded);
        self.settings.by_size(base, self.count(), is_loaded)
    }

    /// Looks whether a move is over, whether one is to begin, and whether the server is to be got ready.
    fn review(&mut self, now: Instant) {
        if let Some(running) = self.running {
            self.review_running(now, running);
        }
        if self.asks_until.is_some_and(|until| until <= now) {
            self.stop_asking();
        }
        if self.running.is_none() {
            let (wanted, reason) = self.wanted();
            if wanted != self.mode && self.may_move_at(reason).is_none_or(|at| at <= now) {
                self.start(now, wanted, reason);
            }
        }
        if self.told_warm != self.is_warm() && !mutated!(WarmNotTold) {
            self.told_warm = self.is_warm();
            let view = View { reason: Reason::Warm, ..self.view(now) };
            self.news.push(News::Tell(None, view));
        }
    }

    fn is_warm(&self) -> bool {
        self.settings.is_warm(self.mode, self.count())
    }

    fn review_running(&mut self, now: Instant, running: Migration) {
        let (wanted, reason) = self.wanted();
        let can_go_back = self.settings.strategy != Strategy::Hard || reason.is_urgent();
        if wanted != running.to && can_go_back {
            let is_failure = reason == Reason::MeshFailed;
            self.end(now, if is_failure { Outcome::Failed } else { Outcome::Cancelled }, reason);
            self.reason = reason;
            return self.tell_all(now);
        }
        if self.members.values().all(|member| member.ask_again.is_none()) {
            return self.succeed(now, running);
        }
        if now < self.ends(running) {
            return;
        }
        let is_reset = now >= running.since + self.settings.reset;
        match (self.is_awaited(), self.settings.strategy) {
            // Those who are missing can be told nothing. When they come back, they are told where the call is.
            (false, _) => self.succeed(now, running),
            (true, Strategy::Hard) => {
                self.end(now, Outcome::Failed, Reason::Reset);
                (self.mode, self.reason) = (running.to, Reason::Reset);
                self.tell_all(now);
            }
            (true, _) => self.fail(now, if is_reset { Reason::Reset } else { Reason::Timeout }),
        }
    }

    fn stop_asking(&mut self) {
        self.asks_until = None;
        for member in self.members.values_mut() {
            member.ask_again = None;
        }
    }

    fn start(&mut self, now: Instant, to: Mode, reason: Reason) {
        self.asks_until = None;
        for member in self.members.values_mut() {
            // Whoever is only just coming goes to the server at once.
            let must_move = member.arrival.can_mesh && !(member.is_new && to == Mode::Sfu);
            member.ask_again = must_move.then(|| now + self.settings.resend);
        }
        if self.members.values().all(|member| member.ask_again.is_none()) {
            // Nobody is on the old path.
            (self.mode, self.reason) = (to, reason);
            return;
        }
        self.number = self.number.saturating_add(1);
        self.running = Some(Migration { to, reason, since: now, until: now + self.settings.time_for(to) });
        self.news.push(News::Started(to, reason));
        self.tell_all(now);
    }

    fn succeed(&mut self, now: Instant, running: Migration) {
        self.end(now, Outcome::Succeeded, running.reason);
        (self.mode, self.reason) = (running.to, running.reason);
        (self.failures, self.retry_at) = (0, None);
        self.tell_all(now);
    }

    /// Gives up a running move, if there is one: everybody stays where they were, and another try has to wait.
    fn fail(&mut self, now: Instant, reason: Reason) {
        // Where somebody hears nothing until it is done, it is tried as often as a rest allows.
        let is_urgent = self.running.is_some_and(|running| running.reason.is_urgent());
        if self.running.is_some() {
            self.end(now, Outcome::Failed, reason);
        }
        let doublings = if is_urgent { 0 } else { self.failures.min(DOUBLINGS_MAX) };
        let wait = self.settings.cooldown.max(RETRY_MIN) * (1 << doublings);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now + wait);
        self.reason = reason;
        self.tell_all(now);
    }

    /// Ends a running move, however it ended. Another one has to wait for the cooldown.
    fn end(&mut self, now: Instant, outcome: Outcome, reason: Reason) {
        let Some(running) = self.running.take() else { return };
        self.stop_asking();
        self.not_before = Some(now + self.settings.cooldown);
        let took = now.saturating_duration_since(running.since);
        self.news.push(News::Ended(running.to, outcome, reason, took));
    }

    /// Nobody is there any more: what was is forgotten, but for the number of the last move.
    fn begin_afresh(&mut self, now: Instant) {
        if self.running.is_some() {
            self.end(now, Outcome::Cancelled, Reason::Size);
        }
        *self = Self {
            number: self.number,
            news: std::mem::take(&mut self.news),
            ..Self::new(self.settings, self.policy)
        };
    }

    fn tell_all(&mut self, now: Instant) {
        self.told_warm = self.is_warm();
        let view = self.view(now);
        self.news.push(News::Tell(None, view));
    }
}

//! Meshed: small worlds of people whose calls go straight while they are few. They have signalling and no media, which does
//! not come to the server anyway; so thousands of them cost little.
//!
//! For a while people come and go across the thresholds, lose their connections, crash, answer late or never, cannot move, find
//! no path to each other, and an operator interferes. Then all is calm, and the [`play`]'s oracle looks: everybody is told
//! the same, no move runs, nobody is stuck, and the call goes the way that its size and those in it ask for. At no time may a
//! move last longer than it may.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::network::{Micros, SECOND, name};
use crate::core::command::{Command, Join, Layout, Lifeline, MeshCommand, Moderation, Proof, Resume};
use crate::core::event::{Event, RefusalCode};
use crate::core::grants::Grants;
use crate::core::ids::{ConnectionId, ParticipantId, RoomId};
use crate::core::input::Admission;
use crate::core::mesh::MeshSignal;
use crate::core::path::{LocalCandidate, TransportProtocol};
use crate::core::profile::Profile;
use crate::core::room_options::RoomChange;
use crate::core::stats::RoomSnapshot;
use crate::core::topology::{ClientMode, MeshPolicy, MeshSettings, Mode, Strategy, Topology, View};
use crate::core::{Input, Output, Settings, Sfu};

/// How long people do things.
const STORM: Micros = 60 * SECOND;
/// How long it is calm afterwards: moves that have failed again and again are tried again minutes later.
const CALM: Micros = 200 * SECOND;
/// How much later than it should a move may end: deadlines can wait for others.
const SLACK: Micros = SECOND;

/// How somebody's client answers when it is asked to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// After a while.
    Prompt,
    /// Only when it is asked again: the first answer is lost.
    Deaf,
    /// While others do things, not at all.
    Silent,
    /// While others do things, by saying that it cannot.
    Unable,
}

/// Something that happens.
#[derive(Debug, Clone)]
enum Deed {
    Come(usize),
    Leave(usize),
    Crash(usize),
    Break(usize, Micros),
    ComeBack(usize),
    NoPath(usize, usize),
    Signal(usize, usize),
    Load(usize, u8),
    Force(Option<Mode>),
    Set(MeshPolicy),
    Told(usize, ConnectionId, Box<Event>),
    Answer(usize, ConnectionId, u32),
    Calm,
}

#[derive(Debug)]
struct Person {
    can_mesh: bool,
    manner: Manner,
    delay: Micros,
    connection: Option<ConnectionId>,
    /// Their id and secret, while they are in.
    own: Option<(ParticipantId, String)>,
    /// What they were told last.
    view: Option<View>,
    /// The moves that they were asked for, and how often.
    asked: BTreeMap<u32, u32>,
}

struct World {
    sfu: Sfu,
    settings: MeshSettings,
    policy: MeshPolicy,
    base: Instant,
    now: Micros,
    dice: Dice,
    people: Vec<Person>,
    queue: BTreeMap<(Micros, u64), Deed>,
    made: u64,
    is_calm: bool,
    /// The number of the move that runs, and since when.
    move_since: Option<(u32, Micros)>,
    /// Pairs that have said that they find no path to each other.
    no_path: BTreeSet<(ParticipantId, ParticipantId)>,
    complaints: Vec<String>,
    /// All that people were told, in words.
    log: String,
}

/// Plays the world of that seed. Returns what is wrong in it, and all that people were told, which is the same each time.
pub fn play(seed: u64, base: Instant) -> (Vec<String>, String) {
    let mut world = World::of(seed, base);
    while let Some(((at, _), deed)) = world.next() {
        world.now = at;
        world.carry_out(deed);
        world.drain();
        world.look();
    }
    world.judge();
    (world.complaints, world.log)
}

impl World {
    fn of(seed: u64, base: Instant) -> Self {
        let mut dice = Dice::of(seed, "meshed", 0);
        let up = dice.among(3..6) as usize;
        let settings = MeshSettings {
            policy: MeshPolicy::Auto,
            up,
            down: dice.among(1..up as u64) as usize,
            warm: up - 1,
            strategy: dice.pick(&[
                Strategy::Hard,
                Strategy::Gradual,
                Strategy::Gradual,
                Strategy::Opportunistic,
            ]),
            cooldown: Duration::from_secs(dice.among(0..4)),
            ..MeshSettings::default()
        };
        let core =
            Settings { mesh: settings, empty_timeout: Duration::from_secs(5), ..Settings::for_trying(base) };
        let count = dice.among(2..9) as usize;
        let mut world = Self {
            sfu: Sfu::new(core),
            settings,
            policy: MeshPolicy::Auto,
            base,
            now: 0,
            people: Vec::new(),
            queue: BTreeMap::new(),
            made: 0,
            is_calm: false,
            move_since: None,
            no_path: BTreeSet::new(),
            complaints: Vec::new(),
            log: String::new(),
            dice,
        };
        for person in 0..count {
            let dice = &mut world.dice;
            let manners = [Manner::Prompt, Manner::Prompt, Manner::Deaf, Manner::Silent, Manner::Unable];
            let own = Person {
                can_mesh: dice.percent(85),
                manner: dice.pick(&manners),
                delay: dice.among(5_000..300_000),
                connection: None,
                own: None,
                view: None,
                asked: BTreeMap::new(),
            };
            world.people.push(own);
            let at = world.dice.among(0..10 * SECOND);
            world.plan(at, Deed::Come(person));
        }
        world.plan_storm(count);
        world.plan(STORM, Deed::Calm);
        world
    }

    fn plan_storm(&mut self, count: usize) {
        for _ in 0..self.dice.among(5..60) {
            let at = self.dice.among(SECOND..STORM);
            let who = self.dice.among(0..count as u64) as usize;
            let other = self.dice.among(0..count as u64) as usize;
            let away = self.dice.among(200_000..9 * SECOND);
            let deed = match self.dice.among(0..14) {
                0..4 => Deed::Come(who),
                4 | 5 => Deed::Leave(who),
                6 => Deed::Crash(who),
                7 | 8 => Deed::Break(who, away),
                9 => Deed::NoPath(who, other),
                10 => Deed::Signal(who, other),
                11 => Deed::Load(who, self.dice.among(0..101) as u8),
                12 => Deed::Force(self.dice.pick(&[None, Some(Mode::P2p), Some(Mode::Sfu)])),
                _ => Deed::Set(self.dice.pick(&[MeshPolicy::Off, MeshPolicy::Auto, MeshPolicy::Always])),
            };
            self.plan(at, deed);
        }
    }

    fn plan(&mut self, at: Micros, deed: Deed) {
        self.made += 1;
        self.queue.insert((at.max(self.now), self.made), deed);
    }

    /// Returns the next thing that happens, and lets the server's deadlines come before it.
    fn next(&mut self) -> Option<((Micros, u64), Deed)> {
        loop {
            let next = self.queue.keys().next().map_or(STORM + CALM, |(at, _)| *at);
            let Output::Timeout(deadline) = self.sfu.poll_output() else {
                self.drain();
                continue;
            };
            let due = deadline
                .map(|deadline| deadline.at.saturating_duration_since(self.base).as_micros() as Micros);
            match due.filter(|due| *due < next) {
                Some(due) => {
                    // Rounded up, or it would be called a little too early for ever.
                    self.now = self.now.max(due + 1);
                    let now = self.instant();
                    self.sfu.handle_input(now, Input::Timeout);
                    self.drain();
                    self.look();
                }
                None => return self.queue.pop_first(),
            }
        }
    }

    fn instant(&self) -> Instant {
        self.base + Duration::from_micros(self.now)
    }

    fn room() -> RoomId {
        // The name is one.
        "call".parse().expect("a room id")
    }

    fn snapshot(&self) -> Option<RoomSnapshot> {
        self.sfu.room_snapshot(self.instant(), &Self::room())
    }

    fn carry_out(&mut self, deed: Deed) {
        let now = self.instant();
        match deed {
            Deed::Come(who) => self.come(who),
            Deed::Leave(who) => self.say(who, Command::Leave),
            Deed::Crash(who) => self.lose(who),
            Deed::Break(who, away) => {
                self.lose(who);
                self.plan(self.now + away, Deed::ComeBack(who));
            }
            Deed::ComeBack(who) => self.come_back(who),
            Deed::NoPath(who, other) => {
                if let (Some((own, _)), Some((with, _))) = (&self.people[who].own, &self.people[other].own) {
                    let (own, with) = (*own, *with);
                    let is_straight = self.sfu.topology(&Self::room()).is_some_and(Topology::is_straight);
                    let both = self.people[who].can_mesh && self.people[other].can_mesh && own != with;
                    if is_straight && both && self.people[who].connection.is_some() {
                        self.no_path.insert((own, with));
                    }
                    self.say(who, Command::Mesh(MeshCommand::Failed { with, reason: String::new() }));
                }
            }
            Deed::Signal(who, other) => {
                if let Some((to, _)) = &self.people[other].own {
                    let signal = MeshSignal::Candidate("null".into());
                    self.say(who, Command::Mesh(MeshCommand::Signal { to: *to, signal }));
                }
            }
            Deed::Load(who, percent) => self.say(who, Command::Mesh(MeshCommand::Load(percent))),
            Deed::Force(mode) => {
                if self.sfu.operate(now, &Self::room(), Moderation::ResetTopology(mode)).is_ok() {
                    self.no_path.clear();
                }
            }
            Deed::Set(policy) => self.set(policy),
            Deed::Told(who, connection, event) => self.told(who, connection, &event),
            Deed::Answer(who, connection, number) => {
                if self.people[who].connection == Some(connection) {
                    let is_unable = self.people[who].manner == Manner::Unable && !self.is_calm;
                    let reason = String::new();
                    let command = if is_unable {
                        MeshCommand::MigrationFailed { migration: number, reason }
                    } else {
                        MeshCommand::Migrated(number)
                    };
                    self.say(who, Command::Mesh(command));
                }
            }
            Deed::Calm => {
                self.is_calm = true;
                self.set(MeshPolicy::Auto);
                if self.sfu.operate(now, &Self::room(), Moderation::ResetTopology(None)).is_ok() {
                    self.no_path.clear();
                }
            }
        }
    }

    fn set(&mut self, policy: MeshPolicy) {
        let now = self.instant();
        let change = RoomChange { mesh: Some(policy), ..RoomChange::default() };
        if self.sfu.operate(now, &Self::room(), Moderation::Configure(change)).is_ok() {
            self.policy = policy;
        }
    }

    fn come(&mut self, who: usize) {
        if self.people[who].connection.is_some() {
            return;
        }
        // A room that is made anew is as all rooms.
        if self.snapshot().is_none() {
            self.policy = MeshPolicy::Auto;
        }
        self.made += 1;
        let (connection, can_mesh) = (ConnectionId(self.made), self.people[who].can_mesh);
        let mut entropy = [who as u8; 32];
        entropy[..8].copy_from_slice(&self.made.to_le_bytes());
        let address = ([192, 0, 2, 1], 7443).into();
        let candidates = vec![LocalCandidate { protocol: TransportProtocol::Udp, address }];
        let join = Join {
            room: Self::room(),
            profile: Profile::named(name(who)),
            auto_subscribe: true,
            lifeline: Lifeline::Signalling,
            layout: Layout::Slots,
            grants: Grants::OPEN,
            is_invited: false,
            host: None,
            can_mesh,
        };
        let admission = Admission { entropy, candidates };
        let person = &mut self.people[who];
        (person.connection, person.own, person.view) = (Some(connection), None, None);
        person.asked.clear();
        let now = self.instant();
        self.sfu.handle_input(now, Input::Join { connection, request: None, host: None, admission, join });
    }

    fn come_back(&mut self, who: usize) {
        if self.people[who].connection.is_some() {
            return;
        }
        let Some((participant, secret)) = self.people[who].own.clone() else { return self.come(who) };
        self.made += 1;
        let connection = ConnectionId(self.made);
        self.people[who].connection = Some(connection);
        let resume = Resume { room: Self::room(), participant, proof: Proof::Secret(secret) };
        let now = self.instant();
        self.sfu.handle_input(now, Input::Resume { connection, request: None, resume });
    }

    fn lose(&mut self, who: usize) {
        if let Some(connection) = self.people[who].connection.take() {
            let now = self.instant();
            self.sfu.handle_input(now, Input::ConnectionLost(connection));
        }
    }

    fn say(&mut self, who: usize, command: Command) {
        let Some(connection) = self.people[who].connection else { return };
        let now = self.instant();
        self.sfu.handle_input(now, Input::Command { connection, request: None, command });
    }

    /// Takes everything out of the core. What people are told takes its time to come.
    fn drain(&mut self) {
        loop {
            let (connection, event) = match self.sfu.poll_output() {
                Output::Timeout(_) => return,
                Output::Event { connection, event } => (connection, event),
                _ => continue,
            };
            let who = self.people.iter().position(|person| person.connection == Some(connection));
            if let Some(who) = who {
                let at = self.now + self.people[who].delay;
                self.plan(at, Deed::Told(who, connection, Box::new(event)));
            }
        }
    }

    /// Somebody hears something, if their connection has not broken meanwhile.
    fn told(&mut self, who: usize, connection: ConnectionId, event: &Event) {
        let person = &mut self.people[who];
        if person.connection != Some(connection) {
            return;
        }
        let view = match event {
            Event::Joined(_, joined) => {
                person.own = Some((joined.participant, joined.secret.clone()));
                joined.topology
            }
            Event::Resumed(_, resumed) => resumed.joined.topology,
            Event::Topology(view) => Some(*view),
            Event::Left(_) | Event::Closing(_) => {
                (person.connection, person.own, person.view) = (None, None, None);
                return;
            }
            Event::Refused(_, refusal) => {
                if refusal.code == RefusalCode::UnknownParticipant && person.view.is_none() {
                    person.connection = None;
                } else if refusal.code == RefusalCode::UnknownParticipant {
                    (person.connection, person.own, person.view) = (None, None, None);
                    self.plan(self.now + SECOND, Deed::Come(who));
                } else if refusal.code == RefusalCode::BadMessage {
                    self.complaints
                        .push(format!("{} is refused what it was asked for: {refusal:?}", name(who)));
                }
                return;
            }
            _ => return,
        };
        let Some(view) = view else { return };
        self.log += &format!("{} {} {view:?}\n", self.now, name(who));
        person.view = Some(view);
        if view.moving_to.is_none() {
            return;
        }
        let times = person.asked.entry(view.migration).or_default();
        *times += 1;
        let answers = match person.manner {
            Manner::Prompt | Manner::Unable => *times == 1,
            Manner::Deaf => *times == 2,
            Manner::Silent => self.is_calm && *times == 1,
        };
        if answers {
            let at = self.now + self.dice.among(50_000..1_500_000);
            self.plan(at, Deed::Answer(who, connection, view.migration));
        }
    }

    /// Looks that no move lasts too long.
    fn look(&mut self) {
        let view = self.sfu.topology(&Self::room()).map(|topology| topology.view(self.instant()));
        let running = view.filter(|view| view.moving_to.is_some()).map(|view| view.migration);
        match (running, self.move_since) {
            (Some(number), Some((known, since))) if number == known => {
                let most = self.settings.reset.as_micros() as Micros + SLACK;
                if self.now - since > most && self.complaints.is_empty() {
                    self.complaints
                        .push(format!("move {number} has run for {} s", (self.now - since) / SECOND));
                }
            }
            (Some(number), _) => self.move_since = Some((number, self.now)),
            (None, _) => self.move_since = None,
        }
    }

    /// Looks, when all has been calm for long, that everybody is where they should be.
    fn judge(&mut self) {
        self.now = STORM + CALM;
        let Some(room) = self.snapshot() else { return };
        let Some(view) = room.topology.view else {
            return self.complaints.push("nothing is decided in a room that may go straight".to_owned());
        };
        let mut wrong = Vec::new();
        if view.moving_to.is_some() {
            wrong.push(format!("a move still runs: {view:?}"));
        }
        for member in &room.participants {
            let is = member.mode;
            if is != ClientMode::from(view.mode) {
                wrong.push(format!(
                    "{} is taken for {is:?} in a call by {:?}",
                    member.profile.name, view.mode
                ));
            }
        }
        for (who, person) in self.people.iter().enumerate().filter(|(_, person)| person.can_mesh) {
            let told = person.view.map(|view| (view.mode, view.moving_to, view.migration));
            let is_in = person.connection.is_some() && person.own.is_some();
            if is_in && told != Some((view.mode, None, view.migration)) {
                wrong.push(format!("{} was told {told:?}, and the call is at {view:?}", name(who)));
            }
        }
        wrong.extend(self.wrong_way(&room, view.mode));
        self.complaints.append(&mut wrong);
    }

    /// Says if the call does not go the way that its size, and those in it, ask for.
    fn wrong_way(&self, room: &RoomSnapshot, mode: Mode) -> Option<String> {
        let count = room.participants.len();
        let is_there = |id: &ParticipantId| room.participants.iter().any(|member| member.participant == *id);
        let of = |id: ParticipantId| {
            self.people.iter().find(|person| person.own.as_ref().is_some_and(|(own, _)| *own == id))
        };
        // Somebody who has crashed is not known by the id that they never heard.
        let others = room
            .participants
            .iter()
            .any(|member| of(member.participant).is_none_or(|person| !person.can_mesh));
        let no_path = self.no_path.iter().any(|(one, other)| is_there(one) && is_there(other));
        let MeshSettings { up, down, strategy, .. } = self.settings;
        let is_small = if strategy == Strategy::Opportunistic { count < down } else { count <= down };
        let wanted = match () {
            () if others || no_path || count >= up => Mode::Sfu,
            () if is_small => Mode::P2p,
            () => return None,
        };
        (wanted != mode)
            .then(|| format!("{count} people, with others {others}, without a path {no_path}: {mode:?}"))
    }
}

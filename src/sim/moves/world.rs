//! A world of moves being played: the core, the clients, and the signalling between them, under one virtual clock.

mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::client::{Client, Senses, Server};
use super::deed::{Deed, Step};
use super::moved::Moved;
use super::oracle::Oracle;
use super::plan::{MovesPlan, PersonPlan};
use crate::core::command::{Command, Join, Layout, Lifeline, MeshCommand, Moderation, Proof, Resume};
use crate::core::datagrams::Datagrams;
use crate::core::event::{Event, RefusalCode};
use crate::core::grants::Grants;
use crate::core::ids::{ConnectionId, ParticipantId, RoomId};
use crate::core::input::{AdminCommand, Admission};
use crate::core::mesh::MeshSignal;
use crate::core::moderation::{PermissionsChange, Target};
use crate::core::path::{LocalCandidate, TransportProtocol};
use crate::core::profile::Profile;
use crate::core::room_options::RoomChange;
use crate::core::topology::{MeshPolicy, Mode};
use crate::core::{Input, Output, Settings, Sfu};
use crate::sim::dice::Dice;
use crate::sim::network::{Micros, SECOND, host_of, name, server_address};
use crate::sim::world::Recorded;

/// How often a client looks what is due.
const LOOKS_EVERY: Micros = 200_000;
/// How often in a row the server may ask to be called at once.
const SPINS_MAX: u32 = 50;
/// The most inputs of a world. A call that moves to and fro without a rest has more.
const INPUTS_MAX: u64 = 100_000;
/// How long somebody whose signalling broke can come back.
const RESUME_WITHIN: Duration = Duration::from_secs(8);

/// Something that happens at a moment of virtual time.
#[derive(Debug)]
enum Happening {
    Come(usize),
    Step(usize),
    /// An event reaches somebody.
    Hears(usize, ConnectionId, Box<Event>),
    /// A command reaches the server.
    Says(usize, ConnectionId, Box<Command>),
    /// Somebody asks to be taken up again.
    Resumes(usize, ConnectionId, Resume),
    /// The server notices that a connection is gone.
    Lost(ConnectionId),
    /// Somebody whose signalling broke connects again.
    Returns(usize),
    /// A client looks what is due.
    Looks(usize),
    Calm,
}

/// Somebody in the world.
#[derive(Debug)]
pub(super) struct Person<'a> {
    pub(super) plan: &'a PersonPlan,
    pub(super) connection: Option<ConnectionId>,
    pub(super) client: Option<Client>,
}

/// A plan being played.
#[derive(Debug)]
pub(super) struct World<'a> {
    pub(super) plan: &'a MovesPlan,
    pub(super) sfu: Sfu,
    base: Instant,
    pub(super) now: Micros,
    pub(super) people: Vec<Person<'a>>,
    /// Straight paths that work, by the smaller id and the larger one.
    links: BTreeSet<(ParticipantId, ParticipantId)>,
    queue: BTreeMap<(Micros, u64), Happening>,
    made: u64,
    pub(super) is_calm: bool,
    inputs: u64,
    spins: u32,
    media: Datagrams,
    pub(super) oracle: Oracle,
    log: String,
    recorded: Vec<Recorded>,
}

impl<'a> World<'a> {
    pub(super) fn new(plan: &'a MovesPlan, base: Instant) -> Self {
        let settings = Settings {
            mesh: plan.mesh,
            empty_timeout: Duration::from_secs(2),
            resume_timeout: RESUME_WITHIN,
            ..Settings::for_trying(base)
        };
        let people = plan.people.iter().map(|plan| Person { plan, connection: None, client: None });
        let mut world = Self {
            plan,
            sfu: Sfu::new(settings),
            base,
            now: 0,
            people: people.collect(),
            links: BTreeSet::new(),
            queue: BTreeMap::new(),
            made: 0,
            is_calm: false,
            inputs: 0,
            spins: 0,
            media: Datagrams::default(),
            oracle: Oracle::default(),
            log: String::new(),
            recorded: Vec::new(),
        };
        for (who, person) in plan.people.iter().enumerate() {
            world.push(person.arrives, Happening::Come(who));
        }
        for (number, step) in plan.steps.iter().enumerate() {
            world.push(step.at, Happening::Step(number));
        }
        world.push(plan.calm_at, Happening::Calm);
        world
    }

    /// Records all rooms from now on.
    pub(super) fn record(&mut self) {
        if let Ok(all) = "*".parse() {
            self.feed(Input::Admin(AdminCommand::RecordRooms(all)));
        }
    }

    pub(super) fn take_recorded(&mut self) -> Vec<Recorded> {
        self.sfu.hand_out_records();
        self.keep_records();
        std::mem::take(&mut self.recorded)
    }

    pub(super) fn outcome(self) -> Moved {
        let Oracle { complaints, moves, succeeded, heard, .. } = self.oracle;
        Moved { complaints, log: self.log, inputs: self.inputs, moves, succeeded, heard, lasted: self.now }
    }

    /// Plays the world to its end.
    pub(super) fn play(&mut self) {
        while !self.oracle.is_hopeless() {
            let next = self.queue.first_key_value().map_or(self.plan.ends_at, |((at, _), _)| *at);
            let due = self.deadline().map(|at| at.max(self.now));
            let Some(at) = due.into_iter().chain([next]).min().filter(|at| *at < self.plan.ends_at) else {
                break;
            };
            self.now = at;
            if due.is_some_and(|due| due <= at) {
                self.spins += 1;
                self.feed(Input::Timeout);
            } else if let Some((_, happening)) = self.queue.pop_first() {
                self.spins = 0;
                self.happens(happening);
            }
            self.drain();
            self.watch();
        }
        self.now = self.plan.ends_at;
        self.judge();
    }

    /// Looks at what is decided. A server that never comes to rest ends the world.
    fn watch(&mut self) {
        if self.spins > SPINS_MAX || self.inputs > INPUTS_MAX {
            let what = format!("the call does not come to rest: {} inputs", self.inputs);
            self.oracle.give_up(self.now, &what);
        }
        self.watch_moves();
    }

    fn deadline(&mut self) -> Option<Micros> {
        let Output::Timeout(deadline) = self.sfu.poll_output() else { return Some(self.now) };
        // Rounded up, because the server must not be called before its time.
        let micros =
            |at: Instant| at.saturating_duration_since(self.base).as_nanos().div_ceil(1000) as Micros;
        deadline.map(|deadline| micros(deadline.at))
    }

    fn push(&mut self, at: Micros, happening: Happening) {
        self.made += 1;
        self.queue.insert((at.max(self.now), self.made), happening);
    }

    pub(super) fn instant(&self) -> Instant {
        self.base + Duration::from_micros(self.now)
    }

    pub(super) fn room() -> RoomId {
        "moves".parse().unwrap_or_else(|_| unreachable!("a good name"))
    }

    fn feed(&mut self, input: Input<'_>) {
        self.inputs += 1;
        let now = self.instant();
        self.sfu.handle_input(now, input);
    }

    fn operate(&mut self, moderation: Moderation) -> bool {
        self.inputs += 1;
        let now = self.instant();
        self.sfu.operate(now, &Self::room(), moderation).is_ok()
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Come(who) => self.come(who),
            Happening::Step(number) => {
                if let Some(Step { who, deed, .. }) = self.plan.steps.get(number).copied() {
                    self.step(who, deed);
                }
            }
            Happening::Hears(who, connection, event) => self.hears(who, connection, &event),
            Happening::Says(who, connection, command) => {
                if self.people[who].connection == Some(connection) {
                    self.feed(Input::Command { connection, request: None, command: *command });
                }
            }
            Happening::Resumes(who, connection, resume) => {
                if self.people[who].connection == Some(connection) {
                    self.feed(Input::Resume { connection, request: None, resume });
                }
            }
            Happening::Lost(connection) => self.feed(Input::ConnectionLost(connection)),
            Happening::Returns(who) => self.returns(who),
            Happening::Looks(who) => self.looks(who),
            Happening::Calm => self.calm(),
        }
    }

    fn step(&mut self, who: usize, deed: Deed) {
        match deed {
            Deed::Come => self.come(who),
            Deed::Leave => {
                if let Some(client) = self.people[who].client.as_mut().filter(|client| client.own.is_some()) {
                    client.leaves = true;
                    self.say(who, Command::Leave);
                }
            }
            Deed::Crash(noticed) => {
                self.lose(who, noticed);
                self.end_client(who);
            }
            Deed::Break(noticed, back) => {
                if self.people[who].client.is_some() {
                    self.lose(who, noticed);
                    self.push(self.now + back, Happening::Returns(who));
                }
            }
            Deed::LoseServer(long) => {
                if let Some(client) = &mut self.people[who].client {
                    client.lose_server(self.now, long);
                }
            }
            Deed::ClaimNoPath(other) => {
                if let Some(with) = self.id_of(other).filter(|_| other != who) {
                    self.say(who, Command::Mesh(MeshCommand::Failed { with, reason: String::new() }));
                }
            }
            Deed::Load(percent) => self.say(who, Command::Mesh(MeshCommand::Load(percent))),
            Deed::Force(mode) => self.reset(mode),
            Deed::Set(policy) => self.set(policy),
            Deed::MayReceive(may) => {
                let change = PermissionsChange { subscribe: Some(may), ..PermissionsChange::default() };
                if let Some(id) = self.id_of(who) {
                    self.operate(Moderation::SetPermissions(Target::Id(id), change));
                }
            }
        }
    }

    fn reset(&mut self, mode: Option<Mode>) {
        if self.operate(Moderation::ResetTopology(mode)) {
            self.oracle.note_reset(mode);
        }
    }

    fn set(&mut self, policy: MeshPolicy) {
        let change = RoomChange { mesh: Some(policy), ..RoomChange::default() };
        if self.operate(Moderation::Configure(change)) {
            self.oracle.note_policy();
        }
    }

    fn calm(&mut self) {
        self.is_calm = true;
        self.set(MeshPolicy::Auto);
        if self.plan.is_reset {
            self.reset(None);
        }
        let now = self.now;
        self.people
            .iter_mut()
            .filter_map(|person| person.client.as_mut())
            .for_each(|client| client.heals(now));
    }

    fn id_of(&self, who: usize) -> Option<ParticipantId> {
        self.people[who].client.as_ref()?.own.as_ref().map(|(id, _)| *id)
    }

    fn new_connection(&mut self, who: usize) -> ConnectionId {
        self.made += 1;
        let connection = ConnectionId(self.made);
        self.people[who].connection = Some(connection);
        connection
    }

    fn come(&mut self, who: usize) {
        let PersonPlan { can_mesh, manner, opens, signalling, .. } = *self.people[who].plan;
        if self.people[who].client.is_some() {
            return;
        }
        let connection = self.new_connection(who);
        let join = Join {
            room: Self::room(),
            profile: Profile::named(name(who)),
            auto_subscribe: true,
            lifeline: Lifeline::Signalling,
            layout: Layout::Slots,
            grants: Grants::OPEN,
            is_invited: false,
            is_vouched_for: true,
            host: Some(host_of(who)),
            can_mesh,
        };
        let mut entropy = [0; 32];
        entropy.copy_from_slice(&Dice::of(self.plan.seed, "entropy", connection.0).bytes(32));
        let address = server_address();
        let candidates = vec![LocalCandidate { protocol: TransportProtocol::Udp, address }];
        let admission = Admission { entropy, candidates };
        self.people[who].client = Some(Client::new(self.now, manner, opens));
        self.feed(Input::Join { connection, request: None, host: None, admission, join });
        self.push(self.now + signalling, Happening::Looks(who));
    }

    /// Somebody's signalling is gone, which the server notices later.
    fn lose(&mut self, who: usize, noticed: Micros) {
        if let Some(connection) = self.people[who].connection.take() {
            self.push(self.now + noticed, Happening::Lost(connection));
        }
    }

    fn returns(&mut self, who: usize) {
        let person = &self.people[who];
        if person.connection.is_some() || person.client.is_none() {
            return;
        }
        let own = person.client.as_ref().and_then(|client| client.own.clone());
        let Some((participant, secret)) = own else {
            // They had not heard that they are in.
            self.end_client(who);
            return self.come(who);
        };
        let connection = self.new_connection(who);
        let resume = Resume { room: Self::room(), participant, proof: Proof::Secret(secret) };
        let at = self.now + self.people[who].plan.signalling;
        self.push(at, Happening::Resumes(who, connection, resume));
    }

    fn end_client(&mut self, who: usize) {
        if let Some(id) = self.id_of(who) {
            self.links.retain(|(one, other)| *one != id && *other != id);
        }
        self.people[who].client = None;
        self.people[who].connection = None;
    }

    fn say(&mut self, who: usize, command: Command) {
        if let Some(connection) = self.people[who].connection {
            let at = self.now + self.people[who].plan.signalling;
            self.push(at, Happening::Says(who, connection, Box::new(command)));
        }
    }

    fn hears(&mut self, who: usize, connection: ConnectionId, event: &Event) {
        let (now, is_calm) = (self.now, self.is_calm);
        let person = &mut self.people[who];
        let Some(client) = person.client.as_mut().filter(|_| person.connection == Some(connection)) else {
            return;
        };
        let view = match event {
            Event::Joined(_, joined) => joined.topology,
            Event::Resumed(_, resumed) => resumed.joined.topology,
            Event::Topology(view) => Some(*view),
            _ => None,
        };
        if let Some(view) = view {
            self.log += &format!("{now} {} {view:?}\n", name(who));
        }
        match event {
            Event::Joined(_, joined) => client.joined(now, joined),
            Event::Resumed(_, resumed) => client.resumed(now, &resumed.joined, is_calm),
            Event::Topology(view) => client.news(now, *view, is_calm),
            Event::MeshSignal(from, signal) => self.hears_signal(who, *from, signal),
            Event::Refused(_, refusal) => self.is_refused(who, refusal.code),
            Event::Left(_) | Event::Closing(_) => {
                let returns = !client.leaves;
                self.end_client(who);
                if returns {
                    self.push(now + SECOND, Happening::Come(who));
                }
            }
            event => client.on_others(event),
        }
        self.speaks(who);
    }

    fn is_refused(&mut self, who: usize, code: RefusalCode) {
        match code {
            // What they said came too late: the call goes another way, or the other one has gone.
            RefusalCode::NotPermitted | RefusalCode::UnknownRecipient => {}
            RefusalCode::UnknownParticipant => {
                self.end_client(who);
                self.push(self.now + SECOND, Happening::Come(who));
            }
            RefusalCode::RateLimited => {
                self.people[who].connection = None;
                self.push(self.now + 3 * SECOND, Happening::Returns(who));
            }
            // A room that always goes straight takes few.
            RefusalCode::RoomFull => self.end_client(who),
            code => self.oracle.complain(self.now, format!("{} is refused something: {code:?}", name(who))),
        }
    }

    fn hears_signal(&mut self, who: usize, from: ParticipantId, signal: &MeshSignal) {
        let (Some(own), Some(other)) = (self.id_of(who), self.who_is(from)) else { return };
        let seeks = |who: usize| self.people[who].client.as_ref().is_some_and(|client| client.is_straight);
        if !seeks(who) {
            return;
        }
        if *signal == MeshSignal::Description("offer".into()) {
            let signal = MeshSignal::Description("answer".into());
            self.say(who, Command::Mesh(MeshCommand::Signal { to: from, signal }));
        } else if seeks(other) && self.plan.has_path(who, other) {
            self.links.insert((own.min(from), own.max(from)));
        }
    }

    /// Returns the person of that id who is alive.
    pub(super) fn who_is(&self, id: ParticipantId) -> Option<usize> {
        (0..self.people.len()).find(|who| self.id_of(*who) == Some(id))
    }

    fn looks(&mut self, who: usize) {
        let Some(client) = &self.people[who].client else { return };
        let own = client.own.as_ref().map(|(id, _)| *id);
        let linked: BTreeSet<ParticipantId> = client
            .others
            .keys()
            .filter(|id| own.is_some_and(|own| self.is_linked(own, **id)))
            .copied()
            .collect();
        let is_good = client.builds().is_some_and(|to| self.is_good(who, to));
        let (now, is_calm) = (self.now, self.is_calm);
        if let Some(client) = &mut self.people[who].client {
            client.look(Senses { now, is_good, linked: &linked, is_calm });
        }
        self.speaks(who);
        self.watch_client(who);
        self.push(self.now + LOOKS_EVERY, Happening::Looks(who));
    }

    /// Sends what a client wants to say, and ends paths that it keeps no longer.
    fn speaks(&mut self, who: usize) {
        let Some(client) = &mut self.people[who].client else { return };
        let (is_straight, own) = (client.is_straight, client.own.as_ref().map(|(id, _)| *id));
        for command in std::mem::take(&mut client.says) {
            self.say(who, Command::Mesh(command));
        }
        if !is_straight && let Some(own) = own {
            self.links.retain(|(one, other)| *one != own && *other != own);
        }
    }

    pub(super) fn is_linked(&self, one: ParticipantId, other: ParticipantId) -> bool {
        self.links.contains(&(one.min(other), one.max(other)))
    }

    /// Whether something of `of` comes to `who` by a way.
    pub(super) fn comes(&self, who: usize, of: ParticipantId, way: Mode) -> bool {
        let (Some(own), Some(client)) = (self.id_of(who), &self.people[who].client) else { return false };
        match way {
            Mode::P2p => {
                let is_listed = client.others.get(&of).is_some_and(|other| !other.tracks.is_empty());
                is_listed && self.is_linked(own, of)
            }
            Mode::Sfu => {
                let other = self.who_is(of).and_then(|who| self.people[who].client.as_ref());
                client.server == Server::Up && other.is_some_and(Client::sends_to_server)
            }
        }
    }

    fn is_good(&self, who: usize, way: Mode) -> bool {
        let Some(client) = &self.people[who].client else { return false };
        let is_up = way == Mode::P2p || client.server == Server::Up;
        is_up && client.present().all(|id| self.comes(who, id, way))
    }

    /// Takes everything out of the core. What people are told takes its time to come.
    fn drain(&mut self) {
        loop {
            let (connection, event) = match self.sfu.poll_output() {
                Output::Timeout(_) => break,
                // Until this is done there is nothing else to be had.
                Output::Media(_) => {
                    self.sfu.forward_share(&mut self.media);
                    self.media.clear();
                    continue;
                }
                Output::Event { connection, event } => (connection, event),
                Output::Dtls { .. } | Output::Transmit(_) => continue,
            };
            let who = self.people.iter().position(|person| person.connection == Some(connection));
            if let Some(who) = who {
                let at = self.now + self.people[who].plan.signalling;
                self.push(at, Happening::Hears(who, connection, Box::new(event)));
            }
        }
        self.keep_records();
    }

    fn keep_records(&mut self) {
        while let Some(output) = self.sfu.poll_recording() {
            Recorded::keep(&mut self.recorded, output);
        }
    }
}

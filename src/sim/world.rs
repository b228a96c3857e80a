//! World: runs a plan: the core, the clients, the networks between them, and the oracle, under one virtual clock.
//!
//! Time jumps from one happening to the next. Everything that happens at one moment reaches the server in one pass:
//! first the inputs, then all outputs, as in the shell.

mod handshakes;
mod happening;
mod moderation;
mod shell;
mod verdict;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::Xxh3;

use handshakes::Handshakes;
use happening::{Happening, Overheard, Queue};
pub use watching::{Got, Sample, Watched};

use super::client::{Endpoint, Now, Out, Post};
use super::dice::Dice;
use super::line::Line;
use super::network::{Arrivals, Link, Micros, SECOND, seconds};
use super::oracle::{CONSENT, Oracle};
use super::plan::{Endpoints, PersonPlan, Plan};
use crate::core::datagrams::Datagrams;
use crate::core::ids::{RecordingId, RoomId};
use crate::core::input::AdminCommand;
use crate::core::record::RoomHeader;
use crate::core::recordings::RecordingOutput;
use crate::core::settings::Sharing;
use crate::core::{Input, Settings, Sfu};

/// How long somebody whose signalling broke can come back, µs.
const RESUME_WITHIN: Micros = 6 * SECOND;

/// How far ahead the clock is when a world is run a second time.
const SHIFT: Duration = Duration::from_secs(100_000);

/// The outcome of a world.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The digest of all outputs of the server, with their times.
    pub digest: u64,
    /// What was wrong; empty if all is well.
    pub complaints: Vec<String>,
    /// Inputs of the server.
    pub inputs: u64,
    /// Datagrams that it sent.
    pub datagrams: u64,
    /// Packets that it forwarded.
    pub forwarded: u64,
    /// Packets that it sent again.
    pub repeated: u64,
    /// Key frames that it asked for.
    pub keyframes_asked: u64,
    /// How long the world lasted, µs of virtual time.
    pub lasted: Micros,
}

/// The core's own recording of one room of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The recording's id in the core.
    id: RecordingId,
    /// The header of the recording.
    pub header: RoomHeader,
    /// All records, encoded as in a trace's blocks.
    pub records: Vec<u8>,
    /// Whether the room has ended.
    pub complete: bool,
}

impl Recorded {
    /// Takes what the core's recorders wrote.
    pub(super) fn keep(all: &mut Vec<Self>, output: RecordingOutput) {
        match output {
            RecordingOutput::Begin(id, header) => {
                all.push(Self { id, header: *header, records: Vec::new(), complete: false });
            }
            RecordingOutput::Records(id, records) => {
                let recorded = all.iter_mut().find(|one| one.id == id);
                recorded.into_iter().for_each(|one| one.records.extend(&records));
            }
            RecordingOutput::End(id) => {
                let recorded = all.iter_mut().find(|one| one.id == id);
                recorded.into_iter().for_each(|one| one.complete = true);
            }
        }
    }
}

/// Somebody's place in the world.
struct Person {
    endpoint: Option<Endpoint>,
    lives: u32,
    connection: Option<u64>,
    connections: u64,
    /// How many messages pass until the connection breaks, when the server notices, and when they come back.
    breaks: Option<(u8, Micros, Micros)>,
    address: SocketAddr,
    addresses: u16,
    up: Link,
    down: Link,
    lines: [Option<usize>; 2],
    woken_at: Option<Micros>,
    /// Whether they are switched off.
    off: bool,
    /// When the server learns, or learned, that they were switched off.
    lost_at: Option<Micros>,
    /// Datagrams that reached the server lately, for an attacker to replay.
    overheard: Vec<Overheard>,
}

/// A plan being run.
pub struct World<'a> {
    plan: &'a Plan,
    base: Instant,
    now: Micros,
    room: RoomId,
    sfu: Sfu,
    /// Empty between passes; kept so that its memory is used again.
    media: Datagrams,
    people: Vec<Option<Person>>,
    /// The bottlenecks that people are behind.
    lines: Vec<Line>,
    queue: Queue,
    post: Post,
    oracle: Oracle,
    /// The server's side of real handshakes, with whole endpoints.
    handshakes: Option<Handshakes>,
    dice: Dice,
    digest: Xxh3,
    /// The person at each address just now.
    at: BTreeMap<SocketAddr, usize>,
    /// The person and the life of each of the server's sessions, by number.
    sessions: Vec<(usize, u32)>,
    session_by_connection: BTreeMap<u64, u64>,
    keyed: BTreeSet<u64>,
    /// Sessions that have a data channel.
    channels: BTreeSet<u64>,
    deadline: Option<Micros>,
    /// When the deadline will be served, which is a little late in some worlds.
    served_at: Option<Micros>,
    datagrams_sent: u64,
    /// Numbers of datagrams that the server has heard, or may have.
    reached: BTreeSet<u64>,
    inputs: u64,
    outputs: u64,
    /// How many inputs this pass had.
    fed: u64,
    spins: u32,
    /// Whether the server was called for a deadline since it was last checked.
    called: bool,
    recorded: Vec<Recorded>,
    /// What is seen, if anybody looks.
    watched: Option<Watched>,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.now).finish_non_exhaustive()
    }
}

/// Runs a world to its end. `base` is the moment at which its clock begins; nothing depends on which.
pub fn run(plan: &Plan, base: Instant) -> Outcome {
    let mut world = World::new(plan, base);
    world.play();
    world.outcome()
}

/// Runs a world, and records its rooms. There are several if everybody left and somebody came again.
pub fn run_recorded(plan: &Plan, base: Instant) -> (Outcome, Vec<Recorded>) {
    let mut world = World::new(plan, base);
    if let Ok(all) = "*".parse() {
        world.sfu.handle_input(base, Input::Admin(AdminCommand::RecordRooms(all)));
    }
    world.play();
    world.sfu.hand_out_records();
    world.keep_records();
    let recorded = std::mem::take(&mut world.recorded);
    (world.outcome(), recorded)
}

/// Runs a world, and looks at what everybody sees in it. It ends there: nobody has to leave.
pub fn run_watched(plan: &Plan, base: Instant) -> (Outcome, Watched) {
    let mut world = World::new(plan, base);
    let people = plan.people.len();
    let (samples, got) = (vec![Vec::new(); people], vec![Got::default(); people]);
    world.watched = Some(Watched { samples, got, lines: Vec::new() });
    world.queue.push(0, Happening::Looks);
    world.play_until(|world| world.run_until(world.plan.heals_at));
    world.sum_up();
    let watched = world.watched.take().unwrap_or_default();
    (world.outcome(), watched)
}

/// Runs a world twice, the second time with a clock that is a day ahead, and complains if the two differ. A world with
/// whole endpoints is run once, because these use the system's randomness.
pub fn run_twice(plan: &Plan, base: Instant) -> Outcome {
    let mut outcome = run(plan, base);
    if plan.endpoints == Endpoints::Engine {
        return outcome;
    }
    let again = run(plan, base + SHIFT);
    if again != outcome {
        let (first, second) = (outcome.digest, again.digest);
        outcome.complaints.push(format!(
            "{}: the same world did something else the second time: digest {first:016x}, then {second:016x}",
            seconds(outcome.lasted)
        ));
    }
    outcome
}

fn settings(plan: &Plan, base: Instant) -> Settings {
    Settings {
        rooms_max: 4,
        participants_per_room_max: plan.people.len().max(100),
        slots: plan.slots.0,
        slots_max: plan.slots.1,
        // Few, so that small rooms are crowded, too.
        sharing: Sharing { speakers: 2, speaker_slots: 3, last_n: None },
        empty_timeout: Duration::from_micros(plan.empty_timeout),
        resume_timeout: Duration::from_micros(RESUME_WITHIN),
        media_timeout: Duration::from_micros(CONSENT),
        // Small shares in most worlds, so that a few people are already too many for one.
        packets_at_once: [1, 3, 128][(plan.seed % 3) as usize],
        ..Settings::for_trying(base)
    }
}

impl Person {
    /// Returns somebody who has not come yet. Each direction of their network has its own dice, so that neither changes
    /// the other.
    fn new(world: &Plan, index: usize, plan: &PersonPlan) -> Self {
        let link = |which, of| Link::new(of, world.heals_at, Dice::of(world.seed, which, index as u64));
        Self {
            endpoint: None,
            lives: 0,
            connection: None,
            connections: 0,
            breaks: None,
            address: address(index, 0),
            addresses: 0,
            up: link("up", plan.up),
            down: link("down", plan.down),
            lines: plan.lines,
            woken_at: None,
            off: false,
            lost_at: None,
            overheard: Vec::new(),
        }
    }
}

impl<'a> World<'a> {
    fn new(plan: &'a Plan, base: Instant) -> Self {
        let people = plan.people.iter().enumerate();
        let people =
            people.map(|(index, person)| person.as_ref().map(|person| Person::new(plan, index, person)));
        let handshakes = if plan.endpoints == Endpoints::Engine { Handshakes::new() } else { None };
        let mut settings = settings(plan, base);
        if let Some(handshakes) = &handshakes {
            settings.certificate = handshakes.certificate().to_vec();
        }
        let mut world = Self {
            plan,
            base,
            now: 0,
            room: "sim".parse().unwrap_or_else(|_| unreachable!("a good name")),
            sfu: Sfu::new(settings),
            media: Datagrams::default(),
            people: people.collect(),
            lines: plan.lines.iter().map(|line| Line::new(line.clone(), plan.heals_at)).collect(),
            queue: Queue::default(),
            post: Post::default(),
            oracle: Oracle::new(plan.lateness + plan.turn, plan.endpoints),
            handshakes,
            dice: Dice::of(plan.seed, "world", 0),
            digest: Xxh3::new(),
            at: BTreeMap::new(),
            sessions: Vec::new(),
            session_by_connection: BTreeMap::new(),
            keyed: BTreeSet::new(),
            channels: BTreeSet::new(),
            deadline: None,
            served_at: None,
            datagrams_sent: 0,
            reached: BTreeSet::new(),
            inputs: 0,
            outputs: 0,
            fed: 0,
            spins: 0,
            called: false,
            recorded: Vec::new(),
            watched: None,
        };
        for (index, person) in plan.people.iter().enumerate() {
            if let Some(person) = person {
                world.at.insert(address(index, 0), index);
                world.queue.push(person.arrives, Happening::Arrives(index));
            }
        }
        for (number, step) in plan.steps.iter().enumerate() {
            world.queue.push(step.1.at, Happening::Step(number));
        }
        // An interval that no other period divides, so that early calls fall between all other things.
        if plan.early_calls {
            for n in 0..plan.heals_at / 37_000 {
                world.queue.push(n * 37_000, Happening::EarlyCall);
            }
        }
        world
    }

    fn moment(&self) -> Now {
        Now { micros: self.now, instant: self.base + Duration::from_micros(self.now) }
    }

    /// Plays the world to its end. A panic that the core does not catch is a complaint: debug builds have rooms check
    /// themselves after each input, and what they find must not end the hunt.
    fn play(&mut self) {
        self.play_until(Self::run);
    }

    fn play_until(&mut self, run: impl FnOnce(&mut Self)) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(self))) {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word");
            self.oracle.complain(self.now, format!("the core panicked: {text}"));
        }
    }

    fn run(&mut self) {
        // By now the network has healed for so long that everybody must see and hear everybody.
        self.run_until(self.plan.ends_at());
        self.judge_calm();
        self.everybody_goes();
        self.run_until(self.plan.ends_at() + self.plan.empty_timeout + RESUME_WITHIN + 5 * SECOND);
        self.judge_end();
    }

    fn run_until(&mut self, end: Micros) {
        while !self.is_hopeless() {
            let served_at = self.served_at.map(|at| at.max(self.now));
            let next = self.queue.next_at().into_iter().chain(served_at).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            // Everything of one moment reaches the server before it forwards, as in one pass of a shell's loop.
            while let Some(happening) = self.queue.pop(self.now) {
                self.happens(happening);
            }
            if self.served_at.is_some_and(|at| at <= self.now) {
                self.call_server();
            }
            if self.fed > 0 {
                self.drain_server();
            }
        }
        self.now = self.now.max(end);
    }

    /// Returns whether there is no use in going on: one fault leads to many.
    fn is_hopeless(&self) -> bool {
        self.oracle.complaints.len() + self.post.complaints.len() >= 8
    }

    fn outcome(mut self) -> Outcome {
        self.collect_complaints();
        Outcome {
            digest: self.digest.digest(),
            complaints: self.oracle.complaints,
            inputs: self.inputs,
            datagrams: self.outputs,
            forwarded: self.oracle.forwarded,
            repeated: self.oracle.repeated,
            keyframes_asked: self.oracle.keyframes_asked,
            lasted: self.now,
        }
    }

    /// Takes what the core's recorders wrote since the last time.
    fn keep_records(&mut self) {
        while let Some(output) = self.sfu.poll_recording() {
            Recorded::keep(&mut self.recorded, output);
        }
    }

    fn collect_complaints(&mut self) {
        for complaint in std::mem::take(&mut self.post.complaints) {
            self.oracle.complain(self.now, complaint);
        }
    }

    fn person(&mut self, index: usize) -> Option<&mut Person> {
        self.people.get_mut(index).and_then(Option::as_mut)
    }

    /// Lets an endpoint do something, and carries out what it wants.
    fn with(&mut self, index: usize, act: impl FnOnce(&mut Endpoint, Now, &mut Post)) {
        let now = self.moment();
        let Some(Some(person)) = self.people.get_mut(index) else { return };
        let Some(endpoint) = person.endpoint.as_mut().filter(|_| !person.off) else { return };
        act(endpoint, now, &mut self.post);
        self.carry_out(index);
    }

    fn carry_out(&mut self, index: usize) {
        for out in std::mem::take(&mut self.post.out) {
            match out {
                Out::Datagram { bytes, what } => self.send_up(index, &bytes, &what),
                Out::Signal(number, signal) => self.say(index, number, signal),
            }
        }
        let life = self.person(index).map_or(0, |person| person.lives);
        if let Some(session) = self.session_of(index, life) {
            for seen in std::mem::take(&mut self.post.seen) {
                self.oracle.frame_came(self.now, session, &seen.mid, &seen.mark, &self.post.streams);
            }
        }
        self.collect_complaints();
        self.arm(index);
    }

    fn arm(&mut self, index: usize) {
        let now = self.now;
        let Some(Some(person)) = self.people.get_mut(index) else { return };
        let Some(endpoint) = person.endpoint.as_ref().filter(|_| !person.off) else { return };
        let Some(at) = endpoint.deadline() else { return };
        let at = at.max(now);
        // An earlier waking that is still to come asks for the deadline again by itself.
        if person.woken_at.is_none_or(|woken| at < woken || woken < now) {
            person.woken_at = Some(at);
            self.queue.push(at, Happening::Wakes(index));
        }
    }
}

/// Sends a datagram through the bottleneck that somebody is behind, if there is one, and through their own link.
fn send(line: Option<&mut Line>, link: &mut Link, now: Micros, bytes: usize) -> Arrivals {
    let through = line.map_or(Some(now), |line| line.send(now, bytes));
    through.map_or([None, None], |at| link.send(at, bytes))
}

/// Returns an address of somebody. Each person has many in the course of time.
fn address(person: usize, number: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, (person / 200) as u8, (person % 200) as u8 + 1], 5000 + number))
}

//! World: a whole core, the simulator's clients around it, and a shell as small as can be. What happens is for a
//! [`Step`](super::step::Step) to say; here it is carried out, and here stand the oracles that hold at every moment:
//! a turn ends within a bound, deadlines move forward, datagrams fit a path and go only where somebody was heard of,
//! clients can open what they are sent, and nothing is left when everybody has gone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use strait::core::datagrams::Datagrams;
use strait::core::event::{ClosingReason, Event, SlotCounts};
use strait::core::ids::{ConnectionId, DtlsSession, RequestId, RoomId};
use strait::core::input::{AdminCommand, Admission, Input, SrtpProfile};
use strait::core::media::srtp::{self, SrtpSender};
use strait::core::output::{DtlsRequest, Output, Transmit};
use strait::core::path::{Carrier, LocalCandidate, Path, TransportProtocol};
use strait::core::recordings::RecordingOutput;
use strait::core::{Settings, Sfu};
use strait::limits::DATAGRAM_BYTES_MAX;
use strait::signal::native::{ServerFacts, encode_event};
use strait::sim::Plan;
use strait::sim::client::{self, Endpoint, Now, Out, Post, Signal};
use strait::sim::dice::Dice;
use strait::sim::plan::PersonPlan;
use strait::trace::{EndOfTrace, Header, Trace, TraceWriter, replay};
use strait::wire::classify::{DatagramKind, classify};

/// Microseconds since the world began.
type Micros = u64;

/// How many people there can be.
pub const PEOPLE: usize = 3;
/// How much time passes in a round of ordinary life, µs.
pub const ROUND: Micros = 20_000;
/// More outputs than this from one turn are too many, whatever came.
const OUTPUTS_MAX: usize = 20_000;
/// A core that wants to be called so often at one moment spins.
const SPINS_MAX: usize = 50;
/// A turn leads to handshakes that lead to a turn, but not for ever.
const TURNS_MAX: usize = 20;
/// Under way, at most.
const QUEUE_MAX: usize = 300;
/// Replies to requests that no client of ours made go by this id.
const FOREIGN: &str = "\"foreign\"";
/// What the simulator's clients complain of that must not be, whatever the fuzzer does. (The rest is true only of
/// worlds in which nobody lies.)
const COMPLAINTS: [&str; 8] = [
    "cannot open a packet",
    "what is nothing",
    "without a header",
    "older slot map",
    "is not known",
    "told twice",
    "who was not there",
    "a stranger's connection",
];

/// Somebody with a connection and an endpoint.
pub struct Person {
    pub plan: PersonPlan,
    pub endpoint: Option<Endpoint>,
    pub lives: u32,
    pub connection: Option<u64>,
    pub address: SocketAddr,
    moves: u16,
    /// Seals what the fuzzer makes up, with the keys of this life.
    pub forger: Option<SrtpSender>,
    /// Which datagrams are lost on the way up and down: a bit for each, used again after eight.
    pub loss: (u8, u8),
}

/// The core with everybody who uses it.
pub struct World {
    seed: u64,
    base: Instant,
    pub now: Micros,
    pub sfu: Sfu,
    pub people: Vec<Person>,
    pub post: Post,
    /// The connections that are open, and whose they are.
    connections: BTreeMap<u64, usize>,
    connections_made: u64,
    /// Whose life each session belongs to, by the session's number.
    pub sessions: Vec<Option<(usize, u32)>>,
    keyed: BTreeSet<u64>,
    /// Datagrams on their way to the server.
    pub up: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Requests on their way to the server, with their connections.
    pub signals: VecDeque<(u64, u64, Signal)>,
    /// The addresses from which the server has heard anything.
    heard: BTreeSet<SocketAddr>,
    fed: usize,
    /// Whether inputs are handed in without outputs being taken.
    pub batch: bool,
    deadline: Option<Micros>,
    /// Whether keys were made up, so that nobody knows whether clients can open what they get.
    pub keys_made_up: bool,
    traces: BTreeMap<u64, TraceWriter<Vec<u8>>>,
    /// Traces of rooms that have ended.
    pub traced: Vec<Vec<u8>>,
    entropy: Dice,
}

fn address(who: usize, number: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, who as u8 + 1], 5000 + number))
}

/// Where the server is.
pub fn server_address() -> SocketAddr {
    SocketAddr::from(([10, 9, 9, 9], 7443))
}

/// Draws the clients from the simulator's worlds.
fn people(seed: u64) -> Vec<Person> {
    let plans = (0..).flat_map(|n| Plan::of(seed * 64 + n).people).flatten();
    let person = |(who, plan)| Person {
        plan,
        endpoint: None,
        lives: 0,
        connection: None,
        address: address(who, 0),
        moves: 0,
        forger: None,
        loss: (0, 0),
    };
    plans.take(PEOPLE).enumerate().map(person).collect()
}

impl World {
    /// Returns the world that this byte stands for. Its limits are small, so that a few steps reach them.
    pub fn new(seed: u8) -> Self {
        let both = |count| SlotCounts { audio: count, video: count };
        let base = Instant::now();
        let settings = Settings {
            rooms_max: 2,
            participants_per_room_max: 3,
            tracks_per_participant_max: 3,
            slots_max: both(if seed & 1 == 0 { 2 } else { 4 }),
            empty_timeout: Duration::from_secs(if seed & 2 == 0 { 0 } else { 2 }),
            resume_timeout: Duration::from_secs(6),
            media_timeout: Duration::from_secs(8),
            packets_at_once: if seed & 4 == 0 { 1 } else { 128 },
            ..Settings::for_trying(base)
        };
        Self {
            seed: u64::from(seed),
            base,
            now: 0,
            sfu: Sfu::new(settings),
            people: people(u64::from(seed)),
            post: Post::default(),
            connections: BTreeMap::new(),
            connections_made: 0,
            sessions: Vec::new(),
            keyed: BTreeSet::new(),
            up: VecDeque::new(),
            signals: VecDeque::new(),
            heard: BTreeSet::new(),
            fed: 0,
            batch: false,
            deadline: None,
            keys_made_up: false,
            traces: BTreeMap::new(),
            traced: Vec::new(),
            entropy: Dice::of(u64::from(seed), "entropy", 0),
        }
    }

    /// Returns the number that the clients are drawn from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn moment(&self) -> Now {
        Now { micros: self.now, instant: self.base + Duration::from_micros(self.now) }
    }

    /// Hands one input in, and takes what comes of it unless a batch is open.
    pub fn feed(&mut self, input: Input<'_>) {
        self.fed += 1;
        let now = self.moment().instant;
        self.sfu.handle_input(now, input);
        if !self.batch {
            self.drain();
        }
    }

    pub fn feed_datagram(&mut self, remote: SocketAddr, carrier: Carrier, mut bytes: Vec<u8>) {
        self.heard.insert(remote);
        let path = Path { carrier, local: server_address(), remote };
        self.feed(Input::Datagram { path, bytes: &mut bytes });
    }

    /// Takes all that the core wants, and what follows from that.
    pub fn drain(&mut self) {
        let batch = std::mem::replace(&mut self.batch, true);
        for turn in 0.. {
            let fed = std::mem::take(&mut self.fed);
            if fed == 0 {
                break;
            }
            assert!(turn < TURNS_MAX, "handshakes and the core keep each other busy for ever");
            self.drain_once(fed);
        }
        self.batch = batch;
    }

    fn drain_once(&mut self, fed: usize) {
        let (mut events, mut requests, mut datagrams) = (Vec::new(), Vec::new(), Vec::new());
        // However bad the inputs, each may lead to a bounded number of outputs.
        let bound = OUTPUTS_MAX.min(fed * 2000);
        let deadline = loop {
            assert!(
                events.len() + requests.len() + datagrams.len() < bound,
                "{fed} inputs, outputs without end"
            );
            match self.sfu.poll_output() {
                Output::Timeout(deadline) => break deadline.map(|deadline| deadline.at),
                Output::Event { connection, event } => events.push((connection, event)),
                Output::Dtls { session, request } => requests.push((session, request)),
                Output::Transmit(transmit) => datagrams.push(checked(&self.heard, &transmit)),
                Output::Media(_) => {
                    let mut media = Datagrams::default();
                    self.sfu.forward_share(&mut media);
                    while let Some(transmit) = media.take_next() {
                        datagrams.push(checked(&self.heard, &transmit));
                    }
                }
            }
        };
        let until = deadline.map(|at| at.saturating_duration_since(self.base));
        // Rounded up: a call before the deadline would find nothing to do, and look like spinning.
        self.deadline = until.map(|at| at.as_nanos().div_ceil(1000) as Micros);
        self.collect_recordings();
        for (connection, event) in events {
            self.tell(connection, event);
        }
        for (session, request) in requests {
            self.shake_hands(session, &request);
        }
        for (to, bytes) in datagrams {
            self.bring(to, bytes);
        }
    }

    fn tell(&mut self, connection: ConnectionId, event: Event) {
        // Every event can be written down for a client, whatever its texts hold.
        let text =
            encode_event(&event, ServerFacts { ice_servers: &[], is_self_signed: false, is_open: false });
        assert!(text.starts_with('{') && text.ends_with('}'), "{text}");
        let who = self.connections.get(&connection.0).copied();
        let mine = who.filter(|who| self.people[*who].connection == Some(connection.0));
        if matches!(event, Event::Joined(..)) {
            let life = mine.and_then(|who| Some((who, self.people[who].endpoint.as_ref()?.life)));
            self.sessions.push(life.filter(|_| !is_foreign(&event)));
        }
        let closes = match &event {
            Event::Refused(_, refusal) => strait::signal::native::is_fatal(refusal.code),
            Event::Closing(_) | Event::Left(_) => true,
            _ => false,
        };
        if let Some(who) = mine {
            let replaced = matches!(event, Event::Closing(ClosingReason::Replaced));
            let lost = matches!(event, Event::Refused(..) | Event::Left(_)) && is_foreign(&event);
            if !is_foreign(&event) && !replaced {
                self.with(who, |endpoint, now, post| endpoint.on_event(now.micros, event, post));
            }
            let person = &mut self.people[who];
            if closes || person.endpoint.as_ref().is_some_and(|endpoint| endpoint.closed) {
                person.endpoint = None;
            }
            // Whoever's requests were made up may know less than is true.
            if lost && closes {
                person.endpoint = None;
            }
        }
        if closes {
            self.hang_up(connection.0);
        }
    }

    /// Does the server's half of a handshake, which takes no time.
    fn shake_hands(&mut self, session: DtlsSession, request: &DtlsRequest) {
        let DtlsRequest::Packet(bytes) = request else { return };
        let life = self.sessions.get((session.0 - 1) as usize).copied().flatten();
        let Some((person, life)) = life else { return };
        let profile = self.people[person].plan.profile;
        let Some((reply, outcome)) = client::shake_hands(self.seed, (person, life), profile, bytes) else {
            return;
        };
        self.feed(Input::Dtls { session, event: reply });
        // A handshake ends once, even if its first flight comes again.
        if !self.keyed.insert(session.0) {
            return;
        }
        for event in outcome {
            self.feed(Input::Dtls { session, event });
        }
    }

    /// Brings a datagram to whoever is at that address, unless it is lost.
    fn bring(&mut self, to: SocketAddr, mut bytes: Vec<u8>) {
        let Some(who) = self.people.iter().position(|person| person.address == to) else { return };
        let lost = &mut self.people[who].loss.1;
        *lost = lost.rotate_left(1);
        if *lost & 1 == 0 {
            self.with(who, |endpoint, now, post| endpoint.on_datagram(now, &mut bytes, post));
        }
    }

    /// Lets a client do something, and puts what it sends on its way.
    pub fn with(&mut self, who: usize, act: impl FnOnce(&mut Endpoint, Now, &mut Post)) {
        let now = self.moment();
        let Some(endpoint) = self.people[who].endpoint.as_mut() else { return };
        act(endpoint, now, &mut self.post);
        for out in std::mem::take(&mut self.post.out) {
            let person = &mut self.people[who];
            match out {
                Out::Datagram { bytes, .. } => {
                    person.loss.0 = person.loss.0.rotate_left(1);
                    if person.loss.0 & 1 == 0 && self.up.len() < QUEUE_MAX {
                        self.up.push_back((person.address, bytes));
                    }
                }
                Out::Signal(number, signal) => {
                    let Some(connection) = person.connection else { continue };
                    self.signals.push_back((connection, number, signal));
                }
            }
        }
        for complaint in std::mem::take(&mut self.post.complaints) {
            let counts = COMPLAINTS.iter().any(|known| complaint.contains(known));
            assert!(!counts || self.keys_made_up, "{complaint}");
        }
    }

    /// Opens a connection for somebody, in place of the one they have. Returns its number.
    pub fn connect(&mut self, who: usize) -> u64 {
        self.disconnect(who);
        self.connections_made += 1;
        self.connections.insert(self.connections_made, who);
        self.people[who].connection = Some(self.connections_made);
        self.connections_made
    }

    /// Breaks somebody's connection, as a network does.
    pub fn disconnect(&mut self, who: usize) {
        let Some(connection) = self.people[who].connection else { return };
        self.hang_up(connection);
        self.feed(Input::ConnectionLost(ConnectionId(connection)));
    }

    fn hang_up(&mut self, connection: u64) {
        self.signals.retain(|(other, ..)| *other != connection);
        if let Some(who) = self.connections.remove(&connection)
            && self.people[who].connection == Some(connection)
        {
            self.people[who].connection = None;
        }
    }

    /// Hands in a request that arrives. `number` is `None` for one that no client of ours made.
    pub fn ask(&mut self, connection: u64, number: Option<u64>, signal: Signal) {
        let connection = ConnectionId(connection);
        let id = number.map_or_else(|| FOREIGN.to_owned(), |number| number.to_string());
        let request = Some(RequestId(id.into()));
        match signal {
            Signal::Join(join) => {
                let mut entropy = [0; 32];
                entropy.copy_from_slice(&self.entropy.bytes(32));
                let candidates = [TransportProtocol::Udp, TransportProtocol::Tcp]
                    .map(|protocol| LocalCandidate { protocol, address: server_address() });
                let admission = Admission { entropy, candidates: candidates.to_vec() };
                self.feed(Input::Join { connection, request, host: None, admission, join });
            }
            Signal::Resume(resume) => self.feed(Input::Resume { connection, request, resume }),
            Signal::Command(command) => self.feed(Input::Command { connection, request, command }),
        }
    }

    /// From now on somebody's packets come from another address.
    pub fn relocate(&mut self, who: usize) {
        let person = &mut self.people[who];
        person.moves += 1;
        person.address = address(who, person.moves);
    }

    /// Returns what seals packets as somebody would, if they have keys.
    pub fn forge(&mut self, who: usize) -> Option<&mut SrtpSender> {
        let (seed, person) = (self.seed, &mut self.people[who]);
        let life = person.endpoint.as_ref().filter(|endpoint| endpoint.connected)?.life;
        if person.forger.is_none() {
            let profile: SrtpProfile = person.plan.profile;
            let material = client::keying_material(seed, who, life, profile);
            let (_, mut sender) = srtp::contexts(profile, &material, true).expect("as long as it must be");
            // Their own reports have used the first numbers.
            for _ in 0..64 {
                let mut nothing = [0x80, 200, 0, 0, 0, 0, 0, 0].to_vec();
                nothing.resize(8 + srtp::RTCP_OVERHEAD_MAX, 0);
                let _ = sender.seal_rtcp(&mut nothing, 8);
            }
            person.forger = Some(sender);
        }
        person.forger.as_mut()
    }

    /// Serves all deadlines that have come.
    pub fn serve(&mut self) {
        self.drain();
        for spin in 0.. {
            if self.deadline.is_none_or(|at| at > self.now) {
                break;
            }
            assert!(spin < SPINS_MAX, "the core wants to be called again and again, and nothing comes of it");
            self.call();
        }
    }

    /// Calls the core when it wants to be called.
    pub fn call(&mut self) {
        self.feed(Input::Timeout);
        self.drain();
    }

    /// Lets time pass, and serves each deadline in its time.
    pub fn wait(&mut self, until: Micros) {
        self.serve();
        while let Some(at) = self.deadline.filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.serve();
        }
        self.now = self.now.max(until);
    }

    /// Records all rooms from now on.
    pub fn record(&mut self) {
        self.feed(Input::Admin(AdminCommand::RecordRooms("*".parse().expect("a pattern"))));
    }

    fn collect_recordings(&mut self) {
        while let Some(output) = self.sfu.poll_recording() {
            match output {
                RecordingOutput::Begin(id, header) => {
                    let writer = TraceWriter::new(Vec::new(), &Header::new(*header)).expect("memory");
                    self.traces.insert(id.0, writer);
                }
                RecordingOutput::Records(id, records) => {
                    let writer = self.traces.get_mut(&id.0).expect("a recording begins first");
                    writer.records(&records).expect("memory");
                }
                RecordingOutput::End(id) => {
                    let writer = self.traces.remove(&id.0).expect("a recording begins first");
                    let end = EndOfTrace { complete: true, reason: "the room ended".to_owned() };
                    let trace = writer.end(&end).expect("memory");
                    self.replay(&trace);
                    self.traced.push(trace);
                }
            }
        }
    }

    /// A recorded room does the same again, with its clock elsewhere.
    fn replay(&self, trace: &[u8]) {
        let mut trace = Trace::open(trace, None).expect("a trace that was just written");
        let epoch = self.base + Duration::from_secs(100_000);
        let replayed = replay(&mut trace, epoch, None, &mut []).expect("a trace that was just written");
        assert_eq!(replayed.parted, None, "a replay does something else");
    }

    /// Everybody goes without a word, and nothing is left.
    pub fn end(&mut self) {
        self.batch = false;
        self.drain();
        for person in &mut self.people {
            person.endpoint = None;
        }
        for connection in self.connections.keys().copied().collect::<Vec<_>>() {
            self.hang_up(connection);
            self.feed(Input::ConnectionLost(ConnectionId(connection)));
        }
        self.wait(self.now + 60_000_000);
        assert_eq!(self.deadline, None, "everybody has been gone for a minute, and the core waits");
        let snapshot = self.sfu.snapshot(self.moment().instant);
        assert!(snapshot.rooms.is_empty(), "{:?} are left", snapshot.rooms);
        assert_eq!((snapshot.demux_entries, snapshot.deadlines), (0, 0));
        assert_eq!(self.sfu.counts(), (0, 0));
        assert!(self.traces.is_empty(), "a recording ends with its room");
    }
}

/// Whether it is a reply to a request that no client of ours made.
fn is_foreign(event: &Event) -> bool {
    let (Event::Joined(request, _)
    | Event::Resumed(request, _)
    | Event::Answer { request, .. }
    | Event::Done(request)
    | Event::Refused(request, _)
    | Event::Left(request)) = event
    else {
        return false;
    };
    request.as_ref().is_some_and(|request| &*request.0 == FOREIGN)
}

/// A room by number.
pub fn room(other: bool) -> RoomId {
    if other { "b" } else { "a" }.parse().expect("a good name")
}

/// A datagram that leaves is one that may.
fn checked(heard: &BTreeSet<SocketAddr>, transmit: &Transmit<'_>) -> (SocketAddr, Vec<u8>) {
    assert!(transmit.bytes.len() <= DATAGRAM_BYTES_MAX, "{} bytes", transmit.bytes.len());
    let kind = classify(transmit.bytes);
    assert!(!matches!(kind, DatagramKind::Unknown | DatagramKind::TurnChannel), "a datagram of no kind");
    let to = transmit.path.remote;
    assert!(heard.contains(&to), "a datagram to {to}, of whom nobody has heard");
    assert_eq!(transmit.path.local, server_address());
    (to, transmit.bytes.to_vec())
}

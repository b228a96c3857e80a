//! The loop: steps 1 and 12 of a packet's walk. One `now` per turn; read all, handle, drain the core, write all, and
//! sleep until the next deadline of the core, a handshake or a connection.
//!
//! Every source has a budget per turn, so that a flood on one cannot starve the rest. Never blocks but in `poll`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll};
use tracing::{debug, info, trace, warn};

use super::address::{Candidates, unused_network};
use super::assets::Assets;
use super::bind::{UdpBuffers, bind};
use super::connection::{Next, Standing};
use super::dtls::{DtlsEvents, Handshakes};
use super::egress::Egress;
use super::overload::Overload;
use super::process::raise_open_files;
use super::recording::TraceKeeper;
use super::self_signed::SelfSigned;
use super::shell_counters::ShellCounters;
use super::shutdown::{ExitReason, ShutdownWatch};
use super::tcp::Connections;
use super::tls::{Certificates, Source};
use super::turn::{Turn, Verdict};
use super::udp::{Udp, UdpOptions};
use super::whip::WhipSessions;
use super::ws::Close;
use super::{BoundAddresses, CertificateInfo, CoreSeed, SetLogLevel, ShellConfig, clock, token};
use crate::core::input::AdminCommand;
use crate::core::output::Transmit;
use crate::core::path::{TrafficClass, Transport};
use crate::core::{Input, Output, Settings, Sfu};

/// Readiness events taken from the kernel at a time.
const EVENTS_PER_TURN: usize = 1024;

/// Datagrams after which a turn reads no further batch.
const DATAGRAMS_PER_TURN: u64 = 2048;

/// After this, a turn reads no further batch of datagrams, and hears no further connection: what came first is sent
/// first, and a crowd that comes or goes does not keep media waiting. One datagram can be work for hundreds.
const READING_PER_TURN: Duration = Duration::from_millis(2);

/// Requests or messages of one connection handled in one turn.
const MESSAGES_PER_TURN: usize = 32;

/// Datagrams of one ICE-TCP connection handled at a time; it gets [`MESSAGES_PER_TURN`] such helpings in a turn.
const FRAMES_AT_ONCE: usize = 64;

/// What all streams are read by way of.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Open files that are not for clients' connections: sockets, pipes, traces, what is read at times.
const FILES_KEPT: usize = 64;

/// The shell's state. Answering requests is in `requests`, messages and events in `signalling`.
pub struct EventLoop {
    pub(super) config: ShellConfig,
    poll: Poll,
    pub(super) sfu: Sfu,
    /// Whether the core was given something since it was last drained.
    pub(super) fed: bool,
    /// Whether the core has media to forward.
    media_waits: bool,
    core_deadline: Option<Instant>,
    pub(super) udp: Udp,
    udp_readable: bool,
    udp_blocked: bool,
    pub(super) connections: Connections,
    pub(super) certificates: Certificates,
    pub(super) handshakes: Handshakes,
    dtls_events: DtlsEvents,
    pub(super) candidates: Candidates,
    pub(super) turn: Turn,
    pub(super) whip: WhipSessions,
    pub(super) traces: TraceKeeper,
    pub(super) assets: Assets,
    pub(super) set_log_level: SetLogLevel,
    pub(super) overload: Overload,
    pub(super) shutdown: ShutdownWatch,
    pub(super) counters: ShellCounters,
    scratch: Vec<u8>,
    pub(super) started: Instant,
    bound: SocketAddr,
    /// How often the loop went round.
    pub(super) turns: u64,
}

/// How many connections there can be, with so many open files.
fn affordable(connections_max: usize, open_files: Option<u64>) -> usize {
    let files = open_files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    let affordable = files.saturating_sub(FILES_KEPT).max(1);
    if affordable < connections_max {
        warn!(
            open_files = files,
            connections = affordable,
            "fewer connections than signalling.max_connections fit in the limit of open files; raise it (ulimit -n, or \
             LimitNOFILE= in the unit)"
        );
    }
    connections_max.min(affordable)
}

impl EventLoop {
    /// Opens the port and makes the core.
    pub fn new(
        config: ShellConfig,
        settings: impl FnOnce(CoreSeed) -> Settings,
        set_log_level: SetLogLevel,
    ) -> io::Result<Self> {
        let mut config = config;
        config.connections_max = affordable(config.connections_max, raise_open_files());
        let poll = Poll::new()?;
        let buffers = UdpBuffers { receive: config.udp_receive_buffer, send: config.udp_send_buffer };
        let bound = bind(config.listen, buffers)?;
        let now = clock::now();
        let relayed = config.turn.network;
        let relayed = relayed.unwrap_or_else(|| unused_network(&config.public_addresses, bound.address));
        let turn_network = config.turn.enabled.then_some(relayed);
        let mut candidates = Candidates::new(config.public_addresses.clone(), bound.address, turn_network);
        let local_default = default_local(&mut candidates, now, bound.address);
        let certificates = certificates(&config, &mut candidates, now)?;
        let options = UdpOptions { portable: config.force_portable_udp, dscp: config.dscp, relayed };
        let mut udp = Udp::new(bound.udp, bound.address, options, local_default)?;
        let mut connections = Connections::new(bound.tcp);
        let registry = poll.registry();
        registry.register(udp.source(), token::UDP, Interest::READABLE)?;
        if let Some(listener) = connections.listener() {
            registry.register(listener, token::LISTENER, Interest::READABLE)?;
        }
        let shutdown = ShutdownWatch::new(registry, config.handle_signals, config.drain)?;
        let handshakes = Handshakes::new()?;
        let certificate = handshakes.certificate().to_vec();
        let (patience, port) = (config.handshake_timeout, bound.address.port());
        let turn = Turn::new(config.turn.clone(), relayed, patience, port, now)?;
        let mut sfu = Sfu::new(settings(CoreSeed { certificate, epoch: now, epoch_unix: clock::unix() }));
        let traces = TraceKeeper::new(config.record.as_ref())?;
        for rooms in config.record.iter().flat_map(|record| &record.rooms) {
            sfu.handle_input(now, Input::Admin(AdminCommand::RecordRooms(rooms.clone())));
        }
        Ok(Self {
            config,
            poll,
            sfu,
            fed: true,
            media_waits: false,
            core_deadline: None,
            udp,
            udp_readable: true,
            udp_blocked: false,
            connections,
            certificates,
            handshakes,
            dtls_events: DtlsEvents::new(),
            candidates,
            turn,
            whip: WhipSessions::default(),
            traces,
            assets: Assets::new(),
            set_log_level,
            overload: Overload::new(now),
            shutdown,
            counters: ShellCounters::new(clock::unix()),
            scratch: vec![0; SCRATCH_BYTES],
            started: now,
            bound: bound.address,
            turns: 0,
        })
    }

    /// What is open.
    pub fn bound_addresses(&mut self) -> io::Result<BoundAddresses> {
        let now = clock::now();
        let local = default_local(&mut self.candidates, now, self.bound);
        let reachable = self.candidates.for_client(now, Ipv4Addr::UNSPECIFIED.into(), local, true);
        Ok(BoundAddresses {
            listen: self.bound,
            reachable: reachable
                .into_iter()
                .filter(|candidate| candidate.transport == Transport::Udp)
                .map(|candidate| candidate.address)
                .collect(),
            is_public: self.candidates.is_public(now),
            certificate: CertificateInfo {
                is_self_signed: self.certificates.is_self_signed(),
                fingerprint: self.certificates.fingerprint().to_owned(),
            },
            stop: self.shutdown.handle(),
        })
    }

    /// Runs until something asks for the end.
    pub fn run(&mut self) -> io::Result<ExitReason> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        loop {
            let turn = self.turn(&mut events);
            if !matches!(turn, Ok(None)) {
                self.traces.finish();
            }
            if let Some(reason) = turn? {
                info!(?reason, "stopped");
                return Ok(reason);
            }
        }
    }

    fn turn(&mut self, events: &mut Events) -> io::Result<Option<ExitReason>> {
        // Handling took time: what is left until a deadline is counted from here, not from the last turn's `now`.
        let before = clock::now();
        let timeout = self.sleep(before);
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            result => result?,
        }
        self.turns += 1;
        let now = clock::now();
        self.overload.slept(now.saturating_duration_since(before));
        if let Some(withheld) = self.overload.decide(now) {
            self.feed(now, Input::Withhold(withheld));
        }
        let asked_to_stop = self.note_readiness(events);
        if asked_to_stop {
            self.stop_was_asked_for(now);
        }
        self.read_udp(now);
        self.connections.accept(now, self.poll.registry(), &self.config);
        self.read_connections(now);
        self.run_deadlines(now);
        self.write_all(now);
        self.forward(now);
        self.end_draining(now);
        self.keep_records(now);
        let waits_since = self.sfu.media_waits_since();
        if let Some(time) = self.udp.handed_over(now, waits_since) {
            self.overload.held(time);
        }
        Ok(self.shutdown.exit(now, self.connections.len()))
    }

    /// Forwards a share of the media that waits; the rest has its turn when what has come meanwhile is read. Signalling has
    /// been written before: a client must hear whose media follows before it does.
    fn forward(&mut self, now: Instant) {
        if std::mem::take(&mut self.media_waits) {
            let Self { sfu, udp, turn, connections, scratch, .. } = self;
            sfu.forward(&mut Egress::new(now, udp, turn, connections, scratch));
            self.write_all(now);
        }
    }

    /// Carries out and sends all there is but media. Writing can end a connection, which the core must hear of, which can
    /// make it say something.
    pub(super) fn write_all(&mut self, now: Instant) {
        loop {
            self.drain(now);
            self.write(now);
            if !self.fed {
                break;
            }
        }
    }

    /// How long there is nothing to do; `None`: until something comes.
    fn sleep(&self, now: Instant) -> Option<Duration> {
        if self.udp_readable || self.media_waits {
            return Some(Duration::ZERO);
        }
        [
            self.core_deadline,
            self.handshakes.next_deadline(),
            self.connections.next_deadline(now),
            self.turn.next_deadline(),
            self.shutdown.until(),
            self.traces.next_deadline(),
            Some(self.certificates.next_deadline()),
        ]
        .into_iter()
        .flatten()
        .min()
        .map(|at| at.saturating_duration_since(now))
    }

    /// Marks what can be read. Whether somebody asks for the end.
    fn note_readiness(&mut self, events: &Events) -> bool {
        let mut asked_to_stop = false;
        for event in events {
            match event.token() {
                token::UDP => {
                    self.udp_readable |= event.is_readable();
                    if event.is_writable() {
                        self.udp.writable();
                    }
                }
                token::LISTENER => self.connections.set_acceptable(),
                token::SIGNALS | token::STOP => asked_to_stop = true,
                other => {
                    if let Some(place) = token::connection(other) {
                        let readable = event.is_readable() || event.is_read_closed() || event.is_error();
                        self.connections.woke(place, readable);
                    }
                }
            }
        }
        asked_to_stop
    }

    /// The one way into the core.
    pub(super) fn feed(&mut self, now: Instant, input: Input<'_>) {
        self.fed = true;
        self.sfu.handle_input(now, input);
    }

    fn read_udp(&mut self, now: Instant) {
        let Self { udp, sfu, fed, udp_readable, turn, candidates, .. } = self;
        let mut datagrams = 0;
        while *udp_readable && datagrams < DATAGRAMS_PER_TURN {
            let received = udp.receive(|path, bytes| {
                let (path, bytes) = match turn.receive_datagram(now, path, bytes, candidates) {
                    Verdict::Core => (path, bytes),
                    Verdict::Relayed(relayed) => {
                        (relayed.path, bytes.get_mut(relayed.range).unwrap_or_default())
                    }
                    Verdict::Handled => return,
                };
                *fed = true;
                sfu.handle_input(now, Input::Datagram { path, bytes });
            });
            *udp_readable = received.more;
            // An interrupted call counts too: nothing here may go on for ever.
            datagrams += received.datagrams.max(1);
            // A batch that is not full is the last one: then nobody asks for the time.
            if *udp_readable && clock::now() >= now + READING_PER_TURN {
                break;
            }
        }
    }

    fn read_connections(&mut self, now: Instant) {
        if self.connections.ready_len() == 0 {
            return;
        }
        let until = clock::now() + READING_PER_TURN;
        for _ in 0..self.connections.ready_len() {
            let Some(place) = self.connections.next_ready() else { return };
            self.read_connection(now, place);
            if self.fed {
                // What a message leads to is part of its cost: news for hundreds, perhaps.
                self.drain(now);
            }
            if clock::now() >= until {
                return;
            }
        }
    }

    fn read_connection(&mut self, now: Instant, place: usize) {
        if let Some(why) = self.connections.ending(place) {
            return self.end_connection(now, place, why);
        }
        self.connections.touch(place);
        let Some(connection) = self.connections.at(place) else { return };
        if let Err(error) = connection.fill(now, &mut self.scratch) {
            trace!(connection = connection.id.0, %error, "reading failed");
            self.end_connection(now, place, "the stream broke while reading");
            return;
        }
        for _ in 0..MESSAGES_PER_TURN {
            let Some(connection) = self.connections.at(place) else { return };
            match connection.next(now, self.certificates.config(), self.turn.is_enabled()) {
                Next::Nothing => {
                    if connection.wants_reading() {
                        self.connections.make_ready(place);
                    }
                    return;
                }
                Next::Request(request) => self.answer(now, place, &request),
                Next::Socket(incoming) => self.on_socket(now, place, incoming),
                Next::Datagrams => self.read_datagrams(now, place),
                Next::Turn => self.read_turn(now, place, FRAMES_AT_ONCE),
                Next::Refused(why) => return self.end_connection(now, place, why),
            }
        }
        self.connections.make_ready(place);
    }

    fn read_datagrams(&mut self, now: Instant, place: usize) {
        let Self { connections, sfu, fed, .. } = self;
        let Some(connection) = connections.at(place) else { return };
        let path = connection.path();
        let count = connection.receive(FRAMES_AT_ONCE, |bytes| {
            *fed = true;
            sfu.handle_input(now, Input::Datagram { path, bytes });
        });
        connections.frames.received += count as u64;
    }

    fn run_deadlines(&mut self, now: Instant) {
        while let Some(place) = self.connections.next_due(now) {
            let Some(connection) = self.connections.at(place) else { continue };
            match connection.run_deadline(now, &self.config) {
                Standing::Open => self.connections.touch(place),
                Standing::Over(why) => self.end_connection(now, place, why),
            }
        }
        self.turn.run_deadlines(now);
        self.certificates.run_deadline(now, clock::unix());
        self.handshakes.run_deadlines(now, &mut self.dtls_events);
        if self.core_deadline.is_some_and(|at| at <= now) {
            self.feed(now, Input::Timeout);
        }
    }

    /// Takes everything but media out of the core, and carries handshakes on for as long as that makes something happen.
    pub(super) fn drain(&mut self, now: Instant) {
        self.settle_turn(now);
        loop {
            self.fed = false;
            loop {
                match self.sfu.poll_output() {
                    Output::Event { connection, event } => self.deliver(now, connection, &event),
                    Output::Dtls { session, request } => {
                        let Self { handshakes, dtls_events, turn, udp, connections, scratch, .. } = self;
                        if let Some((path, bytes)) = handshakes.request(now, session, request, dtls_events) {
                            let goodbye = Transmit { path, class: TrafficClass::Control, bytes: &bytes };
                            Egress::new(now, udp, turn, connections, scratch).transmit(&goodbye);
                        }
                    }
                    Output::Transmit(transmit) => {
                        let Self { turn, udp, connections, scratch, .. } = self;
                        Egress::new(now, udp, turn, connections, scratch).transmit(&transmit);
                    }
                    Output::Media(at) => {
                        self.core_deadline = at;
                        self.media_waits = true;
                        break;
                    }
                    Output::Timeout(at) => {
                        self.core_deadline = at;
                        break;
                    }
                }
            }
            let whip = self.whip.take_commands();
            if self.dtls_events.is_empty() && whip.is_empty() {
                return;
            }
            for (connection, command) in whip {
                self.feed(now, Input::Command { connection, request: None, command });
            }
            let mut events = std::mem::take(&mut self.dtls_events);
            for (session, event) in events.drain(..) {
                self.feed(now, Input::Dtls { session, event });
            }
            // Keeps the capacity; nothing was added meanwhile.
            self.dtls_events = events;
        }
    }

    /// Signalling first.
    fn write(&mut self, now: Instant) {
        while let Some(place) = self.connections.next_touched() {
            self.settle(now, place);
        }
        let blocked = self.udp.flush();
        if blocked != self.udp_blocked {
            self.udp_blocked = blocked;
            let interest = if blocked { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
            if let Err(error) = self.poll.registry().reregister(self.udp.source(), token::UDP, interest) {
                warn!(%error, "the UDP socket cannot be watched for room to write");
            }
        }
    }

    fn settle(&mut self, now: Instant, place: usize) {
        let Some(connection) = self.connections.at(place) else { return };
        let known = connection.web_socket().is_some_and(|socket| socket.known_to_core);
        let standing = connection.settle(now, &self.config);
        if known && connection.web_socket().is_none() {
            debug!(connection = connection.id.0, peer = %connection.peer, "the client does not read: dropped");
            let id = connection.id;
            self.feed(now, Input::ConnectionLost(id));
        }
        match standing {
            Standing::Open => {
                self.connections.arm(place, &self.config);
                self.resume_pipelined(place);
            }
            // In the next turn, within what a turn may hear: its end may be news for hundreds, and many may end at once.
            Standing::Over(why) => self.connections.end_soon(place, why),
        }
    }

    /// Requests that had to wait until answers were written get their turn.
    fn resume_pipelined(&mut self, place: usize) {
        if self.connections.at(place).is_some_and(|connection| connection.has_waiting_request()) {
            self.connections.make_ready(place);
        }
    }

    /// A connection is over: the core hears of it if it ever heard of the connection.
    pub(super) fn end_connection(&mut self, now: Instant, place: usize, why: &'static str) {
        let Some(connection) = self.connections.at(place) else { return };
        let (id, peer) = (connection.id, connection.peer);
        let known = connection.web_socket().is_some_and(|socket| socket.known_to_core);
        trace!(connection = id.0, %peer, why, "connection over");
        if connection.is_turn() {
            self.turn.connection_over(id);
        }
        self.connections.remove(place, self.poll.registry());
        if known {
            debug!(connection = id.0, %peer, why, "signalling connection lost");
            self.feed(now, Input::ConnectionLost(id));
        }
    }

    /// Everyone is told; whoever has not joined is just closed.
    pub(super) fn begin_shutdown(&mut self, now: Instant, reason: ExitReason) {
        info!(?reason, connections = self.connections.len(), "stopping");
        self.connections.stop_listening(self.poll.registry());
        self.feed(now, Input::Admin(AdminCommand::Shutdown));
        self.drain(now);
        for place in self.connections.places() {
            if let Some(connection) = self.connections.at(place) {
                connection.finish_http(now);
                if connection.finish_turn(now) {
                    self.turn.connection_over(connection.id);
                }
                if let Some(socket) = connection.web_socket() {
                    socket.close(now, Close::GoingAway);
                }
            }
            self.connections.touch(place);
        }
    }
}

/// The certificate that the operator chose, or our own.
fn certificates(config: &ShellConfig, candidates: &mut Candidates, now: Instant) -> io::Result<Certificates> {
    let source = match &config.tls_files {
        Some(files) => Source::Files(files.clone()),
        None => Source::SelfSigned(SelfSigned {
            directory: config.data_dir.clone(),
            addresses: candidates.ips(now),
            required: config.public_addresses.clone(),
        }),
    };
    Certificates::new(source, now, clock::unix())
}

/// An address of ours, where the system does not say which one a packet came to.
fn default_local(candidates: &mut Candidates, now: Instant, bound: SocketAddr) -> IpAddr {
    let ip = bound.ip().to_canonical();
    if !ip.is_unspecified() {
        return ip;
    }
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    let first = candidates.for_client(now, Ipv4Addr::UNSPECIFIED.into(), loopback, true);
    first.first().map_or(loopback, |candidate| candidate.address.ip())
}

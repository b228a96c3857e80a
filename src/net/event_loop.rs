//! The loop: reads what has come, hands it to the core, carries out what the core asks for, and writes. Each pass has
//! one `now`. Between passes the loop sleeps until something comes or the next deadline is due.
//!
//! Every source has a budget for each pass, so that a flood on one cannot starve the rest. It blocks only in `poll`.
//!
//! The [`Front`] has the clients' connections; the [`Shard`] has the core and its sockets. They never call each other:
//! the loop carries demands from the front to the core and events back, so each could run on a thread of its own.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use serde_json::{Value, json};
use tracing::{debug, info, trace, warn};

use super::address::Candidates;
use super::address_rates::host_of;
use super::api::{ApiCall, ApiRequest, answers};
use super::audit::Actor;
use super::front::router::{MediasoupTarget, Route};
use super::front::{
    Asking, Entry, Front, LiveKitOutcome, MediasoupOutcome, Reach, WhipOutcome, WhipRequests,
};
use super::http::message::{Request, Response};
use super::ledger::Ledger;
use super::load_shedding::LoadShedding;
use super::opening::{Opened, bound_addresses, open};
use super::operator::admin::{self, AdminAnswer, AdminRequest};
use super::operator::history::{Counted, History, Seen};
use super::operator::{health, metrics, recordings};
use super::process::Process;
use super::shard::Shard;
use super::shell_config::ShellConfig;
use super::shutdown::{Begin, ExitReason, ShutdownWatch};
use super::startup::{BoundAddresses, CoreSeed, SetLogLevel};
use super::tcp::connection::{Next, Standing};
use super::traces::keeper::TraceKeeper;
use super::view::ServerView;
use super::{clock, entropy, token, twirp};
use crate::core::command::Join;
use crate::core::event::{Event, Refusal, RefusalCode};
use crate::core::ids::{ConnectionId, RequestId, RoomId};
use crate::core::input::{AdminCommand, Admission};
use crate::core::moderation::Moderation;
use crate::core::path::TransportProtocol;
use crate::core::room_options::{RecordingPolicy, RoomChange};
use crate::core::stats::Calls;
use crate::core::{Input, Settings};
use crate::signal::Demand;
use crate::signal::livekit::Trial;
use crate::signal::native::{self, Close, refusals};

/// Readiness events taken from the kernel at a time.
const EVENTS_PER_PASS: usize = 1024;

/// After this time a pass reads no further batch of datagrams. One datagram can make hundreds of packets, so without a limit
/// a crowd that comes or goes would keep media waiting.
const READING_PER_PASS: Duration = Duration::from_millis(2);

/// After this time a pass reads no further connection: media waits for as long. Another pass costs a hundredth
/// of it.
const HEARING_PER_PASS: Duration = Duration::from_micros(500);

/// After this time a pass ends no further connection whose time is up: thousands that were opened together must not keep
/// media waiting when they end together.
const ENDING_PER_PASS: Duration = Duration::from_micros(500);

/// Connections that were heard for longer than this may have kept packets waiting.
const LONG_HEARING: Duration = Duration::from_micros(250);

/// Requests or messages of one connection handled in one pass. Of datagrams on a connection it is as many helpings.
const MESSAGES_PER_PASS: usize = 32;

/// The buffer through which all streams are read, and in which media that does not leave by UDP is built.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Who wakes up so much later than planned stood still: the machine was suspended, or had no time for the server.
const STOOD_STILL: Duration = Duration::from_secs(1);

/// For this long after that, connections are read before any of them is closed for its silence.
const LISTENS_FIRST: Duration = Duration::from_secs(3);

/// What the shell knows about somebody who joins.
struct Admitted {
    room: RoomId,
    host: IpAddr,
    admission: Admission,
}

/// The whole server: one value, which one thread runs.
pub struct EventLoop {
    poll: Poll,
    /// The clients' connections and the front ends that serve them.
    front: Front,
    /// The core and its sockets.
    shard: Shard,
    /// The addresses at which clients can reach us. Both halves need them.
    candidates: Candidates,
    traces: TraceKeeper,
    /// What is kept of what happens in rooms.
    ledger: Ledger,
    /// What is kept of how calls go.
    history: History,
    shedding: LoadShedding,
    shutdown: ShutdownWatch,
    set_log_level: SetLogLevel,
    scratch: Vec<u8>,
    bound: SocketAddr,
    /// The port for management, if it has one of its own.
    admin: Option<SocketAddr>,
    started: Instant,
    /// When the last pass began to read what had come.
    listened_at: Instant,
    /// After the server stood still: until then nobody is given up whose bytes wait.
    listens_first_until: Instant,
    /// How often the loop went round.
    passes: u64,
}

impl EventLoop {
    /// Opens the port and makes the core. `settings` makes the core's settings from what only the shell can know.
    pub fn new(
        config: ShellConfig,
        settings: impl FnOnce(CoreSeed) -> Settings,
        set_log_level: SetLogLevel,
    ) -> io::Result<Self> {
        let Opened { poll, front, shard, candidates, traces, ledger, shutdown, bound, admin, now } =
            open(config, settings)?;
        Ok(Self {
            poll,
            front,
            shard,
            candidates,
            traces,
            ledger,
            history: History::new(now),
            shedding: LoadShedding::new(now, clock::thread()),
            shutdown,
            set_log_level,
            scratch: vec![0; SCRATCH_BYTES],
            bound,
            admin,
            started: now,
            listened_at: now,
            listens_first_until: now,
            passes: 0,
        })
    }

    /// Returns the addresses that are open, and the handle that stops the loop.
    pub fn bound_addresses(&mut self) -> BoundAddresses {
        let stop = self.shutdown.handle();
        bound_addresses(&mut self.candidates, (self.bound, self.admin), &self.front.certificates, stop)
    }

    /// Runs until somebody stops it, and returns why.
    pub fn run(&mut self) -> io::Result<ExitReason> {
        let mut events = Events::with_capacity(EVENTS_PER_PASS);
        loop {
            let pass = self.pass(&mut events);
            // Even when the loop fails, what was recorded must be kept.
            if !matches!(pass, Ok(None)) {
                self.traces.finish();
                self.ledger.webhooks.finish();
                self.front.audit.finish();
            }
            if let Some(reason) = pass? {
                info!(?reason, "stopped");
                return Ok(reason);
            }
        }
    }

    fn pass(&mut self, events: &mut Events) -> io::Result<Option<ExitReason>> {
        // The last pass took time, so the sleep is counted from here, not from its `now`.
        let before = clock::now();
        let timeout = self.sleep(before);
        let mut left = timeout;
        while let Err(error) = self.poll.poll(events, left) {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
            // A process that was stopped goes on here, and must know what can be read before it gives anybody up.
            left =
                timeout.map(|timeout| timeout.saturating_sub(clock::now().saturating_duration_since(before)));
        }
        self.passes += 1;
        let now = clock::now();
        self.shedding.slept(now.saturating_duration_since(before));
        // Also counts the rest of the last pass, which may have been stopped as well.
        let deaf = now.saturating_duration_since(self.listened_at);
        self.listened_at = now;
        if timeout.is_some_and(|timeout| deaf > timeout + STOOD_STILL) {
            warn!(?deaf, planned = ?timeout, "the server stood still");
            self.listens_first_until = now + LISTENS_FIRST;
            self.shard.feed(now, Input::StoodStill(deaf));
        }
        if let Some(share) = self.shedding.decide(now, clock::thread) {
            self.shard.feed(now, Input::Shed(share));
        }
        if self.note_readiness(events) {
            self.begin_ending(now);
        }
        self.front.connections.accept(now, self.poll.registry(), &self.front.config);
        let heard_for = self.read_connections(now);
        // After the connections, so that a packet waits for one message at most, however long that takes.
        let mut now = now;
        if heard_for > LONG_HEARING {
            self.shard.woke(true, false);
            now = clock::now();
        }
        self.shard.read_udp(now, now + READING_PER_PASS, &mut self.candidates);
        self.run_deadlines(now);
        self.write_all(now);
        self.forward_media(now);
        self.end_draining(now);
        if now >= self.history.deadline() {
            self.look_at_calls(now);
        }
        self.traces.collect(now, &mut self.shard.sfu);
        self.ledger.collect(&mut self.shard.sfu);
        while let Some((room, notice)) = self.shard.sfu.poll_notice() {
            let (by, about) = (&notice.by, notice.about.as_ref());
            info!(%room, by = ?by, about = ?about, deed = ?notice.deed, "noted");
            self.front.audit.note_deed(&room, &notice);
        }
        if let Some(time) = self.shard.end_pass(now) {
            self.shedding.held(time);
        }
        Ok(self.shutdown.exit(now, self.front.connections.len()))
    }

    /// Forwards a share of the media that waits. Signalling must have been written before: a client has to be told
    /// whose media follows before it arrives.
    fn forward_media(&mut self, now: Instant) {
        let Self { shard, front, scratch, .. } = self;
        if shard.forward_media(now, &mut front.connections, scratch) {
            self.write_all(now);
        }
    }

    /// Drains the core and writes everything except media. Loops, because a failed write ends a connection, and the core
    /// may react to that.
    fn write_all(&mut self, now: Instant) {
        loop {
            self.drain(now);
            self.write(now);
            if !self.shard.is_fed() {
                break;
            }
        }
    }

    /// Returns how long the loop may sleep; `None` if until something comes.
    fn sleep(&self, now: Instant) -> Option<Duration> {
        if self.shard.is_ready() {
            return Some(Duration::ZERO);
        }
        let deadlines = [
            self.shard.next_deadline(),
            self.front.connections.next_deadline(now),
            self.shutdown.until(),
            self.traces.next_deadline(),
            Some(self.history.deadline()),
            self.front.voice.deadline(),
            Some(self.front.certificates.next_deadline()),
        ];
        deadlines.into_iter().flatten().min().map(|at| at.saturating_duration_since(now))
    }

    /// Marks what can be read. Returns whether somebody asks the server to stop.
    fn note_readiness(&mut self, events: &Events) -> bool {
        let mut asked_to_stop = false;
        for event in events {
            match event.token() {
                token::UDP => self.shard.woke(event.is_readable(), event.is_writable()),
                token::LISTENER | token::MANAGEMENT => self.front.connections.set_acceptable(),
                token::SIGNALS | token::STOP => asked_to_stop = true,
                other => {
                    if let Some(place) = token::connection(other) {
                        // Reading also finds the end of a stream and its errors.
                        let readable = event.is_readable() || event.is_read_closed() || event.is_error();
                        self.front.connections.woke(place, readable);
                    }
                }
            }
        }
        asked_to_stop
    }

    /// Reads connections that have something to say, one after the other, for as long as they may be heard in one pass.
    /// Returns how long that took.
    fn read_connections(&mut self, now: Instant) -> Duration {
        if self.front.connections.ready_len() == 0 {
            return Duration::ZERO;
        }
        let began = clock::now();
        let until = began + self.shedding.signalling_budget(HEARING_PER_PASS);
        let mut ended = began;
        for _ in 0..self.front.connections.ready_len() {
            let Some(place) = self.front.connections.next_ready() else { break };
            self.read_connection(now, place, until);
            ended = clock::now();
            if ended >= until {
                break;
            }
        }
        let took = ended.saturating_duration_since(began);
        self.shedding.signalled(took);
        took
    }

    /// Reads one connection and does what its messages ask for. Stops when nothing is left, when the connection's share
    /// of the pass is used up, or when `until` has passed.
    fn read_connection(&mut self, now: Instant, place: usize, until: Instant) {
        if let Some(why) = self.front.connections.ending(place) {
            self.end_connection(now, place, why);
            return self.drain_if_fed(now);
        }
        self.front.connections.touch(place);
        let Some(connection) = self.front.connections.at(place) else { return };
        if let Err(error) = connection.fill(now, &mut self.scratch) {
            trace!(connection = connection.id.0, %error, "reading failed");
            self.end_connection(now, place, "the stream broke while reading");
            return self.drain_if_fed(now);
        }
        let serves_turn = self.shard.turn_server.is_enabled();
        for _ in 0..MESSAGES_PER_PASS {
            let Some(connection) = self.front.connections.at(place) else { return };
            match connection.next(
                now,
                self.front.certificates.config(),
                serves_turn && !connection.is_management,
            ) {
                Next::Nothing => {
                    if connection.wants_reading() {
                        self.front.connections.make_ready(place);
                    }
                    return;
                }
                Next::Request(request) => self.answer(now, place, request),
                Next::Socket(incoming) => {
                    let id = connection.id;
                    if let Some(demand) = self.front.receive(now, place, incoming, &self.shard.sfu) {
                        self.feed_demand(now, id, demand);
                    }
                }
                // Media has no business on the port for management.
                Next::Datagrams if connection.is_management => {
                    self.end_connection(now, place, "media on the port for management");
                    return self.drain_if_fed(now);
                }
                Next::Datagrams => self.shard.read_ice_tcp(now, &mut self.front.connections, place),
                Next::Turn => {
                    let Self { shard, front, candidates, .. } = self;
                    shard.read_turn(now, &mut front.connections, place, candidates);
                }
                Next::Refused(why) => {
                    self.end_connection(now, place, why);
                    return self.drain_if_fed(now);
                }
            }
            self.drain_if_fed(now);
            if clock::now() >= until {
                break;
            }
        }
        self.front.connections.make_ready(place);
    }

    /// Drains the core if it was given something. A message can lead to news for hundreds, and that must count as part
    /// of its cost.
    fn drain_if_fed(&mut self, now: Instant) {
        if self.shard.is_fed() {
            self.drain(now);
        }
    }

    /// Answers a request, or parks it until the core has answered.
    fn answer(&mut self, now: Instant, place: usize, request: Box<Request>) {
        let mut actor = None;
        let mut details = Value::Null;
        let response = match self.front.route(place, &request) {
            Route::WebSocket => match self.front.open_web_socket(now, place, &request) {
                Ok(()) => return,
                Err(response) => response,
            },
            Route::LiveKit(target) => match self.front.answer_livekit(now, place, &request, target) {
                LiveKitOutcome::Answer(response) => response,
                LiveKitOutcome::Upgraded(demand) => {
                    if let Some((id, demand)) = demand {
                        self.feed_demand(now, id, demand);
                    }
                    return;
                }
            },
            Route::Mediasoup(target) => return self.answer_mediasoup(now, place, request, target),
            Route::Health => health::answer(self.view(now)),
            Route::Live => health::live(),
            Route::Ready => health::ready(self.view(now)),
            Route::Metrics => {
                let mut totals = self.shard.sfu.totals().clone();
                totals.migrations.add(self.front.voice.migrations().clone());
                metrics::answer(&request, self.view(now), &totals)
            }
            Route::Admin(asked) => {
                if let AdminRequest::Api(asked) = &asked {
                    details = asked.details();
                }
                actor = Some(Asking::Operator);
                self.administer(now, asked)
            }
            Route::Api(call) => {
                details = call.asked.details();
                actor = call.authority.as_ref().map(|authority| Asking::BackEnd(authority.by.clone()));
                self.serve_back_end(now, call)
            }
            Route::RoomService(call) => {
                details = call.details();
                actor = call.by().map(Asking::BackEnd);
                self.serve_room_service(now, &call)
            }
            Route::Whip(target) => {
                let Self { front, shard, .. } = self;
                let Some(connection) = front.connections.at(place) else { return };
                let (id, origin) = (connection.id, connection.origin(&request));
                let mut requests = WhipRequests {
                    now,
                    config: &front.config,
                    sessions: &mut front.whip,
                    offers: &mut front.offers,
                    sfu: &shard.sfu,
                };
                match requests.answer(&target, &request, id, &origin) {
                    WhipOutcome::Answer(response) => response,
                    WhipOutcome::Wait(session, demand) => {
                        connection.park(now, request, session);
                        return self.feed_demand(now, session, demand);
                    }
                }
            }
            Route::Voice(asked) => self.front.answer_voice(now, (place, &request), asked, &self.shard.sfu),
            Route::File => self.front.file(&request),
            Route::Answer(response) => response,
        };
        self.front.audit_request(now, place, (&request, &response), actor, details);
        self.front.respond(place, &request, &response);
    }

    /// Answers a request of a client of mediasoup's, or parks it until its session answers it.
    fn answer_mediasoup(
        &mut self,
        now: Instant,
        place: usize,
        request: Box<Request>,
        target: MediasoupTarget,
    ) {
        let response = match self.front.answer_mediasoup(now, place, &request, target, &self.shard.sfu) {
            MediasoupOutcome::Answer(response) => response,
            MediasoupOutcome::MakeRoom(room, response) => self.with_room(now, &room, response),
            MediasoupOutcome::Upgraded => return,
            MediasoupOutcome::Wait(session, demands) => {
                if let Some(connection) = self.front.connections.at(place) {
                    connection.park(now, request, session);
                }
                demands.into_iter().for_each(|demand| self.feed_demand(now, session, demand));
                return;
            }
        };
        self.front.respond(place, &request, &response);
    }

    /// Makes a room, if it is not there. Returns the response, or the refusal.
    fn with_room(&mut self, now: Instant, room: &RoomId, response: Response) -> Response {
        match self.shard.make_room(now, room, RoomChange::default()) {
            Ok(()) => response,
            Err(Refusal { message, action, .. }) => Response::problem(503, &message, &action),
        }
    }

    /// Takes down how calls go. Returns them, and the memory of the process.
    fn look_at_calls(&mut self, now: Instant) -> (Calls, Option<u64>) {
        let totals = self.shard.sfu.totals();
        let mut counted = Counted { dropouts: totals.dropouts.iter().sum(), ..Counted::default() };
        counted.note_moves(&totals.migrations);
        counted.note_moves(self.front.voice.migrations());
        let process = Process::read();
        counted.cpu_seconds = process.map_or(0.0, |process| process.cpu_seconds);
        let udp = self.shard.udp.counters();
        (counted.received_bytes, counted.sent_bytes) = (udp.received_bytes, udp.sent_bytes);
        let calls = self.view(now).calls();
        self.history.look(now, clock::unix(), &Seen { calls, counted });
        (calls, process.map(|process| process.resident_bytes))
    }

    fn administer(&mut self, now: Instant, asked: AdminRequest) -> Response {
        let view = self.view(now);
        let record = self.front.config.record.as_ref();
        let answer = match asked {
            // What a back end may ask of a room, an operator may, too.
            AdminRequest::Api(asked) => {
                return self.serve_back_end(now, ApiCall { asked, authority: None });
            }
            AdminRequest::Rooms => return admin::list_rooms(view),
            AdminRequest::Room(room) => return admin::show_room(view, &room),
            AdminRequest::Calls => {
                let (calls, memory) = self.look_at_calls(now);
                return Response::json(200, &self.history.json(&calls, memory));
            }
            AdminRequest::Stats => return admin::stats(view),
            AdminRequest::Summary => return admin::summary(view),
            AdminRequest::Recordings => return recordings::list(view, record),
            AdminRequest::LogLevel(level) => return admin::set_log_level(&level, &self.set_log_level),
            AdminRequest::CloseRoom(room) => admin::close_room(view, room),
            AdminRequest::Drain(draining) => admin::drain(view, draining),
            AdminRequest::Remove(room, participant) => admin::remove(view, room, participant),
            AdminRequest::RecordNext(room) => recordings::record_next(view, record, room),
            AdminRequest::StopRecording(room) => {
                recordings::stop(now, &room, &mut self.traces, &mut self.shard.sfu)
            }
        };
        self.carry_out(now, answer)
    }

    /// Answers a back end.
    fn serve_back_end(&mut self, now: Instant, call: ApiCall) -> Response {
        // It may have begun in this pass.
        self.ledger.collect(&mut self.shard.sfu);
        let traffic = match call.asked {
            ApiRequest::Usage => self.shard.sfu.traffic(),
            _ => BTreeMap::new(),
        };
        let view = self.view(now);
        match call.asked {
            ApiRequest::Rooms => answers::rooms(view),
            ApiRequest::Room(room) => answers::room(view, &room),
            ApiRequest::RoomStats(room) => answers::room_stats(view, &room),
            ApiRequest::Participants(room) => answers::participants(view, &room),
            ApiRequest::Participant(room, who) => answers::participant(view, &room, &who),
            ApiRequest::ParticipantStats(room, who) => answers::participant_stats(view, &room, &who),
            ApiRequest::Waiting(room) => answers::waiting(view, &room),
            ApiRequest::Bans(room) => answers::bans(view, &room),
            ApiRequest::Usage => answers::usage(view, &traffic),
            ApiRequest::IssueToken(issue) => {
                answers::issue(&self.front.config.gate, call.authority.as_ref(), *issue)
            }
            ApiRequest::MakeRoom(room, change) => self.make_room(now, room, *change),
            ApiRequest::EndRoom(room) => answers::done(self.shard.operate(now, &room, Moderation::End)),
            ApiRequest::Operate(room, moderations) => {
                // A voice channel has no topology in the room that bears its name.
                if let [Moderation::ResetTopology(mode)] = moderations[..]
                    && self.front.voice.reset(now, &room, mode)
                {
                    return answers::done(Ok(()));
                }
                let mut each = moderations.into_iter();
                answers::done(each.try_for_each(|moderation| self.shard.operate(now, &room, moderation)))
            }
        }
    }

    fn serve_room_service(&mut self, now: Instant, call: &twirp::Call) -> Response {
        let checked = call.check(self.view(now));
        let outcome = checked.and_then(|()| call.carry_out(now, &mut self.shard));
        // A room that was made has its id only from here on.
        self.ledger.collect(&mut self.shard.sfu);
        call.answer(self.view(now), outcome)
    }

    /// Makes a room ahead of time for a back end or an operator, or changes one that is there.
    fn make_room(&mut self, now: Instant, room: Option<RoomId>, change: RoomChange) -> Response {
        if change.recording == Some(RecordingPolicy::Always) && self.front.config.record.is_none() {
            return recordings::no_place_for_traces();
        }
        match room.map_or_else(entropy::room_id, Ok) {
            Ok(room) => answers::made(&room, self.shard.make_room(now, &room, change)),
            Err(error) => {
                Response::problem(503, &format!("the server has no randomness: {error}"), "name the room")
            }
        }
    }

    /// Hands the commands of an answer to the core. Returns the response.
    fn carry_out(&mut self, now: Instant, answer: AdminAnswer) -> Response {
        for command in answer.commands {
            self.shard.feed(now, Input::Admin(command));
        }
        answer.response
    }

    /// Returns a read-only view of the server for the operator's pages.
    fn view(&self, now: Instant) -> ServerView<'_> {
        ServerView {
            now,
            started: self.started,
            passes: self.passes,
            is_stopping: self.shutdown.is_stopping(),
            shed_ratio: self.shedding.shed().paused_share(),
            lowered_ratio: self.shedding.shed().lowered_share(),
            sfu: &self.shard.sfu,
            udp: &self.shard.udp,
            handshakes: &self.shard.handshakes,
            turn_server: &self.shard.turn_server,
            connections: &self.front.connections,
            whip: &self.front.whip,
            mediasoup: &self.front.mediasoup,
            voice: &self.front.voice,
            traces: &self.traces,
            audit: &self.front.audit,
            ledger: &self.ledger,
            counters: &self.front.counters,
        }
    }

    /// Hands a front end's demand to the core, with what only the shell knows.
    fn feed_demand(&mut self, now: Instant, connection: ConnectionId, demand: Demand) {
        let input = match demand {
            Demand::Join { request, room, name, auto_subscribe, lifeline, layout, ticket, can_mesh } => {
                if !self.front.may_join(now, connection) {
                    return self.refuse_join(now, connection, (request, refusals::joins_too_fast()));
                }
                let Entry { room, grants, profile, is_invited, is_vouched_for } =
                    match self.front.admit(now, connection, room, name, ticket) {
                        Ok(entry) => entry,
                        Err(refusal) => return self.refuse_join(now, connection, (request, refusal)),
                    };
                let Some(admitted) = self.admit(now, connection, room) else {
                    let refusal = Refusal::new(
                        RefusalCode::Internal,
                        "the server has no randomness",
                        "try again later",
                    );
                    return self.deliver(now, connection, &Event::Refused(request, refusal));
                };
                let Admitted { room, host, admission } = admitted;
                let join = Join {
                    room,
                    profile,
                    auto_subscribe,
                    lifeline,
                    layout,
                    grants,
                    is_invited,
                    is_vouched_for,
                    host: Some(host),
                    can_mesh,
                };
                Input::Join { connection, request, host: Some(host), admission, join }
            }
            Demand::Resume { request, resume } => {
                if !self.front.may_resume(now, connection) {
                    return self.refuse_join(now, connection, (request, refusals::joins_too_fast()));
                }
                Input::Resume { connection, request, resume }
            }
            Demand::Command { request, command } => Input::Command { connection, request, command },
            Demand::ConnectionLost => Input::ConnectionLost(connection),
        };
        self.shard.feed(now, input);
    }

    /// Refuses a join or a resume, because there were too many of its address, or nothing lets its sender in.
    fn refuse_join(&mut self, now: Instant, connection: ConnectionId, refused: (Option<RequestId>, Refusal)) {
        let Self { front, shard, candidates, ledger, .. } = self;
        let mut reach = Reach { candidates, turn_server: &shard.turn_server, ledger };
        // Whoever is cut for it may be in a room by this connection.
        if let Some(demand) = front.refuse_join(now, connection, refused, &mut reach) {
            self.feed_demand(now, connection, demand);
        }
    }

    /// Draws the random values that somebody who joins needs, and lists the addresses at which they can reach us.
    /// Returns `None` if the operating system gives no randomness or the connection is gone.
    fn admit(&mut self, now: Instant, connection: ConnectionId, room: Option<RoomId>) -> Option<Admitted> {
        let drawn =
            room.map_or_else(entropy::room_id, Ok).and_then(|room| Ok((room, entropy::participant()?)));
        let (room, entropy) = drawn
            .inspect_err(|error| {
                warn!(%error, "the operating system gives no randomness: nobody can join");
            })
            .ok()?;
        let origin = self.front.origin_of(connection)?;
        let mut candidates = self.candidates.for_client(now, origin.client, origin.local, origin.is_proxied);
        let is_by_tcp = match self.front.forced_way(connection) {
            Some(Trial::ForceTcp) => true,
            // Without a TURN server this is as near as it gets.
            Some(Trial::ForceTls) => !self.shard.turn_server.is_enabled(),
            _ => false,
        };
        if is_by_tcp {
            candidates.retain(|candidate| candidate.protocol == TransportProtocol::Tcp);
        }
        debug!(connection = connection.0, client = %origin.client, %room, ?candidates, "join");
        Some(Admitted { room, host: host_of(origin.client), admission: Admission { entropy, candidates } })
    }

    fn run_deadlines(&mut self, now: Instant) {
        let listens_first = now < self.listens_first_until && self.front.connections.ready_len() > 0;
        // Looked at when the first one is due: most passes end none.
        let mut until = None;
        while !listens_first && let Some(place) = self.front.connections.next_due(now) {
            let until = *until.get_or_insert_with(|| clock::now() + ENDING_PER_PASS);
            let Some(connection) = self.front.connections.at(place) else { continue };
            match connection.run_deadline(now, &self.front.config) {
                // What it is told last is written at once, so that it counts as part of the time.
                Standing::Open => self.write_connection(now, place),
                Standing::Over(why) => self.end_connection(now, place, why),
                Standing::Unanswered => {
                    warn!("a request has waited in vain for the core to answer it");
                    if let Some((id, demand)) = self.front.give_up_parked(place) {
                        self.feed_demand(now, id, demand);
                    }
                }
                // Only writing finds this.
                Standing::TooSlow => {}
            }
            // The others are still due in the next pass.
            if clock::now() >= until {
                break;
            }
        }
        self.shard.run_deadlines(now);
        self.front.run_voice(now, &self.shard.sfu);
        self.front.certificates.run_deadline(now, clock::unix());
    }

    /// Takes everything except media out of the core, until front ends and handshakes ask for nothing more. Called by
    /// `write_all`, `drain_if_fed` and `begin_shutdown`, never from within a request.
    fn drain(&mut self, now: Instant) {
        self.shard.send_turn_answers(&mut self.front.connections);
        while let Some(id) = self.shard.turn_server.next_ended() {
            if let Some(place) = self.front.connections.place_of(id) {
                self.end_connection(now, place, "its allocation has ended");
            }
        }
        loop {
            self.shard.begin_drain();
            loop {
                let Self { shard, front, scratch, .. } = self;
                let Some((id, event)) = shard.next_event(now, &mut front.connections, scratch) else { break };
                self.deliver(now, id, &event);
            }
            let demands = self.front.take_demands();
            let is_quiet = demands.is_empty();
            for (id, demand) in demands {
                self.feed_demand(now, id, demand);
            }
            if !self.shard.feed_handshakes(now) && is_quiet {
                return;
            }
        }
    }

    /// Hands an event to the front end of a connection.
    fn deliver(&mut self, now: Instant, id: ConnectionId, event: &Event) {
        let Self { front, shard, candidates, ledger, .. } = self;
        // The room may have begun with this event.
        if native::entered(event).is_some() {
            ledger.collect(&mut shard.sfu);
        }
        let mut reach = Reach { candidates, turn_server: &shard.turn_server, ledger };
        front.deliver(now, id, event, &mut reach);
    }

    /// Writes what is queued on all connections, then on the UDP socket: signalling goes first.
    fn write(&mut self, now: Instant) {
        while let Some(place) = self.front.connections.next_touched() {
            self.write_connection(now, place);
        }
        self.shard.flush(self.poll.registry());
    }

    fn write_connection(&mut self, now: Instant, place: usize) {
        let Some(connection) = self.front.connections.at(place) else { return };
        match connection.write(now, &self.front.config) {
            // It is ended in the next pass, within that pass's budget: an end can be news for hundreds, and many can
            // end at once.
            Standing::Over(why) => return self.front.connections.end_soon(place, why),
            Standing::TooSlow => {
                if let Some((id, demand)) = self.front.drop_slow(now, place) {
                    self.feed_demand(now, id, demand);
                }
            }
            Standing::Open | Standing::Unanswered => {}
        }
        self.front.connections.arm(place, &self.front.config);
        // Requests that had to wait until earlier answers were written can go on.
        if self.front.connections.at(place).is_some_and(|connection| connection.has_waiting_request()) {
            self.front.connections.make_ready(place);
        }
    }

    /// Ends a connection, and tells the core if the core knows it.
    fn end_connection(&mut self, now: Instant, place: usize, why: &'static str) {
        let Some(connection) = self.front.connections.at(place) else { return };
        let (id, peer) = (connection.id, connection.peer);
        trace!(connection = id.0, %peer, why, "connection over");
        if connection.is_turn() {
            self.shard.turn_server.connection_over(id);
        }
        let last = self.front.end(now, place);
        self.front.connections.remove(place, self.poll.registry());
        if let Some((id, demand)) = last {
            debug!(connection = id.0, %peer, why, "signalling connection lost");
            self.feed_demand(now, id, demand);
        }
    }

    /// Writes into the audit log what the server does because it was told to end.
    fn note_of_server(&self, action: &str, reason: ExitReason) {
        let (rooms, participants) = self.shard.sfu.counts();
        let details = json!({"reason": format!("{reason:?}"), "rooms": rooms, "participants": participants});
        self.front.audit.note(action, &Actor::Server, details);
    }

    /// Begins to stop, because somebody asks for it. Each further request skips what is under way: first the draining,
    /// then the time that clients have.
    fn begin_ending(&mut self, now: Instant) {
        match self.shutdown.begin(now) {
            Some(Begin::Draining(reason)) => {
                let (rooms, participants) = self.shard.sfu.counts();
                let drain = self.front.config.drain;
                info!(?reason, rooms, participants, ?drain, "draining: nobody is let in");
                self.note_of_server("drain", reason);
                self.shard.feed(now, Input::Admin(AdminCommand::Drain(true)));
            }
            Some(Begin::Closing(reason)) => self.begin_shutdown(now, reason),
            None => {}
        }
    }

    /// Ends draining when everyone has left or the time is up, and begins to shut down.
    fn end_draining(&mut self, now: Instant) {
        if !self.shutdown.is_stopping() {
            return;
        }
        let (_, participants) = self.shard.sfu.counts();
        if let Some(reason) = self.shutdown.drained(now, participants) {
            self.begin_shutdown(now, reason);
            self.write_all(now);
        }
    }

    /// Tells everyone that the server stops. Connections that have not joined are only closed.
    fn begin_shutdown(&mut self, now: Instant, reason: ExitReason) {
        info!(?reason, connections = self.front.connections.len(), "stopping");
        self.note_of_server("server-stopping", reason);
        self.front.connections.stop_listening(self.poll.registry());
        self.shard.feed(now, Input::Admin(AdminCommand::Shutdown));
        self.drain(now);
        for place in self.front.connections.places() {
            if let Some(connection) = self.front.connections.at(place) {
                connection.finish_http(now);
                if connection.finish_turn(now) {
                    self.shard.turn_server.connection_over(connection.id);
                }
                if let Some(socket) = connection.web_socket() {
                    socket.close(now, Close::GoingAway);
                }
            }
            self.front.connections.touch(place);
        }
    }
}

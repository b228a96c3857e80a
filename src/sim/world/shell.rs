//! The world's stand-in for the shell: signalling connections, handshakes that take no time, and the clock.

use std::time::Duration;

use super::handshakes::DtlsEvents;
use super::happening::Happening;
use super::{Person, World, send};
use crate::core::event::{ClosingReason, Event};
use crate::core::ids::{ConnectionId, DtlsSession, RequestId};
use crate::core::input::{Admission, Input};
use crate::core::media::srtp;
use crate::core::output::{DtlsRequest, Output, Transmit};
use crate::core::path::{LocalCandidate, TrafficClass, TransportProtocol};
use crate::sim::client::{self, Endpoint, Signal};
use crate::sim::dice::Dice;
use crate::sim::network::{Micros, SECOND, server_address};

/// How often in a row a server may ask to be called at once.
const SPINS_MAX: u32 = 50;
/// How many datagrams may follow from one input, besides those that are forwarded to each person.
const OUTPUTS_PER_INPUT_MAX: u64 = 300;

/// An output of the core that the shell carries out.
enum Taken {
    Event(ConnectionId, Event),
    Dtls(DtlsSession, DtlsRequest),
}

impl World<'_> {
    pub(super) fn feed(&mut self, input: Input<'_>) {
        self.inputs += 1;
        self.fed += 1;
        let now = self.base + Duration::from_micros(self.now);
        self.called |= matches!(input, Input::Timeout);
        self.sfu.handle_input(now, input);
    }

    /// Calls the server, because its deadline has come.
    pub(super) fn call_server(&mut self) {
        self.served_at = None;
        self.feed(Input::Timeout);
    }

    /// Returns the session of a life, if it has been let in.
    pub(super) fn session_of(&self, person: usize, life: u32) -> Option<u64> {
        self.sessions.iter().position(|one| *one == (person, life)).map(|index| index as u64 + 1)
    }

    /// Takes all outputs of the server, until it names its deadline.
    pub(super) fn drain_server(&mut self) {
        // Handshakes take no time here, so their answers can come within the same pass.
        for _ in 0..10 {
            let fed = std::mem::take(&mut self.fed);
            if fed == 0 {
                break;
            }
            self.drain_once(fed);
        }
        if !self.plan.unchecked {
            self.oracle.drained(self.now, &self.post.streams);
        }
        self.keep_records();
    }

    fn drain_once(&mut self, fed: u64) {
        let mut taken = Vec::new();
        let mut datagrams = 0;
        self.digest.update(&self.now.to_be_bytes());
        let deadline = loop {
            match self.sfu.poll_output() {
                Output::Timeout(deadline) => break deadline,
                Output::Event { connection, event } => {
                    self.digest.update(format!("{connection:?} {event:?}").as_bytes());
                    // The oracle must see it in its place among the datagrams.
                    let index = (connection.0 / 1000) as usize;
                    let is_locked = matches!(event, Event::Joined(..)) && self.is_locked();
                    self.oracle.told_on(self.now, (connection.0, index), &event, is_locked);
                    if let Event::Waiting(id) = event {
                        self.hears_knocking(connection.0, id);
                    }
                    if let Some(Some(Person { endpoint: Some(endpoint), .. })) = self.people.get(index)
                        && let Some(Some(plan)) = self.plan.people.get(index)
                    {
                        let life = (index, endpoint.life);
                        if matches!(event, Event::Joined(..)) {
                            self.sessions.push(life);
                            let session = self.sessions.len() as u64;
                            self.oracle.admitted(self.now, session, life, plan, endpoint.numbering);
                        }
                        if matches!(event, Event::Joined(..) | Event::Resumed(..))
                            && let Some(session) = self.session_of(index, endpoint.life)
                        {
                            self.session_by_connection.insert(connection.0, session);
                        }
                    }
                    if let Some(&session) = self.session_by_connection.get(&connection.0) {
                        self.oracle.told(self.now, session, &event);
                    }
                    taken.push(Taken::Event(connection, event));
                }
                Output::Dtls { session, request } => {
                    self.digest.update(format!("{session:?} {request:?}").as_bytes());
                    match &request {
                        DtlsRequest::Forget { .. } => self.oracle.gone(session.0),
                        DtlsRequest::Channel(request) => self.oracle.on_channel(self.now, session.0, request),
                        _ => {}
                    }
                    taken.push(Taken::Dtls(session, request));
                }
                Output::Transmit(transmit) => {
                    self.media.push(&transmit);
                    datagrams += self.datagrams_leave();
                }
                Output::Media(_) => {
                    self.sfu.forward_share(&mut self.media);
                    datagrams += self.datagrams_leave();
                }
            }
        };
        let people = self.plan.people.len() as u64;
        if datagrams > fed * (OUTPUTS_PER_INPUT_MAX + 2 * people) {
            self.oracle.complain(self.now, format!("{fed} inputs made {datagrams} datagrams"));
        }
        self.note_deadline(deadline.map(|deadline| deadline.at.saturating_duration_since(self.base)));
        for one in taken {
            match one {
                Taken::Event(connection, event) => self.tell(connection, event),
                Taken::Dtls(session, request) => self.shake_hands(session, request),
            }
        }
    }

    /// Sends the datagrams that leave the server, and returns how many there were.
    fn datagrams_leave(&mut self) -> u64 {
        let mut datagrams = 0;
        while let Some(Transmit { path, class, bytes }) = self.media.take_next() {
            datagrams += 1;
            self.outputs += 1;
            self.digest.update(format!("{path:?} {class:?}").as_bytes());
            self.digest.update(bytes);
            let to = path.remote;
            if !self.plan.unchecked {
                self.oracle.leaves(self.now, to, bytes, &self.post.streams);
            }
            if let Some(&index) = self.at.get(&to)
                && let Some(Some(person)) = self.people.get_mut(index)
            {
                let line = person.lines[1].and_then(|line| self.lines.get_mut(line));
                for at in send(line, &mut person.down, self.now, bytes.len()).into_iter().flatten() {
                    self.queue.push(at, Happening::Down { to, bytes: bytes.to_vec() });
                }
            }
        }
        datagrams
    }

    fn note_deadline(&mut self, at: Option<Duration>) {
        // Rounded up to a whole microsecond, because the server must not be woken before its time.
        let at = at.map(|at| at.as_nanos().div_ceil(1000) as Micros);
        // A deadline that has passed is fine if something new made it; after a call for it, it is spinning.
        let called = std::mem::take(&mut self.called);
        self.spins = if at.is_some_and(|at| at <= self.now) { self.spins + u32::from(called) } else { 0 };
        if self.spins > SPINS_MAX {
            self.oracle
                .complain(self.now, "the server wants to be called again and again, and nothing comes of it");
            self.deadline = None;
            self.served_at = None;
            return;
        }
        if at != self.deadline || self.served_at.is_none() {
            self.deadline = at;
            let late =
                if self.now < self.plan.heals_at { self.dice.among(0..self.plan.lateness + 1) } else { 0 };
            self.served_at = at.map(|at| at.max(self.now) + late);
        }
    }

    /// Sends an event to the person who has the connection.
    fn tell(&mut self, connection: ConnectionId, event: Event) {
        let index = (connection.0 / 1000) as usize;
        let Some(Some(plan)) = self.plan.people.get(index) else { return };
        let at = self.now + plan.signalling;
        let hears = Happening::Hears { person: index, connection: connection.0, event: Box::new(event) };
        self.queue.push(at, hears);
    }

    /// Lets a message pass on a connection, unless the connection breaks. Returns whether it passed.
    fn passes(&mut self, index: usize, connection: u64) -> bool {
        let calm = self.now >= self.plan.heals_at;
        let Some(person) = self.person(index).filter(|person| person.connection == Some(connection)) else {
            return false;
        };
        match &mut person.breaks {
            // A break that waits for messages may still wait when somebody is given up, long after the network has
            // healed. Nothing may break then.
            _ if calm => true,
            Some((0, ..)) => {
                self.break_now(index);
                false
            }
            Some((left, ..)) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }

    /// Breaks somebody's signalling connection now.
    pub(super) fn break_now(&mut self, index: usize) {
        let now = self.now;
        let Some(person) = self.person(index) else { return };
        let Some((_, noticed, back)) = person.breaks.take() else { return };
        let Some(connection) = person.connection.take() else { return };
        self.queue.push(now + noticed, Happening::Lost(connection));
        self.queue.push(now + back, Happening::Returns(index));
    }

    pub(super) fn hears(&mut self, index: usize, connection: u64, event: Event) {
        if !self.passes(index, connection) {
            return;
        }
        let replaced = matches!(event, Event::Closing(ClosingReason::Replaced));
        if replaced {
            self.oracle.complain(self.now, "the newer of two connections was closed");
            return;
        }
        self.with(index, |endpoint, now, post| endpoint.on_event(now.micros, event, post));
        let now = self.now;
        let Some(person) = self.person(index) else { return };
        if person.endpoint.as_ref().is_some_and(|endpoint| endpoint.closed) {
            let left = person.endpoint.take().is_some_and(|endpoint| endpoint.leaves);
            person.connection = None;
            // A person who did not want to leave comes again.
            if !left {
                self.queue.push(now + SECOND / 2, Happening::Arrives(index));
            }
        }
    }

    pub(super) fn says(&mut self, index: usize, connection: u64, number: u64, signal: Signal) {
        if !self.passes(index, connection) {
            return;
        }
        let request = Some(RequestId(number.to_string().into()));
        let id = ConnectionId(connection);
        let life = self.person(index).map_or(0, |person| person.lives);
        match signal {
            Signal::Join(join) => {
                let mut entropy = [0; 32];
                // Every life has its own entropy, which no cut of the world changes.
                let name = (index as u64) << 32 | u64::from(life);
                entropy.copy_from_slice(&Dice::of(self.plan.seed, "entropy", name).bytes(32));
                let address = server_address();
                let candidates = vec![LocalCandidate { protocol: TransportProtocol::Udp, address }];
                let admission = Admission { entropy, candidates };
                self.feed(Input::Join { connection: id, request, host: None, admission, join });
            }
            Signal::Resume(resume) => {
                if let Some(session) = self.session_of(index, life) {
                    self.oracle.touch(session);
                }
                self.feed(Input::Resume { connection: id, request, resume });
            }
            Signal::Command(command) => {
                if let Some(&session) = self.session_by_connection.get(&connection) {
                    self.oracle.fed_command(self.now, session, &command);
                }
                self.feed(Input::Command { connection: id, request, command });
            }
        }
    }

    pub(super) fn lost(&mut self, connection: u64) {
        if let Some(&session) = self.session_by_connection.get(&connection) {
            // Numbers of connections grow: whoever is back has a newer one.
            let mut newer = self.session_by_connection.range(connection + 1..);
            if newer.all(|(_, other)| *other != session) {
                self.oracle.disconnected(session);
            }
        }
        self.feed(Input::ConnectionLost(ConnectionId(connection)));
    }

    /// Connects somebody again whose connection broke.
    pub(super) fn returns(&mut self, index: usize) {
        let Some(person) = self.person(index).filter(|person| person.connection.is_none() && !person.off)
        else {
            return;
        };
        if person.endpoint.is_none() {
            return;
        }
        person.connections += 1;
        person.connection = Some(index as u64 * 1000 + person.connections);
        let mut resumed = false;
        self.with(index, |endpoint, _, post| resumed = endpoint.resume(post));
        if !resumed {
            // They had not been told that they are admitted, so they have to join anew.
            if let Some(person) = self.person(index) {
                person.endpoint = None;
            }
            self.arrives(index);
        }
    }

    /// Feeds the events of real handshakes to the server, and schedules their next deadline.
    fn feed_handshakes(&mut self, session: DtlsSession, events: DtlsEvents) {
        for (session, event) in events {
            self.feed(Input::Dtls { session, event });
        }
        let deadline = self.handshakes.as_ref().and_then(|handshakes| handshakes.deadline(session));
        if let Some(at) = deadline {
            let at = at.saturating_duration_since(self.base).as_nanos().div_ceil(1000) as Micros;
            self.queue.push(at.max(self.now + 1), Happening::Shakes(session));
        }
    }

    /// Calls a real handshake, if its deadline has come.
    pub(super) fn go_on_shaking(&mut self, session: DtlsSession) {
        let now = self.moment().instant;
        let Some(handshakes) = &mut self.handshakes else { return };
        if handshakes.deadline(session).is_some_and(|at| at <= now) {
            let events = handshakes.wake(now, session);
            self.feed_handshakes(session, events);
        }
    }

    /// Does the server's half of a handshake: a real one with a whole endpoint, otherwise one that takes no time.
    fn shake_hands(&mut self, session: DtlsSession, request: DtlsRequest) {
        let now = self.moment().instant;
        if let Some(handshakes) = &mut self.handshakes {
            if let DtlsRequest::Forget { goodbye } = request {
                let last = goodbye.zip(handshakes.forget(now, session));
                if let Some((path, bytes)) = last {
                    self.media.push(&Transmit { path, class: TrafficClass::Control, bytes: &bytes });
                    self.datagrams_leave();
                }
                return;
            }
            let events = handshakes.request(now, session, request);
            return self.feed_handshakes(session, events);
        }
        let DtlsRequest::Packet(bytes) = request else { return };
        let Some(&(person, life)) = self.sessions.get((session.0 - 1) as usize) else { return };
        let Some(Some(plan)) = self.plan.people.get(person) else { return };
        let (seed, profile) = (self.plan.seed, plan.profile);
        let Some((reply, outcome)) = client::shake_hands(seed, (person, life), profile, &bytes) else {
            return;
        };
        self.feed(Input::Dtls { session, event: reply });
        if !self.keyed.insert(session.0) {
            return;
        }
        let material = client::keying_material(seed, person, life, profile);
        if let Ok((tap, _)) = srtp::contexts(profile, &material, true) {
            self.oracle.keyed(self.now, session.0, tap);
        }
        for event in outcome {
            self.feed(Input::Dtls { session, event });
        }
    }

    /// Makes everybody who is still there leave or vanish.
    pub(super) fn everybody_goes(&mut self) {
        for index in 0..self.people.len() {
            let leaves = self.dice.percent(70);
            if let Some(person) = self.person(index) {
                person.breaks = None;
            }
            if leaves {
                self.with(index, |endpoint: &mut Endpoint, _, post| endpoint.leave(post));
            }
            let at = self.now + SECOND;
            let Some(person) = self.person(index) else { continue };
            person.off = !leaves;
            if let Some(connection) = person.connection.filter(|_| !leaves) {
                person.connection = None;
                self.queue.push(at, Happening::Lost(connection));
            }
        }
    }
}

//! Happenings: what happens in a world at a certain time, and what is done then.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;

use super::{World, send};
use crate::core::event::Event;
use crate::core::ids::{DtlsSession, ParticipantId};
use crate::core::input::Input;
use crate::core::path::{Carrier, Path};
use crate::sim::client::{Endpoint, FLIGHT, Sender, Signal, What};
use crate::sim::deed::Deed;
use crate::sim::network::{Micros, SECOND, server_address};
use crate::sim::plan::Endpoints;
use crate::wire::stun;

/// Something that happens at a moment of virtual time.
#[derive(Debug)]
pub(super) enum Happening {
    /// Somebody comes for the first time or again.
    Arrives(usize),
    /// A step of the plan.
    Step(usize),
    /// Somebody's deadline has come.
    Wakes(usize),
    /// A datagram reaches the server.
    Up { from: SocketAddr, person: usize, life: u32, number: u64, bytes: Vec<u8>, what: What },
    /// A datagram reaches an address.
    Down { to: SocketAddr, bytes: Vec<u8> },
    /// A request reaches the server.
    Says { person: usize, connection: u64, number: u64, signal: Box<Signal> },
    /// An event reaches somebody.
    Hears { person: usize, connection: u64, event: Box<Event> },
    /// The server notices that a connection is gone.
    Lost(u64),
    /// Somebody whose signalling broke connects again.
    Returns(usize),
    /// The deadline of a real handshake has come.
    Shakes(DtlsSession),
    /// The server is called though nothing is due.
    EarlyCall,
    /// The back end lets somebody in who has knocked on that connection.
    LetsIn(u64, ParticipantId),
    /// It is looked at what everybody sees.
    Looks,
}

/// A datagram that reached the server, for an attacker to replay.
#[derive(Debug)]
pub(super) struct Overheard {
    from: SocketAddr,
    life: u32,
    number: u64,
    bytes: Vec<u8>,
    what: What,
}

struct Entry {
    at: Micros,
    order: u64,
    happening: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// The future happenings in order of time. Those of one moment are in the order in which they were pushed.
#[derive(Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    pushed: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Micros, happening: Happening) {
        self.pushed += 1;
        self.heap.push(Reverse(Entry { at, order: self.pushed, happening }));
    }

    pub(super) fn next_at(&self) -> Option<Micros> {
        self.heap.peek().map(|entry| entry.0.at)
    }

    pub(super) fn pop(&mut self, now: Micros) -> Option<Happening> {
        if self.next_at()? > now {
            return None;
        }
        self.heap.pop().map(|entry| entry.0.happening)
    }
}

impl World<'_> {
    pub(super) fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives(index) => self.arrives(index),
            Happening::Step(number) => self.step(number),
            Happening::Wakes(index) => {
                if let Some(person) = self.person(index) {
                    person.woken_at = None;
                }
                self.with(index, Endpoint::wake);
            }
            Happening::Up { from, person, life, number, bytes, what } => {
                self.reaches_server(from, (person, life), number, bytes, &what);
            }
            Happening::Down { to, mut bytes } => {
                if let Some(&index) = self.at.get(&to) {
                    self.with(index, |endpoint, now, post| endpoint.on_datagram(now, &mut bytes, post));
                }
            }
            Happening::Says { person, connection, number, signal } => {
                self.says(person, connection, number, *signal);
            }
            Happening::Hears { person, connection, event } => self.hears(person, connection, *event),
            Happening::Lost(connection) => self.lost(connection),
            Happening::Returns(index) => self.returns(index),
            Happening::Shakes(session) => self.go_on_shaking(session),
            Happening::EarlyCall => self.feed(Input::Timeout),
            Happening::LetsIn(connection, id) => self.lets_in(connection, id),
            Happening::Looks => self.look(),
        }
    }

    /// Makes somebody join, unless they are there already.
    pub(super) fn arrives(&mut self, index: usize) {
        let (seed, endpoints, now, room) =
            (self.plan.seed, self.plan.endpoints, self.moment(), self.room.clone());
        let Some(Some(plan)) = self.plan.people.get(index) else { return };
        let Some(person) = self.person(index) else { return };
        if person.endpoint.is_some() && !person.off {
            return;
        }
        person.off = false;
        person.lives += 1;
        person.connections += 1;
        person.breaks = None;
        person.woken_at = None;
        person.connection = Some(index as u64 * 1000 + person.connections);
        let endpoint = Endpoint::new(seed, index, person.lives, plan);
        let whole = endpoints == Endpoints::Engine;
        person.endpoint = Some(if whole { endpoint.with_engine(now) } else { endpoint });
        self.relocate(index);
        self.with(index, |endpoint, _, post| endpoint.join(&room, post));
    }

    /// Gives somebody another address. Packets still under way to the old one are lost.
    fn relocate(&mut self, index: usize) {
        let Some(person) = self.person(index) else { return };
        let old = person.address;
        person.addresses += 1;
        person.address = super::address(index, person.addresses);
        let new = person.address;
        self.at.remove(&old);
        self.at.insert(new, index);
    }

    pub(super) fn send_up(&mut self, index: usize, bytes: &[u8], what: &What) {
        let (now, turn) = (self.now, self.plan.turn);
        self.datagrams_sent += 1;
        let number = self.datagrams_sent;
        let Some(Some(person)) = self.people.get_mut(index) else { return };
        let (from, life) = (person.address, person.lives);
        let line = person.lines[0].and_then(|line| self.lines.get_mut(line));
        for at in send(line, &mut person.up, now, bytes.len()).into_iter().flatten() {
            // A server that reads in passes finds it at the beginning of the next one.
            let at = if turn > 0 { at.next_multiple_of(turn) } else { at };
            let (bytes, what) = (bytes.to_vec(), what.clone());
            self.queue.push(at, Happening::Up { from, person: index, life, number, bytes, what });
        }
    }

    /// Sends somebody's request on their present connection.
    pub(super) fn say(&mut self, index: usize, number: u64, signal: Signal) {
        let Some(Some(plan)) = self.plan.people.get(index) else { return };
        let at = self.now + plan.signalling;
        let Some(connection) = self.person(index).and_then(|person| person.connection) else { return };
        let signal = Box::new(signal);
        self.queue.push(at, Happening::Says { person: index, connection, number, signal });
    }

    fn reaches_server(
        &mut self,
        from: SocketAddr,
        (person, life): (usize, u32),
        number: u64,
        mut bytes: Vec<u8>,
        what: &What,
    ) {
        let copy = self.reached.contains(&number);
        let session = self.session_of(person, life);
        if let Some(person) = self.person(person) {
            person.overheard.truncate(7);
            let (bytes, what) = (bytes.clone(), what.clone());
            person.overheard.insert(0, Overheard { from, life, number, bytes, what });
        }
        // If the network delivers a datagram twice, the first copy that the server accepts counts: one may come before
        // its address has passed a check, the other after that.
        let heard = match (what, session) {
            (What::Check { ufrag }, _) => {
                if let Some(message) = stun::peek(&bytes) {
                    self.oracle.fed_check(ufrag, message.transaction, from);
                }
                false
            }
            (What::Answer { transaction }, Some(session)) => {
                self.oracle.fed_answer(self.now, session, from, *transaction);
                false
            }
            (What::Rtp(sent), Some(session)) if !copy => {
                self.oracle.fed_rtp(self.now, session, from, sent, &self.post.streams)
            }
            (What::Rtcp(lost), Some(session)) if !copy => self.oracle.fed_rtcp(self.now, session, from, lost),
            _ => false,
        };
        if heard {
            self.reached.insert(number);
        }
        let path = Path { carrier: Carrier::Udp, local: server_address(), remote: from };
        self.feed(Input::Datagram { path, bytes: &mut bytes });
    }

    fn step(&mut self, number: usize) {
        let Some((_, step)) = self.plan.steps.get(number) else { return };
        let (index, deed) = (step.who, step.deed);
        match deed {
            Deed::Mute(source, muted) => self.with(index, |one, _, post| one.mute(source, muted, post)),
            Deed::Pause(of, source, paused) => {
                self.with(index, |one, _, post| one.pause(of, source, paused, post));
            }
            Deed::Prefer(of, source, wish) => {
                self.with(index, |one, _, post| one.prefer(of, source, wish, post));
            }
            Deed::Subscribe(of, source, wanted) => {
                self.with(index, |one, _, post| one.subscribe(of, source, wanted, post));
            }
            Deed::Publish(source, yes) => self.with(index, |one, _, post| one.publish(source, yes, post)),
            Deed::Leave => self.with(index, |one, _, post| one.leave(post)),
            Deed::Join => self.arrives(index),
            Deed::Vanish => self.vanish(index),
            Deed::Break { after, noticed, back } => {
                if let Some(person) = self.person(index) {
                    person.breaks = Some((after, noticed, back));
                }
                if after == 0 {
                    self.break_now(index);
                }
            }
            Deed::Rebind => self.relocate(index),
            Deed::Move => {
                self.relocate(index);
                self.with(index, |one, now, _| one.check_now(now.micros));
            }
            Deed::RestartIce => self.with(index, |one, _, post| one.restart_ice(post)),
            Deed::Renegotiate => self.with(index, |one, _, post| one.offer(post)),
            // A receiver that misses 2^15 numbers can decrypt nothing any more, so nobody's numbers jump while somebody
            // is cut off.
            Deed::Leap(..) if self.is_anybody_cut_off() => {}
            Deed::Leap(..) | Deed::NewStream(_) | Deed::SwitchCodec(..) | Deed::Pausing(..) => {
                self.with(index, |one, now, _| change_sender(one, now.micros, deed));
            }
            Deed::Cut(up, down, long) => {
                let until = (self.now + long).min(self.plan.heals_at);
                if let Some(person) = self.person(index) {
                    if up {
                        person.up.cut(until);
                    }
                    if down {
                        person.down.cut(until);
                    }
                }
            }
            Deed::Garbage(count) => self.garbage(index, count),
            Deed::Replay => self.replay(index),
            Deed::HelloAgain => self.with(index, |one, now, _| one.hello_again(now.micros)),
            Deed::Ban(long) => self.ban(index, long),
            Deed::MayPublish(source, may) => self.permit(index, source, may),
            Deed::GuardDoor(waits) => self.guard_door(waits),
            Deed::Lock(locked) => self.lock(locked),
            Deed::Stop(source) => self.stop(index, source),
            Deed::MaySay(may) => self.let_say(index, may),
            Deed::OpenChannel => self.open_channel(index),
            Deed::Data => self.tells_all(index),
        }
    }

    fn is_anybody_cut_off(&self) -> bool {
        self.people.iter().flatten().any(|one| one.up.is_cut(self.now) || one.down.is_cut(self.now))
    }

    fn vanish(&mut self, index: usize) {
        // The server notices before the network heals, or giving them up would take longer than the calm at the end.
        let at = (self.now + self.dice.among(0..3 * SECOND)).min(self.plan.heals_at);
        let Some(person) = self.person(index) else { return };
        person.off = true;
        person.lost_at = Some(at);
        if let Some(connection) = person.connection.take() {
            self.queue.push(at, Happening::Lost(connection));
        }
    }

    fn garbage(&mut self, index: usize, count: u8) {
        let Some(from) = self.person(index).map(|person| person.address) else { return };
        for n in 0..u64::from(count) {
            let length = self.dice.among(0..80) as usize;
            let mut bytes = self.dice.bytes(length);
            // Most of it begins like a known protocol, so that it gets past classification.
            let head: &[u8] =
                self.dice.pick(&[&[0x80, 111][..], &[0x80, 201, 0, 1], &[0, 1, 0, 0], &FLIGHT, &[]]);
            for (byte, wanted) in bytes.iter_mut().zip(head) {
                *byte = *wanted;
            }
            self.datagrams_sent += 1;
            let number = self.datagrams_sent;
            let up =
                Happening::Up { from, person: index, life: u32::MAX, number, bytes, what: What::Garbage };
            self.queue.push(self.now + n * 700, up);
        }
    }

    /// Sends overheard datagrams again, from another address and from the original one.
    fn replay(&mut self, index: usize) {
        let elsewhere = SocketAddr::from(([10, 66, 6, 6], 666));
        let Some(overheard) = self.person(index).map(|person| std::mem::take(&mut person.overheard)) else {
            return;
        };
        for Overheard { from, life, number, bytes, what } in overheard {
            for from in [elsewhere, from] {
                let (bytes, what) = (bytes.clone(), what.clone());
                let up = Happening::Up { from, person: index, life, number, bytes, what };
                self.queue.push(self.now + 1, up);
            }
        }
    }
}

fn change_sender(one: &mut Endpoint, now: Micros, deed: Deed) {
    let (Deed::Leap(source, _)
    | Deed::NewStream(source)
    | Deed::SwitchCodec(source, _)
    | Deed::Pausing(source, _)) = deed
    else {
        return;
    };
    // The encodings of a simulcast are told apart by their streams.
    let is_alone = |sender: &&mut Sender| sender.plan.source == source && sender.encoder.is_none();
    let Some(sender) = one.senders.iter_mut().find(is_alone) else { return };
    match deed {
        Deed::Leap(_, by) => sender.leap(by),
        Deed::NewStream(_) => sender.renew(),
        Deed::SwitchCodec(_, codec) => sender.switch_codec(codec),
        Deed::Pausing(_, long) => sender.pauses_until = now + long,
        _ => {}
    }
}

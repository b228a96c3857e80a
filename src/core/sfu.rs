//! Sfu: rooms, demux and deadlines behind one `handle_input` and one `poll_output`.
//!
//! The `Sfu` only decides which room an input belongs to; the room does the rest. A room knows its members and
//! transports by keys of its own, so its outputs are translated here to the connections and DTLS sessions that the
//! shell knows.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use slab::Slab;
use tracing::{debug, info, trace};

use super::address_counts::AddressCounts;
use super::bans::{Mark, RememberedBans};
use super::command::{Command, Moderation};
use super::demux::{Demux, Owner};
use super::event::{ClosingReason, Event, LeaveReason, Refusal, RefusalCode};
use super::fixed_hash::FixedMap;
use super::grants::Grants;
use super::happening::{Happened, Happening, Traffic};
use super::ids::{
    ConnectionId, DtlsSession, ParticipantId, ParticipantKey, RequestId, RoomId, RoomKey, TransportKey,
};
use super::input::{AdminCommand, Input, Shedding};
use super::moderation::{Ban, Target};
use super::mutation::mutated;
use super::notice::Notice;
use super::outbox::{Outbox, RoomOutput};
use super::output::{DtlsRequest, MediaSink, Output};
use super::path::Path;
use super::recordings::{Recording, RecordingOutput, Recordings};
use super::room::{Room, RoomInput, unknown_participant};
use super::room_options::{RoomChange, RoomOptions};
use super::settings::Settings;
use super::stats::{BanSnapshot, Calls, RoomSnapshot, Snapshot};
use super::timers::{Deadline, DeadlineHeap, Timer};
use super::topology::Topology;
use super::totals::Totals;
use crate::wire::classify::{DatagramKind, classify};
use crate::wire::stun;

#[derive(Debug)]
struct Entry {
    room: Room,
    /// The signalling connection of each member; `None` while it is broken.
    members: FixedMap<ParticipantKey, Option<ConnectionId>>,
    /// Those who wait to be let in.
    waiting: BTreeMap<ParticipantId, Entrant>,
    /// The address under which each member is counted.
    hosts: FixedMap<ParticipantKey, IpAddr>,
    /// The handshake of each transport.
    handshakes: FixedMap<TransportKey, DtlsSession>,
    /// Whether something has happened since media was last forwarded. The room is in `Sfu::dirty` then.
    dirty: bool,
    /// Whether audio waits to be forwarded. The room is in `Sfu::with_audio` then.
    has_audio: bool,
    /// When the room wants to be called, and why.
    deadline: Option<Deadline>,
    /// Boxed, so that a room that is not recorded pays only for a pointer.
    recording: Option<Box<Recording>>,
    /// What has gone through it, as far as it was collected.
    traffic: Traffic,
}

impl Entry {
    /// Moves what the room has counted to `totals`.
    fn collect_totals(&mut self, totals: &mut Totals) {
        let mut counted = Totals::default();
        self.room.collect_totals(&mut counted);
        let Traffic { bytes_in, bytes_out } = counted.traffic();
        self.traffic.bytes_in += bytes_in;
        self.traffic.bytes_out += bytes_out;
        totals.absorb(&mut counted);
    }
}

/// Who may enter a room by an input.
#[derive(Debug, Clone, Copy)]
struct Entrant {
    /// The connection that is told whether they may enter.
    connection: ConnectionId,
    /// The address under which they are counted. `None` if they are counted already, or not at all.
    host: Option<IpAddr>,
}

/// An output that waits to be polled and is not a datagram.
#[derive(Debug)]
enum Queued {
    Event(ConnectionId, Event),
    Dtls(DtlsSession, DtlsRequest),
}

/// The whole SFU as one deterministic value.
#[derive(Debug)]
pub struct Sfu {
    settings: Rc<Settings>,
    rooms: Slab<Entry>,
    rooms_by_id: BTreeMap<RoomId, RoomKey>,
    connections: FixedMap<ConnectionId, (RoomKey, ParticipantKey)>,
    /// Connections of those who wait to be let in.
    waiting: FixedMap<ConnectionId, (RoomKey, ParticipantId)>,
    addresses: AddressCounts,
    handshakes: FixedMap<DtlsSession, Owner>,
    demux: Demux,
    deadlines: DeadlineHeap<RoomKey>,
    /// Rooms in which something has happened since media was last forwarded.
    dirty: VecDeque<RoomKey>,
    /// Those of them in which audio waits.
    with_audio: VecDeque<RoomKey>,
    outbox: Outbox,
    queued: VecDeque<Queued>,
    now: Instant,
    rooms_made: u32,
    handshakes_made: u64,
    datagrams_unknown: u64,
    totals: Totals,
    recordings: Recordings,
    /// Who stays out of rooms that are not there.
    bans: RememberedBans,
    /// What has happened and nobody has taken yet; `None` if nobody wants to know.
    happened: Option<VecDeque<Happened>>,
    /// What became of the last operation.
    operated: Result<(), Refusal>,
    /// What whoever runs the server wants to know, and has not taken yet.
    notices: VecDeque<(RoomId, Notice)>,
    /// The server is stopping: nobody is let in any more.
    stopping: bool,
    /// The server is draining: nobody is let in until the operator takes that back.
    draining: bool,
}

/// Most notices that wait to be taken.
const NOTICES_MAX: usize = 1000;

/// Letters in a room's tag, with which its ufrags begin. A tag repeats after 32 to the power of this many rooms.
const TAG_CHARS: u32 = 4;

/// Returns a room's tag: its number in base 32, so that a ufrag tells which room it is of.
fn tag(number: u32) -> String {
    const CHARS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    (0..TAG_CHARS).rev().map(|digit| CHARS[(number >> (digit * 5)) as usize & 31] as char).collect()
}

impl Sfu {
    /// Makes an SFU without rooms.
    pub fn new(settings: Settings) -> Self {
        let now = settings.epoch;
        Self {
            settings: Rc::new(settings),
            rooms: Slab::new(),
            rooms_by_id: BTreeMap::new(),
            connections: FixedMap::default(),
            waiting: FixedMap::default(),
            addresses: AddressCounts::default(),
            handshakes: FixedMap::default(),
            demux: Demux::default(),
            deadlines: DeadlineHeap::new(),
            dirty: VecDeque::new(),
            with_audio: VecDeque::new(),
            outbox: Outbox::default(),
            queued: VecDeque::new(),
            now,
            rooms_made: 0,
            handshakes_made: 0,
            datagrams_unknown: 0,
            totals: Totals::default(),
            recordings: Recordings::default(),
            bans: RememberedBans::default(),
            happened: None,
            operated: Ok(()),
            notices: VecDeque::new(),
            stopping: false,
            draining: false,
        }
    }

    /// Takes one input. `now` never goes back. Walk: called by the shell for everything that happens.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        debug_assert!(now >= self.now, "time went back");
        // A release build goes on with the later time rather than going back.
        self.now = now.max(self.now);
        match input {
            Input::Datagram { path, bytes } => self.handle_datagram(path, bytes),
            Input::Join { connection, request, host, admission, join } => {
                let entrant = Entrant { connection, host };
                match self.room_for(entrant, &join.room, join.grants) {
                    Ok(room) => {
                        self.handle_room(room, RoomInput::Join(request, admission, join), Some(entrant));
                    }
                    Err(refusal) => self.refuse(connection, request, refusal),
                }
            }
            Input::Resume { connection, request, resume } => {
                if self.is_in_use(connection) {
                    self.refuse(connection, request, already_joined());
                } else if let Some(&room) = self.rooms_by_id.get(&resume.room) {
                    let entrant = Entrant { connection, host: None };
                    self.handle_room(room, RoomInput::Resume(request, resume), Some(entrant));
                } else {
                    self.refuse(connection, request, unknown_participant());
                }
            }
            Input::Command { connection, request, command } => {
                match self.connections.get(&connection).copied() {
                    Some((room, from)) => {
                        self.handle_room(room, RoomInput::Command(from, request, command), None);
                    }
                    None if command == Command::Leave && self.stop_waiting(connection) => {
                        self.queued.push_back(Queued::Event(connection, Event::Left(request)));
                    }
                    None => self.refuse(connection, request, not_joined()),
                }
            }
            Input::ConnectionLost(connection) => {
                if let Some((room, from)) = self.connections.remove(&connection) {
                    if let Some(connection) = self.rooms[room.0].members.get_mut(&from) {
                        *connection = None;
                    }
                    self.handle_room(room, RoomInput::ConnectionLost(from), None);
                } else {
                    self.stop_waiting(connection);
                }
            }
            Input::Dtls { session, event } => {
                if let Some(&(room, on)) = self.handshakes.get(&session) {
                    self.handle_room(room, RoomInput::Dtls(on, event), None);
                }
            }
            Input::Operate(room, moderation) => self.operate_room(&room, moderation),
            Input::MakeRoom(id, change) => self.operated = self.make_ahead(&id, change),
            Input::Admin(command) => self.handle_admin(command),
            Input::Shed(shedding) => self.shed(shedding),
            Input::StoodStill(time) => self.note_standstill(time),
            Input::Timeout => {
                while let Some(room) = self.deadlines.pop_due(self.now) {
                    self.handle_room(room, RoomInput::Timeout, None);
                }
            }
        }
    }

    /// Returns the next thing to do. Call it again until it returns [`Output::Timeout`].
    pub fn poll_output(&mut self) -> Output<'_> {
        if let Some(queued) = self.queued.pop_front() {
            return match queued {
                Queued::Event(connection, event) => Output::Event { connection, event },
                Queued::Dtls(session, request) => Output::Dtls { session, request },
            };
        }
        // Media waits, but the deadlines go out with it: forwarding and deadlines each can lead to the other.
        let (media_waits, now) = (!self.dirty.is_empty(), self.now);
        let earliest = self.deadlines.earliest();
        match self.outbox.datagrams.take_next() {
            Some(transmit) => Output::Transmit(transmit),
            None if media_waits => Output::Media(earliest),
            None if mutated!(DeadlineSpins) => {
                Output::Timeout(Some(Deadline { at: now, timer: Timer::Engine }))
            }
            None => Output::Timeout(earliest),
        }
    }

    /// Forwards a share of the media that waits: first the audio of every room, then video, one room after the other.
    /// Call it when [`poll_output`](Self::poll_output) returns [`Output::Media`].
    pub fn forward_share(&mut self, sink: &mut dyn MediaSink) {
        let mut left = self.settings.packets_at_once;
        while left > 0
            && let Some(room) = self.with_audio.pop_front()
        {
            left = left.saturating_sub(self.forward_room(room, sink));
            let Some(entry) = self.rooms.get_mut(room.0) else { continue };
            entry.has_audio = entry.room.has_audio_pending();
            if entry.has_audio {
                self.with_audio.push_back(room);
            }
        }
        while left > 0
            && let Some(room) = self.dirty.pop_front()
        {
            if self.rooms.get(room.0).is_some_and(|entry| entry.room.has_pending()) {
                left = left.saturating_sub(self.forward_room(room, sink));
            }
            let Some(entry) = self.rooms.get_mut(room.0) else { continue };
            entry.dirty = entry.room.has_pending();
            if entry.dirty {
                self.dirty.push_back(room);
            }
            // A viewer may need a key frame before anything can be shown to them: it is asked for at once.
            if entry.deadline.is_some_and(|deadline| deadline.at <= self.now) {
                left -= 1.min(left);
                self.handle_room(room, RoomInput::Timeout, None);
            }
        }
    }

    /// Returns when the oldest packet that still waits to be forwarded arrived; `None` if none waits.
    pub fn media_waits_since(&self) -> Option<Instant> {
        self.dirty.iter().filter_map(|room| self.rooms.get(room.0)?.room.waits_since()).min()
    }

    /// Returns the state of everything, for people and dashboards.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let rooms = self.rooms_by_id.values().map(|key| &self.rooms[key.0].room);
        Snapshot { rooms: rooms.map(|room| room.snapshot(now)).collect(), ..self.summary() }
    }

    /// Returns the snapshot without any room, which costs little however many participants there are.
    pub fn summary(&self) -> Snapshot {
        Snapshot {
            rooms: Vec::new(),
            datagrams_unknown: self.datagrams_unknown,
            demux_entries: self.demux.len(),
            deadlines: self.rooms.iter().map(|(_, entry)| entry.room.deadlines()).sum(),
        }
    }

    /// Returns the state of one room; `None` if there is none of that name.
    pub fn room_snapshot(&self, now: Instant, id: &RoomId) -> Option<RoomSnapshot> {
        let key = self.rooms_by_id.get(id)?;
        self.rooms.get(key.0).map(|entry| entry.room.snapshot(now))
    }

    /// Returns what is decided of where a room's media goes; `None` if it always goes through the server, or there is no room.
    pub fn topology(&self, id: &RoomId) -> Option<&Topology<ParticipantKey>> {
        let room = self.rooms_by_id.get(id).and_then(|key| self.rooms.get(key.0));
        room?.room.topology()
    }

    /// Returns whether somebody is in a room whose identity is none of those that `is_known` knows.
    pub fn has_strangers(&self, id: &RoomId, is_known: &dyn Fn(&str) -> bool) -> bool {
        let room = self.rooms_by_id.get(id).and_then(|key| self.rooms.get(key.0));
        room.is_some_and(|entry| entry.room.has_strangers(is_known))
    }

    /// Returns who stays out of a room, whether it is there or not; `None` if it is not, and nobody is banned from it.
    pub fn bans(&self, now: Instant, id: &RoomId) -> Option<Vec<BanSnapshot>> {
        match self.rooms_by_id.get(id) {
            Some(key) => self.rooms.get(key.0).map(|entry| entry.room.bans().snapshot(now)),
            None => self.bans.snapshot(now, id),
        }
    }

    /// Sets what is filled up with padding on somebody's first transport, and how much more than the estimate could be sent
    /// there; bits per second, 0 for none. For tests and tools: the room steers this itself, and no recording has it.
    pub fn steer_by_hand(&mut self, id: &RoomId, who: ParticipantId, padding_bps: u64, wants_more_bps: u64) {
        let Some(&key) = self.rooms_by_id.get(id) else { return };
        let (room, now) = (&mut self.rooms[key.0].room, self.now);
        if let Some(on) = room.first_transport_of(who) {
            room.set_padding_target(now, on, padding_bps);
            room.set_wants_more(now, on, wants_more_bps);
        }
        self.take_outputs(key, None);
    }

    /// Returns how many rooms and how many participants there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.rooms.len(), self.rooms.iter().map(|(_, entry)| entry.room.participants()).sum())
    }

    /// Returns the calls by where their media goes: the rooms with somebody in them.
    pub fn calls(&self) -> Calls {
        let mut calls = Calls::default();
        for (_, entry) in &self.rooms {
            let is_moving = entry.room.topology().is_some_and(|topology| topology.moving_to().is_some());
            calls.note(entry.room.mode(), entry.room.participants(), is_moving);
        }
        calls
    }

    /// Whether the server is draining: nobody is let in until the operator takes that back.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Returns the next piece of a recording to keep; `None` if there is none for now. Poll it after
    /// [`poll_output`](Self::poll_output), in every pass of the loop.
    pub fn poll_recording(&mut self) -> Option<RecordingOutput> {
        self.recordings.poll()
    }

    /// Makes [`poll_happening`](Self::poll_happening) return what happens from now on. Poll it then in every pass of the
    /// loop, because what has happened is kept until it is taken.
    pub fn tell_happenings(&mut self) {
        self.happened.get_or_insert_default();
    }

    /// Returns the next thing that has happened in a room; `None` if there is nothing new.
    pub fn poll_happening(&mut self) -> Option<Happened> {
        self.happened.as_mut()?.pop_front()
    }

    /// Does something to a room or to those in it, as the operator or a back end: the same as moderators do.
    ///
    /// # Errors
    /// There is no such room, or not whom or what it is about.
    pub fn operate(&mut self, now: Instant, room: &RoomId, moderation: Moderation) -> Result<(), Refusal> {
        self.handle_input(now, Input::Operate(room.clone(), moderation));
        std::mem::replace(&mut self.operated, Ok(()))
    }

    /// Makes a room ahead of time, without anybody in it, or changes the options of one that is there. It waits for people
    /// for as long as its options say, or at least five minutes.
    ///
    /// # Errors
    /// The server has as many rooms as it may, or is stopping, or the metadata is too long.
    pub fn make_room(&mut self, now: Instant, room: &RoomId, change: RoomChange) -> Result<(), Refusal> {
        self.handle_input(now, Input::MakeRoom(room.clone(), change));
        std::mem::replace(&mut self.operated, Ok(()))
    }

    /// Returns the next thing that whoever runs the server wants to know of what people do to each other, and in which room
    /// it was. Poll it after [`poll_output`](Self::poll_output).
    pub fn poll_notice(&mut self) -> Option<(RoomId, Notice)> {
        self.notices.pop_front()
    }

    /// Makes [`poll_recording`](Self::poll_recording) return what recorders have written so far, however little that is.
    pub fn hand_out_records(&mut self) {
        for room in self.recordings.rooms() {
            if let Some(recording) = self.rooms.get_mut(room.0).and_then(|entry| entry.recording.as_mut()) {
                self.recordings.hand_out(recording);
            }
        }
    }

    /// Returns the names of rooms that are recorded as soon as they are made.
    pub fn rooms_to_record(&self) -> impl Iterator<Item = &RoomId> {
        self.recordings.next()
    }

    /// Returns what has been counted since the start.
    pub fn totals(&mut self) -> &Totals {
        for (_, entry) in &mut self.rooms {
            entry.collect_totals(&mut self.totals);
        }
        &self.totals
    }

    /// Returns what has gone through each room so far.
    pub fn traffic(&mut self) -> BTreeMap<RoomId, Traffic> {
        self.totals();
        self.rooms.iter().map(|(_, entry)| (entry.room.id().clone(), entry.traffic)).collect()
    }

    /// Notes what has happened in a room, if anybody wants to know.
    fn note_happenings(&mut self, key: RoomKey) {
        let room = &self.rooms[key.0].room;
        match &mut self.happened {
            Some(happened) => happened.extend(self.outbox.happenings.drain(..).map(|what| Happened {
                room: room.id().clone(),
                tag: room.tag().to_owned(),
                participants: room.participants(),
                what,
            })),
            None => self.outbox.happenings.clear(),
        }
    }

    fn handle_datagram(&mut self, path: Path, bytes: &mut [u8]) {
        // Nearly all datagrams come by a path that is known.
        let owner = self.demux.by_path(path);
        // The ufrag of a connectivity check counts for more than its path: behind a NAT, an address can change hands.
        let kind = classify(bytes);
        let mut owner = owner;
        if kind == DatagramKind::Stun
            && let Some(message) = stun::peek(bytes)
        {
            let by_ufrag = message.local_ufrag().and_then(|ufrag| self.demux.by_ufrag(ufrag));
            owner = by_ufrag.or(owner);
            // An answer does not say whom it is for: whoever has not asked the question makes nothing of it.
            if message.is_binding_answer()
                && let Some((room, on)) = self.demux.disputed_by(path)
            {
                self.handle_room(room, RoomInput::Datagram { on, kind, path, bytes: &mut *bytes }, None);
            }
        }
        match owner {
            Some((room, on)) => self.handle_room(room, RoomInput::Datagram { on, kind, path, bytes }, None),
            None => {
                self.datagrams_unknown += 1;
                trace!(?path, "datagram from nobody");
            }
        }
    }

    /// Sheds that much in every room that does not shed as much already.
    fn shed(&mut self, shedding: Shedding) {
        let differs =
            |room: &&RoomKey| self.rooms.get(room.0).is_some_and(|entry| entry.room.shedding() != shedding);
        for room in self.rooms_by_id.values().filter(differs).copied().collect::<Vec<_>>() {
            self.handle_room(room, RoomInput::Shed(shedding), None);
        }
    }

    /// Tells every room that nobody could be heard for this long.
    fn note_standstill(&mut self, time: Duration) {
        for room in self.rooms_by_id.values().copied().collect::<Vec<_>>() {
            self.handle_room(room, RoomInput::StoodStill(time), None);
        }
    }

    /// Hands an operation to its room. What became of it is among the room's outputs.
    fn operate_room(&mut self, id: &RoomId, moderation: Moderation) {
        match self.rooms_by_id.get(id).copied() {
            Some(room) => self.handle_room(room, RoomInput::Operate(moderation), None),
            None => self.operated = self.operate_absent(id, &moderation),
        }
    }

    /// Carries out what can be done to a room that is not there: somebody can be banned from it for a time, and be let in
    /// again.
    fn operate_absent(&mut self, id: &RoomId, moderation: &Moderation) -> Result<(), Refusal> {
        match moderation {
            Moderation::Ban(Ban { target: Target::Identity(identity), lasts: Some(lasts), .. }) => {
                self.bans.ban(self.now, id, Mark::Identity(identity.clone()), *lasts);
            }
            Moderation::LiftBans(named) if self.bans.lift(id, named.as_deref()) => {}
            _ => return Err(no_such_room()),
        }
        Ok(())
    }

    /// Whether somebody has joined by a connection, or waits on it to be let in.
    fn is_in_use(&self, connection: ConnectionId) -> bool {
        self.connections.contains_key(&connection) || self.waiting.contains_key(&connection)
    }

    /// Takes somebody out of those who wait to be let in, because they have gone. Returns whether anybody waited on that
    /// connection.
    fn stop_waiting(&mut self, connection: ConnectionId) -> bool {
        let Some(&(room, id)) = self.waiting.get(&connection) else { return false };
        self.handle_room(room, RoomInput::StopWaiting(id), None);
        true
    }

    fn room_for(&mut self, entrant: Entrant, id: &RoomId, grants: Grants) -> Result<RoomKey, Refusal> {
        self.check_open()?;
        if self.is_in_use(entrant.connection) {
            return Err(already_joined());
        }
        if let Some(host) = entrant.host {
            let most = self.settings.participants_per_address_max;
            if self.addresses.check(host, most).is_err() {
                self.remove_idlest_of(host);
            }
            self.addresses.check(host, most)?;
        }
        if let Some(&room) = self.rooms_by_id.get(id) {
            return Ok(room);
        }
        if grants.create || self.settings.known_rooms.contains_key(id) {
            self.make(id, self.known(id))
        } else {
            Err(no_such_room())
        }
    }

    fn check_open(&self) -> Result<(), Refusal> {
        if self.stopping || self.draining {
            return Err(Refusal::new(
                RefusalCode::ShuttingDown,
                "the server lets nobody in: it is about to stop",
                "join again shortly",
            ));
        }
        Ok(())
    }

    /// Makes a room ahead of time, or changes the options of one that is there.
    fn make_ahead(&mut self, id: &RoomId, change: RoomChange) -> Result<(), Refusal> {
        // Checked before the room is made, so that nothing is left of what is refused.
        RoomOptions::default()
            .changed(&change)
            .map_err(|rule| Refusal::new(RefusalCode::PayloadTooLarge, rule, "say less"))?;
        match self.rooms_by_id.get(id) {
            Some(&room) => self.configure(room, change),
            None => {
                self.check_open()?;
                let change = self.known(id).then(change).made_ahead(self.settings.empty_timeout);
                self.make(id, change).map(|_| ())
            }
        }
    }

    fn configure(&mut self, room: RoomKey, change: RoomChange) -> Result<(), Refusal> {
        self.handle_room(room, RoomInput::Operate(Moderation::Configure(change)), None);
        std::mem::replace(&mut self.operated, Ok(()))
    }

    /// Returns what the operator has set for rooms of that name, whenever one is made.
    fn known(&self, id: &RoomId) -> RoomChange {
        self.settings.known_rooms.get(id).cloned().unwrap_or_default()
    }

    /// Makes a room that is not there, with this set for it.
    fn make(&mut self, id: &RoomId, change: RoomChange) -> Result<RoomKey, Refusal> {
        // When the server is full, a room that only waits for people who may never come back makes way.
        if self.rooms.len() >= self.settings.rooms_max {
            self.end_longest_empty();
        }
        if self.rooms.len() >= self.settings.rooms_max {
            return Err(Refusal::new(
                RefusalCode::TooManyRooms,
                format!("the server is full: it has its {} rooms", self.rooms.len()),
                "wait until a room ends, or use one that exists",
            ));
        }
        let tag = tag(self.rooms_made);
        self.rooms_made = self.rooms_made.wrapping_add(1);
        let key = RoomKey(self.rooms.vacant_key());
        let policy = change.recording.unwrap_or_default();
        let recording = self.recordings.begin(self.now, key, id, &tag, policy, &self.settings);
        let room = Room::new(self.now, id.clone(), tag, Rc::clone(&self.settings));
        self.rooms.insert(Entry {
            room,
            members: FixedMap::default(),
            waiting: BTreeMap::new(),
            hosts: FixedMap::default(),
            handshakes: FixedMap::default(),
            dirty: false,
            has_audio: false,
            deadline: None,
            recording,
            traffic: Traffic::default(),
        });
        debug_assert!(!self.rooms_by_id.contains_key(id), "two rooms never have one id");
        self.rooms_by_id.insert(id.clone(), key);
        self.outbox.happenings.push(Happening::RoomStarted);
        self.note_happenings(key);
        debug!(room = %id, "room made");
        let bans = self.bans.take(self.now, id);
        if !bans.is_empty() {
            self.handle_room(key, RoomInput::KeepOut(bans), None);
        }
        if change != RoomChange::default() {
            self.configure(key, change)?;
        }
        Ok(key)
    }

    /// Removes the member of that address who has been idle for longest, if there is one: their signalling is lost and
    /// they were never in a call, so they make way for somebody of the same address who is there now.
    fn remove_idlest_of(&mut self, host: IpAddr) {
        let hosts = self.rooms.iter().flat_map(|(room, entry)| {
            let of_host = entry.hosts.iter().filter(move |(_, other)| **other == host);
            of_host.filter_map(move |(key, _)| Some((entry.room.idle_since_of(*key)?, RoomKey(room), *key)))
        });
        if let Some((_, room, key)) = hosts.min() {
            self.handle_room(room, RoomInput::MakeWay(key), None);
        }
    }

    /// Ends the room that has been idle for longest: it only waits for people to come back, and makes way for a room
    /// that somebody wants to be in now.
    fn end_longest_empty(&mut self) {
        let empty = self.rooms.iter().filter_map(|(key, entry)| Some((entry.room.idle_since()?, key)));
        if let Some((_, key)) = empty.min() {
            self.handle_room(RoomKey(key), RoomInput::Close(LeaveReason::MadeWay), None);
        }
    }

    fn handle_admin(&mut self, command: AdminCommand) {
        match command {
            AdminCommand::CloseRoom(id) => {
                if let Some(&room) = self.rooms_by_id.get(&id) {
                    self.handle_room(room, RoomInput::Close(LeaveReason::RoomClosed), None);
                }
            }
            AdminCommand::Remove(id, participant) => {
                if let Some(&room) = self.rooms_by_id.get(&id) {
                    self.handle_room(room, RoomInput::Remove(participant), None);
                }
            }
            AdminCommand::Drain(draining) => self.set_draining(draining),
            AdminCommand::Shutdown => {
                // Before the rooms end, so that nobody who is sent away gets in again here.
                self.stopping = true;
                for room in self.rooms_by_id.values().copied().collect::<Vec<_>>() {
                    self.handle_room(room, RoomInput::Close(LeaveReason::Shutdown), None);
                }
            }
            AdminCommand::RecordRooms(pattern) => self.recordings.record_rooms(pattern),
            AdminCommand::RecordNext(room) => self.recordings.record_next(room),
            AdminCommand::RecordNextNot(room) => self.recordings.forget_next(&room),
            AdminCommand::StopRecording(id) => {
                let entry = self.recordings.room(id).and_then(|room| self.rooms.get_mut(room.0));
                if let Some(recording) = entry.and_then(|entry| entry.recording.take()) {
                    self.recordings.end(recording);
                }
            }
        }
    }

    /// Begins or ends draining, and tells everybody who is in a call.
    fn set_draining(&mut self, draining: bool) {
        if std::mem::replace(&mut self.draining, draining) == draining {
            return;
        }
        let mut connections: Vec<ConnectionId> = self.connections.keys().copied().collect();
        connections.sort_unstable();
        let events = connections.into_iter().map(|to| Queued::Event(to, Event::Draining(draining)));
        self.queued.extend(events);
    }

    /// Hands an input to its room and does what follows. `entering` is who may enter by it.
    fn handle_room(&mut self, key: RoomKey, input: RoomInput<'_>, entering: Option<Entrant>) {
        let Some(entry) = self.rooms.get_mut(key.0) else { return };
        let first = self.outbox.transmits();
        if let Some(recording) = &mut entry.recording {
            recording.recorder.note_input(self.now, &input);
        }
        entry.room.handle(self.now, input, &mut self.outbox);
        if let Some(recording) = &mut entry.recording {
            self.recordings.note_outputs(recording, &self.outbox, first);
        }
        if !entry.dirty {
            entry.dirty = true;
            self.dirty.push_back(key);
        }
        if !entry.has_audio && entry.room.has_audio_pending() {
            entry.has_audio = true;
            self.with_audio.push_back(key);
        }
        self.take_outputs(key, entering);
    }

    /// Lets a room forward a share. Returns roughly how many packets were sent.
    fn forward_room(&mut self, key: RoomKey, sink: &mut dyn MediaSink) -> usize {
        let Some(entry) = self.rooms.get_mut(key.0) else { return 0 };
        let packets = if let Some(recording) = &mut entry.recording {
            let first = self.outbox.transmits();
            recording.recorder.note_share(self.now);
            // The recorder must see the packets before they leave, so they go through the outbox.
            let (room, now) = (&mut entry.room, self.now);
            let packets = self.outbox.with_sink(|outbox, sink| room.forward_share(now, outbox, sink));
            self.recordings.note_outputs(recording, &self.outbox, first);
            self.outbox.datagrams.hand_over(first, sink);
            packets
        } else {
            entry.room.forward_share(self.now, &mut self.outbox, sink)
        };
        self.take_outputs(key, None);
        packets
    }

    /// Carries out what a room wants, and takes its next deadline. Drops the room if it has ended.
    fn take_outputs(&mut self, key: RoomKey, entering: Option<Entrant>) {
        // Taken out while they are carried out, and put back so that their memory is used again.
        let mut outputs = std::mem::take(&mut self.outbox.outputs);
        let mut entering = entering;
        for output in outputs.drain(..) {
            match output {
                RoomOutput::Knocked(id) => {
                    if let Some(entrant) = entering {
                        self.waiting.insert(entrant.connection, (key, id));
                        self.rooms[key.0].waiting.insert(id, entrant);
                    }
                }
                // What follows of admission is about them.
                RoomOutput::WaitsNoLonger(id) => {
                    entering = self.rooms[key.0].waiting.remove(&id);
                    if let Some(Entrant { connection, .. }) = entering {
                        self.waiting.remove(&connection);
                    }
                }
                output => self.take_room_output(key, output, entering),
            }
        }
        self.outbox.outputs = outputs;
        if self.rooms[key.0].room.has_ended() {
            let entry = &mut self.rooms[key.0];
            entry.collect_totals(&mut self.totals);
            self.outbox.happenings.push(Happening::RoomFinished(entry.traffic));
            self.bans.keep(self.now, entry.room.id(), entry.room.bans());
        }
        self.note_happenings(key);
        let entry = &mut self.rooms[key.0];
        if entry.room.has_ended() {
            let mut entry = self.rooms.remove(key.0);
            if let Some(recording) = entry.recording.take() {
                self.recordings.end(recording);
            }
            debug_assert_eq!(
                self.rooms_by_id.get(entry.room.id()),
                Some(&key),
                "a room is found by its own id"
            );
            debug_assert!(
                entry.members.is_empty() && entry.handshakes.is_empty() && entry.waiting.is_empty(),
                "a room ends when all are gone"
            );
            self.rooms_by_id.remove(entry.room.id());
            self.deadlines.set(key, None);
            self.dirty.retain(|other| *other != key);
            self.with_audio.retain(|other| *other != key);
            debug!(room = %entry.room.id(), "room ended");
            if self.rooms.is_empty() {
                self.give_back();
            }
        } else {
            // After every step, because any step can move it.
            entry.deadline = entry.room.deadline();
            self.deadlines.set(key, entry.deadline);
        }
    }

    /// Gives back the memory that more rooms and people than there are now have needed.
    fn give_back(&mut self) {
        self.rooms.shrink_to_fit();
        self.connections.shrink_to_fit();
        self.waiting.shrink_to_fit();
        self.handshakes.shrink_to_fit();
        self.addresses.give_back();
        self.demux.give_back();
        self.dirty.shrink_to_fit();
        self.with_audio.shrink_to_fit();
        self.queued.shrink_to_fit();
    }

    /// Takes note of where somebody is. An address can be forged: it is not taken from somebody who is there by a check alone.
    fn bind_path(&mut self, claimant: Owner, path: Path) {
        let holds = |(home, owner): Owner| self.rooms[home.0].room.holds_path(self.now, owner, &path);
        match self.demux.by_path(path) {
            Some(owner) if owner != claimant && holds(owner) => self.demux.dispute_path(path, claimant),
            _ => self.demux.bind_path(path, claimant),
        }
    }

    fn take_room_output(&mut self, room: RoomKey, output: RoomOutput, entering: Option<Entrant>) {
        match output {
            RoomOutput::Event(to, event) => {
                if let Some(connection) = self.rooms[room.0].members.get(&to).copied().flatten() {
                    // Somebody who was away has not heard that the server is draining.
                    let is_back = matches!(event, Event::Resumed(..));
                    self.queued.push_back(Queued::Event(connection, event));
                    if is_back && self.draining {
                        self.queued.push_back(Queued::Event(connection, Event::Draining(true)));
                    }
                }
            }
            RoomOutput::Dtls(of, request) => {
                let session = self.handshake_of(room, of);
                if matches!(request, DtlsRequest::Forget { .. }) {
                    self.handshakes.remove(&session);
                    self.rooms[room.0].handshakes.remove(&of);
                }
                self.queued.push_back(Queued::Dtls(session, request));
            }
            RoomOutput::BindUfrag(of, ufrag) => self.demux.bind_ufrag(&ufrag, (room, of)),
            RoomOutput::UnbindUfrag(ufrag) => self.demux.unbind_ufrag(&ufrag),
            RoomOutput::BindPath(of, path) => self.bind_path((room, of), path),
            RoomOutput::ClaimPath(of, path) => self.demux.bind_path(path, (room, of)),
            RoomOutput::UnbindPath(of, path) => self.demux.unbind_path(path, (room, of)),
            RoomOutput::Admitted(who) => {
                if let Some(Entrant { connection, host }) = entering {
                    if let Some(host) = host {
                        self.addresses.add(host);
                        self.rooms[room.0].hosts.insert(who, host);
                    }
                    self.admit(room, who, connection);
                }
            }
            RoomOutput::Refused(request, refusal) => {
                if let Some(Entrant { connection, .. }) = entering {
                    self.refuse(connection, request, refusal);
                }
            }
            RoomOutput::ToWaiting(id, event) => {
                if let Some(Entrant { connection, .. }) = self.rooms[room.0].waiting.get(&id) {
                    self.queued.push_back(Queued::Event(*connection, event));
                }
            }
            RoomOutput::Operated(done) => self.operated = done,
            RoomOutput::Noted(notice) => {
                // Whoever does not take them loses the oldest.
                if self.notices.len() >= NOTICES_MAX {
                    self.notices.pop_front();
                }
                self.notices.push_back((self.rooms[room.0].room.id().clone(), *notice));
            }
            // Both are taken before, because they say whom the others are about.
            RoomOutput::Knocked(_) | RoomOutput::WaitsNoLonger(_) => {}
            RoomOutput::Gone(who, _) => {
                if let Some(connection) = self.rooms[room.0].members.remove(&who).flatten() {
                    self.connections.remove(&connection);
                }
                if let Some(host) = self.rooms[room.0].hosts.remove(&who) {
                    self.addresses.remove(host);
                }
            }
        }
    }

    /// Notes that somebody has entered a room on that connection, or is back on it.
    fn admit(&mut self, room: RoomKey, who: ParticipantKey, connection: ConnectionId) {
        let transport = self.rooms[room.0].room.transports_of(who).first().copied();
        let session = transport.map(|transport| self.handshake_of(room, transport));
        let Entry { room: home, members, .. } = &mut self.rooms[room.0];
        let before = members.insert(who, Some(connection));
        if let Some(participant) = home.participant_id(who) {
            // This line of the log has all the names that other lines use for a participant, so that each leads here.
            info!(
                room = %home.id(),
                %participant,
                connection = connection.0,
                session = session.map(|session| session.0),
                participants = home.participants(),
                "{}",
                if before.is_some() { "resumed" } else { "joined" },
            );
        }
        // Two pages can have one secret: the newer one takes over, and the older one is told.
        if let Some(old) = before.flatten() {
            self.connections.remove(&old);
            self.queued.push_back(Queued::Event(old, Event::Closing(ClosingReason::Replaced)));
        }
        // From here on commands on this connection are theirs.
        self.connections.insert(connection, (room, who));
    }

    /// Returns the shell's name for the handshake of a transport. It is made when the room first mentions it.
    fn handshake_of(&mut self, room: RoomKey, of: TransportKey) -> DtlsSession {
        *self.rooms[room.0].handshakes.entry(of).or_insert_with(|| {
            self.handshakes_made += 1;
            let session = DtlsSession(self.handshakes_made);
            self.handshakes.insert(session, (room, of));
            session
        })
    }

    fn refuse(&mut self, connection: ConnectionId, request: Option<RequestId>, refusal: Refusal) {
        self.queued.push_back(Queued::Event(connection, Event::Refused(request, refusal)));
    }
}

fn no_such_room() -> Refusal {
    Refusal::new(
        RefusalCode::NoSuchRoom,
        "there is no such room",
        "wait until somebody has opened it, or check its name",
    )
}

fn already_joined() -> Refusal {
    Refusal::new(RefusalCode::AlreadyJoined, "this connection has joined already", "leave first")
}

fn not_joined() -> Refusal {
    Refusal::new(
        RefusalCode::NotJoined,
        "this connection has not joined a room",
        "send `join` or `resume` first",
    )
}

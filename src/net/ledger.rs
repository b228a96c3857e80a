//! Ledger: what the shell keeps of what happens in rooms. It numbers rooms and events, has receivers of webhooks told, and
//! adds up what rooms have used.

use std::collections::BTreeMap;
use std::time::Duration;

use super::clock;
use super::entropy;
use super::webhooks::{EventFacts, RoomFacts, Webhooks, body};
use crate::core::Sfu;
use crate::core::happening::{Happened, Happening};
use crate::core::ids::RoomId;

/// What a room has used of the server since its start: all rooms of one name together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// How often a room of the name was made.
    pub rooms: u64,
    /// How many participants have joined.
    pub joins: u64,
    /// The most who were there at a time.
    pub participants_max: usize,
    /// How long those were there together who have left.
    pub participant_time: Duration,
    /// Bytes of RTP packets from clients, of rooms that are over.
    pub bytes_in: u64,
    /// Bytes of RTP packets to clients, of rooms that are over.
    pub bytes_out: u64,
}

/// How many rooms' names are remembered for their usage. Beyond that, the usage of rooms that are over is added up under no name.
const USAGES_MAX: usize = 10_000;

/// The rooms that there are, what they have used, and who is told of it.
pub struct Ledger {
    /// What the ids of this run's rooms and events begin with, so that no other run's are alike.
    run: String,
    rooms: BTreeMap<RoomId, RoomFacts>,
    usage: BTreeMap<RoomId, Usage>,
    /// What rooms have used whose names are forgotten.
    forgotten: Usage,
    events: u64,
    /// The receivers of webhooks.
    pub webhooks: Webhooks,
}

impl Ledger {
    /// Begins without any room.
    ///
    /// # Errors
    /// The operating system gives no randomness.
    pub fn new(webhooks: Webhooks) -> std::io::Result<Self> {
        let run = entropy::name()?.chars().take(8).collect();
        Ok(Self {
            run,
            rooms: BTreeMap::new(),
            usage: BTreeMap::new(),
            forgotten: Usage::default(),
            events: 0,
            webhooks,
        })
    }

    /// Takes what has happened in rooms since the last time. Called by `EventLoop::pass` at its end.
    pub fn collect(&mut self, sfu: &mut Sfu) {
        while let Some(happened) = sfu.poll_happening() {
            self.note(&happened);
        }
    }

    fn note(&mut self, happened: &Happened) {
        let now = clock::unix();
        let Happened { room: name, tag, participants, what } = happened;
        let room = self.rooms.entry(name.clone()).or_insert_with(|| RoomFacts {
            sid: format!("RM_{}{tag}", self.run),
            name: name.as_str().to_owned(),
            created: now,
            participants: 0,
        });
        room.participants = *participants;
        if !self.webhooks.is_empty() {
            self.events += 1;
            let id = format!("EV_{}{:08}", self.run, self.events);
            self.webhooks.tell(body(EventFacts { id: &id, at: now, room }, what));
        }
        self.add_up(name, *participants, what);
        if let Happening::RoomFinished(_) = what {
            self.rooms.remove(name);
        }
    }

    fn add_up(&mut self, name: &RoomId, participants: usize, what: &Happening) {
        if !self.usage.contains_key(name) {
            self.make_place();
        }
        let usage = self.usage.entry(name.clone()).or_default();
        usage.participants_max = usage.participants_max.max(participants);
        match what {
            Happening::RoomStarted => usage.rooms += 1,
            Happening::Joined(_) => usage.joins += 1,
            Happening::Left(member, _) => usage.participant_time += member.age,
            Happening::RoomFinished(traffic) => {
                usage.bytes_in += traffic.bytes_in;
                usage.bytes_out += traffic.bytes_out;
            }
            Happening::Published(..) | Happening::Unpublished(..) => {}
        }
    }

    /// Forgets the name of a room that is over, if there are too many. What it has used still counts in all.
    fn make_place(&mut self) {
        if self.usage.len() < USAGES_MAX {
            return;
        }
        let over = self.usage.keys().find(|name| !self.rooms.contains_key(*name)).cloned();
        if let Some(usage) = over.and_then(|name| self.usage.remove(&name)) {
            self.forgotten.add(&usage);
        }
    }

    /// Returns what is known of a room that there is.
    pub fn room(&self, name: &RoomId) -> Option<&RoomFacts> {
        self.rooms.get(name)
    }

    /// Returns what rooms have used, without what goes on in them now, by their names.
    pub fn usage(&self) -> impl Iterator<Item = (&RoomId, &Usage)> {
        self.usage.iter()
    }

    /// Returns what the rooms have used together whose names are forgotten.
    pub fn forgotten(&self) -> Usage {
        self.forgotten
    }
}

impl Usage {
    /// Adds what another room has used.
    pub fn add(&mut self, other: &Self) {
        self.rooms += other.rooms;
        self.joins += other.joins;
        self.participants_max = self.participants_max.max(other.participants_max);
        self.participant_time += other.participant_time;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }
}

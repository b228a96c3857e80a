//! Ledger: what the shell keeps of what happens in rooms. It numbers rooms and events, and has receivers of webhooks
//! told.

use std::collections::BTreeMap;

use super::clock;
use super::entropy;
use super::webhooks::{EventFacts, RoomFacts, Webhooks, body};
use crate::core::Sfu;
use crate::core::happening::{Happened, Happening};
use crate::core::ids::RoomId;

/// The rooms that there are, and who is told of them.
pub struct Ledger {
    /// What the ids of this run's rooms and events begin with, so that no other run's are alike.
    run: String,
    rooms: BTreeMap<RoomId, RoomFacts>,
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
        Ok(Self { run, rooms: BTreeMap::new(), events: 0, webhooks })
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
            if let Some(body) = body(EventFacts { id: &id, at: now, room }, what) {
                self.webhooks.tell(body);
            }
        }
        if let Happening::RoomFinished(_) = what {
            self.rooms.remove(name);
        }
    }
}

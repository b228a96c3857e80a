//! The WHIP and WHEP sessions that are there: what each remembers between two requests, and what the core tells it.
//!
//! A session has no WebSocket; towards the core it is a connection with an id of its own. What a WHEP viewer does on
//! an event waits here until the core has been drained.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use tracing::debug;

use super::ws::Allowance;
use crate::core::command::Command;
use crate::core::event::{Event, Joined, Refusal};
use crate::core::ids::{ConnectionId, RoomId};
use crate::limits::{OFFERS_BURST, OFFERS_PER_SECOND};
use crate::signal::whip::{Offer, Side, Viewer};

/// Sets the ids of sessions apart from those of TCP connections.
const ID_MARK: u64 = 1 << 63;

/// One session.
pub struct Session {
    /// The last part of its address; whoever knows it may end the session.
    pub name: String,
    /// Publishing or viewing.
    pub side: Side,
    /// The room it is in.
    pub room: RoomId,
    /// Who asked for it, as limits count.
    host: IpAddr,
    /// The offer that was answered last.
    pub offer: Offer,
    /// What a WHEP viewer sees.
    pub viewer: Option<Viewer>,
    /// How often ICE was restarted: what the entity tag is made of.
    pub restarts: u64,
    /// How often it may restart ICE, which is an offer.
    offers: Allowance,
    /// Replies that a request waits for.
    replies: Replies,
}

/// What came back from the core.
#[derive(Debug, Default)]
pub struct Replies {
    /// To the join.
    pub joined: Option<Joined>,
    /// To the offer.
    pub answer: Option<String>,
    /// To either.
    pub refused: Option<Refusal>,
}

impl Session {
    /// One that has not joined yet.
    pub fn new(now: Instant, name: String, side: Side, room: RoomId, host: IpAddr, offer: Offer) -> Self {
        let offers = Allowance::new(OFFERS_PER_SECOND, OFFERS_BURST, now);
        let replies = Replies::default();
        Self { name, side, room, host, offer, viewer: None, restarts: 0, offers, replies }
    }

    /// Takes one offer from what the client may send; `false` if none is left.
    pub fn take_offer_allowance(&mut self, now: Instant) -> bool {
        self.offers.take(now)
    }

    /// The strong entity tag of its ICE session.
    pub fn etag(&self) -> String {
        format!("\"ice-{}\"", self.restarts)
    }
}

/// All sessions.
#[derive(Default)]
pub struct WhipSessions {
    made: u64,
    sessions: HashMap<ConnectionId, Session>,
    by_name: HashMap<String, ConnectionId>,
    commands: Vec<(ConnectionId, Command)>,
}

impl WhipSessions {
    /// Whether an id is that of a session, now or once.
    pub fn owns(&self, id: ConnectionId) -> bool {
        id.0 & ID_MARK != 0
    }

    /// How many there are of a protocol.
    pub fn count(&self, side: Side) -> usize {
        self.sessions.values().filter(|session| session.side == side).count()
    }

    /// Adds a session; its id from now on.
    pub fn add(&mut self, session: Session) -> ConnectionId {
        self.made += 1;
        let id = ConnectionId(ID_MARK | self.made);
        self.by_name.insert(session.name.clone(), id);
        self.sessions.insert(id, session);
        id
    }

    /// How many sessions a host has.
    pub fn of_host(&self, host: IpAddr) -> usize {
        self.sessions.values().filter(|session| session.host == host).count()
    }

    /// Forgets a session.
    pub fn remove(&mut self, id: ConnectionId) {
        if let Some(session) = self.sessions.remove(&id) {
            self.by_name.remove(&session.name);
        }
        self.commands.retain(|(of, _)| *of != id);
    }

    /// The session at an address.
    pub fn find(&self, side: Side, room: &RoomId, name: &str) -> Option<ConnectionId> {
        let id = *self.by_name.get(name)?;
        let session = self.sessions.get(&id)?;
        (session.side == side && session.room == *room).then_some(id)
    }

    /// A session that is still there.
    pub fn get(&mut self, id: ConnectionId) -> Option<&mut Session> {
        self.sessions.get_mut(&id)
    }

    /// What came back since this was asked last. Empty also for a session that has ended meanwhile.
    pub fn take_replies(&mut self, id: ConnectionId) -> Replies {
        self.sessions.get_mut(&id).map(|session| std::mem::take(&mut session.replies)).unwrap_or_default()
    }

    /// An event of the core's.
    pub fn on_event(&mut self, id: ConnectionId, event: &Event) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        match event {
            Event::Joined(_, joined) => session.replies.joined = Some((**joined).clone()),
            Event::Answer { sdp, .. } => session.replies.answer = Some(sdp.clone()),
            Event::Refused(_, refusal) => {
                debug!(connection = id.0, room = %session.room, code = ?refusal.code, message = refusal.message, "refused");
                session.replies.refused = Some(refusal.clone());
            }
            Event::Closing(reason) => {
                debug!(connection = id.0, room = %session.room, ?reason, "WHIP or WHEP session over");
                self.remove(id);
            }
            Event::Left(_) => self.remove(id),
            other => {
                let commands =
                    session.viewer.as_mut().map(|viewer| viewer.on_event(other)).unwrap_or_default();
                self.commands.extend(commands.into_iter().map(|command| (id, command)));
            }
        }
    }

    /// A viewer chooses for the first time.
    pub fn start_viewing(&mut self, id: ConnectionId, mut viewer: Viewer) {
        if let Some(session) = self.sessions.get_mut(&id) {
            let commands = viewer.choose();
            session.viewer = Some(viewer);
            self.commands.extend(commands.into_iter().map(|command| (id, command)));
        }
    }

    /// What viewers ask of the core, once.
    pub fn take_commands(&mut self) -> Vec<(ConnectionId, Command)> {
        std::mem::take(&mut self.commands)
    }
}

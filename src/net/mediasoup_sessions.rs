//! The sessions of mediasoup's clients, and the WebSockets that belong to them.
//!
//! A session has no connection of its own: its calls come by HTTP on any connection, or by a WebSocket. The core sees it as a
//! connection all the same, with an id from here. When an event makes a session ask something of the core, that is kept here
//! until the event loop takes it, so that nothing is fed into the core while it is being drained.
//!
//! Apps name rooms and people by ids that anybody can know. So that nobody acts for somebody else, each session has an
//! [`Owner`], and whoever calls shows that they are this one, or knows something of the session that cannot be guessed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tracing::debug;

use super::client_origin::ClientOrigin;
use super::swept::Swept;
use crate::core::event::Event;
use crate::core::ids::{ConnectionId, ParticipantId, RoomId, TransportId};
use crate::signal::Demand;
use crate::signal::mediasoup::{CallRates, Dialect, Session, SessionReaction};

/// Sets the ids of sessions apart from those of TCP connections, and of WHIP's sessions.
const ID_MARK: u64 = 1 << 62;
/// And this, of WHIP's.
const OTHERS_MARK: u64 = 1 << 63;

/// Most WebSockets of one client that listen to one channel.
const LISTENERS_MAX: usize = 4;

/// A room and somebody in it, as apps name them.
pub type Key = (RoomId, String);

/// Whose a session is, or who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The name that their browser was given in a cookie, which nobody can guess.
    pub client: String,
    /// Whether a token says that they are the user.
    pub by_token: bool,
}

impl Owner {
    /// Returns whether somebody who calls is the same as the owner of a session.
    pub fn is(&self, other: &Self) -> bool {
        (self.by_token && other.by_token) || same(&self.client, &other.client)
    }
}

/// Compares two secrets in a time that does not tell where they differ.
pub fn same(one: &str, other: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

/// One session, and what its holder knows about it.
pub struct HeldSession {
    /// The front end.
    pub session: Session,
    /// Whose it is.
    pub owner: Owner,
    /// Where it was opened from.
    pub origin: ClientOrigin,
    /// The address that limits count for it.
    host: IpAddr,
    /// Its WebSocket, if it has one now.
    pub socket: Option<(ConnectionId, Dialect)>,
    /// Whether it has ever had one.
    pub had_socket: bool,
    /// Since when the core has taken its connection for broken.
    lost_at: Option<Instant>,
    /// How much may be called for it by REST.
    pub rates: CallRates,
}

impl HeldSession {
    /// Notes that something was asked of the core for it: if its connection is broken, it is so from now on.
    pub fn note_call(&mut self, now: Instant) {
        self.lost_at = self.session.lost_for().map(|_| now);
    }

    fn is_over(&self, now: Instant) -> bool {
        let lost = self.lost_at.zip(self.session.lost_for());
        // A second more, so that it is the core that forgets first.
        lost.is_some_and(|(since, seconds)| now > since + Duration::from_secs(seconds + 1))
    }
}

/// A WebSocket that brings the news of a channel whenever its user is there.
struct Listener {
    socket: ConnectionId,
    owner: Owner,
}

/// All sessions, by their ids, by whom they are and by their transports.
#[derive(Default)]
pub struct MediasoupSessions {
    made: u64,
    sessions: Swept<ConnectionId, HeldSession>,
    by_key: HashMap<Key, ConnectionId>,
    by_transport: HashMap<TransportId, ConnectionId>,
    /// By WebSocket.
    by_socket: HashMap<ConnectionId, ConnectionId>,
    listeners: HashMap<Key, Vec<Listener>>,
    /// The channels that WebSockets listen to.
    listening: HashMap<ConnectionId, Key>,
    demands: Vec<(ConnectionId, Demand)>,
}

impl MediasoupSessions {
    /// Returns whether an id belongs, or once belonged, to a session.
    pub fn owns(&self, id: ConnectionId) -> bool {
        id.0 & ID_MARK != 0 && id.0 & OTHERS_MARK == 0
    }

    /// Counts the sessions, without those that may only be taken up again.
    pub fn count(&self) -> usize {
        self.sessions.entries.values().filter(|held| held.session.lost_for().is_none()).count()
    }

    /// Returns how many sessions a host has that need no WebSocket.
    pub fn of_host(&self, host: IpAddr) -> usize {
        let counts = |held: &&HeldSession| {
            held.host == host && held.socket.is_none() && held.session.lost_for().is_none()
        };
        self.sessions.entries.values().filter(counts).count()
    }

    /// Returns the id that the next session will have.
    pub fn next_id(&mut self) -> ConnectionId {
        self.made += 1;
        ConnectionId(ID_MARK | self.made)
    }

    /// Adds a session under an id from [`next_id`](Self::next_id). If a WebSocket listens for its user, it is the session's.
    pub fn add(
        &mut self,
        now: Instant,
        id: ConnectionId,
        (session, rates): (Session, CallRates),
        owner: Owner,
        (origin, host): (ClientOrigin, IpAddr),
    ) {
        self.forget_lost(now);
        let key = key_of(&session);
        let listener = self.listeners.get(&key).into_iter().flatten().rfind(|other| other.owner.is(&owner));
        let socket = listener.map(|listener| (listener.socket, Dialect::Channels));
        self.by_key.insert(key, id);
        let had_socket = socket.is_some();
        let held = HeldSession { session, owner, origin, host, socket, had_socket, lost_at: None, rates };
        self.by_socket.extend(socket.map(|(socket, _)| (socket, id)));
        self.sessions.entries.insert(id, held);
    }

    /// Forgets those who were not taken up again in time, of whom the core says nothing more.
    fn forget_lost(&mut self, now: Instant) {
        let mut over = Vec::new();
        self.sessions.sweep(|held| {
            let is_over = held.is_over(now);
            if is_over {
                over.push((key_of(&held.session), held.session.transports().collect::<Vec<_>>()));
            }
            is_over
        });
        for (key, transports) in over {
            self.unlink(&key, &transports);
        }
    }

    /// Takes away what leads to a session that is there no longer.
    fn unlink(&mut self, key: &Key, transports: &[TransportId]) {
        if self.by_key.get(key).is_some_and(|id| !self.sessions.entries.contains_key(id)) {
            self.by_key.remove(key);
        }
        for transport in transports {
            self.by_transport.remove(transport);
        }
    }

    /// Finds the session of a user in a room.
    pub fn find(&mut self, now: Instant, key: &Key) -> Option<ConnectionId> {
        let id = *self.by_key.get(key)?;
        if self.sessions.entries.get(&id)?.is_over(now) {
            self.remove(id);
            return None;
        }
        Some(id)
    }

    /// Returns whether a participant is there by a session of that owner.
    pub fn has_participant(&self, participant: ParticipantId, owner: &Owner) -> bool {
        let mut held = self.sessions.entries.values();
        held.any(|held| held.session.participant() == Some(participant) && owner.is(&held.owner))
    }

    /// Finds the session that a transport belongs to.
    pub fn find_by_transport(&self, transport: TransportId) -> Option<ConnectionId> {
        self.by_transport.get(&transport).copied()
    }

    /// Finds the session of a WebSocket.
    pub fn find_by_socket(&self, socket: ConnectionId) -> Option<ConnectionId> {
        self.by_socket.get(&socket).copied()
    }

    /// Returns a session that is still there.
    pub fn get(&mut self, id: ConnectionId) -> Option<&mut HeldSession> {
        self.sessions.entries.get_mut(&id)
    }

    /// Returns whether a WebSocket listens for a user whose session would be that owner's.
    pub fn has_listener(&self, key: &Key, owner: &Owner) -> bool {
        self.listeners.get(key).into_iter().flatten().any(|other| other.owner.is(owner))
    }

    /// Ends a session, so that its user can begin another one. Returns its WebSocket, which is nobody's now.
    pub fn displace(&mut self, id: ConnectionId) -> Option<ConnectionId> {
        let held = self.sessions.entries.get_mut(&id)?;
        let key = key_of(&held.session);
        let socket = held.socket.take().map(|(socket, _)| socket);
        let demands = held.session.leave();
        self.ask(id, demands);
        if self.by_key.get(&key) == Some(&id) {
            self.by_key.remove(&key);
        }
        if let Some(socket) = socket {
            self.by_socket.remove(&socket);
        }
        socket
    }

    /// Gives a session a WebSocket. Returns the one that it had before.
    pub fn attach(
        &mut self,
        id: ConnectionId,
        socket: ConnectionId,
        dialect: Dialect,
    ) -> Option<ConnectionId> {
        let held = self.sessions.entries.get_mut(&id)?;
        let older = held.socket.replace((socket, dialect)).map(|(socket, _)| socket);
        held.had_socket = true;
        held.lost_at = None;
        let demand = held.session.take_up();
        self.ask(id, demand);
        let older = older.filter(|older| *older != socket);
        if let Some(older) = older {
            self.by_socket.remove(&older);
        }
        self.by_socket.insert(socket, id);
        older
    }

    /// Lets a WebSocket listen to a channel for its user. Returns `false` if that client has too many there already.
    pub fn listen(&mut self, key: &Key, socket: ConnectionId, owner: Owner) -> bool {
        let listeners = self.listeners.entry(key.clone()).or_default();
        if listeners.iter().filter(|other| other.owner.is(&owner)).count() >= LISTENERS_MAX {
            return false;
        }
        listeners.push(Listener { socket, owner });
        self.listening.insert(socket, key.clone());
        true
    }

    /// Notes that a WebSocket has ended; `has_left` if its client said goodbye. Returns the session that it was of, and what
    /// the core has to hear.
    pub fn socket_ended(
        &mut self,
        now: Instant,
        socket: ConnectionId,
        has_left: bool,
    ) -> Option<(ConnectionId, Demand)> {
        if let Some(key) = self.listening.remove(&socket)
            && let Some(listeners) = self.listeners.get_mut(&key)
        {
            listeners.retain(|other| other.socket != socket);
            if listeners.is_empty() {
                self.listeners.remove(&key);
            }
        }
        let id = self.by_socket.remove(&socket)?;
        let held = self.sessions.entries.get_mut(&id)?;
        held.socket = None;
        let demand = held.session.socket_ended(has_left)?;
        held.lost_at = Some(now);
        debug!(connection = id.0, has_left, "a session's WebSocket has ended");
        Some((id, demand))
    }

    /// Takes one of the core's events. Returns what to do, and the session's WebSocket.
    pub fn event(
        &mut self,
        id: ConnectionId,
        event: &Event,
    ) -> Option<(SessionReaction, Option<(ConnectionId, Dialect)>)> {
        let held = self.sessions.entries.get_mut(&id)?;
        if let Event::Refused(_, refusal) = event {
            debug!(connection = id.0, code = ?refusal.code, message = refusal.message, "refused");
        }
        let mut reaction = held.session.event(event);
        let socket = held.socket;
        if let Some(opened) = reaction.opened {
            self.by_transport.insert(opened, id);
        }
        if let Some(closed) = reaction.closed {
            self.by_transport.remove(&closed);
        }
        if reaction.is_over {
            self.remove(id);
        }
        self.demands.extend(std::mem::take(&mut reaction.demands).into_iter().map(|demand| (id, demand)));
        Some((reaction, socket))
    }

    /// Keeps what is to be asked of the core.
    pub fn ask(&mut self, id: ConnectionId, demands: impl IntoIterator<Item = Demand>) {
        self.demands.extend(demands.into_iter().map(|demand| (id, demand)));
    }

    /// Takes what sessions have asked of the core since the last call.
    pub fn take_demands(&mut self) -> Vec<(ConnectionId, Demand)> {
        std::mem::take(&mut self.demands)
    }

    fn remove(&mut self, id: ConnectionId) {
        let Some(held) = self.sessions.entries.remove(&id) else { return };
        if let Some((socket, _)) = held.socket {
            self.by_socket.remove(&socket);
        }
        let transports: Vec<TransportId> = held.session.transports().collect();
        self.unlink(&key_of(&held.session), &transports);
    }
}

fn key_of(session: &Session) -> Key {
    let (room, user) = session.key();
    (room.clone(), user.to_owned())
}

//! The open WHIP and WHEP sessions, and the requests that wait for each.
//!
//! A session has no connection of its own: its requests come on any HTTP connection. The core sees it as a connection
//! all the same, with an id from here. When an event makes a session ask something of the core, that is kept here until
//! the event loop takes it, so that nothing is fed into the core while it is being drained.

use std::collections::HashMap;
use std::net::IpAddr;

use tracing::debug;

use super::client_origin::ClientOrigin;
use crate::core::event::Event;
use crate::core::ids::{ConnectionId, ParticipantId, RoomId};
use crate::signal::Demand;
use crate::signal::whip::{Side, WhipReply, WhipSession};

/// Sets the ids of sessions apart from those of TCP connections.
const ID_MARK: u64 = 1 << 63;

/// One session, and what its holder knows about it.
pub struct HeldSession {
    /// The front end of the session's client.
    pub session: WhipSession,
    /// The last part of its address. Anybody who knows it may end the session.
    pub name: String,
    /// The room that it is in.
    pub room: RoomId,
    /// Where its POST came from.
    pub origin: ClientOrigin,
    /// The address that limits count for it.
    host: IpAddr,
    /// The HTTP connections on which a request waits for it, oldest first.
    waiting: Vec<ConnectionId>,
}

/// A reply, and everything that its HTTP response needs.
#[derive(Debug)]
pub struct Answered {
    /// The id of the session.
    pub id: ConnectionId,
    /// Whether the session publishes or views.
    pub side: Side,
    /// The room that it is in.
    pub room: RoomId,
    /// The last part of its address.
    pub name: String,
    /// The entity tag of its ICE session, as it is now.
    pub etag: String,
    /// Where its POST came from.
    pub origin: ClientOrigin,
    /// The session's reply.
    pub reply: WhipReply,
    /// The HTTP connections that wait for it. Empty if none waits any more.
    pub waiting: Vec<ConnectionId>,
}

impl Answered {
    /// Returns the participant who has just joined by this session; `None` if nobody has.
    pub fn participant(&self) -> Option<ParticipantId> {
        match self.reply {
            WhipReply::Opened { participant, .. } => Some(participant),
            _ => None,
        }
    }
}

/// All sessions, by their ids and by their names.
#[derive(Default)]
pub struct WhipSessions {
    made: u64,
    sessions: HashMap<ConnectionId, HeldSession>,
    by_name: HashMap<String, ConnectionId>,
    demands: Vec<(ConnectionId, Demand)>,
}

impl WhipSessions {
    /// Returns whether an id belongs, or once belonged, to a session.
    pub fn owns(&self, id: ConnectionId) -> bool {
        id.0 & ID_MARK != 0
    }

    /// Counts the sessions of a protocol.
    pub fn count(&self, side: Side) -> usize {
        self.sessions.values().filter(|held| held.session.side() == side).count()
    }

    /// Returns how many sessions a host has.
    pub fn of_host(&self, host: IpAddr) -> usize {
        self.sessions.values().filter(|held| held.host == host).count()
    }

    /// Adds a session that the POST on an HTTP connection opens. Returns the id that it has from now on.
    pub fn add(
        &mut self,
        session: WhipSession,
        (name, room): (String, RoomId),
        (origin, host): (ClientOrigin, IpAddr),
        waiting: ConnectionId,
    ) -> ConnectionId {
        self.made += 1;
        let id = ConnectionId(ID_MARK | self.made);
        self.by_name.insert(name.clone(), id);
        let held = HeldSession { session, name, room, origin, host, waiting: vec![waiting] };
        self.sessions.insert(id, held);
        id
    }

    /// Finds the session at an address.
    pub fn find(&self, side: Side, room: &RoomId, name: &str) -> Option<ConnectionId> {
        let id = *self.by_name.get(name)?;
        let held = self.sessions.get(&id)?;
        (held.session.side() == side && held.room == *room).then_some(id)
    }

    /// Returns a session that is still there.
    pub fn get(&mut self, id: ConnectionId) -> Option<&mut HeldSession> {
        self.sessions.get_mut(&id)
    }

    /// Notes that a request on an HTTP connection waits for a session.
    pub fn wait(&mut self, id: ConnectionId, waiting: ConnectionId) {
        if let Some(held) = self.sessions.get_mut(&id) {
            held.waiting.push(waiting);
        }
    }

    /// Ends a session by its client's DELETE. Its address leads nowhere from now on.
    pub fn leave(&mut self, id: ConnectionId) -> Option<Demand> {
        let held = self.sessions.get_mut(&id)?;
        self.by_name.remove(&held.name);
        Some(held.session.leave())
    }

    /// Notes that the request on an HTTP connection no longer waits for a session, because the connection is gone or
    /// the wait took too long. Returns what the core has to hear.
    pub fn abandon(&mut self, id: ConnectionId, waiting: ConnectionId) -> Option<Demand> {
        let held = self.sessions.get_mut(&id)?;
        // Others may still wait for the same session.
        held.waiting.retain(|other| *other != waiting);
        let demand = held.session.abandon()?;
        debug!(connection = id.0, room = %held.room, "nobody waits for the session that was asked for: it ends");
        self.by_name.remove(&held.name);
        Some(demand)
    }

    /// Takes one of the core's events. Returns the reply, if the event answers a request.
    pub fn event(&mut self, id: ConnectionId, event: &Event) -> Option<Answered> {
        let held = self.sessions.get_mut(&id)?;
        match event {
            Event::Refused(_, refusal) => {
                let (code, message) = (refusal.code, &refusal.message);
                debug!(connection = id.0, room = %held.room, ?code, message, "refused");
            }
            Event::Closing(reason) => {
                debug!(connection = id.0, room = %held.room, ?reason, "WHIP or WHEP session over");
            }
            _ => {}
        }
        let reaction = held.session.event(event);
        let answered = reaction.reply.map(|reply| Answered {
            id,
            side: held.session.side(),
            room: held.room.clone(),
            name: held.name.clone(),
            etag: held.session.etag(),
            origin: held.origin.clone(),
            reply,
            waiting: std::mem::take(&mut held.waiting),
        });
        self.demands.extend(reaction.demands.into_iter().map(|demand| (id, demand)));
        if reaction.is_over {
            self.remove(id);
        }
        answered.filter(|answered| !answered.waiting.is_empty())
    }

    /// Takes what sessions have asked of the core since the last call.
    pub fn take_demands(&mut self) -> Vec<(ConnectionId, Demand)> {
        std::mem::take(&mut self.demands)
    }

    fn remove(&mut self, id: ConnectionId) {
        if let Some(held) = self.sessions.remove(&id) {
            self.by_name.remove(&held.name);
        }
        // The core has let go of the session, and would refuse these.
        self.demands.retain(|(of, _)| *of != id);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::core::command::Command;
    use crate::core::grants::Grants;
    use crate::signal::Ticket;
    use crate::signal::whip::{Choice, WhipOffer};

    const HTTP: ConnectionId = ConnectionId(7);
    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn opened() -> (WhipSessions, ConnectionId, RoomId) {
        let sdp = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
            m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=ice-ufrag:abcd\r\n\
            a=ice-pwd:abcdefghijklmnopqrstuv\r\na=fingerprint:sha-256 ";
        let fingerprint = ["AA"; 32].join(":");
        let rest = "\r\na=setup:actpass\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=sendonly\r\n";
        let body = format!("{sdp}{fingerprint}{rest}");
        let offer = WhipOffer::read(Side::Publish, body.as_bytes()).expect("a good offer");
        let room: RoomId = "standup".parse().expect("a room");
        let open = WhipSession::open(
            Side::Publish,
            room.clone(),
            (
                "Studio".into(),
                Ticket::Granted {
                    grants: Grants::OPEN,
                    profile: None,
                    is_invited: false,
                    is_vouched_for: false,
                },
            ),
            offer,
            Choice::default(),
        );
        let origin = ClientOrigin { client: HOST, local: HOST, host: None, is_tls: false, is_proxied: false };
        let mut sessions = WhipSessions::default();
        let id = sessions.add(open.0, ("name".into(), room.clone()), (origin, HOST), HTTP);
        (sessions, id, room)
    }

    #[test]
    fn a_client_that_is_gone_before_its_answer_leaves_no_session_behind() {
        let (mut sessions, id, room) = opened();
        assert_eq!(sessions.find(Side::Publish, &room, "name"), Some(id));
        let leave = Some(Demand::Command { request: None, command: Command::Leave });
        assert_eq!(sessions.abandon(id, HTTP), leave);
        assert_eq!(sessions.find(Side::Publish, &room, "name"), None);
        assert!(sessions.event(id, &Event::Left(None)).is_none(), "nobody waits");
        assert_eq!((sessions.count(Side::Publish), sessions.of_host(HOST)), (0, 0));
    }

    #[test]
    fn everyone_who_waits_is_answered_when_a_session_ends() {
        let (mut sessions, id, room) = opened();
        assert!(sessions.leave(id).is_some());
        sessions.wait(id, ConnectionId(8));
        assert_eq!(sessions.find(Side::Publish, &room, "name"), None, "its address is nobody's at once");
        let answered = sessions.event(id, &Event::Left(None)).expect("they wait");
        assert_eq!((answered.reply, answered.waiting), (WhipReply::Ended, vec![HTTP, ConnectionId(8)]));
        assert!(sessions.get(id).is_none());
    }
}

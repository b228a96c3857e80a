//! Between the sockets and the TURN server (`turn`): messages in, answers out, connections that its clients have no more
//! use for, and the credentials that participants are given.

use std::time::Instant;

use super::clock;
use super::connection::Connection;
use super::event_loop::EventLoop;
use super::frame_queue::Sent;
use super::tcp::Connections;
use super::turn::{Carrier, Dropped, Link, ReachedBy, Turn};
use super::udp::Udp;
use crate::core::Input;
use crate::core::ids::ParticipantId;
use crate::core::output::Transmit;
use crate::core::path::{Path, TrafficClass, Transport};
use crate::signal::native::IceServer;

impl EventLoop {
    /// Reads up to `messages_max` messages of a TURN client's connection.
    pub(super) fn read_turn(&mut self, now: Instant, place: usize, messages_max: usize) {
        let Self { connections, sfu, fed, turn, candidates, .. } = self;
        let Some(connection) = connections.at(place) else { return };
        let id = connection.id;
        let carrier = if connection.is_tls() { Carrier::Tls } else { Carrier::Tcp };
        let ends = (connection.local, connection.peer);
        connection.receive(messages_max, |bytes| {
            let Some(relayed) = turn.receive_message(now, (id, carrier), ends, bytes, candidates) else {
                return;
            };
            let Some(bytes) = bytes.get_mut(relayed.range) else { return };
            *fed = true;
            sfu.handle_input(now, Input::Datagram { path: relayed.path, bytes });
        });
        connection.set_turn_allocated(now, turn.has_allocation(id));
    }

    /// Sends the TURN server's own answers, and closes what it has no more use for.
    pub(super) fn settle_turn(&mut self, now: Instant) {
        let Self { turn, udp, connections, .. } = self;
        while let Some((link, message)) = turn.next_answer() {
            if send(udp, connections, link, TrafficClass::Control, &message) == Some(Sent::Dropped) {
                turn.counters.note_dropped(Dropped::QueueFull);
            }
        }
        while let Some(id) = self.turn.next_ended() {
            if let Some(place) = self.connections.place_of(id) {
                self.end_connection(now, place, "its allocation has ended");
            }
        }
    }

    /// The STUN and TURN servers of a participant whose signalling came by a connection.
    pub(super) fn ice_servers(
        &mut self,
        now: Instant,
        participant: ParticipantId,
        connection: &Came<'_>,
    ) -> Vec<IceServer> {
        let &Came { client, local, host, is_tls, is_proxied } = connection;
        let relayed = self.turn.network();
        let given = self.candidates.for_client(now, client, local, is_proxied);
        let others = self.config.ice_servers.clone();
        let Some(first) = given.iter().find(|candidate| !relayed.contains(candidate.address.ip())) else {
            return others;
        };
        let reached = ReachedBy { host, is_tls, is_proxied, candidate: first.address };
        let mut servers = self.turn.ice_servers(&participant.to_string(), reached, clock::unix());
        servers.extend(others);
        servers
    }
}

/// What is known of how a client came.
#[derive(Debug, Clone, Copy)]
pub struct Came<'a> {
    client: std::net::IpAddr,
    local: std::net::IpAddr,
    host: Option<&'a str>,
    is_tls: bool,
    is_proxied: bool,
}

impl<'a> Came<'a> {
    /// By a connection, with a request that had this `Host`, and a proxy's header fields or not.
    pub fn by(connection: &Connection, host: Option<&'a str>, is_proxied: bool) -> Self {
        let (client, local) = (connection.client, connection.local.ip());
        Self { client, local, host, is_tls: connection.is_tls(), is_proxied }
    }
}

/// Sends what the core says to a client behind a relayed address.
pub fn send_relayed(
    now: Instant,
    turn: &mut Turn,
    udp: &mut Udp,
    connections: &mut Connections,
    transmit: &Transmit<'_>,
) {
    let Some((link, message)) = turn.transmit(now, transmit.path, transmit.bytes) else { return };
    match send(udp, connections, link, transmit.class, message) {
        Some(Sent::Queued) => {}
        Some(Sent::Dropped) => turn.counters.note_dropped(Dropped::QueueFull),
        None => turn.counters.note_dropped(Dropped::Gone),
    }
}

fn send(
    udp: &mut Udp,
    connections: &mut Connections,
    link: Link,
    class: TrafficClass,
    message: &[u8],
) -> Option<Sent> {
    match link {
        Link::Datagrams(path) => {
            udp.push(path, class, message);
            Some(Sent::Queued)
        }
        Link::Connection(id) => connections.send_turn(id, class, message),
    }
}

/// A way of media as people read it.
pub fn path_name(path: &Path, turn: &Turn) -> &'static str {
    match path.transport {
        Transport::Tcp => "TCP",
        Transport::Udp if !turn.network().contains(path.remote.ip()) => "UDP",
        Transport::Udp => match turn.carrier_of(path.remote) {
            Some(Carrier::Udp) => "TURN/UDP",
            Some(Carrier::Tcp) => "TURN/TCP",
            Some(Carrier::Tls) => "TURN/TLS",
            None => "TURN",
        },
    }
}

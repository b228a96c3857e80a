//! Egress: by which way a datagram of the core's leaves, and what that way is called. Media that goes by UDP is written
//! where it is sent from; for ICE-TCP and TURN it is made in a buffer first, and wrapped.

use std::time::Instant;

use super::tcp::connections::Connections;
use super::tcp::frame_queue::Sent;
use super::turn::{Dropped, Link, LinkKind, TurnServer};
use super::udp::Udp;
use crate::core::output::{MediaSink, SINK_BUFFER_BYTES, Transmit};
use crate::core::path::{Path, TrafficClass, Transport};

/// Everything that datagrams leave by.
pub struct Egress<'a> {
    now: Instant,
    udp: &'a mut Udp,
    turn_server: &'a mut TurnServer,
    connections: &'a mut Connections,
    /// Where the packet that is being made goes, if it does not leave by plain UDP.
    wrapped: Option<(Path, TrafficClass)>,
    /// Where such a packet is made.
    scratch: &'a mut [u8],
}

impl<'a> Egress<'a> {
    /// Puts the ways together for one drain of the core. `scratch` holds at least the longest datagram.
    pub fn new(
        now: Instant,
        udp: &'a mut Udp,
        turn_server: &'a mut TurnServer,
        connections: &'a mut Connections,
        scratch: &'a mut [u8],
    ) -> Self {
        debug_assert!(scratch.len() >= SINK_BUFFER_BYTES, "{} bytes", scratch.len());
        Self { now, udp, turn_server, connections, wrapped: None, scratch }
    }

    /// Sends one datagram, or queues it.
    pub fn transmit(&mut self, transmit: &Transmit<'_>) {
        match transmit.path.transport {
            // Nothing is ever sent to a relayed address itself: it is virtual.
            Transport::Udp if self.turn_server.network().contains(transmit.path.remote.ip()) => {
                self.transmit_relayed(transmit);
            }
            Transport::Udp => self.udp.push(transmit.path, transmit.class, transmit.bytes),
            Transport::Tcp => self.connections.send(self.now, transmit),
        }
    }

    /// Sends what the core says to a client behind a relayed address.
    fn transmit_relayed(&mut self, transmit: &Transmit<'_>) {
        let relayed = self.turn_server.transmit(self.now, transmit.path, transmit.bytes);
        let Some((link, message)) = relayed else { return };
        match send_on_link(self.udp, self.connections, link, transmit.class, message) {
            Some(Sent::Queued) => {}
            Some(Sent::Dropped) => self.turn_server.counters.note_dropped(Dropped::QueueFull),
            None => self.turn_server.counters.note_dropped(Dropped::Gone),
        }
    }
}

impl MediaSink for Egress<'_> {
    fn to(&mut self, path: Path, class: TrafficClass) {
        let is_relayed = self.turn_server.network().contains(path.remote.ip());
        let is_wrapped = path.transport == Transport::Tcp || is_relayed;
        self.wrapped = is_wrapped.then_some((path, class));
        if !is_wrapped {
            self.udp.to(path, class);
        }
    }

    fn buffer(&mut self) -> &mut [u8] {
        match self.wrapped {
            Some(_) => self.scratch,
            None => self.udp.buffer(),
        }
    }

    fn sent(&mut self, length: usize) {
        let Some((path, class)) = self.wrapped else { return self.udp.sent(length) };
        // Taken out, so that `transmit` may borrow the rest.
        let scratch = std::mem::take(&mut self.scratch);
        self.transmit(&Transmit { path, class, bytes: scratch.get(..length).unwrap_or_default() });
        self.scratch = scratch;
    }
}

/// Sends a message of the TURN server's by the way that its client is connected. Returns `None` if that connection is gone.
pub fn send_on_link(
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

/// Names a way of media as people read it.
pub fn path_name(path: &Path, turn_server: &TurnServer) -> &'static str {
    match path.transport {
        Transport::Tcp => "TCP",
        Transport::Udp if !turn_server.network().contains(path.remote.ip()) => "UDP",
        Transport::Udp => match turn_server.link_kind_of(path.remote) {
            Some(LinkKind::Udp) => "TURN/UDP",
            Some(LinkKind::Tcp) => "TURN/TCP",
            Some(LinkKind::Tls) => "TURN/TLS",
            None => "TURN",
        },
    }
}

//! Egress: sends the core's datagrams by UDP, ICE-TCP or TURN. Media that goes by UDP is written straight into the send
//! buffer; for ICE-TCP and TURN it is built in a buffer first and then wrapped.

use std::time::Instant;

use super::tcp::connections::Connections;
use super::tcp::frame_queue::Sent;
use super::turn::{Dropped, Link, TurnServer};
use super::udp::Udp;
use crate::core::output::{MediaSink, SINK_BUFFER_BYTES, Transmit};
use crate::core::path::{Carrier, Path, TrafficClass};

/// Everything by which datagrams leave.
pub struct Egress<'a> {
    now: Instant,
    udp: &'a mut Udp,
    turn_server: &'a mut TurnServer,
    connections: &'a mut Connections,
    /// Where the packet that is being built goes, if it does not leave by plain UDP.
    wrapped: Option<(Path, TrafficClass)>,
    /// The buffer in which such a packet is built.
    scratch: &'a mut [u8],
}

impl<'a> Egress<'a> {
    /// Borrows everything that one drain of the core needs. `scratch` has room for the longest datagram.
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
        match transmit.path.carrier {
            // Nothing is ever sent to a relayed address itself: it is virtual.
            Carrier::TurnUdp | Carrier::TurnTcp | Carrier::TurnTls => self.transmit_relayed(transmit),
            Carrier::Udp => self.udp.push(transmit.path, transmit.class, transmit.bytes),
            Carrier::Tcp | Carrier::Tls => self.connections.send(self.now, transmit),
        }
    }

    /// Sends the core's datagram to a client behind a relayed address.
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
        let is_wrapped = path.carrier != Carrier::Udp;
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

/// Sends a TURN server's message on the link by which its client is connected. Returns `None` if that connection is
/// gone.
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

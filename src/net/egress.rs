//! Egress: by which way a datagram of the core's leaves. Media that goes by UDP is written where it is sent from; for the
//! other ways it is made in a buffer and wrapped. Called by the event loop.

use std::time::Instant;

use super::relaying::send_relayed;
use super::tcp::Connections;
use super::turn::Turn;
use super::udp::Udp;
use crate::core::output::{MediaSink, SINK_BUFFER_BYTES, Transmit};
use crate::core::path::{Path, TrafficClass, Transport};

/// Everything that datagrams leave by.
pub struct Egress<'a> {
    now: Instant,
    udp: &'a mut Udp,
    turn: &'a mut Turn,
    connections: &'a mut Connections,
    /// Where media goes that does not leave by UDP.
    wrapped: Option<(Path, TrafficClass)>,
    /// Where that is made.
    scratch: &'a mut [u8],
}

impl<'a> Egress<'a> {
    /// For one drain. `scratch` holds at least the longest datagram.
    pub fn new(
        now: Instant,
        udp: &'a mut Udp,
        turn: &'a mut Turn,
        connections: &'a mut Connections,
        scratch: &'a mut [u8],
    ) -> Self {
        debug_assert!(scratch.len() >= SINK_BUFFER_BYTES, "{} bytes", scratch.len());
        Self { now, udp, turn, connections, wrapped: None, scratch }
    }

    /// Sends one datagram, or queues it.
    pub fn transmit(&mut self, transmit: &Transmit<'_>) {
        match transmit.path.transport {
            Transport::Udp if self.turn.network().contains(transmit.path.remote.ip()) => {
                send_relayed(self.now, self.turn, self.udp, self.connections, transmit);
            }
            Transport::Udp => self.udp.push(transmit.path, transmit.class, transmit.bytes),
            Transport::Tcp => self.connections.send(self.now, transmit),
        }
    }
}

impl MediaSink for Egress<'_> {
    fn to(&mut self, path: Path, class: TrafficClass) {
        let is_wrapped = path.transport == Transport::Tcp || self.turn.network().contains(path.remote.ip());
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
        let scratch = std::mem::take(&mut self.scratch);
        self.transmit(&Transmit { path, class, bytes: scratch.get(..length).unwrap_or_default() });
        self.scratch = scratch;
    }
}

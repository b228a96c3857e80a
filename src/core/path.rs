//! Ways to a peer: by which transport, from which of our addresses to which of its, and what travels on them.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Which transport a datagram came by or goes by. A TCP peer's datagrams are deframed by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// A datagram of the UDP socket, or relayed to it by the embedded TURN server.
    Udp,
    /// One RFC 4571 frame of an ICE-TCP connection.
    Tcp,
}

/// A way to a peer: from which of our addresses, to which of its, by which transport.
/// Addresses are canonical: never IPv4-mapped IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Path {
    /// Whether datagrams go by UDP or in a TCP connection.
    pub transport: Transport,
    /// Our address: where the peer's packets come to, where replies leave from.
    pub local: SocketAddr,
    /// The address of the peer: where its packets come from, and where ours go to.
    pub remote: SocketAddr,
}

/// One address at which clients can reach us, to be written into answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LocalCandidate {
    /// Whether it is for UDP or for TCP.
    pub transport: Transport,
    /// The address as clients see it (behind a 1:1 NAT: the public one).
    pub address: SocketAddr,
}

/// What a datagram is for; the shell marks packets by it (DSCP) and may order by it within a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TrafficClass {
    /// STUN, DTLS and RTCP.
    Control,
    /// Forwarded audio, which is never late on purpose.
    Audio,
    /// Forwarded video.
    Video,
}

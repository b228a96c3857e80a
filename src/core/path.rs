//! Paths to a peer: the transport protocol, our address, the peer's address, and what travels between them.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The transport protocol of a datagram. For TCP peers, the shell takes datagrams out of their frames and puts them in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TransportProtocol {
    /// A datagram of the UDP socket, or relayed to it by the embedded TURN server.
    Udp,
    /// One RFC 4571 frame of an ICE-TCP connection.
    Tcp,
}

/// What carries the datagrams of a path. The shell hands it in with every path, so that nobody has to guess it from
/// addresses, and traces have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Carrier {
    /// UDP, straight between the server and the participant.
    Udp,
    /// A TCP connection, framed as in RFC 4571 (ICE-TCP).
    Tcp,
    /// The same, inside TLS.
    Tls,
    /// The embedded TURN server, whose client is connected by UDP.
    TurnUdp,
    /// The embedded TURN server, whose client is connected by TCP.
    TurnTcp,
    /// The embedded TURN server, whose client is connected by TLS.
    TurnTls,
}

impl Carrier {
    /// All of them, with their names in the metrics.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Udp, "udp"),
        (Self::Tcp, "tcp"),
        (Self::Tls, "tls"),
        (Self::TurnUdp, "turn_udp"),
        (Self::TurnTcp, "turn_tcp"),
        (Self::TurnTls, "turn_tls"),
    ];

    /// Returns its name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::TurnUdp => "TURN/UDP",
            Self::TurnTcp => "TURN/TCP",
            Self::TurnTls => "TURN/TLS",
        }
    }

    /// Whether the embedded TURN server relays.
    pub fn is_relayed(self) -> bool {
        matches!(self, Self::TurnUdp | Self::TurnTcp | Self::TurnTls)
    }

    /// Returns the transport protocol of the candidate pair: what the TURN server relays is UDP to ICE.
    pub fn protocol(self) -> TransportProtocol {
        match self {
            Self::Tcp | Self::Tls => TransportProtocol::Tcp,
            Self::Udp | Self::TurnUdp | Self::TurnTcp | Self::TurnTls => TransportProtocol::Udp,
        }
    }
}

/// A path to a peer: our address, the peer's address, and what carries datagrams between them. Addresses are canonical:
/// never IPv4-mapped IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Path {
    /// What carries its datagrams.
    pub carrier: Carrier,
    /// Our address, at which the peer's packets arrive and from which ours leave.
    pub local: SocketAddr,
    /// The peer's address, from which its packets come and to which ours go.
    pub remote: SocketAddr,
}

impl Path {
    /// Returns its transport protocol, as ICE sees it.
    pub fn protocol(&self) -> TransportProtocol {
        self.carrier.protocol()
    }
}

/// One address at which clients can reach us, to be written into answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LocalCandidate {
    /// Whether it is for UDP or for TCP.
    pub protocol: TransportProtocol,
    /// The address as clients see it (behind a 1:1 NAT: the public one).
    pub address: SocketAddr,
}

impl LocalCandidate {
    /// Returns its priority at that place among the others (RFC 8445 §5.1.2.1): type preference 126 for UDP hosts, 90 for TCP
    /// so that UDP is preferred.
    pub fn priority(self, place: usize) -> u32 {
        let preference = 65535 - u32::try_from(place).unwrap_or(65535).min(65535);
        let type_preference = match self.protocol {
            TransportProtocol::Udp => 126,
            TransportProtocol::Tcp => 90,
        };
        (type_preference << 24) | (preference << 8) | 255
    }
}

/// What a datagram is for. The shell marks packets by it (DSCP) and may order packets by it within a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TrafficClass {
    /// STUN, DTLS and RTCP.
    Control,
    /// Forwarded audio, which never waits on purpose.
    Audio,
    /// Forwarded video.
    Video,
    /// Messages on data channels, behind everything else.
    Data,
}

//! One client of the TURN server: its connection (5-tuple), who it is, and its allocation.
//!
//! The library's server holds nonces, lifetimes, permissions and channels. Each client has a server of its own, always
//! in UDP mode, because the library's framing of TCP lacks ChannelData's padding and its tables are searched from end
//! to end.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use turn_server_proto::api::TurnServerApi;
use turn_server_proto::server::TurnServer;
use turn_server_proto::types::TransportType;
use turn_server_proto::types::stun::message::{
    IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageIntegrityCredentials,
};

use super::quota::QuotaKey;
use crate::core::ids::ConnectionId;
use crate::core::path::{Carrier, Path};
use crate::net::deadlines::Alarm;

/// The realm that clients are told their credentials are for.
pub const REALM: &str = "strait";

/// How a client is connected to the TURN server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// By UDP datagrams.
    Udp,
    /// By a plain TCP connection.
    Tcp,
    /// By a TLS connection.
    Tls,
}

impl LinkKind {
    /// All kinds, with their names in the metrics.
    pub const ALL: [(Self, &'static str); 3] = [(Self::Udp, "udp"), (Self::Tcp, "tcp"), (Self::Tls, "tls")];

    /// Returns what carries the datagrams that are relayed for such a client.
    pub fn carrier(self) -> Carrier {
        match self {
            Self::Udp => Carrier::TurnUdp,
            Self::Tcp => Carrier::TurnTcp,
            Self::Tls => Carrier::TurnTls,
        }
    }
}

/// How a client is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// By a datagram on this path.
    Datagrams(Path),
    /// On the TCP connection of this id.
    Connection(ConnectionId),
}

/// A client that has shown that it knows a password.
pub struct User {
    /// The user name, as the credentials have it.
    pub username: String,
    /// The key with which messages are checked and signed.
    pub credentials: MessageIntegrityCredentials,
}

impl User {
    /// Makes a user of a name and the password that belongs to it, before the client has shown that it knows it.
    pub fn new(username: &str, password: String) -> Self {
        let credentials = LongTermKeyCredentials::new(username.to_owned(), password, REALM.to_owned());
        Self { username: username.to_owned(), credentials: credentials.into() }
    }

    /// Returns the participant for whom the credentials were made.
    pub fn participant(&self) -> &str {
        self.username.split_once(':').map_or("", |(_, participant)| participant)
    }

    /// Returns how a message is signed, if this user has signed it.
    pub fn has_signed(&self, message: &Message<'_>) -> Option<IntegrityAlgorithm> {
        message.validate_integrity(&self.credentials).ok()
    }
}

/// A client's allocation.
#[derive(Debug)]
pub struct Allocation {
    /// The relayed address, where the core sees the client.
    pub relayed: SocketAddr,
    /// The answer that granted it, for a client that missed it and asks again.
    pub granted: Vec<u8>,
    /// The participant whose share of the bandwidth it uses.
    pub quota: QuotaKey,
    /// When the core last had something for the client.
    pub used: Instant,
    /// The peers that have or had a permission.
    pub permissions: Vec<IpAddr>,
    /// The peers that have or had a channel.
    pub channels: Vec<SocketAddr>,
}

/// One client of the TURN server.
pub struct Client {
    /// How the client is answered.
    pub link: Link,
    /// How the client is connected.
    pub link_kind: LinkKind,
    /// The address of our end.
    pub local: SocketAddr,
    /// The address of the client's end.
    pub remote: SocketAddr,
    /// The library's server for this client.
    pub server: TurnServer,
    /// Who the client is, once it has shown that.
    pub user: Option<User>,
    /// What the client has been allocated.
    pub allocation: Option<Allocation>,
    /// When the client was first heard of.
    pub since: Instant,
    /// When to look at the client again.
    pub alarm: Alarm,
}

impl Client {
    /// Begins with a client that has said nothing yet.
    pub fn new(now: Instant, link: Link, link_kind: LinkKind, local: SocketAddr, remote: SocketAddr) -> Self {
        let server = TurnServer::new(TransportType::Udp, local, REALM.to_owned());
        let (user, allocation) = (None, None);
        Self { link, link_kind, local, remote, server, user, allocation, since: now, alarm: Alarm::default() }
    }

    /// Takes a user who has shown that they know the password.
    pub fn set_user(&mut self, user: User) {
        if let MessageIntegrityCredentials::LongTerm(credentials) = &user.credentials {
            self.server.add_user(user.username.clone(), credentials.password().to_owned());
        }
        self.user = Some(user);
    }
}

impl Allocation {
    /// Adds peers with a permission. Returns `false`, and adds none, if that would pass the limit.
    pub fn permit(&mut self, peers: &[SocketAddr], max: usize) -> bool {
        let new: Vec<IpAddr> =
            peers.iter().map(SocketAddr::ip).filter(|ip| !self.permissions.contains(ip)).collect();
        let fits = self.permissions.len() + new.len() <= max;
        if fits {
            self.permissions.extend(new);
        }
        fits
    }

    /// Adds peers with a channel. Returns `false`, and adds none, if that would pass the limit.
    pub fn bind(&mut self, peers: &[SocketAddr], max: usize) -> bool {
        let new: Vec<SocketAddr> =
            peers.iter().filter(|peer| !self.channels.contains(peer)).copied().collect();
        let fits = self.channels.len() + new.len() <= max;
        if fits {
            self.channels.extend(new);
        }
        fits
    }
}

//! One client of the TURN server: its connection (5-tuple), who it is, and its allocation.
//!
//! The library's server holds nonces, lifetimes, permissions and channels. Each client has one of its own, always in UDP
//! mode: the library's framing of TCP lacks ChannelData's padding, and its tables are searched from end to end.

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
use crate::core::path::Path;
use crate::net::deadlines::Alarm;

/// What clients are told that their credentials are for.
pub const REALM: &str = "strait";

/// How a client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// Datagrams.
    Udp,
    /// A TCP connection.
    Tcp,
    /// TLS.
    Tls,
}

impl Carrier {
    /// All, with their names in the metrics.
    pub const ALL: [(Self, &'static str); 3] = [(Self::Udp, "udp"), (Self::Tcp, "tcp"), (Self::Tls, "tls")];
}

/// How to answer a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// By a datagram.
    Datagrams(Path),
    /// On a connection.
    Connection(ConnectionId),
}

/// Who has shown to know a password.
pub struct User {
    /// The user name.
    pub username: String,
    /// For checking and signing.
    pub credentials: MessageIntegrityCredentials,
}

impl User {
    /// With a password that is still to be checked.
    pub fn new(username: &str, password: String) -> Self {
        let credentials = LongTermKeyCredentials::new(username.to_owned(), password, REALM.to_owned());
        Self { username: username.to_owned(), credentials: credentials.into() }
    }

    /// For whom the credentials were made.
    pub fn participant(&self) -> &str {
        self.username.split_once(':').map_or("", |(_, participant)| participant)
    }

    /// How a message is signed, if it is by this user.
    pub fn has_signed(&self, message: &Message<'_>) -> Option<IntegrityAlgorithm> {
        message.validate_integrity(&self.credentials).ok()
    }
}

/// What a client has been given.
#[derive(Debug)]
pub struct Allocation {
    /// Where the core sees the client.
    pub relayed: SocketAddr,
    /// Whose bandwidth it uses.
    pub quota: QuotaKey,
    /// When the core last had something for it.
    pub used: Instant,
    /// Peers with a permission, now or before.
    pub permissions: Vec<IpAddr>,
    /// Peers with a channel, now or before.
    pub channels: Vec<SocketAddr>,
}

/// A client.
pub struct Client {
    /// How to answer it.
    pub link: Link,
    /// How it is connected.
    pub carrier: Carrier,
    /// Our end.
    pub local: SocketAddr,
    /// Its end.
    pub remote: SocketAddr,
    /// The library's part.
    pub server: TurnServer,
    /// Who it is, once it has shown that.
    pub user: Option<User>,
    /// What it has.
    pub allocation: Option<Allocation>,
    /// Since when it is there.
    pub since: Instant,
    /// When to look at it.
    pub alarm: Alarm,
}

impl Client {
    /// Somebody who has said nothing yet.
    pub fn new(now: Instant, link: Link, carrier: Carrier, local: SocketAddr, remote: SocketAddr) -> Self {
        let server = TurnServer::new(TransportType::Udp, local, REALM.to_owned());
        let (user, allocation) = (None, None);
        Self { link, carrier, local, remote, server, user, allocation, since: now, alarm: Alarm::default() }
    }

    /// Takes a user over who has shown to know the password.
    pub fn set_user(&mut self, user: User) {
        if let MessageIntegrityCredentials::LongTerm(credentials) = &user.credentials {
            self.server.add_user(user.username.clone(), credentials.password().to_owned());
        }
        self.user = Some(user);
    }
}

impl Allocation {
    /// Whether peers can be added without passing a limit; if so, they are.
    pub fn permit(&mut self, peers: &[SocketAddr], max: usize) -> bool {
        let new: Vec<IpAddr> =
            peers.iter().map(SocketAddr::ip).filter(|ip| !self.permissions.contains(ip)).collect();
        let fits = self.permissions.len() + new.len() <= max;
        if fits {
            self.permissions.extend(new);
        }
        fits
    }

    /// The same for channels.
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

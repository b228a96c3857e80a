//! The embedded TURN server (RFC 8656), for clients that reach the port by TCP or TLS alone and cannot do ICE-TCP.
//!
//! It relays to Strait itself and to nobody else, inside the process. A relayed address is virtual ([`relayed`]): the
//! core sees datagrams that come from it and sends datagrams to it, as to any other. Credentials, quotas and allowed
//! peers are checked here, before the library sees a request. It touches no socket: messages are handed in, and answers
//! wait until the event loop takes them.

mod authority;
mod client;
mod counters;
mod credentials;
mod ice_servers;
mod messages;
mod quota;
mod relayed;
mod requests;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use slab::Slab;
use tracing::{debug, error};
use turn_server_proto::api::{
    DelayedMessageOrChannelSend, SocketAllocateError, Transmit, TurnServerApi, TurnServerPollRet,
};
use turn_server_proto::types::{AddressFamily, TransportType};

pub use authority::Authority;
pub use client::{Link, LinkKind};
pub use counters::{Dropped, TurnCounters};
pub use ice_servers::ReachedBy;
pub use settings::TurnConfig;

use super::address::Candidates;
use super::address_rates::{AddressRates, host_of};
use super::deadlines::Deadlines;
use super::relayed_network::RelayedNetwork;
use crate::core::ids::ConnectionId;
use crate::core::path::Path;
use crate::wire::classify::DatagramKind;
use crate::wire::stun::{METHOD_BINDING, StunClass, peek};
use client::{Allocation, Client};
use credentials::Credentials;
use messages::is_allocated;
use quota::{Quotas, Way};
use relayed::RelayedAddresses;

/// How many clients without an allocation are remembered of those that send datagrams, because their addresses may be
/// forged.
const BARE_DATAGRAM_CLIENTS_MAX: usize = 1024;

/// How long an allocation lasts without the core sending to it.
const UNUSED_MAX: Duration = Duration::from_secs(30);

/// How many requests by datagram from clients without an allocation are answered per second in all. Their sources may
/// be forged, and answers are up to five times as long.
const STRANGERS_PER_SECOND: u32 = 3000;
/// How many from one IPv4 address or IPv6 /64 network, in the long run.
const OF_ONE_STRANGER_PER_SECOND: u32 = 50;
/// And at once: what sixty browsers of an office ask that begin together.
const OF_ONE_STRANGER_AT_ONCE: u32 = 600;

const METHOD_ALLOCATE: u16 = 0x003;

/// What a datagram has turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not TURN: the datagram is for the core.
    Core,
    /// It is data for Strait, sent through an allocation.
    Relayed(Relayed),
    /// It was a message to the TURN server, and has been handled.
    Handled,
}

/// What a client sends to Strait.
#[derive(Debug, PartialEq, Eq)]
pub struct Relayed {
    /// The path that the core sees.
    pub path: Path,
    /// Where the datagram lies in the message.
    pub range: Range<usize>,
}

/// The TURN server, with all clients and their allocations.
pub struct TurnServer {
    config: TurnConfig,
    /// How long a client may be there without an allocation.
    patience: Duration,
    /// The port that all our candidates have.
    port: u16,
    epoch: Instant,
    credentials: Credentials,
    clients: Slab<Client>,
    by_link: HashMap<Link, usize>,
    by_relayed: HashMap<SocketAddr, usize>,
    addresses: RelayedAddresses,
    quotas: Quotas,
    /// The links of clients that send datagrams and have no allocation, oldest first. Some of the clients may be gone.
    bare: VecDeque<Link>,
    /// When the present second began, and how many strangers have been answered in it.
    strangers: (Instant, u32),
    /// How many requests of each stranger's address are answered, so that one address does not use up what is for all.
    of_one_stranger: AddressRates,
    deadlines: Deadlines<usize>,
    answers: VecDeque<(Link, Vec<u8>)>,
    ended: Vec<ConnectionId>,
    scratch: Vec<u8>,
    /// What happened since the start of the server.
    pub counters: TurnCounters,
}

impl TurnServer {
    /// Makes a server for a port, with relayed addresses of a network. `patience` is how long a client may be without
    /// an allocation.
    pub fn new(
        config: TurnConfig,
        network: RelayedNetwork,
        patience: Duration,
        port: u16,
        now: Instant,
    ) -> io::Result<Self> {
        let quotas = Quotas::new(config.bits_per_second_max);
        Ok(Self {
            config,
            patience,
            port,
            epoch: now,
            credentials: Credentials::new()?,
            clients: Slab::new(),
            by_link: HashMap::new(),
            by_relayed: HashMap::new(),
            addresses: RelayedAddresses::of(network),
            quotas,
            bare: VecDeque::new(),
            strangers: (now, 0),
            of_one_stranger: AddressRates::new(OF_ONE_STRANGER_PER_SECOND, OF_ONE_STRANGER_AT_ONCE),
            deadlines: Deadlines::new(),
            answers: VecDeque::new(),
            ended: Vec::new(),
            scratch: Vec::new(),
            counters: TurnCounters::default(),
        })
    }

    /// Returns the network of the relayed addresses.
    pub fn network(&self) -> RelayedNetwork {
        self.addresses.network()
    }

    /// Returns whether TURN is served.
    pub fn is_enabled(&self) -> bool {
        self.config.enabled
    }

    /// Takes a datagram from the UDP socket, whose first bytes show that it is of this kind.
    pub fn receive_datagram(
        &mut self,
        now: Instant,
        kind: DatagramKind,
        path: Path,
        bytes: &[u8],
        candidates: &mut Candidates,
    ) -> Verdict {
        let link = Link::Datagrams(path);
        let key = match kind {
            DatagramKind::TurnChannel if self.config.enabled => self.by_link.get(&link).copied(),
            DatagramKind::Stun => match self.sort_stun(now, link, path, bytes) {
                Ok(key) => key,
                Err(verdict) => return verdict,
            },
            _ => return Verdict::Core,
        };
        let Some(key) = key else {
            self.counters.note_dropped(Dropped::NotAllowed);
            return Verdict::Handled;
        };
        self.receive(now, key, bytes, candidates).map_or(Verdict::Handled, Verdict::Relayed)
    }

    /// Sorts a STUN message: returns the client if it is for the TURN server, otherwise what becomes of it.
    fn sort_stun(
        &mut self,
        now: Instant,
        link: Link,
        path: Path,
        bytes: &[u8],
    ) -> Result<Option<usize>, Verdict> {
        let message = peek(bytes).ok_or(Verdict::Core)?;
        let is_binding = message.method == METHOD_BINDING;
        // With a user name it is a connectivity check, and the core's.
        let is_check = is_binding && (!message.is_binding_request() || message.username.is_some());
        if is_check || (!is_binding && !self.config.enabled) {
            return Err(Verdict::Core);
        }
        if self.is_stranger(link) && !self.has_time_for_a_stranger(now, path.remote.ip()) {
            return Err(Verdict::Handled);
        }
        if is_binding {
            self.answer_binding(link, path.remote, bytes);
            return Err(Verdict::Handled);
        }
        let known = self.by_link.get(&link).copied();
        if known.is_some() || message.class != StunClass::Request {
            return Ok(known);
        }
        if message.method == METHOD_ALLOCATE {
            return Ok(Some(self.add_client(now, link, LinkKind::Udp, path.local, path.remote)));
        }
        self.refuse_stranger(link, bytes);
        Err(Verdict::Handled)
    }

    /// Takes a message on a connection with these ends, ours first. Returns the data that it holds for the core, if
    /// any.
    pub fn receive_message(
        &mut self,
        now: Instant,
        (connection, link_kind): (ConnectionId, LinkKind),
        (local, remote): (SocketAddr, SocketAddr),
        bytes: &[u8],
        candidates: &mut Candidates,
    ) -> Option<Relayed> {
        let link = Link::Connection(connection);
        let known = self.by_link.get(&link).copied();
        let key = known.unwrap_or_else(|| self.add_client(now, link, link_kind, local, remote));
        self.receive(now, key, bytes, candidates)
    }

    /// Takes what the core sends to a relayed address. Returns the message to the client and its link; `None` if it
    /// must not be sent.
    pub fn transmit(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Option<(Link, &[u8])> {
        let time = self.time(now);
        let client = self.by_relayed.get(&path.remote).and_then(|key| self.clients.get_mut(*key));
        let Some(Client { allocation: Some(allocation), server, link, .. }) = client else {
            self.counters.note_dropped(Dropped::Gone);
            return None;
        };
        // Checked before the library sees it, so that refused data costs nothing.
        if !self.quotas.take(now, allocation.quota, Way::Out, datagram.len()) {
            self.counters.note_dropped(Dropped::Bandwidth);
            return None;
        }
        let transmit = Transmit::new(datagram, TransportType::Udp, path.local, path.remote);
        let Ok(Some(built)) = catch_unwind(AssertUnwindSafe(|| server.recv(transmit, time))) else {
            self.counters.note_dropped(Dropped::NotAllowed);
            return None;
        };
        allocation.used = now;
        messages::write(built.data, &mut self.scratch);
        self.counters.note_relayed(Way::Out, datagram.len());
        Some((*link, &self.scratch))
    }

    /// Takes the next answer to be sent.
    pub fn next_answer(&mut self) -> Option<(Link, Vec<u8>)> {
        self.answers.pop_front()
    }

    /// Takes a connection whose allocation has ended, which is of no more use.
    pub fn next_ended(&mut self) -> Option<ConnectionId> {
        self.ended.pop()
    }

    /// Ends the allocation of a connection that is over.
    pub fn connection_over(&mut self, connection: ConnectionId) {
        if let Some(&key) = self.by_link.get(&Link::Connection(connection)) {
            self.remove(key);
        }
    }

    /// Returns whether a connection has an allocation.
    pub fn has_allocation(&self, connection: ConnectionId) -> bool {
        let key = self.by_link.get(&Link::Connection(connection));
        key.and_then(|key| self.clients.get(*key)).is_some_and(|client| client.allocation.is_some())
    }

    /// Returns how many allocations there are, by how their clients are connected.
    pub fn allocations(&self) -> [(&'static str, usize); 3] {
        LinkKind::ALL.map(|(link_kind, name)| {
            let of_it = |client: &&Client| client.link_kind == link_kind && client.allocation.is_some();
            (name, self.clients.iter().map(|(_, client)| client).filter(of_it).count())
        })
    }

    /// Returns how many clients there are, with and without an allocation.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Returns when [`run_deadlines`](Self::run_deadlines) has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Lets time pass: allocations, permissions and channels expire.
    pub fn run_deadlines(&mut self, now: Instant) {
        while let Some((at, key)) = self.deadlines.pop(now) {
            let Self { clients, deadlines, .. } = self;
            let Some(client) = clients.get_mut(key) else { continue };
            if !deadlines.rang(&mut client.alarm, key, at, now) {
                continue;
            }
            let had_allocation = client.allocation.is_some();
            let unused =
                client.allocation.as_ref().is_some_and(|allocation| now >= allocation.used + UNUSED_MAX);
            self.carry_on(now, key);
            let Some(client) = self.clients.get(key) else { continue };
            // On a connection, a client that never had an allocation is ended by the connection's own deadline.
            let bare = client.allocation.is_none();
            if unused || (bare && (had_allocation || client.link_kind == LinkKind::Udp)) {
                debug!(client = %client.remote, unused, had_allocation, "TURN client over");
                if let Link::Connection(connection) = client.link {
                    self.ended.push(connection);
                }
                self.remove(key);
            }
        }
    }

    /// Returns whether the client on a link has no allocation.
    fn is_stranger(&self, link: Link) -> bool {
        let client = self.by_link.get(&link).and_then(|key| self.clients.get(*key));
        client.is_none_or(|client| client.allocation.is_none())
    }

    fn has_time_for_a_stranger(&mut self, now: Instant, ip: IpAddr) -> bool {
        if !self.of_one_stranger.take(now, host_of(ip), 1.0) {
            self.counters.note_dropped(Dropped::Strangers);
            return false;
        }
        let (since, answered) = &mut self.strangers;
        if now >= *since + Duration::from_secs(1) {
            (*since, *answered) = (now, 0);
        }
        *answered += 1;
        let has_time = *answered <= STRANGERS_PER_SECOND;
        if !has_time {
            self.counters.note_dropped(Dropped::Strangers);
        }
        has_time
    }

    fn add_client(
        &mut self,
        now: Instant,
        link: Link,
        link_kind: LinkKind,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> usize {
        if link_kind == LinkKind::Udp {
            self.make_room();
            self.bare.push_back(link);
        }
        let key = self.clients.insert(Client::new(now, link, link_kind, local, remote));
        self.by_link.insert(link, key);
        self.arm(now, key, None);
        key
    }

    /// Forgets the oldest clients without an allocation if there are too many. Real ones come again.
    fn make_room(&mut self) {
        let Self { bare, by_link, clients, .. } = self;
        if bare.len() >= BARE_DATAGRAM_CLIENTS_MAX {
            bare.retain(|link| {
                let client = by_link.get(link).and_then(|key| clients.get(*key));
                client.is_some_and(|client| client.allocation.is_none())
            });
        }
        while self.bare.len() >= BARE_DATAGRAM_CLIENTS_MAX {
            let Some(link) = self.bare.pop_front() else { return };
            if let Some(&key) = self.by_link.get(&link) {
                self.remove(key);
            }
        }
    }

    fn remove(&mut self, key: usize) {
        self.release(key);
        if let Some(client) = self.clients.try_remove(key) {
            self.by_link.remove(&client.link);
        }
        let Self { clients, deadlines, .. } = self;
        deadlines.compact(clients.len(), |key| clients.get(key).and_then(|client| client.alarm.queued()));
    }

    /// Ends a client's allocation.
    fn release(&mut self, key: usize) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(allocation) = client.allocation.take() else { return };
        debug!(client = %client.remote, relayed = %allocation.relayed, "TURN allocation over");
        self.by_relayed.remove(&allocation.relayed);
        self.quotas.remove(allocation.quota);
    }

    /// Takes something that a client sent. At worst, it can end that client.
    fn receive(
        &mut self,
        now: Instant,
        key: usize,
        bytes: &[u8],
        candidates: &mut Candidates,
    ) -> Option<Relayed> {
        let is_stun = bytes.first().is_some_and(|first| *first < 0x40);
        let handled = catch_unwind(AssertUnwindSafe(|| {
            if !is_stun || peek(bytes).is_some_and(|message| message.class == StunClass::Indication) {
                return self.relay(now, key, bytes);
            }
            self.answer_request(now, key, bytes, candidates);
            self.carry_on(now, key);
            None
        }));
        handled.unwrap_or_else(|_| {
            error!("the TURN server broke over a client's message; the client is dropped");
            if let Some(Client { link: Link::Connection(connection), .. }) = self.clients.get(key) {
                self.ended.push(*connection);
            }
            self.remove(key);
            None
        })
    }

    /// Takes data for the core: a ChannelData message or a Send indication.
    fn relay(&mut self, now: Instant, key: usize, bytes: &[u8]) -> Option<Relayed> {
        let time = self.time(now);
        let client = self.clients.get_mut(key)?;
        let transmit = Transmit::new(bytes, TransportType::Udp, client.remote, client.local);
        let built = client.server.recv(transmit, time);
        let (Some(built), Some(allocation)) = (built, &client.allocation) else {
            self.counters.note_dropped(Dropped::NotAllowed);
            return None;
        };
        // Anything else would be a copy, which the library does not make of incoming data.
        let DelayedMessageOrChannelSend::Range(_, range) = built.data else { return None };
        let (peer, relayed, quota) = (built.to, allocation.relayed, allocation.quota);
        let fictitious = self.addresses.network().fictitious_peer();
        let is_echo = self.config.echo_peer == Some(peer.ip());
        let is_ours = peer.port() == self.port && peer.ip() != fictitious.ip() || peer == fictitious;
        if built.from != relayed || !allocation.permissions.contains(&peer.ip()) || !(is_ours || is_echo) {
            self.counters.note_dropped(Dropped::Peer);
            return None;
        }
        if !self.quotas.take(now, quota, Way::In, range.len()) {
            self.counters.note_dropped(Dropped::Bandwidth);
            return None;
        }
        self.counters.note_relayed(Way::In, range.len());
        let path = Path { carrier: client.link_kind.carrier(), local: peer, remote: relayed };
        if is_echo {
            let echo = bytes.get(range).unwrap_or_default();
            let echoed = self.transmit(now, path, echo).map(|(link, message)| (link, message.to_vec()));
            self.answers.extend(echoed);
            return None;
        }
        Some(Relayed { path, range })
    }

    /// Does what the library asks for and takes its answers.
    fn carry_on(&mut self, now: Instant, key: usize) {
        let time = self.time(now);
        let wait = loop {
            let Some(client) = self.clients.get_mut(key) else { return };
            match client.server.poll(time) {
                TurnServerPollRet::WaitUntil(at) => break at.saturating_duration_since(time),
                TurnServerPollRet::AllocateSocket {
                    transport,
                    listen_addr,
                    client_addr,
                    allocation_transport,
                    family,
                } => {
                    let address = self.allocate(now, key, family);
                    let Some(client) = self.clients.get_mut(key) else { return };
                    client.server.allocated_socket(
                        transport,
                        listen_addr,
                        client_addr,
                        allocation_transport,
                        family,
                        address,
                        time,
                    );
                }
                TurnServerPollRet::SocketClose { .. } => self.release(key),
                // Connections to peers (RFC 6062) are not served: nobody can ask for one.
                TurnServerPollRet::TcpConnect { .. } | TurnServerPollRet::TcpClose { .. } => {}
            }
        };
        while let Some(client) = self.clients.get_mut(key)
            && let Some(answer) = client.server.poll_transmit(time)
        {
            let link = client.link;
            if let Some(allocation) = &mut client.allocation
                && is_allocated(&answer.data)
            {
                allocation.granted.clone_from(&answer.data);
            }
            self.answer(link, answer.data);
        }
        self.arm(now, key, Some(wait));
    }

    /// Makes an allocation for a request that `requests` has let through.
    fn allocate(
        &mut self,
        now: Instant,
        key: usize,
        family: AddressFamily,
    ) -> Result<SocketAddr, SocketAllocateError> {
        if family != AddressFamily::IPV4 {
            return Err(SocketAllocateError::AddressFamilyNotSupported);
        }
        let Self { by_relayed, addresses, clients, quotas, .. } = self;
        let full = SocketAllocateError::InsufficientCapacity;
        let client = clients.get_mut(key).ok_or(full)?;
        let user = client.user.as_ref().filter(|_| client.allocation.is_none()).ok_or(full)?;
        let participant = user.participant().to_owned();
        let relayed = addresses.next(|address| by_relayed.contains_key(&address)).ok_or(full)?;
        by_relayed.insert(relayed, key);
        let quota = quotas.add(now, &participant);
        let (permissions, channels) = (Vec::new(), Vec::new());
        let granted = Vec::new();
        client.allocation = Some(Allocation { relayed, granted, quota, used: now, permissions, channels });
        self.counters.allocations += 1;
        debug!(client = %client.remote, link = ?client.link_kind, participant, %relayed, "TURN allocation");
        Ok(relayed)
    }

    /// Sets the time to look at a client again. The library's own deadline is `wait` away.
    fn arm(&mut self, now: Instant, key: usize, wait: Option<Duration>) {
        let Self { clients, deadlines, patience, .. } = self;
        let Some(client) = clients.get_mut(key) else { return };
        let due = match (&client.allocation, client.link_kind) {
            (Some(allocation), _) => {
                // The library's times are over only when they have passed.
                let wait = wait.unwrap_or_default().max(Duration::from_millis(1));
                Some((now + wait).min(allocation.used + UNUSED_MAX))
            }
            (None, LinkKind::Udp) => Some(client.since + *patience),
            // The connection's own deadline ends it.
            (None, LinkKind::Tcp | LinkKind::Tls) => None,
        };
        deadlines.set(&mut client.alarm, key, due);
    }

    fn answer(&mut self, link: Link, message: Vec<u8>) {
        self.answers.push_back((link, message));
    }

    /// Returns `now` on the library's clock.
    fn time(&self, now: Instant) -> turn_server_proto::types::Instant {
        let nanos = now.saturating_duration_since(self.epoch).as_nanos();
        turn_server_proto::types::Instant::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}

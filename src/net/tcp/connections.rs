//! All TCP connections in one slab: accepting them within the caps, and finding the one that is next to be read, to be
//! written, or to be ended because its time is up.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry};
use slab::Slab;
use tracing::{debug, trace, warn};

use super::connection::Connection;
use super::frame_queue::Sent;
use crate::core::ids::ConnectionId;
use crate::core::output::Transmit;
use crate::core::path::TrafficClass;
use crate::net::address::canonical;
use crate::net::address_pauses::AddressPauses;
use crate::net::address_rates::host_of;
use crate::net::deadlines::{Alarm, Deadlines};
use crate::net::http::message::Response;
use crate::net::network::Network;
use crate::net::shell_config::ShellConfig;
use crate::net::token;

/// How many connections are accepted in one pass: a third of a millisecond of work, for which media waits.
const ACCEPTS_PER_PASS: usize = 16;

/// How long to leave the listener alone after it failed, most likely because there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often the log may say that the listener fails.
const ACCEPT_WARNING_EVERY: Duration = Duration::from_secs(60);

/// How many more connections there may be for management, in all and from one address: an operator must get through to a
/// server that is full.
const MANAGEMENT_SPARE: usize = 16;

/// How many bits of a connection's id are its place in the slab. The rest counts up.
const PLACE_BITS: u32 = 20;

struct Entry {
    connection: Connection,
    alarm: Alarm,
    /// Whether its place is in `ready`.
    ready: bool,
    /// Whether its place is in `touched` or in `touched_media`.
    touched: bool,
    /// Why it is to be ended, if it is.
    ending: Option<&'static str>,
    /// The client for whom it counts; `None` for a trusted proxy's connection whose client is not known yet.
    counted: Option<IpAddr>,
}

/// What happened on ICE-TCP connections since the start of the server.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameCounters {
    /// Datagrams that came on such connections.
    pub received: u64,
    /// Datagrams that were queued for writing.
    pub sent: u64,
    /// Datagrams that were dropped because the peer does not read fast enough.
    pub dropped_full: u64,
    /// Datagrams to a connection that was gone.
    pub undeliverable: u64,
}

/// The listener, and every connection that it has accepted.
pub struct Connections {
    listener: Option<TcpListener>,
    /// The listener for management, if there is one apart.
    management: Option<TcpListener>,
    /// Whether there may be connections to accept.
    acceptable: bool,
    /// Until when the listener is left alone.
    paused_until: Option<Instant>,
    warned_at: Option<Instant>,
    slab: Slab<Entry>,
    serial: u64,
    by_address: HashMap<IpAddr, usize>,
    /// The places of ICE-TCP connections by both ends, for outgoing datagrams.
    by_ends: HashMap<(SocketAddr, SocketAddr), usize>,
    /// Connections that have something to read.
    ready: VecDeque<usize>,
    /// Connections to be written to at the end of the pass.
    touched: Vec<usize>,
    /// The same for connections that carry media.
    touched_media: Vec<usize>,
    deadlines: Deadlines<usize>,
    refused: u64,
    /// The addresses whose clients were cut again and again, and have to pause.
    pub pauses: AddressPauses,
    /// What happened on ICE-TCP connections.
    pub frames: FrameCounters,
}

impl Connections {
    /// Begins with a listener and no connection.
    pub fn new(listener: TcpListener) -> Self {
        Self {
            listener: Some(listener),
            management: None,
            acceptable: true,
            paused_until: None,
            warned_at: None,
            slab: Slab::new(),
            serial: 0,
            by_address: HashMap::new(),
            by_ends: HashMap::new(),
            ready: VecDeque::new(),
            touched: Vec::new(),
            touched_media: Vec::new(),
            deadlines: Deadlines::new(),
            refused: 0,
            pauses: AddressPauses::default(),
            frames: FrameCounters::default(),
        }
    }

    /// Accepts connections for management at another listener, too.
    pub fn manage_at(&mut self, listener: Option<TcpListener>) {
        self.management = listener;
    }

    /// Has the listeners watched.
    pub fn register(&mut self, registry: &Registry) -> io::Result<()> {
        let listeners = [(&mut self.listener, token::LISTENER), (&mut self.management, token::MANAGEMENT)];
        for (listener, token) in listeners {
            if let Some(listener) = listener {
                registry.register(listener, token, Interest::READABLE)?;
            }
        }
        Ok(())
    }

    /// Returns how many connections there are.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Returns how many connections were refused because of a cap.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Notes that connections wait at the listener.
    pub fn set_acceptable(&mut self) {
        self.acceptable = true;
    }

    /// Closes the listeners: nobody is accepted any more.
    pub fn stop_listening(&mut self, registry: &Registry) {
        for mut listener in [self.listener.take(), self.management.take()].into_iter().flatten() {
            let _ = registry.deregister(&mut listener);
        }
        self.acceptable = false;
        self.paused_until = None;
    }

    /// Accepts what waits at the listener, within the pass's budget and the caps.
    pub fn accept(&mut self, now: Instant, registry: &Registry, config: &ShellConfig) {
        if !self.acceptable || self.paused_until.is_some_and(|until| now < until) {
            return;
        }
        // The time is up, or was never set.
        self.paused_until = None;
        for _ in 0..ACCEPTS_PER_PASS {
            match self.next_accepted() {
                None => {
                    self.acceptable = false;
                    return;
                }
                Some((Ok((stream, peer)), is_management)) => {
                    self.admit(now, registry, config, stream, (canonical(peer), is_management));
                }
                Some((Err(error), _))
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted
                            | io::ErrorKind::ConnectionAborted
                            | io::ErrorKind::ConnectionReset
                    ) => {}
                Some((Err(error), _)) => {
                    if self.warned_at.is_none_or(|at| now >= at + ACCEPT_WARNING_EVERY) {
                        self.warned_at = Some(now);
                        warn!(%error, "no connection can be accepted; raise the limit of open files (ulimit -n)");
                    }
                    self.paused_until = Some(now + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }

    /// Takes a connection that waits, and returns whether it is one for management. Those come first, so that an operator
    /// gets through whatever the crowd does. Returns `None` if none waits.
    fn next_accepted(&self) -> Option<(io::Result<(TcpStream, SocketAddr)>, bool)> {
        let listeners = [(&self.management, true), (&self.listener, false)];
        listeners.into_iter().find_map(|(listener, is_management)| {
            let accepted = listener.as_ref()?.accept();
            let is_empty = matches!(&accepted, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
            (!is_empty).then_some((accepted, is_management))
        })
    }

    fn admit(
        &mut self,
        now: Instant,
        registry: &Registry,
        config: &ShellConfig,
        mut stream: TcpStream,
        (peer, is_management): (SocketAddr, bool),
    ) {
        // A trusted proxy's client is known, and counted, only when its request comes.
        let is_proxy = Network::any_has(&config.trusted_proxies, peer.ip());
        let counted = (!is_proxy).then(|| host_of(peer.ip()));
        if !config.addresses.admits(peer.ip()) {
            // Nothing is said to whoever the operator does not want: to them there is no server here.
            self.refused += 1;
            debug!(%peer, "connection refused: server.allow and server.deny do not let it in");
            return;
        }
        // The operator, and proxies of this machine that nobody has called trusted, always get in.
        let is_spared = is_management || is_localhost(peer.ip());
        if !is_spared && counted.is_some_and(|host| self.pauses.is_paused(now, host)) {
            self.refused += 1;
            debug!(%peer, "connection refused: its address has to pause");
            let _ = io::Write::write(&mut stream, &Response::paused().encode(false, true));
            return;
        }
        let of_host = counted.and_then(|host| self.by_address.get(&host).copied()).unwrap_or(0);
        // A place has to fit into its bits of the id.
        let spare = if is_management { MANAGEMENT_SPARE } else { 0 };
        let places = config.connections_max.saturating_add(spare).min(1 << PLACE_BITS);
        if of_host >= config.connections_per_address_max.saturating_add(spare) || self.slab.len() >= places {
            self.refused += 1;
            debug!(%peer, of_host, all = self.slab.len(), "connection refused: too many");
            let _ = io::Write::write(&mut stream, &Response::too_many_connections().encode(false, true));
            return;
        }
        let Ok(local) = stream.local_addr().map(canonical) else { return };
        if let Err(error) = stream.set_nodelay(true) {
            trace!(%peer, %error, "a connection that ended before it was accepted");
            return;
        }
        let vacant = self.slab.vacant_entry();
        let place = vacant.key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = registry.register(&mut stream, token::of_connection(place), interest) {
            warn!(%peer, %error, "a connection cannot be watched");
            return;
        }
        self.serial += 1;
        let id = ConnectionId((self.serial << PLACE_BITS) | place as u64);
        let mut connection = Connection::new(id, stream, peer, local, now);
        connection.is_management = is_management;
        let alarm = Alarm::default();
        vacant.insert(Entry { connection, alarm, ready: false, touched: false, ending: None, counted });
        if let Some(host) = counted {
            *self.by_address.entry(host).or_insert(0) += 1;
        }
        self.by_ends.insert((local, peer), place);
        trace!(connection = id.0, %peer, "accepted");
        self.make_ready(place);
        self.touch(place);
    }

    /// Forgets a connection and closes its stream.
    pub fn remove(&mut self, place: usize, registry: &Registry) {
        let Some(mut entry) = self.slab.try_remove(place) else { return };
        let _ = registry.deregister(entry.connection.source());
        if let Some(host) = entry.counted {
            self.uncount(host);
        }
        let ends = (entry.connection.local, entry.connection.peer);
        // A newer connection may already have the same ends.
        if self.by_ends.get(&ends) == Some(&place) {
            self.by_ends.remove(&ends);
        }
        let Self { slab, deadlines, .. } = self;
        deadlines.compact(slab.len(), |place| slab.get(place).and_then(|entry| entry.alarm.queued()));
        if self.slab.is_empty() {
            // What a flood took is given back when it is over.
            self.slab.shrink_to_fit();
            self.by_address.shrink_to_fit();
            self.by_ends.shrink_to_fit();
        }
    }

    fn uncount(&mut self, host: IpAddr) {
        if let Some(count) = self.by_address.get_mut(&host) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&host);
            }
        }
    }

    /// Counts a connection for the client that it serves. Returns `false` if that client has too many; the connection
    /// stays counted.
    pub fn count_for(&mut self, place: usize, client: IpAddr, config: &ShellConfig) -> bool {
        let Some(entry) = self.slab.get_mut(place) else { return false };
        entry.connection.client = client;
        let host = host_of(client);
        if entry.counted == Some(host) {
            return true;
        }
        if let Some(before) = entry.counted.replace(host) {
            self.uncount(before);
        }
        let count = self.by_address.entry(host).or_insert(0);
        *count += 1;
        let fits = *count <= config.connections_per_address_max;
        self.refused += u64::from(!fits);
        fits
    }

    /// Queues a datagram on the ICE-TCP connection that it goes by.
    pub fn send(&mut self, now: Instant, transmit: &Transmit<'_>) {
        let place = self.by_ends.get(&(transmit.path.local, transmit.path.remote)).copied();
        let sent = place.and_then(|place| self.at(place)?.send(now, transmit.class, transmit.bytes));
        match sent {
            Some(Sent::Queued) => self.frames.sent += 1,
            Some(Sent::Dropped) => self.frames.dropped_full += 1,
            None => self.frames.undeliverable += 1,
        }
        if let (Some(place), Some(_)) = (place, sent) {
            self.touch(place);
        }
    }

    /// Queues a message to a TURN client. Returns `None` if its connection is gone.
    pub fn send_turn(&mut self, id: ConnectionId, class: TrafficClass, message: &[u8]) -> Option<Sent> {
        let place = self.place_of(id)?;
        let sent = self.at(place)?.send_turn(class, message)?;
        self.touch(place);
        Some(sent)
    }

    /// Returns the connection at a place.
    pub fn at(&mut self, place: usize) -> Option<&mut Connection> {
        self.slab.get_mut(place).map(|entry| &mut entry.connection)
    }

    /// Returns the place of the connection of that id, if it is still there.
    pub fn place_of(&self, id: ConnectionId) -> Option<usize> {
        let place = (id.0 & ((1 << PLACE_BITS) - 1)) as usize;
        self.slab.get(place).filter(|entry| entry.connection.id == id).map(|_| place)
    }

    /// Returns what each of them is, for counting.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.slab.iter().map(|(_, entry)| entry.connection.kind())
    }

    /// Returns all places that are taken.
    pub fn places(&self) -> Vec<usize> {
        self.slab.iter().map(|(place, _)| place).collect()
    }

    /// Notes that mio saw something on a connection.
    pub fn woke(&mut self, place: usize, readable: bool) {
        if let Some(entry) = self.slab.get_mut(place) {
            if readable {
                entry.connection.set_readable();
            }
            self.make_ready(place);
            self.touch(place);
        }
    }

    /// Queues a connection for reading.
    pub fn make_ready(&mut self, place: usize) {
        if let Some(entry) = self.slab.get_mut(place)
            && !std::mem::replace(&mut entry.ready, true)
        {
            self.ready.push_back(place);
        }
    }

    /// Returns how many connections wait to be read.
    pub fn ready_len(&self) -> usize {
        self.ready.len()
    }

    /// Takes the connection that is next to be read.
    pub fn next_ready(&mut self) -> Option<usize> {
        while let Some(place) = self.ready.pop_front() {
            if let Some(entry) = self.slab.get_mut(place)
                && std::mem::take(&mut entry.ready)
            {
                return Some(place);
            }
        }
        None
    }

    /// Notes that something was queued on a connection or that its state changed, so that it is written to before the
    /// pass ends.
    pub fn touch(&mut self, place: usize) {
        if let Some(entry) = self.slab.get_mut(place)
            && !std::mem::replace(&mut entry.touched, true)
        {
            // Two lists keep the order that `next_touched` promises, without sorting.
            let media = entry.connection.is_media();
            if media { self.touched_media.push(place) } else { self.touched.push(place) }
        }
    }

    /// Takes the connection that is next to be written to. Those that carry media come last, because a client must hear
    /// whose media follows before it arrives.
    pub fn next_touched(&mut self) -> Option<usize> {
        while let Some(place) = self.touched.pop().or_else(|| self.touched_media.pop()) {
            if let Some(entry) = self.slab.get_mut(place)
                && std::mem::take(&mut entry.touched)
            {
                return Some(place);
            }
        }
        None
    }

    /// Notes that a connection is over, so that it is ended when it would be read next.
    pub fn end_soon(&mut self, place: usize, why: &'static str) {
        if let Some(entry) = self.slab.get_mut(place) {
            entry.ending = Some(why);
            self.make_ready(place);
        }
    }

    /// Returns why a connection is to be ended, if it is.
    pub fn ending(&self, place: usize) -> Option<&'static str> {
        self.slab.get(place).and_then(|entry| entry.ending)
    }

    /// Notes when a connection wants to be looked at again.
    pub fn arm(&mut self, place: usize, config: &ShellConfig) {
        if let Some(entry) = self.slab.get_mut(place) {
            let due = entry.connection.deadline(config);
            self.deadlines.set(&mut entry.alarm, place, Some(due));
        }
    }

    /// Takes the next connection whose deadline has come.
    pub fn next_due(&mut self, now: Instant) -> Option<usize> {
        while let Some((at, place)) = self.deadlines.pop(now) {
            if let Some(entry) = self.slab.get_mut(place)
                && self.deadlines.rang(&mut entry.alarm, place, at, now)
            {
                return Some(place);
            }
        }
        None
    }

    /// Returns when there is something to do without any readiness: `now` if at once.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        if !self.ready.is_empty() || (self.acceptable && self.paused_until.is_none()) {
            return Some(now);
        }
        self.deadlines.next().into_iter().chain(self.paused_until).min()
    }
}

/// Returns whether an address is this machine's name for itself.
fn is_localhost(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST
}

//! The shard: the core and everything that only it uses: rooms, the UDP socket, the DTLS handshakes and the TURN
//! server.
//!
//! The event loop hands it the clients' requests, and takes the events for clients. Nothing in here knows about HTTP or
//! WebSockets; the TCP connections are lent to it for media that goes by ICE-TCP or TURN.

use std::io;
use std::time::{Duration, Instant};

use mio::{Interest, Registry};
use tracing::{trace, warn};

use super::address::Candidates;
use super::dtls::{DtlsEvents, Handshakes};
use super::egress::{Egress, send_on_link};
use super::tcp::connections::Connections;
use super::tcp::frame_queue::Sent;
use super::turn::{Dropped, LinkKind, TurnServer, Verdict};
use super::udp::Udp;
use super::{clock, token};
use crate::core::event::{Event, Refusal};
use crate::core::ids::{ConnectionId, RoomId};
use crate::core::moderation::Moderation;
use crate::core::output::Transmit;
use crate::core::path::TrafficClass;
use crate::core::room_options::RoomChange;
use crate::core::timers::Deadline;
use crate::core::{Input, Output, Sfu};

/// After how many datagrams a pass reads no further batch.
const DATAGRAMS_PER_PASS: u64 = 2048;

/// How many datagrams of one ICE-TCP connection, or messages of one TURN client, are handled at a time.
const FRAMES_AT_ONCE: usize = 64;

/// The core and its sockets.
pub struct Shard {
    /// The core, with all rooms.
    pub sfu: Sfu,
    /// The one UDP socket.
    pub udp: Udp,
    /// The embedded TURN server.
    pub turn_server: TurnServer,
    /// The DTLS handshakes that are under way, and the associations that they led to.
    pub handshakes: Handshakes,
    /// Events of the handshakes that the core has not been given yet.
    dtls_events: DtlsEvents,
    /// Whether the core was given something since it was last drained.
    is_fed: bool,
    /// Whether the core has media to forward.
    media_waits: bool,
    /// When the core wants to be called again.
    core_deadline: Option<Deadline>,
    udp_readable: bool,
    /// Whether the kernel's send buffer is full, so that the socket is watched for room to write.
    udp_blocked: bool,
}

impl Shard {
    /// Puts the parts together. The first pass reads and drains them.
    pub fn new(sfu: Sfu, udp: Udp, turn_server: TurnServer, handshakes: Handshakes) -> Self {
        Self {
            sfu,
            udp,
            turn_server,
            handshakes,
            dtls_events: DtlsEvents::new(),
            is_fed: true,
            media_waits: false,
            core_deadline: None,
            udp_readable: true,
            udp_blocked: false,
        }
    }

    /// Hands an input to the core. All inputs but datagrams come this way; the readers below feed those.
    pub fn feed(&mut self, now: Instant, input: Input<'_>) {
        self.is_fed = true;
        self.sfu.handle_input(now, input);
    }

    /// Has an operation of the operator's, or of a back end's, carried out.
    ///
    /// # Errors
    /// There is no such room, or not whom or what it is about.
    pub fn operate(&mut self, now: Instant, room: &RoomId, what: Moderation) -> Result<(), Refusal> {
        self.is_fed = true;
        self.sfu.operate(now, room, what)
    }

    /// Makes a room ahead of time, or changes one that is there.
    ///
    /// # Errors
    /// The server has no place for it, or what is set is too large.
    pub fn make_room(&mut self, now: Instant, room: &RoomId, change: RoomChange) -> Result<(), Refusal> {
        self.is_fed = true;
        self.sfu.make_room(now, room, change)
    }

    /// Returns whether the core was given something since [`begin_drain`](Self::begin_drain).
    pub fn is_fed(&self) -> bool {
        self.is_fed
    }

    /// Returns whether there is something to do without waiting.
    pub fn is_ready(&self) -> bool {
        self.udp_readable || self.media_waits
    }

    /// Returns when [`run_deadlines`](Self::run_deadlines) has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.core_deadline.map(|deadline| deadline.at),
            self.handshakes.next_deadline(),
            self.turn_server.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Notes what mio saw on the UDP socket.
    pub fn woke(&mut self, readable: bool, writable: bool) {
        self.udp_readable |= readable;
        if writable {
            self.udp.writable();
        }
    }

    /// Reads the UDP socket until it is empty, the pass's share is used up, or `until` has passed. There is a limit
    /// because one datagram can make hundreds of packets, and the first ones must be sent before more are read.
    pub fn read_udp(&mut self, now: Instant, until: Instant, candidates: &mut Candidates) {
        let Self { udp, sfu, is_fed, udp_readable, turn_server, .. } = self;
        let mut datagrams = 0;
        while *udp_readable && datagrams < DATAGRAMS_PER_PASS {
            let received = udp.receive(|kind, path, bytes| {
                let (path, bytes) = match turn_server.receive_datagram(now, kind, path, bytes, candidates) {
                    Verdict::Core => (path, bytes),
                    Verdict::Relayed(relayed) => {
                        (relayed.path, bytes.get_mut(relayed.range).unwrap_or_default())
                    }
                    Verdict::Handled => return,
                };
                *is_fed = true;
                sfu.handle_input(now, Input::Datagram { path, bytes });
            });
            *udp_readable = received.more;
            // An interrupted call counts, too, so that this loop ends.
            datagrams += received.datagrams.max(1);
            // A batch that is not full is the last one, so the time need not be read.
            if *udp_readable && clock::now() >= until {
                break;
            }
        }
    }

    /// Reads datagrams off an ICE-TCP connection.
    pub fn read_ice_tcp(&mut self, now: Instant, connections: &mut Connections, place: usize) {
        let Self { sfu, is_fed, .. } = self;
        let Some(connection) = connections.at(place) else { return };
        let path = connection.path();
        let count = connection.receive(FRAMES_AT_ONCE, |bytes| {
            *is_fed = true;
            sfu.handle_input(now, Input::Datagram { path, bytes });
        });
        connections.frames.received += count as u64;
    }

    /// Reads messages off a TURN client's connection.
    pub fn read_turn(
        &mut self,
        now: Instant,
        connections: &mut Connections,
        place: usize,
        candidates: &mut Candidates,
    ) {
        let Self { sfu, is_fed, turn_server, .. } = self;
        let Some(connection) = connections.at(place) else { return };
        let id = connection.id;
        let link_kind = if connection.is_tls() { LinkKind::Tls } else { LinkKind::Tcp };
        let ends = (connection.local, connection.peer);
        connection.receive(FRAMES_AT_ONCE, |bytes| {
            let relayed = turn_server.receive_message(now, (id, link_kind), ends, bytes, candidates);
            let Some(relayed) = relayed else { return };
            let Some(bytes) = bytes.get_mut(relayed.range) else { return };
            *is_fed = true;
            sfu.handle_input(now, Input::Datagram { path: relayed.path, bytes });
        });
        // A connection is kept open for its allocation, so it has to know whether there is one.
        connection.set_turn_allocated(now, turn_server.has_allocation(id));
    }

    /// Lets time pass for the TURN server, the handshakes and the core.
    pub fn run_deadlines(&mut self, now: Instant) {
        self.turn_server.run_deadlines(now);
        self.handshakes.run_deadlines(now, &mut self.dtls_events);
        if let Some(deadline) = self.core_deadline.filter(|deadline| deadline.at <= now) {
            let late = now.saturating_duration_since(deadline.at);
            trace!(woken_for = deadline.timer.as_str(), ?late, "a deadline of the core");
            self.feed(now, Input::Timeout);
        }
    }

    /// Begins to drain the core: [`is_fed`](Self::is_fed) tells of inputs from here on.
    pub fn begin_drain(&mut self) {
        self.is_fed = false;
    }

    /// Carries out what the core asks for until it has an event for a client, and returns that. Returns `None` once
    /// there is nothing left but media, which [`forward_media`](Self::forward_media) takes.
    pub fn next_event(
        &mut self,
        now: Instant,
        connections: &mut Connections,
        scratch: &mut [u8],
    ) -> Option<(ConnectionId, Event)> {
        let Self { sfu, udp, turn_server, handshakes, dtls_events, .. } = self;
        loop {
            match sfu.poll_output() {
                Output::Event { connection, event } => return Some((connection, event)),
                Output::Dtls { session, request } => {
                    if let Some((path, bytes)) = handshakes.request(now, session, request, dtls_events) {
                        let goodbye = Transmit { path, class: TrafficClass::Control, bytes: &bytes };
                        Egress::new(now, udp, turn_server, connections, scratch).transmit(&goodbye);
                    }
                }
                Output::Transmit(transmit) => {
                    Egress::new(now, udp, turn_server, connections, scratch).transmit(&transmit);
                }
                Output::Media(deadline) => {
                    self.core_deadline = deadline;
                    self.media_waits = true;
                    return None;
                }
                Output::Timeout(deadline) => {
                    self.core_deadline = deadline;
                    return None;
                }
            }
        }
    }

    /// Gives the core the events of the handshakes. Returns whether there were any, because then the core has to be
    /// drained again.
    pub fn feed_handshakes(&mut self, now: Instant) -> bool {
        if self.dtls_events.is_empty() {
            return false;
        }
        let mut events = std::mem::take(&mut self.dtls_events);
        for (session, event) in events.drain(..) {
            self.feed(now, Input::Dtls { session, event });
        }
        // Put back to keep the capacity; nothing was added meanwhile.
        self.dtls_events = events;
        true
    }

    /// Forwards a share of the media that waits. The rest has its turn in the next pass, after the sockets are read.
    /// Returns whether there was any.
    pub fn forward_media(&mut self, now: Instant, connections: &mut Connections, scratch: &mut [u8]) -> bool {
        let media_waits = std::mem::take(&mut self.media_waits);
        if media_waits {
            let Self { sfu, udp, turn_server, .. } = self;
            sfu.forward_share(&mut Egress::new(now, udp, turn_server, connections, scratch));
        }
        media_waits
    }

    /// Sends the TURN server's own answers.
    pub fn send_turn_answers(&mut self, connections: &mut Connections) {
        let Self { turn_server, udp, .. } = self;
        while let Some((link, message)) = turn_server.next_answer() {
            let sent = send_on_link(udp, connections, link, TrafficClass::Control, &message);
            if sent == Some(Sent::Dropped) {
                turn_server.counters.note_dropped(Dropped::QueueFull);
            }
        }
    }

    /// Hands the gathered datagrams to the kernel, and watches for room to write while it takes no more.
    pub fn flush(&mut self, registry: &Registry) {
        // If the socket were always watched for room to write, the loop would never sleep.
        let blocked = self.udp.flush();
        if blocked == self.udp_blocked {
            return;
        }
        self.udp_blocked = blocked;
        let interest = if blocked { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        if let Err(error) = registry.reregister(self.udp.source(), token::UDP, interest) {
            warn!(%error, "the UDP socket cannot be watched for room to write");
        }
    }

    /// Ends the pass of the loop that began at `now`. Returns how long the oldest media packet that was handed to the
    /// kernel in this pass, or still waits, has been in this process; `None` if there was none or the kernel does not
    /// timestamp packets.
    pub fn end_pass(&mut self, now: Instant) -> Option<Duration> {
        let waits_since = self.sfu.media_waits_since();
        self.udp.end_pass(now, waits_since)
    }

    /// Registers the UDP socket with mio.
    pub fn register(&mut self, registry: &Registry) -> io::Result<()> {
        registry.register(self.udp.source(), token::UDP, Interest::READABLE)
    }
}

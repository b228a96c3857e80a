//! The SCTP association of one peer (RFC 8831), carried out by the library: decrypted packets and the core's requests go
//! in; packets to encrypt and [`ChannelEvent`]s come out. It has no socket and no clock, like the DTLS handshake that
//! carries it.
//!
//! The peer begins the association: every WebRTC endpoint does, whichever role it has in the handshake.

mod guard;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use guard::{Guard, Verdict};
use sctp_proto::{
    Association as Library, AssociationHandle, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier as Kind, ReliabilityType, ServerConfig, StreamEvent, TransportConfig,
};
use tracing::debug;

use crate::core::channels::{ChannelEnd, ChannelEvent, ChannelId, ChannelRequest};
use crate::limits::{CHANNEL_BYTES_BUFFERED_MAX, CHANNEL_MESSAGE_BYTES_MAX, CHANNEL_STREAMS_MAX};
use crate::wire::dcep::{self, Effort};

/// What DTLS 1.2 adds to a packet with the largest of its ciphers: its header, the explicit nonce and the tag.
const DTLS_BYTES: usize = 13 + 8 + 16;
/// What SCTP adds to the user data of a DATA chunk: the common header, and the chunk's own.
const SCTP_BYTES: usize = 12 + 16;
/// User data that may wait to be read or put together, in bytes: one message of the largest size, and the next one.
const RECEIVE_BYTES: u32 = 2 * CHANNEL_MESSAGE_BYTES_MAX as u32;
/// What may wait on an unreliable channel, in bytes. What would come later than this much is of no use there.
const LOSSY_BYTES_BUFFERED_MAX: usize = 64 * 1024;
/// What a message counts for in what waits, besides its bytes.
const MESSAGE_COST: usize = 256;
/// How many bytes of messages are read at once, so that one peer does not delay the others.
const READ_BYTES_AT_ONCE: usize = 64 * 1024;
/// What a paced association may send at once, in bytes.
const PACED_BYTES_AT_ONCE: u64 = 64 * 1024;
/// The first retransmission time-out in milliseconds, the least and the most. Those of RFC 9260 §16 are made for networks
/// that nobody waits for.
const RTO: [u64; 3] = [1000, 400, 10_000];

/// The configurations, which all associations share.
#[derive(Debug, Clone)]
pub struct Shared {
    endpoint: Arc<EndpointConfig>,
    server: Arc<ServerConfig>,
}

impl Shared {
    /// Makes the configurations for datagrams of at most that many bytes, in which DTLS is counted.
    pub fn new(mtu: usize) -> Self {
        let mut endpoint = EndpointConfig::new();
        // A multiple of four, so that no full packet is padded.
        endpoint.max_payload_size((mtu.saturating_sub(DTLS_BYTES + SCTP_BYTES) / 4 * 4) as u32);
        let [initial, least, most] = RTO;
        let transport = TransportConfig::default()
            .with_max_receive_buffer_size(RECEIVE_BYTES)
            .with_max_receive_message_size(CHANNEL_MESSAGE_BYTES_MAX as u32)
            .with_max_num_inbound_streams(CHANNEL_STREAMS_MAX)
            .with_max_num_outbound_streams(CHANNEL_STREAMS_MAX)
            .with_rto_initial_ms(initial)
            .with_rto_min_ms(least)
            .with_rto_max_ms(most);
        let mut server = ServerConfig::new();
        server.transport = Arc::new(transport);
        Self { endpoint: Arc::new(endpoint), server: Arc::new(server) }
    }
}

/// One channel that is open.
#[derive(Debug)]
struct Channel {
    is_reliable: bool,
    /// The sizes of the messages that the library has of it, and their sum. The library tells bytes only, and a message of one
    /// byte takes hundreds.
    written: VecDeque<usize>,
    written_bytes: usize,
}

impl Channel {
    fn new(is_reliable: bool) -> Self {
        Self { is_reliable, written: VecDeque::new(), written_bytes: 0 }
    }

    fn note_written(&mut self, bytes: usize) {
        self.written.push_back(bytes);
        self.written_bytes += bytes;
    }

    /// Returns what its messages take of which that many bytes are left.
    fn cost(&mut self, left: usize) -> usize {
        while let Some(first) =
            self.written.front().copied().filter(|first| self.written_bytes - first >= left)
        {
            self.written.pop_front();
            self.written_bytes -= first;
        }
        left + MESSAGE_COST * self.written.len()
    }
}

/// One association, from the moment when data channels were negotiated.
pub struct Association {
    endpoint: Endpoint,
    library: Option<(AssociationHandle, Library)>,
    guard: Guard,
    message_bytes_max: u32,
    channels: BTreeMap<ChannelId, Channel>,
    /// Messages that wait because of the pace, with what they are.
    waiting: VecDeque<(ChannelId, Kind, Vec<u8>)>,
    /// Bits a second; `None` if only congestion control limits what is sent.
    pace: Option<u64>,
    /// Until when what was sent would take at that pace.
    paced_until: Option<Instant>,
    /// The streams on which there may be something to read.
    readable: BTreeSet<ChannelId>,
    /// Until when nothing is read from reliable channels.
    held_until: Option<Instant>,
    /// Whether reading was broken off, and goes on as soon as may be.
    has_more: bool,
    packets: VecDeque<Vec<u8>>,
    events: VecDeque<ChannelEvent>,
    has_ended: bool,
}

impl Association {
    /// Makes an association that waits for the peer to begin it.
    pub fn new(shared: &Shared) -> Self {
        Self {
            endpoint: Endpoint::new(shared.endpoint.clone(), Some(shared.server.clone())),
            library: None,
            guard: Guard::default(),
            message_bytes_max: 0,
            channels: BTreeMap::new(),
            waiting: VecDeque::new(),
            pace: None,
            paced_until: None,
            readable: BTreeSet::new(),
            held_until: None,
            has_more: false,
            packets: VecDeque::new(),
            events: VecDeque::new(),
            has_ended: false,
        }
    }

    /// Carries out a request of the core's.
    pub fn request(&mut self, now: Instant, request: &ChannelRequest) {
        match request {
            ChannelRequest::Enable { message_bytes_max } => {
                self.message_bytes_max = *message_bytes_max;
                if let Some((_, library)) = &mut self.library {
                    library.set_max_send_message_size(*message_bytes_max);
                }
            }
            ChannelRequest::Send { channel, is_text, bytes } => self.send(*channel, *is_text, bytes),
            ChannelRequest::Pace(bits_per_second) => self.pace = Some((*bits_per_second).max(1)),
            ChannelRequest::Close(channel) => self.close(*channel, ChannelEnd::Asked),
            ChannelRequest::Hold(milliseconds) => {
                self.held_until = Some(now + Duration::from_millis(u64::from(*milliseconds)));
            }
        }
        self.run(now);
    }

    /// Takes a packet, decrypted. What is not one, or would let the peer fill our memory, is left out.
    pub fn receive(&mut self, now: Instant, packet: &[u8]) {
        if self.has_ended {
            return;
        }
        match self.guard.judge(packet) {
            Verdict::In => {}
            Verdict::Out => return,
            Verdict::End => {
                debug!("a peer sends what makes no messages; its SCTP association ends");
                self.end();
                return self.run(now);
            }
        }
        let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let bytes = packet.to_vec().into();
        match (self.endpoint.handle(now, anywhere, None, None, bytes), &mut self.library) {
            (Some((handle, DatagramEvent::NewAssociation(mut library))), None) => {
                library.set_max_send_message_size(self.message_bytes_max);
                self.library = Some((handle, library));
                // Another INIT would be another association, and there is one for each handshake.
                self.endpoint.reject_new_associations();
            }
            (Some((handle, DatagramEvent::AssociationEvent(event))), Some((known, library)))
                if handle == *known =>
            {
                library.handle_event(event);
            }
            _ => {}
        }
        self.run(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some((_, library)) = &mut self.library {
            library.handle_timeout(now);
        }
        self.run(now);
    }

    /// Returns the next packet to encrypt and send.
    pub fn next_packet(&mut self) -> Option<Vec<u8>> {
        self.packets.pop_front()
    }

    /// Returns the next event.
    pub fn next_event(&mut self) -> Option<ChannelEvent> {
        self.events.pop_front()
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) has something to do. It may be in the past.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let (_, library) = self.library.as_ref()?;
        let reads = if self.has_more { Some(now) } else { self.held_until };
        let writes = if self.waiting.is_empty() { None } else { Some(now + self.wait_for_pace(now)) };
        [library.poll_timeout(), reads, writes].into_iter().flatten().min()
    }

    /// Returns how long the next message has to wait for the pace.
    fn wait_for_pace(&self, now: Instant) -> Duration {
        let (Some(pace), Some(until)) = (self.pace, self.paced_until) else { return Duration::ZERO };
        until.saturating_duration_since(now).saturating_sub(time_for(PACED_BYTES_AT_ONCE, pace))
    }

    fn send(&mut self, channel: ChannelId, is_text: bool, bytes: &[u8]) {
        let Some(&Channel { is_reliable, .. }) = self.channels.get(&channel) else { return };
        let waiting = self.bytes_buffered();
        let most = if is_reliable { CHANNEL_BYTES_BUFFERED_MAX } else { LOSSY_BYTES_BUFFERED_MAX };
        // A message of any size may be sent while nothing waits.
        if waiting > 0 && waiting + bytes.len() > most {
            if is_reliable {
                self.close(channel, ChannelEnd::TooSlow);
            }
            return;
        }
        // A message of no bytes cannot be sent as one (RFC 8831 §6.6).
        let (kind, bytes): (_, &[u8]) = match (is_text, bytes) {
            (true, []) => (Kind::StringEmpty, &[0]),
            (false, []) => (Kind::BinaryEmpty, &[0]),
            (true, bytes) => (Kind::String, bytes),
            (false, bytes) => (Kind::Binary, bytes),
        };
        self.waiting.push_back((channel, kind, bytes.to_vec()));
    }

    /// Gives the library the messages that need not wait for the pace.
    fn write_waiting(&mut self, now: Instant) {
        while self.wait_for_pace(now).is_zero()
            && let Some((channel, kind, bytes)) = self.waiting.pop_front()
            && let Some((_, library)) = &mut self.library
        {
            let sent = library.stream(channel.0).and_then(|mut stream| stream.write_with_ppi(&bytes, kind));
            if let Err(error) = sent {
                debug!(channel = channel.0, %error, "a message on a data channel is not sent");
                continue;
            }
            if let Some(channel) = self.channels.get_mut(&channel) {
                channel.note_written(bytes.len());
            }
            if let Some(pace) = self.pace {
                let begin = self.paced_until.map_or(now, |until| until.max(now));
                self.paced_until = Some(begin + time_for(bytes.len() as u64, pace));
            }
        }
    }

    /// Returns what waits to be sent or confirmed takes, on all channels, in bytes.
    fn bytes_buffered(&mut self) -> usize {
        let Some((_, library)) = &mut self.library else { return 0 };
        let waiting: usize = self.waiting.iter().map(|(_, _, bytes)| bytes.len() + MESSAGE_COST).sum();
        let mut buffered = |(id, channel): (&ChannelId, &mut Channel)| {
            let left = library.stream(id.0).and_then(|stream| stream.buffered_amount()).unwrap_or_default();
            channel.cost(left)
        };
        waiting + self.channels.iter_mut().map(&mut buffered).sum::<usize>()
    }

    fn close(&mut self, channel: ChannelId, end: ChannelEnd) {
        if let Some((_, library)) = &mut self.library
            && let Ok(mut stream) = library.stream(channel.0)
        {
            let _ = stream.close();
        }
        self.forget(channel, end);
    }

    fn forget(&mut self, channel: ChannelId, end: ChannelEnd) {
        self.readable.remove(&channel);
        self.guard.is_delivered(channel.0);
        self.waiting.retain(|(of, _, _)| *of != channel);
        if self.channels.remove(&channel).is_some() {
            self.events.push_back(ChannelEvent::Closed { channel, end });
        }
    }

    /// Takes everything that the library has to say, until it has nothing more.
    fn run(&mut self, now: Instant) {
        if self.held_until.is_some_and(|until| until <= now) {
            self.held_until = None;
        }
        self.take_events();
        self.read_all();
        self.write_waiting(now);
        self.take_packets(now);
        if self.has_ended {
            self.library = None;
        }
    }

    fn take_events(&mut self) {
        loop {
            let Some((handle, library)) = &mut self.library else { return };
            while let Some(event) = library.poll_endpoint_event() {
                let _ = self.endpoint.handle_event(*handle, event);
            }
            match library.poll() {
                None => return,
                Some(Event::Stream(StreamEvent::Readable { id })) => {
                    self.readable.insert(ChannelId(id));
                }
                Some(Event::Stream(StreamEvent::Finished { id })) => {
                    self.forget(ChannelId(id), ChannelEnd::ByPeer);
                }
                Some(Event::AssociationLost { reason } | Event::HandshakeFailed { reason }) => {
                    debug!(%reason, "an SCTP association has ended");
                    self.end();
                    return;
                }
                Some(_) => {}
            }
        }
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.channels.clear();
            self.readable.clear();
            self.waiting.clear();
            self.events.push_back(ChannelEvent::Ended);
        }
    }

    /// Reads what may be read, up to a number of bytes.
    fn read_all(&mut self) {
        let mut left = READ_BYTES_AT_ONCE;
        self.has_more = false;
        for channel in std::mem::take(&mut self.readable) {
            let is_held = self.held_until.is_some()
                && self.channels.get(&channel).is_none_or(|channel| channel.is_reliable);
            while !is_held && left > 0 {
                let Some((_, library)) = &mut self.library else { return };
                let message = library.stream(channel.0).and_then(|mut stream| stream.read_sctp());
                let Ok(Some(message)) = message else { break };
                let mut bytes = vec![0; message.len()];
                self.guard.is_delivered(channel.0);
                if message.read(&mut bytes).is_ok() {
                    left = left.saturating_sub(bytes.len().max(256));
                    self.take_message(channel, message.ppi, bytes);
                }
            }
            if is_held || left == 0 {
                self.readable.insert(channel);
                self.has_more |= !is_held;
            }
        }
        if self.readable.is_empty() {
            self.guard.all_is_read();
        }
        // Reading can end the association, or let a stream end.
        self.take_events();
    }

    fn take_message(&mut self, channel: ChannelId, kind: Kind, bytes: Vec<u8>) {
        let is_text = matches!(kind, Kind::String | Kind::StringEmpty);
        let bytes = match kind {
            Kind::Dcep => return self.take_dcep(channel, &bytes),
            // The byte of an empty message only stands in for none.
            Kind::StringEmpty | Kind::BinaryEmpty => Vec::new(),
            Kind::String if std::str::from_utf8(&bytes).is_err() => return,
            Kind::String | Kind::Binary => bytes,
            Kind::Unknown => return,
        };
        // Nobody knows what comes before a channel is opened, as on one that both ends have agreed on without a word.
        if self.channels.contains_key(&channel) {
            self.events.push_back(ChannelEvent::Message { channel, is_text, bytes });
        }
    }

    fn take_dcep(&mut self, channel: ChannelId, bytes: &[u8]) {
        let Some((_, library)) = &mut self.library else { return };
        let (Ok(dcep::Message::Open(open)), Ok(mut stream)) = (dcep::read(bytes), library.stream(channel.0))
        else {
            return;
        };
        let (reliability, parameter) = match open.effort {
            Effort::Unlimited => (ReliabilityType::Reliable, 0),
            Effort::Retransmissions(times) => (ReliabilityType::Rexmit, times),
            Effort::Milliseconds(milliseconds) => (ReliabilityType::Timed, milliseconds),
        };
        // The way back is as the opener wants it, too (RFC 8832 §6).
        let _ = stream.set_reliability_params(!open.is_ordered, reliability, parameter);
        let _ = stream.write_with_ppi(&dcep::ACK, Kind::Dcep);
        let is_reliable = open.effort == Effort::Unlimited;
        // Whoever opens a channel twice has two names for one: the first one counts.
        if let Entry::Vacant(vacant) = self.channels.entry(channel) {
            vacant.insert(Channel::new(is_reliable));
            let (label, protocol) = (open.label.to_owned(), open.protocol.to_owned());
            self.events.push_back(ChannelEvent::Opened { channel, label, protocol, is_reliable });
        }
    }

    fn take_packets(&mut self, now: Instant) {
        let Some((_, library)) = &mut self.library else { return };
        while let Some(transmit) = library.poll_transmit(now) {
            let Payload::RawEncode(packets) = transmit.payload else { continue };
            for packet in packets {
                self.guard.note_sent(&packet);
                self.packets.push_back(packet.to_vec());
            }
        }
    }
}

/// Returns how long bytes take at a number of bits a second.
fn time_for(bytes: u64, pace: u64) -> Duration {
    Duration::from_micros(bytes.saturating_mul(8_000_000) / pace)
}

#[cfg(test)]
mod tests;

//! What the data channels of one client take: when nothing is said, and when its client does all it can to fill the memory.
//! It prints what it measures, too: `cargo test --test alone -- --nocapture channels`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sctp_proto::{
    Association as Library, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig,
    Payload, PayloadProtocolIdentifier as Kind, TransportConfig,
};
use strait::core::channels::{ChannelEvent, ChannelId, ChannelRequest};
use strait::sctp::{Association, Shared};

use crate::{allocator, alone};

const MIB: u64 = 1024 * 1024;

/// The library as a client, and the association that it talks to.
struct Pair {
    now: Instant,
    endpoint: Endpoint,
    handle: AssociationHandle,
    client: Library,
    server: Association,
    /// The client's last packet.
    last: Vec<u8>,
}

impl Pair {
    fn connected() -> Self {
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::new()), None);
        let mut config = ClientConfig::new();
        config.transport = Arc::new(TransportConfig::default().with_max_send_message_size(1 << 20));
        let remote = SocketAddr::from(([10, 0, 0, 1], 5000));
        let (handle, client) = endpoint.connect(config, remote).expect("an association");
        let server = Association::new(&Shared::new(1200));
        let mut pair = Self { now: Instant::now(), endpoint, handle, client, server, last: Vec::new() };
        pair.server.request(pair.now, &ChannelRequest::Enable { message_bytes_max: 1 << 18 });
        pair.run(10);
        pair
    }

    /// Lets both talk for so many steps of 10 ms; returns how many messages the server has heard.
    fn run(&mut self, steps: usize) -> usize {
        let mut heard = 0;
        for _ in 0..steps {
            self.now += Duration::from_millis(10);
            self.client.handle_timeout(self.now);
            while let Some(transmit) = self.client.poll_transmit(self.now) {
                let Payload::RawEncode(packets) = transmit.payload else { continue };
                for packet in packets {
                    self.last = packet.to_vec();
                    self.server.receive(self.now, &packet);
                }
            }
            self.server.handle_timeout(self.now);
            while let Some(packet) = self.server.next_packet() {
                let from = SocketAddr::from(([10, 0, 0, 1], 5000));
                let event = self.endpoint.handle(self.now, from, None, None, packet.into());
                if let Some((_, DatagramEvent::AssociationEvent(event))) = event {
                    self.client.handle_event(event);
                }
            }
            while let Some(event) = self.client.poll_endpoint_event() {
                let _ = self.endpoint.handle_event(self.handle, event);
            }
            while self.client.poll().is_some() {}
            while let Some(event) = self.server.next_event() {
                heard += usize::from(matches!(event, ChannelEvent::Message { .. }));
            }
        }
        heard
    }

    fn open(&mut self, channel: u16, label: &str) {
        let open = [&[3, 0, 0, 0, 0, 0, 0, 0, 0, label.len() as u8, 0, 0], label.as_bytes()].concat();
        let mut stream = self.client.open_stream(channel, Kind::Binary).expect("a stream");
        stream.write_with_ppi(&open, Kind::Dcep).expect("it is sent");
        self.run(30);
    }

    fn say(&mut self, bytes: &[u8]) {
        self.client.stream(2).expect("it is open").write_with_ppi(bytes, Kind::Binary).expect("it is sent");
    }

    /// Returns how many bytes the association holds.
    fn held(self) -> u64 {
        let Self { server, .. } = self;
        let before = allocator::allocated();
        drop(server);
        before - allocator::allocated()
    }

    /// Returns a packet of the client's with one DATA chunk, and as many bytes behind it as a packet may have. The ports and
    /// the tag are those of its last packet.
    fn data(&self, tsn: u32, flags: u8, stream: u16, ssn: u16, length: usize) -> Vec<u8> {
        let mut packet = self.last[..8].to_vec();
        packet.extend([0; 4]);
        packet.extend([0, flags]);
        packet.extend(((16 + length) as u16).to_be_bytes());
        packet.extend(tsn.to_be_bytes());
        packet.extend(stream.to_be_bytes());
        packet.extend(ssn.to_be_bytes());
        packet.extend(53_u32.to_be_bytes());
        packet.resize(packet.len() + length.next_multiple_of(4), 7);
        // A chunk of a type that is to be skipped in silence fills the packet.
        let filler = 1160_usize.saturating_sub(packet.len() + 4);
        packet.extend([0x80, 0]);
        packet.extend(((4 + filler) as u16).to_be_bytes());
        packet.resize(packet.len() + filler, 0);
        let sum = crc32c(&packet);
        packet[8..12].copy_from_slice(&sum.to_le_bytes());
        packet
    }
}

/// The checksum of SCTP packets (RFC 9260, appendix A).
fn crc32c(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0x82f6_3b78 & 0_u32.wrapping_sub(sum & 1));
        }
    }
    !sum
}

/// Returns the sequence number of the DATA that a packet begins with.
fn tsn_of(packet: &[u8]) -> u32 {
    assert_eq!(packet[12], 0, "a DATA chunk");
    u32::from_be_bytes(packet[16..20].try_into().expect("four bytes"))
}

#[test]
fn channels_on_which_nothing_is_said_take_little() {
    let _alone = alone();
    let mut pair = Pair::connected();
    pair.open(2, "reliable");
    pair.open(4, "lossy");
    let quiet = pair.held();
    println!("an association with two channels: {quiet} bytes");
    assert!(quiet < 16 * 1024, "{quiet}");
    let unused = Association::new(&Shared::new(1200));
    let before = allocator::allocated();
    drop(unused);
    println!("one that was negotiated and is not used: {} bytes", before - allocator::allocated());
}

#[test]
fn what_passes_through_leaves_nothing_behind() {
    let _alone = alone();
    let mut pair = Pair::connected();
    pair.open(2, "reliable");
    let begin = Instant::now();
    let mut heard = 0;
    for _ in 0..2000 {
        pair.say(&[7; 1000]);
        heard += pair.run(1);
    }
    println!("a message of 1,000 bytes, both ends: {:?}", begin.elapsed() / 2000);
    heard += pair.run(100);
    for _ in 0..20 {
        pair.say(&vec![7; 256 * 1024]);
        heard += pair.run(100);
    }
    assert_eq!(heard, 2020);
    let held = pair.held();
    assert!(held < 64 * 1024, "{held}");
}

/// Sends what `attack` makes of a number, again and again, and returns how much the association holds then.
fn attacked(attack: impl Fn(&Pair, u32, u32) -> Vec<u8>) -> u64 {
    let mut pair = Pair::connected();
    pair.open(2, "reliable");
    pair.say(b"the last one");
    pair.run(1);
    let next = tsn_of(&pair.last).wrapping_add(1);
    pair.run(50);
    for number in 0..20_000 {
        let packet = attack(&pair, next, number);
        pair.server.receive(pair.now, &packet);
        if number % 16 == 0 {
            pair.now += Duration::from_millis(10);
            pair.server.handle_timeout(pair.now);
        }
        while pair.server.next_packet().is_some() {}
        while pair.server.next_event().is_some() {}
    }
    pair.held()
}

#[test]
fn a_client_cannot_fill_the_memory_by_what_is_never_whole() {
    let _alone = alone();
    type Attack = fn(&Pair, u32, u32) -> Vec<u8>;
    let attacks: [(&str, Attack); 5] = [
        ("behind a gap", |pair, next, number| pair.data(next.wrapping_add(1 + number), 3, 2, 9, 1)),
        ("pieces without an end", |pair, next, number| {
            pair.data(next.wrapping_add(number), if number == 0 { 2 } else { 0 }, 2, 2, 256)
        }),
        ("scraps", |pair, next, number| {
            pair.data(next.wrapping_add(number), u8::from(number == 0) * 2, 2, 2, 1)
        }),
        ("messages that wait for others", |pair, next, number| {
            pair.data(next.wrapping_add(number), 3, 2, (number as u16).wrapping_add(9), 1)
        }),
        ("many streams", |pair, next, number| pair.data(next.wrapping_add(number), 2, number as u16, 0, 256)),
    ];
    for (name, attack) in attacks {
        let held = attacked(attack);
        println!("{name}: {held} bytes");
        assert!(held < 8 * MIB, "{name}: {held}");
    }
}

#[test]
fn who_is_held_back_or_receives_nothing_costs_a_bounded_amount() {
    let _alone = alone();
    let mut pair = Pair::connected();
    pair.open(2, "reliable");
    pair.server.request(pair.now, &ChannelRequest::Hold(3_600_000));
    for _ in 0..20_000 {
        pair.say(b"x");
    }
    pair.run(500);
    for _ in 0..1000 {
        let channel = ChannelId(2);
        let send = ChannelRequest::Send { channel, is_text: false, bytes: vec![1; 20_000] };
        pair.server.request(pair.now, &send);
        while pair.server.next_packet().is_some() {}
    }
    let held = pair.held();
    println!("held back, and receiving nothing: {held} bytes");
    assert!(held < 8 * MIB, "{held}");
}

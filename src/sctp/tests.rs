//! Two ends of an association whose packets a network loses, doubles and turns round: the library as a client has it, and
//! ours.

use std::time::Duration;

use sctp_proto::{ClientConfig, Stream};

use super::*;

/// What a network does to the packet of that number, in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Arrives,
    Lost,
    Twice,
    /// Comes behind the next one.
    Late,
}

/// The library as a browser uses it, the association under test, and the network between them.
struct World {
    now: Instant,
    endpoint: Endpoint,
    handle: AssociationHandle,
    browser: Library,
    server: Association,
    /// What the server has reported.
    events: Vec<ChannelEvent>,
    fate: fn(usize) -> Fate,
    packets: usize,
}

const CHAT: ChannelId = ChannelId(2);
const POINTS: ChannelId = ChannelId(4);

fn open(label: &str, channel_type: u8) -> Vec<u8> {
    let head = [3, channel_type, 0, 0, 0, 0, 0, 0, 0, label.len() as u8, 0, 0];
    [&head[..], label.as_bytes()].concat()
}

impl World {
    fn new(fate: fn(usize) -> Fate) -> Self {
        let shared = Shared::new(1200);
        let mut endpoint = Endpoint::new(shared.endpoint.clone(), None);
        let mut config = ClientConfig::new();
        config.transport = Arc::new(
            TransportConfig::default()
                .with_max_send_message_size(1 << 20)
                .with_max_receive_message_size(1 << 20)
                .with_rto_initial_ms(500)
                .with_rto_min_ms(200),
        );
        let (handle, browser) =
            endpoint.connect(config, SocketAddr::from(([10, 0, 0, 1], 5000))).expect("an association");
        let mut world = Self {
            // The library counts from the time at which it is made.
            now: Instant::now(),
            endpoint,
            handle,
            browser,
            server: Association::new(&shared),
            events: Vec::new(),
            fate,
            packets: 0,
        };
        world.request(ChannelRequest::Enable { message_bytes_max: 1 << 20 });
        world
    }

    /// A world in which the browser has opened a reliable and a lossy channel.
    fn with_channels(fate: fn(usize) -> Fate) -> Self {
        let mut world = Self::new(fate);
        world.run(5000);
        world.browser_opens(CHAT, "chat", 0);
        world.browser_opens(POINTS, "points", 0x81);
        world.run(20_000);
        assert_eq!(world.opened(), ["chat", "points"]);
        world.events.clear();
        world
    }

    fn browser_opens(&mut self, channel: ChannelId, label: &str, channel_type: u8) {
        let mut stream = self.browser.open_stream(channel.0, Kind::Binary).expect("a stream");
        stream.write_with_ppi(&open(label, channel_type), Kind::Dcep).expect("it is sent");
        if channel_type != 0 {
            stream.set_reliability_params(true, ReliabilityType::Rexmit, 0).expect("it is set");
        }
    }

    fn browser_says(&mut self, channel: ChannelId, bytes: &[u8]) {
        self.stream(channel).write_with_ppi(bytes, Kind::Binary).expect("it is sent");
    }

    fn stream(&mut self, channel: ChannelId) -> Stream<'_> {
        self.browser.stream(channel.0).expect("the stream is open")
    }

    fn browser_hears(&mut self, channel: ChannelId) -> Vec<(Kind, Vec<u8>)> {
        let mut heard = Vec::new();
        while let Ok(Some(message)) = self.stream(channel).read_sctp() {
            let mut bytes = vec![0; message.len()];
            message.read(&mut bytes).expect("it fits");
            if message.ppi != Kind::Dcep {
                heard.push((message.ppi, bytes));
            }
        }
        heard
    }

    fn request(&mut self, request: ChannelRequest) {
        self.server.request(self.now, &request);
    }

    fn server_says(&mut self, channel: ChannelId, bytes: &[u8]) {
        self.request(ChannelRequest::Send { channel, is_text: false, bytes: bytes.to_vec() });
    }

    fn opened(&self) -> Vec<&str> {
        let labels = self.events.iter().filter_map(|event| match event {
            ChannelEvent::Opened { label, .. } => Some(label.as_str()),
            _ => None,
        });
        labels.collect()
    }

    /// Returns the messages that the server has heard on a channel.
    fn heard(&self, on: ChannelId) -> Vec<&[u8]> {
        let message = |event| match event {
            &ChannelEvent::Message { channel, ref bytes, .. } if channel == on => Some(bytes.as_slice()),
            _ => None,
        };
        self.events.iter().filter_map(message).collect()
    }

    /// Brings packets to where they go, as the network's fate has it.
    fn through_the_network(&mut self, packets: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let mut arriving = Vec::new();
        let mut late = None;
        for packet in packets {
            let fate = (self.fate)(self.packets);
            self.packets += 1;
            match fate {
                Fate::Lost => {}
                Fate::Arrives => arriving.push(packet),
                Fate::Twice => arriving.extend([packet.clone(), packet]),
                Fate::Late => {
                    arriving.extend(late.replace(packet));
                    continue;
                }
            }
            arriving.extend(late.take());
        }
        arriving.extend(late);
        arriving
    }

    fn exchange(&mut self) {
        let mut sent = Vec::new();
        while let Some(transmit) = self.browser.poll_transmit(self.now) {
            let Payload::RawEncode(packets) = transmit.payload else { continue };
            sent.extend(packets.into_iter().map(|packet| packet.to_vec()));
        }
        for packet in self.through_the_network(sent) {
            self.server.receive(self.now, &packet);
        }
        let mut sent = Vec::new();
        while let Some(packet) = self.server.next_packet() {
            assert!(packet.len() + DTLS_BYTES <= 1200, "{}", packet.len());
            sent.push(packet);
        }
        let anywhere = SocketAddr::from(([10, 0, 0, 1], 5000));
        for packet in self.through_the_network(sent) {
            if let Some((_, DatagramEvent::AssociationEvent(event))) =
                self.endpoint.handle(self.now, anywhere, None, None, packet.into())
            {
                self.browser.handle_event(event);
            }
        }
        while let Some(event) = self.browser.poll_endpoint_event() {
            let _ = self.endpoint.handle_event(self.handle, event);
        }
        while self.browser.poll().is_some() {}
        while let Some(event) = self.server.next_event() {
            self.events.push(event);
        }
    }

    /// Lets that many milliseconds pass, in steps of ten.
    fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds / 10 {
            self.now += Duration::from_millis(10);
            self.browser.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
            self.exchange();
        }
    }
}

fn well(_: usize) -> Fate {
    Fate::Arrives
}

/// Every seventh packet is lost, others come twice or late.
fn badly(number: usize) -> Fate {
    match number % 7 {
        3 => Fate::Lost,
        1 => Fate::Twice,
        5 => Fate::Late,
        _ => Fate::Arrives,
    }
}

#[test]
fn channels_are_opened_and_messages_go_both_ways() {
    let mut world = World::with_channels(well);
    world.browser_says(CHAT, b"hello");
    world.stream(CHAT).write_with_ppi(&[0], Kind::StringEmpty).expect("it is sent");
    world.run(500);
    assert_eq!(world.heard(CHAT), [b"hello".as_slice(), b""]);
    world.server_says(CHAT, b"welcome");
    world.server_says(POINTS, b"");
    world.run(500);
    assert_eq!(world.browser_hears(CHAT), [(Kind::Binary, b"welcome".to_vec())]);
    assert_eq!(world.browser_hears(POINTS), [(Kind::BinaryEmpty, vec![0])]);
}

#[test]
fn a_message_of_the_largest_size_gets_through_a_bad_network_both_ways() {
    let mut world = World::with_channels(badly);
    let large: Vec<u8> = (0..CHANNEL_MESSAGE_BYTES_MAX).map(|at| at as u8).collect();
    world.browser_says(CHAT, &large);
    world.browser_says(CHAT, b"behind it");
    world.server_says(CHAT, &large);
    world.run(300_000);
    assert!(world.heard(CHAT) == [large.as_slice(), b"behind it"], "whole, once and in order");
    assert!(world.browser_hears(CHAT) == [(Kind::Binary, large)]);
}

#[test]
fn what_may_be_lost_is_lost_and_what_follows_is_not() {
    let mut world = World::with_channels(well);
    world.fate = badly;
    for number in 0..100_u8 {
        world.browser_says(POINTS, &[number]);
        world.run(20);
    }
    world.run(3000);
    let heard = world.heard(POINTS).len();
    assert!((60..100).contains(&heard), "{heard}");
}

#[test]
fn too_large_a_message_ends_the_association_and_nothing_else() {
    let mut world = World::with_channels(well);
    world.browser_says(CHAT, &vec![7; CHANNEL_MESSAGE_BYTES_MAX + 2000]);
    world.run(5000);
    assert!(world.heard(CHAT).is_empty());
    assert_eq!(world.events, [ChannelEvent::Ended]);
    world.server.receive(world.now, &[1; 100]);
}

#[test]
fn a_closed_channel_is_reported_and_its_number_can_be_used_again() {
    let mut world = World::with_channels(well);
    world.stream(CHAT).close().expect("it is closed");
    world.run(2000);
    assert_eq!(world.events, [ChannelEvent::Closed { channel: CHAT, end: ChannelEnd::ByPeer }]);
    world.browser_opens(CHAT, "again", 0);
    world.run(2000);
    assert_eq!(world.opened(), ["again"]);
    assert_eq!(world.browser_hears(CHAT), []);
    world.request(ChannelRequest::Close(CHAT));
    world.run(2000);
    assert_eq!(world.events.last(), Some(&ChannelEvent::Closed { channel: CHAT, end: ChannelEnd::Asked }));
    assert!(world.browser.stream(CHAT.0).is_err(), "the browser sees it, too");
}

#[test]
fn who_is_held_back_waits_and_is_heard_after_that() {
    let mut world = World::with_channels(well);
    world.request(ChannelRequest::Hold(1000));
    for _ in 0..20 {
        world.browser_says(CHAT, &[1; 100_000]);
    }
    world.browser_says(POINTS, b"now");
    world.run(900);
    assert_eq!(world.heard(CHAT).len(), 0);
    // Flow control stops all channels once the buffer is full, but what came before that is heard.
    world.run(60_000);
    assert_eq!((world.heard(CHAT).len(), world.heard(POINTS).len()), (20, 1));
}

#[test]
fn who_does_not_receive_loses_the_channel_and_is_not_waited_for() {
    let mut world = World::with_channels(well);
    world.fate = |_| Fate::Lost;
    for _ in 0..20 {
        world.server_says(POINTS, &[1; 10_000]);
    }
    assert!(world.server.bytes_buffered() <= LOSSY_BYTES_BUFFERED_MAX);
    for _ in 0..200 {
        world.server_says(CHAT, &[1; 10_000]);
    }
    assert!(world.server.bytes_buffered() <= CHANNEL_BYTES_BUFFERED_MAX);
    world.exchange();
    assert_eq!(world.events, [ChannelEvent::Closed { channel: CHAT, end: ChannelEnd::TooSlow }]);
}

#[test]
fn what_is_paced_comes_no_faster_and_all_of_it() {
    let mut world = World::with_channels(well);
    world.request(ChannelRequest::Pace(1_000_000));
    for _ in 0..20 {
        world.server_says(CHAT, &[1; 25_000]);
    }
    let mut heard = 0;
    let begin = world.now;
    while heard < 20 {
        world.run(10);
        heard += world.browser_hears(CHAT).len();
    }
    // 500,000 bytes, of which 64 KiB may go at once.
    let took = world.now - begin;
    assert!((Duration::from_secs(3)..Duration::from_secs(5)).contains(&took), "{took:?}");
    world.server_says(CHAT, b"at once");
    world.run(30);
    assert_eq!(world.browser_hears(CHAT).len(), 0, "it waits behind them");
    world.run(1000);
    assert_eq!(world.browser_hears(CHAT).len(), 1);
}

#[test]
fn garbage_and_a_flood_of_associations_change_nothing() {
    let mut world = World::with_channels(well);
    let mut init = vec![0x13, 0x88, 0x13, 0x88, 0, 0, 0, 0, 0, 0, 0, 0];
    init.extend([1, 0, 0, 20, 0, 0, 0, 1, 0, 1, 0, 0, 0, 9, 0, 9, 0, 0, 0, 42]);
    for number in 0..1000_u32 {
        init[16..20].copy_from_slice(&number.to_be_bytes());
        world.server.receive(world.now, &init);
        world.server.receive(world.now, &init[..number as usize % init.len()]);
        world.server.receive(world.now, &number.to_be_bytes().repeat(20));
    }
    assert_eq!(world.server.next_packet(), None, "nobody is answered");
    world.browser_says(CHAT, b"still here");
    world.run(500);
    assert_eq!(world.heard(CHAT), [b"still here"]);
}

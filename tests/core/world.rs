//! A world without sockets: the core, the handshakes that the shell would run, and clients made of whole str0m
//! endpoints, all under one virtual clock. Datagrams arrive at once; time jumps to the next deadline.

#[path = "world/publishing.rs"]
mod publishing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::format::PayloadParams;
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RedEncoder, RedundantBlock, RtpPacket, RtpWrite, SeqNo};
use str0m::{Candidate, Event as EngineEvent, Input as EngineInput, Output as EngineOutput, Rtc};
use strait::core::command::{
    Command, EncodingRequest, Join, Layout, Lifeline, Moderation, Proof, PublicationRequest, Resume, Source,
};
use strait::core::datagrams::Datagrams;
use strait::core::event::{Event, Joined, PublicationInfo, RefusalCode, SlotCounts, SlotMap, TrackInfo};
use strait::core::grants::Grants;
use strait::core::ids::{ConnectionId, DtlsSession, RequestId, RoomId, TrackId};
use strait::core::input::{AdminCommand, Admission, DtlsEvent, Shedding};
use strait::core::output::DtlsRequest;
use strait::core::path::{Carrier, LocalCandidate, Path, TransportProtocol};
use strait::core::profile::Profile;
use strait::core::room_options::RoomChange;
use strait::core::{Input, Output, Settings, Sfu};
use strait::dtls::{Call, DtlsEvents, Handshake, Identity, Scratch, Standing};
use strait::wire::classify::{DatagramKind, classify};
use strait::wire::rtp::RtpHeader;

use crate::line::Line;

/// The server's address, as the clients see it.
pub fn server_address() -> SocketAddr {
    "10.9.9.9:7443".parse().expect("an address")
}

/// Settings that suit most tests.
pub fn settings(epoch: Instant, certificate: Vec<u8>) -> Settings {
    Settings {
        participants_per_room_max: 50,
        slots: SlotCounts { audio: 2, video: 2 },
        certificate,
        ..Settings::for_trying(epoch)
    }
}

/// A participant in one room, with a whole str0m endpoint.
pub struct Client {
    pub connection: ConnectionId,
    pub address: SocketAddr,
    /// The address that it believes it has, whatever a NAT makes of it.
    own: SocketAddr,
    pub rtc: Rtc,
    pub joined: Option<Joined>,
    pub events: Vec<Event>,
    pub slot_map: Option<SlotMap>,
    pub publications: Vec<PublicationInfo>,
    pub received: Vec<RtpPacket>,
    pub keyframe_requests: usize,
    /// The loss that the server has reported of what it sends, by section, if its endpoint tells.
    pub losses: Vec<(Mid, f32)>,
    /// Sections that receive, with their kinds.
    pub slots: Vec<(Mid, MediaKind)>,
    pub sending: Vec<(Mid, Source)>,
    /// What its offers say of the encodings of its simulcasts.
    pub declared: Vec<EncodingRequest>,
    /// The encodings that it sends, without a pause.
    pub began: BTreeSet<String>,
    /// While true, none of this client's datagrams get through, in either direction.
    pub unplugged: bool,
    /// While set, datagrams of this kind that the client sends get lost, and no others do.
    pub loses: Option<DatagramKind>,
    /// What lies between the server and this client, if it is narrow.
    pub line: Option<Line>,
    /// The server has ended the media path.
    pub hung_up: bool,
    /// The labels of its data channels that are open.
    pub channels: Vec<(ChannelId, String)>,
    /// The messages that came on them: by which, and what.
    pub heard: Vec<(String, Vec<u8>)>,
    pending: Option<SdpPendingOffer>,
    deadline: Instant,
    sequences: BTreeMap<(Source, u8), u64>,
}

impl Client {
    /// The track that its answer gave to a source.
    pub fn track(&self, source: Source) -> TrackId {
        let publication = self.publications.iter().find(|publication| publication.info.source == source);
        publication.expect("it publishes that").info.track
    }

    /// Tracks that its slots show now.
    pub fn shown(&self) -> Vec<TrackId> {
        let slots = self.slot_map.iter().flat_map(|map| &map.slots);
        slots.filter_map(|slot| slot.track.map(|(track, _)| track)).collect()
    }

    /// Packets received in the slot that shows a track.
    pub fn received_of(&mut self, track: TrackId) -> Vec<&RtpPacket> {
        let slot = self
            .slot_map
            .iter()
            .flat_map(|map| &map.slots)
            .find(|slot| slot.track.map(|t| t.0) == Some(track));
        let Some(mid) = slot.map(|slot| Mid::from(&*slot.mid)) else { return Vec::new() };
        let ssrc = self.rtc.direct_api().stream_rx_by_mid(mid, None).map(|stream| stream.ssrc());
        self.received.iter().filter(|packet| Some(packet.header.ssrc) == ssrc).collect()
    }

    /// Returns the tracks that it was told others have published.
    pub fn tracks_added(&self) -> Vec<&TrackInfo> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::TrackAdded(info) => Some(info),
                _ => None,
            })
            .collect()
    }

    /// Codes of refusals that it got.
    pub fn refusals(&self) -> Vec<RefusalCode> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Refused(_, refusal) => Some(refusal.code),
                _ => None,
            })
            .collect()
    }
}

/// One input, recorded so that it can be fed again.
#[derive(Clone)]
pub enum Recorded {
    Datagram(Path, Vec<u8>),
    Join(ConnectionId, Option<RequestId>, Admission, Join),
    Resume(ConnectionId, Option<RequestId>, Resume),
    Command(ConnectionId, Option<RequestId>, Command),
    ConnectionLost(ConnectionId),
    Dtls(DtlsSession, DtlsEvent),
    Admin(AdminCommand),
    Operate(RoomId, Moderation),
    MakeRoom(RoomId, RoomChange),
    Shed(Shedding),
    StoodStill(Duration),
    Timeout,
    /// The outputs were drained here.
    Drained,
}

/// Everything there is.
pub struct World {
    pub sfu: Sfu,
    pub start: Instant,
    pub now: Instant,
    pub clients: Vec<Client>,
    /// The lifeline of people who join from now on.
    pub lifeline: Lifeline,
    /// How answers to people are laid out who join from now on.
    pub layout: Layout,
    /// The id that was reserved for whatever is published next.
    pub reserved: Option<TrackId>,
    /// What people who join from now on may do.
    pub grants: Grants,
    /// In which of their codecs clients send video.
    pub video_codec: &'static str,
    /// Whether the tokens of people who join from now on are for that very room.
    pub is_invited: bool,
    /// Whether somebody vouches for the identities of those who join next.
    pub is_vouched_for: bool,
    /// Whether the clients of people who join from now on can send straight to each other.
    pub can_mesh: bool,
    /// The address by which people who join from now on could be banned.
    pub host: Option<IpAddr>,
    /// What is known of people who join from now on, besides their names.
    pub profile: Profile,
    /// What carries everyone's datagrams.
    pub carrier: Carrier,
    /// The first three numbers of the network of people who join; `None` for a private one.
    pub network: Option<&'static str>,
    identity: Identity,
    scratch: Scratch,
    handshakes: BTreeMap<DtlsSession, Handshake>,
    /// When the handshakes want to be called that carry data channels. The others are alone with their peers.
    carriers: BTreeMap<DtlsSession, Instant>,
    to_sfu: VecDeque<(SocketAddr, Vec<u8>)>,
    to_clients: VecDeque<(SocketAddr, Vec<u8>)>,
    deadline: Option<Instant>,
    /// While true, datagrams are read but nothing is forwarded, because the machine is busy.
    pub is_stalled: bool,
    /// How loud the audio is that is sent from now on, in dBov; `None` tells nothing of it.
    pub level: Option<i8>,
    /// How many pictures a camera with layers inside its stream has shown.
    pub pictures: u16,
    requests: u64,
    settings: Settings,
    /// Every input with its time, from the start.
    pub record: Vec<(Duration, Recorded)>,
    /// Everything that came out, as bytes.
    pub outputs: Vec<Vec<u8>>,
    /// Decides whether an RTP packet from the server is lost.
    pub loses_down: fn(u16) -> bool,
    /// The same for packets to the server.
    pub loses_up: fn(u16) -> bool,
    /// All RTP that has left the server, whatever became of it.
    pub departed: Vec<Departed>,
    /// Who sends audio with how many copies of the packets before, which are 20 ms apart.
    pub copies: BTreeMap<usize, u64>,
}

/// A packet that has left the server.
pub struct Departed {
    /// When.
    pub at: Instant,
    /// To which client.
    pub to: usize,
    pub ssrc: u32,
    pub sequence: u16,
    pub bytes: usize,
    /// Whether it ends in padding.
    pub has_padding: bool,
}

/// Feeds an input to a core.
fn feed(sfu: &mut Sfu, now: Instant, input: Recorded) {
    match input {
        Recorded::Datagram(path, mut bytes) => {
            sfu.handle_input(now, Input::Datagram { path, bytes: &mut bytes });
        }
        Recorded::Join(connection, request, admission, join) => {
            sfu.handle_input(now, Input::Join { connection, request, host: None, admission, join });
        }
        Recorded::Resume(connection, request, resume) => {
            sfu.handle_input(now, Input::Resume { connection, request, resume });
        }
        Recorded::Command(connection, request, command) => {
            sfu.handle_input(now, Input::Command { connection, request, command });
        }
        Recorded::ConnectionLost(connection) => sfu.handle_input(now, Input::ConnectionLost(connection)),
        Recorded::Dtls(session, event) => sfu.handle_input(now, Input::Dtls { session, event }),
        Recorded::Operate(room, moderation) => sfu.handle_input(now, Input::Operate(room, moderation)),
        Recorded::MakeRoom(room, change) => sfu.handle_input(now, Input::MakeRoom(room, change)),
        Recorded::Admin(command) => sfu.handle_input(now, Input::Admin(command)),
        Recorded::Shed(shedding) => sfu.handle_input(now, Input::Shed(shedding)),
        Recorded::StoodStill(time) => sfu.handle_input(now, Input::StoodStill(time)),
        Recorded::Timeout => sfu.handle_input(now, Input::Timeout),
        Recorded::Drained => {}
    }
}

/// An output as bytes that can be compared.
fn as_bytes(output: &Output<'_>) -> Option<Vec<u8>> {
    match output {
        Output::Transmit(transmit) => {
            let mut bytes = format!("{:?} {:?} ", transmit.path, transmit.class).into_bytes();
            bytes.extend_from_slice(transmit.bytes);
            Some(bytes)
        }
        // Deadlines need not be equal.
        Output::Timeout(_) | Output::Media(_) => None,
        other => Some(format!("{other:?}").into_bytes()),
    }
}

/// Returns the outputs of a fresh core for a record, with all times shifted.
pub fn replay(settings: &Settings, shift: Duration, record: &[(Duration, Recorded)]) -> Vec<Vec<u8>> {
    let start = settings.epoch + shift;
    let mut sfu = Sfu::new(Settings { epoch: start, ..settings.clone() });
    let mut outputs = Vec::new();
    for (at, input) in record {
        if matches!(input, Recorded::Drained) {
            loop {
                let output = sfu.poll_output();
                match output {
                    Output::Timeout(_) => break,
                    Output::Media(_) => {
                        let mut media = Datagrams::default();
                        sfu.forward_share(&mut media);
                        while let Some(transmit) = media.take_next() {
                            outputs.extend(as_bytes(&Output::Transmit(transmit)));
                        }
                    }
                    other => outputs.extend(as_bytes(&other)),
                }
            }
        } else {
            feed(&mut sfu, start + *at, input.clone());
        }
    }
    outputs
}

impl World {
    /// A server without rooms.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// A server with other settings.
    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let start = Instant::now();
        let identity = Identity::new().expect("a certificate");
        let mut settings = settings(start, identity.certificate().to_vec());
        change(&mut settings);
        Self {
            sfu: Sfu::new(settings.clone()),
            settings,
            record: Vec::new(),
            outputs: Vec::new(),
            loses_down: |_| false,
            loses_up: |_| false,
            departed: Vec::new(),
            copies: BTreeMap::new(),
            start,
            now: start,
            clients: Vec::new(),
            lifeline: Lifeline::Signalling,
            layout: Layout::Slots,
            reserved: None,
            grants: Grants::OPEN,
            video_codec: "VP8",
            profile: Profile::default(),
            is_invited: false,
            is_vouched_for: true,
            can_mesh: false,
            host: None,
            carrier: Carrier::Udp,
            network: None,
            identity,
            scratch: Scratch::default(),
            handshakes: BTreeMap::new(),
            carriers: BTreeMap::new(),
            to_sfu: VecDeque::new(),
            to_clients: VecDeque::new(),
            deadline: None,
            is_stalled: false,
            level: None,
            pictures: 0,
            requests: 0,
        }
    }

    /// Lets somebody join a room. Returns their index in `clients`.
    pub fn join(&mut self, room: &str, name: &str) -> usize {
        let rtc = Rtc::builder().set_rtp_mode(true).build(self.now);
        self.join_with(room, name, rtc)
    }

    /// Somebody throws their endpoint away and takes another one, at another port.
    pub fn replace_endpoint(&mut self, person: usize, mut rtc: Rtc) {
        let client = &mut self.clients[person];
        client.address.set_port(client.address.port() + 1);
        client.own = client.address;
        rtc.add_local_candidate(Candidate::host(client.address, "udp").expect("a candidate"));
        client.rtc = rtc;
        (client.slots, client.sending, client.publications) = (Vec::new(), Vec::new(), Vec::new());
        client.received.clear();
        (client.pending, client.hung_up, client.deadline) = (None, false, self.now);
    }

    /// Lets somebody join a room with a given endpoint.
    pub fn join_with(&mut self, room: &str, name: &str, rtc: Rtc) -> usize {
        let index = self.add_client(rtc);
        self.ask_to_join(index, room, name);
        index
    }

    /// Puts an endpoint into the world, which nobody has joined with.
    pub fn add_client(&mut self, mut rtc: Rtc) -> usize {
        let index = self.clients.len();
        let connection = ConnectionId(index as u64 + 1);
        let network = self.network.map_or_else(|| format!("10.0.{}", index / 200), str::to_owned);
        let address: SocketAddr = format!("{network}.{}:5000", index % 200 + 1).parse().expect("address");
        rtc.add_local_candidate(Candidate::host(address, "udp").expect("a candidate"));
        self.clients.push(Client {
            connection,
            address,
            own: address,
            rtc,
            joined: None,
            events: Vec::new(),
            slot_map: None,
            publications: Vec::new(),
            received: Vec::new(),
            keyframe_requests: 0,
            losses: Vec::new(),
            slots: Vec::new(),
            sending: Vec::new(),
            declared: Vec::new(),
            began: BTreeSet::new(),
            unplugged: false,
            loses: None,
            line: None,
            hung_up: false,
            channels: Vec::new(),
            heard: Vec::new(),
            pending: None,
            deadline: self.now,
            sequences: BTreeMap::new(),
        });
        index
    }

    /// Sends a join for a client that exists.
    pub fn ask_to_join(&mut self, client: usize, room: &str, name: &str) {
        let mut entropy = [client as u8; 32];
        entropy[0] = 0x5a;
        let admission = Admission {
            entropy,
            candidates: vec![LocalCandidate { protocol: TransportProtocol::Udp, address: server_address() }],
        };
        let join = Join {
            room: room.parse().expect("a room id"),
            profile: Profile { name: name.to_owned(), ..self.profile.clone() },
            auto_subscribe: true,
            lifeline: self.lifeline,
            layout: self.layout,
            grants: self.grants,
            is_invited: self.is_invited,
            is_vouched_for: self.is_vouched_for,
            host: self.host,
            can_mesh: self.can_mesh,
        };
        let request = self.next_request();
        self.input(Recorded::Join(self.clients[client].connection, request, admission, join));
        self.settle();
    }

    fn next_request(&mut self) -> Option<RequestId> {
        self.requests += 1;
        Some(RequestId(self.requests.to_string().into()))
    }

    /// A client asks for something.
    pub fn command(&mut self, client: usize, command: Command) {
        let connection = self.clients[client].connection;
        let request = self.next_request();
        self.input(Recorded::Command(connection, request, command));
        self.settle();
    }

    /// A back end does something to the room that everybody is in, and learns what became of it.
    pub fn operate(&mut self, moderation: Moderation) -> Result<(), RefusalCode> {
        let room: RoomId = "standup".parse().expect("a room id");
        self.record.push((self.now - self.start, Recorded::Operate(room.clone(), moderation.clone())));
        let done = self.sfu.operate(self.now, &room, moderation);
        self.settle();
        done.map_err(|refusal| refusal.code)
    }

    /// A back end makes that room ahead of time, or changes it.
    pub fn make_room(&mut self, change: RoomChange) -> Result<(), RefusalCode> {
        let room: RoomId = "standup".parse().expect("a room id");
        self.record.push((self.now - self.start, Recorded::MakeRoom(room.clone(), change.clone())));
        let done = self.sfu.make_room(self.now, &room, change);
        self.settle();
        done.map_err(|refusal| refusal.code)
    }

    /// Something happens to the core.
    pub fn input(&mut self, input: Recorded) {
        self.record.push((self.now - self.start, input.clone()));
        feed(&mut self.sfu, self.now, input);
    }

    /// Returns the newest handshake that has not ended.
    pub fn newest_handshake(&self) -> DtlsSession {
        *self.handshakes.keys().last().expect("a handshake was begun")
    }

    /// A client's signalling breaks.
    pub fn break_signalling(&mut self, client: usize) {
        self.input(Recorded::ConnectionLost(self.clients[client].connection));
        self.settle();
    }

    /// A client is back, on a new connection, with this secret or its own.
    pub fn resume(&mut self, client: usize, secret: Option<&str>) {
        let joined = self.clients[client].joined.clone().expect("it has joined");
        self.clients[client].connection = ConnectionId(1000 + self.requests);
        let resume = Resume {
            room: joined.room,
            participant: joined.participant,
            proof: Proof::Secret(secret.map_or(joined.secret, str::to_owned)),
        };
        let request = self.next_request();
        self.input(Recorded::Resume(self.clients[client].connection, request, resume));
        self.settle();
    }

    /// Returns the outputs of a fresh core for everything that happened here, with the clock shifted.
    pub fn replay(&self, shift: Duration) -> Vec<Vec<u8>> {
        replay(&self.settings, shift, &self.record)
    }

    /// A client changes the direction of a section.
    pub fn redirect(&mut self, client: usize, mid: Mid, direction: Direction) {
        let mut changes = self.clients[client].rtc.sdp_api();
        changes.set_direction(mid, direction);
        let (offer, pending) = changes.apply().expect("something changed");
        self.offer(client, &offer.to_sdp_string(), pending);
    }

    /// A client restarts ICE.
    pub fn restart_ice(&mut self, client: usize) {
        let mut changes = self.clients[client].rtc.sdp_api();
        changes.ice_restart(true);
        let (offer, pending) = changes.apply().expect("something changed");
        self.offer(client, &offer.to_sdp_string(), pending);
    }

    /// A client wants a data channel, and offers it if it has none yet.
    pub fn want_channel(&mut self, client: usize, config: ChannelConfig) {
        let mut changes = self.clients[client].rtc.sdp_api();
        changes.add_channel_with_config(config);
        if let Some((offer, pending)) = changes.apply() {
            self.offer(client, &offer.to_sdp_string(), pending);
        }
    }

    /// A client opens a data channel.
    pub fn open_channel(&mut self, client: usize, config: ChannelConfig) {
        let label = config.label.clone();
        self.want_channel(client, config);
        self.until("the channel is open", |world| {
            world.clients[client].channels.iter().any(|(_, other)| *other == label)
        });
    }

    /// A client sends a message on one of its data channels.
    pub fn say(&mut self, client: usize, label: &str, binary: bool, bytes: &[u8]) {
        let Client { rtc, channels, .. } = &mut self.clients[client];
        let (id, _) = channels.iter().find(|(_, other)| other == label).expect("the channel is open");
        let taken = rtc.channel(*id).expect("it exists").write(binary, bytes).expect("it can be sent");
        assert!(taken, "the endpoint has room for it");
        self.settle();
    }

    fn offer(&mut self, client: usize, sdp: &str, pending: SdpPendingOffer) {
        let known = &self.clients[client].publications;
        let is_known = |mid: &Mid| known.iter().any(|publication| *publication.mid == **mid);
        let publications = self.clients[client].sending.iter().map(|(mid, source)| PublicationRequest {
            mid: (&**mid).into(),
            source: *source,
            muted: false,
            encodings: self.clients[client].declared.clone(),
            track: self.reserved.filter(|_| !is_known(mid)),
        });
        let command = Command::Offer { sdp: sdp.to_owned(), publications: publications.collect() };
        self.clients[client].pending = Some(pending);
        self.command(client, command);
    }

    /// A client sends one packet of a source: a VP8 key frame or delta frame, or a bit of Opus.
    pub fn send(&mut self, client: usize, source: Source, keyframe: bool) {
        self.send_encoding(client, source, None, keyframe);
    }

    /// A client sends a frame of video of so many packets at once.
    pub fn send_frame(&mut self, client: usize, source: Source, keyframe: bool, packets: usize) {
        for number in 0..packets {
            let last = number + 1 == packets;
            self.write(client, source, None, (number == 0).then_some(keyframe), last);
        }
    }

    /// A client sends one packet of one encoding of a simulcast. Its number is in the payload, behind the headers.
    pub fn send_encoding(&mut self, client: usize, source: Source, layer: Option<&str>, keyframe: bool) {
        self.write(client, source, layer, Some(keyframe), true);
    }

    /// A client's camera shows one more picture in a stream with three temporal layers, of so many packets. A viewer may go up
    /// at each of them.
    pub fn send_picture(&mut self, client: usize, source: Source, keyframe: bool, packets: usize) {
        let picture = self.pictures;
        self.pictures += 1;
        let temporal = if keyframe { 0 } else { [0, 2, 1, 2][usize::from(picture % 4)] };
        let [high, low] = (picture | 0x8000).to_be_bytes();
        for number in 0..packets {
            let first = if number == 0 { 0x90 } else { 0x80 };
            let layer = temporal << 6 | u8::from(temporal > 0) << 5;
            let header =
                vec![first, 0xe0, high, low, (picture / 4) as u8, layer, u8::from(!keyframe), temporal];
            self.send_packet(client, source, None, [header, vec![7; 892]].concat(), number + 1 == packets);
        }
    }

    /// Writes one packet: with `begins` the first of a frame, which may be a key frame; with `marker` the last one.
    fn write(
        &mut self,
        client: usize,
        source: Source,
        layer: Option<&str>,
        begins: Option<bool>,
        marker: bool,
    ) {
        let Client { sequences, declared, .. } = &self.clients[client];
        let place = declared.iter().position(|one| Some(one.rid.as_str()) == layer).unwrap_or(0);
        let number = 7 + place as u8;
        let payload = match source.kind() {
            // One frame of 20 ms, which can be known again by its number.
            strait::core::command::MediaKind::Audio => {
                audio_frame(*sequences.get(&(source, number)).unwrap_or(&100) + 1)
            }
            // Start of a partition, no extensions; the payload header's lowest bit says "delta".
            strait::core::command::MediaKind::Video => {
                let descriptor = if begins.is_some() { 0x10 } else { 0 };
                let header = vec![descriptor, u8::from(begins != Some(true)), number];
                [header, vec![7; 899]].concat()
            }
        };
        self.send_packet(client, source, layer, payload, marker);
    }

    fn send_packet(
        &mut self,
        client: usize,
        source: Source,
        layer: Option<&str>,
        payload: Vec<u8>,
        marker: bool,
    ) {
        let elapsed = self.now - self.start;
        let Client { rtc, sending, sequences, declared, .. } = &mut self.clients[client];
        let (mid, _) = *sending.iter().find(|(_, other)| *other == source).expect("it publishes that");
        let place = declared.iter().position(|one| Some(one.rid.as_str()) == layer).unwrap_or(0);
        let number = 7 + place as u8;
        let media = rtc.media(mid).expect("negotiated");
        let clock: u128 = if media.kind() == MediaKind::Audio { 48 } else { 90 };
        let wanted = if media.kind() == MediaKind::Audio { "opus" } else { self.video_codec };
        let pts = media.remote_pts().to_vec();
        let pt = rtc
            .codec_config()
            .params()
            .iter()
            .find(|params| {
                params.spec().codec.to_string().eq_ignore_ascii_case(wanted) && pts.contains(&params.pt())
            })
            .expect("the codec is negotiated")
            .pt();
        let sequence = sequences.entry((source, number)).or_insert(100);
        *sequence += 1;
        // Each encoding counts time from another value.
        let timestamp = (elapsed.as_millis() * clock) as u32 + (u32::from(number) - 7) * 1_000_000;
        let (pt, payload) = match self.copies.get(&client) {
            Some(copies) if media.kind() == MediaKind::Audio => {
                let red = rtc.codec_config().params().iter().find_map(PayloadParams::red).expect("RED");
                (red, with_copies(*pt, *sequence, *copies))
            }
            _ => (pt, payload),
        };
        let packet = RtpWrite::new(pt, SeqNo::from(*sequence), timestamp, self.now, payload)
            .ext_vals(ExtensionValues {
                audio_level: self.level,
                voice_activity: self.level.map(|_| false),
                ..ExtensionValues::default()
            })
            .marker(marker)
            .nackable(true);
        rtc.direct_api().stream_tx_by_mid(mid, layer.map(Into::into)).expect("a stream").write_rtp(packet);
        self.clients[client].deadline = self.now;
        self.settle();
    }

    /// A client asks for a key frame in the slot that shows a track.
    pub fn ask_keyframe(&mut self, client: usize, track: TrackId) {
        let Client { rtc, slot_map, .. } = &mut self.clients[client];
        let slots = slot_map.iter().flat_map(|map| &map.slots);
        let slot = slots.clone().find(|slot| slot.track.map(|t| t.0) == Some(track)).expect("it is shown");
        let mut api = rtc.direct_api();
        let stream = api.stream_rx_by_mid(Mid::from(&*slot.mid), None).expect("a stream");
        stream.request_keyframe(KeyframeRequestKind::Pli);
        self.clients[client].deadline = self.now;
        self.settle();
    }

    /// The way to a client carries that many bits per second from now on, and keeps what is under way.
    pub fn narrow(&mut self, client: usize, rate: u64) {
        let now = self.now;
        self.clients[client]
            .line
            .get_or_insert_with(|| Line::new(now, rate, Duration::from_millis(20)))
            .rate = rate;
    }

    /// Lets time pass, stopping at every deadline on the way.
    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        if self.is_stalled {
            self.now = end;
            self.wake_clients();
            self.settle();
            return;
        }
        loop {
            self.settle();
            let clients = self.clients.iter().map(|client| client.deadline).min();
            let lines = self.clients.iter().filter_map(|client| client.line.as_ref()?.next_arrival()).min();
            let carriers = self.carriers.values().copied().min();
            let next = [self.deadline, clients, lines, carriers].into_iter().flatten().min().unwrap_or(end);
            if next >= end {
                break;
            }
            // Some deadlines of the engine lie in the past: time never goes back.
            self.now = next.max(self.now + Duration::from_micros(100));
            self.wake();
        }
        // The last step may have gone a little beyond.
        self.now = end.max(self.now);
        self.wake();
        self.settle();
    }

    fn wake(&mut self) {
        self.input(Recorded::Timeout);
        let due: Vec<_> =
            self.carriers.iter().filter(|(_, at)| **at <= self.now).map(|(on, _)| *on).collect();
        for session in due {
            self.call_handshake(session, Call::Time);
        }
        self.wake_clients();
    }

    fn wake_clients(&mut self) {
        for client in &mut self.clients {
            if client.deadline <= self.now {
                let _ = client.rtc.handle_input(EngineInput::Timeout(self.now));
            }
        }
    }

    /// Runs until condition holds; panics with `what` if it does not within a minute of virtual time.
    pub fn until(&mut self, what: &str, condition: impl Fn(&mut Self) -> bool) {
        for _ in 0..6000 {
            if condition(self) {
                return;
            }
            self.run(Duration::from_millis(10));
        }
        panic!("it never happened: {what}");
    }

    /// Delivers everything that is on its way, without letting time pass.
    pub fn settle(&mut self) {
        loop {
            let busy_sfu = !self.is_stalled && self.drain_sfu();
            let mut busy_clients = false;
            for index in 0..self.clients.len() {
                let now = self.now;
                while let Some(bytes) =
                    self.clients[index].line.as_mut().and_then(|line| line.take_arrived(now))
                {
                    self.deliver(index, &bytes);
                }
                busy_clients |= self.drain_client(index);
            }
            while let Some((from, bytes)) = self.to_sfu.pop_front() {
                if is_lost(self.loses_up, &bytes) {
                    continue;
                }
                let path = Path { carrier: self.carrier, local: server_address(), remote: from };
                self.input(Recorded::Datagram(path, bytes));
                busy_clients = true;
            }
            if !busy_sfu && !busy_clients {
                return;
            }
        }
    }

    fn drain_sfu(&mut self) -> bool {
        let mut busy = false;
        let mut requests = Vec::new();
        self.record.push((self.now - self.start, Recorded::Drained));
        loop {
            let output = self.sfu.poll_output();
            self.outputs.extend(as_bytes(&output));
            match output {
                Output::Timeout(deadline) => {
                    self.deadline = deadline.map(|deadline| deadline.at);
                    break;
                }
                Output::Event { connection, event } => {
                    // A client that was replaced is told on a connection that nobody has any more.
                    let client = self.clients.iter_mut().find(|client| client.connection == connection);
                    if let Some(client) = client {
                        take_event(client, event);
                    }
                }
                Output::Dtls { session, request } => requests.push((session, request)),
                Output::Transmit(transmit) => {
                    let to = transmit.path.remote;
                    self.to_clients.push_back((to, transmit.bytes.to_vec()));
                }
                Output::Media(_) => {
                    let mut media = Datagrams::default();
                    self.sfu.forward_share(&mut media);
                    while let Some(transmit) = media.take_next() {
                        self.to_clients.push_back((transmit.path.remote, transmit.bytes.to_vec()));
                        self.outputs.extend(as_bytes(&Output::Transmit(transmit)));
                    }
                }
            }
            busy = true;
        }
        while let Some((to, bytes)) = self.to_clients.pop_front() {
            if is_lost(self.loses_down, &bytes) {
                continue;
            }
            let index = self.clients.iter().position(|client| client.address == to && !client.unplugged);
            let Some(index) = index else { continue };
            self.departed.extend(departed(self.now, index, &bytes));
            match &mut self.clients[index].line {
                Some(line) => line.send(self.now, &bytes),
                None => self.deliver(index, &bytes),
            }
        }
        for (session, request) in requests {
            self.handshake(session, request);
            busy = true;
        }
        busy
    }

    /// A datagram of the server arrives at a client.
    fn deliver(&mut self, index: usize, bytes: &[u8]) {
        let to = self.clients[index].own;
        let receive = Receive::new(Protocol::Udp, server_address(), to, bytes);
        let receive = receive.expect("the core sends what can be parsed");
        let _ = self.clients[index].rtc.handle_input(EngineInput::Receive(self.now, receive));
        // The engine wants to be drained after every input.
        self.drain_client(index);
    }

    fn handshake(&mut self, session: DtlsSession, request: DtlsRequest) {
        let now = self.now;
        let call = match &request {
            DtlsRequest::Start { active } => {
                self.handshakes.insert(session, Handshake::new(&self.identity, now, *active));
                Call::Time
            }
            DtlsRequest::Packet(packet) => Call::Packet(packet),
            DtlsRequest::Channel(request) => {
                self.carriers.insert(session, now);
                Call::Channel(request)
            }
            DtlsRequest::Close => Call::Close,
            DtlsRequest::Forget { goodbye } => {
                self.carriers.remove(&session);
                let Some(handshake) = self.handshakes.remove(&session) else { return };
                let last = goodbye.zip(handshake.goodbye(now, session, &mut self.scratch));
                self.to_clients.extend(last.map(|(path, bytes)| (path.remote, bytes)));
                return;
            }
        };
        self.call_handshake(session, call);
    }

    fn call_handshake(&mut self, session: DtlsSession, call: Call<'_>) {
        let mut events = DtlsEvents::new();
        let Some(handshake) = self.handshakes.get_mut(&session) else { return };
        let standing = handshake.carry_out(self.now, call, session, &mut self.scratch, &mut events);
        if let Some(at) = self.carriers.get_mut(&session) {
            *at = if let Standing::Until(at) = standing { at } else { self.now + Duration::from_secs(3600) };
        }
        events.extend(standing.end().map(|end| (session, DtlsEvent::Closed(end))));
        for (session, event) in events {
            self.input(Recorded::Dtls(session, event));
        }
    }

    fn drain_client(&mut self, index: usize) -> bool {
        let client = &mut self.clients[index];
        let mut busy = false;
        loop {
            let output = match client.rtc.poll_output() {
                Ok(output) => output,
                Err(error) => {
                    // It gives up a handshake of which it hears nothing.
                    let hears_nothing = client.unplugged || client.loses == Some(DatagramKind::Dtls);
                    assert!(hears_nothing, "a client's engine goes on: {error}");
                    client.deadline = self.now + Duration::from_secs(1);
                    return busy;
                }
            };
            match output {
                EngineOutput::Timeout(at) => {
                    client.deadline = at;
                    return busy;
                }
                EngineOutput::Transmit(transmit) => {
                    let kind = classify(&transmit.contents);
                    if !(client.unplugged || client.loses == Some(kind)) {
                        self.to_sfu.push_back((client.address, transmit.contents.to_vec()));
                    }
                }
                EngineOutput::Event(EngineEvent::RtpPacket(packet)) => client.received.push(packet),
                EngineOutput::Event(EngineEvent::KeyframeRequest(_)) => client.keyframe_requests += 1,
                EngineOutput::Event(EngineEvent::MediaEgressStats(stats)) => {
                    client.losses.extend(stats.loss.map(|loss| (stats.mid, loss)));
                }
                EngineOutput::Event(EngineEvent::Closed) => client.hung_up = true,
                EngineOutput::Event(EngineEvent::ChannelOpen(id, label)) => client.channels.push((id, label)),
                EngineOutput::Event(EngineEvent::ChannelClose(id)) => {
                    client.channels.retain(|(channel, _)| *channel != id);
                }
                EngineOutput::Event(EngineEvent::ChannelData(message)) => {
                    let label = client.channels.iter().find(|(id, _)| *id == message.id);
                    let label = label.map(|(_, label)| label.clone()).unwrap_or_default();
                    client.heard.push((label, message.data));
                }
                EngineOutput::Event(_) => {}
            }
            busy = true;
        }
    }
}

/// What is to be known of a datagram that has left the server, if it is RTP.
fn departed(at: Instant, to: usize, bytes: &[u8]) -> Option<Departed> {
    let header = RtpHeader::parse(bytes).ok().filter(|_| classify(bytes) == DatagramKind::Rtp)?;
    let RtpHeader { ssrc, sequence, has_padding, .. } = header;
    Some(Departed { at, to, ssrc, sequence, bytes: bytes.len(), has_padding })
}

/// A frame of Opus, 20 ms long.
pub fn audio_frame(number: u64) -> Vec<u8> {
    [&[0xfc], &number.to_be_bytes()[..], &[0xfc; 51]].concat()
}

/// The same in RFC 2198's redundant form, with copies of the frames before, as somebody else writes it.
fn with_copies(pt: u8, number: u64, copies: u64) -> Vec<u8> {
    let copy = |back: u64| RedundantBlock {
        pt,
        timestamp_offset: (960 * back) as u32,
        payload: audio_frame(number - back),
    };
    let copies: Vec<_> = (1..=copies).rev().map(copy).collect();
    RedEncoder::encode(pt, &audio_frame(number), &copies)
}

/// Whether a datagram is an RTP packet that gets lost, by its sequence number.
fn is_lost(loses: fn(u16) -> bool, bytes: &[u8]) -> bool {
    classify(bytes) == DatagramKind::Rtp && loses(u16::from_be_bytes([bytes[2], bytes[3]]))
}

fn take_event(client: &mut Client, event: Event) {
    match &event {
        Event::Joined(_, joined) => client.joined = Some((**joined).clone()),
        Event::Answer { sdp, publications, .. } => {
            let answer = SdpAnswer::from_sdp_string(sdp).expect("an answer that parses");
            let pending = client.pending.take().expect("an offer is on its way");
            client.rtc.sdp_api().accept_answer(pending, answer).expect("an answer that fits the offer");
            client.publications = publications.clone();
        }
        Event::SlotMap(map) => client.slot_map = Some(map.clone()),
        Event::Resumed(_, resumed) => client.slot_map = Some(resumed.slot_map.clone()),
        _ => {}
    }
    client.events.push(event);
}

//! Members and transports: somebody who publishes on one connection and receives on another, and somebody who has none.
//!
//! No client can ask for that yet, so these tests stand where a front end would: at the room, with whole str0m endpoints
//! and real handshakes at the other end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, SeqNo};
use str0m::{Candidate, Event as EngineEvent, Input as EngineInput, Output as EngineOutput, Rtc};
use strait::core::command::{Command, Join, Layout, Lifeline, PublicationRequest, Source};
use strait::core::event::{Event, RefusalCode};
use strait::core::grants::Grants;
use strait::core::ids::{DtlsSession, ParticipantKey, TransportKey};
use strait::core::input::{Admission, DtlsEvent};
use strait::core::outbox::{Outbox, RoomOutput};
use strait::core::output::DtlsRequest;
use strait::core::path::{Carrier, LocalCandidate, Path, TransportProtocol};
use strait::core::profile::Profile;
use strait::core::room::{Room, RoomInput};
use strait::dtls::{Call, DtlsEvents, Handshake, Identity, Scratch, Standing};
use strait::wire::classify::{DatagramKind, classify};
use strait::wire::stun;

use super::world::{server_address, settings};

/// One end of a connection.
struct Endpoint {
    rtc: Rtc,
    address: SocketAddr,
    deadline: Instant,
    pending: Option<SdpPendingOffer>,
    sending: Vec<(Mid, Source)>,
    sequence: u64,
    /// How many packets of media it has got.
    received: usize,
}

/// A room, and everybody's endpoints.
struct Hall {
    room: Room,
    outbox: Outbox,
    now: Instant,
    identity: Identity,
    scratch: Scratch,
    handshakes: BTreeMap<TransportKey, Handshake>,
    endpoints: BTreeMap<TransportKey, Endpoint>,
    ufrags: BTreeMap<String, TransportKey>,
    paths: BTreeMap<SocketAddr, TransportKey>,
    told: Vec<(ParticipantKey, Event)>,
    admitted: Option<ParticipantKey>,
    /// Whose answer comes next.
    negotiating: Option<TransportKey>,
    joins: u8,
}

impl Hall {
    fn new() -> Self {
        let now = Instant::now();
        let identity = Identity::new().expect("a certificate");
        let settings = settings(now, identity.certificate().to_vec());
        Self {
            room: Room::new(now, "hall".parse().expect("a room id"), "aaaa".into(), settings.into()),
            outbox: Outbox::default(),
            now,
            identity,
            scratch: Scratch::default(),
            handshakes: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            ufrags: BTreeMap::new(),
            paths: BTreeMap::new(),
            told: Vec::new(),
            admitted: None,
            negotiating: None,
            joins: 0,
        }
    }

    fn admission(&mut self) -> Admission {
        self.joins += 1;
        Admission {
            entropy: [self.joins; 32],
            candidates: vec![LocalCandidate { protocol: TransportProtocol::Udp, address: server_address() }],
        }
    }

    fn join(&mut self, name: &str, has_transport: bool) -> ParticipantKey {
        let (admission, now) = (self.admission(), self.now);
        let join = Join {
            room: self.room.id().clone(),
            profile: Profile::named(name),
            auto_subscribe: true,
            lifeline: Lifeline::Signalling,
            layout: Layout::Slots,
            grants: Grants::OPEN,
            is_invited: false,
            is_vouched_for: true,
            can_mesh: false,
            host: None,
        };
        if has_transport {
            self.room.handle(now, RoomInput::Join(None, admission, join), &mut self.outbox);
        } else {
            self.room.join_without_transport(now, None, admission, join, &mut self.outbox);
        }
        self.settle();
        let key = self.admitted.take().expect("there is room");
        for transport in self.room.transports_of(key).to_vec() {
            self.connect(transport);
        }
        key
    }

    fn add_transport(&mut self, to: ParticipantKey) -> TransportKey {
        let (admission, now) = (self.admission(), self.now);
        let key = self.room.add_transport(now, Some(to), admission, &mut self.outbox).expect("they are here");
        self.settle();
        self.connect(key);
        key
    }

    /// Puts an endpoint at the other end of a transport.
    fn connect(&mut self, key: TransportKey) {
        let mut rtc = Rtc::builder().set_rtp_mode(true).build(self.now);
        let address: SocketAddr = format!("10.0.0.{}:5000", key.0 + 1).parse().expect("an address");
        rtc.add_local_candidate(Candidate::host(address, "udp").expect("a candidate"));
        let endpoint = Endpoint {
            rtc,
            address,
            deadline: self.now,
            pending: None,
            sending: Vec::new(),
            sequence: 0,
            received: 0,
        };
        self.endpoints.insert(key, endpoint);
    }

    /// Negotiates a transport: `slots` of each kind to receive by, and these sources to send.
    fn negotiate(&mut self, on: TransportKey, slots: usize, sources: &[Source]) {
        let Endpoint { rtc, sending, pending, .. } = self.endpoints.get_mut(&on).expect("it is connected");
        let mut changes = rtc.sdp_api();
        for _ in 0..slots {
            for kind in [MediaKind::Audio, MediaKind::Video] {
                changes.add_media(kind, Direction::RecvOnly, None, None, None);
            }
        }
        for source in sources {
            let kind = if *source == Source::Camera { MediaKind::Video } else { MediaKind::Audio };
            sending.push((changes.add_media(kind, Direction::SendOnly, None, None, None), *source));
        }
        let (offer, waits) = changes.apply().expect("something changed");
        *pending = Some(waits);
        let requests: Vec<PublicationRequest> = sending
            .iter()
            .map(|(mid, source)| PublicationRequest {
                mid: (&**mid).into(),
                source: *source,
                muted: false,
                encodings: Vec::new(),
                track: None,
            })
            .collect();
        self.negotiating = Some(on);
        let sdp = offer.to_sdp_string();
        self.room.negotiate(self.now, on, None, &sdp, &requests, &mut self.outbox);
        self.run(Duration::from_secs(2));
    }

    /// Sends some packets of the camera of an endpoint, the first of which begins a key frame.
    fn film(&mut self, on: TransportKey) {
        for number in 0..20 {
            let now = self.now;
            let endpoint = self.endpoints.get_mut(&on).expect("it is connected");
            let (mid, _) =
                *endpoint.sending.iter().find(|(_, source)| *source == Source::Camera).expect("a camera");
            let pts = endpoint.rtc.media(mid).expect("negotiated").remote_pts().to_vec();
            let params = endpoint.rtc.codec_config().params();
            let is_vp8 = |name: String| name.eq_ignore_ascii_case("VP8");
            let vp8 = params.iter().find(|p| is_vp8(p.spec().codec.to_string()) && pts.contains(&p.pt()));
            let pt = vp8.expect("VP8 is negotiated").pt();
            endpoint.sequence += 1;
            let payload = [vec![0x10, u8::from(number != 0)], vec![7; 900]].concat();
            let timestamp = number * 3000;
            let packet =
                RtpWrite::new(pt, SeqNo::from(endpoint.sequence), timestamp, now, payload).marker(true);
            let mut api = endpoint.rtc.direct_api();
            api.stream_tx_by_mid(mid, None).expect("a stream").write_rtp(packet);
            endpoint.deadline = now;
            self.run(Duration::from_millis(33));
        }
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.settle();
            let room = self.room.deadline().map(|deadline| deadline.at);
            let endpoints = self.endpoints.values().map(|endpoint| endpoint.deadline).min();
            let next = room.into_iter().chain(endpoints).min().unwrap_or(end);
            if next >= end {
                break;
            }
            self.now = next.max(self.now + Duration::from_micros(100));
            self.room.handle(self.now, RoomInput::Timeout, &mut self.outbox);
            for endpoint in self.endpoints.values_mut().filter(|endpoint| endpoint.deadline <= self.now) {
                let _ = endpoint.rtc.handle_input(EngineInput::Timeout(self.now));
            }
        }
        self.now = end;
    }

    /// Carries everything that is on its way to its end.
    fn settle(&mut self) {
        loop {
            while self.room.has_pending() {
                let Self { room, outbox, now, .. } = self;
                outbox.with_sink(|outbox, sink| room.forward_share(*now, outbox, sink));
            }
            let outputs = std::mem::take(&mut self.outbox.outputs);
            let mut busy = !outputs.is_empty();
            for output in outputs {
                self.take(output);
            }
            let mut datagrams = Vec::new();
            while let Some(transmit) = self.outbox.datagrams.take_next() {
                datagrams.push((transmit.path.remote, transmit.bytes.to_vec()));
            }
            for (to, bytes) in datagrams {
                busy = true;
                let there = self.endpoints.values_mut().find(|endpoint| endpoint.address == to);
                let Some(endpoint) = there else { continue };
                let receive = Receive::new(Protocol::Udp, server_address(), to, &bytes).expect("a datagram");
                let _ = endpoint.rtc.handle_input(EngineInput::Receive(self.now, receive));
            }
            for key in self.endpoints.keys().copied().collect::<Vec<_>>() {
                busy |= self.drain(key);
            }
            if !busy {
                return;
            }
        }
    }

    fn take(&mut self, output: RoomOutput) {
        match output {
            RoomOutput::Event(to, event) => {
                if let Event::Answer { sdp, .. } = &event {
                    let on = self.negotiating.take().expect("an offer was made");
                    let endpoint = self.endpoints.get_mut(&on).expect("it is connected");
                    let answer = SdpAnswer::from_sdp_string(sdp).expect("an answer that parses");
                    let pending = endpoint.pending.take().expect("an offer was made");
                    endpoint.rtc.sdp_api().accept_answer(pending, answer).expect("an answer that fits");
                }
                self.told.push((to, event));
            }
            RoomOutput::Admitted(who) => self.admitted = Some(who),
            RoomOutput::BindUfrag(on, ufrag) => {
                self.ufrags.insert(ufrag, on);
            }
            RoomOutput::BindPath(on, path) => {
                self.paths.insert(path.remote, on);
            }
            RoomOutput::Dtls(on, request) => self.shake_hands(on, &request),
            _ => {}
        }
    }

    fn shake_hands(&mut self, on: TransportKey, request: &DtlsRequest) {
        let call = match request {
            DtlsRequest::Start { active } => {
                self.handshakes.insert(on, Handshake::new(&self.identity, self.now, *active));
                Call::Time
            }
            DtlsRequest::Packet(packet) => Call::Packet(packet),
            DtlsRequest::Channel(request) => Call::Channel(request),
            DtlsRequest::Close | DtlsRequest::Forget { .. } => return,
        };
        let mut events = DtlsEvents::new();
        let session = DtlsSession(on.0 as u64);
        let handshake = self.handshakes.get_mut(&on).expect("it was started");
        let standing = handshake.carry_out(self.now, call, session, &mut self.scratch, &mut events);
        assert!(matches!(standing, Standing::Until(_)), "the handshake of {on:?} failed");
        for (_, event) in events {
            let _: &DtlsEvent = &event;
            self.room.handle(self.now, RoomInput::Dtls(on, event), &mut self.outbox);
        }
    }

    fn drain(&mut self, key: TransportKey) -> bool {
        let mut busy = false;
        loop {
            let endpoint = self.endpoints.get_mut(&key).expect("it is connected");
            match endpoint.rtc.poll_output().expect("an endpoint goes on") {
                EngineOutput::Timeout(at) => {
                    endpoint.deadline = at;
                    return busy;
                }
                EngineOutput::Transmit(transmit) => {
                    let (from, mut bytes) = (endpoint.address, transmit.contents.to_vec());
                    self.arrives(from, &mut bytes);
                }
                EngineOutput::Event(EngineEvent::RtpPacket(_)) => endpoint.received += 1,
                EngineOutput::Event(_) => {}
            }
            busy = true;
        }
    }

    /// A datagram comes to the server, which finds its transport as the `Sfu` does.
    fn arrives(&mut self, from: SocketAddr, bytes: &mut [u8]) {
        let by_ufrag = || {
            let ufrag = stun::peek(bytes)?.local_ufrag()?.to_vec();
            self.ufrags.get(std::str::from_utf8(&ufrag).ok()?).copied()
        };
        let kind = classify(bytes);
        let checked = if kind == DatagramKind::Stun { by_ufrag() } else { None };
        let Some(on) = checked.or_else(|| self.paths.get(&from).copied()) else { return };
        let path = Path { carrier: Carrier::Udp, local: server_address(), remote: from };
        self.room.handle(self.now, RoomInput::Datagram { on, kind, path, bytes }, &mut self.outbox);
    }

    fn was_told(&self, who: ParticipantKey, what: impl Fn(&Event) -> bool) -> bool {
        self.told.iter().any(|(to, event)| *to == who && what(event))
    }
}

/// Anna, who publishes on one transport and receives on another, and Ben, who does both on his only one.
fn anna_and_ben() -> (Hall, ParticipantKey, [TransportKey; 2], TransportKey) {
    let mut hall = Hall::new();
    let anna = hall.join("Anna", false);
    let [publishes, receives] = [hall.add_transport(anna), hall.add_transport(anna)];
    let ben = hall.join("Ben", true);
    let both = hall.room.transports_of(ben)[0];
    hall.negotiate(publishes, 0, &[Source::Microphone, Source::Camera]);
    hall.negotiate(receives, 2, &[]);
    hall.negotiate(both, 2, &[Source::Microphone, Source::Camera]);
    (hall, anna, [publishes, receives], both)
}

#[test]
fn somebody_publishes_on_one_transport_and_receives_on_another() {
    let (mut hall, anna, [publishes, receives], both) = anna_and_ben();
    assert_eq!(hall.room.transports_of(anna), [publishes, receives]);
    hall.film(publishes);
    assert!(hall.endpoints[&both].received >= 15, "Ben sees Anna: {}", hall.endpoints[&both].received);
    hall.film(both);
    assert!(
        hall.endpoints[&receives].received >= 15,
        "Anna sees Ben: {}",
        hall.endpoints[&receives].received
    );
    assert_eq!(hall.endpoints[&publishes].received, 0, "nothing comes back where she publishes");
}

#[test]
fn when_the_transport_that_publishes_ends_the_other_goes_on() {
    let (mut hall, anna, [publishes, receives], both) = anna_and_ben();
    hall.room.remove_transport(hall.now, publishes, &mut hall.outbox);
    hall.endpoints.remove(&publishes);
    hall.run(Duration::from_secs(1));
    assert_eq!(hall.room.transports_of(anna), [receives]);
    let ben = hall.room.owner_of(both).expect("Ben");
    assert!(hall.was_told(ben, |event| matches!(event, Event::TrackRemoved(..))), "her tracks are gone");
    hall.film(both);
    assert!(hall.endpoints[&receives].received >= 15, "she still sees him");
}

#[test]
fn when_the_transport_that_receives_ends_its_slots_go_with_it() {
    let (mut hall, anna, [publishes, receives], both) = anna_and_ben();
    hall.room.remove_transport(hall.now, receives, &mut hall.outbox);
    hall.endpoints.remove(&receives);
    let again = hall.add_transport(anna);
    hall.negotiate(again, 2, &[]);
    hall.film(both);
    assert!(hall.endpoints[&again].received >= 15, "on a new transport she sees him again");
    hall.film(publishes);
    assert!(hall.endpoints[&both].received >= 15, "and he has never stopped seeing her");
}

#[test]
fn a_member_without_a_transport_is_seen_by_others_and_has_nothing_to_negotiate() {
    let mut hall = Hall::new();
    let ben = hall.join("Ben", true);
    let recorder = hall.join("Recorder", false);
    let joined =
        |event: &Event| matches!(event, Event::ParticipantJoined(info) if info.profile.name == "Recorder");
    assert!(hall.was_told(ben, joined), "Ben sees that there is a recorder");
    assert!(hall.room.transports_of(recorder).is_empty());
    let offer = Command::Offer { sdp: "v=0\r\n".to_owned(), publications: Vec::new() };
    hall.room.handle(hall.now, RoomInput::Command(recorder, None, offer), &mut hall.outbox);
    hall.settle();
    let refused =
        |event: &Event| matches!(event, Event::Refused(_, refusal) if refusal.code == RefusalCode::BadOffer);
    assert!(hall.was_told(recorder, refused));
    // It stays for as long as it wants: nothing is expected from it.
    hall.run(Duration::from_secs(120));
    assert!(hall.room.participant_id(recorder).is_some());
    hall.room.handle(hall.now, RoomInput::Command(recorder, None, Command::Leave), &mut hall.outbox);
    hall.settle();
    assert!(hall.was_told(ben, |event| matches!(event, Event::ParticipantLeft(..))));
}

//! Members without session descriptions, as clients of mediasoup are: they open transports, produce and consume by parameters.
//! Each transport is a whole str0m endpoint of its own, which is driven without session descriptions, too.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use str0m::crypto::Fingerprint;
use str0m::format::{Codec, FormatParams};
use str0m::media::{Frequency, MediaKind as EngineKind, Mid};
use str0m::rtp::{Extension, ExtensionMap, RtpWrite, SeqNo, Ssrc};
use str0m::{Candidate, IceCreds, Rtc};
use strait::core::codec_set::CodecSet;
use strait::core::command::Source::{self, Camera, Microphone};
use strait::core::command::{Command, Layout, Lifeline, MediaKind, Moderation, Preference, Wish};
use strait::core::event::{Consumed, Event, OpenedTransport, RefusalCode};
use strait::core::ids::{TrackId, TransportId};
use strait::core::moderation::PermissionsChange;
use strait::core::ortc::{DtlsParameters, RtpCapabilities, RtpParameters, TransportDirection, router};
use strait::core::path::{Carrier, Path};

use crate::explaining::{assert_says, explained, trace_of};
use crate::replaying::assert_replays;
use crate::traces::recorded;
use crate::world::{Recorded, World, server_address};
use crate::{connected, show};

/// Somebody who joined by parameters.
struct Person {
    /// Their place in the world; what they send comes from this endpoint.
    me: usize,
    /// The endpoint that they receive with.
    ear: usize,
    send: TransportId,
    receive: TransportId,
    /// How many packets they have sent.
    sent: u64,
}

/// An endpoint that sends in payload types of its own.
fn mouth(world: &World) -> Rtc {
    Rtc::builder().set_rtp_mode(true).build(world.now)
}

/// An endpoint that receives in the server's payload types.
fn ear(world: &World) -> Rtc {
    let mut extensions = ExtensionMap::empty();
    extensions.set(1, Extension::RtpMid);
    extensions.set(5, Extension::TransportSequenceNumber);
    extensions.set(10, Extension::AudioLevel);
    let mut builder = Rtc::builder().set_rtp_mode(true).clear_codecs().set_extension_map(extensions);
    let codecs = builder.codec_config();
    let format = FormatParams::default();
    codecs.add_config(100.into(), None, Codec::Opus, Frequency::FORTY_EIGHT_KHZ, Some(2), format);
    codecs.add_config(101.into(), Some(102.into()), Codec::Vp8, Frequency::NINETY_KHZ, None, format);
    builder.build(world.now)
}

/// What a client says that it receives.
fn receives() -> Box<RtpCapabilities> {
    Box::new(router::capabilities(CodecSet::ALL))
}

fn told<T>(world: &World, person: usize, what: impl Fn(&Event) -> Option<T>) -> Option<T> {
    world.clients[person].events.iter().rev().find_map(what)
}

fn open(world: &mut World, person: usize, direction: TransportDirection) -> OpenedTransport {
    world.command(person, Command::OpenTransport { direction });
    let opened = told(world, person, |event| match event {
        Event::TransportOpened(_, opened) => Some((**opened).clone()),
        _ => None,
    });
    opened.expect("a transport")
}

/// Lets an endpoint look for the server by what was told of a transport.
fn aim(world: &mut World, endpoint: usize, opened: &OpenedTransport) {
    let rtc = &mut world.clients[endpoint].rtc;
    let ice = &opened.ice;
    let remote = IceCreds { ufrag: ice.username_fragment.clone(), pass: ice.password.clone() };
    rtc.direct_api().set_remote_ice_credentials(remote);
}

/// Connects a transport of a member to an endpoint.
fn connect(world: &mut World, person: usize, endpoint: usize, opened: &OpenedTransport) {
    aim(world, endpoint, opened);
    let rtc = &mut world.clients[endpoint].rtc;
    let candidate = &opened.candidates[0];
    assert_eq!((candidate.port, candidate.protocol.as_str()), (server_address().port(), "udp"));
    rtc.add_remote_candidate(Candidate::host(server_address(), "udp").expect("a candidate"));
    let server = &opened.dtls.fingerprints[0];
    let server: Fingerprint =
        format!("{} {}", server.algorithm, server.value).parse().expect("a fingerprint");
    let mut api = rtc.direct_api();
    api.set_ice_controlling(true);
    api.set_remote_fingerprint(server);
    let own = api.local_dtls_fingerprint().to_string();
    api.start_dtls(true).expect("a handshake");
    let dtls = dtls(&own);
    world.command(person, Command::ConnectTransport { transport: opened.transport, dtls });
    let now = world.now;
    let _ = world.clients[endpoint].rtc.handle_input(str0m::Input::Timeout(now));
    world.settle();
}

fn dtls(fingerprint: &str) -> DtlsParameters {
    let (algorithm, value) = fingerprint.split_once(' ').expect("a fingerprint");
    let said = json!({"role": "client", "fingerprints": [{"algorithm": algorithm, "value": value}]});
    serde_json::from_value(said).expect("DTLS parameters")
}

/// Somebody who has joined and has connected two transports.
fn person(world: &mut World, name: &str) -> Person {
    world.layout = Layout::Parameters;
    let me = world.join_with("standup", name, mouth(world));
    world.layout = Layout::Slots;
    let ear = world.add_client(ear(world));
    let send = open(world, me, TransportDirection::Send);
    let receive = open(world, me, TransportDirection::Receive);
    connect(world, me, me, &send);
    connect(world, me, ear, &receive);
    connected(world);
    Person { me, ear, send: send.transport, receive: receive.transport, sent: 0 }
}

/// What Chromium says of a microphone.
fn microphone() -> Value {
    json!({
        "mid": "0",
        "codecs": [{
            "mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2,
            "parameters": {"minptime": 10, "useinbandfec": 1, "sprop-stereo": 0, "usedtx": 1},
            "rtcpFeedback": [{"type": "transport-cc", "parameter": ""}],
        }],
        "headerExtensions": [
            {"uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": 4, "encrypt": false, "parameters": {}},
            {"uri": "urn:ietf:params:rtp-hdrext:ssrc-audio-level", "id": 1, "encrypt": false, "parameters": {}},
        ],
        "encodings": [{"ssrc": 1111, "dtx": false}],
        "rtcp": {"cname": "chromium", "reducedSize": true},
    })
}

/// What Chromium says of a camera, with these encodings.
fn camera(encodings: &Value) -> Value {
    json!({
        "mid": "1",
        "codecs": [
            {
                "mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000, "parameters": {},
                "rtcpFeedback": [
                    {"type": "goog-remb", "parameter": ""}, {"type": "transport-cc", "parameter": ""},
                    {"type": "ccm", "parameter": "fir"}, {"type": "nack", "parameter": ""},
                    {"type": "nack", "parameter": "pli"},
                ],
            },
            {
                "mimeType": "video/rtx", "payloadType": 97, "clockRate": 90000,
                "parameters": {"apt": 96}, "rtcpFeedback": [],
            },
        ],
        "headerExtensions": [
            {"uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": 4, "encrypt": false, "parameters": {}},
            {"uri": "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", "id": 10, "encrypt": false, "parameters": {}},
            {"uri": "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id", "id": 11, "encrypt": false},
            {
                "uri": "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
                "id": 3, "encrypt": false, "parameters": {},
            },
        ],
        "encodings": encodings,
        "rtcp": {"cname": "", "reducedSize": true},
    })
}

fn one_encoding() -> Value {
    json!([{"ssrc": 2222, "rtx": {"ssrc": 3333}, "dtx": false}])
}

fn produce(world: &mut World, person: &Person, source: Source, parameters: &Value) -> Option<TrackId> {
    let parameters: RtpParameters = serde_json::from_value(parameters.clone()).expect("RTP parameters");
    let command = Command::Produce {
        transport: person.send,
        kind: source.kind(),
        parameters: Box::new(parameters),
        source,
        muted: false,
    };
    let before = world.clients[person.me].events.len();
    world.command(person.me, command);
    let news = world.clients[person.me].events[before..].iter();
    news.clone().find_map(|event| match event {
        Event::Produced(_, track) => Some(*track),
        _ => None,
    })
}

/// Produces a microphone and a camera, and lets the endpoint send them.
fn produce_both(world: &mut World, person: &Person) -> [TrackId; 2] {
    let rtc = &mut world.clients[person.me].rtc;
    let mut api = rtc.direct_api();
    api.declare_media("0".into(), EngineKind::Audio);
    api.declare_stream_tx(1111.into(), None, "0".into(), None);
    api.declare_media("1".into(), EngineKind::Video);
    api.declare_stream_tx(2222.into(), Some(3333.into()), "1".into(), None);
    let heard = produce(world, person, Microphone, &microphone()).expect("a track");
    [heard, produce(world, person, Camera, &camera(&one_encoding())).expect("a track")]
}

/// Somebody sends a packet of VP8, or a bit of Opus.
fn send(world: &mut World, person: &mut Person, source: Source, keyframe: bool) {
    person.sent += 1;
    let (ssrc, pt, clock, payload) = match source.kind() {
        MediaKind::Audio => (1111, 111, 48, crate::world::audio_frame(person.sent)),
        MediaKind::Video => (2222, 96, 90, [vec![0x10, u8::from(!keyframe)], vec![7; 900]].concat()),
    };
    let now = world.now;
    let timestamp = ((now - world.start).as_millis() * clock) as u32;
    let packet = RtpWrite::new(pt.into(), SeqNo::from(person.sent), timestamp, now, payload);
    let rtc = &mut world.clients[person.me].rtc;
    let mut api = rtc.direct_api();
    api.stream_tx(&Ssrc::from(ssrc)).expect("a stream").write_rtp(packet.marker(true).nackable(true));
    let _ = rtc.handle_input(str0m::Input::Timeout(now));
    world.settle();
}

/// Somebody's camera shows pictures for a while, ten a second, the first a key frame.
fn film(world: &mut World, person: &mut Person, frames: usize) {
    for frame in 0..frames {
        send(world, person, Camera, frame == 0);
        world.run(Duration::from_millis(100));
    }
}

/// Consumes a track, and lets the endpoint take it.
fn consume(world: &mut World, person: &Person, track: TrackId, paused: bool) -> Consumed {
    let command = Command::Consume { transport: person.receive, track, capabilities: receives(), paused };
    world.command(person.me, command);
    let consumed = told(world, person.me, |event| match event {
        Event::Consumed(_, consumed) if consumed.track == track => Some((**consumed).clone()),
        _ => None,
    });
    let consumed = consumed.expect("it can be consumed");
    let parameters = &consumed.parameters;
    let mid = Mid::from(parameters.mid.as_deref().expect("a mid"));
    let ssrc = parameters.encodings[0].ssrc.expect("an SSRC");
    let rtx = parameters.encodings[0].rtx.map(|rtx| Ssrc::from(rtx.ssrc));
    let kind = if consumed.kind == MediaKind::Audio { EngineKind::Audio } else { EngineKind::Video };
    let mut api = world.clients[person.ear].rtc.direct_api();
    api.enable_twcc_feedback();
    api.declare_media(mid, kind);
    api.expect_stream_rx(ssrc.into(), rtx, mid, None);
    consumed
}

/// How many packets of a consumed track somebody has got.
fn got(world: &World, person: &Person, consumed: &Consumed) -> usize {
    let ssrc = consumed.parameters.encodings[0].ssrc.expect("an SSRC");
    world.clients[person.ear].received.iter().filter(|packet| *packet.header.ssrc == ssrc).count()
}

fn refused(world: &World, person: usize) -> (RefusalCode, String) {
    let refusal = told(world, person, |event| match event {
        Event::Refused(_, refusal) => Some((refusal.code, refusal.message.clone())),
        _ => None,
    });
    refusal.expect("a refusal")
}

/// Anna, who joined by parameters, and Ben, who makes offers. Both publish both.
fn anna_and_ben() -> (World, Person, [TrackId; 2]) {
    let mut world = World::new();
    let anna = person(&mut world, "Anna");
    let tracks = produce_both(&mut world, &anna);
    let ben = world.join("standup", "Ben");
    world.publish(ben, 2, &[Microphone, Camera]);
    connected(&mut world);
    (world, anna, tracks)
}

/// Ben's place in the world.
const BEN: usize = 2;

#[test]
fn somebody_who_produces_is_heard_and_seen_by_those_who_make_offers() {
    let (mut world, mut anna, [heard, seen]) = anna_and_ben();
    film(&mut world, &mut anna, 10);
    for _ in 0..10 {
        send(&mut world, &mut anna, Microphone, false);
        world.run(Duration::from_millis(20));
    }
    assert_eq!(world.clients[BEN].received_of(seen).len(), 10);
    assert_eq!(world.clients[BEN].received_of(heard).len(), 10);
    assert_replays(&world);
}

#[test]
fn a_consumer_sends_nothing_until_it_is_resumed_and_then_begins_with_a_key_frame() {
    let (mut world, anna, _) = anna_and_ben();
    let track = world.clients[BEN].track(Camera);
    show(&mut world, BEN, Camera, 5);
    let consumed = consume(&mut world, &anna, track, true);
    assert!(consumed.paused && consumed.kind == MediaKind::Video);
    let codecs: Vec<(&str, u8)> = consumed
        .parameters
        .codecs
        .iter()
        .map(|codec| (codec.mime_type.as_str(), codec.payload_type))
        .collect();
    assert_eq!(codecs[..2], [("video/VP8", 101), ("video/rtx", 102)]);
    show(&mut world, BEN, Camera, 10);
    assert_eq!(got(&world, &anna, &consumed), 0, "it is paused");
    let asked = world.clients[BEN].keyframe_requests;
    world.command(anna.me, Command::Pause { track, paused: false });
    world.until("Ben is asked for a key frame", |world| world.clients[BEN].keyframe_requests > asked);
    show(&mut world, BEN, Camera, 10);
    assert_eq!(got(&world, &anna, &consumed), 10);
    world.command(anna.me, Command::Pause { track, paused: true });
    show(&mut world, BEN, Camera, 5);
    assert_eq!(got(&world, &anna, &consumed), 10, "it is paused again");
    assert_replays(&world);
}

#[test]
fn two_people_without_offers_see_each_other_and_what_one_closes_the_other_loses() {
    let mut world = World::new();
    let (mut anna, ben) = (person(&mut world, "Anna"), person(&mut world, "Ben"));
    let [heard, seen] = produce_both(&mut world, &anna);
    let added: Vec<TrackId> = world.clients[ben.me].tracks_added().iter().map(|info| info.track).collect();
    assert_eq!(added, [heard, seen]);
    let voice = consume(&mut world, &ben, heard, false);
    let picture = consume(&mut world, &ben, seen, false);
    assert_eq!(voice.parameters.rtcp.cname, picture.parameters.rtcp.cname, "they play in sync");
    assert_ne!(voice.parameters.mid, picture.parameters.mid);
    film(&mut world, &mut anna, 10);
    send(&mut world, &mut anna, Microphone, false);
    assert_eq!((got(&world, &ben, &picture), got(&world, &ben, &voice)), (10, 1));
    world.command(anna.me, Command::CloseProducer { track: seen });
    assert!(
        world.clients[ben.me]
            .events
            .iter()
            .any(|event| matches!(event, Event::TrackRemoved(track, _) if *track == seen))
    );
    send(&mut world, &mut anna, Microphone, false);
    assert_eq!(got(&world, &ben, &voice), 2, "the other goes on");
    // The place is free for another track on both sides.
    let again = produce(&mut world, &anna, Camera, &camera(&one_encoding())).expect("a track");
    let picture = consume(&mut world, &ben, again, false);
    film(&mut world, &mut anna, 10);
    assert_eq!(got(&world, &ben, &picture), 10);
    world.command(ben.me, Command::Unsubscribe(again));
    film(&mut world, &mut anna, 5);
    assert_eq!(got(&world, &ben, &picture), 10, "he has closed it");
    assert_replays(&world);
}

#[test]
fn what_is_somebody_elses_is_not_found_and_nothing_is_sent_that_cannot_be_received() {
    let (mut world, anna, [_, seen]) = anna_and_ben();
    let cleo = person(&mut world, "Cleo");
    let bens = world.clients[BEN].track(Camera);
    world.command(cleo.me, Command::CloseTransport { transport: anna.send });
    assert_eq!(refused(&world, cleo.me), (RefusalCode::UnknownTransport, "Transport not found".to_owned()));
    world.command(cleo.me, Command::RestartTransport { transport: anna.receive });
    assert_eq!(refused(&world, cleo.me).0, RefusalCode::UnknownTransport);
    let on_annas = Person { send: anna.send, ..person(&mut world, "Dan") };
    assert_eq!(produce(&mut world, &on_annas, Microphone, &microphone()), None);
    assert_eq!(
        refused(&world, on_annas.me),
        (RefusalCode::UnknownTransport, "Transport not found".to_owned())
    );
    world.command(cleo.me, Command::CloseProducer { track: seen });
    assert_eq!(refused(&world, cleo.me).0, RefusalCode::UnknownTrack);
    let mut ask = |transport, track, capabilities: Box<RtpCapabilities>| {
        world.command(cleo.me, Command::Consume { transport, track, capabilities, paused: true });
        refused(&world, cleo.me)
    };
    for transport in [anna.receive, cleo.send] {
        let said = ask(transport, bens, receives());
        assert_eq!(said, (RefusalCode::NoReceiveTransport, "Consumer transport not found".to_owned()));
    }
    let mut blind = receives();
    blind.codecs.retain(|codec| codec.kind == MediaKind::Audio);
    assert_eq!(ask(cleo.receive, bens, blind), (RefusalCode::CannotConsume, "Cannot consume".to_owned()));
    assert_eq!(ask(cleo.receive, TrackId(7), receives()).0, RefusalCode::UnknownTrack);
    world.command(cleo.me, Command::Subscribe(bens));
    assert_eq!(refused(&world, cleo.me).0, RefusalCode::BadParameters);
    world.command(BEN, Command::OpenTransport { direction: TransportDirection::Send });
    assert_eq!(refused(&world, BEN).0, RefusalCode::BadParameters);
    for _ in 0..2 {
        open(&mut world, cleo.me, TransportDirection::Receive);
    }
    world.command(cleo.me, Command::OpenTransport { direction: TransportDirection::Receive });
    assert_eq!(refused(&world, cleo.me).0, RefusalCode::TooManyTransports);
}

#[test]
fn parameters_that_contradict_what_is_there_change_nothing() {
    let (mut world, anna, _) = anna_and_ben();
    let mut other = camera(&one_encoding());
    assert_eq!(produce(&mut world, &anna, Camera, &other), None, "the same mid");
    other["mid"] = json!("2");
    assert_eq!(produce(&mut world, &anna, Camera, &other), None, "the same SSRC");
    other["encodings"] = json!([{"ssrc": 7}]);
    other["codecs"][0]["payloadType"] = json!(111);
    assert_eq!(produce(&mut world, &anna, Camera, &other), None, "a payload type of another codec");
    let said = refused(&world, anna.me);
    assert!(said.0 == RefusalCode::BadParameters && said.1.contains("payload type 111"), "{said:?}");
    other["codecs"][0]["payloadType"] = json!(96);
    assert_eq!(produce(&mut world, &anna, Microphone, &other), None, "video in a microphone");
    assert!(produce(&mut world, &anna, Camera, &other).is_some());
    let other = dtls(&format!("sha-256 {}", ["AB"; 32].join(":")));
    world.command(anna.me, Command::ConnectTransport { transport: anna.send, dtls: other });
    assert!(refused(&world, anna.me).1.contains("connected already"), "{:?}", refused(&world, anna.me));
}

#[test]
fn when_a_transport_is_closed_what_went_over_it_ends_and_the_other_goes_on() {
    let (mut world, mut anna, [heard, seen]) = anna_and_ben();
    let track = world.clients[BEN].track(Camera);
    let consumed = consume(&mut world, &anna, track, false);
    world.command(anna.me, Command::CloseTransport { transport: anna.send });
    for track in [heard, seen] {
        let removed = |event: &Event| matches!(event, Event::TrackRemoved(gone, _) if *gone == track);
        assert!(world.clients[BEN].events.iter().any(removed));
    }
    show(&mut world, BEN, Camera, 10);
    assert_eq!(got(&world, &anna, &consumed), 10, "she still sees him");
    world.command(anna.me, Command::CloseTransport { transport: anna.receive });
    world.run(Duration::from_secs(60));
    assert_eq!(world.sfu.counts().1, 2, "she is in the room without any");
    let lost = |event: &Event| matches!(event, Event::ParticipantMediaLost(_));
    assert!(!world.clients[BEN].events.iter().any(lost), "nothing is expected of her");
    // And she can come back.
    let fresh = ear(&world);
    anna.ear = world.add_client(fresh);
    let opened = open(&mut world, anna.me, TransportDirection::Receive);
    anna.receive = opened.transport;
    connect(&mut world, anna.me, anna.ear, &opened);
    let consumed = consume(&mut world, &anna, track, false);
    let there = anna.ear;
    world.until("she is connected", |world| world.clients[there].rtc.is_connected());
    show(&mut world, BEN, Camera, 10);
    assert!(got(&world, &anna, &consumed) >= 9);
    world.command(anna.me, Command::Leave);
    world.command(BEN, Command::Leave);
    world.run(Duration::from_secs(600));
    assert_eq!(world.sfu.summary().demux_entries, 0, "nothing is left of her transports");
    assert_replays(&world);
}

#[test]
fn ice_is_restarted_and_media_goes_on() {
    let (mut world, anna, _) = anna_and_ben();
    let track = world.clients[BEN].track(Camera);
    let consumed = consume(&mut world, &anna, track, false);
    show(&mut world, BEN, Camera, 5);
    world.command(anna.me, Command::RestartTransport { transport: anna.receive });
    let restarted = told(&world, anna.me, |event| match event {
        Event::TransportOpened(_, opened) if opened.transport == anna.receive => Some((**opened).clone()),
        _ => None,
    });
    let own = IceCreds { ufrag: "anew".into(), pass: "a password of the client's own".into() };
    world.clients[anna.ear].rtc.direct_api().set_local_ice_credentials(own);
    aim(&mut world, anna.ear, &restarted.expect("new credentials"));
    world.run(Duration::from_secs(40));
    show(&mut world, BEN, Camera, 5);
    assert_eq!(got(&world, &anna, &consumed), 10);
    assert!(world.clients[anna.ear].rtc.is_connected());
    assert_replays(&world);
}

#[test]
fn a_simulcast_is_known_by_its_rids_and_each_viewer_gets_what_they_prefer() {
    let mut world = World::new();
    let (anna, ben) = (person(&mut world, "Anna"), person(&mut world, "Ben"));
    let encodings = json!([
        {"rid": "r0", "scaleResolutionDownBy": 4, "maxBitrate": 100_000, "scalabilityMode": "L1T1"},
        {"rid": "r1", "scaleResolutionDownBy": 2.0, "maxBitrate": 300_000},
        {"rid": "r2", "scaleResolutionDownBy": 1, "maxBitrate": 900_000},
    ]);
    let mut api = world.clients[anna.me].rtc.direct_api();
    api.declare_media("1".into(), EngineKind::Video);
    for (place, rid) in ["r0", "r1", "r2"].into_iter().enumerate() {
        let ssrc = 5000 + place as u32;
        api.declare_stream_tx(ssrc.into(), None, "1".into(), Some(rid.into()));
    }
    let track = produce(&mut world, &anna, Camera, &camera(&encodings)).expect("a track");
    let consumed = consume(&mut world, &ben, track, false);
    let mut sequence = 0;
    let mut film = |world: &mut World, frames: usize| {
        for frame in 0..frames {
            sequence += 1;
            for place in 0..3_u8 {
                let now = world.now;
                let timestamp = ((now - world.start).as_millis() * 90) as u32;
                let payload = [vec![0x10, u8::from(frame % 10 != 0), place], vec![7; 300]].concat();
                let packet = RtpWrite::new(96.into(), SeqNo::from(sequence), timestamp, now, payload);
                let rtc = &mut world.clients[anna.me].rtc;
                let ssrc = Ssrc::from(5000 + u32::from(place));
                rtc.direct_api().stream_tx(&ssrc).expect("a stream").write_rtp(packet.marker(true));
                let _ = rtc.handle_input(str0m::Input::Timeout(now));
            }
            world.settle();
            world.run(Duration::from_millis(100));
        }
    };
    let last = |world: &World| {
        let ssrc = consumed.parameters.encodings[0].ssrc.expect("an SSRC");
        let received = world.clients[ben.ear].received.iter().rev();
        received.clone().find(|packet| *packet.header.ssrc == ssrc).map(|packet| packet.payload[2])
    };
    film(&mut world, 20);
    assert!(last(&world).is_some(), "something comes");
    for (height, expected) in [(720, 2), (180, 0), (360, 1)] {
        let wish = Wish { height: Some(height), ..Wish::default() };
        world.command(ben.me, Command::Prefer(vec![Preference { track, wish }]));
        film(&mut world, 30);
        assert_eq!(last(&world), Some(expected), "{height}");
    }
    assert_replays(&world);
}

#[test]
fn a_crowd_does_not_take_what_somebody_consumes() {
    let mut world = World::with(|settings| settings.slots_max.audio = 2);
    let anna = person(&mut world, "Anna");
    let mut others = Vec::new();
    for name in ["Ben", "Cleo", "Dan", "Eva"] {
        let other = world.join("standup", name);
        world.publish(other, 2, &[Microphone]);
        others.push(other);
    }
    connected(&mut world);
    let tracks: Vec<TrackId> = others.iter().map(|other| world.clients[*other].track(Microphone)).collect();
    let consumed: Vec<Consumed> =
        tracks[..2].iter().map(|track| consume(&mut world, &anna, *track, false)).collect();
    let command = Command::Consume {
        transport: anna.receive,
        track: tracks[2],
        capabilities: receives(),
        paused: false,
    };
    world.command(anna.me, command);
    assert_eq!(refused(&world, anna.me).0, RefusalCode::TooManyTracks);
    world.level = Some(-10);
    for _ in 0..100 {
        for other in &others {
            world.send(*other, Microphone, false);
        }
        world.run(Duration::from_millis(20));
    }
    for consumed in &consumed {
        assert_eq!(got(&world, &anna, consumed), 100);
    }
    let map = |event: &Event| matches!(event, Event::SlotMap(_) | Event::MoreSlots(_));
    assert!(!world.clients[anna.me].events.iter().any(map), "she has no slots to be told of");
    let speak = |event: &Event| matches!(event, Event::Speakers(_));
    assert!(world.clients[anna.me].events.iter().any(speak), "she is told who speaks");
}

#[test]
fn somebody_without_signalling_stays_while_one_of_their_transports_is_heard() {
    let mut world = World::new();
    world.lifeline = Lifeline::Media;
    let anna = person(&mut world, "Anna");
    world.lifeline = Lifeline::Signalling;
    world.join("standup", "Ben");
    world.publish(BEN, 1, &[]);
    world.clients[anna.me].unplugged = true;
    world.run(Duration::from_secs(100));
    assert_eq!(world.sfu.counts().1, 2, "she is heard where she receives");
    world.clients[anna.ear].unplugged = true;
    world.until("she is given up", |world| world.sfu.counts().1 == 1);
    world.lifeline = Lifeline::Media;
    world.layout = Layout::Parameters;
    world.join("standup", "Cleo");
    world.run(Duration::from_secs(110));
    assert_eq!(world.sfu.counts().1, 2, "Cleo may still open a transport");
    world.until("nobody is there for ever without one", |world| world.sfu.counts().1 == 1);
}

#[test]
fn a_handshake_that_never_ends_costs_the_transport_and_not_the_call() {
    let (mut world, anna, _) = anna_and_ben();
    let opened = open(&mut world, anna.me, TransportDirection::Receive);
    let other = dtls(&format!("sha-256 {}", ["AB"; 32].join(":")));
    world.command(anna.me, Command::ConnectTransport { transport: opened.transport, dtls: other });
    world.run(Duration::from_secs(35));
    let ended = |event: &Event| matches!(event, Event::TransportEnded(id) if *id == opened.transport);
    assert!(world.clients[anna.me].events.iter().any(ended));
    world.command(anna.me, Command::CloseTransport { transport: opened.transport });
    assert_eq!(refused(&world, anna.me).0, RefusalCode::UnknownTransport);
    assert_eq!(world.sfu.counts().1, 2);
    let lost = |event: &Event| matches!(event, Event::ParticipantMediaLost(_));
    assert!(!world.clients[BEN].events.iter().any(lost));
}

/// Returns the server's own connectivity checks to an address: their transactions.
fn questions_to(world: &World, address: SocketAddr) -> Vec<[u8; 12]> {
    const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
    let to = format!("remote: {address}");
    let sent = world.outputs.iter().filter(|bytes| String::from_utf8_lossy(bytes).contains(&to));
    let transaction = |bytes: &Vec<u8>| {
        let at = bytes.windows(8).position(|part| part[..2] == [0, 1] && part[4..] == MAGIC)?;
        bytes.get(at + 8..at + 20)?.try_into().ok()
    };
    sent.filter_map(transaction).collect()
}

/// Returns an unsigned refusal of a check: "401 Unauthorized", or another code.
fn refusal_of(transaction: [u8; 12], code: u8) -> Vec<u8> {
    let mut bytes = vec![0x01, 0x11, 0, 8, 0x21, 0x12, 0xa4, 0x42];
    bytes.extend(transaction);
    bytes.extend([0, 9, 0, 4, 0, 0, 4, code]);
    bytes
}

#[test]
fn whoever_moves_to_another_address_is_sent_media_there_once_it_has_answered() {
    let (mut world, anna, _) = anna_and_ben();
    let track = world.clients[BEN].track(Camera);
    let consumed = consume(&mut world, &anna, track, false);
    show(&mut world, BEN, Camera, 5);
    assert_eq!(got(&world, &anna, &consumed), 5);
    // A NAT gives her another port: her checks come from there.
    let moved: SocketAddr = "10.0.0.77:7777".parse().expect("an address");
    world.clients[anna.ear].address = moved;
    world.run(Duration::from_secs(4));
    show(&mut world, BEN, Camera, 5);
    assert_eq!(got(&world, &anna, &consumed), 5, "anybody could say that they are there");
    let questions = questions_to(&world, moved);
    let transaction = *questions.last().expect("she is asked");
    let path = Path { carrier: Carrier::Udp, local: server_address(), remote: moved };
    // Servers of STUN grant what anybody asks, or know nothing of it.
    world.input(Recorded::Datagram(path, refusal_of(transaction, 20)));
    show(&mut world, BEN, Camera, 3);
    assert_eq!(got(&world, &anna, &consumed), 5);
    let transaction = *questions_to(&world, moved).last().expect("she is asked");
    world.input(Recorded::Datagram(path, refusal_of(transaction, 1)));
    show(&mut world, BEN, Camera, 10);
    assert!(got(&world, &anna, &consumed) >= 14, "{}", got(&world, &anna, &consumed));
    let asked = questions_to(&world, moved).len();
    world.run(Duration::from_secs(60));
    assert_eq!(questions_to(&world, moved).len(), asked, "who can only refuse is not asked over and over");
    assert!(world.clients[anna.ear].rtc.is_connected());
    assert_replays(&world);
}

#[test]
fn a_trace_holds_both_transports_and_the_explanation_names_them() {
    let mut world = recorded("standup");
    let mut anna = person(&mut world, "Anna");
    let [_, seen] = produce_both(&mut world, &anna);
    let ben = world.join("standup", "Ben");
    world.publish(ben, 2, &[Camera]);
    connected(&mut world);
    let track = world.clients[ben].track(Camera);
    consume(&mut world, &anna, track, false);
    film(&mut world, &mut anna, 5);
    show(&mut world, ben, Camera, 5);
    let snapshot = world.sfu.snapshot(world.now);
    let transports: Vec<_> = snapshot.rooms[0].participants[0]
        .transports
        .iter()
        .map(|one| (one.direction, one.connected))
        .collect();
    let both = [TransportDirection::Send, TransportDirection::Receive];
    assert_eq!(transports, both.map(|direction| (Some(direction), true)));
    world.command(anna.me, Command::Unsubscribe(track));
    world.command(anna.me, Command::CloseProducer { track: seen });
    world.command(anna.me, Command::CloseTransport { transport: anna.receive });
    world.command(anna.me, Command::Leave);
    // It replays to the same bytes, or it could not be explained.
    let explanation = explained(&trace_of(world));
    for words in [
        "opened a transport for sending",
        "opened a transport for receiving",
        "connected the transport for sending",
        "connected the transport for receiving",
        "the transport for receiving ended",
    ] {
        assert_says(&explanation.participants[0], words);
    }
    let entries = &explanation.participants[0].timeline;
    assert_eq!(
        entries.iter().filter(|entry| entry.kind == "transport-ended").count(),
        1,
        "the other she left"
    );
}

#[test]
fn whoever_asks_again_gets_another_consumer_and_nobody_gets_what_they_cannot_decode() {
    let (mut world, anna, _) = anna_and_ben();
    let track = world.clients[BEN].track(Camera);
    let mut only_h264 = receives();
    only_h264.codecs.retain(|codec| codec.mime_type != "video/VP8");
    // Ben's first codec is VP8, which she has not.
    let command = Command::Consume { transport: anna.receive, track, capabilities: only_h264, paused: false };
    world.command(anna.me, command);
    assert_eq!(refused(&world, anna.me).0, RefusalCode::CannotConsume);
    let consumed = consume(&mut world, &anna, track, false);
    let again = consume(&mut world, &anna, track, false);
    assert_ne!(consumed.parameters.mid, again.parameters.mid, "whoever asks again gets another one");
    show(&mut world, BEN, Camera, 10);
    assert_eq!((got(&world, &anna, &consumed), got(&world, &anna, &again)), (0, 10));
    let slots = &world.sfu.snapshot(world.now).rooms[0].participants[0].slots;
    assert_eq!(slots.iter().filter(|slot| slot.track == Some(track)).count(), 1);
}

#[test]
fn who_cannot_take_the_codec_to_which_a_track_changes_is_told_and_others_go_on() {
    let (mut world, anna, _) = anna_and_ben();
    let cleo = person(&mut world, "Cleo");
    let track = world.clients[BEN].track(Camera);
    show(&mut world, BEN, Camera, 5);
    let mut only_vp8 = receives();
    only_vp8
        .codecs
        .retain(|codec| ["audio/opus", "video/VP8", "video/rtx"].contains(&codec.mime_type.as_str()));
    let command =
        |transport, capabilities| Command::Consume { transport, track, capabilities, paused: false };
    world.command(anna.me, command(anna.receive, only_vp8));
    world.command(cleo.me, command(cleo.receive, receives()));
    world.video_codec = "H264";
    show(&mut world, BEN, Camera, 5);
    let ended = |event: &Event| matches!(event, Event::ConsumerEnded(gone) if *gone == track);
    assert!(world.clients[anna.me].events.iter().any(ended), "she is told");
    assert!(!world.clients[cleo.me].events.iter().any(ended));
    let subscribed = |who: usize| {
        let snapshot = world.sfu.snapshot(world.now);
        let slots = snapshot.rooms[0].participants[who].slots.iter();
        slots.filter(|slot| slot.track == Some(track)).count()
    };
    assert_eq!((subscribed(0), subscribed(2)), (0, 1));
    assert_replays(&world);
}

#[test]
fn who_may_receive_no_more_has_no_consumers_left() {
    let (mut world, anna, _) = anna_and_ben();
    let track = world.clients[BEN].track(Camera);
    let consumed = consume(&mut world, &anna, track, false);
    let participant = world.clients[anna.me].joined.as_ref().expect("she has joined").participant;
    let nothing = PermissionsChange { subscribe: Some(false), ..PermissionsChange::default() };
    assert_eq!(world.operate(Moderation::SetPermissions(participant.into(), nothing)), Ok(()));
    let ended = |event: &Event| matches!(event, Event::ConsumerEnded(gone) if *gone == track);
    let told = &world.clients[anna.me].events;
    let at = |is_it: &dyn Fn(&Event) -> bool| told.iter().position(is_it).expect("she is told");
    assert!(at(&|event| matches!(event, Event::PermissionsChanged { .. })) < at(&ended), "and why, first");
    show(&mut world, BEN, Camera, 5);
    assert_eq!(got(&world, &anna, &consumed), 0);
    let command =
        Command::Consume { transport: anna.receive, track, capabilities: receives(), paused: false };
    world.command(anna.me, command);
    assert_eq!(refused(&world, anna.me).0, RefusalCode::NotPermitted);
}

#[test]
fn a_back_end_ends_what_somebody_consumes_and_has_them_told_what_they_are_to_receive() {
    let (mut world, anna, _) = anna_and_ben();
    let track = world.clients[BEN].track(Camera);
    let consumed = consume(&mut world, &anna, track, false);
    let participant = world.clients[anna.me].joined.as_ref().expect("she has joined").participant;
    let subscribe =
        |is_wanted| Moderation::Subscribe { target: participant.into(), tracks: vec![track], is_wanted };
    let last = |world: &World| {
        told(world, anna.me, |event| match event {
            Event::ConsumerWanted(of, is_wanted) if *of == track => Some(*is_wanted),
            _ => None,
        })
    };
    assert_eq!(world.operate(subscribe(false)), Ok(()));
    assert_eq!(last(&world), Some(false));
    show(&mut world, BEN, Camera, 5);
    assert_eq!(got(&world, &anna, &consumed), 0);
    assert_eq!(world.operate(subscribe(true)), Ok(()), "it is not refused");
    assert_eq!(last(&world), Some(true));
    let again = consume(&mut world, &anna, track, false);
    show(&mut world, BEN, Camera, 5);
    assert_eq!(got(&world, &anna, &again), 5);
    assert_replays(&world);
}

#[test]
fn whoever_comes_back_is_told_which_transports_they_still_have() {
    let (mut world, anna, _) = anna_and_ben();
    world.break_signalling(anna.me);
    world.command(BEN, Command::SetAudience(None));
    world.resume(anna.me, None);
    let resumed = told(&world, anna.me, |event| match event {
        Event::Resumed(_, resumed) => Some(resumed.transports.clone()),
        _ => None,
    });
    assert_eq!(resumed.expect("she is back"), [anna.send, anna.receive]);
}

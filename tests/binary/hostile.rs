//! A stranger who does all that one address can do, beside a call: nothing is taken from it. How fast everything goes is
//! measured elsewhere (`benches/hostile.py`); here it must be right, however slow the machine.

use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tungstenite::Message;

use super::PATIENCE;
use super::call::Call;
use super::server::{Server, http};
use strait::limits::{FAULTS_MAX, WAITING_TOLD_MAX};

/// A section of an offer that no endpoint wrote.
fn section(kind: &str, mid: &str, direction: &str, more: &str) -> String {
    let (payload_type, codec) = if kind == "audio" { ("111", "opus/48000/2") } else { ("96", "VP8/90000") };
    let fingerprint = ["AB"; 32].join(":");
    format!(
        "m={kind} 9 UDP/TLS/RTP/SAVPF {payload_type}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=ice-ufrag:strg\r\n\
         a=ice-pwd:strangerstrangerstranger\r\na=fingerprint:sha-256 {fingerprint}\r\na=setup:active\r\n\
         a=rtcp-mux\r\na={direction}\r\na=rtpmap:{payload_type} {codec}\r\n{more}"
    )
}

/// An offer of these sections, the data of the message.
pub fn offer(sections: &[(String, String)], sources: &[(String, &str)]) -> Value {
    let mids: Vec<&str> = sections.iter().map(|(mid, _)| mid.as_str()).collect();
    let bodies: String = sections.iter().map(|(_, body)| body.as_str()).collect();
    let sdp = format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\n{bodies}",
        mids.join(" ")
    );
    let publications = sources.iter().map(|(mid, source)| json!({"mid": mid, "source": source}));
    json!({"sdp": sdp, "publications": publications.collect::<Vec<_>>()})
}

/// A section in which the client receives audio, by which the transport goes.
pub fn audio() -> (String, String) {
    ("a".to_owned(), section("audio", "a", "recvonly", ""))
}

/// An offer with this number of SSRC lines, of which nobody needs more than a few.
fn offer_of_ssrcs(lines: usize) -> Value {
    let lines: String = (1..=lines).map(|ssrc| format!("a=ssrc:{ssrc} cname:c\r\n")).collect();
    offer(&[audio(), ("v".to_owned(), section("video", "v", "sendonly", &lines))], &[])
}

/// Which share of the pictures the server withholds for want of time.
fn withheld(server: &Server) -> f64 {
    let page = http(server.address, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let line = page.lines().find_map(|line| line.strip_prefix("strait_pictures_withheld_ratio "));
    line.and_then(|ratio| ratio.trim().parse().ok()).unwrap_or_else(|| panic!("no such figure: {page}"))
}

/// Sends a request from another address of this machine; the reply.
fn ask_from(source: &str, server: SocketAddr, message: &Value) -> Value {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let source: SocketAddr = format!("{source}:0").parse().expect("an address");
    socket.bind(&source.into()).expect("all of 127.0.0.0/8 is this machine");
    socket.connect(&server.into()).expect("the server accepts");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let (mut socket, _) =
        tungstenite::client(format!("ws://{server}/ws"), stream).expect("the upgrade is accepted");
    socket.send(Message::text(message.to_string())).expect("sent");
    let reply = socket.read().expect("a reply").into_text().expect("text");
    serde_json::from_str(&reply).expect("JSON")
}

#[test]
fn a_call_keeps_its_pictures_beside_offers_without_end_and_nonsense() {
    let server = Server::start(&[]);
    let mut call = Call::of_two(server.address, &["microphone", "camera"]);
    let bomb = offer_of_ssrcs(9000);
    assert!(bomb.to_string().len() < 256 * 1024, "it would be too large a message");
    let sections: Vec<_> =
        (0..150).map(|n| (format!("v{n}"), section("video", &format!("v{n}"), "recvonly", ""))).collect();
    let large = offer(&[vec![audio()], sections].concat(), &[]);
    for round in 0..12 {
        let stranger = call.join("elsewhere", "Stranger");
        for _ in 0..4 {
            let error = call.refused(stranger, "offer", bomb.clone());
            // The first ones are read, and then their bytes are too many for one address.
            let is_known = error["code"] == "bad-offer" || (round > 0 && error["code"] == "rate-limited");
            assert!(is_known, "{error}");
        }
        let reply = call.ask(stranger, "offer", large.clone());
        let is_refused = reply["data"]["code"] == "rate-limited";
        assert!(reply["type"] == "answer" || (round > 0 && is_refused), "{reply}");
        // Nearly as often as it is cut for.
        for _ in 0..FAULTS_MAX - 10 {
            call.clients[stranger].say("{\"type\":");
            call.turn();
        }
        call.until_heard(round % 2, "camera", 1 - round % 2);
        call.until_heard(round % 2, "microphone", 1 - round % 2);
        assert!(withheld(&server) == 0.0, "pictures are withheld for what a stranger does");
        call.clients[stranger].cut();
    }
}

#[test]
fn sections_that_come_and_go_leave_no_slots_behind() {
    let settings = [("SIGNALLING_OFFERS_PER_SECOND", "1000"), ("SIGNALLING_OFFER_BURST", "1000")];
    let (server, mut call) = Call::at(&settings);
    let stranger = call.join("elsewhere", "Stranger");
    let sections = |round: usize| {
        let mids = (0..30).map(move |n| format!("r{round}-{n}"));
        mids.map(|mid| (mid.clone(), section("video", &mid, "recvonly", ""))).collect::<Vec<_>>()
    };
    for round in 0..40 {
        // A place is free once what was there has been stopped.
        let stopped =
            sections(round).into_iter().map(|(mid, body)| (mid, body.replace("video 9", "video 0")));
        for sections in [sections(round), stopped.collect()] {
            let offer = offer(&[vec![audio()], sections].concat(), &[]);
            let reply = call.ask(stranger, "offer", offer);
            assert_eq!(reply["type"], "answer", "{reply}");
        }
    }
    let participant = server.stats()["rooms"][0]["participants"][0].take();
    let slots = participant["slots"].as_array().expect("a list").len();
    assert!(slots <= 31, "{slots} slots of 31 sections");
}

#[test]
fn one_address_takes_neither_all_rooms_nor_all_places() {
    let settings = [
        ("ROOMS_MAX_ROOMS", "40"),
        ("SIGNALLING_MAX_PARTICIPANTS_PER_ADDRESS", "30"),
        ("SIGNALLING_JOIN_BURST", "1000"),
    ];
    let (server, mut call) = Call::at(&settings);
    for number in 0..100 {
        let stranger = call.visit();
        let join = json!({"version": 1, "room": format!("taken-{number}"), "name": "Stranger"});
        let reply = call.ask(stranger, "join", join);
        assert_eq!(reply["type"], "joined", "whoever was never in a call makes way: {reply}");
        call.clients[stranger].cut();
    }
    let rooms = server.stats()["rooms"].as_array().expect("a list").clone();
    let people = rooms.iter().map(|room| room["participants"].as_array().map_or(0, Vec::len)).sum::<usize>();
    assert!((1..=30).contains(&people), "{people} places are taken by one address");
    let join = json!({"type": "join", "id": 1, "data": {"version": 1, "room": "standup", "name": "Anna"}});
    let reply = ask_from("127.0.0.2", server.address, &join);
    assert_eq!(reply["type"], "joined", "somebody else still gets a room: {reply}");
}

#[test]
fn of_hundreds_of_tracks_nobody_is_told_a_list() {
    const PUBLISHERS: usize = 4;
    const TRACKS: usize = 16;
    let (_server, mut call) = Call::at(&[]);
    let viewer = call.join("elsewhere", "Viewer");
    call.publish(viewer, 1, &[]);
    let mids: Vec<String> = (0..TRACKS).map(|n| format!("v{n}")).collect();
    let sections: Vec<_> =
        mids.iter().map(|mid| (mid.clone(), section("video", mid, "sendonly", ""))).collect();
    let sources: Vec<_> = mids.iter().map(|mid| (mid.clone(), "camera")).collect();
    let offer = offer(&[vec![audio()], sections].concat(), &sources);
    for _ in 0..PUBLISHERS {
        let stranger = call.join("elsewhere", "Stranger");
        let reply = call.ask(stranger, "offer", offer.clone());
        assert_eq!(reply["type"], "answer", "{reply}");
    }
    call.until("all tracks are told of", |call| {
        call.clients[viewer].slot_map["waitingCount"] == PUBLISHERS * TRACKS - 1
    });
    let waiting = call.clients[viewer].slot_map["waiting"].as_array().expect("a list").len();
    assert_eq!(waiting, WAITING_TOLD_MAX);
    // News came in a few messages, not in one for each track.
    let maps = call.clients[viewer].told("slot-map").len();
    assert!(maps <= 2 + PUBLISHERS * 4, "{maps} maps");
}

#[test]
fn coming_back_again_and_again_has_an_end() {
    let settings = [("SIGNALLING_JOINS_PER_SECOND", "1"), ("SIGNALLING_JOIN_BURST", "5")];
    let (_server, mut call) = Call::at(&settings);
    let stranger = call.join("elsewhere", "Stranger");
    let replies: Vec<Value> = (0..20).map(|_| call.resume(stranger)).collect();
    assert!(replies[..5].iter().all(|reply| reply["type"] == "resumed"), "{replies:?}");
    let refused = replies.iter().find(|reply| reply["type"] == "error").expect("not every time");
    assert_eq!(
        (&refused["data"]["code"], &refused["data"]["fatal"]),
        (&"rate-limited".into(), &false.into())
    );
}

#[test]
fn who_goes_on_beyond_a_limit_on_one_connection_is_cut() {
    let settings = [
        ("SIGNALLING_MESSAGE_BURST", "1000"),
        ("SIGNALLING_OFFERS_PER_SECOND", "1"),
        ("SIGNALLING_OFFER_BURST", "1"),
        ("SIGNALLING_JOINS_PER_SECOND", "1"),
        ("SIGNALLING_JOIN_BURST", "1"),
    ];
    let (_server, mut call) = Call::at(&settings);
    let resume = json!({"version": 1, "room": "r", "participantId": "p-0000000000000", "secret": "guessed"});
    for (kind, data) in [("offer", offer(&[audio()], &[])), ("resume", resume)] {
        let stranger = call.visit();
        let mut replies = (0..1000).map(|_| call.ask(stranger, kind, data.clone())["data"].take());
        let last = replies.find(|reply| reply["fatal"] == true).expect("it has an end");
        assert_eq!(last["code"], "rate-limited", "{last}");
        call.until("it is cut", |call| call.clients[stranger].socket.is_none());
        assert_eq!(call.clients[stranger].closed, Some(1008));
    }
}

//! People in a room, through the whole shell: a WebSocket for signalling, and str0m as the browser, over real UDP.

use std::io::Write;
use std::net::UdpSocket;
use std::time::Instant;

use serde_json::{Value, json};
use strait::net::ShellConfig;

use crate::support::people::{Endpoint, Person, until};
use crate::support::{PATIENCE, Server, close_code, config};

fn call(config: ShellConfig) {
    let server = Server::start(config);
    let mut anna = Person::join(&server, Some("standup"), "Anna");
    let mut ben = Person::join(&server, Some("standup"), "Ben");
    assert_eq!(anna.news("participant-joined")["participantId"], ben.id());
    let mut speaker = Endpoint::connect(&mut anna, true);
    let mut listener = Endpoint::connect(&mut ben, false);
    until(&mut [&mut speaker, &mut listener], "both are connected", |endpoints| {
        endpoints.iter().all(|endpoint| endpoint.rtc.is_connected())
    });
    let mut sequence = 1000;
    let started = Instant::now();
    while listener.received < 50 {
        assert!(started.elapsed() < PATIENCE, "{} packets were heard", listener.received);
        speaker.speak(sequence);
        sequence += 1;
        speaker.step();
        listener.step();
    }
    let stats = server.get("/admin/v1/stats").json();
    assert_eq!(stats["shell"]["dtlsSessions"], 2, "{stats}");
    assert_eq!(stats["rooms"][0]["participants"][0]["mediaConnected"], true, "{stats}");

    // The operator removes the speaker, who is told; nothing of the handshake is left behind.
    let path = format!("rooms/standup/participants/{}", anna.id());
    let removed = server.request(&format!("DELETE /admin/v1/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert_eq!(removed.status, 204);
    assert_eq!(anna.news("closing")["reason"], "removed");
    assert_eq!(close_code(&mut anna.socket), Some(1000));
    assert_eq!(ben.news("participant-left")["reason"], "removed");
    ben.socket.close(None).expect("closed");
    let started = Instant::now();
    while server.get("/admin/v1/stats").json()["shell"]["dtlsSessions"] != 1 {
        assert!(started.elapsed() < PATIENCE, "the handshake is never forgotten");
    }
}

#[test]
fn two_people_talk_through_batched_udp() {
    call(config());
}

#[test]
fn two_people_talk_through_portable_udp_and_ipv6() {
    call(ShellConfig { force_portable_udp: true, ..config() });
    call(ShellConfig { listen: "[::]:0".parse().expect("an address"), ..config() });
}

#[test]
fn a_room_without_a_name_gets_one_that_cannot_be_guessed() {
    let server = Server::start(config());
    let rooms: Vec<_> = (0..2).map(|_| Person::join(&server, None, "Anna").joined["room"].clone()).collect();
    assert_eq!(rooms[0].as_str().map(str::len), Some(22));
    assert_ne!(rooms[0], rooms[1]);
}

#[test]
fn a_goodbye_leaves_at_once_and_a_broken_connection_can_come_back() {
    let server = Server::start(config());
    let mut anna = Person::join(&server, Some("r"), "Anna");
    let mut ben = Person::join(&server, Some("r"), "Ben");
    let carl = Person::join(&server, Some("r"), "Carl");
    let away = tungstenite::protocol::CloseFrame {
        code: tungstenite::protocol::frame::coding::CloseCode::Away,
        reason: "".into(),
    };
    ben.socket.close(Some(away)).expect("closed");
    let left = anna.news("participant-left");
    assert_eq!((left["participantId"].as_str(), left["reason"].as_str()), (Some(ben.id()), Some("left")));

    let secret = carl.joined["secret"].clone();
    let id = carl.id().to_string();
    drop(carl);
    assert_eq!(anna.news("participant-reconnecting")["participantId"], id.as_str());
    let mut back = Person { socket: server.web_socket(), joined: Value::Null, requests: 0, news: Vec::new() };
    let reply = back.ask("resume", json!({"version": 1, "room": "r", "participantId": id, "secret": secret}));
    assert_eq!(reply["type"], "resumed", "{reply}");
    assert_eq!(anna.news("participant-resumed")["participantId"], id.as_str());

    let bye = back.ask("leave", json!({}));
    assert_eq!(bye["type"], "ok", "{bye}");
    assert_eq!(close_code(&mut back.socket), Some(1000));
    assert_eq!(anna.news("participant-left")["reason"], "left");
}

#[test]
fn a_stopping_server_tells_everyone_who_joined() {
    let mut server = Server::start(config());
    let mut anna = Person::join(&server, Some("r"), "Anna");
    server.stop.stop();
    let closing = anna.news("closing");
    assert_eq!((closing["reason"].as_str(), closing["rejoin"].as_bool()), (Some("shutdown"), Some(true)));
    assert_eq!(close_code(&mut anna.socket), Some(1001));
    server.join();
}

/// Bytes that look like something until one looks closer, by a generator that always gives the same.
fn junk(random: &mut fastrand::Rng) -> Vec<u8> {
    // STUN, DTLS, TURN channel, RTP and RTCP by their first byte, and anything.
    let firsts = [0, 1, 20, 22, 23, 63, 64, 79, 127, 128, 144, 191, 255];
    let mut bytes: Vec<u8> = (0..random.usize(0..1500)).map(|_| random.u8(..)).collect();
    if let Some(first) = bytes.first_mut() {
        *first = firsts[random.usize(..firsts.len())];
    }
    if bytes.len() > 8 && random.bool() {
        bytes[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
    }
    bytes
}

#[test]
fn a_hundred_thousand_bad_datagrams_and_cut_messages_disturb_nobody() {
    let server = Server::start(config());
    let mut anna = Person::join(&server, Some("r"), "Anna");
    let mut ben = Person::join(&server, Some("r"), "Ben");
    let mut speaker = Endpoint::connect(&mut anna, true);
    let mut listener = Endpoint::connect(&mut ben, false);
    until(&mut [&mut speaker, &mut listener], "both are connected", |endpoints| {
        endpoints.iter().all(|endpoint| endpoint.rtc.is_connected())
    });
    let mut random = fastrand::Rng::with_seed(7);
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for sequence in 0..1000 {
        for _ in 0..100 {
            // From a stranger, and from the speaker's own address.
            let from = if random.bool() { &stranger } else { &speaker.udp };
            from.send_to(&junk(&mut random), server.address).expect("sent");
        }
        if sequence % 100 == 0 {
            let mut cut = server.connect();
            let upgrade = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
                 \u{1}\u{5}{\"type\":"
                .to_string();
            cut.write_all(&upgrade.as_bytes()[..random.usize(1..upgrade.len())]).expect("written");
        }
        speaker.speak(2000 + sequence);
        speaker.step();
        listener.step();
    }
    let before = listener.received;
    let (mut sequence, started) = (4000, Instant::now());
    while listener.received < before + 50 {
        assert!(started.elapsed() < PATIENCE, "nothing is heard any more");
        speaker.speak(sequence);
        sequence += 1;
        speaker.step();
        listener.step();
    }
    assert!(anna.ask("ping", json!({}))["type"] == "pong");
    assert!(server.get("/admin/v1/stats").json()["core"]["datagramsUnknown"].as_u64() > Some(0));
}

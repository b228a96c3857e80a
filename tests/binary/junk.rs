//! Whatever is thrown at the ports, a call goes on as if nothing were.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::json;

use super::call::Call;
use super::server::{Server, http};

const DATAGRAMS: u64 = 100_000;
/// As many as a small receive buffer takes, so that none is lost before the server has seen it.
const BATCH: u64 = 100;
/// Messages of nonsense that anybody may send without being cut.
const FORGIVEN: u64 = 40;
/// What may stay of it all: the receive buffers' pages, and the allocator's.
const GROWTH: usize = 8 * 1024 * 1024;

/// None of them changes anything, however it is garbled.
const REQUESTS: [&str; 4] = [
    r#"{"type":"join","id":900,"data":{"room":"standup","name":"Anna"}}"#,
    r#"{"type":"data","id":901,"data":{"topic":"chat","payload":{"deep":[1,2.5e3,"\u00e9",null,true]}}}"#,
    r#"{"type":"mute","id":902,"data":{"trackId":"t-0000000000000","muted":true}}"#,
    r#"{"type":"offer","id":903,"data":{"sdp":"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\n","publications":[]}}"#,
];

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Random bytes, or a real datagram with its end or some bits wrong.
fn datagram(rng: &mut Rng, real: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = real[rng.usize(..real.len())].clone();
    match rng.u8(..8) {
        0 | 1 => {
            bytes = (0..rng.usize(1..1500)).map(|_| rng.u8(..)).collect();
        }
        2 => {
            let first = bytes[0];
            bytes.iter_mut().for_each(|byte| *byte = rng.u8(..));
            bytes[0] = first;
        }
        3 | 4 => bytes.truncate(rng.usize(..bytes.len()).max(1)),
        _ => {
            for _ in 0..rng.usize(1..9) {
                let at = rng.usize(..bytes.len());
                bytes[at] ^= 1 << rng.u8(..8);
            }
        }
    }
    bytes
}

/// A text with its end or some letters wrong.
fn garbled(rng: &mut Rng, text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    if rng.bool() {
        bytes.truncate(rng.usize(..bytes.len()));
    } else {
        for _ in 0..rng.usize(1..5) {
            let at = rng.usize(..bytes.len());
            bytes[at] = rng.u8(b' '..=b'~');
        }
    }
    String::from_utf8(bytes).expect("ASCII")
}

/// A request that breaks off or is none, and what is no WebSocket frame after an upgrade.
fn throw_at_tcp(rng: &mut Rng, server: SocketAddr) {
    http(server, garbled(rng, UPGRADE).as_bytes());
    http(server, garbled(rng, "GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    let noise: Vec<u8> = (0..rng.usize(..2000)).map(|_| rng.u8(..)).collect();
    http(server, &noise);
    http(server, &[UPGRADE.as_bytes(), &noise].concat());
}

#[test]
fn a_hundred_thousand_bad_datagrams_and_messages_disturb_nobody() {
    let server = Server::start(&[("SIGNALLING_MESSAGE_BURST", "100000")]);
    let mut call = Call::of_two(server.address, &["microphone", "camera"]);
    all_is_well(&mut call);
    let mut visitor = call.visit();
    let strangers: Vec<UdpSocket> =
        (0..16).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a socket")).collect();
    let real: Vec<Vec<u8>> = call.clients.iter().flat_map(|client| client.remembered.clone()).collect();
    let received = || server.stats()["shell"]["udp"]["received"].as_u64().expect("a count");
    let (before, mut rng) = (server.resident(), Rng::with_seed(7));
    let (mut thrown, mut cuts) = (0, 0);
    let mut heard_until = Instant::now();
    while thrown < DATAGRAMS {
        let seen = received();
        for _ in 0..BATCH {
            let bytes = datagram(&mut rng, &real);
            // Every fourth comes from where somebody's real ones come from.
            let from = match rng.usize(..8) {
                who @ (0 | 1) => &call.clients[who].udp,
                _ => &strangers[rng.usize(..strangers.len())],
            };
            from.send_to(&bytes, server.address).expect("sent");
        }
        thrown += BATCH;
        call.until("the server has seen them", |_| received() >= seen + BATCH);
        let request = REQUESTS[rng.usize(..REQUESTS.len())];
        let text = garbled(&mut rng, request);
        if thrown % 1000 == 0 {
            throw_at_tcp(&mut rng, server.address);
            all_is_well(&mut call);
            let pause = heard_until.elapsed();
            assert!(pause < Duration::from_secs(20), "nothing was heard for {pause:?}");
            heard_until = Instant::now();
        }
        // Also on the connection of somebody in the call: some nonsense is only answered.
        if thrown <= FORGIVEN * BATCH {
            call.clients[0].say(&text);
            call.until("an answer", |call| call.clients[0].take_answers() > 0);
        }
        // Who goes on with it is answered, cut at last, and may come back.
        if call.clients[visitor].socket.is_none() {
            visitor = call.visit();
            cuts += 1;
        }
        call.clients[visitor].say(&text);
        call.until("an answer, or the end", |call| {
            call.clients[visitor].take_answers() > 0 || call.clients[visitor].socket.is_none()
        });
    }
    all_is_well(&mut call);
    assert!(cuts > 0, "a thousand messages of nonsense are too many for one connection");
    let visitor = call.visit();
    assert!(call.is_served(visitor));
    // Whoever comes now finds nothing amiss either.
    let newcomer = call.join("standup", "Zoe");
    call.publish(newcomer, 2, &["microphone"]);
    call.until("the newcomer is connected", |call| call.clients[newcomer].rtc.is_connected());
    call.until_heard(0, "camera", newcomer);
    call.ask(newcomer, "leave", json!({}));
    assert!(call.clients[..2].iter().all(|client| client.rtc.is_alive() && client.closed.is_none()));
    let after = server.resident();
    println!("resident {} KiB -> {} KiB", before / 1024, after / 1024);
    assert!(after < before + GROWTH, "{before} bytes before, {after} after");
    let room = &server.stats()["rooms"][0];
    assert_eq!(room["participants"].as_array().map(Vec::len), Some(2), "{room}");
    assert_eq!(call.ask(0, "leave", json!({}))["type"], "ok");
}

/// A DTLS 1.2 record that nothing protects: epoch 0.
fn plain_record(kind: u8, number: u8, body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len()).expect("a short body");
    [&[kind, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, number, 0, length], body].concat()
}

#[test]
fn forged_and_repeated_handshakes_end_nothing() {
    const CHANGE_CIPHER_SPEC: u8 = 20;
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    let server = Server::start(&[]);
    let mut call = Call::of_two(server.address, &["microphone", "camera"]);
    all_is_well(&mut call);
    let mut forged = vec![
        plain_record(ALERT, 200, &[2, 40]),
        plain_record(ALERT, 201, &[1, 0]),
        plain_record(CHANGE_CIPHER_SPEC, 202, &[1]),
        plain_record(
            HANDSHAKE,
            203,
            &[20, 0, 0, 12, 0, 9, 0, 0, 0, 0, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        ),
        plain_record(HANDSHAKE, 204, &[0; 12]),
        plain_record(99, 205, &[1, 2, 3]),
    ];
    // What both said in their own handshakes, and the server to them, in the other's name.
    for client in &call.clients {
        forged.extend(client.remembered.iter().filter(|bytes| (20..64).contains(&bytes[0])).cloned());
    }
    assert!(forged.len() > 12, "the handshakes are remembered");
    for who in [0, 1] {
        for bytes in &forged {
            call.clients[who].udp.send_to(bytes, server.address).expect("sent");
            call.turn();
        }
        all_is_well(&mut call);
    }
    assert!(call.clients.iter().all(|client| client.told("closing").is_empty()));
}

/// Sound and pictures come both ways.
fn all_is_well(call: &mut Call) {
    for source in ["microphone", "camera"] {
        call.until_heard(0, source, 1);
        call.until_heard(1, source, 0);
    }
}

//! A thousand joins and leaves leave nothing behind: no room, no entry, no descriptor, no memory to speak of.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::call::Call;
use super::server::{Server, eventually, stats};

/// What the allocator may keep of it all: two kilobytes for each of the thousand.
const GROWTH: usize = 2 * 1024 * 1024;

/// How many come at a time, in rooms of `ROOM`; the first time twice as many, so that every table and buffer has grown
/// to what it will ever need.
const CROWD: usize = 50;
const WARM_UP: usize = 100;
const ROOM: usize = 5;

/// Everyone in a crowd joins, publishes, is received by somebody else, and leaves: half by `leave`, a quarter by closing
/// the WebSocket, a quarter by being cut off and not coming back.
fn come_and_go(server: SocketAddr, crowd: usize) {
    let mut call = Call::new(server);
    for person in 0..crowd {
        let who = call.join(&format!("room-{}", person / ROOM), "Somebody");
        call.publish(who, ROOM - 1, &["microphone", "camera"]);
    }
    call.until_connected();
    until_everybody_is_received(&mut call);
    for person in 0..crowd {
        match person % 4 {
            0 | 1 => assert_eq!(call.ask(person, "leave", json!({}))["type"], "ok"),
            2 => call.clients[person].close(),
            _ => call.clients[person].cut(),
        }
    }
    call.until("all sockets have ended", |call| call.clients.iter().all(|client| client.socket.is_none()));
    eventually("nobody is there any more", || (stats(server)["participants"] == 0).then_some(()));
}

/// Everyone's sound and picture come to the next one in the room.
fn until_everybody_is_received(call: &mut Call) {
    let mut missing: Vec<(usize, &str, String)> = Vec::new();
    for (person, client) in call.clients.iter().enumerate() {
        missing.extend(["microphone", "camera"].map(|source| (person, source, client.track(source))));
    }
    let mut next = Instant::now();
    call.until("everybody is received", |call| {
        if next <= Instant::now() {
            missing.iter().for_each(|(person, source, _)| call.clients[*person].send(source));
            next = Instant::now() + Duration::from_millis(50);
        }
        missing.retain(|(person, _, track)| {
            let neighbour = person / ROOM * ROOM + (person + 1) % ROOM;
            call.clients[neighbour].take_received(track).is_empty()
        });
        missing.is_empty()
    });
}

/// A thousand of them.
fn a_thousand_come_and_go(server: SocketAddr) {
    for _ in 0..1000 / CROWD {
        come_and_go(server, CROWD);
    }
}

/// All that the server says it holds; the one connection is the one that asks.
fn holdings(stats: &Value) -> Value {
    json!({
        "rooms": stats["rooms"],
        "participants": stats["participants"],
        "demuxEntries": stats["core"]["demuxEntries"],
        "deadlines": stats["core"]["deadlines"],
        "connections": stats["shell"]["connections"],
        "dtlsSessions": stats["shell"]["dtlsSessions"],
    })
}

fn nothing() -> Value {
    json!({
        "rooms": [], "participants": 0, "demuxEntries": 0, "deadlines": 0, "connections": 1, "dtlsSessions": 0,
    })
}

fn until_nothing_is_left(server: SocketAddr) {
    let mut last = Value::Null;
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually("nothing is left", || {
            last = holdings(&stats(server));
            (last == nothing()).then_some(())
        });
    }));
    assert!(found.is_ok(), "left behind: {last}");
}

#[test]
fn a_thousand_joins_and_leaves_leave_nothing_behind() {
    let server = Server::start(&[
        ("ROOMS_EMPTY_TIMEOUT", "0"),
        ("SIGNALLING_RESUME_TIMEOUT", "0.2"),
        ("SIGNALLING_MAX_CONNECTIONS_PER_ADDRESS", "1000"),
        ("SIGNALLING_JOIN_BURST", "100000"),
    ]);
    come_and_go(server.address, WARM_UP);
    until_nothing_is_left(server.address);
    let (before, resident_before) = (server.descriptors(), server.resident());
    a_thousand_come_and_go(server.address);
    until_nothing_is_left(server.address);
    // Not more: when they were counted first, the connection that had asked may still have been closing.
    eventually("no more descriptors than before", || (server.descriptors() <= before).then_some(()));
    let resident = server.resident();
    println!("resident {} KiB -> {} KiB", resident_before / 1024, resident / 1024);
    assert!(resident < resident_before + GROWTH, "{resident_before} bytes before, {resident} after");
}

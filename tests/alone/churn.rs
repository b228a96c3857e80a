//! Coming and going leaves nothing behind, to the byte, as far as Rust allocates it. It counts this process's memory and
//! descriptors. What C libraries allocate shows in the resident memory of the whole program: `tests/binary/soak.rs`.

use std::time::Instant;

use serde_json::{Value, json};
use strait::net::ShellConfig;

use crate::support::people::{Endpoint, Person, until};
use crate::support::{PATIENCE, Server, close_code, config};
use crate::{allocator, alone};

/// What may not grow.
#[derive(Debug, PartialEq, Eq)]
struct Live {
    descriptors: usize,
    core: Value,
    connections: Value,
    dtls_sessions: Value,
    rooms: usize,
}

fn live(server: &Server) -> Live {
    let stats = server.get("/admin/v1/stats").json();
    Live {
        descriptors: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        core: json!([stats["core"]["demuxEntries"], stats["core"]["deadlines"]]),
        connections: stats["shell"]["connections"].clone(),
        dtls_sessions: stats["shell"]["dtlsSessions"].clone(),
        rooms: stats["rooms"].as_array().map_or(0, Vec::len),
    }
}

/// The state once everyone is gone, with no more descriptors than that.
fn settled(server: &Server, descriptors_max: usize) -> Live {
    let started = Instant::now();
    loop {
        let live = live(server);
        // The one connection is the one that asks.
        let gone = live.core == json!([0, 0]) && live.connections == 1 && live.dtls_sessions == 0;
        if gone && live.descriptors <= descriptors_max {
            return live;
        }
        assert!(started.elapsed() < PATIENCE, "something stays behind: {live:?}");
    }
}

/// Somebody joins, connects and goes, one way or another.
fn visit(server: &Server, number: u32) {
    let mut person = Person::join(server, Some(&format!("room-{}", number % 7)), "Anna");
    let mut endpoint = Endpoint::connect(&mut person, number.is_multiple_of(2));
    until(&mut [&mut endpoint], "connected", |endpoints| endpoints[0].rtc.is_connected());
    if number.is_multiple_of(3) {
        person.ask("leave", json!({}));
    } else {
        person
            .socket
            .close(Some(tungstenite::protocol::CloseFrame {
                code: tungstenite::protocol::frame::coding::CloseCode::Normal,
                reason: "".into(),
            }))
            .expect("closed");
    }
    close_code(&mut person.socket);
}

#[test]
fn a_thousand_visits_leave_everything_as_it_was() {
    let _alone = alone();
    let server = Server::start(ShellConfig { connections_per_address_max: 10_000, ..config() });
    (0..100).for_each(|number| visit(&server, number));
    let before = settled(&server, usize::MAX);
    let bytes_before = allocator::allocated();
    (0..1000).for_each(|number| visit(&server, number));
    let after = settled(&server, before.descriptors);
    let bytes_after = allocator::allocated();
    // When they were counted first, the connection that had asked may still have been closing: at most one fewer now.
    assert!(before.descriptors - after.descriptors <= 1, "{before:?}, then {after:?}");
    assert_eq!(Live { descriptors: after.descriptors, ..before }, after);
    let grown = (bytes_after as f64 - bytes_before as f64) / bytes_before as f64;
    assert!(grown < 0.01, "{bytes_before} bytes were allocated, now {bytes_after}");
}

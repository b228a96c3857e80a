//! Who is kept out, who has to wait, and who is spared: addresses, names, rates, and people who read slowly.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;
use socket2::{Domain, Socket, Type};
use strait::net::{AddressFilter, ShellConfig};
use tungstenite::Message;

use crate::support::people::Person;
use crate::support::{PATIENCE, Server, config};

/// Connects from another address of this machine.
fn connect_from(source: &str, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let source: SocketAddr = format!("{source}:0").parse().expect("an address");
    socket.bind(&source.into()).expect("all of 127.0.0.0/8 is this machine");
    socket.connect(&server.into()).expect("the kernel accepts");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    socket.into()
}

#[test]
fn an_address_that_the_operator_does_not_want_finds_no_server() {
    let deny = vec!["127.0.0.2".parse().expect("a network")];
    let addresses = AddressFilter { deny, ..AddressFilter::default() };
    let server = Server::start(ShellConfig { addresses, ..config() });
    assert_eq!(server.get("/health").status, 200);
    let mut refused = connect_from("127.0.0.2", server.address);
    let mut answer = Vec::new();
    // Closed with nothing said; whether as an end or as a reset is the kernel's business.
    let _ = refused.read_to_end(&mut answer);
    assert_eq!(answer, b"");
}

#[test]
fn a_page_by_another_name_does_not_come_in() {
    let server = Server::start(ShellConfig { hosts: vec!["call.example.org".into()], ..config() });
    let status = |host: &str, origin: &str| {
        let text = format!("GET /health HTTP/1.1\r\nHost: {host}\r\n{origin}Connection: close\r\n\r\n");
        server.request(&text).status
    };
    assert_eq!(status("call.example.org:7443", ""), 200);
    assert_eq!(status("localhost", "Origin: http://localhost\r\n"), 200);
    assert_eq!(status("rebound.example", ""), 421);
    let open = Server::start(config());
    let rebound = "GET /health HTTP/1.1\r\nHost: rebound.example\r\nOrigin: http://rebound.example\r\n\r\n";
    let refused = open.request(rebound);
    assert_eq!(refused.status, 421, "on this machine without a list, too");
    assert!(refused.text().contains("server.hosts"), "{}", refused.text());
}

#[test]
fn who_asks_too_often_is_told_to_wait() {
    let server = Server::start(ShellConfig { requests_per_second: 1, requests_burst: 20, ..config() });
    let statuses: Vec<u16> = (0..40).map(|_| server.get("/health").status).collect();
    assert!(statuses[..20].iter().all(|status| *status == 200), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[test]
fn who_asks_too_often_without_waiting_for_answers_is_cut_and_pauses_in_the_end() {
    let server = Server::start(ShellConfig { requests_per_second: 1, requests_burst: 20, ..config() });
    let ask_without_waiting = |source: &str| {
        let mut stream = connect_from(source, server.address);
        // The server may end before it has all of this.
        let _ = stream.write_all("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200).as_bytes());
        let mut answers = Vec::new();
        let _ = stream.read_to_end(&mut answers);
        String::from_utf8_lossy(&answers).into_owned()
    };
    let answers = ask_without_waiting("127.0.0.2");
    let told = |status: &str| answers.matches(&format!("HTTP/1.1 {status} ")).count();
    assert_eq!((told("200"), told("429")), (20, 1), "one refusal, and the connection ends");
    let started = Instant::now();
    while !ask_without_waiting("127.0.0.2").contains("this address has to pause") {
        assert!(started.elapsed() < Duration::from_secs(10), "it goes on for ever");
    }
    assert!(
        health_from("127.0.0.3", server.address).starts_with("HTTP/1.1 200"),
        "another address is served"
    );
}

/// Asks from another address of this machine whether the server is well. Returns what it answers.
fn health_from(source: &str, server: SocketAddr) -> String {
    let mut stream = connect_from(source, server);
    let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    // Whoever has to pause is told so before they ask.
    let _ = stream.write_all(request);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn an_address_whose_clients_are_cut_again_and_again_has_to_pause() {
    let server = Server::start(config());
    let break_rules_from = |source: &str| {
        for _ in 0..8 {
            let stream = connect_from(source, server.address);
            let url = format!("ws://localhost:{}/ws", server.address.port());
            let (mut socket, _) = tungstenite::client(url, stream).expect("a WebSocket");
            for _ in 0..200 {
                if socket.send(Message::text("{")).is_err() {
                    break;
                }
            }
            while socket.read().is_ok() {}
        }
    };
    break_rules_from("127.0.0.2");
    let started = Instant::now();
    while !health_from("127.0.0.2", server.address).starts_with("HTTP/1.1 429") {
        assert!(started.elapsed() < Duration::from_secs(10), "it goes on");
    }
    let other = health_from("127.0.0.3", server.address);
    assert!(other.starts_with("HTTP/1.1 200"), "another address is served: {other}");
    break_rules_from("127.0.0.1");
    let own = health_from("127.0.0.1", server.address);
    assert!(own.starts_with("HTTP/1.1 200"), "the operator of this machine gets in: {own}");
}

#[test]
fn who_reads_slowly_loses_what_others_say_and_stays_in_the_call() {
    let server = Server::start(config());
    let mut anna = Person::join(&server, Some("standup"), "Anna");
    let mut ben = Person::join(&server, Some("standup"), "Ben");
    let payload = "x".repeat(16_000);
    let dropped = || {
        let page = server.get("/metrics").text();
        let line = page.lines().find_map(|line| line.strip_prefix("strait_data_dropped_total "));
        line.and_then(|count| count.trim().parse::<f64>().ok()).expect("the figure")
    };
    let started = Instant::now();
    while dropped() == 0.0 {
        for _ in 0..50 {
            let reply = anna.ask("data", json!({"topic": "t", "payload": payload}));
            assert_eq!(reply["type"], "ok", "{reply}");
        }
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is ever dropped");
    }
    for _ in 0..200 {
        anna.ask("data", json!({"topic": "t", "payload": payload}));
    }
    // He reads again: what waited, and then the answer to what he asks.
    assert_eq!(ben.ask("ping", json!({}))["type"], "pong");
}

//! HTTP and WebSockets: what the shell serves, what it refuses, and that every limit holds.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use strait::net::ExitReason;
use tungstenite::{Message, WebSocket};

use crate::support::people::Person;
use crate::support::{Server, close_code, config};

fn ping(id: u32) -> Message {
    Message::text(format!(r#"{{"type":"ping","id":{id}}}"#))
}

#[test]
fn the_page_is_served_with_strict_headers_and_revalidated() {
    let server = Server::start(config());
    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert_eq!(page.field("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.field("cache-control"), "no-cache");
    assert_eq!(page.field("x-content-type-options"), "nosniff");
    assert_eq!(page.field("referrer-policy"), "no-referrer");
    let policy = page.field("content-security-policy");
    assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(page.field("permissions-policy").contains("camera=(self)"));

    let etag = page.field("etag").to_string();
    let again = server.request(&format!("GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: {etag}\r\n\r\n"));
    assert_eq!((again.status, again.body.len()), (304, 0));
    let head = server.request("HEAD /index.html HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.field("content-length"), page.body.len().to_string());
}

#[test]
fn health_is_short_and_honest() {
    let server = Server::start(config());
    let health = server.get("/health");
    assert_eq!(health.status, 200);
    let health = health.json();
    assert_eq!(
        (&health["status"], &health["live"], &health["ready"]),
        (&"ok".into(), &true.into(), &true.into())
    );
    assert_eq!((health["rooms"].as_u64(), health["participants"].as_u64()), (Some(0), Some(0)));
    assert!(health["uptimeSeconds"].is_u64() && health["version"].is_string());
}

#[test]
fn what_is_not_there_or_not_allowed_says_so() {
    let server = Server::start(config());
    let missing = server.get("/client/../../etc/passwd");
    assert_eq!(missing.status, 404);
    assert!(missing.text().contains("/ws"), "{}", missing.text());
    let wrong = server.request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!((wrong.status, wrong.field("allow")), (405, "GET, HEAD"));
    let no_upgrade = server.get("/ws");
    assert_eq!(no_upgrade.status, 426);
    assert_eq!(server.request("NONSENSE\r\n\r\n").status, 400);
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(17_000));
    assert_eq!(server.request(&large).status, 431);
    let body = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    assert_eq!(server.request(body).status, 413);
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(server.request(chunked).status, 411);
}

#[test]
fn one_connection_takes_many_requests_even_at_once() {
    let server = Server::start(config());
    let mut stream = server.connect();
    let one = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(format!("{}{last}", one.repeat(500)).as_bytes()).expect("written");
    let mut all = String::new();
    stream.read_to_string(&mut all).expect("answers, then the end");
    assert_eq!(all.matches("HTTP/1.1 200").count(), 500);
    assert_eq!(all.matches("HTTP/1.1 404").count(), 1);
}

#[test]
fn a_client_that_asks_and_does_not_read_costs_nothing_and_is_closed() {
    let server = Server::start(strait::net::ShellConfig {
        idle_timeout: Duration::from_millis(500),
        connections_per_address_max: 10,
        ..config()
    });
    let mut deaf = server.connect();
    deaf.set_nonblocking(true).expect("set");
    let requests = "GET /sdk/strait.js HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    let flood = Instant::now();
    // Until the server reads no more, for a while.
    let mut blocked_at = None;
    while blocked_at.is_none_or(|at: Instant| at.elapsed() < Duration::from_millis(50)) {
        match deaf.write(requests.as_bytes()) {
            Ok(_) => blocked_at = None,
            Err(_) => blocked_at = blocked_at.or(Some(Instant::now())),
        }
        assert!(flood.elapsed() < Duration::from_secs(20), "the server never stops reading");
    }
    let turns = |server: &Server| server.get("/admin/v1/stats").json()["shell"]["turns"].as_u64();
    let before = turns(&server);
    // One that says nothing is closed after the same time: a clock to wait by.
    let mut silent = server.connect();
    silent.read_to_end(&mut Vec::new()).expect("the end");
    let after = turns(&server);
    assert!(after < before.map(|turns| turns + 5000), "the server spins: {before:?} {after:?}");
    let started = Instant::now();
    while server.get("/admin/v1/stats").json()["shell"]["connections"] != 1 {
        assert!(started.elapsed() < Duration::from_secs(10), "it is never closed");
    }
}

#[test]
fn a_head_that_does_not_arrive_in_time_is_answered_408() {
    let server =
        Server::start(strait::net::ShellConfig { handshake_timeout: Duration::from_millis(500), ..config() });
    let mut slow = server.connect();
    slow.write_all(b"GET / HTTP/1.1\r\nHost:").expect("written");
    let mut silent = server.connect();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).expect("an answer, then the end");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let mut nothing = Vec::new();
    silent.read_to_end(&mut nothing).expect("the end");
    assert!(nothing.is_empty());
}

#[test]
fn an_idle_connection_is_closed() {
    let server =
        Server::start(strait::net::ShellConfig { idle_timeout: Duration::from_millis(500), ..config() });
    let mut stream = server.connect();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").expect("written");
    let mut all = String::new();
    stream.read_to_string(&mut all).expect("an answer, then the end");
    assert!(all.starts_with("HTTP/1.1 200"), "{all}");
}

#[test]
fn pages_of_foreign_origins_are_refused_and_others_come_in() {
    let server = Server::start(strait::net::ShellConfig {
        allowed_origins: vec!["https://meet.example.org".into()],
        ..config()
    });
    let host = server.address.to_string();
    let upgrade = |origin: &str| {
        server.request(&format!(
            "GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{origin}\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ))
    };
    let foreign = upgrade("Origin: https://evil.example\r\n");
    assert_eq!(foreign.status, 403);
    assert!(foreign.text().contains("allowed_origins"), "{}", foreign.text());
    assert_eq!(upgrade(&format!("Origin: http://{host}\r\n")).status, 101);
    assert_eq!(upgrade("Origin: https://meet.example.org\r\n").status, 101);
    let native = upgrade("");
    assert_eq!(native.status, 101);
    assert_eq!(native.field("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn a_socket_answers_and_explains_what_it_does_not_take() {
    let server = Server::start(config());
    let mut socket = server.web_socket();
    socket.send(ping(7)).expect("sent");
    let pong = socket.read().expect("a pong").to_string();
    assert!(pong.contains("pong") && pong.contains('7'), "{pong}");
    socket.send(Message::binary(vec![1, 2, 3])).expect("sent");
    assert!(socket.read().expect("an error").to_string().contains("bad-message"));
    socket.send(Message::text("not json")).expect("sent");
    assert!(socket.read().expect("an error").to_string().contains("bad-message"));
    socket.send(ping(8)).expect("sent");
    assert!(socket.read().expect("still open").to_string().contains("pong"));
}

#[test]
fn a_message_over_the_limit_is_named_and_ends_the_socket() {
    let server = Server::start(strait::net::ShellConfig { message_bytes_max: 10_000, ..config() });
    let mut socket = server.web_socket();
    socket.send(Message::text(" ".repeat(10_001))).expect("sent");
    let error = socket.read().expect("an error").to_string();
    assert!(error.contains("message-too-large"), "{error}");
    assert_eq!(close_code(&mut socket), Some(1009));
}

/// A masked frame: its first byte, and what is in it.
fn frame(first: u8, text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short frame");
    assert!(length < 126, "a short frame");
    [&[first, 0x80 | length, 0, 0, 0, 0][..], text.as_bytes()].concat()
}

#[test]
fn a_message_may_come_in_pieces_with_pings_between_them() {
    let server = Server::start(config());
    let mut socket = server.web_socket();
    // Text that goes on, a ping within, an empty piece, the rest, and a pong that nobody asked for.
    for part in [
        frame(0x01, r#"{"type":"#),
        frame(0x89, "hi"),
        frame(0x00, ""),
        frame(0x80, r#""ping","id":7}"#),
        frame(0x8a, ""),
    ] {
        socket.get_mut().write_all(&part).expect("written");
    }
    assert_eq!(socket.read().expect("a pong"), Message::Pong("hi".into()));
    assert!(socket.read().expect("an answer").to_string().contains("pong"));
}

#[test]
fn names_of_several_code_points_are_kept_and_compression_is_not_taken_up() {
    let server = Server::start(config());
    let opened = server.request(&format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: chat\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
        server.address
    ));
    assert_eq!(opened.status, 101);
    assert_eq!(
        (opened.find("sec-websocket-extensions"), opened.find("sec-websocket-protocol")),
        (None, None)
    );
    let name = "\u{1f469}\u{200d}\u{1f467} Zo\u{eb}";
    let mut anna = Person::join(&server, Some("r"), "Anna");
    let _zoe = Person::join(&server, Some("r"), name);
    assert_eq!(anna.news("participant-joined")["name"], name);
}

#[test]
fn what_is_not_websocket_is_closed_with_its_code() {
    let server = Server::start(config());
    let mut socket = server.web_socket();
    // A text frame of one byte that is not UTF-8, masked with zeros.
    socket.get_mut().write_all(&[0x81, 0x81, 0, 0, 0, 0, 0xff]).expect("written");
    assert_eq!(close_code(&mut socket), Some(1007));
    let mut socket = server.web_socket();
    // Reserved bits.
    socket.get_mut().write_all(&[0xf1, 0x80, 0, 0, 0, 0]).expect("written");
    assert_eq!(close_code(&mut socket), Some(1002));
}

#[test]
fn too_many_messages_are_refused_one_by_one() {
    let server =
        Server::start(strait::net::ShellConfig { messages_per_second: 1, messages_burst: 5, ..config() });
    let mut socket = server.web_socket();
    for id in 0..8 {
        socket.send(ping(id)).expect("sent");
    }
    let answers: Vec<String> = (0..8).map(|_| socket.read().expect("an answer").to_string()).collect();
    assert!(answers.iter().filter(|answer| answer.contains("pong")).count() >= 5, "{answers:?}");
    let limited: Vec<_> = answers.iter().filter(|answer| answer.contains("rate-limited")).collect();
    assert!(!limited.is_empty(), "{answers:?}");
    assert!(limited.iter().all(|answer| answer.contains(r#""id":"#)), "each repeats its id: {limited:?}");
}

/// The next message that is no ping: a slow machine may have left the socket idle.
fn next_text(socket: &mut WebSocket<TcpStream>) -> String {
    loop {
        if let Message::Text(text) = socket.read().expect("an answer") {
            return text.to_string();
        }
    }
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_nobody_else_notices() {
    let server = Server::start(strait::net::ShellConfig { send_queue_bytes_max: 64 * 1024, ..config() });
    let mut good = server.web_socket();
    let mut deaf = server.web_socket();
    deaf.get_mut().set_write_timeout(Some(Duration::from_secs(20))).expect("set");
    let started = Instant::now();
    for id in 0.. {
        let message = br#"{"type":"ping","id":1}"#;
        let mut frame = vec![0x81, 0x80 | message.len() as u8, 0, 0, 0, 0];
        frame.extend_from_slice(message);
        let frames = frame.repeat(1000);
        if deaf.get_mut().write_all(&frames).is_err() {
            break;
        }
        good.send(ping(id)).expect("sent");
        assert!(next_text(&mut good).contains("pong"));
        assert!(started.elapsed() < Duration::from_secs(30), "the deaf client is still served");
    }
    good.send(ping(0)).expect("sent");
    assert!(next_text(&mut good).contains("pong"));
    let started = Instant::now();
    // The good one, and the request that asks.
    while server.get("/admin/v1/stats").json()["shell"]["connections"] != 2 {
        assert!(started.elapsed() < Duration::from_secs(10), "it is never closed");
    }
}

#[test]
fn one_address_may_have_so_many_connections_and_no_more() {
    let server = Server::start(strait::net::ShellConfig { connections_per_address_max: 3, ..config() });
    let mut kept: Vec<_> = (0..3).map(|_| server.web_socket()).collect();
    let refused = server.get("/");
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("too many connections"), "{}", refused.text());
    kept[0].send(ping(1)).expect("sent");
    assert!(kept[0].read().expect("an answer").to_string().contains("pong"));

    let mut gone = kept.pop().expect("three of them");
    gone.close(None).expect("closed");
    while gone.read().is_ok() {}
    drop(gone);
    let started = Instant::now();
    while server.get("/health").status == 503 {
        assert!(started.elapsed() < Duration::from_secs(10), "its place is never given back");
    }
}

#[test]
fn everyone_has_as_many_connections_as_the_server_takes() {
    let server = Server::start(strait::net::ShellConfig { connections_max: 2, ..config() });
    let _kept = [server.web_socket(), server.web_socket()];
    assert_eq!(server.get("/").status, 503);
}

#[test]
fn a_socket_that_nobody_joins_by_is_closed() {
    let server =
        Server::start(strait::net::ShellConfig { idle_timeout: Duration::from_millis(500), ..config() });
    let mut socket = server.web_socket();
    assert_eq!(close_code(&mut socket), Some(1000));
}

#[test]
fn a_silent_socket_is_pinged_and_given_up() {
    let server = Server::start(strait::net::ShellConfig {
        websocket_ping_interval: Duration::from_millis(50),
        websocket_timeout: Duration::from_millis(1500),
        ..config()
    });
    let mut lively = server.web_socket();
    let mut dead = server.web_socket();
    let mut pings = 0;
    while pings < 40 {
        // tungstenite answers pings by itself.
        pings += usize::from(lively.read().expect("a ping").is_ping());
    }
    let mut bytes = Vec::new();
    dead.get_mut().read_to_end(&mut bytes).expect("pings, then the end");
    assert!(bytes.starts_with(&[0x89, 0]), "{bytes:?}");
    lively.send(ping(1)).expect("still open");
}

#[test]
fn stopping_tells_sockets_why_and_ends_within_two_seconds() {
    let mut server = Server::start(config());
    let mut socket = server.web_socket();
    let _idle = server.connect();
    let started = Instant::now();
    server.stop.stop();
    assert_eq!(close_code(&mut socket), Some(1001));
    assert_eq!(server.join(), ExitReason::Stopped);
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(TcpStream::connect(server.address).is_err(), "nobody listens any more");
}

#[test]
fn administration_is_for_this_machine_or_the_tokens_holder() {
    let server = Server::start(strait::net::ShellConfig { admin_token: Some("secret".into()), ..config() });
    let get = |fields: &str| server.request(&format!("GET /admin/v1/rooms HTTP/1.1\r\n{fields}\r\n"));
    let local = get("Host: localhost\r\n");
    assert_eq!(local.status, 200);
    assert!(local.json()["rooms"].is_array());
    assert_eq!(get("Host: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n").status, 401);
    assert_eq!(get("Host: a\r\nX-Forwarded-For: 192.0.2.1\r\nAuthorization: Bearer secret\r\n").status, 200);
    assert_eq!(get("Host: localhost\r\nAuthorization: Bearer wrong\r\n").status, 401);
    let foreign = get("Host: localhost\r\nOrigin: https://evil.example\r\n");
    assert_eq!(foreign.status, 403);
    assert!(foreign.json()["action"].is_string());
    assert_eq!(get("Host: rebound.example\r\n").status, 403);
}

#[test]
fn administration_names_what_is_missing_and_changes_the_log_level() {
    let server = Server::start(config());
    let ask = |method: &str, path: &str, body: &str| {
        let length = body.len();
        server.request(&format!(
            "{method} /admin/v1/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    };
    assert_eq!(ask("GET", "rooms/nowhere", "").status, 404);
    assert_eq!(ask("DELETE", "rooms/nowhere", "").status, 404);
    assert_eq!(ask("DELETE", "rooms/nowhere/participants/p-0000000000000", "").status, 404);
    assert_eq!(ask("PUT", "rooms", "").status, 405);
    assert_eq!(ask("GET", "else", "").status, 404);
    assert_eq!(ask("PUT", "log-level", "debug").status, 204);
    let bad = ask("PUT", "log-level", "nonsense");
    assert_eq!((bad.status, bad.json()["error"].as_str()), (400, Some("unknown level nonsense")));
    let stats = ask("GET", "stats", "").json();
    assert!(stats["shell"]["udp"]["received"].is_u64(), "{stats}");
}

#[test]
fn datagrams_reach_the_core_and_junk_disturbs_nobody() {
    for force_portable_udp in [false, true] {
        let server = Server::start(strait::net::ShellConfig { force_portable_udp, ..config() });
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let sent = 200;
        for length in 0..sent {
            udp.send_to(&vec![length as u8; length * 5], server.address).expect("sent");
        }
        let started = Instant::now();
        loop {
            let received = server.get("/admin/v1/stats").json()["shell"]["udp"]["received"].as_u64();
            // An empty datagram is no datagram to the batched path.
            if received >= Some(sent as u64 - 1) {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(10), "{received:?} of {sent}");
        }
        assert_eq!(server.get("/health").status, 200);
    }
}

#[test]
fn the_default_address_takes_ipv4_too() {
    let server =
        Server::start(strait::net::ShellConfig { listen: "[::]:0".parse().expect("an address"), ..config() });
    assert!(server.reachable.iter().all(|address| !address.ip().is_loopback()), "{:?}", server.reachable);
    let ipv4 = std::net::SocketAddr::new(IpAddr::from([127, 0, 0, 1]), server.address.port());
    assert_eq!(server.request_at(ipv4, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
}

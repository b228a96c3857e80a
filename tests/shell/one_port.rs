//! One TCP port for everything, through the whole shell: TLS, HTTP and ICE-TCP told apart by their first bytes, the
//! rules on plain HTTP, and openings that mean no good.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use strait::net::{ShellConfig, TlsFiles, TurnConfig};
use tungstenite::Message;

use crate::support::ice_tcp::{TcpEndpoint, heard};
use crate::support::people::Person;
use crate::support::{Answer, PATIENCE, Server, config, connect, tls};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Everything until the server closes.
fn all(mut stream: impl Read) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the end");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn until_closed(server: &Server, left: u64) {
    let started = Instant::now();
    while server.connections() > left {
        assert!(started.elapsed() < PATIENCE, "{} connections are never closed", server.connections());
    }
}

#[test]
fn https_and_http_are_served_on_one_port() {
    let server = Server::start(config());
    let mut stream = tls::connect(server.address, &[]);
    stream.write_all(GET).expect("written");
    let page = all(&mut stream);
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("<!doctype html"), "{page}");
    let plain = server.get("/");
    assert_eq!(plain.status, 200);
    assert!(page.ends_with(&plain.text()));
}

#[test]
fn a_large_file_comes_whole_over_tls_one_request_after_the_other() {
    let server = Server::start(config());
    let sdk = server.get("/sdk/room.js").text();
    let mut stream = tls::connect(server.address, &[b"http/1.1"]);
    let rounds = 30;
    for round in 1..=rounds {
        let close = if round == rounds { "Connection: close\r\n" } else { "" };
        let request = format!("GET /sdk/room.js HTTP/1.1\r\nHost: a\r\n{close}\r\n");
        stream.write_all(request.as_bytes()).expect("written");
    }
    assert_eq!(all(&mut stream).matches(&sdk).count(), rounds);
}

#[test]
fn the_protocol_within_tls_shows_in_its_bytes_and_not_in_what_was_asked_for() {
    let server = Server::start(config());
    for alpn in [&[][..], &[&b"http/1.1"[..]], &[b"stun.turn"], &[b"stun.turn", b"http/1.1"]] {
        let mut stream = tls::connect(server.address, alpn);
        stream.write_all(GET).expect("written");
        assert!(all(&mut stream).starts_with("HTTP/1.1 200"), "{alpn:?}");
    }
}

#[test]
fn a_web_socket_within_tls_joins_a_room() {
    let server = Server::start(config());
    let stream = tls::connect(server.address, &[]);
    let url = format!("wss://{}/ws", server.address);
    let (mut socket, _) = tungstenite::client(url, stream).expect("the upgrade is accepted");
    let join = json!({"type": "join", "id": 1, "data": {"version": 1, "room": "r", "name": "Anna"}});
    socket.send(Message::text(join.to_string())).expect("sent");
    let joined = socket.read().expect("a reply").to_string();
    assert!(joined.contains("joined"), "{joined}");
}

#[test]
fn every_byte_may_come_alone() {
    let server = Server::start(config());
    let mut plain = connect(server.address);
    plain.set_nodelay(true).expect("set");
    for byte in GET {
        plain.write_all(&[*byte]).expect("written");
    }
    assert!(all(plain).starts_with("HTTP/1.1 200"));

    let mut stream = tls::connect(server.address, &[]);
    stream.sock.set_nodelay(true).expect("set");
    let mut hello = Vec::new();
    stream.conn.write_tls(&mut hello).expect("a ClientHello");
    for byte in hello {
        stream.sock.write_all(&[byte]).expect("written");
    }
    for byte in GET {
        stream.write_all(&[*byte]).expect("written");
    }
    assert!(all(stream).starts_with("HTTP/1.1 200"));
}

/// A certificate and its key, in one file each, as the server itself makes them.
fn make_certificate(files: &TlsFiles) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(&files.cert, made.cert.pem()).expect("written");
    fs::write(&files.key, made.signing_key.serialize_pem()).expect("written");
}

fn temporary(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("strait-one-port-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory");
    directory
}

#[test]
fn a_renewed_certificate_is_for_new_connections_and_drops_nobody() {
    let directory = temporary("renewed");
    let files = TlsFiles { cert: directory.join("cert.pem"), key: directory.join("key.pem") };
    make_certificate(&files);
    let server = Server::start(ShellConfig { tls_files: Some(files.clone()), ..config() });
    let first = tls::certificate(server.address);
    let stream = tls::connect(server.address, &[]);
    let url = format!("wss://{}/ws", server.address);
    let (mut socket, _) = tungstenite::client(url, stream).expect("the upgrade is accepted");

    make_certificate(&files);
    let started = Instant::now();
    let second = loop {
        let seen = tls::certificate(server.address);
        if seen != first {
            break seen;
        }
        assert!(started.elapsed() < PATIENCE, "the new certificate is never used");
    };
    socket.send(Message::text(r#"{"type":"ping","id":1,"data":{}}"#)).expect("sent");
    assert!(socket.read().expect("a reply").to_string().contains("pong"));

    fs::write(&files.cert, "half a certificate").expect("written");
    let looked = Instant::now();
    // Longer than files are left alone: there is no other sign of a reload that changed nothing.
    while looked.elapsed() < Duration::from_secs(5) {
        assert_eq!(tls::certificate(server.address), second, "a broken file replaced the certificate");
    }
    fs::remove_dir_all(&directory).expect("removed");
}

#[test]
fn a_self_signed_certificate_outlives_a_restart() {
    let directory = temporary("kept");
    let start = || Server::start(ShellConfig { data_dir: Some(directory.clone()), ..config() });
    let first = tls::certificate(start().address);
    assert_eq!(tls::certificate(start().address), first);
    let other = Server::start(config());
    assert_ne!(tls::certificate(other.address), first, "nothing is kept where nothing is to be kept");
    fs::remove_dir_all(&directory).expect("removed");
}

/// What somebody elsewhere is answered, by way of a proxy that is trusted and says how they came.
fn forwarded(server: &Server, line: &str, scheme: &str) -> Answer {
    server.request(&format!(
        "{line} HTTP/1.1\r\nHost: meet.example:8443\r\nX-Forwarded-For: 203.0.113.9\r\n\
         X-Forwarded-Proto: {scheme}\r\nConnection: close\r\n\r\n"
    ))
}

#[test]
fn without_tls_others_are_sent_to_it_or_told_about_it() {
    let proxied = ShellConfig { trusted_proxies: vec!["127.0.0.1".parse().expect("a network")], ..config() };
    let server = Server::start(proxied.clone());
    let page = forwarded(&server, "GET /?room=a", "http");
    assert_eq!((page.status, page.field("location")), (308, "https://meet.example:8443/?room=a"));
    for line in ["GET /ws", "POST /whip/room", "POST /whep/room", "GET /api/v1"] {
        let refused = forwarded(&server, line, "http");
        assert_eq!(refused.status, 426, "{line}");
        assert!(refused.json()["action"].as_str().expect("what to do").contains("meet.example:8443"));
    }
    assert_eq!(forwarded(&server, "GET /health", "http").status, 200);
    assert_eq!(forwarded(&server, "GET /", "https").status, 200);
    assert_eq!(server.get("/").status, 200, "the proxy's own machine, for itself");

    let server = Server::start(ShellConfig { allow_plain_http: true, ..proxied });
    assert_eq!(forwarded(&server, "GET /", "http").status, 200);
    // Not believed by default: then it is somebody on this machine.
    let server = Server::start(config());
    assert_eq!(forwarded(&server, "GET /", "http").status, 200);
}

#[test]
fn a_peer_at_an_interfaces_address_is_no_loopback_peer() {
    let server = Server::start(ShellConfig { listen: "[::]:0".parse().expect("an address"), ..config() });
    // A machine without a network has no such address, and nobody who could come by it.
    let elsewhere = server.reachable.iter().copied().filter(|address| !address.ip().is_loopback());
    for address in elsewhere {
        let ask = |path: &str| {
            server.request_at(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"))
        };
        let page = ask("/app/main.js");
        assert_eq!((page.status, page.field("location")), (308, &*format!("https://{address}/app/main.js")));
        assert_eq!((ask("/ws").status, ask("/health").status), (426, 200));
        let mut stream = tls::connect(address, &[]);
        stream.write_all(GET).expect("written");
        assert!(all(stream).starts_with("HTTP/1.1 200"));
    }
}

#[test]
fn connections_of_a_trusted_proxy_are_counted_for_whom_it_serves() {
    let server = Server::start(ShellConfig {
        trusted_proxies: vec!["127.0.0.0/8".parse().expect("a network")],
        connections_per_address_max: 2,
        ..config()
    });
    let open = |client: &str| {
        let mut stream = connect(server.address);
        let request =
            format!("GET /health HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7, {client}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("written");
        let mut start = [0; 12];
        stream.read_exact(&mut start).expect("an answer");
        (String::from_utf8_lossy(&start[9..]).into_owned(), stream)
    };
    let (anna, ben) = ("203.0.113.1", "203.0.113.2");
    let mut kept: Vec<(String, TcpStream)> = [anna, ben, anna, ben].map(open).into_iter().collect();
    assert!(kept.iter().all(|(status, _)| status == "200"));
    assert_eq!(open(anna).0, "503");
    kept.remove(0);
    let started = Instant::now();
    while open(anna).0 != "200" {
        assert!(started.elapsed() < PATIENCE, "its place is never given back");
    }
}

fn talk(segment: usize) -> Server {
    let server = Server::start(config());
    let mut anna = Person::join(&server, Some("r"), "Anna");
    let mut ben = Person::join(&server, Some("r"), "Ben");
    let mut speaker = TcpEndpoint::connect(&server, &mut anna, true, segment);
    let mut listener = TcpEndpoint::connect(&server, &mut ben, false, segment);
    heard(&mut speaker, &mut listener, &mut 1000, 50);
    let stats = server.get("/admin/v1/stats").json();
    assert_eq!(stats["rooms"][0]["participants"][0]["path"]["transport"], "tcp", "{stats}");
    assert!(stats["shell"]["iceTcp"]["sent"].as_u64() > Some(50), "{stats}");
    assert_eq!(stats["shell"]["iceTcp"]["droppedFull"], 0, "{stats}");
    server
}

#[test]
fn two_people_talk_over_ice_tcp_alone() {
    talk(usize::MAX);
}

#[test]
fn frames_may_come_in_segments_of_one_byte() {
    talk(1);
}

/// A Binding request that nobody asked for, in a frame.
fn stray_check() -> Vec<u8> {
    let mut bytes = vec![0, 20, 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    bytes.extend_from_slice(&[7; 12]);
    bytes
}

#[test]
fn whoever_passes_no_check_is_closed_in_time() {
    let server = Server::start(ShellConfig { handshake_timeout: Duration::from_millis(300), ..config() });
    let mut stranger = connect(server.address);
    let started = Instant::now();
    stranger.write_all(&stray_check()).expect("written");
    // Frames go on coming; that alone is no reason to stay.
    stranger.set_read_timeout(Some(Duration::from_millis(20))).expect("set");
    let mut byte = [0];
    while !matches!(stranger.read(&mut byte), Ok(0)) && stranger.write_all(&stray_check()).is_ok() {
        assert!(started.elapsed() < PATIENCE, "it is never closed");
    }
    until_closed(&server, 0);

    let mut long = connect(server.address);
    long.write_all(&stray_check()).expect("written");
    long.write_all(&[0xff; 10]).expect("written");
    assert_eq!(all_or_reset(long), "");
}

/// As [`all`]; a server that closes with bytes unread resets the stream.
fn all_or_reset(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn what_is_not_served_is_closed_without_a_word() {
    let turn = TurnConfig { enabled: false, ..TurnConfig::default() };
    let server = Server::start(ShellConfig { turn, ..config() });
    let turn = [0, 3, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    let openings: [&[u8]; 5] = [
        &turn,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        &[0xff; 10],
        &[0x80, 0x46, 1, 3, 1, 0, 0x2d, 0, 0, 0],
    ];
    for opening in openings {
        let mut stream = connect(server.address);
        stream.write_all(opening).expect("written");
        assert_eq!(all_or_reset(stream), "", "{opening:?}");
    }
    // Within TLS neither TLS nor ICE-TCP.
    let check = stray_check();
    for opening in [&[0x16, 3, 1, 0, 0x7f, 1, 0, 0, 0, 0][..], &check] {
        let mut stream = tls::connect(server.address, &[]);
        stream.write_all(opening).expect("written");
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        assert_eq!(bytes, b"", "{opening:?}");
    }
    until_closed(&server, 0);
}

#[test]
fn a_listening_address_of_ipv6_takes_ice_tcp_and_tls() {
    let server = Server::start(ShellConfig { listen: "[::]:0".parse().expect("an address"), ..config() });
    for ip in [IpAddr::from([127, 0, 0, 1]), std::net::Ipv6Addr::LOCALHOST.into()] {
        let address = SocketAddr::new(ip, server.address.port());
        assert!(!tls::certificate(address).is_empty());
    }
}

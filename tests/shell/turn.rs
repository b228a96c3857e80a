//! The embedded TURN server through the whole shell: who may use it, what it relays, and above all what it does not.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strait::net::{RelayedNetwork, ShellConfig, TurnConfig};
use strait::signal::native::IceServer;
use tungstenite::Message;
use turn_server_proto::types::stun::attribute::ErrorCode;
use turn_server_proto::types::stun::message::BINDING;

use crate::program::{self, Serving};
use crate::support::people::Person;
use crate::support::relayed::{RelayedEndpoint, heard};
use crate::support::turn::{Answer, FICTITIOUS_PEER, Login, Relayed, TurnClient};
use crate::support::{PATIENCE, Server, config, connect};

/// A peer that sends everything back; the tests' own.
const ECHO: &str = "192.0.2.9:3480";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// A server whose TURN part was changed.
fn server(change: impl FnOnce(&mut TurnConfig)) -> Server {
    let network = Some(RelayedNetwork::FIRST);
    let mut turn = TurnConfig { network, echo_peer: Some(address(ECHO).ip()), ..TurnConfig::default() };
    change(&mut turn);
    Server::start(ShellConfig { turn, ..config() })
}

/// Somebody's credentials.
fn login(server: &Server) -> Login {
    Login::of(&Person::join(server, None, "Anna"))
}

/// A client on each transport.
fn on_each(server: &Server) -> [(&'static str, TurnClient); 4] {
    let login = login(server);
    [
        ("UDP", TurnClient::udp(server, login.clone())),
        ("TCP", TurnClient::tcp(server, login.clone(), usize::MAX)),
        ("TCP, byte by byte", TurnClient::tcp(server, login.clone(), 1)),
        ("TLS", TurnClient::tls(server, login)),
    ]
}

/// A figure of `/metrics`.
fn metric(server: &Server, name: &str) -> u64 {
    let page = server.get("/metrics").text();
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse::<f64>().expect("a number") as u64
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "it never happened: {what}");
    }
}

#[test]
fn whoever_joins_gets_credentials_for_tcp_and_tls_alone() {
    let server = server(|_| ());
    let (anna, ben) = (Person::join(&server, Some("r"), "Anna"), Person::join(&server, Some("r"), "Ben"));
    let (annas, bens) = (Login::of(&anna), Login::of(&ben));
    let at = server.address;
    assert_eq!(annas.urls, [format!("turn:{at}?transport=tcp"), format!("turns:{at}?transport=tcp")]);
    assert!(annas.username.ends_with(anna.id()) && annas.username != bens.username);
    assert_ne!(annas.password, bens.password);
}

#[test]
fn servers_of_others_come_behind_our_own() {
    let other = IceServer {
        urls: vec!["turn:turn.example.org".to_owned()],
        username: Some("anna".to_owned()),
        credential: Some("secret".to_owned()),
    };
    for (enabled, place) in [(true, 1), (false, 0)] {
        let turn = TurnConfig { enabled, ..TurnConfig::default() };
        let server = Server::start(ShellConfig { turn, ice_servers: vec![other.clone()], ..config() });
        let given = Person::join(&server, None, "Anna").joined["iceServers"].clone();
        let expected = json!({"urls": ["turn:turn.example.org"], "username": "anna", "credential": "secret"});
        assert_eq!((given.as_array().map(Vec::len), &given[place]), (Some(place + 1), &expected), "{given}");
    }
}

#[test]
fn data_goes_there_and_back_whatever_its_length() {
    let server = server(|_| ());
    for (name, client) in on_each(&server) {
        let mut client = client.allocated();
        assert_eq!(client.bind(0x4000, address(ECHO)), None, "{name}");
        for length in [0, 1, 2, 3, 4, 101, 1200, 1472] {
            let data = vec![length as u8; length];
            client.send_by_channel(0x4000, &data);
            assert_eq!(
                client.receive(PATIENCE),
                Some(Relayed { peer: address(ECHO), data }),
                "{name} {length}"
            );
        }
        let other = address("192.0.2.9:9");
        assert_eq!(client.permit(other), None, "{name}");
        client.send_to(other, b"indicated");
        let back = Relayed { peer: other, data: b"indicated".to_vec() };
        assert_eq!(client.receive(PATIENCE), Some(back), "{name}");
        assert_eq!(
            (client.refresh(600), client.refresh(0), client.refresh(0)),
            (None, None, Some(437)),
            "{name}"
        );
    }
}

/// Anna speaks over one transport, Ben listens over another. What the server calls their paths; and their ends, for the
/// call to last.
fn call(
    server: &Server,
    speaker: &str,
    listener: &str,
    by_channel: bool,
) -> (Vec<String>, [RelayedEndpoint; 2]) {
    let (mut anna, mut ben) =
        (Person::join(server, Some("r"), "Anna"), Person::join(server, Some("r"), "Ben"));
    let client = |person: &Person, transport: &str| {
        let login = Login::of(person);
        match transport {
            "UDP" => TurnClient::udp(server, login),
            "TCP" => TurnClient::tcp(server, login, usize::MAX),
            _ => TurnClient::tls(server, login),
        }
    };
    let (annas, bens) = (client(&anna, speaker), client(&ben, listener));
    let mut speaker = RelayedEndpoint::connect(&mut anna, annas, true, by_channel, |_| true);
    let mut listener = RelayedEndpoint::connect(&mut ben, bens, false, by_channel, |_| true);
    heard(&mut speaker, &mut listener, 50);
    let room = server.get("/admin/v1/rooms/r").json();
    let members = room["participants"].as_array().expect("members").iter();
    let paths = members.map(|member| member["path"]["name"].as_str().expect("a name").to_owned()).collect();
    (paths, [speaker, listener])
}

#[test]
fn a_call_goes_by_turn_alone_and_the_operator_sees_how() {
    let server = server(|_| ());
    let (paths, _lasting) = call(&server, "TCP", "TLS", true);
    assert_eq!(paths, ["TURN/TCP", "TURN/TLS"]);
    let paths = server.get("/metrics").text();
    for line in ["{transport=\"turn_tcp\"} 1", "{transport=\"turn_tls\"} 1", "{transport=\"udp\"} 0"] {
        assert!(paths.contains(&format!("strait_media_paths{line}")), "{paths}");
    }
    assert!(metric(&server, "strait_turn_payload_bytes_total{direction=\"in\"}") > 50 * 60);
    assert!(metric(&server, "strait_turn_datagrams_total{direction=\"out\"}") > 50);
}

#[test]
fn a_call_goes_by_turn_over_udp_and_by_indications() {
    let server = server(|_| ());
    assert_eq!(call(&server, "UDP", "TCP", false).0, ["TURN/UDP", "TURN/TCP"]);
}

/// Whether somebody else hears anything of what a client sends to them, by every way of sending.
fn reaches(client: &mut TurnClient, peer: SocketAddr, heard: &std::net::UdpSocket) -> bool {
    client.send_to(peer, b"abuse");
    client.send_by_channel(0x4007, b"abuse");
    // An answer to a later request: what came before it has been handled.
    client.refresh(600);
    heard.set_nonblocking(true).expect("set");
    heard.recv(&mut [0; 100]).is_ok()
}

#[test]
fn it_relays_to_nobody_else() {
    let server = server(|turn| turn.echo_peer = None);
    let victim = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let theirs = victim.local_addr().expect("an address");
    let port = server.address.port();
    for (name, client) in on_each(&server) {
        let mut client = client.allocated();
        for peer in [
            "169.254.169.254:80".to_owned(),
            format!("[::ffff:127.0.0.1]:{port}"),
            format!("[::ffff:169.254.169.254]:{port}"),
            format!("[::1]:{port}"),
            format!("127.0.0.2:{port}"),
            format!("8.8.8.8:{port}"),
            format!("0.0.0.0:{port}"),
            format!("255.255.255.255:{port}"),
            "192.0.2.1:1024".to_owned(),
            ECHO.to_owned(),
        ] {
            let peer = address(&peer);
            assert_eq!(
                (client.permit(peer), client.bind(0x4007, peer)),
                (Some(403), Some(403)),
                "{name} {peer}"
            );
            assert!(!reaches(&mut client, peer, &victim), "{name} {peer}");
        }
        // Ports of our own addresses: a permission does not look at the port, a channel and the data do.
        for peer in [theirs, address("127.0.0.1:0"), address("192.0.2.254:9998")] {
            assert_eq!(client.bind(0x4007, peer), Some(403), "{name} {peer}");
            assert_eq!(client.permit(peer), None, "{name} {peer}");
            assert!(!reaches(&mut client, peer, &victim), "{name} {peer}");
        }
        assert_eq!(client.permit(address(FICTITIOUS_PEER)), None, "{name}");
    }
    let page = server.get("/metrics").text();
    assert!(page.contains("strait_turn_requests_refused_total{reason=\"peer\"} 92"), "{page}");
    assert!(metric(&server, "strait_turn_datagrams_dropped_total{reason=\"peer\"}") >= 12);
    assert!(metric(&server, "strait_turn_datagrams_dropped_total{reason=\"not_allowed\"}") >= 40);
    assert_eq!(metric(&server, "strait_turn_datagrams_total{direction=\"in\"}"), 0);
}

#[test]
fn a_client_cannot_reach_another_nor_the_listener_by_way_of_itself() {
    let server = server(|_| ());
    let login = login(&server);
    let mut first = TurnClient::udp(&server, login.clone());
    let theirs = first.allocate().relayed();
    assert_eq!(first.permit(address(ECHO)), None);
    let mut second = TurnClient::tcp(&server, login, usize::MAX).allocated();
    assert_eq!((second.permit(theirs), second.bind(0x4000, theirs)), (Some(403), Some(403)));
    second.send_to(theirs, b"hello");
    // Requests to the server itself by way of it: nothing of TURN or STUN listens there.
    assert_eq!(second.bind(0x4001, server.address), None);
    let before = metric(&server, "strait_turn_allocations_made_total");
    second.send_by_channel(0x4001, &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]);
    second.send_by_channel(0x4001, &[0, 3, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]);
    second.send_by_channel(0x4001, &[0x40, 0, 0, 1, 1, 0, 0, 0]);
    until("the datagrams reach the core and mean nothing there", || {
        metric(&server, "strait_datagrams_unknown_total")
            + metric(&server, "strait_datagrams_dropped_total{direction=\"in\",reason=\"unusable\"}")
            >= 3
    });
    assert_eq!(second.refresh(600), None);
    assert_eq!(metric(&server, "strait_turn_allocations_made_total"), before);
    assert!(
        first.receive(Duration::from_millis(1)).is_none()
            && second.receive(Duration::from_millis(1)).is_none()
    );
}

#[test]
fn nothing_is_sent_without_a_permission() {
    let server = server(|_| ());
    for (name, client) in on_each(&server) {
        let mut client = client.allocated();
        client.send_to(address(ECHO), b"hello");
        client.send_by_channel(0x4000, b"hello");
        assert_eq!(client.refresh(600), None, "{name}");
        assert!(client.receive(Duration::from_millis(1)).is_none(), "{name}");
    }
    assert_eq!(metric(&server, "strait_turn_datagrams_dropped_total{reason=\"not_allowed\"}"), 8);
}

#[test]
fn only_our_own_credentials_in_their_time_open_anything() {
    let server = server(|_| ());
    let good = login(&server);
    let (expires, participant) = good.username.split_once(':').expect("a time and a name");
    let later = format!("{}:{participant}", expires.parse::<u64>().expect("a time") + 1);
    let foreign = self::server(|_| ());
    for bad in [
        Login { password: "wrong".to_owned(), ..good.clone() },
        Login { username: later, ..good.clone() },
        Login { username: "somebody".to_owned(), ..good.clone() },
        Login { username: format!("1:{participant}"), ..good.clone() },
        login(&foreign),
    ] {
        let mut client = TurnClient::tcp(&server, bad.clone(), usize::MAX);
        assert_eq!(client.allocate().code, Some(401), "{bad:?}");
        let mut client = TurnClient::udp(&server, bad.clone());
        assert_eq!(client.allocate().code, Some(401), "{bad:?}");
    }
    assert_eq!(metric(&server, "strait_turn_requests_refused_total{reason=\"credentials\"}"), 8);
    assert_eq!(metric(&server, "strait_turn_requests_refused_total{reason=\"expired\"}"), 2);

    let short = self::server(|turn| turn.credential_lifetime = Duration::from_secs(1));
    let login = login(&short);
    let mut early = TurnClient::tcp(&short, login.clone(), usize::MAX).allocated();
    let expired = || TurnClient::tcp(&short, login.clone(), usize::MAX).allocate().code == Some(401);
    until("credentials expire", expired);
    assert_eq!(early.bind(0x4000, address(ECHO)), None, "a running allocation goes on");
}

#[test]
fn limits_are_said_with_their_own_codes() {
    let server = server(|turn| {
        turn.allocations_max = 3;
        turn.allocations_per_participant_max = 2;
        turn.permissions_max = 1;
        turn.channels_max = 1;
    });
    let (anna, ben) = (login(&server), login(&server));
    let mut kept: Vec<TurnClient> =
        (0..2).map(|_| TurnClient::tcp(&server, anna.clone(), usize::MAX).allocated()).collect();
    assert_eq!(TurnClient::udp(&server, anna.clone()).allocate().code, Some(486));
    kept.push(TurnClient::udp(&server, ben.clone()).allocated());
    assert_eq!(TurnClient::tls(&server, ben.clone()).allocate().code, Some(508));
    assert_eq!(kept[0].bind(0x4000, address(ECHO)), None);
    assert_eq!(kept[0].bind(0x4001, address("192.0.2.9:1")), Some(508), "a second channel");
    assert_eq!(kept[0].permit(address(FICTITIOUS_PEER)), Some(508), "a second permission");
    assert_eq!(metric(&server, "strait_turn_requests_refused_total{reason=\"quota\"}"), 1);
    assert_eq!(metric(&server, "strait_turn_requests_refused_total{reason=\"capacity\"}"), 3);
    assert_eq!(metric(&server, "strait_turn_allocations{transport=\"tcp\"}"), 2);
    // The end of a connection makes room.
    kept.remove(1);
    until("the allocation goes with its connection", || {
        metric(&server, "strait_turn_allocations{transport=\"tcp\"}") == 1
    });
    assert_eq!(TurnClient::udp(&server, anna).allocate().code, None);
}

#[test]
fn more_than_the_bandwidth_is_dropped_and_counted() {
    let server = server(|turn| turn.bits_per_second_max = 64_000);
    let mut client = TurnClient::tcp(&server, login(&server), usize::MAX).allocated();
    assert_eq!(client.bind(0x4000, address(ECHO)), None);
    for _ in 0..200 {
        client.send_by_channel(0x4000, &[7; 1000]);
    }
    assert_eq!(client.refresh(600), None);
    let dropped = metric(&server, "strait_turn_datagrams_dropped_total{reason=\"bandwidth\"}");
    assert!((100..=140).contains(&dropped), "{dropped} of 200, where 64 KiB may go at once");
}

#[test]
fn what_asks_for_addresses_is_told_and_leaves_no_trace() {
    let server = server(|_| ());
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    let ask = |kind: u8| {
        let request = [0, kind, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2];
        socket.send_to(&request, server.address).expect("sent");
        let mut buffer = [0; 500];
        let (length, from) = socket.recv_from(&mut buffer).expect("an answer");
        assert_eq!(from, server.address);
        Answer { bytes: buffer[..length].to_vec(), code: None }
    };
    assert_eq!(ask(1).mapped(), socket.local_addr().expect("an address"));
    // Requests about an allocation that is not there.
    for kind in [4, 8, 9] {
        let refusal = ask(kind);
        let code = refusal.message().attribute::<ErrorCode>().expect("a refusal").code();
        assert_eq!(code, 437);
    }
    assert_eq!(server.get("/admin/v1/stats").json()["shell"]["turn"]["clients"], 0);
    let mut client = TurnClient::tcp(&server, login(&server), 1);
    assert_eq!(client.request(BINDING, &[]).mapped().ip(), server.address.ip());
}

#[test]
fn whoever_shows_no_credentials_is_forgotten_in_time() {
    let server = Server::start(ShellConfig { handshake_timeout: Duration::from_millis(500), ..config() });
    let clients = || server.get("/admin/v1/stats").json()["shell"]["turn"]["clients"].as_u64();
    let nobody = Login { urls: Vec::new(), username: "x".to_owned(), password: "x".to_owned() };
    // More than are kept at a time.
    let strangers: Vec<TurnClient> = (0..1100)
        .map(|_| {
            let mut client = TurnClient::udp(&server, nobody.clone());
            client.send(&[0, 3, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]);
            client
        })
        .collect();
    assert!(clients() <= Some(1024));
    until("they are forgotten", || clients() == Some(0));
    drop(strangers);
    let mut idle = TurnClient::tcp(&server, nobody, usize::MAX);
    assert_eq!(idle.allocate().code, Some(401));
    assert!(idle.is_closed());
    until("and so is the connection", || clients() == Some(0));
}

#[test]
fn what_is_no_turn_message_ends_the_connection() {
    let server = server(|_| ());
    let login = login(&server);
    for garbage in
        [&[0x80, 0, 0, 0][..], &[0x40, 0, 0xff, 0], &[0, 1, 0, 3, 0, 0, 0, 0], b"GET / HTTP/1.1\r\n\r\n"]
    {
        for client in
            [TurnClient::tcp(&server, login.clone(), usize::MAX), TurnClient::tls(&server, login.clone())]
        {
            let mut client = client.allocated();
            client.send(garbage);
            assert!(client.is_closed(), "{garbage:?}");
        }
    }
    until("the allocations go too", || metric(&server, "strait_turn_allocations{transport=\"tls\"}") == 0);
}

#[test]
fn a_client_that_does_not_read_loses_whole_messages() {
    let server = server(|_| ());
    let mut client = TurnClient::tcp(&server, login(&server), usize::MAX).allocated();
    assert_eq!(client.bind(0x4000, address(ECHO)), None);
    let data = [7; 1001];
    let dropped = || metric(&server, "strait_turn_datagrams_dropped_total{reason=\"queue_full\"}");
    let started = Instant::now();
    while dropped() == 0 {
        assert!(started.elapsed() < PATIENCE, "nothing is ever dropped");
        for _ in 0..500 {
            client.send_by_channel(0x4000, &data);
        }
    }
    // All that is left is whole, up to the answer to what is asked behind it.
    let started = Instant::now();
    let mut seen = 0;
    while client.receive(Duration::from_millis(200)).is_some_and(|relayed| {
        assert_eq!(relayed, Relayed { peer: address(ECHO), data: data.to_vec() });
        true
    }) {
        seen += 1;
        assert!(started.elapsed() < PATIENCE, "it never ends");
    }
    assert!(seen > 100, "{seen}");
    assert_eq!(client.refresh(600), None);
}

#[test]
fn where_browsers_refuse_the_candidates_there_is_one_to_relay_to() {
    let turn = TurnConfig { network: Some(RelayedNetwork::FIRST), ..TurnConfig::default() };
    let server = Server::start(ShellConfig { listen: address("[::1]:0"), turn, ..config() });
    let (mut anna, mut ben) =
        (Person::join(&server, Some("r"), "Anna"), Person::join(&server, Some("r"), "Ben"));
    let (annas, bens) = (Login::of(&anna), Login::of(&ben));
    assert_eq!(annas.urls[0], format!("turn:[::1]:{}?transport=tcp", server.address.port()));
    let fictitious = |peer: &SocketAddr| *peer == address(FICTITIOUS_PEER);
    let annas = TurnClient::tls(&server, annas);
    let mut speaker = RelayedEndpoint::connect(&mut anna, annas, true, true, fictitious);
    let bens = TurnClient::tcp(&server, bens, usize::MAX);
    let mut listener = RelayedEndpoint::connect(&mut ben, bens, false, false, fictitious);
    heard(&mut speaker, &mut listener, 50);

    let server = self::server(|_| ());
    let mut anna = Person::join(&server, Some("r"), "Anna");
    let client = TurnClient::tcp(&server, Login::of(&anna), usize::MAX);
    RelayedEndpoint::connect(&mut anna, client, false, true, |peer| {
        assert_ne!(*peer, address(FICTITIOUS_PEER), "nowhere else");
        true
    });
}

#[test]
fn without_turn_nobody_is_told_of_any() {
    let server = server(|turn| turn.enabled = false);
    let anna = Person::join(&server, Some("r"), "Anna");
    assert_eq!(anna.joined["iceServers"], serde_json::json!([]));
    let server = self::server(|turn| turn.host = Some("turn.example.org:443".parse().expect("a host")));
    let urls = login(&server).urls;
    assert_eq!(urls, ["turn:turn.example.org:443?transport=tcp", "turns:turn.example.org:443?transport=tcp"]);
}

#[test]
fn a_stopping_server_does_not_wait_for_turn_clients() {
    let mut server = server(|_| ());
    let mut client = TurnClient::tcp(&server, login(&server), usize::MAX).allocated();
    server.stop.stop();
    assert!(client.is_closed());
    drop(client);
    server.join();
}

/// What an allocation holds of the server's memory, its connection included; printed, for `docs/one-port.md`.
#[test]
#[ignore = "a measurement"]
fn memory_of_an_allocation() {
    const COUNT: usize = 1000;
    for over_tls in [false, true] {
        let mut command = program::strait(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("STRAIT_SIGNALLING_MAX_CONNECTIONS_PER_ADDRESS", "100000");
        command.env("STRAIT_TURN_MAX_ALLOCATIONS_PER_PARTICIPANT", "10000");
        let serving = Serving::start(command.stderr(Stdio::null()));
        let at = serving.address;
        let resident = || {
            let text = std::fs::read_to_string(format!("/proc/{}/statm", serving.child.id())).expect("Linux");
            text.split(' ').nth(1).expect("a number").parse::<usize>().expect("a number") * 4096
        };
        let (mut socket, _) = tungstenite::client(format!("ws://{at}/ws"), connect(at)).expect("upgraded");
        let join = json!({"type": "join", "id": 1, "data": {"version": 1, "room": "r", "name": "Anna"}});
        socket.send(Message::text(join.to_string())).expect("sent");
        let joined: Value = serde_json::from_str(&socket.read().expect("a reply").to_string()).expect("JSON");
        let login = Login::from(&joined["data"]);
        let client = || {
            if over_tls {
                TurnClient::tls_at(at, login.clone())
            } else {
                TurnClient::tcp_at(at, login.clone(), usize::MAX)
            }
        };
        // What is needed once, whoever comes.
        let mut kept: Vec<TurnClient> = (0..100).map(|_| client().allocated()).collect();
        let before = resident();
        for _ in 0..COUNT {
            let mut client = client().allocated();
            assert_eq!(client.bind(0x4000, at), None);
            kept.push(client);
        }
        let each = (resident() - before) / COUNT;
        println!("{each} bytes for an allocation with a channel, TLS: {over_tls}");
    }
}

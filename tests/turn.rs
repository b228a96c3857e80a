//! The embedded TURN server through the whole shell: who may use it, what it relays, and above all what it does not.

mod shell_support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use shell_support::people::Person;
use shell_support::turn::{FICTITIOUS_PEER, Login, Relayed, TurnClient};
use shell_support::{PATIENCE, Server, config};
use strait::net::{ShellConfig, TurnConfig};

/// A peer that sends everything back; the tests' own.
const ECHO: &str = "192.0.2.9:3480";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// A server whose TURN part was changed.
fn server(change: impl FnOnce(&mut TurnConfig)) -> Server {
    let mut turn = TurnConfig { echo_peer: Some(address(ECHO).ip()), ..TurnConfig::default() };
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
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().expect("a number")
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
fn data_goes_there_and_back_whatever_its_length() {
    let server = server(|_| ());
    for (name, client) in on_each(&server) {
        let mut client = client.allocated();
        assert_eq!(client.bind(0x4000, address(ECHO)), None, "{name}");
        for length in [0, 1, 2, 3, 4, 101, 1200, 1472] {
            let data = vec![length as u8; length];
            client.send_by_channel(0x4000, &data);
            assert_eq!(client.receive(PATIENCE), Some(Relayed { peer: address(ECHO), data }), "{name} {length}");
        }
        let other = address("192.0.2.9:9");
        assert_eq!(client.permit(other), None, "{name}");
        client.send_to(other, b"indicated");
        let back = Relayed { peer: other, data: b"indicated".to_vec() };
        assert_eq!(client.receive(PATIENCE), Some(back), "{name}");
        assert_eq!((client.refresh(600), client.refresh(0), client.refresh(0)), (None, None, Some(437)), "{name}");
    }
}

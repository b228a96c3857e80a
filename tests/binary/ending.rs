//! How a server ends: with a goodbye when it is told to, and without a trace when it is killed.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::call::Call;
use super::server::{Server, connect, eventually, http};

/// What the server promises.
const END: Duration = Duration::from_secs(2);

/// Two people who hear each other.
fn two_people(server: &Server) -> Call {
    let mut call = Call::of_two(server.address, &["microphone"]);
    call.until_heard(0, "microphone", 1);
    call.until_heard(1, "microphone", 0);
    call
}

fn says_goodbye_after(signal: &str) {
    let mut server = Server::start(&[]);
    let mut call = two_people(&server);
    let visitor = call.visit();
    let _idle = connect(server.address);
    let started = Instant::now();
    server.signal(signal);
    for person in [0, 1] {
        let closing = call.until_told(person, "closing");
        assert_eq!((&closing["reason"], &closing["rejoin"]), (&"shutdown".into(), &true.into()), "{closing}");
    }
    let mut status = None;
    call.until("the server ends", |_| {
        status = server.ended();
        status.is_some()
    });
    assert!(started.elapsed() < END, "{:?}", started.elapsed());
    assert_eq!(status.and_then(|status| status.code()), Some(0));
    call.until("all sockets have ended", |call| call.clients.iter().all(|client| client.socket.is_none()));
    for person in [0, 1, visitor] {
        assert_eq!(call.clients[person].closed, Some(1001));
    }
}

#[test]
fn sigterm_ends_a_call_with_a_goodbye() {
    says_goodbye_after("TERM");
}

#[test]
fn sigint_ends_a_call_with_a_goodbye() {
    says_goodbye_after("INT");
}

#[test]
fn everyone_is_told_after_a_hangup_unless_it_is_to_be_ignored() {
    says_goodbye_after("HUP");
    let mut server = Server::start_within(&["nohup"], &[]);
    server.signal("HUP");
    let call = two_people(&server);
    assert!(server.ended().is_none() && call.clients.iter().all(|client| client.told("closing").is_empty()));
}

#[test]
fn somebody_who_does_not_listen_holds_nothing_up() {
    let mut server = Server::start(&[]);
    let _call = two_people(&server);
    let started = Instant::now();
    server.signal("TERM");
    let status = eventually("the server ends", || server.ended());
    assert!(started.elapsed() < END, "{:?}", started.elapsed());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_killed_server_leaves_nothing_listening() {
    let mut server = Server::start(&[]);
    let mut call = two_people(&server);
    server.signal("KILL");
    let status = eventually("the server is dead", || server.ended());
    assert_eq!(status.code(), None, "no exit code: it was killed");
    call.until("both notice", |call| call.clients.iter().all(|client| client.socket.is_none()));
    assert_eq!(call.clients[0].closed, None, "nobody said goodbye");
    assert!(TcpStream::connect(server.address).is_err());
    let _udp = UdpSocket::bind(server.address).expect("the UDP port is free");
    let _tcp = TcpListener::bind(server.address).expect("the TCP port is free");
}

#[test]
fn the_operator_removes_somebody_and_then_closes_the_room() {
    let server = Server::start(&[]);
    let mut call = two_people(&server);
    let delete = |path: &str| {
        let request = format!("DELETE /admin/v1/rooms/standup{path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = http(server.address, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    };
    let anna = call.clients[0].id().to_owned();
    delete(&format!("/participants/{anna}"));
    let left = call.until_told(1, "participant-left");
    assert_eq!((&left["participantId"], &left["reason"]), (&anna.into(), &"removed".into()));
    delete("");
    for (who, reason) in [(0, "removed"), (1, "room-closed")] {
        let closing = call.until_told(who, "closing");
        assert_eq!((&closing["reason"], &closing["rejoin"]), (&reason.into(), &false.into()), "{closing}");
        call.until("it is closed", |call| call.clients[who].socket.is_none());
        assert_eq!(call.clients[who].closed, Some(1000));
    }
    assert_eq!(server.stats()["rooms"], serde_json::json!([]));
}

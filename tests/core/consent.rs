//! Where media is sent: to addresses whose owners have shown that they receive there, and to nobody else, whatever claims
//! to come from elsewhere (RFC 7675).

use std::net::SocketAddr;

use strait::core::command::Source::Camera;
use strait::core::event::Event;
use strait::core::path::{Carrier, Path};
use strait::wire::stun_check::{Credentials, write_check};

use crate::world::{Recorded, World, server_address};
use crate::{call, call_in, show};

/// Somebody who takes no part in anything.
const VICTIM: &str = "203.0.113.9:9999";

/// What a client knows of the server's ICE credentials.
fn credentials(world: &World, client: usize) -> Credentials {
    let answers = world.clients[client].events.iter().rev().find_map(|event| match event {
        Event::Answer { sdp, .. } => Some(sdp),
        _ => None,
    });
    let answer = answers.expect("it is connected");
    let line =
        |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).expect("a line").to_owned();
    let (ufrag, password) = (line("a=ice-ufrag:"), line("a=ice-pwd:"));
    Credentials { username: format!("{ufrag}:x"), password, tie_breaker: 1 }
}

/// A client sends a nominating check with a forged source address. Returns its length.
fn check_from(world: &mut World, client: usize, number: u8, from: &str) -> usize {
    let mut check = Vec::new();
    write_check(&mut check, [number; 12], &credentials(world, client));
    send_from(world, &check, from);
    check.len()
}

fn send_from(world: &mut World, bytes: &[u8], from: &str) {
    let remote: SocketAddr = from.parse().expect("an address");
    let path = Path { carrier: Carrier::Udp, local: server_address(), remote };
    world.input(Recorded::Datagram(path, bytes.to_vec()));
    world.settle();
}

/// How many bytes were sent to an address.
fn sent_to(world: &World, address: &str) -> usize {
    let remote = format!("remote: {address}");
    let to = |bytes: &&Vec<u8>| String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).contains(&remote);
    // What precedes a datagram in an output is its path and its class.
    let head = format!("{:?} {:?} ", path_to(address), strait::core::path::TrafficClass::Control).len();
    world.outputs.iter().filter(to).map(|bytes| bytes.len().saturating_sub(head)).sum()
}

fn path_to(address: &str) -> Path {
    Path { carrier: Carrier::Udp, local: server_address(), remote: address.parse().expect("an address") }
}

#[test]
fn a_forged_address_gets_less_than_three_times_what_came_from_it_and_nothing_after_a_second() {
    let mut world = call(&["Mallory", "Ben"], &[Camera]);
    show(&mut world, 1, Camera, 5);
    let mut forged = check_from(&mut world, 0, 66, VICTIM);
    show(&mut world, 1, Camera, 10);
    // Mallory knows the keys of her own media, too.
    let hers = |input: &&Recorded| match input {
        Recorded::Datagram(path, bytes) => path.remote == world.clients[0].address && bytes[0] >= 0x80,
        _ => false,
    };
    let media = world.record.iter().rev().map(|(_, input)| input).find(hers).cloned();
    if let Some(Recorded::Datagram(_, bytes)) = media {
        send_from(&mut world, &bytes, VICTIM);
        forged += bytes.len();
    }
    let got = sent_to(&world, VICTIM);
    assert!(got < 3 * forged, "{got} bytes for {forged}");
    // Checks from her own address prove nothing about another one.
    let before = sent_to(&world, VICTIM);
    for _ in 0..4 {
        show(&mut world, 1, Camera, 50);
    }
    assert_eq!(sent_to(&world, VICTIM), before);
}

#[test]
fn a_forger_who_goes_on_gets_no_media_for_others_and_keeps_her_own() {
    let mut world = call(&["Mallory", "Ben"], &[Camera]);
    let mut forged = 0;
    for number in 0..20 {
        forged += check_from(&mut world, 0, 100 + number, VICTIM);
        show(&mut world, 1, Camera, 3);
    }
    let got = sent_to(&world, VICTIM);
    assert!(got < 3 * forged, "{got} bytes for {forged}");
    let camera = world.clients[1].track(Camera);
    world.clients[0].received.clear();
    show(&mut world, 1, Camera, 5);
    assert_eq!(
        world.clients[0].received_of(camera).len(),
        5,
        "media still goes where it was proved to arrive"
    );
}

#[test]
fn who_moves_has_their_media_at_once_at_the_first_check_from_there() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    show(&mut world, 1, Camera, 5);
    let camera = world.clients[1].track(Camera);
    // A NAT has given her another port. Her endpoint knows nothing of that, and goes on checking.
    world.clients[0].address = "198.51.100.4:6000".parse().expect("an address");
    world.until("media goes to where she is now", |world| {
        let path = |world: &World| {
            let snapshot = world.sfu.snapshot(world.now);
            snapshot.rooms[0].participants[0].path.map(|path| path.remote)
        };
        path(world) == Some(world.clients[0].address)
    });
    world.clients[0].received.clear();
    show(&mut world, 1, Camera, 5);
    assert_eq!(world.clients[0].received_of(camera).len(), 5);
}

#[test]
fn consent_is_for_the_path_by_which_media_is_sent() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    let home = world.clients[0].address.to_string();
    show(&mut world, 1, Camera, 5);
    // She is gone from there, and somebody else checks with her credentials from another address.
    world.clients[0].unplugged = true;
    for number in 0..10 {
        check_from(&mut world, 0, number, "198.51.100.4:6000");
        show(&mut world, 1, Camera, 20);
    }
    let before = sent_to(&world, &home);
    show(&mut world, 1, Camera, 20);
    assert_eq!(sent_to(&world, &home), before, "checks from elsewhere are no consent for her old address");
}

#[test]
fn an_address_whose_owner_is_there_is_not_taken_over_by_a_check() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    call_in(&mut world, "elsewhere", &["Mallory"], &[Camera]);
    let (annas, camera) = (world.clients[0].address.to_string(), world.clients[0].track(Camera));
    for number in 0..20 {
        check_from(&mut world, 2, 200 + number, &annas);
        world.clients[1].received.clear();
        show(&mut world, 0, Camera, 2);
        assert_eq!(world.clients[1].received_of(camera).len(), 2, "after {number} checks");
    }
}

#[test]
fn an_address_goes_to_whoever_receives_there() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    let annas = world.clients[0].address;
    // Anna's laptop is closed, and Carol gets her address: her endpoint answers the server's question.
    world.clients[0].address = "10.66.6.6:5000".parse().expect("an address");
    world.clients[0].unplugged = true;
    let carol = world.join("standup", "Carol");
    world.clients[carol].address = annas;
    world.publish(carol, 2, &[Camera]);
    world.until("Carol is connected", |world| world.clients[carol].rtc.is_connected());
    let camera = world.clients[carol].track(Camera);
    world.clients[1].received.clear();
    show(&mut world, carol, Camera, 5);
    assert_eq!(world.clients[1].received_of(camera).len(), 5);
}

//! The core without a socket: whole str0m clients and the core connect, publish and receive under virtual time.

mod abuse;
mod access;
mod audiences;
mod bandwidth;
mod channels;
mod consent;
mod data_tracks;
mod explaining;
mod forwarding;
mod identity;
mod inner_layers;
mod layered;
mod layers;
mod line;
mod membership;
mod mesh;
mod moderating;
mod named_tracks;
mod negotiating;
mod pacing;
mod parameters;
mod quality;
mod redundancy;
mod repair;
mod replaying;
mod rooms;
mod scaling;
mod shedding;
mod slots;
mod speaking;
mod steering;
mod stripping;
mod tokens;
mod traces;
mod transports;
mod world;

use std::time::Duration;

use strait::core::command::Source::{self, Camera, Microphone};
use world::World;

/// People in one room who publish these and are connected.
fn call(people: &[&str], sources: &[Source]) -> World {
    let mut world = World::new();
    call_in(&mut world, "standup", people, sources);
    world
}

/// People come into a room of a world, publish these and are connected.
fn call_in(world: &mut World, room: &str, people: &[&str], sources: &[Source]) {
    for name in people {
        let person = world.join(room, name);
        world.publish(person, 2, sources);
    }
    connected(world);
}

fn connected(world: &mut World) {
    world.until("everyone is connected", |world| {
        let snapshot = world.sfu.snapshot(world.now);
        let all = snapshot.rooms.iter().flat_map(|room| &room.participants).all(|person| person.connected);
        all && world.clients.iter().all(|client| client.rtc.is_connected())
    });
}

/// One person sends pictures for a while, ten a second, the first a key frame.
fn show(world: &mut World, person: usize, source: Source, frames: usize) {
    for frame in 0..frames {
        world.send(person, source, frame == 0);
        world.run(Duration::from_millis(100));
    }
}

#[test]
fn two_people_hear_and_see_each_other() {
    let mut world = call(&["Anna", "Ben"], &[Microphone, Camera]);
    for frame in 0..50 {
        for person in [0, 1] {
            world.send(person, Microphone, false);
            world.send(person, Camera, frame == 0);
        }
        world.run(Duration::from_millis(20));
    }
    for (who, other) in [(0, 1), (1, 0)] {
        for source in [Microphone, Camera] {
            let track = world.clients[other].track(source);
            let received = world.clients[who].received_of(track);
            assert_eq!(received.len(), 50, "{source:?} of the other");
            let sequences: Vec<u64> = received.iter().map(|packet| *packet.seq_no).collect();
            assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "{sequences:?}");
        }
    }
}

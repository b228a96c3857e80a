//! The core without a socket: whole str0m clients and the core connect, publish and receive under virtual time.

mod world;

use std::time::Duration;

use strait::core::command::Source::{Camera, Microphone};
use world::World;

#[test]
fn two_people_hear_and_see_each_other() {
    let mut world = World::new();
    let anna = world.join("standup", "Anna");
    let ben = world.join("standup", "Ben");
    world.publish(anna, 2, &[Microphone, Camera]);
    world.publish(ben, 2, &[Microphone, Camera]);
    world.until("both are connected", |world| world.clients.iter().all(|client| client.rtc.is_connected()));
    for frame in 0..50 {
        for person in [anna, ben] {
            world.send(person, Microphone, false);
            world.send(person, Camera, frame == 0);
        }
        world.run(Duration::from_millis(20));
    }
    for (who, other) in [(anna, ben), (ben, anna)] {
        for source in [Microphone, Camera] {
            let track = world.clients[other].track(source);
            let received = world.clients[who].received_of(track);
            assert_eq!(received.len(), 50, "{source:?} of the other");
            let sequences: Vec<u64> = received.iter().map(|packet| *packet.seq_no).collect();
            assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "{sequences:?}");
        }
    }
}

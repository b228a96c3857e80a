//! Loss: what a hop loses is asked for again and comes, on both hops.

use std::time::Duration;

use str0m::Rtc;
use strait::core::command::Source::{self, Camera, Microphone};

use strait::core::totals::Direction;
use strait::wire::classify::{DatagramKind, classify};

use crate::world::{Recorded, World};
use crate::{call, connected, show};

#[test]
fn what_is_lost_on_the_way_to_the_viewer_comes_again() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    show(&mut world, 0, Camera, 3);
    world.loses_down = |sequence| sequence % 7 == 3;
    show(&mut world, 0, Camera, 100);
    world.loses_down = |_| false;
    show(&mut world, 0, Camera, 5);
    let camera = world.clients[0].track(Camera);
    let mut sequences: Vec<u64> = world.clients[1].received_of(camera).iter().map(|p| *p.seq_no).collect();
    sequences.sort_unstable();
    sequences.dedup();
    let gaps: Vec<_> = sequences.windows(2).filter(|pair| pair[1] != pair[0] + 1).collect();
    assert!(gaps.is_empty(), "holes that nobody repaired: {gaps:?}");
    assert_eq!(sequences.len(), 108);
    let snapshot = world.sfu.snapshot(world.now);
    let slot = &snapshot.rooms[0].participants[1].slots[1];
    assert!(slot.counters.retransmitted >= 10, "{:?}", slot.counters);
}

#[test]
fn what_is_lost_on_the_way_to_the_server_comes_again() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    show(&mut world, 0, Camera, 3);
    world.loses_up = |sequence| sequence % 7 == 3;
    show(&mut world, 0, Camera, 100);
    world.loses_up = |_| false;
    show(&mut world, 0, Camera, 5);
    world.run(Duration::from_secs(1));
    let camera = world.clients[0].track(Camera);
    let mut sequences: Vec<u64> = world.clients[1].received_of(camera).iter().map(|p| *p.seq_no).collect();
    sequences.sort_unstable();
    sequences.dedup();
    assert!(sequences.len() >= 105, "{} of 108 came", sequences.len());
    let publication = &world.sfu.snapshot(world.now).rooms[0].participants[0].publications[0];
    assert!(
        publication.counters.nacked > 0 && publication.counters.retransmitted > 0,
        "{:?}",
        publication.counters
    );
}

#[test]
fn what_comes_twice_is_counted_the_same_by_the_dashboard_and_by_the_metrics() {
    let mut world = call(&["Anna", "Ben"], &[Microphone]);
    show(&mut world, 0, Microphone, 20);
    let is_rtp = |input: &&Recorded| matches!(input, Recorded::Datagram(_, bytes) if classify(bytes) == DatagramKind::Rtp);
    let inputs = world.record.iter().map(|(_, input)| input);
    let twice: Vec<Recorded> = inputs.filter(is_rtp).take(5).cloned().collect();
    for input in twice {
        world.input(input);
    }
    world.settle();
    let publication = &world.sfu.snapshot(world.now).rooms[0].participants[0].publications[0];
    assert_eq!(publication.counters.dropped, 5, "{:?}", publication.counters);
    let totals = world.sfu.totals();
    let coming = totals.streams.iter().filter(|(class, _)| class.direction == Direction::In);
    assert_eq!(coming.map(|(_, counters)| counters.dropped).sum::<u64>(), 5);
}

#[test]
fn what_was_lost_before_a_key_frame_is_not_asked_for() {
    let nacked = |world: &World| {
        world.sfu.snapshot(world.now).rooms[0].participants[0].publications[0].counters.nacked
    };
    for (keyframe, asks) in [(false, true), (true, false)] {
        let mut world = call(&["Anna", "Ben"], &[Camera]);
        show(&mut world, 0, Camera, 10);
        // One picture gets lost, and the next comes before anything is asked for.
        world.loses_up = |_| true;
        world.send(0, Camera, false);
        world.run(Duration::from_millis(3));
        world.loses_up = |_| false;
        world.send(0, Camera, keyframe);
        world.run(Duration::from_millis(500));
        assert_eq!(nacked(&world) > 0, asks, "{} requests", nacked(&world));
    }
}

/// Receiver reports that the first client got while it sent for ten seconds.
fn reports(world: &mut World, source: Source) -> usize {
    world.run(Duration::from_secs(1));
    let address = format!("remote: {}", world.clients[0].address);
    let before = world.outputs.len();
    for _ in 0..100 {
        world.send(0, source, true);
        world.run(Duration::from_millis(100));
    }
    let is_report = |output: &&Vec<u8>| {
        let header = output.windows(2).position(|pair| pair == [0x81, 201]);
        header.is_some_and(|at| String::from_utf8_lossy(&output[..at]).contains(&address))
    };
    world.outputs[before..].iter().filter(is_report).count()
}

#[test]
fn who_sends_hears_every_second_what_came_and_of_sound_alone_every_five() {
    let seen = reports(&mut call(&["Anna", "Ben"], &[Camera]), Camera);
    assert!((9..=11).contains(&seen), "{seen} reports on pictures in ten seconds");
    let seen = reports(&mut call(&["Anna", "Ben"], &[Microphone]), Microphone);
    assert!((2..=3).contains(&seen), "{seen} reports on sound in ten seconds");
}

#[test]
fn who_speaks_is_told_what_is_lost_of_it_on_the_way_to_others() {
    let mut world = World::new();
    let builder = Rtc::builder().set_rtp_mode(true).set_stats_interval(Some(Duration::from_secs(1)));
    let rtc = builder.build(world.now);
    world.join_with("standup", "Anna", rtc);
    world.publish(0, 2, &[Microphone, Camera]);
    for name in ["Ben", "Cleo"] {
        let person = world.join("standup", name);
        world.publish(person, 2, &[Microphone]);
    }
    connected(&mut world);
    let lost_of = |world: &World, source: Source| {
        let client = &world.clients[0];
        let mid = client.sending.iter().find(|(_, own)| *own == source).expect("it is sent").0;
        let losses = client.losses.iter().filter(|(of, _)| *of == mid).map(|(_, loss)| *loss);
        losses.fold(0.0, f32::max)
    };
    let speak = |world: &mut World, packets: usize| {
        for packet in 0..packets {
            world.send(0, Microphone, false);
            if packet % 5 == 0 {
                world.send(0, Camera, packet == 0);
            }
            world.run(Duration::from_millis(20));
        }
    };
    speak(&mut world, 300);
    assert_eq!(lost_of(&world, Microphone), 0.0);
    world.loses_down = |sequence| sequence % 8 == 3;
    speak(&mut world, 900);
    let lost = lost_of(&world, Microphone);
    assert!((0.05..=0.2).contains(&lost), "an eighth, not {lost}");
    // What is lost of pictures is asked for again, and the rate goes by other feedback.
    assert_eq!(lost_of(&world, Camera), 0.0);
}

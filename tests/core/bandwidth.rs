//! What a participant's network carries: numbers on all packets to them, their reports, and the estimate that follows.

use std::time::Duration;

use str0m::Rtc;
use str0m::rtp::Extension;
use strait::core::bandwidth::estimator::Reason;
use strait::core::command::Source::{Camera, Microphone};
use strait::core::event::Event;
use strait::core::stats::BandwidthSnapshot;

use crate::world::World;
use crate::{call, connected, show};

fn bandwidth(world: &World, person: usize) -> Option<BandwidthSnapshot> {
    world.sfu.snapshot(world.now).rooms[0].participants[person].bandwidth
}

/// The first person talks and is seen for some seconds: 30 frames and 50 packets of sound in each.
fn perform(world: &mut World, seconds: usize) {
    for step in 0..seconds * 50 {
        world.send(0, Microphone, false);
        if step % 5 != 4 {
            world.send(0, Camera, step == 0);
        }
        world.run(Duration::from_millis(20));
    }
}

#[test]
fn all_packets_to_a_viewer_are_numbered_through() {
    let mut world = call(&["Anna", "Ben"], &[Microphone, Camera]);
    perform(&mut world, 2);
    world.loses_down = |sequence| sequence % 11 == 3;
    perform(&mut world, 2);
    world.loses_down = |_| false;
    perform(&mut world, 1);
    let numbers = world.clients[1].received.iter().filter_map(|packet| packet.header.ext_vals.transport_cc);
    let mut numbers: Vec<u16> = numbers.collect();
    assert_eq!(numbers.len(), world.clients[1].received.len(), "audio, video and repeats have numbers");
    numbers.sort_unstable();
    let again = numbers.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!(again, 0, "no number was given twice");
    let missing = usize::from(numbers[numbers.len() - 1] - numbers[0]) + 1 - numbers.len();
    assert!(missing > 10 && missing < 80, "what is missing was lost on the way: {missing}");
}

#[test]
fn reports_lead_to_an_estimate_that_is_shown() {
    let mut world = call(&["Anna", "Ben"], &[Microphone, Camera]);
    assert_eq!(bandwidth(&world, 1), None, "nothing was sent yet");
    perform(&mut world, 10);
    let seen = bandwidth(&world, 1).expect("reports came");
    assert_eq!((seen.reason, seen.loss_millionths), (Reason::Open, 0));
    assert!(seen.estimate >= 1_000_000, "nothing speaks against what was believed at first: {seen:?}");
    let through = seen.acknowledged.expect("enough came");
    assert!((20_000..2_000_000).contains(&through), "{seen:?}");
    assert_eq!(bandwidth(&world, 0), None, "nobody sends to Anna");
}

#[test]
fn loss_shows_in_the_estimate() {
    let mut world = call(&["Anna", "Ben"], &[Microphone, Camera]);
    world.loses_down = |sequence| sequence % 4 == 1;
    perform(&mut world, 10);
    let seen = bandwidth(&world, 1).expect("reports came");
    assert!((150_000..300_000).contains(&seen.loss_millionths), "{seen:?}");
}

#[test]
fn whoever_takes_no_numbers_gets_none() {
    let mut world = World::new();
    let anna = world.join("standup", "Anna");
    world.publish(anna, 2, &[Camera]);
    // Without extensions of their own choice there is no room for numbers.
    let plain = Rtc::builder().set_rtp_mode(true).clear_extension_map();
    let plain = plain.set_extension(1, Extension::RtpMid).build(world.now);
    let ben = world.join_with("standup", "Ben", plain);
    world.publish(ben, 2, &[]);
    connected(&mut world);
    show(&mut world, 0, Camera, 30);
    let received = &world.clients[1].received;
    assert!(!received.is_empty());
    assert!(received.iter().all(|packet| packet.header.ext_vals.transport_cc.is_none()));
    assert_eq!(bandwidth(&world, 1), None);
}

#[test]
fn an_outage_lowers_the_estimate_and_wakes_nobody_for_ever() {
    let mut world = call(&["Anna", "Ben"], &[Microphone, Camera]);
    perform(&mut world, 5);
    let before = bandwidth(&world, 1).expect("reports came").estimate;
    world.loses_down = |_| true;
    perform(&mut world, 6);
    let during = bandwidth(&world, 1).expect("it is remembered");
    assert!(during.estimate < before, "{before} before, {during:?} after six seconds of silence");
    assert_eq!(during.reason, Reason::Stalled);
    assert!(
        !world.clients[1].events.iter().any(|event| matches!(event, Event::Left(_))),
        "Ben is still there"
    );
}

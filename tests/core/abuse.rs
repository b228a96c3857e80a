//! What one member may make the server do for them: so much, however often they ask.

use std::time::Duration;

use strait::core::command::Command;
use strait::core::command::Source::Camera;
use strait::core::event::{Event, RefusalCode};
use strait::limits::WAITING_TOLD_MAX;

use crate::world::{Recorded, World};
use crate::{call, show};

#[test]
fn of_many_tracks_that_wait_a_map_lists_the_first_and_tells_how_many_there_are() {
    let mut world = World::new();
    let viewer = world.join("standup", "Viewer");
    world.publish(viewer, 1, &[]);
    for person in 1..=40 {
        world.join("standup", "Somebody");
        world.publish(person, 1, &[Camera]);
    }
    world.run(Duration::from_millis(200));
    let map = world.clients[viewer].slot_map.clone().expect("a map");
    assert_eq!((map.waiting.len(), map.waiting_count), (WAITING_TOLD_MAX, 39));
    // Who came first waits first.
    let oldest: Vec<_> =
        (2..).map(|person| world.clients[person].track(Camera)).take(WAITING_TOLD_MAX).collect();
    assert!(map.waiting.iter().map(|(track, _)| *track).eq(oldest));
    for person in 1..=30 {
        world.command(person, Command::Leave);
    }
    world.run(Duration::from_millis(200));
    let map = world.clients[viewer].slot_map.clone().expect("a map");
    assert_eq!((map.waiting.len(), map.waiting_count), (9, 9));
    assert_eq!(world.clients[viewer].shown(), [world.clients[31].track(Camera)]);
}

#[test]
fn whose_slots_change_again_and_again_is_told_of_several_changes_at_once() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    let camera = world.clients[0].track(Camera);
    let maps = |world: &World| {
        let events = world.clients[1].events.iter();
        events.filter(|event| matches!(event, Event::SlotMap(_))).count()
    };
    world.run(Duration::from_secs(1));
    let before = maps(&world);
    world.command(1, Command::Unsubscribe(camera));
    assert_eq!(maps(&world), before + 1, "a single change is told at once");
    for _ in 0..100 {
        world.command(1, Command::Subscribe(camera));
        world.run(Duration::from_millis(5));
        world.command(1, Command::Unsubscribe(camera));
        world.run(Duration::from_millis(5));
    }
    let told = maps(&world) - before;
    assert!((10..=20).contains(&told), "{told} maps about 200 changes in a second");
    world.command(1, Command::Subscribe(camera));
    world.run(Duration::from_millis(200));
    assert_eq!(world.clients[1].shown(), [camera], "the last change is told");
    world.clients[1].received.clear();
    show(&mut world, 0, Camera, 5);
    assert_eq!(world.clients[1].received_of(camera).len(), 5);
}

#[test]
fn one_peer_has_so_many_checks_answered_and_the_call_goes_on() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    let bens = world.clients[1].address;
    let checks = |input: &&Recorded| match input {
        Recorded::Datagram(path, bytes) => path.remote == bens && bytes[0] == 0,
        _ => false,
    };
    let check = world.record.iter().rev().map(|(_, input)| input).find(checks).cloned();
    let check = check.expect("a check of Ben's");
    world.run(Duration::from_secs(5));
    let before = world.outputs.len();
    for _ in 0..5000 {
        world.input(check.clone());
    }
    world.settle();
    let answers = world.outputs.len() - before;
    // One more asks whether Ben still receives there.
    assert!((100..=201).contains(&answers), "{answers} checks of 5,000 are answered");
    for _ in 0..20 {
        for _ in 0..500 {
            world.input(check.clone());
        }
        world.run(Duration::from_secs(1));
    }
    let camera = world.clients[0].track(Camera);
    world.clients[1].received.clear();
    show(&mut world, 0, Camera, 5);
    assert_eq!(world.clients[1].received_of(camera).len(), 5, "checks of the next second count again");
}

#[test]
fn one_viewer_cannot_make_a_publisher_send_nothing_but_key_frames() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    let camera = world.clients[0].track(Camera);
    show(&mut world, 0, Camera, 5);
    let mut sent = 0;
    for _ in 0..60 * 10 {
        world.ask_keyframe(1, camera);
        let asked = std::mem::take(&mut world.clients[0].keyframe_requests) > 0;
        sent += usize::from(asked);
        world.send(0, Camera, asked);
        world.run(Duration::from_millis(100));
    }
    assert!((30..=70).contains(&sent), "{sent} key frames in a minute");
}

#[test]
fn somebody_comes_back_so_often_and_no_more() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    for _ in 0..30 {
        world.break_signalling(0);
        world.resume(0, None);
    }
    let resumed = |world: &World| {
        let events = world.clients[0].events.iter();
        events.filter(|event| matches!(event, Event::Resumed(..))).count()
    };
    assert_eq!(resumed(&world), 20);
    assert_eq!(world.clients[0].refusals().last(), Some(&RefusalCode::RateLimited));
    world.run(Duration::from_secs(4));
    world.resume(0, None);
    assert_eq!(resumed(&world), 21, "after some seconds they may again");
}

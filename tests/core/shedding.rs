//! When there is no time for all video, everybody is sent smaller pictures, then fewer, and only then some of them none; and
//! what there is time for again comes back.

use std::time::Duration;

use strait::core::command::Source::Camera;
use strait::core::event::{Event, LayerReason};
use strait::core::input::Shedding;

use crate::explaining::{assert_says, explained, trace_of};
use crate::world::{Recorded, World};
use crate::{call, connected};

const LAYERS: [(&str, u16); 3] = [("high", 720), ("medium", 360), ("low", 180)];

fn shed(world: &mut World, shedding: Shedding) {
    world.input(Recorded::Shed(shedding));
}

/// Anna publishes a camera in three encodings, and others watch.
fn simulcast(mut world: World, viewers: usize) -> World {
    let anna = world.join("standup", "Anna");
    world.publish_layers(anna, 2, &LAYERS);
    for number in 0..viewers {
        let viewer = world.join("standup", &format!("viewer {number}"));
        world.publish(viewer, 2, &[]);
    }
    connected(&mut world);
    world
}

/// The camera sends all its encodings, 25 pictures a second, and key frames of all when one is asked for.
fn film(world: &mut World, seconds: u64) {
    for _ in 0..seconds * 25 {
        let is_asked = std::mem::take(&mut world.clients[0].keyframe_requests) > 0;
        for (layer, _) in LAYERS {
            let begins = world.clients[0].began.insert(layer.to_owned());
            world.send_encoding(0, Camera, Some(layer), begins || is_asked);
        }
        world.run(Duration::from_millis(40));
    }
}

/// The encodings that a viewer was shown since they were asked last, the largest first: how many packets of each.
fn shown(world: &mut World, viewer: usize) -> [usize; 3] {
    let received = std::mem::take(&mut world.clients[viewer].received);
    [7, 8, 9].map(|number| received.iter().filter(|packet| packet.payload[2] == number).count())
}

/// What a viewer was told last: the encoding, the temporal layer, whether it is paused, and why.
fn told(world: &World, viewer: usize) -> Option<(Option<String>, Option<u8>, bool, LayerReason)> {
    let mut told = world.clients[viewer].events.iter().filter_map(|event| match event {
        Event::Layers { layer, temporal, is_paused, reason, .. } => {
            Some((layer.clone(), *temporal, *is_paused, *reason))
        }
        _ => None,
    });
    told.next_back()
}

#[test]
fn everybody_is_shown_the_smallest_pictures_before_anybody_is_shown_none() {
    const VIEWERS: usize = 6;
    let mut world = simulcast(World::new(), VIEWERS);
    film(&mut world, 2);
    // What everybody is shown in a second, once so much is shed and some seconds have passed.
    let shown_after = |world: &mut World, shedding: Shedding, seconds: u64| -> Vec<[usize; 3]> {
        shed(world, shedding);
        film(world, seconds);
        world.clients.iter_mut().for_each(|client| client.received.clear());
        film(world, 1);
        (1..=VIEWERS).map(|viewer| shown(world, viewer)).collect()
    };
    let some = shown_after(&mut world, Shedding::parts(8), 2);
    assert!(some.iter().all(|shown| shown.iter().sum::<usize>() >= 25), "nobody is paused: {some:?}");
    let lowered = some.iter().filter(|shown| shown[1] == 0).count();
    assert!((1..VIEWERS).contains(&lowered), "some are lowered, and others not yet: {some:?}");
    let all = shown_after(&mut world, Shedding::LOWERED, 2);
    assert!(all.iter().all(|shown| *shown == [0, 0, 25]), "{all:?}");
    assert_eq!(told(&world, 1), Some((Some("low".to_owned()), None, false, LayerReason::Load)));

    assert!(shown_after(&mut world, Shedding::ALL, 2).iter().all(|shown| *shown == [0; 3]));
    assert_eq!(told(&world, 1), Some((None, None, true, LayerReason::Load)));

    // There is time again: first for the smallest, then for what is wanted.
    let all = shown_after(&mut world, Shedding::LOWERED, 2);
    assert!(all.iter().all(|shown| *shown == [0, 0, 25]), "{all:?}");
    let all = shown_after(&mut world, Shedding::NONE, 3);
    assert!(all.iter().all(|shown| *shown == [0, 25, 0]), "{all:?}");
    assert_eq!(told(&world, 1), Some((Some("medium".to_owned()), None, false, LayerReason::Load)));
    assert_eq!(world.replay(Duration::from_secs(7)), world.outputs);
}

#[test]
fn publishers_are_asked_for_no_more_than_there_is_time_for() {
    let mut world = simulcast(World::new(), 2);
    film(&mut world, 2);
    shed(&mut world, Shedding::LOWERED);
    film(&mut world, 8);
    let active = world.clients[0].events.iter().rev().find_map(|event| match event {
        Event::Encodings { active, .. } => Some(active.clone()),
        _ => None,
    });
    assert_eq!(active, Some(vec!["low".to_owned()]));
}

/// The camera shows pictures in three temporal layers, 31 a second. Returns how many of each Ben was shown.
fn film_in_layers(world: &mut World, seconds: usize) -> [usize; 3] {
    world.clients[1].received.clear();
    for _ in 0..seconds * 31 {
        let is_asked = std::mem::take(&mut world.clients[0].keyframe_requests) > 0;
        let is_key = world.pictures == 0 || is_asked;
        world.send_picture(0, Camera, is_key, 1);
        world.run(Duration::from_millis(32));
    }
    let received = &world.clients[1].received;
    [0, 1, 2].map(|layer| received.iter().filter(|packet| packet.payload.get(7) == Some(&layer)).count())
}

#[test]
fn of_a_stream_in_one_size_fewer_pictures_are_shown_before_none() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    assert!(film_in_layers(&mut world, 3)[2] >= 46);
    shed(&mut world, Shedding::parts(Shedding::PARTS));
    assert!(film_in_layers(&mut world, 2)[2] >= 30, "it has one size");
    shed(&mut world, Shedding::LOWERED);
    let [base, middle, top] = film_in_layers(&mut world, 2);
    assert!(base >= 15 && middle <= 1 && top <= 1, "{base} {middle} {top}");
    assert_eq!(told(&world, 1), Some((None, Some(0), false, LayerReason::Load)));
    shed(&mut world, Shedding::ALL);
    let _ = film_in_layers(&mut world, 2);
    assert_eq!(film_in_layers(&mut world, 1), [0; 3]);
    shed(&mut world, Shedding::NONE);
    let _ = film_in_layers(&mut world, 2);
    assert!(film_in_layers(&mut world, 2)[2] >= 30);
    assert_eq!(told(&world, 1), Some((None, None, false, LayerReason::Load)));
}

#[test]
fn whoever_joins_a_machine_that_has_no_time_is_shown_the_smallest_at_once() {
    let mut world = simulcast(World::new(), 1);
    film(&mut world, 2);
    shed(&mut world, Shedding::LOWERED);
    film(&mut world, 2);
    let late = world.join("standup", "Late");
    world.publish(late, 2, &[]);
    connected(&mut world);
    film(&mut world, 2);
    let [high, medium, low] = shown(&mut world, late);
    assert!(high + medium <= 2 && low >= 40, "{high} {medium} {low}");
}

#[test]
fn what_there_was_no_time_for_is_explained() {
    let mut world = simulcast(crate::traces::recorded("*"), 1);
    film(&mut world, 2);
    for shedding in [Shedding::parts(Shedding::PARTS), Shedding::LOWERED, Shedding::ALL, Shedding::NONE] {
        shed(&mut world, shedding);
        film(&mut world, 3);
    }
    let explanation = explained(&trace_of(world));
    for line in [
        "video-shed: the server's processor was full: smaller video was forwarded",
        "layer: is shown Anna's camera in the encoding low, 180 pixels tall: that is what the server has time for",
        "video-shed: the server's processor was full: fewer pictures of smaller video were forwarded",
        "video-shed: the server's processor was full: some video was not forwarded",
        "layer: is shown nothing of Anna's camera: the server has no time",
        "video-shed: the server had time again: all video was forwarded",
        "layer: is shown Anna's camera in the encoding medium, 360 pixels tall: that is what the server has time for",
    ] {
        assert_says(&explanation.participants[1], line);
    }
}

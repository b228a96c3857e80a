//! Layers inside one stream on a narrow line: fewer pictures come before none, and more again when it is wide.

use std::time::Duration;

use strait::core::command::Source::{Camera, Microphone};
use strait::core::event::{Event, LayerReason};

use crate::explaining::{assert_says, explained, trace_of};
use crate::world::World;
use crate::{call, call_in};

/// Anna talks for a while, and her camera shows pictures in three temporal layers, 31 a second, of which each is so many
/// packets: at 2, the base layer alone takes 120 kbit/s, two layers take 230 kbit/s, and all 470 kbit/s.
fn film(world: &mut World, packets: usize, seconds: usize) {
    for _ in 0..seconds * 31 {
        let is_asked = std::mem::take(&mut world.clients[0].keyframe_requests) > 0;
        let is_key = world.pictures == 0 || is_asked;
        world.send(0, Microphone, false);
        world.send_picture(0, Camera, is_key, packets);
        world.run(Duration::from_millis(32));
    }
}

/// How many packets of each temporal layer Ben was shown since he was asked last. A key frame may stand in the place of any.
fn shown(world: &mut World) -> [usize; 3] {
    let received = std::mem::take(&mut world.clients[1].received);
    let media = || received.iter().filter(|packet| packet.payload.len() > 100);
    [0, 1, 2].map(|layer| media().filter(|packet| packet.payload[7] == layer).count())
}

/// What Ben was told: the temporal layer, whether it is paused, and why.
fn told(world: &World) -> Vec<(Option<u8>, bool, LayerReason)> {
    let told = world.clients[1].events.iter().filter_map(|event| match event {
        Event::Layers { temporal, is_paused, reason, .. } => Some((*temporal, *is_paused, *reason)),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_line_too_narrow_for_all_pictures_gets_some_of_them_and_no_pause() {
    let mut world = call(&["Anna", "Ben"], &[Microphone, Camera]);
    film(&mut world, 2, 2);
    assert!(shown(&mut world)[2] >= 50, "all of them at first");
    world.narrow(1, 300_000);
    film(&mut world, 2, 25);
    let _ = shown(&mut world);
    film(&mut world, 2, 10);
    let [base, middle, top] = shown(&mut world);
    assert!(base >= 140 && top == 0, "{base} {middle} {top}: {:?}", told(&world));
    let (temporal, is_paused, reason) = *told(&world).last().expect("Ben is told");
    assert!(temporal.is_some() && !is_paused && reason == LayerReason::Bandwidth, "{:?}", told(&world));
    world.narrow(1, 5_000_000);
    film(&mut world, 2, 60);
    let _ = shown(&mut world);
    film(&mut world, 2, 4);
    let [base, middle, top] = shown(&mut world);
    assert!(base >= 50 && middle >= 50 && top >= 110, "{base} {middle} {top}: {:?}", told(&world));
    assert_eq!(told(&world).last(), Some(&(None, false, LayerReason::Bandwidth)));
    assert_eq!(world.replay(Duration::from_secs(7)), world.outputs);
}

#[test]
fn only_a_line_that_does_not_carry_the_fewest_pictures_gets_none() {
    let mut world = call(&["Anna", "Ben"], &[Microphone, Camera]);
    world.narrow(1, 90_000);
    film(&mut world, 2, 30);
    assert_eq!(told(&world).last(), Some(&(None, true, LayerReason::Bandwidth)), "{:?}", told(&world));
    world.narrow(1, 2_000_000);
    film(&mut world, 2, 90);
    let _ = shown(&mut world);
    film(&mut world, 2, 4);
    let [base, middle, top] = shown(&mut world);
    assert!(base >= 50 && middle >= 50 && top >= 110, "{base} {middle} {top}: {:?}", told(&world));
}

#[test]
fn what_is_left_out_of_the_pictures_is_explained() {
    let mut world = crate::traces::recorded("*");
    call_in(&mut world, "standup", &["Anna", "Ben"], &[Microphone, Camera]);
    film(&mut world, 2, 2);
    world.narrow(1, 300_000);
    film(&mut world, 2, 25);
    world.narrow(1, 5_000_000);
    film(&mut world, 2, 60);
    let explanation = explained(&trace_of(world));
    for line in [
        "less: fewer pictures of Anna's camera are to be shown: their network carries",
        "layer: is shown Anna's camera up to temporal layer",
        "more: more pictures of Anna's camera are to be shown: their network carries",
        "layer: is shown all layers of Anna's camera: that is what their network carries",
    ] {
        assert_says(&explanation.participants[1], line);
    }
}

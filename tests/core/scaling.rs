//! Layers inside one stream: who needs fewer pictures or smaller ones gets no others, and a stream without a seam.

use std::time::Duration;

use strait::core::command::Source::Camera;
use strait::core::command::{Command, Preference, Wish};

use crate::call;
use crate::layered;
use crate::world::World;

#[test]
fn who_needs_seven_pictures_a_second_gets_the_base_layer_without_gaps() {
    assert_eq!(layered::vp8_at_seven_pictures_a_second(), None);
}

#[test]
fn of_spatial_layers_of_vp9_each_gets_those_that_their_tile_needs_and_each_picture_ends() {
    assert_eq!(layered::vp9_in_three_sizes(), None);
}

#[test]
fn of_sizes_that_stand_alone_each_viewer_gets_one_and_nothing_that_is_in_its_way() {
    assert_eq!(layered::vp9_in_sizes_that_stand_alone(), None);
}

#[test]
fn on_a_narrow_line_vp9_steps_down_through_its_pictures_and_its_sizes() {
    assert_eq!(layered::vp9_step_by_step(), None);
}

#[test]
fn of_spatial_layers_of_av1_only_those_get_the_larger_ones_who_can_tell_them_apart() {
    assert_eq!(layered::av1_in_two_sizes(), None);
}

#[test]
fn nobody_gets_a_frame_that_refers_to_one_they_have_not_got() {
    assert_eq!(layered::av1_down_and_up(), None);
}

/// A camera shows pictures in three temporal layers for a while, 25 a second. Returns what a viewer got of each layer.
fn film(world: &mut World, pictures: u16) -> [usize; 3] {
    world.clients[1].received.clear();
    for picture in 0..pictures {
        let is_first = world.pictures == 0;
        debug_assert_eq!(picture % 4, world.pictures % 4);
        world.send_picture(0, Camera, is_first, 1);
        world.run(Duration::from_millis(40));
    }
    let received = &world.clients[1].received;
    [0, 1, 2].map(|layer| received.iter().filter(|packet| packet.payload[5] >> 6 == layer).count())
}

#[test]
fn a_wish_for_few_pictures_takes_effect_and_ends() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    assert_eq!(film(&mut world, 40), [10, 10, 20]);
    let track = world.clients[0].track(Camera);
    let wants = |world: &mut World, frame_rate| {
        let wish = Wish { frame_rate, ..Wish::default() };
        world.command(1, Command::Prefer(vec![Preference { track, wish }]));
    };
    wants(&mut world, Some(7));
    assert_eq!(film(&mut world, 40), [10, 0, 0]);
    let numbers: Vec<u64> = world.clients[1].received.iter().map(|packet| *packet.seq_no).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    let asked = world.clients[0].keyframe_requests;
    wants(&mut world, Some(12));
    assert_eq!(film(&mut world, 40), [10, 10, 0]);
    wants(&mut world, None);
    assert_eq!(film(&mut world, 40), [10, 10, 20]);
    assert_eq!(world.clients[0].keyframe_requests, asked, "no key frame is needed for that");
    assert_eq!(world.replay(Duration::from_secs(5)), world.outputs);
}

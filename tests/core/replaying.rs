//! The core is a function of its inputs: fed the same again, with the clock moved, it puts out the same bytes.

use std::time::Duration;

use strait::core::command::Command;
use strait::core::command::Source::{Camera, Microphone};

use crate::world::World;
use crate::{call, show};

/// Fails unless all that a world's core was fed leads to the same outputs again, now and much later.
pub fn assert_replays(world: &World) {
    for shift in [Duration::ZERO, Duration::from_secs(100_000)] {
        fastrand::seed(shift.as_secs() + 7);
        let replayed = world.replay(shift);
        let parted = replayed.iter().zip(&world.outputs).position(|(a, b)| a != b);
        assert_eq!(parted, None, "the first output that differs, shifted by {shift:?}");
        assert_eq!(replayed.len(), world.outputs.len());
    }
}

#[test]
fn a_call_with_joins_leaves_mutes_loss_and_a_resume_replays_bit_for_bit() {
    let mut world = call(&["Anna", "Ben"], &[Microphone, Camera]);
    show(&mut world, 0, Camera, 3);
    world.loses_down = |sequence| sequence % 11 == 3;
    world.loses_up = |sequence| sequence % 13 == 3;
    show(&mut world, 0, Camera, 20);
    show(&mut world, 1, Microphone, 20);
    let cleo = world.join("standup", "Cleo");
    world.publish(cleo, 2, &[Camera]);
    world.run(Duration::from_millis(300));
    show(&mut world, cleo, Camera, 10);
    let microphone = world.clients[1].track(Microphone);
    world.command(1, Command::Mute { track: microphone, muted: true });
    show(&mut world, 1, Microphone, 5);
    world.break_signalling(0);
    show(&mut world, cleo, Camera, 5);
    world.resume(0, None);
    show(&mut world, 1, Camera, 10);
    world.command(1, Command::Leave);
    world.run(Duration::from_secs(2));

    assert!(world.outputs.len() > 250, "{} outputs", world.outputs.len());
    assert_replays(&world);
}

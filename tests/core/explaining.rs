//! What `strait explain` says of calls in which something known went wrong.

use std::time::{Duration, Instant};

use strait::core::command::Command;
use strait::core::command::Source::{Camera, Microphone};
use strait::trace::explain::model::{Blame, Person};
use strait::trace::explain::{Explanation, explain, html, json, text};
use strait::trace::strip::strip;
use strait::trace::{Trace, TraceWriter};

use crate::call_in;
use crate::traces::{eventful, file, recorded, strait, traces};
use crate::world::World;

/// Anna and Ben in a recorded room, each with a microphone and a camera.
fn two() -> World {
    let mut world = recorded("*");
    call_in(&mut world, "standup", &["Anna", "Ben"], &[Microphone, Camera]);
    world
}

/// Both talk and are seen for a while, at 25 pictures a second, the first of them a key frame.
fn talk(world: &mut World, length: Duration) {
    let pictures = length.as_millis() / 40;
    for picture in 0..pictures {
        for person in [0, 1] {
            world.send(person, Microphone, false);
            world.send(person, Camera, picture == 0);
        }
        world.run(Duration::from_millis(40));
    }
}

fn explained(trace: &[u8]) -> Explanation {
    let mut trace = Trace::open(trace, None).expect("a trace");
    let (explanation, parted) = explain(&mut trace, Instant::now()).expect("it can be explained");
    assert_eq!(parted, None);
    explanation
}

fn trace_of(world: World) -> Vec<u8> {
    traces(world).into_values().next().expect("one trace")
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn look() {
    let mut world = two();
    talk(&mut world, 4 * SECOND);
    world.loses_down = |_| true;
    talk(&mut world, SECOND);
    world.loses_down = |_| false;
    talk(&mut world, 4 * SECOND);
    world.loses_up = |_| true;
    talk(&mut world, SECOND);
    world.loses_up = |_| false;
    talk(&mut world, 4 * SECOND);
    world.restart_ice(0);
    talk(&mut world, 2 * SECOND);
    println!("{}", text::render(&explained(&trace_of(world)), None));
    let mut world = recorded("*");
    eventful(&mut world, "standup");
    println!("{}", text::render(&explained(&trace_of(world)), None));
}

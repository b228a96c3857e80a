//! Moves: small worlds of people whose calls go straight while they are few, and through the server when they grow. They have
//! signalling with the real core, and paths that are only said to be there: the media of a mesh does not come to the server
//! anyway. So a world costs milliseconds, and thousands of them can be played.
//!
//! For a while people come and go across the thresholds, at every step of a move: they lose their connections, crash, answer
//! late or never, forget to say that they have moved, lose their way to the server, find no path to each other; an operator
//! interferes. Then all is calm. At every moment the oracle looks at what is decided; in the end it asks who hears whom.

mod client;
mod deed;
mod moved;
mod oracle;
mod plan;
mod world;

use std::time::{Duration, Instant};

use super::world::Recorded;

pub use deed::{Deed, Step};
pub use moved::Moved;
pub use plan::{Manner, MovesPlan, PersonPlan};

/// How far ahead the clock is when a world is played a second time.
const SHIFT: Duration = Duration::from_secs(100_000);

/// Plays a world. `base` is the moment at which its clock begins; nothing depends on which.
pub fn play(plan: &MovesPlan, base: Instant) -> Moved {
    let mut world = world::World::new(plan, base);
    world.play();
    world.outcome()
}

/// Plays a world, and records its rooms. There are several if everybody left and somebody came again.
pub fn play_recorded(plan: &MovesPlan, base: Instant) -> (Moved, Vec<Recorded>) {
    let mut world = world::World::new(plan, base);
    world.record();
    world.play();
    let recorded = world.take_recorded();
    (world.outcome(), recorded)
}

/// Plays a world twice, the second time with a clock that is a day ahead, and complains if the two differ.
pub fn play_twice(plan: &MovesPlan, base: Instant) -> Moved {
    let mut outcome = play(plan, base);
    if play(plan, base + SHIFT) != outcome {
        outcome.complaints.push("the same world did something else the second time".to_owned());
    }
    outcome
}

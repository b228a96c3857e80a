//! How fast worlds are played: quiet rooms of three sizes, each for so long that starting up does not count.

use super::{now, print};
use crate::cli::failure::Failure;
use crate::sim::Plan;
use crate::sim::network::SECOND;

/// How many are in the room, and for how many seconds it is simulated.
const ROOMS: [(usize, u64); 3] = [(2, 300), (5, 120), (50, 15)];

/// Prints simulated seconds a second, on one thread.
pub(super) fn run() -> Result<(), Failure> {
    print("people  simulated   took       simulated s/s   packets forwarded/s\n");
    for (people, lasts) in ROOMS {
        let plan = Plan::quiet(1, people, lasts);
        let started = now();
        let outcome = crate::sim::run(&plan, started);
        let took = now().saturating_duration_since(started).as_secs_f64();
        if let Some(complaint) = outcome.complaints.first() {
            return Err(Failure::other(format!("the room of {people} fails: {complaint}")));
        }
        let simulated = outcome.lasted as f64 / SECOND as f64;
        print(&format!(
            "{people:>6} {simulated:>8.1} s {took:>8.2} s {:>13.1} {:>18.0}\n",
            simulated / took,
            outcome.forwarded as f64 / took
        ));
    }
    Ok(())
}

//! Scenarios: calls over networks that are known exactly, and what people see of each other in them. They say whether the
//! picture stays good when the network does not: `strait sim --scenarios` plays them, and writes the tables of
//! `docs/scenarios.md`.
//!
//! The networks are those of RFC 8867 that apply to a server, and those that a conference meets besides. Each [`Scenario`] is
//! a [`Plan`], of which it is said when nothing changes, and what must hold then and otherwise.

mod bars;
mod ideal;
mod list;
mod plot;
mod table;

pub use bars::Bar;
pub use list::all;
pub use table::document;

use std::time::Instant;

use super::line::LinePlan;
use super::network::{Micros, SECOND};
use super::plan::Plan;
use super::world::{Outcome, Watched, run_watched};

/// A call over a network that is known.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name, in one word.
    pub name: &'static str,
    /// What happens in it, in a sentence.
    pub what: &'static str,
    /// The world.
    pub plan: Plan,
    /// The people whose view is judged.
    pub viewers: Vec<usize>,
    /// From when to when nothing changes, in seconds.
    pub steady: Vec<(u64, u64)>,
    /// When the network to the viewers gets worse, in seconds.
    pub drops_at: Option<u64>,
    /// When it is as good as before, in seconds.
    pub recovers_at: Option<u64>,
    /// How many flows share the line to the viewers.
    pub flows: u64,
    /// Bars that are known to be missed.
    pub misses: &'static [&'static str],
}

/// What came of a scenario.
#[derive(Debug)]
pub struct Played {
    /// What was played.
    pub scenario: Scenario,
    /// What the oracle says.
    pub outcome: Outcome,
    /// What was seen.
    pub watched: Watched,
    /// What must hold, and whether it does.
    pub bars: Vec<Bar>,
}

impl Played {
    /// Returns what is not as it is said to be: bars that are missed, bars that are said to be missed and are not, and
    /// complaints of the oracle.
    pub fn surprises(&self) -> Vec<String> {
        let known = |bar: &Bar| self.scenario.misses.contains(&bar.name);
        let wrong = self.bars.iter().filter(|bar| bar.holds == known(bar));
        let mut surprises: Vec<String> = wrong.map(|bar| format!("{}: {bar}", self.scenario.name)).collect();
        let of = |complaint: &String| format!("{}: {complaint}", self.scenario.name);
        surprises.extend(self.outcome.complaints.iter().map(of));
        surprises
    }
}

impl Scenario {
    /// Plays it. Nothing depends on the moment at which it begins.
    pub fn play(self, base: Instant) -> Played {
        let (outcome, watched) = run_watched(&self.plan, base);
        let bars = bars::judge(&self, &watched);
        Played { scenario: self, outcome, watched, bars }
    }

    /// Returns how long it lasts, µs.
    pub fn lasts(&self) -> Micros {
        self.plan.heals_at
    }

    /// Returns the bottleneck before somebody.
    pub fn line_of(&self, viewer: usize) -> Option<&LinePlan> {
        let person = self.plan.people.get(viewer)?.as_ref()?;
        self.plan.lines.get(person.lines[1]?)
    }

    /// Returns what the bottleneck before somebody has for them at a moment, bits per second.
    pub fn capacity_of(&self, viewer: usize, at: Micros) -> Option<u64> {
        let capacity = self.line_of(viewer)?.capacity_at(at)?;
        Some(capacity / self.flows.max(1))
    }

    fn is_steady(&self, at: Micros) -> bool {
        self.steady.iter().any(|(from, to)| (from * SECOND..to * SECOND).contains(&at))
    }
}

//! A small picture in text: what a line carried, what the server believed, and what was shown, over time.

use super::Scenario;
use crate::sim::network::SECOND;
use crate::sim::world::Sample;

/// How many lines it is tall.
const ROWS: u64 = 8;
/// How many columns it is wide at most.
const COLUMNS: u64 = 100;

/// Returns the picture of one person's view. `c` is the capacity, `e` the estimate, `*` both; below are the heights that
/// were shown, as digits: 0 for none, 1 for the smallest.
pub(super) fn plot(scenario: &Scenario, viewer: usize, samples: &[Sample]) -> String {
    let seconds = scenario.lasts() / SECOND;
    let step = seconds.div_ceil(COLUMNS).max(1);
    let at = |column: u64| samples.iter().find(|sample| sample.at >= column * step * SECOND);
    let columns = seconds / step;
    let capacity = |column: u64| scenario.capacity_of(viewer, column * step * SECOND);
    let top = (0..columns).filter_map(capacity).max().unwrap_or(1).max(1);
    let row_of = |rate: u64| (rate * ROWS / (top + top / ROWS)).min(ROWS - 1);
    let mut text = String::new();
    for row in (0..ROWS).rev() {
        let label = (row + 1) * (top + top / ROWS) / ROWS / 1000;
        let mut line = format!("{label:>6} ");
        for column in 0..columns {
            let has = |rate: Option<u64>| rate.is_some_and(|rate| row_of(rate) == row);
            let estimate = at(column).and_then(|sample| sample.estimate);
            line.push(match (has(capacity(column)), has(estimate)) {
                (true, true) => '*',
                (true, false) => 'c',
                (false, true) => 'e',
                (false, false) => ' ',
            });
        }
        text += &format!("{}\n", line.trim_end());
    }
    let mut people: Vec<usize> =
        samples.iter().flat_map(|sample| &sample.shown).map(|shown| shown.0).collect();
    people.sort_unstable();
    people.dedup();
    for person in people {
        let mut line = format!("{:>6} ", crate::sim::network::name(person));
        for column in 0..columns {
            let shown = at(column).and_then(|sample| sample.shown.iter().find(|shown| shown.0 == person));
            line.push(match shown.map(|shown| shown.1) {
                None => '0',
                Some(0..=180) => '1',
                Some(181..=360) => '2',
                Some(_) => '3',
            });
        }
        text += &format!("{line}\n");
    }
    text
}

//! What would be best to show, found by trying everything: every way to choose one size or none of each track is compared.
//! It knows what the network carries, which the server does not.

use super::Scenario;
use crate::core::command::{MediaKind, Source, Wish};
use crate::sim::deed::Deed;
use crate::sim::network::{Micros, SECOND};
use crate::sim::plan::SourcePlan;

/// What a packet of audio takes of a line beside its payload, in bytes.
const AUDIO_OVERHEAD: u64 = 66;
/// A tile may be a tenth taller than the picture in it.
const FITS_TENTHS: u64 = 9;

/// A track that somebody may be shown.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    /// Who publishes it.
    pub(super) person: usize,
    /// Whether it is a screen.
    is_screen: bool,
    /// Its sizes up to the one that fits the tile, smallest first: height and rate.
    pub(super) sizes: Vec<(u16, u64)>,
}

/// Returns what somebody hears at a moment, bits per second, and the tracks that they could be shown.
pub(super) fn choices(scenario: &Scenario, viewer: usize, at: Micros) -> (u64, Vec<Choice>) {
    let (mut audio, mut choices) = (0, Vec::new());
    for (person, plan) in scenario.plan.people.iter().enumerate() {
        let Some(plan) = plan.as_ref().filter(|plan| person != viewer && plan.arrives <= at) else {
            continue;
        };
        for source in plan.sources.iter().filter(|source| !is_muted(scenario, person, source.source, at)) {
            if source.source.kind() == MediaKind::Audio {
                audio += (source.bytes as u64 + AUDIO_OVERHEAD) * 8 * SECOND / source.interval;
            } else if let Some(sizes) = sizes(source, wish(scenario, viewer, person, source.source, at)) {
                choices.push(Choice { person, is_screen: source.source == Source::Screen, sizes });
            }
        }
    }
    (audio, choices)
}

fn is_muted(scenario: &Scenario, person: usize, source: Source, at: Micros) -> bool {
    let steps = scenario.plan.steps.iter().map(|(_, step)| step).filter(|step| step.at <= at);
    let mut mutes = steps.filter(|step| step.who == person).filter_map(|step| match step.deed {
        Deed::Mute(of, muted) if of == source => Some(muted),
        _ => None,
    });
    mutes.next_back().unwrap_or(false)
}

fn wish(scenario: &Scenario, viewer: usize, of: usize, source: Source, at: Micros) -> Wish {
    let steps = scenario.plan.steps.iter().map(|(_, step)| step).filter(|step| step.at <= at);
    let mut wishes = steps.filter(|step| step.who == viewer).filter_map(|step| match step.deed {
        Deed::Prefer(person, what, wish) if (person, what) == (of, source) => Some(wish),
        _ => None,
    });
    wishes.next_back().unwrap_or_default()
}

/// Returns the sizes of a track that are of use in a tile; `None` if it cannot be seen.
fn sizes(source: &SourcePlan, wish: Wish) -> Option<Vec<(u16, u64)>> {
    let mut sizes: Vec<(u16, u64)> =
        source.layers.iter().map(|layer| (layer.height, layer.wire_rate(source.interval))).collect();
    sizes.sort_unstable();
    let tile = u64::from(wish.height.unwrap_or(u16::MAX));
    let fitting = sizes.iter().position(|(height, _)| u64::from(*height) * 10 >= tile * FITS_TENTHS);
    sizes.truncate(fitting.map_or(sizes.len(), |place| place + 1));
    (!wish.paused).then_some(sizes)
}

/// What one way to choose is worth: how many tracks are shown, the heights of screens, those of cameras.
type Worth = (usize, u64, u64);

/// Returns the heights that are best to show for so many bits per second, one for each choice, 0 for none.
pub(super) fn best(budget: u64, choices: &[Choice]) -> Vec<u16> {
    let mut best: (Worth, Vec<u16>) = ((0, 0, 0), vec![0; choices.len()]);
    let mut taken = vec![None; choices.len()];
    try_all(budget, choices, &mut taken, 0, &mut best);
    best.1
}

fn try_all(
    left: u64,
    choices: &[Choice],
    taken: &mut Vec<Option<usize>>,
    place: usize,
    best: &mut (Worth, Vec<u16>),
) {
    let Some(choice) = choices.get(place) else {
        let heights: Vec<u16> = choices
            .iter()
            .zip(taken.iter())
            .map(|(choice, size)| size.and_then(|size| choice.sizes.get(size)).map_or(0, |size| size.0))
            .collect();
        let sum = |screens: bool| {
            let own = choices.iter().zip(&heights).filter(|(choice, _)| choice.is_screen == screens);
            own.map(|(_, height)| u64::from(*height)).sum::<u64>()
        };
        let shown = heights.iter().filter(|height| **height > 0).count();
        let worth = (shown, sum(true), sum(false));
        if worth > best.0 {
            *best = (worth, heights);
        }
        return;
    };
    for size in (0..choice.sizes.len()).map(Some).chain([None]) {
        let cost = size.map_or(0, |size| choice.sizes[size].1);
        if cost <= left {
            taken[place] = size;
            try_all(left - cost, choices, taken, place + 1, best);
        }
    }
    taken[place] = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(person: usize) -> Choice {
        Choice { person, is_screen: false, sizes: vec![(180, 150), (360, 500), (720, 1500)] }
    }

    #[test]
    fn everybody_is_seen_before_anybody_is_seen_larger_and_screens_come_first() {
        let screen = Choice { is_screen: true, ..camera(2) };
        for (budget, heights) in [
            (100, [0, 0]),
            (300, [180, 180]),
            (650, [180, 360]),
            (1000, [360, 360]),
            (1650, [180, 720]),
            (3000, [720, 720]),
        ] {
            assert_eq!(best(budget, &[camera(0), screen.clone()]), heights, "{budget}");
        }
    }
}

//! Bars: what must hold in a scenario, with what was measured.

use std::fmt;

use super::ideal::{best, choices};
use super::{Scenario, Watched};
use crate::core::command::Source;
use crate::sim::network::{Micros, SECOND};
use crate::sim::world::Sample;

/// What of the capacity is to be used at most, in 1/10: the rest is for what nobody foresees.
const USED_TENTHS: u64 = 9;
/// In how many of 100 samples the best must be shown.
const BEST_PERCENT: u64 = 95;
/// Between which percentages of the capacity the estimate must be, in the median.
const ESTIMATE_PERCENT: (u64, u64) = (85, 110);
/// How long packets may wait in the median and in the worst of 20, ms.
const QUEUE_MS: (u64, u64) = (50, 150);
/// Within which time less is sent, and everything again, ms.
const LOWERS_WITHIN_MS: u64 = 2_000;
const RAISES_WITHIN_MS: u64 = 8_000;
/// How often another size may be shown while nothing changes: once in so many seconds.
const SWITCHES_APART: u64 = 10;
/// The longest stretch of audio that may be missing, ms: more cannot be concealed.
const AUDIO_GAP_MS: u64 = 60;
/// How many of 1000 frames of audio may be missing.
const AUDIO_LOST_PERMILLE: u64 = 50;
/// How much one of several flows may have beside the others' mean, in percent.
const FAIR_PERCENT: u64 = 20;

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// What it is about, in one word.
    pub name: &'static str,
    /// What was measured.
    pub measured: String,
    /// What was wanted.
    pub wanted: String,
    /// Whether it holds.
    pub holds: bool,
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds { "holds" } else { "is missed" };
        write!(f, "{} {verdict}: {} (wanted: {})", self.name, self.measured, self.wanted)
    }
}

fn bar(name: &'static str, measured: String, wanted: String, holds: bool) -> Bar {
    Bar { name, measured, wanted, holds }
}

/// Returns what must hold of a scenario, the worst viewer's figures each time.
pub(super) fn judge(scenario: &Scenario, watched: &Watched) -> Vec<Bar> {
    let view = |viewer: &usize| {
        let samples = watched.samples.get(*viewer).map_or(&[][..], Vec::as_slice);
        View { scenario, viewer: *viewer, samples }
    };
    let views: Vec<View<'_>> = scenario.viewers.iter().map(view).collect();
    let mut bars = Vec::new();
    // What one of several may have depends on what the others take.
    if scenario.flows == 1 {
        bars.extend(best_is_shown(&views));
        bars.extend(estimate_is_near(&views));
    }
    bars.extend(queue_is_short(&views));
    bars.extend(lowers_in_time(scenario, &views));
    bars.extend(raises_in_time(scenario, &views));
    bars.extend(switches_are_few(&views));
    bars.extend(audio_is_heard(scenario, watched));
    bars.extend(flows_are_fair(scenario, &views));
    bars
}

/// What one person saw.
pub(super) struct View<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) viewer: usize,
    pub(super) samples: &'a [Sample],
}

impl View<'_> {
    fn steady(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(|sample| self.scenario.is_steady(sample.at))
    }

    /// Returns the heights that were shown of the tracks that could be, in their order.
    fn shown(&self, sample: &Sample) -> Vec<u16> {
        let (_, choices) = choices(self.scenario, self.viewer, sample.at);
        let height =
            |person: usize| sample.shown.iter().find(|shown| shown.0 == person).map_or(0, |shown| shown.1);
        choices.iter().map(|choice| height(choice.person)).collect()
    }

    /// Whether what was shown is best for nine tenths of the capacity, or for more of it: what is shown already may stay
    /// until there is no room for it.
    fn is_best(&self, sample: &Sample) -> bool {
        let (audio, choices) = choices(self.scenario, self.viewer, sample.at);
        let capacity = self.scenario.capacity_of(self.viewer, sample.at).unwrap_or(u64::MAX / 10);
        let shown = self.shown(sample);
        let of = |tenths: u64| best((capacity * tenths / 10).saturating_sub(audio), &choices);
        shown == of(USED_TENTHS) || shown == of(10)
    }

    /// Returns what is sent to them for what they see and hear, bits per second.
    fn rate(&self, sample: &Sample) -> u64 {
        let (audio, choices) = choices(self.scenario, self.viewer, sample.at);
        let cost = |shown: &(usize, u16)| {
            let choice = choices.iter().find(|choice| choice.person == shown.0)?;
            choice.sizes.iter().find(|size| size.0 == shown.1).map(|size| size.1)
        };
        audio + sample.shown.iter().filter_map(cost).sum::<u64>()
    }

    /// Returns what would be sent if the network carried everything, bits per second.
    pub(super) fn demand(&self, at: Micros) -> u64 {
        let (audio, choices) = choices(self.scenario, self.viewer, at);
        audio + choices.iter().filter_map(|choice| choice.sizes.last()).map(|size| size.1).sum::<u64>()
    }

    /// Returns the percentage of samples in which the best is shown while nothing changes; `None` if something always does.
    pub(super) fn best_percent(&self) -> Option<u64> {
        let (mut all, mut good) = (0, 0);
        for sample in self.steady() {
            all += 1;
            good += u64::from(self.is_best(sample));
        }
        (good * 100).checked_div(all)
    }

    /// Returns the estimates as percentages of the capacity, in order, where more is wanted than there is.
    pub(super) fn estimates(&self) -> Vec<u64> {
        let near = self.steady().filter_map(|sample| {
            let capacity = self.scenario.capacity_of(self.viewer, sample.at)?;
            let exceeds = self.demand(sample.at) > capacity;
            exceeds.then_some(sample.estimate? * 100 / capacity)
        });
        let mut near: Vec<u64> = near.collect();
        near.sort_unstable();
        near
    }

    /// Returns how long packets waited, in order, ms.
    pub(super) fn waits(&self) -> Vec<u64> {
        let mut waits: Vec<u64> = self.samples.iter().map(|sample| sample.queue / 1000).collect();
        waits.sort_unstable();
        waits
    }

    /// Returns how often another size was shown while nothing changed, and for how many seconds that was.
    pub(super) fn switches(&self) -> (u64, u64) {
        let pairs = self
            .samples
            .windows(2)
            .filter(|pair| self.scenario.is_steady(pair[0].at) && self.scenario.is_steady(pair[1].at));
        let switches = pairs.filter(|pair| self.shown(&pair[0]) != self.shown(&pair[1])).count();
        (switches as u64, self.scenario.steady.iter().map(|(from, to)| to - from).sum())
    }

    /// Returns how long it takes from a second on until something holds of what is shown, ms.
    fn time_until(&self, second: u64, mut holds: impl FnMut(&Sample) -> bool) -> Option<u64> {
        let mut later = self.samples.iter().filter(|sample| sample.at >= second * SECOND);
        let found = later.find(|sample| holds(sample))?;
        Some((found.at - second * SECOND) / 1000)
    }
}

/// Returns the value at a percentage of a list in order; 0 of an empty one.
pub(super) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted.get(sorted.len() * percent / 100).or(sorted.last()).copied().unwrap_or(0)
}

fn best_is_shown(views: &[View<'_>]) -> Option<Bar> {
    let worst = views.iter().filter_map(View::best_percent).min()?;
    let wanted = format!("in {BEST_PERCENT} % of samples");
    Some(bar("best", format!("{worst} %"), wanted, worst >= BEST_PERCENT))
}

fn estimate_is_near(views: &[View<'_>]) -> Option<Bar> {
    let (low, high) = ESTIMATE_PERCENT;
    let medians: Vec<u64> = views
        .iter()
        .map(View::estimates)
        .filter(|estimates| !estimates.is_empty())
        .map(|estimates| percentile(&estimates, 50))
        .collect();
    let (least, most) = (*medians.iter().min()?, *medians.iter().max()?);
    let measured = if least == most { format!("{least} %") } else { format!("{least} to {most} %") };
    let holds = least >= low && most <= high;
    Some(bar("estimate", measured, format!("{low} to {high} % of the capacity, median"), holds))
}

fn queue_is_short(views: &[View<'_>]) -> Option<Bar> {
    let (half, late) = QUEUE_MS;
    views.iter().find(|view| view.scenario.line_of(view.viewer).is_some())?;
    let at = |percent: usize| views.iter().map(|view| percentile(&view.waits(), percent)).max().unwrap_or(0);
    let (median, worst) = (at(50), at(95));
    let wanted = format!("under {half}, {late} ms (p50, p95)");
    Some(bar("queue", format!("{median}, {worst} ms"), wanted, median < half && worst < late))
}

fn lowers_in_time(scenario: &Scenario, views: &[View<'_>]) -> Option<Bar> {
    let second = scenario.drops_at?;
    let took = views.iter().map(|view| {
        view.time_until(second, |sample| {
            let (_, choices) = choices(scenario, view.viewer, sample.at);
            let lowest = choices.iter().all(|choice| {
                let lowest = choice.sizes.first().map_or(0, |size| size.0);
                sample.shown.iter().all(|shown| shown.0 != choice.person || shown.1 <= lowest)
            });
            lowest || view.rate(sample) <= scenario.capacity_of(view.viewer, sample.at).unwrap_or(u64::MAX)
        })
    });
    Some(in_time("lowers", took, LOWERS_WITHIN_MS))
}

fn raises_in_time(scenario: &Scenario, views: &[View<'_>]) -> Option<Bar> {
    let second = scenario.recovers_at?;
    let took = views.iter().map(|view| view.time_until(second, |sample| view.is_best(sample)));
    Some(in_time("raises", took, RAISES_WITHIN_MS))
}

fn in_time(name: &'static str, took: impl Iterator<Item = Option<u64>>, within: u64) -> Bar {
    let worst = took.map(|took| took.unwrap_or(u64::MAX)).max().unwrap_or(u64::MAX);
    let measured = if worst == u64::MAX { "never".to_owned() } else { format!("{worst} ms") };
    bar(name, measured, format!("within {within} ms"), worst <= within)
}

fn switches_are_few(views: &[View<'_>]) -> Option<Bar> {
    let (most, seconds) = views.iter().map(View::switches).max()?;
    let measured = format!("{most} in {seconds} s");
    let holds = most * SWITCHES_APART <= seconds;
    (seconds > 0).then(|| bar("switches", measured, format!("one in {SWITCHES_APART} s at most"), holds))
}

fn audio_is_heard(scenario: &Scenario, watched: &Watched) -> Option<Bar> {
    let sources = scenario.plan.people.iter().flatten().flat_map(|person| &person.sources);
    let interval = sources.clone().find(|source| source.source == Source::Microphone)?;
    let got = scenario.viewers.iter().filter_map(|viewer| watched.got.get(*viewer));
    let gap = got.clone().map(|got| u64::from(got.audio_gap)).max()? * interval.interval / 1000;
    let lost = got.map(|got| (got.audio.1 * 1000).checked_div(got.audio.0).unwrap_or(1000)).max()?;
    let measured = format!("{}.{} % lost, {gap} ms at once", lost / 10, lost % 10);
    let wanted = format!("{} %, {AUDIO_GAP_MS} ms at most", AUDIO_LOST_PERMILLE / 10);
    Some(bar("audio", measured, wanted, gap <= AUDIO_GAP_MS && lost <= AUDIO_LOST_PERMILLE))
}

fn flows_are_fair(scenario: &Scenario, views: &[View<'_>]) -> Option<Bar> {
    if scenario.flows < 2 || scenario.viewers.len() < 2 {
        return None;
    }
    let mean = |view: &View<'_>| {
        let rates: Vec<u64> = view.steady().map(|sample| view.rate(sample)).collect();
        rates.iter().sum::<u64>().checked_div(rates.len() as u64).unwrap_or(0)
    };
    let means: Vec<u64> = views.iter().map(mean).collect();
    let all = means.iter().sum::<u64>() / means.len() as u64;
    let off = means.iter().map(|own| own.abs_diff(all) * 100 / all.max(1)).max()?;
    let measured = format!("{off} % off the mean");
    Some(bar("fair", measured, format!("{FAIR_PERCENT} % at most"), off <= FAIR_PERCENT))
}

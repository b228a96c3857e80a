//! The document: what was measured in each scenario, in lines that can be compared with those of another day.

use super::bars::{View, percentile};
use super::plot::plot;
use super::{Played, Scenario};
use crate::sim::network::{SECOND, name};

/// What the document says before the figures.
const HEAD: &str = include_str!("head.md");

/// Returns the text of `docs/scenarios.md`.
pub fn document(played: &[Played]) -> String {
    let mut text = HEAD.to_owned();
    text += "\n## Bars\n\n| scenario | bar | measured | wanted | |\n|---|---|---|---|---|\n";
    for one in played {
        for bar in &one.bars {
            let verdict = if bar.holds { "" } else { "**missed**" };
            text += &format!(
                "| {} | {} | {} | {} | {verdict} |\n",
                one.scenario.name, bar.name, bar.measured, bar.wanted
            );
        }
    }
    text += "\n## Figures\n\n```\n";
    text += &heading();
    for one in played {
        let shown = one.scenario.viewers.iter().take(VIEWERS_MAX);
        text += &shown.map(|viewer| row(one, *viewer)).collect::<String>();
    }
    text += "```\n\n## Plots\n\n";
    for one in played.iter().filter(|one| !one.scenario.plan.lines.is_empty()) {
        text += &format!("### {}\n\n{}.\n\n```\n", one.scenario.name, sentence(&one.scenario));
        for viewer in one.scenario.viewers.iter().take(VIEWERS_MAX) {
            let samples = one.watched.samples.get(*viewer).map_or(&[][..], Vec::as_slice);
            text += &plot(&one.scenario, *viewer, samples);
        }
        text += "```\n\n";
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// Of so many viewers of a scenario there are figures.
const VIEWERS_MAX: usize = 5;

fn sentence(scenario: &Scenario) -> String {
    let mut letters = scenario.what.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The columns, each with its width.
const COLUMNS: [(&str, usize); 23] = [
    ("scenario", 15),
    ("who", 4),
    ("cap", 5),
    ("use%", 5),
    ("est", 5),
    ("min", 5),
    ("max", 5),
    ("draw%", 6),
    ("80%", 5),
    ("want", 5),
    ("best%", 6),
    ("sw", 3),
    ("s/0/1/2/3", 13),
    ("ttff", 5),
    ("fps", 5),
    ("frz", 4),
    ("frz%", 5),
    ("pli", 4),
    ("q50", 4),
    ("q95", 4),
    ("qmax", 5),
    ("drops", 6),
    ("rep/pad kB", 12),
];

fn heading() -> String {
    let cells: Vec<String> = COLUMNS.iter().map(|(name, width)| format!("{name:>width$}")).collect();
    format!("{}  audio\n", cells.join(" "))
}

fn row(played: &Played, viewer: usize) -> String {
    let scenario = &played.scenario;
    let samples = played.watched.samples.get(viewer).map_or(&[][..], Vec::as_slice);
    let view = View { scenario, viewer, samples };
    let Some(got) = played.watched.got.get(viewer) else { return String::new() };
    let seconds = (samples.len() as u64 / 10).max(1);
    let capacities: Vec<u64> =
        samples.iter().filter_map(|sample| scenario.capacity_of(viewer, sample.at)).collect();
    let mean = capacities.iter().sum::<u64>().checked_div(capacities.len() as u64).unwrap_or(0);
    let all = (got.received.media + got.received.repeats) * 8 / seconds;
    let estimates: Vec<u64> = samples.iter().filter_map(|sample| sample.estimate).collect();
    let waits = view.waits();
    let cell = |value: u64| if mean == 0 { "-".to_owned() } else { value.to_string() };
    let line = scenario.plan.people[viewer].as_ref().and_then(|person| person.lines[1]);
    let drops = line.and_then(|line| played.watched.lines.get(line)).map_or(0, |line| line.0);
    let values = [
        scenario.name.to_owned(),
        name(viewer),
        cell(mean / 1000),
        cell((all * 100).checked_div(mean).unwrap_or(0)),
        (estimates.last().copied().unwrap_or(0) / 1000).to_string(),
        (estimates.iter().min().copied().unwrap_or(0) / 1000).to_string(),
        (estimates.iter().max().copied().unwrap_or(0) / 1000).to_string(),
        drawdown(&estimates).to_string(),
        reached(&view).map_or("-".to_owned(), |at| format!("{}.{}", at / SECOND, at / (SECOND / 10) % 10)),
        (view.demand(scenario.lasts() - 1) / 1000).to_string(),
        view.best_percent().map_or("-".to_owned(), |percent| percent.to_string()),
        view.switches().0.to_string(),
        layers(&view),
        first(&view).map_or("-".to_owned(), |ms| ms.to_string()),
        format!("{}.{}", got.pictures.pictures / seconds, got.pictures.pictures * 10 / seconds % 10),
        got.pictures.freezes.to_string(),
        permille(got.pictures.frozen * 1000 / (seconds * SECOND)),
        got.pictures.asked.to_string(),
        cell(percentile(&waits, 50)),
        cell(percentile(&waits, 95)),
        cell(waits.last().copied().unwrap_or(0)),
        drops.to_string(),
        format!("{}/{}", got.received.repeats / 1000, got.egress.padding_bytes / 1000),
    ];
    let cells: Vec<String> =
        values.iter().zip(COLUMNS).map(|(value, (_, width))| format!("{value:>width$}")).collect();
    let (frames, lost) = got.audio;
    let audio = permille((lost * 1000).checked_div(frames).unwrap_or(0));
    format!("{}  {audio} % lost, {} at once\n", cells.join(" "), got.audio_gap)
}

fn permille(value: u64) -> String {
    format!("{}.{}", value / 10, value % 10)
}

/// Returns by how much the estimate fell at most from where it had been, in percent.
fn drawdown(estimates: &[u64]) -> u64 {
    let (mut top, mut worst) = (0, 0);
    for estimate in estimates {
        top = top.max(*estimate);
        worst = worst.max(((top - estimate) * 100).checked_div(top).unwrap_or(0));
    }
    worst
}

/// Returns when the estimate was first at four fifths of the capacity, µs.
fn reached(view: &View<'_>) -> Option<u64> {
    let found = view.samples.iter().find(|sample| {
        let capacity = view.scenario.capacity_of(view.viewer, sample.at);
        capacity.zip(sample.estimate).is_some_and(|(capacity, estimate)| estimate * 10 >= capacity * 8)
    })?;
    Some(found.at)
}

/// Returns after how many ms the first picture was seen.
fn first(view: &View<'_>) -> Option<u64> {
    let first = view.samples.iter().find(|sample| !sample.shown.is_empty())?;
    Some(first.at / 1000)
}

/// Returns for how many seconds each size was seen, of all tracks together: none, and from the smallest on.
fn layers(view: &View<'_>) -> String {
    let mut tenths = [0_u64; 4];
    for sample in view.samples {
        if sample.shown.is_empty() {
            tenths[0] += 1;
        }
        for (_, height) in &sample.shown {
            let size = match height {
                0..=180 => 1,
                181..=360 => 2,
                _ => 3,
            };
            tenths[size] += 1;
        }
    }
    tenths.map(|tenths| (tenths / 10).to_string()).join("/")
}

//! Cut: the parts of a world that are left out. Its text, together with the seed, names the smaller world. The rest of
//! the world behaves as before.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::network::{Micros, name};
use super::plan::Plan;
use crate::core::command::Source;

const SOURCES: [Source; 4] = [Source::Microphone, Source::Camera, Source::Screen, Source::ScreenAudio];

/// What is left out of a world. Its text is `people=A+C,steps=3+7,tracks=A.Camera,calm=A,exact,until=2500`, of which any
/// part may be missing, and a list may be `none`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cut {
    /// Only these people; `None` for all.
    pub people: Option<BTreeSet<usize>>,
    /// Only these steps; `None` for all.
    pub steps: Option<BTreeSet<usize>>,
    /// Only these tracks; `None` for all.
    pub tracks: Option<BTreeSet<(usize, Source)>>,
    /// The people whose networks are perfect.
    pub calm: BTreeSet<usize>,
    /// Whether the server reads at once and wakes in time.
    pub exact: bool,
    /// When the network heals and people stop doing things, if earlier than planned, in µs; whole milliseconds.
    pub until: Option<Micros>,
}

/// The text is not a cut: it says which part, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCut(pub String);

impl fmt::Display for BadCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; use a cut as `strait sim --shrink` prints it", self.0)
    }
}

impl std::error::Error for BadCut {}

impl Cut {
    /// Returns the world without the parts that are left out.
    pub fn of(&self, plan: &Plan) -> Plan {
        let mut plan = plan.clone();
        if let Some(until) = self.until {
            plan.heals_at = plan.heals_at.min(until);
        }
        let heals_at = plan.heals_at;
        for (index, person) in plan.people.iter_mut().enumerate() {
            let stays = self.people.as_ref().is_none_or(|kept| kept.contains(&index));
            if !stays || person.as_ref().is_some_and(|person| person.arrives > heals_at) {
                *person = None;
            }
            let Some(person) = person else { continue };
            if let Some(kept) = &self.tracks {
                person.sources.retain(|source| kept.contains(&(index, source.source)));
            }
            if self.calm.contains(&index) {
                person.calm();
            }
        }
        let people = &plan.people;
        let is_there = |index: usize| people.get(index).is_some_and(Option::is_some);
        plan.steps.retain(|(number, step)| {
            step.at < heals_at
                && is_there(step.who)
                && step.deed.of().is_none_or(is_there)
                && self.steps.as_ref().is_none_or(|kept| kept.contains(number))
        });
        if self.exact {
            (plan.turn, plan.lateness, plan.early_calls) = (0, 0, false);
        }
        plan
    }

    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { "none".to_owned() } else { items.join("+") }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let people = |who: &BTreeSet<usize>| list(who.iter().map(|index| name(*index)));
        let mut parts = Vec::new();
        parts.extend(self.people.as_ref().map(|kept| format!("people={}", people(kept))));
        parts.extend(
            self.steps.as_ref().map(|kept| format!("steps={}", list(kept.iter().map(usize::to_string)))),
        );
        let track = |(who, source): &(usize, Source)| format!("{}.{source:?}", name(*who));
        parts.extend(self.tracks.as_ref().map(|kept| format!("tracks={}", list(kept.iter().map(track)))));
        if !self.calm.is_empty() {
            parts.push(format!("calm={}", people(&self.calm)));
        }
        if self.exact {
            parts.push("exact".to_owned());
        }
        parts.extend(self.until.map(|at| format!("until={}", at / 1000)));
        f.write_str(&parts.join(","))
    }
}

impl FromStr for Cut {
    type Err = BadCut;

    fn from_str(text: &str) -> Result<Self, BadCut> {
        let mut cut = Self::default();
        for part in text.split(',') {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            match key {
                "people" => cut.people = Some(items(part, value, person)?),
                "steps" => cut.steps = Some(items(part, value, |item| item.parse().ok())?),
                "tracks" => cut.tracks = Some(items(part, value, track)?),
                "calm" => cut.calm = items(part, value, person)?,
                "exact" if value.is_empty() => cut.exact = true,
                "until" => {
                    let millis: u32 =
                        value.parse().map_err(|_| BadCut(format!("\"{part}\" needs milliseconds")))?;
                    cut.until = Some(Micros::from(millis) * 1000);
                }
                _ => return Err(BadCut(format!("\"{part}\" is not a part of a cut"))),
            }
        }
        Ok(cut)
    }
}

fn items<T: Ord>(part: &str, value: &str, read: impl Fn(&str) -> Option<T>) -> Result<BTreeSet<T>, BadCut> {
    if value == "none" {
        return Ok(BTreeSet::new());
    }
    let read =
        |item: &str| read(item).ok_or_else(|| BadCut(format!("\"{part}\" does not name things: {item:?}")));
    value.split('+').map(read).collect()
}

fn person(text: &str) -> Option<usize> {
    (0..26).find(|index| name(*index) == text)
}

fn track(text: &str) -> Option<(usize, Source)> {
    let (who, what) = text.split_once('.')?;
    let source = SOURCES.into_iter().find(|source| format!("{source:?}") == what)?;
    Some((person(who)?, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_found_again_by_its_name() {
        for text in [
            "people=A+C",
            "steps=3+7,tracks=A.Camera+C.ScreenAudio",
            "people=none,steps=none,tracks=none,calm=A+B,exact,until=2500",
        ] {
            let cut: Cut = text.parse().unwrap();
            assert_eq!(cut.to_string(), text);
        }
        for bad in ["", "people=", "people=a", "tracks=A.Kamera", "steps=x", "until=2s", "exact=1", "fast"] {
            assert!(bad.parse::<Cut>().is_err(), "{bad}");
        }
    }
}

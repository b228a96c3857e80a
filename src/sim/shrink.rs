//! Shrink: makes a failing world smaller while it still fails in the same way, with fewer people, deeds and tracks,
//! calmer networks and less time.

use std::collections::BTreeSet;

use super::cut::Cut;
use super::plan::Plan;

/// Returns the kind of a complaint: its words without names, times and numbers.
pub fn kind_of(complaint: &str) -> String {
    let text = complaint.split_once(": ").map_or(complaint, |(_, text)| text);
    let words = text.split_whitespace().map(|word| word.trim_matches(|c: char| c.is_ascii_punctuation()));
    let plain = |word: &&str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    words.filter(plain).collect::<Vec<_>>().join(" ")
}

/// Returns the smallest cut that was found with which the world still fails. `fails` is called for many worlds.
pub fn shrink(plan: &Plan, mut fails: impl FnMut(&Plan) -> bool) -> Cut {
    let mut shrinker = Shrinker { plan, cut: Cut::default(), fails: &mut fails };
    while shrinker.round() {}
    shrinker.cut
}

struct Shrinker<'a> {
    plan: &'a Plan,
    cut: Cut,
    fails: &'a mut dyn FnMut(&Plan) -> bool,
}

impl Shrinker<'_> {
    /// Tries everything once. Returns whether anything helped.
    fn round(&mut self) -> bool {
        let before = self.cut.clone();
        self.fewer_steps();
        self.fewer_people();
        self.shorter();
        self.fewer_tracks();
        self.calmer();
        self.cut != before
    }

    /// Takes a cut if the world still fails with it. Returns whether it does.
    fn takes(&mut self, cut: Cut) -> bool {
        let smaller = cut.of(self.plan);
        let helps = smaller != self.cut.of(self.plan) && (self.fails)(&smaller);
        if helps {
            self.cut = cut;
        }
        helps
    }

    fn now(&self) -> Plan {
        self.cut.of(self.plan)
    }

    /// Leaves out half of the steps, then quarters, and so on to single ones.
    fn fewer_steps(&mut self) {
        let mut size = self.now().steps.len();
        while size > 0 {
            let mut from = 0;
            loop {
                let numbers: Vec<usize> = self.now().steps.iter().map(|(number, _)| *number).collect();
                if from >= numbers.len() {
                    break;
                }
                let left_out = from..(from + size).min(numbers.len());
                let kept = numbers.iter().enumerate().filter(|(place, _)| !left_out.contains(place));
                let steps = Some(kept.map(|(_, number)| *number).collect());
                // If the world still fails without these, those after them have moved up to `from`.
                if !self.takes(Cut { steps, ..self.cut.clone() }) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    fn there(&self) -> BTreeSet<usize> {
        let people = self.now().people;
        people.iter().enumerate().filter_map(|(index, person)| person.as_ref().map(|_| index)).collect()
    }

    /// Leaves people out, one by one.
    fn fewer_people(&mut self) {
        for index in self.there() {
            let mut people = self.there();
            people.remove(&index);
            self.takes(Cut { people: Some(people), ..self.cut.clone() });
        }
    }

    /// Lets the network heal as early as possible.
    fn shorter(&mut self) {
        let heals_at = self.now().heals_at;
        for eighths in 1..8 {
            let until = heals_at * eighths / 8 / 1000 * 1000;
            if self.takes(Cut { until: Some(until), ..self.cut.clone() }) {
                break;
            }
        }
    }

    fn fewer_tracks(&mut self) {
        let tracks = |plan: &Plan| -> BTreeSet<_> {
            let people = plan.people.iter().enumerate();
            let of = |(index, person): (usize, &Option<super::plan::PersonPlan>)| {
                let sources = person.iter().flat_map(|person| &person.sources);
                sources.map(|source| (index, source.source)).collect::<Vec<_>>()
            };
            people.flat_map(of).collect()
        };
        for track in tracks(&self.now()) {
            let mut kept = tracks(&self.now());
            kept.remove(&track);
            self.takes(Cut { tracks: Some(kept), ..self.cut.clone() });
        }
    }

    /// Makes networks perfect and the server punctual: for all people at once if possible, or else one by one.
    fn calmer(&mut self) {
        let everybody = self.there();
        if self.takes(Cut { exact: true, calm: everybody.clone(), ..self.cut.clone() }) {
            return;
        }
        self.takes(Cut { exact: true, ..self.cut.clone() });
        for index in everybody {
            let mut calm = self.cut.calm.clone();
            calm.insert(index);
            self.takes(Cut { calm, ..self.cut.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::command::Source;
    use crate::sim::deed::Deed;

    #[test]
    fn only_what_matters_stays() {
        // A plan with somebody who mutes and enough of everything else.
        let (plan, number) = (0..)
            .map(Plan::of)
            .find_map(|plan| {
                let mutes = |(number, step): &(usize, crate::sim::deed::Step)| {
                    (step.who == 1 && matches!(step.deed, Deed::Mute(..))).then_some(*number)
                };
                let number = plan.steps.iter().find_map(mutes)?;
                (plan.people.len() > 3 && plan.steps.len() > 8).then_some((plan, number))
            })
            .unwrap();
        let mut asked = 0;
        let cut = shrink(&plan, |plan| {
            asked += 1;
            plan.steps.iter().any(|(one, _)| *one == number)
        });
        let small = cut.of(&plan);
        assert_eq!(small.steps.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [number]);
        let there: Vec<usize> =
            (0..small.people.len()).filter(|index| small.people[*index].is_some()).collect();
        assert_eq!(there, [1]);
        assert!(small.people[1].as_ref().unwrap().sources.is_empty());
        assert!(asked < 200, "{asked} worlds were tried");
        let named: Cut = cut.to_string().parse().unwrap();
        assert_eq!(named.of(&plan), small, "its name leads to the same world");
        assert!(
            !small.people.iter().flatten().any(|one| one.sources.iter().any(|s| s.source == Source::Screen))
        );
    }

    #[test]
    fn complaints_of_one_kind_differ_in_who_and_when() {
        let a = "0.535s: A is asked for a key frame 203914 µs after the last time";
        let b = "6.001s: C is asked for a key frame 77 µs after the last time";
        assert_eq!(kind_of(a), kind_of(b));
        assert_eq!(kind_of(a), "is asked for key frame after the last time");
        assert_ne!(kind_of(a), kind_of("0.535s: A is asked for packets of a stream"));
    }
}

//! The scenarios.

use super::Scenario;
use crate::core::command::{Source, Wish};
use crate::core::event::SlotCounts;
use crate::sim::codec::CodecName;
use crate::sim::deed::{Deed, Step};
use crate::sim::layering::{LayerPlan, THREE_SIZES};
use crate::sim::line::LinePlan;
use crate::sim::network::{LinkPlan, Micros, SECOND};
use crate::sim::plan::{PersonPlan, Plan};
use crate::sim::sdp::Numbering;

/// The seed of all chance. With this one the server forwards as many packets at once as it does in earnest.
const SEED: u64 = 2;
/// How long packets are under way beside what they wait (RFC 8867 §4.1), µs.
const DELAY: Micros = 50_000;
/// The time between two pictures, and between two frames of audio, µs.
const PICTURES_APART: Micros = 33_333;
const AUDIO_APART: Micros = 20_000;
/// How tall a phone shows a camera, in pixels.
const PHONE_HEIGHT: u16 = 360;
/// How tall it is in full size, in pixels.
const FULL_HEIGHT: u16 = 720;
/// How long after coming somebody has said how tall they show a track, µs.
const SHOWS_AFTER: Micros = 500_000;

/// Returns all scenarios.
pub fn all() -> Vec<Scenario> {
    let mut all = changing();
    all.extend(lossy());
    all.extend(far());
    all.extend(shared());
    all.extend(people());
    all.push(listeners(1_000, 12));
    all.iter_mut().for_each(Scenario::shows_the_rest);
    all
}

impl Scenario {
    /// A call of that many seconds: the first people publish a camera in three sizes and a microphone, over perfect networks;
    /// the others receive.
    fn new(name: &'static str, what: &'static str, seconds: u64, publishers: usize, viewers: usize) -> Self {
        let mut plan = Plan::quiet(SEED, publishers + viewers, seconds);
        plan.heals_at = seconds * SECOND;
        (plan.turn, plan.early_calls) = (0, false);
        let slots = SlotCounts { audio: publishers + 1, video: publishers + 1 };
        plan.slots = (slots, slots);
        for (index, person) in plan.people.iter_mut().flatten().enumerate() {
            person.numbering = Some(Numbering::BROWSER);
            person.signalling = 20_000;
            if index >= publishers {
                person.sources.clear();
                person.up.delay = DELAY;
                person.down.delay = DELAY;
            }
            for source in &mut person.sources {
                match source.source {
                    Source::Camera => {
                        source.layers = THREE_SIZES.to_vec();
                        source.interval = PICTURES_APART;
                    }
                    _ => source.interval = AUDIO_APART,
                }
            }
        }
        let viewers = (publishers..publishers + viewers).collect();
        let (steady, misses) = (Vec::new(), &[][..]);
        Self { name, what, plan, viewers, steady, drops_at: None, recovers_at: None, flows: 1, misses }
    }

    /// Puts all viewers behind one line.
    fn behind(mut self, line: LinePlan) -> Self {
        self.plan.lines.push(line);
        let number = self.plan.lines.len() - 1;
        self.each_viewer(|person| person.lines[1] = Some(number));
        self.flows = self.viewers.len() as u64;
        self
    }

    /// Changes the viewers.
    fn each_viewer(&mut self, mut change: impl FnMut(&mut PersonPlan)) {
        for viewer in &self.viewers {
            if let Some(Some(person)) = self.plan.people.get_mut(*viewer) {
                change(person);
            }
        }
    }

    /// Changes the links to the viewers.
    fn over(mut self, change: impl Fn(&mut LinkPlan)) -> Self {
        self.each_viewer(|person| change(&mut person.down));
        self
    }

    /// Changes the sizes in which cameras are sent.
    fn in_sizes(mut self, layers: &[LayerPlan]) -> Self {
        for person in self.plan.people.iter_mut().flatten() {
            let cameras = person.sources.iter_mut().filter(|source| source.source == Source::Camera);
            cameras.for_each(|source| source.layers = layers.to_vec());
        }
        self
    }

    fn steady(mut self, stretches: &[(u64, u64)]) -> Self {
        self.steady = stretches.to_vec();
        self
    }

    fn drops(mut self, at: u64) -> Self {
        self.drops_at = Some(at);
        self
    }

    fn recovers(mut self, at: u64) -> Self {
        self.recovers_at = Some(at);
        self
    }

    fn does(mut self, at: u64, who: usize, deed: Deed) -> Self {
        self.plan.steps.push((self.plan.steps.len(), Step { at: at * SECOND, who, deed }));
        self.plan.steps.sort_by_key(|(_, step)| step.at);
        self
    }

    /// Lets all viewers show a publisher's camera that tall.
    fn shown_in(mut self, of: usize, height: u16) -> Self {
        for viewer in self.viewers.clone() {
            let wish = Wish { height: Some(height), ..Wish::default() };
            self = self.does(1, viewer, Deed::Prefer(of, Source::Camera, wish));
        }
        self
    }

    /// Lets viewers show in full size what nothing was said of, as soon as they are there.
    fn shows_the_rest(&mut self) {
        let said = |steps: &[(usize, Step)], viewer: usize, of: usize| {
            steps.iter().any(|(_, step)| {
                step.who == viewer && matches!(step.deed, Deed::Prefer(person, ..) if person == of)
            })
        };
        let people = self.plan.people.iter().enumerate();
        let publishes = |person: &PersonPlan| person.sources.iter().any(|one| one.source == Source::Camera);
        let publishers: Vec<usize> = people
            .filter(|(_, person)| person.as_ref().is_some_and(publishes))
            .map(|(index, _)| index)
            .collect();
        for viewer in &self.viewers {
            let Some(Some(person)) = self.plan.people.get(*viewer) else { continue };
            for of in publishers.iter().filter(|of| *of != viewer) {
                if !said(&self.plan.steps, *viewer, *of) {
                    let wish = Wish { height: Some(FULL_HEIGHT), ..Wish::default() };
                    let deed = Deed::Prefer(*of, Source::Camera, wish);
                    let step = Step { at: person.arrives + SHOWS_AFTER, who: *viewer, deed };
                    self.plan.steps.push((self.plan.steps.len(), step));
                }
            }
        }
        self.plan.steps.sort_by_key(|(_, step)| step.at);
    }

    /// Says which bars are known to be missed.
    fn misses(mut self, names: &'static [&'static str]) -> Self {
        self.misses = names;
        self
    }
}

/// Networks that become narrower and wider.
fn changing() -> Vec<Scenario> {
    vec![
        Scenario::new("drop", "2.5 Mbit/s, half a Mbit/s for 20 s, and 2.5 again", 80, 1, 1)
            .behind(LinePlan::with_schedule(&[(0, 2_500_000), (20, 500_000), (40, 2_500_000)]))
            .drops(20)
            .recovers(40)
            .steady(&[(10, 20), (25, 40), (50, 80)]),
        Scenario::new("phone", "a phone, whose 1 Mbit/s become half as much", 70, 1, 1)
            .behind(LinePlan::with_schedule(&[(0, 1_000_000), (20, 500_000), (45, 1_000_000)]))
            .shown_in(0, PHONE_HEIGHT)
            .drops(20)
            .recovers(45)
            .steady(&[(10, 20), (25, 45), (55, 70)])
            .misses(&["best"]),
        Scenario::new("paused", "100 kbit/s for 20 s, where no picture fits", 80, 1, 1)
            .behind(LinePlan::with_schedule(&[(0, 2_500_000), (20, 100_000), (40, 2_500_000)]))
            .drops(20)
            .recovers(40)
            .steady(&[(10, 20), (60, 80)])
            .misses(&["audio"]),
        Scenario::new("narrow", "350 kbit/s: the smallest picture and audio", 60, 1, 1)
            .behind(LinePlan::steady(350_000))
            .steady(&[(10, 60)])
            .misses(&["audio"]),
        Scenario::new("rfc8867-5.1", "1, 2.5, 0.6 and 1 Mbit/s", 100, 1, 1)
            .behind(LinePlan::with_schedule(&[
                (0, 1_000_000),
                (40, 2_500_000),
                (60, 600_000),
                (80, 1_000_000),
            ]))
            .drops(60)
            .steady(&[(10, 40), (50, 60), (65, 80), (90, 100)]),
    ]
}

/// Networks that lose packets.
fn lossy() -> Vec<Scenario> {
    let loss = |name, what, percent: u32, capacity| {
        Scenario::new(name, what, 60, 1, 1)
            .behind(LinePlan::steady(capacity))
            .over(|link| link.loss = percent * 10_000)
            .steady(&[(15, 60)])
    };
    vec![
        loss("loss-5", "3 Mbit/s, of which 5 % get lost", 5, 3_000_000),
        loss("loss-10", "3 Mbit/s, of which 10 % get lost", 10, 3_000_000),
        loss("loss-20", "3 Mbit/s, of which 20 % get lost", 20, 3_000_000).misses(&["best", "switches"]),
        loss("loss-20-narrow", "1 Mbit/s, of which 20 % get lost", 20, 1_000_000)
            .misses(&["best", "estimate"]),
        Scenario::new("short-queue", "three cameras over 2.4 Mbit/s with a queue of 20 ms", 60, 3, 1)
            .behind(LinePlan { queue: 20_000, ..LinePlan::steady(2_400_000) })
            .steady(&[(15, 60)])
            .misses(&["best", "switches"]),
    ]
}

/// Networks that are far away, or tell little.
fn far() -> Vec<Scenario> {
    let mut reports =
        Scenario::new("reports-lost", "1 Mbit/s; a fifth of what is reported gets lost", 60, 1, 1)
            .behind(LinePlan::steady(1_000_000))
            .steady(&[(15, 60)]);
    reports.each_viewer(|person| person.up.loss = 200_000);
    vec![
        Scenario::new("far", "2 Mbit/s, 300 ms away", 60, 1, 1)
            .behind(LinePlan::steady(2_000_000))
            .over(|link| link.delay = 250_000)
            .steady(&[(20, 60)]),
        Scenario::new("far-jitter", "2 Mbit/s, 300 ms away, up to 30 ms more", 60, 1, 1)
            .behind(LinePlan::steady(2_000_000))
            .over(|link| (link.delay, link.jitter) = (250_000, 30_000))
            .steady(&[(20, 60)])
            .misses(&["best"]),
        reports,
    ]
}

/// Lines that several people are behind.
fn shared() -> Vec<Scenario> {
    let mut staggered =
        Scenario::new("rfc8867-5.4", "three viewers behind 3.5 Mbit/s, who come one by one", 120, 1, 3)
            .behind(LinePlan::steady(3_500_000))
            .steady(&[(70, 120)])
            .misses(&["switches", "fair"]);
    let mut arrives = 0;
    staggered.each_viewer(|person| {
        person.arrives = arrives;
        arrives += 20 * SECOND;
    });
    let mut unequal =
        Scenario::new("rfc8867-5.5", "five viewers behind 4 Mbit/s, from 10 to 150 ms away", 100, 1, 5)
            .behind(LinePlan::steady(4_000_000))
            .steady(&[(40, 100)])
            .misses(&["switches", "fair"]);
    let mut away = [10_000, 25_000, 50_000, 100_000, 150_000].into_iter();
    unequal.each_viewer(|person| {
        let delay = away.next().unwrap_or(DELAY);
        (person.up.delay, person.down.delay) = (delay, delay);
    });
    let mut both_ways =
        Scenario::new("rfc8867-5.3", "a narrow way back, which the viewer's own camera fills", 100, 1, 1)
            .behind(LinePlan::with_schedule(&[
                (0, 2_000_000),
                (20, 1_000_000),
                (40, 500_000),
                (60, 2_000_000),
            ]))
            .steady(&[(10, 20), (30, 40), (50, 60), (75, 100)]);
    both_ways.plan.lines.push(LinePlan::with_schedule(&[
        (0, 2_000_000),
        (35, 800_000),
        (70, 1_300_000),
        (90, 2_000_000),
    ]));
    let camera = both_ways.plan.people.iter().flatten().next().map(|person| person.sources.clone());
    both_ways.each_viewer(|person| {
        person.lines[0] = Some(1);
        let mut sources = camera.clone().unwrap_or_default();
        // It has no more than half a Mbit/s itself.
        sources.iter_mut().for_each(|source| source.layers.retain(|layer| layer.height <= PHONE_HEIGHT));
        person.sources = sources;
    });
    vec![
        Scenario::new("rfc8867-5.2", "two viewers behind 2, 1, 1.75, 0.5 and 1 Mbit/s", 125, 1, 2)
            .behind(LinePlan::with_schedule(&[
                (0, 2_000_000),
                (25, 1_000_000),
                (50, 1_750_000),
                (75, 500_000),
                (100, 1_000_000),
            ]))
            .drops(25)
            .steady(&[(15, 25), (35, 50), (65, 75), (85, 100), (115, 125)])
            .misses(&["audio"]),
        both_ways,
        staggered,
        unequal,
        Scenario::new("two", "two viewers behind 2 Mbit/s", 90, 1, 2)
            .behind(LinePlan::steady(2_000_000))
            .steady(&[(30, 90)]),
    ]
}

/// What people do.
fn people() -> Vec<Scenario> {
    let temporal = THREE_SIZES.map(|layer| LayerPlan { temporal: 3, ..layer });
    vec![
        Scenario::new("rfc8867-5.8", "1 Mbit/s; the camera is off from 40 to 60 s", 100, 1, 1)
            .behind(LinePlan::steady(1_000_000))
            .does(40, 0, Deed::Mute(Source::Camera, true))
            .does(60, 0, Deed::Mute(Source::Camera, false))
            .recovers(60)
            .steady(&[(15, 40), (68, 100)]),
        Scenario::new("four", "four cameras over 3 Mbit/s, one of them large", 60, 4, 1)
            .behind(LinePlan::steady(3_000_000))
            .shown_in(1, 180)
            .shown_in(2, 180)
            .shown_in(3, 180)
            .steady(&[(15, 60)]),
        Scenario::new("temporal", "1 Mbit/s; each size has three temporal layers", 60, 1, 1)
            .in_sizes(&temporal)
            .behind(LinePlan::steady(1_000_000))
            .steady(&[(15, 60)])
            .misses(&["best"]),
    ]
}

/// A room of so many listeners, who get little: there are many of them.
fn listeners(count: usize, seconds: u64) -> Scenario {
    let mut scenario = Scenario::new("listeners", "a room of 1,000 who watch one person", seconds, 1, count)
        .steady(&[(seconds / 2, seconds)]);
    scenario.plan.unchecked = true;
    for source in scenario.plan.people.iter_mut().flatten().flat_map(|person| &mut person.sources) {
        (source.codec, source.interval) = match source.source {
            Source::Camera => (CodecName::Vp8, 200_000),
            _ => (source.codec, 200_000),
        };
        source.layers.iter_mut().for_each(|layer| layer.bitrate /= 10);
    }
    let mut arrives = 0;
    scenario.each_viewer(|person| {
        arrives += 5_000;
        person.arrives = arrives;
    });
    scenario
}

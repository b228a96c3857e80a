//! What divides a viewer's network: the ways to show tracks, the allocation of a budget, and what is decided from one moment to
//! the next.

use std::time::{Duration, Instant};

use strait::core::bandwidth::estimator::Reason;
use strait::core::forward::steps::{Allowance, Caps, Step, Variant, steps};
use strait::core::ids::TrackId;
use strait::core::media::layers::Layers;
use strait::core::settings::{BandwidthSettings, LayerPolicy};
use strait::core::steering::allocate::{Class, Layer, Want, allocate};
use strait::core::steering::budget::Link;
use strait::core::steering::{Steering, View, Wanted};

use super::tape::Tape;

const TRACKS_MAX: usize = 6;
const VARIANTS_MAX: usize = 12;
const MOMENTS_MAX: usize = 200;
const CLASSES: [Class; 3] = [Class::Screen, Class::Camera, Class::Thumbnail];

/// `steering`: steps rise, and each is found again by what it permits; an allocation costs no more than its budget, gives nothing
/// that there is not, and gives the first in rank no less if there is more; what is decided keeps to that over time, and asks to
/// be woken for something.
pub fn steering(data: &[u8]) {
    let mut tape = Tape::new(data);
    let mut wanted: Vec<Wanted> = Vec::new();
    while wanted.len() < TRACKS_MAX
        && let Some(track) = read_wanted(&mut tape, wanted.len())
    {
        check_steps(&track.steps);
        wanted.push(track);
    }
    check_allocation(&mut tape, &wanted);
    decide(&mut tape, wanted);
}

fn read_wanted(tape: &mut Tape<'_>, place: usize) -> Option<Wanted> {
    let kind = tape.byte()?;
    let mut variants = Vec::new();
    while variants.len() < VARIANTS_MAX
        && let (Some(place), Some(size), Some(cost)) = (tape.byte(), tape.byte(), tape.short())
        && place != 0xff
    {
        variants.push(Variant {
            rank: usize::from(place & 7),
            layers: Layers { spatial: place >> 3 & 3, temporal: place >> 5 & 3 },
            is_whole: size & 1 == 1,
            height: (size > 1).then(|| u16::from(size) * 9),
            pictures_permille: u64::from(size) * 4,
            cost: u64::from(cost) * 50,
        });
    }
    Some(Wanted {
        track: TrackId(place as u64),
        class: CLASSES[usize::from(kind % 3)],
        rank: place as u32,
        weight: 1 + u64::from(kind >> 4),
        steps: steps(&variants, kind & 4 == 0),
    })
}

fn check_steps(steps: &[Step]) {
    for pair in steps.windows(2) {
        assert!(pair[0].cost <= pair[1].cost && pair[0].value < pair[1].value, "{pair:?}");
    }
    for given in 0..steps.len() {
        let caps = Caps::of(&steps[..=given]);
        assert!(caps.permits(&steps[given]), "what is given may be shown: {steps:?}");
        assert_eq!(caps.with(caps), caps);
    }
    assert!(Caps::of(&[]).is_nothing());
}

fn check_allocation(tape: &mut Tape<'_>, wanted: &[Wanted]) {
    let ladder = |one: &Wanted| -> Vec<Layer> {
        one.steps.iter().map(|step| Layer { cost: step.cost, value: step.value * one.weight }).collect()
    };
    let ladders: Vec<Vec<Layer>> = wanted.iter().map(ladder).collect();
    let want = |(one, layers): (&Wanted, &Vec<Layer>)| (one.class, one.rank, layers.clone());
    let wants: Vec<_> = wanted.iter().zip(&ladders).map(want).collect();
    let of = |budget: u64| {
        let wants: Vec<Want<'_>> = wants
            .iter()
            .map(|(class, rank, layers)| Want {
                class: *class,
                rank: *rank,
                layers,
                may_pause: *class == Class::Thumbnail,
            })
            .collect();
        allocate(budget, &wants)
    };
    let mut budget = 0;
    let mut before: Option<Vec<Option<usize>>> = None;
    for _ in 0..8 {
        let Some(more) = tape.short() else { break };
        budget += u64::from(more) * 20;
        let targets = of(budget);
        let costs = targets.iter().zip(&ladders).filter_map(|(target, ladder)| Some(ladder[(*target)?].cost));
        assert!(costs.sum::<u64>() <= budget, "{targets:?} of {budget}");
        assert_eq!(of(budget), targets);
        // Whatever else there is, the first of the first class that has anything loses nothing by more.
        let first = (0..wanted.len()).filter(|place| !ladders[*place].is_empty());
        let first = first.min_by_key(|place| (wanted[*place].class, wanted[*place].rank));
        if let (Some(first), Some(before)) = (first, &before)
            && wanted.iter().filter(|one| one.class == wanted[first].class).count() == 1
        {
            assert!(targets[first] >= before[first], "{targets:?} after {before:?}");
        }
        before = Some(targets);
    }
}

fn decide(tape: &mut Tape<'_>, mut wanted: Vec<Wanted>) {
    let start = Instant::now();
    let (mut now, mut due) = (start, None::<Instant>);
    let mut steering = Steering::default();
    let mut settings = BandwidthSettings { minimum: 0, ..BandwidthSettings::default() };
    let mut link = Link {
        estimate: 1_000_000,
        acknowledged: None,
        reports: 0,
        limited_by: Some(Reason::Open),
        loss_millionths: 0,
        round_trip: Duration::from_millis(50),
        is_probed: false,
    };
    for _ in 0..MOMENTS_MAX {
        let (Some(kind), Some(by)) = (tape.byte(), tape.short()) else { break };
        match kind & 7 {
            0 => link.estimate = u64::from(by) * 100,
            1 => {
                let reasons = [Reason::Open, Reason::Delay, Reason::Loss, Reason::Stalled, Reason::Told];
                link.limited_by = Some(reasons[usize::from(by) % reasons.len()]);
                link.is_probed = by & 0x100 != 0;
            }
            2 => link.loss_millionths = u32::from(by) * 10,
            3 => {
                let policies =
                    [LayerPolicy::Allocation, LayerPolicy::Thresholds, LayerPolicy::LossThresholds];
                settings.policy = policies[usize::from(by) % policies.len()];
            }
            4 => {
                let places = usize::from(by) % wanted.len().max(1);
                wanted.rotate_left(places);
            }
            5 => {
                for one in &mut wanted {
                    one.steps.truncate(usize::from(by & 7));
                }
            }
            6 => (link.reports, link.acknowledged) = (link.reports + 1, Some(u64::from(by) * 100)),
            _ => {
                now =
                    due.take().filter(|due| *due > now).unwrap_or(now + Duration::from_millis(u64::from(by)));
            }
        }
        let view = View { link: Some(link), audio: 40_000, wanted: wanted.clone() };
        let outcome = steering.decide(now, &settings, &view);
        assert!(outcome.next.is_none_or(|next| next > now), "it asks to be woken for something");
        due = outcome.next;
        for one in &wanted {
            let (given, sought) = steering.allowance(one.track);
            if let (Allowance::Only(given), Allowance::Only(sought)) = (given, sought) {
                assert!(one.steps.iter().all(|step| !given.permits(step) || sought.permits(step)));
                assert!(one.steps.iter().any(|step| given.permits(step)), "something is given");
            }
        }
    }
}

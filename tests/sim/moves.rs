//! Calls that go straight while they are small, in which people come, go, crash and do not answer, at every step of a move.

use std::thread;
use std::time::Instant;

use strait::core::topology::{MeshSettings, Strategy};
use strait::sim::moves::{Moved, MovesPlan, play, play_twice};

/// Plays the worlds of these seeds twice each. Returns what is wrong, and what came of them.
fn played(seeds: std::ops::Range<u64>) -> (Vec<String>, Vec<Moved>) {
    let base = Instant::now();
    let (mut failures, mut all) = (Vec::new(), Vec::new());
    for seed in seeds {
        let plan = MovesPlan::of(seed);
        let outcome = play_twice(&plan, base);
        if !outcome.complaints.is_empty() {
            let complaints = outcome.complaints.join("\n  ");
            let again = format!("strait sim --moves --seed {seed}");
            failures.push(format!("seed {seed}: {complaints}\n{}  look into it: {again}\n", plan.describe()));
        }
        all.push(outcome);
    }
    (failures, all)
}

#[test]
fn whatever_happens_in_a_move_everybody_hears_everybody_in_the_end_and_the_same_happens_twice() {
    let halves = [0..40, 40..80].map(|seeds| thread::spawn(|| played(seeds)));
    let (mut failures, mut all) = (Vec::new(), Vec::new());
    for (failed, outcomes) in halves.map(|half| half.join().unwrap()) {
        failures.extend(failed);
        all.extend(outcomes);
    }
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
    let sum = |of: fn(&Moved) -> u32| all.iter().map(of).sum::<u32>();
    let (moves, succeeded) = (sum(|one| one.moves), sum(|one| one.succeeded));
    let heard = sum(|one| one.heard);
    assert!(moves > 150 && succeeded > 80, "much moves, and some of it fails: {moves}, {succeeded}");
    assert!(heard > 200, "there is somebody to hear: {heard}");
}

#[test]
fn eight_are_on_the_server_after_one_move_and_seven_and_five_need_none() {
    for strategy in [Strategy::Hard, Strategy::Gradual, Strategy::Opportunistic] {
        let mesh = MeshSettings { strategy, ..MeshSettings::default() };
        for (people, moves) in [(2, 0), (5, 0), (7, 0), (8, 1), (11, 1)] {
            let outcome = play(&MovesPlan::quiet(mesh, people), Instant::now());
            assert_eq!(outcome.complaints, Vec::<String>::new(), "{people} people, {strategy:?}");
            assert_eq!((outcome.moves, outcome.succeeded), (moves, moves), "{people} people, {strategy:?}");
            let pairs = (people * (people - 1)) as u32;
            assert_eq!(outcome.heard, pairs, "everybody hears everybody: {people}, {strategy:?}");
        }
    }
}

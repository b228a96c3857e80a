//! Calls that go straight while they are small, in which people come, go, crash and do not answer.

use std::time::Instant;

use strait::sim::meshed::play;

#[test]
fn whatever_happens_everybody_is_told_the_same_in_the_end_and_nobody_is_stuck() {
    let base = Instant::now();
    let mut failures = Vec::new();
    let (mut told, mut moved) = (0, 0);
    for seed in 0..200 {
        let (complaints, log) = play(seed, base);
        if !complaints.is_empty() {
            failures.push(format!("seed {seed}: {}", complaints.join("\n  ")));
        }
        told += log.lines().count();
        moved += log.matches("moving_to: Some").count();
        if seed % 50 == 0 {
            assert_eq!(play(seed, base).1, log, "seed {seed} does the same twice");
        }
    }
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
    assert!(told > 2_000 && moved > 500, "much has happened: {told}, {moved}");
}

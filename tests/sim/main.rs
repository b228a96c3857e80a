//! Simulated worlds: a fixed set of seeds, in which nothing may go wrong.

use std::time::Instant;

use strait::sim::{Plan, run};

/// Complaints of worlds, each with its world in words.
fn failures(seeds: impl IntoIterator<Item = u64>) -> Vec<String> {
    let base = Instant::now();
    let mut failures = Vec::new();
    for seed in seeds {
        let plan = Plan::of(seed);
        let outcome = run(&plan, base);
        if !outcome.complaints.is_empty() {
            failures.push(format!("seed {seed}: {}\n{}", outcome.complaints.join("\n  "), plan.describe()));
        }
    }
    failures
}

#[test]
fn in_a_hundred_worlds_nothing_goes_wrong() {
    let failures = failures(0..100);
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
}

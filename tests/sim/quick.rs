//! x
use std::time::Instant;
use strait::sim::{Plan, run};
#[test]
fn quick() {
    let from: u64 = std::env::var("FROM").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let to: u64 = std::env::var("TO").ok().and_then(|s| s.parse().ok()).unwrap_or(from + 1);
    let verbose = std::env::var("V").is_ok();
    let t = Instant::now();
    let mut failed = 0;
    for seed in from..to {
        let plan = Plan::of(seed);
        let t1 = Instant::now();
        let out = run(&plan, t);
        if verbose {
            println!("{}", plan.describe());
            println!("{out:?} {:?}", t1.elapsed());
        }
        if !out.complaints.is_empty() {
            failed += 1;
            println!("seed {seed}: {:#?}", &out.complaints[..out.complaints.len().min(3)]);
        }
    }
    println!("{failed} of {} fail, {:?}", to - from, t.elapsed());
}
#[test]
fn quiet() {
    for n in [2, 5] {
        let t = Instant::now();
        let plan = Plan::quiet(1, n, 20);
        let out = run(&plan, t);
        println!("{n}: {out:?} {:?}", t.elapsed());
    }
}

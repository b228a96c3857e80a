//! `strait sim --moves`: hunts through worlds of calls that move between the mesh and the server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{SimArgs, mutate, now, print};
use crate::cli::failure::Failure;
use crate::sim::moves::{Moved, MovesPlan, play_twice};

/// How many failing worlds are shown in full. Of more than these only the seeds are told.
const SHOWN_MAX: usize = 5;

/// Plays one world, and shows all of it, or many, and shows those that fail.
pub(super) fn run(args: &SimArgs) -> Result<(), Failure> {
    match args.seed {
        Some(seed) => one(seed),
        None => hunt(args),
    }
}

fn one(seed: u64) -> Result<(), Failure> {
    let plan = MovesPlan::of(seed);
    let outcome = play_twice(&plan, now());
    print(&format!("{}{}{}", report(&plan, &outcome), plan.describe(), outcome.log));
    if outcome.complaints.is_empty() {
        return Ok(());
    }
    Err(Failure::other(format!("the world of moves of seed {seed} fails")))
}

fn hunt(args: &SimArgs) -> Result<(), Failure> {
    let (started, next, failed) = (now(), AtomicU64::new(args.seeds.start), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..args.jobs {
            scope.spawn(|| {
                // The name is known to be good. A mutation is chosen for one thread.
                let _ = mutate(args.mutation.as_deref());
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    // A bug that was put in has been found with the first world that fails.
                    let is_found = args.mutation.is_some() && !lock(&failed).is_empty();
                    if seed >= args.seeds.end || is_found {
                        break;
                    }
                    let plan = MovesPlan::of(seed);
                    let outcome = play_twice(&plan, now());
                    if !outcome.complaints.is_empty() {
                        let mut failed = lock(&failed);
                        failed.push(seed);
                        if failed.len() <= SHOWN_MAX {
                            print(&format!("{}{}\n", report(&plan, &outcome), plan.describe()));
                        }
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort_unstable();
    let took = now().saturating_duration_since(started).as_secs_f64();
    let played = next.into_inner().min(args.seeds.end) - args.seeds.start;
    print(&format!("{played} worlds of moves in {took:.1} s, {} fail\n", failed.len()));
    if failed.is_empty() {
        return Ok(());
    }
    let seeds: Vec<String> = failed.iter().map(u64::to_string).collect();
    Err(Failure::other(format!("worlds of these seeds fail: {}", seeds.join(", "))))
}

fn lock(failed: &Mutex<Vec<u64>>) -> std::sync::MutexGuard<'_, Vec<u64>> {
    failed.lock().unwrap_or_else(PoisonError::into_inner)
}

fn report(plan: &MovesPlan, outcome: &Moved) -> String {
    let verdict = if outcome.complaints.is_empty() { "all is well" } else { "fails" };
    let Moved { inputs, moves, succeeded, heard, .. } = outcome;
    let mut text = format!(
        "seed {}: {verdict}; {inputs} inputs, {moves} moves, {succeeded} succeeded, {heard} heard in the end\n",
        plan.seed
    );
    for complaint in &outcome.complaints {
        text += &format!("  {complaint}\n");
    }
    text
}

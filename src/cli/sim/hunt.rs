//! The hunt: plays many seeds on as many threads as wanted. Each world is played on one thread, and what it does depends on
//! none.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::{SimArgs, command, mutate, now, play, print, report, smaller};
use crate::cli::failure::Failure;
use crate::sim::Outcome;
use crate::sim::network::SECOND;

/// How often progress is shown on a terminal.
const PROGRESS: Duration = Duration::from_secs(1);
/// How often progress is written elsewhere, such as into a log.
const PROGRESS_IN_LOG: Duration = Duration::from_secs(30);
/// How many failing worlds are shown in full. Of more than these only the seeds are told.
const SHOWN_MAX: usize = 10;

/// What has been played until now.
struct Tally {
    started: Instant,
    seeds: u64,
    simulated: u64,
    failed: Vec<u64>,
}

impl Tally {
    fn words(&self) -> String {
        let took = now().saturating_duration_since(self.started).as_secs_f64().max(0.001);
        format!(
            "{} seeds in {took:.1} s, {} fail; {:.0} seeds a minute, {:.0} simulated seconds a second",
            self.seeds,
            self.failed.len(),
            self.seeds as f64 * 60.0 / took,
            // Each world is played twice.
            2.0 * self.simulated as f64 / SECOND as f64 / took,
        )
    }
}

/// Plays all seeds, and shows those that fail.
pub(super) fn run(args: &SimArgs) -> Result<(), Failure> {
    let stop = stop_flag().map_err(|error| Failure::other(format!("cannot watch for signals: {error}")))?;
    let next = AtomicU64::new(args.seeds.start);
    let mut tally = Tally { started: now(), seeds: 0, simulated: 0, failed: Vec::new() };
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        for _ in 0..args.jobs {
            let (tell, next, stop) = (tell.clone(), &next, &stop);
            scope.spawn(move || {
                // The name is known to be good. A mutation is chosen for one thread.
                let _ = mutate(args.mutation.as_deref());
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= args.seeds.end || tell.send((seed, play(&args.plan(seed)))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(tell);
        let (terminal, mut shown_at) = (io::stderr().is_terminal(), now());
        let interval = if terminal { PROGRESS } else { PROGRESS_IN_LOG };
        loop {
            match told.recv_timeout(interval) {
                Ok((seed, outcome)) => {
                    tally.take(args, seed, &outcome, stop.load(Ordering::Relaxed));
                    // A bug that was put in has been found with the first world that fails.
                    if args.mutation.is_some() && !tally.failed.is_empty() {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if now().saturating_duration_since(shown_at) >= interval {
                shown_at = now();
                let (begin, end) = if terminal { ("\r\x1b[K", "") } else { ("", "\n") };
                let _ = write!(io::stderr(), "{begin}{}{end}", tally.words());
            }
        }
        if terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    });
    tally.failed.sort_unstable();
    print(&format!("{}\n", tally.words()));
    if tally.failed.is_empty() {
        return Ok(());
    }
    let seeds: Vec<String> = tally.failed.iter().map(u64::to_string).collect();
    Err(Failure::other(format!("worlds of these seeds fail: {}", seeds.join(", "))))
}

impl Tally {
    /// Counts a seed that was played, and shows the world if it fails. In a hurry it is not made smaller.
    fn take(&mut self, args: &SimArgs, seed: u64, outcome: &Outcome, in_a_hurry: bool) {
        self.seeds += 1;
        self.simulated += outcome.lasted;
        if outcome.complaints.is_empty() {
            return;
        }
        self.failed.push(seed);
        if self.failed.len() > SHOWN_MAX {
            return;
        }
        let plan = args.plan(seed);
        let (cut, plan, outcome) = if args.shrink && !in_a_hurry {
            smaller(&plan, outcome)
        } else {
            (crate::sim::Cut::default(), plan, outcome.clone())
        };
        print(&format!("{}  {}\n\n", report(seed, &cut, &plan, &outcome), command(args, seed, &cut)));
    }
}

/// Returns a flag that the first Ctrl-C sets. The second one ends the program at once.
fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

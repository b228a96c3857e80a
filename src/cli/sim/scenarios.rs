//! `strait sim --scenarios`: plays the scenarios, and writes the document of what came of them.

use std::path::Path;
use std::sync::Mutex;
use std::thread;

use super::{now, print};
use crate::cli::failure::Failure;
use crate::sim::scenarios::{Played, all, document};

/// Plays all scenarios, that many at a time, and writes what came of them: to standard output if the path is `-`.
pub(super) fn run(path: &Path, jobs: u32) -> Result<(), Failure> {
    let base = now();
    let left = Mutex::new(all().into_iter().enumerate());
    let next = || left.lock().map_or(None, |mut left| left.next());
    let played: Result<Vec<Vec<(usize, Played)>>, Failure> = thread::scope(|scope| {
        let play =
            || std::iter::from_fn(next).map(|(place, one)| (place, one.play(base))).collect::<Vec<_>>();
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(play)).collect();
        let panicked =
            |_| Failure::other("a scenario panicked, so nothing is written; what it said stands above");
        threads.into_iter().map(|thread| thread.join().map_err(panicked)).collect()
    });
    let mut played: Vec<_> = played?.into_iter().flatten().collect();
    played.sort_by_key(|(place, _)| *place);
    let played: Vec<Played> = played.into_iter().map(|(_, played)| played).collect();
    let text = document(&played);
    if path == Path::new("-") {
        print(&text);
    } else {
        std::fs::write(path, text).map_err(|error| {
            Failure::other(format!("{} cannot be written: {error}; name another file", path.display()))
        })?;
    }
    let surprises: Vec<String> = played.iter().flat_map(Played::surprises).collect();
    if surprises.is_empty() { Ok(()) } else { Err(Failure::other(surprises.join("\n"))) }
}

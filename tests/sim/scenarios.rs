//! The most telling scenarios: what people see while the network changes. All of them are played by
//! `strait sim --scenarios`.

use std::thread;
use std::time::Instant;

use strait::sim::scenarios::all;

/// Those that are played here. They are short, and between them show all bars.
const PLAYED: [&[&str]; 2] = [&["drop", "loss-20"], &["paused", "two"]];

#[test]
fn the_picture_stays_good_when_the_network_does_not() {
    let base = Instant::now();
    let halves = PLAYED.map(|names| {
        thread::spawn(move || {
            let scenarios = all().into_iter().filter(|one| names.contains(&one.name));
            scenarios.flat_map(|one| one.play(base).surprises()).collect::<Vec<_>>()
        })
    });
    let surprises: Vec<String> = halves.into_iter().flat_map(|half| half.join().unwrap()).collect();
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

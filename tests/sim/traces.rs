//! A simulated room's trace is one like any other: `strait replay` plays it bit for bit.

use std::time::{Duration, Instant};

use strait::sim::moves::{MovesPlan, play, play_recorded};
use strait::sim::{Plan, Recorded, run, run_recorded};
use strait::trace::{EndOfTrace, Header, Trace, TraceWriter, replay};

/// Replays recorded rooms with a clock that is a day ahead. Returns how many inputs they had.
fn replayed(rooms: Vec<Recorded>, base: Instant, seed: u64) -> u64 {
    assert!(!rooms.is_empty(), "seed {seed}");
    let mut inputs = 0;
    for room in rooms {
        let mut writer = TraceWriter::new(Vec::new(), &Header::new(room.header)).unwrap();
        writer.records(&room.records).unwrap();
        let end = EndOfTrace { complete: room.complete, reason: "the world ended".to_owned() };
        let file = writer.end(&end).unwrap();
        let mut trace = Trace::open(file.as_slice(), None).unwrap();
        let shifted = base + Duration::from_secs(100_000);
        let replayed = replay(&mut trace, shifted, None, &mut []).unwrap();
        assert!(replayed.parted.is_none(), "seed {seed}: {:?}", replayed.parted);
        inputs += replayed.inputs;
    }
    inputs
}

#[test]
fn simulated_rooms_are_recorded_and_replayed_bit_for_bit() {
    let mut inputs = 0;
    for seed in 0..12 {
        let (plan, base) = (Plan::of(seed), Instant::now());
        let (outcome, recorded) = run_recorded(&plan, base);
        assert_eq!(outcome, run(&plan, base), "seed {seed}: being recorded changes nothing");
        inputs += replayed(recorded, base, seed);
    }
    assert!(inputs > 10_000, "{inputs} inputs");
}

#[test]
fn calls_that_move_are_recorded_and_replayed_bit_for_bit() {
    let mut inputs = 0;
    for seed in 0..12 {
        let (plan, base) = (MovesPlan::of(seed), Instant::now());
        let (outcome, recorded) = play_recorded(&plan, base);
        assert_eq!(outcome.log, play(&plan, base).log, "seed {seed}: being recorded changes nothing");
        inputs += replayed(recorded, base, seed);
    }
    assert!(inputs > 1_500, "{inputs} inputs");
}

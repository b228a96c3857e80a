//! `strait sim`: hunts through simulated worlds, and tells of one that fails what it takes to play it again.

mod hunt;
mod measure;
mod moves;
mod scenarios;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::failure::Failure;
use crate::sim::plan::Endpoints;
use crate::sim::shrink::{kind_of, shrink};
use crate::sim::{Cut, Outcome, Plan, Recorded, run_recorded, run_twice};
use crate::trace::{EndOfTrace, Header, TraceWriter};

/// What `strait sim` takes.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub(super) struct SimArgs {
    /// Play the worlds of these seeds, the last one excluded
    #[arg(long, value_name = "A..B", default_value = "0..1000", value_parser = seeds, conflicts_with = "seed")]
    #[arg(help_heading = "Worlds")]
    seeds: Range<u64>,
    /// Play the world of this seed, and describe it
    #[arg(long, value_name = "N", help_heading = "Worlds")]
    seed: Option<u64>,
    /// What people's endpoints are made of: own, or engine
    ///
    /// With own they are Strait's own code, every packet is checked, and a world always does the
    /// same. With engine they are whole str0m endpoints, whose handshakes are random: a world
    /// that fails rarely may have to be played a few times.
    #[arg(long, value_name = "WHICH", default_value = "own", value_parser = endpoints)]
    #[arg(help_heading = "Worlds", verbatim_doc_comment)]
    endpoints: Endpoints,
    /// Leave parts out of the world, as --shrink says it
    ///
    /// Such as people=B+D,steps=0,calm=D,exact,until=3812; docs/determinism.md explains it.
    #[arg(long, value_name = "CUT", requires = "seed", help_heading = "Worlds", verbatim_doc_comment)]
    cut: Option<Cut>,
    /// Play with this bug put in, until a world fails
    ///
    /// It needs a build with the feature `mutations`. An unknown name lists all that are known.
    #[arg(long, value_name = "NAME", help_heading = "Worlds", verbatim_doc_comment)]
    mutation: Option<String>,

    /// How many worlds are played at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    #[arg(help_heading = "Playing")]
    jobs: u32,
    /// Make a failing world smaller while it still fails in the same way
    #[arg(long, help_heading = "Playing")]
    shrink: bool,
    /// Record the world's room as a trace, for strait replay
    #[arg(long, value_name = "FILE", requires = "seed", help_heading = "Playing")]
    trace: Option<PathBuf>,
    /// Measure instead: simulated seconds in a second, for rooms of 2, 5 and 50
    #[arg(long, conflicts_with_all = ["seed", "seeds", "shrink", "mutation", "jobs", "endpoints"])]
    #[arg(help_heading = "Playing")]
    measure: bool,
    /// Play calls over networks that change, lose and delay instead
    ///
    /// Writes what people saw as docs/scenarios.md has it, into the file if one is named.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    #[arg(conflicts_with_all = ["seed", "seeds", "shrink", "mutation", "endpoints", "measure"])]
    #[arg(help_heading = "Playing", verbatim_doc_comment)]
    scenarios: Option<PathBuf>,
    /// Play calls instead that move between the mesh and the server
    ///
    /// People have signalling and no media, so that thousands of worlds take a minute.
    #[arg(long, conflicts_with_all = ["cut", "shrink", "trace", "endpoints", "measure", "scenarios"])]
    #[arg(help_heading = "Worlds", verbatim_doc_comment)]
    moves: bool,
}

impl SimArgs {
    /// The world of a seed.
    fn plan(&self, seed: u64) -> Plan {
        let plan = Plan::of(seed);
        if self.endpoints == Endpoints::Engine { plan.with_engines() } else { plan }
    }
}

fn endpoints(text: &str) -> Result<Endpoints, String> {
    match text {
        "own" => Ok(Endpoints::Own),
        "engine" => Ok(Endpoints::Engine),
        _ => Err("use own or engine".to_owned()),
    }
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let parsed = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    match parsed {
        Some((from, to)) if from < to => Ok(from..to),
        _ => Err("use two numbers, the smaller one first, such as 0..1000".to_owned()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long playing takes, and any moment for worlds to begin at"
)]
fn now() -> Instant {
    Instant::now()
}

/// Prints to standard output. A failed write means that the reader of a pipe has gone, so there is nobody to tell.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Plays worlds, and fails if any of them fails.
pub(super) fn run(args: &SimArgs) -> Result<(), Failure> {
    if args.measure {
        return measure::run();
    }
    if let Some(path) = &args.scenarios {
        return scenarios::run(path, args.jobs);
    }
    mutate(args.mutation.as_deref())?;
    if args.moves {
        return moves::run(args);
    }
    match args.seed {
        Some(seed) => one(args, seed),
        None => hunt::run(args),
    }
}

#[cfg(feature = "mutations")]
fn mutate(name: Option<&str>) -> Result<(), Failure> {
    use crate::core::mutation::Mutation;
    let Some(name) = name else { return Ok(()) };
    let mutation = Mutation::ALL.iter().find(|mutation| mutation.name() == name).ok_or_else(|| {
        let all: Vec<&str> = Mutation::ALL.iter().map(|mutation| mutation.name()).collect();
        Failure::usage(format!("there is no mutation {name:?}; there are {}", all.join(", ")))
    })?;
    crate::core::mutation::choose(Some(*mutation));
    Ok(())
}

#[cfg(not(feature = "mutations"))]
fn mutate(name: Option<&str>) -> Result<(), Failure> {
    match name {
        None => Ok(()),
        Some(_) => Err(Failure::usage("this build has no mutations; build one with --features mutations")),
    }
}

/// Plays one world, and prints all of it.
fn one(args: &SimArgs, seed: u64) -> Result<(), Failure> {
    let whole = args.plan(seed);
    let mut cut = args.cut.clone().unwrap_or_default();
    let mut plan = cut.of(&whole);
    let mut outcome = play(&plan);
    if args.shrink && cut.is_empty() && !outcome.complaints.is_empty() {
        (cut, plan, outcome) = smaller(&whole, &outcome);
    }
    print(&report(seed, &cut, &plan, &outcome));
    if let Some(path) = &args.trace {
        record(&plan, path)?;
    }
    if outcome.complaints.is_empty() {
        Ok(())
    } else {
        let mut message = format!("the world of seed {seed} fails");
        if args.trace.is_none() {
            let again = command(args, seed, &cut);
            message += &format!("; {again}");
        }
        Err(Failure::other(message))
    }
}

/// Plays a world twice. A panic in it counts as a complaint, so that a hunt goes on.
fn play(plan: &Plan) -> Outcome {
    let played = std::panic::catch_unwind(|| run_twice(plan, now()));
    played.unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<String>().map(String::as_str);
        let what = what.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("see above");
        Outcome { complaints: vec![format!("the world panicked: {what}")], ..Outcome::default() }
    })
}

/// Makes a failing world smaller. Returns the cut, what is left of the plan, and what comes of it.
fn smaller(plan: &Plan, outcome: &Outcome) -> (Cut, Plan, Outcome) {
    let Some(kind) = outcome.complaints.first().map(|complaint| kind_of(complaint)) else {
        return (Cut::default(), plan.clone(), outcome.clone());
    };
    let mut tried = 0;
    let cut = shrink(plan, |plan| {
        tried += 1;
        play(plan).complaints.iter().any(|complaint| kind_of(complaint) == kind)
    });
    let small = cut.of(plan);
    let outcome = play(&small);
    let _ = writeln!(io::stderr(), "seed {}: made smaller in {tried} attempts", plan.seed);
    (cut, small, outcome)
}

/// Returns the command that plays a world again and records it.
fn command(args: &SimArgs, seed: u64, cut: &Cut) -> String {
    let endpoints = if args.endpoints == Endpoints::Engine { " --endpoints engine" } else { "" };
    let cut = if cut.is_empty() { String::new() } else { format!(" --cut {cut}") };
    let mutation = args.mutation.as_ref().map(|name| format!(" --mutation {name}")).unwrap_or_default();
    format!(
        "play it again, with a trace: strait sim --seed {seed}{endpoints}{cut}{mutation} --trace {seed}.trace"
    )
}

/// Returns a world, and what came of it, in words.
fn report(seed: u64, cut: &Cut, plan: &Plan, outcome: &Outcome) -> String {
    let verdict = if outcome.complaints.is_empty() { "all is well" } else { "fails" };
    let of = if cut.is_empty() { String::new() } else { format!(", cut to {cut}") };
    let mut text = format!("seed {seed}{of}: {verdict}\n");
    for complaint in &outcome.complaints {
        text += &format!("  {complaint}\n");
    }
    text += &plan.describe();
    text + &format!(
        "  {} inputs, {} datagrams out, {} packets forwarded, {} repeated, {} key frames asked for; digest {:016x}\n",
        outcome.inputs,
        outcome.datagrams,
        outcome.forwarded,
        outcome.repeated,
        outcome.keyframes_asked,
        outcome.digest
    )
}

/// Plays a world once more, and writes its rooms' traces: the first to the file, later ones beside it.
fn record(plan: &Plan, path: &Path) -> Result<(), Failure> {
    let (_, recorded) = run_recorded(plan, now());
    for (number, room) in recorded.iter().enumerate() {
        let path = match number {
            0 => path.to_owned(),
            _ => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                let suffix = path.extension().map(|suffix| format!(".{}", suffix.to_string_lossy()));
                path.with_file_name(format!("{stem}-{}{}", number + 1, suffix.unwrap_or_default()))
            }
        };
        write_trace(room, &path).map_err(|error| {
            Failure::other(format!("{} cannot be written: {error}; name another file", path.display()))
        })?;
        print(&format!(
            "its room number {} is in {path}; look into it with: strait replay {path} --log debug\n",
            number + 1,
            path = path.display()
        ));
    }
    Ok(())
}

fn write_trace(room: &Recorded, path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    let mut writer = TraceWriter::new(file, &Header::new(room.header.clone()))?;
    writer.records(&room.records)?;
    let reason = if room.complete { "the room ended" } else { "the world ended" };
    writer.end(&EndOfTrace { complete: room.complete, reason: reason.to_owned() })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range_that_is_not_empty() {
        assert_eq!(seeds("3..7"), Ok(3..7));
        for bad in ["", "7", "7..3", "3..3", "a..b", "3..", "..7"] {
            assert!(seeds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_command_that_plays_a_world_again_names_all_that_makes_it() {
        let mut args = SimArgs {
            seeds: 0..1,
            seed: Some(42),
            endpoints: Endpoints::Engine,
            cut: None,
            jobs: 1,
            shrink: false,
            trace: None,
            mutation: Some("mute-ignored".to_owned()),
            measure: false,
            scenarios: None,
            moves: false,
        };
        let cut: Cut = "people=A,exact".parse().unwrap();
        assert_eq!(
            command(&args, 42, &cut),
            "play it again, with a trace: strait sim --seed 42 --endpoints engine --cut people=A,exact \
             --mutation mute-ignored --trace 42.trace"
        );
        (args.endpoints, args.mutation) = (Endpoints::Own, None);
        assert!(command(&args, 42, &Cut::default()).ends_with("strait sim --seed 42 --trace 42.trace"));
    }
}

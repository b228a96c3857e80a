//! `strait explain`: what happened in a recorded call and why, in words, as JSON, or as a page.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use super::failure::Failure;
use super::load::duration;
use super::replay::{advice, bad_trace, now, open};
use crate::trace::explain::model::Time;
use crate::trace::explain::{Explanation, explain, html, json, text};
use crate::trace::media::private_file;

/// What `strait explain` takes.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub(super) struct ExplainArgs {
    /// The trace, whole or stripped
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// Of this participant only, by name or id
    #[arg(long, value_name = "NAME")]
    participant: Option<String>,
    /// How things were at this time, such as 90s, and what happened then
    #[arg(long, value_name = "TIME", value_parser = duration)]
    at: Option<Duration>,
    /// Print JSON, for programs
    #[arg(long, conflicts_with = "at")]
    json: bool,
    /// Write a page with a lane for each participant
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The key that opens an encrypted trace: a file that `strait trace keygen` wrote
    #[arg(long, value_name = "KEYFILE")]
    identity: Option<PathBuf>,
}

/// Explains.
pub(super) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let mut trace = open(&args.trace, args.identity.as_deref())?;
    let (mut explanation, parted) =
        explain(&mut trace, now()).map_err(|error| bad_trace(&args.trace, &error))?;
    if let Some(wanted) = &args.participant {
        choose(&mut explanation, wanted)?;
    }
    if let Some(path) = &args.html {
        // Names and addresses are in it: for nobody else on the machine to read.
        private_file(path)
            .and_then(|mut file| file.write_all(html::render(&explanation).as_bytes()))
            .map_err(|error| Failure::other(format!("{} cannot be written: {error}", path.display())))?;
        let _ = writeln!(io::stderr(), "the page is {}", path.display());
    }
    let said = match (args.json, &args.html) {
        (true, _) => json::render(&explanation),
        // The page says it all.
        (false, Some(_)) if args.at.is_none() => String::new(),
        (false, _) => text::render(&explanation, args.at.map(Time)),
    };
    // Nobody to tell when the reader of a pipe has gone.
    let _ = io::stdout().write_all(said.as_bytes());
    match &parted {
        None => Ok(()),
        Some(parted) => Err(Failure::other(advice(parted, &trace))),
    }
}

/// Leaves one participant, or those of one name.
fn choose(explanation: &mut Explanation, wanted: &str) -> Result<(), Failure> {
    let names: Vec<String> = explanation.participants.iter().map(|person| person.name.clone()).collect();
    explanation.participants.retain(|person| person.is_called(wanted));
    if explanation.participants.is_empty() {
        let there = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
        return Err(Failure::usage(format!("nobody in this trace is called {wanted}; there were: {there}")));
    }
    Ok(())
}

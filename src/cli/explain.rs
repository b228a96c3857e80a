//! `strait explain`: what happened in a recorded call and why, in words, as JSON, or as a page.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use super::failure::Failure;
use super::load::duration;
use super::replay::{advice, bad_trace, now, open};
use crate::trace::explain::time::Time;
use crate::trace::explain::{Explanation, explain, html, json, text};
use crate::trace::media::private_file;

/// What `strait explain` takes.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub(super) struct ExplainArgs {
    /// The trace, whole or stripped
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// The key that opens an encrypted trace, a file of `strait trace keygen`
    #[arg(long, value_name = "KEYFILE")]
    identity: Option<PathBuf>,

    /// Tell of this participant only, by name or id
    #[arg(long, value_name = "NAME", help_heading = "What to tell")]
    participant: Option<String>,
    /// Tell how things were at this time, such as 90s or 2m
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "What to tell")]
    at: Option<Duration>,

    /// Print JSON, for programs
    #[arg(long, conflicts_with = "at", help_heading = "Form")]
    json: bool,
    /// Write a page with a lane for each participant
    #[arg(long, value_name = "FILE", help_heading = "Form")]
    html: Option<PathBuf>,
}

/// Explains a trace to standard output, and to a page if one is wanted.
pub(super) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let mut trace = open(&args.trace, args.identity.as_deref())?;
    let (mut explanation, parted) =
        explain(&mut trace, now()).map_err(|error| bad_trace(&args.trace, &error))?;
    if let Some(wanted) = &args.participant {
        choose(&mut explanation, wanted)?;
    }
    if let Some(path) = &args.html {
        // The page holds names and addresses, so nobody else on the machine may read it.
        private_file(path)
            .and_then(|mut file| file.write_all(html::render(&explanation).as_bytes()))
            .map_err(|error| Failure::other(format!("{} cannot be written: {error}", path.display())))?;
        let _ = writeln!(io::stderr(), "the page is {}", path.display());
    }
    let said = match (args.json, &args.html) {
        (true, _) => json::render(&explanation),
        // The page says all that the text would.
        (false, Some(_)) if args.at.is_none() => String::new(),
        (false, _) => text::render(&explanation, args.at.map(Time)),
    };
    // A failed write means that the reader of a pipe has gone, so there is nobody to tell.
    let _ = io::stdout().write_all(said.as_bytes());
    match &parted {
        None => Ok(()),
        Some(parted) => Err(Failure::other(advice(parted, &trace))),
    }
}

/// Leaves only the participants with this name or id. Fails if there are none.
fn choose(explanation: &mut Explanation, wanted: &str) -> Result<(), Failure> {
    let names: Vec<String> = explanation.participants.iter().map(|person| person.name.clone()).collect();
    explanation.participants.retain(|person| person.is_called(wanted));
    if explanation.participants.is_empty() {
        let there = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
        return Err(Failure::usage(format!("nobody in this trace is called {wanted}; there were: {there}")));
    }
    Ok(())
}

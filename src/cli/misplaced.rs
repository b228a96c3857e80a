//! Flags in the wrong place: one line that says where they belong, instead of the parser's "unexpected argument".

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Error};

use super::args::{Args, Command};
use super::failure::Failure;

impl Args {
    /// Refuses flags of `serve` that stand before a subcommand, where they would mean nothing.
    pub(super) fn check_places(&self) -> Result<(), Failure> {
        let (Some(command), Some(flag)) = (&self.command, self.serve.first_given()) else { return Ok(()) };
        let advice = match command {
            Command::Serve(_) => "write it behind: strait serve ",
            Command::Config(_) => "write it behind: strait config ",
            _ => return Err(Failure::usage(format!("{flag} is a flag of strait serve; leave it out here"))),
        };
        Err(Failure::usage(format!("{flag} stands before the subcommand; {advice}{flag} …")))
    }
}

/// Explains a flag that the subcommand does not take but others do. Returns `None` for every other error, and for flags
/// that nobody takes: those the parser explains well, with what may have been meant.
pub(super) fn explain(error: &Error, arguments: &[OsString]) -> Option<Failure> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    let name = flag.strip_prefix("--")?;
    let program = Args::command();
    let takes = |command: &clap::Command| {
        let nested = command.get_subcommands().flat_map(clap::Command::get_arguments);
        command.get_arguments().chain(nested).any(|argument| argument.get_long() == Some(name))
    };
    let owners: Vec<String> = program
        .get_subcommands()
        .filter(|command| takes(command))
        .map(|command| format!("strait {}", command.get_name()))
        .collect();
    if owners.is_empty() {
        return None;
    }
    let is_subcommand = |argument: &&str| program.find_subcommand(argument).is_some();
    let asked = arguments.iter().skip(1).filter_map(|argument| argument.to_str()).find(is_subcommand);
    let asked = asked.map_or_else(|| "strait".to_owned(), |name| format!("strait {name}"));
    Some(Failure::usage(format!(
        "{flag} is a flag of {}, which {asked} does not take; {asked} --help lists what it takes",
        owners.join(" and ")
    )))
}

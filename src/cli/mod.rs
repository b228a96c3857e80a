//! What a person types, and what they read: arguments to a subcommand, failures to one line and an exit code.
//!
//! Exit codes: 0 fine; 2 something to change before it can start (arguments, configuration, a port in use);
//! 1 anything else.

mod args;
mod explain;
mod failure;
mod load;
pub mod log;
mod replay;
pub mod serve;
mod sim;
mod stats;
mod trace;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use failure::Failure;

/// Runs the program with these arguments, the program's name first, and this environment.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        // Help and version come this way too; clap knows which stream and exit code each of them has.
        Err(message) => {
            let _ = message.print();
            return ExitCode::from(if message.use_stderr() { 2 } else { 0 });
        }
    };
    match dispatch(&args, variables) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "error: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

/// What a copy of this program has to be accompanied by; `tests/dependencies` writes it.
const LICENCES: &str = include_str!("../../docs/NOTICE");

fn dispatch(args: &Args, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<(), Failure> {
    if let Some(Command::Load(load)) = &args.command {
        return load::load(load);
    }
    if let Some(Command::Stats(stats)) = &args.command {
        return stats::stats(stats);
    }
    if let Some(Command::Replay(replay)) = &args.command {
        return replay::run(replay);
    }
    if let Some(Command::Explain(explain)) = &args.command {
        return explain::run(explain);
    }
    if let Some(Command::Trace { command }) = &args.command {
        return trace::run(command);
    }
    if let Some(Command::Sim(sim)) = &args.command {
        return sim::run(sim);
    }
    if let Some(Command::Licences) = &args.command {
        // Nobody to tell when the reader of a pipe has gone.
        let _ = io::stdout().write_all(LICENCES.as_bytes());
        return Ok(());
    }
    let variables: Vec<_> = variables.into_iter().collect();
    let own_directory = data_directory(&variables);
    let sources = args.options.sources(variables)?;
    let loaded = crate::config::load(&sources)?;
    match &args.command {
        Some(Command::Config) => {
            // Nobody to tell when the reader of a pipe has gone.
            let _ = io::stdout().write_all(loaded.show().as_bytes());
            Ok(())
        }
        _ => serve::serve(&loaded.config, own_directory),
    }
}

/// Where a program of this user keeps its data, by the XDG base directory specification.
fn data_directory(variables: &[(OsString, OsString)]) -> Option<PathBuf> {
    let absolute = |wanted: &str| {
        let (_, value) = variables.iter().find(|(name, _)| name.as_os_str() == wanted)?;
        Some(PathBuf::from(value)).filter(|path| path.is_absolute())
    };
    let base = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))?;
    Some(base.join("strait"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_kept_where_the_system_says_that_it_belongs() {
        let of = |variables: &[(&str, &str)]| {
            let variables: Vec<_> =
                variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            data_directory(&variables).map(|path| path.display().to_string())
        };
        let home = ("HOME", "/home/anna");
        assert_eq!(of(&[home]).as_deref(), Some("/home/anna/.local/share/strait"));
        assert_eq!(of(&[home, ("XDG_DATA_HOME", "/data")]).as_deref(), Some("/data/strait"));
        assert_eq!(
            of(&[("XDG_DATA_HOME", "relative"), home]).as_deref(),
            Some("/home/anna/.local/share/strait")
        );
        assert_eq!(of(&[("XDG_DATA_HOME", "")]), None);
        assert_eq!(of(&[]), None);
    }
}

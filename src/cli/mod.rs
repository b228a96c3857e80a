//! What a person types, and what they read: arguments to a subcommand, failures to one line and an exit code.
//!
//! Exit codes: 0 fine; 2 something to change before it can start (arguments, configuration, a port in use);
//! 1 anything else.

mod access;
mod args;
mod explain;
mod failure;
mod help;
mod load;
pub mod log;
mod misplaced;
mod replay;
pub mod serve;
mod serve_flags;
mod sign;
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
use serve_flags::ServeFlags;

/// Runs the program with these arguments, the program's name first, and this environment.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let outcome = match Args::try_parse_from(&arguments) {
        Ok(args) => args.check_places().and_then(|()| dispatch(&args, variables)),
        Err(error) => match misplaced::explain(&error, &arguments) {
            Some(failure) => Err(failure),
            // Help and version come this way too; clap knows which stream and exit code each of them has.
            None => {
                let _ = error.print();
                return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
            }
        },
    };
    match outcome {
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
    match &args.command {
        None => serve(&args.serve, variables),
        Some(Command::Serve(flags)) => serve(flags, variables),
        Some(Command::Licences) => {
            // A failed write means that the reader of a pipe has gone, so there is nobody to tell.
            let _ = io::stdout().write_all(LICENCES.as_bytes());
            Ok(())
        }
        Some(Command::Config(flags)) => {
            let loaded = crate::config::load(&flags.sources(variables)?)?;
            // A failed write means that the reader of a pipe has gone, so there is nobody to tell.
            let _ = io::stdout().write_all(loaded.show().as_bytes());
            Ok(())
        }
        Some(Command::Load(load)) => load::load(load),
        Some(Command::Stats(stats)) => stats::stats(stats),
        Some(Command::Replay(replay)) => replay::run(replay),
        Some(Command::Explain(explain)) => explain::run(explain),
        Some(Command::Trace { command }) => trace::run(command),
        Some(Command::Token { command }) => access::token(command, variables),
        Some(Command::Keys { command }) => access::keys(command),
        Some(Command::Sign(args)) => sign::sign(args, variables),
        Some(Command::Sim(sim)) => sim::run(sim),
    }
}

fn serve(
    flags: &ServeFlags,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), Failure> {
    let variables: Vec<_> = variables.into_iter().collect();
    let own_directory = data_directory(&variables);
    let loaded = crate::config::load(&flags.sources(variables)?)?;
    serve::serve(&loaded, own_directory)
}

/// Returns where a program of this user keeps its data, by the XDG base directory specification; `None` if the
/// environment names no home.
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

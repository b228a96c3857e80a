//! `strait trace`: what can be done with the file of a trace.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::failure::Failure;
use super::replay::{advice, bad_trace, now, open};
use crate::trace::media::private_file;
use crate::trace::strip::{StripError, strip};

/// What `strait trace` does.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub(super) enum TraceCommand {
    /// Write what of a trace can be shared: headers and decisions, no media, no keys
    Strip(StripArgs),
}

/// What `strait trace strip` takes.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub(super) struct StripArgs {
    /// The trace, a file that `strait serve --record` wrote
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// The stripped trace, a new file
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Leave out names and addresses too
    #[arg(long)]
    anonymous: bool,
    /// The key that opens an encrypted trace: a file that age-keygen wrote
    #[arg(long, value_name = "KEYFILE")]
    identity: Option<PathBuf>,
}

/// Does what was asked for with a trace.
pub(super) fn run(command: &TraceCommand) -> Result<(), Failure> {
    let TraceCommand::Strip(args) = command;
    let mut trace = open(&args.trace, args.identity.as_deref())?;
    if fs::symlink_metadata(&args.out).is_ok() {
        let out = args.out.display();
        return Err(Failure::usage(format!("{out} exists; name a file that does not, or remove it first")));
    }
    let cannot_write = |path: &Path, error: io::Error| {
        Failure::other(format!("{} cannot be written: {error}", path.display()))
    };
    let out = private_file(&args.out).map_err(|error| cannot_write(&args.out, error))?;
    let stripped = strip(&mut trace, now(), io::BufWriter::new(out), args.anonymous);
    let stripped = stripped.map_err(|error| {
        // Half a file would be taken for a whole one.
        let _ = fs::remove_file(&args.out);
        match error {
            StripError::Trace(error) => bad_trace(&args.trace, &error),
            StripError::Write(error) => cannot_write(&args.out, error),
        }
    })?;
    let _ = writeln!(
        io::stdout(),
        "{}: {} facts of {:.1} s of call time; no media, no keys{}",
        args.out.display(),
        stripped.facts,
        stripped.told.call_time.as_secs_f64(),
        if args.anonymous {
            ", no names"
        } else {
            "; names and addresses are in it, --anonymous leaves them out"
        }
    );
    match &stripped.told.parted {
        None => Ok(()),
        Some(parted) => Err(Failure::other(advice(parted, &trace))),
    }
}

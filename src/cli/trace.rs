//! `strait trace`: what can be done with the file of a trace.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::failure::Failure;
use super::replay::{advice, bad_trace, now, open};
use crate::trace::age::PrivateKey;
use crate::trace::media::private_file;
use crate::trace::strip::{StripError, strip};

/// What `strait trace` does.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub(super) enum TraceCommand {
    /// Write what of a trace can be shared: headers and decisions, no media, no keys
    Strip(StripArgs),
    /// Make a key pair: the public half encrypts traces, the private half opens them
    ///
    /// Writes the private half into a new file, for --identity, and prints the public half, for the
    /// server's --record-to. Do it on another machine than the server, and keep the file: without it
    /// nobody can open the traces.
    #[command(verbatim_doc_comment)]
    Keygen(KeygenArgs),
}

/// What `strait trace keygen` takes.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub(super) struct KeygenArgs {
    /// The private half, a new file; keep it off the server
    #[arg(value_name = "KEYFILE")]
    out: PathBuf,
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
    /// The key that opens an encrypted trace, a file of `strait trace keygen`
    #[arg(long, value_name = "KEYFILE")]
    identity: Option<PathBuf>,
}

/// Does what was asked for with a trace.
pub(super) fn run(command: &TraceCommand) -> Result<(), Failure> {
    match command {
        TraceCommand::Strip(args) => run_strip(args),
        TraceCommand::Keygen(args) => run_keygen(args),
    }
}

/// Opens a file that must not exist yet, and that nobody else may read.
fn new_file(path: &Path) -> Result<fs::File, Failure> {
    if fs::symlink_metadata(path).is_ok() {
        let path = path.display();
        return Err(Failure::usage(format!("{path} exists; name a file that does not, or remove it first")));
    }
    private_file(path).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::other(format!("{} cannot be written: {error}", path.display()))
}

fn run_strip(args: &StripArgs) -> Result<(), Failure> {
    let mut trace = open(&args.trace, args.identity.as_deref())?;
    let out = new_file(&args.out)?;
    let stripped = strip(&mut trace, now(), io::BufWriter::new(out), args.anonymous);
    let stripped = stripped.map_err(|error| {
        // Half a file would be taken for a whole one.
        let _ = fs::remove_file(&args.out);
        match error {
            StripError::Trace(error) => bad_trace(&args.trace, &error),
            StripError::Write(error) => cannot_write(&args.out, &error),
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

/// The public half goes to standard output alone, so that a script can put it into a configuration.
fn run_keygen(args: &KeygenArgs) -> Result<(), Failure> {
    let (key, secret) = PrivateKey::generate()
        .map_err(|_| Failure::other("the system has no randomness to make a key of; try again"))?;
    let public = key.public();
    let text = format!(
        "# The private half of a key for traces; keep it off the server.\n# public key: {public}\n{secret}\n"
    );
    let mut out = new_file(&args.out)?;
    out.write_all(text.as_bytes())
        .and_then(|()| out.sync_all())
        .map_err(|error| cannot_write(&args.out, &error))?;
    let path = args.out.display();
    let _ = writeln!(
        io::stderr(),
        "{path} holds the private half: keep it off the server, and open traces with --identity {path}. Start the \
         server with --record-to and the public half:"
    );
    let _ = writeln!(io::stdout(), "{public}");
    Ok(())
}

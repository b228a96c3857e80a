//! `strait sign`: signs a request to a server that asks for it, as a header field for curl and others.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use super::access::unix_time;
use super::failure::Failure;
use super::serve_flags::ServeFlags;
use crate::access::{Signed, signature};

/// Bytes of a nonce, which is written in hexadecimal.
const NONCE_BYTES: usize = 16;

/// What `strait sign` takes.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub(super) struct SignArgs {
    /// The method, such as DELETE
    #[arg(value_name = "METHOD")]
    method: String,
    /// The path, with the query if there is one, such as /admin/v1/rooms/standup
    #[arg(value_name = "PATH")]
    target: String,
    /// The file with the body, - for standard input [default: there is none]
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// The id of the key to sign with [default: the first of auth.keys]
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// The configuration file that has the keys
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Prints the header field that signs a request. `variables` is the environment.
pub(super) fn sign(
    args: &SignArgs,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), Failure> {
    if !args.target.starts_with('/') {
        return Err(Failure::usage("the path begins with /: leave scheme and host out"));
    }
    let config = crate::config::load(&ServeFlags::of_file(args.config.clone()).sources(variables)?)?.config;
    let mut keys = config.auth.keys.reveal().iter();
    let key = match &args.key {
        Some(id) => keys.find(|key| key.id == *id),
        None => keys.next(),
    };
    let key = key.ok_or_else(|| {
        Failure::usage(
            "there is no such key to sign with: name the server's configuration file with --config",
        )
    })?;
    let body = body(args.body.as_ref())?;
    let method = args.method.to_ascii_uppercase();
    let request = Signed { method: &method, target: &args.target, body: &body };
    let field = signature(key, unix_time().as_secs(), &nonce()?, request);
    // A failed write means that the reader of a pipe has gone, so there is nobody to tell.
    let _ = writeln!(io::stdout(), "Strait-Signature: {field}");
    Ok(())
}

fn body(file: Option<&PathBuf>) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    match file {
        None => return Ok(body),
        Some(file) if file.as_os_str() == "-" => io::stdin().read_to_end(&mut body).map(|_| body),
        Some(file) => fs::read(file),
    }
    .map_err(|error| Failure::usage(format!("the body cannot be read: {error}")))
}

#[expect(clippy::disallowed_methods, reason = "a program of its own: what it signs is different each time")]
fn nonce() -> Result<String, Failure> {
    let mut bytes = [0; NONCE_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|_| Failure::other("the system has no randomness to make a nonce of; try again"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

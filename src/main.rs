//! Arguments in, exit code out.

// As in the library.
#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::unwrap_used
)]

use std::process::ExitCode;

fn main() -> ExitCode {
    strait::cli::run(std::env::args_os(), std::env::vars_os())
}

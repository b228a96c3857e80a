//! The source, read as text: rules that no compiler checks. Each says what to do instead.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may use sockets, clocks and panics"
)]

mod functions;
mod knots;
mod ladder;
mod lexer;
mod modules;
mod paths;
mod source;
mod text;
mod walk;
mod words;

//! The source, read as text: rules that no compiler checks. Each says what to do instead.

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

//! Traces of recorded rooms: which are being written, and the thread that writes them.

mod files;
pub mod keeper;

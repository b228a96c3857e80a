//! Traces: a recorder's records of a room as a file, and the same room again from the file.
//!
//! A trace holds everything that a room depends on: its settings, the entropy of each participant, every input with its
//! time, including keying material, and digests of all outputs. [`replay()`] feeds it to a fresh room, without a
//! socket, and finds the first output that differs. `docs/trace.md` describes the file.
//!
//! **A trace is as sensitive as a recording of the call: it contains media and keys.**

pub mod age;
pub mod calendar;
pub mod explain;
pub mod facts;
pub mod format;
pub mod media;
mod original;
pub mod pcap;
pub mod reader;
pub mod recipient;
pub mod replay;
pub mod strip;
pub mod wiretap;
pub mod witness;
pub mod words;

pub use format::{EndOfTrace, Header, TraceWriter};
pub use reader::{BadTrace, Trace};
pub use recipient::Recipient;
pub use replay::{Observer, Parted, Replayed, Step, replay};

//! The load generator: many lightweight clients with real signalling, ICE, DTLS and SRTP.
//!
//! One thread and one poll. A person is a WebSocket, a UDP socket and a few counters, without a WebRTC engine. SRTP is
//! the server's own code from the other side; handshakes are the shell's. Publishers stamp every packet with this
//! process's monotonic clock, and subscribers decrypt it and read the stamp, so the reported latency is one-way and
//! needs no synchronised clocks. `docs/load.md` says what each figure means.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a client of its own: it reads clocks and opens sockets as the shell does"
)]

mod clock;
mod dialogue;
mod frames;
mod generator;
mod incoming;
mod interval_log;
mod meters;
mod options;
mod packet;
mod person;
mod process;
mod report;
mod schedule;
pub mod sdp;
mod sender;
mod shared;
mod signalling;
mod table;
mod udp_end;
mod url;

use std::io;

pub use meters::Percentiles;
pub use options::{LoadOptions, Profile, ServerKind};
pub use report::{InTenth, Joins, OfKind, Own, Packets, Report, ServerUse, Viewing};
pub use url::{Target, parse as parse_url};

use generator::Generator;

/// The results of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The figures of the run.
    pub report: Report,
    /// An HdrHistogram log of the latency, second by second, if [`LoadOptions::intervals`] asked for it.
    pub log: Option<Vec<u8>>,
}

/// Generates load until it has lasted long enough, or a signal comes. `progress` gets a line each second.
pub fn run(options: LoadOptions, progress: &mut dyn FnMut(&str)) -> io::Result<Outcome> {
    let began = std::time::SystemTime::now();
    let wants_log = options.intervals;
    let mut generator = Generator::new(options)?;
    generator.run(progress)?;
    let log = if wants_log { Some(interval_log::write(&generator, began)?) } else { None };
    Ok(Outcome { report: Report::of(&generator), log })
}

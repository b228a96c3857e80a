//! `strait replay`: a recorded room once more, without a socket, and whether it did the same.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::load::duration;
use super::log;
use crate::config::{Log, LogFilter, LogFormat};
use crate::trace::media::{MediaFiles, private_file};
use crate::trace::pcap::PcapWriter;
use crate::trace::wiretap::{PlainObserver, Wiretap};
use crate::trace::{BadTrace, Observer, Parted, Replayed, Trace, replay};

/// What `strait replay` takes.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub(super) struct ReplayArgs {
    /// The trace, a file that `strait serve --record` wrote
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// The key that opens an encrypted trace, a file of `strait trace keygen`
    #[arg(long, value_name = "KEYFILE")]
    identity: Option<PathBuf>,

    /// Stop at this time of the call, such as 90s or 2m
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "What to replay")]
    until: Option<Duration>,
    /// Let --pcap and --media write this participant only, by name or id
    #[arg(long, value_name = "NAME", help_heading = "What to replay")]
    participant: Option<String>,

    /// Write all RTP and RTCP, decrypted, as a capture file for Wireshark
    #[arg(long, value_name = "FILE", help_heading = "What to write")]
    pcap: Option<PathBuf>,
    /// Write each incoming track as a file for players: Ogg, IVF or H.264
    #[arg(long, value_name = "DIR", help_heading = "What to write")]
    media: Option<PathBuf>,
    /// Log what the room did: a level, or module=level after a comma
    #[arg(long, value_name = "FILTER", help_heading = "What to write")]
    log: Option<String>,
}

/// Opens a trace. `identity` is the file of the key that opens an encrypted one.
pub(super) fn open(path: &Path, identity: Option<&Path>) -> Result<Trace<'static>, Failure> {
    let unreadable =
        |path: &Path, error: io::Error| Failure::usage(format!("{} cannot be read: {error}", path.display()));
    let identity = identity.map(|path| fs::read_to_string(path).map_err(|error| unreadable(path, error)));
    let file = fs::File::open(path).map_err(|error| unreadable(path, error))?;
    Trace::open(file, identity.transpose()?.as_deref()).map_err(|error| bad_trace(path, &error))
}

/// Returns the failure for a trace that cannot be used.
pub(super) fn bad_trace(path: &Path, error: &BadTrace) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

/// Returns the time, which measures how long things take and nothing else.
#[expect(clippy::disallowed_methods, reason = "how long the replay takes; what it does depends on no clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Replays a trace, and prints whether the room did the same.
pub(super) fn run(args: &ReplayArgs) -> Result<(), Failure> {
    if let Some(filter) = &args.log {
        let level = LogFilter::parse(filter)
            .ok_or_else(|| Failure::usage(format!("--log must be {}", LogFilter::expected_words())))?;
        log::start(&Log { level, format: LogFormat::Text })
            .map_err(|error| Failure::other(format!("cannot log: {error}")))?;
    }
    let mut trace = open(&args.trace, args.identity.as_deref())?;
    if trace.header().is_stripped() {
        return Err(bad_trace(&args.trace, &BadTrace::Stripped));
    }
    let cannot_write = |path: &Path, error: io::Error| {
        Failure::other(format!("{} cannot be written: {error}", path.display()))
    };
    let mut pcap = match &args.pcap {
        Some(path) => {
            let out = private_file(path).map_err(|error| cannot_write(path, error))?;
            let writer = PcapWriter::new(io::BufWriter::new(out), trace.header().created_unix());
            Some((path, writer.map_err(|error| cannot_write(path, error))?))
        }
        None => None,
    };
    let mut media = match &args.media {
        Some(path) => Some((path, MediaFiles::new(path.clone()).map_err(|error| cannot_write(path, error))?)),
        None => None,
    };
    let mut plain: Vec<&mut dyn PlainObserver> = Vec::new();
    plain.extend(pcap.iter_mut().map(|(_, writer)| writer as &mut dyn PlainObserver));
    plain.extend(media.iter_mut().map(|(_, files)| files as &mut dyn PlainObserver));
    let mut wiretap = (!plain.is_empty()).then(|| Wiretap::new(args.participant.clone(), plain));
    let mut observers: Vec<&mut dyn Observer> = Vec::new();
    observers.extend(wiretap.iter_mut().map(|tap| tap as &mut dyn Observer));
    let started = now();
    let replayed = replay(&mut trace, started, args.until, &mut observers)
        .map_err(|error| bad_trace(&args.trace, &error))?;
    let took = now().saturating_duration_since(started);
    if let Some((path, writer)) = pcap {
        let packets = writer.finish().map_err(|error| cannot_write(path, error))?;
        let _ = writeln!(io::stderr(), "{packets} decrypted packets in {}", path.display());
    }
    if let Some((path, files)) = media {
        let files = files.finish().map_err(|error| cannot_write(path, error))?;
        let _ = writeln!(io::stderr(), "{} tracks in {}", files.len(), path.display());
    }
    // Nobody to tell when the reader of a pipe has gone.
    let _ = io::stdout().write_all(verdict(&replayed, took, &trace).as_bytes());
    match &replayed.parted {
        None => Ok(()),
        Some(parted) => Err(Failure::other(advice(parted, &trace))),
    }
}

/// What came of it, for a person.
fn verdict(replayed: &Replayed, took: Duration, trace: &Trace<'_>) -> String {
    let Replayed { inputs, outputs, call_time, ending, parted } = replayed;
    let amount = format!(
        "{inputs} inputs, {outputs} outputs, {:.1} s of call time in {:.2} s",
        call_time.as_secs_f64(),
        took.as_secs_f64()
    );
    let room = &trace.header().room.room;
    let mut text = match parted {
        None => format!("room {room}: bit-exact: {amount}\n"),
        Some(parted) => format!(
            "room {room}: parts at step {}, {:.6} s into the call, after {amount}\n  what happened: {}\n  \
             output {} of the step\n    recorded: {}\n    replayed: {}\n",
            parted.step,
            parted.at.as_secs_f64(),
            parted.input,
            parted.output,
            parted.recorded.as_deref().unwrap_or("nothing more"),
            parted.replayed.as_deref().unwrap_or("nothing more"),
        ),
    };
    if let Some(ending) = ending {
        text += &format!("the trace's end: {ending}\n");
    }
    text
}

/// What to do about outputs that part.
pub(super) fn advice(parted: &Parted, trace: &Trace<'_>) -> String {
    let recorded_by = &trace.header().build;
    let own = env!("CARGO_PKG_VERSION");
    if recorded_by == own {
        format!("the outputs part at step {}; see above, and docs/determinism.md for what to do", parted.step)
    } else {
        format!(
            "the outputs part at step {}; Strait {recorded_by} recorded this and {own} replays it: use that version",
            parted.step
        )
    }
}

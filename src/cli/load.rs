//! `strait load`: arguments to the generator, its figures to a terminal and to files.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use super::failure::Failure;
use crate::load::{self, LoadOptions, Profile, ServerKind};

/// What `strait load` takes.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub(super) struct LoadArgs {
    /// The server's address
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:7443", help_heading = "Server")]
    url: String,
    /// Whose signalling the server has: strait, or janus
    ///
    /// Janus is loaded by its VideoRoom plugin, over WebSockets.
    #[arg(
        long,
        value_name = "SERVER",
        default_value = "strait",
        help_heading = "Server",
        verbatim_doc_comment
    )]
    server: ServerKind,
    /// The server's process, for its processor time and memory
    ///
    /// By default a server on this machine is found by its port.
    #[arg(long, value_name = "PID", help_heading = "Server", verbatim_doc_comment)]
    server_pid: Option<u32>,

    /// How many rooms
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "People")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rooms: u32,
    /// How many publishers in each room
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "People")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=100_000))]
    publishers: u32,
    /// How many subscribers in each room
    ///
    /// In conferences they publish too.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "People", verbatim_doc_comment)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=100_000))]
    subscribers: u32,
    /// How many people join in a second
    #[arg(long, value_name = "N", default_value = "200", value_parser = ramp, help_heading = "People")]
    ramp: u32,
    /// How long everybody may take to be there
    ///
    /// The time runs from when the last one has begun to join. What is missing at its end is
    /// reported, and the rest is measured.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration)]
    #[arg(help_heading = "People", verbatim_doc_comment)]
    patience: Duration,
    /// Makes identifiers and the phases of streams repeatable
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "People")]
    seed: u64,

    #[arg(long, value_name = "PROFILE", default_value = "audio", help_heading = "Media")]
    #[arg(help = "What is published; --help lists the profiles")]
    #[arg(long_help = "\
What is published:
  audio             50 packets a second of 80 bytes
  video             250 packets a second of 1100 bytes, evenly spaced
  frames            the same, the ten packets of each frame at once
  simulcast         that video in three encodings
  conference        audio and video; everybody publishes, and receives all others
  conference-simulcast
                    the same with the video in three encodings
  conference-audio  audio; everybody publishes, and receives all others
")]
    profile: Profile,
    /// Let the server choose whom each receiver hears, and N of whom they see
    ///
    /// Otherwise everybody has to receive everything. Loss is then counted by sequence number.
    #[arg(long, value_name = "N", help_heading = "Media", verbatim_doc_comment)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=64))]
    shown: Option<u32>,
    /// Packets a second of each stream, instead of the profile's
    #[arg(long, value_name = "N", help_heading = "Media")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: Option<u32>,
    /// Bytes of each payload, instead of the profile's
    #[arg(long, value_name = "BYTES", help_heading = "Media")]
    #[arg(value_parser = clap::value_parser!(u32).range(32..=1200))]
    payload: Option<u32>,
    /// Negotiate transport-wide congestion control
    #[arg(long, help_heading = "Media")]
    transport_cc: bool,

    /// How long to measure, such as 10s, 500ms or 2m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, help_heading = "Measurement")]
    duration: Duration,
    /// Open only one packet in N of each stream
    ///
    /// Opening fewer packets is cheaper. Latency is then of those that are opened, loss is
    /// counted by sequence number, and freezes are not told.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Measurement", verbatim_doc_comment)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    decrypt_every: u32,
    /// Never sleep, which takes a whole core
    ///
    /// On loopback the kernel charges the waking of a sleeping receiver to whoever sends, which
    /// is the server. Use it to compare servers.
    #[arg(long, help_heading = "Measurement", verbatim_doc_comment)]
    spin: bool,

    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    json: Option<PathBuf>,
    /// Write the latency, second by second, to this file as an HdrHistogram log
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    hdr: Option<PathBuf>,
}

/// A time with its unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("write a time like 10s, 500ms or 2m".into()),
    };
    let number: f64 = number.parse().map_err(|_| "write a time like 10s, 500ms or 2m")?;
    let time = Duration::try_from_secs_f64(number * seconds).map_err(|_| "that is too long")?;
    if time.is_zero() || time > Duration::from_secs(7 * 24 * 3600) {
        return Err("it must be more than nothing, and at most a week".into());
    }
    Ok(time)
}

/// A rate, with or without `/s`.
fn ramp(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).parse().ok();
    number.filter(|n| (1..=100_000).contains(n)).ok_or_else(|| "write a rate like 200 or 200/s".into())
}

impl LoadArgs {
    fn options(&self) -> Result<LoadOptions, Failure> {
        let target = load::parse_url(&self.url).map_err(Failure::usage)?;
        if self.publishers + self.subscribers == 0 {
            return Err(Failure::usage("nobody is to join; use --publishers and --subscribers"));
        }
        let is_simulcast = matches!(self.profile, Profile::Simulcast | Profile::ConferenceSimulcast);
        if self.server == ServerKind::Janus && is_simulcast {
            return Err(Failure::usage("Janus is loaded without simulcast; use --profile video"));
        }
        Ok(LoadOptions {
            address: target.address,
            server_kind: self.server,
            host: target.host,
            rooms: self.rooms as usize,
            publishers: self.publishers as usize,
            subscribers: self.subscribers as usize,
            profile: self.profile,
            duration: self.duration,
            server_pid: self.server_pid,
            seed: self.seed,
            ramp: self.ramp,
            spin: self.spin,
            decrypt_every: self.decrypt_every,
            shown: self.shown.map(|shown| shown as usize),
            rate: self.rate,
            payload: self.payload.map(|bytes| bytes as usize),
            transport_cc: self.transport_cc,
            patience: self.patience,
            intervals: self.hdr.is_some(),
        })
    }
}

/// Generates load and reports on it.
pub(super) fn load(args: &LoadArgs) -> Result<(), Failure> {
    let mut stderr = io::stderr();
    // On a terminal each line takes the place of the one before it.
    let (start, end) = if stderr.is_terminal() { ("\r\x1b[K", "") } else { ("", "\n") };
    let mut progress = |line: &str| {
        let _ = write!(stderr, "{start}{line}{end}").and_then(|()| stderr.flush());
    };
    let outcome = load::run(args.options()?, &mut progress)
        .map_err(|error| Failure::other(format!("cannot generate load: {error}")))?;
    let _ = write!(io::stderr(), "{start}");
    let report = outcome.report;
    // Nobody to tell when the reader of a pipe has gone.
    let _ = write!(io::stdout(), "{report}");
    let written = |path: &PathBuf, bytes: &[u8]| {
        fs::write(path, bytes)
            .map_err(|error| Failure::other(format!("cannot write {}: {error}", path.display())))
    };
    if let Some(path) = &args.json {
        let text =
            serde_json::to_string_pretty(&report).map_err(|error| Failure::other(error.to_string()))?;
        written(path, format!("{text}\n").as_bytes())?;
    }
    if let (Some(path), Some(log)) = (&args.hdr, &outcome.log) {
        written(path, log)?;
    }
    if report.ok { Ok(()) } else { Err(Failure::other(report.problems.join("; "))) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        load: LoadArgs,
    }

    fn parse(arguments: &[&str]) -> Result<LoadArgs, String> {
        let all = std::iter::once("load").chain(arguments.iter().copied());
        Only::try_parse_from(all).map(|only| only.load).map_err(|error| error.to_string())
    }

    #[test]
    fn arguments_become_options() {
        let args = parse(&[
            "--rooms",
            "3",
            "--profile",
            "frames",
            "--duration",
            "1.5s",
            "--ramp",
            "50/s",
            "--hdr",
            "x",
        ]);
        let options = args.expect("good").options().expect("good");
        assert_eq!((options.rooms, options.publishers, options.subscribers), (3, 1, 1));
        assert_eq!((options.profile, options.ramp, options.intervals), (Profile::Frames, 50, true));
        assert_eq!(options.duration, Duration::from_millis(1500));
        assert_eq!(options.address, ([127, 0, 0, 1], 7443).into());
    }

    #[test]
    fn times_need_a_unit_that_is_known() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        for bad in ["", "s", "5 s", "5d", "0s", "1.2.3s", "999999999h", "-1s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mistakes_are_told_before_anything_begins() {
        assert!(parse(&["--profile", "opera"]).expect_err("unknown").contains("simulcast"));
        assert!(parse(&["--ramp", "0"]).expect_err("none").contains("200/s"));
        assert!(parse(&["--decrypt-every", "0"]).is_err());
        let nobody = parse(&["--publishers", "0", "--subscribers", "0"]).expect("parses");
        assert!(nobody.options().expect_err("nobody").message.contains("nobody"));
        let tls = parse(&["--url", "wss://localhost:1"]).expect("parses");
        assert_eq!(tls.options().expect_err("TLS").code, 2);
    }
}

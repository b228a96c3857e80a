//! Args: exactly what was typed, and how it becomes the sources of a configuration.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::explain::ExplainArgs;
use super::failure::Failure;
use super::load::LoadArgs;
use super::replay::ReplayArgs;
use super::sim::SimArgs;
use super::stats::StatsArgs;
use super::trace::TraceCommand;
use crate::config::{Flag, Sources};

const EXAMPLES: &str = "\
Examples:
  strait
      Serve on port 7443, then open http://localhost:7443
  strait serve --listen 127.0.0.1:8080
      Serve this computer only, on another port
  strait serve --public-address 203.0.113.7
      Serve behind a NAT that forwards the port, UDP and TCP
  strait serve --tls-cert fullchain.pem --tls-key privkey.pem
      Serve with a certificate that browsers trust
  strait config --config strait.toml
      Check a file, and see what it comes to

Every key of the file is also a variable, STRAIT_<SECTION>_<KEY>, such as STRAIT_ROOMS_MAX_ROOMS.
A flag goes before a variable, a variable before the file. docs/configuration.md lists them all.";

/// A WebRTC server for calls: one program, one port.
#[derive(Debug, Parser)]
#[command(name = "strait", version, after_help = EXAMPLES)]
#[command(disable_help_subcommand = true)]
pub(super) struct Args {
    /// What to do; without one, serve.
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) options: Options,
}

#[derive(Debug, Clone, PartialEq, Subcommand)]
pub(super) enum Command {
    /// Serve calls until told to stop (what `strait` alone does)
    #[command(after_help = EXAMPLES)]
    Serve,
    /// Print the effective configuration, and where each value comes from
    Config,
    /// Load a server with people of its own, and measure (docs/load.md)
    Load(Box<LoadArgs>),
    /// Print what a running server does
    Stats(StatsArgs),
    /// Replay a recorded room, and check that it does the same (docs/determinism.md)
    Replay(ReplayArgs),
    /// Tell what happened in a recorded room and why (docs/determinism.md)
    Explain(ExplainArgs),
    /// Make a trace that can be shared, or a key for traces (docs/determinism.md)
    Trace {
        /// What to do with it.
        #[command(subcommand)]
        command: TraceCommand,
    },
    /// Play simulated rooms, and look for what goes wrong (docs/determinism.md)
    Sim(Box<SimArgs>),
    /// Print the licences of all that is in this program
    Licences,
}

/// What all subcommands take.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    // As an attribute: brackets are links in a doc comment.
    #[arg(long, global = true, value_name = "ADDR:PORT")]
    #[arg(help = "Listen here, on UDP and TCP [default: [::]:7443, all addresses]")]
    listen: Option<String>,

    /// Tell clients this address of the server; may be repeated
    #[arg(long = "public-address", global = true, value_name = "IP")]
    public_addresses: Vec<String>,

    #[arg(long = "tls-cert", global = true, value_name = "FILE")]
    #[arg(help = "The certificate chain for HTTPS, a PEM file [default: self-signed]")]
    tls_cert: Option<String>,

    /// The private key to it, a PEM file
    #[arg(long = "tls-key", global = true, value_name = "FILE")]
    tls_key: Option<String>,

    /// After a signal, go on this long without letting anybody in
    #[arg(long, global = true, value_name = "SECONDS")]
    drain: Option<String>,

    /// Record rooms here as traces, which contain media and keys
    #[arg(long, global = true, value_name = "DIR")]
    record: Option<String>,

    // As an attribute: a bracket is a link in a doc comment.
    #[arg(long = "record-rooms", global = true, value_name = "PATTERN")]
    #[arg(help = "Record rooms of this name, such as team-*; repeatable [default: *]")]
    record_rooms: Vec<String>,

    /// Encrypt traces to this public key, which `strait trace keygen` prints
    #[arg(long = "record-to", global = true, value_name = "age1…")]
    record_to: Option<String>,

    /// Read this configuration file (TOML)
    #[arg(long, global = true, value_name = "FILE", env = "STRAIT_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
}

impl Options {
    /// The sources of the configuration, with this environment.
    pub(super) fn sources(
        &self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Sources, Failure> {
        let mut sources = Sources { file: self.config.clone(), ..Sources::default() };
        for (name, value) in variables {
            // Names of ours are ASCII; what cannot be read is not one.
            let Ok(name) = name.into_string() else { continue };
            if !name.starts_with("STRAIT_") || name == "STRAIT_CONFIG" {
                continue;
            }
            let value = value
                .into_string()
                .map_err(|_| Failure::usage(format!("the variable {name} is not UTF-8 text; set it anew")))?;
            sources.variables.push((name, value));
        }
        // The order of an environment is arbitrary; that of messages should not be.
        sources.variables.sort();
        if let Some(value) = self.listen.clone() {
            sources.flags.push(Flag { flag: "--listen", key: "server.listen", value });
        }
        if !self.public_addresses.is_empty() {
            let value = self.public_addresses.join(",");
            sources.flags.push(Flag { flag: "--public-address", key: "server.public_addresses", value });
        }
        let files = [("--tls-cert", "tls.cert", &self.tls_cert), ("--tls-key", "tls.key", &self.tls_key)];
        for (flag, key, value) in files {
            if let Some(value) = value.clone() {
                sources.flags.push(Flag { flag, key, value });
            }
        }
        if let Some(value) = self.record.clone() {
            sources.flags.push(Flag { flag: "--record", key: "record.dir", value });
        }
        if !self.record_rooms.is_empty() {
            let value = self.record_rooms.join(",");
            sources.flags.push(Flag { flag: "--record-rooms", key: "record.rooms", value });
        }
        if let Some(value) = self.record_to.clone() {
            sources.flags.push(Flag { flag: "--record-to", key: "record.recipient", value });
        }
        if let Some(value) = self.drain.clone() {
            sources.flags.push(Flag { flag: "--drain", key: "server.drain", value });
        }
        Ok(sources)
    }
}

//! What can be typed: the subcommands, each with its own flags and no others.

use clap::{Parser, Subcommand};

use super::access::{KeysCommand, TokenCommand};
use super::explain::ExplainArgs;
use super::help;
use super::load::LoadArgs;
use super::replay::ReplayArgs;
use super::serve_flags::ServeFlags;
use super::sign::SignArgs;
use super::sim::SimArgs;
use super::stats::StatsArgs;
use super::trace::TraceCommand;

// The flags of `serve` are repeated here, for `strait` alone serves. They are not global: a subcommand that does not
// serve must neither list nor take them.
#[derive(Debug, Parser)]
#[command(name = "strait", version, disable_help_subcommand = true)]
#[command(about = "A WebRTC server for calls: one program, one port.", long_about = help::ABOUT)]
#[command(after_help = help::SHORT, after_long_help = help::overview())]
#[command(override_usage = "strait [FLAGS OF serve]\n       strait <COMMAND> [OPTIONS]")]
pub(super) struct Args {
    /// What to do; without a subcommand, serve.
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) serve: ServeFlags,
}

#[derive(Debug, Clone, PartialEq, Subcommand)]
pub(super) enum Command {
    /// Serve calls until told to stop (what `strait` alone does)
    #[command(long_about = help::SERVE, after_help = help::SHORT, after_long_help = help::serving())]
    Serve(Box<ServeFlags>),
    /// Print the effective configuration, and where each value comes from
    #[command(long_about = help::CONFIG, after_help = help::SHORT, after_long_help = help::settings())]
    Config(Box<ServeFlags>),
    /// Load a server with people of its own, and measure
    #[command(long_about = help::LOAD, after_help = help::SHORT, after_long_help = help::LOAD_EXAMPLES)]
    Load(Box<LoadArgs>),
    /// Print what a running server does
    #[command(long_about = help::STATS, after_help = help::SHORT, after_long_help = help::STATS_EXAMPLES)]
    Stats(StatsArgs),
    /// Replay a recorded room, and check that it does the same
    #[command(long_about = help::REPLAY, after_help = help::SHORT, after_long_help = help::REPLAY_EXAMPLES)]
    Replay(ReplayArgs),
    /// Tell what happened in a recorded room and why
    #[command(long_about = help::EXPLAIN, after_help = help::SHORT, after_long_help = help::EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Make a trace that can be shared, or a key for traces
    Trace {
        /// What to do with the trace.
        #[command(subcommand)]
        command: TraceCommand,
    },
    /// Make a token that lets somebody in
    Token {
        /// What to do about tokens.
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Make a key that signs tokens
    Keys {
        /// What to do about keys.
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Sign a request to a server that asks for it (admin.require_signature)
    ///
    /// It prints a header field: curl -X DELETE -H "$(strait sign DELETE PATH)" URL. It is good
    /// once, and for a minute. The key comes from the configuration file (--config, section
    /// auth) or from STRAIT_AUTH_KEYS; never from a flag.
    #[command(verbatim_doc_comment)]
    Sign(SignArgs),
    /// Play simulated rooms, and look for what goes wrong
    #[command(long_about = help::SIM, after_help = help::SHORT, after_long_help = help::SIM_EXAMPLES)]
    Sim(Box<SimArgs>),
    /// Print the licences of all that is in this program
    Licences,
}

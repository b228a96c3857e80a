//! The log: where it goes, and changing how much of it while the server runs.

use std::io;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::{Log, LogFilter, LogFormat};

/// Changes what is logged, from the administration interface.
#[derive(Debug, Clone)]
pub struct LogControl {
    handle: reload::Handle<Targets, Registry>,
}

impl LogControl {
    /// Logs by this filter from now on. The error says what a filter looks like.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        let filter = LogFilter::parse(filter)
            .ok_or_else(|| format!("the log level must be {}", LogFilter::expected_words()))?;
        self.handle.reload(filter.targets()).map_err(|error| error.to_string())
    }
}

/// Starts logging to standard error. Once per process.
pub fn start(log: &Log) -> Result<LogControl, TryInitError> {
    let (filter, handle) = reload::Layer::new(log.level.targets());
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match log.format {
        LogFormat::Text => {
            use std::io::IsTerminal;
            lines.with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    Ok(LogControl { handle })
}

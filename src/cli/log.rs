//! The log: where it goes, and changing how much of it while the server runs.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::{Log, LogFilter, LogFormat};

/// Changes what is logged, from the administration interface. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogControl {
    handle: reload::Handle<Targets, Registry>,
}

impl LogControl {
    /// Logs by this filter from now on: a level, levels for single modules, or both. The error says what a filter
    /// looks like.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        let filter = LogFilter::parse(filter)
            .ok_or_else(|| format!("the log level must be {}", LogFilter::expected_words()))?;
        self.handle.reload(filter.targets()).map_err(|error| error.to_string())
    }
}

/// Starts logging to standard error. Once per process.
pub fn start(log: &Log) -> Result<LogControl, TryInitError> {
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (subscriber, control) = build(log, colours, io::stderr);
    subscriber.try_init()?;
    Ok(control)
}

fn build<W>(log: &Log, colours: bool, writer: W) -> (impl Subscriber + Send + Sync + use<W>, LogControl)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(log.level.targets());
    let lines = fmt::layer().with_writer(writer).with_ansi(colours);
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    (tracing_subscriber::registry().with(filter).with(lines), LogControl { handle })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("one thread").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(log: &Log, work: impl FnOnce(&LogControl)) -> Vec<String> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let (subscriber, control) = build(log, false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || work(&control));
        let bytes = buffer.0.lock().expect("one thread").clone();
        String::from_utf8(bytes).expect("UTF-8").lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_level_can_be_changed_while_the_server_runs() {
        let log = Log { level: LogFilter::info(), format: LogFormat::Text };
        let lines = lines(&log, |control| {
            tracing::debug!("hidden");
            tracing::info!("first");
            control.set("warn,strait::cli=debug").expect("a filter");
            tracing::debug!("second");
            assert!(control.set("loud").expect_err("no filter").contains("debug or trace"));
            control.set("off").expect("a filter");
            tracing::error!("hidden");
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].ends_with("first") && lines[1].ends_with("second"), "{lines:?}");
    }

    #[test]
    fn the_turn_library_is_silent_unless_it_is_named() {
        let log = Log { level: LogFilter::info(), format: LogFormat::Text };
        let lines = lines(&log, |control| {
            tracing::error!(target: "stun_proto::auth", "every client's first request");
            tracing::warn!(target: "turn_server_proto::server", "anybody's junk");
            control.set("trace").expect("a filter");
            tracing::error!(target: "stun_proto::auth", "every client's first request");
            control.set("info,stun_proto=debug").expect("a filter");
            tracing::debug!(target: "stun_proto::auth", "wanted");
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].ends_with("wanted"), "{lines:?}");
    }

    #[test]
    fn json_lines_are_json() {
        let log = Log { level: LogFilter::info(), format: LogFormat::Json };
        let lines = lines(&log, |_| tracing::warn!(room = "a", "full"));
        let line: serde_json::Value = serde_json::from_str(&lines[0]).expect("JSON");
        assert_eq!(
            (&line["level"], &line["message"], &line["room"]),
            (&"WARN".into(), &"full".into(), &"a".into())
        );
    }
}

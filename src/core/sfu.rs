//! Sfu: rooms, demux and deadlines behind one `handle_input` and one `poll_output`.

use std::time::Instant;

use super::input::Input;
use super::output::Output;
use super::settings::Settings;
use super::stats::Snapshot;

/// The whole SFU as one deterministic value.
#[derive(Debug)]
pub struct Sfu {
    settings: Settings,
}

impl Sfu {
    /// An SFU without rooms.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Takes one input. `now` never goes back.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        let _ = (now, input, &self.settings);
    }

    /// The next thing to do, until [`Output::Timeout`].
    pub fn poll_output(&mut self) -> Output<'_> {
        Output::Timeout(None)
    }

    /// A picture of everything, for people.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let _ = now;
        Snapshot::default()
    }
}

//! Facts about where the call's media goes: straight from one to the other, or through the server.

use super::Story;
use crate::core::topology::{Mode, Reason};
use crate::trace::explain::model::Weight;
use crate::trace::explain::time::Time;
use crate::trace::facts::{Fact, PersonNumber};

/// Returns a mode as it follows "media goes".
fn way(mode: Mode) -> &'static str {
    match mode {
        Mode::P2p => "straight from one to the other",
        Mode::Sfu => "through the server",
    }
}

/// Returns a mode as it follows "the move".
fn destination(mode: Mode) -> &'static str {
    match mode {
        Mode::P2p => "to direct connections",
        Mode::Sfu => "to the server",
    }
}

/// Returns why the call moves, or does not.
fn because(reason: Reason) -> &'static str {
    match reason {
        Reason::Size => "for the number of people",
        Reason::Capability => "because somebody is there who needs the server",
        Reason::Load => "because a client had too much to do",
        Reason::Forced => "because an operator, or the configuration, has it so",
        Reason::MeshFailed => "because two clients found no direct path to each other",
        Reason::Timeout => "because not all had moved in time",
        Reason::ClientFailed => "because a client could not move",
        Reason::ServerFailed => "because the server did not work for a client",
        Reason::Reset => "because it took too long, or an operator ended it",
        Reason::Warm => "only to get the server ready",
    }
}

impl Story {
    /// Takes where the call's media goes; nothing else.
    pub(super) fn topology(&mut self, at: Time, fact: &Fact) -> Option<()> {
        let Fact::Topology { mode, moving_to, reason, missing } = fact else { return None };
        let (mode, moving_to) = (*mode, *moving_to);
        let before = self.mode.replace(mode);
        let since = std::mem::replace(&mut self.moving, moving_to.map(|_| at));
        let why = because(*reason);
        let (weight, text) = match (moving_to, since) {
            (Some(to), _) => (Weight::Notable, format!("the call begins to move {}, {why}", destination(to))),
            (None, Some(since)) if before == Some(mode) => {
                let to = if mode == Mode::P2p { Mode::Sfu } else { Mode::P2p };
                let took = at.since(since);
                let text = format!("the move {} was given up after {took}, {why}", destination(to));
                (Weight::Trouble, text + &self.not_moved(missing))
            }
            (None, Some(since)) => {
                let took = at.since(since);
                let text = format!("the call has moved in {took}: media goes {}", way(mode));
                (Weight::Notable, text + &self.not_moved(missing))
            }
            (None, None) => (Weight::Plain, format!("media goes {}", way(mode))),
        };
        for person in 0..self.people.len() {
            if self.people[person].left.is_none() {
                self.tell(at, person, "topology", weight, text.clone());
            }
        }
        Some(())
    }

    pub(super) fn moved(&mut self, at: Time, person: usize) {
        self.tell(at, person, "moved", Weight::Plain, "has moved".to_owned());
    }

    /// Returns who had not moved, as it follows what became of the move.
    fn not_moved(&self, missing: &[PersonNumber]) -> String {
        let names =
            missing.iter().filter_map(|person| Some(self.people.get(*person as usize)?.name.as_str()));
        let names: Vec<&str> = names.collect();
        if names.is_empty() { String::new() } else { format!("; not moved: {}", names.join(", ")) }
    }
}

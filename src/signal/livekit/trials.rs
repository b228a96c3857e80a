//! What clients of LiveKit want to have happen when they come back (`SimulateScenario`), for trying: they ask for it on one
//! connection, and it happens to the next one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::core::ids::RoomId;

/// For so long it is remembered what somebody wants to try.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Of how many it is remembered. More are passed over.
const TRIALS_MAX: usize = 1024;

/// What is to happen to somebody's next connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// Media goes by TCP.
    ForceTcp,
    /// Media goes by TURN over TLS.
    ForceTls,
    /// The connection by which they come back breaks as soon as they have been welcomed.
    BreakWhenResumed,
    /// It breaks before they are told anything.
    BreakBeforeResumed,
}

impl Trial {
    /// Whether it happens to somebody who comes back, and not to somebody who joins anew.
    fn is_of_resumes(self) -> bool {
        matches!(self, Self::BreakWhenResumed | Self::BreakBeforeResumed)
    }
}

/// What everybody wants to try.
#[derive(Debug, Default)]
pub struct Trials {
    wanted: BTreeMap<(RoomId, String), (Trial, Instant)>,
}

impl Trials {
    /// Notes what somebody of that identity wants to try.
    pub fn note(&mut self, now: Instant, room: RoomId, identity: String, trial: Trial) {
        self.wanted.retain(|_, (_, at)| now.saturating_duration_since(*at) < REMEMBERED);
        if self.wanted.len() < TRIALS_MAX {
            self.wanted.insert((room, identity), (trial, now));
        }
    }

    /// Returns what is to happen to somebody who joins or resumes now. It happens once.
    pub fn take(&mut self, now: Instant, room: &RoomId, identity: &str, resumes: bool) -> Option<Trial> {
        if self.wanted.is_empty() {
            return None;
        }
        let key = (room.clone(), identity.to_owned());
        let (trial, at) = *self.wanted.get(&key)?;
        let is_over = now.saturating_duration_since(at) >= REMEMBERED;
        if !is_over && trial.is_of_resumes() != resumes {
            return None;
        }
        self.wanted.remove(&key);
        (!is_over).then_some(trial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_happens_once_to_the_connection_that_it_is_for_and_not_after_a_minute() {
        let (now, mut trials) = (Instant::now(), Trials::default());
        let room: RoomId = "standup".parse().expect("a room");
        trials.note(now, room.clone(), "anna".into(), Trial::ForceTcp);
        assert_eq!(trials.take(now, &room, "ben", false), None);
        assert_eq!(trials.take(now, &room, "anna", true), None, "it is for whoever joins");
        assert_eq!(trials.take(now, &room, "anna", false), Some(Trial::ForceTcp));
        assert_eq!(trials.take(now, &room, "anna", false), None);
        trials.note(now, room.clone(), "anna".into(), Trial::BreakWhenResumed);
        assert_eq!(trials.take(now + REMEMBERED, &room, "anna", true), None);
    }
}

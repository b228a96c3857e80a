//! What is kept of clients while their WebSockets are broken. The connection on which clients of version 0 receive goes on in
//! the core, and only its front end knows which section of it shows what, and what the client has been offered. And a track
//! that was announced and not offered yet is known by its name here alone. Whoever comes back in time goes on with that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::subscriber::Subscriber;
use super::tracks::OwnTracks;
use crate::core::ids::{ParticipantId, RoomId, TrackId};

/// Of how many it is kept. More join anew when they come back.
const PARTED_MAX: usize = 1024;

/// Who has lost their connection: the room and the participant.
type Who = (RoomId, ParticipantId);

/// What a client leaves behind whose connection has ended and which may come back.
#[derive(Debug)]
pub struct Left {
    pub(super) who: Who,
    /// For how long it may come back.
    pub(super) within: Duration,
    pub(super) kept: Box<Kept>,
}

/// What is kept of one client.
#[derive(Debug, Default)]
pub struct Kept {
    /// The connection on which it receives, if it has one for that alone.
    pub(super) subscriber: Option<Box<Subscriber>>,
    /// What it publishes, or is about to.
    pub(super) tracks: OwnTracks,
    /// What it wants and may not have.
    pub(super) shut_out: BTreeSet<TrackId>,
    /// What it does not want.
    pub(super) unwanted: BTreeSet<TrackId>,
}

impl Kept {
    /// Returns whether there is something in it that the core does not know.
    pub(super) fn is_worth_it(&self) -> bool {
        self.subscriber.is_some() || self.tracks.has_announced()
    }
}

/// What all of them have left behind.
#[derive(Debug, Default)]
pub struct Parted {
    kept: BTreeMap<Who, (Instant, Box<Kept>)>,
}

impl Parted {
    /// Keeps what a client has left behind.
    pub fn keep(&mut self, now: Instant, left: Left) {
        self.kept.retain(|_, (until, _)| *until > now);
        if self.kept.len() < PARTED_MAX {
            self.kept.insert(left.who, (now + left.within, left.kept));
        }
    }

    /// Returns what somebody has left behind who has come back; `None` if nothing is kept of them.
    pub(super) fn take(&mut self, who: &Who) -> Option<Box<Kept>> {
        self.kept.remove(who).map(|(_, kept)| kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(participant: u64) -> Left {
        Left {
            who: ("standup".parse().expect("a room"), ParticipantId(participant)),
            within: Duration::from_secs(30),
            kept: Box::default(),
        }
    }

    #[test]
    fn it_is_given_back_once_and_forgotten_when_nobody_can_come_back_for_it() {
        let (now, mut parted) = (Instant::now(), Parted::default());
        parted.keep(now, left(1));
        assert!(parted.take(&left(2).who).is_none());
        assert!(parted.take(&left(1).who).is_some());
        assert!(parted.take(&left(1).who).is_none());
        parted.keep(now, left(1));
        parted.keep(now + Duration::from_secs(31), left(2));
        assert!(parted.take(&left(1).who).is_none());
        for participant in 0..2 * PARTED_MAX as u64 {
            parted.keep(now, left(participant));
        }
        assert_eq!(parted.kept.len(), PARTED_MAX);
    }
}

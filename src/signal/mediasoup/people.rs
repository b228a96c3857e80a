//! The others in the room, as a session knows them: who each participant is to apps, and whose tracks there are.

use std::collections::BTreeMap;

use super::news::News;
use crate::core::event::{ParticipantInfo, TrackInfo};
use crate::core::ids::{ParticipantId, TrackId};

/// Somebody, as apps know them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their id.
    pub user: String,
    /// The name that people read.
    pub name: String,
}

/// The others, in the order of their ids. Each is known to apps as a user: by their identity or, if nobody has said one, by
/// the id of the participant.
#[derive(Debug, Default)]
pub struct People {
    users: BTreeMap<ParticipantId, Person>,
    tracks: BTreeMap<TrackId, TrackInfo>,
}

impl People {
    /// Takes these for all who are there.
    pub fn replace(&mut self, people: &[ParticipantInfo]) {
        *self = Self::default();
        for person in people {
            self.enter(person);
        }
    }

    /// Notes somebody who has come in. Returns who it is.
    pub fn enter(&mut self, info: &ParticipantInfo) -> Person {
        self.tracks.extend(info.tracks.iter().map(|info| (info.track, info.clone())));
        let user = info.profile.known_as(info.participant);
        let person = Person { user, name: info.profile.name.clone() };
        self.users.insert(info.participant, person.clone());
        person
    }

    /// Notes that somebody has gone. Returns who that was.
    pub fn leave(&mut self, participant: ParticipantId) -> Option<String> {
        self.tracks.retain(|_, info| info.participant != participant);
        self.users.remove(&participant).map(|person| person.user)
    }

    /// Notes a track of somebody's. Returns whose it is.
    pub fn add(&mut self, info: &TrackInfo) -> Option<&str> {
        let person = self.users.get(&info.participant)?;
        self.tracks.insert(info.track, info.clone());
        Some(&person.user)
    }

    /// Notes that a track has ended. Returns whose it was.
    pub fn remove(&mut self, track: TrackId) -> Option<&str> {
        let info = self.tracks.remove(&track)?;
        self.user(info.participant)
    }

    /// Notes that a track was muted or unmuted. Returns whose it is.
    pub fn mute(&mut self, track: TrackId, muted: bool) -> Option<&str> {
        let info = self.tracks.get_mut(&track)?;
        info.muted = muted;
        let participant = info.participant;
        self.user(participant)
    }

    /// Returns a track that somebody else publishes.
    pub fn track(&self, track: TrackId) -> Option<&TrackInfo> {
        self.tracks.get(&track)
    }

    /// Returns all tracks of theirs.
    pub fn tracks(&self) -> Vec<TrackId> {
        self.tracks.keys().copied().collect()
    }

    /// Returns all of them, as they are known to apps.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.users.values().map(|person| person.user.as_str())
    }

    /// Returns how many others there are.
    pub fn count(&self) -> usize {
        self.users.len()
    }

    /// Returns who a participant is to apps.
    pub fn user(&self, participant: ParticipantId) -> Option<&str> {
        self.users.get(&participant).map(|person| person.user.as_str())
    }

    /// Returns everybody, and every track that `is_known` does not know, as they are told to whoever begins to listen.
    pub fn everything_but(&self, is_known: impl Fn(TrackId) -> bool) -> Vec<News> {
        let users = self.users.values().cloned();
        let users = users.map(|Person { user, name }| News::UserJoined { user, name });
        let unknown = self.tracks.values().filter(|info| !is_known(info.track));
        let producers = unknown.filter_map(|info| {
            let user = self.user(info.participant)?.to_owned();
            Some(News::NewProducer { user, info: info.clone() })
        });
        users.chain(producers).collect()
    }
}

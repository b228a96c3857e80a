//! Audiences: whom somebody lets receive their tracks. Everybody may, until they say something else.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ids::{ParticipantId, TrackId};
use super::moderation::Target;

/// Which of somebody's tracks may be received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AllowedTracks {
    /// All of them, also those that are published later.
    All,
    /// These alone.
    These(BTreeSet<TrackId>),
}

/// Who may receive somebody's tracks: whoever is named here, and nobody else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    by_id: BTreeMap<ParticipantId, AllowedTracks>,
    by_identity: BTreeMap<String, AllowedTracks>,
}

impl Audience {
    /// Lets somebody receive these tracks, whether or not they are there yet. What was said of them before does not count any
    /// more.
    pub fn allow(&mut self, target: Target, tracks: AllowedTracks) {
        match target {
            Target::Id(id) => self.by_id.insert(id, tracks),
            Target::Identity(identity) => self.by_identity.insert(identity, tracks),
        };
    }

    /// Returns whether somebody with that id, and that identity if they have one, may receive a track.
    pub fn has(&self, id: ParticipantId, identity: Option<&str>, track: TrackId) -> bool {
        let by_identity = identity.and_then(|identity| self.by_identity.get(identity));
        self.by_id.get(&id).into_iter().chain(by_identity).any(|allowed| match allowed {
            AllowedTracks::All => true,
            AllowedTracks::These(tracks) => tracks.contains(&track),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_not_named_is_not_let() {
        let mut audience = Audience::default();
        let some = AllowedTracks::These(BTreeSet::from([TrackId(1)]));
        audience.allow(Target::Identity("ben".into()), AllowedTracks::All);
        audience.allow(Target::Id(ParticipantId(7)), some);
        assert!(audience.has(ParticipantId(1), Some("ben"), TrackId(9)));
        assert!(audience.has(ParticipantId(7), None, TrackId(1)));
        assert!(!audience.has(ParticipantId(7), Some("cleo"), TrackId(2)));
        audience.allow(Target::Identity("ben".into()), AllowedTracks::These(BTreeSet::new()));
        assert!(!audience.has(ParticipantId(1), Some("ben"), TrackId(9)), "the newest word counts");
    }
}

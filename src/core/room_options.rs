//! Options of one room: what is set for it beside the server's settings, when it is made ahead of time or later.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::codec_set::CodecSet;
use super::topology::MeshPolicy;
use crate::limits::METADATA_BYTES_MAX;

/// How long a room that is made ahead of time waits for people at least, unless its own options say it.
const MADE_AHEAD_WAITS: Duration = Duration::from_secs(300);

/// Whether a room's inputs are recorded in a trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordingPolicy {
    /// As the operator has decided for rooms of its name.
    #[default]
    ByName,
    /// Not at all, whatever its name.
    Never,
    /// In any case, whatever its name, where the operator has a place for traces at all.
    Always,
}

impl RecordingPolicy {
    const NAMES: [(Self, &str); 3] =
        [(Self::ByName, "default"), (Self::Never, "never"), (Self::Always, "always")];

    /// Returns its name in messages and in the configuration.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.into_iter().find(|(policy, _)| *policy == self).map_or("default", |(_, name)| name)
    }

    /// Returns the policy of that name; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(_, known)| *known == name).map(|(policy, _)| policy)
    }
}

/// What is set for one room. Where it says nothing the server's settings count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomOptions {
    /// Most participants, but no more than the server allows.
    pub participants_max: Option<usize>,
    /// How long it stays when nobody is in it.
    pub empty_timeout: Option<Duration>,
    /// What an application has to say about it: at most 4 KiB. Everybody in it is told.
    pub metadata: String,
    /// Whether nobody may come in but moderators.
    pub locked: bool,
    /// Whether people wait until a moderator lets them in.
    pub waiting_room: bool,
    /// Whether only those may come in whose tokens are for this very room.
    pub private: bool,
    /// Whether it is recorded.
    pub recording: RecordingPolicy,
    /// The codecs that it takes. What is offered in others is not negotiated.
    pub codecs: CodecSet,
    /// Whether its media may go straight from one to the other, if it is not as for all rooms.
    pub mesh: Option<MeshPolicy>,
}

/// What is to be changed of a room's options. What is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomChange {
    /// Most participants.
    pub participants_max: Option<usize>,
    /// How long it stays when nobody is in it.
    pub empty_timeout: Option<Duration>,
    /// What an application has to say about it.
    pub metadata: Option<String>,
    /// Whether nobody may come in but moderators.
    pub locked: Option<bool>,
    /// Whether people wait until a moderator lets them in.
    pub waiting_room: Option<bool>,
    /// Whether only those may come in whose tokens are for this very room.
    pub private: Option<bool>,
    /// Whether it is recorded. It only counts when the room is made, because a trace begins with its room.
    pub recording: Option<RecordingPolicy>,
    /// The codecs that it takes. They cannot change while somebody is in the room, because everybody has agreed on them.
    pub codecs: Option<CodecSet>,
    /// Whether its media may go straight from one to the other.
    pub mesh: Option<MeshPolicy>,
}

impl RoomChange {
    /// Returns this change with another made after it.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        Self {
            participants_max: later.participants_max.or(self.participants_max),
            empty_timeout: later.empty_timeout.or(self.empty_timeout),
            metadata: later.metadata.or(self.metadata),
            locked: later.locked.or(self.locked),
            waiting_room: later.waiting_room.or(self.waiting_room),
            private: later.private.or(self.private),
            recording: later.recording.or(self.recording),
            codecs: later.codecs.or(self.codecs),
            mesh: later.mesh.or(self.mesh),
        }
    }

    /// Returns the change for a room that is made ahead of time on a server whose rooms wait that long for people to come
    /// back: it waits for a while for those who have never been there, too.
    #[must_use]
    pub fn made_ahead(self, empty_timeout: Duration) -> Self {
        let waits = self.empty_timeout.unwrap_or_else(|| empty_timeout.max(MADE_AHEAD_WAITS));
        Self { empty_timeout: Some(waits), ..self }
    }
}

/// What everybody in a room is told of its options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomState {
    /// What an application has to say about it.
    pub metadata: String,
    /// Whether nobody may come in but moderators.
    pub locked: bool,
    /// Whether people wait until a moderator lets them in.
    pub waiting_room: bool,
}

impl RoomOptions {
    /// Returns the options with a change made to them.
    ///
    /// # Errors
    /// The metadata is too long. The text says so.
    pub fn changed(&self, change: &RoomChange) -> Result<Self, String> {
        let metadata = change.metadata.as_ref().unwrap_or(&self.metadata);
        if metadata.len() > METADATA_BYTES_MAX {
            return Err(format!("the room's metadata has more than {METADATA_BYTES_MAX} bytes"));
        }
        Ok(Self {
            participants_max: change.participants_max.or(self.participants_max),
            empty_timeout: change.empty_timeout.or(self.empty_timeout),
            metadata: metadata.clone(),
            locked: change.locked.unwrap_or(self.locked),
            waiting_room: change.waiting_room.unwrap_or(self.waiting_room),
            private: change.private.unwrap_or(self.private),
            recording: change.recording.unwrap_or(self.recording),
            codecs: change.codecs.unwrap_or(self.codecs),
            mesh: change.mesh.or(self.mesh),
        })
    }

    /// Returns what everybody in the room is told of them.
    pub fn state(&self) -> RoomState {
        RoomState { metadata: self.metadata.clone(), locked: self.locked, waiting_room: self.waiting_room }
    }
}

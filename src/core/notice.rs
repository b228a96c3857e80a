//! Notices: what whoever runs the server wants to know of what people do to each other, and to keep.

use serde::{Deserialize, Serialize};

use super::ids::ParticipantId;
use super::profile::Profile;

/// Somebody, as they are remembered when they are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Their id in the room.
    pub participant: ParticipantId,
    /// Who they are by their token; `None` if they came in without one.
    pub identity: Option<String>,
    /// The name that they had.
    pub name: String,
}

impl Person {
    /// Remembers a participant by what is known of them.
    pub fn of(participant: ParticipantId, profile: &Profile) -> Self {
        Self { participant, identity: profile.identity.clone(), name: profile.name.clone() }
    }
}

/// Something that somebody has done in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The person who has done it.
    pub by: Person,
    /// To whom; `None` if to the room.
    pub about: Option<Person>,
    /// What they have done.
    pub deed: Deed,
}

/// What somebody has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deed {
    /// They report somebody to whoever runs the server.
    Report {
        /// Why, in a word of the application's.
        reason: String,
        /// More about it, in their own words.
        text: String,
    },
    /// They have moderated: the name of the [operation](super::moderation::Moderation::as_str).
    Moderation(String),
}

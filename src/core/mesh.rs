//! Mesh: what members whose media goes straight from one to the other say to each other and to the room. The room passes it
//! on and reads nothing of it but its size: the media itself never comes here.

use serde::{Deserialize, Serialize};

use super::ids::ParticipantId;
use super::source::Source;
use crate::limits::{MESH_CANDIDATE_BYTES_MAX, MESH_DESCRIPTION_BYTES_MAX, MESH_TRACK_ID_CHARS_MAX};

/// A track that its owner sends straight to the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshTrack {
    /// Its owner's name of it, which none of their other tracks has: 1–64 characters.
    pub id: Box<str>,
    /// What it shows.
    pub source: Source,
    /// Whether it is muted.
    pub muted: bool,
}

impl MeshTrack {
    /// Returns whether this could be a track's id.
    pub fn is_id(text: &str) -> bool {
        (1..=MESH_TRACK_ID_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
    }
}

/// What one member says to another, so that the two find a direct path. It is passed on as it came, as JSON text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MeshSignal {
    /// A session description: `{type, sdp}`.
    Description(Box<str>),
    /// An ICE candidate, or `null` behind the last one.
    Candidate(Box<str>),
}

impl MeshSignal {
    /// Returns how long it is as text, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Description(text) | Self::Candidate(text) => text.len(),
        }
    }

    /// Returns how long it may be, in bytes.
    pub fn bytes_max(&self) -> usize {
        match self {
            Self::Description(_) => MESH_DESCRIPTION_BYTES_MAX,
            Self::Candidate(_) => MESH_CANDIDATE_BYTES_MAX,
        }
    }
}

/// What a member asks for, or tells, whose client can send straight to the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MeshCommand {
    /// This is all that they send straight to the others from now on.
    Tracks(Vec<MeshTrack>),
    /// Pass this on to one other member.
    Signal {
        /// Who it is for.
        to: ParticipantId,
        /// What is said.
        signal: MeshSignal,
    },
    /// They have moved, as they were asked to by the migration of this number.
    Migrated(u32),
    /// They cannot move, and the migration of this number is to be undone for all.
    MigrationFailed {
        /// The migration's number.
        migration: u32,
        /// Why, for whoever reads the log: at most 200 characters.
        reason: String,
    },
    /// No direct path to that member was found in time.
    Failed {
        /// The member.
        with: ParticipantId,
        /// Why, for whoever reads the log: at most 200 characters.
        reason: String,
    },
    /// So much of what their processor or their uplink can do is in use, in percent.
    Load(u8),
}

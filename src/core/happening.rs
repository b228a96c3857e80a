//! Happening: what people beside the members of a room want to know of it: a back end that is told by webhooks, whoever
//! counts minutes.
//!
//! A room writes it down as it happens, and [`Sfu::poll_happening`](super::Sfu::poll_happening) hands it out to whoever
//! has asked for it. It changes nothing in the room, and no recording has it.

use std::time::Duration;

use super::event::{LeaveReason, TrackInfo};
use super::grants::Grants;
use super::ids::{ParticipantId, RoomId};
use super::profile::Profile;

/// Somebody who is, or was, in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The participant's id, the same for everybody.
    pub participant: ParticipantId,
    /// Who they are.
    pub profile: Profile,
    /// What they may do.
    pub grants: Grants,
    /// How long ago they joined.
    pub age: Duration,
    /// Whether media could ever flow to or from them.
    pub has_had_media: bool,
}

/// What has gone through a room, in bytes of RTP packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From clients to the server.
    pub bytes_in: u64,
    /// From the server to clients.
    pub bytes_out: u64,
}

/// Something that has happened in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The room was made.
    RoomStarted,
    /// The room is over, after so much has gone through it.
    RoomFinished(Traffic),
    /// Somebody has joined.
    Joined(Member),
    /// Somebody is no longer in the room, for this reason.
    Left(Member, LeaveReason),
    /// Somebody publishes a track from now on.
    Published(Member, TrackInfo),
    /// A track is no longer published.
    Unpublished(Member, TrackInfo),
}

/// Something that has happened, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// The room's name.
    pub room: RoomId,
    /// Tells rooms of one name apart: no other room of this server has it for a very long time.
    pub tag: String,
    /// How many participants are in the room after that.
    pub participants: usize,
    /// What has happened.
    pub what: Happening,
}

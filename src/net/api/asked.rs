//! What a back end can ask, and what its token has to grant for that.

use crate::access::{Need, Pass};
use crate::core::ids::RoomId;
use crate::core::moderation::{Moderation, Target};
use crate::core::room_options::RoomChange;
use crate::net::http::message::Response;

/// A token that is to be issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// What it allows; its times are still to be set.
    pub pass: Pass,
    /// How long it is valid, in seconds.
    pub seconds: u64,
}

/// A request of a back end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiRequest {
    /// To list all rooms.
    Rooms,
    /// To see a room in short.
    Room(RoomId),
    /// To make a room of that name, or of one that cannot be guessed, or to change it if it is there.
    MakeRoom(Option<RoomId>, Box<RoomChange>),
    /// To end a room for everybody in it.
    EndRoom(RoomId),
    /// To have moderators' operations carried out in a room, one after the other, up to one that is refused.
    Operate(RoomId, Vec<Moderation>),
    /// To list who waits to be let in.
    Waiting(RoomId),
    /// To list who stays out.
    Bans(RoomId),
    /// To see all that is measured in a room.
    RoomStats(RoomId),
    /// To list those who are in a room.
    Participants(RoomId),
    /// To see somebody in a room.
    Participant(RoomId, Target),
    /// To see all that is measured of somebody.
    ParticipantStats(RoomId, Target),
    /// To issue a token.
    IssueToken(Box<Issue>),
    /// To see what rooms have used.
    Usage,
}

impl ApiRequest {
    /// Returns what its sender's token has to grant.
    pub fn need(&self) -> Need {
        match self {
            Self::Rooms | Self::Usage => Need::List,
            Self::MakeRoom(room, _) => Need::Create(room.clone()),
            Self::EndRoom(room) => Need::End(room.clone()),
            Self::IssueToken(issue) => match &issue.pass.room {
                Some(room) => Need::Admin(room.clone()),
                // A token that opens all rooms is for whoever may make them.
                None => Need::Create(None),
            },
            Self::Room(room)
            | Self::RoomStats(room)
            | Self::Participants(room)
            | Self::Participant(room, _)
            | Self::ParticipantStats(room, _)
            | Self::Operate(room, _)
            | Self::Waiting(room)
            | Self::Bans(room) => Need::Admin(room.clone()),
        }
    }
}

/// Refuses a request about a room that there is not.
pub fn no_such_room() -> Response {
    Response::problem(404, "no such room", "GET /api/v1/rooms lists them")
}

/// Refuses a request about somebody who is not there.
pub fn no_such_participant() -> Response {
    Response::problem(
        404,
        "no such participant in this room",
        "GET /api/v1/rooms/{room}/participants lists them",
    )
}

//! Moderation: what moderators, and the back ends of whoever runs the server, do to a room and to the people in it. Both do
//! it by the same operations.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::data::DataPayload;
use super::grants::{Grants, Sources};
use super::ids::{ParticipantId, TrackId};
use super::profile::ProfileChange;
use super::room_options::RoomChange;
use super::source::Source;
use super::topology::Mode;

/// Whom an operation is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// The participant with this id.
    Id(ParticipantId),
    /// Everybody in the room with this identity: somebody can be there with an encoder as well.
    Identity(String),
}

impl From<ParticipantId> for Target {
    fn from(id: ParticipantId) -> Self {
        Self::Id(id)
    }
}

/// Who is to stay out of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Whoever it is. An identity need not be in the room.
    pub target: Target,
    /// Whether their addresses stay out as well: everybody behind the same NAT with them. Somebody without an identity is
    /// known by nothing else.
    pub with_address: bool,
    /// For how long, even if the room ends and is made again; `None` for as long as the room is there.
    pub lasts: Option<Duration>,
}

/// What is to be changed of somebody's permissions. What is `None` stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionsChange {
    /// What they may publish. Other tracks of theirs end.
    pub publish: Option<Sources>,
    /// Whether they may receive the tracks of others.
    pub subscribe: Option<bool>,
    /// Whether they may send messages to others.
    pub send_data: Option<bool>,
    /// Whether they may change their own name, metadata and attributes.
    pub update_own_profile: Option<bool>,
    /// Whether they may moderate.
    pub moderate: Option<bool>,
}

impl PermissionsChange {
    /// Returns grants with the change made to them.
    pub fn applied_to(&self, grants: Grants) -> Grants {
        let changed = Grants {
            publish: self.publish.unwrap_or(grants.publish),
            subscribe: self.subscribe.unwrap_or(grants.subscribe),
            send_data: self.send_data.unwrap_or(grants.send_data),
            update_own_profile: self.update_own_profile.unwrap_or(grants.update_own_profile),
            moderate: self.moderate.unwrap_or(grants.moderate),
            ..grants
        };
        changed.consistent()
    }
}

/// Something that is done to a room or to people in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moderation {
    /// Mute a track. Its owner may unmute it.
    Mute(TrackId),
    /// End a track. Its owner may not publish that source again until their permissions say so.
    Stop(TrackId),
    /// Remove somebody from the room. They may join again.
    Remove(Target),
    /// Remove somebody from the room, and let them in no more.
    Ban(Ban),
    /// Let an identity or an address in again that was banned; with `None`, everybody.
    LiftBans(Option<String>),
    /// Change what somebody may do.
    SetPermissions(Target, PermissionsChange),
    /// Change somebody's name, metadata or attributes.
    UpdateProfile(Target, ProfileChange),
    /// Let in somebody who waits.
    Admit(ParticipantId),
    /// Turn away somebody who waits.
    TurnAway(ParticipantId),
    /// Change the room: lock it, have people wait before they come in, and so on.
    Configure(RoomChange),
    /// End the call for everybody.
    End,
    /// Subscribe somebody to tracks, or take these from them. Back ends alone ask for it.
    Subscribe {
        /// Who is to receive them.
        target: Target,
        /// The tracks, all of them others'.
        tracks: Vec<TrackId>,
        /// Whether they are to be received from now on, or no more.
        is_wanted: bool,
    },
    /// Tell people something, in nobody's name. Back ends alone ask for it.
    Say {
        /// Whom; empty for everybody.
        to: Vec<Target>,
        /// A word by which the recipients know what it is about.
        topic: String,
        /// What is said.
        payload: DataPayload,
        /// Whether it may rather be lost than come late.
        is_lossy: bool,
    },
    /// Mute what somebody sends of a source, by whichever way it goes. They may unmute it.
    MuteSource(Target, Source),
    /// Forget a move between the mesh and the server that does not end, and decide anew where media goes; with a mode, it
    /// goes that way whatever the size of the call. Operators and back ends alone ask for it.
    ResetTopology(Option<Mode>),
}

impl Moderation {
    /// Returns its name in logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Mute(_) => "mute",
            Self::Stop(_) => "stop",
            Self::Remove(_) => "remove",
            Self::Ban(_) => "ban",
            Self::LiftBans(_) => "lift-bans",
            Self::SetPermissions(..) => "set-permissions",
            Self::UpdateProfile(..) => "update-profile",
            Self::Admit(_) => "admit",
            Self::TurnAway(_) => "turn-away",
            Self::Configure(_) => "configure",
            Self::End => "end-call",
            Self::Subscribe { is_wanted: true, .. } => "subscribe",
            Self::Subscribe { .. } => "unsubscribe",
            Self::Say { .. } => "say",
            Self::MuteSource(..) => "mute-source",
            Self::ResetTopology(_) => "reset-topology",
        }
    }
}

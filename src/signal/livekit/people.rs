//! The other members of the room, as a LiveKit client is told of them. It is always told the whole of somebody who has
//! changed, so that all that is known of everybody is kept here.

use std::collections::BTreeMap;

use prost::Message as _;

use super::messages::{DataTrackInfo, ParticipantInfo, ParticipantPermission, TrackInfo, numbers};
use crate::core::command::{MediaKind, Source};
use crate::core::event::{self, LeaveReason};
use crate::core::grants::{Grants, Role};
use crate::core::ids::{ParticipantId, TrackId};
use crate::core::moderation::Target;
use crate::core::msid::{msid_of_track, participant_sid, track_sid};
use crate::core::profile::Profile;
use crate::limits::IDENTITY_CHARS_MAX;

/// The version of everything that is told of somebody. Messages on one connection cannot overtake each other, and the number
/// must not fall when a client comes back by another, so it stays the same.
const VERSION: u32 = 1;

/// Somebody else in the room.
#[derive(Debug)]
struct Person {
    info: event::ParticipantInfo,
    /// By what the client knows them.
    identity: String,
    /// The data tracks that they publish.
    data_tracks: Vec<DataTrackInfo>,
}

/// Everybody else in the room.
#[derive(Debug, Default)]
pub struct People {
    /// The identity of the client itself.
    own: String,
    by_id: BTreeMap<ParticipantId, Person>,
}

impl People {
    /// Begins with those who are there beside somebody of that identity. Returns what is told of them.
    pub fn replace(&mut self, own: &str, others: &[event::ParticipantInfo]) -> Vec<ParticipantInfo> {
        own.clone_into(&mut self.own);
        self.by_id.clear();
        others.iter().map(|info| self.join(info)).collect()
    }

    /// Notes somebody who has joined. Returns what is told of them.
    pub fn join(&mut self, info: &event::ParticipantInfo) -> ParticipantInfo {
        let id = info.participant;
        let identity = self.identity_of(id, &info.profile);
        let person = Person { info: info.clone(), identity, data_tracks: Vec::new() };
        let told = person.told();
        self.by_id.insert(id, person);
        told
    }

    /// Returns by what the client is to know somebody. It tells people apart by this, so that two never have the same: whoever
    /// has none, or one that is taken (an encoder beside its owner), is known by their id.
    fn identity_of(&self, id: ParticipantId, profile: &Profile) -> String {
        let is_free = |identity: &&String| {
            let mut others = self.by_id.iter().filter(|(other, _)| **other != id);
            **identity != self.own && !others.any(|(_, person)| person.identity == **identity)
        };
        profile.identity.as_ref().filter(is_free).cloned().unwrap_or_else(|| id.to_string())
    }

    /// Notes that somebody has left. Returns what is told of them.
    pub fn leave(&mut self, id: ParticipantId, reason: LeaveReason) -> Option<ParticipantInfo> {
        let person = self.by_id.remove(&id)?;
        Some(ParticipantInfo {
            state: numbers::DISCONNECTED,
            tracks: Vec::new(),
            data_tracks: Vec::new(),
            disconnect_reason: disconnect_reason(reason),
            ..person.told()
        })
    }

    /// Changes what is known of somebody. Returns what is told of them.
    pub fn change(
        &mut self,
        id: ParticipantId,
        change: impl FnOnce(&mut event::ParticipantInfo),
    ) -> Option<ParticipantInfo> {
        let person = self.by_id.get_mut(&id)?;
        change(&mut person.info);
        Some(person.told())
    }

    /// Notes what data tracks somebody publishes. Returns what is told of them.
    pub fn set_data_tracks(
        &mut self,
        id: ParticipantId,
        data_tracks: Vec<DataTrackInfo>,
    ) -> Option<ParticipantInfo> {
        let person = self.by_id.get_mut(&id)?;
        person.data_tracks = data_tracks;
        Some(person.told())
    }

    /// Returns who publishes the data track of that id: their id, and by what the client knows them.
    pub fn owner_of_data(&self, sid: &str) -> Option<(ParticipantId, &str)> {
        let mut people = self.by_id.iter();
        let (id, person) = people.find(|(_, person)| person.data_tracks.iter().any(|one| one.sid == sid))?;
        Some((*id, person.identity.as_str()))
    }

    /// Returns by what the client knows somebody.
    pub fn identity(&self, id: ParticipantId) -> Option<&str> {
        self.by_id.get(&id).map(|person| person.identity.as_str())
    }

    /// Returns who is known to the client by that.
    pub fn id_of(&self, identity: &str) -> Option<ParticipantId> {
        let mut people = self.by_id.iter();
        people.find(|(_, person)| person.identity == identity).map(|(id, _)| *id)
    }

    /// Returns whom the client means by an identity or, if that is empty, by an id: somebody who is there, or will be.
    pub fn target(&self, identity: &str, id: Option<ParticipantId>) -> Option<Target> {
        let id = if identity.is_empty() { id } else { self.id_of(identity) };
        match id.and_then(|id| self.by_id.get(&id)) {
            // Also when they come back as somebody new.
            Some(person) if person.info.profile.identity.as_deref() == Some(person.identity.as_str()) => {
                Some(Target::Identity(person.identity.clone()))
            }
            Some(person) => Some(Target::Id(person.info.participant)),
            None => {
                let is_one = (1..=IDENTITY_CHARS_MAX).contains(&identity.chars().count());
                is_one.then(|| Target::Identity(identity.to_owned()))
            }
        }
    }

    /// Returns what is told of all of them.
    pub fn all(&self) -> impl Iterator<Item = ParticipantInfo> {
        self.by_id.values().map(Person::told)
    }

    /// Returns who is there.
    pub fn ids(&self) -> impl Iterator<Item = ParticipantId> {
        self.by_id.keys().copied()
    }

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Returns the names of the stream and of the track by which the client knows what it is sent.
    pub fn msid(&self, track: TrackId) -> Option<(String, String)> {
        self.by_id.values().find_map(|person| {
            let info = person.info.tracks.iter().find(|info| info.track == track)?;
            Some(msid_of_track(info.participant, track, info.source, info.label.as_deref()))
        })
    }

    /// Returns all tracks of all of them.
    pub fn tracks(&self) -> impl Iterator<Item = TrackId> {
        self.by_id.values().flat_map(|person| person.info.tracks.iter().map(|info| info.track))
    }

    /// Returns what is told of a track and its owner's id.
    pub fn track(&self, track: TrackId) -> Option<(ParticipantId, TrackInfo)> {
        self.by_id.values().find_map(|person| {
            let info = person.info.tracks.iter().find(|info| info.track == track)?;
            Some((info.participant, track_info(info)))
        })
    }
}

impl Person {
    fn told(&self) -> ParticipantInfo {
        let event::ParticipantInfo { participant, profile, role, tracks, .. } = &self.info;
        ParticipantInfo {
            permission: Some(permission_of_role(*role)),
            data_tracks: self.data_tracks.clone(),
            ..participant_info(*participant, &self.identity, profile, tracks.iter().map(track_info).collect())
        }
    }
}

/// Returns what is told of a participant of that identity. They count as being in the call.
pub fn participant_info(
    participant: ParticipantId,
    identity: &str,
    profile: &Profile,
    tracks: Vec<TrackInfo>,
) -> ParticipantInfo {
    ParticipantInfo {
        sid: participant_sid(participant),
        identity: identity.to_owned(),
        state: numbers::ACTIVE,
        is_publisher: !tracks.is_empty(),
        tracks,
        metadata: profile.metadata.clone(),
        name: profile.name.clone(),
        version: VERSION,
        attributes: profile.attributes.clone(),
        ..ParticipantInfo::default()
    }
}

/// Returns what somebody may do.
pub fn permission(grants: &Grants) -> ParticipantPermission {
    let is_all = Source::ALL.iter().all(|source| grants.publish.has(*source));
    let sources = grants.publish.iter().map(number_of).collect();
    ParticipantPermission {
        can_subscribe: grants.subscribe,
        can_publish: !grants.publish.is_empty(),
        can_publish_data: grants.send_data,
        hidden: grants.hidden,
        // An empty list means all sources.
        can_publish_sources: if is_all { Vec::new() } else { sources },
        can_update_metadata: grants.update_own_profile,
    }
}

/// Returns about what somebody else may do, of whom only their role is known.
fn permission_of_role(role: Role) -> ParticipantPermission {
    let may_publish = role != Role::Listener;
    ParticipantPermission {
        can_subscribe: true,
        can_publish: may_publish,
        can_publish_data: may_publish,
        ..ParticipantPermission::default()
    }
}

/// Returns what is told of a track: what its owner's client has said of it if that speaks the same protocol.
pub fn track_info(info: &event::TrackInfo) -> TrackInfo {
    let said = info.label.as_ref().and_then(|label| TrackInfo::decode(label.details()).ok());
    let said = said.unwrap_or_else(|| {
        let (kind, mime) = match info.kind() {
            MediaKind::Audio => (numbers::AUDIO, "audio/opus"),
            MediaKind::Video => (numbers::VIDEO, "video/vp8"),
        };
        TrackInfo {
            kind,
            source: number_of(info.source),
            name: info.source.as_str().to_owned(),
            mime_type: mime.to_owned(),
            ..TrackInfo::default()
        }
    });
    TrackInfo { sid: track_sid(info.track), muted: info.muted, ..said }
}

fn number_of(source: Source) -> i32 {
    match source {
        Source::Microphone => numbers::MICROPHONE,
        Source::Camera => numbers::CAMERA,
        Source::Screen => numbers::SCREEN,
        Source::ScreenAudio => numbers::SCREEN_AUDIO,
    }
}

/// Returns LiveKit's number of the reason for which somebody is gone (`DisconnectReason`).
pub fn disconnect_reason(reason: LeaveReason) -> i32 {
    match reason {
        LeaveReason::Left | LeaveReason::TransportClosed => 1,
        LeaveReason::DuplicateIdentity => 2,
        LeaveReason::Shutdown => 3,
        LeaveReason::Removed | LeaveReason::Banned => 4,
        LeaveReason::RoomClosed => 5,
        LeaveReason::ResumeTimeout | LeaveReason::MadeWay => 9,
        LeaveReason::MediaTimeout => 14,
        LeaveReason::FingerprintMismatch | LeaveReason::HandshakeFailed => 15,
        LeaveReason::Error => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::command::TrackLabel;

    fn person(id: u64, identity: Option<&str>) -> event::ParticipantInfo {
        event::ParticipantInfo {
            participant: ParticipantId(id),
            profile: Profile { identity: identity.map(str::to_owned), ..Profile::named("Somebody") },
            role: Role::Speaker,
            reconnecting: false,
            media_lost: false,
            tracks: Vec::new(),
            mesh_tracks: Vec::new(),
        }
    }

    #[test]
    fn no_two_people_have_the_same_identity() {
        let mut people = People::default();
        let told =
            people.replace("ben", &[person(1, Some("anna")), person(2, Some("anna")), person(3, None)]);
        let identities: Vec<&str> = told.iter().map(|info| info.identity.as_str()).collect();
        assert_eq!(identities[0], "anna");
        assert_eq!(identities[1..], [ParticipantId(2).to_string(), ParticipantId(3).to_string()]);
        let gone = people.leave(ParticipantId(2), LeaveReason::Left).expect("they were there");
        assert_eq!((gone.state, gone.identity), (numbers::DISCONNECTED, ParticipantId(2).to_string()));
        assert_eq!(people.count(), 2);
    }

    #[test]
    fn a_track_is_told_as_its_owner_has_said_it() {
        let said = TrackInfo { name: "stage".into(), width: 640, ..TrackInfo::default() };
        let label = TrackLabel::new("", said.encode_to_vec()).expect("it is small");
        let mut info = event::TrackInfo {
            track: TrackId(4),
            participant: ParticipantId(1),
            source: Source::Camera,
            muted: true,
            label: Some(Box::new(label)),
        };
        let told = track_info(&info);
        assert_eq!((told.name.as_str(), told.width, told.muted), ("stage", 640, true));
        assert_eq!(told.sid, track_sid(TrackId(4)));
        info.label = None;
        assert_eq!((track_info(&info).source, track_info(&info).kind), (numbers::CAMERA, numbers::VIDEO));
    }
}

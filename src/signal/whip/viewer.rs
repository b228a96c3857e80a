//! Chooses what a WHEP viewer sees, because viewers cannot ask for anything once they have connected. They see the
//! first publisher, in the order of joining, who is not silent: the camera rather than the screen, and the audio. When
//! that person leaves or falls silent, the next one is shown, so an encoder that crashed and publishes anew takes over.
//! This value takes the room's events and returns what to subscribe to.

use crate::core::command::{Command, MediaKind, Source};
use crate::core::event::{Event, ParticipantInfo, SlotCounts, TrackInfo};
use crate::core::ids::{ParticipantId, TrackId};

/// What the viewer has asked for in the URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Only this participant, if one is named.
    pub participant: Option<ParticipantId>,
    /// Only these tracks, if any are named.
    pub tracks: Vec<TrackId>,
}

impl Choice {
    /// Whether a room has what was asked for.
    pub fn exists<'a>(&self, room: impl IntoIterator<Item = (ParticipantId, &'a [TrackInfo])>) -> bool {
        let room: Vec<_> = room.into_iter().collect();
        let participant =
            self.participant.is_none_or(|wanted| room.iter().any(|(participant, _)| *participant == wanted));
        let of_wanted = || {
            room.iter()
                .filter(|(participant, _)| self.participant.is_none_or(|wanted| wanted == *participant))
                .flat_map(|(_, tracks)| tracks.iter())
        };
        participant && self.tracks.iter().all(|track| of_wanted().any(|info| info.track == *track))
    }

    fn is_any(&self) -> bool {
        self.participant.is_none() && self.tracks.is_empty()
    }
}

/// One viewer.
#[derive(Debug)]
pub struct WhepViewer {
    choice: Choice,
    /// How many tracks of each kind it can show.
    slots: SlotCounts,
    /// The others, in the order of joining.
    others: Vec<ParticipantInfo>,
    subscribed: Vec<TrackId>,
}

impl WhepViewer {
    /// Makes a viewer who has just joined a room with `others` in it, and has that many slots.
    pub fn new(choice: Choice, slots: SlotCounts, others: Vec<ParticipantInfo>) -> Self {
        Self { choice, slots, others, subscribed: Vec::new() }
    }

    /// Takes one of the room's events. Returns whether it may change what the viewer should see. Then call
    /// [`choose`](Self::choose), once the viewer can be shown something.
    pub fn note(&mut self, event: &Event) -> bool {
        match event {
            Event::ParticipantJoined(info) => self.others.push(info.clone()),
            Event::ParticipantLeft(id, _) => self.others.retain(|other| other.participant != *id),
            Event::ParticipantReconnecting(id) => self.set_reconnecting(*id, true),
            Event::ParticipantResumed(id) => self.set_reconnecting(*id, false),
            Event::TrackAdded(info) => {
                if let Some(owner) =
                    self.others.iter_mut().find(|other| other.participant == info.participant)
                {
                    owner.tracks.push(info.clone());
                }
            }
            Event::TrackRemoved(track, _) => {
                for other in &mut self.others {
                    other.tracks.retain(|info| info.track != *track);
                }
                // The core has already ended the subscription.
                self.subscribed.retain(|subscribed| subscribed != track);
            }
            _ => return false,
        }
        true
    }

    fn set_reconnecting(&mut self, id: ParticipantId, reconnecting: bool) {
        let other = self.others.iter_mut().find(|other| other.participant == id);
        other.into_iter().for_each(|other| other.reconnecting = reconnecting);
    }

    /// Returns the commands that change the subscriptions to what the viewer should see now.
    pub fn choose(&mut self) -> Vec<Command> {
        let wanted = self.wanted();
        let over = self.subscribed.iter().filter(|track| !wanted.contains(track));
        let mut commands: Vec<Command> = over.copied().map(Command::Unsubscribe).collect();
        let new = wanted.iter().filter(|track| !self.subscribed.contains(track));
        commands.extend(new.copied().map(Command::Subscribe));
        // The chosen participant or track is gone for good, because ids are never used twice.
        let others = self.others.iter().map(|other| (other.participant, other.tracks.as_slice()));
        if !self.choice.is_any() && !self.choice.exists(others) {
            commands.push(Command::Leave);
        }
        self.subscribed = wanted;
        commands
    }

    fn wanted(&self) -> Vec<TrackId> {
        let candidates: Vec<&TrackInfo> = if self.choice.tracks.is_empty() {
            let candidates = self.others.iter().filter(|other| match self.choice.participant {
                Some(wanted) => other.participant == wanted,
                None => !other.tracks.is_empty(),
            });
            // Takes the first candidate who is not reconnecting. If all are, takes the first, who may come back.
            let chosen = candidates.min_by_key(|other| other.reconnecting);
            chosen.map(|chosen| chosen.tracks.iter().collect()).unwrap_or_default()
        } else {
            let all = self.others.iter().flat_map(|other| &other.tracks);
            all.filter(|info| self.choice.tracks.contains(&info.track)).collect()
        };
        let mut wanted = Vec::new();
        for (kind, slots) in [(MediaKind::Audio, self.slots.audio), (MediaKind::Video, self.slots.video)] {
            let mut tracks: Vec<&TrackInfo> =
                candidates.iter().copied().filter(|info| info.kind() == kind).collect();
            tracks.sort_by_key(|info| matches!(info.source, Source::Screen | Source::ScreenAudio));
            wanted.extend(tracks.into_iter().take(slots).map(|info| info.track));
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::LeaveReason;
    use crate::core::grants::Role;
    use crate::core::profile::Profile;

    fn track(id: u64, participant: u64, source: Source) -> TrackInfo {
        TrackInfo {
            track: TrackId(id),
            participant: ParticipantId(participant),
            source,
            muted: false,
            label: None,
        }
    }

    fn person(id: u64, tracks: &[(u64, Source)]) -> ParticipantInfo {
        ParticipantInfo {
            participant: ParticipantId(id),
            profile: Profile::named("Anna"),
            role: Role::Speaker,
            reconnecting: false,
            media_lost: false,
            tracks: tracks.iter().map(|(track_id, source)| track(*track_id, id, *source)).collect(),
            mesh_tracks: Vec::new(),
        }
    }

    fn viewer(choice: Choice, others: Vec<ParticipantInfo>) -> WhepViewer {
        WhepViewer::new(choice, SlotCounts { audio: 1, video: 1 }, others)
    }

    impl WhepViewer {
        /// Takes an event, and returns the commands that follow.
        fn on_event(&mut self, event: &Event) -> Vec<Command> {
            if self.note(event) { self.choose() } else { Vec::new() }
        }
    }

    fn subscribe(ids: &[u64]) -> Vec<Command> {
        ids.iter().map(|id| Command::Subscribe(TrackId(*id))).collect()
    }

    #[test]
    fn a_viewer_gets_whom_joined_first_and_publishes_then_the_next() {
        let others = vec![
            person(1, &[]),
            person(2, &[(20, Source::Screen), (21, Source::Camera), (22, Source::Microphone)]),
            person(3, &[(30, Source::Screen)]),
        ];
        let mut viewer = viewer(Choice::default(), others);
        assert_eq!(viewer.choose(), subscribe(&[22, 21]), "camera before screen, and the audio");
        for id in [20, 21, 22] {
            viewer.on_event(&Event::TrackRemoved(TrackId(id), ParticipantId(2)));
        }
        viewer.on_event(&Event::ParticipantLeft(ParticipantId(2), LeaveReason::Left));
        assert_eq!(viewer.subscribed, [TrackId(30)]);
        let first = viewer.on_event(&Event::TrackAdded(track(10, 1, Source::Microphone)));
        assert_eq!(
            first,
            [Command::Unsubscribe(TrackId(30)), Command::Subscribe(TrackId(10))],
            "who joined first goes first as soon as they publish"
        );
    }

    #[test]
    fn while_an_encoder_is_silent_another_one_is_shown() {
        let camera = |id: u64| person(id, &[(10 * id, Source::Camera)]);
        let mut viewer = viewer(Choice::default(), vec![camera(1)]);
        assert_eq!(viewer.choose(), subscribe(&[10]));
        assert_eq!(
            viewer.on_event(&Event::ParticipantReconnecting(ParticipantId(1))),
            [],
            "there is no other"
        );
        viewer.on_event(&Event::ParticipantJoined(person(2, &[])));
        let takes_over = [Command::Unsubscribe(TrackId(10)), Command::Subscribe(TrackId(20))];
        assert_eq!(viewer.on_event(&Event::TrackAdded(track(20, 2, Source::Camera))), takes_over);
        assert_eq!(viewer.on_event(&Event::ParticipantLeft(ParticipantId(1), LeaveReason::MediaTimeout)), []);
        let mut viewer = self::viewer(Choice::default(), vec![camera(1), camera(2)]);
        assert_eq!(viewer.choose(), subscribe(&[10]));
        assert_eq!(viewer.on_event(&Event::ParticipantReconnecting(ParticipantId(1))), takes_over);
        let back = [Command::Unsubscribe(TrackId(20)), Command::Subscribe(TrackId(10))];
        assert_eq!(viewer.on_event(&Event::ParticipantResumed(ParticipantId(1))), back);
    }

    #[test]
    fn the_screen_is_shown_until_there_is_a_camera() {
        let mut viewer = viewer(Choice::default(), vec![person(1, &[(10, Source::Screen)])]);
        assert_eq!(viewer.choose(), subscribe(&[10]));
        let next = viewer.on_event(&Event::TrackAdded(track(11, 1, Source::Camera)));
        assert_eq!(next, [Command::Unsubscribe(TrackId(10)), Command::Subscribe(TrackId(11))]);
    }

    #[test]
    fn a_chosen_participant_is_all_there_is_and_their_leaving_the_end() {
        let others = vec![person(1, &[(10, Source::Camera)]), person(2, &[])];
        let choice = Choice { participant: Some(ParticipantId(2)), tracks: Vec::new() };
        let mut viewer = viewer(choice, others);
        assert_eq!(viewer.choose(), []);
        assert_eq!(viewer.on_event(&Event::TrackAdded(track(20, 2, Source::Camera))), subscribe(&[20]));
        viewer.on_event(&Event::TrackRemoved(TrackId(20), ParticipantId(2)));
        let end = viewer.on_event(&Event::ParticipantLeft(ParticipantId(2), LeaveReason::Left));
        assert_eq!(end, [Command::Leave]);
    }

    #[test]
    fn a_chosen_track_is_all_there_is_and_must_belong_to_the_chosen_participant() {
        let others = vec![person(1, &[(10, Source::Camera), (11, Source::Screen)])];
        let room = || others.iter().map(|other| (other.participant, other.tracks.as_slice()));
        let choice = |participant: Option<u64>, tracks: &[u64]| Choice {
            participant: participant.map(ParticipantId),
            tracks: tracks.iter().copied().map(TrackId).collect(),
        };
        assert!(choice(None, &[11]).exists(room()) && choice(Some(1), &[10, 11]).exists(room()));
        assert!(!choice(Some(2), &[11]).exists(room()) && !choice(None, &[12]).exists(room()));
        let mut viewer = viewer(choice(None, &[11]), others);
        assert_eq!(viewer.choose(), subscribe(&[11]));
        let end = viewer.on_event(&Event::TrackRemoved(TrackId(11), ParticipantId(1)));
        assert_eq!(end, [Command::Leave]);
    }
}

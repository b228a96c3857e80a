//! Checks who is told to speak, and that whoever speaks is heard. The oracle knows how loud each packet was. It has none
//! of the server's windows: it demands something only of speech that has lasted for long, and forbids something only after
//! long silence.

use std::collections::{BTreeMap, BTreeSet};

use super::{Member, Oracle, Track, track_of};
use crate::core::command::Source;
use crate::core::event::{SlotMap, Speakers, WaitingReason};
use crate::core::ids::{ParticipantId, TrackId};
use crate::sim::client::{Sent, StreamInfo};
use crate::sim::network::{Micros, SECOND, name};

/// Packets that are at most this loud are noise, in -dBov.
const NOISE: u8 = 60;
/// Speech that has lasted this long must have been told, and be heard, µs. A stream that begins anew is half a second
/// late.
const NOTICED_WITHIN: Micros = 1_200_000;
/// After silence of this length nobody speaks any more, µs.
const SILENT_AFTER: Micros = 2 * SECOND;
/// A pause of this length may end what was said, µs.
const PAUSE: Micros = 100_000;
/// How many people may speak at once in these worlds, so that each is heard.
const SPEAKERS: usize = 2;

/// What was said into one microphone.
#[derive(Debug, Clone, Copy)]
struct Voice {
    /// Since when loud packets have come without a pause; `None` after a pause.
    since: Option<Micros>,
    /// When the last loud packet came.
    at: Micros,
}

/// What is said in the room.
#[derive(Debug, Default)]
pub(super) struct Floor {
    voices: BTreeMap<TrackId, Voice>,
}

/// What somebody was told of who speaks, and of who waits to be heard.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// Whether the server can tell them anything.
    is_connected: bool,
    speakers: BTreeSet<TrackId>,
    dominant: Option<ParticipantId>,
    /// The microphones that wait until somebody speaks.
    waiting: BTreeSet<TrackId>,
}

impl Hearing {
    /// Notes that they have got in or are back: they are told who speaks behind that.
    pub(super) fn begins(&mut self) {
        (self.is_connected, self.dominant) = (true, None);
        self.speakers.clear();
    }

    /// Notes that the server knows that they cannot be told anything.
    pub(super) fn ends(&mut self) {
        self.is_connected = false;
    }

    pub(super) fn told(&mut self, news: &Speakers) {
        self.dominant = news.dominant;
        self.speakers = news.speakers.iter().map(|speaker| speaker.track).collect();
    }

    pub(super) fn mapped(&mut self, map: &SlotMap) {
        let silent = map.waiting.iter().filter(|(_, reason)| *reason == WaitingReason::NotSpeaking);
        self.waiting = silent.map(|(track, _)| *track).collect();
    }
}

impl Floor {
    /// Notes a packet of a microphone. `sure` tells whether the server certainly takes it.
    pub(super) fn hears(&mut self, now: Micros, track: TrackId, level: u8, sure: bool) {
        let voice = self.voices.entry(track).or_insert(Voice { since: None, at: 0 });
        let is_loud = level < NOISE;
        let goes_on = is_loud && sure && now <= voice.at + PAUSE;
        voice.since = match voice.since {
            Some(since) if goes_on => Some(since),
            _ => (is_loud && sure).then_some(now),
        };
        if is_loud {
            voice.at = now;
        }
    }

    /// Notes that a track was muted or unmuted: what was said is over, and everybody will be told.
    pub(super) fn ends(&mut self, now: Micros, track: TrackId) {
        self.voices.entry(track).and_modify(|voice| *voice = Voice { since: None, at: now });
    }

    /// Returns the microphones into which somebody has spoken for long, and still does.
    fn speaking(&self, now: Micros, slack: Micros) -> Vec<TrackId> {
        let speaks = |voice: &Voice| {
            voice.since.is_some_and(|since| now > since + NOTICED_WITHIN + slack) && now <= voice.at + PAUSE
        };
        self.voices.iter().filter(|(_, voice)| speaks(voice)).map(|(track, _)| *track).collect()
    }

    /// Returns whether nothing was said into a microphone for long.
    fn is_silent(&self, now: Micros, track: TrackId, slack: Micros) -> bool {
        self.voices.get(&track).is_none_or(|voice| now > voice.at + SILENT_AFTER + slack)
    }
}

impl Member {
    /// Returns a microphone that they asked for by name, if a new slot map takes it out of a slot that there still is.
    pub(super) fn loses_pinned(&self, tracks: &BTreeMap<TrackId, Track>, map: &SlotMap) -> Option<TrackId> {
        let is_pinned = |track: &TrackId| {
            let model = tracks.get(track).filter(|model| model.alive && model.source == Source::Microphone);
            model.is_some() && self.subscribed.contains(track)
        };
        let is_open = |mid: &str| map.slots.iter().any(|slot| slot.mid.to_string() == mid);
        let is_shown =
            |track: TrackId| map.slots.iter().any(|slot| slot.track.map(|one| one.0) == Some(track));
        let pinned = self.map.iter().filter(|(mid, (track, _))| is_pinned(track) && is_open(mid));
        pinned.map(|(_, (track, _))| *track).find(|track| !is_shown(*track))
    }
}

impl Oracle {
    /// Notes how loud a packet was that reached the server. `is_heard` tells whether the server certainly takes it.
    pub(super) fn fed_level(&mut self, now: Micros, sent: &Sent, is_heard: bool, streams: &[StreamInfo]) {
        let Some(level) = sent.level else { return };
        let Some(info) = streams.get(sent.stamp.stream as usize) else { return };
        let Some((track, _)) = track_of(&self.members, &self.tracks, info) else { return };
        if self.tracks.get(&track).is_some_and(|one| one.source == Source::Microphone && !one.muted) {
            self.floor.hears(now, track, level, is_heard);
        }
    }

    /// Checks what everybody knows of who speaks.
    pub(super) fn check_speech(&mut self, now: Micros) {
        let alive = |track: &TrackId| self.tracks.get(track).is_some_and(|one| one.alive && !one.touched);
        let speaking: Vec<TrackId> = self.floor.speaking(now, self.slack).into_iter().filter(alive).collect();
        let voices = self.floor.voices.keys();
        let loud = voices.filter(|track| !self.floor.is_silent(now, **track, self.slack)).count();
        let mut complaints = Vec::new();
        for member in self.members.values() {
            if member.gone || member.touched || member.left || !member.hearing.is_connected {
                continue;
            }
            let who = name(member.person);
            for track in &speaking {
                if !member.hearing.speakers.contains(track) {
                    complaints.push(format!("{who} was not told that {} speaks", self.voice_of(*track)));
                }
                if loud <= SPEAKERS
                    && member.hearing.waiting.contains(track)
                    && let Some(other) = self.gives_way(now, member)
                {
                    let (speaker, silent) = (self.voice_of(*track), self.voice_of(other));
                    complaints
                        .push(format!("{who} does not hear {speaker}, who speaks, and could hear {silent}"));
                }
            }
            for track in &member.hearing.speakers {
                if self.floor.is_silent(now, *track, self.slack) {
                    complaints.push(format!("{who} was told that {} still speaks", self.voice_of(*track)));
                }
            }
        }
        for complaint in complaints {
            self.complain(now, complaint);
        }
    }

    /// Returns a microphone in one of somebody's slots that certainly has to make way for whoever speaks.
    fn gives_way(&self, now: Micros, member: &Member) -> Option<TrackId> {
        let shown = member.map.values().map(|(track, _)| *track);
        let mut others = shown.filter(|track| {
            let Some(model) = self.tracks.get(track) else { return false };
            model.source == Source::Microphone
                && !member.subscribed.contains(track)
                && member.hearing.dominant != Some(model.publisher)
                && self.floor.is_silent(now, *track, self.slack)
        });
        others.next()
    }

    pub(super) fn voice_of(&self, track: TrackId) -> String {
        self.tracks.get(&track).map_or("nobody".into(), |model| self.who(model.owner))
    }
}

//! What the core tells a LiveKit client that it has not asked for: who comes and goes, what they publish, who speaks, and how
//! everything is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::front_end::LiveKitFrontEnd;
use super::messages::{
    ConnectionQualityInfo, ConnectionQualityUpdate, MuteTrackRequest, RoomUpdate, SignalResponse,
    SpeakerInfo, SpeakersChanged, StreamStateInfo, StreamStateUpdate, SubscribedCodec, SubscribedQuality,
    SubscribedQualityUpdate, SubscriptionResponse, numbers,
};
use super::packets::{self, Packet};
use super::reaction::{LiveKitReaction, ask, encoded, ended, say, update};
use super::tracks::quality_of;
use super::welcome;
use crate::core::command::Command;
use crate::core::data::DataPayload;
use crate::core::event::{Event, Speakers};
use crate::core::ids::{ParticipantId, TrackId};
use crate::core::msid::{participant_of_sid, participant_sid, track_sid};
use crate::core::quality::Level;
use crate::limits::TOPIC_CHARS_MAX;

/// For so long at most a client is told that it speaks which wants to try that.
const PRETENCE_SECONDS_MAX: u64 = 60;

impl LiveKitFrontEnd {
    /// Takes an event that is no answer to anything that the client has asked.
    pub(super) fn news(&mut self, event: &Event) -> LiveKitReaction {
        let is_me = |id: &ParticipantId| self.me.as_ref().is_some_and(|me| me.participant == *id);
        let changed = match event {
            Event::ParticipantJoined(info) => {
                let mut reaction = say(&update(vec![self.people.join(info)]));
                reaction.and(tell_of_quality(vec![good(info.participant)]));
                return reaction;
            }
            Event::ParticipantLeft(id, reason) => {
                self.qualities.remove(id);
                self.people.leave(*id, *reason)
            }
            Event::TrackAdded(track) => {
                self.people.change(track.participant, |person| person.tracks.push(track.clone()))
            }
            Event::TrackRemoved(track, owner) => {
                self.paused.remove(track);
                self.people.change(*owner, |person| person.tracks.retain(|other| other.track != *track))
            }
            Event::TrackMuted { track, participant, muted } if is_me(participant) => {
                self.tracks.set_muted(*track, *muted);
                let mute = MuteTrackRequest { sid: track_sid(*track), muted: *muted };
                return say(&SignalResponse { mute: Some(mute), ..SignalResponse::default() });
            }
            Event::TrackMuted { track, participant, muted } => self.people.change(*participant, |person| {
                for other in person.tracks.iter_mut().filter(|other| other.track == *track) {
                    other.muted = *muted;
                }
            }),
            Event::ParticipantUpdated(id, profile, _) if is_me(id) => {
                if let Some(me) = &mut self.me {
                    me.profile = (**profile).clone();
                }
                return self.tell_of_me();
            }
            Event::ParticipantUpdated(id, profile, role) => self.people.change(*id, |person| {
                (person.profile, person.role) = ((**profile).clone(), *role);
            }),
            other => return self.other_news(other),
        };
        changed.map(|info| say(&update(vec![info]))).unwrap_or_default()
    }

    /// The rest of [`news`](Self::news): what is not about who is there and what they publish.
    fn other_news(&mut self, event: &Event) -> LiveKitReaction {
        match event {
            Event::FromChannel { label, bytes, .. } => self.pass_packet(label, bytes),
            Event::Data { from, topic, payload, is_lossy } => self.hear(*from, (topic, payload, *is_lossy)),
            Event::CannotPublish { mid, .. } => {
                self.tracks.unpublished(*mid).map(|track| say(&ended(track))).unwrap_or_default()
            }
            Event::PermissionsChanged { grants, ended: tracks } => {
                let could_receive = self.me.as_ref().is_some_and(|me| me.grants.subscribe);
                if let Some(me) = &mut self.me {
                    me.grants = *grants;
                }
                let mut reaction = LiveKitReaction::default();
                for (track, _) in tracks.iter().filter(|(track, _)| self.tracks.end(*track)) {
                    reaction.say.push(encoded(&ended(*track)));
                }
                reaction.say.extend(self.tell_of_me().say);
                if grants.subscribe && !could_receive {
                    reaction.and(self.receive_again());
                    reaction.and(self.receive_all());
                }
                reaction
            }
            Event::RoomUpdated(state) => {
                let Some(me) = &self.me else { return LiveKitReaction::default() };
                let room = Some(welcome::room((&me.room_sid, &me.room), state, self.people.count() + 1));
                say(&SignalResponse { room_update: Some(RoomUpdate { room }), ..SignalResponse::default() })
            }
            Event::CannotReceive { track, .. } => {
                let response =
                    SubscriptionResponse { track_sid: track_sid(*track), err: numbers::CODEC_UNSUPPORTED };
                say(&SignalResponse { subscription_response: Some(response), ..SignalResponse::default() })
            }
            Event::Speakers(speakers) => self.speakers(speakers),
            Event::Layers { track, is_paused, .. } => self.stream_state(*track, *is_paused),
            Event::Encodings { track, active, .. } => self.qualities(*track, active),
            Event::Quality(id, quality) => {
                let level = match quality.level {
                    Level::Good => 2,
                    Level::Medium => 1,
                    Level::Poor => 0,
                };
                let info = ConnectionQualityInfo {
                    participant_sid: participant_sid(*id),
                    quality: level,
                    // LiveKit's scores go up to 5.
                    score: f32::from(quality.score) / 20.0,
                };
                self.qualities.insert(*id, info.clone());
                tell_of_quality(vec![info])
            }
            _ => LiveKitReaction::default(),
        }
    }

    /// Passes on what the client says on a data channel, to those whom it is for. Other channels than those of its library, and
    /// what is no packet, are passed over.
    fn pass_packet(&self, label: &str, bytes: &[u8]) -> LiveKitReaction {
        let is_lossy = label == packets::LOSSY;
        let packet = Packet::read(bytes).filter(|_| is_lossy || label == packets::RELIABLE);
        let Some(Packet { to, to_sids, topic, payload }) = packet else { return LiveKitReaction::default() };
        let is_for_all = to.is_empty() && to_sids.is_empty();
        let by_sid = to_sids.iter().filter_map(|sid| participant_of_sid(sid));
        // One who has left keeps nothing from the others.
        let by_sid = by_sid.filter(|id| self.people.ids().any(|other| other == *id));
        let mut to: Vec<ParticipantId> =
            to.iter().filter_map(|identity| self.people.id_of(identity)).chain(by_sid).collect();
        // Clients may name everybody in both ways.
        to.sort_unstable();
        to.dedup();
        // Those whom it is for may have left.
        if to.is_empty() && !is_for_all {
            return LiveKitReaction::default();
        }
        let topic = topic.chars().take(TOPIC_CHARS_MAX).collect();
        ask(Command::Data { to: (!is_for_all).then_some(to), topic, payload, is_lossy })
    }

    /// Tells the client on a data channel what somebody has said.
    fn hear(&self, from: Option<ParticipantId>, said: (&str, &DataPayload, bool)) -> LiveKitReaction {
        let identity = from.and_then(|from| self.people.identity(from)).unwrap_or_default();
        let sid = from.map(participant_sid).unwrap_or_default();
        let Some(bytes) = packets::write(identity, sid, said) else {
            return LiveKitReaction::default();
        };
        let label = if said.2 { packets::LOSSY } else { packets::RELIABLE };
        ask(Command::ToChannel { label: label.to_owned(), is_text: false, bytes })
    }

    /// Tells who speaks now and did not, or the other way round, or louder or less loud than before.
    fn speakers(&mut self, speakers: &Speakers) -> LiveKitReaction {
        // From 0 dBov, the loudest, to -127.
        let level = |level: u8| f32::from(127 - level.min(127)) / 127.0;
        let now: BTreeMap<ParticipantId, f32> =
            speakers.speakers.iter().map(|speaker| (speaker.participant, level(speaker.level))).collect();
        let silent = self.speaking.keys().filter(|id| !now.contains_key(id)).map(|id| (*id, 0.0, false));
        let louder = now.iter().filter(|(id, level)| self.speaking.get(id) != Some(level));
        let louder = louder.map(|(id, level)| (*id, *level, true));
        let info = |(id, level, active)| SpeakerInfo { sid: participant_sid(id), level, active };
        let changed: Vec<SpeakerInfo> = silent.chain(louder).map(info).collect();
        self.speaking = now;
        if changed.is_empty() {
            return LiveKitReaction::default();
        }
        let speakers_changed = Some(SpeakersChanged { speakers: changed });
        say(&SignalResponse { speakers_changed, ..SignalResponse::default() })
    }

    /// Tells a client once more how good calls are and who speaks, when its first sign of life comes. What it is told of people
    /// right after it has joined is lost, because it takes in the list of them a little later.
    pub(super) fn settle(&mut self) -> LiveKitReaction {
        if self.me.is_none() || std::mem::replace(&mut self.is_settled, true) {
            return LiveKitReaction::default();
        }
        let mut reaction = LiveKitReaction::default();
        let of = |id| self.qualities.get(&id).cloned().unwrap_or_else(|| good(id));
        let all: Vec<ConnectionQualityInfo> = self.people.ids().map(of).collect();
        if !all.is_empty() {
            reaction.and(tell_of_quality(all));
        }
        if !self.speaking.is_empty() {
            let info = |(id, level): (&ParticipantId, &f32)| SpeakerInfo {
                sid: participant_sid(*id),
                level: *level,
                active: true,
            };
            let speakers_changed =
                Some(SpeakersChanged { speakers: self.speaking.iter().map(info).collect() });
            reaction.and(say(&SignalResponse { speakers_changed, ..SignalResponse::default() }));
        }
        reaction
    }

    /// Tells the client that it speaks, for so many seconds, and nobody else.
    pub(super) fn pretend_to_speak(&mut self, now: Instant, seconds: i32) -> LiveKitReaction {
        let seconds = u64::try_from(seconds).unwrap_or(0).min(PRETENCE_SECONDS_MAX);
        self.pretends_to_speak = Some(now + Duration::from_secs(seconds));
        self.tell_of_own_voice(0.9, true)
    }

    /// Tells the client that it speaks no more, if it was told that it does and enough time has passed. Its signs of life come
    /// every few seconds, so that this needs no timer.
    pub(super) fn end_pretence(&mut self, now: Instant) -> LiveKitReaction {
        match self.pretends_to_speak.take_if(|until| *until <= now) {
            Some(_) => self.tell_of_own_voice(0.0, false),
            None => LiveKitReaction::default(),
        }
    }

    fn tell_of_own_voice(&self, level: f32, active: bool) -> LiveKitReaction {
        let Some(me) = &self.me else { return LiveKitReaction::default() };
        let speakers = vec![SpeakerInfo { sid: participant_sid(me.participant), level, active }];
        let speakers_changed = Some(SpeakersChanged { speakers });
        say(&SignalResponse { speakers_changed, ..SignalResponse::default() })
    }

    fn stream_state(&mut self, track: TrackId, is_paused: bool) -> LiveKitReaction {
        let is_news = if is_paused { self.paused.insert(track) } else { self.paused.remove(&track) };
        let Some((owner, _)) = self.people.track(track).filter(|_| is_news) else {
            return LiveKitReaction::default();
        };
        let state = StreamStateInfo {
            participant_sid: participant_sid(owner),
            track_sid: track_sid(track),
            state: if is_paused { numbers::STREAM_PAUSED } else { numbers::STREAM_ACTIVE },
        };
        let states = StreamStateUpdate { stream_states: vec![state] };
        say(&SignalResponse { stream_state_update: Some(states), ..SignalResponse::default() })
    }

    /// Tells which encodings of a track of the client's anybody needs.
    fn qualities(&self, track: TrackId, active: &[String]) -> LiveKitReaction {
        let Some(codec) = self.tracks.codec_of(track) else { return LiveKitReaction::default() };
        let needed: BTreeSet<i32> = active.iter().map(|rid| quality_of(rid)).collect();
        let qualities: Vec<SubscribedQuality> =
            (0..3).map(|quality| SubscribedQuality { quality, enabled: needed.contains(&quality) }).collect();
        let update = SubscribedQualityUpdate {
            track_sid: track_sid(track),
            subscribed_qualities: qualities.clone(),
            subscribed_codecs: vec![SubscribedCodec { codec, qualities }],
        };
        say(&SignalResponse { subscribed_quality_update: Some(update), ..SignalResponse::default() })
    }
}

fn tell_of_quality(updates: Vec<ConnectionQualityInfo>) -> LiveKitReaction {
    let connection_quality = Some(ConnectionQualityUpdate { updates });
    say(&SignalResponse { connection_quality, ..SignalResponse::default() })
}

/// Returns the quality of somebody's call of whom nothing was told: the core leaves out that it is good.
fn good(id: ParticipantId) -> ConnectionQualityInfo {
    ConnectionQualityInfo { participant_sid: participant_sid(id), quality: 2, score: 5.0 }
}

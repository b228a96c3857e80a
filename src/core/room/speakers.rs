//! Who speaks in the room. Levels are taken as packets come, once for each microphone and not for each of its listeners;
//! five times a second at most the room looks who speaks and who speaks most, and tells everybody if that has changed.
//! A room in which nobody speaks is not woken for it.

use std::time::{Duration, Instant};

use super::sharing::Talker;
use super::{Owner, Room};
use crate::core::event::{Event, Speaker, Speakers};
use crate::core::ids::{ParticipantKey, PublicationKey};
use crate::core::mutation::mutated;
use crate::core::negotiated::Codec;
use crate::core::outbox::Outbox;
use crate::core::speech::{Activity, Speech};
use crate::core::timers::{Deadline, Timer, coalesce};

/// The shortest time between two looks, and so between two pieces of news.
const INTERVAL: Duration = Duration::from_millis(200);
/// The first look follows the first word by this: sooner, a click would not have shown itself for what it is.
const FIRST: Duration = Duration::from_millis(100);

/// What the room knows of who speaks.
#[derive(Debug, Default)]
pub(super) struct Floor {
    /// Microphones into which somebody speaks or has just spoken, in the order in which they began.
    active: Vec<PublicationKey>,
    /// Those of them that everybody was told of.
    told: Vec<PublicationKey>,
    /// Those who speak, and whether they were chosen to be heard where not all can be.
    pub(super) talkers: Vec<Talker>,
    /// The microphone of whoever speaks most. They stay it while nobody else takes the floor, also in silence.
    pub(super) dominant: Option<PublicationKey>,
    /// What everybody was told last.
    news: Speakers,
    looked_at: Option<Instant>,
    look_at: Option<Instant>,
}

impl Floor {
    /// A microphone is gone.
    fn forget(&mut self, key: PublicationKey) {
        self.active.retain(|other| *other != key);
        self.told.retain(|other| *other != key);
        self.talkers.retain(|talker| talker.key != key);
        self.dominant = self.dominant.filter(|dominant| *dominant != key);
    }

    /// When the room is to look who speaks; `None` while nobody does.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.look_at.map(|at| Deadline { at, timer: Timer::Speakers })
    }

    /// Everything that a list of the room names here.
    pub(super) fn keys(&self) -> impl Iterator<Item = PublicationKey> {
        let talkers = self.talkers.iter().map(|talker| talker.key);
        self.active.iter().chain(&self.told).copied().chain(talkers).chain(self.dominant)
    }
}

impl Room {
    /// Takes the audio level of a packet of a microphone's. Walk: called by `Room::handle_rtp`.
    pub(super) fn hear(&mut self, now: Instant, key: PublicationKey, timestamp: u32, level: u8) {
        let Some(publication) = self.publications.get_mut(key.0).filter(|publication| !publication.muted)
        else {
            return;
        };
        let clock_rate = publication.codec().map_or(48_000, Codec::clock_rate);
        let Some(speech) = &mut publication.speech else { return };
        if !speech.hear(now, timestamp, clock_rate, level) {
            return;
        }
        if !self.floor.active.contains(&key) {
            self.floor.active.push(key);
        }
        if !self.floor.talkers.iter().any(|talker| talker.key == key) {
            self.floor.talkers.push(Talker::new(now, key));
        }
        self.choose_talkers(now);
        self.look_soon(now);
    }

    /// Makes sure that the room looks soon who speaks.
    fn look_soon(&mut self, now: Instant) {
        if self.floor.look_at.is_none() {
            let next = self.floor.looked_at.map_or(now, |at| at + INTERVAL);
            self.floor.look_at = Some(next.max(now + FIRST));
            self.arm(now, Owner::Room);
        }
    }

    /// A microphone is muted: nothing is said by it any more.
    pub(super) fn fall_silent(&mut self, now: Instant, key: PublicationKey) {
        if let Some(speech) = &mut self.publications[key.0].speech {
            speech.reset();
        }
        self.floor.dominant = self.floor.dominant.filter(|dominant| *dominant != key);
        if self.floor.news != Speakers::default() {
            self.look_soon(now);
        }
    }

    /// A track is gone, and whatever was known of it as a microphone.
    pub(super) fn forget_speaker(&mut self, now: Instant, key: PublicationKey) {
        self.floor.forget(key);
        if self.floor.news != Speakers::default() {
            self.look_soon(now);
        }
    }

    /// Looks who speaks, and tells everybody if it is not what they know.
    pub(super) fn look_who_speaks(&mut self, now: Instant, outbox: &mut Outbox) {
        (self.floor.look_at, self.floor.looked_at) = (None, Some(now));
        for key in &self.floor.active {
            if let Some(speech) = &mut self.publications[key.0].speech {
                speech.settle(now);
            }
        }
        self.choose_talkers(now);
        self.choose_dominant(now);
        self.show_chosen(now);
        let Floor { active, told, .. } = &mut self.floor;
        let publications = &self.publications;
        let speech = |key: &PublicationKey| publications[key.0].speech.as_ref();
        told.retain(|key| speech(key).is_some_and(|own| own.is_speaking() || mutated!(SilenceNotTold)));
        for key in active.iter() {
            let begins = speech(key).is_some_and(|speech| speech.is_speaking() && speech.is_sustained());
            if begins && !told.contains(key) {
                told.push(*key);
            }
        }
        let has_spoken = |activity: Activity| activity.short > 0 || activity.medium > 0;
        active.retain(|key| speech(key).is_some_and(|own| own.is_speaking() || has_spoken(own.activity())));
        let news = self.speakers();
        if news.is_news_to(&self.floor.news) && !mutated!(SpeakersNotTold) {
            self.tell_all(&Event::Speakers(news.clone()), outbox);
        }
        self.floor.news = news;
        if !self.floor.active.is_empty() || !self.floor.told.is_empty() {
            self.floor.look_at = Some(coalesce(self.settings.epoch, now, now + INTERVAL));
        }
    }

    /// Gives the floor to somebody else, if they have taken it.
    fn choose_dominant(&mut self, now: Instant) {
        let activity = |key: PublicationKey| {
            let speech = self.publications.get(key.0).and_then(|publication| publication.speech.as_ref());
            speech.map(Speech::activity)
        };
        let present = self.floor.dominant;
        let others = self.floor.active.iter().rev().copied().filter(|key| Some(*key) != present);
        let best = others.filter_map(|key| Some((activity(key)?, key))).max_by_key(|(activity, _)| *activity);
        if let Some((own, key)) = best
            && own.takes_over_from(present.and_then(activity))
        {
            self.floor.dominant = Some(key);
            self.show_dominant(now, key);
            self.steer_limited();
        }
        if let Some(publication) = self.floor.dominant.and_then(|key| self.publications.get(key.0))
            && publication.speech.as_ref().is_some_and(Speech::is_speaking)
        {
            self.participants[publication.owner.0].led_at = Some(now);
        }
    }

    /// Who speaks now, for everybody: the dominant speaker first, then the others as they began.
    fn speakers(&self) -> Speakers {
        let of = |key: PublicationKey| {
            let publication = self.publications.get(key.0)?;
            let level = publication.speech.as_ref()?.level();
            Some(Speaker { track: publication.track, participant: publication.owner_id, level })
        };
        let dominant = self.floor.dominant;
        let mut keys = self.floor.told.clone();
        keys.sort_by_key(|key| Some(*key) != dominant);
        let publication = dominant.and_then(|key| self.publications.get(key.0));
        Speakers {
            dominant: publication.map(|publication| publication.owner_id),
            speakers: keys.into_iter().filter_map(of).collect(),
        }
    }

    /// Tells somebody who has just come (back) who speaks, if anybody does.
    pub(super) fn tell_speakers(&self, to: ParticipantKey, outbox: &mut Outbox) {
        if self.floor.news != Speakers::default() {
            outbox.event(to, Event::Speakers(self.floor.news.clone()));
        }
    }
}

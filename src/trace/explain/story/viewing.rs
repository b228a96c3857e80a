//! Facts about tracks, slots and subscriptions: who publishes what, and who is shown it.

use super::{Story, Stream};
use crate::core::command::Source;
use crate::core::event::WaitingReason;
use crate::core::ids::TrackId;
use crate::trace::explain::keyframes::Reason;
use crate::trace::explain::model::Weight;
use crate::trace::explain::time::Time;
use crate::trace::explain::tracks::{Track, Watching};
use crate::trace::explain::words;

impl Story {
    pub(super) fn published(&mut self, at: Time, person: usize, id: TrackId, source: Source, muted: bool) {
        self.tracks.push(Track::new(at, person, id, source, muted));
        let how = if muted { ", muted" } else { "" };
        let text = format!("publishes the {}{how}", words::source(source));
        self.tell(at, person, "published", Weight::Plain, text);
    }

    pub(super) fn unpublished(&mut self, at: Time, track: usize) -> Option<()> {
        let state = self.tracks.get_mut(track)?;
        state.gone = Some(at);
        let (person, source) = (state.person, state.source);
        // When somebody has left, it need not be said that their tracks ended.
        if self.people.get(person)?.left.is_none() {
            let text = format!("the {} is gone", words::source(source));
            self.tell(at, person, "unpublished", Weight::Plain, text);
        }
        Some(())
    }

    pub(super) fn muted(&mut self, at: Time, number: usize, muted: bool) -> Option<()> {
        let track = self.tracks.get_mut(number)?;
        if !track.muted.set(at, muted) {
            return None;
        }
        if !muted && track.is_video() {
            track.keyframes.needed(Reason::Unmuted);
        }
        let (person, source) = (track.person, words::source(track.source));
        let (kind, verb) = if muted { ("muted", "muted") } else { ("unmuted", "unmuted") };
        self.tell(at, person, kind, Weight::Plain, format!("{verb} the {source}"));
        let watched = self.slots.values().copied();
        let watched: Vec<usize> =
            watched.filter(|watching| self.watchings[*watching].track == number).collect();
        for watching in watched {
            self.interrupt(at, watching);
        }
        Some(())
    }

    pub(super) fn shown(&mut self, at: Time, person: usize, mid: &str, track: usize) -> Option<()> {
        let name = self.people.get(person)?.name.clone();
        let text = format!("is subscribed to {}", self.name_of(track)?);
        self.tell(at, person, "subscribed", Weight::Plain, text);
        if self.tracks[track].is_video() {
            self.tracks[track].keyframes.needed(Reason::Begins(name));
        }
        let key = (person, mid.to_owned());
        self.hide(at, &key);
        let showing = self.showings.len();
        self.showings.push(self.watchings.len());
        self.slots.insert(key, self.watchings.len());
        self.watchings.push(Watching::new(at, person, track, mid.to_owned(), showing));
        Some(())
    }

    pub(super) fn hide(&mut self, at: Time, slot: &(usize, String)) {
        let Some(watching) = self.slots.get(slot).copied() else { return };
        self.interrupt(at, watching);
        self.slots.remove(slot);
        self.watchings[watching].hidden = Some(at);
    }

    pub(super) fn waits(
        &mut self,
        at: Time,
        person: usize,
        track: usize,
        reason: WaitingReason,
    ) -> Option<()> {
        let what = self.name_of(track)?;
        let why = match reason {
            WaitingReason::NoSlotYet => "no slot is free; more were asked for",
            WaitingReason::SlotLimit => "the client has as many slots as it may have",
            WaitingReason::NotSpeaking => "those who speak, or spoke last, share the slots",
        };
        // That of many only those are heard who speak is no trouble.
        let is_meant = reason == WaitingReason::NotSpeaking;
        let weight = if is_meant { Weight::Plain } else { Weight::Notable };
        self.tell(at, person, "waits", weight, format!("waits for {what}: {why}"));
        Some(())
    }

    pub(super) fn cannot_receive(&mut self, at: Time, person: usize, track: usize) -> Option<()> {
        let text = format!("cannot decode {}", self.name_of(track)?);
        self.tell(at, person, "cannot-receive", Weight::Trouble, text);
        Some(())
    }

    pub(super) fn is_let(&mut self, at: Time, person: usize, track: usize, is_let: bool) -> Option<()> {
        let (may, what) = (if is_let { "may" } else { "may not" }, self.name_of(track)?);
        let text = format!("{may} receive {what}: its owner has said so");
        self.tell(at, person, "allowed", Weight::Notable, text);
        Some(())
    }

    pub(super) fn paused(&mut self, at: Time, person: usize, track: usize, paused: bool) -> Option<()> {
        let what = self.name_of(track)?;
        let verb = if paused { "paused" } else { "resumed" };
        self.tell(at, person, verb, Weight::Plain, format!("{verb} {what}"));
        let of = |watching: &usize| {
            let watching = &self.watchings[*watching];
            watching.person == person && watching.track == track
        };
        let watching = self.slots.values().copied().find(of)?;
        self.watchings[watching].paused.set(at, paused);
        self.interrupt(at, watching);
        if !paused && self.tracks[track].is_video() {
            let name = self.people.get(person)?.name.clone();
            self.tracks[track].keyframes.needed(Reason::Resumed(name));
        }
        Some(())
    }

    /// Ends a slot's present showing. What comes later belongs to another one, and the time between is not a freeze.
    fn interrupt(&mut self, at: Time, watching: usize) {
        let Some(state) = self.watchings.get_mut(watching) else { return };
        let ended = std::mem::replace(&mut state.showing, self.showings.len());
        self.showings.push(watching);
        for stream in &mut self.streams {
            if let Stream::Out { person, mid, outgoing } = stream
                && *person == state.person
                && *mid == state.mid
            {
                outgoing.interrupted(ended, at);
            }
        }
    }
}

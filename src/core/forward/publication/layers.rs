//! Which encoding of a simulcast each viewer is to be shown, and which of them the publisher is to send.
//!
//! Both are looked at again when something changes: a viewer's wish, what their network carries, who watches, or whether an
//! encoding comes. That an encoding has stopped is noticed by the packets of the others: as long as none comes there is
//! nothing else to show.

use std::time::{Duration, Instant};

use super::{Publication, at};
use crate::core::command::{EncodingRequest, Wish};
use crate::core::event::LayerReason;
use crate::core::forward::backlog::Told;
use crate::core::forward::encoding::Pause;
use crate::core::forward::ladder::{Candidate, Rung, fit};
use crate::core::forward::steps::{Allowance, Load};
use crate::core::ids::{EncodingIndex, ParticipantKey};
use crate::core::media::ingress::PublishedSection;
use crate::core::media::layers::Layers;
use crate::core::stats::EncodingSnapshot;
use crate::core::timers::earliest;
use crate::limits::ENCODINGS_MAX;

/// How often it is looked whether encodings have stopped, while packets come.
const REVIEW_INTERVAL: Duration = Duration::from_millis(100);

/// What one viewer is shown from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerChange {
    /// Who watches.
    pub participant: ParticipantKey,
    /// Their slot.
    pub slot: usize,
    /// The encoding's name; `None` if the track is not a simulcast, or nothing of it is sent.
    pub layer: Option<String>,
    /// Whether nothing of the track is sent, because their network carries no more or the machine has no time.
    pub is_paused: bool,
    /// The highest spatial layer that is sent; `None` if all are.
    pub spatial: Option<u8>,
    /// The highest temporal layer that is sent; `None` if all are.
    pub temporal: Option<u8>,
    /// The width of its pictures in pixels, if it was declared.
    pub width: Option<u16>,
    /// The height of its pictures in pixels, if it was declared.
    pub height: Option<u16>,
    /// Why they are shown another one than before.
    pub reason: LayerReason,
}

impl Publication {
    /// Takes over what an offer says of the encodings: the rids or SSRCs of `section`, and what was declared of them.
    pub fn set_ladder(&mut self, now: Instant, section: &PublishedSection, declared: &[EncodingRequest]) {
        self.ladder.update(now, section.encodings(), declared, !section.rids.is_empty());
        self.needs_review = true;
    }

    /// Returns what was agreed on an encoding; `None` if the track is not a simulcast.
    pub fn rung(&self, index: EncodingIndex) -> Option<&Rung> {
        self.ladder.of_rank(self.encoding(index)?.rank())
    }

    /// Notes how somebody wants to see the track in a slot. `is_idle`: nothing is sent to them just now.
    pub fn set_wish(&mut self, participant: ParticipantKey, slot: usize, wish: Wish, is_idle: bool) {
        for encoding in &mut self.encodings {
            let mut viewers = encoding.backlog.viewers_mut().iter_mut();
            if let Some(viewer) = viewers.find(|viewer| viewer.is(participant, slot)) {
                (viewer.wish, viewer.is_idle) = (wish, is_idle);
                viewer.is_new_wish = true;
                encoding.choose_layers();
            }
        }
        self.needs_review = true;
    }

    /// Looks again what each viewer is to be shown, if it is time for that. `number` is the encoding of which a packet
    /// has just come; `had_stopped` tells whether it had stopped before.
    pub(super) fn review_after_packet(&mut self, now: Instant, number: usize, had_stopped: bool) {
        if self.encodings.len() == 1 {
            return;
        }
        let patience = self.encodings[number].patience();
        // While nothing at all comes no encoding is worse off than the others: a shared screen may not have changed.
        let last = self.last_packet.replace(now);
        if let Some(began) = last.filter(|last| now.saturating_duration_since(*last) > patience / 2) {
            self.pause = Some(Pause { began, ended: now });
        }
        if had_stopped || self.review_at.is_none_or(|at| now >= at) {
            self.review(now);
        }
    }

    /// Whether an encoding comes.
    pub(super) fn is_live(&self, now: Instant, number: usize) -> bool {
        self.encodings[number].is_live(now, self.pause)
    }

    /// Looks again what each viewer is to be shown.
    pub fn review(&mut self, now: Instant) {
        self.review_at = Some(now + REVIEW_INTERVAL);
        if self.encodings.len() == 1 {
            return;
        }
        let mut live = [false; ENCODINGS_MAX];
        for (live, encoding) in live.iter_mut().zip(&self.encodings) {
            *live = encoding.is_live(now, self.pause);
        }
        self.needs_review |= live != self.was_live;
        self.is_to_steer |= live != self.was_live;
        self.was_live = live;
        let mut candidates = [None; ENCODINGS_MAX];
        for (place, encoding) in self.encodings.iter().enumerate().filter(|(place, _)| live[*place]) {
            let rung = self.ladder.of_rank(encoding.rank());
            candidates[place] = Some(Candidate::new(place, encoding.rank(), rung));
        }
        let bps = |one: &Candidate| self.encodings[one.place].bitrate.bps(now);
        let is_sized = candidates.iter().flatten().all(|one| one.height.is_some());
        // Where nobody has said which is the smallest, it is the one of which least comes.
        let sizes = candidates
            .map(|one| one.map(|one| one.height.filter(|_| is_sized).map_or_else(|| bps(&one), u64::from)));
        let fitting = |wish: Wish, allowance: Allowance, load: Load| {
            let permitted = candidates.iter().flatten().filter(|one| allowance.permits(one.rank));
            if load.is_smallest {
                return permitted.min_by_key(|one| (sizes[one.place], one.rank)).map(|one| one.place);
            }
            fit(wish, permitted.copied())
        };
        let chosen_before = self.chosen;
        if let Some(chosen) = fitting(Wish::default(), Allowance::Everything, Load::default()) {
            self.chosen = EncodingIndex(chosen as u8);
        }
        let chosen = self.chosen;
        for (number, encoding) in self.encodings.iter_mut().enumerate() {
            for viewer in encoding.backlog.viewers_mut() {
                // Whoever is sent nothing stays where they are: no key frame is made for them.
                if viewer.is_idle {
                    viewer.choice = Some(EncodingIndex(number as u8));
                    continue;
                }
                let before = at(viewer.choice.unwrap_or(chosen_before));
                let has_size = viewer.wish.height.or(viewer.wish.width).is_some() || viewer.load.is_smallest;
                let is_limited = viewer.allowance != Allowance::Everything;
                let fitting = fitting(viewer.wish, viewer.allowance, viewer.load);
                let fitting = fitting.map(|place| EncodingIndex(place as u8));
                viewer.choice = match fitting.or(viewer.choice) {
                    choice if has_size => choice,
                    // As long as nothing comes that their network carries, they stay where they are.
                    choice if is_limited => choice.or(Some(EncodingIndex(number as u8))),
                    _ => None,
                };
                let is_other = at(viewer.choice.unwrap_or(chosen)) != before;
                if is_other || viewer.is_new_wish {
                    viewer.why = match live[before] {
                        _ if viewer.is_new_wish => LayerReason::Wanted,
                        _ if viewer.is_new_load => LayerReason::Load,
                        _ if viewer.is_new_allowance => LayerReason::Bandwidth,
                        false => LayerReason::Stopped,
                        true => LayerReason::Available,
                    };
                    viewer.is_new_wish = false;
                }
                (viewer.is_new_allowance, viewer.is_new_load) = (false, false);
            }
        }
        self.await_keyframes();
    }

    /// Takes what viewers are shown from now on and have not been told. `may_tell` says whether somebody may be told anything
    /// now; if not, they are told later what is true then.
    pub fn take_layer_changes(
        &mut self,
        mut may_tell: impl FnMut(ParticipantKey) -> bool,
    ) -> Vec<LayerChange> {
        let mut changes = Vec::new();
        for (number, encoding) in self.encodings.iter_mut().enumerate() {
            let rung = self.ladder.of_rank(encoding.rank()).filter(|_| encoding.ssrc().is_some());
            let index = EncodingIndex(number as u8);
            let declared = rung.map(|rung| (rung.width, rung.height));
            let scalability = encoding.scalability.as_deref();
            for viewer in encoding.backlog.viewers_mut() {
                let paused = match () {
                    () if viewer.is_idle => None,
                    () if viewer.load.is_nothing => Some(LayerReason::Load),
                    () if viewer.allowance == Allowance::Nothing => Some(LayerReason::Bandwidth),
                    () => None,
                };
                let what = paused.map_or(Told::Shown(index, viewer.layers), Told::Paused);
                // Whoever is shown all of the only encoding there is need not be told, unless they were told something else.
                let is_usual = paused.is_none() && rung.is_none() && viewer.layers == Layers::ALL;
                if viewer.told == Some(what)
                    || (is_usual && viewer.told.is_none())
                    || !may_tell(viewer.participant)
                {
                    continue;
                }
                let was_paused = match viewer.told.replace(what) {
                    Some(Told::Paused(reason)) => Some(reason),
                    _ => None,
                };
                let known = |layer: u8| (layer < u8::MAX).then_some(layer);
                let (spatial, temporal) = (known(viewer.layers.spatial), known(viewer.layers.temporal));
                let size = spatial.and_then(|spatial| scalability?.size(spatial));
                let size = size.map(|(width, height)| (Some(width), Some(height))).or(declared);
                let (width, height) = size.filter(|_| paused.is_none()).unwrap_or_default();
                changes.push(LayerChange {
                    participant: viewer.participant,
                    slot: viewer.slot,
                    layer: rung.filter(|_| paused.is_none()).map(|rung| rung.name.to_string()),
                    is_paused: paused.is_some(),
                    spatial: spatial.filter(|_| paused.is_none()),
                    temporal: temporal.filter(|_| paused.is_none()),
                    width,
                    height,
                    reason: paused.or(was_paused).unwrap_or(viewer.why),
                });
            }
        }
        changes
    }

    /// Returns the state of the encodings, in the publisher's order; empty unless the track is a simulcast.
    pub fn encoding_snapshots(&self, now: Instant) -> Vec<EncodingSnapshot> {
        let snapshot = |rung: &Rung| {
            let encoding = self.encodings.iter().find(|encoding| encoding.rank() == rung.rank);
            EncodingSnapshot {
                name: rung.name.to_string(),
                width: rung.width,
                height: rung.height,
                is_on: rung.is_on,
                bitrate: encoding.map_or(0, |encoding| encoding.bitrate.bps(now)),
                viewers: encoding.map_or(0, |encoding| encoding.backlog.viewers().len()),
            }
        };
        self.ladder.rungs().iter().map(snapshot).collect()
    }

    /// Lets a viewer be told again what they are shown.
    pub fn repeat_layer(&mut self, participant: ParticipantKey, slot: usize) {
        for encoding in &mut self.encodings {
            let is_layer = self.ladder.of_rank(encoding.rank()).is_some();
            let viewers = encoding.backlog.viewers_mut().iter_mut();
            for viewer in viewers.filter(|viewer| viewer.is(participant, slot)) {
                // They may have missed that it is shown again.
                let is_back = matches!(viewer.told, Some(Told::Shown(..))) && !is_layer;
                viewer.told = is_back.then_some(Told::Paused(viewer.why));
            }
        }
    }

    /// Decides which encodings the publisher is to send. Returns whether they are others than before.
    pub fn order_encodings(&mut self, now: Instant) -> bool {
        if !self.ladder.can_order() {
            return false;
        }
        let (mut needed, mut awaits_wish) = ([false; ENCODINGS_MAX], false);
        let is_live = |rung: &Rung| {
            // While nothing is sent on purpose nothing is to be had instead.
            if self.muted {
                return true;
            }
            let number = self.encodings.iter().position(|encoding| encoding.rank() == rung.rank);
            number.is_some_and(|number| self.is_live(now, number))
        };
        for encoding in &self.encodings {
            for viewer in encoding.backlog.viewers().iter().filter(|viewer| !viewer.is_idle) {
                let is_undecided = viewer.undecided_until.is_some_and(|until| now < until);
                awaits_wish |= is_undecided && viewer.allowance != Allowance::Nothing;
                let smallest = Wish { height: Some(1), ..viewer.wish };
                let wish = if viewer.load.is_smallest { smallest } else { viewer.wish };
                // Whoever has not said yet what they want to see takes what there is.
                for allowance in [viewer.allowance, viewer.sought].into_iter().filter(|_| !is_undecided) {
                    self.ladder.mark_needed(now, wish, allowance, is_live, &mut needed);
                }
                if viewer.allowance == Allowance::Nothing {
                    continue;
                }
                // What they are shown until a key frame of another one comes, or because that one does not come.
                for (needed, rung) in needed.iter_mut().zip(self.ladder.rungs()) {
                    *needed |= rung.rank == encoding.rank() && rung.is_on && is_live(rung);
                }
            }
        }
        self.ladder.mark_smallest(awaits_wish, &mut needed);
        if awaits_wish && !needed.contains(&true) {
            let (wish, allowance) = (Wish::default(), Allowance::Everything);
            self.ladder.mark_needed(now, wish, allowance, is_live, &mut needed);
        }
        self.ladder.note_needed(now, &needed)
    }

    /// Returns when what the publisher is to send may change although nothing else does.
    pub fn encodings_deadline(&self, now: Instant) -> Option<Instant> {
        let undecided =
            self.viewers().filter_map(|viewer| viewer.undecided_until).filter(|until| *until > now).min();
        earliest(self.ladder.deadline(now), undecided.filter(|_| self.ladder.can_order()))
    }

    /// Notes until when it is expected that somebody says in which size they want to see the track in a slot; `None` if they
    /// have said it.
    pub fn set_undecided(&mut self, participant: ParticipantKey, slot: usize, until: Option<Instant>) {
        let viewers = self.encodings.iter_mut().flat_map(|encoding| encoding.backlog.viewers_mut());
        for viewer in viewers.filter(|viewer| viewer.is(participant, slot)) {
            viewer.undecided_until = until;
        }
    }
}

//! What it costs to show a track, in which sizes, and what a viewer's network lets them be shown of it.

use std::time::Instant;

use super::viewers::select_encoding;
use super::{Publication, at};
use crate::core::command::{Source, Wish};
use crate::core::forward::backlog::Viewer;
use crate::core::forward::encoding::Encoding;
use crate::core::forward::ladder::{Candidate, fit};
use crate::core::forward::scalability::Part;
use crate::core::forward::steps::{Allowance, Load, Step, Variant, steps};
use crate::core::ids::ParticipantKey;
use crate::core::media::layers::Layers;

impl Publication {
    /// Returns the ways in which a viewer with that wish could be shown the track, the cheapest first: of the encodings that
    /// come, or would if the publisher were asked for them, those up to the one that fits the wish, and of the layers inside
    /// each those up to `limit`. Empty while nothing comes. What the machine has no time for is left out.
    pub fn steps(&self, now: Instant, wish: Wish, limit: Layers, load: Load) -> Vec<Step> {
        if self.muted {
            return Vec::new();
        }
        let is_screen = self.source == Source::Screen;
        let offered = self.offered(now);
        let best = fit(wish, offered.iter().map(|one| one.candidate));
        let wholes: Vec<Variant> = offered.iter().map(Offered::whole).collect();
        // In their order, from the smallest on.
        let mut ranks: Vec<usize> = steps(&wholes, is_screen).iter().map(|step| step.rank).collect();
        let rank = offered.iter().find(|one| Some(one.candidate.place) == best).map(|one| one.candidate.rank);
        let fitting = ranks.iter().position(|one| Some(*one) == rank).map_or(ranks.len(), |place| place + 1);
        ranks.truncate(if load.is_smallest { fitting.min(1) } else { fitting });
        let permitted = offered.iter().filter(|one| ranks.contains(&one.candidate.rank));
        let variants: Vec<Variant> =
            permitted.flat_map(|one| one.variants(wish, limit.lower(load.layers()))).collect();
        steps(&variants, is_screen)
    }

    /// Returns the encodings that come, or would if the publisher were asked for them.
    fn offered(&self, now: Instant) -> Vec<Offered<'_>> {
        let of_rank = |rank: usize| self.encodings.iter().find(|encoding| encoding.rank() == rank);
        let is_live = |encoding: &Encoding| encoding.is_live(now, self.pause);
        let rungs = self.ladder.rungs();
        let mut offered = Vec::new();
        for (place, rung) in rungs.iter().enumerate() {
            let encoding = of_rank(rung.rank);
            if encoding.is_some_and(is_live) || (self.ladder.can_order() && rung.may_come(now)) {
                let cost = self.cost(now, encoding, rung.max_bitrate);
                offered.push(Offered {
                    candidate: Candidate::new(place, rung.rank, Some(rung)),
                    encoding,
                    cost,
                });
            }
        }
        if rungs.is_empty() {
            let only = &self.encodings[at(self.chosen)];
            // A picture that stands still costs nothing just now, and may move again.
            if only.ssrc().is_some() {
                let (candidate, cost) =
                    (Candidate::new(0, only.rank(), None), self.cost(now, Some(only), None));
                offered.push(Offered { candidate, encoding: Some(only), cost });
            }
        }
        offered
    }

    /// What an encoding is expected to take of a viewer's network, bits per second. What has never come and was not
    /// declared is expected to cost nothing: it shows when it comes.
    fn cost(&self, now: Instant, encoding: Option<&Encoding>, declared: Option<u32>) -> u64 {
        let declared = declared.map(u64::from);
        // What is shown on a screen moves now and then, and costs thirty times as much when it does.
        let is_bursty = self.source != Source::Camera;
        let cost = encoding.map_or(declared, |encoding| encoding.bitrate.cost(now, is_bursty, declared));
        cost.unwrap_or(0)
    }

    /// What the track takes of a listener's network, bits per second, if it is audio: what it took at its loudest lately. 0 while
    /// it is muted.
    pub fn audio_rate(&self, now: Instant) -> u64 {
        if self.muted { 0 } else { self.cost(now, self.encodings.first(), None) }
    }

    /// Whether a viewer's network lets them be shown the encoding that they are to be shown.
    pub fn may_show(&self, participant: ParticipantKey, slot: usize) -> bool {
        let Some(viewer) = self.viewers().find(|viewer| viewer.is(participant, slot)) else { return true };
        let selected = self.encoding(select_encoding(viewer, self.chosen));
        selected.is_none_or(|encoding| viewer.allowance.permits(encoding.rank()))
    }

    /// Gives a viewer to whom nothing was sent the encoding that they are to be shown, from what comes next on. Nothing of the
    /// one before may be shown, which their network does not carry.
    pub fn bring_over(&mut self, participant: ParticipantKey, slot: usize) {
        let chosen = self.chosen;
        for from in 0..self.encodings.len() {
            let is_elsewhere =
                |viewer: &Viewer| viewer.is(participant, slot) && at(select_encoding(viewer, chosen)) != from;
            for viewer in self.encodings[from].backlog.take_viewers(is_elsewhere) {
                self.encodings[at(select_encoding(&viewer, chosen))].join_at_end(viewer);
            }
        }
        self.needs_review = true;
    }

    /// Notes what a viewer's network lets them be shown in a slot, and what it may let them be shown soon. Returns whether
    /// that is something else than before.
    pub fn set_allowance(
        &mut self,
        participant: ParticipantKey,
        slot: usize,
        allowance: Allowance,
        sought: Allowance,
    ) -> bool {
        self.change_viewer(participant, slot, |viewer| {
            if (viewer.allowance, viewer.sought) == (allowance, sought) {
                return false;
            }
            viewer.is_new_allowance |= viewer.allowance != allowance;
            (viewer.allowance, viewer.sought) = (allowance, sought);
            true
        })
    }

    /// Notes what the machine has no time for of the track in a slot. Returns whether that is something else than before.
    pub fn set_load(&mut self, participant: ParticipantKey, slot: usize, load: Load) -> bool {
        self.change_viewer(participant, slot, |viewer| {
            if viewer.load == load {
                return false;
            }
            (viewer.load, viewer.is_new_load) = (load, true);
            true
        })
    }

    /// Changes what one of the viewers may be shown. The others stay as they are, so that a change for all of them costs no
    /// more than one each.
    fn change_viewer(
        &mut self,
        participant: ParticipantKey,
        slot: usize,
        change: impl Fn(&mut Viewer) -> bool,
    ) -> bool {
        let is_them = |viewer: &Viewer| viewer.is(participant, slot);
        let mut encodings = self.encodings.iter_mut();
        let has_changed = encodings.find_map(|encoding| encoding.change_viewer(is_them, &change));
        self.needs_review |= has_changed == Some(true);
        has_changed == Some(true)
    }
}

/// An encoding that a viewer could be shown.
struct Offered<'a> {
    candidate: Candidate,
    encoding: Option<&'a Encoding>,
    /// What all of it costs.
    cost: u64,
}

impl Offered<'_> {
    fn whole(&self) -> Variant {
        Variant {
            rank: self.candidate.rank,
            layers: Layers::BASE,
            is_whole: true,
            height: self.candidate.height,
            pictures_permille: 1000,
            cost: self.cost,
        }
    }

    /// Returns it as a whole, or if its layers are known, in the parts that are of use for a wish.
    fn variants(&self, wish: Wish, limit: Layers) -> Vec<Variant> {
        let scalability = self.encoding.and_then(Encoding::scalability);
        let Some((scalability, top)) = scalability.and_then(|own| Some((own, own.top()?))) else {
            return vec![self.whole()];
        };
        let parts = scalability.parts(scalability.fit(wish, Layers::ALL).lower(limit));
        if parts.is_empty() {
            return vec![self.whole()];
        }
        let variant = |part: Part| {
            let is_largest = part.layers.spatial == top.spatial;
            Variant {
                rank: self.candidate.rank,
                layers: part.layers,
                is_whole: part.is_whole,
                // What was declared is said of the largest pictures.
                height: self.candidate.height.filter(|_| is_largest).or(part.height),
                pictures_permille: part.pictures_permille,
                cost: self.cost * part.rate_permille / 1000,
            }
        };
        parts.into_iter().map(variant).collect()
    }
}

//! What it costs to show a track, in which sizes, and what a viewer's network lets them be shown of it.

use std::time::Instant;

use super::viewers::select_encoding;
use super::{Publication, at};
use crate::core::command::{Source, Wish};
use crate::core::forward::backlog::Viewer;
use crate::core::forward::encoding::Encoding;
use crate::core::forward::ladder::{Allowance, Candidate, Step, fit, steps};
use crate::core::ids::ParticipantKey;

impl Publication {
    /// Returns the sizes in which a viewer with that wish could be shown the track, the cheapest first: of the encodings that
    /// come, or would if the publisher were asked for them, those up to the one that fits the wish. Empty while nothing
    /// comes.
    pub fn steps(&self, now: Instant, wish: Wish) -> Vec<Step> {
        if self.muted {
            return Vec::new();
        }
        let of_rank = |rank: usize| self.encodings.iter().find(|encoding| encoding.rank() == rank);
        let is_live = |encoding: &Encoding| encoding.is_live(now, self.pause);
        let rungs = self.ladder.rungs();
        let mut sizes = Vec::new();
        for (place, rung) in rungs.iter().enumerate() {
            let encoding = of_rank(rung.rank);
            if encoding.is_some_and(is_live) || (self.ladder.can_order() && rung.may_come(now)) {
                let cost = self.cost(now, encoding, rung.max_bitrate);
                sizes.push((Candidate::new(place, rung.rank, Some(rung)), cost));
            }
        }
        if rungs.is_empty() {
            let only = &self.encodings[at(self.chosen)];
            // A picture that stands still costs nothing just now, and may move again.
            if only.ssrc().is_some() {
                sizes.push((Candidate::new(0, only.rank(), None), self.cost(now, Some(only), None)));
            }
        }
        let best = fit(wish, sizes.iter().map(|(candidate, _)| *candidate));
        let rank = sizes.iter().map(|(one, _)| one).find(|one| Some(one.place) == best).map(|one| one.rank);
        let all = sizes.iter().map(|(one, cost)| (one.rank, one.height, *cost)).collect();
        let mut steps = steps(all);
        if let Some(top) = steps.iter().position(|step| Some(step.rank) == rank) {
            steps.truncate(top + 1);
        }
        steps
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
                self.encodings[at(select_encoding(&viewer, chosen))].backlog.join_at_end(viewer);
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
        let viewers = self.encodings.iter_mut().flat_map(|encoding| encoding.backlog.viewers_mut());
        let Some(viewer) = viewers.into_iter().find(|viewer| viewer.is(participant, slot)) else {
            return false;
        };
        if (viewer.allowance, viewer.sought) == (allowance, sought) {
            return false;
        }
        viewer.is_new_allowance |= viewer.allowance != allowance;
        (viewer.allowance, viewer.sought) = (allowance, sought);
        self.needs_review = true;
        true
    }
}

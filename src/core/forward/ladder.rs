//! Ladder: the encodings of a simulcast by their sizes. It says which of them fits what a viewer wants to see, and which
//! of them the publisher is to send.
//!
//! **What fits** is a pure function. A picture may be a tenth smaller than it is shown, which nobody notices; among the
//! encodings that are large enough the smallest is taken, and if none is, the largest.
//!
//! **What is sent** follows from that. An encoding is switched on as soon as somebody needs it, and off when nobody has
//! needed it for [`OFF_AFTER`]: a tile that grows, shrinks and grows again must not cost a key frame each time, because
//! browsers make one in all encodings when one is switched on. While anybody watches, the smallest is sent, so that
//! there is something to show at once if another one stops.

use std::time::{Duration, Instant};

use super::steps::Allowance;
use crate::core::command::{EncodingRequest, Wish};

/// An encoding is switched off when nobody has needed it for this long.
pub const OFF_AFTER: Duration = Duration::from_secs(6);
/// When one is switched off, so are those that nobody has needed for this long: each change costs key frames.
const OFF_WITH_OTHERS: Duration = Duration::from_secs(5);
/// An encoding that was switched on gets this long to begin. Until then no smaller one is switched on in its place.
const COMING: Duration = Duration::from_secs(2);

/// An encoding that may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// What the caller knows it by.
    pub place: usize,
    /// How much it is preferred if sizes do not decide, 0 most.
    pub rank: usize,
    /// The width of its pictures in pixels, if it is known.
    pub width: Option<u16>,
    /// The height of its pictures in pixels, if it is known.
    pub height: Option<u16>,
}

impl Candidate {
    /// Makes a candidate of an encoding. Its size is not known if there is no rung for it.
    pub fn new(place: usize, rank: usize, rung: Option<&Rung>) -> Self {
        let (width, height) = (rung.and_then(|rung| rung.width), rung.and_then(|rung| rung.height));
        Self { place, rank, width, height }
    }
}

/// Returns the place of the candidate that fits a wish best; `None` if there are no candidates.
///
/// The height decides, and without a wish for it the width. If the viewer wants no size, or the size of no candidate is
/// known, the rank decides.
pub fn fit(wish: Wish, candidates: impl Iterator<Item = Candidate> + Clone) -> Option<usize> {
    let wanted = wish.height.or(wish.width);
    let size = |candidate: &Candidate| if wish.height.is_some() { candidate.height } else { candidate.width };
    let sized = candidates.clone().filter_map(|candidate| Some((size(&candidate)?, candidate)));
    let by_size = wanted.and_then(|wanted| {
        let suffices = |(size, _): &(u16, Candidate)| u32::from(*size) * 10 >= u32::from(wanted) * 9;
        let smallest = sized.clone().filter(suffices).min_by_key(|(size, one)| (*size, one.rank));
        smallest.or_else(|| sized.max_by_key(|(size, one)| (*size, usize::MAX - one.rank)))
    });
    let best = by_size.map(|(_, candidate)| candidate);
    best.or_else(|| candidates.min_by_key(|candidate| candidate.rank)).map(|candidate| candidate.place)
}

/// One encoding of a simulcast, and whether its publisher is to send it.
#[derive(Debug, Clone)]
pub struct Rung {
    /// Its name: its rid or, if SSRCs declare the simulcast, its place among them, from 1.
    pub name: Box<str>,
    /// Its rank among the encodings of the track, 0 most preferred.
    pub rank: usize,
    /// The width of its pictures in pixels, if it was declared.
    pub width: Option<u16>,
    /// The height of its pictures in pixels, if it was declared.
    pub height: Option<u16>,
    /// The most bits per second that it takes, if it was declared.
    pub max_bitrate: Option<u32>,
    /// Whether the publisher is to send it.
    pub is_on: bool,
    /// When it was switched on.
    on_since: Instant,
    /// Since when nobody has needed it.
    unneeded_since: Option<Instant>,
}

impl Rung {
    /// Whether it may come although it does not yet: it has been switched on only just now, or can be.
    pub fn may_come(&self, now: Instant) -> bool {
        !self.is_on || now < self.on_since + COMING
    }
}

/// The encodings of a simulcast track; empty for any other track.
#[derive(Debug, Default)]
pub struct Ladder {
    /// In the publisher's order.
    rungs: Vec<Rung>,
    /// Whether the publisher can be told which of them to send: it knows them by rids.
    can_order: bool,
}

impl Ladder {
    /// Takes over what an offer says: the names of the encodings with their ranks, and what was declared of them. Those
    /// that were there before keep whether they are sent.
    pub fn update(
        &mut self,
        now: Instant,
        names: impl Iterator<Item = (Box<str>, usize)>,
        declared: &[EncodingRequest],
        can_order: bool,
    ) {
        let before = std::mem::take(&mut self.rungs);
        let rung = |(name, rank): (Box<str>, usize)| {
            let declared = declared.iter().find(|one| *one.rid == *name);
            let known = before.iter().find(|rung| rung.name == name);
            Rung {
                rank,
                width: declared.and_then(|one| one.width),
                height: declared.and_then(|one| one.height),
                max_bitrate: declared.and_then(|one| one.max_bitrate),
                is_on: known.is_none_or(|rung| rung.is_on),
                on_since: known.map_or(now, |rung| rung.on_since),
                unneeded_since: known.and_then(|rung| rung.unneeded_since),
                name,
            }
        };
        self.rungs = names.map(rung).collect();
        self.can_order = can_order;
        if self.rungs.len() < 2 {
            self.rungs.clear();
        }
    }

    /// Returns the encodings, in the publisher's order.
    pub fn rungs(&self) -> &[Rung] {
        &self.rungs
    }

    /// Returns the encoding of that rank.
    pub fn of_rank(&self, rank: usize) -> Option<&Rung> {
        self.rungs.iter().find(|rung| rung.rank == rank)
    }

    /// Whether the publisher can be told which encodings to send.
    pub fn can_order(&self) -> bool {
        self.can_order && !self.rungs.is_empty()
    }

    /// Returns the names of those that the publisher is to send.
    pub fn active(&self) -> Vec<String> {
        self.rungs.iter().filter(|rung| rung.is_on).map(|rung| rung.name.to_string()).collect()
    }

    /// Returns a candidate for each encoding, whose place is the one in [`rungs`](Self::rungs).
    fn candidates(&self) -> impl Iterator<Item = Candidate> + Clone {
        self.rungs.iter().enumerate().map(|(place, rung)| Candidate::new(place, rung.rank, Some(rung)))
    }

    /// Marks what a viewer needs: what fits their wish among what they may be shown and, as long as that does not come although
    /// it was asked for, the next smaller ones down to one that comes. If none of them does, neither will: browsers leave out
    /// the small ones of a small picture. Then it is the larger ones' turn. `is_live` says of each encoding whether it comes.
    pub fn mark_needed(
        &self,
        now: Instant,
        wish: Wish,
        allowance: Allowance,
        is_live: impl Fn(&Rung) -> bool,
        needed: &mut [bool],
    ) {
        let mut tried = 0_u64;
        let is_permitted = |rung: &Rung| allowance.permits(rung.rank);
        let permitted =
            || self.candidates().filter(|one| self.rungs.get(one.place).is_some_and(is_permitted));
        let mut next = fit(wish, permitted());
        while let Some(place) = next
            && let Some(rung) = self.rungs.get(place)
        {
            if let Some(needed) = needed.get_mut(place) {
                *needed = true;
            }
            if is_live(rung) || rung.may_come(now) {
                return;
            }
            tried |= 1 << place;
            let is_left = |one: &Candidate| tried & (1 << one.place) == 0;
            let is_smaller =
                |one: &Candidate| one.height.zip(rung.height).is_none_or(|(one, than)| one < than);
            let tall = |height| Wish { height: Some(height), ..Wish::default() };
            let smaller = permitted().filter(|one| is_left(one) && is_smaller(one));
            next = fit(tall(u16::MAX), smaller).or_else(|| fit(tall(1), permitted().filter(is_left)));
        }
    }

    /// What the publisher sends begins anew, because they are not muted any longer: none is given up before it can come.
    pub fn begin_again(&mut self, now: Instant) {
        for rung in &mut self.rungs {
            rung.on_since = now;
        }
    }

    /// Marks the smallest encoding, if anything is needed, or if somebody has not said yet what they need.
    pub fn mark_smallest(&self, awaits_wish: bool, needed: &mut [bool]) {
        if !awaits_wish && !needed.contains(&true) {
            return;
        }
        let smallest = Wish { height: Some(1), ..Wish::default() };
        let sized = self.candidates().filter(|candidate| candidate.height.is_some());
        if let Some(place) = fit(smallest, sized)
            && let Some(needed) = needed.get_mut(place)
        {
            *needed = true;
        }
    }

    /// Notes what is needed now, in the order of [`rungs`](Self::rungs). Returns whether another set is to be sent.
    pub fn note_needed(&mut self, now: Instant, needed: &[bool]) -> bool {
        let mut has_changed = false;
        let is_due = |(rung, needed): (&Rung, &bool)| {
            !*needed && rung.is_on && rung.unneeded_since.is_some_and(|since| now >= since + OFF_AFTER)
        };
        let patience = if self.rungs.iter().zip(needed).any(is_due) { OFF_WITH_OTHERS } else { OFF_AFTER };
        for (rung, needed) in self.rungs.iter_mut().zip(needed) {
            if *needed {
                rung.unneeded_since = None;
                if !rung.is_on {
                    (rung.is_on, rung.on_since) = (true, now);
                    has_changed = true;
                }
            } else {
                let since = *rung.unneeded_since.get_or_insert(now);
                if rung.is_on && now >= since + patience {
                    rung.is_on = false;
                    has_changed = true;
                }
            }
        }
        has_changed
    }

    /// Returns when what is to be sent may change although nothing else does.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let changes = |rung: &Rung| {
            let off = rung.unneeded_since.map(|since| since + OFF_AFTER);
            off.or_else(|| Some(rung.on_since + COMING).filter(|at| *at > now))
        };
        self.rungs.iter().filter(|rung| self.can_order && rung.is_on).filter_map(changes).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::forward::steps::{Caps, Step};

    fn tall(height: u16) -> Wish {
        Wish { height: Some(height), ..Wish::default() }
    }

    /// 1280×720, 640×360 and 320×180, the middle one preferred.
    fn candidates() -> [Candidate; 3] {
        [(1280, 720, 1), (640, 360, 0), (320, 180, 2)]
            .map(|(width, height, rank)| (Some(width), Some(height), rank))
            .into_iter()
            .enumerate()
            .map(|(place, (width, height, rank))| Candidate { place, rank, width, height })
            .collect::<Vec<_>>()
            .try_into()
            .expect("three")
    }

    fn ladder(now: Instant) -> Ladder {
        let declare = |rid: &str, height| EncodingRequest {
            rid: rid.into(),
            width: None,
            height: Some(height),
            max_bitrate: None,
        };
        let names = [("high", 1), ("medium", 0), ("low", 2)];
        let declared = [declare("low", 180), declare("medium", 360), declare("high", 720)];
        let mut ladder = Ladder::default();
        ladder.update(now, names.map(|(name, rank)| (name.into(), rank)).into_iter(), &declared, true);
        ladder
    }

    #[test]
    fn the_smallest_that_is_large_enough_is_taken() {
        let all = candidates().into_iter();
        for (height, place) in
            [(1, 2), (180, 2), (200, 2), (201, 1), (360, 1), (400, 1), (401, 0), (720, 0), (2160, 0)]
        {
            assert_eq!(fit(tall(height), all.clone()), Some(place), "{height}");
        }
        let wide = Wish { width: Some(640), ..Wish::default() };
        assert_eq!(fit(wide, all.clone()), Some(1), "without a height the width decides");
        assert_eq!(fit(Wish::default(), all.clone()), Some(1), "who wants nothing gets the preferred one");
        assert_eq!(fit(tall(180), all.clone().filter(|one| one.place == 0)), Some(0), "what there is");
        assert_eq!(fit(tall(720), all.clone().filter(|one| one.place > 0)), Some(1), "the largest left");
        assert_eq!(fit(tall(720), all.filter(|_| false)), None);
    }

    #[test]
    fn without_known_sizes_the_rank_decides() {
        let unknown = candidates().map(|one| Candidate { width: None, height: None, ..one }).into_iter();
        assert_eq!(fit(tall(720), unknown), Some(1));
        let some = candidates().map(|one| Candidate { height: one.height.filter(|_| one.place == 2), ..one });
        assert_eq!(fit(tall(720), some.into_iter()), Some(2), "of what is known, the largest");
    }

    #[test]
    fn an_encoding_is_off_some_time_after_the_last_one_needed_it_and_on_at_once() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut ladder = ladder(now);
        assert!(!ladder.note_needed(at(0), &[false, true, true]));
        assert_eq!(ladder.deadline(at(5000)), Some(at(6000)));
        assert!(!ladder.note_needed(at(5999), &[false, true, true]));
        assert!(ladder.note_needed(at(6000), &[false, true, true]));
        assert_eq!((ladder.active(), ladder.deadline(at(6000))), (vec!["medium".into(), "low".into()], None));
        assert!(ladder.note_needed(at(7000), &[true, true, true]), "at once");
        assert!(!ladder.note_needed(at(8000), &[false, true, true]));
        assert!(!ladder.note_needed(at(13_000), &[true, true, true]), "a tile that shrinks for a while");
        assert!(!ladder.note_needed(at(20_000), &[true, true, true]));
        assert_eq!(ladder.active().len(), 3);
    }

    #[test]
    fn what_is_unneeded_for_nearly_as_long_goes_with_the_first_that_is_switched_off() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut ladder = ladder(now);
        assert!(!ladder.note_needed(at(0), &[false, true, true]));
        assert!(!ladder.note_needed(at(900), &[false, false, true]));
        assert!(ladder.note_needed(at(6000), &[false, false, true]));
        assert_eq!(ladder.active(), ["low"]);
    }

    #[test]
    fn smaller_ones_are_needed_only_where_the_fitting_one_does_not_come() {
        let now = Instant::now();
        let later = now + COMING;
        let ladder = ladder(now);
        let needed = |now, wish, live: &[&str]| {
            let mut needed = [false; 3];
            ladder.mark_needed(
                now,
                wish,
                Allowance::Everything,
                |rung| live.contains(&&*rung.name),
                &mut needed,
            );
            needed
        };
        assert_eq!(needed(now, tall(720), &[]), [true, false, false], "it has only begun");
        assert_eq!(needed(later, tall(720), &["high"]), [true, false, false]);
        assert_eq!(needed(later, tall(720), &["medium"]), [true, true, false]);
        assert_eq!(needed(later, tall(720), &["low"]), [true, true, true]);
        assert_eq!(needed(later, tall(360), &["high", "low"]), [false, true, true], "no larger one yet");
        assert_eq!(
            needed(later, tall(180), &["high"]),
            [true; 3],
            "a small picture has no smaller encodings"
        );
        let mut unmuted = ladder;
        unmuted.begin_again(later);
        let mut needed = [false; 3];
        unmuted.mark_needed(later, tall(180), Allowance::Everything, |_| false, &mut needed);
        assert_eq!(needed, [false, false, true], "it has begun anew");
    }

    #[test]
    fn what_a_network_does_not_carry_is_not_needed() {
        let now = Instant::now();
        let ladder = ladder(now);
        let needed = |allowance| {
            let mut needed = [false; 3];
            ladder.mark_needed(now, tall(720), allowance, |_| true, &mut needed);
            needed
        };
        let only = |ranks: &[usize]| {
            let steps: Vec<Step> = ranks.iter().map(|rank| Step::whole(*rank, 1, 1)).collect();
            Allowance::Only(Caps::of(&steps))
        };
        assert_eq!(needed(only(&[0, 2])), [false, true, false]);
        assert_eq!(needed(only(&[2])), [false, false, true]);
        assert_eq!(needed(Allowance::Nothing), [false; 3]);
    }

    #[test]
    fn the_smallest_is_sent_while_anything_is() {
        let ladder = ladder(Instant::now());
        let mut needed = [true, false, false];
        ladder.mark_smallest(false, &mut needed);
        assert_eq!(needed, [true, false, true]);
        let mut nothing = [false; 3];
        ladder.mark_smallest(false, &mut nothing);
        assert_eq!(nothing, [false; 3]);
        ladder.mark_smallest(true, &mut nothing);
        assert_eq!(nothing, [false, false, true], "somebody has come and not said what they want");
    }

    #[test]
    fn another_offer_changes_sizes_and_keeps_what_is_sent() {
        let now = Instant::now();
        let mut ladder = ladder(now);
        ladder.note_needed(now, &[false, true, true]);
        ladder.note_needed(now + OFF_AFTER, &[false, true, true]);
        let declared =
            [EncodingRequest { rid: "low".into(), width: None, height: Some(90), max_bitrate: None }];
        let names = [("high", 1), ("medium", 0), ("low", 2)].map(|(name, rank)| (name.into(), rank));
        ladder.update(now + OFF_AFTER, names.into_iter(), &declared, true);
        assert_eq!(ladder.active(), ["medium", "low"]);
        let heights: Vec<_> = ladder.rungs().iter().map(|rung| rung.height).collect();
        assert_eq!(heights, [None, None, Some(90)]);
        ladder.update(now + OFF_AFTER, [("only".into(), 0)].into_iter(), &[], true);
        assert!(ladder.rungs().is_empty(), "one encoding is no simulcast");
    }
}

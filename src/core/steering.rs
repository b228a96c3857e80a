//! Steering: how much of what somebody wants to see their network lets them be shown. This is the decision alone, for one
//! viewer: a function of what is wanted, of what their network carries, and of what was decided before. The room gathers the
//! first two, and carries out what comes of it.
//!
//! **Down at once, up with care.** What does not fit the budget any more is lowered or paused in the same moment, unless it gets
//! through although packets wait: what fills the line may be somebody else's trial, so it is kept for a moment. What was
//! denied is given again only after a [trial]: padding fills the line up to what the step would take, and the step is
//! taken if the estimate bears it with a margin all the while. Steps that fail come ever more seldom ([`patience`]).
//!
//! Whoever was denied nothing is not tried: a new track, a larger tile and an encoding that begins are shown at once, if they
//! fit the budget with the same margin.

pub mod allocate;
pub mod budget;
pub mod patience;
pub mod thresholds;
pub mod trial;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::allocate::{Class, Layer, Want, allocate, with_margin};
use self::budget::{Budget, Link};
use self::patience::Patience;
use self::trial::{Standing, Trial, Trust};
use super::bandwidth::estimator::Reason;
use super::forward::steps::{Allowance, Caps, Step};
use super::ids::TrackId;
use super::settings::{BandwidthSettings, LayerPolicy};
use super::timers::earliest;

/// An estimate that has not grown for this long, although more is wanted, grows no further by itself: what is sent is too
/// little to show that there is more.
const STAGNANT: Duration = Duration::from_secs(5);
/// The estimate has grown if it is more than before by this part of it.
const GROWS_BY: u64 = 20;
/// A change of the estimate by less than this part of it decides nothing.
const NEWS_PART: u64 = 20;
/// Who takes transport-wide numbers and reports on them does so within this time.
const HEARD_WITHIN: Duration = Duration::from_secs(2);
/// Video must have been sent for so long for its loss to be known.
const LOSS_KNOWN_AFTER: Duration = Duration::from_secs(5);
/// As much of what is sent gets through where the network carries it, in 1/100: rates are measured over different seconds.
const GETS_THROUGH_PERCENT: u64 = 93;
/// What is sent is kept for this long although the estimate has fallen below it because packets wait, as long as it gets through.
/// What fills a line that others share may be their trial, which they end.
const BORNE_FOR: Duration = Duration::from_millis(1500);
/// A network that seems to carry this many times what a step takes has ample room for it.
const AMPLE: u64 = 2;
/// A step that is tried costs more than what is given by this part of that at least, if there is such a one.
const WORTH_PART: u64 = 4;
/// What is wanted in all is told anew if it has changed by more than this part of it: each time it may be probed for.
const DEMAND_PART: u64 = 8;

/// One video track that a viewer has in a slot and wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The track.
    pub track: TrackId,
    /// What it is to them.
    pub class: Class,
    /// Its place among those of its class, the first is 0.
    pub rank: u32,
    /// How much each of its pixels counts, beside those of others of its class.
    pub weight: u64,
    /// The ways in which it can be shown, up to the one that fits what they want.
    pub steps: Vec<Step>,
}

/// What the room has gathered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// What is known of the viewer's network; `None`: nothing, so that what they want decides alone.
    pub link: Option<Link>,
    /// What their audio takes, bits per second.
    pub audio: u64,
    /// The video tracks in their slots that they want to see.
    pub wanted: Vec<Wanted>,
}

/// One decision, to be told to whoever asks why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict<T> {
    /// A track is shown in a smaller size than before.
    Lowered(T),
    /// Nothing of a track is sent any more.
    Paused(T),
    /// A track is shown in a larger size than before.
    Raised(T),
    /// A track is sent again.
    Resumed(T),
    /// It is tried whether the network carries this much, bits per second.
    Trial(u64),
    /// It does not carry this much, bits per second, and is not tried again for a while.
    Failed(u64, Duration),
    /// Fewer pictures of a track are shown than before, as large as before.
    Thinned(T),
    /// More pictures of a track are shown than before, as large as before.
    Thickened(T),
}

impl<T> Verdict<T> {
    /// What decisions are counted by.
    pub const KINDS: [&str; 6] = ["lowered", "paused", "raised", "resumed", "trial", "trial-failed"];

    /// Returns which of [`KINDS`](Self::KINDS) it is.
    pub fn kind(&self) -> usize {
        match self {
            Self::Lowered(_) | Self::Thinned(_) => 0,
            Self::Paused(_) => 1,
            Self::Raised(_) | Self::Thickened(_) => 2,
            Self::Resumed(_) => 3,
            Self::Trial(_) => 4,
            Self::Failed(..) => 5,
        }
    }

    /// Returns the same with another name for the track; `None` if that has none.
    pub fn about<U>(self, name: impl FnOnce(T) -> Option<U>) -> Option<Verdict<U>> {
        Some(match self {
            Self::Lowered(track) => Verdict::Lowered(name(track)?),
            Self::Paused(track) => Verdict::Paused(name(track)?),
            Self::Raised(track) => Verdict::Raised(name(track)?),
            Self::Resumed(track) => Verdict::Resumed(name(track)?),
            Self::Trial(rate) => Verdict::Trial(rate),
            Self::Failed(rate, wait) => Verdict::Failed(rate, wait),
            Self::Thinned(track) => Verdict::Thinned(name(track)?),
            Self::Thickened(track) => Verdict::Thickened(name(track)?),
        })
    }
}

/// What is to be done after a decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// What was decided, in this order.
    pub verdicts: Vec<Verdict<TrackId>>,
    /// Up to which rate the line is to be filled with padding, bits per second; 0: not at all.
    pub padding: u64,
    /// What would be sent if the network carried everything, bits per second; 0 if it does.
    pub demand: u64,
    /// When to decide again, even if nothing happens until then.
    pub next: Option<Instant>,
}

/// What was decided of one track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Given {
    track: TrackId,
    /// What all steps take up to the one that is given.
    caps: Caps,
    /// The same for the step that is being tried; equal to `caps` if none is.
    sought: Caps,
    /// Whether they would be shown more if their network carried it.
    is_limited: bool,
}

/// What was decided for one viewer, and what they wait for.
#[derive(Debug, Default)]
pub struct Steering {
    given: Vec<Given>,
    patience: Patience,
    trial: Option<Trial>,
    /// Since when more is wanted than the estimate bears, and what that was then.
    denied: Option<(Instant, u64)>,
    /// Since when what is sent gets through although the estimate does not bear it.
    strained_since: Option<Instant>,
    /// A step that counts as borne for now, because it could be tried only by taking it.
    trusted: Option<Trust>,
    /// Whether it has been seen that the network carries less than the configured minimum.
    is_minimum_refuted: bool,
    /// Since when any video has been sent without a pause.
    sent_since: Option<Instant>,
    /// What would be sent if the network carried everything, as it was told last.
    demand: u64,
    /// The estimate that was decided by last.
    decided_by: Option<u64>,
    /// Since when video has been sent although nothing was heard of it.
    unheard_since: Option<Instant>,
}

/// The steps that all tracks are given, by the tracks' places: `None` where nothing is sent.
type Sizes = Vec<Option<usize>>;

/// All that one decision is about.
struct Question<'a> {
    now: Instant,
    link: Link,
    budget: Budget,
    wanted: &'a [Wanted],
    ladders: Vec<Vec<Layer>>,
}

impl Question<'_> {
    /// Divides that much for video, of each track no more than its first sizes as `most` says.
    fn divide(&self, budget: u64, most: impl Fn(usize) -> usize) -> Sizes {
        let want = |(place, wanted): (usize, &Wanted)| {
            let ladder = self.ladders.get(place).map_or(&[][..], Vec::as_slice);
            let layers = ladder.get(..most(place).min(ladder.len())).unwrap_or(ladder);
            let may_pause = wanted.class == Class::Thumbnail;
            Want { class: wanted.class, rank: wanted.rank, layers, may_pause }
        };
        allocate(budget, &self.wanted.iter().enumerate().map(want).collect::<Vec<_>>())
    }

    /// What sizes cost together, bits per second.
    fn cost(&self, sizes: &[Option<usize>]) -> u64 {
        let costs = self.wanted.iter().zip(sizes);
        costs.filter_map(|(wanted, size)| Some(wanted.steps.get((*size)?)?.cost)).sum()
    }

    /// How many sizes a track has.
    fn count(&self, place: usize) -> usize {
        self.wanted.get(place).map_or(0, |wanted| wanted.steps.len())
    }

    /// Whether a track is shown in less than the size that fits.
    fn is_limited(&self, place: usize, size: Option<usize>) -> bool {
        count_of(size) < self.count(place)
    }

    /// Returns the sizes with the next one for the first track that has less than it could. Steps that cost hardly more are
    /// passed over, because each attempt costs as much time as a large one.
    fn with_next_step(&self, sizes: &[Option<usize>]) -> Sizes {
        let limited = (0..sizes.len()).filter(|place| self.is_limited(*place, sizes[*place]));
        let first = limited.min_by_key(|place| (self.wanted[*place].class, self.wanted[*place].rank, *place));
        let mut next = sizes.to_vec();
        if let Some(first) = first {
            let (steps, from) = (&self.wanted[first].steps, count_of(sizes[first]));
            let now = sizes[first].and_then(|size| steps.get(size)).map_or(0, |step| step.cost);
            let is_worth_it = |step: &Step| step.cost >= now + now / WORTH_PART;
            let place = steps.iter().skip(from).position(is_worth_it).map(|place| from + place);
            next[first] = place.or_else(|| steps.len().checked_sub(1));
        }
        next
    }

    /// Returns whether two steps of a track differ in how many pictures there are, and not in how large they are.
    fn is_of_same_size(&self, place: usize, sizes: [Option<usize>; 2]) -> bool {
        let of = |size: Option<usize>| self.wanted.get(place)?.steps.get(size?);
        match sizes.map(of) {
            [Some(one), Some(two)] => (one.rank, one.layers.spatial) == (two.rank, two.layers.spatial),
            _ => false,
        }
    }
}

/// Whether any of these sizes is more than before.
fn is_more(sizes: &[Option<usize>], before: &[Option<usize>]) -> bool {
    sizes.iter().zip(before).any(|(size, before)| size > before)
}

/// How many sizes there are up to one, with it.
fn count_of(size: Option<usize>) -> usize {
    size.map_or(0, |size| size + 1)
}

/// What a track's steps take up to one.
fn caps(wanted: &Wanted, size: Option<usize>) -> Caps {
    Caps::of(wanted.steps.get(..count_of(size)).unwrap_or(&wanted.steps))
}

impl Steering {
    /// Returns what a viewer may be shown of a track, and what they may be shown soon.
    pub fn allowance(&self, track: TrackId) -> (Allowance, Allowance) {
        let given = self.given.iter().find(|given| given.track == track);
        let Some(given) = given.filter(|given| given.is_limited) else {
            return (Allowance::Everything, Allowance::Everything);
        };
        let of = |caps: Caps| if caps.is_nothing() { Allowance::Nothing } else { Allowance::Only(caps) };
        (of(given.caps), of(given.sought))
    }

    /// Whether anything is denied that is wanted, or tried.
    pub fn is_busy(&self) -> bool {
        self.trial.is_some() || self.given.iter().any(|given| given.is_limited)
    }

    /// Whether an estimate is another one than what was decided by, by more than a twentieth.
    pub fn is_news(&self, estimate: u64) -> bool {
        self.decided_by.is_none_or(|before| before.abs_diff(estimate) * NEWS_PART > before)
    }

    /// Whether the first estimate is still believed although nothing was heard of the network. Who has not reported on video
    /// for a while never will, and gets what they want.
    pub fn believes(&mut self, now: Instant, has_sent_video: bool) -> bool {
        if !has_sent_video {
            return true;
        }
        let since = *self.unheard_since.get_or_insert(now);
        now.saturating_duration_since(since) < HEARD_WITHIN
    }

    /// Decides what a viewer is shown from now on.
    pub fn decide(&mut self, now: Instant, settings: &BandwidthSettings, view: &View) -> Outcome {
        let Some(link) = view.link else {
            let Self { patience, unheard_since, .. } = *self;
            *self = Self { patience, unheard_since, ..Self::default() };
            return Outcome::default();
        };
        self.decided_by = Some(link.estimate);
        let link = self.with_minimum(link, settings.minimum);
        let wanted = view.wanted.as_slice();
        let layers = |wanted: &Wanted| {
            let layer =
                |step: &Step| Layer { cost: step.cost, value: step.value.saturating_mul(wanted.weight) };
            wanted.steps.iter().map(layer).collect()
        };
        let ladders = wanted.iter().map(layers).collect();
        let before: Sizes = wanted.iter().map(|wanted| self.size_of(wanted)).collect();
        // What was lost of video before it was paused is no sign of what is lost now.
        let is_known = |since: Instant| now.saturating_duration_since(since) >= LOSS_KNOWN_AFTER;
        let is_old = !self.sent_since.is_some_and(is_known);
        let loss = link.loss_millionths;
        let link = if is_old { Link { loss_millionths: 0, ..link } } else { link };
        let budget = Budget::new(&link, view.audio);
        let question = Question { now, link, budget, wanted, ladders };
        self.given.retain(|given| wanted.iter().any(|wanted| wanted.track == given.track));
        let mut outcome = Outcome::default();
        let sizes = match settings.policy {
            LayerPolicy::Allocation => self.allocated(&question, &before, &mut outcome),
            LayerPolicy::Thresholds => self.by_thresholds(&question, &before, None),
            LayerPolicy::LossThresholds => self.by_thresholds(&question, &before, Some(loss)),
            // Nobody asks then.
            LayerPolicy::Wishes => before.clone(),
        };
        let is_sent = sizes.iter().any(Option::is_some);
        self.sent_since = is_sent.then(|| self.sent_since.unwrap_or(now));
        self.note(&question, &before, &sizes, &mut outcome.verdicts);
        self.look_again(&question, &sizes, &mut outcome);
        if link.limited_by == Some(Reason::Told) {
            // What the client says of itself is not learned by sending it more.
            (outcome.padding, outcome.demand) = (0, 0);
        }
        outcome
    }

    /// Notes what is wanted in all, and when to decide again although nothing has happened: never, for those who have
    /// everything they want.
    fn look_again(&mut self, question: &Question<'_>, sizes: &Sizes, outcome: &mut Outcome) {
        let is_limited = (0..sizes.len()).any(|place| question.is_limited(place, sizes[place]));
        let all: Sizes = (0..sizes.len()).map(|place| question.count(place).checked_sub(1)).collect();
        let demand = question.budget.total(question.cost(&all));
        if !is_limited {
            self.demand = 0;
        } else if self.demand.abs_diff(demand) * DEMAND_PART > self.demand {
            self.demand = demand;
        }
        outcome.demand = self.demand;
        if is_limited && outcome.next.is_none() {
            let wait = if question.link.limited_by.is_none() { HEARD_WITHIN } else { STAGNANT };
            outcome.next = Some(question.now + wait);
        }
    }

    /// Raises an estimate to the configured minimum, as long as nothing has shown that the network carries less. From then on
    /// the minimum means nothing, until an estimate reaches it again: a thin link must not be filled with video.
    fn with_minimum(&mut self, link: Link, minimum: u64) -> Link {
        if link.estimate >= minimum {
            self.is_minimum_refuted = false;
        } else if link.limited_by.is_some_and(|reason| reason != Reason::Open) {
            self.is_minimum_refuted = true;
        }
        let least = if self.is_minimum_refuted { 0 } else { minimum };
        Link { estimate: link.estimate.max(least), ..link }
    }

    /// The size that a track was given last; `None` for a new one, and where nothing is sent.
    fn size_of(&self, wanted: &Wanted) -> Option<usize> {
        let given = self.given.iter().find(|given| given.track == wanted.track)?;
        wanted.steps.iter().rposition(|step| given.caps.permits(step))
    }

    fn was_limited(&self, track: TrackId) -> bool {
        self.given.iter().any(|given| given.track == track && given.is_limited)
    }

    /// Divides the budget by what layers cost and are worth.
    fn allocated(&mut self, question: &Question<'_>, before: &Sizes, outcome: &mut Outcome) -> Sizes {
        let held = self.held(question, before);
        let is_less = held.iter().zip(before).any(|(held, before)| held < before);
        if is_less {
            self.patience.on_less(question.now);
            self.denied = None;
            self.trusted = None;
            if let Some(trial) = self.trial.take().filter(|trial| !trial.is_settling()) {
                outcome.verdicts.push(Verdict::Failed(trial.rate(), self.patience.wait()));
            }
        }
        let video = with_margin(question.budget.video).max(question.cost(&held));
        let is_stalled = question.link.limited_by == Some(Reason::Stalled);
        let free = question.divide(video, |place| {
            let is_bound = is_stalled || self.was_limited(question.wanted[place].track);
            if is_bound { count_of(held[place]) } else { question.count(place) }
        });
        let is_limited = (0..free.len()).any(|place| question.is_limited(place, free[place]));
        if !is_limited || is_stalled {
            self.denied = None;
            self.trial = self.trial.take().filter(Trial::is_settling);
            return self.settle(question, free, outcome);
        }
        self.raise(question, free, outcome)
    }

    /// What of the sizes that were given last can stay.
    fn held(&mut self, question: &Question<'_>, before: &Sizes) -> Sizes {
        let Question { now, link, budget, .. } = question;
        if link.limited_by == Some(Reason::Stalled) {
            // Nobody knows what comes through: the least is sent, so that reports can tell when it does again.
            return question.divide(u64::MAX, |place| count_of(before[place]).min(1));
        }
        self.trusted = self.trusted.take().and_then(|trust| trust.look(*now, link));
        let trusted = self.trusted.as_ref().map_or(0, |_| question.cost(before));
        let held = question.divide(budget.video.max(trusted), |place| count_of(before[place]));
        if held == *before {
            self.strained_since = None;
            return held;
        }
        let gets_through = |rate: u64| {
            link.acknowledged.is_some_and(|through| through * 100 >= rate * GETS_THROUGH_PERCENT)
                && link.estimate >= rate / 2
        };
        // The key frame of a larger picture waits, too, on a line that has just borne as much padding.
        let was_borne = self.trial.as_ref().is_some_and(|trial| trial.is_settling() && !trial.is_over(*now));
        let rate = budget.total(question.cost(before));
        let waits = !matches!(link.limited_by, Some(Reason::Loss | Reason::Stalled | Reason::Told))
            && (gets_through(rate) || (was_borne && link.estimate >= rate / 2));
        if waits && now.saturating_duration_since(*self.strained_since.get_or_insert(*now)) < BORNE_FOR {
            return before.clone();
        }
        let is_paused = (0..held.len()).any(|place| held[place].is_none() && before[place].is_some());
        if !is_paused {
            return held;
        }
        // An estimate that falls goes below what gets through, however little that is. As long as the least that there is gets
        // through, it is not paused for that.
        let least = question.divide(u64::MAX, |place| count_of(before[place]).min(1));
        let rate = budget.total(question.cost(&least));
        if gets_through(rate) { least } else { held }
    }

    /// Tries whether more can be sent than these sizes, and returns what is sent from now on.
    fn raise(&mut self, question: &Question<'_>, free: Sizes, outcome: &mut Outcome) -> Sizes {
        let Question { now, link, budget, .. } = question;
        let aim_within = |estimate| {
            let budget = Budget::new(&Link { estimate, ..*link }, budget.audio);
            let video = with_margin(budget.video).max(question.cost(&free));
            question.divide(video, |place| question.count(place))
        };
        let nothing_is_sent = free.iter().all(Option::is_none);
        // While there is a picture, a larger one can wait.
        let seeks_least = match self.trial.as_ref().filter(|trial| !trial.is_settling()) {
            Some(trial) => trial.seeks_least,
            None => nothing_is_sent && !self.patience.allows_more(*now),
        };
        let least = seeks_least.then(|| aim_within(link.estimate / AMPLE)).filter(|aim| is_more(aim, &free));
        let seeks_least = least.is_some();
        let aim = least.unwrap_or_else(|| aim_within(link.estimate));
        let is_borne = is_more(&aim, &free);
        let goal = if is_borne { aim } else { question.with_next_step(&free) };
        if is_borne {
            self.denied = None;
            self.patience.on_room(link.estimate);
        } else {
            self.note_denied(*now, link.estimate);
        }
        let rate = budget.total(question.cost(&goal));
        let is_modest = is_borne && link.estimate / AMPLE >= rate;
        if self.trial.is_none() && self.may_try(question, is_borne, is_modest, nothing_is_sent) {
            self.trial = Some(Trial::new(*now, link, rate, seeks_least));
            outcome.verdicts.push(Verdict::Trial(rate));
        }
        let Some(trial) = self.trial.as_mut().filter(|trial| !trial.is_settling()) else {
            return self.settle(question, free, outcome);
        };
        match trial.look(*now, link, rate, is_borne, nothing_is_sent) {
            Standing::GoesOn => {
                outcome.padding = trial.padding(link.estimate, is_borne);
                outcome.next = Some(*now + trial::TICK);
                // Only now: a publisher need not send what may turn out to be too much.
                let sought = if is_borne { &goal } else { &free };
                self.note_sought(question, sought);
                free
            }
            Standing::Failed => {
                self.patience.on_failed_trial(*now, trial.disproved());
                outcome.verdicts.push(Verdict::Failed(trial.rate(), self.patience.wait()));
                self.trial = None;
                self.denied = None;
                self.settle(question, free, outcome)
            }
            standing @ (Standing::Held | Standing::Unknown) => {
                if standing == Standing::Unknown {
                    self.trusted = Some(Trust::new(*now, link));
                }
                trial.settle(*now);
                self.patience.on_more(*now);
                self.denied = None;
                self.settle(question, goal, outcome)
            }
        }
    }

    /// Whether a trial may begin. While the estimate does not bear the next step, it is tried whether it would grow: it stays
    /// where it is if little is sent. The client's own estimate cannot be tried that way.
    fn may_try(
        &self,
        question: &Question<'_>,
        is_borne: bool,
        is_modest: bool,
        nothing_is_sent: bool,
    ) -> bool {
        let patient = if is_modest { self.patience.next_if_modest() } else { self.patience.next() };
        patient.is_none_or(|at| question.now >= at)
            && (is_borne || self.reach_at(question, nothing_is_sent).is_some_and(|at| question.now >= at))
    }

    /// When it may be tried whether an estimate grows that does not bear the next step.
    fn reach_at(&self, question: &Question<'_>, nothing_is_sent: bool) -> Option<Instant> {
        let (since, _) = self.denied?;
        if question.link.is_probed && !nothing_is_sent {
            return None;
        }
        match question.link.limited_by {
            None | Some(Reason::Delay | Reason::Loss | Reason::Stalled) if !nothing_is_sent => None,
            Some(Reason::Told) if !nothing_is_sent => None,
            _ => Some((since + STAGNANT).max(self.patience.next().unwrap_or(since))),
        }
    }

    /// Remembers since when the estimate has not grown although more is wanted.
    fn note_denied(&mut self, now: Instant, estimate: u64) {
        let has_grown = |(_, before): &(Instant, u64)| estimate > before + before / GROWS_BY;
        if self.denied.as_ref().is_none_or(has_grown) {
            self.denied = Some((now, estimate));
        }
    }

    /// Notes when to decide again, and what padding a step that was just taken needs until its picture has come.
    fn settle(&mut self, question: &Question<'_>, sizes: Sizes, outcome: &mut Outcome) -> Sizes {
        self.trial = self.trial.take().filter(|trial| !trial.is_over(question.now));
        if let Some(trial) = &self.trial {
            outcome.padding = question.budget.total(question.cost(&sizes));
            outcome.next = Some(question.now + trial::TICK);
            debug_assert!(trial.is_settling(), "a trial that goes on has its own padding");
        } else if (0..sizes.len()).any(|place| question.is_limited(place, sizes[place])) {
            let nothing_is_sent = sizes.iter().all(Option::is_none);
            let reach = self.reach_at(question, nothing_is_sent);
            let patient = [self.patience.next_if_modest(), self.patience.next()];
            let patient = patient.into_iter().flatten().find(|at| *at > question.now);
            outcome.next = reach.filter(|at| *at > question.now).or(patient);
        }
        let trusted = self.trusted.as_ref().map(Trust::until);
        let strained = self.strained_since.map(|since| since + BORNE_FOR).filter(|at| *at > question.now);
        outcome.next = earliest(earliest(outcome.next, trusted), strained);
        sizes
    }

    /// Chooses all layers alike.
    fn by_thresholds(&mut self, question: &Question<'_>, before: &Sizes, loss: Option<u32>) -> Sizes {
        let may_rise = self.patience.allows_more(question.now);
        let layer = |(place, before): (usize, &Option<usize>)| {
            let steps = question.wanted[place].steps.as_slice();
            // Encodings alone, and all of each that is of use.
            let is_last =
                |(at, step): &(usize, &Step)| steps[at + 1..].iter().all(|above| above.rank != step.rank);
            let tops: Vec<usize> = steps.iter().enumerate().filter(is_last).map(|(at, _)| at).collect();
            let layer = thresholds::layer(question.link.estimate, loss, tops.len());
            let layer = layer.and_then(|layer| tops.get(layer)).copied();
            let is_bound = !may_rise && self.was_limited(question.wanted[place].track);
            if is_bound { layer.min(*before) } else { layer }
        };
        let sizes: Sizes = before.iter().enumerate().map(layer).collect();
        if sizes.iter().zip(before).any(|(size, before)| size < before) {
            self.patience.on_less(question.now);
        } else if sizes.iter().zip(before).any(|(size, before)| size > before) {
            self.patience.on_more(question.now);
        }
        sizes
    }

    /// Lets the publisher know what is tried, so that it comes when it is needed.
    fn note_sought(&mut self, question: &Question<'_>, goal: &Sizes) {
        for (wanted, size) in question.wanted.iter().zip(goal) {
            if let Some(given) = self.given.iter_mut().find(|given| given.track == wanted.track) {
                given.sought = caps(wanted, *size);
            }
        }
    }

    /// Notes what is given from now on, and tells what has changed.
    fn note(
        &mut self,
        question: &Question<'_>,
        before: &Sizes,
        sizes: &Sizes,
        verdicts: &mut Vec<Verdict<TrackId>>,
    ) {
        let tries = self.trial.as_ref().is_some_and(|trial| !trial.is_settling());
        for (place, wanted) in question.wanted.iter().enumerate() {
            let (track, before, size) = (wanted.track, before[place], sizes[place]);
            let (own, is_limited) = (caps(wanted, size), question.is_limited(place, size));
            let was_limited = self.was_limited(track);
            let known = self.given.iter_mut().find(|given| given.track == track);
            let is_known = known.is_some();
            match known {
                Some(given) => {
                    let sought = if tries { given.sought.with(own) } else { own };
                    *given = Given { track, caps: own, sought, is_limited };
                }
                None => self.given.push(Given { track, caps: own, sought: own, is_limited }),
            }
            let is_paused = size.is_none() && is_limited;
            if is_paused && (before.is_some() || !is_known) {
                verdicts.push(Verdict::Paused(track));
            } else if size < before || (is_limited && !was_limited) {
                let from = if was_limited { before } else { wanted.steps.len().checked_sub(1) };
                let is_thinned = question.is_of_same_size(place, [from, size]);
                verdicts.push(if is_thinned { Verdict::Thinned(track) } else { Verdict::Lowered(track) });
            } else if was_limited && size > before {
                verdicts.push(match before {
                    None => Verdict::Resumed(track),
                    _ if question.is_of_same_size(place, [before, size]) => Verdict::Thickened(track),
                    _ => Verdict::Raised(track),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;

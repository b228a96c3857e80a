//! Trial: whether a viewer's network would bear the next step, found out before it is taken. Padding fills the line up to the
//! rate of that step; if the estimate bears it for a while, the step is taken.
//!
//! Without a trial the key frame of the larger picture would come as a burst on a line of which nobody knows whether it is
//! wide enough, the estimator would take it for a full queue, and fall to what got through before it.

use std::time::{Duration, Instant};

use super::budget::Link;
use crate::core::bandwidth::estimator::Reason;

/// How often it is looked how a trial stands.
pub const TICK: Duration = Duration::from_millis(100);
/// The estimate must bear the step for this long,
const HELD_FOR: Duration = Duration::from_secs(1);
/// and for this many round trips, because it is late by one.
const HELD_FOR_ROUND_TRIPS: u32 = 5;
/// A trial that has not been borne by then has failed.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(20);
/// If no video is sent, and the estimate has not grown for so long, padding that does not arrive can be the reason.
const UNHEARD_AFTER: Duration = Duration::from_secs(3);
/// Padding arrives if this much of what is filled up to gets through, in 1/100.
const ARRIVES_PERCENT: u64 = 70;
/// What held the estimate before anything was sent is no sign that the trial has filled the line.
const STALE_FOR: Duration = Duration::from_secs(1);
/// While the estimate does not bear the step, it is exceeded by this part of it only.
const REACHES_BEYOND: u64 = 4;
/// The estimate has grown if it is more than before by this part of it.
const GROWS_BY: u64 = 20;
/// An estimate that falls by more than this part of it does not bear the trial.
const FALLS_BY: u64 = 20;
/// Padding goes on for this long after the step, until its picture has come.
const SETTLES_FOR: Duration = Duration::from_secs(2);

/// How a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is not decided.
    GoesOn,
    /// The network has borne it.
    Held,
    /// The network does not bear it.
    Failed,
    /// Nothing was heard of it, because padding does not reach the client. It can only be tried by taking the step.
    Unknown,
}

/// One trial, until the picture that it was made for has come.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    began: Instant,
    /// The estimate when it began, bits per second.
    estimate: u64,
    /// How many reports had come by then.
    reports: u64,
    /// Whether nothing is sent and any picture is sought, however much more the network seems to carry.
    pub seeks_least: bool,
    /// What the network is to carry in all, bits per second.
    rate: u64,
    /// When the estimate grew last, and to what.
    grown: (Instant, u64),
    /// Up to which rate the line is filled, bits per second.
    filled: u64,
    /// Since when the estimate bears it.
    borne_since: Option<Instant>,
    /// Until when padding goes on although the step was taken.
    settles_until: Option<Instant>,
}

impl Trial {
    /// Begins a trial of that rate.
    pub fn new(now: Instant, link: &Link, rate: u64, seeks_least: bool) -> Self {
        let (estimate, reports) = (link.estimate, link.reports);
        let grown = (now, estimate);
        Self {
            began: now,
            estimate,
            reports,
            seeks_least,
            rate,
            grown,
            filled: 0,
            borne_since: None,
            settles_until: None,
        }
    }

    /// What the network is to carry in all, bits per second.
    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// What the network turned out not to carry if it has failed, bits per second: what was to be shown, and what the estimate
    /// was when it began, which was wrong if that is more.
    pub fn disproved(&self) -> u64 {
        self.rate.max(self.estimate)
    }

    /// Whether the step was taken already.
    pub fn is_settling(&self) -> bool {
        self.settles_until.is_some()
    }

    /// Whether the step was taken so long ago that its picture has come.
    pub fn is_over(&self, now: Instant) -> bool {
        self.settles_until.is_none_or(|until| now >= until)
    }

    /// Notes that the step is taken.
    pub fn settle(&mut self, now: Instant) {
        self.settles_until = Some(now + SETTLES_FOR);
    }

    /// Looks how it stands. `rate` is what the network is to carry by now, and `is_borne` whether the estimate bears that.
    pub fn look(
        &mut self,
        now: Instant,
        link: &Link,
        rate: u64,
        is_borne: bool,
        nothing_is_sent: bool,
    ) -> Standing {
        self.rate = rate;
        let has_fallen = link.estimate < self.estimate - self.estimate / FALLS_BY;
        let lasts = now.saturating_duration_since(self.began);
        let is_heard = link.reports > self.reports;
        let through = link.acknowledged.filter(|_| is_heard);
        let arrives = through.is_some_and(|rate| rate * 100 >= self.filled * ARRIVES_PERCENT);
        let is_stale = nothing_is_sent && (!arrives || lasts < STALE_FOR);
        let is_full = matches!(link.limited_by, Some(Reason::Delay | Reason::Loss | Reason::Stalled));
        if has_fallen || (is_full && !is_borne && !is_stale) || lasts >= GIVEN_UP_AFTER {
            return Standing::Failed;
        }
        if link.estimate > self.grown.1 + self.grown.1 / GROWS_BY {
            self.grown = (now, link.estimate);
        }
        if !is_borne {
            self.borne_since = None;
            let stands_still = now.saturating_duration_since(self.grown.0) >= UNHEARD_AFTER;
            let is_unheard = nothing_is_sent && !arrives && stands_still;
            return if is_unheard { Standing::Unknown } else { Standing::GoesOn };
        }
        let since = *self.borne_since.get_or_insert(now);
        let needed = HELD_FOR.max(link.round_trip * HELD_FOR_ROUND_TRIPS);
        if now.saturating_duration_since(since) >= needed { Standing::Held } else { Standing::GoesOn }
    }

    /// Returns up to which rate the line is to be filled, bits per second. What the estimate does not bear is approached by
    /// steps, so that a narrow line is not flooded.
    pub fn padding(&mut self, estimate: u64, is_borne: bool) -> u64 {
        let reach = estimate + estimate / REACHES_BEYOND;
        self.filled = if is_borne { self.rate } else { self.rate_with_margin().min(reach) };
        self.filled
    }

    /// The rate, and what the estimate must exceed it by.
    fn rate_with_margin(&self) -> u64 {
        self.rate + self.rate / 8
    }
}

/// How long a step that could be tried only by taking it is trusted, and again as long as the estimate grows with it.
const TRUSTED_FOR: Duration = Duration::from_secs(9);
/// The same where the client tells its estimate itself, which does not need long for it.
const TRUSTED_FOR_IF_TOLD: Duration = Duration::from_secs(5);
/// An estimate that falls by more than this part of it does not bear the step.
const TRUST_FALLS_BY: u64 = 5;

/// A step that was taken to find out whether the network bears it.
#[derive(Debug, Clone, Copy)]
pub struct Trust {
    since: Instant,
    until: Instant,
    /// The estimate then, bits per second.
    estimate: u64,
}

impl Trust {
    /// A step that is taken now.
    pub fn new(now: Instant, link: &Link) -> Self {
        let is_told = link.limited_by == Some(Reason::Told);
        let until = now + if is_told { TRUSTED_FOR_IF_TOLD } else { TRUSTED_FOR };
        Self { since: now, until, estimate: link.estimate }
    }

    /// Until when it is trusted, if nothing speaks against it.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// Looks whether it is still trusted.
    pub fn look(self, now: Instant, link: &Link) -> Option<Self> {
        let has_fallen = link.estimate < self.estimate - self.estimate / TRUST_FALLS_BY;
        let is_stale = now.saturating_duration_since(self.since) < STALE_FOR;
        let is_full = matches!(link.limited_by, Some(Reason::Delay | Reason::Stalled)) && !is_stale;
        if has_fallen || is_full {
            return None;
        }
        if now < self.until {
            return Some(self);
        }
        // The estimate follows slowly what is sent. As long as it does, there is more.
        let grows = link.estimate > self.estimate + self.estimate / GROWS_BY;
        grows.then(|| Self::new(now, link))
    }
}

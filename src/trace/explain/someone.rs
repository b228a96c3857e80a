//! A participant of a call: when they were there, how they were reached, and what happened to them.

use std::collections::BTreeSet;

use super::model::{Entry, Hop, Person, RouteSpan};
use super::time::{Span, Time};
use crate::trace::facts::Route;

/// A participant who is or was there.
#[derive(Debug)]
pub struct Someone {
    pub id: String,
    pub name: String,
    pub joined: Time,
    pub left: Option<Time>,
    pub is_connected: bool,
    pub route: Option<Route>,
    /// How they have been reached. The last one goes on.
    pub routes: Vec<RouteSpan>,
    pub timeline: Vec<Entry>,
    /// The tenths of seconds of the call in which their reports came.
    pub heard: BTreeSet<u128>,
    /// Whether they left by saying so.
    pub said_goodbye: bool,
    /// What their network was last told to carry, bits per second.
    pub bandwidth: Option<u64>,
}

impl Someone {
    pub fn finish(mut self, end: Time) -> Person {
        let left = self.left.unwrap_or(end);
        if let Some(open) = self.routes.last_mut().filter(|_| self.left.is_none()) {
            open.span.to = end;
        }
        Person {
            id: self.id,
            name: self.name,
            present: Span { from: self.joined, to: left },
            timeline: self.timeline,
            routes: self.routes,
            publishes: Vec::new(),
            watches: Vec::new(),
            uplink: Hop::default(),
            downlink: Hop::default(),
        }
    }

    /// Returns whether their reports came well within a stretch of time.
    pub fn was_heard(&self, from: Time, to: Time) -> bool {
        let (from, to) = (from.0.as_millis() / 100 + 1, to.0.as_millis() / 100);
        from < to && self.heard.range(from..to).next().is_some()
    }

    /// Returns whether they had left by then, and had said so.
    pub fn had_left(&self, at: Time) -> bool {
        self.said_goodbye && self.left.is_some_and(|left| left <= at)
    }

    /// Returns whether they could not be reached at some time within a stretch.
    pub fn was_cut_off(&self, from: Time, to: Time) -> bool {
        let last = self.routes.len().saturating_sub(1);
        self.routes.iter().enumerate().any(|(index, route)| {
            let goes_on = index == last && self.left.is_none();
            route.by.is_none() && route.span.from < to && (goes_on || route.span.to > from)
        })
    }
}

//! Facts about people: joining, leaving and connecting.

use std::collections::BTreeSet;

use super::Story;
use crate::core::bandwidth::estimator::Reason as LimitedBy;
use crate::core::event::LeaveReason;
use crate::core::stats::{RedundancyDecision, RedundancyReason};
use crate::core::topology::Mode;
use crate::trace::explain::keyframes::Reason;
use crate::trace::explain::model::{RouteSpan, Weight};
use crate::trace::explain::someone::Someone;
use crate::trace::explain::time::{Span, Time};
use crate::trace::explain::words;
use crate::trace::facts::Route;

impl Story {
    /// Somebody speaks most from now on. Who speaks besides is too much to be told.
    pub(super) fn floor_taken(&mut self, at: Time, dominant: Option<usize>) {
        let before = std::mem::replace(&mut self.dominant, dominant);
        let Some(person) = dominant.filter(|person| Some(*person) != before) else { return };
        let text = "takes the floor: speaks most of all (dominant speaker)".to_owned();
        self.tell(at, person, "speaks", Weight::Plain, text);
    }

    pub(super) fn joined(&mut self, at: Time, id: String, name: String) {
        self.people.push(Someone {
            id,
            name,
            joined: at,
            left: None,
            is_connected: false,
            route: None,
            routes: Vec::new(),
            timeline: Vec::new(),
            heard: BTreeSet::new(),
            said_goodbye: false,
            bandwidth: None,
        });
        let text = match self.mode {
            Some(Mode::P2p) => "joined; media goes straight from one to the other",
            Some(Mode::Sfu) | None => "joined",
        };
        self.tell(at, self.people.len() - 1, "joined", Weight::Plain, text.to_owned());
    }

    pub(super) fn signalling_lost(&mut self, at: Time, person: usize) {
        let text = "signalling broke; media goes on".to_owned();
        self.tell(at, person, "signalling-lost", Weight::Notable, text);
    }

    pub(super) fn signalling_back(&mut self, at: Time, person: usize) -> Option<()> {
        self.tell(at, person, "signalling-back", Weight::Notable, "signalling is back".to_owned());
        self.need_keyframes(person, Reason::SignallingBack)
    }

    pub(super) fn media_lost(&mut self, at: Time, person: usize) {
        let is_connected = self.people.get(person).is_some_and(|someone| someone.is_connected);
        let text = if is_connected {
            "neither media nor a connectivity check came for some seconds; everyone was told"
        } else {
            "their media connection was not up some seconds after their first offer was answered; everyone was told"
        };
        self.tell(at, person, "media-lost", Weight::Trouble, text.to_owned());
    }

    pub(super) fn media_back(&mut self, at: Time, person: usize) {
        let text = "something comes from them; everyone was told".to_owned();
        self.tell(at, person, "media-back", Weight::Notable, text);
    }

    pub(super) fn connected(&mut self, at: Time, person: usize) -> Option<()> {
        let someone = self.people.get_mut(person)?;
        someone.is_connected = true;
        let by =
            someone.route.as_ref().map_or_else(String::new, |route| format!(" by {}", words::route(route)));
        let took = at.since(someone.joined);
        self.tell(at, person, "connected", Weight::Plain, format!("connected{by}, {took} after joining"));
        self.need_keyframes(person, Reason::Begins)
    }

    pub(super) fn ice_restarted(&mut self, at: Time, person: usize) {
        let text = "restarted ICE: the client looks for a way anew".to_owned();
        self.tell(at, person, "ice-restart", Weight::Notable, text);
    }

    pub(super) fn routed(&mut self, at: Time, person: usize, route: Option<Route>) -> Option<()> {
        self.close_route(at, person);
        let someone = self.people.get_mut(person)?;
        let before = std::mem::replace(&mut someone.route, route);
        let was_reached = !someone.routes.is_empty();
        someone.routes.push(RouteSpan {
            span: Span { from: at, to: at },
            by: route.map(|route| route.carrier),
            address: route.map(|route| route.remote.to_string()),
        });
        let (kind, weight, text) = match (before, route) {
            (None, Some(route)) if !was_reached => {
                ("path", Weight::Plain, format!("is reached by {}", words::route(&route)))
            }
            (None, Some(route)) => {
                ("path-back", Weight::Notable, format!("is reached again, by {}", words::route(&route)))
            }
            (Some(before), Some(route)) if before.carrier != route.carrier => {
                let (from, to) = (words::carrier(before.carrier), words::route(&route));
                ("path-changed", Weight::Notable, format!("moved from {from} to {to}"))
            }
            (Some(before), Some(route)) => {
                let text = format!("has another address: {}, before {}", route.remote, before.remote);
                ("path-changed", Weight::Notable, text)
            }
            (_, None) => {
                let text = "cannot be reached: no connectivity check came for too long; nothing is sent";
                ("path-lost", Weight::Trouble, text.to_owned())
            }
        };
        let is_back = kind == "path-back" && someone.is_connected;
        self.tell(at, person, kind, weight, text);
        if is_back {
            self.need_keyframes(person, Reason::Back)?;
        }
        Some(())
    }

    pub(super) fn gone(&mut self, at: Time, person: usize, reason: LeaveReason) -> Option<()> {
        let someone = self.people.get_mut(person)?;
        someone.left = Some(at);
        someone.said_goodbye = reason == LeaveReason::Left;
        let text = words::departure(reason);
        self.close_route(at, person);
        self.tell(at, person, "left", Weight::Plain, text.to_owned());
        let slots = self.slots.keys().filter(|(of, _)| *of == person).cloned().collect::<Vec<_>>();
        for slot in slots {
            self.hide(at, &slot);
        }
        Some(())
    }

    /// Tells that somebody is sent their audio with more or fewer copies than before, and why.
    pub(super) fn redundancy(&mut self, at: Time, person: usize, decision: RedundancyDecision) {
        let RedundancyDecision { copies, loss_permille, reason } = decision;
        let loss = format!("{}.{} %", loss_permille / 10, loss_permille % 10);
        let what = match copies {
            0 => "is sent audio without copies again",
            1 => "is sent each packet of audio twice",
            _ => "is sent each packet of audio three times",
        };
        let (weight, why) = match reason {
            RedundancyReason::Loss => (Weight::Notable, format!("{loss} of it was lost")),
            RedundancyReason::Calm => {
                (Weight::Plain, format!("only {loss} of it was lost for half a minute"))
            }
            RedundancyReason::NoRoom => (
                Weight::Notable,
                format!("their network has no room for copies, although {loss} of it was lost"),
            ),
        };
        self.tell(at, person, "redundancy", weight, format!("{what}: {why}"));
    }

    /// Tells that somebody's network carries much more, or much less, than was told before.
    pub(super) fn estimated(
        &mut self,
        at: Time,
        person: usize,
        estimate: u64,
        reason: LimitedBy,
    ) -> Option<()> {
        let someone = self.people.get_mut(person)?;
        let before = someone.bandwidth;
        let is_less = before.is_some_and(|before| estimate * 3 <= before * 2);
        if !is_less && before.is_some_and(|before| estimate < before * 2) {
            return Some(());
        }
        someone.bandwidth = Some(estimate);
        let rate = words::bit_rate(estimate);
        let (kind, weight, text) = match before {
            None => ("bandwidth", Weight::Plain, format!("their network carries about {rate}")),
            Some(before) if is_less => {
                let (before, why) = (words::bit_rate(before), words::limit(reason));
                let text = format!("their network carries about {rate}, less than {before} before: {why}");
                ("bandwidth-down", Weight::Notable, text)
            }
            Some(_) => ("bandwidth-up", Weight::Plain, format!("their network carries about {rate} now")),
        };
        self.tell(at, person, kind, weight, text);
        Some(())
    }

    /// Ends somebody's present route.
    fn close_route(&mut self, at: Time, person: usize) {
        let open = self.people.get_mut(person).and_then(|someone| someone.routes.last_mut());
        if let Some(open) = open {
            open.span.to = at;
        }
    }

    /// Notes that somebody needs key frames of all the video that they watch.
    fn need_keyframes(&mut self, person: usize, reason: fn(String) -> Reason) -> Option<()> {
        let name = self.people.get(person)?.name.clone();
        let watched = self.slots.iter().filter(|((of, _), _)| *of == person).map(|(_, watching)| *watching);
        for watching in watched {
            let track = self.watchings.get(watching).and_then(|watching| self.tracks.get_mut(watching.track));
            if let Some(track) = track.filter(|track| track.is_video()) {
                track.keyframes.needed(reason(name.clone()));
            }
        }
        Some(())
    }
}

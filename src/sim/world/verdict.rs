//! The checks at the end: when all networks have been well for a while, everybody must see and hear everybody they
//! should; and when everybody has gone, nothing may be left.

use std::time::Duration;

use super::{RESUME_WITHIN, World};
use crate::core::command::MediaKind;
use crate::core::event::WaitingReason;
use crate::sim::client::Endpoint;
use crate::sim::network::{Micros, SECOND, name};
use crate::sim::plan::Endpoints;

/// Media must have come within this time, µs.
const LATELY: Micros = 2 * SECOND;
/// A track that was put into its slot lately may take this long to begin, µs: video waits for a key frame.
const BEGINS_WITHIN: Micros = SECOND;

impl World<'_> {
    /// Checks that media flows to everybody, and that everybody knows the room.
    pub(super) fn judge_calm(&mut self) {
        if self.is_hopeless() {
            return;
        }
        let mut complaints = Vec::new();
        for index in 0..self.people.len() {
            let Some(viewer) = self.living(index) else { continue };
            self.judge_view(index, viewer, &mut complaints);
            for other in (0..self.people.len()).filter(|other| *other != index) {
                if let Some(publisher) = self.living(other) {
                    self.judge_pair(viewer, publisher, &mut complaints);
                }
            }
        }
        for complaint in complaints {
            self.oracle.complain(self.now, complaint);
        }
    }

    /// Returns somebody's endpoint, if they are there and not switched off.
    fn living(&self, index: usize) -> Option<&Endpoint> {
        let person = self.people.get(index)?.as_ref()?;
        person.endpoint.as_ref().filter(|_| !person.off)
    }

    fn judge_view(&self, index: usize, viewer: &Endpoint, complaints: &mut Vec<String>) {
        let who = name(index);
        if viewer.joined.is_none() || !viewer.connected {
            complaints.push(format!("{who} has not got in"));
            return;
        }
        if !viewer.asked.is_empty() {
            complaints.push(format!("{who} waits for replies: {:?}", viewer.asked));
        }
        let mut there: Vec<usize> =
            (0..self.people.len()).filter(|other| *other != index && self.living(*other).is_some()).collect();
        let mut known: Vec<usize> = viewer.room.people.values().map(|known| known.0).collect();
        known.sort_unstable();
        there.sort_unstable();
        let vanished: Vec<usize> = known.iter().copied().filter(|one| !there.contains(one)).collect();
        // A person who has just vanished may still be waited for, even if they are back as another participant.
        let lingers = |one: usize| {
            self.people.get(one).and_then(Option::as_ref).is_some_and(|person| {
                let forgotten_at = person.lost_at.map(|at| at + RESUME_WITHIN + SECOND);
                person.off || forgotten_at.is_some_and(|at| self.now < at)
            })
        };
        let lingering = vanished.iter().all(|one| lingers(*one));
        let missing: Vec<String> =
            there.iter().filter(|one| !known.contains(one)).map(|one| name(*one)).collect();
        if !missing.is_empty() || !lingering {
            complaints.push(format!("{who} knows {known:?} where {there:?} are"));
        }
        let is_there = |one: usize| there.contains(&one) && !lingers(one);
        if viewer.room.people.values().any(|(other, reconnecting)| *reconnecting && is_there(*other)) {
            complaints.push(format!("{who} believes that somebody is reconnecting who is there"));
        }
    }

    /// Checks that all tracks of one reach the other, if they should.
    fn judge_pair(&self, viewer: &Endpoint, publisher: &Endpoint, complaints: &mut Vec<String>) {
        let who = name(viewer.person);
        for sender in publisher.senders.iter().filter(|sender| sender.published && sender.is_first()) {
            let source = sender.plan.source;
            let mut own = publisher.senders.iter().filter(|other| other.mid == sender.mid);
            let is_sent = own.any(|sender| sender.due().is_some());
            let what = format!("{}'s {source:?}", name(publisher.person));
            let Some(track) = publisher.own_track(source) else { continue };
            let Some(known) = viewer.room.tracks.get(&track) else {
                complaints.push(format!("{who} does not know of {what}"));
                continue;
            };
            if known.info.muted != publisher.is_muted(source) {
                complaints.push(format!("{who} believes that {what} is muted = {}", known.info.muted));
            }
            if viewer.unwanted.contains(&track) {
                continue;
            }
            let Some(map) = &viewer.room.slot_map else {
                complaints.push(format!("{who} has no slot map"));
                continue;
            };
            let slot = map.slots.iter().find(|slot| slot.track.is_some_and(|(shown, _)| shown == track));
            if viewer.room.cannot.contains(&track) {
                let waits = map.waiting.iter().any(|(waits, _)| *waits == track);
                // Before the first packet of a track the server assumes the first codec of the offer, and an engine has
                // its own order.
                let heard = sender.has_begun() && !publisher.is_muted(source);
                let known = self.plan.endpoints == Endpoints::Own || heard;
                if known && viewer.receives_everywhere(sender.plan.codec) && slot.is_none() && !waits {
                    complaints.push(format!("{who} was told that {what} cannot be received"));
                }
                continue;
            }
            let Some(slot) = slot else {
                let full = |(waits, reason): &(_, WaitingReason)| {
                    *waits == track && matches!(reason, WaitingReason::SlotLimit | WaitingReason::NotSpeaking)
                };
                if !map.waiting.iter().any(full) {
                    complaints.push(format!("{who} neither has {what} in a slot nor waits for one"));
                }
                continue;
            };
            let is_paused = viewer.paused.contains(&track) || viewer.room.starved.contains(&track);
            let silent = publisher.is_muted(source) || is_paused || viewer.is_unseen(track);
            if silent || !is_sent || !viewer.receives(sender.plan.codec) {
                continue;
            }
            let mid = slot.mid.to_string();
            let decoded = viewer.slots.values().filter(|slot| slot.mid == mid).flat_map(|slot| &slot.decoded);
            let lately = decoded.filter(|(at, stream)| {
                let info = self.post.streams.get(*stream as usize);
                *at + LATELY > self.now
                    && info.is_some_and(|info| info.person == publisher.person && info.source == source)
            });
            // Where people share slots, the track may have got its slot just now.
            let shown_since = viewer.room.shown_since.get(&track).copied().unwrap_or_default();
            let shown_for = self.now.saturating_sub(shown_since + BEGINS_WITHIN).min(LATELY);
            // Half of the frames is enough, because a decoder may have begun just now.
            let (count, expected) = (lately.count() as u64, shown_for / sender.plan.interval.max(1));
            if count * 2 < expected {
                let kind = if source.kind() == MediaKind::Audio { "sounds" } else { "frames" };
                complaints.push(format!(
                    "{who} got {count} of {expected} {kind} of {what} in the last {} ms",
                    shown_for / 1000
                ));
            }
        }
    }

    /// Checks that nothing is left when everybody has gone.
    pub(super) fn judge_end(&mut self) {
        if self.is_hopeless() {
            return;
        }
        let snapshot = self.sfu.snapshot(self.base + Duration::from_micros(self.now));
        if !snapshot.rooms.is_empty() {
            let people: Vec<String> = snapshot
                .rooms
                .iter()
                .flat_map(|room| &room.participants)
                .map(|one| one.profile.name.clone())
                .collect();
            self.oracle.complain(self.now, format!("everybody has gone, and the room still has {people:?}"));
        } else if snapshot.demux_entries + snapshot.deadlines > 0 {
            let (entries, deadlines) = (snapshot.demux_entries, snapshot.deadlines);
            let what =
                format!("no room is left, but {entries} entries of the demux and {deadlines} deadlines");
            self.oracle.complain(self.now, what);
        } else if let Some(handshakes) = self.handshakes.as_ref().filter(|handshakes| handshakes.len() > 0) {
            let what = format!("no room is left, but {} handshakes", handshakes.len());
            self.oracle.complain(self.now, what);
        }
    }
}

//! Checks frames that a whole endpoint puts together: they must be of the track that the slot shows, which must not be
//! muted or paused. The time at which a frame was sent decides: it is wrong only if the server knew better before that,
//! and still does.

use std::collections::BTreeMap;

use super::{Oracle, track_of};
use crate::core::event::SlotMap;
use crate::core::ids::TrackId;
use crate::sim::client::StreamInfo;
use crate::sim::mark::Mark;
use crate::sim::network::Micros;

/// What one participant is shown, and since when the server has known it.
#[derive(Debug, Default)]
pub(super) struct Showing {
    slots: BTreeMap<String, (Option<TrackId>, Micros)>,
    paused: BTreeMap<TrackId, Micros>,
}

impl Showing {
    /// Notes a slot map that left for them.
    pub(super) fn mapped(&mut self, now: Micros, map: &SlotMap) {
        for slot in &map.slots {
            let shown = slot.track.map(|(track, _)| track);
            let known = self.slots.entry(slot.mid.to_string()).or_insert((None, now));
            if known.0 != shown {
                *known = (shown, now);
            }
        }
    }

    /// Notes that they paused or resumed a track, or asked for it anew.
    pub(super) fn paused(&mut self, now: Micros, track: TrackId, paused: bool) {
        if paused {
            self.paused.entry(track).or_insert(now);
        } else {
            self.paused.remove(&track);
        }
    }
}

impl Oracle {
    /// Checks a frame that a whole endpoint has put together in one of its sections.
    pub fn frame_came(&mut self, now: Micros, session: u64, mid: &str, mark: &Mark, streams: &[StreamInfo]) {
        self.forwarded += 1;
        let Some(info) = streams.get(mark.stream as usize) else {
            return self.complain(now, "a frame of a stream that nobody sent");
        };
        let Some(member) = self.members.get(&session) else { return };
        let who = super::name(member.person);
        let of = format!("{}'s {:?}", super::name(info.person), info.source);
        let track = track_of(&self.members, &self.tracks, info).map(|(track, _)| track);
        // Ended tracks count, too, because a participant who leaves is not told about their end.
        let is_of = |shown: &TrackId| {
            let track = self.tracks.get(shown);
            let owner = track.and_then(|track| self.members.get(&track.owner));
            track.is_some_and(|track| track.source == info.source)
                && owner.is_some_and(|owner| (owner.person, owner.life) == (info.person, info.life))
        };
        let mut complaints = Vec::new();
        // Frames sent before a change may still be on their way, so only later ones are wrong.
        match member.showing.slots.get(mid) {
            None => complaints.push(format!("{who} gets {of} in section {mid}, which shows nothing")),
            Some((shown, since)) => {
                if !shown.as_ref().is_some_and(is_of) && mark.sent_at > *since {
                    complaints.push(format!("{who} gets {of} in section {mid}, which does not show it"));
                }
            }
        }
        let track_model = track.and_then(|track| self.tracks.get(&track));
        if track_model.is_some_and(|track| track.muted && mark.sent_at > track.changed_at) {
            complaints.push(format!("{who} gets {of}, which is muted"));
        }
        let paused_at = track.and_then(|track| member.showing.paused.get(&track));
        if paused_at.is_some_and(|since| mark.sent_at > *since) {
            complaints.push(format!("{who} gets {of}, and has paused it"));
        }
        for complaint in complaints {
            self.complain(now, complaint);
        }
    }
}

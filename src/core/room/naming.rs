//! How members know tracks beforehand: by ids that are reserved for their own, and by answers that name those of others.

use std::time::Instant;

use super::Room;
use super::sections::msids_of_slots;
use crate::core::command::{Layout, TrackLabel};
use crate::core::event::Event;
use crate::core::forward::slot::Slot;
use crate::core::ids::{ParticipantKey, RequestId, TrackId, TransportKey};
use crate::core::msid::msid_of_track;
use crate::core::negotiation::answer::{Msid, Naming};
use crate::core::negotiation::offer::Offer;
use crate::core::outbox::Outbox;

impl Room {
    /// Reserves the id of a track that a member is about to publish, and tells them.
    pub(super) fn reserve_track(
        &mut self,
        key: ParticipantKey,
        request: Option<RequestId>,
        label: Box<TrackLabel>,
        outbox: &mut Outbox,
    ) {
        let most = self.settings.tracks_per_participant_max;
        let participant = &mut self.participants[key.0];
        // Nobody says that they will not publish it after all, so the oldest one makes way.
        if participant.reserved.len() >= most.max(1) {
            participant.reserved.remove(0);
        }
        let track = TrackId(participant.rng.u64());
        participant.reserved.push((track, label));
        outbox.event(key, Event::TrackReserved(request, track));
    }

    /// Returns whether an id was reserved for a member, or is that of a track of theirs.
    pub(super) fn may_publish_as(&self, key: ParticipantKey, track: TrackId) -> bool {
        let own = self.by_track.get(&track).map(|publication| self.publications[publication.0].owner);
        own == Some(key) || self.participants[key.0].reserved.iter().any(|(reserved, _)| *reserved == track)
    }

    /// Writes the answer to an offer that was accepted on a transport.
    pub(super) fn write_answer(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        on: TransportKey,
        offer: &Offer<'_>,
    ) -> String {
        let naming = self.naming(key, on);
        let start_kbps = self.settings.video_start_kbps;
        let transport = &mut self.transports[on.0];
        let (candidates, negotiated) = (transport.candidates.clone(), transport.negotiated.clone());
        transport
            .with_session(|session| session.answer(now, offer, &negotiated, &candidates, start_kbps, &naming))
    }

    /// Returns how an answer names the slots on a transport, which [`take_slots`](Self::take_slots) has brought up to date.
    fn naming(&self, key: ParticipantKey, on: TransportKey) -> Naming {
        let negotiated = &self.transports[on.0].negotiated;
        let participant = &self.participants[key.0];
        match participant.layout {
            // Those who are told parameters get no answers.
            Layout::Slots | Layout::Parameters => {
                Naming::Slots(msids_of_slots(negotiated, &participant.slots, on))
            }
            Layout::Tracks => Naming::Tracks(self.msids_of_tracks(&participant.slots, on)),
        }
    }

    fn msids_of_tracks(&self, slots: &[Slot], on: TransportKey) -> Vec<Msid> {
        let mut open: Vec<&Slot> = slots.iter().filter(|slot| slot.transport == on && slot.open).collect();
        open.sort_by_key(|slot| slot.order);
        let msid = |slot: &Slot| {
            let publication = self.publications.get(slot.shown?.publication.0)?;
            let (stream, track) = msid_of_track(
                publication.owner_id,
                publication.track,
                publication.source,
                publication.label.as_deref(),
            );
            Some(Msid { mid: slot.mid, stream, track })
        };
        open.into_iter().filter_map(msid).collect()
    }
}

//! Audio rates: publishers are told at which rate to send their audio, by what the networks of its viewers carry.

use std::time::Instant;

use super::Room;
use crate::core::command::MediaKind;
use crate::core::event::Event;
use crate::core::forward::backlog::Viewer;
use crate::core::forward::publication::Publication;
use crate::core::forward::slot::Slot;
use crate::core::ids::{ParticipantKey, PublicationKey, TransportKey};
use crate::core::outbox::Outbox;

/// Audio may take one part in so many of what a network carries; the rest is for video, and for copies of the audio.
const PART_FOR_AUDIO: u64 = 3;

impl Room {
    /// Looks at which rate the audio that comes on a transport is to be sent, and tells its publisher if that has changed.
    pub(super) fn review_audio_rates(&mut self, now: Instant, on: TransportKey, outbox: &mut Outbox) {
        let Some(owner) = self.owner_of(on) else { return };
        for place in 0..self.participants[owner.0].publications.len() {
            let key = self.participants[owner.0].publications[place];
            let publication = &self.publications[key.0];
            if publication.transport != on || publication.kind() != MediaKind::Audio || publication.muted {
                continue;
            }
            let room = self.room_for(publication);
            self.order_audio_rate(now, owner, key, room, outbox);
        }
    }

    fn order_audio_rate(
        &mut self,
        now: Instant,
        owner: ParticipantKey,
        key: PublicationKey,
        room: Option<u64>,
        outbox: &mut Outbox,
    ) {
        let publication = &mut self.publications[key.0];
        if publication.audio_rate.review(now, room).is_some() && self.participants[owner.0].is_connected() {
            outbox.event(owner, ordered(publication));
        }
    }

    /// Returns how much room the viewer of a track of audio who has the least has for it, in bits per second; `None` if
    /// nobody's network is known.
    fn room_for(&self, publication: &Publication) -> Option<u64> {
        let room_of = |viewer: &Viewer| {
            let slots = &self.participants.get(viewer.participant.0)?.slots;
            let on = slots.get(viewer.slot)?.transport;
            let media = self.transports.get(on.0)?.media.as_ref()?;
            let heard = |slot: &&Slot| {
                slot.transport == on && slot.kind == MediaKind::Audio && slot.flowing().is_some()
            };
            let streams = slots.iter().filter(heard).count().max(1) as u64;
            let times = 1 + media.redundancy.copies() as u64;
            Some(media.egress.bandwidth()?.estimate / PART_FOR_AUDIO / streams / times)
        };
        publication.viewers().filter_map(room_of).min()
    }

    /// Tells a member again, after their signalling was away, at which rates they are to send their audio.
    pub(super) fn remind_of_audio_rates(&self, key: ParticipantKey, outbox: &mut Outbox) {
        for publication in &self.participants[key.0].publications {
            let publication = &self.publications[publication.0];
            if publication.audio_rate.ordered().is_some() {
                outbox.event(key, ordered(publication));
            }
        }
    }
}

fn ordered(publication: &Publication) -> Event {
    let Publication { mid, track, audio_rate, .. } = publication;
    Event::Bitrate { mid: *mid, track: *track, max_bitrate: audio_rate.ordered().unwrap_or_default() }
}

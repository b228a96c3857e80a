//! Counters: the counts of a room's streams are added to its totals when somebody asks and before a stream ends.

use slab::Slab;

use super::Room;
use crate::core::command::MediaKind;
use crate::core::forward::publication::Publication;
use crate::core::ids::{ParticipantKey, TransportKey};
use crate::core::negotiated::Codec;
use crate::core::participant::Participant;
use crate::core::stats::StreamCounters;
use crate::core::totals::{Direction, StreamClass, Totals};
use crate::core::transport::Transport;

impl Room {
    /// Moves everything that was counted in this room to `totals`.
    pub fn collect_totals(&mut self, totals: &mut Totals) {
        // The order does not matter for sums.
        for key in self.order.clone() {
            self.collect_counters(key);
        }
        totals.absorb(&mut self.totals);
    }

    /// Adds the new counts of one member's streams to the totals of the room.
    pub(super) fn collect_counters(&mut self, key: ParticipantKey) {
        let Some(participant) = self.participants.get_mut(key.0) else { return };
        let Participant { slots, publications, transports, .. } = participant;
        let by =
            |transport: TransportKey, all: &Slab<Transport>| Some(all.get(transport.0)?.path?.protocol());
        for slot in slots {
            let transport = by(slot.transport, &self.transports);
            let codec = slot.codec_last.map(Codec::name);
            let class = StreamClass { direction: Direction::Out, kind: slot.kind, codec, transport };
            self.totals.note_stream(class, slot.counters, &mut slot.reported);
            self.totals.dropouts[1] += slot.dropouts - slot.dropouts_reported;
            slot.dropouts_reported = slot.dropouts;
        }
        for publication_key in publications {
            let Some(publication) = self.publications.get_mut(publication_key.0) else { continue };
            let counted = counters_of(publication, &self.transports);
            let codec = publication.codec().map(Codec::name);
            let transport = by(publication.transport, &self.transports);
            let class = StreamClass { direction: Direction::In, kind: publication.kind(), codec, transport };
            self.totals.note_stream(class, counted, &mut publication.reported);
            let dropouts = dropouts_of(publication, &self.transports);
            self.totals.dropouts[0] += dropouts.saturating_sub(publication.dropouts_reported);
            publication.dropouts_reported = publication.dropouts_reported.max(dropouts);
        }
        for transport in transports {
            let Some(media) = &mut self.transports[transport.0].media else { continue };
            let egress = &mut media.egress;
            self.totals.egress.add(&egress.counters.since(&egress.reported));
            egress.reported = egress.counters;
            let ingress = &mut media.ingress;
            self.totals.unusable += ingress.dropped.saturating_sub(ingress.dropped_reported);
            ingress.dropped_reported = ingress.dropped;
        }
    }
}

/// Returns how often so much of a publication's audio was missing in a row that people hear it.
pub(super) fn dropouts_of(publication: &Publication, transports: &Slab<Transport>) -> u64 {
    let media = transports.get(publication.transport.0).and_then(|transport| transport.media.as_ref());
    let streams = media.filter(|_| publication.kind() == MediaKind::Audio);
    let streams = streams.into_iter().flat_map(|media| media.ingress.streams());
    let own = streams.filter(|(_, stream)| stream.publication == publication.key);
    own.map(|(_, stream)| stream.statistics.gaps()).sum()
}

/// Returns everything that has been counted for a publication: by its encodings, and by the streams that carry it.
pub(super) fn counters_of(publication: &Publication, transports: &Slab<Transport>) -> StreamCounters {
    let mut counters = publication.counters();
    let media = transports.get(publication.transport.0).and_then(|transport| transport.media.as_ref());
    let streams = media.into_iter().flat_map(|media| media.ingress.streams());
    for (_, stream) in streams.filter(|(_, stream)| stream.publication == publication.key) {
        counters.lost += stream.counters.lost;
        counters.nacked += stream.counters.nacked;
        // Duplicates, which never get as far as an encoding.
        counters.dropped += stream.counters.dropped;
    }
    counters
}

//! What a room's streams have counted, moved into its totals: when somebody asks, and before a stream ends.

use super::Room;
use crate::core::ids::ParticipantKey;
use crate::core::negotiated::Codec;
use crate::core::participant::Participant;
use crate::core::stats::StreamCounters;
use crate::core::totals::{Direction, StreamClass, Totals};

impl Room {
    /// Moves everything that was counted here to `totals`.
    pub fn collect_totals(&mut self, totals: &mut Totals) {
        for key in self.order.clone() {
            self.settle_totals(key);
        }
        totals.absorb(&mut self.totals);
    }

    /// Moves what one participant's streams have counted to the room's totals.
    pub(super) fn settle_totals(&mut self, key: ParticipantKey) {
        let Some(participant) = self.participants.get_mut(key.0) else { return };
        let Participant { slots, media, publications, path, .. } = participant;
        let transport = path.map(|path| path.transport);
        for slot in slots {
            let codec = slot.codec_last.map(Codec::name);
            let class = StreamClass { direction: Direction::Out, kind: slot.kind, codec, transport };
            self.totals.note_stream(class, slot.counters, &mut slot.noted);
        }
        for publication_key in publications {
            let Some(publication) = self.publications.get_mut(publication_key.0) else { continue };
            let mut counted: StreamCounters = publication.counters;
            let streams = media.iter().flat_map(|media| media.ingress.streams());
            for (_, stream) in streams.filter(|(_, stream)| stream.publication == *publication_key) {
                counted.lost += stream.counters.lost;
                counted.retransmitted += stream.counters.retransmitted;
                counted.nacked += stream.counters.nacked;
            }
            let codec = publication.codec().map(Codec::name);
            let class = StreamClass { direction: Direction::In, kind: publication.kind(), codec, transport };
            self.totals.note_stream(class, counted, &mut publication.noted);
        }
        if let Some(media) = media {
            let ingress = &mut media.ingress;
            self.totals.unusable += ingress.dropped.saturating_sub(ingress.dropped_noted);
            ingress.dropped_noted = ingress.dropped;
        }
    }
}

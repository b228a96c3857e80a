//! Audio that comes with copies of earlier packets (RFC 2198) is taken apart on arrival: what is kept and forwarded is the
//! packet's own data, so that each viewer can be sent as many copies as they need, whatever the publisher sends.
//!
//! The copies have one more use: they fill in packets that were lost on the way here.

use std::time::Instant;

use super::{Placement, Publication};
use crate::core::media::extensions::PassedExtensions;
use crate::core::media::ingress::MediaPacket;
use crate::wire::red;

impl Publication {
    /// Takes a packet that carries copies of earlier ones. What was lost before it is taken from the copies.
    pub(super) fn arrive_with_copies(&mut self, now: Instant, packet: &MediaPacket<'_>) -> Placement {
        let Some(number) = self.encoding_of_rank(packet.rank) else { return Placement::default() };
        let Ok(redundant) = red::parse(packet.payload) else {
            self.encodings[number].counters.dropped += 1;
            return Placement::default();
        };
        let mut placement = Placement::default();
        let missing = self.encodings[number].missing_before(packet);
        if missing > 0 {
            let count = redundant.copies().count() as u64;
            // The last copy is of the packet before this one.
            for (place, copy) in (0..count).zip(redundant.copies()) {
                let back = count - place;
                let timestamp = packet.timestamp.wrapping_sub(u32::from(copy.offset));
                let is_new = |newest: u32| timestamp.wrapping_sub(newest).wrapping_sub(1) < 0x7fff_ffff;
                if back > missing
                    || copy.payload.is_empty()
                    || !self.encodings[number].newest_timestamp().is_some_and(is_new)
                {
                    continue;
                }
                let lost = MediaPacket {
                    index: packet.index - back,
                    timestamp,
                    marker: false,
                    redundant: false,
                    recovered: true,
                    extensions: PassedExtensions::default(),
                    payload: copy.payload,
                    ..*packet
                };
                placement.add(self.arrive_alone(now, &lost));
            }
        }
        let own = MediaPacket {
            redundant: false,
            payload: redundant.primary,
            extensions: packet.extensions,
            ..*packet
        };
        placement.add(self.arrive_alone(now, &own));
        placement
    }
}

impl Placement {
    /// Joins what became of two packets that came as one.
    fn add(&mut self, other: Self) {
        self.begins_to_wait |= other.begins_to_wait;
        self.codec_changed |= other.codec_changed;
        self.starts_keyframe |= other.starts_keyframe;
        self.is_brimful |= other.is_brimful;
    }
}

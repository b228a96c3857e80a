//! Copies: which earlier packets of an audio stream go out again with a packet, in RFC 2198's redundant form.
//!
//! They are taken from the encoding's cache, and written into the datagram in front of the packet's own data. Packets that
//! do not follow each other without a gap are not joined: a receiver knows a copy by its timestamp alone, and before a
//! pause there is only comfort noise.

use super::encoding::{Encoding, PacketInfo};
use crate::core::media::cache::CachedPacket;
use crate::core::mutation::mutated;
use crate::core::negotiated::CodecParams;
use crate::wire::opus;
use crate::wire::red::{self, Block};

/// The most copies with one packet. With as many, two packets in three can be lost.
pub const COPIES_MAX: usize = 2;
/// A packet becomes no longer than this by its copies, in bytes of payload, so that it fits any path.
const PAYLOAD_BYTES_MAX: usize = 1100;

/// The copies that go out with one packet.
#[derive(Debug, Clone, Copy)]
pub struct Copies<'a> {
    /// Filled from the end, so that the oldest comes first.
    copies: [Block<'a>; COPIES_MAX],
    count: usize,
}

impl<'a> Copies<'a> {
    /// Collects up to `most` copies for a packet. `began_with` is the first packet of its stretch that the viewer was sent;
    /// nothing from before that is in their stream. `codec` is how the viewer takes the codec.
    pub fn collect(
        encoding: &'a Encoding,
        packet: &CachedPacket<'a, PacketInfo>,
        began_with: u64,
        most: usize,
        codec: CodecParams,
    ) -> Self {
        let mut copies = Self { copies: [NO_COPY; COPIES_MAX], count: 0 };
        if packet.payload.is_empty() {
            return copies;
        }
        let mut length = packet.payload.len();
        let mut newer = packet.meta.timestamp;
        let earlier = (began_with..packet.meta.index).rev().take(most.min(COPIES_MAX));
        for earlier in earlier.map_while(|index| encoding.packet(index)) {
            let (meta, payload) = (earlier.meta, earlier.payload);
            let offset = packet.meta.timestamp.wrapping_sub(meta.timestamp);
            // Opus sends a packet in 400 ms while nobody speaks.
            let is_next = opus::duration(payload)
                .is_some_and(|duration| newer.wrapping_sub(meta.timestamp) <= 2 * duration);
            length += payload.len();
            if meta.extra.generation != packet.meta.extra.generation
                || !is_next
                || !(1..=red::OFFSET_MAX).contains(&offset)
                || payload.len() > red::LENGTH_MAX
                || length > PAYLOAD_BYTES_MAX
            {
                break;
            }
            let offset = if mutated!(CopyOfWrongTime) { offset / 2 } else { offset };
            copies.count += 1;
            copies.copies[COPIES_MAX - copies.count] =
                Block { payload_type: codec.pt.0, offset: offset as u16, payload };
            newer = meta.timestamp;
        }
        copies
    }

    /// The copies, oldest first.
    pub fn as_slice(&self) -> &[Block<'a>] {
        &self.copies[COPIES_MAX - self.count..]
    }
}

const NO_COPY: Block<'static> = Block { payload_type: 0, offset: 0, payload: &[] };

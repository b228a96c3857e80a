//! Parameter sets: what an H.264 decoder needs before the first picture, for key frames that come without it.
//!
//! Senders are to put the sets in front of each IDR picture (RFC 7742 §6.2). Some do so once, with the first picture, and
//! some give them in the offer alone (`sprop-parameter-sets`, RFC 6184 §8.2.1). Whoever comes later could decode nothing of
//! these, so the sets are put in front of such a picture here, as packets of their own, which every packetization mode
//! allows.

use crate::core::ids::PayloadType;
use crate::core::media::ingress::MediaPacket;
use crate::limits::{PARAMETER_SET_BYTES_MAX, PARAMETER_SETS_MAX};
use crate::wire::h264;

/// Sets that came so few packets before a picture belong to it, whatever its timestamp says.
const NEAR: u64 = 4;

/// Parameter sets that an offer gave, each with the payload type that it is for.
pub type OfferedSets = Vec<(PayloadType, Box<[u8]>)>;

/// The parameter sets that came last in a stream.
#[derive(Debug, Default)]
pub struct ParameterSets {
    /// NAL units, in the order in which they came.
    units: Vec<Box<[u8]>>,
    /// How many of them came with the picture of `timestamp`; those behind are of pictures before.
    fresh: usize,
    timestamp: u32,
    /// The number of the packet that they came with.
    index: u64,
}

impl ParameterSets {
    /// Keeps the sets in a packet. Allocates only when they change.
    pub fn note(&mut self, packet: &MediaPacket<'_>) {
        for unit in h264::parameter_sets(packet.payload) {
            self.index = packet.index;
            if packet.timestamp != self.timestamp {
                self.timestamp = packet.timestamp;
                self.fresh = 0;
            }
            if self.fresh == PARAMETER_SETS_MAX || unit.len() > PARAMETER_SET_BYTES_MAX {
                continue;
            }
            if self.units.get(self.fresh).is_none_or(|known| **known != *unit) {
                self.units.truncate(self.fresh);
                self.units.push(unit.into());
            }
            self.fresh += 1;
        }
    }

    /// Returns the sets that belong before a packet that has come directly behind the one before it, if `follows`. None if
    /// it needs none, or if they may still be on their way: then the next key frame is the one to begin with.
    pub fn before<'a>(
        &'a self,
        offered: &'a OfferedSets,
        packet: &MediaPacket<'_>,
        follows: bool,
    ) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let is_near = packet.index.abs_diff(self.index) <= NEAR;
        let came_with_it = self.fresh > 0 && (is_near || self.timestamp == packet.timestamp);
        let begins = !came_with_it && h264::is_bare_keyframe(packet.payload);
        let own = self.units.iter().filter(move |_| begins && follows);
        let pt = packet.codec.pt;
        let offers = begins && self.units.is_empty();
        let offered = offered.iter().filter(move |(of, _)| offers && *of == pt);
        own.chain(offered.map(|(_, unit)| unit)).map(|unit| &**unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::{PublicationKey, Ssrc};
    use crate::core::media::extensions::PassedExtensions;
    use crate::core::negotiated::{Codec, CodecParams, H264Profile};

    const PT: PayloadType = PayloadType(96);
    const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1f];
    const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
    const IDR: &[u8] = &[0x65, 0x88, 1, 2];

    /// A packet of a picture; each picture is ten packets behind the one before.
    fn packet(timestamp: u32, payload: &[u8]) -> MediaPacket<'_> {
        let codec = Codec::H264 { profile: H264Profile::ConstrainedBaseline, packetization_mode: 1 };
        MediaPacket {
            ssrc: Ssrc(1),
            publication: PublicationKey(0),
            rank: 0,
            index: u64::from(timestamp) * 10,
            timestamp,
            marker: true,
            codec: CodecParams { codec, pt: PT, rtx: None, red: None, nack: true },
            redundant: false,
            recovered: false,
            extensions: PassedExtensions::default(),
            payload,
        }
    }

    fn before(
        sets: &ParameterSets,
        offered: &OfferedSets,
        packet: &MediaPacket<'_>,
        follows: bool,
    ) -> Vec<Vec<u8>> {
        sets.before(offered, packet, follows).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn sets_of_the_offer_stand_before_every_key_frame_of_their_payload_type() {
        let offered = vec![(PT, SPS.into()), (PT, PPS.into())];
        let sets = ParameterSets::default();
        assert_eq!(before(&sets, &offered, &packet(7, IDR), false), [SPS, PPS]);
        assert!(before(&sets, &offered, &packet(7, &[0x41, 0x9a]), true).is_empty(), "no key frame");
        assert!(before(&sets, &offered, &packet(7, &[0x65, 0x08]), true).is_empty(), "its second slice");
        let other = vec![(PayloadType(97), SPS.into())];
        assert!(before(&sets, &other, &packet(7, IDR), true).is_empty());
    }

    #[test]
    fn sets_that_came_once_are_kept_for_key_frames_without() {
        let mut sets = ParameterSets::default();
        let aggregate = [&[0x78, 0, 4][..], SPS, &[0, 4], PPS].concat();
        sets.note(&packet(7, &aggregate));
        let none = OfferedSets::new();
        assert!(before(&sets, &none, &packet(7, IDR), true).is_empty(), "they came with it");
        assert_eq!(before(&sets, &none, &packet(8, IDR), true), [SPS, PPS]);
        assert!(before(&sets, &none, &packet(8, IDR), false).is_empty(), "newer ones may be on their way");
        let other = [0x67, 0x42, 0xc0, 0x28];
        sets.note(&packet(9, &other));
        sets.note(&packet(9, PPS));
        assert_eq!(before(&sets, &none, &packet(10, IDR), true), [&other[..], PPS]);
    }
}

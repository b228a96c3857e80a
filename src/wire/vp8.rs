//! VP8's payload descriptor: where frames and their temporal layers begin, and where its counters stand.
//!
//! RFC 7741 §4.2 (descriptor) and §4.3 (the P bit of the payload header). Its counters are renumbered by
//! [`PictureCounters::patch`].

use super::Malformed;
use super::cursor::Cursor;
use super::picture_id::{PictureCounters, PictureId};

/// The descriptor of one VP8 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp8Descriptor {
    /// Whether the packet begins a frame (S=1 and PID=0).
    pub starts_frame: bool,
    /// Whether it begins a key frame.
    pub keyframe: bool,
    /// The frame's counters, as far as the sender writes them.
    pub counters: PictureCounters,
    /// TID, the temporal layer, 0–3; 0 is the base.
    pub temporal_id: Option<u8>,
    /// Y: the frame refers to nothing but the base layer. False without a temporal layer.
    pub layer_sync: bool,
    /// Bytes of the descriptor, 1–6; the VP8 payload header or partition data follow.
    pub descriptor_len: usize,
}

/// Parses the descriptor at the start of an RTP `payload`.
///
/// # Errors
/// [`Malformed`] if the payload ends within the descriptor or right behind it.
pub fn parse(payload: &[u8]) -> Result<Vp8Descriptor, Malformed> {
    let mut cursor = Cursor::new(payload);
    let first = cursor.u8()?;
    let extension = if first & 0x80 != 0 { cursor.u8()? } else { 0 };
    let picture_id_offset = cursor.position();
    let picture_id = if extension & 0x80 != 0 { Some(PictureId::read(&mut cursor)?) } else { None };
    let tl0_offset = cursor.position();
    let tl0_picture_index = if extension & 0x40 != 0 { Some(cursor.u8()?) } else { None };
    let has_temporal_id = extension & 0x20 != 0;
    let layer = if extension & 0x30 != 0 { cursor.u8()? } else { 0 };
    let starts_frame = first & 0x17 == 0x10;
    Ok(Vp8Descriptor {
        starts_frame,
        keyframe: cursor.peek_u8()? & 0x01 == 0 && starts_frame,
        counters: PictureCounters { picture_id, tl0_picture_index, picture_id_offset, tl0_offset },
        temporal_id: has_temporal_id.then_some(layer >> 6),
        layer_sync: has_temporal_id && layer & 0x20 != 0,
        descriptor_len: cursor.position(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::picture_id::patching_changes_counters_alone;
    use super::*;

    /// X S; I L T; 15-bit PictureID 0x1234, TL0PICIDX 0x56, TID 2 with Y; an interframe's payload header.
    const FULL: [u8; 7] = [0x90, 0xe0, 0x92, 0x34, 0x56, 0xa0, 0x01];

    #[test]
    fn a_full_descriptor_is_read() {
        let descriptor = parse(&FULL).unwrap();
        assert!(descriptor.starts_frame && !descriptor.keyframe && descriptor.layer_sync);
        assert_eq!(descriptor.counters.picture_id, Some(PictureId { value: 0x1234, bits: 15 }));
        assert_eq!((descriptor.counters.tl0_picture_index, descriptor.temporal_id), (Some(0x56), Some(2)));
        assert_eq!(descriptor.descriptor_len, 6);
        for length in 0..FULL.len() {
            assert_eq!(parse(&FULL[..length]), Err(Malformed), "{length} bytes");
        }
    }

    #[test]
    fn the_shortest_descriptor_is_one_byte() {
        let descriptor = parse(&[0x10, 0x00]).unwrap();
        assert!(descriptor.starts_frame && descriptor.keyframe && !descriptor.layer_sync);
        assert_eq!((descriptor.counters.picture_id, descriptor.counters.tl0_picture_index), (None, None));
        assert_eq!((descriptor.temporal_id, descriptor.descriptor_len), (None, 1));
    }

    #[test]
    fn only_the_first_packet_of_a_frame_can_begin_a_key_frame() {
        for (first, starts) in [(0x10, true), (0x30, true), (0x00, false), (0x11, false), (0x14, false)] {
            let descriptor = parse(&[first, 0x00]).unwrap();
            assert_eq!((descriptor.starts_frame, descriptor.keyframe), (starts, starts), "{first:#x}");
        }
    }

    #[test]
    fn a_key_index_alone_is_no_temporal_layer() {
        let descriptor = parse(&[0x90, 0x10, 0xff, 0x00]).unwrap();
        assert_eq!((descriptor.temporal_id, descriptor.layer_sync), (None, false));
        assert_eq!(descriptor.descriptor_len, 3);
    }

    #[test]
    fn patching_changes_the_numbers_and_nothing_else() {
        let mut bytes = FULL;
        parse(&FULL).unwrap().counters.patch(&mut bytes, 0xffff, 0x01);
        assert_eq!(bytes, [0x90, 0xe0, 0xff, 0xff, 0x01, 0xa0, 0x01]);
        let mut short = [0x90, 0x80, 0x05, 0x01];
        parse(&short).unwrap().counters.patch(&mut short, 0x0181, 0xee);
        assert_eq!(short, [0x90, 0x80, 0x01, 0x01], "7 bits stay 7 bits, no TL0PICIDX appears");
        let mut none = [0x10, 0x00];
        parse(&none).unwrap().counters.patch(&mut none, 1, 1);
        assert_eq!(none, [0x10, 0x00]);
    }

    #[test]
    fn patching_random_packets_is_idempotent_and_read_back() {
        patching_changes_counters_alone(&FULL, |bytes| {
            parse(bytes).ok().map(|descriptor| (descriptor.counters, descriptor.descriptor_len))
        });
    }
}

//! The counters that VP8 (RFC 7741 §4.2) and VP9 (RFC 9628 §4.2) share, and how to renumber them: the picture id, a frame
//! counter of 7 or 15 bits that wraps, and TL0PICIDX.

use super::Malformed;
use super::cursor::Cursor;

/// A frame's number as its sender wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureId {
    /// The number, below 2^bits.
    pub value: u16,
    /// The field's width, 7 or 15 bits; anything but 7 is taken for 15.
    pub bits: u8,
}

impl PictureId {
    /// The largest value of this width; all lower values are below it.
    pub fn mask(self) -> u16 {
        if self.bits == 7 { 0x7f } else { 0x7fff }
    }

    /// The id `frames` later (earlier, if negative), of the same width.
    pub fn wrapping_add(self, frames: i32) -> Self {
        // Cutting to 16 bits first is right: both moduli divide 2^16.
        let value = self.value.wrapping_add(frames as u16) & self.mask();
        Self { value, bits: self.bits }
    }

    /// Reads the M bit and 7 or 15 bits.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        if cursor.peek_u8()? & 0x80 == 0 {
            Ok(Self { value: u16::from(cursor.u8()?), bits: 7 })
        } else {
            Ok(Self { value: cursor.u16()? & 0x7fff, bits: 15 })
        }
    }

    /// Writes `value`, cut to this id's width, over the field at `offset`; nothing if it is not within
    /// `payload`.
    pub(super) fn overwrite(self, payload: &mut [u8], offset: usize, value: u16) {
        let [high, low] = (value & self.mask()).to_be_bytes();
        let (short, long) = ([low], [high | 0x80, low]);
        let field: &[u8] = if self.bits == 7 { &short } else { &long };
        if let Some(place) = payload.get_mut(offset..).and_then(|rest| rest.get_mut(..field.len())) {
            place.copy_from_slice(field);
        }
    }
}

/// The counters of a VP8 or VP9 packet, and where in its payload they stand. A forwarder that leaves frames out has to
/// close the gaps in the counters; [`patch`](Self::patch) does that without moving a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureCounters {
    /// The frame's number, if the sender numbers frames. In VP9 all spatial layers of a picture share it.
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX, the running number of base-layer frames modulo 256, if the sender counts them.
    pub tl0_picture_index: Option<u8>,
    pub(super) picture_id_offset: usize,
    pub(super) tl0_offset: usize,
}

impl PictureCounters {
    /// Overwrites the numbers in the `payload` from which these were read, or in a copy of it. Missing fields are not
    /// added, and the picture id keeps its width, to which `picture_id` is cut.
    pub fn patch(&self, payload: &mut [u8], picture_id: u16, tl0_picture_index: u8) {
        if let Some(old) = self.picture_id {
            old.overwrite(payload, self.picture_id_offset, picture_id);
        }
        if self.tl0_picture_index.is_some()
            && let Some(place) = payload.get_mut(self.tl0_offset)
        {
            *place = tl0_picture_index;
        }
    }
}

/// Checks [`PictureCounters::patch`] with random packets that begin like `sample`, for the tests of both codecs.
#[cfg(test)]
pub(super) fn patching_changes_counters_alone(
    sample: &[u8],
    parse: impl Fn(&[u8]) -> Option<(PictureCounters, usize)>,
) {
    super::noise::with_random_bytes(sample, |bytes| {
        let Some((counters, descriptor_len)) = parse(bytes) else { return };
        counters.patch(&mut [], 1, 1);
        let original = bytes.to_vec();
        let old = counters.picture_id.map_or(0, |id| id.value);
        counters.patch(bytes, old, counters.tl0_picture_index.unwrap_or(0));
        assert_eq!(bytes, original, "the old numbers change nothing");
        counters.patch(bytes, 0x7abc, 0xde);
        let (patched, patched_len) = parse(bytes).expect("it can be parsed as before");
        assert_eq!(patched.picture_id.map(|id| id.value & 0x7f), counters.picture_id.map(|_| 0x3c));
        assert_eq!(patched.tl0_picture_index, counters.tl0_picture_index.map(|_| 0xde));
        assert_eq!(patched_len, descriptor_len);
        assert_eq!(bytes[patched_len..], original[descriptor_len..]);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(value: u16) -> PictureId {
        PictureId { value, bits: 7 }
    }

    fn long(value: u16) -> PictureId {
        PictureId { value, bits: 15 }
    }

    #[test]
    fn adding_wraps_around_the_width() {
        assert_eq!(short(127).wrapping_add(2), short(1));
        assert_eq!(short(1).wrapping_add(-2), short(127));
        assert_eq!(long(0x7fff).wrapping_add(1), long(0));
        assert_eq!(long(300).wrapping_add(-301), long(0x7fff));
        assert_eq!(long(3).wrapping_add(i32::MIN), long(3));
        assert_eq!(short(3).wrapping_add(i32::MAX), short(2));
    }

    #[test]
    fn a_field_keeps_its_width_when_overwritten() {
        let mut bytes = [0; 3];
        short(0).overwrite(&mut bytes, 0, 0xffff);
        long(0).overwrite(&mut bytes, 1, 0xfffe);
        assert_eq!(bytes, [0x7f, 0xff, 0xfe]);
        long(0).overwrite(&mut bytes, 2, 0);
        long(0).overwrite(&mut bytes, usize::MAX, 0);
        assert_eq!(bytes, [0x7f, 0xff, 0xfe], "a field past the end is left alone");
    }
}

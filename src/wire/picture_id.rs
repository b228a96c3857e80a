//! The picture id VP8 (RFC 7741 §4.2) and VP9 (RFC 9628 §4.2) share: a frame counter of 7 or 15 bits that
//! wraps.

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

    /// How many frames `self` is after `other`, the short way around; negative if before. In -64..=63 or
    /// -16384..=16383, by the width of `self`, to which `other` is cut.
    pub fn offset_from(self, other: Self) -> i32 {
        let (mask, half) = (i32::from(self.mask()), i32::from(self.mask() / 2));
        let forward = (i32::from(self.value) - i32::from(other.value)) & mask;
        if forward > half { forward - mask - 1 } else { forward }
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
    fn offsets_go_the_short_way_around() {
        assert_eq!(short(1).offset_from(short(127)), 2);
        assert_eq!(short(127).offset_from(short(1)), -2);
        assert_eq!(short(64).offset_from(short(0)), -64);
        assert_eq!(long(0).offset_from(long(0x7fff)), 1);
        assert_eq!(long(0x3fff).offset_from(long(0)), 16383);
        assert_eq!(long(0x4000).offset_from(long(0)), -16384);
    }

    #[test]
    fn adding_an_offset_undoes_it() {
        for (a, b) in [(0, 127), (127, 0), (5, 90), (63, 64)] {
            assert_eq!(short(b).wrapping_add(short(a).offset_from(short(b))), short(a));
        }
        for (a, b) in [(0, 0x7fff), (0x7fff, 0), (300, 20_000)] {
            assert_eq!(long(b).wrapping_add(long(a).offset_from(long(b))), long(a));
        }
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

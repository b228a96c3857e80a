//! A read position in a bit string, most significant bit first, for the formats whose fields do not end at bytes.

use super::Malformed;

/// Reads fields of any width up to 32 bits, one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Bits<'a> {
    /// Starts at a bit; past the end everything is [`Malformed`].
    pub fn new(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    /// Bits before the next one to be read.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The next bit.
    pub fn flag(&mut self) -> Result<bool, Malformed> {
        let byte = self.bytes.get(self.position / 8).ok_or(Malformed)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Ok(bit == 1)
    }

    /// The next `count` bits as a number; of more than 32 the last ones.
    pub fn number(&mut self, count: u32) -> Result<u32, Malformed> {
        (0..count).try_fold(0, |number: u32, _| Ok(number << 1 | u32::from(self.flag()?)))
    }

    /// A number below `range`, which is positive, in as few bits as its value allows: `ns(n)` of the AV1 bitstream, §4.10.7.
    pub fn below(&mut self, range: u32) -> Result<u32, Malformed> {
        let width = u32::BITS - range.leading_zeros();
        // So many values are a bit shorter than the others.
        let shorter = (1_u64 << width) - u64::from(range);
        let value = self.number(width.saturating_sub(1))?;
        if u64::from(value) < shorter {
            return Ok(value);
        }
        let longer = (u64::from(value) << 1 | u64::from(self.flag()?)) - shorter;
        Ok(longer as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_follow_each_other_and_end_with_the_bytes() {
        let mut bits = Bits::new(&[0b1010_0110, 0xff], 1);
        assert_eq!((bits.flag(), bits.number(4), bits.number(5)), (Ok(false), Ok(0b1001), Ok(0b1_0111)));
        assert_eq!((bits.position(), bits.number(6)), (11, Err(Malformed)));
        assert_eq!(Bits::new(&[], 0).number(0), Ok(0));
        assert_eq!(Bits::new(&[0], usize::MAX).flag(), Err(Malformed));
    }

    #[test]
    fn numbers_below_a_range_take_no_more_bits_than_they_need() {
        // 0, 1 and 2 of three: "0", "10", "11". Of one there is nothing to tell.
        let mut bits = Bits::new(&[0b0101_1000], 0);
        assert_eq!([bits.below(3), bits.below(3), bits.below(3)], [Ok(0), Ok(1), Ok(2)]);
        assert_eq!((bits.below(1), bits.position()), (Ok(0), 5));
        for (range, value, text) in
            [(5, 2, "10"), (5, 3, "110"), (5, 4, "111"), (4, 3, "11"), (33, 32, "111111")]
        {
            let byte = u8::from_str_radix(&format!("{text:0<8}"), 2).unwrap();
            let mut bits = Bits::new(std::slice::from_ref(&byte), 0);
            assert_eq!((bits.below(range), bits.position()), (Ok(value), text.len()), "{value} of {range}");
        }
    }
}

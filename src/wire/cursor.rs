//! A read position in a byte slice, for formats whose fields come and go by flag bits.
//!
//! Every step checks what is left, so a parser written with it is total by construction.

use super::Malformed;

/// Reads big-endian fields one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bytes read so far; never more than the slice holds.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.position)
    }

    /// The next byte, left where it is.
    pub fn peek_u8(&self) -> Result<u8, Malformed> {
        self.bytes.get(self.position).copied().ok_or(Malformed)
    }

    /// Takes the next byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let byte = self.peek_u8()?;
        self.position += 1;
        Ok(byte)
    }

    /// The next two bytes, most significant first.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        let &[high, low] = self.take(2)? else { return Err(Malformed) };
        Ok(u16::from_be_bytes([high, low]))
    }

    /// The next four bytes, most significant first.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        let &[b0, b1, b2, b3] = self.take(4)? else { return Err(Malformed) };
        Ok(u32::from_be_bytes([b0, b1, b2, b3]))
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let end = self.position.checked_add(count).ok_or(Malformed)?;
        let taken = self.bytes.get(self.position..end).ok_or(Malformed)?;
        self.position = end;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_never_passes_the_end() {
        let mut cursor = Cursor::new(&[1, 2, 3]);
        assert_eq!(cursor.u16(), Ok(0x0102));
        assert_eq!(cursor.u16(), Err(Malformed));
        assert_eq!(cursor.take(usize::MAX), Err(Malformed));
        assert_eq!((cursor.position(), cursor.remaining()), (2, 1), "a failed read moves nothing");
        assert_eq!(cursor.peek_u8(), Ok(3));
        assert_eq!(cursor.u8(), Ok(3));
        assert_eq!(cursor.u8(), Err(Malformed));
    }
}

//! Tape: the bytes of a fuzzer as a list of small decisions, read from the front to the back. What a tape does not hold
//! any more ends the story; so a shorter tape is a shorter story, and one changed byte changes one decision.

/// A tape that is being read.
#[derive(Debug)]
pub struct Tape<'a> {
    rest: &'a [u8],
}

impl<'a> Tape<'a> {
    /// Returns a tape that is read from its beginning.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns the next byte; `None` at the end.
    pub fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// Two bytes, the more significant first.
    pub fn short(&mut self) -> Option<u16> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u16::from_be_bytes(*bytes))
    }

    /// Bytes behind their length of two bytes; what is left, if that is less.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.short()?).min(self.rest.len());
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(bytes)
    }
}

/// Appends bytes so that [`Tape::bytes`] reads them.
pub fn push_bytes(tape: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    tape.extend(length.to_be_bytes());
    tape.extend(&bytes[..usize::from(length)]);
}

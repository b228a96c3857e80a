//! RTP header extensions: reading the elements of a block, and collecting those of a new one.
//!
//! RFC 8285 §4.2 (one-byte form) and §4.3 (two-byte form). The block to be written lives in a fixed array, so
//! that a forwarded packet costs no allocation.

/// The "defined by profile" value of the one-byte form.
pub const PROFILE_ONE_BYTE: u16 = 0xbede;

/// The same of the two-byte form; its low four bits are for applications and ignored.
pub const PROFILE_TWO_BYTE: u16 = 0x1000;

/// Bytes an [`ExtensionBlock`] has for elements, each counted with two bytes of its own.
pub const EXTENSION_BLOCK_CAPACITY: usize = 128;

/// The elements of a received extension block. Ends at the first element that breaks the rules; what came
/// before it counts (RFC 8285 §4.2).
#[derive(Debug, Clone)]
pub struct Extensions<'a> {
    profile: u16,
    rest: &'a [u8],
}

impl<'a> Extensions<'a> {
    /// Reads `block`, the extension data without its 4-byte header, by the rules of `profile`. An unknown
    /// profile has no elements.
    pub fn new(profile: u16, block: &'a [u8]) -> Self {
        Self { profile, rest: block }
    }

    fn split(&mut self, length: usize) -> Option<&'a [u8]> {
        let (data, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(data)
    }

    fn next_one_byte(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            let (&head, rest) = self.rest.split_first()?;
            self.rest = rest;
            match (head >> 4, head & 0x0f) {
                (0, 0) => {}
                (0 | 15, _) => return None,
                (id, length) => return Some((id, self.split(usize::from(length) + 1)?)),
            }
        }
    }

    fn next_two_byte(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            let (&id, rest) = self.rest.split_first()?;
            self.rest = rest;
            if id != 0 {
                let (&length, rest) = self.rest.split_first()?;
                self.rest = rest;
                return Some((id, self.split(usize::from(length))?));
            }
        }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let element = match self.profile {
            PROFILE_ONE_BYTE => self.next_one_byte(),
            profile if profile & 0xfff0 == PROFILE_TWO_BYTE => self.next_two_byte(),
            _ => None,
        };
        if element.is_none() {
            self.rest = &[];
        }
        element
    }
}

impl std::iter::FusedIterator for Extensions<'_> {}

/// The elements of an extension block to be written. They keep the order they were pushed in.
///
/// The form is chosen when it is written: one-byte if every id is 1–14 and every length 1–16, otherwise
/// two-byte, which a receiver takes only after `a=extmap-allow-mixed` (RFC 8285 §6).
#[derive(Debug, Clone)]
pub struct ExtensionBlock {
    /// Elements in the two-byte form, without padding.
    elements: [u8; EXTENSION_BLOCK_CAPACITY],
    used: usize,
    count: usize,
    fits_one_byte: bool,
}

impl Default for ExtensionBlock {
    fn default() -> Self {
        Self::new()
    }
}

impl ExtensionBlock {
    /// A block without elements; written, it is nothing at all and leaves the X bit off.
    pub const fn new() -> Self {
        Self { elements: [0; EXTENSION_BLOCK_CAPACITY], used: 0, count: 0, fits_one_byte: true }
    }

    /// Forgets all elements, and keeps the buffer.
    pub fn clear(&mut self) {
        self.used = 0;
        self.count = 0;
        self.fits_one_byte = true;
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds an element. False, and nothing changed, if `id` is 0 (padding), `data` is over 255 bytes, or the
    /// block's [capacity](EXTENSION_BLOCK_CAPACITY) is used up.
    pub fn push(&mut self, id: u8, data: &[u8]) -> bool {
        let Ok(length) = u8::try_from(data.len()) else { return false };
        let end = self.used + 2 + data.len();
        let Some([id_slot, length_slot, data_slot @ ..]) = self.elements.get_mut(self.used..end) else {
            return false;
        };
        if id == 0 {
            return false;
        }
        *id_slot = id;
        *length_slot = length;
        data_slot.copy_from_slice(data);
        self.used = end;
        self.count += 1;
        self.fits_one_byte &= (1..=14).contains(&id) && (1..=16).contains(&length);
        true
    }

    /// Bytes the written block takes, its 4-byte header and padding included; 0 if it is empty.
    pub fn encoded_len(&self) -> usize {
        if self.is_empty() { 0 } else { 4 + self.data_len().next_multiple_of(4) }
    }

    /// Bytes of the elements in the chosen form, before padding.
    fn data_len(&self) -> usize {
        if self.fits_one_byte { self.used.saturating_sub(self.count) } else { self.used }
    }

    /// Writes the block to the start of `out`: header, elements, zero padding to a multiple of 4.
    ///
    /// Returns [`Self::encoded_len`], or `None` if `out` is shorter than that.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let total = self.encoded_len();
        let out = out.get_mut(..total)?;
        let Some(([p0, p1, l0, l1], mut rest)) = out.split_first_chunk_mut::<4>() else { return Some(0) };
        let profile = if self.fits_one_byte { PROFILE_ONE_BYTE } else { PROFILE_TWO_BYTE };
        let words = u16::try_from(rest.len() / 4).ok()?;
        [*p0, *p1] = profile.to_be_bytes();
        [*l0, *l1] = words.to_be_bytes();
        for (id, data) in Extensions::new(PROFILE_TWO_BYTE, self.elements.get(..self.used)?) {
            let length = u8::try_from(data.len()).ok()?;
            let (one, two) = ([(id << 4) | length.wrapping_sub(1) & 0x0f], [id, length]);
            let head: &[u8] = if self.fits_one_byte { &one } else { &two };
            rest.get_mut(..head.len())?.copy_from_slice(head);
            rest.get_mut(head.len()..head.len() + data.len())?.copy_from_slice(data);
            rest = rest.get_mut(head.len() + data.len()..)?;
        }
        rest.fill(0);
        Some(total)
    }
}

#[cfg(test)]
mod tests {
    use super::super::noise::{Noise, with_random_bytes};
    use super::*;

    fn elements(profile: u16, block: &[u8]) -> Vec<(u8, Vec<u8>)> {
        Extensions::new(profile, block).map(|(id, data)| (id, data.to_vec())).collect()
    }

    #[test]
    fn the_example_of_rfc_8285_one_byte_form_is_read() {
        // §4.2: L=0, L=1, two bytes of padding, L=3.
        let block = [0x10, 0xaa, 0x21, 0xbb, 0xbb, 0, 0, 0x33, 1, 2, 3, 4];
        let expected = vec![(1, vec![0xaa]), (2, vec![0xbb, 0xbb]), (3, vec![1, 2, 3, 4])];
        assert_eq!(elements(PROFILE_ONE_BYTE, &block), expected);
    }

    #[test]
    fn the_example_of_rfc_8285_two_byte_form_is_read() {
        // §4.3: L=0, L=1, one byte of padding, L=4; the "appbits" do not matter.
        let block = [1, 0, 2, 1, 0xbb, 0, 3, 4, 1, 2, 3, 4];
        let expected = vec![(1, vec![]), (2, vec![0xbb]), (3, vec![1, 2, 3, 4])];
        assert_eq!(elements(PROFILE_TWO_BYTE, &block), expected);
        assert_eq!(elements(0x100f, &block), expected);
    }

    #[test]
    fn reading_stops_where_the_rules_end() {
        assert_eq!(elements(PROFILE_ONE_BYTE, &[0x10, 7, 0xf0, 9, 0x20, 8]), vec![(1, vec![7])], "id 15");
        assert_eq!(
            elements(PROFILE_ONE_BYTE, &[0x10, 7, 0x01, 9, 0x20, 8]),
            vec![(1, vec![7])],
            "long padding"
        );
        assert_eq!(elements(PROFILE_ONE_BYTE, &[0x10, 7, 0x22, 8]), vec![(1, vec![7])], "truncated");
        assert_eq!(elements(PROFILE_TWO_BYTE, &[1, 1, 7, 2]), vec![(1, vec![7])], "no length");
        assert_eq!(elements(0x2000, &[0x10, 7]), vec![], "another profile");
    }

    #[test]
    fn a_block_in_one_byte_form_is_written() {
        let mut block = ExtensionBlock::new();
        assert!(block.push(1, &[0xaa]) && block.push(14, &[0xbb, 0xcc]));
        let mut out = [0xff; 16];
        assert_eq!(block.write(&mut out), Some(12));
        assert_eq!(out[..12], [0xbe, 0xde, 0, 2, 0x10, 0xaa, 0xe1, 0xbb, 0xcc, 0, 0, 0]);
        assert_eq!(block.write(&mut out[..11]), None);
    }

    #[test]
    fn high_ids_and_odd_lengths_take_the_two_byte_form() {
        for (id, data) in [(15, &[1u8][..]), (1, &[]), (1, &[0; 17])] {
            let mut block = ExtensionBlock::new();
            assert!(block.push(id, data));
            let mut out = [0xff; 32];
            assert_eq!(block.write(&mut out), Some(block.encoded_len()));
            assert_eq!(out[..2], [0x10, 0x00]);
            assert_eq!(elements(PROFILE_TWO_BYTE, &out[4..block.encoded_len()]), vec![(id, data.to_vec())]);
        }
    }

    #[test]
    fn an_empty_block_is_nothing() {
        let mut block = ExtensionBlock::new();
        assert_eq!((block.encoded_len(), block.write(&mut [])), (0, Some(0)));
        assert!(block.push(20, &[1]));
        block.clear();
        assert!(block.is_empty());
        assert_eq!(block.write(&mut []), Some(0));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let mut block = ExtensionBlock::new();
        assert!(!block.push(0, &[1]) && !block.push(1, &[0; 127]) && !block.push(1, &[0; 256]));
        assert!(block.is_empty());
        assert!(block.push(1, &[0; 126]));
        assert!(!block.push(2, &[]));
        assert_eq!(block.encoded_len(), 132);
    }

    #[test]
    fn blocks_survive_the_way_through_bytes() {
        let mut noise = Noise::new(8285);
        for _ in 0..2_000 {
            let mut block = ExtensionBlock::new();
            let mut pushed = Vec::new();
            for _ in 0..noise.next() % 6 {
                let id = (noise.next() % 18) as u8;
                let data = vec![noise.next() as u8; (noise.next() % 20) as usize];
                if block.push(id, &data) {
                    pushed.push((id, data));
                }
            }
            let mut out = [0xff; 132];
            let length = block.write(&mut out).unwrap();
            if length > 0 {
                let profile = u16::from_be_bytes([out[0], out[1]]);
                assert_eq!(elements(profile, &out[4..length]), pushed);
            } else {
                assert!(pushed.is_empty());
            }
        }
    }

    #[test]
    fn random_bytes_are_survived() {
        with_random_bytes(&[], |bytes| {
            elements(PROFILE_ONE_BYTE, bytes);
            elements(PROFILE_TWO_BYTE, bytes);
        });
    }
}

//! Redundant audio (RFC 2198): packets that carry copies of earlier ones in front of their own data.
//!
//! A payload begins with a header for each block. Those of the copies have four bytes: the payload type, by how much
//! the copy is older than the packet, and how long it is. That of the packet's own data, the primary block, has one byte
//! and comes last. Then follow the blocks in the same order.

use super::Malformed;
use super::cursor::Cursor;

/// The most by which a copy may be older than the packet that carries it, in units of the stream's RTP clock: 14 bits.
pub const OFFSET_MAX: u32 = 0x3fff;
/// The longest copy, in bytes: 10 bits.
pub const LENGTH_MAX: usize = 0x3ff;

/// Set in the header of every block but the last.
const FOLLOWED: u8 = 0x80;
/// Bytes of a copy's header.
const COPY_HEADER_BYTES: usize = 4;

/// A copy of an earlier packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// The payload type of its data.
    pub payload_type: u8,
    /// By how much it is older than the packet that carries it, in units of the RTP clock, up to [`OFFSET_MAX`].
    pub offset: u16,
    /// What the earlier packet carried, up to [`LENGTH_MAX`] bytes.
    pub payload: &'a [u8],
}

/// A payload taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redundant<'a> {
    /// The payload type of the primary block.
    pub payload_type: u8,
    /// The packet's own data. It may be empty, when the sender had nothing new to say.
    pub primary: &'a [u8],
    /// The headers of the copies.
    headers: &'a [u8],
    /// The data of the copies.
    data: &'a [u8],
}

impl<'a> Redundant<'a> {
    /// Returns the copies, oldest first.
    pub fn copies(&self) -> impl Iterator<Item = Block<'a>> {
        let mut data = self.data;
        self.headers.chunks_exact(COPY_HEADER_BYTES).map_while(move |header| {
            let &[first, second, third, fourth] = header else { return None };
            let (copy, rest) = data.split_at_checked(length_of([third, fourth]))?;
            data = rest;
            let offset = u16::from_be_bytes([second, third]) >> 2;
            Some(Block { payload_type: first & !FOLLOWED, offset, payload: copy })
        })
    }
}

/// Returns the length of a copy, which the last two bytes of its header tell.
fn length_of(bytes: [u8; 2]) -> usize {
    usize::from(u16::from_be_bytes(bytes)) & LENGTH_MAX
}

/// Takes an RTP payload apart.
///
/// # Errors
/// [`Malformed`] if the headers do not end, or the copies are longer than what follows.
pub fn parse(payload: &[u8]) -> Result<Redundant<'_>, Malformed> {
    let mut cursor = Cursor::new(payload);
    let mut copied: usize = 0;
    loop {
        let headers = payload.get(..cursor.position()).ok_or(Malformed)?;
        let head = cursor.u8()?;
        if head & FOLLOWED == 0 {
            let data = cursor.take(copied)?;
            let primary = payload.get(cursor.position()..).ok_or(Malformed)?;
            return Ok(Redundant { payload_type: head, primary, headers, data });
        }
        // The upper bits of the offset; the lower ones share two bytes with the length.
        cursor.u8()?;
        copied = copied.checked_add(length_of(cursor.u16()?.to_be_bytes())).ok_or(Malformed)?;
    }
}

/// Returns how many bytes [`write_front`] writes.
pub fn front_length(copies: &[Block<'_>]) -> usize {
    1 + copies.iter().map(|copy| COPY_HEADER_BYTES + copy.payload.len()).sum::<usize>()
}

/// Writes everything that stands in front of the primary block: all headers, and the copies, which are to be given
/// oldest first. Returns `None` if `buffer` does not have [`front_length`] bytes, or a copy is too old or too long.
pub fn write_front(buffer: &mut [u8], payload_type: u8, copies: &[Block<'_>]) -> Option<()> {
    let mut header = 0;
    let mut data = 1 + COPY_HEADER_BYTES * copies.len();
    for copy in copies {
        let length = copy.payload.len();
        if u32::from(copy.offset) > OFFSET_MAX || length > LENGTH_MAX {
            return None;
        }
        let [second, third] = (copy.offset << 2 | (length >> 8) as u16).to_be_bytes();
        let bytes = [FOLLOWED | copy.payload_type, second, third, length as u8];
        buffer.get_mut(header..header + COPY_HEADER_BYTES)?.copy_from_slice(&bytes);
        buffer.get_mut(data..data + length)?.copy_from_slice(copy.payload);
        header += COPY_HEADER_BYTES;
        data += length;
    }
    *buffer.get_mut(header)? = payload_type & !FOLLOWED;
    (data == buffer.len()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::super::noise::with_random_bytes;
    use super::*;

    fn primary(bytes: &[u8]) -> Result<(u8, &[u8]), Malformed> {
        parse(bytes).map(|redundant| (redundant.payload_type, redundant.primary))
    }

    /// Payload type 111 twice (3 and 2 bytes, 1927 and 963 ticks ago), then 111 itself, as RFC 2198 §3 draws it.
    const TWO_COPIES: [u8; 17] =
        [0xef, 0x1e, 0x1c, 0x03, 0xef, 0x0f, 0x0c, 0x02, 0x6f, 1, 1, 1, 2, 2, 3, 3, 3];

    #[test]
    fn the_primary_block_is_behind_the_copies() {
        assert_eq!(primary(&TWO_COPIES), Ok((111, &[3, 3, 3][..])));
        assert_eq!(primary(&TWO_COPIES[..14]), Ok((111, &[][..])), "an empty primary");
        for length in 0..14 {
            assert_eq!(primary(&TWO_COPIES[..length]), Err(Malformed), "{length} bytes");
        }
    }

    #[test]
    fn copies_are_read_oldest_first() {
        let copies: Vec<_> = parse(&TWO_COPIES).unwrap().copies().collect();
        let older = Block { payload_type: 111, offset: 1927, payload: &[1, 1, 1] };
        let newer = Block { payload_type: 111, offset: 963, payload: &[2, 2] };
        assert_eq!(copies, [older, newer]);
    }

    #[test]
    fn what_is_written_is_what_the_standard_draws() {
        let parsed = parse(&TWO_COPIES).unwrap();
        let copies: Vec<_> = parsed.copies().collect();
        let mut front = [0; 14];
        assert_eq!(front_length(&copies), front.len());
        assert_eq!(write_front(&mut front, 111, &copies), Some(()));
        assert_eq!(front, TWO_COPIES[..14]);
        assert_eq!(write_front(&mut front[..13], 111, &copies), None, "no room");
        let mut alone = [0; 1];
        assert_eq!((write_front(&mut alone, 111, &[]), alone), (Some(()), [0x6f]));
    }

    #[test]
    fn without_copies_one_byte_is_in_front() {
        assert_eq!(primary(&[0x6f, 9, 9]), Ok((111, &[9, 9][..])));
    }

    #[test]
    fn offsets_have_fourteen_bits_and_lengths_ten() {
        let payload = [7; LENGTH_MAX + 1];
        let copy = Block { payload_type: 127, offset: OFFSET_MAX as u16, payload: &payload[..LENGTH_MAX] };
        let mut bytes = vec![0; front_length(&[copy])];
        assert_eq!(write_front(&mut bytes, 0, &[copy]), Some(()));
        assert_eq!(bytes[..5], [0xff, 0xff, 0xff, 0xff, 0x00]);
        assert_eq!(parse(&bytes).unwrap().copies().collect::<Vec<_>>(), [copy]);
        let mut room = [0; 2000];
        for wrong in [Block { offset: OFFSET_MAX as u16 + 1, ..copy }, Block { payload: &payload, ..copy }] {
            let room = &mut room[..front_length(&[wrong])];
            assert_eq!(write_front(room, 0, &[wrong]), None, "{} bytes", wrong.payload.len());
        }
    }

    #[test]
    fn what_is_read_of_random_bytes_is_within_them_and_written_again_the_same() {
        with_random_bytes(&[0xef, 0x00, 0x00, 0x03, 0x6f], |bytes| {
            let Ok(redundant) = parse(bytes) else { return };
            assert!(redundant.payload_type < 128);
            let copies: Vec<_> = redundant.copies().collect();
            let mut again = vec![0; front_length(&copies)];
            assert_eq!(write_front(&mut again, redundant.payload_type, &copies), Some(()));
            again.extend(redundant.primary);
            assert_eq!(again, bytes);
        });
    }
}

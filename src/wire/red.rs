//! Redundant audio: finding the current frame behind the copies of earlier ones (RFC 2198 §3).

use std::ops::Range;

use super::Malformed;
use super::cursor::Cursor;

/// The payload type and position of the primary (last) block of an RTP `payload`. The range is within
/// `payload`; it may be empty, when the sender had nothing new to say.
///
/// # Errors
/// [`Malformed`] if the headers do not end, or the redundant blocks are longer than what follows.
pub fn primary(payload: &[u8]) -> Result<(u8, Range<usize>), Malformed> {
    let mut cursor = Cursor::new(payload);
    let mut redundant: usize = 0;
    loop {
        let head = cursor.u8()?;
        if head & 0x80 == 0 {
            cursor.take(redundant)?;
            return Ok((head & 0x7f, cursor.position()..payload.len()));
        }
        // 14 bits of timestamp offset, 10 bits of block length.
        cursor.u8()?;
        redundant = redundant.checked_add(usize::from(cursor.u16()? & 0x03ff)).ok_or(Malformed)?;
    }
}

#[cfg(test)]
mod tests {
    use super::super::noise::with_random_bytes;
    use super::*;

    #[test]
    fn the_primary_block_is_behind_the_redundant_ones() {
        // Payload type 111 twice (3 and 2 bytes, 960 and 1920 ticks ago), then 111.
        let bytes = [0xef, 0x1e, 0x00, 0x03, 0xef, 0x0f, 0x00, 0x02, 0x6f, 1, 1, 1, 2, 2, 3, 3, 3];
        assert_eq!(primary(&bytes), Ok((111, 14..17)));
        assert_eq!(primary(&bytes[..14]), Ok((111, 14..14)), "an empty primary");
        for length in 0..14 {
            assert_eq!(primary(&bytes[..length]), Err(Malformed), "{length} bytes");
        }
    }

    #[test]
    fn without_redundancy_one_byte_is_in_front() {
        assert_eq!(primary(&[0x6f, 9, 9]), Ok((111, 1..3)));
    }

    #[test]
    fn lengths_have_ten_bits() {
        let mut bytes = vec![0xef, 0xff, 0xff, 0xff, 0x00];
        bytes.resize(5 + 1023 + 4, 7);
        assert_eq!(primary(&bytes), Ok((0, 1028..1032)));
        assert_eq!(primary(&bytes[..1027]), Err(Malformed));
    }

    #[test]
    fn the_primary_of_random_bytes_is_within_them() {
        with_random_bytes(&[0xef, 0x00, 0x00, 0x03, 0x6f], |bytes| {
            if let Ok((payload_type, range)) = primary(bytes) {
                assert!(payload_type < 128 && bytes.get(range).is_some());
            }
        });
    }
}

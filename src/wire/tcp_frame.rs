//! Datagrams over a TCP stream: a 16-bit length in front of each (RFC 4571 §2), as ICE-TCP uses it (RFC
//! 6544).

/// Bytes in front of each datagram.
pub const FRAME_HEADER_LEN: usize = 2;

/// What the front of a stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The buffer begins with a whole datagram.
    Complete {
        /// Without its length; RFC 4571 lets it be empty, and then it means nothing.
        datagram: &'a [u8],
        /// Bytes of the stream it took, 2–65537; the next frame begins behind them.
        consumed: usize,
    },
    /// Not yet: ask again with more of the stream. At most 65537 bytes are ever needed.
    Incomplete,
}

/// Takes the first datagram off a stream that begins with `bytes`.
pub fn next(bytes: &[u8]) -> Frame<'_> {
    let complete = bytes.split_first_chunk::<FRAME_HEADER_LEN>().and_then(|(length, rest)| {
        let length = usize::from(u16::from_be_bytes(*length));
        let datagram = rest.get(..length)?;
        Some(Frame::Complete { datagram, consumed: FRAME_HEADER_LEN + length })
    });
    complete.unwrap_or(Frame::Incomplete)
}

/// What to write in front of a datagram of `len` bytes; `None` if it is over 65535.
pub fn header(len: usize) -> Option<[u8; FRAME_HEADER_LEN]> {
    u16::try_from(len).ok().map(u16::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_off_one_by_one() {
        let stream = [0, 3, b'a', b'b', b'c', 0, 0, 0, 1];
        assert_eq!(next(&stream), Frame::Complete { datagram: b"abc", consumed: 5 });
        assert_eq!(next(&stream[5..]), Frame::Complete { datagram: b"", consumed: 2 });
        assert_eq!(next(&stream[7..]), Frame::Incomplete);
        for length in 0..5 {
            assert_eq!(next(&stream[..length]), Frame::Incomplete, "{length} bytes");
        }
    }

    #[test]
    fn a_header_is_read_back_up_to_the_largest_datagram() {
        for length in [0, 1, 255, 256, 1500, 65535] {
            let mut stream = header(length).unwrap().to_vec();
            stream.resize(length + 2, 7);
            let Frame::Complete { datagram, consumed } = next(&stream) else { panic!("{length} bytes") };
            assert_eq!((datagram.len(), consumed), (length, length + 2));
        }
        assert_eq!(header(65536), None);
    }
}

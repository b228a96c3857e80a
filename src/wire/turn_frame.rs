//! TURN messages on a TCP stream (RFC 8656 §2.2, §12.5): STUN says its own length, ChannelData has one in its header and
//! is padded to a multiple of four bytes.

use super::classify::{STUN_HEADER_LEN, STUN_MAGIC_COOKIE};

/// Bytes of a ChannelData header: channel and length.
pub const CHANNEL_HEADER_LEN: usize = 4;

/// What the front of a stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnFrame {
    /// The buffer begins with a whole message.
    Complete {
        /// Bytes of the message, without padding.
        length: usize,
        /// Bytes of the stream it took; the next message begins behind them.
        consumed: usize,
    },
    /// Not yet: ask again with more of the stream, at least this many bytes in all.
    Incomplete(usize),
    /// Neither STUN nor ChannelData. Where the next message begins cannot be known any more.
    Malformed,
}

/// Finds the first message of a stream that begins with `bytes`.
pub fn next(bytes: &[u8]) -> TurnFrame {
    let Some(&first) = bytes.first() else { return TurnFrame::Incomplete(CHANNEL_HEADER_LEN) };
    // What is 0x50 and above, RFC 8656 reserves; older clients (RFC 5766) use it.
    if first >= 0x80 {
        return TurnFrame::Malformed;
    }
    let Some(&[_, _, high, low]) = bytes.first_chunk() else {
        return TurnFrame::Incomplete(CHANNEL_HEADER_LEN);
    };
    let value = usize::from(u16::from_be_bytes([high, low]));
    let is_stun = first < 0x40;
    let length = if is_stun { STUN_HEADER_LEN + value } else { CHANNEL_HEADER_LEN + value };
    if is_stun {
        let cookie = bytes.get(4..).unwrap_or_default();
        let fits = cookie.starts_with(&STUN_MAGIC_COOKIE) || STUN_MAGIC_COOKIE.starts_with(cookie);
        if value % 4 != 0 || !fits {
            return TurnFrame::Malformed;
        }
    }
    let consumed = length.next_multiple_of(4);
    if bytes.len() < consumed {
        TurnFrame::Incomplete(consumed)
    } else {
        TurnFrame::Complete { length, consumed }
    }
}

/// What to write behind a message of `length` bytes.
pub fn padding(length: usize) -> &'static [u8] {
    &[0; 3][..length.next_multiple_of(4) - length]
}

#[cfg(test)]
mod tests {
    use super::super::noise::with_random_bytes;
    use super::*;

    /// A Binding request without attributes.
    fn stun() -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 0];
        bytes.extend(STUN_MAGIC_COOKIE);
        bytes.extend([7; 12]);
        bytes
    }

    #[test]
    fn messages_come_off_one_by_one_and_without_their_padding() {
        let mut stream = stun();
        stream.extend([0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0]);
        stream.extend([0x7f, 0xff, 0, 0]);
        stream.push(0x40);
        assert_eq!(next(&stream), TurnFrame::Complete { length: 20, consumed: 20 });
        assert_eq!(next(&stream[20..]), TurnFrame::Complete { length: 9, consumed: 12 });
        assert_eq!(next(&stream[32..]), TurnFrame::Complete { length: 4, consumed: 4 });
        assert_eq!(next(&stream[36..]), TurnFrame::Incomplete(4));
        for length in 0..20 {
            assert!(matches!(next(&stream[..length]), TurnFrame::Incomplete(_)), "{length} bytes");
        }
        for length in 4..12 {
            assert_eq!(
                next(&stream[20..20 + length]),
                TurnFrame::Incomplete(12),
                "the padding must come too"
            );
        }
    }

    #[test]
    fn what_is_neither_is_malformed_as_soon_as_it_shows() {
        assert_eq!(next(&[0x80]), TurnFrame::Malformed);
        assert_eq!(next(&[0, 1, 0, 3]), TurnFrame::Malformed, "STUN's length is a multiple of four");
        assert_eq!(next(&[0, 1, 0, 0, 0x21, 0x13]), TurnFrame::Malformed, "another cookie");
        assert_eq!(next(b"GET / HTTP/1.1\r\n"), TurnFrame::Incomplete(0x5424), "a channel's length");
    }

    #[test]
    fn padding_fills_up_to_four() {
        assert_eq!([4, 5, 6, 7, 8].map(|length| padding(length).len()), [0, 3, 2, 1, 0]);
    }

    #[test]
    fn whatever_comes_a_frame_is_within_its_bytes() {
        for prefix in [&[][..], &[0x40, 0, 0], &[0, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42]] {
            with_random_bytes(prefix, |bytes| match next(bytes) {
                TurnFrame::Complete { length, consumed } => {
                    assert!(length <= consumed && consumed <= bytes.len());
                }
                TurnFrame::Incomplete(wanted) => assert!(wanted > bytes.len()),
                TurnFrame::Malformed => {}
            });
        }
    }
}

//! Finds the protocol of a datagram from its first bytes, because one UDP port carries all protocols.
//!
//! RFC 7983 §7 decides by the first byte; RFC 5761 §4 tells RTP from RTCP by the second. A kind says which parser
//! should get the datagram, not that it is well formed.

/// The protocols that share the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatagramKind {
    /// STUN, and TURN's own requests: first byte 0–3, the magic cookie in place (RFC 8489 §5).
    Stun,
    /// A DTLS record: first byte 20–63.
    Dtls,
    /// RTP or SRTP: first byte 128–191, at least a fixed header (12 bytes).
    Rtp,
    /// RTCP or SRTCP: as RTP, with a second byte of 192–223 and at least 8 bytes.
    Rtcp,
    /// TURN ChannelData: first byte 64–127, at least its 4-byte header. By RFC 8656 §12.4 clients choose below 80, but
    /// older ones (RFC 5766 §11) use any channel up to 0x7FFF, and nothing else begins with such a byte.
    TurnChannel,
    /// Anything else, including datagrams that are too short for their own header. Drop it.
    Unknown,
}

/// The fixed second word of every STUN message (RFC 8489 §5).
pub const STUN_MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Bytes of a STUN header.
pub const STUN_HEADER_LEN: usize = 20;

/// Bytes of an RTP header without CSRCs and extensions.
pub const RTP_FIXED_HEADER_LEN: usize = 12;

/// Bytes of the shortest RTCP packet that has a sender.
pub const RTCP_MIN_LEN: usize = 8;

/// Bytes of a ChannelData header.
const CHANNEL_HEADER_LEN: usize = 4;

/// Returns the kind of a datagram by RFC 7983 and RFC 5761. Looks at 8 bytes at most.
pub fn classify(datagram: &[u8]) -> DatagramKind {
    let Some(&first) = datagram.first() else { return DatagramKind::Unknown };
    let length = datagram.len();
    match first {
        0..=3 if length >= STUN_HEADER_LEN && datagram.get(4..8) == Some(&STUN_MAGIC_COOKIE[..]) => {
            DatagramKind::Stun
        }
        20..=63 => DatagramKind::Dtls,
        64..=127 if length >= CHANNEL_HEADER_LEN => DatagramKind::TurnChannel,
        128..=191 => match datagram.get(1) {
            Some(192..=223) if length >= RTCP_MIN_LEN => DatagramKind::Rtcp,
            Some(0..=191 | 224..=255) if length >= RTP_FIXED_HEADER_LEN => DatagramKind::Rtp,
            _ => DatagramKind::Unknown,
        },
        _ => DatagramKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::super::noise::with_random_bytes;
    use super::*;

    fn datagram(first: u8, second: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[..2].copy_from_slice(&[first, second]);
        bytes
    }

    #[test]
    fn first_bytes_sort_as_rfc_7983_and_older_turn_clients_have_it() {
        for first in 0..=255u8 {
            let mut bytes = datagram(first, 111, 64);
            bytes[4..8].copy_from_slice(&STUN_MAGIC_COOKIE);
            let expected = match first {
                0..=3 => DatagramKind::Stun,
                20..=63 => DatagramKind::Dtls,
                64..=127 => DatagramKind::TurnChannel,
                128..=191 => DatagramKind::Rtp,
                _ => DatagramKind::Unknown,
            };
            assert_eq!(classify(&bytes), expected, "first byte {first}");
        }
    }

    #[test]
    fn second_bytes_192_to_223_are_rtcp() {
        for second in 0..=255u8 {
            let expected = if (192..=223).contains(&second) { DatagramKind::Rtcp } else { DatagramKind::Rtp };
            assert_eq!(classify(&datagram(0x80, second, 12)), expected, "second byte {second}");
        }
    }

    #[test]
    fn what_is_too_short_is_unknown() {
        assert_eq!(classify(&[]), DatagramKind::Unknown);
        assert_eq!(classify(&[0x80]), DatagramKind::Unknown);
        assert_eq!(classify(&datagram(0x80, 111, 11)), DatagramKind::Unknown);
        assert_eq!(classify(&datagram(0x80, 200, 8)), DatagramKind::Rtcp);
        assert_eq!(classify(&datagram(0x80, 200, 7)), DatagramKind::Unknown);
        assert_eq!(classify(&datagram(64, 0, 3)), DatagramKind::Unknown);
        let mut stun = datagram(0, 1, 19);
        stun[4..8].copy_from_slice(&STUN_MAGIC_COOKIE);
        assert_eq!(classify(&stun), DatagramKind::Unknown);
    }

    #[test]
    fn stun_without_the_cookie_is_unknown() {
        assert_eq!(classify(&datagram(0, 1, 20)), DatagramKind::Unknown);
    }

    #[test]
    fn random_bytes_are_survived() {
        with_random_bytes(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42], |bytes| {
            classify(bytes);
        });
    }
}

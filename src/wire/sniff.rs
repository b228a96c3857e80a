//! Finds the protocol of a TCP connection from its first bytes, because one port carries TLS, HTTP, TURN and ICE-TCP.
//!
//! It is asked again with each new byte until the answer is not [`Opening::Undecided`], and once more for the bytes
//! inside TLS. After ten unknown bytes it waits no longer. The rules are tried in a fixed order:
//! 1. `16 03`: TLS (RFC 8446 §5.1);
//! 2. `PROXY ` and `PRI *`: the PROXY protocol and HTTP/2, neither of which is served;
//! 3. three capital letters: the method of an HTTP/1 request (RFC 9112 §3);
//! 4. below 64, cookie in bytes 4–7: STUN without framing, which over TCP only TURN uses (RFC 8489 §5, RFC
//!    8656);
//! 5. a length, then below 2, cookie in bytes 6–9: STUN in a frame of RFC 4571, so ICE-TCP (RFC 6544).

use std::ops::RangeInclusive;

use super::classify::{STUN_HEADER_LEN, STUN_MAGIC_COOKIE};

/// Bytes after which [`sniff`] has decided.
pub const SNIFF_LEN: usize = 10;

/// Lengths an ICE-TCP connection's first frame may have: a STUN message, and no more than a datagram would
/// hold.
const FIRST_FRAME_LEN: RangeInclusive<usize> = STUN_HEADER_LEN..=1500;

/// What a TCP connection turns out to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// TLS: the connection begins with a ClientHello.
    Tls,
    /// An HTTP/1 request, so HTTP or WebSocket.
    Http,
    /// STUN framed by RFC 4571.
    IceTcp,
    /// STUN without framing: TURN over TCP.
    Turn,
    /// More than one is still possible, or one that is not certain: wait for more.
    Undecided,
    /// None of them, or one that is not served (PROXY, HTTP/2, ssltcp): close.
    Unknown,
}

/// How the bytes so far match a rule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Match {
    No,
    /// As far as there are bytes.
    SoFar,
    Yes,
}

/// Decides by the `first` bytes of a connection. Never [`Opening::Undecided`] with [`SNIFF_LEN`] bytes or
/// more, nor once no protocol is possible any more.
pub fn sniff(first: &[u8]) -> Opening {
    let rules: [(Match, Opening); 6] = [
        (literal(first, 0, &[0x16, 0x03]), Opening::Tls),
        (literal(first, 0, b"PROXY "), Opening::Unknown),
        (literal(first, 0, b"PRI *"), Opening::Unknown),
        (bytes(first, 0, 3, |byte| byte.is_ascii_uppercase()), Opening::Http),
        (bytes(first, 0, 1, |byte| byte < 0x40).and(literal(first, 4, &STUN_MAGIC_COOKIE)), Opening::Turn),
        (framed_stun(first), Opening::IceTcp),
    ];
    let fitting = rules.into_iter().find(|&(fit, _)| fit != Match::No);
    match fitting {
        Some((Match::Yes, opening)) => opening,
        Some(_) => Opening::Undecided,
        None => Opening::Unknown,
    }
}

fn framed_stun(first: &[u8]) -> Match {
    let length = match *first {
        [] => Match::SoFar,
        // There is only the high byte: could any low byte make it an allowed length?
        [high] if usize::from(high) <= FIRST_FRAME_LEN.end() >> 8 => Match::SoFar,
        [high, low, ..] if FIRST_FRAME_LEN.contains(&usize::from(u16::from_be_bytes([high, low]))) => {
            Match::Yes
        }
        _ => Match::No,
    };
    length.and(bytes(first, 2, 1, |byte| byte < 0x02)).and(literal(first, 6, &STUN_MAGIC_COOKIE))
}

/// Whether `count` bytes from `offset` on all satisfy `allowed`.
fn bytes(first: &[u8], offset: usize, count: usize, allowed: impl Fn(u8) -> bool) -> Match {
    let present = first.iter().skip(offset).take(count);
    let seen = present.len();
    if !present.copied().all(allowed) {
        Match::No
    } else if seen == count {
        Match::Yes
    } else {
        Match::SoFar
    }
}

/// Whether `wanted` is at `offset`.
fn literal(first: &[u8], offset: usize, wanted: &[u8]) -> Match {
    let present = first.get(offset..).unwrap_or_default();
    if present.starts_with(wanted) {
        Match::Yes
    } else if wanted.starts_with(present) {
        Match::SoFar
    } else {
        Match::No
    }
}

impl Match {
    /// Both rules have to fit.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::SoFar,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::noise::with_random_bytes;
    use super::*;

    /// Feeds byte by byte, as a slow network might; returns the decision and how many bytes it took.
    fn fed(stream: &[u8]) -> (Opening, usize) {
        let lengths = 0..=stream.len();
        let decided = lengths.map(|length| (sniff(&stream[..length]), length));
        decided.into_iter().find(|&(opening, _)| opening != Opening::Undecided).unwrap()
    }

    #[test]
    fn captured_openings_are_told_apart_byte_by_byte() {
        assert_eq!(fed(&[0x16, 3, 1, 7, 0x86, 1]), (Opening::Tls, 2));
        assert_eq!(fed(b"GET / HTTP/1.1"), (Opening::Http, 3));
        assert_eq!(fed(b"POST /x"), (Opening::Http, 3));
        assert_eq!(fed(&[0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42]), (Opening::Turn, 8));
        assert_eq!(fed(&[0, 0x6c, 0, 1, 0, 0x58, 0x21, 0x12, 0xa4, 0x42]), (Opening::IceTcp, 10));
    }

    #[test]
    fn what_is_not_served_is_unknown() {
        assert_eq!(fed(b"PROXY TCP4 "), (Opening::Unknown, 6));
        assert_eq!(fed(b"PRI * HTTP/2.0"), (Opening::Unknown, 5));
        assert_eq!(fed(b"\r\n\r\n\0\r\nQUIT\n").0, Opening::Unknown);
        assert_eq!(fed(&[0x80, 0x46, 1, 3, 1, 0, 0x2d]).0, Opening::Unknown);
        assert_eq!(
            fed(b"SSH-2.0-x").0,
            Opening::Http,
            "three letters are enough; the HTTP parser refuses it"
        );
        assert_eq!(fed(b"get / http").0, Opening::Unknown);
    }

    #[test]
    fn methods_that_look_like_proxy_or_http_2_are_http() {
        assert_eq!(fed(b"PROPFIND /"), (Opening::Http, 4));
        assert_eq!(fed(b"PRINT /"), (Opening::Http, 4));
        assert_eq!(fed(b"PUT /"), (Opening::Http, 3));
    }

    #[test]
    fn a_first_frame_is_a_stun_message_of_a_datagrams_size() {
        let framed = |length: u16, kind: u8| {
            let [high, low] = length.to_be_bytes();
            fed(&[high, low, kind, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]).0
        };
        assert_eq!((framed(20, 0), framed(1500, 1)), (Opening::IceTcp, Opening::IceTcp));
        for (length, kind) in [(19, 0), (1501, 0), (100, 2)] {
            assert_eq!(framed(length, kind), Opening::Unknown, "{length} bytes, type {kind}");
        }
    }

    #[test]
    fn stun_without_the_cookie_is_unknown() {
        assert_eq!(fed(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x43, 0, 0]).0, Opening::Unknown);
        assert_eq!(sniff(&[]), Opening::Undecided);
    }

    #[test]
    fn ten_bytes_decide_and_a_decision_stands() {
        for prefix in [&b"PROXY TCP4"[..], &[0, 0x6c, 0, 1, 0, 0x58, 0x21, 0x12, 0xa4, 0x42], &[0x16, 3, 1]] {
            with_random_bytes(prefix, |bytes| {
                let mut decided = None;
                for length in 0..=bytes.len() {
                    match (sniff(&bytes[..length]), decided) {
                        (Opening::Undecided, None) => assert!(length < SNIFF_LEN),
                        (opening, None) => decided = Some(opening),
                        (opening, Some(earlier)) => assert_eq!(opening, earlier),
                    }
                }
            });
        }
    }
}

//! Just enough of STUN (RFC 8489) to route a message: it finds the receiver, not whether the message is genuine.
//!
//! The ICE agent checks integrity and fingerprint and answers; a [`StunPeek`] is an unverified claim of the sender. The
//! attributes are ICE's (RFC 8445 §7.1.2, §7.2.2).

use super::classify::STUN_MAGIC_COOKIE;
use super::cursor::Cursor;

/// The class of a STUN message (RFC 8489 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StunClass {
    /// A request, which wants an answer.
    Request,
    /// An indication, which wants none.
    Indication,
    /// A successful answer.
    Success,
    /// A refusal.
    Error,
}

/// The method every ICE check uses.
pub const METHOD_BINDING: u16 = 0x001;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
const USE_CANDIDATE: u16 = 0x0025;
const ICE_CONTROLLED: u16 = 0x8029;

/// The comprehension-required attributes that we understand (RFC 8489 §18.3, RFC 8445 §16.1): MAPPED-ADDRESS, USERNAME,
/// MESSAGE-INTEGRITY, ERROR-CODE, UNKNOWN-ATTRIBUTES, REALM, NONCE, MESSAGE-INTEGRITY-SHA256, PASSWORD-ALGORITHM,
/// USERHASH, XOR-MAPPED-ADDRESS, PRIORITY and USE-CANDIDATE.
const UNDERSTOOD: [u16; 13] = [
    0x01,
    USERNAME,
    MESSAGE_INTEGRITY,
    ERROR_CODE,
    0x0a,
    0x14,
    0x15,
    MESSAGE_INTEGRITY_SHA256,
    0x1d,
    0x1e,
    0x20,
    0x24,
    USE_CANDIDATE,
];
/// Attributes from here on are optional: they may be ignored if unknown.
const OPTIONAL: u16 = 0x8000;
/// How many attributes that are not understood are named at most.
const UNKNOWN_MAX: usize = 4;

/// The first comprehension-required attributes of a message that we do not understand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnknownAttributes {
    types: [u16; UNKNOWN_MAX],
    count: usize,
}

impl UnknownAttributes {
    fn note(&mut self, attribute: u16) {
        if attribute < OPTIONAL
            && !UNDERSTOOD.contains(&attribute)
            && let Some(place) = self.types.get_mut(self.count)
        {
            *place = attribute;
            self.count += 1;
        }
    }

    /// Their types, in order.
    pub fn types(&self) -> &[u16] {
        &self.types[..self.count]
    }
}

/// What a STUN message says about itself, unverified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StunPeek<'a> {
    /// Request, indication or answer.
    pub class: StunClass,
    /// The method, 0–0xfff; [`METHOD_BINDING`] for ICE.
    pub method: u16,
    /// The transaction id an answer repeats.
    pub transaction: [u8; 12],
    /// The value of USERNAME, without padding and not necessarily text.
    pub username: Option<&'a [u8]>,
    /// Whether USE-CANDIDATE nominates the pair.
    pub use_candidate: bool,
    /// Whether ICE-CONTROLLED claims that the other side decides which pair is used.
    pub is_controlled: bool,
    /// The comprehension-required attributes that we do not understand.
    pub unknown: UnknownAttributes,
    /// Whether there is a MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 of some value.
    pub has_integrity: bool,
    /// The number in ERROR-CODE, which says why a request is refused.
    pub error_code: Option<u16>,
}

/// Reads the message that fills `datagram`.
///
/// `None` if it is not one: no magic cookie, a length that is not the datagram's, an attribute that passes
/// the end. As RFC 8489 §14 wants, the first of several attributes of a type counts, and what follows the
/// integrity attribute is ignored.
pub fn peek(datagram: &[u8]) -> Option<StunPeek<'_>> {
    let mut cursor = Cursor::new(datagram);
    let kind = cursor.u16().ok()?;
    let length = usize::from(cursor.u16().ok()?);
    let cookie = cursor.take(4).ok()?;
    let transaction = cursor.take(12).ok()?.try_into().ok()?;
    if kind >> 14 != 0 || cookie != STUN_MAGIC_COOKIE || length % 4 != 0 || length != cursor.remaining() {
        return None;
    }
    let class = match (kind & 0x0100 != 0, kind & 0x0010 != 0) {
        (false, false) => StunClass::Request,
        (false, true) => StunClass::Indication,
        (true, false) => StunClass::Success,
        (true, true) => StunClass::Error,
    };
    let method = (kind & 0x000f) | ((kind & 0x00e0) >> 1) | ((kind & 0x3e00) >> 2);
    let mut peek = StunPeek {
        class,
        method,
        transaction,
        username: None,
        use_candidate: false,
        is_controlled: false,
        unknown: UnknownAttributes::default(),
        has_integrity: false,
        error_code: None,
    };
    while cursor.remaining() > 0 {
        let attribute = cursor.u16().ok()?;
        let value_len = usize::from(cursor.u16().ok()?);
        let value = cursor.take(value_len).ok()?;
        cursor.take(value_len.next_multiple_of(4) - value_len).ok()?;
        match attribute {
            MESSAGE_INTEGRITY | MESSAGE_INTEGRITY_SHA256 => peek.has_integrity = true,
            USERNAME if !peek.has_integrity && peek.username.is_none() => peek.username = Some(value),
            USE_CANDIDATE if !peek.has_integrity => peek.use_candidate = true,
            ICE_CONTROLLED if !peek.has_integrity => peek.is_controlled = true,
            ERROR_CODE if !peek.has_integrity && peek.error_code.is_none() => {
                peek.error_code = error_code(value);
            }
            other if !peek.has_integrity => peek.unknown.note(other),
            _ => {}
        }
    }
    Some(peek)
}

/// Returns the number in the value of an ERROR-CODE: hundreds, and the rest (RFC 8489 §14.8).
fn error_code(value: &[u8]) -> Option<u16> {
    let (hundreds, rest) = (value.get(2)? & 7, *value.get(3)?);
    Some(u16::from(hundreds) * 100 + u16::from(rest))
}

impl<'a> StunPeek<'a> {
    /// The part of USERNAME before the first `:`, in a request the receiver's own ufrag (RFC 8445 §7.2.2).
    /// `None` without USERNAME or colon.
    pub fn local_ufrag(&self) -> Option<&'a [u8]> {
        let username = self.username?;
        let colon = username.iter().position(|&byte| byte == b':')?;
        username.get(..colon)
    }

    /// The part of USERNAME behind the first `:`, in a request the sender's ufrag. `None` without USERNAME or colon, and if
    /// nothing is there.
    pub fn remote_ufrag(&self) -> Option<&'a [u8]> {
        let username = self.username?;
        let colon = username.iter().position(|&byte| byte == b':')?;
        username.get(colon + 1..).filter(|ufrag| !ufrag.is_empty())
    }

    /// Whether this is an ICE check, or a request for the sender's address.
    pub fn is_binding_request(&self) -> bool {
        self.class == StunClass::Request && self.method == METHOD_BINDING
    }

    /// Whether this answers a check, in either way.
    pub fn is_binding_answer(&self) -> bool {
        matches!(self.class, StunClass::Success | StunClass::Error) && self.method == METHOD_BINDING
    }

    /// Whether this is the successful answer to a check.
    pub fn is_binding_success(&self) -> bool {
        self.class == StunClass::Success && self.method == METHOD_BINDING
    }
}

#[cfg(test)]
mod tests {
    use super::super::noise::with_random_bytes;
    use super::*;

    /// The sample request of RFC 5769 §2.1.
    const SAMPLE: &[u8] = b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
        \x80\x22\x00\x10STUN test client\
        \x00\x24\x00\x04\x6e\x00\x01\xff\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
        \x00\x06\x00\x09\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20\
        \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
        \x80\x28\x00\x04\xe5\x7a\x3b\xcf";

    fn message(kind: u16, attributes: &[u8]) -> Vec<u8> {
        let mut bytes = kind.to_be_bytes().to_vec();
        bytes.extend((attributes.len() as u16).to_be_bytes());
        bytes.extend(STUN_MAGIC_COOKIE);
        bytes.extend([7; 12]);
        bytes.extend(attributes);
        bytes
    }

    #[test]
    fn a_refusal_says_its_number() {
        let refusal = |value: &[u8]| {
            let length = u16::try_from(value.len()).expect("short").to_be_bytes();
            let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
            message(0x0111, &[&[0, 9][..], &length, value, &padding].concat())
        };
        for (value, expected) in [
            (&[0, 0, 4, 1][..], Some(401)),
            (&[0, 0, 4, 20, b'x'], Some(420)),
            (&[0xff, 0xff, 0xfc, 1], Some(401)),
            (&[0, 0, 4], None),
        ] {
            let bytes = refusal(value);
            let peek = peek(&bytes).expect("a message");
            assert!(peek.is_binding_answer() && !peek.is_binding_success());
            assert_eq!(peek.error_code, expected, "{value:?}");
        }
    }

    #[test]
    fn the_sample_request_of_rfc_5769_is_read() {
        let peek = peek(SAMPLE).unwrap();
        assert!(peek.is_binding_request() && !peek.is_binding_success());
        assert_eq!(peek.username, Some(&b"evtj:h6vY"[..]));
        assert_eq!(peek.local_ufrag(), Some(&b"evtj"[..]));
        assert_eq!((peek.remote_ufrag(), peek.error_code), (Some(&b"h6vY"[..]), None));
        assert!(peek.has_integrity && !peek.use_candidate);
        assert_eq!(peek.transaction[..4], [0xb7, 0xe7, 0xa7, 0x01]);
    }

    #[test]
    fn no_part_of_a_message_is_a_message() {
        for length in 0..SAMPLE.len() {
            assert_eq!(peek(&SAMPLE[..length]), None, "{length} bytes");
        }
        assert_eq!(peek(&[SAMPLE, &[0; 4]].concat()), None, "more than the message");
    }

    #[test]
    fn classes_and_methods_are_untangled() {
        let of = |kind| peek(&message(kind, &[])).map(|peek| (peek.class, peek.method));
        assert_eq!(of(0x0101), Some((StunClass::Success, METHOD_BINDING)));
        assert_eq!(of(0x0111), Some((StunClass::Error, METHOD_BINDING)));
        assert_eq!(of(0x0011), Some((StunClass::Indication, METHOD_BINDING)));
        assert_eq!(of(0x0003), Some((StunClass::Request, 3)), "Allocate");
        assert_eq!(of(0x3eef), Some((StunClass::Request, 0xfff)));
        assert_eq!(of(0x4001), None);
    }

    #[test]
    fn nothing_behind_the_integrity_counts_and_the_first_of_a_type_does() {
        let user = |name: u8| [0, 6, 0, 3, name, b':', b'x', 0];
        let integrity = [&[0, 8, 0, 20][..], &[0; 20]].concat();
        let nominate = [0, 0x25, 0, 0];
        let late = message(1, &[&integrity[..], &user(b'a'), &nominate].concat());
        let late = peek(&late).unwrap();
        assert_eq!((late.username, late.use_candidate, late.has_integrity), (None, false, true));
        let early = message(1, &[&user(b'a')[..], &user(b'b'), &nominate, &integrity].concat());
        let early = peek(&early).unwrap();
        assert_eq!((early.local_ufrag(), early.use_candidate), (Some(&b"a"[..]), true));
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_named() {
        let attributes =
            [0x77, 0x77, 0, 1, 9, 0, 0, 0, 0xc0, 0x57, 0, 0, 0, 0x24, 0, 4, 0, 0, 0, 1, 0x12, 0x34, 0, 0];
        let integrity = [&[0, 8, 0, 20][..], &[0; 20]].concat();
        let late = [0x11, 0x11, 0, 0];
        let bytes = message(1, &[&attributes[..], &integrity, &late].concat());
        assert_eq!(peek(&bytes).unwrap().unknown.types(), [0x7777, 0x1234]);
        let many = message(1, &[0x55, 0x55, 0, 0].repeat(9));
        assert_eq!(peek(&many).unwrap().unknown.types(), [0x5555; UNKNOWN_MAX]);
        assert!(peek(SAMPLE).unwrap().unknown.types().is_empty() && peek(SAMPLE).unwrap().is_controlled);
    }

    #[test]
    fn attributes_past_the_end_and_names_without_a_colon_are_refused() {
        assert_eq!(peek(&message(1, &[0, 6, 0, 5, 1, 2, 3, 4])), None);
        assert_eq!(peek(&message(1, &[0, 6, 0xff, 0xff])), None);
        let bare = message(1, &[0, 6, 0, 4, b'a', b'b', b'c', b'd']);
        assert_eq!(peek(&bare).unwrap().local_ufrag(), None);
    }

    #[test]
    fn random_bytes_are_survived() {
        with_random_bytes(&SAMPLE[..20], |bytes| {
            if let Some(length) = bytes.len().checked_sub(20) {
                bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            }
            if let Some(peek) = peek(bytes) {
                peek.local_ufrag();
            }
        });
    }
}

//! The answers that refuse a connectivity check before the ICE agent sees it: it says what must be understood and is not
//! (RFC 8489 §6.3.1), or claims the part of the negotiation that is ours (RFC 8445 §7.3.1.1).
//!
//! A lite agent never decides which pair is used, so of two sides that both claim not to, the other one has to change
//! its mind. Only a client that knows the password is answered, so that forged addresses get no answers.

use aws_lc_rs::hmac;

use super::stun::{StunPeek, UnknownAttributes};
use super::stun_check::{ATTRIBUTE_HEADER_BYTES, HEADER_BYTES, MESSAGE_INTEGRITY, attribute, header, sign};

const BINDING_ERROR: u16 = 0x0111;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
/// Bytes of MESSAGE-INTEGRITY's value: HMAC-SHA1.
const INTEGRITY_BYTES: usize = 20;

/// Why a check is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 420: it holds attributes that must be understood, and are not.
    Unknown(UnknownAttributes),
    /// 487: both sides claim to be controlled.
    RoleConflict,
}

impl Refusal {
    /// Returns why a message is refused; `None` if it is no check, or a good one.
    pub fn of(message: &StunPeek<'_>) -> Option<Self> {
        if !message.is_binding_request() {
            None
        } else if !message.unknown.types().is_empty() {
            Some(Self::Unknown(message.unknown))
        } else {
            message.is_controlled.then_some(Self::RoleConflict)
        }
    }

    /// Writes the answer to the check of that transaction, signed with our password.
    pub fn write(&self, out: &mut Vec<u8>, transaction: [u8; 12], password: &str) {
        header(out, BINDING_ERROR, transaction);
        let (class, number, reason): (u8, u8, &[u8]) = match self {
            Self::Unknown(_) => (4, 20, b"Unknown Attribute"),
            Self::RoleConflict => (4, 87, b"Role Conflict"),
        };
        attribute(out, ERROR_CODE, &[&[0, 0, class, number], reason].concat());
        if let Self::Unknown(unknown) = self {
            let types: Vec<u8> = unknown.types().iter().flat_map(|kind| kind.to_be_bytes()).collect();
            attribute(out, UNKNOWN_ATTRIBUTES, &types);
        }
        sign(out, password);
    }
}

/// Returns whether a message was signed with that password (RFC 8489 §14.5).
pub fn is_signed(message: &[u8], password: &str) -> bool {
    let Some(at) = integrity_at(message) else { return false };
    let value = at + ATTRIBUTE_HEADER_BYTES;
    let (Some(before), Some(integrity)) = (message.get(..at), message.get(value..value + INTEGRITY_BYTES))
    else {
        return false;
    };
    // What is signed has a length that ends with the signature.
    let length = (value + INTEGRITY_BYTES - HEADER_BYTES) as u16;
    let mut signed = before.to_vec();
    signed[2..4].copy_from_slice(&length.to_be_bytes());
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    hmac::verify(&key, &signed, integrity).is_ok()
}

/// Returns where the attribute of the integrity begins.
fn integrity_at(message: &[u8]) -> Option<usize> {
    let mut at = HEADER_BYTES;
    loop {
        let head: [u8; ATTRIBUTE_HEADER_BYTES] =
            message.get(at..at + ATTRIBUTE_HEADER_BYTES)?.try_into().ok()?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if u16::from_be_bytes([head[0], head[1]]) == MESSAGE_INTEGRITY {
            return (length == INTEGRITY_BYTES).then_some(at);
        }
        at += ATTRIBUTE_HEADER_BYTES + length.next_multiple_of(4);
    }
}

#[cfg(test)]
mod tests {
    use super::super::stun::{StunClass, peek};
    use super::super::stun_check::{Credentials, write_check};
    use super::*;

    const PASSWORD: &str = "a good password";

    /// A check with one more attribute.
    fn check(kind: u16) -> Vec<u8> {
        let mut out = Vec::new();
        header(&mut out, 1, [7; 12]);
        attribute(&mut out, 0x0006, b"server:client");
        attribute(&mut out, kind, &[1; 8]);
        sign(&mut out, PASSWORD);
        out
    }

    fn refusal(bytes: &[u8]) -> Option<Refusal> {
        Refusal::of(&peek(bytes).expect("a message"))
    }

    #[test]
    fn a_check_is_signed_by_whoever_knows_the_password_and_nobody_else() {
        let mut bytes = check(0x7777);
        assert!(is_signed(&bytes, PASSWORD) && !is_signed(&bytes, "another"));
        for length in 0..bytes.len() - 8 {
            assert!(!is_signed(&bytes[..length], PASSWORD), "{length} bytes");
        }
        bytes[30] ^= 1;
        assert!(!is_signed(&bytes, PASSWORD));
    }

    #[test]
    fn only_what_must_be_understood_and_the_wrong_role_are_refused() {
        let mut good = Vec::new();
        let credentials =
            Credentials { username: "server:client".into(), password: PASSWORD.into(), tie_breaker: 7 };
        write_check(&mut good, [7; 12], &credentials);
        assert!(is_signed(&good, PASSWORD));
        assert_eq!(refusal(&good), None);
        assert_eq!(refusal(&check(0xc057)), None, "what may be ignored is");
        assert_eq!(refusal(&check(0x8029)), Some(Refusal::RoleConflict));
        assert!(matches!(refusal(&check(0x7777)), Some(Refusal::Unknown(_))));
        let mut answer = check(0x7777);
        answer[0] = 1;
        assert_eq!(refusal(&answer), None, "an answer is no check");
    }

    #[test]
    fn a_refusal_says_why_and_is_signed() {
        for (kind, code, unknown) in [(0x7777, [4, 20], Some([0x77, 0x77])), (0x8029, [4, 87], None)] {
            let mut out = Vec::new();
            refusal(&check(kind)).expect("refused").write(&mut out, [7; 12], PASSWORD);
            let message = peek(&out).expect("a message");
            assert_eq!((message.class, message.transaction), (StunClass::Error, [7; 12]));
            assert!(is_signed(&out, PASSWORD));
            assert_eq!(out[26..28], code);
            let named = out
                .windows(6)
                .find(|window| window[..4] == [0, 0x0a, 0, 2])
                .map(|found| [found[4], found[5]]);
            assert_eq!(named, unknown);
        }
    }
}

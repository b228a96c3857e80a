//! Connectivity checks, as they are written and granted. A lite server needs only the question whether a peer receives at
//! an address; the rest is for our own test clients: as much as a full ICE agent with one candidate pair needs.
//!
//! RFC 8489 §5 and §14 (message, integrity, fingerprint), RFC 8445 §7.1 (the attributes of a check). The pair is
//! nominated with the first check, as every WebRTC client may against an ICE-lite server.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::hmac;

use super::classify::STUN_MAGIC_COOKIE;
use super::stun;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const USERNAME: u16 = 0x0006;
pub(super) const MESSAGE_INTEGRITY: u16 = 0x0008;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802a;

/// The constant with which FINGERPRINT is combined (RFC 8489 §14.7).
const FINGERPRINT_MASK: u32 = 0x5354_554e;
/// Bytes of a message before its attributes.
pub(super) const HEADER_BYTES: usize = 20;
/// Bytes of an attribute before its value.
pub(super) const ATTRIBUTE_HEADER_BYTES: usize = 4;
/// Peer-reflexive type preference (RFC 8445 §5.1.2.1), full local preference, component 1.
const CHECK_PRIORITY: u32 = 110 << 24 | 65_535 << 8 | 255;

/// The contents of a check, and its password.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Both ufrags, the server's first.
    pub username: String,
    /// The server's ICE password, which signs checks.
    pub password: String,
    /// The tie-breaker of the role conflict. It is required, though never needed against a lite agent.
    pub tie_breaker: u64,
}

/// Writes a connectivity check that nominates its pair.
pub fn write_check(out: &mut Vec<u8>, transaction: [u8; 12], credentials: &Credentials) {
    header(out, BINDING_REQUEST, transaction);
    attribute(out, USERNAME, credentials.username.as_bytes());
    attribute(out, PRIORITY, &CHECK_PRIORITY.to_be_bytes());
    attribute(out, ICE_CONTROLLING, &credentials.tie_breaker.to_be_bytes());
    attribute(out, USE_CANDIDATE, &[]);
    sign(out, &credentials.password);
}

/// Writes a connectivity check of the server's, which only asks whether the peer receives at an address. `username` has both
/// ufrags, the peer's first, and `password` is the peer's.
pub fn write_question(out: &mut Vec<u8>, transaction: [u8; 12], username: &str, password: &str) {
    header(out, BINDING_REQUEST, transaction);
    attribute(out, USERNAME, username.as_bytes());
    attribute(out, PRIORITY, &CHECK_PRIORITY.to_be_bytes());
    // The lowest tie-breaker: in a conflict about who decides it is the peer that does.
    attribute(out, ICE_CONTROLLED, &[0; 8]);
    sign(out, password);
}

/// Grants a check that came from that address; `password` is ours.
pub fn write_grant(out: &mut Vec<u8>, transaction: [u8; 12], from: SocketAddr, password: &str) {
    header(out, BINDING_SUCCESS, transaction);
    let [port_high, port_low] = from.port().to_be_bytes();
    let mut plain = vec![port_high, port_low];
    let (family, mask_of_address) = match from.ip() {
        IpAddr::V4(ip) => {
            plain.extend_from_slice(&ip.octets());
            (1, STUN_MAGIC_COOKIE.to_vec())
        }
        IpAddr::V6(ip) => {
            plain.extend_from_slice(&ip.octets());
            (2, [&STUN_MAGIC_COOKIE[..], &transaction].concat())
        }
    };
    // RFC 8489 §14.2: the port against the cookie's first half, the address against the cookie and the transaction.
    let mask = STUN_MAGIC_COOKIE[..2].iter().chain(&mask_of_address);
    let mut value = vec![0, family];
    value.extend(plain.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    attribute(out, XOR_MAPPED_ADDRESS, &value);
    sign(out, password);
}

/// Begins a message with a header of length zero.
pub(super) fn header(out: &mut Vec<u8>, kind: u16, transaction: [u8; 12]) {
    out.clear();
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&STUN_MAGIC_COOKIE);
    out.extend_from_slice(&transaction);
}

/// Ends a message with its integrity and its fingerprint.
pub(super) fn sign(out: &mut Vec<u8>, password: &str) {
    // Each of the two covers what is before it, with a length that counts it already.
    set_length(out, ATTRIBUTE_HEADER_BYTES + 20);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let integrity = hmac::sign(&key, out);
    attribute(out, MESSAGE_INTEGRITY, integrity.as_ref());
    set_length(out, ATTRIBUTE_HEADER_BYTES + 4);
    let fingerprint = crc32fast::hash(out) ^ FINGERPRINT_MASK;
    attribute(out, FINGERPRINT, &fingerprint.to_be_bytes());
}

/// Whether this grants the check of that transaction.
pub fn grants(datagram: &[u8], transaction: [u8; 12]) -> bool {
    stun::peek(datagram).is_some_and(|peek| peek.is_binding_success() && peek.transaction == transaction)
}

pub(super) fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    while !out.len().is_multiple_of(4) {
        out.push(0);
    }
    set_length(out, 0);
}

/// Sets the message's length, including attributes that will follow.
fn set_length(out: &mut [u8], following: usize) {
    let length = (out.len() - HEADER_BYTES + following) as u16;
    out[2..4].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use str0m::crypto::from_feature_flags;
    use str0m::ice::StunMessage;

    use super::*;

    fn check(username: &str) -> Vec<u8> {
        let credentials =
            Credentials { username: username.into(), password: "a good password".into(), tie_breaker: 77 };
        let mut out = Vec::new();
        write_check(&mut out, [7; 12], &credentials);
        out
    }

    #[test]
    fn the_engine_reads_our_checks_and_finds_them_genuine() {
        let provider = from_feature_flags();
        let sha1 = |key: &[u8], parts: &[&[u8]]| provider.sha1_hmac_provider.sha1_hmac(key, parts);
        for username in ["a:b", "room-and-more:c", "four:four"] {
            let bytes = check(username);
            let message = StunMessage::parse(&bytes).expect("a message");
            assert!(message.is_binding_request());
            assert_eq!(message.username(), Some(username));
            assert_eq!((message.prio(), message.ice_controlling()), (Some(CHECK_PRIORITY), Some(77)));
            assert!(message.use_candidate());
            assert!(message.verify(b"a good password", sha1));
            assert!(!message.verify(b"another password", sha1));
        }
    }

    #[test]
    fn the_engine_reads_our_grants_and_finds_itself_in_them() {
        let provider = from_feature_flags();
        let sha1 = |key: &[u8], parts: &[&[u8]]| provider.sha1_hmac_provider.sha1_hmac(key, parts);
        for address in ["192.0.2.7:40000", "[2001:db8::5]:7"] {
            let from = address.parse().expect("an address");
            let mut out = Vec::new();
            write_grant(&mut out, [9; 12], from, "our password");
            assert!(grants(&out, [9; 12]));
            let message = StunMessage::parse(&out).expect("a message");
            assert_eq!(message.mapped_address(), Some(from));
            assert!(message.verify(b"our password", sha1));
        }
    }

    #[test]
    fn the_engine_reads_our_questions_and_finds_them_genuine() {
        let provider = from_feature_flags();
        let sha1 = |key: &[u8], parts: &[&[u8]]| provider.sha1_hmac_provider.sha1_hmac(key, parts);
        let mut out = Vec::new();
        write_question(&mut out, [5; 12], "client:server", "their password");
        let message = StunMessage::parse(&out).expect("a message");
        assert!(message.is_binding_request() && !message.use_candidate());
        assert_eq!(message.username(), Some("client:server"));
        assert_eq!(message.ice_controlled(), Some(0));
        assert!(message.verify(b"their password", sha1));
    }

    #[test]
    fn our_own_parser_finds_the_servers_ufrag() {
        let bytes = check("server:client");
        let peek = stun::peek(&bytes).expect("a message");
        assert_eq!(peek.local_ufrag(), Some(&b"server"[..]));
        assert!(peek.use_candidate && peek.has_integrity);
    }

    #[test]
    fn only_the_answer_to_this_check_grants_it() {
        let mut answer = check("a:b");
        assert!(!grants(&answer, [7; 12]), "a request grants nothing");
        answer[..2].copy_from_slice(&0x0101u16.to_be_bytes());
        assert!(grants(&answer, [7; 12]));
        assert!(!grants(&answer, [8; 12]));
    }
}

//! Signatures of requests: whoever asks for something that cannot be undone may have to sign the request itself, so that a
//! token that was seen by others is not enough, and nothing that was sent once can be sent again.
//!
//! What is signed is one text of five lines: the time, a nonce, the method, the path with its query, and the SHA-256 of the
//! body in hexadecimal. The signature is its HMAC-SHA-256 by one of the server's keys.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};

use super::jwt::Denied;
use super::keys::Key;

/// The header field that carries a signature.
pub const SIGNATURE_FIELD: &str = "strait-signature";
/// How old a signature may be, and how far clocks may be apart, in seconds.
const WINDOW_SECONDS: u64 = 60;
/// Most signatures that are remembered. Only whoever has a key can make them.
const REMEMBERED_MAX: usize = 100_000;
/// Most characters of a nonce.
const NONCE_CHARS_MAX: usize = 64;

/// The parts of a request that are signed.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The method, such as `DELETE`.
    pub method: &'a str,
    /// The path with its query, as it is sent.
    pub target: &'a str,
    /// The body, which may be empty.
    pub body: &'a [u8],
}

/// Returns the value of the header field that signs a request with a key, at a time in seconds since 1970. `nonce` is
/// different each time: letters and digits.
pub fn signature(key: &Key, unix: u64, nonce: &str, request: Signed<'_>) -> String {
    let tag = hmac::sign(&secret(key), text(unix, nonce, request).as_bytes());
    format!("key={},t={unix},n={nonce},v1={}", key.id, hex(tag.as_ref()))
}

/// Verifies signatures, each once.
#[derive(Debug, Default)]
pub struct Signatures {
    /// What was verified within the window, in that order, and until when it is remembered.
    verified: VecDeque<(u64, String)>,
    known: BTreeSet<String>,
}

impl Signatures {
    /// Verifies what a request's header field says, at a time in seconds since 1970. Returns the id of the key that signed it.
    ///
    /// # Errors
    /// The signature is of another form, another key, another request or another time, or it was used before.
    pub fn verify<'k>(
        &mut self,
        keys: &'k [Key],
        unix: u64,
        field: &str,
        request: Signed<'_>,
    ) -> Result<&'k str, Denied> {
        let part = |name: &str| {
            let parts = field.split(',').filter_map(|part| part.trim().split_once('='));
            let mut found = parts.filter(|(known, _)| *known == name).map(|(_, value)| value);
            found.next().ok_or_else(|| Denied::because(format!("the signature has no `{name}`")))
        };
        let (id, nonce, tag) = (part("key")?, part("n")?, part("v1")?);
        let time: u64 =
            part("t")?.parse().map_err(|_| Denied::because("the time of the signature is no number"))?;
        let plain = nonce.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if nonce.is_empty() || nonce.len() > NONCE_CHARS_MAX || !plain {
            return Err(Denied::because(format!("the nonce must be 1–{NONCE_CHARS_MAX} letters and digits")));
        }
        if unix.abs_diff(time) > WINDOW_SECONDS {
            return Err(Denied::because(format!(
                "the signature was made at another time than now: clocks may be {WINDOW_SECONDS} seconds apart"
            )));
        }
        let key = keys.iter().find(|key| key.id == id);
        let key =
            key.ok_or_else(|| Denied::because("the signature names a key that this server does not have"))?;
        let tag = unhex(tag).ok_or_else(|| Denied::because("the signature is not hexadecimal"))?;
        // The comparison takes as long wherever the signatures differ.
        hmac::verify(&secret(key), text(time, nonce, request).as_bytes(), &tag)
            .map_err(|_| Denied::because("the signature is not the one of this request by that key"))?;
        self.use_once(unix, format!("{id},{time},{nonce}"))?;
        Ok(&key.id)
    }

    fn use_once(&mut self, unix: u64, used: String) -> Result<(), Denied> {
        while let Some((until, _)) = self.verified.front()
            && *until < unix
        {
            if let Some((_, old)) = self.verified.pop_front() {
                self.known.remove(&old);
            }
        }
        if self.known.contains(&used) {
            return Err(Denied::because("the signature was used before"));
        }
        if self.verified.len() >= REMEMBERED_MAX {
            return Err(Denied::because("too many requests were signed within a minute"));
        }
        // It may have been made by a clock that is ahead, so that it is fresh for twice the window.
        self.verified.push_back((unix + 2 * WINDOW_SECONDS, used.clone()));
        self.known.insert(used);
        Ok(())
    }
}

fn secret(key: &Key) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key.secret.as_bytes())
}

fn text(unix: u64, nonce: &str, request: Signed<'_>) -> String {
    let Signed { method, target, body } = request;
    let digest = hex(digest::digest(&digest::SHA256, body).as_ref());
    format!("{unix}\n{nonce}\n{method}\n{target}\n{digest}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key { id: "team".into(), secret: "a secret that only the back end has".into() }
    }

    const END: Signed<'static> = Signed { method: "DELETE", target: "/admin/v1/rooms/standup", body: b"" };

    #[test]
    fn a_signature_is_good_for_its_own_request_once() {
        let mut signatures = Signatures::default();
        let field = signature(&key(), 1_000, "a1", END);
        for other in [
            Signed { method: "PUT", ..END },
            Signed { target: "/admin/v1/rooms/retro", ..END },
            Signed { body: b"{}", ..END },
        ] {
            let denied = signatures.verify(&[key()], 1_000, &field, other).expect_err("another request");
            assert!(denied.0.contains("not the one"), "{denied:?}");
        }
        let keys = [key()];
        assert_eq!(signatures.verify(&keys, 1_030, &field, END), Ok("team"));
        assert!(
            signatures.verify(&keys, 1_030, &field, END).is_err_and(|denied| denied.0.contains("before"))
        );
        let another = signature(&key(), 1_000, "a2", END);
        assert_eq!(signatures.verify(&keys, 1_060, &another, END), Ok("team"));
        assert!(
            signatures.verify(&keys, 1_061, &another, END).is_err_and(|denied| denied.0.contains("time"))
        );
    }

    #[test]
    fn a_signature_from_a_clock_that_is_ahead_is_good_once_too() {
        let mut signatures = Signatures::default();
        let keys = [key()];
        let field = signature(&key(), 1_060, "a1", END);
        assert_eq!(signatures.verify(&keys, 1_000, &field, END), Ok("team"));
        assert!(
            signatures.verify(&keys, 1_120, &field, END).is_err_and(|denied| denied.0.contains("before"))
        );
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let other = Key { id: "other".into(), ..key() };
        let forged =
            signature(&Key { secret: "another secret, which nobody knows".into(), ..key() }, 1_000, "a", END);
        let unknown = signature(&other, 1_000, "a", END);
        for field in [
            "",
            "key=team",
            "key=team,t=x,n=a,v1=00",
            "key=team,t=1000,n=,v1=00",
            "key=team,t=1000,n=a,v1=0g",
            &forged,
            &unknown,
        ] {
            assert!(Signatures::default().verify(&[key()], 1_000, field, END).is_err(), "{field}");
        }
    }
}

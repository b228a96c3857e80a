//! Key: what a back end signs its tokens with.

use std::fmt;

/// Most characters of a key's id.
pub const KEY_CHARS_MAX: usize = 64;
/// Fewest characters of a secret. Whoever has one token can try secrets as fast as their machines allow.
pub const SECRET_CHARS_MIN: usize = 32;

/// A pair of an id, which tokens name as their issuer, and a secret, which signs them.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// The id, which is no secret.
    pub id: String,
    /// The secret, as text.
    pub secret: String,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

impl Key {
    /// Makes a key of random bytes: 9 of them for the id, 32 for the secret.
    pub fn from_random(bytes: [u8; 41]) -> Self {
        use base64ct::{Base64UrlUnpadded, Encoding};
        let (id, secret) = bytes.split_at(9);
        Self {
            id: format!("K{}", Base64UrlUnpadded::encode_string(id)),
            secret: Base64UrlUnpadded::encode_string(secret),
        }
    }
}

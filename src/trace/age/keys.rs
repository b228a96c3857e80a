//! Keys: the public half for the configuration, and the private half, which stays in a file elsewhere.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::agreement::{self, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;

use super::{KEY_BYTES, bech32};

const PUBLIC_PREFIX: &str = "age";
/// The prefix of private keys. Files have it in capitals, so that nobody takes the private half for the public one.
const PRIVATE_PREFIX: &str = "age-secret-key-";

/// The public half of a key, `age1…`, to which something is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub(super) [u8; KEY_BYTES]);

/// The text is not a public X25519 key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadPublicKey;

impl FromStr for PublicKey {
    type Err = BadPublicKey;

    fn from_str(text: &str) -> Result<Self, BadPublicKey> {
        let bytes = bech32::decode(PUBLIC_PREFIX, text).ok_or(BadPublicKey)?;
        bytes.try_into().map(Self).map_err(|_| BadPublicKey)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bech32::encode(PUBLIC_PREFIX, &self.0))
    }
}

/// The private half of a key. Its `Debug` does not show it.
#[derive(Debug)]
pub struct PrivateKey {
    key: agreement::PrivateKey,
    public: PublicKey,
}

impl PrivateKey {
    /// Makes a key from the system's randomness. Returns it, and its line for a key file, `AGE-SECRET-KEY-1…`.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn generate() -> Result<(Self, String), Unspecified> {
        let mut secret = [0; KEY_BYTES];
        rand::fill(&mut secret)?;
        let text = bech32::encode(PRIVATE_PREFIX, &secret).to_ascii_uppercase();
        Ok((Self::new(&secret)?, text))
    }

    pub(super) fn new(secret: &[u8]) -> Result<Self, Unspecified> {
        let key = agreement::PrivateKey::from_private_key(&X25519, secret).map_err(|_| Unspecified)?;
        let public = key.compute_public_key()?.as_ref().try_into().map_err(|_| Unspecified)?;
        Ok(Self { key, public: PublicKey(public) })
    }

    /// Returns the public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Returns the secret that this key shares with a public half (RFC 7748).
    pub(super) fn agree(&self, public: &[u8; KEY_BYTES]) -> Result<[u8; KEY_BYTES], Unspecified> {
        let shared = agree(&self.key, UnparsedPublicKey::new(&X25519, public), Unspecified, |shared| {
            shared.try_into().map_err(|_| Unspecified)
        })?;
        // A public half of low order would make a secret that everybody knows.
        if shared == [0; KEY_BYTES] { Err(Unspecified) } else { Ok(shared) }
    }
}

/// Why a text is not a key file, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadKeyFile(pub &'static str);

/// Reads the private keys of a key file, in which each has a line of its own, besides comments and empty lines.
///
/// # Errors
/// A line is something else, or there is no key.
pub fn read_key_file(text: &str) -> Result<Vec<PrivateKey>, BadKeyFile> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<PrivateKey> = lines.map(read_key).collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(BadKeyFile("there is no key in it")) } else { Ok(keys) }
}

fn read_key(line: &str) -> Result<PrivateKey, BadKeyFile> {
    if let Some(key) = bech32::decode(PRIVATE_PREFIX, line).and_then(|secret| PrivateKey::new(&secret).ok()) {
        return Ok(key);
    }
    Err(BadKeyFile(if line.starts_with(super::MAGIC) || line.starts_with("-----BEGIN AGE") {
        "it is itself encrypted, and `age -d` opens it"
    } else if line.starts_with("AGE-SECRET-KEY-1") {
        "the key in it was not copied whole"
    } else if line.starts_with("AGE-") {
        "the key in it is of another kind"
    } else if line.parse::<PublicKey>().is_ok() {
        "it holds the public half"
    } else {
        "a line of it is no key"
    }))
}

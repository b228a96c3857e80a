//! Files of [age](https://age-encryption.org/v1) for X25519 keys: traces are encrypted in this format when nobody on
//! the server may be able to read them.
//!
//! The format suits traces: it is public and versioned, a file that was cut can be read up to the last whole chunk, the
//! cut is noticed, and `age` itself opens the files. The `age` crate also has passphrases, plug-ins, other kinds of
//! keys and translations, and depends on more crates than the rest of the server. This is the part that traces need, on
//! the primitives of `aws-lc-rs`.
//!
//! A file is a header, which holds the file's key, wrapped for each recipient, and a stream of
//! sealed chunks. `docs/determinism.md` describes it to users.

mod bech32;
mod header;
mod keys;
mod stream;
#[cfg(test)]
mod tests;

use aws_lc_rs::aead::{CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand;

pub use header::{OpenError, open, seal};
pub use keys::{BadKeyFile, BadPublicKey, PrivateKey, PublicKey, read_key_file};
pub use stream::{Opener, Sealer};

/// The beginning of a file of any version.
pub const MAGIC: &str = "age-encryption.org/";

/// How many bytes a key has: that of ChaCha20-Poly1305, and both halves of an X25519 key.
const KEY_BYTES: usize = 32;
/// How many bytes ChaCha20-Poly1305 adds.
const TAG_BYTES: usize = 16;
/// How many bytes the file key has, from which all other keys of a file are derived.
const FILE_KEY_BYTES: usize = 16;

/// The key of one file.
struct FileKey([u8; FILE_KEY_BYTES]);

impl FileKey {
    fn generate() -> Result<Self, Unspecified> {
        let mut key = [0; FILE_KEY_BYTES];
        rand::fill(&mut key)?;
        Ok(Self(key))
    }

    /// Derives the key for one purpose, which `salt` and `purpose` name.
    fn derive(&self, salt: &[u8], purpose: &str) -> Result<[u8; KEY_BYTES], Unspecified> {
        derive(&self.0, salt, purpose)
    }
}

/// HKDF-SHA-256 (RFC 5869).
fn derive(secret: &[u8], salt: &[u8], purpose: &str) -> Result<[u8; KEY_BYTES], Unspecified> {
    let mut key = [0; KEY_BYTES];
    Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(&[purpose.as_bytes()], HKDF_SHA256)?
        .fill(&mut key)?;
    Ok(key)
}

fn cipher(key: &[u8; KEY_BYTES]) -> Result<LessSafeKey, Unspecified> {
    UnboundKey::new(&CHACHA20_POLY1305, key).map(LessSafeKey::new)
}

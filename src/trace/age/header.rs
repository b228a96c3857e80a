//! The header: lines of text with a *stanza* for each recipient, which contains the wrapped file key, and a MAC over
//! all of it.

use std::io::{self, BufRead, Read, Write};

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{hmac, rand};
use base64ct::{Base64Unpadded, Encoding};

use super::keys::{PrivateKey, PublicKey};
use super::stream::{NONCE_BYTES, Opener, Sealer};
use super::{FILE_KEY_BYTES, FileKey, KEY_BYTES, TAG_BYTES, cipher, derive};

const VERSION_LINE: &str = "age-encryption.org/v1";
const STANZA: &str = "-> ";
const X25519_STANZA: &str = "X25519";
const WRAPPING: &str = "age-encryption.org/v1/X25519";
const MAC_MARK: &str = "---";
/// The body of a stanza has lines of this many characters; a shorter line ends it.
const BODY_COLUMNS: usize = 64;
/// The longest header, which has room for hundreds of recipients. A longer one is a fault or an attack.
const HEADER_BYTES_MAX: u64 = 256 * 1024;

/// Why a file cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// It cannot be read.
    Io(io::Error),
    /// Its header is invalid, ends early, or has been changed.
    Damaged,
    /// It has a later version of the format, or no stanza for an X25519 key.
    OtherKind,
    /// It is for other keys.
    WrongKey,
}

/// Writes a header for one recipient. Everything written after it is encrypted.
///
/// # Errors
/// Writing failed, or the system has no randomness to give.
pub fn seal<W: Write>(mut out: W, recipient: &PublicKey) -> io::Result<Sealer<W>> {
    let sealed = || -> Result<_, Unspecified> {
        let key = FileKey::generate()?;
        let mut nonce = [0; NONCE_BYTES];
        rand::fill(&mut nonce)?;
        Ok((header(&key, recipient)?, nonce, key.derive(&nonce, "payload")?))
    };
    let (header, nonce, payload_key) =
        sealed().map_err(|_| io::Error::other("no key can be made for this recipient"))?;
    out.write_all(header.as_bytes())?;
    out.write_all(&nonce)?;
    Sealer::new(out, &payload_key)
}

fn header(key: &FileKey, recipient: &PublicKey) -> Result<String, Unspecified> {
    let (ephemeral, _) = PrivateKey::generate()?;
    let share = ephemeral.public();
    let shared = ephemeral.agree(&recipient.0)?;
    let mut wrapped = key.0.to_vec();
    let wrapping_key = wrapping_key(&shared, &share, recipient)?;
    cipher(&wrapping_key)?.seal_in_place_append_tag(only_nonce(), Aad::empty(), &mut wrapped)?;
    let share = Base64Unpadded::encode_string(&share.0);
    let wrapped = Base64Unpadded::encode_string(&wrapped);
    let authenticated = format!("{VERSION_LINE}\n{STANZA}{X25519_STANZA} {share}\n{wrapped}\n{MAC_MARK}");
    let mac = hmac::sign(&mac_key(key)?, authenticated.as_bytes());
    Ok(format!("{authenticated} {}\n", Base64Unpadded::encode_string(mac.as_ref())))
}

/// Reads a header, and decrypts what follows it with the first of these keys that fits.
///
/// # Errors
/// See [`OpenError`].
pub fn open<R: BufRead>(mut input: R, keys: &[PrivateKey]) -> Result<Opener<R>, OpenError> {
    let header = read(&mut input)?;
    let key = unwrap(&header, keys)?;
    let mac_key = mac_key(&key).map_err(|_| OpenError::Damaged)?;
    hmac::verify(&mac_key, &header.authenticated, &header.mac).map_err(|_| OpenError::Damaged)?;
    let mut nonce = [0; NONCE_BYTES];
    input.read_exact(&mut nonce).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => OpenError::Damaged,
        _ => OpenError::Io(error),
    })?;
    let payload_key = key.derive(&nonce, "payload").map_err(|_| OpenError::Damaged)?;
    Opener::new(input, &payload_key).map_err(|_| OpenError::Damaged)
}

/// A stanza for an X25519 key: the sender's share and the wrapped file key.
struct Stanza {
    share: [u8; KEY_BYTES],
    wrapped: [u8; FILE_KEY_BYTES + TAG_BYTES],
}

struct Header {
    stanzas: Vec<Stanza>,
    authenticated: Vec<u8>,
    mac: Vec<u8>,
}

fn read(input: &mut impl BufRead) -> Result<Header, OpenError> {
    let mut lines = Lines { input: input.take(HEADER_BYTES_MAX), read: Vec::new() };
    if lines.next()? != VERSION_LINE {
        return Err(OpenError::OtherKind);
    }
    let mut stanzas = Vec::new();
    loop {
        let line = lines.next()?;
        if let Some(mac) = line.strip_prefix(MAC_MARK).and_then(|line| line.strip_prefix(' ')) {
            // The MAC covers everything up to its own mark.
            let authenticated = lines.read.len() - line.len() - 1 + MAC_MARK.len();
            lines.read.truncate(authenticated);
            return Ok(Header { stanzas, authenticated: lines.read, mac: decode(mac)? });
        }
        let stanza = line.strip_prefix(STANZA).ok_or(OpenError::Damaged)?;
        let mut body = String::new();
        loop {
            let part = lines.next()?;
            body += &part;
            match part.len() {
                BODY_COLUMNS => {}
                0..BODY_COLUMNS => break,
                _ => return Err(OpenError::Damaged),
            }
        }
        // There may be other stanzas: for other kinds of keys, and random ones.
        let mut words = stanza.split(' ');
        if words.next() == Some(X25519_STANZA) {
            let (Some(share), None) = (words.next(), words.next()) else { return Err(OpenError::Damaged) };
            stanzas.push(Stanza { share: decode_exactly(share)?, wrapped: decode_exactly(&body)? });
        }
    }
}

/// The lines of a header, and all their bytes, for the MAC.
struct Lines<R> {
    input: R,
    read: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<String, OpenError> {
        let start = self.read.len();
        self.input.read_until(b'\n', &mut self.read).map_err(OpenError::Io)?;
        let line = self.read[start..].strip_suffix(b"\n").ok_or(OpenError::Damaged)?;
        String::from_utf8(line.to_vec()).map_err(|_| OpenError::Damaged)
    }
}

fn unwrap(header: &Header, keys: &[PrivateKey]) -> Result<FileKey, OpenError> {
    if header.stanzas.is_empty() {
        return Err(OpenError::OtherKind);
    }
    for stanza in &header.stanzas {
        for key in keys {
            let shared = key.agree(&stanza.share).map_err(|_| OpenError::Damaged)?;
            let mut wrapped = stanza.wrapped;
            let opened = wrapping_key(&shared, &PublicKey(stanza.share), &key.public())
                .and_then(|key| cipher(&key))
                .and_then(|cipher| {
                    cipher.open_in_place(only_nonce(), Aad::empty(), &mut wrapped).map(|_| ())
                });
            if opened.is_ok() {
                let mut key = [0; FILE_KEY_BYTES];
                key.copy_from_slice(&wrapped[..FILE_KEY_BYTES]);
                return Ok(FileKey(key));
            }
        }
    }
    Err(OpenError::WrongKey)
}

/// Returns the key that wraps the file key, derived from the shared secret and both public halves.
fn wrapping_key(
    shared: &[u8; KEY_BYTES],
    share: &PublicKey,
    recipient: &PublicKey,
) -> Result<[u8; KEY_BYTES], Unspecified> {
    derive(shared, &[share.0, recipient.0].concat(), WRAPPING)
}

fn mac_key(key: &FileKey) -> Result<hmac::Key, Unspecified> {
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &key.derive(&[], "header")?))
}

/// Returns the nonce for a key that encrypts only once.
fn only_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn decode(text: &str) -> Result<Vec<u8>, OpenError> {
    Base64Unpadded::decode_vec(text).map_err(|_| OpenError::Damaged)
}

fn decode_exactly<const N: usize>(text: &str) -> Result<[u8; N], OpenError> {
    decode(text)?.try_into().map_err(|_| OpenError::Damaged)
}

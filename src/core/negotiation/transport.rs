//! The client's side of the transport, from its offer: ICE credentials (RFC 8839 §5.4), the DTLS role (RFC 8842), and
//! the fingerprints of the certificate (RFC 8122). Each may stand in a section, or in the session for all sections.

use aws_lc_rs::digest::{self, Algorithm, SHA256, SHA384, SHA512};

use super::lines::Line;
use super::refusal::{Refused, quoted};

/// The longest ICE user name fragment or password, in bytes (RFC 8839 §5.4).
const ICE_TEXT_BYTES_MAX: usize = 256;

/// The DTLS role that an offer leaves to the answer (RFC 5763 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// The client takes either role, so we are the server.
    ActPass,
    /// The client begins the handshake.
    Active,
    /// The client waits for the handshake, so we begin it.
    Passive,
}

/// A hash function of fingerprints, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hash {
    /// SHA-256, which everybody has.
    Sha256,
    /// SHA-384, half as long again.
    Sha384,
    /// SHA-512, twice as long.
    Sha512,
}

impl Hash {
    fn from_name(name: &str) -> Option<Self> {
        let all = [("sha-256", Self::Sha256), ("sha-384", Self::Sha384), ("sha-512", Self::Sha512)];
        all.into_iter().find(|(other, _)| name.eq_ignore_ascii_case(other)).map(|(_, hash)| hash)
    }

    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        }
    }
}

/// The hash of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The hash function.
    pub hash: Hash,
    /// The hash, as long as the function makes it.
    pub bytes: Vec<u8>,
}

impl Fingerprint {
    /// Reads the value of an `a=fingerprint`. Returns `Ok(None)` if its hash function is not served.
    pub fn read(value: &str) -> Result<Option<Self>, String> {
        let mut words = value.split_whitespace();
        let (Some(name), Some(hex), None) = (words.next(), words.next(), words.next()) else {
            return Err(format!("a=fingerprint is not a hash function and its bytes: {}", quoted(value)));
        };
        let Some(hash) = Hash::from_name(name) else { return Ok(None) };
        let bytes: Option<Vec<u8>> = hex.split(':').map(read_byte).collect();
        let bytes =
            bytes.ok_or_else(|| format!("a=fingerprint has no bytes with colons: {}", quoted(hex)))?;
        let expected = hash.algorithm().output_len();
        if bytes.len() != expected {
            return Err(format!("a=fingerprint:{name} has {} bytes instead of {expected}", bytes.len()));
        }
        Ok(Some(Self { hash, bytes }))
    }
}

/// Returns the SHA-256 fingerprint of a certificate (DER) as SDP has it (RFC 8122 §5), without the name of the function.
pub fn fingerprint(certificate: &[u8]) -> String {
    let digest = digest::digest(&SHA256, certificate);
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

fn read_byte(text: &str) -> Option<u8> {
    let is_hex = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex { u8::from_str_radix(text, 16).ok() } else { None }
}

/// Returns whether a certificate (DER) has one of the promised fingerprints. Only those of the strongest function count
/// (RFC 8122 §5.1), so that forging a weaker one gains nothing.
pub fn is_promised(fingerprints: &[Fingerprint], certificate: &[u8]) -> bool {
    let Some(strongest) = fingerprints.iter().map(|fingerprint| fingerprint.hash).max() else { return false };
    let digest = digest::digest(strongest.algorithm(), certificate);
    fingerprints
        .iter()
        .any(|fingerprint| fingerprint.hash == strongest && fingerprint.bytes == digest.as_ref())
}

/// What the lines read so far say about the transport.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransportLines<'a> {
    ufrag: Option<&'a str>,
    password: Option<&'a str>,
    setup: Option<&'a str>,
    fingerprints: Vec<Fingerprint>,
    /// A hash function that is not served. The refusal names it if there is no other.
    unserved_hash: Option<&'a str>,
}

/// The client's side of the transport, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transport {
    /// The client's ICE user name fragment.
    pub ufrag: String,
    /// The client's ICE password.
    pub password: String,
    /// The client's DTLS role.
    pub setup: Setup,
    /// The fingerprints, of which the certificate must have one. Never empty.
    pub fingerprints: Vec<Fingerprint>,
}

impl<'a> TransportLines<'a> {
    /// Takes a line if it is about the transport. Only the first line of a kind counts, except that every fingerprint
    /// does.
    pub fn take(&mut self, line: &Line<'a>) -> Result<(), Refused> {
        let Some((name, value)) = line.attribute() else { return Ok(()) };
        let value = value.trim();
        match name {
            "ice-ufrag" => self.ufrag = self.ufrag.or(Some(value)),
            "ice-pwd" => self.password = self.password.or(Some(value)),
            "setup" => self.setup = self.setup.or(Some(value)),
            "fingerprint" => match Fingerprint::read(value) {
                Ok(Some(fingerprint)) => self.fingerprints.push(fingerprint),
                Ok(None) => self.unserved_hash = value.split_whitespace().next(),
                Err(why) => return Err(Refused::malformed(format!("line {}: {why}", line.number))),
            },
            _ => {}
        }
        Ok(())
    }

    /// Returns these lines, and where something is missing, those of `other`.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        let has_any = !self.fingerprints.is_empty() || self.unserved_hash.is_some();
        Self {
            ufrag: self.ufrag.or(other.ufrag),
            password: self.password.or(other.password),
            setup: self.setup.or(other.setup),
            fingerprints: if has_any { self.fingerprints } else { other.fingerprints.clone() },
            unserved_hash: if has_any { self.unserved_hash } else { other.unserved_hash },
        }
    }

    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        let has_ice = self.ufrag.is_some() && self.password.is_some();
        has_ice && self.setup.is_some() && !self.fingerprints.is_empty()
    }

    /// Makes the transport, or says what is missing. `place` names the section that should have it.
    pub fn finish(self, place: &str) -> Result<Transport, Refused> {
        let ice = |value: Option<&str>, name: &str| match value {
            Some(text) if (1..=ICE_TEXT_BYTES_MAX).contains(&text.len()) && !text.contains([' ', ':']) => {
                Ok(text.to_owned())
            }
            Some(text) => {
                Err(Refused::malformed(format!("{place} has no usable a={name}: {}", quoted(text))))
            }
            None => Err(Refused::malformed(format!("{place} has no a={name}, nor has the session"))),
        };
        let ufrag = ice(self.ufrag, "ice-ufrag")?;
        let password = ice(self.password, "ice-pwd")?;
        let setup = match self.setup {
            // An offer must say it (RFC 5763 §5). If it does not, we can only be the server.
            None | Some("actpass") => Setup::ActPass,
            Some("active") => Setup::Active,
            Some("passive") => Setup::Passive,
            Some(other) => {
                let other = quoted(other);
                return Err(Refused::unserved(format!(
                    "{place} has a=setup:{other}; actpass, active and passive are served"
                )));
            }
        };
        if self.fingerprints.is_empty() {
            return Err(match self.unserved_hash {
                Some(hash) => Refused::unserved(format!(
                    "{place} has a=fingerprint with {} only; sha-256, sha-384 and sha-512 are served",
                    quoted(hash)
                )),
                None => Refused::malformed(format!("{place} has no a=fingerprint, nor has the session")),
            });
        }
        Ok(Transport { ufrag, password, setup, fingerprints: self.fingerprints })
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::read_lines;
    use super::*;

    fn transport(text: &str) -> Result<Transport, Refused> {
        let mut lines = TransportLines::default();
        for line in read_lines(text)? {
            lines.take(&line)?;
        }
        lines.finish("section 0")
    }

    fn hashed(hash: Hash, certificate: &[u8]) -> Fingerprint {
        let bytes = digest::digest(hash.algorithm(), certificate).as_ref().to_vec();
        Fingerprint { hash, bytes }
    }

    fn hex(fingerprint: &Fingerprint) -> String {
        fingerprint.bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
    }

    #[test]
    fn a_certificate_is_known_by_any_served_hash_and_only_by_the_strongest_offered() {
        for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            let right = hashed(hash, b"right");
            assert!(is_promised(std::slice::from_ref(&right), b"right"));
            assert!(!is_promised(std::slice::from_ref(&right), b"wrong"));
            let other = hashed(hash, b"other");
            assert!(is_promised(&[other, right], b"right"), "one of several certificates");
        }
        let weak = hashed(Hash::Sha256, b"wrong");
        assert!(!is_promised(&[weak, hashed(Hash::Sha512, b"right")], b"wrong"));
        assert!(!is_promised(&[], b""));
    }

    #[test]
    fn fingerprints_are_read_in_any_case_and_with_others_among_them() {
        let sha512 = hashed(Hash::Sha512, b"right");
        let text = format!(
            "a=ice-ufrag:u\na=ice-pwd:p\na=fingerprint:sha-1 00:11\na=fingerprint:SHA-512 {}\n",
            hex(&sha512).to_uppercase()
        );
        let transport = transport(&text).expect("a transport");
        assert_eq!(transport.fingerprints, [sha512]);
        assert_eq!(transport.setup, Setup::ActPass);
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let read = Fingerprint::read(&format!("sha-256 {}", fingerprint(b"right")));
        assert_eq!(read, Ok(Some(hashed(Hash::Sha256, b"right"))));
    }

    #[test]
    fn a_refusal_says_what_is_missing() {
        let ice = "a=ice-ufrag:u\na=ice-pwd:p\n";
        for (text, words) in [
            ("a=ice-pwd:p\n".to_owned(), "no a=ice-ufrag"),
            ("a=ice-ufrag:u\n".to_owned(), "no a=ice-pwd"),
            ("a=ice-ufrag:\na=ice-pwd:p\n".to_owned(), "no usable a=ice-ufrag"),
            (ice.to_owned(), "no a=fingerprint"),
            (format!("{ice}a=fingerprint:sha-1 AB\n"), "sha-1"),
            (format!("{ice}a=fingerprint:sha-256 AB\n"), "has 1 bytes instead of 32"),
            (format!("{ice}a=fingerprint:sha-256\n"), "line 3: a=fingerprint is not"),
            (format!("{ice}a=fingerprint:sha-256 AB:x\n"), "no bytes"),
            (format!("{ice}a=setup:holdconn\n"), "holdconn"),
        ] {
            let said = transport(&text).expect_err(&text).message;
            assert!(said.contains(words), "{said}");
        }
    }
}

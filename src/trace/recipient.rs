//! Recipient: to whom a trace is encrypted, so that the server can write it and cannot read it.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

/// A public key of [age](https://age-encryption.org/v1), `age1…`. The private key to it is not on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient(String);

/// A text that is no public key of age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadRecipient;

impl FromStr for Recipient {
    type Err = BadRecipient;

    fn from_str(text: &str) -> Result<Self, BadRecipient> {
        text.parse::<age::x25519::Recipient>().map(|_| Self(text.to_owned())).map_err(|_| BadRecipient)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a trace is written to: as it is, or encrypted.
pub enum Sink<W: Write> {
    /// Bytes go out as they are.
    Plain(W),
    /// Bytes go out encrypted.
    Sealed(Box<age::stream::StreamWriter<W>>),
}

impl<W: Write> Sink<W> {
    /// What is written to `out` is encrypted to a recipient, if there is one.
    pub fn new(out: W, recipient: Option<&Recipient>) -> io::Result<Self> {
        let Some(Recipient(text)) = recipient else { return Ok(Self::Plain(out)) };
        let recipient: age::x25519::Recipient = text.parse().map_err(io::Error::other)?;
        let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
            .map_err(io::Error::other)?;
        Ok(Self::Sealed(Box::new(encryptor.wrap_output(out)?)))
    }

    /// Writes what an encrypted file ends with.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Sealed(out) => out.finish(),
        }
    }
}

impl<W: Write> fmt::Debug for Sink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Sealed(_) => "Sealed",
        })
    }
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Sealed(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Sealed(out) => out.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_keys_are_recipients() {
        let own = age::x25519::Identity::generate().to_public().to_string();
        assert_eq!(own.parse::<Recipient>().map(|recipient| recipient.to_string()), Ok(own));
        for bad in ["", "age1", "ssh-ed25519 AAAA", "AGE-SECRET-KEY-1QQPQZ"] {
            assert_eq!(bad.parse::<Recipient>(), Err(BadRecipient), "{bad}");
        }
    }
}

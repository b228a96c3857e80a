//! Recipient: the public key to which a trace is encrypted, so that the server can write it but not read it.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use super::age::{self, BadPublicKey, PublicKey, Sealer};

/// The public half of a key, `age1…`, which `strait trace keygen` makes. The private half is not on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient(PublicKey);

impl FromStr for Recipient {
    type Err = BadPublicKey;

    fn from_str(text: &str) -> Result<Self, BadPublicKey> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The writer of a trace, with or without encryption.
pub enum Sink<W: Write> {
    /// Bytes go out as they are.
    Plain(W),
    /// Bytes go out encrypted.
    Sealed(Box<Sealer<W>>),
}

impl<W: Write> Sink<W> {
    /// Makes a sink that writes to `out`, encrypted if there is a recipient.
    ///
    /// # Errors
    /// The header cannot be written.
    pub fn new(out: W, recipient: Option<&Recipient>) -> io::Result<Self> {
        match recipient {
            None => Ok(Self::Plain(out)),
            Some(Recipient(key)) => Ok(Self::Sealed(Box::new(age::seal(out, key)?))),
        }
    }

    /// Writes the end of an encrypted file, and returns the writer.
    ///
    /// # Errors
    /// Writing failed.
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
        let own = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p".to_owned();
        assert_eq!(own.parse::<Recipient>().map(|recipient| recipient.to_string()), Ok(own));
        for bad in ["", "age1", "ssh-ed25519 AAAA", "AGE-SECRET-KEY-1QQPQZ"] {
            assert_eq!(bad.parse::<Recipient>(), Err(BadPublicKey), "{bad}");
        }
    }
}

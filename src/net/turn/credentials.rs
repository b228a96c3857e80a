//! Credentials for the TURN server: made for each participant, and checked without remembering any.
//!
//! The user name says until when and for whom it is valid; the password is its MAC under a secret of this process. So
//! nothing is stored, a restart invalidates all credentials, and nobody can change either half.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use aws_lc_rs::hmac;

use crate::net::entropy;

/// Length of the longest user name that is looked at, bytes.
const USERNAME_BYTES_MAX: usize = 128;

/// Credentials as a client is given them.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The user name: until when (seconds since 1970), a colon, and for whom.
    pub username: String,
    /// The password, which is the secret half.
    pub password: String,
}

/// Why credentials are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Their time has passed.
    Expired,
    /// They were not made by this server.
    Foreign,
}

/// What makes and checks credentials.
pub struct Credentials {
    key: hmac::Key,
}

impl Credentials {
    /// Draws a new secret from the operating system.
    pub fn new() -> io::Result<Self> {
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &entropy::key()?) })
    }

    /// Makes credentials for a participant, good until `expires` (since 1970).
    pub fn issue(&self, participant: &str, expires: Duration) -> Issued {
        let username = format!("{}:{participant}", expires.as_secs());
        let password = self.password(&username);
        Issued { username, password }
    }

    /// Returns the participant for whom a user name was made, and its password, which the client has yet to show that
    /// it knows. `unix` is the time since 1970.
    pub fn check<'a>(&self, username: &'a str, unix: Duration) -> Result<(&'a str, String), Unfit> {
        let (expires, participant) = username.split_once(':').ok_or(Unfit::Foreign)?;
        let expires: u64 = expires.parse().map_err(|_| Unfit::Foreign)?;
        if participant.is_empty() || username.len() > USERNAME_BYTES_MAX {
            return Err(Unfit::Foreign);
        }
        if unix.as_secs() >= expires {
            return Err(Unfit::Expired);
        }
        Ok((participant, self.password(username)))
    }

    fn password(&self, username: &str) -> String {
        let tag = hmac::sign(&self.key, username.as_bytes());
        let mut password = String::with_capacity(2 * tag.as_ref().len());
        for byte in tag.as_ref() {
            let _ = write!(password, "{byte:02x}");
        }
        password
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    #[test]
    fn what_was_issued_is_known_until_it_expires() -> io::Result<()> {
        let credentials = Credentials::new()?;
        let issued = credentials.issue("anna", NOW + Duration::from_secs(60));
        let found = credentials.check(&issued.username, NOW);
        assert_eq!(found, Ok(("anna", issued.password.clone())));
        assert_eq!(credentials.check(&issued.username, NOW + Duration::from_secs(60)), Err(Unfit::Expired));
        Ok(())
    }

    #[test]
    fn another_name_time_or_process_needs_another_password() -> io::Result<()> {
        let credentials = Credentials::new()?;
        let issued = credentials.issue("anna", NOW + Duration::from_secs(60));
        let later = issued.username.replace("60:", "99:");
        for username in [later.as_str(), "1800000060:ben"] {
            let (_, password) = credentials.check(username, NOW).expect("its form is right");
            assert_ne!(password, issued.password, "{username}");
        }
        let (_, elsewhere) = Credentials::new()?.check(&issued.username, NOW).expect("its form is right");
        assert_ne!(elsewhere, issued.password);
        for username in ["", "anna", ":anna", "1800000060:", "-1:anna", "x:anna"] {
            assert_eq!(credentials.check(username, NOW), Err(Unfit::Foreign), "{username}");
        }
        Ok(())
    }
}

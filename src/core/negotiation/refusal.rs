//! Why an offer is refused, in words for the developer whose client wrote it: what is wrong, and where.

use std::fmt;

/// The longest part of an offer that a refusal quotes, in characters.
const QUOTED_CHARS_MAX: usize = 60;

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is no session description, or contradicts itself.
    Malformed,
    /// It is larger than it may be.
    TooLarge,
    /// It is well-formed, and asks for what this server does not do.
    Unserved,
}

/// The refusal of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What kind of refusal it is.
    pub fault: Fault,
    /// What is wrong and where, as one sentence without a full stop.
    pub message: String,
}

impl Refused {
    /// Refuses what is not a valid session description.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self { fault: Fault::Malformed, message: message.into() }
    }

    /// Refuses what is too large.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self { fault: Fault::TooLarge, message: message.into() }
    }

    /// Refuses what this server does not do.
    pub fn unserved(message: impl Into<String>) -> Self {
        Self { fault: Fault::Unserved, message: message.into() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refused {}

/// Returns part of an offer in quotation marks, escaped and shortened.
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_piece_is_repeated_in_part() {
        assert_eq!(quoted("a\tb"), "\"a\\tb\"");
        let long = "ä".repeat(1000);
        assert!(quoted(&long).chars().count() < 70);
    }
}

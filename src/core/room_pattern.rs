//! RoomPattern: the names of the rooms that an operator wants recorded.

use std::fmt;
use std::str::FromStr;

use super::ids::RoomId;
use crate::limits::ROOM_ID_BYTES_MAX;

/// A room's name in which each `*` stands for any number of characters, or none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoomPattern(String);

/// No room's name can match the pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadRoomPattern;

impl RoomPattern {
    /// Returns the pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name of a room matches.
    pub fn matches(&self, room: &RoomId) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = room.as_str().strip_prefix(first) else { return false };
        let parts: Vec<&str> = parts.collect();
        let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
        for part in middle {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

impl FromStr for RoomPattern {
    type Err = BadRoomPattern;

    fn from_str(text: &str) -> Result<Self, BadRoomPattern> {
        let as_name = text.replace('*', "x");
        // Asterisks can stand for nothing, so a pattern may be longer than any name.
        if text.len() <= 2 * ROOM_ID_BYTES_MAX && as_name.parse::<RoomId>().is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadRoomPattern)
        }
    }
}

impl fmt::Display for RoomPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_stands_for_any_characters() {
        let matches = |pattern: &str, room: &str| {
            pattern.parse::<RoomPattern>().expect("a pattern").matches(&room.parse().expect("a room"))
        };
        for (pattern, room) in [
            ("standup", "standup"),
            ("*", "standup"),
            ("team-*", "team-a"),
            ("team-*", "team-"),
            ("*-a", "team-a"),
            ("t*m*a", "team-a"),
            ("**", "x"),
            ("a*a", "aa"),
        ] {
            assert!(matches(pattern, room), "{pattern} {room}");
        }
        for (pattern, room) in
            [("standup", "standup2"), ("team-*", "tea"), ("*-a", "team-b"), ("a*a", "a"), ("t*x*a", "team-a")]
        {
            assert!(!matches(pattern, room), "{pattern} {room}");
        }
    }

    #[test]
    fn a_pattern_is_made_of_what_names_are_made_of() {
        for bad in ["", "with space", "a/b", "?"] {
            assert_eq!(bad.parse::<RoomPattern>(), Err(BadRoomPattern), "{bad}");
        }
    }
}

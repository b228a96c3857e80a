//! Ids of channels and users, as an application has them: mostly numbers, which stay numbers in what it is told.

use std::fmt;

use serde_json::{Value, json};

use crate::core::ids::RoomId;

/// Longest id of a channel, characters: with the prefix it is a room's.
const CHANNEL_CHARS_MAX: usize = 56;
/// Longest id of a user, characters.
const USER_CHARS_MAX: usize = 64;

/// The id of a channel, as the application has it: mostly a number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChannelId(String);

/// The id of a user, as the application has it: mostly a number. It is the identity on the server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserId(String);

/// Shows an id as it came: as a number, if it is one.
fn id_json(text: &str) -> Value {
    let number = text.parse::<u64>().ok().filter(|number| number.to_string() == text);
    number.map_or_else(|| json!(text), |number| json!(number))
}

/// Reads an id that may be a number or a text.
fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    }
}

impl ChannelId {
    /// Returns the id that a text is; `None` if it is none.
    pub fn named(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let fits = (1..=CHANNEL_CHARS_MAX).contains(&text.len()) && text.bytes().all(plain);
        fits.then(|| Self(text.to_owned()))
    }

    /// Reads it from a message.
    pub fn of(value: &Value) -> Option<Self> {
        Self::named(&id_text(value)?)
    }

    /// Shows it in a message.
    pub fn json(&self) -> Value {
        id_json(&self.0)
    }

    /// Returns the room on the server; `None` never, because its id fits.
    pub fn room(&self) -> Option<RoomId> {
        format!("channel_{}", self.0).parse().ok()
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl UserId {
    /// Reads it from a message.
    pub fn of(value: &Value) -> Option<Self> {
        let text = id_text(value)?;
        let fits =
            (1..=USER_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        fits.then_some(Self(text))
    }

    /// Shows it in a message.
    pub fn json(&self) -> Value {
        id_json(&self.0)
    }

    /// Returns it as the identity on the server.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

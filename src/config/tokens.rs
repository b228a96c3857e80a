//! RoomTokens: which bearer tokens open which rooms to WHIP and WHEP.

use std::collections::BTreeMap;
use std::fmt;

use super::setting::{Raw, Rule, SECRET_CHARS_MIN, Setting};
use crate::core::ids::RoomId;

/// Tokens by room; `*` stands for every room that is not listed. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RoomTokens(BTreeMap<String, Vec<String>>);

impl RoomTokens {
    /// The tokens themselves, to compare with.
    pub fn reveal(&self) -> &BTreeMap<String, Vec<String>> {
        &self.0
    }
}

impl fmt::Debug for RoomTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomTokens({} rooms)", self.0.len())
    }
}

impl Setting for RoomTokens {
    const SECRET: bool = true;

    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        let mut tokens: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut add = |room: &str, token: &str| {
            let room_ok = room == "*" || room.parse::<RoomId>().is_ok();
            // What a header can carry, and nobody can guess.
            let token_ok =
                token.len() >= SECRET_CHARS_MIN && token.bytes().all(|byte| byte.is_ascii_graphic());
            tokens.entry(room.to_owned()).or_default().push(token.to_owned());
            (room_ok && token_ok).then_some(())
        };
        match raw {
            Raw::Table(rooms) => {
                for (room, list) in rooms {
                    let list = list.items().filter(|list| !list.is_empty())?;
                    list.into_iter().try_for_each(|token| add(room, token))?;
                }
            }
            other => {
                for item in other.text()?.split(',').map(str::trim).filter(|item| !item.is_empty()) {
                    let (room, token) = item.split_once('=')?;
                    add(room.trim(), token.trim())?;
                }
            }
        }
        Some(Self(tokens))
    }

    fn show(&self) -> String {
        if self.0.is_empty() { "not set".to_owned() } else { "set".to_owned() }
    }

    fn expected(_: &Rule) -> String {
        format!(
            "a table of rooms, or \"*\" for the rest, with lists of tokens of at least {SECRET_CHARS_MIN} letters, \
             digits and signs, such as {{ studio = [\"…\"] }}"
        )
    }
}

//! AuthKeys: the keys that sign the tokens of those who come in.

use std::fmt;

use super::setting::{Raw, Rule, Setting};
use crate::access::{KEY_CHARS_MAX, Key, SECRET_CHARS_MIN};

/// Keys, in the order in which they are listed. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AuthKeys(Vec<Key>);

impl AuthKeys {
    /// The keys themselves, to sign and to verify with.
    pub fn reveal(&self) -> &[Key] {
        &self.0
    }
}

impl fmt::Debug for AuthKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthKeys({} keys)", self.0.len())
    }
}

impl Setting for AuthKeys {
    const SECRET: bool = true;

    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        let mut keys: Vec<Key> = Vec::new();
        let mut add = |id: &str, secret: &str| {
            let id_ok =
                (1..=KEY_CHARS_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
            let secret_ok =
                secret.len() >= SECRET_CHARS_MIN && secret.bytes().all(|byte| byte.is_ascii_graphic());
            let is_new = keys.iter().all(|key| key.id != id);
            keys.push(Key { id: id.to_owned(), secret: secret.to_owned() });
            (id_ok && secret_ok && is_new).then_some(())
        };
        match raw {
            Raw::Table(pairs) => pairs.iter().try_for_each(|(id, secret)| add(id, secret.text()?))?,
            other => {
                for pair in other.text()?.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
                    // As it is in YAML, and as a pair is elsewhere in this configuration.
                    let (id, secret) = pair.split_once(['=', ':'])?;
                    add(id.trim(), secret.trim())?;
                }
            }
        }
        Some(Self(keys))
    }

    fn show(&self) -> String {
        if self.0.is_empty() { "not set".to_owned() } else { "set".to_owned() }
    }

    fn expected(_: &Rule) -> String {
        format!(
            "a table of keys and their secrets of at least {SECRET_CHARS_MIN} letters, digits and signs, such as \
             {{ back-end = \"…\" }}; `strait keys create` makes one"
        )
    }
}

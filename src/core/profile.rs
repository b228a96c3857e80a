//! Profile: who somebody is, as others see them: by name for people, by identity for programs, and whatever else their own
//! back end has to say about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::ParticipantId;
use crate::limits::{ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX, IDENTITY_CHARS_MAX, METADATA_BYTES_MAX};

/// Who somebody is, as others see them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Who they are, as their own back end names them: 1–256 characters. `None` if nobody vouches for them, as where no
    /// token is needed.
    pub identity: Option<String>,
    /// The name that people read: 1–64 characters, without spaces at either end.
    pub name: String,
    /// What an application has to say about them, in whatever form: at most 4 KiB.
    pub metadata: String,
    /// The same, by keys: at most 32 of them, and 4 KiB in all.
    pub attributes: BTreeMap<String, String>,
}

/// What is to be changed of a profile. Nobody changes their identity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileChange {
    /// The new name; `None` leaves it.
    pub name: Option<String>,
    /// The new metadata; `None` leaves it.
    pub metadata: Option<String>,
    /// New values of attributes. An empty one takes the attribute away, and those that are not named stay.
    pub attributes: BTreeMap<String, String>,
}

impl ProfileChange {
    /// Returns how many bytes it has, which is what it costs to tell others of it.
    pub fn bytes(&self) -> usize {
        let texts = self.name.iter().chain(&self.metadata).map(String::len);
        texts.sum::<usize>() + bytes_of(&self.attributes)
    }
}

impl Profile {
    /// Makes the profile of somebody of whom nothing is known but their name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Returns by what programs know somebody with that id: their identity or, if nobody vouches for one, the id.
    pub fn known_as(&self, id: ParticipantId) -> String {
        self.identity.clone().unwrap_or_else(|| id.to_string())
    }

    /// Returns the profile with a change made to it.
    ///
    /// # Errors
    /// It would be too large. The text says how.
    pub fn changed(&self, change: &ProfileChange) -> Result<Self, String> {
        let mut attributes = self.attributes.clone();
        attributes.extend(change.attributes.iter().map(|(key, value)| (key.clone(), value.clone())));
        attributes.retain(|_, value| !value.is_empty());
        let changed = Self {
            identity: self.identity.clone(),
            name: change.name.as_ref().unwrap_or(&self.name).clone(),
            metadata: change.metadata.as_ref().unwrap_or(&self.metadata).clone(),
            attributes,
        };
        match changed.excess() {
            None => Ok(changed),
            Some(rule) => Err(rule),
        }
    }

    /// Returns which bound it does not keep to, in words; `None` if it keeps to all.
    pub fn excess(&self) -> Option<String> {
        if self.metadata.len() > METADATA_BYTES_MAX {
            return Some(format!("the metadata has more than {METADATA_BYTES_MAX} bytes"));
        }
        if self.attributes.len() > ATTRIBUTES_MAX {
            return Some(format!("there are more than {ATTRIBUTES_MAX} attributes"));
        }
        (bytes_of(&self.attributes) > ATTRIBUTES_BYTES_MAX)
            .then(|| format!("the attributes have more than {ATTRIBUTES_BYTES_MAX} bytes"))
    }

    /// Returns whether a text can be an identity: it has 1 to 256 characters, of which none controls something.
    pub fn is_identity(text: &str) -> bool {
        (1..=IDENTITY_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
    }
}

fn bytes_of(attributes: &BTreeMap<String, String>) -> usize {
    attributes.iter().map(|(key, value)| key.len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let before = Profile {
            identity: Some("anna@example.org".into()),
            metadata: "{}".into(),
            attributes: attributes(&[("hand", "up"), ("team", "blue")]),
            ..Profile::named("Anna")
        };
        let change =
            ProfileChange { attributes: attributes(&[("hand", ""), ("seat", "3")]), ..Default::default() };
        let after = before.changed(&change).expect("it is small");
        assert_eq!(after.attributes, attributes(&[("seat", "3"), ("team", "blue")]));
        assert_eq!(
            (&after.name, &after.metadata, &after.identity),
            (&before.name, &before.metadata, &before.identity)
        );
        let renamed = ProfileChange { name: Some("Anna B.".into()), ..Default::default() };
        assert_eq!(before.changed(&renamed).expect("it is small").name, "Anna B.");
    }

    #[test]
    fn a_profile_that_would_grow_too_large_stays_as_it_is() {
        let before = Profile {
            attributes: attributes(&[("a", &"x".repeat(ATTRIBUTES_BYTES_MAX - 1))]),
            ..Profile::default()
        };
        let more = ProfileChange { attributes: attributes(&[("b", "y")]), ..Default::default() };
        assert!(before.changed(&more).expect_err("too many bytes").contains("attributes"));
        let keys = (0..=ATTRIBUTES_MAX).map(|key| (key.to_string(), "x".to_owned())).collect();
        let many = ProfileChange { attributes: keys, ..Default::default() };
        assert!(Profile::default().changed(&many).is_err());
        let long = ProfileChange { metadata: Some("x".repeat(METADATA_BYTES_MAX + 1)), ..Default::default() };
        assert!(before.changed(&long).expect_err("too long").contains("metadata"));
    }
}

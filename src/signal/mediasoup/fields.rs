//! The fields of a JSON object that a client has sent, taken one by one. What is missing or has another type is refused with
//! words that name it. Fields that are not known are passed over: apps send more than they must.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::core::event::{Refusal, RefusalCode};
use crate::core::ids::RoomId;
use crate::core::profile::Profile;

/// How much is told of what is wrong inside a structure, characters.
const ERROR_CHARS_MAX: usize = 200;

/// The fields of one object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields(Map<String, Value>);

/// Returns the refusal of a field that is not as expected.
pub(super) fn wrong(name: &str, expected: &str) -> Refusal {
    Refusal::new(
        RefusalCode::BadMessage,
        format!("`{name}` must be {expected}"),
        "Correct the field; docs/mediasoup.md lists them.",
    )
}

impl Fields {
    /// Reads a JSON object. No text at all is an object without fields.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn read(text: &[u8]) -> Result<Self, Refusal> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice(text) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(no_object("this is JSON, but no object")),
            Err(error) => Err(no_object(&format!("this is not JSON: {error}"))),
        }
    }

    /// Takes the object that a field holds, if it holds one.
    pub fn inner(&mut self, name: &str) -> Option<Self> {
        match self.0.get_mut(name).map(Value::take) {
            Some(Value::Object(fields)) => Some(Self(fields)),
            _ => None,
        }
    }

    /// Takes a field as it is; `None` if it is absent or `null`.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// Puts a text in.
    pub fn put(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), Value::String(value));
    }

    /// Returns whether there is such a field.
    pub fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    /// Adds the fields of another object that are not here.
    pub fn add_missing(&mut self, others: Self) {
        for (name, value) in others.0 {
            self.0.entry(name).or_insert(value);
        }
    }

    /// Takes a text; `None` if there is none.
    ///
    /// # Errors
    /// It is something else.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "text")),
        }
    }

    /// Takes an id, which is text, or a number as some apps have them; `None` if there is none.
    ///
    /// # Errors
    /// It is something else.
    pub fn id(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) if number.is_u64() => Ok(Some(number.to_string())),
            Some(_) => Err(wrong(name, "an id, as text")),
        }
    }

    /// Takes `true` or `false`; `None` if there is neither.
    ///
    /// # Errors
    /// It is something else.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(wrong(name, "true or false")),
        }
    }

    /// Takes a whole number of at most 65,535; `None` if there is none.
    ///
    /// # Errors
    /// It is something else.
    pub fn number(&mut self, name: &str) -> Result<Option<u16>, Refusal> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
        number.map(Some).ok_or_else(|| wrong(name, "a whole number from 0 to 65535"))
    }

    /// Takes an id and reads it by `read`.
    ///
    /// # Errors
    /// It is absent, or cannot be read: the refusal names what is expected.
    pub fn must<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Refusal> {
        self.id(name)?.as_deref().and_then(read).ok_or_else(|| wrong(name, expected))
    }

    /// Takes a structure of ORTC's, such as `rtpParameters`.
    ///
    /// # Errors
    /// It is absent, or has another form.
    pub fn structure<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Refusal> {
        let value = self.take(name).ok_or_else(|| wrong(name, "what mediasoup-client hands to the app"))?;
        serde_json::from_value(value).map_err(|error| {
            // It may quote what was sent.
            let error: String = error.to_string().chars().take(ERROR_CHARS_MAX).collect();
            wrong(name, &format!("what mediasoup-client hands to the app: {error}"))
        })
    }

    /// Takes the room, by the name that the dialect has for it.
    ///
    /// # Errors
    /// It is absent, or breaks the rules for room ids.
    pub fn room(&mut self, name: &str) -> Result<RoomId, Refusal> {
        self.must(name, "a room: 1–64 characters of A–Z a–z 0–9 _ - .", |text| text.parse().ok())
    }

    /// Takes the user, by the name that the dialect has for them.
    ///
    /// # Errors
    /// It is absent, or cannot be an identity.
    pub fn user(&mut self, name: &str) -> Result<String, Refusal> {
        self.must(name, "an id of 1–256 characters, none of which controls something", |text| {
            Profile::is_identity(text).then(|| text.to_owned())
        })
    }
}

fn no_object(error: &str) -> Refusal {
    Refusal::new(RefusalCode::BadMessage, error, "Send a JSON object: {…}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        Fields::read(text.as_bytes()).expect("an object")
    }

    #[test]
    fn ids_are_texts_or_numbers_and_rooms_and_users_keep_their_rules() {
        let mut read =
            fields(r#"{"channelId": 17, "userId": "anna", "c": null, "d": true, "e": -1, "f": 7}"#);
        assert_eq!(read.room("channelId").map(|room| room.to_string()), Ok("17".into()));
        assert_eq!(read.user("userId"), Ok("anna".into()));
        assert_eq!((read.id("c"), read.flag("d"), read.number("f")), (Ok(None), Ok(Some(true)), Ok(Some(7))));
        assert!(read.id("e").is_err());
        for bad in [r#"{"roomId": "a b"}"#, r#"{"roomId": ""}"#, "{}", r#"{"roomId": []}"#] {
            let refused = fields(bad).room("roomId").expect_err(bad);
            assert!(refused.message.starts_with("`roomId` must be a"), "{refused:?}");
        }
        assert!(fields(r#"{"userId": "a\u0007"}"#).user("userId").is_err());
    }

    #[test]
    fn only_objects_are_read_and_nothing_is_an_empty_one() {
        assert_eq!(Fields::read(b""), Ok(Fields::default()));
        for bad in ["[]", "7", "{", "\"a\"", "\u{0}"] {
            assert_eq!(Fields::read(bad.as_bytes()).expect_err(bad).code, RefusalCode::BadMessage);
        }
        // Deeper than anybody needs: refused, and not by a stack that overflows.
        let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
        assert!(Fields::read(deep.as_bytes()).is_err());
    }
}

//! Fields of a JSON object, read one by one, so that a refusal can name the field, what came, and what was expected.
//! Values stay unparsed text until they are needed, so nothing here recurses, however deeply a message is nested.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::core::event::{Refusal, RefusalCode};

/// The longest part of a client's text that a refusal quotes, in characters.
const QUOTE_CHARS_MAX: usize = 40;

/// The fields of one object.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// Where the object is in the message, with a dot behind it; empty for the message itself.
    prefix: String,
    values: BTreeMap<String, &'a RawValue>,
}

/// One field of a message.
#[derive(Debug)]
pub(super) struct Field<'a> {
    path: String,
    raw: &'a str,
}

impl<'a> Fields<'a> {
    /// Reads the fields of a whole message.
    pub(super) fn of_message(text: &'a str) -> Result<Self, Refusal> {
        let action = "Send one JSON object with a `type`, such as {\"type\":\"ping\"}.";
        // It is parsed in two steps, because "not JSON" and "JSON, but no object" are different mistakes.
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
            Refusal::new(RefusalCode::BadMessage, format!("the message is not JSON: {error}"), action)
        })?;
        let values = serde_json::from_str(raw.get()).map_err(|_| {
            let message = format!("the message must be a JSON object, but {} came", quote(raw.get()));
            Refusal::new(RefusalCode::BadMessage, message, action)
        })?;
        Ok(Self { prefix: String::new(), values })
    }

    /// Returns an object without fields, which is what a left-out `data` stands for.
    pub(super) fn empty(prefix: &str) -> Self {
        Self { prefix: format!("{prefix}."), values: BTreeMap::new() }
    }

    /// Returns a field that must be there. `expected` says what it holds, for the refusal.
    pub(super) fn required(&self, name: &str, expected: &str) -> Result<Field<'a>, Refusal> {
        self.any(name).ok_or_else(|| {
            let path = format!("{}{name}", self.prefix);
            Refusal::new(
                RefusalCode::BadMessage,
                format!("`{path}` is missing"),
                format!("Add `{path}`: {expected}."),
            )
        })
    }

    /// Returns a field that may be left out; `null` counts as left out.
    pub(super) fn optional(&self, name: &str) -> Option<Field<'a>> {
        self.any(name).filter(|field| field.raw != "null")
    }

    /// Returns all values as strings, by the fields' names, or a refusal of the first that is none.
    pub(super) fn texts(&self, expected: &str) -> Result<BTreeMap<String, String>, Refusal> {
        let text = |name: &String| Some(self.any(name)?.string(expected).map(|text| (name.clone(), text)));
        self.values.keys().filter_map(text).collect()
    }

    fn any(&self, name: &str) -> Option<Field<'a>> {
        let raw = self.values.get(name)?.get();
        Some(Field { path: format!("{}{name}", self.prefix), raw })
    }
}

impl<'a> Field<'a> {
    /// Makes a field of the message itself from its value.
    pub(super) fn of_message(name: &str, raw: &'a RawValue) -> Self {
        Self { path: name.to_owned(), raw: raw.get() }
    }

    /// Returns the value as the JSON text that came.
    pub(super) fn json(&self) -> &'a str {
        self.raw
    }

    /// Returns a refusal of this field's value, which it quotes.
    pub(super) fn refuse(&self, code: RefusalCode, expected: &str) -> Refusal {
        Refusal::new(
            code,
            format!("`{}` must be {expected}, but {} came", self.path, quote(self.raw)),
            format!("Send `{}` as {expected}.", self.path),
        )
    }

    /// Returns a refusal because the value has the wrong form; see [`Field::refuse`].
    pub(super) fn wrong(&self, expected: &str) -> Refusal {
        self.refuse(RefusalCode::BadMessage, expected)
    }

    /// Returns the value as a string, or a refusal that says what was expected.
    pub(super) fn string(&self, expected: &str) -> Result<String, Refusal> {
        // A string can still fail here: half of a surrogate pair is JSON, but no text.
        serde_json::from_str(self.raw).map_err(|_| self.wrong(expected))
    }

    /// Returns the value as a boolean, or a refusal.
    pub(super) fn boolean(&self) -> Result<bool, Refusal> {
        serde_json::from_str(self.raw).map_err(|_| self.wrong("true or false"))
    }

    /// Returns the value as an integer, or a refusal.
    pub(super) fn integer(&self) -> Result<i64, Refusal> {
        serde_json::from_str(self.raw).map_err(|_| self.wrong("an integer"))
    }

    /// Returns the value as an object, or a refusal. Its fields are named with the path to it.
    pub(super) fn object(&self) -> Result<Fields<'a>, Refusal> {
        let values = serde_json::from_str(self.raw).map_err(|_| self.wrong("an object"))?;
        Ok(Fields { prefix: format!("{}.", self.path), values })
    }

    /// Returns the value as a list, or a refusal. Its items are named with their places in it.
    pub(super) fn list(&self, expected: &str) -> Result<Vec<Field<'a>>, Refusal> {
        let values: Vec<&'a RawValue> = serde_json::from_str(self.raw).map_err(|_| self.wrong(expected))?;
        let item = |(index, value): (usize, &'a RawValue)| Field {
            path: format!("{}[{index}]", self.path),
            raw: value.get(),
        };
        Ok(values.into_iter().enumerate().map(item).collect())
    }
}

/// Quotes a value, shortened.
fn quote(raw: &str) -> String {
    match raw.bytes().next() {
        Some(b'{') => "an object".to_owned(),
        Some(b'[') => "a list".to_owned(),
        _ if raw.chars().count() <= QUOTE_CHARS_MAX => raw.to_owned(),
        _ => format!("{}…", raw.chars().take(QUOTE_CHARS_MAX).collect::<String>()),
    }
}

//! The head of a message: its `type` and its `id`. It is read before anything else, so that a message beyond a client's
//! allowance is refused under its id for the cost of finding that, and what has an allowance of its own is charged before it is
//! parsed.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::Field;
use super::parse::request_id;
use crate::core::ids::RequestId;

/// What a message is charged as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// An offer to the server.
    Offer,
    /// What one client says to another, so that the two find a direct path.
    Signal,
    /// Anything else.
    #[default]
    Other,
}

/// What the head of a message tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// What its `type` says, written without escapes.
    pub(super) kind: Kind,
    /// Its `id`; `None` if there is none that could be sent back.
    pub(super) request: Option<RequestId>,
}

impl Head {
    /// Reads the head of a message. Reading ends where both fields are known: clients write them before the data.
    /// Nothing is kept of the rest, which need not even be JSON.
    pub(super) fn read(text: &str) -> Self {
        let mut found = Found::default();
        // It ends with an error wherever it ends early, and what has been found counts.
        let _ = serde_json::Deserializer::from_str(text).deserialize_map(Reader(&mut found));
        let id = found.id.filter(|id| id.get() != "null");
        Self {
            kind: match found.kind.map(RawValue::get) {
                Some("\"offer\"") => Kind::Offer,
                Some("\"mesh-signal\"") => Kind::Signal,
                _ => Kind::Other,
            },
            request: id.and_then(|id| request_id(&Field::of_message("id", id)).ok()),
        }
    }
}

#[derive(Default)]
struct Found<'a> {
    kind: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Name {
    Type,
    Id,
    #[serde(other)]
    Other,
}

struct Reader<'f, 'a>(&'f mut Found<'a>);

impl<'a> Visitor<'a> for Reader<'_, 'a> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while (self.0.kind.is_none() || self.0.id.is_none())
            && let Some(name) = map.next_key()?
        {
            match name {
                Name::Type => self.0.kind = Some(map.next_value()?),
                Name::Id => self.0.id = Some(map.next_value()?),
                Name::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (bool, Option<String>) {
        let head = Head::read(text);
        (head.kind == Kind::Offer, head.request.map(|request| request.0.to_string()))
    }

    #[test]
    fn type_and_id_are_found_wherever_they_stand_and_whatever_follows_them() {
        for text in [
            r#"{"type":"offer","id":7,"data":{"sdp":"v=0"}}"#,
            r#" { "id" : 7 , "type" : "offer" , "data" : {"sdp": ""#,
            r#"{"data":{"type":"ping","id":8},"x":[1,{}],"id":7,"type":"offer"}"#,
        ] {
            assert_eq!(read(text), (true, Some("7".to_owned())), "{text}");
        }
        assert_eq!(read(r#"{"type":"ping","id":"a\u0041"}"#), (false, Some("\"aA\"".to_owned())));
    }

    #[test]
    fn what_cannot_be_sent_back_is_no_id() {
        let long = format!(r#"{{"id":"{}","type":"offer"}}"#, "x".repeat(65));
        assert_eq!(read(&long), (true, None));
        for text in ["", "{", "[1]", "nonsense", r#"{"id":null}"#, r#"{"id":{}}"#, r#"{"id":1.5}"#] {
            assert_eq!(read(text), (false, None), "{text}");
        }
    }
}

//! Body: the JSON object in a request, read field by field. What is missing, has another type or is not known is refused
//! with words that name it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::message::{Request, Response};

/// The object of a request. A field is taken out when it is read, so that whatever is left is not known.
#[derive(Debug)]
pub struct Body(Map<String, Value>);

fn wrong(name: &str, expected: &str) -> Response {
    Response::problem(
        400,
        &format!("`{name}` must be {expected}"),
        "change the field, or leave it out if it may be",
    )
}

/// Checks that a request says of its body that it is JSON. `text/plain` and forms can be sent by any web page without asking
/// first, with the browser's cookies, so they are not taken for JSON.
///
/// # Errors
/// It says something else; `action` is what to do about it.
pub fn must_be_json(request: &Request, action: &str) -> Result<(), Response> {
    if request.content_type() == "application/json" {
        return Ok(());
    }
    Err(Response::problem(415, "the body is not JSON", action))
}

impl Body {
    /// Reads the body of a request. One that is empty is an object without fields.
    ///
    /// # Errors
    /// It is of another type, or no JSON object.
    pub fn of(request: &Request) -> Result<Self, Response> {
        if request.body.is_empty() {
            return Ok(Self(Map::new()));
        }
        must_be_json(request, "send it with Content-Type: application/json")?;
        match serde_json::from_slice(&request.body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Response::problem(400, "the body is not a JSON object", "send an object: {…}")),
            Err(error) => Err(Response::problem(
                400,
                &format!("the body is not JSON: {error}"),
                "send a JSON object: {…}",
            )),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// Takes a text; `None` if it is absent or `null`.
    ///
    /// # Errors
    /// It is no text.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Response> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "text")),
        }
    }

    /// Takes `true` or `false`; `None` if it is absent or `null`.
    ///
    /// # Errors
    /// It is neither.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, Response> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(wrong(name, "true or false")),
        }
    }

    /// Takes a whole number within a range; `None` if it is absent or `null`.
    ///
    /// # Errors
    /// It is no whole number, or out of range.
    pub fn count(&mut self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Response> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(count) if (least..=most).contains(&count) => Ok(Some(count)),
                _ => Err(wrong(name, &format!("a whole number from {least} to {most}"))),
            },
        }
    }

    /// Takes a list of texts; `None` if it is absent or `null`.
    ///
    /// # Errors
    /// It is none.
    pub fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, Response> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let texts = value.as_array().and_then(|list| {
            list.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        texts.map(Some).ok_or_else(|| wrong(name, "a list of texts"))
    }

    /// Takes an object whose values are texts; `None` if it is absent or `null`.
    ///
    /// # Errors
    /// It is none.
    pub fn pairs(&mut self, name: &str) -> Result<Option<BTreeMap<String, String>>, Response> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let pairs = value.as_object().and_then(|object| {
            object.iter().map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
        });
        pairs.map(Some).ok_or_else(|| wrong(name, "an object of texts"))
    }

    /// Takes what a field is read to by `read`, and says what is expected if it cannot be.
    ///
    /// # Errors
    /// The field is absent, or not as expected.
    pub fn must<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Response> {
        self.text(name)?.as_deref().and_then(read).ok_or_else(|| wrong(name, expected))
    }

    /// Checks that every field was known.
    ///
    /// # Errors
    /// One was not.
    pub fn end(self) -> Result<(), Response> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let error = format!("`{}` is not known here", name.chars().take(64).collect::<String>());
                Err(Response::problem(400, &error, "leave the field out, or check how it is written"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::message::{Parsed, parse};

    fn body(text: &str) -> Result<Body, Response> {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        let Parsed::Request(request, _) = parse(head.as_bytes()) else { panic!("{head}") };
        Body::of(&request)
    }

    #[test]
    fn fields_are_read_by_their_types() {
        let mut read = body(r#"{"a": "x", "b": true, "c": 7, "d": ["x"], "e": {"k": "v"}, "f": null}"#)
            .expect("an object");
        assert_eq!(read.text("a"), Ok(Some("x".into())));
        assert_eq!((read.flag("b"), read.count("c", 1, 7)), (Ok(Some(true)), Ok(Some(7))));
        assert_eq!(read.texts("d"), Ok(Some(vec!["x".into()])));
        assert_eq!(read.pairs("e"), Ok(Some(BTreeMap::from([("k".into(), "v".into())]))));
        assert_eq!((read.text("f"), read.text("g")), (Ok(None), Ok(None)));
        assert_eq!(read.end(), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for text in ["[]", "{", "7"] {
            assert_eq!(body(text).expect_err(text).status, 400);
        }
        let mut read =
            body(r#"{"a": 1, "b": "x", "c": 8, "d": [1], "e": {"k": 1}, "z": 1}"#).expect("an object");
        let refused = [
            read.text("a").map(|_| ()),
            read.flag("b").map(|_| ()),
            read.count("c", 1, 7).map(|_| ()),
            read.texts("d").map(|_| ()),
            read.pairs("e").map(|_| ()),
            read.end(),
        ];
        for (refused, name) in refused.into_iter().zip(["a", "b", "c", "d", "e", "z"]) {
            let refused = refused.expect_err(name);
            assert!(
                refused.status == 400 && refused.body_text().contains(&format!("`{name}`")),
                "{refused:?}"
            );
        }
    }
}

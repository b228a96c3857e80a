//! The value of one codec parameter. In JSON it is a number, a text or a truth value; a recording, whose format does not tell
//! these apart, has the variant before it.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The value of one codec parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterValue {
    /// A whole number.
    Number(i64),
    /// A text, and whatever else can be written as one.
    Text(String),
    /// A truth value.
    Flag(bool),
}

/// The same, as a recording has it.
#[derive(Serialize, Deserialize)]
enum Recorded {
    Number(i64),
    Text(String),
    Flag(bool),
}

impl fmt::Display for ParameterValue {
    /// Writes it as an `a=fmtp` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
            Self::Flag(flag) => write!(f, "{}", u8::from(*flag)),
        }
    }
}

impl From<i64> for ParameterValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for ParameterValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Serialize for ParameterValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            let recorded = match self.clone() {
                Self::Number(number) => Recorded::Number(number),
                Self::Text(text) => Recorded::Text(text),
                Self::Flag(flag) => Recorded::Flag(flag),
            };
            return recorded.serialize(serializer);
        }
        match self {
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
        }
    }
}

impl<'de> Deserialize<'de> for ParameterValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(Plain);
        }
        Ok(match Recorded::deserialize(deserializer)? {
            Recorded::Number(number) => Self::Number(number),
            Recorded::Text(text) => Self::Text(text),
            Recorded::Flag(flag) => Self::Flag(flag),
        })
    }
}

/// Reads a number that may have a fraction, which is left out. What is no number, or none that fits, is `None`.
pub fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    if !deserializer.is_human_readable() {
        return Option::deserialize(deserializer);
    }
    let value = Option::<ParameterValue>::deserialize(deserializer)?;
    let number = value.and_then(|value| value.to_string().parse::<f64>().ok());
    let fits = number.filter(|number| (0.0..=f64::from(u32::MAX)).contains(number));
    Ok(fits.map(|number| number as u32))
}

/// Reads a value from JSON.
struct Plain;

impl Visitor<'_> for Plain {
    type Value = ParameterValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a text or a truth value")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(ParameterValue::Flag(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(ParameterValue::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number)
            .map_or_else(|_| ParameterValue::Text(number.to_string()), ParameterValue::Number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(ParameterValue::Text(number.to_string()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(ParameterValue::Text(text.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(ParameterValue::Text(String::new()))
    }
}

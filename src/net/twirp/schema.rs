//! Messages of LiveKit's room service in their two forms, protocol buffers and the JSON form of these. Tables say what fields
//! a message has; both forms are read to the same JSON value with the fields' own names. What is written is a JSON value in
//! camel case, as webhooks have it.
//!
//! There is no generated code: of hundreds of messages that LiveKit has, these few fields are what a room here can do.

use base64ct::{Base64, Encoding};
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};
use serde_json::{Map, Value, json};

/// How deep messages lie in each other at most.
const DEPTH_MAX: usize = 4;

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// A text.
    Text,
    /// Bytes; in JSON as base64.
    Bytes,
    /// `true` or `false`.
    Flag,
    /// A whole number of 32 bits without a sign.
    Count,
    /// A whole number of 64 bits with a sign; in JSON as text.
    Long,
    /// One of these names, each of which stands for its place in the list.
    Name(&'static [&'static str]),
    /// Texts by keys that are texts.
    Pairs,
    /// A message.
    Message(&'static [Field]),
}

/// A field of a message.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    tag: u32,
    name: &'static str,
    holds: Type,
    is_repeated: bool,
}

const fn one(tag: u32, name: &'static str, holds: Type) -> Field {
    Field { tag, name, holds, is_repeated: false }
}

const fn many(tag: u32, name: &'static str, holds: Type) -> Field {
    Field { tag, name, holds, is_repeated: true }
}

/// The fields of a message that nothing is said in, or in which what is said does not matter.
pub const EMPTY: &[Field] = &[];

/// `CreateRoomRequest`.
pub const CREATE_ROOM: &[Field] = &[
    one(1, "name", Type::Text),
    one(2, "empty_timeout", Type::Count),
    one(3, "max_participants", Type::Count),
    one(5, "metadata", Type::Text),
    one(6, "egress", Type::Message(EMPTY)),
    one(10, "departure_timeout", Type::Count),
    many(14, "agents", Type::Message(EMPTY)),
];
/// `ListRoomsRequest`.
pub const LIST_ROOMS: &[Field] = &[many(1, "names", Type::Text)];
/// `ListRoomsResponse`.
pub const ROOMS: &[Field] = &[many(1, "rooms", Type::Message(ROOM))];
/// `DeleteRoomRequest` and `ListParticipantsRequest`.
pub const OF_ROOM: &[Field] = &[one(1, "room", Type::Text)];
/// `ListParticipantsResponse`.
pub const PARTICIPANTS: &[Field] = &[many(1, "participants", Type::Message(PARTICIPANT))];
/// `RoomParticipantIdentity`.
pub const OF_PARTICIPANT: &[Field] = &[one(1, "room", Type::Text), one(2, "identity", Type::Text)];
/// `MuteRoomTrackRequest`.
pub const MUTE_TRACK: &[Field] = &[
    one(1, "room", Type::Text),
    one(2, "identity", Type::Text),
    one(3, "track_sid", Type::Text),
    one(4, "muted", Type::Flag),
];
/// `MuteRoomTrackResponse`.
pub const MUTED: &[Field] = &[one(1, "track", Type::Message(TRACK))];
/// `UpdateParticipantRequest`.
pub const UPDATE_PARTICIPANT: &[Field] = &[
    one(1, "room", Type::Text),
    one(2, "identity", Type::Text),
    one(3, "metadata", Type::Text),
    one(4, "permission", Type::Message(PERMISSION)),
    one(5, "name", Type::Text),
    one(6, "attributes", Type::Pairs),
];
/// `UpdateSubscriptionsRequest`.
pub const UPDATE_SUBSCRIPTIONS: &[Field] = &[
    one(1, "room", Type::Text),
    one(2, "identity", Type::Text),
    many(3, "track_sids", Type::Text),
    one(4, "subscribe", Type::Flag),
    many(5, "participant_tracks", Type::Message(PARTICIPANT_TRACKS)),
];
/// `ParticipantTracks`.
const PARTICIPANT_TRACKS: &[Field] = &[many(2, "track_sids", Type::Text)];
/// `SendDataRequest`.
pub const SEND_DATA: &[Field] = &[
    one(1, "room", Type::Text),
    one(2, "data", Type::Bytes),
    one(3, "kind", Type::Name(&["RELIABLE", "LOSSY"])),
    many(4, "destination_sids", Type::Text),
    one(5, "topic", Type::Text),
    many(6, "destination_identities", Type::Text),
];
/// `UpdateRoomMetadataRequest`.
pub const UPDATE_METADATA: &[Field] = &[one(1, "room", Type::Text), one(2, "metadata", Type::Text)];
/// `Room`.
pub const ROOM: &[Field] = &[
    one(1, "sid", Type::Text),
    one(2, "name", Type::Text),
    one(3, "empty_timeout", Type::Count),
    one(4, "max_participants", Type::Count),
    one(5, "creation_time", Type::Long),
    one(8, "metadata", Type::Text),
    one(9, "num_participants", Type::Count),
    one(11, "num_publishers", Type::Count),
    one(14, "departure_timeout", Type::Count),
    one(15, "creation_time_ms", Type::Long),
];
/// `ParticipantInfo`.
pub const PARTICIPANT: &[Field] = &[
    one(1, "sid", Type::Text),
    one(2, "identity", Type::Text),
    one(3, "state", Type::Name(&["JOINING", "JOINED", "ACTIVE", "DISCONNECTED"])),
    many(4, "tracks", Type::Message(TRACK)),
    one(5, "metadata", Type::Text),
    one(6, "joined_at", Type::Long),
    one(9, "name", Type::Text),
    one(11, "permission", Type::Message(PERMISSION)),
    one(13, "is_publisher", Type::Flag),
    one(15, "attributes", Type::Pairs),
    one(17, "joined_at_ms", Type::Long),
];
/// `ParticipantPermission`.
pub const PERMISSION: &[Field] = &[
    one(1, "can_subscribe", Type::Flag),
    one(2, "can_publish", Type::Flag),
    one(3, "can_publish_data", Type::Flag),
    one(7, "hidden", Type::Flag),
    many(9, "can_publish_sources", Type::Name(SOURCES)),
    one(10, "can_update_metadata", Type::Flag),
];
/// `TrackInfo`.
pub const TRACK: &[Field] = &[
    one(1, "sid", Type::Text),
    one(2, "type", Type::Name(&["AUDIO", "VIDEO", "DATA"])),
    one(4, "muted", Type::Flag),
    one(5, "width", Type::Count),
    one(6, "height", Type::Count),
    one(7, "simulcast", Type::Flag),
    one(9, "source", Type::Name(SOURCES)),
    one(11, "mime_type", Type::Text),
];
const SOURCES: &[&str] = &["UNKNOWN", "CAMERA", "MICROPHONE", "SCREEN_SHARE", "SCREEN_SHARE_AUDIO"];

/// Reads a message from protocol buffers. Fields that are not in the table are passed over.
///
/// # Errors
/// The bytes are no such message. The text says where.
pub fn read_bytes(fields: &[Field], bytes: &[u8]) -> Result<Value, String> {
    read_at(fields, bytes, 0)
}

fn read_at(fields: &[Field], mut bytes: &[u8], depth: usize) -> Result<Value, String> {
    let broken = |error: prost::DecodeError| format!("the message is broken: {error}");
    if depth > DEPTH_MAX {
        return Err("messages lie too deep in each other".into());
    }
    let mut read = Map::new();
    while !bytes.is_empty() {
        let (tag, wire) = decode_key(&mut bytes).map_err(broken)?;
        let Some(field) = fields.iter().find(|field| field.tag == tag) else {
            skip_field(wire, tag, &mut bytes, DecodeContext::default()).map_err(broken)?;
            continue;
        };
        match wire {
            WireType::Varint => {
                let number = decode_varint(&mut bytes).map_err(broken)?;
                keep(&mut read, field, field.number(number)?);
            }
            WireType::LengthDelimited => {
                let length =
                    usize::try_from(decode_varint(&mut bytes).map_err(broken)?).unwrap_or(usize::MAX);
                let (content, rest) = bytes
                    .split_at_checked(length)
                    .ok_or_else(|| format!("`{}` is longer than the message", field.name))?;
                bytes = rest;
                field.content(&mut read, content, depth)?;
            }
            _ => return Err(format!("`{}` has a form that it never has", field.name)),
        }
    }
    Ok(Value::Object(read))
}

/// Puts a value in place, behind others if there may be some.
fn keep(read: &mut Map<String, Value>, field: &Field, value: Value) {
    if !field.is_repeated {
        read.insert(field.name.to_owned(), value);
        return;
    }
    if let Value::Array(list) = read.entry(field.name).or_insert_with(|| json!([])) {
        list.push(value);
    }
}

impl Field {
    fn wrong(&self, expected: &str) -> String {
        format!("`{}` must be {expected}", self.name)
    }

    /// Reads what a number in protocol buffers means.
    fn number(&self, number: u64) -> Result<Value, String> {
        match self.holds {
            Type::Flag => Ok(json!(number != 0)),
            Type::Count => {
                u32::try_from(number).map(Value::from).map_err(|_| self.wrong("a number of 32 bits"))
            }
            Type::Long => Ok(json!(number.cast_signed().to_string())),
            Type::Name(names) => {
                let name = usize::try_from(number).ok().and_then(|place| names.get(place));
                name.map(|name| json!(name)).ok_or_else(|| self.wrong("one of the names that there are"))
            }
            Type::Text | Type::Bytes | Type::Pairs | Type::Message(_) => {
                Err(self.wrong("something else than a number"))
            }
        }
    }

    /// Reads what a piece with a length in protocol buffers means.
    fn content(&self, read: &mut Map<String, Value>, mut content: &[u8], depth: usize) -> Result<(), String> {
        let text = |bytes: &[u8]| {
            std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| self.wrong("text in UTF-8"))
        };
        let value = match self.holds {
            Type::Text => Value::from(text(content)?),
            Type::Bytes => Value::from(Base64::encode_string(content)),
            Type::Message(fields) => read_at(fields, content, depth + 1)?,
            Type::Pairs => {
                let pair = read_at(PAIR, content, depth + 1)?;
                let of = |name: &str| pair.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                if let Value::Object(pairs) = read.entry(self.name).or_insert_with(|| json!({})) {
                    pairs.insert(of("key"), Value::from(of("value")));
                }
                return Ok(());
            }
            // Numbers that follow each other in one piece.
            Type::Flag | Type::Count | Type::Long | Type::Name(_) => {
                while !content.is_empty() {
                    let number = decode_varint(&mut content).map_err(|_| self.wrong("a list of numbers"))?;
                    keep(read, self, self.number(number)?);
                }
                return Ok(());
            }
        };
        keep(read, self, value);
        Ok(())
    }

    /// Reads what a value in JSON means.
    fn json(&self, value: &Value, depth: usize) -> Result<Value, String> {
        match self.holds {
            Type::Bytes => {
                let text = value.as_str().filter(|text| Base64::decode_vec(text).is_ok());
                text.map(Value::from).ok_or_else(|| self.wrong("bytes in base64"))
            }
            Type::Text => value.as_str().map(Value::from).ok_or_else(|| self.wrong("a text")),
            Type::Flag => value.as_bool().map(Value::from).ok_or_else(|| self.wrong("true or false")),
            Type::Count => {
                let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
                let count = number.and_then(|number| u32::try_from(number).ok());
                count.map(Value::from).ok_or_else(|| self.wrong("a whole number of 32 bits"))
            }
            Type::Long => {
                let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
                number.map(|number| json!(number.to_string())).ok_or_else(|| self.wrong("a whole number"))
            }
            Type::Name(names) => match value.as_u64() {
                Some(number) => self.number(number),
                None => {
                    let name = names.iter().find(|name| value.as_str() == Some(name));
                    name.map(|name| json!(name)).ok_or_else(|| self.wrong("one of the names that there are"))
                }
            },
            Type::Pairs => {
                let are_texts = |pairs: &Map<String, Value>| pairs.values().all(Value::is_string);
                let pairs = value.as_object().filter(|pairs| are_texts(pairs));
                pairs.cloned().map(Value::Object).ok_or_else(|| self.wrong("an object of texts"))
            }
            Type::Message(fields) => named(fields, value, depth + 1),
        }
    }
}

/// An entry of [`Type::Pairs`].
const PAIR: &[Field] = &[one(1, "key", Type::Text), one(2, "value", Type::Text)];

/// Reads a message from its JSON form, in which fields are named in camel case or by their own names. Fields that are not in
/// the table are passed over.
///
/// # Errors
/// A field holds something else than it may. The text names it.
pub fn read_json(fields: &[Field], value: &Value) -> Result<Value, String> {
    named(fields, value, 0)
}

fn named(fields: &[Field], value: &Value, depth: usize) -> Result<Value, String> {
    let given = value.as_object().ok_or_else(|| "a message must be a JSON object".to_owned())?;
    if depth > DEPTH_MAX {
        return Err("messages lie too deep in each other".into());
    }
    let mut read = Map::new();
    for field in fields {
        let value = given.get(field.name).or_else(|| given.get(&camel_case(field.name)));
        let Some(value) = value.filter(|value| !value.is_null()) else { continue };
        if !field.is_repeated {
            keep(&mut read, field, field.json(value, depth)?);
            continue;
        }
        let list = value.as_array().ok_or_else(|| field.wrong("a list"))?;
        for value in list {
            keep(&mut read, field, field.json(value, depth)?);
        }
    }
    Ok(Value::Object(read))
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut text = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        text.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        text.push_str(letters.as_str());
    }
    text
}

/// Writes a message in protocol buffers, from its JSON form in camel case. What is not in the table, or not of the field's
/// type, is left out.
pub fn write_bytes(fields: &[Field], value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in fields {
        let Some(value) = value.get(camel_case(field.name)) else { continue };
        match (field.is_repeated, value) {
            (true, Value::Array(list)) => list.iter().for_each(|value| field.write(value, true, &mut bytes)),
            _ => field.write(value, false, &mut bytes),
        }
    }
    bytes
}

impl Field {
    /// Writes one value. One that a receiver assumes anyway is written only as part of a list.
    fn write(&self, value: &Value, is_in_list: bool, bytes: &mut Vec<u8>) {
        let mut number = |number: Option<u64>| {
            if let Some(number) = number.filter(|number| *number != 0 || is_in_list) {
                encode_key(self.tag, WireType::Varint, bytes);
                encode_varint(number, bytes);
            }
        };
        match self.holds {
            Type::Flag => number(value.as_bool().map(u64::from)),
            Type::Count => number(value.as_u64()),
            Type::Long => number(value.as_str().and_then(|text| text.parse().ok()).map(i64::cast_unsigned)),
            Type::Name(names) => {
                let place = names.iter().position(|name| value.as_str() == Some(name));
                number(place.map(|place| place as u64));
            }
            Type::Text => {
                let text = value.as_str().filter(|text| !text.is_empty() || is_in_list);
                if let Some(text) = text {
                    self.write_content(text.as_bytes(), bytes);
                }
            }
            Type::Bytes => {
                if let Some(content) = value.as_str().and_then(|text| Base64::decode_vec(text).ok()) {
                    self.write_content(&content, bytes);
                }
            }
            Type::Pairs => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    self.write_content(&write_bytes(PAIR, &json!({"key": key, "value": value})), bytes);
                }
            }
            Type::Message(fields) if value.is_object() => {
                self.write_content(&write_bytes(fields, value), bytes);
            }
            Type::Message(_) => {}
        }
    }

    fn write_content(&self, content: &[u8], bytes: &mut Vec<u8>) {
        encode_key(self.tag, WireType::LengthDelimited, bytes);
        encode_varint(content.len() as u64, bytes);
        bytes.extend_from_slice(content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anna() -> Value {
        json!({
            "sid": "PA_1",
            "identity": "anna",
            "state": "ACTIVE",
            "tracks": [{"sid": "TR_1", "type": "VIDEO", "source": "CAMERA", "muted": true, "width": 1280}],
            "joinedAt": "1700000000",
            "permission": {"canSubscribe": true, "canPublishSources": ["MICROPHONE", "UNKNOWN"]},
            "attributes": {"hand": "up"},
        })
    }

    #[test]
    fn what_is_written_in_protocol_buffers_is_read_again() {
        let bytes = write_bytes(PARTICIPANT, &anna());
        assert_eq!(read_bytes(PARTICIPANT, &bytes), read_json(PARTICIPANT, &anna()));
        let defaults = json!({"sid": "", "state": "JOINING", "joinedAt": "0", "isPublisher": false});
        assert!(write_bytes(PARTICIPANT, &defaults).is_empty(), "a receiver assumes these");
    }

    #[test]
    fn bytes_of_other_software_are_read() {
        // CreateRoomRequest{name: "a", empty_timeout: 300, node_id: "x"} of LiveKit's own library.
        let bytes = b"\x0a\x01a\x10\xac\x02\x22\x01x";
        assert_eq!(read_bytes(CREATE_ROOM, bytes), Ok(json!({"name": "a", "empty_timeout": 300})));
        // ParticipantPermission{can_publish_sources: [MICROPHONE, CAMERA]}, which come in one piece.
        let packed = b"\x4a\x02\x02\x01";
        assert_eq!(
            read_bytes(PERMISSION, packed),
            Ok(json!({"can_publish_sources": ["MICROPHONE", "CAMERA"]}))
        );
    }

    #[test]
    fn json_is_read_in_both_ways_of_naming_and_numbers_as_text() {
        let camel = json!({"name": "a", "emptyTimeout": "300", "maxParticipants": 5, "tags": {"x": "y"}});
        let own = json!({"name": "a", "empty_timeout": 300, "max_participants": 5});
        assert_eq!(read_json(CREATE_ROOM, &camel), Ok(own.clone()));
        assert_eq!(read_json(CREATE_ROOM, &own), Ok(own));
        let numbered = json!({"canPublishSources": [2, "CAMERA"]});
        assert_eq!(
            read_json(PERMISSION, &numbered),
            Ok(json!({"can_publish_sources": ["MICROPHONE", "CAMERA"]}))
        );
    }

    #[test]
    fn what_is_wrong_is_named_and_never_a_panic() {
        let refused = read_json(CREATE_ROOM, &json!({"emptyTimeout": -1})).expect_err("negative");
        assert!(refused.contains("empty_timeout"), "{refused}");
        for wrong in [json!([]), json!({"egress": 1}), json!({"agents": {}}), json!({"name": 1})] {
            assert!(read_json(CREATE_ROOM, &wrong).is_err(), "{wrong}");
        }
        let whole = write_bytes(PARTICIPANT, &anna());
        for length in 0..whole.len() {
            let _ = read_bytes(PARTICIPANT, &whole[..length]);
        }
        for bytes in [
            &b"\x0a\xff\xff\xff\xff\x0f"[..],
            b"\x0d\0\0\0\0",
            b"\x0a\x01\xff",
            b"\x10\xff\xff\xff\xff\xff\x01",
        ] {
            assert!(read_bytes(CREATE_ROOM, bytes).is_err(), "{bytes:?}");
        }
    }
}

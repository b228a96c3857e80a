//! Messages between participants: what one says, and the frames in which the native SDK says it on a data channel. A front
//! end that has a format of its own reads and writes that itself.
//!
//! A frame has a byte that says what the payload is; the number of ids, and the ids, each of 15 characters; the length
//! of the topic, and the topic; and the payload. The ids are those of the recipients, none for everybody, or that of
//! the sender in a frame from the server, none if that is a back end.

use serde::{Deserialize, Serialize};

use super::ids::ParticipantId;
use crate::limits::{CHANNEL_MESSAGE_BYTES_MAX, TOPIC_CHARS_MAX};

/// The name of the protocol of channels on which frames are exchanged.
pub const PROTOCOL: &str = "strait";

/// The characters of a participant's id.
const ID_BYTES: usize = 15;
const JSON: u8 = 0;
const BYTES: u8 = 1;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataPayload {
    /// JSON text.
    Json(Box<str>),
    /// Any bytes.
    Bytes(Box<[u8]>),
    /// A packet in the format of the sender's front end. Only those whose front ends read their channels themselves are given
    /// it.
    Packet(Box<[u8]>),
}

impl DataPayload {
    /// Returns its length, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Json(text) => text.len(),
            Self::Bytes(bytes) | Self::Packet(bytes) => bytes.len(),
        }
    }
}

impl From<&str> for DataPayload {
    fn from(json: &str) -> Self {
        Self::Json(json.into())
    }
}

/// A frame of a client's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The recipients; `None` for everyone else in the room.
    pub to: Option<Vec<ParticipantId>>,
    /// A word by which the recipients know what it is about.
    pub topic: String,
    /// What is said.
    pub payload: DataPayload,
}

impl Frame {
    /// Reads a frame; `None` if it is malformed.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let [kind, ids, ref rest @ ..] = *bytes else { return None };
        let (ids, rest) = rest.split_at_checked(usize::from(ids) * ID_BYTES)?;
        let id = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
        let ids: Vec<ParticipantId> = ids.chunks_exact(ID_BYTES).map(id).collect::<Option<_>>()?;
        let (&length, rest) = rest.split_first()?;
        let (topic, payload) = rest.split_at_checked(usize::from(length))?;
        let topic = std::str::from_utf8(topic).ok()?;
        if topic.is_empty() || topic.chars().count() > TOPIC_CHARS_MAX {
            return None;
        }
        let payload = match kind {
            JSON => DataPayload::Json(std::str::from_utf8(payload).ok()?.into()),
            BYTES => DataPayload::Bytes(payload.into()),
            _ => return None,
        };
        Some(Self { to: (!ids.is_empty()).then_some(ids), topic: topic.to_owned(), payload })
    }
}

/// Writes the frame of a message for its recipients. Returns `None` for what is not said in frames, or does not fit into
/// a message.
pub fn write_frame(from: Option<ParticipantId>, topic: &str, payload: &DataPayload) -> Option<Vec<u8>> {
    let (kind, payload) = match payload {
        DataPayload::Json(text) => (JSON, text.as_bytes()),
        DataPayload::Bytes(bytes) => (BYTES, &**bytes),
        DataPayload::Packet(_) => return None,
    };
    let mut frame = Vec::with_capacity(3 + ID_BYTES + topic.len() + payload.len());
    frame.extend_from_slice(&[kind, u8::from(from.is_some())]);
    if let Some(from) = from {
        frame.extend_from_slice(from.to_string().as_bytes());
    }
    frame.push(u8::try_from(topic.len()).ok()?);
    frame.extend_from_slice(topic.as_bytes());
    frame.extend_from_slice(payload);
    (frame.len() <= CHANNEL_MESSAGE_BYTES_MAX).then_some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: ParticipantId = ParticipantId(7);

    #[test]
    fn a_frame_says_what_was_said_to_whom() {
        let said = DataPayload::Bytes([1, 2, 3].into());
        let frame = write_frame(Some(ANNA), "points", &said).expect("a frame");
        let read = Frame { to: Some(vec![ANNA]), topic: "points".into(), payload: said };
        assert_eq!(Frame::read(&frame), Some(read));
        let to_all = b"\x00\x00\x04chat\"hello\"";
        let read = Frame { to: None, topic: "chat".into(), payload: "\"hello\"".into() };
        assert_eq!(Frame::read(to_all), Some(read));
    }

    #[test]
    fn what_is_cut_off_or_unreadable_says_nothing() {
        let frame = write_frame(Some(ANNA), "chat", &"1".into()).expect("a frame");
        for length in 0..frame.len() - 1 {
            assert_eq!(Frame::read(&frame[..length]), None, "{length}");
        }
        assert_eq!(Frame::read(b"\x02\x00\x04chat1"), None, "no such payload");
        assert_eq!(Frame::read(b"\x00\x00\x00\"x\""), None, "no topic");
        assert_eq!(Frame::read(b"\x00\x00\x04chat\xff"), None, "not UTF-8");
        assert_eq!(Frame::read(b"\x00\x01p-zzzzzzzzzzzzz\x01x1"), None, "no such id");
        assert_eq!(write_frame(Some(ANNA), "x", &DataPayload::Packet([1].into())), None);
    }
}

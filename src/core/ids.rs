//! Ids and keys: newtypes, so that the id of a track is never taken for that of a participant.
//!
//! Ids that leave the process (`ParticipantId`, `TrackId`) are drawn from a participant's entropy, so they cannot be
//! guessed. Keys that stay inside (`ConnectionId`, `DtlsSession`) are plain numbers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::{ROOM_ID_BYTES_MAX, ROOM_ID_BYTES_MIN};

/// A room's name as people type it: 1–64 characters of `A–Z a–z 0–9 _ - .`, other than `.` and `..`, which mean folders
/// wherever a path is made of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RoomId(Arc<str>);

/// A room id that breaks the rules of [`RoomId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadRoomId;

impl RoomId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoomId {
    type Err = BadRoomId;

    fn from_str(text: &str) -> Result<Self, BadRoomId> {
        let length_ok = (ROOM_ID_BYTES_MIN..=ROOM_ID_BYTES_MAX).contains(&text.len());
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if length_ok && text.bytes().all(allowed) && !matches!(text, "." | "..") {
            Ok(Self(text.into()))
        } else {
            Err(BadRoomId)
        }
    }
}

impl fmt::Display for BadRoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a room's name is 1 to 64 of the characters A–Z a–z 0–9 _ - ., and neither . nor ..")
    }
}

impl From<RoomId> for String {
    fn from(id: RoomId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl TryFrom<String> for RoomId {
    type Error = BadRoomId;

    fn try_from(text: String) -> Result<Self, BadRoomId> {
        text.parse()
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Crockford's base 32 in lower case, in which no letter looks like another. Random ids are written in it.
pub const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Digits of a 64-bit number in base 32.
const DIGITS: usize = 13;

fn write_base32(f: &mut fmt::Formatter<'_>, prefix: &str, value: u64) -> fmt::Result {
    f.write_str(prefix)?;
    for digit in (0..DIGITS).rev() {
        let index = (value >> (digit * 5)) & 31;
        write!(f, "{}", BASE32[index as usize] as char)?;
    }
    Ok(())
}

fn parse_base32(text: &str, prefix: &str) -> Option<u64> {
    let digits = text.strip_prefix(prefix)?;
    if digits.len() != DIGITS {
        return None;
    }
    let mut value: u64 = 0;
    for byte in digits.bytes() {
        let index = BASE32.iter().position(|&letter| letter == byte)? as u64;
        value = value.checked_mul(32)?.checked_add(index)?;
    }
    Some(value)
}

/// The text is not an id of the expected sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadId;

macro_rules! public_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_base32(f, $prefix, self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                parse_base32(text, $prefix).map(Self).ok_or(BadId)
            }
        }
    };
}

public_id!(
    /// A member of a room; `p-` and 13 base-32 digits on the wire.
    ParticipantId,
    "p-"
);
public_id!(
    /// A published track; `t-` and 13 base-32 digits on the wire.
    TrackId,
    "t-"
);

public_id!(
    /// A transport, for clients that have several; `x-` and 13 base-32 digits on the wire.
    TransportId,
    "x-"
);

/// The shell's name for one signalling connection. A process never uses one twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// The name of one DTLS association, for both core and shell. A process never uses one twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DtlsSession(pub u64);

/// A room's place in the `Sfu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomKey(pub usize);

/// A participant's place in their room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ParticipantKey(pub usize);

/// A transport's place in its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TransportKey(pub usize);

/// A publication's place in its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicationKey(pub usize);

/// One of a publication's encodings, numbered in the order in which they began to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EncodingIndex(pub u8);

/// The name of a recording of one room. A process never uses one twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingId(pub u64);

/// The correlation value of a request, as JSON text (a string with its quotes, or an integer).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestId(pub Box<str>);

/// A synchronisation source of RTP (RFC 3550 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// An RTP payload type, 0–127.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadType(pub u8);

/// The most bytes of a mid: as many as a one-byte header extension holds (RFC 8285 §4.2).
const MID_BYTES_MAX: usize = 16;

/// Returns whether a text is a token (RFC 8866 §9): one printable ASCII character or several, without spaces and without
/// `"(),/:;<=>?@[\]`.
pub fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

/// The name of a media section (RFC 5888 §4): 1–16 characters of a token (RFC 8866 §9).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mid {
    /// The text in ASCII, followed by zeros.
    bytes: [u8; MID_BYTES_MAX],
}

impl Mid {
    /// The empty mid, which no section has.
    pub const NONE: Self = Self { bytes: [0; MID_BYTES_MAX] };

    /// Reads a mid. `None` if it is longer than 16 bytes or no [token](is_token).
    pub fn parse(text: &str) -> Option<Self> {
        if !is_token(text) {
            return None;
        }
        let mut bytes = [0; MID_BYTES_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes })
    }

    /// The mid as text.
    pub fn as_str(&self) -> &str {
        let length = self.bytes.iter().position(|byte| *byte == 0).unwrap_or(MID_BYTES_MAX);
        std::str::from_utf8(&self.bytes[..length]).unwrap_or_default()
    }
}

impl From<&str> for Mid {
    /// Converts text that is known to be a mid. Anything else becomes [`Mid::NONE`], which names no section.
    fn from(text: &str) -> Self {
        Self::parse(text).unwrap_or(Self::NONE)
    }
}

impl std::ops::Deref for Mid {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Mid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Mid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mid({:?})", self.as_str())
    }
}

/// How a [`Mid`] is written in a recording: as text.
pub(super) mod mid_text {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Mid;

    pub fn serialize<S: Serializer>(mid: &Mid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(mid)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Mid, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        Mid::parse(text).ok_or_else(|| D::Error::custom("not a mid"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_the_way_through_text() {
        for value in [0, 1, 31, 32, u64::MAX, 0x0123_4567_89ab_cdef] {
            assert_eq!(ParticipantId(value).to_string().parse(), Ok(ParticipantId(value)));
            assert_eq!(TrackId(value).to_string().parse(), Ok(TrackId(value)));
        }
    }

    #[test]
    fn a_mid_is_any_short_token() {
        for text in ["0", "video-stream", "a.b_c", "#!", "sixteen-letters!"] {
            assert_eq!(Mid::parse(text).expect(text).as_str(), text);
        }
        for text in ["", "seventeen-letters", "we ird", "\0", "ä", "a:b", "\"", "a,b", "a/b", "a=b"] {
            assert_eq!(Mid::parse(text), None, "{text}");
        }
        assert_eq!(Mid::from(""), Mid::NONE);
    }

    #[test]
    fn a_track_id_is_no_participant_id() {
        assert!(TrackId(7).to_string().parse::<ParticipantId>().is_err());
        assert!("p-zzzzzzzzzzzzz".parse::<ParticipantId>().is_err(), "over 64 bits");
        assert!("p-".parse::<ParticipantId>().is_err());
    }

    #[test]
    fn room_ids_are_short_and_plain() {
        assert!("standup_2.A-b".parse::<RoomId>().is_ok());
        for bad in ["", ".", "..", "with space", "emoji😀", "slash/", &"x".repeat(65)] {
            assert_eq!(bad.parse::<RoomId>(), Err(BadRoomId), "{bad}");
        }
    }
}

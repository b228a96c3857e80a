//! The Data Channel Establishment Protocol (RFC 8832): the message by which a peer opens a channel on an SCTP stream, and
//! the one that confirms it.

use super::Malformed;

/// DATA_CHANNEL_ACK, whole (RFC 8832 §5.2).
pub const ACK: [u8; 1] = [2];

/// The type of DATA_CHANNEL_OPEN.
const OPEN: u8 = 3;
/// The bit of the channel type that says that messages may overtake each other.
const UNORDERED: u8 = 0x80;
/// The fixed part of DATA_CHANNEL_OPEN, in bytes.
const OPEN_BYTES: usize = 12;

/// A message of the protocol. It borrows from the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// The peer opens a channel on the stream on which this came.
    Open(Open<'a>),
    /// The peer confirms a channel that we opened.
    Ack,
}

/// The properties of a channel, as its opener wants them (RFC 8832 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open<'a> {
    /// Whether messages arrive in the order in which they were sent.
    pub is_ordered: bool,
    /// For how long the sender tries to deliver a message.
    pub effort: Effort,
    /// What the channel is for, in the application's words.
    pub label: &'a str,
    /// The name of the protocol that is spoken on it; empty if none is named.
    pub protocol: &'a str,
}

/// For how long a sender tries to deliver a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Until it is delivered.
    Unlimited,
    /// Until it was sent again that many times.
    Retransmissions(u32),
    /// For that many milliseconds.
    Milliseconds(u32),
}

/// Reads a message. What stands behind it is ignored.
///
/// # Errors
/// It is cut off, of an unknown type, or its label or protocol is not UTF-8.
pub fn read(bytes: &[u8]) -> Result<Message<'_>, Malformed> {
    match bytes.first() {
        Some(&OPEN) => read_open(bytes).map(Message::Open).ok_or(Malformed),
        Some(&kind) if kind == ACK[0] => Ok(Message::Ack),
        _ => Err(Malformed),
    }
}

fn read_open(bytes: &[u8]) -> Option<Open<'_>> {
    let (head, names) = bytes.split_first_chunk::<OPEN_BYTES>()?;
    let [_, channel_type, _, _, a, b, c, d, label_0, label_1, protocol_0, protocol_1] = *head;
    let parameter = u32::from_be_bytes([a, b, c, d]);
    let effort = match channel_type & !UNORDERED {
        0 => Effort::Unlimited,
        1 => Effort::Retransmissions(parameter),
        2 => Effort::Milliseconds(parameter),
        _ => return None,
    };
    let length = |high, low| usize::from(u16::from_be_bytes([high, low]));
    let (label, names) = names.split_at_checked(length(label_0, label_1))?;
    let protocol = names.get(..length(protocol_0, protocol_1))?;
    Some(Open {
        is_ordered: channel_type & UNORDERED == 0,
        effort,
        label: std::str::from_utf8(label).ok()?,
        protocol: std::str::from_utf8(protocol).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::noise::with_random_bytes;

    /// "chat" on the protocol "x", unordered, sent again three times at most.
    const CHAT: &[u8] = b"\x03\x81\0\0\0\0\0\x03\0\x04\0\x01chatx";

    #[test]
    fn a_channel_is_opened_as_its_opener_wants_it() {
        let chat =
            Open { is_ordered: false, effort: Effort::Retransmissions(3), label: "chat", protocol: "x" };
        assert_eq!(read(CHAT), Ok(Message::Open(chat)));
        let reliable = b"\x03\x00\x01\x00\0\0\0\0\0\x00\0\x00";
        let nameless = Open { is_ordered: true, effort: Effort::Unlimited, label: "", protocol: "" };
        assert_eq!(read(reliable), Ok(Message::Open(nameless)));
        let timed = b"\x03\x02\0\0\0\0\x01\x2c\0\x00\0\x00";
        let timed_open = Open { effort: Effort::Milliseconds(300), ..nameless };
        assert_eq!(read(timed), Ok(Message::Open(timed_open)));
        assert_eq!(read(&ACK), Ok(Message::Ack));
    }

    #[test]
    fn what_is_cut_off_or_unknown_opens_nothing() {
        for length in 0..CHAT.len() {
            assert_eq!(read(&CHAT[..length]), Err(Malformed), "{length}");
        }
        assert_eq!(read(b"\x03\x04\0\0\0\0\0\0\0\x00\0\x00"), Err(Malformed), "no such channel type");
        assert_eq!(read(b"\x03\x00\0\0\0\0\0\0\0\x01\0\x00\xff"), Err(Malformed), "not UTF-8");
        assert_eq!(read(b"\x01"), Err(Malformed));
    }

    #[test]
    fn no_bytes_are_too_strange() {
        with_random_bytes(CHAT, |bytes| {
            let _ = read(bytes);
        });
    }
}

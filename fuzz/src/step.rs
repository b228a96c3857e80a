//! Step: one thing that happens in a world of the `core` target, and how it lies on a tape.

use super::tape::{Tape, push_bytes};

/// Whose the datagram seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Somebody by number; three and above: a stranger.
    pub who: u8,
    /// Whether it comes by TCP.
    pub tcp: bool,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Somebody joins, in one of two rooms, held there by signalling or by media alone.
    Arrive { who: u8, other_room: bool, by_media: bool },
    /// Everybody does what they do, and all that they send arrives, for so many times 20 ms.
    Live { rounds: u8 },
    /// Time passes, and deadlines are served.
    Wait { tens_of_ms: u16 },
    /// Time passes, and nobody calls.
    Sleep { tens_of_ms: u16 },
    /// The core is called though nothing is due.
    CallEarly,
    /// Inputs that follow are handed in without outputs being taken, or that ends.
    Batch,
    /// A client does something of its own.
    Do { who: u8, what: u8, of: u8 },
    /// Of the client's datagrams and of the server's these are lost, one bit each, again and again.
    Lose { who: u8, up: u8, down: u8 },
    /// A datagram that is under way arrives, changed; it may come once more later.
    Deliver { which: u8, again: bool, at: u16, xor: u8 },
    /// The oldest request that is under way arrives; the text of an offer is changed.
    Say { at: u16, cut: u8, insert: Vec<u8> },
    /// Any bytes come as a datagram.
    Datagram { from: Origin, bytes: Vec<u8> },
    /// A whole RTP packet in the clear, to be sealed as its sender would.
    Rtp { who: u8, stream: u8, bytes: Vec<u8> },
    /// The same of an RTCP compound.
    Rtcp { who: u8, stream: u8, bytes: Vec<u8> },
    /// A text message comes over somebody's WebSocket.
    Text { who: u8, text: Vec<u8> },
    /// The handshake does something that a client had no part in.
    Handshake { session: u8, what: u8, bytes: Vec<u8> },
    /// Signalling breaks, or whoever it broke for comes back.
    Break { who: u8 },
    /// Somebody's address changes without notice.
    Move { who: u8 },
    /// The operator does something.
    Operate { what: u8, who: u8 },
}

impl Step {
    /// The next one of a tape.
    pub fn read(tape: &mut Tape<'_>) -> Option<Self> {
        let kind = tape.byte()?;
        let from = |byte: u8| Origin { who: byte & 0x7f, tcp: byte & 0x80 != 0 };
        Some(match kind % 18 {
            0 => {
                let (who, how) = (tape.byte()?, tape.byte()?);
                Self::Arrive { who, other_room: how & 1 != 0, by_media: how & 2 != 0 }
            }
            1 => Self::Live { rounds: tape.byte()? },
            2 => Self::Wait { tens_of_ms: tape.short()? },
            3 => Self::Sleep { tens_of_ms: tape.short()? },
            4 => Self::CallEarly,
            5 => Self::Batch,
            6 => Self::Do { who: tape.byte()?, what: tape.byte()?, of: tape.byte()? },
            7 => Self::Lose { who: tape.byte()?, up: tape.byte()?, down: tape.byte()? },
            8 => {
                let (which, at, xor) = (tape.byte()?, tape.short()?, tape.byte()?);
                Self::Deliver { which: which & 0x7f, again: which & 0x80 != 0, at, xor }
            }
            9 => Self::Say { at: tape.short()?, cut: tape.byte()?, insert: tape.bytes()?.to_vec() },
            10 => Self::Datagram { from: from(tape.byte()?), bytes: tape.bytes()?.to_vec() },
            11 => Self::Rtp { who: tape.byte()?, stream: tape.byte()?, bytes: tape.bytes()?.to_vec() },
            12 => Self::Rtcp { who: tape.byte()?, stream: tape.byte()?, bytes: tape.bytes()?.to_vec() },
            13 => Self::Text { who: tape.byte()?, text: tape.bytes()?.to_vec() },
            14 => {
                Self::Handshake { session: tape.byte()?, what: tape.byte()?, bytes: tape.bytes()?.to_vec() }
            }
            15 => Self::Break { who: tape.byte()? },
            16 => Self::Move { who: tape.byte()? },
            _ => Self::Operate { what: tape.byte()?, who: tape.byte()? },
        })
    }

    /// Appends it to a tape.
    pub fn write(&self, tape: &mut Vec<u8>) {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        match self {
            Self::Arrive { who, other_room, by_media } => {
                tape.extend([0, *who, flag(*other_room, 1) | flag(*by_media, 2)]);
            }
            Self::Live { rounds } => tape.extend([1, *rounds]),
            Self::Wait { tens_of_ms } => {
                tape.push(2);
                tape.extend(tens_of_ms.to_be_bytes());
            }
            Self::Sleep { tens_of_ms } => {
                tape.push(3);
                tape.extend(tens_of_ms.to_be_bytes());
            }
            Self::CallEarly => tape.push(4),
            Self::Batch => tape.push(5),
            Self::Do { who, what, of } => tape.extend([6, *who, *what, *of]),
            Self::Lose { who, up, down } => tape.extend([7, *who, *up, *down]),
            Self::Deliver { which, again, at, xor } => {
                let [high, low] = at.to_be_bytes();
                tape.extend([8, which & 0x7f | flag(*again, 0x80), high, low, *xor]);
            }
            Self::Say { at, cut, insert } => {
                let [high, low] = at.to_be_bytes();
                tape.extend([9, high, low, *cut]);
                push_bytes(tape, insert);
            }
            Self::Datagram { from, bytes } => {
                tape.extend([10, from.who & 0x7f | flag(from.tcp, 0x80)]);
                push_bytes(tape, bytes);
            }
            Self::Rtp { who, stream, bytes } => {
                tape.extend([11, *who, *stream]);
                push_bytes(tape, bytes);
            }
            Self::Rtcp { who, stream, bytes } => {
                tape.extend([12, *who, *stream]);
                push_bytes(tape, bytes);
            }
            Self::Text { who, text } => {
                tape.extend([13, *who]);
                push_bytes(tape, text);
            }
            Self::Handshake { session, what, bytes } => {
                tape.extend([14, *session, *what]);
                push_bytes(tape, bytes);
            }
            Self::Break { who } => tape.extend([15, *who]),
            Self::Move { who } => tape.extend([16, *who]),
            Self::Operate { what, who } => tape.extend([17, *what, *who]),
        }
    }
}

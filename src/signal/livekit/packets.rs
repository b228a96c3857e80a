//! What LiveKit clients say to each other on data channels: packets (`DataPacket`), of which most is the business of the clients
//! alone. Only whom a packet is for, and what an application says in it (`UserPacket`), is read here. Who it is from is written
//! for each recipient anew, whatever its sender says.

use prost::Message as _;
use prost::bytes::Buf as _;
use prost::encoding::{self, DecodeContext, WireType};

use super::protobuf::{Field, Part, messages};
use crate::core::data::DataPayload;

/// The label of the channel on which nothing is lost.
pub const RELIABLE: &str = "_reliable";
/// The label of the channel on which what is late is of no use.
pub const LOSSY: &str = "_lossy";

messages! {
    /// The parts of a packet that are read.
    DataPacket {
        1 kind: i32,
        2 user: Option<UserPacket>,
        5 destination_identities: Vec<String>,
    }
    /// What an application says.
    UserPacket {
        2 payload: Vec<u8>,
        3 destination_sids: Vec<String>,
        4 topic: String,
        6 destination_identities: Vec<String>,
    }
    /// Who a packet is from.
    Sender {
        4 participant_identity: String,
        17 participant_sid: String,
    }
}

/// A packet of a client's.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    /// The identities of those whom it is for.
    pub to: Vec<String>,
    /// Their ids, as older clients name them. If both are empty, it is for everybody.
    pub to_sids: Vec<String>,
    /// What it is about, as far as people on other clients are concerned; empty if nothing is said of it.
    pub topic: String,
    /// What it says.
    pub payload: DataPayload,
}

impl Packet {
    /// Reads a packet. What an application says is for everybody; the rest only LiveKit clients understand. Returns `None` if it
    /// is no packet.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let packet = DataPacket::decode(bytes).ok()?;
        let mut to = packet.destination_identities;
        let Some(user) = packet.user else {
            let payload = DataPayload::Packet(bytes.into());
            return Some(Self { to, to_sids: Vec::new(), topic: String::new(), payload });
        };
        to.extend(user.destination_identities);
        let payload = DataPayload::Bytes(user.payload.into());
        Some(Self { to, to_sids: user.destination_sids, topic: user.topic, payload })
    }
}

/// Writes what a participant of that identity has said as a packet: the topic, what is said, and whether it may be lost. Returns
/// `None` if it is a packet that cannot be read.
pub fn write(
    identity: &str,
    sid: String,
    (topic, payload, is_lossy): (&str, &DataPayload, bool),
) -> Option<Vec<u8>> {
    let sender = Sender { participant_identity: identity.to_owned(), participant_sid: sid }.encode_to_vec();
    let user = |payload: &[u8]| {
        let user = UserPacket { payload: payload.to_vec(), topic: topic.to_owned(), ..UserPacket::default() };
        let kind = i32::from(is_lossy);
        DataPacket { kind, user: Some(user), ..DataPacket::default() }.encode_to_vec()
    };
    let said = match payload {
        DataPayload::Json(text) => user(text.as_bytes()),
        DataPayload::Bytes(bytes) => user(bytes),
        DataPayload::Packet(packet) => without_sender(packet)?,
    };
    Some([said, sender].concat())
}

/// Returns a packet without what it says of its sender; `None` if it cannot be read.
fn without_sender(packet: &[u8]) -> Option<Vec<u8>> {
    let mut rest = packet;
    let mut kept = Vec::with_capacity(packet.len());
    while rest.has_remaining() {
        let field = rest;
        let (tag, wire): (u32, WireType) = encoding::decode_key(&mut rest).ok()?;
        encoding::skip_field(wire, tag, &mut rest, DecodeContext::default()).ok()?;
        let is_sender = matches!(tag, 4 | 17);
        kept.extend_from_slice(if is_sender { &[] } else { &field[..field.len() - rest.len()] });
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_application_says_is_for_everybody_and_has_its_true_sender() {
        let user = UserPacket { payload: b"hi".to_vec(), topic: "chat".into(), ..UserPacket::default() };
        let packet =
            DataPacket { user: Some(user), destination_identities: vec!["ben".into()], ..Default::default() };
        let read = Packet::read(&packet.encode_to_vec()).expect("a packet");
        let said = DataPayload::Bytes((*b"hi").into());
        assert_eq!(
            read,
            Packet {
                to: vec!["ben".into()],
                to_sids: Vec::new(),
                topic: "chat".into(),
                payload: said.clone()
            }
        );
        let written = write("anna", "PA_1".into(), ("chat", &said, true)).expect("a packet");
        let sender = Sender::decode(written.as_slice()).expect("a packet");
        assert_eq!((sender.participant_identity.as_str(), sender.participant_sid.as_str()), ("anna", "PA_1"));
        assert_eq!(Packet::read(&written).map(|packet| packet.payload), Some(said));
    }

    #[test]
    fn other_packets_stay_as_they_are_but_for_their_sender() {
        // rpc_request (10) with two bytes, a sender who is somebody else, and sequence (16).
        let packet = [0x52, 2, 7, 8, 0x22, 3, b'e', b'v', b'e', 0x80, 0x01, 5];
        let read = Packet::read(&packet).expect("a packet");
        assert_eq!(read.payload, DataPayload::Packet(packet.into()));
        let written = write("anna", "PA_1".into(), ("", &read.payload, false)).expect("a packet");
        assert!(written.starts_with(&[0x52, 2, 7, 8, 0x80, 0x01, 5]), "{written:x?}");
        assert_eq!(Sender::decode(written.as_slice()).expect("a packet").participant_identity, "anna");
        for nonsense in [&[0x52, 9][..], &[0xff; 12], &[0x0b]] {
            let nonsense = DataPayload::Packet(nonsense.into());
            assert_eq!(write("anna", "PA_1".into(), ("", &nonsense, false)), None);
        }
        assert_eq!(Packet::read(&[0x12, 9]), None);
    }
}

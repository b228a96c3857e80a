//! STUN messages that the TURN server answers itself, before or instead of the library: Binding requests and signed
//! refusals.

use std::net::SocketAddr;

use turn_server_proto::api::DelayedMessageOrChannelSend;
use turn_server_proto::types::attribute::XorPeerAddress;
use turn_server_proto::types::message::ALLOCATE;
use turn_server_proto::types::prelude::DelayedTransmitBuild;
use turn_server_proto::types::stun::attribute::{AttributeStaticType, ErrorCode, XorMappedAddress};
use turn_server_proto::types::stun::message::{
    IntegrityAlgorithm, Message, MessageClass, MessageIntegrityCredentials, MessageWriteVec,
};
use turn_server_proto::types::stun::prelude::{Attribute, AttributeFromRaw, MessageWrite, MessageWriteExt};

/// How a refusal is signed, so that the client knows that it is genuine.
pub type Signature<'a> = (&'a MessageIntegrityCredentials, IntegrityAlgorithm);

/// Answers a Binding request with the address that it came from (RFC 8489 §7.3.1).
pub fn binding_success(request: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let request = Message::from_bytes(request).ok()?;
    if !request.has_class(MessageClass::Request) {
        return None;
    }
    let address = XorMappedAddress::new(from, request.transaction_id());
    let mut answer = Message::builder_success(&request, MessageWriteVec::new());
    answer.add_attribute(&address).ok()?;
    answer.add_fingerprint().ok()?;
    Some(answer.finish())
}

/// Refuses a request with an error code (RFC 8489 §14.8, RFC 8656 §19). Returns `None` if it is not a request.
pub fn refusal(request: &Message<'_>, code: u16, signature: Option<Signature<'_>>) -> Option<Vec<u8>> {
    if !request.has_class(MessageClass::Request) {
        return None;
    }
    let error = ErrorCode::builder(code).build().ok()?;
    let mut answer = Message::builder_error(request, MessageWriteVec::new());
    answer.add_attribute(&error).ok()?;
    if let Some((credentials, algorithm)) = signature {
        answer.add_message_integrity(credentials, algorithm).ok()?;
    }
    answer.add_fingerprint().ok()?;
    Some(answer.finish())
}

/// Returns the same request without any attribute, which the library answers with a challenge.
pub fn stripped(request: &[u8]) -> Option<[u8; 20]> {
    let mut header = *request.first_chunk::<20>()?;
    // The length: no attribute is left.
    header[2..4].fill(0);
    Some(header)
}

/// Returns whether an answer grants an allocation.
pub fn is_allocated(answer: &[u8]) -> bool {
    let answer = Message::from_bytes(answer);
    answer.is_ok_and(|answer| answer.has_class(MessageClass::Success) && answer.has_method(ALLOCATE))
}

/// Returns whether an answer is to that request.
pub fn answers(answer: &[u8], request: &Message<'_>) -> bool {
    let answer = Message::from_bytes(answer);
    answer.is_ok_and(|answer| answer.transaction_id() == request.transaction_id())
}

/// Returns the error code of an answer, if it is a refusal.
pub fn error_code(answer: &[u8]) -> Option<u16> {
    let answer = Message::from_bytes(answer).ok()?;
    answer.attribute::<ErrorCode>().ok().map(|error| error.code())
}

/// Writes a message with data for a client over what the buffer holds.
pub fn write(data: DelayedMessageOrChannelSend<&[u8]>, buffer: &mut Vec<u8>) {
    buffer.clear();
    match data {
        DelayedMessageOrChannelSend::Channel(channel) => {
            buffer.resize(channel.len(), 0);
            channel.write_into(buffer);
        }
        // The library writes Data indications into a buffer as Send indications, so they are built separately.
        other => *buffer = other.build(),
    }
}

/// Returns the peers that a request names, as far as they can be read.
pub fn peers(request: &Message<'_>) -> Vec<SocketAddr> {
    let transaction = request.transaction_id();
    request
        .iter_attributes()
        .filter(|(_, attribute)| attribute.get_type() == XorPeerAddress::TYPE)
        .filter_map(|(_, attribute)| XorPeerAddress::from_raw(attribute).ok())
        .map(|peer| peer.addr(transaction))
        .collect()
}

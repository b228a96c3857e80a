//! Error codes: their names on the wire, and which of them end the connection.

use crate::core::event::RefusalCode;

/// Every error code, in the order of `docs/protocol.md`.
pub const CODES: [RefusalCode; 28] = [
    RefusalCode::BadMessage,
    RefusalCode::UnknownType,
    RefusalCode::MessageTooLarge,
    RefusalCode::UnsupportedVersion,
    RefusalCode::NotJoined,
    RefusalCode::AlreadyJoined,
    RefusalCode::BadName,
    RefusalCode::BadRoom,
    RefusalCode::RoomFull,
    RefusalCode::TooManyRooms,
    RefusalCode::TooManyParticipants,
    RefusalCode::UnknownParticipant,
    RefusalCode::BadSecret,
    RefusalCode::Unauthorized,
    RefusalCode::NotPermitted,
    RefusalCode::NoSuchRoom,
    RefusalCode::RoomLocked,
    RefusalCode::Banned,
    RefusalCode::TurnedAway,
    RefusalCode::NobodyAnswered,
    RefusalCode::BadOffer,
    RefusalCode::TooManyTracks,
    RefusalCode::UnknownTrack,
    RefusalCode::UnknownRecipient,
    RefusalCode::PayloadTooLarge,
    RefusalCode::RateLimited,
    RefusalCode::ShuttingDown,
    RefusalCode::Internal,
];

/// Returns the name of a code on the wire.
pub fn code_text(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::BadMessage => "bad-message",
        RefusalCode::UnknownType => "unknown-type",
        RefusalCode::MessageTooLarge => "message-too-large",
        RefusalCode::UnsupportedVersion => "unsupported-version",
        RefusalCode::NotJoined => "not-joined",
        RefusalCode::AlreadyJoined => "already-joined",
        RefusalCode::BadName => "bad-name",
        RefusalCode::BadRoom => "bad-room",
        RefusalCode::RoomFull => "room-full",
        RefusalCode::TooManyRooms => "too-many-rooms",
        RefusalCode::TooManyParticipants => "too-many-participants",
        RefusalCode::UnknownParticipant => "unknown-participant",
        RefusalCode::BadSecret => "bad-secret",
        RefusalCode::Unauthorized => "unauthorized",
        RefusalCode::NotPermitted => "not-permitted",
        RefusalCode::NoSuchRoom => "no-such-room",
        RefusalCode::RoomLocked => "room-locked",
        RefusalCode::Banned => "banned",
        RefusalCode::TurnedAway => "turned-away",
        RefusalCode::NobodyAnswered => "nobody-answered",
        RefusalCode::BadOffer => "bad-offer",
        RefusalCode::TooManyTracks => "too-many-tracks",
        RefusalCode::UnknownTrack => "unknown-track",
        RefusalCode::UnknownRecipient => "unknown-recipient",
        RefusalCode::PayloadTooLarge => "payload-too-large",
        RefusalCode::RateLimited => "rate-limited",
        RefusalCode::ShuttingDown => "shutting-down",
        RefusalCode::Internal => "internal",
        // Of what clients of this protocol cannot ask for.
        RefusalCode::UnknownTransport => "unknown-transport",
        RefusalCode::CannotConsume => "cannot-consume",
        RefusalCode::NoReceiveTransport => "no-receive-transport",
        RefusalCode::BadParameters => "bad-parameters",
        RefusalCode::TooManyTransports => "too-many-transports",
    }
}

/// Returns the code with a name; `None` if there is none.
pub fn code_from_text(text: &str) -> Option<RefusalCode> {
    CODES.into_iter().find(|&code| code_text(code) == text)
}

/// Whether the server closes the connection after an error of this code.
pub fn is_fatal(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::MessageTooLarge
            | RefusalCode::UnsupportedVersion
            | RefusalCode::ShuttingDown
            | RefusalCode::Internal
    )
}

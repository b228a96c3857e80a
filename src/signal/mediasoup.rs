//! mediasoup's way of signalling: unmodified `mediasoup-client` 3 in pages whose own messages go by REST, with events on a
//! WebSocket, or by a WebSocket alone.
//!
//! A client sees no session descriptions: it is given the server's capabilities, opens a transport for each direction, and
//! says in ORTC's parameters what it sends (a producer) and wants to receive (a consumer). To the core it is a member whose
//! transports come by command ([`Layout::Parameters`](crate::core::command::Layout::Parameters)). A transport, a producer and
//! a consumer here are one transport, one track and one subscription there.
//!
//! What a client asks, by whichever way, is a [`Call`]. A [`Session`] is one member: it takes calls and the core's events, and
//! says what to ask of the core, which calls are answered, and what is new. A [`SocketFrontEnd`] reads and writes the messages
//! of a WebSocket. Who may call for whom is decided by the shell, which knows where a call comes from.

mod calls;
mod fields;
mod ids;
mod news;
mod people;
mod rates;
mod session;
mod socket;

#[cfg(test)]
mod tests;

pub use calls::{Call, CallName, Entering, no_receiver, no_transport};
pub use fields::Fields;
pub use news::{Dialect, News, producer_json};
pub use rates::{CALL_COST, CallRates};
pub use session::{Asked, ReplyTo, Session, SessionReaction, not_there, plain};
pub use socket::{MessageRef, SocketFrontEnd, SocketReaction, Told, reply_text};

use crate::core::event::{Refusal, RefusalCode};

/// Returns the HTTP status code of a refusal.
pub fn status(refusal: &Refusal) -> u16 {
    match refusal.code {
        RefusalCode::BadMessage
        | RefusalCode::UnknownType
        | RefusalCode::BadName
        | RefusalCode::BadRoom
        | RefusalCode::BadParameters => 400,
        RefusalCode::Unauthorized => 401,
        RefusalCode::NotPermitted
        | RefusalCode::RoomLocked
        | RefusalCode::Banned
        | RefusalCode::TurnedAway
        | RefusalCode::NobodyAnswered => 403,
        RefusalCode::UnknownTransport
        | RefusalCode::NoReceiveTransport
        | RefusalCode::UnknownTrack
        | RefusalCode::UnknownParticipant
        | RefusalCode::NotJoined
        | RefusalCode::NoSuchRoom => 404,
        RefusalCode::AlreadyJoined => 409,
        RefusalCode::CannotConsume | RefusalCode::TooManyTracks => 422,
        RefusalCode::RateLimited | RefusalCode::TooManyParticipants | RefusalCode::TooManyTransports => 429,
        RefusalCode::RoomFull | RefusalCode::TooManyRooms | RefusalCode::ShuttingDown => 503,
        _ => 500,
    }
}

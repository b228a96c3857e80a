//! The native protocol: JSON text over a WebSocket, as `docs/protocol.md` describes it. [`parse`] and [`encode_event`] are
//! pure functions between text and [`ClientMessage`] or [`Event`](crate::core::event::Event).
//!
//! A [`FrontEnd`] is the state of one client, between these functions and the connection that holds it. It decides what
//! depends on earlier messages, such as whether there were too many, and uses the ready-made [`refusals`].

mod close;
mod code;
mod encode;
mod fields;
mod forms;
mod front_end;
mod head;
mod mesh;
mod messages;
mod parse;
pub mod refusals;
#[cfg(test)]
mod tests;
mod topology;

use crate::core::command::{Command, Resume};
use crate::core::ids::{RequestId, RoomId};

pub use close::Close;
pub use code::{CODES, code_from_text, code_text, is_fatal};
pub use encode::{encode_event, encode_pong, encode_refusal, encode_token};
pub use front_end::{FrontEnd, Limits, Reaction, SharedAllowance, entered};
pub use messages::{IceServer, ServerFacts};
pub use parse::parse;

/// The versions of the protocol that this server speaks, oldest first.
pub const SERVED_VERSIONS: [i64; 1] = [1];

/// A client's message, checked: every field has the type, the form and the size that the protocol asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// Enter a room.
    Join {
        /// Repeated in the reply.
        request: Option<RequestId>,
        /// Which room; `None`: make one with an unguessable id.
        room: Option<RoomId>,
        /// The display name, trimmed.
        name: String,
        /// Whether to subscribe to every track without asking.
        auto_subscribe: bool,
        /// What shows that they may come in.
        token: Option<String>,
        /// Whether the client can send straight to the others.
        can_mesh: bool,
    },
    /// Resume a participant.
    Resume {
        /// Repeated in the reply.
        request: Option<RequestId>,
        /// Who it is.
        resume: Resume,
    },
    /// A request to the core.
    Command {
        /// Repeated in the reply.
        request: Option<RequestId>,
        /// What is asked for.
        command: Command,
    },
    /// Is anybody there? [`FrontEnd`] answers with [`encode_pong`] itself.
    Ping {
        /// Repeated in the reply.
        request: Option<RequestId>,
    },
}

impl ClientMessage {
    /// Returns the id that the reply repeats, if the client gave one.
    pub fn request(&self) -> Option<&RequestId> {
        match self {
            ClientMessage::Join { request, .. }
            | ClientMessage::Resume { request, .. }
            | ClientMessage::Command { request, .. }
            | ClientMessage::Ping { request } => request.as_ref(),
        }
    }
}

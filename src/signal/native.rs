//! The native protocol: JSON text over a WebSocket, as `docs/protocol.md` describes it. Pure functions from text
//! to [`ClientMessage`] and from [`Event`](crate::core::event::Event) to text; called by the shell's WebSocket
//! connections.
//!
//! Nothing here remembers anything. What depends on the state of a connection (a request before `join`, too many
//! messages) the shell decides, with the ready-made [`refusals`].

mod code;
mod encode;
mod fields;
mod messages;
mod parse;
pub mod refusals;
#[cfg(test)]
mod tests;

use crate::core::command::{Command, Resume};
use crate::core::ids::{RequestId, RoomId};

pub use code::{CODES, code_from_text, code_text, is_fatal};
pub use encode::{encode_event, encode_pong, encode_refusal};
pub use messages::{IceServer, ServerFacts};
pub use parse::parse;

/// The versions of the protocol that this server speaks, oldest first.
pub const SERVED_VERSIONS: [i64; 1] = [1];

/// What a client sent, checked: every field has the type, the form and the size that the protocol asks for.
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
    },
    /// Take up a participant again.
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
    /// Is anybody there? The shell answers with [`encode_pong`].
    Ping {
        /// Repeated in the reply.
        request: Option<RequestId>,
    },
}

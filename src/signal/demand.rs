//! What a front end wants from the core, whatever protocol its client speaks.

use crate::core::command::{Command, Layout, Lifeline, Resume};
use crate::core::grants::Grants;
use crate::core::ids::{RequestId, RoomId};
use crate::core::profile::Profile;

/// By what somebody asks to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ticket {
    /// This token, or that of their connection, if there is one. The shell reads it.
    Token(Option<String>),
    /// They have shown it already.
    Granted {
        /// What is granted to them.
        grants: Grants,
        /// Who they are, if their back end has said it.
        profile: Option<Box<Profile>>,
        /// Whether what they have shown is for that very room, and not for all.
        is_invited: bool,
        /// Whether a key of ours has signed who they say they are.
        is_vouched_for: bool,
    },
}

/// One thing that a front end wants from the core. The shell turns it into an [`Input`](crate::core::Input) and adds
/// what only it has: the connection's id and, for a join, the entropy and the addresses at which the client can reach
/// the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// Let somebody into a room. If the shell cannot, it answers with [`Event::Refused`](crate::core::event::Event).
    Join {
        /// Repeated in the reply.
        request: Option<RequestId>,
        /// Which room; `None` asks for one with an unguessable id.
        room: Option<RoomId>,
        /// The display name, trimmed.
        name: String,
        /// Whether every track of the room is subscribed to without asking.
        auto_subscribe: bool,
        /// What keeps the participant in the room.
        lifeline: Lifeline,
        /// How answers to them are laid out.
        layout: Layout,
        /// By what they come in.
        ticket: Ticket,
        /// Whether their client can send straight to the others.
        can_mesh: bool,
    },
    /// Resume a participant.
    Resume {
        /// Repeated in the reply.
        request: Option<RequestId>,
        /// Who it is, and the proof.
        resume: Resume,
    },
    /// Carry out a request of somebody who has joined.
    Command {
        /// Repeated in the reply.
        request: Option<RequestId>,
        /// What is asked for.
        command: Command,
    },
    /// The connection ended without a goodbye.
    ConnectionLost,
}

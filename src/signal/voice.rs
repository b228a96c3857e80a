//! Voice channels of messengers whose calls are a mesh while they are small, and move to a LiveKit server when they grow: who
//! is in which channel, and by which way its media goes.
//!
//! Such a client asks over HTTP to be let into a channel, and talks to the other members over a WebSocket with `voice:…`
//! messages. In a mesh it sends them descriptions and candidates. On the server it comes into the room `channel_<id>` with a
//! LiveKit client and the token that it is given here. So members of a channel are no participants of the room, and the room
//! knows nothing of the mesh: which way media goes is decided here, by the same [`Topology`](crate::core::topology) as for rooms.
//!
//! [`Channels`] is a value without sockets and tokens: whoever holds it adds tokens and addresses to what it says.

mod channel;
mod channels;
mod front_end;
mod ids;
mod messages;
#[cfg(test)]
mod tests;

pub use channel::JoinReply;
pub use channels::{Channels, Settings};
pub use front_end::VoiceFrontEnd;
pub use ids::{ChannelId, UserId};
pub use messages::{Said, VoiceMessage, error, message, parse};

use crate::core::topology::Mode;

/// What a member is told on their WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// This message.
    Text(String),
    /// That the channel goes this way from now on. Where that is the server, it needs a token of theirs.
    Mode(ChannelId, UserId, Mode),
    /// That they are in, who had to wait for the end of a move.
    Ready(ChannelId, UserId),
}

//! The signalling dialogue of one person and a server, until media can flow, and at the end. These are state machines
//! without sockets, which are in `signalling.rs`; `person.rs` carries out the steps.

mod janus;
mod strait;

use std::net::SocketAddr;

use serde_json::Value;

use super::options::{LoadOptions, PersonPlan, ServerKind};
use crate::core::command::MediaKind;
use janus::Janus;
use strait::Strait;

/// What to do after a message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Nothing is to be done.
    Nothing,
    /// This is to be sent.
    Send(Value),
    /// An offer may be made, with at most this many slots for audio and for video.
    MayOffer(usize, usize),
    /// The answer to our offer.
    Answered(String),
    /// An offer from the server.
    Offered(String),
    /// This request is to be sent again, a little later.
    Later(Value),
}

/// A conversation with a server of either kind.
pub(super) enum Dialogue {
    /// The server is a Strait.
    Strait(Strait),
    /// With a Janus that has the VideoRoom.
    Janus(Janus),
}

impl Dialogue {
    /// Begins a dialogue. `room` is its name and its number.
    pub(super) fn new(options: &LoadOptions, index: usize, plan: PersonPlan, room: &(String, u64)) -> Self {
        match options.server_kind {
            ServerKind::Strait => Self::Strait(Strait::new(room.0.clone(), index, plan.receives)),
            ServerKind::Janus => Self::Janus(Janus::new(room.1, plan, options)),
        }
    }

    /// Returns the first message.
    pub(super) fn open(&mut self) -> Value {
        match self {
            Self::Strait(strait) => strait.open(),
            Self::Janus(janus) => janus.open(),
        }
    }

    /// Takes a message from the server.
    pub(super) fn hear(&mut self, message: &Value) -> Result<Step, String> {
        match self {
            Self::Strait(strait) => strait.hear(message),
            Self::Janus(janus) => janus.hear(message),
        }
    }

    /// Returns the message with our offer. `published` has each section's mid and kind.
    pub(super) fn offer(&mut self, sdp: &str, published: &[(String, MediaKind)]) -> Value {
        match self {
            Self::Strait(strait) => strait.offer(sdp, published),
            Self::Janus(janus) => janus.offer(sdp),
        }
    }

    /// Returns the message with our answer to an offer from the server.
    pub(super) fn answer(&mut self, sdp: &str) -> Value {
        match self {
            // It never offers.
            Self::Strait(_) => Value::Null,
            Self::Janus(janus) => janus.answer(sdp),
        }
    }

    /// Returns the message with our address, if the server wants to know it.
    pub(super) fn candidate(&mut self, ours: SocketAddr) -> Option<Value> {
        match self {
            Self::Strait(_) => None,
            Self::Janus(janus) => Some(janus.candidate(ours)),
        }
    }

    /// Returns a keep-alive message if one is due. Call it once a second.
    pub(super) fn keep_alive(&mut self) -> Option<Value> {
        match self {
            Self::Strait(_) => None,
            Self::Janus(janus) => janus.keep_alive(),
        }
    }

    /// Returns the messages with which to leave.
    pub(super) fn leave(&mut self) -> Vec<Value> {
        match self {
            Self::Strait(strait) => vec![strait.leave()],
            Self::Janus(janus) => janus.leave(),
        }
    }
}

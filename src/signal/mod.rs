//! Front ends: adapters between a client's protocol and the core's commands and events, without media logic or IO. A
//! front end is a value that its connection holds. It turns the client's messages into a [`Demand`] or a refusal, and
//! the core's events into messages to the client.

pub mod allowance;
mod demand;
pub mod livekit;
pub mod native;
pub mod voice;
pub mod whip;

pub use demand::{Demand, Ticket};

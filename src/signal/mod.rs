//! Adapters between a client's protocol and the core's commands and events. No media logic and no I/O: an adapter is a
//! value that its connection holds. It takes what the client says, and returns a [`Demand`] or a refusal; it takes the
//! core's events, and returns what to say to the client.

pub mod allowance;
mod demand;
pub mod native;
pub mod whip;

pub use demand::Demand;

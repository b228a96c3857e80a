//! LiveKit's signalling protocol, versions 1 and 0: the clients of LiveKit, unmodified, are members of a room like any others.
//!
//! A client has one peer connection and makes all offers. It opens a WebSocket at `/rtc/v1` with a token and, in the address,
//! a request to join, mostly with its first offer. Messages are Protocol Buffers both ways. It announces tracks before it
//! offers them, so their ids are reserved in the core; and it learns from answers what its sections show, so that it is asked
//! for an offer whenever that changes ([`Layout::Tracks`](crate::core::command::Layout::Tracks)).
//!
//! In version 0, at `/rtc`, a client publishes on one peer connection, for which it makes the offers, and receives on another,
//! for which the server makes them ([`Layout::Split`](crate::core::command::Layout::Split)).

mod data_tracks;
mod front_end;
mod join;
mod messages;
mod news;
mod own_data_tracks;
mod packets;
mod parted;
mod people;
mod preferred;
mod protobuf;
mod reaction;
mod requests;
mod requirement;
mod sections;
mod server_offer;
mod subscriber;
mod subscriber_answer;
mod subscribing;
mod tracks;
mod trials;
mod welcome;

pub use front_end::{LiveKitFacts, LiveKitFrontEnd};
pub use join::JoinAsked;
pub use parted::{Left, Parted};
pub use reaction::LiveKitReaction;
pub use trials::{Trial, Trials};

#[cfg(test)]
mod tests;

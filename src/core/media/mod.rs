//! The media half of a participant: what goes over its wire.
//!
//! Leaf state machines without clocks, sockets or randomness: time is a parameter, bytes go in and out through
//! slices. They know nothing of rooms or of each other; what joins them lies above.

pub mod cache;
pub mod egress;
pub mod extensions;
pub mod halves;
pub mod ingress;
pub mod nack;
pub mod receive;
pub mod rtcp;
pub mod srtp;
pub mod twcc;

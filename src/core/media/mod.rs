//! Media as it goes over the wire of one transport: SRTP, RTP and RTCP.
//!
//! These are state machines without clocks, sockets or randomness: time is a parameter, and bytes go in and out through
//! slices. They know nothing of rooms or of who watches whom. Most of them stand alone; `ingress.rs` joins those of one
//! direction, `egress.rs` those of the other, and `halves.rs` holds both.

pub mod bucket;
pub mod cache;
pub mod egress;
pub mod extensions;
pub mod halves;
pub mod ingress;
pub mod layers;
pub mod nack;
pub mod pacer;
pub mod padding;
pub mod receive;
pub mod redundancy;
pub mod rtcp;
pub mod srtp;
pub mod twcc;

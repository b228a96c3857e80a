//! The texts of refusals that depend on a connection's state.

use crate::core::event::{Refusal, RefusalCode};

/// A binary WebSocket message came.
pub fn binary_message() -> Refusal {
    Refusal::new(
        RefusalCode::BadMessage,
        "a binary message came; every message is JSON text",
        "Send the JSON as a text message: socket.send(JSON.stringify(message)).",
    )
}

/// A message was larger than the configured limit.
pub fn message_too_large(limit_bytes: usize) -> Refusal {
    Refusal::new(
        RefusalCode::MessageTooLarge,
        format!("the message is larger than the limit of {limit_bytes} bytes"),
        "Send less at a time, or ask the operator to raise signalling.max_message_bytes.",
    )
}

/// Offers came faster than configured.
pub fn offers_too_fast(offers_per_second: u32) -> Refusal {
    Refusal::new(
        RefusalCode::RateLimited,
        format!("more than {offers_per_second} offers a second came; this one was not looked at"),
        "Send it again after a second; put all that has changed into one offer.",
    )
}

/// Long messages that came from one address had more bytes, all together, than it may have read within a short time.
pub fn messages_too_long() -> Refusal {
    Refusal::new(
        RefusalCode::RateLimited,
        "too many long messages came from this address within a short time; this one was not looked at",
        "Send it again after a second; put all that has changed into one offer.",
    )
}

/// Joins, or resumes, came from one address faster than configured.
pub fn joins_too_fast() -> Refusal {
    Refusal::new(
        RefusalCode::RateLimited,
        "too many joins or resumes came from this address within a short time",
        "Try again after a few seconds, or ask the operator to raise signalling.joins_per_second.",
    )
}

/// Joins came by one identity faster than configured.
pub fn identity_joins_too_fast() -> Refusal {
    Refusal::new(
        RefusalCode::RateLimited,
        "too many joins came by tokens of this identity within a short time",
        "Try again after a few seconds, or give each person an identity of their own.",
    )
}

/// Messages came faster than configured.
pub fn rate_limited(messages_per_second: usize) -> Refusal {
    Refusal::new(
        RefusalCode::RateLimited,
        format!("more than {messages_per_second} messages a second came; this one was not looked at"),
        "Send it again after a second, and send fewer.",
    )
}

/// Nothing lets the sender in: there is no token, or it does not open this room now.
pub fn unauthorized(why: &str) -> Refusal {
    Refusal::new(
        RefusalCode::Unauthorized,
        why,
        "Join with a token that your back end has made for you and this room; docs/access.md says how.",
    )
}

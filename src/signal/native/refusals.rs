//! Refusals that depend on what a front end knows of its connection, worded once and here.

use crate::core::event::{Refusal, RefusalCode};
use crate::limits::{OFFERS_BURST, OFFERS_PER_SECOND};

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

/// Messages came faster than configured.
pub fn rate_limited(messages_per_second: usize) -> Refusal {
    Refusal::new(
        RefusalCode::RateLimited,
        format!("more than {messages_per_second} messages a second came; this one was not looked at"),
        "Send it again after a second, and send fewer.",
    )
}

/// Offers came faster than they may; each costs far more than another message.
pub fn offers_limited() -> Refusal {
    Refusal::new(
        RefusalCode::RateLimited,
        format!(
            "more than {OFFERS_BURST} offers came at once, or more than {OFFERS_PER_SECOND} a second; this one was not \
             looked at"
        ),
        "Send it again after a second, and let one offer say what several did.",
    )
}

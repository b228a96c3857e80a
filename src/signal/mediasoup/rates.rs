//! How much one client may call, by a WebSocket or by REST.

use std::time::Instant;

use super::calls::CallName;
use crate::core::event::Refusal;
use crate::limits::RECIPIENTS_PER_MESSAGE;
use crate::signal::allowance::Allowance;
use crate::signal::native::{Limits, refusals};

/// How many offers a call counts as that negotiates something. It is about one section, and an offer about all of them.
pub const CALL_COST: f64 = 0.2;

/// What a client has left of what it may call.
#[derive(Debug)]
pub struct CallRates {
    limits: Limits,
    messages: Allowance,
    offers: Allowance,
}

impl CallRates {
    /// Begins with a client that has called nothing yet.
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            messages: Allowance::new(limits.messages_per_second, limits.messages_burst, now),
            offers: Allowance::new(limits.offers_per_second, limits.offers_burst, now),
        }
    }

    /// Takes what every message costs.
    ///
    /// # Errors
    /// There is not enough left.
    pub fn message(&mut self, now: Instant) -> Result<(), Refusal> {
        self.messages(now, 1.0)
    }

    /// Takes what an offer costs, or a part of it.
    ///
    /// # Errors
    /// There is not enough left.
    pub fn offer(&mut self, now: Instant, cost: f64) -> Result<(), Refusal> {
        let is_granted = self.offers.take(now, cost);
        is_granted.then_some(()).ok_or_else(|| refusals::offers_too_fast(self.limits.offers_per_second))
    }

    /// Takes what a call costs beyond one message. `others` are those who may be told of it.
    ///
    /// # Errors
    /// There is not enough left.
    pub fn call(&mut self, now: Instant, name: CallName, others: usize) -> Result<(), Refusal> {
        if name.negotiates() {
            self.offer(now, CALL_COST)?;
        }
        let told = if name.is_news() { others / RECIPIENTS_PER_MESSAGE } else { 0 };
        if told > 0 { self.messages(now, told as f64) } else { Ok(()) }
    }

    fn messages(&mut self, now: Instant, cost: f64) -> Result<(), Refusal> {
        let is_granted = self.messages.take(now, cost);
        let refusal = || refusals::rate_limited(self.limits.messages_per_second as usize);
        is_granted.then_some(()).ok_or_else(refusal)
    }
}

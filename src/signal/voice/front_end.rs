//! The front end of one WebSocket of a voice channel's member: how much it may say.

use std::time::Instant;

use super::messages::{Said, VoiceMessage, error, parse};
use crate::limits::{FAULTS_MAX, FAULTS_PER_SECOND, MESH_SIGNALS_AT_ONCE, MESH_SIGNALS_PER_SECOND};
use crate::signal::allowance::Allowance;
use crate::signal::native::Limits;

/// What is answered to a message that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The answer.
    pub say: String,
    /// Whether the client has broken the rules so often that it is cut.
    pub is_cut: bool,
}

/// One WebSocket of a member.
#[derive(Debug)]
pub struct VoiceFrontEnd {
    messages: Allowance,
    signals: Allowance,
    faults: Allowance,
    /// Whether its member is in a channel.
    pub has_joined: bool,
}

impl VoiceFrontEnd {
    /// Begins with a client that has said nothing yet.
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self {
            messages: Allowance::new(limits.messages_per_second, limits.messages_burst, now),
            signals: Allowance::new(MESH_SIGNALS_PER_SECOND, MESH_SIGNALS_AT_ONCE, now),
            faults: Allowance::new(FAULTS_PER_SECOND, FAULTS_MAX, now),
            has_joined: false,
        }
    }

    /// Returns whether a client's first message is one of this protocol.
    pub fn is_spoken(text: &str) -> bool {
        #[derive(serde::Deserialize)]
        struct Head {
            #[serde(rename = "type")]
            kind: String,
        }
        text.contains("\"voice:")
            && serde_json::from_str::<Head>(text).is_ok_and(|head| head.kind.starts_with("voice:"))
    }

    /// Takes a message.
    ///
    /// # Errors
    /// It cannot be read, or there were too many.
    pub fn receive(&mut self, now: Instant, text: &str) -> Result<VoiceMessage, Refused> {
        let said = parse(text).map_err(|say| self.refuse(now, say))?;
        let is_signal = matches!(said.said, Said::Signal { .. });
        let allowance = if is_signal { &mut self.signals } else { &mut self.messages };
        if !allowance.take(now, 1.0) {
            let say =
                error("rate-limited", "too many messages came; this one was not looked at", "send fewer");
            return Err(self.refuse(now, say));
        }
        Ok(said)
    }

    /// Refuses a message. Who goes on breaking the rules is cut.
    pub fn refuse(&mut self, now: Instant, say: String) -> Refused {
        Refused { say, is_cut: !self.faults.take(now, 1.0) }
    }
}

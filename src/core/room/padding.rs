//! Padding: what fills a line up, to find out what the network carries.

use std::time::Instant;

use super::Room;
use crate::core::ids::TransportKey;

impl Room {
    /// Fills all that is sent on a transport up to that rate with padding, bits per second; 0 ends that. Nothing is sent yet:
    /// there is nothing that could send it.
    pub fn set_padding_target(&mut self, _now: Instant, _on: TransportKey, _rate_bps: u64) {}

    /// Says how much more than its estimate could be sent on a transport, bits per second: then it is probed whether it can
    /// be. 0 ends that. Nothing is probed yet.
    pub fn set_wants_more(&mut self, _now: Instant, _on: TransportKey, _bps: u64) {}
}

//! What the operator chose about the TURN server.

use std::net::IpAddr;
use std::time::Duration;

use super::Authority;
use crate::net::relayed_network::RelayedNetwork;

/// The TURN server's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnConfig {
    /// Whether there is one.
    pub enabled: bool,
    /// Where clients reach it; `None`: where they reached us.
    pub host: Option<Authority>,
    /// How long credentials can be used for a new allocation.
    pub credential_lifetime: Duration,
    /// Most allocations.
    pub allocations_max: usize,
    /// Most allocations of one participant.
    pub allocations_per_participant_max: usize,
    /// Most peer addresses with a permission, of one allocation.
    pub permissions_max: usize,
    /// Most channels of one allocation.
    pub channels_max: usize,
    /// Most bits a second, each way, of one participant's payload.
    pub bits_per_second_max: usize,
    /// The network of the relayed addresses; `None`: one that this machine has no address in. No flag, file or variable
    /// sets it.
    pub network: Option<RelayedNetwork>,
    /// A peer that sends everything back, for tests of foreign clients. No flag, file or variable sets it.
    pub echo_peer: Option<IpAddr>,
}

impl Default for TurnConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            host: None,
            credential_lifetime: Duration::from_secs(12 * 3600),
            allocations_max: 10_000,
            allocations_per_participant_max: 16,
            permissions_max: 16,
            channels_max: 16,
            bits_per_second_max: 100_000_000,
            network: None,
            echo_peer: None,
        }
    }
}

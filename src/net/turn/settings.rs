//! What the operator has chosen about the TURN server.

use std::net::IpAddr;
use std::time::Duration;

use super::Authority;
use crate::net::relayed_network::RelayedNetwork;

/// The settings of the TURN server. Their defaults are those of the configuration (`cli/serve.rs`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnConfig {
    /// Whether TURN is served at all.
    pub enabled: bool,
    /// Where clients reach it. `None` means where they reach the server.
    pub host: Option<Authority>,
    /// How long credentials are good for a new allocation.
    pub credential_lifetime: Duration,
    /// How many allocations there may be.
    pub allocations_max: usize,
    /// How many allocations one participant may have.
    pub allocations_per_participant_max: usize,
    /// How many peer addresses may have a permission of one allocation.
    pub permissions_max: usize,
    /// How many channels one allocation may have.
    pub channels_max: usize,
    /// How many bits of one participant's payload may go each way in a second.
    pub bits_per_second_max: usize,
    /// The network of the relayed addresses. `None` means one in which this machine has no address. No flag, file or
    /// variable sets it.
    pub network: Option<RelayedNetwork>,
    /// A peer that sends everything back, for tests with foreign clients. No flag, file or variable sets it.
    pub echo_peer: Option<IpAddr>,
}

//! MediaHalves: the two directions of one transport's media, and what is decided of both. Keying material comes for both
//! directions at once, so there are both halves or none.

use super::egress::EgressHalf;
use super::ingress::IngressHalf;
use super::redundancy::Redundancy;

/// The media of one transport, in both directions.
#[derive(Debug)]
pub struct MediaHalves {
    /// Media from the client.
    pub ingress: IngressHalf,
    /// Media to the client.
    pub egress: EgressHalf,
    /// How many copies of earlier audio the client is sent with each packet of it.
    pub redundancy: Redundancy,
}

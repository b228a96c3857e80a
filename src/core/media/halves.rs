//! MediaHalves: the two directions of one transport's media. Keying material comes for both at once, so there are both
//! halves or none.

use super::egress::EgressHalf;
use super::ingress::IngressHalf;

/// The media of one transport, in both directions.
#[derive(Debug)]
pub struct MediaHalves {
    /// Media from the client.
    pub ingress: IngressHalf,
    /// Media to the client.
    pub egress: EgressHalf,
}

//! MediaHalves: the two directions of one transport's media. Keying material comes for both at once, so that there are
//! both halves or none.

use super::egress::EgressHalf;
use super::ingress::IngressHalf;

/// The media of one transport, in both directions.
#[derive(Debug)]
pub struct MediaHalves {
    /// What comes from the client.
    pub ingress: IngressHalf,
    /// What goes to the client.
    pub egress: EgressHalf,
}

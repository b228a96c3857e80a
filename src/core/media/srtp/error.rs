//! What can go wrong with keys and packets.

/// Keying material of the wrong length for its profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadKeyingMaterial;

/// Why a packet was not opened. Nothing has changed but the bytes of the packet itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// A packet of that index was opened before.
    Replayed,
    /// So far behind the newest that it cannot be known whether it was opened before.
    TooOld,
    /// Not from who holds the key, or damaged.
    Forged,
    /// Not even the shape of a packet, or RTCP in the clear.
    Malformed,
    /// A new stream beyond the cap.
    TooManyStreams,
}

//! What can go wrong with keys and packets.

/// The keying material has the wrong length for its profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadKeyingMaterial;

/// Why a packet was not opened. Only the bytes of the packet itself may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// A packet with that index was opened before.
    Replayed,
    /// It is so far behind the newest packet that nobody knows whether it was opened before.
    TooOld,
    /// It is damaged, or its sender does not have the key.
    Forged,
    /// It does not have the form of a packet, or is unencrypted RTCP.
    Malformed,
    /// It is of a new stream, and there are too many already.
    TooManyStreams,
}

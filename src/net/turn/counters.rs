//! What happened at the TURN server since the start.

use super::quota::Way;

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The user name is not of our making, or the password is wrong (401).
    Credentials,
    /// The credentials' time is over (401).
    Expired,
    /// The participant has as many allocations as one may have (486).
    Quota,
    /// There are as many allocations, permissions or channels as there may be (508).
    Capacity,
    /// The peer is not Strait itself (403).
    Peer,
    /// Anything else that was refused with an error.
    Other,
}

/// Why data was thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// There is no allocation, no permission or no channel for it.
    NotAllowed,
    /// It was meant for another peer than Strait.
    Peer,
    /// The participant is over the configured bandwidth.
    Bandwidth,
    /// The client does not read fast enough.
    QueueFull,
    /// The allocation is gone.
    Gone,
    /// Too many strangers ask by datagrams at once.
    Strangers,
}

impl Refused {
    /// All reasons, with their names in the metrics.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Credentials, "credentials"),
        (Self::Expired, "expired"),
        (Self::Quota, "quota"),
        (Self::Capacity, "capacity"),
        (Self::Peer, "peer"),
        (Self::Other, "other"),
    ];
}

impl Dropped {
    /// All reasons, with their names in the metrics.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::NotAllowed, "not_allowed"),
        (Self::Peer, "peer"),
        (Self::Bandwidth, "bandwidth"),
        (Self::QueueFull, "queue_full"),
        (Self::Gone, "allocation_gone"),
        (Self::Strangers, "too_many_strangers"),
    ];
}

/// All counters of the TURN server.
#[derive(Debug, Clone, Copy, Default)]
pub struct TurnCounters {
    /// Allocations that were made.
    pub allocations: u64,
    refused: [u64; Refused::ALL.len()],
    dropped: [u64; Dropped::ALL.len()],
    packets: [u64; 2],
    bytes: [u64; 2],
}

impl TurnCounters {
    /// Counts a request that was refused.
    pub fn note_refused(&mut self, why: Refused) {
        self.refused[why as usize] += 1;
    }

    /// Counts a datagram that was thrown away.
    pub fn note_dropped(&mut self, why: Dropped) {
        self.dropped[why as usize] += 1;
    }

    /// Counts a datagram that was relayed, and its bytes.
    pub fn note_relayed(&mut self, way: Way, bytes: usize) {
        self.packets[way as usize] += 1;
        self.bytes[way as usize] += bytes as u64;
    }

    /// Returns the refused requests by reason.
    pub fn refused(&self) -> [(&'static str, u64); Refused::ALL.len()] {
        Refused::ALL.map(|(why, name)| (name, self.refused[why as usize]))
    }

    /// Returns the datagrams that were thrown away, by reason.
    pub fn dropped(&self) -> [(&'static str, u64); Dropped::ALL.len()] {
        Dropped::ALL.map(|(why, name)| (name, self.dropped[why as usize]))
    }

    /// Returns the relayed datagrams, in and out.
    pub fn packets(&self) -> [(&'static str, u64); 2] {
        [("in", self.packets[Way::In as usize]), ("out", self.packets[Way::Out as usize])]
    }

    /// Returns the payload of the relayed datagrams, in and out, bytes.
    pub fn bytes(&self) -> [(&'static str, u64); 2] {
        [("in", self.bytes[Way::In as usize]), ("out", self.bytes[Way::Out as usize])]
    }
}

//! A picture of the core at one moment, for people and dashboards: plain values, nothing shared.

use std::time::Duration;

use super::command::Kind;
use super::event::TrackInfo;
use super::ids::{Mid, ParticipantId, RoomId, TrackId};
use super::path::Path;

/// Counters of packets, bytes (payload and header, without SRTP's tag), and what went wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamCounters {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Packets that never came (incoming), or that the receiver reported lost (outgoing).
    pub lost: u64,
    /// Retransmitted packets received or sent.
    pub retransmitted: u64,
    /// Packets asked for again (incoming: by us; outgoing: by the receiver).
    pub nacked: u64,
    /// Key frames asked for (incoming: by us; outgoing: by the receiver).
    pub keyframe_requests: u64,
    /// Dropped: duplicates, too old, or not decryptable.
    pub dropped: u64,
}

/// One published track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicationSnapshot {
    /// The track.
    pub info: TrackInfo,
    /// Its codec's name, once a packet has come.
    pub codec: Option<&'static str>,
    /// How many participants have it in a slot.
    pub subscribers: usize,
    /// What came in.
    pub counters: StreamCounters,
    /// Interarrival jitter (RFC 3550 §6.4.1).
    pub jitter: Duration,
}

/// One slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotSnapshot {
    /// Its section.
    pub mid: Mid,
    /// Audio or video.
    pub kind: Kind,
    /// What it shows.
    pub track: Option<TrackId>,
    /// What went out.
    pub counters: StreamCounters,
}

/// One participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantSnapshot {
    /// Their id.
    pub participant: ParticipantId,
    /// Their name.
    pub name: String,
    /// Whether signalling is lost.
    pub reconnecting: bool,
    /// Whether media can flow.
    pub connected: bool,
    /// Where media goes.
    pub path: Option<Path>,
    /// Round trip to the client, from its reports on our sender reports.
    pub round_trip: Option<Duration>,
    /// Since joining.
    pub age: Duration,
    /// What they publish.
    pub publications: Vec<PublicationSnapshot>,
    /// What they receive.
    pub slots: Vec<SlotSnapshot>,
}

/// One room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSnapshot {
    /// Its id.
    pub room: RoomId,
    /// Since it was made.
    pub age: Duration,
    /// Its members, in the order of joining.
    pub participants: Vec<ParticipantSnapshot>,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Rooms in the order of their ids.
    pub rooms: Vec<RoomSnapshot>,
    /// Datagrams that belong to nobody.
    pub datagrams_unknown: u64,
    /// Entries of the demultiplexer: addresses and ufrags. Zero when nobody is there.
    pub demux_entries: usize,
    /// Deadlines that are armed. Zero when no room is there.
    pub deadlines: usize,
}

//! A picture of the core at one moment, for people and dashboards: plain values, nothing shared.

use std::time::Duration;

use super::bandwidth::estimator::Reason;
use super::command::MediaKind;
use super::event::TrackInfo;
use super::ids::{Mid, ParticipantId, RoomId, TrackId};
use super::path::Path;

/// Counters of packets, bytes (payload and header, without SRTP's tag), and what went wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamCounters {
    /// How many packets were counted.
    pub packets: u64,
    /// How many bytes of payload.
    pub bytes: u64,
    /// Packets that never came (incoming), or that the receiver reported lost (outgoing).
    pub lost: u64,
    /// Retransmitted packets sent, or received for one that had not come: a repeat of another probes for bandwidth.
    pub retransmitted: u64,
    /// Packets asked for again (incoming: by us; outgoing: by the receiver).
    pub nacked: u64,
    /// Key frames asked for (incoming: by us; outgoing: by the receiver).
    pub keyframe_requests: u64,
    /// Dropped: duplicates, too old, or not decryptable. Probes for bandwidth are not among them.
    pub dropped: u64,
}

/// One published track, and what has come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicationSnapshot {
    /// The track as others see it.
    pub info: TrackInfo,
    /// Its codec's name, once a packet has come.
    pub codec: Option<&'static str>,
    /// How many participants have it in a slot.
    pub subscribers: usize,
    /// What has come in of all its encodings.
    pub counters: StreamCounters,
    /// Interarrival jitter (RFC 3550 §6.4.1).
    pub jitter: Duration,
}

/// One slot of a participant, and what has gone out in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotSnapshot {
    /// The media section that is the slot.
    pub mid: Mid,
    /// Whether it takes audio or video.
    pub kind: MediaKind,
    /// The track that it shows; `None` if it is free.
    pub track: Option<TrackId>,
    /// What has gone out in it, of the track that it shows, or showed last.
    pub counters: StreamCounters,
    /// Interarrival jitter at the client, as it reported it last (RFC 3550 §6.4.1).
    pub jitter: Duration,
}

/// What the network to a client carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BandwidthSnapshot {
    /// The estimate, bits per second.
    pub estimate: u64,
    /// What gets through, bits per second; `None` while too little was reported.
    pub acknowledged: Option<u64>,
    /// The usual loss of the last seconds, in 1/1,000,000.
    pub loss_millionths: u32,
    /// What holds the estimate where it is.
    pub reason: Reason,
}

/// One participant, and how they are connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantSnapshot {
    /// By which everybody names them.
    pub participant: ParticipantId,
    /// The name that they joined with.
    pub name: String,
    /// Whether signalling is lost.
    pub reconnecting: bool,
    /// Whether media can flow.
    pub connected: bool,
    /// Whether nothing has come on their media path for too long.
    pub media_lost: bool,
    /// Where media goes, of their first transport that sends any; `None`: nowhere.
    pub path: Option<Path>,
    /// Round trip to the client, from its reports on our sender reports.
    pub round_trip: Option<Duration>,
    /// What their network carries, by their first transport that tells.
    pub bandwidth: Option<BandwidthSnapshot>,
    /// How long ago they joined.
    pub age: Duration,
    /// The tracks that they publish, in the order of publishing.
    pub publications: Vec<PublicationSnapshot>,
    /// The slots that they receive by, in the order of sections.
    pub slots: Vec<SlotSnapshot>,
}

/// One room, and who is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSnapshot {
    /// The name that people join it by.
    pub room: RoomId,
    /// How long ago it was made.
    pub age: Duration,
    /// Its members, in the order of joining.
    pub participants: Vec<ParticipantSnapshot>,
}

/// All rooms, and what the server holds beside them.
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

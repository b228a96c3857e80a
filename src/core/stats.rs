//! The state of the core at one moment, as plain values, for people and dashboards.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bandwidth::estimator::Reason;
use super::command::MediaKind;
use super::event::TrackInfo;
use super::grants::Grants;
use super::ids::{Mid, ParticipantId, RoomId, TrackId};
use super::moderation::Target;
use super::ortc::TransportDirection;
use super::path::Path;
use super::profile::Profile;
use super::quality::{Mos, Quality, Score};
use super::room_options::RoomOptions;
use super::topology::{ClientMode, MeshPolicy, Mode, View};

/// Counters of packets, bytes (payload and header, without SRTP's tag), and what went wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamCounters {
    /// How many packets were counted.
    pub packets: u64,
    /// How many bytes of payload.
    pub bytes: u64,
    /// Packets that never came (incoming), or that the receiver reported as lost (outgoing).
    pub lost: u64,
    /// Retransmissions: received ones that replaced a missing packet (incoming), or sent ones (outgoing). A
    /// retransmission of a packet that had come only probes for bandwidth and does not count.
    pub retransmitted: u64,
    /// Packets asked for by NACKs (incoming: ours; outgoing: the receiver's).
    pub nacked: u64,
    /// Key frames asked for (incoming: by us; outgoing: by the receiver).
    pub keyframe_requests: u64,
    /// Packets dropped because they were duplicates, too old, or could not be decrypted. Bandwidth probes do not count.
    pub dropped: u64,
    /// Last packets of frames of video.
    pub frames: u64,
    /// First packets of key frames of video.
    pub keyframes: u64,
}

/// What goes over a stream in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Bits of payload a second.
    pub bitrate: u64,
    /// Frames in 1000 seconds. Audio has none.
    pub frames_per_1000_seconds: u64,
}

/// How good one stream is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamQuality {
    /// How much goes over it, when it was last measured.
    pub rates: Rates,
    /// How much of it is lost on the way, in 1/1000, smoothed over a few reports.
    pub loss_permille: u16,
    /// How it is estimated to sound; `None` for video, and before anything is known.
    pub mos: Option<Mos>,
    /// How often so much of it was missing in a row that people hear it; always 0 for video.
    pub dropouts: u64,
}

/// One published track, and what was received of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicationSnapshot {
    /// The track as others see it.
    pub info: TrackInfo,
    /// Its codec's name, once a packet has come.
    pub codec: Option<&'static str>,
    /// How many participants have it in a slot.
    pub subscribers: usize,
    /// Its encodings, in the publisher's order; empty unless it is a simulcast.
    pub encodings: Vec<EncodingSnapshot>,
    /// Counts of what was received of all its encodings.
    pub counters: StreamCounters,
    /// Interarrival jitter (RFC 3550 §6.4.1).
    pub jitter: Duration,
    /// How good it comes.
    pub quality: StreamQuality,
}

/// One encoding of a simulcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodingSnapshot {
    /// Its rid or, if it has none, its place from 1.
    pub name: String,
    /// The width of its pictures in pixels, if it was declared.
    pub width: Option<u16>,
    /// The height of its pictures in pixels, if it was declared.
    pub height: Option<u16>,
    /// Whether the publisher is to send it.
    pub is_on: bool,
    /// What comes of it, in bits per second.
    pub bitrate: u64,
    /// How many participants are shown it.
    pub viewers: usize,
}

/// One slot of a participant, and what was sent in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotSnapshot {
    /// The media section that is the slot.
    pub mid: Mid,
    /// Whether it takes audio or video.
    pub kind: MediaKind,
    /// The track that it shows; `None` if it is free.
    pub track: Option<TrackId>,
    /// What of the track goes out; of audio, and of a slot that shows nothing, there is no more to say than that it does.
    pub shown: ShownLayers,
    /// What of it is to go out: it may wait for a key frame.
    pub target: ShownLayers,
    /// Why nothing of the track goes out, if that is so.
    pub paused: Option<PauseReason>,
    /// What keeps the client from more than goes out, beside its own wishes.
    pub limited_by: Option<PauseReason>,
    /// Counts of what was sent in it of the track that it shows or, if it is free, showed last.
    pub counters: StreamCounters,
    /// Interarrival jitter at the client, from its last report (RFC 3550 §6.4.1).
    pub jitter: Duration,
    /// How good it gets to the client.
    pub quality: StreamQuality,
    /// How often the client was shown another encoding of the track.
    pub layer_changes: u32,
    /// How long it took from putting the track in until its first packet went out; `None` before.
    pub first_media: Option<Duration>,
}

/// Which encoding of a track goes out to somebody, and up to which layers inside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShownLayers {
    /// The encoding's name; `None` unless the track is a simulcast and something of it goes out.
    pub layer: Option<String>,
    /// The highest spatial layer; `None` if all go out.
    pub spatial: Option<u8>,
    /// The highest temporal layer; `None` if all go out.
    pub temporal: Option<u8>,
}

/// Why somebody is sent nothing of a track, or not all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseReason {
    /// They have paused it, or cannot see it.
    Wish,
    /// Their network carries no more.
    Bandwidth,
    /// The server has no time.
    Load,
}

impl PauseReason {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::Wish, Self::Bandwidth, Self::Load];

    /// Returns its name in statistics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wish => "wish",
            Self::Bandwidth => "bandwidth",
            Self::Load => "load",
        }
    }
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

/// Counts of what was sent, held back or left out on a transport because of what its network carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EgressCounters {
    /// Packets of padding that were sent.
    pub padding_packets: u64,
    /// How many bytes they had, headers included.
    pub padding_bytes: u64,
    /// Packets of video that waited before they were sent.
    pub paced_packets: u64,
    /// How long these waited together, in microseconds.
    pub pacing_delay_micros: u64,
    /// Packets of video that were dropped because too much waited.
    pub paced_dropped: u64,
    /// Probes that were sent.
    pub probes: u64,
    /// Probes that were begun and given up, because the machine had no time or no packet could carry padding.
    pub probes_given_up: u64,
    /// Packets that were asked for again and not sent, because too many were.
    pub repeats_withheld: u64,
}

/// How what is sent to a participant is spread over time, and filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacingSnapshot {
    /// How long video that comes now will wait.
    pub delay: Duration,
    /// The rate that all is filled up to, bits per second; 0 if there is no padding.
    pub padding_target: u64,
    /// What was counted.
    pub counters: EgressCounters,
}

/// Why as many copies are sent as are, and not more or fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RedundancyReason {
    /// So much is lost.
    Loss,
    /// Little has been lost for some time.
    Calm,
    /// The network has no room for them.
    NoRoom,
}

impl RedundancyReason {
    /// Returns its name in statistics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Calm => "calm",
            Self::NoRoom => "no-room",
        }
    }
}

/// What was decided last of the copies that somebody is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedundancyDecision {
    /// How many copies go out with each packet of audio, 0 to 2.
    pub copies: u8,
    /// How much audio was lost in the seconds before, in 1/1000.
    pub loss_permille: u16,
    /// Why it was decided.
    pub reason: RedundancyReason,
}

/// One transport of a participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportSnapshot {
    /// Which way media flows, seen from the participant; `None` if both.
    pub direction: Option<TransportDirection>,
    /// Whether media can flow.
    pub connected: bool,
    /// The path by which media goes; `None` if it goes nowhere.
    pub path: Option<Path>,
    /// The round trip to the client, from its receiver reports.
    pub round_trip: Option<Duration>,
}

/// One participant, and how they are connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantSnapshot {
    /// The participant's id, the same for everybody.
    pub participant: ParticipantId,
    /// Who they are, as others see them.
    pub profile: Profile,
    /// What they may do.
    pub grants: Grants,
    /// Whether their signalling is lost.
    pub reconnecting: bool,
    /// Whether media can flow.
    pub connected: bool,
    /// Whether nothing has come on their media path for too long.
    pub media_lost: bool,
    /// Where their own media goes.
    pub mode: ClientMode,
    /// The path of their first transport that has one; `None` if media goes nowhere.
    pub path: Option<Path>,
    /// The round trip to the client, from its receiver reports.
    pub round_trip: Option<Duration>,
    /// Their transports, in the order in which they were made.
    pub transports: Vec<TransportSnapshot>,
    /// What their network carries, by their first transport that tells.
    pub bandwidth: Option<BandwidthSnapshot>,
    /// How their media is spread over time, on the first of their transports whose network is estimated.
    pub pacing: Option<PacingSnapshot>,
    /// How many copies of their audio they are sent; `None` if there never were any.
    pub redundancy: Option<RedundancyDecision>,
    /// How good their call is; `None` before the first report.
    pub quality: Option<(Quality, Score)>,
    /// How long ago they joined.
    pub age: Duration,
    /// The tracks that they publish, in the order of publishing.
    pub publications: Vec<PublicationSnapshot>,
    /// The slots in which they receive tracks, in the order of sections.
    pub slots: Vec<SlotSnapshot>,
}

/// Where a room's media goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopologySnapshot {
    /// Straight, or through the server.
    pub mode: Mode,
    /// Whether it may go straight.
    pub policy: MeshPolicy,
    /// What clients are told; `None` in a room in which it may not.
    pub view: Option<View>,
    /// How many pairs of members find no direct path.
    pub unreachable: usize,
}

/// Calls by where their media goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// How many there are, in the order of [`Mode::ALL`](super::topology::Mode::ALL).
    pub calls: [usize; 2],
    /// How many people are in them, in the same order.
    pub people: [usize; 2],
    /// How many are moving.
    pub moving: usize,
}

impl Calls {
    /// Counts a call, if somebody is in it.
    pub fn note(&mut self, mode: Mode, people: usize, is_moving: bool) {
        if people > 0 {
            self.calls[mode as usize] += 1;
            self.people[mode as usize] += people;
            self.moving += usize::from(is_moving);
        }
    }
}

/// Somebody who waits to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingSnapshot {
    /// The id that they will have.
    pub participant: ParticipantId,
    /// Who they are.
    pub profile: Profile,
    /// For how long they have waited.
    pub waited: Duration,
}

/// What keeps somebody out of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BanSnapshot {
    /// The identity that stays out; `None` if an address does.
    pub identity: Option<String>,
    /// The address that stays out, or the network that begins with it; `None` if an identity does.
    pub address: Option<IpAddr>,
    /// For how long yet; `None` for as long as the room is there.
    pub left: Option<Duration>,
}

/// One room, and who is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSnapshot {
    /// The name that people join it by.
    pub room: RoomId,
    /// How long ago it was made.
    pub age: Duration,
    /// What is set for this room alone.
    pub options: RoomOptions,
    /// Where its media goes.
    pub topology: TopologySnapshot,
    /// Those who wait to be let in, the one who has waited for longest first.
    pub waiting: Vec<WaitingSnapshot>,
    /// Those who stay out.
    pub bans: Vec<BanSnapshot>,
    /// Its members, in the order of joining.
    pub participants: Vec<ParticipantSnapshot>,
}

impl RoomSnapshot {
    /// Returns somebody in it; the first of those who have the same identity.
    pub fn member(&self, who: &Target) -> Option<&ParticipantSnapshot> {
        self.participants.iter().find(|one| match who {
            Target::Id(id) => one.participant == *id,
            Target::Identity(identity) => one.profile.identity.as_ref() == Some(identity),
        })
    }
}

/// All rooms, and counts of the whole server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Rooms in the order of their ids.
    pub rooms: Vec<RoomSnapshot>,
    /// Datagrams that belonged to nobody.
    pub datagrams_unknown: u64,
    /// Addresses and ufrags in the demultiplexer. Zero when there are no participants.
    pub demux_entries: usize,
    /// Deadlines that are set. Zero when there are no rooms.
    pub deadlines: usize,
}

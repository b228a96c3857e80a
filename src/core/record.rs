//! The records of a trace: everything that happens to a room, with its time, and what that led to. `docs/trace.md`
//! describes how a file holds them.
//!
//! Records are encoded by `postcard`, one after the other. Any change to a type that records contain (room inputs and
//! outputs, commands, events) changes the format, and must raise [`RECORDS_VERSION`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bans::LastingBan;
use super::command::{Command, Join, Moderation, Resume};
use super::event::{LeaveReason, SlotCounts};
use super::ids::{ParticipantId, ParticipantKey, RequestId, RoomId, TransportKey};
use super::input::{Admission, DtlsEvent, Shedding};
use super::outbox::RoomOutput;
use super::path::{Path, TrafficClass};
use super::settings::{BandwidthSettings, Settings, Sharing};
use super::topology::MeshSettings;

/// The version of the records' encoding. Traces of another version cannot be replayed.
pub const RECORDS_VERSION: u16 = 12;

/// How many bytes of a sent media packet are kept: the fixed part of an RTP header (RFC 3550 §5.1).
pub const MEDIA_HEAD_BYTES: usize = 12;
/// How many bytes of a sent STUN, DTLS or RTCP datagram are kept.
pub const CONTROL_HEAD_BYTES: usize = 48;

/// Everything that is needed to make a room that will do the same again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomHeader {
    /// The name that people joined it by.
    pub room: RoomId,
    /// The first letters of its ufrags.
    pub tag: String,
    /// When it was made, counted from the server's epoch.
    pub created: Duration,
    /// The wall clock's time at the epoch, counted from 1970.
    pub epoch_unix: Duration,
    /// Most participants in a room.
    pub participants_per_room_max: usize,
    /// Most tracks that one participant publishes.
    pub tracks_per_participant_max: usize,
    /// Slots in a first offer.
    pub slots: SlotCounts,
    /// Most slots of a participant.
    pub slots_max: SlotCounts,
    /// Whether clients who lose much of their audio are sent copies of it, if they take them.
    pub redundancy: bool,
    /// Whether clients may have data channels.
    pub data_channels: bool,
    /// How slots are shared where there are too few.
    pub sharing: Sharing,
    /// What is believed of the networks of those who receive.
    pub bandwidth: BandwidthSettings,
    /// The rate at which publishers begin to send video, in kbit/s; `None` leaves it to them.
    pub video_start_kbps: Option<u32>,
    /// How long the room stays after its last participant has left.
    pub empty_timeout: Duration,
    /// How long somebody whose signalling broke can come back.
    pub resume_timeout: Duration,
    /// How long a media path may be silent before its participant is given up.
    pub media_timeout: Duration,
    /// When media goes straight from one participant to the other.
    pub mesh: MeshSettings,
    /// How many packets the room forwards in one share.
    pub packets_at_once: usize,
    /// The server's DTLS certificate, DER.
    pub certificate: Vec<u8>,
}

impl RoomHeader {
    /// Makes the header of a room that is made now with these settings.
    pub fn new(now: Instant, room: RoomId, tag: String, settings: &Settings) -> Self {
        // Taken apart, so that the compiler complains if a setting is forgotten here.
        let Settings {
            rooms_max: _,
            known_rooms: _,
            participants_per_address_max: _,
            participants_per_room_max,
            tracks_per_participant_max,
            slots,
            slots_max,
            redundancy,
            data_channels,
            sharing,
            bandwidth,
            video_start_kbps,
            mesh,
            empty_timeout,
            resume_timeout,
            media_timeout,
            packets_at_once,
            certificate,
            epoch,
            epoch_unix,
        } = settings.clone();
        Self {
            room,
            tag,
            created: now.saturating_duration_since(epoch),
            epoch_unix,
            participants_per_room_max,
            tracks_per_participant_max,
            slots,
            slots_max,
            redundancy,
            data_channels,
            sharing,
            bandwidth,
            video_start_kbps,
            empty_timeout,
            resume_timeout,
            media_timeout,
            mesh,
            packets_at_once,
            certificate,
        }
    }

    /// Returns the room's settings, with another point of the monotonic clock as the epoch.
    pub fn settings(&self, epoch: Instant) -> Settings {
        Settings {
            rooms_max: 1,
            known_rooms: BTreeMap::new(),
            participants_per_address_max: usize::MAX,
            participants_per_room_max: self.participants_per_room_max,
            tracks_per_participant_max: self.tracks_per_participant_max,
            slots: self.slots,
            slots_max: self.slots_max,
            redundancy: self.redundancy,
            data_channels: self.data_channels,
            sharing: self.sharing,
            bandwidth: self.bandwidth,
            video_start_kbps: self.video_start_kbps,
            mesh: self.mesh,
            empty_timeout: self.empty_timeout,
            resume_timeout: self.resume_timeout,
            media_timeout: self.media_timeout,
            packets_at_once: self.packets_at_once,
            certificate: self.certificate.clone(),
            epoch,
            epoch_unix: self.epoch_unix,
        }
    }
}

/// Bytes that are encoded as one value rather than one by one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bytes<'a>(pub &'a [u8]);

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = &'de [u8];

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<&'de [u8], E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_bytes(Borrowed).map(Bytes)
    }
}

/// The number of a [`Path`], in the order in which the recording names paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathIndex(pub u32);

/// Something that happened to the room: a [`RoomInput`](super::room::RoomInput) as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordedInput<'a> {
    /// A datagram came.
    Datagram {
        /// The transport that it was for.
        on: TransportKey,
        /// The path by which it came.
        path: PathIndex,
        /// The bytes of the datagram, before the room decrypted them.
        #[serde(borrow)]
        bytes: Bytes<'a>,
    },
    /// Somebody asked to join.
    Join(Cow<'a, Option<RequestId>>, Cow<'a, Admission>, Cow<'a, Join>),
    /// A member whose signalling had broken asked to resume.
    Resume(Cow<'a, Option<RequestId>>, Cow<'a, Resume>),
    /// A member asked for something.
    Command(ParticipantKey, Cow<'a, Option<RequestId>>, Cow<'a, Command>),
    /// The signalling connection of a member broke.
    ConnectionLost(ParticipantKey),
    /// Something happened in the DTLS handshake of a transport.
    Dtls(TransportKey, Cow<'a, DtlsEvent>),
    /// The operator removed a member.
    Remove(ParticipantId),
    /// The operator, or a back end, did something to the room or to those in it.
    Operate(Cow<'a, Moderation>),
    /// Somebody who waited to be let in has gone.
    StopWaiting(ParticipantId),
    /// The room ended for everybody, for this reason.
    Close(LeaveReason),
    /// A deadline has come.
    Timeout,
    /// Not an input: the room forwarded a share of the packets that waited.
    Share,
    /// Load shedding: from then on this share of the video was dropped.
    Shed(Shedding),
    /// A member who was never in the call made way for somebody else of their address.
    MakeWay(ParticipantKey),
    /// The room took over the bans of the room of its name before it.
    KeepOut(Cow<'a, [LastingBan]>),
    /// The server could hear nobody for this long.
    StoodStill(Duration),
}

/// A datagram that the room sent. Its head tells what it was; a replay compares its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentDatagram<'a> {
    /// The path by which it went.
    pub path: PathIndex,
    /// What it was for.
    pub class: TrafficClass,
    /// The length of the whole datagram, in bytes.
    pub length: u16,
    /// The lower half of the XXH3-64 of its bytes.
    pub hash: u32,
    /// The first bytes of the datagram, which tell what it was.
    #[serde(borrow)]
    pub head: Bytes<'a>,
}

/// Returns the hash of a sent datagram. A record keeps its lower half.
pub fn sent_hash(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// One line of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record<'a> {
    /// A path that later records refer to by number. The first is number 0, the next 1.
    Path(Path),
    /// All paths are forgotten; the next is number 0 again.
    ForgetPaths,
    /// A step of the room begins.
    Step {
        /// Nanoseconds since the previous step, or since the room was made if it is the first.
        after: u64,
        /// What happened to the room.
        #[serde(borrow)]
        input: RecordedInput<'a>,
    },
    /// The step led to this output.
    Output(Cow<'a, RoomOutput>),
    /// The step led to this datagram.
    Sent(#[serde(borrow)] SentDatagram<'a>),
    /// The end of what a step led to: the digest of all outputs since the beginning. It is left out if the step led to
    /// nothing.
    Digest([u8; 8]),
}

//! What a recorder writes down of a room: everything that happens to it, with its time, and what came of it.
//! `docs/trace.md` describes how records lie in a file.
//!
//! Records are encoded by `postcard`, one after the other. A change of any type that can stand in a record (room
//! inputs and outputs, commands, events) changes the format: [`RECORDS_VERSION`] goes up with it.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, Instant};

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::command::{Command, Join, Resume};
use super::event::{LeaveReason, SlotCounts};
use super::ids::{ParticipantId, ParticipantKey, RequestId, RoomId, TransportKey};
use super::input::{Admission, DtlsEvent, Shedding};
use super::outbox::RoomOutput;
use super::path::{Path, TrafficClass};
use super::settings::Settings;

/// The version of the records' encoding. Traces of another version cannot be replayed.
pub const RECORDS_VERSION: u16 = 5;

/// Bytes of a sent media packet that are kept: the fixed part of an RTP header (RFC 3550 §5.1).
pub const MEDIA_HEAD_BYTES: usize = 12;
/// Bytes of a sent STUN, DTLS or RTCP datagram that are kept.
pub const CONTROL_HEAD_BYTES: usize = 48;

/// Everything that a fresh room must be made with to do the same again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomHeader {
    /// The name that people joined it by.
    pub room: RoomId,
    /// What its ufrags begin with.
    pub tag: String,
    /// When it was made, after the server's epoch.
    pub created: Duration,
    /// What the wall clock showed at the epoch, since 1970.
    pub epoch_unix: Duration,
    /// Most participants in a room.
    pub participants_per_room_max: usize,
    /// Most tracks that one participant publishes.
    pub tracks_per_participant_max: usize,
    /// Slots in a first offer.
    pub slots: SlotCounts,
    /// Most slots of a participant.
    pub slots_max: SlotCounts,
    /// The rate at which publishers begin sending video, in kbit/s, if it is not left to them.
    pub video_start_kbps: Option<u32>,
    /// How long the room outlives its last participant.
    pub empty_timeout: Duration,
    /// How long somebody whose signalling broke can come back.
    pub resume_timeout: Duration,
    /// How long a media path may be silent.
    pub media_timeout: Duration,
    /// Packets that the room forwards at once.
    pub packets_at_once: usize,
    /// The server's DTLS certificate, DER.
    pub certificate: Vec<u8>,
}

impl RoomHeader {
    /// The header of a room that is made now with these settings.
    pub fn new(now: Instant, room: RoomId, tag: String, settings: &Settings) -> Self {
        // Taken apart, so that no setting can be forgotten here.
        let Settings {
            rooms_max: _,
            participants_per_address_max: _,
            participants_per_room_max,
            tracks_per_participant_max,
            slots,
            slots_max,
            video_start_kbps,
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
            video_start_kbps,
            empty_timeout,
            resume_timeout,
            media_timeout,
            packets_at_once,
            certificate,
        }
    }

    /// The settings that the room had, with another point of the monotonic clock for the epoch.
    pub fn settings(&self, epoch: Instant) -> Settings {
        Settings {
            rooms_max: 1,
            participants_per_address_max: usize::MAX,
            participants_per_room_max: self.participants_per_room_max,
            tracks_per_participant_max: self.tracks_per_participant_max,
            slots: self.slots,
            slots_max: self.slots_max,
            video_start_kbps: self.video_start_kbps,
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

/// Bytes, written and read as a whole.
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

/// A [`Path`] of the recording, by the order in which paths were named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathIndex(pub u32);

/// What happened to the room: [`RoomInput`](super::room::RoomInput) as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordedInput<'a> {
    /// A datagram, as it came.
    Datagram {
        /// The transport that it was for.
        on: TransportKey,
        /// The way it came.
        path: PathIndex,
        /// The bytes of the datagram, before the room decrypted them.
        #[serde(borrow)]
        bytes: Bytes<'a>,
    },
    /// Somebody asked to enter.
    Join(Cow<'a, Option<RequestId>>, Cow<'a, Admission>, Cow<'a, Join>),
    /// Somebody whose signalling had broken asked to go on.
    Resume(Cow<'a, Option<RequestId>>, Cow<'a, Resume>),
    /// Somebody asks for something.
    Command(ParticipantKey, Cow<'a, Option<RequestId>>, Cow<'a, Command>),
    /// The signalling connection of a member broke.
    ConnectionLost(ParticipantKey),
    /// The handshake of a transport did something.
    Dtls(TransportKey, Cow<'a, DtlsEvent>),
    /// The operator removes somebody.
    Remove(ParticipantId),
    /// The room ended for everybody, and why.
    Close(LeaveReason),
    /// A deadline has come.
    Timeout,
    /// No input: a share of the packets that came is forwarded.
    Share,
    /// So much of the pictures is not forwarded from now on.
    Shed(Shedding),
}

/// A datagram that the room sent. What it was can be told from its head; whether it is the same, from its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentDatagram<'a> {
    /// The way it went.
    pub path: PathIndex,
    /// What it was for.
    pub class: TrafficClass,
    /// The length of the whole datagram, in bytes.
    pub length: u16,
    /// The lower half of the XXH3-64 of its bytes.
    pub hash: u32,
    /// The first bytes of the datagram, by which it can be told what it was.
    #[serde(borrow)]
    pub head: Bytes<'a>,
}

/// What tells one sent datagram from another; a record keeps its lower half.
pub fn sent_hash(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// One line of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record<'a> {
    /// A path that later records refer to; the first is number 0, the next 1.
    Path(Path),
    /// All paths are forgotten; the next is number 0 again.
    ForgetPaths,
    /// A step of the room begins.
    Step {
        /// Nanoseconds since the step before, of the first step: since the room was made.
        after: u64,
        /// What happened to the room.
        #[serde(borrow)]
        input: RecordedInput<'a>,
    },
    /// The step led to this.
    Output(Cow<'a, RoomOutput>),
    /// The step led to this datagram.
    Sent(#[serde(borrow)] SentDatagram<'a>),
    /// Everything that this step led to was named; the digest of all outputs from the first on. A step that led to
    /// nothing has none.
    Digest([u8; 8]),
}

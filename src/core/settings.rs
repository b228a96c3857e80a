//! The operator's settings, as far as the core needs them. They never change during the life of an `Sfu`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::event::SlotCounts;
use super::ids::RoomId;
use super::room_options::RoomChange;
use super::topology::MeshSettings;

/// The default of [`Settings::packets_at_once`]. Sending as many packets one by one takes half a millisecond: for
/// longer no room, however large, delays the audio of others.
pub const PACKETS_AT_ONCE: usize = 128;

/// How slots are shared in rooms that have more microphones or cameras than a client has slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sharing {
    /// How many of those who speak at once get slots.
    pub speakers: usize,
    /// How many slots they share with those who spoke last.
    pub speaker_slots: usize,
    /// The most cameras that a client is shown; `None`: as many as it has slots.
    pub last_n: Option<usize>,
}

impl Default for Sharing {
    fn default() -> Self {
        Self { speakers: 5, speaker_slots: 8, last_n: None }
    }
}

/// How it is chosen which layers of video somebody is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerPolicy {
    /// What the network carries is divided among the tracks, by what their layers cost.
    #[default]
    Allocation,
    /// Every track in the same layer, by two thresholds of the estimate.
    Thresholds,
    /// The same, by the estimate and the loss.
    LossThresholds,
    /// Everybody is sent what they want, whatever their networks carry.
    Wishes,
}

/// What is believed of the networks of those who receive, and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BandwidthSettings {
    /// What a network is believed to carry before anything is known of it, bits per second.
    pub initial: u64,
    /// What it is believed to carry at least, until it shows that it carries less, bits per second.
    pub minimum: u64,
    /// How it is chosen which layers are shown.
    pub policy: LayerPolicy,
}

impl Default for BandwidthSettings {
    fn default() -> Self {
        Self { initial: 1_000_000, minimum: 600_000, policy: LayerPolicy::default() }
    }
}

/// The operator's settings, and what the shell adds to them. They are the same for every room.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Most rooms at a time.
    pub rooms_max: usize,
    /// Rooms that everybody may join whether they are there or not, and what is set for each whenever it is made.
    pub known_rooms: BTreeMap<RoomId, RoomChange>,
    /// Most participants in a room.
    pub participants_per_room_max: usize,
    /// Most participants of one address, over all rooms. Those whose signalling broke count while they may come back.
    pub participants_per_address_max: usize,
    /// Most tracks that one participant publishes.
    pub tracks_per_participant_max: usize,
    /// Slots in a first offer.
    pub slots: SlotCounts,
    /// Most slots of a participant.
    pub slots_max: SlotCounts,
    /// Whether clients who lose much of their audio are sent copies of it (RFC 2198), if they take them.
    pub redundancy: bool,
    /// Whether clients may have data channels.
    pub data_channels: bool,
    /// How audio slots are shared by those who speak, and video slots by cameras, where there are too few.
    pub sharing: Sharing,
    /// What is believed of the networks of those who receive.
    pub bandwidth: BandwidthSettings,
    /// The rate at which publishers begin sending video, in kbit/s; `None` leaves it to them.
    pub video_start_kbps: Option<u32>,
    /// When media goes straight from one participant to the other, and how calls move between that and the server.
    pub mesh: MeshSettings,
    /// How long a room stays after its last participant has left. With zero it ends at once.
    pub empty_timeout: Duration,
    /// How long somebody whose signalling broke can come back.
    pub resume_timeout: Duration,
    /// How long a media path may be silent. After that, a participant whose signalling is lost is removed without
    /// waiting for `resume_timeout`.
    pub media_timeout: Duration,
    /// How many packets a room forwards in one share. Then it is the turn of others, and the sockets are read.
    pub packets_at_once: usize,
    /// The server's DTLS certificate, DER. Its private key stays with the shell.
    pub certificate: Vec<u8>,
    /// A point of the monotonic clock, from which time is counted.
    pub epoch: Instant,
    /// The wall clock's time at the epoch, counted from 1970. The two convert times for sender reports.
    pub epoch_unix: Duration,
}

impl Settings {
    /// Returns generous settings for tests, simulated worlds and benches, which change what matters to them. The
    /// certificate is not a real one.
    pub fn for_trying(epoch: Instant) -> Self {
        let both = |count| SlotCounts { audio: count, video: count };
        Self {
            rooms_max: 100,
            known_rooms: BTreeMap::new(),
            participants_per_room_max: 100,
            participants_per_address_max: usize::MAX,
            tracks_per_participant_max: 8,
            slots: both(1),
            slots_max: both(8),
            redundancy: true,
            data_channels: true,
            sharing: Sharing::default(),
            bandwidth: BandwidthSettings::default(),
            video_start_kbps: None,
            mesh: MeshSettings::default(),
            empty_timeout: Duration::ZERO,
            resume_timeout: Duration::from_secs(30),
            media_timeout: Duration::from_secs(15),
            packets_at_once: PACKETS_AT_ONCE,
            certificate: vec![0x30; 64],
            epoch,
            epoch_unix: Duration::from_secs(1_800_000_000),
        }
    }
}

//! The data channels of one member: which are open, who reads them, and how much may be said on them.

use std::time::{Duration, Instant};

use super::channels::ChannelId;
use super::ids::TransportKey;
use super::pace::Pace;

/// Longest label, and longest name of a protocol, in bytes.
pub const LABEL_BYTES_MAX: usize = 256;
/// Most channels of a member. Applications have a handful.
const CHANNELS_MAX: usize = 32;
/// What may wait for channels that a member has not opened yet, bytes: what is said in the moment in which somebody comes in.
const EARLY_BYTES_MAX: usize = 64 * 1024;
/// And how many messages.
const EARLY_MAX: usize = 64;
/// What a member may say in the long run: one unit each time that this has passed. A message is one unit, and one more for
/// each 25 recipients of a kibibyte.
const UNIT_INTERVAL: Duration = Duration::from_millis(5);
/// Units at once, after a time of quiet.
const UNITS_AT_ONCE: u32 = 1000;
/// How often a member is told in the long run that a message of theirs was refused.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(1);
/// And at once.
const REFUSALS_AT_ONCE: u32 = 5;

/// A channel that a member has opened.
#[derive(Debug)]
pub struct Channel {
    /// The transport that it is on.
    pub on: TransportKey,
    /// Its place there.
    pub id: ChannelId,
    /// What it is for, in the application's words.
    pub label: String,
    /// Whether every message is delivered.
    pub is_reliable: bool,
    /// Whether [frames](super::data) are exchanged on it.
    pub is_framed: bool,
}

/// A message for a channel that is not open yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Early {
    label: String,
    /// Whether it is text, which is UTF-8, or bytes.
    pub is_text: bool,
    /// What it says.
    pub bytes: Vec<u8>,
}

/// The data channels of a member who has, or has had, any.
#[derive(Debug)]
pub struct Channels {
    open: Vec<Channel>,
    /// What waits for channels that are not open yet, oldest first.
    early: Vec<Early>,
    /// Whether the member's front end reads and writes them itself.
    pub is_foreign: bool,
    /// The rate that was last named to the association, bits per second.
    pub told_rate: Option<u64>,
    pace: Pace,
    refusals: Pace,
}

impl Channels {
    /// Begins with none that is open.
    pub fn new(now: Instant) -> Self {
        Self {
            open: Vec::new(),
            early: Vec::new(),
            is_foreign: false,
            told_rate: None,
            pace: Pace::new(now, UNIT_INTERVAL, UNITS_AT_ONCE),
            refusals: Pace::new(now, REFUSAL_INTERVAL, REFUSALS_AT_ONCE),
        }
    }

    /// Adds a channel. Returns `false`, and does nothing, if there are too many, if it is there already, or if its label is
    /// too long.
    pub fn open(&mut self, channel: Channel) -> bool {
        let has_room = channel.label.len() <= LABEL_BYTES_MAX
            && self.open.len() < CHANNELS_MAX
            && self.get(channel.on, channel.id).is_none();
        if has_room {
            self.open.push(channel);
        }
        has_room
    }

    /// Keeps a message for a channel of that label, until it is opened. Returns `false`, and does nothing, if too much waits.
    pub fn keep(&mut self, label: &str, is_text: bool, bytes: Vec<u8>) -> bool {
        let waiting: usize = self.early.iter().map(|early| early.bytes.len()).sum();
        let has_room = self.early.len() < EARLY_MAX && waiting + bytes.len() <= EARLY_BYTES_MAX;
        if has_room {
            self.early.push(Early { label: label.to_owned(), is_text, bytes });
        }
        has_room
    }

    /// Returns what waits for a channel of that label, oldest first. It waits no more.
    pub fn take_early(&mut self, label: &str) -> Vec<Early> {
        let (taken, left) = std::mem::take(&mut self.early).into_iter().partition(|one| one.label == label);
        self.early = left;
        taken
    }

    /// Removes a channel, and returns it.
    pub fn close(&mut self, on: TransportKey, id: ChannelId) -> Option<Channel> {
        let place = self.open.iter().position(|channel| (channel.on, channel.id) == (on, id))?;
        Some(self.open.remove(place))
    }

    /// Returns a channel by its place.
    pub fn get(&self, on: TransportKey, id: ChannelId) -> Option<&Channel> {
        self.open.iter().find(|channel| (channel.on, channel.id) == (on, id))
    }

    /// Returns the first channel of that label.
    pub fn labelled(&self, label: &str) -> Option<&Channel> {
        self.open.iter().find(|channel| channel.label == label)
    }

    /// Returns the channel for frames that suits a message best: one that is as reliable as wanted, else another.
    pub fn framed(&self, is_lossy: bool) -> Option<&Channel> {
        let mut framed = self.open.iter().filter(|channel| channel.is_framed);
        let any = framed.clone().next();
        framed.find(|channel| channel.is_reliable != is_lossy).or(any)
    }

    /// Forgets the channels of a transport that is gone.
    pub fn drop_transport(&mut self, gone: TransportKey) {
        self.open.retain(|channel| channel.on != gone);
    }

    /// Returns how long to wait until something may be said; nothing if it may now.
    pub fn may_say(&self, now: Instant) -> Duration {
        self.pace.wait(now)
    }

    /// Notes that something is said, which costs that many units beyond the first.
    pub fn note_said(&mut self, now: Instant, more: usize) {
        // No message costs nearly as much as this; it only bounds the sum.
        self.pace.note_many(now, 1 + u32::try_from(more).unwrap_or(u32::MAX).min(1 << 20));
    }

    /// Returns whether the member may be told that a message was refused. If so, they are told.
    pub fn may_be_told(&mut self, now: Instant) -> bool {
        let may = self.refusals.wait(now).is_zero();
        if may {
            self.refusals.note(now);
        }
        may
    }
}

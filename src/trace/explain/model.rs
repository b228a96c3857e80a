//! The explanation as data: the text and the page are made from it, and `--json` prints it. Times count from when the
//! room was made.

use serde::{Serialize, Serializer};

use super::time::{Span, Time};
use super::words;
use crate::core::command::Source;
use crate::core::path::Carrier;

/// What happened in a whole call.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The room's name as people typed it.
    pub room: String,
    /// The version of Strait that recorded the call.
    pub build: String,
    /// When the room was made, counted from 1970.
    pub began: Time,
    /// How much time the trace covers.
    pub call_time: Time,
    /// Whether the trace is stripped of media and keys.
    pub stripped: bool,
    /// Why it ends, in words.
    pub ending: String,
    /// Everyone who was there, in the order of joining.
    pub participants: Vec<Person>,
    /// The delays and failures that the server itself caused in this room.
    pub server: Server,
}

/// One participant. A person who joins again is another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// The participant's id, as the protocol has it.
    pub id: String,
    /// The name that others saw.
    pub name: String,
    /// From when they joined until they left or the trace ended.
    pub present: Span,
    /// What happened to them, in order.
    pub timeline: Vec<Entry>,
    /// How they were reached, and when.
    pub routes: Vec<RouteSpan>,
    /// The tracks that they published, in order of time.
    pub publishes: Vec<Published>,
    /// The tracks that they were shown, in order of time.
    pub watches: Vec<Watched>,
    /// All packets from them to the server.
    pub uplink: Hop,
    /// All packets from the server to them.
    pub downlink: Hop,
}

impl Person {
    /// Whether `text` is their id, or their name in upper or lower case.
    pub fn is_called(&self, text: &str) -> bool {
        self.id == text || self.name.to_lowercase() == text.to_lowercase()
    }
}

/// How much an entry matters to somebody who looks for what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// It happens in any call.
    Plain,
    /// It may explain something.
    Notable,
    /// Somebody saw or heard it.
    Trouble,
}

/// One thing that happened to somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When it happened.
    pub at: Time,
    /// What sort of thing it is, in a word that programs can look for.
    pub kind: &'static str,
    /// How much it matters.
    pub weight: Weight,
    /// What happened, in words.
    pub text: String,
}

/// How somebody was reached for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteSpan {
    /// The stretch of time.
    #[serde(flatten)]
    pub span: Span,
    /// What carried their media; `null` if they could not be reached.
    #[serde(serialize_with = "carrier")]
    pub by: Option<Carrier>,
    /// The address to which their media went.
    pub address: Option<String>,
}

fn carrier<S: Serializer>(by: &Option<Carrier>, serializer: S) -> Result<S::Ok, S::Error> {
    match by {
        Some(by) => serializer.serialize_str(words::carrier(*by)),
        None => serializer.serialize_none(),
    }
}

fn source<S: Serializer>(source: &Source, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(words::source(*source))
}

/// What went over a hop within one second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Second {
    /// Packets that arrived, on the way to the server; packets that were sent, on the way from it.
    pub packets: u32,
    /// Their bytes of payload.
    pub bytes: u32,
    /// Packets that were lost on the first try.
    pub lost: u32,
}

/// Packets over one hop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// Packets that were sent into it; retransmissions do not count.
    pub packets: u64,
    /// How many of these were lost on the first try.
    pub lost: u64,
    /// How many of the lost ones came as retransmissions.
    pub restored: u64,
}

impl Hop {
    /// Adds the packets of another hop.
    pub fn add(&mut self, other: Self) {
        self.packets += other.packets;
        self.lost += other.lost;
        self.restored += other.restored;
    }

    /// Returns how much was lost on the first try, in percent.
    pub fn percent(&self) -> f64 {
        if self.packets == 0 { 0.0 } else { self.lost as f64 * 100.0 / self.packets as f64 }
    }
}

/// A key frame that a publisher was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyframeRequest {
    /// When it was asked for.
    pub at: Time,
    /// Why it was needed, in words.
    pub why: String,
    /// How long after the request a key frame began; `null` if none did.
    pub answered: Option<Time>,
}

/// A track as its publisher sent it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// The track's id, as the protocol has it.
    pub track: String,
    /// What the track shows.
    #[serde(serialize_with = "source")]
    pub source: Source,
    /// The codec that came last.
    pub codec: Option<String>,
    /// When it was published.
    pub published: Span,
    /// When it was muted.
    pub muted: Vec<Span>,
    /// Packets from the publisher to the server.
    pub hop: Hop,
    /// Key frames that came.
    pub keyframes: u64,
    /// Key frames that were asked for.
    pub keyframe_requests: Vec<KeyframeRequest>,
    /// What came in each second of the call, from the one in which the track was published.
    pub seconds: Vec<Second>,
}

/// Which part of the way made a picture stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The publisher sent nothing.
    Publisher,
    /// The way from the publisher to the server.
    PublisherUplink,
    /// The server, which held packets back.
    Server,
    /// The way from the server to the receiver.
    SubscriberDownlink,
}

/// A picture stood still, as the receiver must have seen it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Freeze {
    /// The stretch of time.
    #[serde(flatten)]
    pub span: Span,
    /// Whether another picture followed.
    pub ended: bool,
    /// What caused it.
    pub blame: Blame,
    /// Why it stood still, in words.
    pub why: String,
}

/// A track as one receiver was shown it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Watched {
    /// The name of the publisher.
    pub of: String,
    /// The track's id, as the protocol has it.
    pub track: String,
    /// What the track shows.
    #[serde(serialize_with = "source")]
    pub source: Source,
    /// The MID of the slot that showed it.
    pub mid: String,
    /// When it was in the slot.
    pub shown: Span,
    /// When the receiver had paused it.
    pub paused: Vec<Span>,
    /// How long the first picture, or the first audio, took after the track was put into the slot; `null` if there was
    /// none.
    pub first_after: Option<Time>,
    /// Packets from the server to the receiver.
    pub hop: Hop,
    /// Packets that the receiver asked for again and that had never reached the server.
    pub missed_upstream: u64,
    /// When the picture stood still.
    pub freezes: Vec<Freeze>,
    /// What went in each second of the call, from the one in which the track was put into the slot.
    pub seconds: Vec<Second>,
}

/// Something that took too long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// When the wait ended.
    pub at: Time,
    /// How long it was.
    pub lasted: Time,
    /// What it was, in words.
    pub what: String,
}

/// The delays and failures that the server itself caused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// The longest times between a packet's arrival and its departure, longest first.
    pub held: Vec<Gap>,
    /// The longest delays of its own deadlines, longest first.
    pub late: Vec<Gap>,
    /// Packets that had been sent, were asked for again, and were not sent again.
    pub not_repeated: u64,
    /// How often it was woken for this room, and for what: the most frequent first.
    pub woken: Vec<WokenFor>,
}

/// How often the server was woken for one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WokenFor {
    /// The purpose, in words.
    pub what: &'static str,
    /// How often.
    pub times: u64,
    /// How often it was woken in vain, because the deadline had moved to a later time.
    pub in_vain: u64,
}

//! The explanation as data: what the renderers draw, and what `--json` gives. Times are since the room was made.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::core::command::Source;
use crate::trace::facts::Carrier;

/// A moment of the call, or a length of time; in JSON seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

impl Time {
    /// Seconds.
    pub fn seconds(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// From an earlier moment to this one.
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Microseconds: finer than that nothing is meant, and a float would show its own errors.
        serializer.serialize_f64(self.0.as_micros() as f64 / 1e6)
    }
}

/// A length of time in words, such as `80 ms` or `1.25 s`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        match millis {
            0..1000 => write!(f, "{millis} ms"),
            1000..100_000 => write!(f, "{:.2} s", self.seconds()),
            _ => write!(f, "{:.0} s", self.seconds()),
        }
    }
}

/// From one moment to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    /// When it begins.
    pub from: Time,
    /// When it ends.
    pub to: Time,
}

impl Span {
    /// How long it is.
    pub fn length(&self) -> Time {
        self.to.since(self.from)
    }

    /// Whether a moment is in it.
    pub fn holds(&self, at: Time) -> bool {
        self.from <= at && at < self.to
    }
}

/// A whole call.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The room's name.
    pub room: String,
    /// The version of Strait that recorded.
    pub build: String,
    /// When the room was made, since 1970.
    pub began: Time,
    /// How long the trace goes.
    pub call_time: Time,
    /// Whether the trace is stripped of media and keys.
    pub stripped: bool,
    /// Why it ends, in words.
    pub ending: String,
    /// Everyone who was there, in the order of joining.
    pub participants: Vec<Person>,
    /// What the server itself has to answer for.
    pub server: Server,
}

/// One participant. Whoever comes again by joining anew is another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Their id.
    pub id: String,
    /// Their name.
    pub name: String,
    /// When they joined, and left or the trace ended.
    pub present: Span,
    /// What happened to them, in order.
    pub timeline: Vec<Entry>,
    /// How they were reached, and when.
    pub routes: Vec<RouteSpan>,
    /// What they sent.
    pub publishes: Vec<Published>,
    /// What they received.
    pub watches: Vec<Watched>,
    /// From them to the server.
    pub uplink: Hop,
    /// From the server to them.
    pub downlink: Hop,
}

impl Person {
    /// Whether this text means them: their id, or their name in any case.
    pub fn is_called(&self, text: &str) -> bool {
        self.id == text || self.name.to_lowercase() == text.to_lowercase()
    }
}

/// How much an entry matters to somebody who looks for what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// It belongs to any call.
    Plain,
    /// It may explain something.
    Notable,
    /// Somebody saw or heard it.
    Trouble,
}

/// One thing that happened to somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When.
    pub at: Time,
    /// Of what sort, in one word that programs can look for.
    pub kind: &'static str,
    /// How much it matters.
    pub weight: Weight,
    /// In words.
    pub text: String,
}

/// How somebody was reached for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteSpan {
    /// When.
    #[serde(flatten)]
    pub span: Span,
    /// By what; `null`: not at all.
    #[serde(serialize_with = "carrier")]
    pub by: Option<Carrier>,
    /// Their address.
    pub address: Option<String>,
}

fn carrier<S: Serializer>(by: &Option<Carrier>, serializer: S) -> Result<S::Ok, S::Error> {
    match by {
        Some(by) => serializer.serialize_str(super::words::carrier(*by)),
        None => serializer.serialize_none(),
    }
}

fn source<S: Serializer>(source: &Source, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(super::words::source(*source))
}

/// What went over a hop within one second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Second {
    /// Packets: on the way to the server those that came, from the server those that were sent.
    pub packets: u32,
    /// Their bytes of payload.
    pub bytes: u32,
    /// Packets that were lost on the first try.
    pub lost: u32,
}

/// Packets over one hop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// Packets that were sent into it, retransmissions apart.
    pub packets: u64,
    /// Of these lost on the first try.
    pub lost: u64,
    /// Of the lost ones those that came as retransmissions.
    pub restored: u64,
}

impl Hop {
    /// Together with another.
    pub fn add(&mut self, other: Self) {
        self.packets += other.packets;
        self.lost += other.lost;
        self.restored += other.restored;
    }

    /// How much was lost on the first try, percent.
    pub fn percent(&self) -> f64 {
        if self.packets == 0 { 0.0 } else { self.lost as f64 * 100.0 / self.packets as f64 }
    }
}

/// A key frame that a publisher was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyframeRequest {
    /// When.
    pub at: Time,
    /// Why, in words.
    pub why: String,
    /// How long after it a key frame began; `null`: none did.
    pub answered: Option<Time>,
}

/// What somebody sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// The track's id.
    pub track: String,
    /// What it shows.
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
    /// What came, second by second of the call, from the second in which it was published on.
    pub seconds: Vec<Second>,
}

/// Whose fault it was that a picture stood still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The publisher sent nothing.
    Publisher,
    /// The way from the publisher to the server.
    PublisherUplink,
    /// The server.
    Server,
    /// The way from the server to the receiver.
    SubscriberDownlink,
}

/// A picture stood still, as the receiver must have seen it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Freeze {
    /// When.
    #[serde(flatten)]
    pub span: Span,
    /// Whether another picture followed.
    pub ended: bool,
    /// Whose fault it was.
    pub blame: Blame,
    /// Why, in words.
    pub why: String,
}

/// What somebody received.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Watched {
    /// Whose it is.
    pub of: String,
    /// The track's id.
    pub track: String,
    /// What it shows.
    #[serde(serialize_with = "source")]
    pub source: Source,
    /// The slot's section.
    pub mid: String,
    /// When it was in the slot.
    pub shown: Span,
    /// When the receiver had paused it.
    pub paused: Vec<Span>,
    /// How long after it was put into the slot the first picture was there or the first sound was sent.
    pub first_after: Option<Time>,
    /// Packets from the server to the receiver.
    pub hop: Hop,
    /// Packets that the receiver asked for again and the server did not have: they never reached it.
    pub missed_upstream: u64,
    /// When the picture stood still.
    pub freezes: Vec<Freeze>,
    /// What went, second by second of the call, from the second in which it was put into the slot on.
    pub seconds: Vec<Second>,
}

/// Something that took too long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// When it ended.
    pub at: Time,
    /// How long it was.
    pub lasted: Time,
    /// What it was, in words.
    pub what: String,
}

/// What the server has to answer for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// The longest times between a packet's arrival and its departure, longest first.
    pub held: Vec<Gap>,
    /// The longest times that it was late for its own deadlines, longest first.
    pub late: Vec<Gap>,
    /// Packets that receivers asked for again, that had been sent, and that were not sent again.
    pub not_repeated: u64,
    /// How often it was woken for this room, and for what: the most frequent first.
    pub woken: Vec<WokenFor>,
}

/// How often the server was woken for one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WokenFor {
    /// For what, in words.
    pub what: &'static str,
    /// How often.
    pub times: u64,
    /// How often of these in vain: what was to happen had moved to a later time.
    pub in_vain: u64,
}

//! What is known so far about tracks and their viewers.

use super::incoming::InboundStream;
use super::keyframes::KeyframeRequests;
use super::model::{Freeze, Hop, Published, Second, Watched};
use super::time::{Span, Time};
use crate::core::command::{MediaKind, Source};
use crate::core::ids::TrackId;
use crate::trace::facts::{PacketFacts, StreamNumber};

/// For how many tenths of a second arrivals are counted: two days. The counts tell later whether anything came in a
/// stretch of time.
const TENTHS_MAX: usize = 10 * 3600 * 48;

/// Counts by seconds of the call, from the first one on.
#[derive(Debug, Default)]
pub struct Seconds {
    first: usize,
    seconds: Vec<Second>,
}

impl Seconds {
    /// Returns empty counts that begin with the second of `at`.
    pub fn from(at: Time) -> Self {
        Self { first: at.0.as_secs() as usize, seconds: Vec::new() }
    }

    /// Returns the second that a moment is in; `None` if it is before the first, or so late that the trace must be wrong.
    pub fn at(&mut self, at: Time) -> Option<&mut Second> {
        let index = (at.0.as_secs() as usize).checked_sub(self.first)?;
        if index >= self.seconds.len() && index < TENTHS_MAX / 10 {
            self.seconds.resize(index + 1, Second::default());
        }
        self.seconds.get_mut(index)
    }

    /// Counts a packet that passed.
    pub fn packet(&mut self, at: Time, length: u16) {
        if let Some(second) = self.at(at) {
            second.packets += 1;
            second.bytes += u32::from(length);
        }
    }

    /// Counts a packet that was lost.
    pub fn lost(&mut self, at: Time) {
        if let Some(second) = self.at(at) {
            second.lost += 1;
        }
    }
}

/// Stretches of time that begin and end.
#[derive(Debug, Default)]
pub struct Spans {
    done: Vec<Span>,
    since: Option<Time>,
}

impl Spans {
    /// Begins or ends a stretch. Returns whether that changed anything.
    pub fn set(&mut self, at: Time, on: bool) -> bool {
        match (self.since, on) {
            (None, true) => self.since = Some(at),
            (Some(from), false) => {
                self.done.push(Span { from, to: at });
                self.since = None;
            }
            _ => return false,
        }
        true
    }

    /// Returns all stretches; one that goes on ends at `at`.
    pub fn finish(mut self, at: Time) -> Vec<Span> {
        self.set(at, false);
        self.done
    }
}

/// What is known about a published track.
#[derive(Debug)]
pub struct Track {
    /// The number of its publisher.
    pub person: usize,
    pub id: TrackId,
    pub source: Source,
    /// The codec that came last.
    pub codec: Option<String>,
    /// When it was published.
    pub published: Time,
    /// When it was withdrawn, if it was.
    pub gone: Option<Time>,
    /// When it was muted.
    pub muted: Spans,
    /// Its key frames, and requests for them.
    pub keyframes: KeyframeRequests,
    /// Packets that came, second by second.
    pub seconds: Seconds,
    /// The encoding that is forwarded.
    pub followed: Option<StreamNumber>,
    /// The encodings that its publisher is to send, since the first time that they were told.
    pub active: Option<Vec<String>>,
    /// Counts of the hop to the server, of streams that have ended.
    pub hop: Hop,
    tenths: Vec<u16>,
}

impl Track {
    /// Returns a track that was published at `at`.
    pub fn new(at: Time, person: usize, id: TrackId, source: Source, muted: bool) -> Self {
        let mut spans = Spans::default();
        spans.set(at, muted);
        Self {
            person,
            id,
            source,
            codec: None,
            published: at,
            gone: None,
            muted: spans,
            keyframes: KeyframeRequests::default(),
            seconds: Seconds::from(at),
            followed: None,
            active: None,
            hop: Hop::default(),
            tenths: Vec::new(),
        }
    }

    /// Takes a packet of the track that came.
    pub fn came(&mut self, at: Time, packet: &PacketFacts) {
        self.seconds.packet(at, packet.length);
        let tenth = usize::try_from(at.0.as_millis() / 100).unwrap_or(usize::MAX);
        if tenth < TENTHS_MAX {
            if tenth >= self.tenths.len() {
                self.tenths.resize(tenth + 1, 0);
            }
            self.tenths[tenth] = self.tenths[tenth].saturating_add(1);
        }
        if packet.starts_keyframe && self.is_video() {
            self.keyframes.came(at, packet.timestamp);
        }
    }

    /// Returns whether the track is video.
    pub fn is_video(&self) -> bool {
        self.source.kind() == MediaKind::Video
    }

    /// Returns how many packets came well within a stretch of time.
    pub fn came_within(&self, from: Time, to: Time) -> u64 {
        // The tenths at both ends lie partly outside, so they do not count.
        let (from, to) = (from.0.as_millis() / 100 + 1, to.0.as_millis() / 100);
        let range = usize::try_from(from).unwrap_or(usize::MAX)..usize::try_from(to).unwrap_or(usize::MAX);
        let end = range.end.min(self.tenths.len());
        self.tenths.get(range.start..end).unwrap_or_default().iter().map(|count| u64::from(*count)).sum()
    }

    /// Adds the counts of a stream that has ended.
    pub fn take_stream(&mut self, incoming: &mut InboundStream) {
        for since in incoming.end() {
            self.seconds.lost(since);
        }
        self.hop.add(std::mem::take(&mut incoming.hop));
    }

    /// Returns everything about the track; what goes on ends at `at`.
    pub fn finish(self, at: Time) -> Published {
        let to = self.gone.unwrap_or(at);
        Published {
            track: self.id.to_string(),
            source: self.source,
            codec: self.codec,
            published: Span { from: self.published, to },
            muted: self.muted.finish(to),
            hop: self.hop,
            keyframes: self.keyframes.keyframes,
            keyframe_requests: self.keyframes.requests,
            seconds: self.seconds.seconds,
        }
    }
}

/// A watching: a track in somebody's slot.
#[derive(Debug)]
pub struct Watching {
    /// The number of the receiver.
    pub person: usize,
    /// The number of the track.
    pub track: usize,
    /// The MID of the slot that shows it.
    pub mid: String,
    /// When it was put into the slot.
    pub shown: Time,
    /// When it was taken out of the slot, if it was.
    pub hidden: Option<Time>,
    /// When it was paused.
    pub paused: Spans,
    /// When the first picture or audio was there.
    pub first_after: Option<Time>,
    /// Counts of the hop to the receiver.
    pub hop: Hop,
    /// Packets that the receiver asked for again and the server never had.
    pub missed_upstream: u64,
    /// When it stood still.
    pub freezes: Vec<Freeze>,
    /// Packets that were sent, second by second.
    pub seconds: Seconds,
    /// The number of the present showing.
    pub showing: usize,
}

impl Watching {
    /// Returns a watching that begins at `at`.
    pub fn new(at: Time, person: usize, track: usize, mid: String, showing: usize) -> Self {
        Self {
            person,
            track,
            mid,
            shown: at,
            hidden: None,
            paused: Spans::default(),
            first_after: None,
            hop: Hop::default(),
            missed_upstream: 0,
            freezes: Vec::new(),
            seconds: Seconds::from(at),
            showing,
        }
    }

    /// Returns everything about the watching; what goes on ends at `at`. `of` is the publisher's name.
    pub fn finish(mut self, at: Time, of: String, track: &Track) -> Watched {
        let to = self.hidden.unwrap_or(at);
        self.freezes.sort_by_key(|freeze| freeze.span.from);
        Watched {
            of,
            track: track.id.to_string(),
            source: track.source,
            mid: self.mid,
            shown: Span { from: self.shown, to },
            paused: self.paused.finish(to),
            first_after: self.first_after,
            hop: self.hop,
            missed_upstream: self.missed_upstream,
            freezes: self.freezes,
            seconds: self.seconds.seconds,
        }
    }
}

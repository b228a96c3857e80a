//! Viewing: the receiver of one slot. Like a browser, it puts packets in order, decodes frames, and asks for what is
//! missing. It notes frames that cannot be decoded although everything came.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use super::Post;
use super::listening::Listening;
use crate::core::command::MediaKind;
use crate::core::ids::Ssrc;
use crate::core::media::receive::ReceiveStatistics;
use crate::core::media::rtcp::ReportBlock;
use crate::sim::codec::Stamp;
use crate::sim::network::Micros;

/// How long after a gap was seen, or after the last request, a packet is asked for, µs.
const NACK_AFTER: Micros = 20_000;
const NACK_AGAIN: Micros = 100_000;
const NACK_TRIES: u8 = 6;
/// After how long a picture that stands still although newer packets came needs a key frame, µs.
const STUCK_AFTER: Micros = 250_000;
const PLI_INTERVAL: Micros = 400_000;
/// As many frames back a frame may refer to another.
const REFERS_MAX: usize = 8;
/// A picture stands still, as a person sees it, if the next one comes later than three frames usually do, and by this much,
/// µs.
const FREEZE: Micros = 150_000;
/// How many packets may wait for those before them.
const WAITING_MAX: usize = 600;

#[derive(Debug, Clone, Copy)]
struct Hole {
    ask_at: Micros,
    tries: u8,
}

/// What a slot asks the server for.
#[derive(Debug, Default)]
pub struct Asks {
    /// Sequence numbers that were lost, to be asked for.
    pub lost: Vec<u16>,
    /// Whether a key frame is to be asked for.
    pub keyframe: bool,
}

/// The state of one slot's receiver.
#[derive(Debug)]
pub struct Viewing {
    /// The MID of its section.
    pub mid: String,
    kind: MediaKind,
    statistics: ReceiveStatistics,
    highest: Option<u64>,
    holes: BTreeMap<u64, Hole>,
    waiting: BTreeMap<u64, Stamp>,
    /// Numbers of packets without anything in them.
    empty: BTreeSet<u64>,
    /// The index that follows the last decoded frame.
    next: Option<u64>,
    last: Option<Stamp>,
    /// The numbers of the frames of that stream that were decoded last.
    references: VecDeque<u32>,
    stuck_since: Option<Micros>,
    asked_at: Option<Micros>,
    /// Frames decoded lately: the time and the stream of each.
    pub decoded: VecDeque<(Micros, u32)>,
    /// What was heard in it.
    pub listening: Listening,
    /// How pictures came.
    pub smoothness: Smoothness,
}

/// How evenly pictures came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Smoothness {
    last: Option<Micros>,
    /// The usual time between two pictures, µs.
    interval: Micros,
    /// Pictures that were shown.
    pub pictures: u64,
    /// How often the picture stood still.
    pub freezes: u64,
    /// For how long in all, µs.
    pub frozen: Micros,
    /// How often a key frame was asked for.
    pub asked: u64,
}

impl Smoothness {
    /// Notes that nothing is to come for a while.
    pub fn interrupt(&mut self) {
        (self.last, self.interval) = (None, 0);
    }

    /// Adds what was counted of another track.
    pub fn add(&mut self, other: &Self) {
        self.pictures += other.pictures;
        self.freezes += other.freezes;
        self.frozen += other.frozen;
        self.asked += other.asked;
    }

    fn shows(&mut self, now: Micros) {
        self.pictures += 1;
        let Some(last) = self.last.replace(now) else { return };
        let gap = now - last;
        if self.interval > 0 && gap > (self.interval * 3).max(self.interval + FREEZE) {
            self.freezes += 1;
            self.frozen += gap;
        }
        self.interval = if self.interval == 0 { gap } else { (self.interval * 7 + gap) / 8 };
    }
}

impl Viewing {
    /// Returns a slot in which nothing has come yet.
    pub fn new(mid: String, kind: MediaKind) -> Self {
        let rate = if kind == MediaKind::Audio { 48_000 } else { 90_000 };
        Self {
            mid,
            kind,
            statistics: ReceiveStatistics::new(rate),
            highest: None,
            holes: BTreeMap::new(),
            waiting: BTreeMap::new(),
            empty: BTreeSet::new(),
            next: None,
            last: None,
            references: VecDeque::new(),
            stuck_since: None,
            asked_at: None,
            decoded: VecDeque::new(),
            listening: Listening::default(),
            smoothness: Smoothness::default(),
        }
    }

    /// Whether it is for audio or for video.
    pub fn kind(&self) -> MediaKind {
        self.kind
    }

    /// Takes a packet of the stream itself.
    pub fn on_packet(
        &mut self,
        now: (Micros, Instant),
        index: u64,
        timestamp: u32,
        stamp: Stamp,
        post: &mut Post,
    ) {
        self.counts(now, index, timestamp);
        self.place(now.0, index, stamp, post);
    }

    /// Takes a packet with nothing in it: a number that was kept for what then turned out not to be needed.
    pub fn on_empty(&mut self, now: (Micros, Instant), index: u64, timestamp: u32, post: &mut Post) {
        self.counts(now, index, timestamp);
        self.holes.remove(&index);
        self.empty.insert(index);
        while self.empty.len() > WAITING_MAX {
            self.empty.pop_first();
        }
        self.decode(now.0, post);
    }

    /// Notes that a number has come, and which before it have not.
    fn counts(&mut self, now: (Micros, Instant), index: u64, timestamp: u32) {
        self.statistics.on_packet(now.1, index, timestamp);
        if self.kind == MediaKind::Video {
            let next = self.highest.map_or(index, |highest| highest + 1);
            // So large a gap is not loss: the stream's numbers have jumped, and nobody asks for those between.
            if index > next + 1000 {
                self.holes.clear();
            } else {
                for missing in next..index {
                    self.holes.insert(missing, Hole { ask_at: now.0 + NACK_AFTER, tries: 0 });
                }
            }
        }
        self.highest = self.highest.max(Some(index));
    }

    /// Takes a packet that came again; `sequence` is that of the original.
    pub fn on_repeated(&mut self, now: Micros, sequence: u16, stamp: Stamp, post: &mut Post) {
        let Some(highest) = self.highest else { return };
        let back = (highest as u16).wrapping_sub(sequence).cast_signed();
        let Some(index) = highest.checked_add_signed(-i64::from(back)) else { return };
        self.place(now, index, stamp, post);
    }

    fn place(&mut self, now: Micros, index: u64, stamp: Stamp, post: &mut Post) {
        self.holes.remove(&index);
        if self.kind == MediaKind::Audio {
            self.listening.on_frame(&stamp);
            self.note(now, &stamp);
            return;
        }
        // Its frame was shown or given up.
        if self.next.is_some_and(|next| index < next) {
            return;
        }
        self.waiting.insert(index, stamp);
        while self.waiting.len() > WAITING_MAX {
            self.waiting.pop_first();
        }
        self.decode(now, post);
        let stuck = !self.waiting.is_empty();
        self.stuck_since = if stuck { self.stuck_since.or(Some(now)) } else { None };
    }

    fn decode(&mut self, now: Micros, post: &mut Post) {
        loop {
            while self.next.is_some_and(|next| self.empty.remove(&next)) {
                self.next = self.next.map(|next| next + 1);
            }
            // The next frame in order, or else a key frame, for which all earlier ones are given up.
            let starts: Option<u64> = match self.next.filter(|next| self.is_whole(*next)) {
                Some(next) => Some(next),
                None => {
                    let keys = self.waiting.iter().filter(|(_, stamp)| stamp.starts_key());
                    let mut keys = keys.map(|(index, _)| *index);
                    keys.find(|index| self.is_whole(*index))
                }
            };
            let Some(start) = starts else { return };
            let Some(stamp) = self.waiting.get(&start).copied() else { return };
            // A frame that seems to follow must really follow at the publisher: what it refers to must have been decoded.
            let reference = stamp.frame.wrapping_sub(u32::from(stamp.place.refers));
            if let Some(last) = self.last.filter(|_| Some(start) == self.next && !stamp.key) {
                let continues = last.stream == stamp.stream && stamp.codec == last.codec;
                if !continues || !self.references.contains(&reference) {
                    post.complain(format!(
                        "frame {stamp:?} was spliced behind {last:?}: it cannot be decoded"
                    ));
                }
            }
            self.next = Some(start + u64::from(stamp.parts));
            if stamp.key {
                self.references.clear();
            }
            self.references.push_front(stamp.frame);
            self.references.truncate(REFERS_MAX);
            self.last = Some(stamp);
            self.waiting = self.waiting.split_off(&(start + u64::from(stamp.parts)));
            self.holes = self.holes.split_off(&start);
            self.stuck_since = if self.waiting.is_empty() { None } else { Some(now) };
            self.note(now, &stamp);
        }
    }

    /// Returns whether all packets of the frame that begins at `start` have come.
    fn is_whole(&self, start: u64) -> bool {
        let Some(first) = self.waiting.get(&start) else { return false };
        first.part == 0
            && (0..u64::from(first.parts)).all(|part| {
                self.waiting.get(&(start + part)).is_some_and(|stamp| {
                    stamp.stream == first.stream
                        && stamp.frame == first.frame
                        && u64::from(stamp.part) == part
                })
            })
    }

    fn note(&mut self, now: Micros, stamp: &Stamp) {
        self.smoothness.shows(now);
        self.note_shown(now, stamp.stream);
    }

    /// Returns the stream of the picture that is shown, if it is no older than that.
    pub fn shown_since(&self, since: Micros) -> Option<u32> {
        self.decoded.back().filter(|(at, _)| *at >= since).map(|(_, stream)| *stream)
    }

    /// Notes that a frame of that stream was shown.
    pub fn note_shown(&mut self, now: Micros, stream: u32) {
        self.decoded.push_back((now, stream));
        while self.decoded.front().is_some_and(|(at, _)| at + 10_000_000 < now) {
            self.decoded.pop_front();
        }
    }

    /// Returns when something has to be asked for.
    pub fn deadline(&self) -> Option<Micros> {
        let holes = self.holes.values().map(|hole| hole.ask_at).min();
        let stuck = self.stuck_since.map(|since| {
            let at = since + STUCK_AFTER;
            self.asked_at.map_or(at, |asked| at.max(asked + PLI_INTERVAL))
        });
        holes.into_iter().chain(stuck).min()
    }

    /// Returns what has to be asked for now, and counts it as asked.
    pub fn asks(&mut self, now: Micros) -> Asks {
        let mut asks = Asks::default();
        self.holes.retain(|index, hole| {
            if hole.ask_at <= now {
                asks.lost.push(*index as u16);
                hole.tries += 1;
                hole.ask_at = now + NACK_AGAIN;
            }
            hole.tries < NACK_TRIES
        });
        let stuck = self.stuck_since.is_some_and(|since| now >= since + STUCK_AFTER);
        let patient = self.asked_at.is_some_and(|at| now < at + PLI_INTERVAL);
        if stuck && !patient {
            self.asked_at = Some(now);
            self.smoothness.asked += 1;
            asks.keyframe = true;
        }
        asks
    }

    /// What a receiver report says of it.
    pub fn report(&mut self, ssrc: u32, now: Instant) -> Option<ReportBlock> {
        (self.statistics.packets() > 0).then(|| self.statistics.report_block(Ssrc(ssrc), now))
    }

    /// A sender report came.
    pub fn on_sender_report(&mut self, now: Instant, ntp: u64) {
        self.statistics.on_sender_report(now, ntp);
    }
}

//! Viewing: the receiver of one slot. Like a browser, it puts packets in order, decodes frames, and asks for what is
//! missing. It notes frames that cannot be decoded although everything came.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::Post;
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
    /// The index that follows the last decoded frame.
    next: Option<u64>,
    last: Option<Stamp>,
    stuck_since: Option<Micros>,
    asked_at: Option<Micros>,
    /// Frames decoded lately: the time and the stream of each.
    pub decoded: VecDeque<(Micros, u32)>,
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
            next: None,
            last: None,
            stuck_since: None,
            asked_at: None,
            decoded: VecDeque::new(),
        }
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
        self.place(now.0, index, stamp, post);
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
            // A frame that seems to follow must really follow the last one at the publisher.
            if let Some(last) = self.last.filter(|_| Some(start) == self.next && !stamp.key) {
                let continues =
                    last.stream == stamp.stream && stamp.frame == last.frame + 1 && stamp.codec == last.codec;
                if !continues {
                    post.complain(format!(
                        "frame {stamp:?} was spliced behind {last:?}: it cannot be decoded"
                    ));
                }
            }
            self.next = Some(start + u64::from(stamp.parts));
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
        self.note_shown(now, stamp.stream);
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

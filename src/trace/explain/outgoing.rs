//! Reconstructs what the receiver of one slot must have got. The trace does not say it, so it is concluded from the
//! packets that were sent, those that the receiver asked for again, and the loss that it reported. For video, this
//! tells when each picture could be decoded, and when the picture stood still.
//!
//! All packets are assumed to travel for the same time, so that only differences count. A picture can be decoded once
//! all of it and everything since the last key frame is there. That is too strict if some pictures are not needed by
//! others (temporal layers): a browser may have shown more.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::time::Time;
use crate::trace::facts::PacketFacts;
use crate::trace::original::{first_index, index_of};

/// How long after it was sent a packet's fate is known, because nobody asks for it any more.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long packets to a silent receiver wait for the next report, which tells what became of them.
const UNHEARD_MAX: Duration = Duration::from_secs(60);
/// The longest time between two reports of a receiver that can be reached. They are sent every second or more often.
const SILENCE: Duration = Duration::from_millis(2500);
/// How much longer than the round trip a packet may be on its way before it counts as lost.
const SLACK: Duration = Duration::from_millis(200);
/// The round trip that is assumed until a report tells of one.
const ROUND_TRIP_UNKNOWN: Duration = Duration::from_millis(100);

/// How many intervals between pictures are averaged, as in WebRTC's statistics.
const INTERVALS_MAX: usize = 30;
/// How many intervals are needed to say what is too long.
const INTERVALS_MIN: usize = 5;
/// A picture stands still if the next one takes this much longer than the average and [`FREEZE_TIMES`] times as long.
const FREEZE_MORE: Duration = Duration::from_millis(150);
/// See [`FREEZE_MORE`].
const FREEZE_TIMES: u32 = 3;

/// One packet that was sent.
#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Time,
    timestamp: u32,
    showing: usize,
    marker: bool,
    starts_keyframe: bool,
    /// When it arrived, minus the travel time; `None` if not yet or never.
    arrived: Option<Time>,
    /// Whether it was lost on the first try.
    lost: bool,
    /// Whether the receiver asked for it again.
    asked: bool,
    /// Whether it was sent again.
    repeated: bool,
    /// Whether it was sent behind later packets, because it was lost on its way to the server at first.
    overtaken: bool,
}

/// What happened between two pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Between {
    /// Packets lost on the way to the receiver.
    pub lost: u64,
    /// How many of these came again.
    pub restored: u64,
    /// Packets that never came to the server.
    pub missing: u64,
    /// Packets that came to the server as retransmissions.
    pub overtaken: u64,
    /// Whether the picture that ended it began with a key frame.
    pub keyframe: bool,
}

impl Between {
    fn has_loss(&self) -> bool {
        self.lost + self.missing + self.overtaken > 0
    }

    fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.restored += other.restored;
        self.missing += other.missing;
        self.overtaken += other.overtaken;
    }
}

/// A picture that took too long, as the receiver saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stood {
    /// The showing that it belongs to.
    pub showing: usize,
    /// When this picture was shown.
    pub from: Time,
    /// When the next one was shown, or this one no longer.
    pub until: Time,
    /// Whether another picture came.
    pub ended: bool,
    /// The time between the two pictures when they were captured.
    pub media: Duration,
    /// What became of the packets meanwhile.
    pub between: Between,
}

/// A finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The first picture of a showing was complete.
    First {
        /// The showing that it belongs to.
        showing: usize,
        /// When it was complete.
        at: Time,
    },
    /// A picture took too long.
    Stood(Stood),
    /// A packet was lost on the first try.
    Lost {
        /// The showing that it belongs to.
        showing: usize,
        /// When it was sent.
        at: Time,
        /// Whether it came again.
        restored: bool,
    },
}

/// The pictures that a receiver could show.
#[derive(Debug, Default)]
struct Pictures {
    showing: Option<usize>,
    /// Whether everything since the last key frame is there.
    intact: bool,
    ready: Time,
    /// The last picture that was shown: when, and its timestamp.
    last: Option<(Time, u32)>,
    /// The newest picture that stood still. It is not reported yet, because more losses may be found.
    stood: Option<Stood>,
    intervals: VecDeque<Duration>,
    between: Between,
    /// When each showing ended.
    ends: BTreeMap<usize, Time>,
}

/// The stream of one slot, from the server to a receiver.
#[derive(Debug, Default)]
pub struct Outgoing {
    is_video: bool,
    highest: Option<u64>,
    sent: BTreeMap<u64, Sent>,
    /// The next index to be settled.
    next: Option<u64>,
    pictures: Pictures,
    reported: Option<(u64, i32)>,
    heard: Time,
    /// Since when the receiver was silent, if it asked for something after that but has not reported yet.
    silent_since: Option<Time>,
    reported_at: Time,
    round_trip: Option<Duration>,
    /// Packets that the receiver asked for and that were never sent.
    pub missed_upstream: u64,
    /// Packets that the receiver asked for, that were sent once, and that were not sent again.
    pub not_repeated: u64,
}

impl Outgoing {
    /// Returns a stream of which nothing has been sent yet.
    pub fn new(is_video: bool) -> Self {
        Self { is_video, ..Self::default() }
    }

    /// Takes a packet that was sent. Returns whether it is an original and not a retransmission. `showing` is the
    /// slot's present one.
    pub fn went(&mut self, at: Time, showing: usize, packet: &PacketFacts) -> bool {
        let highest = self.highest.unwrap_or_else(|| first_index(packet.sequence));
        let index = index_of(highest, packet.sequence);
        if packet.is_retransmission {
            if let Some(sent) = self.sent.get_mut(&index) {
                sent.repeated = true;
                // It is assumed to arrive, until the receiver asks again.
                sent.arrived = sent.arrived.or(Some(at));
            }
            return false;
        }
        self.highest = Some(highest.max(index));
        self.next.get_or_insert(index);
        self.sent.insert(
            index,
            Sent {
                at,
                timestamp: packet.timestamp,
                showing,
                marker: packet.marker,
                starts_keyframe: packet.starts_keyframe,
                arrived: Some(at),
                lost: false,
                asked: false,
                repeated: false,
                overtaken: index < highest,
            },
        );
        true
    }

    /// Takes a receiver's NACK.
    pub fn wanted_again(&mut self, at: Time, sequences: &[u16]) {
        self.heard(at);
        let Some(highest) = self.highest else { return };
        let round_trip = self.round_trip.unwrap_or(ROUND_TRIP_UNKNOWN);
        for sequence in sequences {
            let index = index_of(highest, *sequence);
            match self.sent.get_mut(&index) {
                // It came late to the server, and was on its way when the receiver asked.
                Some(sent) if sent.overtaken && at.since(sent.at).0 < round_trip + SLACK => {}
                Some(sent) => {
                    sent.asked = true;
                    sent.lost = true;
                    // A retransmission that was sent within the last round trip may have been on its way.
                    if sent.arrived.is_some_and(|arrived| !sent.repeated || at.since(arrived).0 > round_trip)
                    {
                        sent.arrived = None;
                    }
                }
                None if self.next.is_some_and(|next| next <= index) => self.missed_upstream += 1,
                None => {}
            }
        }
    }

    /// Notes that something came from the receiver, such as a request for a key frame.
    pub fn heard(&mut self, at: Time) {
        if at.since(self.heard).0 > SILENCE {
            self.silent_since.get_or_insert(self.heard);
        }
        self.heard = at;
    }

    /// Takes a receiver report: the total loss and the highest sequence number (RFC 3550 §6.4.1).
    pub fn reported(&mut self, at: Time, lost: i32, highest: u16, round_trip: Option<Duration>) {
        self.heard(at);
        self.reported_at = at;
        let silent_since = self.silent_since.take();
        self.round_trip = round_trip.or(self.round_trip);
        let Some(newest) = self.highest else { return };
        let highest = index_of(newest, highest);
        let round_trip = self.round_trip.unwrap_or(ROUND_TRIP_UNKNOWN);
        let long_ago = Time(at.0.saturating_sub(round_trip + SLACK));
        // If the highest number does not rise although more was sent long ago, those packets did not arrive.
        for (_, sent) in self.sent.range_mut(highest + 1..).filter(|(_, sent)| sent.at < long_ago) {
            sent.lost = true;
            if !sent.repeated {
                sent.arrived = None;
            }
        }
        if let Some((before, lost_before)) = self.reported.replace((highest, lost)) {
            let newly = u64::try_from(lost.saturating_sub(lost_before)).unwrap_or(0);
            self.account(before, highest, newly, at, silent_since);
        }
    }

    /// Corrects the number of lost packets in a range to what the receiver reports. NACKs tell sooner which packets are
    /// lost, but not about those that nobody asks for.
    fn account(&mut self, before: u64, highest: u64, lost: u64, now: Time, silent_since: Option<Time>) {
        if highest <= before || highest - before > 1 << 15 {
            return;
        }
        let within = self.sent.range(before + 1..=highest);
        let (mut there, mut known) = (0, 0);
        for (_, sent) in within {
            there += 1;
            known += u64::from(sent.lost);
        }
        // The receiver also counts packets that were never sent.
        known += (highest - before).saturating_sub(there);
        if known > lost {
            // Fewer are lost than it seemed: packets that were late have come after all, unless they were asked for.
            let late = self.sent.range_mut(before + 1..=highest);
            let late = late.filter(|(_, sent)| sent.lost && !sent.asked && sent.arrived.is_none());
            for (_, sent) in late.take((known - lost) as usize) {
                sent.lost = false;
                sent.arrived = Some(now);
            }
        } else if let Some(since) = silent_since {
            // More are lost than it asked for, and it was silent for a while, so they were lost then.
            let dark = self.sent.range_mut(before + 1..=highest);
            let dark = dark.filter(|(_, sent)| !sent.lost && sent.at >= since);
            for (_, sent) in dark.take((lost - known) as usize) {
                sent.lost = true;
                sent.arrived = None;
            }
        }
    }

    /// Decides what became of packets that were sent long enough before `now`; with `None`, of all packets.
    pub fn settle(&mut self, now: Option<Time>, found: &mut Vec<Found>) {
        while let (Some(next), Some((first, sent))) = (self.next, self.sent.first_key_value()) {
            let (first, sent) = (*first, *sent);
            let is_due = |now: Time| {
                let is_unheard = sent.at > self.reported_at && now.since(self.reported_at).0 > SILENCE;
                now.since(sent.at).0 > if is_unheard { UNHEARD_MAX } else { PATIENCE }
            };
            if !now.is_none_or(is_due) {
                return;
            }
            self.sent.remove(&first);
            // It was sent after its place had been given up.
            if first < next {
                continue;
            }
            self.next = Some(first + 1);
            // Missing numbers between two packets that were sent belong to packets that never came to the server.
            self.pictures.between.missing += first - next;
            if first > next {
                self.pictures.intact = false;
            }
            if sent.lost {
                let restored = sent.arrived.is_some();
                found.push(Found::Lost { showing: sent.showing, at: sent.at, restored });
                self.not_repeated += u64::from(sent.asked && !sent.repeated);
            }
            if self.is_video {
                self.pictures.take(&sent, found);
            } else if self.pictures.showing != Some(sent.showing) {
                self.pictures.showing = Some(sent.showing);
                found.push(Found::First { showing: sent.showing, at: sent.at });
            }
        }
    }

    /// Ends a showing, because the track was taken out of the slot, paused or muted.
    pub fn interrupted(&mut self, showing: usize, at: Time) {
        self.pictures.ends.entry(showing).or_insert(at);
    }

    /// Ends the stream, and adds the remaining findings.
    pub fn finish(&mut self, at: Time, found: &mut Vec<Found>) {
        self.settle(None, found);
        self.pictures.end(at, found);
    }
}

impl Pictures {
    fn take(&mut self, sent: &Sent, found: &mut Vec<Found>) {
        if self.showing != Some(sent.showing) {
            self.end(sent.at, found);
            self.showing = Some(sent.showing);
        }
        self.between.lost += u64::from(sent.lost);
        self.between.restored += u64::from(sent.lost && sent.arrived.is_some());
        self.between.overtaken += u64::from(sent.overtaken);
        match sent.arrived {
            Some(arrived) if sent.starts_keyframe => {
                // A decoder begins anew here, and no longer waits for what was lost before.
                self.between.keyframe = true;
                self.ready = if self.intact { self.ready.max(arrived) } else { arrived };
                self.intact = true;
            }
            Some(arrived) => self.ready = self.ready.max(arrived),
            None => self.intact = false,
        }
        if sent.marker && self.intact {
            self.show(sent.timestamp, found);
        }
    }

    /// Notes that the picture with this timestamp is complete and can be shown.
    fn show(&mut self, timestamp: u32, found: &mut Vec<Found>) {
        let Some(showing) = self.showing else { return };
        let at = self.ready;
        let between = std::mem::take(&mut self.between);
        let Some((last, last_timestamp)) = self.last.replace((at, timestamp)) else {
            found.push(Found::First { showing, at });
            return;
        };
        let interval = at.since(last).0;
        if self.is_too_long(interval) {
            found.extend(self.stood.take().map(Found::Stood));
            let ticks = timestamp.wrapping_sub(last_timestamp);
            // Video has 90,000 ticks a second.
            let media = Duration::from_micros(u64::from(ticks) * 100 / 9);
            self.stood = Some(Stood { showing, from: last, until: at, ended: true, media, between });
            return;
        }
        // Losses before pictures that follow a freeze closely count as part of its cause.
        if let Some(stood) = &mut self.stood {
            if at.since(stood.until).0 < FREEZE_MORE && between.has_loss() {
                stood.between.add(between);
            } else {
                found.extend(self.stood.take().map(Found::Stood));
            }
        }
        if self.intervals.len() >= INTERVALS_MAX {
            self.intervals.pop_front();
        }
        self.intervals.push_back(interval);
    }

    fn is_too_long(&self, interval: Duration) -> bool {
        let Ok(count) = u32::try_from(self.intervals.len()) else { return false };
        if self.intervals.len() < INTERVALS_MIN {
            return false;
        }
        let average = self.intervals.iter().sum::<Duration>() / count;
        interval > (average * FREEZE_TIMES).max(average + FREEZE_MORE)
    }

    /// Notes that no more pictures of the showing come after `at`.
    fn end(&mut self, at: Time, found: &mut Vec<Found>) {
        let at = self.showing.and_then(|showing| self.ends.remove(&showing)).unwrap_or(at);
        found.extend(self.stood.take().map(Found::Stood));
        if let (Some(showing), Some((last, _))) = (self.showing, self.last)
            && self.is_too_long(at.since(last).0)
        {
            let (from, media, between) = (last, Duration::ZERO, self.between);
            let stood = Stood { showing, from, until: at, ended: false, media, between };
            found.push(Found::Stood(stood));
        }
        *self = Self { ends: std::mem::take(&mut self.ends), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_late_itself_and_crossed_the_request_for_it_was_not_lost_on_the_way_down() {
        let at = |millis| Time(Duration::from_millis(millis));
        let lost = |asked: u64| {
            let mut outgoing = Outgoing::new(true);
            for (millis, sequence) in [(0, 1), (20, 3), (100, 2), (120, 4)] {
                let packet = PacketFacts {
                    stream: 0,
                    sequence,
                    timestamp: 0,
                    length: 100,
                    marker: true,
                    starts_keyframe: sequence == 1,
                    is_retransmission: false,
                };
                outgoing.went(at(millis), 0, &packet);
            }
            outgoing.wanted_again(at(asked), &[2]);
            let mut found = Vec::new();
            outgoing.finish(at(10_000), &mut found);
            found.iter().filter(|found| matches!(found, Found::Lost { .. })).count()
        };
        assert_eq!(lost(110), 0, "the request left before the packet was there");
        assert_eq!(lost(1000), 1);
    }
}

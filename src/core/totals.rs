//! Totals since start-up, for monitoring: plain counters that never go down, even when streams end.
//!
//! Each stream has its own counters. What they have counted since the last time is added here when somebody asks and
//! when a stream ends, so forwarding a packet costs nothing more, and nothing is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use super::command::MediaKind;
use super::event::LeaveReason;
use super::happening::Traffic;
use super::path::TransportProtocol;
use super::stats::{EgressCounters, StreamCounters};
use super::steering::Verdict;
use super::topology::{Mode, Outcome, Reason};

/// Upper bounds of the buckets of [`SetupTimes`], milliseconds.
pub const SETUP_BUCKETS_MS: [u64; 8] = [100, 250, 500, 1000, 2500, 5000, 10_000, 30_000];

/// The direction of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From a client to the server.
    In,
    /// From the server to a client.
    Out,
}

/// The labels by which streams are counted separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamClass {
    /// From clients, or to them.
    pub direction: Direction,
    /// Whether it carries audio or video.
    pub kind: MediaKind,
    /// The codec's name, once known.
    pub codec: Option<&'static str>,
    /// How its client is connected, once known.
    pub transport: Option<TransportProtocol>,
}

/// How long it took from joining until media could flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetupTimes {
    /// How many took at most the bucket's time and more than the previous bucket's. The last bucket has all that took
    /// longer.
    pub buckets: [u64; SETUP_BUCKETS_MS.len() + 1],
    /// The sum of all times, for averages.
    pub sum: Duration,
}

impl SetupTimes {
    /// Adds the times of `other`.
    fn add(&mut self, other: &Self) {
        for (own, other) in self.buckets.iter_mut().zip(other.buckets) {
            *own += other;
        }
        self.sum += other.sum;
    }

    /// Counts a set-up that took this long.
    pub fn note(&mut self, time: Duration) {
        let bucket = SETUP_BUCKETS_MS.iter().position(|most| time <= Duration::from_millis(*most));
        self.buckets[bucket.unwrap_or(SETUP_BUCKETS_MS.len())] += 1;
        self.sum += time;
    }
}

/// Moves of calls between the mesh and the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrations {
    /// How many have begun, by where they lead, in the order of [`Mode::ALL`].
    pub started: [u64; 2],
    /// How many are over, by where they led, how they ended and why.
    pub ended: BTreeMap<(Mode, Outcome, Reason), u64>,
    /// How long those took that succeeded, by where they led.
    pub times: [SetupTimes; 2],
    /// And those that failed: how long it was until they were given up.
    pub failed_times: [SetupTimes; 2],
}

impl Migrations {
    /// Notes that a move is over.
    pub fn note_end(&mut self, to: Mode, outcome: Outcome, reason: Reason, took: Duration) {
        *self.ended.entry((to, outcome, reason)).or_default() += 1;
        match outcome {
            Outcome::Succeeded => self.times[to as usize].note(took),
            Outcome::Failed => self.failed_times[to as usize].note(took),
            Outcome::Cancelled => {}
        }
    }

    /// Notes that a move that was over has not lasted.
    pub fn note_failure(&mut self, to: Mode, reason: Reason) {
        *self.ended.entry((to, Outcome::Failed, reason)).or_default() += 1;
    }

    /// Adds the moves of `other`.
    pub fn add(&mut self, other: Self) {
        for to in Mode::ALL {
            self.started[to as usize] += other.started[to as usize];
            self.times[to as usize].add(&other.times[to as usize]);
            self.failed_times[to as usize].add(&other.failed_times[to as usize]);
        }
        for (what, count) in other.ended {
            *self.ended.entry(what).or_default() += count;
        }
    }
}

/// Everything that was counted since start-up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many rooms were made.
    pub rooms: u64,
    /// How many people entered a room.
    pub joins: u64,
    /// How many people resumed after their signalling had broken.
    pub resumes: u64,
    /// How many people left for each reason, in the order of [`LeaveReason::ALL`].
    pub leaves: [u64; LeaveReason::ALL.len()],
    /// Messages on data channels that were not passed on, because their sender may not send, or sends too much.
    pub data_refused: u64,
    /// Reliable data channels that were closed because their member received too slowly.
    pub channels_too_slow: u64,
    /// Handshakes that led to keys.
    pub handshakes_done: u64,
    /// Handshakes that failed, or that the client ended before there were keys.
    pub handshakes_failed: u64,
    /// Handshakes that were refused because the certificate's fingerprint was not the offer's.
    pub fingerprints_refused: u64,
    /// How often somebody was shown an encoding of a simulcast that they were not shown before.
    pub layer_changes: u64,
    /// How often a publisher was told to send other encodings than before.
    pub encoding_orders: u64,
    /// What was decided of what networks let people be shown, in the order of [`Verdict::KINDS`].
    pub steering: [u64; Verdict::<()>::KINDS.len()],
    /// How often a client was sent more or fewer copies of its audio than before.
    pub redundancy_changes: u64,
    /// How often somebody's call became of each level, in the order of [`Level::ALL`](super::quality::Level::ALL).
    pub quality_levels: [u64; 3],
    /// How often so much audio was missing in a row that people hear it, from clients and to them.
    pub dropouts: [u64; 2],
    /// How long it took from putting a track into a slot until its first packet went out, audio and video.
    pub first_media: [SetupTimes; 2],
    /// How long it took from joining until media could flow.
    pub setup_times: SetupTimes,
    /// Moves of calls between the mesh and the server.
    pub migrations: Migrations,
    /// Incoming packets that could not be opened or belong to no stream.
    pub unusable: u64,
    /// What was sent, held back or left out because of what networks carry.
    pub egress: EgressCounters,
    /// What streams have counted, by class.
    pub streams: BTreeMap<StreamClass, StreamCounters>,
}

impl Totals {
    /// Notes that somebody left.
    pub fn note_leaving(&mut self, reason: LeaveReason) {
        self.leaves[reason as usize] += 1;
    }

    /// Adds what a stream has counted since `reported`, and updates `reported`.
    pub fn note_stream(
        &mut self,
        class: StreamClass,
        counted: StreamCounters,
        reported: &mut StreamCounters,
    ) {
        let since = counted.since(reported);
        if since != StreamCounters::default() {
            self.streams.entry(class).or_default().add(&since);
        }
        reported.raise_to(&counted);
    }

    /// Returns what went through all streams.
    pub fn traffic(&self) -> Traffic {
        let bytes = |direction: Direction| {
            let of_direction = self.streams.iter().filter(|(class, _)| class.direction == direction);
            of_direction.map(|(_, counters)| counters.bytes).sum()
        };
        Traffic { bytes_in: bytes(Direction::In), bytes_out: bytes(Direction::Out) }
    }

    /// Adds the totals of `other`, and empties it.
    pub fn absorb(&mut self, other: &mut Totals) {
        let other = std::mem::take(other);
        self.rooms += other.rooms;
        self.joins += other.joins;
        self.resumes += other.resumes;
        for (own, other) in self.leaves.iter_mut().zip(other.leaves) {
            *own += other;
        }
        self.data_refused += other.data_refused;
        self.channels_too_slow += other.channels_too_slow;
        self.handshakes_done += other.handshakes_done;
        self.handshakes_failed += other.handshakes_failed;
        self.fingerprints_refused += other.fingerprints_refused;
        self.layer_changes += other.layer_changes;
        self.encoding_orders += other.encoding_orders;
        self.redundancy_changes += other.redundancy_changes;
        for (own, other) in self.steering.iter_mut().zip(other.steering) {
            *own += other;
        }
        for (own, other) in self.quality_levels.iter_mut().zip(other.quality_levels) {
            *own += other;
        }
        for (own, other) in self.dropouts.iter_mut().zip(other.dropouts) {
            *own += other;
        }
        for (own, other) in self.first_media.iter_mut().zip(&other.first_media) {
            own.add(other);
        }
        self.setup_times.add(&other.setup_times);
        self.migrations.add(other.migrations);
        self.unusable += other.unusable;
        self.egress.add(&other.egress);
        for (class, counters) in other.streams {
            self.streams.entry(class).or_default().add(&counters);
        }
    }
}

/// Makes each count what it and its counterpart lead to.
fn change<const N: usize>(own: [&mut u64; N], others: [&mut u64; N], to: fn(u64, u64) -> u64) {
    for (own, other) in own.into_iter().zip(others) {
        *own = to(*own, *other);
    }
}

impl EgressCounters {
    fn fields(&mut self) -> [&mut u64; 8] {
        let Self {
            padding_packets,
            padding_bytes,
            paced_packets,
            pacing_delay_micros,
            paced_dropped,
            probes,
            probes_given_up,
            repeats_withheld,
        } = self;
        [
            padding_packets,
            padding_bytes,
            paced_packets,
            pacing_delay_micros,
            paced_dropped,
            probes,
            probes_given_up,
            repeats_withheld,
        ]
    }

    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        let mut other = *other;
        change(self.fields(), other.fields(), |own, other| own + other);
    }

    /// Returns what was counted since `before`.
    pub fn since(&self, before: &Self) -> Self {
        let (mut since, mut before) = (*self, *before);
        change(since.fields(), before.fields(), u64::saturating_sub);
        since
    }
}

impl StreamCounters {
    fn fields(&mut self) -> [&mut u64; 9] {
        let Self {
            packets,
            bytes,
            lost,
            retransmitted,
            nacked,
            keyframe_requests,
            dropped,
            frames,
            keyframes,
        } = self;
        [packets, bytes, lost, retransmitted, nacked, keyframe_requests, dropped, frames, keyframes]
    }

    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        let mut other = *other;
        change(self.fields(), other.fields(), |own, other| own + other);
    }

    /// Returns what was counted since `before`. A count that a client reports can go down; then the difference is zero.
    pub fn since(&self, before: &Self) -> Self {
        let (mut since, mut before) = (*self, *before);
        change(since.fields(), before.fields(), u64::saturating_sub);
        since
    }

    fn raise_to(&mut self, other: &Self) {
        let mut other = *other;
        change(self.fields(), other.fields(), u64::max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_never_go_down_even_if_a_reported_count_does() {
        let class = StreamClass {
            direction: Direction::Out,
            kind: MediaKind::Audio,
            codec: Some("opus"),
            transport: None,
        };
        let (mut totals, mut reported) = (Totals::default(), StreamCounters::default());
        for (packets, lost, total) in [(10, 5, 5), (20, 3, 5), (30, 6, 6)] {
            let counted = StreamCounters { packets, lost, ..StreamCounters::default() };
            totals.note_stream(class, counted, &mut reported);
            assert_eq!((totals.streams[&class].packets, totals.streams[&class].lost), (packets, total));
        }
        let mut all = Totals::default();
        all.absorb(&mut totals.clone());
        all.absorb(&mut totals);
        assert_eq!(all.streams[&class].packets, 60);
        assert_eq!(totals, Totals::default());
    }

    #[test]
    fn a_setup_time_is_in_the_first_bucket_that_holds_it() {
        let mut times = SetupTimes::default();
        for ms in [100, 101, 60_000] {
            times.note(Duration::from_millis(ms));
        }
        assert_eq!(times.buckets, [1, 1, 0, 0, 0, 0, 0, 0, 1]);
    }
}

//! Watching: what is seen of a world ten times a second, to be measured afterwards: what the lines carry, what the server
//! believes that they do, and what is shown.

use std::collections::BTreeMap;
use std::time::Duration;

use super::World;
use super::happening::Happening;
use crate::core::command::MediaKind;
use crate::core::stats::EgressCounters;
use crate::sim::client::{Endpoint, Received, Smoothness};
use crate::sim::network::{Micros, name};

/// How often it is looked, µs.
pub(super) const INTERVAL: Micros = 100_000;
/// A picture that is older than this is not shown any more, µs.
const SHOWN_FOR: Micros = 600_000;

/// What was seen of one person at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Micros,
    /// What the server believes that the network to them carries, bits per second.
    pub estimate: Option<u64>,
    /// The pictures that they see: whose, and how tall, 0 if it is a track in one encoding.
    pub shown: Vec<(usize, u16)>,
    /// How long a packet to them waits before the bottleneck, µs.
    pub queue: Micros,
}

/// What somebody got in all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Got {
    /// How many bytes of what.
    pub received: Received,
    /// How evenly pictures came, all tracks together.
    pub pictures: Smoothness,
    /// Frames of audio that were due, and those that never came.
    pub audio: (u64, u64),
    /// How many frames of audio were missing in a row at most.
    pub audio_gap: u32,
    /// What the server counted of what it sent them.
    pub egress: EgressCounters,
}

/// What was seen of a whole world.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// What was seen of each person, in order of time.
    pub samples: Vec<Vec<Sample>>,
    /// What each person got in the end.
    pub got: Vec<Got>,
    /// Packets that each line dropped, and bytes that it carried.
    pub lines: Vec<(u64, u64)>,
}

impl World<'_> {
    /// Looks at everybody, and again later.
    pub(super) fn look(&mut self) {
        let Some(mut watched) = self.watched.take() else { return };
        self.queue.push(self.now + INTERVAL, Happening::Looks);
        let estimates = self.estimates();
        for (index, samples) in watched.samples.iter_mut().enumerate() {
            let Some(Some(person)) = self.people.get(index) else { continue };
            let Some(endpoint) = &person.endpoint else { continue };
            let line = person.lines[1].and_then(|line| self.lines.get(line));
            samples.push(Sample {
                at: self.now,
                estimate: estimates.get(index).copied().flatten(),
                shown: self.shown_to(endpoint),
                queue: line.map_or(0, |line| line.wait(self.now)),
            });
        }
        self.watched = Some(watched);
    }

    /// Returns what the server believes of the network to each person.
    fn estimates(&self) -> Vec<Option<u64>> {
        let snapshot = self.sfu.snapshot(self.base + Duration::from_micros(self.now));
        let participants = snapshot.rooms.iter().flat_map(|room| &room.participants);
        let known: BTreeMap<&str, u64> = participants
            .filter_map(|one| Some((one.profile.name.as_str(), one.bandwidth?.estimate)))
            .collect();
        (0..self.people.len()).map(|index| known.get(name(index).as_str()).copied()).collect()
    }

    fn shown_to(&self, endpoint: &Endpoint) -> Vec<(usize, u16)> {
        let since = self.now.saturating_sub(SHOWN_FOR);
        let video = endpoint.slots.values().filter(|slot| slot.kind() == MediaKind::Video);
        let streams = video.filter_map(|slot| slot.shown_since(since));
        let infos = streams.filter_map(|stream| self.post.streams.get(stream as usize));
        let mut shown: Vec<_> =
            infos.map(|info| (info.person, info.encoding.map_or(0, |encoding| encoding.height))).collect();
        shown.sort_unstable();
        shown
    }

    /// Adds up what everybody got.
    pub(super) fn sum_up(&mut self) {
        let Some(mut watched) = self.watched.take() else { return };
        let snapshot = self.sfu.snapshot(self.base + Duration::from_micros(self.now));
        let counters = snapshot.rooms.iter().flat_map(|room| &room.participants);
        let counters: BTreeMap<&str, EgressCounters> =
            counters.filter_map(|one| Some((one.profile.name.as_str(), one.pacing?.counters))).collect();
        for (index, got) in watched.got.iter_mut().enumerate() {
            let Some(Some(person)) = self.people.get(index) else { continue };
            let Some(endpoint) = &person.endpoint else { continue };
            got.received = endpoint.received;
            for slot in endpoint.slots.values() {
                let (audio, pictures) = (&slot.listening, &slot.smoothness);
                got.audio = (got.audio.0 + audio.frames, got.audio.1 + audio.lost);
                got.audio_gap = got.audio_gap.max(audio.longest);
                if slot.kind() == MediaKind::Video {
                    got.pictures.add(pictures);
                }
            }
            got.egress = counters.get(name(index).as_str()).copied().unwrap_or_default();
        }
        watched.lines = self.lines.iter().map(|line| (line.dropped, line.carried)).collect();
        self.watched = Some(watched);
    }
}

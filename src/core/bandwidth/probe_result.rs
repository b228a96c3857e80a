//! ProbeResults: what a probe found. A probe is a handful of packets sent at a higher rate than the estimate; the rate at
//! which they come is what the network carries.

use std::collections::VecDeque;

use super::probes::{ProbeCluster, ProbeId};
use super::{BitRate, Micros, PacketResult, SECOND, rate_of, scaled};

/// The most probes that are under way at a time.
const CLUSTERS_MAX: usize = 8;
/// A probe is over when nothing of it has been sent for this long.
const AGE_MAX: Micros = 2 * SECOND;
/// This much of a probe must have come, in 1/100: of networks that lose a fifth of everything probes have to say something,
/// too.
const ENOUGH_PERCENT: u64 = 60;
/// A probe must have been sent at this much of the rate that it was to be sent at, in 1/100: one that had too little to send
/// says nothing.
const SENT_PERCENT: u64 = 90;
/// Who receives more than twice what was sent has a clock that cannot be trusted.
const RATIO_MAX: u64 = 2;
/// Below this much of the sent rate the network was full, in 1/100; then this much of what came is what it carries.
const FULL_PERCENT: u64 = 90;
const CARRIED_PERCENT: u64 = 95;

#[derive(Debug, Clone, Copy)]
struct Cluster {
    wanted: ProbeCluster,
    /// What came.
    packets: u32,
    bytes: u64,
    /// What was sent, as far as was reported.
    sent_bytes: u64,
    first_sent: Micros,
    last_sent: Micros,
    last_sent_bytes: u64,
    first_received: Micros,
    first_received_bytes: u64,
    last_received: Micros,
}

/// The probes under way.
#[derive(Debug, Default)]
pub struct ProbeResults {
    /// Those that were begun, the oldest first.
    begun: VecDeque<ProbeCluster>,
    /// Those of which packets have come.
    clusters: VecDeque<Cluster>,
}

impl ProbeResults {
    /// Notes that a probe is sent.
    pub fn begin(&mut self, wanted: ProbeCluster) {
        if self.begun.len() == CLUSTERS_MAX {
            self.begun.pop_front();
        }
        self.begun.push_back(wanted);
    }

    /// Takes a packet of a report. Returns what the network carries, bits per second, if it completes a probe or says more
    /// of one.
    pub fn on_result(&mut self, result: &PacketResult) -> Option<BitRate> {
        let cluster = self.cluster(result.probe?, result)?;
        let bytes = u64::from(result.bytes);
        cluster.sent_bytes += bytes;
        cluster.first_sent = cluster.first_sent.min(result.sent);
        if result.sent >= cluster.last_sent {
            cluster.last_sent = result.sent;
            cluster.last_sent_bytes = bytes;
        }
        let received = result.received?;
        if cluster.packets == 0 || received < cluster.first_received {
            cluster.first_received = received;
            cluster.first_received_bytes = bytes;
        }
        cluster.last_received = cluster.last_received.max(received);
        cluster.bytes += bytes;
        cluster.packets += 1;
        cluster.rate()
    }

    fn cluster(&mut self, probe: ProbeId, result: &PacketResult) -> Option<&mut Cluster> {
        if let Some(place) = self.clusters.iter().position(|cluster| cluster.wanted.id == probe) {
            return self.clusters.get_mut(place);
        }
        self.clusters.retain(|cluster| result.sent - cluster.last_sent < AGE_MAX);
        let wanted = *self.begun.iter().find(|wanted| wanted.id == probe)?;
        if self.clusters.len() == CLUSTERS_MAX {
            self.clusters.pop_front();
        }
        self.clusters.push_back(Cluster {
            wanted,
            packets: 0,
            bytes: 0,
            sent_bytes: 0,
            first_sent: result.sent,
            last_sent: result.sent,
            last_sent_bytes: 0,
            first_received: 0,
            first_received_bytes: 0,
            last_received: Micros::MIN,
        });
        self.clusters.back_mut()
    }
}

impl Cluster {
    fn rate(&self) -> Option<BitRate> {
        let is_enough = u64::from(self.packets) * 100 >= u64::from(self.wanted.packets) * ENOUGH_PERCENT
            && self.bytes * 100 >= self.wanted.bytes * ENOUGH_PERCENT;
        let sent_time = self.last_sent - self.first_sent;
        let received_time = self.last_received - self.first_received;
        let is_sane = |time: Micros| time > 0 && time <= SECOND;
        if !is_enough || !is_sane(sent_time) || !is_sane(received_time) {
            return None;
        }
        let sent = rate_of(self.sent_bytes - self.last_sent_bytes, sent_time);
        let received = rate_of(self.bytes - self.first_received_bytes, received_time);
        if received > sent * RATIO_MAX || sent < scaled(self.wanted.rate, SENT_PERCENT, 100) {
            return None;
        }
        Some(if received < scaled(sent, FULL_PERCENT, 100) {
            scaled(received, CARRIED_PERCENT, 100)
        } else {
            sent.min(received)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::bandwidth::MILLISECOND;

    /// A probe at 2.7 Mbit/s of packets of 1,000 bytes, sent every `sent` microseconds, of which those came that `came`
    /// names, every `received` microseconds. Returns what it found at last.
    fn probe(sent: i64, received: i64, came: impl Fn(i64) -> bool) -> Option<BitRate> {
        let id = ProbeId::FIRST;
        let mut results = ProbeResults::default();
        results.begin(ProbeCluster { id, rate: 2_700_000, packets: 5, bytes: 5_000 });
        let mut found = None;
        for packet in (0..8).filter(|packet| came(*packet)) {
            let at = Some(70 * MILLISECOND + packet * received);
            let result = PacketResult {
                sequence: 0,
                sent: packet * sent,
                received: at,
                bytes: 1_000,
                unreported: 0,
                probe: Some(id),
            };
            found = results.on_result(&result).or(found);
        }
        found
    }

    #[test]
    fn what_comes_is_what_is_carried() {
        let cases: [(&str, Option<BitRate>, Option<BitRate>); 7] = [
            ("as fast as it was sent", probe(2_666, 2_666, |_| true), Some(3_000_750)),
            ("a little slower", probe(2_666, 2_900, |_| true), Some(2_758_620)),
            ("the network was full", probe(2_666, 8_000, |_| true), Some(950_000)),
            ("faster than it was sent", probe(2_666, 2_000, |_| true), Some(3_000_750)),
            ("impossibly fast", probe(2_666, 1_000, |_| true), None),
            ("too little came", probe(2_666, 2_666, |packet| packet < 2), None),
            ("sent too slowly", probe(10_000, 10_000, |_| true), None),
        ];
        for (name, found, expected) in cases {
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn packets_of_a_probe_that_nobody_sent_say_nothing() {
        let mut results = ProbeResults::default();
        let result = PacketResult {
            sequence: 1,
            sent: 0,
            received: Some(5),
            bytes: 900,
            unreported: 0,
            probe: Some(ProbeId::FIRST),
        };
        assert_eq!(results.on_result(&result), None);
    }

    #[test]
    fn the_probes_under_way_are_few() {
        let mut results = ProbeResults::default();
        let mut id = ProbeId::FIRST;
        for _ in 0..100 {
            results.begin(ProbeCluster { id, rate: 1_000_000, packets: 5, bytes: 5_000 });
            results.on_result(&PacketResult {
                sequence: 1,
                sent: 0,
                received: Some(5),
                bytes: 900,
                unreported: 0,
                probe: Some(id),
            });
            id = id.next();
        }
        assert!(results.begun.len() <= CLUSTERS_MAX && results.clusters.len() <= CLUSTERS_MAX);
    }
}

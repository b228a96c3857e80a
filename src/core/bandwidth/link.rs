//! For tests: a network in virtual time, a sender that sends what the estimate allows, and a receiver that reports.

use std::collections::VecDeque;

use super::estimator::{BandwidthEstimator, Bounds};
use super::probes::ProbeId;
use super::{BitRate, MILLISECOND, Micros, SECOND, scaled};

/// How often the sender sends.
const STEP: Micros = 5 * MILLISECOND;
/// Arrivals are reported in units of this.
const TICK: Micros = 250;
const PACKET_BYTES: usize = 1_000;

/// One direction of a path: packets queue for a link of changing capacity, and take time.
#[derive(Debug, Clone)]
pub struct Link {
    /// From when on which capacity, bits per second, in order of time.
    pub capacity: Vec<(Micros, BitRate)>,
    /// A packet that would wait longer than this is dropped.
    pub queue: Micros,
    /// How long packets are under way beyond the queue.
    pub delay: Micros,
    /// They may take longer by up to this, without overtaking each other.
    pub jitter: Micros,
    /// How many of 1,000 packets are lost by accident.
    pub loss_permille: u64,
    pub random: u64,
    pub busy_until: Micros,
    pub arrival: Micros,
}

impl Link {
    /// A link of steady capacity with a queue of 300 ms, 50 ms long.
    pub fn new(capacity: BitRate) -> Self {
        Self {
            capacity: vec![(0, capacity)],
            queue: 300 * MILLISECOND,
            delay: 50 * MILLISECOND,
            jitter: 0,
            loss_permille: 0,
            random: 0x9e37_79b9_7f4a_7c15,
            busy_until: 0,
            arrival: 0,
        }
    }

    pub fn with_schedule(schedule: &[(i64, BitRate)]) -> Self {
        let capacity = schedule.iter().map(|(second, rate)| (second * SECOND, *rate)).collect();
        Self { capacity, ..Self::new(0) }
    }

    pub fn capacity_at(&self, at: Micros) -> BitRate {
        self.capacity.iter().take_while(|(from, _)| *from <= at).last().map_or(1, |(_, rate)| *rate)
    }

    /// How long a packet that is sent now has to wait.
    pub fn wait(&self, now: Micros) -> Micros {
        (self.busy_until - now).max(0)
    }

    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 11
    }

    /// Sends a packet. Returns when it arrives, if it does.
    pub fn send(&mut self, now: Micros, bytes: usize) -> Option<Micros> {
        let lost = self.draw() % 1_000 < self.loss_permille;
        if self.wait(now) > self.queue {
            return None;
        }
        let begins = self.busy_until.max(now);
        let bits = bytes as u64 * 8;
        self.busy_until = begins + scaled(bits, 1_000_000, self.capacity_at(begins)).cast_signed();
        if lost {
            return None;
        }
        let jitter =
            if self.jitter > 0 { (self.draw() % self.jitter.unsigned_abs()).cast_signed() } else { 0 };
        self.arrival = self.arrival.max(self.busy_until + self.delay + jitter);
        Some(self.arrival)
    }
}

/// A report on its way back.
#[derive(Debug, Clone)]
pub struct Report {
    pub at: Micros,
    pub base: u64,
    /// When each packet from `base` on came, by the receiver's clock.
    pub statuses: Vec<Option<Micros>>,
}

/// What of a probe is still to be sent.
#[derive(Debug, Clone, Copy)]
struct Probe {
    id: ProbeId,
    rate: BitRate,
    left: u64,
    at: Micros,
}

/// One who sends over a link, and one who receives and reports.
#[derive(Debug)]
pub struct Flow {
    pub estimator: BandwidthEstimator,
    /// How much there is to be sent, bits per second; what exceeds the estimate is not.
    pub demand: BitRate,
    /// The rates that a source can have, lowest first, if it cannot have any: the highest within the estimate is sent.
    pub ladder: Vec<BitRate>,
    /// Whether probes are sent.
    pub is_probing: bool,
    /// How many of 1,000 reports are lost.
    pub reports_lost_permille: u64,
    /// Packets on their way, in order of their numbers, and when they arrive.
    under_way: VecDeque<(u64, Option<Micros>)>,
    reports: VecDeque<Report>,
    credit: i64,
    probe: Option<Probe>,
    next_number: u64,
    next_base: u64,
    next_report: Micros,
    pub feedback_interval: Micros,
    /// What the flow told its estimator lately: for whoever compares.
    pub sent_now: Vec<(u64, Micros, usize)>,
    pub reported_now: Vec<Report>,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub dropped: u64,
}

impl Flow {
    pub fn new(start: BitRate, demand: BitRate) -> Self {
        let bounds = Bounds { start, min: 5_000, max: 100_000_000 };
        let mut estimator = BandwidthEstimator::new(0, bounds);
        estimator.set_wanted(0, demand);
        Self {
            estimator,
            demand,
            ladder: Vec::new(),
            is_probing: true,
            reports_lost_permille: 0,
            under_way: VecDeque::new(),
            reports: VecDeque::new(),
            credit: 0,
            probe: None,
            next_number: 0,
            next_base: 0,
            next_report: 0,
            feedback_interval: 50 * MILLISECOND,
            sent_now: Vec::new(),
            reported_now: Vec::new(),
            received_bytes: 0,
            sent_bytes: 0,
            dropped: 0,
        }
    }

    fn send(&mut self, now: Micros, link: &mut Link, probe: Option<ProbeId>) {
        self.estimator.on_sent(now, PACKET_BYTES, probe);
        let arrival = link.send(now, PACKET_BYTES);
        self.sent_bytes += PACKET_BYTES as u64;
        self.dropped += u64::from(arrival.is_none());
        self.sent_now.push((self.next_number, now, PACKET_BYTES));
        self.under_way.push_back((self.next_number, arrival));
        self.next_number += 1;
    }

    /// What is sent, bits per second.
    pub fn rate(&self) -> BitRate {
        let most = self.demand.min(self.estimator.estimate());
        match self.ladder.first() {
            None => most,
            Some(lowest) => {
                self.ladder.iter().copied().take_while(|rate| *rate <= most).last().unwrap_or(*lowest)
            }
        }
    }

    /// Goes on by one step of [`STEP`].
    pub fn step(&mut self, now: Micros, link: &mut Link) {
        self.sent_now.clear();
        self.reported_now.clear();
        while self.reports.front().is_some_and(|report| report.at <= now) {
            let Some(report) = self.reports.pop_front() else { break };
            self.estimator.on_report(now, 0, report.base as u16, report.statuses.iter().copied());
            self.reported_now.push(report);
        }
        if self.is_probing {
            self.estimator.begin_probing(now);
            if now % (25 * MILLISECOND) == 0 {
                self.estimator.process(now);
            }
        }
        let rate = self.rate();
        self.credit += scaled(rate, STEP.unsigned_abs(), 8 * SECOND.unsigned_abs()).cast_signed();
        while self.credit >= PACKET_BYTES as i64 {
            self.credit -= PACKET_BYTES as i64;
            self.send(now, link, None);
        }
        if self.is_probing {
            self.send_probe(now, link);
        }
        self.report(now, link);
    }

    /// Sends what of a probe is due before the next step: one packet in each interval of its rate.
    fn send_probe(&mut self, now: Micros, link: &mut Link) {
        let next = self.probe.take().or_else(|| {
            let cluster = self.estimator.take_probe()?;
            let packets = (cluster.bytes / PACKET_BYTES as u64 + 1).max(u64::from(cluster.packets));
            Some(Probe { id: cluster.id, rate: cluster.rate, left: packets, at: now })
        });
        let Some(mut probe) = next else { return };
        let interval = scaled(PACKET_BYTES as u64 * 8, 1_000_000, probe.rate).cast_signed();
        while probe.left > 0 && probe.at < now + STEP {
            self.send(probe.at, link, Some(probe.id));
            probe.at += interval;
            probe.left -= 1;
        }
        self.probe = Some(probe).filter(|probe| probe.left > 0);
    }

    fn report(&mut self, now: Micros, link: &mut Link) {
        if now < self.next_report {
            return;
        }
        self.next_report = now + self.feedback_interval;
        // The last that has come by now ends the report.
        let came = |arrival: &Option<Micros>| arrival.is_some_and(|at| at <= now);
        let Some(last) = self.under_way.iter().rposition(|(_, arrival)| came(arrival)) else { return };
        let mut statuses = Vec::new();
        for (_, arrival) in self.under_way.drain(..=last) {
            let received = arrival.filter(|at| *at <= now);
            self.received_bytes += if received.is_some() { PACKET_BYTES as u64 } else { 0 };
            statuses.push(received.map(|at| at / TICK * TICK));
        }
        let report = Report { at: now + link.delay, base: self.next_base, statuses };
        self.next_base += report.statuses.len() as u64;
        if link.draw() % 1_000 >= self.reports_lost_permille {
            self.reports.push_back(report);
        }
    }
}

/// What was seen of a flow, each 100 ms.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub at: Micros,
    pub capacity: BitRate,
    pub estimate: BitRate,
    pub wait: Micros,
}

/// Lets flows share a link for a number of seconds. Returns what was seen of each.
pub fn run(
    link: &mut Link,
    flows: &mut [Flow],
    seconds: i64,
    mut each: impl FnMut(Micros, &mut [Flow]),
) -> Vec<Vec<Sample>> {
    let mut samples = vec![Vec::new(); flows.len()];
    let mut now = 0;
    while now < seconds * SECOND {
        each(now, flows);
        for (flow, samples) in flows.iter_mut().zip(&mut samples) {
            flow.step(now, link);
            if now % (100 * MILLISECOND) == 0 {
                samples.push(Sample {
                    at: now,
                    capacity: link.capacity_at(now),
                    estimate: flow.estimator.estimate(),
                    wait: link.wait(now),
                });
            }
        }
        now += STEP;
    }
    samples
}

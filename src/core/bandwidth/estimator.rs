//! BandwidthEstimator: the estimate for one transport, of all that its parts say.

use serde::{Deserialize, Serialize};

use super::acknowledged::AcknowledgedRate;
use super::application_limited::ApplicationLimited;
use super::delay::{DelayBased, Throughput};
use super::history::SendHistory;
use super::loss::{LossBased, LossState};
use super::probe_result::ProbeResults;
use super::probes::{Limit, ProbeCluster, ProbeId, Probes};
use super::round_trip::RoundTrip;
use super::trendline::Usage;
use super::{BitRate, LossReport, MILLISECOND, Micros, PacketResult, RATE_MIN, SECOND, scaled};

/// In the beginning the delay alone is believed, until it is known what is lost.
const START_PHASE: Micros = 2 * SECOND;
/// Loss is told each second, of at least this many packets.
const LOSS_INTERVAL: Micros = SECOND;
const LOSS_PACKETS_MIN: u32 = 20;
/// What a probe found counts for no less than this much of what gets through, in 1/100.
const PROBE_FLOOR_PERCENT: u64 = 85;
/// While nothing gets through the estimate falls to this each second, in 1/100.
const STALLED_PERCENT: u64 = 80;
/// After this time without a result, probes are no way to learn of the network: two of them have said nothing.
const PROBES_TELL: Micros = 11 * SECOND;
/// When nothing was reported for this long, what was lost before the first packet that came was lost to an outage.
const SILENCE: Micros = 2 * SECOND;
/// How often it is looked whether reports still come.
const STALL_INTERVAL: Micros = SECOND;

/// Within what the estimate stays, bits per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// What is believed before anything is known.
    pub start: BitRate,
    /// The estimate never falls below this,
    pub min: BitRate,
    /// and never rises above this.
    pub max: BitRate,
}

/// What lost packets there were, for those who look on.
#[derive(Debug, Clone, Copy, Default)]
struct LossCount {
    packets: u32,
    lost: u32,
    next: Micros,
    /// When loss was told for the first time.
    first: Option<Micros>,
    /// Whether anything was lost the last time.
    is_any: bool,
}

/// What holds the estimate where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Nothing: it grows, or there is no more to be sent.
    Open,
    /// A queue fills.
    Delay,
    /// Packets are lost.
    Loss,
    /// Nothing is reported any more.
    Stalled,
    /// The client itself has told it (REMB).
    Told,
}

impl Reason {
    /// Its name, as people and programs are shown it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Delay => "delay",
            Self::Loss => "loss",
            Self::Stalled => "stalled",
            Self::Told => "told",
        }
    }
}

/// The estimate of what one transport's network carries.
#[derive(Debug)]
pub struct BandwidthEstimator {
    bounds: Bounds,
    history: SendHistory,
    acknowledged: AcknowledgedRate,
    delay: DelayBased,
    loss: LossBased,
    probe_results: ProbeResults,
    probes: Probes,
    limited: ApplicationLimited,
    /// Whether there is room for a probe.
    unfilled: ApplicationLimited,
    /// When a probe last said something.
    probed: Option<Micros>,
    round_trip: RoundTrip,
    loss_count: LossCount,
    target: BitRate,
    /// What the delay allows, once it has said something.
    by_delay: Option<BitRate>,
    decreased: Option<Micros>,
    /// Sent since `limited` was told, bytes.
    sent_bytes: u64,
    reported: Option<Micros>,
    /// When the estimate was last brought up to date.
    looked: Micros,
    /// Kept for their memory: what a report says, by number, and what of it came, by arrival.
    results: Vec<PacketResult>,
    arrived: Vec<PacketResult>,
}

impl BandwidthEstimator {
    /// An estimator that knows nothing.
    pub fn new(now: Micros, bounds: Bounds) -> Self {
        let mut limited = ApplicationLimited::default();
        limited.set_estimate(bounds.start);
        let mut unfilled = ApplicationLimited::of_filling();
        unfilled.set_estimate(bounds.start);
        Self {
            bounds,
            history: SendHistory::default(),
            acknowledged: AcknowledgedRate::default(),
            delay: DelayBased::new(bounds.start),
            loss: LossBased::default(),
            probe_results: ProbeResults::default(),
            probes: Probes::new(now, bounds.start),
            limited,
            unfilled,
            probed: None,
            round_trip: RoundTrip::default(),
            loss_count: LossCount::default(),
            target: bounds.start.min(bounds.max).max(bounds.min.max(RATE_MIN)),
            by_delay: None,
            decreased: None,
            sent_bytes: 0,
            reported: None,
            looked: now,
            results: Vec::new(),
            arrived: Vec::new(),
        }
    }

    /// What the network carries, bits per second.
    pub fn estimate(&self) -> BitRate {
        self.target
    }

    /// What gets through, bits per second; `None` while too little was reported.
    pub fn acknowledged(&self) -> Option<BitRate> {
        self.acknowledged.rate()
    }

    /// What holds the estimate where it is.
    pub fn reason(&self) -> Reason {
        match self.limit() {
            Limit::None => Reason::Open,
            Limit::LossIncreasing | Limit::Loss => Reason::Loss,
            Limit::Delay => Reason::Delay,
            Limit::RoundTrip => Reason::Stalled,
        }
    }

    /// The usual loss of the last seconds, in 1/1,000,000.
    pub fn loss_millionths(&self) -> u32 {
        self.loss.loss_millionths()
    }

    /// The round trip by the last report, without what the receiver waited; `None` before the first.
    pub fn round_trip(&self) -> Option<Micros> {
        self.round_trip.shortest()
    }

    /// Whether less is sent than the network would take.
    pub fn is_application_limited(&self) -> bool {
        self.limited.since().is_some()
    }

    /// Whether anything was reported.
    pub fn has_heard(&self) -> bool {
        self.reported.is_some()
    }

    /// Whether probes tell when there is more, so that nothing else has to find out.
    pub fn is_probed(&self, now: Micros) -> bool {
        self.probed.is_some_and(|probed| now - probed < PROBES_TELL)
    }

    /// Returns the transport-wide sequence number that the next packet will have.
    pub fn next_number(&self) -> u16 {
        self.history.next_number()
    }

    /// Notes a packet that is sent. Returns its transport-wide sequence number.
    pub fn on_sent(&mut self, now: Micros, bytes: usize, probe: Option<ProbeId>) -> u16 {
        self.sent_bytes += bytes as u64;
        self.round_trip.on_sent(now);
        self.history.on_sent(now, bytes, probe)
    }

    /// Says that the packet that was noted last is audio.
    pub fn mark_audio(&mut self) {
        self.history.mark_audio();
    }

    /// Takes what was reported of audio since the last call.
    pub fn take_audio(&mut self) -> LossReport {
        self.history.take_audio()
    }

    /// Takes note of the number of a report, before the report is taken.
    pub fn begin_report(&mut self, report: u8) {
        self.history.begin_report(report);
    }

    /// Takes a report: `reference` is its reference time in units of 64 ms, 24 bits, `base` the number of its first packet,
    /// and `statuses` says of each packet from there when it came, counted from the reference time, or that it did not.
    pub fn on_report(
        &mut self,
        now: Micros,
        reference: u32,
        base: u16,
        statuses: impl Iterator<Item = Option<Micros>>,
    ) {
        let reference = self.history.unwrap_reference(reference) * 64 * MILLISECOND;
        self.results.clear();
        let statuses = statuses.map(|received| Some(reference + received?));
        self.history.take_report(base, statuses, &mut self.results);
        if self.reported.is_some_and(|before| now - before > SILENCE) {
            // While nobody was there nothing came, however much a network carries.
            let came = self.results.iter().position(|result| result.received.is_some());
            self.results.drain(..came.unwrap_or(self.results.len()));
        }
        if self.results.is_empty() {
            return;
        }
        self.arrived.clear();
        self.arrived.extend(self.results.iter().filter(|result| result.received.is_some()));
        self.arrived.sort_unstable_by_key(|result| (result.received, result.sent, result.sequence));
        self.reported = Some(now);
        self.round_trip.on_report(now, &self.arrived);
        if let Some(mean) = self.round_trip.mean() {
            self.delay.set_round_trip(mean);
        }
        self.count_loss(now);
        self.look_at_limit(now);
        for result in &self.arrived {
            self.acknowledged.on_result(result);
        }
        let acknowledged = self.acknowledged.rate();
        let probed = self.probed(now, acknowledged);
        let recent = self.acknowledged.recent();
        let update = self.delay.update(now, &self.arrived, Throughput { mean: acknowledged, recent }, probed);
        if let Some(rate) = update.rate {
            if update.is_probed {
                self.by_delay = None;
                self.loss.on_probe(rate);
                self.set_target(rate);
            }
            self.by_delay = Some(rate);
            self.set_target(self.target);
        }
        let is_limited = self.limited.since().is_some();
        self.loss.update(&self.results, self.by_delay, acknowledged, is_limited);
        self.look(now);
        if update.has_recovered {
            self.probes.on_recovery(now);
        }
    }

    /// What the probes in this report found, but never much less than what gets through anyway.
    fn probed(&mut self, now: Micros, acknowledged: Option<BitRate>) -> Option<BitRate> {
        let mut probed = None;
        for result in self.results.iter().filter(|result| result.probe.is_some()) {
            probed = self.probe_results.on_result(result).or(probed);
        }
        self.probed = probed.map(|_| now).or(self.probed);
        let floor = acknowledged.map_or(0, |rate| scaled(rate, PROBE_FLOOR_PERCENT, 100));
        let probed = probed.map(|rate| rate.max(floor.min(self.delay.rate())));
        // A probe that had to share the network with as much as it takes finds what was left of it: less than gets through.
        let sent = acknowledged.unwrap_or(self.delay.rate());
        probed.filter(|rate| self.limited.since().is_some() || *rate > sent.min(self.delay.rate()))
    }

    fn count_loss(&mut self, now: Micros) {
        let count = &mut self.loss_count;
        count.packets += self.results.len() as u32;
        count.lost += (self.results.len() - self.arrived.len()) as u32;
        if now <= count.next {
            return;
        }
        count.next = now + LOSS_INTERVAL;
        if count.packets >= LOSS_PACKETS_MIN {
            count.is_any = count.lost > 0;
            count.first.get_or_insert(now);
            count.packets = 0;
            count.lost = 0;
        }
    }

    fn look_at_limit(&mut self, now: Micros) {
        let sent_bytes = std::mem::take(&mut self.sent_bytes);
        self.limited.on_sent(now, sent_bytes);
        self.unfilled.on_sent(now, sent_bytes);
        self.probes.set_limited(now, self.unfilled.since());
    }

    /// Brings the estimate up to date, and tells it to those parts that go by it.
    fn look(&mut self, now: Micros) {
        self.looked = now;
        let before = self.target;
        self.set_target(self.next_target(now));
        if self.target < before {
            self.decreased = Some(now);
        }
        self.limited.set_estimate(self.target);
        self.unfilled.set_estimate(self.target);
        self.probes.on_estimate(now, self.target, self.limit());
    }

    fn next_target(&self, now: Micros) -> BitRate {
        if self.round_trip.is_long() {
            let may_fall = self.decreased.is_none_or(|at| now - at >= SECOND);
            return if may_fall { scaled(self.target, STALLED_PERCENT, 100) } else { self.target };
        }
        let is_start = self.loss_count.first.is_none_or(|first| now - first < START_PHASE);
        match self.loss.estimate() {
            None if is_start && !self.loss_count.is_any => self.target.max(self.by_delay.unwrap_or(0)),
            Some(by_loss) if self.loss_count.first.is_some() => by_loss,
            _ => self.target,
        }
    }

    fn set_target(&mut self, rate: BitRate) {
        let most = self.by_delay.unwrap_or(BitRate::MAX).min(self.bounds.max);
        self.target = rate.min(most).max(self.bounds.min.max(RATE_MIN));
    }

    fn limit(&self) -> Limit {
        if self.delay.usage() != Usage::Normal {
            return Limit::Delay;
        }
        if self.round_trip.is_long() {
            return Limit::RoundTrip;
        }
        match self.loss.state() {
            LossState::DelayBased => Limit::None,
            _ if self.loss.is_over() => Limit::None,
            LossState::Increasing => Limit::LossIncreasing,
            LossState::IncreasingByPadding | LossState::Decreasing => Limit::Loss,
        }
    }

    /// Takes note of how much there is to be sent, bits per second.
    pub fn set_wanted(&mut self, now: Micros, wanted: BitRate) {
        self.probes.set_wanted(now, wanted);
    }

    /// Returns when to call [`process`](Self::process) next; `None` if there is nothing to estimate.
    pub fn deadline(&self) -> Option<Micros> {
        // While nothing is sent nothing is reported, and nobody need be woken for that.
        let flows = self.round_trip.last_sent() + STALL_INTERVAL >= self.looked;
        let stalled = self.reported.filter(|_| flows).map(|_| self.looked + STALL_INTERVAL);
        match (stalled, self.probes.deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Does what its time has come for: the estimate falls if no reports come, and probes become due.
    pub fn process(&mut self, now: Micros) {
        self.look_at_limit(now);
        self.look(now);
        self.probes.process(now);
    }

    /// Begins to probe: from now on probes have to be [taken](Self::take_probe) and sent.
    pub fn begin_probing(&mut self, now: Micros) {
        self.probes.begin(now);
    }

    /// Whether a probe waits to be [taken](Self::take_probe).
    pub fn has_probe(&self) -> bool {
        self.probes.has_waiting()
    }

    /// Sends none of the probes that wait.
    pub fn forget_probes(&mut self) {
        self.probes.forget_waiting();
    }

    /// Sends no probe for some time, because the network is being filled.
    pub fn rest_probes(&mut self, now: Micros) {
        self.probes.rest(now);
    }

    /// Takes the next probe that is to be sent, if one is due.
    pub fn take_probe(&mut self) -> Option<ProbeCluster> {
        let probe = self.probes.take()?;
        self.probe_results.begin(probe);
        Some(probe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_that_make_up_their_times_lead_nowhere_and_break_nothing() {
        let bounds = Bounds { start: 300_000, min: 5_000, max: 10_000_000 };
        let mut random = fastrand::Rng::with_seed(77);
        let mut estimator = BandwidthEstimator::new(0, bounds);
        estimator.set_wanted(0, 5_000_000);
        estimator.begin_probing(0);
        let extremes = [0, 1, -1, 1 << 22, -(1 << 22), (1 << 23) - 1, -(1 << 23)];
        // The largest time that a report can add up to, either way.
        let farthest = 65_535 * 32_768 * 250;
        let (mut now, mut reference): (Micros, i64) = (0, 0);
        for _ in 0..20_000 {
            now += random.i64(0..100) * MILLISECOND;
            for _ in 0..random.usize(0..10) {
                let probe = estimator.take_probe().map(|probe| probe.id);
                estimator.on_sent(now, random.usize(0..70_000), probe);
            }
            reference += extremes[random.usize(..extremes.len())];
            let base = estimator.next_number().wrapping_sub(random.u16(0..12));
            let times: Vec<Option<Micros>> = (0..random.usize(1..12))
                .map(|_| random.bool().then(|| random.i64(-farthest..=farthest)))
                .collect();
            estimator.on_report(now, (reference & 0xff_ffff) as u32, base, times.into_iter());
            estimator.process(now);
            assert!((bounds.min..=bounds.max).contains(&estimator.estimate()));
        }
    }
}

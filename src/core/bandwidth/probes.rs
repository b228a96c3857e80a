//! Probes: when to find out by trying whether the network carries more. The estimate alone grows by 8 % a second, and only
//! as far as there is something to send; a probe answers within a round trip.

use std::collections::VecDeque;
use std::num::NonZeroU16;

use super::{BitRate, MILLISECOND, Micros, SECOND, scaled};

/// The first two probes, in 1/100 of the first estimate.
const FIRST_PERCENT: [u64; 2] = [300, 600];
/// If a probe found more than this much of its own rate, in 1/100, the next goes further.
const FURTHER_FROM_PERCENT: u64 = 70;
const FURTHER_PERCENT: u64 = 200;
/// How long a probe's result is waited for.
const RESULT_TIME: Micros = SECOND;
/// Who sends less than the network would take, and wants more than the estimate, probes this often, at this much of the
/// estimate, in 1/100, once that has been so for a while.
const PERIOD: Micros = 5 * SECOND;
const LIMITED_FOR: Micros = SECOND;
const PERIODIC_PERCENT: u64 = 200;
/// A probe for what is wanted goes to this much of the estimate at most, in 1/100,
const WANTED_OF_ESTIMATE_PERCENT: u64 = 200;
/// if what is wanted has grown to more than this much of what was wanted before, in 1/100.
const GROWN_PERCENT: u64 = 110;
/// No probe goes beyond this much of what is wanted, in 1/100.
const OF_WANTED_PERCENT: u64 = 200;
/// While loss limits the estimate a probe goes to this much of it at most, in 1/100.
const LOSS_LIMITED_PERCENT: u64 = 150;
/// A drop to less than this, in 1/100, is a large one. If the delay is normal again within that time, this much of the rate
/// before the drop is probed.
const DROP_PERCENT: u64 = 66;
const DROP_TIME: Micros = 5 * SECOND;
const AFTER_DROP_PERCENT: u64 = 85;
/// A probe that a full network forbids is thought of again after this time.
const REFUSED_TIME: Micros = 500 * MILLISECOND;
/// What was application-limited less than this time ago counts as if it still were.
const LIMITED_LATELY: Micros = 3 * SECOND;
/// The fewest packets of a probe, and how long it lasts.
const PACKETS_MIN: u32 = 5;
const DURATION: Micros = 15 * MILLISECOND;
/// No probe is faster, bits per second.
const RATE_MAX: BitRate = 20_000_000;
/// The most probes that wait to be sent.
const WAITING_MAX: usize = 4;

/// The name of a probe, by which its packets are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeId(NonZeroU16);

impl ProbeId {
    /// The first probe's.
    pub const FIRST: Self = Self(NonZeroU16::MIN);

    /// The next probe's. They wrap after 65,535 of them.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).unwrap_or(NonZeroU16::MIN))
    }
}

/// A probe that is to be sent: packets close behind each other, so that they make up a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeCluster {
    /// Its name.
    pub id: ProbeId,
    /// The rate, bits per second.
    pub rate: BitRate,
    /// The fewest packets of it,
    pub packets: u32,
    /// and their bytes together.
    pub bytes: u64,
}

/// What holds the estimate back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Nothing that speaks against a probe.
    None,
    /// Packets are lost, and the estimate comes back from that.
    LossIncreasing,
    /// Packets are lost.
    Loss,
    /// The delay grows, or falls after it has grown.
    Delay,
    /// The round trip is too long to tell anything.
    RoundTrip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing was sent yet.
    New,
    /// The result of a probe is waited for; a higher one than this leads to the next.
    Waiting {
        further_above: BitRate,
    },
    Idle,
}

/// Decides when and how fast to probe.
#[derive(Debug)]
pub struct Probes {
    phase: Phase,
    waiting: VecDeque<ProbeCluster>,
    next_id: ProbeId,
    estimate: BitRate,
    limit: Limit,
    /// What all that could be sent would come to, bits per second.
    wanted: Option<BitRate>,
    begun: Micros,
    /// No probe is thought of before, because one had to be left out.
    not_before: Micros,
    limited_since: Option<Micros>,
    limited_until: Option<Micros>,
    dropped: Option<(Micros, BitRate)>,
    probed_after_drop: Option<Micros>,
}

impl Probes {
    /// Nothing was probed yet. `start` is the first estimate.
    pub fn new(now: Micros, start: BitRate) -> Self {
        Self {
            phase: Phase::New,
            waiting: VecDeque::with_capacity(WAITING_MAX),
            next_id: ProbeId::FIRST,
            estimate: start,
            limit: Limit::None,
            wanted: None,
            begun: now,
            not_before: now,
            limited_since: None,
            limited_until: None,
            dropped: None,
            probed_after_drop: None,
        }
    }

    /// Takes the next probe that is to be sent.
    pub fn take(&mut self) -> Option<ProbeCluster> {
        self.waiting.pop_front()
    }

    /// Whether a probe waits to be sent.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Sends none of the probes that wait: they could not be sent, or nobody could use what they find.
    pub fn forget_waiting(&mut self) {
        if self.has_waiting() {
            self.waiting.clear();
            self.phase = Phase::Idle;
        }
    }

    /// Whether a probe waits to be sent, or its result is waited for.
    pub fn is_busy(&self) -> bool {
        !self.waiting.is_empty() || matches!(self.phase, Phase::Waiting { .. })
    }

    /// Takes note of how much there is to be sent, bits per second. More than the estimate is a reason to probe, if the
    /// network is not used to the full already. 0 ends all probing.
    pub fn set_wanted(&mut self, now: Micros, wanted: BitRate) {
        let before = self.wanted.replace(wanted).unwrap_or(0);
        if wanted == 0 {
            self.forget_waiting();
        }
        // What is wanted can be told again with every report, a little different each time.
        let is_new = wanted > scaled(before, GROWN_PERCENT, 100) && now - self.begun >= RESULT_TIME;
        if is_new && self.phase == Phase::Idle && self.limited_since.is_some() && wanted > self.estimate {
            let most = scaled(self.estimate, WANTED_OF_ESTIMATE_PERCENT, 100);
            let second = scaled(wanted, OF_WANTED_PERCENT, 100).min(most);
            if most < wanted {
                self.probe(now, &[most], true);
            } else {
                self.probe(now, &[wanted, second], second == most);
            }
        }
    }

    /// Takes note of a new estimate, and of what holds it back.
    pub fn on_estimate(&mut self, now: Micros, estimate: BitRate, limit: Limit) {
        self.limit = limit;
        if estimate < scaled(self.estimate, DROP_PERCENT, 100) {
            self.dropped = Some((now, self.estimate));
        }
        self.estimate = estimate;
        if let Phase::Waiting { further_above } = self.phase
            && estimate > further_above
        {
            self.probe(now, &[scaled(estimate, FURTHER_PERCENT, 100)], true);
        }
    }

    /// Thinks of no probe for some time: the network is being filled, which says as much.
    pub fn rest(&mut self, now: Micros) {
        self.not_before = now + REFUSED_TIME;
    }

    /// Takes note of since when less is sent than could be.
    pub fn set_limited(&mut self, now: Micros, since: Option<Micros>) {
        if self.limited_since.is_some() && since.is_none() {
            self.limited_until = Some(now);
        }
        self.limited_since = since;
    }

    /// The delay is well again after it had grown. If the estimate has lost much, what was before may be possible still.
    pub fn on_recovery(&mut self, now: Micros) {
        let was_limited = self.limited_since.is_some()
            || self.limited_until.is_some_and(|until| now - until < LIMITED_LATELY);
        let Some((dropped, before)) = self.dropped else { return };
        let rate = scaled(before, AFTER_DROP_PERCENT, 100);
        let is_first = self.probed_after_drop.is_none_or(|probed| now - probed > PERIOD);
        if was_limited
            && self.phase == Phase::Idle
            && scaled(rate, 95, 100) > self.estimate
            && now - dropped < DROP_TIME
            && is_first
        {
            self.probed_after_drop = Some(now);
            self.probe(now, &[rate], false);
        }
    }

    /// Returns when to call [`process`](Self::process) next; `None` if no time brings anything.
    pub fn deadline(&self) -> Option<Micros> {
        match self.phase {
            Phase::New => None,
            Phase::Waiting { .. } => Some(self.begun + RESULT_TIME + 1),
            Phase::Idle => {
                let since = self.useful_since();
                since.map(|since| (since + LIMITED_FOR).max(self.begun + PERIOD).max(self.not_before))
            }
        }
    }

    /// Since when less is sent than could be, if there would be something to send should a probe find more. Whoever uses the
    /// network to the full finds out without a probe, which would only take from them.
    fn useful_since(&self) -> Option<Micros> {
        self.limited_since.filter(|_| self.wanted.is_none_or(|wanted| wanted > self.estimate))
    }

    /// Begins with the first probes. Without them there never will be others.
    pub fn begin(&mut self, now: Micros) {
        if self.phase == Phase::New {
            let rates = FIRST_PERCENT.map(|percent| scaled(self.estimate, percent, 100));
            self.probe(now, &rates, true);
        }
    }

    /// Does what its time has come for.
    pub fn process(&mut self, now: Micros) {
        match self.phase {
            Phase::New => {}
            Phase::Waiting { .. } if now - self.begun > RESULT_TIME => self.phase = Phase::Idle,
            Phase::Waiting { .. } => {}
            Phase::Idle => {
                if self.deadline().is_some_and(|deadline| now >= deadline) {
                    self.probe(now, &[scaled(self.estimate, PERIODIC_PERCENT, 100)], true);
                }
            }
        }
    }

    fn probe(&mut self, now: Micros, rates: &[BitRate], further: bool) {
        let mut most = RATE_MAX;
        match self.wanted {
            // Nobody could use what a probe finds.
            Some(0) => {
                self.phase = Phase::Idle;
                return;
            }
            Some(wanted) => most = most.min(scaled(wanted, OF_WANTED_PERCENT, 100)),
            None => {}
        }
        match self.limit {
            Limit::None => {}
            Limit::LossIncreasing => most = most.min(scaled(self.estimate, LOSS_LIMITED_PERCENT, 100)),
            // What the network carries is known too well.
            Limit::Loss | Limit::Delay | Limit::RoundTrip => {
                self.not_before = now + REFUSED_TIME;
                return;
            }
        }
        let mut further = further;
        let mut last = 0;
        for &rate in rates {
            further &= rate < most;
            last = rate.min(most);
            if self.waiting.len() < WAITING_MAX {
                let bytes = scaled(last, DURATION.unsigned_abs(), 8 * SECOND.unsigned_abs());
                self.waiting.push_back(ProbeCluster {
                    id: self.next_id,
                    rate: last,
                    packets: PACKETS_MIN,
                    bytes,
                });
                self.next_id = self.next_id.next();
            }
        }
        self.begun = now;
        let further_above = scaled(last, FURTHER_FROM_PERCENT, 100);
        self.phase = if further { Phase::Waiting { further_above } } else { Phase::Idle };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [BitRate; 0] = [];

    fn rates(probes: &mut Probes) -> Vec<BitRate> {
        std::iter::from_fn(|| probes.take()).map(|cluster| cluster.rate).collect()
    }

    /// Probes whose beginning is over, at 2 s; the estimate is 1 Mbit/s.
    fn settled() -> Probes {
        let mut probes = Probes::new(0, 300_000);
        probes.begin(0);
        probes.on_estimate(0, 1_000_000, Limit::None);
        probes.process(2 * SECOND);
        rates(&mut probes);
        probes
    }

    #[test]
    fn the_beginning_is_probed_at_once_and_further_while_it_pays() {
        let mut probes = Probes::new(0, 300_000);
        assert_eq!(probes.deadline(), None);
        probes.begin(0);
        assert_eq!(rates(&mut probes), [900_000, 1_800_000]);
        probes.on_estimate(100 * MILLISECOND, 900_000, Limit::None);
        assert_eq!(rates(&mut probes), NONE, "the second one's result is waited for");
        probes.on_estimate(150 * MILLISECOND, 1_700_000, Limit::None);
        assert_eq!(rates(&mut probes), [3_400_000]);
        probes.on_estimate(200 * MILLISECOND, 2_000_000, Limit::None);
        assert_eq!(rates(&mut probes), NONE, "it found a limit");
        assert_eq!(probes.deadline(), Some(1_150_001));
        probes.process(1_150_001);
        assert!(!probes.is_busy());
    }

    #[test]
    fn probes_have_as_many_bytes_as_their_rate_needs() {
        let mut probes = Probes::new(0, 1_000_000);
        probes.begin(0);
        let cluster = probes.take().expect("the first probe");
        assert_eq!((cluster.packets, cluster.bytes), (5, 5_625), "15 ms at 3 Mbit/s");
    }

    #[test]
    fn whoever_could_use_more_probes_every_five_seconds() {
        let mut probes = settled();
        assert_eq!(probes.deadline(), None, "the network may be full");
        probes.set_limited(4 * SECOND, Some(4 * SECOND));
        assert_eq!(probes.deadline(), Some(5 * SECOND));
        probes.process(5 * SECOND - 1);
        assert_eq!(rates(&mut probes), NONE);
        probes.process(5 * SECOND);
        assert_eq!(rates(&mut probes), [2_000_000]);
        probes.process(6 * SECOND + 1);
        assert_eq!(probes.deadline(), Some(10 * SECOND));
        probes.rest(10 * SECOND - 1);
        probes.process(10 * SECOND);
        assert_eq!(rates(&mut probes), NONE, "the network is being filled");
        probes.set_wanted(10 * SECOND, 900_000);
        assert_eq!((probes.deadline(), rates(&mut probes)), (None, vec![]), "nobody could use more");
    }

    #[test]
    fn what_is_wanted_is_probed() {
        for (wanted, expected) in
            [(800_000, vec![]), (1_500_000, vec![1_500_000, 2_000_000]), (5_000_000, vec![2_000_000])]
        {
            let mut probes = settled();
            probes.set_limited(3 * SECOND, Some(3 * SECOND));
            probes.set_wanted(4 * SECOND, wanted);
            assert_eq!(rates(&mut probes), expected, "{wanted} wanted");
        }
    }

    #[test]
    fn a_full_network_is_not_probed() {
        for (limit, expected) in [
            (Limit::Loss, vec![]),
            (Limit::Delay, vec![]),
            (Limit::RoundTrip, vec![]),
            (Limit::LossIncreasing, vec![1_500_000]),
            (Limit::None, vec![2_000_000]),
        ] {
            let mut probes = settled();
            probes.on_estimate(3 * SECOND, 1_000_000, limit);
            probes.set_limited(3 * SECOND, Some(3 * SECOND));
            probes.process(9 * SECOND);
            assert_eq!(rates(&mut probes), expected, "{limit:?}");
        }
    }

    #[test]
    fn nothing_is_probed_that_nobody_wants() {
        let mut probes = Probes::new(0, 300_000);
        probes.begin(0);
        probes.set_wanted(0, 0);
        assert_eq!(rates(&mut probes), NONE, "what waits is not sent either");
        probes.on_estimate(0, 1_000_000, Limit::None);
        probes.set_limited(SECOND, Some(SECOND));
        probes.on_estimate(4 * SECOND, 400_000, Limit::None);
        probes.on_recovery(5 * SECOND);
        probes.process(20 * SECOND);
        assert_eq!((probes.deadline(), rates(&mut probes)), (None, vec![]));
    }

    #[test]
    fn after_a_large_drop_what_was_before_is_tried_once() {
        let mut probes = settled();
        probes.set_limited(3 * SECOND, Some(3 * SECOND));
        probes.on_estimate(4 * SECOND, 400_000, Limit::None);
        probes.on_recovery(5 * SECOND);
        assert_eq!(rates(&mut probes), [850_000]);
        probes.on_recovery(6 * SECOND);
        assert_eq!(rates(&mut probes), NONE);
    }
}

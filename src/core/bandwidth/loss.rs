//! LossBased: what the loss of packets allows. A full queue loses what exceeds the capacity, and a bad radio link loses some
//! of everything: only the first is a reason to send less. Among a few channels that could be meant the one is chosen that
//! explains the last seconds best, and the estimate is its capacity, as long as less is lost than anybody could live with.

mod channel;
mod observations;

use channel::Channel;
use observations::Observations;

use super::{BitRate, MILLISECOND, Micros, PacketResult, RATE_MIN, SECOND, scaled};

/// More than this is not estimated.
const RATE_MAX: BitRate = 1_000_000_000;
/// After this many portions the estimate counts.
const PORTIONS_ENOUGH: u64 = 3;
/// What is taken to be lost inherently before anything was seen.
const INHERENT_FIRST: f64 = 0.01;
/// The channels that are tried have this much of the capacity of the last, in 1/100.
const CANDIDATES: [u64; 3] = [102, 100, 95];
/// Above this loss the estimate is capped, to this rate for each whole that more is lost.
const CAP_FROM_LOSS: f64 = 0.3;
const CAP_BALANCE: f64 = 100_000.0;
/// Coming back after loss, the estimate is no more than this of what gets through, in 1/100; and of that, if it is held.
const RAMP_PERCENT: u64 = 150;
const RAMP_HELD_PERCENT: u64 = 120;
/// What gets through is counted as if the channel's own loss did not happen, up to this.
const INHERENT_COUNTED: f64 = 0.3;
/// It counts as held as long as less gets through than this much of the rate held, in 1/100.
const HELD_BELOW_PERCENT: u64 = 130;
/// It grows by this at most, in 1/100, within this time.
const WINDOW_GROWTH_PERCENT: u64 = 130;
const WINDOW: Micros = SECOND;
/// Loss is over when it exceeds the channel's own by no more than this.
const OVER_BELOW: f64 = 0.02;
/// By this part the loss may exceed the channel's own: nothing is ever quite what is usual.
const TOLERANCE: f64 = 0.15;
/// After a decrease the estimate is held: for the first time, doubled each time it is in vain, up to the second.
const HOLD_FIRST: Micros = 300 * MILLISECOND;
const HOLD_FACTOR: i64 = 2;
const HOLD_MAX: Micros = 60 * SECOND;
/// How long padding helps an estimate to grow that does not rise of itself.
const PADDING: Micros = 2 * SECOND;

/// What the loss says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossState {
    /// The loss is no limit.
    DelayBased,
    /// It was, and the estimate comes back.
    Increasing,
    /// It comes back, and more should be sent than there is to find out how far.
    IncreasingByPadding,
    /// It is one.
    Decreasing,
}

#[derive(Debug, Clone, Copy)]
struct Hold {
    until: Micros,
    duration: Micros,
    rate: BitRate,
}

const NO_HOLD: Hold = Hold { until: Micros::MIN, duration: HOLD_FIRST, rate: BitRate::MAX };

/// The estimate by loss.
#[derive(Debug)]
pub struct LossBased {
    observations: Observations,
    /// The channel that explains best what was seen; `None` before there is an estimate by delay to begin with.
    channel: Option<Channel>,
    state: LossState,
    estimate: BitRate,
    acknowledged: Option<BitRate>,
    /// The usual loss, 0 to 1.
    loss: f64,
    hold: Hold,
    /// Since when, and to which rate, padding has helped.
    padding: Option<(Micros, BitRate)>,
    /// When the window began in which the estimate may grow to the limit that stands with it.
    window: Option<(Micros, BitRate)>,
}

impl Default for LossBased {
    fn default() -> Self {
        Self {
            observations: Observations::default(),
            channel: None,
            state: LossState::DelayBased,
            estimate: RATE_MIN,
            acknowledged: None,
            loss: 0.0,
            hold: NO_HOLD,
            padding: None,
            window: None,
        }
    }
}

impl LossBased {
    /// What the loss says.
    pub fn state(&self) -> LossState {
        self.state
    }

    /// The usual loss of the last seconds, in 1/1,000,000.
    pub fn loss_millionths(&self) -> u32 {
        (self.loss * 1e6) as u32
    }

    /// What the loss allows, bits per second; `None` before enough was seen.
    pub fn estimate(&self) -> Option<BitRate> {
        (self.channel.is_some() && self.observations.count() >= PORTIONS_ENOUGH).then_some(self.estimate)
    }

    /// Whether no more is lost than the network loses anyway: nothing that is lost now is a reason to send less.
    pub fn is_over(&self) -> bool {
        let inherent = self.channel.map_or(0.0, |channel| channel.inherent_loss);
        self.loss <= inherent + OVER_BELOW
    }

    /// A probe at that rate, bits per second, has got through. If the loss that limited the estimate is over, so is the
    /// limit: otherwise whoever sends their lowest layer, since no other fits, would never get enough through to show that
    /// another does.
    pub fn on_probe(&mut self, rate: BitRate) {
        if let Some(channel) = self.channel.filter(|channel| rate > channel.capacity && self.is_over()) {
            self.channel = Some(Channel { capacity: rate, ..channel });
            self.estimate = rate;
            self.state = LossState::DelayBased;
            self.hold = NO_HOLD;
            self.padding = None;
            self.window = None;
        }
    }

    /// Takes the packets of a report. `by_delay` is what the delay allows, `acknowledged` what gets through, and
    /// `is_application_limited` says whether there was no more to be sent.
    pub fn update(
        &mut self,
        results: &[PacketResult],
        by_delay: Option<BitRate>,
        acknowledged: Option<BitRate>,
        is_application_limited: bool,
    ) {
        self.acknowledged = acknowledged.or(self.acknowledged);
        if !self.observations.take(results) {
            return;
        }
        let Some(now) = self.observations.until() else { return };
        self.loss = self.observations.loss();
        let Some(before) = self.channel.or_else(|| self.first_channel(by_delay)) else { return };
        let by_delay = by_delay.unwrap_or(BitRate::MAX);
        let mut best = self.choose(before, now, by_delay, is_application_limited);
        // What is lost beyond the channel's own loss is lost to a full queue: no time to grow.
        if self.loss * (1.0 - TOLERANCE) > best.inherent_loss && best.capacity > before.capacity {
            best.capacity = before.capacity;
        }
        if self.is_limiting() {
            best.capacity = self.restrain(now, before.capacity, best);
        }
        let least = self.acknowledged.unwrap_or(0).max(RATE_MIN);
        let bounded = best.capacity.min(self.cap()).min(by_delay).max(least);
        self.channel = Some(if bounded < best.capacity {
            Channel { inherent_loss: 0.0, capacity: bounded }
        } else {
            Channel { capacity: best.capacity.max(least), ..best }
        });
        if self.state == LossState::Decreasing && self.hold.until > now && bounded < by_delay {
            self.hold.rate = self.hold.rate.max(least);
            self.estimate = bounded.min(self.hold.rate);
            return;
        }
        self.enter_state(now, bounded, by_delay);
        self.estimate = bounded;
        self.open_window(now);
    }

    fn first_channel(&mut self, by_delay: Option<BitRate>) -> Option<Channel> {
        let capacity = by_delay?;
        self.estimate = capacity;
        Some(Channel { inherent_loss: INHERENT_FIRST, capacity })
    }

    fn is_limiting(&self) -> bool {
        self.state != LossState::DelayBased
    }

    /// Returns the channel that explains best what was seen, among a few.
    fn choose(
        &self,
        before: Channel,
        now: Micros,
        by_delay: BitRate,
        is_application_limited: bool,
    ) -> Channel {
        let is_padded = self.padding.is_some_and(|(since, _)| since + PADDING >= now);
        let acknowledged = self.acknowledged.filter(|_| !is_application_limited || is_padded);
        let delay_based = (by_delay < BitRate::MAX && by_delay > before.capacity).then_some(by_delay);
        let others = acknowledged.into_iter().chain(delay_based);
        let limit = self.window.map(|(_, limit)| limit).filter(|_| self.is_limiting());
        let most = before.capacity.max(limit.unwrap_or(RATE_MAX));
        let candidates = CANDIDATES.map(|percent| before.scaled(percent).capacity).into_iter().chain(others);
        let mut best = (f64::MIN, before);
        for capacity in candidates {
            // Newton's method walks slowly from a small loss to a large one, and the past can always be explained by a
            // capacity that shrinks. That nothing but accident is at work is a guess of its own.
            for inherent_loss in [before.inherent_loss, self.loss] {
                let guess = Channel { inherent_loss, ..before };
                let candidate = guess.with_capacity(capacity.min(most)).fitted(&self.observations);
                let objective = candidate.objective(&self.observations, self.loss);
                if objective > best.0 {
                    best = (objective, candidate);
                }
            }
        }
        best.1
    }

    /// Returns what of the way to `wanted` an estimate that loss has lowered may go now.
    fn restrain(&self, now: Micros, before: BitRate, best: Channel) -> BitRate {
        let mut wanted = best.capacity;
        if let Some((since, limit)) = self.window
            && since + WINDOW > now
        {
            wanted = wanted.min(limit);
        }
        let Some(acknowledged) = self.acknowledged.filter(|_| self.is_increasing(before, wanted)) else {
            return wanted;
        };
        let is_held =
            self.hold.rate < BitRate::MAX && acknowledged < scaled(self.hold.rate, HELD_BELOW_PERCENT, 100);
        let percent = if is_held { RAMP_HELD_PERCENT } else { RAMP_PERCENT };
        // What would get through if the channel lost nothing: at 20 % loss it is what comes that is held to, not what is sent.
        let carried = (acknowledged as f64 / (1.0 - best.inherent_loss.min(INHERENT_COUNTED))) as BitRate;
        let ramped = before.max(wanted.min(scaled(carried, percent, 100)));
        // A decrease that ends must show as an increase.
        if self.state == LossState::Decreasing && ramped == before { before + 1 } else { ramped }
    }

    fn is_increasing(&self, before: BitRate, after: BitRate) -> bool {
        let was = matches!(self.state, LossState::Increasing | LossState::IncreasingByPadding);
        self.is_limiting() && (before < after || (before == after && was))
    }

    /// What the loss allows at once, whatever explains it.
    fn cap(&self) -> BitRate {
        if self.loss > CAP_FROM_LOSS {
            (CAP_BALANCE / (self.loss - CAP_FROM_LOSS)).min(RATE_MAX as f64) as BitRate
        } else {
            RATE_MAX
        }
    }

    fn enter_state(&mut self, now: Micros, bounded: BitRate, by_delay: BitRate) {
        let is_limit = bounded < by_delay && bounded < RATE_MAX;
        if is_limit && self.is_increasing(self.estimate, bounded) && self.may_pad(now, bounded) {
            if self.padding.is_none_or(|(_, rate)| bounded > rate) {
                self.padding = Some((now, bounded));
            }
            self.state = LossState::IncreasingByPadding;
        } else if is_limit {
            if self.state != LossState::Decreasing {
                self.hold = Hold {
                    until: now + self.hold.duration,
                    duration: (self.hold.duration * HOLD_FACTOR).min(HOLD_MAX),
                    rate: bounded,
                };
            }
            self.padding = None;
            self.state = LossState::Decreasing;
        } else {
            self.hold = NO_HOLD;
            self.padding = None;
            self.state = LossState::DelayBased;
        }
    }

    /// Whether the estimate may (still) grow by padding: as long as that helps.
    fn may_pad(&self, now: Micros, bounded: BitRate) -> bool {
        self.state != LossState::IncreasingByPadding
            || self.padding.is_none_or(|(since, rate)| since + PADDING >= now || rate < bounded)
    }

    fn open_window(&mut self, now: Micros) {
        let is_open = self.window.is_some_and(|(since, _)| since + WINDOW >= now);
        if self.is_limiting() && !is_open {
            let capacity = self.channel.map_or(0, |channel| channel.capacity);
            self.window = Some((now, scaled(capacity, WINDOW_GROWTH_PERCENT, 100).max(RATE_MIN)));
        }
    }
}

#[cfg(test)]
#[path = "loss/tests.rs"]
mod tests;

//! AimdRateControl: from "the delay grows" or "it does not" to a rate. Additive increase near the capacity that was seen,
//! 8 % a second far from it; multiplicative decrease to 85 % of what got through.

use super::capacity::LinkCapacity;
use super::trendline::Usage;
use super::{BitRate, MILLISECOND, Micros, RATE_MIN, SECOND, scaled};

/// The round trip while none is known.
const ROUND_TRIP_UNKNOWN: Micros = 200 * MILLISECOND;
/// A decrease leaves this much of what got through, in 1/100,
const DECREASE_PERCENT: u64 = 85;
/// less this, so that a queue of small rates empties too.
const DECREASE_BELOW: BitRate = 5_000;
/// The estimate grows to this much of what got through at most, in 1/100, and a little more.
const INCREASE_LIMIT_PERCENT: u64 = 150;
const INCREASE_LIMIT_ABOVE: BitRate = 10_000;
/// It grows at least so fast: far from the capacity, bits per second at each step; near it, bits per second each second.
const INCREASE_MIN: BitRate = 1_000;
const INCREASE_NEAR_MIN: BitRate = 4_000;
/// The usual size of a packet in bytes, and the frames of video in a second.
const PACKET_BYTES: u64 = 1_200;
const FRAMES_A_SECOND: u64 = 30;
/// How long a decrease takes to show, beyond the round trip.
const RESPONSE: Micros = 100 * MILLISECOND;
/// After a decrease the next waits for one round trip, but not for less or more than this.
const DECREASE_AGAIN_MIN: Micros = 10 * MILLISECOND;
const DECREASE_AGAIN_MAX: Micros = 200 * MILLISECOND;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Hold,
    Increase,
    Decrease,
}

/// The rate that the delay allows.
#[derive(Debug)]
pub struct AimdRateControl {
    rate: BitRate,
    phase: Phase,
    capacity: LinkCapacity,
    throughput_last: BitRate,
    changed: Option<Micros>,
    round_trip: Micros,
}

impl AimdRateControl {
    /// Begins with `start`, bits per second.
    pub fn new(start: BitRate) -> Self {
        Self {
            rate: start.max(RATE_MIN),
            phase: Phase::Hold,
            capacity: LinkCapacity::default(),
            throughput_last: start,
            changed: None,
            round_trip: ROUND_TRIP_UNKNOWN,
        }
    }

    /// The rate, bits per second.
    pub fn rate(&self) -> BitRate {
        self.rate
    }

    /// Takes note of the round trip.
    pub fn set_round_trip(&mut self, round_trip: Micros) {
        self.round_trip = round_trip.max(0);
    }

    /// Sets the rate to what a probe found.
    pub fn set_rate(&mut self, now: Micros, rate: BitRate) {
        self.rate = rate.max(RATE_MIN);
        self.changed = Some(now);
    }

    /// Whether overuse that goes on is a reason to go down once more: what the last decrease did must have had time to show,
    /// unless much less gets through than was thought. `throughput` is what got through, if that is known.
    pub fn may_decrease(&self, now: Micros, throughput: Option<BitRate>) -> bool {
        let again = self.round_trip.clamp(DECREASE_AGAIN_MIN, DECREASE_AGAIN_MAX);
        self.changed.is_none_or(|changed| now - changed >= again)
            || throughput.is_some_and(|throughput| throughput < self.rate / 2)
    }

    /// Takes how the network is used, and what got through lately, if that is known. Returns the rate from now on.
    pub fn update(&mut self, now: Micros, usage: Usage, throughput: Option<BitRate>) -> BitRate {
        let throughput = throughput.unwrap_or(self.throughput_last);
        self.throughput_last = throughput;
        match usage {
            Usage::Normal if self.phase == Phase::Hold => {
                self.changed = Some(now);
                self.phase = Phase::Increase;
            }
            Usage::Normal => {}
            Usage::Over => self.phase = Phase::Decrease,
            Usage::Under => self.phase = Phase::Hold,
        }
        match self.phase {
            Phase::Hold => {}
            Phase::Increase => self.increase(now, throughput),
            Phase::Decrease => self.decrease(now, throughput, throughput),
        }
        self.rate
    }

    fn increase(&mut self, now: Micros, throughput: BitRate) {
        if self.capacity.is_below(throughput) {
            self.capacity.forget();
        }
        let limit = scaled(throughput, INCREASE_LIMIT_PERCENT, 100) + INCREASE_LIMIT_ABOVE;
        // A rate above the limit stays: nothing speaks against it yet.
        if self.rate < limit {
            let time = self.changed.map_or(0, |changed| now - changed).max(0);
            let step = match self.capacity.estimate() {
                Some(_) => self.additive(time),
                None => self.multiplicative(time.min(SECOND)),
            };
            self.rate = (self.rate + step).min(limit);
        }
        self.changed = Some(now);
    }

    /// Half a packet for each time that a step takes to show, or twice that.
    fn additive(&self, time: Micros) -> BitRate {
        let frame_bytes = self.rate / (8 * FRAMES_A_SECOND);
        let packets = frame_bytes.div_ceil(PACKET_BYTES).max(1);
        let packet_bits = self.rate / FRAMES_A_SECOND / packets;
        let response = 2 * (self.round_trip + RESPONSE).unsigned_abs();
        let a_second = scaled(packet_bits, SECOND.unsigned_abs(), response).max(INCREASE_NEAR_MIN);
        scaled(a_second, time.unsigned_abs(), SECOND.unsigned_abs())
    }

    /// `1.08^t − 1` times the rate, as the first terms of its series; `time` is a second at most.
    fn multiplicative(&self, time: Micros) -> BitRate {
        let time = time.unsigned_abs();
        let second = SECOND.unsigned_abs();
        // In 1/1,000,000,000: ln 1.08, and the next powers of it by 2 and by 6.
        let growth = time * (76_961_041 + time * (2_961_500 + time * 75_973 / second) / second) / second;
        scaled(self.rate, growth, 1_000_000_000).max(INCREASE_MIN)
    }

    /// Takes that the network is overused: `mean` is what got through lately, and `carried` what of it speaks for the network,
    /// which may be more. Returns the rate from now on.
    pub fn on_overuse(&mut self, now: Micros, mean: BitRate, carried: BitRate) -> BitRate {
        self.throughput_last = mean;
        self.decrease(now, mean, carried);
        self.rate
    }

    /// Only the mean is remembered as the capacity: what comes in a moment varies too much for that.
    fn decrease(&mut self, now: Micros, throughput: BitRate, carried: BitRate) {
        let mut rate = scaled(carried, DECREASE_PERCENT, 100);
        if rate > DECREASE_BELOW {
            rate -= DECREASE_BELOW;
        }
        if rate > self.rate
            && let Some(capacity) = self.capacity.estimate()
        {
            rate = scaled(capacity, DECREASE_PERCENT, 100);
        }
        if self.capacity.is_above(throughput) {
            self.capacity.forget();
        }
        self.capacity.on_overuse(throughput);
        self.rate = self.rate.min(rate).max(RATE_MIN);
        self.phase = Phase::Hold;
        self.changed = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Micros = 50 * MILLISECOND;

    #[test]
    fn without_overuse_the_rate_grows_by_eight_percent_a_second() {
        let mut control = AimdRateControl::new(1_000_000);
        for step in 0..=20 {
            control.update(step * STEP, Usage::Normal, Some(1_000_000));
        }
        assert!((1_079_000..1_081_500).contains(&control.rate()), "{}", control.rate());
    }

    #[test]
    fn it_grows_to_half_more_than_what_gets_through() {
        let mut control = AimdRateControl::new(300_000);
        for step in 0..2_000 {
            control.update(step * STEP, Usage::Normal, Some(400_000));
        }
        assert_eq!(control.rate(), 610_000);
        control.update(2_000 * STEP, Usage::Normal, Some(200_000));
        assert_eq!(control.rate(), 610_000, "it does not fall because less is sent");
    }

    #[test]
    fn overuse_leaves_85_percent_of_what_got_through() {
        let mut control = AimdRateControl::new(1_000_000);
        control.update(0, Usage::Normal, Some(900_000));
        assert_eq!(control.update(STEP, Usage::Over, Some(800_000)), 675_000);
        assert_eq!(control.update(2 * STEP, Usage::Under, Some(800_000)), 675_000, "the queue empties first");
        let after = control.update(3 * STEP, Usage::Normal, Some(800_000));
        assert_eq!(after, 675_000, "growth is counted from here");
        let later = control.update(23 * STEP, Usage::Normal, Some(800_000));
        // 22,500 bits a frame, three packets of 7,500, 600 ms to show.
        assert_eq!(later, 675_000 + 12_500, "near the capacity it grows slowly");
    }

    #[test]
    fn a_decrease_never_raises_the_rate() {
        let mut control = AimdRateControl::new(500_000);
        assert_eq!(control.update(0, Usage::Over, Some(2_000_000)), 500_000);
        assert_eq!(control.update(STEP, Usage::Over, Some(1_000)), RATE_MIN, "and there is a floor");
    }

    #[test]
    fn decreases_wait_for_each_other() {
        let mut control = AimdRateControl::new(1_000_000);
        control.set_round_trip(60 * MILLISECOND);
        control.update(0, Usage::Over, Some(1_000_000));
        let cases = [
            (59 * MILLISECOND, Some(800_000), false),
            (60 * MILLISECOND, Some(800_000), true),
            (20 * MILLISECOND, Some(400_000), true),
            (20 * MILLISECOND, None, false),
        ];
        for (now, throughput, expected) in cases {
            assert_eq!(control.may_decrease(now, throughput), expected, "{now} {throughput:?}");
        }
    }
}

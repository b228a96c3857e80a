//! ApplicationLimited: whether less is sent than the network would take, because there is no more to be sent. Then nothing
//! that gets through says how much could; and there is room for a probe.

use super::{BitRate, MILLISECOND, Micros, SECOND, scaled};

/// So much of the estimate counts as using it, in 1/100. Below that, what gets through says nothing of the network.
const USE_PERCENT: u64 = 65;
/// So much of it counts as filling it, in 1/100. Who sends less will not find out by itself that there is more.
const FILL_PERCENT: u64 = 95;
/// What was not used is remembered for this long.
const WINDOW: Micros = 500 * MILLISECOND;
/// Limited by the application is who has used less than this allows: the budget is above this part of its most, in 1/100,
const BEGIN_PERCENT: i64 = 80;
/// and no longer once it has fallen below this one.
const END_PERCENT: i64 = 50;

/// A budget of bits that fills at a part of the estimated rate and is used by what is sent.
#[derive(Debug)]
pub struct ApplicationLimited {
    /// How much of the estimate counts, in 1/100.
    percent: u64,
    /// How fast the budget fills, bits per second.
    rate: BitRate,
    /// What is left of it, in bits.
    budget: i64,
    last: Option<Micros>,
    since: Option<Micros>,
}

impl Default for ApplicationLimited {
    fn default() -> Self {
        Self { percent: USE_PERCENT, rate: 0, budget: 0, last: None, since: None }
    }
}

impl ApplicationLimited {
    /// Tells whether the estimate is filled, which takes more than using it.
    pub fn of_filling() -> Self {
        Self { percent: FILL_PERCENT, ..Self::default() }
    }

    /// Takes the estimate, bits per second.
    pub fn set_estimate(&mut self, estimate: BitRate) {
        self.rate = scaled(estimate, self.percent, 100);
        let most = self.most();
        self.budget = self.budget.clamp(-most, most);
    }

    /// Since when less is sent than could be; `None` if it is not so.
    pub fn since(&self) -> Option<Micros> {
        self.since
    }

    /// Takes note of what was sent since the last call.
    pub fn on_sent(&mut self, now: Micros, bytes: u64) {
        // How long the first bytes took to be sent nobody knows.
        let Some(last) = self.last.replace(now) else { return };
        let most = self.most();
        let used = i64::try_from(bytes * 8).unwrap_or(i64::MAX);
        self.budget = self.budget.saturating_sub(used).max(-most);
        let filled = scaled(self.rate, (now - last).max(0).unsigned_abs(), SECOND.unsigned_abs());
        self.budget = self.budget.saturating_add(i64::try_from(filled).unwrap_or(i64::MAX)).min(most);
        if self.budget * 100 > most * BEGIN_PERCENT {
            self.since.get_or_insert(now);
        } else if self.budget * 100 < most * END_PERCENT {
            self.since = None;
        }
    }

    fn most(&self) -> i64 {
        scaled(self.rate, WINDOW.unsigned_abs(), SECOND.unsigned_abs()) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `percent` of an estimate of 1 Mbit/s for `millis`, in steps of 10 ms.
    fn send(limited: &mut ApplicationLimited, now: &mut Micros, millis: i64, percent: u64) {
        for _ in 0..millis / 10 {
            *now += 10 * MILLISECOND;
            limited.on_sent(*now, 1_250 * percent / 100);
        }
    }

    #[test]
    fn who_sends_little_is_limited_by_themselves() {
        let (mut limited, mut now) = (ApplicationLimited::default(), 0);
        limited.set_estimate(1_000_000);
        send(&mut limited, &mut now, 2_000, 90);
        assert_eq!(limited.since(), None, "the estimate is used");
        send(&mut limited, &mut now, 3_000, 20);
        let since = limited.since().expect("less than the estimate is used");
        send(&mut limited, &mut now, 1_000, 20);
        assert_eq!(limited.since(), Some(since), "the beginning is remembered");
        send(&mut limited, &mut now, 1_500, 100);
        assert_eq!(limited.since(), None);
    }

    #[test]
    fn who_uses_the_estimate_need_not_fill_it() {
        let both = [ApplicationLimited::default(), ApplicationLimited::of_filling()];
        let after = both.map(|mut limited| {
            let mut now = 0;
            limited.set_estimate(1_000_000);
            send(&mut limited, &mut now, 2_000, 95);
            send(&mut limited, &mut now, 5_000, 66);
            limited.since().is_some()
        });
        assert_eq!(after, [false, true]);
    }

    #[test]
    fn a_short_pause_changes_nothing() {
        let (mut limited, mut now) = (ApplicationLimited::default(), 0);
        limited.set_estimate(1_000_000);
        send(&mut limited, &mut now, 2_000, 90);
        send(&mut limited, &mut now, 200, 0);
        assert_eq!(limited.since(), None);
    }
}

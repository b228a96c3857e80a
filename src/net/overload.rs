//! Overload: notices that the machine cannot carry everything, and says how much of the pictures to leave out, so that
//! sound goes on as if nothing were. Called by the event loop, once a turn; knows no clock.
//!
//! Beyond a full core packets wait in the queue of the one UDP socket, sound behind pictures, until it is full and the
//! kernel drops either. Two things tell: how long packets were here when they left, and how much of the time the loop
//! slept. The first says that there is too much; the second, how much could be carried again.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::core::input::Shedding;

/// From decision to decision.
const PERIOD: Duration = Duration::from_millis(50);
/// A packet that was here for longer is late: two frames of sound.
const LATE: Duration = Duration::from_millis(40);
/// What is left out more at each decision while packets are late.
const STEP: u8 = 4;
/// So long after the last step nothing is taken back: what it did shows when the queue is empty.
const PATIENCE: Duration = Duration::from_millis(500);
/// Pictures come back only while the loop works less than this share of the time, and as many as fit below it.
const BUSY_MAX: f64 = 0.85;

/// A loop that works for a larger share of the time has no time left.
const BUSY_FULL: f64 = 0.95;

/// What was seen since the last decision, and what was decided.
#[derive(Debug)]
pub struct Overload {
    shedding: Shedding,
    /// When this period began.
    began: Instant,
    /// How long the loop slept in it.
    slept: Duration,
    /// The longest that a packet was here.
    longest: Duration,
    /// The same of the period before.
    longest_before: Duration,
    /// When more was left out, last.
    stepped: Option<Instant>,
}

impl Overload {
    /// All is well.
    pub fn new(now: Instant) -> Self {
        Self {
            shedding: Shedding::NONE,
            began: now,
            slept: Duration::ZERO,
            longest: Duration::ZERO,
            longest_before: Duration::ZERO,
            stepped: None,
        }
    }

    /// How much is left out at present.
    pub fn shedding(&self) -> Shedding {
        self.shedding
    }

    /// The loop slept for so long.
    pub fn slept(&mut self, time: Duration) {
        self.slept += time;
    }

    /// A packet was here for so long, from the kernel's receiving it to our handing over what it led to.
    pub fn held(&mut self, time: Duration) {
        self.longest = self.longest.max(time);
    }

    /// What the core is to be told now, if anything: what is left out, again and again as long as it is something,
    /// because new rooms do not know of it.
    pub fn decide(&mut self, now: Instant) -> Option<Shedding> {
        let elapsed = now.saturating_duration_since(self.began);
        if elapsed < PERIOD {
            return None;
        }
        let busy = 1.0 - self.slept.as_secs_f64() / elapsed.as_secs_f64();
        let before = self.shedding;
        // One late period may be a machine that stood still, and a queue that gets shorter needs time alone.
        let is_late = self.longest > LATE && self.longest_before > LATE;
        // Who is late and sleeps is kept from working by others: less work would not help.
        if is_late && busy > BUSY_FULL && self.longest >= self.longest_before.mul_f64(0.9) {
            self.shedding = Shedding::sixteenths(before.get().saturating_add(STEP));
            self.stepped = Some(now);
        } else if self.longest <= LATE
            && self.stepped.is_some_and(|at| now.saturating_duration_since(at) >= PATIENCE)
        {
            self.shedding = affordable(before, busy);
        }
        self.began = now;
        self.slept = Duration::ZERO;
        self.longest_before = std::mem::take(&mut self.longest);
        match (before == Shedding::NONE, self.shedding == Shedding::NONE) {
            (true, true) => return None,
            (true, false) => warn!(
                "the processor is full: some pictures are not forwarded, so that sound is; this machine carries \
                 fewer or smaller calls"
            ),
            (false, true) => info!("the processor has time again: all pictures are forwarded"),
            (false, false) => {}
        }
        Some(self.shedding)
    }
}

/// What still has to be left out if the loop works that share of the time without it: what is forwarded makes the work.
fn affordable(shedding: Shedding, busy: f64) -> Shedding {
    let all = Shedding::ALL.get();
    let forwarded = all - shedding.get();
    // Of pictures that are all left out nobody knows what they cost: one part comes back at a time, or all if there is
    // next to nothing to do.
    let fits = f64::from(forwarded.max(1)) * BUSY_MAX / busy.max(0.01);
    let forwarded = forwarded.max(fits.min(f64::from(all)) as u8);
    Shedding::sixteenths(all - forwarded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::clock;

    /// Periods of a server that is that busy and holds packets for so long.
    fn periods(overload: &mut Overload, now: &mut Instant, count: u32, busy: f64, held: u64) {
        for _ in 0..count {
            overload.slept(PERIOD.mul_f64(1.0 - busy));
            overload.held(Duration::from_millis(held));
            *now += PERIOD;
            overload.decide(*now);
        }
    }

    #[test]
    fn a_machine_that_stood_still_once_leaves_nothing_out() {
        let mut now = clock::now();
        let mut overload = Overload::new(now);
        periods(&mut overload, &mut now, 5, 0.5, 1);
        periods(&mut overload, &mut now, 1, 1.0, 300);
        periods(&mut overload, &mut now, 5, 0.5, 1);
        assert_eq!(overload.shedding(), Shedding::NONE);
        assert_eq!(overload.decide(now + PERIOD), None);
    }

    #[test]
    fn more_and_more_is_shed_until_packets_are_late_no_longer_than_before() {
        let mut now = clock::now();
        let mut overload = Overload::new(now);
        periods(&mut overload, &mut now, 2, 1.0, 60);
        assert_eq!(overload.shedding().get(), STEP);
        periods(&mut overload, &mut now, 1, 1.0, 100);
        assert_eq!(overload.shedding().get(), 2 * STEP);
        periods(&mut overload, &mut now, 1, 1.0, 70);
        assert_eq!(overload.shedding().get(), 2 * STEP, "the queue gets shorter");
        periods(&mut overload, &mut now, 10, 1.0, 200);
        assert_eq!(overload.shedding(), Shedding::ALL);
    }

    #[test]
    fn as_much_comes_back_as_there_is_time_for() {
        let mut now = clock::now();
        let mut overload = Overload::new(now);
        periods(&mut overload, &mut now, 3, 1.0, 60);
        assert_eq!(overload.shedding().get(), 8);
        periods(&mut overload, &mut now, 3, 0.68, 2);
        assert_eq!(overload.shedding().get(), 8, "not at once");
        periods(&mut overload, &mut now, 20, 0.68, 2);
        assert_eq!(overload.shedding().get(), 0, "each decision finds time for more");
        periods(&mut overload, &mut now, 3, 1.0, 60);
        periods(&mut overload, &mut now, 20, 0.85, 2);
        assert_eq!(overload.shedding().get(), 8, "a full machine takes nothing back");
    }

    #[test]
    fn when_the_crowd_has_gone_everything_comes_back_within_a_second() {
        let mut now = clock::now();
        let mut overload = Overload::new(now);
        periods(&mut overload, &mut now, 20, 1.0, 60);
        assert_eq!(overload.shedding(), Shedding::ALL);
        periods(&mut overload, &mut now, 12, 0.05, 1);
        assert_eq!(overload.shedding(), Shedding::NONE);
    }
}

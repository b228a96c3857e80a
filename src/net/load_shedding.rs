//! Load shedding: notices that the machine cannot carry everything, and decides how much of the video to drop, so that the
//! audio goes on as if nothing were. The event loop asks once in each pass. Reads no clock.
//!
//! Once a processor core is full, packets wait in the queue of the one UDP socket, audio behind video, until it is full and
//! the kernel drops either. Two things tell: how long packets have been in the process when they leave, and how much of the
//! time the loop sleeps. The first says that there is too much; the second, how much could be carried again.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::core::input::Shedding;

/// From decision to decision.
const PERIOD: Duration = Duration::from_millis(50);
/// A packet that stays for longer is late: two frames of audio.
const LATE: Duration = Duration::from_millis(40);
/// How many sixteenths more are dropped at each decision while packets are late.
const STEP: u8 = 4;
/// How long after the last step nothing is taken back: what it did shows when the queue is empty.
const PATIENCE: Duration = Duration::from_millis(500);
/// Video comes back only while the loop works less than this share of the time, and as much as fits below it.
const BUSY_MAX: f64 = 0.85;
/// A loop that works for a larger share of the time has no time left.
const BUSY_FULL: f64 = 0.95;

/// What was seen since the last decision, and what was decided.
#[derive(Debug)]
pub struct LoadShedding {
    shed: Shedding,
    /// When this period began.
    began: Instant,
    /// How long the loop slept in it.
    slept: Duration,
    /// The longest that a packet stayed in it.
    longest: Duration,
    /// The longest that a packet stayed in the period before.
    longest_before: Duration,
    /// When more was dropped, last.
    stepped: Option<Instant>,
}

impl LoadShedding {
    /// Begins with a machine that can carry everything.
    pub fn new(now: Instant) -> Self {
        Self {
            shed: Shedding::NONE,
            began: now,
            slept: Duration::ZERO,
            longest: Duration::ZERO,
            longest_before: Duration::ZERO,
            stepped: None,
        }
    }

    /// Returns how much of the video is dropped at present.
    pub fn shed(&self) -> Shedding {
        self.shed
    }

    /// Notes how long the loop slept.
    pub fn slept(&mut self, time: Duration) {
        self.slept += time;
    }

    /// Notes how long a packet stayed, from the kernel's receiving it to our handing over what it led to.
    pub fn held(&mut self, time: Duration) {
        self.longest = self.longest.max(time);
    }

    /// Returns what the core is to be told now, if anything. While something is dropped, the core is told again and again,
    /// because new rooms do not know of it.
    pub fn decide(&mut self, now: Instant) -> Option<Shedding> {
        let elapsed = now.saturating_duration_since(self.began);
        if elapsed < PERIOD {
            return None;
        }
        let busy = 1.0 - self.slept.as_secs_f64() / elapsed.as_secs_f64();
        let before = self.shed;
        // One late period may be a machine that stood still, and a queue that gets shorter needs time alone.
        let is_late = self.longest > LATE && self.longest_before > LATE;
        // A loop that is late and sleeps is kept from working by others: less work would not help.
        if is_late && busy > BUSY_FULL && self.longest >= self.longest_before.mul_f64(0.9) {
            self.shed = Shedding::sixteenths(before.get().saturating_add(STEP));
            self.stepped = Some(now);
        } else if self.longest <= LATE
            && self.stepped.is_some_and(|at| now.saturating_duration_since(at) >= PATIENCE)
        {
            self.shed = affordable(before, busy);
        }
        self.began = now;
        self.slept = Duration::ZERO;
        self.longest_before = std::mem::take(&mut self.longest);
        match (before == Shedding::NONE, self.shed == Shedding::NONE) {
            (true, true) => return None,
            (true, false) => warn!(
                "the processor is full: some video is not forwarded, so that audio is; this machine carries fewer or \
                 smaller calls"
            ),
            (false, true) => info!("the processor has time again: all video is forwarded"),
            (false, false) => {}
        }
        Some(self.shed)
    }
}

/// Returns what still has to be dropped if the loop works that share of the time now: what is forwarded makes the work.
fn affordable(shed: Shedding, busy: f64) -> Shedding {
    let all = Shedding::ALL.get();
    let forwarded = all - shed.get();
    // Nobody knows what video costs of which everything is dropped: one part comes back at a time, or all of it if there
    // is next to nothing to do.
    let fits = f64::from(forwarded.max(1)) * BUSY_MAX / busy.max(0.01);
    let forwarded = forwarded.max(fits.min(f64::from(all)) as u8);
    Shedding::sixteenths(all - forwarded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::clock;

    /// Periods of a server that is that busy and holds packets for so long.
    fn periods(shedding: &mut LoadShedding, now: &mut Instant, count: u32, busy: f64, held: u64) {
        for _ in 0..count {
            shedding.slept(PERIOD.mul_f64(1.0 - busy));
            shedding.held(Duration::from_millis(held));
            *now += PERIOD;
            shedding.decide(*now);
        }
    }

    #[test]
    fn a_machine_that_stood_still_once_leaves_nothing_out() {
        let mut now = clock::now();
        let mut shedding = LoadShedding::new(now);
        periods(&mut shedding, &mut now, 5, 0.5, 1);
        periods(&mut shedding, &mut now, 1, 1.0, 300);
        periods(&mut shedding, &mut now, 5, 0.5, 1);
        assert_eq!(shedding.shed(), Shedding::NONE);
        assert_eq!(shedding.decide(now + PERIOD), None);
    }

    #[test]
    fn more_and_more_is_left_out_until_packets_are_late_no_longer_than_before() {
        let mut now = clock::now();
        let mut shedding = LoadShedding::new(now);
        periods(&mut shedding, &mut now, 2, 1.0, 60);
        assert_eq!(shedding.shed().get(), STEP);
        periods(&mut shedding, &mut now, 1, 1.0, 100);
        assert_eq!(shedding.shed().get(), 2 * STEP);
        periods(&mut shedding, &mut now, 1, 1.0, 70);
        assert_eq!(shedding.shed().get(), 2 * STEP, "the queue gets shorter");
        periods(&mut shedding, &mut now, 10, 1.0, 200);
        assert_eq!(shedding.shed(), Shedding::ALL);
    }

    #[test]
    fn as_much_comes_back_as_there_is_time_for() {
        let mut now = clock::now();
        let mut shedding = LoadShedding::new(now);
        periods(&mut shedding, &mut now, 3, 1.0, 60);
        assert_eq!(shedding.shed().get(), 8);
        periods(&mut shedding, &mut now, 3, 0.68, 2);
        assert_eq!(shedding.shed().get(), 8, "not at once");
        periods(&mut shedding, &mut now, 20, 0.68, 2);
        assert_eq!(shedding.shed().get(), 0, "each decision finds time for more");
        periods(&mut shedding, &mut now, 3, 1.0, 60);
        periods(&mut shedding, &mut now, 20, 0.85, 2);
        assert_eq!(shedding.shed().get(), 8, "a full machine takes nothing back");
    }

    #[test]
    fn when_the_crowd_has_gone_everything_comes_back_within_a_second() {
        let mut now = clock::now();
        let mut shedding = LoadShedding::new(now);
        periods(&mut shedding, &mut now, 20, 1.0, 60);
        assert_eq!(shedding.shed(), Shedding::ALL);
        periods(&mut shedding, &mut now, 12, 0.05, 1);
        assert_eq!(shedding.shed(), Shedding::NONE);
    }
}

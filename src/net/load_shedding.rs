//! Load shedding: notices that the processor is too busy, and decides how much of the work of video to shed, so that audio
//! goes on undisturbed. The event loop asks once in each pass. Reads no clock.
//!
//! Once a processor core is full, packets wait in the queue of the one UDP socket, audio behind video, until the queue
//! is full and the kernel drops both. Three measurements decide. If packets have been in the process for too long when
//! they leave, there is too much work. The share of the time in which the loop sleeps says how much more could be
//! forwarded again. The processor time of the thread says whether its own work fills the core: a server that others
//! keep from running would gain nothing by doing less.
//!
//! Video is lowered before any is paused: everybody is sent smaller pictures, then fewer of them. Smaller ones begin with a key
//! frame, so what lowering brings is waited for before anything is paused, unless packets are so late that audio is lost.
//! What lowering saves is not known beforehand. So it is taken back in steps, and ever later if a step was too much.
//!
//! Only what causes the work is shed. If clients' connections take most of the time, they are read less in each pass,
//! and the video stays.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::core::input::Shedding;

/// The time between two decisions.
const PERIOD: Duration = Duration::from_millis(50);
/// A packet that stays in the process for longer is late. This is two frames of audio.
const LATE: Duration = Duration::from_millis(40);
/// How many parts more are paused at each decision while packets are late,
const STEP: u8 = 4;
/// and how many more are lowered.
const LOWERING_STEP: u8 = 8;
/// What has been lowered has its effect after this time: key frames have come by then.
const LOWERED_WITHIN: Duration = Duration::from_millis(300);
/// Packets that are late by more than this do not leave time to wait for that.
const TOO_LATE: Duration = Duration::from_millis(200);
/// How many parts of what was lowered are taken back at a time.
const RAISING_STEP: u8 = 8;
/// The loop must work less than this share of the time for that: larger pictures cost a multiple of small ones.
const RAISING_BUSY_MAX: f64 = 0.7;
/// While it works less than this, everything is taken back without waiting.
const IDLE: f64 = 0.3;
/// A step that was taken back and has to be taken again within this time was too early.
const RELAPSE: Duration = Duration::from_secs(5);
/// How long the next one waits at most, after several of those.
const PATIENCE_MAX: Duration = Duration::from_secs(32);
/// How long after the last step nothing is taken back. The effect of a step shows only when the queue is empty.
const PATIENCE: Duration = Duration::from_millis(500);
/// Video comes back only while the loop works less than this share of the time, and as much as fits below it.
const BUSY_MAX: f64 = 0.85;
/// A loop that works for a larger share of the time than this has no time left.
const BUSY_FULL: f64 = 0.95;
/// A thread that had the processor for a smaller share of the time than this is kept from running by others, and its
/// own work is too little to matter. Above this, less work makes it faster.
const PROCESSOR_SHARE_MIN: f64 = 0.5;
/// If connections take a larger share of the work than this, they are what is cut.
const SIGNALLING_SHARE: f64 = 0.5;
/// How often the time for signalling in a pass may be halved.
const SIGNALLING_HALVINGS_MAX: u32 = 4;

/// What was seen since the last decision, and what was decided.
#[derive(Debug)]
pub struct LoadShedding {
    shed: Shedding,
    /// When this period began.
    began: Instant,
    /// How long the loop slept in it.
    slept: Duration,
    /// What the thread's processor time was when it began.
    processor: Duration,
    /// How long connections were read in it.
    signalled: Duration,
    /// How often the time for reading connections has been halved.
    halvings: u32,
    /// The longest time that a packet stayed in the process during it.
    longest: Duration,
    /// The same for the previous period.
    longest_before: Duration,
    /// When more was last shed.
    stepped: Option<Instant>,
    /// When everything was lowered as far as can be.
    lowered: Option<Instant>,
    /// When something that was lowered was last taken back.
    raised: Option<Instant>,
    /// How long that has to wait.
    patience: Duration,
}

impl LoadShedding {
    /// Begins with nothing shed. `processor` is the thread's processor time so far.
    pub fn new(now: Instant, processor: Duration) -> Self {
        Self {
            shed: Shedding::NONE,
            began: now,
            slept: Duration::ZERO,
            processor,
            signalled: Duration::ZERO,
            halvings: 0,
            longest: Duration::ZERO,
            longest_before: Duration::ZERO,
            stepped: None,
            lowered: None,
            raised: None,
            patience: PATIENCE,
        }
    }

    /// Returns how much is shed at present.
    pub fn shed(&self) -> Shedding {
        self.shed
    }

    /// Notes how long the loop slept.
    pub fn slept(&mut self, time: Duration) {
        self.slept += time;
    }

    /// Notes how long clients' connections were read, including the work that their messages caused.
    pub fn signalled(&mut self, time: Duration) {
        self.signalled += time;
    }

    /// Returns for how long a pass may read connections. `whole` is the time for when nothing is wrong.
    pub fn signalling_budget(&self, whole: Duration) -> Duration {
        whole / (1 << self.halvings)
    }

    /// Notes how long a packet stayed in the process: from its arrival in the kernel until everything that it led to
    /// was handed to the kernel.
    pub fn held(&mut self, time: Duration) {
        self.longest = self.longest.max(time);
    }

    /// Sheds more: lowers more of the video or, when all of it is lowered and that is not enough, pauses more.
    fn shed_more(&mut self, now: Instant) {
        if self.raised.is_some_and(|at| now.saturating_duration_since(at) < RELAPSE) {
            self.patience = (self.patience * 2).min(PATIENCE_MAX);
            self.raised = None;
        }
        let before = self.shed;
        let is_effective = |at: Instant| now.saturating_duration_since(at) >= LOWERED_WITHIN;
        if before < Shedding::LOWERED {
            self.shed = Shedding::parts(before.get() + LOWERING_STEP).min(Shedding::LOWERED);
            self.lowered = (self.shed == Shedding::LOWERED).then_some(now);
        } else if self.longest > TOO_LATE || self.lowered.is_none_or(is_effective) {
            self.shed = Shedding::parts(before.get().saturating_add(STEP));
        }
    }

    /// Sheds less, if there is time for more: what is paused comes back first.
    fn shed_less(&mut self, now: Instant, busy: f64) {
        let before = self.shed;
        if before > Shedding::LOWERED {
            self.shed = Shedding::parts(Shedding::LOWERED.get() + affordable(before.paused(), busy));
            return;
        }
        if before == Shedding::NONE {
            if self.raised.is_some_and(|at| now.saturating_duration_since(at) >= RELAPSE) {
                (self.raised, self.patience) = (None, PATIENCE);
            }
            return;
        }
        let quiet = [self.stepped, self.raised].into_iter().flatten().max();
        let has_waited = quiet.is_none_or(|at| now.saturating_duration_since(at) >= self.patience);
        if busy < IDLE || (busy < RAISING_BUSY_MAX && has_waited) {
            self.shed = Shedding::parts(before.get().saturating_sub(RAISING_STEP));
            self.raised = Some(now);
        }
    }

    /// Returns what to tell the core now, if anything. While something is shed, the core is told at each decision,
    /// because new rooms do not know. `processor` reads the thread's processor time, and is called only when there is
    /// something to decide.
    pub fn decide(&mut self, now: Instant, processor: impl FnOnce() -> Duration) -> Option<Shedding> {
        let elapsed = now.saturating_duration_since(self.began);
        if elapsed < PERIOD {
            return None;
        }
        let busy = 1.0 - self.slept.as_secs_f64() / elapsed.as_secs_f64();
        let processor = processor();
        let had = processor.saturating_sub(self.processor).as_secs_f64() / elapsed.as_secs_f64();
        let before = self.shed;
        // After a single late period the machine may only have stood still, and a queue that gets shorter only needs
        // time.
        let is_late = self.longest > LATE && self.longest_before > LATE;
        let is_full = busy > BUSY_FULL && had > PROCESSOR_SHARE_MIN;
        // If the loop is late although it sleeps, or has no processor, others keep it from working, and less work would
        // not help.
        if is_late && is_full && self.longest >= self.longest_before.mul_f64(0.9) {
            let is_signalling = self.signalled > elapsed.mul_f64(busy * SIGNALLING_SHARE);
            if is_signalling && self.halvings < SIGNALLING_HALVINGS_MAX {
                self.halvings += 1;
            } else if !is_signalling {
                self.shed_more(now);
            }
            self.stepped = Some(now);
        } else if self.longest <= LATE
            && self.stepped.is_some_and(|at| now.saturating_duration_since(at) >= PATIENCE)
        {
            self.shed_less(now, busy);
            self.halvings = self.halvings.saturating_sub(1);
        }
        self.began = now;
        self.slept = Duration::ZERO;
        self.processor = processor;
        self.signalled = Duration::ZERO;
        self.longest_before = std::mem::take(&mut self.longest);
        match (before == Shedding::NONE, self.shed == Shedding::NONE) {
            (true, true) => return None,
            (true, false) => warn!(
                "the processor is full: video is forwarded in smaller pictures or not at all, so that audio is; this \
                 machine carries fewer or smaller calls"
            ),
            (false, true) => info!("the processor has time again: all video is forwarded"),
            (false, false) => {}
        }
        Some(self.shed)
    }
}

/// Returns how many parts still have to be paused if the loop is `busy` for that share of the time with what is forwarded
/// now.
fn affordable(paused: u8, busy: f64) -> u8 {
    let all = Shedding::PARTS;
    let forwarded = all - paused;
    // While all video is paused, nobody knows what it costs, so one part comes back at a time, or all of it if there
    // is next to nothing to do.
    let fits = f64::from(forwarded.max(1)) * BUSY_MAX / busy.max(0.01);
    let forwarded = forwarded.max(fits.min(f64::from(all)) as u8);
    all - forwarded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::clock;

    /// Passes `count` periods of a server that is that busy and holds packets for `held` milliseconds.
    fn periods(shedding: &mut LoadShedding, now: &mut Instant, count: u32, busy: f64, held: u64) {
        periods_with(shedding, now, count, (busy, busy), held);
    }

    /// The same for a thread that has the processor for only part of the time in which it does not sleep.
    fn periods_with(
        shedding: &mut LoadShedding,
        now: &mut Instant,
        count: u32,
        (busy, had): (f64, f64),
        held: u64,
    ) {
        for _ in 0..count {
            shedding.slept(PERIOD.mul_f64(1.0 - busy));
            shedding.held(Duration::from_millis(held));
            *now += PERIOD;
            let processor = shedding.processor + PERIOD.mul_f64(had);
            shedding.decide(*now, || processor);
        }
    }

    #[test]
    fn a_machine_that_stood_still_once_leaves_nothing_out() {
        let mut now = clock::now();
        let mut shedding = LoadShedding::new(now, Duration::ZERO);
        periods(&mut shedding, &mut now, 5, 0.5, 1);
        periods(&mut shedding, &mut now, 1, 1.0, 300);
        periods(&mut shedding, &mut now, 5, 0.5, 1);
        assert_eq!(shedding.shed(), Shedding::NONE);
        assert_eq!(shedding.decide(now + PERIOD, || Duration::ZERO), None);
    }

    #[test]
    fn more_and_more_is_left_out_until_packets_are_late_no_longer_than_before() {
        let mut now = clock::now();
        let mut shedding = LoadShedding::new(now, Duration::ZERO);
        periods(&mut shedding, &mut now, 2, 1.0, 60);
        assert_eq!(shedding.shed().get(), LOWERING_STEP);
        periods(&mut shedding, &mut now, 1, 1.0, 100);
        assert_eq!(shedding.shed().get(), 2 * LOWERING_STEP);
        periods(&mut shedding, &mut now, 1, 1.0, 70);
        assert_eq!(shedding.shed().get(), 2 * LOWERING_STEP, "the queue gets shorter");
        periods(&mut shedding, &mut now, 20, 1.0, 200);
        assert_eq!(shedding.shed(), Shedding::ALL);
    }

    #[test]
    fn everything_is_lowered_before_anything_is_paused_and_that_is_given_time() {
        let mut now = clock::now();
        let mut shedding = LoadShedding::new(now, Duration::ZERO);
        periods(&mut shedding, &mut now, 5, 1.0, 100);
        assert_eq!(shedding.shed(), Shedding::LOWERED);
        periods(&mut shedding, &mut now, 5, 1.0, 100);
        assert_eq!(shedding.shed(), Shedding::LOWERED, "smaller pictures may be on their way");
        periods(&mut shedding, &mut now, 1, 1.0, 100);
        assert_eq!(shedding.shed().paused(), STEP, "they were not enough");
        let mut shedding = LoadShedding::new(now, Duration::ZERO);
        periods(&mut shedding, &mut now, 6, 1.0, 300);
        assert_eq!(shedding.shed().paused(), STEP, "audio cannot wait for so long");
    }

    #[test]
    fn what_was_lowered_comes_back_step_by_step_and_later_if_a_step_was_too_early() {
        let mut now = clock::now();
        let mut shedding = LoadShedding::new(now, Duration::ZERO);
        periods(&mut shedding, &mut now, 5, 1.0, 100);
        let mut waits = Vec::new();
        for _ in 0..4 {
            let mut count = 0;
            while shedding.shed() == Shedding::LOWERED {
                periods(&mut shedding, &mut now, 1, 0.6, 2);
                count += 1;
            }
            assert_eq!(shedding.shed().get(), Shedding::LOWERED.get() - RAISING_STEP);
            waits.push(count);
            periods(&mut shedding, &mut now, 2, 1.0, 60);
            assert_eq!(shedding.shed(), Shedding::LOWERED);
        }
        let periods_of = |patience: Duration| (patience.as_millis() / PERIOD.as_millis()) as i32;
        for (times, waited) in waits.iter().enumerate() {
            let expected = periods_of(PATIENCE * (1 << times));
            assert!((waited - expected).abs() <= 2, "{waits:?}");
        }
        periods(&mut shedding, &mut now, 2000, 0.6, 2);
        assert_eq!(shedding.shed(), Shedding::NONE);
        periods(&mut shedding, &mut now, 5, 1.0, 100);
        periods(&mut shedding, &mut now, 200, 0.8, 2);
        assert_eq!(shedding.shed(), Shedding::LOWERED, "a machine that is nearly full takes nothing back");
    }

    #[test]
    fn as_much_comes_back_as_there_is_time_for() {
        let mut now = clock::now();
        let mut shedding = LoadShedding::new(now, Duration::ZERO);
        periods(&mut shedding, &mut now, 7, 1.0, 300);
        assert_eq!(shedding.shed().paused(), 8);
        periods(&mut shedding, &mut now, 3, 0.68, 2);
        assert_eq!(shedding.shed().paused(), 8, "not at once");
        periods(&mut shedding, &mut now, 20, 0.68, 2);
        assert_eq!(shedding.shed().paused(), 0, "each decision finds time for more");
        periods(&mut shedding, &mut now, 60, 0.1, 2);
        assert_eq!(shedding.shed(), Shedding::NONE);
        periods(&mut shedding, &mut now, 7, 1.0, 300);
        periods(&mut shedding, &mut now, 20, 0.85, 2);
        assert_eq!(shedding.shed().paused(), 8, "a full machine takes nothing back");
    }

    #[test]
    fn a_server_that_others_keep_from_running_leaves_nothing_out() {
        let mut now = clock::now();
        let mut shedding = LoadShedding::new(now, Duration::ZERO);
        periods_with(&mut shedding, &mut now, 20, (1.0, 0.05), 200);
        assert_eq!(shedding.shed(), Shedding::NONE, "its own work is next to nothing");
        periods_with(&mut shedding, &mut now, 2, (1.0, 0.7), 200);
        assert_ne!(shedding.shed(), Shedding::NONE, "a core that is shared is full all the same");
    }

    #[test]
    fn where_signalling_is_what_costs_it_is_heard_less_and_the_video_stays() {
        let mut now = clock::now();
        let mut shedding = LoadShedding::new(now, Duration::ZERO);
        let whole = Duration::from_millis(2);
        assert_eq!(shedding.signalling_budget(whole), whole);
        for _ in 0..20 {
            shedding.signalled(PERIOD.mul_f64(0.8));
            periods(&mut shedding, &mut now, 1, 1.0, 100);
        }
        assert_eq!(shedding.shed(), Shedding::NONE);
        assert_eq!(shedding.signalling_budget(whole), whole / 16);
        periods(&mut shedding, &mut now, 20, 0.3, 1);
        assert_eq!(shedding.signalling_budget(whole), whole, "and as before when it is over");
    }

    #[test]
    fn when_the_crowd_has_gone_everything_comes_back_within_a_second() {
        let mut now = clock::now();
        let mut shedding = LoadShedding::new(now, Duration::ZERO);
        periods(&mut shedding, &mut now, 20, 1.0, 60);
        assert_eq!(shedding.shed(), Shedding::ALL);
        periods(&mut shedding, &mut now, 16, 0.05, 1);
        assert_eq!(shedding.shed(), Shedding::NONE);
    }
}

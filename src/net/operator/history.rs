//! What calls were like in the last minutes, hours and days: how they went, how they moved, and what they cost. The
//! dashboard shows it (`docs/metrics.md`). It is kept in memory, and begins with the server: whoever wants more keeps
//! `/metrics` in Prometheus.
//!
//! Once a minute, and whenever somebody asks, what has been counted since the time before is added to the present minute,
//! hour and day, which are those of UTC.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::core::stats::Calls;
use crate::core::topology::{Mode, Outcome};
use crate::core::totals::{Migrations, SETUP_BUCKETS_MS};

/// How often it is looked at by itself.
const EVERY: Duration = Duration::from_secs(60);
/// A move that takes longer than this is slow (R-ALR-04). It is one of the bounds by which times are counted.
const SLOW_MS: u64 = 5000;

/// What there is to see at one moment: the calls, and counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seen {
    /// The calls that there are.
    pub calls: Calls,
    /// What has been counted.
    pub counted: Counted,
}

/// What has been counted since the start, or in some time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counted {
    /// Moves that have begun, in the order of [`Mode::ALL`].
    pub started: [u64; 2],
    /// Moves that have succeeded.
    pub succeeded: u64,
    /// Moves that have failed. Those that were no longer needed are neither.
    pub failed: u64,
    /// Moves that have succeeded, or were given up, and took long.
    pub slow: u64,
    /// How long those took together that have succeeded, seconds.
    pub move_seconds: f64,
    /// Gaps in sound that people hear.
    pub dropouts: u64,
    /// The processor time of the process, seconds.
    pub cpu_seconds: f64,
    /// Bytes that have come by UDP.
    pub received_bytes: u64,
    /// Bytes that have gone by UDP.
    pub sent_bytes: u64,
}

impl Counted {
    /// Adds what was counted of moves.
    pub fn note_moves(&mut self, moves: &Migrations) {
        for to in Mode::ALL.map(|mode| mode as usize) {
            self.started[to] += moves.started[to];
            let times = &moves.times[to];
            self.move_seconds += times.sum.as_secs_f64();
            let bounds = SETUP_BUCKETS_MS.iter().copied().chain([u64::MAX]);
            // Those that were given up have taken as long.
            let failed = moves.failed_times[to].buckets;
            let buckets = times.buckets.iter().zip(failed).map(|(succeeded, failed)| succeeded + failed);
            let slow = bounds.zip(buckets).filter(|(most, _)| *most > SLOW_MS);
            self.slow += slow.map(|(_, count)| count).sum::<u64>();
        }
        for ((_, outcome, _), count) in &moves.ended {
            match outcome {
                Outcome::Succeeded => self.succeeded += count,
                Outcome::Failed => self.failed += count,
                Outcome::Cancelled => {}
            }
        }
    }

    /// What was counted since `before`.
    fn since(&self, before: &Self) -> Self {
        Self {
            started: [0, 1].map(|to| self.started[to].saturating_sub(before.started[to])),
            succeeded: self.succeeded.saturating_sub(before.succeeded),
            failed: self.failed.saturating_sub(before.failed),
            slow: self.slow.saturating_sub(before.slow),
            move_seconds: (self.move_seconds - before.move_seconds).max(0.0),
            dropouts: self.dropouts.saturating_sub(before.dropouts),
            cpu_seconds: (self.cpu_seconds - before.cpu_seconds).max(0.0),
            received_bytes: self.received_bytes.saturating_sub(before.received_bytes),
            sent_bytes: self.sent_bytes.saturating_sub(before.sent_bytes),
        }
    }

    fn add(&mut self, other: &Self) {
        for to in 0..2 {
            self.started[to] += other.started[to];
        }
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.slow += other.slow;
        self.move_seconds += other.move_seconds;
        self.dropouts += other.dropouts;
        self.cpu_seconds += other.cpu_seconds;
        self.received_bytes += other.received_bytes;
        self.sent_bytes += other.sent_bytes;
    }
}

/// Some time, and what was counted in it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Period {
    /// Its beginning, seconds since 1970.
    start: u64,
    /// How much of it was seen.
    seen: Duration,
    /// How long calls lasted in it together, by where their media went, seconds.
    call_seconds: [f64; 2],
    counted: Counted,
}

impl Period {
    fn add(&mut self, other: &Self) {
        self.seen += other.seen;
        for mode in 0..2 {
            self.call_seconds[mode] += other.call_seconds[mode];
        }
        self.counted.add(&other.counted);
    }

    fn json(&self) -> Value {
        let Counted { started, succeeded, failed, slow, move_seconds, dropouts, cpu_seconds, .. } =
            self.counted;
        let [p2p, sfu] = [Mode::P2p, Mode::Sfu].map(|mode| mode as usize);
        json!({
            "start": self.start,
            "seconds": self.seen.as_secs(),
            "callSeconds": {"p2p": self.call_seconds[p2p].round(), "sfu": self.call_seconds[sfu].round()},
            "migrations": {
                "started": started[p2p] + started[sfu],
                "toP2p": started[p2p],
                "toSfu": started[sfu],
                "succeeded": succeeded,
                "failed": failed,
                "slow": slow,
                "seconds": move_seconds,
            },
            "dropouts": dropouts,
            "cpuSeconds": cpu_seconds,
            "receivedBytes": self.counted.received_bytes,
            "sentBytes": self.counted.sent_bytes,
        })
    }
}

/// Periods of one length, the newest last.
#[derive(Debug)]
struct Periods {
    seconds: u64,
    kept: usize,
    periods: VecDeque<Period>,
}

impl Periods {
    fn new(seconds: u64, kept: usize) -> Self {
        Self { seconds, kept, periods: VecDeque::with_capacity(kept) }
    }

    fn add(&mut self, unix: u64, piece: &Period) {
        let start = unix - unix % self.seconds;
        // A clock that was set back goes on in the newest period.
        if self.periods.back().is_none_or(|newest| newest.start < start) {
            if self.periods.len() == self.kept {
                self.periods.pop_front();
            }
            self.periods.push_back(Period { start, ..Period::default() });
        }
        if let Some(newest) = self.periods.back_mut() {
            newest.add(piece);
        }
    }

    fn json(&self) -> Vec<Value> {
        self.periods.iter().map(Period::json).collect()
    }
}

/// The calls of the last minutes, hours and days.
#[derive(Debug)]
pub struct History {
    /// When it was looked at last.
    looked: Instant,
    before: Counted,
    minutes: Periods,
    hours: Periods,
    days: Periods,
}

impl History {
    /// Begins, with nothing counted.
    pub fn new(now: Instant) -> Self {
        Self {
            looked: now,
            before: Counted::default(),
            minutes: Periods::new(60, 60),
            hours: Periods::new(3600, 48),
            days: Periods::new(86_400, 31),
        }
    }

    /// Returns when to look the next time.
    pub fn deadline(&self) -> Instant {
        self.looked + EVERY
    }

    /// Takes what there is to see now; `unix` is the wall clock's time since 1970.
    pub fn look(&mut self, now: Instant, unix: Duration, seen: &Seen) {
        let elapsed = now.saturating_duration_since(self.looked);
        let piece = Period {
            start: 0,
            seen: elapsed,
            call_seconds: seen.calls.calls.map(|calls| calls as f64 * elapsed.as_secs_f64()),
            counted: seen.counted.since(&self.before),
        };
        for periods in [&mut self.minutes, &mut self.hours, &mut self.days] {
            periods.add(unix.as_secs(), &piece);
        }
        (self.looked, self.before) = (now, seen.counted);
    }

    /// Shows all of it, with the calls of now; `memory` is that of the process, bytes.
    pub fn json(&self, calls: &Calls, memory: Option<u64>) -> Value {
        let mut last_hour = Period::default();
        let newest = self.minutes.periods.back().map_or(0, |minute| minute.start);
        let minutes = self.minutes.periods.iter().filter(|minute| minute.start + 3600 > newest);
        for minute in minutes {
            last_hour.start = if last_hour.start == 0 { minute.start } else { last_hour.start };
            last_hour.add(minute);
        }
        let [p2p, sfu] = [Mode::P2p, Mode::Sfu].map(|mode| {
            let mode = mode as usize;
            json!({"calls": calls.calls[mode], "participants": calls.people[mode]})
        });
        json!({
            "now": {"p2p": p2p, "sfu": sfu, "moving": calls.moving},
            "memoryBytes": memory,
            "lastHour": last_hour.json(),
            "hours": self.hours.json(),
            "days": self.days.json(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::topology::Reason;

    /// The first second of a day.
    const MIDNIGHT: u64 = 86_400 * 20_000;

    fn moved(succeeded: u64, failed: u64) -> Counted {
        Counted { succeeded, failed, started: [succeeded + failed, 0], ..Counted::default() }
    }

    #[test]
    fn what_is_counted_is_that_of_its_minute_hour_and_day() {
        let start = Instant::now();
        let mut history = History::new(start);
        let mut calls = Calls::default();
        calls.note(Mode::P2p, 3, false);
        let mut look = |minute: u64, counted: Counted| {
            let unix = Duration::from_secs(MIDNIGHT - 1800 + 60 * minute);
            history.look(start + Duration::from_secs(60 * minute), unix, &Seen { calls, counted });
        };
        for minute in 1..=90 {
            look(minute, moved(minute, u64::from(minute > 80)));
        }
        let shown = history.json(&calls, Some(7));
        assert_eq!(shown["now"]["p2p"], json!({"calls": 1, "participants": 3}));
        assert_eq!(shown["memoryBytes"], 7);
        let of = |period: &Value| {
            let moves = &period["migrations"];
            (moves["started"].as_u64(), moves["failed"].as_u64(), period["callSeconds"]["p2p"].as_f64())
        };
        assert_eq!(of(&shown["lastHour"]), (Some(61), Some(1), Some(3600.0)), "the sixty minutes before");
        let hours: Vec<_> = shown["hours"].as_array().into_iter().flatten().map(of).collect();
        assert_eq!(hours[0], (Some(29), Some(0), Some(1740.0)));
        assert_eq!(hours[1], (Some(61), Some(1), Some(3600.0)));
        assert_eq!(hours[2], (Some(1), Some(0), Some(60.0)));
        let days: Vec<_> = shown["days"].as_array().into_iter().flatten().map(of).collect();
        assert_eq!(days, [(Some(29), Some(0), Some(1740.0)), (Some(62), Some(1), Some(3660.0))]);
    }

    #[test]
    fn a_month_is_kept_and_no_more_and_a_clock_that_is_set_back_loses_nothing() {
        let start = Instant::now();
        let mut history = History::new(start);
        for hour in 0..24 * 40 {
            let unix = Duration::from_secs(MIDNIGHT + 3600 * hour);
            let seen = Seen { counted: moved(hour, 0), ..Seen::default() };
            history.look(start + Duration::from_secs(3600 * hour), unix, &seen);
        }
        assert_eq!((history.minutes.periods.len(), history.hours.periods.len()), (60, 48));
        assert_eq!(history.days.periods.len(), 31);
        let seen = Seen { counted: moved(24 * 40 + 4, 0), ..Seen::default() };
        history.look(start + Duration::from_secs(3600 * 24 * 40), Duration::from_secs(MIDNIGHT), &seen);
        assert_eq!(history.days.periods.len(), 31);
        assert_eq!(history.days.periods.back().expect("a day").counted.succeeded, 24 + 5);
    }

    #[test]
    fn moves_are_slow_beyond_five_seconds() {
        let mut moves = Migrations { started: [3, 1], ..Migrations::default() };
        for millis in [400, 5000, 5001, 60_000] {
            moves.note_end(Mode::Sfu, Outcome::Succeeded, Reason::Size, Duration::from_millis(millis));
        }
        moves.note_end(Mode::P2p, Outcome::Failed, Reason::Timeout, Duration::from_secs(5));
        moves.note_end(Mode::Sfu, Outcome::Failed, Reason::Timeout, Duration::from_millis(5001));
        moves.note_end(Mode::P2p, Outcome::Cancelled, Reason::Size, Duration::from_secs(1));
        let mut counted = Counted::default();
        counted.note_moves(&moves);
        assert_eq!((counted.started, counted.succeeded, counted.failed, counted.slow), ([3, 1], 4, 2, 3));
        assert!((counted.move_seconds - 70.401).abs() < 1e-9);
    }
}

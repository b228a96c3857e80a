//! How long media stays in the process: from when the kernel receives a datagram until everything that it led to is
//! handed to the kernel.
//!
//! The kernel stamps each message (`SO_TIMESTAMPNS`) with wall time, so the end is read from the same clock, once in
//! each pass. A datagram counts once everything that it led to has been handed over, because the rest of a large
//! fan-out may wait for the next passes. Recording a time allocates nothing.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::net::clock;

/// How many messages are remembered until they count. Any more never count.
const PENDING_MAX: usize = 4096;
/// The longest time that is recorded, in nanoseconds. Longer ones count as this.
const NANOS_MAX: u64 = 10_000_000_000;
/// How many significant digits of a time are kept.
const DIGITS: u8 = 2;
/// The length of an interval. The last whole interval is shown as recent.
const RECENT: Duration = Duration::from_secs(1);

/// What the kernel received as one message.
#[derive(Debug)]
struct Message {
    /// When the kernel received it, in wall time since 1970.
    at: Duration,
    /// How many media datagrams it held that have not counted yet.
    datagrams: u32,
    /// The beginning of the pass in which it was read; `None` until that pass ends.
    pass: Option<Instant>,
}

/// The times of all media, and the messages that do not count yet.
#[derive(Debug)]
pub struct Latency {
    /// What has not been handed over yet.
    pending: Vec<Message>,
    total: Histogram<u64>,
    /// The interval under way, and the one before it.
    current: Histogram<u64>,
    recent: Histogram<u64>,
    began: Instant,
}

impl Latency {
    /// Begins with nothing received.
    pub fn new(now: Instant) -> Self {
        let empty = Histogram::new_with_bounds(1, NANOS_MAX, DIGITS).expect("constant bounds are good");
        Self {
            pending: Vec::with_capacity(PENDING_MAX),
            total: empty.clone(),
            current: empty.clone(),
            recent: empty,
            began: now,
        }
    }

    /// Notes that the kernel received media datagrams in one message, at that wall time.
    pub fn received(&mut self, at: Option<Duration>, datagrams: u32) {
        if let Some(at) = at
            && datagrams > 0
            && self.pending.len() < PENDING_MAX
        {
            self.pending.push(Message { at, datagrams, pass: None });
        }
    }

    /// Ends the pass that began at `now`: everything caused by media of passes before `waits_since` (`None`: of all
    /// passes) has been handed to the kernel. Returns how long the oldest media has been in the process, whether it has
    /// been handed over now or still waits; at most ten seconds. `None` if there was none.
    pub fn end_pass(&mut self, now: Instant, waits_since: Option<Instant>) -> Option<Duration> {
        if self.pending.is_empty() {
            return None;
        }
        self.rotate(now);
        Some(self.record(clock::unix(), now, waits_since))
    }

    fn record(&mut self, wall: Duration, now: Instant, waits_since: Option<Instant>) -> Duration {
        let mut longest = 0;
        // If the clock was set back, there is nothing to see.
        let nanos_since = |at| wall.saturating_sub(at).as_nanos().clamp(1, u128::from(NANOS_MAX)) as u64;
        for message in &mut self.pending {
            longest = longest.max(nanos_since(message.at));
            let pass = *message.pass.get_or_insert(now);
            if waits_since.is_none_or(|since| pass < since) {
                for histogram in [&mut self.total, &mut self.current] {
                    let _ = histogram.record_n(nanos_since(message.at), u64::from(message.datagrams));
                }
                message.datagrams = 0;
            }
        }
        self.pending.retain(|message| message.datagrams > 0);
        Duration::from_nanos(longest)
    }

    fn rotate(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.began);
        if elapsed < RECENT {
            return;
        }
        self.began = now;
        std::mem::swap(&mut self.current, &mut self.recent);
        self.current.reset();
        if elapsed >= 2 * RECENT {
            // Nothing came for a while, so its contents are no longer recent.
            self.recent.reset();
        }
    }

    /// Shows the times as JSON: since the start, and of the last whole second.
    pub fn json(&self, now: Instant) -> Value {
        let elapsed = now.saturating_duration_since(self.began);
        // The same interval that `rotate` would make the recent one.
        let recent = match elapsed {
            _ if elapsed < RECENT => Some(&self.recent),
            _ if elapsed < 2 * RECENT => Some(&self.current),
            _ => None,
        };
        json!({"total": percentiles(Some(&self.total)), "recent": percentiles(recent)})
    }
}

/// Shows a histogram; `None` stands for one that holds nothing.
fn percentiles(of: Option<&Histogram<u64>>) -> Value {
    let of = of.filter(|of| !of.is_empty());
    let micros = |nanos: u64| nanos as f64 / 1000.0;
    let at = |percent: f64| of.map_or(0.0, |of| micros(of.value_at_percentile(percent)));
    json!({
        "packets": of.map_or(0, Histogram::len),
        "p50Micros": at(50.0),
        "p90Micros": at(90.0),
        "p95Micros": at(95.0),
        "p99Micros": at(99.0),
        "p999Micros": at(99.9),
        "maxMicros": of.map_or(0.0, |of| micros(of.max())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_count_once_handed_over_and_are_recent_for_a_second() {
        let start = clock::now();
        let mut latency = Latency::new(start);
        let wall = Duration::from_secs(1000);
        latency.received(Some(wall), 3);
        latency.received(Some(wall + Duration::from_micros(400)), 1);
        latency.received(None, 5);
        assert_eq!(latency.json(start)["total"]["packets"], 0);
        let longest = latency.record(wall + Duration::from_micros(500), start, None);
        assert_eq!(longest, Duration::from_micros(500));
        let json = latency.json(start);
        assert_eq!((&json["total"]["packets"], &json["recent"]["packets"]), (&4.into(), &0.into()));
        let p50 = json["total"]["p50Micros"].as_f64().expect("a number");
        assert!((495.0..=505.0).contains(&p50), "{p50}");
        let json = latency.json(start + RECENT);
        assert_eq!(json["recent"]["packets"], 4);
        let json = latency.json(start + 3 * RECENT);
        assert_eq!((&json["total"]["packets"], &json["recent"]["packets"]), (&4.into(), &0.into()));
    }

    #[test]
    fn what_waits_for_its_turn_counts_when_it_has_had_it() {
        let start = clock::now();
        let mut latency = Latency::new(start);
        let (wall, millis) = (Duration::from_secs(1000), Duration::from_millis);
        latency.received(Some(wall), 1);
        assert_eq!(latency.record(wall + millis(1), start, Some(start)), millis(1));
        assert_eq!(latency.json(start)["total"]["packets"], 0, "it waits");
        let later = start + millis(3);
        latency.received(Some(wall + millis(3)), 2);
        assert_eq!(latency.record(wall + millis(4), later, Some(later)), millis(4));
        assert_eq!(latency.json(start)["total"]["packets"], 1, "what came later waits");
        assert_eq!(latency.record(wall + millis(5), later + millis(1), None), millis(2));
        assert_eq!(latency.json(start)["total"]["packets"], 3);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut latency = Latency::new(clock::now());
        (0..2 * PENDING_MAX).for_each(|_| latency.received(Some(Duration::ZERO), 1));
        assert_eq!(latency.pending.len(), PENDING_MAX);
    }
}

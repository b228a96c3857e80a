//! How long media stays in here: from the kernel's receiving a datagram to our handing the kernel what it led to.
//!
//! The kernel stamps each message (`SO_TIMESTAMPNS`) with wall time, so the end is read from the same clock, once for
//! each turn that brought media, when everything it led to has been handed over. Recording allocates nothing.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::clock;

/// Messages of one turn that are remembered; further ones do not count.
const PENDING_MAX: usize = 4096;
/// Longest time that is told apart, nanoseconds.
const NANOS_MAX: u64 = 10_000_000_000;
/// Significant digits.
const DIGITS: u8 = 2;
/// How long "just now" is.
const RECENT: Duration = Duration::from_secs(1);

/// Times of media in here.
#[derive(Debug)]
pub struct Latency {
    /// Not handed over yet: when the kernel received a message, and how many media datagrams it was.
    pending: Vec<(Duration, u32)>,
    total: Histogram<u64>,
    /// The interval under way, and the one before it.
    current: Histogram<u64>,
    recent: Histogram<u64>,
    began: Instant,
}

impl Latency {
    /// Nothing has come.
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

    /// The kernel received so many media datagrams, in one message, at that wall time.
    pub fn received(&mut self, at: Option<Duration>, datagrams: u32) {
        if let Some(at) = at
            && datagrams > 0
            && self.pending.len() < PENDING_MAX
        {
            self.pending.push((at, datagrams));
        }
    }

    /// What the turn's datagrams led to has been handed to the kernel. How long the first of them was here, if any of
    /// them was media; at most ten seconds.
    pub fn handed_over(&mut self, now: Instant) -> Option<Duration> {
        if self.pending.is_empty() {
            return None;
        }
        self.rotate(now);
        Some(self.record(clock::unix()))
    }

    /// How long the first media of what has not been handed over has been here.
    pub fn held(&self) -> Option<Duration> {
        let (first, _) = self.pending.first()?;
        Some(clock::unix().saturating_sub(*first))
    }

    fn record(&mut self, wall: Duration) -> Duration {
        let mut longest = 0;
        for (at, datagrams) in self.pending.drain(..) {
            // A clock that was set back shows nothing.
            let nanos = wall.saturating_sub(at).as_nanos().clamp(1, u128::from(NANOS_MAX)) as u64;
            longest = longest.max(nanos);
            for histogram in [&mut self.total, &mut self.current] {
                let _ = histogram.record_n(nanos, u64::from(datagrams));
            }
        }
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
            // Nothing came for a while: what is in there is no longer recent.
            self.recent.reset();
        }
    }

    /// As JSON: since the start, and of the last whole second.
    pub fn json(&mut self, now: Instant) -> Value {
        self.rotate(now);
        json!({"total": percentiles(&self.total), "recent": percentiles(&self.recent)})
    }
}

fn percentiles(of: &Histogram<u64>) -> Value {
    let micros = |nanos: u64| nanos as f64 / 1000.0;
    let at = |percent: f64| if of.is_empty() { 0.0 } else { micros(of.value_at_percentile(percent)) };
    json!({
        "packets": of.len(),
        "p50Micros": at(50.0),
        "p90Micros": at(90.0),
        "p95Micros": at(95.0),
        "p99Micros": at(99.0),
        "p999Micros": at(99.9),
        "maxMicros": micros(of.max()),
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
        let longest = latency.record(wall + Duration::from_micros(500));
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
    fn what_is_remembered_is_bounded() {
        let mut latency = Latency::new(clock::now());
        (0..2 * PENDING_MAX).for_each(|_| latency.received(Some(Duration::ZERO), 1));
        assert_eq!(latency.pending.len(), PENDING_MAX);
    }
}

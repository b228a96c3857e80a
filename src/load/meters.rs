//! The counters and histograms of a run. Recording only allocates for tenths of seconds, now and then.

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest time that is recorded: a minute. Longer ones count as this.
const NANOS_MAX: u64 = 60_000_000_000;
/// Significant decimal digits of a recorded time.
const DIGITS: u8 = 3;

/// A histogram of times in nanoseconds.
#[derive(Debug, Clone)]
pub(super) struct Times(Histogram<u64>);

impl Times {
    pub(super) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, NANOS_MAX, DIGITS);
        Self(histogram.expect("constant bounds are good"))
    }

    pub(super) fn record(&mut self, nanos: u64) {
        self.0.saturating_record(nanos);
    }

    /// Returns how many times were counted.
    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Returns a percentile in nanoseconds; 0 if there are no values.
    pub(super) fn percentile(&self, percent: f64) -> u64 {
        if self.0.is_empty() { 0 } else { self.0.value_at_percentile(percent) }
    }

    /// Returns the mean in nanoseconds.
    pub(super) fn mean(&self) -> f64 {
        self.0.mean()
    }

    /// Returns the largest time in nanoseconds.
    pub(super) fn max(&self) -> u64 {
        self.0.max()
    }

    pub(super) fn clear(&mut self) {
        self.0.reset();
    }

    /// Returns the histogram, for writing it to a log.
    pub(super) fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }
}

/// The figures of a histogram, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Percentiles {
    /// How many there were.
    pub count: u64,
    /// The arithmetic mean of all.
    pub mean: f64,
    /// Half are no longer.
    pub p50: f64,
    /// 90 % are no longer.
    pub p90: f64,
    /// 95 % are no longer.
    pub p95: f64,
    /// 99 % are no longer.
    pub p99: f64,
    /// 99.9 % are no longer.
    #[serde(rename = "p99.9")]
    pub p99_9: f64,
    /// The longest of all.
    pub max: f64,
}

impl Percentiles {
    pub(super) fn of(times: &Times) -> Self {
        let micros = |percent: f64| times.percentile(percent) as f64 / 1000.0;
        if times.count() == 0 {
            return Self::default();
        }
        Self {
            count: times.count(),
            mean: times.mean() / 1000.0,
            p50: micros(50.0),
            p90: micros(90.0),
            p95: micros(95.0),
            p99: micros(99.0),
            p99_9: micros(99.9),
            max: times.max() as f64 / 1000.0,
        }
    }
}

/// A tenth of a second, nanoseconds.
const TENTH: u64 = 100_000_000;
/// How many tenths are kept: an hour.
const TENTHS_MAX: usize = 36_000;

/// What became of the packets that were sent in one tenth of a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tenth {
    /// Packets sent in it.
    pub sent: u64,
    /// How often they were received.
    pub received: u64,
    /// The longest that one took, nanoseconds.
    pub longest: u64,
}

/// The phase of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// People join, and media begins to flow.
    Joining,
    /// Everyone is there, and what happens counts.
    Measuring,
    /// Packets still under way may come.
    Draining,
    /// The run has ended.
    Over,
}

/// The counters of a run.
#[derive(Debug)]
pub(super) struct Meters {
    /// Which part of the run it is.
    pub phase: Phase,
    /// The beginning of the window: packets stamped from then on count.
    pub from: u64,
    /// The end of the window.
    pub until: u64,
    /// The latency from stamp until it is read.
    pub latency: Times,
    /// The latency from stamp to the receiver's socket, by the kernel's clock.
    pub latency_to_socket: Times,
    /// The latency of the second under way.
    pub second: Times,
    /// The measurement in tenths of a second, by when packets were sent.
    pub tenths: Vec<Tenth>,
    /// The lag of packets from being due until they are sent.
    pub tick_lag: Times,
    /// The time from the socket until packets are read.
    pub read_lag: Times,
    /// From connecting to the answer.
    pub signalling: Times,
    /// From the offer to being able to send.
    pub ready: Times,
    /// From being able to send to the first packet.
    pub first_packet: Times,
    /// From connecting to the first frame that could be decoded.
    pub first_frame: Times,
    /// Media packets sent, in the window.
    pub sent: u64,
    /// Their bytes, UDP payload.
    pub sent_bytes: u64,
    /// Media packets received, of those sent in the window.
    pub received: u64,
    /// Their bytes, UDP payload.
    pub received_bytes: u64,
    /// Media packets received, ever.
    pub received_ever: u64,
    /// Packets that came after one of a higher number.
    pub reordered: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that could not be opened.
    pub unopened: u64,
    /// Packets that could not be handed to the kernel.
    pub unsent: u64,
    /// Points of schedules that were given up.
    pub skipped: u64,
    /// Key frames that viewers asked for.
    pub keyframe_requests: u64,
}

impl Meters {
    /// Returns counters at zero, for a run whose people still join.
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Joining,
            from: u64::MAX,
            until: u64::MAX,
            latency: Times::new(),
            latency_to_socket: Times::new(),
            second: Times::new(),
            tenths: Vec::new(),
            tick_lag: Times::new(),
            read_lag: Times::new(),
            signalling: Times::new(),
            ready: Times::new(),
            first_packet: Times::new(),
            first_frame: Times::new(),
            sent: 0,
            sent_bytes: 0,
            received: 0,
            received_bytes: 0,
            received_ever: 0,
            reordered: 0,
            duplicates: 0,
            unopened: 0,
            unsent: 0,
            skipped: 0,
            keyframe_requests: 0,
        }
    }

    /// Whether a packet stamped then counts.
    pub(super) fn counts(&self, stamped: u64) -> bool {
        stamped >= self.from && stamped < self.until
    }

    /// Returns the tenth of a second in which a packet was stamped; `None` if it does not count, or after an hour.
    pub(super) fn tenth(&mut self, stamped: u64) -> Option<&mut Tenth> {
        let place = usize::try_from(stamped.checked_sub(self.from)? / TENTH).ok()?;
        if place >= TENTHS_MAX {
            return None;
        }
        if place >= self.tenths.len() {
            self.tenths.resize(place + 1, Tenth::default());
        }
        self.tenths.get_mut(place)
    }

    /// Whether what happens now counts.
    pub(super) fn is_measuring(&self) -> bool {
        self.phase == Phase::Measuring
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_count_in_the_tenth_that_they_were_sent_in() {
        let mut meters = Meters::new();
        assert!(meters.tenth(5).is_none(), "nothing is measured yet");
        meters.from = 1_000;
        for stamped in [1_000, 1_000 + 2 * TENTH, 999 + 3 * TENTH] {
            meters.tenth(stamped).expect("one").sent += 1;
        }
        assert_eq!(meters.tenths.iter().map(|tenth| tenth.sent).collect::<Vec<_>>(), [1, 0, 2]);
        assert!(meters.tenth(999).is_none());
        assert!(meters.tenth(1_000 + 36_000 * TENTH).is_none(), "an hour is enough");
    }
    #[test]
    fn percentiles_are_microseconds() {
        let mut times = Times::new();
        (1..=1000u64).for_each(|micros| times.record(micros * 1000));
        let percentiles = Percentiles::of(&times);
        assert!((percentiles.p50 - 500.0).abs() < 1.0, "{percentiles:?}");
        assert!((percentiles.max - 1000.0).abs() < 1.0, "{percentiles:?}");
        assert_eq!(Percentiles::of(&Times::new()), Percentiles::default());
    }
}

//! Trendline: whether the delay grows. A queue that fills makes each group of packets come a little later than the one
//! before; the slope of a line through the last groups shows it long before the queue is full.
//!
//! All in integers: a line through twenty points needs no float.

use std::collections::VecDeque;

use super::groups::GroupDelta;
use super::{MILLISECOND, Micros};

/// How many groups the line goes through.
const WINDOW: usize = 20;
/// The slope counts fully once this many groups have been seen, and less before.
const GROUPS_ENOUGH: i64 = 60;
/// More are not counted.
const GROUPS_MAX: i64 = 1_000;
/// By how much the slope is multiplied before it is compared.
const GAIN: i64 = 4;
/// The slope must have been steep for longer than this, and for more than one group.
const OVERUSE_TIME: Micros = 10 * MILLISECOND;

/// Whoever reports longer delays or steeper slopes makes them up: a day, and a thousand.
const ACCUMULATED_MAX: Micros = 86_400_000 * MILLISECOND;
const SLOPE_MAX: i128 = 1_000_000_000_000;
/// And a window of groups that came in the course of years.
const SPAN_MAX: Micros = 1 << 50;

/// What the threshold is at first, and within what it moves, in nanoseconds.
const THRESHOLD_START: i64 = 12_500_000;
const THRESHOLD_MIN: i64 = 6_000_000;
const THRESHOLD_MAX: i64 = 600_000_000;
/// A slope beyond the threshold by more than this is an accident that it does not adapt to.
const ADAPT_MAX: i64 = 15_000_000;
/// How much of the distance to the slope the threshold goes in each millisecond, in 1/10,000: when the slope is above it,
/// and when it is below.
const RISE: i64 = 87;
const FALL: i64 = 390;
/// It does not move for longer than this at once.
const ADAPT_TIME_MAX: Micros = 100 * MILLISECOND;

/// How the network is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Usage {
    /// The delay stays what it is.
    #[default]
    Normal,
    /// The delay grows: more is sent than gets through.
    Over,
    /// The delay falls: a queue empties.
    Under,
}

/// One group in the window.
#[derive(Debug, Clone, Copy)]
struct Point {
    /// When it came.
    at: Micros,
    /// By how much it was later than the first group, smoothed; nanoseconds.
    delay_ns: i64,
}

/// The line, and the threshold that its slope is compared with.
#[derive(Debug)]
pub struct Trendline {
    groups: i64,
    accumulated: Micros,
    smoothed_ns: i64,
    window: VecDeque<Point>,
    /// The slope in 1/1,000,000,000.
    slope: i64,
    slope_before: i64,
    threshold_ns: i64,
    adapted: Option<Micros>,
    over_time: Option<Micros>,
    over_groups: u32,
    usage: Usage,
}

impl Default for Trendline {
    fn default() -> Self {
        Self { window: VecDeque::with_capacity(WINDOW), ..Self::empty() }
    }
}

impl Trendline {
    fn empty() -> Self {
        Self {
            groups: 0,
            accumulated: 0,
            smoothed_ns: 0,
            window: VecDeque::new(),
            slope: 0,
            slope_before: 0,
            threshold_ns: THRESHOLD_START,
            adapted: None,
            over_time: None,
            over_groups: 0,
            usage: Usage::Normal,
        }
    }

    /// How the network is used, as far as the last group tells.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Forgets the line, but not what is usual for its slope: the receiver's clock has jumped, so that what was seen before
    /// cannot be compared with what comes.
    pub fn restart(&mut self) {
        let Self { threshold_ns, .. } = *self;
        let mut window = std::mem::take(&mut self.window);
        window.clear();
        *self = Self { window, threshold_ns, ..Self::empty() };
    }

    /// Takes the next group, which came at `received`.
    pub fn on_group(&mut self, delta: GroupDelta, received: Micros) {
        self.groups = (self.groups + 1).min(GROUPS_MAX);
        let accumulated = self.accumulated.saturating_add(delta.received.saturating_sub(delta.sent));
        self.accumulated = accumulated.clamp(-ACCUMULATED_MAX, ACCUMULATED_MAX);
        self.smoothed_ns = (9 * self.smoothed_ns + 1_000 * self.accumulated) / 10;
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(Point { at: received, delay_ns: self.smoothed_ns });
        if self.window.len() == WINDOW {
            self.slope = self.fit().unwrap_or(self.slope);
        }
        self.detect(delta.sent, received);
    }

    /// The slope of the line of least squares, in 1/1,000,000,000; `None` if all points came at once.
    fn fit(&self) -> Option<i64> {
        let count = self.window.len() as i128;
        let first = self.window.front()?.at;
        let since = |point: &Point| i128::from(point.at.saturating_sub(first).clamp(-SPAN_MAX, SPAN_MAX));
        let (mut sum_at, mut sum_delay) = (0i128, 0i128);
        for point in &self.window {
            sum_at += since(point);
            sum_delay += i128::from(point.delay_ns);
        }
        // Both deviations are multiplied by the number of points, so that nothing is lost by division.
        let (mut numerator, mut denominator) = (0i128, 0i128);
        for point in &self.window {
            let at = count * since(point) - sum_at;
            let delay = count * i128::from(point.delay_ns) - sum_delay;
            numerator += at * delay;
            denominator += at * at;
        }
        // Nanoseconds of delay for each microsecond: a thousandth each.
        let slope = numerator.saturating_mul(1_000_000).checked_div(denominator)?;
        Some(slope.clamp(-SLOPE_MAX, SLOPE_MAX) as i64)
    }

    fn detect(&mut self, sent_delta: Micros, received: Micros) {
        if self.groups < 2 {
            return;
        }
        let steepness = self.groups.min(GROUPS_ENOUGH) * GAIN * self.slope / 1_000;
        if steepness > self.threshold_ns {
            let over_time = self.over_time.map_or(sent_delta / 2, |time| time.saturating_add(sent_delta));
            self.over_time = Some(over_time);
            self.over_groups += 1;
            if over_time > OVERUSE_TIME && self.over_groups > 1 && self.slope >= self.slope_before {
                self.over_time = Some(0);
                self.over_groups = 0;
                self.usage = Usage::Over;
            }
        } else {
            self.over_time = None;
            self.over_groups = 0;
            self.usage = if steepness < -self.threshold_ns { Usage::Under } else { Usage::Normal };
        }
        self.slope_before = self.slope;
        self.adapt(steepness.abs(), received);
    }

    /// Moves the threshold towards the slope, so that a stream beside ours that never leaves the queue empty does not
    /// starve us.
    fn adapt(&mut self, steepness: i64, received: Micros) {
        let adapted = *self.adapted.get_or_insert(received);
        let time = received.saturating_sub(adapted).clamp(0, ADAPT_TIME_MAX);
        self.adapted = Some(received);
        if steepness > self.threshold_ns + ADAPT_MAX {
            return;
        }
        let pace = if steepness < self.threshold_ns { FALL } else { RISE };
        let step = (steepness - self.threshold_ns) * pace * time / (10_000 * MILLISECOND);
        self.threshold_ns = (self.threshold_ns + step).clamp(THRESHOLD_MIN, THRESHOLD_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups every 20 ms, each later than the one before by what `growth` says of it, in microseconds.
    fn usages(count: i64, growth: impl Fn(i64) -> i64) -> Vec<Usage> {
        let mut line = Trendline::default();
        let mut received = 0;
        let mut usages = Vec::new();
        for group in 0..count {
            let delta = GroupDelta { sent: 20 * MILLISECOND, received: 20 * MILLISECOND + growth(group) };
            received += delta.received;
            line.on_group(delta, received);
            usages.push(line.usage());
        }
        usages
    }

    #[test]
    fn a_delay_that_stays_is_normal_use() {
        assert!(usages(200, |_| 0).iter().all(|usage| *usage == Usage::Normal));
        let shaken = usages(500, |group| if group % 2 == 0 { 3_000 } else { -3_000 });
        assert!(shaken.iter().all(|usage| *usage == Usage::Normal), "jitter that comes and goes");
    }

    #[test]
    fn a_delay_that_grows_is_overuse_within_half_a_second() {
        let cases = [(2_000, 25), (5_000, 25), (1_000, 40)];
        for (growth, groups) in cases {
            let usages = usages(groups, |_| growth);
            assert!(usages.contains(&Usage::Over), "{growth} µs more each 20 ms: {usages:?}");
            assert!(
                usages[..18].iter().all(|usage| *usage == Usage::Normal),
                "not before the window is full"
            );
        }
    }

    #[test]
    fn a_queue_that_empties_is_underuse() {
        let usages = usages(60, |group| if group < 30 { 4_000 } else { -4_000 });
        let over = usages.iter().position(|usage| *usage == Usage::Over).expect("it fills");
        let under = usages.iter().position(|usage| *usage == Usage::Under).expect("it empties");
        assert!(over < under);
    }

    #[test]
    fn whatever_is_reported_nothing_overflows() {
        let extremes =
            [i64::MIN, i64::MIN + 1, -ACCUMULATED_MAX, -1, 0, 1, ACCUMULATED_MAX, i64::MAX - 1, i64::MAX];
        let mut random = fastrand::Rng::with_seed(8);
        let mut line = Trendline::default();
        for _ in 0..100_000 {
            let mut any = || extremes[random.usize(..extremes.len())];
            line.on_group(GroupDelta { sent: any(), received: any() }, any());
            assert!((THRESHOLD_MIN..=THRESHOLD_MAX).contains(&line.threshold_ns));
        }
    }

    #[test]
    fn a_line_that_begins_anew_remembers_no_delay() {
        let mut line = Trendline::default();
        for group in 0..100 {
            let delta = GroupDelta { sent: 20 * MILLISECOND, received: 25 * MILLISECOND };
            line.on_group(delta, group * 25 * MILLISECOND);
        }
        assert!(line.slope > 0);
        line.restart();
        let delta = GroupDelta { sent: 20 * MILLISECOND, received: 20 * MILLISECOND };
        for group in 0..100 {
            line.on_group(delta, -1_000_000 * MILLISECOND + group * 20 * MILLISECOND);
            assert_eq!((line.slope, line.usage()), (0, Usage::Normal), "{group}");
        }
    }

    #[test]
    fn the_slope_is_that_of_the_line() {
        let mut line = Trendline::default();
        // 1 ms more each 19 ms sent, received each 20 ms.
        for group in 1..=200 {
            line.on_group(
                GroupDelta { sent: 19 * MILLISECOND, received: 20 * MILLISECOND },
                group * 20 * MILLISECOND,
            );
        }
        assert!((line.slope - 50_000_000).abs() < 10_000, "1/20: {}", line.slope);
    }
}

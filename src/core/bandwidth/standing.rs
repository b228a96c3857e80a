//! StandingQueue: whether packets wait in a queue that neither grows nor empties. A trend shows nothing of it: when a link
//! has lost most of its capacity at once, its queue stays full, what exceeds it is dropped, and the delay is steady again, a
//! third of a second higher. What does show is how long packets take now and how long they took at best.

use super::{MILLISECOND, Micros, PacketResult, SECOND};

/// Packets that take this much longer than the fastest wait in a queue,
const FULL: Micros = 100 * MILLISECOND;
/// which has emptied when they take no more than this longer.
const EMPTY: Micros = 40 * MILLISECOND;
/// The queue stands when it has been full for this long.
const STANDS_AFTER: Micros = 500 * MILLISECOND;
/// The best of this time, or of twice that, is remembered: clocks drift apart, and paths change.
const BEST_TIME: Micros = 20 * SECOND;
/// When less is sent, a queue has emptied by this much after this time. If not, the path has become longer.
const EMPTIES_BY: Micros = 30 * MILLISECOND;
const EMPTIES_WITHIN: Micros = 3 * SECOND;

/// How long packets take, by two clocks whose difference nobody knows.
#[derive(Debug, Default)]
pub struct StandingQueue {
    /// The best since the moment that stands with it, and the best of the time before.
    best: Option<(Micros, Micros)>,
    best_before: Option<Micros>,
    /// Since when the queue has been full, and how long packets took then.
    full: Option<(Micros, Micros)>,
}

impl StandingQueue {
    /// Takes the packets of a report that came. Returns whether a queue stands.
    pub fn on_report(&mut self, now: Micros, arrived: &[PacketResult]) -> bool {
        let Some(took) = arrived.iter().filter_map(|result| Some(result.received? - result.sent)).min()
        else {
            return self.stands(now);
        };
        match &mut self.best {
            Some((since, best)) if now - *since < BEST_TIME => *best = (*best).min(took),
            Some((since, best)) => {
                self.best_before = Some(*best);
                (*since, *best) = (now, took);
            }
            None => self.best = Some((now, took)),
        }
        let best =
            self.best.map_or(took, |(_, best)| self.best_before.map_or(best, |before| before.min(best)));
        match self.full {
            None if took >= best + FULL => self.full = Some((now, took)),
            Some(_) if took <= best + EMPTY => self.full = None,
            Some((since, at_first)) if now - since >= EMPTIES_WITHIN + STANDS_AFTER => {
                if took > at_first - EMPTIES_BY {
                    *self = Self { best: Some((now, took)), ..Self::default() };
                } else {
                    self.full = Some((now - STANDS_AFTER, took));
                }
            }
            _ => {}
        }
        self.stands(now)
    }

    fn stands(&self, now: Micros) -> bool {
        self.full.is_some_and(|(since, _)| now - since >= STANDS_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports every 50 ms of packets that took as long as `took` says, in milliseconds; returns when a queue stood, in
    /// milliseconds.
    fn standing(seconds: i64, took: impl Fn(i64) -> i64) -> Vec<i64> {
        let mut queue = StandingQueue::default();
        let reports = (0..seconds * 20).map(|report| report * 50);
        reports
            .filter(|at| {
                let sent = at * MILLISECOND;
                let received = Some(sent + took(*at) * MILLISECOND - 77 * SECOND);
                let result =
                    PacketResult { sequence: 0, sent, received, bytes: 100, unreported: 0, probe: None };
                queue.on_report(sent, &[result])
            })
            .collect()
    }

    #[test]
    fn a_queue_that_stays_full_is_seen_after_half_a_second() {
        let stood = standing(6, |at| if (2_000..4_000).contains(&at) { 350 } else { 50 });
        assert_eq!((stood.first(), stood.last()), (Some(&2_500), Some(&3_950)));
    }

    #[test]
    fn jitter_and_short_queues_are_none() {
        assert_eq!(standing(60, |at| 50 + at * 7 % 90), Vec::<i64>::new());
        assert_eq!(standing(60, |at| if at % 1_000 < 400 { 300 } else { 50 }), Vec::<i64>::new());
    }

    #[test]
    fn a_longer_path_is_not_a_queue_for_ever() {
        let stood = standing(60, |at| if at < 10_000 { 50 } else { 250 });
        assert_eq!((stood.first(), stood.last()), (Some(&10_500), Some(&13_450)));
    }

    #[test]
    fn clocks_that_drift_apart_are_no_queue() {
        assert_eq!(
            standing(600, |at| 50 + at / 1_000),
            Vec::<i64>::new(),
            "a thousandth, which no clock is off by"
        );
    }
}

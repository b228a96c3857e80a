//! RoundTrip: how long reports take. A report that does not come at all makes the round trip long, too.

use std::collections::VecDeque;

use super::{Micros, PacketResult, SECOND};

/// How many reports the mean is taken over.
const REPORTS: usize = 32;
/// A longer round trip means that nothing gets through any more.
const LONG: Micros = 3 * SECOND;

/// The round trip as reports tell it.
#[derive(Debug, Default)]
pub struct RoundTrip {
    /// The longest of each of the last reports: from a packet's sending to its report.
    longest: VecDeque<Micros>,
    /// The shortest of the last report, without what the receiver waited before it reported; and when that came.
    propagation: Option<(Micros, Micros)>,
    last_sent: Micros,
}

impl RoundTrip {
    /// Notes that a packet is sent.
    pub fn on_sent(&mut self, now: Micros) {
        self.propagation.get_or_insert((0, now));
        self.last_sent = now;
    }

    /// When the last packet was sent.
    pub fn last_sent(&self) -> Micros {
        self.last_sent
    }

    /// Takes the packets of a report that came.
    pub fn on_report(&mut self, now: Micros, arrived: &[PacketResult]) {
        let newest = arrived.iter().filter_map(|result| result.received).max();
        let (Some(newest), Some(oldest)) = (newest, arrived.iter().map(|result| result.sent).min()) else {
            return;
        };
        if self.longest.len() == REPORTS {
            self.longest.pop_front();
        }
        self.longest.push_back(now - oldest);
        let shortest = arrived
            .iter()
            .filter_map(|result| Some(now - result.sent - (newest - result.received?)))
            .min()
            .unwrap_or(0);
        self.propagation = Some((shortest, now));
    }

    /// The mean of the last reports, with what the receiver waits before it reports; `None` before the first.
    pub fn mean(&self) -> Option<Micros> {
        let count = i64::try_from(self.longest.len()).ok().filter(|count| *count > 0)?;
        Some(self.longest.iter().sum::<Micros>() / count)
    }

    /// The shortest that the last report tells of, without what the receiver waited.
    pub fn shortest(&self) -> Option<Micros> {
        self.propagation.filter(|_| !self.longest.is_empty()).map(|(shortest, _)| shortest)
    }

    /// Whether nothing can be said of the network: the round trip is too long, or no report has come for too long although
    /// there was something to report.
    pub fn is_long(&self) -> bool {
        self.propagation.is_some_and(|(shortest, at)| (self.last_sent - at).max(0) + shortest > LONG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::bandwidth::MILLISECOND;

    #[test]
    fn reports_tell_the_round_trip() {
        let mut round_trip = RoundTrip::default();
        assert_eq!((round_trip.mean(), round_trip.shortest(), round_trip.is_long()), (None, None, false));
        round_trip.on_sent(0);
        let result = |sent, received| PacketResult {
            sequence: 1,
            sent: sent * MILLISECOND,
            received: Some(received * MILLISECOND),
            bytes: 100,
            unreported: 0,
            probe: None,
        };
        round_trip.on_report(150 * MILLISECOND, &[result(0, 1_040), result(50, 1_100)]);
        assert_eq!(round_trip.mean(), Some(150 * MILLISECOND));
        assert_eq!(round_trip.shortest(), Some(90 * MILLISECOND), "the first one waited for 60 ms");
    }

    #[test]
    fn reports_that_do_not_come_make_it_long() {
        let mut round_trip = RoundTrip::default();
        for millisecond in 0..=3_000 {
            round_trip.on_sent(millisecond * MILLISECOND);
        }
        assert!(!round_trip.is_long());
        round_trip.on_sent(3_001 * MILLISECOND);
        assert!(round_trip.is_long());
    }
}

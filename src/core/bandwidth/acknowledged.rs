//! AcknowledgedRate: what gets through, from the last packets that came. The smaller of the rate at which they were sent and
//! the rate at which they came counts, and the longest pause among their arrivals is left out, so that a link that holds
//! packets back and lets them go at once (Wi-Fi) does not count as slow.

use std::collections::VecDeque;

use super::{BitRate, MILLISECOND, Micros, PacketResult, SECOND, rate_of};

/// The fewest packets in the window if it spans a second,
const PACKETS_MIN: usize = 20;
const SPAN_MIN: Micros = SECOND;
/// and never more than these, or a longer span.
const PACKETS_MAX: usize = 500;
const SPAN_MAX: Micros = 5 * SECOND;
/// Fewer packets say nothing.
const PACKETS_ENOUGH: usize = 10;
/// What came within this time is recent, if it is so many packets.
const RECENT: Micros = 400 * MILLISECOND;
const RECENT_PACKETS: usize = 5;
/// Whoever reports arrivals that are out of order by more than this has a clock that jumped.
const REORDERING_MAX: Micros = SECOND;

#[derive(Debug, Clone, Copy)]
struct Acknowledged {
    sent: Micros,
    received: Micros,
    bytes: u32,
}

/// The last packets that came.
#[derive(Debug, Default)]
pub struct AcknowledgedRate {
    /// In the order of their arrival.
    window: VecDeque<Acknowledged>,
    /// The latest moment at which a packet was sent that has left the window.
    left_until: Option<Micros>,
}

impl AcknowledgedRate {
    /// Takes a packet of a report. Those that have not come are passed over.
    pub fn on_result(&mut self, result: &PacketResult) {
        let Some(received) = result.received else { return };
        // Whatever came while a report was lost came all the same.
        let bytes = result.bytes.saturating_add(result.unreported);
        self.window.push_back(Acknowledged { sent: result.sent, received, bytes });
        let mut place = self.window.len() - 1;
        while place > 0 && self.window[place].received < self.window[place - 1].received {
            self.window.swap(place, place - 1);
            place -= 1;
        }
        let newest = self.window.back().map_or(received, |newest| newest.received);
        if newest - received > REORDERING_MAX {
            *self = Self::default();
        }
        while let Some(oldest) = self.window.front().copied()
            && self.is_outside(&oldest)
        {
            self.left_until = Some(self.left_until.map_or(oldest.sent, |until| until.max(oldest.sent)));
            self.window.pop_front();
        }
    }

    fn is_outside(&self, oldest: &Acknowledged) -> bool {
        let span = self.window.back().map_or(0, |newest| newest.received - oldest.received);
        let count = self.window.len();
        count > PACKETS_MAX || span > SPAN_MAX || (count > PACKETS_MIN && span > SPAN_MIN)
    }

    /// What gets through, bits per second; `None` while too few packets have come.
    pub fn rate(&self) -> Option<BitRate> {
        if self.window.len() < PACKETS_ENOUGH {
            return None;
        }
        let (first, last) = (self.window.front()?, self.window.back()?);
        let (mut longest, mut second_longest) = (0, 0);
        let mut before = first.received;
        let mut received_bytes = 0;
        // Of the packets that were sent after all that has left the window: how they were sent.
        let (mut sent_bytes, mut sent_count, mut last_sent_bytes) = (0, 0, 0);
        let mut sent_span: Option<(Micros, Micros)> = None;
        for packet in &self.window {
            let pause = packet.received - before;
            before = packet.received;
            if pause > longest {
                second_longest = longest;
                longest = pause;
            } else {
                second_longest = second_longest.max(pause);
            }
            received_bytes += u64::from(packet.bytes);
            if self.left_until.is_some_and(|until| packet.sent < until) {
                continue;
            }
            sent_count += 1;
            sent_bytes += u64::from(packet.bytes);
            sent_span = Some(match sent_span {
                Some((from, to)) if packet.sent <= to => (from.min(packet.sent), to),
                other => {
                    last_sent_bytes = u64::from(packet.bytes);
                    (other.map_or(packet.sent, |(from, _)| from.min(packet.sent)), packet.sent)
                }
            });
        }
        // Between N packets lie N − 1 intervals: one packet is not counted.
        let received_span = (last.received - first.received - longest + second_longest).max(MILLISECOND);
        let received = rate_of(received_bytes - u64::from(first.bytes), received_span);
        let (Some((from, to)), PACKETS_ENOUGH..) = (sent_span, sent_count) else { return Some(received) };
        let sent = rate_of(sent_bytes - last_sent_bytes, (to - from).max(MILLISECOND));
        Some(received.min(sent))
    }

    /// What has come in the last moments, bits per second; `None` if that was little. When a network is overused, this is what
    /// it carries, also if less was sent until shortly before.
    pub fn recent(&self) -> Option<BitRate> {
        let newest = self.window.back()?.received;
        let recent = self.window.iter().rev().take_while(|packet| newest - packet.received <= RECENT);
        let (count, bytes, oldest) = recent.fold((0, 0, None), |(count, bytes, _), packet| {
            (count + 1, bytes + u64::from(packet.bytes), Some(packet))
        });
        let oldest = oldest.filter(|_| count >= RECENT_PACKETS)?;
        let span = (newest - oldest.received).max(RECENT / 4);
        Some(rate_of(bytes - u64::from(oldest.bytes), span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(sequence: i64, sent: Micros, received: Micros) -> PacketResult {
        PacketResult {
            sequence: sequence.unsigned_abs(),
            sent: sent * MILLISECOND,
            received: Some(received * MILLISECOND),
            bytes: 1_000,
            unreported: 0,
            probe: None,
        }
    }

    /// Packets of 1,000 bytes every 20 ms, which come when `arrival` says.
    fn rate(count: i64, arrival: impl Fn(i64) -> i64) -> Option<BitRate> {
        let mut acknowledged = AcknowledgedRate::default();
        for packet in 0..count {
            acknowledged.on_result(&result(packet, packet * 20, arrival(packet)));
        }
        acknowledged.rate()
    }

    #[test]
    fn what_gets_through_is_counted() {
        assert_eq!(rate(9, |packet| packet * 20), None, "too few");
        assert_eq!(rate(100, |packet| packet * 20 + 50), Some(400_000));
        assert_eq!(rate(100, |packet| packet * 40 + 50), Some(200_000), "the link is slower than the sender");
        assert_eq!(rate(100, |packet| packet * 10 + 50), Some(400_000), "not more than was sent");
        assert_eq!(
            rate(100, |packet| packet * 20 + 50 + i64::from(packet >= 70) * 400),
            Some(400_000),
            "a pause"
        );
        assert_eq!(rate(100, |packet| (packet ^ 1) * 20 + 50), Some(400_000), "pairs in reverse");
    }

    #[test]
    fn what_came_lately_is_more_than_the_mean_if_more_was_sent_lately() {
        let mut acknowledged = AcknowledgedRate::default();
        for packet in 0..20 {
            acknowledged.on_result(&result(packet, packet * 50, packet * 50));
        }
        assert_eq!(
            acknowledged.recent(),
            Some(160_000),
            "nine packets in 400 ms, of which one is not counted"
        );
        for packet in 20..60 {
            let at = 1_000 + (packet - 20) * 10;
            acknowledged.on_result(&result(packet, at, at));
        }
        assert_eq!(acknowledged.recent(), Some(800_000));
        assert!(acknowledged.rate().is_some_and(|rate| rate < 500_000), "{:?}", acknowledged.rate());
    }

    #[test]
    fn the_window_is_bounded() {
        let mut acknowledged = AcknowledgedRate::default();
        for packet in 0..10_000 {
            acknowledged.on_result(&result(packet, packet / 10, packet / 10));
            assert!(acknowledged.window.len() <= PACKETS_MAX);
        }
        acknowledged.on_result(&result(10_000, 60_000, 60_000));
        assert_eq!(acknowledged.window.len(), 1, "what is older than five seconds has gone");
    }

    #[test]
    fn a_clock_that_jumps_back_begins_anew() {
        let mut acknowledged = AcknowledgedRate::default();
        for packet in 0..50 {
            acknowledged.on_result(&result(packet, packet * 20, 10_000 + packet * 20));
        }
        acknowledged.on_result(&result(50, 1_000, 1_000));
        assert_eq!(acknowledged.rate(), None);
    }
}

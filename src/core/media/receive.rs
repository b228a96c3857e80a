//! Receive statistics of one RTP stream, for receiver reports and dashboards.
//!
//! RFC 3550 §6.4.1 and appendix A.3 (loss), A.8 (jitter). Packet indices come extended from SRTP, and duplicates are
//! refused there, so appendix A.1's guessing and probation are not needed. A packet that comes late counts as received,
//! whenever it comes. Retransmissions arrive on a stream of their own (RTX) and must not be counted here: loss is what
//! the network did, whether or not it was repaired.
//!
//! Jitter is taken from the first packet of each timestamp, and only from packets in order, as libwebrtc does:
//! the packets of one video frame share a timestamp but leave the pacer one by one, and that is not jitter.

use std::time::{Duration, Instant};

use super::rtcp::ReportBlock;
use crate::core::ids::Ssrc;

/// If the RTP clock leaps against ours by more than this many seconds, the stream has begun anew: that is not jitter.
const LEAP_SECONDS_MAX: u64 = 5;
/// So many missing packets in a row are heard: players conceal up to about 60 ms of speech well.
pub const GAP_PACKETS: u64 = 3;
/// Jitter is kept in sixteenths of a clock unit, as in appendix A.8.
const JITTER_SHIFT: u32 = 4;

/// Loss, jitter and the newest sender report of one stream.
#[derive(Debug, Clone)]
pub struct ReceiveStatistics {
    clock_rate: u32,
    /// `None` until the first packet.
    stream: Option<Stream>,
    packets: u64,
    /// How many packets were expected and received at the previous report.
    prior: (u64, u64),
    /// In 1/16 of a clock unit.
    jitter: u64,
    sender_report: Option<(Instant, u32)>,
    /// How often so many packets in a row had not come when the next one did.
    gaps: u64,
}

#[derive(Debug, Clone)]
struct Stream {
    /// The moment from which arrival times count.
    epoch: Instant,
    /// Lowest and highest index seen.
    lowest: u64,
    highest: u64,
    timestamp: u32,
    /// When the first packet with the timestamp arrived, in clock units since `epoch`.
    arrival: u64,
}

impl ReceiveStatistics {
    /// Makes the statistics of a stream whose RTP clock runs at `clock_rate` hertz.
    pub fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate: clock_rate.max(1),
            stream: None,
            packets: 0,
            prior: (0, 0),
            jitter: 0,
            sender_report: None,
            gaps: 0,
        }
    }

    /// Notes a packet. `index` has 48 bits, as [`Opened`](super::srtp::Opened) gives it.
    pub fn on_packet(&mut self, now: Instant, index: u64, rtp_timestamp: u32) {
        self.packets += 1;
        let Some(stream) = &mut self.stream else {
            self.stream = Some(Stream {
                epoch: now,
                lowest: index,
                highest: index,
                timestamp: rtp_timestamp,
                arrival: 0,
            });
            return;
        };
        stream.lowest = stream.lowest.min(index);
        if index <= stream.highest {
            return;
        }
        self.gaps += u64::from(index - stream.highest > GAP_PACKETS);
        stream.highest = index;
        if rtp_timestamp == stream.timestamp {
            return;
        }
        let arrival = clock_units(now.saturating_duration_since(stream.epoch), self.clock_rate);
        let elapsed = arrival.saturating_sub(stream.arrival).cast_signed();
        let sent = i64::from(rtp_timestamp.wrapping_sub(stream.timestamp).cast_signed());
        let difference = elapsed.abs_diff(sent);
        if difference < LEAP_SECONDS_MAX * u64::from(self.clock_rate) {
            // J += (|D| - J) / 16, rounded, on the scaled value.
            let decay = (self.jitter + (1 << (JITTER_SHIFT - 1))) >> JITTER_SHIFT;
            self.jitter = self.jitter + difference - decay;
        }
        stream.timestamp = rtp_timestamp;
        stream.arrival = arrival;
    }

    /// Notes a sender report for this stream. `ntp` has seconds in its upper 32 bits.
    pub fn on_sender_report(&mut self, now: Instant, ntp: u64) {
        self.sender_report = Some((now, (ntp >> 16) as u32));
    }

    /// Returns a report block. The fraction lost covers the time since the previous block, so every block must be sent.
    pub fn report_block(&mut self, ssrc: Ssrc, now: Instant) -> ReportBlock {
        let expected = self.expected();
        let (expected_prior, received_prior) = std::mem::replace(&mut self.prior, (expected, self.packets));
        let expected_since = expected - expected_prior;
        let lost_since = expected_since.saturating_sub(self.packets - received_prior);
        let fraction = (lost_since << 8).checked_div(expected_since).unwrap_or(0).min(255);
        let lost = expected.cast_signed() - self.packets.cast_signed();
        let (last_sr, delay) = match self.sender_report {
            Some((at, last_sr)) => (last_sr, clock_units(now.saturating_duration_since(at), 1 << 16)),
            None => (0, 0),
        };
        ReportBlock {
            ssrc,
            fraction_lost: fraction as u8,
            cumulative_lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_sequence: self.stream.as_ref().map_or(0, |stream| stream.highest as u32),
            jitter: u32::try_from(self.jitter >> JITTER_SHIFT).unwrap_or(u32::MAX),
            last_sr,
            delay_since_last_sr: u32::try_from(delay).unwrap_or(u32::MAX),
        }
    }

    /// Returns how many packets have not come, or not yet.
    pub fn lost_total(&self) -> u64 {
        self.expected().saturating_sub(self.packets)
    }

    /// Returns how often [`GAP_PACKETS`] or more in a row had not come when the next one did.
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Returns how many packets have come.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Returns the interarrival jitter: appendix A.8's smoothed mean deviation.
    pub fn jitter(&self) -> Duration {
        Duration::from_nanos((self.jitter >> JITTER_SHIFT) * 1_000_000_000 / u64::from(self.clock_rate))
    }

    fn expected(&self) -> u64 {
        self.stream.as_ref().map_or(0, |stream| stream.highest - stream.lowest + 1)
    }
}

/// Returns a duration in units of a clock.
fn clock_units(duration: Duration, rate: u32) -> u64 {
    let rate = u64::from(rate);
    duration.as_secs().saturating_mul(rate) + u64::from(duration.subsec_nanos()) * rate / 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSRC: Ssrc = Ssrc(7);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn loss_is_told_as_a_fraction_since_the_last_report() {
        let start = Instant::now();
        let mut statistics = ReceiveStatistics::new(48_000);
        for index in (100..200).filter(|i| i % 4 != 3) {
            statistics.on_packet(start, index, 0);
        }
        statistics.on_packet(start, 199, 0);
        let block = statistics.report_block(SSRC, start);
        assert_eq!((block.fraction_lost, block.cumulative_lost), ((24 * 256 / 100) as u8, 24));
        assert_eq!(block.highest_sequence, 199);
        statistics.on_packet(start, 200, 0);
        let block = statistics.report_block(SSRC, start);
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 24));
        assert_eq!(statistics.report_block(SSRC, start).fraction_lost, 0, "nothing came, nothing expected");
        assert_eq!((statistics.lost_total(), statistics.packets()), (24, 77));
    }

    #[test]
    fn reordering_is_no_loss_even_before_the_first_packet() {
        let start = Instant::now();
        let mut statistics = ReceiveStatistics::new(90_000);
        for index in [65_537, 65_535, 65_536, 65_540, 65_538, 65_539, 65_534] {
            statistics.on_packet(start, index, 0);
        }
        assert_eq!(statistics.report_block(SSRC, start).cumulative_lost, 0);
        assert_eq!(statistics.lost_total(), 0);
    }

    #[test]
    fn a_packet_after_its_report_takes_the_loss_back() {
        let start = Instant::now();
        let mut statistics = ReceiveStatistics::new(90_000);
        statistics.on_packet(start, 1, 0);
        statistics.on_packet(start, 3, 0);
        assert_eq!(statistics.report_block(SSRC, start).cumulative_lost, 1);
        statistics.on_packet(start, 2, 0);
        let block = statistics.report_block(SSRC, start);
        assert_eq!((block.cumulative_lost, block.fraction_lost), (0, 0));
    }

    #[test]
    fn even_spacing_has_no_jitter_and_uneven_spacing_converges() {
        let start = Instant::now();
        let mut even = ReceiveStatistics::new(48_000);
        let mut uneven = ReceiveStatistics::new(48_000);
        for n in 0..500u32 {
            even.on_packet(start + ms(20) * n, u64::from(n), n * 960);
            uneven.on_packet(start + ms(20) * n + ms(8) * (n % 2), u64::from(n), n * 960);
        }
        assert_eq!(even.jitter(), Duration::ZERO);
        let jitter = uneven.jitter();
        assert!(jitter > ms(7) && jitter <= ms(9), "{jitter:?}");
    }

    #[test]
    fn the_packets_of_a_frame_and_a_leap_of_the_clock_are_no_jitter() {
        let start = Instant::now();
        let mut statistics = ReceiveStatistics::new(90_000);
        for n in 0..100u32 {
            let (frame, part) = (n / 10, n % 10);
            let leap = if frame > 5 { 0x7000_0000 } else { 0 };
            statistics.on_packet(start + ms(33) * frame + ms(2) * part, u64::from(n), leap + frame * 2970);
        }
        assert_eq!(statistics.jitter(), Duration::ZERO);
    }

    #[test]
    fn the_delay_since_a_sender_report_is_in_65536ths() {
        let start = Instant::now();
        let mut statistics = ReceiveStatistics::new(90_000);
        let block = statistics.report_block(SSRC, start);
        assert_eq!((block.last_sr, block.delay_since_last_sr, block.highest_sequence), (0, 0, 0));
        statistics.on_sender_report(start, 0x1111_2222_3333_4444);
        let block = statistics.report_block(SSRC, start + ms(1500));
        assert_eq!((block.last_sr, block.delay_since_last_sr), (0x2222_3333, 98_304));
    }
}

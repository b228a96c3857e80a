//! Transport-wide feedback: tells a sender when each of its packets came, for its bandwidth estimate.
//!
//! draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1. Without it Chromium's estimate collapses.
//!
//! Every packet is reported once. A report continues where the previous one ended, and reports numbers that have not
//! come as not received. A packet that comes after that gets a feedback packet of its own (together with its
//! neighbours, if they are late too), so nothing is reported twice, and loss is not counted twice.

use std::time::{Duration, Instant};

use super::rtcp::{FORMAT_TWCC, TRANSPORT_FEEDBACK};
use crate::core::ids::Ssrc;
use crate::core::mutation::mutated;

/// The most bytes that one call writes, which leaves room for SRTCP in a datagram.
pub const FEEDBACK_BYTES_MAX: usize = 1000;
const _: () = assert!(longest_packet(ARRIVALS_MAX) <= FEEDBACK_BYTES_MAX);
/// The most packets that wait for a report; more are not reported. With a report every 100 ms this is 20,000 packets a
/// second.
pub const PENDING_MAX: usize = 2048;

/// How long after its first packet a report is due.
const INTERVAL: Duration = Duration::from_millis(100);
/// The same if [`BUSY`] packets have come by then.
const INTERVAL_BUSY: Duration = Duration::from_millis(50);
/// How many packets make the shorter interval worth it. With fewer (audio alone) feedback would cost as much as the
/// media.
const BUSY: usize = 16;

/// Arrivals in one feedback packet.
const ARRIVALS_MAX: usize = 150;
/// A longer gap is not reported as loss: the sender has begun anew, or cannot be trusted.
const GAP_MAX: u64 = 2000;
/// Times are in units of 250 µs, the reference time in units of 64 ms.
const TICK_MICROS: u128 = 250;
const REFERENCE_TICKS: u64 = 256;
/// The most statuses in one feedback packet: as many as one run-length chunk can hold.
const STATUSES_MAX: u64 = 0x1fff;

/// A packet that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Arrival {
    /// Extended from 16 bits.
    sequence: u64,
    /// Since the epoch, in ticks.
    tick: u64,
}

/// A packet's status as the draft numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    NotReceived = 0,
    SmallDelta = 1,
    LargeDelta = 2,
}

/// Collects the arrivals of one transport's packets, of all its streams, and writes feedback about them.
#[derive(Debug)]
pub struct TransportFeedbackRecorder {
    epoch: Instant,
    /// The highest number that has come, extended.
    highest: Option<u64>,
    /// The number after the last one that was reported as received or not.
    next: Option<u64>,
    /// The arrivals to be reported, in the order in which they came.
    pending: Vec<Arrival>,
    pending_since: Option<Instant>,
    /// Whether the current report did not fit into one datagram.
    overdue: bool,
    /// Numbers the feedback packets.
    count: u8,
    /// Empty between calls; kept so that its memory is used again.
    statuses: Vec<Status>,
}

impl TransportFeedbackRecorder {
    /// Makes a recorder whose times count from `epoch`, which may be any moment before the first packet.
    pub fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            highest: None,
            next: None,
            pending: Vec::new(),
            pending_since: None,
            overdue: false,
            count: 0,
            statuses: Vec::new(),
        }
    }

    /// Notes a packet that carried the transport-wide sequence number `sequence`.
    pub fn on_packet(&mut self, now: Instant, sequence: u16) {
        if self.pending.len() >= PENDING_MAX {
            return;
        }
        let sequence = match self.highest {
            // Leaves room below, so that packets older than the first one have numbers, too.
            None => (1 << 16) | u64::from(sequence),
            Some(highest) => {
                let ahead = sequence.wrapping_sub(highest as u16).cast_signed();
                let Some(sequence) = highest.checked_add_signed(i64::from(ahead)) else { return };
                sequence
            }
        };
        self.highest = Some(self.highest.map_or(sequence, |highest| highest.max(sequence)));
        let micros = now.saturating_duration_since(self.epoch).as_micros();
        self.pending.push(Arrival { sequence, tick: (micros / TICK_MICROS) as u64 });
        self.pending_since.get_or_insert(now);
    }

    /// Returns when to call [`write`](Self::write); `None` while there is nothing to report.
    pub fn deadline(&self) -> Option<Instant> {
        let since = self.pending_since?;
        let interval = match self.pending.len() {
            _ if self.overdue => Duration::ZERO,
            0..BUSY => INTERVAL,
            BUSY..ARRIVALS_MAX => INTERVAL_BUSY,
            _ => Duration::ZERO,
        };
        Some(since + interval)
    }

    /// If a report is due, appends feedback packets for one datagram to `out`, at most [`FEEDBACK_BYTES_MAX`] bytes,
    /// and returns `true`. Send them and call again, until nothing more is due.
    ///
    /// `sender` is an SSRC of ours; `media` is any of the streams reported on, because the numbers span all of them.
    pub fn write(&mut self, now: Instant, sender: Ssrc, media: Ssrc, out: &mut Vec<u8>) -> bool {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return false;
        }
        let mut pending = std::mem::take(&mut self.pending);
        // If two have the same number, the one that came first stays.
        pending.sort_unstable_by_key(|arrival| (arrival.sequence, arrival.tick));
        pending.dedup_by_key(|arrival| arrival.sequence);
        let (start, mut told) = (out.len(), 0);
        while let Some(first) = pending.get(told) {
            let base = self.base(first.sequence);
            let batch_len = self.batch_len(base, &pending[told..]);
            if out.len() - start + longest_packet(batch_len) > FEEDBACK_BYTES_MAX {
                break;
            }
            self.write_packet(sender, media, base, &pending[told..told + batch_len], out);
            told += batch_len;
        }
        pending.drain(..told);
        self.overdue = !pending.is_empty();
        if pending.is_empty() {
            self.pending_since = None;
        }
        self.pending = pending;
        true
    }

    /// Returns the number with which a feedback packet begins whose first arrival is `first`.
    fn base(&self, first: u64) -> u64 {
        match self.next {
            Some(next) if next <= first && first - next <= GAP_MAX => next,
            _ => first,
        }
    }

    /// Returns how many of the arrivals, ascending by number, go into one feedback packet that begins with `base`: it
    /// ends where two are too far apart, in numbers or in time. `arrivals` is not empty.
    fn batch_len(&self, base: u64, arrivals: &[Arrival]) -> usize {
        let late = |arrival: &Arrival| self.next.is_some_and(|next| arrival.sequence < next);
        let fits = |pair: &[Arrival]| {
            let (before, after) = (pair[0], pair[1]);
            let gap = after.sequence - before.sequence - 1;
            let gap_max = if late(&before) { 0 } else { GAP_MAX };
            let in_reach = after.sequence - base < STATUSES_MAX;
            in_reach
                && gap <= gap_max
                && late(&before) == late(&after)
                && delta(before.tick, after.tick).is_some()
        };
        1 + arrivals.windows(2).take(ARRIVALS_MAX - 1).take_while(|pair| fits(pair)).count()
    }

    /// Writes one packet whose statuses begin with the number `base`. `arrivals` is not empty.
    fn write_packet(
        &mut self,
        sender: Ssrc,
        media: Ssrc,
        base: u64,
        arrivals: &[Arrival],
        out: &mut Vec<u8>,
    ) {
        let reference = arrivals.first().map_or(0, |first| first.tick / REFERENCE_TICKS);
        let deltas = || {
            let befores = std::iter::once(reference * REFERENCE_TICKS).chain(arrivals.iter().map(|a| a.tick));
            befores.zip(arrivals).map(|(before, arrival)| delta(before, arrival.tick).unwrap_or(i16::MAX))
        };
        self.statuses.clear();
        for (arrival, delta) in arrivals.iter().zip(deltas()) {
            let lost = (arrival.sequence - base) as usize;
            self.statuses.resize(lost.max(self.statuses.len()), Status::NotReceived);
            let small = u8::try_from(delta).is_ok();
            self.statuses.push(if small { Status::SmallDelta } else { Status::LargeDelta });
        }
        let end = base + self.statuses.len() as u64;
        self.next = Some(self.next.map_or(end, |next| next.max(end)));

        let start = out.len();
        out.extend_from_slice(&[0x80 | FORMAT_TWCC, TRANSPORT_FEEDBACK, 0, 0]);
        out.extend_from_slice(&sender.0.to_be_bytes());
        out.extend_from_slice(&media.0.to_be_bytes());
        let named = base + u64::from(mutated!(FeedbackBaseOffByOne));
        out.extend_from_slice(&(named as u16).to_be_bytes());
        out.extend_from_slice(&(self.statuses.len() as u16).to_be_bytes());
        out.extend_from_slice(&((reference as u32) << 8 | u32::from(self.count)).to_be_bytes());
        write_chunks(&self.statuses, out);
        for delta in deltas() {
            match u8::try_from(delta) {
                Ok(small) => out.push(small),
                Err(_) => out.extend_from_slice(&delta.to_be_bytes()),
            }
        }
        self.count = self.count.wrapping_add(1);
        finish(start, out);
    }
}

/// Returns the most bytes of a packet with that many arrivals. Each arrival costs a chunk for itself, a chunk for the
/// gap before it and two bytes of delta, and every seven cost one chunk more. The rest is header and padding.
const fn longest_packet(arrivals: usize) -> usize {
    20 + arrivals * 6 + arrivals.div_ceil(7) * 2 + 3
}

/// Returns the time from one arrival to the next in ticks; `None` if it does not fit into a delta.
fn delta(before: u64, after: u64) -> Option<i16> {
    i16::try_from(after.cast_signed() - before.cast_signed()).ok()
}

/// Pads the packet that began at `start` to a word, and writes its length.
fn finish(start: usize, out: &mut Vec<u8>) {
    let padding = (4 - (out.len() - start) % 4) % 4;
    if padding > 0 {
        out.resize(out.len() + padding, 0);
        if let Some(last) = out.last_mut() {
            *last = padding as u8;
        }
        out[start] |= 0x20;
    }
    let words = (out.len() - start) / 4 - 1;
    out[start + 2..start + 4].copy_from_slice(&(words as u16).to_be_bytes());
}

/// Packs statuses into chunks (§3.1.3, §3.1.4). Each chunk ends a run of equal statuses or takes seven arrivals, which
/// bounds their number.
///
/// Large deltas never go into a run-length chunk, because str0m 0.25 then skips only half of their bytes and misreads
/// the rest. They are rare, so writing them as vectors costs nothing.
fn write_chunks(statuses: &[Status], out: &mut Vec<u8>) {
    let mut rest = statuses;
    while let Some(&first) = rest.first() {
        let run = rest.iter().take_while(|&&status| status == first).count();
        let single = &rest[..rest.len().min(14)];
        let double = &rest[..rest.len().min(7)];
        let can_run = first != Status::LargeDelta;
        let (chunk, taken) = if can_run && run >= single.len() {
            ((first as u16) << 13 | run as u16, run)
        } else if single.iter().all(|&status| status != Status::LargeDelta) {
            (vector(0x8000, 1, single), single.len())
        } else if can_run && run >= double.len() {
            ((first as u16) << 13 | run as u16, run)
        } else {
            (vector(0xc000, 2, double), double.len())
        };
        out.extend_from_slice(&chunk.to_be_bytes());
        rest = &rest[taken..];
    }
}

/// Returns a vector chunk: its `kind`, and then statuses of `width` bits each from the left of the 14 bits.
fn vector(kind: u16, width: usize, statuses: &[Status]) -> u16 {
    let place = |n: usize| 14 - width * (n + 1);
    statuses.iter().enumerate().fold(kind, |chunk, (n, &status)| chunk | (status as u16) << place(n))
}

#[cfg(test)]
#[path = "twcc/tests.rs"]
mod tests;

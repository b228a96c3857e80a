//! EgressHalf: the media sent on one transport, as far as it concerns all slots together. It owns the cipher for
//! outgoing packets, the round trip and the memory of our sender reports, and takes the client's transport-wide
//! feedback and bandwidth estimates.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::nack::ROUND_TRIP_UNKNOWN;
use super::srtp::SrtpSender;

/// How many of our last sender reports a receiver report may refer to.
const SENT_REPORTS: usize = 64;

/// A sender report of ours that a receiver report may refer to.
#[derive(Debug, Clone, Copy)]
struct SentReport {
    /// The middle 32 bits of its NTP time, by which a receiver report names it.
    middle: u32,
    at: Instant,
}

/// The outgoing half of a transport's media.
#[derive(Debug)]
pub struct EgressHalf {
    /// Encrypts outgoing packets.
    pub sender: SrtpSender,
    /// Round trip to the client, from its receiver reports.
    pub round_trip: Option<Duration>,
    sent_reports: VecDeque<SentReport>,
    /// How many packets of transport-wide feedback have come.
    pub feedback_received: u64,
    /// How many of the client's bandwidth estimates (REMB) have come.
    pub remb_received: u64,
}

impl EgressHalf {
    /// Makes a half that has sent nothing yet, with the keys of `sender`.
    pub fn new(sender: SrtpSender) -> Self {
        Self {
            sender,
            round_trip: None,
            sent_reports: VecDeque::new(),
            feedback_received: 0,
            remb_received: 0,
        }
    }

    /// Returns the round trip, or a guess while it is unknown.
    pub fn round_trip(&self) -> Duration {
        self.round_trip.unwrap_or(ROUND_TRIP_UNKNOWN)
    }

    /// Remembers a sender report, so that the round trip can be computed from the answer to it.
    pub fn remember_report(&mut self, now: Instant, ntp: u64) {
        let middle = (ntp >> 16) as u32;
        if self.sent_reports.len() >= SENT_REPORTS {
            self.sent_reports.pop_front();
        }
        self.sent_reports.push_back(SentReport { middle, at: now });
    }

    /// Returns the round trip according to a report block (RFC 3550 §6.4.1); `None` if the block refers to none of our
    /// reports. `delay` counts units of 1/65,536 s.
    pub fn round_trip_of(&self, now: Instant, last_sr: u32, delay: u32) -> Option<Duration> {
        let sent = self.sent_reports.iter().find(|sent| sent.middle == last_sr)?;
        let delay = Duration::from_micros(u64::from(delay) * 1_000_000 / 65_536);
        now.checked_duration_since(sent.at)?.checked_sub(delay)
    }

    /// Takes a packet of transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01, §3.1), header
    /// included. It is only counted, because outgoing packets have no transport-wide numbers yet.
    pub fn on_transport_feedback(&mut self, _bytes: &[u8]) {
        self.feedback_received += 1;
    }

    /// Takes the client's own estimate of what it can receive, in bits per second (draft-alvestrand-rmcat-remb-03). It
    /// is only counted; nothing is decided by it yet.
    pub fn on_remb(&mut self, _bitrate_bps: u64) {
        self.remb_received += 1;
    }
}

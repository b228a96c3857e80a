//! EgressHalf: the media sent on one transport, as far as it concerns all slots together. It owns the cipher for
//! outgoing packets, the round trip and the memory of our sender reports, and takes the client's transport-wide
//! feedback and bandwidth estimates.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::nack::ROUND_TRIP_UNKNOWN;
use super::srtp::SrtpSender;
use crate::core::bandwidth::estimator::{BandwidthEstimator, Bounds, Reason};
use crate::core::bandwidth::{BitRate, Micros};
use crate::core::mutation::mutated;
use crate::core::pace::Pace;
use crate::core::stats::BandwidthSnapshot;
use crate::wire::transport_feedback::TransportFeedback;

/// How many of our last sender reports a receiver report may refer to.
const SENT_REPORTS: usize = 64;
/// How often a transport-wide report is read, in the long run. Browsers send one in 50 to 250 ms.
const REPORT_INTERVAL: Duration = Duration::from_millis(10);
/// How many are read at once, when the network has kept them back.
const REPORTS_AT_ONCE: u32 = 50;

/// What is believed of a network before anything is known of it, and within what the estimate stays, bits per second.
const BOUNDS: Bounds = Bounds { start: 1_000_000, min: 5_000, max: 100_000_000 };

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
    /// How often a report may be read.
    reports: Pace,
    /// How many of the client's bandwidth estimates (REMB) have come.
    pub remb_received: u64,
    /// What moments count from that the estimator is told.
    epoch: Instant,
    /// When what is sent now is sent.
    sending_at: Micros,
    /// Gives packets their transport-wide numbers, and estimates the bandwidth from what is reported of them. `None` until
    /// a packet needs a number, because nobody who was not asked to report will.
    bandwidth: Option<Box<BandwidthEstimator>>,
    /// What the client says that it can receive, bits per second (REMB).
    told: Option<BitRate>,
    /// What is believed of the network before anything is known of it, and within what the estimate stays.
    bounds: Bounds,
}

impl EgressHalf {
    /// Makes a half that has sent nothing yet, with the keys of `sender`.
    pub fn new(now: Instant, sender: SrtpSender) -> Self {
        Self {
            sender,
            round_trip: None,
            sent_reports: VecDeque::new(),
            feedback_received: 0,
            reports: Pace::new(now, REPORT_INTERVAL, REPORTS_AT_ONCE),
            remb_received: 0,
            epoch: now,
            sending_at: 0,
            bandwidth: None,
            told: None,
            bounds: BOUNDS,
        }
    }

    /// Says what the network is believed to carry before anything is known of it, bits per second.
    pub fn start_from(&mut self, bps: BitRate) {
        self.bounds.start = bps.clamp(BOUNDS.min, BOUNDS.max);
    }

    /// Says when that is sent which is sent from now on.
    pub fn send_at(&mut self, now: Instant) {
        self.sending_at = self.micros(now);
    }

    fn micros(&self, now: Instant) -> Micros {
        now.saturating_duration_since(self.epoch).as_micros() as Micros
    }

    /// Returns the transport-wide sequence number of the next packet. It is taken when the packet [is sent](Self::on_sent).
    pub fn next_number(&mut self) -> u16 {
        let (at, bounds) = (self.sending_at, self.bounds);
        self.bandwidth.get_or_insert_with(|| Box::new(BandwidthEstimator::new(at, bounds))).next_number()
    }

    /// Notes that a packet of that many bytes with the [next number](Self::next_number) is sent.
    pub fn on_sent(&mut self, bytes: usize) {
        if let Some(bandwidth) = &mut self.bandwidth {
            bandwidth.on_sent(self.sending_at, bytes, None);
            if mutated!(TransportNumberSkipped) && bandwidth.next_number() % 64 == 0 {
                bandwidth.on_sent(self.sending_at, bytes, None);
            }
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
    /// included. What is malformed, or about packets that were not sent lately, says nothing.
    pub fn on_transport_feedback(&mut self, now: Instant, bytes: &[u8]) {
        self.feedback_received += 1;
        let at = self.micros(now);
        let Some(bandwidth) = &mut self.bandwidth else { return };
        // A report of a few bytes can name thousands of packets, each of which costs a look.
        if !self.reports.wait(now).is_zero() {
            return;
        }
        self.reports.note(now);
        if let Ok(report) = TransportFeedback::parse(bytes) {
            bandwidth.on_report(at, report.reference, report.base, report.arrivals());
        }
    }

    /// Takes the client's own estimate of what it can receive, in bits per second (draft-alvestrand-rmcat-remb-03). It
    /// counts where there are no transport-wide numbers: whoever gets them is known better.
    pub fn on_remb(&mut self, bitrate_bps: u64) {
        self.remb_received += 1;
        self.told = Some(bitrate_bps.clamp(BOUNDS.min, BOUNDS.max));
    }

    /// What the network to the client carries, as far as that is known; `None` before the client has said anything of it.
    pub fn bandwidth(&self) -> Option<BandwidthSnapshot> {
        match &self.bandwidth {
            Some(bandwidth) if bandwidth.has_heard() => Some(BandwidthSnapshot {
                estimate: bandwidth.estimate(),
                acknowledged: bandwidth.acknowledged(),
                loss_millionths: bandwidth.loss_millionths(),
                reason: bandwidth.reason(),
            }),
            Some(_) => None,
            None => self.told.map(|estimate| BandwidthSnapshot {
                estimate,
                acknowledged: None,
                loss_millionths: 0,
                reason: Reason::Told,
            }),
        }
    }

    /// Returns when to [bring the estimate up to date](Self::look_at_bandwidth); `None` while there is nothing to estimate.
    pub fn bandwidth_deadline(&self) -> Option<Instant> {
        let at = self.bandwidth.as_ref()?.deadline()?;
        Some(self.epoch + Duration::from_micros(u64::try_from(at).unwrap_or(0)))
    }

    /// Brings the estimate up to date, if that is due: if nothing is reported any more, it falls.
    pub fn look_at_bandwidth(&mut self, now: Instant) {
        let at = self.micros(now);
        if let Some(bandwidth) =
            self.bandwidth.as_mut().filter(|own| own.deadline().is_some_and(|due| due <= at))
        {
            bandwidth.process(at);
        }
    }
}

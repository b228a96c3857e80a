//! EgressHalf: the media sent on one transport, as far as it concerns all slots together. It owns the cipher for
//! outgoing packets, the round trip and the memory of our sender reports, and takes the client's transport-wide
//! feedback and bandwidth estimates.
//!
//! What the estimate says is acted on here, too: it is the rate at which video is [paced](super::pacer), a part of it is
//! what may be [sent again](EgressHalf::may_repeat), and to learn more of it [padding](super::padding) is sent.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::bucket::Bucket;
use super::nack::ROUND_TRIP_UNKNOWN;
use super::pacer::{PacedPacket, Pacer};
use super::padding::PaddingControl;
use super::srtp::SrtpSender;
use crate::core::bandwidth::estimator::{BandwidthEstimator, Bounds, Reason};
use crate::core::bandwidth::{BitRate, LossReport, MILLISECOND, Micros, SECOND};
use crate::core::mutation::mutated;
use crate::core::pace::Pace;
use crate::core::stats::{BandwidthSnapshot, EgressCounters, PacingSnapshot};
use crate::wire::transport_feedback::TransportFeedback;

/// How many of our last sender reports a receiver report may refer to.
const SENT_REPORTS: usize = 64;
/// How often a transport-wide report is read, in the long run. Browsers send one in 50 to 250 ms.
const REPORT_INTERVAL: Duration = Duration::from_millis(10);
/// How many are read at once, when the network has kept them back.
const REPORTS_AT_ONCE: u32 = 50;

/// What is believed of a network before anything is known of it, and within what the estimate stays, bits per second.
const BOUNDS: Bounds = Bounds { start: 1_000_000, min: 5_000, max: 100_000_000 };

/// How fast video is sent, in 1/100 of the estimate: a little faster, so that what waits here gets less again. Before the
/// first report, of which little is known of the network, a first key frame is not to take seconds.
const PACE_PERCENT: u64 = 110;
const PACE_PERCENT_UNHEARD: u64 = 250;
/// Video is never sent more slowly than this, bits per second: what an outage has done to the estimate must not keep back
/// the few packets that show that it is over.
const PACE_MIN: BitRate = 100_000;
/// Who takes numbers and does not report on them in this time never will: nothing is known of their network.
const HEARD_WITHIN: Micros = 2 * SECOND;
/// What may be sent again, in 1/100 of the estimate, and for how long that can be saved up.
const REPEAT_PERCENT: u64 = 25;
const REPEAT_BURST: Micros = SECOND;
/// While nobody says what could be sent beyond the estimate, video that waits longer than this tells that something could.
const CROWDED: Micros = 100 * MILLISECOND;

/// What a packet is sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It is audio that is new to the receiver.
    Audio,
    /// It is video that is new to the receiver.
    Video,
    /// The receiver has asked for it again.
    Repeat,
    /// To find out what the network carries.
    Padding,
}

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
    sending: Instant,
    /// The same in microseconds, as of when a packet last needed a number: most packets of a room need none, and the
    /// difference of two moments costs as much as a tenth of a packet.
    sending_at: (Instant, Micros),
    /// Gives packets their transport-wide numbers, and estimates the bandwidth from what is reported of them. `None` until
    /// a packet needs a number, because nobody who was not asked to report will.
    bandwidth: Option<Box<BandwidthEstimator>>,
    /// What the client says that it can receive, bits per second (REMB).
    told: Option<BitRate>,
    /// Until when a first report is waited for; for ever, once it has come.
    heard_by: Micros,
    pacer: Pacer,
    padding: PaddingControl,
    /// What may be sent again.
    repeats: Bucket,
    /// What could be sent beyond the estimate, bits per second; `None` while nobody has said it.
    wants_more: Option<BitRate>,
    /// Whether probes are held back, because the machine has no time.
    holds_probes: bool,
    /// What was counted of pacing, padding and repeats.
    pub counters: EgressCounters,
    /// `counters` as last added to the room's totals.
    pub reported: EgressCounters,
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
            sending: now,
            sending_at: (now, 0),
            bandwidth: None,
            told: None,
            heard_by: Micros::MAX,
            pacer: Pacer::default(),
            padding: PaddingControl::default(),
            repeats: Bucket::default(),
            wants_more: None,
            holds_probes: false,
            counters: EgressCounters::default(),
            reported: EgressCounters::default(),
            bounds: BOUNDS,
        }
    }

    /// Says what the network is believed to carry before anything is known of it, bits per second.
    pub fn start_from(&mut self, bps: BitRate) {
        self.bounds.start = bps.clamp(BOUNDS.min, BOUNDS.max);
    }

    /// Says when that is sent which is sent from now on.
    #[inline]
    pub fn send_at(&mut self, now: Instant) {
        self.sending = now;
        if self.bandwidth.is_some() {
            self.fill();
        }
    }

    /// Returns when that is sent which is sent now.
    #[inline]
    fn at(&mut self) -> Micros {
        if self.sending_at.0 != self.sending {
            self.sending_at = (self.sending, self.micros(self.sending));
        }
        self.sending_at.1
    }

    /// Adds to the pacer's budget what time has brought.
    #[inline]
    fn fill(&mut self) {
        let at = self.at();
        if at > self.heard_by {
            self.heard_by = Micros::MAX;
            self.pacer.set_rate(None);
        }
        self.pacer.fill(at);
    }

    fn micros(&self, now: Instant) -> Micros {
        now.saturating_duration_since(self.epoch).as_micros() as Micros
    }

    /// Returns the transport-wide sequence number of the next packet. It is taken when the packet [is sent](Self::on_sent).
    pub fn next_number(&mut self) -> u16 {
        match &self.bandwidth {
            Some(bandwidth) => bandwidth.next_number(),
            None => self.begin_estimating(),
        }
    }

    /// Makes the estimator, because somebody takes numbers. Returns the first one.
    #[cold]
    fn begin_estimating(&mut self) -> u16 {
        let at = self.at();
        let mut bandwidth = Box::new(BandwidthEstimator::new(at, self.bounds));
        let number = bandwidth.next_number();
        // Nothing is probed before somebody says that it is of use.
        bandwidth.set_wanted(at, 0);
        self.bandwidth = Some(bandwidth);
        self.heard_by = at + HEARD_WITHIN;
        self.pacer.set_rate(Some(self.bounds.start * PACE_PERCENT_UNHEARD / 100));
        self.pacer.fill(at);
        if let Some(more) = self.wants_more {
            self.want(at, more);
        }
        number
    }

    /// Notes that a packet of that many bytes with the [next number](Self::next_number) is sent.
    pub fn on_sent(&mut self, bytes: usize, purpose: Purpose) {
        let Some(bandwidth) = &mut self.bandwidth else { return };
        bandwidth.on_sent(self.sending_at.1, bytes, self.padding.probe());
        if mutated!(TransportNumberSkipped) && bandwidth.next_number() % 64 == 0 {
            bandwidth.on_sent(self.sending_at.1, bytes, None);
        }
        self.padding.on_sent(bytes);
        match purpose {
            Purpose::Audio => {
                bandwidth.mark_audio();
                self.pacer.on_sent(bytes);
            }
            Purpose::Video => self.pacer.on_sent(bytes),
            Purpose::Repeat => {
                self.pacer.on_sent(bytes);
                self.repeats.take(bytes, bandwidth.estimate() * REPEAT_PERCENT / 100, REPEAT_BURST);
            }
            // It is sent where media leaves room, and must not take that from media afterwards.
            Purpose::Padding => {
                self.counters.padding_packets += 1;
                self.counters.padding_bytes += bytes as u64;
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
            bandwidth.begin_report(report.number);
            bandwidth.on_report(at, report.reference, report.base, report.arrivals());
            if bandwidth.has_heard() {
                self.heard_by = Micros::MAX;
                self.set_pace();
            }
        }
    }

    /// Takes what transport-wide feedback has told of audio since the last call; `None` if it has told nothing of it.
    pub fn take_audio_told(&mut self) -> Option<LossReport> {
        self.bandwidth.as_mut().map(|bandwidth| bandwidth.take_audio()).filter(|told| told.expected > 0)
    }

    /// Paces by the present estimate.
    fn set_pace(&mut self) {
        if let Some(bandwidth) = self.bandwidth.as_ref().filter(|bandwidth| bandwidth.has_heard()) {
            self.pacer.set_rate(Some((bandwidth.estimate() * PACE_PERCENT / 100).max(PACE_MIN)));
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

    /// Whether probes tell when the network carries more.
    pub fn is_probed(&self, now: Instant) -> bool {
        let at = self.micros(now);
        self.bandwidth.as_ref().is_some_and(|bandwidth| bandwidth.is_probed(at))
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
            self.set_pace();
        }
    }
}

/// What is done about the estimate: pacing, padding, probes, and how much is sent again.
impl EgressHalf {
    /// Fills all that is sent to the transport up to that rate with padding from now on, bits per second; 0 stands for no
    /// padding. Where the client takes no retransmissions there is none.
    pub fn set_padding_target(&mut self, rate_bps: BitRate) {
        let at = self.at();
        self.padding.set_target(at, rate_bps.min(BOUNDS.max));
        if let Some(bandwidth) = self.bandwidth.as_mut().filter(|_| rate_bps > 0) {
            bandwidth.rest_probes(at);
        }
    }

    /// Says how much more than the estimate could be sent, bits per second: whether it can be is probed from time to time. 0
    /// ends all probing.
    pub fn wants_more(&mut self, bps: BitRate) {
        self.wants_more = Some(bps);
        let at = self.at();
        self.want(at, bps);
    }

    fn want(&mut self, at: Micros, more: BitRate) {
        let Some(bandwidth) = &mut self.bandwidth else { return };
        if more == 0 {
            bandwidth.set_wanted(at, 0);
        } else {
            bandwidth.set_wanted(at, bandwidth.estimate().saturating_add(more.min(BOUNDS.max)));
            bandwidth.begin_probing(at);
        }
    }

    /// Sends no probes while the machine has no time for them: they would be late, and say that the network is slow.
    pub fn hold_probes(&mut self, holds: bool) {
        self.holds_probes = holds;
        if holds {
            self.padding.give_up_probe();
            if let Some(bandwidth) = &mut self.bandwidth {
                bandwidth.forget_probes();
            }
        }
    }

    /// Whether video that comes now has to wait.
    #[inline]
    pub fn holds_video(&self) -> bool {
        self.pacer.holds()
    }

    /// Whether video waits.
    #[inline]
    pub fn has_queue(&self) -> bool {
        self.pacer.has_queue()
    }

    /// Whether a packet of video can wait. Of a key frame more does than of other frames.
    pub fn has_room(&self, is_keyframe: bool) -> bool {
        self.pacer.has_room(is_keyframe)
    }

    /// Whether so many packets of video wait that no other can, even if it takes nothing of the network.
    pub fn is_full(&self) -> bool {
        self.pacer.is_full()
    }

    /// Lets a packet of video wait.
    pub fn queue(&mut self, packet: PacedPacket) {
        let since = self.at();
        self.pacer.push(PacedPacket { since, ..packet });
        if self.wants_more.is_none() && self.pacer.delay() > CROWDED {
            let more = self.bandwidth.as_ref().map_or(0, |bandwidth| bandwidth.estimate());
            self.want(since, more);
        }
    }

    /// Drops what waits for a slot. Returns how many packets that were.
    pub fn forget_queued(&mut self, slot: usize) -> usize {
        let dropped = self.pacer.forget(slot);
        self.counters.paced_dropped += dropped as u64;
        dropped
    }

    /// Notes that a packet of video was dropped because too much waits.
    pub fn on_dropped(&mut self) {
        self.counters.paced_dropped += 1;
    }

    /// Begins a step of pacing, at which what is due of video and padding is sent. A probe begins with a step.
    pub fn begin_step(&mut self, now: Instant) {
        self.send_at(now);
        let at = self.at();
        if self.padding.begin_step(at) {
            self.counters.probes_given_up += 1;
        }
        if !self.holds_probes
            && self.padding.probe().is_none()
            && self.padding.may_try(at)
            && let Some(cluster) = self.bandwidth.as_mut().and_then(|bandwidth| bandwidth.take_probe())
        {
            self.padding.begin_probe(at, cluster);
        }
    }

    /// Takes the next packet of video that waits, if it may leave in this step.
    pub fn next_queued(&mut self) -> Option<PacedPacket> {
        let at = self.at();
        let packet = self.pacer.pop(self.padding.probe_wants(at))?;
        if packet.bytes == 0 {
            return Some(packet);
        }
        self.counters.paced_packets += 1;
        self.counters.pacing_delay_micros += (at - packet.since).max(0).unsigned_abs();
        Some(packet)
    }

    /// Whether one more packet of padding is to be sent in this step.
    pub fn wants_padding(&self) -> bool {
        self.padding.may_try(self.sending_at.1) && self.padding.wants(self.sending_at.1)
    }

    /// Notes that no slot can carry padding just now.
    pub fn refuse_padding(&mut self) {
        self.counters.probes_given_up += u64::from(self.padding.probe().is_some());
        let at = self.at();
        self.padding.refuse(at);
    }

    /// Ends a step of pacing.
    pub fn end_step(&mut self) {
        if self.padding.end_step(self.sending_at.1) {
            self.counters.probes += 1;
        }
    }

    /// Returns the moment behind which the next step of pacing is due; `None` if there is nothing to be done.
    pub fn pacing_due(&self) -> Option<Instant> {
        let at = self.micros(self.sending);
        let has_probe =
            !self.holds_probes && self.bandwidth.as_ref().is_some_and(|bandwidth| bandwidth.has_probe());
        let due = if self.has_queue() { Some(at) } else { self.padding.due(at, has_probe) };
        // From the moment itself, and not from the same in microseconds, which is a little earlier: a step at a moment of the
        // grid would be followed by one at the same moment.
        due.map(|due| self.sending + Duration::from_micros(u64::try_from(due - at).unwrap_or(0)))
    }

    /// Returns whether more may be sent again just now: a part of the estimate, for what the network loses because it is
    /// full gets through no better for being sent twice. Where there is no estimate, everything may.
    pub fn may_repeat(&mut self) -> bool {
        let at = self.at();
        let Some(bandwidth) = &self.bandwidth else { return true };
        self.repeats.fill(at, bandwidth.estimate() * REPEAT_PERCENT / 100, REPEAT_BURST);
        let may = self.repeats.is_open();
        self.counters.repeats_withheld += u64::from(!may);
        may
    }

    /// What waits and what fills up, for those who look on; `None` where nothing is paced.
    pub fn pacing(&self) -> Option<PacingSnapshot> {
        self.bandwidth.as_ref()?;
        let delay = Duration::from_micros(self.pacer.delay().unsigned_abs());
        Some(PacingSnapshot { delay, padding_target: self.padding.target(), counters: self.counters })
    }
}

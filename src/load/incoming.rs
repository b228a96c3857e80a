//! One stream that a person receives: its packets, their order, and what a viewer sees.

use std::time::Instant;

use super::frames::FrameTracker;
use super::meters::Meters;
use super::packet::{self, Stamp};
use crate::core::command::MediaKind;
use crate::core::ids::Ssrc;
use crate::core::media::receive::ReceiveStatistics;
use crate::core::media::rtcp::ReportBlock;
use crate::core::media::srtp::{OpenError, SrtpReceiver};
use crate::wire::rtp::RtpHeader;

/// The time between requests for key frames, in nanoseconds.
const KEYFRAME_INTERVAL: u64 = 500_000_000;
/// A stream that is silent for longer than this, and for longer than [`SILENT_FRAMES`], has stopped; in nanoseconds. A
/// busy machine delays packets for a good part of a second without losing the stream.
const SILENT_NANOS: u64 = 2_000_000_000;
/// Slow streams may be silent for this many of their frames.
const SILENT_FRAMES: u64 = 3;

/// One stream that a person receives.
pub(super) struct Incoming {
    ssrc: u32,
    kind: MediaKind,
    statistics: ReceiveStatistics,
    highest: u64,
    /// How many packets come before the next one that is decrypted.
    until_opened: u32,
    /// The number of the sender's stream that it shows; `None` before the first packet.
    pub source: Option<u32>,
    /// Whether it has shown another one during the measurement, so that the expected number of packets is unknown.
    pub switched: bool,
    /// What a viewer sees; only for video, once something came.
    pub frames: Option<FrameTracker>,
    /// How many packets arrived that belong to the measurement.
    pub counted: u64,
    /// When the last packet came.
    last_at: u64,
    lost_before: u64,
    asked_at: Option<u64>,
}

/// What a packet brought to its receiver.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Brought {
    /// Whether it was media: either it was decrypted and has a stamp, or it was counted without decrypting.
    pub media: bool,
    /// Whether a frame could be decoded with it.
    pub frame: bool,
    /// Whether a key frame has to be asked for.
    pub wants_keyframe: bool,
}

/// When a packet came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived {
    /// When it was read, by the clock of the run.
    pub now: u64,
    /// The same moment, for the rest of the program.
    pub instant: Instant,
    /// When the kernel received it, if the kernel tells.
    pub in_socket: Option<u64>,
}

impl Incoming {
    /// Returns a stream of which nothing has come yet.
    pub(super) fn new(ssrc: u32, kind: MediaKind) -> Self {
        let clock_rate = if kind == MediaKind::Audio { 48_000 } else { 90_000 };
        Self {
            ssrc,
            kind,
            statistics: ReceiveStatistics::new(clock_rate),
            highest: 0,
            until_opened: 0,
            source: None,
            switched: false,
            frames: None,
            counted: 0,
            last_at: 0,
            lost_before: 0,
            asked_at: None,
        }
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Takes an RTP packet. One packet in `every` is decrypted. `intervals` returns the frame interval of a sender's
    /// stream.
    pub(super) fn on_packet(
        &mut self,
        arrived: Arrived,
        (header, bytes): (&RtpHeader, &mut [u8]),
        receiver: &mut SrtpReceiver,
        every: u32,
        meters: &mut Meters,
        intervals: impl Fn(u32) -> Option<u64>,
    ) -> Brought {
        self.last_at = arrived.now;
        if self.until_opened > 0 {
            self.until_opened -= 1;
            return self.count_unopened(arrived, header, bytes.len(), meters);
        }
        let size = bytes.len() as u64;
        let opened = match receiver.open_rtp(bytes, header.header_len, header.sequence, self.ssrc) {
            Ok(opened) => opened,
            Err(OpenError::Replayed) => {
                meters.duplicates += u64::from(meters.is_measuring());
                return Brought::default();
            }
            Err(_) => {
                meters.unopened += 1;
                return Brought::default();
            }
        };
        self.until_opened = every.saturating_sub(1);
        self.order(arrived.instant, opened.index, header.timestamp, meters);
        let payload = bytes.get(header.header_len..opened.len).unwrap_or_default();
        let Some(stamp) = packet::read(payload, self.kind) else { return Brought::default() };
        meters.received_ever += 1;
        if meters.counts(stamp.sent) {
            self.counted += 1;
            meters.received += 1;
            meters.received_bytes += size;
            let latency = arrived.now.saturating_sub(stamp.sent);
            meters.latency.record(latency);
            meters.second.record(latency);
            if let Some(tenth) = meters.tenth(stamp.sent) {
                tenth.received += 1;
                tenth.longest = tenth.longest.max(latency);
            }
            if let Some(at) = arrived.in_socket {
                meters.latency_to_socket.record(at.saturating_sub(stamp.sent));
            }
        }
        self.view(arrived.now, &stamp, every, meters, intervals)
    }

    fn order(&mut self, now: Instant, index: u64, timestamp: u32, meters: &mut Meters) {
        self.statistics.on_packet(now, index, timestamp);
        meters.reordered += u64::from(index < self.highest && meters.is_measuring());
        self.highest = self.highest.max(index);
    }

    /// Counts a packet that is not decrypted, by its number and time of arrival, because its stamp is unknown.
    fn count_unopened(
        &mut self,
        arrived: Arrived,
        header: &RtpHeader,
        size: usize,
        meters: &mut Meters,
    ) -> Brought {
        let ahead = header.sequence.wrapping_sub(self.highest as u16).cast_signed();
        let Some(index) = self.highest.checked_add_signed(i64::from(ahead)) else {
            return Brought::default();
        };
        self.order(arrived.instant, index, header.timestamp, meters);
        meters.received_ever += 1;
        if meters.counts(arrived.now) {
            self.counted += 1;
            meters.received += 1;
            meters.received_bytes += size as u64;
        }
        Brought { media: true, ..Brought::default() }
    }

    /// Gives a packet to the viewer, which finds out whether a frame is complete and whether a key frame is needed.
    fn view(
        &mut self,
        now: u64,
        stamp: &Stamp,
        every: u32,
        meters: &mut Meters,
        intervals: impl Fn(u32) -> Option<u64>,
    ) -> Brought {
        if self.source != Some(stamp.stream) {
            self.switched |= self.source.is_some() && meters.is_measuring();
            self.source = Some(stamp.stream);
            self.frames = intervals(stamp.stream).filter(|_| every == 1).map(FrameTracker::new);
            if let (Some(frames), true) = (&mut self.frames, meters.is_measuring()) {
                frames.begin(now);
            }
        }
        let mut brought = Brought { media: true, ..Brought::default() };
        let Some(frames) = &mut self.frames else { return brought };
        brought.frame = frames.on_packet(now, stamp.part);
        // A key frame takes a round trip, in which asking again would only make more of them.
        let patient = self.asked_at.is_some_and(|at| now < at + KEYFRAME_INTERVAL);
        if self.kind == MediaKind::Video && !patient && frames.needs_keyframe() {
            self.asked_at = Some(now);
            brought.wants_keyframe = true;
        }
        brought
    }

    /// Begins the measurement: what happens from now on counts.
    pub(super) fn begin(&mut self, now: u64) {
        self.counted = 0;
        self.switched = false;
        self.lost_before = self.statistics.lost_total();
        if let Some(frames) = &mut self.frames {
            frames.begin(now);
        }
    }

    /// Returns whether the stream flows at `now`, or did until shortly before. `interval` is from frame to frame.
    pub(super) fn flows_at(&self, now: u64, interval: u64) -> bool {
        let silent = now.saturating_sub(self.last_at);
        self.source.is_some() && silent <= SILENT_NANOS.max(SILENT_FRAMES.saturating_mul(interval))
    }

    /// Returns how many packets of the measurement are missing by the stream's own numbers.
    pub(super) fn lost_by_number(&self) -> u64 {
        self.statistics.lost_total().saturating_sub(self.lost_before)
    }

    /// Returns whether the stream is video.
    pub(super) fn is_video(&self) -> bool {
        self.kind == MediaKind::Video
    }

    /// Returns what a receiver report says of the stream; `None` before its first packet.
    pub(super) fn report_block(&mut self, now: Instant) -> Option<ReportBlock> {
        (self.statistics.packets() > 0).then(|| self.statistics.report_block(Ssrc(self.ssrc), now))
    }

    /// Notes a sender report, of which receiver reports tell how long ago it came.
    pub(super) fn on_sender_report(&mut self, now: Instant, ntp: u64) {
        self.statistics.on_sender_report(now, ntp);
    }
}

//! One stream that a person sends: encrypted packets on a schedule, and its sender reports.

use super::meters::Meters;
use super::options::{Encoding, Track};
use super::packet::{self, Stamp};
use super::schedule::Schedule;
use super::sdp::{EXTENSION_AUDIO_LEVEL, EXTENSION_MID, EXTENSION_RID, EXTENSION_TRANSPORT_CC, OPUS, VP8};
use super::{frames::FramePart, udp_end::UdpEnd};
use crate::core::command::MediaKind;
use crate::core::ids::Ssrc;
use crate::core::media::rtcp::RtcpWriter;
use crate::core::media::srtp::{RTP_OVERHEAD_MAX, SrtpSender};
use crate::wire::rtp::{ExtensionBlock, RTP_HEADER_WRITE_MAX, RtpFields, write_header};

/// How many packets have a MID; browsers add it until the first receiver report.
const NAMED_PACKETS: u64 = 100;
/// How long somebody speaks or listens before they may change, in nanoseconds.
const UTTERANCE: u64 = 1_500_000_000;
/// One person of this many speaks at a time.
const ONE_SPEAKS_OF: u64 = 8;
/// How loud speech is, and the noise of a room, in -dBov.
const SPEECH: u8 = 30;
const NOISE: u8 = 80;

/// One stream that a person sends.
pub(super) struct Sender {
    /// Its number in this run.
    pub stream: u32,
    /// Its SSRC.
    pub ssrc: u32,
    /// When packets are due; `None` before it begins.
    pub schedule: Option<Schedule>,
    /// Whether the next frame has to be a key frame.
    pub wants_key: bool,
    /// Whether packets tell how loud they are: they are audio, and the server accepts the header extension.
    tells_levels: bool,
    kind: MediaKind,
    mid: String,
    encoding: Encoding,
    at_once: bool,
    interval: u64,
    ticks: u32,
    began: u64,
    first_index: u64,
    index: u64,
    frame: u32,
    part: u8,
    key: bool,
    timestamp_base: u32,
    octets: u64,
}

/// The numbers that a stream begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    /// The stream's number in this run.
    pub stream: u32,
    /// Its SSRC, which is its name on the wire.
    pub ssrc: u32,
    /// Its first sequence number, below 2^15.
    pub sequence: u16,
    /// The RTP timestamp of its first frame.
    pub timestamp: u32,
}

impl Sender {
    /// Returns a stream that has not begun to send.
    pub(super) fn new(identity: Identity, track: &Track, encoding: Encoding) -> Self {
        Self {
            stream: identity.stream,
            ssrc: identity.ssrc,
            schedule: None,
            wants_key: true,
            tells_levels: false,
            kind: track.kind,
            mid: String::new(),
            encoding,
            at_once: track.at_once,
            interval: track.interval,
            ticks: track.ticks,
            began: 0,
            first_index: u64::from(identity.sequence),
            index: u64::from(identity.sequence),
            frame: 0,
            part: 0,
            key: false,
            timestamp_base: identity.timestamp,
            octets: 0,
        }
    }

    /// Notes whether the server accepts audio levels. Call it before the stream begins.
    pub(super) fn set_levels(&mut self, are_accepted: bool) {
        self.tells_levels = are_accepted && self.kind == MediaKind::Audio;
    }

    /// Returns how loud a packet is, in -dBov. One of eight people speaks at a time, for a second and a half.
    fn level(&self, now: u64) -> u8 {
        let turn = now.saturating_sub(self.began) / UTTERANCE;
        let dice = (u64::from(self.stream) << 32 | turn).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        if dice.is_multiple_of(ONE_SPEAKS_OF) { SPEECH } else { NOISE }
    }

    /// Sets the MID of the section that the stream is sent in.
    pub(super) fn set_mid(&mut self, mid: String) {
        self.mid = mid;
    }

    /// Returns the time from one point of the schedule to the next, in nanoseconds.
    pub(super) fn period(&self) -> u64 {
        if self.at_once { self.interval } else { self.interval / u64::from(self.encoding.packets.max(1)) }
    }

    /// Begins to send, with the first packet due at `at`.
    pub(super) fn begin(&mut self, at: u64) {
        self.began = at;
        self.schedule = Some(Schedule::new(at, self.period()));
    }

    /// Sends the packets for one point of the schedule, and returns how many of them count. `clock` is read for each
    /// packet, so that encrypting the previous ones does not count as latency.
    pub(super) fn send(
        &mut self,
        clock: impl Fn() -> u64,
        transport_sequence: Option<&mut u16>,
        sealer: &SrtpSender,
        udp: &UdpEnd,
        buffer: &mut Vec<u8>,
        meters: &mut Meters,
    ) -> u64 {
        let mut transport_sequence = transport_sequence;
        let packets = if self.at_once { self.encoding.packets } else { 1 };
        let mut counted = 0;
        for _ in 0..packets {
            let now = clock();
            let Some(length) = self.write(now, transport_sequence.as_deref_mut(), sealer, buffer) else {
                meters.unsent += 1;
                continue;
            };
            if udp.send(&buffer[..length]) {
                if meters.counts(now) {
                    counted += 1;
                    meters.sent += 1;
                    meters.sent_bytes += length as u64;
                    if let Some(tenth) = meters.tenth(now) {
                        tenth.sent += 1;
                    }
                }
            } else {
                meters.unsent += 1;
            }
        }
        counted
    }

    fn write(
        &mut self,
        now: u64,
        transport_sequence: Option<&mut u16>,
        sealer: &SrtpSender,
        buffer: &mut Vec<u8>,
    ) -> Option<usize> {
        // A request for a key frame takes effect with the next frame.
        if self.part == 0 {
            self.key = self.kind == MediaKind::Audio || std::mem::take(&mut self.wants_key);
        }
        let (frame, index) = (self.frame, self.part);
        let last = index + 1 >= self.encoding.packets;
        let part = FramePart { frame, index, count: self.encoding.packets, key: self.key };
        let fields = RtpFields {
            marker: last && self.kind == MediaKind::Video,
            payload_type: if self.kind == MediaKind::Audio { OPUS } else { VP8 },
            sequence: self.index as u16,
            timestamp: self.timestamp_base.wrapping_add(frame.wrapping_mul(self.ticks)),
            ssrc: self.ssrc,
            has_padding: false,
        };
        let mut block = ExtensionBlock::new();
        if let Some(sequence) = transport_sequence {
            block.push(EXTENSION_TRANSPORT_CC, &sequence.to_be_bytes());
            *sequence = sequence.wrapping_add(1);
        }
        if self.tells_levels {
            block.push(EXTENSION_AUDIO_LEVEL, &[self.level(now)]);
        }
        // Like browsers, a stream sends its MID at the beginning; the encodings of a simulcast always do.
        if self.index - self.first_index < NAMED_PACKETS || self.encoding.rid.is_some() {
            block.push(EXTENSION_MID, self.mid.as_bytes());
            if let Some(rid) = self.encoding.rid {
                block.push(EXTENSION_RID, rid.as_bytes());
            }
        }
        buffer.resize(RTP_HEADER_WRITE_MAX + self.encoding.payload + RTP_OVERHEAD_MAX, 0);
        let header = write_header(buffer, &fields, &block)?;
        let end = header + self.encoding.payload;
        let stamp = Stamp { stream: self.stream, sent: now, part };
        packet::write(buffer.get_mut(header..end)?, self.kind, &stamp);
        let length = sealer.seal_rtp(buffer, header, end, self.index)?;
        self.index += 1;
        self.octets += self.encoding.payload as u64;
        if last {
            self.frame = self.frame.wrapping_add(1);
            self.part = 0;
        } else {
            self.part += 1;
        }
        Some(length)
    }

    /// Writes a sender report, once something was sent. `ntp` is wall time as NTP has it.
    pub(super) fn report(&self, now: u64, ntp: u64, writer: &mut RtcpWriter<'_>) {
        let packets = self.index - self.first_index;
        if packets == 0 {
            return;
        }
        // Sender reports relate the RTP clock to wall time; 128 bits keep the product from overflowing.
        let elapsed = u128::from(now.saturating_sub(self.began));
        let ticks = (elapsed * u128::from(self.ticks) / u128::from(self.interval.max(1))) as u32;
        let timestamp = self.timestamp_base.wrapping_add(ticks);
        writer.sender_report(Ssrc(self.ssrc), ntp, timestamp, packets as u32, self.octets as u32, &[]);
    }
}

//! Slot: one continuous egress stream whose source may change. It holds a track's name, never the track itself, because
//! the publisher may one day be on another node.

use std::time::{Duration, Instant};

use super::encoding::PacketInfo;
use super::hold::{Hold, Holds};
use super::munger::{Munger, Rewrite, SourcePacket, Stretch};
use crate::core::command::MediaKind;
use crate::core::ids::{Mid, PublicationKey, Ssrc, TrackId, TransportKey};
use crate::core::media::cache::{AGE_MAX, CachedPacket, PacketMeta, VIDEO_ENTRIES};
use crate::core::media::egress::EgressHalf;
use crate::core::media::extensions::KeptExtensions;
use crate::core::mutation::mutated;
use crate::core::negotiated::{Codec, CodecParams, ExtensionIds, NegotiatedSection};
use crate::core::rng::Rng;
use crate::core::stats::StreamCounters;
use crate::wire::red;
use crate::wire::rtp::{RtpFields, write_header};
use crate::wire::rtp_extensions::ExtensionBlock;

/// A slot remembers of this many packets when they were last retransmitted: as many as an encoding keeps. With fewer, a
/// receiver could make it forget by asking for others, and have everything again with each request.
const REPEATS: usize = VIDEO_ENTRIES;
/// A packet asked for again within this time is on its way already.
const REPEAT_MILLIS_MIN: u32 = 15;
/// [`AGE_MAX`] as a number of milliseconds.
const AGE_MILLIS_MAX: u32 = AGE_MAX.as_millis() as u32;
/// Bytes that may be sent again beyond twice what was sent: two seconds of video at 2 Mbit/s.
const REPEAT_BYTES_MAX: u64 = 512 * 1024;
/// A packet is sent again this often at most.
const REPEATS_MAX: u8 = 8;

/// What a slot shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The track that is shown.
    pub track: TrackId,
    /// The publication that keeps it.
    pub publication: PublicationKey,
    /// All packets of it have this timestamp of the slot's clock or a later one.
    pub from_timestamp: u32,
}

/// When and how often one packet was sent again.
#[derive(Debug, Clone, Copy, Default)]
struct Repeat {
    /// Milliseconds since the slot was made. They wrap after seven weeks, when all that they are compared with is
    /// forgotten.
    at_millis: u32,
    sequence: u16,
    times: u8,
}

/// One egress stream, which shows one track after another.
#[derive(Debug)]
pub struct Slot {
    /// The transport that it goes out on.
    pub transport: TransportKey,
    /// Its section; [`Mid::NONE`] once that is gone, until another takes the slot's place.
    pub mid: Mid,
    /// Where its section is among those that can be served.
    pub order: usize,
    /// Whether it takes audio or video.
    pub kind: MediaKind,
    /// The number of the slot among those of its kind. Slots of equal number share an msid stream.
    pub number: usize,
    /// The SSRC of its stream.
    pub ssrc: Ssrc,
    /// The SSRC of its retransmissions, if the client takes any.
    pub rtx_ssrc: Option<Ssrc>,
    /// The ids of header extensions in its section.
    pub extensions: ExtensionIds,
    /// The track that it shows, if any.
    pub shown: Option<Shown>,
    /// How the client takes the track's codec; `None` if it cannot, or nothing is shown.
    pub codec: Option<CodecParams>,
    /// Whether the client has been told what it shows, so that media may flow.
    pub announced: bool,
    /// Why nothing of the track goes out for now.
    pub holds: Holds,
    /// Whether the client still has the section.
    pub open: bool,
    /// What was counted of packets that went out.
    pub counters: StreamCounters,
    /// `counters` when the track was put in.
    before: StreamCounters,
    /// The interarrival jitter that the client reported last.
    pub jitter: Duration,
    /// What part of the packets the client lost, in 256ths, as it reported last, and when. Of the track that is shown alone.
    loss: Option<(Instant, u8)>,
    /// `counters` as last added to the room's totals.
    pub reported: StreamCounters,
    /// The codec that went out last.
    pub codec_last: Option<Codec>,
    munger: Munger,
    rtx_index: u64,
    /// By sequence number. Empty until something is asked for again.
    repeats: Vec<Repeat>,
    /// How many bytes may be sent again.
    repeat_bytes: u64,
    /// How many bytes had been sent when that was worked out.
    repeat_bytes_after: u64,
    made: Instant,
}

/// A packet that goes out, as [`Slot::write`] is to write it.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    rewrite: Rewrite,
    packet: CachedPacket<'a, PacketInfo>,
    /// What of the packet's payload goes out.
    payload: &'a [u8],
    codec: CodecParams,
    redundant: bool,
}

/// How many units of a stream's RTP clock make a second.
fn clock_rate(kind: MediaKind) -> u32 {
    match kind {
        MediaKind::Audio => 48_000,
        MediaKind::Video => 90_000,
    }
}

impl Slot {
    /// A slot that has never sent. Returns `None` if the section sends nothing to the client.
    pub fn new(
        now: Instant,
        transport: TransportKey,
        section: &NegotiatedSection,
        order: usize,
        number: usize,
        rng: &mut Rng,
    ) -> Option<Self> {
        let (ssrc, rtx_ssrc) = section.egress?;
        let clock_rate = clock_rate(section.kind);
        let needs_keyframe = section.kind == MediaKind::Video;
        Some(Self {
            transport,
            mid: section.mid,
            order,
            kind: section.kind,
            number,
            ssrc,
            rtx_ssrc,
            extensions: section.extensions,
            shown: None,
            codec: None,
            announced: false,
            holds: Holds::default(),
            open: true,
            counters: StreamCounters::default(),
            before: StreamCounters::default(),
            jitter: Duration::ZERO,
            loss: None,
            reported: StreamCounters::default(),
            codec_last: None,
            munger: Munger::new(now, clock_rate, needs_keyframe, first_sequence(rng), rng.u32()),
            rtx_index: u64::from(first_sequence(rng)),
            repeats: Vec::new(),
            repeat_bytes: REPEAT_BYTES_MAX,
            repeat_bytes_after: 0,
            made: now,
        })
    }

    /// Notes the interarrival jitter that the client reports, in units of the stream's RTP clock.
    pub fn note_jitter(&mut self, jitter: u32) {
        let nanos = u64::from(jitter) * 1_000_000_000 / u64::from(clock_rate(self.kind));
        self.jitter = Duration::from_nanos(nanos);
    }

    /// Notes what part of the packets the client reports to have lost, in 256ths.
    pub fn note_loss(&mut self, now: Instant, fraction: u8) {
        self.loss = Some((now, fraction));
    }

    /// Returns what part of the packets the client lost lately, in 256ths; 0 if it has not reported for longer than `within`.
    pub fn loss(&self, now: Instant, within: Duration) -> u8 {
        let fresh = self.loss.filter(|(at, _)| now.saturating_duration_since(*at) <= within);
        fresh.map_or(0, |(_, fraction)| fraction)
    }

    /// Takes over what a new answer says of the slot's section, which is at that place among the others.
    pub fn take_section(&mut self, section: &NegotiatedSection, order: usize) {
        self.order = order;
        self.open = section.egress.is_some();
        self.extensions = section.extensions;
        self.rtx_ssrc = section.egress.map_or(self.rtx_ssrc, |(_, rtx)| rtx);
    }

    /// Returns whether a track can be put in.
    pub fn is_free(&self) -> bool {
        self.open && self.shown.is_none()
    }

    /// Shows a track from now on, as soon as the client has been told so.
    pub fn assign(
        &mut self,
        now: Instant,
        track: TrackId,
        publication: PublicationKey,
        codec: Option<CodecParams>,
    ) {
        let from_timestamp = self.munger.promise(now);
        self.before = self.counters;
        self.loss = None;
        self.shown = Some(Shown { track, publication, from_timestamp });
        self.codec = codec;
        self.announced = false;
        self.holds = Holds::default();
    }

    /// Returns what was counted of the track that it shows, or showed last. The stream goes on from track to track, and so
    /// do `counters`, of which sender reports are made.
    pub fn counters_of_track(&self) -> StreamCounters {
        self.counters.since(&self.before)
    }

    /// Shows nothing from now on.
    pub fn release(&mut self) {
        self.shown = None;
        self.codec = None;
        self.munger.desynchronise();
    }

    /// Notes that what follows does not continue what was sent: it begins anew, with a key frame.
    pub fn interrupt(&mut self) {
        self.munger.desynchronise();
    }

    /// Stops or resumes forwarding, as far as one reason goes. Returns whether that is something else than before.
    pub fn set_held(&mut self, hold: Hold, is_held: bool) -> bool {
        let has_changed = self.holds.has(hold) != is_held;
        if has_changed {
            self.holds = self.holds.with(hold, is_held);
            self.munger.desynchronise();
        }
        has_changed
    }

    /// Returns whether nothing of that stretch can be shown before a key frame comes.
    pub fn wants_keyframe(&self, stretch: Stretch) -> bool {
        self.kind == MediaKind::Video && !self.holds.is_any() && !self.munger.is_synchronised(stretch)
    }

    /// The stretch that the slot shows just now, and what is added to its timestamps.
    pub fn flowing(&self) -> Option<(Stretch, u32)> {
        self.munger.flowing()
    }

    /// Decides whether and how a packet goes out. `stretch` names its encoding, and `clock_offset` what to add to the
    /// timestamps of that one to have those of the encoding that the slot has shown until now. Walk: called by
    /// `Audience::forward_to`.
    #[inline]
    pub fn prepare<'a>(
        &mut self,
        now: Instant,
        stretch: Stretch,
        clock_offset: Option<u32>,
        packet: CachedPacket<'a, PacketInfo>,
        source_codec: CodecParams,
    ) -> Option<Outgoing<'a>> {
        let holds = if mutated!(PauseIgnored) { self.holds.with(Hold::Wish, false) } else { self.holds };
        let is_announced = self.announced || mutated!(SlotNotAnnounced);
        if holds.is_any() || !is_announced || !self.open {
            return None;
        }
        let codec = if mutated!(PayloadTypeOfPublisher) { source_codec } else { self.codec? };
        let stretch = Stretch { generation: packet.meta.extra.generation, ..stretch };
        let rewrite = self.munger.rewrite(now, stretch, clock_offset, &source_packet(packet.meta))?;
        let outgoing = outgoing(rewrite, packet, codec, source_codec);
        self.codec_last = Some(codec.codec);
        self.counters.packets += 1;
        self.counters.bytes += outgoing.payload.len() as u64;
        Some(outgoing)
    }

    /// Writes a packet into `buffer` and seals it: header, payload, tag. Returns its length; `None` if it does not fit.
    #[inline]
    pub fn write(
        &self,
        outgoing: &Outgoing<'_>,
        egress: &mut EgressHalf,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let fields = RtpFields {
            marker: outgoing.packet.meta.marker || (self.kind == MediaKind::Audio && outgoing.rewrite.first),
            payload_type: if outgoing.redundant { outgoing.codec.red?.0 } else { outgoing.codec.pt.0 },
            sequence: outgoing.rewrite.index as u16,
            timestamp: outgoing.rewrite.timestamp,
            ssrc: self.ssrc.0,
        };
        self.write_packet(&fields, outgoing, &[], outgoing.rewrite.index, egress, buffer)
    }

    fn write_packet(
        &self,
        fields: &RtpFields,
        outgoing: &Outgoing<'_>,
        prefix: &[u8],
        index: u64,
        egress: &mut EgressHalf,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let counters = outgoing.rewrite.counters;
        let mut block = ExtensionBlock::new();
        // First, so that there is room for it, whatever else is passed on.
        let is_numbered = match self.extensions.transport_cc {
            Some(id) => block.push(id, &egress.next_number().to_be_bytes()),
            None => false,
        };
        KeptExtensions(outgoing.packet.extensions).write(&self.extensions, counters.frame_number, &mut block);
        let header_length = write_header(buffer, fields, &block)?;
        let payload_start = header_length + prefix.len();
        let end = payload_start + outgoing.payload.len();
        buffer.get_mut(header_length..payload_start)?.copy_from_slice(prefix);
        let payload = buffer.get_mut(payload_start..end)?;
        payload.copy_from_slice(outgoing.payload);
        outgoing.packet.meta.extra.descriptor.patch(payload, counters);
        let index = if mutated!(RollOverForgotten) { index & 0xffff } else { index };
        let length = egress.sender.seal_rtp(buffer, header_length, end, index)?;
        if is_numbered {
            egress.on_sent(length);
        }
        Some(length)
    }

    /// Returns which packet one of our sequence numbers stands for: its stretch, and its index there.
    pub fn origin(&self, sequence: u16) -> Option<(Stretch, u64)> {
        self.munger.origin(sequence)
    }

    /// Returns whether a packet may be retransmitted once more now, and notes that it is.
    ///
    /// A receiver that loses half of everything, retransmissions too, asks for as much again as was sent. Whoever asks for
    /// more than twice that over a longer time wants to fill the line.
    pub fn may_repeat(&mut self, now: Instant, sequence: u16) -> bool {
        let sent = self.counters.bytes.saturating_sub(self.repeat_bytes_after);
        self.repeat_bytes_after = self.counters.bytes;
        self.repeat_bytes = (self.repeat_bytes + 2 * sent).min(REPEAT_BYTES_MAX);
        if self.repeat_bytes == 0 {
            return false;
        }
        if self.repeats.is_empty() {
            self.repeats = vec![Repeat::default(); REPEATS];
        }
        let now_millis = now.saturating_duration_since(self.made).as_millis() as u32;
        let repeat = &mut self.repeats[usize::from(sequence) % REPEATS];
        let since = now_millis.wrapping_sub(repeat.at_millis);
        // After so long the number stands for another packet: they wrap.
        if repeat.sequence != sequence || repeat.times == 0 || since > AGE_MILLIS_MAX {
            *repeat = Repeat { sequence, at_millis: now_millis, times: 1 };
            return true;
        }
        if repeat.times >= REPEATS_MAX || since < REPEAT_MILLIS_MIN {
            return false;
        }
        repeat.at_millis = now_millis;
        repeat.times += 1;
        true
    }

    /// Writes a retransmission (RFC 4588) of a packet that was sent before. Returns its length; `None` if the client takes
    /// no retransmissions, or the packet is of another codec than the slot has now.
    pub fn write_retransmission(
        &mut self,
        stretch: Stretch,
        packet: CachedPacket<'_, PacketInfo>,
        source_codec: CodecParams,
        egress: &mut EgressHalf,
        buffer: &mut [u8],
    ) -> Option<usize> {
        // The slot may show another track by now, in another codec, whose payload type would be wrong.
        let codec = self.codec.filter(|codec| codec.codec == source_codec.codec)?;
        let rtx_ssrc = self.rtx_ssrc?;
        let rewrite = self.munger.again(stretch, &source_packet(packet.meta))?;
        let outgoing = outgoing(rewrite, packet, codec, source_codec);
        let index = self.rtx_index;
        let fields = RtpFields {
            marker: packet.meta.marker,
            payload_type: codec.rtx?.0,
            sequence: index as u16,
            timestamp: rewrite.timestamp,
            ssrc: rtx_ssrc.0,
        };
        let original = rewrite.index + u64::from(mutated!(RepeatWithWrongOriginal));
        let original = (original as u16).to_be_bytes();
        let length = self.write_packet(&fields, &outgoing, &original, index, egress, buffer)?;
        self.rtx_index += 1;
        self.counters.retransmitted += 1;
        self.repeat_bytes = self.repeat_bytes.saturating_sub(length as u64);
        Some(length)
    }
}

/// What the munger looks at in a cached packet.
fn source_packet(meta: &PacketMeta<PacketInfo>) -> SourcePacket {
    SourcePacket {
        index: meta.index,
        timestamp: meta.timestamp,
        starts_keyframe: meta.keyframe_start,
        counters: meta.extra.counters,
    }
}

/// Draws a first sequence number below 2^15. A receiver that missed the first packets around a wrap could not know the
/// roll-over counter (RFC 3711 §3.3.1).
fn first_sequence(rng: &mut Rng) -> u16 {
    rng.u16() & 0x7fff
}

/// Chooses between RFC 2198's redundant form, where the subscriber takes it and its inner payload types mean the
/// same to both, and its primary block alone.
#[inline]
fn outgoing<'a>(
    rewrite: Rewrite,
    packet: CachedPacket<'a, PacketInfo>,
    codec: CodecParams,
    source_codec: CodecParams,
) -> Outgoing<'a> {
    let payload = packet.payload;
    if !packet.meta.extra.redundant {
        return Outgoing { rewrite, packet, payload, codec, redundant: false };
    }
    if codec.red.is_some() && codec.pt == source_codec.pt {
        return Outgoing { rewrite, packet, payload, codec, redundant: true };
    }
    let primary = red::primary(payload).ok().and_then(|(_, range)| payload.get(range)).unwrap_or_default();
    Outgoing { rewrite, packet, payload: primary, codec, redundant: false }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn slot(now: Instant) -> Slot {
        let section = NegotiatedSection {
            mid: Mid::from("0"),
            kind: MediaKind::Video,
            payload_types: Vec::new(),
            codecs: Vec::new(),
            extensions: ExtensionIds::default(),
            ingress: None,
            egress: Some((Ssrc(1), Some(Ssrc(2)))),
        };
        Slot::new(now, TransportKey(0), &section, 0, 0, &mut Rng::new([1; 32])).unwrap()
    }

    #[test]
    fn whoever_asks_for_everything_again_and_again_gets_each_packet_a_few_times() {
        let now = Instant::now();
        let mut slot = slot(now);
        let mut given = 0;
        for round in 0..1000 {
            let now = now + Duration::from_micros(round * 900);
            given += (0..VIDEO_ENTRIES as u16).filter(|sequence| slot.may_repeat(now, *sequence)).count();
        }
        assert_eq!(given, VIDEO_ENTRIES * usize::from(REPEATS_MAX));
        assert!(slot.may_repeat(now + Duration::from_secs(60), 7), "another packet of that number");
    }

    #[test]
    fn no_more_than_twice_what_was_sent_is_sent_again_in_the_long_run() {
        let now = Instant::now();
        let mut slot = slot(now);
        slot.repeat_bytes = 0;
        assert!(!slot.may_repeat(now, 1), "all of the burst has been used up");
        slot.counters.bytes += 1000;
        assert!(slot.may_repeat(now, 1));
        assert_eq!(slot.repeat_bytes, 2000);
        slot.counters.bytes += 100 * REPEAT_BYTES_MAX;
        slot.may_repeat(now, 2);
        assert_eq!(slot.repeat_bytes, REPEAT_BYTES_MAX, "an hour without loss allows no storm");
    }
}

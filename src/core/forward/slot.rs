//! Slot: one continuous egress stream whose source may change. It holds a track's name, never the track itself, because
//! the publisher may one day be on another node.

mod held;
mod padding;
mod writing;

use std::time::{Duration, Instant};

use held::Held;
pub use writing::Outgoing;

use super::descriptor::Descriptor;
use super::encoding::PacketInfo;
use super::hold::{Hold, Holds};
use super::munger::{Munger, SourcePacket, Stretch};
use super::scalability::Scalability;
use super::selector::{LayerSelector, NewestPacket};
use crate::core::bandwidth::LossReport;
use crate::core::command::MediaKind;
use crate::core::ids::{EncodingIndex, Mid, PublicationKey, Ssrc, TrackId, TransportKey};
use crate::core::media::cache::{AGE_MAX, CachedPacket, PacketMeta, VIDEO_ENTRIES};
use crate::core::media::layers::{Choice, Layers, Selection};
use crate::core::media::rtcp::ReportBlock;
use crate::core::mutation::mutated;
use crate::core::negotiated::{Codec, CodecParams, ExtensionIds, NegotiatedSection};
use crate::core::pace::Pace;
use crate::core::rates::{Meter, SmoothedLoss};
use crate::core::rng::Rng;
use crate::core::stats::StreamCounters;

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

/// A viewer is sent a key frame once in this time in the long run for asking, beside those that the server wants for them.
/// Whoever cannot decode asks several times a second until one comes, so this is how long they wait at most.
const KEYFRAME_ASK_INTERVAL: Duration = Duration::from_secs(2);
/// Key frames that a viewer may ask for at once: for a minute on a bad network.
const KEYFRAME_ASKS_AT_ONCE: u32 = 30;

/// One egress stream, which shows one track after another.
#[derive(Debug)]
pub struct Slot {
    /// How often its viewer may make the publisher send a key frame.
    keyframe_asks: Pace,
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
    /// The same, smoothed over a few reports.
    smoothed_loss: SmoothedLoss,
    /// The highest sequence number that the client has reported to have got.
    highest_reported: Option<u32>,
    /// `counters` as last added to the room's totals.
    pub reported: StreamCounters,
    /// How much goes out.
    pub meter: Meter,
    /// How often so much audio was missing at the client that people hear it.
    pub dropouts: u64,
    /// `dropouts` as last added to the room's totals.
    pub dropouts_reported: u64,
    /// How often the client was shown another encoding of the track.
    pub layer_changes: u32,
    /// When the track was put in.
    assigned: Instant,
    /// When its first packet went out.
    first_sent: Option<Instant>,
    /// Whether [`take_first_media`](Self::take_first_media) has told so.
    is_first_told: bool,
    /// The encoding whose packets went out last.
    shown_encoding: Option<EncodingIndex>,
    /// The codec that went out last.
    pub codec_last: Option<Codec>,
    munger: Munger,
    selector: LayerSelector,
    /// The newest packet that the selector has seen: its encoding, generation and index.
    newest: Option<(EncodingIndex, u32, u64)>,
    rtx_index: u64,
    /// By sequence number. Empty until something is asked for again.
    repeats: Vec<Repeat>,
    /// How many bytes may be sent again.
    repeat_bytes: u64,
    /// How many bytes had been sent when that was worked out.
    repeat_bytes_after: u64,
    held: Held,
    /// How far behind the newest packet the one is that is sent as padding next.
    padding_back: u16,
    made: Instant,
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
            keyframe_asks: Pace::new(now, KEYFRAME_ASK_INTERVAL, KEYFRAME_ASKS_AT_ONCE),
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
            smoothed_loss: SmoothedLoss::default(),
            highest_reported: None,
            reported: StreamCounters::default(),
            meter: Meter::default(),
            dropouts: 0,
            dropouts_reported: 0,
            layer_changes: 0,
            assigned: now,
            first_sent: None,
            is_first_told: false,
            shown_encoding: None,
            codec_last: None,
            munger: Munger::new(now, clock_rate, needs_keyframe, first_sequence(rng), rng.u32()),
            selector: LayerSelector::default(),
            newest: None,
            rtx_index: u64::from(first_sequence(rng)),
            repeats: Vec::new(),
            repeat_bytes: REPEAT_BYTES_MAX,
            repeat_bytes_after: 0,
            held: Held::default(),
            padding_back: 0,
            made: now,
        })
    }

    /// Notes what the client reports of the stream. Returns what it has lost since its last report.
    pub fn take_report(&mut self, now: Instant, block: &ReportBlock) -> LossReport {
        self.counters.lost = u64::try_from(block.cumulative_lost).unwrap_or(0);
        let nanos = u64::from(block.jitter) * 1_000_000_000 / u64::from(clock_rate(self.kind));
        self.jitter = Duration::from_nanos(nanos);
        self.loss = Some((now, block.fraction_lost));
        self.smoothed_loss.note(block.fraction_lost);
        let before = self.highest_reported.replace(block.highest_sequence);
        let expected = before.map_or(0, |before| block.highest_sequence.wrapping_sub(before));
        // Whoever reports numbers that fall, or leap, has made them up.
        let expected = if expected < 1 << 15 { expected } else { 0 };
        LossReport { expected, lost: (expected * u32::from(block.fraction_lost)) >> 8 }
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
        self.smoothed_loss = SmoothedLoss::default();
        self.meter.restart(now, self.counters);
        (self.assigned, self.first_sent, self.is_first_told) = (now, None, false);
        (self.shown_encoding, self.layer_changes) = (None, 0);
        (self.selector, self.newest) = (LayerSelector::default(), None);
        self.shown = Some(Shown { track, publication, from_timestamp });
        self.held = Held::default();
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
        self.begin_anew();
    }

    /// Notes that what follows does not continue what was sent: it begins anew, with a key frame.
    pub fn interrupt(&mut self) {
        self.begin_anew();
    }

    /// Stops or resumes forwarding, as far as one reason goes. Returns whether that is something else than before.
    pub fn set_held(&mut self, hold: Hold, is_held: bool) -> bool {
        let has_changed = self.holds.has(hold) != is_held;
        if has_changed {
            self.holds = self.holds.with(hold, is_held);
            self.begin_anew();
        }
        has_changed
    }

    fn begin_anew(&mut self) {
        self.held = Held::default();
        self.munger.desynchronise();
    }

    /// Returns whether nothing of that stretch can be shown before a key frame comes. `may_wait` says that packets wait in
    /// the pacer, of which one may be that key frame.
    pub fn wants_keyframe(&self, stretch: Stretch, may_wait: bool) -> bool {
        let waits = may_wait && self.held.keyframe == Some(stretch);
        self.kind == MediaKind::Video
            && !self.holds.is_any()
            && (self.held.is_cut
                || !(waits || self.munger.is_synchronised(stretch))
                || (self.selector.awaits_keyframe() && !waits))
    }

    /// Notes up to which layers inside an encoding its packets go out from now on.
    #[inline]
    pub fn want_layers(&mut self, layers: Layers) {
        self.selector.want(layers.lower(self.layers_taken()));
    }

    /// Returns up to which layers inside an encoding the client can take it.
    #[inline]
    pub fn layers_taken(&self) -> Layers {
        let is_av1 = matches!(self.codec, Some(CodecParams { codec: Codec::Av1 { .. }, .. }));
        // Who has not negotiated the descriptor would take each spatial layer for a picture of its own.
        let cannot_tell_sizes = is_av1 && self.extensions.dependency_descriptor.is_none();
        if cannot_tell_sizes { Layers { spatial: Layers::BASE.spatial, ..Layers::ALL } } else { Layers::ALL }
    }

    /// Returns up to which layers inside the encoding its packets go out just now.
    pub fn layers_sent(&self) -> Layers {
        self.selector.selection().layers
    }

    /// The stretch that the slot shows just now, and what is added to its timestamps.
    pub fn flowing(&self) -> Option<(Stretch, u32)> {
        self.munger.flowing()
    }

    /// Decides whether and how a packet goes out. `stretch` names its encoding, `scalability` tells of the layers inside
    /// that, and `clock_offset` what to add to its timestamps to have those of the encoding that the slot has shown until
    /// now. Walk: called by `Audience::forward_to`.
    #[inline]
    pub fn prepare<'a>(
        &mut self,
        now: Instant,
        stretch: Stretch,
        clock_offset: Option<u32>,
        packet: CachedPacket<'a, PacketInfo>,
        source_codec: CodecParams,
        scalability: Option<&Scalability>,
    ) -> Option<Outgoing<'a>> {
        if !self.is_going() {
            return None;
        }
        let choice = self.choose(stretch, packet.meta, scalability);
        self.prepare_going(now, stretch, clock_offset, packet, source_codec, choice)
    }

    /// The same for a packet that has waited, of which it was decided before whether it belongs to the layers that go out.
    pub fn prepare_chosen<'a>(
        &mut self,
        now: Instant,
        stretch: Stretch,
        clock_offset: Option<u32>,
        packet: CachedPacket<'a, PacketInfo>,
        source_codec: CodecParams,
        choice: Choice,
    ) -> Option<Outgoing<'a>> {
        if !self.is_going() {
            return None;
        }
        self.prepare_going(now, stretch, clock_offset, packet, source_codec, choice)
    }

    /// Whether anything goes out of the slot at all.
    #[inline]
    fn is_going(&self) -> bool {
        let holds = if mutated!(PauseIgnored) { self.holds.with(Hold::Wish, false) } else { self.holds };
        let is_announced = self.announced || mutated!(SlotNotAnnounced);
        !holds.is_any() && is_announced && self.open
    }

    /// Decides whether a packet belongs to the layers that go out, and which those are from it on. Packets must be asked about
    /// once each, in the order in which they come: also those that wait in the pacer are asked about before they wait.
    #[inline]
    pub fn choose(
        &mut self,
        stretch: Stretch,
        meta: &PacketMeta<PacketInfo>,
        scalability: Option<&Scalability>,
    ) -> Choice {
        // Some frames may be there for smaller pictures alone.
        let stands_alone = scalability.is_some_and(Scalability::sizes_stand_alone);
        if self.selector.takes_everything() && !stands_alone {
            return Choice { selection: Selection::ALL, takes: true };
        }
        let stretch = Stretch { generation: meta.extra.generation, ..stretch };
        self.select(stretch, meta, scalability)
    }

    #[inline]
    fn prepare_going<'a>(
        &mut self,
        now: Instant,
        stretch: Stretch,
        clock_offset: Option<u32>,
        packet: CachedPacket<'a, PacketInfo>,
        source_codec: CodecParams,
        Choice { selection, takes }: Choice,
    ) -> Option<Outgoing<'a>> {
        let codec = if mutated!(PayloadTypeOfPublisher) { source_codec } else { self.codec? };
        let stretch = Stretch { generation: packet.meta.extra.generation, ..stretch };
        let source = source_packet(packet.meta);
        self.munger.select(stretch, source.index, selection);
        let rewrite = if takes {
            self.munger.rewrite(now, stretch, clock_offset, &source)?
        } else {
            let closes_pictures = matches!(packet.meta.extra.descriptor, Descriptor::Vp8(_));
            self.munger.leave_out(stretch, &source, closes_pictures)?
        };
        let outgoing = Outgoing::new(rewrite, packet, codec, !takes);
        if rewrite.first {
            self.note_beginning(now, stretch.encoding);
        }
        self.codec_last = Some(codec.codec);
        self.counters.packets += 1;
        self.counters.bytes += outgoing.payload().len() as u64;
        if self.kind == MediaKind::Video {
            self.counters.frames += u64::from(outgoing.marker);
            self.counters.keyframes += u64::from(packet.meta.keyframe_start && takes);
        }
        Some(outgoing)
    }

    /// Notes that a stretch of an encoding begins to be shown.
    fn note_beginning(&mut self, now: Instant, encoding: EncodingIndex) {
        self.first_sent.get_or_insert(now);
        let before = self.shown_encoding.replace(encoding);
        self.layer_changes += u32::from(before.is_some_and(|before| before != encoding));
    }

    /// Returns how long it took until the first packet of the track went out; `None` if none has.
    pub fn first_media(&self) -> Option<Duration> {
        Some(self.first_sent?.saturating_duration_since(self.assigned))
    }

    /// The same, once for each track.
    pub fn take_first_media(&mut self) -> Option<Duration> {
        let took = self.first_media().filter(|_| !self.is_first_told)?;
        self.is_first_told = true;
        Some(took)
    }

    /// Returns how much the client loses of the track, in 1/1000, smoothed over its last reports.
    pub fn loss_permille(&self) -> u16 {
        self.smoothed_loss.permille()
    }

    /// Returns whether the client takes audio with copies of earlier packets.
    pub fn takes_copies(&self) -> bool {
        self.codec.is_some_and(|codec| codec.red.is_some())
    }

    /// Decides whether a packet belongs to the layers that go out, where those are not all.
    fn select(
        &mut self,
        stretch: Stretch,
        meta: &PacketMeta<PacketInfo>,
        scalability: Option<&Scalability>,
    ) -> Choice {
        let info = &meta.extra.layers;
        let place = (stretch.encoding, stretch.generation, meta.index);
        let is_newest = self.newest.is_none_or(|(encoding, generation, index)| {
            (encoding, generation) != (place.0, place.1) || index < place.2
        });
        if !is_newest || !self.munger.is_newest(stretch, meta.index) {
            // What is behind it may still wait. Then nothing has changed since, or hardly ever.
            let selection = self.munger.selection_at(stretch, meta.index);
            let selection = selection.unwrap_or(self.selector.selection());
            return Choice { selection, takes: selection.takes(info) };
        }
        self.newest = Some(place);
        let packet = NewestPacket {
            timestamp: meta.timestamp,
            starts_keyframe: meta.keyframe_start,
            frame_number: meta.extra.counters.frame_number,
            info,
        };
        let selection = self.selector.select(&packet, scalability);
        Choice { selection, takes: selection.takes(info) }
    }

    /// Returns which packet one of our sequence numbers stands for: its stretch, and its index there.
    pub fn origin(&self, sequence: u16) -> Option<(Stretch, u64)> {
        self.munger.origin(sequence)
    }

    /// Returns whether the viewer may ask for a key frame now, and counts it. One viewer must not be able to make a publisher
    /// send nothing but key frames, for everybody.
    pub fn may_ask_keyframe(&mut self, now: Instant) -> bool {
        let may = self.keyframe_asks.wait(now).is_zero();
        if may {
            self.keyframe_asks.note(now);
        }
        may
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

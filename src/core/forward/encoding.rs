//! Encoding: one stream of a published track. A simulcast track has a few, of different sizes; any other track has one.
//!
//! An encoding numbers what it receives in an index space of its own, and keeps each packet once for all its viewers.
//! It has a cache only while somebody follows it. While nobody does, it only counts packets and notices key frames.
//!
//! Its packets belong to **stretches**, which are numbered by `generation`. Sequence numbers and timestamps are
//! continuous within a stretch. A new stretch begins where they are not: the sender has changed its SSRC or its codec,
//! or was muted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::backlog::{Backlog, Run, Viewer, Waiting};
use super::bitrate::Bitrate;
use super::descriptor::{Described, Descriptor, FrameCounters};
use super::frame_clock::FrameClock;
use super::keyframes::KeyframeRequests;
use super::munger::Stretch;
use super::parameter_sets::{OfferedSets, ParameterSets};
use super::scalability::Scalability;
use crate::core::command::MediaKind;
use crate::core::event::LayerReason;
use crate::core::ids::Ssrc;
use crate::core::media::cache::{AGE_MAX, CachedPacket, PacketCache, PacketMeta};
use crate::core::media::extensions::KeptExtensions;
use crate::core::media::ingress::MediaPacket;
use crate::core::media::layers::{LayerInfo, Layers};
use crate::core::mutation::mutated;
use crate::core::negotiated::Codec;
use crate::core::stats::StreamCounters;

/// How many packets behind the newest one a packet may come and still be forwarded.
const LATE: u64 = 512;
/// An SSRC that has been silent for longer than this can be replaced by one that was replaced before.
const SILENCE: Duration = Duration::from_millis(1000);
/// The distance between the indices of two SSRCs of one encoding: no stream has as many packets, so each index names
/// one packet only.
const SSRC_GAP: u64 = 1 << 32;
/// How many replaced SSRCs are remembered. An encoder that begins anew uses one at a time. Several that send at once
/// are a simulcast whose encodings nothing tells apart.
const REPLACED_MAX: usize = 8;

/// About what a packet takes beside its payload where it is sent on, in bytes: header, extensions and tag. The bandwidth
/// estimate counts them, too.
const PACKET_OVERHEAD: usize = 32;

/// What is kept of a packet besides its bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct PacketInfo {
    /// The payload's own description of itself.
    pub descriptor: Descriptor,
    /// The counters of the frame that the packet belongs to.
    pub counters: FrameCounters,
    /// The layers of that frame.
    pub layers: LayerInfo,
    /// The stretch of the encoding that it belongs to.
    pub generation: u32,
}

/// The sender report that came last (RFC 3550 §6.4.1): one moment on two clocks.
#[derive(Debug, Clone, Copy)]
pub struct SourceReport {
    /// The sender's wall clock, in NTP format.
    pub ntp: u64,
    /// The encoding's RTP clock.
    pub timestamp: u32,
    /// When the report arrived here.
    pub at: Instant,
    /// The stretch whose RTP clock it is.
    pub generation: u32,
}

/// A time in which nothing of a track came, whichever encoding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pause {
    /// When the last packet before it came.
    pub(super) began: Instant,
    /// When the first packet after it came.
    pub(super) ended: Instant,
}

/// The SSRC by which an encoding comes.
#[derive(Debug, Clone, Copy)]
struct Source {
    ssrc: Ssrc,
    /// What is added to its sequence numbers to make them the encoding's indices.
    base: u64,
    /// When its last packet came.
    last: Instant,
}

/// How the packets of a stream are numbered: without those of padding, so that what is forwarded has no gaps where that is
/// left out, and with room for those that are put in.
#[derive(Debug, Default)]
struct Numbering {
    /// From which packets on numbers are moved, oldest first, by the numbers that they came with; and how far they are moved
    /// from there on, in all.
    moves: VecDeque<(u64, i64)>,
    /// How far those before are moved.
    earlier: i64,
}

impl Numbering {
    /// Returns the number of a packet.
    fn number(&self, index: u64) -> u64 {
        // From the end: hardly any packet is older than the newest move.
        let last = self.moves.iter().rev().find(|(from, _)| *from <= index);
        index.wrapping_add_signed(last.map_or(self.earlier, |(_, moved)| *moved))
    }

    /// Moves the numbers of the packets from `index` on, none of which has its number yet.
    fn shift(&mut self, index: u64, by: i64) {
        let place = self.moves.iter().rposition(|(from, _)| *from <= index).map_or(0, |place| place + 1);
        let before = place.checked_sub(1).and_then(|before| self.moves.get(before));
        self.moves.insert(place, (index, before.map_or(self.earlier, |(_, moved)| *moved)));
        self.moves.range_mut(place..).for_each(|(_, moved)| *moved += by);
        // Of packets so late nothing is forwarded: their numbers do not matter any more.
        while let Some((oldest, moved)) = self.moves.front()
            && oldest + 2 * LATE < index
        {
            self.earlier = *moved;
            self.moves.pop_front();
        }
    }
}

/// Returns up to which layers inside an encoding a viewer gets it, and what keeps them from more: what they wish, what their
/// network carries, or what the machine has time for.
fn choose_layers(rank: usize, scalability: Option<&Scalability>, viewer: &Viewer) -> (Layers, LayerReason) {
    let Some(scalability) = scalability else { return (Layers::ALL, LayerReason::Wanted) };
    let fitting = scalability.fit(viewer.wish, viewer.layers);
    let cap = if mutated!(LayersNotLowered) { Layers::ALL } else { viewer.allowance.layers(rank) };
    let carried = scalability.or_all(fitting.lower(cap));
    let layers = scalability.or_all(carried.lower(viewer.load.layers()));
    let by = match () {
        () if layers != carried => LayerReason::Load,
        () if carried != fitting => LayerReason::Bandwidth,
        () => LayerReason::Wanted,
    };
    (layers, by)
}

/// Chooses up to which layers inside an encoding a viewer gets it.
fn choose_layers_for(rank: usize, scalability: Option<&Scalability>, viewer: &mut Viewer) {
    let (layers, by) = choose_layers(rank, scalability, viewer);
    if layers != viewer.layers {
        // Where nothing keeps them from more any longer, what did is the reason.
        viewer.why = if by == LayerReason::Wanted { viewer.layers_by } else { by };
    }
    (viewer.layers, viewer.layers_by) = (layers, by);
}

/// One stream of a published track.
#[derive(Debug)]
pub struct Encoding {
    /// How much it is preferred among the encodings of its track, 0 most.
    rank: usize,
    source: Option<Source>,
    /// The SSRCs that the source replaced, newest first. While the source sends, their packets are dropped, whether
    /// they come late or from encoders that send side by side.
    replaced: VecDeque<Ssrc>,
    /// How the source's packets are numbered.
    numbering: Numbering,
    /// What came last of H.264's parameter sets.
    parameter_sets: ParameterSets,
    /// What is known of its layers; `None` as long as it has one.
    pub(super) scalability: Option<Box<Scalability>>,
    /// The stretch that packets belong to just now.
    stretch: Stretch,
    /// The stretch that the codec began with. Packets before it cannot be sent any more: viewers take another codec now.
    codec_generation: u32,
    /// The highest index received.
    highest: u64,
    cache: Option<PacketCache<PacketInfo>>,
    /// When a packet was last put into the cache.
    kept_at: Option<Instant>,
    /// The timestamp of the key frame that was put into the cache last.
    keyframe_timestamp: Option<u32>,
    report: Option<SourceReport>,
    /// How often its frames come.
    frames: FrameClock,
    /// How much comes.
    pub bitrate: Bitrate,
    /// Requests for key frames of this encoding, towards the publisher.
    pub keyframes: KeyframeRequests,
    /// Counts of what was received.
    pub counters: StreamCounters,
    /// The packets that its viewers have still to get.
    pub(super) backlog: Backlog,
    /// Whether viewers of another encoding wait for this one's next key frame to switch to it. It can stay set after
    /// they have gone.
    pub(super) awaited: bool,
}

impl Encoding {
    /// An encoding of which nothing has come; `stretch` is its first one.
    pub(super) fn new(rank: usize, stretch: Stretch) -> Self {
        Self {
            rank,
            source: None,
            replaced: VecDeque::new(),
            numbering: Numbering::default(),
            parameter_sets: ParameterSets::default(),
            scalability: None,
            stretch,
            codec_generation: stretch.generation,
            highest: 0,
            cache: None,
            kept_at: None,
            keyframe_timestamp: None,
            report: None,
            frames: FrameClock::default(),
            bitrate: Bitrate::default(),
            keyframes: KeyframeRequests::default(),
            counters: StreamCounters::default(),
            backlog: Backlog::default(),
            awaited: false,
        }
    }

    /// How much it is preferred among the encodings of its track, 0 most.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The SSRC by which it comes just now; `None` before its first packet.
    pub fn ssrc(&self) -> Option<Ssrc> {
        self.source.map(|source| source.ssrc)
    }

    /// The stretch that packets belong to just now.
    pub fn stretch(&self) -> Stretch {
        self.stretch
    }

    /// Whether anybody is served from it, or waits to be.
    pub fn is_followed(&self) -> bool {
        self.awaited || !self.backlog.viewers().is_empty()
    }

    /// Whether it has been silent for long enough that it has probably stopped. An encoding that has never sent is
    /// silent, too.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.source.is_none_or(|source| now.saturating_duration_since(source.last) > SILENCE)
    }

    /// Notes that a packet came in time, not as a retransmission: those repair the past and do not show that it comes.
    pub(super) fn note_frame(&mut self, now: Instant, timestamp: u32) {
        self.frames.on_packet(now, timestamp);
    }

    /// Whether its packets come. `pause` is the last time in which nothing of the track came: it does not count.
    pub(super) fn is_live(&self, now: Instant, pause: Option<Pause>) -> bool {
        let Some(last) = self.frames.last() else { return false };
        let silence = match pause {
            Some(pause) if last < pause.ended => {
                now.saturating_duration_since(pause.ended) + pause.began.saturating_duration_since(last)
            }
            _ => now.saturating_duration_since(last),
        };
        silence <= self.frames.patience() || mutated!(LayerNotLive)
    }

    /// Returns for how long it may be silent without having stopped.
    pub(super) fn patience(&self) -> Duration {
        self.frames.patience()
    }

    /// Changes the rank of an encoding that has not sent yet.
    pub(super) fn set_rank(&mut self, rank: usize) {
        debug_assert!(self.source.is_none(), "what has sent has its rank");
        self.rank = rank;
    }

    /// Begins a new stretch, because the packets that follow do not continue those before.
    pub(super) fn begin_stretch(&mut self) {
        self.stretch.generation += 1;
    }

    /// Notes that packets are of another codec from now on.
    pub(super) fn begin_codec(&mut self, had_codec: bool) {
        if had_codec && self.highest > 0 {
            self.begin_stretch();
        }
        self.codec_generation = self.stretch.generation;
        self.scalability = None;
    }

    /// Returns the index of a packet; `None` if another SSRC has replaced the packet's. A new SSRC replaces the present
    /// one and begins a new stretch.
    pub(super) fn place(&mut self, now: Instant, packet: &MediaPacket<'_>) -> Option<u64> {
        match &mut self.source {
            Some(source) if source.ssrc == packet.ssrc => {
                source.last = now;
                return Some(self.numbering.number(source.base + packet.index));
            }
            Some(Source { ssrc, .. }) => {
                let (ssrc, was_replaced) = (*ssrc, self.replaced.contains(&packet.ssrc));
                // A retransmission repairs the past: it does not show that its SSRC sends again.
                if packet.recovered || (was_replaced && !self.is_silent(now)) {
                    return None;
                }
                self.begin_stretch();
                self.replaced.retain(|other| *other != packet.ssrc);
                self.replaced.push_front(ssrc);
                self.replaced.truncate(REPLACED_MAX);
            }
            None => {}
        }
        // Above all earlier indices, with room below it for packets that come late.
        let base = (self.highest / SSRC_GAP + 1) * SSRC_GAP;
        self.source = Some(Source { ssrc: packet.ssrc, base, last: now });
        self.scalability = None;
        self.numbering = Numbering::default();
        self.parameter_sets = ParameterSets::default();
        Some(base + packet.index)
    }

    /// Returns how many packets in a row are missing before one that has just come; 0 if it is not the newest, or if nobody
    /// would be given them.
    pub(super) fn missing_before(&self, packet: &MediaPacket<'_>) -> u64 {
        let source = self.source.filter(|source| source.ssrc == packet.ssrc && self.is_followed());
        let number = source.map(|source| self.numbering.number(source.base + packet.index));
        let missing = number.and_then(|number| number.checked_sub(self.highest + 1));
        // After a leap nothing in front of it would be played.
        missing.filter(|missing| *missing < LATE && self.cached(self.highest).is_some()).unwrap_or(0)
    }

    /// Returns the timestamp of the newest packet that is kept.
    pub(super) fn newest_timestamp(&self) -> Option<u32> {
        self.cached(self.highest).map(|packet| packet.meta.timestamp)
    }

    /// Leaves out a packet that is all padding, such as a bandwidth probe; the packets behind it close the gap. Returns
    /// `false` if a packet behind it has its number already. The padding must be forwarded then, or receivers would
    /// miss its number.
    pub(super) fn leave_out(&mut self, packet: &MediaPacket<'_>) -> bool {
        let Some(source) = self.source.filter(|source| source.ssrc == packet.ssrc) else { return true };
        let index = source.base + packet.index;
        let is_newest = self.numbering.number(index) > self.highest;
        if is_newest {
            self.numbering.shift(index, -1);
        }
        is_newest
    }

    /// Remembers the parameter sets in a packet of H.264.
    pub(super) fn note_sets(&mut self, packet: &MediaPacket<'_>) {
        self.parameter_sets.note(packet);
    }

    /// Finds out which layers a packet belongs to, and counts it for them. Returns whether something else is known of them.
    pub(super) fn note_layers(
        &mut self,
        now: Instant,
        packet: &MediaPacket<'_>,
        described: &mut Described,
    ) -> bool {
        if let Some(bytes) = KeptExtensions(packet.extensions.as_bytes()).dependency_descriptor() {
            let scalability = self.scalability.get_or_insert_default();
            described.layers = scalability.read_descriptor(bytes).unwrap_or_default();
        }
        if let Descriptor::Vp9(vp9) = &described.descriptor
            && let Some((sizes, count @ 2..)) = vp9.resolutions(packet.payload)
        {
            let scalability = self.scalability.get_or_insert_default();
            scalability.set_sizes(sizes.get(..count).unwrap_or_default());
        }
        let layers = described.layers.layers;
        if !described.layers.is_layered || (self.scalability.is_none() && layers == Layers::BASE) {
            return false;
        }
        let scalability = self.scalability.get_or_insert_default();
        if let Some(alone) = described.layers.stands_alone {
            scalability.note_standing(alone);
        }
        // What comes again may have come before, to find out how much the way carries.
        if !packet.recovered {
            scalability.note(now, packet.timestamp, layers, packet.payload.len());
        }
        scalability.take_news()
    }

    /// Returns whether other layers come than when this was asked last.
    pub(super) fn has_other_layers(&mut self) -> bool {
        self.scalability.as_mut().is_some_and(|scalability| scalability.take_new_top())
    }

    /// What is known of its layers; `None` if it has one.
    pub fn scalability(&self) -> Option<&Scalability> {
        self.scalability.as_deref()
    }

    /// Chooses up to which layers its viewers get it.
    pub(super) fn choose_layers(&mut self) {
        let (rank, scalability) = (self.rank, self.scalability.as_deref());
        self.backlog.viewers_mut().iter_mut().for_each(|viewer| choose_layers_for(rank, scalability, viewer));
    }

    /// Changes a viewer, and chooses up to which layers they get it then. Returns what `change` does: whether anything is
    /// different; `None` if they are not among its viewers.
    pub(super) fn change_viewer(
        &mut self,
        is_them: impl Fn(&Viewer) -> bool,
        change: impl FnOnce(&mut Viewer) -> bool,
    ) -> Option<bool> {
        let viewer = self.backlog.viewers_mut().iter_mut().find(|viewer| is_them(viewer))?;
        let has_changed = change(viewer);
        if has_changed {
            choose_layers_for(self.rank, self.scalability.as_deref(), viewer);
        }
        Some(has_changed)
    }

    /// Lets somebody who comes from another encoding get what follows from a position on.
    pub(super) fn join(&mut self, viewer: Viewer, position: u64) {
        let mut viewer = viewer;
        (viewer.layers, viewer.layers_by) = choose_layers(self.rank, self.scalability.as_deref(), &viewer);
        self.backlog.join(viewer, position);
    }

    /// The same from what comes next on.
    pub(super) fn join_at_end(&mut self, viewer: Viewer) {
        self.join(viewer, self.backlog.end());
    }

    /// Returns the parameter sets that belong before a packet of H.264 and have not come with it. Nothing can be put before a
    /// packet that is not the newest: what follows has its number.
    pub(super) fn missing_sets(
        &self,
        index: u64,
        packet: &MediaPacket<'_>,
        offered: &OfferedSets,
    ) -> Vec<Box<[u8]>> {
        if index <= self.highest {
            return Vec::new();
        }
        let follows = index == self.highest + 1;
        self.parameter_sets.before(offered, packet, follows).map(Into::into).collect()
    }

    /// Makes room for that number of packets before one that is the newest. Returns the new index of that one.
    pub(super) fn make_room(&mut self, packet: &MediaPacket<'_>, count: usize) -> Option<u64> {
        let index = self.source?.base + packet.index;
        self.numbering.shift(index, count as i64);
        Some(self.numbering.number(index))
    }

    /// Returns whether a packet of that index came before, or comes too late to be of use.
    pub(super) fn is_useless(&self, index: u64) -> bool {
        let came_before = index <= self.highest && self.cached(index).is_some();
        index + LATE < self.highest || (came_before && !mutated!(DuplicateForwarded))
    }

    /// Counts a packet. If it is kept at all, it must have been kept before.
    pub(super) fn meter(
        &mut self,
        now: Instant,
        index: u64,
        packet: &MediaPacket<'_>,
        described: &Described,
    ) {
        self.keyframes.on_packet(now, described.starts_keyframe);
        self.counters.packets += 1;
        self.counters.bytes += packet.payload.len() as u64;
        if packet.codec.codec != Codec::Opus {
            self.counters.frames += u64::from(packet.marker);
            self.counters.keyframes += u64::from(described.starts_keyframe);
        }
        // What comes again may have come before: browsers find out by it how much the way carries.
        if !packet.recovered {
            self.bitrate.note(now, packet.payload.len() + PACKET_OVERHEAD);
        }
        self.highest = self.highest.max(index);
        // A viewer who has just left may still ask for retransmissions, so the cache stays until its packets are too
        // old.
        let is_over = |at: Instant| now.saturating_duration_since(at) > AGE_MAX;
        let is_idle = !self.is_followed() && self.backlog.is_empty();
        if is_idle && self.kept_at.is_some_and(is_over) {
            (self.cache, self.kept_at) = (None, None);
        }
    }

    /// Keeps a packet and queues it for the viewers. Returns its position in the backlog; `None` if it was kept before
    /// or is too old for the cache.
    pub(super) fn keep(
        &mut self,
        now: Instant,
        index: u64,
        packet: &MediaPacket<'_>,
        described: &Described,
        kind: MediaKind,
    ) -> Option<u64> {
        let meta = PacketMeta {
            index,
            timestamp: packet.timestamp,
            marker: packet.marker,
            keyframe_start: described.starts_keyframe,
            arrival: now,
            extra: PacketInfo {
                descriptor: described.descriptor,
                counters: described.counters,
                layers: described.layers,
                generation: self.stretch.generation,
            },
        };
        let newest = self.highest;
        let cache = self.cache.get_or_insert_with(|| {
            let mut cache = match kind {
                MediaKind::Audio => PacketCache::audio(),
                MediaKind::Video => PacketCache::video(),
            };
            // Earlier packets may have been forwarded from a former cache and must not be forwarded again.
            cache.refuse_up_to(newest);
            cache
        });
        let extensions = packet.extensions.as_bytes();
        let kept = cache.insert(meta, extensions, packet.payload);
        if !kept && !mutated!(DuplicateForwarded) {
            return None;
        }
        self.kept_at = Some(now);
        if described.starts_keyframe {
            self.keyframe_timestamp = Some(packet.timestamp);
        }
        Some(self.backlog.push(Waiting { index, bytes: extensions.len() + packet.payload.len() }))
    }

    /// Whether packets of that timestamp belong to the newest key frame.
    pub fn is_newest_keyframe(&self, timestamp: u32) -> bool {
        self.keyframe_timestamp == Some(timestamp)
    }

    /// Whether the packets that wait must be forwarded now, because more packets might push them out of the cache.
    pub(super) fn is_brimful(&self) -> bool {
        let (packets, bytes) = (self.backlog.packets().len(), self.backlog.bytes());
        self.cache.as_ref().is_some_and(|cache| cache.is_half_of_it(packets, bytes))
    }

    /// Returns when the oldest packet that is to be forwarded arrived.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let first = self.backlog.packets().first()?;
        self.cached(first.index).map(|packet| packet.meta.arrival)
    }

    /// Gives nobody what has waited for longer than [`AGE_MAX`], because the machine had no time: nobody plays that any more,
    /// and it would keep back what is still worth something.
    pub(super) fn skip_old(&mut self, now: Instant) {
        let waiting = self.backlog.packets();
        // That one packet waits, which came just now, is the usual case, and told cheaply.
        if self.kept_at == Some(now) && waiting.len() <= 1 {
            return;
        }
        let is_fresh = |packet: &Waiting| self.fresh_packet(now, packet.index).is_some();
        let old = waiting.iter().position(is_fresh).unwrap_or(waiting.len());
        if old > 0 {
            self.backlog.skip(old);
        }
    }

    /// Returns the packets that wait, in the order of forwarding. [`Run::packets`] says
    /// which of them wait for a viewer.
    pub fn waiting(&self) -> &[Waiting] {
        self.backlog.packets()
    }

    /// Returns what is to be given to the viewers in the pass under way, in turn.
    pub fn turns(&self) -> impl Iterator<Item = Run> {
        self.backlog.turns()
    }

    /// Returns a packet of the present codec that is still kept.
    pub fn packet(&self, index: u64) -> Option<CachedPacket<'_, PacketInfo>> {
        self.cached(index).filter(|packet| packet.meta.extra.generation >= self.codec_generation)
    }

    /// Returns a packet of the present codec that is still kept and worth sending again.
    pub fn fresh_packet(&self, now: Instant, index: u64) -> Option<CachedPacket<'_, PacketInfo>> {
        let packet = self.cache.as_ref()?.get_fresh(now, index)?;
        (packet.meta.extra.generation >= self.codec_generation).then_some(packet)
    }

    /// Whether the encoding has a cache.
    #[cfg(test)]
    pub(super) fn has_cache(&self) -> bool {
        self.cache.is_some()
    }

    fn cached(&self, index: u64) -> Option<CachedPacket<'_, PacketInfo>> {
        self.cache.as_ref()?.get(index)
    }

    /// Notes a sender report of the SSRC by which the encoding comes.
    pub(super) fn on_sender_report(&mut self, now: Instant, ntp: u64, timestamp: u32) {
        self.report = Some(SourceReport { ntp, timestamp, at: now, generation: self.stretch.generation });
    }

    /// Returns the last sender report of the present stretch.
    pub fn report(&self) -> Option<SourceReport> {
        self.report.filter(|report| report.generation == self.stretch.generation)
    }

    /// Panics if what must always be true is not: called after each input in debug builds.
    #[cfg(debug_assertions)]
    pub fn check(&self) {
        self.backlog.check();
        assert!(
            self.codec_generation <= self.stretch.generation,
            "a codec begins with a stretch that has begun"
        );
        assert!(self.backlog.is_empty() || self.cache.is_some(), "what waits is kept");
        assert!(self.source.is_some() || self.backlog.is_empty(), "what waits has come");
    }
}

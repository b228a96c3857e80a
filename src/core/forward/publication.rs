//! Publication: one published track: what comes in, kept once for all who watch, and who they are.

use std::time::{Duration, Instant};

use super::descriptor::{Descriptor, describe};
use super::keyframes::KeyframeRequests;
use super::munger::{Incoming, Stretch};
use crate::core::command::{Kind, Source};
use crate::core::event::TrackInfo;
use crate::core::ids::{Mid, ParticipantId, ParticipantKey, PublicationKey, Ssrc, TrackId, TransportKey};
use crate::core::media::cache::{CachedPacket, PacketCache, PacketMeta};
use crate::core::media::ingress::Arrival;
use crate::core::mutation::mutated;
use crate::core::negotiated::{Codec, CodecParams};
use crate::core::stats::StreamCounters;

/// How far behind the newest a packet may be and still be forwarded.
const LATE: u64 = 512;
/// An encoding that has been silent this long gives way to another one that sends.
const ENCODING_SILENCE_MS: u128 = 1000;
/// A codec stays this long at least: a change costs every viewer a key frame, and some of them messages.
const CODEC_STAYS: Duration = Duration::from_secs(1);
/// What separates the indices of two stretches of a track.
const STRETCH_GAP: u64 = 1 << 32;

/// What is kept beside a cached payload.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kept {
    /// The payload's own description.
    pub descriptor: Descriptor,
    /// Counters of the frame.
    pub counters: super::descriptor::FrameCounters,
    /// Which stretch of the track it belongs to.
    pub generation: u64,
    /// The payload is in RFC 2198's redundant form.
    pub redundant: bool,
}

/// Where a participant shows the track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// Who.
    pub participant: ParticipantKey,
    /// In which of their slots.
    pub slot: usize,
}

/// The sender report that came last (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy)]
pub struct SourceReport {
    /// The sender's clock, NTP format.
    pub ntp: u64,
    /// The same moment on the track's RTP clock.
    pub timestamp: u32,
    /// When it came.
    pub at: Instant,
    /// Of which stretch.
    pub generation: u64,
}

/// The encoding that is forwarded.
#[derive(Debug, Clone, Copy)]
struct Active {
    ssrc: Ssrc,
    rank: usize,
    base: u64,
    last: Instant,
    /// What it took the place of. Packets of that which come late do not take it back.
    before: Option<Ssrc>,
}

/// One published track.
#[derive(Debug)]
pub struct Publication {
    /// Its id.
    pub track: TrackId,
    /// Its place in the room.
    pub key: PublicationKey,
    /// Whose it is.
    pub owner: ParticipantKey,
    /// Their public id.
    pub owner_id: ParticipantId,
    /// The transport that it comes in on.
    pub transport: TransportKey,
    /// The section it comes by.
    pub mid: Mid,
    /// What it shows.
    pub source: Source,
    /// Whether its owner has muted it.
    pub muted: bool,
    /// Its codec: what the answer lets expect, then what comes.
    pub codec: Option<CodecParams>,
    codec_changed: Option<Instant>,
    /// Requests for key frames, towards the owner.
    pub keyframes: KeyframeRequests,
    /// Who shows it where.
    pub viewers: Vec<Viewer>,
    /// Packets of this batch, by index and in its order, not yet forwarded.
    pub pending: Vec<u64>,
    pending_bytes: usize,
    /// Packets that are being forwarded, in their order: some of the viewers have them.
    leaving: Vec<u64>,
    leaving_bytes: usize,
    /// How many of the viewers.
    served: usize,
    /// The last sender report.
    pub report: Option<SourceReport>,
    /// What came in.
    pub counters: StreamCounters,
    /// As far as the totals know.
    pub noted: StreamCounters,
    cache: PacketCache<Kept>,
    generation: u64,
    /// The stretch that the codec began with. Packets before it cannot be sent any more: viewers take another codec now.
    codec_generation: u64,
    highest: u64,
    active: Option<Active>,
}

/// What became of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// Kept, and to be forwarded.
    Pending {
        /// Whether it is the first of its batch.
        first: bool,
        /// Whether the codec is another one than before.
        codec_changed: bool,
    },
    /// Not to be forwarded.
    Dropped,
}

impl Publication {
    /// A track that has not sent anything.
    #[expect(clippy::too_many_arguments, reason = "each is a different type; they are the track's identity")]
    pub fn new(
        track: TrackId,
        key: PublicationKey,
        owner: ParticipantKey,
        owner_id: ParticipantId,
        transport: TransportKey,
        mid: Mid,
        source: Source,
        muted: bool,
        codec: Option<CodecParams>,
    ) -> Self {
        let cache = match source.kind() {
            Kind::Audio => PacketCache::audio(),
            Kind::Video => PacketCache::video(),
        };
        Self {
            track,
            key,
            owner,
            owner_id,
            transport,
            mid,
            source,
            muted,
            codec,
            codec_changed: None,
            keyframes: KeyframeRequests::default(),
            viewers: Vec::new(),
            pending: Vec::new(),
            pending_bytes: 0,
            leaving: Vec::new(),
            leaving_bytes: 0,
            served: 0,
            report: None,
            counters: StreamCounters::default(),
            noted: StreamCounters::default(),
            cache,
            generation: 0,
            codec_generation: 0,
            highest: 0,
            active: None,
        }
    }

    /// As others see it.
    pub fn info(&self) -> TrackInfo {
        TrackInfo { track: self.track, participant: self.owner_id, source: self.source, muted: self.muted }
    }

    /// Audio or video.
    pub fn kind(&self) -> Kind {
        self.source.kind()
    }

    /// The codec, if known.
    pub fn codec(&self) -> Option<Codec> {
        self.codec.map(|params| params.codec)
    }

    /// The encoding that is forwarded, to ask it for key frames.
    pub fn ssrc(&self) -> Option<Ssrc> {
        self.active.map(|active| active.ssrc)
    }

    /// The stretch that packets belong to just now.
    pub fn stretch(&self) -> Stretch {
        Stretch { track: self.track, publication: self.key, generation: self.generation }
    }

    /// The owner mutes or unmutes.
    pub fn set_muted(&mut self, muted: bool) {
        if self.muted && !muted {
            self.generation += 1;
            self.keyframes.want();
        }
        if muted {
            self.clear_pending();
        }
        self.muted = muted;
    }

    /// A sender report of the encoding `ssrc` came.
    pub fn on_sender_report(&mut self, now: Instant, ssrc: Ssrc, ntp: u64, timestamp: u32) {
        if self.ssrc() == Some(ssrc) {
            self.report = Some(SourceReport { ntp, timestamp, at: now, generation: self.generation });
        }
    }

    /// A packet came; walk: called by `Room::handle_rtp`.
    pub fn arrive(&mut self, now: Instant, arrival: &Arrival<'_>) -> Arrived {
        if self.muted && !mutated!(MuteIgnored) {
            self.counters.dropped += 1;
            return Arrived::Dropped;
        }
        let Some(base) = self.follow(now, arrival) else { return Arrived::Dropped };
        let index = base + arrival.index;
        let came_before = index <= self.highest && self.cache.get(index).is_some();
        if index + LATE < self.highest || (came_before && !mutated!(DuplicateForwarded)) {
            self.counters.dropped += 1;
            return Arrived::Dropped;
        }
        let codec_changed = self.codec() != Some(arrival.codec.codec);
        if codec_changed {
            let stays = |at: Instant| now.saturating_duration_since(at) < CODEC_STAYS;
            if self.codec_changed.is_some_and(stays) {
                self.counters.dropped += 1;
                return Arrived::Dropped;
            }
            self.codec_changed = Some(now);
            if self.codec.is_some() && self.highest > 0 {
                self.generation += 1;
            }
            self.codec_generation = self.generation;
            self.codec = Some(arrival.codec);
        }
        let described = describe(arrival.codec.codec, arrival.payload, &arrival.extensions);
        self.keyframes.on_packet(now, described.starts_keyframe);
        self.counters.packets += 1;
        self.counters.bytes += arrival.payload.len() as u64;
        let meta = PacketMeta {
            index,
            timestamp: arrival.timestamp,
            marker: arrival.marker,
            keyframe_start: described.starts_keyframe,
            arrival: now,
            extra: Kept {
                descriptor: described.descriptor,
                counters: described.counters,
                generation: self.generation,
                redundant: arrival.redundant,
            },
        };
        self.highest = self.highest.max(index);
        let kept = self.cache.insert(meta, arrival.extensions.as_bytes(), arrival.payload);
        if !kept && !mutated!(DuplicateForwarded) {
            return Arrived::Dropped;
        }
        let first = !self.has_pending();
        // In the stream's order, whatever order the batch was read in: what follows a key frame that came late can then be
        // shown with it, and the network's reordering ends here as far as that costs no time.
        let place = self.pending.iter().rposition(|other| *other < index).map_or(0, |before| before + 1);
        self.pending.insert(place, index);
        self.pending_bytes += arrival.extensions.as_bytes().len() + arrival.payload.len();
        Arrived::Pending { first, codec_changed }
    }

    /// Whether what is pending must be forwarded before more comes, which might push it out of the cache.
    pub fn is_brimful(&self) -> bool {
        let packets = self.pending.len() + self.leaving.len();
        self.cache.is_half_of_it(packets, self.pending_bytes + self.leaving_bytes)
    }

    /// Whether anything is to be forwarded.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty() || !self.leaving.is_empty()
    }

    /// What was pending is not to be forwarded any more.
    pub fn clear_pending(&mut self) {
        self.pending.clear();
        self.pending_bytes = 0;
        self.end_pass();
    }

    fn end_pass(&mut self) {
        self.leaving.clear();
        self.leaving_bytes = 0;
        self.served = 0;
    }

    /// When the first of what is to be forwarded came.
    pub fn waits_since(&self) -> Option<Instant> {
        let first = self.leaving.first().or(self.pending.first())?;
        self.cache.get(*first).map(|packet| packet.meta.arrival)
    }

    /// The packets that are being forwarded, in their order.
    pub fn leaving(&self) -> &[u64] {
        &self.leaving
    }

    /// Who is to get [`leaving`](Self::leaving) next. When all viewers have them, those that came meanwhile follow.
    pub fn next_viewer(&mut self) -> Option<Viewer> {
        loop {
            if self.leaving.is_empty() {
                if self.pending.is_empty() {
                    return None;
                }
                std::mem::swap(&mut self.leaving, &mut self.pending);
                self.leaving_bytes = std::mem::take(&mut self.pending_bytes);
            }
            match self.viewers.get(self.served) {
                Some(viewer) => return Some(*viewer),
                None => self.end_pass(),
            }
        }
    }

    /// The [`next_viewer`](Self::next_viewer) has got them.
    pub fn viewer_served(&mut self) {
        self.served += 1;
        if self.served >= self.viewers.len() {
            self.end_pass();
        }
    }

    /// Some do not show the track any more.
    pub fn remove_viewers(&mut self, is_gone: impl Fn(&Viewer) -> bool) {
        let served = self.viewers.iter().take(self.served);
        self.served -= served.filter(|viewer| is_gone(viewer)).count();
        self.viewers.retain(|viewer| !is_gone(viewer));
    }

    /// Follows one encoding of a simulcast: the middle one, or while that is silent another. Gives the base that makes
    /// its indices the track's.
    fn follow(&mut self, now: Instant, arrival: &Arrival<'_>) -> Option<u64> {
        match &mut self.active {
            Some(active) if active.ssrc == arrival.ssrc => {
                active.last = now;
                Some(active.base)
            }
            Some(active) => {
                let silent = now.saturating_duration_since(active.last).as_millis() > ENCODING_SILENCE_MS;
                let better = arrival.rank <= active.rank && active.before != Some(arrival.ssrc);
                // A retransmission repairs what was; it does not tell what is sent now.
                if (better || silent) && !arrival.recovered {
                    Some(self.change_encoding(now, arrival))
                } else {
                    None
                }
            }
            None => Some(self.change_encoding(now, arrival)),
        }
    }

    fn change_encoding(&mut self, now: Instant, arrival: &Arrival<'_>) -> u64 {
        // Indices of a new stretch are above all earlier ones, with room below for packets that come late.
        let base =
            if self.active.is_none() { STRETCH_GAP } else { (self.highest / STRETCH_GAP + 1) * STRETCH_GAP };
        if self.active.is_some() {
            self.generation += 1;
            self.keyframes.want();
        }
        // A better encoding that comes back is welcome; of two that are as good the newer one counts.
        let before = self.active.filter(|active| active.rank == arrival.rank).map(|active| active.ssrc);
        self.active = Some(Active { ssrc: arrival.ssrc, rank: arrival.rank, base, last: now, before });
        base
    }

    /// A packet of the present codec that is still kept.
    pub fn packet(&self, index: u64) -> Option<CachedPacket<'_, Kept>> {
        self.cache.get(index).filter(|packet| packet.meta.extra.generation >= self.codec_generation)
    }

    /// A packet of the present codec that is still kept and worth sending again.
    pub fn fresh_packet(&self, now: Instant, index: u64) -> Option<CachedPacket<'_, Kept>> {
        let packet = self.cache.get_fresh(now, index)?;
        (packet.meta.extra.generation >= self.codec_generation).then_some(packet)
    }
}

/// What the munger looks at.
pub fn incoming(meta: &PacketMeta<Kept>) -> Incoming {
    Incoming {
        index: meta.index,
        timestamp: meta.timestamp,
        starts_keyframe: meta.keyframe_start,
        counters: meta.extra.counters,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::PayloadType;
    use crate::core::media::extensions::PassedExtensions;

    const VP8: Codec = Codec::Vp8;
    const AV1: Codec = Codec::Av1 { profile: 0 };

    fn publication() -> Publication {
        let (key, mid) = (PublicationKey(0), Mid::from("0"));
        Publication::new(
            TrackId(1),
            key,
            ParticipantKey(0),
            ParticipantId(1),
            TransportKey(0),
            mid,
            Source::Camera,
            false,
            None,
        )
    }

    /// A packet of that stream comes. Whether the codec changed, if the packet counts.
    fn arrive(
        publication: &mut Publication,
        now: Instant,
        ssrc: u32,
        index: u64,
        codec: Codec,
    ) -> Option<bool> {
        let codec = CodecParams { codec, pt: PayloadType(96), rtx: None, red: None, nack: true };
        let arrival = Arrival {
            ssrc: Ssrc(ssrc),
            publication: publication.key,
            rank: 0,
            index,
            timestamp: 0,
            marker: true,
            codec,
            redundant: false,
            recovered: false,
            extensions: PassedExtensions::default(),
            payload: &[0x10, 0, 7],
        };
        match publication.arrive(now, &arrival) {
            Arrived::Pending { codec_changed, .. } => Some(codec_changed),
            Arrived::Dropped => None,
        }
    }

    #[test]
    fn a_codec_that_changes_with_every_packet_bothers_nobody() {
        let now = Instant::now();
        let mut publication = publication();
        assert_eq!(arrive(&mut publication, now, 1, 1, VP8), Some(true));
        for index in 2..100 {
            assert_eq!(arrive(&mut publication, now, 1, index, AV1), None);
        }
        assert_eq!(arrive(&mut publication, now + CODEC_STAYS, 1, 100, AV1), Some(true));
    }

    #[test]
    fn packets_of_the_codec_before_are_not_sent_again_under_the_number_of_the_new_one() {
        let now = Instant::now();
        let mut publication = publication();
        assert!(arrive(&mut publication, now, 1, 1, VP8).is_some());
        let before = publication.highest;
        let later = now + CODEC_STAYS / 2;
        assert!(arrive(&mut publication, later, 1, 2, VP8).is_some());
        assert!(publication.packet(before).is_some() && publication.fresh_packet(later, before).is_some());
        let changed = now + CODEC_STAYS;
        assert_eq!(arrive(&mut publication, changed, 1, 3, AV1), Some(true));
        for index in [before, before + 1] {
            assert!(publication.packet(index).is_none(), "viewers take another codec now");
            assert!(publication.fresh_packet(changed, index).is_none());
        }
        assert!(publication.packet(publication.highest).is_some());
    }

    #[test]
    fn what_comes_out_of_order_in_one_batch_is_forwarded_in_order() {
        let now = Instant::now();
        let mut publication = publication();
        for index in [3, 1, 4, 2] {
            assert!(arrive(&mut publication, now, 1, index, VP8).is_some());
        }
        let pending: Vec<u64> = publication.pending.iter().map(|index| index % STRETCH_GAP).collect();
        assert_eq!(pending, [1, 2, 3, 4]);
    }

    #[test]
    fn a_batch_is_forwarded_before_it_pushes_itself_out_of_the_cache() {
        let now = Instant::now();
        let mut publication = publication();
        for index in 1..5000 {
            assert!(arrive(&mut publication, now, 1, index, VP8).is_some());
            let pending = publication.pending.clone();
            assert!(pending.iter().all(|index| publication.packet(*index).is_some()), "{index}");
            if publication.is_brimful() {
                publication.clear_pending();
            }
        }
    }

    #[test]
    fn late_packets_of_the_stream_before_do_not_take_a_new_stream_back() {
        let now = Instant::now();
        let mut publication = publication();
        assert!(arrive(&mut publication, now, 1, 10, VP8).is_some());
        assert!(arrive(&mut publication, now, 2, 500, VP8).is_some());
        let stretch = publication.stretch();
        assert_eq!(arrive(&mut publication, now, 1, 9, VP8), None);
        assert!(arrive(&mut publication, now, 2, 501, VP8).is_some());
        assert_eq!(publication.stretch(), stretch);
        let later = now + Duration::from_secs(2);
        assert!(
            arrive(&mut publication, later, 1, 11, VP8).is_some(),
            "unless the new one has fallen silent"
        );
    }
}

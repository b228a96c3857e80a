//! Publication: one published track: its encodings, whoever watches it, and which encoding each viewer is shown.
//!
//! Of a simulcast, **the preferred encoding is chosen for everybody**, or while that is silent another one that sends. A
//! viewer may also have a choice of their own. Whoever is to be shown another encoding than until now goes on with the old
//! one until a key frame of the new one comes, so that their picture neither stops nor breaks.

mod costs;
mod keyframes;
pub mod layers;
mod redundant;
mod viewers;

use std::time::{Duration, Instant};

use super::audio_rate::AudioRate;
use super::descriptor::{Described, describe};
use super::encoding::{Encoding, Pause, SourceReport};
use super::ladder::Ladder;
use super::munger::Stretch;
use super::parameter_sets::OfferedSets;
use crate::core::command::{MediaKind, Source, TrackLabel};
use crate::core::event::TrackInfo;
use crate::core::ids::{
    EncodingIndex, Mid, ParticipantId, ParticipantKey, PublicationKey, Ssrc, TrackId, TransportKey,
};
use crate::core::media::extensions::PassedExtensions;
use crate::core::media::ingress::MediaPacket;
use crate::core::mutation::mutated;
use crate::core::negotiated::{Codec, CodecParams};
use crate::core::rates::{Meter, SmoothedLoss};
use crate::core::speech::Speech;
use crate::core::stats::StreamCounters;
use crate::limits::ENCODINGS_MAX;

/// A codec stays this long at least: a change costs every viewer a key frame, and some of them messages.
const CODEC_STAYS: Duration = Duration::from_secs(1);

/// One published track, with all that comes of it and all who watch it.
#[derive(Debug)]
pub struct Publication {
    /// The track's public id.
    pub track: TrackId,
    /// The publication's place in the room.
    pub key: PublicationKey,
    /// The participant who publishes it.
    pub owner: ParticipantKey,
    /// The public id of its owner.
    pub owner_id: ParticipantId,
    /// The transport that it comes in on.
    pub transport: TransportKey,
    /// The section that it comes by.
    pub mid: Mid,
    /// What the track shows.
    pub source: Source,
    /// Whether its owner has muted it. Nothing of a muted track is forwarded, whatever arrives.
    pub muted: bool,
    /// What its owner's front end says of it to others of its kind.
    pub label: Option<Box<TrackLabel>>,
    /// Its codec: at first the one that the answer lets expect, then the one that comes.
    pub codec: Option<CodecParams>,
    codec_changed: Option<Instant>,
    /// Parameter sets of H.264 that the offer gave.
    pub offered_sets: OfferedSets,
    /// What its levels tell of who speaks into it; `None` for all but microphones, and for those that tell no levels.
    pub speech: Option<Speech>,
    /// At which rate its audio is to be sent; of no meaning for video.
    pub audio_rate: AudioRate,
    /// How much comes.
    pub meter: Meter,
    /// How much is lost on the way from its publisher.
    pub loss: SmoothedLoss,
    /// How often so much of its audio was missing in a row that people hear it, as last added to the room's totals.
    pub dropouts_reported: u64,
    /// Its counters as last added to the room's totals.
    pub reported: StreamCounters,
    /// In the order in which they began to send. There is always one, so that viewers have a place before anything comes.
    encodings: Vec<Encoding>,
    /// The encoding that is shown to everybody who has no choice of their own.
    chosen: EncodingIndex,
    /// The encoding whose viewers are being served.
    serving: usize,
    /// The encodings as the offer names them, if it is a simulcast.
    pub ladder: Ladder,
    /// The last time in which nothing came.
    pause: Option<Pause>,
    last_packet: Option<Instant>,
    /// When it is looked again what each viewer is to be shown.
    review_at: Option<Instant>,
    was_live: [bool; ENCODINGS_MAX],
    /// Whether the room has to look what viewers and the publisher are to be told.
    pub needs_review: bool,
    /// Whether an encoding has begun or stopped, or has other layers, so that viewers' networks may carry something else.
    pub is_to_steer: bool,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Placement {
    /// The packet waits to be forwarded, and before it none of the track did.
    pub begins_to_wait: bool,
    /// The packet is of another codec than those before it.
    pub codec_changed: bool,
    /// A decoder can begin with the packet. What was lost of a picture before it needs no repair.
    pub starts_keyframe: bool,
    /// What waits must be forwarded before more comes, which might push it out of the cache.
    pub is_brimful: bool,
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
        Self {
            track,
            key,
            owner,
            owner_id,
            transport,
            mid,
            source,
            muted,
            label: None,
            codec,
            codec_changed: None,
            offered_sets: OfferedSets::new(),
            speech: None,
            audio_rate: AudioRate::default(),
            meter: Meter::default(),
            loss: SmoothedLoss::default(),
            dropouts_reported: 0,
            reported: StreamCounters::default(),
            encodings: vec![Encoding::new(0, first_stretch(track, key, 0))],
            chosen: EncodingIndex(0),
            serving: 0,
            ladder: Ladder::default(),
            pause: None,
            last_packet: None,
            review_at: None,
            was_live: [false; ENCODINGS_MAX],
            needs_review: false,
            is_to_steer: false,
        }
    }

    /// The track as others see it.
    pub fn info(&self) -> TrackInfo {
        TrackInfo {
            track: self.track,
            participant: self.owner_id,
            source: self.source,
            muted: self.muted,
            label: self.label.clone(),
        }
    }

    /// Returns whether it is known when somebody speaks into it.
    pub fn tells_speech(&self) -> bool {
        self.speech.as_ref().is_some_and(Speech::is_told)
    }

    /// Returns whether it is audio or video.
    pub fn kind(&self) -> MediaKind {
        self.source.kind()
    }

    /// The codec, if it is known.
    pub fn codec(&self) -> Option<Codec> {
        self.codec.map(|params| params.codec)
    }

    /// One of the encodings; `None` if there is no such one.
    pub fn encoding(&self, index: EncodingIndex) -> Option<&Encoding> {
        self.encodings.get(at(index))
    }

    /// The SSRC of the encoding that is chosen for everybody; `None` before its first packet.
    pub fn ssrc(&self) -> Option<Ssrc> {
        self.encodings[at(self.chosen)].ssrc()
    }

    /// Returns whether what comes by this SSRC is forwarded to whoever watches.
    pub fn forwards(&self, ssrc: Ssrc) -> bool {
        let number = self.encodings.iter().position(|encoding| encoding.ssrc() == Some(ssrc));
        number.is_some_and(|number| self.is_shown(number))
    }

    /// The stretch that packets of an encoding belong to just now.
    pub fn stretch(&self, index: EncodingIndex) -> Option<Stretch> {
        self.encoding(index).map(Encoding::stretch)
    }

    /// What was counted of all encodings together.
    pub fn counters(&self) -> StreamCounters {
        let mut sum = StreamCounters::default();
        for encoding in &self.encodings {
            sum.add(&encoding.counters);
        }
        sum
    }

    /// Returns whether somebody is shown an encoding, or would be as soon as they watched.
    fn is_shown(&self, number: usize) -> bool {
        number == at(self.chosen) || self.encodings[number].is_followed()
    }

    /// The owner mutes or unmutes the track. What they show after a pause does not continue what they showed before.
    pub fn set_muted(&mut self, muted: bool) {
        if self.muted && !muted {
            self.encodings.iter_mut().for_each(Encoding::begin_stretch);
            for number in 0..self.encodings.len() {
                if self.is_shown(number) {
                    self.encodings[number].keyframes.want();
                }
            }
        }
        if muted {
            self.clear_pending();
        }
        self.muted = muted;
    }

    /// Takes a packet of one of the encodings: counts it, keeps it once for all who watch, and lists it for them. Walk:
    /// called by `Room::handle_rtp`.
    pub fn arrive(&mut self, now: Instant, packet: &MediaPacket<'_>) -> Placement {
        if packet.redundant { self.arrive_with_copies(now, packet) } else { self.arrive_alone(now, packet) }
    }

    /// Takes a packet whose payload is the codec's own.
    fn arrive_alone(&mut self, now: Instant, packet: &MediaPacket<'_>) -> Placement {
        let mut placement = Placement::default();
        let Some(number) = self.encoding_of_rank(packet.rank) else { return placement };
        if self.muted && !mutated!(MuteIgnored) {
            self.encodings[number].counters.dropped += 1;
            return placement;
        }
        if packet.payload.is_empty() && self.encodings[number].leave_out(packet) {
            return placement;
        }
        let stretch = self.encodings[number].stretch();
        let had_stopped = !self.is_live(now, number);
        let Some(mut index) = self.encodings[number].place(now, packet) else { return placement };
        if !packet.recovered {
            self.encodings[number].note_frame(now, packet.timestamp);
            self.needs_review |= had_stopped;
            self.is_to_steer |= had_stopped;
            self.review_after_packet(now, number, had_stopped);
        }
        let is_shown = self.is_shown(number);
        if is_shown && self.encodings[number].stretch() != stretch {
            self.encodings[number].keyframes.want();
        }
        if self.encodings[number].is_useless(index) {
            // Senders repeat what has arrived to find out how much the way carries.
            self.encodings[number].counters.dropped += u64::from(!packet.recovered);
            return placement;
        }
        self.encodings[number].counters.retransmitted += u64::from(packet.recovered);
        // An encoding that nobody is shown does not decide what codec everybody takes.
        if is_shown && self.codec() != Some(packet.codec.codec) {
            if !self.change_codec(now, packet.codec) {
                self.encodings[number].counters.dropped += 1;
                return placement;
            }
            placement.codec_changed = true;
        }
        let mut described = describe(packet.codec.codec, packet.payload, &packet.extensions);
        if matches!(packet.codec.codec, Codec::H264 { .. }) {
            self.encodings[number].note_sets(packet);
        }
        if self.encodings[number].note_layers(now, packet, &mut described) {
            self.encodings[number].choose_layers();
            // Viewers are told of layers, and their networks may carry some of those.
            self.needs_review |= self.encodings[number].is_followed();
            self.is_to_steer |= self.encodings[number].has_other_layers();
        }
        // Whoever could not take the codec before may be about to be shown the track, from this packet on.
        if self.encodings[number].is_followed() || placement.codec_changed {
            let completed = self.put_parameter_sets(now, number, index, packet, &mut placement);
            index = completed.unwrap_or(index);
            placement.begins_to_wait |= self.keep(now, number, index, packet, &described);
            described.starts_keyframe |= completed.is_some();
            placement.is_brimful = self.encodings[number].is_brimful();
        }
        self.encodings[number].meter(now, index, packet, &described);
        placement.starts_keyframe = self.kind() == MediaKind::Video && described.starts_keyframe;
        placement
    }

    /// Puts parameter sets in front of an H.264 key frame that comes without them. Returns the packet's index behind them;
    /// `None` if nothing is missing.
    fn put_parameter_sets(
        &mut self,
        now: Instant,
        number: usize,
        index: u64,
        packet: &MediaPacket<'_>,
        placement: &mut Placement,
    ) -> Option<u64> {
        let Codec::H264 { .. } = packet.codec.codec else { return None };
        // An offer describes one encoding: those of a simulcast are of different sizes.
        let none = OfferedSets::new();
        let offered = if self.encodings.len() == 1 { &self.offered_sets } else { &none };
        let sets = self.encodings[number].missing_sets(index, packet, offered);
        if sets.is_empty() {
            return None;
        }
        let behind = self.encodings[number].make_room(packet, sets.len())?;
        for (place, payload) in (index..behind).zip(&sets) {
            let extensions = PassedExtensions::default();
            let packet = MediaPacket { payload, marker: false, extensions, ..*packet };
            let described = describe(packet.codec.codec, payload, &extensions);
            placement.begins_to_wait |= self.keep(now, number, place, &packet, &described);
        }
        Some(behind)
    }

    /// Keeps a packet, and shows the encoding from it on to whoever waits for its key frame. Returns whether something
    /// waits to be forwarded that did not before.
    fn keep(
        &mut self,
        now: Instant,
        number: usize,
        index: u64,
        packet: &MediaPacket<'_>,
        described: &Described,
    ) -> bool {
        let nothing_waited = !self.has_pending();
        let kind = self.kind();
        let Some(position) = self.encodings[number].keep(now, index, packet, described, kind) else {
            return false;
        };
        if described.starts_keyframe && self.encodings[number].awaited {
            self.switch_viewers(number, position);
        }
        nothing_waited
    }

    /// Finds the encoding of a rank, or makes it. Returns `None` if there are too many.
    fn encoding_of_rank(&mut self, rank: usize) -> Option<usize> {
        let known = self.encodings.iter().position(|encoding| encoding.rank() == rank);
        if known.is_some() {
            return known;
        }
        if self.encodings.len() == 1 && self.encodings[0].ssrc().is_none() {
            self.encodings[0].set_rank(rank);
            return Some(0);
        }
        if self.encodings.len() == ENCODINGS_MAX {
            return None;
        }
        let number = self.encodings.len();
        self.encodings.push(Encoding::new(rank, first_stretch(self.track, self.key, number)));
        Some(number)
    }

    /// Takes another codec. Returns `false` if it has changed only just now: the packet is dropped then.
    fn change_codec(&mut self, now: Instant, codec: CodecParams) -> bool {
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < CODEC_STAYS;
        if self.codec_changed.is_some_and(is_fresh) {
            return false;
        }
        self.codec_changed = Some(now);
        let had_codec = self.codec.is_some();
        for encoding in &mut self.encodings {
            encoding.begin_codec(had_codec);
        }
        self.codec = Some(codec);
        true
    }

    /// Returns whether anything is to be forwarded.
    pub fn has_pending(&self) -> bool {
        self.encodings.iter().any(|encoding| !encoding.backlog.is_empty())
    }

    /// What was pending is not to be forwarded any more.
    pub fn clear_pending(&mut self) {
        self.encodings.iter_mut().for_each(|encoding| encoding.backlog.clear());
    }

    /// Gives nobody what has waited for too long to be of use.
    pub fn skip_old(&mut self, now: Instant) {
        self.encodings.iter_mut().for_each(|encoding| encoding.skip_old(now));
    }

    /// When the first of what is to be forwarded came.
    pub fn waits_since(&self) -> Option<Instant> {
        self.encodings.iter().filter_map(Encoding::waits_since).min()
    }

    /// Begins a pass over the viewers of an encoding, or goes on with the one under way. Returns the encoding; `None` if
    /// everybody has everything.
    pub fn begin_pass(&mut self) -> Option<EncodingIndex> {
        for _ in 0..self.encodings.len() {
            if self.encodings[self.serving].backlog.begin_pass() {
                return Some(EncodingIndex(self.serving as u8));
            }
            self.serving = (self.serving + 1) % self.encodings.len();
        }
        None
    }

    /// Notes that as many more viewers have had their turn in the pass under way.
    pub fn end_turns(&mut self, count: usize) {
        self.encodings[self.serving].backlog.end_turns(count);
    }

    /// Returns who is next in the pass under way; `None` if it has ended.
    pub fn whose_turn(&self) -> Option<ParticipantKey> {
        self.encodings[self.serving].backlog.whose_turn()
    }

    /// Notes a sender report of one of the encodings.
    pub fn on_sender_report(&mut self, now: Instant, ssrc: Ssrc, ntp: u64, timestamp: u32) {
        if let Some(encoding) = self.encodings.iter_mut().find(|encoding| encoding.ssrc() == Some(ssrc)) {
            encoding.on_sender_report(now, ntp, timestamp);
        }
    }

    /// The last sender report on the clock of a stretch, if packets still belong to that one.
    pub fn report(&self, stretch: Stretch) -> Option<SourceReport> {
        let is_present = self.stretch(stretch.encoding) == Some(stretch);
        self.encoding(stretch.encoding).filter(|_| is_present)?.report()
    }

    /// What to add to timestamps of one encoding, so that they tell time by the clock of another one; `None` as long as
    /// the sender has not reported on both. Their clocks start at random values and run at one rate.
    pub fn clock_offset(&self, of: EncodingIndex, to: EncodingIndex) -> Option<u32> {
        let (of, to) = (self.encoding(of)?.report()?, self.encoding(to)?.report()?);
        let clock_rate = i128::from(self.codec()?.clock_rate());
        // NTP counts units of 2^-32 seconds. How much later, on the wall clock, is the report on `of`?
        let later = i128::from(of.ntp.wrapping_sub(to.ntp) as i64);
        let ticks = (later * clock_rate) >> 32;
        Some(to.timestamp.wrapping_add(ticks as u32).wrapping_sub(of.timestamp))
    }

    /// Panics if what must always be true is not: called after each input in debug builds.
    #[cfg(debug_assertions)]
    pub fn check(&self) {
        assert!(self.encodings.len() <= ENCODINGS_MAX && at(self.chosen) < self.encodings.len());
        for (number, encoding) in self.encodings.iter().enumerate() {
            encoding.check();
            let has_twin = self.encodings[..number].iter().any(|other| other.rank() == encoding.rank());
            assert!(!has_twin, "each encoding has its rank");
            for viewer in encoding.backlog.viewers() {
                let selected = at(viewers::select_encoding(viewer, self.chosen));
                assert!(selected < self.encodings.len(), "what a viewer is to be shown exists");
                let waits = selected != number;
                assert!(!waits || self.encodings[selected].awaited, "who waits is waited for");
            }
        }
        assert!(!self.muted || !self.has_pending() || mutated!(MuteIgnored), "nothing muted waits");
    }
}

/// The stretch that the packets of a new encoding belong to.
fn first_stretch(track: TrackId, publication: PublicationKey, encoding: usize) -> Stretch {
    Stretch { track, publication, encoding: EncodingIndex(encoding as u8), generation: 0 }
}

fn at(index: EncodingIndex) -> usize {
    usize::from(index.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::PayloadType;
    use crate::core::negotiated::H264Profile;

    const VP8: Codec = Codec::Vp8;
    const AV1: Codec = Codec::Av1 { profile: 0 };
    const KEY_FRAME: &[u8] = &[0x10, 0, 7];
    const DELTA_FRAME: &[u8] = &[0x10, 1, 7];

    /// A camera that nobody watches.
    fn unwatched() -> Publication {
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

    /// A camera that somebody watches.
    fn publication() -> Publication {
        let mut publication = unwatched();
        publication.add_viewer(ParticipantKey(1), 0);
        publication
    }

    fn packet(ssrc: u32, rank: usize, index: u64, codec: Codec, payload: &[u8]) -> MediaPacket<'_> {
        MediaPacket {
            ssrc: Ssrc(ssrc),
            publication: PublicationKey(0),
            rank,
            index,
            timestamp: 0,
            marker: true,
            codec: CodecParams { codec, pt: PayloadType(96), rtx: None, red: None, nack: true },
            redundant: false,
            recovered: false,
            extensions: PassedExtensions::default(),
            payload,
        }
    }

    /// A packet of the preferred encoding comes. Returns whether the codec changed, or `None` if the packet was dropped.
    fn arrive(
        publication: &mut Publication,
        now: Instant,
        ssrc: u32,
        index: u64,
        codec: Codec,
    ) -> Option<bool> {
        let before = publication.counters().packets;
        let placement = publication.arrive(now, &packet(ssrc, 0, index, codec, KEY_FRAME));
        publication.check();
        (publication.counters().packets > before).then_some(placement.codec_changed)
    }

    /// Indices that are still to be forwarded of the encoding that is chosen.
    fn waiting(publication: &Publication) -> Vec<u64> {
        publication.encodings[at(publication.chosen)].waiting().iter().map(|packet| packet.index).collect()
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
        let later = now + CODEC_STAYS / 2;
        assert!(arrive(&mut publication, later, 1, 2, VP8).is_some());
        let encoding = &publication.encodings[0];
        let before = waiting(&publication);
        assert_eq!(before.len(), 2);
        assert!(before.iter().all(|index| encoding.packet(*index).is_some()));
        assert!(encoding.fresh_packet(later, before[0]).is_some());
        let changed = now + CODEC_STAYS;
        assert_eq!(arrive(&mut publication, changed, 1, 3, AV1), Some(true));
        let encoding = &publication.encodings[0];
        for index in &before {
            assert!(encoding.packet(*index).is_none(), "viewers take another codec now");
            assert!(encoding.fresh_packet(changed, *index).is_none());
        }
        assert!(encoding.packet(before[1] + 1).is_some());
    }

    #[test]
    fn a_batch_is_forwarded_before_it_pushes_itself_out_of_the_cache() {
        let now = Instant::now();
        let mut publication = publication();
        for index in 1..5000 {
            let placement = publication.arrive(now, &packet(1, 0, index, VP8, KEY_FRAME));
            let kept = |index: &u64| publication.encodings[0].packet(*index).is_some();
            assert!(waiting(&publication).iter().all(kept), "{index}");
            if placement.is_brimful {
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
        let stretch = publication.stretch(publication.chosen);
        assert_eq!(arrive(&mut publication, now, 1, 9, VP8), None);
        assert!(arrive(&mut publication, now, 2, 501, VP8).is_some());
        assert_eq!(publication.stretch(publication.chosen), stretch);
        let later = now + Duration::from_secs(2);
        assert!(
            arrive(&mut publication, later, 1, 11, VP8).is_some(),
            "unless the new one has fallen silent"
        );
    }

    #[test]
    fn streams_that_nothing_tells_apart_do_not_take_turns() {
        let start = Instant::now();
        let mut publication = publication();
        let (mut shown, mut switches, mut frames) = (None, 0, 0);
        for frame in 0..300 {
            let now = start + Duration::from_millis(33 * frame);
            for ssrc in [1, 2, 3] {
                if arrive(&mut publication, now, ssrc, frame, VP8).is_some() {
                    switches += u32::from(shown.replace(ssrc) != Some(ssrc));
                    frames += 1;
                }
            }
            publication.clear_pending();
        }
        assert_eq!((shown, switches, frames), (Some(3), 3, 302), "the newest is followed");
    }

    #[test]
    fn an_encoder_that_begins_anew_again_and_again_goes_on() {
        let start = Instant::now();
        let mut publication = publication();
        for life in 0..100 {
            let now = start + Duration::from_millis(100 * life);
            assert!(arrive(&mut publication, now, life as u32, 7, VP8).is_some(), "life {life}");
            publication.clear_pending();
        }
    }

    #[test]
    fn padding_is_left_out_and_what_follows_closes_up() {
        let now = Instant::now();
        let mut publication = publication();
        let send = |publication: &mut Publication, index: u64, payload: &[u8]| {
            publication.arrive(now, &packet(1, 0, index, VP8, payload));
            publication.check();
        };
        send(&mut publication, 9, &[]);
        assert!(publication.ssrc().is_none() && !publication.has_pending(), "nothing begins with padding");
        send(&mut publication, 10, KEY_FRAME);
        send(&mut publication, 11, &[]);
        send(&mut publication, 12, &[]);
        send(&mut publication, 13, DELTA_FRAME);
        send(&mut publication, 15, DELTA_FRAME);
        send(&mut publication, 14, DELTA_FRAME);
        let waits = waiting(&publication);
        assert_eq!(waits, [waits[0], waits[0] + 1, waits[0] + 2, waits[0] + 3], "no number is missing");
        send(&mut publication, 17, DELTA_FRAME);
        send(&mut publication, 16, &[]);
        assert_eq!(
            waiting(&publication).len(),
            6,
            "its number has its place already, and is not to be missed"
        );
        assert_eq!(waiting(&publication)[4..], [waits[3] + 1, waits[3] + 2]);
        for index in 18..2000 {
            send(&mut publication, index, if index % 2 == 0 { &[] } else { DELTA_FRAME });
            publication.clear_pending();
        }
        send(&mut publication, 2001, DELTA_FRAME);
        assert_eq!(waiting(&publication), [waits[0] + (2001 - 10) - 2 - 991]);
    }

    #[test]
    fn key_frames_without_parameter_sets_get_them_and_what_follows_makes_room() {
        const SPS: &[u8] = &[0x67, 0x42, 0xc0];
        const PPS: &[u8] = &[0x68, 0xce];
        const IDR: &[u8] = &[0x65, 0x88];
        const SLICE: &[u8] = &[0x41, 0x9a];
        let h264 = Codec::H264 { profile: H264Profile::ConstrainedBaseline, packetization_mode: 1 };
        let now = Instant::now();
        let mut publication = publication();
        publication.offered_sets = vec![(PayloadType(96), SPS.into()), (PayloadType(96), PPS.into())];
        let send = |publication: &mut Publication, index: u64, payload: &[u8]| {
            let packet = MediaPacket { timestamp: index as u32, ..packet(1, 0, index, h264, payload) };
            let placement = publication.arrive(now, &packet);
            publication.check();
            placement.starts_keyframe
        };
        assert!(!send(&mut publication, 10, SLICE));
        assert!(send(&mut publication, 12, IDR), "with what stands before it, it begins a key frame");
        assert!(!send(&mut publication, 11, SLICE));
        assert!(!send(&mut publication, 13, SLICE));
        let encoding = &publication.encodings[0];
        let waits = waiting(&publication);
        let shown: Vec<&[u8]> =
            waits.iter().map(|index| encoding.packet(*index).expect("it is kept").payload).collect();
        assert_eq!(shown, [SLICE, SLICE, SPS, PPS, IDR, SLICE]);
        assert_eq!(waits, [0, 1, 2, 3, 4, 5].map(|behind| waits[0] + behind), "no number is missing");
        publication.clear_pending();
        // Once sets have come in the stream, those of the offer are out of date.
        for (index, payload) in [(14, SPS), (15, PPS), (16, IDR), (17, SLICE)] {
            send(&mut publication, index, payload);
        }
        assert!(!send(&mut publication, 19, IDR), "newer ones may be on their way");
        assert!(send(&mut publication, 20, IDR));
    }

    #[test]
    fn what_nobody_watches_is_counted_and_not_kept() {
        let now = Instant::now();
        let mut publication = unwatched();
        publication.codec = Some(packet(1, 0, 1, VP8, KEY_FRAME).codec);
        for index in 1..100 {
            assert_eq!(arrive(&mut publication, now, 1, index, VP8), Some(false));
        }
        assert!(!publication.encodings[0].has_cache() && !publication.has_pending());
        publication.add_viewer(ParticipantKey(1), 0);
        assert!(arrive(&mut publication, now, 1, 100, VP8).is_some());
        assert!(publication.encodings[0].has_cache());
        assert_eq!(waiting(&publication).len(), 1);
        let before = publication.encodings[0].counters.packets;
        assert_eq!(arrive(&mut publication, now, 1, 99, VP8), Some(false), "it may have been here before");
        assert_eq!((waiting(&publication).len(), publication.encodings[0].counters.packets), (1, before + 1));
        publication.remove_viewers(|_| true);
        assert_eq!(give_all(&mut publication), 0);
        let later = now + Duration::from_secs(2);
        assert!(arrive(&mut publication, later, 1, 101, VP8).is_some());
        assert!(!publication.encodings[0].has_cache(), "nobody can ask for any of it any more");
    }

    /// Gives everybody what they have still to get. Returns in how many runs.
    fn give_all(publication: &mut Publication) -> usize {
        let mut runs = 0;
        while publication.begin_pass().is_some() {
            let turns = publication.encodings[publication.serving].turns().count();
            publication.end_turns(turns);
            runs += turns;
        }
        runs
    }

    #[test]
    fn the_preferred_encoding_is_chosen_or_while_it_is_silent_another_one() {
        let start = Instant::now();
        let mut publication = publication();
        // Whether somebody is shown what comes.
        let send = |publication: &mut Publication, ms: u64, ssrc: u32, rank: usize, frame: &[u8]| {
            let now = start + Duration::from_millis(ms);
            let packet = MediaPacket { timestamp: ms as u32, ..packet(ssrc, rank, 1000 + ms, VP8, frame) };
            publication.arrive(now, &packet);
            publication.check();
            give_all(publication) > 0
        };
        assert!(send(&mut publication, 0, 30, 2, KEY_FRAME), "the first that sends");
        assert!(!send(&mut publication, 1, 20, 1, DELTA_FRAME), "the better one has no key frame yet");
        assert_eq!(publication.ssrc(), Some(Ssrc(20)));
        assert!(send(&mut publication, 2, 30, 2, DELTA_FRAME), "so the other one is still shown");
        assert!(send(&mut publication, 3, 20, 1, KEY_FRAME));
        assert!(!send(&mut publication, 4, 30, 2, DELTA_FRAME), "and now it is not");
        for ms in (40..400).step_by(40) {
            assert!(send(&mut publication, ms, 20, 1, DELTA_FRAME));
            assert!(!send(&mut publication, ms + 1, 30, 2, DELTA_FRAME));
        }
        for ms in (400..860).step_by(40) {
            assert!(!send(&mut publication, ms, 30, 2, KEY_FRAME), "the better one may just be slow: {ms}");
        }
        assert!(send(&mut publication, 960, 30, 2, KEY_FRAME), "it has stopped");
        assert_eq!(publication.ssrc(), Some(Ssrc(30)));
        assert!(
            !send(&mut publication, 1000, 20, 1, DELTA_FRAME),
            "it is back, and shown from a key frame on"
        );
        assert!(send(&mut publication, 1001, 20, 1, KEY_FRAME));
        assert!(!send(&mut publication, 1002, 30, 2, DELTA_FRAME));
    }

    #[test]
    fn a_camera_that_pauses_as_a_whole_has_no_encoding_that_has_stopped() {
        let start = Instant::now();
        let mut publication = publication();
        let send = |publication: &mut Publication, ms: u64, ssrc: u32, rank: usize| {
            let now = start + Duration::from_millis(ms);
            let packet =
                MediaPacket { timestamp: ms as u32, ..packet(ssrc, rank, 1000 + ms, VP8, KEY_FRAME) };
            publication.arrive(now, &packet);
        };
        for pause in 0..3 {
            for ms in (0..400).step_by(40) {
                let ms = pause * 60_000 + ms;
                send(&mut publication, ms, 30, 2);
                assert!(
                    pause == 0 || publication.ssrc() == Some(Ssrc(20)),
                    "{ms}: the better one is on its way"
                );
                send(&mut publication, ms + 5, 20, 1);
                assert_eq!(publication.ssrc(), Some(Ssrc(20)));
            }
        }
        for ms in (300_000..301_000).step_by(40) {
            send(&mut publication, ms, 30, 2);
        }
        assert_eq!(publication.ssrc(), Some(Ssrc(30)), "now it has");
        for ms in (400_000..400_400).step_by(40) {
            send(&mut publication, ms, 30, 2);
            assert_eq!(publication.ssrc(), Some(Ssrc(30)), "and a pause does not bring it back");
        }
    }
}

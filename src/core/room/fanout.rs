//! Media out: the packets that wait are forwarded to the viewers of their tracks, a share at a time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use slab::Slab;

use super::{Owner, Room};
use crate::core::command::MediaKind;
use crate::core::forward::backlog::Run;
use crate::core::forward::encoding::{Encoding, PacketInfo};
use crate::core::forward::munger::Stretch;
use crate::core::forward::publication::Publication;
use crate::core::forward::slot::Slot;
use crate::core::ids::{EncodingIndex, ParticipantKey, PublicationKey, TrackId};
use crate::core::media::cache::CachedPacket;
use crate::core::media::egress::EgressHalf;
use crate::core::media::pacer::PacedPacket;
use crate::core::mutation::mutated;
use crate::core::negotiated::CodecParams;
use crate::core::outbox::Outbox;
use crate::core::output::MediaSink;
use crate::core::participant::Participant;
use crate::core::path::TrafficClass;
use crate::core::transport::Transport;

/// What a packet has beside its payload and what is passed on of its extensions: RTP's header, the transport-wide number,
/// and SRTP's tag; bytes.
const PACKET_OVERHEAD: usize = 36;

impl Room {
    /// Whether there is anything for [`forward_share`](Self::forward_share) to forward.
    pub fn has_pending(&self) -> bool {
        self.has_audio_pending() || !self.pending_video.is_empty() || !self.pending_paced.is_empty()
    }

    /// Whether there is audio to forward.
    pub fn has_audio_pending(&self) -> bool {
        !self.pending_audio.is_empty()
    }

    /// Returns when the oldest packet that is still to be forwarded arrived.
    pub fn waits_since(&self) -> Option<Instant> {
        let pending = self.pending_audio.iter().chain(&self.pending_video);
        pending.filter_map(|key| self.publications.get(key.0)?.waits_since()).min()
    }

    /// Whether packets of a track are still to be forwarded.
    pub fn is_forwarding(&self, track: TrackId) -> bool {
        let publication = self.by_track.get(&track).and_then(|key| self.publications.get(key.0));
        publication.is_some_and(Publication::has_pending)
    }

    /// Returns the publications of a kind that have packets to be forwarded, in the order of their first packets.
    pub(super) fn pending_of(&mut self, kind: MediaKind) -> &mut VecDeque<PublicationKey> {
        match kind {
            MediaKind::Audio => &mut self.pending_audio,
            MediaKind::Video => &mut self.pending_video,
        }
    }

    /// Forwards one share of the packets that wait to `sink`: audio, or video if no audio waits. Returns roughly how
    /// many packets were sent. Walk: called by `Sfu::forward_room`, until nothing is pending.
    pub fn forward_share(&mut self, now: Instant, outbox: &mut Outbox, sink: &mut dyn MediaSink) -> usize {
        let kind = if self.has_audio_pending() { MediaKind::Audio } else { MediaKind::Video };
        let share = self.settings.packets_at_once;
        let mut left = share;
        if kind == MediaKind::Video {
            self.release_paced(now, &mut left, outbox, sink);
        }
        while left > 0
            && let Some(&key) = self.pending_of(kind).front()
        {
            if self.publications.contains(key.0) {
                self.forward_track(now, key, &mut left, outbox, sink);
            }
            if self.publications.get(key.0).is_none_or(|publication| !publication.has_pending()) {
                self.pending_of(kind).retain(|other| *other != key);
            }
        }
        if cfg!(debug_assertions) {
            self.check();
        }
        share - left
    }

    /// Forwards one track's pending packets to its viewers until `left` packets have been sent. Each viewer gets all
    /// their packets before the next one does, so that those to one peer leave together. Forwarding moves no deadline
    /// of a viewer, so none is set again. A panic removes the viewer whose packets were being forwarded, as in
    /// `Room::step`.
    pub(super) fn forward_track(
        &mut self,
        now: Instant,
        key: PublicationKey,
        left: &mut usize,
        outbox: &mut Outbox,
        sink: &mut dyn MediaSink,
    ) {
        self.publications[key.0].skip_old(now);
        // It is lent to the loop below, which must not hold all of the room.
        let mut held = std::mem::take(&mut self.held_members);
        let mut wanted = false;
        while *left > 0
            && let Some(index) = self.publications[key.0].begin_pass()
        {
            let Self { publications, participants, transports, .. } = self;
            let publication = &mut publications[key.0];
            let (mut turns, mut wants_keyframe) = (0, false);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let Some(pass) = Pass::new(publication, index) else {
                    // There is no codec in which anything could be sent.
                    turns = publication.encoding(index).map_or(0, |encoding| encoding.turns().count());
                    return;
                };
                let mut audience = Audience { participants, transports, held: &mut held };
                for run in pass.encoding.turns() {
                    if *left == 0 {
                        break;
                    }
                    let packets = run.packets.len();
                    wants_keyframe |= audience.forward_to(now, &pass, run, sink);
                    *left = left.saturating_sub(packets);
                    turns += 1;
                }
            }));
            publication.end_turns(turns);
            if wants_keyframe {
                publication.want_keyframe(index);
                wanted = true;
            }
            if outcome.is_err() {
                // Whose packets were being forwarded has not ended their turn.
                let Some(participant) = publication.whose_turn() else { break };
                self.end_after_panic(now, Owner::Member(participant), outbox);
                // The viewer who was removed may have been the publisher of this track.
                if !self.publications.contains(key.0) {
                    break;
                }
            }
        }
        if wanted && self.publications.contains(key.0) {
            self.keyframe_wanted(now, key);
        }
        for member in held.drain(..) {
            self.arm(now, Owner::Member(member));
        }
        self.held_members = held;
    }
}

/// What the viewers of an encoding are given in turn. It is looked up once for all of them.
struct Pass<'a> {
    publication: &'a Publication,
    index: EncodingIndex,
    encoding: &'a Encoding,
    stretch: Stretch,
    codec: CodecParams,
    /// The first packet that waits, which often is the only one.
    first: Option<CachedPacket<'a, PacketInfo>>,
}

impl<'a> Pass<'a> {
    fn new(publication: &'a Publication, index: EncodingIndex) -> Option<Self> {
        let encoding = publication.encoding(index)?;
        let first = encoding.waiting().first().and_then(|waiting| encoding.packet(waiting.index));
        Some(Self {
            publication,
            index,
            encoding,
            stretch: encoding.stretch(),
            codec: publication.codec?,
            first,
        })
    }

    /// Returns a packet; `None` if it fell out of the cache while it waited.
    fn packet(&self, index: u64) -> Option<CachedPacket<'a, PacketInfo>> {
        match self.first {
            Some(first) if first.meta.index == index => Some(first),
            _ => self.encoding.packet(index),
        }
    }
}

/// Everybody whom media can go to, apart from the publications: one of those is read meanwhile.
struct Audience<'a> {
    participants: &'a mut Slab<Participant>,
    transports: &'a mut Slab<Transport>,
    /// Those for whom something begins to wait.
    held: &'a mut Vec<ParticipantKey>,
}

impl Audience<'_> {
    /// Forwards a run of packets to one viewer. Returns whether they need a key frame of the encoding.
    fn forward_to(&mut self, now: Instant, pass: &Pass<'_>, run: Run, sink: &mut dyn MediaSink) -> bool {
        let Some(participant) = self.participants.get_mut(run.participant.0) else { return false };
        let Some(slot) = participant.slots.get_mut(run.slot) else { return false };
        let Some(transport) = self.transports.get_mut(slot.transport.0) else { return false };
        let Transport { media, path, .. } = &mut *transport;
        let (Some(media), Some(path)) = (media, path) else { return false };
        // Only a run that begins with a switch needs to know how far apart the clocks are.
        let left =
            slot.flowing().map(|(flowing, _)| flowing.encoding).filter(|flowing| *flowing != pass.index);
        let clock_offset = left.and_then(|left| pass.publication.clock_offset(pass.index, left));
        let waiting = pass.encoding.waiting().get(run.packets).unwrap_or_default();
        if waiting.is_empty() {
            return false;
        }
        assert!(!mutated!(Panics) || waiting.len() < 4, "a bug put in on purpose");
        // Only audio has copies, and only for clients who lose much of it and take them.
        let copies = if slot.takes_copies() { media.redundancy.copies() } else { 0 };
        sink.to(path, class_of(slot.kind));
        media.egress.send_at(now);
        let is_video = slot.kind == MediaKind::Video;
        let had_queue = is_video && media.egress.has_queue();
        if is_video {
            slot.want_layers(run.layers);
        }
        let scalability = pass.encoding.scalability();
        for packet in waiting {
            let Some(packet) = pass.packet(packet.index) else { continue };
            if is_video
                && (media.egress.holds_video() || slot.is_cut())
                && hold(slot, run.slot, &mut media.egress, pass, packet)
            {
                continue;
            }
            let outgoing = slot.prepare(now, pass.stretch, clock_offset, packet, pass.codec, scalability);
            let Some(outgoing) = outgoing else { continue };
            let (egress, buffer) = (&mut media.egress, sink.buffer());
            let written = if copies == 0 {
                slot.write(&outgoing, egress, buffer)
            } else {
                slot.write_with_copies(&outgoing, pass.encoding, copies, egress, buffer)
            };
            if let Some(length) = written {
                sink.sent(length);
            }
        }
        // Audio never waits, and begins anywhere.
        if !is_video {
            return false;
        }
        let waits = media.egress.has_queue();
        let wants_keyframe = slot.announced && slot.wants_keyframe(pass.stretch, waits);
        if waits && !had_queue {
            transport.set_pacing();
            self.held.push(run.participant);
        }
        wants_keyframe
    }
}

/// Lets a packet of video wait, if it has to, or drops it, if too much waits. Returns whether it does not go out now.
#[cold]
fn hold(
    slot: &mut Slot,
    index: usize,
    egress: &mut EgressHalf,
    pass: &Pass<'_>,
    packet: CachedPacket<'_, PacketInfo>,
) -> bool {
    let stretch = Stretch { generation: packet.meta.extra.generation, ..pass.stretch };
    let starts_keyframe = packet.meta.keyframe_start;
    if !slot.would_show(stretch, packet.meta) {
        return true;
    }
    let mut begins_anew = slot.is_cut();
    if !egress.holds_video() {
        slot.end_cut();
        slot.skip();
        return false;
    }
    let choice = slot.choose(stretch, packet.meta, pass.encoding.scalability());
    if starts_keyframe && !egress.has_room(false) {
        // What waits would be shown late, and then be replaced by this.
        begins_anew |= egress.forget_queued(index) > 0;
    }
    // What does not go out makes nothing else wait.
    let bytes = packet.extensions.len() + packet.payload.len() + PACKET_OVERHEAD;
    let bytes = if choice.takes { bytes } else { 0 };
    let is_keyframe = starts_keyframe || pass.encoding.is_newest_keyframe(packet.meta.timestamp);
    if egress.is_full() || (choice.takes && !egress.has_room(is_keyframe)) {
        egress.on_dropped();
        slot.cut();
        return true;
    }
    if starts_keyframe {
        slot.end_cut();
        slot.keyframe_waits(stretch);
    }
    egress.queue(PacedPacket {
        slot: index,
        track: stretch.track,
        publication: stretch.publication,
        encoding: stretch.encoding,
        index: packet.meta.index,
        choice,
        bytes,
        starts_keyframe,
        begins_anew,
        since: 0,
    });
    true
}

/// Returns how the network is asked to treat media of a kind.
pub(super) fn class_of(kind: MediaKind) -> TrafficClass {
    match kind {
        MediaKind::Audio => TrafficClass::Audio,
        MediaKind::Video => TrafficClass::Video,
    }
}

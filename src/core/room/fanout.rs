//! Media out: the packets that wait are forwarded to the viewers of their tracks, a share at a time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use slab::Slab;

use super::{Owner, Room};
use crate::core::command::MediaKind;
use crate::core::forward::backlog::Run;
use crate::core::forward::publication::Publication;
use crate::core::ids::{EncodingIndex, PublicationKey};
use crate::core::mutation::mutated;
use crate::core::outbox::Outbox;
use crate::core::output::MediaSink;
use crate::core::participant::Participant;
use crate::core::path::TrafficClass;
use crate::core::transport::Transport;

impl Room {
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
        let mut wanted = false;
        while let Err(_panic) = catch_unwind(AssertUnwindSafe(|| {
            let Self { publications, participants, transports, .. } = self;
            let publication = &mut publications[key.0];
            let mut audience = Audience { participants, transports };
            while *left > 0
                && let Some((encoding, run)) = publication.next_run()
            {
                if audience.forward_to(now, publication, encoding, &run, sink) {
                    publication.want_keyframe(encoding);
                    wanted = true;
                }
                *left = left.saturating_sub(run.packets.len());
                publication.end_run();
            }
        })) {
            // The run was not ended, so it still names its viewer.
            let Some((_, Run { participant, .. })) = self.publications[key.0].next_run() else { break };
            self.end_after_panic(now, Owner::Member(participant), outbox);
            // The viewer who was removed may have been the publisher of this track.
            if !self.publications.contains(key.0) {
                return;
            }
        }
        if wanted {
            self.keyframe_wanted(now, key);
        }
    }
}

/// Everybody whom media can go to, apart from the publications: one of those is read meanwhile.
struct Audience<'a> {
    participants: &'a mut Slab<Participant>,
    transports: &'a mut Slab<Transport>,
}

impl Audience<'_> {
    /// Forwards a run of an encoding's packets to one viewer. Returns whether they need a key frame of it.
    fn forward_to(
        &mut self,
        now: Instant,
        publication: &Publication,
        index: EncodingIndex,
        run: &Run,
        sink: &mut dyn MediaSink,
    ) -> bool {
        let Some(participant) = self.participants.get_mut(run.participant.0) else { return false };
        let Some(slot) = participant.slots.get_mut(run.slot) else { return false };
        let Some(Transport { media, path, .. }) = self.transports.get_mut(slot.transport.0) else {
            return false;
        };
        let (Some(media), Some(path), Some(codec)) = (media, *path, publication.codec) else { return false };
        let Some(encoding) = publication.encoding(index) else { return false };
        let stretch = encoding.stretch();
        // Only a run that begins with a switch needs to know how far apart the clocks are.
        let left = slot.flowing().map(|(flowing, _)| flowing.encoding).filter(|flowing| *flowing != index);
        let clock_offset = left.and_then(|left| publication.clock_offset(index, left));
        let waiting = encoding.waiting().get(run.packets.clone()).unwrap_or_default();
        assert!(!mutated!(Panics) || waiting.len() < 4, "a bug put in on purpose");
        sink.to(path, class_of(slot.kind));
        media.egress.send_at(now);
        for packet in waiting {
            // A packet that fell out of the cache while it waited is not sent.
            let Some(packet) = encoding.packet(packet.index) else { continue };
            let Some(outgoing) = slot.prepare(now, stretch, clock_offset, packet, codec) else { continue };
            if let Some(length) = slot.write(&outgoing, &mut media.egress, sink.buffer()) {
                sink.sent(length);
            }
        }
        slot.announced && slot.wants_keyframe(stretch)
    }
}

/// Returns how the network is asked to treat media of a kind.
pub(super) fn class_of(kind: MediaKind) -> TrafficClass {
    match kind {
        MediaKind::Audio => TrafficClass::Audio,
        MediaKind::Video => TrafficClass::Video,
    }
}

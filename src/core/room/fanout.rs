//! A room's media path, the way out: what is pending of each track is forwarded to all who show it, a share at a time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::{Owner, Room};
use crate::core::command::Kind;
use crate::core::forward::publication::Viewer;
use crate::core::ids::PublicationKey;
use crate::core::mutation::mutated;
use crate::core::outbox::Outbox;
use crate::core::output::MediaSink;
use crate::core::path::TrafficClass;
use crate::core::transport::Transport;

impl Room {
    pub(super) fn pending_of(&mut self, kind: Kind) -> &mut VecDeque<PublicationKey> {
        match kind {
            Kind::Audio => &mut self.pending_sound,
            Kind::Video => &mut self.pending_pictures,
        }
    }

    /// Forwards one share of what came: of sound, or if none waits, of pictures. Media goes to `sink`, or with none into
    /// the outbox. How many packets it was, about. Walk: called by `Sfu::forward`, until nothing is pending.
    pub fn flush(
        &mut self,
        now: Instant,
        outbox: &mut Outbox,
        mut sink: Option<&mut dyn MediaSink>,
    ) -> usize {
        let kind = if self.has_sound_pending() { Kind::Audio } else { Kind::Video };
        let share = self.settings.packets_at_once;
        let mut left = share;
        while left > 0
            && let Some(&key) = self.pending_of(kind).front()
        {
            if self.publications.contains(key.0) {
                self.forward(now, key, &mut left, outbox, &mut sink);
            }
            if self.publications.get(key.0).is_none_or(|publication| !publication.has_pending()) {
                self.pending_of(kind).retain(|other| *other != key);
            }
        }
        share - left
    }

    /// Forwards one track's pending packets to all who show it, or to as many as there are packets `left` for: all packets
    /// to one viewer, then all to the next, so that runs to one peer leave together. Forwarding moves no deadline of a
    /// viewer's, so none is armed anew; a panic ends the viewer at whom it happened, as in `Room::step`.
    pub(super) fn forward(
        &mut self,
        now: Instant,
        key: PublicationKey,
        left: &mut usize,
        outbox: &mut Outbox,
        sink: &mut Option<&mut dyn MediaSink>,
    ) {
        let mut wanted = false;
        while let Err(_panic) = catch_unwind(AssertUnwindSafe(|| {
            let sink = match sink {
                Some(sink) => &mut **sink,
                None => &mut outbox.datagrams as &mut dyn MediaSink,
            };
            while *left > 0
                && let Some(viewer) = self.publications[key.0].next_viewer()
            {
                wanted |= self.forward_to(now, key, viewer, sink);
                let publication = &mut self.publications[key.0];
                *left = left.saturating_sub(publication.leaving().len());
                publication.viewer_served();
            }
        })) {
            let Some(Viewer { participant, .. }) = self.publications[key.0].next_viewer() else { break };
            self.end_after_panic(now, Owner::Member(participant), outbox);
            // Whoever was removed is no longer in the list, and may have been the publisher of the track.
            if !self.publications.contains(key.0) {
                return;
            }
        }
        if wanted {
            self.want_keyframe(now, key);
        }
    }

    /// Forwards to one viewer. Whether they wait for a key frame.
    fn forward_to(
        &mut self,
        now: Instant,
        key: PublicationKey,
        viewer: Viewer,
        sink: &mut dyn MediaSink,
    ) -> bool {
        let publication = &self.publications[key.0];
        let Some(participant) = self.participants.get_mut(viewer.participant.0) else { return false };
        let Some(slot) = participant.slots.get_mut(viewer.slot) else { return false };
        let Some(Transport { media, path, .. }) = self.transports.get_mut(slot.transport.0) else {
            return false;
        };
        let (Some(media), Some(path), Some(codec)) = (media, *path, publication.codec) else { return false };
        let stretch = publication.stretch();
        assert!(!mutated!(Panics) || publication.leaving().len() < 4, "a bug put in on purpose");
        sink.to(path, class_of(slot.kind));
        for index in publication.leaving() {
            let Some(packet) = publication.packet(*index) else { continue };
            let Some(outgoing) = slot.forward(now, stretch, packet, codec) else { continue };
            if let Some(length) = slot.write(&outgoing, &mut media.egress.sender, sink.buffer()) {
                sink.sent(length);
            }
        }
        slot.announced && slot.wants_keyframe(stretch)
    }
}

pub(super) fn class_of(kind: Kind) -> TrafficClass {
    match kind {
        Kind::Audio => TrafficClass::Audio,
        Kind::Video => TrafficClass::Video,
    }
}

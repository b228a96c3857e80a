//! Pacing: what was held back of video is forwarded when its time has come, and padding is sent where the estimator wants to
//! know more of a network. [`EgressHalf`](crate::core::media::egress::EgressHalf) decides when and how much.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use slab::Slab;

use super::{Owner, Room};
use crate::core::forward::publication::Publication;
use crate::core::forward::slot::Slot;
use crate::core::ids::{EncodingIndex, PublicationKey, TransportKey};
use crate::core::media::egress::EgressHalf;
use crate::core::media::pacer::PacedPacket;
use crate::core::mutation::mutated;
use crate::core::outbox::Outbox;
use crate::core::output::MediaSink;
use crate::core::path::TrafficClass;
use crate::core::transport::Transport;

/// How many of the last packets are looked at for one that can be sent as padding.
const LOOKED_AT: usize = 8;
/// How many packets one step sends on a transport at most: more than any rate needs that is estimated or probed.
const STEP_PACKETS_MAX: usize = 256;

/// What was lacking, so that a key frame is needed.
type Lacking = Option<(PublicationKey, EncodingIndex)>;

impl Room {
    /// Fills all that is sent on a transport up to that rate with padding, bits per second; 0 ends that.
    pub fn set_padding_target(&mut self, now: Instant, on: TransportKey, rate_bps: u64) {
        self.steer(now, on, |egress| egress.set_padding_target(rate_bps));
    }

    /// Says how much more than its estimate could be sent on a transport, bits per second: then it is probed whether it can
    /// be. 0 ends that.
    pub fn set_wants_more(&mut self, now: Instant, on: TransportKey, bps: u64) {
        self.steer(now, on, |egress| egress.wants_more(bps));
    }

    fn steer(&mut self, now: Instant, on: TransportKey, act: impl FnOnce(&mut EgressHalf)) {
        let Some(transport) = self.transports.get_mut(on.0) else { return };
        let Some(media) = &mut transport.media else { return };
        media.egress.send_at(now);
        act(&mut media.egress);
        transport.set_bandwidth();
        let owner = Owner::of(transport.owner, on);
        self.arm(now, owner);
    }

    /// Notes that a step of pacing is due on a transport: the next share of media begins with it.
    pub(super) fn pace(&mut self, on: TransportKey) {
        if !self.pending_paced.contains(&on) {
            self.pending_paced.push_back(on);
        }
    }

    /// Sends what is due of video that was held back, and padding, on one transport after the other, until `left` packets
    /// have been sent. Walk: called by `Room::forward_share`.
    pub(super) fn release_paced(
        &mut self,
        now: Instant,
        left: &mut usize,
        outbox: &mut Outbox,
        sink: &mut dyn MediaSink,
    ) {
        while *left > 0
            && let Some(on) = self.pending_paced.pop_front()
        {
            let Some(transport) = self.transports.get(on.0) else { continue };
            let owner = Owner::of(transport.owner, on);
            let mut lacking = None;
            let step = catch_unwind(AssertUnwindSafe(|| self.pacing_step(now, on, &mut lacking, sink)));
            let Ok(sent) = step else {
                self.end_after_panic(now, owner, outbox);
                continue;
            };
            *left = left.saturating_sub(sent.max(1));
            if let Some((publication, encoding)) = lacking
                && let Some(own) = self.publications.get_mut(publication.0)
            {
                own.want_keyframe(encoding);
                self.keyframe_wanted(now, publication);
            }
            if let Some(transport) = self.transports.get_mut(on.0) {
                transport.set_pacing();
            }
            self.arm(now, owner);
        }
    }

    /// Does one step of pacing on one transport. Returns how many packets were sent.
    fn pacing_step(
        &mut self,
        now: Instant,
        on: TransportKey,
        lacking: &mut Lacking,
        sink: &mut dyn MediaSink,
    ) -> usize {
        let Self { publications, participants, transports, .. } = self;
        let Transport { owner, media: Some(media), path, .. } = &mut transports[on.0] else { return 0 };
        let egress = &mut media.egress;
        egress.begin_step(now);
        let slots = owner.and_then(|owner| Some(participants.get_mut(owner.0)?.slots.as_mut_slice()));
        let slots = slots.unwrap_or_default();
        let mut sent = 0;
        // Without a path nothing can be sent, and what waits is not sent later either.
        if let Some(path) = path {
            sink.to(path, TrafficClass::Video);
        }
        while sent < STEP_PACKETS_MAX
            && let Some(packet) = egress.next_queued()
        {
            let length = path.and_then(|_| {
                let slot = slots.get_mut(packet.slot).filter(|slot| slot.transport == on)?;
                write_queued(now, &packet, slot, publications, egress, lacking, sink.buffer())
            });
            if let Some(length) = length {
                sink.sent(length);
                sent += 1;
            }
        }
        if egress.wants_padding() {
            match path {
                Some(_) => sent += pad(now, on, slots, publications, egress, sink),
                None => egress.refuse_padding(),
            }
        }
        egress.end_step();
        sent
    }
}

/// Writes a packet that has waited into `buffer`. Returns its length; `None` if it is not to be sent any more.
fn write_queued(
    now: Instant,
    queued: &PacedPacket,
    slot: &mut Slot,
    publications: &Slab<Publication>,
    egress: &mut EgressHalf,
    lacking: &mut Lacking,
    buffer: &mut [u8],
) -> Option<usize> {
    if mutated!(PacerForgets) && queued.index % 8 == 5 {
        return None;
    }
    if queued.starts_keyframe {
        slot.keyframe_leaves();
    }
    let shows = |slot: &Slot| {
        slot.shown.is_some_and(|shown| (shown.track, shown.publication) == (queued.track, queued.publication))
    };
    let publication = publications.get(queued.publication.0)?;
    if publication.track != queued.track || publication.muted || !shows(slot) {
        return None;
    }
    let encoding = publication.encoding(queued.encoding)?;
    let Some(packet) = encoding.fresh_packet(now, queued.index) else {
        // It has waited for longer than anybody keeps it.
        slot.skip();
        *lacking = Some((queued.publication, queued.encoding));
        return None;
    };
    if queued.begins_anew {
        slot.skip();
    }
    let left = slot.flowing().map(|(flowing, _)| flowing.encoding).filter(|left| *left != queued.encoding);
    let clock_offset = left.and_then(|left| publication.clock_offset(queued.encoding, left));
    let codec = publication.codec?;
    let outgoing =
        slot.prepare_chosen(now, encoding.stretch(), clock_offset, packet, codec, queued.choice)?;
    slot.write(&outgoing, egress, buffer)
}

/// Sends the padding of one step: packets that were sent before, if there are some that are worth it, else packets that are
/// nothing but padding. Returns how many they are.
fn pad(
    now: Instant,
    on: TransportKey,
    slots: &mut [Slot],
    publications: &Slab<Publication>,
    egress: &mut EgressHalf,
    sink: &mut dyn MediaSink,
) -> usize {
    let can_pad = |slot: &&mut Slot| slot.transport == on && slot.can_pad();
    // What flows has the newest packets.
    let (mut flowing, mut any) = (None, None);
    for slot in slots.iter_mut().filter(can_pad) {
        let place = if slot.flowing().is_some() { &mut flowing } else { &mut any };
        place.get_or_insert(slot);
    }
    let Some(slot) = flowing.or(any) else {
        egress.refuse_padding();
        return 0;
    };
    let (mut sent, mut has_old) = (0, true);
    while sent < STEP_PACKETS_MAX && egress.wants_padding() {
        let mut length = None;
        if has_old {
            length = write_old_packet(now, slot, publications, egress, sink);
            has_old = length.is_some();
        }
        let Some(length) = length.or_else(|| slot.write_padding(egress, sink.buffer())) else {
            egress.refuse_padding();
            break;
        };
        sink.sent(length);
        sent += 1;
    }
    sent
}

/// Writes one of the last packets once more. Returns its length; `None` if none of them is kept, or worth it.
fn write_old_packet(
    now: Instant,
    slot: &mut Slot,
    publications: &Slab<Publication>,
    egress: &mut EgressHalf,
    sink: &mut dyn MediaSink,
) -> Option<usize> {
    (0..LOOKED_AT).find_map(|_| {
        let (stretch, index) = slot.next_padding()?;
        let publication = publications.get(stretch.publication.0)?;
        if publication.track != stretch.track || publication.muted {
            return None;
        }
        let packet = publication.encoding(stretch.encoding)?.fresh_packet(now, index)?;
        slot.write_old_packet(stretch, packet, publication.codec?, egress, sink.buffer())
    })
}

//! Who receives what in which slot. The server alone assigns; a track keeps its slot while it is subscribed; a
//! participant's microphone and camera get slots of one number where possible, so that they play in sync.

use std::time::Instant;

use super::Room;
use super::reports::VIDEO_INTERVAL;
use crate::core::command::{Kind, Source};
use crate::core::event::{Event, Refusal, RefusalCode, SlotCounts, SlotMap, WaitingReason};
use crate::core::forward::publication::{Publication, Viewer};
use crate::core::forward::slot::Slot;
use crate::core::ids::{ParticipantId, ParticipantKey, PublicationKey, TrackId};
use crate::core::input::Withheld;
use crate::core::mutation::mutated;
use crate::core::outbox::Outbox;
use crate::core::participant::{Participant, Subscription, SubscriptionState};

/// Slots are asked for this many at a time, so that a room that fills up does not negotiate with every join.
const SLOTS_STEP: usize = 4;

fn unknown_track() -> Refusal {
    Refusal::new(
        RefusalCode::UnknownTrack,
        "there is no such track in this room, or it is your own",
        "use a track id that `joined` or `track-added` told of",
    )
}

impl Room {
    fn others_track(&self, from: ParticipantKey, track: TrackId) -> Result<PublicationKey, Refusal> {
        let key = *self.by_track.get(&track).ok_or_else(unknown_track)?;
        if self.publications[key.0].owner == from { Err(unknown_track()) } else { Ok(key) }
    }

    pub(super) fn subscribe(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        track: TrackId,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        self.others_track(from, track)?;
        self.participants[from.0].subscribe(track);
        self.assign_slots(now, from, outbox);
        self.slot_maps.push(from);
        Ok(())
    }

    pub(super) fn unsubscribe(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        track: TrackId,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        self.others_track(from, track)?;
        let participant = &mut self.participants[from.0];
        participant.unsubscribed.insert(track);
        if let Some(subscription) = participant.subscriptions.remove(&track) {
            if let SubscriptionState::Slot(slot) = subscription.state
                && !mutated!(SlotLeaked)
            {
                self.release_slot(from, slot);
                self.assign_slots(now, from, outbox);
            }
            self.slot_maps.push(from);
        }
        Ok(())
    }

    pub(super) fn pause(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        track: TrackId,
        paused: bool,
    ) -> Result<(), Refusal> {
        let key = self.others_track(from, track)?;
        let participant = &mut self.participants[from.0];
        let subscription = participant.subscriptions.get_mut(&track).ok_or_else(|| {
            Refusal::new(
                RefusalCode::UnknownTrack,
                "you are not subscribed to this track",
                "subscribe to it first",
            )
        })?;
        if subscription.paused == paused {
            return Ok(());
        }
        subscription.paused = paused;
        if let SubscriptionState::Slot(slot) = subscription.state {
            participant.slots[slot].set_paused(paused);
            if !paused {
                self.want_keyframe(now, key);
            }
        }
        Ok(())
    }

    /// So much of the pictures is not forwarded from now on. Who gets one again waits for a key frame, as after a pause.
    pub(super) fn withhold(&mut self, now: Instant, withheld: Withheld) {
        self.withheld = withheld;
        let mut wanted = Vec::new();
        for key in &self.order {
            let Participant { id, slots, .. } = &mut self.participants[key.0];
            for slot in slots {
                let Some(shown) = slot.shown else { continue };
                let Some(publication) = self.publications.get(shown.publication.0) else { continue };
                let was_withheld = slot.withheld;
                slot.set_withheld(is_left_out(withheld, publication, *id));
                if was_withheld && !slot.withheld {
                    wanted.push(shown.publication);
                }
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        for publication in wanted {
            self.want_keyframe(now, publication);
        }
    }

    /// A new track is there: whoever receives all is subscribed to it.
    pub(super) fn offer_to_subscribers(&mut self, now: Instant, key: PublicationKey, outbox: &mut Outbox) {
        let (track, owner) = (self.publications[key.0].track, self.publications[key.0].owner);
        for other in self.order.clone() {
            let participant = &mut self.participants[other.0];
            if other != owner && participant.auto_subscribe && !mutated!(LateTrackNotOffered) {
                participant.subscribe(track);
                self.assign_slots(now, other, outbox);
                self.slot_maps.push(other);
            }
        }
    }

    /// Puts waiting tracks into free slots, and asks for more where they do not suffice.
    pub(super) fn assign_slots(&mut self, now: Instant, key: ParticipantKey, outbox: &mut Outbox) {
        if self.participants[key.0].negotiated.sections.is_empty() {
            return;
        }
        for track in self.participants[key.0].waiting() {
            let Some(&publication) = self.by_track.get(&track) else { continue };
            self.assign_slot(now, key, publication, outbox);
        }
        self.ask_for_slots(key, outbox);
    }

    fn assign_slot(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        publication_key: PublicationKey,
        outbox: &mut Outbox,
    ) {
        let publication = &self.publications[publication_key.0];
        let (track, kind) = (publication.track, publication.kind());
        if self.participants[key.0].open_slots(kind) == 0 {
            return;
        }
        if let Some(codec) = publication.codec()
            && !self.participants[key.0].negotiated.can_receive(codec)
        {
            self.cannot_receive(key, publication_key, outbox);
            return;
        }
        let Some(index) = self.choose_slot(key, publication) else { return };
        // What the slot has sent until now was of another codec, perhaps.
        self.settle_totals(key);
        let publication = &self.publications[publication_key.0];
        let participant = &mut self.participants[key.0];
        let slot = &mut participant.slots[index];
        let section = participant.negotiated.section(slot.mid);
        let codec = section
            .zip(publication.codec())
            .and_then(|(section, codec)| section.codec_for(codec));
        slot.assign(now, track, publication_key, codec);
        slot.set_withheld(is_left_out(self.withheld, publication, participant.id));
        if let Some(subscription) = participant.subscriptions.get_mut(&track) {
            subscription.state = SubscriptionState::Slot(index);
            slot.paused = subscription.paused;
        }
        if kind == Kind::Video {
            participant.report_by(now + VIDEO_INTERVAL);
        }
        self.publications[publication_key.0].viewers.push(Viewer { participant: key, slot: index });
        self.arm(now, key);
        self.want_keyframe(now, publication_key);
    }

    /// The slot of the number that the same participant's other half has; else one whose pair is free, too; else any:
    /// of those whose sections take the codec.
    fn choose_slot(&self, key: ParticipantKey, publication: &Publication) -> Option<usize> {
        let Participant { slots, negotiated, .. } = &self.participants[key.0];
        let kind = publication.kind();
        let takes = |slot: &Slot| {
            publication.codec().is_none_or(|codec| {
                let section = negotiated.section(slot.mid);
                section.is_some_and(|section| section.codec_for(codec).is_some())
            })
        };
        let of_number = |kind: Kind, number: usize| {
            slots.iter().position(|slot| slot.kind == kind && slot.number == number)
        };
        let other_kind = match kind {
            Kind::Audio => Kind::Video,
            Kind::Video => Kind::Audio,
        };
        let partner = self.partner(publication);
        let beside_partner = slots
            .iter()
            .filter(|slot| slot.kind == other_kind)
            .find(|slot| slot.shown.is_some_and(|shown| Some(shown.track) == partner))
            .and_then(|slot| of_number(kind, slot.number))
            .filter(|index| slots[*index].is_free() && takes(&slots[*index]));
        let is_free = |slot: &Slot| slot.kind == kind && slot.is_free() && takes(slot);
        let free = || slots.iter().enumerate().filter(|(_, slot)| is_free(slot));
        let pair_is_free = |number: usize| {
            of_number(other_kind, number).is_none_or(|index| slots[index].is_free() || !slots[index].open)
        };
        beside_partner
            .or_else(|| free().find(|(_, slot)| pair_is_free(slot.number)).map(|(index, _)| index))
            .or_else(|| free().next().map(|(index, _)| index))
    }

    /// The track that plays together with this one: the camera of a microphone, the sound of a screen.
    fn partner(&self, publication: &Publication) -> Option<TrackId> {
        let wanted = match publication.source {
            Source::Microphone => Source::Camera,
            Source::Camera => Source::Microphone,
            Source::Screen => Source::ScreenAudio,
            Source::ScreenAudio => Source::Screen,
        };
        let owner = &self.participants[publication.owner.0];
        let mut own = owner.publications.iter().map(|key| &self.publications[key.0]);
        own.find(|other| other.source == wanted).map(|other| other.track)
    }

    fn cannot_receive(&mut self, key: ParticipantKey, publication: PublicationKey, outbox: &mut Outbox) {
        let publication = &self.publications[publication.0];
        let name = publication.codec().map_or("an unknown codec", |codec| codec.name());
        let participant = &mut self.participants[key.0];
        if let Some(subscription) = participant.subscriptions.get_mut(&publication.track) {
            subscription.state = SubscriptionState::CannotReceive;
        }
        let reason = format!("it is sent as {name}, which this client has not offered to receive");
        outbox.event(key, Event::CannotReceive { track: publication.track, reason });
    }

    /// A track's codec is known, or another one: slots that cannot take it give it up, others may take it now.
    pub(super) fn codec_changed(&mut self, now: Instant, key: PublicationKey, outbox: &mut Outbox) {
        let Some(codec) = self.publications[key.0].codec() else { return };
        let track = self.publications[key.0].track;
        for viewer in self.publications[key.0].viewers.clone() {
            self.settle_totals(viewer.participant);
            let participant = &mut self.participants[viewer.participant.0];
            let slot = &mut participant.slots[viewer.slot];
            let section = participant.negotiated.section(slot.mid);
            slot.codec = section.and_then(|section| section.codec_for(codec));
            if slot.codec.is_none() {
                // Another slot may take it.
                let can = participant.negotiated.can_receive(codec);
                if let Some(subscription) = participant.subscriptions.get_mut(&track) {
                    subscription.state = SubscriptionState::Waiting;
                }
                self.release_slot(viewer.participant, viewer.slot);
                if !can {
                    self.cannot_receive(viewer.participant, key, outbox);
                }
                self.assign_slots(now, viewer.participant, outbox);
                self.slot_maps.push(viewer.participant);
            }
        }
        for other in self.order.clone() {
            let participant = &mut self.participants[other.0];
            if let Some(subscription) = participant.subscriptions.get_mut(&track) {
                let hopeless = subscription.state == SubscriptionState::CannotReceive;
                if hopeless && participant.negotiated.can_receive(codec) {
                    subscription.state = SubscriptionState::Waiting;
                    self.assign_slots(now, other, outbox);
                    self.slot_maps.push(other);
                }
            }
        }
        self.want_keyframe(now, key);
    }

    /// Tracks that could not be decoded may be now that more codecs were offered.
    pub(super) fn reconsider(&mut self, key: ParticipantKey) {
        let Participant { subscriptions, negotiated, .. } = &mut self.participants[key.0];
        for (track, subscription) in subscriptions {
            let publication = self.by_track.get(track).map(|key| &self.publications[key.0]);
            let codec = publication.and_then(Publication::codec);
            let hopeless = subscription.state == SubscriptionState::CannotReceive;
            if hopeless && codec.is_some_and(|codec| negotiated.can_receive(codec)) {
                subscription.state = SubscriptionState::Waiting;
            }
        }
    }

    fn release_slot(&mut self, key: ParticipantKey, index: usize) {
        let slot = &mut self.participants[key.0].slots[index];
        let Some(shown) = slot.shown else { return };
        slot.release();
        if let Some(publication) = self.publications.get_mut(shown.publication.0) {
            publication.remove_viewers(|viewer| viewer.participant == key && viewer.slot == index);
        }
    }

    fn ask_for_slots(&mut self, key: ParticipantKey, outbox: &mut Outbox) {
        let participant = &self.participants[key.0];
        let waiting = |kind: Kind| {
            let tracks = participant.waiting();
            let of_kind =
                |track: &TrackId| self.by_track.get(track).map(|key| self.publications[key.0].kind());
            tracks.iter().filter(|track| of_kind(track) == Some(kind)).count()
        };
        let (audio, video) = (waiting(Kind::Audio), waiting(Kind::Video));
        if audio + video == 0 {
            return;
        }
        let need = |kind: Kind, waiting: usize| participant.open_slots(kind) + waiting;
        // As many of one kind as of the other: slots of one number are a pair.
        let most = need(Kind::Audio, audio).max(need(Kind::Video, video)).next_multiple_of(SLOTS_STEP);
        let wanted = SlotCounts {
            audio: most.min(self.settings.slots_max.audio).max(participant.open_slots(Kind::Audio)),
            video: most.min(self.settings.slots_max.video).max(participant.open_slots(Kind::Video)),
        };
        let has = SlotCounts {
            audio: participant.open_slots(Kind::Audio),
            video: participant.open_slots(Kind::Video),
        };
        if wanted != has && wanted != participant.asked {
            self.participants[key.0].asked = wanted;
            outbox.event(key, Event::MoreSlots(wanted));
        }
    }

    /// Says again what the snapshot of a resume does not hold and nobody may have heard: how many slots are wanted, and
    /// what cannot be received.
    pub(super) fn remind(&mut self, key: ParticipantKey, outbox: &mut Outbox) {
        let participant = &mut self.participants[key.0];
        if participant.negotiated.sections.is_empty() {
            return;
        }
        participant.asked = SlotCounts { audio: 0, video: 0 };
        let hopeless = |(track, subscription): (&TrackId, &Subscription)| {
            let hopeless = subscription.state == SubscriptionState::CannotReceive;
            if hopeless { self.by_track.get(track).copied() } else { None }
        };
        let hopeless: Vec<PublicationKey> = participant.subscriptions.iter().filter_map(hopeless).collect();
        for publication in hopeless {
            self.cannot_receive(key, publication, outbox);
        }
        self.ask_for_slots(key, outbox);
    }

    fn waiting_reason(&self, participant: &Participant, track: TrackId) -> WaitingReason {
        let kind = self.by_track.get(&track).map(|key| self.publications[key.0].kind());
        let full = match kind {
            Some(Kind::Audio) => participant.open_slots(Kind::Audio) >= self.settings.slots_max.audio,
            Some(Kind::Video) => participant.open_slots(Kind::Video) >= self.settings.slots_max.video,
            None => false,
        };
        if full { WaitingReason::SlotLimit } else { WaitingReason::NoSlotYet }
    }

    /// The next slot map of a participant; from now on they know it.
    pub(super) fn next_slot_map(&mut self, key: ParticipantKey) -> SlotMap {
        let participant = &self.participants[key.0];
        let waiting = participant.waiting();
        let reasons: Vec<(TrackId, WaitingReason)> =
            waiting.into_iter().map(|track| (track, self.waiting_reason(participant, track))).collect();
        let reason = |track: TrackId| {
            reasons
                .iter()
                .find(|(of, _)| *of == track)
                .map_or(WaitingReason::NoSlotYet, |(_, reason)| *reason)
        };
        self.participants[key.0].next_slot_map(reason)
    }

    /// Tells new slot maps to those whose slots changed. Somebody who cannot be told gets theirs when they are back,
    /// and no media of a new source until then.
    pub(super) fn send_slot_maps(&mut self, outbox: &mut Outbox) {
        let mut keys = std::mem::take(&mut self.slot_maps);
        keys.sort_unstable();
        keys.dedup();
        for key in keys.drain(..) {
            let connected = self.participants.get(key.0).is_some_and(Participant::is_connected);
            let negotiated = connected && !self.participants[key.0].slots.is_empty();
            if negotiated {
                let map = self.next_slot_map(key);
                outbox.event(key, Event::SlotMap(map));
            }
        }
        self.slot_maps = keys;
    }

    /// Somebody needs a key frame of that track.
    pub(super) fn want_keyframe(&mut self, now: Instant, key: PublicationKey) {
        let publication = &mut self.publications[key.0];
        if publication.kind() == Kind::Video && !mutated!(KeyframeRequestForgotten) {
            publication.keyframes.want();
            let owner = publication.owner;
            self.arm(now, owner);
        }
    }

    /// Everything that a participant sees needs a key frame.
    pub(super) fn want_keyframes_for(&mut self, now: Instant, key: ParticipantKey) {
        let shown: Vec<PublicationKey> = self.participants[key.0]
            .slots
            .iter()
            .filter_map(|slot| slot.shown)
            .map(|s| s.publication)
            .collect();
        for publication in shown {
            self.want_keyframe(now, publication);
        }
    }
}

/// Whether somebody does not get a track when so much is left out: cameras, and what a screen shows last of all. Which
/// ones, the ids decide: the same for as long as it lasts, and some of each track's viewers.
fn is_left_out(withheld: Withheld, publication: &Publication, viewer: ParticipantId) -> bool {
    let place = (publication.track.0 ^ viewer.0) % u64::from(Withheld::ALL.get());
    match publication.source {
        Source::Camera => place < u64::from(withheld.get()),
        Source::Screen => withheld == Withheld::ALL,
        Source::Microphone | Source::ScreenAudio => false,
    }
}

//! Which track is shown in which slot. Only the server assigns slots. A track keeps its slot while it is subscribed. A
//! participant's microphone and camera get slots with the same number where possible, so that they play in sync.

use std::time::{Duration, Instant};

use super::reports::VIDEO_INTERVAL;
use super::shedding::load_of;
use super::{Owner, Room};
use crate::core::command::{MediaKind, Source, Wish};
use crate::core::event::{Event, SlotCounts};
use crate::core::forward::backlog::Viewer;
use crate::core::forward::hold::Hold;
use crate::core::forward::publication::Publication;
use crate::core::forward::slot::Slot;
use crate::core::ids::{ParticipantKey, PublicationKey, TrackId, TransportKey};
use crate::core::negotiated::Codec;
use crate::core::outbox::Outbox;
use crate::core::subscriptions::SubscriptionState;

/// The number of slots that clients are asked for is a multiple of this, so that a room that fills up does not
/// negotiate with every join.
const SLOTS_STEP: usize = 4;
/// Whoever has just come is expected to say within this time in which size they want to see a track.
const UNDECIDED_FOR: Duration = Duration::from_secs(1);

impl Room {
    /// Whether tracks that a member wants are put into slots of theirs as it suits us: they have offered some.
    pub(super) fn has_negotiated(&self, key: ParticipantKey) -> bool {
        let mut transports = self.transports_of(key).iter().map(|key| &self.transports[key.0]);
        // Who makes no offers has a slot for each track that they have asked for, and for no other.
        !self.participants[key.0].is_parametric()
            && transports.any(|transport| !transport.negotiated.sections.is_empty())
    }

    /// Returns how many slots a member may have on one of their transports: all that a client may have, without those on
    /// the others.
    pub(super) fn slots_left(&self, key: ParticipantKey, on: TransportKey) -> SlotCounts {
        let slots = &self.participants[key.0].slots;
        let elsewhere = |kind: MediaKind| {
            slots.iter().filter(|slot| slot.open && slot.kind == kind && slot.transport != on).count()
        };
        let most = self.settings.slots_max;
        SlotCounts {
            audio: most.audio.saturating_sub(elsewhere(MediaKind::Audio)),
            video: most.video.saturating_sub(elsewhere(MediaKind::Video)),
        }
    }

    /// Whether a member has offered to receive a codec, on any transport.
    pub(super) fn can_receive(&self, key: ParticipantKey, codec: Codec) -> bool {
        let mut transports = self.transports_of(key).iter().map(|key| &self.transports[key.0]);
        transports.any(|transport| transport.negotiated.can_receive(codec))
    }

    /// Puts tracks that wait into slots, as far as the client can decode them now.
    pub(super) fn fill_slots(&mut self, now: Instant, key: ParticipantKey, outbox: &mut Outbox) {
        self.reconsider(key);
        self.check_codecs(key, outbox);
        self.assign_slots(now, key, outbox);
    }

    /// Puts waiting tracks into free slots, and asks for more slots if there are not enough. Looks only at tracks of a kind
    /// of which a slot is free: hundreds may wait, and every change in the room comes by here for everybody.
    pub(super) fn assign_slots(&mut self, now: Instant, key: ParticipantKey, outbox: &mut Outbox) {
        if !self.has_negotiated(key) {
            return;
        }
        self.review_crowding(now, key);
        // Muted ones last: they can wait for somebody to speak.
        for is_muted in [false, true] {
            self.assign_waiting(now, key, is_muted);
        }
        self.show_speakers(now, key);
        self.ask_for_slots(key, outbox);
    }

    /// Puts those waiting tracks into free slots that are muted, or those that are not.
    fn assign_waiting(&mut self, now: Instant, key: ParticipantKey, is_muted: bool) {
        let participant = &self.participants[key.0];
        let mut free = MediaKind::ALL.map(|kind| participant.free_slots(kind));
        let subscriptions = &participant.subscriptions;
        let waiting: Vec<TrackId> = match free {
            [0, 0] => return,
            [_, 0] => subscriptions.waiting_of(MediaKind::Audio).collect(),
            [0, _] => subscriptions.waiting_of(MediaKind::Video).collect(),
            _ => subscriptions.waiting().collect(),
        };
        // What held for one track that found no slot holds for all like it.
        let mut in_vain = Vec::new();
        for track in &waiting {
            if free == [0, 0] {
                break;
            }
            let Some(&place) = self.by_track.get(track) else { continue };
            let publication = &self.publications[place.0];
            let free = &mut free[publication.kind() as usize];
            let sort = (publication.source, publication.tells_speech(), publication.codec());
            if *free == 0 || publication.muted != is_muted || in_vain.contains(&sort) {
                continue;
            }
            if self.has_room(key, place) && self.assign_slot(now, key, place) {
                *free -= 1;
            } else {
                in_vain.push(sort);
            }
        }
    }

    /// Puts a track that somebody has just subscribed to into a free slot, or asks for more.
    pub(super) fn assign_newcomer(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        publication: PublicationKey,
        outbox: &mut Outbox,
    ) {
        if !self.has_negotiated(key) {
            return;
        }
        let subscription = self.participants[key.0].subscriptions.get(self.publications[publication.0].track);
        let waits = subscription.is_some_and(|own| own.state == SubscriptionState::Waiting);
        if waits && self.has_room(key, publication) {
            self.assign_slot(now, key, publication);
        }
        self.show_speakers(now, key);
        self.ask_for_slots(key, outbox);
    }

    /// Gives the slots that have become free to those who wait.
    pub(super) fn fill_freed_slots(&mut self, now: Instant, outbox: &mut Outbox) {
        let mut keys = std::mem::take(&mut self.slots_freed);
        // Once each, because one input can free many slots.
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            self.step(now, Owner::Member(key), outbox, |room, outbox| room.assign_slots(now, key, outbox));
        }
    }

    /// Looks through all tracks that wait for those that a member cannot decode. To be called when what they can decode has
    /// changed.
    pub(super) fn check_codecs(&mut self, key: ParticipantKey, outbox: &mut Outbox) {
        let mut decodable = Vec::new();
        for track in self.participants[key.0].subscriptions.waiting().collect::<Vec<_>>() {
            let Some(&publication) = self.by_track.get(&track) else { continue };
            let codec = self.publications[publication.0].codec();
            // Tracks may be hundreds; codecs are few.
            if !decodable.contains(&codec) && !self.check_codec(key, publication, outbox) {
                decodable.push(codec);
            }
        }
    }

    /// Tells a member if they cannot decode a track that waits for a slot. Returns whether that is so.
    pub(super) fn check_codec(
        &mut self,
        key: ParticipantKey,
        publication_key: PublicationKey,
        outbox: &mut Outbox,
    ) -> bool {
        let publication = &self.publications[publication_key.0];
        let subscription = self.participants[key.0].subscriptions.get(publication.track);
        let waits = subscription.is_some_and(|one| one.state == SubscriptionState::Waiting);
        // Nothing is said of decoding before there is any slot of the kind: the offer may not be complete.
        let is_hopeless = waits
            && self.participants[key.0].open_slots(publication.kind()) > 0
            && publication.codec().is_some_and(|codec| !self.can_receive(key, codec));
        if is_hopeless {
            self.cannot_receive(key, publication_key, outbox);
        }
        is_hopeless
    }

    /// Puts a track into a free slot. Returns `false` if there is none that takes it.
    pub(super) fn assign_slot(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        publication_key: PublicationKey,
    ) -> bool {
        let publication = &self.publications[publication_key.0];
        let Some(index) = self.choose_slot(key, publication) else { return false };
        self.put_into_slot(now, key, publication_key, index);
        true
    }

    /// Puts a track into that free slot.
    pub(super) fn put_into_slot(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        publication_key: PublicationKey,
        index: usize,
    ) {
        // What the slot has sent until now was of another codec, perhaps.
        self.collect_counters(key);
        let publication = &self.publications[publication_key.0];
        let (track, kind) = (publication.track, publication.kind());
        let participant = &mut self.participants[key.0];
        let is_known = participant.is_parametric();
        let slot = &mut participant.slots[index];
        let negotiated = &self.transports[slot.transport.0].negotiated;
        let section = negotiated.section(slot.mid);
        let codec = section.zip(publication.codec()).and_then(|(section, codec)| section.codec_for(codec));
        debug_assert!(slot.is_free() && slot.kind == kind, "a track gets a free slot of its own kind");
        slot.assign(now, track, publication_key, codec);
        // Who has asked for that track alone knows what comes.
        slot.announced = is_known;
        let load = load_of(self.shedding, publication, participant.id);
        slot.set_held(Hold::Load, load.is_nothing);
        let (mut wish, mut undecided) = ((Wish::default(), false), None);
        if let Some(subscription) = participant.subscriptions.set_state(track, SubscriptionState::Slot(index))
        {
            slot.set_held(Hold::Wish, subscription.is_idle());
            wish = (subscription.wish, subscription.is_idle());
            undecided = (!subscription.has_wish).then(|| now + UNDECIDED_FOR);
        }
        if kind == MediaKind::Video {
            self.transports[slot.transport.0].report_by(now + VIDEO_INTERVAL);
        }
        let publication = &mut self.publications[publication_key.0];
        publication.add_viewer(key, index);
        publication.set_undecided(key, index, undecided);
        publication.set_load(key, index, load);
        publication.set_wish(key, index, wish.0, wish.1);
        publication.review(now);
        self.layer_reviews.push(publication_key);
        self.steer_later(key);
        self.arm(now, Owner::Member(key));
        self.want_keyframe_for(now, publication_key, (key, index));
    }

    /// Chooses a free slot whose section takes the codec. The best one is paired with the slot that shows the same
    /// person's other track; the next best is one whose pair is free, too; otherwise any will do.
    pub(super) fn choose_slot(&self, key: ParticipantKey, publication: &Publication) -> Option<usize> {
        let slots = &self.participants[key.0].slots;
        let kind = publication.kind();
        let takes = |slot: &Slot| {
            publication.codec().is_none_or(|codec| {
                let negotiated = &self.transports[slot.transport.0].negotiated;
                let section = negotiated.section(slot.mid);
                section.is_some_and(|section| section.codec_for(codec).is_some())
            })
        };
        let of_number = |kind: MediaKind, number: usize| {
            slots.iter().position(|slot| slot.kind == kind && slot.number == number)
        };
        let other_kind = match kind {
            MediaKind::Audio => MediaKind::Video,
            MediaKind::Video => MediaKind::Audio,
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

    /// Returns the track that plays together with this one: the camera for a microphone, the audio for a screen.
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

    pub(super) fn cannot_receive(
        &mut self,
        key: ParticipantKey,
        publication: PublicationKey,
        outbox: &mut Outbox,
    ) {
        let publication = &self.publications[publication.0];
        let name = publication.codec().map_or("an unknown codec", |codec| codec.name());
        let participant = &mut self.participants[key.0];
        participant.subscriptions.set_state(publication.track, SubscriptionState::CannotReceive);
        let reason = format!("it is sent as {name}, which this client has not offered to receive");
        outbox.event(key, Event::CannotReceive { track: publication.track, reason });
    }

    /// Reassigns slots because a track's codec has changed or is known for the first time: slots that cannot take it
    /// give it up, and others may take it now.
    pub(super) fn codec_changed(&mut self, now: Instant, key: PublicationKey, outbox: &mut Outbox) {
        let Some(codec) = self.publications[key.0].codec() else { return };
        let track = self.publications[key.0].track;
        let viewers: Vec<Viewer> = self.publications[key.0].viewers().copied().collect();
        for viewer in viewers {
            self.collect_counters(viewer.participant);
            let participant = &mut self.participants[viewer.participant.0];
            let is_for_one = participant.is_parametric();
            let slot = &mut participant.slots[viewer.slot];
            let negotiated = &self.transports[slot.transport.0].negotiated;
            slot.codec = negotiated.section(slot.mid).and_then(|section| section.codec_for(codec));
            if slot.codec.is_some() {
                continue;
            }
            if is_for_one {
                // The slot is for this track alone, and what was said of it never changes: whoever can receive the other codec
                // asks again.
                self.end_subscription(now, viewer.participant, track, outbox);
                outbox.event(viewer.participant, Event::ConsumerEnded(track));
            } else {
                // Another slot may take it.
                participant.subscriptions.set_state(track, SubscriptionState::Waiting);
                self.release_slot(viewer.participant, viewer.slot);
                if !self.can_receive(viewer.participant, codec) {
                    self.cannot_receive(viewer.participant, key, outbox);
                }
                self.assign_slots(now, viewer.participant, outbox);
                self.slot_maps.push(viewer.participant);
            }
        }
        for other in self.order.clone() {
            let can = self.can_receive(other, codec);
            let subscriptions = &mut self.participants[other.0].subscriptions;
            match subscriptions.get(track).map(|subscription| subscription.state) {
                Some(SubscriptionState::CannotReceive) if can => {
                    subscriptions.set_state(track, SubscriptionState::Waiting);
                    self.assign_slots(now, other, outbox);
                    self.slot_maps.push(other);
                }
                Some(SubscriptionState::Waiting) if !can => {
                    self.check_codec(other, key, outbox);
                }
                _ => {}
            }
        }
        self.want_keyframe(now, key);
    }

    pub(super) fn release_slot(&mut self, key: ParticipantKey, index: usize) {
        let slot = &mut self.participants[key.0].slots[index];
        let Some(shown) = slot.shown else { return };
        // The order does not matter, because nothing is forwarded in between.
        slot.release();
        if let Some(publication) = self.publications.get_mut(shown.publication.0) {
            publication.remove_viewers(|viewer| viewer.participant == key && viewer.slot == index);
            self.layer_reviews.push(shown.publication);
        }
        self.steer_later(key);
    }

    pub(super) fn ask_for_slots(&mut self, key: ParticipantKey, outbox: &mut Outbox) {
        let participant = &self.participants[key.0];
        // Tracks that cannot be decoded do not count: no slot would help them.
        let [audio, video] = MediaKind::ALL.map(|kind| participant.subscriptions.waiting_count(kind));
        if audio + video == 0 {
            return;
        }
        let need = |kind: MediaKind, waiting: usize| participant.open_slots(kind) + waiting;
        // The same number of each kind, because slots with the same number are a pair.
        let most =
            need(MediaKind::Audio, audio).max(need(MediaKind::Video, video)).next_multiple_of(SLOTS_STEP);
        let wanted = SlotCounts {
            audio: most.min(self.settings.slots_max.audio).max(participant.open_slots(MediaKind::Audio)),
            video: most.min(self.settings.slots_max.video).max(participant.open_slots(MediaKind::Video)),
        };
        let has = SlotCounts {
            audio: participant.open_slots(MediaKind::Audio),
            video: participant.open_slots(MediaKind::Video),
        };
        // Each number is asked for once only: the client may take its time to offer more slots.
        if wanted != has && wanted != participant.asked {
            self.participants[key.0].asked = wanted;
            outbox.event(key, Event::MoreSlots(wanted));
        }
    }
}

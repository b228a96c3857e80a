//! What participants publish: offers and answers, tracks that come and go, muting.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tracing::debug;

use super::Room;
use super::reports::VIDEO_INTERVAL;
use crate::core::command::{Kind, PublicationRequest};
use crate::core::event::{Event, Refusal, RefusalCode};
use crate::core::forward::publication::Publication;
use crate::core::forward::slot::Slot;
use crate::core::ids::{Mid, ParticipantKey, PublicationKey, RequestId, TrackId};
use crate::core::media::ingress::PublishedSection;
use crate::core::negotiated::{CodecParams, Ingress, Negotiated, NegotiatedSection};
use crate::core::negotiation::answer::Msid;
use crate::core::negotiation::offer::Offer;
use crate::core::outbox::{Outbox, RoomOutput};
use crate::core::participant::{Participant, SubscriptionState};

/// How many ufrags lead to a participant: the current one and those before the last ICE restarts, whose checks may
/// still be on their way.
const UFRAGS: usize = 3;

fn bad_offer(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::BadOffer, message, "correct the offer and send it again; nothing has changed")
}

fn unknown_track() -> Refusal {
    Refusal::new(
        RefusalCode::UnknownTrack,
        "there is no such track, or it is not yours",
        "use a track id that the answer listed",
    )
}

impl Room {
    /// Answers an offer and takes its publications and slots.
    pub(super) fn offer(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        request: Option<RequestId>,
        sdp: &str,
        publications: &[PublicationRequest],
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let offer = Offer::read(sdp).map_err(|refused| bad_offer(refused.message))?;
        self.check_publications(&offer, publications)?;
        // What slots that make way have sent is counted before they do.
        self.settle_totals(key);
        let participant = &mut self.participants[key.0];
        let candidates = participant.candidates.clone();
        let Participant { slots, session, rng, .. } = participant;
        let start_kbps = self.settings.video_start_kbps;
        let answer = session
            .accept_offer(now, &offer, &candidates, rng, start_kbps, |negotiated| msids(negotiated, slots))
            .map_err(|refused| bad_offer(refused.message))?;
        if answer.restarted {
            participant.addresses_checked = 0;
            let ufrag = participant.session.ufrag().to_owned();
            participant.ufrags.push(ufrag.clone());
            outbox.outputs.push(RoomOutput::BindUfrag(key, ufrag));
            if participant.ufrags.len() > UFRAGS {
                outbox.outputs.push(RoomOutput::UnbindUfrag(participant.ufrags.remove(0)));
            }
        }
        participant.negotiated = answer.negotiated;
        let (served, rejected): (Vec<_>, Vec<_>) =
            publications.iter().partition(|request| why_not(&offer, request.mid).is_none());
        let added = self.take_publications(now, key, &served, outbox);
        self.take_slots(now, key);
        let event = Event::Answer { request, sdp: answer.sdp, publications: self.publications_of(key) };
        outbox.event(key, event);
        for request in rejected {
            let reason = why_not(&offer, request.mid).unwrap_or_default().to_owned();
            outbox.event(key, Event::CannotPublish { mid: request.mid, reason });
        }
        for publication in added {
            let info = self.publications[publication.0].info();
            self.tell_others(key, &Event::TrackAdded(info), outbox);
            self.offer_to_subscribers(now, publication, outbox);
        }
        self.reconsider(key);
        self.assign_slots(now, key, outbox);
        self.slot_maps.push(key);
        self.carry_out_effects(now, key, None, outbox);
        Ok(())
    }

    fn check_publications(
        &self,
        offer: &Offer<'_>,
        publications: &[PublicationRequest],
    ) -> Result<(), Refusal> {
        let most = self.settings.tracks_per_participant_max;
        if publications.len() > most {
            return Err(Refusal::new(
                RefusalCode::TooManyTracks,
                format!("the offer publishes {} tracks; at most {most} are allowed", publications.len()),
                "publish fewer tracks",
            ));
        }
        for (index, publication) in publications.iter().enumerate() {
            let mid: &str = &publication.mid;
            let section = offer.section(publication.mid).ok_or_else(|| {
                bad_offer(format!("publication {index} names mid {mid:?}, which the SDP has not"))
            })?;
            if section.kind != Some(publication.source.kind()) {
                return Err(bad_offer(format!(
                    "mid {mid:?} is m={}, and its source is {:?}",
                    section.media, publication.source
                )));
            }
            if !section.direction.sends() || section.stopped {
                return Err(bad_offer(format!("mid {mid:?} is published, and its section does not send")));
            }
            if publications[..index].iter().any(|other| other.mid == publication.mid) {
                return Err(bad_offer(format!("mid {mid:?} is published twice")));
            }
        }
        Ok(())
    }

    /// Makes the publications what the offer lists and can be served. Returns those that are new.
    fn take_publications(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        requests: &[&PublicationRequest],
        outbox: &mut Outbox,
    ) -> Vec<PublicationKey> {
        for publication in self.participants[key.0].publications.clone() {
            let (mid, source) =
                (self.publications[publication.0].mid, self.publications[publication.0].source);
            if !requests.iter().any(|request| request.mid == mid && request.source == source) {
                self.unpublish(now, publication, outbox);
            }
        }
        let mut added = Vec::new();
        for request in requests {
            let existing = self.participants[key.0].published.get(&request.mid).map(|s| s.publication);
            let publication = match existing {
                Some(publication) => publication,
                None => {
                    let publication = self.publish(now, key, request);
                    added.push(publication);
                    publication
                }
            };
            let participant = &mut self.participants[key.0];
            let section = participant.negotiated.section(request.mid);
            let Ingress { declared, rids } =
                section.and_then(|section| section.ingress.clone()).unwrap_or_default();
            participant.published.insert(request.mid, PublishedSection { publication, rids, declared });
        }
        added
    }

    fn publish(&mut self, now: Instant, key: ParticipantKey, request: &PublicationRequest) -> PublicationKey {
        let participant = &mut self.participants[key.0];
        let track = TrackId(participant.rng.u64());
        let codec = expected_codec(&participant.negotiated, request.mid);
        let publication = PublicationKey(self.publications.vacant_key());
        self.publications.insert(Publication::new(
            track,
            publication,
            key,
            participant.id,
            request.mid,
            request.source,
            request.muted,
            codec,
        ));
        participant.publications.push(publication);
        if self.publications[publication.0].kind() == Kind::Video {
            participant.report_by(now + VIDEO_INTERVAL);
        }
        self.by_track.insert(track, publication);
        debug!(room = %self.id, participant = %participant.id, %track, source = ?request.source, "published");
        publication
    }

    /// Ends a track: its slots are free, and everyone is told.
    pub(super) fn unpublish(&mut self, now: Instant, key: PublicationKey, outbox: &mut Outbox) {
        self.settle_totals(self.publications[key.0].owner);
        let publication = self.publications.remove(key.0);
        self.by_track.remove(&publication.track);
        self.pending_sound.retain(|other| *other != key);
        self.pending_pictures.retain(|other| *other != key);
        let owner = &mut self.participants[publication.owner.0];
        owner.publications.retain(|other| *other != key);
        owner.published.remove(&publication.mid);
        if let Some(media) = &mut owner.media {
            media.ingress.forget(key);
        }
        let removed = Event::TrackRemoved(publication.track, publication.owner_id);
        self.tell_others(publication.owner, &removed, outbox);
        for viewer in publication.viewers {
            if let Some(participant) = self.participants.get_mut(viewer.participant.0) {
                participant.slots[viewer.slot].release();
            }
        }
        for other in self.order.clone() {
            let participant = &mut self.participants[other.0];
            participant.unsubscribed.remove(&publication.track);
            if participant.subscriptions.remove(&publication.track).is_some() {
                self.slot_maps.push(other);
                self.assign_slots(now, other, outbox);
            }
        }
        debug!(room = %self.id, track = %publication.track, "unpublished");
    }

    /// Makes the slots what the answer agreed on. Those whose sections are gone make room for new ones, so that there are
    /// never more than an offer has sections.
    fn take_slots(&mut self, now: Instant, key: ParticipantKey) {
        let Participant { negotiated, slots, .. } = &mut self.participants[key.0];
        let numbers = slot_numbers(negotiated, slots);
        let receiving = negotiated.sections.iter().filter(|section| section.egress.is_some()).count();
        // Slots are many and large, and an offer names all that there will be for a while.
        slots.reserve_exact(receiving.saturating_sub(slots.len()));
        let present: BTreeSet<Mid> = negotiated.sections.iter().map(|section| section.mid).collect();
        let closing = |slot: &Slot| negotiated.section(slot.mid).is_none_or(|section| section.egress.is_none());
        let closed: Vec<usize> =
            (0..slots.len()).filter(|index| slots[*index].open && closing(&slots[*index])).collect();
        for index in closed {
            slots[index].open = false;
            self.empty_slot(key, index);
        }
        let Participant { negotiated, slots, slot_by_ssrc, rng, .. } = &mut self.participants[key.0];
        let mut known = BTreeMap::new();
        let mut free = Vec::new();
        for (index, slot) in slots.iter_mut().enumerate() {
            if present.contains(&slot.mid) {
                known.insert(slot.mid, index);
                continue;
            }
            if slot.mid != Mid::NONE {
                slot_by_ssrc.remove(&slot.ssrc);
                slot.mid = Mid::NONE;
            }
            free.push(index);
        }
        free.reverse();
        for (order, section) in negotiated.sections.iter().enumerate() {
            if let Some(slot) = known.get(&section.mid).and_then(|index| slots.get_mut(*index)) {
                slot.take_section(section, order);
                continue;
            }
            let number = numbers.get(&section.mid).copied().unwrap_or_default();
            let Some(slot) = Slot::new(now, section, order, number, rng) else { continue };
            let index = free.pop().unwrap_or(slots.len());
            slot_by_ssrc.insert(slot.ssrc, index);
            match slots.get_mut(index) {
                Some(place) => *place = slot,
                None => slots.push(slot),
            }
        }
    }

    /// Takes the track out of a slot; who wanted it waits for another.
    fn empty_slot(&mut self, key: ParticipantKey, index: usize) {
        let Participant { slots, subscriptions, .. } = &mut self.participants[key.0];
        let Some(shown) = slots[index].shown else { return };
        slots[index].release();
        if let Some(publication) = self.publications.get_mut(shown.publication.0) {
            publication.remove_viewers(|viewer| viewer.participant == key && viewer.slot == index);
        }
        if let Some(subscription) = subscriptions.get_mut(&shown.track) {
            subscription.state = SubscriptionState::Waiting;
        }
    }

    pub(super) fn mute(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        track: TrackId,
        muted: bool,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let key = *self.by_track.get(&track).ok_or_else(unknown_track)?;
        let publication = &mut self.publications[key.0];
        if publication.owner != from {
            return Err(unknown_track());
        }
        if publication.muted == muted {
            return Ok(());
        }
        publication.set_muted(muted);
        let event = Event::TrackMuted { track, participant: publication.owner_id, muted };
        self.tell_others(from, &event, outbox);
        self.arm(now, from);
        Ok(())
    }
}

/// Why a section that was to publish cannot be served.
fn why_not<'a>(offer: &'a Offer<'_>, mid: Mid) -> Option<&'a str> {
    offer.section(mid)?.rejected.as_deref()
}

/// Which of the slots of its kind each receiving section is. Slots that exist keep their numbers; a new one takes the
/// lowest that no other has.
fn slot_numbers(negotiated: &Negotiated, slots: &[Slot]) -> BTreeMap<Mid, usize> {
    let known: BTreeMap<Mid, (Kind, usize)> =
        slots.iter().map(|slot| (slot.mid, (slot.kind, slot.number))).collect();
    let mut taken: BTreeSet<(Kind, usize)> =
        negotiated.sections.iter().filter_map(|section| known.get(&section.mid).copied()).collect();
    let mut next = BTreeMap::new();
    let mut numbers = BTreeMap::new();
    for section in negotiated.sections.iter().filter(|section| section.egress.is_some()) {
        let number = match known.get(&section.mid) {
            Some((_, number)) => *number,
            None => {
                let next: &mut usize = next.entry(section.kind).or_default();
                while !taken.insert((section.kind, *next)) {
                    *next += 1;
                }
                *next
            }
        };
        numbers.insert(section.mid, number);
    }
    numbers
}

/// One msid stream for each pair of slots: browsers keep the audio and the video of one stream in sync.
fn msids(negotiated: &Negotiated, slots: &[Slot]) -> Vec<Msid> {
    let numbers = slot_numbers(negotiated, slots);
    let receiving = negotiated.sections.iter().filter(|section| section.egress.is_some());
    let msid = |section: &NegotiatedSection| {
        let number = numbers.get(&section.mid).copied().unwrap_or_default();
        let kind = match section.kind {
            Kind::Audio => "audio",
            Kind::Video => "video",
        };
        Msid { mid: section.mid, stream: format!("slot-{number}"), track: format!("{kind}-{number}") }
    };
    receiving.map(msid).collect()
}

/// What a publisher will most likely send: the first codec of its section.
fn expected_codec(negotiated: &Negotiated, mid: Mid) -> Option<CodecParams> {
    negotiated.section(mid)?.codecs.first().copied()
}

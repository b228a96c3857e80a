//! Tracks begin and end, however their publishers have said so: by offers or by parameters.

use std::time::Instant;

use tracing::debug;

use super::Room;
use super::reports::VIDEO_INTERVAL;
use crate::core::command::{MediaKind, PublicationRequest, Source};
use crate::core::event::Event;
use crate::core::forward::publication::Publication;
use crate::core::happening::Happening;
use crate::core::ids::{Mid, ParticipantKey, PublicationKey, TrackId, TransportKey};
use crate::core::media::ingress::PublishedSection;
use crate::core::negotiated::{CodecParams, Extension, Ingress, Negotiated};
use crate::core::outbox::Outbox;
use crate::core::subscriptions::SubscriptionState;

impl Room {
    /// Tells the others of new tracks. They are told after the answer, so that the owner knows the track first.
    pub(super) fn tell_of_added(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        added: Vec<PublicationKey>,
        outbox: &mut Outbox,
    ) {
        for publication in added {
            let info = self.publications[publication.0].info();
            outbox.happenings.push(Happening::Published(self.member(now, key), info.clone()));
            self.tell_others(key, &Event::TrackAdded(info), outbox);
            self.offer_to_subscribers(now, publication, outbox);
        }
    }

    /// Takes over what was agreed on of a track's section.
    pub(super) fn take_section(
        &mut self,
        now: Instant,
        on: TransportKey,
        publication: PublicationKey,
        request: &PublicationRequest,
    ) {
        let transport = &mut self.transports[on.0];
        let section = transport.negotiated.section(request.mid);
        let Ingress { declared, rids, parameter_sets } =
            section.and_then(|section| section.ingress.clone()).unwrap_or_default();
        self.publications[publication.0].offered_sets = parameter_sets;
        let section = PublishedSection { publication, rids, declared };
        self.publications[publication.0].set_ladder(now, &section, &request.encodings);
        self.layer_reviews.push(publication);
        transport.published.insert(request.mid, section);
        let tells_levels = transport.negotiated.has_extension(Extension::AudioLevel);
        let publication = &mut self.publications[publication.0];
        if publication.source == Source::Microphone && tells_levels {
            publication.speech.get_or_insert_default();
        }
    }

    /// Returns the publications that come in on a transport, in the order of publishing.
    pub(super) fn published_on(&self, on: TransportKey) -> impl Iterator<Item = PublicationKey> {
        let owner = self.owner_of(on).and_then(|owner| self.participants.get(owner.0));
        let publications = owner.into_iter().flat_map(|owner| owner.publications.iter().copied());
        publications.filter(move |key| self.publications[key.0].transport == on)
    }

    /// Begins a track, which comes by a section of which [`take_section`](Self::take_section) tells more.
    pub(super) fn publish(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        on: TransportKey,
        request: &PublicationRequest,
    ) -> PublicationKey {
        let participant = &mut self.participants[key.0];
        let transport = &mut self.transports[on.0];
        let reserved = participant.reserved.iter().position(|(track, _)| request.track == Some(*track));
        let (track, label) = match reserved.map(|place| participant.reserved.remove(place)) {
            Some((track, label)) => (track, Some(label)),
            None => (TrackId(participant.rng.u64()), None),
        };
        let codec = expected_codec(&transport.negotiated, request.mid);
        let publication = PublicationKey(self.publications.vacant_key());
        self.publications.insert(Publication::new(
            track,
            publication,
            key,
            participant.id,
            on,
            request.mid,
            request.source,
            request.muted,
            codec,
        ));
        self.publications[publication.0].label = label;
        participant.publications.push(publication);
        if self.publications[publication.0].kind() == MediaKind::Video {
            transport.report_by(now + VIDEO_INTERVAL);
        }
        self.by_track.insert(track, publication);
        debug!(room = %self.id, participant = %participant.id, %track, source = ?request.source, "published");
        publication
    }

    /// Ends a track: its slots become free for others, and everyone is told.
    pub(super) fn unpublish(&mut self, now: Instant, key: PublicationKey, outbox: &mut Outbox) {
        self.collect_counters(self.publications[key.0].owner);
        let publication = self.publications.remove(key.0);
        self.by_track.remove(&publication.track);
        self.pending_audio.retain(|other| *other != key);
        self.pending_video.retain(|other| *other != key);
        self.forget_speaker(now, key);
        // The owner is still a member: leaving unpublishes first.
        let owner = &mut self.participants[publication.owner.0];
        owner.publications.retain(|other| *other != key);
        let transport = &mut self.transports[publication.transport.0];
        let section = transport.published.remove(&publication.mid);
        if let Some(media) = &mut transport.media {
            let declared = section.as_ref().map_or(&[][..], |section| &section.declared);
            media.ingress.forget(now, key, publication.mid, declared);
        }
        self.set_keyframe_timer(now, publication.transport);
        let member = self.member(now, publication.owner);
        outbox.happenings.push(Happening::Unpublished(member, publication.info()));
        // Others hear that the track is gone before a slot map without it.
        let removed = Event::TrackRemoved(publication.track, publication.owner_id);
        self.tell_others(publication.owner, &removed, outbox);
        for viewer in publication.viewers() {
            if let Some(participant) = self.participants.get_mut(viewer.participant.0) {
                participant.slots[viewer.slot].release();
                self.steered.later(viewer.participant);
            }
        }
        for other in self.order.clone() {
            let participant = &mut self.participants[other.0];
            participant.unsubscribed.remove(&publication.track);
            if let Some(subscription) = participant.subscriptions.remove(publication.track) {
                self.slot_maps.push(other);
                // Whoever leaves takes many tracks away, and those who wait are looked through once only, at the end.
                if subscription.state != SubscriptionState::Waiting || participant.is_crowded {
                    self.slots_freed.push(other);
                }
                self.end_idle_consumers(now, other);
            }
        }
        self.forget_produced(publication.owner, publication.transport);
        debug!(room = %self.id, track = %publication.track, "unpublished");
    }
}

/// Returns the codec that a publisher will most likely send: the first of its section.
fn expected_codec(negotiated: &Negotiated, mid: Mid) -> Option<CodecParams> {
    negotiated.section(mid)?.codecs.first().copied()
}

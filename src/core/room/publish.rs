//! What members publish: offers are answered, and tracks begin, end and are muted.

use std::time::Instant;

use tracing::debug;

use super::reports::VIDEO_INTERVAL;
use super::{Owner, Room};
use crate::core::command::{Layout, MediaKind, PublicationRequest, Source};
use crate::core::event::{Event, Refusal, RefusalCode};
use crate::core::forward::publication::Publication;
use crate::core::happening::Happening;
use crate::core::ids::{Mid, ParticipantKey, PublicationKey, RequestId, TrackId, TransportKey};
use crate::core::media::ingress::PublishedSection;
use crate::core::negotiated::{CodecParams, Extension, Ingress, Negotiated};
use crate::core::negotiation::offer::Offer;
use crate::core::outbox::{Outbox, RoomOutput};
use crate::core::session::Agreement;
use crate::core::subscriptions::SubscriptionState;

/// How many ufrags lead to a transport: the current one, and those from before the last ICE restarts, because checks
/// with them may still be on their way.
const UFRAGS: usize = 3;

fn bad_offer(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::BadOffer, message, "correct the offer and send it again; nothing has changed")
}

pub(super) fn unknown_track() -> Refusal {
    Refusal::new(
        RefusalCode::UnknownTrack,
        "there is no such track, or it is not yours",
        "use a track id that the answer listed",
    )
}

impl Room {
    /// Negotiates one transport of a member: answers the offer and updates the publications and slots on the transport,
    /// or refuses the offer and changes nothing. The member is told. Does nothing for a transport that belongs to
    /// nobody.
    ///
    /// It is for front ends whose clients have several peer connections;
    /// [`Command::Offer`](crate::core::command::Command::Offer) negotiates the first.
    pub fn negotiate(
        &mut self,
        now: Instant,
        on: TransportKey,
        request: Option<RequestId>,
        sdp: &str,
        publications: &[PublicationRequest],
        outbox: &mut Outbox,
    ) {
        let Some(key) = self.owner_of(on) else { return };
        if let Err(refusal) = self.offer(now, key, on, request.clone(), sdp, publications, outbox) {
            outbox.event(key, Event::Refused(request, refusal));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "an offer's parts, whose it is, and the surroundings")]
    fn offer(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        on: TransportKey,
        request: Option<RequestId>,
        sdp: &str,
        publications: &[PublicationRequest],
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        // Everything that can be refused is refused before anything is changed.
        let offer = Offer::read_for(sdp, self.options.codecs, self.settings.data_channels);
        let mut offer = offer.map_err(|refused| bad_offer(refused.message))?;
        offer.limit_receiving(self.slots_left(key, on));
        self.check_publications(&offer, publications)?;
        // Slots may be replaced below, so what they have sent is counted first.
        self.collect_counters(key);
        let participant = &mut self.participants[key.0];
        let transport = &mut self.transports[on.0];
        let mut own_rng = transport.rng.take();
        let rng = own_rng.as_mut().unwrap_or(&mut participant.rng);
        let agreement = transport
            .with_session(|session| session.accept_offer(now, &offer, rng))
            .map_err(|refused| bad_offer(refused.message));
        transport.rng = own_rng;
        let Agreement { negotiated, restarted } = agreement?;
        if restarted {
            // The client gathers candidates anew, so it may check from as many new addresses again.
            transport.addresses_checked = 0;
            let ufrag = transport.session().ufrag().to_owned();
            transport.ufrags.push(ufrag.clone());
            outbox.outputs.push(RoomOutput::BindUfrag(on, ufrag));
            if transport.ufrags.len() > UFRAGS {
                outbox.outputs.push(RoomOutput::UnbindUfrag(transport.ufrags.remove(0)));
            }
        }
        transport.take_negotiated(negotiated);
        transport.expect_peer(now);
        let (served, rejected): (Vec<_>, Vec<_>) =
            publications.iter().partition(|request| self.why_not(key, &offer, request).is_none());
        let reason = |request: &&PublicationRequest| self.why_not(key, &offer, request).unwrap_or_default();
        let rejected: Vec<_> = rejected.iter().map(|request| (request.mid, reason(request))).collect();
        let added = self.take_publications(now, key, on, &served, outbox);
        self.take_slots(now, key, on);
        let names_tracks = self.participants[key.0].layout == Layout::Tracks;
        if names_tracks {
            // Before the answer is written, so that it can name them.
            self.fill_slots(now, key, outbox);
        }
        let sdp = self.write_answer(now, key, on, &offer);
        let shown = if names_tracks { self.participants[key.0].announce_in_answer(on) } else { Vec::new() };
        let publications = self.publications_of(key);
        outbox.event(key, Event::Answer { request, sdp, publications, shown });
        for (mid, reason) in rejected {
            outbox.event(key, Event::CannotPublish { mid, reason });
        }
        self.tell_of_added(now, key, added, outbox);
        if names_tracks {
            // What came before the client could take it is lost to it.
            self.want_keyframes_for(now, key);
        } else {
            self.fill_slots(now, key, outbox);
        }
        self.slot_maps.push(key);
        // Last, because this may end the transport.
        self.carry_out_effects(now, on, None, outbox);
        Ok(())
    }

    /// Tells the others of new tracks. They are told after the answer, so that the owner knows the track first.
    fn tell_of_added(
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

    /// Returns why a section cannot be published; `None` if it can.
    fn why_not(
        &self,
        key: ParticipantKey,
        offer: &Offer<'_>,
        request: &PublicationRequest,
    ) -> Option<String> {
        if !self.participants[key.0].grants.publish.has(request.source) {
            return Some(format!("you may not publish a {} in this room", request.source.as_str()));
        }
        if request.track.is_some_and(|track| !self.may_publish_as(key, track)) {
            return Some("this track is not reserved for you".to_owned());
        }
        offer.section(request.mid)?.rejected.as_deref().map(str::to_owned)
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
            if let Some(track) = publication.track
                && publications[..index].iter().any(|other| other.track == Some(track))
            {
                return Err(bad_offer(format!("{track} is published twice")));
            }
            if publications[..index].iter().any(|other| other.mid == publication.mid) {
                return Err(bad_offer(format!("mid {mid:?} is published twice")));
            }
        }
        Ok(())
    }

    /// Updates the publications on a transport to those that its offer lists and that can be served. Returns the new
    /// ones.
    fn take_publications(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        on: TransportKey,
        requests: &[&PublicationRequest],
        outbox: &mut Outbox,
    ) -> Vec<PublicationKey> {
        for publication in self.published_on(on).collect::<Vec<_>>() {
            let Publication { mid, source, track, .. } = self.publications[publication.0];
            let is_same = |request: &&&PublicationRequest| {
                let is_track = request.track.is_none_or(|asked| asked == track);
                request.mid == mid && request.source == source && is_track
            };
            if !requests.iter().any(|request| is_same(&request)) {
                self.unpublish(now, publication, outbox);
            }
        }
        let mut added = Vec::new();
        for request in requests {
            let existing = self.transports[on.0].published.get(&request.mid).map(|s| s.publication);
            let publication = match existing {
                Some(publication) => publication,
                None => {
                    let publication = self.publish(now, key, on, request);
                    added.push(publication);
                    publication
                }
            };
            let transport = &mut self.transports[on.0];
            // Existing tracks are updated too, because a section may declare other SSRCs than before.
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
        added
    }

    /// Returns the publications that come in on a transport, in the order of publishing.
    pub(super) fn published_on(&self, on: TransportKey) -> impl Iterator<Item = PublicationKey> {
        let owner = self.owner_of(on).and_then(|owner| self.participants.get(owner.0));
        let publications = owner.into_iter().flat_map(|owner| owner.publications.iter().copied());
        publications.filter(move |key| self.publications[key.0].transport == on)
    }

    fn publish(
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
            }
        }
        debug!(room = %self.id, track = %publication.track, "unpublished");
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
        if self.publications[key.0].owner != from {
            return Err(unknown_track());
        }
        self.set_muted(now, key, muted, outbox);
        Ok(())
    }

    /// Mutes a track of somebody else than `by`. They are told, too.
    pub(super) fn mute_other(
        &mut self,
        now: Instant,
        by: Option<ParticipantKey>,
        track: TrackId,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let key = self.moderated_track(by, track)?;
        let owner = self.publications[key.0].owner;
        if self.set_muted(now, key, true, outbox) {
            let participant = self.participants[owner.0].id;
            outbox.event(owner, Event::TrackMuted { track, participant, muted: true });
        }
        Ok(())
    }

    /// Mutes or unmutes a track, and tells all but its owner. Returns whether that changed anything.
    fn set_muted(&mut self, now: Instant, key: PublicationKey, muted: bool, outbox: &mut Outbox) -> bool {
        let publication = &mut self.publications[key.0];
        if publication.muted == muted {
            return false;
        }
        let (track, from) = (publication.track, publication.owner);
        publication.set_muted(muted);
        if !muted {
            publication.ladder.begin_again(now);
        }
        self.layer_reviews.push(key);
        let publication = &self.publications[key.0];
        let event = Event::TrackMuted { track, participant: publication.owner_id, muted };
        let on = publication.transport;
        if muted {
            self.fall_silent(now, key);
        }
        self.set_keyframe_timer(now, on);
        self.tell_others(from, &event, outbox);
        self.share_after_mute(now, key);
        self.steer_viewers(key);
        self.arm(now, Owner::Member(from));
        true
    }
}

/// Returns the codec that a publisher will most likely send: the first of its section.
fn expected_codec(negotiated: &Negotiated, mid: Mid) -> Option<CodecParams> {
    negotiated.section(mid)?.codecs.first().copied()
}

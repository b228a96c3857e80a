//! What members publish: offers are answered, and tracks begin, end and are muted.

use std::time::Instant;

use super::{Owner, Room};
use crate::core::command::{Layout, PublicationRequest};
use crate::core::event::{Event, Refusal, RefusalCode};
use crate::core::forward::publication::Publication;
use crate::core::ids::{ParticipantKey, PublicationKey, RequestId, TrackId, TransportKey};
use crate::core::negotiation::offer::Offer;
use crate::core::outbox::{Outbox, RoomOutput};
use crate::core::session::Agreement;

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
            self.ice_restarted(on, outbox);
        }
        let transport = &mut self.transports[on.0];
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

    /// Makes the new ufrag of a transport lead to it, because ICE was restarted.
    pub(super) fn ice_restarted(&mut self, on: TransportKey, outbox: &mut Outbox) {
        let transport = &mut self.transports[on.0];
        // The client gathers candidates anew, so it may check from as many new addresses again.
        transport.addresses_checked = 0;
        let ufrag = transport.session().ufrag().to_owned();
        transport.ufrags.push(ufrag.clone());
        outbox.outputs.push(RoomOutput::BindUfrag(on, ufrag));
        if transport.ufrags.len() > UFRAGS {
            outbox.outputs.push(RoomOutput::UnbindUfrag(transport.ufrags.remove(0)));
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
            // Existing tracks are updated too, because a section may declare other SSRCs than before.
            self.take_section(now, on, publication, request);
        }
        added
    }

    pub(super) fn mute(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        track: TrackId,
        muted: bool,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let key = self.own_track(from, track)?;
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

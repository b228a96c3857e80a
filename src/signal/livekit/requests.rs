//! What LiveKit clients ask for once they have joined, made into the core's commands.

use std::collections::BTreeSet;
use std::time::Instant;

use super::front_end::{LiveKitFrontEnd, Shared};
use super::messages::{
    AddTrackRequest, MuteTrackRequest, SessionDescription, SimulateScenario, SubscriptionPermission,
    TrackInfo, UpdateParticipantMetadata, UpdateSubscription, UpdateTrackSettings, numbers,
};
use super::preferred;
use super::reaction::{LiveKitReaction, ask, command, leave, request_id, say};
use super::sections::OfferedSections;
use super::tracks::BadTrack;
use super::trials::Trial;
use crate::core::audience::{AllowedTracks, Audience};
use crate::core::command::{Command, Join, Preference, Priority, Wish};
use crate::core::event::{Refusal, RefusalCode};
use crate::core::ids::{Mid, TrackId};
use crate::core::msid::{participant_of_sid, track_of_sid};
use crate::core::profile::ProfileChange;
use crate::limits::{DATA_BYTES_PER_RECIPIENT, FAULTS_MAX, PREFERENCES_PER_MESSAGE, RECIPIENTS_PER_MESSAGE};
use crate::signal::native::{Close, refusals};

impl LiveKitFrontEnd {
    pub(super) fn receive_offer(
        &mut self,
        now: Instant,
        offer: &SessionDescription,
        mut all: Shared<'_>,
    ) -> LiveKitReaction {
        let is_allowed =
            self.offers.take(now, 1.0) && all.as_deref_mut().is_none_or(|all| all.offers.take(now, 1.0));
        if !is_allowed {
            return self.fault(now, refusals::offers_too_fast(self.limits.offers_per_second));
        }
        self.requirement.offer_came();
        let offered = match OfferedSections::read(&offer.sdp) {
            Ok(offered) => offered,
            Err(refused) => {
                let action = "correct the offer";
                return self.refuse_offer(&Refusal::new(RefusalCode::BadOffer, refused.message, action));
            }
        };
        let before: BTreeSet<Mid> = self.tracks.mids().collect();
        let publications = self.tracks.publish(&offered);
        let after: BTreeSet<Mid> = self.tracks.mids().collect();
        let changed = before.symmetric_difference(&after).count();
        if !self.take(now, self.people.count() * changed / RECIPIENTS_PER_MESSAGE, all) {
            return self.too_many_messages(now);
        }
        let request = request_id('o', offer.id);
        self.offering = Some((offer.id, offered));
        let sdp = preferred::put_first(&offer.sdp, |mid| self.tracks.codec_in(mid));
        let asked = Command::Offer { sdp, publications };
        LiveKitReaction { demands: vec![command(request, asked)], ..LiveKitReaction::default() }
    }

    pub(super) fn add_track(&mut self, now: Instant, request: AddTrackRequest) -> LiveKitReaction {
        match self.tracks.announce(request) {
            Ok(label) => ask(Command::ReserveTrack(Box::new(label))),
            Err(bad) => {
                let message = match bad {
                    BadTrack::Kind => "a track is audio or video, and so is its source",
                    BadTrack::Name => "a track needs a cid, and there is a limit to what is said of it",
                };
                self.fault(now, Refusal::new(RefusalCode::BadMessage, message, "correct add_track"))
            }
        }
    }

    pub(super) fn mute(&mut self, now: Instant, mute: &MuteTrackRequest, all: Shared<'_>) -> LiveKitReaction {
        if !self.take(now, self.people.count() / RECIPIENTS_PER_MESSAGE, all) {
            return self.too_many_messages(now);
        }
        let Some(track) = track_of_sid(&mute.sid) else { return LiveKitReaction::default() };
        if self.tracks.set_muted(track, mute.muted) {
            ask(Command::Mute { track, muted: mute.muted })
        } else {
            LiveKitReaction::default()
        }
    }

    pub(super) fn subscribe(
        &mut self,
        now: Instant,
        subscription: UpdateSubscription,
        all: Shared<'_>,
    ) -> LiveKitReaction {
        let by_person = subscription.participant_tracks.into_iter().flat_map(|tracks| tracks.track_sids);
        let tracks: BTreeSet<TrackId> = subscription
            .track_sids
            .into_iter()
            .chain(by_person)
            .filter_map(|sid| track_of_sid(&sid))
            .collect();
        if !self.take(now, tracks.len() / PREFERENCES_PER_MESSAGE, all) {
            return self.too_many_messages(now);
        }
        if self.subscriber.is_some() {
            let mut reaction = LiveKitReaction::default();
            for track in tracks {
                reaction.and(self.receive_track(track, subscription.subscribe));
            }
            return reaction;
        }
        let demand = |track: TrackId| {
            let asked =
                if subscription.subscribe { Command::Subscribe(track) } else { Command::Unsubscribe(track) };
            command(request_id('s', track), asked)
        };
        LiveKitReaction { demands: tracks.into_iter().map(demand).collect(), ..LiveKitReaction::default() }
    }

    pub(super) fn prefer(
        &mut self,
        now: Instant,
        settings: &UpdateTrackSettings,
        all: Shared<'_>,
    ) -> LiveKitReaction {
        let tracks: BTreeSet<TrackId> =
            settings.track_sids.iter().filter_map(|sid| track_of_sid(sid)).collect();
        if tracks.is_empty() || !self.take(now, tracks.len() / PREFERENCES_PER_MESSAGE, all) {
            return LiveKitReaction::default();
        }
        let size = |pixels: u32| u16::try_from(pixels).ok().filter(|pixels| *pixels > 0);
        let preference = |track: TrackId| {
            let by_quality =
                || self.people.track(track).and_then(|(_, info)| height_of(&info, settings.quality));
            let (width, height) = (size(settings.width), size(settings.height));
            let is_sized = width.is_some() || height.is_some();
            let height = if is_sized { height } else { by_quality().and_then(size) };
            let frame_rate = size(settings.fps);
            let wish =
                Wish { width, height, frame_rate, priority: Priority::Medium, paused: settings.disabled };
            Preference { track, wish }
        };
        ask(Command::Prefer(tracks.into_iter().map(preference).collect()))
    }

    pub(super) fn update_profile(
        &mut self,
        now: Instant,
        asked: UpdateParticipantMetadata,
        all: Shared<'_>,
    ) -> LiveKitReaction {
        let name = Join::display_name(&asked.name).map(str::to_owned);
        let change = ProfileChange { name, metadata: Some(asked.metadata), attributes: asked.attributes };
        let told = self.people.count() * change.bytes().div_ceil(DATA_BYTES_PER_RECIPIENT).max(1);
        if self.changes.len() >= FAULTS_MAX as usize || !self.take(now, told / RECIPIENTS_PER_MESSAGE, all) {
            return self.too_many_messages(now);
        }
        self.changes.insert(asked.request_id, change.clone());
        let request = request_id('m', asked.request_id);
        let demands = vec![command(request, Command::UpdateProfile(change))];
        LiveKitReaction { demands, ..LiveKitReaction::default() }
    }

    /// Says who may receive the client's tracks.
    pub(super) fn set_audience(
        &mut self,
        now: Instant,
        permission: SubscriptionPermission,
        all: Shared<'_>,
    ) -> LiveKitReaction {
        if !self.take(now, self.people.count() / RECIPIENTS_PER_MESSAGE, all) {
            return self.too_many_messages(now);
        }
        let mut audience = Audience::default();
        for one in permission.track_permissions {
            let id = participant_of_sid(&one.participant_sid);
            let Some(target) = self.people.target(&one.participant_identity, id) else { continue };
            let tracks = one.track_sids.iter().filter_map(|sid| track_of_sid(sid));
            // What others publish is not the client's to say.
            let tracks = tracks.filter(|track| self.tracks.has(*track));
            let tracks =
                if one.all_tracks { AllowedTracks::All } else { AllowedTracks::These(tracks.collect()) };
            audience.allow(target, tracks);
        }
        ask(Command::SetAudience((!permission.all_participants).then(|| Box::new(audience))))
    }

    /// Has happen to a client what it wants to try.
    pub(super) fn simulate(&mut self, now: Instant, scenario: &SimulateScenario) -> LiveKitReaction {
        let close = Some(Close::GoingAway);
        let trial = |trial| LiveKitReaction { trial: Some(trial), ..LiveKitReaction::default() };
        if scenario.leave_request_full_reconnect {
            say(&leave(0, numbers::RECONNECT))
        } else if scenario.server_leave {
            say(&leave(3, numbers::DISCONNECT))
        } else if scenario.migration {
            LiveKitReaction { close, ..say(&leave(0, numbers::RESUME)) }
        } else if scenario.node_failure {
            // Nobody is left who could be taken up again, and nobody says so.
            LiveKitReaction { close, ..ask(Command::Leave) }
        } else if scenario.disconnect_signal_on_resume {
            trial(Trial::BreakWhenResumed)
        } else if scenario.disconnect_signal_on_resume_no_messages {
            trial(Trial::BreakBeforeResumed)
        } else if let Some(seconds) = scenario.speaker_update {
            self.pretend_to_speak(now, seconds)
        } else if let Some(rate) = scenario.subscriber_bandwidth {
            ask(Command::LimitBandwidth(u64::try_from(rate).ok().filter(|rate| *rate > 0)))
        } else {
            match scenario.switch_candidate_protocol {
                Some(numbers::BY_TCP) => trial(Trial::ForceTcp),
                Some(numbers::BY_TLS) => trial(Trial::ForceTls),
                _ => LiveKitReaction::default(),
            }
        }
    }
}

/// Returns how high the pictures of a track's encoding of that quality are, in pixels, as its client has said.
fn height_of(info: &TrackInfo, quality: i32) -> Option<u32> {
    if info.layers.is_empty() {
        // Nobody has said what there is, so it is what clients of LiveKit make of a camera.
        return match quality {
            0 => Some(180),
            1 => Some(360),
            _ => None,
        };
    }
    info.layers.iter().find(|layer| layer.quality == quality).map(|layer| layer.height)
}

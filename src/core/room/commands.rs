//! Participants' commands: each is handed to the part of the room that carries it out, and answered.

use std::time::Instant;

use super::Room;
use crate::core::command::{Command, Moderation, PublicationRequest};
use crate::core::event::{Event, LeaveReason, Refusal, RefusalCode};
use crate::core::ids::{ParticipantKey, RequestId};
use crate::core::mutation::mutated;
use crate::core::outbox::Outbox;

/// Returns the refusal of what somebody's token does not allow.
pub(super) fn not_permitted(what: &str) -> Refusal {
    Refusal::new(
        RefusalCode::NotPermitted,
        format!("you may not {what} in this room"),
        "ask whoever gives out the tokens for one that allows it",
    )
}

fn no_transport() -> Refusal {
    Refusal::new(
        RefusalCode::BadOffer,
        "you have no transport to negotiate",
        "join with one, or have one added first",
    )
}

/// Returns the refusal of a resume that names nobody in the room.
pub fn unknown_participant() -> Refusal {
    Refusal::new(
        RefusalCode::UnknownParticipant,
        "there is no such participant, or not any longer",
        "join the room again",
    )
}

impl Room {
    pub(super) fn handle_command(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        request: Option<RequestId>,
        command: Command,
        outbox: &mut Outbox,
    ) {
        self.note_asked(now, from);
        if let Err(refusal) = self.check_grants(from, &command) {
            return outbox.event(from, Event::Refused(request, refusal));
        }
        let done = match command {
            Command::Offer { sdp, publications } => {
                return self.take_offer(now, (from, request), &sdp, &publications, outbox);
            }
            Command::ReserveTrack(label) => return self.reserve_track(from, request, label, outbox),
            Command::Leave => {
                // They are told first, because afterwards they are no longer a member.
                outbox.event(from, Event::Left(request));
                if mutated!(LeaverStays) {
                    return;
                }
                self.remove(now, from, LeaveReason::Left, outbox);
                return;
            }
            Command::Moderate(Moderation::End) => {
                // They are told first, as when they leave. Nothing of it can be refused.
                outbox.event(from, Event::Done(request));
                let _ = self.moderate(now, Some(from), Moderation::End, outbox);
                return;
            }
            Command::Moderate(moderation) => self.moderate(now, Some(from), moderation, outbox),
            Command::Mute { track, muted } => self.mute(now, from, track, muted, outbox),
            Command::Subscribe(track) => self.subscribe(now, from, track, outbox),
            Command::Unsubscribe(track) => self.unsubscribe(now, from, track, outbox),
            Command::Pause { track, paused } => self.pause(now, from, track, paused),
            Command::Pin { track, pinned } => self.pin(now, from, track, pinned),
            Command::Prefer(preferences) => self.prefer(now, from, &preferences),
            Command::SetAudience(audience) => self.set_audience(now, from, audience, outbox),
            Command::LimitBandwidth(most) => self.limit_bandwidth(from, most),
            Command::UpdateProfile(change) => self.change_profile(from, &change, false, outbox),
            Command::Report { about, reason, text } => self.report(now, from, (about, reason, text), outbox),
            Command::Data { to, topic, payload, is_lossy } => {
                self.pass_data(from, to.as_deref(), (&topic, &payload, is_lossy), outbox)
            }
            command @ (Command::OpenTransport { .. }
            | Command::ConnectTransport { .. }
            | Command::RestartTransport { .. }
            | Command::CloseTransport { .. }
            | Command::Produce { .. }
            | Command::CloseProducer { .. }
            | Command::Consume { .. }) => return self.parametric(now, from, request, command, outbox),
            command @ (Command::ReadChannels | Command::ToChannel { .. }) => {
                self.use_channels(now, from, command, outbox)
            }
            Command::DataTracks(command) => return self.handle_data_tracks(from, request, command, outbox),
            Command::Mesh(command) => self.handle_mesh(now, from, command, outbox),
        };
        match done {
            Ok(()) => outbox.event(from, Event::Done(request)),
            Err(refusal) => outbox.event(from, Event::Refused(request, refusal)),
        }
    }

    /// Negotiates the transport with which a member has joined.
    fn take_offer(
        &mut self,
        now: Instant,
        (from, request): (ParticipantKey, Option<RequestId>),
        sdp: &str,
        publications: &[PublicationRequest],
        outbox: &mut Outbox,
    ) {
        let makes_offers = self.participants[from.0].makes_offers();
        if makes_offers {
            self.renew_for_offer(now, from, sdp, outbox);
        }
        match self.transports_of(from).first().filter(|_| makes_offers) {
            Some(&transport) => self.negotiate(now, transport, request, sdp, publications, outbox),
            None => outbox.event(from, Event::Refused(request, no_transport())),
        }
    }

    /// Checks that what somebody asks for is granted to them.
    ///
    /// # Errors
    /// It is not.
    fn check_grants(&self, from: ParticipantKey, command: &Command) -> Result<(), Refusal> {
        let grants = self.participants[from.0].grants;
        let (granted, what) = match command {
            Command::Subscribe(_) | Command::Consume { .. } => {
                (grants.subscribe, "receive the tracks of others")
            }
            Command::Data { .. } => {
                (grants.send_data || mutated!(DataPermissionIgnored), "send messages to others")
            }
            Command::UpdateProfile(_) => {
                (grants.update_own_profile, "change your name, metadata or attributes")
            }
            Command::Moderate(_) => (grants.moderate, "moderate"),
            // What an offer publishes is judged section by section.
            _ => (true, ""),
        };
        if granted { Ok(()) } else { Err(not_permitted(what)) }
    }
}

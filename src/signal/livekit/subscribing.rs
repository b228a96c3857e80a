//! What a LiveKit client receives by version 0 of the signalling: tracks that are consumed one by one, on a connection for which
//! we make the offers.

use std::collections::BTreeSet;

use super::front_end::LiveKitFrontEnd;
use super::messages::{
    SessionDescription, SignalResponse, SubscriptionPermissionUpdate, SubscriptionResponse, numbers,
};
use super::reaction::{LiveKitReaction, command, encoded, leave, request_id, say};
use super::subscriber::Next;
use crate::core::command::Command;
use crate::core::event::{Event, Refusal, RefusalCode, Resumed};
use crate::core::ids::{ParticipantId, TrackId};
use crate::core::msid::{participant_sid, track_sid};

impl LiveKitFrontEnd {
    /// Takes the client's answer to an offer of ours.
    pub(super) fn receive_answer(&mut self, answer: &SessionDescription) -> LiveKitReaction {
        let next = self.subscriber.as_mut().map(|subscriber| subscriber.answered(answer));
        next.map(|next| self.follow(next)).unwrap_or_default()
    }

    /// Receives a track from now on, or no longer, where the client receives on a connection of its own.
    pub(super) fn receive_track(&mut self, track: TrackId, wanted: bool) -> LiveKitReaction {
        let msid = self.people.msid(track);
        self.shut_out.remove(&track);
        let Some(subscriber) = &mut self.subscriber else { return LiveKitReaction::default() };
        if wanted {
            self.unwanted.remove(&track);
        } else if msid.is_some() {
            self.unwanted.insert(track);
        }
        let next = match msid {
            Some(msid) if wanted => subscriber.subscribe(track, msid),
            None if wanted => return say(&cannot_receive(track, numbers::TRACK_NOT_FOUND)),
            _ => subscriber.unsubscribe(track),
        };
        self.follow(next)
    }

    /// Receives again what the client wanted and could not have while it might receive nothing, and tells it that it may.
    pub(super) fn receive_again(&mut self) -> LiveKitReaction {
        let mut reaction = LiveKitReaction::default();
        for track in std::mem::take(&mut self.shut_out) {
            if let Some((owner, _)) = self.people.track(track) {
                reaction.say.push(encoded(&permission_update(track, owner, true)));
                reaction.and(self.receive_track(track, true));
            }
        }
        reaction
    }

    /// Receives every track that there is and that the client has not said it does not want, if it wants that without asking.
    pub(super) fn receive_all(&mut self) -> LiveKitReaction {
        let mut all = LiveKitReaction::default();
        let may_receive = self.me.as_ref().is_some_and(|me| me.grants.subscribe);
        if self.auto_subscribe && may_receive && self.subscriber.is_some() {
            let known: Vec<TrackId> =
                self.people.tracks().filter(|track| !self.unwanted.contains(track)).collect();
            for track in known {
                let LiveKitReaction { demands, say, .. } = self.receive_track(track, true);
                all.demands.extend(demands);
                all.say.extend(say);
            }
        }
        all
    }

    /// Goes on with what the client received before its signalling broke, and with what has come since.
    pub(super) fn take_up_subscriber(&mut self, resumed: &Resumed) -> LiveKitReaction {
        let sent: BTreeSet<TrackId> = resumed.subscriptions.iter().map(|(track, _)| *track).collect();
        let Some(subscriber) = &mut self.subscriber else { return LiveKitReaction::default() };
        let next = subscriber.take_up(&sent);
        let mut reaction = self.follow(next);
        // What the core was asked for without its answer having been heard is sent, and has no section.
        let is_new = |track: &TrackId| self.auto_subscribe && !resumed.unsubscribed.contains(track);
        let wanted =
            |track: &TrackId| sent.contains(track) || (resumed.joined.grants.subscribe && is_new(track));
        let known: Vec<TrackId> = self.people.tracks().filter(wanted).collect();
        for track in known {
            reaction.and(self.receive_track(track, true));
        }
        reaction
    }

    /// Takes what the core says of the connection on which the client receives, and of the tracks on it.
    pub(super) fn subscriber_event(&mut self, event: &Event) -> LiveKitReaction {
        match event {
            Event::TrackAdded(info) => {
                let may_receive = self.me.as_ref().is_some_and(|me| me.grants.subscribe);
                if self.auto_subscribe && may_receive {
                    return self.receive_track(info.track, true);
                }
                return LiveKitReaction::default();
            }
            Event::ConsumerWanted(track, wanted) => return self.receive_track(*track, *wanted),
            // Nothing but a new call makes a new connection.
            Event::TransportEnded(_) => return say(&leave(0, numbers::RECONNECT)),
            _ => {}
        }
        let Some(subscriber) = &mut self.subscriber else { return LiveKitReaction::default() };
        if let Event::ConsumerEnded(track) = event {
            // It may come in another codec than before. Whoever may receive it is offered that in a new section.
            let next = subscriber.ended(*track);
            let mut reaction = self.follow(next);
            let is_allowed = self.me.as_ref().is_some_and(|me| me.grants.subscribe);
            if is_allowed && !self.shut_out.contains(track) {
                reaction.and(self.receive_track(*track, true));
            } else if !is_allowed {
                // It is received again when it may be.
                self.shut_out.insert(*track);
            }
            return reaction;
        }
        let next = match event {
            Event::TransportOpened(_, opened) => subscriber.opened(opened),
            Event::Consumed(_, consumed) => subscriber.consumed(consumed),
            Event::TrackRemoved(track, _) => {
                self.shut_out.remove(track);
                self.unwanted.remove(track);
                subscriber.ended(*track)
            }
            _ => Next::default(),
        };
        self.follow(next)
    }

    /// Tells the client whether a track's owner lets it receive it.
    pub(super) fn subscription_permission(
        &mut self,
        track: TrackId,
        owner: ParticipantId,
        allowed: bool,
    ) -> LiveKitReaction {
        let mut reaction = say(&permission_update(track, owner, allowed));
        let is_shown = self.subscriber.as_ref().is_some_and(|subscriber| subscriber.shows(track));
        if allowed && self.shut_out.remove(&track) {
            reaction.and(self.receive_track(track, true));
        } else if !allowed && is_shown {
            self.shut_out.insert(track);
        }
        reaction
    }

    /// Tells the client that a track which it is to receive is not to be had.
    pub(super) fn consume_refused(&mut self, track: &str, refusal: &Refusal) -> LiveKitReaction {
        let (Ok(track), Some(subscriber)) = (track.parse::<TrackId>(), &mut self.subscriber) else {
            return LiveKitReaction::default();
        };
        let next = subscriber.refused(track);
        let mut reaction = self.follow(next);
        if refusal.code == RefusalCode::NotPermitted
            && let Some((owner, _)) = self.people.track(track)
        {
            self.shut_out.insert(track);
            reaction.say.push(encoded(&permission_update(track, owner, false)));
            return reaction;
        }
        let why = match refusal.code {
            RefusalCode::CannotConsume => numbers::CODEC_UNSUPPORTED,
            _ => numbers::TRACK_NOT_FOUND,
        };
        reaction.say.push(encoded(&cannot_receive(track, why)));
        reaction
    }

    fn follow(&mut self, next: Next) -> LiveKitReaction {
        let Next { commands, offer, unsupported } = next;
        let demand = |asked: Command| {
            let request = match &asked {
                Command::Consume { track, .. } => request_id('c', track),
                Command::OpenTransport { .. } => request_id('x', ""),
                Command::RestartTransport { .. } => request_id('i', ""),
                _ => None,
            };
            command(request, asked)
        };
        let mut reaction = LiveKitReaction {
            demands: commands.into_iter().map(demand).collect(),
            ..LiveKitReaction::default()
        };
        if let Some(offer) = offer {
            let offer = SignalResponse { offer: Some(offer), ..SignalResponse::default() };
            reaction.say.push(encoded(&offer));
        }
        let refused = unsupported.into_iter().map(|track| cannot_receive(track, numbers::CODEC_UNSUPPORTED));
        reaction.say.extend(refused.map(|message| encoded(&message)));
        reaction
    }
}

fn permission_update(track: TrackId, owner: ParticipantId, allowed: bool) -> SignalResponse {
    let update = SubscriptionPermissionUpdate {
        participant_sid: participant_sid(owner),
        track_sid: track_sid(track),
        allowed,
    };
    SignalResponse { subscription_permission_update: Some(update), ..SignalResponse::default() }
}

fn cannot_receive(track: TrackId, why: i32) -> SignalResponse {
    let response = SubscriptionResponse { track_sid: track_sid(track), err: why };
    SignalResponse { subscription_response: Some(response), ..SignalResponse::default() }
}

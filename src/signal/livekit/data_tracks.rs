//! Data tracks of a LiveKit client: what it publishes of them, what it is told of those of others, and by what numbers packets
//! name those that it receives. The packets themselves do not come here: the core passes them on.

use std::time::Instant;

use prost::Message as _;

use super::front_end::{LiveKitFrontEnd, Shared};
use super::messages::{
    DataTrackInfo, DataTrackSubscriberHandles, PublishDataTrackRequest, PublishDataTrackResponse,
    PublishedDataTrack, RequestResponse, SignalResponse, SubscriberHandle, UnpublishDataTrackRequest,
    UnpublishDataTrackResponse, UpdateDataSubscription, numbers,
};
use super::reaction::{LiveKitReaction, command, request_id, say, update};
use crate::core::command::Command;
use crate::core::data_tracks::{DataTrack, DataTrackCommand};
use crate::core::event::{Event, Refusal, RefusalCode};
use crate::core::ids::TrackId;
use crate::core::msid::{participant_sid, track_of_sid, track_sid};
use crate::limits::{PREFERENCES_PER_MESSAGE, RECIPIENTS_PER_MESSAGE};

impl LiveKitFrontEnd {
    pub(super) fn publish_data_track(
        &mut self,
        now: Instant,
        request: PublishDataTrackRequest,
        all: Shared<'_>,
    ) -> LiveKitReaction {
        if !self.take(now, self.people.count() / RECIPIENTS_PER_MESSAGE, all) {
            return self.too_many_messages(now);
        }
        let handle = match self.data_tracks.check(&request) {
            Ok(handle) => handle,
            Err(reason) => return say(&not_published(request, reason, "")),
        };
        let name = request.name.clone();
        // As others are told of it, without what the core knows.
        let details = DataTrackInfo {
            encryption: request.encryption,
            frame_encoding: request.frame_encoding.clone(),
            schema: request.schema.clone(),
            ..DataTrackInfo::default()
        };
        self.data_tracks.asked.insert(handle, request);
        let publish = DataTrackCommand::Publish { handle, name, details: details.encode_to_vec() };
        let demands = vec![command(request_id('d', handle), Command::DataTracks(publish))];
        LiveKitReaction { demands, ..LiveKitReaction::default() }
    }

    pub(super) fn unpublish_data_track(
        &mut self,
        now: Instant,
        request: &UnpublishDataTrackRequest,
        all: Shared<'_>,
    ) -> LiveKitReaction {
        if !self.take(now, self.people.count() / RECIPIENTS_PER_MESSAGE, all) {
            return self.too_many_messages(now);
        }
        let Ok(handle) = u16::try_from(request.pub_handle) else { return LiveKitReaction::default() };
        let is_asked = self.data_tracks.asked.remove(&handle).is_some();
        let published = self.data_tracks.published.remove(&handle);
        if !is_asked && published.is_none() {
            return LiveKitReaction::default();
        }
        let info =
            published.or(Some(DataTrackInfo { pub_handle: request.pub_handle, ..DataTrackInfo::default() }));
        let response = UnpublishDataTrackResponse { info };
        let unpublish = Command::DataTracks(DataTrackCommand::Unpublish { handle });
        LiveKitReaction {
            demands: vec![command(None, unpublish)],
            ..say(&SignalResponse {
                unpublish_data_track_response: Some(response),
                ..SignalResponse::default()
            })
        }
    }

    pub(super) fn subscribe_to_data(
        &mut self,
        now: Instant,
        request: &UpdateDataSubscription,
        all: Shared<'_>,
    ) -> LiveKitReaction {
        if !self.take(now, request.updates.len() / PREFERENCES_PER_MESSAGE, all) {
            return self.too_many_messages(now);
        }
        let mut reaction = LiveKitReaction::default();
        for one in &request.updates {
            let Some(track) = track_of_data_sid(&one.track_sid) else { continue };
            let asked = if one.subscribe {
                DataTrackCommand::Subscribe(track)
            } else {
                DataTrackCommand::Unsubscribe(track)
            };
            reaction.demands.push(command(None, Command::DataTracks(asked)));
        }
        reaction
    }

    /// Takes what the core says of data tracks.
    pub(super) fn data_track_event(&mut self, event: &Event) -> LiveKitReaction {
        match event {
            Event::DataTrackPublished(request, track) => {
                let handle = request.as_ref().and_then(|request| request.0.get(1..)?.parse().ok());
                handle.map(|handle| self.data_track_published(handle, *track)).unwrap_or_default()
            }
            Event::DataTracks(owner, tracks)
                if self.me.as_ref().is_some_and(|me| me.participant == *owner) =>
            {
                self.data_tracks.published = tracks.iter().map(|track| (track.handle, info(track))).collect();
                LiveKitReaction::default()
            }
            Event::DataTracks(owner, tracks) => {
                let infos = tracks.iter().map(info).collect();
                let changed = self.people.set_data_tracks(*owner, infos);
                changed.map(|info| say(&update(vec![info]))).unwrap_or_default()
            }
            Event::DataTrackHandle(track, handle) => self.data_track_handle(*track, *handle),
            _ => LiveKitReaction::default(),
        }
    }

    fn data_track_published(&mut self, handle: u16, track: TrackId) -> LiveKitReaction {
        // The client may have given it up meanwhile.
        let Some(asked) = self.data_tracks.asked.remove(&handle) else { return LiveKitReaction::default() };
        let info = DataTrackInfo {
            pub_handle: asked.pub_handle,
            sid: data_sid(track),
            name: asked.name,
            encryption: asked.encryption,
            frame_encoding: asked.frame_encoding,
            schema: asked.schema,
        };
        self.data_tracks.published.insert(handle, info.clone());
        let response = PublishDataTrackResponse { info: Some(info) };
        say(&SignalResponse { publish_data_track_response: Some(response), ..SignalResponse::default() })
    }

    fn data_track_handle(&self, track: TrackId, handle: u16) -> LiveKitReaction {
        let sid = data_sid(track);
        let Some((owner, identity)) = self.people.owner_of_data(&sid) else {
            return LiveKitReaction::default();
        };
        let value = PublishedDataTrack {
            publisher_identity: identity.to_owned(),
            publisher_sid: participant_sid(owner),
            track_sid: sid,
        };
        let handles = DataTrackSubscriberHandles {
            sub_handles: vec![SubscriberHandle { key: u32::from(handle), value: Some(value) }],
        };
        say(&SignalResponse { data_track_subscriber_handles: Some(handles), ..SignalResponse::default() })
    }

    /// Tells the client that a data track is not published.
    pub(super) fn data_track_refused(&mut self, handle: &str, refusal: &Refusal) -> LiveKitReaction {
        let asked = handle.parse().ok().and_then(|handle: u16| self.data_tracks.asked.remove(&handle));
        let Some(asked) = asked else { return LiveKitReaction::default() };
        let reason = match refusal.code {
            RefusalCode::NotPermitted => numbers::NOT_ALLOWED,
            RefusalCode::TooManyTracks => numbers::LIMIT_EXCEEDED,
            _ => numbers::UNCLASSIFIED,
        };
        say(&not_published(asked, reason, &refusal.message))
    }
}

fn not_published(request: PublishDataTrackRequest, reason: i32, message: &str) -> SignalResponse {
    let message = message.to_owned();
    let publish_data_track = Some(request);
    let response = RequestResponse { reason, message, publish_data_track, ..RequestResponse::default() };
    SignalResponse { request_response: Some(response), ..SignalResponse::default() }
}

/// Returns what a client is told of a data track.
fn info(track: &DataTrack) -> DataTrackInfo {
    let said = DataTrackInfo::decode(track.details.as_slice()).unwrap_or_default();
    DataTrackInfo {
        pub_handle: u32::from(track.handle),
        sid: data_sid(track.track),
        name: track.name.clone(),
        ..said
    }
}

/// Returns LiveKit's id of a data track: `DTR_` and the digits of the id.
fn data_sid(track: TrackId) -> String {
    format!("D{}", track_sid(track))
}

fn track_of_data_sid(sid: &str) -> Option<TrackId> {
    track_of_sid(sid.strip_prefix('D')?)
}

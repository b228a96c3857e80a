//! Data tracks in a room: who publishes them, who is told of them, and where their frames go. Only members whose front ends read
//! their data channels themselves know them.

use crate::core::channels::ChannelRequest;
use crate::core::data_tracks::{
    self, DETAILS_BYTES_MAX, DataTrack, DataTrackCommand, NAME_BYTES_MAX, PUBLISHED_MAX, Published,
    SUBSCRIBED_MAX,
};
use crate::core::event::{Event, Refusal, RefusalCode};
use crate::core::ids::{ParticipantKey, RequestId, TrackId};
use crate::core::outbox::Outbox;
use crate::core::room::Room;
use crate::core::room::commands::not_permitted;
use crate::core::room::subscriptions::unknown_track;

fn too_many(what: &str, most: usize) -> Refusal {
    let message = format!("you {what} {most} data tracks already, and no more are allowed");
    Refusal::new(RefusalCode::TooManyTracks, message, "end one that you do not need")
}

impl Room {
    /// Carries out what a member asks for of data tracks, and tells them.
    pub(in crate::core::room) fn handle_data_tracks(
        &mut self,
        from: ParticipantKey,
        request: Option<RequestId>,
        command: DataTrackCommand,
        outbox: &mut Outbox,
    ) {
        let done = match command {
            DataTrackCommand::Publish { handle, name, details } => {
                match self.publish_data_track(from, (handle, name, details)) {
                    Ok(track) => {
                        outbox.event(from, Event::DataTrackPublished(request, track));
                        self.tell_data_tracks(from, outbox);
                        return;
                    }
                    Err(refusal) => Err(refusal),
                }
            }
            DataTrackCommand::Unpublish { handle } => self.unpublish_data_track(from, handle, outbox),
            DataTrackCommand::Subscribe(track) => self.subscribe_to_data(from, track, outbox),
            DataTrackCommand::Unsubscribe(track) => {
                self.unsubscribe_from_data(from, track);
                Ok(())
            }
        };
        match done {
            Ok(()) => outbox.event(from, Event::Done(request)),
            Err(refusal) => outbox.event(from, Event::Refused(request, refusal)),
        }
    }

    fn publish_data_track(
        &mut self,
        from: ParticipantKey,
        (handle, name, details): (u16, String, Vec<u8>),
    ) -> Result<TrackId, Refusal> {
        let participant = &mut self.participants[from.0];
        if !participant.grants.send_data {
            return Err(not_permitted("publish data tracks"));
        }
        let published = &participant.data_tracks.published;
        if published.len() >= PUBLISHED_MAX {
            return Err(too_many("publish", PUBLISHED_MAX));
        }
        let is_taken = published.iter().any(|one| one.info.handle == handle || one.info.name == name);
        let is_named = (1..=NAME_BYTES_MAX).contains(&name.len()) && details.len() <= DETAILS_BYTES_MAX;
        if is_taken || handle == 0 || !is_named {
            return Err(Refusal::new(
                RefusalCode::BadMessage,
                "a data track needs a handle and a name that no other of yours has, and there is a limit to what is said of it",
                "publish it with another handle and another name",
            ));
        }
        let track = TrackId(participant.rng.u64());
        let info = DataTrack { track, handle, name, details };
        participant.data_tracks.published.push(Published { info, subscribers: Vec::new() });
        Ok(track)
    }

    fn unpublish_data_track(
        &mut self,
        from: ParticipantKey,
        handle: u16,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let published = &mut self.participants[from.0].data_tracks.published;
        let place = published.iter().position(|one| one.info.handle == handle).ok_or_else(unknown_track)?;
        let ended = published.remove(place);
        self.end_data_subscriptions(&ended);
        self.tell_data_tracks(from, outbox);
        Ok(())
    }

    /// Receives a data track, whose owner is somebody else.
    fn subscribe_to_data(
        &mut self,
        from: ParticipantKey,
        track: TrackId,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        if !self.participants[from.0].grants.subscribe {
            return Err(not_permitted("receive the tracks of others"));
        }
        let owner = self.owner_of_data(track).filter(|owner| *owner != from).ok_or_else(unknown_track)?;
        let handle = self.participants[from.0].data_tracks.subscribe(track);
        let handle = handle.ok_or_else(|| too_many("receive", SUBSCRIBED_MAX))?;
        let mut published = self.participants[owner.0].data_tracks.published.iter_mut();
        if let Some(published) = published.find(|one| one.info.track == track)
            && !published.subscribers.iter().any(|(other, _)| *other == from)
        {
            published.subscribers.push((from, handle));
        }
        outbox.event(from, Event::DataTrackHandle(track, handle));
        Ok(())
    }

    fn unsubscribe_from_data(&mut self, from: ParticipantKey, track: TrackId) {
        let was_subscribed = self.participants[from.0].data_tracks.unsubscribe(track);
        let owner = self.owner_of_data(track).filter(|_| was_subscribed);
        let Some(owner) = owner else { return };
        for published in &mut self.participants[owner.0].data_tracks.published {
            if published.info.track == track {
                published.subscribers.retain(|(other, _)| *other != from);
            }
        }
    }

    fn owner_of_data(&self, track: TrackId) -> Option<ParticipantKey> {
        let owns = |key: &ParticipantKey| {
            let tracks = &self.participants[key.0].data_tracks;
            tracks.published.iter().any(|one| one.info.track == track)
        };
        self.order.iter().copied().find(owns)
    }

    fn end_data_subscriptions(&mut self, ended: &Published) {
        for (subscriber, _) in &ended.subscribers {
            if let Some(subscriber) = self.participants.get_mut(subscriber.0) {
                subscriber.data_tracks.unsubscribe(ended.info.track);
            }
        }
    }

    /// Ends what a member publishes and receives of data tracks, who leaves. The others are told that they have left.
    pub(in crate::core::room) fn end_data_tracks(&mut self, of: ParticipantKey) {
        for ended in std::mem::take(&mut self.participants[of.0].data_tracks.published) {
            self.end_data_subscriptions(&ended);
        }
        for place in 0..self.order.len() {
            let key = self.order[place];
            for published in &mut self.participants[key.0].data_tracks.published {
                published.subscribers.retain(|(other, _)| *other != of);
            }
        }
    }

    fn knows_data_tracks(&self, key: ParticipantKey) -> bool {
        let channels = self.participants[key.0].channels.as_ref();
        channels.is_some_and(|channels| channels.is_foreign)
    }

    /// Tells everybody else who knows data tracks what a member publishes of them now.
    fn tell_data_tracks(&self, of: ParticipantKey, outbox: &mut Outbox) {
        let owner = &self.participants[of.0];
        for key in self.order.iter().copied().filter(|key| *key != of && self.knows_data_tracks(*key)) {
            outbox.event(key, Event::DataTracks(owner.id, owner.data_tracks.infos()));
        }
    }

    /// Tells a member who knows data tracks what all publish of them, also what they have published themselves: they may have
    /// come back.
    pub(in crate::core::room) fn tell_all_data_tracks(&self, to: ParticipantKey, outbox: &mut Outbox) {
        for key in &self.order {
            let owner = &self.participants[key.0];
            if !owner.data_tracks.published.is_empty() {
                outbox.event(to, Event::DataTracks(owner.id, owner.data_tracks.infos()));
            }
        }
    }

    /// Passes a packet of a data track on to those who receive it. What is no packet of any is passed over.
    pub(in crate::core::room) fn pass_data_packet(
        &mut self,
        from: ParticipantKey,
        packet: &[u8],
        outbox: &mut Outbox,
    ) {
        let Some(handle) = data_tracks::handle_of(packet) else { return };
        let Some(published) = self.participants[from.0].data_tracks.by_handle(handle) else { return };
        for (to, handle) in published.subscribers.clone() {
            let member = self.participants.get(to.0).filter(|member| member.grants.subscribe);
            let channels = member.and_then(|member| member.channels.as_ref());
            if let Some(channel) = channels.and_then(|channels| channels.labelled(data_tracks::LABEL)) {
                let (on, channel) = (channel.on, channel.id);
                let bytes = data_tracks::with_handle(packet, handle);
                self.send_data(to, on, ChannelRequest::Send { channel, is_text: false, bytes }, outbox);
            }
        }
    }
}

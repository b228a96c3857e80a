//! What the back end of a world does to the people in its room: nobody in a world moderates by themselves. And what people
//! say to each other, of which it is decided there whether they may.

use std::time::Duration;

use super::World;
use super::happening::Happening;
use crate::core::channels::{ChannelEvent, ChannelId};
use crate::core::command::{Moderation, Source};
use crate::core::data::{DataPayload, PROTOCOL, write_frame};
use crate::core::ids::{DtlsSession, ParticipantId};
use crate::core::input::{DtlsEvent, Input};
use crate::core::moderation::{Ban, PermissionsChange, Target};
use crate::core::room_options::RoomChange;
use crate::sim::network::{Micros, SECOND};
use crate::sim::oracle::ON_CHANNEL;

/// Everybody's data channel, if they have one.
const CHANNEL: ChannelId = ChannelId(1);

impl World<'_> {
    /// Does something to the room. Returns whether that was possible.
    fn operate(&mut self, moderation: Moderation) -> bool {
        self.inputs += 1;
        self.fed += 1;
        let now = self.moment().instant;
        self.sfu.operate(now, &self.room, moderation).is_ok()
    }

    /// Returns somebody's session and id, if they are in the room and know it.
    fn present(&self, index: usize) -> Option<(u64, ParticipantId)> {
        let endpoint = self.people.get(index)?.as_ref()?.endpoint.as_ref()?;
        let session = self.session_of(index, endpoint.life)?;
        Some((session, endpoint.joined.as_ref()?.participant)).filter(|_| !self.oracle.is_gone(session))
    }

    /// Bans somebody for that long.
    pub(super) fn ban(&mut self, index: usize, long: Micros) {
        let Some((session, id)) = self.present(index) else { return };
        let lasts = Some(Duration::from_micros(long));
        let ban = Ban { target: Target::Id(id), with_address: true, lasts };
        if self.operate(Moderation::Ban(ban)) {
            self.oracle.banned(session, self.now + long);
        }
    }

    /// Lets somebody publish a source, or no longer.
    pub(super) fn permit(&mut self, index: usize, source: Source, may: bool) {
        let Some((session, id)) = self.present(index) else { return };
        let Some(&life) = self.sessions.get((session - 1) as usize) else { return };
        let may_still = |one: &Source| if *one == source { may } else { self.oracle.may_publish(life, *one) };
        let publish = Source::ALL.into_iter().filter(may_still).collect();
        let change = PermissionsChange { publish: Some(publish), ..PermissionsChange::default() };
        if self.operate(Moderation::SetPermissions(Target::Id(id), change)) {
            self.oracle.permitted(self.now, session, source, may);
        }
    }

    /// Has people wait at the door, or lets them in without asking.
    pub(super) fn guard_door(&mut self, waits: bool) {
        let change = RoomChange { waiting_room: Some(waits), ..RoomChange::default() };
        if self.operate(Moderation::Configure(change)) && !waits {
            self.oracle.let_in(None);
        }
    }

    /// Lets nobody come to the room, or people again.
    pub(super) fn lock(&mut self, locked: bool) {
        let change = RoomChange { locked: Some(locked), ..RoomChange::default() };
        if self.operate(Moderation::Configure(change)) {
            self.oracle.locked(self.now, locked);
        }
    }

    /// Returns whether the room is still the one that was locked. It ends when all have gone, and the next one is open.
    pub(super) fn is_locked(&self) -> bool {
        let room = self.sfu.room_snapshot(self.moment().instant, &self.room);
        room.is_some_and(|room| room.options.locked)
    }

    /// Stops one of somebody's tracks.
    pub(super) fn stop(&mut self, index: usize, source: Source) {
        let Some((session, _)) = self.present(index) else { return };
        let Some(track) = self.oracle.track_of(session, source) else { return };
        if self.operate(Moderation::Stop(track)) {
            self.oracle.permitted(self.now, session, source, false);
        }
    }

    /// Lets somebody send messages to others, or no longer.
    pub(super) fn let_say(&mut self, index: usize, may: bool) {
        let Some((session, id)) = self.present(index) else { return };
        let change = PermissionsChange { send_data: Some(may), ..PermissionsChange::default() };
        if self.operate(Moderation::SetPermissions(Target::Id(id), change)) {
            self.oracle.may_say(self.now, session, may);
        }
    }

    /// Opens a data channel of somebody's, whose handshake is done.
    pub(super) fn open_channel(&mut self, index: usize) {
        let Some((session, _)) = self.present(index).filter(|(session, _)| self.keyed.contains(session))
        else {
            return;
        };
        if self.channels.insert(session) {
            let (label, protocol) = (PROTOCOL.to_owned(), PROTOCOL.to_owned());
            let opened = ChannelEvent::Opened { channel: CHANNEL, label, protocol, is_reliable: true };
            let session = DtlsSession(session);
            self.feed(Input::Dtls { session, event: DtlsEvent::Channel(opened) });
        }
    }

    /// Sends a message to all, on a data channel if there is one, else by signalling.
    pub(super) fn tells_all(&mut self, index: usize) {
        let present = self.present(index).filter(|(session, _)| self.channels.contains(session));
        let Some((session, _)) = present else {
            return self.with(index, |one, _, post| {
                if one.joined.is_some() {
                    one.tell_all(post);
                }
            });
        };
        let number = self.oracle.next_word(session);
        let payload = DataPayload::from(format!("\"hello {number}\"").as_str());
        // What has nobody in front says it as somebody who sends: to all.
        let Some(bytes) = write_frame(None, ON_CHANNEL, &payload) else { return };
        self.oracle.fed_words(self.now, session, ON_CHANNEL, number);
        let event = ChannelEvent::Message { channel: CHANNEL, is_text: false, bytes };
        self.feed(Input::Dtls { session: DtlsSession(session), event: DtlsEvent::Channel(event) });
    }

    /// Lets somebody in some time after they knocked.
    pub(super) fn hears_knocking(&mut self, connection: u64, id: ParticipantId) {
        let at = (self.now + self.dice.among(100_000..SECOND)).min(self.plan.heals_at.max(self.now));
        self.queue.push(at, Happening::LetsIn(connection, id));
    }

    pub(super) fn lets_in(&mut self, connection: u64, id: ParticipantId) {
        if self.operate(Moderation::Admit(id)) {
            self.oracle.let_in(Some(connection));
        }
    }
}

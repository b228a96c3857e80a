//! All voice channels, and which WebSocket is whose.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::channel::{Channel, JoinReply};
use super::ids::{ChannelId, UserId};
use super::messages::{VoiceMessage, error, message, passed_on};
use super::{Said, Told};
use crate::core::grants::Grants;
use crate::core::ids::{ConnectionId, RoomId};
use crate::core::stats::Calls;
use crate::core::timers::earliest;
use crate::core::topology::{MeshPolicy, MeshSettings, Mode};
use crate::core::totals::Migrations;

/// Whoever has asked over HTTP to be let in has this long to come by a WebSocket: nobody could tell them that all move.
const COMES_WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked who else is in a channel's room.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// What is set for all channels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// When calls go straight, and how they move.
    pub mesh: MeshSettings,
    /// Rooms for which something else is set than for all.
    pub policies: BTreeMap<RoomId, MeshPolicy>,
    /// Most channels.
    pub channels_max: usize,
    /// Most members of a channel.
    pub members_max: usize,
    /// The address of the server for those who leave the mesh. Empty: the one by which they reach this server.
    pub sfu_url: String,
}

/// All channels.
#[derive(Debug, Default)]
pub struct Channels {
    settings: Settings,
    channels: BTreeMap<ChannelId, Channel>,
    /// Who comes by which WebSocket.
    connections: BTreeMap<ConnectionId, (ChannelId, UserId)>,
    outbox: Vec<(ConnectionId, Told)>,
    migrations: Migrations,
    looks_at: Option<Instant>,
    /// Nothing is due before that, in any channel: kept, because the loop asks in each of its passes.
    wakes_at: Option<Instant>,
}

impl Channels {
    /// Begins without channels.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Returns what is set for all channels.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn policy(&self, id: &ChannelId) -> MeshPolicy {
        let own = id.room().and_then(|room| self.settings.policies.get(&room).copied());
        own.unwrap_or(self.settings.mesh.policy)
    }

    /// Returns the channel, which is made if it is not there and `may_make`; `None` if it cannot be.
    fn open(&mut self, id: &ChannelId, may_make: bool) -> Option<&mut Channel> {
        if !self.channels.contains_key(id) {
            if !may_make || self.channels.len() >= self.settings.channels_max {
                return None;
            }
            let channel =
                Channel::new(id.clone(), self.settings.mesh, self.policy(id), self.settings.members_max);
            self.channels.insert(id.clone(), channel);
        }
        self.channels.get_mut(id)
    }

    /// Returns whether somebody is in a channel.
    pub fn has(&self, id: &ChannelId, user: &UserId) -> bool {
        self.channels.get(id).is_some_and(|channel| channel.members.contains_key(user))
    }

    /// Returns what somebody may do who is in a channel.
    pub fn grants_of(&self, id: &ChannelId, user: &UserId) -> Option<Grants> {
        Some(self.channels.get(id)?.members.get(user)?.grants)
    }

    /// Returns which way media goes for somebody, and how many are in their channel; `None` if they are not in.
    pub fn standing(&self, id: &ChannelId, user: &UserId) -> Option<(Mode, usize)> {
        let channel = self.channels.get(id).filter(|channel| channel.members.contains_key(user))?;
        match channel.reply(user) {
            JoinReply::Joined { mode, count } => Some((mode, count)),
            JoinReply::Queued | JoinReply::Full => None,
        }
    }

    /// Lets somebody into a channel, which may be made for them; `None` if it is not there and cannot be made. To come twice
    /// changes nothing.
    pub fn join(
        &mut self,
        now: Instant,
        id: &ChannelId,
        user: &UserId,
        (grants, may_make): (Grants, bool),
    ) -> Option<JoinReply> {
        let reply = self.open(id, may_make)?.join(now, user, grants);
        self.collect(id);
        Some(reply)
    }

    /// Lets somebody go. Returns how many are left; `None` if there is no such channel.
    pub fn leave(&mut self, now: Instant, id: &ChannelId, user: &UserId) -> Option<usize> {
        let channel = self.channels.get_mut(id)?;
        channel.leave(now, user);
        let left = channel.members.len();
        self.connections.retain(|_, (channel, other)| channel != id || other != user);
        self.collect(id);
        Some(left)
    }

    /// The server does not work for a member of the channel. Returns `false` if there is no such channel.
    pub fn server_failed(&mut self, now: Instant, id: &ChannelId) -> bool {
        let Some(channel) = self.channels.get_mut(id) else { return false };
        channel.server_failed(now);
        self.collect(id);
        true
    }

    /// Forgets a move that does not end, and decides anew. Returns `false` if there is no such channel.
    pub fn reset(&mut self, now: Instant, room: &RoomId, mode: Option<Mode>) -> bool {
        let Some(id) = room.as_str().strip_prefix("channel_").and_then(ChannelId::named) else {
            return false;
        };
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        channel.reset(now, mode);
        self.collect(&id);
        true
    }

    /// Makes a channel of that description, or describes one that is there. Returns `false` if there are too many.
    pub fn make(&mut self, id: &ChannelId, description: Value) -> bool {
        let Some(channel) = self.open(id, true) else { return false };
        channel.description = Some(description);
        true
    }

    /// Ends a channel, and tells its members. Returns `false` if there is none.
    pub fn end(&mut self, now: Instant, id: &ChannelId) -> bool {
        let Some(channel) = self.channels.get_mut(id) else { return false };
        let users: Vec<UserId> = channel.members.keys().cloned().collect();
        let told = message("voice:channel-deleted", &json!({"channel_id": id.json()}));
        let mut connections: Vec<_> = users.iter().filter_map(|user| channel.connection_of(user)).collect();
        // Whoever waits would be let into a channel that is gone, as the first.
        connections.extend(channel.stop_waiting());
        self.outbox.extend(connections.into_iter().map(|connection| (connection, Told::Text(told.clone()))));
        for user in users {
            channel.leave(now, &user);
        }
        channel.outbox.clear();
        channel.description = None;
        self.connections.retain(|_, (channel, _)| channel != id);
        self.collect(id);
        true
    }

    /// Shows a channel; `None` if there is none.
    pub fn show(&self, id: &ChannelId) -> Option<Value> {
        self.channels.get(id).map(|channel| shown(id, channel))
    }

    /// Shows all channels that were made, or those of a type. Those that joining has made have names that only their members
    /// know.
    pub fn list(&self, kind: Option<&str>) -> Vec<Value> {
        let made = self.channels.iter().filter(|(_, channel)| channel.description.is_some());
        let all = made.map(|(id, channel)| shown(id, channel));
        all.filter(|channel| kind.is_none_or(|kind| channel["type"] == kind)).collect()
    }

    /// Adds the calls that go straight, and those that move. In the others the members are participants of a room, which is
    /// counted there.
    pub fn count(&self, calls: &mut Calls) {
        for channel in self.channels.values() {
            if channel.is_moving() {
                calls.moving += 1;
            } else if channel.mode() == Mode::P2p {
                calls.note(Mode::P2p, channel.members.len(), false);
            }
        }
    }

    /// Returns the moves that have been counted.
    pub fn migrations(&self) -> &Migrations {
        &self.migrations
    }

    /// A WebSocket brings a member. Returns `false` if they are not in the channel.
    pub fn attach(&mut self, now: Instant, id: &ChannelId, user: &UserId, connection: ConnectionId) -> bool {
        self.leave_other(now, connection, id, user);
        let Some(channel) = self.channels.get_mut(id) else { return false };
        let before = channel.socket_of(user).filter(|before| *before != connection);
        if !channel.attach(now, user, connection) {
            return false;
        }
        if let Some(before) = before {
            self.connections.remove(&before);
        }
        self.connections.insert(connection, (id.clone(), user.clone()));
        self.collect(id);
        true
    }

    /// Somebody is in one channel at a time by one WebSocket.
    fn leave_other(&mut self, now: Instant, connection: ConnectionId, id: &ChannelId, user: &UserId) {
        if let Some((channel, member)) = self.connections.get(&connection).cloned()
            && (channel != *id || member != *user)
        {
            self.leave(now, &channel, &member);
        }
    }

    /// A WebSocket is gone, and its member with it, or whoever has waited by it.
    pub fn lost(&mut self, now: Instant, connection: ConnectionId) {
        if let Some((id, user)) = self.connections.remove(&connection) {
            self.leave(now, &id, &user);
        }
    }

    /// Takes a message of a member's, but for `voice:join`, which needs to be let in. Returns what is wrong with it, as a
    /// message to its sender.
    ///
    /// # Errors
    /// It is not from a member, or for nobody in the channel.
    pub fn take(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        said: &VoiceMessage,
    ) -> Result<(), String> {
        let Some((id, user)) = self.connections.get(&connection).cloned() else {
            return Err(error("not-joined", "you are in no channel", "send voice:join first"));
        };
        let names = |named: &Option<ChannelId>| named.as_ref().is_none_or(|named| *named == id);
        if !names(&said.channel) {
            return Err(error("unknown-channel", "you are not in that channel", "join it first"));
        }
        if said.user.as_ref().is_some_and(|named| *named != user) {
            return Err(error("not-permitted", "that is somebody else's user_id", "send your own"));
        }
        match &said.said {
            Said::Join => {}
            Said::Leave => {
                self.leave(now, &id, &user);
            }
            Said::Acknowledge { mode } => {
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.acknowledge(now, &user, *mode);
                }
            }
            Said::State { muted, video } => {
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.note_state(&user, *muted, *video);
                    channel.tell_others(&user, &passed_on(said, &user));
                }
            }
            Said::Signal { to } => {
                let to = to.as_ref().filter(|to| **to != user);
                let channel = self.channels.get(&id);
                if !channel.is_some_and(Channel::is_straight) {
                    let what = "the channel's media goes through the server, and nothing goes straight";
                    return Err(error("not-permitted", what, "wait for a voice:mode-change to p2p"));
                }
                if !channel.is_some_and(|channel| channel.may_signal(&user)) {
                    let what = "you may not receive what others send, and so nothing that goes straight";
                    return Err(error("not-permitted", what, "go by the server, or ask for another token"));
                }
                let to = to.filter(|to| channel.is_some_and(|channel| channel.may_signal(to)));
                let found = to.and_then(|to| channel?.connection_of(to));
                let Some(found) = found else {
                    let what = "nobody else of that id is in the channel by a WebSocket";
                    return Err(error("unknown-recipient", what, "name a member in to_user_id"));
                };
                self.outbox.push((found, Told::Text(passed_on(said, &user))));
            }
        }
        self.collect(&id);
        Ok(())
    }

    /// Returns when it wants to be called again.
    pub fn deadline(&self) -> Option<Instant> {
        self.wakes_at
    }

    /// Does what is due. `strangers` tells whether somebody is in a room whose identity is none of the members'.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        strangers: impl Fn(&RoomId, &dyn Fn(&str) -> bool) -> bool,
    ) {
        if self.deadline().is_none_or(|at| at > now) {
            return;
        }
        let looks = self.looks_at.is_some_and(|at| at <= now);
        let ids: Vec<ChannelId> = self.channels.keys().cloned().collect();
        for id in &ids {
            let Some(channel) = self.channels.get_mut(id) else { continue };
            channel.handle_timeout(now);
            if looks && channel.asks_for_strangers() {
                let members = channel.known(now);
                let is_member = |identity: &str| members.iter().any(|member| member == identity);
                let are_there = id.room().is_some_and(|room| strangers(&room, &is_member));
                channel.note_strangers(now, are_there);
                let late = |member: &super::channel::Member| {
                    member.connection.is_none() && now >= member.since + COMES_WITHIN
                };
                let gone: Vec<UserId> = channel
                    .members
                    .iter()
                    .filter(|(_, member)| late(member))
                    .map(|(user, _)| user.clone())
                    .collect();
                for user in gone {
                    channel.leave(now, &user);
                }
            }
            self.collect(id);
        }
        let somebody = self.channels.values().any(Channel::asks_for_strangers);
        self.looks_at = somebody.then_some(now + LOOKS_EVERY);
        self.wakes_at = earliest(self.channels.values().filter_map(Channel::deadline).min(), self.looks_at);
    }

    /// Takes what is to be said, in order.
    pub fn take_told(&mut self) -> Vec<(ConnectionId, Told)> {
        std::mem::take(&mut self.outbox)
    }

    /// Begins to look who else is in rooms, if somebody is in a channel.
    pub fn watch(&mut self, now: Instant) {
        if self.looks_at.is_none() && self.channels.values().any(Channel::asks_for_strangers) {
            self.looks_at = Some(now);
            self.wakes_at = earliest(self.wakes_at, self.looks_at);
        }
    }

    /// Takes over what a channel has said and counted, and forgets a channel that nobody needs.
    fn collect(&mut self, id: &ChannelId) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        self.outbox.append(&mut channel.outbox);
        self.migrations.add(std::mem::take(&mut channel.migrations));
        self.wakes_at = earliest(self.wakes_at, channel.deadline());
        if channel.members.is_empty() && channel.description.is_none() && !channel.is_moving() {
            self.channels.remove(id);
        }
    }
}

fn shown(id: &ChannelId, channel: &Channel) -> Value {
    let mut shown =
        channel.description.clone().filter(Value::is_object).unwrap_or_else(|| json!({"type": "voice"}));
    shown["id"] = id.json();
    shown["state"] = channel.json();
    shown
}

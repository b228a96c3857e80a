//! One voice channel: its members, those who wait for the end of a move, and which way its media goes.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tracing::info;

use super::Told;
use super::ids::{ChannelId, UserId};
use super::messages::message;
use crate::core::grants::Grants;
use crate::core::ids::ConnectionId;
use crate::core::topology::{Arrival, ClientMode, MeshPolicy, MeshSettings, Mode, News, Topology, View};
use crate::core::totals::Migrations;

/// How long the client of somebody who has left a channel may take to leave the server.
const LEAVES_WITHIN: Duration = Duration::from_secs(30);
/// Stands for all who are in the channel's room on the server and are not members of the channel.
const STRANGERS: u64 = u64::MAX;

/// A member of a channel.
#[derive(Debug)]
pub(super) struct Member {
    key: u64,
    /// Their WebSocket; `None` before they have come by one.
    pub connection: Option<ConnectionId>,
    /// When they came, or their WebSocket did.
    pub since: Instant,
    pub grants: Grants,
    muted: bool,
    video: bool,
    /// The way that they were told last to go.
    told: Mode,
    /// The number of the move that they were told of last; 0 if of none.
    told_of: u32,
    /// Whether they were let in after waiting, and could not be told so.
    is_unaware: bool,
}

/// Somebody who waits for the end of a move.
#[derive(Debug)]
struct Waiting {
    user: UserId,
    grants: Grants,
    connection: Option<ConnectionId>,
}

/// What becomes of somebody who asks to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinReply {
    /// They are in.
    Joined {
        /// Which way media goes for them.
        mode: Mode,
        /// How many are in the channel now.
        count: usize,
    },
    /// A move runs, and they are let in when it is over.
    Queued,
    /// The channel has as many members as it may.
    Full,
}

/// One channel.
#[derive(Debug)]
pub(super) struct Channel {
    id: ChannelId,
    /// What the application said of it when it made it; `None` if joining has made it.
    pub description: Option<Value>,
    pub members: BTreeMap<UserId, Member>,
    topology: Topology<u64>,
    waiting: VecDeque<Waiting>,
    /// Those who have left lately, and when: their clients may still be leaving the server.
    left: Vec<(UserId, Instant)>,
    /// The mode that all were told last.
    told: Mode,
    next_key: u64,
    members_max: usize,
    /// Whether the server works for its members.
    pub server_active: bool,
    /// What is to be said, in order.
    pub outbox: Vec<(ConnectionId, Told)>,
    /// Moves that were not collected yet.
    pub migrations: Migrations,
}

impl Channel {
    pub(super) fn new(id: ChannelId, mesh: MeshSettings, policy: MeshPolicy, members_max: usize) -> Self {
        let topology = Topology::new(mesh, policy);
        let told = topology.mode();
        let members_max = if policy == MeshPolicy::Always { members_max.min(mesh.max) } else { members_max };
        Self {
            id,
            description: None,
            members: BTreeMap::new(),
            topology,
            waiting: VecDeque::new(),
            left: Vec::new(),
            told,
            next_key: 0,
            members_max,
            server_active: told == Mode::Sfu,
            outbox: Vec::new(),
            migrations: Migrations::default(),
        }
    }

    /// Returns the way that media goes, or is about to go.
    pub(super) fn mode(&self) -> Mode {
        self.topology.moving_to().unwrap_or(self.topology.mode())
    }

    pub(super) fn is_moving(&self) -> bool {
        self.topology.moving_to().is_some()
    }

    /// Returns whether strangers in the channel's room would matter: all go straight, or wait for strangers to leave.
    pub(super) fn asks_for_strangers(&self) -> bool {
        !self.members.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.topology.deadline()
    }

    /// Shows its state.
    pub(super) fn json(&self) -> Value {
        json!({
            "channel_id": self.id.json(),
            "active_participant_count": self.members.len(),
            "current_mode": self.topology.mode().as_str(),
            "moving_to": self.topology.moving_to().map(Mode::as_str),
            "sfu_server_active": self.server_active,
            "sfu_room_name": format!("channel_{}", self.id),
            "queued": self.waiting.len(),
        })
    }

    pub(super) fn join(&mut self, now: Instant, user: &UserId, grants: Grants) -> JoinReply {
        let way = self.members.get(user).map(|member| self.way_of(member.key));
        if let (Some(member), Some(way)) = (self.members.get_mut(user), way) {
            member.grants = grants;
            member.is_unaware = false;
            if member.connection.is_none() {
                // The answer is what they hear last.
                member.told = way;
            }
            // Whoever has a WebSocket has been told where a move leads that runs.
            return JoinReply::Joined { mode: member.told, count: self.members.len() };
        }
        if self.is_moving() {
            if self.waiting.iter().all(|waiting| waiting.user != *user) {
                if self.members.len() + self.waiting.len() >= self.members_max {
                    return JoinReply::Full;
                }
                self.waiting.push_back(Waiting { user: user.clone(), grants, connection: None });
            }
            return JoinReply::Queued;
        }
        if self.members.len() >= self.members_max {
            return JoinReply::Full;
        }
        self.enter(now, user, grants);
        self.settle(now);
        self.reply(user)
    }

    fn enter(&mut self, now: Instant, user: &UserId, grants: Grants) {
        let key = self.next_key;
        self.next_key += 1;
        let arrival = Arrival { can_mesh: true, needs_server: !grants.subscribe, counts: true };
        self.topology.join(now, key, arrival);
        // Before their WebSocket is there nobody can tell them to move, and so nobody waits for them beyond a deadline.
        self.topology.set_connected(now, key, false);
        let told = self.way_of(key);
        let member = Member {
            key,
            connection: None,
            since: now,
            grants,
            muted: false,
            video: false,
            told,
            told_of: 0,
            is_unaware: false,
        };
        self.members.insert(user.clone(), member);
    }

    /// Returns the way that somebody goes just now.
    fn way_of(&self, key: u64) -> Mode {
        match self.topology.client_mode(key) {
            Some(ClientMode::P2p) => Mode::P2p,
            Some(ClientMode::Sfu) => Mode::Sfu,
            Some(ClientMode::Migrating) | None => self.topology.mode(),
        }
    }

    pub(super) fn reply(&self, user: &UserId) -> JoinReply {
        let key = self.members.get(user).map_or(STRANGERS, |member| member.key);
        let mode = self.way_of(key);
        JoinReply::Joined { mode, count: self.members.len() }
    }

    /// Takes somebody's WebSocket, and tells them and the others. Returns `false` if they are not in, and do not wait.
    pub(super) fn attach(&mut self, now: Instant, user: &UserId, connection: ConnectionId) -> bool {
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.user == *user) {
            waiting.connection = Some(connection);
            return true;
        }
        let way = self.members.get(user).map(|member| self.way_of(member.key));
        let (Some(member), Some(way)) = (self.members.get_mut(user), way) else { return false };
        member.connection = Some(connection);
        member.since = now;
        if std::mem::replace(&mut member.is_unaware, false) {
            self.outbox.push((connection, Told::Ready(self.id.clone(), user.clone())));
            member.told = way;
        }
        let key = member.key;
        self.topology.set_connected(now, key, true);
        let others = self.members.iter().map(|(user, member)| {
            json!({"user_id": user.json(), "is_muted": member.muted, "is_video_enabled": member.video})
        });
        let all = json!({"channel_id": self.id.json(), "participants": others.collect::<Vec<_>>()});
        self.outbox.push((connection, Told::Text(message("voice:participants", &all))));
        let joined = json!({"channel_id": self.id.json(), "user_id": user.json()});
        self.tell_others(user, &message("voice:join", &joined));
        // What was decided between their request and their WebSocket they have not heard.
        let (mode, number) = (self.mode(), self.topology.view(now).migration);
        if let Some(member) = self.members.get_mut(user)
            && std::mem::replace(&mut member.told, mode) != mode
        {
            member.told_of = number;
            self.outbox.push((connection, Told::Mode(self.id.clone(), user.clone(), mode)));
        }
        self.settle(now);
        true
    }

    /// Returns the WebSocket of a member; `None` if they have none, or are not in.
    pub(super) fn connection_of(&self, user: &UserId) -> Option<ConnectionId> {
        self.members.get(user)?.connection
    }

    /// Returns the WebSocket of a member, or of somebody who waits to be one.
    pub(super) fn socket_of(&self, user: &UserId) -> Option<ConnectionId> {
        let waiting = self.waiting.iter().find(|waiting| waiting.user == *user);
        self.connection_of(user).or_else(|| waiting?.connection)
    }

    /// Notes whether somebody is muted, or shows a picture.
    pub(super) fn note_state(&mut self, user: &UserId, muted: Option<bool>, video: Option<bool>) {
        if let Some(member) = self.members.get_mut(user) {
            member.muted = muted.unwrap_or(member.muted);
            member.video = video.unwrap_or(member.video);
        }
    }

    /// The channel ends: nobody waits any more. Returns the WebSockets of those who did.
    pub(super) fn stop_waiting(&mut self) -> Vec<ConnectionId> {
        self.waiting.drain(..).filter_map(|waiting| waiting.connection).collect()
    }

    /// Returns whether media goes straight, or is about to. Otherwise nothing is passed on that would show people each other's
    /// addresses.
    pub(super) fn is_straight(&self) -> bool {
        self.topology.is_straight()
    }

    /// Returns whether somebody may send straight to the others, and the others to them.
    pub(super) fn may_signal(&self, user: &UserId) -> bool {
        self.members.get(user).is_some_and(|member| self.topology.may_mesh(member.key))
    }

    /// Somebody goes. If they were not in, the number of members does not change.
    pub(super) fn leave(&mut self, now: Instant, user: &UserId) {
        self.waiting.retain(|waiting| waiting.user != *user);
        let Some(member) = self.members.remove(user) else { return };
        self.topology.leave(now, member.key);
        self.left.push((user.clone(), now));
        if self.members.is_empty() {
            self.topology.leave(now, STRANGERS);
        }
        let left = json!({"channel_id": self.id.json(), "user_id": user.json()});
        self.tell_others(user, &message("voice:leave", &left));
        self.settle(now);
    }

    /// Somebody has moved. Their protocol has no number by which it could be told which move they mean: it counts for the one
    /// that they were told of last, and for none if they say that they go another way than that leads.
    pub(super) fn acknowledge(&mut self, now: Instant, user: &UserId, mode: Option<Mode>) {
        if let Some(member) = self.members.get(user)
            && mode.is_none_or(|mode| mode == self.mode())
        {
            self.topology.migrated(now, member.key, member.told_of);
            self.settle(now);
        }
    }

    /// The server does not work for somebody: all go straight.
    pub(super) fn server_failed(&mut self, now: Instant) {
        self.server_active = false;
        self.topology.server_failed(now);
        self.settle(now);
    }

    pub(super) fn reset(&mut self, now: Instant, mode: Option<Mode>) {
        self.topology.reset(now, mode);
        self.settle(now);
    }

    /// Returns the identities of those who are, or were lately, in the channel.
    pub(super) fn known(&mut self, now: Instant) -> Vec<String> {
        self.left.retain(|(_, at)| now < *at + LEAVES_WITHIN);
        let users = self.members.keys().chain(self.left.iter().map(|(user, _)| user));
        users.map(|user| user.as_str().to_owned()).collect()
    }

    /// Notes whether people are in the channel's room who are not members of the channel: they need the server.
    pub(super) fn note_strangers(&mut self, now: Instant, are_there: bool) {
        if are_there {
            self.topology.join(
                now,
                STRANGERS,
                Arrival { can_mesh: false, needs_server: true, counts: false },
            );
        } else {
            self.topology.leave(now, STRANGERS);
        }
        self.settle(now);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.topology.deadline().is_some_and(|at| at <= now) {
            self.topology.handle_timeout(now);
            self.settle(now);
        }
    }

    /// Says what was decided, and lets those in who have waited for the end of a move.
    fn settle(&mut self, now: Instant) {
        loop {
            for news in self.topology.take_news() {
                match news {
                    News::Tell(to, view) => self.tell_mode(to, &view),
                    News::Started(to, reason) => {
                        self.migrations.started[to as usize] += 1;
                        let members = self.members.len();
                        let (from, to, reason) = (to.other().as_str(), to.as_str(), reason.as_str());
                        info!(channel = %self.id, members, from, to, reason, "the voice channel moves");
                    }
                    News::Ended(to, outcome, reason, took) => {
                        self.migrations.note_end(to, outcome, reason, took);
                        let (members, ms) = (self.members.len(), took.as_millis() as u64);
                        let (from, outcome) = (to.other().as_str(), outcome.as_str());
                        let (to, reason) = (to.as_str(), reason.as_str());
                        info!(
                            channel = %self.id, members, from, to, outcome, reason, ms,
                            "the move of the voice channel is over"
                        );
                    }
                    News::SentBack(to, reason) => {
                        self.migrations.note_failure(to, reason);
                        let (members, reason) = (self.members.len(), reason.as_str());
                        let (from, to) = (to.as_str(), to.other().as_str());
                        info!(channel = %self.id, members, from, to, reason, "the voice channel is sent back");
                    }
                }
            }
            self.server_active |= self.topology.mode() == Mode::Sfu;
            if self.is_moving() {
                return;
            }
            let Some(Waiting { user, grants, connection }) = self.waiting.pop_front() else { return };
            self.enter(now, &user, grants);
            if let Some(member) = self.members.get_mut(&user) {
                member.is_unaware = connection.is_none();
            }
            if let Some(connection) = connection {
                self.outbox.push((connection, Told::Ready(self.id.clone(), user.clone())));
                self.attach(now, &user, connection);
            }
        }
    }

    fn tell_mode(&mut self, to: Option<u64>, view: &View) {
        let mode = view.moving_to.unwrap_or(view.mode);
        if to.is_none() && std::mem::replace(&mut self.told, mode) == mode {
            return;
        }
        for (user, member) in &mut self.members {
            // Who is only just coming is told in the answer.
            let is_meant = to.is_none_or(|key| key == member.key);
            if let Some(connection) = member.connection.filter(|_| is_meant) {
                (member.told, member.told_of) = (mode, view.migration);
                self.outbox.push((connection, Told::Mode(self.id.clone(), user.clone(), mode)));
            }
        }
    }

    pub(super) fn tell_others(&mut self, except: &UserId, text: &str) {
        for (user, member) in &self.members {
            if let Some(connection) = member.connection.filter(|_| user != except) {
                self.outbox.push((connection, Told::Text(text.to_owned())));
            }
        }
    }
}

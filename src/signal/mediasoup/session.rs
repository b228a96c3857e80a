//! A session: one member of a room who comes by this protocol, and what of theirs there is. It makes the core's commands of
//! calls, the answers to calls of the core's replies, and news of the other events.
//!
//! The session does not know by which connection a call comes: whoever hands it in says where its answer is to go
//! ([`ReplyTo`]).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use super::calls::{Call, no_receiver};
use super::ids::consumer_id;
use super::news::{Dialect, News};
use super::people::{People, Person};
use super::socket::MessageRef;
use crate::core::command::{Command, Layout, Lifeline, Preference, Proof, Resume};
use crate::core::event::{
    ClosingReason, Consumed, Event, Joined, LeaveReason, OpenedTransport, Refusal, RefusalCode, Resumed,
};
use crate::core::ids::{ConnectionId, ParticipantId, RequestId, RoomId, TrackId, TransportId};
use crate::core::ortc::TransportDirection;
use crate::signal::{Demand, Ticket};

/// Most calls that wait for the core, or for the session's own beginning. The core answers each within its input.
const PENDING_MAX: usize = 64;

/// How many transports are remembered that have ended by themselves.
const ENDED_MAX: usize = 16;

/// Where the answer to a call goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyTo {
    /// To the request that is parked on this HTTP connection.
    Request(ConnectionId),
    /// To this message of the session's WebSocket.
    Message(MessageRef),
    /// To nobody.
    Nobody,
}

/// What becomes of a call.
#[derive(Debug, PartialEq)]
pub enum Asked {
    /// The core is asked this, in this order; the answer comes with its events.
    Core(Vec<Demand>),
    /// The call waits until the session has begun.
    Later,
    /// It is done already: this is the answer.
    Done(Value),
    /// It is refused at once.
    Refused(Refusal),
}

/// What to do after one of the core's events.
#[derive(Debug, Default, PartialEq)]
pub struct SessionReaction {
    /// Hand these to the core, in this order.
    pub demands: Vec<Demand>,
    /// The answers to calls.
    pub replies: Vec<(ReplyTo, Result<Value, Refusal>)>,
    /// What is new, for the session's WebSocket.
    pub news: Vec<News>,
    /// A transport that leads to the session from now on.
    pub opened: Option<TransportId>,
    /// A transport that does so no longer.
    pub closed: Option<TransportId>,
    /// Whether the session is over and can be forgotten.
    pub is_over: bool,
    /// Whether its WebSocket ends with it: the server has ended it. `None` while nothing has ended.
    pub ended_by: Option<ClosingReason>,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The core has not let it in yet.
    Joining,
    /// It is in the room.
    In,
    /// It is in the room, but the core takes its connection for broken until it is resumed.
    Lost,
    /// It leaves.
    Leaving,
}

/// What a call that the core has been asked will lead to.
#[derive(Debug)]
enum Pending {
    Join,
    Resume,
    Open(TransportDirection),
    Restart,
    Connect(TransportId),
    CloseTransport(TransportId),
    /// By which transport, and whether the track is muted at first.
    Produce(TransportId, bool),
    /// An own track that is muted or unmuted.
    Pause(TrackId, bool),
    CloseProducer(TrackId),
    Consume(TransportId),
    /// Something about what is received of a track.
    Adjust(TrackId),
    CloseConsumer(TrackId),
    Leave,
}

/// One member.
#[derive(Debug)]
pub struct Session {
    room: RoomId,
    user: String,
    /// Whoever knows it may speak for the session.
    secret: String,
    lifeline: Lifeline,
    state: State,
    me: Option<(ParticipantId, String)>,
    resume_seconds: u64,
    people: People,
    transports: BTreeMap<TransportId, TransportDirection>,
    /// Those that have ended by themselves: a client that closes its end may say so after that has been noticed.
    ended: VecDeque<TransportId>,
    /// Own tracks, and by which transports they are sent.
    producers: BTreeMap<TrackId, TransportId>,
    /// Tracks that are received, and by which transports.
    consumers: BTreeMap<TrackId, TransportId>,
    /// Own tracks that are muted, as the client knows it.
    muted: BTreeSet<TrackId>,
    /// Whether tracks of others may be received.
    may_receive: bool,
    requests: u64,
    pending: BTreeMap<u64, (ReplyTo, Pending)>,
    /// Calls that came before the session had begun.
    waiting: Vec<(ReplyTo, Call, Dialect)>,
}

impl Session {
    /// Begins a session: asks the core to let a user in. `reply_to` is answered when they are.
    ///
    /// `name` is what people read, and `secret` a text that nobody can guess.
    pub fn open(
        (room, user, name): (RoomId, String, String),
        secret: String,
        lifeline: Lifeline,
        ticket: Ticket,
        reply_to: ReplyTo,
    ) -> (Self, Demand) {
        let mut session = Self {
            room: room.clone(),
            user,
            secret,
            lifeline,
            state: State::Joining,
            me: None,
            resume_seconds: 0,
            people: People::default(),
            transports: BTreeMap::new(),
            ended: VecDeque::new(),
            producers: BTreeMap::new(),
            consumers: BTreeMap::new(),
            muted: BTreeSet::new(),
            may_receive: true,
            requests: 0,
            pending: BTreeMap::new(),
            waiting: Vec::new(),
        };
        let request = session.note(reply_to, Pending::Join);
        let demand = Demand::Join {
            request,
            room: Some(room),
            name,
            auto_subscribe: false,
            lifeline,
            layout: Layout::Parameters,
            can_mesh: false,
            ticket,
        };
        (session, demand)
    }

    /// Returns what keeps the user in the room.
    pub fn lifeline(&self) -> Lifeline {
        self.lifeline
    }

    /// Returns the room and the user.
    pub fn key(&self) -> (&RoomId, &str) {
        (&self.room, &self.user)
    }

    /// Returns the text by which the client can show that it speaks for the session, as it was told it.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Returns all transports that lead to the session.
    pub fn transports(&self) -> impl Iterator<Item = TransportId> + '_ {
        self.transports.keys().chain(&self.ended).copied()
    }

    /// Returns how many others are in the room, who are told what the user does.
    pub fn others(&self) -> usize {
        self.people.count()
    }

    /// Returns for how many seconds after its WebSocket broke the session can be taken up again; `None` while it is not broken.
    pub fn lost_for(&self) -> Option<u64> {
        (self.state == State::Lost).then_some(self.resume_seconds)
    }

    /// Returns what somebody is told who has come in by a WebSocket.
    pub fn welcome(&self) -> Value {
        let others: Vec<&str> = self.people.users().collect();
        let consumers: Vec<String> = self.consumers.keys().map(|track| consumer_id(*track)).collect();
        json!({
            "participantId": self.user,
            "participants": others,
            "consumers": consumers,
            "sessionId": self.secret,
        })
    }

    /// Returns everybody who is in the room and all that could be received there and is not, for whoever begins to listen.
    pub fn everything(&self) -> Vec<News> {
        self.people.everything_but(|track| self.consumers.contains_key(&track))
    }

    /// Takes a call, as it is meant in that dialect.
    pub fn call(&mut self, call: Call, dialect: Dialect, reply_to: ReplyTo) -> Asked {
        if self.pending.len() + self.waiting.len() >= PENDING_MAX {
            return Asked::Refused(Refusal::new(
                RefusalCode::RateLimited,
                "too many calls wait for their answers",
                "Wait for some of them.",
            ));
        }
        if let Call::CloseTransport(transport) = &call
            && self.ended.contains(transport)
        {
            return Asked::Done(json!({"id": transport.to_string()}));
        }
        match self.state {
            State::Joining => {
                self.waiting.push((reply_to, call, dialect));
                Asked::Later
            }
            State::Leaving => Asked::Refused(not_there()),
            State::In => self.demands_of(call, dialect, reply_to).map_or_else(Asked::Refused, Asked::Core),
            // The core takes calls of a connection that it knows alone, and this one stays as broken as it was.
            State::Lost => {
                let mut demands: Vec<Demand> = self.resumption().into_iter().collect();
                match self.demands_of(call, dialect, reply_to) {
                    Ok(asked) => demands.extend(asked),
                    Err(refusal) => return Asked::Refused(refusal),
                }
                if self.state == State::Lost {
                    demands.push(Demand::ConnectionLost);
                }
                Asked::Core(demands)
            }
        }
    }

    fn demands_of(
        &mut self,
        call: Call,
        dialect: Dialect,
        reply_to: ReplyTo,
    ) -> Result<Vec<Demand>, Refusal> {
        let mut before = Vec::new();
        let (pending, command) = match call {
            Call::CreateTransport(direction) => {
                // By REST nothing says that a page was loaded again, and what it left behind would be there for ever.
                if dialect == Dialect::Channels {
                    before = self.make_place(direction);
                }
                (Pending::Open(direction), Command::OpenTransport { direction })
            }
            Call::ConnectTransport(transport, dtls) => {
                (Pending::Connect(transport), Command::ConnectTransport { transport, dtls })
            }
            Call::RestartIce(transport) => (Pending::Restart, Command::RestartTransport { transport }),
            Call::CloseTransport(transport) => {
                (Pending::CloseTransport(transport), Command::CloseTransport { transport })
            }
            Call::Produce { transport, kind, source, parameters, paused } => {
                let command = Command::Produce { transport, kind, parameters, source, muted: paused };
                (Pending::Produce(transport, paused), command)
            }
            Call::PauseProducer(track, muted) => {
                (Pending::Pause(track, muted), Command::Mute { track, muted })
            }
            Call::CloseProducer(track) => (Pending::CloseProducer(track), Command::CloseProducer { track }),
            Call::Consume { transport, producer, capabilities, paused } => {
                let transport = self.receiver(transport)?;
                let paused = paused.unwrap_or(dialect == Dialect::Rooms);
                let command = Command::Consume { transport, track: producer, capabilities, paused };
                (Pending::Consume(transport), command)
            }
            Call::PauseConsumer(track, paused) => {
                self.check_consumer(track)?;
                (Pending::Adjust(track), Command::Pause { track, paused })
            }
            Call::PreferConsumer(track, wish) => {
                self.check_consumer(track)?;
                (Pending::Adjust(track), Command::Prefer(vec![Preference { track, wish }]))
            }
            Call::CloseConsumer(track) => {
                self.check_consumer(track)?;
                (Pending::CloseConsumer(track), Command::Unsubscribe(track))
            }
            Call::Leave => {
                self.state = State::Leaving;
                (Pending::Leave, Command::Leave)
            }
        };
        let request = self.note(reply_to, pending);
        before.push(Demand::Command { request, command });
        Ok(before)
    }

    /// Returns what has to be closed, so that there can be another transport for that direction.
    fn make_place(&mut self, direction: TransportDirection) -> Vec<Demand> {
        let older = self.transports.iter().filter(|(_, of)| **of == direction).map(|(id, _)| *id);
        let older: Vec<TransportId> = older.collect();
        let close = |transport| {
            let request = self.note(ReplyTo::Nobody, Pending::CloseTransport(transport));
            Demand::Command { request, command: Command::CloseTransport { transport } }
        };
        older.into_iter().map(close).collect()
    }

    /// Returns the transport to receive by: the one that is named, or the only one there is for it.
    fn receiver(&self, named: Option<TransportId>) -> Result<TransportId, Refusal> {
        let receives = |id: &TransportId| self.transports.get(id) == Some(&TransportDirection::Receive);
        match named {
            Some(id) => Some(id).filter(receives),
            None => self.transports.keys().copied().find(receives),
        }
        .ok_or_else(no_receiver)
    }

    fn check_consumer(&self, track: TrackId) -> Result<(), Refusal> {
        if self.consumers.contains_key(&track) {
            return Ok(());
        }
        Err(Refusal::new(
            RefusalCode::UnknownTrack,
            "you have no such consumer",
            "Name it by the id that the reply to consume has.",
        ))
    }

    /// Notes that the session's WebSocket has ended; `has_left` if it said goodbye. Returns what the core has to hear.
    pub fn socket_ended(&mut self, has_left: bool) -> Option<Demand> {
        if matches!(self.state, State::Leaving | State::Lost) {
            return None;
        }
        // Whoever is kept by their media is heard of by that.
        if !has_left && self.lifeline == Lifeline::Media {
            return None;
        }
        // Of somebody who is not in yet, there is nothing to take up again.
        if has_left || self.state == State::Joining {
            self.state = State::Leaving;
            return Some(Demand::Command { request: None, command: Command::Leave });
        }
        self.state = State::Lost;
        Some(Demand::ConnectionLost)
    }

    /// Ends the session, whoever wants it. Returns what the core has to hear, in this order.
    pub fn leave(&mut self) -> Vec<Demand> {
        let mut demands: Vec<Demand> = self.take_up().into_iter().collect();
        demands.extend(self.socket_ended(true));
        demands
    }

    /// Returns whether the session is about to end.
    pub fn is_leaving(&self) -> bool {
        self.state == State::Leaving
    }

    /// Returns who the user is in the room; `None` until they are there.
    pub fn participant(&self) -> Option<ParticipantId> {
        self.me.as_ref().map(|(participant, _)| *participant)
    }

    /// Takes the session up again, if the core takes its connection for broken. Returns what the core has to hear.
    pub fn take_up(&mut self) -> Option<Demand> {
        if self.state != State::Lost {
            return None;
        }
        self.state = State::In;
        self.resumption()
    }

    fn resumption(&mut self) -> Option<Demand> {
        let (participant, secret) = self.me.clone()?;
        let request = self.note(ReplyTo::Nobody, Pending::Resume);
        let resume = Resume { room: self.room.clone(), participant, proof: Proof::Secret(secret) };
        Some(Demand::Resume { request, resume })
    }

    /// Notes that nobody waits any more for answers that were to go there.
    pub fn abandon(&mut self, gone: &ReplyTo) {
        let pending = self.pending.values_mut().map(|(reply_to, _)| reply_to);
        let waiting = self.waiting.iter_mut().map(|(reply_to, ..)| reply_to);
        for reply_to in pending.chain(waiting).filter(|reply_to| *reply_to == gone) {
            *reply_to = ReplyTo::Nobody;
        }
    }

    fn note(&mut self, reply_to: ReplyTo, pending: Pending) -> Option<RequestId> {
        self.requests += 1;
        self.pending.insert(self.requests, (reply_to, pending));
        Some(RequestId(self.requests.to_string().into()))
    }

    fn take(&mut self, request: Option<&RequestId>) -> Option<(ReplyTo, Pending)> {
        self.pending.remove(&request?.0.parse().ok()?)
    }

    /// Takes one of the core's events.
    pub fn event(&mut self, event: &Event) -> SessionReaction {
        match event {
            Event::Joined(request, joined) => self.joined(request.as_ref(), joined),
            Event::Resumed(request, resumed) => self.resumed(request.as_ref(), resumed),
            Event::Waiting(_) => self.turned_away(),
            Event::TransportOpened(request, opened) => self.opened(request.as_ref(), opened),
            Event::Produced(request, track) => self.produced(request.as_ref(), *track),
            Event::Consumed(request, consumed) => self.consumed(request.as_ref(), consumed),
            Event::Done(request) => self.done(request.as_ref()),
            Event::Refused(request, refusal) => self.refused(request.as_ref(), refusal),
            Event::TransportEnded(transport) => self.transport_ended(*transport),
            Event::Closing(reason) => self.over(Some(*reason)),
            Event::Left(_) => self.over(None),
            other => SessionReaction { news: self.news(other), ..SessionReaction::default() },
        }
    }

    fn joined(&mut self, request: Option<&RequestId>, joined: &Joined) -> SessionReaction {
        let mut reaction = SessionReaction::default();
        self.me = Some((joined.participant, joined.secret.clone()));
        self.resume_seconds = joined.resume_seconds;
        self.may_receive = joined.grants.subscribe;
        self.people.replace(&joined.participants);
        if let Some((reply_to, _)) = self.take(request) {
            reaction.replies.push((reply_to, Ok(self.welcome())));
        }
        if self.state == State::Leaving {
            return reaction;
        }
        self.state = State::In;
        reaction.news = self.everything();
        for (reply_to, call, dialect) in std::mem::take(&mut self.waiting) {
            match self.call(call, dialect, reply_to.clone()) {
                Asked::Core(demands) => reaction.demands.extend(demands),
                Asked::Later => {}
                Asked::Done(reply) => reaction.replies.push((reply_to, Ok(reply))),
                Asked::Refused(refusal) => reaction.replies.push((reply_to, Err(refusal))),
            }
        }
        reaction
    }

    /// Notes what has happened since the connection broke, and tells it.
    fn resumed(&mut self, request: Option<&RequestId>, resumed: &Resumed) -> SessionReaction {
        self.take(request);
        self.may_receive = resumed.joined.grants.subscribe;
        let muted_before: BTreeMap<TrackId, bool> = self
            .consumers
            .keys()
            .filter_map(|track| Some((*track, self.people.track(*track)?.muted)))
            .collect();
        self.people.replace(&resumed.joined.participants);
        let mut reaction = SessionReaction::default();
        let transports = self.transports.keys().filter(|id| !resumed.transports.contains(id));
        for transport in transports.copied().collect::<Vec<_>>() {
            let SessionReaction { news, closed, .. } = self.transport_ended(transport);
            reaction.news.extend(news);
            reaction.closed = reaction.closed.or(closed);
        }
        let is_received = |track: &TrackId| resumed.subscriptions.iter().any(|(other, _)| other == track);
        let ended: Vec<TrackId> =
            self.consumers.keys().copied().filter(|track| !is_received(track)).collect();
        self.consumers.retain(|track, _| !ended.contains(track));
        reaction.news.extend(ended.into_iter().map(News::ConsumerClosed));
        for track in self.consumers.keys() {
            let muted = self.people.track(*track).map(|info| info.muted);
            if let Some(muted) =
                muted.filter(|muted| muted_before.get(track).is_some_and(|before| before != muted))
            {
                reaction.news.push(News::ConsumerPaused(*track, muted));
            }
        }
        let own = &resumed.publications;
        let is_there = |track: &TrackId| own.iter().any(|one| one.info.track == *track);
        let stopped: Vec<TrackId> = self.producers.keys().copied().filter(|track| !is_there(track)).collect();
        reaction.news.extend(stopped.into_iter().flat_map(|track| self.own_ended(track)));
        for info in own.iter().map(|one| &one.info) {
            if self.producers.contains_key(&info.track) && self.muted.contains(&info.track) != info.muted {
                self.note_muted(info.track, info.muted);
                let user = self.user.clone();
                reaction.news.push(News::ProducerPaused { user, producer: info.track, paused: info.muted });
            }
        }
        reaction.news.extend(self.everything());
        reaction
    }

    /// Notes whether an own track is muted.
    fn note_muted(&mut self, track: TrackId, muted: bool) {
        if muted {
            self.muted.insert(track);
        } else {
            self.muted.remove(&track);
        }
    }

    /// Forgets a transport that has ended by itself, and what went over it.
    fn transport_ended(&mut self, transport: TransportId) -> SessionReaction {
        let consumers = self.forget_transport(transport);
        let news = consumers.into_iter().map(News::ConsumerClosed);
        let news = news.chain([News::TransportClosed(transport)]).collect();
        self.ended.push_back(transport);
        let closed = if self.ended.len() > ENDED_MAX { self.ended.pop_front() } else { None };
        SessionReaction { news, closed, ..SessionReaction::default() }
    }

    /// Ends a session that would have to wait at the door: the protocol has no way to wait for that.
    fn turned_away(&mut self) -> SessionReaction {
        let refusal = Refusal::new(
            RefusalCode::NotPermitted,
            "somebody has to let you in, and this protocol has no way to wait for that",
            "Use a token that may moderate, or the server's own page.",
        );
        let mut reaction = self.end(&refusal);
        reaction.demands.push(Demand::ConnectionLost);
        reaction
    }

    fn opened(&mut self, request: Option<&RequestId>, opened: &OpenedTransport) -> SessionReaction {
        let Some((reply_to, pending)) = self.take(request) else { return SessionReaction::default() };
        let OpenedTransport { transport, ice, candidates, dtls } = opened;
        let reply = json!({
            "id": transport.to_string(),
            "iceParameters": plain(ice),
            "iceCandidates": plain(candidates),
            "dtlsParameters": plain(dtls),
            "sessionId": self.secret,
        });
        let mut reaction =
            SessionReaction { replies: vec![(reply_to, Ok(reply))], ..SessionReaction::default() };
        if let Pending::Open(direction) = pending {
            self.transports.insert(*transport, direction);
            reaction.opened = Some(*transport);
        }
        reaction
    }

    fn produced(&mut self, request: Option<&RequestId>, track: TrackId) -> SessionReaction {
        match self.take(request) {
            Some((reply_to, Pending::Produce(transport, muted))) => {
                self.producers.insert(track, transport);
                self.note_muted(track, muted);
                answer(reply_to, json!({"id": track.to_string()}))
            }
            _ => SessionReaction::default(),
        }
    }

    fn consumed(&mut self, request: Option<&RequestId>, consumed: &Consumed) -> SessionReaction {
        let Some((reply_to, Pending::Consume(transport))) = self.take(request) else {
            return SessionReaction::default();
        };
        let Consumed { track, kind, parameters, paused, muted } = consumed;
        self.consumers.insert(*track, transport);
        let info = self.people.track(*track);
        let owner = info.and_then(|info| self.people.user(info.participant));
        answer(
            reply_to,
            json!({
                "id": consumer_id(*track),
                "producerId": track.to_string(),
                "kind": kind.as_str(),
                "rtpParameters": plain(parameters),
                "paused": paused,
                "producerPaused": muted,
                "appData": {"source": info.map(|info| info.source.as_str()), "userId": owner},
            }),
        )
    }

    fn done(&mut self, request: Option<&RequestId>) -> SessionReaction {
        let Some((reply_to, pending)) = self.take(request) else { return SessionReaction::default() };
        let mut closed = None;
        let id = match pending {
            Pending::Connect(transport) => transport.to_string(),
            Pending::CloseTransport(transport) => {
                self.forget_transport(transport);
                closed = Some(transport);
                transport.to_string()
            }
            Pending::Pause(track, muted) => {
                self.note_muted(track, muted);
                track.to_string()
            }
            Pending::CloseProducer(track) => {
                self.producers.remove(&track);
                track.to_string()
            }
            Pending::Adjust(track) => consumer_id(track),
            Pending::CloseConsumer(track) => {
                self.consumers.remove(&track);
                consumer_id(track)
            }
            // These are answered by events of their own.
            Pending::Join
            | Pending::Resume
            | Pending::Open(_)
            | Pending::Restart
            | Pending::Produce(..)
            | Pending::Consume(_)
            | Pending::Leave => return SessionReaction::default(),
        };
        SessionReaction { closed, ..answer(reply_to, json!({"id": id})) }
    }

    /// Forgets a transport and what was produced and consumed on it. Returns what was consumed.
    fn forget_transport(&mut self, transport: TransportId) -> Vec<TrackId> {
        self.transports.remove(&transport);
        self.producers.retain(|_, of| *of != transport);
        let consumers = self.consumers.iter().filter(|(_, of)| **of == transport);
        let consumers: Vec<TrackId> = consumers.map(|(track, _)| *track).collect();
        self.consumers.retain(|_, of| *of != transport);
        consumers
    }

    fn refused(&mut self, request: Option<&RequestId>, refusal: &Refusal) -> SessionReaction {
        // Whoever waited at the door is told so without a request.
        let is_unasked = request.is_none() && self.me.is_none();
        match self.take(request) {
            Some((reply_to, Pending::Join)) => {
                let mut reaction = self.end(refusal);
                reaction.replies.insert(0, (reply_to, Err(refusal.clone())));
                reaction
            }
            // It is tried again with the next call.
            Some((_, Pending::Resume)) if refusal.code == RefusalCode::RateLimited => {
                self.state = State::Lost;
                SessionReaction::default()
            }
            // The member is gone: all that has been asked meanwhile comes to nothing.
            Some((_, Pending::Resume)) => {
                let reason = LeaveReason::ResumeTimeout;
                let mut reaction = self.end(&not_there());
                reaction.news.push(News::Over(reason.as_str()));
                reaction.ended_by = Some(ClosingReason::Gone(reason));
                reaction
            }
            Some((reply_to, _)) => SessionReaction {
                replies: vec![(reply_to, Err(refusal.clone()))],
                ..SessionReaction::default()
            },
            None if is_unasked => self.end(refusal),
            None => SessionReaction::default(),
        }
    }

    /// Ends the session; every call that waits is refused.
    fn end(&mut self, refusal: &Refusal) -> SessionReaction {
        self.state = State::Leaving;
        let pending = std::mem::take(&mut self.pending).into_values().map(|(reply_to, _)| reply_to);
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|(reply_to, ..)| reply_to);
        let replies = pending.chain(waiting).map(|reply_to| (reply_to, Err(refusal.clone()))).collect();
        SessionReaction { replies, is_over: true, ..SessionReaction::default() }
    }

    fn over(&mut self, reason: Option<ClosingReason>) -> SessionReaction {
        let left = self.pending.iter().find(|(_, (_, pending))| matches!(pending, Pending::Leave));
        let left = left.map(|(request, _)| *request).and_then(|request| self.pending.remove(&request));
        let mut reaction = self.end(&not_there());
        reaction.replies.extend(left.map(|(reply_to, _)| (reply_to, Ok(json!({"success": true})))));
        if let Some(reason) = reason {
            reaction.news.push(News::Over(match reason {
                ClosingReason::Gone(reason) => reason.as_str(),
                ClosingReason::Replaced => LeaveReason::DuplicateIdentity.as_str(),
            }));
            reaction.ended_by = Some(reason);
        }
        reaction
    }

    /// Returns what an event about the room is to the client, and notes it.
    fn news(&mut self, event: &Event) -> Vec<News> {
        let me = self.me.as_ref().map(|(participant, _)| *participant);
        let user = |user: &str| user.to_owned();
        match event {
            Event::ParticipantJoined(info) => {
                let Person { user, name } = self.people.enter(info);
                vec![News::UserJoined { user, name }]
            }
            Event::ParticipantLeft(participant, _) => {
                self.people.leave(*participant).map(|user| News::UserLeft { user }).into_iter().collect()
            }
            Event::TrackAdded(info) => {
                let owner = self.people.add(info).map(user);
                owner.map(|user| News::NewProducer { user, info: info.clone() }).into_iter().collect()
            }
            Event::TrackRemoved(track, owner) if Some(*owner) == me => self.own_ended(*track),
            Event::TrackRemoved(track, _) => {
                let consumed = self.consumers.remove(track).map(|_| News::ConsumerClosed(*track));
                let user = self.people.remove(*track).map(user);
                let closed = user.map(|user| News::ProducerClosed { user, producer: *track });
                consumed.into_iter().chain(closed).collect()
            }
            Event::TrackMuted { track, participant, muted } => {
                let user = if Some(*participant) == me {
                    self.note_muted(*track, *muted);
                    Some(self.user.clone())
                } else {
                    self.people.mute(*track, *muted).map(user)
                };
                let paused = user.map(|user| News::ProducerPaused { user, producer: *track, paused: *muted });
                let consumed = self.consumers.contains_key(track);
                let consumed = consumed.then_some(News::ConsumerPaused(*track, *muted));
                paused.into_iter().chain(consumed).collect()
            }
            Event::CannotReceive { track, .. } | Event::ConsumerEnded(track) => {
                self.consumers.remove(track).map(|_| News::ConsumerClosed(*track)).into_iter().collect()
            }
            Event::ConsumerWanted(track, true) => self.offered(*track),
            Event::ConsumerWanted(track, false) => {
                self.consumers.remove(track).map(|_| News::ConsumerClosed(*track)).into_iter().collect()
            }
            // What was closed cannot be opened again: it is told as if it were new.
            Event::SubscriptionPermission { track, allowed: true, .. } => self.offered(*track),
            Event::PermissionsChanged { ended, grants } => {
                let mut news: Vec<News> =
                    ended.iter().flat_map(|(track, _)| self.own_ended(*track)).collect();
                if !std::mem::replace(&mut self.may_receive, grants.subscribe) && grants.subscribe {
                    let tracks = self.people.tracks();
                    news.extend(tracks.into_iter().flat_map(|track| self.offered(track)));
                }
                news
            }
            _ => Vec::new(),
        }
    }

    /// Tells of a track that the client does not receive and may ask for.
    fn offered(&self, track: TrackId) -> Vec<News> {
        let info = self.people.track(track).filter(|_| !self.consumers.contains_key(&track));
        let news = info.and_then(|info| {
            let user = self.people.user(info.participant)?.to_owned();
            Some(News::NewProducer { user, info: info.clone() })
        });
        news.into_iter().collect()
    }

    fn own_ended(&mut self, track: TrackId) -> Vec<News> {
        let user = self.user.clone();
        self.muted.remove(&track);
        let ended = self.producers.remove(&track).map(|_| News::ProducerClosed { user, producer: track });
        ended.into_iter().collect()
    }
}

fn answer(reply_to: ReplyTo, reply: Value) -> SessionReaction {
    SessionReaction { replies: vec![(reply_to, Ok(reply))], ..SessionReaction::default() }
}

/// Returns the refusal of what is asked for somebody who is in no room.
pub fn not_there() -> Refusal {
    Refusal::new(
        RefusalCode::NotJoined,
        "you are not in the room, or not any longer",
        "Come in again: create a transport, or join the room.",
    )
}

/// Returns a structure of ORTC's as JSON, without what is not there.
pub fn plain(structure: &impl serde::Serialize) -> Value {
    let mut value = serde_json::to_value(structure).unwrap_or_default();
    strip(&mut value);
    value
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

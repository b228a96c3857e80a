//! The front end of LiveKit's protocol: what one client's WebSocket remembers, from its opening to its end. Its connection
//! holds it, moves the bytes, and carries out what it returns.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use prost::Message as _;

use super::join::JoinAsked;
use super::messages::{
    ConnectionQualityInfo, JoinResponse, ParticipantInfo, Pong, SessionDescription, SignalRequest,
    SignalResponse, SubscriptionResponse, TrackPublishedResponse, numbers,
};
use super::own_data_tracks::OwnDataTracks;
use super::parted::{Kept, Left, Parted};
use super::people::{People, disconnect_reason, participant_info, permission};
use super::reaction::{
    LiveKitReaction, ask, command, encoded, leave, letter_and_rest, request_id, response_to, say, trickled,
    update,
};
use super::requirement::Requirement;
use super::sections::OfferedSections;
use super::subscriber::Subscriber;
use super::tracks::OwnTracks;
use super::trials::Trial;
use super::welcome;
use crate::core::command::{Command, Layout, Lifeline, Proof, Resume};
use crate::core::event::{
    ClosingReason, Event, Joined, LeaveReason, Refusal, RefusalCode, Resumed, SlotInfo,
};
use crate::core::grants::Grants;
use crate::core::ids::{ParticipantId, RequestId, RoomId, TrackId};
use crate::core::msid::track_sid;
use crate::core::profile::{Profile, ProfileChange};
use crate::limits::{FAULTS_MAX, FAULTS_PER_SECOND};
use crate::signal::allowance::Allowance;
use crate::signal::native::{Close, IceServer, Limits, SharedAllowance, refusals};
use crate::signal::{Demand, Ticket};

/// What all connections of the client's identity may still send, if it has one.
pub(super) type Shared<'a> = Option<&'a mut SharedAllowance>;

/// Who the client is, once it has joined.
#[derive(Debug)]
pub(super) struct Me {
    pub(super) participant: ParticipantId,
    pub(super) identity: String,
    pub(super) profile: Profile,
    pub(super) grants: Grants,
    pub(super) room: RoomId,
    /// The id of this room, which no later room of the same name has.
    pub(super) room_sid: String,
    /// For how long the client may come back after its connection has broken.
    resume_within: Duration,
}

/// What only the server knows when a client comes in.
#[derive(Debug, Clone, Copy, Default)]
pub struct LiveKitFacts<'a> {
    /// The ICE servers for this client.
    pub ice_servers: &'a [IceServer],
    /// The id of this room, as webhooks and the room service have it.
    pub room_sid: &'a str,
}

/// One client of LiveKit's protocol.
#[derive(Debug)]
pub struct LiveKitFrontEnd {
    pub(super) limits: Limits,
    pub(super) messages: Allowance,
    pub(super) offers: Allowance,
    /// How often the client may still break the rules before it is cut.
    pub(super) faults: Allowance,
    pub(super) auto_subscribe: bool,
    /// Whether it receives on a connection for that alone (version 0).
    is_split: bool,
    /// Who is to be taken up again, until that has happened.
    pub(super) resumes: Option<ParticipantId>,
    /// The offer that came with the request to join, until it can be made.
    pub(super) first_offer: Option<SessionDescription>,
    pub(super) me: Option<Me>,
    pub(super) people: People,
    pub(super) tracks: OwnTracks,
    pub(super) data_tracks: OwnDataTracks,
    pub(super) requirement: Requirement,
    /// The connection on which the client receives, if it has one for that alone. Whoever comes back gets it back.
    pub(super) subscriber: Option<Box<Subscriber>>,
    /// The offer that the core has not answered yet: the client's number of it, and its sections.
    pub(super) offering: Option<(u32, OfferedSections)>,
    /// Changes of the client's profile that the core has not confirmed yet, by the client's numbers.
    pub(super) changes: BTreeMap<u32, ProfileChange>,
    /// How loud those are who speak, from 0 to 1.
    pub(super) speaking: BTreeMap<ParticipantId, f32>,
    /// How good everybody's call is.
    pub(super) qualities: BTreeMap<ParticipantId, ConnectionQualityInfo>,
    /// Whether the client has surely taken in who is there.
    pub(super) is_settled: bool,
    /// Tracks of which nothing is sent for now.
    pub(super) paused: BTreeSet<TrackId>,
    /// Tracks that the client wants and that their owners do not let it receive, if it receives by parameters.
    pub(super) shut_out: BTreeSet<TrackId>,
    /// Tracks that the client has said it does not want, if it receives by parameters.
    pub(super) unwanted: BTreeSet<TrackId>,
    /// Until when the client is told that it speaks, because it wants to try that.
    pub(super) pretends_to_speak: Option<Instant>,
    /// What is to happen to this connection, because the client wants to try it.
    trial: Option<Trial>,
    /// Whether the client has been told our addresses by themselves.
    has_candidates: bool,
    /// Whether the core has heard of this connection, and must hear of its end.
    pub(super) is_known_to_core: bool,
}

impl LiveKitFrontEnd {
    /// Begins with a client that has asked for this by which it opened its WebSocket.
    pub fn new(limits: Limits, now: Instant, asked: JoinAsked) -> Self {
        Self {
            limits,
            messages: Allowance::new(limits.messages_per_second, limits.messages_burst, now),
            offers: Allowance::new(limits.offers_per_second, limits.offers_burst, now),
            faults: Allowance::new(FAULTS_PER_SECOND, FAULTS_MAX, now),
            auto_subscribe: asked.auto_subscribe,
            is_split: asked.is_split,
            resumes: asked.resumes.flatten(),
            first_offer: asked.offer,
            me: None,
            people: People::default(),
            tracks: OwnTracks::default(),
            data_tracks: OwnDataTracks::default(),
            requirement: Requirement::default(),
            subscriber: (asked.is_split && asked.resumes.is_none()).then(Box::default),
            offering: None,
            changes: BTreeMap::new(),
            speaking: BTreeMap::new(),
            qualities: BTreeMap::new(),
            is_settled: false,
            paused: BTreeSet::new(),
            shut_out: BTreeSet::new(),
            unwanted: BTreeSet::new(),
            pretends_to_speak: None,
            trial: None,
            has_candidates: false,
            is_known_to_core: false,
        }
    }

    /// Returns the demand to join a room by what the client has shown.
    pub fn join(&mut self, room: RoomId, name: String, ticket: Ticket) -> Demand {
        self.is_known_to_core = true;
        Demand::Join {
            request: None,
            room: Some(room),
            name,
            // In version 0 what is received is asked for track by track.
            auto_subscribe: self.auto_subscribe && !self.is_split,
            lifeline: Lifeline::Signalling,
            layout: if self.is_split { Layout::Split } else { Layout::Tracks },
            ticket,
            can_mesh: false,
        }
    }

    /// Returns the demand to take up the participant that the client was, who has this identity by its token; `None` if the
    /// client does not want that.
    pub fn resume(&mut self, room: RoomId, identity: String) -> Option<Demand> {
        let participant = self.resumes?;
        self.is_known_to_core = true;
        let resume = Resume { room, participant, proof: Proof::Identity(identity) };
        Some(Demand::Resume { request: None, resume })
    }

    /// Returns what a client is told that wants to take up a participant who cannot be taken up: it joins anew.
    pub fn cannot_resume() -> LiveKitReaction {
        const STATE_MISMATCH: i32 = 6;
        LiveKitReaction { close: Some(Close::Normal), ..say(&leave(STATE_MISMATCH, numbers::RECONNECT)) }
    }

    /// Has this happen to the connection.
    pub fn try_out(&mut self, trial: Option<Trial>) {
        self.trial = trial;
    }

    /// Returns by which way alone media is to go, if the client wants to try that.
    pub fn forced_way(&self) -> Option<Trial> {
        self.trial.filter(|trial| matches!(trial, Trial::ForceTcp | Trial::ForceTls))
    }

    /// Returns in which room the client is, and its identity there, once it has joined.
    pub fn who(&self) -> Option<(RoomId, String)> {
        self.me.as_ref().map(|me| (me.room.clone(), me.identity.clone()))
    }

    /// Returns whether somebody has joined by this connection.
    pub fn has_joined(&self) -> bool {
        self.me.is_some()
    }

    /// Takes one of the client's messages, which also counts for all connections of its identity, if it has one for which its
    /// token vouches.
    pub fn receive(&mut self, now: Instant, bytes: &[u8], all: Shared<'_>) -> LiveKitReaction {
        let mut reaction = self.end_pretence(now);
        reaction.and(self.receive_request(now, bytes, all));
        reaction
    }

    fn receive_request(&mut self, now: Instant, bytes: &[u8], mut all: Shared<'_>) -> LiveKitReaction {
        // Taken before anything is read. A message that cannot be read costs as much as another.
        if !self.take(now, 1, all.as_deref_mut()) {
            return self.too_many_messages(now);
        }
        let Ok(request) = SignalRequest::decode(bytes) else {
            return self.fault(now, refusals::binary_message());
        };
        if let Some(ping) = request.ping {
            let mut reaction = say(&SignalResponse { pong: Some(ping), ..SignalResponse::default() });
            reaction.and(self.settle());
            return reaction;
        }
        if let Some(ping) = request.ping_req {
            let pong = Pong { last_ping_timestamp: ping.timestamp, timestamp: ping.timestamp };
            return say(&SignalResponse { pong_resp: Some(pong), ..SignalResponse::default() });
        }
        if self.me.is_none() {
            return LiveKitReaction::default();
        }
        if let Some(offer) = request.offer {
            return self.receive_offer(now, &offer, all);
        }
        if let Some(answer) = request.answer {
            return self.receive_answer(&answer);
        }
        if let Some(track) = request.add_track {
            return self.add_track(now, track);
        }
        if let Some(mute) = request.mute {
            return self.mute(now, &mute, all);
        }
        if let Some(subscription) = request.subscription {
            return self.subscribe(now, subscription, all);
        }
        if let Some(settings) = request.track_setting {
            return self.prefer(now, &settings, all);
        }
        if let Some(change) = request.update_metadata {
            return self.update_profile(now, change, all);
        }
        if request.leave.is_some() {
            return ask(Command::Leave);
        }
        if let Some(permission) = request.subscription_permission {
            return self.set_audience(now, permission, all);
        }
        if let Some(scenario) = request.simulate {
            return self.simulate(now, &scenario);
        }
        if let Some(request) = request.publish_data_track_request {
            return self.publish_data_track(now, request, all);
        }
        if let Some(request) = request.unpublish_data_track_request {
            return self.unpublish_data_track(now, &request, all);
        }
        if let Some(request) = request.update_data_subscription {
            return self.subscribe_to_data(now, &request, all);
        }
        // Candidates are not needed, and what else there is changes nothing here.
        LiveKitReaction::default()
    }

    /// Takes what a message costs from the allowances.
    pub(super) fn take(&mut self, now: Instant, cost: usize, all: Shared<'_>) -> bool {
        let cost_of = cost as f64;
        cost == 0
            || (self.messages.take(now, cost_of) && all.is_none_or(|all| all.messages.take(now, cost_of)))
    }

    pub(super) fn too_many_messages(&mut self, now: Instant) -> LiveKitReaction {
        self.fault(now, refusals::rate_limited(self.limits.messages_per_second as usize))
    }

    /// Passes over a message that breaks the rules. A client that goes on breaking them is disconnected.
    pub(super) fn fault(&mut self, now: Instant, refusal: Refusal) -> LiveKitReaction {
        let refused = Some(refusal);
        if self.faults.take(now, 1.0) {
            return LiveKitReaction { refused, is_fault: true, ..LiveKitReaction::default() };
        }
        LiveKitReaction {
            close: Some(Close::Refused),
            refused,
            is_fault: true,
            ..say(&leave(0, numbers::DISCONNECT))
        }
    }

    /// Refuses a text message: the protocol allows JSON, which no client sends.
    pub fn refuse_text(&mut self, now: Instant) -> LiveKitReaction {
        let message = "a text message; the messages of this protocol are binary";
        self.fault(now, Refusal::new(RefusalCode::BadMessage, message, "send SignalRequest as binary"))
    }

    /// Refuses a long message without reading it, because clients of its address have sent too many bytes.
    pub fn refuse_long(&mut self, now: Instant) -> LiveKitReaction {
        self.fault(now, refusals::messages_too_long())
    }

    /// Takes a ping or a pong of the WebSocket itself, which counts as a message. It is answered already.
    pub fn receive_control(&mut self, now: Instant) -> LiveKitReaction {
        if self.messages.take(now, 1.0) || self.faults.take(now, 1.0) {
            return LiveKitReaction::default();
        }
        self.too_many_messages(now)
    }

    /// Refuses a message over the limit, and ends the connection, because the next message cannot be found.
    pub fn refuse_too_large(&self) -> LiveKitReaction {
        let refused = Some(refusals::message_too_large(self.limits.message_bytes_max));
        LiveKitReaction { close: Some(Close::TooLarge), refused, ..say(&leave(0, numbers::DISCONNECT)) }
    }

    /// Refuses a join or a resume, because there were too many of its address, or because nothing lets its sender in.
    pub fn refuse_join(&mut self, refusal: Refusal) -> LiveKitReaction {
        const JOIN_FAILURE: i32 = 7;
        self.is_known_to_core = false;
        let refused = Some(refusal);
        if self.resumes.is_some() {
            return LiveKitReaction { refused, ..Self::cannot_resume() };
        }
        LiveKitReaction {
            close: Some(Close::Refused),
            refused,
            ..say(&leave(JOIN_FAILURE, numbers::DISCONNECT))
        }
    }

    /// Ends a call whose offer cannot be answered: the protocol has no other refusal of an offer.
    pub(super) fn refuse_offer(&mut self, refusal: &Refusal) -> LiveKitReaction {
        const MEDIA_FAILURE: i32 = 15;
        self.is_known_to_core = false;
        LiveKitReaction {
            demands: vec![command(None, Command::Leave)],
            close: Some(Close::Refused),
            refused: Some(refusal.clone()),
            ..say(&leave(MEDIA_FAILURE, numbers::DISCONNECT))
        }
    }

    /// Takes one of the core's events. `facts` go into the reply to a join.
    pub fn event(&mut self, event: &Event, facts: LiveKitFacts<'_>) -> LiveKitReaction {
        match event {
            Event::Joined(_, joined) => self.joined(joined, facts),
            Event::Resumed(_, resumed) => self.resumed(resumed, facts),
            // Nobody can wait in this protocol: its clients give up after five seconds without an answer.
            Event::Waiting(_) => {
                let message = "somebody has to let you in, and this protocol has no way to wait for that";
                let refusal = Refusal::new(RefusalCode::NotPermitted, message, "join by the page");
                let mut reaction = self.refuse_join(refusal);
                reaction.demands.push(Demand::ConnectionLost);
                reaction
            }
            Event::Answer { sdp, shown, .. } => self.answered(sdp, shown),
            Event::TrackReserved(_, track) => match self.tracks.reserved(*track) {
                Some((cid, info)) => {
                    let published = TrackPublishedResponse { cid, track: Some(info) };
                    say(&SignalResponse { track_published: Some(published), ..SignalResponse::default() })
                }
                None => LiveKitReaction::default(),
            },
            Event::Done(request) => self.done(request.as_ref()),
            Event::Refused(request, refusal) => self.refused(request.as_ref(), refusal),
            Event::SlotMap(map) => {
                self.requirement.slot_map(map);
                self.require()
            }
            Event::MoreSlots(wanted) => {
                self.requirement.want(*wanted);
                self.require()
            }
            Event::TransportOpened(..)
            | Event::Consumed(..)
            | Event::TransportEnded(_)
            | Event::ConsumerEnded(_)
            | Event::ConsumerWanted(..) => self.subscriber_event(event),
            Event::DataTrackPublished(..) | Event::DataTracks(..) | Event::DataTrackHandle(..) => {
                self.data_track_event(event)
            }
            Event::SubscriptionPermission { track, owner, allowed } => {
                self.subscription_permission(*track, *owner, *allowed)
            }
            Event::TrackAdded(_) | Event::TrackRemoved(..) if self.subscriber.is_some() => {
                let mut reaction = self.news(event);
                reaction.and(self.subscriber_event(event));
                reaction
            }
            Event::Closing(reason) => self.closing(*reason),
            Event::Left(_) => {
                self.is_known_to_core = false;
                LiveKitReaction { close: Some(Close::Normal), ..LiveKitReaction::default() }
            }
            other => self.news(other),
        }
    }

    /// Notes who the client is and who else is there. Returns what is told of these.
    fn enter(&mut self, joined: &Joined, room_sid: &str) -> Vec<ParticipantInfo> {
        let identity = joined.profile.known_as(joined.participant);
        let others = self.people.replace(&identity, &joined.participants);
        self.me = Some(Me {
            participant: joined.participant,
            identity,
            profile: joined.profile.clone(),
            grants: joined.grants,
            room: joined.room.clone(),
            room_sid: room_sid.to_owned(),
            resume_within: Duration::from_secs(joined.resume_seconds),
        });
        others
    }

    /// Welcomes a client that has come back. It offers again by itself, and is told everything, because some clients take for
    /// gone who is not named.
    fn resumed(&mut self, resumed: &Resumed, facts: LiveKitFacts<'_>) -> LiveKitReaction {
        self.resumes = None;
        if self.is_split && self.subscriber.is_none() {
            return Self::cannot_resume();
        }
        self.tracks.restore(&resumed.publications);
        self.enter(&resumed.joined, facts.room_sid);
        let reconnect = Some(welcome::reconnect_response(facts.ice_servers));
        let mut reaction = say(&SignalResponse { reconnect, ..SignalResponse::default() });
        // Everybody's data tracks are told before this is answered. Whoever is named without theirs has none for the client.
        reaction.demands.push(command(request_id('w', ""), Command::ReadChannels));
        reaction.and(self.take_up_subscriber(resumed));
        if self.trial == Some(Trial::BreakWhenResumed) {
            reaction.close = Some(Close::GoingAway);
        }
        reaction
    }

    fn joined(&mut self, joined: &Joined, facts: LiveKitFacts<'_>) -> LiveKitReaction {
        let others = self.enter(joined, facts.room_sid);
        let response = JoinResponse {
            room: Some(welcome::room((facts.room_sid, &joined.room), &joined.room_state, others.len() + 1)),
            participant: self.my_info(),
            other_participants: others,
            ..welcome::join_response(facts.ice_servers, self.trial == Some(Trial::ForceTls))
        };
        let mut reaction = say(&SignalResponse { join: Some(response), ..SignalResponse::default() });
        // What comes on its data channels is in a format of its own.
        reaction.demands.push(command(None, Command::ReadChannels));
        reaction.and(self.receive_all());
        if let Some(offer) = self.first_offer.take() {
            // No time has passed since the allowance was full.
            let offered = self.offer_at_once(offer);
            reaction.demands.extend(offered.demands);
            reaction.say.extend(offered.say);
            reaction.close = offered.close;
            reaction.refused = offered.refused;
        }
        reaction
    }

    /// Makes the offer that came with the request to join. It publishes nothing, because nothing has been announced.
    fn offer_at_once(&mut self, offer: SessionDescription) -> LiveKitReaction {
        match OfferedSections::read(&offer.sdp) {
            Ok(offered) => {
                let request = request_id('o', offer.id);
                self.offering = Some((offer.id, offered));
                let asked = Command::Offer { sdp: offer.sdp, publications: Vec::new() };
                LiveKitReaction { demands: vec![command(request, asked)], ..LiveKitReaction::default() }
            }
            Err(refused) => {
                let action = "correct the offer";
                self.refuse_offer(&Refusal::new(RefusalCode::BadOffer, refused.message, action))
            }
        }
    }

    /// Returns what is told of the client itself.
    fn my_info(&self) -> Option<ParticipantInfo> {
        let me = self.me.as_ref()?;
        let info = participant_info(me.participant, &me.identity, &me.profile, self.tracks.infos());
        let data_tracks = self.data_tracks.infos();
        Some(ParticipantInfo { permission: Some(permission(&me.grants)), data_tracks, ..info })
    }

    pub(super) fn tell_of_me(&self) -> LiveKitReaction {
        self.my_info().map(|info| say(&update(vec![info]))).unwrap_or_default()
    }

    fn answered(&mut self, sdp: &str, shown: &[SlotInfo]) -> LiveKitReaction {
        let Some((id, offered)) = self.offering.take() else { return LiveKitReaction::default() };
        let tracks = self.requirement.answer(offered.receiving, shown);
        let mid_to_track_id =
            tracks.iter().map(|(mid, track)| (mid.to_string(), track_sid(*track))).collect();
        let answer = SessionDescription { kind: "answer".into(), sdp: sdp.to_owned(), id, mid_to_track_id };
        let mut reaction = say(&SignalResponse { answer: Some(answer), ..SignalResponse::default() });
        if !std::mem::replace(&mut self.has_candidates, true) {
            reaction.say.extend(trickled(sdp));
        }
        reaction
    }

    /// Asks the client to offer again, if there is something that it does not know.
    fn require(&mut self) -> LiveKitReaction {
        let question = self.requirement.question();
        let asks = |media_sections_requirement| {
            say(&SignalResponse {
                media_sections_requirement: Some(media_sections_requirement),
                ..SignalResponse::default()
            })
        };
        question.map(asks).unwrap_or_default()
    }

    fn done(&mut self, request: Option<&RequestId>) -> LiveKitReaction {
        let number = match request.and_then(letter_and_rest) {
            Some(('m', number)) => number,
            Some(('w', _)) => return say(&update(self.people.all().chain(self.my_info()).collect())),
            _ => return LiveKitReaction::default(),
        };
        let Ok(request_id) = number.parse::<u32>() else { return LiveKitReaction::default() };
        if let (Some(change), Some(me)) = (self.changes.remove(&request_id), &mut self.me)
            && let Ok(profile) = me.profile.changed(&change)
        {
            me.profile = profile;
        }
        let mut reaction = self.tell_of_me();
        reaction.say.push(encoded(&response_to(request_id, numbers::OK, "")));
        reaction
    }

    fn refused(&mut self, request: Option<&RequestId>, refusal: &Refusal) -> LiveKitReaction {
        let refused = Some(refusal.clone());
        let reaction = match request.and_then(letter_and_rest) {
            _ if self.me.is_none() => return self.refuse_join(refusal.clone()),
            Some(('o', _)) => return self.refuse_offer(refusal),
            Some(('s', track)) => {
                let track_sid = track.parse().map(track_sid).unwrap_or_default();
                let response = SubscriptionResponse { track_sid, err: numbers::TRACK_NOT_FOUND };
                say(&SignalResponse { subscription_response: Some(response), ..SignalResponse::default() })
            }
            Some(('c', track)) => self.consume_refused(track, refusal),
            Some(('d', handle)) => self.data_track_refused(handle, refusal),
            // The connection on which it receives has ended meanwhile.
            Some(('i', _)) => say(&leave(0, numbers::RECONNECT)),
            Some(('m', number)) => {
                let request_id = number.parse().unwrap_or_default();
                self.changes.remove(&request_id);
                let reason = match refusal.code {
                    RefusalCode::NotPermitted => numbers::NOT_ALLOWED,
                    RefusalCode::RateLimited | RefusalCode::PayloadTooLarge => numbers::LIMIT_EXCEEDED,
                    _ => numbers::UNCLASSIFIED,
                };
                say(&response_to(request_id, reason, &refusal.message))
            }
            _ => LiveKitReaction::default(),
        };
        LiveKitReaction { refused, ..reaction }
    }

    fn closing(&mut self, reason: ClosingReason) -> LiveKitReaction {
        self.is_known_to_core = false;
        let message = match reason {
            ClosingReason::Gone(reason @ LeaveReason::Shutdown) => {
                leave(disconnect_reason(reason), numbers::RECONNECT)
            }
            ClosingReason::Gone(reason) => leave(disconnect_reason(reason), numbers::DISCONNECT),
            // The client is there already, by its newer connection.
            ClosingReason::Replaced => {
                return LiveKitReaction { close: Some(Close::Normal), ..LiveKitReaction::default() };
            }
        };
        let close = match reason {
            ClosingReason::Gone(LeaveReason::Shutdown) => Close::GoingAway,
            _ => Close::Normal,
        };
        LiveKitReaction { close: Some(close), ..say(&message) }
    }

    /// Returns the message with a new token, by which the client comes back if its connection breaks.
    pub fn token(token: &str) -> Vec<u8> {
        encoded(&SignalResponse { refresh_token: Some(token.to_owned()), ..SignalResponse::default() })
    }

    /// Returns what the client leaves behind, now that this is its connection no longer and it may come back.
    pub fn part(&mut self) -> Option<Left> {
        let Me { room, participant, resume_within, .. } = self.me.as_ref()?;
        let (who, within) = ((room.clone(), *participant), *resume_within);
        let kept = Kept {
            subscriber: self.subscriber.take(),
            tracks: std::mem::take(&mut self.tracks),
            shut_out: std::mem::take(&mut self.shut_out),
            unwanted: std::mem::take(&mut self.unwanted),
        };
        kept.is_worth_it().then_some(Left { who, within, kept: Box::new(kept) })
    }

    /// Keeps what the client leaves behind if another connection takes its place, or gives that connection what was kept. Called
    /// with each of the core's events, before that is [taken](Self::event).
    pub fn change_hands(&mut self, now: Instant, event: &Event, parted: &mut Parted) {
        match event {
            Event::Closing(ClosingReason::Replaced) => {
                if let Some(left) = self.part() {
                    parted.keep(now, left);
                }
            }
            Event::Resumed(_, resumed) => {
                let who = (resumed.joined.room.clone(), resumed.joined.participant);
                if let Some(kept) = parted.take(&who) {
                    let Kept { subscriber, tracks, shut_out, unwanted } = *kept;
                    self.subscriber = subscriber.filter(|_| self.is_split);
                    (self.tracks, self.shut_out, self.unwanted) = (tracks, shut_out, unwanted);
                }
            }
            _ => {}
        }
    }

    /// Notes that the connection has ended. Returns what the core must hear, if it knows the connection. A client that leaves
    /// says so before.
    pub fn lost(&mut self) -> Option<Demand> {
        std::mem::take(&mut self.is_known_to_core).then_some(Demand::ConnectionLost)
    }
}

//! The front ends of WHIP and WHEP: what a session remembers from its POST to its end. A session publishes or views. A
//! viewing session has a [`WhepViewer`], which chooses the tracks, because a WHEP client cannot ask for them.
//!
//! The core sees a session as a connection of its own. Its requests come by HTTP, one at a time, on any connection, and
//! each waits until the core's events bring its answer. The session does not know which connection waits: the shell
//! remembers that, and sends the [`WhipReply`].

use super::{Choice, Fragment, Problem, Side, WhepViewer, WhipOffer, answer_fragment, precondition};
use crate::core::command::{Command, Layout, Lifeline};
use crate::core::event::{ClosingReason, Event, Refusal};
use crate::core::ids::{ParticipantId, RequestId, RoomId};
use crate::signal::{Demand, Ticket};

/// The answer to the request that a session has under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhipReply {
    /// To POST: the session is open.
    Opened {
        /// Who the session is in the room.
        participant: ParticipantId,
        /// The SDP answer.
        answer: String,
    },
    /// To PATCH: ICE was restarted. The text is the fragment for the answer (RFC 8840 §9).
    Restarted(String),
    /// To DELETE: the session is over.
    Ended,
    /// The core refused what the request asked for.
    Refused(Refusal),
    /// The session ended before the request was answered; `None` if nobody but the session itself ended it.
    Interrupted(Option<ClosingReason>),
}

/// What to do after one of the core's events.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct WhipReaction {
    /// Hand these to the core, in this order.
    pub demands: Vec<Demand>,
    /// The answer to the request that is under way.
    pub reply: Option<WhipReply>,
    /// Whether the session is over and can be forgotten.
    pub is_over: bool,
}

/// How far a session is, and which request of its client it has under way.
#[derive(Debug)]
enum State {
    /// POST: the participant has not joined yet.
    Joining,
    /// POST: the core has not answered the offer yet.
    Answering(ParticipantId),
    /// Nothing is under way.
    Open,
    /// PATCH: the core has not answered the offer with the new credentials yet.
    Restarting(WhipOffer),
    /// DELETE, or a POST whose client is gone: the participant has not left yet.
    Leaving,
}

/// A session of WHIP or WHEP.
#[derive(Debug)]
pub struct WhipSession {
    side: Side,
    state: State,
    /// The offer that was answered last.
    offer: WhipOffer,
    /// What a WHEP client asked to see, until it has joined.
    choice: Choice,
    /// What a WHEP client sees, once it has joined.
    viewer: Option<WhepViewer>,
    /// How often ICE was restarted, which is the entity tag.
    restarts: u64,
    /// How many of its demands had an id. The id distinguishes the reply to the client's request from refusals of what
    /// the viewer asked for meanwhile.
    requests: u64,
}

impl WhipSession {
    /// Opens a session for a POST. Returns it and what it asks of the core.
    pub fn open(
        side: Side,
        room: RoomId,
        (name, ticket): (String, Ticket),
        offer: WhipOffer,
        choice: Choice,
    ) -> (Self, Demand) {
        let state = State::Joining;
        let mut session = Self { side, state, offer, choice, viewer: None, restarts: 0, requests: 0 };
        let demand = Demand::Join {
            request: session.next_request(),
            room: Some(room),
            name,
            auto_subscribe: false,
            lifeline: Lifeline::Media,
            layout: Layout::Slots,
            ticket,
            can_mesh: false,
        };
        (session, demand)
    }

    /// Returns whether the session publishes or views.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Returns the strong entity tag of the ICE session (RFC 9725 §4.3.1.1).
    pub fn etag(&self) -> String {
        format!("\"ice-{}\"", self.restarts)
    }

    /// Returns whether the body of a PATCH asks for an ICE restart, which counts as an offer.
    pub fn restarts_ice(&self, body: &[u8]) -> bool {
        Fragment::read(body).is_ok_and(|fragment| self.offer.new_credentials(&fragment).is_some())
    }

    /// Takes the body of a PATCH. Returns `None` if it has candidates only, which are answered at once, because this
    /// server learns addresses from connectivity checks.
    pub fn receive_fragment(
        &mut self,
        if_match: Option<&str>,
        body: &[u8],
    ) -> Result<Option<Demand>, Problem> {
        precondition(if_match, &self.etag()).map_err(|status| {
            let error = match status {
                428 => "If-Match is missing",
                _ => "the ICE session is another one by now",
            };
            Problem::new(status, error, "send If-Match with the newest ETag, or * to restart ICE")
        })?;
        let fragment = Fragment::read(body)
            .map_err(|error| Problem::new(400, error, "correct the fragment and send it again"))?;
        let Some((ufrag, password)) = self.offer.new_credentials(&fragment) else { return Ok(None) };
        if !matches!(self.state, State::Open) {
            let error = "another request of this session has not been answered yet";
            return Err(Problem::new(409, error, "wait for its answer, then send this one again"));
        }
        let restarted = self.offer.restarted(ufrag, password);
        let demand = self.demand_answer(&restarted);
        self.state = State::Restarting(restarted);
        Ok(Some(demand))
    }

    /// Ends the session, by its client's DELETE or because the client of a POST is gone.
    pub fn leave(&mut self) -> Demand {
        self.state = State::Leaving;
        Demand::Command { request: None, command: Command::Leave }
    }

    /// Notes that nobody waits for the answer any more. A session whose POST was not answered ends, because nobody
    /// knows its URL; others go on.
    pub fn abandon(&mut self) -> Option<Demand> {
        matches!(self.state, State::Joining | State::Answering(_)).then(|| self.leave())
    }

    /// Takes one of the core's events.
    pub fn event(&mut self, event: &Event) -> WhipReaction {
        match event {
            Event::Joined(_, joined) if matches!(self.state, State::Joining) => {
                if self.side == Side::View {
                    let choice = std::mem::take(&mut self.choice);
                    let slots = self.offer.receiving();
                    self.viewer = Some(WhepViewer::new(choice, slots, joined.participants.clone()));
                }
                self.state = State::Answering(joined.participant);
                let offer = self.offer.clone();
                WhipReaction { demands: vec![self.demand_answer(&offer)], ..WhipReaction::default() }
            }
            Event::Answer { sdp, .. } => self.answered(sdp),
            Event::Refused(request, refusal) => self.refused(request.as_ref(), refusal),
            Event::Closing(reason) => self.over(Some(*reason)),
            Event::Left(_) => self.over(None),
            other => self.watch(other),
        }
    }

    fn answered(&mut self, answer: &str) -> WhipReaction {
        let reply = match std::mem::replace(&mut self.state, State::Open) {
            State::Answering(participant) => WhipReply::Opened { participant, answer: answer.to_owned() },
            State::Restarting(offer) => {
                self.offer = offer;
                self.restarts += 1;
                WhipReply::Restarted(answer_fragment(answer))
            }
            // Nobody has asked, or nobody waits any more.
            before => {
                self.state = before;
                return WhipReaction::default();
            }
        };
        // A viewer may subscribe from its first answer on: before it, there is no slot to show anything in.
        let is_first = matches!(reply, WhipReply::Opened { .. });
        let viewer = self.viewer.as_mut().filter(|_| is_first);
        let demands = viewer.map(|viewer| commands(viewer.choose())).unwrap_or_default();
        WhipReaction { demands, reply: Some(reply), is_over: false }
    }

    fn refused(&mut self, request: Option<&RequestId>, refusal: &Refusal) -> WhipReaction {
        let is_awaited = request.is_some_and(|request| *request == request_id(self.requests));
        let reply = Some(WhipReply::Refused(refusal.clone()));
        match self.state {
            State::Joining if is_awaited => WhipReaction { reply, is_over: true, demands: Vec::new() },
            State::Answering(_) if is_awaited => {
                WhipReaction { demands: vec![self.leave()], reply, is_over: false }
            }
            State::Restarting(_) if is_awaited => {
                self.state = State::Open;
                WhipReaction { reply, ..WhipReaction::default() }
            }
            // The participant never joined, so the core has nobody to let go.
            State::Leaving => self.over(None),
            _ => WhipReaction::default(),
        }
    }

    fn over(&mut self, reason: Option<ClosingReason>) -> WhipReaction {
        let reply = match self.state {
            State::Leaving => Some(WhipReply::Ended),
            State::Open => None,
            State::Joining | State::Answering(_) | State::Restarting(_) => {
                Some(WhipReply::Interrupted(reason))
            }
        };
        WhipReaction { demands: Vec::new(), reply, is_over: true }
    }

    /// Takes events about the room, which may change what a viewer sees.
    fn watch(&mut self, event: &Event) -> WhipReaction {
        let Some(viewer) = &mut self.viewer else { return WhipReaction::default() };
        let has_changed = viewer.note(event);
        let may_choose = matches!(self.state, State::Open | State::Restarting(_));
        let demands = if has_changed && may_choose { commands(viewer.choose()) } else { Vec::new() };
        WhipReaction { demands, ..WhipReaction::default() }
    }

    fn demand_answer(&mut self, offer: &WhipOffer) -> Demand {
        let command = Command::Offer { sdp: offer.sdp.clone(), publications: offer.publications.clone() };
        Demand::Command { request: self.next_request(), command }
    }

    fn next_request(&mut self) -> Option<RequestId> {
        self.requests += 1;
        Some(request_id(self.requests))
    }
}

/// Returns the request id of a session's request with that index, a JSON number.
fn request_id(index: u64) -> RequestId {
    RequestId(index.to_string().into())
}

fn commands(commands: Vec<Command>) -> Vec<Demand> {
    commands.into_iter().map(|command| Demand::Command { request: None, command }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::command::Source;
    use crate::core::event::LeaveReason;
    use crate::core::event::{Joined, ParticipantInfo, RefusalCode, SlotCounts, TrackInfo};
    use crate::core::grants::{Grants, Role};
    use crate::core::ids::TrackId;
    use crate::core::profile::Profile;
    use crate::core::room_options::RoomState;

    const ANNA: ParticipantId = ParticipantId(1);
    const CAMERA: TrackId = TrackId(10);
    const UFRAG: &str = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n";
    const NEW_UFRAG: &[u8] = b"a=ice-ufrag:efgh\r\na=ice-pwd:1234567890123456789012\r\n";

    fn opened(side: Side) -> WhipSession {
        let direction = if side == Side::Publish { "sendonly" } else { "recvonly" };
        let text = format!(
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
             m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n{UFRAG}\
             a=fingerprint:sha-256 {}\r\na=setup:actpass\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\na={direction}\r\n",
            ["AA"; 32].join(":")
        );
        let offer = WhipOffer::read(side, text.as_bytes()).expect("a good offer");
        let room = "standup".parse().expect("a room");
        let (session, demand) = WhipSession::open(
            side,
            room,
            (
                "Studio".into(),
                Ticket::Granted {
                    grants: Grants::OPEN,
                    profile: None,
                    is_invited: false,
                    is_vouched_for: false,
                },
            ),
            offer,
            Choice::default(),
        );
        assert!(matches!(demand, Demand::Join { lifeline: Lifeline::Media, .. }), "{demand:?}");
        session
    }

    fn joined() -> Event {
        let tracks = vec![TrackInfo {
            track: CAMERA,
            participant: ANNA,
            source: Source::Camera,
            muted: false,
            label: None,
        }];
        let anna = ParticipantInfo {
            participant: ANNA,
            profile: Profile::named("Anna"),
            role: Role::Speaker,
            reconnecting: false,
            media_lost: false,
            tracks,
            mesh_tracks: Vec::new(),
        };
        let slots = SlotCounts { audio: 4, video: 4 };
        let joined = Joined {
            participant: ParticipantId(2),
            secret: String::new(),
            room: "standup".parse().expect("a room"),
            profile: Profile::named("Studio"),
            slots,
            slots_max: slots,
            resume_seconds: 0,
            grants: Grants::OPEN,
            room_state: RoomState::default(),
            participants: vec![anna],
            topology: None,
        };
        Event::Joined(None, Box::new(joined))
    }

    fn answer() -> Event {
        Event::Answer {
            request: None,
            sdp: format!("v=0\r\nm=video\r\n{UFRAG}"),
            publications: Vec::new(),
            shown: Vec::new(),
        }
    }

    fn refusal(session: &WhipSession) -> Event {
        let refusal = Refusal::new(RefusalCode::BadOffer, "no codec", "offer one");
        Event::Refused(Some(request_id(session.requests)), refusal)
    }

    fn open(side: Side) -> WhipSession {
        let mut session = opened(side);
        let offered = session.event(&joined());
        let is_offer = |demand: &Demand| {
            matches!(demand, Demand::Command { command: Command::Offer { .. }, request: Some(_) })
        };
        assert!(matches!(offered.demands.as_slice(), [demand] if is_offer(demand)), "{offered:?}");
        assert_eq!(offered.reply, None, "its client waits for the answer");
        let opened = session.event(&answer());
        assert!(matches!(opened.reply, Some(WhipReply::Opened { .. })), "{opened:?}");
        let subscribe = Demand::Command { request: None, command: Command::Subscribe(CAMERA) };
        let expected = if side == Side::View { vec![subscribe] } else { Vec::new() };
        assert_eq!(opened.demands, expected, "a viewer begins to view with the answer");
        session
    }

    #[test]
    fn a_session_opens_restarts_and_ends() {
        for side in [Side::Publish, Side::View] {
            let mut session = open(side);
            let tag = session.etag();
            assert_eq!(session.receive_fragment(Some(&tag), UFRAG.as_bytes()), Ok(None), "the same session");
            let demand = session.receive_fragment(Some(&tag), NEW_UFRAG).expect("it is the tag");
            assert!(demand.is_some());
            let busy = session.receive_fragment(Some("*"), NEW_UFRAG).expect_err("one at a time");
            assert_eq!(busy.status, 409);
            let restarted = session.event(&answer()).reply;
            let Some(WhipReply::Restarted(fragment)) = restarted else { panic!("{restarted:?}") };
            assert!(fragment.contains("a=ice-ufrag:abcd"), "{fragment}");
            assert_ne!(session.etag(), tag);
            assert_eq!(session.receive_fragment(Some(&tag), NEW_UFRAG).expect_err("stale").status, 412);
            session.leave();
            let left = session.event(&Event::Left(None));
            assert_eq!((left.reply, left.is_over), (Some(WhipReply::Ended), true));
        }
    }

    #[test]
    fn a_refusal_answers_the_request_that_it_is_of_and_no_other() {
        let mut session = opened(Side::Publish);
        let full = session.event(&refusal(&session));
        assert!(full.is_over && matches!(full.reply, Some(WhipReply::Refused(_))), "{full:?}");

        let mut session = opened(Side::Publish);
        session.event(&joined());
        let bad_offer = session.event(&refusal(&session));
        assert!(matches!(bad_offer.reply, Some(WhipReply::Refused(_))), "{bad_offer:?}");
        let leave = Demand::Command { request: None, command: Command::Leave };
        assert_eq!((bad_offer.demands, bad_offer.is_over), (vec![leave], false), "nobody stays behind");
        assert!(session.event(&Event::Left(None)).is_over);

        let mut viewer = open(Side::View);
        viewer.receive_fragment(Some("*"), NEW_UFRAG).expect("it is allowed");
        let of_subscribe = Event::Refused(None, Refusal::new(RefusalCode::UnknownTrack, "gone", "wait"));
        assert_eq!(viewer.event(&of_subscribe), WhipReaction::default());
        assert!(matches!(viewer.event(&answer()).reply, Some(WhipReply::Restarted(_))));
    }

    #[test]
    fn a_session_whose_client_did_not_wait_for_the_answer_ends() {
        let mut session = opened(Side::Publish);
        let leave = Some(Demand::Command { request: None, command: Command::Leave });
        assert_eq!(session.abandon(), leave);
        assert_eq!(session.event(&joined()), WhipReaction::default(), "it asks for nothing more");
        assert!(session.event(&Event::Left(None)).is_over);

        let mut session = open(Side::Publish);
        session.receive_fragment(Some("*"), NEW_UFRAG).expect("it is allowed");
        assert_eq!(session.abandon(), None, "whoever publishes goes on");
    }

    #[test]
    fn an_end_from_elsewhere_answers_whoever_waits() {
        let mut session = opened(Side::Publish);
        let closing = Event::Closing(ClosingReason::Gone(LeaveReason::Shutdown));
        let interrupted = session.event(&closing);
        assert_eq!(
            interrupted.reply,
            Some(WhipReply::Interrupted(Some(ClosingReason::Gone(LeaveReason::Shutdown))))
        );
        let mut session = open(Side::Publish);
        assert_eq!(session.event(&closing), WhipReaction { is_over: true, ..WhipReaction::default() });
    }
}

//! The messages of apps on mediasoup, and the session that they are for.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use strait::core::command::{Command, Lifeline, MediaKind};
use strait::core::event::{Consumed, Event, Joined, OpenedTransport, Refusal, RefusalCode, SlotCounts};
use strait::core::grants::Grants;
use strait::core::ids::{ParticipantId, RequestId, TrackId, TransportId};
use strait::core::ortc::{DtlsParameters, IceParameters, RtpParameters};
use strait::core::profile::Profile;
use strait::core::room_options::RoomState;
use strait::signal::mediasoup::{
    Asked, Dialect, ReplyTo, Session, SessionReaction, SocketFrontEnd, Told, reply_text,
};
use strait::signal::native::Limits;
use strait::signal::{Demand, Ticket};

use super::tape::Tape;

const LIMITS: Limits = Limits {
    message_bytes_max: 1 << 18,
    messages_per_second: 100,
    messages_burst: 100,
    offers_per_second: 10,
    offers_burst: 10,
};

fn joined(request: Option<RequestId>) -> Event {
    let slots = SlotCounts { audio: 4, video: 4 };
    let joined = Joined {
        participant: ParticipantId(1),
        secret: "secret".into(),
        room: "standup".parse().expect("a room"),
        profile: Profile::named("Anna"),
        slots,
        slots_max: slots,
        resume_seconds: 30,
        grants: Grants::OPEN,
        room_state: RoomState::default(),
        topology: None,
        participants: Vec::new(),
    };
    Event::Joined(request, Box::new(joined))
}

/// What the core would do, as far as a session can tell.
#[derive(Default)]
struct Core {
    made: u64,
    consumed: BTreeSet<TrackId>,
    refuses: bool,
    is_over: bool,
}

impl Core {
    /// Carries out what a session asks for. Returns the replies.
    fn take(&mut self, demand: Demand) -> Vec<Event> {
        let Demand::Command { request, command } = demand else { return Vec::new() };
        assert!(!self.is_over, "nothing is asked for somebody who has left");
        if self.refuses && command != Command::Leave {
            let refusal = Refusal::new(RefusalCode::NotPermitted, "no", "none");
            return vec![Event::Refused(request, refusal)];
        }
        self.made += 1;
        match command {
            Command::OpenTransport { .. } => vec![self.opened(request, TransportId(self.made))],
            Command::RestartTransport { transport } => vec![self.opened(request, transport)],
            Command::Produce { .. } => vec![Event::Produced(request, TrackId(self.made))],
            Command::Consume { track, paused, .. } => {
                self.consumed.insert(track);
                let parameters = RtpParameters::default();
                let kind = MediaKind::Audio;
                let consumed = Consumed { track, kind, parameters, paused, muted: false };
                vec![Event::Consumed(request, Box::new(consumed))]
            }
            Command::Pause { track, .. } => {
                assert!(self.consumed.contains(&track), "nobody pauses what they do not receive");
                vec![Event::Done(request)]
            }
            Command::Unsubscribe(track) => {
                assert!(self.consumed.remove(&track), "nobody ends what they do not receive");
                vec![Event::Done(request)]
            }
            Command::Leave => {
                self.is_over = true;
                vec![Event::Left(request)]
            }
            _ => vec![Event::Done(request)],
        }
    }

    fn opened(&self, request: Option<RequestId>, transport: TransportId) -> Event {
        let ice = IceParameters { username_fragment: "u".into(), password: "p".into(), ice_lite: true };
        let opened =
            OpenedTransport { transport, ice, candidates: Vec::new(), dtls: DtlsParameters::default() };
        Event::TransportOpened(request, Box::new(opened))
    }
}

/// `mediasoup`: whatever a client sends, each call is answered once, nothing is asked of the core about what the client does
/// not receive, and what it is told is JSON and never long.
pub fn mediasoup(data: &[u8]) {
    let mut tape = Tape::new(data);
    let mut now = Instant::now();
    let dialect = if tape.byte().unwrap_or_default() & 1 == 0 { Dialect::Rooms } else { Dialect::Channels };
    let mut socket = SocketFrontEnd::new(dialect, "client".into(), LIMITS, now);
    let ticket =
        Ticket::Granted { grants: Grants::OPEN, profile: None, is_invited: true, is_vouched_for: true };
    let named = ("standup".parse().expect("a room"), "anna".to_owned(), "Anna".to_owned());
    let (mut session, demand) =
        Session::open(named, "secret".into(), Lifeline::Signalling, ticket, ReplyTo::Nobody);
    let Demand::Join { request, .. } = demand else { panic!("{demand:?}") };
    let mut core = Core::default();
    assert_eq!(carry_out(&mut core, &mut session, vec![joined(request)]), 0);
    while let Some(choice) = tape.byte() {
        now += Duration::from_millis(u64::from(choice >> 3) * 20);
        core.refuses = choice & 7 == 7;
        let Some(text) = tape.bytes().map(String::from_utf8_lossy) else { break };
        let reaction = socket.receive(now, &text, usize::from(choice));
        reaction.say.iter().for_each(|text| is_json(text));
        if reaction.close.is_some() {
            break;
        }
        let Some(Told::Call(call, message)) = reaction.told else { continue };
        match session.call(call, Dialect::Rooms, ReplyTo::Message(message.clone())) {
            Asked::Core(demands) => {
                let replies = demands.into_iter().flat_map(|demand| core.take(demand)).collect();
                assert_eq!(
                    carry_out(&mut core, &mut session, replies),
                    1,
                    "{text}: each call is answered once"
                );
            }
            Asked::Done(reply) => is_json(&reply_text(&message, Ok(&reply))),
            Asked::Later => panic!("{text}: the session has begun"),
            Asked::Refused(refusal) => is_json(&reply_text(&message, Err(&refusal))),
        }
    }
}

fn is_json(text: &str) {
    assert!(text.len() < 1 << 20);
    let value: Result<serde_json::Value, _> = serde_json::from_str(text);
    assert!(value.is_ok_and(|value| value["type"].is_string()), "{text}");
}

/// Hands events to the session, and what it asks for to the core. Returns how many calls were answered.
fn carry_out(core: &mut Core, session: &mut Session, mut events: Vec<Event>) -> usize {
    let mut answered = 0;
    while !events.is_empty() {
        let mut next = Vec::new();
        for event in events {
            let SessionReaction { demands, replies, news, .. } = session.event(&event);
            for (to, result) in &replies {
                let ReplyTo::Message(message) = to else { continue };
                answered += 1;
                is_json(&reply_text(message, result.as_ref()));
            }
            for dialect in [Dialect::Rooms, Dialect::Channels] {
                news.iter().for_each(|news| is_json(&news.encode(dialect)));
            }
            next.extend(demands.into_iter().flat_map(|demand| core.take(demand)));
        }
        events = next;
    }
    answered
}

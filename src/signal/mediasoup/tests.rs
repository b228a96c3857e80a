//! A session of an app on mediasoup, and its WebSocket: what they ask of the core, and what they say of its events.

use std::time::Instant;

use serde_json::{Value, json};

use super::*;
use crate::core::command::{Command, Layout, Lifeline, MediaKind, Source};
use crate::core::event::{
    ClosingReason, Consumed, Event, Joined, LeaveReason, OpenedTransport, ParticipantInfo, PublicationInfo,
    Resumed, SlotCounts, SlotMap, TrackInfo,
};
use crate::core::grants::{Grants, Role};
use crate::core::ids::{ConnectionId, ParticipantId, RequestId, TrackId, TransportId};
use crate::core::ortc::{DtlsParameters, IceParameters, RtpParameters, TransportDirection};
use crate::core::profile::Profile;
use crate::core::room_options::RoomState;
use crate::signal::native::{Close, Limits};
use crate::signal::{Demand, Ticket};

const ANNA: ParticipantId = ParticipantId(1);
const BEN: ParticipantId = ParticipantId(2);
const CAMERA: TrackId = TrackId(10);
const OWN: TrackId = TrackId(20);
const SEND: TransportId = TransportId(30);
const RECEIVE: TransportId = TransportId(31);
const HTTP: ReplyTo = ReplyTo::Request(ConnectionId(7));

fn camera() -> TrackInfo {
    TrackInfo { track: CAMERA, participant: ANNA, source: Source::Camera, muted: false, label: None }
}

fn anna() -> ParticipantInfo {
    ParticipantInfo {
        participant: ANNA,
        profile: Profile { identity: Some("anna".into()), ..Profile::named("Anna") },
        role: Role::Speaker,
        reconnecting: false,
        media_lost: false,
        mesh_tracks: Vec::new(),
        tracks: vec![camera()],
    }
}

fn joined() -> Event {
    let slots = SlotCounts { audio: 4, video: 4 };
    let joined = Joined {
        participant: BEN,
        secret: "secret of Ben's".into(),
        room: "standup".parse().expect("a room"),
        profile: Profile::named("Ben"),
        slots,
        slots_max: slots,
        resume_seconds: 30,
        grants: Grants::OPEN,
        room_state: RoomState::default(),
        topology: None,
        participants: vec![anna()],
    };
    Event::Joined(request(1), Box::new(joined))
}

/// The session's request of that number.
fn request(number: u64) -> Option<RequestId> {
    Some(RequestId(number.to_string().into()))
}

fn opened_transport(number: u64, transport: TransportId) -> Event {
    let ice = IceParameters { username_fragment: "u".into(), password: "p".into(), ice_lite: true };
    let opened = OpenedTransport { transport, ice, candidates: Vec::new(), dtls: DtlsParameters::default() };
    Event::TransportOpened(request(number), Box::new(opened))
}

/// A session that has asked to come in.
fn opened(lifeline: Lifeline) -> Session {
    let room = "standup".parse().expect("a room");
    let ticket =
        Ticket::Granted { grants: Grants::OPEN, profile: None, is_invited: false, is_vouched_for: false };
    let named = (room, "ben".into(), "ben".into());
    let (session, demand) = Session::open(named, "s3cret".into(), lifeline, ticket, ReplyTo::Nobody);
    let Demand::Join { auto_subscribe: false, layout: Layout::Parameters, lifeline: asked, .. } = demand
    else {
        panic!("{demand:?}")
    };
    assert_eq!(asked, lifeline);
    session
}

/// One that is in, with a transport for each direction.
fn in_room(lifeline: Lifeline) -> Session {
    let mut session = opened(lifeline);
    session.event(&joined());
    for (number, transport, direction) in
        [(2, SEND, TransportDirection::Send), (3, RECEIVE, TransportDirection::Receive)]
    {
        session.call(Call::CreateTransport(direction), Dialect::Rooms, ReplyTo::Nobody);
        let reaction = session.event(&opened_transport(number, transport));
        assert_eq!(reaction.opened, Some(transport));
    }
    session
}

fn consume(transport: Option<TransportId>) -> Call {
    Call::Consume { transport, producer: CAMERA, capabilities: Box::default(), paused: None }
}

fn consumed(number: u64) -> Event {
    let parameters = RtpParameters::default();
    let consumed = Consumed { track: CAMERA, kind: MediaKind::Video, parameters, paused: true, muted: false };
    Event::Consumed(request(number), Box::new(consumed))
}

fn commands(asked: Asked) -> Vec<Command> {
    let Asked::Core(demands) = asked else { panic!("{asked:?}") };
    let command = |demand| match demand {
        Demand::Command { command, .. } => command,
        other => panic!("{other:?}"),
    };
    demands.into_iter().map(command).collect()
}

/// What a reaction answers to the call of `HTTP`.
fn reply(reaction: &SessionReaction) -> Result<Value, (&str, &str)> {
    let (_, result) = reaction.replies.iter().find(|(to, _)| *to == HTTP).expect("an answer");
    result.clone().map_err(|_| {
        let refusal = result.as_ref().expect_err("it is refused");
        (refusal.message.as_str(), refusal.action.as_str())
    })
}

#[test]
fn a_first_call_waits_until_its_caller_is_in_and_is_answered_with_the_transport() {
    let mut session = opened(Lifeline::Media);
    let call = Call::CreateTransport(TransportDirection::Send);
    assert_eq!(session.call(call, Dialect::Channels, HTTP), Asked::Later);
    let reaction = session.event(&joined());
    let open = Command::OpenTransport { direction: TransportDirection::Send };
    assert_eq!(reaction.demands, [Demand::Command { request: request(2), command: open }]);
    let told: Vec<String> = reaction.news.iter().map(|news| news.encode(Dialect::Channels)).collect();
    assert_eq!(told[0], r#"{"data":{"name":"Anna","userId":"anna"},"type":"user_joined_voice"}"#);
    assert!(
        told[1].contains(r#""type":"new_producer""#) && told[1].contains(r#""userId":"anna""#),
        "{told:?}"
    );
    let answered = session.event(&opened_transport(2, SEND));
    let reply = reply(&answered).expect("it is opened");
    assert_eq!(reply["id"], SEND.to_string());
    assert_eq!((&reply["iceParameters"]["iceLite"], &reply["sessionId"]), (&json!(true), &json!("s3cret")));
    assert_eq!(answered.opened, Some(SEND));
}

#[test]
fn whoever_cannot_come_in_has_all_calls_refused() {
    let mut session = opened(Lifeline::Media);
    session.call(Call::CreateTransport(TransportDirection::Send), Dialect::Channels, HTTP);
    let full = Refusal::new(RefusalCode::RoomFull, "full", "wait");
    let reaction = session.event(&Event::Refused(request(1), full.clone()));
    assert!(reaction.is_over && reaction.replies.contains(&(HTTP, Err(full))), "{reaction:?}");
    let mut session = opened(Lifeline::Signalling);
    session.call(Call::CreateTransport(TransportDirection::Send), Dialect::Channels, HTTP);
    let reaction = session.event(&Event::Waiting(BEN));
    assert!(reaction.is_over && reply(&reaction).is_err_and(|(message, _)| message.contains("let you in")));
    assert_eq!(reaction.demands, [Demand::ConnectionLost], "nobody knocks any more");
}

#[test]
fn what_is_produced_and_consumed_has_the_ids_of_tracks_and_only_own_transports_receive() {
    let mut session = in_room(Lifeline::Signalling);
    let produce = Call::Produce {
        transport: SEND,
        kind: MediaKind::Video,
        source: Source::Camera,
        parameters: Box::default(),
        paused: false,
    };
    assert!(matches!(
        &*commands(session.call(produce, Dialect::Rooms, HTTP)),
        [Command::Produce { muted: false, .. }]
    ));
    assert_eq!(reply(&session.event(&Event::Produced(request(4), OWN))), Ok(json!({"id": OWN.to_string()})));
    for foreign in [Some(SEND), Some(TransportId(99))] {
        let Asked::Refused(refusal) = session.call(consume(foreign), Dialect::Rooms, HTTP) else {
            panic!("{foreign:?}")
        };
        assert_eq!(refusal.message, "Consumer transport not found");
    }
    let asked = commands(session.call(consume(None), Dialect::Rooms, HTTP));
    assert!(
        matches!(&*asked, [Command::Consume { transport: RECEIVE, track: CAMERA, paused: true, .. }]),
        "{asked:?}"
    );
    let answer = session.event(&consumed(5));
    let answer = reply(&answer).expect("it is consumed");
    assert_eq!((&answer["id"], &answer["kind"]), (&json!(format!("c-{CAMERA}")), &json!("video")));
    assert_eq!(answer["producerId"], CAMERA.to_string());
    let resumed = commands(session.call(Call::PauseConsumer(CAMERA, false), Dialect::Rooms, HTTP));
    assert_eq!(resumed, [Command::Pause { track: CAMERA, paused: false }]);
    assert_eq!(reply(&session.event(&Event::Done(request(6)))), Ok(json!({"id": format!("c-{CAMERA}")})));
    let ended = session.event(&Event::TrackRemoved(CAMERA, ANNA)).news;
    assert_eq!(
        ended.iter().map(|news| news.encode(Dialect::Rooms)).collect::<Vec<_>>()[0],
        format!(r#"{{"data":{{"consumerId":"c-{CAMERA}"}},"type":"consumer-closed"}}"#)
    );
    let over = session.call(Call::CloseConsumer(CAMERA), Dialect::Rooms, HTTP);
    assert!(matches!(over, Asked::Refused(_)), "it is closed already: {over:?}");
}

#[test]
fn by_rest_a_second_transport_takes_the_place_of_the_first() {
    let mut session = in_room(Lifeline::Media);
    let asked =
        commands(session.call(Call::CreateTransport(TransportDirection::Send), Dialect::Channels, HTTP));
    assert!(
        matches!(&*asked, [Command::CloseTransport { transport: SEND }, Command::OpenTransport { .. }]),
        "{asked:?}"
    );
    assert_eq!(session.event(&Event::Done(request(4))).closed, Some(SEND));
    let asked = commands(session.call(Call::CreateTransport(TransportDirection::Send), Dialect::Rooms, HTTP));
    assert_eq!(asked.len(), 1, "by a WebSocket there may be several");
}

#[test]
fn a_transport_that_ends_by_itself_takes_its_consumers_along() {
    let mut session = in_room(Lifeline::Signalling);
    session.call(consume(None), Dialect::Rooms, HTTP);
    session.event(&consumed(4));
    let ended = session.event(&Event::TransportEnded(RECEIVE));
    assert_eq!(ended.closed, None, "its client may still say that it closes it");
    let closed = session.call(Call::CloseTransport(RECEIVE), Dialect::Rooms, HTTP);
    assert_eq!(closed, Asked::Done(json!({"id": RECEIVE.to_string()})));
    assert_eq!(ended.news, [News::ConsumerClosed(CAMERA), News::TransportClosed(RECEIVE)]);
}

#[test]
fn a_session_whose_web_socket_breaks_is_there_for_calls_by_rest() {
    let mut session = in_room(Lifeline::Signalling);
    assert_eq!(session.socket_ended(false), Some(Demand::ConnectionLost));
    assert_eq!((session.lost_for(), session.socket_ended(true)), (Some(30), None));
    let asked = session.call(Call::PauseProducer(OWN, true), Dialect::Rooms, HTTP);
    let Asked::Core(demands) = asked else { panic!("{asked:?}") };
    assert!(
        matches!(&*demands, [Demand::Resume { .. }, Demand::Command { .. }, Demand::ConnectionLost]),
        "it is as broken as before: {demands:?}"
    );
    let gone = Refusal::new(RefusalCode::UnknownParticipant, "gone", "join");
    let reaction = session.event(&Event::Refused(request(4), gone));
    assert!(
        reaction.is_over && reply(&reaction).is_err_and(|(message, _)| message.contains("not in the room"))
    );

    let mut session = in_room(Lifeline::Media);
    assert_eq!(session.socket_ended(false), None, "their media keeps them");
    let leave = Demand::Command { request: None, command: Command::Leave };
    assert_eq!(session.socket_ended(true), Some(leave), "they have said goodbye");
}

/// One that consumes Anna's camera and produces a microphone of its own.
fn in_a_call() -> Session {
    let mut session = in_room(Lifeline::Signalling);
    session.call(consume(None), Dialect::Rooms, HTTP);
    session.event(&consumed(4));
    let parameters = Box::<RtpParameters>::default();
    let (kind, source) = (MediaKind::Audio, Source::Microphone);
    let produce = Call::Produce { transport: SEND, kind, source, parameters, paused: false };
    session.call(produce, Dialect::Rooms, HTTP);
    session.event(&Event::Produced(request(5), OWN));
    session
}

fn new_producer() -> News {
    News::NewProducer { user: "anna".into(), info: camera() }
}

#[test]
fn whoever_was_shut_out_is_told_of_the_track_again_when_they_may_receive_it() {
    let mut session = in_a_call();
    assert_eq!(session.event(&Event::ConsumerEnded(CAMERA)).news, [News::ConsumerClosed(CAMERA)]);
    let permission = |allowed| Event::SubscriptionPermission { track: CAMERA, owner: ANNA, allowed };
    assert!(session.event(&permission(false)).news.is_empty());
    assert_eq!(session.event(&permission(true)).news, [new_producer()]);

    let mut session = in_a_call();
    let changed = |subscribe| Event::PermissionsChanged {
        grants: Grants { subscribe, ..Grants::OPEN },
        ended: Vec::new(),
    };
    assert!(session.event(&changed(false)).news.is_empty());
    session.event(&Event::ConsumerEnded(CAMERA));
    assert_eq!(session.event(&changed(true)).news, [new_producer()]);
    assert!(session.event(&changed(true)).news.is_empty(), "once is enough");

    let mut session = in_a_call();
    assert_eq!(session.event(&Event::ConsumerWanted(CAMERA, false)).news, [News::ConsumerClosed(CAMERA)]);
    assert_eq!(session.event(&Event::ConsumerWanted(CAMERA, true)).news, [new_producer()]);
}

#[test]
fn whoever_comes_back_is_told_what_has_ended_and_was_muted_meanwhile() {
    let resumed = |muted: Option<bool>, is_received: bool, transports: Vec<TransportId>| {
        let Event::Joined(_, joined) = joined() else { unreachable!("that is what it is") };
        let own = |muted| PublicationInfo {
            mid: "0".into(),
            info: TrackInfo { track: OWN, participant: BEN, source: Source::Microphone, muted, label: None },
        };
        let resumed = Resumed {
            joined: *joined,
            publications: muted.map(own).into_iter().collect(),
            slot_map: SlotMap { revision: 1, slots: Vec::new(), waiting: Vec::new(), waiting_count: 0 },
            subscriptions: is_received.then_some((CAMERA, false)).into_iter().collect(),
            unsubscribed: Vec::new(),
            transports,
        };
        Event::Resumed(request(6), Box::new(resumed))
    };
    let told = |event: Event| {
        let mut session = in_a_call();
        session.socket_ended(false);
        assert!(session.take_up().is_some());
        session.event(&event).news
    };
    let all = || vec![SEND, RECEIVE];
    let there = News::UserJoined { user: "anna".into(), name: "Anna".into() };
    assert_eq!(told(resumed(Some(false), true, all())), std::slice::from_ref(&there), "nothing has happened");
    assert_eq!(
        told(resumed(Some(false), false, all())),
        [News::ConsumerClosed(CAMERA), there.clone(), new_producer()],
        "the core has ended what she received, and she may ask for it again"
    );
    let user = || "ben".to_owned();
    let muted = News::ProducerPaused { user: user(), producer: OWN, paused: true };
    assert_eq!(told(resumed(Some(true), true, all())), [muted, there.clone()]);
    let stopped = News::ProducerClosed { user: user(), producer: OWN };
    assert_eq!(told(resumed(None, true, all())), [stopped, there.clone()]);
    assert_eq!(
        told(resumed(Some(false), false, vec![SEND])),
        [News::ConsumerClosed(CAMERA), News::TransportClosed(RECEIVE), there, new_producer()]
    );
}

#[test]
fn whoever_leaves_is_answered_and_whoever_is_removed_is_told_why() {
    let mut session = in_room(Lifeline::Signalling);
    assert_eq!(commands(session.call(Call::Leave, Dialect::Rooms, HTTP)), [Command::Leave]);
    assert!(matches!(session.call(Call::Leave, Dialect::Rooms, HTTP), Asked::Refused(_)));
    let left = session.event(&Event::Left(request(4)));
    assert!(left.is_over && left.ended_by.is_none());
    assert_eq!(reply(&left), Ok(json!({"success": true})));
    let mut session = in_room(Lifeline::Signalling);
    let removed = session.event(&Event::Closing(ClosingReason::Gone(LeaveReason::Removed)));
    assert!(removed.is_over && removed.ended_by.is_some());
    assert_eq!(removed.news, [News::Over("removed")]);
}

#[test]
fn answers_go_nowhere_once_nobody_waits_and_only_so_many_calls_wait() {
    let mut session = in_room(Lifeline::Signalling);
    session.call(Call::CloseProducer(OWN), Dialect::Rooms, HTTP);
    session.abandon(&HTTP);
    let done = session.event(&Event::Done(request(4)));
    assert_eq!(done.replies[0].0, ReplyTo::Nobody);
    let refused =
        (0..1000).find_map(|_| match session.call(Call::CloseProducer(OWN), Dialect::Rooms, HTTP) {
            Asked::Refused(refusal) => Some(refusal),
            _ => None,
        });
    assert_eq!(refused.expect("there is a limit").code, RefusalCode::RateLimited);
}

fn socket(dialect: Dialect) -> (SocketFrontEnd, Instant) {
    let now = Instant::now();
    let limits = Limits {
        message_bytes_max: 1 << 20,
        messages_per_second: 50,
        messages_burst: 1000,
        offers_per_second: 5,
        offers_burst: 50,
    };
    (SocketFrontEnd::new(dialect, "client".into(), limits, now), now)
}

fn answer(reaction: &SocketReaction) -> Value {
    serde_json::from_str(reaction.say.as_deref().expect("an answer")).expect("JSON")
}

#[test]
fn fields_stand_beside_the_type_or_in_data_and_answers_repeat_the_id() {
    let (mut socket, now) = socket(Dialect::Rooms);
    for text in [
        r#"{"type":"join-room","roomId":"standup","participantId":"ben","messageId":7}"#,
        r#"{"type":"join-room","messageId":7,"data":{"roomId":"standup","participantId":"ben"}}"#,
        r#"{"type":"join-room","payload":{"roomId":"standup","participantId":"ben","messageId":7}}"#,
    ] {
        let Some(Told::Enter(entering, message)) = socket.receive(now, text, 0).told else {
            panic!("{text}")
        };
        assert_eq!((entering.room.as_str(), entering.user.as_str()), ("standup", "ben"));
        let said: Value = serde_json::from_str(&reply_text(&message, Ok(&json!({"id": "x"})))).expect("JSON");
        assert_eq!(said, json!({"type": "response", "request": "join-room", "messageId": 7, "id": "x"}));
    }
    let text = r#"{"type":"create-transport","direction":"recv"}"#;
    let Some(Told::Call(call, message)) = socket.receive(now, text, 0).told else { panic!("{text}") };
    assert_eq!(call, Call::CreateTransport(TransportDirection::Receive));
    let refusal = Refusal::new(RefusalCode::RoomFull, "full", "wait");
    let said: Value = serde_json::from_str(&reply_text(&message, Err(&refusal))).expect("JSON");
    assert_eq!((&said["type"], &said["error"]), (&json!("error"), &json!("full")));
}

#[test]
fn what_cannot_be_read_is_refused_in_words_and_whoever_goes_on_is_cut() {
    let (mut socket, now) = socket(Dialect::Rooms);
    for (text, error) in [
        ("nonsense", "not JSON"),
        ("[]", "no object"),
        ("{}", "unsupported message"),
        (r#"{"type":"rtc_offer"}"#, "unsupported message: \"rtc_offer\""),
        (r#"{"type":"join-room"}"#, "`roomId`"),
        (r#"{"type":"join-room","roomId":"a b","participantId":"x"}"#, "`roomId`"),
        (r#"{"type":"join-room","roomId":"a"}"#, "`participantId`"),
        (r#"{"type":"create-transport","direction":"up"}"#, "`direction`"),
        (r#"{"type":"connect-transport","transportId":"zzz","dtlsParameters":{}}"#, "Transport not found"),
        (r#"{"type":"connect-transport"}"#, "`transportId`"),
        (r#"{"type":"produce","transportId":"x-0000000000001"}"#, "`rtpParameters`"),
        (
            r#"{"type":"produce","transportId":"x-0000000000001","rtpParameters":{"codecs":7}}"#,
            "`rtpParameters`",
        ),
        (r#"{"type":"produce","transportId":"x-0000000000001","rtpParameters":{}}"#, "`kind`"),
        (r#"{"type":"produce","transportId":"x-0000000000001","kind":"smell","rtpParameters":{}}"#, "`kind`"),
        (r#"{"type":"consume","producerId":"t-0000000000001"}"#, "`rtpCapabilities`"),
        (r#"{"type":"consume","transportId":"a","rtpCapabilities":{}}"#, "Consumer transport not found"),
        (r#"{"type":"resume-consumer","consumerId":"t-0000000000001"}"#, "no such consumer"),
        (r#"{"type":"prefer-consumer","consumerId":"c-t-0000000000001","width":-1}"#, "`width`"),
    ] {
        let said = answer(&socket.receive(now, text, 0));
        let why = said["error"].as_str().expect("an error");
        assert!(why.contains(error) && said["type"] == "error", "{text}: {said}");
    }
    let many = format!(
        r#"{{"codecs":[{}]}}"#,
        vec![r#"{"mimeType":"audio/opus","payloadType":1,"clockRate":1}"#; 500].join(",")
    );
    let many = format!(r#"{{"type":"produce","transportId":"x-0000000000001","rtpParameters":{many}}}"#);
    assert!(answer(&socket.receive(now, &many, 0))["error"].to_string().contains("500 entries"));
    let cut = (0..1000).map(|_| socket.receive(now, "nonsense", 0)).find_map(|reaction| reaction.close);
    assert_eq!(cut, Some(Close::Refused));
}

#[test]
fn a_web_socket_for_news_takes_no_calls_and_long_rooms_make_calls_dear() {
    let (mut socket, now) = socket(Dialect::Channels);
    for kind in ["rtc_offer", "rtc_answer", "rtc_ice_candidate", "produce"] {
        let said = answer(&socket.receive(now, &json!({"type": kind, "messageId": "m"}).to_string(), 0));
        assert_eq!((&said["code"], &said["messageId"]), (&json!("unknown-type"), &json!("m")));
        assert_eq!(said["error"], format!("unsupported message: {kind:?}"));
    }
    let said = answer(&socket.receive(now, r#"{"type":"ping"}"#, 0));
    assert_eq!(said, json!({"type": "pong"}));
    let (mut socket, now) = self::socket(Dialect::Rooms);
    let mute = format!(r#"{{"type":"pause-producer","producerId":"{OWN}"}}"#);
    let taken = (0..1000).filter(|_| socket.receive(now, &mute, 200).told.is_some()).count();
    assert!((50..200).contains(&taken), "each is told to two hundred: {taken}");
    let (mut socket, now) = self::socket(Dialect::Rooms);
    let open = r#"{"type":"create-transport","direction":"recv"}"#;
    let taken = (0..1000).filter(|_| socket.receive(now, open, 0).told.is_some()).count();
    assert!((240..=250).contains(&taken), "a burst of fifty offers is five times as many calls: {taken}");
}

#[test]
fn what_a_track_shows_is_read_from_what_apps_say_of_it() {
    let (mut socket, now) = socket(Dialect::Rooms);
    let mut source = |more: &str| {
        let text =
            format!(r#"{{"type":"produce","transportId":"x-0000000000001","rtpParameters":{{}},{more}}}"#);
        match socket.receive(now, &text, 0).told {
            Some(Told::Call(Call::Produce { source, .. }, _)) => source,
            other => panic!("{more}: {other:?}"),
        }
    };
    assert_eq!(source(r#""kind":"audio""#), Source::Microphone);
    assert_eq!(source(r#""kind":"video","appData":{"source":"webcam"}"#), Source::Camera);
    assert_eq!(source(r#""kind":"video","appData":{"source":"screensharing"}"#), Source::Screen);
    assert_eq!(source(r#""kind":"audio","appData":{"mediaTag":"screenshare-audio"}"#), Source::ScreenAudio);
    assert_eq!(source(r#""kind":"video","source":"screen""#), Source::Screen);
    assert_eq!(
        source(r#""rtpParameters":{"codecs":[{"mimeType":"video/VP8","payloadType":96,"clockRate":90000}]}"#),
        Source::Camera
    );
}

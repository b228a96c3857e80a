//! A LiveKit client, told what the core would tell it: what it hears of that, and what it makes of its messages.

use std::time::{Duration, Instant};

use prost::Message as _;

use super::messages::{
    AddTrackRequest, DataSubscription, DataTrackInfo, MuteTrackRequest, ParticipantInfo,
    PublishDataTrackRequest, SessionDescription, SignalRequest, SignalResponse, SimulateScenario,
    SubscriptionPermission, TrackPermission, UnpublishDataTrackRequest, UpdateDataSubscription,
    UpdateParticipantMetadata, UpdateSubscription, UpdateTrackSettings, numbers,
};
use super::*;
use crate::core::audience::{AllowedTracks, Audience};
use crate::core::command::{Command, Layout, MediaKind, Source};
use crate::core::data::DataPayload;
use crate::core::data_tracks::{DataTrack, DataTrackCommand};
use crate::core::event::{
    self, ClosingReason, Consumed, Event, Joined, LeaveReason, OpenedTransport, Refusal, RefusalCode,
    Resumed, SlotCounts, SlotInfo, SlotMap, Speaker, Speakers, TrackInfo,
};
use crate::core::grants::{Grants, Role};
use crate::core::ids::{Mid, ParticipantId, RequestId, RoomId, TrackId, TransportId};
use crate::core::moderation::Target;
use crate::core::msid::{participant_sid, track_sid};
use crate::core::ortc::{DtlsParameters, IceParameters, RtpParameters, TransportDirection};
use crate::core::profile::Profile;
use crate::core::quality::{Level, Quality};
use crate::core::room_options::RoomState;
use crate::signal::allowance::Allowance;
use crate::signal::native::{Close, IceServer, Limits, SharedAllowance};
use crate::signal::{Demand, Ticket};

const LIMITS: Limits = Limits {
    message_bytes_max: 1000,
    messages_per_second: 10,
    messages_burst: 40,
    offers_per_second: 2,
    offers_burst: 3,
};
const FACTS: LiveKitFacts<'static> = LiveKitFacts { ice_servers: &[], room_sid: "RM_abc" };
const ANNA: ParticipantId = ParticipantId(1);
const BEN: ParticipantId = ParticipantId(2);
const CAMERA: TrackId = TrackId(30);

struct Client {
    front_end: LiveKitFrontEnd,
    now: Instant,
}

fn ticket() -> Ticket {
    Ticket::Granted { grants: Grants::OPEN, profile: None, is_invited: true, is_vouched_for: true }
}

fn ben(tracks: Vec<TrackInfo>) -> event::ParticipantInfo {
    event::ParticipantInfo {
        participant: BEN,
        profile: Profile { identity: Some("ben".into()), ..Profile::named("Ben") },
        role: Role::Speaker,
        reconnecting: false,
        media_lost: false,
        tracks,
        mesh_tracks: Vec::new(),
    }
}

fn camera_of_ben() -> TrackInfo {
    TrackInfo { track: CAMERA, participant: BEN, source: Source::Camera, muted: false, label: None }
}

fn joined() -> Event {
    let slots = SlotCounts { audio: 4, video: 4 };
    let joined = Joined {
        participant: ANNA,
        secret: "s".into(),
        room: "standup".parse().expect("a room"),
        profile: Profile { identity: Some("anna".into()), ..Profile::named("Anna") },
        slots,
        slots_max: slots,
        resume_seconds: 30,
        grants: Grants::OPEN,
        room_state: RoomState::default(),
        participants: vec![ben(vec![camera_of_ben()])],
        topology: None,
    };
    Event::Joined(None, Box::new(joined))
}

fn offer(sections: &[(&str, &str, &str, &str)]) -> String {
    let mids: Vec<&str> = sections.iter().map(|(_, mid, ..)| *mid).collect();
    let mut sdp = format!("v=0\r\na=group:BUNDLE {}\r\n", mids.join(" "));
    for (kind, mid, direction, cid) in sections {
        let (pt, codec) = if *kind == "audio" { ("111", "opus/48000/2") } else { ("96", "VP8/90000") };
        sdp += &format!(
            "m={kind} 9 UDP/TLS/RTP/SAVPF {pt}\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
             a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 {}\r\na=setup:actpass\r\na=mid:{mid}\r\n\
             a={direction}\r\na=rtcp-mux\r\na=msid:- {cid}\r\na=rtpmap:{pt} {codec}\r\n",
            ["00"; 32].join(":")
        );
    }
    sdp
}

impl Client {
    fn with(asked: JoinAsked) -> Self {
        let now = Instant::now();
        let mut front_end = LiveKitFrontEnd::new(LIMITS, now, asked);
        let demand = front_end.join("standup".parse().expect("a room"), "Anna".into(), ticket());
        assert!(matches!(demand, Demand::Join { layout: Layout::Tracks, .. }), "{demand:?}");
        Self { front_end, now }
    }

    fn in_a_room() -> Self {
        let mut client = Self::with(JoinAsked { auto_subscribe: true, ..JoinAsked::default() });
        client.told(&joined());
        client
    }

    fn says(&mut self, request: &SignalRequest) -> LiveKitReaction {
        self.front_end.receive(self.now, &request.encode_to_vec(), None)
    }

    fn offers(&mut self, id: u32, sdp: String) -> LiveKitReaction {
        let offer = SessionDescription { kind: "offer".into(), sdp, id, ..Default::default() };
        self.says(&SignalRequest { offer: Some(offer), ..Default::default() })
    }

    fn told(&mut self, event: &Event) -> Vec<SignalResponse> {
        read(&self.front_end.event(event, FACTS))
    }

    fn asks(&mut self, request: &SignalRequest) -> Vec<Command> {
        commands(self.says(request))
    }

    fn is_answered(&mut self, shown: &[(&str, TrackId)]) -> Vec<SignalResponse> {
        let shown =
            shown.iter().map(|(mid, track)| SlotInfo { mid: Mid::from(*mid), track: Some((*track, 0)) });
        let answer = Event::Answer {
            request: None,
            sdp: "v=0\r\n".into(),
            publications: Vec::new(),
            shown: shown.collect(),
        };
        self.told(&answer)
    }

    fn announces(&mut self, cid: &str) -> Vec<Command> {
        let add_track = AddTrackRequest {
            cid: cid.into(),
            kind: numbers::VIDEO,
            source: numbers::CAMERA,
            ..Default::default()
        };
        self.asks(&SignalRequest { add_track: Some(add_track), ..Default::default() })
    }
}

fn read(reaction: &LiveKitReaction) -> Vec<SignalResponse> {
    let messages = reaction.say.iter().map(|bytes| SignalResponse::decode(bytes.as_slice()));
    messages.map(|message| message.expect("a message")).collect()
}

fn commands(reaction: LiveKitReaction) -> Vec<Command> {
    let command = |demand| match demand {
        Demand::Command { command, .. } => command,
        other => panic!("no command: {other:?}"),
    };
    reaction.demands.into_iter().map(command).collect()
}

fn updated(messages: &[SignalResponse]) -> Vec<ParticipantInfo> {
    let update = messages.iter().find_map(|message| message.update.clone());
    update.map(|update| update.participants).unwrap_or_default()
}

fn map(shown: &[(&str, Option<TrackId>)]) -> Event {
    let slots = shown
        .iter()
        .map(|(mid, track)| SlotInfo { mid: Mid::from(*mid), track: track.map(|track| (track, 0)) });
    Event::SlotMap(SlotMap { revision: 1, slots: slots.collect(), waiting: Vec::new(), waiting_count: 0 })
}

#[test]
fn who_joins_is_told_of_everybody_first_and_then_answered() {
    let sdp = offer(&[("audio", "0", "recvonly", "x"), ("video", "1", "recvonly", "y")]);
    let first = SessionDescription { sdp, id: 9, ..Default::default() };
    let mut anna =
        Client::with(JoinAsked { auto_subscribe: true, offer: Some(first), ..JoinAsked::default() });
    assert!(!anna.front_end.has_joined());
    let reaction = anna.front_end.event(&joined(), FACTS);
    let [welcome] = read(&reaction).try_into().expect("one message");
    let join = welcome.join.expect("it is the welcome");
    let me = join.participant.expect("she is told of herself");
    assert_eq!((me.sid, me.identity.as_str()), (participant_sid(ANNA), "anna"));
    assert!(me.permission.is_some_and(|may| may.can_publish && may.can_subscribe));
    assert_eq!(join.room.map(|room| room.name).as_deref(), Some("standup"));
    assert!(!join.subscriber_primary && join.fast_publish && join.ping_interval > 0);
    let [other] = join.other_participants.try_into().expect("one other");
    assert_eq!((other.identity.as_str(), other.tracks[0].sid.clone()), ("ben", track_sid(CAMERA)));
    let asked = commands(reaction);
    let [Command::ReadChannels, Command::Offer { publications, .. }] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert!(publications.is_empty());
    let [answer] = anna.is_answered(&[("1", CAMERA)]).try_into().expect("one message");
    let answer = answer.answer.expect("it is the answer");
    assert_eq!((answer.id, answer.kind.as_str()), (9, "answer"));
    assert_eq!(answer.mid_to_track_id.get("1"), Some(&track_sid(CAMERA)));
}

#[test]
fn a_track_is_announced_then_offered_then_muted() {
    let mut anna = Client::in_a_room();
    let reserve = anna.announces("cam");
    assert!(matches!(reserve.as_slice(), [Command::ReserveTrack(_)]), "{reserve:?}");
    let own = TrackId(5);
    let [told] = anna.told(&Event::TrackReserved(None, own)).try_into().expect("one message");
    let published = told.track_published.expect("at once");
    assert_eq!(published.cid, "cam");
    assert_eq!(published.track.map(|track| track.sid), Some(track_sid(own)));
    let mute = SignalRequest {
        mute: Some(MuteTrackRequest { sid: track_sid(own), muted: true }),
        ..Default::default()
    };
    assert!(anna.asks(&mute).is_empty(), "nobody knows it yet");
    let offered = commands(anna.offers(1, offer(&[("video", "0", "sendonly", "cam")])));
    let [Command::Offer { publications, .. }] = offered.as_slice() else { panic!("{offered:?}") };
    assert_eq!((publications[0].track, publications[0].muted), (Some(own), true));
    anna.is_answered(&[]);
    assert_eq!(anna.asks(&mute), [Command::Mute { track: own, muted: true }]);
    let other = MuteTrackRequest { sid: track_sid(CAMERA), muted: true };
    assert!(anna.asks(&SignalRequest { mute: Some(other), ..Default::default() }).is_empty(), "not hers");
}

#[test]
fn she_is_asked_for_an_offer_when_her_sections_show_something_else() {
    let mut anna = Client::in_a_room();
    anna.offers(1, offer(&[("video", "0", "recvonly", "x")]));
    anna.is_answered(&[]);
    assert!(anna.told(&map(&[("0", None)])).is_empty());
    let asked = anna.told(&map(&[("0", Some(CAMERA))]));
    assert!(asked[0].media_sections_requirement.is_some());
    let more = anna.told(&Event::MoreSlots(SlotCounts { audio: 0, video: 2 }));
    assert!(more.is_empty(), "one question at a time");
    anna.offers(2, offer(&[("video", "0", "recvonly", "x")]));
    anna.is_answered(&[("0", CAMERA)]);
    let asked = anna.told(&map(&[("0", Some(CAMERA))]));
    let requirement = asked[0].media_sections_requirement.clone().expect("one section is missing");
    assert_eq!((requirement.num_audios, requirement.num_videos), (0, 1));
}

#[test]
fn she_hears_of_all_that_happens_to_others() {
    let mut anna = Client::in_a_room();
    let muted = Event::TrackMuted { track: CAMERA, participant: BEN, muted: true };
    assert!(updated(&anna.told(&muted))[0].tracks[0].muted);
    assert!(updated(&anna.told(&Event::TrackRemoved(CAMERA, BEN)))[0].tracks.is_empty());
    assert_eq!(updated(&anna.told(&Event::TrackAdded(camera_of_ben())))[0].tracks.len(), 1);
    let left = updated(&anna.told(&Event::ParticipantLeft(BEN, LeaveReason::Left)));
    assert_eq!((left[0].state, left[0].identity.as_str()), (numbers::DISCONNECTED, "ben"));
    let back = updated(&anna.told(&Event::ParticipantJoined(ben(Vec::new()))));
    assert_eq!(back[0].state, numbers::ACTIVE);
    let speaks = |level| {
        Event::Speakers(Speakers {
            dominant: Some(BEN),
            speakers: vec![Speaker { track: TrackId(31), participant: BEN, level }],
        })
    };
    let loud = anna.told(&speaks(0))[0].speakers_changed.clone().expect("he speaks");
    assert!(loud.speakers[0].active && loud.speakers[0].level > 0.99);
    assert!(anna.told(&speaks(0)).is_empty(), "no news");
    let silent = anna.told(&Event::Speakers(Speakers::default()))[0].speakers_changed.clone();
    assert!(silent.is_some_and(|news| !news.speakers[0].active));
}

#[test]
fn what_she_wants_to_see_and_how_becomes_commands() {
    let mut anna = Client::in_a_room();
    let track_sids = vec![track_sid(CAMERA), "nonsense".into()];
    let subscription =
        UpdateSubscription { track_sids: track_sids.clone(), subscribe: false, ..Default::default() };
    let asked = anna.asks(&SignalRequest { subscription: Some(subscription), ..Default::default() });
    assert_eq!(asked, [Command::Unsubscribe(CAMERA)]);
    let settings = UpdateTrackSettings { track_sids, width: 320, height: 180, fps: 15, ..Default::default() };
    let asked = anna.asks(&SignalRequest { track_setting: Some(settings), ..Default::default() });
    let [Command::Prefer(preferences)] = asked.as_slice() else { panic!("{asked:?}") };
    let wish = preferences[0].wish;
    assert_eq!(
        (wish.width, wish.height, wish.frame_rate, wish.paused),
        (Some(320), Some(180), Some(15), false)
    );
    let none = Event::Refused(
        Some(RequestId(format!("s{CAMERA}").into())),
        Refusal::new(RefusalCode::UnknownTrack, "gone", "none"),
    );
    let told = anna.told(&none);
    let response = told[0].subscription_response.clone().expect("she is told");
    assert_eq!((response.track_sid, response.err), (track_sid(CAMERA), numbers::TRACK_NOT_FOUND));
}

#[test]
fn a_change_of_her_name_is_confirmed_and_told() {
    let mut anna = Client::in_a_room();
    let update = UpdateParticipantMetadata { name: "Ann".into(), request_id: 4, ..Default::default() };
    let request = SignalRequest { update_metadata: Some(update), ..Default::default() };
    assert!(matches!(anna.asks(&request).as_slice(), [Command::UpdateProfile(_)]));
    let told = anna.told(&Event::Done(Some(RequestId("m4".into()))));
    assert_eq!(updated(&told)[0].name, "Ann");
    let response = told[1].request_response.clone().expect("it is confirmed");
    assert_eq!((response.request_id, response.reason), (4, numbers::OK));
    anna.asks(&request);
    let refused = Refusal::new(RefusalCode::NotPermitted, "no", "no");
    let told = anna.told(&Event::Refused(Some(RequestId("m4".into())), refused));
    let response = told[0].request_response.clone().expect("it is refused");
    assert_eq!(response.reason, numbers::NOT_ALLOWED);
}

#[test]
fn each_end_has_its_reason() {
    for (reason, number, action, close) in [
        (LeaveReason::DuplicateIdentity, 2, numbers::DISCONNECT, Close::Normal),
        (LeaveReason::Shutdown, 3, numbers::RECONNECT, Close::GoingAway),
        (LeaveReason::Removed, 4, numbers::DISCONNECT, Close::Normal),
        (LeaveReason::RoomClosed, 5, numbers::DISCONNECT, Close::Normal),
    ] {
        let mut anna = Client::in_a_room();
        let reaction = anna.front_end.event(&Event::Closing(ClosingReason::Gone(reason)), FACTS);
        let leave = read(&reaction)[0].leave.clone().expect("she is told to leave");
        assert_eq!((leave.reason, leave.action, reaction.close), (number, action, Some(close)));
        assert_eq!(anna.front_end.lost(), None, "the core knows it");
    }
    let mut anna = Client::in_a_room();
    assert_eq!(anna.front_end.lost(), Some(Demand::ConnectionLost));
    let mut refused = Client::with(JoinAsked::default());
    let no = Event::Refused(None, Refusal::new(RefusalCode::RoomFull, "full", "wait"));
    assert!(refused.told(&no)[0].leave.is_some());
}

#[test]
fn an_offer_that_cannot_be_answered_ends_the_call() {
    let mut anna = Client::in_a_room();
    let reaction = anna.offers(1, "nonsense".into());
    assert_eq!(reaction.close, Some(Close::Refused));
    assert!(read(&reaction)[0].leave.is_some());
    assert_eq!(commands(reaction), [Command::Leave]);
    let mut anna = Client::in_a_room();
    anna.offers(1, offer(&[("video", "0", "recvonly", "x")]));
    let refused = Refusal::new(RefusalCode::BadOffer, "no", "no");
    let told = anna.told(&Event::Refused(Some(RequestId("o1".into())), refused));
    assert!(told[0].leave.is_some());
}

#[test]
fn who_sends_what_cannot_be_read_or_too_much_is_passed_over_and_then_cut() {
    let mut anna = Client::in_a_room();
    let reaction = anna.front_end.receive(anna.now, &[0xff; 8], None);
    assert!(reaction.is_fault && reaction.close.is_none() && reaction.demands.is_empty());
    assert!(
        (0..300).any(|_| anna.front_end.receive(anna.now, &[0xff; 8], None).close == Some(Close::Refused))
    );
    let mut ben = Client::in_a_room();
    let sdp = offer(&[("video", "0", "recvonly", "x")]);
    let taken = (1..9).filter(|id| !ben.offers(*id, sdp.clone()).demands.is_empty()).count();
    assert_eq!(taken, LIMITS.offers_burst as usize);
}

#[test]
fn what_all_connections_of_an_identity_send_counts_together() {
    let mut devices = [Client::in_a_room(), Client::in_a_room()];
    let now = devices[0].now;
    let fresh = |at_once| Allowance::new(1, at_once, now);
    let mut all = SharedAllowance { messages: fresh(3), offers: fresh(1) };
    let ping = SignalRequest { ping: Some(7), ..Default::default() }.encode_to_vec();
    let mut answered = 0;
    for device in [0, 1, 0, 1, 0, 1] {
        answered += usize::from(!devices[device].front_end.receive(now, &ping, Some(&mut all)).is_fault);
    }
    assert_eq!(answered, 3, "each alone might have sent more");
    let mut all = SharedAllowance { messages: fresh(9), offers: fresh(1) };
    let sdp = offer(&[("video", "0", "recvonly", "x")]);
    let offer = SessionDescription { kind: "offer".into(), sdp, id: 1, ..Default::default() };
    let offer = SignalRequest { offer: Some(offer), ..Default::default() }.encode_to_vec();
    let faults =
        devices.each_mut().map(|device| device.front_end.receive(now, &offer, Some(&mut all)).is_fault);
    assert_eq!(faults, [false, true], "one offer, whichever device makes it");
}

#[test]
fn signs_of_life_are_answered_at_any_time() {
    let mut anna = Client::with(JoinAsked::default());
    let ping = SignalRequest { ping: Some(7), ..Default::default() };
    assert_eq!(read(&anna.says(&ping))[0].pong, Some(7));
    let mute = MuteTrackRequest { sid: track_sid(CAMERA), muted: true };
    let early = anna.says(&SignalRequest { mute: Some(mute), ..Default::default() });
    assert_eq!(early, LiveKitReaction::default(), "nobody has joined");
}

#[test]
fn who_wants_to_try_a_reconnect_is_told_to_reconnect() {
    let mut anna = Client::in_a_room();
    let simulate = Some(SimulateScenario { leave_request_full_reconnect: true, ..Default::default() });
    let reaction = anna.says(&SignalRequest { simulate, ..Default::default() });
    assert_eq!(read(&reaction)[0].leave.as_ref().map(|leave| leave.action), Some(numbers::RECONNECT));
}

#[test]
fn what_is_said_on_data_channels_goes_to_those_whom_it_is_for_with_its_true_sender() {
    let mut anna = Client::in_a_room();
    // user{payload "hi", topic "chat"}
    let user = [0x12, 10, 0x12, 2, b'h', b'i', 0x22, 4, b'c', b'h', b'a', b't'];
    let to = |identity: &[u8]| [&user[..], &[0x2a, identity.len() as u8], identity].concat();
    let mut says = |label: &str, bytes: Vec<u8>| {
        let event = Event::FromChannel { label: label.into(), is_text: false, bytes };
        commands(anna.front_end.event(&event, FACTS))
    };
    let said = DataPayload::Bytes((*b"hi").into());
    let expected = |to: Option<Vec<ParticipantId>>, is_lossy| {
        [Command::Data { to, topic: "chat".into(), payload: said.clone(), is_lossy }]
    };
    assert_eq!(says("_reliable", user.to_vec()), expected(None, false));
    assert_eq!(says("_lossy", to(b"ben")), expected(Some(vec![BEN]), true));
    assert!(says("_reliable", to(b"nobody")).is_empty(), "and not to everybody");
    // Older clients name those whom it is for by their ids.
    let sid = participant_sid(BEN);
    let length = sid.len() as u8;
    let older = [&[0x12, 12 + length][..], &user[2..], &[0x1a, length], sid.as_bytes()].concat();
    assert_eq!(says("_reliable", older), expected(Some(vec![BEN]), false));
    assert!(says("_data_track", user.to_vec()).is_empty() && says("_reliable", vec![0xff; 9]).is_empty());
    let heard = Event::Data { from: Some(BEN), topic: "chat".into(), payload: said.clone(), is_lossy: false };
    let asked = commands(anna.front_end.event(&heard, FACTS));
    let [Command::ToChannel { label, is_text: false, bytes }] = asked.as_slice() else { panic!("{asked:?}") };
    let text = String::from_utf8_lossy(bytes);
    assert_eq!(label, "_reliable");
    assert!(
        ["hi", "chat", "ben"].iter().all(|word| text.contains(word)) && text.contains(&participant_sid(BEN))
    );
}

#[test]
fn an_older_client_is_offered_what_it_receives_and_offers_what_it_sends() {
    let now = Instant::now();
    let asked = JoinAsked { auto_subscribe: true, is_split: true, ..JoinAsked::default() };
    let mut front_end = LiveKitFrontEnd::new(LIMITS, now, asked);
    let demand = front_end.join("standup".parse().expect("a room"), "Anna".into(), ticket());
    assert!(
        matches!(demand, Demand::Join { layout: Layout::Split, auto_subscribe: false, .. }),
        "{demand:?}"
    );
    let mut anna = Client { front_end, now };
    let welcome = commands(anna.front_end.event(&joined(), FACTS));
    let receive = Command::OpenTransport { direction: TransportDirection::Receive };
    assert_eq!(welcome, [Command::ReadChannels, receive], "for Ben's camera");
    let opened = OpenedTransport {
        transport: TransportId(7),
        ice: IceParameters { username_fragment: "abcd".into(), password: "secret".into(), ice_lite: true },
        candidates: Vec::new(),
        dtls: DtlsParameters::default(),
    };
    let asked = commands(anna.front_end.event(&Event::TransportOpened(None, Box::new(opened)), FACTS));
    assert!(matches!(asked.as_slice(), [Command::Consume { track: CAMERA, paused: true, .. }]), "{asked:?}");
    let parameters = RtpParameters { mid: Some("0".into()), ..RtpParameters::default() };
    let consumed = Consumed { track: CAMERA, kind: MediaKind::Video, parameters, paused: true, muted: false };
    let told = anna.told(&Event::Consumed(None, Box::new(consumed)));
    let offered = told[0].offer.clone().expect("an offer");
    assert!(offered.sdp.contains(&format!("a=msid:{}|camera {}", participant_sid(BEN), track_sid(CAMERA))));
    let sdp = "v=0\r\na=fingerprint:sha-256 AB\r\na=setup:active\r\nm=video 9 x 101\r\n".to_owned();
    let answer = SessionDescription { kind: "answer".into(), sdp, id: offered.id, ..Default::default() };
    let asked = anna.asks(&SignalRequest { answer: Some(answer), ..Default::default() });
    assert!(matches!(asked[0], Command::ConnectTransport { transport: TransportId(7), .. }), "{asked:?}");
    assert_eq!(asked[1], Command::Pause { track: CAMERA, paused: false });
    // What it sends it offers, as others do.
    assert_eq!(anna.announces("cam").len(), 1);
    anna.told(&Event::TrackReserved(None, TrackId(77)));
    let offered = commands(anna.offers(1, offer(&[("video", "0", "sendonly", "cam")])));
    assert!(matches!(&offered[0], Command::Offer { publications, .. } if publications.len() == 1));
    // What ends is offered no more.
    let told = anna.told(&Event::TrackRemoved(CAMERA, BEN));
    assert!(
        told.iter()
            .any(|message| message.offer.as_ref().is_some_and(|offer| offer.sdp.contains("a=inactive")))
    );
    let subscription =
        UpdateSubscription { track_sids: vec![track_sid(CAMERA)], subscribe: true, ..Default::default() };
    let answered = anna.says(&SignalRequest { subscription: Some(subscription), ..Default::default() });
    let answered = read(&answered)[0].subscription_response.clone().expect("it is gone");
    assert_eq!(answered.err, numbers::TRACK_NOT_FOUND);
}

#[test]
fn data_tracks_are_published_told_of_and_received_by_their_numbers() {
    let mut anna = Client::in_a_room();
    let publish = |pub_handle: u32, name: &str| PublishDataTrackRequest {
        pub_handle,
        name: name.into(),
        encryption: 1,
        ..Default::default()
    };
    let asks = |request| SignalRequest { publish_data_track_request: Some(request), ..Default::default() };
    let asked = anna.asks(&asks(publish(7, "points")));
    let [Command::DataTracks(DataTrackCommand::Publish { handle: 7, name, .. })] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert_eq!(name, "points");
    for (request, reason) in [
        (publish(7, "other"), numbers::DUPLICATE_HANDLE),
        (publish(8, "points"), numbers::DUPLICATE_NAME),
        (publish(0, "zero"), numbers::INVALID_HANDLE),
        (publish(1 << 16, "large"), numbers::INVALID_HANDLE),
        (publish(8, ""), numbers::INVALID_NAME),
        (publish(8, &"x".repeat(300)), numbers::INVALID_NAME),
    ] {
        let told = read(&anna.says(&asks(request.clone())))[0].request_response.clone().expect("refused");
        assert_eq!((told.reason, told.publish_data_track), (reason, Some(request)));
    }
    let told = anna.told(&Event::DataTrackPublished(Some(RequestId("d7".into())), TrackId(40)));
    let info = told[0].publish_data_track_response.clone().and_then(|one| one.info).expect("it is published");
    assert_eq!((info.sid, info.name.as_str(), info.encryption), (data_sid(40), "points", 1));
    // Ben's are told with him, also when something else of him changes.
    let details = DataTrackInfo { encryption: 1, ..Default::default() }.encode_to_vec();
    let theirs = DataTrack { track: TrackId(50), handle: 3, name: "pose".into(), details };
    let told = updated(&anna.told(&Event::DataTracks(BEN, vec![theirs])));
    let expected = DataTrackInfo {
        pub_handle: 3,
        sid: data_sid(50),
        name: "pose".into(),
        encryption: 1,
        ..Default::default()
    };
    assert_eq!(told[0].data_tracks, std::slice::from_ref(&expected));
    let muted = Event::TrackMuted { track: CAMERA, participant: BEN, muted: true };
    assert_eq!(updated(&anna.told(&muted))[0].data_tracks, [expected]);
    let update = |sid: String, subscribe| UpdateDataSubscription {
        updates: vec![DataSubscription { track_sid: sid, subscribe }],
    };
    let says = |update| SignalRequest { update_data_subscription: Some(update), ..Default::default() };
    assert!(anna.asks(&says(update("TR_0000000000001".into(), true))).is_empty());
    let asked = anna.asks(&says(update(data_sid(50), true)));
    assert_eq!(asked, [Command::DataTracks(DataTrackCommand::Subscribe(TrackId(50)))]);
    let told = anna.told(&Event::DataTrackHandle(TrackId(50), 9));
    let handles = told[0].data_track_subscriber_handles.clone().expect("by what packets name it").sub_handles;
    let named = handles[0].value.clone().expect("it is named");
    assert_eq!(
        (handles[0].key, named.publisher_identity.as_str(), named.track_sid),
        (9, "ben", data_sid(50))
    );
    let gone = anna.told(&Event::DataTracks(BEN, Vec::new()));
    assert!(updated(&gone)[0].data_tracks.is_empty());
    let unpublish = UnpublishDataTrackRequest { pub_handle: 7 };
    let request = SignalRequest { unpublish_data_track_request: Some(unpublish), ..Default::default() };
    let reaction = anna.says(&request);
    assert!(read(&reaction)[0].unpublish_data_track_response.is_some());
    assert_eq!(commands(reaction), [Command::DataTracks(DataTrackCommand::Unpublish { handle: 7 })]);
    assert!(anna.asks(&request).is_empty(), "it is gone");
    anna.asks(&asks(publish(7, "points")));
    let refused = Refusal::new(RefusalCode::NotPermitted, "no", "no");
    let told = anna.told(&Event::Refused(Some(RequestId("d7".into())), refused));
    assert_eq!(told[0].request_response.clone().map(|one| one.reason), Some(numbers::NOT_ALLOWED));
}

fn data_sid(track: u64) -> String {
    format!("D{}", track_sid(TrackId(track)))
}

#[test]
fn an_older_client_gets_back_what_it_received_or_begins_anew() {
    let (room, now): (RoomId, _) = ("standup".parse().expect("a room"), Instant::now());
    let split = |resumes| JoinAsked { auto_subscribe: true, is_split: true, resumes, ..JoinAsked::default() };
    let mut before = LiveKitFrontEnd::new(LIMITS, now, split(None));
    before.join(room.clone(), "Anna".into(), ticket());
    before.event(&joined(), FACTS);
    assert_eq!(before.lost(), Some(Demand::ConnectionLost));
    let mut parted = Parted::default();
    parted.keep(now, before.part().expect("she may come back"));
    let Event::Joined(_, joined) = joined() else { unreachable!("that is what it is") };
    let slot_map = SlotMap { revision: 1, slots: Vec::new(), waiting: Vec::new(), waiting_count: 0 };
    let (publications, unsubscribed) = (Vec::new(), vec![CAMERA]);
    let resumed = Resumed {
        joined: *joined,
        publications,
        slot_map,
        subscriptions: Vec::new(),
        unsubscribed,
        transports: Vec::new(),
    };
    let comes_back = |parted: &mut Parted| {
        let mut anna = LiveKitFrontEnd::new(LIMITS, now, split(Some(Some(ANNA))));
        assert!(matches!(anna.resume(room.clone(), "anna".into()), Some(Demand::Resume { .. })));
        let event = Event::Resumed(None, Box::new(resumed.clone()));
        anna.change_hands(now, &event, parted);
        let welcome = anna.event(&event, FACTS);
        (anna, welcome)
    };
    let (mut anna, welcome) = comes_back(&mut parted);
    assert!(read(&welcome)[0].reconnect.is_some() && welcome.close.is_none());
    assert_eq!(commands(welcome), [Command::ReadChannels], "she has unsubscribed from the camera");
    let everybody = anna.event(&Event::Done(Some(RequestId("w".into()))), FACTS);
    let told = updated(&read(&everybody));
    assert_eq!(told.iter().map(|one| one.identity.as_str()).collect::<Vec<_>>(), ["ben", "anna"]);
    // What she received is with the connection that has got it.
    let (_, again) = comes_back(&mut parted);
    let leave = read(&again)[0].leave.clone().expect("she begins anew");
    assert_eq!((leave.action, again.close), (numbers::RECONNECT, Some(Close::Normal)));
}

#[test]
fn a_track_that_was_announced_before_a_break_is_published_after_it() {
    let mut before = Client::in_a_room();
    assert_eq!(before.announces("cam").len(), 1);
    before.told(&Event::TrackReserved(None, TrackId(77)));
    let mut parted = Parted::default();
    parted.keep(before.now, before.front_end.part().expect("something is kept"));
    let Event::Joined(_, joined) = joined() else { unreachable!("that is what it is") };
    let resumed = Resumed {
        joined: *joined,
        publications: Vec::new(),
        slot_map: SlotMap { revision: 1, slots: Vec::new(), waiting: Vec::new(), waiting_count: 0 },
        subscriptions: Vec::new(),
        unsubscribed: Vec::new(),
        transports: Vec::new(),
    };
    let asked = JoinAsked { auto_subscribe: true, resumes: Some(Some(ANNA)), ..JoinAsked::default() };
    let mut front_end = LiveKitFrontEnd::new(LIMITS, before.now, asked);
    front_end.resume("standup".parse().expect("a room"), "anna".into());
    let event = Event::Resumed(None, Box::new(resumed));
    front_end.change_hands(before.now, &event, &mut parted);
    let mut after = Client { front_end, now: before.now };
    after.told(&event);
    let asked = commands(after.offers(2, offer(&[("video", "0", "sendonly", "cam")])));
    let [Command::Offer { publications, .. }] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(publications.iter().map(|one| one.track).collect::<Vec<_>>(), [Some(TrackId(77))]);
}

#[test]
fn an_older_client_gets_what_it_wants_when_it_may_again_and_nothing_that_it_does_not_want() {
    let asked = JoinAsked { auto_subscribe: true, is_split: true, ..JoinAsked::default() };
    let mut front_end = LiveKitFrontEnd::new(LIMITS, Instant::now(), asked);
    front_end.join("standup".parse().expect("a room"), "Anna".into(), ticket());
    let mut anna = Client { front_end, now: Instant::now() };
    anna.told(&joined());
    let opened = OpenedTransport {
        transport: TransportId(7),
        ice: IceParameters { username_fragment: "a".into(), password: "b".into(), ice_lite: true },
        candidates: Vec::new(),
        dtls: DtlsParameters::default(),
    };
    let is_consumed = |asked: &[Command]| matches!(asked, [Command::Consume { track: CAMERA, .. }]);
    let asks = |anna: &mut Client, event: Event| commands(anna.front_end.event(&event, FACTS));
    assert!(is_consumed(&asks(&mut anna, Event::TransportOpened(None, Box::new(opened)))));
    let consumed = || {
        let parameters = RtpParameters { mid: Some("0".into()), ..RtpParameters::default() };
        let kind = MediaKind::Video;
        Event::Consumed(
            None,
            Box::new(Consumed { track: CAMERA, kind, parameters, paused: true, muted: false }),
        )
    };
    asks(&mut anna, consumed());
    let changed = |grants| Event::PermissionsChanged { grants, ended: Vec::new() };
    let deaf = Grants { subscribe: false, ..Grants::OPEN };
    assert!(asks(&mut anna, changed(deaf)).is_empty());
    assert!(asks(&mut anna, Event::ConsumerEnded(CAMERA)).is_empty(), "it would be refused");
    let again = anna.front_end.event(&changed(Grants::OPEN), FACTS);
    let told = read(&again);
    let allowed = told.iter().find_map(|told| told.subscription_permission_update.as_ref());
    assert!(allowed.is_some_and(|update| update.allowed));
    assert!(is_consumed(&commands(again)));
    asks(&mut anna, consumed());
    // What it has unsubscribed from stays away, whatever else it may do from now on.
    let subscription =
        UpdateSubscription { track_sids: vec![track_sid(CAMERA)], subscribe: false, ..Default::default() };
    let asked = anna.asks(&SignalRequest { subscription: Some(subscription), ..Default::default() });
    assert_eq!(asked, [Command::Unsubscribe(CAMERA)]);
    for grants in [Grants { send_data: false, ..Grants::OPEN }, deaf, Grants::OPEN] {
        assert!(asks(&mut anna, changed(grants)).is_empty(), "{grants:?}");
    }
    // A back end's word counts.
    assert!(is_consumed(&asks(&mut anna, Event::ConsumerWanted(CAMERA, true))));
}

#[test]
fn who_may_receive_a_clients_tracks_is_asked_of_the_core_by_identity_or_id() {
    let mut client = Client::in_a_room();
    let own = TrackId(9);
    client.announces("cid");
    client.told(&Event::TrackReserved(None, own));
    let named = |sid: &str, identity: &str, all_tracks, tracks: &[TrackId]| TrackPermission {
        participant_sid: sid.into(),
        participant_identity: identity.into(),
        all_tracks,
        track_sids: tracks.iter().map(|track| track_sid(*track)).collect(),
    };
    let says = |client: &mut Client, all_participants, track_permissions: Vec<TrackPermission>| {
        let permission = SubscriptionPermission { all_participants, track_permissions };
        client.asks(&SignalRequest { subscription_permission: Some(permission), ..Default::default() })
    };
    let named = vec![
        named(&participant_sid(BEN), "", true, &[]),
        named("", "cleo", false, &[own, CAMERA]),
        named("PA_nobody", "", true, &[]),
    ];
    let mut audience = Audience::default();
    audience.allow(Target::Identity("ben".into()), AllowedTracks::All);
    audience.allow(Target::Identity("cleo".into()), AllowedTracks::These([own].into()));
    assert_eq!(says(&mut client, false, named), [Command::SetAudience(Some(Box::new(audience)))]);
    assert_eq!(says(&mut client, true, Vec::new()), [Command::SetAudience(None)]);
    let event = Event::SubscriptionPermission { track: CAMERA, owner: BEN, allowed: false };
    let told = client.told(&event);
    let update = told[0].subscription_permission_update.as_ref().expect("an update");
    assert_eq!((update.track_sid.as_str(), update.allowed), (track_sid(CAMERA).as_str(), false));
}

#[test]
fn what_a_client_wants_to_try_happens_to_it() {
    let mut client = Client::in_a_room();
    let try_out = |client: &mut Client, scenario: SimulateScenario| {
        client.says(&SignalRequest { simulate: Some(scenario), ..Default::default() })
    };
    let scenario = SimulateScenario { subscriber_bandwidth: Some(50_000), ..Default::default() };
    assert_eq!(commands(try_out(&mut client, scenario)), [Command::LimitBandwidth(Some(50_000))]);
    let scenario = SimulateScenario { subscriber_bandwidth: Some(0), ..Default::default() };
    assert_eq!(commands(try_out(&mut client, scenario)), [Command::LimitBandwidth(None)]);
    let scenario = SimulateScenario { switch_candidate_protocol: Some(2), ..Default::default() };
    assert_eq!(try_out(&mut client, scenario).trial, Some(Trial::ForceTls));
    let speaks = |reaction: &LiveKitReaction| {
        let told = read(reaction);
        told.first().and_then(|told| told.speakers_changed.as_ref()).map(|changed| changed.speakers[0].active)
    };
    let scenario = SimulateScenario { speaker_update: Some(3), ..Default::default() };
    assert_eq!(speaks(&try_out(&mut client, scenario)), Some(true));
    client.now += Duration::from_secs(3);
    assert_eq!(speaks(&client.says(&SignalRequest { ping: Some(1), ..Default::default() })), Some(false));
}

#[test]
fn whoever_wants_to_try_turn_over_tls_is_given_nothing_else() {
    let mut client = Client::with(JoinAsked::default());
    client.front_end.try_out(Some(Trial::ForceTls));
    let servers = [IceServer {
        urls: vec!["turn:a:1?transport=tcp".into(), "turns:a:1?transport=tcp".into()],
        username: None,
        credential: None,
    }];
    let facts = LiveKitFacts { ice_servers: &servers, room_sid: "RM_abc" };
    let told = read(&client.front_end.event(&joined(), facts));
    let join = told[0].join.as_ref().expect("the reply");
    assert_eq!(join.ice_servers[0].urls, ["turns:a:1?transport=tcp"]);
    assert_eq!(join.client_configuration.as_ref().map(|configuration| configuration.force_relay), Some(2));
}

#[test]
fn how_good_calls_are_is_told_again_when_the_first_sign_of_life_comes() {
    let mut client = Client::in_a_room();
    let quality = Quality { level: Level::Good, score: 100, mos: None };
    assert_eq!(client.told(&Event::Quality(BEN, quality)).len(), 1);
    let ping = SignalRequest { ping: Some(1), ..Default::default() };
    let again = read(&client.says(&ping));
    let update = again.iter().find_map(|told| told.connection_quality.as_ref()).expect("an update");
    assert_eq!(
        (update.updates[0].participant_sid.as_str(), update.updates.len()),
        (&*participant_sid(BEN), 1)
    );
    assert_eq!(read(&client.says(&ping)).len(), 1, "once is enough");
}

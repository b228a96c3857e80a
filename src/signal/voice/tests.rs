//! Voice channels, as stories of their members.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::core::grants::Grants;
use crate::core::ids::ConnectionId;
use crate::core::topology::{MeshPolicy, MeshSettings, Outcome, Reason, Strategy};

/// A server with one channel of interest, whose members have the WebSockets of their numbers.
struct World {
    channels: Channels,
    now: Instant,
}

fn five() -> ChannelId {
    ChannelId::named("5").expect("an id")
}

fn user(number: u64) -> UserId {
    UserId::of(&json!(number)).expect("an id")
}

impl World {
    fn new() -> Self {
        let mesh =
            MeshSettings { policy: MeshPolicy::Auto, strategy: Strategy::Hard, ..MeshSettings::default() };
        let settings = Settings { mesh, channels_max: 3, members_max: 12, ..Settings::default() };
        Self { channels: Channels::new(settings), now: Instant::now() }
    }

    /// So many are in the channel, each by a WebSocket.
    fn of(people: u64) -> Self {
        let mut world = Self::new();
        for number in 1..=people {
            assert!(matches!(world.ask(number), Some(JoinReply::Joined { .. })), "{number}");
            assert!(world.come(number));
        }
        world.told();
        world
    }

    fn ask(&mut self, number: u64) -> Option<JoinReply> {
        self.channels.join(self.now, &five(), &user(number), (Grants::OPEN, true))
    }

    fn come(&mut self, number: u64) -> bool {
        self.channels.attach(self.now, &five(), &user(number), ConnectionId(number))
    }

    fn say(&mut self, number: u64, text: &str) -> Result<(), String> {
        self.channels.take(self.now, ConnectionId(number), &parse(text)?)
    }

    fn acknowledge(&mut self, number: u64) {
        let text =
            format!(r#"{{"type":"voice:mode-change-ack","payload":{{"channel_id":5,"user_id":{number}}}}}"#);
        self.say(number, &text).expect("taken");
    }

    fn pass(&mut self, seconds: u64, strangers: bool) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.channels.deadline().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.channels.handle_timeout(self.now, |_, _| strangers);
        }
        self.now = end;
    }

    fn told(&mut self) -> Vec<(u64, Told)> {
        self.channels.take_told().into_iter().map(|(connection, told)| (connection.0, told)).collect()
    }

    /// Who was told to go by which way since the last look.
    fn modes(&mut self) -> Vec<(u64, Mode)> {
        let modes = self.told().into_iter().filter_map(|(to, told)| match told {
            Told::Mode(_, _, mode) => Some((to, mode)),
            _ => None,
        });
        modes.collect()
    }
}

#[test]
fn the_eighth_goes_to_the_server_at_once_and_the_others_are_told() {
    let mut world = World::of(7);
    assert_eq!(world.ask(8), Some(JoinReply::Joined { mode: Mode::Sfu, count: 8 }));
    let told = world.modes();
    assert_eq!(told, (1..=7).map(|number| (number, Mode::Sfu)).collect::<Vec<_>>());
    assert_eq!(world.ask(9), Some(JoinReply::Queued), "while they move others wait");
    assert_eq!(world.ask(9), Some(JoinReply::Queued), "and once only");
    assert!(world.come(9));
    (1..=7).for_each(|number| world.acknowledge(number));
    let ready = world.told();
    assert!(ready.contains(&(9, Told::Ready(five(), user(9)))), "and are told when they are in: {ready:?}");
    assert_eq!(world.channels.standing(&five(), &user(9)), Some((Mode::Sfu, 9)));
    assert_eq!(world.channels.migrations().ended[&(Mode::Sfu, Outcome::Succeeded, Reason::Size)], 1);
}

#[test]
fn at_five_they_go_straight_again_and_at_none_the_channel_is_forgotten() {
    let mut world = World::of(7);
    world.ask(8);
    (1..=7).for_each(|number| world.acknowledge(number));
    world.pass(10, false);
    world.told();
    for number in [8, 7] {
        assert_eq!(world.channels.leave(world.now, &five(), &user(number)), Some(number as usize - 1));
    }
    assert_eq!(world.modes(), [], "six stay");
    world.channels.leave(world.now, &five(), &user(6));
    assert_eq!(world.modes(), (1..=5).map(|number| (number, Mode::P2p)).collect::<Vec<_>>());
    assert_eq!(world.channels.leave(world.now, &five(), &user(77)), Some(5), "who was not in leaves nothing");
    for number in 1..=5 {
        world.channels.lost(world.now, ConnectionId(number));
    }
    assert_eq!(world.channels.leave(world.now, &five(), &user(1)), None);
    world.pass(2, false);
    assert_eq!(world.channels.deadline(), None);
}

#[test]
fn who_does_not_acknowledge_is_told_again_and_nobody_else() {
    let mut world = World::of(7);
    world.ask(8);
    (1..=6).for_each(|number| world.acknowledge(number));
    world.told();
    world.pass(3, false);
    assert_eq!(world.modes(), [(7, Mode::Sfu)]);
}

#[test]
fn where_the_server_fails_all_are_told_to_go_straight() {
    let mut world = World::of(7);
    world.ask(8);
    assert!(world.come(8));
    (1..=7).for_each(|number| world.acknowledge(number));
    world.told();
    assert!(world.channels.server_failed(world.now, &five()));
    assert_eq!(world.modes(), (1..=8).map(|number| (number, Mode::P2p)).collect::<Vec<_>>());
    let shown = world.channels.show(&five()).expect("the channel");
    assert_eq!(shown["state"]["sfu_server_active"], false);
    assert_eq!(shown["state"]["current_mode"], "p2p");
    assert_eq!(shown["state"]["sfu_room_name"], "channel_5");
    assert!(!world.channels.server_failed(world.now, &ChannelId::named("6").expect("an id")));
}

#[test]
fn signals_go_unchanged_to_the_one_who_is_named_and_to_nobody_else() {
    let mut world = World::of(3);
    let payload = r#"{"to_user_id":2,"user_id":1,"sdp":"v=0\r\n","n":1.50}"#;
    world.say(1, &format!(r#"{{"type":"voice:offer","payload":{payload}}}"#)).expect("taken");
    let told = world.told();
    assert_eq!(told, [(2, Told::Text(format!(r#"{{"type":"voice:offer","payload":{payload}}}"#)))]);
    let text = format!(r#"{{"type":"voice:ice-candidate","payload":{}}}"#, json!(payload));
    world.say(1, &text).expect("a text with JSON is as good");
    assert_eq!(world.told(), [(2, Told::Text(text))]);
    for (wrong, code) in [
        (r#"{"type":"voice:offer","payload":{"to_user_id":9}}"#, "unknown-recipient"),
        (r#"{"type":"voice:offer","payload":{"to_user_id":1}}"#, "unknown-recipient"),
        (r#"{"type":"voice:offer","payload":{"to_user_id":2,"user_id":3}}"#, "not-permitted"),
        (r#"{"type":"voice:mute","payload":{"channel_id":6,"muted":true}}"#, "unknown-channel"),
        (r#"{"type":"voice:sing","payload":{}}"#, "unknown-type"),
        (r#"{"type":"voice:mute","payload":"nonsense"}"#, "bad-message"),
        (r#"{"type":"voice:mute","payload":[]}"#, "bad-message"),
        ("{", "bad-message"),
    ] {
        let answer = world.say(1, wrong).expect_err(wrong);
        assert!(answer.contains(code), "{wrong}: {answer}");
    }
    let stranger = world.say(77, r#"{"type":"voice:mute","payload":{}}"#).expect_err("a stranger");
    assert!(stranger.contains("not-joined"));
    assert!(world.told().is_empty());
}

#[test]
fn mute_and_video_are_told_to_the_others_and_to_those_who_come_later() {
    let mut world = World::of(2);
    let muted = r#"{"type":"voice:mute","payload":{"channel_id":5,"user_id":1,"muted":true}}"#;
    world.say(1, muted).expect("taken");
    assert_eq!(world.told(), [(2, Told::Text(muted.to_owned()))]);
    world.say(1, r#"{"type":"voice:video-toggle","payload":{"enabled":true}}"#).expect("taken");
    let signed = r#"{"type":"voice:video-toggle","payload":{"user_id":1,"from_user_id":1,"enabled":true}}"#;
    assert_eq!(world.told(), [(2, Told::Text(signed.to_owned()))], "whose it is");
    world.ask(3);
    world.come(3);
    let told = world.told();
    let [(3, Told::Text(participants)), (1, Told::Text(joined)), (2, _)] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(
        participants.contains(r#"{"is_muted":true,"is_video_enabled":true,"user_id":1}"#),
        "{participants}"
    );
    assert_eq!(joined, r#"{"payload":{"channel_id":5,"user_id":3},"type":"voice:join"}"#);
    world.channels.lost(world.now, ConnectionId(3));
    assert_eq!(world.told().len(), 2, "and the others hear that they have gone");
}

#[test]
fn whoever_is_in_the_room_and_not_in_the_channel_needs_the_server() {
    let mut world = World::of(2);
    world.channels.watch(world.now);
    world.pass(1, true);
    assert_eq!(world.modes(), [(1, Mode::Sfu), (2, Mode::Sfu)]);
    (1..=2).for_each(|number| world.acknowledge(number));
    world.pass(30, true);
    assert_eq!(world.modes(), []);
    world.pass(10, false);
    assert_eq!(world.modes()[..2], [(1, Mode::P2p), (2, Mode::P2p)], "back when they have gone");
}

#[test]
fn who_comes_by_no_web_socket_is_let_go_after_a_minute() {
    let mut world = World::new();
    world.ask(1);
    world.ask(1);
    world.channels.watch(world.now);
    assert!(world.channels.has(&five(), &user(1)));
    world.pass(62, false);
    assert!(!world.channels.has(&five(), &user(1)));
}

#[test]
fn channels_are_made_listed_by_type_and_ended() {
    let mut world = World::of(1);
    assert!(world.channels.make(&five(), json!({"name": "Lobby", "type": "voice"})));
    assert!(world.channels.make(&ChannelId::named("6").expect("an id"), json!({"type": "stage"})));
    assert_eq!(world.channels.list(None).len(), 2);
    let voice = world.channels.list(Some("voice"));
    assert_eq!((voice.len(), &voice[0]["name"], &voice[0]["id"]), (1, &json!("Lobby"), &json!(5)));
    assert!(world.channels.end(world.now, &five()) && !world.channels.end(world.now, &five()));
    let [(1, Told::Text(text))] = &world.told()[..] else { panic!("its member is told") };
    assert!(text.contains("voice:channel-deleted"));
    assert!(
        ChannelId::named("a/b").is_none()
            && ChannelId::named("").is_none()
            && UserId::of(&json!(-1)).is_none()
    );
}

#[test]
fn whoever_has_only_asked_holds_nobody_up_and_hears_on_coming_where_the_channel_is() {
    let mut world = World::of(6);
    assert_eq!(world.ask(7), Some(JoinReply::Joined { mode: Mode::P2p, count: 7 }));
    assert_eq!(world.ask(8), Some(JoinReply::Joined { mode: Mode::Sfu, count: 8 }));
    (1..=6).for_each(|number| world.acknowledge(number));
    world.told();
    world.pass(5, false);
    let shown = world.channels.show(&five()).expect("the channel");
    assert_eq!(
        (&shown["state"]["current_mode"], &shown["state"]["moving_to"]),
        (&json!("sfu"), &json!(null))
    );
    world.told();
    assert!(world.come(7) && world.come(8));
    assert_eq!(world.modes(), [(7, Mode::Sfu)], "the eighth was told in the answer");
}

#[test]
fn nobody_is_let_into_a_channel_that_has_ended_though_they_waited_for_it() {
    let mut world = World::of(7);
    world.ask(8);
    assert_eq!(world.ask(9), Some(JoinReply::Queued));
    assert!(world.come(9));
    world.told();
    assert!(world.channels.end(world.now, &five()));
    let told = world.told();
    let is_end = |to: u64| {
        told.iter().any(|(other, told)| {
            *other == to && matches!(told, Told::Text(text) if text.contains("voice:channel-deleted"))
        })
    };
    assert!((1..=7).all(is_end) && is_end(9), "{told:?}");
    assert!(!world.channels.has(&five(), &user(9)) && world.channels.show(&five()).is_none());
}

#[test]
fn whoever_may_not_receive_is_sent_nothing_straight() {
    let mut world = World::of(2);
    let blind = Grants { subscribe: false, ..Grants::OPEN };
    world.channels.join(world.now, &five(), &user(3), (blind, true));
    assert!(world.come(3));
    world.told();
    let to = |number: u64| format!(r#"{{"type":"voice:offer","payload":{{"to_user_id":{number}}}}}"#);
    assert!(world.say(3, &to(1)).expect_err("they may not").contains("not-permitted"));
    assert!(world.say(1, &to(3)).expect_err("nor may others").contains("unknown-recipient"));
    world.say(1, &to(2)).expect("others as before");
}

#[test]
fn nobody_speaks_in_the_name_of_somebody_else_whichever_field_names_them() {
    let mut world = World::of(3);
    for forged in [
        r#"{"to_user_id":3,"user_id":1,"from_user_id":2}"#,
        r#"{"to_user_id":3,"user_id":null,"from_user_id":2}"#,
        r#"{"to_user_id":3,"user_id":null}"#,
        r#"{"to_user_id":3,"user_id":1,"from":2}"#,
        r#"{"to_user_id":3,"user_id":1,"from":{"id":2}}"#,
        r#"{"to_user_id":3,"user_id":1,"sender_id":2}"#,
        r#"{"to_user_id":3,"fromUserId":2}"#,
        r#"{"to_user_id":3,"user_id":2,"user_id":1}"#,
        r#"{"to_user_id":3,"user_id":2,"user\u005fid":1}"#,
    ] {
        let text = json!(forged).to_string();
        for (kind, payload) in [("voice:answer", forged), ("voice:answer", &text), ("voice:mute", forged)] {
            let said = format!(r#"{{"type":"{kind}","payload":{payload}}}"#);
            let answer = world.say(1, &said).expect_err(&said);
            assert!(answer.contains("not-permitted"), "{said}: {answer}");
        }
    }
    assert_eq!(world.told(), []);
    let own = r#"{"type":"voice:answer","payload":{"to_user_id":3,"user_id":1,"from_user_id":"1"}}"#;
    world.say(1, own).expect("all fields name them");
    assert_eq!(world.told(), [(3, Told::Text(own.to_owned()))]);
}

#[test]
fn what_names_no_sender_is_passed_on_with_the_senders_id() {
    let mut world = World::of(2);
    for (said, passed) in [
        (r#"{"to":2,"n":1.50}"#, r#"{"user_id":1,"from_user_id":1,"to":2,"n":1.50}"#),
        (r#"" { \"to\":2}""#, r#""{\"user_id\":1,\"from_user_id\":1,\"to\":2}""#),
    ] {
        let message = |payload: &str| format!(r#"{{"type":"voice:ice-candidate","payload":{payload}}}"#);
        world.say(1, &message(said)).expect("taken");
        assert_eq!(world.told(), [(2, Told::Text(message(passed)))]);
    }
    world.say(1, r#"{"type":"voice:mute"}"#).expect("taken");
    let signed = r#"{"type":"voice:mute","payload":{"user_id":1,"from_user_id":1}}"#;
    assert_eq!(world.told(), [(2, Told::Text(signed.to_owned()))]);
}

const OFFER: &str = r#"{"type":"voice:offer","payload":{"to_user_id":2,"user_id":1,"sdp":"v=0"}}"#;

#[test]
fn nothing_goes_straight_where_calls_may_not_or_while_the_channel_is_on_the_server() {
    let mut world = World::new();
    let settings = Settings { channels_max: 3, members_max: 12, ..Settings::default() };
    world.channels = Channels::new(settings);
    for number in 1..=2 {
        assert_eq!(world.ask(number), Some(JoinReply::Joined { mode: Mode::Sfu, count: number as usize }));
        assert!(world.come(number));
    }
    world.told();
    assert!(world.say(1, OFFER).expect_err("the mesh is off").contains("not-permitted"));

    let mut world = World::of(7);
    world.ask(8);
    world.say(1, OFFER).expect("while they move to the server all are on the old path");
    (1..=7).for_each(|number| world.acknowledge(number));
    world.told();
    assert!(world.say(1, OFFER).expect_err("on the server").contains("not-permitted"));
    world.pass(6, false);
    for number in 6..=8 {
        world.channels.leave(world.now, &five(), &user(number));
    }
    assert_eq!(world.modes().len(), 5, "they move back");
    world.say(1, OFFER).expect("and need it for that");
    assert!(matches!(&world.told()[..], [(2, Told::Text(_))]));
}

#[test]
fn whoever_waits_and_comes_by_another_web_socket_stays_when_the_first_one_ends() {
    for lost_early in [true, false] {
        let mut world = World::of(7);
        world.ask(8);
        world.ask(9);
        assert!(world.come(9));
        assert!(world.channels.attach(world.now, &five(), &user(9), ConnectionId(99)));
        if lost_early {
            world.channels.lost(world.now, ConnectionId(9));
        }
        (1..=7).for_each(|number| world.acknowledge(number));
        world.channels.lost(world.now, ConnectionId(9));
        assert!(world.channels.has(&five(), &user(9)), "{lost_early}");
        assert!(world.told().contains(&(99, Told::Ready(five(), user(9)))), "by the second one");
        assert!(world.say(9, OFFER).expect_err("by the first nobody comes").contains("not-joined"));
        world.channels.lost(world.now, ConnectionId(99));
        assert!(!world.channels.has(&five(), &user(9)));
    }
}

#[test]
fn whoever_has_waited_without_a_web_socket_is_told_on_coming_that_they_are_in() {
    let mut world = World::of(7);
    world.ask(8);
    assert_eq!(world.ask(9), Some(JoinReply::Queued));
    (1..=7).for_each(|number| world.acknowledge(number));
    world.told();
    assert!(world.come(9));
    assert!(world.told().contains(&(9, Told::Ready(five(), user(9)))));
}

#[test]
fn who_does_not_go_straight_where_the_server_fails_is_asked_again() {
    let mut world = World::of(7);
    world.ask(8);
    (1..=7).for_each(|number| world.acknowledge(number));
    world.channels.leave(world.now, &five(), &user(8));
    world.told();
    assert!(world.channels.server_failed(world.now, &five()));
    assert_eq!(world.modes().len(), 7);
    (1..=6).for_each(|number| world.acknowledge(number));
    world.pass(3, false);
    assert_eq!(world.modes(), [(7, Mode::P2p)]);
    world.acknowledge(7);
    world.pass(60, false);
    assert_eq!(world.modes(), []);
    let ended = &world.channels.migrations().ended;
    assert_eq!(ended[&(Mode::Sfu, Outcome::Failed, Reason::ServerFailed)], 1, "a move that did not last");
    assert!(world.channels.server_failed(world.now, &five()));
    let ended = &world.channels.migrations().ended;
    assert_eq!(ended[&(Mode::Sfu, Outcome::Failed, Reason::ServerFailed)], 1, "nobody is on it");
}

#[test]
fn an_answer_that_names_another_way_does_not_count_for_the_move() {
    let mut world = World::of(7);
    world.ask(8);
    (1..=6).for_each(|number| world.acknowledge(number));
    let acknowledge = |world: &mut World, mode: &str| {
        let text = json!({"type": "voice:mode-change-ack", "payload": {"user_id": 7, "mode": mode}});
        world.say(7, &text.to_string()).expect("taken");
        world.channels.standing(&five(), &user(7)).map(|(mode, _)| mode)
    };
    assert_eq!(acknowledge(&mut world, "p2p"), Some(Mode::P2p), "they are still where they were");
    assert_eq!(acknowledge(&mut world, "sfu"), Some(Mode::Sfu));
}

/// Where the log goes.
#[derive(Debug, Clone, Default)]
struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("one thread").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_log_tells_of_each_move_and_how_long_it_took() {
    let lines = Lines::default();
    let writer = lines.clone();
    let format = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
    tracing::subscriber::with_default(format.finish(), || {
        let mut world = World::of(7);
        world.ask(8);
        world.pass(2, false);
        (1..=7).for_each(|number| world.acknowledge(number));
        world.channels.server_failed(world.now, &five());
    });
    let text = String::from_utf8(lines.0.lock().expect("one thread").clone()).expect("UTF-8");
    for expected in [
        r#"the voice channel moves channel=5 members=8 from="p2p" to="sfu" reason="size""#,
        r#"over channel=5 members=8 from="p2p" to="sfu" outcome="succeeded" reason="size" ms=2000"#,
        r#"the voice channel is sent back channel=5 members=8 from="sfu" to="p2p" reason="server-failed""#,
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

/// What a client knows of one member: whether they are in, and by which way they were told to go.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Known {
    is_in: bool,
    has_socket: bool,
    way: Option<Mode>,
}

impl World {
    /// Takes what members are told.
    fn hear(&mut self, known: &mut [Known]) {
        for (to, told) in self.told() {
            let place = to as usize - 1;
            match told {
                Told::Mode(_, _, mode) => known[place].way = Some(mode),
                Told::Ready(..) => {
                    known[place].is_in = true;
                    // The shell says with it which way they go now.
                    let standing = self.channels.standing(&five(), &user(to));
                    known[place].way = standing.map(|(mode, _)| mode);
                }
                Told::Text(_) => {}
            }
        }
    }

    /// One of the things that people do, drawn at random.
    fn does_something(&mut self, dice: &mut fastrand::Rng, known: &mut [Known]) {
        let number = 1 + dice.u64(..known.len() as u64);
        let own = &mut known[number as usize - 1];
        match dice.u32(..20) {
            0..6 if !own.has_socket => match self.ask(number) {
                Some(JoinReply::Joined { mode, .. }) => (own.is_in, own.way) = (true, Some(mode)),
                Some(JoinReply::Queued | JoinReply::Full) | None => {}
            },
            6..11 if !own.has_socket => own.has_socket = self.come(number),
            11..13 if own.has_socket => {
                self.channels.lost(self.now, ConnectionId(number));
                *own = Known::default();
            }
            13..15 if own.is_in && own.has_socket => self.acknowledge(number),
            15 if dice.u32(..5) == 0 => {
                self.channels.server_failed(self.now, &five());
            }
            16 if dice.u32(..5) == 0 => {
                let room = "channel_5".parse().expect("a room");
                self.channels.reset(self.now, &room, None);
            }
            _ => {
                let (seconds, strangers) = (dice.u64(..3), dice.u32(..10) == 0);
                self.pass(seconds, strangers);
            }
        }
        self.hear(known);
    }
}

#[test]
fn whatever_happens_whoever_waits_is_let_in_and_all_members_know_the_way() {
    for seed in 0..60 {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mesh = MeshSettings {
            policy: MeshPolicy::Auto,
            up: 4,
            down: 2,
            warm: 3,
            strategy: if dice.bool() { Strategy::Hard } else { Strategy::Gradual },
            ..MeshSettings::default()
        };
        let settings = Settings { mesh, channels_max: 3, members_max: 12, ..Settings::default() };
        let mut world = World { channels: Channels::new(settings), now: Instant::now() };
        let mut known = [Known::default(); 7];
        for _ in 0..200 {
            world.does_something(&mut dice, &mut known);
            world.channels.watch(world.now);
        }
        // Everybody answers from now on, and whoever has only asked is let go.
        for _ in 0..150 {
            for number in 1..=7 {
                if known[number as usize - 1].has_socket && world.channels.has(&five(), &user(number)) {
                    world.acknowledge(number);
                }
            }
            world.hear(&mut known);
            world.pass(1, false);
            world.hear(&mut known);
        }
        let Some(shown) = world.channels.show(&five()) else { continue };
        let state = &shown["state"];
        assert_eq!(
            (&state["queued"], &state["moving_to"]),
            (&json!(0), &json!(null)),
            "seed {seed}: {state}"
        );
        for number in 1..=7 {
            let Some((mode, _)) = world.channels.standing(&five(), &user(number)) else { continue };
            let expected = Known { is_in: true, has_socket: true, way: Some(mode) };
            assert_eq!(known[number as usize - 1], expected, "seed {seed}, member {number}: {state}");
        }
    }
}

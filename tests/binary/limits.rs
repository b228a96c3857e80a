//! Limits that an operator sets and the protocol has: each holds, and says so with its own code.

use std::io::{Read, Write};

use serde_json::{Value, json};

use super::call::Call;
use super::server::{Server, connect, http};

fn join_data(room: &str) -> Value {
    json!({"version": 1, "room": room, "name": "Somebody"})
}

#[test]
fn a_room_is_full_until_somebody_leaves() {
    let (_server, mut call) = Call::at(&[("ROOMS_MAX_PARTICIPANTS", "2")]);
    let anna = call.join("standup", "Anna");
    call.join("standup", "Ben");
    let late = call.visit();
    let error = call.refused(late, "join", join_data("standup"));
    assert_eq!((&error["code"], &error["fatal"]), (&"room-full".into(), &false.into()));
    call.ask(anna, "leave", json!({}));
    assert_eq!(call.ask(late, "join", join_data("standup"))["type"], "joined", "on the same connection");
}

#[test]
fn the_server_has_its_rooms_until_one_ends() {
    let (_server, mut call) = Call::at(&[("ROOMS_MAX_ROOMS", "1"), ("ROOMS_EMPTY_TIMEOUT", "0")]);
    let anna = call.join("standup", "Anna");
    call.join("standup", "Ben");
    let other = call.visit();
    assert_eq!(call.refused(other, "join", join_data("retro"))["code"], "too-many-rooms");
    assert_eq!(call.refused(other, "join", json!({"version": 1, "name": "Zoe"}))["code"], "too-many-rooms");
    call.ask(anna, "leave", json!({}));
    call.ask(1, "leave", json!({}));
    assert_eq!(call.ask(other, "join", join_data("retro"))["type"], "joined");
}

#[test]
fn a_participant_publishes_so_many_tracks() {
    let (_server, mut call) = Call::at(&[("ROOMS_MAX_TRACKS_PER_PARTICIPANT", "2")]);
    let anna = call.join("standup", "Anna");
    let offer = call.clients[anna].offer(1, &["microphone", "camera", "screen"]);
    assert_eq!(call.refused(anna, "offer", offer)["code"], "too-many-tracks");
    assert!(call.is_served(anna));
    let ben = call.join("standup", "Ben");
    call.publish(ben, 1, &["microphone", "camera"]);
    assert!(call.clients[ben].joined["participants"][0]["tracks"].as_array().is_some_and(Vec::is_empty));
}

#[test]
fn who_has_all_slots_taken_sees_who_waits_and_why() {
    let one_slot_each = ["AUDIO_SLOTS", "MAX_AUDIO_SLOTS", "VIDEO_SLOTS", "MAX_VIDEO_SLOTS"];
    let settings = one_slot_each.map(|key| (format!("MEDIA_{key}"), "1"));
    let (_server, mut call) = Call::at(&settings.each_ref().map(|(key, value)| (key.as_str(), *value)));
    let listener = call.join("standup", "Zoe");
    assert_eq!(call.clients[listener].joined["maxSlots"]["audio"], 1);
    call.publish(listener, 1, &[]);
    let [anna, ben] = ["Anna", "Ben"].map(|name| {
        let who = call.join("standup", name);
        call.publish(who, 1, &["microphone", "camera"]);
        who
    });
    let (first, second) = (call.clients[anna].track("microphone"), call.clients[ben].track("microphone"));
    let camera = call.clients[ben].track("camera");
    // A microphone gets a slot when somebody speaks into it; a camera waits for a place.
    call.until("one is heard, one waits", |call| {
        let map = &call.clients[listener].slot_map;
        map["waiting"]
            == json!([{"trackId": second, "reason": "not-speaking"}, {"trackId": camera, "reason": "slot-limit"}])
    });
    assert!(call.clients[listener].slot_of(&first).is_some());
    let asked = call.clients[listener].told("more-slots");
    assert!(asked.iter().all(|counts| counts["audio"] == 1), "{asked:?}");
    call.ask(anna, "leave", json!({}));
    call.until("the other is heard", |call| call.clients[listener].slot_of(&second).is_some());
    assert_eq!(call.clients[listener].slot_map["waiting"], json!([]));
}

#[test]
fn sixteen_kibibytes_of_data_are_passed_on_and_one_byte_more_is_not() {
    let (_server, mut call) = Call::at(&[]);
    let (anna, ben) = (call.join("standup", "Anna"), call.join("standup", "Ben"));
    // With its quotation marks, exactly the limit.
    let payload = "x".repeat(16 * 1024 - 2);
    let reply = call.ask(anna, "data", json!({"topic": "chat", "payload": payload}));
    assert_eq!(reply["type"], "ok");
    let data = call.until_told(ben, "data");
    assert_eq!((&data["from"], &data["payload"]), (&call.clients[anna].id().into(), &payload.clone().into()));
    let error = call.refused(anna, "data", json!({"topic": "chat", "payload": payload + "x"}));
    assert_eq!((&error["code"], &error["fatal"]), (&"payload-too-large".into(), &false.into()));
    let nobody = json!({"to": ["p-0000000000000"], "topic": "chat", "payload": 1});
    assert_eq!(call.refused(anna, "data", nobody)["code"], "unknown-recipient");
    assert_eq!(call.clients[ben].told("data").len(), 1);
}

#[test]
fn what_is_wrong_before_joining_is_named_and_the_connection_stays() {
    let (_server, mut call) = Call::at(&[]);
    let visitor = call.visit();
    let long = "x".repeat(65);
    for (text, code) in [
        (r#"{"type":"dance","id":1}"#.to_owned(), "unknown-type"),
        (r#"{"id":1}"#.to_owned(), "bad-message"),
        (r#"{"type":"join"}"#.to_owned(), "bad-message"),
        (r#"{"type":"join","data":{"version":1}}"#.to_owned(), "bad-message"),
        (r#"{"type":"join","data":{"version":"1","name":"Anna"}}"#.to_owned(), "bad-message"),
        (r#"{"type":"join","data":{"version":1,"name":" "}}"#.to_owned(), "bad-name"),
        (format!(r#"{{"type":"join","data":{{"version":1,"name":"{long}"}}}}"#), "bad-name"),
        (r#"{"type":"join","data":{"version":1,"name":"Anna","room":"a b"}}"#.to_owned(), "bad-room"),
        (format!(r#"{{"type":"join","data":{{"version":1,"name":"Anna","room":"{long}"}}}}"#), "bad-room"),
        (r#"{"type":"leave"}"#.to_owned(), "not-joined"),
        (r#"{"type":"offer","data":{"sdp":"v=0","publications":[]}}"#.to_owned(), "not-joined"),
        ("[1,2]".to_owned(), "bad-message"),
        ("{".to_owned(), "bad-message"),
    ] {
        // Those with an id are answered under it, those without as news.
        let error = if text.contains(r#""id":1"#) {
            call.clients[visitor].say(&text);
            let mut reply = None;
            call.until("a reply", |call| {
                reply = call.clients[visitor].reply(1);
                reply.is_some()
            });
            reply.expect("it came")["data"].take()
        } else {
            call.refused_text(visitor, &text)
        };
        assert_eq!((&error["code"], &error["fatal"]), (&code.into(), &false.into()), "{text}: {error}");
    }
    let name = "é".repeat(64);
    let reply = call.ask(visitor, "join", json!({"version": 1, "name": format!("  {name} ")}));
    assert_eq!(reply["data"]["name"], name.as_str());
    assert_eq!(call.refused(visitor, "join", join_data("other"))["code"], "already-joined");
}

#[test]
fn what_is_wrong_after_joining_is_named_and_nothing_changes() {
    let (_server, mut call) = Call::at(&[]);
    let (anna, ben) = (call.join("standup", "Anna"), call.join("standup", "Ben"));
    call.publish(anna, 1, &["microphone"]);
    let track = call.until_told(ben, "track-added")["trackId"].clone();
    for (kind, data, code) in [
        ("mute", json!({"trackId": track, "muted": true}), "unknown-track"),
        ("mute", json!({"trackId": track}), "bad-message"),
        ("subscribe", json!({"trackId": "t-0000000000000"}), "unknown-track"),
        ("pause", json!({"trackId": "track", "paused": true}), "bad-message"),
        ("pin", json!({"trackId": "track", "pinned": true}), "bad-message"),
        ("offer", json!({"sdp": "v=0", "publications": []}), "bad-offer"),
        ("offer", json!({"sdp": "", "publications": []}), "bad-offer"),
        ("offer", json!({"sdp": "v=0"}), "bad-message"),
    ] {
        assert_eq!(call.refused(ben, kind, data.clone())["code"], code, "{kind} {data}");
    }
    assert!(call.clients[anna].told("track-muted").is_empty());
    call.publish(ben, 1, &["microphone"]);
}

#[test]
fn another_version_is_refused_with_those_that_are_served() {
    let (_server, mut call) = Call::at(&[]);
    for (kind, data) in [
        ("join", json!({"version": 2, "name": "Anna"})),
        ("resume", json!({"version": 0, "anything": "else"})),
    ] {
        let visitor = call.visit();
        let error = call.refused(visitor, kind, data);
        assert_eq!((&error["code"], &error["fatal"]), (&"unsupported-version".into(), &true.into()));
        assert!(error["message"].as_str().is_some_and(|text| text.contains('1')), "{error}");
        call.until("it is closed", |call| call.clients[visitor].socket.is_none());
        assert_eq!(call.clients[visitor].closed, Some(1008));
    }
}

#[test]
fn a_message_over_the_configured_size_is_named_and_ends_the_connection() {
    let (_server, mut call) = Call::at(&[("SIGNALLING_MAX_MESSAGE_BYTES", "65536")]);
    let (anna, ben) = (call.join("standup", "Anna"), call.join("standup", "Ben"));
    let error = call.refused_text(anna, &" ".repeat(65_537));
    assert_eq!((&error["code"], &error["fatal"]), (&"message-too-large".into(), &true.into()));
    call.until("it is closed", |call| call.clients[anna].socket.is_none());
    assert_eq!(call.clients[anna].closed, Some(1009));
    call.until_told(ben, "participant-reconnecting");
    assert_eq!(call.resume(anna)["type"], "resumed");
    let large = call.refused_text(anna, &" ".repeat(65_536));
    assert_eq!(large["code"], "bad-message", "the limit itself is allowed");
}

#[test]
fn the_configured_rate_is_the_one_that_holds() {
    let (_server, mut call) =
        Call::at(&[("SIGNALLING_MESSAGES_PER_SECOND", "1"), ("SIGNALLING_MESSAGE_BURST", "5")]);
    let anna = call.join("standup", "Anna");
    let requests: Vec<u64> = (0..20).map(|_| call.clients[anna].request("ping", &json!({}))).collect();
    let mut replies = Vec::new();
    call.until("every request is answered", |call| {
        replies.extend(requests.iter().filter_map(|request| call.clients[anna].reply(*request)));
        replies.len() == requests.len()
    });
    let limited: Vec<_> = replies.iter().filter(|reply| reply["type"] == "error").collect();
    assert!(replies.len() - limited.len() >= 4 && !limited.is_empty(), "{replies:?}");
    assert!(limited.iter().all(|reply| reply["data"]["code"] == "rate-limited"), "{limited:?}");
}

#[test]
fn the_configured_time_outs_are_those_that_hold() {
    let (server, mut call) = Call::at(&[
        ("SIGNALLING_HANDSHAKE_TIMEOUT", "0.3"),
        ("SIGNALLING_IDLE_TIMEOUT", "0.6"),
        ("SIGNALLING_PING_INTERVAL", "0.2"),
    ]);
    let visitor = call.visit();
    let anna = call.join("standup", "Anna");
    let mut slow = connect(server.address);
    slow.write_all(b"GET / HTTP/1.1\r\nHost:").expect("written");
    let mut answer = String::new();
    slow.read_to_string(&mut answer).expect("an answer, then the end");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    call.until("who does not join is sent away", |call| call.clients[visitor].socket.is_none());
    assert_eq!(call.clients[visitor].closed, Some(1000));
    // Whoever has joined and answers pings stays.
    assert!(call.is_served(anna));
}

#[test]
fn one_address_has_so_many_participants_with_those_who_linger() {
    let (_server, mut call) = Call::at(&[("SIGNALLING_MAX_PARTICIPANTS_PER_ADDRESS", "2")]);
    let (anna, ben) = (call.join("standup", "Anna"), call.join("retro", "Ben"));
    let late = call.visit();
    let error = call.refused(late, "join", join_data("third"));
    assert_eq!((&error["code"], &error["fatal"]), (&"too-many-participants".into(), &false.into()));
    assert!(
        error["action"].as_str().is_some_and(|text| text.contains("max_participants_per_address")),
        "{error}"
    );
    call.clients[ben].socket = None;
    assert_eq!(
        call.refused(late, "join", join_data("third"))["code"],
        "too-many-participants",
        "Ben may come back"
    );
    call.ask(anna, "leave", json!({}));
    assert_eq!(call.ask(late, "join", join_data("third"))["type"], "joined");
}

#[test]
fn one_address_joins_so_often_and_is_told_to_wait() {
    let (_server, mut call) =
        Call::at(&[("SIGNALLING_JOINS_PER_SECOND", "1"), ("SIGNALLING_JOIN_BURST", "2")]);
    let replies: Vec<Value> = (0..20)
        .map(|_| {
            let who = call.visit();
            call.ask(who, "join", join_data("standup"))
        })
        .collect();
    assert!(replies[..2].iter().all(|reply| reply["type"] == "joined"), "{replies:?}");
    let refused: Vec<_> = replies.iter().filter(|reply| reply["type"] == "error").collect();
    assert!(!refused.is_empty(), "{replies:?}");
    for reply in refused {
        let error = &reply["data"];
        assert_eq!((&error["code"], &error["fatal"]), (&"rate-limited".into(), &false.into()));
        assert!(error["action"].as_str().is_some_and(|text| text.contains("joins_per_second")), "{error}");
    }
}

#[test]
fn the_configured_connections_of_one_address_are_those_that_hold() {
    let (server, mut call) = Call::at(&[("SIGNALLING_MAX_CONNECTIONS_PER_ADDRESS", "2")]);
    let (anna, _ben) = (call.join("standup", "Anna"), call.join("standup", "Ben"));
    let mut refusal = String::new();
    connect(server.address).read_to_string(&mut refusal).expect("a refusal, then the end");
    assert!(
        refusal.starts_with("HTTP/1.1 503") && refusal.contains("max_connections_per_address"),
        "{refusal}"
    );
    assert!(call.is_served(anna));
}

#[test]
fn with_few_files_connections_are_refused_at_once_and_not_left_waiting() {
    let wrapper = ["sh", "-c", "ulimit -n 96; exec \"$0\" \"$@\""];
    let server = Server::start_within(&wrapper, &[("SIGNALLING_MAX_CONNECTIONS_PER_ADDRESS", "1000")]);
    let health = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(http(server.address, health).starts_with("HTTP/1.1 200"));
    let mut idle = Vec::new();
    // Connections that are being closed still have their places.
    while !http(server.address, health).starts_with("HTTP/1.1 503") {
        assert!(idle.len() < 64, "many more than there is room for");
        idle.push(connect(server.address));
    }
    idle.clear();
    let started = std::time::Instant::now();
    while !http(server.address, health).starts_with("HTTP/1.1 200") {
        assert!(started.elapsed() < super::PATIENCE, "there is room again");
    }
}

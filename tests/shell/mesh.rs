//! Calls that go straight while they are small, through the whole shell: native clients, and members of voice channels who ask
//! over HTTP and speak `voice:…`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strait::access::AuthMode;
use strait::core::topology::{MeshPolicy, MeshSettings, Strategy};
use strait::net::ShellConfig;
use strait::signal::voice;
use tungstenite::Message;

use crate::metrics::Metrics;
use crate::support::back_end::{gate, granting, key, now};
use crate::support::people::Person;
use crate::support::{Answer, PATIENCE, Server, config};

/// Three are a mesh, the fourth moves all to the server.
fn mesh() -> MeshSettings {
    MeshSettings {
        policy: MeshPolicy::Auto,
        up: 4,
        down: 2,
        strategy: Strategy::Hard,
        ..MeshSettings::default()
    }
}

fn server(mode: AuthMode) -> Server {
    let voice =
        voice::Settings { mesh: mesh(), channels_max: 10, members_max: 10, ..voice::Settings::default() };
    let config = ShellConfig { gate: gate(mode), voice, ..config() };
    Server::start_with(config, |settings| settings.mesh = mesh())
}

fn ask(server: &Server, token: Option<&str>, method: &str, path: &str, body: &Value) -> Answer {
    let shown = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    server.request(&format!(
        "{method} {path} HTTP/1.1\r\nHost: call.example:7443\r\n{shown}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn join(server: &Server, user: u64) -> Value {
    ask(server, None, "POST", "/api/voice/channels/5/join", &json!({"user_id": user})).json()
}

/// A member who has asked to be let in and has come by a WebSocket.
fn member(server: &Server, user: u64) -> (Person, Value) {
    let reply = join(server, user);
    let mut person = Person::new(server);
    say(&mut person, "voice:join", &json!({"channel_id": 5, "user_id": user}));
    (person, reply)
}

fn say(person: &mut Person, kind: &str, payload: &Value) {
    let text = json!({"type": kind, "payload": payload}).to_string();
    person.socket.send(Message::text(text)).expect("sent");
}

/// Waits for the next message of a kind.
fn told(person: &mut Person, kind: &str) -> Value {
    loop {
        let message = person.read();
        if message["type"] == kind {
            return message["payload"].clone();
        }
    }
}

#[test]
fn members_of_a_voice_channel_mesh_move_to_the_server_and_come_back() {
    let server = server(AuthMode::Open);
    let mut members = Vec::new();
    for user in 1..=3 {
        let (mut person, reply) = member(&server, user);
        assert_eq!((&reply["mode"], &reply["sfu_token"]), (&json!("p2p"), &json!("")), "{reply}");
        assert_eq!(reply["participant_count"], user);
        let all = told(&mut person, "voice:participants");
        assert_eq!(all["participants"].as_array().map(Vec::len), Some(user as usize));
        members.push(person);
    }
    assert_eq!(join(&server, 3)["participant_count"], 3, "coming twice changes nothing");
    say(&mut members[0], "voice:offer", &json!({"to_user_id": 2, "user_id": 1, "sdp": "v=0"}));
    assert_eq!(told(&mut members[1], "voice:offer")["sdp"], "v=0");

    let metrics = Metrics::read(&server);
    assert_eq!(
        metrics.values[r#"strait_calls{mode="p2p"}"#], 1.0,
        "nobody is in the channel's room, and it is a call"
    );
    assert_eq!(metrics.values[r#"strait_call_participants{mode="p2p"}"#], 3.0);

    let (mut fourth, reply) = member(&server, 4);
    assert_eq!((&reply["mode"], &reply["sfu_url"]), (&json!("sfu"), &json!("ws://call.example:7443")));
    let token = reply["sfu_token"].as_str().expect("a token");
    let checked =
        server.request(&format!("GET /rtc/v1/validate?access_token={token} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(checked.text(), "success", "LiveKit's clients come in by it");
    assert_eq!(join(&server, 5)["status"], "queued");
    let mut tokens = Vec::new();
    for (person, user) in members.iter_mut().zip(1..) {
        let change = told(person, "voice:mode-change");
        assert_eq!((&change["new_mode"], &change["channel_id"]), (&json!("sfu"), &json!(5)));
        tokens.push(change["sfu_token"].as_str().expect("a token").to_owned());
        say(person, "voice:mode-change-ack", &json!({"channel_id": 5, "user_id": user}));
    }
    let calls = server.request("GET /admin/v1/calls HTTP/1.1\r\nHost: localhost\r\n\r\n").json();
    assert_eq!(calls["lastHour"]["migrations"]["toSfu"], 1, "{calls}");
    assert_eq!(calls["now"]["p2p"]["calls"], 0);
    tokens.dedup();
    assert_eq!(tokens.len(), 3, "each has a token of their own");
    told(&mut fourth, "voice:participants");
    assert_eq!(join(&server, 5)["mode"], "sfu", "who has waited is in");

    let failed = json!({"error": "no ICE"});
    let answer = ask(&server, None, "POST", "/api/voice/channels/5/sfu-failed", &failed);
    assert_eq!(answer.json()["success"], true);
    let change = told(&mut members[0], "voice:mode-change");
    assert_eq!((&change["new_mode"], &change["sfu_token"]), (&json!("p2p"), &json!("")));
    let state = ask(&server, None, "GET", "/api/voice/channels/5", &Value::Null).json();
    assert_eq!(state["state"]["sfu_server_active"], false);

    let left = ask(&server, None, "POST", "/api/voice/channels/5/leave", &json!({"user_id": 4})).json();
    assert_eq!(left, json!({"success": true, "remaining_participants": 4}));
    let nowhere = ask(&server, None, "POST", "/api/voice/channels/77/leave", &json!({"user_id": 4})).json();
    assert_eq!(nowhere, json!({"success": false, "error": "Channel not found"}));
    drop(members.pop());
    assert_eq!(told(&mut members[0], "voice:leave")["user_id"], 4, "{}", "who has asked to leave");
    assert_eq!(told(&mut members[0], "voice:leave")["user_id"], 3, "and whose WebSocket has ended");
    let metrics = Metrics::read(&server);
    let moves = r#"strait_migrations_total{to="sfu",result="succeeded",reason="size"}"#;
    assert_eq!(metrics.values[moves], 1.0);
}

#[test]
fn five_hundred_join_fifty_channels_and_each_is_told_which_way_theirs_goes() {
    // Nobody comes by a WebSocket, so that a move is over when its time is.
    let mesh = MeshSettings {
        policy: MeshPolicy::Auto,
        timeout: Duration::from_millis(20),
        ..MeshSettings::default()
    };
    let voice = voice::Settings { mesh, channels_max: 50, members_max: 10, ..voice::Settings::default() };
    let server = Server::start_with(ShellConfig { voice, ..config() }, move |settings| settings.mesh = mesh);
    for user in 0..500_u64 {
        let path = format!("/api/voice/channels/{}/join", user % 50);
        let begun = Instant::now();
        let reply = loop {
            let answer = ask(&server, None, "POST", &path, &json!({"user_id": user}));
            assert_eq!(answer.status, 200, "user {user}");
            let reply = answer.json();
            if reply["status"] != "queued" {
                break reply;
            }
            assert!(begun.elapsed() < PATIENCE, "whoever waits is let in: {reply}");
        };
        let count = 1 + user / 50;
        assert_eq!(reply["participant_count"], count, "user {user}: {reply}");
        assert_eq!(reply["mode"], if count < 8 { "p2p" } else { "sfu" }, "user {user}: {reply}");
    }
}

#[test]
fn what_is_wrong_in_a_voice_channel_is_said_and_native_clients_are_left_alone() {
    let server = server(AuthMode::Open);
    for (path, body, status) in [
        ("/api/voice/channels/5/join", json!({}), 400),
        ("/api/voice/channels/5/join", Value::Null, 415),
        ("/api/voice/channels/a%2fb/join", json!({"user_id": 1}), 400),
        ("/api/voice/channels/5/sing", json!({}), 404),
        ("/api/voice/channels/5/sfu-failed", json!({"error": "x"}), 404),
        ("/api/voice/channels", json!({"id": 7}), 401),
    ] {
        assert_eq!(ask(&server, None, "POST", path, &body).status, status, "{path}");
    }
    let mut stranger = Person::new(&server);
    say(&mut stranger, "voice:mute", &json!({"muted": true}));
    assert_eq!(told(&mut stranger, "voice:error")["code"], "not-joined");
    say(&mut stranger, "voice:join", &json!({"channel_id": 5}));
    assert_eq!(told(&mut stranger, "voice:error")["code"], "bad-message");
    say(&mut stranger, "voice:join", &json!({"channel_id": 5, "user_id": "9"}));
    let joined = told(&mut stranger, "voice:joined");
    assert_eq!(joined["mode"], "p2p", "without having asked over HTTP before");
    told(&mut stranger, "voice:participants");
    let anna = Person::join(&server, Some("channel_5"), "Anna");
    assert_eq!(
        told(&mut stranger, "voice:mode-change")["new_mode"],
        "sfu",
        "a native client needs the server"
    );
    drop(anna);
}

#[test]
fn where_tokens_are_needed_they_say_who_comes_and_who_makes_channels() {
    let server = server(AuthMode::Token);
    let path = "/api/voice/channels/5/join";
    let of = |user: &str, room: &str| {
        let claims = json!({
            "iss": "team", "sub": user, "exp": now() + 60, "video": {"roomJoin": true, "room": room},
        });
        strait::access::sign(&claims, &key())
    };
    let back_end = granting(json!({"roomCreate": true, "roomAdmin": true}));
    let one = json!({"user_id": 1});
    for (token, status) in [
        (None, 401),
        (Some("nonsense".to_owned()), 401),
        (Some(of("2", "channel_5")), 403),
        (Some(of("1", "channel_6")), 403),
        (Some(of("1", "channel_5")), 200),
        (Some(back_end.clone()), 200),
    ] {
        assert_eq!(ask(&server, token.as_deref(), "POST", path, &one).status, status, "{token:?}");
    }
    let lobby = json!({"id": 6, "name": "Lobby", "type": "voice"});
    assert_eq!(ask(&server, Some(&of("1", "channel_6")), "POST", "/api/voice/channels", &lobby).status, 403);
    let made = ask(&server, Some(&back_end), "POST", "/api/voice/channels", &lobby);
    assert_eq!((made.status, &made.json()["name"]), (201, &json!("Lobby")));
    let list = "/api/voice/channels?type=voice";
    assert_eq!(ask(&server, None, "GET", list, &Value::Null).status, 401);
    let listed = ask(&server, Some(&back_end), "GET", list, &Value::Null).json();
    assert_eq!(listed["channels"].as_array().map(Vec::len), Some(1));
    assert_eq!(ask(&server, Some(&back_end), "DELETE", "/api/voice/channels/6", &Value::Null).status, 204);
    assert_eq!(ask(&server, Some(&back_end), "GET", "/api/voice/channels/6", &Value::Null).status, 404);
}

#[test]
fn native_clients_are_told_to_move_and_an_operator_can_end_a_move() {
    let server = server(AuthMode::Open);
    let mut people = Vec::new();
    for name in ["Anna", "Ben", "Cleo", "Dan"] {
        let mut person = Person::new(&server);
        let reply = person.ask("join", json!({"version": 1, "room": "standup", "name": name, "mesh": true}));
        person.joined = reply["data"].clone();
        people.push(person);
    }
    assert_eq!(people[0].joined["topology"]["mode"], "p2p");
    assert_eq!(people[3].joined["topology"]["movingTo"], "sfu", "{}", people[3].joined["topology"]);
    let (ben, anna) = (people[1].id().to_owned(), people[0].id().to_owned());
    let signal = json!({"to": ben, "description": {"type": "offer", "sdp": "v=0"}});
    assert_eq!(people[0].ask("mesh-signal", signal)["type"], "ok");
    let heard = people[1].news("mesh-signal");
    assert_eq!(heard, json!({"from": anna, "description": {"type": "offer", "sdp": "v=0"}}));
    for person in &mut people[..3] {
        let news = person.news("topology");
        assert_eq!((&news["movingTo"], &news["strategy"]), (&json!("sfu"), &json!("hard")));
        assert_eq!(person.ask("migrated", json!({"migration": 1}))["type"], "ok");
    }
    let news = people[3].news("topology");
    assert_eq!((&news["mode"], &news["movingTo"]), (&json!("sfu"), &Value::Null));
    let shown = server.request("GET /admin/v1/rooms/standup HTTP/1.1\r\nHost: localhost\r\n\r\n").json();
    assert_eq!(
        (&shown["topology"]["mode"], &shown["participants"][0]["mode"]),
        (&json!("sfu"), &json!("sfu"))
    );
    let body = r#"{"mode": "p2p"}"#;
    let reset = server.request(&format!(
        "PUT /admin/v1/rooms/standup/topology HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(reset.status, 204);
    assert_eq!(people[3].news("topology")["reason"], "reset");
    let news = people[3].news("topology");
    assert_eq!((&news["movingTo"], &news["reason"]), (&json!("p2p"), &json!("forced")));
    let metrics = Metrics::read(&server);
    assert_eq!(metrics.values[r#"strait_calls{mode="sfu"}"#], 1.0);
    assert_eq!(metrics.values["strait_calls_moving"], 1.0);
}

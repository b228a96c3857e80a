//! Tokens through the whole shell: who comes in by the native protocol, by WHIP and by WHEP, and who does not.

use std::collections::BTreeMap;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};
use str0m::media::{Direction, MediaKind};
use strait::access::{AuthMode, Gate, Key, Pass, sign};
use strait::core::command::Source;
use strait::core::grants::{Grants, Sources};
use strait::net::ShellConfig;
use tungstenite::client::IntoClientRequest;

use crate::support::back_end::now;
use crate::support::people::{Endpoint, Person};
use crate::support::whip::{Unanswered, post, request};
use crate::support::{Server, config};

fn key(id: &str) -> Key {
    Key { id: id.into(), secret: format!("the secret of {id}, which only its back end has") }
}

/// A server that lets in whoever has a token of one of two keys.
fn server() -> Server {
    let gate = Gate { mode: AuthMode::Token, keys: vec![key("first"), key("second")], auto_create: true };
    Server::start(ShellConfig { gate, ..config() })
}

/// What lets Anna into the room `r` and lets her do everything there.
fn anna() -> Pass {
    Pass {
        room: "r".parse().ok(),
        identity: "anna".into(),
        name: Some("Anna of the team".into()),
        metadata: String::new(),
        attributes: BTreeMap::new(),
        grants: Grants::OPEN,
        not_before: 0,
        expires: now() + 300,
    }
}

fn signed_by(id: &str, pass: &Pass) -> String {
    Gate { keys: vec![key(id)], ..Gate::default() }.sign(pass).expect("there is a key")
}

fn join(server: &Server, room: &str, token: Option<&str>) -> Value {
    Person::new(server).ask("join", json!({"version": 1, "room": room, "name": "Somebody", "token": token}))
}

#[test]
fn a_token_of_any_key_lets_its_bearer_in_and_names_them() {
    let server = server();
    for id in ["first", "second"] {
        let joined = join(&server, "r", Some(&signed_by(id, &anna())));
        assert_eq!(
            (&joined["type"], &joined["data"]["name"]),
            (&json!("joined"), &json!("Anna of the team"))
        );
    }
    let grants = Grants { publish: Sources::of(&[Source::Microphone]), send_data: false, ..Grants::OPEN };
    let joined = join(&server, "r", Some(&signed_by("first", &Pass { grants, ..anna() })));
    let permissions = json!({"publish": ["microphone"], "subscribe": true, "sendData": false, "updateOwnProfile": true,
            "moderate": false, "hidden": false});
    assert_eq!(joined["data"]["permissions"], permissions);
    assert_eq!((&joined["data"]["identity"], &joined["data"]["role"]), (&json!("anna"), &json!("speaker")));
}

#[test]
fn whoever_has_no_token_that_opens_the_room_stays_out_and_is_told_why() {
    let server = server();
    let none = "eyJhbGciOiJub25lIn0.e30.";
    let cases = [
        ("r", None, "needed"),
        ("r", Some(none.to_owned()), "HS256"),
        ("r", Some("nonsense".to_owned()), "no JSON Web Token"),
        ("r", Some(signed_by("third", &anna())), "iss"),
        ("r", Some(signed_by("first", &Pass { expires: now() - 61, ..anna() })), "expired"),
        ("r", Some(signed_by("first", &Pass { not_before: now() + 90, ..anna() })), "not valid yet"),
        ("other", Some(signed_by("first", &anna())), "another room: r"),
    ];
    for (room, token, why) in cases {
        let refused = join(&server, room, token.as_deref());
        assert_eq!(refused["data"]["code"], "unauthorized", "{refused}");
        assert!(
            refused["data"]["message"].as_str().is_some_and(|message| message.contains(why)),
            "{refused}"
        );
    }
    let forger =
        Gate { keys: vec![Key { id: "first".into(), secret: key("third").secret }], ..Gate::default() };
    let forged = forger.sign(&anna()).expect("there is a key");
    let refused = join(&server, "r", Some(&forged));
    assert!(
        refused["data"]["message"].as_str().is_some_and(|message| message.contains("signature")),
        "{refused}"
    );
    assert_eq!(server.get("/health").json()["participants"], 0, "nobody came in");
}

#[test]
fn a_token_in_the_request_is_read_before_the_web_socket_is_accepted() {
    let server = server();
    let open = |path: &str, bearer: Option<&str>| {
        let mut request = format!("ws://{}{path}", server.address).into_client_request().expect("a request");
        if let Some(bearer) = bearer {
            let field = format!("Bearer {bearer}").parse().expect("a field");
            request.headers_mut().insert("Authorization", field);
        }
        tungstenite::client(request, server.connect()).ok().map(|(socket, _)| socket)
    };
    let token = signed_by("first", &anna());
    assert!(open("/ws", Some("nonsense")).is_none() && open("/ws?access_token=nonsense", None).is_none());
    for socket in [open("/ws", Some(&token)), open(&format!("/ws?access_token={token}"), None)] {
        let socket = socket.expect("the upgrade is accepted");
        let mut person = Person { socket, joined: Value::Null, requests: 0, news: Vec::new() };
        let joined = person.ask("join", json!({"version": 1, "name": "Somebody"}));
        assert_eq!(joined["data"]["room"], "r", "the token says which room: {joined}");
    }
    let head = format!(
        "GET /ws?access_token=nonsense HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n",
        server.address
    );
    let answer = server.request(&head);
    assert_eq!((answer.status, answer.json()["action"].is_string()), (401, true));
}

#[test]
fn a_token_that_runs_out_is_replaced_while_the_call_goes_on() {
    let gate = Gate { mode: AuthMode::Token, keys: vec![key("first")], auto_create: true };
    let ping = Duration::from_millis(100);
    let server = Server::start(ShellConfig { gate, websocket_ping_interval: ping, ..config() });
    let mut person = Person::new(&server);
    let token = signed_by("first", &Pass { expires: now() + 1, ..anna() });
    let joined = person.ask("join", json!({"version": 1, "name": "Anna", "token": token}));
    assert_eq!(joined["type"], "joined");
    let renewed = person.news("token");
    assert!(renewed["expiresAt"].as_u64().is_some_and(|until| until >= now() + 300), "{renewed}");
    let again = join(&server, "r", renewed["token"].as_str());
    assert_eq!((&again["type"], &again["data"]["name"]), (&json!("joined"), &json!("Anna of the team")));
}

#[test]
fn what_a_moderator_allows_in_their_room_is_allowed_in_no_other() {
    let gate = Gate { mode: AuthMode::Token, keys: vec![key("first")], auto_create: true };
    let ping = Duration::from_millis(100);
    let server = Server::start(ShellConfig { gate, websocket_ping_interval: ping, ..config() });
    let join = |room: &str, pass: &Pass| {
        let mut person = Person::new(&server);
        let token = signed_by("first", pass);
        person.joined = person.ask("join", json!({"version": 1, "room": room, "name": "x", "token": token}))
            ["data"]
            .clone();
        person
    };
    let mut moderator = join("r", &Pass { grants: Grants { moderate: true, ..Grants::OPEN }, ..anna() });
    // Cleo's token opens every room, and moderates none.
    let everywhere = Pass { room: None, identity: "cleo".into(), ..anna() };
    let mut cleo = join("r", &everywhere);
    let change = json!({"participantId": cleo.id(), "moderate": true});
    assert_eq!(moderator.ask("set-permissions", change)["type"], "ok");
    let renewed = cleo.news("token");
    let token = renewed["token"].as_str().expect("a token");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let of = |room: &str| {
        request(&server, "GET", &format!("/api/v1/rooms/{room}/participants"), &bearer, "").status
    };
    assert_eq!(of("r"), 200);
    let _others = join("board", &anna_of("board"));
    assert_eq!(of("board"), 403, "it is another's room");
}

fn anna_of(room: &str) -> Pass {
    Pass { room: room.parse().ok(), ..anna() }
}

#[test]
fn whoever_comes_back_by_their_secret_is_sent_a_new_token_as_well() {
    let gate = Gate { mode: AuthMode::Token, keys: vec![key("first")], auto_create: true };
    let ping = Duration::from_millis(100);
    let server = Server::start(ShellConfig { gate, websocket_ping_interval: ping, ..config() });
    let joined = {
        let mut person = Person::new(&server);
        person.ask("join", json!({"version": 1, "name": "Anna", "token": signed_by("first", &anna())}))
    };
    let data = &joined["data"];
    let mut back = Person::new(&server);
    let who =
        json!({"version": 1, "room": "r", "participantId": data["participantId"], "secret": data["secret"]});
    assert_eq!(back.ask("resume", who)["type"], "resumed");
    let renewed = back.news("token");
    let again = join(&server, "r", renewed["token"].as_str());
    assert_eq!((&again["type"], &again["data"]["identity"]), (&json!("joined"), &json!("anna")));
    // They are the same person, from another window.
    assert_eq!(back.news("closing")["reason"], "duplicate-identity");
}

#[test]
fn whip_and_whep_take_the_same_tokens() {
    let server = server();
    let may = |grants: Grants| {
        format!("Authorization: Bearer {}\r\n", signed_by("first", &Pass { grants, ..anna() }))
    };
    let viewer = may(Grants { publish: Sources::NONE, ..Grants::OPEN });
    let speaker = may(Grants { subscribe: false, ..Grants::OPEN });
    let unanswered = Unanswered::new(&[MediaKind::Audio], Direction::SendOnly);
    let status = |path: &str, fields: &str| post(&server, path, &unanswered.offer, fields).status;
    assert_eq!(status("/whip/r", ""), 401);
    assert_eq!(status("/whip/r", "Authorization: Bearer nonsense\r\n"), 401);
    assert_eq!(status("/whip/r", &viewer), 403);
    assert_eq!(status("/whep/r", &speaker), 403);
    assert_eq!(status("/whip/other", &speaker), 401, "a token for another room");
    assert_eq!(status("/whip/r", &speaker), 201);
}

/// The claims of somebody who may do everything in the room `r`, in LiveKit's form and in the plain one.
fn both_forms() -> [Value; 2] {
    let video = json!({"roomJoin": true, "room": "r", "roomAdmin": true});
    let permissions = json!(["produce", "consume", "moderate"]);
    [
        json!({"iss": "first", "sub": "anna", "exp": now() + 60, "video": video}),
        json!({"iss": "first", "userId": "anna", "roomId": "r", "exp": now() + 60, "permissions": permissions}),
    ]
}

/// Claims of one of the forms with a time changed.
fn at(claims: &Value, name: &str, time: u64) -> Value {
    let mut claims = claims.clone();
    claims[name] = json!(time);
    claims
}

/// What a token leads to by each way into the server: the code of the refusal of a join, and the statuses of the upgrade to a
/// WebSocket, of WHIP, of WHEP and of the API.
fn by_each_way(server: &Server, token: &str, room: &str) -> (Option<String>, [u16; 4]) {
    let joined = join(server, room, Some(token));
    let code = joined["data"]["code"].as_str().map(str::to_owned);
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{bearer}\r\n",
        server.address
    );
    let offered = |direction| Unanswered::new(&[MediaKind::Audio], direction).offer;
    let statuses = [
        server.request(&upgrade).status,
        post(server, &format!("/whip/{room}"), &offered(Direction::SendOnly), &bearer).status,
        post(server, &format!("/whep/{room}"), &offered(Direction::RecvOnly), &bearer).status,
        request(server, "GET", &format!("/api/v1/rooms/{room}/participants"), &bearer, "").status,
    ];
    (code, statuses)
}

#[test]
fn tokens_of_each_form_open_every_way_in_and_bad_ones_none() {
    let server = server();
    let _somebody = Person::new(&server).ask(
        "join",
        json!({"version": 1, "room": "r", "name": "Ben",
        "token": signed_by("second", &Pass { identity: "ben".into(), ..anna() })}),
    );
    let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    for claims in both_forms() {
        let good = sign(&claims, &key("first"));
        assert_eq!(by_each_way(&server, &good, "r"), (None, [101, 201, 201, 200]), "{claims}");
        let bad = [
            ("no token", "nonsense".to_owned()),
            ("signed by another key", sign(&claims, &key("third"))),
            ("not signed", format!("{}.{}.", part(&json!({"alg": "none", "typ": "JWT"})), part(&claims))),
            ("expired", sign(&at(&claims, "exp", now() - 61), &key("first"))),
            ("not valid yet", sign(&at(&claims, "nbf", now() + 90), &key("first"))),
        ];
        for (what, token) in bad {
            let refused = (Some("unauthorized".to_owned()), [401; 4]);
            assert_eq!(by_each_way(&server, &token, "r"), refused, "{what}: {claims}");
        }
        // A WebSocket names no room before somebody joins by it; the API knows who asks, and that they may not.
        let elsewhere = (Some("unauthorized".to_owned()), [101, 401, 401, 403]);
        assert_eq!(by_each_way(&server, &good, "other"), elsewhere, "for another room: {claims}");
    }
}

#[test]
fn nobody_does_anything_to_the_track_of_another() {
    let server = server();
    let joins = |identity: &str, room: &str| {
        let pass = Pass { identity: identity.into(), room: room.parse().ok(), ..anna() };
        let mut person = Person::new(&server);
        let token = signed_by("first", &pass);
        let joined = person.ask("join", json!({"version": 1, "name": identity, "token": token}));
        assert_eq!(joined["type"], "joined", "{joined}");
        person.joined = joined["data"].clone();
        person
    };
    let mut anna = joins("anna", "r");
    let _microphone = Endpoint::connect(&mut anna, true);
    let mut ben = joins("ben", "r");
    let track = ben.joined["participants"][0]["tracks"][0]["trackId"].clone();
    assert!(track.is_string(), "{}", ben.joined);
    for (asked, code) in
        [("mute", "unknown-track"), ("mute-track", "not-permitted"), ("stop-track", "not-permitted")]
    {
        let answer = ben.ask(asked, json!({"trackId": track, "muted": true}));
        assert_eq!(answer["data"]["code"], code, "{asked}: {answer}");
    }
    let _cleo = joins("cleo", "other");
    let video = json!({"roomAdmin": true, "room": "other"});
    let token =
        sign(&json!({"iss": "first", "sub": "back-end", "exp": now() + 60, "video": video}), &key("first"));
    let bearer = format!("Authorization: Bearer {token}\r\n");
    for (room, status) in [("other", 404), ("r", 403)] {
        let path = format!("/api/v1/rooms/{room}/tracks/{}", track.as_str().unwrap_or_default());
        assert_eq!(request(&server, "DELETE", &path, &bearer, "").status, status, "{room}");
    }
}

#[test]
fn the_page_is_told_whether_anybody_may_join() {
    let open = Server::start(config());
    assert_eq!(open.get("/").field("strait-auth"), "open");
    assert_eq!(server().get("/").find("strait-auth"), None);
}

//! LiveKit's signalling through the whole shell: who comes in and who does not, and what they are told first. Media is for the
//! browsers' tests, where the unmodified client speaks.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};
use strait::access::{AuthMode, Gate, Key, Pass};
use strait::core::grants::Grants;
use strait::net::ShellConfig;
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use crate::support::back_end::{gate, granting, key, now};
use crate::support::people::Person;
use crate::support::{Server, config};

/// The first bytes of messages: the field in which they are.
const JOIN: &[u8] = &[0x0a];
const LEAVE: &[u8] = &[0x42];
const UPDATE: &[u8] = &[0x2a];
const PONG: &[u8] = &[0x90, 0x01];
const REFRESH_TOKEN: &[u8] = &[0x82, 0x01];
const RECONNECT: &[u8] = &[0x9a, 0x01];

fn server(mode: AuthMode) -> Server {
    Server::start(ShellConfig {
        gate: gate(mode),
        websocket_ping_interval: Duration::from_millis(100),
        ..config()
    })
}

fn pass(identity: &str) -> Pass {
    Pass {
        room: "standup".parse().ok(),
        identity: identity.into(),
        name: None,
        metadata: String::new(),
        attributes: BTreeMap::new(),
        grants: Grants::OPEN,
        not_before: 0,
        expires: now() + 600,
    }
}

fn signed_by(key: Key, pass: &Pass) -> String {
    Gate { keys: vec![key], ..Gate::default() }.sign(pass).expect("there is a key")
}

fn token(identity: &str) -> String {
    signed_by(key(), &pass(identity))
}

/// A token that somebody else has signed.
fn foreign(identity: &str) -> String {
    signed_by(Key { id: "devkey".into(), secret: "secret".into() }, &pass(identity))
}

fn open(server: &Server, path: &str, bearer: Option<&str>) -> Option<WebSocket<TcpStream>> {
    let mut request = format!("ws://{}{path}", server.address).into_client_request().expect("a request");
    // Pages of any origin may, because none without a token can.
    request.headers_mut().insert("Origin", "https://app.example".parse().expect("a field"));
    if let Some(bearer) = bearer {
        let field = format!("Bearer {bearer}").parse().expect("a field");
        request.headers_mut().insert("Authorization", field);
    }
    tungstenite::client(request, server.connect()).ok().map(|(socket, _)| socket)
}

fn next(socket: &mut WebSocket<TcpStream>) -> Vec<u8> {
    loop {
        match socket.read().expect("a message") {
            Message::Binary(bytes) => return bytes.to_vec(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Reads up to a message of that kind.
fn until(socket: &mut WebSocket<TcpStream>, kind: &[u8]) -> Vec<u8> {
    loop {
        let message = next(socket);
        if message.starts_with(kind) {
            return message;
        }
    }
}

/// The first id of a participant in a message.
fn sid(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let at = text.find("PA_").expect("it names somebody");
    text[at..at + 16].to_owned()
}

/// The request to take up a participant, as a parameter of an address.
fn resuming(sid: &str) -> String {
    let request = [&[0x38, 1, 0x4a, sid.len() as u8][..], sid.as_bytes()].concat();
    Base64UrlUnpadded::encode_string(&[&[0x12, request.len() as u8][..], &request].concat())
}

/// The room's id as a back end knows it, by webhooks and the API.
fn room_sid(server: &Server) -> String {
    let token = granting(json!({"roomAdmin": true, "room": "standup"}));
    let path = "GET /api/v1/rooms/standup HTTP/1.1\r\nHost: a\r\n";
    let answer = server.request(&format!("{path}Authorization: Bearer {token}\r\n\r\n")).text();
    let room: Value = serde_json::from_str(&answer).expect("JSON");
    let sid = room["sid"].as_str().unwrap_or_default().to_owned();
    assert!(sid.starts_with("RM_"), "{room}");
    sid
}

#[test]
fn whoever_has_a_token_is_welcomed_and_told_of_the_others() {
    let server = server(AuthMode::Token);
    let mut native = Person::new(&server);
    let joined = native.ask("join", json!({"version": 1, "name": "Ben", "token": token("ben")}));
    assert_eq!(joined["type"], "joined");
    let by_query = open(&server, &format!("/rtc/v1?access_token={}", token("anna")), None);
    let mut anna = by_query.expect("a browser shows it in the address");
    let welcome = next(&mut anna);
    assert!(welcome.starts_with(JOIN), "{welcome:x?}");
    let text = String::from_utf8_lossy(&welcome);
    let room = room_sid(&server);
    assert!(["standup", "anna", "ben", "PA_", &room].iter().all(|word| text.contains(word)), "{text}");
    assert_eq!(native.news("participant-joined")["identity"], "anna");
    let mut cleo = open(&server, "/rtc/v1", Some(&token("cleo"))).expect("a program shows it in a field");
    assert!(next(&mut cleo).starts_with(JOIN));
    let update = until(&mut anna, UPDATE);
    assert!(String::from_utf8_lossy(&update).contains("cleo"));
    // ping: 5
    anna.send(Message::binary(vec![0x70, 5])).expect("it is open");
    assert_eq!(until(&mut anna, PONG), [PONG, &[5]].concat());
    // leave
    cleo.send(Message::binary(vec![0x42, 0])).expect("it is open");
    assert!(String::from_utf8_lossy(&until(&mut anna, UPDATE)).contains("cleo"));
}

#[test]
fn whoever_has_none_is_refused_before_the_web_socket_and_told_why_by_validate() {
    let server = server(AuthMode::Token);
    let no_room = signed_by(key(), &Pass { room: None, ..pass("anna") });
    let old = signed_by(key(), &Pass { expires: now() - 61, ..pass("anna") });
    let foreign = foreign("anna");
    let cases =
        [("", "no JSON"), ("nonsense", "no JSON"), (&foreign, "iss"), (&old, "expired"), (&no_room, "room")];
    for (token, why) in cases {
        assert!(open(&server, &format!("/rtc/v1?access_token={token}"), None).is_none(), "{why}");
        let answer = server.get(&format!("/rtc/v1/validate?access_token={token}"));
        assert_eq!(
            (answer.status, answer.field("access-control-allow-origin")),
            (401, "*"),
            "{}",
            answer.text()
        );
        assert!(answer.text().contains(why), "{}", answer.text());
    }
    let good = token("anna");
    let answer = server.get(&format!("/rtc/v1/validate?access_token={good}"));
    assert_eq!((answer.status, answer.text().as_str()), (200, "success"));
    let answer = server.get(&format!("/rtc/v1/validate?access_token={good}&join_request=CAMSAA"));
    assert_eq!(answer.status, 400, "{}", answer.text());
    let asked = format!(
        "OPTIONS /rtc/v1/validate HTTP/1.1\r\nHost: {}\r\nOrigin: https://app.example\r\nConnection: close\r\n\r\n",
        server.address
    );
    let answer = server.request(&asked);
    assert_eq!((answer.status, answer.field("access-control-allow-headers")), (204, "*"));
    assert_eq!(server.get("/health").json()["participants"], 0, "nobody came in");
}

#[test]
fn where_no_token_is_needed_one_still_says_who_and_where_whoever_has_signed_it() {
    let server = server(AuthMode::Open);
    assert!(open(&server, "/rtc/v1", None).is_none(), "nobody has a name and a room without one");
    let admin = Grants { moderate: true, hidden: true, ..Grants::OPEN };
    let token = signed_by(
        Key { id: "devkey".into(), secret: "secret".into() },
        &Pass { grants: admin, ..pass("anna") },
    );
    let mut anna = open(&server, &format!("/rtc/v1?access_token={token}"), None).expect("she comes in");
    let welcome = next(&mut anna);
    let rooms = server.get("/admin/v1/rooms/standup").json();
    let person = &rooms["participants"][0];
    let told = (&person["identity"], &person["role"], &person["hidden"]);
    assert_eq!(told, (&json!("anna"), &json!("speaker"), &json!(false)), "no more than everybody may");
    // Whoever nobody vouches for could be anybody.
    drop(anna);
    let again = format!("/rtc/v1?access_token={token}&join_request={}", resuming(&sid(&welcome)));
    assert!(next(&mut open(&server, &again, None).expect("it is opened")).starts_with(LEAVE));
}

#[test]
fn whoever_comes_back_by_their_token_is_the_same_and_nobody_else_is() {
    let server = server(AuthMode::Token);
    let mut anna = open(&server, "/rtc/v1", Some(&token("anna"))).expect("she comes in");
    let sid = sid(&next(&mut anna));
    drop(anna);
    let path = format!("/rtc/v1?join_request={}", resuming(&sid));
    let mut ben = open(&server, &path, Some(&token("ben"))).expect("it is opened");
    assert!(next(&mut ben).starts_with(LEAVE), "he is told to join anew");
    let mut back = open(&server, &path, Some(&token("anna"))).expect("it is opened");
    assert!(next(&mut back).starts_with(RECONNECT));
    let update = next(&mut back);
    assert!(update.starts_with(UPDATE) && String::from_utf8_lossy(&update).contains(&sid));
    assert_eq!(server.get("/health").json()["participants"], 1);
}

#[test]
fn a_token_that_runs_out_is_replaced_and_a_second_connection_ends_the_first() {
    let server = server(AuthMode::Token);
    let short = signed_by(key(), &Pass { expires: now() + 1, ..pass("anna") });
    let mut first = open(&server, "/rtc/v1", Some(&short)).expect("she comes in");
    let message = until(&mut first, REFRESH_TOKEN);
    let renewed = String::from_utf8_lossy(&message[4..]).into_owned();
    let mut second = open(&server, "/rtc/v1", Some(&renewed)).expect("the new one is good");
    assert!(next(&mut second).starts_with(JOIN));
    let leave = until(&mut first, LEAVE);
    // reason: DUPLICATE_IDENTITY
    assert!(leave.windows(2).any(|pair| pair == [0x10, 2]), "{leave:x?}");
}

#[test]
fn whoever_sends_nonsense_is_passed_over_and_then_cut() {
    let server = server(AuthMode::Token);
    let mut anna = open(&server, "/rtc/v1", Some(&token("anna"))).expect("she comes in");
    next(&mut anna);
    anna.send(Message::text("{}")).expect("it is open");
    anna.send(Message::binary(vec![0x70, 9])).expect("it is open");
    assert_eq!(until(&mut anna, PONG), [PONG, &[9]].concat(), "one message is forgiven");
    for _ in 0..300 {
        if anna.send(Message::binary(vec![0xff; 8])).is_err() {
            break;
        }
    }
    let leave = until(&mut anna, LEAVE);
    assert!(!leave.is_empty());
    assert_eq!(server.get("/health").status, 200);
}

//! `/api/v1` through the whole shell: what a back end may ask by which token, what it is answered, and what becomes of it.

use serde_json::{Value, json};
use strait::access::{Key, sign};

use crate::admin_reference::{assert_described, faults};
use crate::support::back_end::{granting, key, now, open_server as server};
use crate::support::people::{Endpoint, Person, until};
use crate::support::whip::publisher;
use crate::support::{Answer, Server};

fn everything() -> String {
    granting(json!({"roomList": true, "roomCreate": true, "roomAdmin": true}))
}

fn ask_with(server: &Server, token: &str, method: &str, path: &str, body: &str) -> Answer {
    let length = body.len();
    // An operator on this machine shows no token.
    let host = if path.starts_with("/admin/") { "localhost" } else { "a" };
    let shown = if path.starts_with("/admin/") {
        String::new()
    } else {
        format!("Authorization: Bearer {token}\r\n")
    };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    server.request(&format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{shown}{kind}Content-Length: {length}\r\n\r\n{body}"
    ))
}

fn ask(server: &Server, method: &str, path: &str, body: &str) -> Answer {
    ask_with(server, &everything(), method, path, body)
}

fn reference() -> Value {
    serde_json::from_str(include_str!("../../docs/api-v1.openapi.json")).expect("JSON")
}

#[test]
fn what_the_api_answers_is_what_its_reference_says() {
    let reference = reference();
    let server = server();
    let mut studio = publisher(&server, "/whip/standup");
    until(&mut [&mut studio.endpoint], "connected", |all| all[0].rtc.is_connected());
    let anna = Person::join(&server, Some("standup"), "Anna");
    let path = format!("/api/v1/rooms/standup/participants/{}", anna.id());
    let sid = path.replace("/p-", "/PA_");
    let token =
        r#"{"room": "standup", "identity": "ben", "name": "Ben", "publish": ["camera"], "validSeconds": 60}"#;
    let one = "/api/v1/rooms/{room}/participants/{participant}";
    let measured = "/api/v1/rooms/{room}/participants/{participant}/stats";
    let nobody = "/api/v1/rooms/standup/participants/p-0000000000000";
    for (method, pattern, path, body, status) in [
        ("GET", "/api/v1/rooms", "/api/v1/rooms", "", 200),
        ("GET", "/api/v1/rooms/{room}", "/api/v1/rooms/standup", "", 200),
        ("GET", "/api/v1/rooms/{room}", "/api/v1/rooms/nowhere", "", 404),
        ("GET", "/api/v1/rooms/{room}/stats", "/api/v1/rooms/standup/stats", "", 200),
        ("GET", "/api/v1/rooms/{room}/participants", "/api/v1/rooms/standup/participants", "", 200),
        ("GET", one, &path, "", 200),
        ("GET", one, &sid, "", 200),
        ("GET", one, nobody, "", 404),
        ("GET", measured, &format!("{path}/stats"), "", 200),
        ("POST", "/api/v1/tokens", "/api/v1/tokens", token, 201),
        ("POST", "/api/v1/tokens", "/api/v1/tokens", "{}", 400),
        ("GET", "/api/v1/usage", "/api/v1/usage", "", 200),
        ("DELETE", one, &path, "", 204),
        ("DELETE", one, &path, "", 404),
        ("DELETE", "/api/v1/rooms/{room}", "/api/v1/rooms/standup", "", 204),
        ("DELETE", "/api/v1/rooms/{room}", "/api/v1/rooms/standup", "", 404),
    ] {
        let answer = ask(&server, method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert_described(&reference, method, pattern, status, &answer.text());
    }
}

#[test]
fn who_has_no_token_for_it_is_told_as_the_reference_says() {
    let reference = reference();
    let server = server();
    let _anna = Person::join(&server, Some("standup"), "Anna");
    let list = granting(json!({"roomList": true}));
    let retro = granting(json!({"roomAdmin": true, "room": "retro"}));
    let over = sign(&json!({"iss": "team", "exp": now() - 61, "video": {"roomList": true}}), &key());
    let forged = sign(
        &json!({"iss": "team", "exp": now() + 60, "video": {"roomList": true}}),
        &Key { secret: "another secret, which nobody knows".into(), ..key() },
    );
    for (token, pattern, path, status, word) in [
        ("nonsense", "/api/v1/rooms", "/api/v1/rooms", 401, "no JSON Web Token"),
        (over.as_str(), "/api/v1/rooms", "/api/v1/rooms", 401, "expired"),
        (&forged, "/api/v1/rooms", "/api/v1/rooms", 401, "signature"),
        (&list, "/api/v1/rooms/{room}", "/api/v1/rooms/standup", 403, "roomAdmin"),
        (&retro, "/api/v1/rooms/{room}", "/api/v1/rooms/standup", 403, "standup"),
        (&retro, "/api/v1/rooms", "/api/v1/rooms", 403, "roomList"),
    ] {
        let answer = ask_with(&server, token, "GET", path, "");
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.text().contains(word), "{}", answer.text());
        assert_described(&reference, "GET", pattern, status, &answer.text());
    }
    for (method, path) in
        [("POST", "/api/v1/rooms"), ("DELETE", "/api/v1/rooms/standup"), ("GET", "/api/v1/usage")]
    {
        let refused = ask_with(&server, &retro, method, path, "");
        assert_eq!(refused.status, 403, "{method} {path}: {}", refused.text());
    }
    assert_eq!(server.get("/api/v1/rooms").status, 401, "nobody asks without a token, from here neither");
    let ended = ask_with(&server, &retro, "DELETE", "/api/v1/rooms/standup", "");
    assert_eq!(ended.status, 403, "{}", ended.text());
}

#[test]
fn bodies_that_are_not_as_described_are_refused_with_what_is_wrong() {
    let reference = reference();
    let server = server();
    for (body, word) in [
        (r#"{"room": "a b", "identity": "x"}"#, "room"),
        (r#"{"room": "a", "identity": ""}"#, "identity"),
        (r#"{"room": "a", "identity": 7}"#, "identity"),
        (r#"{"room": "a", "identity": "x", "publish": "all"}"#, "publish"),
        (r#"{"room": "a", "identity": "x", "publish": ["nose"]}"#, "publish"),
        (r#"{"room": "a", "identity": "x", "subscribe": 1}"#, "subscribe"),
        (r#"{"room": "a", "identity": "x", "validSeconds": 86401}"#, "validSeconds"),
        (r#"{"room": "a", "identity": "x", "colour": "red"}"#, "colour"),
        (r#"["room"]"#, "object"),
        (r#"{"room":"#, "JSON"),
    ] {
        let answer = ask(&server, "POST", "/api/v1/tokens", body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert!(answer.text().contains(word), "{body}: {}", answer.text());
        assert_described(&reference, "POST", "/api/v1/tokens", 400, &answer.text());
    }
    let form = format!(
        "POST /api/v1/tokens HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Length: 2\r\n\r\n{{}}",
        everything()
    );
    assert_eq!(server.request(&form).status, 415, "what a web page can send without asking is not JSON");
    for (method, path) in
        [("GET", "/api/v2/rooms"), ("GET", "/api/v1/rooms/a/b/c/d"), ("PATCH", "/api/v1/rooms")]
    {
        let answer = ask(&server, method, path, "");
        assert!(matches!(answer.status, 404 | 405), "{method} {path}");
        let mut found = Vec::new();
        faults(
            &reference,
            &reference["components"]["schemas"]["Problem"],
            &answer.json(),
            "the answer",
            &mut found,
        );
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn a_token_that_was_issued_lets_its_bearer_in_as_it_says() {
    let server = server();
    let new = r#"{"room": "standup", "identity": "anna", "name": "Anna", "publish": ["microphone"], "sendData": false}"#;
    let admin = granting(json!({"roomAdmin": true, "room": "standup"}));
    let issued = ask_with(&server, &admin, "POST", "/api/v1/tokens", new).json();
    assert!(issued["expiresUnix"].as_u64().is_some_and(|at| at > now() + 240), "{issued}");
    let joined = Person::new(&server)
        .ask("join", json!({"version": 1, "room": "standup", "token": issued["token"], "name": "x"}));
    assert_eq!(joined["data"]["name"], "Anna", "{joined}");
    assert_eq!(joined["data"]["permissions"]["publish"], json!(["microphone"]));
    assert_eq!(joined["data"]["permissions"]["sendData"], false);
    // Whoever may do as they like in one room cannot make their power last, or give it to others.
    let moderator = r#"{"room": "standup", "identity": "anna", "moderate": true}"#;
    assert_eq!(ask_with(&server, &admin, "POST", "/api/v1/tokens", moderator).status, 403);
    assert_eq!(ask(&server, "POST", "/api/v1/tokens", moderator).status, 201);
}

#[test]
fn what_a_room_has_used_is_still_known_when_it_is_over() {
    let server = server();
    let mut anna = Person::join(&server, Some("standup"), "Anna");
    let mut ben = Person::join(&server, Some("standup"), "Ben");
    let (mut speaker, mut listener) =
        (Endpoint::connect(&mut anna, true), Endpoint::connect(&mut ben, false));
    until(&mut [&mut speaker, &mut listener], "connected", |all| {
        all.iter().all(|one| one.rtc.is_connected())
    });
    let mut sequence = 1000;
    while listener.received < 10 {
        speaker.speak(sequence);
        sequence += 1;
        speaker.step();
        listener.step();
    }
    let usage = |server: &Server| ask(server, "GET", "/api/v1/usage", "").json()["rooms"][0].clone();
    let during = usage(&server);
    assert_eq!(
        (&during["room"], &during["isActive"], &during["joins"]),
        (&json!("standup"), &json!(true), &json!(2))
    );
    assert!(during["bytesIn"].as_u64() >= Some(600) && during["bytesOut"].as_u64() >= Some(600), "{during}");
    assert_eq!(ask(&server, "DELETE", "/api/v1/rooms/standup", "").status, 204);
    let after = usage(&server);
    assert_eq!(
        (&after["isActive"], &after["sessions"], &after["participantsMax"]),
        (&json!(false), &json!(1), &json!(2))
    );
    for figure in ["bytesIn", "bytesOut", "participantMinutes"] {
        assert!(after[figure].as_f64() >= during[figure].as_f64(), "{figure}: {during} {after}");
    }
}

/// Every operation on rooms and those in them, for the API and for operators, who may do all of it.
fn operate_by(folder: &str, reference: &Value) {
    let server = server();
    let ask = |method: &str, path: &str, body: &str| ask(&server, method, &format!("{folder}{path}"), body);
    let check = |method: &str, pattern: &str, path: &str, body: &str, status: u16| {
        let answer = ask(method, path, body);
        assert_eq!(answer.status, status, "{method} {folder}{path} {body}: {}", answer.text());
        assert_described(reference, method, &format!("{folder}{pattern}"), status, &answer.text());
        answer
    };
    let token = |identity: &str| {
        let video = json!({"roomJoin": true, "room": "standup"});
        sign(&json!({"iss": "team", "sub": identity, "exp": now() + 60, "video": video}), &key())
    };
    let join = |identity: &str| {
        let mut person = Person::new(&server);
        let data = json!({"version": 1, "room": "standup", "name": identity, "token": token(identity)});
        let reply = person.ask("join", data);
        person.joined = reply["data"].clone();
        (person, reply)
    };
    // A room is made ahead of time, and opened.
    let new = r#"{"room": "standup", "maxParticipants": 3, "metadata": "daily", "locked": true}"#;
    check("POST", "/rooms", "/rooms", new, 201);
    let (_, refused) = join("anna");
    assert_eq!(refused["data"]["code"], "room-locked", "{refused}");
    check("PATCH", "/rooms/{room}", "/rooms/standup", r#"{"locked": false}"#, 204);
    check("POST", "/rooms", "/rooms", r#"{"room": "audio", "codecs": ["opus"], "record": "never"}"#, 201);
    check("POST", "/rooms", "/rooms", r#"{"room": "audio", "codecs": ["theora"]}"#, 400);
    check("POST", "/rooms", "/rooms", r#"{"room": "audio", "record": "sometimes"}"#, 400);
    let always = check("POST", "/rooms", "/rooms", r#"{"room": "board", "record": "always"}"#, 409);
    assert!(always.text().contains("no place for traces"), "{}", always.text());
    check("PATCH", "/rooms/{room}", "/rooms/standup", r#"{"maxParticipants": 0}"#, 400);
    check("PATCH", "/rooms/{room}", "/rooms/nowhere", r#"{"locked": true}"#, 404);
    let (mut anna, _) = join("anna");
    let _microphone = Endpoint::connect(&mut anna, true);
    let (mut ben, joined) = join("ben");
    let track =
        joined["data"]["participants"][0]["tracks"][0]["trackId"].as_str().expect("a track").to_owned();
    // Somebody is muted, renamed, and told what they may do; their track is ended.
    let (one_track, tracks) = (format!("/rooms/standup/tracks/{track}"), "/rooms/{room}/tracks/{track}");
    check("PATCH", tracks, &one_track, r#"{"muted": true}"#, 204);
    assert_eq!(ben.news("track-muted")["muted"], true);
    check("PATCH", tracks, &one_track, r#"{"muted": false}"#, 400);
    check("PATCH", tracks, "/rooms/standup/tracks/t-0000000000000", r#"{"muted": true}"#, 404);
    let (by_identity, one) = ("/rooms/standup/participants/anna", "/rooms/{room}/participants/{participant}");
    check("PATCH", one, by_identity, r#"{"name": "Anna B.", "subscribe": false}"#, 204);
    assert_eq!(ben.news("participant-updated")["name"], "Anna B.");
    assert_eq!(anna.news("permissions-changed")["permissions"]["subscribe"], false);
    check("PATCH", one, by_identity, "{}", 400);
    check("DELETE", tracks, &one_track.replace("/t-", "/TR_"), "", 204);
    assert_eq!(ben.news("track-removed")["trackId"], track.as_str());
    // Somebody is banned, and let in again.
    let bans = ("/rooms/{room}/bans", "/rooms/standup/bans");
    check("POST", bans.0, bans.1, r#"{"participant": "ben", "seconds": 600}"#, 204);
    assert_eq!(join("ben").1["data"]["code"], "banned");
    let listed = check("GET", bans.0, bans.1, "", 200).json();
    assert_eq!(
        (&listed["bans"][0]["identity"], listed["bans"].as_array().map(Vec::len)),
        (&json!("ben"), Some(1))
    );
    check("DELETE", "/rooms/{room}/bans/{identity}", "/rooms/standup/bans/ben", "", 204);
    check("DELETE", bans.0, bans.1, "", 204);
    // So can somebody be of a room that is not there.
    check("POST", bans.0, "/rooms/retro/bans", r#"{"participant": "ben", "seconds": 600}"#, 204);
    let listed = check("GET", bans.0, "/rooms/retro/bans", "", 200).json();
    assert_eq!(listed["bans"][0]["identity"], "ben");
    check("DELETE", "/rooms/{room}/bans/{identity}", "/rooms/retro/bans/ben", "", 204);
    check("GET", bans.0, "/rooms/retro/bans", "", 404);
    // People wait, and are let in or turned away.
    check("PATCH", "/rooms/{room}", "/rooms/standup", r#"{"waitingRoom": true}"#, 204);
    let waiting = ("/rooms/{room}/waiting", "/rooms/standup/waiting");
    let mut doors = Vec::new();
    for identity in ["cleo", "dora"] {
        let mut person = Person::new(&server);
        let data = json!({"version": 1, "room": "standup", "name": identity, "token": token(identity)});
        person
            .socket
            .send(tungstenite::Message::text(json!({"type": "join", "id": 1, "data": data}).to_string()))
            .expect("sent");
        person.news("waiting");
        doors.push(person);
    }
    let listed = check("GET", waiting.0, waiting.1, "", 200).json();
    let ids: Vec<&str> = listed["waiting"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["participantId"].as_str())
        .collect();
    let door = "/rooms/{room}/waiting/{participant}";
    check("POST", door, &format!("/rooms/standup/waiting/{}", ids[0]), "", 204);
    check("DELETE", door, &format!("/rooms/standup/waiting/{}", ids[1]), "", 204);
    check("POST", door, "/rooms/standup/waiting/p-0000000000000", "", 404);
    assert_eq!(doors[0].read()["type"], "joined");
    assert_eq!(doors[1].read()["data"]["code"], "turned-away");
}

#[test]
fn rooms_and_those_in_them_are_changed_by_the_api() {
    operate_by("/api/v1", &reference());
}

#[test]
fn an_operator_may_do_what_a_back_end_may() {
    let reference = serde_json::from_str(include_str!("../../docs/admin-v1.openapi.json")).expect("JSON");
    operate_by("/admin/v1", &reference);
}

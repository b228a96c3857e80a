//! LiveKit's room service through the whole shell, in its JSON form: what it is asked, by which token, and what becomes of it.
//! LiveKit's own library asks it in `interop.rs`.

use serde_json::{Value, json};

use crate::support::back_end::{granting, open_server as server};
use crate::support::people::{Endpoint, Person, until};
use crate::support::{Answer, Server};

fn ask_with(server: &Server, token: &str, method: &str, body: &str) -> Answer {
    server.request(&format!(
        "POST /twirp/livekit.RoomService/{method} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json;charset=UTF-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

/// Asks with a token that grants everything. Returns the status and the answer.
#[allow(clippy::needless_pass_by_value, reason = "a request is made for the question")]
fn ask(server: &Server, method: &str, request: Value) -> (u16, Value) {
    let token = granting(json!({"roomList": true, "roomCreate": true, "roomAdmin": true}));
    let answer = ask_with(server, &token, method, &request.to_string());
    (answer.status, serde_json::from_str(&answer.text()).expect("JSON"))
}

#[test]
fn a_room_is_made_and_changed_listed_and_ended() {
    let server = server();
    let asked = json!({"name": "channel_7", "emptyTimeout": 60, "maxParticipants": 3, "metadata": "m"});
    let (status, room) = ask(&server, "CreateRoom", asked);
    assert_eq!(status, 200, "{room}");
    assert!(room["sid"].as_str().is_some_and(|sid| sid.starts_with("RM_")), "{room}");
    assert_eq!(
        (
            &room["name"],
            &room["emptyTimeout"],
            &room["maxParticipants"],
            &room["metadata"],
            &room["numParticipants"]
        ),
        (&json!("channel_7"), &json!(60), &json!(3), &json!("m"), &json!(0))
    );
    let (status, again) = ask(&server, "CreateRoom", json!({"name": "channel_7"}));
    assert_eq!(
        (status, &again["sid"], &again["maxParticipants"]),
        (200, &room["sid"], &json!(3)),
        "it is the same"
    );
    ask(&server, "CreateRoom", json!({"name": "other"}));
    let names = |request| {
        let (_, answer) = ask(&server, "ListRooms", request);
        let rooms = answer["rooms"].as_array().cloned().unwrap_or_default();
        rooms.iter().map(|room| room["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(json!({})), ["channel_7", "other"]);
    assert_eq!(names(json!({"names": ["other", "nowhere"]})), ["other"]);
    let (status, changed) =
        ask(&server, "UpdateRoomMetadata", json!({"room": "channel_7", "metadata": "new"}));
    assert_eq!((status, &changed["metadata"]), (200, &json!("new")));
    assert_eq!(ask(&server, "DeleteRoom", json!({"room": "channel_7"})), (200, json!({})));
    assert_eq!(names(json!({})), ["other"]);
    let (status, error) = ask(&server, "DeleteRoom", json!({"room": "channel_7"}));
    assert_eq!((status, &error["code"]), (404, &json!("not_found")), "{error}");
}

#[test]
fn people_are_seen_changed_muted_and_removed() {
    let server = server();
    let mut anna = Person::join(&server, Some("standup"), "Anna");
    let mut microphone = Endpoint::connect(&mut anna, true);
    until(&mut [&mut microphone], "connected", |all| all[0].rtc.is_connected());
    let of = |more: Value| {
        let mut request = json!({"room": "standup", "identity": anna.id()});
        request.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        request
    };
    let (_, all) = ask(&server, "ListParticipants", json!({"room": "standup"}));
    let (_, one) = ask(&server, "GetParticipant", of(json!({})));
    let sids: Vec<&Value> =
        all["participants"].as_array().into_iter().flatten().map(|person| &person["sid"]).collect();
    assert_eq!(sids, [&one["sid"]], "she is alone");
    assert_eq!((&one["name"], &one["isPublisher"]), (&json!("Anna"), &json!(true)));
    assert!(one["sid"].as_str().is_some_and(|sid| sid.starts_with("PA_")), "{one}");
    let track = &one["tracks"][0];
    assert_eq!(
        (&track["type"], &track["source"], &track["muted"]),
        (&json!("AUDIO"), &json!("MICROPHONE"), &json!(false))
    );

    let change =
        json!({"name": "Anna B.", "attributes": {"hand": "up"}, "permission": {"canSubscribe": true}});
    let (status, changed) = ask(&server, "UpdateParticipant", of(change));
    assert_eq!(
        (status, &changed["name"], &changed["attributes"]["hand"]),
        (200, &json!("Anna B."), &json!("up"))
    );
    assert_eq!(changed["permission"]["canPublish"], json!(false));
    assert_eq!(changed["tracks"], json!([]), "she may not publish any more");

    let mut ben = Person::join(&server, Some("standup"), "Ben");
    let _microphone = Endpoint::connect(&mut ben, true);
    let bens = |more: Value| {
        let mut request = json!({"room": "standup", "identity": ben.id()});
        request.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        request
    };
    let (_, one) = ask(&server, "GetParticipant", bens(json!({})));
    let sid = one["tracks"][0]["sid"].clone();
    let (status, error) = ask(&server, "MutePublishedTrack", of(json!({"trackSid": sid, "muted": true})));
    assert_eq!((status, &error["code"]), (404, &json!("not_found")), "it is not Anna's");
    let (status, muted) = ask(&server, "MutePublishedTrack", bens(json!({"trackSid": sid, "muted": true})));
    assert_eq!((status, &muted["track"]["muted"], &muted["track"]["sid"]), (200, &json!(true), &sid));
    let (status, error) = ask(&server, "MutePublishedTrack", bens(json!({"trackSid": sid, "muted": false})));
    assert_eq!((status, &error["code"]), (412, &json!("failed_precondition")), "{error}");

    assert_eq!(ask(&server, "RemoveParticipant", of(json!({}))).0, 200);
    let (status, error) = ask(&server, "RemoveParticipant", of(json!({})));
    assert_eq!((status, &error["code"]), (404, &json!("not_found")));
}

#[test]
fn people_are_told_what_a_back_end_says_and_receive_what_it_wants_them_to() {
    let server = server();
    let mut anna = Person::join(&server, Some("standup"), "Anna");
    let _microphone = Endpoint::connect(&mut anna, true);
    let mut ben = Person::join(&server, Some("standup"), "Ben");
    let _other_microphone = Endpoint::connect(&mut ben, true);
    // "hello" and "bye", in base 64.
    let say = |more: Value| {
        let mut request = json!({"room": "standup", "data": "aGVsbG8=", "topic": "chat"});
        request.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        ask(&server, "SendData", request)
    };
    assert_eq!(say(json!({"data": "Ynll", "destinationIdentities": [ben.id()]})), (200, json!({})));
    assert_eq!(say(json!({})), (200, json!({})));
    let heard = json!({"from": null, "topic": "chat", "bytes": "aGVsbG8="});
    assert_eq!(anna.news("data"), heard, "what is for Ben alone is not told her");
    assert_eq!((ben.news("data")["bytes"].clone(), ben.news("data")), (json!("Ynll"), heard));
    let (status, error) = say(json!({"destinationIdentities": ["nobody"]}));
    assert_eq!((status, &error["code"]), (404, &json!("not_found")), "{error}");

    let (_, one) = ask(&server, "GetParticipant", json!({"room": "standup", "identity": anna.id()}));
    let sid = one["tracks"][0]["sid"].as_str().expect("a track").to_owned();
    let track = sid.replace("TR_", "t-");
    let mut shows = |wanted: bool| while ben.news("slot-map").to_string().contains(&track) != wanted {};
    shows(true);
    let change = |identity: Value, sid: &str, subscribe: bool| {
        let request =
            json!({"room": "standup", "identity": identity, "trackSids": [sid], "subscribe": subscribe});
        ask(&server, "UpdateSubscriptions", request).0
    };
    let (_, all) = ask(&server, "ListParticipants", json!({"room": "standup"}));
    let ben = all["participants"][1]["identity"].clone();
    assert_eq!(change(ben.clone(), &sid, false), 200);
    shows(false);
    assert_eq!(change(ben.clone(), &sid, true), 200);
    shows(true);
    assert_eq!(change(ben, "TR_0000000000000", true), 404);
}

#[test]
fn each_method_needs_its_grant_and_says_in_twirps_words_what_is_wrong() {
    let server = server();
    ask(&server, "CreateRoom", json!({"name": "standup"}));
    let (list, create) = (json!({"roomList": true}), json!({"roomCreate": true}));
    let (here, elsewhere) =
        (json!({"roomAdmin": true, "room": "standup"}), json!({"roomAdmin": true, "room": "other"}));
    let someone = json!({"room": "standup", "identity": "anna"});
    for (method, request, grants, refused) in [
        ("CreateRoom", json!({"name": "a"}), &create, &here),
        ("ListRooms", json!({}), &list, &create),
        ("DeleteRoom", json!({"room": "a"}), &create, &list),
        ("ListParticipants", json!({"room": "standup"}), &here, &elsewhere),
        ("UpdateRoomMetadata", json!({"room": "standup", "metadata": "x"}), &here, &create),
    ] {
        let ask = |video: &Value| ask_with(&server, &granting(video.clone()), method, &request.to_string());
        assert_eq!(ask(grants).status, 200, "{method}");
        let answer = ask(refused);
        assert!(
            answer.status == 403 && answer.text().contains("permission_denied"),
            "{method}: {}",
            answer.text()
        );
    }
    for method in [
        "GetParticipant",
        "RemoveParticipant",
        "MutePublishedTrack",
        "UpdateParticipant",
        "UpdateSubscriptions",
    ] {
        let mut request = someone.clone();
        request["trackSid"] = json!("TR_0000000000000");
        request["muted"] = json!(true);
        let ask =
            |video: &Value| ask_with(&server, &granting(video.clone()), method, &request.to_string()).status;
        assert_eq!((ask(&here), ask(&elsewhere)), (404, 403), "{method}");
    }
    for (token, method, body, status, code) in [
        ("nonsense".to_owned(), "ListRooms", "{}", 401, "unauthenticated"),
        (granting(list.clone()), "ListRooms", "{", 400, "malformed"),
        (granting(create.clone()), "CreateRoom", r#"{"name": "two words"}"#, 400, "invalid_argument"),
        (granting(create.clone()), "CreateRoom", r#"{"name": "a", "egress": {}}"#, 501, "unimplemented"),
        (granting(create), "PerformRpc", "{}", 501, "unimplemented"),
        (granting(list), "Nothing", "{}", 404, "bad_route"),
    ] {
        let answer = ask_with(&server, &token, method, body);
        let error: Value = serde_json::from_str(&answer.text()).expect("JSON");
        assert_eq!((answer.status, &error["code"]), (status, &json!(code)), "{method}: {error}");
        assert!(error["msg"].as_str().is_some_and(|message| !message.is_empty()));
    }
}

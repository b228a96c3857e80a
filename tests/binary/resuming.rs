//! Signalling breaks and comes back; media does not notice.

use std::time::Duration;

use serde_json::json;

use super::call::{Call, resume_data};
use super::hostile::{audio, offer};
use super::server::{Server, http};

const ANNA: usize = 0;
const BEN: usize = 1;

/// Two people who hear and see each other, and have heard all news.
fn two_people(server: &Server) -> Call {
    let mut call = Call::of_two(server.address, &["microphone", "camera"]);
    for source in ["microphone", "camera"] {
        call.until_heard(ANNA, source, BEN);
        call.until_heard(BEN, source, ANNA);
    }
    call.clients.iter_mut().for_each(|client| client.news.clear());
    call
}

/// Anna says ten words.
fn speak(call: &mut Call) {
    for _ in 0..10 {
        call.clients[ANNA].send("microphone");
        call.turn();
    }
}

#[test]
fn a_cut_connection_is_resumed_with_a_whole_picture_and_media_never_stops() {
    let server = Server::start(&[]);
    let mut call = two_people(&server);
    let (tracks, before) = (call.clients[ANNA].publications.clone(), call.clients[ANNA].joined.clone());
    let microphone = call.clients[ANNA].track("microphone");
    call.clients[BEN].received.clear();
    speak(&mut call);
    call.clients[ANNA].cut();
    let reconnecting = call.until_told(BEN, "participant-reconnecting");
    assert_eq!(reconnecting["participantId"], before["participantId"]);
    speak(&mut call);
    call.until_heard(BEN, "microphone", ANNA);
    call.until_heard(BEN, "camera", ANNA);
    // Somebody who comes meanwhile sees her, and how she is.
    let zoe = call.join("standup", "Zoe");
    let people = call.clients[zoe].joined["participants"].clone();
    let states: Vec<_> = people.as_array().expect("a list").iter().map(|person| &person["state"]).collect();
    assert_eq!(states, ["reconnecting", "connected"]);

    let reply = call.resume(ANNA);
    assert_eq!(reply["type"], "resumed", "{reply}");
    let resumed = &reply["data"];
    for field in ["version", "participantId", "room", "name", "slots", "maxSlots", "resumeSeconds", "server"]
    {
        assert_eq!(resumed[field], before[field], "{field}");
    }
    assert!(resumed["secret"].is_string());
    assert_eq!(resumed["publications"], tracks);
    let others = resumed["participants"].as_array().expect("a list");
    let names: Vec<_> = others.iter().map(|person| &person["name"]).collect();
    assert_eq!(names, ["Ben", "Zoe"], "what came while she was away is told too");
    assert_eq!(others[0]["tracks"].as_array().map(Vec::len), Some(2), "{resumed}");
    assert_eq!(resumed["subscriptions"].as_array().map(Vec::len), Some(2), "{resumed}");
    assert_eq!(resumed["unsubscribed"], json!([]));
    for source in ["microphone", "camera"] {
        let track = call.clients[BEN].track(source);
        assert!(call.clients[ANNA].slot_of(&track).is_some(), "{}", resumed["slotMap"]);
    }
    assert_eq!(call.until_told(BEN, "participant-resumed")["participantId"], before["participantId"]);

    speak(&mut call);
    let mut heard = Vec::new();
    call.until("every word came", |call| {
        heard.extend(call.clients[BEN].take_received(&microphone));
        heard.len() >= 30
    });
    let numbers: Vec<u64> = heard.iter().map(|packet| *packet.seq_no).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    for kind in ["participant-left", "track-removed", "track-added"] {
        assert!(call.clients[BEN].told(kind).is_empty(), "{kind}");
    }
}

#[test]
fn a_wrong_secret_is_refused_and_the_right_one_still_works() {
    let server = Server::start(&[]);
    let mut call = two_people(&server);
    let right = resume_data(&call.clients[ANNA].joined);
    let mut wrong = right.clone();
    wrong["secret"] = json!("guessed");
    call.clients[ANNA].cut();
    call.until_told(BEN, "participant-reconnecting");
    let stranger = call.visit();
    assert_eq!(call.refused(stranger, "resume", wrong)["code"], "bad-secret");
    assert!(call.clients[BEN].told("participant-resumed").is_empty());
    assert_eq!(call.ask(stranger, "resume", right)["type"], "resumed", "on the same connection");
}

#[test]
fn who_comes_back_too_late_is_unknown_and_joins_again() {
    let server = Server::start(&[("SIGNALLING_RESUME_TIMEOUT", "0.3")]);
    let mut call = two_people(&server);
    call.clients[ANNA].cut();
    let left = call.until_told(BEN, "participant-left");
    assert_eq!(
        (&left["participantId"], &left["reason"]),
        (&call.clients[ANNA].id().into(), &"resume-timeout".into())
    );
    let data = resume_data(&call.clients[ANNA].joined);
    call.clients[ANNA].connect();
    assert_eq!(call.refused(ANNA, "resume", data.clone())["code"], "unknown-participant");
    let reply = call.ask(ANNA, "join", json!({"version": 1, "room": "standup", "name": "Anna"}));
    assert_eq!(reply["type"], "joined");
    assert_ne!(reply["data"]["participantId"], data["participantId"]);
}

#[test]
fn who_loses_media_too_is_gone_sooner() {
    let server = Server::start(&[("MEDIA_MEDIA_TIMEOUT", "1"), ("SIGNALLING_RESUME_TIMEOUT", "3600")]);
    let mut call = two_people(&server);
    let id = call.clients[ANNA].id().to_owned();
    // Her machine is switched off.
    drop(call.clients.remove(ANNA));
    let ben = 0;
    assert_eq!(call.until_told(ben, "participant-reconnecting")["participantId"], id.as_str());
    let left = call.until_told(ben, "participant-left");
    assert_eq!((&left["participantId"], &left["reason"]), (&id.into(), &"media-timeout".into()));
}

#[test]
fn who_negotiates_media_and_never_connects_is_shown_as_lost_to_everybody() {
    let server = Server::start(&[]);
    let mut call = two_people(&server);
    let zoe = call.join("standup", "Zoe");
    assert_eq!(call.ask(zoe, "offer", offer(&[audio()], &[]))["type"], "answer");
    let id = call.clients[zoe].id().to_owned();
    for who in [ANNA, BEN, zoe] {
        assert_eq!(call.until_told(who, "participant-media-lost")["participantId"], id.as_str());
    }
    let people = server.stats()["rooms"][0]["participants"].take();
    let lost: Vec<_> = people.as_array().expect("a list").iter().map(|person| &person["mediaLost"]).collect();
    assert_eq!(lost, [false, false, true]);
    let page = http(server.address, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(page.contains("\nstrait_participants_media_lost 1.0\n"), "{page}");
    assert!(call.is_served(zoe), "she has time to connect");
}

#[test]
fn a_server_that_stood_still_keeps_its_people() {
    let server = Server::start(&[("MEDIA_MEDIA_TIMEOUT", "1")]);
    let mut call = two_people(&server);
    call.clients[BEN].cut();
    call.until_told(ANNA, "participant-reconnecting");
    server.signal("STOP");
    // Longer than Ben has to come back, and than anybody may be silent. Nobody sends anything meanwhile.
    std::thread::sleep(Duration::from_secs(7));
    server.signal("CONT");
    assert_eq!(call.resume(BEN)["type"], "resumed", "he was in time, as far as the server was there");
    speak(&mut call);
    call.until_heard(ANNA, "microphone", BEN);
    for kind in ["participant-left", "participant-media-lost"] {
        assert!(call.clients[ANNA].told(kind).is_empty(), "{kind}");
    }
}

#[test]
fn a_goodbye_on_the_socket_is_a_leave() {
    let server = Server::start(&[]);
    let mut call = two_people(&server);
    call.clients[ANNA].close();
    let left = call.until_told(BEN, "participant-left");
    assert_eq!((&left["participantId"], &left["reason"]), (&call.clients[ANNA].id().into(), &"left".into()));
    assert!(call.clients[BEN].told("participant-reconnecting").is_empty());
    let data = resume_data(&call.clients[ANNA].joined);
    call.clients[ANNA].connect();
    assert_eq!(call.refused(ANNA, "resume", data)["code"], "unknown-participant");
}

#[test]
fn somebody_of_a_room_that_never_was_is_unknown() {
    let server = Server::start(&[]);
    let mut call = Call::new(server.address);
    let visitor = call.visit();
    let nobody = json!({"version": 1, "room": "nowhere", "participantId": "p-0000000000000", "secret": "x"});
    assert_eq!(call.refused(visitor, "resume", nobody)["code"], "unknown-participant");
    assert!(call.is_served(visitor));
}

#[test]
fn a_second_connection_replaces_the_first() {
    let server = Server::start(&[]);
    let mut call = two_people(&server);
    let data = resume_data(&call.clients[ANNA].joined);
    let elsewhere = call.visit();
    assert_eq!(call.ask(elsewhere, "resume", data)["type"], "resumed");
    let closing = call.until_told(ANNA, "closing");
    assert_eq!((&closing["reason"], &closing["rejoin"]), (&"replaced".into(), &false.into()), "{closing}");
    call.until("the first is closed", |call| call.clients[ANNA].socket.is_none());
    assert_eq!(call.clients[ANNA].closed, Some(1000));

    let track = call.clients[ANNA].track("microphone");
    let reply = call.ask(elsewhere, "mute", json!({"trackId": track, "muted": true}));
    assert_eq!(reply["type"], "ok", "{reply}");
    assert_eq!(call.until_told(BEN, "track-muted")["trackId"], track.as_str());
    for kind in ["participant-reconnecting", "participant-left"] {
        assert!(
            call.clients[BEN].told(kind).is_empty(),
            "the end of the first connection means nothing: {kind}"
        );
    }
    call.until_heard(ANNA, "camera", BEN);
}

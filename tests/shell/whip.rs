//! WHIP and WHEP through the whole shell: str0m clients over real UDP, and every answer that HTTP can give.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde_json::Value;
use str0m::IceConnectionState;
use str0m::media::{Direction, MediaKind};
use strait::net::ShellConfig;

use crate::support::people::{Endpoint, Person, until};
use crate::support::whip::{Client, Unanswered, patch, post, publisher, request, viewer};
use crate::support::{PATIENCE, Server, config};

/// A speaker speaks until somebody has heard this many packets more.
fn hears(speaker: &mut Endpoint, listener: &mut Endpoint, sequence: &mut u64, what: &str) {
    let (before, started) = (listener.received, Instant::now());
    while listener.received < before + 20 {
        assert!(started.elapsed() < PATIENCE, "{what}: {} packets were heard", listener.received - before);
        speaker.speak(*sequence);
        *sequence += 1;
        speaker.step();
        listener.step();
    }
}

fn connected(endpoints: &mut [&mut Endpoint]) {
    until(endpoints, "all are connected", |all| all.iter().all(|endpoint| endpoint.rtc.is_connected()));
}

fn participants(server: &Server, room: &str) -> Vec<Value> {
    let room = server.get(&format!("/admin/v1/rooms/{room}"));
    if room.status == 404 {
        return Vec::new();
    }
    room.json()["participants"].as_array().expect("a list").clone()
}

fn track_of(server: &Server, room: &str, name: &str) -> String {
    let all = participants(server, room);
    let person = all.iter().find(|person| person["name"] == name).expect("they are there");
    person["publications"][0]["trackId"].as_str().expect("they publish").to_owned()
}

/// What is in a viewer's slots.
fn shown_to(server: &Server, room: &str, name: &str) -> Vec<String> {
    let all = participants(server, room);
    let viewer = all.iter().find(|person| person["name"] == name).expect("the viewer is there");
    let slots = viewer["slots"].as_array().expect("a list");
    slots.iter().filter_map(|slot| slot["trackId"].as_str().map(str::to_owned)).collect()
}

#[test]
fn who_publishes_by_whip_is_an_ordinary_participant_and_heard_by_whep() {
    let server = Server::start(config());
    let mut anna = Person::join(&server, Some("r"), "Anna");
    let mut studio = publisher(&server, "/whip/r?name=Studio%201");
    let joined = anna.news("participant-joined");
    assert_eq!(joined["name"], "Studio 1");
    let track = anna.news("track-added");
    assert_eq!((track["source"].as_str(), track["kind"].as_str()), (Some("microphone"), Some("audio")));
    assert!(studio.answer.contains("a=recvonly"), "{}", studio.answer);
    let mut listener = Endpoint::connect(&mut anna, false);
    let mut viewer = viewer(&server, "/whep/r");
    assert!(
        viewer.answer.contains("a=sendonly") && !viewer.answer.contains("a=recvonly"),
        "{}",
        viewer.answer
    );
    assert_eq!(anna.news("participant-joined")["name"], "WHEP", "a viewer is a participant");
    connected(&mut [&mut studio.endpoint, &mut viewer.endpoint, &mut listener]);
    let mut sequence = 1000;
    hears(&mut studio.endpoint, &mut viewer.endpoint, &mut sequence, "WHIP to WHEP");
    hears(&mut studio.endpoint, &mut listener, &mut sequence, "WHIP to a participant");

    let gone = request(&server, "DELETE", &studio.location, "", "");
    assert_eq!((gone.status, gone.body.len()), (200, 0));
    assert_eq!(anna.news("participant-left")["participantId"], joined["participantId"]);
    assert_eq!(request(&server, "DELETE", &studio.location, "", "").status, 404);
    assert_eq!(request(&server, "DELETE", &viewer.location, "If-Match: \"other\"\r\n", "").status, 200);
    assert_eq!(participants(&server, "r").len(), 1);
}

#[test]
fn whoever_opens_a_session_is_told_of_the_turn_server() {
    let server = Server::start(config());
    for (path, direction) in [("/whip/r", Direction::SendOnly), ("/whep/r", Direction::RecvOnly)] {
        let unanswered = Unanswered::new(&[MediaKind::Audio], direction);
        let answer = post(&server, path, &unanswered.offer, "");
        let links = answer.find_all("link");
        assert_eq!(links.len(), 2, "{links:?}");
        for (link, scheme) in links.iter().zip(["turn", "turns"]) {
            let start =
                format!("<{scheme}:{}?transport=tcp>; rel=\"ice-server\"; username=\"", server.address);
            assert!(link.starts_with(&start), "{link}");
            assert!(
                link.contains("; credential=\"") && link.ends_with("credential-type=\"password\""),
                "{link}"
            );
        }
    }
}

#[test]
fn a_viewer_moves_on_to_who_comes_next_when_somebody_leaves() {
    let server = Server::start(config());
    let mut viewer = viewer(&server, "/whep/r");
    let mut first = publisher(&server, "/whip/r?name=First");
    let mut second = publisher(&server, "/whip/r?name=Second");
    connected(&mut [&mut first.endpoint, &mut second.endpoint, &mut viewer.endpoint]);
    let mut sequence = 1000;
    hears(&mut first.endpoint, &mut viewer.endpoint, &mut sequence, "the first");
    assert_eq!(shown_to(&server, "r", "WHEP"), [track_of(&server, "r", "First")]);
    request(&server, "DELETE", &first.location, "", "");
    assert_eq!(shown_to(&server, "r", "WHEP"), [track_of(&server, "r", "Second")]);
    hears(&mut second.endpoint, &mut viewer.endpoint, &mut sequence, "the second");
}

#[test]
fn a_viewer_may_choose_and_the_choices_end_is_the_sessions() {
    let server = Server::start(config());
    let _first = publisher(&server, "/whip/r?name=First");
    let second = publisher(&server, "/whip/r?name=Second");
    let all = participants(&server, "r");
    let id = all.iter().find(|person| person["name"] == "Second").expect("there")["participantId"].clone();
    let id = id.as_str().expect("an id");
    let track = track_of(&server, "r", "Second");
    let by_participant = viewer(&server, &format!("/whep/r?name=A&participant={id}"));
    let by_track = viewer(&server, &format!("/whep/r?name=B&track={track}"));
    for name in ["A", "B"] {
        assert_eq!(shown_to(&server, "r", name), std::slice::from_ref(&track));
    }
    request(&server, "DELETE", &second.location, "", "");
    for viewer in [by_participant, by_track] {
        assert_eq!(request(&server, "DELETE", &viewer.location, "", "").status, 404, "it has ended");
    }
    let offer = Unanswered::new(&[MediaKind::Audio], Direction::RecvOnly).offer;
    for unknown in [
        "/whep/r?participant=p-0000000000000",
        "/whep/r?participant=nonsense",
        "/whep/r?track=t-0000000000000",
        "/whep/r?track=nonsense",
        &format!("/whep/r?participant={id}"),
        "/whep/nowhere?participant=p-0000000000000",
    ] {
        assert_eq!(post(&server, unknown, &offer, "").status, 404, "{unknown}");
    }
    assert_eq!(server.get("/admin/v1/rooms/nowhere").status, 404, "nobody was let in to find out");
}

/// The credentials of a description or fragment.
fn credentials(text: &str) -> (String, String) {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim().to_owned()
    };
    (value("a=ice-ufrag:"), value("a=ice-pwd:"))
}

fn fragment(ufrag: &str, password: &str) -> String {
    format!(
        "a=ice-options:trickle ice2\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
         a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n\
         a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\na=end-of-candidates\r\n"
    )
}

#[test]
fn candidates_are_checked_and_ice_restarts_by_patch() {
    let server = Server::start(config());
    let client = publisher(&server, "/whip/r");
    let Client { location, etag, offer, answer, .. } = &client;
    let (ufrag, password) = credentials(offer);
    let matching = format!("If-Match: {etag}\r\n");
    let trickled = patch(&server, location, &matching, &fragment(&ufrag, &password));
    assert_eq!((trickled.status, trickled.body.len(), trickled.find("etag")), (204, 0, None));
    assert_eq!(patch(&server, location, "", &fragment(&ufrag, &password)).status, 428);
    assert_eq!(patch(&server, location, "If-Match: \"no\"\r\n", &fragment(&ufrag, &password)).status, 412);
    assert_eq!(patch(&server, location, &matching, "nonsense").status, 400);
    assert_eq!(patch(&server, location, &matching, "a=candidate:nonsense\r\n").status, 400);
    let wrong_type = request(&server, "PATCH", location, &matching, &fragment(&ufrag, &password));
    assert_eq!(wrong_type.status, 415);
    assert_eq!(wrong_type.field("accept-patch"), "application/trickle-ice-sdpfrag");

    let new = fragment("newufrag", "newpassword0123456789012");
    let restarted = patch(&server, location, "If-Match: \"*\"\r\n", &new);
    assert_eq!(restarted.status, 200, "{}", restarted.text());
    assert_eq!(restarted.field("content-type"), "application/trickle-ice-sdpfrag");
    assert_ne!(restarted.field("etag"), etag);
    let text = restarted.text();
    assert_ne!(credentials(&text), credentials(answer), "{text}");
    for line in ["a=ice-lite", "m=audio ", "a=mid:", "a=candidate:1 1 udp ", "a=end-of-candidates"] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("a=rtpmap"), "{text}");
    assert_eq!(patch(&server, location, &matching, &new).status, 412, "the old tag is stale");
    let matching = format!("If-Match: {}\r\n", restarted.field("etag"));
    assert_eq!(patch(&server, location, &matching, &new).status, 204, "the same credentials restart nothing");
}

#[test]
fn media_goes_on_after_an_ice_restart() {
    let server = Server::start(config());
    let mut viewer = viewer(&server, "/whep/r");
    let mut studio = publisher(&server, "/whip/r");
    connected(&mut [&mut studio.endpoint, &mut viewer.endpoint]);
    let mut sequence = 1000;
    hears(&mut studio.endpoint, &mut viewer.endpoint, &mut sequence, "before the restart");
    let mut changes = studio.endpoint.rtc.sdp_api();
    changes.ice_restart(true);
    let (offer, pending) = changes.apply().expect("a restart is a change");
    let (ufrag, password) = credentials(&offer.to_sdp_string());
    let restarted = patch(&server, &studio.location, "If-Match: *\r\n", &fragment(&ufrag, &password));
    assert_eq!(restarted.status, 200, "{}", restarted.text());
    // As a browser does: the answer of before, with the new credentials.
    let (old, new) = (credentials(&studio.answer), credentials(&restarted.text()));
    let answer = studio.answer.replace(&old.0, &new.0).replace(&old.1, &new.1);
    let answer = str0m::change::SdpAnswer::from_sdp_string(&answer).expect("an answer");
    studio.endpoint.rtc.sdp_api().accept_answer(pending, answer).expect("accepted");
    studio.endpoint.ice_states.clear();
    hears(&mut studio.endpoint, &mut viewer.endpoint, &mut sequence, "after the restart");
    until(&mut [&mut studio.endpoint], "checks with the new credentials are answered", |all| {
        let connected =
            |state: &IceConnectionState| !state.is_disconnected() && *state != IceConnectionState::Checking;
        all[0].ice_states.last().is_some_and(connected)
    });
}

#[test]
fn every_wrong_request_gets_the_status_that_the_texts_name() {
    let server = Server::start(config());
    let sending = Unanswered::new(&[MediaKind::Audio, MediaKind::Video], Direction::SendOnly).offer;
    let receiving = Unanswered::new(&[MediaKind::Audio], Direction::RecvOnly).offer;
    let wrong = request(&server, "POST", "/whip/r", "Content-Type: text/plain\r\n", &sending);
    assert_eq!((wrong.status, wrong.field("accept-post")), (415, "application/sdp"));
    assert_eq!(request(&server, "POST", "/whip/r", "", &sending).status, 415);
    assert_eq!(post(&server, "/whip/r", "", "").status, 400);
    assert_eq!(post(&server, "/whip/r", "v=0\r\nnonsense\r\n", "").status, 400);
    assert_eq!(post(&server, "/whip/r", &receiving, "").status, 422);
    assert_eq!(post(&server, "/whep/r", &sending, "").status, 422);
    assert_eq!(post(&server, "/whip/r", &sending, "Accept: text/html\r\n").status, 406);
    assert_eq!(post(&server, "/whip/r?name=%00", &sending, "").status, 400);
    assert_eq!(post(&server, "/whip/with%20space", &sending, "").status, 404);
    assert_eq!(post(&server, "/whip/r/session", &sending, "").status, 405);
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH"] {
        let refused = request(&server, method, "/whip/r", "", "");
        assert_eq!((refused.status, refused.field("allow")), (405, "POST, OPTIONS"), "{method}");
    }
    for method in ["GET", "HEAD", "PUT", "POST"] {
        let refused = request(&server, method, "/whep/r/session", "", "");
        assert_eq!((refused.status, refused.field("allow")), (405, "PATCH, DELETE, OPTIONS"), "{method}");
    }
    assert_eq!(patch(&server, "/whip/r/session", "If-Match: *\r\n", "a=mid:0\r\n").status, 404);
    assert_eq!(request(&server, "DELETE", "/whip/r/session", "", "").status, 404);
    assert_eq!(server.get("/admin/v1/rooms").json()["rooms"], Value::Array(Vec::new()), "nobody came in");
    // A session is at its own address only.
    let client = publisher(&server, "/whip/r");
    let name = client.location.rsplit('/').next().expect("a name");
    assert_eq!(name.len(), 22, "{name}");
    for elsewhere in [format!("/whep/r/{name}"), format!("/whip/other/{name}")] {
        assert_eq!(request(&server, "DELETE", &elsewhere, "", "").status, 404, "{elsewhere}");
    }
}

#[test]
fn requests_behind_one_that_waits_for_the_core_are_answered_in_their_order() {
    let server = Server::start(config());
    let offer = Unanswered::new(&[MediaKind::Audio], Direction::SendOnly).offer;
    let head = format!("HTTP/1.1\r\nHost: {}\r\n", server.address);
    let post = |path: &str| {
        let length = offer.len();
        format!("POST {path} {head}Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{offer}")
    };
    let mut stream = server.connect();
    let all = format!("{}GET /health {head}\r\n{}GET /health {head}\r\n", post("/whip/a"), post("/whip/b"));
    stream.write_all(all.as_bytes()).expect("the server takes it");
    // Whoever says no more still waits for the answers.
    stream.shutdown(Shutdown::Write).expect("the stream is open");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the server answers, and closes");
    let answers: Vec<&str> = text.lines().filter(|line| line.starts_with("HTTP/1.1 ")).collect();
    assert_eq!(answers, ["HTTP/1.1 201 Created", "HTTP/1.1 200 OK"].repeat(2), "{text}");
    let locations = text.lines().filter(|line| line.starts_with("Location: /whip/"));
    let rooms: Vec<&str> = locations.filter_map(|line| line.split('/').nth(2)).collect();
    assert_eq!(rooms, ["a", "b"]);
}

#[test]
fn a_full_room_and_a_full_server_are_503_with_a_time_to_come_back() {
    let server = Server::start_with(config(), |settings| {
        settings.participants_per_room_max = 1;
        settings.rooms_max = 1;
    });
    let offer = Unanswered::new(&[MediaKind::Audio], Direction::SendOnly).offer;
    let _client = publisher(&server, "/whip/r");
    for path in ["/whip/r", "/whip/other"] {
        let full = post(&server, path, &offer, "");
        assert_eq!((full.status, full.field("retry-after")), (503, "5"), "{path}");
    }
}

#[test]
fn a_room_with_tokens_asks_for_one_in_every_request() {
    let whip_tokens = BTreeMap::from([("studio".to_owned(), vec!["0123456789abcdef".to_owned()])]);
    let server = Server::start(ShellConfig { whip_tokens, ..config() });
    let unanswered = Unanswered::new(&[MediaKind::Audio], Direction::SendOnly);
    let refused = post(&server, "/whip/studio", &unanswered.offer, "");
    assert_eq!((refused.status, refused.field("www-authenticate")), (401, "Bearer"));
    let wrong =
        post(&server, "/whip/studio", &unanswered.offer, "Authorization: Bearer 0123456789abcdeF\r\n");
    assert_eq!(wrong.status, 401);
    assert!(wrong.field("www-authenticate").contains("invalid_token"));
    let token = "Authorization: Bearer 0123456789abcdef\r\n";
    let answer = post(&server, "/whip/studio", &unanswered.offer, token);
    let client = unanswered.accept(&answer);
    assert_eq!(request(&server, "DELETE", &client.location, "", "").status, 401);
    assert_eq!(request(&server, "OPTIONS", &client.location, "", "").status, 200);
    assert_eq!(request(&server, "DELETE", &client.location, token, "").status, 200);
    publisher(&server, "/whip/open");
}

#[test]
fn pages_of_other_origins_come_in_where_a_token_decides_or_the_operator_says() {
    let whip_tokens = BTreeMap::from([("studio".to_owned(), vec!["0123456789abcdef".to_owned()])]);
    let allowed_origins = vec!["https://listed.example".to_owned()];
    let server = Server::start(ShellConfig { whip_tokens, allowed_origins, ..config() });
    let foreign = "Origin: https://foreign.example\r\n";
    let preflight = request(
        &server,
        "OPTIONS",
        "/whip/studio",
        &format!("{foreign}Access-Control-Request-Method: POST\r\n"),
        "",
    );
    assert_eq!((preflight.status, preflight.field("accept-post")), (200, "application/sdp"));
    assert_eq!(preflight.field("access-control-allow-origin"), "https://foreign.example");
    assert!(preflight.field("access-control-allow-methods").contains("POST"));
    assert!(preflight.field("access-control-allow-headers").contains("Authorization"));
    let offer = Unanswered::new(&[MediaKind::Audio], Direction::SendOnly).offer;
    let token = "Authorization: Bearer 0123456789abcdef\r\n";
    let answer = post(&server, "/whip/studio", &offer, &format!("{foreign}{token}"));
    assert_eq!(answer.status, 201);
    let exposed = answer.field("access-control-expose-headers");
    assert!(["Location", "ETag", "Link"].iter().all(|name| exposed.contains(name)), "{exposed}");
    let session = request(&server, "OPTIONS", answer.field("location"), foreign, "");
    assert!(session.field("access-control-allow-methods").contains("PATCH, DELETE"));

    let refused = post(&server, "/whip/open", &offer, foreign);
    assert_eq!((refused.status, refused.find("access-control-allow-origin")), (403, None));
    let listed = post(&server, "/whip/open", &offer, "Origin: https://listed.example\r\n");
    assert_eq!(listed.status, 201);
    assert_eq!(listed.field("access-control-allow-origin"), "https://listed.example");
}

#[test]
fn who_sends_no_check_any_more_is_gone_after_the_media_timeout() {
    let server = Server::start_with(config(), |settings| settings.media_timeout = Duration::from_millis(300));
    let mut anna = Person::join(&server, Some("r"), "Anna");
    let mut studio = publisher(&server, "/whip/r");
    connected(&mut [&mut studio.endpoint]);
    // The client stops dead, and Anna, who has not even connected, stays: her WebSocket lives.
    assert_eq!(anna.news("participant-left")["reason"], "timeout");
    assert_eq!(request(&server, "DELETE", &studio.location, "", "").status, 404);
    // Somebody who never comes by UDP either.
    let never = publisher(&server, "/whip/r");
    assert_eq!(anna.news("participant-left")["reason"], "timeout");
    assert_eq!(request(&server, "DELETE", &never.location, "", "").status, 404);
    assert_eq!(participants(&server, "r").len(), 1);
}

#[test]
fn the_operator_ends_a_session_as_any_participant() {
    let server = Server::start(config());
    let client = publisher(&server, "/whip/r");
    let id = participants(&server, "r")[0]["participantId"].as_str().expect("an id").to_owned();
    let removed = request(&server, "DELETE", &format!("/admin/v1/rooms/r/participants/{id}"), "", "");
    assert_eq!(removed.status, 204);
    assert_eq!(request(&server, "DELETE", &client.location, "", "").status, 404);
    assert_eq!(server.get("/admin/v1/stats").json()["shell"]["dtlsSessions"], 0);
}

#[test]
fn one_address_has_so_many_sessions_and_no_more() {
    let server = Server::start(ShellConfig { connections_per_address_max: 4, ..config() });
    let viewer = Unanswered::new(&[MediaKind::Audio], Direction::RecvOnly);
    let answers: Vec<u16> =
        (0..6).map(|index| post(&server, &format!("/whep/r{index}"), &viewer.offer, "").status).collect();
    assert_eq!(answers, [201, 201, 201, 201, 429, 429]);
}

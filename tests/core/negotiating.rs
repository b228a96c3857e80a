//! Offers written by hand, and what people in the room and the client itself see of them.

use strait::core::command::{Command, PublicationRequest, Source};
use strait::core::datagrams::Datagrams;
use strait::core::event::{Event, RefusalCode, SlotCounts};
use strait::core::ids::Mid;
use strait::core::{Input, Output};

use super::world::World;

/// A section: `m=` line without "m=", mid, and its own lines.
type Written<'a> = (&'a str, String, &'a str);

const VIDEO: &str = "video 9 UDP/TLS/RTP/SAVPF 96";
const AUDIO: &str = "audio 9 UDP/TLS/RTP/SAVPF 111";
const VP8: &str = "a=rtpmap:96 VP8/90000\r\n";
const OPUS: &str = "a=rtpmap:111 opus/48000/2\r\n";

fn offer(sections: &[Written<'_>]) -> String {
    let mids: Vec<&str> = sections.iter().map(|(_, mid, _)| mid.as_str()).collect();
    let mut text = format!("v=0\r\na=group:BUNDLE {}\r\n", mids.join(" "));
    for (media, mid, lines) in sections {
        let fingerprint = ["AB"; 32].join(":");
        text += &format!(
            "m={media}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n\
             a=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\na=rtcp-mux\r\n{lines}"
        );
    }
    text
}

/// Hands in an offer and returns what everybody is told of it, with the number of who is told.
fn told(
    world: &mut World,
    person: usize,
    sdp: String,
    publications: &[(&str, Source)],
) -> Vec<(usize, Event)> {
    let publications = publications.iter().map(|(mid, source)| PublicationRequest {
        mid: Mid::from(*mid),
        source: *source,
        muted: false,
        encodings: Vec::new(),
        track: None,
    });
    let command = Command::Offer { sdp, publications: publications.collect() };
    let connection = world.clients[person].connection;
    world.sfu.handle_input(world.now, Input::Command { connection, request: None, command });
    let mut events = Vec::new();
    loop {
        match world.sfu.poll_output() {
            Output::Timeout(_) => return events,
            Output::Media(_) => world.sfu.forward_share(&mut Datagrams::default()),
            Output::Event { connection, event } => {
                let who = world.clients.iter().position(|client| client.connection == connection);
                events.extend(who.map(|who| (who, event)));
            }
            _ => {}
        }
    }
}

fn world_of(people: &[&str]) -> World {
    let mut world = World::new();
    for name in people {
        world.join("standup", name);
    }
    world
}

fn answer(events: &[(usize, Event)]) -> &str {
    let answers = events.iter().find_map(|(_, event)| match event {
        Event::Answer { sdp, .. } => Some(sdp.as_str()),
        _ => None,
    });
    answers.unwrap_or_else(|| panic!("no answer: {events:?}"))
}

fn open_slots(world: &World) -> usize {
    world.sfu.snapshot(world.now).rooms[0].participants[0].slots.len()
}

#[test]
fn a_publisher_is_told_that_a_codec_is_not_served_and_nobody_else_hears_of_a_track() {
    let mut world = world_of(&["Anna", "Ben"]);
    let sections = [
        (AUDIO, "0".to_owned(), "a=rtpmap:111 opus/48000/2\r\na=sendonly\r\n"),
        ("video 9 UDP/TLS/RTP/SAVPF 97", "1".to_owned(), "a=rtpmap:97 H265/90000\r\na=sendonly\r\n"),
    ];
    let publications = [("0", Source::Microphone), ("1", Source::Camera)];
    let events = told(&mut world, 0, offer(&sections), &publications);
    assert!(answer(&events).contains("\r\nm=video 0 UDP/TLS/RTP/SAVPF 97\r\n"));
    let why = events.iter().find_map(|(who, event)| match event {
        Event::CannotPublish { mid, reason } if *who == 0 => Some((mid.to_string(), reason.clone())),
        _ => None,
    });
    let (mid, reason) = why.expect("Anna is told");
    assert!(mid == "1" && reason.contains("H265"), "{mid}: {reason}");
    let added: Vec<&Event> = events
        .iter()
        .filter(|(who, event)| *who == 1 && matches!(event, Event::TrackAdded(_)))
        .map(|(_, event)| event)
        .collect();
    assert_eq!(added.len(), 1, "only the sound: {added:?}");
}

#[test]
fn a_slot_without_a_common_codec_is_no_slot() {
    let mut world = world_of(&["Anna"]);
    let sections = [
        (AUDIO, "0".to_owned(), "a=rtpmap:111 opus/48000/2\r\na=recvonly\r\n"),
        ("video 9 UDP/TLS/RTP/SAVPF 97", "1".to_owned(), "a=rtpmap:97 H265/90000\r\na=recvonly\r\n"),
    ];
    told(&mut world, 0, offer(&sections), &[]);
    assert_eq!(open_slots(&world), 1);
}

#[test]
fn a_refused_offer_says_where_it_is_wrong_and_changes_nothing() {
    let mut world = world_of(&["Anna"]);
    let recvonly = "a=recvonly\r\n";
    let good = [(AUDIO, "0".to_owned(), &*format!("{OPUS}{recvonly}"))];
    told(&mut world, 0, offer(&good), &[]);
    let bad = [
        (AUDIO, "0".to_owned(), &*format!("{OPUS}{recvonly}")),
        (
            "audio 9 UDP/TLS/RTP/SAVPF 111",
            "1".to_owned(),
            "a=rtpmap:111 opus/48000/2\r\na=extmap:1 urn:a\r\n",
        ),
        (VIDEO, "2".to_owned(), "a=rtpmap:96 VP8/90000\r\na=extmap:1 urn:b\r\n"),
    ];
    let events = told(&mut world, 0, offer(&bad), &[]);
    let refusal = events.iter().find_map(|(_, event)| match event {
        Event::Refused(_, refusal) => Some(refusal),
        _ => None,
    });
    let refusal = refusal.expect("it is refused");
    assert_eq!(refusal.code, RefusalCode::BadOffer);
    assert!(refusal.message.contains("section 2 (mid \"2\")"), "{}", refusal.message);
    assert_eq!(open_slots(&world), 1);
}

#[test]
fn sections_that_are_gone_are_forgotten_however_many_there_were() {
    let mut world = World::with(|settings| settings.slots_max.video = 100);
    world.join("standup", "Anna");
    let audio = format!("{OPUS}a=recvonly\r\n");
    let video = format!("{VP8}a=recvonly\r\n");
    for round in 0..20 {
        let mut sections = vec![(AUDIO, "0".to_owned(), audio.as_str())];
        told(&mut world, 0, offer(&sections), &[]);
        sections.extend((0..100).map(|number| (VIDEO, format!("{round}-{number}"), video.as_str())));
        let events = told(&mut world, 0, offer(&sections), &[]);
        assert_eq!(answer(&events).matches("a=msid:slot-").count(), 101, "round {round}");
        assert!(answer(&events).contains("a=msid:slot-99 video-99\r\n"), "numbers begin anew");
        assert_eq!(open_slots(&world), 101);
    }
}

#[test]
fn the_slot_map_follows_the_order_of_the_sections() {
    let mut world = world_of(&["Anna"]);
    let video = format!("{VP8}a=recvonly\r\n");
    let audio = format!("{OPUS}a=recvonly\r\n");
    let sections = |mids: &[&str]| -> String {
        let mut sections = vec![(AUDIO, "0".to_owned(), audio.as_str())];
        let media = |mid: &str| if mid == "stopped" { "video 0 UDP/TLS/RTP/SAVPF 96" } else { VIDEO };
        sections.extend(mids.iter().map(|mid| (media(mid), (*mid).to_owned(), video.as_str())));
        offer(&sections)
    };
    told(&mut world, 0, sections(&["a", "stopped", "c"]), &[]);
    // The second section is used again, under another name, and one more is added.
    let events = told(&mut world, 0, sections(&["a", "new", "c", "d"]), &[]);
    let map = events.iter().rev().find_map(|(_, event)| match event {
        Event::SlotMap(map) => Some(map.slots.iter().map(|slot| slot.mid.to_string()).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(map.expect("a map"), ["0", "a", "new", "c", "d"]);
}

#[test]
fn sections_beyond_the_slots_that_a_client_may_have_are_answered_inactive() {
    let mut world = World::with(|settings| settings.slots_max = SlotCounts { audio: 2, video: 3 });
    world.join("standup", "Anna");
    let sections: Vec<Written<'_>> = (0..20)
        .map(|number| match number % 2 {
            0 => (AUDIO, format!("a{number}"), "a=rtpmap:111 opus/48000/2\r\na=recvonly\r\n"),
            _ => (VIDEO, format!("v{number}"), "a=rtpmap:96 VP8/90000\r\na=recvonly\r\n"),
        })
        .collect();
    let events = told(&mut world, 0, offer(&sections), &[]);
    let directions: Vec<&str> =
        answer(&events).lines().filter(|line| ["a=sendonly", "a=inactive"].contains(line)).collect();
    let open = |direction: &&&str| **direction == "a=sendonly";
    assert_eq!((directions.len(), directions.iter().filter(open).count()), (20, 5), "{directions:?}");
    assert_eq!(directions[..4], ["a=sendonly"; 4], "the first ones are open");
    assert_eq!(open_slots(&world), 5);
    // A section that sends and receives only sends then.
    let both = |mid: &str| (VIDEO, mid.to_owned(), "a=rtpmap:96 VP8/90000\r\na=sendrecv\r\n");
    let sections: Vec<Written<'_>> = sections.into_iter().chain([both("both")]).collect();
    let events = told(&mut world, 0, offer(&sections), &[("both", Source::Camera)]);
    let last = answer(&events).split("m=").last().unwrap_or_default();
    assert!(last.contains("a=mid:both\r\n") && last.contains("a=recvonly\r\n"), "{last}");
    assert_eq!(open_slots(&world), 5);
}

#[test]
fn long_lists_of_payload_types_that_are_not_agreed_on_lead_to_no_simulcast() {
    // As many formats as there can be, and rids that name a payload type that is not agreed on thousands of times.
    let formats: String = (0..128).map(|pt| format!(" {pt}")).collect();
    let media = format!("video 9 UDP/TLS/RTP/SAVPF{formats}");
    let list = vec!["1"; 3800].join(",");
    let rids: String = (0..8).map(|rid| format!("a=rid:r{rid} send pt={list}\r\n")).collect();
    let simulcast = "a=simulcast:send r0;r1;r2;r3;r4;r5;r6;r7\r\n";
    let lines = format!("{VP8}a=rtpmap:35 H264/90000\r\na=sendonly\r\n{rids}{simulcast}");
    let sections: Vec<Written<'_>> =
        (0..6).map(|n| (media.as_str(), format!("v{n}"), lines.as_str())).collect();
    let text = offer(&sections);
    let mut world = world_of(&["Anna"]);
    let events = told(&mut world, 0, text, &[("v0", Source::Camera)]);
    assert!(!answer(&events).contains("a=simulcast"), "no rid can be used");
}

//! What `strait explain` says of calls in which something known went wrong.

use std::time::{Duration, Instant};

use strait::core::command::Source::{Camera, Microphone};
use strait::core::command::{Command, Lifeline};
use strait::core::event::{ClosingReason, Event, LeaveReason};
use strait::core::input::{AdminCommand, DtlsEnd, DtlsEvent, Shedding};
use strait::core::moderation::{Ban, Moderation, Target};
use strait::core::path::Carrier;
use strait::trace::explain::model::{Blame, Person};
use strait::trace::explain::{Explanation, explain, html, json, text};
use strait::trace::strip::strip;
use strait::trace::{Trace, TraceWriter};

use crate::call_in;
use crate::traces::{eventful, file, recorded, recorded_in, strait, traces};
use crate::world::{Recorded, World};

/// Anna and Ben in a recorded room, each with a microphone and a camera.
fn two() -> World {
    // Where networks are taken for wide, nothing that comes in a burst is held back, and the server is to blame for nothing.
    let world = World::with(|settings| settings.bandwidth.initial = 50_000_000);
    let mut world = recorded_in(world, "*");
    call_in(&mut world, "standup", &["Anna", "Ben"], &[Microphone, Camera]);
    world
}

/// Both talk and are seen for a while, at 25 pictures a second, the first of them a key frame.
fn talk(world: &mut World, length: Duration) {
    let pictures = length.as_millis() / 40;
    for picture in 0..pictures {
        show_once(world, picture == 0);
    }
}

/// The first two say something and show one picture, which is a key frame or not.
fn show_once(world: &mut World, keyframe: bool) {
    for person in [0, 1] {
        world.send(person, Microphone, false);
        world.send(person, Camera, keyframe);
    }
    world.run(Duration::from_millis(40));
}

pub fn explained(trace: &[u8]) -> Explanation {
    let mut trace = Trace::open(trace, None).expect("a trace");
    let (explanation, parted) = explain(&mut trace, Instant::now()).expect("it can be explained");
    assert_eq!(parted, None);
    explanation
}

pub fn trace_of(world: World) -> Vec<u8> {
    traces(world).into_values().next().expect("one trace")
}

const SECOND: Duration = Duration::from_secs(1);

/// What somebody's timeline says, line by line.
fn said(person: &Person) -> String {
    person.timeline.iter().map(|entry| format!("{}: {}\n", entry.kind, entry.text)).collect()
}

pub fn assert_says(person: &Person, wanted: &str) {
    let said = said(person);
    assert!(said.contains(wanted), "{}: no '{wanted}' in\n{said}", person.name);
}

/// Four seconds, one in which the way is lossy, and four more.
fn with_a_bad_second(mut world: World, breaks: fn(&mut World), heals: fn(&mut World)) -> Explanation {
    talk(&mut world, 4 * SECOND);
    breaks(&mut world);
    talk(&mut world, SECOND);
    heals(&mut world);
    talk(&mut world, 4 * SECOND);
    explained(&trace_of(world))
}

/// Makes somebody end for that reason.
fn end_for(reason: LeaveReason, world: &mut World, who: usize) {
    let room = "standup".parse().expect("a room id");
    let handshake = |event| Recorded::Dtls(world.newest_handshake(), event);
    let input = match reason {
        LeaveReason::Left => return world.command(who, Command::Leave),
        LeaveReason::ResumeTimeout => return world.break_signalling(who),
        LeaveReason::MediaTimeout => {
            world.clients[who].unplugged = true;
            return;
        }
        LeaveReason::TransportClosed => handshake(DtlsEvent::Closed(DtlsEnd::Alert(80))),
        LeaveReason::FingerprintMismatch => handshake(DtlsEvent::PeerCertificate(b"another".to_vec())),
        LeaveReason::HandshakeFailed => handshake(DtlsEvent::Closed(DtlsEnd::Failed("in vain".into()))),
        LeaveReason::Error => handshake(DtlsEvent::Closed(DtlsEnd::Failed("a fault of ours".into()))),
        LeaveReason::Removed => {
            let participant = world.clients[who].joined.as_ref().expect("joined").participant;
            Recorded::Admin(AdminCommand::Remove(room, participant))
        }
        LeaveReason::RoomClosed => Recorded::Admin(AdminCommand::CloseRoom(room)),
        LeaveReason::Shutdown => Recorded::Admin(AdminCommand::Shutdown),
        LeaveReason::Banned => {
            let ban = Ban { target: Target::Identity("ben".into()), with_address: false, lasts: None };
            assert_eq!(world.operate(Moderation::Ban(ban)), Ok(()));
            return;
        }
        LeaveReason::DuplicateIdentity => {
            world.join("standup", "Ben");
            return;
        }
        LeaveReason::MadeWay => {
            world.profile.identity = None;
            world.break_signalling(who);
            // The last of these finds the room full.
            for _ in 0..49 {
                world.join("standup", "One of many");
            }
            return;
        }
    };
    world.input(input);
    world.settle();
}

#[test]
fn whatever_ends_somebody_they_the_others_the_figures_and_the_explanation_tell_the_same() {
    let explained_by = [
        (LeaveReason::Left, "left: left"),
        (LeaveReason::TransportClosed, "their client closed its media connection"),
        (LeaveReason::FingerprintMismatch, "the certificate of their handshake is not the one"),
        (LeaveReason::HandshakeFailed, "their DTLS handshake failed"),
        (LeaveReason::MediaTimeout, "neither a connectivity check nor media"),
        (LeaveReason::ResumeTimeout, "their signalling broke, and they were not back in time"),
        (LeaveReason::Removed, "removed by the operator"),
        (LeaveReason::RoomClosed, "the operator closed the room"),
        (LeaveReason::Shutdown, "the server stops"),
        (LeaveReason::Error, "an error of the server's"),
        (LeaveReason::MadeWay, "made way for somebody else"),
        (LeaveReason::DuplicateIdentity, "joined again from another window"),
        (LeaveReason::Banned, "banned by a moderator or the operator"),
    ];
    assert_eq!(explained_by.map(|(reason, _)| reason), LeaveReason::ALL);
    for (reason, words) in explained_by {
        let mut world = recorded("*");
        call_in(&mut world, "standup", &["Anna"], &[Microphone]);
        if reason == LeaveReason::MediaTimeout {
            world.lifeline = Lifeline::Media;
        }
        world.profile.identity = Some("ben".to_owned());
        let ben = world.join("standup", "Ben");
        let never_connected =
            [LeaveReason::FingerprintMismatch, LeaveReason::HandshakeFailed, LeaveReason::MadeWay];
        let connects = !never_connected.contains(&reason);
        world.clients[ben].unplugged = !connects;
        world.publish(ben, 1, &[Microphone]);
        if connects {
            world.until("Ben is connected", |world| world.clients[ben].rtc.is_connected());
        }
        end_for(reason, &mut world, ben);
        world.until("Ben is gone", |world| world.sfu.totals().leaves[reason as usize] > 0);
        let ends_all = matches!(reason, LeaveReason::RoomClosed | LeaveReason::Shutdown);
        let counted =
            LeaveReason::ALL.into_iter().zip(world.sfu.totals().leaves).filter(|(_, count)| *count > 0);
        assert_eq!(counted.collect::<Vec<_>>(), [(reason, if ends_all { 2 } else { 1 })]);
        let told = |who: usize, event: Event| world.clients[who].events.contains(&event);
        // Who has said so themselves, or cannot be told anything, is told nothing.
        if !matches!(reason, LeaveReason::Left | LeaveReason::ResumeTimeout | LeaveReason::MadeWay) {
            assert!(told(ben, Event::Closing(ClosingReason::Gone(reason))), "{reason:?}");
        }
        let id = world.clients[ben].joined.as_ref().expect("joined").participant;
        let to_anna = if ends_all {
            Event::Closing(ClosingReason::Gone(reason))
        } else {
            Event::ParticipantLeft(id, reason)
        };
        assert!(told(0, to_anna), "{reason:?}");
        assert_says(&explained(&trace_of(world)).participants[1], words);
    }
}

#[test]
fn media_that_stops_and_comes_back_is_told_as_everybody_was_told() {
    let mut world = two();
    talk(&mut world, SECOND);
    world.clients[1].unplugged = true;
    for _ in 0..8 {
        world.send(0, Microphone, false);
        world.run(SECOND);
    }
    world.clients[1].unplugged = false;
    world.run(10 * SECOND);
    let lost = |event: &Event| matches!(event, Event::ParticipantMediaLost(_));
    assert!(world.clients[0].events.iter().any(lost), "{:?}", world.clients[0].events);
    let explanation = explained(&trace_of(world));
    assert_says(&explanation.participants[1], "media-lost: neither media nor a connectivity check came");
    assert_says(&explanation.participants[1], "media-back: something comes from them; everyone");
    assert!(!said(&explanation.participants[0]).contains("media-lost"), "Anna was there");
}

#[test]
fn a_picture_that_stood_still_for_loss_on_the_way_down_is_blamed_on_the_receivers_downlink() {
    let explanation =
        with_a_bad_second(two(), |world| world.loses_down = |_| true, |world| world.loses_down = |_| false);
    let ben = &explanation.participants[1];
    let [camera] = ben.watches.iter().filter(|watched| watched.source == Camera).collect::<Vec<_>>()[..]
    else {
        panic!("{:?}", ben.watches)
    };
    let [freeze] = &camera.freezes[..] else { panic!("{:?}", camera.freezes) };
    assert_eq!((freeze.blame, freeze.ended), (Blame::SubscriberDownlink, true));
    let lasted = freeze.span.length().seconds();
    assert!((0.95..1.2).contains(&lasted), "{lasted}");
    assert!((3.5..4.5).contains(&freeze.span.from.seconds()), "{freeze:?}");
    assert_eq!((camera.hop.packets, camera.hop.lost), (225, 25));
    assert_says(ben, "freeze: Anna's camera stood still for 1.0");
    assert_says(ben, "25 packets lost on the way from the server to Ben");
    assert_says(ben, "To blame: Ben's downlink");
    assert_says(
        ben,
        "loss-down: 25 packets of Anna's camera lost on the way from the server within 1.00 s (100 %)",
    );
    assert_eq!(ben.uplink.lost, 0, "the other hop is not blamed");
    let text = text::render(&explanation, None);
    assert!(
        text.contains("Ben saw Anna's camera stand still 1 time") && text.contains("Ben's downlink 1.0"),
        "{text}"
    );
    assert!(text.contains("The server forwarded every packet in the pass"), "{text}");
}

#[test]
fn a_picture_that_stood_still_for_loss_on_the_way_up_is_blamed_on_the_publishers_uplink() {
    let mut world = two();
    let cleo = world.join("standup", "Cleo");
    world.publish(cleo, 2, &[]);
    crate::connected(&mut world);
    // A key frame would make up for what was lost, and nobody would ask for that again.
    let heals = |world: &mut World| {
        world.loses_up = |_| false;
        (0..5).for_each(|_| show_once(world, false));
    };
    let explanation = with_a_bad_second(world, |world| world.loses_up = |_| true, heals);
    let [anna, ben, _] = &explanation.participants[..] else { panic!("{explanation:?}") };
    let freezes: Vec<_> = ben.watches.iter().flat_map(|watched| &watched.freezes).collect();
    assert!(freezes.len() == 1 && freezes[0].blame == Blame::PublisherUplink, "{freezes:?}");
    let text = text::render(&explanation, None);
    assert!(text.contains("Ben, Cleo saw Anna's camera stand still, 1 time and 1.0"), "{text}");
    assert_says(ben, "lost on the way from Anna to the server, restored by retransmission");
    assert_says(ben, "To blame: Anna's uplink");
    assert_says(anna, "loss-up: 25 packets of the camera lost on the way to the server");
    assert_eq!((anna.uplink.lost, anna.uplink.restored), (50, 25), "sound is not sent again");
    assert_eq!(ben.downlink.lost, 0, "the other hop is not blamed");
}

#[test]
fn whoever_was_not_heard_of_for_a_while_saw_nothing_move_meanwhile() {
    for length in [4, 12] {
        let mut world = two();
        talk(&mut world, 4 * SECOND);
        world.clients[1].unplugged = true;
        for _ in 0..25 * length {
            world.send(0, Microphone, false);
            world.send(0, Camera, false);
            world.run(Duration::from_millis(40));
        }
        world.clients[1].unplugged = false;
        talk(&mut world, 4 * SECOND);
        let explanation = explained(&trace_of(world));
        let ben = &explanation.participants[1];
        let freezes: Vec<_> = ben.watches.iter().flat_map(|watched| &watched.freezes).collect();
        let [freeze] = freezes[..] else { panic!("{freezes:?}") };
        assert_eq!(freeze.blame, Blame::SubscriberDownlink, "{freeze:?}");
        let lasted = freeze.span.length().seconds();
        assert!((f64::from(length) - 1.0..f64::from(length) + 1.0).contains(&lasted), "{length}: {freeze:?}");
        assert_eq!(explanation.server.late, [], "nobody called the server late");
    }
}

#[test]
fn a_server_that_stands_still_is_told_of_with_what_it_held_and_is_to_blame() {
    let mut world = two();
    talk(&mut world, 4 * SECOND);
    // It has read what came, and does not go on.
    world.is_stalled = true;
    for _ in 0..15 {
        world.send(0, Microphone, false);
        world.send(0, Camera, false);
        world.run(Duration::from_millis(40));
    }
    world.is_stalled = false;
    world.settle();
    talk(&mut world, 4 * SECOND);
    let explanation = explained(&trace_of(world));
    let server = &explanation.server;
    let [longest, ..] = &server.held[..] else { panic!("{server:?}") };
    // From the first packet to the last, with which the turn's time ends.
    assert_eq!(longest.lasted.0, Duration::from_millis(14 * 40), "{server:?}");
    assert!(longest.what.contains("packets of Anna's"), "{server:?}");
    assert!(server.late.first().is_some_and(|late| late.lasted.0 > Duration::from_millis(300)), "{server:?}");
    let ben = &explanation.participants[1];
    let freezes: Vec<_> = ben.watches.iter().flat_map(|watched| &watched.freezes).collect();
    let [freeze] = freezes[..] else { panic!("{freezes:?}") };
    assert_eq!(freeze.blame, Blame::Server, "{freeze:?}");
    assert_says(
        ben,
        "14 packets of it came to the server meanwhile and were held there. To blame: the server",
    );
    let text = text::render(&explanation, None);
    assert!(
        text.contains("waited to be forwarded for 560 ms") && text.contains("most late for a deadline"),
        "{text}"
    );
}

#[test]
fn pictures_that_there_was_no_time_for_stand_still_by_the_servers_fault() {
    let explanation = with_a_bad_second(
        two(),
        |world| world.input(Recorded::Shed(Shedding::ALL)),
        |world| world.input(Recorded::Shed(Shedding::NONE)),
    );
    let ben = &explanation.participants[1];
    assert_says(ben, "video-shed: the server's processor was full: some video was not forwarded");
    assert_says(ben, "video-shed: the server had time again");
    let freezes: Vec<_> = ben.watches.iter().flat_map(|watched| &watched.freezes).collect();
    let [freeze] = freezes[..] else { panic!("{freezes:?}") };
    assert_eq!(freeze.blame, Blame::Server, "{freeze:?}");
}

#[test]
fn a_server_that_stood_still_is_told_of_everybody_who_was_there() {
    let mut world = two();
    talk(&mut world, SECOND);
    world.now += 7 * SECOND;
    world.input(Recorded::StoodStill(7 * SECOND));
    talk(&mut world, SECOND);
    let explanation = explained(&trace_of(world));
    for person in &explanation.participants {
        assert_says(person, "server-stood-still: the server stood still for 7.0 s");
    }
}

#[test]
fn a_camera_that_sends_nothing_is_blamed_on_its_owner_and_a_muted_one_on_nobody() {
    let mut world = two();
    talk(&mut world, 3 * SECOND);
    let camera = world.clients[1].track(Camera);
    world.command(1, Command::Mute { track: camera, muted: true });
    for picture in 0..50 {
        world.send(0, Microphone, false);
        // Ben's is muted, and a browser's encoder is slow for once.
        if !(10..40).contains(&picture) {
            world.send(0, Camera, false);
        }
        world.run(Duration::from_millis(40));
    }
    world.command(1, Command::Mute { track: camera, muted: false });
    for _ in 0..8 {
        world.send(0, Camera, false);
        world.send(1, Camera, false);
        world.run(Duration::from_millis(40));
    }
    talk(&mut world, SECOND);
    let explanation = explained(&trace_of(world));
    let [anna, ben] = &explanation.participants[..] else { panic!("{explanation:?}") };
    let freezes: Vec<_> = ben.watches.iter().flat_map(|watched| &watched.freezes).collect();
    assert!(freezes.len() == 1 && freezes[0].blame == Blame::Publisher, "{freezes:?}");
    assert_says(
        ben,
        "Anna's camera sent nothing meanwhile, while other media of theirs came. To blame: Anna's sender",
    );
    assert!(anna.watches.iter().all(|watched| watched.freezes.is_empty()), "nobody expects a muted camera");
    assert_says(ben, "muted: muted the camera");
    assert_says(ben, "unmuted: unmuted the camera");
    assert_says(
        ben,
        "keyframe-request: was asked for a key frame of the camera, because the publisher unmuted",
    );
}

#[test]
fn who_comes_and_goes_how_they_are_reached_and_why_key_frames_are_asked_for_is_told() {
    let mut world = two();
    talk(&mut world, SECOND);
    let cleo = world.join("standup", "Cleo");
    world.publish(cleo, 2, &[]);
    crate::connected(&mut world);
    talk(&mut world, SECOND);
    let camera = world.clients[0].track(Camera);
    world.ask_keyframe(cleo, camera);
    world.run(Duration::from_millis(300));
    talk(&mut world, SECOND);
    world.restart_ice(0);
    world.break_signalling(1);
    talk(&mut world, SECOND);
    world.resume(1, None);
    world.clients[0].address.set_port(6000);
    world.command(cleo, Command::Leave);
    talk(&mut world, SECOND);
    let explanation = explained(&trace_of(world));
    let [anna, ben, cleo] = &explanation.participants[..] else { panic!("{explanation:?}") };
    assert_says(anna, "path: is reached by UDP, 10.0.0.1:5000");
    assert_says(anna, "connected: connected by UDP, 10.0.0.1:5000");
    assert_says(anna, "published: publishes the camera");
    assert_says(
        anna,
        "keyframe-request: was asked for a key frame of the camera, because Cleo began to watch; it came after",
    );
    assert_says(anna, "because Cleo could not decode the picture and asked");
    assert_says(anna, "ice-restart: restarted ICE");
    assert_says(anna, "path-changed: has another address: 10.0.0.1:6000, before 10.0.0.1:5000");
    assert_says(ben, "signalling-lost: signalling broke; media goes on");
    assert_says(ben, "signalling-back: signalling is back");
    assert_says(cleo, "subscribed: is subscribed to Anna's camera");
    assert_says(cleo, "first: sees Anna's camera");
    assert_says(cleo, "left: left");
    assert_says(ben, "left: was told that the server stops");
    assert!(cleo.present.to < ben.present.to, "{:?}", cleo.present);
}

#[test]
fn why_the_server_was_woken_and_whose_time_was_up_is_told() {
    let mut world = two();
    talk(&mut world, 2 * SECOND);
    world.break_signalling(1);
    // He goes on answering checks, so it is not his media path that is dead.
    world.run(40 * SECOND);
    let explanation = explained(&trace_of(world));
    assert_says(
        &explanation.participants[1],
        "left: was removed: their signalling broke, and they were not back in time",
    );
    let woken = &explanation.server.woken;
    let times = |what: &str| woken.iter().find(|woken| woken.what == what).map_or(0, |woken| woken.times);
    // Video was shown for most of the 42 seconds, and reports go out about once a second while it is.
    assert!(times("reports") >= 30, "{woken:?}");
    assert!(woken.iter().all(|woken| woken.in_vain <= woken.times), "{woken:?}");
    let summary = text::short(&explanation).join("\n");
    let total: u64 = woken.iter().map(|woken| woken.times).sum();
    assert!(summary.contains(&format!("The server was woken {total} times for this room: ")), "{summary}");
    assert!(summary.contains(&format!("{} for reports", times("reports"))), "{summary}");
}

#[test]
fn a_stripped_trace_tells_the_same_story() {
    let mut world = recorded("*");
    eventful(&mut world, "standup");
    let trace = trace_of(world);
    let mut stripped = Vec::new();
    let mut whole = Trace::open(trace.as_slice(), None).expect("a trace");
    strip(&mut whole, Instant::now(), &mut stripped, false).expect("it can be stripped");
    let (of_whole, mut of_stripped) = (explained(&trace), explained(&stripped));
    assert!(of_stripped.stripped && !of_whole.stripped);
    of_stripped.stripped = false;
    assert_eq!(of_whole, of_stripped);
    assert!(of_whole.participants.iter().any(|person| said(person).contains("freeze")), "{of_whole:?}");
}

#[test]
fn a_trace_that_was_cut_is_explained_up_to_its_last_whole_block() {
    let mut world = two();
    talk(&mut world, 8 * SECOND);
    let trace = trace_of(world);
    let whole = explained(&trace);
    let cut = explained(&trace[..trace.len() * 2 / 3]);
    assert!(cut.call_time < whole.call_time && cut.call_time.0 > SECOND, "{:?}", cut.call_time);
    assert!(cut.ending.contains("ends in the middle"), "{}", cut.ending);
    assert_says(&cut.participants[1], "first: sees Anna's camera");
    let mut stripped = Vec::new();
    let mut trace = Trace::open(trace.as_slice(), None).expect("a trace");
    strip(&mut trace, Instant::now(), &mut stripped, false).expect("it can be stripped");
    let cut = explained(&stripped[..stripped.len() * 2 / 3]);
    assert!(cut.call_time < whole.call_time, "{:?}", cut.call_time);
    assert!(cut.ending.contains("ends in the middle"), "{}", cut.ending);
}

#[test]
fn whatever_a_stripped_trace_holds_nothing_worse_than_a_message_comes_of_it() {
    let mut world = recorded("*");
    eventful(&mut world, "standup");
    let trace = trace_of(world);
    let mut trace = Trace::open(trace.as_slice(), None).expect("a trace");
    let mut out = Vec::new();
    strip(&mut trace, Instant::now(), &mut out, false).expect("it can be stripped");
    let mut stripped = Trace::open(out.as_slice(), None).expect("a trace");
    let header = stripped.header().clone();
    let (kind, block) = stripped.next_block().expect("facts");
    let mut noise: u32 = 1;
    let mut told = 0;
    for _ in 0..300 {
        let mut block = block.clone();
        for _ in 0..2 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let place = noise as usize % block.len();
            block[place] ^= (noise >> 24) as u8 | 1;
        }
        let mut writer = TraceWriter::new(Vec::new(), &header).expect("memory");
        writer.block(kind, &block).expect("memory");
        let end = strait::trace::EndOfTrace { complete: false, reason: "a test".to_owned() };
        let bytes = writer.end(&end).expect("memory");
        let mut trace = Trace::open(bytes.as_slice(), None).expect("a header");
        if let Ok((explanation, _)) = explain(&mut trace, Instant::now()) {
            told += 1;
            html::render(&explanation);
            text::render(&explanation, None);
        }
    }
    assert!(told > 10, "{told}");
}

#[test]
fn the_page_needs_nothing_else_and_has_a_lane_for_everyone() {
    let mut world = two();
    let eve = world.join("standup", "Eve <script>\"'&");
    world.publish(eve, 2, &[Microphone]);
    crate::connected(&mut world);
    talk(&mut world, 3 * SECOND);
    world.loses_down = |_| true;
    talk(&mut world, SECOND);
    world.loses_down = |_| false;
    talk(&mut world, 3 * SECOND);
    let explanation = explained(&trace_of(world));
    let page = html::render(&explanation);
    for loads in ["http://", "https://", "<script", "<link", "@import", "src=", "href="] {
        assert!(!page.contains(loads), "{loads}");
    }
    let [anna, ben, eve] = &explanation.participants[..] else { panic!("{explanation:?}") };
    for person in [anna, ben, eve] {
        let lane = format!("<g class=\"lane\" data-participant=\"{}\">", person.id);
        assert_eq!(page.matches(&lane).count(), 1, "{}", person.name);
    }
    assert!(page.contains("Eve &lt;script&gt;&quot;&#39;&amp;"), "a name is a name");
    assert!(page.contains("class=\"freeze subscriber-downlink\""), "what stood still is seen");
    assert!(page.contains("prefers-color-scheme: dark"));
    assert_eq!(page.matches("<svg").count(), 1);
    assert_eq!(page.matches("<g ").count(), page.matches("</g>").count());
}

#[test]
fn the_program_explains_in_words_as_json_and_as_a_page() {
    let mut world = two();
    talk(&mut world, 4 * SECOND);
    world.loses_down = |_| true;
    talk(&mut world, SECOND);
    world.loses_down = |_| false;
    talk(&mut world, 2 * SECOND);
    let trace = file("explained.trace", &trace_of(world));
    let page = trace.with_extension("html");
    let [trace, page] = [&trace, &page].map(|path| path.to_str().expect("UTF-8"));
    let run = |more: &[&str]| {
        let done = strait(&[&["explain", trace], more].concat());
        (done.status.code(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    };

    let (code, said) = run(&[]);
    assert!(code == Some(0) && said.contains("In short") && said.contains("Anna (p-"), "{said}");
    let (code, said) = run(&["--participant", "ben"]);
    assert!(code == Some(0) && said.contains("Ben (p-") && !said.contains("Anna (p-"), "{said}");
    let (code, said) = run(&["--participant", "Dora"]);
    assert!(
        code == Some(2) && said.contains("nobody in this trace is called Dora; there were: Anna, Ben"),
        "{said}"
    );
    let (code, said) = run(&["--participant", "Ben", "--at", "4500ms"]);
    assert!(code == Some(0) && said.contains("Anna's camera, standing still for"), "{said}");
    assert!(said.contains("at 0:04.500: was reached by UDP, 10.0.0.2:5000"), "{said}");

    let (code, said) = run(&["--json"]);
    assert_eq!(code, Some(0), "{said}");
    let value: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&value["room"], &value["stripped"]), (&"standup".into(), &false.into()));
    let ben = &value["participants"][1];
    assert_eq!(ben["name"], "Ben");
    assert_eq!(ben["routes"][0]["by"], "UDP");
    assert!(ben["routes"][0]["from"].is_number() && ben["routes"][0]["to"].is_number());
    let sources: Vec<&str> =
        ben["publishes"].as_array().expect("tracks").iter().filter_map(|t| t["source"].as_str()).collect();
    assert_eq!(sources, ["microphone", "camera"]);
    let watched = ben["watches"].as_array().expect("tracks");
    let camera = watched.iter().find(|watched| watched["source"] == "camera").expect("a camera");
    assert_eq!(camera["of"], "Anna");
    assert_eq!(camera["freezes"][0]["blame"], "subscriber-downlink");
    assert!(camera["freezes"][0]["why"].as_str().expect("words").contains("lost on the way"));
    let kinds: Vec<&str> =
        ben["timeline"].as_array().expect("entries").iter().filter_map(|e| e["kind"].as_str()).collect();
    assert!(
        ["joined", "connected", "first", "freeze", "left"].iter().all(|kind| kinds.contains(kind)),
        "{kinds:?}"
    );
    let explanation = explained(&std::fs::read(trace).expect("read"));
    assert_eq!(json::render(&explanation), said, "another process tells the same");

    let (code, said) = run(&["--html", page]);
    assert!(code == Some(0) && said.contains("the page is"), "{said}");
    assert_eq!(std::fs::read_to_string(page).expect("a page"), html::render(&explanation));
    for path in [trace, page] {
        let _ = std::fs::remove_file(path);
    }
}

#[test]
fn how_somebody_is_reached_is_told_as_the_server_knew_it_and_not_guessed_from_their_address() {
    // An interface of a network for documentation, from which the TURN server takes addresses, too.
    for (carrier, told) in [
        (Carrier::Udp, "is reached by UDP, 192.0.2.1:5000"),
        (Carrier::TurnTls, "is reached by TURN over TLS, relayed by the server itself"),
        (Carrier::Tls, "is reached by TLS over TCP, 192.0.2.1:5000"),
    ] {
        let mut world = recorded("*");
        (world.network, world.carrier) = (Some("192.0.2"), carrier);
        call_in(&mut world, "standup", &["Anna"], &[Microphone]);
        assert_says(&explained(&trace_of(world)).participants[0], told);
    }
}

#[test]
fn whoever_shows_another_certificate_is_not_told_to_be_connected() {
    let mut world = two();
    let mallory = world.join("standup", "Mallory");
    world.clients[mallory].unplugged = true;
    world.publish(mallory, 1, &[Microphone]);
    let handshake = world.newest_handshake();
    for event in [DtlsEvent::PeerCertificate(b"another certificate".to_vec()), DtlsEvent::Connected] {
        world.input(Recorded::Dtls(handshake, event));
    }
    world.settle();
    let explanation = explained(&trace_of(world));
    let person = &explanation.participants[mallory];
    assert_says(
        person,
        "was refused: the certificate of their handshake is not the one that their offer names",
    );
    assert!(!said(person).contains("connected"), "{}", said(person));
}

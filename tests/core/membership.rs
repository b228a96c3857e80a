//! Coming, going, breaking off and coming back; and that nothing is left of who is gone.

use std::time::Duration;

use aws_lc_rs::hmac;
use strait::core::command::Source::{Camera, Microphone};
use strait::core::command::{Command, Lifeline};
use strait::core::event::{ClosingReason, Event, LeaveReason, RefusalCode};
use strait::core::ids::ConnectionId;
use strait::core::input::{AdminCommand, DtlsEnd, DtlsEvent};
use strait::core::path::{Carrier, Path};
use strait::wire::classify::DatagramKind;
use strait::wire::stun::peek;
use strait::wire::stun_check::{Credentials, write_check};

use crate::world::{Recorded, World};
use crate::{call, call_in, connected, show};

/// How somebody learnt that another one left.
fn left(world: &World, who: usize) -> Vec<LeaveReason> {
    let events = world.clients[who].events.iter();
    events
        .filter_map(|event| if let Event::ParticipantLeft(_, reason) = event { Some(*reason) } else { None })
        .collect()
}

fn closing(world: &World, who: usize) -> Option<ClosingReason> {
    let events = world.clients[who].events.iter();
    events.filter_map(|event| if let Event::Closing(reason) = event { Some(*reason) } else { None }).next()
}

#[test]
fn when_everyone_has_left_nothing_is_left() {
    let mut world = call(&["Anna", "Ben", "Cleo"], &[Microphone, Camera]);
    show(&mut world, 0, Camera, 5);
    for person in 0..3 {
        world.command(person, Command::Leave);
    }
    assert_eq!(left(&world, 2), [LeaveReason::Left; 2]);
    let snapshot = world.sfu.snapshot(world.now);
    assert!(snapshot.rooms.is_empty());
    assert_eq!((snapshot.demux_entries, snapshot.deadlines), (0, 0));
    world.command(0, Command::Leave);
    assert_eq!(world.clients[0].refusals(), [RefusalCode::NotJoined]);
}

#[test]
fn an_empty_room_waits_as_long_as_it_was_told_to() {
    let mut world = World::with(|settings| settings.empty_timeout = Duration::from_secs(300));
    world.join("standup", "Anna");
    world.command(0, Command::Leave);
    world.run(Duration::from_secs(299));
    assert_eq!(world.sfu.snapshot(world.now).rooms.len(), 1);
    world.run(Duration::from_secs(2));
    assert!(world.sfu.snapshot(world.now).rooms.is_empty());
}

#[test]
fn media_goes_on_while_signalling_is_broken_and_the_snapshot_is_whole() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    world.break_signalling(1);
    let reconnecting = |event: &Event| matches!(event, Event::ParticipantReconnecting(_));
    assert_eq!(
        world.clients[0].events.iter().filter(|event| reconnecting(event)).count(),
        1,
        "the others see it at once"
    );
    show(&mut world, 0, Camera, 5);
    let camera = world.clients[0].track(Camera);
    assert_eq!(world.clients[1].received_of(camera).len(), 5, "media goes on");
    let cleo = world.join("standup", "Cleo");
    world.publish(cleo, 2, &[Camera]);
    world.run(Duration::from_millis(200));
    show(&mut world, cleo, Camera, 3);
    let unannounced = world.clients[1].received.len();
    assert_eq!(unannounced, 5, "nothing of a source that Ben does not know of");

    world.resume(1, None);
    let Some(Event::Resumed(_, resumed)) = world.clients[1].events.last().cloned() else {
        panic!("not resumed")
    };
    let names: Vec<&str> =
        resumed.joined.participants.iter().map(|person| person.profile.name.as_str()).collect();
    assert_eq!(names, ["Anna", "Cleo"]);
    assert_eq!(resumed.publications.len(), 1);
    assert_eq!(resumed.slot_map.slots.iter().filter(|slot| slot.track.is_some()).count(), 2);
    show(&mut world, cleo, Camera, 3);
    let cleos = world.clients[cleo].track(Camera);
    assert_eq!(world.clients[1].received_of(cleos).len(), 3);
}

#[test]
fn who_is_back_is_asked_again_for_the_slots_that_were_asked_for_meanwhile() {
    let mut world = World::new();
    let viewer = world.join("standup", "Viewer");
    world.publish(viewer, 1, &[]);
    world.break_signalling(viewer);
    for person in 1..4 {
        world.join("standup", "Somebody");
        world.publish(person, 1, &[Camera]);
    }
    let h264_only =
        str0m::Rtc::builder().set_rtp_mode(true).clear_codecs().enable_opus(true, false).enable_h264(true);
    let late = world.join_with("standup", "Somebody else", h264_only.build(world.now));
    world.resume(viewer, None);
    let asked = |event: &Event| matches!(event, Event::MoreSlots(counts) if counts.video >= 3);
    assert!(world.clients[viewer].events.iter().any(asked));
    world.publish(viewer, 3, &[]);
    assert_eq!(world.clients[viewer].shown().len(), 3);

    world.publish(late, 1, &[]);
    world.break_signalling(late);
    world.resume(late, None);
    let told = |event: &&Event| matches!(event, Event::CannotReceive { .. });
    assert_eq!(world.clients[late].events.iter().filter(told).count(), 6, "of three tracks, then and now");
}

#[test]
fn a_wrong_secret_resumes_nobody_and_a_second_connection_replaces_the_first() {
    let mut world = call(&["Anna", "Ben"], &[]);
    let old = world.clients[1].connection;
    world.resume(1, Some("guess"));
    assert_eq!(world.clients[1].refusals(), [RefusalCode::BadSecret]);
    world.resume(1, None);
    assert!(matches!(world.clients[1].events.last(), Some(Event::Resumed(..))));
    world.input(Recorded::Command(old, None, Command::Leave));
    world.settle();
    assert_eq!(left(&world, 0), [], "the old connection can do nothing any more");
}

#[test]
fn who_vanishes_is_gone_when_the_media_path_has_died_as_well() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    world.clients[1].unplugged = true;
    world.break_signalling(1);
    world.run(Duration::from_secs(14));
    assert_eq!(left(&world, 0), []);
    world.run(Duration::from_secs(3));
    assert_eq!(left(&world, 0), [LeaveReason::MediaTimeout]);
    world.resume(1, None);
    assert_eq!(world.clients[1].refusals(), [RefusalCode::UnknownParticipant]);
}

#[test]
fn a_dead_media_path_is_told_to_all_within_seconds_although_the_signalling_lives() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    let ben = world.clients[1].joined.as_ref().expect("joined").participant;
    let told = |world: &World, who: usize| {
        let events = world.clients[who].events.iter();
        let told = events.filter_map(|event| match event {
            Event::ParticipantMediaLost(id) => Some((*id, true)),
            Event::ParticipantMediaBack(id) => Some((*id, false)),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    world.run(Duration::from_secs(60));
    assert!(told(&world, 0).is_empty(), "checks are enough, without any media: {:?}", told(&world, 0));
    world.clients[1].unplugged = true;
    world.run(Duration::from_millis(5200));
    for who in [0, 1] {
        assert_eq!(told(&world, who), [(ben, true)]);
    }
    let lost = |world: &World| {
        let snapshot = world.sfu.snapshot(world.now);
        snapshot.rooms[0].participants.iter().map(|person| person.media_lost).collect::<Vec<_>>()
    };
    assert_eq!(lost(&world), [false, true]);
    let late = world.join("standup", "Cleo");
    let joined = world.clients[late].joined.as_ref().expect("joined");
    assert_eq!(joined.participants.iter().filter(|person| person.media_lost).count(), 1);
    world.clients[1].unplugged = false;
    world.until("he is heard again", |world| told(world, 0).len() == 2);
    for who in [0, 1] {
        assert_eq!(told(&world, who), [(ben, true), (ben, false)]);
    }
    assert_eq!(lost(&world), [false, false, false]);
}

#[test]
fn who_offers_and_never_connects_is_shown_as_lost_within_seconds_and_is_given_up() {
    // Nothing comes from one of them; checks come from the other, and their handshake never does.
    for (unplugged, loses) in [(true, None), (false, Some(DatagramKind::Dtls))] {
        let mut world = call(&["Anna"], &[Camera]);
        let ben = world.join("standup", "Ben");
        world.clients[ben].unplugged = unplugged;
        world.clients[ben].loses = loses;
        world.publish(ben, 1, &[Camera]);
        let id = world.clients[ben].joined.as_ref().expect("joined").participant;
        world.run(Duration::from_millis(4800));
        let told =
            |world: &World, who: usize| world.clients[who].events.contains(&Event::ParticipantMediaLost(id));
        assert!(!told(&world, 0), "a connection takes a moment");
        world.run(Duration::from_millis(400));
        assert!(told(&world, 0) && told(&world, ben), "{loses:?}");
        let lost = |world: &World| {
            let snapshot = world.sfu.snapshot(world.now);
            snapshot.rooms[0].participants.iter().map(|person| person.media_lost).collect::<Vec<_>>()
        };
        assert_eq!(lost(&world), [false, true]);
        world.restart_ice(ben);
        world.run(Duration::from_secs(24));
        assert_eq!((lost(&world), left(&world, 0)), (vec![false, true], vec![]));
        world.run(Duration::from_secs(2));
        assert_eq!(left(&world, 0), [LeaveReason::HandshakeFailed], "another offer does not begin it anew");
        assert_eq!(closing(&world, ben), Some(ClosingReason::Gone(LeaveReason::HandshakeFailed)));
    }
}

#[test]
fn who_connects_late_is_shown_as_lost_until_then_and_stays() {
    let mut world = call(&["Anna"], &[Camera]);
    let ben = world.join("standup", "Ben");
    world.clients[ben].loses = Some(DatagramKind::Dtls);
    world.publish(ben, 1, &[Camera]);
    let id = world.clients[ben].joined.as_ref().expect("joined").participant;
    world.run(Duration::from_secs(10));
    assert!(world.clients[0].events.contains(&Event::ParticipantMediaLost(id)));
    world.clients[ben].loses = None;
    world.until("he is heard", |world| world.clients[0].events.contains(&Event::ParticipantMediaBack(id)));
    world.run(Duration::from_secs(60));
    assert_eq!(left(&world, 0), []);
}

#[test]
fn who_only_uses_the_signalling_is_not_missed() {
    let mut world = call(&["Anna"], &[Camera]);
    world.join("standup", "A bot that reads the chat");
    world.run(Duration::from_secs(120));
    let lost = |event: &Event| matches!(event, Event::ParticipantMediaLost(_));
    assert!(!world.clients[0].events.iter().any(lost) && left(&world, 0).is_empty());
}

/// The machine is suspended for so long, and the first thing that happens when it wakes up is that deadlines are due.
fn suspend(world: &mut World, time: Duration) {
    world.now += time;
    world.input(Recorded::StoodStill(time));
    world.input(Recorded::Timeout);
}

#[test]
fn the_time_for_a_handshake_does_not_pass_while_the_machine_is_suspended() {
    let mut world = call(&["Anna"], &[Camera]);
    let ben = world.join("standup", "Ben");
    world.clients[ben].loses = Some(DatagramKind::Dtls);
    world.publish(ben, 1, &[Camera]);
    world.run(Duration::from_secs(2));
    suspend(&mut world, Duration::from_secs(40));
    world.run(Duration::from_secs(20));
    assert_eq!(left(&world, 0), [], "nobody is given up for a silence of the server's");
    world.run(Duration::from_secs(10));
    assert_eq!(left(&world, 0), [LeaveReason::HandshakeFailed], "the rest of the time counts");
}

#[test]
fn nothing_is_sent_to_who_is_unreachable_and_pictures_go_on_when_they_are_back() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    show(&mut world, 0, Camera, 5);
    world.clients[1].unplugged = true;
    show(&mut world, 0, Camera, 160);
    let sent = |world: &World| {
        let slots = &world.sfu.snapshot(world.now).rooms[0].participants[1].slots;
        slots.iter().map(|slot| slot.counters.packets).sum::<u64>()
    };
    let before = sent(&world);
    assert!((100..160).contains(&before), "until consent ends: {before}");
    show(&mut world, 0, Camera, 10);
    assert_eq!(sent(&world), before);

    world.clients[1].unplugged = false;
    let asked = world.clients[0].keyframe_requests;
    world.until("Ben is reachable", |world| {
        world.send(0, Camera, false);
        world.clients[0].keyframe_requests > asked
    });
    let received = world.clients[1].received.len();
    show(&mut world, 0, Camera, 5);
    assert_eq!(world.clients[1].received.len(), received + 5);
}

#[test]
fn who_does_not_come_back_in_time_is_gone_although_media_flows() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    world.break_signalling(1);
    world.run(Duration::from_secs(29));
    assert_eq!(left(&world, 0), []);
    world.run(Duration::from_secs(2));
    assert_eq!(left(&world, 0), [LeaveReason::ResumeTimeout]);
}

#[test]
fn each_end_of_a_media_connection_has_its_own_reason_and_everyone_is_told_the_same() {
    let somebody_else = DtlsEvent::PeerCertificate(b"not the certificate that was announced".to_vec());
    let alert = || DtlsEvent::Closed(DtlsEnd::Alert(40));
    let fault = || DtlsEvent::Closed(DtlsEnd::Failed("a fault of the library's".to_owned()));
    let ends = [
        (true, DtlsEvent::Closed(DtlsEnd::Goodbye), LeaveReason::TransportClosed),
        (true, alert(), LeaveReason::TransportClosed),
        (true, fault(), LeaveReason::Error),
        (false, DtlsEvent::Closed(DtlsEnd::Goodbye), LeaveReason::HandshakeFailed),
        (false, alert(), LeaveReason::HandshakeFailed),
        (false, fault(), LeaveReason::HandshakeFailed),
        (false, somebody_else, LeaveReason::FingerprintMismatch),
    ];
    for (is_connected, event, reason) in ends {
        let mut world = call(&["Anna"], &[Microphone]);
        let ben = world.join("standup", "Ben");
        world.clients[ben].unplugged = !is_connected;
        world.publish(ben, 1, &[Microphone]);
        if is_connected {
            world.until("connected", |world| world.clients[ben].rtc.is_connected());
        }
        let handshake = world.newest_handshake();
        world.input(Recorded::Dtls(handshake, event));
        world.settle();
        assert_eq!(closing(&world, ben), Some(ClosingReason::Gone(reason)));
        assert_eq!(left(&world, 0), [reason]);
        let totals = world.sfu.totals();
        let counted = LeaveReason::ALL.into_iter().zip(totals.leaves).filter(|(_, count)| *count > 0);
        assert_eq!(counted.collect::<Vec<_>>(), [(reason, 1)]);
        let refused = u64::from(reason == LeaveReason::FingerprintMismatch);
        let failed = u64::from(reason == LeaveReason::HandshakeFailed);
        assert_eq!((totals.fingerprints_refused, totals.handshakes_failed), (refused, failed));
    }
}

#[test]
fn a_refused_offer_does_not_restart_ice() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    let offer = world.record.iter().rev().find_map(|(_, input)| match input {
        Recorded::Command(_, _, Command::Offer { sdp, .. }) => Some(sdp.clone()),
        _ => None,
    });
    // Other credentials, and two sections of one name.
    let (last, offer) = (world.clients[1].sending[0].0.to_string(), offer.expect("Ben's"));
    let first = offer.lines().find_map(|line| line.strip_prefix("a=mid:")).expect("a section").to_owned();
    let offer = offer.replace("a=ice-pwd:", "a=ice-pwd:x").replace(&last, &first);
    world.command(1, Command::Offer { sdp: offer, publications: Vec::new() });
    assert_eq!(world.clients[1].refusals(), [RefusalCode::BadOffer]);
    world.run(Duration::from_secs(20));
    show(&mut world, 0, Camera, 3);
    assert_eq!(world.clients[1].received.len(), 3, "checks with the old credentials still count");
}

#[test]
fn who_sends_media_and_no_more_checks_is_heard_and_is_sent_nothing() {
    let mut world = World::with(|settings| settings.media_timeout = Duration::from_secs(4));
    call_in(&mut world, "standup", &["Anna"], &[Camera]);
    world.lifeline = Lifeline::Media;
    let studio = world.join("standup", "Studio");
    world.publish(studio, 2, &[Camera]);
    connected(&mut world);
    show(&mut world, studio, Camera, 10);
    show(&mut world, 0, Camera, 10);
    let (theirs, annas) = (world.clients[studio].track(Camera), world.clients[0].track(Camera));
    assert_eq!(world.clients[studio].received_of(annas).len(), 10);
    world.clients[studio].loses = Some(DatagramKind::Stun);
    show(&mut world, studio, Camera, 100);
    assert!(left(&world, 0).is_empty(), "media is life enough");
    let before = world.clients[0].received_of(theirs).len();
    show(&mut world, studio, Camera, 10);
    assert_eq!(world.clients[0].received_of(theirs).len(), before + 10, "and it is shown");
    show(&mut world, 0, Camera, 10);
    assert_eq!(world.clients[studio].received_of(annas).len(), 10, "RFC 7675: they have not consented");
    world.clients[studio].unplugged = true;
    world.run(Duration::from_secs(6));
    assert_eq!(left(&world, 0), [LeaveReason::MediaTimeout], "silence is not");
}

#[test]
fn a_check_by_the_wrong_role_is_refused_and_changes_nothing() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    let answer = world.clients[0].events.iter().find_map(|event| match event {
        Event::Answer { sdp, .. } => Some(sdp.clone()),
        _ => None,
    });
    let answer = answer.expect("she is connected");
    let line = |name: &str| {
        answer.lines().find_map(|line| line.strip_prefix(name)).expect("ICE credentials").to_owned()
    };
    let (ufrag, password) = (line("a=ice-ufrag:"), line("a=ice-pwd:"));
    let credentials = Credentials { username: format!("{ufrag}:x"), password, tie_breaker: 1 };
    let mut check = Vec::new();
    write_check(&mut check, [9; 12], &credentials);
    let role = check.windows(4).position(|bytes| bytes == [0x80, 0x2a, 0, 8]).expect("ICE-CONTROLLING");
    check[role + 1] = 0x29;
    // Signed anew: the integrity lies before the fingerprint's eight bytes, and does not cover that.
    let integrity = check.len() - 8 - 24;
    let mut signed = check[..integrity].to_vec();
    signed[2..4].copy_from_slice(&((integrity + 24 - 20) as u16).to_be_bytes());
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, credentials.password.as_bytes());
    check[integrity + 4..integrity + 24].copy_from_slice(hmac::sign(&key, &signed).as_ref());
    let elsewhere = "10.66.6.6:666".parse().expect("an address");
    let path = Path { carrier: Carrier::Udp, local: crate::world::server_address(), remote: elsewhere };
    let before = world.outputs.len();
    world.input(Recorded::Datagram(path, check));
    world.settle();
    show(&mut world, 0, Camera, 5);
    let went_there = |output: &&Vec<u8>| String::from_utf8_lossy(output).contains("10.66.6.6");
    let answers: Vec<&Vec<u8>> = world.outputs[before..].iter().filter(went_there).collect();
    assert_eq!(answers.len(), 1, "the refusal and nothing else");
    assert!(answers[0].windows(4).any(|bytes| bytes == [0, 0, 4, 87]), "487");
    let camera = world.clients[0].track(Camera);
    assert_eq!(world.clients[1].received_of(camera).len(), 5);
}

#[test]
fn an_encoder_that_falls_silent_is_reconnecting_until_it_is_heard_again() {
    let mut world = call(&["Anna"], &[Camera]);
    world.lifeline = Lifeline::Media;
    let studio = world.join("standup", "Studio");
    world.publish(studio, 0, &[Camera]);
    connected(&mut world);
    show(&mut world, studio, Camera, 50);
    let told = |world: &World| -> Vec<bool> {
        let events = world.clients[0].events.iter();
        events
            .filter_map(|event| match event {
                Event::ParticipantReconnecting(_) => Some(true),
                Event::ParticipantResumed(_) => Some(false),
                _ => None,
            })
            .collect()
    };
    assert!(told(&world).is_empty());
    world.clients[studio].unplugged = true;
    world.run(Duration::from_secs(2));
    assert!(told(&world).is_empty());
    world.run(Duration::from_secs(2));
    assert_eq!(told(&world), [true]);
    world.clients[studio].unplugged = false;
    show(&mut world, studio, Camera, 5);
    assert_eq!(told(&world), [true, false]);
}

#[test]
fn a_check_that_somebody_saw_pass_does_not_bring_them_the_media() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    let bens = world.clients[1].address;
    let check = world.record.iter().rev().find_map(|(_, input)| match input {
        Recorded::Datagram(path, bytes) if path.remote == bens && bytes[0] == 0 => Some(bytes.clone()),
        _ => None,
    });
    let path = Path {
        carrier: Carrier::Udp,
        local: crate::world::server_address(),
        remote: "10.66.6.6:666".parse().expect("address"),
    };
    world.input(Recorded::Datagram(path, check.expect("a check of Ben's")));
    world.settle();
    show(&mut world, 0, Camera, 3);
    assert_eq!(world.clients[1].received.len(), 3);
}

#[test]
fn who_was_there_before_the_machine_was_suspended_is_there_when_it_wakes_up() {
    let mut world = World::new();
    world.lifeline = Lifeline::Media;
    call_in(&mut world, "standup", &["Anna", "Ben"], &[Microphone, Camera]);
    world.lifeline = Lifeline::Signalling;
    call_in(&mut world, "standup", &["Cleo"], &[Microphone, Camera]);
    show(&mut world, 0, Camera, 5);
    world.break_signalling(2);
    // Nothing of what clients send meanwhile is read.
    suspend(&mut world, Duration::from_secs(40));
    for person in 0..2 {
        assert!(left(&world, person).is_empty(), "nobody is given up for a silence of the server's");
        let is_lost = |event: &Event| matches!(event, Event::ParticipantMediaLost(_));
        assert!(!world.clients[person].events.iter().any(is_lost), "nor is anybody told to be silent");
    }
    // The clients check, and all goes on.
    world.settle();
    let track = world.clients[0].track(Camera);
    let before = world.clients[1].received_of(track).len();
    show(&mut world, 0, Camera, 30);
    assert!(world.clients[1].received_of(track).len() >= before + 25, "Ben sees Anna");
    // Whoever is really gone is given up in the end.
    world.until("Cleo is given up", |world| !left(world, 0).is_empty());
}

#[test]
fn one_participant_cannot_have_the_engine_remember_addresses_without_end() {
    let mut world = call(&["Anna", "Ben"], &[]);
    let mut last = 0;
    for port in 1..200 {
        world.clients[1].address = std::net::SocketAddr::new([10, 66, 0, 1].into(), port);
        world.run(Duration::from_secs(5));
        let path = world.sfu.snapshot(world.now).rooms[0].participants[1].path;
        last = path.map_or(last, |path| path.remote.port());
    }
    assert!((100..=128).contains(&last), "followed up to {last}");
}

#[test]
fn full_rooms_and_a_full_server_refuse_and_say_so() {
    let mut world = World::with(|settings| {
        settings.participants_per_room_max = 1;
        settings.rooms_max = 2;
    });
    world.join("one", "Anna");
    let ben = world.join("one", "Ben");
    assert_eq!(world.clients[ben].refusals(), [RefusalCode::RoomFull]);
    world.ask_to_join(ben, "two", "Ben");
    let cleo = world.join("three", "Cleo");
    assert_eq!(world.clients[cleo].refusals(), [RefusalCode::TooManyRooms]);
    world.ask_to_join(0, "one", "Anna");
    assert_eq!(world.clients[0].refusals(), [RefusalCode::AlreadyJoined]);
    world.command(0, Command::Leave);
    world.ask_to_join(cleo, "one", "Cleo");
    assert!(world.clients[cleo].joined.is_some(), "there is room again");
}

#[test]
fn rooms_that_nobody_is_in_make_place_for_others_the_longest_empty_first() {
    let mut world = World::with(|settings| {
        settings.rooms_max = 2;
        settings.empty_timeout = Duration::from_secs(300);
    });
    let (anna, ben) = (world.join("one", "Anna"), world.join("two", "Ben"));
    world.command(ben, Command::Leave);
    world.run(Duration::from_secs(1));
    world.command(anna, Command::Leave);
    world.run(Duration::from_secs(1));
    let cleo = world.join("three", "Cleo");
    assert!(world.clients[cleo].joined.is_some());
    let rooms = |world: &World| -> Vec<String> {
        let snapshot = world.sfu.snapshot(world.now);
        snapshot.rooms.iter().map(|room| room.room.to_string()).collect()
    };
    let left = rooms(&world);
    assert!(left.len() == 2 && !left.contains(&"two".to_owned()), "{left:?}");
    let dan = world.join("four", "Dan");
    assert!(world.clients[dan].joined.is_some());
    let ella = world.join("five", "Ella");
    assert_eq!(world.clients[ella].refusals(), [RefusalCode::TooManyRooms], "somebody is in each");
}

#[test]
fn who_was_never_in_the_call_is_gone_within_seconds_and_makes_way_before() {
    let mut world = World::with(|settings| {
        settings.participants_per_room_max = 2;
        settings.rooms_max = 1;
        settings.empty_timeout = Duration::from_secs(300);
    });
    let anna = world.join("one", "Anna");
    let ghost = world.join("one", "Ghost");
    world.break_signalling(ghost);
    world.run(Duration::from_secs(4));
    assert_eq!(left(&world, anna), [], "a page that loads may still come back");
    world.run(Duration::from_secs(2));
    assert_eq!(left(&world, anna), [LeaveReason::ResumeTimeout]);

    let ghost = world.join("one", "Ghost");
    let ben = world.join("one", "Ben");
    assert_eq!(world.clients[ben].refusals(), [RefusalCode::RoomFull], "they are all there");
    world.break_signalling(ghost);
    world.ask_to_join(ben, "one", "Ben");
    assert!(world.clients[ben].joined.is_some(), "a lingerer makes way");
    assert_eq!(left(&world, anna), [LeaveReason::ResumeTimeout, LeaveReason::MadeWay]);

    let cleo = world.join("two", "Cleo");
    assert_eq!(
        world.clients[cleo].refusals(),
        [RefusalCode::TooManyRooms],
        "Anna and Ben are in the only room"
    );
    world.break_signalling(anna);
    world.break_signalling(ben);
    world.ask_to_join(cleo, "two", "Cleo");
    assert!(world.clients[cleo].joined.is_some(), "a room of nobody but lingerers makes way");
    let leaves = world.sfu.totals().leaves;
    assert_eq!(leaves[LeaveReason::MadeWay as usize], 3, "the lingerer, and those in the room");
    assert_eq!(leaves[LeaveReason::RoomClosed as usize], 0, "no operator closed it");
}

#[test]
fn who_has_been_in_the_call_keeps_their_place_while_they_are_away() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    world.break_signalling(1);
    world.run(Duration::from_secs(20));
    assert_eq!(left(&world, 0), []);
    world.resume(1, None);
    assert!(matches!(world.clients[1].events.last(), Some(Event::Resumed(..))));
}

#[test]
fn the_operator_removes_people_closes_rooms_and_stops_the_server() {
    let mut world = call(&["Anna", "Ben", "Cleo"], &[Microphone]);
    let room: strait::core::ids::RoomId = "standup".parse().expect("a room id");
    let anna = world.clients[0].joined.as_ref().expect("joined").participant;
    world.input(Recorded::Admin(AdminCommand::Remove(room.clone(), anna)));
    world.settle();
    assert_eq!(closing(&world, 0), Some(ClosingReason::Gone(LeaveReason::Removed)));
    assert_eq!(left(&world, 1), [LeaveReason::Removed]);
    // Who has no signalling, by WHIP and WHEP, hears it by the media path alone.
    let hung_up = |world: &World| world.clients.iter().map(|client| client.hung_up).collect::<Vec<_>>();
    assert_eq!(hung_up(&world), [true, false, false]);
    world.input(Recorded::Admin(AdminCommand::CloseRoom(room)));
    world.settle();
    assert_eq!(closing(&world, 1), Some(ClosingReason::Gone(LeaveReason::RoomClosed)));
    assert_eq!(hung_up(&world), [true, true, true]);
    let dan = world.join("other", "Dan");
    world.input(Recorded::Admin(AdminCommand::Shutdown));
    world.settle();
    assert_eq!(closing(&world, dan), Some(ClosingReason::Gone(LeaveReason::Shutdown)));
    let late = world.join("other", "Late");
    assert_eq!(world.clients[late].refusals(), [RefusalCode::ShuttingDown]);
    assert_eq!(world.sfu.snapshot(world.now).demux_entries, 0);
}

#[test]
fn garbage_from_strangers_and_from_a_participants_own_address_changes_nothing() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    let mut noise = fastrand::Rng::with_seed(3);
    for round in 0..2000 {
        let length = noise.usize(0..200);
        let mut bytes: Vec<u8> = (0..length).map(|_| noise.u8(..)).collect();
        if let Some(first) = bytes.first_mut() {
            *first = [0, 1, 20, 22, 63, 128, 144, 191][round % 8];
        }
        let remote =
            if round % 2 == 0 { world.clients[0].address } else { "10.7.7.7:7".parse().expect("address") };
        let path = Path { carrier: Carrier::Udp, local: crate::world::server_address(), remote };
        world.input(Recorded::Datagram(path, bytes));
    }
    world.settle();
    world.input(Recorded::ConnectionLost(ConnectionId(999)));
    show(&mut world, 0, Camera, 5);
    let camera = world.clients[0].track(Camera);
    assert_eq!(world.clients[1].received_of(camera).len(), 5);
}

#[test]
fn who_lives_by_their_media_path_stays_while_it_does_and_no_longer() {
    let mut world = World::with(|settings| settings.media_timeout = Duration::from_secs(20));
    world.join("standup", "Anna");
    world.lifeline = Lifeline::Media;
    world.join("standup", "Studio");
    world.run(Duration::from_secs(19));
    assert!(left(&world, 0).is_empty());
    world.run(Duration::from_secs(2));
    assert_eq!(left(&world, 0), [LeaveReason::MediaTimeout], "they never connected");
    assert_eq!(closing(&world, 1), Some(ClosingReason::Gone(LeaveReason::MediaTimeout)));

    let mut world = call(&["Anna", "Ben"], &[Camera]);
    world.lifeline = Lifeline::Media;
    let studio = world.join("standup", "Studio");
    world.publish(studio, 1, &[Camera]);
    world.until("connected", |world| world.clients[studio].rtc.is_connected());
    world.run(Duration::from_secs(120));
    assert!(left(&world, 0).is_empty(), "checks keep them");
    world.clients[studio].unplugged = true;
    world.run(Duration::from_secs(60));
    assert_eq!(left(&world, 0), [LeaveReason::MediaTimeout]);
}

#[test]
fn a_check_that_somebody_saw_pass_and_sends_again_from_elsewhere_changes_nothing() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    let elsewhere = "10.66.6.6:666".parse().expect("an address");
    let again = world.record.iter().filter_map(|(_, input)| match input {
        Recorded::Datagram(path, bytes)
            if peek(bytes).is_some_and(|message| message.is_binding_request()) =>
        {
            Some(Recorded::Datagram(Path { remote: elsewhere, ..*path }, bytes.clone()))
        }
        _ => None,
    });
    let again: Vec<Recorded> = again.collect();
    assert!(again.len() >= 4, "{} checks", again.len());
    let before = world.outputs.len();
    for check in again {
        world.input(check);
        world.settle();
    }
    show(&mut world, 0, Camera, 5);
    let strayed = |output: &&Vec<u8>| String::from_utf8_lossy(output).contains("10.66.6.6");
    assert_eq!(world.outputs[before..].iter().filter(strayed).count(), 0, "nothing goes there");
    let camera = world.clients[0].track(Camera);
    assert_eq!(world.clients[1].received_of(camera).len(), 5);
}

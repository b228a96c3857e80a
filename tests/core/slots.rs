//! Who gets which slot, and what happens when there are too few.

use std::time::Duration;

use strait::core::command::Source::{Camera, Microphone, Screen};
use strait::core::command::{Command, MediaKind};
use strait::core::event::{Event, RefusalCode, WaitingReason};

use crate::world::World;
use crate::{call, connected, show};

#[test]
fn microphone_and_camera_of_one_person_share_a_slot_number() {
    let mut world = World::new();
    for (index, name) in ["Anna", "Ben", "Cleo"].into_iter().enumerate() {
        world.join("standup", name);
        // Anna shows her camera only, so that the kinds would drift apart if each took its next free slot.
        let sources = if index == 0 { vec![Camera] } else { vec![Microphone, Camera] };
        world.publish(index, 4, &sources);
    }
    connected(&mut world);
    let map = world.clients[0].slot_map.clone().expect("a map");
    let kinds = world.clients[0].slots.clone();
    let number = |track| {
        let slot = map.slots.iter().find(|slot| slot.track.map(|t| t.0) == Some(track)).expect("it is shown");
        let kind = kinds.iter().find(|(mid, _)| **mid == *slot.mid).expect("its own section").1;
        kinds.iter().filter(|(_, other)| *other == kind).position(|(mid, _)| **mid == *slot.mid)
    };
    for person in [1, 2] {
        let client = &world.clients[person];
        assert_eq!(number(client.track(Microphone)), number(client.track(Camera)));
    }
}

#[test]
fn slots_of_one_number_share_a_stream_also_when_another_slot_was_closed() {
    let mut world = World::new();
    for name in ["Anna", "Ben"] {
        let person = world.join("standup", name);
        world.publish(person, 3, &[Microphone, Camera]);
    }
    let first_video = world.clients[0].slots[1].0;
    world.redirect(0, first_video, str0m::media::Direction::Inactive);
    world.join("standup", "Cleo");
    world.publish(2, 2, &[Microphone, Camera]);
    connected(&mut world);
    let client = &world.clients[0];
    let answer = client.events.iter().rev().find_map(|event| match event {
        Event::Answer { sdp, .. } => Some(sdp.clone()),
        _ => None,
    });
    let answer = answer.expect("an answer");
    let stream_of = |track| {
        let slots = &client.slot_map.as_ref().expect("a map").slots;
        let mid = slots.iter().find(|slot| slot.track.map(|t| t.0) == Some(track)).expect("shown").mid;
        let section = answer.split("m=").find(|section| section.contains(&format!("a=mid:{mid}\r\n")));
        let msid = section.expect("its section").lines().find_map(|line| line.strip_prefix("a=msid:"));
        msid.expect("a stream").split(' ').next().map(str::to_owned)
    };
    let cleo = &world.clients[2];
    assert_eq!(stream_of(cleo.track(Microphone)), stream_of(cleo.track(Camera)));
}

#[test]
fn when_slots_run_out_the_server_asks_for_more_and_lists_who_waits() {
    let mut world = World::new();
    let viewer = world.join("standup", "Viewer");
    world.publish(viewer, 1, &[]);
    for person in 1..4 {
        world.join("standup", "Somebody");
        world.publish(person, 1, &[Camera]);
    }
    connected(&mut world);
    let client = &world.clients[viewer];
    let wanted = client.events.iter().rev().find_map(|event| match event {
        Event::MoreSlots(counts) => Some(counts.video),
        _ => None,
    });
    assert!(wanted >= Some(3), "{wanted:?}");
    let map = client.slot_map.as_ref().expect("a map");
    assert_eq!(map.waiting.len(), 2);
    assert!(map.waiting.iter().all(|(_, reason)| *reason == WaitingReason::NoSlotYet));
    assert_eq!(client.shown().len(), 1);

    world.publish(viewer, 3, &[]);
    assert_eq!(world.clients[viewer].shown().len(), 3, "more slots are filled at once");
    show(&mut world, 1, Camera, 3);
    show(&mut world, 3, Camera, 3);
    for person in [1, 3] {
        let track = world.clients[person].track(Camera);
        assert_eq!(world.clients[viewer].received_of(track).len(), 3);
    }
}

#[test]
fn beyond_the_most_slots_a_track_waits_and_says_why() {
    let mut world = World::with(|settings| settings.slots_max.video = 1);
    for person in 0..3 {
        world.join("standup", "Somebody");
        world.publish(person, 1, &[Camera]);
    }
    connected(&mut world);
    let waiting = world.clients[0].slot_map.clone().expect("a map").waiting;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].1, WaitingReason::SlotLimit);
    let leaver = world
        .clients
        .iter()
        .position(|c| c.joined.is_some() && world.clients[0].shown().contains(&c.publications[0].info.track))
        .expect("somebody is shown");
    world.command(leaver, Command::Leave);
    let map = world.clients[0].slot_map.clone().expect("a map");
    assert!(
        map.waiting.is_empty() && world.clients[0].shown() == vec![waiting[0].0],
        "the slot goes to who waited"
    );
}

#[test]
fn unsubscribing_frees_the_slot_and_stops_the_stream() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    let camera = world.clients[0].track(Camera);
    show(&mut world, 0, Camera, 3);
    world.command(1, Command::Unsubscribe(camera));
    assert!(world.clients[1].shown().is_empty());
    let before = world.clients[1].received.len();
    show(&mut world, 0, Camera, 3);
    assert_eq!(world.clients[1].received.len(), before);
    world.command(1, Command::Subscribe(camera));
    show(&mut world, 0, Camera, 3);
    assert_eq!(world.clients[1].received.len(), before + 3);
}

#[test]
fn a_slot_that_was_given_up_goes_to_who_waited() {
    let mut world = World::with(|settings| settings.slots_max.video = 1);
    let viewer = world.join("standup", "Viewer");
    world.publish(viewer, 1, &[]);
    for person in 1..3 {
        world.join("standup", "Somebody");
        world.publish(person, 1, &[Camera]);
    }
    connected(&mut world);
    let [first, second] = [1, 2].map(|person| world.clients[person].track(Camera));
    assert_eq!(world.clients[viewer].shown(), [first]);
    world.command(viewer, Command::Unsubscribe(first));
    assert_eq!(world.clients[viewer].shown(), [second]);
    show(&mut world, 2, Camera, 3);
    assert_eq!(world.clients[viewer].received_of(second).len(), 3);
}

#[test]
fn a_second_offer_adds_a_screen_beside_the_camera_and_takes_it_away() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    world.publish(0, 0, &[Screen]);
    assert_eq!(world.clients[1].tracks_added().last().expect("told").source, Screen);
    world.run(Duration::from_millis(50));
    show(&mut world, 0, Screen, 3);
    let screen = world.clients[0].track(Screen);
    assert_eq!(world.clients[1].received_of(screen).len(), 3);
    world.clients[0].sending.retain(|(_, source)| *source != Screen);
    world.publish(0, 1, &[]);
    assert!(!world.clients[1].shown().contains(&screen));
    assert!(
        world.clients[1]
            .events
            .iter()
            .any(|event| matches!(event, Event::TrackRemoved(track, _) if *track == screen))
    );
}

#[test]
fn offers_that_cannot_be_met_are_refused_and_change_nothing() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    for sdp in ["", "v=0\r\n", "nonsense", "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"] {
        world.command(0, Command::Offer { sdp: sdp.into(), publications: Vec::new() });
    }
    assert_eq!(world.clients[0].refusals(), [RefusalCode::BadOffer; 4]);
    show(&mut world, 0, Camera, 3);
    let camera = world.clients[0].track(Camera);
    assert_eq!(world.clients[1].received_of(camera).len(), 3, "the call goes on");
    let nobodys = strait::core::ids::TrackId(1);
    for command in [
        Command::Subscribe(nobodys),
        Command::Unsubscribe(camera),
        Command::Pause { track: nobodys, paused: true },
        Command::Mute { track: nobodys, muted: true },
    ] {
        world.command(0, command);
    }
    assert_eq!(world.clients[0].refusals()[4..], [RefusalCode::UnknownTrack; 4]);
    world.command(1, Command::Mute { track: camera, muted: true });
    assert_eq!(
        world.clients[1].refusals(),
        [RefusalCode::UnknownTrack],
        "nobody mutes somebody else's track"
    );
}

#[test]
fn who_cannot_decode_a_track_is_told_and_loses_no_slot() {
    let mut world = call(&["Anna"], &[Camera]);
    let h264_only =
        str0m::Rtc::builder().set_rtp_mode(true).clear_codecs().enable_opus(true, false).enable_h264(true);
    let ben = world.join_with("standup", "Ben", h264_only.build(world.now));
    world.publish(ben, 1, &[]);
    connected(&mut world);
    let camera = world.clients[0].track(Camera);
    let told = world.clients[ben].events.iter().find_map(|event| match event {
        Event::CannotReceive { track, reason } if *track == camera => Some(reason.clone()),
        _ => None,
    });
    assert!(told.expect("Ben is told").contains("VP8"));
    assert!(world.clients[ben].shown().is_empty());
    assert!(world.clients[ben].slot_map.as_ref().expect("a map").waiting.is_empty());
    show(&mut world, 0, Camera, 3);
    assert!(world.clients[ben].received.is_empty());
}

#[test]
fn a_slot_that_unsubscribing_frees_goes_to_who_waits() {
    let mut world = World::with(|settings| settings.slots_max.video = 1);
    for person in 0..3 {
        world.join("standup", "Somebody");
        world.publish(person, 1, &[Camera]);
    }
    connected(&mut world);
    let shown = world.clients[0].shown()[0];
    let waiting = world.clients[0].slot_map.clone().expect("a map").waiting[0].0;
    world.command(0, Command::Unsubscribe(shown));
    assert_eq!(world.clients[0].shown(), [waiting]);
}

#[test]
fn what_a_slot_counts_begins_anew_with_each_track() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    let sent = |world: &World| {
        let people = &world.sfu.snapshot(world.now).rooms[0].participants;
        let ben = people.iter().find(|person| person.profile.name == "Ben").expect("he is there");
        let video =
            |slot: &&strait::core::stats::SlotSnapshot| slot.kind == MediaKind::Video && slot.track.is_some();
        ben.slots.iter().find(video).map(|slot| slot.counters.packets)
    };
    show(&mut world, 0, Camera, 5);
    assert_eq!(sent(&world), Some(5));
    world.command(0, Command::Leave);
    assert_eq!(sent(&world), None);
    let cleo = world.join("standup", "Cleo");
    world.publish(cleo, 1, &[Camera]);
    world.until("connected", |world| world.clients[cleo].rtc.is_connected());
    show(&mut world, cleo, Camera, 2);
    assert_eq!(sent(&world), Some(2), "of Cleo's camera, in the slot that was Anna's");
}

//! What a viewer gets: a picture at once, nothing of the muted, one continuous stream whoever is in the slot.

use std::time::Duration;

use strait::core::Output;
use strait::core::command::Command;
use strait::core::command::Source::{Camera, Microphone, Screen};
use strait::core::datagrams::Datagrams;
use strait::core::event::Event;
use strait::core::input::Shedding;
use strait::core::path::TrafficClass;

use crate::world::{Recorded, World};
use crate::{call, call_in, connected, show};

#[test]
fn who_comes_late_begins_with_a_key_frame_that_was_asked_for() {
    let mut world = call(&["Anna"], &[Camera]);
    show(&mut world, 0, Camera, 5);
    let asked = world.clients[0].keyframe_requests;
    let ben = world.join("standup", "Ben");
    world.publish(ben, 2, &[]);
    connected(&mut world);
    world.send(0, Camera, false);
    world.run(Duration::from_millis(600));
    assert!(world.clients[0].keyframe_requests > asked, "Anna is asked for a key frame");
    let camera = world.clients[0].track(Camera);
    assert!(world.clients[ben].received_of(camera).is_empty(), "and nothing is shown before it");
    show(&mut world, 0, Camera, 3);
    let received = world.clients[ben].received_of(camera);
    assert_eq!(received.len(), 3);
    assert_eq!(received[0].payload[1] & 1, 0, "the first packet is of a key frame");
}

#[test]
fn who_comes_late_to_a_picture_that_does_not_change_sees_it_at_once() {
    let mut world = call(&["Anna"], &[Camera]);
    show(&mut world, 0, Camera, 5);
    world.run(Duration::from_secs(60));
    let asked = world.clients[0].keyframe_requests;
    let ben = world.join("standup", "Ben");
    world.publish(ben, 2, &[]);
    world.until("Ben is connected", |world| world.clients[ben].rtc.is_connected());
    world.run(Duration::from_millis(100));
    assert!(world.clients[0].keyframe_requests > asked, "Anna is asked, however long she was silent");
    let asked = world.clients[0].keyframe_requests;
    world.run(Duration::from_secs(30));
    let again = world.clients[0].keyframe_requests - asked;
    assert!((4..20).contains(&again), "and again, ever more seldom: {again} times");
    show(&mut world, 0, Camera, 1);
    let camera = world.clients[0].track(Camera);
    assert_eq!(world.clients[ben].received_of(camera).len(), 1);
    let asked = world.clients[0].keyframe_requests;
    world.run(Duration::from_secs(30));
    assert_eq!(world.clients[0].keyframe_requests, asked, "until the key frame");
}

#[test]
fn however_many_ask_for_a_key_frame_one_request_leaves_in_a_fifth_of_a_second() {
    let mut world = call(&["Anna", "Ben", "Cleo", "Dan"], &[Camera]);
    show(&mut world, 0, Camera, 10);
    let camera = world.clients[0].track(Camera);
    let before = world.clients[0].keyframe_requests;
    for _ in 0..10 {
        for viewer in 1..4 {
            world.ask_keyframe(viewer, camera);
        }
        world.send(0, Camera, false);
        world.run(Duration::from_millis(100));
    }
    let asked = world.clients[0].keyframe_requests - before;
    assert!((1..=6).contains(&asked), "{asked} requests in one second");
}

#[test]
fn a_request_is_repeated_until_a_key_frame_starts() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    show(&mut world, 0, Camera, 10);
    let camera = world.clients[0].track(Camera);
    let before = world.clients[0].keyframe_requests;
    world.ask_keyframe(1, camera);
    for _ in 0..30 {
        world.send(0, Camera, false);
        world.run(Duration::from_millis(100));
    }
    let asked = world.clients[0].keyframe_requests - before;
    assert!(asked >= 5, "asked {asked} times while no key frame came");
    show(&mut world, 0, Camera, 1);
    let before = world.clients[0].keyframe_requests;
    show(&mut world, 0, Camera, 20);
    assert_eq!(world.clients[0].keyframe_requests, before, "and not any more once it has");
}

#[test]
fn nothing_of_a_muted_track_is_heard_whatever_arrives() {
    let mut world = call(&["Anna", "Ben"], &[Microphone]);
    let microphone = world.clients[0].track(Microphone);
    show(&mut world, 0, Microphone, 5);
    world.command(0, Command::Mute { track: microphone, muted: true });
    show(&mut world, 0, Microphone, 5);
    assert_eq!(world.clients[1].received_of(microphone).len(), 5);
    let told = |wanted| {
        move |event: &&Event| match event {
            Event::TrackMuted { track, muted, .. } => *track == microphone && *muted == wanted,
            _ => false,
        }
    };
    assert_eq!(world.clients[1].events.iter().filter(told(true)).count(), 1);
    assert_eq!(world.clients[0].events.iter().filter(told(true)).count(), 0, "no echo to the author");

    world.command(0, Command::Mute { track: microphone, muted: false });
    show(&mut world, 0, Microphone, 5);
    let received = world.clients[1].received_of(microphone);
    assert_eq!(received.len(), 10);
    let sequences: Vec<u64> = received.iter().map(|packet| *packet.seq_no).collect();
    assert!(
        sequences.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "no gap of the pause's making: {sequences:?}"
    );
}

#[test]
fn sound_of_every_room_leaves_before_pictures_of_any() {
    let mut world = World::new();
    call_in(&mut world, "one", &["Anna", "Ben"], &[Camera]);
    call_in(&mut world, "two", &["Cleo", "Dan"], &[Microphone]);
    connected(&mut world);
    show(&mut world, 0, Camera, 2);
    show(&mut world, 2, Microphone, 2);
    let before = world.outputs.len();
    world.is_stalled = true;
    for (person, source) in [(0, Camera), (2, Microphone)] {
        world.send(person, source, false);
        world.run(Duration::from_millis(1));
    }
    world.is_stalled = false;
    world.settle();
    let at = |class: &str| {
        let is_of = |output: &&[u8]| String::from_utf8_lossy(output).contains(&format!(" {class} "));
        world.outputs[before..].iter().position(|output| is_of(&output.as_slice())).expect(class)
    };
    assert!(at("Audio") < at("Video"), "the camera's packet came first");
}

#[test]
fn unmuting_a_camera_asks_for_a_key_frame() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    let camera = world.clients[0].track(Camera);
    show(&mut world, 0, Camera, 10);
    world.command(0, Command::Mute { track: camera, muted: true });
    world.run(Duration::from_secs(1));
    let before = world.clients[0].keyframe_requests;
    world.command(0, Command::Mute { track: camera, muted: false });
    world.send(0, Camera, false);
    world.run(Duration::from_millis(100));
    assert!(world.clients[0].keyframe_requests > before);
}

#[test]
fn a_slot_goes_on_without_a_seam_when_somebody_else_takes_it() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    show(&mut world, 0, Camera, 10);
    let annas = world.clients[0].track(Camera);
    let ssrc = world.clients[1].received_of(annas)[0].header.ssrc;
    world.command(0, Command::Leave);
    let cleo = world.join("standup", "Cleo");
    world.publish(cleo, 2, &[Camera]);
    world.until("Cleo is connected", |world| world.clients[cleo].rtc.is_connected());
    show(&mut world, cleo, Camera, 10);
    let stream: Vec<_> =
        world.clients[1].received.iter().filter(|packet| packet.header.ssrc == ssrc).collect();
    assert_eq!(stream.len(), 20);
    assert!(stream.windows(2).all(|pair| *pair[1].seq_no == *pair[0].seq_no + 1), "sequence numbers go on");
    let forward = |a: u32, b: u32| b.wrapping_sub(a) < 1 << 31 && a != b;
    assert!(
        stream.windows(2).all(|pair| forward(pair[0].header.timestamp, pair[1].header.timestamp)),
        "timestamps go on"
    );
    let from = world.clients[1]
        .slot_map
        .as_ref()
        .expect("a map")
        .slots
        .iter()
        .find_map(|slot| slot.track)
        .expect("one")
        .1;
    assert!(
        stream[..10].iter().all(|packet| forward(packet.header.timestamp, from)),
        "Anna is before the promise"
    );
    assert!(stream[10..].iter().all(|packet| !forward(packet.header.timestamp, from)), "Cleo is after it");
}

#[test]
fn a_paused_subscription_gets_nothing_and_resumes_with_a_key_frame() {
    let mut world = call(&["Anna", "Ben"], &[Camera]);
    let camera = world.clients[0].track(Camera);
    show(&mut world, 0, Camera, 5);
    world.command(1, Command::Pause { track: camera, paused: true });
    show(&mut world, 0, Camera, 5);
    assert_eq!(world.clients[1].received_of(camera).len(), 5);
    let before = world.clients[0].keyframe_requests;
    world.command(1, Command::Pause { track: camera, paused: false });
    world.send(0, Camera, false);
    world.run(Duration::from_millis(600));
    assert!(world.clients[0].keyframe_requests > before);
    show(&mut world, 0, Camera, 5);
    assert_eq!(world.clients[1].received_of(camera).len(), 10);
}

#[test]
fn messages_reach_whom_they_name() {
    let mut world = call(&["Anna", "Ben", "Cleo"], &[]);
    let ben = world.clients[1].joined.as_ref().expect("joined").participant;
    let data = |to| Command::Data { to, topic: "chat".into(), payload: "\"hello\"".into(), is_lossy: false };
    world.command(0, data(Some(vec![ben])));
    world.command(0, data(None));
    let got = |world: &World, who: usize| {
        world.clients[who].events.iter().filter(|event| matches!(event, Event::Data { .. })).count()
    };
    assert_eq!([got(&world, 0), got(&world, 1), got(&world, 2)], [0, 2, 1]);
    world.command(0, data(Some(vec![ben; 1000])));
    assert_eq!(got(&world, 1), 3, "named a thousand times is told once");
}

#[test]
fn pictures_that_there_is_no_time_for_are_left_out_and_sound_goes_on() {
    let mut world = call(&["Anna", "Ben"], &[Microphone, Camera]);
    show(&mut world, 0, Camera, 3);
    let (camera, microphone) = (world.clients[0].track(Camera), world.clients[0].track(Microphone));
    world.input(Recorded::Shed(Shedding::ALL));
    let asked = world.clients[0].keyframe_requests;
    for _ in 0..50 {
        world.send(0, Microphone, false);
        world.send(0, Camera, false);
        world.ask_keyframe(1, camera);
        world.run(Duration::from_millis(20));
    }
    assert_eq!(world.clients[1].received_of(microphone).len(), 50);
    assert_eq!(world.clients[1].received_of(camera).len(), 3);
    assert_eq!(world.clients[0].keyframe_requests, asked, "nobody is asked for what nobody would get");

    world.input(Recorded::Shed(Shedding::NONE));
    world.send(0, Camera, false);
    world.run(Duration::from_millis(600));
    assert!(world.clients[0].keyframe_requests > asked, "Anna is asked for a key frame");
    assert_eq!(world.clients[1].received_of(camera).len(), 3, "and nothing is shown before it");
    show(&mut world, 0, Camera, 3);
    let received = world.clients[1].received_of(camera);
    let sequences: Vec<u64> = received.iter().map(|packet| *packet.seq_no).collect();
    assert_eq!(sequences.len(), 6);
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "one continuous stream: {sequences:?}");
    assert_eq!(received[3].payload[1] & 1, 0, "that goes on with a key frame");
    assert_eq!(world.replay(Duration::from_secs(77)), world.outputs);
}

#[test]
fn screens_are_the_last_pictures_to_be_left_out() {
    let mut world = call(&["Anna", "Ben"], &[Camera, Screen]);
    let all = Shedding::ALL.get();
    for parts in 0..=all {
        world.input(Recorded::Shed(Shedding::parts(parts)));
        let screen = world.clients[0].track(Screen);
        let before = world.clients[1].received_of(screen).len();
        show(&mut world, 0, Screen, 2);
        assert_eq!(world.clients[1].received_of(screen).len() > before, parts < all, "{parts}");
    }
    let camera = world.clients[0].track(Camera);
    let before = world.clients[1].received_of(camera).len();
    show(&mut world, 0, Camera, 2);
    assert_eq!(world.clients[1].received_of(camera).len(), before);
}

#[test]
fn a_large_rooms_pictures_do_not_keep_the_sound_of_another_waiting() {
    let mut world = World::with(|settings| settings.packets_at_once = 2);
    call_in(&mut world, "large", &["Anna", "Ben", "Cleo", "Dan", "Eva"], &[Camera]);
    call_in(&mut world, "small", &["Fay", "Gil"], &[Microphone]);
    show(&mut world, 0, Camera, 2);
    show(&mut world, 5, Microphone, 2);
    // The camera's packet has come, and the shell has begun to forward it.
    world.is_stalled = true;
    let send = |world: &mut World, person, source| {
        world.send(person, source, false);
        world.run(Duration::from_millis(1));
    };
    send(&mut world, 0, Camera);
    send(&mut world, 5, Microphone);
    let mut classes = Vec::new();
    let mut media = Datagrams::default();
    // A share, if any media waits.
    let mut forwarded = |world: &mut World| {
        loop {
            match world.sfu.poll_output() {
                Output::Media(_) => break,
                Output::Timeout(_) => return false,
                // Reports and feedback.
                _ => {}
            }
        }
        world.sfu.forward_share(&mut media);
        while let Some(transmit) = media.take_next() {
            classes.push(transmit.class);
        }
        true
    };
    assert!(forwarded(&mut world));
    // Meanwhile somebody speaks again.
    send(&mut world, 5, Microphone);
    while forwarded(&mut world) {}
    let (sound, pictures) = (TrafficClass::Audio, TrafficClass::Video);
    assert_eq!(classes, [sound, pictures, pictures, sound, pictures, pictures]);
}

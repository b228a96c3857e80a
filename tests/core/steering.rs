//! What viewers' networks carry decides what they are shown: a narrow line gets less, and more again when it is wide.

use std::time::Duration;

use strait::core::command::Source::{self, Camera, Microphone, Screen};
use strait::core::command::{Command, Preference, Priority, Wish};
use strait::core::event::{Event, LayerReason};
use strait::core::settings::BandwidthSettings;
use strait::core::stats::BandwidthSnapshot;

use crate::explaining::{assert_says, explained, trace_of};
use crate::world::World;
use crate::{call, connected};

/// The encodings of a camera, with the packets of each picture: 25 of them a second are 186 kbit/s each.
type Layers = [(&'static str, u16, usize)];

const WIDE: &Layers = &[("high", 720, 8), ("medium", 360, 3), ("low", 180, 1)];
/// Each is little more than the next smaller one.
const CLOSE: &Layers = &[("high", 720, 8), ("medium", 360, 4), ("low", 180, 3)];

/// Anna publishes a camera in these encodings, and Ben wants to see it in its full size.
fn watched(mut world: World, layers: &Layers) -> World {
    let anna = world.join("standup", "Anna");
    let named: Vec<(&str, u16)> = layers.iter().map(|(name, height, _)| (*name, *height)).collect();
    world.publish_layers(anna, 2, &named);
    let ben = world.join("standup", "Ben");
    world.publish(ben, 2, &[]);
    connected(&mut world);
    let track = world.clients[anna].track(Camera);
    let wish = Wish { height: Some(720), ..Wish::default() };
    world.command(ben, Command::Prefer(vec![Preference { track, wish }]));
    world
}

/// The camera sends what the server has asked for, 25 pictures a second, and key frames of all when one is asked for.
fn film(world: &mut World, layers: &Layers, seconds: u64) {
    for _ in 0..seconds * 25 {
        let is_asked = std::mem::take(&mut world.clients[0].keyframe_requests) > 0;
        let active = active(world);
        for (name, _, packets) in layers.iter().filter(|(name, ..)| active.contains(&(*name).to_owned())) {
            let begins = world.clients[0].began.insert((*name).to_owned());
            for packet in 0..*packets {
                world.send_encoding(0, Camera, Some(name), packet == 0 && (begins || is_asked));
            }
        }
        world.clients[0].began.retain(|layer| active.contains(layer));
        world.run(Duration::from_millis(40));
    }
}

/// What the publisher was asked to send last.
fn active(world: &World) -> Vec<String> {
    let mut orders = world.clients[0].events.iter().filter_map(|event| match event {
        Event::Encodings { active, .. } => Some(active.clone()),
        _ => None,
    });
    orders
        .next_back()
        .unwrap_or_else(|| world.clients[0].declared.iter().map(|one| one.rid.clone()).collect())
}

/// The encodings that Ben was shown since he was asked last, the largest first: how many packets of each.
fn shown(world: &mut World) -> [usize; 3] {
    let received = std::mem::take(&mut world.clients[1].received);
    [7, 8, 9].map(|number| received.iter().filter(|packet| packet.payload[2] == number).count())
}

/// What Ben was told of that.
fn told(world: &World) -> Vec<(Option<String>, bool, LayerReason)> {
    let told = world.clients[1].events.iter().filter_map(|event| match event {
        Event::Layers { layer, is_paused, reason, .. } => Some((layer.clone(), *is_paused, *reason)),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_narrow_line_gets_the_encoding_that_fits_and_the_publisher_sends_no_other() {
    let mut world = watched(World::new(), WIDE);
    world.narrow(1, 800_000);
    film(&mut world, WIDE, 20);
    assert!(
        told(&world).iter().any(|(_, _, reason)| *reason == LayerReason::Bandwidth),
        "{:?}",
        told(&world)
    );
    let _ = shown(&mut world);
    film(&mut world, WIDE, 10);
    let [high, medium, low] = shown(&mut world);
    assert!(high == 0 && medium + low >= 200, "{high} {medium} {low}");
    assert!(!active(&world).contains(&"high".to_owned()), "nobody can be shown it: {:?}", active(&world));
    assert_eq!(world.replay(Duration::from_secs(7)), world.outputs);
}

/// The encodings that somebody was shown in a second, the largest first.
fn shown_to(world: &mut World, viewer: usize, layers: &Layers) -> [usize; 3] {
    world.clients[viewer].received.clear();
    film(world, layers, 1);
    let received = std::mem::take(&mut world.clients[viewer].received);
    [7, 8, 9].map(|number| received.iter().filter(|packet| packet.payload[2] == number).count())
}

#[test]
fn a_line_that_narrows_gets_less_within_seconds_and_more_again_when_it_widens() {
    let mut world = watched(World::new(), WIDE);
    world.narrow(1, 5_000_000);
    film(&mut world, WIDE, 40);
    let [high, ..] = shown_to(&mut world, 1, WIDE);
    assert!(high >= 150, "all of it: {:?}", told(&world));
    world.narrow(1, 400_000);
    film(&mut world, WIDE, 5);
    let [high, medium, low] = shown_to(&mut world, 1, WIDE);
    assert!(high + medium == 0 && low > 0, "{high} {medium} {low}: {:?}", told(&world));
    film(&mut world, WIDE, 10);
    let [high, medium, low] = shown_to(&mut world, 1, WIDE);
    // A packet more may have waited before the line.
    assert!(high + medium == 0 && (25..=26).contains(&low), "{low}: {:?}", told(&world));
    let before = told(&world).len();
    world.narrow(1, 5_000_000);
    film(&mut world, WIDE, 45);
    let [high, ..] = shown_to(&mut world, 1, WIDE);
    assert!(high >= 150, "{:?}", told(&world));
    let since = &told(&world)[before..];
    assert!(since.len() <= 4, "it goes up without going back and forth: {since:?}");
    assert!(since.iter().all(|(_, is_paused, reason)| !is_paused && *reason == LayerReason::Bandwidth));
}

#[test]
fn where_not_even_the_smallest_gets_through_nothing_is_shown_and_it_comes_back() {
    let mut world = watched(World::new(), WIDE);
    world.narrow(1, 100_000);
    film(&mut world, WIDE, 15);
    let told_by_then = told(&world).len();
    for second in 0..15 {
        let (bandwidth, shown) = (bandwidth(&world, 1), shown_to(&mut world, 1, WIDE));
        assert!(
            bandwidth.estimate <= 250_000,
            "no line of 100 kbit/s carries that: {bandwidth:?} after {second} s"
        );
        assert!(
            bandwidth.acknowledged.is_none_or(|through| through <= 120_000),
            "{bandwidth:?} after {second} s"
        );
        assert_eq!(shown[..2], [0, 0], "{:?}", told(&world));
    }
    assert_eq!(told(&world).last(), Some(&(None, true, LayerReason::Bandwidth)), "{:?}", told(&world));
    assert!(told(&world).len() <= told_by_then + 2, "and it stays so: {:?}", told(&world));
    world.narrow(1, 5_000_000);
    film(&mut world, WIDE, 60);
    let [high, ..] = shown_to(&mut world, 1, WIDE);
    assert!(high >= 150, "{:?}", told(&world));
}

/// What is known of somebody's network.
fn bandwidth(world: &World, person: usize) -> BandwidthSnapshot {
    let room = &world.sfu.snapshot(world.now).rooms[0];
    room.participants[person].bandwidth.expect("they report on what comes")
}

#[test]
fn two_people_with_different_lines_are_each_shown_what_theirs_carries() {
    let mut world = watched(World::new(), WIDE);
    let cleo = world.join("standup", "Cleo");
    world.publish(cleo, 2, &[]);
    connected(&mut world);
    let track = world.clients[0].track(Camera);
    let wish = Wish { height: Some(720), ..Wish::default() };
    world.command(cleo, Command::Prefer(vec![Preference { track, wish }]));
    world.narrow(1, 400_000);
    world.narrow(cleo, 5_000_000);
    film(&mut world, WIDE, 45);
    let [high, medium, low] = shown_to(&mut world, 1, WIDE);
    assert!(high + medium == 0 && low >= 20, "Ben: {high} {medium} {low}");
    let [high, medium, low] = shown_to(&mut world, cleo, WIDE);
    assert!(high >= 150 && medium + low == 0, "Cleo: {high} {medium} {low}");
    assert_eq!(active(&world), ["high", "low"], "and the publisher sends what the two need");
}

#[test]
fn of_two_encodings_a_narrow_line_gets_the_smaller_one() {
    const TWO: &Layers = &[("high", 720, 8), ("low", 360, 2)];
    let mut world = watched(World::new(), TWO);
    world.narrow(1, 700_000);
    film(&mut world, TWO, 20);
    let [high, low, _] = shown_to(&mut world, 1, TWO);
    assert!(high == 0 && low >= 45, "{high} {low}: {:?}", told(&world));
    world.narrow(1, 5_000_000);
    film(&mut world, TWO, 45);
    let [high, low, _] = shown_to(&mut world, 1, TWO);
    assert!(high >= 150 && low == 0, "{high} {low}: {:?}", told(&world));
}

/// People are seen in one encoding each, 180 kbit/s.
fn be_seen(world: &mut World, seen: &[(usize, Source)], seconds: usize) {
    for step in 0..seconds * 25 {
        for (person, source) in seen {
            let is_asked = std::mem::take(&mut world.clients[*person].keyframe_requests) > 0;
            world.send(*person, *source, step == 0 || is_asked);
        }
        world.run(Duration::from_millis(40));
    }
}

#[test]
fn what_matters_most_to_its_viewer_is_shown_where_not_all_can_be() {
    let mut world = call(&["Anna", "Ben", "Cleo"], &[Camera]);
    let seen = [(0, Camera), (2, Camera)];
    let wants = |world: &mut World, person: usize, priority| {
        let track = world.clients[person].track(Camera);
        let wish = Wish { priority, ..Wish::default() };
        world.command(1, Command::Prefer(vec![Preference { track, wish }]));
    };
    wants(&mut world, 0, Priority::Low);
    wants(&mut world, 2, Priority::High);
    world.narrow(1, 300_000);
    be_seen(&mut world, &seen, 20);
    world.clients[1].received.clear();
    be_seen(&mut world, &seen, 2);
    let [anna, cleo] = [0, 2].map(|person| received(&mut world, 1, person, Camera));
    assert!(anna <= 5 && cleo >= 45, "Anna: {anna}, Cleo: {cleo}");
    wants(&mut world, 0, Priority::High);
    wants(&mut world, 2, Priority::VeryLow);
    be_seen(&mut world, &seen, 25);
    world.clients[1].received.clear();
    be_seen(&mut world, &seen, 2);
    let [anna, cleo] = [0, 2].map(|person| received(&mut world, 1, person, Camera));
    assert!(anna >= 45 && cleo <= 5, "Anna: {anna}, Cleo: {cleo}");
}

#[test]
fn a_shared_screen_comes_before_cameras() {
    let mut world = call(&["Anna", "Ben"], &[Camera, Screen]);
    let seen = [(0, Camera), (0, Screen)];
    world.narrow(1, 330_000);
    be_seen(&mut world, &seen, 20);
    world.clients[1].received.clear();
    be_seen(&mut world, &seen, 2);
    let [camera, screen] = [Camera, Screen].map(|source| received(&mut world, 1, 0, source));
    assert!(screen >= 45 && camera <= 5, "screen {screen}, camera {camera}");
}

#[test]
fn where_more_turns_out_to_get_through_more_is_shown() {
    // So little is believed at first that only the smallest one fits; nothing speaks against more.
    let little = BandwidthSettings { initial: 630_000, minimum: 0, ..BandwidthSettings::default() };
    let mut world = watched(World::with(|settings| settings.bandwidth = little), CLOSE);
    film(&mut world, CLOSE, 2);
    let [high, medium, low] = shown(&mut world);
    assert!(low > 0 && high + medium <= low, "{high} {medium} {low}: {:?}", told(&world));
    film(&mut world, CLOSE, 40);
    let _ = shown(&mut world);
    film(&mut world, CLOSE, 2);
    let [high, medium, low] = shown(&mut world);
    assert!(high + medium > 100 && low == 0, "{high} {medium} {low}: {:?}", told(&world));
    assert_eq!(world.replay(Duration::from_secs(7)), world.outputs);
}

/// Anna talks and is seen in one encoding, and everybody else is silent.
fn talk(world: &mut World, people: &[usize], speaker: usize, seconds: usize) {
    for step in 0..seconds * 50 {
        for person in people {
            world.level = Some(if *person == speaker { -20 } else { -127 });
            world.send(*person, Microphone, false);
            let is_asked = std::mem::take(&mut world.clients[*person].keyframe_requests) > 0;
            if step % 2 == 0 {
                world.send(*person, Camera, step == 0 || is_asked);
            }
        }
        world.run(Duration::from_millis(20));
    }
}

/// How many packets of a person's track somebody has received since they were asked last.
fn received(world: &mut World, viewer: usize, person: usize, source: Source) -> usize {
    let track = world.clients[person].track(source);
    world.clients[viewer].received_of(track).len()
}

/// The same of what they say and show.
fn received_both(world: &mut World, viewer: usize, person: usize) -> (usize, usize) {
    let [audio, video] = [Microphone, Camera].map(|source| received(world, viewer, person, source));
    (audio, video)
}

#[test]
fn audio_never_pays_for_video_and_video_comes_back() {
    let mut world = call(&["Anna", "Ben"], &[Microphone, Camera]);
    world.narrow(1, 130_000);
    talk(&mut world, &[0], 0, 15);
    world.clients[1].received.clear();
    talk(&mut world, &[0], 0, 2);
    let (audio, video) = received_both(&mut world, 1, 0);
    assert!(audio >= 98 && video <= 5, "{audio} of 100 packets of audio, {video} of video");
    assert_eq!(told(&world).last(), Some(&(None, true, LayerReason::Bandwidth)));
    world.narrow(1, 5_000_000);
    talk(&mut world, &[0], 0, 90);
    world.clients[1].received.clear();
    talk(&mut world, &[0], 0, 2);
    let (audio, video) = received_both(&mut world, 1, 0);
    let told = told(&world);
    assert!(audio >= 98 && video >= 45, "{audio} of 100 packets of audio, {video} of 50 of video: {told:?}");
    assert_eq!(told.last(), Some(&(None, false, LayerReason::Bandwidth)));
    assert_eq!(world.replay(Duration::from_secs(7)), world.outputs);
}

#[test]
fn whoever_speaks_is_seen_where_not_all_can_be() {
    let mut world = call(&["Anna", "Ben", "Cleo"], &[Microphone, Camera]);
    world.narrow(1, 400_000);
    talk(&mut world, &[0, 2], 2, 25);
    world.clients[1].received.clear();
    talk(&mut world, &[0, 2], 2, 2);
    let [anna, cleo] = [0, 2].map(|person| received_both(&mut world, 1, person));
    assert!(anna.1 <= 5 && cleo.1 >= 45, "Anna: {anna:?}, Cleo: {cleo:?}");
    assert!(anna.0 >= 95 && cleo.0 >= 95, "both are heard: {anna:?}, {cleo:?}");
    talk(&mut world, &[0, 2], 0, 25);
    world.clients[1].received.clear();
    talk(&mut world, &[0, 2], 0, 2);
    let [anna, cleo] = [0, 2].map(|person| received_both(&mut world, 1, person));
    assert!(anna.1 >= 45 && cleo.1 <= 5, "Anna: {anna:?}, Cleo: {cleo:?}");
}

#[test]
fn who_has_everything_or_hears_only_is_not_woken_for_it() {
    let mut world = call(&["Anna", "Ben"], &[Microphone, Camera]);
    talk(&mut world, &[0], 0, 5);
    assert!(told(&world).is_empty(), "there is one encoding, which is shown");
    let room = &world.sfu.snapshot(world.now).rooms[0];
    assert!(room.participants[1].bandwidth.is_some());
    let woken = |world: &mut World, seconds| {
        let before = world.record.len();
        world.run(Duration::from_secs(seconds));
        world.record.len() - before
    };
    let _ = woken(&mut world, 30);
    // Reports go out each second; nothing comes on top of that for what is shown.
    assert!(woken(&mut world, 10) < 600);
}

#[test]
fn the_explanation_tells_what_was_decided_and_why() {
    let mut world = watched(crate::traces::recorded("*"), CLOSE);
    world.narrow(1, 700_000);
    film(&mut world, CLOSE, 15);
    world.narrow(1, 5_000_000);
    film(&mut world, CLOSE, 40);
    let explanation = explained(&trace_of(world));
    for line in [
        "less: Anna's camera is to be shown smaller: their network carries",
        "that is what their network carries",
        "trial: it is tried whether their network carries",
        "more: Anna's camera is to be shown ",
    ] {
        assert_says(&explanation.participants[1], line);
    }
}

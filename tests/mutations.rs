//! The oracles can fail: each bug that is put in on purpose is found in a world that is known, and only because of it.
//!
//! The worlds were found with `strait sim --mutation NAME --seeds 0..200`, in a build with `--features mutations`. When
//! worlds or the core change, a bug may need another one: search again.

#[path = "core/layered.rs"]
#[allow(dead_code, reason = "it has more than is needed here")]
mod layered;
#[path = "core/line.rs"]
#[allow(dead_code, reason = "it has more than is needed here")]
mod line;
#[path = "core/world.rs"]
#[allow(dead_code, reason = "it has more than is needed here")]
mod world;

use std::thread;
use std::time::{Duration, Instant};

use str0m::Rtc;
use str0m::rtp::RedDecoder;
use strait::core::command::{Command, Preference, Source, Wish};
use strait::core::input::Shedding;
use strait::core::mutation::{Mutation, choose};
use strait::core::settings::LayerPolicy;
use strait::sim::moves::{MovesPlan, play};
use strait::sim::{Plan, run};
use strait::wire::classify::DatagramKind;

/// Which world shows which bug.
const KNOWN: &[(&str, u64)] = &[
    ("sequence-off-by-one", 2),
    ("timestamp-not-moved", 0),
    ("picture-id-not-continued", 6),
    ("frame-number-not-continued", 5),
    ("keyframe-not-awaited", 0),
    ("keyframe-request-forgotten", 0),
    ("keyframe-throttle-never-ends", 0),
    ("repeat-of-wrong-packet", 0),
    ("repeat-with-wrong-original", 0),
    ("mute-ignored", 2),
    ("pause-ignored", 16),
    ("duplicate-forwarded", 0),
    ("payload-type-of-publisher", 0),
    ("slot-not-announced", 11),
    ("slot-leaked", 2),
    ("wrong-track-in-slot-map", 0),
    ("viewer-not-removed", 2),
    ("leaver-stays", 0),
    ("roll-over-forgotten", 131),
    ("roll-over-not-guessed", 0),
    ("feedback-timer-dropped", 0),
    ("timer-dropped", 1),
    ("deadline-spins", 0),
    ("report-not-moved", 0),
    ("report-of-wrong-slot", 0),
    ("receiver-report-forgotten", 0),
    ("feedback-base-off-by-one", 0),
    ("empty-room-kept", 0),
    ("ufrag-leaked", 0),
    ("consent-ignored", 2),
    ("replayed-check-believed", 56),
    ("loss-not-noticed", 0),
    ("late-track-not-offered", 0),
    ("panics", 2),
    ("ban-ignored", 17),
    ("permission-ignored", 39),
    ("door-left-open", 17),
    ("timer-of-the-gone-kept", 0),
    ("slot-stream-forgotten", 0),
    ("transport-number-skipped", 0),
    ("speakers-not-told", 0),
    ("silence-not-told", 0),
    ("speaker-not-shown", 57),
    ("pin-ignored", 22),
    ("lock-ignored", 16),
    ("stop-ignored", 4),
    ("data-permission-ignored", 265),
    ("data-recipient-forgotten", 49),
];

/// Which world of moves shows which bug. They were found with `strait sim --moves --mutation NAME`.
const KNOWN_IN_MOVES: &[(&str, u64)] = &[
    ("move-not-acknowledged", 3),
    ("move-not-asked-again", 3),
    ("move-never-ends", 37),
    ("capability-ignored", 4),
    ("hysteresis-forgotten", 1),
    ("cooldown-ignored", 34),
    ("warm-not-told", 38),
    ("move-not-told-on-return", 39),
    ("straight-tracks-not-told", 1),
];

/// Plays a call, and says what is wrong in it.
type Story = fn() -> Option<String>;

/// The bugs that worlds do not show, because people there send each picture once: a story, and what is wrong in it.
const STORIES: &[(&str, Story)] = &[
    ("pacer-forgets", a_key_frame_waits),
    ("padding-on-media-ssrc", a_stream_is_padded),
    ("layer-not-live", an_encoding_stops),
    ("prefer-ignored", a_tile_is_small),
    ("estimate-ignored", a_line_is_narrow),
    ("copy-of-wrong-time", a_fifth_of_the_audio_is_lost),
    ("redundancy-forgotten", a_fifth_of_the_audio_is_lost),
    ("panics-in-review", a_publisher_is_removed),
    ("forwarded-frame-without-reference", layered::av1_down_and_up),
    ("marker-not-moved", layered::vp9_in_three_sizes),
    ("picture-id-not-compacted", layered::vp8_at_seven_pictures_a_second),
    ("dd-renumbered", layered::av1_in_two_sizes),
    ("rtx-with-other-marker", layered::vp9_in_three_sizes),
    ("layers-not-lowered", layered::vp9_step_by_step),
    ("load-not-lowered", a_machine_is_full),
];

/// Anna talks to Ben and is seen for a second: a frame of one packet each 40 ms.
fn seen_by_ben() -> world::World {
    let mut world = world::World::with(|settings| settings.bandwidth.policy = LayerPolicy::Wishes);
    let (anna, ben) = (world.join("standup", "Anna"), world.join("standup", "Ben"));
    world.publish(anna, 1, &[Source::Camera]);
    world.publish(ben, 1, &[]);
    world.until("they are connected", |world| world.clients.iter().all(|client| client.rtc.is_connected()));
    for picture in 0..25 {
        world.send(anna, Source::Camera, picture == 0);
        world.run(Duration::from_millis(40));
    }
    world
}

/// A key frame is too large to be sent at once.
fn a_key_frame_waits() -> Option<String> {
    let (anna, ben) = (0, 1);
    let mut world = seen_by_ben();
    world.clients[ben].received.clear();
    // Nothing is asked for again.
    world.clients[ben].loses = Some(DatagramKind::Rtcp);
    world.send_frame(anna, Source::Camera, true, 40);
    world.run(Duration::from_secs(1));
    let camera = world.clients[anna].track(Source::Camera);
    let seen = world.clients[ben].received_of(camera).len();
    (seen < 40).then(|| format!("{seen} packets of 40 came"))
}

/// Padding fills up what is sent, and nothing is kept that could be sent again.
fn a_stream_is_padded() -> Option<String> {
    let (anna, ben) = (0, 1);
    let mut world = seen_by_ben();
    let id = world.sfu.snapshot(world.now).rooms[0].participants[ben].participant;
    world.sfu.steer_by_hand(&"standup".parse().expect("a name"), id, 500_000, 0);
    world.run(Duration::from_secs(2));
    let camera = world.clients[anna].track(Source::Camera);
    let media = world.clients[ben].received_of(camera).first().map(|packet| *packet.header.ssrc);
    let is_padding = |packet: &&world::Departed| packet.to == ben && packet.has_padding;
    let mut padding = world.departed.iter().filter(is_padding);
    if padding.clone().count() < 50 {
        return Some("there is no padding".to_owned());
    }
    padding.any(|packet| Some(packet.ssrc) == media).then(|| "padding is in the stream of media".to_owned())
}

/// The first person sends two encodings, and the second one wants to see that height.
fn watched_in(height: u16) -> world::World {
    let mut world = world::World::new();
    let (anna, ben) = (world.join("standup", "Anna"), world.join("standup", "Ben"));
    world.publish_layers(anna, 1, &[("high", 720), ("low", 180)]);
    world.publish(ben, 1, &[]);
    world.until("they are connected", |world| world.clients.iter().all(|client| client.rtc.is_connected()));
    let track = world.clients[anna].track(Source::Camera);
    let wish = Wish { height: Some(height), ..Wish::default() };
    world.command(ben, Command::Prefer(vec![Preference { track, wish }]));
    world
}

/// Somebody shows a small tile, and gets the small one of two encodings.
fn a_tile_is_small() -> Option<String> {
    let mut world = watched_in(180);
    for _ in 0..25 {
        for layer in ["high", "low"] {
            world.send_encoding(0, Source::Camera, Some(layer), true);
        }
        world.run(Duration::from_millis(40));
    }
    // The number of the encoding is behind the headers of the payload: 7 for the first.
    let is_small = world.clients[1].received.last().is_some_and(|packet| packet.payload[2] == 8);
    (!is_small).then(|| "the large picture is shown in a small tile".to_owned())
}

/// Somebody loses a fifth of the audio, and takes copies of it.
fn a_fifth_of_the_audio_is_lost() -> Option<String> {
    let mut world = world::World::new();
    for name in ["Anna", "Ben"] {
        let rtc = Rtc::builder().set_rtp_mode(true).enable_opus(true, true).build(world.now);
        let person = world.join_with("standup", name, rtc);
        world.publish(person, 1, if name == "Anna" { &[Source::Microphone] } else { &[] });
    }
    world.until("they are connected", |world| world.clients.iter().all(|client| client.rtc.is_connected()));
    world.loses_down = |sequence| sequence.is_multiple_of(5);
    for _ in 0..15 * 50 {
        world.send(0, Source::Microphone, false);
        world.run(Duration::from_millis(20));
    }
    let last = world.clients[1].received.last()?;
    let Some(blocks) = RedDecoder::decode(&last.payload).ok().filter(|blocks| blocks.len() == 3) else {
        return Some("who loses a fifth gets no copies".to_owned());
    };
    let offsets: Vec<u32> = blocks.iter().map(|block| block.timestamp_offset).collect();
    (offsets != [1920, 960, 0]).then(|| format!("frames of 20 ms are {offsets:?} apart"))
}

/// Somebody watches the large one of two encodings, which stops.
fn an_encoding_stops() -> Option<String> {
    let (anna, ben) = (0, 1);
    let mut world = watched_in(720);
    for picture in 0..75 {
        let layers: &[&str] = if picture < 25 { &["high", "low"] } else { &["low"] };
        for layer in layers {
            world.send_encoding(anna, Source::Camera, Some(layer), true);
        }
        if picture == 60 {
            world.clients[ben].received.clear();
        }
        world.run(Duration::from_millis(40));
    }
    let stands_still = world.clients[ben].received.is_empty();
    stands_still.then(|| "the picture stands still although a smaller one comes".to_owned())
}

/// A third person comes into a call of two, and somebody is removed for it. Whatever happens to one, the others go on.
fn a_publisher_is_removed() -> Option<String> {
    let mut world = watched_in(720);
    let (ben, cleo) = (1, world.join("standup", "Cleo"));
    world.publish(cleo, 1, &[Source::Microphone]);
    world.until("Cleo is connected", |world| world.clients[cleo].rtc.is_connected());
    world.run(Duration::from_millis(500));
    for _ in 0..10 {
        world.send(cleo, Source::Microphone, false);
        world.run(Duration::from_millis(20));
    }
    let track = world.clients[cleo].track(Source::Microphone);
    assert!(!world.clients[ben].received_of(track).is_empty(), "Ben hears Cleo, whatever became of Anna");
    let here = world.sfu.snapshot(world.now).rooms[0].participants.len();
    (here < 3).then(|| "Anna was removed".to_owned())
}

/// Somebody's line carries no more than the small one of two encodings.
fn a_line_is_narrow() -> Option<String> {
    let mut world = watched_in(720);
    world.narrow(1, 400_000);
    for _ in 0..250 {
        for (layer, packets) in [("high", 8), ("low", 1)] {
            for packet in 0..packets {
                world.send_encoding(0, Source::Camera, Some(layer), packet == 0);
            }
        }
        world.run(Duration::from_millis(40));
    }
    let is_small = world.clients[1].received.last().is_some_and(|packet| packet.payload[2] == 8);
    (!is_small).then(|| "what the line does not carry is sent all the same".to_owned())
}

/// The processor is full, and everybody is sent the small one of two encodings.
fn a_machine_is_full() -> Option<String> {
    let mut world = watched_in(720);
    world.input(world::Recorded::Shed(Shedding::LOWERED));
    for _ in 0..25 {
        for layer in ["high", "low"] {
            world.send_encoding(0, Source::Camera, Some(layer), true);
        }
        world.run(Duration::from_millis(40));
    }
    let is_small = world.clients[1].received.last().is_some_and(|packet| packet.payload[2] == 8);
    (!is_small).then(|| "the large picture is sent, for which there is no time".to_owned())
}

#[test]
fn a_bug_that_worlds_do_not_show_is_found_by_a_story() {
    for (name, story) in STORIES {
        let mutation = Mutation::ALL.iter().find(|mutation| mutation.name() == *name).expect(name);
        choose(None);
        assert_eq!(story(), None, "without {name}");
        choose(Some(*mutation));
        let found = story();
        choose(None);
        assert!(found.is_some(), "{name} is not found");
    }
}

#[test]
fn each_bug_that_is_put_in_is_found() {
    // A panic that is put in is caught by the core; nobody has to read of it.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let is_told = |name: &&str| {
        let is_moved = KNOWN_IN_MOVES.iter().any(|(moved, _)| moved == name);
        !is_moved && !STORIES.iter().any(|(told, _)| told == name)
    };
    let names: Vec<&str> = Mutation::ALL.iter().map(|mutation| mutation.name()).filter(is_told).collect();
    let known: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
    assert_eq!(known, names, "each bug has its world, in the order of the list");
    let halves = [0, 1].map(|half| {
        thread::spawn(move || {
            let pairs = KNOWN.iter().skip(half).step_by(2);
            pairs.filter_map(|(name, seed)| fault(of(name)?, *seed)).collect::<Vec<String>>()
        })
    });
    let faults: Vec<String> = halves.into_iter().flat_map(|half| half.join().unwrap()).collect();
    std::panic::set_hook(hook);
    assert!(faults.is_empty(), "{} of {}:\n  {}", faults.len(), KNOWN.len(), faults.join("\n  "));
}

#[test]
fn each_bug_of_moves_is_found_in_a_call_that_moves() {
    let complaints = |plan: &MovesPlan, mutation: Option<Mutation>| {
        choose(mutation);
        let complaints = play(plan, Instant::now()).complaints;
        choose(None);
        complaints
    };
    for (name, seed) in KNOWN_IN_MOVES {
        let (plan, mutation) = (MovesPlan::of(*seed), of(name).expect(name));
        assert_eq!(complaints(&plan, None), Vec::<String>::new(), "seed {seed} without {name}");
        let again = format!("strait sim --moves --mutation {name} --seeds 0..200");
        assert!(
            !complaints(&plan, Some(mutation)).is_empty(),
            "{name} is not found with seed {seed}: {again}"
        );
    }
}

#[test]
fn a_room_that_contradicts_itself_fails_at_once_and_says_how() {
    let says = |mutation: Mutation, words: &str| {
        choose(Some(mutation));
        let complaints = run(&Plan::of(0), Instant::now()).complaints;
        choose(None);
        assert!(complaints.iter().any(|said| said.contains(words)), "{}: {complaints:?}", mutation.name());
    };
    says(Mutation::TimerOfTheGoneKept, "is gone and is still to be woken");
    says(Mutation::SlotStreamForgotten, "slot_by_ssrc does not lead to slot 0");
}

/// Returns the mutation of that name.
fn of(name: &str) -> Option<Mutation> {
    Mutation::ALL.iter().find(|mutation| mutation.name() == name).copied()
}

fn fault(mutation: Mutation, seed: u64) -> Option<String> {
    let (plan, base) = (Plan::of(seed), Instant::now());
    choose(None);
    let well = run(&plan, base).complaints;
    choose(Some(mutation));
    let ill = run(&plan, base).complaints;
    choose(None);
    let name = mutation.name();
    match (well.is_empty(), ill.is_empty()) {
        (true, false) => None,
        (false, _) => Some(format!("seed {seed} fails without {name}: {}", well.join("; "))),
        (true, true) => Some(format!(
            "{name} is not found with seed {seed}: search with strait sim --mutation {name} --seeds 0..200"
        )),
    }
}

//! Who is heard to speak, who is told of it, and who gets a slot where there are too few.

use std::collections::BTreeMap;
use std::time::Duration;

use strait::core::command::Command;
use strait::core::command::Source::{Camera, Microphone};
use strait::core::event::{Event, SlotCounts, Speakers, WaitingReason};
use strait::core::settings::Sharing;

use crate::world::World;
use crate::{call, connected};

/// Loud, as a voice.
const VOICE: i8 = -28;
/// The noise of a room.
const NOISE: i8 = -75;

/// These people speak for a while, and everybody else is quiet: all of them send a packet each 20 ms.
fn speak(world: &mut World, speakers: &[usize], millis: u64) {
    for _ in 0..millis / 20 {
        for person in 0..world.clients.len() {
            let has_microphone =
                world.clients[person].sending.iter().any(|(_, source)| *source == Microphone);
            if has_microphone {
                world.level = Some(if speakers.contains(&person) { VOICE } else { NOISE });
                world.send(person, Microphone, false);
            }
        }
        world.run(Duration::from_millis(20));
    }
}

/// What somebody was told of who speaks.
fn told(world: &World, person: usize) -> Vec<&Speakers> {
    let events = world.clients[person].events.iter();
    events
        .filter_map(|event| match event {
            Event::Speakers(speakers) => Some(speakers),
            _ => None,
        })
        .collect()
}

fn id(world: &World, person: usize) -> strait::core::ids::ParticipantId {
    world.clients[person].joined.as_ref().expect("they joined").participant
}

#[test]
fn everybody_is_told_who_speaks_and_who_speaks_most() {
    let mut world = call(&["Anna", "Ben", "Cleo"], &[Microphone]);
    speak(&mut world, &[], 1000);
    assert!((0..3).all(|person| told(&world, person).is_empty()), "nobody has said anything");
    speak(&mut world, &[1], 1500);
    let ben = id(&world, 1);
    for person in 0..3 {
        let last = told(&world, person).last().copied().cloned().expect("Ben speaks");
        assert_eq!(last.dominant, Some(ben));
        assert_eq!(last.speakers.len(), 1);
        assert_eq!((last.speakers[0].participant, last.speakers[0].level.abs_diff(28) <= 1), (ben, true));
    }
    // Who comes now is told as well.
    let late = world.join("standup", "Dora");
    assert_eq!(told(&world, late).len(), 1);
    speak(&mut world, &[], 2000);
    let last = told(&world, 0).last().copied().cloned().expect("he has stopped");
    assert_eq!((last.dominant, last.speakers.len()), (Some(ben), 0), "he spoke last");
    assert!(told(&world, 0).len() <= 4, "{:?}", told(&world, 0));
    // A room in which nobody speaks has nothing to say, and is not woken for it.
    let before = told(&world, 0).len();
    world.run(Duration::from_secs(10));
    assert_eq!(told(&world, 0).len(), before);
}

#[test]
fn who_is_muted_or_gone_speaks_no_more() {
    let mut world = call(&["Anna", "Ben", "Cleo"], &[Microphone]);
    speak(&mut world, &[1, 2], 1500);
    let track = world.clients[1].track(Microphone);
    world.command(1, Command::Mute { track, muted: true });
    world.run(Duration::from_millis(300));
    let last = told(&world, 0).last().copied().cloned().expect("two spoke");
    assert!(last.speakers.iter().all(|speaker| speaker.participant == id(&world, 2)), "{last:?}");
    world.command(2, Command::Leave);
    world.run(Duration::from_millis(300));
    let last = told(&world, 0).last().copied().cloned().expect("nobody speaks");
    assert_eq!(last, Speakers::default());
}

/// A room of so many microphones in which clients have four audio slots at most, shared by three, of two who speak.
fn crowd(people: usize) -> World {
    let mut world = World::with(|settings| {
        settings.slots_max = SlotCounts { audio: 4, video: 2 };
        settings.sharing = Sharing { speakers: 2, speaker_slots: 3, last_n: None };
    });
    for person in 0..people {
        world.join("plenum", &format!("Person {person}"));
        world.publish(person, 4, &[Microphone]);
    }
    connected(&mut world);
    world
}

/// How many packets of each person's microphone somebody has got, counted by what their slots showed then.
fn heard_while(
    world: &mut World,
    listener: usize,
    speakers: &[usize],
    millis: u64,
) -> BTreeMap<usize, usize> {
    let mut heard = BTreeMap::new();
    for _ in 0..millis / 20 {
        world.clients[listener].received.clear();
        speak(world, speakers, 20);
        for &speaker in speakers {
            let track = world.clients[speaker].track(Microphone);
            if speaker != listener {
                *heard.entry(speaker).or_default() += world.clients[listener].received_of(track).len();
            }
        }
    }
    heard
}

#[test]
fn in_a_crowd_whoever_speaks_is_heard_within_a_tenth_of_a_second() {
    let mut world = crowd(9);
    speak(&mut world, &[], 400);
    for speaker in [8, 1, 5, 7, 2, 6, 3, 4] {
        let heard = heard_while(&mut world, 0, &[speaker], 400);
        assert!(heard[&speaker] >= 15, "of 20 packets of {speaker}: {heard:?}");
        heard_while(&mut world, 0, &[], 1000);
    }
    for person in 0..9 {
        assert!(world.clients[person].shown().len() <= 3, "three slots are shared");
        let map = world.clients[person].slot_map.clone().expect("a map");
        assert!(map.waiting.iter().all(|(_, reason)| *reason == WaitingReason::NotSpeaking), "{map:?}");
    }
    // Who was heard lately and speaks again costs nobody a slot map.
    let maps = |world: &World| {
        let events = world.clients[0].events.iter();
        events.filter(|event| matches!(event, Event::SlotMap(_))).count()
    };
    let before = maps(&world);
    for speaker in [3, 4, 3, 4] {
        speak(&mut world, &[speaker], 600);
        speak(&mut world, &[], 1000);
    }
    assert_eq!(maps(&world), before);
}

#[test]
fn nobody_starves_where_more_speak_at_once_than_can_be_heard() {
    let mut world = crowd(7);
    let speakers = [1, 2, 3, 4, 5];
    let heard = heard_while(&mut world, 0, &speakers, 30_000);
    for speaker in speakers {
        assert!(heard[&speaker] >= 150, "three seconds of thirty at least: {heard:?}");
    }
    let map = world.clients[0].slot_map.clone().expect("a map");
    assert!(map.revision < 60, "and no storm of slot maps: {}", map.revision);
}

#[test]
fn mute_buttons_make_a_crowd_and_end_it() {
    let mut world = crowd(7);
    let mute = |world: &mut World, people: std::ops::Range<usize>, muted: bool| {
        for person in people {
            let track = world.clients[person].track(Microphone);
            world.command(person, Command::Mute { track, muted });
        }
        world.run(Duration::from_millis(300));
    };
    assert_eq!(world.clients[0].shown().len(), 3, "six others are a crowd, which shares three slots");
    // Three others are left whom one can hear: fewer than there are slots, so that a fourth may be shown.
    mute(&mut world, 1..4, true);
    assert_eq!(world.clients[0].shown().len(), 4, "each slot is used where there are slots enough");
    let heard = heard_while(&mut world, 0, &[4, 5, 6], 400);
    assert!(heard.values().all(|packets| *packets >= 15), "all of them are heard at once: {heard:?}");
    mute(&mut world, 1..4, false);
    assert_eq!(world.clients[0].shown().len(), 3, "it is a crowd again");
}

#[test]
fn what_was_pinned_or_subscribed_to_by_name_keeps_its_slot() {
    let mut world = crowd(9);
    let [first, second] = [1, 2].map(|person| world.clients[person].track(Microphone));
    world.command(0, Command::Pin { track: first, pinned: true });
    world.command(0, Command::Subscribe(second));
    for speaker in [3, 4, 5, 6, 7, 8] {
        speak(&mut world, &[speaker], 1500);
        let shown = world.clients[0].shown();
        let own = world.clients[speaker].track(Microphone);
        assert!(shown.contains(&first) && shown.contains(&second) && shown.contains(&own), "{shown:?}");
    }
    world.command(0, Command::Pin { track: first, pinned: false });
    for speaker in [3, 4, 5, 6] {
        speak(&mut world, &[speaker], 1500);
    }
    let shown = world.clients[0].shown();
    assert!(!shown.contains(&first) && shown.contains(&second), "{shown:?}");
    // A pin is for now: whoever has no slot gets one.
    world.command(0, Command::Pin { track: first, pinned: true });
    assert!(world.clients[0].shown().contains(&first));
}

#[test]
fn whoever_cannot_be_told_keeps_what_they_hear_and_catches_up_when_they_are_back() {
    let mut world = crowd(9);
    for speaker in [1, 2, 3] {
        speak(&mut world, &[speaker], 1000);
    }
    let before = world.clients[0].shown();
    world.break_signalling(0);
    let heard = heard_while(&mut world, 0, &[1, 7], 1000);
    assert!(heard[&1] >= 45, "she could not be told of another in her slots, so these go on: {heard:?}");
    assert_eq!(heard[&7], 0, "who is in no slot is not heard, whoever speaks");
    world.resume(0, None);
    let microphone = world.clients[7].track(Microphone);
    assert!(!before.contains(&microphone) && world.clients[0].shown().contains(&microphone));
    let heard = heard_while(&mut world, 0, &[7], 400);
    assert!(heard[&7] >= 15, "{heard:?}");
}

#[test]
fn whoever_comes_late_hears_who_speaks_just_then() {
    let mut world = crowd(8);
    speak(&mut world, &[6], 1000);
    let late = world.join("plenum", "Late");
    world.publish(late, 4, &[]);
    for _ in 0..10 {
        speak(&mut world, &[6], 100);
    }
    let heard = heard_while(&mut world, late, &[6], 400);
    assert!(heard[&6] >= 15, "of 20 packets: {heard:?}");
}

#[test]
fn a_muted_microphone_holds_no_slot_that_another_wants() {
    let mut world = World::with(|settings| settings.slots_max = SlotCounts { audio: 2, video: 2 });
    for person in 0..4 {
        world.join("standup", &format!("Person {person}"));
        world.publish(person, 2, &[Microphone]);
    }
    connected(&mut world);
    let [first, second, third] = [1, 2, 3].map(|person| world.clients[person].track(Microphone));
    let mut waits = world.clients[0].slot_map.clone().expect("a map").waiting;
    assert_eq!(waits.pop().map(|(track, _)| track), Some(third));
    world.command(1, Command::Mute { track: first, muted: true });
    // Where fewer want slots than there are, everybody who is not muted has one.
    speak(&mut world, &[3], 500);
    let shown = world.clients[0].shown();
    assert!(shown.contains(&second) && shown.contains(&third), "{shown:?}");
    world.command(1, Command::Mute { track: first, muted: false });
    speak(&mut world, &[1], 500);
    assert!(world.clients[0].shown().contains(&first), "and is heard again");
}

#[test]
fn whoever_has_slots_for_everybody_keeps_everybody() {
    let mut world = call(&["Anna", "Ben", "Cleo"], &[Microphone]);
    let track = world.clients[1].track(Microphone);
    let before = world.clients[0].slot_map.clone();
    speak(&mut world, &[1], 1000);
    world.command(1, Command::Mute { track, muted: true });
    speak(&mut world, &[2], 1000);
    world.command(1, Command::Mute { track, muted: false });
    speak(&mut world, &[1, 2], 1000);
    assert_eq!(world.clients[0].slot_map, before, "no slot has moved");
}

#[test]
fn the_camera_of_whoever_takes_the_floor_is_shown_and_pinned_ones_stay() {
    let mut world = World::with(|settings| settings.slots_max = SlotCounts { audio: 8, video: 2 });
    for person in 0..6 {
        world.join("standup", &format!("Person {person}"));
        world.publish(person, 2, &[Microphone, Camera]);
    }
    connected(&mut world);
    let cameras: Vec<_> = (0..6).map(|person| world.clients[person].track(Camera)).collect();
    let shown = |world: &World| {
        let shown = world.clients[0].shown();
        (1..6).filter(|person| shown.contains(&cameras[*person])).collect::<Vec<_>>()
    };
    world.command(0, Command::Pin { track: cameras[1], pinned: true });
    for speaker in [5, 4, 3, 2] {
        speak(&mut world, &[speaker], 2500);
        assert!(shown(&world).contains(&speaker), "{:?} without {speaker}", shown(&world));
        assert!(shown(&world).contains(&1), "the page has pinned it");
    }
}

/// A room of two hundred with the settings that a server has if nobody chooses any. Everybody has a microphone, and their
/// client offers as many slots as they are asked to begin with.
fn plenum() -> World {
    let mut world = World::with(|settings| {
        settings.participants_per_room_max = 200;
        settings.slots = SlotCounts { audio: 4, video: 4 };
        settings.slots_max = SlotCounts { audio: 32, video: 32 };
        settings.sharing = Sharing::default();
    });
    for person in 0..200 {
        world.join("plenum", &format!("Person {person}"));
        world.publish(person, 4, &[Microphone]);
    }
    connected(&mut world);
    world
}

#[test]
fn in_a_room_of_two_hundred_anyone_may_speak() {
    let mut world = plenum();
    let maps = |world: &World| -> u64 {
        world.clients.iter().map(|client| client.slot_map.as_ref().expect("a map").revision).sum()
    };
    let before = maps(&world);
    let speakers = [199, 57, 120, 3, 57, 199];
    for speaker in speakers {
        let track = world.clients[speaker].track(Microphone);
        world.clients.iter_mut().for_each(|client| client.received.clear());
        // Of the others nothing comes: their microphones are silent, and so is the network (DTX).
        for _ in 0..20 {
            world.level = Some(VOICE);
            world.send(speaker, Microphone, false);
            world.run(Duration::from_millis(20));
        }
        for listener in (0..200).filter(|listener| *listener != speaker) {
            let heard = world.clients[listener].received_of(track).len();
            assert!(heard >= 15, "{listener} heard {heard} of 20 packets of {speaker}");
        }
        world.run(Duration::from_millis(1000));
    }
    // Each of the four had to be put into a slot of everybody's once at most.
    assert!(maps(&world) - before <= 4 * 200, "{} slot maps", maps(&world) - before);
    let last = told(&world, 0).len();
    assert!(last <= 2 * speakers.len() + 4, "{last} times told who speaks");
}

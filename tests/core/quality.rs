//! How good calls are: who is told of it, and what the statistics say; and at which rate audio is to be sent.

use std::time::Duration;

use strait::core::command::Source::{Camera, Microphone};
use strait::core::event::Event;
use strait::core::quality::{Level, Quality};
use strait::core::stats::ParticipantSnapshot;

use crate::call;
use crate::world::World;

/// The first person talks and is seen for some seconds, and everybody else is quiet.
fn perform(world: &mut World, seconds: usize) {
    for step in 0..seconds * 50 {
        world.send(0, Microphone, false);
        if step % 2 == 0 {
            world.send(0, Camera, step % 100 == 0);
        }
        world.run(Duration::from_millis(20));
    }
}

fn snapshot(world: &World, person: usize) -> ParticipantSnapshot {
    world.sfu.snapshot(world.now).rooms[0].participants[person].clone()
}

/// What somebody was told of another one's call, in order.
fn told(world: &World, person: usize, of: usize) -> Vec<Quality> {
    let about = world.clients[of].joined.as_ref().expect("they joined").participant;
    let quality = |event: &Event| match event {
        Event::Quality(participant, quality) if *participant == about => Some(*quality),
        _ => None,
    };
    world.clients[person].events.iter().filter_map(quality).collect()
}

#[test]
fn a_call_that_gets_worse_and_better_is_told_to_everybody_in_steps() {
    let mut world = call(&["Anna", "Ben", "Cleo"], &[Microphone, Camera]);
    perform(&mut world, 10);
    let own = told(&world, 1, 1);
    assert_eq!(own.first().map(|quality| quality.level), Some(Level::Good), "{own:?}");
    assert_eq!(told(&world, 2, 1), [], "the others take it for good");
    world.loses_down = |sequence| sequence % 3 == 1;
    perform(&mut world, 20);
    let [.., worst] = told(&world, 2, 1)[..] else { panic!("nothing was told") };
    assert_eq!(worst.level, Level::Poor, "{worst:?}");
    assert!(worst.score < 55 && worst.mos.is_some_and(|mos| mos.value() < 2.5), "{worst:?}");
    assert_eq!(told(&world, 2, 0), [], "nothing is sent to Anna");
    // Who comes now is told as well.
    let late = world.join("standup", "Dora");
    assert_eq!(told(&world, late, 1).len(), 1);
    world.loses_down = |_| false;
    perform(&mut world, 90);
    let steps = told(&world, 2, 1);
    assert_eq!(steps.last().map(|quality| quality.level), Some(Level::Good), "{steps:?}");
    assert!(steps.len() <= 4, "{steps:?}");
}

#[test]
fn statistics_tell_of_each_stream_what_goes_over_it_and_how_good_it_is() {
    let mut world = call(&["Anna", "Ben"], &[Microphone, Camera]);
    perform(&mut world, 10);
    let anna = snapshot(&world, 0);
    let [microphone, camera] = &anna.publications[..] else { panic!("{:?}", anna.publications) };
    let rate = camera.quality.rates;
    assert!((24_000..26_000).contains(&rate.frames_per_1000_seconds), "25 pictures a second: {rate:?}");
    assert!((170_000..190_000).contains(&rate.bitrate), "of 900 bytes: {rate:?}");
    assert_eq!((camera.counters.keyframes, camera.quality.mos), (5, None));
    assert!((23_000..25_000).contains(&microphone.quality.rates.bitrate), "{microphone:?}");
    assert!(microphone.quality.mos.is_some_and(|mos| mos.value() > 4.0));
    let ben = snapshot(&world, 1);
    let shown: Vec<_> = ben.slots.iter().filter(|slot| slot.track.is_some()).collect();
    assert_eq!(shown.len(), 2);
    for slot in shown {
        assert!(slot.first_media.is_some_and(|took| took < Duration::from_secs(5)), "{slot:?}");
        assert!(slot.quality.rates.bitrate > 20_000, "{slot:?}");
        assert_eq!((slot.quality.loss_permille, slot.quality.dropouts, slot.layer_changes), (0, 0, 0));
    }
    world.loses_up = |sequence| sequence % 50 < 5;
    world.loses_down = |sequence| sequence % 4 == 1;
    perform(&mut world, 10);
    let [microphone, ..] = &snapshot(&world, 0).publications[..] else { panic!("still published") };
    assert!((5..=15).contains(&microphone.quality.dropouts), "five in a row, each second: {microphone:?}");
    let ben = snapshot(&world, 1);
    let audio = ben.slots.iter().find(|slot| slot.quality.mos.is_some()).expect("a voice");
    assert!((100..400).contains(&audio.quality.loss_permille) && audio.quality.dropouts > 0, "{audio:?}");
    let totals = world.sfu.totals();
    assert!(totals.dropouts[0] > 0 && totals.dropouts[1] > 0);
    assert!(totals.first_media.iter().all(|times| times.buckets.iter().sum::<u64>() > 0));
}

#[test]
fn audio_is_to_be_sent_at_a_rate_that_every_listener_can_take() {
    let mut world = call(&["Anna", "Ben"], &[Microphone, Camera]);
    perform(&mut world, 45);
    let ordered = |world: &World| {
        let rate = |event: &Event| match event {
            Event::Bitrate { max_bitrate, .. } => Some(*max_bitrate),
            _ => None,
        };
        world.clients[0].events.iter().filter_map(rate).collect::<Vec<u32>>()
    };
    assert_eq!(ordered(&world), [64_000], "there is room for a better voice");
    // Nothing gets to Ben any more, and his network is taken for less and less.
    world.loses_down = |_| true;
    let lowers = |world: &mut World| {
        perform(world, 1);
        ordered(world).last().is_some_and(|rate| *rate < 64_000)
    };
    assert!((0..60).any(|_| lowers(&mut world)), "Anna is to send less: {:?}", snapshot(&world, 1).bandwidth);
}

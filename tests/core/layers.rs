//! Simulcasts: each viewer is shown the encoding that fits, and a publisher sends what somebody needs.

use std::time::Duration;

use strait::core::command::Source::Camera;
use strait::core::command::{Command, Preference, Wish};
use strait::core::event::{Event, LayerReason};

use crate::connected;
use crate::explaining::{assert_says, explained, trace_of};
use crate::world::World;

const LAYERS: [(&str, u16); 3] = [("high", 720), ("medium", 360), ("low", 180)];

/// A call in which the first person publishes a camera in three encodings, and the others watch.
fn call(viewers: &[&str]) -> World {
    call_of(World::new(), viewers)
}

fn call_of(mut world: World, viewers: &[&str]) -> World {
    let anna = world.join("standup", "Anna");
    world.publish_layers(anna, 2, &LAYERS);
    for name in viewers {
        let viewer = world.join("standup", name);
        world.publish(viewer, 2, &[]);
    }
    connected(&mut world);
    world
}

/// The camera sends these encodings for a while, 25 pictures a second. Like those of browsers, its encoder answers one
/// request by a key frame in every encoding.
fn film(world: &mut World, layers: &[&str], milliseconds: u64) {
    for picture in 0..milliseconds / 40 {
        let is_asked = world.clients[0].keyframe_requests > 0;
        world.clients[0].keyframe_requests = 0;
        for layer in layers {
            let begins = picture == 0 && !world.clients[0].began.contains(*layer);
            world.clients[0].began.insert((*layer).to_owned());
            world.send_encoding(0, Camera, Some(layer), begins || is_asked);
        }
        world.clients[0].began.retain(|layer| layers.contains(&layer.as_str()));
        world.run(Duration::from_millis(40));
    }
}

fn wants(world: &mut World, viewer: usize, wish: Wish) {
    let track = world.clients[0].track(Camera);
    world.command(viewer, Command::Prefer(vec![Preference { track, wish }]));
}

fn tall(height: u16) -> Wish {
    Wish { height: Some(height), ..Wish::default() }
}

fn hidden() -> Wish {
    Wish { paused: true, ..Wish::default() }
}

/// The encodings that a viewer was shown since they were asked last, in the order of the offer: how many packets of each.
fn shown(world: &mut World, viewer: usize) -> [usize; 3] {
    let received = std::mem::take(&mut world.clients[viewer].received);
    [7, 8, 9].map(|number| received.iter().filter(|packet| packet.payload[2] == number).count())
}

/// What a viewer was told of what they are shown since they were asked last.
fn told(world: &mut World, viewer: usize) -> Vec<(String, Option<u16>, LayerReason)> {
    let events = std::mem::take(&mut world.clients[viewer].events);
    let layers = events.into_iter().filter_map(|event| match event {
        Event::Layers { layer, height, reason, .. } => Some((layer.unwrap_or_default(), height, reason)),
        _ => None,
    });
    layers.collect()
}

/// What the publisher was told to send since they were asked last.
fn orders(world: &mut World) -> Vec<String> {
    let events = std::mem::take(&mut world.clients[0].events);
    let orders = events.into_iter().filter_map(|event| match event {
        Event::Encodings { active, .. } => Some(active.join(" ")),
        _ => None,
    });
    orders.collect()
}

#[test]
fn each_viewer_is_shown_what_fits_their_tile() {
    let mut world = call(&["Ben", "Cleo", "Dan"]);
    wants(&mut world, 1, tall(700));
    wants(&mut world, 2, tall(100));
    film(&mut world, &["high", "medium", "low"], 2000);
    let all = [1, 2, 3].map(|viewer| shown(&mut world, viewer));
    assert!(all[0][0] >= 45 && all[0][2] == 0, "Ben: {all:?}");
    assert!(all[1][2] >= 45 && all[1][0] == 0, "Cleo: {all:?}");
    assert!(all[2][1] >= 45 && all[2][0] == 0, "Dan has not said what he wants: {all:?}");
    let last =
        |world: &mut World, viewer| told(world, viewer).pop().map(|(layer, height, _)| (layer, height));
    assert_eq!(last(&mut world, 1), Some(("high".to_owned(), Some(720))));
    assert_eq!(last(&mut world, 2), Some(("low".to_owned(), Some(180))));

    // Cleo enlarges the tile, and Ben makes it smaller.
    wants(&mut world, 2, tall(1080));
    wants(&mut world, 1, tall(360));
    film(&mut world, &["high", "medium", "low"], 1000);
    assert_eq!(told(&mut world, 1), [("medium".to_owned(), Some(360), LayerReason::Wanted)]);
    assert_eq!(told(&mut world, 2), [("high".to_owned(), Some(720), LayerReason::Wanted)]);
    let _ = [1, 2].map(|viewer| shown(&mut world, viewer));
    film(&mut world, &["high", "medium", "low"], 1000);
    assert_eq!([1, 2].map(|viewer| shown(&mut world, viewer)), [[0, 25, 0], [25, 0, 0]]);
    assert_eq!(world.replay(Duration::from_secs(7)), world.outputs);
}

#[test]
fn a_change_leaves_no_gap_and_one_request_serves_all_who_wait() {
    let mut world = call(&["Ben", "Cleo", "Dan"]);
    film(&mut world, &["high", "medium", "low"], 1000);
    let before = world.clients[0].keyframe_requests;
    for viewer in 1..4 {
        wants(&mut world, viewer, tall(720));
    }
    world.run(Duration::from_millis(150));
    assert_eq!(world.clients[0].keyframe_requests, before + 1);
    film(&mut world, &["high", "medium", "low"], 1000);
    for viewer in 1..4 {
        let received = &world.clients[viewer].received;
        let sequences: Vec<u64> = received.iter().map(|packet| *packet.seq_no).collect();
        assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "{sequences:?}");
        let times: Vec<u32> = received.iter().map(|packet| packet.header.timestamp).collect();
        let steps = times.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
        // The pictures are 40 ms apart; there was a pause of 150 ms before the change.
        assert!(steps.clone().all(|step| (1..20_000).contains(&step)), "{:?}", steps.collect::<Vec<_>>());
        let first_high = received.iter().find(|packet| packet.payload[2] == 7).expect("it is shown");
        assert_eq!(first_high.payload[1] & 1, 0, "from a key frame on");
    }
}

#[test]
fn viewers_of_an_encoding_that_stops_are_shown_another_one_until_it_is_back() {
    let mut world = call(&["Ben"]);
    wants(&mut world, 1, tall(720));
    film(&mut world, &["high", "medium", "low"], 1000);
    let _ = (told(&mut world, 1), shown(&mut world, 1));
    film(&mut world, &["medium", "low"], 480);
    assert_eq!((told(&mut world, 1), shown(&mut world, 1)), (vec![], [0; 3]), "it may just be slow");
    film(&mut world, &["medium", "low"], 320);
    assert_eq!(told(&mut world, 1), [("medium".to_owned(), Some(360), LayerReason::Stopped)]);
    film(&mut world, &["medium", "low"], 1000);
    assert!(shown(&mut world, 1)[1] >= 25);
    film(&mut world, &["low"], 1000);
    assert_eq!(told(&mut world, 1), [("low".to_owned(), Some(180), LayerReason::Stopped)]);
    film(&mut world, &["high", "medium", "low"], 1000);
    assert_eq!(told(&mut world, 1), [("high".to_owned(), Some(720), LayerReason::Available)]);
    let _ = shown(&mut world, 1);
    film(&mut world, &["high", "medium", "low"], 400);
    assert_eq!(shown(&mut world, 1), [10, 0, 0]);
}

#[test]
fn what_nobody_needs_is_switched_off_after_a_while_and_on_at_once() {
    let mut world = call(&["Ben"]);
    wants(&mut world, 1, tall(180));
    let _ = orders(&mut world);
    film(&mut world, &["high", "medium", "low"], 5000);
    assert_eq!(orders(&mut world), [""; 0]);
    film(&mut world, &["high", "medium", "low"], 2000);
    assert_eq!(orders(&mut world), ["low"]);
    film(&mut world, &["low"], 1000);
    wants(&mut world, 1, tall(720));
    assert_eq!(orders(&mut world), ["high low"], "at once, and the smallest stays");
    film(&mut world, &["high", "low"], 1000);
    assert_eq!(told(&mut world, 1).last(), Some(&("high".to_owned(), Some(720), LayerReason::Available)));
    // A tile that shrinks for a moment costs nothing.
    wants(&mut world, 1, tall(180));
    film(&mut world, &["high", "low"], 3000);
    wants(&mut world, 1, tall(720));
    film(&mut world, &["high", "low"], 8000);
    assert_eq!(orders(&mut world), [""; 0]);
    assert_eq!(world.replay(Duration::from_secs(7)), world.outputs);
}

#[test]
fn what_cannot_be_seen_is_not_sent_and_if_nobody_sees_any_nothing_is() {
    let mut world = call(&["Ben", "Cleo"]);
    wants(&mut world, 1, tall(720));
    wants(&mut world, 2, hidden());
    film(&mut world, &["high", "medium", "low"], 7000);
    assert_eq!(shown(&mut world, 2), [0; 3]);
    assert_eq!(orders(&mut world).last().map(String::as_str), Some("high low"));
    wants(&mut world, 1, hidden());
    film(&mut world, &["high", "low"], 7000);
    assert_eq!(orders(&mut world), [""], "nothing at all");
    let _ = shown(&mut world, 1);
    wants(&mut world, 1, tall(360));
    assert_eq!(orders(&mut world), ["medium low"]);
    film(&mut world, &["medium", "low"], 1000);
    assert!(shown(&mut world, 1)[1] >= 20);
    // By the request to pause it is the same.
    let track = world.clients[0].track(Camera);
    world.command(1, Command::Pause { track, paused: true });
    film(&mut world, &["medium", "low"], 7000);
    assert_eq!(orders(&mut world), [""]);
    wants(&mut world, 1, tall(180));
    assert_eq!(orders(&mut world), [""; 0], "paused is paused, whatever the tile's size");
}

#[test]
fn an_encoding_that_does_not_come_although_it_is_wanted_is_made_up_for_by_the_next_smaller_one() {
    let mut world = call(&["Ben"]);
    wants(&mut world, 1, tall(180));
    film(&mut world, &["medium", "low"], 7000);
    assert_eq!(orders(&mut world).last().map(String::as_str), Some("low"));
    // The publisher's network does not carry the large one.
    wants(&mut world, 1, tall(720));
    assert_eq!(orders(&mut world), ["high low"]);
    film(&mut world, &["low"], 1500);
    assert_eq!(orders(&mut world), [""; 0], "it may be on its way");
    film(&mut world, &["low"], 1500);
    assert_eq!(orders(&mut world), ["high medium low"]);
    film(&mut world, &["medium", "low"], 10_000);
    assert_eq!(orders(&mut world), [""; 0], "it may become possible");
    assert_eq!(told(&mut world, 1).last(), Some(&("medium".to_owned(), Some(360), LayerReason::Available)));
}

#[test]
fn a_publisher_and_a_viewer_who_come_back_are_told_again() {
    let mut world = call(&["Ben"]);
    wants(&mut world, 1, tall(180));
    film(&mut world, &["high", "medium", "low"], 3000);
    world.break_signalling(0);
    film(&mut world, &["high", "medium", "low"], 4000);
    let _ = orders(&mut world);
    world.resume(0, None);
    assert_eq!(orders(&mut world), ["low"], "what they have missed");
    world.break_signalling(1);
    let _ = told(&mut world, 1);
    world.resume(1, None);
    film(&mut world, &["low"], 400);
    let layers: Vec<String> = told(&mut world, 1).into_iter().map(|(layer, ..)| layer).collect();
    assert_eq!(layers, ["low"]);
    assert_eq!(shown(&mut world, 1)[1], 0, "what they want is still known");
}

#[test]
fn wishes_for_tracks_that_are_gone_or_in_one_encoding_change_nothing() {
    let mut world = crate::call(&["Anna", "Ben"], &[Camera]);
    let track = world.clients[0].track(Camera);
    let gone = strait::core::ids::TrackId(1);
    let wishes = [gone, track].map(|track| Preference { track, wish: tall(90) });
    world.command(1, Command::Prefer(wishes.to_vec()));
    assert!(world.clients[1].refusals().is_empty());
    crate::show(&mut world, 0, Camera, 10);
    assert_eq!(world.clients[1].received.len(), 10);
    world.run(Duration::from_secs(10));
    assert!(orders(&mut world).is_empty() && told(&mut world, 1).is_empty());
}

#[test]
fn a_newcomer_who_has_not_said_what_they_want_makes_nobody_send_more() {
    let mut world = call(&["Ben"]);
    wants(&mut world, 1, tall(180));
    film(&mut world, &["high", "medium", "low"], 7000);
    film(&mut world, &["low"], 1000);
    assert_eq!(orders(&mut world).last().map(String::as_str), Some("low"));
    let cleo = world.join("standup", "Cleo");
    world.publish(cleo, 2, &[]);
    connected(&mut world);
    film(&mut world, &["low"], 500);
    wants(&mut world, cleo, tall(180));
    film(&mut world, &["low"], 2000);
    assert!(orders(&mut world).is_empty(), "{:?}", orders(&mut world));
    assert!(shown(&mut world, cleo)[2] >= 55);
    // Dan is not known to say anything, and gets the middle one after a while.
    let dan = world.join("standup", "Dan");
    world.publish(dan, 2, &[]);
    connected(&mut world);
    film(&mut world, &["low"], 700);
    assert!(orders(&mut world).is_empty(), "not before a second has passed");
    film(&mut world, &["low"], 1000);
    assert_eq!(orders(&mut world), ["medium low"]);
    film(&mut world, &["medium", "low"], 1000);
    assert!(shown(&mut world, dan)[1] >= 20);
}

#[test]
fn who_changes_their_mind_all_the_time_is_told_a_few_times_a_second_and_the_truth_in_the_end() {
    let mut world = call(&["Ben"]);
    film(&mut world, &["high", "medium", "low"], 3000);
    let _ = told(&mut world, 1);
    for round in 0..50 {
        wants(&mut world, 1, tall(if round % 2 == 0 { 720 } else { 180 }));
        film(&mut world, &["high", "medium", "low"], 200);
    }
    let news = told(&mut world, 1);
    assert!((5..=26).contains(&news.len()), "ten seconds: {news:?}");
    wants(&mut world, 1, tall(720));
    film(&mut world, &["high", "medium", "low"], 3000);
    let last = told(&mut world, 1).pop().or_else(|| news.last().cloned());
    assert_eq!(last.map(|(layer, ..)| layer).as_deref(), Some("high"));
    let _ = shown(&mut world, 1);
    film(&mut world, &["high", "medium", "low"], 1000);
    assert_eq!(shown(&mut world, 1), [25, 0, 0]);
}

#[test]
fn the_explanation_tells_what_was_shown_and_sent_and_why() {
    let mut world = call_of(crate::traces::recorded("*"), &["Ben"]);
    wants(&mut world, 1, tall(180));
    film(&mut world, &["high", "medium", "low"], 7000);
    film(&mut world, &["low"], 1000);
    wants(&mut world, 1, tall(720));
    film(&mut world, &["high", "low"], 1000);
    film(&mut world, &["low"], 1000);
    wants(&mut world, 1, hidden());
    film(&mut world, &["low"], 7000);
    let explanation = explained(&trace_of(world));
    for line in [
        "wants: shows Anna's camera 180 pixels tall",
        "layer: is shown Anna's camera in the encoding low, 180 pixels tall",
        "layer: is shown Anna's camera in the encoding high, 720 pixels tall: it has begun, and fits better",
        "layer: is shown Anna's camera in the encoding low, 180 pixels tall: the one before has stopped",
        "paused: paused Anna's camera",
    ] {
        assert_says(&explanation.participants[1], line);
    }
    for line in [
        "encodings: is to send only low of the camera: nobody has needed more for some seconds",
        "encodings: is to send high of the camera again: somebody needs it",
        "encodings: is to send nothing of the camera: nobody watches it",
    ] {
        assert_says(&explanation.participants[0], line);
    }
}

//! Data tracks, with whole endpoints at the other end: who is told of them, and who gets their frames.

use std::time::Duration;

use str0m::channel::{ChannelConfig, Reliability};
use strait::core::command::Command;
use strait::core::command::Source::Microphone;
use strait::core::data_tracks::{DataTrack, DataTrackCommand, LABEL, NAME_BYTES_MAX, PUBLISHED_MAX};
use strait::core::event::{Event, RefusalCode};
use strait::core::grants::Grants;
use strait::core::ids::TrackId;

use crate::call;
use crate::replaying::assert_replays;
use crate::world::World;

/// Three people whose front ends know data tracks, and Dan, whose does not.
fn room() -> World {
    let mut world = call(&["Anna", "Ben", "Cleo", "Dan"], &[Microphone]);
    for client in 0..3 {
        world.command(client, Command::ReadChannels);
        let reliability = Reliability::MaxRetransmits { retransmits: 0 };
        let label = LABEL.to_owned();
        world.open_channel(
            client,
            ChannelConfig { label, ordered: false, reliability, ..ChannelConfig::default() },
        );
    }
    world
}

fn asks(world: &mut World, client: usize, asked: DataTrackCommand) {
    world.command(client, Command::DataTracks(asked));
}

fn publishes(world: &mut World, client: usize, handle: u16, name: &str) {
    let (name, details) = (name.to_owned(), b"details".to_vec());
    asks(world, client, DataTrackCommand::Publish { handle, name, details });
}

/// What the client was told last of somebody's data tracks.
fn told(world: &World, client: usize) -> Option<Vec<DataTrack>> {
    world.clients[client].events.iter().rev().find_map(|event| match event {
        Event::DataTracks(_, tracks) => Some(tracks.clone()),
        _ => None,
    })
}

fn own(world: &World, client: usize) -> TrackId {
    let mut events = world.clients[client].events.iter();
    let published = events.find_map(|event| match event {
        Event::DataTrackPublished(_, track) => Some(*track),
        _ => None,
    });
    published.expect("it is published")
}

fn packet(handle: u16, text: &str) -> Vec<u8> {
    [&[0x18, 0][..], &handle.to_be_bytes(), &[0; 8], text.as_bytes()].concat()
}

fn heard(world: &mut World, client: usize) -> Vec<Vec<u8>> {
    world.run(Duration::from_millis(300));
    world.clients[client].heard.drain(..).map(|(_, bytes)| bytes).collect()
}

#[test]
fn frames_reach_those_who_have_subscribed_by_the_handles_that_they_were_told() {
    let mut world = room();
    publishes(&mut world, 0, 7, "points");
    let track = own(&world, 0);
    let info = DataTrack { track, handle: 7, name: "points".into(), details: b"details".to_vec() };
    assert_eq!((told(&world, 1), told(&world, 2)), (Some(vec![info.clone()]), Some(vec![info])));
    assert_eq!(told(&world, 3), None, "Dan would not understand it");

    world.say(0, LABEL, true, &packet(7, "before"));
    assert!(heard(&mut world, 1).is_empty(), "nobody has subscribed");
    asks(&mut world, 1, DataTrackCommand::Subscribe(track));
    let handle = world.clients[1].events.iter().find_map(|event| match event {
        Event::DataTrackHandle(of, handle) => Some((*of, *handle)),
        _ => None,
    });
    let (of, handle) = handle.expect("he is told");
    assert_eq!(of, track);
    world.say(0, LABEL, true, &packet(7, "one"));
    world.say(0, LABEL, true, &packet(8, "of no track"));
    world.say(0, LABEL, true, b"no packet");
    assert_eq!(heard(&mut world, 1), [packet(handle, "one")]);
    assert!([2, 3].iter().all(|other| world.clients[*other].heard.is_empty()));

    asks(&mut world, 1, DataTrackCommand::Unsubscribe(track));
    world.say(0, LABEL, true, &packet(7, "two"));
    assert!(heard(&mut world, 1).is_empty());
    asks(&mut world, 1, DataTrackCommand::Subscribe(track));
    asks(&mut world, 0, DataTrackCommand::Unpublish { handle: 7 });
    assert_eq!(told(&world, 2), Some(Vec::new()));
    world.say(0, LABEL, true, &packet(7, "three"));
    assert!(heard(&mut world, 1).is_empty());
    assert_replays(&world);
}

#[test]
fn who_comes_later_is_told_and_who_leaves_leaves_nothing_behind() {
    let mut world = room();
    publishes(&mut world, 0, 1, "points");
    let track = own(&world, 0);
    world.command(3, Command::ReadChannels);
    assert_eq!(told(&world, 3).map(|tracks| tracks.len()), Some(1));
    for client in [1, 2] {
        asks(&mut world, client, DataTrackCommand::Subscribe(track));
    }
    world.command(1, Command::Leave);
    world.say(0, LABEL, true, &packet(1, "one"));
    assert_eq!(heard(&mut world, 2).len(), 1);
    world.command(0, Command::Leave);
    asks(&mut world, 2, DataTrackCommand::Unsubscribe(track));
    asks(&mut world, 2, DataTrackCommand::Subscribe(track));
    assert_eq!(world.clients[2].refusals(), [RefusalCode::UnknownTrack]);
}

#[test]
fn what_may_not_be_published_or_is_too_much_is_refused() {
    let mut world = room();
    publishes(&mut world, 0, 0, "zero is no handle");
    publishes(&mut world, 0, 1, "");
    publishes(&mut world, 0, 1, &"x".repeat(NAME_BYTES_MAX + 1));
    let (name, details) = ("large".to_owned(), vec![0; 10_000]);
    asks(&mut world, 0, DataTrackCommand::Publish { handle: 1, name, details });
    publishes(&mut world, 0, 1, "points");
    publishes(&mut world, 0, 1, "the same handle");
    publishes(&mut world, 0, 2, "points");
    asks(&mut world, 0, DataTrackCommand::Unpublish { handle: 9 });
    let track = own(&world, 0);
    asks(&mut world, 0, DataTrackCommand::Subscribe(track));
    let bad = [RefusalCode::BadMessage; 6];
    let refusals = [&bad[..], &[RefusalCode::UnknownTrack; 2]].concat();
    assert_eq!(world.clients[0].refusals(), refusals);
    for handle in 2..100 {
        publishes(&mut world, 0, handle, &handle.to_string());
    }
    assert_eq!(told(&world, 1).map(|tracks| tracks.len()), Some(PUBLISHED_MAX));
    assert_eq!(world.clients[0].refusals().last(), Some(&RefusalCode::TooManyTracks));

    let mut world = World::new();
    world.grants = Grants { send_data: false, ..Grants::OPEN };
    let anna = world.join("standup", "Anna");
    publishes(&mut world, anna, 1, "points");
    assert_eq!(world.clients[anna].refusals(), [RefusalCode::NotPermitted]);
}

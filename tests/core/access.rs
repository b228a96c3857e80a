//! What people may do is what was granted to them when they came in, and nothing else.

use std::time::Duration;

use strait::core::command::Source::{Camera, Microphone};
use strait::core::command::{Command, Moderation};
use strait::core::event::{ClosingReason, Event, LeaveReason, RefusalCode};
use strait::core::grants::{Grants, Sources};

use crate::world::World;
use crate::{call, show};

/// A call of Anna, who may do everything but moderate, and of somebody who may do what is granted to them. Both publish a
/// microphone and a camera, as far as they may.
fn beside_anna(grants: Grants) -> (World, usize) {
    let mut world = call(&["Anna"], &[Microphone, Camera]);
    world.grants = grants;
    let other = world.join("standup", "Ben");
    world.publish(other, 2, &[Microphone, Camera]);
    world.run(Duration::from_millis(300));
    (world, other)
}

#[test]
fn only_what_may_be_published_is() {
    let (world, ben) = beside_anna(Grants { publish: Sources::of(&[Microphone]), ..Grants::OPEN });
    let added: Vec<_> = world.clients[0].tracks_added().iter().map(|track| track.source).collect();
    assert_eq!(added, [Microphone], "Anna hears of his microphone alone");
    let refused = world.clients[ben].events.iter().find_map(|event| match event {
        Event::CannotPublish { reason, .. } => Some(reason.as_str()),
        _ => None,
    });
    assert_eq!(refused, Some("you may not publish a camera in this room"));
}

#[test]
fn whoever_may_not_receive_is_shown_nothing() {
    let (mut world, ben) = beside_anna(Grants { subscribe: false, ..Grants::OPEN });
    show(&mut world, 0, Camera, 5);
    assert!(world.clients[ben].received.is_empty() && world.clients[ben].shown().is_empty());
    let camera = world.clients[0].track(Camera);
    world.command(ben, Command::Subscribe(camera));
    assert_eq!(world.clients[ben].refusals(), [RefusalCode::NotPermitted]);
}

#[test]
fn whoever_may_not_send_messages_is_told_so() {
    let (mut world, ben) = beside_anna(Grants { send_data: false, ..Grants::OPEN });
    world
        .command(ben, Command::Data { to: None, topic: "chat".into(), payload: "1".into(), is_lossy: false });
    assert_eq!(world.clients[ben].refusals(), [RefusalCode::NotPermitted]);
    assert!(!world.clients[0].events.iter().any(|event| matches!(event, Event::Data { .. })));
}

#[test]
fn only_moderators_moderate() {
    let (mut world, ben) = beside_anna(Grants::OPEN);
    let camera = world.clients[0].track(Camera);
    let anna = match world.clients[0].events.first() {
        Some(Event::Joined(_, joined)) => joined.participant,
        other => panic!("{other:?}"),
    };
    for moderation in [Moderation::Mute(camera), Moderation::Remove(anna.into()), Moderation::End] {
        world.command(ben, Command::Moderate(moderation));
    }
    assert_eq!(world.clients[ben].refusals(), [RefusalCode::NotPermitted; 3]);
    show(&mut world, 0, Camera, 5);
    assert_eq!(world.clients[ben].received_of(camera).len(), 5, "her picture is still there");
}

#[test]
fn a_moderator_mutes_a_track_and_its_owner_may_unmute_it() {
    let (mut world, ben) = beside_anna(Grants { moderate: true, ..Grants::OPEN });
    let camera = world.clients[0].track(Camera);
    world.command(ben, Command::Moderate(Moderation::Mute(camera)));
    let told =
        |event: &Event| matches!(event, Event::TrackMuted { track, muted: true, .. } if *track == camera);
    for person in [0, ben] {
        assert_eq!(world.clients[person].events.iter().filter(|event| told(event)).count(), 1);
    }
    // Whatever her client sends, nobody is shown it.
    show(&mut world, 0, Camera, 5);
    assert_eq!(world.clients[ben].received_of(camera).len(), 0);
    world.command(0, Command::Mute { track: camera, muted: false });
    show(&mut world, 0, Camera, 5);
    assert!(!world.clients[ben].received_of(camera).is_empty());
}

#[test]
fn a_moderator_removes_somebody_and_ends_the_call() {
    let (mut world, ben) = beside_anna(Grants { moderate: true, ..Grants::OPEN });
    let anna = world.sfu.snapshot(world.now).rooms[0].participants[0].participant;
    world.command(ben, Command::Moderate(Moderation::Remove(anna.into())));
    let closing = |reason: LeaveReason| Event::Closing(ClosingReason::Gone(reason));
    assert!(world.clients[0].events.contains(&closing(LeaveReason::Removed)));
    world.command(ben, Command::Moderate(Moderation::Remove(anna.into())));
    assert_eq!(world.clients[ben].refusals(), [RefusalCode::UnknownParticipant], "she is gone already");
    world.command(ben, Command::Moderate(Moderation::End));
    assert!(world.clients[ben].events.contains(&closing(LeaveReason::RoomClosed)));
    assert!(world.sfu.snapshot(world.now).rooms.is_empty());
}

#[test]
fn who_may_not_make_a_room_waits_until_it_is_there() {
    let mut world = World::new();
    world.grants = Grants { create: false, ..Grants::OPEN };
    let ben = world.join("standup", "Ben");
    assert_eq!(world.clients[ben].refusals(), [RefusalCode::NoSuchRoom]);
    world.grants = Grants::OPEN;
    world.join("standup", "Anna");
    world.grants = Grants { create: false, ..Grants::OPEN };
    world.ask_to_join(ben, "standup", "Ben");
    assert!(world.clients[ben].events.iter().any(|event| matches!(event, Event::Joined(..))));
}

//! Members who say who may receive their tracks.

use std::collections::BTreeSet;
use std::time::Duration;

use strait::core::audience::{AllowedTracks, Audience};
use strait::core::command::Command;
use strait::core::command::Source::{Camera, Microphone};
use strait::core::event::Event;
use strait::core::ids::{ParticipantId, TrackId};
use strait::core::moderation::Target;
use strait::core::profile::Profile;

use crate::world::World;
use crate::{connected, show};

/// Anna, who publishes microphone and camera, Ben, who has an identity, and Cleo.
fn call() -> World {
    let mut world = World::new();
    world.join("standup", "Anna");
    world.publish(0, 2, &[Microphone, Camera]);
    world.profile.identity = Some("ben".into());
    world.join("standup", "Ben");
    world.publish(1, 2, &[]);
    world.profile = Profile::default();
    world.join("standup", "Cleo");
    world.publish(2, 2, &[]);
    connected(&mut world);
    world
}

fn id(world: &World, who: usize) -> ParticipantId {
    world.clients[who].joined.as_ref().expect("they have joined").participant
}

fn only(target: Target, tracks: AllowedTracks) -> Command {
    let mut audience = Audience::default();
    audience.allow(target, tracks);
    Command::SetAudience(Some(Box::new(audience)))
}

/// What somebody was told of who may receive a track, in order.
fn told(world: &World, who: usize, of: TrackId) -> Vec<bool> {
    let permission = |event: &Event| match event {
        Event::SubscriptionPermission { track, allowed, .. } if *track == of => Some(*allowed),
        _ => None,
    };
    world.clients[who].events.iter().filter_map(permission).collect()
}

#[test]
fn whoever_may_not_receive_a_track_gets_nothing_of_it_until_they_may() {
    let mut world = call();
    let camera = world.clients[0].track(Camera);
    world.command(0, only(Target::Identity("ben".into()), AllowedTracks::All));
    show(&mut world, 0, Camera, 5);
    assert!(world.clients[1].received_of(camera).len() > 3, "Ben is named");
    assert_eq!(world.clients[2].received_of(camera).len(), 0, "Cleo is not");
    assert!(!world.clients[2].shown().contains(&camera));
    assert_eq!((told(&world, 1, camera), told(&world, 2, camera)), (vec![], vec![false]));

    let microphone = world.clients[0].track(Microphone);
    let these = AllowedTracks::These(BTreeSet::from([microphone]));
    let cleo = Target::Id(id(&world, 2));
    world.command(0, only(cleo, these));
    world.run(Duration::from_millis(200));
    assert_eq!(world.clients[2].shown(), [microphone], "Cleo may hear");
    assert!(world.clients[1].shown().is_empty(), "and Ben may nothing any more");

    world.command(0, Command::SetAudience(None));
    show(&mut world, 0, Camera, 5);
    for who in [1, 2] {
        assert!(world.clients[who].shown().contains(&camera));
        assert_eq!(told(&world, who, camera).last(), Some(&true));
    }
}

#[test]
fn a_track_that_comes_later_and_a_person_who_comes_later_are_bound_as_well() {
    let mut world = call();
    world.command(0, only(Target::Identity("ben".into()), AllowedTracks::All));
    world.join("standup", "Dan");
    world.publish(3, 2, &[]);
    world.publish(0, 0, &[Camera]);
    connected(&mut world);
    let camera = world.clients[0].track(Camera);
    show(&mut world, 0, Camera, 5);
    assert_eq!((told(&world, 3, camera), world.clients[3].shown().len()), (vec![false], 0));
    world.command(3, Command::Subscribe(camera));
    assert_eq!(told(&world, 3, camera), [false, false], "whoever asks is told again");
    assert!(world.clients[3].shown().is_empty());
    // What they do not want any more they do not get when they may.
    world.command(3, Command::Unsubscribe(camera));
    world.command(0, Command::SetAudience(None));
    world.run(Duration::from_millis(200));
    assert!(!world.clients[3].shown().contains(&camera));
    assert_eq!(world.clients[3].shown().len(), 2, "her microphone and her other camera");
}

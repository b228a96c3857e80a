//! Who somebody is: what others are told of them, who they are when they come twice, and who is not seen at all.

use std::time::Duration;

use strait::core::command::Source::{Camera, Microphone};
use strait::core::command::{Command, Lifeline};
use strait::core::event::{ClosingReason, Event, LeaveReason, RefusalCode};
use strait::core::grants::{Grants, Role};
use strait::core::profile::{Profile, ProfileChange};

use crate::world::World;
use crate::{call, show};

/// A profile that a back end has made.
fn known_as(identity: &str) -> Profile {
    let attributes = [("team".to_owned(), "blue".to_owned())].into();
    Profile {
        identity: Some(identity.into()),
        metadata: "{\"seat\":3}".into(),
        attributes,
        ..Profile::default()
    }
}

fn closing(world: &World, who: usize) -> Option<ClosingReason> {
    let events = world.clients[who].events.iter();
    events.filter_map(|event| if let Event::Closing(reason) = event { Some(*reason) } else { None }).next()
}

fn names(world: &World) -> Vec<String> {
    let rooms = world.sfu.snapshot(world.now).rooms;
    rooms.iter().flat_map(|room| &room.participants).map(|one| one.profile.name.clone()).collect()
}

#[test]
fn everybody_is_told_who_a_back_end_says_that_somebody_is() {
    let mut world = call(&["Anna"], &[Microphone]);
    world.profile = known_as("ben@example.org");
    world.grants = Grants { moderate: true, ..Grants::OPEN };
    let ben = world.join("standup", "Ben");
    let expected = Profile { name: "Ben".into(), ..known_as("ben@example.org") };
    let joined = world.clients[ben].joined.clone().expect("he is in");
    assert_eq!((joined.profile, joined.grants.role()), (expected.clone(), Role::Moderator));
    let told = world.clients[0].events.iter().find_map(|event| match event {
        Event::ParticipantJoined(info) => Some((info.profile.clone(), info.role)),
        _ => None,
    });
    assert_eq!(told, Some((expected.clone(), Role::Moderator)));
    world.profile = Profile::default();
    world.grants = Grants { publish: strait::core::grants::Sources::NONE, ..Grants::OPEN };
    let cleo = world.join("standup", "Cleo");
    let others = &world.clients[cleo].joined.as_ref().expect("she is in").participants;
    let roles: Vec<Role> = others.iter().map(|other| other.role).collect();
    assert_eq!((roles, &others[1].profile), (vec![Role::Speaker, Role::Moderator], &expected));
    let snapshot = world.sfu.snapshot(world.now);
    assert_eq!(snapshot.rooms[0].participants[1].profile, expected);
}

#[test]
fn whoever_joins_again_with_their_identity_replaces_themselves() {
    let mut world = World::new();
    world.profile = known_as("anna");
    let old = world.join("standup", "Anna");
    world.profile = known_as("ben");
    let ben = world.join("standup", "Ben");
    world.profile = known_as("anna");
    let new = world.join("standup", "Anna again");
    assert_eq!(closing(&world, old), Some(ClosingReason::Gone(LeaveReason::DuplicateIdentity)));
    assert_eq!(names(&world), ["Ben", "Anna again"]);
    let gone = world.clients[old].joined.as_ref().expect("she was in").participant;
    assert!(
        world.clients[ben].events.contains(&Event::ParticipantLeft(gone, LeaveReason::DuplicateIdentity))
    );
    assert_eq!(closing(&world, new), None);
    // Alone in the room, which would end at once when the older one is gone.
    world.command(ben, Command::Leave);
    let newest = world.join("standup", "Anna for the third time");
    assert_eq!(names(&world), ["Anna for the third time"]);
    assert_eq!(closing(&world, newest), None);
}

#[test]
fn the_place_of_whoever_is_replaced_is_free_for_them() {
    let mut world = World::with(|settings| settings.participants_per_room_max = 1);
    world.profile = known_as("anna");
    world.join("standup", "Anna");
    let again = world.join("standup", "Anna");
    assert!(world.clients[again].refusals().is_empty() && world.clients[again].joined.is_some());
}

#[test]
fn nobody_is_replaced_who_has_no_identity_or_no_signalling() {
    let mut world = World::new();
    world.join("standup", "Anna");
    world.join("standup", "Anna");
    world.profile = known_as("ben");
    world.join("standup", "Ben");
    world.lifeline = Lifeline::Media;
    for name in ["Ben's encoder", "Ben's other encoder"] {
        world.join("standup", name);
    }
    assert_eq!(names(&world), ["Anna", "Anna", "Ben", "Ben's encoder", "Ben's other encoder"]);
}

#[test]
fn whoever_may_changes_their_own_name_and_the_others_are_told() {
    let mut world = call(&["Anna", "Ben"], &[Microphone]);
    let anna = world.clients[0].joined.as_ref().expect("she is in").participant;
    let change = ProfileChange {
        name: Some("Anna B.".into()),
        metadata: None,
        attributes: [("hand".to_owned(), "up".to_owned())].into(),
    };
    world.command(0, Command::UpdateProfile(change.clone()));
    // Said twice, it is no news.
    world.command(0, Command::UpdateProfile(change));
    let expected =
        Profile { attributes: [("hand".to_owned(), "up".to_owned())].into(), ..Profile::named("Anna B.") };
    let news = Event::ParticipantUpdated(anna, Box::new(expected.clone()), Role::Speaker);
    let told = |who: usize| world.clients[who].events.iter().filter(|event| **event == news).count();
    assert_eq!((told(0), told(1)), (0, 1));
    assert_eq!(world.sfu.snapshot(world.now).rooms[0].participants[0].profile, expected);
    let long = ProfileChange { metadata: Some("x".repeat(5000)), ..ProfileChange::default() };
    world.command(0, Command::UpdateProfile(long));
    assert_eq!(world.clients[0].refusals(), [RefusalCode::PayloadTooLarge]);
    world.break_signalling(1);
    world.resume(1, None);
    let resumed = world.clients[1].events.iter().rev().find_map(|event| match event {
        Event::Resumed(_, resumed) => Some(resumed.joined.participants[0].profile.clone()),
        _ => None,
    });
    assert_eq!(resumed, Some(expected));
}

#[test]
fn whoever_may_not_change_their_name_is_told_so() {
    let mut world = World::new();
    world.grants = Grants { update_own_profile: false, ..Grants::OPEN };
    let anna = world.join("standup", "Anna");
    let change = ProfileChange { name: Some("Ben".into()), ..ProfileChange::default() };
    world.command(anna, Command::UpdateProfile(change));
    assert_eq!(world.clients[anna].refusals(), [RefusalCode::NotPermitted]);
    assert_eq!(names(&world), ["Anna"]);
}

#[test]
fn nobody_hears_of_whoever_is_hidden_and_they_see_everything() {
    let mut world = call(&["Anna"], &[Microphone, Camera]);
    world.grants = Grants { hidden: true, ..Grants::OPEN };
    let hidden = world.join("standup", "Nobody");
    world.publish(hidden, 2, &[Camera]);
    let id = world.clients[hidden].joined.as_ref().expect("they are in").participant;
    let refused =
        world.clients[hidden].events.iter().any(|event| matches!(event, Event::CannotPublish { .. }));
    assert!(refused, "what they publish would show them");
    world
        .command(hidden, Command::Data { to: None, topic: "x".into(), payload: "1".into(), is_lossy: false });
    let renamed = ProfileChange { name: Some("Somebody".into()), ..ProfileChange::default() };
    world.command(hidden, Command::UpdateProfile(renamed));
    world.until("they are connected", |world| world.clients[hidden].rtc.is_connected());
    show(&mut world, 0, Camera, 5);
    let camera = world.clients[0].track(Camera);
    assert!(!world.clients[hidden].received_of(camera).is_empty(), "they see Anna");
    world.break_signalling(hidden);
    world.resume(hidden, None);
    world.grants = Grants::OPEN;
    let ben = world.join("standup", "Ben");
    assert_eq!(world.clients[ben].joined.as_ref().expect("he is in").participants.len(), 1);
    assert_eq!(world.sfu.counts(), (1, 2), "they do not count as present");
    world.command(hidden, Command::Leave);
    for person in [0, ben] {
        let names_them = |event: &&Event| match event {
            Event::ParticipantJoined(info) => info.participant == id,
            Event::ParticipantReconnecting(of)
            | Event::ParticipantResumed(of)
            | Event::ParticipantMediaLost(of)
            | Event::ParticipantLeft(of, _)
            | Event::ParticipantUpdated(of, ..)
            | Event::Quality(of, _) => *of == id,
            Event::Data { from, .. } => *from == Some(id),
            _ => false,
        };
        assert_eq!(world.clients[person].events.iter().find(names_them), None);
    }
}

#[test]
fn whoever_is_hidden_takes_no_place_and_keeps_no_room() {
    let mut world = World::with(|settings| {
        settings.participants_per_room_max = 1;
        settings.empty_timeout = Duration::from_secs(60);
    });
    world.grants = Grants { hidden: true, ..Grants::OPEN };
    let hidden = world.join("standup", "Nobody");
    world.run(Duration::from_secs(30));
    world.grants = Grants::OPEN;
    let anna = world.join("standup", "Anna");
    assert!(world.clients[anna].joined.is_some());
    world.run(Duration::from_secs(60));
    world.command(anna, Command::Leave);
    world.run(Duration::from_secs(59));
    assert_eq!(world.sfu.snapshot(world.now).rooms.len(), 1);
    world.run(Duration::from_secs(2));
    assert!(world.sfu.snapshot(world.now).rooms.is_empty());
    assert_eq!(closing(&world, hidden), Some(ClosingReason::Gone(LeaveReason::RoomClosed)));
}

//! What is set for one room: the codecs that it takes, whether it is recorded, rooms that the operator has made, and bans that
//! outlive them.

use std::net::IpAddr;
use std::time::Duration;

use strait::core::codec_set::CodecSet;
use strait::core::command::Moderation;
use strait::core::command::Source::{Camera, Microphone};
use strait::core::event::{Event, RefusalCode};
use strait::core::grants::Grants;
use strait::core::moderation::{Ban, Target};
use strait::core::profile::Profile;
use strait::core::room_options::{RecordingPolicy, RoomChange};

use crate::traces::{recorded, recorded_in, traces};
use crate::world::World;
use crate::{call, connected, show};

const NO_ROOMS: Grants = Grants { create: false, ..Grants::OPEN };

fn codecs(names: &[&str]) -> RoomChange {
    RoomChange { codecs: CodecSet::named(names.iter().copied()), ..RoomChange::default() }
}

fn cannot_publish(world: &World, who: usize) -> Vec<&str> {
    let reasons = world.clients[who].events.iter().filter_map(|event| match event {
        Event::CannotPublish { reason, .. } => Some(reason.as_str()),
        _ => None,
    });
    reasons.collect()
}

/// Somebody comes by a token of this identity.
fn come_as(world: &mut World, identity: &str) -> usize {
    world.profile.identity = Some(identity.into());
    let person = world.join("standup", identity);
    world.profile = Profile::default();
    person
}

fn ban(identity: &str, seconds: Option<u64>) -> Moderation {
    let target = Target::Identity(identity.into());
    Moderation::Ban(Ban { target, with_address: false, lasts: seconds.map(Duration::from_secs) })
}

#[test]
fn a_room_for_audio_takes_no_camera_and_says_why() {
    let mut world = World::new();
    assert_eq!(world.make_room(codecs(&["opus"])), Ok(()));
    let (anna, ben) = (world.join("standup", "Anna"), world.join("standup", "Ben"));
    for person in [anna, ben] {
        world.publish(person, 2, &[Microphone, Camera]);
    }
    let reasons = cannot_publish(&world, anna);
    assert!(
        matches!(reasons[..], [why] if why.contains("served in this room") && why.ends_with("served are none")),
        "{reasons:?}"
    );
    connected(&mut world);
    show(&mut world, ben, Microphone, 5);
    let microphone = world.clients[ben].track(Microphone);
    assert_eq!(world.clients[anna].received_of(microphone).len(), 5, "the rest of the offer is taken");
    assert_eq!(world.clients[anna].tracks_added().len(), 1);
}

#[test]
fn the_codecs_of_a_room_are_agreed_on_and_do_not_change_while_somebody_is_there() {
    let mut world = World::new();
    assert_eq!(world.make_room(codecs(&["opus", "vp8"])), Ok(()));
    let anna = world.join("standup", "Anna");
    world.publish(anna, 2, &[Microphone, Camera]);
    assert!(cannot_publish(&world, anna).is_empty());
    assert_eq!(world.make_room(codecs(&["opus"])), Err(RefusalCode::NotPermitted));
    assert_eq!(world.make_room(codecs(&["vp8", "opus"])), Ok(()), "that is no change");
    assert_eq!(world.replay(Duration::from_secs(100_000)), world.outputs);
}

#[test]
fn a_room_that_is_always_recorded_is_recorded_whatever_its_name_and_one_that_never_is_is_not() {
    let policy = |recording| RoomChange { recording: Some(recording), ..RoomChange::default() };
    let mut world = World::new();
    assert_eq!(world.make_room(policy(RecordingPolicy::Always)), Ok(()));
    world.join("standup", "Anna");
    world.join("retro", "Ben");
    let recorded_rooms: Vec<String> = traces(world).keys().map(ToString::to_string).collect();
    assert_eq!(recorded_rooms, ["standup"]);
    let mut world = recorded("*");
    assert_eq!(world.make_room(policy(RecordingPolicy::Never)), Ok(()));
    world.join("standup", "Anna");
    assert!(traces(world).is_empty());
}

#[test]
fn a_room_that_the_operator_has_made_can_be_joined_by_anybody_and_is_what_it_was_when_it_is_made_again() {
    let mut world = World::with(|settings| {
        let talk = RoomChange {
            participants_max: Some(1),
            metadata: Some("a talk".into()),
            recording: Some(RecordingPolicy::Always),
            ..codecs(&["opus"])
        };
        settings.known_rooms.insert("standup".parse().expect("a room id"), talk);
    });
    world.grants = NO_ROOMS;
    for _ in 0..2 {
        let anna = world.join("standup", "Anna");
        let joined = world.clients[anna].joined.as_ref().expect("the room is there");
        assert_eq!(joined.room_state.metadata, "a talk");
        let ben = world.join("standup", "Ben");
        assert_eq!(world.clients[ben].refusals(), [RefusalCode::RoomFull]);
        world.publish(anna, 2, &[Microphone, Camera]);
        assert_eq!(cannot_publish(&world, anna).len(), 1);
        assert_eq!(world.operate(Moderation::End), Ok(()));
        assert!(world.sfu.snapshot(world.now).rooms.is_empty());
    }
    let other = world.join("retro", "Anna");
    assert_eq!(world.clients[other].refusals(), [RefusalCode::NoSuchRoom]);
    // What a back end sets for it comes on top.
    let larger = RoomChange { participants_max: Some(2), ..RoomChange::default() };
    assert_eq!(world.make_room(larger), Ok(()));
    let options = &world.sfu.snapshot(world.now).rooms[0].options;
    assert_eq!((options.participants_max, options.metadata.as_str()), (Some(2), "a talk"));
    assert_eq!(traces(world).len(), 1, "each time");
}

#[test]
fn a_ban_for_a_time_outlives_its_room_and_one_without_an_end_does_not() {
    let mut world = call(&[], &[]);
    come_as(&mut world, "ben");
    assert_eq!(world.operate(ban("anna", Some(90))), Ok(()));
    assert_eq!(world.operate(ban("cleo", None)), Ok(()));
    world.run(Duration::from_secs(30));
    assert_eq!(world.operate(Moderation::End), Ok(()));
    let standup = "standup".parse().expect("a room id");
    let left = world.sfu.bans(world.now, &standup).expect("one is remembered");
    assert_eq!((left.len(), left[0].identity.as_deref()), (1, Some("anna")));
    assert!(left[0].left.is_some_and(|left| left <= Duration::from_secs(60)));
    // She makes the room anew herself, and stays out of it.
    let anna = come_as(&mut world, "anna");
    assert_eq!(world.clients[anna].refusals(), [RefusalCode::Banned]);
    let cleo = come_as(&mut world, "cleo");
    assert!(world.clients[cleo].joined.is_some());
    assert_eq!(world.operate(Moderation::End), Ok(()));
    world.run(Duration::from_secs(61));
    assert_eq!(world.sfu.bans(world.now, &standup), None);
    let anna = come_as(&mut world, "anna");
    assert!(world.clients[anna].joined.is_some());
    assert_eq!(world.replay(Duration::from_secs(100_000)), world.outputs);
}

#[test]
fn a_room_that_only_a_banned_person_wants_to_enter_does_not_stay() {
    let mut world = World::new();
    assert_eq!(world.operate(ban("anna", None)), Err(RefusalCode::NoSuchRoom), "it would end with the room");
    assert_eq!(world.operate(ban("anna", Some(3600))), Ok(()));
    let anna = come_as(&mut world, "anna");
    assert_eq!(world.clients[anna].refusals(), [RefusalCode::Banned]);
    world.run(Duration::from_millis(100));
    assert!(world.sfu.snapshot(world.now).rooms.is_empty());
    let again = come_as(&mut world, "anna");
    assert_eq!(world.clients[again].refusals(), [RefusalCode::Banned], "nor is she forgotten by that");
}

#[test]
fn whoever_is_banned_by_their_address_is_let_in_again_by_it_while_the_room_is_not_there() {
    let mut world = call(&[], &[]);
    world.host = Some(IpAddr::from([192, 0, 2, 1]));
    let anna = world.join("standup", "Anna");
    let id = world.clients[anna].joined.as_ref().expect("she has joined").participant;
    let lasts = Some(Duration::from_secs(3600));
    assert_eq!(world.operate(Moderation::Ban(Ban { target: id.into(), with_address: true, lasts })), Ok(()));
    world.run(Duration::from_millis(100));
    assert!(world.sfu.snapshot(world.now).rooms.is_empty());
    let again = world.join("standup", "Anna");
    assert_eq!(world.clients[again].refusals(), [RefusalCode::Banned]);
    world.run(Duration::from_millis(100));
    assert_eq!(world.operate(Moderation::LiftBans(Some("192.0.2.1".into()))), Ok(()));
    assert_eq!(
        world.operate(Moderation::LiftBans(None)),
        Err(RefusalCode::NoSuchRoom),
        "nothing is left to lift"
    );
    world.ask_to_join(again, "standup", "Anna");
    assert!(world.clients[again].joined.is_some());
}

#[test]
fn a_recorded_room_replays_with_the_bans_that_it_took_over() {
    let mut world = recorded_in(World::new(), "*");
    assert_eq!(world.operate(ban("anna", Some(3600))), Ok(()));
    come_as(&mut world, "ben");
    let anna = come_as(&mut world, "anna");
    assert_eq!(world.clients[anna].refusals(), [RefusalCode::Banned]);
    world.run(Duration::from_secs(1));
    for trace in traces(world).values() {
        let replayed = crate::traces::replayed(trace, Duration::from_secs(100_000));
        assert_eq!(replayed.parted, None);
    }
}

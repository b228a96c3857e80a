//! Calls that go straight while they are small: who is told what, and when all move to the server and back.

use std::time::Duration;

use str0m::Rtc;
use strait::core::command::Source::{Camera, Microphone};
use strait::core::command::{Command, Lifeline, MeshCommand, Moderation};
use strait::core::event::{Event, RefusalCode};
use strait::core::grants::{Grants, Sources};
use strait::core::ids::ParticipantId;
use strait::core::mesh::{MeshSignal, MeshTrack};
use strait::core::moderation::{PermissionsChange, Target};
use strait::core::room_options::RoomChange;
use strait::core::topology::{ClientMode, MeshPolicy, MeshSettings, Mode, Reason, Strategy, View};

use crate::explaining::{assert_says, explained, trace_of};
use crate::replaying::assert_replays;
use crate::traces::recorded_in;
use crate::world::World;

const NAMES: [&str; 10] = ["Anna", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gil", "Hana", "Ida", "Jon"];

/// A room that goes straight while it is small, with so many people in it whose clients can.
fn mesh_of(people: usize) -> World {
    in_world(World::with(|settings| settings.mesh.policy = MeshPolicy::Auto), people)
}

fn in_world(mut world: World, people: usize) -> World {
    world.can_mesh = true;
    (0..people).for_each(|person| come(&mut world, person));
    world
}

fn come(world: &mut World, person: usize) {
    assert_eq!(world.join("standup", NAMES[person]), person);
}

fn id(world: &World, person: usize) -> ParticipantId {
    world.clients[person].joined.as_ref().expect("they have joined").participant
}

/// What somebody was told last of where media goes.
fn told(world: &World, person: usize) -> Option<View> {
    let news = world.clients[person].events.iter().rev().find_map(|event| match event {
        Event::Topology(view) => Some(Some(*view)),
        Event::Joined(_, joined) => Some(joined.topology),
        Event::Resumed(_, resumed) => Some(resumed.joined.topology),
        _ => None,
    });
    news.flatten()
}

fn where_is(world: &World, person: usize) -> (Mode, Option<Mode>) {
    let view = told(world, person).expect("they were told");
    (view.mode, view.moving_to)
}

fn moves(world: &mut World, person: usize) {
    let number = told(world, person).expect("they were told").migration;
    world.command(person, Command::Mesh(MeshCommand::Migrated(number)));
}

fn all_move(world: &mut World, people: std::ops::Range<usize>) {
    people.for_each(|person| moves(world, person));
}

fn track(source: strait::core::command::Source) -> MeshTrack {
    MeshTrack { id: format!("{source:?}").into(), source, muted: false }
}

fn sends(world: &mut World, person: usize, tracks: Vec<MeshTrack>) {
    world.command(person, Command::Mesh(MeshCommand::Tracks(tracks)));
}

/// Whoever was told last, by somebody, of what they send straight.
fn told_tracks(world: &World, to: usize, of: usize) -> Option<Vec<MeshTrack>> {
    let of = id(world, of);
    world.clients[to].events.iter().rev().find_map(|event| match event {
        Event::MeshTracks(who, tracks) if *who == of => Some(tracks.clone()),
        _ => None,
    })
}

#[test]
fn seven_go_straight_the_eighth_takes_all_to_the_server_and_with_five_they_are_back() {
    let mut world = mesh_of(7);
    assert!((0..7).all(|person| where_is(&world, person) == (Mode::P2p, None)));
    assert!(told(&world, 5).is_some_and(|view| view.warm), "six: the server may be got ready");
    come(&mut world, 7);
    for (person, name) in NAMES.iter().enumerate().take(8) {
        assert_eq!(where_is(&world, person), (Mode::P2p, Some(Mode::Sfu)), "{name}");
    }
    let last = world.clients[7].joined.clone().expect("she has joined").topology.expect("the reply tells");
    assert_eq!((last.moving_to, last.migration, last.reason), (Some(Mode::Sfu), 1, Reason::Size));
    all_move(&mut world, 0..7);
    assert!((0..8).all(|person| where_is(&world, person) == (Mode::Sfu, None)));
    world.run(Duration::from_secs(6));
    for person in [7, 6, 5] {
        world.command(person, Command::Leave);
    }
    assert_eq!(where_is(&world, 0), (Mode::Sfu, Some(Mode::P2p)));
    all_move(&mut world, 0..5);
    assert!((0..5).all(|person| where_is(&world, person) == (Mode::P2p, None)));
    assert_replays(&world);
}

#[test]
fn a_room_in_which_media_may_not_go_straight_tells_nobody_of_it() {
    let mut world = in_world(World::new(), 2);
    assert_eq!((told(&world, 0), told(&world, 1)), (None, None));
    sends(&mut world, 0, vec![track(Camera)]);
    assert_eq!(world.clients[0].refusals(), [RefusalCode::NotPermitted]);
    assert_eq!(world.operate(Moderation::ResetTopology(None)), Err(RefusalCode::NotPermitted));
    let snapshot = world.sfu.snapshot(world.now);
    assert_eq!(snapshot.rooms[0].topology.mode, Mode::Sfu);
}

#[test]
fn signals_reach_the_one_they_are_for_and_nobody_else() {
    let mut world = mesh_of(3);
    let signal = MeshSignal::Description(r#"{"type":"offer","sdp":"v=0\r\n"}"#.into());
    let to = |world: &World, person| MeshCommand::Signal { to: id(world, person), signal: signal.clone() };
    let command = Command::Mesh(to(&world, 1));
    world.command(0, command);
    let heard = |world: &World, person: usize| {
        let events = world.clients[person].events.iter();
        events.filter(|event| matches!(event, Event::MeshSignal(..))).cloned().collect::<Vec<_>>()
    };
    assert_eq!(heard(&world, 1), [Event::MeshSignal(id(&world, 0), signal.clone())], "as it was said");
    assert!(heard(&world, 0).is_empty() && heard(&world, 2).is_empty());
    let (itself, stranger) = (Command::Mesh(to(&world, 0)), ParticipantId(1));
    world.command(0, itself);
    world.command(0, Command::Mesh(MeshCommand::Signal { to: stranger, signal: signal.clone() }));
    let long = MeshSignal::Candidate("x".repeat(2000).into());
    let to_ben = id(&world, 1);
    world.command(0, Command::Mesh(MeshCommand::Signal { to: to_ben, signal: long }));
    let refused =
        [RefusalCode::UnknownRecipient, RefusalCode::UnknownRecipient, RefusalCode::PayloadTooLarge];
    assert_eq!(world.clients[0].refusals(), refused);
    // Somebody who needs the server comes, and all move.
    world.can_mesh = false;
    come(&mut world, 3);
    let command = Command::Mesh(to(&world, 3));
    world.command(0, command);
    all_move(&mut world, 0..3);
    let command = Command::Mesh(to(&world, 1));
    world.command(0, command);
    assert_eq!(world.clients[0].refusals()[3..], [RefusalCode::UnknownRecipient, RefusalCode::NotPermitted]);
    assert_eq!(heard(&world, 1).len(), 1);
}

#[test]
fn what_somebody_sends_straight_is_told_to_all_and_to_those_who_come_later() {
    let mut world = mesh_of(2);
    sends(&mut world, 0, vec![track(Microphone), track(Camera)]);
    let sent = told_tracks(&world, 1, 0).expect("Ben was told");
    assert_eq!(sent, [track(Microphone), track(Camera)]);
    assert_eq!(told_tracks(&world, 0, 0), None, "nobody is told of themselves");
    come(&mut world, 2);
    let joined = world.clients[2].joined.clone().expect("she has joined");
    let anna = joined.participants.iter().find(|other| other.participant == id(&world, 0)).expect("Anna");
    assert_eq!(anna.mesh_tracks, sent);

    let many: Vec<MeshTrack> =
        (0..9).map(|place| MeshTrack { id: format!("{place}").into(), ..track(Camera) }).collect();
    sends(&mut world, 0, many);
    sends(&mut world, 0, vec![track(Camera), track(Camera)]);
    assert_eq!(world.clients[0].refusals(), [RefusalCode::TooManyTracks; 2]);
    assert_eq!(told_tracks(&world, 1, 0), Some(sent), "nothing has changed");
}

#[test]
fn what_goes_straight_needs_permission_and_can_be_muted_by_a_moderator() {
    let mut world = World::with(|settings| settings.mesh.policy = MeshPolicy::Auto);
    world.can_mesh = true;
    world.grants = Grants { moderate: true, ..Grants::OPEN };
    come(&mut world, 0);
    world.grants = Grants { publish: Sources::of(&[Microphone]), ..Grants::OPEN };
    come(&mut world, 1);
    sends(&mut world, 1, vec![track(Camera)]);
    assert_eq!(world.clients[1].refusals(), [RefusalCode::NotPermitted]);
    sends(&mut world, 1, vec![track(Microphone)]);
    let ben = Target::Id(id(&world, 1));
    world.command(0, Command::Moderate(Moderation::MuteSource(ben.clone(), Microphone)));
    let muted = vec![MeshTrack { muted: true, ..track(Microphone) }];
    assert_eq!(told_tracks(&world, 0, 1), Some(muted.clone()));
    assert_eq!(told_tracks(&world, 1, 1), Some(muted), "its owner as well");
    world.command(0, Command::Moderate(Moderation::MuteSource(ben.clone(), Camera)));
    assert_eq!(world.clients[0].refusals(), [RefusalCode::UnknownTrack]);
    let nothing = PermissionsChange { publish: Some(Sources::NONE), ..PermissionsChange::default() };
    world.command(0, Command::Moderate(Moderation::SetPermissions(ben.clone(), nothing)));
    assert_eq!(told_tracks(&world, 1, 1), Some(Vec::new()), "what he may not send has ended");
    assert_eq!(where_is(&world, 0), (Mode::P2p, None));
    let blind = PermissionsChange { subscribe: Some(false), ..PermissionsChange::default() };
    world.command(0, Command::Moderate(Moderation::SetPermissions(ben, blind)));
    assert_eq!(
        where_is(&world, 1),
        (Mode::P2p, Some(Mode::Sfu)),
        "what he may receive is checked on the server"
    );
}

#[test]
fn whoever_cannot_mesh_takes_the_call_to_the_server_whatever_they_come_by() {
    for lifeline in [Lifeline::Signalling, Lifeline::Media] {
        let mut world = mesh_of(2);
        world.lifeline = lifeline;
        world.can_mesh = lifeline == Lifeline::Media;
        come(&mut world, 2);
        assert_eq!(where_is(&world, 0), (Mode::P2p, Some(Mode::Sfu)));
        assert_eq!(told(&world, 2), None, "they are as in any call");
        all_move(&mut world, 0..2);
        assert_eq!(where_is(&world, 1), (Mode::Sfu, None));
    }
}

#[test]
fn a_client_that_does_not_answer_is_asked_again_and_then_the_move_is_undone() {
    let mut world = mesh_of(8);
    all_move(&mut world, 0..6);
    let times = |world: &World, person: usize| {
        let events = world.clients[person].events.iter();
        events.filter(|event| matches!(event, Event::Topology(view) if view.moving_to.is_some())).count()
    };
    assert_eq!((times(&world, 0), times(&world, 6)), (1, 1));
    world.run(Duration::from_secs(4));
    assert_eq!((times(&world, 0), times(&world, 6)), (1, 2), "only the one who has said nothing");
    world.run(Duration::from_millis(1200));
    let view = told(&world, 0).expect("they were told");
    assert_eq!((view.mode, view.moving_to, view.reason), (Mode::P2p, None, Reason::Timeout));
    let totals = world.sfu.totals();
    assert_eq!((totals.migrations.started, totals.migrations.ended.len()), ([0, 1], 1));
    assert_replays(&world);
}

#[test]
fn one_whose_signalling_is_lost_learns_on_coming_back_where_the_call_is() {
    let mut world = mesh_of(8);
    world.break_signalling(0);
    all_move(&mut world, 1..7);
    assert_eq!(where_is(&world, 1), (Mode::P2p, Some(Mode::Sfu)), "they get the time that there is");
    world.run(Duration::from_millis(4900));
    // Whoever was never in a call with the server is given up after five seconds: they join again.
    world.resume(0, None);
    assert_eq!(where_is(&world, 0), (Mode::P2p, Some(Mode::Sfu)));
    moves(&mut world, 0);
    assert_eq!(where_is(&world, 0), (Mode::Sfu, None));
}

#[test]
fn a_move_fails_for_all_where_one_cannot_follow_and_a_pair_that_finds_no_path_needs_the_server() {
    let mut world = mesh_of(8);
    let failed = MeshCommand::MigrationFailed { migration: 1, reason: "no way to the server".into() };
    world.command(2, Command::Mesh(failed.clone()));
    let view = told(&world, 5).expect("they were told");
    assert_eq!((view.mode, view.moving_to, view.reason), (Mode::P2p, None, Reason::ClientFailed));
    let early = MeshCommand::MigrationFailed { migration: 2, reason: String::new() };
    world.command(2, Command::Mesh(early));
    world.command(2, Command::Mesh(MeshCommand::Migrated(7)));
    assert_eq!(world.clients[2].refusals(), [RefusalCode::BadMessage; 2]);

    let mut world = mesh_of(3);
    let with = id(&world, 2);
    world.command(0, Command::Mesh(MeshCommand::Failed { with, reason: "ICE failed".into() }));
    let view = told(&world, 1).expect("they were told");
    assert_eq!((view.moving_to, view.reason), (Some(Mode::Sfu), Reason::MeshFailed));
    all_move(&mut world, 0..3);
    let snapshot = world.sfu.snapshot(world.now);
    assert_eq!((snapshot.rooms[0].topology.mode, snapshot.rooms[0].topology.unreachable), (Mode::Sfu, 1));
}

#[test]
fn a_room_can_begin_and_cease_to_go_straight_while_people_are_in_it() {
    let mut world = in_world(World::new(), 2);
    let mesh = |policy| RoomChange { mesh: Some(policy), ..RoomChange::default() };
    assert_eq!(world.make_room(mesh(MeshPolicy::Auto)), Ok(()));
    assert_eq!(where_is(&world, 0), (Mode::Sfu, Some(Mode::P2p)), "they are on the server, and small enough");
    all_move(&mut world, 0..2);
    assert_eq!(where_is(&world, 0), (Mode::P2p, None));
    assert_eq!(world.make_room(mesh(MeshPolicy::Off)), Ok(()));
    let view = told(&world, 0).expect("they were told");
    assert_eq!((view.moving_to, view.reason), (Some(Mode::Sfu), Reason::Forced));
    all_move(&mut world, 0..2);
    assert_eq!(where_is(&world, 1), (Mode::Sfu, None));
}

#[test]
fn nobody_waits_for_whoever_is_away_when_a_room_begins_to_go_straight() {
    let mut world = in_world(World::new(), 3);
    for person in 0..3 {
        world.publish(person, 2, &[Microphone]);
    }
    world.until("everybody is connected", |world| {
        world.clients.iter().all(|client| client.rtc.is_connected())
    });
    world.break_signalling(2);
    let mesh = RoomChange { mesh: Some(MeshPolicy::Auto), ..RoomChange::default() };
    assert_eq!(world.make_room(mesh), Ok(()));
    all_move(&mut world, 0..2);
    assert_eq!(where_is(&world, 0), (Mode::Sfu, Some(Mode::P2p)), "they may be back in time");
    world.run(Duration::from_secs(8));
    assert_eq!(where_is(&world, 0), (Mode::P2p, None), "and the move is not undone for them");
    world.resume(2, None);
    assert_eq!(where_is(&world, 2), (Mode::P2p, None));
}

#[test]
fn a_room_that_always_goes_straight_takes_as_many_as_that_allows() {
    let mut world = World::with(|settings| settings.mesh.max = 3);
    let always = RoomChange { mesh: Some(MeshPolicy::Always), ..RoomChange::default() };
    assert_eq!(world.make_room(always), Ok(()));
    let mut world = in_world(world, 3);
    assert_eq!(where_is(&world, 2), (Mode::P2p, None));
    world.join("standup", "Dan");
    assert_eq!(world.clients[3].refusals(), [RefusalCode::RoomFull]);
}

#[test]
fn an_operator_ends_a_move_and_says_which_way_the_call_goes() {
    let mut world = mesh_of(8);
    assert_eq!(world.operate(Moderation::ResetTopology(Some(Mode::P2p))), Ok(()));
    assert_eq!(where_is(&world, 0), (Mode::P2p, None));
    assert_eq!(world.operate(Moderation::ResetTopology(None)), Ok(()));
    assert_eq!(where_is(&world, 0), (Mode::P2p, Some(Mode::Sfu)));
    let snapshot = world.sfu.snapshot(world.now);
    assert_eq!(snapshot.rooms[0].participants[0].mode, ClientMode::Migrating);
}

#[test]
fn when_all_have_left_the_next_call_begins_straight_again() {
    let world = World::with(|settings| {
        settings.mesh.policy = MeshPolicy::Auto;
        settings.empty_timeout = Duration::from_secs(60);
    });
    let mut world = in_world(world, 8);
    all_move(&mut world, 0..7);
    (0..8).for_each(|person| world.command(person, Command::Leave));
    come(&mut world, 8);
    assert_eq!(where_is(&world, 8), (Mode::P2p, None));
}

#[test]
fn a_hard_move_tells_all_and_goes_on_without_the_last() {
    let world = World::with(|settings| {
        settings.mesh.policy = MeshPolicy::Auto;
        settings.mesh.strategy = Strategy::Hard;
    });
    let mut world = in_world(world, 8);
    all_move(&mut world, 0..6);
    world.run(Duration::from_secs(31));
    let view = told(&world, 6).expect("they were told");
    assert_eq!((view.mode, view.moving_to, view.reason), (Mode::Sfu, None, Reason::Reset));
}

#[test]
fn explain_tells_when_a_call_moved_and_who_was_missing() {
    let world = World::with(|settings| settings.mesh.policy = MeshPolicy::Auto);
    let mut world = in_world(recorded_in(world, "*"), 8);
    all_move(&mut world, 0..6);
    world.run(Duration::from_secs(11));
    all_move(&mut world, 0..8);
    world.run(Duration::from_secs(1));
    let explanation = explained(&trace_of(world));
    let anna = &explanation.participants[0];
    assert_says(anna, "media goes straight from one to the other");
    assert_says(anna, "the call begins to move to the server, for the number of people");
    assert_says(anna, "moved: has moved");
    assert_says(
        anna,
        "the move to the server was given up after 5.00 s, because not all had moved in time; not moved: Gil",
    );
    assert_says(anna, "media goes through the server");
    assert_says(&explanation.participants[7], "joined; media goes straight");
}

/// Somebody makes another peer connection, as browsers do: with other keys and ports.
fn another_connection(world: &mut World, person: usize) {
    let fresh = Rtc::builder().set_rtp_mode(true).build(world.now);
    world.replace_endpoint(person, fresh);
}

#[test]
fn a_call_goes_to_the_server_and_back_and_again_by_new_peer_connections() {
    let world = World::with(|settings| {
        settings.mesh = MeshSettings { policy: MeshPolicy::Auto, up: 3, down: 2, ..MeshSettings::default() };
    });
    let mut world = in_world(world, 3);
    for round in 0..3 {
        assert_eq!(where_is(&world, 0), (Mode::P2p, Some(Mode::Sfu)), "round {round}");
        for person in 0..3 {
            if round > 0 {
                another_connection(&mut world, person);
            }
            world.publish(person, 2, &[Microphone]);
        }
        world.until("everybody hears the others on the server", |world| {
            (0..3).for_each(|person| world.send(person, Microphone, false));
            (0..3).all(|person| {
                let others = (0..3).filter(|other| *other != person);
                let tracks: Vec<_> = others.map(|other| world.clients[other].track(Microphone)).collect();
                tracks.into_iter().all(|track| !world.clients[person].received_of(track).is_empty())
            })
        });
        (0..3).for_each(|person| moves(&mut world, person));
        assert_eq!(where_is(&world, 0), (Mode::Sfu, None));
        world.run(Duration::from_secs(6));
        assert_eq!(world.operate(Moderation::ResetTopology(Some(Mode::P2p))), Ok(()));
        all_move(&mut world, 0..3);
        assert_eq!(where_is(&world, 2), (Mode::P2p, None));
        // Two say goodbye to the server's transport; of the third nothing is heard any more.
        world.clients[0].rtc.disconnect();
        world.clients[2].unplugged = true;
        world.run(Duration::from_secs(40));
        let snapshot = world.sfu.snapshot(world.now);
        assert_eq!(snapshot.rooms[0].participants.len(), 3, "nobody has left for that");
        world.clients[2].unplugged = false;
        assert_eq!(world.operate(Moderation::ResetTopology(None)), Ok(()));
    }
}

#[test]
fn who_is_in_a_mesh_and_loses_signalling_has_as_long_to_come_back_as_in_any_call() {
    let mut world = mesh_of(2);
    let to = id(&world, 1);
    let signal = MeshSignal::Candidate("null".into());
    world.command(0, Command::Mesh(MeshCommand::Signal { to, signal }));
    world.break_signalling(0);
    world.break_signalling(1);
    world.run(Duration::from_secs(20));
    let snapshot = world.sfu.snapshot(world.now);
    assert_eq!(snapshot.rooms[0].participants.len(), 1, "who has spoken to nobody is given up");
    world.resume(0, None);
    assert_eq!(where_is(&world, 0), (Mode::P2p, None));
}

#[test]
fn who_has_been_on_the_server_and_is_in_a_mesh_has_as_long_to_come_back_whatever_became_of_the_transport() {
    let world = World::with(|settings| {
        settings.mesh = MeshSettings { policy: MeshPolicy::Auto, up: 3, down: 2, ..MeshSettings::default() };
    });
    let mut world = in_world(world, 3);
    for person in 0..3 {
        world.publish(person, 2, &[Microphone]);
    }
    world.until("everybody is connected", |world| {
        world.clients.iter().all(|client| client.rtc.is_connected())
    });
    all_move(&mut world, 0..3);
    world.run(Duration::from_secs(6));
    assert_eq!(world.operate(Moderation::ResetTopology(Some(Mode::P2p))), Ok(()));
    all_move(&mut world, 0..3);
    assert_eq!(where_is(&world, 2), (Mode::P2p, None));
    // One transport says goodbye while nobody can be told, and of another one nothing is heard any more.
    world.clients[1].unplugged = true;
    world.break_signalling(0);
    world.break_signalling(1);
    world.clients[0].rtc.disconnect();
    world.run(Duration::from_secs(20));
    let snapshot = world.sfu.snapshot(world.now);
    assert_eq!(snapshot.rooms[0].participants.len(), 3, "they can still come back");
    for person in 0..2 {
        world.resume(person, None);
        assert_eq!(where_is(&world, person), (Mode::P2p, None));
    }
}

#[test]
fn whoever_may_not_receive_any_more_finds_no_straight_path_to_anybody_while_all_move() {
    let mut world = mesh_of(3);
    let ben = Target::Id(id(&world, 1));
    let blind = PermissionsChange { subscribe: Some(false), ..PermissionsChange::default() };
    assert_eq!(world.operate(Moderation::SetPermissions(ben, blind)), Ok(()));
    assert_eq!(where_is(&world, 0), (Mode::P2p, Some(Mode::Sfu)));
    let signal = MeshSignal::Candidate("null".into());
    for (from, to) in [(1, 0), (0, 1)] {
        let to = id(&world, to);
        world.command(from, Command::Mesh(MeshCommand::Signal { to, signal: signal.clone() }));
    }
    assert_eq!(world.clients[1].refusals(), [RefusalCode::NotPermitted]);
    assert_eq!(world.clients[0].refusals(), [RefusalCode::UnknownRecipient]);
    // And they do not keep the others where they are.
    let failed = MeshCommand::MigrationFailed { migration: 1, reason: "no".into() };
    world.command(1, Command::Mesh(failed));
    moves(&mut world, 0);
    moves(&mut world, 2);
    assert_eq!(where_is(&world, 1), (Mode::Sfu, None));
}

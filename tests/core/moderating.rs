//! What moderators and back ends do to a room and to those who are in it, and what each of them is told.

use std::net::IpAddr;
use std::time::Duration;

use strait::core::command::Source::{Camera, Microphone, Screen};
use strait::core::command::{Command, Lifeline, Moderation};
use strait::core::event::{ClosingReason, Event, LeaveReason, RefusalCode};
use strait::core::grants::{Grants, Role, Sources};
use strait::core::ids::ParticipantId;
use strait::core::moderation::{Ban, PermissionsChange, Target};
use strait::core::notice::Deed;
use strait::core::profile::{Profile, ProfileChange};
use strait::core::room_options::{RoomChange, RoomState};

use crate::world::World;
use crate::{call, show};

const MODERATOR: Grants = Grants { moderate: true, ..Grants::OPEN };

/// A call of Anna, who has an identity, and of Ben, who moderates. Both publish a microphone and a camera.
fn anna_and_a_moderator() -> World {
    let mut world = World::new();
    world.profile.identity = Some("anna".into());
    world.host = Some(IpAddr::from([192, 0, 2, 1]));
    world.join("standup", "Anna");
    world.publish(0, 2, &[Microphone, Camera]);
    world.profile = Profile::default();
    world.host = None;
    world.grants = MODERATOR;
    world.join("standup", "Ben");
    world.publish(1, 2, &[Microphone, Camera]);
    world.grants = Grants::OPEN;
    world.run(Duration::from_millis(300));
    world
}

fn id(world: &World, who: usize) -> ParticipantId {
    world.clients[who].joined.as_ref().expect("they have joined").participant
}

fn closing(world: &World, who: usize) -> Option<LeaveReason> {
    world.clients[who].events.iter().find_map(|event| match event {
        Event::Closing(ClosingReason::Gone(reason)) => Some(*reason),
        _ => None,
    })
}

fn is_in(world: &World, who: usize) -> bool {
    world.clients[who].joined.is_some() && closing(world, who).is_none()
}

fn told(world: &World, who: usize, is_it: impl Fn(&Event) -> bool) -> usize {
    world.clients[who].events.iter().filter(|event| is_it(event)).count()
}

fn change(change: RoomChange) -> Command {
    Command::Moderate(Moderation::Configure(change))
}

#[test]
fn a_track_that_is_stopped_ends_and_does_not_come_back_until_it_may() {
    let mut world = anna_and_a_moderator();
    let camera = world.clients[0].track(Camera);
    world.command(1, Command::Moderate(Moderation::Stop(camera)));
    let (grants, ended) = world.clients[0]
        .events
        .iter()
        .find_map(|event| match event {
            Event::PermissionsChanged { grants, ended } => Some((*grants, ended.clone())),
            _ => None,
        })
        .expect("Anna is told");
    assert_eq!(ended, [(camera, Camera)]);
    assert_eq!(
        grants.publish,
        Sources::of(&[Microphone, Screen, strait::core::command::Source::ScreenAudio])
    );
    assert_eq!(
        told(&world, 1, |event| matches!(event, Event::TrackRemoved(track, _) if *track == camera)),
        1
    );
    // Whatever her client sends, nobody is shown it; and what it offers again is not published.
    show(&mut world, 0, Camera, 5);
    world.restart_ice(0);
    assert_eq!(told(&world, 0, |event| matches!(event, Event::CannotPublish { .. })), 1);
    assert_eq!(told(&world, 1, |event| matches!(event, Event::TrackAdded(info) if info.source == Camera)), 0);
    let all = PermissionsChange { publish: Some(Sources::ALL), ..PermissionsChange::default() };
    let anna = id(&world, 0).into();
    world.command(1, Command::Moderate(Moderation::SetPermissions(anna, all)));
    world.restart_ice(0);
    assert_eq!(told(&world, 1, |event| matches!(event, Event::TrackAdded(info) if info.source == Camera)), 1);
}

#[test]
fn whoever_may_not_receive_any_more_is_sent_nothing_and_everything_when_they_may_again() {
    let mut world = anna_and_a_moderator();
    let camera = world.clients[1].track(Camera);
    show(&mut world, 1, Camera, 5);
    assert_eq!(world.clients[0].received_of(camera).len(), 5);
    let subscribe = |may| PermissionsChange { subscribe: Some(may), ..PermissionsChange::default() };
    let anna: Target = id(&world, 0).into();
    assert_eq!(world.operate(Moderation::SetPermissions(anna.clone(), subscribe(false))), Ok(()));
    world.run(Duration::from_secs(1));
    let before = world.clients[0].received.len();
    show(&mut world, 1, Camera, 5);
    assert_eq!((world.clients[0].received.len(), world.clients[0].shown().len()), (before, 0));
    world.command(0, Command::Subscribe(camera));
    assert_eq!(world.clients[0].refusals(), [RefusalCode::NotPermitted]);
    assert_eq!(world.operate(Moderation::SetPermissions(anna, subscribe(true))), Ok(()));
    world.run(Duration::from_secs(1));
    show(&mut world, 1, Camera, 5);
    assert!(world.clients[0].received_of(camera).len() >= 5);
}

#[test]
fn a_change_of_roles_is_told_to_everybody() {
    let mut world = anna_and_a_moderator();
    let (anna, target) = (id(&world, 0), Target::Identity("anna".into()));
    let promoted = PermissionsChange { moderate: Some(true), ..PermissionsChange::default() };
    assert_eq!(world.operate(Moderation::SetPermissions(target, promoted)), Ok(()));
    let news =
        |event: &Event| matches!(event, Event::ParticipantUpdated(of, _, Role::Moderator) if *of == anna);
    assert_eq!((told(&world, 1, news), told(&world, 0, news)), (1, 0));
    world.command(0, change(RoomChange { locked: Some(true), ..RoomChange::default() }));
    assert!(world.clients[0].refusals().is_empty(), "she moderates now");
}

#[test]
fn a_back_end_changes_a_name_and_everybody_is_told() {
    let mut world = anna_and_a_moderator();
    let renamed = ProfileChange { name: Some("Anna B.".into()), ..ProfileChange::default() };
    let target = Target::Identity("anna".into());
    assert_eq!(world.operate(Moderation::UpdateProfile(target, renamed)), Ok(()));
    let news = |event: &Event| matches!(event, Event::ParticipantUpdated(_, profile, _) if profile.name == "Anna B.");
    assert_eq!((told(&world, 0, news), told(&world, 1, news)), (1, 1));
}

#[test]
fn whoever_is_banned_is_told_so_and_stays_out_for_that_time() {
    let mut world = anna_and_a_moderator();
    let lasts = Some(Duration::from_secs(90));
    let ban = Ban { target: id(&world, 0).into(), with_address: false, lasts };
    world.command(1, Command::Moderate(Moderation::Ban(ban)));
    assert_eq!(closing(&world, 0), Some(LeaveReason::Banned));
    world.profile.identity = Some("anna".into());
    let again = world.join("standup", "Anna");
    assert_eq!(world.clients[again].refusals(), [RefusalCode::Banned]);
    // Nor does another kind of door let her in.
    world.lifeline = Lifeline::Media;
    let encoder = world.join("standup", "Anna's encoder");
    assert_eq!(world.clients[encoder].refusals(), [RefusalCode::Banned]);
    world.lifeline = Lifeline::Signalling;
    world.run(Duration::from_secs(91));
    world.ask_to_join(again, "standup", "Anna");
    assert!(is_in(&world, again));
}

#[test]
fn an_address_is_banned_if_that_is_wanted_or_nothing_else_is_known() {
    let mut world = anna_and_a_moderator();
    let here = IpAddr::from([192, 0, 2, 7]);
    world.host = Some(here);
    let cleo = world.join("standup", "Cleo");
    let ban = Ban { target: id(&world, cleo).into(), with_address: false, lasts: None };
    world.command(1, Command::Moderate(Moderation::Ban(ban)));
    let again = world.join("standup", "Cleo under another name");
    assert_eq!(world.clients[again].refusals(), [RefusalCode::Banned]);
    world.host = Some(IpAddr::from([192, 0, 2, 1]));
    let beside_anna = world.join("standup", "Dan");
    assert!(is_in(&world, beside_anna), "Anna's address is not banned");
    let ban = Ban { target: Target::Identity("anna".into()), with_address: true, lasts: None };
    assert_eq!(world.operate(Moderation::Ban(ban)), Ok(()));
    let beside_anna = world.join("standup", "Eve");
    assert_eq!(world.clients[beside_anna].refusals(), [RefusalCode::Banned]);
    world.command(1, Command::Moderate(Moderation::LiftBans(None)));
    world.ask_to_join(beside_anna, "standup", "Eve");
    assert!(is_in(&world, beside_anna));
}

#[test]
fn somebody_is_banned_before_they_ever_come() {
    let mut world = anna_and_a_moderator();
    let ban = Ban { target: Target::Identity("mallory".into()), with_address: false, lasts: None };
    assert_eq!(world.operate(Moderation::Ban(ban)), Ok(()));
    world.profile.identity = Some("mallory".into());
    let mallory = world.join("standup", "Mallory");
    assert_eq!(world.clients[mallory].refusals(), [RefusalCode::Banned]);
    assert_eq!(world.operate(Moderation::LiftBans(Some("mallory".into()))), Ok(()));
    world.ask_to_join(mallory, "standup", "Mallory");
    assert!(is_in(&world, mallory));
}

#[test]
fn nobody_but_moderators_comes_into_a_locked_room() {
    let mut world = anna_and_a_moderator();
    world.command(1, change(RoomChange { locked: Some(true), ..RoomChange::default() }));
    let locked = Event::RoomUpdated(RoomState { locked: true, ..RoomState::default() });
    assert_eq!(
        (told(&world, 0, |event| *event == locked), told(&world, 1, |event| *event == locked)),
        (1, 1)
    );
    let cleo = world.join("standup", "Cleo");
    assert_eq!(world.clients[cleo].refusals(), [RefusalCode::RoomLocked]);
    world.grants = MODERATOR;
    let dan = world.join("standup", "Dan");
    assert!(world.clients[dan].joined.as_ref().expect("he moderates").room_state.locked);
    world.grants = Grants::OPEN;
    world.profile.identity = Some("anna".into());
    let anna = world.join("standup", "Anna from her phone");
    assert!(is_in(&world, anna), "whoever is in already comes back by another window");
    world.command(1, change(RoomChange { locked: Some(false), ..RoomChange::default() }));
    world.profile.identity = None;
    world.ask_to_join(cleo, "standup", "Cleo");
    assert!(is_in(&world, cleo));
}

/// Ben moderates a room in which people wait, and Cleo has come.
fn cleo_waits() -> (World, usize) {
    let mut world = anna_and_a_moderator();
    world.command(1, change(RoomChange { waiting_room: Some(true), ..RoomChange::default() }));
    let cleo = world.join("standup", "Cleo");
    (world, cleo)
}

fn waits_as(world: &World, who: usize) -> ParticipantId {
    let told = world.clients[who].events.iter().find_map(|event| match event {
        Event::Waiting(id) => Some(*id),
        _ => None,
    });
    told.expect("they are told that they wait")
}

#[test]
fn whoever_knocks_waits_until_a_moderator_lets_them_in() {
    let (mut world, cleo) = cleo_waits();
    let waiting = waits_as(&world, cleo);
    assert!(!is_in(&world, cleo));
    let knocking = |event: &Event| matches!(event, Event::Knocking(of, profile) if *of == waiting && profile.name == "Cleo");
    assert_eq!((told(&world, 1, knocking), told(&world, 0, knocking)), (1, 0), "moderators alone are told");
    world.command(1, Command::Moderate(Moderation::Admit(waiting)));
    assert!(is_in(&world, cleo) && id(&world, cleo) == waiting);
    assert_eq!(told(&world, 1, |event| *event == Event::KnockingOver(waiting)), 1);
    world.publish(cleo, 2, &[Camera]);
    world.until("Cleo is connected", |world| world.clients[cleo].rtc.is_connected());
    world.command(1, Command::Moderate(Moderation::Admit(waiting)));
    assert_eq!(world.clients[1].refusals(), [RefusalCode::UnknownParticipant], "she waits no longer");
}

#[test]
fn whoever_is_turned_away_is_told_so() {
    let (mut world, cleo) = cleo_waits();
    let waiting = waits_as(&world, cleo);
    world.command(0, Command::Moderate(Moderation::TurnAway(waiting)));
    assert_eq!(world.clients[0].refusals(), [RefusalCode::NotPermitted], "Anna does not moderate");
    world.command(1, Command::Moderate(Moderation::TurnAway(waiting)));
    assert_eq!(world.clients[cleo].refusals(), [RefusalCode::TurnedAway]);
    world.ask_to_join(cleo, "standup", "Cleo");
    assert_eq!(told(&world, cleo, |event| matches!(event, Event::Waiting(_))), 2, "she may knock once more");
}

#[test]
fn whoever_is_banned_while_they_wait_waits_no_longer() {
    let mut world = anna_and_a_moderator();
    world.command(1, change(RoomChange { waiting_room: Some(true), ..RoomChange::default() }));
    world.profile.identity = Some("cleo".into());
    let cleo = world.join("standup", "Cleo");
    let waiting = waits_as(&world, cleo);
    let ban = Ban { target: Target::Identity("cleo".into()), with_address: false, lasts: None };
    world.command(1, Command::Moderate(Moderation::Ban(ban)));
    assert_eq!(world.clients[cleo].refusals(), [RefusalCode::Banned]);
    assert_eq!(told(&world, 1, |event| *event == Event::KnockingOver(waiting)), 1);
}

#[test]
fn nobody_who_waits_comes_into_a_room_that_is_locked_until_it_is_open() {
    let (mut world, cleo) = cleo_waits();
    let locked = RoomChange { waiting_room: Some(false), locked: Some(true), ..RoomChange::default() };
    world.command(1, change(locked));
    assert!(!is_in(&world, cleo) && world.clients[cleo].refusals().is_empty());
    world.command(1, change(RoomChange { locked: Some(false), ..RoomChange::default() }));
    assert!(is_in(&world, cleo));
}

#[test]
fn whoever_waits_in_vain_is_told_that_nobody_answered() {
    let (mut world, cleo) = cleo_waits();
    world.run(Duration::from_secs(599));
    assert!(world.clients[cleo].refusals().is_empty());
    world.run(Duration::from_secs(2));
    assert_eq!(world.clients[cleo].refusals(), [RefusalCode::NobodyAnswered]);
    assert_eq!(told(&world, 1, |event| matches!(event, Event::KnockingOver(_))), 1);
}

#[test]
fn whoever_goes_while_they_wait_is_forgotten() {
    let (mut world, cleo) = cleo_waits();
    world.break_signalling(cleo);
    assert_eq!(told(&world, 1, |event| matches!(event, Event::KnockingOver(_))), 1);
    let dan = world.join("standup", "Dan");
    world.command(dan, Command::Leave);
    assert_eq!(told(&world, dan, |event| matches!(event, Event::Left(_))), 1);
    assert_eq!(told(&world, 1, |event| matches!(event, Event::KnockingOver(_))), 2);
    world.ask_to_join(dan, "standup", "Dan");
    world.ask_to_join(dan, "standup", "Dan");
    assert_eq!(world.clients[dan].refusals(), [RefusalCode::AlreadyJoined]);
    world.command(1, Command::Moderate(Moderation::End));
    assert_eq!(world.clients[dan].refusals(), [RefusalCode::AlreadyJoined, RefusalCode::NobodyAnswered]);
    assert!(world.sfu.snapshot(world.now).rooms.is_empty());
}

#[test]
fn a_moderator_who_comes_later_is_told_of_those_who_wait_and_lets_all_of_them_in() {
    let mut world = World::new();
    assert_eq!(world.make_room(RoomChange { waiting_room: Some(true), ..RoomChange::default() }), Ok(()));
    let early = [world.join("standup", "Anna"), world.join("standup", "Ben")];
    world.lifeline = Lifeline::Media;
    let encoder = world.join("standup", "An encoder");
    assert_eq!(world.clients[encoder].refusals(), [RefusalCode::NotPermitted]);
    world.lifeline = Lifeline::Signalling;
    world.grants = MODERATOR;
    let cleo = world.join("standup", "Cleo");
    assert_eq!(told(&world, cleo, |event| matches!(event, Event::Knocking(..))), 2);
    world.command(cleo, change(RoomChange { waiting_room: Some(false), ..RoomChange::default() }));
    assert!(early.into_iter().all(|person| is_in(&world, person)));
}

#[test]
fn no_more_people_wait_than_a_moderator_can_look_through() {
    let (mut world, _) = cleo_waits();
    for number in 0..49 {
        let person = world.join("standup", &format!("Person {number}"));
        assert!(world.clients[person].refusals().is_empty(), "{number}");
    }
    let last = world.join("standup", "One too many");
    assert_eq!(world.clients[last].refusals(), [RefusalCode::RoomFull]);
}

#[test]
fn a_room_that_is_made_ahead_waits_for_people_and_keeps_its_own_limits() {
    let mut world = World::new();
    let ahead = RoomChange {
        participants_max: Some(1),
        empty_timeout: Some(Duration::from_secs(60)),
        metadata: Some("a talk".into()),
        ..RoomChange::default()
    };
    assert_eq!(world.make_room(ahead.clone()), Ok(()));
    world.run(Duration::from_secs(59));
    world.grants = Grants { create: false, ..Grants::OPEN };
    let anna = world.join("standup", "Anna");
    assert_eq!(world.clients[anna].joined.as_ref().expect("it is there").room_state.metadata, "a talk");
    let ben = world.join("standup", "Ben");
    assert_eq!(world.clients[ben].refusals(), [RefusalCode::RoomFull]);
    world.command(anna, Command::Leave);
    world.run(Duration::from_secs(59));
    assert_eq!(world.make_room(ahead), Ok(()), "made twice, it is still one");
    assert_eq!(world.sfu.snapshot(world.now).rooms.len(), 1);
    world.run(Duration::from_secs(2));
    assert!(world.sfu.snapshot(world.now).rooms.is_empty());
    let long = RoomChange { metadata: Some("x".repeat(5000)), ..RoomChange::default() };
    assert_eq!(world.make_room(long), Err(RefusalCode::PayloadTooLarge));
    assert!(world.sfu.snapshot(world.now).rooms.is_empty(), "nothing is left of what was refused");
    assert_eq!(world.operate(Moderation::End), Err(RefusalCode::NoSuchRoom));
}

#[test]
fn into_a_private_room_only_a_token_for_that_very_room_leads() {
    let mut world = World::new();
    assert_eq!(world.make_room(RoomChange { private: Some(true), ..RoomChange::default() }), Ok(()));
    let anna = world.join("standup", "Anna");
    assert_eq!(world.clients[anna].refusals(), [RefusalCode::NotPermitted]);
    world.is_invited = true;
    world.ask_to_join(anna, "standup", "Anna");
    assert!(is_in(&world, anna));
}

#[test]
fn an_identity_that_nobody_vouches_for_takes_nobodys_place_and_opens_no_door() {
    let mut world = anna_and_a_moderator();
    world.profile.identity = Some("ben".into());
    let ben = world.join("standup", "Ben");
    world.is_vouched_for = false;
    let stranger = world.join("standup", "A stranger");
    assert_eq!(world.clients[stranger].refusals(), [RefusalCode::NotPermitted]);
    assert!(is_in(&world, ben), "Ben stays");

    // Nor does it tell the door that somebody only changes windows.
    world.profile.identity = Some("cleo".into());
    let cleo = world.join("standup", "Cleo");
    assert!(is_in(&world, cleo), "the identity is free");
    world.command(1, change(RoomChange { locked: Some(true), ..RoomChange::default() }));
    let again = world.join("standup", "Cleo, or somebody else");
    assert_eq!(world.clients[again].refusals(), [RefusalCode::RoomLocked]);
    assert!(is_in(&world, cleo), "Cleo stays");
    world.command(1, change(RoomChange { locked: Some(false), ..RoomChange::default() }));
    let again = world.join("standup", "Cleo after a reload");
    assert!(is_in(&world, again) && !is_in(&world, cleo), "nobody vouches for either");
}

#[test]
fn only_moderators_do_any_of_this_and_nobody_does_it_to_themselves() {
    let mut world = anna_and_a_moderator();
    let (anna, ben) = (id(&world, 0), id(&world, 1));
    let all = |of: ParticipantId, track| {
        let ban = Ban { target: of.into(), with_address: true, lasts: None };
        [
            Moderation::Mute(track),
            Moderation::Stop(track),
            Moderation::Remove(of.into()),
            Moderation::Ban(ban),
            Moderation::LiftBans(None),
            Moderation::SetPermissions(of.into(), PermissionsChange::default()),
            Moderation::UpdateProfile(of.into(), ProfileChange::default()),
            Moderation::Admit(of),
            Moderation::TurnAway(of),
            Moderation::Configure(RoomChange::default()),
            Moderation::End,
        ]
    };
    let of_ben = world.clients[1].track(Camera);
    for moderation in all(ben, of_ben) {
        world.command(0, Command::Moderate(moderation));
    }
    assert_eq!(world.clients[0].refusals(), [RefusalCode::NotPermitted; 11]);
    for moderation in &all(ben, of_ben)[..7] {
        if !matches!(moderation, Moderation::LiftBans(_)) {
            world.command(1, Command::Moderate(moderation.clone()));
        }
    }
    assert_eq!(world.clients[1].refusals().len(), 6);
    assert!(is_in(&world, 0) && is_in(&world, 1) && anna != ben);
}

#[test]
fn a_report_is_noted_with_who_it_is_of_and_about_and_nobody_reports_without_end() {
    let mut world = anna_and_a_moderator();
    while world.sfu.poll_notice().is_some() {}
    let report = Command::Report { about: id(&world, 0), reason: "abuse".into(), text: "She shouts.".into() };
    world.command(1, report.clone());
    let (room, notice) = world.sfu.poll_notice().expect("it is noted");
    let about = notice.about.expect("about somebody");
    assert_eq!((room.as_str(), notice.by.name.as_str()), ("standup", "Ben"));
    assert_eq!((about.name.as_str(), about.identity.as_deref()), ("Anna", Some("anna")));
    assert_eq!(notice.deed, Deed::Report { reason: "abuse".into(), text: "She shouts.".into() });
    for _ in 0..5 {
        world.command(1, report.clone());
    }
    assert_eq!(world.clients[1].refusals(), [RefusalCode::RateLimited]);
    world.run(Duration::from_secs(11));
    world.command(1, report);
    assert_eq!(world.clients[1].refusals().len(), 1, "after a while there is time for another");
    let myself = Command::Report { about: id(&world, 1), reason: "abuse".into(), text: String::new() };
    world.command(1, myself);
    assert_eq!(world.clients[1].refusals().last(), Some(&RefusalCode::UnknownParticipant));
}

#[test]
fn what_moderators_do_is_noted_and_what_comes_to_nothing_is_not() {
    let mut world = anna_and_a_moderator();
    let anna: Target = id(&world, 0).into();
    for _ in 0..2 {
        world.command(1, Command::Moderate(Moderation::Remove(anna.clone())));
    }
    let (_, notice) = world.sfu.poll_notice().expect("it is noted");
    assert_eq!(notice.deed, Deed::Moderation("remove".into()));
    assert_eq!(notice.about.map(|about| about.name).as_deref(), Some("Anna"));
    assert_eq!(world.sfu.poll_notice(), None);
}

#[test]
fn all_of_this_replays_bit_for_bit() {
    let (mut world, cleo) = cleo_waits();
    let waiting = waits_as(&world, cleo);
    let camera = world.clients[0].track(Camera);
    world.command(1, Command::Moderate(Moderation::Stop(camera)));
    world.command(1, Command::Moderate(Moderation::Admit(waiting)));
    let dan = world.join("standup", "Dan");
    world.break_signalling(dan);
    let ban = Ban { target: id(&world, 0).into(), with_address: true, lasts: Some(Duration::from_secs(60)) };
    world.command(1, Command::Moderate(Moderation::Ban(ban)));
    let report = Command::Report { about: id(&world, cleo), reason: "abuse".into(), text: String::new() };
    world.command(1, report);
    assert_eq!(world.operate(Moderation::Remove(waiting.into())), Ok(()));
    assert_eq!(world.make_room(RoomChange { locked: Some(true), ..RoomChange::default() }), Ok(()));
    show(&mut world, 1, Camera, 5);
    assert_eq!(world.operate(Moderation::End), Ok(()));
    assert_eq!(world.replay(Duration::from_secs(100_000)), world.outputs);
}

#[test]
fn a_moderator_who_is_alone_may_end_the_call() {
    let mut world = call(&[], &[]);
    world.grants = MODERATOR;
    let ben = world.join("standup", "Ben");
    world.command(ben, Command::Moderate(Moderation::End));
    assert_eq!(closing(&world, ben), Some(LeaveReason::RoomClosed));
}

//! Members whose answers name tracks: they know what a section shows only when an answer has said so.

use std::time::Duration;

use strait::core::command::Source::{Camera, Microphone};
use strait::core::command::{Command, Layout, Proof, Resume, TrackLabel};
use strait::core::event::{Event, RefusalCode, SlotInfo};
use strait::core::ids::{ConnectionId, Mid, TrackId};
use strait::core::msid::{participant_sid, track_sid};
use strait::core::profile::Profile;

use crate::world::{Recorded, World};
use crate::{connected, show};

/// Anna, who publishes her camera, and Ben, whose answers name tracks.
fn anna_and_ben() -> World {
    let mut world = World::new();
    world.join("standup", "Anna");
    world.publish(0, 2, &[Microphone, Camera]);
    world.layout = Layout::Tracks;
    world.profile = Profile { identity: Some("ben".into()), ..Profile::default() };
    world.join("standup", "Ben");
    world.publish(1, 2, &[]);
    connected(&mut world);
    world
}

fn answer(world: &World, person: usize) -> (String, Vec<SlotInfo>) {
    let answers = world.clients[person].events.iter().rev().find_map(|event| match event {
        Event::Answer { sdp, shown, .. } => Some((sdp.clone(), shown.clone())),
        _ => None,
    });
    answers.expect("an answer")
}

/// The section of an answer with that mid.
fn section(sdp: &str, mid: Mid) -> &str {
    sdp.split("m=").find(|section| section.contains(&format!("a=mid:{mid}\r\n"))).expect("the section")
}

#[test]
fn an_answer_names_the_tracks_and_their_owner_and_silences_the_other_sections() {
    let world = anna_and_ben();
    let (sdp, shown) = answer(&world, 1);
    assert_eq!(shown.len(), 2, "Anna's microphone and camera are shown at once: {shown:?}");
    let owner = participant_sid(world.clients[0].joined.as_ref().expect("she has joined").participant);
    for slot in &shown {
        let track = track_sid(slot.track.expect("it shows one").0);
        let msid = format!("a=msid:{owner}|camera {track}\r\n");
        assert!(section(&sdp, slot.mid).contains(&msid), "{msid} in {sdp}");
    }
    let offered = world.clients[1].slots.iter().map(|(mid, _)| Mid::from(&**mid));
    for mid in offered.filter(|mid| !shown.iter().any(|one| one.mid == *mid)) {
        let section = section(&sdp, mid);
        assert!(section.contains("a=inactive\r\n") && !section.contains("msid"), "{section}");
    }
}

#[test]
fn a_track_that_comes_later_waits_for_the_next_answer() {
    let mut world = anna_and_ben();
    world.layout = Layout::Slots;
    world.profile = Profile::default();
    world.join("standup", "Cleo");
    world.publish(2, 2, &[Camera]);
    connected(&mut world);
    show(&mut world, 2, Camera, 5);
    let cleos = world.clients[2].track(Camera);
    assert!(
        world.clients[1].shown().contains(&cleos),
        "the slot map says that there is something to offer for"
    );
    assert!(world.clients[0].received_of(cleos).len() > 3, "Anna knows it by her slot map");
    assert_eq!(world.clients[1].received_of(cleos).len(), 0, "Ben could not tell whose it is");
    let asked = world.clients[2].keyframe_requests;
    let map = world.clients[1].slot_map.clone().expect("a map");
    let slot = map.slots.iter().find(|slot| slot.track.is_some_and(|(track, _)| track == cleos));
    let mid = str0m::media::Mid::from(&*slot.expect("it is shown").mid);
    world.redirect(1, mid, str0m::media::Direction::RecvOnly);
    assert!(answer(&world, 1).1.iter().any(|slot| slot.track.is_some_and(|(track, _)| track == cleos)));
    world.until("Cleo is asked for another key frame", |world| world.clients[2].keyframe_requests > asked);
    show(&mut world, 2, Camera, 5);
    assert!(world.clients[1].received_of(cleos).len() > 3);
}

#[test]
fn the_id_of_a_track_is_known_before_it_is_published_and_to_nobody_elses_use() {
    let mut world = anna_and_ben();
    let label = TrackLabel::new("stage", b"what Ben says of it".to_vec()).expect("it is small");
    world.command(1, Command::ReserveTrack(Box::new(label.clone())));
    let reserved = |world: &World| {
        world.clients[1].events.iter().rev().find_map(|event| match event {
            Event::TrackReserved(_, track) => Some(*track),
            _ => None,
        })
    };
    let track = reserved(&world).expect("an id");
    world.reserved = Some(track);
    world.publish(0, 0, &[Camera]);
    let refused =
        |event: &Event| matches!(event, Event::CannotPublish { reason, .. } if reason.contains("reserved"));
    assert!(world.clients[0].events.iter().any(refused), "it is not Anna's");
    world.publish(1, 0, &[Camera]);
    assert_eq!(world.clients[1].track(Camera), track);
    let added = world.clients[0].tracks_added().into_iter().find(|info| info.track == track);
    assert_eq!(
        added.and_then(|info| info.label.as_deref()),
        Some(&label),
        "Anna is told what Ben says of it"
    );
}

#[test]
fn nobody_reserves_more_ids_than_tracks_and_one_track_is_published_once() {
    let mut world = anna_and_ben();
    for _ in 0..1000 {
        let label = TrackLabel::new("", Vec::new()).expect("it is small");
        world.command(1, Command::ReserveTrack(Box::new(label)));
    }
    let ids: Vec<TrackId> = world.clients[1]
        .events
        .iter()
        .filter_map(|event| if let Event::TrackReserved(_, track) = event { Some(*track) } else { None })
        .collect();
    world.reserved = ids.first().copied();
    world.publish(1, 0, &[Microphone]);
    let is_forgotten = |event: &Event| matches!(event, Event::CannotPublish { .. });
    assert!(world.clients[1].events.iter().any(is_forgotten), "the oldest has made way");
    world.reserved = ids.last().copied();
    world.publish(1, 0, &[Camera, Camera]);
    assert_eq!(world.clients[1].refusals(), [RefusalCode::BadOffer]);
}

#[test]
fn who_comes_back_by_their_identity_is_the_same_and_nobody_elses_identity_will_do() {
    let mut world = anna_and_ben();
    let resume = |world: &mut World, person: usize, identity: &str, connection: u64| {
        let joined = world.clients[person].joined.clone().expect("they have joined");
        let proof = Proof::Identity(identity.to_owned());
        let resume = Resume { room: joined.room, participant: joined.participant, proof };
        world.clients[person].connection = ConnectionId(connection);
        world.input(Recorded::Resume(ConnectionId(connection), None, resume));
        world.settle();
    };
    // Of both versions of that protocol.
    world.layout = Layout::Split;
    world.profile = Profile { identity: Some("cleo".into()), ..Profile::default() };
    let cleo = world.join("standup", "Cleo");
    world.break_signalling(cleo);
    resume(&mut world, cleo, "cleo", 4999);
    assert!(world.clients[cleo].events.iter().any(|event| matches!(event, Event::Resumed(..))));
    world.break_signalling(1);
    resume(&mut world, 1, "anna", 5000);
    assert_eq!(world.clients[1].refusals(), [RefusalCode::BadSecret]);
    resume(&mut world, 1, "ben", 5001);
    assert!(matches!(world.clients[1].events.last(), Some(event) if !matches!(event, Event::Refused(..))));
    assert!(world.clients[1].events.iter().any(|event| matches!(event, Event::Resumed(..))));
    // Those whose protocol has secrets come back by these alone.
    world.break_signalling(0);
    resume(&mut world, 0, "anna", 5002);
    assert_eq!(world.clients[0].refusals(), [RefusalCode::BadSecret]);
}

#[test]
fn a_call_whose_answers_name_tracks_replays_bit_for_bit() {
    let mut world = anna_and_ben();
    let label = TrackLabel::new("", Vec::new()).expect("it is small");
    world.command(1, Command::ReserveTrack(Box::new(label)));
    show(&mut world, 0, Camera, 5);
    world.restart_ice(1);
    world.run(Duration::from_millis(500));
    show(&mut world, 0, Camera, 10);
    for shift in [Duration::ZERO, Duration::from_secs(100_000)] {
        fastrand::seed(shift.as_secs() + 7);
        assert_eq!(world.replay(shift), world.outputs);
    }
}

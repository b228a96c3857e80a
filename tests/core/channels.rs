//! Data channels, with whole endpoints at the other end: what is said on them, who hears it, and what it may cost.

use std::time::Duration;

use str0m::channel::{ChannelConfig, Reliability};
use strait::core::command::Command;
use strait::core::command::Source::Microphone;
use strait::core::data::{DataPayload, PROTOCOL, write_frame};
use strait::core::event::{Event, RefusalCode};
use strait::core::grants::Grants;
use strait::core::ids::ParticipantId;

use crate::replaying::assert_replays;
use crate::world::World;
use crate::{call, show};

fn framed(label: &str) -> ChannelConfig {
    ChannelConfig { label: label.to_owned(), protocol: PROTOCOL.to_owned(), ..ChannelConfig::default() }
}

fn lossy(label: &str) -> ChannelConfig {
    ChannelConfig {
        ordered: false,
        reliability: Reliability::MaxRetransmits { retransmits: 0 },
        ..framed(label)
    }
}

fn plain(label: &str) -> ChannelConfig {
    ChannelConfig { label: label.to_owned(), ..ChannelConfig::default() }
}

/// Anna and Ben, who have a channel for frames each, and Cleo, who has none.
fn with_channels() -> World {
    let mut world = call(&["Anna", "Ben", "Cleo"], &[Microphone]);
    for client in [0, 1] {
        world.open_channel(client, framed("reliable"));
    }
    world
}

fn id(world: &World, client: usize) -> ParticipantId {
    world.clients[client].joined.as_ref().expect("they have joined").participant
}

/// A frame as a client writes it.
fn frame(to: Option<ParticipantId>, topic: &str, json: &str) -> Vec<u8> {
    let to = to.map(|to| to.to_string()).unwrap_or_default();
    let head = [&[0, to.len().min(1) as u8][..], to.as_bytes(), &[topic.len() as u8], topic.as_bytes()];
    [&head.concat(), json.as_bytes()].concat()
}

fn told(world: &World, client: usize) -> Vec<&Event> {
    world.clients[client].events.iter().filter(|event| matches!(event, Event::Data { .. })).collect()
}

fn run(world: &mut World, milliseconds: u64) {
    world.run(Duration::from_millis(milliseconds));
}

#[test]
fn a_message_reaches_channels_as_a_frame_and_others_by_signalling() {
    let mut world = with_channels();
    world.say(0, "reliable", true, &frame(None, "chat", "\"hello\""));
    run(&mut world, 500);
    let anna = id(&world, 0);
    let expected = write_frame(Some(anna), "chat", &"\"hello\"".into()).expect("a frame");
    assert_eq!(world.clients[1].heard, [("reliable".to_owned(), expected)]);
    let event =
        Event::Data { from: Some(anna), topic: "chat".into(), payload: "\"hello\"".into(), is_lossy: false };
    assert_eq!(told(&world, 2), [&event]);
    assert!(world.clients[0].heard.is_empty() && told(&world, 0).is_empty(), "not to oneself");
    assert!(told(&world, 1).is_empty(), "and nobody twice");

    let ben = id(&world, 1);
    world.say(0, "reliable", true, &frame(Some(ben), "chat", "2"));
    world.command(2, Command::Data { to: None, topic: "chat".into(), payload: "3".into(), is_lossy: false });
    run(&mut world, 500);
    assert_eq!(
        (world.clients[1].heard.len(), world.clients[0].heard.len(), told(&world, 2).len()),
        (3, 1, 1)
    );
}

#[test]
fn each_message_takes_the_channel_that_suits_it() {
    let mut world = with_channels();
    for client in [0, 1] {
        world.open_channel(client, lossy("lossy"));
    }
    for (label, topic) in [("lossy", "points"), ("reliable", "chat")] {
        world.say(0, label, true, &frame(None, topic, "1"));
        run(&mut world, 300);
    }
    let labels: Vec<&str> = world.clients[1].heard.iter().map(|(label, _)| label.as_str()).collect();
    assert_eq!(labels, ["lossy", "reliable"]);
}

#[test]
fn a_channel_of_another_protocol_leads_to_those_of_its_label() {
    let mut world = with_channels();
    for (client, label) in [(0, "board"), (1, "board"), (2, "other")] {
        world.open_channel(client, plain(label));
    }
    world.say(0, "board", false, b"a line");
    run(&mut world, 300);
    assert_eq!(world.clients[1].heard, [("board".to_owned(), b"a line".to_vec())]);
    assert!(world.clients[2].heard.is_empty() && world.clients[0].heard.is_empty());
}

#[test]
fn who_may_send_nothing_is_told_so_and_not_heard() {
    let mut world = with_channels();
    world.grants = Grants { send_data: false, ..Grants::OPEN };
    let dora = world.join("standup", "Dora");
    world.publish(dora, 2, &[]);
    world.open_channel(dora, framed("reliable"));
    for _ in 0..100 {
        world.say(dora, "reliable", true, &frame(None, "chat", "1"));
    }
    run(&mut world, 300);
    assert!(world.clients[1].heard.is_empty() && told(&world, 2).is_empty());
    let refusals = world.clients[dora].refusals();
    assert!(refusals.iter().all(|code| *code == RefusalCode::NotPermitted), "{refusals:?}");
    assert!((1..10).contains(&refusals.len()), "not for each message: {}", refusals.len());
}

#[test]
fn what_cannot_be_passed_on_is_refused_in_words() {
    let mut world = with_channels();
    world.say(0, "reliable", true, b"\x07nonsense");
    world.say(0, "reliable", true, &frame(Some(ParticipantId(1)), "chat", "1"));
    run(&mut world, 300);
    assert_eq!(world.clients[0].refusals(), [RefusalCode::BadMessage, RefusalCode::UnknownRecipient]);
}

#[test]
fn a_front_end_with_a_format_of_its_own_reads_and_writes_the_channels_itself() {
    let mut world = with_channels();
    world.command(0, Command::ReadChannels);
    world.open_channel(0, plain("_reliable"));
    world.say(0, "_reliable", true, b"a packet");
    run(&mut world, 300);
    let event = Event::FromChannel { label: "_reliable".into(), is_text: false, bytes: b"a packet".to_vec() };
    assert!(world.clients[0].events.contains(&event));
    assert!(world.clients[1].heard.is_empty(), "the room passes nothing of it on");

    let (label, bytes) = ("_reliable".to_owned(), b"another".to_vec());
    world.command(0, Command::ToChannel { label, is_text: false, bytes });
    // What a native participant says is told to the front end, whatever channels there are.
    world.say(1, "reliable", true, &frame(None, "chat", "1"));
    // And a packet of that front end to others of its kind alone.
    let payload = DataPayload::Packet(b"packet".as_slice().into());
    world.command(0, Command::Data { to: None, topic: "x".into(), payload, is_lossy: true });
    run(&mut world, 300);
    assert_eq!(world.clients[0].heard, [("_reliable".to_owned(), b"another".to_vec())]);
    assert_eq!((told(&world, 0).len(), world.clients[1].heard.len()), (1, 0));
}

#[test]
fn who_says_too_much_is_held_back_and_costs_the_others_nothing() {
    let mut world = with_channels();
    let large = frame(None, "file", &format!("\"{}\"", "x".repeat(100_000)));
    let begin = world.now;
    for _ in 0..200 {
        world.until("there is room for the next", |world| {
            let channel = world.clients[0].channels[0].0;
            let mut channel = world.clients[0].rtc.channel(channel).expect("it exists");
            channel.write(true, &large).expect("it can be sent")
        });
    }
    world.until("all has come", |world| world.clients[1].heard.len() == 200);
    // 200 messages to two others, 8 units each; at 200 units a second and 1,000 at once.
    let took = world.now - begin;
    assert!((Duration::from_secs(3)..Duration::from_secs(30)).contains(&took), "{took:?}");
    show(&mut world, 1, Microphone, 5);
}

#[test]
fn a_channel_that_is_closed_and_a_member_who_leaves_are_no_recipients() {
    let mut world = with_channels();
    let channel = world.clients[1].channels[0].0;
    world.clients[1].rtc.direct_api().close_data_channel(channel);
    run(&mut world, 500);
    world.say(0, "reliable", true, &frame(None, "chat", "1"));
    run(&mut world, 300);
    assert_eq!((world.clients[1].heard.len(), told(&world, 1).len()), (0, 1), "by signalling again");
    world.command(1, Command::Leave);
    world.say(0, "reliable", true, &frame(None, "chat", "2"));
    run(&mut world, 300);
    assert_eq!((told(&world, 1).len(), told(&world, 2).len()), (1, 2));
}

#[test]
fn a_call_with_data_channels_replays_bit_for_bit() {
    let mut world = with_channels();
    world.open_channel(0, lossy("lossy"));
    for number in 0..20 {
        world.say(0, "lossy", true, &frame(None, "points", &number.to_string()));
        world.say(1, "reliable", true, &frame(None, "chat", &format!("\"{}\"", "y".repeat(5000))));
        run(&mut world, 50);
    }
    assert!(world.clients[0].heard.len() == 20 && told(&world, 2).len() == 40);
    assert_replays(&world);
}

#[test]
fn without_the_setting_no_channel_opens_and_all_else_is_as_before() {
    let mut world = World::with(|settings| settings.data_channels = false);
    let anna = world.join("standup", "Anna");
    world.publish(anna, 2, &[Microphone]);
    world.want_channel(anna, framed("reliable"));
    run(&mut world, 300);
    let answer = world.clients[anna].events.iter().rev().find_map(|event| match event {
        Event::Answer { sdp, .. } => Some(sdp.clone()),
        _ => None,
    });
    assert!(answer.expect("an answer").contains("m=application 0 UDP/DTLS/SCTP"));
}

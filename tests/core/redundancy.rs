//! Audio under loss: who is sent copies of earlier packets (RFC 2198), how many, and what they hear by them.

use std::collections::BTreeSet;
use std::time::Duration;

use str0m::Rtc;
use str0m::rtp::{Extension, RedDecoder};
use strait::core::command::Source::Microphone;
use strait::core::stats::{RedundancyDecision, RedundancyReason};

use crate::connected;
use crate::explaining::{explained, trace_of};
use crate::traces::recorded;
use crate::world::{World, audio_frame};

/// What browsers call RED.
const RED: u8 = 63;
/// What the server's answers call Opus, as the clients offer it.
const OPUS: u8 = 111;

/// A client that takes RED, as Chromium does.
fn takes_red(world: &World) -> Rtc {
    Rtc::builder().set_rtp_mode(true).enable_opus(true, true).build(world.now)
}

/// Anna speaks, Ben takes RED, and Cleo does not.
fn three(mut world: World) -> World {
    let rtc = takes_red(&world);
    let anna = world.join_with("standup", "Anna", rtc);
    world.publish(anna, 1, &[Microphone]);
    let rtc = takes_red(&world);
    let ben = world.join_with("standup", "Ben", rtc);
    world.publish(ben, 1, &[]);
    let cleo = world.join("standup", "Cleo");
    world.publish(cleo, 1, &[]);
    connected(&mut world);
    world
}

fn speak(world: &mut World, seconds: u64) {
    for _ in 0..seconds * 50 {
        world.send(0, Microphone, false);
        world.run(Duration::from_millis(20));
    }
}

/// Loses a fifth, now and then several packets in a row, as chance would.
fn a_fifth(sequence: u16) -> bool {
    let mut mixed = u32::from(sequence).wrapping_mul(0x9e37_79b9);
    mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85eb_ca6b);
    (mixed ^ (mixed >> 13)).is_multiple_of(5)
}

/// Each frame that somebody can play, by number, and how many packets of them had how many copies.
fn heard(world: &World, person: usize) -> (BTreeSet<u64>, [usize; 3]) {
    let (mut frames, mut packets) = (BTreeSet::new(), [0; 3]);
    let mut note = |payload: &[u8], timestamp: u32| {
        let number = u64::from_be_bytes(payload[1..9].try_into().expect("eight bytes"));
        assert_eq!(payload, audio_frame(number), "as Anna sent it");
        frames.insert(number);
        (number, timestamp)
    };
    for packet in &world.clients[person].received {
        let (payload_type, timestamp) = (*packet.header.payload_type, packet.header.timestamp);
        if payload_type == OPUS {
            note(&packet.payload, timestamp);
            packets[0] += 1;
            continue;
        }
        assert_eq!(payload_type, RED);
        // As somebody else reads it.
        let blocks = RedDecoder::decode(&packet.payload).expect("what RFC 2198 describes");
        packets[blocks.len() - 1] += 1;
        let own = blocks.last().expect("its own data");
        let (number, _) = note(own.payload, timestamp);
        for (place, block) in blocks.iter().enumerate() {
            assert_eq!(block.pt, OPUS);
            let back = (blocks.len() - 1 - place) as u64;
            let (copy, _) = note(block.payload, timestamp);
            assert_eq!((copy, u64::from(block.timestamp_offset)), (number - back, 960 * back));
        }
    }
    (frames, packets)
}

fn decision(world: &World, person: usize) -> Option<RedundancyDecision> {
    world.sfu.snapshot(world.now).rooms[0].participants[person].redundancy
}

#[test]
fn whoever_loses_a_fifth_hears_nearly_everything() {
    let mut world = three(World::new());
    speak(&mut world, 5);
    let (frames, packets) = heard(&world, 1);
    assert_eq!((frames.len(), packets), (250, [250, 0, 0]), "nothing is lost, and nothing sent twice");
    world.loses_down = a_fifth;
    speak(&mut world, 15);
    let decided = decision(&world, 1).expect("Ben loses much");
    assert_eq!((decided.copies, decided.reason), (2, RedundancyReason::Loss));
    assert!((100..300).contains(&decided.loss_permille), "{decided:?}");
    world.clients.iter_mut().for_each(|client| client.received.clear());
    speak(&mut world, 60);
    let (frames, packets) = heard(&world, 1);
    assert_eq!((packets[0], packets[1]), (0, 0), "each packet brings the two before");
    let missing = 3000 - frames.len();
    assert!((0..60).contains(&missing), "{missing} of 3000 frames are missing");
    let (frames, packets) = heard(&world, 2);
    assert_eq!((packets[1], packets[2]), (0, 0), "Cleo takes no RED");
    assert!((2300..2500).contains(&frames.len()), "{} of 3000", frames.len());
    assert_eq!(decision(&world, 2), None);
}

#[test]
fn copies_begin_within_seconds_of_the_loss() {
    let mut world = three(World::new());
    speak(&mut world, 10);
    world.loses_down = a_fifth;
    speak(&mut world, 2);
    assert!(decision(&world, 1).is_some_and(|decision| decision.copies >= 1), "{:?}", decision(&world, 1));
    speak(&mut world, 3);
    assert_eq!(decision(&world, 1).map(|decision| decision.copies), Some(2));
    speak(&mut world, 18);
    let (frames, _) = heard(&world, 1);
    let missing = 10 * 50 + 23 * 50 - frames.len();
    assert!(missing * 20 < 23 * 50, "{missing} of {} frames are missing, from the first loss on", 23 * 50);
}

#[test]
fn copies_begin_after_two_reports_where_the_client_tells_of_no_arrivals() {
    let mut world = World::new();
    let rtc = takes_red(&world);
    let anna = world.join_with("standup", "Anna", rtc);
    world.publish(anna, 1, &[Microphone]);
    let plain = Rtc::builder().set_rtp_mode(true).enable_opus(true, true).clear_extension_map();
    let rtc = plain.set_extension(1, Extension::RtpMid).build(world.now);
    let ben = world.join_with("standup", "Ben", rtc);
    world.publish(ben, 1, &[]);
    connected(&mut world);
    world.loses_down = a_fifth;
    speak(&mut world, 15);
    assert_eq!(decision(&world, 1).map(|decision| decision.copies), Some(2));
}

#[test]
fn copies_end_when_little_has_been_lost_for_a_while() {
    let mut world = three(recorded("*"));
    world.loses_down = a_fifth;
    speak(&mut world, 15);
    assert_eq!(decision(&world, 1).map(|decision| decision.copies), Some(2));
    world.loses_down = |_| false;
    speak(&mut world, 25);
    assert_eq!(decision(&world, 1).map(|decision| decision.copies), Some(2), "it may begin again");
    speak(&mut world, 20);
    let decided = decision(&world, 1).expect("it is remembered");
    assert_eq!((decided.copies, decided.reason), (0, RedundancyReason::Calm));
    world.clients[1].received.clear();
    speak(&mut world, 5);
    assert_eq!(heard(&world, 1).1, [250, 0, 0]);
    let explanation = explained(&trace_of(world));
    let said: Vec<&str> = explanation.participants[1]
        .timeline
        .iter()
        .filter(|entry| entry.kind == "redundancy")
        .map(|entry| entry.text.as_str())
        .collect();
    let [began, fewer, ended] = said[..] else { panic!("{said:?}") };
    assert!(began.starts_with("is sent each packet of audio three times: "), "{began}");
    assert!(fewer.starts_with("is sent each packet of audio twice: only "), "{fewer}");
    assert!(ended.starts_with("is sent audio without copies again: only 0.0 % of it was lost"), "{ended}");
}

#[test]
fn nothing_from_before_a_pause_is_sent_again_behind_it() {
    let mut world = three(World::new());
    world.loses_down = a_fifth;
    speak(&mut world, 15);
    world.loses_down = |_| false;
    world.clients[1].received.clear();
    // As with DTX, a packet now and then.
    world.run(Duration::from_millis(400));
    for _ in 0..10 {
        world.send(0, Microphone, false);
        world.run(Duration::from_millis(400));
    }
    assert_eq!(heard(&world, 1).1, [10, 0, 0]);
    world.clients[1].received.clear();
    speak(&mut world, 1);
    assert_eq!(heard(&world, 1).1, [1, 1, 48], "copies begin again with the second packet");
}

#[test]
fn what_a_publisher_sends_with_copies_is_taken_apart_and_fills_what_was_lost_on_the_way_up() {
    let mut world = three(World::new());
    world.copies.insert(0, 1);
    world.loses_up = |sequence| sequence.is_multiple_of(7);
    speak(&mut world, 10);
    for viewer in [1, 2] {
        let (frames, packets) = heard(&world, viewer);
        assert_eq!(packets[1] + packets[2], 0, "nobody loses anything on the way down");
        assert!(frames.len() >= 499, "{} of 500", frames.len());
        let sequences: Vec<u64> =
            world.clients[viewer].received.iter().map(|packet| *packet.seq_no).collect();
        assert!(sequences.is_sorted() && sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "in order");
    }
    let snapshot = world.sfu.snapshot(world.now);
    let counters = snapshot.rooms[0].participants[0].publications[0].counters;
    assert!((65..75).contains(&counters.retransmitted), "{counters:?}");
}

#[test]
fn an_operator_can_do_without() {
    let mut world = three(World::with(|settings| settings.redundancy = false));
    world.loses_down = a_fifth;
    speak(&mut world, 20);
    let (_, packets) = heard(&world, 1);
    assert_eq!((packets[1], packets[2], decision(&world, 1)), (0, 0, None));
}

//! What is done about a network's estimate: key frames are spread over time where it is narrow, padding fills up what is
//! sent, probes are sent and answered, and what is sent again is bounded.

use std::time::Duration;

use strait::core::bandwidth::estimator::Reason;
use strait::core::command::Source::{Camera, Microphone};
use strait::core::command::{Command, Preference, Wish};
use strait::core::input::Shedding;
use strait::core::settings::LayerPolicy;
use strait::core::stats::{BandwidthSnapshot, EgressCounters};

use crate::line::Line;
use crate::replaying::assert_replays;
use crate::world::{Departed, Recorded, World};
use crate::{call_in, connected};

const ANNA: usize = 0;
const BEN: usize = 1;
/// Of a packet of a full frame of video on the wire, about.
const PACKET: usize = 900;

fn bandwidth(world: &World) -> BandwidthSnapshot {
    world.sfu.snapshot(world.now).rooms[0].participants[BEN].bandwidth.expect("Ben reports")
}

fn counters(world: &World) -> EgressCounters {
    world.sfu.snapshot(world.now).rooms[0].participants[BEN].pacing.expect("Ben takes numbers").counters
}

/// Anna and Ben, who are sent everything that they want to see, however much it is.
fn unsteered() -> World {
    let mut world = World::with(|settings| settings.bandwidth.policy = LayerPolicy::Wishes);
    call_in(&mut world, "standup", &["Anna", "Ben"], &[Microphone, Camera]);
    world
}

/// Anna and Ben, who is behind a link of that rate.
fn narrow(rate: u64) -> World {
    let mut world = unsteered();
    world.clients[BEN].line = Some(Line::new(world.now, rate, Duration::ZERO));
    world
}

/// Anna talks and is seen for a while: 50 packets of sound a second, and 25 frames of so many packets.
fn perform(world: &mut World, millis: usize, packets: usize) {
    for step in 0..millis / 20 {
        world.send(ANNA, Microphone, false);
        if step % 2 == 0 {
            world.send_frame(ANNA, Camera, step == 0, packets);
        }
        world.run(Duration::from_millis(20));
    }
}

/// Steers what is sent to Ben.
fn steer(world: &mut World, padding: u64, wants_more: u64) {
    let id = world.sfu.snapshot(world.now).rooms[0].participants[BEN].participant;
    let now = world.now;
    // The core learns the time from its inputs.
    world.input(Recorded::Timeout);
    assert_eq!(world.now, now);
    world.sfu.steer_by_hand(&"standup".parse().expect("a name"), id, padding, wants_more);
    world.settle();
}

/// The SSRCs of Ben's slots that show something of Anna's: of her microphone, and of her camera.
fn streams(world: &mut World) -> (u32, u32) {
    let [microphone, camera] = [Microphone, Camera].map(|source| world.clients[ANNA].track(source));
    let ssrc = |packets: Vec<&str0m::rtp::RtpPacket>| *packets.last().expect("it flows").header.ssrc;
    let microphone = ssrc(world.clients[BEN].received_of(microphone));
    let camera = ssrc(world.clients[BEN].received_of(camera));
    (microphone, camera)
}

fn to_ben(world: &World) -> impl Iterator<Item = &Departed> {
    world.departed.iter().filter(|packet| packet.to == BEN)
}

#[test]
fn a_key_frame_is_spread_over_time_on_a_narrow_network_and_audio_passes_it() {
    let mut world = narrow(1_000_000);
    perform(&mut world, 3_000, 1);
    let estimate = bandwidth(&world).estimate;
    assert!((800_000..1_300_000).contains(&estimate), "{estimate}");
    let (microphone, camera) = streams(&mut world);
    world.departed.clear();
    let began = world.now;
    world.send_frame(ANNA, Camera, true, 20);
    let mut sent = Vec::new();
    for _ in 0..15 {
        sent.push(world.now);
        world.send(ANNA, Microphone, false);
        world.run(Duration::from_millis(20));
    }
    let frame: Vec<u128> = to_ben(&world)
        .filter(|packet| packet.ssrc == camera)
        .map(|packet| (packet.at - began).as_millis())
        .collect();
    assert_eq!(frame.len(), 20, "all of it is sent");
    assert!(frame[4] == 0, "what a network takes at once leaves at once: {frame:?}");
    assert!((80..200).contains(&frame[19]), "18 kB at 1.1 Mbit/s and a burst: {frame:?}");
    let of_step = |step: u128| frame.iter().filter(|at| **at > 0 && **at / 5 == step).count();
    assert!((1..40).all(|step| of_step(step) <= 2), "a packet each 5 ms, or two: {frame:?}");
    let sound: Vec<_> =
        to_ben(&world).filter(|packet| packet.ssrc == microphone).map(|packet| packet.at).collect();
    assert_eq!(sound.len(), sent.len());
    // A client takes a moment to send.
    let waited = sound.iter().zip(&sent).map(|(left, sent)| *left - *sent).max().expect("audio was sent");
    assert!(waited < Duration::from_millis(1), "no packet of audio waits: {waited:?}");
    assert_eq!(counters(&world).paced_dropped, 0);
    assert!(counters(&world).paced_packets >= 12);
    let arrived = world.clients[BEN].received.iter().filter(|packet| *packet.header.ssrc == microphone);
    let latest = arrived.rev().take(15).map(|packet| packet.timestamp).zip(sent.iter().rev());
    let late = latest.map(|(arrived, sent)| arrived - *sent).max().expect("audio came");
    assert!(late < Duration::from_millis(70), "audio does not queue behind the key frame: {late:?}");
}

#[test]
fn what_waits_and_is_sent_replays_bit_for_bit() {
    let mut world = narrow(1_000_000);
    perform(&mut world, 2_000, 1);
    world.send_frame(ANNA, Camera, true, 25);
    perform(&mut world, 500, 4);
    assert!(counters(&world).paced_packets > 0);
    assert_replays(&world);
}

#[test]
fn more_than_a_network_carries_is_cut_to_the_next_key_frame_and_leaves_no_hole() {
    let mut world = narrow(600_000);
    perform(&mut world, 3_000, 1);
    let (_, camera) = streams(&mut world);
    world.clients[ANNA].keyframe_requests = 0;
    // 1.8 Mbit/s, and no key frame before somebody asks for one.
    let mut asked = 0;
    for _ in 0..75 {
        let is_asked = world.clients[ANNA].keyframe_requests > asked;
        asked = world.clients[ANNA].keyframe_requests;
        world.send_frame(ANNA, Camera, is_asked, 10);
        world.run(Duration::from_millis(40));
    }
    assert!(asked > 0, "Anna is asked for a key frame");
    assert!(counters(&world).paced_dropped > 0);
    let sequences: Vec<u16> =
        to_ben(&world).filter(|packet| packet.ssrc == camera).map(|packet| packet.sequence).collect();
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "no number is missing");
    let frames = world.clients[BEN].received.iter().filter(|packet| *packet.header.ssrc == camera);
    assert!(frames.count() > 150, "what fits is seen");
    assert!(
        world.clients[BEN].line.as_ref().is_some_and(|line| line.dropped < 60),
        "little is lost on the link"
    );
}

#[test]
fn what_is_left_out_of_a_stream_makes_nothing_of_the_rest_wait() {
    let mut world = narrow(600_000);
    let track = world.clients[ANNA].track(Camera);
    let wish = Wish { frame_rate: Some(7), ..Wish::default() };
    world.command(BEN, Command::Prefer(vec![Preference { track, wish }]));
    // 3.6 Mbit/s in all, of which Ben is to get no more than a twelfth.
    let film = |world: &mut World, pictures: usize| {
        for picture in 0..pictures {
            let packets = if picture % 4 == 0 { 4 } else { 20 };
            let is_key =
                world.pictures == 0 || std::mem::take(&mut world.clients[ANNA].keyframe_requests) > 0;
            world.send_picture(ANNA, Camera, is_key, packets);
            world.run(Duration::from_millis(32));
        }
    };
    film(&mut world, 160);
    let before = counters(&world);
    world.clients[BEN].received.clear();
    film(&mut world, 160);
    let since = counters(&world).since(&before);
    assert_eq!(since.paced_dropped, 0, "{since:?}");
    let received = world.clients[BEN].received.iter().filter(|packet| packet.payload.len() > 100);
    let layers: Vec<u8> = received.map(|packet| packet.payload[7]).collect();
    assert!(layers.len() >= 158 && layers.iter().all(|layer| *layer == 0), "{layers:?}");
    let received = world.clients[BEN].received_of(track);
    let camera = *received.last().expect("it flows").header.ssrc;
    let sequences: Vec<u16> =
        to_ben(&world).filter(|packet| packet.ssrc == camera).map(|packet| packet.sequence).collect();
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "no number is missing");
    assert_eq!(world.replay(Duration::from_secs(7)), world.outputs);
}

#[test]
fn a_key_frame_larger_than_the_queue_gets_through() {
    let mut world = narrow(1_000_000);
    perform(&mut world, 3_000, 1);
    let (_, camera) = streams(&mut world);
    world.departed.clear();
    world.send_frame(ANNA, Camera, true, 70);
    world.run(Duration::from_millis(900));
    let frame = to_ben(&world).filter(|packet| packet.ssrc == camera).count();
    assert_eq!(frame, 70, "63 kB take half a second");
}

#[test]
fn whoever_has_never_reported_is_paced_for_a_moment_only() {
    let mut world = unsteered();
    world.clients[BEN].loses = Some(strait::wire::classify::DatagramKind::Rtcp);
    let burst = |world: &mut World| {
        let before = counters(world).paced_packets;
        world.send_frame(ANNA, Camera, true, 60);
        world.run(Duration::from_millis(500));
        counters(world).paced_packets - before
    };
    perform(&mut world, 200, 1);
    assert!(burst(&mut world) > 10, "of an unknown network little is expected");
    perform(&mut world, 2_000, 1);
    assert_eq!(burst(&mut world), 0, "of what cannot be known nothing is");
}

#[test]
fn padding_fills_up_to_its_target_and_takes_nothing_from_media() {
    let mut world = unsteered();
    perform(&mut world, 2_000, 1);
    let (_, camera) = streams(&mut world);
    for target in [800_000, 0, 400_000] {
        steer(&mut world, target, 0);
        perform(&mut world, 200, 1);
        world.departed.clear();
        let before = counters(&world);
        perform(&mut world, 2_000, 1);
        let total: usize = to_ben(&world).map(|packet| packet.bytes).sum();
        let rate = total as u64 * 4;
        let padding = counters(&world).since(&before).padding_bytes;
        if target == 0 {
            assert_eq!(padding, 0, "nothing without a target");
        } else {
            assert!(rate.abs_diff(target) < target / 10, "{rate} instead of {target}");
            assert!(padding > 0);
        }
    }
    let sequences: Vec<u64> = world.clients[BEN]
        .received
        .iter()
        .filter(|packet| *packet.header.ssrc == camera)
        .map(|packet| *packet.seq_no)
        .collect();
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "the stream of media has no hole");
    let numbers =
        world.clients[BEN].received.iter().filter(|packet| packet.header.ext_vals.transport_cc.is_none());
    assert_eq!(numbers.count(), 0, "padding has numbers, too");
}

#[test]
fn what_was_sent_lately_is_the_best_padding_and_later_there_is_nothing_but_padding() {
    let mut world = unsteered();
    perform(&mut world, 2_000, 2);
    let (_, camera) = streams(&mut world);
    steer(&mut world, 800_000, 0);
    let count =
        |world: &World, plain: bool| to_ben(world).filter(|packet| packet.has_padding == plain).count();
    world.departed.clear();
    world.run(Duration::from_millis(500));
    assert!(count(&world, false) > 40, "old packets");
    assert_eq!(count(&world, true), 0);
    world.run(Duration::from_secs(2));
    world.departed.clear();
    world.run(Duration::from_millis(500));
    assert!(count(&world, true) > 150, "nothing is kept any more");
    assert!(to_ben(&world).all(|packet| packet.ssrc != camera));
    assert!(to_ben(&world).all(|packet| packet.bytes < 310));
    // It is no repeat that anybody asked for.
    let slots = &world.sfu.snapshot(world.now).rooms[0].participants[BEN].slots;
    assert!(slots.iter().all(|slot| slot.counters.retransmitted == 0));
}

#[test]
fn a_probe_finds_what_a_network_carries_beyond_what_is_sent() {
    for (capacity, expected) in [(20_000_000, 2_400_000..21_000_000), (1_600_000, 1_200_000..1_700_000)] {
        let mut world = narrow(capacity);
        perform(&mut world, 1_000, 1);
        let before = bandwidth(&world).estimate;
        assert!(before < 1_200_000, "{before}");
        steer(&mut world, 0, 3_000_000);
        perform(&mut world, 1_500, 1);
        let after = bandwidth(&world);
        assert!(expected.contains(&after.estimate), "{before} before, {after:?} of {capacity}");
        assert!(counters(&world).probes >= 2, "{:?}", counters(&world));
        assert_eq!(counters(&world).probes_given_up, 0);
    }
}

#[test]
fn nothing_is_probed_that_is_of_no_use_or_for_which_there_is_no_time() {
    let mut world = unsteered();
    perform(&mut world, 1_000, 1);
    steer(&mut world, 0, 0);
    perform(&mut world, 8_000, 1);
    assert_eq!(counters(&world).padding_packets, 0, "nobody wants more");
    world.input(Recorded::Shed(Shedding::ALL));
    steer(&mut world, 0, 3_000_000);
    perform(&mut world, 8_000, 1);
    assert_eq!(counters(&world).probes, 0, "the machine has no time");
    world.input(Recorded::Shed(Shedding::NONE));
    perform(&mut world, 8_000, 1);
    assert!(counters(&world).probes > 0, "now it has");
}

#[test]
fn probing_goes_on_while_everything_is_paused() {
    let mut world = unsteered();
    perform(&mut world, 1_000, 1);
    let tracks = [Microphone, Camera].map(|source| world.clients[ANNA].track(source));
    for track in tracks {
        world.command(BEN, Command::Pause { track, paused: true });
    }
    let before = bandwidth(&world).estimate;
    steer(&mut world, 0, 3_000_000);
    world.run(Duration::from_secs(2));
    let after = bandwidth(&world);
    assert!(after.estimate > 2 * before, "{before} before, {after:?}");
    assert_ne!(after.reason, Reason::Stalled);
}

#[test]
fn whoever_takes_no_repeats_is_sent_no_padding() {
    let mut world = World::with(|settings| settings.bandwidth.policy = LayerPolicy::Wishes);
    let anna = world.join("standup", "Anna");
    world.publish(anna, 2, &[Microphone, Camera]);
    let plain = str0m::Rtc::builder().set_rtp_mode(true).clear_codecs().enable_opus(true, false);
    let ben = world.join_with("standup", "Ben", plain.build(world.now));
    world.publish(ben, 2, &[]);
    connected(&mut world);
    for _ in 0..100 {
        world.send(ANNA, Microphone, false);
        world.run(Duration::from_millis(20));
    }
    steer(&mut world, 800_000, 3_000_000);
    let waking = world.record.len();
    world.run(Duration::from_secs(4));
    assert_eq!(counters(&world).padding_packets, 0);
    assert!(world.record.len() - waking < 400, "and nobody is woken for it again and again");
}

#[test]
fn repeats_take_a_part_of_the_network_at_most() {
    let mut world = unsteered();
    perform(&mut world, 1_000, 2);
    world.loses_down = |sequence| sequence % 2 == 1;
    perform(&mut world, 5_000, 6);
    let withheld = counters(&world).repeats_withheld;
    assert!(withheld > 0, "half of everything does not get through, whatever is sent again");
    let slots = &world.sfu.snapshot(world.now).rooms[0].participants[BEN].slots;
    let repeated: u64 = slots.iter().map(|slot| slot.counters.retransmitted).sum();
    let most = 1_100_000 / 4 / 8 * 7 / PACKET as u64;
    assert!((20..most).contains(&repeated), "{repeated} repeats, {most} at most");
}

#[test]
fn a_stream_beyond_the_first_guess_of_a_wide_network_is_hardly_held_back() {
    let mut world = narrow(20_000_000);
    perform(&mut world, 5_000, 10);
    let estimate = bandwidth(&world).estimate;
    assert!(estimate > 2_000_000, "what waits is a reason to probe: {estimate}");
    let before = counters(&world);
    perform(&mut world, 2_000, 10);
    let since = counters(&world).since(&before);
    assert_eq!((since.paced_packets, since.paced_dropped), (0, 0), "{before:?}");
    let camera = world.clients[ANNA].track(Camera);
    let received = world.clients[BEN].received_of(camera).len();
    assert!(received > 1_500, "{received} of 1,750 packets of video");
}

//! What forwarding must not do: allocate. A counting allocator stands in for the system's, and a crowd that has run for
//! a while goes on: packets, losses and their repair, reports. Not one allocation may come of it.

#[path = "../benches/rig/mod.rs"]
mod rig;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use rig::Crowd;
use strait::core::command::MediaKind;
use strait::core::ids::Ssrc;

/// Counts what the thread under test asks of the allocator.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // Threads that are ending have no counter any more, and are none of ours.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed on as it came; counting touches no memory of the allocator's.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of(action: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    action();
    ALLOCATIONS.get() - before
}

/// Until every buffer has grown to what it needs, and every list of what is remembered is full.
fn warm_up<R>(crowd: &mut Crowd, second: impl Fn(&mut Crowd) -> R) {
    for _ in 0..20 {
        second(crowd);
    }
}

const VIDEO_BYTES: usize = 1100;
const AUDIO_BYTES: usize = 80;

#[test]
fn a_forwarded_picture_allocates_nothing() {
    let mut crowd = Crowd::audience(20, MediaKind::Video);
    let second = |crowd: &mut Crowd| {
        let mut forwarded = 0;
        crowd.exchange_reports();
        for _frame in 0..25 {
            for _packet in 0..10 {
                crowd.send(0, 0, VIDEO_BYTES);
            }
            forwarded += crowd.drain().packets;
            forwarded += crowd.pass(Duration::from_millis(40)).packets;
        }
        forwarded
    };
    warm_up(&mut crowd, second);
    let mut forwarded = 0;
    let allocations = allocations_of(|| forwarded = second(&mut crowd));
    assert!(forwarded >= 250 * 20 + 20, "{forwarded} packets in a second");
    assert_eq!(allocations, 0, "of {forwarded} packets, a second with its reports");
}

#[test]
fn a_conference_of_voices_allocates_nothing() {
    let mut crowd = Crowd::conference(4, 5, MediaKind::Audio);
    let second = |crowd: &mut Crowd| {
        let mut forwarded = 0;
        crowd.exchange_reports();
        for _ in 0..50 {
            for person in 0..crowd.people.len() {
                crowd.send(person, 0, AUDIO_BYTES);
            }
            forwarded += crowd.drain().packets;
            forwarded += crowd.pass(Duration::from_millis(20)).packets;
        }
        forwarded
    };
    warm_up(&mut crowd, second);
    let mut forwarded = 0;
    let allocations = allocations_of(|| forwarded = second(&mut crowd));
    assert!(forwarded >= 50 * 20 * 4 + 20, "{forwarded} packets in a second");
    assert_eq!(allocations, 0, "of {forwarded} packets, a second with its reports");
}

#[test]
fn what_a_viewer_missed_is_sent_again_without_allocating() {
    let mut crowd = Crowd::audience(10, MediaKind::Video);
    // What each viewer got last, so that they can ask for it once more.
    let round = |crowd: &mut Crowd| {
        for _ in 0..50 {
            crowd.send(0, 0, VIDEO_BYTES);
        }
        let (mut last, mut forwarded) = (0, 0);
        crowd.drain_with(|transmit| {
            if transmit.bytes[1] & 0x7f == strait::load::sdp::VP8 {
                last = u16::from_be_bytes([transmit.bytes[2], transmit.bytes[3]]);
                forwarded += 1;
            }
        });
        assert_eq!(forwarded, 500);
        let viewer = crowd.people.len() - 1;
        let ssrc = crowd.people[viewer].slots.iter().find(|(_, kind)| *kind == MediaKind::Video);
        let media = Ssrc(ssrc.expect("a slot for video").0);
        let lost: [u16; 5] = std::array::from_fn(|back| last - 8 + back as u16);
        crowd.report(viewer, |writer| writer.nack(Ssrc(1), media, &lost));
        let repaired = crowd.drain().packets;
        crowd.pass(Duration::from_millis(200));
        repaired
    };
    warm_up(&mut crowd, round);
    let mut repaired = 0;
    let allocations = allocations_of(|| repaired = round(&mut crowd));
    assert_eq!(repaired, 5);
    assert_eq!(allocations, 0);
}

#[test]
fn what_a_publisher_lost_is_asked_for_without_allocating() {
    let mut crowd = Crowd::audience(2, MediaKind::Video);
    let round = |crowd: &mut Crowd| {
        for number in 0..50 {
            if number % 10 == 7 {
                crowd.lose(0, 0);
            } else {
                crowd.send(0, 0, VIDEO_BYTES);
            }
        }
        crowd.drain();
        let asked = crowd.pass(Duration::from_millis(60)).packets;
        // Long enough to give the holes up, and to ask for a key frame instead.
        for _ in 0..50 {
            crowd.pass(Duration::from_millis(40));
        }
        asked
    };
    warm_up(&mut crowd, round);
    let mut asked = 0;
    let allocations = allocations_of(|| asked = round(&mut crowd));
    assert!(asked >= 1, "a request for what is missing");
    // Holes are kept in a tree, which is as large as what is missing: a few nodes for five holes.
    assert!(allocations <= 5, "{allocations} for five packets that never came");
}

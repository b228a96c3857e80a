//! Two parsers of others, `rtcp-types` and str0m, read back what is written.

use std::collections::BTreeMap;

use rtcp_types::{Packet, RtcpPacketParser, TransportFeedback, TwccPacketStatus};

use super::*;

/// One feedback packet, as parsed.
#[derive(Debug)]
struct Feedback {
    count: u8,
    /// The number of each packet, and its time of arrival in ticks if it came.
    packets: Vec<(u16, Option<u64>)>,
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn us(n: u64) -> Duration {
    Duration::from_micros(n)
}

fn recorder() -> (Instant, TransportFeedbackRecorder) {
    let epoch = Instant::now();
    (epoch, TransportFeedbackRecorder::new(epoch))
}

/// Writes all pending feedback, and reads it with both parsers, which must agree.
fn feedback(recorder: &mut TransportFeedbackRecorder) -> Vec<Feedback> {
    let mut all = Vec::new();
    while let Some(due) = recorder.deadline() {
        let mut out = vec![0xaa; 8];
        assert!(recorder.write(due, Ssrc(1), Ssrc(2), &mut out));
        assert!(out.len() - 8 <= FEEDBACK_BYTES_MAX, "{}", out.len());
        let mut rest = &out[8..];
        while !rest.is_empty() {
            let words = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            let (packet, behind) = rest.split_at(4 * words + 4);
            all.push(parsed(packet));
            rest = behind;
        }
    }
    all
}

fn parsed(bytes: &[u8]) -> Feedback {
    let packet = Packet::parse(bytes).unwrap();
    let packet = packet.try_as::<TransportFeedback<'_>>().unwrap();
    assert_eq!((packet.sender_ssrc(), packet.media_ssrc()), (1, 2));
    let twcc = packet.parse_fci::<rtcp_types::Twcc<'_>>().unwrap();
    let mut time = i64::from(twcc.reference_time()) * 256;
    let packets: Vec<(u16, Option<u64>)> = twcc
        .packets()
        .map(|packet| match packet.unwrap() {
            (number, TwccPacketStatus::NotReceived) => (number, None),
            (number, TwccPacketStatus::Received { delta }) => {
                time += i64::from(delta);
                (number, Some(time as u64))
            }
        })
        .collect();
    assert_eq!(packets, parsed_by_str0m(bytes));
    Feedback { count: twcc.feedback_packet_count(), packets }
}

fn parsed_by_str0m(bytes: &[u8]) -> Vec<(u16, Option<u64>)> {
    let Ok(str0m::rtp::rtcp::Rtcp::Twcc(twcc)) = str0m::rtp::rtcp::Rtcp::try_from(bytes) else { panic!() };
    let zero = Instant::now();
    let since = |at: Instant| (at - zero).as_micros() as u64 / 250;
    twcc.into_iter(zero, (1 << 17).into()).map(|(number, _, at)| (*number as u16, at.map(since))).collect()
}

#[test]
fn packets_are_told_with_their_times() {
    let (epoch, mut recorder) = recorder();
    let start = epoch + ms(1000);
    for n in 0..30 {
        recorder.on_packet(start + us(1300) * n, n as u16);
    }
    let all = feedback(&mut recorder);
    assert_eq!(all.len(), 1);
    let expected: Vec<_> = (0..30).map(|n| (n as u16, Some((1_000_000 + 1300 * n) / 250))).collect();
    assert_eq!(all[0].packets, expected);
}

#[test]
fn losses_within_and_between_reports_are_told_once() {
    let (epoch, mut recorder) = recorder();
    for number in [5, 6, 9] {
        recorder.on_packet(epoch, number);
    }
    let first = feedback(&mut recorder);
    assert_eq!(first[0].packets, [(5, Some(0)), (6, Some(0)), (7, None), (8, None), (9, Some(0))]);
    recorder.on_packet(epoch + ms(300), 12);
    let second = feedback(&mut recorder);
    assert_eq!(second[0].packets, [(10, None), (11, None), (12, Some(1200))]);
    assert_eq!((first[0].count, second[0].count), (0, 1));
}

#[test]
fn reordering_within_a_report_gives_negative_deltas() {
    let (epoch, mut recorder) = recorder();
    for (number, at) in [(1, 100), (3, 101), (2, 110), (4, 111)] {
        recorder.on_packet(epoch + ms(at), number);
    }
    let all = feedback(&mut recorder);
    assert_eq!(all[0].packets, [(1, Some(400)), (2, Some(440)), (3, Some(404)), (4, Some(444))]);
}

#[test]
fn a_packet_after_its_report_is_told_alone() {
    let (epoch, mut recorder) = recorder();
    for number in [10, 14, 15] {
        recorder.on_packet(epoch, number);
    }
    assert_eq!(feedback(&mut recorder).len(), 1);
    for number in [11, 16, 13, 12, 9, 18] {
        recorder.on_packet(epoch + ms(20), number);
    }
    let told: Vec<Vec<_>> = feedback(&mut recorder).into_iter().map(|one| one.packets).collect();
    let at = Some(80);
    assert_eq!(told[0], [(9, at)]);
    assert_eq!(told[1], [(11, at), (12, at), (13, at)]);
    assert_eq!(told[2], [(16, at), (17, None), (18, at)]);
    assert_eq!(told.len(), 3);
}

#[test]
fn numbers_wrap_and_the_reference_time_wraps() {
    let (epoch, mut recorder) = recorder();
    for (n, number) in [65_534, 65_535, 1, 2].into_iter().enumerate() {
        recorder.on_packet(epoch + ms(n as u64), number);
    }
    let expected = [(65_534, Some(0)), (65_535, Some(4)), (0, None), (1, Some(8)), (2, Some(12))];
    assert_eq!(feedback(&mut recorder)[0].packets, expected);
    // 2^24 units of 64 ms: the reference begins again at zero.
    recorder.on_packet(epoch + ms(64 << 24) + ms(65), 3);
    assert_eq!(feedback(&mut recorder)[0].packets, [(3, Some(260))]);
}

#[test]
fn pauses_and_leaps_are_split_not_told_as_loss() {
    let (epoch, mut recorder) = recorder();
    recorder.on_packet(epoch, 1);
    recorder.on_packet(epoch + ms(8000), 2);
    recorder.on_packet(epoch + ms(17_000), 3);
    recorder.on_packet(epoch + ms(17_000), 20_000);
    let told: Vec<Vec<_>> = feedback(&mut recorder).into_iter().map(|one| one.packets).collect();
    assert_eq!(
        told,
        [vec![(1, Some(0)), (2, Some(32_000))], vec![(3, Some(68_000))], vec![(20_000, Some(68_000))]]
    );
    recorder.on_packet(epoch + ms(17_000), 30_000);
    assert_eq!(feedback(&mut recorder)[0].packets, [(30_000, Some(68_000))]);
}

#[test]
fn a_report_is_due_sooner_when_much_comes() {
    let (epoch, mut recorder) = recorder();
    assert_eq!(recorder.deadline(), None);
    recorder.on_packet(epoch, 0);
    recorder.on_packet(epoch + ms(10), 1);
    assert_eq!(recorder.deadline(), Some(epoch + ms(100)));
    (2..20).for_each(|number| recorder.on_packet(epoch + ms(20), number));
    assert_eq!(recorder.deadline(), Some(epoch + ms(50)));
    let mut out = Vec::new();
    assert!(!recorder.write(epoch + ms(49), Ssrc(1), Ssrc(2), &mut out));
    assert!(out.is_empty());
    assert!(recorder.write(epoch + ms(50), Ssrc(1), Ssrc(2), &mut out));
    assert!(!recorder.write(epoch + ms(50), Ssrc(1), Ssrc(2), &mut out));
    assert_eq!(parsed(&out).packets.len(), 20);
    (20..400).for_each(|number| recorder.on_packet(epoch + ms(60), number));
    assert_eq!(recorder.deadline(), Some(epoch + ms(60)));
}

#[test]
fn any_pattern_of_loss_reordering_and_timing_reads_back() {
    for seed in 0..80 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (epoch, mut recorder) = recorder();
        let (loss, late) = (random.u32(0..100), random.u32(0..30));
        let step = [100, 1_000, 20_000, 500_000][random.usize(..4)];
        let (mut sent, mut came) = (random.u64(..70_000), BTreeMap::new());
        let first = sent;
        let mut at = Duration::ZERO;
        let mut told: BTreeMap<u64, Vec<Option<u64>>> = BTreeMap::new();
        for _ in 0..20 {
            for _ in 0..random.u32(1..400) {
                at += us(random.u64(..step));
                if random.u32(..100) < loss {
                    let longest = if random.u32(..20) == 0 { 900 } else { 4 };
                    sent += random.u64(1..longest);
                }
                // A late one has a number from before; only one that was not used.
                let back = if random.u32(..100) < late { random.u64(..50) } else { 0 };
                let number = sent.saturating_sub(back).max(first);
                if came.contains_key(&number) {
                    sent += 1;
                    continue;
                }
                came.insert(number, at.as_micros() as u64 / 250);
                recorder.on_packet(epoch + at, number as u16);
                sent += u64::from(back == 0);
            }
            for one in feedback(&mut recorder) {
                for (number, tick) in one.packets {
                    let behind = (sent as u16).wrapping_sub(number);
                    let number = if behind < 40_000 { sent - u64::from(behind) } else { continue };
                    told.entry(number).or_default().push(tick);
                }
            }
        }
        for (number, tick) in came {
            let said = &told[&number];
            assert!(said.contains(&Some(tick)), "seed {seed}, number {number}: {said:?}");
        }
        for (number, said) in told {
            let losses = said.iter().filter(|tick| tick.is_none()).count();
            assert!(losses <= 1, "seed {seed}, number {number}: {said:?}");
        }
    }
}

#[test]
fn even_the_worst_pattern_stays_within_the_longest_packet() {
    let (epoch, mut recorder) = recorder();
    for n in 0..700u64 {
        // Alternating small and large deltas, with gaps of all lengths between.
        let at = epoch + ms(100 * (n / 2));
        recorder.on_packet(at, (n * 8 + n % 3) as u16);
    }
    let all = feedback(&mut recorder);
    let came: usize =
        all.iter().map(|one| one.packets.iter().filter(|packet| packet.1.is_some()).count()).sum();
    assert_eq!(came, 700);
}

#[test]
fn many_gaps_are_bounded_too() {
    let (epoch, mut recorder) = recorder();
    (0..100).for_each(|n: u64| recorder.on_packet(epoch, (n * 1990) as u16));
    let all = feedback(&mut recorder);
    let told: usize = all.iter().map(|one| one.packets.len()).sum();
    assert_eq!(told, 99 * 1990 + 1);
    assert!(all.iter().all(|one| one.packets.len() <= 8191));
}

#[test]
fn a_report_too_long_for_a_datagram_goes_on_in_the_next() {
    let (epoch, mut recorder) = recorder();
    (0..1000).for_each(|n: u16| recorder.on_packet(epoch + ms(1), n));
    let mut out = Vec::new();
    let mut calls = 0;
    while recorder.write(epoch + ms(1), Ssrc(1), Ssrc(2), &mut out) {
        calls += 1;
        out.clear();
    }
    assert!((2..=7).contains(&calls), "{calls}");
    assert_eq!(recorder.deadline(), None);
}

#[test]
fn what_waits_is_bounded() {
    let (epoch, mut recorder) = recorder();
    (0..5000).for_each(|number| recorder.on_packet(epoch, number));
    let told: usize = feedback(&mut recorder).iter().map(|one| one.packets.len()).sum();
    assert_eq!(told, PENDING_MAX);
}

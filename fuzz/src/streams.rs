//! What keeps state between packets: the munger, the recorder of transport-wide feedback, and the estimator that reads it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rtcp_types::{Packet, RtcpPacketParser, TransportFeedback, TwccPacketStatus};
use strait::core::bandwidth::estimator::{BandwidthEstimator, Bounds};
use strait::core::forward::descriptor::FrameCounters;
use strait::core::forward::munger::{Munger, SourcePacket, Stretch};
use strait::core::ids::{EncodingIndex, PublicationKey, Ssrc, TrackId};
use strait::core::media::layers::{Layers, Selection};
use strait::core::media::twcc::{FEEDBACK_BYTES_MAX, PENDING_MAX, TransportFeedbackRecorder};

use strait::wire::transport_feedback;

use super::tape::Tape;

/// `munger`: packets of sources that come and go become one stream. No number is ever given to two packets (it would be
/// sealed twice with one nonce), what was apart by so much stays so unless something in between is left out, and a number of
/// ours leads back to its packet.
pub fn munger(data: &[u8]) {
    let mut tape = Tape::new(data);
    let (Some(flags), Some(sequence)) = (tape.byte(), tape.short()) else { return };
    let key = PublicationKey(0);
    let mut now = Instant::now();
    // Streams begin where roll-over counters cannot be mistaken.
    let mut munger = Munger::new(now, 90_000, flags & 1 != 0, sequence & 0x7fff, 7);
    let mut stretch =
        Stretch { track: TrackId(1), publication: key, encoding: EncodingIndex(0), generation: 0 };
    let mut index: u64 = 65_000;
    let mut given: BTreeMap<u64, (Stretch, u64)> = BTreeMap::new();
    let (mut highest, mut last) = (None, None);
    // Late packets of before what was left out are nearer to those behind than they were.
    let mut has_left_out = false;
    while let (Some(kind), Some(by)) = (tape.byte(), tape.short()) {
        match kind & 7 {
            0 => {
                stretch.encoding = EncodingIndex(by as u8 & 3);
                stretch.generation += 1;
                last = None;
            }
            1 => {
                stretch.track = TrackId(u64::from(by & 3));
                stretch.generation += 1;
                last = None;
            }
            2 => {
                munger.promise(now);
                last = None;
            }
            3 => {
                munger.desynchronise();
                last = None;
            }
            4 => index = index.saturating_add(u64::from(by)),
            5 => index = index.saturating_sub(u64::from(by)),
            6 => {
                let spatial = by as u8 & 1;
                let selection = Selection::up_to(Layers { spatial, ..Layers::ALL });
                if munger.is_newest(stretch, index + 1) {
                    munger.select(stretch, index + 1, selection);
                }
                index += 1;
            }
            _ => index += 1,
        }
        now += Duration::from_millis(u64::from(kind >> 3));
        let counters = FrameCounters {
            picture_id: Some(by & 0x7fff),
            tl0_picture_index: Some(by as u8),
            frame_number: Some(by),
        };
        let starts_keyframe = kind & 8 != 0;
        let source = SourcePacket { index, timestamp: u32::from(by) << 16, starts_keyframe, counters };
        let clock_offset = (kind & 16 != 0).then_some(u32::from(by) << 8);
        let packet = (stretch, index);
        // Whoever keeps packets gives each to the munger once.
        if kind & 7 == 7 && by & 1 == 0 && !given.values().any(|other| *other == packet) {
            has_left_out = true;
            let Some(padding) = munger.leave_out(stretch, &source, by & 2 == 0) else { continue };
            assert_eq!(*given.entry(padding.index).or_insert(packet), packet, "padding has another's number");
            highest = highest.max(Some(padding.index));
            continue;
        }
        let Some(rewrite) = munger.rewrite(now, stretch, clock_offset, &source) else { continue };
        let owner = *given.entry(rewrite.index).or_insert(packet);
        assert_eq!(owner, packet, "two packets got the number {}", rewrite.index);
        has_left_out &= !rewrite.first;
        if let Some((before_in, before_out)) = last.filter(|_| !rewrite.first && !has_left_out) {
            let (before_in, before_out): (u64, u64) = (before_in, before_out);
            assert_eq!(index.wrapping_sub(before_in), rewrite.index.wrapping_sub(before_out));
        }
        last = Some((index, rewrite.index));
        highest = highest.max(Some(rewrite.index));
        if highest.is_some_and(|highest| highest - rewrite.index < 0x8000) {
            // Where much is left out, what is far back is forgotten.
            let origin = munger.origin(rewrite.index as u16);
            assert!(origin == Some(packet) || (has_left_out && origin.is_none()), "{packet:?} is {origin:?}");
            let again = munger.again(stretch, &source);
            assert!(again.is_some() || has_left_out, "it has just been sent");
            let owner = again.map(|again| given.get(&again.index));
            assert!(
                owner.is_none_or(|owner| owner == Some(&packet)),
                "sent again under another packet's number"
            );
        }
    }
}

/// Packets that wait to be reported, by number: the number extended, and when they came, in units of 250 µs.
type Pending = BTreeMap<u16, Vec<(u64, u64)>>;

/// `twcc`: every packet that came is reported, with its time, as somebody else's parser reads it.
pub fn twcc(data: &[u8]) {
    let mut tape = Tape::new(data);
    let (Some(start), Some(sequence)) = (tape.short(), tape.short()) else { return };
    let epoch = Instant::now();
    let mut recorder = TransportFeedbackRecorder::new(epoch);
    let (mut micros, mut sequence, mut pending) = (u64::from(start) * 1000, sequence, Pending::new());
    let (mut newest, mut noted) = (None, 0);
    while let Some(kind) = tape.byte() {
        match kind & 3 {
            0 => sequence = sequence.wrapping_add(1),
            1 => sequence = sequence.wrapping_add(u16::from(kind >> 2)),
            2 => sequence = sequence.wrapping_sub(u16::from(kind >> 2)),
            _ => {
                let Some(by) = tape.short() else { break };
                match kind >> 2 & 3 {
                    0 => sequence = sequence.wrapping_add(by),
                    1 => micros += u64::from(by) * 100,
                    2 => micros += u64::from(by) * 1_000,
                    _ => {
                        let due = recorder.deadline();
                        micros = due.map_or(micros, |due| micros.max((due - epoch).as_micros() as u64));
                        report(&mut recorder, epoch + Duration::from_micros(micros), &mut pending);
                    }
                }
                continue;
            }
        }
        micros += u64::from(kind >> 2) * 50;
        noted += 1;
        if noted > PENDING_MAX {
            break;
        }
        // Numbers go round: what is half of them away or more is told apart by what came before.
        let newest = newest.get_or_insert(1_u64 << 32 | u64::from(sequence));
        let ahead = sequence.wrapping_sub(*newest as u16).cast_signed();
        let extended = newest.wrapping_add_signed(i64::from(ahead));
        *newest = extended.max(*newest);
        recorder.on_packet(epoch + Duration::from_micros(micros), sequence);
        let waiting = pending.entry(sequence).or_insert_with(Vec::new);
        // Of two with one number the first counts.
        if !waiting.iter().any(|(other, _)| *other == extended) {
            waiting.push((extended, micros / 250));
        }
    }
    micros += 200_000;
    report(&mut recorder, epoch + Duration::from_micros(micros), &mut pending);
    assert!(pending.is_empty(), "{pending:?} were never reported");
    assert_eq!(recorder.deadline(), None);
}

/// Writes all that is due, and strikes it off.
fn report(recorder: &mut TransportFeedbackRecorder, now: Instant, pending: &mut Pending) {
    let mut out = Vec::new();
    while recorder.write(now, Ssrc(1), Ssrc(2), &mut out) {
        assert!(out.len() <= FEEDBACK_BYTES_MAX && !out.is_empty());
        let mut rest = out.as_slice();
        while !rest.is_empty() {
            let words = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            let (packet, behind) = rest.split_at(4 * words + 4);
            rest = behind;
            strike_off(packet, pending);
        }
        out.clear();
    }
}

fn strike_off(packet: &[u8], pending: &mut Pending) {
    let ours = transport_feedback::TransportFeedback::parse(packet)
        .expect("our reader reads what our writer writes");
    let mut arrivals = ours.arrivals();
    let packet = Packet::parse(packet).expect("an RTCP packet");
    let feedback = packet.try_as::<TransportFeedback<'_>>().expect("transport feedback");
    let twcc = feedback.parse_fci::<rtcp_types::Twcc<'_>>().expect("transport-wide");
    let mut time = i64::from(twcc.reference_time()) * 256;
    for packet in twcc.packets() {
        let (sequence, status) = packet.expect("whole");
        let arrival = arrivals.next().expect("as many as somebody else's reader finds");
        if let TwccPacketStatus::Received { delta } = status {
            time += i64::from(delta);
            let since_reference = (time - i64::from(ours.reference) * 256) * 250;
            assert_eq!(arrival, Some(since_reference), "{sequence} is read differently");
            // The reference time has 24 bits of 64 ms.
            let told = time.rem_euclid(256 << 24) as u64;
            let waiting = pending.get_mut(&sequence).expect("a packet that came, and is reported once");
            let found = waiting.iter().position(|(_, came)| *came == told);
            waiting.remove(found.unwrap_or_else(|| panic!("{sequence}: {told} is none of {waiting:?}")));
            if waiting.is_empty() {
                pending.remove(&sequence);
            }
        }
    }
}

/// `bandwidth`: an estimator that is told anything of what it has sent. Its estimate stays within its bounds, and what it
/// remembers within its own; no report can make it wake up for nothing.
pub fn bandwidth(data: &[u8]) {
    let mut tape = Tape::new(data);
    let Some(start) = tape.short() else { return };
    let bounds = Bounds { start: 10_000 + 100 * u64::from(start), min: 10_000, max: 8_000_000 };
    let mut now = 0;
    let mut estimator = BandwidthEstimator::new(now, bounds);
    let mut sent: u16 = 0;
    while let (Some(kind), Some(by)) = (tape.byte(), tape.short()) {
        match kind & 7 {
            0 | 1 => {
                for _ in 0..=kind >> 3 {
                    assert_eq!(
                        estimator.on_sent(now, usize::from(by), None),
                        sent,
                        "numbers follow each other"
                    );
                    sent = sent.wrapping_add(1);
                }
            }
            2 => now += i64::from(by) * if kind & 8 == 0 { 10 } else { 1_000 },
            3 => {
                estimator.set_wanted(now, u64::from(by) * 1_000);
                if kind & 8 != 0 {
                    estimator.begin_probing(now);
                }
            }
            4 => {
                if let Some(deadline) = estimator.deadline() {
                    now = now.max(deadline);
                }
                estimator.process(now);
                assert!(estimator.deadline().is_none_or(|next| next > now), "it would wake up at once again");
            }
            5 => {
                let Some(probe) = estimator.take_probe() else { continue };
                assert!(probe.rate > 0 && probe.packets > 0);
                for packet in 0..probe.packets {
                    estimator.on_sent(now + i64::from(packet) * 2_000, usize::from(by), Some(probe.id));
                    sent = sent.wrapping_add(1);
                }
                now += 2_000 * i64::from(probe.packets);
            }
            // A report near to what was sent, of chunks and times that the tape makes up.
            _ => {
                let base = if kind & 8 == 0 { sent.wrapping_sub(by & 0xff) } else { by };
                let mut packet = vec![0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
                packet.extend_from_slice(&base.to_be_bytes());
                packet.extend_from_slice(&u16::from(kind >> 2).to_be_bytes());
                packet.extend((0..4 + by % 64).map_while(|_| tape.byte()));
                if let Ok(report) = transport_feedback::TransportFeedback::parse(&packet) {
                    estimator.on_report(now, report.reference, report.base, report.arrivals());
                }
            }
        }
        let estimate = estimator.estimate();
        assert!((bounds.min..=bounds.max).contains(&estimate), "{estimate} is out of bounds");
    }
}

//! Three people watch one camera, each in another size, and one of them changes over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::publication::Publication;
use super::slot::Slot;
use crate::core::command::{EncodingRequest, MediaKind, Source, Wish};
use crate::core::ids::{
    EncodingIndex, Mid, ParticipantId, ParticipantKey, PayloadType, PublicationKey, Ssrc, TrackId,
    TransportKey,
};
use crate::core::input::SrtpProfile;
use crate::core::media::cache::AGE_MAX;
use crate::core::media::egress::EgressHalf;
use crate::core::media::extensions::PassedExtensions;
use crate::core::media::ingress::MediaPacket;
use crate::core::media::srtp::{SrtpReceiver, contexts};
use crate::core::negotiated::{Codec, CodecParams, ExtensionIds, NegotiatedSection};
use crate::core::rng::Rng;
use crate::wire::rtp::RtpHeader;

const VP8: CodecParams =
    CodecParams { codec: Codec::Vp8, pt: PayloadType(96), rtx: Some(PayloadType(97)), red: None, nack: true };
const PACKETS_PER_FRAME: u8 = 3;
const FRAME: Duration = Duration::from_millis(40);
const FRAME_TICKS: u32 = 3600;
const SIZES: usize = 3;
/// How tall the pictures of each size are. The first size is preferred by those who do not say what they want.
const HEIGHTS: [u16; SIZES] = [180, 360, 720];
/// A packet's payload begins with a VP8 descriptor and a payload header, and goes on with where it comes from.
const MARKS: usize = 5;

/// A packet as a viewer got it, by itself or again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Got {
    timestamp: u32,
    picture: u16,
    is_keyframe: bool,
    size: u8,
    frame: u8,
    packet: u8,
}

/// Somebody who watches: what the server keeps for them, and what they have got, by sequence number.
struct Watching {
    slot: Slot,
    egress: EgressHalf,
    receiver: SrtpReceiver,
    got: BTreeMap<u16, Got>,
}

/// A camera that is sent in three sizes. Nothing of it is the same: SSRCs, sequence numbers, clocks, picture ids.
struct Simulcast {
    now: Instant,
    publication: Publication,
    frame: u8,
    /// Whether what is sent repeats something on the retransmission stream.
    is_repeat: bool,
    watching: Vec<Watching>,
}

impl Simulcast {
    fn new() -> Self {
        let now = Instant::now();
        let (key, mid) = (PublicationKey(0), Mid::from("0"));
        let (owner, id, transport) = (ParticipantKey(9), ParticipantId(9), TransportKey(0));
        let mut publication =
            Publication::new(TrackId(1), key, owner, id, transport, mid, Source::Camera, false, Some(VP8));
        let named = |size: usize| (size.to_string().into(), size);
        let declared = HEIGHTS.iter().enumerate().map(|(size, height)| EncodingRequest {
            rid: size.to_string(),
            width: None,
            height: Some(*height),
            max_bitrate: None,
        });
        let declared: Vec<_> = declared.collect();
        publication.ladder.update(now, (0..SIZES).map(named), &declared, true);
        let mut watching = Vec::new();
        for number in 0..SIZES {
            let section = NegotiatedSection {
                mid,
                kind: MediaKind::Video,
                payload_types: Vec::new(),
                codecs: Vec::new(),
                extensions: ExtensionIds::default(),
                ingress: None,
                egress: Some((Ssrc(100), Some(Ssrc(101)))),
            };
            let mut slot = Slot::new(now, TransportKey(0), &section, 0, 0, &mut Rng::new([number as u8; 32]))
                .expect("it receives");
            slot.assign(now, TrackId(1), key, Some(VP8));
            slot.announced = true;
            publication.add_viewer(ParticipantKey(number), 0);
            let keys = [number as u8; 60];
            let profile = SrtpProfile::Aes128CmSha1_80;
            let (_, sender) = contexts(profile, &keys, false).expect("keys");
            let (receiver, _) = contexts(profile, &keys, true).expect("keys");
            let egress = EgressHalf::new(now, sender);
            watching.push(Watching { slot, egress, receiver, got: BTreeMap::new() });
        }
        Self { now, publication, frame: 0, is_repeat: false, watching }
    }

    /// A viewer wants to see pictures as tall as those of a size.
    fn wants(&mut self, viewer: usize, size: usize) {
        let wish = Wish { height: Some(HEIGHTS[size]), ..Wish::default() };
        self.publication.set_wish(ParticipantKey(viewer), 0, wish, false);
        self.publication.review(self.now);
    }

    fn timestamp(&self, size: usize) -> u32 {
        [500, 4_000_000_000, 77_777][size] + u32::from(self.frame) * FRAME_TICKS
    }

    /// The sender reports on its clocks, each at another moment.
    fn report(&mut self) {
        for size in 0..SIZES {
            let late = Duration::from_millis(10 * size as u64);
            let ntp = (7_000 << 32) | ((u64::from(late.subsec_nanos()) << 32) / 1_000_000_000);
            let timestamp = self.timestamp(size) + 90 * late.as_millis() as u32;
            self.publication.on_sender_report(self.now, Ssrc(size as u32), ntp, timestamp);
        }
    }

    /// The camera shows one more picture in all sizes, and each viewer gets it as far as `loses` does not say that the
    /// packet is lost: of whom, and the how-manieth of the frame.
    fn show(&mut self, is_keyframe: bool, loses: impl Fn(usize, u8) -> bool) {
        self.frame += 1;
        for size in 0..SIZES {
            // The larger a picture is, the later it is there.
            self.now += Duration::from_millis(5);
            for number in 0..PACKETS_PER_FRAME {
                self.send(size, number, is_keyframe);
            }
            self.publication.check();
            self.forward(&loses);
            self.publication.check();
        }
        self.now += FRAME - Duration::from_millis(5 * SIZES as u64);
    }

    fn send(&mut self, size: usize, number: u8, is_keyframe: bool) {
        let start = if number == 0 { 0x90 } else { 0x80 };
        let picture = [10, 0x7ffe, 400][size] + u16::from(self.frame);
        let [high, low] = (picture | 0x8000).to_be_bytes();
        let payload = [start, 0x80, high, low, u8::from(!is_keyframe), size as u8, self.frame, number];
        let index = [60, 9_000, 70_000][size] + u64::from(self.frame) * u64::from(PACKETS_PER_FRAME);
        let packet = MediaPacket {
            ssrc: Ssrc(size as u32),
            publication: PublicationKey(0),
            rank: size,
            index: index + u64::from(number),
            timestamp: self.timestamp(size),
            marker: number + 1 == PACKETS_PER_FRAME,
            codec: VP8,
            redundant: false,
            recovered: self.is_repeat,
            extensions: PassedExtensions::default(),
            payload: &payload,
        };
        self.publication.arrive(self.now, &packet);
    }

    /// What a room does when a batch has been read.
    fn forward(&mut self, loses: impl Fn(usize, u8) -> bool) {
        while let Some(index) = self.publication.begin_pass() {
            let encoding = self.publication.encoding(index).expect("it is forwarded");
            let stretch = self.publication.stretch(index).expect("it is forwarded");
            let mut turns = 0;
            for run in encoding.turns() {
                turns += 1;
                let Watching { slot, egress, receiver, got } = &mut self.watching[run.participant.0];
                let flowing = slot.flowing().map(|(flowing, _)| flowing.encoding);
                let offset = flowing.and_then(|flowing| self.publication.clock_offset(index, flowing));
                for waiting in &encoding.waiting()[run.packets] {
                    let packet = encoding.packet(waiting.index).expect("it has just come");
                    let outgoing =
                        slot.prepare(self.now, stretch, offset, packet, VP8, encoding.scalability());
                    let Some(outgoing) = outgoing else { continue };
                    let mut buffer = [0; 500];
                    let length = slot.write(&outgoing, egress, &mut buffer).expect("it fits");
                    if !loses(run.participant.0, packet.payload[MARKS + 2]) {
                        let (sequence, packet) = open(receiver, &mut buffer[..length], 0);
                        assert_eq!(got.insert(sequence, packet), None, "nothing is sent twice");
                    }
                }
            }
            self.publication.end_turns(turns);
        }
    }

    /// A viewer asks again for what is missing between what they have got. Returns how much came.
    fn repair(&mut self, viewer: usize) -> usize {
        let Watching { slot, egress, receiver, got } = &mut self.watching[viewer];
        let (Some((&first, _)), Some((&last, _))) = (got.first_key_value(), got.last_key_value()) else {
            return 0;
        };
        let missing: Vec<u16> = (first..last).filter(|sequence| !got.contains_key(sequence)).collect();
        for sequence in &missing {
            let Some((stretch, index)) = slot.origin(*sequence) else { continue };
            let encoding = self.publication.encoding(stretch.encoding).expect("it was forwarded");
            let Some(packet) = encoding.fresh_packet(self.now, index) else { continue };
            let mut buffer = [0; 500];
            let length = slot.write_retransmission(stretch, packet, VP8, egress, &mut buffer);
            let (original, packet) = open(receiver, &mut buffer[..length.expect("it fits")], 2);
            assert_eq!(original, *sequence);
            got.insert(original, packet);
        }
        missing.len()
    }

    /// The frames that a viewer got, in order: what the packets of each have in common. Panics unless they can be decoded
    /// and shown without a seam.
    fn shown(&self, viewer: usize) -> Vec<Got> {
        let got = &self.watching[viewer].got;
        let sequences: Vec<u16> = got.keys().copied().collect();
        assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "no hole: {sequences:?}");
        let packets: Vec<Got> = got.values().copied().collect();
        let mut frames: Vec<Got> = Vec::new();
        for frame in packets.chunks(usize::from(PACKETS_PER_FRAME)) {
            for (number, packet) in frame.iter().enumerate() {
                assert_eq!(*packet, Got { packet: number as u8, ..frame[0] }, "a frame is whole");
            }
            match frames.last() {
                None => assert!(frame[0].is_keyframe, "a decoder can begin"),
                Some(last) => {
                    assert!(frame[0].timestamp > last.timestamp, "time goes on");
                    assert_eq!(frame[0].picture, (last.picture + 1) & 0x7fff, "pictures count on");
                    let continues = (frame[0].size, frame[0].frame) == (last.size, last.frame + 1);
                    assert!(continues || frame[0].is_keyframe, "{last:?} is followed by {:?}", frame[0]);
                }
            }
            frames.push(frame[0]);
        }
        frames
    }

    /// Frames of each size that a viewer was shown, in the order of the sizes.
    fn shown_of_sizes(&self, viewer: usize) -> [usize; SIZES] {
        let frames = self.shown(viewer);
        [0, 1, 2].map(|size| frames.iter().filter(|frame| frame.size == size).count())
    }

    /// The sizes of which the publisher is asked for key frames now.
    fn asked(&mut self) -> Vec<Ssrc> {
        let mut asked = Vec::new();
        self.publication.due_keyframes(self.now, Duration::from_millis(50), |ssrc| asked.push(ssrc));
        asked
    }
}

/// Opens a packet, with `before` bytes in front of the payload. Returns what the payload says, and the sequence number: the
/// one in front of the payload, if there is one.
fn open(receiver: &mut SrtpReceiver, bytes: &mut [u8], before: usize) -> (u16, Got) {
    let header = RtpHeader::parse(bytes).expect("RTP");
    let opened = receiver.open_rtp(bytes, header.header_len, header.sequence, header.ssrc).expect("it opens");
    let (original, payload) = bytes[header.header_len..opened.len].split_at(before);
    let sequence = original.try_into().map_or(header.sequence, u16::from_be_bytes);
    let marker = payload[MARKS + 2] + 1 == PACKETS_PER_FRAME;
    assert_eq!(header.marker, marker, "the last packet of a frame says so");
    let got = Got {
        timestamp: header.timestamp,
        picture: u16::from_be_bytes([payload[2], payload[3]]) & 0x7fff,
        is_keyframe: payload[4] == 0,
        size: payload[MARKS],
        frame: payload[MARKS + 1],
        packet: payload[MARKS + 2],
    };
    (sequence, got)
}

#[test]
fn three_people_watch_three_sizes_and_one_changes_over_at_a_key_frame() {
    let mut camera = Simulcast::new();
    camera.show(true, |_, _| false);
    assert_eq!((0..SIZES).map(|viewer| camera.shown(viewer)[0].size).collect::<Vec<_>>(), [0; SIZES]);
    for viewer in 0..SIZES {
        camera.wants(viewer, viewer);
    }
    camera.show(false, |_, _| false);
    assert_eq!(camera.asked(), [Ssrc(1), Ssrc(2)], "the first one is shown what they chose");
    camera.report();
    camera.show(true, |_, _| false);
    for _ in 0..6 {
        camera.show(false, |_, _| false);
    }
    assert_eq!(camera.shown_of_sizes(0), [9, 0, 0]);
    assert_eq!(camera.shown_of_sizes(1), [3, 7, 0], "and the old size until the key frame has come");
    assert_eq!(camera.shown_of_sizes(2), [3, 0, 7]);

    // The first one changes over to the largest. Until its key frame comes they go on with the smallest.
    camera.wants(0, 2);
    let loses_some = |viewer: usize, packet: u8| (viewer, packet) == (0, 1) || (viewer, packet) == (1, 2);
    camera.show(false, loses_some);
    assert_eq!(camera.asked(), [Ssrc(2)]);
    camera.show(true, loses_some);
    camera.show(false, loses_some);
    camera.show(false, |_, _| false);
    // They lost packets before and after the change, and get each of them from where it came.
    assert_eq!(camera.repair(0), 4);
    assert_eq!(camera.repair(1), 3);
    assert_eq!(camera.repair(2), 0);
    assert_eq!(camera.shown_of_sizes(0), [11, 0, 3]);
    assert_eq!(camera.shown_of_sizes(1), [3, 11, 0]);
    assert_eq!(camera.shown_of_sizes(2), [3, 0, 11]);

    // The key frame shows the same moment as the last small picture; otherwise time goes on as the camera's does.
    let frames = camera.shown(0);
    let steps: Vec<u32> = frames.windows(2).map(|pair| pair[1].timestamp - pair[0].timestamp).collect();
    assert_eq!(steps, [&[FRAME_TICKS; 10], &[1, FRAME_TICKS, FRAME_TICKS][..]].concat());
    let slot = &camera.watching[0].slot;
    assert_eq!((slot.counters.packets, slot.counters.retransmitted), (14 * 3, 4));
    for size in 0..SIZES {
        let encoding = camera.publication.encoding(EncodingIndex(size as u8)).expect("it was sent");
        assert_eq!(encoding.counters.packets, 13 * 3, "all that came of it, whoever was shown it");
        assert_eq!(encoding.counters.keyframe_requests, [0, 1, 2][size]);
    }
    assert_eq!(camera.publication.counters().packets, 3 * 13 * 3);
}

#[test]
fn what_was_sent_before_a_change_is_repaired_even_if_nobody_is_shown_it_any_more() {
    let mut camera = Simulcast::new();
    camera.publication.remove_viewers(|viewer| viewer.participant.0 > 0);
    camera.show(true, |_, _| false);
    camera.show(false, |_, packet| packet == 1);
    camera.wants(0, 1);
    camera.show(true, |_, _| false);
    assert_eq!(camera.repair(0), 1);
    assert_eq!(camera.shown_of_sizes(0), [3, 1, 0]);

    camera.show(false, |_, packet| packet == 1);
    camera.now += AGE_MAX + FRAME;
    for _ in 0..2 {
        camera.show(false, |_, _| false);
    }
    let smallest = camera.publication.encoding(EncodingIndex(0)).expect("it is sent");
    assert!(!smallest.has_cache() && !smallest.is_followed(), "it is not kept for nobody");
}

#[test]
fn a_repeat_of_what_has_come_probes_for_bandwidth_and_counts_neither_as_repair_nor_as_waste() {
    let mut camera = Simulcast::new();
    camera.show(true, |_, _| false);
    let counted = |camera: &Simulcast| {
        let counters = camera.publication.counters();
        (counters.packets, counters.retransmitted, counters.dropped)
    };
    let before = counted(&camera);
    assert_eq!((before.1, before.2), (0, 0));
    camera.is_repeat = true;
    camera.send(0, 1, true);
    assert_eq!(counted(&camera), before);
    // The same on the stream itself is a duplicate.
    camera.is_repeat = false;
    camera.send(0, 1, true);
    assert_eq!(counted(&camera), (before.0, 0, 1));
    camera.frame += 1;
    camera.send(0, 0, false);
    camera.send(0, 2, false);
    camera.is_repeat = true;
    camera.send(0, 1, false);
    assert_eq!(counted(&camera), (before.0 + 3, 1, 1), "one was missing, and came again");
}

#[test]
fn what_the_machine_had_no_time_for_is_not_sent_when_nobody_plays_it_any_more() {
    let mut camera = Simulcast::new();
    camera.show(true, |_, _| false);
    camera.frame += 1;
    (0..PACKETS_PER_FRAME).for_each(|number| camera.send(0, number, false));
    camera.now += AGE_MAX + FRAME;
    camera.frame += 1;
    (0..PACKETS_PER_FRAME).for_each(|number| camera.send(0, number, false));
    camera.publication.skip_old(camera.now);
    camera.publication.check();
    camera.forward(|_, _| false);
    let frames: Vec<u8> = camera.watching[0].got.values().map(|packet| packet.frame).collect();
    assert_eq!(frames, [1, 1, 1, 3, 3, 3], "the picture that waited for more than a second is left out");
    let numbers: Vec<u16> = camera.watching[0].got.keys().copied().collect();
    assert_eq!(numbers[3] - numbers[2], 4, "and can be seen to be missing");
}

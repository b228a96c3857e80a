//! One stream with layers inside, as encoders send it, and viewers who get it on the way that a room's packets go: kept,
//! selected, numbered, written, sealed and opened again. And what must be true of what they get.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use strait::core::command::{MediaKind, Source, Wish};
use strait::core::forward::publication::Publication;
use strait::core::forward::slot::Slot;
use strait::core::forward::steps::{Allowance, Caps, Load, Step};
use strait::core::ids::{
    Mid, ParticipantId, ParticipantKey, PayloadType, PublicationKey, Ssrc, TrackId, TransportKey,
};
use strait::core::input::SrtpProfile;
use strait::core::media::egress::EgressHalf;
use strait::core::media::extensions::{IncomingExtensions, PassedExtensions};
use strait::core::media::ingress::MediaPacket;
use strait::core::media::layers::Layers;
use strait::core::media::srtp::{SrtpReceiver, contexts};
use strait::core::negotiated::{Codec, CodecParams, Extension, ExtensionIds, NegotiatedSection};
use strait::core::rng::Rng;
use strait::wire::dependency_descriptor::{self, Structure};
use strait::wire::rtp::{RTP_HEADER_WRITE_MAX, RtpFields, RtpHeader, write_header};
use strait::wire::rtp_extensions::ExtensionBlock;
use strait::wire::{vp8, vp9};

/// The id of the dependency descriptor, for whoever takes it.
const DESCRIPTOR_ID: u8 = 5;
/// The temporal layers of the pictures of a round.
const TEMPORAL: [u8; 4] = [0, 2, 1, 2];
/// How long a picture is shown.
const PICTURE: Duration = Duration::from_micros(31_250);
const TICKS: u32 = 2812;

/// The structure of a stream with two spatial and two temporal layers, of which the upper spatial one refers to the lower
/// one in key pictures alone; 640×360 and 1280×720. Templates 5 to 7 are of the lower one: a key frame, T0, T1.
const L2T2_KEY: [u8; 32] = [
    0xc5, 0x00, 0x00, 0x80, 0xa3, 0x18, 0x7a, 0xaf, 0x01, 0x00, 0xa0, 0xf0, 0x14, 0xd1, 0x41, 0x34, 0x51,
    0x80, 0x21, 0x90, 0x88, 0x8a, 0x19, 0x40, 0x9f, 0xc0, 0x59, 0xc1, 0x3f, 0xc0, 0xb3, 0xc0,
];
/// The structure of a stream with three temporal layers. Templates: a key frame, T0, T1, T2 behind T0, T2 behind T1.
const L1T3: [u8; 20] = [
    0xc0, 0x00, 0x00, 0x80, 0x02, 0x14, 0xea, 0xa8, 0x60, 0x41, 0x4d, 0x14, 0x10, 0x20, 0x84, 0x27, 0x02,
    0x7f, 0x01, 0x67,
];

/// A packet as a viewer got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    pub marker: bool,
    pub timestamp: u32,
    pub is_padding: bool,
    pub payload: Vec<u8>,
    pub descriptor: Option<Vec<u8>>,
}

/// Somebody who watches: what the server keeps for them, and what they have got, by sequence number.
struct Watching {
    slot: Slot,
    egress: EgressHalf,
    receiver: SrtpReceiver,
    got: BTreeMap<u16, Got>,
    again: BTreeMap<u16, Got>,
}

/// A camera whose stream has layers inside.
pub struct Stream {
    now: Instant,
    publication: Publication,
    codec: CodecParams,
    index: u64,
    picture: u32,
    frame_number: u16,
    /// Of VP9: whether larger pictures refer to smaller ones in key pictures alone, and how many sizes there are.
    pub sizes_stand_alone: bool,
    pub sizes: u8,
    watching: Vec<Watching>,
    /// Packets that are lost on their way to the server, by their number from the beginning on.
    pub lost: BTreeSet<u64>,
    held: Vec<Held>,
}

/// A packet that is lost on its way to the server: what `Stream::deliver` takes.
struct Held {
    index: u64,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
    descriptor: Option<Vec<u8>>,
}

impl Stream {
    /// Viewers take the dependency descriptor or not.
    pub fn new(codec: Codec, viewers: &[bool]) -> Self {
        let now = Instant::now();
        let pt = PayloadType(96);
        let codec = CodecParams { codec, pt, rtx: Some(PayloadType(97)), red: None, nack: true };
        let (key, mid) = (PublicationKey(0), Mid::from("0"));
        let (owner, id, transport) = (ParticipantKey(99), ParticipantId(99), TransportKey(0));
        let mut publication =
            Publication::new(TrackId(1), key, owner, id, transport, mid, Source::Camera, false, Some(codec));
        let mut watching = Vec::new();
        for (number, takes_descriptor) in viewers.iter().enumerate() {
            let section = NegotiatedSection {
                mid,
                kind: MediaKind::Video,
                payload_types: Vec::new(),
                codecs: Vec::new(),
                extensions: ExtensionIds {
                    dependency_descriptor: takes_descriptor.then_some(DESCRIPTOR_ID),
                    ..ExtensionIds::default()
                },
                ingress: None,
                egress: Some((Ssrc(100), Some(Ssrc(101)))),
            };
            let mut slot = Slot::new(now, transport, &section, 0, 0, &mut Rng::new([number as u8; 32]))
                .expect("it receives");
            slot.assign(now, TrackId(1), key, Some(codec));
            slot.announced = true;
            publication.add_viewer(ParticipantKey(number), 0);
            let (keys, profile) = ([number as u8; 60], SrtpProfile::Aes128CmSha1_80);
            let (_, sender) = contexts(profile, &keys, false).expect("keys");
            let (receiver, _) = contexts(profile, &keys, true).expect("keys");
            let egress = EgressHalf::new(now, sender);
            let (got, again) = (BTreeMap::new(), BTreeMap::new());
            watching.push(Watching { slot, egress, receiver, got, again });
        }
        Self {
            now,
            publication,
            codec,
            index: 60_000,
            picture: 0,
            frame_number: 65_500,
            sizes_stand_alone: false,
            sizes: 3,
            watching,
            lost: BTreeSet::new(),
            held: Vec::new(),
        }
    }

    pub fn wants(&mut self, viewer: usize, height: Option<u16>, frame_rate: Option<u16>) {
        let wish = Wish { height, frame_rate, ..Wish::default() };
        self.publication.set_wish(ParticipantKey(viewer), 0, wish, false);
    }

    /// Whether the publisher is to be asked for a key frame.
    pub fn is_asked(&self) -> bool {
        self.publication.wants_keyframes()
    }

    /// What a viewer has got, and what they get now when they ask again for each packet of it.
    pub fn got(&self, viewer: usize) -> (&BTreeMap<u16, Got>, &BTreeMap<u16, Got>) {
        (&self.watching[viewer].got, &self.watching[viewer].again)
    }

    /// The camera shows one more picture.
    pub fn show(&mut self, is_key: bool) {
        let temporal = if is_key { 0 } else { TEMPORAL[self.picture as usize % TEMPORAL.len()] };
        match self.codec.codec {
            Codec::Vp8 => self.show_vp8(is_key, temporal),
            Codec::Vp9 { .. } => self.show_vp9(is_key, temporal),
            _ => self.show_av1(is_key, temporal),
        }
        self.picture += 1;
        self.now += PICTURE;
    }

    /// Two packets a picture. Only the first round behind a key frame has frames that refer to the base layer alone.
    fn show_vp8(&mut self, is_key: bool, temporal: u8) {
        let id = (0x7ff0 + self.picture as u16) & 0x7fff;
        let [high, low] = (id | 0x8000).to_be_bytes();
        let tl0 = (250 + self.picture / 4) as u8;
        let refers_to_base = self.picture % 8 == 1 || self.picture % 8 == 2;
        let layer = temporal << 6 | u8::from(refers_to_base && temporal > 0) << 5;
        for part in 0..2 {
            let first = if part == 0 { 0x90 } else { 0x80 };
            let payload = vec![first, 0xe0, high, low, tl0, layer, u8::from(!is_key), part];
            self.send(part == 1, payload, None);
        }
    }

    /// Three spatial layers of two packets each, in flexible mode.
    fn show_vp9(&mut self, is_key: bool, temporal: u8) {
        let [high, low] = (((0x7ff0 + self.picture as u16) & 0x7fff) | 0x8000).to_be_bytes();
        for spatial in 0..self.sizes {
            for part in 0..2 {
                let mut first = 0x80 | 0x20 | 0x10 | if part == 0 { 0x08 } else { 0x04 };
                first |= if is_key { 0 } else { 0x40 };
                let stands_alone = self.sizes_stand_alone && !is_key;
                first |= u8::from(stands_alone || spatial == 2);
                let has_structure = is_key && spatial == 0 && part == 0;
                first |= u8::from(has_structure) << 1;
                let up = u8::from(temporal == 0) << 4;
                let mut payload = vec![
                    first,
                    high,
                    low,
                    temporal << 5 | up | spatial << 1 | u8::from(spatial > 0 && !stands_alone),
                ];
                if !is_key {
                    payload.push([4_u8, 2, 1][usize::from(temporal)] << 1);
                }
                if has_structure {
                    payload.push(2 << 5 | 0x10);
                    for (width, height) in [(320_u16, 180_u16), (640, 360), (1280, 720)] {
                        payload.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
                    }
                }
                payload.extend([if is_key { 0x82 } else { 0x86 }, spatial, part]);
                payload.extend(vec![7; 40 * (1 + usize::from(spatial))]);
                self.send(spatial + 1 == self.sizes && part == 1, payload, None);
            }
        }
    }

    /// Of AV1, two spatial and two temporal layers, one packet a frame.
    fn show_av1(&mut self, is_key: bool, temporal: u8) {
        let temporal = u8::from(temporal > 0 && self.picture % 2 == 1);
        for spatial in 0..2 {
            let template = 5 + 3 * spatial + if is_key { 0 } else { 1 + temporal };
            let mut descriptor =
                if is_key && spatial == 0 { L2T2_KEY.to_vec() } else { vec![0xc0 | template, 0, 0] };
            dependency_descriptor::patch_frame_number(&mut descriptor, self.frame_number);
            self.frame_number = self.frame_number.wrapping_add(1);
            let head = if is_key && spatial == 0 { 0x18 } else { 0x10 };
            self.send(spatial == 1, vec![head, 0x0a, spatial, temporal], Some(descriptor));
        }
    }

    /// The camera shows one more picture of AV1 with three temporal layers.
    pub fn show_temporal_av1(&mut self, is_key: bool) {
        let place = self.picture as usize % TEMPORAL.len();
        let template = if is_key { 0 } else { [1, 3, 2, 4][place] };
        let mut descriptor = if is_key { L1T3.to_vec() } else { vec![0xc0 | template, 0, 0] };
        // The last one of a round refers to the picture before, and its chain to the one that began the round.
        dependency_descriptor::patch_frame_number(&mut descriptor, self.frame_number);
        self.frame_number = self.frame_number.wrapping_add(1);
        let head = if is_key { 0x18 } else { 0x10 };
        self.send(true, vec![head, 0x0a, 0, TEMPORAL[place]], Some(descriptor));
        self.picture += 1;
        self.now += PICTURE;
    }

    fn send(&mut self, marker: bool, payload: Vec<u8>, descriptor: Option<Vec<u8>>) {
        let index = self.index;
        self.index += 1;
        let timestamp = 4_294_960_000_u32.wrapping_add(self.picture * TICKS);
        if self.lost.contains(&(index - 60_000)) {
            self.held.push(Held { index, timestamp, marker, payload, descriptor });
            return;
        }
        self.deliver(index, timestamp, marker, &payload, descriptor.as_deref(), false);
    }

    /// What was lost comes after all.
    pub fn repair(&mut self) {
        for Held { index, timestamp, marker, payload, descriptor } in std::mem::take(&mut self.held) {
            self.deliver(index, timestamp, marker, &payload, descriptor.as_deref(), true);
        }
    }

    fn deliver(
        &mut self,
        index: u64,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
        descriptor: Option<&[u8]>,
        recovered: bool,
    ) {
        let packet = MediaPacket {
            ssrc: Ssrc(1),
            publication: PublicationKey(0),
            rank: 0,
            index,
            timestamp,
            marker,
            codec: self.codec,
            redundant: false,
            recovered,
            extensions: descriptor.map_or_else(PassedExtensions::default, passed),
            payload,
        };
        self.publication.arrive(self.now, &packet);
        self.forward();
    }

    /// What a room does when a batch has been read, and what a client does that asks for everything again.
    fn forward(&mut self) {
        while let Some(number) = self.publication.begin_pass() {
            let encoding = self.publication.encoding(number).expect("it is forwarded");
            let stretch = encoding.stretch();
            let (mut turns, mut wants_keyframe) = (0, false);
            for run in encoding.turns() {
                turns += 1;
                let Watching { slot, egress, receiver, got, again } = &mut self.watching[run.participant.0];
                slot.want_layers(run.layers);
                for waiting in &encoding.waiting()[run.packets] {
                    let packet = encoding.packet(waiting.index).expect("it has just come");
                    let scalability = encoding.scalability();
                    let outgoing = slot.prepare(self.now, stretch, None, packet, self.codec, scalability);
                    let Some(outgoing) = outgoing else { continue };
                    let mut buffer = [0; 1500];
                    let length = slot.write(&outgoing, egress, &mut buffer).expect("it fits");
                    let (sequence, packet) = open(receiver, &mut buffer[..length], 0);
                    assert_eq!(got.insert(sequence, packet), None, "nothing is sent twice");
                    let (origin, index) = slot.origin(sequence).expect("it has just been sent");
                    let packet = encoding.packet(index).expect("it has just come");
                    let length = slot.write_retransmission(origin, packet, self.codec, egress, &mut buffer);
                    let length = length.expect("it fits");
                    let (original, packet) = open(receiver, &mut buffer[..length], 2);
                    again.insert(original, packet);
                }
                wants_keyframe |= slot.wants_keyframe(stretch, false);
            }
            self.publication.end_turns(turns);
            if wants_keyframe {
                self.publication.want_keyframe(number);
            }
        }
    }
}

/// A descriptor as the extensions of a packet.
fn passed(descriptor: &[u8]) -> PassedExtensions {
    let mut block = ExtensionBlock::new();
    block.push(DESCRIPTOR_ID, descriptor);
    let fields =
        RtpFields { marker: false, payload_type: 96, sequence: 0, timestamp: 0, ssrc: 1, has_padding: false };
    let mut bytes = [0; RTP_HEADER_WRITE_MAX];
    let length = write_header(&mut bytes, &fields, &block).expect("it fits");
    let bytes = &bytes[..length];
    let header = RtpHeader::parse(bytes).expect("a header");
    let meaning = |id| (id == DESCRIPTOR_ID).then_some(Extension::DependencyDescriptor);
    IncomingExtensions::read(&header, bytes, meaning).passed
}

/// Opens a packet, with `before` bytes in front of the payload. Returns its sequence number: the one in front of the payload,
/// if there is one.
fn open(receiver: &mut SrtpReceiver, bytes: &mut [u8], before: usize) -> (u16, Got) {
    let header = RtpHeader::parse(bytes).expect("RTP");
    let opened = receiver.open_rtp(bytes, header.header_len, header.sequence, header.ssrc).expect("it opens");
    let packet = &bytes[..opened.len];
    let (original, rest) = packet[header.header_len..].split_at(before);
    let padding = if header.has_padding { usize::from(*rest.last().expect("its length")) } else { 0 };
    let payload = rest[..rest.len() - padding].to_vec();
    let got = Got {
        marker: header.marker,
        timestamp: header.timestamp,
        is_padding: payload.is_empty(),
        payload,
        descriptor: header.extension(packet, DESCRIPTOR_ID).map(<[u8]>::to_vec),
    };
    (original.try_into().map_or(header.sequence, u16::from_be_bytes), got)
}

/// Complains of a number that is missing in between.
fn numbers(got: &BTreeMap<u16, Got>) -> Option<String> {
    let numbers: Vec<u16> = got.keys().copied().collect();
    let gap = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1)?;
    Some(format!("nothing between {} and {}", gap[0], gap[1]))
}

/// Complains if something that is sent again is not what it was.
fn repeats((got, again): (&BTreeMap<u16, Got>, &BTreeMap<u16, Got>)) -> Option<String> {
    (got != again).then(|| "what is sent again is not what it was".to_owned())
}

/// Complains unless each picture has one end, behind everything else of it.
fn ends(got: &BTreeMap<u16, Got>) -> Option<String> {
    let packets: Vec<&Got> = got.values().filter(|packet| !packet.is_padding).collect();
    let wrong = packets.windows(2).find(|pair| pair[0].marker != (pair[0].timestamp != pair[1].timestamp));
    wrong.map(|pair| format!("a picture ends in the wrong place: {pair:?}"))
}

/// Complains of a frame that was forwarded without one that it refers to.
fn references(got: &BTreeMap<u16, Got>, structure: &Structure) -> Option<String> {
    let mut known = BTreeSet::new();
    for packet in got.values().filter(|packet| !packet.is_padding) {
        let descriptor = packet.descriptor.as_ref()?;
        let number = dependency_descriptor::parse(descriptor).expect("a descriptor").frame_number;
        let frame = dependency_descriptor::describe(descriptor, structure).expect("a frame");
        for diff in frame.references.as_slice() {
            let to = number.wrapping_sub(*diff);
            if !known.contains(&to) {
                return Some(format!("frame {number} refers to {to}, which was not forwarded"));
            }
        }
        known.insert(number);
    }
    None
}

/// Somebody needs seven pictures a second of VP8; packets get lost before the server and come late.
pub fn vp8_at_seven_pictures_a_second() -> Option<String> {
    let mut stream = Stream::new(Codec::Vp8, &[false, false]);
    stream.wants(1, None, Some(7));
    // Two packets a picture: 200 and 201 are picture 100, of the base layer; 203 is of the highest one.
    stream.lost = [201, 203].into();
    for picture in 0..128 {
        stream.show(picture == 0);
        if picture == 110 {
            let highest = stream.got(1).0.keys().next_back().copied();
            let missing =
                stream.got(1).0.len() + 2 != usize::from(highest? - *stream.got(1).0.keys().next()? + 1);
            if missing {
                return Some("what is lost on the way here is not missing behind it".to_owned());
            }
            stream.repair();
        }
    }
    let (got, _) = stream.got(1);
    let complaint = numbers(got).or_else(|| ends(got)).or_else(|| repeats(stream.got(1)));
    if complaint.is_some() {
        return complaint;
    }
    let padding = got.values().filter(|packet| packet.is_padding).count();
    let media: Vec<_> = got.values().filter(|packet| !packet.is_padding).collect();
    let read = |packet: &Got| vp8::parse(&packet.payload).expect("a descriptor");
    let ids: Vec<u16> =
        media.iter().map(|packet| read(packet).counters.picture_id.expect("an id").value).collect();
    if let Some(pair) = ids.windows(2).find(|pair| (pair[1].wrapping_sub(pair[0]) & 0x7fff) > 1) {
        return Some(format!("picture {} is followed by {}", pair[0], pair[1]));
    }
    let tl0: Vec<u8> = media.iter().filter_map(|packet| read(packet).counters.tl0_picture_index).collect();
    if tl0.windows(2).any(|pair| pair[1].wrapping_sub(pair[0]) > 1) {
        return Some("a base layer's picture is missing".to_owned());
    }
    // A second passes until it is known how often pictures come. After that every fourth is left.
    let late = &media[media.len() - 40..];
    let is_base = late.iter().all(|packet| read(packet).temporal_id == Some(0));
    let all = stream.got(0).0.len();
    let is_right = is_base && padding == 1 && all == 256 && (100..150).contains(&got.len());
    (!is_right).then(|| format!("{padding} padding, {} of {all} packets", got.len()))
}

/// Three people watch VP9 with three spatial layers in three sizes, and the one who has the smallest enlarges it.
pub fn vp9_in_three_sizes() -> Option<String> {
    let mut stream = Stream::new(Codec::Vp9 { profile: 0 }, &[false, false, false]);
    for (viewer, height) in [180, 360, 720].into_iter().enumerate() {
        stream.wants(viewer, Some(height), None);
    }
    for picture in 0..80 {
        stream.show(picture == 0);
    }
    if stream.is_asked() {
        return Some("a key frame is asked for, although nobody needs one".to_owned());
    }
    stream.wants(0, Some(720), None);
    (0..4).for_each(|_| stream.show(false));
    if !stream.is_asked() {
        return Some("no key frame is asked for, with which the larger picture could begin".to_owned());
    }
    stream.show(true);
    (0..11).for_each(|_| stream.show(false));
    let sizes = |viewer: usize, last: usize| {
        let packets = stream.got(viewer).0.values();
        let read = |packet: &Got| vp9::parse(&packet.payload).expect("a descriptor").spatial_id;
        packets.rev().take(last).filter_map(read).max()
    };
    let largest = [sizes(0, 12 * 6), sizes(1, 12 * 4), sizes(2, 12 * 6)];
    if largest != [Some(2), Some(1), Some(2)] {
        return Some(format!("largest layers: {largest:?}"));
    }
    for viewer in 0..3 {
        let (got, _) = stream.got(viewer);
        let complaint = numbers(got).or_else(|| ends(got)).or_else(|| repeats(stream.got(viewer)));
        if complaint.is_some() {
            return complaint;
        }
        // Pictures refer to each other by the distance of their ids.
        let mut steps = BTreeSet::new();
        let ids: Vec<(u16, u32)> = got
            .values()
            .map(|packet| {
                let read = vp9::parse(&packet.payload).expect("a descriptor");
                (read.counters.picture_id.expect("an id").value, packet.timestamp)
            })
            .collect();
        for pair in ids.windows(2) {
            let pictures = pair[1].1.wrapping_sub(pair[0].1) / TICKS;
            steps.insert((pair[1].0.wrapping_sub(pair[0].0) & 0x7fff) as i64 - i64::from(pictures));
        }
        if steps != [0].into() {
            return Some(format!("picture ids do not go with the pictures: {steps:?}"));
        }
    }
    None
}

/// Three people watch VP9 of which larger pictures refer to smaller ones in key pictures alone, in three sizes; then one of them
/// makes the largest small, and the largest does not come any more.
pub fn vp9_in_sizes_that_stand_alone() -> Option<String> {
    let mut stream = Stream::new(Codec::Vp9 { profile: 0 }, &[false, false, false]);
    stream.sizes_stand_alone = true;
    for (viewer, height) in [Some(180), Some(360), None].into_iter().enumerate() {
        stream.wants(viewer, height, None);
    }
    for picture in 0..60 {
        stream.show(picture == 0);
    }
    // Whoever gets the largest does not see at once that it is gone.
    stream.lost = (0..60).map(|packet| 60 * 6 + packet).filter(|packet| packet % 18 == 4).collect();
    (0..10).for_each(|_| stream.show(false));
    let sizes = |stream: &Stream, viewer: usize| {
        let read = |packet: &Got| vp9::parse(&packet.payload).expect("a descriptor").spatial_id;
        stream.got(viewer).0.values().rev().take(6).filter_map(read).collect::<BTreeSet<u8>>()
    };
    let each = [0, 1, 2].map(|viewer| sizes(&stream, viewer));
    if each != [[0].into(), [1].into(), [2].into()] {
        return Some(format!("sizes that each gets: {each:?}"));
    }
    if stream.is_asked() {
        return Some("a key frame is asked for, although nobody needs one".to_owned());
    }
    for viewer in 0..2 {
        let complaint = ends(stream.got(viewer).0).or_else(|| repeats(stream.got(viewer)));
        if complaint.is_some() {
            return complaint;
        }
    }

    stream.wants(2, Some(180), None);
    (0..4).for_each(|_| stream.show(false));
    if sizes(&stream, 2) != [2].into() || !stream.is_asked() {
        return Some("smaller pictures begin with one that can be decoded".to_owned());
    }
    stream.show(true);
    (0..6).for_each(|_| stream.show(false));
    if sizes(&stream, 2) != [0].into() {
        return Some(format!("sizes behind the key frame: {:?}", sizes(&stream, 2)));
    }

    stream.wants(2, None, None);
    stream.show(true);
    (0..6).for_each(|_| stream.show(false));
    stream.sizes = 2;
    (0..3).for_each(|_| stream.show(false));
    let is_asked_early = stream.is_asked();
    (0..6).for_each(|_| stream.show(false));
    if is_asked_early || !stream.is_asked() {
        return Some(
            "the largest size does not come any more, and the next one begins with a key frame".to_owned(),
        );
    }
    stream.show(true);
    (0..6).for_each(|_| stream.show(false));
    let now = sizes(&stream, 2);
    (now != [1].into()).then(|| format!("sizes after the largest has gone: {now:?}"))
}

/// Somebody's line gets narrower and wider again, in all the steps that there are. Returns a complaint.
pub fn vp9_step_by_step() -> Option<String> {
    let mut stream = Stream::new(Codec::Vp9 { profile: 0 }, &[false]);
    for picture in 0..72 {
        stream.show(picture == 0);
    }
    let steps = stream.publication.steps(stream.now, Wish::default(), Layers::ALL, Load::default());
    let of = |step: &Step| (step.layers.spatial, step.layers.temporal);
    let told: Vec<_> = steps.iter().map(of).collect();
    if told.first() != Some(&(0, 0)) || told.last() != Some(&(2, 2)) || told.len() < 6 {
        return Some(format!("steps: {steps:?}"));
    }
    let cheaper =
        steps.windows(2).find(|pair| pair[0].cost >= pair[1].cost || pair[0].value >= pair[1].value);
    if cheaper.is_some() {
        return Some(format!("a step costs no more, or is worth no more: {steps:?}"));
    }
    let (key, slot) = (ParticipantKey(0), 0);
    let down = (0..steps.len()).rev();
    for given in down.chain(1..steps.len()) {
        let allowance = Allowance::Only(Caps::of(&steps[..=given]));
        stream.publication.set_allowance(key, slot, allowance, allowance);
        // Larger pictures begin with a key frame.
        for _ in 0..4 {
            let is_key = stream.is_asked();
            stream.show(is_key);
        }
        let before = stream.got(0).0.keys().next_back().copied()?;
        (0..16).for_each(|_| stream.show(false));
        let (got, _) = stream.got(0);
        let read = |packet: &Got| vp9::parse(&packet.payload).expect("a descriptor");
        let since = || got.range(before.wrapping_add(1)..).map(|(_, packet)| read(packet));
        let spatial = since().filter_map(|packet| packet.spatial_id).max()?;
        let temporal = since().filter_map(|packet| packet.temporal_id).max()?;
        if (spatial, temporal) != told[given] {
            return Some(format!("{spatial} {temporal} instead of {:?}", told[given]));
        }
    }
    let (got, _) = stream.got(0);
    numbers(got).or_else(|| ends(got)).or_else(|| repeats(stream.got(0)))
}

/// Somebody watches AV1 in the small one of two sizes, somebody in both, and somebody whose browser cannot tell them apart.
pub fn av1_in_two_sizes() -> Option<String> {
    let mut stream = Stream::new(Codec::Av1 { profile: 0 }, &[true, true, false]);
    stream.wants(0, Some(360), Some(15));
    for picture in 0..64 {
        stream.show(picture == 0);
    }
    stream.show(true);
    (0..15).for_each(|_| stream.show(false));
    let structure = dependency_descriptor::structure(&L2T2_KEY).expect("whole").expect("attached");
    for viewer in 0..3 {
        let (got, _) = stream.got(viewer);
        let complaint = numbers(got)
            .or_else(|| ends(got))
            .or_else(|| repeats(stream.got(viewer)))
            .or_else(|| references(got, &structure));
        if let Some(complaint) = complaint {
            return Some(format!("viewer {viewer}: {complaint}"));
        }
    }
    let of = |viewer: usize| stream.got(viewer).0.values().rev().take(8).cloned().collect::<Vec<Got>>();
    let (small, large, blind) = (of(0), of(1), of(2));
    let is_small = |packet: &Got| packet.payload[2] == 0;
    if !small.iter().all(|packet| is_small(packet) && packet.payload[3] == 0) || !blind.iter().all(is_small) {
        return Some("a larger layer goes to who cannot use it".to_owned());
    }
    // In this mode larger pictures refer to smaller ones in key frames alone.
    if large.iter().any(is_small) || blind.iter().any(|packet| packet.descriptor.is_some()) {
        return Some("a layer or a descriptor is not where it belongs".to_owned());
    }
    let active = |packet: &Got| {
        let descriptor = packet.descriptor.as_ref().expect("it has one");
        dependency_descriptor::describe(descriptor, &structure).expect("a frame").active
    };
    let masks: BTreeSet<_> = small.iter().map(active).collect();
    let all: BTreeSet<_> = large.iter().map(active).collect();
    ((masks, all) != ([Some(0b0001)].into(), [Some(0b1100)].into())).then(|| "the mask is wrong".to_owned())
}

/// Somebody goes down to the base layer of AV1 and up again, at each picture of a round.
pub fn av1_down_and_up() -> Option<String> {
    let structure = dependency_descriptor::structure(&L1T3).expect("whole").expect("attached");
    for up in 0..8 {
        let mut stream = Stream::new(Codec::Av1 { profile: 0 }, &[true]);
        stream.wants(0, None, Some(7));
        for picture in 0..64 + up {
            stream.show_temporal_av1(picture == 0);
        }
        let before = stream.got(0).0.len();
        stream.wants(0, None, None);
        for _ in 0..16 {
            stream.show_temporal_av1(false);
        }
        let (got, _) = stream.got(0);
        let complaint =
            numbers(got).or_else(|| repeats(stream.got(0))).or_else(|| references(got, &structure));
        if complaint.is_some() {
            return complaint;
        }
        if before > 50 || got.len() < before + 12 {
            return Some(format!("{before} and {} pictures", got.len() - before));
        }
    }
    None
}

//! What reads bytes that anybody can send: openings of TCP connections, framing, STUN, RTP and payload descriptors.

use str0m::rtp::RedDecoder;
use strait::core::forward::descriptor::{Descriptor, FrameCounters, describe};
use strait::core::media::extensions::{
    DescriptorChange, IncomingExtensions, KeptExtensions, PassedExtensions,
};
use strait::core::negotiated::{Codec, Extension, ExtensionIds, H264Profile};
use strait::trace::words;
use strait::wire::classify::{DatagramKind, classify};
use strait::wire::picture_id::PictureId;
use strait::wire::rtp::{RTP_HEADER_WRITE_MAX, RtpFields, RtpHeader, write_header};
use strait::wire::rtp_extensions::ExtensionBlock;
use strait::wire::sniff::{Opening, SNIFF_LEN, sniff};
use strait::wire::stun_check::{self, Credentials};
use strait::wire::stun_refusal::is_signed;
use strait::wire::tcp_frame::{self, Frame};
use strait::wire::turn_frame::{self, TurnFrame};
use strait::wire::{dependency_descriptor, red, stun, vp9};

/// `tcp_stream`: what was decided of a prefix stays decided; frames lie one behind the other and are the same however
/// the stream was cut.
pub fn tcp_stream(data: &[u8]) {
    let mut decided = Opening::Undecided;
    for length in 0..=data.len().min(2 * SNIFF_LEN) {
        let opening = sniff(&data[..length]);
        assert!(length < SNIFF_LEN || opening != Opening::Undecided);
        assert!(decided == Opening::Undecided || opening == decided, "{decided:?} became {opening:?}");
        decided = opening;
    }
    datagram_frames(data);
    turn_frames(data);
}

fn datagram_frames(data: &[u8]) {
    let mut rest = data;
    let mut written = Vec::new();
    while let Frame::Complete { datagram, consumed } = tcp_frame::next(rest) {
        for cut in cuts(consumed) {
            assert_eq!(tcp_frame::next(&rest[..cut]), Frame::Incomplete);
        }
        written.extend(tcp_frame::header(datagram.len()).expect("it came with one"));
        written.extend(datagram);
        rest = &rest[consumed..];
    }
    assert_eq!([written.as_slice(), rest].concat(), data);
}

fn turn_frames(data: &[u8]) {
    let mut rest = data;
    loop {
        match turn_frame::next(rest) {
            TurnFrame::Complete { length, consumed } => {
                assert!(length >= turn_frame::CHANNEL_HEADER_LEN && consumed <= rest.len());
                assert_eq!(length + turn_frame::padding(length).len(), consumed);
                for cut in cuts(consumed) {
                    let TurnFrame::Incomplete(wanted) = turn_frame::next(&rest[..cut]) else {
                        panic!("a message is whole although {cut} of {consumed} bytes are there");
                    };
                    assert!(cut < wanted && wanted <= consumed);
                }
                rest = &rest[consumed..];
            }
            TurnFrame::Incomplete(wanted) => {
                assert!(wanted > rest.len());
                break;
            }
            TurnFrame::Malformed => break,
        }
    }
}

/// Some lengths shorter than this one.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    [0, 1, 2, 3, 4, 7, 19, 20, length / 2, length.saturating_sub(1)]
        .into_iter()
        .filter(move |cut| *cut < length)
}

/// `stun`: kinds of datagrams; what a STUN message says of itself; a check that we write is one.
pub fn stun(data: &[u8]) {
    let kind = classify(data);
    for length in [data.len(), data.len() / 2, 48.min(data.len())] {
        assert!(!words::datagram(&data[..length], data.len()).is_empty());
    }
    assert!(!is_signed(data, "a password that nobody knows"));
    if let Some(message) = stun::peek(data) {
        assert!(data.len() >= 20 && data.len().is_multiple_of(4) && message.method <= 0xfff);
        assert!(kind == DatagramKind::Stun || data[0] > 3);
        if let Some(ufrag) = message.local_ufrag() {
            let username = message.username.expect("a ufrag is of a user name");
            assert!(username.starts_with(ufrag) && username[ufrag.len()] == b':' && !ufrag.contains(&b':'));
        }
        assert_eq!(stun_check::grants(data, message.transaction), message.is_binding_success());
        assert!(!(message.is_binding_success() && message.is_binding_request()));
    }
    let Some((transaction, text)) = data.split_first_chunk::<12>() else { return };
    let username = String::from_utf8_lossy(&text[..text.len().min(300)]).into_owned();
    let credentials = Credentials { username, password: "password".into(), tie_breaker: 1 };
    let mut check = Vec::new();
    stun_check::write_check(&mut check, *transaction, &credentials);
    assert_eq!(classify(&check), DatagramKind::Stun);
    let peek = stun::peek(&check).expect("we write what we can read");
    assert!(peek.is_binding_request() && peek.use_candidate && peek.has_integrity);
    assert_eq!((peek.username, peek.transaction), (Some(credentials.username.as_bytes()), *transaction));
}

/// `rtp`: a header written again says the same; counters written over a payload's are read back, and nothing else has
/// changed; written twice they change nothing more.
pub fn rtp(data: &[u8]) {
    let Ok(header) = RtpHeader::parse(data) else {
        describe_payload(data, &PassedExtensions::default());
        return;
    };
    assert!(header.header_len <= data.len());
    let block = collect(&header, data);
    if let Some(block) = &block {
        write_again(&header, data, block);
    }
    let passed = IncomingExtensions::read(&header, data, meaning(0)).passed;
    pass_on(&passed);
    if let Ok(payload) = header.payload(data) {
        assert_eq!(&data[header.header_len..header.header_len + payload.len()], payload);
        describe_payload(payload, &passed);
    }
}

/// The header's extensions, if a block holds them all.
fn collect(header: &RtpHeader, packet: &[u8]) -> Option<ExtensionBlock> {
    let mut block = ExtensionBlock::new();
    for (id, data) in header.extensions(packet) {
        assert!(header.extension(packet, id).is_some());
        if !block.push(id, data) {
            return None;
        }
    }
    Some(block)
}

fn write_again(header: &RtpHeader, packet: &[u8], block: &ExtensionBlock) {
    let RtpHeader { marker, payload_type, sequence, timestamp, ssrc, has_padding, .. } = *header;
    let fields = RtpFields { marker, payload_type, sequence, timestamp, ssrc, has_padding };
    let mut out = [0xaa; RTP_HEADER_WRITE_MAX];
    let length = write_header(&mut out, &fields, block).expect("it fits");
    assert_eq!(length, 12 + block.encoded_len());
    let again = RtpHeader::parse(&out[..length]).expect("we write what we can read");
    assert_eq!((again.marker, again.payload_type, again.sequence), (marker, payload_type, sequence));
    assert_eq!((again.timestamp, again.ssrc, again.has_padding), (timestamp, ssrc, has_padding));
    assert_eq!(again.header_len, length);
    let extensions: Vec<_> = header.extensions(packet).collect();
    assert_eq!(again.extensions(&out).collect::<Vec<_>>(), extensions);
    let block = collect(&again, &out).expect("it fitted before");
    let mut twice = [0x55; RTP_HEADER_WRITE_MAX];
    assert_eq!(write_header(&mut twice, &fields, &block), Some(length));
    assert_eq!(twice[..length], out[..length]);
    assert_eq!(write_header(&mut out[..length - 1], &fields, &block), None, "there is no room");
}

/// What passes through.
const PASSED: [Extension; 6] = [
    Extension::AudioLevel,
    Extension::VideoOrientation,
    Extension::PlayoutDelay,
    Extension::ContentType,
    Extension::ColorSpace,
    Extension::DependencyDescriptor,
];

/// What somebody has negotiated: ids from `base + 1` on.
fn ids(base: u8) -> ExtensionIds {
    let mut ids = ExtensionIds::default();
    for (extension, id) in PASSED.into_iter().zip(base + 1..) {
        *ids.of_mut(extension) = Some(id);
    }
    ids
}

/// The same, the other way round.
fn meaning(base: u8) -> impl Fn(u8) -> Option<Extension> {
    move |id| PASSED.get(usize::from(id.checked_sub(base + 1)?)).copied()
}

/// Extensions get other ids on the way, and stay what they were.
fn pass_on(passed: &PassedExtensions) {
    let mut block = ExtensionBlock::new();
    KeptExtensions(passed.as_bytes()).write(
        &ids(8),
        DescriptorChange { frame_number: Some(0x1234), active: None },
        &mut block,
    );
    let mut out = [0; RTP_HEADER_WRITE_MAX];
    let fields =
        RtpFields { marker: false, payload_type: 96, sequence: 1, timestamp: 2, ssrc: 3, has_padding: false };
    let length = write_header(&mut out, &fields, &block).expect("it fits");
    let header = RtpHeader::parse(&out[..length]).expect("we write what we can read");
    let there = IncomingExtensions::read(&header, &out, meaning(8)).passed;
    let mut wanted = passed.as_bytes().to_vec();
    // Each stands there as a number, a length and its bytes.
    let mut at = 0;
    while at < wanted.len() {
        let (which, end) = (wanted[at], at + 2 + usize::from(wanted[at + 1]));
        if which == 5 {
            dependency_descriptor::patch_frame_number(&mut wanted[at + 2..end], 0x1234);
        }
        at = end;
    }
    assert_eq!(there.as_bytes(), wanted);
}

fn describe_payload(payload: &[u8], passed: &PassedExtensions) {
    let codecs = [
        Codec::Opus,
        Codec::Vp8,
        Codec::Vp9 { profile: 0 },
        Codec::H264 { profile: H264Profile::ConstrainedBaseline, packetization_mode: 1 },
        Codec::Av1 { profile: 0 },
    ];
    for codec in codecs {
        let described = describe(codec, payload, passed);
        let mut copy = payload.to_vec();
        described.descriptor.patch(&mut copy, described.counters);
        assert_eq!(copy, payload, "its own counters change nothing");
        let others =
            FrameCounters { picture_id: Some(0x7abc), tl0_picture_index: Some(0xde), frame_number: None };
        described.descriptor.patch(&mut copy, others);
        let patched = copy.clone();
        described.descriptor.patch(&mut copy, others);
        assert_eq!(copy, patched, "written twice is written once");
        let again = describe(codec, &copy, passed);
        assert_eq!(again.starts_keyframe, described.starts_keyframe);
        let picture_id = match described.descriptor {
            Descriptor::Plain => None,
            Descriptor::Vp8(vp8) => vp8.counters.picture_id,
            Descriptor::Vp9(vp9) => vp9.counters.picture_id,
        };
        let mask = picture_id.map_or(0x7fff, PictureId::mask);
        assert_eq!(again.counters.picture_id, described.counters.picture_id.map(|_| 0x7abc & mask));
        assert_eq!(again.counters.tl0_picture_index, described.counters.tl0_picture_index.map(|_| 0xde));
        let behind = match described.descriptor {
            Descriptor::Plain => 0,
            Descriptor::Vp8(vp8) => vp8.descriptor_len,
            Descriptor::Vp9(vp9) => vp9.descriptor_len,
        };
        assert!(behind < payload.len() || behind == 0);
        assert_eq!(copy[behind..], payload[behind..]);
    }
    if let Ok(vp9) = vp9::parse(payload)
        && let Some((_, count)) = vp9.resolutions(payload)
    {
        assert!((1..=vp9::SPATIAL_LAYERS_MAX).contains(&count) && vp9.descriptor_len > 4 * count);
    }
}

/// `red`: what was read of redundant audio and is written again is the same bytes, and somebody else reads the same.
pub fn red(data: &[u8]) {
    let others = RedDecoder::decode(data).ok();
    let Ok(redundant) = red::parse(data) else {
        assert!(others.is_none(), "somebody else reads what we cannot");
        return;
    };
    let copies: Vec<red::Block<'_>> = redundant.copies().collect();
    let mut again = vec![0; red::front_length(&copies)];
    red::write_front(&mut again, redundant.payload_type, &copies).expect("what was read can be written");
    again.extend_from_slice(redundant.primary);
    assert_eq!(again, data);
    let Some(others) = others else {
        assert!(copies.len() > 32, "somebody else reads no more copies than that");
        return;
    };
    let (primary, earlier) = others.split_last().expect("the packet's own data");
    assert_eq!((primary.pt, primary.payload), (redundant.payload_type, redundant.primary));
    assert_eq!(earlier.len(), copies.len());
    for (theirs, ours) in earlier.iter().zip(&copies) {
        assert_eq!((theirs.pt, theirs.payload), (ours.payload_type, ours.payload));
        assert_eq!(theirs.timestamp_offset, u32::from(ours.offset));
    }
}

/// `dependency_descriptor`: by the first byte's length a descriptor that may bring a structure, and one behind it. What is
/// read stays within the format's bounds; a mask that is written is read back, and all else says what it said before.
pub fn dependency_descriptor(data: &[u8]) {
    let Some((length, rest)) = data.split_first() else { return };
    let (first, second) = rest.split_at(usize::from(*length).min(rest.len()));
    let Ok(Some(structure)) = dependency_descriptor::structure(first) else { return };
    assert!((1..=dependency_descriptor::TEMPLATES_MAX).contains(&structure.templates.len()));
    assert!((1..=dependency_descriptor::DECODE_TARGETS_MAX).contains(&structure.decode_targets.len()));
    let targets = structure.decode_targets.len() as u32;
    for target in 0..targets as u8 {
        let within = structure.within(target);
        assert!(within >> target & 1 == 1 && within >> (targets - 1) <= 1);
    }
    for bytes in [first, second] {
        let Ok(frame) = dependency_descriptor::describe(bytes, &structure) else { continue };
        assert!(
            structure
                .templates
                .iter()
                .any(|one| (one.spatial, one.temporal) == (frame.spatial, frame.temporal))
        );
        assert!(frame.references.as_slice().iter().all(|diff| (1..=4096).contains(diff)));
        let mask = u32::from(*length) & u32::MAX >> (32 - targets);
        let mut out = vec![0xaa; bytes.len() + 6];
        let length = dependency_descriptor::write_active(bytes, frame.active_place, mask, &mut out);
        let out = &out[..length.expect("a mask has 4 bytes at most, and there are 5 flags")];
        let again = dependency_descriptor::describe(out, &structure).expect("we write what we can read");
        assert_eq!(again, dependency_descriptor::FrameDependencies { active: Some(mask), ..frame });
        assert_eq!(dependency_descriptor::structure(out), dependency_descriptor::structure(bytes));
        let mut twice = vec![0x55; out.len() + 1];
        let length = dependency_descriptor::write_active(out, again.active_place, mask, &mut twice);
        assert_eq!(
            length.map(|length| twice[..length].to_vec()),
            Some(out.to_vec()),
            "written twice is written once"
        );
    }
}

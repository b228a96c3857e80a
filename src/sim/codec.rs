//! Payloads in a world: they have the headers of real codecs and a [`Stamp`], which tells a receiver exactly which
//! packet of which stream it has, and its counters before they were rewritten.

use super::layering::Place;
use crate::core::command::MediaKind;
use crate::wire::{vp8, vp9};

/// A codec, without parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CodecName {
    /// Opus (RFC 7587).
    Opus,
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// H.264 (RFC 6184).
    H264,
    /// AV1 RTP payload format.
    Av1,
}

/// All codecs for video.
pub const VIDEO_CODECS: [CodecName; 4] = [CodecName::Vp8, CodecName::Vp9, CodecName::H264, CodecName::Av1];

const ALL: [CodecName; 5] =
    [CodecName::Opus, CodecName::Vp8, CodecName::Vp9, CodecName::H264, CodecName::Av1];

impl CodecName {
    /// Returns whether the codec is for audio or for video.
    pub fn kind(self) -> MediaKind {
        if self == Self::Opus { MediaKind::Audio } else { MediaKind::Video }
    }

    /// Ticks of RTP timestamps a second.
    pub fn clock_rate(self) -> u32 {
        if self == Self::Opus { 48_000 } else { 90_000 }
    }
}

/// The width of a stream's picture ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureIds {
    /// Frames carry no picture id.
    None,
    /// Picture ids have 7 bits.
    Short,
    /// Picture ids have 15 bits.
    Long,
}

/// The counters of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// The picture id of VP8 and VP9.
    pub picture_id: Option<u16>,
    /// TL0PICIDX of VP8 and VP9 with temporal layers.
    pub tl0: Option<u8>,
    /// The frame number of the dependency descriptor.
    pub frame_number: Option<u16>,
}

/// What identifies a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The stream's number in its world.
    pub stream: u32,
    /// Its number in the stream: extended sequence number.
    pub index: u32,
    /// The frame's RTP timestamp.
    pub timestamp: u32,
    /// The number of the frame, from 0.
    pub frame: u32,
    /// The number of the packet in its frame.
    pub part: u8,
    /// How many packets the frame has.
    pub parts: u8,
    /// Whether a decoder can begin with the frame.
    pub key: bool,
    /// The counters as the publisher wrote them.
    pub counters: Counters,
    /// The codec in which it was sent.
    pub codec: CodecName,
    /// Whether its picture ids have 7 bits.
    pub short_ids: bool,
    /// Its temporal layer, and how many frames back the one is that it refers to.
    pub place: Place,
}

const MAGIC: [u8; 4] = *b"SiMs";
/// Bytes of a stamp.
const STAMP_BYTES: usize = 4 + 16 + 3 + 7 + 2;
/// The stamp begins within this many bytes of the payload's beginning.
const DESCRIPTOR_BYTES_MAX: usize = 12;
/// The size of the shortest payload into which a stamp fits, in bytes.
pub const PAYLOAD_BYTES_MIN: usize = DESCRIPTOR_BYTES_MAX + STAMP_BYTES;

impl Stamp {
    /// Returns whether a decoder can begin with this very packet.
    pub fn starts_key(&self) -> bool {
        self.key && self.part == 0
    }

    /// Returns whether it is the last packet of its frame.
    pub fn ends_frame(&self) -> bool {
        self.part + 1 == self.parts
    }

    fn push(&self, out: &mut Vec<u8>) {
        out.extend(MAGIC);
        for word in [self.stream, self.index, self.timestamp, self.frame] {
            out.extend(word.to_be_bytes());
        }
        out.extend([self.part, self.parts, u8::from(self.key)]);
        let Counters { picture_id, tl0, frame_number } = self.counters;
        let present = u8::from(picture_id.is_some())
            | u8::from(tl0.is_some()) << 1
            | u8::from(frame_number.is_some()) << 2
            | u8::from(self.short_ids) << 3;
        out.push(present);
        out.extend(picture_id.unwrap_or(0).to_be_bytes());
        out.push(tl0.unwrap_or(0));
        out.push(self.codec as u8);
        out.extend(frame_number.unwrap_or(0).to_be_bytes());
        out.extend([self.place.temporal | u8::from(self.place.syncs) << 7, self.place.refers]);
    }

    /// Finds the stamp in a payload; `None` if there is none.
    pub fn find(payload: &[u8]) -> Option<Self> {
        // Descriptors have several lengths, and the server may have changed their contents.
        let head = payload.get(..payload.len().min(DESCRIPTOR_BYTES_MAX + MAGIC.len()))?;
        let at = head.windows(MAGIC.len()).position(|window| window == MAGIC)?;
        let bytes = payload.get(at + MAGIC.len()..at + STAMP_BYTES)?;
        let word = |n: usize| bytes.get(n..n + 4)?.try_into().ok().map(u32::from_be_bytes);
        let half = |n: usize| bytes.get(n..n + 2)?.try_into().ok().map(u16::from_be_bytes);
        let present = *bytes.get(19)?;
        let counters = Counters {
            picture_id: half(20)?.into_some(present & 1 != 0),
            tl0: bytes.get(22).copied()?.into_some(present & 2 != 0),
            frame_number: half(24)?.into_some(present & 4 != 0),
        };
        Some(Self {
            stream: word(0)?,
            index: word(4)?,
            timestamp: word(8)?,
            frame: word(12)?,
            part: *bytes.get(16)?,
            parts: *bytes.get(17)?,
            key: *bytes.get(18)? != 0,
            counters,
            short_ids: present & 8 != 0,
            codec: *ALL.get(usize::from(*bytes.get(23)?))?,
            place: Place {
                temporal: bytes.get(26)? & 0x7f,
                refers: *bytes.get(27)?,
                syncs: bytes.get(26)? & 0x80 != 0,
            },
        })
    }
}

trait IntoSome: Sized {
    fn into_some(self, present: bool) -> Option<Self> {
        present.then_some(self)
    }
}

impl IntoSome for u16 {}
impl IntoSome for u8 {}

/// Writes a payload of at least `length` bytes.
pub fn write_payload(ids: PictureIds, stamp: &Stamp, length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(length.max(PAYLOAD_BYTES_MIN));
    let first = stamp.part == 0;
    match stamp.codec {
        // 20 ms, full band, stereo, one frame (RFC 6716 §3.1).
        CodecName::Opus => out.push(0xfc),
        CodecName::Vp8 => write_vp8(&mut out, ids, stamp, first),
        CodecName::Vp9 => write_vp9(&mut out, ids, stamp, first),
        CodecName::H264 => write_h264(&mut out, stamp, first),
        // Aggregation header: one OBU, and with a key frame's first packet a new coded sequence; then a frame OBU.
        CodecName::Av1 => out.extend([0x10 | if stamp.starts_key() { 0x08 } else { 0 }, 0x30]),
    }
    stamp.push(&mut out);
    if out.len() < length {
        out.resize(length, stamp.part ^ 0x5a);
    }
    out
}

fn write_picture_id(out: &mut Vec<u8>, ids: PictureIds, id: u16) {
    match ids {
        PictureIds::None => {}
        PictureIds::Short => out.push(id as u8 & 0x7f),
        PictureIds::Long => out.extend((0x8000 | id).to_be_bytes()),
    }
}

/// Writes VP8's payload descriptor and the first byte of its header (RFC 7741 §4.2 and §4.3).
fn write_vp8(out: &mut Vec<u8>, ids: PictureIds, stamp: &Stamp, first: bool) {
    let start = if first { 0x10 } else { 0 };
    let Counters { picture_id, tl0, .. } = stamp.counters;
    if picture_id.is_none() && tl0.is_none() {
        out.push(start);
    } else {
        let has_tl0 = if tl0.is_some() { 0x60 } else { 0 };
        out.extend([0x80 | start, has_tl0 | if picture_id.is_some() { 0x80 } else { 0 }]);
        write_picture_id(out, ids, picture_id.unwrap_or(0));
        if let Some(tl0) = tl0 {
            out.extend([tl0, stamp.place.temporal << 6 | u8::from(stamp.place.syncs) << 5]);
        }
    }
    out.push(u8::from(!stamp.key));
}

/// Writes VP9's payload descriptor in non-flexible mode (RFC 9628 §4.2).
fn write_vp9(out: &mut Vec<u8>, ids: PictureIds, stamp: &Stamp, first: bool) {
    let Counters { picture_id, tl0, .. } = stamp.counters;
    let mut flags = 0;
    for (set, bit) in [
        (picture_id.is_some(), 0x80),
        (!stamp.key, 0x40),
        (tl0.is_some(), 0x20),
        (first, 0x08),
        (stamp.ends_frame(), 0x04),
    ] {
        flags |= if set { bit } else { 0 };
    }
    out.push(flags);
    write_picture_id(out, ids, picture_id.unwrap_or(0));
    if let Some(tl0) = tl0 {
        out.extend([0, tl0]);
    }
}

/// Writes H.264's headers: of a single NAL unit (RFC 6184 §5.4), or of a fragment (FU-A, §5.8). A key frame is
/// represented by the parameter set with which it begins, because decoding can begin nowhere else.
fn write_h264(out: &mut Vec<u8>, stamp: &Stamp, first: bool) {
    let kind = if stamp.key { 7 } else { 1 };
    if stamp.parts == 1 {
        out.push(0x60 | kind);
    } else {
        let start = if first { 0x80 } else { 0 };
        let end = if stamp.ends_frame() { 0x40 } else { 0 };
        out.extend([0x7c, start | end | kind]);
    }
}

/// Returns the dependency descriptor of a packet (AV1 RTP payload format, appendix A). A key frame brings a structure.
pub fn dependency_descriptor(stamp: &Stamp) -> Option<Vec<u8>> {
    let [high, low] = stamp.counters.frame_number?.to_be_bytes();
    let start = if stamp.part == 0 { 0x80 } else { 0 };
    let end = if stamp.ends_frame() { 0x40 } else { 0 };
    let mut bytes = vec![start | end, high, low];
    if stamp.starts_key() {
        bytes.extend([0x80, 0, 0, 0]);
    }
    Some(bytes)
}

/// Returns the counters in a payload. Fails if it is not of that codec.
pub fn read_counters(codec: CodecName, payload: &[u8]) -> Result<Counters, crate::wire::Malformed> {
    let found = match codec {
        CodecName::Vp8 => vp8::parse(payload)?.counters,
        CodecName::Vp9 => vp9::parse(payload)?.counters,
        _ => return Ok(Counters::default()),
    };
    Ok(Counters {
        picture_id: found.picture_id.map(|id| id.value),
        tl0: found.tl0_picture_index,
        ..Counters::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::forward::descriptor::describe;
    use crate::core::media::extensions::PassedExtensions;
    use crate::core::negotiated::{Codec, H264Profile};

    #[test]
    fn stamps_survive_and_the_server_sees_frames_as_meant() {
        let codecs = [
            (CodecName::Opus, Codec::Opus),
            (CodecName::Vp8, Codec::Vp8),
            (CodecName::Vp9, Codec::Vp9 { profile: 0 }),
            (
                CodecName::H264,
                Codec::H264 { profile: H264Profile::ConstrainedBaseline, packetization_mode: 1 },
            ),
            (CodecName::Av1, Codec::Av1 { profile: 0 }),
        ];
        for (name, codec) in codecs {
            for (part, parts, key) in [(0, 1, true), (0, 3, true), (1, 3, true), (0, 2, false), (2, 3, false)]
            {
                for ids in [PictureIds::None, PictureIds::Short, PictureIds::Long] {
                    let has_ids = matches!(name, CodecName::Vp8 | CodecName::Vp9);
                    let picture_id = (has_ids && ids != PictureIds::None).then_some(77);
                    let counters = Counters { picture_id, tl0: has_ids.then_some(9), frame_number: None };
                    let stamp = Stamp {
                        stream: 3,
                        index: 70_000,
                        timestamp: 5,
                        frame: 8,
                        part,
                        parts,
                        key,
                        counters,
                        codec: name,
                        short_ids: ids == PictureIds::Short,
                        place: Place { temporal: part % 3, refers: u8::from(!key), syncs: key },
                    };
                    let payload = write_payload(ids, &stamp, 90);
                    assert_eq!(Stamp::find(&payload), Some(stamp), "{name:?}");
                    let described = describe(codec, &payload, &PassedExtensions::default());
                    let starts = name == CodecName::Opus || stamp.starts_key();
                    assert_eq!(described.starts_keyframe, starts, "{name:?} {stamp:?}");
                    assert_eq!(described.counters.picture_id, picture_id);
                    assert_eq!(read_counters(name, &payload), Ok(counters));
                }
            }
        }
    }
}

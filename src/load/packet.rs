//! The generator's payloads: enough of a codec that the server takes them for media, and a stamp that tells the
//! receiver when the packet was sent, and what is missing.
//!
//! The time of a stamp is the generator's monotonic clock, so only the process that wrote it can read it: publishers
//! and subscribers are one process.

use super::frames::FramePart;
use crate::core::command::MediaKind;

/// The first bytes of a stamp, so that other payloads are not mistaken for one.
const MAGIC: u32 = 0x5354_4c44;
/// Bytes of a stamp.
const STAMP_BYTES: usize = 24;
/// Opus' table-of-contents byte: 20 ms, full band, stereo, one frame (RFC 6716 §3.1).
const OPUS_TOC: u8 = 0xfc;
/// VP8's descriptor with a 15-bit picture id, and the first byte of the payload (RFC 7741 §4.2, §4.3).
const VP8_BYTES: usize = 5;

/// The fewest bytes that a payload needs.
pub(super) const PAYLOAD_BYTES_MIN: usize = VP8_BYTES + STAMP_BYTES;

/// When a packet was sent, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The sender's number in this run.
    pub stream: u32,
    /// When it was sent, nanoseconds of the generator's clock.
    pub sent: u64,
    /// Its place in the stream.
    pub part: FramePart,
}

fn offset(kind: MediaKind) -> usize {
    match kind {
        MediaKind::Audio => 1,
        MediaKind::Video => VP8_BYTES,
    }
}

/// Fills a payload of at least [`PAYLOAD_BYTES_MIN`] bytes. Bytes after the stamp stay as they are.
pub(super) fn write(payload: &mut [u8], kind: MediaKind, stamp: &Stamp) {
    let FramePart { frame, index, count, key } = stamp.part;
    match kind {
        MediaKind::Audio => payload[0] = OPUS_TOC,
        MediaKind::Video => {
            let [high, low] = (frame as u16 & 0x7fff).to_be_bytes();
            let start = if index == 0 { 0x10 } else { 0 };
            payload[..VP8_BYTES].copy_from_slice(&[0x80 | start, 0x80, 0x80 | high, low, u8::from(!key)]);
        }
    }
    let at = offset(kind);
    let out = &mut payload[at..at + STAMP_BYTES];
    out[..4].copy_from_slice(&MAGIC.to_be_bytes());
    out[4..8].copy_from_slice(&stamp.stream.to_be_bytes());
    out[8..16].copy_from_slice(&stamp.sent.to_be_bytes());
    out[16..20].copy_from_slice(&frame.to_be_bytes());
    out[20..].copy_from_slice(&[index, count, u8::from(key), 0]);
}

/// Reads the stamp of a decrypted payload. `None` if it is not one of ours.
pub(super) fn read(payload: &[u8], kind: MediaKind) -> Option<Stamp> {
    let at = offset(kind);
    let bytes = payload.get(at..at + STAMP_BYTES)?;
    let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let sent = bytes.get(8..16)?.try_into().ok().map(u64::from_be_bytes)?;
    let part = FramePart { frame: word(16)?, index: bytes[20], count: bytes[21], key: bytes[22] == 1 };
    (word(0)? == MAGIC).then_some(Stamp { stream: word(4)?, sent, part })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::vp8;

    fn stamp(index: u8, key: bool) -> Stamp {
        let part = FramePart { frame: 70_000, index, count: 10, key };
        Stamp { stream: 3, sent: 123_456_789_012, part }
    }

    #[test]
    fn stamps_survive_in_both_kinds_of_payload() {
        for kind in [MediaKind::Audio, MediaKind::Video] {
            let mut payload = [0; PAYLOAD_BYTES_MIN];
            write(&mut payload, kind, &stamp(4, true));
            assert_eq!(read(&payload, kind), Some(stamp(4, true)));
            assert_eq!(read(&payload[..20], kind), None);
            assert_eq!(read(&[0; 100], kind), None);
        }
    }

    #[test]
    fn the_server_sees_frames_and_key_frames() {
        for (index, key, starts, keyframe) in
            [(0, true, true, true), (1, true, false, false), (0, false, true, false)]
        {
            let mut payload = [0; 100];
            write(&mut payload, MediaKind::Video, &stamp(index, key));
            let descriptor = vp8::parse(&payload).expect("VP8");
            assert_eq!((descriptor.starts_frame, descriptor.keyframe), (starts, keyframe));
            assert_eq!(descriptor.counters.picture_id.expect("one").value, (70_000 & 0x7fff) as u16);
        }
    }
}

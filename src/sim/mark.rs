//! Mark: identifies a frame to its receiver if whole endpoints packetize it and put it together again. It says which
//! stream and frame it is, whether decoding can begin there, and when it was sent. The frame around it looks like one
//! of its codec to packetizers and the server.

use super::codec::CodecName;
use super::network::Micros;

/// Which frame this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The stream's number in its world.
    pub stream: u32,
    /// The number of the frame, from 0.
    pub frame: u32,
    /// Whether decoding can begin with it.
    pub key: bool,
    /// When it was sent.
    pub sent_at: Micros,
}

const MAGIC: [u8; 4] = *b"MaRk";
/// How many bytes a number has, with seven bits in each.
const NUMBER_BYTES: usize = 10;
/// The mark begins within this many bytes of the frame's beginning.
const HEAD_BYTES_MAX: usize = 17;

impl Mark {
    /// Returns a frame of at least that length. No byte after its head is 0, so nothing looks like a start code of
    /// H.264.
    pub fn write(&self, codec: CodecName, length: usize) -> Vec<u8> {
        let mut out: Vec<u8> = match (codec, self.key) {
            // 20 ms, full band, stereo, one frame (RFC 6716 §3.1).
            (CodecName::Opus, _) => vec![0xfc],
            // The frame tag's lowest bit: not a key frame (RFC 6386 §9.1).
            (CodecName::Vp8, key) => vec![0x10 | u8::from(!key)],
            // Profile 0, shown: a key frame, and one that is not (VP9 bitstream §6.2).
            (CodecName::Vp9 | CodecName::Av1, true) => vec![0x82],
            (CodecName::Vp9 | CodecName::Av1, false) => vec![0x86],
            // After start codes: the parameter sets and a slice of an IDR picture, or a slice of another one.
            (CodecName::H264, true) => {
                [&[0, 0, 0, 1, 0x67, 0x42][..], &[0, 0, 0, 1, 0x68, 0xce, 0, 0, 0, 1, 0x65]].concat()
            }
            (CodecName::H264, false) => vec![0, 0, 0, 1, 0x61],
        };
        out.extend(MAGIC);
        for number in [u64::from(self.stream), u64::from(self.frame), u64::from(self.key), self.sent_at] {
            out.extend((0..NUMBER_BYTES).map(|n| 0x80 | (number >> (7 * n)) as u8));
        }
        out.resize(length.max(out.len()), 0x5a);
        out
    }

    /// Finds the mark of a frame.
    pub fn find(frame: &[u8]) -> Option<Self> {
        let head = frame.get(..frame.len().min(HEAD_BYTES_MAX + MAGIC.len()))?;
        let at = head.windows(MAGIC.len()).position(|window| window == MAGIC)? + MAGIC.len();
        let number = |n: usize| {
            let bytes = frame.get(at + n * NUMBER_BYTES..at + (n + 1) * NUMBER_BYTES)?;
            Some(bytes.iter().rev().fold(0_u64, |number, byte| number << 7 | u64::from(byte & 0x7f)))
        };
        Some(Self {
            stream: u32::try_from(number(0)?).ok()?,
            frame: u32::try_from(number(1)?).ok()?,
            key: number(2)? != 0,
            sent_at: number(3)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_survive_in_every_codec() {
        for codec in [CodecName::Opus, CodecName::Vp8, CodecName::Vp9, CodecName::H264] {
            for key in [false, true] {
                let mark = Mark { stream: u32::MAX, frame: 300, key, sent_at: 1 << 40 };
                let frame = mark.write(codec, 1000);
                assert_eq!((Mark::find(&frame), frame.len()), (Some(mark), 1000));
            }
        }
        assert_eq!(Mark::find(b"nothing"), None);
    }
}

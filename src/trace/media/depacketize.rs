//! Puts frames together from RTP payloads: RFC 7741 (VP8), RFC 9628 (VP9), RFC 6184 (H.264), and the AV1 RTP payload
//! format.

use crate::core::negotiated::Codec;
use crate::wire::{vp8, vp9};

/// The payload does not follow its codec's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

const ANNEX_B_START: [u8; 4] = [0, 0, 0, 1];
const H264_STAP_A: u8 = 24;
const H264_FU_A: u8 = 28;
/// A temporal delimiter, with which each picture of a file begins, and which is not sent.
const AV1_TEMPORAL_DELIMITER: [u8; 2] = [0x12, 0];
const AV1_HAS_SIZE: u8 = 0x02;

/// Puts one stream's frames together.
#[derive(Debug)]
pub enum Depacketizer {
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// H.264 (RFC 6184).
    H264,
    /// AV1, with the part of an OBU that goes on in the next packet.
    Av1 {
        /// The beginning of the OBU.
        open: Vec<u8>,
    },
}

impl Depacketizer {
    /// Returns a depacketizer for a video codec.
    pub fn new(codec: Codec) -> Self {
        match codec {
            Codec::Vp9 { .. } => Self::Vp9,
            Codec::H264 { .. } => Self::H264,
            Codec::Av1 { .. } => Self::Av1 { open: Vec::new() },
            Codec::Vp8 | Codec::Opus => Self::Vp8,
        }
    }

    /// Appends the contents of a payload to its frame.
    pub fn push(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        match self {
            Self::Vp8 => {
                let descriptor = vp8::parse(payload).map_err(|_| Malformed)?;
                frame.extend_from_slice(payload.get(descriptor.descriptor_len..).ok_or(Malformed)?);
                Ok(())
            }
            Self::Vp9 => {
                let descriptor = vp9::parse(payload).map_err(|_| Malformed)?;
                frame.extend_from_slice(payload.get(descriptor.descriptor_len..).ok_or(Malformed)?);
                Ok(())
            }
            Self::H264 => push_h264(payload, frame).ok_or(Malformed),
            Self::Av1 { open } => push_av1(payload, open, frame).ok_or(Malformed),
        }
    }

    /// Ends the frame, and appends an OBU that is still open.
    pub fn end_frame(&mut self, frame: &mut Vec<u8>) {
        if let Self::Av1 { open } = self
            && !open.is_empty()
        {
            let whole = std::mem::take(open);
            let _ = push_obu(&whole, frame);
        }
    }
}

fn push_h264(payload: &[u8], frame: &mut Vec<u8>) -> Option<()> {
    let (&first, rest) = payload.split_first()?;
    match first & 0x1f {
        H264_STAP_A => {
            let mut rest = rest;
            while !rest.is_empty() {
                let (length, behind) = rest.split_first_chunk::<2>()?;
                let (unit, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
                frame.extend_from_slice(&ANNEX_B_START);
                frame.extend_from_slice(unit);
                rest = behind;
            }
        }
        // The unit's own header is sent in two parts: its flags in the fragment's first byte, its type in the second.
        H264_FU_A => {
            let (&header, fragment) = rest.split_first()?;
            if header & 0x80 != 0 {
                frame.extend_from_slice(&ANNEX_B_START);
                frame.push(first & 0xe0 | header & 0x1f);
            }
            frame.extend_from_slice(fragment);
        }
        1..=23 => {
            frame.extend_from_slice(&ANNEX_B_START);
            frame.extend_from_slice(payload);
        }
        _ => return None,
    }
    Some(())
}

/// AV1 RTP payload format §4.4: an aggregation header, then OBUs with or without lengths.
fn push_av1(payload: &[u8], open: &mut Vec<u8>, frame: &mut Vec<u8>) -> Option<()> {
    let (&header, mut rest) = payload.split_first()?;
    let (continues, goes_on, count) = (header & 0x80 != 0, header & 0x40 != 0, header >> 4 & 3);
    // If this payload does not go on with the open OBU, then the packet with the rest of it was lost.
    if !continues {
        open.clear();
    }
    let mut element = 0;
    while !rest.is_empty() {
        element += 1;
        let has_length = count == 0 || element < count;
        let length = if has_length { read_leb128(&mut rest)? } else { rest.len() };
        let (obu, behind) = rest.split_at_checked(length)?;
        rest = behind;
        open.extend_from_slice(obu);
        let unfinished = rest.is_empty() && goes_on;
        if !unfinished {
            let whole = std::mem::take(open);
            push_obu(&whole, frame)?;
        }
    }
    Some(())
}

/// Appends an OBU in the form for files, with its size, which is not sent.
fn push_obu(obu: &[u8], frame: &mut Vec<u8>) -> Option<()> {
    let (&header, rest) = obu.split_first()?;
    // Each frame of a file begins with a delimiter.
    if frame.is_empty() {
        frame.extend_from_slice(&AV1_TEMPORAL_DELIMITER);
    }
    if header & AV1_HAS_SIZE != 0 {
        frame.extend_from_slice(obu);
        return Some(());
    }
    frame.push(header | AV1_HAS_SIZE);
    let has_extension = header & 0x04 != 0;
    let content = if has_extension {
        let (&extension, content) = rest.split_first()?;
        frame.push(extension);
        content
    } else {
        rest
    };
    write_leb128(content.len(), frame);
    frame.extend_from_slice(content);
    Some(())
}

fn read_leb128(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for position in 0..4 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn write_leb128(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(mut depacketizer: Depacketizer, payloads: &[&[u8]]) -> Result<Vec<u8>, Malformed> {
        let mut frame = Vec::new();
        for payload in payloads {
            depacketizer.push(payload, &mut frame)?;
        }
        depacketizer.end_frame(&mut frame);
        Ok(frame)
    }

    #[test]
    fn h264_units_come_out_of_single_packets_aggregates_and_fragments() {
        let single: &[u8] = &[0x65, 1, 2];
        let aggregate: &[u8] = &[0x78, 0, 2, 0x67, 9, 0, 1, 0x68];
        let fragments: [&[u8]; 3] = [&[0x7c, 0x85, 1], &[0x7c, 0x05, 2], &[0x7c, 0x45, 3]];
        let h264 = || Depacketizer::H264;
        assert_eq!(frame(h264(), &[single]), Ok(vec![0, 0, 0, 1, 0x65, 1, 2]));
        assert_eq!(frame(h264(), &[aggregate]), Ok(vec![0, 0, 0, 1, 0x67, 9, 0, 0, 0, 1, 0x68]));
        assert_eq!(frame(h264(), &fragments), Ok(vec![0, 0, 0, 1, 0x65, 1, 2, 3]));
        assert_eq!(frame(h264(), &[&[0x78, 0, 9, 1]]), Err(Malformed));
    }

    #[test]
    fn av1_units_get_their_sizes_back() {
        let av1 = || Depacketizer::Av1 { open: Vec::new() };
        // One with a length, one without.
        assert_eq!(
            frame(av1(), &[&[0x20, 2, 0x08, 7, 0x30, 1, 2]]),
            Ok(vec![0x12, 0, 0x0a, 1, 7, 0x32, 2, 1, 2])
        );
        // One over two packets.
        assert_eq!(frame(av1(), &[&[0x50, 0x30, 1], &[0x90, 2]]), Ok(vec![0x12, 0, 0x32, 2, 1, 2]));
        assert_eq!(frame(av1(), &[&[0x00, 9, 1]]), Err(Malformed));
    }
}

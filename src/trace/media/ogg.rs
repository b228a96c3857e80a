//! Opus in Ogg (RFC 3533, RFC 7845), one packet a page.

use std::io::{self, Write};

use super::Packet;

/// How many samples at 48 kHz a decoder has to drop at the start. A live stream has none.
const PRE_SKIP: u16 = 0;
const SAMPLE_RATE: u32 = 48_000;
const CONTINUES_NOTHING: u8 = 0;
const BEGINS_STREAM: u8 = 2;
const ENDS_STREAM: u8 = 4;

/// Writes an Ogg file.
#[derive(Debug)]
pub struct OggWriter<W> {
    out: W,
    serial: u32,
    page: u32,
    /// The timestamp of the last packet, and its position in samples.
    last: Option<(u32, u64)>,
    /// The previous packet, which is written when it is known not to be the last.
    waiting: Option<(Vec<u8>, u64)>,
}

impl<W: Write> OggWriter<W> {
    /// Begins a file with the headers of Ogg Opus (RFC 7845 §5).
    pub fn new(out: W, serial: u32) -> io::Result<Self> {
        let mut writer = Self { out, serial, page: 0, last: None, waiting: None };
        let mut head = b"OpusHead\x01\x02".to_vec();
        head.extend_from_slice(&PRE_SKIP.to_le_bytes());
        head.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
        // No gain, and the mapping of one stereo stream.
        head.extend_from_slice(&[0, 0, 0]);
        writer.write_page(BEGINS_STREAM, 0, &head)?;
        let vendor = b"strait";
        let mut tags = b"OpusTags".to_vec();
        tags.extend_from_slice(&(vendor.len() as u32).to_le_bytes());
        tags.extend_from_slice(vendor);
        tags.extend_from_slice(&0_u32.to_le_bytes());
        writer.write_page(CONTINUES_NOTHING, 0, &tags)?;
        Ok(writer)
    }

    /// Appends a packet. If packets are missing, the position still advances, so that later ones play in time.
    pub fn packet(&mut self, packet: &Packet) -> io::Result<()> {
        let position = match self.last {
            None => 0,
            // Only steps of less than six minutes count, because a source that starts anew must not make a gap of
            // hours.
            Some((last, position)) => match packet.timestamp.wrapping_sub(last) {
                step @ 0..=0x00ff_ffff => position + u64::from(step),
                _ => position,
            },
        };
        self.last = Some((packet.timestamp, position));
        // A page's position is the end of its packet.
        let end = position + u64::from(samples(&packet.payload));
        if let Some((payload, end)) = self.waiting.replace((packet.payload.clone(), end)) {
            self.write_page(CONTINUES_NOTHING, end, &payload)?;
        }
        Ok(())
    }

    /// Ends the file with the last page.
    pub fn finish(mut self) -> io::Result<()> {
        let (payload, end) = self.waiting.take().unwrap_or_default();
        self.write_page(ENDS_STREAM, end, &payload)?;
        self.out.flush()
    }

    fn write_page(&mut self, flags: u8, position: u64, packet: &[u8]) -> io::Result<()> {
        let mut page = b"OggS\0".to_vec();
        page.push(flags);
        page.extend_from_slice(&position.to_le_bytes());
        page.extend_from_slice(&self.serial.to_le_bytes());
        page.extend_from_slice(&self.page.to_le_bytes());
        // The checksum counts as zero while it is computed.
        page.extend_from_slice(&[0; 4]);
        // A length of 255 goes on in the next segment. A packet from a datagram takes six or seven of at most 255.
        let segments = packet.len() / 255 + 1;
        page.push(u8::try_from(segments).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?);
        page.extend(std::iter::repeat_n(255, segments - 1));
        page.push((packet.len() % 255) as u8);
        page.extend_from_slice(packet);
        let sum = checksum(&page);
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        self.page += 1;
        self.out.write_all(&page)
    }
}

/// Returns how long an Opus packet plays, in samples at 48 kHz (RFC 6716 §3.1).
fn samples(packet: &[u8]) -> u32 {
    let Some(&toc) = packet.first() else { return 0 };
    // The upper five bits choose mode, bandwidth and length of frames: SILK, hybrid, CELT.
    let configuration = toc >> 3;
    let frame = match configuration {
        0..=11 => [480, 960, 1920, 2880][usize::from(configuration & 3)],
        12..=15 => [480, 960][usize::from(configuration & 1)],
        _ => [120, 240, 480, 960][usize::from(configuration & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1).copied().unwrap_or(0) & 0x3f),
    };
    frame * frames
}

/// Returns Ogg's own CRC-32 (RFC 3533 §6): polynomial 0x04c11db7, not reflected, from zero.
fn checksum(page: &[u8]) -> u32 {
    page.iter().fold(0, |crc: u32, &byte| {
        (0..8).fold(crc ^ u32::from(byte) << 24, |crc, _| {
            if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_says_how_long_it_plays() {
        assert_eq!(samples(&[0xfc]), 960, "CELT, 20 ms, one frame");
        assert_eq!(samples(&[0x0b, 3]), 2880, "SILK, 20 ms, three frames");
        assert_eq!(samples(&[]), 0);
    }

    #[test]
    fn the_checksum_is_that_of_ogg() {
        // CRC-32 without reflection, initial value and final XOR, over "123456789".
        assert_eq!(checksum(b"123456789"), 0x89a1_897f);
    }
}

//! RTCP: reads decrypted compounds; `write` writes our own packets.
//!
//! RFC 3550 §6 (reports, SDES, BYE), RFC 4585 §6 (NACK, PLI), RFC 5104 §4.3.1 (FIR), RFC 5506 (a compound may
//! consist of any one packet), draft-alvestrand-rmcat-remb-03. Written directly on bytes: parsing is total,
//! bounded by the compound's length, and allocates nothing; the writer appends to a buffer of the caller's.

mod write;

pub use write::{NACK_BYTES_MAX, REPORT_BLOCKS_MAX, RtcpWriter};

use crate::core::ids::Ssrc;

pub(super) const SENDER_REPORT: u8 = 200;
pub(super) const RECEIVER_REPORT: u8 = 201;
pub(super) const SDES: u8 = 202;
pub(super) const BYE: u8 = 203;
pub(super) const TRANSPORT_FEEDBACK: u8 = 205;
pub(super) const PAYLOAD_FEEDBACK: u8 = 206;
/// Formats of transport feedback.
pub(super) const FORMAT_NACK: u8 = 1;
pub(super) const FORMAT_TWCC: u8 = 15;
/// Formats of payload-specific feedback.
pub(super) const FORMAT_PLI: u8 = 1;
pub(super) const FORMAT_FIR: u8 = 4;
pub(super) const FORMAT_APPLICATION: u8 = 15;

const HEADER: usize = 4;
const REPORT_BLOCK: usize = 24;

/// A receiver's report on one stream (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream that it is about.
    pub ssrc: Ssrc,
    /// The fraction lost since the previous report, in 1/256.
    pub fraction_lost: u8,
    /// How many packets were lost since the beginning: 24 bits with sign, because duplicates make it negative.
    pub cumulative_lost: i32,
    /// Low 32 bits of the newest index: cycles and sequence number.
    pub highest_sequence: u32,
    /// Interarrival jitter, in units of the stream's RTP clock.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of the newest sender report; 0 if none came.
    pub last_sr: u32,
    /// The time since that sender report came, in 1/65536 s; 0 if none came.
    pub delay_since_last_sr: u32,
}

/// One item of a compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcpItem<'a> {
    /// A sender report, which relates a stream's RTP clock to wall time. Its report blocks follow as items of their
    /// own.
    SenderReport {
        /// The stream whose clock it is.
        ssrc: Ssrc,
        /// Wall time: seconds since 1900 in the upper 32 bits, fractions in the lower.
        ntp: u64,
        /// The same moment on the stream's RTP clock.
        rtp_timestamp: u32,
        /// How many packets its sender has sent.
        packets: u32,
        /// How many payload bytes its sender has sent.
        octets: u32,
    },
    /// The peer's report on one of our streams.
    ReportBlock {
        /// The SSRC of the reporter.
        sender: Ssrc,
        /// What the peer has received of the stream.
        block: ReportBlock,
    },
    /// The peer misses packets.
    Nack {
        /// Of which stream of ours.
        media: Ssrc,
        /// The sequence numbers of the packets.
        lost: LostSequences<'a>,
    },
    /// The peer needs a key frame.
    Pli {
        /// Of which stream of ours.
        media: Ssrc,
    },
    /// The peer needs a key frame; one item for each entry.
    Fir {
        /// Of which stream of ours.
        media: Ssrc,
        /// The same number again is the same request again.
        command: u8,
    },
    /// Transport-wide feedback about our packets.
    TransportFeedback {
        /// The bytes of the whole RTCP packet.
        bytes: &'a [u8],
    },
    /// The peer's estimate of what it can receive.
    Remb {
        /// Bits per second; saturated.
        bitrate_bps: u64,
    },
    /// A stream has ended. There is one item for each stream.
    Bye {
        /// The stream that has ended.
        ssrc: Ssrc,
    },
    /// Something else (SDES, XR, an unknown or malformed packet).
    Other,
}

/// An iterator over the sequence numbers that a NACK names in its PID and BLP pairs (RFC 4585 §6.2.1): at most 17 for
/// each 4 bytes of the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostSequences<'a> {
    entries: &'a [u8],
    base: u16,
    /// Bit `n` set: `base + n` is still to be named.
    pending: u32,
}

impl<'a> LostSequences<'a> {
    fn new(entries: &'a [u8]) -> Self {
        Self { entries, base: 0, pending: 0 }
    }
}

impl Iterator for LostSequences<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.pending == 0 {
            let (entry, rest) = self.entries.split_at_checked(4)?;
            self.entries = rest;
            self.base = read_u16(entry, 0)?;
            self.pending = 1 | u32::from(read_u16(entry, 2)?) << 1;
        }
        let offset = self.pending.trailing_zeros() as u16;
        self.pending &= self.pending - 1;
        Some(self.base.wrapping_add(offset))
    }
}

/// Calls `visit` with every item of a decrypted compound, in order. Stops at the first packet whose length does not
/// fit; malformed content of a packet is skipped or reported as [`RtcpItem::Other`].
pub fn parse<'a>(compound: &'a [u8], visit: &mut dyn FnMut(RtcpItem<'a>)) {
    let mut rest = compound;
    while rest.len() >= HEADER && rest[0] >> 6 == 2 {
        let words = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let Some((packet, behind)) = rest.split_at_checked((words + 1) * 4) else { return };
        rest = behind;
        if parse_packet(packet, visit).is_none() {
            visit(RtcpItem::Other);
        }
    }
}

/// Visits the items of one packet. Returns `None` if there is none.
fn parse_packet<'a>(packet: &'a [u8], visit: &mut dyn FnMut(RtcpItem<'a>)) -> Option<()> {
    let count = packet[0] & 0x1f;
    match (packet[1], count) {
        (SENDER_REPORT, _) => parse_sender_report(unpadded(packet)?, count, visit),
        (RECEIVER_REPORT, _) => {
            let packet = unpadded(packet)?;
            let sender = Ssrc(read_u32(packet, 4)?);
            report_blocks(sender, packet.get(8..)?, count, visit);
            Some(())
        }
        (BYE, _) => {
            let sources = unpadded(packet)?.get(HEADER..)?.chunks_exact(4).take(usize::from(count));
            sources
                .filter_map(|word| read_u32(word, 0))
                .for_each(|ssrc| visit(RtcpItem::Bye { ssrc: Ssrc(ssrc) }));
            Some(())
        }
        (TRANSPORT_FEEDBACK, FORMAT_NACK) => {
            let packet = unpadded(packet)?;
            let media = Ssrc(read_u32(packet, 8)?);
            visit(RtcpItem::Nack { media, lost: LostSequences::new(packet.get(12..)?) });
            Some(())
        }
        (TRANSPORT_FEEDBACK, FORMAT_TWCC) => {
            visit(RtcpItem::TransportFeedback { bytes: packet });
            Some(())
        }
        (PAYLOAD_FEEDBACK, FORMAT_PLI) => {
            visit(RtcpItem::Pli { media: Ssrc(read_u32(packet, 8)?) });
            Some(())
        }
        (PAYLOAD_FEEDBACK, FORMAT_FIR) => {
            for entry in unpadded(packet)?.get(12..)?.chunks_exact(8) {
                visit(RtcpItem::Fir { media: Ssrc(read_u32(entry, 0)?), command: entry[4] });
            }
            Some(())
        }
        (PAYLOAD_FEEDBACK, FORMAT_APPLICATION) => {
            visit(RtcpItem::Remb { bitrate_bps: parse_remb(packet)? });
            Some(())
        }
        _ => None,
    }
}

fn parse_sender_report<'a>(packet: &'a [u8], count: u8, visit: &mut dyn FnMut(RtcpItem<'a>)) -> Option<()> {
    let blocks = packet.get(28..)?;
    let ssrc = Ssrc(read_u32(packet, 4)?);
    visit(RtcpItem::SenderReport {
        ssrc,
        ntp: u64::from(read_u32(packet, 8)?) << 32 | u64::from(read_u32(packet, 12)?),
        rtp_timestamp: read_u32(packet, 16)?,
        packets: read_u32(packet, 20)?,
        octets: read_u32(packet, 24)?,
    });
    report_blocks(ssrc, blocks, count, visit);
    Some(())
}

fn report_blocks<'a>(sender: Ssrc, bytes: &'a [u8], count: u8, visit: &mut dyn FnMut(RtcpItem<'a>)) {
    let blocks = bytes.chunks_exact(REPORT_BLOCK).take(usize::from(count));
    blocks.filter_map(parse_block).for_each(|block| visit(RtcpItem::ReportBlock { sender, block }));
}

fn parse_block(bytes: &[u8]) -> Option<ReportBlock> {
    let lost = read_u32(bytes, 4)?;
    Some(ReportBlock {
        ssrc: Ssrc(read_u32(bytes, 0)?),
        fraction_lost: (lost >> 24) as u8,
        cumulative_lost: (lost << 8).cast_signed() >> 8,
        highest_sequence: read_u32(bytes, 8)?,
        jitter: read_u32(bytes, 12)?,
        last_sr: read_u32(bytes, 16)?,
        delay_since_last_sr: read_u32(bytes, 20)?,
    })
}

/// Returns the bit rate of a "REMB": 6 bits of exponent, 18 of mantissa.
fn parse_remb(packet: &[u8]) -> Option<u64> {
    if packet.get(12..16)? != b"REMB" {
        return None;
    }
    let word = read_u32(packet, 16)?;
    let (exponent, mantissa) = ((word >> 18) & 0x3f, u64::from(word & 0x3_ffff));
    let fits = mantissa.leading_zeros() >= exponent;
    Some(if fits { mantissa << exponent } else { u64::MAX })
}

/// Returns the packet without its padding; `None` if the padding is longer than the packet.
fn unpadded(packet: &[u8]) -> Option<&[u8]> {
    if packet[0] & 0x20 == 0 {
        return Some(packet);
    }
    let padding = usize::from(*packet.last()?);
    let end = packet.len().checked_sub(padding)?;
    packet.get(..end).filter(|rest| padding > 0 && rest.len() >= HEADER)
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(bytes: &[u8]) -> Vec<RtcpItem<'_>> {
        let mut items = Vec::new();
        parse(bytes, &mut |item| items.push(item));
        items
    }

    #[test]
    fn a_remb_of_chromium_is_read() {
        let bytes = [
            0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0x12, 0x4f, 0x80, 0, 0, 0, 9,
        ];
        assert_eq!(items(&bytes), [RtcpItem::Remb { bitrate_bps: 0x2_4f80 << 4 }]);
        let mut huge = bytes;
        huge[17] = 0xff;
        assert_eq!(items(&huge), [RtcpItem::Remb { bitrate_bps: u64::MAX }]);
    }

    #[test]
    fn a_bye_names_each_stream_and_padding_is_no_stream() {
        let bytes = [0xa2, 203, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 4];
        let bye = |ssrc| RtcpItem::Bye { ssrc: Ssrc(ssrc) };
        assert_eq!(items(&bytes), [bye(1), bye(2)]);
        let too_much_padding = [0xa2, 203, 0, 1, 0, 0, 0, 99];
        assert_eq!(items(&too_much_padding), [RtcpItem::Other]);
    }

    #[test]
    fn a_cut_compound_tells_what_is_whole() {
        let bytes = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 7, 0x81, 206, 0, 2, 0, 0];
        assert_eq!(items(&bytes), [RtcpItem::Pli { media: Ssrc(7) }]);
    }

    #[test]
    fn no_bytes_make_it_panic_or_run_on() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..50_000 {
            let len = random.usize(..120);
            let mut bytes: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
            if len >= 4 {
                bytes[0] = 0x80 | random.u8(..) & 0x3f;
                bytes[1] = random.u8(199..208);
                bytes[2] = 0;
                bytes[3] = random.u8(..30);
            }
            let mut said = 0;
            parse(&bytes, &mut |item| {
                said += if let RtcpItem::Nack { lost, .. } = item { lost.count() } else { 1 };
            });
            assert!(said <= 5 * len);
        }
    }
}

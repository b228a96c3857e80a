//! Writes RTCP packets one behind the other into a buffer, which so becomes a compound.

use super::{
    FORMAT_FIR, FORMAT_NACK, FORMAT_PLI, PAYLOAD_FEEDBACK, RECEIVER_REPORT, ReportBlock, SDES, SENDER_REPORT,
    TRANSPORT_FEEDBACK,
};
use crate::core::ids::Ssrc;

/// Most report blocks in one packet (RFC 3550 §6.4.1: a count of five bits).
pub const REPORT_BLOCKS_MAX: usize = 31;
/// The longest NACK packet, in bytes: 253 words of lost packets, like libwebrtc's.
pub const NACK_BYTES_MAX: usize = 12 + 253 * 4;
/// The SDES item CNAME.
const CNAME: u8 = 1;

/// Appends RTCP packets to a buffer. When a method returns, its packet is complete.
pub struct RtcpWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> RtcpWriter<'a> {
    /// Makes a writer that appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Writes a sender report (RFC 3550 §6.4.1). `ntp` is wall time with seconds since 1900 in the upper 32 bits.
    /// Blocks beyond [`REPORT_BLOCKS_MAX`] go into receiver reports behind it.
    pub fn sender_report(
        &mut self,
        ssrc: Ssrc,
        ntp: u64,
        rtp_timestamp: u32,
        packets: u32,
        octets: u32,
        blocks: &[ReportBlock],
    ) {
        let (first, more) = blocks.split_at(blocks.len().min(REPORT_BLOCKS_MAX));
        let start = self.begin(first.len() as u8, SENDER_REPORT);
        self.word(ssrc.0);
        self.word((ntp >> 32) as u32);
        self.word(ntp as u32);
        self.word(rtp_timestamp);
        self.word(packets);
        self.word(octets);
        first.iter().for_each(|block| self.block(block));
        self.end(start);
        if !more.is_empty() {
            self.receiver_report(ssrc, more);
        }
    }

    /// Writes receiver reports (RFC 3550 §6.4.2): as many packets as the blocks need, or one without blocks.
    pub fn receiver_report(&mut self, sender: Ssrc, blocks: &[ReportBlock]) {
        let mut rest = blocks;
        loop {
            let (now, later) = rest.split_at(rest.len().min(REPORT_BLOCKS_MAX));
            let start = self.begin(now.len() as u8, RECEIVER_REPORT);
            self.word(sender.0);
            now.iter().for_each(|block| self.block(block));
            self.end(start);
            rest = later;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Writes a source description with only a canonical name (RFC 3550 §6.5.1), cut at 255 bytes.
    pub fn sdes_cname(&mut self, ssrc: Ssrc, name: &str) {
        let name = &name.as_bytes()[..name.len().min(255)];
        let start = self.begin(1, SDES);
        self.word(ssrc.0);
        self.out.extend_from_slice(&[CNAME, name.len() as u8]);
        self.out.extend_from_slice(name);
        // The list of items ends with at least one zero and fills whole words.
        self.out.push(0);
        while !(self.out.len() - start).is_multiple_of(4) {
            self.out.push(0);
        }
        self.end(start);
    }

    /// Writes a NACK (RFC 4585 §6.2.1), or nothing if `sequences` is empty. Ascending sequence numbers (across the
    /// wrap) pack best: one word names 17 neighbours. If there are too many, they go into several packets, each at most
    /// [`NACK_BYTES_MAX`] long.
    pub fn nack(&mut self, sender: Ssrc, media: Ssrc, sequences: &[u16]) {
        let Some((&first, rest)) = sequences.split_first() else { return };
        let mut start = self.begin_feedback(FORMAT_NACK, TRANSPORT_FEEDBACK, sender, media);
        let (mut pid, mut blp) = (first, 0u16);
        for &sequence in rest {
            match sequence.wrapping_sub(pid) {
                0 => {}
                ahead @ 1..=16 => blp |= 1 << (ahead - 1),
                _ => {
                    self.word(u32::from(pid) << 16 | u32::from(blp));
                    if self.out.len() - start >= NACK_BYTES_MAX {
                        self.end(start);
                        start = self.begin_feedback(FORMAT_NACK, TRANSPORT_FEEDBACK, sender, media);
                    }
                    (pid, blp) = (sequence, 0);
                }
            }
        }
        self.word(u32::from(pid) << 16 | u32::from(blp));
        self.end(start);
    }

    /// Writes a request for a key frame (RFC 4585 §6.3.1).
    pub fn pli(&mut self, sender: Ssrc, media: Ssrc) {
        let start = self.begin_feedback(FORMAT_PLI, PAYLOAD_FEEDBACK, sender, media);
        self.end(start);
    }

    /// Writes a full intra request for a key frame (RFC 5104 §4.3.1). `command` goes up by one with every new request.
    pub fn fir(&mut self, sender: Ssrc, media: Ssrc, command: u8) {
        let start = self.begin_feedback(FORMAT_FIR, PAYLOAD_FEEDBACK, sender, Ssrc(0));
        self.word(media.0);
        self.word(u32::from(command) << 24);
        self.end(start);
    }

    fn begin_feedback(&mut self, format: u8, kind: u8, sender: Ssrc, media: Ssrc) -> usize {
        let start = self.begin(format, kind);
        self.word(sender.0);
        self.word(media.0);
        start
    }

    fn begin(&mut self, count: u8, kind: u8) -> usize {
        let start = self.out.len();
        self.out.extend_from_slice(&[0x80 | count, kind, 0, 0]);
        start
    }

    /// Writes the length of the packet that began at `start`.
    fn end(&mut self, start: usize) {
        let words = (self.out.len() - start) / 4 - 1;
        self.out[start + 2..start + 4].copy_from_slice(&(words as u16).to_be_bytes());
    }

    fn word(&mut self, word: u32) {
        self.out.extend_from_slice(&word.to_be_bytes());
    }

    fn block(&mut self, block: &ReportBlock) {
        let lost = block.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned() & 0xff_ffff;
        self.word(block.ssrc.0);
        self.word(u32::from(block.fraction_lost) << 24 | lost);
        self.word(block.highest_sequence);
        self.word(block.jitter);
        self.word(block.last_sr);
        self.word(block.delay_since_last_sr);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RtcpItem, parse};
    use super::*;

    const US: Ssrc = Ssrc(0x1111_1111);
    const THEM: Ssrc = Ssrc(0x2222_2222);

    fn written(write: impl FnOnce(&mut RtcpWriter<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut RtcpWriter::new(&mut out));
        assert!(out.len().is_multiple_of(4));
        if out.is_empty() {
            return out;
        }
        rtcp_types::Compound::parse(&out).unwrap().for_each(|packet| assert!(packet.is_ok()));
        out
    }

    fn items(bytes: &[u8]) -> Vec<RtcpItem<'_>> {
        let mut items = Vec::new();
        parse(bytes, &mut |item| items.push(item));
        items
    }

    fn block(n: u32) -> ReportBlock {
        ReportBlock {
            ssrc: Ssrc(n),
            fraction_lost: n as u8,
            cumulative_lost: 5 - n.cast_signed(),
            highest_sequence: n << 16 | 7,
            jitter: 90,
            last_sr: 0xdead_beef,
            delay_since_last_sr: 65_536,
        }
    }

    #[test]
    fn a_compound_reads_back_as_it_was_written() {
        let bytes = written(|to| {
            to.sender_report(US, 0x0102_0304_0506_0708, 9000, 10, 1000, &[block(1)]);
            to.sdes_cname(US, "strait");
            to.pli(US, THEM);
            to.fir(US, THEM, 77);
        });
        let expected = [
            RtcpItem::SenderReport {
                ssrc: US,
                ntp: 0x0102_0304_0506_0708,
                rtp_timestamp: 9000,
                packets: 10,
                octets: 1000,
            },
            RtcpItem::ReportBlock { sender: US, block: block(1) },
            RtcpItem::Other,
            RtcpItem::Pli { media: THEM },
            RtcpItem::Fir { media: THEM, command: 77 },
        ];
        assert_eq!(items(&bytes), expected);
    }

    #[test]
    fn many_report_blocks_are_split() {
        let blocks: Vec<ReportBlock> = (0..70).map(block).collect();
        let bytes = written(|to| to.receiver_report(US, &blocks));
        assert_eq!(bytes.len(), 3 * 8 + 70 * 24);
        let read: Vec<RtcpItem<'_>> = items(&bytes);
        let expected: Vec<_> =
            blocks.iter().map(|&block| RtcpItem::ReportBlock { sender: US, block }).collect();
        assert_eq!(read, expected);
        assert_eq!(written(|to| to.receiver_report(US, &[])).len(), 8, "an empty report is a packet");
    }

    #[test]
    fn losses_beyond_24_bits_are_clamped() {
        let mut far = block(1);
        far.cumulative_lost = i32::MIN;
        let bytes = written(|to| to.receiver_report(US, &[far]));
        let [RtcpItem::ReportBlock { block, .. }] = items(&bytes)[..] else { panic!() };
        assert_eq!(block.cumulative_lost, -0x80_0000);
    }

    #[test]
    fn a_nack_packs_neighbours_and_passes_the_wrap() {
        let lost = [10, 11, 26, 27, 65_535, 0, 15, 16];
        let bytes = written(|to| to.nack(US, THEM, &lost));
        assert_eq!(bytes.len(), 12 + 4 * 4);
        let [RtcpItem::Nack { media, lost: read }] = items(&bytes)[..] else { panic!() };
        assert_eq!(media, THEM);
        assert_eq!(read.collect::<Vec<_>>(), lost);
        assert!(written(|to| to.nack(US, THEM, &[])).is_empty());
    }

    #[test]
    fn a_scattered_nack_is_split_into_packets_that_fit() {
        let lost: Vec<u16> = (0..1000).map(|n| n * 20).collect();
        let bytes = written(|to| to.nack(US, THEM, &lost));
        let mut read = Vec::new();
        parse(&bytes, &mut |item| {
            let RtcpItem::Nack { lost, .. } = item else { panic!() };
            read.extend(lost);
        });
        assert_eq!(read, lost);
        assert_eq!(bytes.len(), 4 * 12 + 1000 * 4);
    }

    #[test]
    fn a_name_of_any_length_ends_with_a_zero_at_a_word() {
        for len in 0..20 {
            let bytes = written(|to| to.sdes_cname(US, &"n".repeat(len)));
            assert_eq!(bytes.last(), Some(&0));
        }
        written(|to| to.sdes_cname(US, &"n".repeat(300)));
    }
}

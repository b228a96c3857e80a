//! Writes decrypted packets into a capture file for tools such as Wireshark, in the classic format with nanoseconds and
//! raw IP packets (link type 101). The IP and UDP headers are made up, also for packets that came by ICE-TCP.

use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use super::wiretap::{Plain, PlainObserver, Way};
use crate::core::room::Room;

const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const LINK_TYPE_RAW: u32 = 101;
const SNAP_LENGTH: u32 = 65_535;
const UDP: u8 = 17;
const UDP_HEADER_BYTES: u16 = 8;

/// Writes a capture file.
#[derive(Debug)]
pub struct PcapWriter<W> {
    out: W,
    created_unix: Duration,
    /// How many packets were written so far.
    pub packets: u64,
    /// The first error, after which nothing is written.
    pub failed: Option<io::Error>,
}

impl<W: Write> PcapWriter<W> {
    /// Begins a capture of a room that was made at this time, since 1970.
    pub fn new(mut out: W, created_unix: Duration) -> io::Result<Self> {
        // Version 2.4, no time zone, no accuracy, as every writer has it.
        let mut header = Vec::new();
        header.extend_from_slice(&MAGIC_NANOSECONDS.to_le_bytes());
        header.extend_from_slice(&2_u16.to_le_bytes());
        header.extend_from_slice(&4_u16.to_le_bytes());
        header.extend_from_slice(&[0; 8]);
        header.extend_from_slice(&SNAP_LENGTH.to_le_bytes());
        header.extend_from_slice(&LINK_TYPE_RAW.to_le_bytes());
        out.write_all(&header)?;
        Ok(Self { out, created_unix, packets: 0, failed: None })
    }

    /// Ends the file, and returns how many packets are in it. Fails if anything could not be written.
    pub fn finish(mut self) -> io::Result<u64> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.out.flush()?;
        Ok(self.packets)
    }

    fn write(&mut self, packet: &Plain<'_>) -> io::Result<()> {
        let (source, destination) = match packet.way {
            Way::In => (packet.path.remote, packet.path.local),
            Way::Out => (packet.path.local, packet.path.remote),
        };
        let Ok(payload_len) = u16::try_from(packet.bytes.len()) else { return Ok(()) };
        let Some(udp_len) = payload_len.checked_add(UDP_HEADER_BYTES) else { return Ok(()) };
        let mut udp = Vec::with_capacity(usize::from(udp_len));
        for field in [source.port(), destination.port(), udp_len, 0] {
            udp.extend_from_slice(&field.to_be_bytes());
        }
        udp.extend_from_slice(packet.bytes);
        let mut frame = Vec::with_capacity(udp.len() + 40);
        match (source.ip(), destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let Some(total) = udp_len.checked_add(20) else { return Ok(()) };
                // Version 4 with five words of header, no fragments, and a checksum that counts as zero at first. UDP may
                // leave its own checksum zero over IPv4.
                frame.extend_from_slice(&[0x45, 0]);
                frame.extend_from_slice(&total.to_be_bytes());
                frame.extend_from_slice(&[0, 0, 0x40, 0, 64, UDP, 0, 0]);
                frame.extend_from_slice(&source.octets());
                frame.extend_from_slice(&destination.octets());
                let sum = internet_checksum(&[&frame]);
                frame[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            (source, destination) => {
                let (source, destination) = (v6(source), v6(destination));
                frame.extend_from_slice(&[0x60, 0, 0, 0]);
                frame.extend_from_slice(&udp_len.to_be_bytes());
                frame.extend_from_slice(&[UDP, 64]);
                frame.extend_from_slice(&source);
                frame.extend_from_slice(&destination);
                // Over IPv6, UDP must have a checksum (RFC 8200 §8.1), which covers a pseudo-header too. Zero would say
                // that there is none.
                let pseudo = [&[0, 0], udp_len.to_be_bytes().as_slice(), &[0, 0, 0, UDP]].concat();
                let sum = match internet_checksum(&[&source, &destination, &pseudo, &udp]) {
                    0 => 0xffff,
                    sum => sum,
                };
                udp[6..8].copy_from_slice(&sum.to_be_bytes());
            }
        }
        frame.extend_from_slice(&udp);
        let at = self.created_unix + packet.at;
        let length = u32::try_from(frame.len()).unwrap_or(SNAP_LENGTH);
        // The seconds of this format overflow in the year 2106.
        for field in [at.as_secs() as u32, at.subsec_nanos(), length, length] {
            self.out.write_all(&field.to_le_bytes())?;
        }
        self.out.write_all(&frame)?;
        self.packets += 1;
        Ok(())
    }
}

impl<W: Write> PlainObserver for PcapWriter<W> {
    fn on_packet(&mut self, packet: &Plain<'_>, _: &Room) {
        if self.failed.is_none() {
            self.failed = self.write(packet).err();
        }
    }
}

fn v6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// Returns the checksum of RFC 1071 over pieces, of which all but the last have an even length.
fn internet_checksum(pieces: &[&[u8]]) -> u16 {
    let words = pieces.iter().flat_map(|piece| piece.chunks(2));
    let sum: u64 =
        words.map(|word| u64::from(word[0]) << 8 | u64::from(word.get(1).copied().unwrap_or(0))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !(folded as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        let header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01,
            0xc0, 0xa8, 0x00, 0xc7,
        ];
        assert_eq!(internet_checksum(&[&header]), 0xb861);
        assert_eq!(internet_checksum(&[&header[..8], &header[8..]]), 0xb861);
    }
}

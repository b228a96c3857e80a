//! RTP headers: read from packets that may still be encrypted, written for packets about to be sent.
//!
//! RFC 3550 §5.1 (fixed header, CSRC list, padding), §5.3.1 (extension block); the elements of the block are
//! RFC 8285's, see [`super::rtp_extensions`]. SRTP (RFC 3711 §3.1) leaves the header in the clear and
//! encrypts payload and padding, so a header is parsed before decryption and the padding is looked at only
//! after it.

use super::Malformed;
use super::classify::RTP_FIXED_HEADER_LEN;
use super::cursor::Cursor;

pub use super::rtp_extensions::{EXTENSION_BLOCK_CAPACITY, ExtensionBlock, Extensions};

/// Bytes [`write_header`] needs at most.
pub const RTP_HEADER_WRITE_MAX: usize = RTP_FIXED_HEADER_LEN + 4 + EXTENSION_BLOCK_CAPACITY;

/// The header of one RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// The marker bit: with video, the last packet of a frame.
    pub marker: bool,
    /// The payload type, 0–127.
    pub payload_type: u8,
    /// The sequence number, modulo 2^16.
    pub sequence: u16,
    /// The media timestamp in units of the codec's clock rate, modulo 2^32.
    pub timestamp: u32,
    /// The sender's synchronisation source.
    pub ssrc: u32,
    /// The P bit: the (decrypted) payload ends in padding.
    pub has_padding: bool,
    /// Bytes before the payload: fixed header, CSRC list and extension block.
    pub header_len: usize,
    extension_profile: u16,
    /// Where the elements of the extension block begin; they end with the header. Without a block, there too.
    extension_start: usize,
}

impl RtpHeader {
    /// Parses the header of `packet`, encrypted or not. What follows the header is not looked at and may be
    /// empty.
    ///
    /// # Errors
    /// [`Malformed`] if the version is not 2 or the packet ends before its header does.
    pub fn parse(packet: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(packet);
        let first = cursor.u8()?;
        if first >> 6 != 2 {
            return Err(Malformed);
        }
        let second = cursor.u8()?;
        let sequence = cursor.u16()?;
        let timestamp = cursor.u32()?;
        let ssrc = cursor.u32()?;
        cursor.take(usize::from(first & 0x0f) * 4)?;
        let mut extension_profile = 0;
        let mut extension_start = cursor.position();
        if first & 0x10 != 0 {
            extension_profile = cursor.u16()?;
            let words = cursor.u16()?;
            extension_start = cursor.position();
            cursor.take(usize::from(words) * 4)?;
        }
        Ok(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence,
            timestamp,
            ssrc,
            has_padding: first & 0x20 != 0,
            header_len: cursor.position(),
            extension_profile,
            extension_start,
        })
    }

    /// The data of the first extension element called `id`, from the `packet` this header was parsed from. In
    /// the two-byte form it may be empty.
    pub fn extension<'a>(&self, packet: &'a [u8], id: u8) -> Option<&'a [u8]> {
        self.extensions(packet).find(|&(found, _)| found == id).map(|(_, data)| data)
    }

    /// All extension elements, as `(id, data)`, of the `packet` this header was parsed from.
    pub fn extensions<'a>(&self, packet: &'a [u8]) -> Extensions<'a> {
        let block = packet.get(self.extension_start..self.header_len).unwrap_or_default();
        Extensions::new(self.extension_profile, block)
    }

    /// The payload of the `decrypted` packet this header belongs to, without padding. Empty for a packet that
    /// is all padding, as bandwidth probes are.
    ///
    /// # Errors
    /// [`Malformed`] if the padding claims to be 0 bytes or more than follow the header (RFC 3550 §5.1).
    pub fn payload<'a>(&self, decrypted: &'a [u8]) -> Result<&'a [u8], Malformed> {
        let payload = decrypted.get(self.header_len..).ok_or(Malformed)?;
        if !self.has_padding {
            return Ok(payload);
        }
        let padding = usize::from(*payload.last().ok_or(Malformed)?);
        if padding == 0 {
            return Err(Malformed);
        }
        let end = payload.len().checked_sub(padding).ok_or(Malformed)?;
        payload.get(..end).ok_or(Malformed)
    }
}

/// What a header to be written says. There are no CSRCs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpFields {
    /// The marker bit, whose meaning the codec defines.
    pub marker: bool,
    /// The payload type, 0–127.
    pub payload_type: u8,
    /// The sequence number, modulo 2^16.
    pub sequence: u16,
    /// The media timestamp in units of the codec's clock rate.
    pub timestamp: u32,
    /// SSRC, the stream's name.
    pub ssrc: u32,
    /// The P bit: the packet ends in padding, whose last byte says how many bytes of padding there are.
    pub has_padding: bool,
}

/// Writes an RTP header with `extensions` to the start of `out`; the X bit is set only if there are any.
///
/// Returns the header's length, at most [`RTP_HEADER_WRITE_MAX`]; the payload belongs right behind it.
/// `None`, with `out` in an unspecified state, if `out` is too short or the payload type is over 127.
pub fn write_header(out: &mut [u8], fields: &RtpFields, extensions: &ExtensionBlock) -> Option<usize> {
    if fields.payload_type > 0x7f {
        return None;
    }
    let (fixed, rest) = out.split_first_chunk_mut::<RTP_FIXED_HEADER_LEN>()?;
    let extension_len = extensions.write(rest)?;
    let [s0, s1] = fields.sequence.to_be_bytes();
    let [t0, t1, t2, t3] = fields.timestamp.to_be_bytes();
    let [i0, i1, i2, i3] = fields.ssrc.to_be_bytes();
    let first = 0x80 | (u8::from(fields.has_padding) << 5) | (u8::from(!extensions.is_empty()) << 4);
    let second = (u8::from(fields.marker) << 7) | fields.payload_type;
    *fixed = [first, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3];
    Some(RTP_FIXED_HEADER_LEN + extension_len)
}

#[cfg(test)]
mod tests {
    use super::super::noise::{Noise, with_random_bytes};
    use super::*;

    const PLAIN: [u8; 14] = [0x80, 0xef, 0x12, 0x34, 1, 2, 3, 4, 0xde, 0xad, 0xbe, 0xef, 0x55, 0x66];

    #[test]
    fn a_plain_header_is_read() {
        let header = RtpHeader::parse(&PLAIN).unwrap();
        assert!(header.marker && !header.has_padding);
        assert_eq!((header.payload_type, header.sequence), (111, 0x1234));
        assert_eq!((header.timestamp, header.ssrc), (0x0102_0304, 0xdead_beef));
        assert_eq!(header.header_len, 12);
        assert_eq!(header.payload(&PLAIN), Ok(&[0x55, 0x66][..]));
        assert_eq!(header.extensions(&PLAIN).count(), 0);
    }

    #[test]
    fn csrcs_and_extensions_belong_to_the_header() {
        let mut packet = vec![0x92, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 9, 9, 9, 8, 8, 8, 8];
        packet.extend([0xbe, 0xde, 0, 2, 0x30, b'a', 0x51, b'b', b'c', 0, 0, 0, 0x77]);
        let header = RtpHeader::parse(&packet).unwrap();
        assert_eq!(header.header_len, 32);
        assert_eq!(header.extension(&packet, 3), Some(&b"a"[..]));
        assert_eq!(header.extension(&packet, 5), Some(&b"bc"[..]));
        assert_eq!(header.extension(&packet, 0), None);
        assert_eq!(header.payload(&packet), Ok(&[0x77][..]));
        for length in 0..32 {
            assert_eq!(RtpHeader::parse(&packet[..length]), Err(Malformed), "{length} bytes");
        }
        assert!(RtpHeader::parse(&packet[..32]).is_ok());
    }

    #[test]
    fn other_versions_are_refused() {
        for version in [0x00, 0x40, 0xc0] {
            let mut packet = PLAIN;
            packet[0] = version;
            assert_eq!(RtpHeader::parse(&packet), Err(Malformed));
        }
    }

    #[test]
    fn padding_is_stripped_and_its_length_checked() {
        let padded = |tail: &[u8]| {
            let mut packet = PLAIN[..12].to_vec();
            packet[0] |= 0x20;
            packet.extend(tail);
            RtpHeader::parse(&packet).unwrap().payload(&packet).map(<[u8]>::to_vec)
        };
        assert_eq!(padded(&[1, 2, 0, 2]), Ok(vec![1, 2]));
        assert_eq!(padded(&[0, 0, 3]), Ok(vec![]), "nothing but padding");
        assert_eq!(padded(&[1, 1, 4]), Err(Malformed), "more than there is");
        assert_eq!(padded(&[1, 0]), Err(Malformed), "its own count byte is missing");
        assert_eq!(padded(&[]), Err(Malformed));
    }

    #[test]
    fn headers_survive_the_way_through_bytes() {
        let mut noise = Noise::new(3550);
        for _ in 0..2_000 {
            let fields = RtpFields {
                marker: noise.next() & 1 == 1,
                payload_type: (noise.next() & 0x7f) as u8,
                sequence: noise.next() as u16,
                timestamp: noise.next() as u32,
                ssrc: noise.next() as u32,
                has_padding: noise.next() & 1 == 1,
            };
            let mut block = ExtensionBlock::new();
            let with_extension = noise.next() & 1 == 1 && block.push(7, &[1, 2, 3]);
            let mut out = [0xff; RTP_HEADER_WRITE_MAX];
            let length = write_header(&mut out, &fields, &block).unwrap();
            let read = RtpHeader::parse(&out[..length]).unwrap();
            assert_eq!(read.header_len, length);
            assert_eq!(read.extension(&out, 7), with_extension.then_some(&[1, 2, 3][..]));
            let read_fields = RtpFields {
                marker: read.marker,
                payload_type: read.payload_type,
                sequence: read.sequence,
                timestamp: read.timestamp,
                ssrc: read.ssrc,
                has_padding: read.has_padding,
            };
            assert_eq!(read_fields, fields);
        }
    }

    #[test]
    fn the_largest_header_fits_its_bound_and_no_less() {
        let fields = RtpFields {
            marker: false,
            payload_type: 96,
            sequence: 0,
            timestamp: 0,
            ssrc: 0,
            has_padding: false,
        };
        let mut block = ExtensionBlock::new();
        assert!(block.push(1, &[0; EXTENSION_BLOCK_CAPACITY - 2]));
        let mut out = [0; RTP_HEADER_WRITE_MAX];
        assert_eq!(write_header(&mut out, &fields, &block), Some(RTP_HEADER_WRITE_MAX));
        assert_eq!(write_header(&mut out[1..], &fields, &block), None);
        assert_eq!(write_header(&mut out[..11], &fields, &ExtensionBlock::new()), None);
        assert_eq!(write_header(&mut out, &RtpFields { payload_type: 128, ..fields }, &block), None);
    }

    #[test]
    fn random_bytes_are_survived() {
        with_random_bytes(&[0xb1, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 9, 9, 9, 0xbe, 0xde, 0, 2], |bytes| {
            if let Ok(header) = RtpHeader::parse(bytes) {
                assert!(header.header_len <= bytes.len());
                header.extensions(bytes).count();
                let _ = header.payload(bytes);
                assert_eq!(header.extensions(&[]).count(), 0);
                assert_eq!(header.payload(&[]), Err(Malformed));
            }
        });
    }
}

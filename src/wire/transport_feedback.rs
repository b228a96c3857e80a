//! Transport-wide feedback, as whoever sent the packets reads it: which of them came, and when.
//!
//! draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1. A few bytes can tell of 65,535 packets, so that reading is lazy:
//! what a reader does not ask for costs nothing.

use super::Malformed;
use super::cursor::Cursor;

/// Microseconds in a unit of the times that are told.
const TICK_MICROS: i64 = 250;
/// Header, two SSRCs, base, count, reference time and number.
const CHUNKS_AT: usize = 20;
/// The bit of a header that says that padding follows.
const PADDED: u8 = 0x20;

/// One packet of feedback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    /// The number of the first packet that it tells of.
    pub base: u16,
    /// How many packets it tells of; not 0.
    pub count: u16,
    /// What the times count from, in units of 64 ms of the receiver's clock; 24 bits.
    pub reference: u32,
    /// Goes up by one with each packet of feedback.
    pub number: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> TransportFeedback<'a> {
    /// Reads a whole RTCP packet, header included, whose type (205) and format (15) have been looked at already.
    ///
    /// # Errors
    /// [`Malformed`] if it tells of no packet, if statuses or times are missing, or if a status is one that means nothing.
    pub fn parse(packet: &'a [u8]) -> Result<Self, Malformed> {
        let padding = match packet.first() {
            Some(head) if head & PADDED != 0 => usize::from(*packet.last().ok_or(Malformed)?),
            _ => 0,
        };
        let end = packet.len().checked_sub(padding).ok_or(Malformed)?;
        let mut cursor = Cursor::new(packet.get(..end).ok_or(Malformed)?);
        cursor.take(CHUNKS_AT - 8)?;
        let (base, count) = (cursor.u16()?, cursor.u16()?);
        let rest = cursor.u32()?;
        if count == 0 {
            return Err(Malformed);
        }
        let (mut left, mut delta_bytes) = (count, 0);
        while left > 0 {
            let chunk = Chunk(cursor.u16()?);
            let statuses = chunk.count().min(left);
            delta_bytes += chunk.delta_bytes(statuses)?;
            left -= statuses;
        }
        let chunks_end = cursor.position();
        let deltas = cursor.take(delta_bytes)?;
        let chunks = packet.get(CHUNKS_AT..chunks_end).ok_or(Malformed)?;
        Ok(Self { base, count, reference: rest >> 8, number: rest as u8, chunks, deltas })
    }

    /// Returns of each packet from [`base`](Self::base) on when it came, in microseconds since the reference time; `None` if
    /// it had not come.
    pub fn arrivals(&self) -> Arrivals<'a> {
        Arrivals {
            chunks: self.chunks,
            deltas: self.deltas,
            left: self.count,
            chunk: Chunk(0),
            place: 0,
            at: 0,
        }
    }
}

/// Statuses of packets that follow each other (§3.1.3, §3.1.4).
#[derive(Debug, Clone, Copy)]
struct Chunk(u16);

impl Chunk {
    /// How many packets it tells of.
    fn count(self) -> u16 {
        match self.0 >> 14 {
            0 | 1 => self.0 & 0x1fff,
            2 => 14,
            _ => 7,
        }
    }

    /// The status of the packet at a place of it: 0 for one that has not come, else how many bytes its time takes.
    fn status(self, place: u16) -> u16 {
        match self.0 >> 14 {
            0 | 1 => self.0 >> 13 & 3,
            2 => self.0 >> (13 - place) & 1,
            _ => self.0 >> (12 - 2 * place) & 3,
        }
    }

    /// How many bytes the times of its first packets take.
    fn delta_bytes(self, statuses: u16) -> Result<usize, Malformed> {
        let size = |status: u16| if status == 3 { Err(Malformed) } else { Ok(usize::from(status)) };
        match self.0 >> 15 {
            0 => Ok(size(self.status(0))? * usize::from(statuses)),
            _ => (0..statuses).map(|place| size(self.status(place))).sum(),
        }
    }
}

/// What [`TransportFeedback::arrivals`] returns.
#[derive(Debug, Clone)]
pub struct Arrivals<'a> {
    chunks: &'a [u8],
    deltas: &'a [u8],
    left: u16,
    chunk: Chunk,
    /// The place in the chunk that comes next.
    place: u16,
    at: i64,
}

impl Iterator for Arrivals<'_> {
    type Item = Option<i64>;

    fn next(&mut self) -> Option<Option<i64>> {
        self.left = self.left.checked_sub(1)?;
        while self.place >= self.chunk.count() {
            let (chunk, rest) = self.chunks.split_first_chunk()?;
            self.chunks = rest;
            self.chunk = Chunk(u16::from_be_bytes(*chunk));
            self.place = 0;
        }
        let status = self.chunk.status(self.place);
        self.place += 1;
        let ticks = match status {
            0 => return Some(None),
            1 => {
                let (&delta, rest) = self.deltas.split_first()?;
                self.deltas = rest;
                i64::from(delta)
            }
            _ => {
                let (delta, rest) = self.deltas.split_first_chunk()?;
                self.deltas = rest;
                i64::from(i16::from_be_bytes(*delta))
            }
        };
        self.at += ticks * TICK_MICROS;
        Some(Some(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::super::noise::with_random_bytes;
    use super::*;

    /// A packet that begins with number 10 at a reference time of 2.
    fn packet(count: u16, chunks: &[u16], deltas: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 10];
        packet.extend_from_slice(&count.to_be_bytes());
        packet.extend_from_slice(&[0, 0, 2, 77]);
        packet.extend(chunks.iter().flat_map(|chunk| chunk.to_be_bytes()));
        packet.extend_from_slice(deltas);
        packet
    }

    fn arrivals(packet: &[u8]) -> Vec<Option<i64>> {
        TransportFeedback::parse(packet).map_or(Vec::new(), |feedback| feedback.arrivals().collect())
    }

    #[test]
    fn what_came_is_read() {
        // §3.1.3: five packets with small deltas.
        let run = packet(5, &[0x2005], &[4, 4, 0, 8, 255]);
        assert_eq!(arrivals(&run), [1_000, 2_000, 2_000, 4_000, 67_750].map(Some));
        // §3.1.4, one bit each: the first and the last of fourteen, of which six are told of.
        let bits = packet(6, &[0b1010_0001_0000_0001], &[1, 2]);
        assert_eq!(arrivals(&bits), [Some(250), None, None, None, None, Some(750)]);
        // Two bits each: small, lost, large, lost, small.
        let pairs = packet(5, &[0b1101_0010_0001_0000], &[4, 0xff, 0xfe, 3]);
        assert_eq!(arrivals(&pairs), [Some(1_000), None, Some(500), None, Some(1_250)]);
        let both = packet(4, &[0x0002, 0x4002], &[1, 0, 0x80, 0]);
        assert_eq!(arrivals(&both), [None, None, Some(64_000), Some(64_000 - 8_192_000)]);
    }

    #[test]
    fn the_header_is_read() {
        let bytes = packet(1, &[0x2001], &[0]);
        let feedback = TransportFeedback::parse(&bytes).expect("well formed");
        assert_eq!((feedback.base, feedback.count, feedback.reference, feedback.number), (10, 1, 2, 77));
    }

    #[test]
    fn padding_is_no_time() {
        let mut padded = packet(1, &[0x2001], &[4, 0, 0, 3]);
        padded[0] |= PADDED;
        assert_eq!(arrivals(&padded), [Some(1_000)]);
        for padding in [4, 200] {
            *padded.last_mut().expect("not empty") = padding;
            assert_eq!(TransportFeedback::parse(&padded), Err(Malformed), "{padding} bytes of padding");
        }
    }

    #[test]
    fn what_is_missing_is_noticed() {
        let whole = packet(9, &[0x2002, 0xd555], &[1; 9]);
        assert_eq!(arrivals(&whole).len(), 9);
        for length in 0..whole.len() {
            assert_eq!(TransportFeedback::parse(&whole[..length]), Err(Malformed), "{length} bytes");
        }
        let cases = [
            ("no packets", packet(0, &[], &[])),
            ("no such status in a run", packet(1, &[0x6001], &[0; 8])),
            ("no such status in a vector", packet(7, &[0xc003], &[0; 8])),
        ];
        for (name, bytes) in cases {
            assert_eq!(TransportFeedback::parse(&bytes), Err(Malformed), "{name}");
        }
        assert_eq!(arrivals(&packet(6, &[0xc003], &[])), [None; 6], "what is not told of may be anything");
        assert_eq!(arrivals(&packet(1, &[0, 0, 0x0001], &[])), [None], "runs of nothing");
    }

    #[test]
    fn few_bytes_tell_of_many_packets() {
        let chunks = [0x1fff; 9];
        assert_eq!(arrivals(&packet(u16::MAX, &chunks, &[])).len(), 65_535);
    }

    #[test]
    fn as_many_are_read_as_are_told_of() {
        with_random_bytes(&packet(9, &[0xd555, 0x2002], &[1; 9]), |bytes| {
            if let Ok(feedback) = TransportFeedback::parse(bytes) {
                assert_eq!(feedback.arrivals().count(), usize::from(feedback.count));
            }
        });
    }
}

//! SCTP packets, as far as one has to look into them before an association takes them (RFC 9260 §3): which chunks there
//! are, and what DATA, SACK and INIT say about transmission sequence numbers.

use super::Malformed;

/// The common header: ports, verification tag and checksum.
const HEADER_BYTES: usize = 12;
/// The head of a chunk: type, flags and length.
const CHUNK_HEAD_BYTES: usize = 4;
/// What DATA has in front of its user data: its head, the sequence numbers, the stream and the protocol identifier.
const DATA_HEAD_BYTES: usize = 16;

/// A chunk that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// DATA (RFC 9260 §3.3.1).
    Data {
        /// Its transmission sequence number.
        tsn: u32,
        /// The stream on which it comes.
        stream: u16,
    },
    /// INIT (§3.3.2), with the sequence number of its sender's first DATA.
    Init {
        /// That number.
        first_tsn: u32,
    },
    /// SACK (§3.3.4), with the last sequence number up to which its sender has received everything.
    Sack {
        /// That number.
        cumulative: u32,
    },
    /// Any other.
    Other(u8),
}

/// Reads the chunks of a packet. The iterator ends behind the first chunk that is malformed.
pub fn chunks(packet: &[u8]) -> impl Iterator<Item = Result<Chunk, Malformed>> {
    let mut rest = packet.get(HEADER_BYTES..);
    std::iter::from_fn(move || {
        let bytes = match rest {
            Some([]) => return None,
            Some(bytes) => bytes,
            // The packet has no whole header.
            None => {
                rest = Some(&[]);
                return Some(Err(Malformed));
            }
        };
        let read = chunk(bytes);
        rest = Some(read.map_or(&[], |(_, behind)| behind));
        Some(read.map(|(chunk, _)| chunk).ok_or(Malformed))
    })
}

/// Reads the first chunk, and returns it with what stands behind it.
fn chunk(bytes: &[u8]) -> Option<(Chunk, &[u8])> {
    let [kind, _, high, low] = *bytes.first_chunk::<CHUNK_HEAD_BYTES>()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let body = bytes.get(..length)?;
    let word =
        |at: usize| body.get(at..at + 4).and_then(|four| Some(u32::from_be_bytes(four.try_into().ok()?)));
    let chunk = match kind {
        0 if length < DATA_HEAD_BYTES => return None,
        0 => Chunk::Data { tsn: word(4)?, stream: (word(8)? >> 16) as u16 },
        1 => Chunk::Init { first_tsn: word(16)? },
        3 => Chunk::Sack { cumulative: word(4)? },
        _ if length < CHUNK_HEAD_BYTES => return None,
        other => Chunk::Other(other),
    };
    // Chunks are padded to a multiple of four bytes; the padding of the last one may be missing.
    Some((chunk, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::noise::with_random_bytes;

    const HEADER: [u8; 12] = [0x13, 0x88, 0x13, 0x88, 0, 0, 0, 1, 0, 0, 0, 0];

    fn packet(chunks: &[&[u8]]) -> Vec<u8> {
        [&HEADER[..], &chunks.concat()].concat()
    }

    #[test]
    fn chunks_are_read_one_after_the_other() {
        let data = [0, 2, 0, 17, 0, 0, 0, 7, 0, 5, 0, 0, 0, 0, 0, 51, b'x', 0, 0, 0];
        let sack = [3, 0, 0, 16, 0, 0, 0, 9, 0, 1, 0, 0, 0, 0, 0, 0];
        let init = [1, 0, 0, 20, 1, 1, 1, 1, 0, 1, 0, 0, 0, 9, 0, 9, 0, 0, 0, 42];
        let bytes = packet(&[&data, &sack, &init, &[6, 0, 0, 4]]);
        let read: Vec<_> = chunks(&bytes).collect();
        let expected = [
            Chunk::Data { tsn: 7, stream: 5 },
            Chunk::Sack { cumulative: 9 },
            Chunk::Init { first_tsn: 42 },
            Chunk::Other(6),
        ];
        assert_eq!(read, expected.map(Ok));
    }

    #[test]
    fn a_malformed_chunk_is_the_last_one() {
        for bad in
            [&[0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[9, 0, 0, 3], &[9, 0], &[9, 0, 0, 9]]
        {
            let read: Vec<_> = chunks(&packet(&[&[10, 0, 0, 4], bad])).collect();
            assert_eq!(read, [Ok(Chunk::Other(10)), Err(Malformed)], "{bad:?}");
        }
        assert_eq!(chunks(&HEADER[..11]).collect::<Vec<_>>(), [Err(Malformed)]);
        assert_eq!(chunks(&HEADER).count(), 0);
    }

    #[test]
    fn no_packet_is_too_strange() {
        with_random_bytes(&HEADER, |bytes| assert!(chunks(bytes).count() <= bytes.len() + 1));
    }
}

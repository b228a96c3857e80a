//! The format of the file: an opening, then blocks, each with its length and a checksum, so that a file that was cut can
//! be read up to its last whole block. `docs/trace.md` describes it.

use std::io::{self, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::record::{RECORDS_VERSION, RoomHeader};

/// What a trace begins with.
pub const MAGIC: [u8; 8] = *b"STRAITTR";
/// The version of the file's structure, in front of all blocks.
pub const FILE_VERSION: u16 = 1;
/// Largest block, bytes before compression. A larger one is a fault or an attack.
pub const BLOCK_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes before a block's content: kind, length of the content, length before compression, checksum.
pub const BLOCK_HEADER_BYTES: usize = 13;

/// Longer than any call. Times of a trace have to be below it, so that a forged one cannot make them overflow.
pub const TIME_MAX: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BlockKind {
    /// The [`Header`], JSON; first, and once.
    Header = 1,
    /// Records, of which none is cut by the block's end.
    Records = 2,
    /// The [`EndOfTrace`], JSON; last.
    End = 3,
    /// [Facts](super::facts), of which none is cut: what a stripped trace has in place of records.
    Facts = 4,
}

impl BlockKind {
    /// Returns the kind with this number; `None` if there is none.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Header, Self::Records, Self::End, Self::Facts].into_iter().find(|kind| *kind as u8 == number)
    }
}

/// The first block: what was recorded, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The version of Strait that recorded.
    pub build: String,
    /// How records are encoded.
    pub records_version: u16,
    /// How facts are encoded, if the trace is stripped: it holds them in place of records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts_version: Option<u16>,
    /// What the room was made with.
    pub room: RoomHeader,
}

impl Header {
    /// Returns the header of a trace that this build records.
    pub fn new(room: RoomHeader) -> Self {
        Self {
            build: env!("CARGO_PKG_VERSION").to_owned(),
            records_version: RECORDS_VERSION,
            facts_version: None,
            room,
        }
    }

    /// Returns whether the trace holds neither media nor keys, and can be explained but not replayed.
    pub fn is_stripped(&self) -> bool {
        self.facts_version.is_some()
    }

    /// Returns when the room was made, since 1970.
    pub fn created_unix(&self) -> Duration {
        self.room.epoch_unix + self.room.created
    }
}

/// The last block: why nothing follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndOfTrace {
    /// Whether the trace holds all of the room's life.
    pub complete: bool,
    /// Why it ends, in words.
    pub reason: String,
}

/// Writes a trace block by block.
#[derive(Debug)]
pub struct TraceWriter<W> {
    out: W,
    written: u64,
}

impl<W: Write> TraceWriter<W> {
    /// Begins a trace with its header.
    pub fn new(out: W, header: &Header) -> io::Result<Self> {
        let mut writer = Self { out, written: 0 };
        let mut opening = MAGIC.to_vec();
        opening.extend_from_slice(&FILE_VERSION.to_le_bytes());
        writer.out.write_all(&opening)?;
        writer.written += opening.len() as u64;
        writer.block(BlockKind::Header, &serde_json::to_vec(header)?)?;
        Ok(writer)
    }

    /// Appends records, which must be whole ones.
    pub fn records(&mut self, records: &[u8]) -> io::Result<()> {
        self.block(BlockKind::Records, records)
    }

    /// Appends one block of that kind.
    pub fn block(&mut self, kind: BlockKind, content: &[u8]) -> io::Result<()> {
        if content.len() > BLOCK_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a block of a trace is too large"));
        }
        let packed = lz4_flex::block::compress(content);
        let too_large = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let mut header = vec![kind as u8];
        header.extend_from_slice(&u32::try_from(packed.len()).map_err(too_large)?.to_le_bytes());
        header.extend_from_slice(&u32::try_from(content.len()).map_err(too_large)?.to_le_bytes());
        header.extend_from_slice(&checksum(&header, &packed).to_le_bytes());
        // One write, so that a file is rarely cut inside a block.
        header.extend_from_slice(&packed);
        self.out.write_all(&header)?;
        self.written += header.len() as u64;
        Ok(())
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes the last block, and gives back what was written to.
    pub fn end(mut self, end: &EndOfTrace) -> io::Result<W> {
        self.block(BlockKind::End, &serde_json::to_vec(end)?)?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Passes on what waits.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// CRC-32 (ISO-HDLC) over what stands in front of it and what stands behind it.
pub fn checksum(header: &[u8], packed: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(header);
    crc.update(packed);
    crc.finalize()
}

//! The format of the file: a magic number and a version, then blocks, each with its length and a checksum, so that a
//! file that was cut can be read up to its last whole block. `docs/trace.md` describes it.

use std::io::{self, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::record::{RECORDS_VERSION, RoomHeader};

/// The first bytes of a trace.
pub const MAGIC: [u8; 8] = *b"STRAITTR";
/// The version of the file's structure, in front of all blocks.
pub const FILE_VERSION: u16 = 1;
/// The largest block, in bytes before compression. A larger one is a fault or an attack.
pub const BLOCK_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes before a block's content: kind, length of the content, length before compression, checksum.
pub const BLOCK_HEADER_BYTES: usize = 13;

/// The limit of times in a trace, longer than any call. It prevents overflows by forged traces.
pub const TIME_MAX: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// The kind of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BlockKind {
    /// The [`Header`] as JSON: the first block.
    Header = 1,
    /// Whole records.
    Records = 2,
    /// The [`EndOfTrace`] as JSON: the last block.
    End = 3,
    /// Whole [facts](super::facts), which a stripped trace has in place of records.
    Facts = 4,
}

impl BlockKind {
    /// Returns the kind with this number; `None` if there is none.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Header, Self::Records, Self::End, Self::Facts].into_iter().find(|kind| *kind as u8 == number)
    }
}

/// The first block: which room was recorded, and by which version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The version of Strait that recorded the trace.
    pub build: String,
    /// The version of the records' encoding.
    pub records_version: u16,
    /// The version of the facts' encoding, if the trace is stripped and has facts in place of records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts_version: Option<u16>,
    /// The room's name, settings and times.
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

    /// Returns whether the trace has neither media nor keys, so that it can be explained but not replayed.
    pub fn is_stripped(&self) -> bool {
        self.facts_version.is_some()
    }

    /// Returns when the room was made, since 1970.
    pub fn created_unix(&self) -> Duration {
        self.room.epoch_unix + self.room.created
    }
}

/// The last block: why the trace ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndOfTrace {
    /// Whether the trace covers the room's whole life.
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

    /// Returns how many bytes were written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes the last block, and returns the writer.
    pub fn end(mut self, end: &EndOfTrace) -> io::Result<W> {
        self.block(BlockKind::End, &serde_json::to_vec(end)?)?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Flushes the writer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Returns the CRC-32 (ISO-HDLC) of a block's header, without the checksum, and its compressed content.
pub fn checksum(header: &[u8], packed: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(header);
    crc.update(packed);
    crc.finalize()
}

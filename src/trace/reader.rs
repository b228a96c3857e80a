//! Reading a trace, encrypted or not, whole or cut. Total: whatever the file holds, the worst that comes of it is a
//! [`BadTrace`].

use std::fmt;
use std::io::{self, Read};

use super::facts::FACTS_VERSION;
use super::format::{
    BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, BlockKind, EndOfTrace, FILE_VERSION, Header, MAGIC, TIME_MAX,
    checksum,
};
use crate::core::record::{RECORDS_VERSION, Record};

/// What an encrypted file begins with (<https://age-encryption.org/v1>).
const AGE_MAGIC: &[u8] = b"age-encryption.org/";

/// Why a file cannot be used as a trace.
#[derive(Debug)]
pub enum BadTrace {
    /// It cannot be read.
    Io(io::Error),
    /// It is encrypted, and no key was given.
    NeedsKey,
    /// It is encrypted, to somebody else.
    WrongKey,
    /// The key is none.
    BadKey(String),
    /// It is something else.
    NoTrace,
    /// It was recorded by a version whose traces this build cannot read.
    Version {
        /// What the file says.
        found: u16,
        /// What this build reads.
        known: u16,
        /// The build that recorded, if the file says.
        build: Option<String>,
    },
    /// There is not even a whole header.
    NoHeader,
    /// It is stripped, and was to be replayed.
    Stripped,
    /// A record makes no sense, although the checksum of its block is right.
    BadRecord {
        /// How many steps there are in front of it.
        step: u64,
    },
}

impl fmt::Display for BadTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
            Self::NeedsKey => {
                f.write_str("it is encrypted; give the key that opens it with --identity KEYFILE")
            }
            Self::WrongKey => f.write_str(
                "this key does not open it; use the key whose recipient (age1…) stood behind --record-to",
            ),
            Self::BadKey(why) => {
                write!(
                    f,
                    "the key file is not one that age-keygen makes ({why}); it has a line AGE-SECRET-KEY-1…"
                )
            }
            Self::NoTrace => f.write_str("it is not a trace; traces are what `strait serve --record` writes"),
            Self::Version { found, known, build } => {
                write!(f, "it is of format {found}, and this build reads {known}; ")?;
                match build {
                    Some(build) => write!(f, "use Strait {build}, which recorded it"),
                    None => f.write_str("use the version of Strait that recorded it"),
                }
            }
            Self::NoHeader => {
                f.write_str("it was cut or damaged in its first block; nothing of it can be read")
            }
            Self::Stripped => f.write_str(
                "it is stripped of media and keys and cannot be replayed; `strait explain` reads it, and the trace that \
                 it was made from can be replayed",
            ),
            Self::BadRecord { step } => {
                write!(
                    f,
                    "the record behind step {step} makes no sense; the trace was not made by this format"
                )
            }
        }
    }
}

impl std::error::Error for BadTrace {}

impl From<io::Error> for BadTrace {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// How a trace ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// As its writer meant it to.
    Said(EndOfTrace),
    /// In the middle of a block: the server crashed, is still writing, or the file was not copied whole.
    Cut,
    /// A block's checksum is wrong; what follows is not used.
    Damaged {
        /// How far the file is good, bytes (of the decrypted file).
        offset: u64,
    },
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(end) => f.write_str(&end.reason),
            Self::Cut => {
                f.write_str("the file ends in the middle: the server was killed, or is still writing")
            }
            Self::Damaged { offset } => {
                write!(f, "the file is damaged behind byte {offset}; what stands there is not used")
            }
        }
    }
}

/// A trace that is being read, block by block.
pub struct Trace<'r> {
    input: Box<dyn Read + 'r>,
    header: Header,
    offset: u64,
    ending: Option<Ending>,
}

impl fmt::Debug for Trace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("header", &self.header).finish_non_exhaustive()
    }
}

/// What a block turned out to be.
enum Block {
    Whole(BlockKind, Vec<u8>),
    Ends(Ending),
}

impl<'r> Trace<'r> {
    /// Opens a trace. `identity` is the text of a key file, for an encrypted one.
    pub fn open(input: impl Read + 'r, identity: Option<&str>) -> Result<Self, BadTrace> {
        let mut input = io::BufReader::with_capacity(256 * 1024, input);
        let is_encrypted = io::BufRead::fill_buf(&mut input)?.starts_with(AGE_MAGIC);
        let mut input: Box<dyn Read + 'r> =
            if is_encrypted { decrypt(input, identity)? } else { Box::new(input) };
        let mut opening = [0; MAGIC.len() + 2];
        let opened = read_up_to(&mut input, &mut opening);
        if opened == 0 && is_encrypted {
            return Err(BadTrace::NoHeader);
        }
        if opened < opening.len() || opening[..MAGIC.len()] != MAGIC {
            return Err(BadTrace::NoTrace);
        }
        let version = u16::from_le_bytes([opening[MAGIC.len()], opening[MAGIC.len() + 1]]);
        if version != FILE_VERSION {
            return Err(BadTrace::Version { found: version, known: FILE_VERSION, build: None });
        }
        let mut offset = opening.len() as u64;
        let Block::Whole(BlockKind::Header, header) = read_block(&mut input, &mut offset) else {
            return Err(BadTrace::NoHeader);
        };
        // Only what says the version is read first: the rest may look different in another one.
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versions {
            build: String,
            records_version: u16,
            facts_version: Option<u16>,
        }
        let versions: Versions = serde_json::from_slice(&header).map_err(|_| BadTrace::NoHeader)?;
        let (found, known) = match versions.facts_version {
            Some(found) => (found, FACTS_VERSION),
            None => (versions.records_version, RECORDS_VERSION),
        };
        if found != known {
            return Err(BadTrace::Version { found, known, build: Some(versions.build) });
        }
        let header: Header = serde_json::from_slice(&header).map_err(|_| BadTrace::NoHeader)?;
        if header.room.created >= TIME_MAX || header.room.epoch_unix >= TIME_MAX {
            return Err(BadTrace::NoHeader);
        }
        Ok(Self { input, header, offset, ending: None })
    }

    /// Returns what the trace says of itself and its room.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next block but the last; `None` at the end, which [`Trace::ending`] then tells.
    pub fn next_block(&mut self) -> Option<(BlockKind, Vec<u8>)> {
        while self.ending.is_none() {
            match read_block(&mut self.input, &mut self.offset) {
                Block::Whole(BlockKind::End, content) => {
                    self.ending = Some(serde_json::from_slice(&content).map_or(Ending::Cut, Ending::Said));
                }
                Block::Whole(BlockKind::Header, _) => {}
                Block::Whole(kind, content) => return Some((kind, content)),
                Block::Ends(ending) => self.ending = Some(ending),
            }
        }
        None
    }

    /// How it ended, once it has.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }
}

/// The records of one block, in order. `None` in the middle: what follows is no record.
pub fn records(block: &[u8]) -> impl Iterator<Item = Option<Record<'_>>> {
    let mut rest = Some(block);
    std::iter::from_fn(move || {
        let bytes = rest.take().filter(|bytes| !bytes.is_empty())?;
        match postcard::take_from_bytes(bytes) {
            Ok((record, behind)) => {
                rest = Some(behind);
                Some(Some(record))
            }
            Err(_) => Some(None),
        }
    })
}

fn decrypt<'r>(input: impl io::BufRead + 'r, identity: Option<&str>) -> Result<Box<dyn Read + 'r>, BadTrace> {
    let Some(identity) = identity else { return Err(BadTrace::NeedsKey) };
    let identities = age::IdentityFile::from_buffer(identity.as_bytes())
        .map_err(|error| BadTrace::BadKey(error.to_string()))?
        .into_identities()
        .map_err(|error| BadTrace::BadKey(error.to_string()))?;
    let decryptor = age::Decryptor::new_buffered(input).map_err(|error| match error {
        age::DecryptError::Io(error) => BadTrace::Io(error),
        _ => BadTrace::NoTrace,
    })?;
    let decrypted = decryptor.decrypt(identities.iter().map(|identity| &**identity as &dyn age::Identity));
    match decrypted {
        Ok(reader) => Ok(Box::new(reader)),
        Err(_) => Err(BadTrace::WrongKey),
    }
}

fn read_block(input: &mut impl Read, offset: &mut u64) -> Block {
    let mut header = [0; BLOCK_HEADER_BYTES];
    if read_up_to(input, &mut header) < header.len() {
        return Block::Ends(Ending::Cut);
    }
    let damaged = Block::Ends(Ending::Damaged { offset: *offset });
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (packed_len, len, crc) = (word(1) as usize, word(5) as usize, word(9));
    // LZ4 makes what it cannot compress a little larger.
    if len > BLOCK_BYTES_MAX || packed_len > lz4_flex::block::get_maximum_output_size(BLOCK_BYTES_MAX) {
        return damaged;
    }
    let mut packed = Vec::new();
    // Grows with what is there, not with what the header claims.
    match input.take(packed_len as u64).read_to_end(&mut packed) {
        Ok(read) if read == packed_len => {}
        _ => return Block::Ends(Ending::Cut),
    }
    if checksum(&header[..BLOCK_HEADER_BYTES - 4], &packed) != crc {
        return damaged;
    }
    let Some(kind) = BlockKind::from_number(header[0]) else { return damaged };
    let Ok(content) = lz4_flex::block::decompress(&packed, len) else { return damaged };
    *offset += (BLOCK_HEADER_BYTES + packed_len) as u64;
    Block::Whole(kind, content)
}

/// Reads until the buffer is full or nothing more comes. A broken encrypted file ends where it breaks.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    filled
}

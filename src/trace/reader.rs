//! Reads a trace, encrypted or not, whole or cut. Whatever the file contains, the worst result is a [`BadTrace`].

use std::fmt;
use std::io::{self, Read};

use super::age;
use super::facts::FACTS_VERSION;
use super::format::{
    BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, BlockKind, EndOfTrace, FILE_VERSION, Header, MAGIC, TIME_MAX,
    checksum,
};
use crate::core::record::{RECORDS_VERSION, Record};

/// Why a file cannot be used as a trace.
#[derive(Debug)]
pub enum BadTrace {
    /// It cannot be read.
    Io(io::Error),
    /// It is encrypted, and no key was given.
    NeedsKey,
    /// It is encrypted, to somebody else.
    WrongKey,
    /// It is encrypted to a kind of key that Strait cannot read.
    OtherKind,
    /// The key file is not valid, for this reason.
    BadKey(&'static str),
    /// It is not a trace.
    NoTrace,
    /// It was recorded by a version whose traces this build cannot read.
    Version {
        /// The file's version.
        found: u16,
        /// The version that this build reads.
        known: u16,
        /// The build that recorded it, if the file says.
        build: Option<String>,
    },
    /// Its header is not complete.
    NoHeader,
    /// It is stripped, so it cannot be replayed.
    Stripped,
    /// A record is invalid, although the checksum of its block is right.
    BadRecord {
        /// How many steps come before it.
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
            Self::OtherKind => f.write_str(
                "it is encrypted by a passphrase, or to a key of another kind than age1…; decrypt it with \
                 `age -d -i KEYFILE -o OUT FILE`, and use OUT",
            ),
            Self::BadKey(why) => {
                write!(
                    f,
                    "the key file cannot be used: {why}; give the file that `strait trace keygen` or age-keygen \
                     made, which has a line AGE-SECRET-KEY-1…"
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
    /// With the last block, as its writer meant it to.
    Said(EndOfTrace),
    /// In the middle of a block: the server crashed, is still writing, or the file was not copied whole.
    Cut,
    /// The last piece of an encrypted file cannot be opened: the file was cut in it, or it is damaged.
    CutOrDamaged {
        /// How far the file is good, bytes (of the decrypted file).
        offset: u64,
    },
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
            Self::CutOrDamaged { offset } => write!(
                f,
                "the last piece of the file, behind byte {offset}, cannot be opened: the server was killed, or is \
                 still writing, or the file is damaged there"
            ),
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
        let is_encrypted = io::BufRead::fill_buf(&mut input)?.starts_with(age::MAGIC.as_bytes());
        let mut input: Box<dyn Read + 'r> =
            if is_encrypted { decrypt(input, identity)? } else { Box::new(input) };
        let mut opening = [0; MAGIC.len() + 2];
        let opened = match read_up_to(&mut input, &mut opening) {
            Ok(opened) if opened > 0 || !is_encrypted => opened,
            Err(error) if !is_encrypted => return Err(BadTrace::Io(error)),
            // There was a header, but nothing of the content behind it can be decrypted.
            _ => return Err(BadTrace::NoHeader),
        };
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
        // Only the versions are read first, because the rest may look different in another one.
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

    /// Returns the header, which describes the trace and its room.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the next block except the last one; `None` at the end, which [`Trace::ending`] then describes.
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

    /// Returns how the trace ends, once it was read to its end.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }
}

/// Returns the records of one block, in order; `None` where the bytes are not a record.
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
    let keys = age::read_key_file(identity).map_err(|age::BadKeyFile(why)| BadTrace::BadKey(why))?;
    match age::open(input, &keys) {
        Ok(opener) => Ok(Box::new(opener)),
        Err(age::OpenError::Io(error)) => Err(BadTrace::Io(error)),
        Err(age::OpenError::Damaged) => Err(BadTrace::NoHeader),
        Err(age::OpenError::OtherKind) => Err(BadTrace::OtherKind),
        Err(age::OpenError::WrongKey) => Err(BadTrace::WrongKey),
    }
}

fn read_block(input: &mut impl Read, offset: &mut u64) -> Block {
    let mut header = [0; BLOCK_HEADER_BYTES];
    match read_up_to(input, &mut header) {
        Ok(read) if read == header.len() => {}
        broken => return Block::Ends(broken_off(&broken, *offset)),
    }
    let damaged = Block::Ends(Ending::Damaged { offset: *offset });
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (packed_len, len, crc) = (word(1) as usize, word(5) as usize, word(9));
    // LZ4 makes incompressible content a little larger.
    if len > BLOCK_BYTES_MAX || packed_len > lz4_flex::block::get_maximum_output_size(BLOCK_BYTES_MAX) {
        return damaged;
    }
    let mut packed = Vec::new();
    // The buffer grows with what is read, not with what the header claims.
    match input.take(packed_len as u64).read_to_end(&mut packed) {
        Ok(read) if read == packed_len => {}
        broken => return Block::Ends(broken_off(&broken, *offset)),
    }
    if checksum(&header[..BLOCK_HEADER_BYTES - 4], &packed) != crc {
        return damaged;
    }
    let Some(kind) = BlockKind::from_number(header[0]) else { return damaged };
    let Ok(content) = lz4_flex::block::decompress(&packed, len) else { return damaged };
    *offset += (BLOCK_HEADER_BYTES + packed_len) as u64;
    Block::Whole(kind, content)
}

/// Returns how a file ends in which a block is not whole. An encrypted file that is damaged shows as an error of
/// reading.
fn broken_off(read: &io::Result<usize>, offset: u64) -> Ending {
    match read.as_ref().map_err(io::Error::kind) {
        Err(io::ErrorKind::InvalidData) => Ending::Damaged { offset },
        Err(io::ErrorKind::UnexpectedEof) => Ending::CutOrDamaged { offset },
        _ => Ending::Cut,
    }
}

/// Reads until the buffer is full or nothing more comes, and returns how many bytes it has.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

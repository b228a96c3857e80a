//! The stream: encrypted chunks, whose nonces contain their number and whether they are the last, so that none can be
//! changed, left out, moved or cut off unnoticed (the STREAM construction).

use std::io::{self, BufRead, Read, Write};

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};

use super::{KEY_BYTES, TAG_BYTES, cipher};

/// Bytes between the header and the first chunk, which make the stream's key.
pub const NONCE_BYTES: usize = 16;
/// Every chunk but the last holds this many bytes.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// The key of the chunks, and the number of the next one.
struct Chunks {
    key: LessSafeKey,
    number: u64,
}

impl Chunks {
    fn new(key: &[u8; KEY_BYTES]) -> io::Result<Self> {
        let key = cipher(key).map_err(|_| io::Error::other("the key of the stream cannot be used"))?;
        Ok(Self { key, number: 0 })
    }

    /// Returns the next nonce: eleven bytes of number, big endian, and one byte that says whether the chunk is the
    /// last.
    fn nonce(&self, is_last: bool) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[3..11].copy_from_slice(&self.number.to_be_bytes());
        nonce[11] = u8::from(is_last);
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&mut self, chunk: &mut Vec<u8>, is_last: bool) -> io::Result<()> {
        self.key
            .seal_in_place_append_tag(self.nonce(is_last), Aad::empty(), chunk)
            .map_err(|_| io::Error::other("a chunk cannot be sealed"))?;
        self.number += 1;
        Ok(())
    }

    /// Decrypts a chunk, if it is whole and in its place.
    fn open(&mut self, sealed: &[u8], is_last: bool) -> Option<Vec<u8>> {
        let mut chunk = sealed.to_vec();
        let bytes = self.key.open_in_place(self.nonce(is_last), Aad::empty(), &mut chunk).ok()?.len();
        self.number += 1;
        chunk.truncate(bytes);
        Some(chunk)
    }
}

/// Encrypts what is written to it. Only [`Sealer::finish`] writes the last chunk: a stream without it was cut.
pub struct Sealer<W> {
    out: W,
    chunks: Chunks,
    chunk: Vec<u8>,
}

impl<W: Write> Sealer<W> {
    pub(super) fn new(out: W, key: &[u8; KEY_BYTES]) -> io::Result<Self> {
        Ok(Self { out, chunks: Chunks::new(key)?, chunk: Vec::with_capacity(CHUNK_BYTES + TAG_BYTES) })
    }

    /// Writes the last chunk, and returns the writer.
    ///
    /// # Errors
    /// Writing failed.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_chunk(true)?;
        Ok(self.out)
    }

    /// What all is written to.
    #[cfg(test)]
    pub(super) fn written(&self) -> &W {
        &self.out
    }

    fn write_chunk(&mut self, is_last: bool) -> io::Result<()> {
        self.chunks.seal(&mut self.chunk, is_last)?;
        let written = self.out.write_all(&self.chunk);
        self.chunk.clear();
        written
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk is written only when something follows, because it could be the last.
        if self.chunk.len() == CHUNK_BYTES && !bytes.is_empty() {
            self.write_chunk(false)?;
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Decrypts a stream, chunk by chunk.
///
/// Faults of the stream are errors of reading: `UnexpectedEof` if it ends without its last chunk, `InvalidData` if a
/// chunk cannot be decrypted. For a short piece at the end it cannot be known which of the two it is; the error is
/// `UnexpectedEof`.
pub struct Opener<R> {
    input: R,
    chunks: Chunks,
    chunk: Vec<u8>,
    taken: usize,
    is_over: bool,
}

impl<R: BufRead> Opener<R> {
    pub(super) fn new(input: R, key: &[u8; KEY_BYTES]) -> io::Result<Self> {
        Ok(Self { input, chunks: Chunks::new(key)?, chunk: Vec::new(), taken: 0, is_over: false })
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let mut sealed = Vec::new();
        let full = CHUNK_BYTES + TAG_BYTES;
        (&mut self.input).take(full as u64).read_to_end(&mut sealed)?;
        let is_end = self.input.fill_buf()?.is_empty();
        let is_first = self.chunks.number == 0;
        let opened = if is_end {
            let last = self.chunks.open(&sealed, true);
            self.is_over = last.is_some();
            // A file that was cut between two chunks ends with one that is not the last.
            last.or_else(|| self.chunks.open(&sealed, false).filter(|_| sealed.len() == full))
        } else {
            self.chunks.open(&sealed, false)
        };
        match opened {
            // Nobody writes an empty chunk behind others.
            Some(chunk) if chunk.is_empty() && !is_first => Err(io::ErrorKind::InvalidData.into()),
            Some(chunk) => {
                self.chunk = chunk;
                self.taken = 0;
                Ok(())
            }
            None if sealed.len() < full => Err(io::ErrorKind::UnexpectedEof.into()),
            None => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl<R: BufRead> Read for Opener<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.chunk.len() && !self.is_over {
            self.next_chunk()?;
        }
        let taken = (self.chunk.len() - self.taken).min(buffer.len());
        buffer[..taken].copy_from_slice(&self.chunk[self.taken..self.taken + taken]);
        self.taken += taken;
        Ok(taken)
    }
}

//! The bytes of one connection, between the stream and the protocol on it.
//!
//! The stream (`stream`: TCP, or TLS over it) fills the input and empties the output. The protocols read the input and
//! write the output, and never see a socket. An idle connection has almost no buffer.

use std::io::{self, Read, Write};

/// How many bytes of input may be unread before the stream is no longer read: more than any request's head and body, or
/// a WebSocket frame's head.
pub const INPUT_BYTES_MAX: usize = 128 * 1024;

/// The capacity that an empty buffer keeps, bytes: enough for a ping or a mute.
const IDLE_CAPACITY: usize = 256;

/// Input and output of a connection.
#[derive(Debug, Default)]
pub struct Pipe {
    input: Vec<u8>,
    consumed: usize,
    end_of_input: bool,
    output: Vec<u8>,
    written: usize,
}

/// What one reading of the stream came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filled {
    /// How many bytes came.
    pub bytes: usize,
    /// Whether there may be more.
    pub more: bool,
}

impl Pipe {
    /// Returns what has come and has not been consumed.
    pub fn input(&self) -> &[u8] {
        self.input.get(self.consumed..).unwrap_or_default()
    }

    /// Returns the same, to be decrypted in place.
    pub fn input_mut(&mut self) -> &mut [u8] {
        self.input.get_mut(self.consumed..).unwrap_or_default()
    }

    /// Takes all of the input out.
    pub fn take_input(&mut self) -> Vec<u8> {
        let mut input = std::mem::take(&mut self.input);
        input.drain(..std::mem::take(&mut self.consumed).min(input.len()));
        input
    }

    /// Takes bytes off the front of the input.
    pub fn consume(&mut self, bytes: usize) {
        self.consumed = (self.consumed + bytes).min(self.input.len());
        if self.consumed == self.input.len() {
            self.input.clear();
            self.consumed = 0;
            self.input.shrink_to(IDLE_CAPACITY);
        }
    }

    /// Returns whether the peer will send no more.
    pub fn end_of_input(&self) -> bool {
        self.end_of_input
    }

    /// Returns how many bytes wait to be written.
    pub fn output_bytes(&self) -> usize {
        self.output.len() - self.written
    }

    /// Appends to the output.
    pub fn send(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Reads from the stream by way of `scratch`, until it has no more, the budget is used up, or the input is full.
    pub fn fill(&mut self, stream: &mut impl Read, scratch: &mut [u8], budget: usize) -> io::Result<Filled> {
        let mut bytes = 0;
        while bytes < budget && self.input().len() < INPUT_BYTES_MAX {
            match stream.read(scratch) {
                Ok(0) => {
                    self.end_of_input = true;
                    return Ok(Filled { bytes, more: false });
                }
                Ok(count) => {
                    bytes += count;
                    // Room is made at the front before the buffer grows.
                    self.input.drain(..self.consumed);
                    self.consumed = 0;
                    self.input.extend_from_slice(&scratch[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Filled { bytes, more: false });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Filled { bytes, more: true })
    }

    /// Writes to the stream what it takes. Returns how many bytes that was.
    pub fn drain(&mut self, stream: &mut impl Write) -> io::Result<usize> {
        let before = self.written;
        while self.written < self.output.len() {
            match stream.write(&self.output[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let count = self.written - before;
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
            self.output.shrink_to(IDLE_CAPACITY);
        // The rest is moved only when half is written, so that a slow peer does not make us move it again and again.
        } else if self.written > self.output.len() / 2 {
            self.output.drain(..self.written);
            self.written = 0;
        }
        Ok(count)
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let input = self.input();
        if input.is_empty() {
            return if self.end_of_input { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let count = input.len().min(buffer.len());
        buffer[..count].copy_from_slice(&input[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that takes `room` bytes and then blocks.
    struct Narrow {
        room: usize,
        taken: Vec<u8>,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = bytes.len().min(self.room);
            self.room -= count;
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn partial_writes_lose_and_repeat_nothing() -> io::Result<()> {
        let mut pipe = Pipe::default();
        let mut narrow = Narrow { room: 0, taken: Vec::new() };
        let all: Vec<u8> = (0..=255).collect();
        pipe.send(&all[..100]);
        for room in [7, 60, 1, 200] {
            narrow.room = room;
            pipe.drain(&mut narrow)?;
            if room == 60 {
                pipe.send(&all[100..]);
            }
        }
        assert_eq!(narrow.taken, all);
        assert_eq!(pipe.output_bytes(), 0);
        Ok(())
    }

    #[test]
    fn input_is_bounded_and_ends() -> io::Result<()> {
        let mut pipe = Pipe::default();
        let flood = vec![1; 2 * INPUT_BYTES_MAX];
        let mut stream: &[u8] = &flood;
        let filled = pipe.fill(&mut stream, &mut [0; 4096], usize::MAX)?;
        assert_eq!(filled, Filled { bytes: INPUT_BYTES_MAX, more: true });
        pipe.consume(INPUT_BYTES_MAX);
        assert!(!pipe.fill(&mut stream, &mut [0; 65536], usize::MAX)?.more || !pipe.input().is_empty());
        pipe.consume(INPUT_BYTES_MAX);
        pipe.fill(&mut stream, &mut [0; 4096], usize::MAX)?;
        assert!(pipe.end_of_input());
        assert_eq!(pipe.read(&mut [0; 8])?, 0);
        Ok(())
    }
}

//! The queue of datagrams to a TCP peer, by ICE-TCP or TURN.
//!
//! A peer that does not read loses whole frames, video first, never part of one. The queue is short, because late media
//! is of no use.

use std::io::Write;

use super::pipe::Pipe;
use crate::core::path::TrafficClass;

/// How much may wait for a peer that does not read, bytes: a second at 2 Mbit/s.
pub const QUEUE_BYTES_MAX: usize = 256 * 1024;

/// The length above which video is dropped, so that audio and control go on.
pub const VIDEO_QUEUE_BYTES_MAX: usize = QUEUE_BYTES_MAX / 2;

/// How much the kernel may buffer for such a peer, in bytes. By default it would buffer seconds of media.
pub const KERNEL_SEND_BYTES: usize = 256 * 1024;

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The frame waits to be written.
    Queued,
    /// The queue is full: the frame is lost.
    Dropped,
}

/// What the input of a connection contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// No whole frame has come yet.
    Nothing,
    /// At least one whole frame has come.
    Frames,
    /// Not a valid frame; why, for the log.
    Refused(&'static str),
}

/// A pipe whose output is frames.
#[derive(Debug)]
pub struct FrameQueue {
    /// The bytes of both directions.
    pub pipe: Pipe,
    /// Whether the stream has taken less than there was.
    pub blocked: bool,
}

impl FrameQueue {
    /// Begins with a pipe that holds the first frame, or its beginning.
    pub fn new(pipe: Pipe) -> Self {
        Self { pipe, blocked: false }
    }

    /// Queues a frame, given in pieces, or drops all of it.
    pub fn send(&mut self, class: TrafficClass, frame: [&[u8]; 3], stream: &mut impl Write) -> Sent {
        let max = match class {
            TrafficClass::Video | TrafficClass::Data => VIDEO_QUEUE_BYTES_MAX,
            TrafficClass::Control | TrafficClass::Audio => QUEUE_BYTES_MAX,
        };
        let needed: usize = frame.iter().map(|piece| piece.len()).sum();
        if self.pipe.output_bytes() + needed > max && !self.blocked {
            // Much came in one pass, so some is written now. If that fails, `Connection::write` will find the error.
            let _ = self.pipe.drain(stream);
            self.blocked = self.pipe.output_bytes() > 0;
        }
        if self.pipe.output_bytes() + needed > max {
            return Sent::Dropped;
        }
        for piece in frame {
            self.pipe.send(piece);
        }
        Sent::Queued
    }
}

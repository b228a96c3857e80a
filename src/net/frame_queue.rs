//! What waits to be written to a TCP peer that takes datagrams: ICE-TCP and TURN alike.
//!
//! A peer that does not read loses whole frames, pictures first, never a part of one: the queue is short, since what
//! is late is of no use.

use std::io::Write;

use super::pipe::Pipe;
use crate::core::path::TrafficClass;

/// What may wait for a peer that does not read: a second at 2 Mbit/s.
pub const QUEUE_BYTES_MAX: usize = 256 * 1024;

/// Over this, pictures are dropped, so that sound and control go on.
pub const VIDEO_QUEUE_BYTES_MAX: usize = QUEUE_BYTES_MAX / 2;

/// What the kernel may hold for such a peer: let alone, it buffers seconds of media.
pub const KERNEL_SEND_BYTES: usize = 256 * 1024;

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It waits to be written.
    Queued,
    /// The queue is full.
    Dropped,
}

/// What the input holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// No whole frame.
    Nothing,
    /// At least one.
    Frames,
    /// What no peer that means well would send, in words.
    Refused(&'static str),
}

/// A pipe whose output is frames.
#[derive(Debug)]
pub struct FrameQueue {
    /// Both directions.
    pub pipe: Pipe,
    /// Whether the stream took less than there was.
    pub blocked: bool,
}

impl FrameQueue {
    /// Over a pipe that holds the first frame, or its beginning.
    pub fn new(pipe: Pipe) -> Self {
        Self { pipe, blocked: false }
    }

    /// Queues a frame, given in pieces, or drops all of it.
    pub fn send(&mut self, class: TrafficClass, frame: [&[u8]; 3], stream: &mut impl Write) -> Sent {
        let max = if class == TrafficClass::Video { VIDEO_QUEUE_BYTES_MAX } else { QUEUE_BYTES_MAX };
        let needed: usize = frame.iter().map(|piece| piece.len()).sum();
        if self.pipe.output_bytes() + needed > max && !self.blocked {
            // Much came in one turn, and nothing of it has been written yet. An error is found when settling.
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

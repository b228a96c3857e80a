//! A client of the embedded TURN server on a TCP connection, or within TLS: its messages, one by one.
//!
//! `turn` decides which of them are served. A connection is kept for its allocation; one without is closed after a
//! while.

use std::io::Write;
use std::time::{Duration, Instant};

use super::frame_queue::{FrameQueue, Sent, Waiting};
use super::pipe::Pipe;
use crate::core::path::TrafficClass;
use crate::net::shell_config::ShellConfig;
use crate::wire::turn_frame::{self, TurnFrame};

/// Size of a client's longest message, bytes: a datagram that fits any path, in a Send indication.
const MESSAGE_BYTES_MAX: usize = 2048;

/// How often a connection with an allocation is checked, although only the end of the allocation ends it.
const ALLOCATED_LOOK: Duration = Duration::from_secs(3600);

/// A TURN client's connection.
pub struct TurnTcp {
    pub(super) queue: FrameQueue,
    /// Since when it has had no allocation. `None` while it has one.
    bare_since: Option<Instant>,
    /// When it was last looked at while it had one.
    looked: Instant,
}

impl TurnTcp {
    /// Begins with a pipe that holds the first message, or its beginning.
    pub fn new(pipe: Pipe, since: Instant) -> Self {
        Self { queue: FrameQueue::new(pipe), bare_since: Some(since), looked: since }
    }

    /// Returns what there is to be read.
    pub fn waiting(&self) -> Waiting {
        match turn_frame::next(self.queue.pipe.input()) {
            TurnFrame::Complete { length, .. } if length <= MESSAGE_BYTES_MAX => Waiting::Frames,
            TurnFrame::Incomplete(wanted) if wanted <= MESSAGE_BYTES_MAX => Waiting::Nothing,
            TurnFrame::Complete { .. } | TurnFrame::Incomplete(_) => Waiting::Refused("a long TURN message"),
            TurnFrame::Malformed => Waiting::Refused("no TURN message"),
        }
    }

    /// Hands over up to `frames_max` messages, without padding. Returns how many there were.
    pub fn receive(&mut self, frames_max: usize, mut handle: impl FnMut(&mut [u8])) -> usize {
        for count in 0..frames_max {
            let pipe = &mut self.queue.pipe;
            let TurnFrame::Complete { length, consumed } = turn_frame::next(pipe.input()) else {
                return count;
            };
            // `waiting` refuses it.
            if length > MESSAGE_BYTES_MAX {
                return count;
            }
            if let Some(message) = pipe.input_mut().get_mut(..length) {
                handle(message);
            }
            pipe.consume(consumed);
        }
        frames_max
    }

    /// Queues a message, or drops it.
    pub fn send(&mut self, class: TrafficClass, message: &[u8], stream: &mut impl Write) -> Sent {
        self.queue.send(class, [message, turn_frame::padding(message.len()), &[]], stream)
    }

    /// Notes whether the client has an allocation.
    pub fn set_allocated(&mut self, now: Instant, allocated: bool) {
        self.looked = now;
        self.bare_since = if allocated { None } else { self.bare_since.or(Some(now)) };
    }

    /// Returns whether the client has an allocation.
    pub fn is_allocated(&self) -> bool {
        self.bare_since.is_none()
    }

    /// Returns whether it is time to close the connection.
    pub fn is_overdue(&self, now: Instant, config: &ShellConfig) -> bool {
        self.bare_since.is_some_and(|since| now >= since + config.handshake_timeout)
    }

    /// Returns when to ask [`is_overdue`](Self::is_overdue).
    pub fn deadline(&self, config: &ShellConfig) -> Instant {
        self.bare_since.map_or(self.looked + ALLOCATED_LOOK, |since| since + config.handshake_timeout)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn over(bytes: &[u8]) -> io::Result<TurnTcp> {
        let mut pipe = Pipe::default();
        pipe.fill(&mut &bytes[..], &mut [0; 64], usize::MAX)?;
        Ok(TurnTcp::new(pipe, crate::net::clock::now()))
    }

    #[test]
    fn padding_is_cut_off_on_the_way_in_and_added_on_the_way_out() -> io::Result<()> {
        let mut client = over(&[0x40, 0, 0, 1, 9, 0, 0, 0, 0x40, 1, 0, 0, 0x40])?;
        assert_eq!(client.waiting(), Waiting::Frames);
        let mut seen = Vec::new();
        assert_eq!(client.receive(10, |message| seen.push(message.to_vec())), 2);
        assert_eq!(seen, [vec![0x40, 0, 0, 1, 9], vec![0x40, 1, 0, 0]]);
        assert_eq!(client.waiting(), Waiting::Nothing);
        let mut written = Vec::new();
        for message in &seen {
            assert_eq!(client.send(TrafficClass::Control, message, &mut io::sink()), Sent::Queued);
        }
        client.queue.pipe.drain(&mut written)?;
        assert_eq!(written, [0x40, 0, 0, 1, 9, 0, 0, 0, 0x40, 1, 0, 0]);
        Ok(())
    }

    #[test]
    fn what_no_client_would_send_is_refused_without_waiting_for_the_rest() -> io::Result<()> {
        assert!(matches!(over(&[0x40, 0, 0x10, 0])?.waiting(), Waiting::Refused(_)));
        assert!(matches!(over(&[0x90])?.waiting(), Waiting::Refused(_)));
        Ok(())
    }
}

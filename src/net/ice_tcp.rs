//! ICE-TCP: one peer's datagrams, framed by RFC 4571, on a TCP connection (RFC 6544).
//!
//! What shows that a peer may be here is that the core answers it: connectivity checks with the right credentials are
//! the only thing that an unknown address gets an answer to.

use std::io::Write;
use std::time::Instant;

use super::ShellConfig;
use super::frame_queue::{FrameQueue, Sent, Waiting};
use super::pipe::Pipe;
use crate::core::path::TrafficClass;
use crate::limits::DATAGRAM_BYTES_MAX;
use crate::wire::tcp_frame::{self, FRAME_HEADER_LEN, Frame};

/// Datagrams on a TCP connection.
pub struct IceTcp {
    pub(super) queue: FrameQueue,
    /// Since when the connection is there.
    since: Instant,
    /// When the core last had something for the peer.
    answered: Option<Instant>,
}

impl IceTcp {
    /// Over a pipe that holds the first frame, or its beginning.
    pub fn new(pipe: Pipe, since: Instant) -> Self {
        Self { queue: FrameQueue::new(pipe), since, answered: None }
    }

    /// What there is to be read.
    pub fn waiting(&self) -> Waiting {
        let input = self.queue.pipe.input();
        let length = input.first_chunk::<FRAME_HEADER_LEN>().map_or(0, |head| u16::from_be_bytes(*head));
        if self.answered.is_none() && usize::from(length) > DATAGRAM_BYTES_MAX {
            return Waiting::Refused("a long frame before any check");
        }
        match tcp_frame::next(input) {
            Frame::Complete { .. } => Waiting::Frames,
            Frame::Incomplete => Waiting::Nothing,
        }
    }

    /// Hands over up to `frames_max` datagrams. How many frames there were.
    pub fn receive(&mut self, frames_max: usize, mut handle: impl FnMut(&mut [u8])) -> usize {
        for count in 0..frames_max {
            let input = self.queue.pipe.input_mut();
            let Frame::Complete { consumed, .. } = tcp_frame::next(input) else { return count };
            // An empty frame means nothing.
            if let Some(datagram) = input.get_mut(FRAME_HEADER_LEN..consumed).filter(|it| !it.is_empty()) {
                handle(datagram);
            }
            self.queue.pipe.consume(consumed);
        }
        frames_max
    }

    /// Queues a datagram, or drops it.
    pub fn send(
        &mut self,
        now: Instant,
        class: TrafficClass,
        datagram: &[u8],
        stream: &mut impl Write,
    ) -> Sent {
        self.answered = Some(now);
        let Some(header) = tcp_frame::header(datagram.len()) else { return Sent::Dropped };
        self.queue.send(class, [&header, datagram, &[]], stream)
    }

    /// When the peer is given up: it never passed a check, or the core has had nothing for it for long. (A peer that
    /// is there checks every few seconds, and each check is answered.)
    pub fn deadline(&self, config: &ShellConfig) -> Instant {
        match self.answered {
            None => self.since + config.handshake_timeout,
            Some(at) => at + config.idle_timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::net::frame_queue::{QUEUE_BYTES_MAX, VIDEO_QUEUE_BYTES_MAX};

    /// A stream that takes nothing.
    struct Deaf;

    impl Write for Deaf {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn over(bytes: &[u8], at_a_time: usize) -> io::Result<IceTcp> {
        let mut pipe = Pipe::default();
        pipe.fill(&mut &bytes[..], &mut vec![0; at_a_time], usize::MAX)?;
        Ok(IceTcp::new(pipe, super::super::clock::now()))
    }

    #[test]
    fn frames_come_off_whole_and_empty_ones_mean_nothing() -> io::Result<()> {
        let mut ice = over(&[0, 2, 7, 8, 0, 0, 0, 1, 9, 0, 5, 1], 1)?;
        assert_eq!(ice.waiting(), Waiting::Frames);
        let mut seen = Vec::new();
        assert_eq!(ice.receive(10, |datagram| seen.push(datagram.to_vec())), 3);
        assert_eq!(seen, [vec![7, 8], vec![9]]);
        assert_eq!(ice.waiting(), Waiting::Nothing);
        assert_eq!(ice.queue.pipe.input(), [0, 5, 1]);
        Ok(())
    }

    #[test]
    fn whoever_passed_no_check_cannot_make_us_hold_a_long_frame() -> io::Result<()> {
        let mut ice = over(&[0xff, 0xff, 1], 64)?;
        assert!(matches!(ice.waiting(), Waiting::Refused(_)));
        let now = super::super::clock::now();
        ice.send(now, TrafficClass::Control, b"answer", &mut Deaf);
        assert_eq!(ice.waiting(), Waiting::Nothing);
        Ok(())
    }

    #[test]
    fn a_peer_that_does_not_read_loses_whole_frames_and_pictures_first() -> io::Result<()> {
        let now = super::super::clock::now();
        let mut ice = over(&[], 64)?;
        let (mut pictures, mut sounds) = (0, 0);
        while ice.send(now, TrafficClass::Video, &[1; 1000], &mut Deaf) == Sent::Queued {
            pictures += 1;
        }
        while ice.send(now, TrafficClass::Audio, &[2; 100], &mut Deaf) == Sent::Queued {
            sounds += 1;
        }
        assert_eq!(pictures, VIDEO_QUEUE_BYTES_MAX / 1002);
        assert!(sounds > 1000, "{sounds}");
        assert!(ice.queue.pipe.output_bytes() <= QUEUE_BYTES_MAX);
        let mut written = Vec::new();
        ice.queue.pipe.drain(&mut written)?;
        let (mut rest, mut frames) = (written.as_slice(), 0);
        while let Frame::Complete { datagram, consumed } = tcp_frame::next(rest) {
            assert!(matches!(datagram.len(), 100 | 1000));
            frames += 1;
            rest = &rest[consumed..];
        }
        assert_eq!((frames, rest.len()), (pictures + sounds, 0));
        Ok(())
    }
}

//! ICE-TCP: one peer's datagrams, framed by RFC 4571, on a TCP connection (RFC 6544).
//!
//! A peer is trusted once the core has answered it, because an unknown address only gets an answer to a connectivity
//! check with the right credentials.

use std::io::Write;
use std::time::Instant;

use super::frame_queue::{FrameQueue, Sent, Waiting};
use super::pipe::Pipe;
use crate::core::path::TrafficClass;
use crate::limits::DATAGRAM_BYTES_MAX;
use crate::net::shell_config::ShellConfig;
use crate::wire::tcp_frame::{self, FRAME_HEADER_LEN, Frame};

/// A TCP connection that carries datagrams.
pub struct IceTcp {
    pub(super) queue: FrameQueue,
    /// When the connection was accepted.
    since: Instant,
    /// When the core last had something for the peer.
    answered: Option<Instant>,
}

impl IceTcp {
    /// Begins with a pipe that holds the first frame, or its beginning.
    pub fn new(pipe: Pipe, since: Instant) -> Self {
        Self { queue: FrameQueue::new(pipe), since, answered: None }
    }

    /// Returns what there is to be read.
    pub fn waiting(&self) -> Waiting {
        let input = self.queue.pipe.input();
        // Until a check has passed, nobody may make us hold 64 KiB.
        let length = input.first_chunk::<FRAME_HEADER_LEN>().map_or(0, |head| u16::from_be_bytes(*head));
        if self.answered.is_none() && usize::from(length) > DATAGRAM_BYTES_MAX {
            return Waiting::Refused("a long frame before any check");
        }
        match tcp_frame::next(input) {
            Frame::Complete { .. } => Waiting::Frames,
            Frame::Incomplete => Waiting::Nothing,
        }
    }

    /// Hands over up to `frames_max` datagrams. Returns how many frames there were.
    pub fn receive(&mut self, frames_max: usize, mut handle: impl FnMut(&mut [u8])) -> usize {
        for count in 0..frames_max {
            let input = self.queue.pipe.input_mut();
            let Frame::Complete { consumed, .. } = tcp_frame::next(input) else { return count };
            // An empty frame is ignored.
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

    /// Returns when the peer is given up, because it never passed a check or the core has not answered it for long. A
    /// peer that is there sends checks every few seconds, and each is answered.
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
    use crate::net::tcp::frame_queue::{QUEUE_BYTES_MAX, VIDEO_QUEUE_BYTES_MAX};

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
        Ok(IceTcp::new(pipe, crate::net::clock::now()))
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
        let now = crate::net::clock::now();
        ice.send(now, TrafficClass::Control, b"answer", &mut Deaf);
        assert_eq!(ice.waiting(), Waiting::Nothing);
        Ok(())
    }

    #[test]
    fn a_peer_that_does_not_read_loses_whole_frames_and_video_first() -> io::Result<()> {
        let now = crate::net::clock::now();
        let mut ice = over(&[], 64)?;
        let (mut video, mut audio) = (0, 0);
        while ice.send(now, TrafficClass::Video, &[1; 1000], &mut Deaf) == Sent::Queued {
            video += 1;
        }
        while ice.send(now, TrafficClass::Audio, &[2; 100], &mut Deaf) == Sent::Queued {
            audio += 1;
        }
        assert_eq!(video, VIDEO_QUEUE_BYTES_MAX / 1002);
        assert!(audio > 1000, "{audio}");
        assert!(ice.queue.pipe.output_bytes() <= QUEUE_BYTES_MAX);
        let mut written = Vec::new();
        ice.queue.pipe.drain(&mut written)?;
        let (mut rest, mut frames) = (written.as_slice(), 0);
        while let Frame::Complete { datagram, consumed } = tcp_frame::next(rest) {
            assert!(matches!(datagram.len(), 100 | 1000));
            frames += 1;
            rest = &rest[consumed..];
        }
        assert_eq!((frames, rest.len()), (video + audio, 0));
        Ok(())
    }
}

//! FrameClock: how often the frames of an encoding come, to tell an encoding that has stopped from one that is slow.

use std::time::{Duration, Instant};

/// An encoding that sends nothing for this long, or for [`FRAMES_MISSED`] frames if that is longer, has stopped.
const SILENCE_MIN: Duration = Duration::from_millis(500);
/// How many frames in a row must be missing before an encoding counts as stopped.
const FRAMES_MISSED: u32 = 5;
/// The longest interval that is believed. A shared screen may stand still for minutes between two frames.
const INTERVAL_MAX: Duration = Duration::from_secs(1);

/// The rhythm of one encoding.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameClock {
    /// The RTP timestamp of the last frame, and when its first packet came.
    last_frame: Option<(u32, Instant)>,
    last_packet: Option<Instant>,
    interval: Option<Duration>,
}

impl FrameClock {
    /// Notes a packet that came in time, not as a retransmission.
    pub fn on_packet(&mut self, now: Instant, timestamp: u32) {
        self.last_packet = Some(now);
        match self.last_frame {
            Some((last, _)) if last == timestamp => return,
            Some((_, at)) => {
                let sample = now.saturating_duration_since(at).min(INTERVAL_MAX);
                let before = self.interval.unwrap_or(sample);
                self.interval = Some(before * 7 / 8 + sample / 8);
            }
            None => {}
        }
        self.last_frame = Some((timestamp, now));
    }

    /// Returns when the last packet came; `None` before the first one.
    pub fn last(&self) -> Option<Instant> {
        self.last_packet
    }

    /// Returns for how long the encoding may be silent without having stopped.
    pub fn patience(&self) -> Duration {
        self.interval.map_or(SILENCE_MIN, |interval| SILENCE_MIN.max(interval * FRAMES_MISSED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_stream_may_be_silent_for_longer() {
        let start = Instant::now();
        let mut clock = FrameClock::default();
        assert_eq!(clock.patience(), SILENCE_MIN);
        for frame in 0..100 {
            // A frame of three packets.
            for packet in 0..3 {
                clock.on_packet(start + Duration::from_millis(33 * frame + packet), frame as u32 * 3000);
            }
        }
        assert_eq!(clock.patience(), SILENCE_MIN);
        let start = start + Duration::from_secs(10);
        for frame in 0..100 {
            clock.on_packet(start + Duration::from_millis(200 * frame), frame as u32 * 18_000);
        }
        let patience = clock.patience();
        assert!((950..=1050).contains(&patience.as_millis()), "{patience:?}");
        clock.on_packet(start + Duration::from_secs(600), 7);
        assert!(clock.patience() < Duration::from_secs(2), "one long pause does not change much");
    }
}

//! AudioRate: at which of three rates a publisher is to send a track of audio, by what its viewers can take.
//!
//! There is one stream of audio for everybody, so it is sent at a rate that the viewer with the least room can take too.
//! The rate falls some seconds after there is too little room and rises only when there has been more than enough for
//! longer: a voice that changes all the time is worse than one at a lower rate.

use std::time::{Duration, Instant};

/// The rates, in bits per second, highest first.
pub const RATES: [u32; 3] = [64_000, 32_000, 16_000];
/// What browsers send of speech until they are told something else.
const OWN_RATE: usize = 1;
/// Headers of 50 packets a second, in bits per second: IP, UDP, RTP with its extensions, and the tag of SRTP.
const HEADERS: u64 = 28_000;
/// For so long there must be too little room before the rate falls.
const FALLS_AFTER: Duration = Duration::from_secs(5);
/// For so long there must be enough room for a higher rate before it rises.
const RISES_AFTER: Duration = Duration::from_secs(30);

/// The rate of one track.
#[derive(Debug, Default)]
pub struct AudioRate {
    /// What was ordered last, as a place in [`RATES`].
    ordered: Option<usize>,
    /// The rate that there has been room for, if it is another one, and since when.
    other: Option<(usize, Instant)>,
}

impl AudioRate {
    /// Returns the rate that was ordered last, in bits per second; `None`: the publisher decides.
    pub fn ordered(&self) -> Option<u32> {
        self.ordered.and_then(|place| RATES.get(place).copied())
    }

    /// Takes how much room the viewer with the least has for the track, with its headers, in bits per second; `None` if no
    /// viewer's network is known. Returns what to order, if that is something new.
    pub fn review(&mut self, now: Instant, room: Option<u64>) -> Option<u32> {
        let present = self.ordered.unwrap_or(OWN_RATE);
        let fits = |rate: u32, room: u64| u64::from(rate) + HEADERS <= room;
        let of = |room: u64| RATES.iter().position(|rate| fits(*rate, room)).unwrap_or(RATES.len() - 1);
        // A rate that would only just fit is not risen to.
        let wanted =
            room.map_or(
                present,
                |room| if of(room) > present { of(room) } else { of(room * 4 / 5).min(present) },
            );
        if wanted == present {
            self.other = None;
            return None;
        }
        let is_same_way = |(other, _): &(usize, Instant)| (*other > present) == (wanted > present);
        let since = self.other.filter(is_same_way).map_or(now, |(_, since)| since);
        self.other = Some((wanted, since));
        let wait = if wanted > present { FALLS_AFTER } else { RISES_AFTER };
        if now.saturating_duration_since(since) < wait {
            return None;
        }
        (self.ordered, self.other) = (Some(wanted), None);
        self.ordered()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A review each second. Returns what was ordered, with the second.
    fn reviews(
        rate: &mut AudioRate,
        start: Instant,
        seconds: std::ops::Range<u64>,
        room: Option<u64>,
    ) -> Vec<(u64, u32)> {
        let review = |second| Some((second, rate.review(start + Duration::from_secs(second), room)?));
        seconds.filter_map(review).collect()
    }

    #[test]
    fn it_falls_in_seconds_and_rises_in_half_a_minute() {
        let (mut rate, start) = (AudioRate::default(), Instant::now());
        assert_eq!(reviews(&mut rate, start, 0..60, Some(70_000)), [], "room for what browsers send");
        assert_eq!(reviews(&mut rate, start, 60..70, Some(50_000)), [(65, 16_000)]);
        assert_eq!(reviews(&mut rate, start, 70..130, Some(62_000)), [], "that would only just fit");
        assert_eq!(reviews(&mut rate, start, 130..200, Some(80_000)), [(160, 32_000)]);
        assert_eq!(reviews(&mut rate, start, 200..260, Some(1_000_000)), [(230, 64_000)]);
        assert_eq!(reviews(&mut rate, start, 260..300, Some(0)), [(265, 16_000)]);
        assert_eq!(reviews(&mut rate, start, 300..400, None), [], "nobody's network is known");
    }

    #[test]
    fn a_moment_changes_nothing() {
        let (mut rate, start) = (AudioRate::default(), Instant::now());
        for round in 0..20 {
            assert_eq!(reviews(&mut rate, start, round * 10..round * 10 + 4, Some(10_000)), []);
            assert_eq!(reviews(&mut rate, start, round * 10 + 4..round * 10 + 10, Some(1_000_000)), []);
        }
    }
}

//! Score: one number from 0 to 100 for somebody's call, from four parts.
//!
//! | part | weight | what counts |
//! |---|--:|---|
//! | network | 40 | the worse of both ways: loss, round trip, jitter |
//! | media | 35 | the worst of their streams: for audio the MOS, for video loss and how often a key frame had to be asked for |
//! | continuity | 15 | how often they were interrupted in the last minute: signalling lost, or nothing on the media path |
//! | system | 10 | whether the server has time for all video |

use std::time::Duration;

use super::voice::Mos;

const NETWORK_WEIGHT: u32 = 40;
const MEDIA_WEIGHT: u32 = 35;
const CONTINUITY_WEIGHT: u32 = 15;
const SYSTEM_WEIGHT: u32 = 10;

/// What a score is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measures {
    /// How much is lost on the worse way, in 1/1000.
    pub loss_permille: u16,
    /// The round trip between client and server.
    pub round_trip: Duration,
    /// The interarrival jitter of their worst stream.
    pub jitter: Duration,
    /// The score of their worst audio; `None` if there is none.
    pub mos: Option<Mos>,
    /// How much of their worst video is lost, in 1/1000; `None` if there is none.
    pub video_loss_permille: Option<u16>,
    /// How many key frames they asked for since the last score.
    pub keyframe_requests: u32,
    /// How often they were interrupted in the last minute.
    pub interruptions: u32,
    /// Whether some of their video is not forwarded because the server has no time for it.
    pub is_shed: bool,
}

/// A score, with its parts, each from 0 to 100.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Score {
    /// Their network.
    pub network: u8,
    /// How their media is.
    pub media: u8,
    /// Whether they were interrupted.
    pub continuity: u8,
    /// Whether the server keeps up.
    pub system: u8,
}

impl Score {
    /// Rates these measures.
    pub fn of(measures: &Measures) -> Self {
        let Measures { loss_permille, round_trip, jitter, .. } = *measures;
        let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        // With a fifth lost, or 900 ms of round trip, or 220 ms of jitter, nothing is left.
        let by_loss = u32::from(loss_permille) / 2;
        let by_delay = millis(round_trip).saturating_sub(100) / 8;
        let by_jitter = millis(jitter).saturating_sub(20) / 2;
        let network = left(by_loss.saturating_add(by_delay).saturating_add(by_jitter));
        let audio = measures.mos.map(|mos| left(100 - (u32::from(mos.0).clamp(100, 450) - 100) * 100 / 350));
        let video = measures.video_loss_permille.map(|loss| {
            left((u32::from(loss) / 4).saturating_add(measures.keyframe_requests.saturating_mul(10)))
        });
        let media = audio.into_iter().chain(video).min().unwrap_or(100);
        let continuity = left(measures.interruptions.saturating_mul(50));
        Self { network, media, continuity, system: left(if measures.is_shed { 100 } else { 0 }) }
    }

    /// The parts as one number, from 0 to 100.
    pub fn total(self) -> u8 {
        let Self { network, media, continuity, system } = self;
        let sum = u32::from(network) * NETWORK_WEIGHT
            + u32::from(media) * MEDIA_WEIGHT
            + u32::from(continuity) * CONTINUITY_WEIGHT
            + u32::from(system) * SYSTEM_WEIGHT;
        (sum / 100) as u8
    }
}

/// What is left of 100.
fn left(taken: u32) -> u8 {
    100_u32.saturating_sub(taken) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_without_fault_has_all_points_and_each_part_takes_its_weight() {
        let good = Measures { mos: Some(Mos(450)), video_loss_permille: Some(0), ..Measures::default() };
        assert_eq!(Score::of(&good).total(), 100);
        let of = |change: fn(&mut Measures)| {
            let mut measures = good;
            change(&mut measures);
            Score::of(&measures).total()
        };
        assert_eq!(of(|bad| bad.loss_permille = 1000), 60);
        assert_eq!(of(|bad| bad.mos = Some(Mos(100))), 65);
        assert_eq!(of(|bad| bad.keyframe_requests = u32::MAX), 65);
        assert_eq!(of(|bad| bad.interruptions = 2), 85);
        assert_eq!(of(|bad| bad.is_shed = true), 90);
        assert_eq!(Score::of(&Measures::default()).total(), 100, "without media only the network counts");
    }
}

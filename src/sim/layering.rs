//! Layering: the encodings of a simulcast, and the temporal layers inside each, as a browser's encoders make them.

use super::dice::Dice;
use super::network::{Micros, SECOND};

/// A key frame is larger than the frames around it by this factor.
const KEY_TIMES: u64 = 5;
/// How much of a frame's size is saved, in 1/8, until the rate is met again after a key frame.
const SAVED_EIGHTHS: u64 = 2;
/// The largest payload of a packet, in bytes.
const PAYLOAD_BYTES: u64 = 1100;
/// What a packet takes of a link beside its payload, in bytes: IP, UDP, RTP with extensions, SRTP's tag.
const PACKET_OVERHEAD: u64 = 66;

/// One encoding of a simulcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerPlan {
    /// Its name in session descriptions and packets (RFC 8851).
    pub rid: &'static str,
    /// The width of its pictures, in pixels.
    pub width: u16,
    /// The height of its pictures, in pixels.
    pub height: u16,
    /// What its encoder aims at, bits of payload per second.
    pub bitrate: u32,
    /// How many temporal layers it has, 1 to 3.
    pub temporal: u8,
}

/// A camera in three encodings, as the SDK sends it.
pub const THREE_SIZES: [LayerPlan; 3] = [
    LayerPlan { rid: "f", width: 1280, height: 720, bitrate: 1_500_000, temporal: 1 },
    LayerPlan { rid: "h", width: 640, height: 360, bitrate: 500_000, temporal: 1 },
    LayerPlan { rid: "q", width: 320, height: 180, bitrate: 150_000, temporal: 1 },
];

impl LayerPlan {
    /// Returns what it takes of a link with frames that far apart, bits per second.
    pub fn wire_rate(&self, interval: Micros) -> u64 {
        let bytes = self.frame_bytes(interval);
        let packets = bytes.div_ceil(PAYLOAD_BYTES);
        (bytes + packets * PACKET_OVERHEAD) * 8 * SECOND / interval
    }

    fn frame_bytes(&self, interval: Micros) -> u64 {
        (u64::from(self.bitrate) * interval / (8 * SECOND)).max(1)
    }
}

/// Draws the encodings of a simulcast, small ones, so that a world does not take long.
pub fn draw(dice: &mut Dice, may_have_temporal_layers: bool) -> Vec<LayerPlan> {
    let count = dice.among(2..4) as usize;
    let temporal = dice.among(1..4) as u8;
    let temporal = if may_have_temporal_layers { temporal } else { 1 };
    let sizes = THREE_SIZES.into_iter().skip(THREE_SIZES.len() - count);
    sizes.map(|layer| LayerPlan { bitrate: layer.bitrate / 5, temporal, ..layer }).collect()
}

/// What a frame's place behind the last key frame makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its temporal layer.
    pub temporal: u8,
    /// How many frames back the frame is that it refers to; 0 for a key frame.
    pub refers: u8,
    /// Whether it refers to the base layer alone.
    pub syncs: bool,
}

/// Returns the place of a frame that comes so many frames behind a key frame, in a stream of that many temporal layers. These
/// are libwebrtc's patterns.
pub fn place(temporal_layers: u8, behind_key: u32) -> Place {
    let of = |temporal, refers, syncs| Place { temporal, refers, syncs };
    if behind_key == 0 {
        return of(0, 0, true);
    }
    match (temporal_layers, behind_key % 4) {
        (3, 0) => of(0, 4, false),
        (3, 1) => of(2, 1, true),
        (3, 2) => of(1, 2, true),
        (3, _) => of(2, 1, false),
        (2, 0 | 2) => of(0, 2, false),
        (2, _) => of(1, 1, true),
        _ => of(0, 1, false),
    }
}

/// One encoding at work.
#[derive(Debug, Clone)]
pub struct Encoder {
    /// What it sends.
    pub plan: LayerPlan,
    /// Its place in the offer.
    pub place: usize,
    /// Whether it is to be sent: nobody needs one that is not.
    pub is_on: bool,
    /// The number of its last key frame.
    key_frame: u32,
    /// What it has sent beyond its rate, in bytes.
    debt: u64,
}

impl Encoder {
    /// Returns an encoder that is about to begin.
    pub fn new(plan: LayerPlan, place: usize) -> Self {
        Self { plan, place, is_on: true, key_frame: 0, debt: 0 }
    }

    /// Begins a frame of that number, and returns its place.
    pub fn begin(&mut self, frame: u32, is_key: bool) -> Place {
        if is_key {
            self.key_frame = frame;
        }
        place(self.plan.temporal, frame.wrapping_sub(self.key_frame))
    }

    /// Returns how many packets a frame has, and how many bytes are in each. Frames differ, and what a key frame takes is
    /// saved on those behind it.
    pub fn packets(&mut self, is_key: bool, interval: Micros, dice: &mut Dice) -> (u8, usize) {
        let typical = self.plan.frame_bytes(interval);
        let saved = if is_key { 0 } else { self.debt.min(typical * SAVED_EIGHTHS / 8) };
        self.debt -= saved;
        if is_key {
            self.debt += typical * (KEY_TIMES - 1);
        }
        let times = if is_key { KEY_TIMES } else { 1 };
        let bytes = (typical * times * dice.among(85..116) / 100).saturating_sub(saved).max(1);
        let parts = bytes.div_ceil(PAYLOAD_BYTES).min(u64::from(u8::MAX));
        (parts as u8, (bytes / parts) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoder_keeps_its_rate_with_a_key_frame_now_and_then() {
        let mut dice = Dice::of(1, "encoder", 0);
        for plan in THREE_SIZES {
            let mut encoder = Encoder::new(plan, 0);
            let (mut bytes, interval) = (0, 33_333);
            for frame in 0..3000 {
                let (parts, each) = encoder.packets(frame % 300 == 0, interval, &mut dice);
                bytes += u64::from(parts) * each as u64;
            }
            let rate = bytes * 8 / 100;
            let target = u64::from(plan.bitrate);
            assert!((target * 95 / 100..=target * 105 / 100).contains(&rate), "{rate} for {target}");
        }
    }

    #[test]
    fn frames_refer_to_none_of_a_higher_temporal_layer() {
        for layers in 1..=3 {
            for frame in 1..40_u32 {
                let own = place(layers, frame);
                let base = place(layers, frame - u32::from(own.refers));
                assert!(base.temporal <= own.temporal && own.temporal < layers, "{layers} {frame}");
                assert!(!own.syncs || base.temporal == 0, "{layers} {frame}");
            }
        }
    }
}

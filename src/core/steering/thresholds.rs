//! Thresholds: the two simplest ways to choose a layer, by the estimate alone or by the estimate and the loss. They know
//! nothing of what layers cost, and give every track the same.

/// Above this a track is shown in its highest layer, bits per second.
const HIGH: u64 = 1_500_000;
/// The same where loss counts, too: less than [`HIGH_LOSS`] then.
const HIGH_WITH_LOSS: u64 = 2_000_000;
/// Above this a track is shown in its middle layer, bits per second.
const MEDIUM: u64 = 800_000;
/// As much loss is too much for the highest layer, in 1/1,000,000,
const HIGH_LOSS: u32 = 10_000;
/// and as much for the middle one.
const MEDIUM_LOSS: u32 = 30_000;

/// Returns which of so many layers is shown, counted from the lowest; `None` if there are none. `loss` is in 1/1,000,000;
/// without it the estimate decides alone.
pub fn layer(estimate: u64, loss: Option<u32>, layers: usize) -> Option<usize> {
    let highest = layers.checked_sub(1)?;
    let is_high = match loss {
        Some(loss) => estimate > HIGH_WITH_LOSS && loss < HIGH_LOSS,
        None => estimate > HIGH,
    };
    let is_medium = estimate > MEDIUM && loss.is_none_or(|loss| loss < MEDIUM_LOSS);
    Some(if is_high {
        highest
    } else if is_medium {
        layers / 2
    } else {
        0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_decides_alone_or_with_the_loss() {
        for (estimate, alone, without_loss, with_little, with_much) in [
            (1_500_001, 2, 1, 1, 0),
            (2_000_001, 2, 2, 1, 0),
            (1_500_000, 1, 1, 1, 0),
            (800_001, 1, 1, 1, 0),
            (800_000, 0, 0, 0, 0),
        ] {
            assert_eq!(layer(estimate, None, 3), Some(alone), "{estimate}");
            assert_eq!(layer(estimate, Some(9_999), 3), Some(without_loss), "{estimate}");
            assert_eq!(layer(estimate, Some(10_000), 3), Some(with_little), "{estimate}");
            assert_eq!(layer(estimate, Some(30_000), 3), Some(with_much), "{estimate}");
        }
    }

    #[test]
    fn tracks_have_as_many_layers_as_they_have() {
        assert_eq!(
            [0, 1, 2, 3].map(|layers| layer(9_000_000, None, layers)),
            [None, Some(0), Some(1), Some(2)]
        );
        assert_eq!(
            [0, 1, 2, 3].map(|layers| layer(900_000, None, layers)),
            [None, Some(0), Some(1), Some(1)]
        );
        assert_eq!(
            [0, 1, 2, 3].map(|layers| layer(100_000, None, layers)),
            [None, Some(0), Some(0), Some(0)]
        );
    }
}

//! Opus (RFC 6716): how much sound a packet holds, which its first byte or two tell.

/// How many ticks of a 48 kHz clock a packet lasts; `None` if it is empty, or of no length that the codec has (RFC 6716
/// §3.1 and §3.2). At most 120 ms.
pub fn duration(payload: &[u8]) -> Option<u32> {
    let toc = *payload.first()?;
    let frame = match toc >> 3 {
        // SILK: 10, 20, 40, 60 ms.
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        // Hybrid: 10, 20 ms.
        config @ 12..=15 => 480 << (config & 1),
        // CELT: 2.5, 5, 10, 20 ms.
        config => 120 << (config & 3),
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(payload.get(1)? & 0x3f),
    };
    let ticks = frame * frames;
    (1..=5760).contains(&ticks).then_some(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_how_long_it_lasts() {
        assert_eq!(duration(&[0xfc, 1]), Some(960), "CELT, 20 ms, as browsers send");
        assert_eq!(duration(&[0x78]), Some(960), "hybrid, 20 ms");
        assert_eq!(duration(&[0x08]), Some(960), "SILK, 20 ms");
        assert_eq!(duration(&[0x1b, 0x02]), Some(5760), "SILK, two frames of 60 ms");
        assert_eq!(duration(&[0x80]), Some(120), "CELT, 2.5 ms");
        assert_eq!(duration(&[0x81]), Some(240), "two of them");
        for wrong in [&[][..], &[0x1b], &[0x1b, 0x03], &[0x1b, 0x00]] {
            assert_eq!(duration(wrong), None, "{wrong:?}");
        }
    }
}

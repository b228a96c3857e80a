//! Recognises key frames of AV1, by the aggregation header of the RTP payload format for AV1 (AOMedia), §4.4.

/// Z: the first OBU element continues one of the packet before.
const CONTINUES: u8 = 0x80;

/// N: the packet is the first of a coded video sequence.
const NEW_SEQUENCE: u8 = 0x08;

/// Whether the packet with this RTP `payload` begins a coded video sequence, that is, a key frame (N=1). A
/// packet with N=1 and Z=1 breaks the format and does not; nor does one without anything behind the
/// aggregation header.
pub fn starts_keyframe(payload: &[u8]) -> bool {
    matches!(payload, [head, _, ..] if head & (CONTINUES | NEW_SEQUENCE) == NEW_SEQUENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n_without_z_begins_a_sequence() {
        assert!(starts_keyframe(&[0x08, 0x0a]));
        assert!(starts_keyframe(&[0x58, 0x0a]), "Y and W do not matter");
        assert!(!starts_keyframe(&[0x88, 0x0a]), "Z");
        assert!(!starts_keyframe(&[0x10, 0x0a]), "no N");
        assert!(!starts_keyframe(&[0x08]) && !starts_keyframe(&[]));
    }
}

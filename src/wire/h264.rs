//! Recognises key frames of H.264: RFC 6184 §5.4 (single NAL units), §5.7.1 (STAP-A), §5.8 (FU-A).
//!
//! H.264 has no descriptor of its own, so a key frame is recognised by its NAL units. Nothing can be decoded without the
//! sequence parameter set, which senders put in front of each IDR picture (RFC 7742 §6.2).

use super::cursor::Cursor;

const SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Whether a decoder can begin with the packet that has this RTP `payload`, because it has a sequence parameter set, or
/// the first fragment of one.
///
/// A slice of an IDR picture alone is not enough: its parameter sets may have been lost or overtaken, and the picture
/// may have begun with an earlier slice. A STAP-A is read as far as it is well formed.
pub fn starts_keyframe(payload: &[u8]) -> bool {
    match payload {
        [head, rest @ ..] => match head & 0x1f {
            STAP_A => aggregate_starts_keyframe(rest),
            FU_A => rest.first().is_some_and(|fu| fu & 0x80 != 0 && is_parameter_set(*fu)),
            _ => is_parameter_set(*head),
        },
        [] => false,
    }
}

fn is_parameter_set(byte: u8) -> bool {
    byte & 0x1f == SPS
}

/// Looks through the size-prefixed NAL units of a STAP-A.
fn aggregate_starts_keyframe(units: &[u8]) -> bool {
    let mut cursor = Cursor::new(units);
    while let Ok(size) = cursor.u16() {
        match cursor.take(usize::from(size)) {
            Ok([head, ..]) if is_parameter_set(*head) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::noise::with_random_bytes;
    use super::*;

    #[test]
    fn a_parameter_set_begins_a_key_frame_and_a_bare_slice_does_not() {
        assert!(starts_keyframe(&[0x67, 0x42]));
        for other in [0x65, 0x41, 0x68, 0x06, 0x09] {
            assert!(!starts_keyframe(&[other, 0x88]), "{other:#x}");
        }
        assert!(!starts_keyframe(&[]));
    }

    #[test]
    fn an_aggregate_is_searched_to_its_end() {
        assert!(starts_keyframe(&[0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68]), "SPS first");
        assert!(starts_keyframe(&[0x78, 0, 2, 0x09, 0x10, 0, 1, 0x67]), "behind a delimiter");
        assert!(!starts_keyframe(&[0x78, 0, 1, 0x68, 0, 1, 0x65]));
        assert!(!starts_keyframe(&[0x78, 0, 9, 0x67]), "a unit past the end");
        assert!(!starts_keyframe(&[0x78, 0, 0, 0]) && !starts_keyframe(&[0x78]));
    }

    #[test]
    fn only_the_first_fragment_begins_a_key_frame() {
        assert!(starts_keyframe(&[0x7c, 0x87, 1]));
        assert!(!starts_keyframe(&[0x7c, 0x07, 1]), "a middle fragment");
        assert!(!starts_keyframe(&[0x7c, 0x47, 1]), "the last fragment");
        assert!(!starts_keyframe(&[0x7c, 0x85, 1]) && !starts_keyframe(&[0x7c, 0x81, 1]), "slices");
        assert!(!starts_keyframe(&[0x7c]));
    }

    #[test]
    fn random_bytes_are_survived() {
        with_random_bytes(&[0x78, 0, 2, 0x09, 0x10, 0, 1], |bytes| {
            starts_keyframe(bytes);
        });
    }
}

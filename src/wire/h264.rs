//! Recognises key frames of H.264: RFC 6184 §5.4 (single NAL units), §5.7.1 (STAP-A), §5.8 (FU-A).
//!
//! H.264 has no descriptor of its own, so a key frame is recognised by its NAL units. Nothing can be decoded without the
//! sequence parameter set, which senders put in front of each IDR picture (RFC 7742 §6.2).

use super::cursor::Cursor;

const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
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

/// Whether the packet is the first of an IDR picture and holds no sequence parameter set.
pub fn is_bare_keyframe(payload: &[u8]) -> bool {
    // The first slice has `first_mb_in_slice` 0, which is a bit that is set.
    let begins = |unit: &[u8]| matches!(unit, [head, first, ..] if head & 0x1f == IDR && first & 0x80 != 0);
    match payload {
        [head, rest @ ..] => match head & 0x1f {
            STAP_A => !aggregate_starts_keyframe(rest) && aggregated(rest).any(begins),
            FU_A => matches!(rest, [fu, first, ..] if fu & 0x9f == 0x80 | IDR && first & 0x80 != 0),
            _ => begins(payload),
        },
        [] => false,
    }
}

/// Returns the temporal layer of the slices in the packet, 0–2; `None` if it has none.
///
/// Encoders with temporal layers tell it by `nal_ref_idc`: nothing refers to the highest layer (0), and only that one to
/// the layer in between (1).
pub fn temporal_layer(payload: &[u8]) -> Option<u8> {
    let importance = |head: u8, kind: u8| (1..=IDR).contains(&(kind & 0x1f)).then_some(head >> 5 & 3);
    let (head, rest) = payload.split_first()?;
    let importance = match head & 0x1f {
        STAP_A => aggregated(rest).filter_map(|unit| importance(*unit.first()?, *unit.first()?)).max(),
        FU_A => importance(*head, *rest.first()?),
        _ => importance(*head, *head),
    };
    importance.map(|importance| 2_u8.saturating_sub(importance))
}

/// Returns the whole sequence and picture parameter sets in the packet, each as a NAL unit.
pub fn parameter_sets(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_aggregate = payload.first().is_some_and(|head| head & 0x1f == STAP_A);
    let alone = (!is_aggregate).then_some(payload);
    let units = if is_aggregate { payload.get(1..).unwrap_or_default() } else { &[] };
    let is_set = |unit: &&[u8]| matches!(unit, [head, _, ..] if matches!(head & 0x1f, SPS | PPS));
    alone.into_iter().chain(aggregated(units)).filter(is_set)
}

fn is_parameter_set(byte: u8) -> bool {
    byte & 0x1f == SPS
}

fn aggregate_starts_keyframe(units: &[u8]) -> bool {
    aggregated(units).any(|unit| unit.first().is_some_and(|head| is_parameter_set(*head)))
}

/// Returns the size-prefixed NAL units of a STAP-A, as far as they are well formed.
fn aggregated(units: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut cursor = Cursor::new(units);
    std::iter::from_fn(move || {
        let size = cursor.u16().ok()?;
        cursor.take(usize::from(size)).ok()
    })
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
    fn a_picture_without_parameter_sets_is_known_by_its_first_slice() {
        assert!(is_bare_keyframe(&[0x65, 0x88]) && is_bare_keyframe(&[0x7c, 0x85, 0x88]));
        assert!(is_bare_keyframe(&[0x78, 0, 2, 0x09, 0x10, 0, 2, 0x65, 0x88]), "behind a delimiter");
        for other in [
            &[0x65, 0x08][..],
            &[0x41, 0x9a],
            &[0x7c, 0x05, 0x88],
            &[0x7c, 0x85, 0x08],
            &[0x78, 0, 2, 0x67, 0x42, 0, 2, 0x65, 0x88],
            &[0x65],
            &[0x7c, 0x85],
            &[],
        ] {
            assert!(!is_bare_keyframe(other), "{other:02x?}");
        }
    }

    #[test]
    fn whole_parameter_sets_are_found_alone_and_in_aggregates() {
        let sets = |payload: &'static [u8]| parameter_sets(payload).collect::<Vec<_>>();
        assert_eq!(sets(&[0x67, 0x42]), [[0x67, 0x42]]);
        assert_eq!(
            sets(&[0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce, 0, 2, 0x65, 0x88]),
            [[0x67, 0x42], [0x68, 0xce]]
        );
        for none in [&[0x65, 0x88][..], &[0x7c, 0x87, 0x42], &[0x67], &[0x78, 0, 9, 0x67, 0x42], &[]] {
            assert!(parameter_sets(none).next().is_none(), "{none:02x?}");
        }
    }

    #[test]
    fn temporal_layers_are_told_by_the_importance_of_slices() {
        for (payload, layer) in [
            (&[0x61, 0x9a][..], Some(0)),
            (&[0x41, 0x9a], Some(0)),
            (&[0x21, 0x9a], Some(1)),
            (&[0x01, 0x9a], Some(2)),
            (&[0x65, 0x88], Some(0)),
            (&[0x3c, 0x81, 0x9a], Some(1)),
            (&[0x1c, 0x01, 0x9a], Some(2)),
            (&[0x18, 0, 1, 0x06, 0, 2, 0x21, 0x9a], Some(1)),
            (&[0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce], None),
            (&[0x06, 0x05], None),
            (&[0x7c], None),
            (&[], None),
        ] {
            assert_eq!(temporal_layer(payload), layer, "{payload:02x?}");
        }
    }

    #[test]
    fn random_bytes_are_survived() {
        with_random_bytes(&[0x78, 0, 2, 0x09, 0x10, 0, 1], |bytes| {
            starts_keyframe(bytes);
            is_bare_keyframe(bytes);
            temporal_layer(bytes);
            parameter_sets(bytes).count();
        });
    }
}

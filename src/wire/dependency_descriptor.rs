//! The dependency descriptor, a header extension that tells a forwarder what it needs to know about a frame without the
//! payload.
//!
//! RTP payload format for AV1 (AOMedia), appendix A.8. This reads the mandatory fields and whether there is a template
//! structure, which every key frame brings, and without which nothing can be decoded.

use super::Malformed;

/// How many bytes the mandatory fields have. Extended fields follow.
const MANDATORY_LEN: usize = 3;

/// The mandatory fields of a dependency descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DependencyDescriptor {
    /// The packet is the first of its frame.
    pub start_of_frame: bool,
    /// The packet is the last of its frame.
    pub end_of_frame: bool,
    /// Which template of the structure describes the frame, 0–63, shifted by the structure's own offset.
    pub template_id: u8,
    /// The frame's number in decoding order, modulo 2^16. All packets of a frame share it.
    pub frame_number: u16,
    /// A template structure is attached: the mark of a key frame's first packet.
    pub has_structure: bool,
}

/// Parses the data of the header extension element.
///
/// # Errors
/// [`Malformed`] if it is shorter than the mandatory 3 bytes.
pub fn parse(bytes: &[u8]) -> Result<DependencyDescriptor, Malformed> {
    let &[flags, high, low, ref extended @ ..] = bytes else { return Err(Malformed) };
    Ok(DependencyDescriptor {
        start_of_frame: flags & 0x80 != 0,
        end_of_frame: flags & 0x40 != 0,
        template_id: flags & 0x3f,
        frame_number: u16::from_be_bytes([high, low]),
        has_structure: extended.first().is_some_and(|flags| flags & 0x80 != 0),
    })
}

/// Overwrites the frame number of a descriptor. Does nothing to `bytes` that [`parse`] would refuse.
///
/// References to other frames are differences, so they stay right if all frames are shifted by the same offset.
pub fn patch_frame_number(bytes: &mut [u8], frame_number: u16) {
    if let Some([_, number @ ..]) = bytes.first_chunk_mut::<MANDATORY_LEN>() {
        *number = frame_number.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::super::noise::with_random_bytes;
    use super::*;

    #[test]
    fn the_mandatory_fields_are_read() {
        let descriptor = parse(&[0x85, 0x12, 0x34]).unwrap();
        assert!(descriptor.start_of_frame && !descriptor.end_of_frame && !descriptor.has_structure);
        assert_eq!((descriptor.template_id, descriptor.frame_number), (5, 0x1234));
        assert!(parse(&[0x40, 0, 0]).unwrap().end_of_frame);
        assert_eq!(parse(&[0x85, 0x12]), Err(Malformed));
    }

    #[test]
    fn a_structure_marks_a_key_frame() {
        assert!(parse(&[0x80, 0, 1, 0x80, 0]).unwrap().has_structure);
        assert!(!parse(&[0x80, 0, 1, 0x40, 0]).unwrap().has_structure, "only active decode targets");
    }

    #[test]
    fn a_patched_number_is_read_back_and_nothing_else_changes() {
        with_random_bytes(&[0x80, 0, 1, 0x80], |bytes| {
            let before = parse(bytes);
            let tail = bytes.get(3..).unwrap_or_default().to_vec();
            patch_frame_number(bytes, 0xbeef);
            patch_frame_number(bytes, 0xbeef);
            let expected =
                before.map(|descriptor| DependencyDescriptor { frame_number: 0xbeef, ..descriptor });
            assert_eq!(parse(bytes), expected);
            assert_eq!(bytes.get(3..).unwrap_or_default(), tail);
        });
    }
}

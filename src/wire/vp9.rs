//! VP9's payload descriptor: where layer frames begin and end, what they may be switched to, how to renumber
//! them.
//!
//! RFC 9628 §4.2 (descriptor), §4.2.1 (scalability structure). As with VP8, [`Vp9Descriptor::patch`] rewrites
//! the numbers in place.

use super::Malformed;
use super::cursor::Cursor;
use super::picture_id::PictureId;

/// The reference indices a frame may have in flexible mode.
const REFERENCES_MAX: usize = 3;

/// The descriptor of one VP9 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp9Descriptor {
    /// B: the packet begins a layer frame.
    pub starts_frame: bool,
    /// E: the packet ends a layer frame.
    pub ends_frame: bool,
    /// Whether it begins a key frame: not predicted from an earlier picture, and of the lowest spatial layer.
    pub keyframe: bool,
    /// P: the layer frame is predicted from an earlier picture.
    pub inter_picture_predicted: bool,
    /// The picture's number, if the sender numbers pictures. All spatial layers of a picture share it.
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX, modulo 256; only in non-flexible mode and with layer indices.
    pub tl0_picture_index: Option<u8>,
    /// SID, the spatial layer, 0–7.
    pub spatial_id: Option<u8>,
    /// TID, the temporal layer, 0–7.
    pub temporal_id: Option<u8>,
    /// U: from this frame on, a receiver may switch up to a higher temporal layer. False without layer
    /// indices.
    pub switching_up: bool,
    /// D: predicted from the next lower spatial layer of the same picture. False without layer indices.
    pub inter_layer_dependency: bool,
    /// Z: no higher spatial layer of the same picture is predicted from this one.
    pub not_inter_layer_reference: bool,
    /// Bytes of the descriptor, scalability structure included; the VP9 data follow.
    pub descriptor_len: usize,
    picture_id_offset: usize,
    tl0_offset: usize,
}

/// Parses the descriptor at the start of an RTP `payload`.
///
/// # Errors
/// [`Malformed`] if the payload ends within the descriptor or right behind it, or a frame has more than three
/// reference indices.
pub fn parse(payload: &[u8]) -> Result<Vp9Descriptor, Malformed> {
    let mut cursor = Cursor::new(payload);
    let first = cursor.u8()?;
    let flag = |bit: u8| first & bit != 0;
    let (inter_picture_predicted, has_layers, flexible, starts_frame) =
        (flag(0x40), flag(0x20), flag(0x10), flag(0x08));
    let picture_id_offset = cursor.position();
    let picture_id = if flag(0x80) { Some(PictureId::read(&mut cursor)?) } else { None };
    let layers = if has_layers { cursor.u8()? } else { 0 };
    let tl0_offset = cursor.position();
    let tl0_picture_index = if has_layers && !flexible { Some(cursor.u8()?) } else { None };
    if flexible && inter_picture_predicted {
        skip_references(&mut cursor)?;
    }
    if flag(0x02) {
        skip_scalability_structure(&mut cursor)?;
    }
    if cursor.remaining() == 0 {
        return Err(Malformed);
    }
    let spatial_id = (layers >> 1) & 0x07;
    Ok(Vp9Descriptor {
        starts_frame,
        ends_frame: flag(0x04),
        keyframe: starts_frame && !inter_picture_predicted && spatial_id == 0,
        inter_picture_predicted,
        picture_id,
        tl0_picture_index,
        spatial_id: has_layers.then_some(spatial_id),
        temporal_id: has_layers.then_some(layers >> 5),
        switching_up: layers & 0x10 != 0,
        inter_layer_dependency: layers & 0x01 != 0,
        not_inter_layer_reference: flag(0x01),
        descriptor_len: cursor.position(),
        picture_id_offset,
        tl0_offset,
    })
}

/// P_DIFF, each but the last with its N bit set.
fn skip_references(cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
    for _ in 0..REFERENCES_MAX {
        if cursor.u8()? & 0x01 == 0 {
            return Ok(());
        }
    }
    Err(Malformed)
}

/// N_S, Y, G; a width and height for each spatial layer; the references of each picture of the group.
fn skip_scalability_structure(cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
    let head = cursor.u8()?;
    if head & 0x10 != 0 {
        cursor.take((usize::from(head >> 5) + 1) * 4)?;
    }
    if head & 0x08 != 0 {
        for _ in 0..cursor.u8()? {
            let picture = cursor.u8()?;
            cursor.take(usize::from((picture >> 2) & 0x03))?;
        }
    }
    Ok(())
}

impl Vp9Descriptor {
    /// Writes new numbers over those of the `payload` this descriptor was parsed from, or of a copy of it.
    /// Fields that are not there are not added, and the picture id keeps its width: `picture_id` is cut to
    /// it.
    pub fn patch(&self, payload: &mut [u8], picture_id: u16, tl0_picture_index: u8) {
        if let Some(old) = self.picture_id {
            old.overwrite(payload, self.picture_id_offset, picture_id);
        }
        if self.tl0_picture_index.is_some()
            && let Some(place) = payload.get_mut(self.tl0_offset)
        {
            *place = tl0_picture_index;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::noise::with_random_bytes;
    use super::*;

    /// I L B E V: 15-bit id 0x1234, TID 0 SID 0, TL0PICIDX 0x56, a structure of 2 layers with sizes and a
    /// group of two pictures (0 and 1 references), one byte of data.
    const KEY: [u8; 19] =
        [0xae, 0x92, 0x34, 0x00, 0x56, 0x38, 1, 64, 0, 180, 2, 128, 1, 104, 2, 0x00, 0x24, 0x01, 0x82];

    #[test]
    fn a_key_frame_with_a_scalability_structure_is_read() {
        let descriptor = parse(&KEY).unwrap();
        assert!(descriptor.starts_frame && descriptor.ends_frame && descriptor.keyframe);
        assert_eq!(descriptor.picture_id, Some(PictureId { value: 0x1234, bits: 15 }));
        assert_eq!((descriptor.spatial_id, descriptor.temporal_id), (Some(0), Some(0)));
        assert_eq!(descriptor.tl0_picture_index, Some(0x56));
        assert_eq!(descriptor.descriptor_len, 18);
        for length in 0..KEY.len() {
            assert_eq!(parse(&KEY[..length]), Err(Malformed), "{length} bytes");
        }
    }

    #[test]
    fn flexible_mode_has_references_and_no_tl0() {
        // I P L F B Z: 7-bit id, TID 2 U SID 1 D, two references.
        let bytes = [0xf9, 0x05, 0x53, 0x03, 0x04, 0xaa];
        let descriptor = parse(&bytes).unwrap();
        assert_eq!(descriptor.picture_id, Some(PictureId { value: 5, bits: 7 }));
        assert_eq!((descriptor.temporal_id, descriptor.spatial_id), (Some(2), Some(1)));
        assert!(descriptor.switching_up && descriptor.inter_layer_dependency && !descriptor.keyframe);
        assert!(descriptor.not_inter_layer_reference && descriptor.inter_picture_predicted);
        assert_eq!((descriptor.tl0_picture_index, descriptor.descriptor_len), (None, 5));
        assert_eq!(parse(&[0xf9, 0x05, 0x53, 1, 1, 1, 0, 0xaa]), Err(Malformed), "four references");
    }

    #[test]
    fn a_key_picture_begins_with_its_lowest_layer() {
        let keyframe = |bytes: &[u8]| parse(bytes).unwrap().keyframe;
        assert!(keyframe(&[0x08, 0xaa]), "no layer indices");
        assert!(!keyframe(&[0x00, 0xaa]), "not the first packet");
        assert!(!keyframe(&[0x48, 0xaa]), "predicted");
        assert!(keyframe(&[0x28, 0x00, 0x00, 0xaa]));
        assert!(!keyframe(&[0x28, 0x03, 0x00, 0xaa]), "spatial layer 1");
    }

    #[test]
    fn patching_changes_the_numbers_and_nothing_else() {
        let mut bytes = KEY;
        parse(&KEY).unwrap().patch(&mut bytes, 0x8001, 0x02);
        assert_eq!(bytes[..5], [0xae, 0x80, 0x01, 0x00, 0x02]);
        assert_eq!(bytes[5..], KEY[5..]);
    }

    #[test]
    fn patching_random_packets_is_idempotent_and_read_back() {
        with_random_bytes(&KEY, |bytes| {
            let Ok(descriptor) = parse(bytes) else { return };
            descriptor.patch(&mut [], 1, 1);
            let original = bytes.to_vec();
            let old = descriptor.picture_id.map_or(0, |id| id.value);
            descriptor.patch(bytes, old, descriptor.tl0_picture_index.unwrap_or(0));
            assert_eq!(bytes, original, "the old numbers change nothing");
            descriptor.patch(bytes, 0x7abc, 0xde);
            let patched = parse(bytes).unwrap();
            assert_eq!(patched.picture_id.map(|id| id.value & 0x7f), descriptor.picture_id.map(|_| 0x3c));
            assert_eq!(patched.tl0_picture_index, descriptor.tl0_picture_index.map(|_| 0xde));
            assert_eq!(patched.descriptor_len, descriptor.descriptor_len);
            assert_eq!(bytes[patched.descriptor_len..], original[patched.descriptor_len..]);
        });
    }
}

//! VP9's payload descriptor: where layer frames begin and end, what they may be switched to, where its counters stand.
//!
//! RFC 9628 §4.2 (descriptor), §4.2.1 (scalability structure). Its counters are renumbered by
//! [`PictureCounters::patch`].

use super::Malformed;
use super::cursor::Cursor;
use super::picture_id::{PictureCounters, PictureId};

/// The reference indices a frame may have in flexible mode.
const REFERENCES_MAX: usize = 3;
/// How many spatial layers a stream has at most: they are numbered by three bits.
pub const SPATIAL_LAYERS_MAX: usize = 8;

/// The descriptor of one VP9 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp9Descriptor {
    /// B: the packet begins a layer frame.
    pub starts_frame: bool,
    /// E: the packet ends a layer frame.
    pub ends_frame: bool,
    /// Whether it begins a key frame: not predicted from an earlier picture, of the lowest spatial layer, and a key frame by
    /// its own header. A frame that is not predicted may still be of use only to who has the pictures before it.
    pub keyframe: bool,
    /// P: the layer frame is predicted from an earlier picture.
    pub inter_picture_predicted: bool,
    /// The picture's counters. TL0PICIDX is only there in non-flexible mode and with layer indices.
    pub counters: PictureCounters,
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
    /// Where in the payload the scalability structure begins; `None` if the packet has none.
    pub structure_offset: Option<u16>,
    /// Bytes of the descriptor, scalability structure included; the VP9 data follow.
    pub descriptor_len: usize,
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
    let structure_offset = cursor.position();
    if flag(0x02) {
        skip_scalability_structure(&mut cursor)?;
    }
    let descriptor_len = cursor.position();
    let head = cursor.u8()?;
    let spatial_id = (layers >> 1) & 0x07;
    Ok(Vp9Descriptor {
        starts_frame,
        ends_frame: flag(0x04),
        keyframe: starts_frame
            && !inter_picture_predicted
            && spatial_id == 0
            && frame_is_key(head).unwrap_or(true),
        inter_picture_predicted,
        counters: PictureCounters { picture_id, tl0_picture_index, picture_id_offset, tl0_offset },
        spatial_id: has_layers.then_some(spatial_id),
        temporal_id: has_layers.then_some(layers >> 5),
        switching_up: layers & 0x10 != 0,
        inter_layer_dependency: layers & 0x01 != 0,
        not_inter_layer_reference: flag(0x01),
        structure_offset: flag(0x02).then_some(structure_offset as u16),
        descriptor_len,
    })
}

impl Vp9Descriptor {
    /// Returns width and height of each spatial layer in pixels, from the lowest on, as the scalability structure in the
    /// `payload` tells them; `None` if it does not.
    pub fn resolutions(&self, payload: &[u8]) -> Option<([(u16, u16); SPATIAL_LAYERS_MAX], usize)> {
        let mut cursor = Cursor::new(payload.get(usize::from(self.structure_offset?)..)?);
        let head = cursor.u8().ok().filter(|head| head & 0x10 != 0)?;
        let count = usize::from(head >> 5) + 1;
        let mut read = [(0, 0); SPATIAL_LAYERS_MAX];
        for size in read.get_mut(..count)? {
            *size = (cursor.u16().ok()?, cursor.u16().ok()?);
        }
        Some((read, count))
    }
}

/// Whether a frame that begins with this byte is a key frame (VP9 bitstream §6.2). `None` if it is no header of a frame: who
/// encrypts pictures from end to end may encrypt it, too. Profile 3, whose header goes on, is not looked into.
fn frame_is_key(head: u8) -> Option<bool> {
    let is_header = head >> 6 == 0b10 && head & 0x30 != 0x30;
    // Neither a frame that was shown before nor one of the other type.
    is_header.then_some(head & 0x0c == 0)
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

#[cfg(test)]
mod tests {
    use super::super::picture_id::patching_changes_counters_alone;
    use super::*;

    /// I L B E V: 15-bit id 0x1234, TID 0 SID 0, TL0PICIDX 0x56, a structure of 2 layers with sizes and a
    /// group of two pictures (0 and 1 references), one byte of data.
    const KEY: [u8; 19] =
        [0xae, 0x92, 0x34, 0x00, 0x56, 0x38, 1, 64, 0, 180, 2, 128, 1, 104, 2, 0x00, 0x24, 0x01, 0x82];

    #[test]
    fn a_key_frame_with_a_scalability_structure_is_read() {
        let descriptor = parse(&KEY).unwrap();
        assert!(descriptor.starts_frame && descriptor.ends_frame && descriptor.keyframe);
        assert_eq!(descriptor.counters.picture_id, Some(PictureId { value: 0x1234, bits: 15 }));
        assert_eq!((descriptor.spatial_id, descriptor.temporal_id), (Some(0), Some(0)));
        assert_eq!(descriptor.counters.tl0_picture_index, Some(0x56));
        assert_eq!(descriptor.descriptor_len, 18);
        let (sizes, count) = descriptor.resolutions(&KEY).expect("they are told");
        assert_eq!(sizes[..count], [(320, 180), (640, 360)]);
        assert_eq!(descriptor.resolutions(&KEY[..12]), None);
        for length in 0..KEY.len() {
            assert_eq!(parse(&KEY[..length]), Err(Malformed), "{length} bytes");
        }
    }

    #[test]
    fn flexible_mode_has_references_and_no_tl0() {
        // I P L F B Z: 7-bit id, TID 2 U SID 1 D, two references.
        let bytes = [0xf9, 0x05, 0x53, 0x03, 0x04, 0xaa];
        let descriptor = parse(&bytes).unwrap();
        assert_eq!(descriptor.counters.picture_id, Some(PictureId { value: 5, bits: 7 }));
        assert_eq!((descriptor.temporal_id, descriptor.spatial_id), (Some(2), Some(1)));
        assert!(descriptor.switching_up && descriptor.inter_layer_dependency && !descriptor.keyframe);
        assert!(descriptor.not_inter_layer_reference && descriptor.inter_picture_predicted);
        assert_eq!((descriptor.counters.tl0_picture_index, descriptor.descriptor_len), (None, 5));
        assert_eq!(parse(&[0xf9, 0x05, 0x53, 1, 1, 1, 0, 0xaa]), Err(Malformed), "four references");
    }

    #[test]
    fn a_key_picture_begins_with_its_lowest_layer() {
        let keyframe = |bytes: &[u8]| parse(bytes).unwrap().keyframe;
        assert!(keyframe(&[0x08, 0x82]), "no layer indices");
        assert!(!keyframe(&[0x00, 0x82]), "not the first packet");
        assert!(!keyframe(&[0x48, 0x82]), "predicted");
        assert!(keyframe(&[0x28, 0x00, 0x00, 0x82]));
        assert!(!keyframe(&[0x28, 0x03, 0x00, 0x82]), "spatial layer 1");
    }

    #[test]
    fn a_frame_that_is_not_predicted_is_a_key_frame_if_its_header_says_so() {
        let keyframe = |head| parse(&[0x08, head]).unwrap().keyframe;
        assert!(keyframe(0x82) && keyframe(0x92), "profiles 0 and 2");
        assert!(!keyframe(0x86), "intra only");
        assert!(!keyframe(0x88), "shows a frame again");
        assert!(keyframe(0x47) && keyframe(0xb4), "what cannot be read is believed");
    }

    #[test]
    fn patching_changes_the_numbers_and_nothing_else() {
        let mut bytes = KEY;
        parse(&KEY).unwrap().counters.patch(&mut bytes, 0x8001, 0x02);
        assert_eq!(bytes[..5], [0xae, 0x80, 0x01, 0x00, 0x02]);
        assert_eq!(bytes[5..], KEY[5..]);
    }

    #[test]
    fn patching_random_packets_is_idempotent_and_read_back() {
        patching_changes_counters_alone(&KEY, |bytes| {
            let descriptor = parse(bytes).ok()?;
            descriptor.resolutions(bytes);
            Some((descriptor.counters, descriptor.descriptor_len))
        });
    }
}

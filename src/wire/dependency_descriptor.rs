//! The dependency descriptor, a header extension that tells a forwarder what it needs to know about a frame without the
//! payload.
//!
//! RTP payload format for AV1 (AOMedia), appendix A.8. [`parse`] reads the mandatory fields, which every packet has.
//! [`describe`] reads all of it, for which the template structure of the last key frame is needed. What a forwarder
//! changes is written by [`patch_frame_number`] and [`write_active`]; the structure stays as it came.

mod structure;

pub use structure::{
    CHAINS_MAX, ChainDiffs, DECODE_TARGETS_MAX, DecodeTarget, Indication, Indications, REFERENCES_MAX,
    References, Structure, TEMPLATES_MAX, Template,
};

use super::Malformed;
use super::bits::Bits;

/// How many bytes the mandatory fields have. Extended fields follow.
const MANDATORY_LEN: usize = 3;
/// The bit that tells whether there is a structure, the first one behind the mandatory fields.
const HAS_STRUCTURE: usize = 8 * MANDATORY_LEN;
/// The bit that tells whether there is a mask of active decode targets.
const HAS_ACTIVE: usize = HAS_STRUCTURE + 1;
/// How many flags the extended fields begin with.
const FLAGS: usize = 5;

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

/// What a descriptor says of its frame, by its template and the fields that replace parts of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameDependencies {
    /// The spatial layer, 0–3.
    pub spatial: u8,
    /// The temporal layer, 0–7.
    pub temporal: u8,
    /// What the frame is for each decode target.
    pub indications: Indications,
    /// The frames that it refers to.
    pub references: References,
    /// The frames before it in its chains.
    pub chain_diffs: ChainDiffs,
    /// The decode targets of which frames are sent, from the lowest bit on; `None` if this packet does not tell.
    pub active: Option<u32>,
    /// Where in the descriptor that mask stands or would stand.
    pub active_place: ActivePlace,
}

/// Where the mask of active decode targets belongs in a descriptor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ActivePlace {
    /// Bits before it.
    bits: u16,
    /// How many bits it has: one for each decode target.
    targets: u8,
}

/// Parses the mandatory fields in the data of the header extension element.
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

/// Reads the structure that is attached to a descriptor; `None` if none is.
///
/// # Errors
/// [`Malformed`] if the descriptor ends within the structure, or the structure has more templates or layers than the format
/// allows.
pub fn structure(bytes: &[u8]) -> Result<Option<Structure>, Malformed> {
    if !parse(bytes)?.has_structure {
        return Ok(None);
    }
    Structure::read(&mut Bits::new(bytes, HAS_STRUCTURE + FLAGS)).map(Some)
}

/// Reads what a descriptor says of its frame. `structure` is the one that is attached to it or, if none is, the last one
/// before. Allocates nothing, unless a structure is attached, which is then read once more.
///
/// # Errors
/// [`Malformed`] if the structure has no such template, or the descriptor ends within its fields.
pub fn describe(bytes: &[u8], structure: &Structure) -> Result<FrameDependencies, Malformed> {
    let mandatory = parse(bytes)?;
    let template = structure.template(mandatory.template_id).ok_or(Malformed)?;
    let targets = structure.decode_targets.len() as u8;
    let Template { spatial, temporal, indications, references, chain_diffs } = *template;
    let mut frame = FrameDependencies {
        spatial,
        temporal,
        indications,
        references,
        chain_diffs,
        active: None,
        active_place: ActivePlace { bits: (HAS_STRUCTURE + FLAGS) as u16, targets },
    };
    if bytes.len() == MANDATORY_LEN {
        return Ok(frame);
    }
    let mut bits = Bits::new(bytes, HAS_STRUCTURE);
    let (has_structure, has_active) = (bits.flag()?, bits.flag()?);
    let (has_indications, has_references, has_chains) = (bits.flag()?, bits.flag()?, bits.flag()?);
    if has_structure {
        Structure::read(&mut bits)?;
    }
    frame.active_place.bits = u16::try_from(bits.position()).map_err(|_| Malformed)?;
    if has_active {
        let mask = bits.number(u32::from(targets))?;
        // Its first bit is that of the last target.
        frame.active = Some(mask);
    }
    if has_indications {
        frame.indications = Indications::read(&mut bits, targets)?;
    }
    if has_references {
        frame.references = References::default();
        while let size @ 1.. = bits.number(2)? {
            frame.references.push(bits.number(4 * size)? as u16 + 1);
        }
    }
    if has_chains {
        frame.chain_diffs = structure::read_chain_diffs(&mut bits, structure.chains, 8)?;
    }
    Ok(frame)
}

/// Overwrites the frame number of a descriptor. Does nothing to `bytes` that [`parse`] would refuse.
///
/// References to other frames are differences, so they stay right if all frames are shifted by the same offset.
pub fn patch_frame_number(bytes: &mut [u8], frame_number: u16) {
    if let Some([_, number @ ..]) = bytes.first_chunk_mut::<MANDATORY_LEN>() {
        *number = frame_number.to_be_bytes();
    }
}

/// Copies a descriptor to `out` with another mask of active decode targets, which it may not have had. `place` is what
/// [`describe`] has found in the same bytes. Returns the new length; `None` if `out` is too short.
pub fn write_active(bytes: &[u8], place: ActivePlace, mask: u32, out: &mut [u8]) -> Option<usize> {
    let (at, targets) = (usize::from(place.bits), usize::from(place.targets));
    let had_mask = bytes.get(MANDATORY_LEN).is_some_and(|flags| flags & 0x40 != 0);
    // Behind the mandatory fields alone there is nothing, not even flags.
    let before = at.min(8 * bytes.len());
    let rest = at + if had_mask { targets } else { 0 };
    let behind = (8 * bytes.len()).saturating_sub(rest);
    let length = (at + targets + behind).div_ceil(8);
    let out = out.get_mut(..length)?;
    out.fill(0);
    let whole = before / 8;
    out.get_mut(..whole)?.copy_from_slice(bytes.get(..whole)?);
    for bit in 8 * whole..before {
        set(out, bit, is_set(bytes, bit));
    }
    set(out, HAS_ACTIVE, true);
    for bit in 0..targets {
        set(out, at + bit, mask >> (targets - 1 - bit) & 1 == 1);
    }
    for bit in 0..behind {
        set(out, at + targets + bit, is_set(bytes, rest + bit));
    }
    Some(length)
}

fn is_set(bytes: &[u8], bit: usize) -> bool {
    bytes.get(bit / 8).is_some_and(|byte| byte >> (7 - bit % 8) & 1 == 1)
}

fn set(bytes: &mut [u8], bit: usize, value: bool) {
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte |= u8::from(value) << (7 - bit % 8);
    }
}

#[cfg(test)]
mod tests;

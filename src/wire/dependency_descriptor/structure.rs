//! The template structure of a dependency descriptor: which kinds of frames a stream has, and who needs which of them.
//!
//! RTP payload format for AV1 (AOMedia), A.8.3. It comes with key frames, and the frames behind refer to it.

use super::super::Malformed;
use super::super::bits::Bits;

/// How many templates a structure has at most: frames name them by 6 bits.
pub const TEMPLATES_MAX: usize = 64;
/// How many decode targets a structure has at most.
pub const DECODE_TARGETS_MAX: usize = 32;
/// How many frames one refers to at most, as far as they are kept: AV1 has eight places for references.
pub const REFERENCES_MAX: usize = 8;
/// How many chains are kept of a structure: one for each spatial layer that AV1 can have.
pub const CHAINS_MAX: usize = 4;
/// The highest spatial layer: an AV1 operating point has two bits for them.
const SPATIAL_MAX: u8 = 3;
/// The highest temporal layer.
const TEMPORAL_MAX: u8 = 7;

/// What a frame is for a decode target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indication {
    /// The target is decoded without it.
    NotPresent,
    /// It is shown, and nothing that belongs to the target refers to it.
    Discardable,
    /// Whoever can decode it can decode everything of the target that follows.
    Switch,
    /// It is referred to.
    Required,
}

/// What a frame is for each decode target, two bits each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Indications(pub(super) u64);

impl Indications {
    /// Returns what it is for that target; `NotPresent` for one that does not exist.
    pub fn of(self, target: u8) -> Indication {
        match u64::checked_shr(self.0, 2 * u32::from(target)).unwrap_or(0) & 3 {
            0 => Indication::NotPresent,
            1 => Indication::Discardable,
            2 => Indication::Switch,
            _ => Indication::Required,
        }
    }

    /// Returns whether the frame is needed for that target.
    pub fn is_present(self, target: u8) -> bool {
        self.of(target) != Indication::NotPresent
    }

    pub(super) fn read(bits: &mut Bits<'_>, targets: u8) -> Result<Self, Malformed> {
        let mut read = 0;
        for target in 0..targets {
            read |= u64::from(bits.number(2)?) << (2 * target);
        }
        Ok(Self(read))
    }
}

/// How many frame numbers lie between a frame and each of those that it refers to. More than [`REFERENCES_MAX`] are not
/// kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct References {
    diffs: [u16; REFERENCES_MAX],
    count: u8,
}

impl References {
    /// Returns the distances, each 1 to 4096.
    pub fn as_slice(&self) -> &[u16] {
        self.diffs.get(..usize::from(self.count)).unwrap_or_default()
    }

    pub(super) fn push(&mut self, diff: u16) {
        if let Some(place) = self.diffs.get_mut(usize::from(self.count)) {
            *place = diff;
            self.count += 1;
        }
    }
}

/// How many frame numbers lie between a frame and the one before it in each chain. 0: the chain begins with this frame.
pub type ChainDiffs = [u8; CHAINS_MAX];

/// A kind of frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// The spatial layer, 0–3.
    pub spatial: u8,
    /// The temporal layer, 0–7.
    pub temporal: u8,
    /// What such a frame is for each decode target.
    pub indications: Indications,
    /// What such a frame refers to.
    pub references: References,
    /// Where its chains have their frames before it.
    pub chain_diffs: ChainDiffs,
}

/// One way to watch a stream: the layers that are shown, and the frames that are needed for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeTarget {
    /// The highest spatial layer of its frames.
    pub spatial: u8,
    /// The highest temporal layer of its frames.
    pub temporal: u8,
    /// The chain whose frames it cannot do without; `None` if no chain protects it, or one that is not kept.
    pub chain: Option<u8>,
}

/// The templates of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    /// What is taken off a frame's template id to find its template.
    pub template_id_offset: u8,
    /// At least one and at most [`TEMPLATES_MAX`], in the order of their layers.
    pub templates: Vec<Template>,
    /// At least one and at most [`DECODE_TARGETS_MAX`].
    pub decode_targets: Vec<DecodeTarget>,
    /// How many chains frames tell of, of which [`CHAINS_MAX`] are kept.
    pub chains: u8,
    /// Width and height of each spatial layer in pixels, from the smallest on; empty if the sender does not tell.
    pub resolutions: Vec<(u16, u16)>,
}

impl Structure {
    /// Reads a structure, which begins behind the flags of the extended fields.
    pub(super) fn read(bits: &mut Bits<'_>) -> Result<Self, Malformed> {
        let template_id_offset = bits.number(6)? as u8;
        let targets = bits.number(5)? as u8 + 1;
        let mut templates = read_layers(bits)?;
        for template in &mut templates {
            template.indications = Indications::read(bits, targets)?;
        }
        for template in &mut templates {
            while bits.flag()? {
                template.references.push(bits.number(4)? as u16 + 1);
            }
        }
        let chains = bits.below(u32::from(targets) + 1)? as u8;
        let mut protected = [None; DECODE_TARGETS_MAX];
        if chains > 0 {
            for chain in protected.iter_mut().take(usize::from(targets)) {
                let number = bits.below(u32::from(chains))? as u8;
                *chain = (usize::from(number) < CHAINS_MAX).then_some(number);
            }
            for template in &mut templates {
                template.chain_diffs = read_chain_diffs(bits, chains, 4)?;
            }
        }
        let mut resolutions = Vec::new();
        if bits.flag()? {
            let highest = templates.iter().map(|template| template.spatial).max().unwrap_or(0);
            for _ in 0..=highest {
                let (width, height) = (bits.number(16)? as u16, bits.number(16)? as u16);
                resolutions.push((width.saturating_add(1), height.saturating_add(1)));
            }
        }
        let decode_targets =
            (0..targets).zip(protected).map(|(number, chain)| target(&templates, number, chain)).collect();
        Ok(Self { template_id_offset, templates, decode_targets, chains, resolutions })
    }

    /// Returns the template of a frame by the id that it names; `None` if there is none.
    pub fn template(&self, id: u8) -> Option<&Template> {
        self.templates.get(usize::from(id.wrapping_sub(self.template_id_offset) & 0x3f))
    }

    /// Returns the decode targets, a bit each, whose frames a target needs all of. That target is one of them.
    pub fn within(&self, target: u8) -> u32 {
        let is_within = |other: u8| {
            self.templates.iter().all(|template| {
                template.indications.is_present(target) || !template.indications.is_present(other)
            })
        };
        let targets = 0..self.decode_targets.len() as u8;
        targets.filter(|other| is_within(*other)).fold(0, |mask, other| mask | 1 << other)
    }
}

/// Reads the layers of the templates. What else they say follows later.
fn read_layers(bits: &mut Bits<'_>) -> Result<Vec<Template>, Malformed> {
    let mut templates = Vec::new();
    let (mut spatial, mut temporal) = (0, 0);
    loop {
        if templates.len() == TEMPLATES_MAX || spatial > SPATIAL_MAX || temporal > TEMPORAL_MAX {
            return Err(Malformed);
        }
        templates.push(Template {
            spatial,
            temporal,
            indications: Indications::default(),
            references: References::default(),
            chain_diffs: ChainDiffs::default(),
        });
        match bits.number(2)? {
            0 => {}
            1 => temporal += 1,
            2 => (spatial, temporal) = (spatial + 1, 0),
            _ => return Ok(templates),
        }
    }
}

/// Reads the distances of all chains, each of `width` bits.
pub(super) fn read_chain_diffs(bits: &mut Bits<'_>, chains: u8, width: u32) -> Result<ChainDiffs, Malformed> {
    let mut diffs = ChainDiffs::default();
    for chain in 0..usize::from(chains) {
        let diff = bits.number(width)? as u8;
        if let Some(place) = diffs.get_mut(chain) {
            *place = diff;
        }
    }
    Ok(diffs)
}

/// Returns a decode target: its layers are the highest ones among its frames.
fn target(templates: &[Template], number: u8, chain: Option<u8>) -> DecodeTarget {
    let own = templates.iter().filter(|template| template.indications.is_present(number));
    let spatial = own.clone().map(|template| template.spatial).max().unwrap_or(0);
    let temporal = own.map(|template| template.temporal).max().unwrap_or(0);
    DecodeTarget { spatial, temporal, chain }
}

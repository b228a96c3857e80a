//! Layers inside one stream: which of them a packet belongs to, and which of them are forwarded.
//!
//! Temporal layers make more pictures of a stream, spatial ones larger pictures. Whoever leaves out the upper ones has a
//! stream that can still be decoded. VP8 and VP9 number their layers in the payload's descriptor, H.264 tells by the
//! importance of a slice, and AV1 by the dependency descriptor, which says for each *decode target* whether it needs the
//! frame.

use crate::wire::dependency_descriptor::{ActivePlace, ChainDiffs, Indications};

/// A spatial and a temporal layer: where a frame stands, or up to where frames are forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layers {
    /// The spatial layer, 0 for the smallest pictures.
    pub spatial: u8,
    /// The temporal layer, 0 for the fewest pictures.
    pub temporal: u8,
}

impl Layers {
    /// Whatever there is.
    pub const ALL: Self = Self { spatial: u8::MAX, temporal: u8::MAX };
    /// The layer that all others stand on.
    pub const BASE: Self = Self { spatial: 0, temporal: 0 };

    /// Returns whether a frame of these layers is forwarded up to here.
    pub fn include(self, frame: Self) -> bool {
        frame.spatial <= self.spatial && frame.temporal <= self.temporal
    }

    /// Returns the higher one of each.
    pub fn higher(self, other: Self) -> Self {
        Self { spatial: self.spatial.max(other.spatial), temporal: self.temporal.max(other.temporal) }
    }

    /// Returns the lower one of each.
    pub fn lower(self, other: Self) -> Self {
        Self { spatial: self.spatial.min(other.spatial), temporal: self.temporal.min(other.temporal) }
    }
}

/// Where a viewer may go up to higher temporal layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SwitchPoint {
    /// Not at this frame, or the dependency descriptor tells.
    #[default]
    Nowhere,
    /// To the frame's own layer: it refers to the base layer alone (VP8).
    Own,
    /// To all above, if this frame is forwarded: they refer to it and to what follows it alone (VP9).
    Above,
    /// To all above, if the picture before was of the base layer: pictures refer to that one or later ones (H.264).
    BehindBase,
}

/// What is known of a packet's frame and of its layers.
#[derive(Debug, Clone, Copy)]
pub struct LayerInfo {
    /// Whether the stream tells its layers apart. Otherwise the packet is forwarded to everybody.
    pub is_layered: bool,
    /// The packet begins a layer frame.
    pub starts_frame: bool,
    /// The packet ends a layer frame, as far as the codec says so.
    pub ends_frame: bool,
    /// The frame's layers.
    pub layers: Layers,
    /// Where a viewer may go up.
    pub switch: SwitchPoint,
    /// Whether a frame of larger pictures, predicted from one before it, needs nothing of the smaller picture beside it; `None`
    /// for every other frame, and if the dependency descriptor tells.
    pub stands_alone: Option<bool>,
    /// Whether no larger picture refers to this one (VP9).
    pub serves_own_size: bool,
    /// What the dependency descriptor says.
    pub dependencies: Option<Dependencies>,
}

impl Default for LayerInfo {
    fn default() -> Self {
        Self {
            is_layered: false,
            starts_frame: false,
            ends_frame: false,
            layers: Layers::BASE,
            switch: SwitchPoint::Nowhere,
            stands_alone: None,
            serves_own_size: false,
            dependencies: None,
        }
    }
}

/// What a dependency descriptor says of a frame.
#[derive(Debug, Clone, Copy)]
pub struct Dependencies {
    /// Which of the encoding's structures describes it.
    pub structure: u8,
    /// What it is for each decode target.
    pub indications: Indications,
    /// The frames before it in its chains.
    pub chain_diffs: ChainDiffs,
    /// Where the mask of active decode targets belongs.
    pub active_place: ActivePlace,
}

/// The decode target of a [`Selection`] by layers alone.
pub const NO_TARGET: u8 = u8::MAX;

/// Which frames of a stream are forwarded to somebody. All packets of a frame are, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    /// The highest layers.
    pub layers: Layers,
    /// The spatial layer below which frames are left out that no larger picture refers to; 0 where there is a `target`.
    pub lowest: u8,
    /// The decode target whose frames are forwarded; [`NO_TARGET`] if the layers decide.
    pub target: u8,
    /// The structure that the target belongs to.
    pub structure: u8,
    /// The decode targets of which all frames are forwarded, as a mask; 0 if the mask is not changed.
    pub active: u32,
}

impl Selection {
    /// Every frame.
    pub const ALL: Self = Self::up_to(Layers::ALL);

    /// Every frame up to these layers.
    pub const fn up_to(layers: Layers) -> Self {
        Self { layers, lowest: 0, target: NO_TARGET, structure: 0, active: 0 }
    }

    /// Returns whether a frame is forwarded.
    pub fn takes(&self, frame: &LayerInfo) -> bool {
        match &frame.dependencies {
            Some(said) if self.target != NO_TARGET && said.structure == self.structure => {
                said.indications.is_present(self.target)
            }
            _ => {
                let is_in_the_way = frame.serves_own_size && frame.layers.spatial < self.lowest;
                !frame.is_layered || (self.layers.include(frame.layers) && !is_in_the_way)
            }
        }
    }

    /// Returns whether a packet ends the picture for whoever gets these layers alone.
    pub fn ends_picture(&self, packet: &LayerInfo) -> bool {
        packet.ends_frame && packet.layers.spatial == self.layers.spatial
    }
}

/// What was decided of a packet before it goes out, or waits to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// What is forwarded of the stream from the packet on, if it is the newest one.
    pub selection: Selection,
    /// Whether the packet belongs to it. If not, it is left out, and those behind it close up.
    pub takes: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_takes_its_layers_and_those_below() {
        let frame = |spatial, temporal| LayerInfo {
            is_layered: true,
            layers: Layers { spatial, temporal },
            ..LayerInfo::default()
        };
        let middle = Selection::up_to(Layers { spatial: 1, temporal: 1 });
        for (spatial, temporal, takes) in
            [(0, 0, true), (1, 1, true), (2, 0, false), (0, 2, false), (0, 1, true)]
        {
            assert_eq!(middle.takes(&frame(spatial, temporal)), takes, "{spatial} {temporal}");
            assert!(Selection::ALL.takes(&frame(spatial, temporal)));
        }
        assert!(middle.takes(&LayerInfo { is_layered: false, ..frame(3, 3) }), "nothing says that it may go");
        let end = LayerInfo { ends_frame: true, ..frame(1, 0) };
        assert!(middle.ends_picture(&end) && !middle.ends_picture(&frame(1, 0)));
        assert!(!middle.ends_picture(&LayerInfo { ends_frame: true, ..frame(0, 0) }));
        assert!(!Selection::ALL.ends_picture(&end), "the sender marks the end itself");
    }
}

//! Payload descriptors, codec by codec: whether a key frame starts here, the layers that the frame belongs to, and the
//! counters that must stay continuous when a slot's source changes.

use crate::core::media::extensions::{KeptExtensions, PassedExtensions};
use crate::core::media::layers::{LayerInfo, Layers, SwitchPoint};
use crate::core::negotiated::Codec;
use crate::wire::picture_id::PictureId;
use crate::wire::vp8::Vp8Descriptor;
use crate::wire::vp9::Vp9Descriptor;
use crate::wire::{av1, dependency_descriptor, h264, vp8, vp9};

/// A frame's counters, which a receiver expects to go up one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameCounters {
    /// VP8 and VP9, 7 or 15 bits.
    pub picture_id: Option<u16>,
    /// VP8 and VP9: index of the temporal base layer.
    pub tl0_picture_index: Option<u8>,
    /// The frame number of the dependency descriptor, an AV1 header extension.
    pub frame_number: Option<u16>,
}

impl FrameCounters {
    fn number(&mut self, id: Option<PictureId>) {
        self.picture_id = id.map(|id| id.value);
    }
}

/// A payload's descriptor. The cache keeps it beside the payload, so that it is parsed once.
#[derive(Debug, Clone, Copy, Default)]
pub enum Descriptor {
    /// The payload has no counters.
    #[default]
    Plain,
    /// A VP8 payload descriptor (RFC 7741 §4.2).
    Vp8(Vp8Descriptor),
    /// A VP9 payload descriptor (RFC 9628 §4.2).
    Vp9(Vp9Descriptor),
}

/// What was found in a payload.
#[derive(Debug, Clone, Copy)]
pub struct Described {
    /// Whether a decoder can begin here.
    pub starts_keyframe: bool,
    /// The payload's descriptor.
    pub descriptor: Descriptor,
    /// The counters in the payload, and the dependency descriptor's.
    pub counters: FrameCounters,
    /// The layers of the frame, as far as the payload tells them.
    pub layers: LayerInfo,
}

/// Reads a payload of that codec. An empty payload, which is padding, has no descriptor.
pub fn describe(codec: Codec, payload: &[u8], extensions: &PassedExtensions) -> Described {
    let mut described = Described {
        starts_keyframe: false,
        descriptor: Descriptor::Plain,
        counters: FrameCounters::default(),
        layers: LayerInfo::default(),
    };
    match codec {
        Codec::Opus => described.starts_keyframe = true,
        Codec::H264 { .. } => {
            described.starts_keyframe = h264::starts_keyframe(payload);
            if let Some(temporal) = h264::temporal_layer(payload) {
                described.layers = of_h264(temporal);
            }
        }
        Codec::Av1 { .. } => described.starts_keyframe = av1::starts_keyframe(payload),
        Codec::Vp8 => {
            if let Ok(vp8) = vp8::parse(payload) {
                described.starts_keyframe = vp8.keyframe;
                described.counters.number(vp8.counters.picture_id);
                described.counters.tl0_picture_index = vp8.counters.tl0_picture_index;
                if let Some(temporal) = vp8.temporal_id {
                    described.layers = of_vp8(&vp8, temporal);
                }
                described.descriptor = Descriptor::Vp8(vp8);
            }
        }
        Codec::Vp9 { .. } => {
            if let Ok(vp9) = vp9::parse(payload) {
                described.starts_keyframe = vp9.keyframe;
                described.counters.number(vp9.counters.picture_id);
                described.counters.tl0_picture_index = vp9.counters.tl0_picture_index;
                if let (Some(spatial), Some(temporal)) = (vp9.spatial_id, vp9.temporal_id) {
                    described.layers = of_vp9(&vp9, Layers { spatial, temporal });
                }
                described.descriptor = Descriptor::Vp9(vp9);
            }
        }
    }
    if let Some(bytes) = KeptExtensions(extensions.as_bytes()).dependency_descriptor()
        && let Ok(dependencies) = dependency_descriptor::parse(bytes)
    {
        described.counters.frame_number = Some(dependencies.frame_number);
    }
    described
}

fn of_h264(temporal: u8) -> LayerInfo {
    LayerInfo {
        is_layered: true,
        layers: Layers { spatial: 0, temporal },
        switch: SwitchPoint::BehindBase,
        ..LayerInfo::default()
    }
}

fn of_vp8(vp8: &Vp8Descriptor, temporal: u8) -> LayerInfo {
    LayerInfo {
        is_layered: true,
        starts_frame: vp8.starts_frame,
        layers: Layers { spatial: 0, temporal },
        switch: if vp8.layer_sync { SwitchPoint::Own } else { SwitchPoint::Nowhere },
        ..LayerInfo::default()
    }
}

fn of_vp9(vp9: &Vp9Descriptor, layers: Layers) -> LayerInfo {
    LayerInfo {
        is_layered: true,
        starts_frame: vp9.starts_frame,
        ends_frame: vp9.ends_frame,
        layers,
        switch: if vp9.switching_up { SwitchPoint::Above } else { SwitchPoint::Nowhere },
        stands_alone: (layers.spatial > 0 && vp9.inter_picture_predicted)
            .then_some(!vp9.inter_layer_dependency),
        serves_own_size: vp9.not_inter_layer_reference,
        dependencies: None,
    }
}

impl Descriptor {
    /// Overwrites the counters in `payload`, keeping the width of each.
    pub fn patch(&self, payload: &mut [u8], counters: FrameCounters) {
        let picture_id = counters.picture_id.unwrap_or(0);
        let tl0_picture_index = counters.tl0_picture_index.unwrap_or(0);
        match self {
            Descriptor::Plain => {}
            Descriptor::Vp8(vp8) => vp8.counters.patch(payload, picture_id, tl0_picture_index),
            Descriptor::Vp9(vp9) => vp9.counters.patch(payload, picture_id, tl0_picture_index),
        }
    }
}

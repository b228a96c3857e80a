//! What an offer and its answer agreed on, read from the engine once per answer: codecs by payload type, header
//! extensions by id, and which sections publish, which are slots.

use super::command::Kind;
use super::ids::{Mid, PayloadType, Ssrc};

/// Dependency descriptor for AV1 and VP9 (AV1 RTP payload format, appendix A).
pub const DEPENDENCY_DESCRIPTOR_URI: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/// A codec, with what must be equal for a receiver to decode it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// RFC 7587.
    Opus,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9 {
        /// 0–3.
        profile: u8,
    },
    /// RFC 6184.
    H264 {
        /// `profile_idc`.
        profile: u8,
        /// Whether constraint_set1 is set: constrained baseline.
        constrained: bool,
        /// 0 or 1.
        packetization_mode: u8,
    },
    /// AV1 RTP payload format.
    Av1 {
        /// 0–2.
        profile: u8,
    },
}

/// H.264 baseline's `profile_idc`.
const H264_BASELINE: u8 = 66;

impl Codec {
    /// The name that people know.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Opus => "opus",
            Codec::Vp8 => "VP8",
            Codec::Vp9 { .. } => "VP9",
            Codec::H264 { .. } => "H264",
            Codec::Av1 { .. } => "AV1",
        }
    }

    /// Ticks of its RTP timestamps a second.
    pub fn clock_rate(self) -> u32 {
        match self {
            Codec::Opus => 48_000,
            _ => 90_000,
        }
    }

    /// Whether a receiver of `receiver` can decode this.
    fn decodable_by(self, receiver: Codec) -> bool {
        match (self, receiver) {
            (
                Codec::H264 { profile: sent, packetization_mode: mode, .. },
                Codec::H264 { profile: taken, packetization_mode: taken_mode, .. },
            ) => mode == taken_mode && (sent == taken || (sent == H264_BASELINE && taken > H264_BASELINE)),
            _ => self == receiver,
        }
    }
}

/// One negotiated codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecParams {
    /// The codec.
    pub codec: Codec,
    /// Its payload type.
    pub pt: PayloadType,
    /// The payload type of its retransmissions (RFC 4588).
    pub rtx: Option<PayloadType>,
    /// The payload type of its redundant form (RFC 2198).
    pub red: Option<PayloadType>,
    /// Whether lost packets may be asked for again.
    pub nack: bool,
}

/// What a payload type means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// The codec itself.
    Media(CodecParams),
    /// The codec's redundant form.
    Redundant(CodecParams),
    /// A retransmission of the codec.
    Retransmission(CodecParams),
}

/// Ids of the header extensions that we read or pass on; `None`: not negotiated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtensionIds {
    /// RFC 8843.
    pub mid: Option<u8>,
    /// RFC 8852.
    pub rid: Option<u8>,
    /// RFC 8852.
    pub repaired_rid: Option<u8>,
    /// Transport-wide sequence number.
    pub transport_cc: Option<u8>,
    /// RFC 6464.
    pub audio_level: Option<u8>,
    /// 3GPP TS 26.114 §7.4.5.
    pub video_orientation: Option<u8>,
    /// libwebrtc's playout delay.
    pub playout_delay: Option<u8>,
    /// libwebrtc's content type.
    pub content_type: Option<u8>,
    /// libwebrtc's colour space.
    pub color_space: Option<u8>,
    /// AV1 RTP payload format, appendix A.
    pub dependency_descriptor: Option<u8>,
}

/// What the client sends in a section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ingress {
    /// SSRCs that the offer declared: main and retransmission.
    pub declared: Option<(Ssrc, Option<Ssrc>)>,
    /// Rids of a simulcast, in the client's order.
    pub rids: Vec<String>,
}

/// One section after an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiatedSection {
    /// The section.
    pub mid: Mid,
    /// Audio or video.
    pub kind: Kind,
    /// Payload types that the client takes here.
    pub payload_types: Vec<PayloadType>,
    /// Its header extensions.
    pub extensions: ExtensionIds,
    /// The client sends.
    pub ingress: Option<Ingress>,
    /// The client receives: our SSRCs.
    pub egress: Option<(Ssrc, Option<Ssrc>)>,
}

/// No place in [`Negotiated::meanings`]: there are at most 128.
const NOWHERE: u8 = u8::MAX;

/// What was agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// Where in `meanings` a payload type is, by its number.
    places: [u8; 128],
    /// What the payload types mean that mean something: few of the 128.
    meanings: Vec<Payload>,
    /// Ids of extensions in incoming packets: the same in all sections (RFC 8843 §9.1).
    pub extensions: ExtensionIds,
    /// The sections, in order.
    pub sections: Vec<NegotiatedSection>,
}

impl Negotiated {
    /// Nothing, as before the first offer.
    pub fn none() -> Self {
        Self {
            places: [NOWHERE; 128],
            meanings: Vec::new(),
            extensions: ExtensionIds::default(),
            sections: Vec::new(),
        }
    }

    /// Says what a payload type means; `None` stands for a type that was not agreed on.
    pub(super) fn set(&mut self, pt: Option<PayloadType>, payload: Payload) {
        let Some(place) = pt.and_then(|pt| self.places.get_mut(usize::from(pt.0))) else { return };
        match self.meanings.get_mut(usize::from(*place)) {
            Some(meaning) => *meaning = payload,
            None => {
                *place = self.meanings.len() as u8;
                self.meanings.push(payload);
            }
        }
    }

    /// Gives back memory that was reserved for more payload types than were agreed on.
    pub(super) fn shrink(&mut self) {
        self.meanings.shrink_to_fit();
    }

    /// What a payload type means.
    pub fn payload(&self, pt: u8) -> Option<Payload> {
        let place = self.places.get(usize::from(pt))?;
        self.meanings.get(usize::from(*place)).copied()
    }

    /// How a section's client takes a codec: its own payload types for it. An exact match before a merely decodable one.
    pub fn codec_for(&self, section: &NegotiatedSection, codec: Codec) -> Option<CodecParams> {
        let media = |pt: &PayloadType| match self.payload(pt.0) {
            Some(Payload::Media(params)) => Some(params),
            _ => None,
        };
        let taken = || section.payload_types.iter().filter_map(media);
        taken()
            .find(|params| params.codec == codec)
            .or_else(|| taken().find(|params| codec.decodable_by(params.codec)))
    }

    /// The section of that mid.
    pub fn section(&self, mid: Mid) -> Option<&NegotiatedSection> {
        self.sections.iter().find(|section| section.mid == mid)
    }

    /// Whether any section receives that codec.
    pub fn can_receive(&self, codec: Codec) -> bool {
        self.sections
            .iter()
            .filter(|section| section.egress.is_some())
            .any(|section| self.codec_for(section, codec).is_some())
    }
}

impl ExtensionIds {
    /// Takes over the ids that `self` lacks.
    pub(super) fn merge(&mut self, other: Self) {
        let pairs = [
            (&mut self.mid, other.mid),
            (&mut self.rid, other.rid),
            (&mut self.repaired_rid, other.repaired_rid),
            (&mut self.transport_cc, other.transport_cc),
            (&mut self.audio_level, other.audio_level),
            (&mut self.video_orientation, other.video_orientation),
            (&mut self.playout_delay, other.playout_delay),
            (&mut self.content_type, other.content_type),
            (&mut self.color_space, other.color_space),
            (&mut self.dependency_descriptor, other.dependency_descriptor),
        ];
        for (own, other) in pairs {
            *own = own.or(other);
        }
    }
}

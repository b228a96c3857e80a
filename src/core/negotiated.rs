//! What an offer and its answer agreed on: codecs by payload type, header extensions by id, and which sections publish
//! and which are slots. It is a plain value. [`negotiation`](super::negotiation) makes it from an offer; a front end
//! without session descriptions could make it from parameters.

use super::ids::{Mid, PayloadType, Ssrc};
use super::source::MediaKind;

/// Dependency descriptor for AV1 and VP9 (AV1 RTP payload format, appendix A).
pub const DEPENDENCY_DESCRIPTOR_URI: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/// A codec, with the parameters that decide whether a receiver can decode it.
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
        /// Which features of the standard its streams use.
        profile: H264Profile,
        /// 0 or 1.
        packetization_mode: u8,
    },
    /// AV1 RTP payload format.
    Av1 {
        /// 0–2.
        profile: u8,
    },
}

/// A sub-profile of H.264 (RFC 6184 §8.1, table 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum H264Profile {
    /// Every WebRTC endpoint decodes it (RFC 7742 §6.2).
    ConstrainedBaseline,
    /// Baseline. Nobody in WebRTC uses the features that Constrained Baseline lacks.
    Baseline,
    /// Main, with B slices.
    Main,
    /// Extended, for streaming.
    Extended,
    /// High without the features that add delay, as phones' hardware encoders make it.
    ConstrainedHigh,
    /// High, with 8×8 transforms.
    High,
    /// Any other, which only a decoder of the same profile can decode.
    Other {
        /// `profile_idc`, its first byte.
        idc: u8,
        /// `profile-iop`, its second byte.
        constraints: u8,
    },
}

impl H264Profile {
    /// Whether a decoder of `receiver` can decode streams of this profile.
    fn decodable_by(self, receiver: Self) -> bool {
        use H264Profile::{Baseline, ConstrainedBaseline, ConstrainedHigh, Extended, High, Main, Other};
        match (self, receiver) {
            (ConstrainedBaseline | Baseline, Other { .. }) => false,
            (ConstrainedBaseline | Baseline, _) => true,
            (Main, Main | High) | (ConstrainedHigh, ConstrainedHigh | High) | (Extended, Extended) => true,
            _ => self == receiver,
        }
    }
}

impl Codec {
    /// Returns the codec's usual name.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Opus => "opus",
            Codec::Vp8 => "VP8",
            Codec::Vp9 { .. } => "VP9",
            Codec::H264 { .. } => "H264",
            Codec::Av1 { .. } => "AV1",
        }
    }

    /// Returns how many ticks per second its RTP timestamps have.
    pub fn clock_rate(self) -> u32 {
        match self {
            Codec::Opus => 48_000,
            _ => 90_000,
        }
    }

    /// Whether a decoder of `receiver` can decode this codec.
    pub(super) fn decodable_by(self, receiver: Codec) -> bool {
        match (self, receiver) {
            (
                Codec::H264 { profile, packetization_mode: mode },
                Codec::H264 { profile: taken, packetization_mode: taken_mode },
            ) => mode <= taken_mode && profile.decodable_by(taken),
            // Each profile of AV1 includes those below it.
            (Codec::Av1 { profile }, Codec::Av1 { profile: taken }) => profile <= taken,
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

/// A header extension that we read or pass on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// RFC 9143 §15.
    Mid,
    /// RFC 8852.
    Rid,
    /// RFC 8852.
    RepairedRid,
    /// Transport-wide sequence number.
    TransportCc,
    /// RFC 6464.
    AudioLevel,
    /// 3GPP TS 26.114 §7.4.5.
    VideoOrientation,
    /// libwebrtc's playout delay.
    PlayoutDelay,
    /// libwebrtc's content type.
    ContentType,
    /// libwebrtc's colour space.
    ColorSpace,
    /// AV1 RTP payload format, appendix A.
    DependencyDescriptor,
}

impl Extension {
    /// All of them, in no order that matters.
    pub const ALL: [Self; 10] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::TransportCc,
        Self::AudioLevel,
        Self::VideoOrientation,
        Self::PlayoutDelay,
        Self::ContentType,
        Self::ColorSpace,
        Self::DependencyDescriptor,
    ];

    /// Returns its URI, as session descriptions name it.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::TransportCc => "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::ContentType => "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type",
            Self::ColorSpace => "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
            Self::DependencyDescriptor => DEPENDENCY_DESCRIPTOR_URI,
        }
    }

    /// Returns the extension with that URI, which attributes may follow, if it is served in sections of that kind.
    pub fn from_uri(name: &str, kind: MediaKind) -> Option<Self> {
        let uri = name.split_whitespace().next()?;
        let extension = Self::ALL.into_iter().find(|extension| extension.uri() == uri)?;
        let is_for = match extension {
            Self::Mid | Self::Rid | Self::RepairedRid | Self::TransportCc => true,
            Self::AudioLevel => kind == MediaKind::Audio,
            _ => kind == MediaKind::Video,
        };
        is_for.then_some(extension)
    }
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

/// The streams that the client sends in a section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ingress {
    /// The SSRCs that the offer declared, media and retransmission: a pair for each encoding of a simulcast, the
    /// smallest first, else one pair. Empty if the encodings have rids, or if nothing was declared.
    pub declared: Vec<(Ssrc, Option<Ssrc>)>,
    /// Rids of a simulcast, in the client's order.
    pub rids: Vec<String>,
    /// H.264's parameter sets, as far as the offer gives them (RFC 6184 §8.1): NAL units, each with the payload type that it
    /// is for.
    pub parameter_sets: Vec<(PayloadType, Box<[u8]>)>,
}

/// One section after an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiatedSection {
    /// The section.
    pub mid: Mid,
    /// Audio or video.
    pub kind: MediaKind,
    /// All payload types that were agreed on here, most wanted first.
    pub payload_types: Vec<PayloadType>,
    /// The codecs among them, each with this section's payload types for retransmissions and redundancy.
    pub codecs: Vec<CodecParams>,
    /// Header extensions of what we send here; without an offer, in a section in which the client sends, those of what comes.
    pub extensions: ExtensionIds,
    /// The client's streams; `None` if it does not send here.
    pub ingress: Option<Ingress>,
    /// Our SSRCs, media and retransmission; `None` if the client does not receive here.
    pub egress: Option<(Ssrc, Option<Ssrc>)>,
}

impl NegotiatedSection {
    /// Returns the client's payload types for a codec in this section. An exact match comes before one that the client
    /// can merely decode.
    pub fn codec_for(&self, codec: Codec) -> Option<CodecParams> {
        let exact = self.codecs.iter().find(|params| params.codec == codec);
        exact.or_else(|| self.codecs.iter().find(|params| codec.decodable_by(params.codec))).copied()
    }
}

/// Stands for "no place in [`Negotiated::meanings`]", which has at most 128 places.
const NOWHERE: u8 = u8::MAX;

/// What was agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// The place in `meanings` of each payload type.
    places: [u8; 128],
    /// The meanings of the payload types that have one, which are few of the 128.
    meanings: Vec<Payload>,
    /// What the ids of header extensions in incoming packets mean. An id has one meaning in all sections (RFC 9143 §9.1);
    /// an extension may have several ids.
    extensions: [Option<Extension>; 256],
    /// The sections, in order.
    pub sections: Vec<NegotiatedSection>,
    /// The largest message that the client takes on data channels, in bytes; `None` if none were negotiated.
    pub channel_message_bytes_max: Option<u32>,
}

impl Negotiated {
    /// Returns what is agreed before the first offer: nothing.
    pub fn none() -> Self {
        Self {
            places: [NOWHERE; 128],
            meanings: Vec::new(),
            extensions: [None; 256],
            sections: Vec::new(),
            channel_message_bytes_max: None,
        }
    }

    /// Makes what was agreed on of its sections. The meanings of their payload types, and of the header extensions in those in
    /// which the client sends, hold for all of them.
    pub fn of_sections(sections: Vec<NegotiatedSection>) -> Self {
        let mut negotiated = Self::none();
        for section in &sections {
            for params in &section.codecs {
                negotiated.set(Some(params.pt), Payload::Media(*params));
                negotiated.set(params.red, Payload::Redundant(*params));
                negotiated.set(params.rtx, Payload::Retransmission(*params));
            }
            let mut ids = section.extensions;
            for extension in Extension::ALL.into_iter().filter(|_| section.ingress.is_some()) {
                if let Some(id) = *ids.of_mut(extension) {
                    negotiated.set_extension(id, extension);
                }
            }
        }
        negotiated.sections = sections;
        negotiated.shrink();
        negotiated
    }

    /// Sets the meaning of a payload type. Does nothing if there is no type.
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

    /// Sets the meaning of a header extension's id in incoming packets.
    pub(super) fn set_extension(&mut self, id: u8, extension: Extension) {
        self.extensions[usize::from(id)] = Some(extension);
    }

    /// Returns the meaning of a header extension's id in incoming packets.
    pub fn extension(&self, id: u8) -> Option<Extension> {
        self.extensions[usize::from(id)]
    }

    /// Whether incoming packets may carry that header extension.
    pub fn has_extension(&self, extension: Extension) -> bool {
        self.extensions.contains(&Some(extension))
    }

    /// Returns the only section in which the client sends that payload type; `None` if there are several, or none (RFC
    /// 9143 §9.2).
    pub fn only_section_of(&self, pt: u8) -> Option<Mid> {
        let sends = |section: &&NegotiatedSection| {
            section.ingress.is_some() && section.payload_types.contains(&PayloadType(pt))
        };
        let mut sections = self.sections.iter().filter(sends);
        let section = sections.next()?;
        sections.next().is_none().then_some(section.mid)
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
            .any(|section| section.codec_for(codec).is_some())
    }
}

impl ExtensionIds {
    /// Where the id of an extension is kept.
    pub fn of_mut(&mut self, extension: Extension) -> &mut Option<u8> {
        match extension {
            Extension::Mid => &mut self.mid,
            Extension::Rid => &mut self.rid,
            Extension::RepairedRid => &mut self.repaired_rid,
            Extension::TransportCc => &mut self.transport_cc,
            Extension::AudioLevel => &mut self.audio_level,
            Extension::VideoOrientation => &mut self.video_orientation,
            Extension::PlayoutDelay => &mut self.playout_delay,
            Extension::ContentType => &mut self.content_type,
            Extension::ColorSpace => &mut self.color_space,
            Extension::DependencyDescriptor => &mut self.dependency_descriptor,
        }
    }
}

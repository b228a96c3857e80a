//! What the server says of itself to mediasoup's clients: its "router's" capabilities, which never change, so that a client
//! may keep them. Payload types and ids of header extensions here are those of all that is sent to such clients.

use super::{
    CodecParameters, ExtensionDirection, RtcpFeedback, RtpCapabilities, RtpCodecCapability,
    RtpHeaderExtension,
};
use crate::core::codec_set::CodecSet;
use crate::core::ids::PayloadType;
use crate::core::negotiated::{Codec, CodecParams, Extension, H264Profile};
use crate::core::source::MediaKind;

/// Our payload type of Opus.
const OPUS: u8 = 100;

/// A codec that is sent to clients in its own payload type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routed {
    /// The codec.
    pub codec: Codec,
    /// Its payload type. 127 is left to the clients, who use it themselves.
    pub pt: u8,
    /// H.264's `profile-level-id`; empty for all others.
    profile_level_id: &'static str,
}

const fn routed(codec: Codec, pt: u8) -> Routed {
    Routed { codec, pt, profile_level_id: "" }
}

const fn h264(
    profile: H264Profile,
    packetization_mode: u8,
    pt: u8,
    profile_level_id: &'static str,
) -> Routed {
    Routed { codec: Codec::H264 { profile, packetization_mode }, pt, profile_level_id }
}

/// All that is sent, most wanted first: clients publish in the first one that they can.
pub const ROUTED: [Routed; 12] = [
    routed(Codec::Opus, OPUS),
    routed(Codec::Vp8, 101),
    routed(Codec::Vp9 { profile: 0 }, 103),
    routed(Codec::Vp9 { profile: 2 }, 105),
    h264(H264Profile::ConstrainedBaseline, 1, 107, "42e01f"),
    h264(H264Profile::ConstrainedBaseline, 0, 109, "42e01f"),
    h264(H264Profile::Baseline, 1, 111, "42001f"),
    h264(H264Profile::Baseline, 0, 113, "42001f"),
    h264(H264Profile::Main, 1, 115, "4d0032"),
    h264(H264Profile::High, 1, 117, "640032"),
    h264(H264Profile::ConstrainedHigh, 1, 119, "640c32"),
    routed(Codec::Av1 { profile: 0 }, 121),
];

/// The header extensions, with their ids and in which direction they are used, for us: for both kinds of media or for one.
///
/// The dependency descriptor is only sent. Browsers that may send it leave VP8's own descriptor out, with the picture ids that
/// others need.
const EXTENSIONS: [(Extension, u8, ExtensionDirection); 10] = [
    (Extension::Mid, 1, ExtensionDirection::SendRecv),
    (Extension::Rid, 2, ExtensionDirection::RecvOnly),
    (Extension::RepairedRid, 3, ExtensionDirection::RecvOnly),
    (Extension::TransportCc, 5, ExtensionDirection::SendRecv),
    (Extension::DependencyDescriptor, 8, ExtensionDirection::SendOnly),
    (Extension::AudioLevel, 10, ExtensionDirection::SendRecv),
    (Extension::VideoOrientation, 11, ExtensionDirection::SendRecv),
    (Extension::ContentType, 12, ExtensionDirection::SendRecv),
    (Extension::ColorSpace, 13, ExtensionDirection::SendRecv),
    (Extension::PlayoutDelay, 14, ExtensionDirection::SendRecv),
];

impl Routed {
    /// Returns whether it is heard or seen.
    pub fn kind(self) -> MediaKind {
        if self.codec == Codec::Opus { MediaKind::Audio } else { MediaKind::Video }
    }

    /// Returns the payload type of its retransmissions; `None` for audio, of which nothing is retransmitted.
    pub fn rtx(self) -> Option<u8> {
        (self.kind() == MediaKind::Video).then_some(self.pt + 1)
    }

    /// Returns it as a section's codec.
    pub fn params(self, takes_rtx: bool) -> CodecParams {
        CodecParams {
            codec: self.codec,
            pt: PayloadType(self.pt),
            rtx: self.rtx().filter(|_| takes_rtx).map(PayloadType),
            red: None,
            nack: self.kind() == MediaKind::Video,
        }
    }

    /// Returns its name with the kind before it.
    pub fn mime_type(self) -> String {
        format!("{}/{}", self.kind().as_str(), self.codec.name())
    }

    /// Returns how many channels it has; `None` for video.
    pub fn channels(self) -> Option<u8> {
        (self.codec == Codec::Opus).then_some(2)
    }

    /// Returns what its `a=fmtp` would say.
    pub fn parameters(self) -> CodecParameters {
        let pairs: Vec<(&str, super::ParameterValue)> = match self.codec {
            Codec::Opus => vec![("minptime", 10.into()), ("useinbandfec", 1.into())],
            Codec::Vp8 => Vec::new(),
            Codec::Vp9 { profile } => vec![("profile-id", i64::from(profile).into())],
            Codec::Av1 { profile } => vec![("profile", i64::from(profile).into())],
            Codec::H264 { packetization_mode, .. } => vec![
                ("packetization-mode", i64::from(packetization_mode).into()),
                ("profile-level-id", self.profile_level_id.into()),
                ("level-asymmetry-allowed", 1.into()),
            ],
        };
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Returns the feedback that is served for it.
    pub fn feedback(self) -> Vec<RtcpFeedback> {
        let all: &[(&str, Option<&str>)] = match self.kind() {
            MediaKind::Audio => &[("transport-cc", None)],
            MediaKind::Video => {
                &[("nack", None), ("nack", Some("pli")), ("ccm", Some("fir")), ("transport-cc", None)]
            }
        };
        let one = |(kind, parameter): &(&str, Option<&str>)| RtcpFeedback {
            kind: (*kind).to_owned(),
            parameter: parameter.map(str::to_owned),
        };
        all.iter().map(one).collect()
    }
}

/// Returns what clients of mediasoup are told that the server receives and sends, in a room that takes those codecs.
pub fn capabilities(codecs: CodecSet) -> RtpCapabilities {
    let mut all = Vec::new();
    for one in ROUTED.into_iter().filter(|one| codecs.has(one.codec)) {
        let (kind, clock_rate) = (one.kind(), one.codec.clock_rate());
        all.push(RtpCodecCapability {
            kind,
            mime_type: one.mime_type(),
            preferred_payload_type: Some(one.pt),
            clock_rate,
            channels: one.channels(),
            parameters: one.parameters(),
            rtcp_feedback: one.feedback(),
        });
        all.extend(one.rtx().map(|rtx| RtpCodecCapability {
            kind,
            mime_type: rtx_mime_type(kind),
            preferred_payload_type: Some(rtx),
            clock_rate,
            channels: None,
            parameters: apt(one.pt),
            rtcp_feedback: Vec::new(),
        }));
    }
    let extensions = MediaKind::ALL.into_iter().flat_map(|kind| {
        extensions_of(kind).map(move |(extension, id, direction)| RtpHeaderExtension {
            kind,
            uri: extension.uri().to_owned(),
            preferred_id: id,
            preferred_encrypt: false,
            direction,
        })
    });
    RtpCapabilities { codecs: all, header_extensions: extensions.collect() }
}

/// Returns the header extensions of a kind of media, with their ids and directions.
pub fn extensions_of(kind: MediaKind) -> impl Iterator<Item = (Extension, u8, ExtensionDirection)> {
    EXTENSIONS.into_iter().filter(move |(extension, ..)| {
        // Nobody sends audio in several encodings.
        let is_of_simulcast = matches!(extension, Extension::Rid | Extension::RepairedRid);
        Extension::from_uri(extension.uri(), kind).is_some() && !(is_of_simulcast && kind == MediaKind::Audio)
    })
}

/// Returns the name of retransmissions.
pub fn rtx_mime_type(kind: MediaKind) -> String {
    format!("{}/rtx", kind.as_str())
}

/// Returns the parameters of the retransmissions of a payload type.
pub fn apt(of: u8) -> CodecParameters {
    CodecParameters::from([("apt".to_owned(), i64::from(of).into())])
}

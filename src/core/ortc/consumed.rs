//! Consuming: whether a client can receive a track, and how it is sent to them. All are pure functions.

use super::capability::role;
use super::router::{ROUTED, Routed, apt, extensions_of, rtx_mime_type};
use super::{
    ExtensionDirection, RtcpParameters, RtpCapabilities, RtpCodecParameters, RtpEncodingParameters,
    RtpHeaderExtensionParameters, RtpParameters, RtxParameters,
};
use crate::core::ids::{Mid, Ssrc};
use crate::core::negotiated::{Codec, Extension, ExtensionIds, NegotiatedSection};
use crate::core::negotiation::codecs::Role;
use crate::core::source::MediaKind;

/// How a client is sent a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its section.
    pub section: NegotiatedSection,
    /// What the client is told of that.
    pub parameters: RtpParameters,
}

/// What a track that is consumed is, beside its codec.
#[derive(Debug, Clone, Copy)]
pub struct Track<'a> {
    /// Its section on the transport that the client receives on.
    pub mid: Mid,
    /// Audio or video.
    pub kind: MediaKind,
    /// The codecs that may come, the one that does first.
    pub codecs: &'a [Codec],
    /// Our SSRCs, media and retransmission.
    pub ssrcs: (Ssrc, Ssrc),
    /// Tracks of equal name play in sync.
    pub cname: &'a str,
}

/// Returns in which of our codecs a track that is published in that one can be sent to a client with these capabilities;
/// `None` if they cannot receive it. One that is the same comes before one that they can merely decode.
pub fn can_consume(codec: Codec, capabilities: &RtpCapabilities) -> Option<Routed> {
    let takes = |routed: &&Routed| {
        let mut roles = capabilities.codecs.iter().filter_map(role);
        codec.decodable_by(routed.codec) && roles.any(|role| role == Role::Media(routed.codec))
    };
    let mut taken = ROUTED.iter().filter(takes);
    let exact = taken.clone().find(|routed| routed.codec == codec);
    exact.or_else(|| taken.next()).copied()
}

/// Returns how a track is sent to a client with these capabilities; `None` if they cannot receive the first of its codecs, or
/// if nothing is known of it.
pub fn consume(track: Track<'_>, capabilities: &RtpCapabilities) -> Option<Sent> {
    let Track { mid, kind, codecs, ssrcs: (main, rtx), cname } = track;
    can_consume(*codecs.first()?, capabilities)?;
    let mut routed: Vec<Routed> = Vec::new();
    for one in codecs.iter().filter_map(|codec| can_consume(*codec, capabilities)) {
        if !routed.contains(&one) && one.kind() == kind {
            routed.push(one);
        }
    }
    routed.first()?;
    let takes_rtx = takes_retransmissions(kind, capabilities);
    let codecs: Vec<_> = routed.iter().map(|one| one.params(takes_rtx)).collect();
    let repairs = codecs.iter().any(|params| params.rtx.is_some());
    let is_av1 = matches!(routed.first()?.codec, Codec::Av1 { .. });
    let extensions = sent_extensions(kind, is_av1, capabilities);
    let egress = (main, repairs.then_some(rtx));
    let mut ids = ExtensionIds::default();
    for (extension, id) in &extensions {
        *ids.of_mut(*extension) = Some(*id);
    }
    let parameters = RtpParameters {
        mid: Some(mid.as_str().to_owned()),
        codecs: routed.iter().flat_map(|one| told_codecs(*one, takes_rtx)).collect(),
        header_extensions: extensions
            .into_iter()
            .map(|(extension, id)| RtpHeaderExtensionParameters {
                uri: extension.uri().to_owned(),
                id,
                encrypt: false,
            })
            .collect(),
        encodings: vec![RtpEncodingParameters {
            ssrc: Some(main.0),
            rtx: egress.1.map(|rtx| RtxParameters { ssrc: rtx.0 }),
            ..RtpEncodingParameters::default()
        }],
        rtcp: RtcpParameters { cname: Some(cname.to_owned()), reduced_size: Some(true) },
    };
    let section = NegotiatedSection {
        mid,
        kind,
        payload_types: codecs.iter().flat_map(|params| [Some(params.pt), params.rtx]).flatten().collect(),
        codecs,
        extensions: ids,
        ingress: None,
        egress: Some(egress),
    };
    Some(Sent { section, parameters })
}

/// Whether a client takes retransmissions of that kind of media.
fn takes_retransmissions(kind: MediaKind, capabilities: &RtpCapabilities) -> bool {
    let mut roles = capabilities.codecs.iter().filter(|codec| codec.kind == kind).filter_map(role);
    roles.any(|role| matches!(role, Role::Retransmission(_)))
}

/// Returns the header extensions of what is sent to a client, with our ids: those that they know, too.
fn sent_extensions(kind: MediaKind, is_av1: bool, capabilities: &RtpCapabilities) -> Vec<(Extension, u8)> {
    // Of what has one id for audio and video, mediasoup's clients only say one kind.
    let knows = |extension: Extension| {
        let mut known = capabilities.header_extensions.iter();
        known.any(|known| Extension::from_uri(&known.uri, kind) == Some(extension))
    };
    let sent = extensions_of(kind).filter(|(extension, _, direction)| {
        let is_sent = matches!(direction, ExtensionDirection::SendRecv | ExtensionDirection::SendOnly);
        // Only AV1's layers cannot be told without it.
        is_sent && knows(*extension) && (is_av1 || *extension != Extension::DependencyDescriptor)
    });
    sent.map(|(extension, id, _)| (extension, id)).collect()
}

/// Returns what a client is told of a codec, and of its retransmissions.
fn told_codecs(routed: Routed, takes_rtx: bool) -> impl Iterator<Item = RtpCodecParameters> {
    let clock_rate = routed.codec.clock_rate();
    let mut parameters = routed.parameters();
    if routed.codec == Codec::Opus {
        // What comes may be in stereo, and else it costs nothing (RFC 7587 §6.1).
        parameters.insert("sprop-stereo".to_owned(), 1.into());
    }
    let main = RtpCodecParameters {
        mime_type: routed.mime_type(),
        payload_type: routed.pt,
        clock_rate,
        channels: routed.channels(),
        parameters,
        rtcp_feedback: routed.feedback(),
    };
    let rtx = routed.rtx().filter(|_| takes_rtx).map(|rtx| RtpCodecParameters {
        mime_type: rtx_mime_type(routed.kind()),
        payload_type: rtx,
        clock_rate,
        channels: None,
        parameters: apt(routed.pt),
        rtcp_feedback: Vec::new(),
    });
    std::iter::once(main).chain(rtx)
}

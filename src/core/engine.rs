//! Engine: what we say to `str0m` and what we read from it, apart from driving it, which [`session`](super::session) does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use str0m::format::{Codec as EngineCodec, PayloadParams};
use str0m::rtp::{Extension, ExtensionSerializer, ExtensionValues};
use str0m::{Rtc, RtcConfig};

use super::ids::{Mid, PayloadType, Ssrc};
use super::negotiated::{
    Codec, CodecParams, DEPENDENCY_DESCRIPTOR_URI, ExtensionIds, Ingress, Negotiated, NegotiatedSection,
    Payload,
};
use super::sdp::{Direction, Offer};

/// The engine believes that it listens here. Our real addresses are written into answers and never reach it: it
/// would drop a packet that came to one it does not know.
pub fn engine_address(remote: SocketAddr) -> SocketAddr {
    match remote.ip() {
        IpAddr::V4(_) => SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 200)), 9),
        IpAddr::V6(_) => SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 200)), 9),
    }
}

/// Header extensions beyond the engine's standard ones, ids free there.
pub fn with_extensions(config: RtcConfig) -> RtcConfig {
    config
        .set_extension(5, Extension::PlayoutDelay)
        .set_extension(6, Extension::VideoContentType)
        .set_extension(7, Extension::ColorSpace)
        .set_extension(8, Extension::with_serializer(DEPENDENCY_DESCRIPTOR_URI, PassThrough))
}

/// An extension that the engine negotiates and never reads or writes.
#[derive(Debug)]
pub struct PassThrough;

impl ExtensionSerializer for PassThrough {
    fn write_to(&self, _buf: &mut [u8], _values: &ExtensionValues) -> usize {
        0
    }

    fn parse_value(&self, _buf: &[u8], _values: &mut ExtensionValues) -> bool {
        false
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        false
    }
}

/// SSRCs that the engine gave a sending section: main and retransmission.
pub fn egress_ssrcs(rtc: &mut Rtc, mid: Mid) -> Option<(Ssrc, Option<Ssrc>)> {
    let mut api = rtc.direct_api();
    let stream = api.stream_tx_by_mid(mid, None)?;
    Some((Ssrc(*stream.ssrc()), stream.rtx().map(|ssrc| Ssrc(*ssrc))))
}

/// Reads what the engine has agreed to.
pub fn read_negotiated(rtc: &mut Rtc, offer: &Offer) -> Negotiated {
    let mut negotiated = Negotiated::none();
    negotiated.sections.reserve_exact(offer.sections.len());
    let (mut used, mut offered) = ([false; 128], [false; 128]);
    for section in &offer.sections {
        let Some(media) = rtc.media(section.mid) else { continue };
        // In the offer's order. A number alone means nothing: the engine's own numbers for codecs that were
        // not agreed on may be the client's for something else.
        let agreed = |pt: &&u8| media.remote_pts().iter().any(|other| **other == **pt);
        let payload_types: Vec<PayloadType> =
            section.payload_types.iter().filter(agreed).map(|pt| PayloadType(*pt & 127)).collect();
        for pt in &payload_types {
            used[usize::from(pt.0)] = true;
        }
        for pt in &section.payload_types {
            offered[usize::from(*pt & 127)] = true;
        }
        let extensions = read_extensions(|extension| media.remote_extmap().id_of(extension));
        negotiated.extensions.merge(extensions);
        let stopped = section.stopped || media.stopped();
        let sends = matches!(section.direction, Direction::SendOnly | Direction::SendRecv) && !stopped;
        let receives = matches!(section.direction, Direction::RecvOnly | Direction::SendRecv) && !stopped;
        negotiated.sections.push(NegotiatedSection {
            mid: section.mid,
            kind: section.kind,
            payload_types,
            extensions,
            ingress: sends.then(|| Ingress { declared: section.declared, rids: section.rids.clone() }),
            egress: if receives { egress_ssrcs(rtc, section.mid) } else { None },
        });
    }
    for params in rtc.codec_config().params() {
        if let Some(params) = read_codec(params).filter(|params| used[usize::from(params.pt.0)]) {
            let is_offered = |pt: &PayloadType| offered[usize::from(pt.0)];
            let rtx = params.rtx.filter(is_offered);
            let red = params.red.filter(is_offered);
            let params = CodecParams { rtx, red, ..params };
            negotiated.set(Some(params.pt), Payload::Media(params));
            negotiated.set(params.red, Payload::Redundant(params));
            negotiated.set(params.rtx, Payload::Retransmission(params));
        }
    }
    negotiated.shrink();
    negotiated
}

fn read_extensions(id_of: impl Fn(Extension) -> Option<u8>) -> ExtensionIds {
    ExtensionIds {
        mid: id_of(Extension::RtpMid),
        rid: id_of(Extension::RtpStreamId),
        repaired_rid: id_of(Extension::RepairedRtpStreamId),
        transport_cc: id_of(Extension::TransportSequenceNumber),
        audio_level: id_of(Extension::AudioLevel),
        video_orientation: id_of(Extension::VideoOrientation),
        playout_delay: id_of(Extension::PlayoutDelay),
        content_type: id_of(Extension::VideoContentType),
        color_space: id_of(Extension::ColorSpace),
        dependency_descriptor: id_of(Extension::with_serializer(DEPENDENCY_DESCRIPTOR_URI, PassThrough)),
    }
}

fn read_codec(params: &PayloadParams) -> Option<CodecParams> {
    let spec = params.spec();
    let format = spec.format;
    let small = |value: Option<u32>| u8::try_from(value.unwrap_or(0)).unwrap_or(u8::MAX);
    let codec = match spec.codec {
        EngineCodec::Opus => Codec::Opus,
        EngineCodec::Vp8 => Codec::Vp8,
        EngineCodec::Vp9 => Codec::Vp9 { profile: small(format.profile_id) },
        EngineCodec::Av1 => Codec::Av1 { profile: format.profile.unwrap_or(0) },
        EngineCodec::H264 => {
            // RFC 6184 §8.1: without the parameter, baseline at level 1.
            let [_, profile, constraints, _] = format.profile_level_id.unwrap_or(0x42_000a).to_be_bytes();
            Codec::H264 {
                profile,
                constrained: constraints & 0x40 != 0,
                packetization_mode: format.packetization_mode.unwrap_or(0),
            }
        }
        _ => return None,
    };
    let pt = |pt: str0m::media::Pt| PayloadType(*pt & 127);
    Some(CodecParams {
        codec,
        pt: pt(params.pt()),
        rtx: params.resend().map(pt),
        red: params.red().map(pt),
        nack: params.fb_nack(),
    })
}

//! Producing: the section of a track that a client publishes, of its parameters. Payload types and ids of header extensions
//! are the client's, and their meanings hold for all sections of a transport.

use super::capability::role_of_sent;
use super::{RtpEncodingParameters, RtpParameters};
use crate::core::codec_set::CodecSet;
use crate::core::ids::{Mid, PayloadType, Ssrc};
use crate::core::negotiated::{
    CodecParams, Extension, ExtensionIds, Ingress, Negotiated, NegotiatedSection, Payload,
};
use crate::core::negotiation::codecs::Role;
use crate::core::negotiation::h264;
use crate::core::negotiation::streams::is_rid;
use crate::core::source::MediaKind;

/// The width and height that a camera's largest pictures are taken to have, in pixels: what browsers film if they are asked for
/// a good picture.
const FULL: [u16; 2] = [1280, 720];

/// One encoding of a simulcast, as far as its parameters describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentEncoding {
    /// Its rid (RFC 8851).
    pub rid: String,
    /// The width of its pictures, in pixels.
    pub width: Option<u16>,
    /// The height of its pictures, in pixels.
    pub height: Option<u16>,
    /// The most that it takes, in bits per second.
    pub max_bitrate: Option<u32>,
}

/// Returns the section of a track. `fallback` is its mid if the parameters name none, `codecs` are those that the room takes,
/// and `agreed` is what holds on the transport already.
///
/// # Errors
/// It cannot be served; in words, why.
pub fn section(
    kind: MediaKind,
    parameters: &RtpParameters,
    fallback: Mid,
    codecs: CodecSet,
    agreed: &Negotiated,
) -> Result<NegotiatedSection, String> {
    let mid = match parameters.mid.as_deref().filter(|mid| !mid.is_empty()) {
        Some(text) => {
            Mid::parse(text).ok_or_else(|| format!("rtpParameters.mid {text:?} is no usable mid"))?
        }
        None => fallback,
    };
    if agreed.section(mid).is_some() {
        return Err(format!("another producer on this transport has the mid {:?}", mid.as_str()));
    }
    let codecs = codecs_of(kind, parameters, codecs)?;
    let mut payload_types: Vec<PayloadType> = Vec::new();
    for params in &codecs {
        let meanings =
            [(Some(params.pt), Payload::Media(*params)), (params.rtx, Payload::Retransmission(*params))];
        for (pt, payload) in meanings.into_iter().filter_map(|(pt, payload)| Some((pt?, payload))) {
            if payload_types.contains(&pt)
                || agreed.payload(pt.0).is_some_and(|other| !is_alike(other, payload))
            {
                return Err(format!("payload type {} means something else on this transport", pt.0));
            }
            payload_types.push(pt);
        }
    }
    let extensions = extensions_of(kind, parameters, agreed)?;
    let ingress = Some(ingress(parameters, agreed)?);
    Ok(NegotiatedSection { mid, kind, payload_types, codecs, extensions, ingress, egress: None })
}

/// Returns what the parameters say of the encodings of a simulcast. They say how many times smaller each is than what is filmed,
/// and not how large that is: it is taken for 1280×720.
pub fn encodings(parameters: &RtpParameters) -> Vec<SentEncoding> {
    let count = parameters.encodings.len();
    let request = |(place, encoding): (usize, &RtpEncodingParameters)| {
        let said =
            encoding.scale_resolution_down_by.as_ref().and_then(|scale| scale.to_string().parse().ok());
        // Browsers halve each encoding if nothing is said (W3C, WebRTC §5.1).
        let halved = || f64::from(1_u32 << (count - 1 - place).min(6));
        let scale: f64 = said.unwrap_or_else(halved).clamp(1.0, 64.0);
        let [width, height] = FULL.map(|pixels| Some((f64::from(pixels) / scale) as u16));
        Some(SentEncoding { rid: encoding.rid.clone()?, width, height, max_bitrate: encoding.max_bitrate })
    };
    parameters.encodings.iter().enumerate().filter_map(request).collect()
}

/// Whether two meanings of a payload type are the same for a packet.
fn is_alike(one: Payload, other: Payload) -> bool {
    match (one, other) {
        (Payload::Media(one), Payload::Media(other))
        | (Payload::Retransmission(one), Payload::Retransmission(other)) => {
            one.codec == other.codec && one.pt == other.pt
        }
        _ => false,
    }
}

fn codecs_of(
    kind: MediaKind,
    parameters: &RtpParameters,
    taken: CodecSet,
) -> Result<Vec<CodecParams>, String> {
    let mut codecs: Vec<CodecParams> = Vec::new();
    for sent in &parameters.codecs {
        match role_of_sent(kind, sent) {
            Some(Role::Media(codec)) if taken.has(codec) => codecs.push(CodecParams {
                codec,
                pt: PayloadType(sent.payload_type),
                rtx: None,
                red: None,
                nack: kind == MediaKind::Video
                    && sent.rtcp_feedback.iter().any(|one| {
                        one.kind == "nack" && one.parameter.as_deref().unwrap_or_default().is_empty()
                    }),
            }),
            Some(Role::Retransmission(of)) => {
                let main = codecs.iter_mut().find(|params| params.pt.0 == of && params.rtx.is_none());
                if let Some(main) = main {
                    main.rtx = Some(PayloadType(sent.payload_type));
                }
            }
            _ => {}
        }
    }
    if codecs.is_empty() {
        let mut names: Vec<&str> = parameters.codecs.iter().map(|sent| sent.mime_type.as_str()).collect();
        names.truncate(4);
        let served = taken.in_words(kind).unwrap_or_else(|| "none".to_owned());
        return Err(format!(
            "none of its codecs is served as {} ({}); served are {served}",
            kind.as_str(),
            names.join(", ")
        ));
    }
    Ok(codecs)
}

fn extensions_of(
    kind: MediaKind,
    parameters: &RtpParameters,
    agreed: &Negotiated,
) -> Result<ExtensionIds, String> {
    let mut ids = ExtensionIds::default();
    let mut taken: Vec<u8> = Vec::new();
    for sent in parameters.header_extensions.iter().filter(|sent| !sent.encrypt) {
        let Some(extension) = Extension::from_uri(&sent.uri, kind) else { continue };
        // Browsers that may send it leave VP8's own descriptor out. Ours do not offer it, because it is not in what we say of
        // ourselves.
        if extension == Extension::DependencyDescriptor {
            continue;
        }
        let id = sent.id;
        if id == 0 || id == 15 {
            return Err(format!("header extension {} has the id {id}, which none can have", sent.uri));
        }
        if taken.contains(&id) || agreed.extension(id).is_some_and(|other| other != extension) {
            return Err(format!("header extension id {id} means something else on this transport"));
        }
        taken.push(id);
        ids.of_mut(extension).get_or_insert(id);
    }
    Ok(ids)
}

/// Returns H.264's parameter sets, as far as the parameters give them.
fn parameter_sets(parameters: &RtpParameters) -> Vec<(PayloadType, Box<[u8]>)> {
    let h264 = parameters.codecs.iter().filter(|sent| sent.mime_type.eq_ignore_ascii_case("video/H264"));
    let sets = h264.filter_map(|sent| {
        let value = sent.parameters.get("sprop-parameter-sets")?.to_string();
        Some(h264::parameter_sets(&value).into_iter().map(|set| (PayloadType(sent.payload_type), set)))
    });
    sets.flatten().collect()
}

fn ingress(parameters: &RtpParameters, agreed: &Negotiated) -> Result<Ingress, String> {
    let mut rids: Vec<String> = Vec::new();
    for rid in parameters.encodings.iter().filter_map(|encoding| encoding.rid.as_deref()) {
        if !is_rid(rid) {
            return Err(format!("rid {rid:?} is not 1 to 16 letters, digits, - or _"));
        }
        if rids.iter().any(|other| other == rid) {
            return Err(format!("two encodings have the rid {rid:?}"));
        }
        rids.push(rid.to_owned());
    }
    // With rids each packet says of which encoding it is.
    let pair = |encoding: &RtpEncodingParameters| {
        Some((Ssrc(encoding.ssrc?), encoding.rtx.map(|rtx| Ssrc(rtx.ssrc))))
    };
    let declared: Vec<(Ssrc, Option<Ssrc>)> =
        if rids.is_empty() { parameters.encodings.iter().filter_map(pair).collect() } else { Vec::new() };
    // A single one is known by its section.
    if rids.len() + declared.len() != parameters.encodings.len() && parameters.encodings.len() > 1 {
        return Err("some encodings have neither a rid nor an ssrc of their own".to_owned());
    }
    let all = |pairs: &[(Ssrc, Option<Ssrc>)]| -> Vec<Ssrc> {
        pairs.iter().flat_map(|(main, rtx)| std::iter::once(*main).chain(*rtx)).collect()
    };
    let others = agreed.sections.iter().filter_map(|section| section.ingress.as_ref());
    let mut known: Vec<Ssrc> = others.flat_map(|ingress| all(&ingress.declared)).collect();
    for ssrc in all(&declared) {
        if known.contains(&ssrc) {
            return Err(format!("the ssrc {} is in use on this transport already", ssrc.0));
        }
        known.push(ssrc);
    }
    Ok(Ingress { declared, rids, parameter_sets: parameter_sets(parameters) })
}

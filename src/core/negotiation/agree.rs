//! Makes [`Negotiated`] from an offer. We agree to everything in the offer that we serve, in the client's order of
//! preference, and add nothing.

use super::codecs::Role;
use super::h264;
use super::offer::Offer;
use super::section::{Format, Section};
use crate::core::ids::{Mid, PayloadType, Ssrc};
use crate::core::negotiated::{
    Codec, CodecParams, ExtensionIds, Ingress, Negotiated, NegotiatedSection, Payload,
};
use crate::core::source::MediaKind;

/// Agrees to an offer. `ssrcs_of` returns our SSRCs in a section, media and retransmission: those that the section had
/// before, else new ones.
pub fn agree(offer: &Offer<'_>, mut ssrcs_of: impl FnMut(Mid) -> (Ssrc, Ssrc)) -> Negotiated {
    let mut negotiated = Negotiated::none();
    negotiated.sections.reserve_exact(offer.bundle.len());
    for section in offer.served() {
        if let Some(data) = section.data {
            negotiated.channel_message_bytes_max = Some(data.message_bytes_max);
        }
        let Some(kind) = section.kind else { continue };
        let codecs = codecs_of(section);
        for params in &codecs {
            negotiated.set(Some(params.pt), Payload::Media(*params));
            negotiated.set(params.red, Payload::Redundant(*params));
            negotiated.set(params.rtx, Payload::Retransmission(*params));
        }
        let mut extensions = ExtensionIds::default();
        for offered in &section.extensions {
            let Some(extension) = offered.extension else { continue };
            if offered.direction.sends() {
                negotiated.set_extension(offered.id, extension);
            }
            // The first id counts if an extension is offered under several: one is enough for what we send.
            if offered.direction.receives() {
                extensions.of_mut(extension).get_or_insert(offered.id);
            }
        }
        let (main, rtx) = if section.receives() { ssrcs_of(section.mid) } else { (Ssrc(0), Ssrc(0)) };
        let repairs = codecs.iter().any(|params| params.rtx.is_some());
        negotiated.sections.push(NegotiatedSection {
            mid: section.mid,
            kind,
            payload_types: agreed_payload_types(section).map(PayloadType).collect(),
            extensions,
            ingress: section.sends().then(|| ingress(section)),
            egress: section.receives().then_some((main, repairs.then_some(rtx))),
            codecs,
        });
    }
    negotiated.shrink();
    negotiated
}

/// Returns the payload types that were agreed on in a section, most wanted first.
pub fn agreed_payload_types(section: &Section<'_>) -> impl Iterator<Item = u8> {
    section.formats.iter().filter(|format| format.role.is_some()).map(|format| format.pt)
}

fn ingress(section: &Section<'_>) -> Ingress {
    let agreed = section.agreed_types();
    let rids = section.streams.rids(|pt| agreed.get(usize::from(pt)) == Some(&true));
    // With rids each packet says of which encoding it is, and SSRCs that are declared beside them need not hold.
    let declared = if rids.is_empty() { section.streams.declared() } else { Vec::new() };
    let h264 =
        section.formats.iter().filter(|format| matches!(format.role, Some(Role::Media(Codec::H264 { .. }))));
    let sets_of = |format: &Format<'_>| {
        let value = format.parameters.get("sprop-parameter-sets").unwrap_or_default();
        h264::parameter_sets(value)
            .into_iter()
            .map(move |set| (PayloadType(format.pt), set))
            .collect::<Vec<_>>()
    };
    Ingress {
        declared,
        rids: rids.into_iter().map(str::to_owned).collect(),
        parameter_sets: h264.flat_map(sets_of).collect(),
    }
}

/// Returns the codecs of a section, each with its retransmission and redundancy.
fn codecs_of(section: &Section<'_>) -> Vec<CodecParams> {
    let mut repairs: [Option<PayloadType>; 128] = [None; 128];
    let mut redundancies: [Option<PayloadType>; 128] = [None; 128];
    for format in &section.formats {
        let (table, of) = match format.role {
            Some(Role::Retransmission(of)) => (&mut repairs, of),
            Some(Role::Redundant(of)) => (&mut redundancies, of),
            _ => continue,
        };
        if let Some(place) = table.get_mut(usize::from(of)) {
            *place = Some(PayloadType(format.pt));
        }
    }
    // Looked for once, because there can be hundreds of such lines as well as of formats.
    let all_have_nack = section.wildcard_feedback.contains(&"nack");
    let params = |format: &Format<'_>| match format.role {
        Some(Role::Media(codec)) => Some(CodecParams {
            codec,
            pt: PayloadType(format.pt),
            rtx: repairs.get(usize::from(format.pt)).copied().flatten(),
            red: redundancies.get(usize::from(format.pt)).copied().flatten(),
            // Lost audio is concealed, or comes in the next packet (FEC, RED). A repeat would mostly be too late to be played.
            nack: section.kind == Some(MediaKind::Video)
                && (all_have_nack || format.feedback.contains(&"nack")),
        }),
        _ => None,
    };
    section.formats.iter().filter_map(params).collect()
}

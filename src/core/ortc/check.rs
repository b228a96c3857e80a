//! Bounds: how much ORTC parameters of a client may say. What passes is small, so that it can be recorded and gone through
//! several times; whether it makes sense is looked at where it is used.

use super::{
    CodecParameters, DtlsParameters, RtcpFeedback, RtpCapabilities, RtpCodecParameters, RtpParameters,
};
use crate::limits::ENCODINGS_MAX;

/// Most codecs, with their retransmissions. Chromium has about fifty.
const CODECS_MAX: usize = 128;
/// Most header extensions. Chromium has about thirty, for both kinds of media.
const EXTENSIONS_MAX: usize = 128;
/// Most kinds of feedback of one codec.
const FEEDBACK_MAX: usize = 32;
/// Most parameters of one codec.
const PARAMETERS_MAX: usize = 32;
/// Most fingerprints.
const FINGERPRINTS_MAX: usize = 8;
/// Longest text of any kind, in bytes: a fingerprint by SHA-512 has 191.
const TEXT_BYTES_MAX: usize = 256;
/// Longest value of a codec's parameter, in bytes: H.264's parameter sets are longer than other texts.
const VALUE_BYTES_MAX: usize = 2048;

/// Checks what a client can receive.
///
/// # Errors
/// It says too much; in words, of what.
pub fn capabilities(capabilities: &RtpCapabilities) -> Result<(), String> {
    let RtpCapabilities { codecs, header_extensions } = capabilities;
    few("rtpCapabilities.codecs", codecs.len(), CODECS_MAX)?;
    few("rtpCapabilities.headerExtensions", header_extensions.len(), EXTENSIONS_MAX)?;
    for codec in codecs {
        payload_type(codec.preferred_payload_type)?;
        codec_parts(&codec.mime_type, &codec.parameters, &codec.rtcp_feedback)?;
    }
    header_extensions.iter().try_for_each(|extension| short("uri", &extension.uri))
}

/// Checks how a client sends a track.
///
/// # Errors
/// It says too much; in words, of what.
pub fn parameters(parameters: &RtpParameters) -> Result<(), String> {
    let RtpParameters { mid, codecs, header_extensions, encodings, rtcp } = parameters;
    few("rtpParameters.codecs", codecs.len(), CODECS_MAX)?;
    few("rtpParameters.headerExtensions", header_extensions.len(), EXTENSIONS_MAX)?;
    few("rtpParameters.encodings", encodings.len(), ENCODINGS_MAX)?;
    short("mid", mid.as_deref().unwrap_or_default())?;
    short("cname", rtcp.cname.as_deref().unwrap_or_default())?;
    for RtpCodecParameters { mime_type, payload_type: number, parameters, rtcp_feedback, .. } in codecs {
        payload_type(Some(*number))?;
        codec_parts(mime_type, parameters, rtcp_feedback)?;
    }
    header_extensions.iter().try_for_each(|extension| short("uri", &extension.uri))?;
    for encoding in encodings {
        payload_type(encoding.codec_payload_type)?;
        short("rid", encoding.rid.as_deref().unwrap_or_default())?;
        short("scalabilityMode", encoding.scalability_mode.as_deref().unwrap_or_default())?;
        let scale = encoding.scale_resolution_down_by.as_ref().map(ToString::to_string);
        short("scaleResolutionDownBy", scale.as_deref().unwrap_or_default())?;
    }
    Ok(())
}

/// Checks a client's end of a handshake.
///
/// # Errors
/// It says too much; in words, of what.
pub fn dtls(parameters: &DtlsParameters) -> Result<(), String> {
    few("dtlsParameters.fingerprints", parameters.fingerprints.len(), FINGERPRINTS_MAX)?;
    for fingerprint in &parameters.fingerprints {
        short("algorithm", &fingerprint.algorithm)?;
        short("value", &fingerprint.value)?;
    }
    Ok(())
}

fn codec_parts(name: &str, parameters: &CodecParameters, feedback: &[RtcpFeedback]) -> Result<(), String> {
    short("mimeType", name)?;
    few("parameters", parameters.len(), PARAMETERS_MAX)?;
    few("rtcpFeedback", feedback.len(), FEEDBACK_MAX)?;
    for (name, value) in parameters {
        short("parameters", name)?;
        within("parameters", value.to_string().len(), VALUE_BYTES_MAX)?;
    }
    for RtcpFeedback { kind, parameter } in feedback {
        short("rtcpFeedback", kind)?;
        short("rtcpFeedback", parameter.as_deref().unwrap_or_default())?;
    }
    Ok(())
}

fn payload_type(number: Option<u8>) -> Result<(), String> {
    match number {
        Some(number) if number > 127 => Err(format!("payload type {number} is more than 127")),
        _ => Ok(()),
    }
}

fn few(what: &str, count: usize, most: usize) -> Result<(), String> {
    if count <= most { Ok(()) } else { Err(format!("{what} has {count} entries; at most {most} are taken")) }
}

fn short(what: &str, text: &str) -> Result<(), String> {
    within(what, text.len(), TEXT_BYTES_MAX)
}

fn within(what: &str, bytes: usize, most: usize) -> Result<(), String> {
    if bytes <= most {
        Ok(())
    } else {
        Err(format!("a text in {what} is {bytes} bytes long; at most {most} are taken"))
    }
}

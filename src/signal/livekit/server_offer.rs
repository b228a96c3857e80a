//! Writes the offers of version 0: a session description of what is sent to a client, from the parameters that the core has
//! given (RFC 8829 §5.2, RFC 3264).

use std::fmt::Write as _;

use crate::core::event::OpenedTransport;
use crate::core::ids::TrackId;
use crate::core::ortc::{IceCandidate, RtpCodecParameters, RtpParameters};
use crate::core::source::MediaKind;

/// One section: what is sent there, or was until it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Audio or video.
    pub kind: MediaKind,
    /// How it is sent.
    pub parameters: RtpParameters,
    /// The track, and the names of its stream and of itself; `None` if it has ended.
    pub shown: Option<(TrackId, (String, String))>,
    /// Whether another track may take the place.
    pub is_free: bool,
}

impl Place {
    /// Returns the section's name.
    pub fn mid(&self) -> &str {
        self.parameters.mid.as_deref().unwrap_or_default()
    }
}

/// Writes the offer of that number. The first section carries the connection: it stays when it shows nothing, and the others
/// are rejected then, so that their places are free (RFC 8829 §5.2.2).
pub fn write(transport: &OpenedTransport, number: u32, places: &[Place]) -> String {
    let mut out = String::with_capacity(512 + 1024 * places.len());
    let _ =
        write!(out, "v=0\r\no=- 1 {number} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-lite\r\na=group:BUNDLE");
    for (_, place) in places.iter().enumerate().filter(|(at, place)| *at == 0 || place.shown.is_some()) {
        let _ = write!(out, " {}", place.mid());
    }
    out.push_str("\r\na=msid-semantic: WMS *\r\na=extmap-allow-mixed\r\n");
    for (at, place) in places.iter().enumerate() {
        write_section(&mut out, transport, place, at == 0);
    }
    out
}

fn write_section(out: &mut String, transport: &OpenedTransport, place: &Place, is_first: bool) {
    let Place { kind, parameters, shown, .. } = place;
    let is_rejected = shown.is_none() && !is_first;
    let port = if is_rejected { 0 } else { 9 };
    let _ = write!(out, "m={} {port} UDP/TLS/RTP/SAVPF", kind.as_str());
    for codec in &parameters.codecs {
        let _ = write!(out, " {}", codec.payload_type);
    }
    let _ = write!(out, "\r\nc=IN IP4 0.0.0.0\r\na=mid:{}\r\n", place.mid());
    for codec in &parameters.codecs {
        write_codec(out, codec);
    }
    if is_rejected {
        out.push_str("a=inactive\r\n");
        return;
    }
    let _ = write!(
        out,
        "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=setup:actpass\r\na=rtcp-mux\r\na=rtcp-rsize\r\n",
        transport.ice.username_fragment, transport.ice.password
    );
    for fingerprint in &transport.dtls.fingerprints {
        let _ = write!(out, "a=fingerprint:{} {}\r\n", fingerprint.algorithm, fingerprint.value);
    }
    if is_first {
        for candidate in transport.candidates.iter() {
            let _ = write!(out, "a={}\r\n", candidate_text(candidate));
        }
        out.push_str("a=end-of-candidates\r\n");
    }
    for extension in &parameters.header_extensions {
        let _ = write!(out, "a=extmap:{} {}\r\n", extension.id, extension.uri);
    }
    match shown {
        Some((_, (stream, track))) => {
            let _ = write!(out, "a=sendonly\r\na=msid:{stream} {track}\r\n");
            write_streams(out, parameters);
        }
        None => out.push_str("a=inactive\r\n"),
    }
}

fn write_codec(out: &mut String, codec: &RtpCodecParameters) {
    let number = codec.payload_type;
    let name = codec.mime_type.split_once('/').map_or(codec.mime_type.as_str(), |(_, name)| name);
    let _ = write!(out, "a=rtpmap:{number} {name}/{}", codec.clock_rate);
    if let Some(channels) = codec.channels.filter(|channels| *channels > 1) {
        let _ = write!(out, "/{channels}");
    }
    out.push_str("\r\n");
    for feedback in &codec.rtcp_feedback {
        let _ = write!(out, "a=rtcp-fb:{number} {}", feedback.kind);
        if let Some(parameter) = feedback.parameter.as_deref().filter(|parameter| !parameter.is_empty()) {
            let _ = write!(out, " {parameter}");
        }
        out.push_str("\r\n");
    }
    if !codec.parameters.is_empty() {
        let parameters: Vec<String> =
            codec.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let _ = write!(out, "a=fmtp:{number} {}\r\n", parameters.join(";"));
    }
}

fn write_streams(out: &mut String, parameters: &RtpParameters) {
    let cname = parameters.rtcp.cname.as_deref().unwrap_or("strait");
    for encoding in &parameters.encodings {
        let Some(ssrc) = encoding.ssrc else { continue };
        if let Some(rtx) = encoding.rtx {
            let _ = write!(out, "a=ssrc-group:FID {ssrc} {}\r\n", rtx.ssrc);
        }
        let _ = write!(out, "a=ssrc:{ssrc} cname:{cname}\r\n");
        if let Some(rtx) = encoding.rtx {
            let _ = write!(out, "a=ssrc:{} cname:{cname}\r\n", rtx.ssrc);
        }
    }
}

/// Returns a candidate as an attribute has it (RFC 8839 §5.1).
fn candidate_text(candidate: &IceCandidate) -> String {
    let IceCandidate { foundation, priority, address, protocol, port, kind, tcp_type, .. } = candidate;
    let tcp = tcp_type.as_ref().map(|kind| format!(" tcptype {kind}")).unwrap_or_default();
    format!("candidate:{foundation} 1 {protocol} {priority} {address} {port} typ {kind}{tcp}")
}

//! Writes the answer to an offer: every section in its place (RFC 3264 §6), and nothing that was not offered.

use std::fmt::Write as _;

use super::agree::agreed_payload_types;
use super::codecs::{self, Role};
use super::data::DataSection;
use super::offer::Offer;
use super::section::{Direction, Format, Section};
use crate::core::ids::Mid;
use crate::core::negotiated::{Negotiated, NegotiatedSection};
use crate::core::path::{LocalCandidate, TransportProtocol};
use crate::core::source::MediaKind;
use crate::limits::{CHANNEL_MESSAGE_BYTES_MAX, CHANNEL_STREAMS_MAX};

/// The canonical name in our RTCP, under which all our streams are synchronised (RFC 3550 §6.5.1).
pub const CNAME: &str = "strait";

/// Our SCTP port, of which nothing depends: the association is alone in its handshake (RFC 8841 §5.2).
const SCTP_PORT: u16 = 5000;

/// The msid of a section: its stream and its track. Browsers play the audio and the video of one stream in sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Msid {
    /// The mid of the section, as the offer has it.
    pub mid: Mid,
    /// The name of the stream, the same in all sections that play in sync.
    pub stream: String,
    /// The name of the track. Browsers refuse an answer in which two sections have the same stream and track.
    pub track: String,
}

/// How an answer names what we send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// Each section in which we send has a name of its own. In the order of the sections.
    Slots(Vec<Msid>),
    /// Those sections that show a track are named by it. The others are inactive until they show one. In the order of the
    /// sections.
    Tracks(Vec<Msid>),
}

/// What an answer says about us.
#[derive(Debug)]
pub struct Us<'a> {
    /// The session id in the `o=` line.
    pub session: u64,
    /// Counts the answers of a session.
    pub version: u64,
    /// Our ICE user name fragment.
    pub ufrag: &'a str,
    /// Our ICE password.
    pub password: &'a str,
    /// The value of our `a=fingerprint`.
    pub fingerprint: &'a str,
    /// Whether we begin the DTLS handshake.
    pub is_active: bool,
    /// The addresses at which the client can reach us, best first.
    pub candidates: &'a [LocalCandidate],
    /// The msids of the sections in which we send.
    pub naming: &'a Naming,
    /// The rate at which publishers are to begin sending video, in kbit/s.
    pub start_kbps: Option<u32>,
}

/// What says that both forms of header extensions may come in one stream (RFC 8285 §6).
const ALLOW_MIXED: &str = "a=extmap-allow-mixed\r\n";

/// Writes the answer to an offer, from which `negotiated` was made.
pub fn answer(offer: &Offer<'_>, negotiated: &Negotiated, us: &Us<'_>) -> String {
    let mut out = String::with_capacity(512 + 1024 * offer.sections.len());
    let (session, version) = (us.session, us.version);
    let _ = write!(out, "v=0\r\no=- {session} {version} IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-lite\r\n");
    if offer.has_bundle {
        out.push_str("a=group:BUNDLE");
        for index in &offer.bundle {
            let _ = write!(out, " {}", offer.sections[*index].mid);
        }
        out.push_str("\r\n");
    }
    if offer.has_msid_semantic {
        out.push_str("a=msid-semantic: WMS *\r\n");
    }
    // Without this browsers leave out extensions of more than 16 bytes, such as the structure of AV1's layers.
    if offer.allows_mixed {
        out.push_str(ALLOW_MIXED);
    }
    let mut agreed = negotiated.sections.iter().peekable();
    let (msids, may_be_silent) = match us.naming {
        Naming::Slots(msids) => (msids, false),
        Naming::Tracks(msids) => (msids, true),
    };
    let mut msids = msids.iter().peekable();
    for section in &offer.sections {
        let is_first = offer.bundle.first() == Some(&section.index);
        if let Some(data) = section.data.filter(|_| section.rejected.is_none()) {
            write_data(&mut out, section, data, us, offer.transport.trickles);
            if is_first {
                write_candidates(&mut out, us.candidates);
            }
            continue;
        }
        match agreed.next_if(|agreed| agreed.mid == section.mid && section.rejected.is_none()) {
            Some(agreed) => {
                let msid = msids.next_if(|msid| msid.mid == section.mid);
                let streams = match msid {
                    None if may_be_silent => Streams::Silent,
                    msid => Streams::Named(msid),
                };
                write_section(&mut out, section, agreed, &streams, us, offer.transport.trickles);
                if is_first {
                    write_candidates(&mut out, us.candidates);
                }
            }
            None => write_rejected(&mut out, section),
        }
    }
    out
}

/// Writes a rejected section. It keeps its place, with port 0 and one of its formats (RFC 8866 §5.14).
fn write_rejected(out: &mut String, section: &Section<'_>) {
    let Section { media, profile, first_format, .. } = section;
    let _ = write!(out, "m={media} 0 {profile} {first_format}\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n");
    if let Some(mid) = section.mid_text {
        let _ = write!(out, "a=mid:{mid}\r\n");
    }
    // Some clients cannot read a payload type that is not explained, not even where it is not used.
    let is_named = |format: &&Format<'_>| first_format.parse() == Ok(format.pt);
    if let Some(Format { pt, encoding, .. }) = section.formats.iter().find(is_named)
        && !encoding.is_empty()
        && encoding.bytes().all(|byte| byte.is_ascii_graphic())
    {
        let _ = write!(out, "a=rtpmap:{pt} {encoding}\r\n");
    }
}

/// What is said of our streams in a section.
enum Streams<'a> {
    /// We may send, under that name.
    Named(Option<&'a Msid>),
    /// We do not send until another answer says so.
    Silent,
}

fn write_section(
    out: &mut String,
    section: &Section<'_>,
    agreed: &NegotiatedSection,
    streams: &Streams<'_>,
    us: &Us<'_>,
    trickles: bool,
) {
    let _ = write!(out, "m={} 9 {}", section.media, section.profile);
    for pt in agreed_payload_types(section) {
        let _ = write!(out, " {pt}");
    }
    write_transport(out, section, us, trickles);
    if section.allows_mixed {
        out.push_str(ALLOW_MIXED);
    }
    write_extensions(out, section);
    let direction = match streams {
        Streams::Named(_) => section.direction,
        Streams::Silent => section.direction.without_receiving(),
    };
    let _ = write!(out, "a={}\r\n", direction.reversed().name());
    if section.rtcp_mux {
        out.push_str("a=rtcp-mux\r\n");
    }
    if section.rtcp_rsize {
        out.push_str("a=rtcp-rsize\r\n");
    }
    write_formats(out, section, agreed, us.start_kbps);
    if let Some(ingress) = agreed.ingress.as_ref().filter(|ingress| !ingress.rids.is_empty()) {
        for rid in &ingress.rids {
            let _ = write!(out, "a=rid:{rid} recv\r\n");
        }
        let _ = write!(out, "a=simulcast:recv {}\r\n", ingress.rids.join(";"));
    }
    // Also of streams that are silent: Chromium ends a stream that is declared no more, and shows nothing of it when it comes
    // back.
    let msid = match streams {
        Streams::Named(msid) => *msid,
        Streams::Silent => None,
    };
    write_streams(out, agreed, msid);
}

/// Writes the section of the data channels, in the form of the offer.
fn write_data(out: &mut String, section: &Section<'_>, data: DataSection, us: &Us<'_>, trickles: bool) {
    let Section { media, profile, first_format, .. } = section;
    let _ = write!(out, "m={media} 9 {profile} {first_format}");
    write_transport(out, section, us, trickles);
    if data.is_draft {
        let _ = write!(out, "a=sctpmap:{first_format} webrtc-datachannel {CHANNEL_STREAMS_MAX}\r\n");
    } else {
        let _ = write!(out, "a=sctp-port:{SCTP_PORT}\r\n");
    }
    let _ = write!(out, "a=max-message-size:{CHANNEL_MESSAGE_BYTES_MAX}\r\n");
}

/// Writes what follows the formats in every served section: our side of the transport, and the section's name.
fn write_transport(out: &mut String, section: &Section<'_>, us: &Us<'_>, trickles: bool) {
    let Us { ufrag, password, fingerprint, .. } = us;
    let setup = if us.is_active { "active" } else { "passive" };
    let _ = write!(out, "\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n");
    // We never trickle ourselves. It tells a client that its own candidates may come later (RFC 8840 §4.1.3).
    if trickles {
        out.push_str("a=ice-options:trickle\r\n");
    }
    let _ = write!(out, "a=fingerprint:{fingerprint}\r\na=setup:{setup}\r\n");
    if section.has_mid {
        let _ = write!(out, "a=mid:{}\r\n", section.mid);
    }
}

/// Writes the header extensions. They keep the offer's ids (RFC 8285 §7), and a restriction to one direction.
fn write_extensions(out: &mut String, section: &Section<'_>) {
    let mut answered = [false; 256];
    for offered in section.extensions.iter().filter(|offered| offered.extension.is_some()) {
        if std::mem::replace(&mut answered[usize::from(offered.id)], true) {
            continue;
        }
        match offered.direction {
            Direction::SendRecv => {
                let _ = write!(out, "a=extmap:{} {}\r\n", offered.id, offered.name);
            }
            Direction::Inactive => {}
            one_way => {
                let direction = one_way.reversed().name();
                let _ = write!(out, "a=extmap:{}/{direction} {}\r\n", offered.id, offered.name);
            }
        }
    }
}

fn write_formats(
    out: &mut String,
    section: &Section<'_>,
    agreed: &NegotiatedSection,
    start_kbps: Option<u32>,
) {
    let mut offered =
        section.formats.iter().flat_map(|format| &format.feedback).chain(&section.wildcard_feedback);
    // Whoever reports arrivals need not estimate.
    let takes_estimates = agreed.egress.is_some() && !offered.any(|feedback| *feedback == "transport-cc");
    let served = |feedback: &str| {
        codecs::serves_feedback(agreed.kind, feedback) || (takes_estimates && feedback == codecs::ESTIMATES)
    };
    let start_kbps = start_kbps.filter(|_| agreed.ingress.is_some() && agreed.kind == MediaKind::Video);
    for feedback in section.wildcard_feedback.iter().filter(|feedback| served(feedback)) {
        let _ = write!(out, "a=rtcp-fb:* {feedback}\r\n");
    }
    for Format { pt, encoding, parameters, feedback, role } in &section.formats {
        let Some(role) = role else { continue };
        let _ = write!(out, "a=rtpmap:{pt} {encoding}\r\n");
        let answered = match role {
            Role::Media(codec) => {
                for feedback in feedback.iter().filter(|feedback| served(feedback)) {
                    let _ = write!(out, "a=rtcp-fb:{pt} {feedback}\r\n");
                }
                codecs::answer_parameters(*codec, parameters, start_kbps)
            }
            Role::Redundant(of) => Some(format!("{of}/{of}")),
            Role::Retransmission(of) => Some(format!("apt={of}")),
        };
        if let Some(answered) = answered {
            let _ = write!(out, "a=fmtp:{pt} {answered}\r\n");
        }
    }
}

/// Writes what we send: one stream and its retransmissions.
fn write_streams(out: &mut String, agreed: &NegotiatedSection, msid: Option<&Msid>) {
    let Some((main, rtx)) = agreed.egress else { return };
    if let Some(Msid { stream, track, .. }) = msid {
        let _ = write!(out, "a=msid:{stream} {track}\r\n");
    }
    if let Some(rtx) = rtx {
        let _ = write!(out, "a=ssrc-group:FID {} {}\r\n", main.0, rtx.0);
    }
    for ssrc in std::iter::once(main).chain(rtx) {
        let _ = write!(out, "a=ssrc:{} cname:{CNAME}\r\n", ssrc.0);
        if let Some(Msid { stream, track, .. }) = msid {
            let _ = write!(out, "a=ssrc:{} msid:{stream} {track}\r\n", ssrc.0);
        }
    }
}

/// Writes host candidates (RFC 8839 §5.1, RFC 6544 §4.5), with priorities that fall in the given order.
fn write_candidates(out: &mut String, candidates: &[LocalCandidate]) {
    for (index, candidate) in candidates.iter().enumerate() {
        let (ip, port) = (candidate.address.ip(), candidate.address.port());
        let (protocol, suffix) = match candidate.protocol {
            TransportProtocol::Udp => ("udp", ""),
            TransportProtocol::Tcp => ("tcp", " tcptype passive"),
        };
        let priority = candidate.priority(index);
        let foundation = index + 1;
        let _ =
            write!(out, "a=candidate:{foundation} 1 {protocol} {priority} {ip} {port} typ host{suffix}\r\n");
    }
    out.push_str("a=end-of-candidates\r\n");
}

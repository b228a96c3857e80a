//! The generator's offer, what it needs from the answer, and its own answer to an offer.
//!
//! The offer is real but minimal: Opus, VP8 with retransmission, BUNDLE, and the feedback that browsers ask for.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use crate::core::command::MediaKind;

/// The payload type of Opus.
pub const OPUS: u8 = 111;
/// The payload type of VP8.
pub const VP8: u8 = 96;
/// The payload type of VP8's retransmissions.
const VP8_RTX: u8 = 97;
/// Header extension ids: MID (RFC 8843), RID (RFC 8852), transport-wide sequence numbers, audio levels (RFC 6464).
pub const EXTENSION_MID: u8 = 4;
/// The id of the RID extension in our offers; see [`EXTENSION_MID`].
pub const EXTENSION_RID: u8 = 10;
/// The id of the transport-wide sequence number; see [`EXTENSION_MID`].
pub const EXTENSION_TRANSPORT_CC: u8 = 3;
/// The id of the audio level; see [`EXTENSION_MID`].
pub const EXTENSION_AUDIO_LEVEL: u8 = 1;

const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
const TRANSPORT_CC_URI: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// A section that publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Whether the section is audio or video.
    pub kind: MediaKind,
    /// The stream, unless it is a simulcast.
    pub ssrc: u32,
    /// The encodings of a simulcast.
    pub rids: Vec<&'static str>,
}

/// The contents of our offer.
#[derive(Debug, Clone)]
pub struct ClientOffer<'a> {
    /// The user name fragment of our ICE credentials.
    pub ufrag: &'a str,
    /// The password to it.
    pub password: &'a str,
    /// SHA-256 of our certificate, as SDP has it.
    pub fingerprint: &'a str,
    /// Slots for audio (Strait wants at least one), and for video.
    pub slots: (usize, usize),
    /// The published sections, which come after the slots.
    pub published: &'a [Published],
    /// Whether to ask for transport-wide congestion control.
    pub transport_cc: bool,
}

impl ClientOffer<'_> {
    /// Returns the mid of a published section.
    pub fn published_mid(&self, index: usize) -> String {
        (self.slots.0 + self.slots.1 + index).to_string()
    }

    /// Returns the offer as SDP.
    pub fn text(&self) -> String {
        let (audio, video) = self.slots;
        let sections = audio + video + self.published.len();
        let mut out = String::with_capacity(300 + 700 * sections);
        out.push_str("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE");
        for mid in 0..sections {
            let _ = write!(out, " {mid}");
        }
        out.push_str("\r\na=msid-semantic: WMS *\r\n");
        for mid in 0..audio + video {
            let kind = if mid < audio { MediaKind::Audio } else { MediaKind::Video };
            self.section(&mut out, mid, kind, "recvonly");
        }
        // A simulcast declares no SSRCs, as in browsers: its packets name their encodings.
        for (index, published) in self.published.iter().enumerate() {
            self.section(&mut out, audio + video + index, published.kind, "sendonly");
            let _ = write!(out, "a=msid:load load-{index}\r\n");
            if published.rids.is_empty() {
                let _ = write!(out, "a=ssrc:{} cname:load\r\n", published.ssrc);
            } else {
                for rid in &published.rids {
                    let _ = write!(out, "a=rid:{rid} send\r\n");
                }
                let _ = write!(out, "a=simulcast:send {}\r\n", published.rids.join(";"));
            }
        }
        out
    }

    fn section(&self, out: &mut String, mid: usize, kind: MediaKind, direction: &str) {
        let (media, payload_types) = match kind {
            MediaKind::Audio => ("audio", format!("{OPUS}")),
            MediaKind::Video => ("video", format!("{VP8} {VP8_RTX}")),
        };
        let _ = write!(
            out,
            "m={media} 9 UDP/TLS/RTP/SAVPF {payload_types}\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
             a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\na=setup:actpass\r\na=mid:{mid}\r\n\
             a=extmap:{EXTENSION_MID} urn:ietf:params:rtp-hdrext:sdes:mid\r\n",
            self.ufrag, self.password, self.fingerprint
        );
        if self.transport_cc {
            let _ = write!(out, "a=extmap:{EXTENSION_TRANSPORT_CC} {TRANSPORT_CC_URI}\r\n");
        }
        let _ = match kind {
            MediaKind::Audio => write!(out, "a=extmap:{EXTENSION_AUDIO_LEVEL} {AUDIO_LEVEL_URI}\r\n"),
            MediaKind::Video => {
                write!(out, "a=extmap:{EXTENSION_RID} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n")
            }
        };
        let _ = write!(out, "a={direction}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n");
        let (codec, rate) = match kind {
            MediaKind::Audio => (OPUS, "opus/48000/2"),
            MediaKind::Video => (VP8, "VP8/90000"),
        };
        let _ = write!(out, "a=rtpmap:{codec} {rate}\r\n");
        if self.transport_cc {
            let _ = write!(out, "a=rtcp-fb:{codec} transport-cc\r\n");
        }
        match kind {
            MediaKind::Audio => {
                let _ = write!(out, "a=fmtp:{OPUS} minptime=10;useinbandfec=1\r\n");
            }
            MediaKind::Video => {
                for feedback in ["ccm fir", "nack", "nack pli"] {
                    let _ = write!(out, "a=rtcp-fb:{VP8} {feedback}\r\n");
                }
                let _ = write!(out, "a=rtpmap:{VP8_RTX} rtx/90000\r\na=fmtp:{VP8_RTX} apt={VP8}\r\n");
            }
        }
    }
}

/// Our side of the transport, which every section of our descriptions has.
#[derive(Debug, Clone, Copy)]
pub struct Us<'a> {
    /// The user name fragment of our ICE credentials.
    pub ufrag: &'a str,
    /// The password to it.
    pub password: &'a str,
    /// The fingerprint of our certificate, as SDP has it.
    pub fingerprint: &'a str,
}

/// Returns the answer to an offer that only sends. It accepts every section, with its first codec, and lets the server
/// begin the DTLS handshake, because the server knows when it can.
pub fn answer(offer: &str, us: Us<'_>) -> String {
    let mut out = String::with_capacity(offer.len());
    out.push_str("v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n");
    // The payload type of the section at hand.
    let mut codec = None;
    for line in offer.lines() {
        if let Some(media) = line.strip_prefix("m=") {
            let words: Vec<&str> = media.split_whitespace().collect();
            let (kind, protocol) = (words.first().unwrap_or(&""), words.get(2).unwrap_or(&""));
            codec = words.get(3).copied();
            let _ = write!(
                out,
                "m={kind} 9 {protocol} {}\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n\
                 a=fingerprint:sha-256 {}\r\na=setup:passive\r\na=recvonly\r\na=rtcp-mux\r\n",
                codec.unwrap_or_default(),
                us.ufrag,
                us.password,
                us.fingerprint
            );
        } else if line.starts_with("a=group:BUNDLE") || (codec.is_some() && line.starts_with("a=mid:")) {
            let _ = write!(out, "{line}\r\n");
        } else if let Some(codec) = codec {
            // Attributes of other payload types belong to codecs that are not accepted.
            let about =
                ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"].iter().find_map(|name| line.strip_prefix(name));
            if about.and_then(|about| about.split_whitespace().next()) == Some(codec) {
                let _ = write!(out, "{line}\r\n");
            }
        }
    }
    out
}

/// What the generator needs from a server's answer or offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAnswer {
    /// The server's ICE credentials.
    pub ufrag: String,
    /// The password to it.
    pub password: String,
    /// The SHA-256 fingerprint of its certificate in SDP's format, in capitals.
    pub fingerprint: String,
    /// Its UDP candidates, best first.
    pub candidates: Vec<SocketAddr>,
    /// Streams that it sends media on.
    pub media: Vec<(u32, MediaKind)>,
    /// Whether the server begins the DTLS handshake.
    pub is_active: bool,
    /// Whether audio packets may tell their level.
    pub takes_levels: bool,
}

impl ServerAnswer {
    /// Reads an answer, or says what is missing.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut answer = Self {
            ufrag: String::new(),
            password: String::new(),
            fingerprint: String::new(),
            candidates: Vec::new(),
            media: Vec::new(),
            is_active: false,
            takes_levels: text.contains(AUDIO_LEVEL_URI),
        };
        let mut kind = MediaKind::Audio;
        let mut taken = false;
        for line in text.lines() {
            if let Some(media) = line.strip_prefix("m=") {
                kind = if media.starts_with("audio") { MediaKind::Audio } else { MediaKind::Video };
                taken = false;
            } else if let Some(value) = line.strip_prefix("a=setup:") {
                answer.is_active = value == "active";
            } else if let Some(value) = line.strip_prefix("a=ice-ufrag:") {
                answer.ufrag = value.to_owned();
            } else if let Some(value) = line.strip_prefix("a=ice-pwd:") {
                answer.password = value.to_owned();
            } else if let Some(value) = line.strip_prefix("a=fingerprint:sha-256 ") {
                answer.fingerprint = value.to_ascii_uppercase();
            } else if let Some(value) = line.strip_prefix("a=candidate:") {
                answer.candidates.extend(udp_candidate(value));
            } else if let Some(value) = line.strip_prefix("a=ssrc:")
                && !taken
            {
                // The first SSRC of a section is its media. What follows are other attributes of it, and retransmissions.
                let number = value.split_whitespace().next().and_then(|number| number.parse().ok());
                answer.media.extend(number.map(|ssrc| (ssrc, kind)));
                taken = true;
            }
        }
        let lacks = [
            ("ICE credentials", answer.ufrag.is_empty() || answer.password.is_empty()),
            ("a SHA-256 fingerprint", answer.fingerprint.is_empty()),
            ("a UDP candidate", answer.candidates.is_empty()),
        ];
        match lacks.iter().find(|(_, lacks)| *lacks) {
            Some((what, _)) => Err(format!("the server's answer lacks {what}")),
            None => Ok(answer),
        }
    }

    /// Returns the candidate to use: the one at the address where signalling runs, or else the first of the same family, or
    /// else the first.
    pub fn candidate_near(&self, signalling: IpAddr) -> Option<SocketAddr> {
        let same_address = self.candidates.iter().find(|candidate| candidate.ip() == signalling);
        let same_family =
            || self.candidates.iter().find(|candidate| candidate.is_ipv4() == signalling.is_ipv4());
        same_address.or_else(same_family).or(self.candidates.first()).copied()
    }
}

/// Returns the address of a candidate attribute (RFC 8839 §5.1), if it is one for UDP.
fn udp_candidate(value: &str) -> Option<SocketAddr> {
    let words: Vec<&str> = value.split_whitespace().collect();
    let &[_, _, transport, _, ip, port, ..] = words.as_slice() else { return None };
    if !transport.eq_ignore_ascii_case("udp") {
        return None;
    }
    Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use str0m::change::SdpOffer;

    use super::*;
    use crate::core::negotiation::offer::Offer as ServersView;
    use crate::core::negotiation::transport::fingerprint;

    fn offer(published: &[Published]) -> String {
        let fingerprint = fingerprint(b"a certificate");
        ClientOffer {
            ufrag: "four",
            password: "0123456789abcdefghijkl",
            fingerprint: &fingerprint,
            slots: (1, 2),
            published,
            transport_cc: true,
        }
        .text()
    }

    #[test]
    fn the_engine_takes_our_offers() {
        let camera = Published { kind: MediaKind::Video, ssrc: 7, rids: Vec::new() };
        let microphone = Published { kind: MediaKind::Audio, ssrc: 8, rids: Vec::new() };
        let layered = Published { rids: vec!["low", "medium", "high"], ..camera.clone() };
        for published in [vec![], vec![camera, microphone], vec![layered]] {
            let text = offer(&published);
            SdpOffer::from_sdp_string(&text).expect("an offer");
            let view = ServersView::read(&text).expect("an offer");
            assert_eq!(view.sections.len(), 3 + published.len());
            if let Some(first) = published.first() {
                assert_eq!(view.sections[3].streams.rids(|_| true), first.rids);
            }
        }
    }

    #[test]
    fn an_answer_gives_what_is_needed_or_says_what_is_missing() {
        let text = "v=0\r\nm=audio 9 X 111\r\na=ice-ufrag:abc\r\na=ice-pwd:def\r\na=fingerprint:sha-256 aB:01\r\n\
            a=mid:0\r\na=ssrc:5 cname:x\r\na=ssrc:5 msid:a b\r\nm=video 9 X 96 97\r\na=ssrc-group:FID 6 7\r\n\
            a=ssrc:6 cname:x\r\na=ssrc:7 cname:x\r\na=candidate:1 1 tcp 9 127.0.0.1 1 typ host tcptype passive\r\n\
            a=candidate:2 1 udp 9 10.0.0.1 2 typ host\r\na=candidate:3 1 UDP 8 ::1 3 typ host\r\n";
        let answer = ServerAnswer::read(text).expect("whole");
        assert_eq!((answer.ufrag.as_str(), answer.password.as_str()), ("abc", "def"));
        assert_eq!(answer.fingerprint, "AB:01");
        assert!(!answer.is_active);
        assert!(ServerAnswer::read(&format!("{text}a=setup:active\r\n")).expect("whole").is_active);
        assert_eq!(answer.media, [(5, MediaKind::Audio), (6, MediaKind::Video)]);
        let near = |ip: &str| answer.candidate_near(ip.parse().expect("an address")).expect("one").port();
        assert_eq!((near("10.0.0.1"), near("::2"), near("192.0.2.1")), (2, 3, 2));
        let without = text.replace("a=fingerprint", "a=nothing");
        assert!(ServerAnswer::read(&without).expect_err("lacks").contains("fingerprint"));
    }

    #[test]
    fn an_offer_is_answered_section_by_section() {
        let offer = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=x\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=ice-lite\r\n\
            m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=sendonly\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n\
            a=ice-ufrag:abc\r\na=ice-pwd:def\r\na=setup:actpass\r\na=fingerprint:sha-256 01\r\na=ssrc:5 cname:j\r\n\
            a=candidate:1 1 udp 9 10.0.0.1 2 typ host\r\n\
            m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n\
            a=rtpmap:97 rtx/90000\r\na=ssrc:6 cname:j\r\n";
        let theirs = ServerAnswer::read(offer).expect("whole");
        assert_eq!(theirs.media, [(5, MediaKind::Audio), (6, MediaKind::Video)]);
        let text = answer(offer, Us { ufrag: "four", password: "a password", fingerprint: "AB:01" });
        assert!(text.contains("a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"), "{text}");
        assert!(text.contains("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"), "{text}");
        assert!(text.contains("a=mid:1\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n"), "{text}");
        assert_eq!(text.matches("a=setup:passive").count(), 2);
        assert!(!text.contains("candidate") && !text.contains("ssrc") && !text.contains("rtx"), "{text}");
        assert!(str0m::change::SdpAnswer::from_sdp_string(&text).is_ok(), "{text}");
    }
}

//! The offers of a world's people, and what they need from an answer. Everybody has their own payload types and
//! extension ids, so that mixing up two people's numbers shows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::codec::CodecName;
use crate::core::command::MediaKind;
use crate::core::negotiated::DEPENDENCY_DESCRIPTOR_URI;

const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
const TRANSPORT_CC_URI: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

const RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
const REPAIRED_RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";

/// Somebody's numbers for payload types and extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbering(pub u8);

impl Numbering {
    /// The numbers of a client that takes all that browsers take: it reports what arrives, and takes copies of audio.
    pub const BROWSER: Self = Self(u8::MAX);

    /// Returns the payload type of a codec; that of its retransmissions is one higher.
    pub fn payload_type(self, codec: CodecName) -> u8 {
        let table: [u8; 5] = match self.0 % 3 {
            0 => [111, 96, 98, 102, 45],
            1 => [109, 104, 106, 112, 100],
            _ => [120, 121, 123, 125, 35],
        };
        table[codec as usize]
    }

    /// Returns the codec of a payload type, and whether it is for retransmissions.
    pub fn codec(self, payload_type: u8) -> Option<(CodecName, bool)> {
        let all = [CodecName::Opus, CodecName::Vp8, CodecName::Vp9, CodecName::H264, CodecName::Av1];
        all.into_iter().find_map(|codec| {
            let own = self.payload_type(codec);
            let is_rtx = own + 1 == payload_type && codec != CodecName::Opus;
            (own == payload_type || is_rtx).then_some((codec, is_rtx))
        })
    }

    /// Returns the payload type of Opus with copies of earlier packets (RFC 2198), which some clients take.
    pub fn redundant(self) -> Option<u8> {
        [Some(63), None, Some(40)][usize::from(self.0 % 3)]
    }

    /// Returns the id of the MID extension (RFC 8843).
    pub fn mid(self) -> u8 {
        [4, 1, 9][usize::from(self.0 % 3)]
    }

    /// Returns the id of the transport-wide sequence number.
    pub fn transport_cc(self) -> u8 {
        [3, 2, 5][usize::from(self.0 % 3)]
    }

    /// Returns the id of the audio level (RFC 6464).
    pub fn audio_level(self) -> u8 {
        [1, 3, 11][usize::from(self.0 % 3)]
    }

    /// Whether they report what arrives by its transport-wide number. Some clients do not.
    pub fn reports_arrivals(self) -> bool {
        self.0 % 3 == 1 || self == Self::BROWSER
    }

    /// Returns the id of the RID extension (RFC 8852).
    pub fn rid(self) -> u8 {
        10
    }

    /// Returns the id of the extension that names the encoding of a retransmission (RFC 8852).
    pub fn repaired_rid(self) -> u8 {
        [11, 13, 12][usize::from(self.0 % 3)]
    }

    /// Returns the id of the dependency descriptor.
    pub fn dependency_descriptor(self) -> u8 {
        [8, 12, 7][usize::from(self.0 % 3)]
    }
}

/// What a section is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The server sends in it.
    Slot,
    /// The client sends in it.
    Publish {
        /// The SSRCs, media and retransmission, if the offer declares them.
        declared: Option<(u32, u32)>,
        /// The rids of a simulcast; none for a track in one encoding.
        rids: Vec<&'static str>,
    },
    /// Nobody sends at present.
    Inactive,
}

/// One section of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Whether the section is audio or video.
    pub kind: MediaKind,
    /// What the section is for.
    pub role: Role,
    /// Which codecs, most wanted first.
    pub codecs: Vec<CodecName>,
}

/// Writes an offer. Mids are the sections' numbers.
pub fn offer(
    version: u64,
    numbering: Numbering,
    (ufrag, password): (&str, &str),
    fingerprint: &str,
    sections: &[Section],
) -> String {
    let mut out = format!("v=0\r\no=- 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE");
    for mid in 0..sections.len() {
        let _ = write!(out, " {mid}");
    }
    out.push_str("\r\na=msid-semantic: WMS *\r\n");
    for (mid, section) in sections.iter().enumerate() {
        let media = if section.kind == MediaKind::Audio { "audio" } else { "video" };
        let _ = write!(out, "m={media} 9 UDP/TLS/RTP/SAVPF");
        for codec in &section.codecs {
            let pt = numbering.payload_type(*codec);
            let _ = write!(out, " {pt}");
            if *codec != CodecName::Opus {
                let _ = write!(out, " {}", pt + 1);
            }
        }
        let redundant = numbering.redundant().filter(|_| section.kind == MediaKind::Audio);
        if let Some(pt) = redundant {
            let _ = write!(out, " {pt}");
        }
        let _ = write!(
            out,
            "\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n\
             a=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\na=mid:{mid}\r\n\
             a=extmap:{} urn:ietf:params:rtp-hdrext:sdes:mid\r\n",
            numbering.mid(),
        );
        if section.role != Role::Slot || numbering.reports_arrivals() {
            let _ = write!(out, "a=extmap:{} {TRANSPORT_CC_URI}\r\n", numbering.transport_cc());
        }
        if let Role::Publish { rids, .. } = &section.role {
            write_rids(&mut out, numbering, rids);
        }
        let (id, uri) = match section.kind {
            MediaKind::Audio => (numbering.audio_level(), AUDIO_LEVEL_URI),
            MediaKind::Video => (numbering.dependency_descriptor(), DEPENDENCY_DESCRIPTOR_URI),
        };
        let _ = write!(out, "a=extmap:{id} {uri}\r\n");
        let direction = match section.role {
            Role::Slot => "recvonly",
            Role::Publish { .. } => "sendonly",
            Role::Inactive => "inactive",
        };
        let _ = write!(out, "a={direction}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n");
        for codec in &section.codecs {
            write_codec(&mut out, *codec, numbering.payload_type(*codec));
        }
        if let Some(pt) = redundant {
            let opus = numbering.payload_type(CodecName::Opus);
            let _ = write!(out, "a=rtpmap:{pt} red/48000/2\r\na=fmtp:{pt} {opus}/{opus}\r\n");
        }
        if let Role::Publish { declared, .. } = &section.role {
            let _ = write!(out, "a=msid:sim sim-{mid}\r\n");
            if let Some((ssrc, rtx)) = declared {
                if section.kind == MediaKind::Video {
                    let _ = write!(out, "a=ssrc-group:FID {ssrc} {rtx}\r\na=ssrc:{rtx} cname:sim\r\n");
                }
                let _ = write!(out, "a=ssrc:{ssrc} cname:sim\r\n");
            }
        }
    }
    out
}

/// Writes the encodings of a simulcast (RFC 8853 §5).
fn write_rids(out: &mut String, numbering: Numbering, rids: &[&str]) {
    if rids.is_empty() {
        return;
    }
    let _ = write!(out, "a=extmap:{} {RID_URI}\r\n", numbering.rid());
    let _ = write!(out, "a=extmap:{} {REPAIRED_RID_URI}\r\n", numbering.repaired_rid());
    for rid in rids {
        let _ = write!(out, "a=rid:{rid} send\r\n");
    }
    let _ = write!(out, "a=simulcast:send {}\r\n", rids.join(";"));
}

fn write_codec(out: &mut String, codec: CodecName, pt: u8) {
    let (name, parameters) = match codec {
        CodecName::Opus => ("opus/48000/2", "minptime=10;useinbandfec=1"),
        CodecName::Vp8 => ("VP8/90000", ""),
        CodecName::Vp9 => ("VP9/90000", "profile-id=0"),
        CodecName::H264 => {
            ("H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
        }
        CodecName::Av1 => ("AV1/90000", "level-idx=5;profile=0;tier=0"),
    };
    let _ = write!(out, "a=rtpmap:{pt} {name}\r\na=rtcp-fb:{pt} transport-cc\r\n");
    if !parameters.is_empty() {
        let _ = write!(out, "a=fmtp:{pt} {parameters}\r\n");
    }
    if codec != CodecName::Opus {
        for feedback in ["ccm fir", "nack", "nack pli"] {
            let _ = write!(out, "a=rtcp-fb:{pt} {feedback}\r\n");
        }
        let rtx = pt + 1;
        let _ = write!(out, "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={pt}\r\n");
    }
}

/// What a client needs from an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The server's ICE credentials.
    pub ufrag: String,
    /// The password to it.
    pub password: String,
    /// The server's streams by mid: main and retransmission.
    pub streams: BTreeMap<String, (u32, Option<u32>)>,
}

impl Answer {
    /// Reads an answer.
    pub fn read(text: &str) -> Self {
        let mut answer = Self::default();
        let mut mid = String::new();
        for line in text.lines() {
            if let Some(value) = line.strip_prefix("a=ice-ufrag:") {
                value.clone_into(&mut answer.ufrag);
            } else if let Some(value) = line.strip_prefix("a=ice-pwd:") {
                value.clone_into(&mut answer.password);
            } else if let Some(value) = line.strip_prefix("a=mid:") {
                value.clone_into(&mut mid);
            } else if let Some(value) = line.strip_prefix("a=ssrc-group:FID ") {
                let ssrcs: Vec<u32> = value.split_whitespace().filter_map(|word| word.parse().ok()).collect();
                if let &[main, rtx] = ssrcs.as_slice() {
                    answer.streams.insert(mid.clone(), (main, Some(rtx)));
                }
            } else if let Some(value) = line.strip_prefix("a=ssrc:")
                && let Some(Ok(ssrc)) = value.split_whitespace().next().map(str::parse)
            {
                answer.streams.entry(mid.clone()).or_insert((ssrc, None));
            }
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::negotiation::offer::Offer;

    #[test]
    fn the_server_reads_our_offers() {
        let sections = [
            Section { kind: MediaKind::Audio, role: Role::Slot, codecs: vec![CodecName::Opus] },
            Section {
                kind: MediaKind::Video,
                role: Role::Publish { declared: Some((1, 2)), rids: Vec::new() },
                codecs: vec![CodecName::Vp8],
            },
        ];
        for numbering in 0..3 {
            let text =
                offer(1, Numbering(numbering), ("ufrag", "password"), &["AA"; 32].join(":"), &sections);
            let offer = Offer::read(&text).expect("an offer");
            assert_eq!(offer.sections.len(), 2);
            let pt = Numbering(numbering).payload_type(CodecName::Vp8);
            let offered: Vec<u8> = offer.sections[1].formats.iter().map(|format| format.pt).collect();
            assert_eq!(offered, [pt, pt + 1]);
            assert_eq!(Numbering(numbering).codec(pt + 1), Some((CodecName::Vp8, true)));
        }
    }

    #[test]
    fn an_answer_gives_the_servers_streams_by_section() {
        let text = "v=0\r\nm=audio 9 X 1\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\na=mid:0\r\na=ssrc:5 cname:x\r\n\
            m=video 9 X 2\r\na=mid:1\r\na=ssrc:6 cname:x\r\na=ssrc:7 cname:x\r\na=ssrc-group:FID 6 7\r\n";
        let answer = Answer::read(text);
        assert_eq!((answer.ufrag.as_str(), answer.password.as_str()), ("u", "p"));
        let streams: Vec<_> = answer.streams.into_iter().collect();
        assert_eq!(streams, [("0".into(), (5, None)), ("1".into(), (6, Some(7)))]);
    }
}

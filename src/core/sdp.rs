//! Session descriptions as text, where the engine's view is not enough: what must not reach it is taken out of an
//! offer, and what it cannot know is put into its answer.
//!
//! Out of the offer: remote candidates (an ICE-lite server learns addresses from checks, and the engine would order
//! them by a hash), and every `m=application`. Into the answer: our candidates, our ICE credentials, one msid
//! stream for each pair of slots, and the rejected sections (RFC 3264 §6).

use std::fmt::Write as _;

use super::command::Kind;
use super::ids::{Mid, Ssrc};
use super::path::{LocalCandidate, Transport};
use crate::limits::{SDP_BYTES_MAX, SDP_SECTIONS_MAX};

/// Which way media flows in a section, seen from who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// The writer sends.
    SendOnly,
    /// The writer receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

/// One media section of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its `a=mid`.
    pub mid: Mid,
    /// Audio or video.
    pub kind: Kind,
    /// Which way media flows, seen from the client.
    pub direction: Direction,
    /// Whether the client has stopped it (port 0).
    pub stopped: bool,
    /// The rids that it sends (RFC 8853), in their order.
    pub rids: Vec<String>,
    /// The payload types that it offers, most wanted first.
    pub payload_types: Vec<u8>,
    /// The SSRCs that it declares for what it sends, main and retransmission. The engine knows them, too, but of a
    /// section that sends anew it still has the old ones, in the order of a hash.
    pub declared: Option<(Ssrc, Option<Ssrc>)>,
}

/// An offer, read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The offer as the engine may see it.
    pub text: String,
    /// Its audio and video sections, in order.
    pub sections: Vec<Section>,
    /// `m=` lines to be rejected: index among all sections, the line, and its mid.
    rejected: Vec<(usize, String, Option<String>)>,
}

/// Why an offer is refused, in words for a developer.
pub type BadOffer = String;

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').map(|line| line.trim_end_matches('\r')).filter(|line| !line.is_empty())
}

/// Splits a description into its session part and its media sections.
fn split(text: &str) -> (Vec<&str>, Vec<Vec<&str>>) {
    let mut session = Vec::new();
    let mut media: Vec<Vec<&str>> = Vec::new();
    for line in lines(text) {
        if line.starts_with("m=") {
            media.push(vec![line]);
        } else if let Some(section) = media.last_mut() {
            section.push(line);
        } else {
            session.push(line);
        }
    }
    (session, media)
}

fn attribute<'a>(section: &[&'a str], name: &str) -> Option<&'a str> {
    section.iter().find_map(|line| line.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':'))
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line);
    out.push_str("\r\n");
}

impl Offer {
    /// Reads an offer and takes out what the engine must not see.
    pub fn read(text: &str) -> Result<Self, BadOffer> {
        if text.len() > SDP_BYTES_MAX {
            return Err(format!("the SDP is {} bytes; at most {SDP_BYTES_MAX} are taken", text.len()));
        }
        let (session, media) = split(text);
        if media.is_empty() {
            return Err("the SDP has no media section".into());
        }
        if media.len() > SDP_SECTIONS_MAX {
            return Err(format!(
                "the SDP has {} sections; at most {SDP_SECTIONS_MAX} are taken",
                media.len()
            ));
        }
        check_extension_ids(text)?;
        let mut sections = Vec::new();
        let mut rejected = Vec::new();
        let mut body = String::with_capacity(text.len());
        for (index, lines) in media.iter().enumerate() {
            let first = lines[0];
            let kind = if first.starts_with("m=audio ") {
                Kind::Audio
            } else if first.starts_with("m=video ") {
                Kind::Video
            } else {
                rejected.push((index, first.to_owned(), attribute(lines, "mid").map(str::to_owned)));
                continue;
            };
            let section = read_section(kind, lines)?;
            if sections.iter().any(|other: &Section| other.mid == section.mid) {
                return Err(format!("two sections have the mid {:?}", &*section.mid));
            }
            sections.push(section);
            let candidate =
                |line: &&&str| !line.starts_with("a=candidate:") && **line != "a=end-of-candidates";
            for line in lines.iter().filter(candidate) {
                push_line(&mut body, line);
            }
        }
        if sections.is_empty() {
            return Err("the SDP has neither an audio nor a video section".into());
        }
        let gone = |mid: &str| rejected.iter().any(|(_, _, other)| other.as_deref() == Some(mid));
        let mut engine_text = String::with_capacity(text.len());
        for line in session {
            if let Some(mids) = line.strip_prefix("a=group:BUNDLE ") {
                engine_text.push_str("a=group:BUNDLE");
                for mid in mids.split_whitespace().filter(|mid| !gone(mid)) {
                    let _ = write!(engine_text, " {mid}");
                }
                engine_text.push_str("\r\n");
            } else if !line.starts_with("a=candidate:") {
                push_line(&mut engine_text, line);
            }
        }
        engine_text.push_str(&body);
        Ok(Self { text: engine_text, sections, rejected })
    }

    /// The section of that mid.
    pub fn section(&self, mid: Mid) -> Option<&Section> {
        self.sections.iter().find(|section| section.mid == mid)
    }
}

/// All sections share one transport, so an id of a header extension has one meaning (RFC 8285 §5, RFC 9143 §9.1). The
/// engine would keep one of two, and another one when the offer comes again.
fn check_extension_ids(text: &str) -> Result<(), BadOffer> {
    let mut names = [None; 256];
    for value in lines(text).filter_map(|line| line.strip_prefix("a=extmap:")) {
        let mut words = value.split_whitespace();
        let id = words.next().and_then(|word| word.split('/').next()?.parse::<u8>().ok());
        let (Some(id), Some(name)) = (id, words.next()) else { continue };
        let known = names[usize::from(id)].get_or_insert(name);
        if *known != name {
            return Err(format!(
                "a=extmap gives the id {id} to two header extensions: each needs an id of its own"
            ));
        }
    }
    Ok(())
}

fn read_section(kind: Kind, lines: &[&str]) -> Result<Section, BadOffer> {
    let text = attribute(lines, "mid").ok_or("a section has no a=mid")?;
    if text.is_empty() || text.len() > 16 || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(format!("the mid {text:?} is not 1–16 letters, digits or underscores"));
    }
    let has = |name: &str| lines.contains(&name);
    let direction = if has("a=sendonly") {
        Direction::SendOnly
    } else if has("a=recvonly") {
        Direction::RecvOnly
    } else if has("a=inactive") {
        Direction::Inactive
    } else {
        Direction::SendRecv
    };
    let stopped = lines[0].split(' ').nth(1) == Some("0") && !has("a=bundle-only");
    let rids = match attribute(lines, "simulcast").and_then(|value| value.strip_prefix("send ")) {
        Some(list) => list
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .split(';')
            .map(|alternatives| {
                alternatives.split(',').next().unwrap_or_default().trim_start_matches('~').to_owned()
            })
            .filter(|rid| !rid.is_empty())
            .collect(),
        None => Vec::new(),
    };
    let payload_types = lines[0].split_whitespace().skip(3).filter_map(|pt| pt.parse().ok()).collect();
    let declared = if rids.is_empty() { declared_ssrcs(lines) } else { None };
    Ok(Section { mid: Mid::from(text), kind, direction, stopped, rids, payload_types, declared })
}

/// The SSRCs of a section's stream: main and retransmission (RFC 5576).
fn declared_ssrcs(lines: &[&str]) -> Option<(Ssrc, Option<Ssrc>)> {
    let number = |word: &str| word.parse().ok().map(Ssrc);
    if let Some(group) = attribute(lines, "ssrc-group").and_then(|value| value.strip_prefix("FID ")) {
        let mut words = group.split_whitespace();
        return Some((number(words.next()?)?, words.next().and_then(number)));
    }
    let first = attribute(lines, "ssrc")?.split_whitespace().next()?;
    Some((number(first)?, None))
}

/// What is put into the engine's answer.
#[derive(Debug)]
pub struct AnswerPatch<'a> {
    /// Where the client can reach us, best first.
    pub candidates: &'a [LocalCandidate],
    /// Our ICE credentials: the engine makes up its own on an ICE restart.
    pub ufrag: &'a str,
    /// The password to it.
    pub password: &'a str,
    /// The msid stream of each slot.
    pub streams: &'a [(Mid, String)],
}

/// Turns the engine's answer into ours.
pub fn patch_answer(answer: &str, offer: &Offer, patch: &AnswerPatch<'_>) -> String {
    let (session, media) = split(answer);
    let mut out = String::with_capacity(answer.len() + 1024);
    for line in session {
        push_line(&mut out, line);
    }
    let mut media = media.into_iter();
    let mut first = true;
    let total = offer.sections.len() + offer.rejected.len();
    let mut rejected = offer.rejected.iter().peekable();
    for index in 0..total {
        if let Some((_, line, mid)) = rejected.next_if(|(at, _, _)| *at == index) {
            push_rejected(&mut out, line, mid.as_deref());
            continue;
        }
        let Some(lines) = media.next() else { break };
        patch_section(&mut out, &lines, offer, patch, first);
        first = false;
    }
    out
}

fn push_rejected(out: &mut String, line: &str, mid: Option<&str>) {
    let mut words = line.splitn(3, ' ');
    let what = words.next().unwrap_or("m=application");
    let rest = words.nth(1).unwrap_or("UDP/DTLS/SCTP webrtc-datachannel");
    let _ = write!(out, "{what} 0 {rest}\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n");
    if let Some(mid) = mid {
        let _ = write!(out, "a=mid:{mid}\r\n");
    }
}

/// What a line says of a payload type, if it does.
fn payload_type_of(line: &str) -> Option<u8> {
    let rest = ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"].iter().find_map(|name| line.strip_prefix(name))?;
    rest.split(' ').next()?.parse().ok()
}

/// An answer's `m=` line with only what its section offered, in the offer's order: the engine answers every section
/// with all that was negotiated anywhere, in its own order, and a browser sends the first.
fn push_media_line(out: &mut String, line: &str, offered: &[u8]) {
    let answered: Vec<u8> = line.split_whitespace().skip(3).filter_map(|pt| pt.parse().ok()).collect();
    let head: Vec<&str> = line.split_whitespace().take(3).collect();
    out.push_str(&head.join(" "));
    for pt in offered.iter().filter(|pt| answered.contains(pt)) {
        let _ = write!(out, " {pt}");
    }
    out.push_str("\r\n");
}

fn patch_section(
    out: &mut String,
    lines: &[&str],
    offer: &Offer,
    patch: &AnswerPatch<'_>,
    with_candidates: bool,
) {
    let mid = attribute(lines, "mid").map(Mid::from);
    let offered =
        mid.and_then(|mid| offer.section(mid)).map_or(&[] as &[u8], |section| &section.payload_types);
    let stream = patch.streams.iter().find(|(of, _)| Some(*of) == mid).map(|(_, stream)| stream.as_str());
    for line in lines {
        if line.starts_with("a=candidate:") || *line == "a=end-of-candidates" {
            continue;
        }
        if payload_type_of(line).is_some_and(|pt| !offered.contains(&pt)) {
            continue;
        }
        if line.starts_with("m=") && !offered.is_empty() {
            push_media_line(out, line, offered);
        } else if line.starts_with("a=ice-ufrag:") {
            let _ = write!(out, "a=ice-ufrag:{}\r\n", patch.ufrag);
        } else if line.starts_with("a=ice-pwd:") {
            let _ = write!(out, "a=ice-pwd:{}\r\n", patch.password);
        } else if let (Some(stream), Some(msid)) = (stream, line.strip_prefix("a=msid:")) {
            let track = msid.split_whitespace().nth(1).unwrap_or(stream);
            let _ = write!(out, "a=msid:{stream} {track}\r\n");
        } else if let (Some(stream), Some((ssrc, msid))) = (stream, ssrc_msid(line)) {
            let track = msid.split_whitespace().nth(1).unwrap_or(stream);
            let _ = write!(out, "a=ssrc:{ssrc} msid:{stream} {track}\r\n");
        } else {
            push_line(out, line);
        }
    }
    if with_candidates {
        push_candidates(out, patch.candidates);
    }
}

fn ssrc_msid(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("a=ssrc:")?.split_once(" msid:")
}

/// Host candidates (RFC 8839 §5.1, RFC 6544 §4.5), priorities falling in the order given.
fn push_candidates(out: &mut String, candidates: &[LocalCandidate]) {
    for (index, candidate) in candidates.iter().enumerate() {
        let (ip, port) = (candidate.address.ip(), candidate.address.port());
        // RFC 8445 §5.1.2.1: type preference 126 for UDP hosts, 90 for TCP so that UDP is preferred.
        let preference = 65535 - u32::try_from(index).unwrap_or(65535).min(65535);
        let (transport, type_preference, suffix) = match candidate.transport {
            Transport::Udp => ("udp", 126, ""),
            Transport::Tcp => ("tcp", 90, " tcptype passive"),
        };
        let priority = (type_preference << 24) | (preference << 8) | 255;
        let foundation = index + 1;
        let _ =
            write!(out, "a=candidate:{foundation} 1 {transport} {priority} {ip} {port} typ host{suffix}\r\n");
    }
    out.push_str("a=end-of-candidates\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=candidate:1 1 udp 1 10.0.0.1 5 typ host\r\na=mid:0\r\na=recvonly\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\na=sendonly\r\na=simulcast:send low;~medium;high,h2\r\n";

    #[test]
    fn an_id_of_a_header_extension_has_one_meaning() {
        let extmap = |lines: &str| Offer::read(&OFFER.replace("a=mid:2", &format!("{lines}a=mid:2")));
        let mid = "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n";
        assert!(extmap(&format!("{mid}a=extmap:2/sendonly urn:other\r\n{mid}")).is_ok());
        let why = extmap(&format!("{mid}a=extmap:1/sendonly urn:other\r\n")).expect_err("two meanings");
        assert!(why.contains("id 1 "), "{why}");
        let session = OFFER
            .replace("t=0 0", "t=0 0\r\na=extmap:1 urn:other")
            .replace("a=mid:2", &format!("{mid}a=mid:2"));
        assert!(Offer::read(&session).is_err(), "also between sections");
    }

    #[test]
    fn the_engine_sees_neither_candidates_nor_data_channels() {
        let offer = Offer::read(OFFER).expect("a good offer");
        assert!(!offer.text.contains("candidate"));
        assert!(!offer.text.contains("application"));
        assert!(offer.text.contains("a=group:BUNDLE 0 2\r\n"));
        assert_eq!(offer.sections.len(), 2);
        assert_eq!(offer.sections[1].rids, ["low", "medium", "high"]);
        assert_eq!(offer.sections[1].direction, Direction::SendOnly);
    }

    #[test]
    fn a_rejected_section_keeps_its_place_in_the_answer() {
        let offer = Offer::read(OFFER).expect("a good offer");
        let engine = "v=0\r\na=group:BUNDLE 0 2\r\nm=audio 9 X 63 111\r\na=mid:0\r\na=rtpmap:63 red/48000/2\r\n\
            a=ice-ufrag:old\r\na=msid:a b\r\nm=video 9 X 96\r\na=mid:2\r\na=candidate:9 1 udp 1 192.0.2.1 1 typ host\r\n";
        let patch = AnswerPatch {
            candidates: &[LocalCandidate {
                transport: Transport::Udp,
                address: ([127, 0, 0, 1], 7443).into(),
            }],
            ufrag: "new",
            password: "pw",
            streams: &[(Mid::from("0"), "slot-0".into())],
        };
        let answer = patch_answer(engine, &offer, &patch);
        let kinds: Vec<&str> = lines(&answer).filter(|line| line.starts_with("m=")).collect();
        assert_eq!(
            kinds,
            ["m=audio 9 X 111", "m=application 0 UDP/DTLS/SCTP webrtc-datachannel", "m=video 9 X 96"]
        );
        assert!(answer.contains("a=ice-ufrag:new\r\n"));
        assert!(answer.contains("a=msid:slot-0 b\r\n"));
        assert!(answer.contains(" 127.0.0.1 7443 typ host\r\n"));
        assert!(!answer.contains("192.0.2.1"));
        assert!(!answer.contains("red/48000"), "only what the section offered");
    }

    #[test]
    fn a_stream_is_known_by_the_ssrcs_that_its_section_declares_now() {
        let declared = |lines: &str| {
            let text = format!("v=0\r\nm=video 9 X 96\r\na=mid:0\r\na=sendonly\r\n{lines}");
            Offer::read(&text).expect("an offer").sections[0].declared
        };
        let both = Some((Ssrc(7), Some(Ssrc(8))));
        assert_eq!(declared("a=ssrc-group:FID 7 8\r\na=ssrc:7 cname:c\r\na=ssrc:8 cname:c\r\n"), both);
        assert_eq!(declared("a=ssrc:8 cname:c\r\na=ssrc:7 cname:c\r\na=ssrc-group:FID 7 8\r\n"), both);
        assert_eq!(declared("a=ssrc:7 cname:c\r\n"), Some((Ssrc(7), None)));
        assert_eq!(declared(""), None);
        assert_eq!(declared("a=ssrc-group:FID seven 8\r\n"), None);
        // Encodings have names instead.
        assert_eq!(declared("a=simulcast:send low;high\r\na=ssrc:7 cname:c\r\n"), None);
    }

    #[test]
    fn broken_offers_say_what_is_wrong() {
        for (text, word) in [
            ("", "no media section"),
            ("v=0\r\nm=audio 9 X 1\r\n", "no a=mid"),
            ("v=0\r\nm=application 9 X 1\r\na=mid:0\r\n", "neither"),
            ("m=audio 9 X 1\r\na=mid:0\r\nm=audio 9 X 1\r\na=mid:0\r\n", "two sections"),
            ("m=audio 9 X 1\r\na=mid:we ird\r\n", "mid"),
        ] {
            let error = Offer::read(text).expect_err(text);
            assert!(error.contains(word), "{error}");
        }
    }
}

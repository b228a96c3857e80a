//! The offer of a WHIP or WHEP client: checking it, finding what it publishes, and changing its credentials for an ICE
//! restart.

use super::fragment::Fragment;
use super::{Side, lines};
use crate::core::command::{MediaKind, PublicationRequest, Source};
use crate::core::event::SlotCounts;
use crate::core::negotiation::limits;
use crate::core::negotiation::offer::Offer as Description;
use crate::core::negotiation::refusal::{Fault, Refused};
use crate::core::negotiation::section::{Direction, Section};

/// Why a request is refused before the core hears of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status code.
    pub status: u16,
    /// What is wrong, in words for a developer.
    pub message: String,
    /// What to do about it.
    pub action: &'static str,
}

impl Problem {
    /// Makes a problem from its parts.
    pub fn new(status: u16, message: impl Into<String>, action: &'static str) -> Self {
        Self { status, message: message.into(), action }
    }
}

/// What to do about an offer that is refused.
const CORRECT_IT: &str = "correct the offer and send it again";

/// An offer that can be handed to the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhipOffer {
    /// The session description, with each section made one-way.
    pub sdp: String,
    /// The tracks that it publishes: all sections that send.
    pub publications: Vec<PublicationRequest>,
    /// The client's username fragment, which names its ICE session.
    pub ufrag: String,
}

impl WhipOffer {
    /// Reads a client's POST. Refuses it with 400 if it is not a session description, with 413 if it is too large, and
    /// with 422 if this protocol cannot use it.
    pub fn read(side: Side, body: &[u8]) -> Result<Self, Problem> {
        let malformed = |message: String| Problem::new(400, message, CORRECT_IT);
        let text = std::str::from_utf8(body).map_err(|_| malformed("the body is not UTF-8".into()))?;
        limits::check(text)?;
        let sdp = one_way(side, text);
        let description = Description::read(&sdp)?;
        let (wanted, opposite) = match side {
            Side::Publish => (Direction::SendOnly, Direction::RecvOnly),
            Side::View => (Direction::RecvOnly, Direction::SendOnly),
        };
        let useless = |message: String| Problem::new(422, message, CORRECT_IT);
        if let Some(section) = description.served().find(|section| section.direction == opposite) {
            return Err(useless(format!(
                "{} is {}; {} takes {} sections only",
                section.place(),
                opposite.name(),
                side.name(),
                wanted.name()
            )));
        }
        if !description.served().any(|section| section.direction == wanted) {
            return Err(useless(format!("no section that can be served is {}", wanted.name())));
        }
        let publications = match side {
            Side::Publish => publications(&description),
            Side::View => Vec::new(),
        };
        let ufrag = description.transport.ufrag;
        Ok(Self { sdp, publications, ufrag })
    }

    /// Returns how many sections of each kind receive.
    pub fn receiving(&self) -> SlotCounts {
        let Ok(offer) = Description::read(&self.sdp) else { return SlotCounts { audio: 0, video: 0 } };
        let of_kind = |kind: MediaKind| {
            offer.served().filter(|section| section.kind == Some(kind) && section.receives()).count()
        };
        SlotCounts { audio: of_kind(MediaKind::Audio), video: of_kind(MediaKind::Video) }
    }

    /// Returns the same offer with a fragment's credentials, which restarts ICE.
    #[must_use]
    pub fn restarted(&self, ufrag: &str, password: &str) -> Self {
        let mut sdp = String::with_capacity(self.sdp.len() + 64);
        for line in lines(&self.sdp) {
            if line.starts_with("a=ice-ufrag:") {
                sdp += &format!("a=ice-ufrag:{ufrag}");
            } else if line.starts_with("a=ice-pwd:") {
                sdp += &format!("a=ice-pwd:{password}");
            } else {
                sdp += line;
            }
            sdp += "\r\n";
        }
        Self { sdp, publications: self.publications.clone(), ufrag: ufrag.to_owned() }
    }

    /// Returns a fragment's credentials, if they begin a new ICE session.
    pub fn new_credentials<'a>(&self, fragment: &'a Fragment) -> Option<(&'a str, &'a str)> {
        let (ufrag, password) = fragment.credentials.as_ref()?;
        (*ufrag != self.ufrag).then_some((ufrag.as_str(), password.as_str()))
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match refused.fault {
            Fault::Malformed => 400,
            Fault::TooLarge => 413,
            Fault::Unserved => 422,
        };
        Self::new(status, refused.message, CORRECT_IT)
    }
}

/// Makes an offer one-way. Both protocols allow two-way offers with one-way answers, and a one-way offer gets one.
fn one_way(side: Side, text: &str) -> String {
    let direction = match side {
        Side::Publish => "a=sendonly",
        Side::View => "a=recvonly",
    };
    let mut out = String::with_capacity(text.len() + 64);
    let mut section: Vec<&str> = Vec::new();
    let finish = |section: &mut Vec<&str>, out: &mut String| {
        let is_section = section.first().is_some_and(|line| line.starts_with("m="));
        let mut has_direction = !is_section;
        for line in section.drain(..) {
            let line = if is_section && line == "a=sendrecv" { direction } else { line };
            has_direction |= matches!(line, "a=sendonly" | "a=recvonly" | "a=inactive");
            *out += line;
            *out += "\r\n";
        }
        // Without an attribute, a section is two-way (RFC 8866 §6.7).
        if !has_direction {
            *out += direction;
            *out += "\r\n";
        }
    };
    for line in lines(text) {
        if line.starts_with("m=") {
            finish(&mut section, &mut out);
        }
        section.push(line);
    }
    finish(&mut section, &mut out);
    out
}

/// Takes the first audio section for the microphone and the first video section for the camera; others are for a
/// screen.
fn publications(description: &Description<'_>) -> Vec<PublicationRequest> {
    let mut seen = (false, false);
    let request = |section: &Section<'_>| {
        let source = match section.kind? {
            MediaKind::Audio if std::mem::replace(&mut seen.0, true) => Source::ScreenAudio,
            MediaKind::Audio => Source::Microphone,
            MediaKind::Video if std::mem::replace(&mut seen.1, true) => Source::Screen,
            MediaKind::Video => Source::Camera,
        };
        Some(PublicationRequest {
            mid: section.mid,
            source,
            muted: false,
            encodings: Vec::new(),
            track: None,
        })
    };
    description.served().filter(|section| section.sends()).filter_map(request).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(directions: &[(&str, &str)]) -> String {
        let mut text = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE".to_owned();
        for mid in 0..directions.len() {
            text += &format!(" {mid}");
        }
        text += "\r\na=msid-semantic:WMS *\r\n";
        for (mid, (kind, direction)) in directions.iter().enumerate() {
            let (pt, codec) = if *kind == "audio" { (111, "opus/48000/2") } else { (96, "VP8/90000") };
            text += &format!(
                "m={kind} 9 UDP/TLS/RTP/SAVPF {pt}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=ice-ufrag:abcd\r\n\
                 a=ice-pwd:abcdefghijklmnopqrstuv\r\na=fingerprint:sha-256 {}\r\na=setup:actpass\r\na=rtcp-mux\r\n\
                 a=rtpmap:{pt} {codec}\r\n{direction}",
                ["AA"; 32].join(":")
            );
        }
        text
    }

    fn read(side: Side, text: &str) -> Result<WhipOffer, Problem> {
        WhipOffer::read(side, text.as_bytes())
    }

    #[test]
    fn every_sending_section_is_published_by_what_it_most_likely_shows() {
        let sections = [
            ("audio", "a=sendonly\r\n"),
            ("video", "a=sendrecv\r\n"),
            ("video", ""),
            ("audio", "a=sendonly\r\n"),
        ];
        let offer = read(Side::Publish, &offer(&sections)).expect("a good offer");
        let sources: Vec<_> = offer.publications.iter().map(|publication| publication.source).collect();
        assert_eq!(sources, [Source::Microphone, Source::Camera, Source::Screen, Source::ScreenAudio]);
        assert_eq!(offer.sdp.matches("a=sendonly\r\n").count(), 4, "{}", offer.sdp);
        assert_eq!(offer.ufrag, "abcd");
    }

    #[test]
    fn a_viewer_publishes_nothing() {
        let offer = read(Side::View, &offer(&[("audio", "a=recvonly\r\n"), ("video", "a=sendrecv\r\n")]));
        let offer = offer.expect("a good offer");
        assert!(offer.publications.is_empty());
        assert!(!offer.sdp.contains("a=sendrecv"), "{}", offer.sdp);
    }

    #[test]
    fn what_is_no_description_is_400_and_what_is_of_no_use_422() {
        let status = |side, text: &str| read(side, text).expect_err(text).status;
        assert_eq!(status(Side::Publish, ""), 400);
        assert_eq!(status(Side::Publish, "hello"), 400);
        assert_eq!(status(Side::Publish, "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF\r\n"), 422);
        assert_eq!(WhipOffer::read(Side::View, &[0xff, 0xfe]).expect_err("no text").status, 400);
        let recv = offer(&[("audio", "a=recvonly\r\n")]);
        assert_eq!(status(Side::Publish, &recv), 422);
        assert_eq!(status(Side::View, &recv.replace("recvonly", "sendonly")), 422);
        assert_eq!(status(Side::View, &recv.replace("recvonly", "inactive")), 422);
        assert_eq!(status(Side::View, &recv.replace("opus", "speex")), 422);
        assert_eq!(status(Side::View, &recv.replace("s=-", "s=-\r\na=ice-lite")), 422);
        assert_eq!(status(Side::View, &format!("{recv}{}", "a=ssrc:1 x\r\n".repeat(1000))), 413);
        assert_eq!(status(Side::View, &recv.replace("a=ice-ufrag:abcd\r\n", "")), 400);
    }

    #[test]
    fn a_restart_changes_the_credentials_and_nothing_else() {
        let offer = read(Side::Publish, &offer(&[("audio", "a=sendonly\r\n")])).expect("a good offer");
        let same = Fragment::read(b"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n").expect("good");
        assert_eq!(offer.new_credentials(&same), None);
        let new = Fragment::read(b"a=ice-ufrag:efgh\r\na=ice-pwd:1234567890123456789012\r\n").expect("good");
        let (ufrag, password) = offer.new_credentials(&new).expect("they are new");
        let restarted = offer.restarted(ufrag, password);
        assert_eq!(restarted.ufrag, "efgh");
        assert_eq!(
            restarted.sdp,
            offer.sdp.replace("abcdefghijklmnopqrstuv", "1234567890123456789012").replace("abcd", "efgh")
        );
    }
}

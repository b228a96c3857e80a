//! What a LiveKit client's offer says: which sections it sends in, by which names it knows their tracks, and how many it
//! receives in.

use super::super::whip::lines;
use crate::core::command::MediaKind;
use crate::core::event::SlotCounts;
use crate::core::ids::Mid;
use crate::core::negotiation::offer::Offer;
use crate::core::negotiation::refusal::Refused;

/// A section in which a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendingSection {
    /// Its name.
    pub mid: Mid,
    /// Whether it sends audio or video.
    pub kind: MediaKind,
    /// The client's name of the track (`a=msid`); empty if the offer does not say it.
    pub cid: String,
}

/// The sections of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedSections {
    /// Those in which the client sends, in their order.
    pub sending: Vec<SendingSection>,
    /// How many of each kind it receives in.
    pub receiving: SlotCounts,
}

impl OfferedSections {
    /// Reads an offer.
    ///
    /// # Errors
    /// The core would refuse it, too.
    pub fn read(sdp: &str) -> Result<Self, Refused> {
        let offer = Offer::read(sdp)?;
        let mut cids = cids(sdp).into_iter();
        let mut sending = Vec::new();
        let mut receiving = SlotCounts { audio: 0, video: 0 };
        for section in &offer.sections {
            let cid = cids.next().flatten().unwrap_or_default().to_owned();
            let Some(kind) = section.kind.filter(|_| section.rejected.is_none() && !section.stopped) else {
                continue;
            };
            if section.direction.sends() {
                sending.push(SendingSection { mid: section.mid, kind, cid });
            }
            if section.direction.receives() {
                match kind {
                    MediaKind::Audio => receiving.audio += 1,
                    MediaKind::Video => receiving.video += 1,
                }
            }
        }
        Ok(Self { sending, receiving })
    }
}

/// Returns the client's name of the track of each section, in their order: the second word of the first `a=msid`.
fn cids(sdp: &str) -> Vec<Option<&str>> {
    let mut cids: Vec<Option<&str>> = Vec::new();
    for line in lines(sdp) {
        if line.starts_with("m=") {
            cids.push(None);
        } else if let (Some(cid), Some(msid)) = (cids.last_mut(), line.strip_prefix("a=msid:")) {
            *cid = cid.or(msid.split(' ').nth(1));
        }
    }
    cids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(kind: &str, mid: &str, direction: &str, msid: &str) -> String {
        let format = if kind == "audio" { "111 opus/48000/2" } else { "96 VP8/90000" };
        let pt = &format[..format.find(' ').unwrap_or(0)];
        format!(
            "m={kind} 9 UDP/TLS/RTP/SAVPF {pt}\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
             a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 {}\r\na=setup:actpass\r\na=mid:{mid}\r\n\
             a={direction}\r\na=rtcp-mux\r\n{msid}a=rtpmap:{format}\r\n",
            ["00"; 32].join(":")
        )
    }

    #[test]
    fn a_section_that_sends_is_known_by_the_name_of_its_track() {
        let sdp = format!(
            "v=0\r\na=group:BUNDLE 0 1 2\r\n{}{}{}",
            section("audio", "0", "recvonly", ""),
            section("video", "1", "sendonly", "a=msid:stream the-camera\r\n"),
            section("video", "2", "recvonly", "a=msid:- not-sent\r\n"),
        );
        let read = OfferedSections::read(&sdp).expect("a good offer");
        assert_eq!(read.receiving, SlotCounts { audio: 1, video: 1 });
        let [camera] = read.sending.as_slice() else { panic!("one section sends: {read:?}") };
        assert_eq!(
            (camera.mid.as_str(), camera.kind, camera.cid.as_str()),
            ("1", MediaKind::Video, "the-camera")
        );
        assert!(OfferedSections::read("v=0\r\n").is_err());
    }
}

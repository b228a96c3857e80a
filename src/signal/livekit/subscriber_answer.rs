//! What the answer to one of our offers says: the client's certificate, who begins the handshake, and which sections it takes.

use super::super::whip::lines;
use crate::core::ortc::{DtlsFingerprint, DtlsParameters, DtlsRole};
use crate::limits::SDP_SECTIONS_MAX;

/// Most fingerprints that are read; the room takes no more.
const FINGERPRINTS_MAX: usize = 8;

/// An answer. Whatever it says that is not asked for is passed over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// The client's end of the handshake; `None` if the answer has no fingerprint.
    pub dtls: Option<DtlsParameters>,
    accepted: Vec<bool>,
}

impl Answered {
    /// Reads an answer.
    pub fn read(sdp: &str) -> Self {
        let mut answered = Self::default();
        let mut dtls = DtlsParameters { role: DtlsRole::Client, fingerprints: Vec::new() };
        for line in lines(sdp) {
            if let Some(media) = line.strip_prefix("m=") {
                if answered.accepted.len() == SDP_SECTIONS_MAX {
                    break;
                }
                answered.accepted.push(media.split(' ').nth(1) != Some("0"));
            } else if line == "a=inactive" {
                if let Some(last) = answered.accepted.last_mut() {
                    *last = false;
                }
            } else if line == "a=setup:passive" {
                dtls.role = DtlsRole::Server;
            } else if let Some((algorithm, value)) =
                line.strip_prefix("a=fingerprint:").and_then(|fingerprint| fingerprint.split_once(' '))
            {
                let fingerprint = DtlsFingerprint {
                    algorithm: algorithm.to_ascii_lowercase(),
                    value: value.trim().to_owned(),
                };
                // It stands in every section.
                if dtls.fingerprints.len() < FINGERPRINTS_MAX && !dtls.fingerprints.contains(&fingerprint) {
                    dtls.fingerprints.push(fingerprint);
                }
            }
        }
        answered.dtls = (!dtls.fingerprints.is_empty()).then_some(dtls);
        answered
    }

    /// Returns whether the client takes what is sent in the section of that place.
    pub fn accepts(&self, place: usize) -> bool {
        self.accepted.get(place).copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_which_sections_are_taken_and_who_begins() {
        let sdp = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 100\r\na=fingerprint:SHA-256 AA:BB\r\na=setup:passive\r\n\
                   m=video 0 UDP/TLS/RTP/SAVPF 101\r\na=fingerprint:sha-256 AA:BB\r\n\
                   m=video 9 UDP/TLS/RTP/SAVPF 101\r\na=inactive\r\n";
        let answered = Answered::read(sdp);
        assert_eq!([0, 1, 2, 3].map(|place| answered.accepts(place)), [true, false, false, false]);
        let dtls = answered.dtls.expect("a certificate");
        assert_eq!((dtls.role, dtls.fingerprints.len()), (DtlsRole::Server, 1));
        assert_eq!(Answered::read("nonsense"), Answered::default());
        let many = "a=fingerprint:sha-256 A\r\nm=a\r\n".repeat(100_000);
        assert!(Answered::read(&many).accepted.len() <= SDP_SECTIONS_MAX);
    }
}

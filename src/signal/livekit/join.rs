//! The request by which a LiveKit client joins: a message in the address of its WebSocket.

use std::io::Read as _;

use base64ct::{Base64UrlUnpadded, Encoding};
use flate2::read::GzDecoder;
use prost::Message as _;

use super::messages::{JoinRequest, SessionDescription, WrappedJoinRequest, numbers};
use crate::core::ids::ParticipantId;
use crate::core::msid::participant_of_sid;
use crate::limits::SDP_BYTES_MAX;

/// The largest join request, inflated, in bytes: the largest offer, and what else there is to say.
const JOIN_REQUEST_BYTES_MAX: usize = SDP_BYTES_MAX + 64 * 1024;

/// What a client asks for by which a WebSocket is opened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JoinAsked {
    /// Whether every track of the room is subscribed to without asking.
    pub auto_subscribe: bool,
    /// Who is to be taken up again, if the client was connected before; `Some(None)` if it does not say whom.
    pub resumes: Option<Option<ParticipantId>>,
    /// Whether it speaks version 0, with a peer connection of its own for what it receives.
    pub is_split: bool,
    /// The first offer, if it comes with the request.
    pub(super) offer: Option<SessionDescription>,
}

impl JoinAsked {
    /// Reads the parameters of version 0: single words in the address.
    pub fn read_words(auto_subscribe: Option<&str>, reconnect: Option<&str>, sid: Option<&str>) -> Self {
        let is_set = |word: Option<&str>| word.is_some_and(|word| matches!(word, "1" | "true"));
        Self {
            auto_subscribe: auto_subscribe.is_none() || is_set(auto_subscribe),
            resumes: is_set(reconnect).then(|| sid.and_then(participant_of_sid)),
            is_split: true,
            offer: None,
        }
    }

    /// Reads the parameter `join_request`: base 64 of a message, which may be compressed. Without one, everything has its
    /// default.
    ///
    /// # Errors
    /// It is no such message, or too large. The text says what is wrong.
    pub fn read(parameter: Option<&str>) -> Result<Self, &'static str> {
        let Some(parameter) = parameter else { return Ok(Self { auto_subscribe: true, ..Self::default() }) };
        // Both alphabets of base 64 are in use, and padding may be there.
        let plain: String = parameter
            .trim_end_matches('=')
            .chars()
            .map(|letter| match letter {
                '+' => '-',
                '/' => '_',
                other => other,
            })
            .collect();
        let bytes = Base64UrlUnpadded::decode_vec(&plain).map_err(|_| "join_request is no base 64")?;
        let not_a_message = |_| "join_request is no WrappedJoinRequest";
        let wrapped = WrappedJoinRequest::decode(bytes.as_slice()).map_err(not_a_message)?;
        let inflated = match wrapped.compression {
            numbers::PLAIN => wrapped.join_request,
            numbers::GZIP => inflate(&wrapped.join_request)?,
            _ => return Err("join_request is compressed in a way that is not known"),
        };
        if inflated.len() > JOIN_REQUEST_BYTES_MAX {
            return Err("join_request is too large");
        }
        let request =
            JoinRequest::decode(inflated.as_slice()).map_err(|_| "join_request has no JoinRequest")?;
        let settings = request.connection_settings.unwrap_or_default();
        Ok(Self {
            auto_subscribe: settings.auto_subscribe,
            resumes: request.reconnect.then(|| participant_of_sid(&request.participant_sid)),
            is_split: false,
            offer: request.publisher_offer.filter(|offer| !offer.sdp.is_empty()),
        })
    }
}

fn inflate(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut inflated = Vec::new();
    // One byte more than may be, so that it is noticed.
    let mut decoder = GzDecoder::new(bytes).take(JOIN_REQUEST_BYTES_MAX as u64 + 1);
    decoder.read_to_end(&mut inflated).map_err(|_| "join_request is no gzip")?;
    Ok(inflated)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::messages::ConnectionSettings;
    use super::*;
    use crate::core::msid::participant_sid;

    fn wrapped(request: &JoinRequest, is_compressed: bool) -> String {
        let plain = request.encode_to_vec();
        let join_request = if is_compressed { gzip(&plain) } else { plain };
        let wrapped = WrappedJoinRequest { compression: i32::from(is_compressed), join_request };
        Base64UrlUnpadded::encode_string(&wrapped.encode_to_vec())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("a vector takes everything");
        encoder.finish().expect("a vector takes everything")
    }

    #[test]
    fn a_request_is_read_compressed_or_not() {
        let request = JoinRequest {
            connection_settings: Some(ConnectionSettings { auto_subscribe: true, adaptive_stream: true }),
            publisher_offer: Some(SessionDescription { sdp: "v=0".into(), id: 7, ..Default::default() }),
            reconnect: true,
            participant_sid: participant_sid(ParticipantId(3)),
            ..JoinRequest::default()
        };
        for is_compressed in [false, true] {
            let text = wrapped(&request, is_compressed);
            for text in [format!("{text}=="), text.replace('-', "+").replace('_', "/"), text] {
                let asked = JoinAsked::read(Some(&text)).expect("a good request");
                assert!(asked.auto_subscribe);
                assert_eq!(asked.resumes, Some(Some(ParticipantId(3))));
                assert_eq!(asked.offer.as_ref().map(|offer| offer.id), Some(7));
            }
        }
        assert_eq!(
            JoinAsked::read(None).map(|asked| (asked.auto_subscribe, asked.resumes)),
            Ok((true, None))
        );
    }

    #[test]
    fn an_older_client_says_it_in_single_words() {
        let read = |words: [Option<&str>; 3]| {
            let asked = JoinAsked::read_words(words[0], words[1], words[2]);
            (asked.auto_subscribe, asked.resumes)
        };
        assert_eq!(read([None; 3]), (true, None));
        assert_eq!(read([Some("0"), Some("0"), None]), (false, None));
        let sid = participant_sid(ParticipantId(3));
        assert_eq!(read([Some("1"), Some("1"), Some(&sid)]), (true, Some(Some(ParticipantId(3)))));
        assert_eq!(read([Some("true"), Some("true"), Some("x")]), (true, Some(None)));
    }

    #[test]
    fn what_is_no_request_is_refused_however_it_is_packed() {
        for text in ["%", "AAAA", "CAEQ", "CAMSAA"] {
            assert!(JoinAsked::read(Some(text)).is_err(), "{text}");
        }
        let bomb = WrappedJoinRequest {
            compression: numbers::GZIP,
            join_request: gzip(&vec![0; JOIN_REQUEST_BYTES_MAX + 1]),
        };
        let bomb = Base64UrlUnpadded::encode_string(&bomb.encode_to_vec());
        assert!(bomb.len() < 4096);
        assert_eq!(JoinAsked::read(Some(&bomb)), Err("join_request is too large"));
    }
}

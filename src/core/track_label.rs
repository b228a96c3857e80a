//! Track labels: what a front end says of a track to front ends of its own kind.

use serde::{Deserialize, Serialize};

use crate::limits::{TRACK_DETAILS_BYTES_MAX, TRACK_STREAM_CHARS_MAX};

/// What a front end says of a track to front ends of its own kind. The core hands it on to everybody in the room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackLabel {
    /// Which of their owner's tracks play in sync: those with the same name here.
    stream: String,
    /// Whatever else there is to say, in the words of the front end's protocol.
    details: Box<[u8]>,
}

impl TrackLabel {
    /// Makes a label. Characters of `stream` that cannot stand in a session description are left out, and it ends after 64
    /// characters. Returns `None` if the details have more than 4 KiB.
    pub fn new(stream: &str, details: Vec<u8>) -> Option<Self> {
        let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '{' | '}');
        let stream = stream.chars().filter(allowed).take(TRACK_STREAM_CHARS_MAX).collect();
        (details.len() <= TRACK_DETAILS_BYTES_MAX).then(|| Self { stream, details: details.into() })
    }

    /// Returns the name of the stream that it plays in sync with; empty if nothing is said of it.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Returns what the front end has said, as it was.
    pub fn details(&self) -> &[u8] {
        &self.details
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_a_name_that_can_stand_in_a_session_description() {
        let label = TrackLabel::new("my cam\r\na=evil|x", vec![1, 2]).expect("it is small");
        assert_eq!((label.stream(), label.details()), ("mycamaevilx", &[1, 2][..]));
        assert_eq!(TrackLabel::new(&"x".repeat(100), Vec::new()).expect("it is small").stream().len(), 64);
        assert_eq!(TrackLabel::new("", vec![0; TRACK_DETAILS_BYTES_MAX + 1]), None);
    }
}

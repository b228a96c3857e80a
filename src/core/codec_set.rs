//! Codec sets: which codecs a room takes, of those that the server serves.

use serde::{Deserialize, Serialize};

use super::negotiated::Codec;
use super::source::MediaKind;

/// The codecs that are served, as messages and the configuration name them, and as people do.
const NAMES: [(&str, &str, MediaKind); 5] = [
    ("opus", "opus", MediaKind::Audio),
    ("vp8", "VP8", MediaKind::Video),
    ("vp9", "VP9", MediaKind::Video),
    ("h264", "H264", MediaKind::Video),
    ("av1", "AV1", MediaKind::Video),
];

/// A set of codecs, whatever their profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodecSet(u8);

impl CodecSet {
    /// Every codec that is served.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// Reads a set from the names of its codecs, in capital or small letters. `None` if there are none, or one is not known.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut set = Self(0);
        for name in names {
            let place = NAMES.iter().position(|(known, ..)| known.eq_ignore_ascii_case(name))?;
            set.0 |= 1 << place;
        }
        (set.0 != 0).then_some(set)
    }

    /// Returns whether a codec is among them.
    pub fn has(self, codec: Codec) -> bool {
        let place = NAMES.iter().position(|(_, name, _)| *name == codec.name());
        place.is_some_and(|place| self.has_place(place))
    }

    /// Returns their names, in the order in which the server lists them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().enumerate().filter(move |(place, _)| self.has_place(*place)).map(|(_, (name, ..))| *name)
    }

    /// Returns what people call those of them that are audio, or video, as a list for a sentence; `None` if there are none.
    pub fn in_words(self, kind: MediaKind) -> Option<String> {
        let is_meant =
            |(place, (_, _, of)): &(usize, &(_, _, MediaKind))| self.has_place(*place) && *of == kind;
        let names: Vec<&str> =
            NAMES.iter().enumerate().filter(is_meant).map(|(_, (_, name, _))| *name).collect();
        let (last, others) = names.split_last()?;
        Some(if others.is_empty() { (*last).to_owned() } else { format!("{} and {last}", others.join(", ")) })
    }

    fn has_place(self, place: usize) -> bool {
        self.0 & (1 << place) != 0
    }
}

impl Default for CodecSet {
    fn default() -> Self {
        Self::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_read_from_names_and_has_what_they_name() {
        let set = CodecSet::named(["VP8", "opus"]).expect("known names");
        assert!(set.has(Codec::Opus) && set.has(Codec::Vp8) && !set.has(Codec::Vp9 { profile: 0 }));
        assert_eq!(set.names().collect::<Vec<_>>(), ["opus", "vp8"]);
        assert_eq!(CodecSet::named(CodecSet::ALL.names()), Some(CodecSet::ALL));
        assert!(
            [Codec::Av1 { profile: 0 }, Codec::Vp9 { profile: 2 }].map(|codec| CodecSet::ALL.has(codec))
                == [true; 2]
        );
        assert_eq!((CodecSet::named([]), CodecSet::named(["vp8", "theora"])), (None, None));
    }

    #[test]
    fn a_set_is_a_list_in_a_sentence() {
        assert_eq!(CodecSet::ALL.in_words(MediaKind::Video).as_deref(), Some("VP8, VP9, H264 and AV1"));
        let audio = CodecSet::named(["opus"]).expect("a known name");
        assert_eq!(audio.in_words(MediaKind::Audio).as_deref(), Some("opus"));
        assert_eq!(audio.in_words(MediaKind::Video), None);
    }
}

//! What a track shows, and whether that is heard or seen.

use serde::{Deserialize, Serialize};

/// What a track shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Source {
    /// The voice of the participant.
    Microphone,
    /// The face of the participant, or whatever their camera sees.
    Camera,
    /// A screen or a window that they share.
    Screen,
    /// The audio of a screen or a window that they share.
    ScreenAudio,
}

/// Whether something is heard or seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MediaKind {
    /// What is heard: voices, music.
    Audio,
    /// What is seen: cameras, screens.
    Video,
}

impl MediaKind {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Audio, Self::Video];
}

impl Source {
    /// All the sources that there are.
    pub const ALL: [Self; 4] = [Self::Microphone, Self::Camera, Self::Screen, Self::ScreenAudio];

    /// Returns the kind of media that this source always is.
    pub fn kind(self) -> MediaKind {
        match self {
            Self::Microphone | Self::ScreenAudio => MediaKind::Audio,
            Self::Camera | Self::Screen => MediaKind::Video,
        }
    }

    /// Returns the source's name in every protocol, file name and document, such as `screen-audio`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Microphone => "microphone",
            Self::Camera => "camera",
            Self::Screen => "screen",
            Self::ScreenAudio => "screen-audio",
        }
    }
}

impl MediaKind {
    /// Returns the kind's name in every protocol and document: `audio` or `video`, as in SDP's `m=` lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }

    /// Returns the kind of that name; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

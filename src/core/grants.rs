//! Grants: what somebody may do in a room. Whoever lets people in decides it, by a token or because the server is open
//! to all, and hands it to the core with the join; the core refuses what is not granted.

use serde::{Deserialize, Serialize};

use super::source::Source;

/// A set of [`Source`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sources(u8);

impl Sources {
    /// Every source that there is.
    pub const ALL: Self = Self::of(&Source::ALL);
    /// No source at all.
    pub const NONE: Self = Self(0);

    /// Returns the set of these sources.
    pub const fn of(sources: &[Source]) -> Self {
        let (mut set, mut index) = (0, 0);
        while index < sources.len() {
            set |= 1 << sources[index] as u8;
            index += 1;
        }
        Self(set)
    }

    /// Returns whether a source is among them.
    pub fn has(self, source: Source) -> bool {
        self.0 & (1 << source as u8) != 0
    }

    /// Returns whether there is none.
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// Returns the sources, in the order in which [`Source`] declares them.
    pub fn iter(self) -> impl Iterator<Item = Source> {
        Source::ALL.into_iter().filter(move |source| self.has(*source))
    }
}

impl FromIterator<Source> for Sources {
    fn from_iter<I: IntoIterator<Item = Source>>(sources: I) -> Self {
        sources.into_iter().fold(Self::NONE, |set, source| Self(set.0 | Self::of(&[source]).0))
    }
}

/// What a participant may do in their room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// What they may publish.
    pub publish: Sources,
    /// Whether they may receive the tracks of others.
    pub subscribe: bool,
    /// Whether they may send messages to others.
    pub send_data: bool,
    /// Whether they may mute and remove others, and end the call for all.
    pub moderate: bool,
    /// Whether the room is made for them if there is none of that name.
    pub create: bool,
    /// Whether they may be told which rooms there are. The core tells nobody; it is for back ends.
    pub list: bool,
    /// Whether they may change their own name, metadata and attributes.
    pub update_own_profile: bool,
    /// Whether the others are not told of them, and they do not count as present. Whoever is hidden publishes nothing and
    /// sends no messages, because that would show them.
    pub hidden: bool,
}

impl Grants {
    /// What everybody may do where nobody needs a token. There are no moderators: anybody could be one.
    pub const OPEN: Self = Self {
        publish: Sources::ALL,
        subscribe: true,
        send_data: true,
        moderate: false,
        create: true,
        list: false,
        update_own_profile: true,
        hidden: false,
    };

    /// Returns these grants without what contradicts others of them: whoever is hidden shows nothing of themselves.
    #[must_use]
    pub fn consistent(self) -> Self {
        if self.hidden { Self { publish: Sources::NONE, send_data: false, ..self } } else { self }
    }

    /// Returns what they amount to, in a word.
    pub fn role(&self) -> Role {
        match self {
            Self { moderate: true, .. } => Role::Moderator,
            Self { publish, .. } if !publish.is_empty() => Role::Speaker,
            _ => Role::Listener,
        }
    }
}

/// What somebody is in a room, by what they may do there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// They may moderate.
    Moderator,
    /// They may publish something, and not moderate.
    Speaker,
    /// They may publish nothing.
    Listener,
}

impl Role {
    /// Returns its name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Moderator => "moderator",
            Self::Speaker => "speaker",
            Self::Listener => "listener",
        }
    }
}

impl Default for Grants {
    fn default() -> Self {
        Self::OPEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_sources_has_what_was_put_in() {
        let set = Sources::of(&[Source::Microphone, Source::Screen]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Source::Microphone, Source::Screen]);
        assert_eq!(set, [Source::Screen, Source::Microphone].into_iter().collect());
        assert!(!set.has(Source::Camera) && Sources::ALL.iter().eq(Source::ALL));
        assert!(Sources::NONE.is_empty() && !set.is_empty());
    }

    #[test]
    fn a_role_is_what_the_grants_amount_to() {
        assert_eq!(Grants::OPEN.role(), Role::Speaker);
        assert_eq!(Grants { moderate: true, publish: Sources::NONE, ..Grants::OPEN }.role(), Role::Moderator);
        let hidden = Grants { hidden: true, ..Grants::OPEN }.consistent();
        assert!(hidden.publish.is_empty() && !hidden.send_data && hidden.subscribe);
        assert_eq!(hidden.role(), Role::Listener);
    }
}

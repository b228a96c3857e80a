//! Hold: why nothing goes out in a slot although it shows a track. There may be several reasons at once, and the track goes on
//! when the last one is gone.

/// One reason to send nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The subscriber has paused it, or cannot see it.
    Wish = 1,
    /// The machine has no time for it.
    Load = 2,
    /// The subscriber's network carries no more.
    Bandwidth = 4,
}

/// The reasons that hold a slot back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holds(u8);

impl Holds {
    /// Whether there is any.
    pub fn is_any(self) -> bool {
        self.0 != 0
    }

    /// Whether that is one of them.
    pub fn has(self, hold: Hold) -> bool {
        self.0 & hold as u8 != 0
    }

    /// Returns them with one of them, or without it.
    #[must_use]
    pub fn with(self, hold: Hold, is_held: bool) -> Self {
        if is_held { Self(self.0 | hold as u8) } else { Self(self.0 & !(hold as u8)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_goes_on_when_the_last_reason_is_gone() {
        let held = Holds::default().with(Hold::Load, true).with(Hold::Bandwidth, true);
        assert!(held.has(Hold::Load) && held.has(Hold::Bandwidth) && !held.has(Hold::Wish));
        assert!(held.with(Hold::Load, false).is_any());
        assert!(!held.with(Hold::Load, false).with(Hold::Bandwidth, false).is_any());
    }
}

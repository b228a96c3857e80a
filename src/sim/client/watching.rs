//! Watching: one section as whoever decodes its frames sees it. An endpoint of somebody else's making has put them
//! together, and says of each whether anything is missing before it.

use std::collections::BTreeMap;

use crate::core::command::Kind;
use crate::sim::mark::Mark;
use crate::sim::network::Micros;

/// A picture that cannot be decoded for so long needs a key frame, µs.
const STUCK_AFTER: Micros = 250_000;
const ASK_INTERVAL: Micros = 400_000;

/// One section.
#[derive(Debug)]
pub struct Watching {
    /// Its number.
    pub slot: u32,
    kind: Kind,
    /// The newest frame of each stream.
    newest: BTreeMap<u32, u32>,
    /// The last frame that was decoded, unless something is missing behind it.
    last: Option<Mark>,
    stuck_since: Option<Micros>,
    asked_at: Option<Micros>,
}

impl Watching {
    /// Nothing has come.
    pub fn new(slot: u32, kind: Kind) -> Self {
        Self { slot, kind, newest: BTreeMap::new(), last: None, stuck_since: None, asked_at: None }
    }

    /// A frame came, with nothing missing before it, or something. Whether it can be shown, or what is wrong with it.
    pub fn on_frame(&mut self, now: Micros, mark: &Mark, contiguous: bool) -> Result<bool, String> {
        if let Some(newest) = self.newest.insert(mark.stream, mark.frame)
            && newest >= mark.frame
        {
            return Err(format!("{mark:?} was handed out behind frame {newest}"));
        }
        if self.kind == Kind::Audio {
            return Ok(true);
        }
        let follows = |last: &Mark| last.stream == mark.stream && last.frame + 1 == mark.frame;
        let spliced = !mark.key && contiguous && self.last.as_ref().is_some_and(|last| !follows(last));
        let shown = mark.key || (contiguous && self.last.as_ref().is_some_and(follows));
        let before = if shown { self.last.replace(*mark) } else { self.last.take() };
        self.stuck_since = if shown { None } else { self.stuck_since.or(Some(now)) };
        if spliced {
            return Err(format!("{mark:?} was spliced behind {before:?}: it cannot be decoded"));
        }
        Ok(shown)
    }

    /// When a key frame is to be asked for.
    pub fn deadline(&self) -> Option<Micros> {
        let at = self.stuck_since? + STUCK_AFTER;
        Some(self.asked_at.map_or(at, |asked| at.max(asked + ASK_INTERVAL)))
    }

    /// Whether a key frame is to be asked for now.
    pub fn asks(&mut self, now: Micros) -> bool {
        let asks = self.deadline().is_some_and(|at| at <= now);
        if asks {
            self.asked_at = Some(now);
        }
        asks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(stream: u32, frame: u32, key: bool) -> Mark {
        Mark { stream, frame, key, sent_at: 0 }
    }

    #[test]
    fn what_follows_is_shown_and_what_was_spliced_is_told() {
        let mut watching = Watching::new(0, Kind::Video);
        assert_eq!(watching.on_frame(0, &mark(1, 0, false), true), Ok(false), "it begins with a key frame");
        assert_eq!(watching.on_frame(0, &mark(1, 1, true), true), Ok(true));
        assert_eq!(watching.on_frame(0, &mark(1, 2, false), true), Ok(true));
        assert_eq!(watching.on_frame(0, &mark(1, 4, false), false), Ok(false));
        assert_eq!(watching.on_frame(0, &mark(1, 5, false), true), Ok(false), "until a key frame");
        assert!(watching.asks(STUCK_AFTER) && !watching.asks(STUCK_AFTER));
        assert_eq!(watching.on_frame(0, &mark(1, 6, true), true), Ok(true));
        assert!(watching.on_frame(0, &mark(1, 8, false), true).is_err(), "something was left out");
        assert!(watching.on_frame(0, &mark(1, 7, true), true).is_err(), "it is old");
    }
}

//! Watching: the decoder of one section's frames. A whole endpoint has put the frames together, and says for each
//! whether anything is missing before it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::core::command::MediaKind;
use crate::sim::mark::Mark;
use crate::sim::network::Micros;

/// After how long a picture that cannot be decoded needs a key frame, µs.
const STUCK_AFTER: Micros = 250_000;
const ASK_INTERVAL: Micros = 400_000;

/// A frame's place in its section's stream, according to the endpoint.
#[derive(Debug, Clone)]
pub struct Place {
    /// Extended sequence numbers of its packets.
    pub numbers: RangeInclusive<u64>,
    /// The payload type with which it came.
    pub payload_type: u8,
    /// Whether the endpoint says that it follows the last frame, by the codec's own counters if it has some.
    pub contiguous: bool,
}

/// The state of one section of a whole endpoint.
#[derive(Debug)]
pub struct Watching {
    /// The slot's number, as the oracle has it.
    pub slot: u32,
    kind: MediaKind,
    /// The newest frame of each stream.
    newest: BTreeMap<u32, u32>,
    /// The last packet of the last frame, and its payload type.
    end: Option<(u64, u8)>,
    /// The last frame that was decoded, unless something is missing after it.
    last: Option<Mark>,
    stuck_since: Option<Micros>,
    asked_at: Option<Micros>,
}

impl Watching {
    /// Returns a section in which nothing has come yet.
    pub fn new(slot: u32, kind: MediaKind) -> Self {
        let newest = BTreeMap::new();
        Self { slot, kind, newest, end: None, last: None, stuck_since: None, asked_at: None }
    }

    /// Takes a frame that the endpoint put together. Returns whether it can be shown, or fails with what is wrong with it.
    pub fn on_frame(&mut self, now: Micros, mark: &Mark, place: &Place) -> Result<bool, String> {
        let end = self.end.replace((*place.numbers.end(), place.payload_type));
        // The sequence numbers, not the endpoint, tell whether a packet is missing between two frames.
        let contiguous = end.is_some_and(|(number, _)| number + 1 == *place.numbers.start());
        if let Some(newest) = self.newest.insert(mark.stream, mark.frame)
            && newest >= mark.frame
        {
            return Err(format!("{mark:?} was handed out behind frame {newest}"));
        }
        if self.kind == MediaKind::Audio {
            return Ok(true);
        }
        // If a frame is contiguous with one that it does not follow, the server has spliced them.
        let follows = |last: &Mark| last.stream == mark.stream && last.frame + 1 == mark.frame;
        let spliced = !mark.key && contiguous && self.last.as_ref().is_some_and(|last| !follows(last));
        let shown = mark.key || (contiguous && self.last.as_ref().is_some_and(follows));
        let before = if shown { self.last.replace(*mark) } else { self.last.take() };
        self.stuck_since = if shown { None } else { self.stuck_since.or(Some(now)) };
        // With another codec the endpoint counts anew.
        let same_codec = end.is_some_and(|(_, payload_type)| payload_type == place.payload_type);
        if contiguous && same_codec && !place.contiguous {
            return Err(format!("nothing is missing before {mark:?}, but its counters do not continue"));
        }
        if spliced {
            return Err(format!("{mark:?} was spliced behind {before:?}: it cannot be decoded"));
        }
        Ok(shown)
    }

    /// Returns when a key frame has to be asked for; `None` if everything is shown.
    pub fn deadline(&self) -> Option<Micros> {
        let at = self.stuck_since? + STUCK_AFTER;
        Some(self.asked_at.map_or(at, |asked| at.max(asked + ASK_INTERVAL)))
    }

    /// Returns whether a key frame has to be asked for now, and counts it as asked.
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

    /// Takes a frame of one packet with that number.
    fn comes(watching: &mut Watching, number: u64, mark: &Mark) -> Result<bool, String> {
        let place = Place { numbers: number..=number, payload_type: 96, contiguous: true };
        watching.on_frame(0, mark, &place)
    }

    #[test]
    fn what_follows_is_shown_and_what_was_spliced_is_told() {
        let mut watching = Watching::new(0, MediaKind::Video);
        let mut comes = |number, mark| comes(&mut watching, number, &mark);
        assert_eq!(comes(1, mark(1, 0, false)), Ok(false), "it begins with a key frame");
        assert_eq!(comes(2, mark(1, 1, true)), Ok(true));
        assert_eq!(comes(3, mark(1, 2, false)), Ok(true));
        assert_eq!(comes(5, mark(1, 4, false)), Ok(false), "something is missing");
        assert_eq!(comes(6, mark(1, 5, false)), Ok(false), "until a key frame");
        assert_eq!(comes(7, mark(1, 6, true)), Ok(true));
        assert!(comes(8, mark(1, 8, false)).is_err(), "something was left out");
        assert!(comes(9, mark(1, 7, true)).is_err(), "it is old");
        assert!(watching.asks(STUCK_AFTER) && !watching.asks(STUCK_AFTER));
    }

    #[test]
    fn counters_that_do_not_continue_are_told() {
        let mut watching = Watching::new(0, MediaKind::Video);
        let place = |number, contiguous| Place { numbers: number..=number, payload_type: 98, contiguous };
        assert_eq!(watching.on_frame(0, &mark(1, 0, true), &place(1, true)), Ok(true));
        assert!(watching.on_frame(0, &mark(1, 1, false), &place(2, false)).is_err());
    }
}

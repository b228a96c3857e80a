//! When a LiveKit client is to offer again. Clients of this protocol learn from answers what their sections show, so whenever
//! that changes, or there are too few of them, they are asked for an offer.

use std::collections::BTreeMap;

use super::messages::MediaSectionsRequirement;
use crate::core::event::{SlotCounts, SlotInfo, SlotMap};
use crate::core::ids::{Mid, TrackId};

/// What the client knows of its sections, and what it is to know.
#[derive(Debug)]
pub struct Requirement {
    /// What the sections show, as the last answer has said.
    answered: BTreeMap<Mid, TrackId>,
    /// What they show by now.
    current: BTreeMap<Mid, TrackId>,
    /// In how many sections the client receives, as its last offer says.
    offered: SlotCounts,
    /// In how many it is to receive.
    wanted: SlotCounts,
    /// Whether the client has been asked, and has not offered yet. A second question would be lost on some clients.
    is_asked: bool,
    /// Whether there was an answer. Before the first one a client offers without being asked.
    has_answer: bool,
}

impl Default for Requirement {
    fn default() -> Self {
        let none = SlotCounts { audio: 0, video: 0 };
        Self {
            answered: BTreeMap::new(),
            current: BTreeMap::new(),
            offered: none,
            wanted: none,
            is_asked: false,
            has_answer: false,
        }
    }
}

impl Requirement {
    /// Takes what an answer shows in the sections of an offer that receives in so many. Returns the ids of the tracks by their
    /// sections.
    pub fn answer(&mut self, offered: SlotCounts, shown: &[SlotInfo]) -> &BTreeMap<Mid, TrackId> {
        self.offered = offered;
        self.answered = tracks_of(shown);
        self.current = self.answered.clone();
        (self.is_asked, self.has_answer) = (false, true);
        &self.answered
    }

    /// Notes that the client has offered, and will be answered or refused.
    pub fn offer_came(&mut self) {
        self.is_asked = false;
    }

    /// Takes what the sections show by now.
    pub fn slot_map(&mut self, map: &SlotMap) {
        self.current = tracks_of(&map.slots);
    }

    /// Takes in how many sections the client is to receive.
    pub fn want(&mut self, wanted: SlotCounts) {
        self.wanted = wanted;
    }

    /// Returns the question for an offer; `None` if there is nothing to ask for, or it is asked already.
    pub fn question(&mut self) -> Option<MediaSectionsRequirement> {
        let missing =
            |wanted: usize, offered: usize| u32::try_from(wanted.saturating_sub(offered)).unwrap_or(0);
        let num_audios = missing(self.wanted.audio, self.offered.audio);
        let num_videos = missing(self.wanted.video, self.offered.video);
        let is_needed = self.current != self.answered || num_audios + num_videos > 0;
        if !is_needed || self.is_asked || !self.has_answer {
            return None;
        }
        self.is_asked = true;
        Some(MediaSectionsRequirement { num_audios, num_videos })
    }
}

fn tracks_of(slots: &[SlotInfo]) -> BTreeMap<Mid, TrackId> {
    slots.iter().filter_map(|slot| Some((slot.mid, slot.track?.0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(shown: &[(&str, Option<u64>)]) -> Vec<SlotInfo> {
        let slot = |(mid, track): &(&str, Option<u64>)| SlotInfo {
            mid: Mid::from(*mid),
            track: track.map(|track| (TrackId(track), 0)),
        };
        shown.iter().map(slot).collect()
    }

    fn map(shown: &[(&str, Option<u64>)]) -> SlotMap {
        SlotMap { revision: 1, slots: slots(shown), waiting: Vec::new(), waiting_count: 0 }
    }

    const THREE: SlotCounts = SlotCounts { audio: 3, video: 3 };

    #[test]
    fn a_client_is_asked_once_when_its_sections_show_something_else() {
        let mut asked = Requirement::default();
        asked.slot_map(&map(&[("0", Some(1))]));
        assert_eq!(asked.question(), None, "it has not offered yet");
        asked.answer(THREE, &slots(&[("0", Some(1))]));
        asked.slot_map(&map(&[("0", Some(1)), ("1", None)]));
        assert_eq!(asked.question(), None, "it knows that");
        asked.slot_map(&map(&[("0", Some(1)), ("1", Some(2))]));
        assert_eq!(asked.question(), Some(MediaSectionsRequirement::default()));
        asked.slot_map(&map(&[("0", None), ("1", Some(2))]));
        assert_eq!(asked.question(), None, "one question at a time");
        asked.answer(THREE, &slots(&[("1", Some(2))]));
        assert_eq!(asked.question(), None);
    }

    #[test]
    fn it_is_asked_for_as_many_sections_as_are_missing() {
        let mut asked = Requirement::default();
        asked.answer(THREE, &[]);
        asked.want(SlotCounts { audio: 4, video: 3 });
        assert_eq!(asked.question(), Some(MediaSectionsRequirement { num_audios: 1, num_videos: 0 }));
        asked.offer_came();
        asked.answer(THREE, &[]);
        assert!(asked.question().is_some(), "that offer was made before it was asked");
    }
}

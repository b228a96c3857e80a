//! Selector: which layers of a stream are forwarded to one viewer just now, and when that changes.
//!
//! A viewer goes down between two pictures. Up they go only where what they get then refers to nothing that they have not
//! got: at a key frame to everything, and to higher temporal layers where the stream says so. A larger spatial layer
//! begins with a key picture, for which the publisher is asked.
//!
//! In some modes (those whose names end in `_KEY`) larger pictures refer to smaller ones in key pictures alone. Whoever gets the
//! larger ones gets nothing else there: what they do not need would be in the way. A receiver that has lost a smaller picture
//! waits for it, or shows the larger one without it and then cannot decode what refers to it. A smaller spatial layer begins
//! with a key picture then, too.

use super::scalability::Scalability;
use crate::core::media::layers::{Dependencies, LayerInfo, Layers, NO_TARGET, Selection, SwitchPoint};
use crate::core::mutation::mutated;
use crate::wire::dependency_descriptor::{Indication, Structure};

/// How many frames back it is remembered what was forwarded: as far as a chain's distance reaches.
const HISTORY: usize = 256;

/// After so many pictures without the size that is sent alone, it does not come any more.
const PICTURES_MISSING: u8 = 5;

/// What a selector looks at in the newest packet of a stream.
#[derive(Debug, Clone, Copy)]
pub struct NewestPacket<'a> {
    /// The publisher's RTP timestamp.
    pub timestamp: u32,
    /// Whether a decoder can begin here.
    pub starts_keyframe: bool,
    /// The frame's number in the dependency descriptor.
    pub frame_number: Option<u16>,
    /// The frame's layers.
    pub info: &'a LayerInfo,
}

/// Chooses the layers for one slot.
#[derive(Debug)]
pub struct LayerSelector {
    /// What the viewer is to get.
    wanted: Layers,
    /// What they get.
    now: Selection,
    /// The timestamp of the newest picture.
    timestamp: u32,
    /// The temporal layers of the newest picture and of the one before.
    pictures: [u8; 2],
    /// The highest spatial layers of the newest picture and of the one before.
    sizes: [u8; 2],
    /// How many pictures in a row came without the size that is sent alone.
    missing: u8,
    /// Whether only a key frame leads to what is wanted.
    awaits_keyframe: bool,
    /// The decode target that is wanted, and what it was chosen by.
    goal: Option<(Selection, Basis)>,
    sent: Option<Box<SentFrames>>,
}

/// What a decode target was chosen by: the structure's number, the mask of those that are sent, and what is wanted.
type Basis = (u8, u32, Layers);

impl Default for LayerSelector {
    fn default() -> Self {
        Self {
            wanted: Layers::ALL,
            now: Selection::ALL,
            timestamp: 0,
            pictures: [0; 2],
            sizes: [0; 2],
            missing: 0,
            awaits_keyframe: false,
            goal: None,
            sent: None,
        }
    }
}

impl LayerSelector {
    /// Notes up to which layers the viewer is to get the stream.
    #[inline]
    pub fn want(&mut self, layers: Layers) {
        if layers == self.wanted {
            return;
        }
        if self.takes_everything() {
            // Nothing was noted until now.
            self.sent = None;
        }
        self.wanted = layers;
    }

    /// Returns whether everything is forwarded and is to be.
    #[inline]
    pub fn takes_everything(&self) -> bool {
        self.wanted == Layers::ALL && self.now == Selection::ALL
    }

    /// Returns what is forwarded just now.
    pub fn selection(&self) -> Selection {
        self.now
    }

    /// Returns whether only a key frame leads to what is wanted.
    pub fn awaits_keyframe(&self) -> bool {
        self.awaits_keyframe
    }

    /// Decides by the newest packet of a stream what is forwarded from it on. Returns that.
    pub fn select(&mut self, packet: &NewestPacket<'_>, scalability: Option<&Scalability>) -> Selection {
        let info = packet.info;
        let begins_picture = packet.timestamp != self.timestamp;
        if begins_picture {
            self.timestamp = packet.timestamp;
            self.pictures = [info.layers.temporal, self.pictures[0]];
            self.sizes = [0, self.sizes[0]];
        }
        self.sizes[0] = self.sizes[0].max(info.layers.spatial);
        if packet.starts_keyframe || mutated!(ForwardedFrameWithoutReference) {
            self.begin_with_keyframe(info, scalability);
        } else if info.is_layered {
            match (&info.dependencies, scalability) {
                (Some(said), Some(scalability)) => {
                    self.switch_by_dependencies(packet, said, scalability, begins_picture);
                }
                _ => {
                    let alone = scalability.is_some_and(Scalability::sizes_stand_alone);
                    self.switch_by_layers(info, begins_picture, alone);
                }
            }
        }
        if let Some(number) = packet.frame_number.filter(|_| self.now.takes(info)) {
            self.sent.get_or_insert_with(|| Box::new(SentFrames::everything_before(number))).note(number);
        }
        self.now
    }

    /// A key frame refers to nothing, so everything that is wanted can begin with it.
    fn begin_with_keyframe(&mut self, info: &LayerInfo, scalability: Option<&Scalability>) {
        self.awaits_keyframe = false;
        self.missing = 0;
        self.now = match (&info.dependencies, scalability) {
            (Some(said), Some(scalability)) => self.goal(said, scalability).unwrap_or(Selection::ALL),
            _ if !info.is_layered => Selection::ALL,
            _ => Selection::up_to(self.wanted),
        };
    }

    /// `alone` says whether larger pictures need nothing of the smaller ones.
    fn switch_by_layers(&mut self, info: &LayerInfo, begins_picture: bool, alone: bool) {
        let Selection { mut layers, mut lowest, .. } = self.now;
        if begins_picture {
            let came = self.sizes[1];
            if alone {
                lowest = lowest.max(came.min(layers.spatial));
            }
            self.missing = if came < lowest { self.missing.saturating_add(1) } else { 0 };
            // What is smaller than that has not been sent.
            let spatial = if self.wanted.spatial < lowest { u8::MAX } else { self.wanted.spatial };
            layers = layers.lower(Layers { spatial, ..self.wanted });
        }
        let (temporal, wanted) = (info.layers.temporal, self.wanted.temporal);
        if layers.temporal < wanted {
            match info.switch {
                // One step at a time: what is above may refer to what was left out between.
                SwitchPoint::Own if begins_picture && info.starts_frame && temporal <= wanted => {
                    layers.temporal =
                        if temporal == layers.temporal + 1 { temporal } else { layers.temporal };
                }
                SwitchPoint::Above if temporal <= layers.temporal => layers.temporal = wanted,
                SwitchPoint::BehindBase if begins_picture && self.pictures[1] == 0 => {
                    layers.temporal = wanted;
                }
                _ => {}
            }
        }
        self.awaits_keyframe = layers.spatial < self.wanted.spatial
            || self.wanted.spatial < lowest
            || self.missing >= PICTURES_MISSING;
        if (layers, lowest) != (self.now.layers, self.now.lowest) {
            self.now = Selection { lowest, ..Selection::up_to(layers) };
        }
    }

    fn switch_by_dependencies(
        &mut self,
        packet: &NewestPacket<'_>,
        said: &Dependencies,
        scalability: &Scalability,
        begins_picture: bool,
    ) {
        let (Some(goal), Some(structure)) =
            (self.goal(said, scalability), scalability.structure(said.structure))
        else {
            return;
        };
        self.awaits_keyframe = false;
        if goal == self.now {
            return;
        }
        let was_sent_whole = is_within(structure, goal, self.now);
        let same_size = goal.layers.spatial == self.now.layers.spatial;
        // The end of a picture has been marked already where another size would come in between.
        if packet.info.starts_frame && (begins_picture || same_size) {
            let can_begin =
                was_sent_whole || self.is_switch(packet, said, structure, top_of(goal, structure));
            if can_begin {
                self.now = goal;
                return;
            }
        }
        self.awaits_keyframe = !same_size && !was_sent_whole;
    }

    /// Returns whether a decode target can be begun at a frame: it says so, and the frame itself can be decoded, because the
    /// one before it in the target's chain was forwarded.
    fn is_switch(
        &self,
        packet: &NewestPacket<'_>,
        said: &Dependencies,
        structure: &Structure,
        target: u8,
    ) -> bool {
        if said.indications.of(target) != Indication::Switch {
            return false;
        }
        let chain = structure.decode_targets.get(usize::from(target)).and_then(|target| target.chain);
        let diff = chain.and_then(|chain| said.chain_diffs.get(usize::from(chain))).copied().unwrap_or(0);
        let before = packet.frame_number.map(|number| number.wrapping_sub(u16::from(diff)));
        diff == 0 || before.is_some_and(|before| self.sent.as_ref().is_none_or(|sent| sent.contains(before)))
    }

    /// Returns the selection of the decode target that comes nearest to what is wanted.
    fn goal(&mut self, said: &Dependencies, scalability: &Scalability) -> Option<Selection> {
        let basis = (said.structure, scalability.active(), self.wanted);
        if let Some((goal, _)) = self.goal.filter(|(_, of)| *of == basis) {
            return Some(goal);
        }
        let structure = scalability.structure(said.structure)?;
        let goal = goal_of(structure, basis)?;
        self.goal = Some((goal, basis));
        Some(goal)
    }
}

fn goal_of(structure: &Structure, (number, active, wanted): Basis) -> Option<Selection> {
    let targets = structure.decode_targets.iter().enumerate();
    let layers = |target: usize| {
        structure.decode_targets.get(target).map(|one| (one.spatial, one.temporal)).unwrap_or_default()
    };
    let is_sent = |target: &usize| active >> target & 1 == 1;
    let sent = targets.map(|(target, _)| target).filter(is_sent);
    let fits = |target: &usize| {
        let (spatial, temporal) = layers(*target);
        wanted.include(Layers { spatial, temporal })
    };
    let best = sent.clone().filter(fits).max_by_key(|target| layers(*target));
    // If even the lowest one has more than is wanted, that one.
    let target = best.or_else(|| sent.min_by_key(|target| layers(*target)))?;
    let (spatial, temporal) = layers(target);
    let within = structure.within(target as u8);
    let everything = u32::MAX >> (32 - structure.decode_targets.len().clamp(1, 32));
    // Who wants everything gets what the best target needs. Frames that it does not need are in the way: a receiver that has
    // lost one of them waits for it, or goes on without it and cannot decode what refers to it.
    if within == everything || (wanted == Layers::ALL && active & !within == 0) {
        return Some(Selection::ALL);
    }
    Some(Selection {
        layers: Layers { spatial, temporal },
        lowest: 0,
        target: target as u8,
        structure: number,
        active: within & active,
    })
}

/// Returns the decode target of a selection; of everything, the one that needs all frames.
fn top_of(selection: Selection, structure: &Structure) -> u8 {
    if selection.target != NO_TARGET {
        return selection.target;
    }
    let targets = 0..structure.decode_targets.len() as u8;
    targets.max_by_key(|target| structure.within(*target).count_ones()).unwrap_or(0)
}

/// Returns whether all frames of a selection belong to another one, too.
fn is_within(structure: &Structure, inner: Selection, outer: Selection) -> bool {
    let is_all = outer.target == NO_TARGET && outer.layers == Layers::ALL;
    let of_target =
        outer.target != NO_TARGET && outer.structure == inner.structure && inner.target != NO_TARGET;
    is_all || (of_target && structure.within(outer.target) >> inner.target & 1 == 1)
}

/// The frames that were forwarded lately, by their numbers.
#[derive(Debug)]
struct SentFrames {
    newest: u16,
    sent: [bool; HISTORY],
}

impl SentFrames {
    /// Everything before a frame was forwarded.
    fn everything_before(number: u16) -> Self {
        Self { newest: number.wrapping_sub(1), sent: [true; HISTORY] }
    }

    fn note(&mut self, number: u16) {
        let ahead = number.wrapping_sub(self.newest);
        if ahead < 0x8000 {
            for between in 1..=ahead.min(HISTORY as u16) {
                self.sent[usize::from(number.wrapping_sub(ahead).wrapping_add(between)) % HISTORY] = false;
            }
            self.newest = number;
        }
        if self.newest.wrapping_sub(number) < HISTORY as u16 {
            self.sent[usize::from(number) % HISTORY] = true;
        }
    }

    fn contains(&self, number: u16) -> bool {
        self.newest.wrapping_sub(number) < HISTORY as u16 && self.sent[usize::from(number) % HISTORY]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(temporal: u8, switch: SwitchPoint) -> LayerInfo {
        let layers = Layers { spatial: 0, temporal };
        LayerInfo { is_layered: true, starts_frame: true, layers, switch, ..LayerInfo::default() }
    }

    /// Which of these frames are forwarded, the first of which is a key frame; `wants` says what is wanted from a frame on.
    fn forwarded(frames: &[LayerInfo], wants: &[(usize, u8)]) -> Vec<usize> {
        let mut selector = LayerSelector::default();
        let mut taken = Vec::new();
        for (number, info) in frames.iter().enumerate() {
            if let Some((_, temporal)) = wants.iter().find(|(from, _)| *from == number) {
                selector.want(Layers { spatial: u8::MAX, temporal: *temporal });
            }
            let timestamp = 3000 * number as u32 + 9;
            let starts_keyframe = number == 0;
            let packet = NewestPacket { timestamp, starts_keyframe, frame_number: None, info };
            if selector.select(&packet, None).takes(info) {
                taken.push(number);
            }
        }
        taken
    }

    #[test]
    fn vp8_goes_up_a_step_at_a_time_where_a_frame_refers_to_the_base_alone() {
        use SwitchPoint::{Nowhere, Own};
        // Two rounds of four; only the first has frames that refer to the base alone.
        let round = |sync| [frame(0, Nowhere), frame(2, sync), frame(1, sync), frame(2, Nowhere)];
        let frames = [round(Own), round(Nowhere), round(Own), round(Own)].concat();
        assert_eq!(forwarded(&frames, &[(0, 0)]), [0, 4, 8, 12], "the base layer alone");
        assert_eq!(forwarded(&frames, &[(0, 0), (4, 255)]), [0, 4, 8, 10, 12, 13, 14, 15]);
        assert_eq!(forwarded(&frames, &[(0, 255), (2, 0)]), [0, 1, 4, 8, 12], "down at once");
        assert_eq!(forwarded(&frames, &[(0, 1)]), [0, 2, 4, 6, 8, 10, 12, 14]);
    }

    #[test]
    fn vp9_goes_up_behind_a_frame_that_says_so() {
        use SwitchPoint::{Above, Nowhere};
        let round = |base| [frame(0, base), frame(2, Above), frame(1, Nowhere), frame(2, Nowhere)];
        let frames = [round(Nowhere), round(Nowhere), round(Above)].concat();
        assert_eq!(forwarded(&frames, &[(0, 0), (2, 255)]), [0, 4, 8, 9, 10, 11]);
    }

    #[test]
    fn h264_goes_up_behind_a_picture_of_the_base_layer() {
        let round = [0, 2, 1, 2].map(|temporal| frame(temporal, SwitchPoint::BehindBase));
        let frames = [round, round, round].concat();
        assert_eq!(forwarded(&frames, &[(0, 0), (2, 255)]), [0, 4, 5, 6, 7, 8, 9, 10, 11]);
    }

    #[test]
    fn what_was_forwarded_is_remembered_across_the_wrap() {
        let mut sent = SentFrames::everything_before(0xfffe);
        assert!(sent.contains(0xfff0));
        for number in [0xfffe, 0x0001] {
            sent.note(number);
        }
        let known = [0xfffd, 0xfffe, 0xffff, 0x0000, 0x0001, 0x0002].map(|number| sent.contains(number));
        assert_eq!(known, [true, true, false, false, true, false]);
        sent.note(0x0000);
        assert!(sent.contains(0), "late");
        sent.note(0x0400);
        assert!(!sent.contains(1) && sent.contains(0x0400));
    }
}

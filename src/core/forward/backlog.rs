//! Backlog: what the viewers of one encoding have still to get, and whose turn it is.
//!
//! Packets are listed in the stream's order, and each viewer has a cursor into the list: the position of the first packet
//! that they have not been given. Positions only count up, so that a cursor means the same whatever is taken off the
//! front of the list.
//!
//! Forwarding goes in **passes**. A pass covers what was listed when it began. One viewer is given all of it as a run, so
//! that the packets to one peer can leave the machine together, and then the next viewer. A pass may stop after any
//! viewer and go on later. What comes in the meantime waits for the next pass: until that begins, packets that the network
//! has put out of order are put back into it.

use std::ops::Range;
use std::time::Instant;

use super::steps::{Allowance, Load};
use crate::core::command::Wish;
use crate::core::event::LayerReason;
use crate::core::ids::{EncodingIndex, ParticipantKey};
use crate::core::media::layers::Layers;

/// A participant's slot that shows an encoding, and how far it has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// The participant who watches.
    pub participant: ParticipantKey,
    /// The index of their slot.
    pub slot: usize,
    /// The encoding that was chosen for this viewer alone; `None`: the one that is chosen for everybody.
    pub choice: Option<EncodingIndex>,
    /// How they want to see the track.
    pub wish: Wish,
    /// Up to which layers inside the encoding they are to get it.
    pub layers: Layers,
    /// What keeps them from more of those.
    pub layers_by: LayerReason,
    /// Whether nothing is sent to them just now, as they wish.
    pub is_idle: bool,
    /// Until when it is expected that they say in which size they want to see the track, because they have only just come.
    pub undecided_until: Option<Instant>,
    /// Whether they want something else than when it was last looked what they are to be shown.
    pub is_new_wish: bool,
    /// What their network lets them be shown.
    pub allowance: Allowance,
    /// What it may let them be shown soon, so that the publisher sends it by then.
    pub sought: Allowance,
    /// Whether their network lets them be shown something else than when it was last looked.
    pub is_new_allowance: bool,
    /// What the machine has no time for.
    pub load: Load,
    /// Whether that is something else than when it was last looked.
    pub is_new_load: bool,
    /// Why they are to be shown that encoding, and no other.
    pub why: LayerReason,
    /// What they were told they are shown.
    pub told: Option<Told>,
    /// The position of the first packet that they have not been given.
    cursor: u64,
}

/// What a viewer was told that they are shown of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// This encoding, up to these layers inside it.
    Shown(EncodingIndex, Layers),
    /// Nothing, for that reason.
    Paused(LayerReason),
}

impl Viewer {
    /// Returns whether this is that slot of that participant.
    pub fn is(&self, participant: ParticipantKey, slot: usize) -> bool {
        self.participant == participant && self.slot == slot
    }
}

/// One packet that somebody has still to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Its number in the encoding's receive index space.
    pub index: u64,
    /// How much of the cache it takes.
    pub bytes: usize,
}

/// What one viewer is to be given next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The participant who is to get it.
    pub participant: ParticipantKey,
    /// The index of their slot.
    pub slot: usize,
    /// Up to which layers inside the encoding they are to get it.
    pub layers: Layers,
    /// Which part of [`Backlog::packets`] it is.
    pub packets: Range<usize>,
}

/// The packets that wait, and the viewers they wait for.
#[derive(Debug, Default)]
pub struct Backlog {
    packets: Vec<Waiting>,
    /// The sum of what the packets take of the cache.
    bytes: usize,
    /// The position of the first packet in the list.
    first: u64,
    /// The pass covers all positions before this one. Equal to `first`: no pass has begun.
    pass_end: u64,
    /// Nothing is put in before this position any more: somebody has a cursor behind it, or will have.
    settled: u64,
    viewers: Vec<Viewer>,
    /// How many of the viewers have had their turn in this pass.
    next: usize,
}

impl Backlog {
    /// Everybody who is given what is listed here.
    pub fn viewers(&self) -> &[Viewer] {
        &self.viewers
    }

    /// The same, to change what they have chosen.
    pub fn viewers_mut(&mut self) -> &mut [Viewer] {
        &mut self.viewers
    }

    /// Adds a viewer, who gets all that is still listed: it has come in the same batch as the reason for adding them.
    pub fn add(&mut self, participant: ParticipantKey, slot: usize) {
        debug_assert!(
            !self.viewers.iter().any(|viewer| viewer.is(participant, slot)),
            "a viewer is added once"
        );
        self.viewers.push(Viewer {
            participant,
            slot,
            choice: None,
            wish: Wish::default(),
            layers: Layers::ALL,
            layers_by: LayerReason::Wanted,
            is_idle: false,
            undecided_until: None,
            is_new_wish: false,
            allowance: Allowance::Everything,
            sought: Allowance::Everything,
            is_new_allowance: false,
            load: Load::default(),
            is_new_load: false,
            why: LayerReason::Wanted,
            told: None,
            cursor: self.first,
        });
    }

    /// Adds a viewer who comes from another encoding, and gets what is listed from `position` on.
    pub fn join(&mut self, viewer: Viewer, position: u64) {
        self.viewers.push(Viewer { cursor: position, ..viewer });
        // A late packet that was put in before would move under the cursor.
        self.settled = self.settled.max(position);
    }

    /// Takes out the viewers of whom `leaves` says so, in the order in which they came. The pass goes on with the rest.
    pub fn take_viewers(&mut self, leaves: impl Fn(&Viewer) -> bool) -> Vec<Viewer> {
        let gone = self.viewers.iter().filter(|viewer| leaves(viewer)).copied().collect();
        self.remove_viewers(leaves);
        gone
    }

    /// Forgets the viewers of whom `is_gone` says so. The pass goes on with the rest.
    pub fn remove_viewers(&mut self, is_gone: impl Fn(&Viewer) -> bool) {
        let had_their_turn = self.viewers.iter().take(self.next);
        self.next -= had_their_turn.filter(|viewer| is_gone(viewer)).count();
        self.viewers.retain(|viewer| !is_gone(viewer));
    }

    /// Lists a packet in the stream's order, as far as nobody has been given later ones. Returns its position.
    ///
    /// What follows a key frame that came late can then be shown with it, and the network's reordering ends here as far
    /// as that costs no time.
    pub fn push(&mut self, packet: Waiting) -> u64 {
        debug_assert!(self.settled >= self.pass_end);
        let settled = (self.settled - self.first) as usize;
        let earlier = self.packets[settled..].iter().rposition(|other| other.index < packet.index);
        let place = earlier.map_or(settled, |earlier| settled + earlier + 1);
        self.packets.insert(place, packet);
        self.bytes += packet.bytes;
        self.first + place as u64
    }

    /// Returns whether nobody has anything to get.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// All packets that wait for somebody, in the order of forwarding.
    pub fn packets(&self) -> &[Waiting] {
        &self.packets
    }

    /// How much of the cache they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets what is listed. Nobody gets it any more.
    pub fn clear(&mut self) {
        self.first = self.end();
        self.packets.clear();
        self.bytes = 0;
        (self.pass_end, self.settled, self.next) = (self.first, self.first, 0);
        for viewer in &mut self.viewers {
            viewer.cursor = self.first;
        }
    }

    /// Leaves out the first packets of the list, as many as `count` says: whoever has not been given them does not get them
    /// any more.
    pub fn skip(&mut self, count: usize) {
        debug_assert!(count <= self.packets.len(), "{count} of {}", self.packets.len());
        let position = self.first + count as u64;
        for viewer in &mut self.viewers {
            viewer.cursor = viewer.cursor.max(position);
        }
        // A late packet that was put in before would move under the cursors.
        self.settled = self.settled.max(position);
    }

    /// Begins a pass, if none is under way and packets wait. Returns whether one is under way.
    pub fn begin_pass(&mut self) -> bool {
        if self.pass_end == self.first && !self.packets.is_empty() {
            self.pass_end = self.end();
            self.settled = self.settled.max(self.pass_end);
        }
        self.pass_end > self.first
    }

    /// Returns what is to be given to those who have not had their turn in this pass, one after the other. Whoever has come
    /// from another encoding during the pass gets nothing before the next one.
    pub fn turns(&self) -> impl Iterator<Item = Run> {
        let to = (self.pass_end - self.first) as usize;
        self.viewers[self.next..].iter().map(move |viewer| {
            let from = (viewer.cursor - self.first) as usize;
            Run {
                participant: viewer.participant,
                slot: viewer.slot,
                layers: viewer.layers,
                packets: from.min(to)..to,
            }
        })
    }

    /// Returns who is next in this pass; `None` if everybody has had their turn.
    pub fn whose_turn(&self) -> Option<ParticipantKey> {
        self.viewers.get(self.next).map(|viewer| viewer.participant)
    }

    /// Notes that as many more viewers have been given what [`turns`](Self::turns) says. After the last one the pass has
    /// ended.
    pub fn end_turns(&mut self, count: usize) {
        let had_it = self.next + count;
        for viewer in &mut self.viewers[self.next..had_it] {
            viewer.cursor = viewer.cursor.max(self.pass_end);
        }
        self.next = had_it;
        // At once, so that `is_empty` says so.
        if had_it == self.viewers.len() {
            self.end_pass();
        }
    }

    /// Takes off what the pass covered: everybody has had their turn, so that every cursor is behind it now.
    fn end_pass(&mut self) {
        debug_assert_eq!(self.next, self.viewers.len(), "everybody has had their turn");
        if self.pass_end == self.end() {
            // Nothing has come meanwhile, as nearly always.
            self.packets.clear();
            self.bytes = 0;
        } else {
            let covered = (self.pass_end - self.first) as usize;
            self.bytes -= self.packets[..covered].iter().map(|packet| packet.bytes).sum::<usize>();
            self.packets.drain(..covered);
        }
        self.first = self.pass_end;
        self.next = 0;
    }

    /// Returns the position behind all that is listed.
    pub fn end(&self) -> u64 {
        self.first + self.packets.len() as u64
    }

    /// Panics if what must always be true is not: called after each input in debug builds.
    #[cfg(debug_assertions)]
    pub fn check(&self) {
        let bytes: usize = self.packets.iter().map(|packet| packet.bytes).sum();
        assert_eq!(bytes, self.bytes, "the bytes that wait add up");
        assert!(self.first <= self.pass_end && self.pass_end <= self.settled && self.settled <= self.end());
        assert!(self.next <= self.viewers.len(), "the pass is at one of the viewers");
        for (number, viewer) in self.viewers.iter().enumerate() {
            assert!(
                self.first <= viewer.cursor && viewer.cursor <= self.end(),
                "the cursor lies in the list"
            );
            assert!(
                number >= self.next || viewer.cursor >= self.pass_end,
                "who had their turn has everything"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_skipped_goes_to_nobody_and_the_rest_to_everybody() {
        let mut backlog = backlog(2);
        (0..3).for_each(|index| _ = backlog.push(Waiting { index, bytes: 1 }));
        assert_eq!(give(&mut backlog), Some((0, vec![0, 1, 2])));
        (3..6).for_each(|index| _ = backlog.push(Waiting { index, bytes: 1 }));
        backlog.skip(5);
        assert_eq!(give_all(&mut backlog), [(0, vec![5]), (1, vec![5])]);
        assert!(backlog.is_empty());
    }

    fn backlog(viewers: usize) -> Backlog {
        let mut backlog = Backlog::default();
        (0..viewers).for_each(|number| backlog.add(ParticipantKey(number), 0));
        backlog
    }

    fn push(backlog: &mut Backlog, indices: impl IntoIterator<Item = u64>) {
        for index in indices {
            backlog.push(Waiting { index, bytes: 100 });
            backlog.check();
        }
    }

    /// Gives the next run. Returns who got it, and what it was.
    fn give(backlog: &mut Backlog) -> Option<(usize, Vec<u64>)> {
        while backlog.begin_pass() {
            let Some(run) = backlog.turns().next() else {
                backlog.end_turns(0);
                continue;
            };
            assert_eq!(backlog.whose_turn(), Some(run.participant), "until it has been given");
            let indices: Vec<u64> =
                backlog.packets()[run.packets].iter().map(|packet| packet.index).collect();
            backlog.end_turns(1);
            backlog.check();
            if !indices.is_empty() {
                return Some((run.participant.0, indices));
            }
        }
        None
    }

    fn give_all(backlog: &mut Backlog) -> Vec<(usize, Vec<u64>)> {
        std::iter::from_fn(|| give(backlog)).collect()
    }

    #[test]
    fn what_comes_out_of_order_in_one_batch_is_given_in_order() {
        let mut backlog = backlog(1);
        push(&mut backlog, [3, 1, 4, 2]);
        assert_eq!(backlog.bytes(), 400);
        assert_eq!(give_all(&mut backlog), [(0, vec![1, 2, 3, 4])]);
        assert!(backlog.is_empty() && backlog.bytes() == 0);
    }

    #[test]
    fn each_viewer_gets_everything_in_one_run_and_then_the_next_one() {
        let mut backlog = backlog(3);
        push(&mut backlog, 1..=3);
        assert_eq!(give(&mut backlog), Some((0, vec![1, 2, 3])));
        // This comes while the pass is under way.
        push(&mut backlog, [5, 4]);
        let rest =
            [(1, vec![1, 2, 3]), (2, vec![1, 2, 3]), (0, vec![4, 5]), (1, vec![4, 5]), (2, vec![4, 5])];
        assert_eq!(give_all(&mut backlog), rest);
    }

    #[test]
    fn a_late_packet_is_not_put_before_what_somebody_has_got() {
        let mut backlog = backlog(2);
        push(&mut backlog, [7, 9]);
        assert_eq!(give(&mut backlog), Some((0, vec![7, 9])));
        push(&mut backlog, [10, 8]);
        assert_eq!(give_all(&mut backlog), [(1, vec![7, 9]), (0, vec![8, 10]), (1, vec![8, 10])]);
    }

    #[test]
    fn a_pass_goes_on_when_viewers_come_and_go_in_its_midst() {
        let mut backlog = backlog(4);
        push(&mut backlog, [1]);
        assert_eq!(give(&mut backlog), Some((0, vec![1])));
        assert_eq!(give(&mut backlog), Some((1, vec![1])));
        // One who has got it, and the one whose turn it is.
        backlog.remove_viewers(|viewer| viewer.participant.0 == 0 || viewer.participant.0 == 2);
        backlog.check();
        backlog.add(ParticipantKey(5), 0);
        assert_eq!(give_all(&mut backlog), [(3, vec![1]), (5, vec![1])]);
    }

    #[test]
    fn nothing_waits_for_nobody() {
        let mut backlog = backlog(1);
        push(&mut backlog, [1, 2]);
        backlog.remove_viewers(|_| true);
        assert!(!backlog.is_empty(), "somebody else may come in its place before it is given out");
        assert_eq!(give_all(&mut backlog), []);
        assert!(backlog.is_empty());
    }

    #[test]
    fn who_comes_from_another_encoding_begins_where_it_was_said() {
        let mut from = backlog(2);
        let mut to = backlog(1);
        push(&mut to, [1, 2]);
        let key_frame = to.push(Waiting { index: 3, bytes: 100 });
        for viewer in from.take_viewers(|viewer| viewer.participant.0 == 1) {
            to.join(viewer, key_frame);
        }
        push(&mut to, [5, 4]);
        to.check();
        assert_eq!(from.viewers().len(), 1);
        assert_eq!(give_all(&mut to), [(0, vec![1, 2, 3, 4, 5]), (1, vec![3, 4, 5])]);
    }

    #[test]
    fn what_is_forgotten_is_given_to_nobody() {
        let mut backlog = backlog(2);
        push(&mut backlog, [1]);
        assert!(give(&mut backlog).is_some());
        push(&mut backlog, [2]);
        backlog.clear();
        backlog.check();
        push(&mut backlog, [3]);
        assert_eq!(give_all(&mut backlog), [(0, vec![3]), (1, vec![3])]);
    }
}

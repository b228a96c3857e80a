//! Timers: what the core waits for, and who wants to be woken when.
//!
//! Each thing that the core waits for has a [`Timer`], which says why the process is woken. [`Deadlines`] has the
//! deadlines of one owner, and [`DeadlineHeap`] the earliest deadline of each owner.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::fixed_hash::FixedMap;
use super::mutation::mutated;

/// What can wait happens at multiples of this, so that many wake-ups become one.
const GRID: Duration = Duration::from_millis(100);
/// What is spread over time leaves at multiples of this, so that those to many people are one wake-up.
pub const PACING_STEP: Duration = Duration::from_millis(5);

/// Why something happens at a certain time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// When to give up somebody whose signalling broke and who has not come back.
    Resume,
    /// When to give up somebody on whose transports neither a connectivity check nor media has come for too long.
    MediaTimeout,
    /// When to stop sending to a peer that has not renewed its consent by a connectivity check (RFC 7675).
    Consent,
    /// When to look whether anything has come on a transport lately, and to say so if nothing has.
    MediaSilence,
    /// When to let the engine do what ICE and DTLS have put off.
    Engine,
    /// When to ask a publisher for lost packets, for the first time or again.
    Nack,
    /// When to tell a publisher which of its packets have arrived, and when (transport-wide feedback).
    TransportFeedback,
    /// When to ask a publisher for a key frame that viewers wait for, for the first time or again.
    Keyframe,
    /// When to send sender and receiver reports.
    Reports,
    /// When to end a room that nobody has come back to.
    RoomEmpty,
    /// When to tell the others that nothing is heard any more from somebody who publishes without signalling.
    Unheard,
    /// When to tell somebody the changes of their slots that came too soon after those they were told of.
    SlotMap,
    /// When to look who speaks, and to tell everybody.
    Speakers,
    /// When to bring the estimate of what a client's network carries up to date.
    Bandwidth,
    /// When to decide again what somebody's network lets them be shown.
    Steering,
    /// When to look whether a publisher is to stop sending encodings that nobody watches.
    Encodings,
    /// When to give up a transport whose offer was answered and whose handshake is still not complete.
    Handshake,
    /// When to send what of video was held back, and padding.
    Pacing,
    /// When to tell somebody the changes of what they are shown that came too soon after those they were told of.
    LayerNews,
    /// When to tell those who wait to be let in that nobody has answered.
    Waiting,
    /// When to look whether everybody has moved between the mesh and the server, or may.
    Topology,
}

impl Timer {
    /// All of them, in the order in which they are served if they are due at the same time.
    pub const ALL: [Self; 21] = [
        Self::Resume,
        Self::MediaTimeout,
        Self::Consent,
        Self::MediaSilence,
        Self::Engine,
        Self::Nack,
        Self::TransportFeedback,
        Self::Keyframe,
        Self::Reports,
        Self::RoomEmpty,
        Self::Unheard,
        Self::SlotMap,
        Self::Speakers,
        Self::Bandwidth,
        Self::Steering,
        Self::Encodings,
        Self::Handshake,
        Self::Pacing,
        Self::LayerNews,
        Self::Waiting,
        Self::Topology,
    ];

    /// Returns what it is for, as it follows "woken for" in log lines and explanations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resume => "the time to come back",
            Self::MediaTimeout => "the media time-out",
            Self::Consent => "consent",
            Self::MediaSilence => "silent media paths",
            Self::Engine => "the ICE and DTLS engine",
            Self::Nack => "lost packets",
            Self::TransportFeedback => "transport-wide feedback",
            Self::Keyframe => "key frames",
            Self::Reports => "reports",
            Self::RoomEmpty => "the end of an empty room",
            Self::Unheard => "an encoder's silence",
            Self::SlotMap => "changes of slots",
            Self::Speakers => "who speaks",
            Self::Bandwidth => "the bandwidth estimate",
            Self::Steering => "what a client's network lets it be shown",
            Self::Encodings => "encodings that nobody watches",
            Self::Handshake => "handshakes that are not complete",
            Self::Pacing => "video that was held back, and padding",
            Self::LayerNews => "changes of what is shown",
            Self::Waiting => "people who wait to be let in",
            Self::Topology => "moves between the mesh and the server",
        }
    }

    /// Whether it may be up to one step of the grid late. Timers that pictures depend on may not.
    fn can_wait(self) -> bool {
        !matches!(self, Self::Nack | Self::TransportFeedback | Self::Keyframe | Self::Pacing)
    }
}

/// A time at which the core wants to be called, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    /// When to call. Earlier is harmless.
    pub at: Instant,
    /// What the call is for. If that has moved to a later time in the meantime, the call will find nothing due.
    pub timer: Timer,
}

/// Puts off what can wait: returns the first moment of the grid, which everyone shares, that is not before `at`.
/// Returns `at` itself if it is at most one step of the grid away.
///
/// A wake-up costs as much as sending a few packets, and a room of fifty has fifty reports to send each second.
pub fn coalesce(epoch: Instant, now: Instant, at: Instant) -> Instant {
    if at <= now + GRID { at } else { on_grid(epoch, at) }
}

fn on_grid(epoch: Instant, at: Instant) -> Instant {
    let next = at + to_grid(epoch, at, GRID);
    debug_assert!(at <= next && next < at + GRID, "the grid's next moment is within one step");
    next
}

/// Returns how long it is until the next moment of a grid; zero at such a moment.
fn to_grid(epoch: Instant, at: Instant, step: Duration) -> Duration {
    let beyond = at.saturating_duration_since(epoch).as_nanos() % step.as_nanos();
    if beyond == 0 { Duration::ZERO } else { step - Duration::from_nanos(beyond as u64) }
}

/// Returns the earlier of two deadlines.
pub fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The deadlines of one owner, one for each timer.
#[derive(Debug)]
pub struct Deadlines {
    epoch: Instant,
    at: [Option<Instant>; Timer::ALL.len()],
    /// The earliest of the timers that can wait, and the moment of the grid that follows it. It is remembered because
    /// most timers can wait and seldom move, while those that cannot wait move with every packet.
    patient: Option<(Deadline, Instant)>,
}

impl Deadlines {
    /// Makes an empty set of deadlines. `epoch` is a point of the grid.
    pub fn new(epoch: Instant) -> Self {
        Self { epoch, at: [None; Timer::ALL.len()], patient: None }
    }

    /// Returns when a timer is due; `None` if it is not set.
    pub fn get(&self, timer: Timer) -> Option<Instant> {
        self.at[timer as usize]
    }

    /// Sets a timer, whether it was set before or not. `None` unsets it.
    pub fn set(&mut self, timer: Timer, at: Option<Instant>) {
        let place = &mut self.at[timer as usize];
        if *place == at {
            return;
        }
        *place = at;
        if timer.can_wait() {
            let patient = self.all().filter(|deadline| deadline.timer.can_wait());
            let first = patient.min_by_key(|deadline| deadline.at);
            self.patient = first.map(|first| (first, on_grid(self.epoch, first.at)));
        }
    }

    /// Sets when the next step of pacing is: the first moment of its grid behind `after`. `None` unsets it.
    pub fn set_pacing(&mut self, after: Option<Instant>) {
        let at = after.map(|after| {
            let wait = to_grid(self.epoch, after, PACING_STEP);
            after + if wait.is_zero() { PACING_STEP } else { wait }
        });
        self.set(Timer::Pacing, at);
    }

    /// Whether no timer is set.
    pub fn is_empty(&self) -> bool {
        self.at.iter().all(Option::is_none)
    }

    /// Whether a timer is due.
    pub fn is_due(&self, timer: Timer, now: Instant) -> bool {
        self.get(timer).is_some_and(|at| at <= now)
    }

    /// Returns the timers that are due, in the order in which they are served.
    pub fn due(&self, now: Instant) -> impl Iterator<Item = Timer> {
        self.all().filter(move |deadline| deadline.at <= now).map(|deadline| deadline.timer)
    }

    /// Returns when to wake the owner, and for what. If several timers are due first, it names the one that is served
    /// first.
    pub fn next(&self, now: Instant) -> Option<Deadline> {
        // The same as `coalesce` does, without a division for each packet.
        let mut next = self.patient.map(|(first, on_grid)| {
            let at = if first.at <= now + GRID { first.at } else { on_grid };
            Deadline { at, ..first }
        });
        for timer in [Timer::Nack, Timer::TransportFeedback, Timer::Keyframe, Timer::Pacing] {
            if let Some(at) = self.get(timer)
                && next.is_none_or(|next| at < next.at)
            {
                next = Some(Deadline { at, timer });
            }
        }
        debug_assert_eq!(next.is_none(), self.is_empty(), "whoever waits for something names a deadline");
        next
    }

    fn all(&self) -> impl Iterator<Item = Deadline> {
        let named = Timer::ALL.into_iter().zip(self.at);
        named.filter_map(|(timer, at)| Some(Deadline { at: at?, timer }))
    }
}

/// Who wants to be woken when. Every key has at most one deadline.
///
/// Moving a deadline later costs nothing: the old one stays in the heap, so the owner is woken early, finds nothing due
/// and names the later time. That way a deadline that moves with every packet does not touch the heap.
#[derive(Debug)]
pub struct DeadlineHeap<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
    /// The deadline that counts for each key. Other entries that the heap has for the key are leftovers.
    armed: FixedMap<K, Deadline>,
}

impl<K: Copy + Ord + Hash> DeadlineHeap<K> {
    /// Makes a heap without deadlines.
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new(), armed: FixedMap::default() }
    }

    /// Makes `key` be woken no later than at that deadline. `None` takes its deadline away.
    pub fn set(&mut self, key: K, deadline: Option<Deadline>) {
        match (deadline, self.armed.get(&key)) {
            (None, _) => {
                self.armed.remove(&key);
                if self.armed.is_empty() {
                    self.heap.clear();
                }
            }
            (Some(deadline), Some(armed)) if armed.at <= deadline.at => {}
            (Some(deadline), _) => {
                self.armed.insert(key, deadline);
                self.heap.push(Reverse((deadline.at, key)));
            }
        }
        debug_assert!(self.armed.len() <= self.heap.len(), "each armed deadline has its entry in the heap");
    }

    /// Returns the earliest deadline of all.
    pub fn earliest(&mut self) -> Option<Deadline> {
        while let Some(&Reverse((at, key))) = self.heap.peek() {
            if let Some(deadline) = self.armed.get(&key).filter(|deadline| deadline.at == at) {
                return Some(*deadline);
            }
            self.heap.pop();
        }
        None
    }

    /// Returns a key whose deadline is due, and takes its deadline away.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.earliest()?.at > now {
            return None;
        }
        let Reverse((_, key)) = self.heap.pop()?;
        let armed = self.armed.remove(&key);
        debug_assert!(
            armed.is_some_and(|deadline| deadline.at <= now),
            "only what is armed and due is taken"
        );
        if mutated!(TimerDropped)
            && let Some(Reverse((at, beside))) = self.heap.peek()
            && *at <= now
        {
            self.armed.remove(beside);
        }
        Some(key)
    }

    /// Appends all keys whose deadline is due to `due`, and takes their deadlines away. `due` is in the order of the
    /// keys after that.
    ///
    /// They are not in the order of their times, because wake-ups can be early or late by chance, and the order in
    /// which things happen must not depend on that.
    pub fn take_due(&mut self, now: Instant, due: &mut Vec<K>) {
        while let Some(key) = self.pop_due(now) {
            due.push(key);
        }
        due.sort_unstable();
    }

    /// Returns the deadline of a key.
    pub fn get(&self, key: K) -> Option<Deadline> {
        self.armed.get(&key).copied()
    }

    /// Returns the keys that have a deadline, in no particular order.
    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.armed.keys().copied()
    }

    /// Returns how many keys have a deadline.
    pub fn len(&self) -> usize {
        self.armed.len()
    }

    /// Whether no key has a deadline.
    pub fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }
}

impl<K: Copy + Ord + Hash> Default for DeadlineHeap<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(at: Instant) -> Deadline {
        Deadline { at, timer: Timer::Reports }
    }

    #[test]
    fn a_later_deadline_wakes_early_and_an_earlier_one_replaces() {
        let start = Instant::now();
        let at = |ms| reports(start + Duration::from_millis(ms));
        let mut heap = DeadlineHeap::new();
        heap.set(1, Some(at(20)));
        heap.set(1, Some(at(30)));
        assert_eq!(heap.earliest(), Some(at(20)));
        heap.set(1, Some(at(10)));
        heap.set(2, Some(at(15)));
        assert_eq!(heap.pop_due(at(9).at), None);
        assert_eq!(heap.pop_due(at(40).at), Some(1));
        assert_eq!(heap.pop_due(at(40).at), Some(2));
        assert_eq!(heap.pop_due(at(40).at), None, "what the earlier one replaced is gone");
        assert!(heap.is_empty());
    }

    #[test]
    fn what_can_wait_waits_for_others() {
        let epoch = Instant::now();
        let at = |ms| epoch + Duration::from_millis(ms);
        for wanted in [701, 750, 800] {
            assert_eq!(coalesce(epoch, at(0), at(wanted)), at(800));
        }
        assert_eq!(coalesce(epoch, at(720), at(750)), at(750), "soon is soon");
    }

    #[test]
    fn the_first_timer_names_the_deadline() {
        let epoch = Instant::now();
        let at = |ms| epoch + Duration::from_millis(ms);
        let mut deadlines = Deadlines::new(epoch);
        assert_eq!(deadlines.next(at(0)), None);
        deadlines.set(Timer::Reports, Some(at(950)));
        deadlines.set(Timer::Consent, Some(at(15_000)));
        assert_eq!(deadlines.next(at(0)), Some(reports(at(1000))), "reports can wait for the grid");
        assert_eq!(deadlines.next(at(900)), Some(reports(at(950))), "soon is soon");
        deadlines.set(Timer::Nack, Some(at(120)));
        assert_eq!(deadlines.next(at(0)), Some(Deadline { at: at(120), timer: Timer::Nack }));
        assert_eq!(deadlines.due(at(1000)).collect::<Vec<_>>(), [Timer::Nack, Timer::Reports]);
        deadlines.set(Timer::Nack, None);
        deadlines.set(Timer::Reports, None);
        assert_eq!(deadlines.next(at(0)), Some(Deadline { at: at(15_000), timer: Timer::Consent }));
    }

    #[test]
    fn pacing_has_a_grid_of_its_own() {
        let epoch = Instant::now();
        let at = |ms| epoch + Duration::from_millis(ms);
        let mut deadlines = Deadlines::new(epoch);
        for (after, expected) in [(0, 5), (3, 5), (5, 10), (12, 15)] {
            deadlines.set_pacing(Some(at(after)));
            let expected = Deadline { at: at(expected), timer: Timer::Pacing };
            assert_eq!(deadlines.next(at(after)), Some(expected), "behind {after} ms");
        }
        deadlines.set_pacing(None);
        assert!(deadlines.is_empty());
    }

    #[test]
    fn a_deadline_that_is_taken_away_does_not_come() {
        let start = Instant::now();
        let mut heap = DeadlineHeap::new();
        heap.set('a', Some(reports(start)));
        heap.set('a', None);
        assert_eq!(heap.earliest(), None);
        assert_eq!(heap.len(), 0);
    }
}
